// What the engine tells. Methods take scalars, so that the order path allocates nothing; a sink that keeps anything copies it.
import type { CycleKindName, Hash } from "@tidemark/ledger";

/** Why an order left the book or never rested. Codes are append-only. */
export const CancelReason = {
  user: 1,
  amended: 2,
  immediateRemainder: 3,
  selfTrade: 4,
  reduceOnly: 5,
  expired: 6,
  instrumentExpired: 7,
  marksUnusable: 8,
  feeAboveMaximum: 9,
  margin: 10,
  liquidation: 11,
  keyRevoked: 12,
  minNonce: 13,
  /** A forced close took the order's place in the ledger's ring. */
  nonceTaken: 14,
} as const;
export type CancelReason = (typeof CancelReason)[keyof typeof CancelReason];

/** One closed cycle, as the cycle store keeps it. */
export interface CycleRecord {
  index: number;
  kind: CycleKindName;
  timeMs: number;
  payload: Uint8Array;
  postRoot: Hash;
  /** Engine fills that this cycle settles. */
  fills: number;
  /** Engine commands since the previous cycle. */
  messages: number;
  /** Netted changes that the cycle carries: order entries, legs, realisations, queue entries or withdrawals. Marks (report, rows) change nobody's account: 0. */
  settledDeltas: number;
}

export interface EventSink {
  onAccepted(orderId: number, account: number, nonce: number, instrument: number, price: number, size: number): void;
  /** Takes the place of `onAccepted` for the new order of an amendment; the order keeps its id when it keeps its priority. */
  onAmended(orderId: number, account: number, nonce: number, replaces: number, price: number, openLots: number): void;
  /** `takerSide` is 1 when the taker buys, else −1. Fees in micro-USDC. `cycleIndex` is the cycle that settles the fill. */
  onFill(
    makerAccount: number,
    makerNonce: number,
    takerAccount: number,
    takerNonce: number,
    instrument: number,
    price: number,
    lots: number,
    takerSide: number,
    makerFee: number,
    takerFee: number,
    cycleIndex: number,
  ): void;
  /** A fill of a liquidation: the liquidated account has no order. `side` is the liquidated account's; `penalty` goes to the insurance. */
  onLiquidationFill(
    makerAccount: number,
    makerNonce: number,
    account: number,
    instrument: number,
    price: number,
    lots: number,
    side: number,
    makerFee: number,
    penalty: number,
    cycleIndex: number,
  ): void;
  onCancelled(
    orderId: number,
    account: number,
    nonce: number,
    instrument: number,
    openLots: number,
    reason: number,
  ): void;
  onRejected(code: number, account: number, nonce: number): void;
  onCycle(record: CycleRecord): void;
  /** Equity, initial and maintenance before; `legs` = 0 when the book offers nothing inside the bound. */
  onLiquidation(
    account: number,
    equity: number,
    initial: number,
    maintenance: number,
    legs: number,
    penalty: number,
  ): void;
  onFunding(instrument: number, fundingIndexBefore: number, fundingIndexAfter: number): void;
  onExpiry(
    underlying: number,
    expiryMs: number,
    settlementPrice: number,
    instruments: number,
    realisations: number,
  ): void;
  onDeposit(account: number, amount: number): void;
  onInboundOutcome(queueIndex: number, code: number): void;
  onListed(instrument: number, underlying: number, expiryMs: number): void;
  onWithdrawal(withdrawalNumber: number, account: number, amount: number): void;
  /** An account without positions owes `amount`. */
  onBadDebt(account: number, amount: number): void;
}

const ignore = (): void => undefined;

/** A sink that drops everything: replay up to a snapshot, benchmarks. */
export const silentSink: EventSink = {
  onAccepted: ignore,
  onAmended: ignore,
  onFill: ignore,
  onLiquidationFill: ignore,
  onCancelled: ignore,
  onRejected: ignore,
  onCycle: ignore,
  onLiquidation: ignore,
  onFunding: ignore,
  onExpiry: ignore,
  onDeposit: ignore,
  onInboundOutcome: ignore,
  onListed: ignore,
  onWithdrawal: ignore,
  onBadDebt: ignore,
};
