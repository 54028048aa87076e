// The shapes of the ledger: cells of the state trees, cycles (one union member a kind), rejections and ports.
// Byte formats are in codec/; what makes a cycle wrong is in kinds/ and docs/spec/ledger.md.
import type {
  AccountNumber,
  InstrumentNumber,
  MicroUsd,
  MicroUsdc,
  Nonce,
  PartsPerBillion,
  PriceTicks,
  SizeLots,
  TimestampMs,
  UnderlyingNumber,
} from "@tidemark/num";

/** 0x-prefixed lower-case hex: 32-byte hash, 20-byte address, 64-byte compact signature (r ‖ yParityAndS, EIP-2098). */
export type Hash = `0x${string}`;
export type Address = `0x${string}`;
export type CompactSignature = `0x${string}`;
/** Bytes of any length. */
export type HexBytes = `0x${string}`;

// ── cells ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bits of a delegate key's scopes. Withdrawals and key changes are never delegable. */
export const Scope = { trade: 1 } as const;

export interface Delegate {
  key: Address;
  scopes: number;
  expiryMs: TimestampMs;
}

export interface Position {
  instrument: InstrumentNumber;
  /** Signed; never 0 in a stored cell. */
  size: SizeLots;
  /** Funding index of the instrument when this position last realised funding; 0 for kinds without funding. */
  fundingIndex: number;
}

export interface AccountCell {
  domain: number;
  owner: Address;
  delegates: Delegate[];
  cash: MicroUsdc;
  /** Finality credit: covers requirement, never loss. */
  credit: MicroUsdc;
  minNonce: Nonce;
  /** Time of the last liquidation cycle of this account; a newer report must arrive before the next. */
  liquidationMs: TimestampMs;
  /** Start of the running auction; 0 = none. */
  auctionMs: TimestampMs;
  /** Queue index that `credit` was granted for; 0 without credit. */
  creditIndex: number;
  ringRoot: Hash;
  /** Sorted by instrument, at most POSITIONS_MAX. */
  positions: Position[];
}

export interface RingSlot {
  nonce: Nonce;
  orderHash: Hash;
  /** Unsigned lots filled so far. */
  filledLots: number;
  /** Signed cash of those fills without fees. */
  filledCash: MicroUsdc;
  receiptDeadlineMs: TimestampMs;
}

export const InstrumentKind = { spot: 0, perpetual: 1, future: 2, call: 3, put: 4 } as const;
export type InstrumentKind = (typeof InstrumentKind)[keyof typeof InstrumentKind];

export const InstrumentStatus = { listed: 1, settled: 2 } as const;
export type InstrumentStatus = (typeof InstrumentStatus)[keyof typeof InstrumentStatus];

export interface InstrumentCell {
  kind: InstrumentKind;
  underlying: UnderlyingNumber;
  status: InstrumentStatus;
  /** 0 for a perpetual. */
  expiryMs: TimestampMs;
  /** 0 unless an option. */
  strike: MicroUsd;
  lotNanoCoin: number;
  tickMicroUsd: number;
  /** = tickMicroUsd · lotNanoCoin / 1e9, exactly. */
  tickValueMicroUsdc: number;
  /** Cumulative funding per lot, micro-USDC · 2^FUNDING_SHIFT, paid by longs. Perpetuals only. */
  fundingIndex: number;
  /** Micro-USDC per lot once settled. */
  settlementPerLot: MicroUsdc;
  clearingPosition: number;
  clearingCash: MicroUsdc;
  /** Mark epoch of the row; 0 = never computed. */
  rowEpoch: number;
  /** Report time that the row was computed from. */
  rowTimeMs: TimestampMs;
  /** ROW_LENGTH values, micro-USDC per lot, 0 ≤ V < 2^40. Index 0 is the mark; indices ≥ SCENARIO_COUNT are 0. */
  row: number[];
  /** Micro-USDC per lot. */
  shortAddOn: number;
  longAddOn: number;
  concentrationAddOn: number;
  /** Most that a taker may be charged, micro-USDC per lot (ceil). */
  feePerLot: number;
}

/** One expiry's surface: annualised implied variance by SVI, v(k) = a + b·(rho·(k−m) + sqrt((k−m)² + s²)), k = ln(K/F). All ppb. */
export interface ExpirySurface {
  expiryMs: TimestampMs;
  forward: MicroUsd;
  /** Average of the index over the part of the averaging window that has passed; 0 before the window. */
  realisedAverage: MicroUsd;
  a: PartsPerBillion;
  b: PartsPerBillion;
  rho: PartsPerBillion;
  m: PartsPerBillion;
  s: PartsPerBillion;
}

export interface UnderlyingCell {
  epoch: number;
  epochOpen: boolean;
  reportMs: TimestampMs;
  index: MicroUsd;
  /** Slow average of the index; margin for withdrawals uses the worse of the two. */
  indexAverage: MicroUsd;
  premiumEma: PartsPerBillion;
  perpetual: InstrumentNumber;
  hasPerpetual: boolean;
  /** Sorted by expiry, at most EXPIRIES_MAX. */
  surfaces: ExpirySurface[];
}

export interface OutboxCell {
  account: AccountNumber;
  /** 0 = USDC. */
  asset: number;
  amount: MicroUsdc;
  destinationChain: number;
  recipient: Address;
}

export interface GlobalsCell {
  domain: number;
  format: number;
  hashSuite: number;
  timeMs: TimestampMs;
  inboundCursor: number;
  inboundHash: Hash;
  outboxCount: number;
  instrumentCount: number;
  /** Cumulative money consumed from the L1 queue, and cumulative money sent to the outbox. */
  inboundTotal: MicroUsdc;
  outboxTotal: MicroUsdc;
  /** Σ cash of all accounts, and Σ clearing cash of all instruments: inboundTotal = cashTotal + clearingTotal + outboxTotal. */
  cashTotal: MicroUsdc;
  clearingTotal: MicroUsdc;
  /** Σ max(0, −cash) over accounts without positions. */
  badDebt: MicroUsdc;
  parametersHash: Hash;
  /** Σ credit over accounts. */
  creditTotal: MicroUsdc;
  /** keccak256 of the pending change of the parameter set; zero = none. */
  adminHash: Hash;
  /** The pending change cannot be applied before. */
  adminMs: TimestampMs;
}

// ── orders ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface OrderLeg {
  instrument: InstrumentNumber;
  ratio: number;
}

export const OrderFlag = { reduceOnly: 1 } as const;

/** What a trader signs (EIP-712). */
export interface Order {
  domain: number;
  account: AccountNumber;
  legs: OrderLeg[];
  /** Signed: buy > 0. */
  size: SizeLots;
  /** Net limit price; market orders carry their protection price. */
  limitPrice: PriceTicks;
  maxFeePerLot: MicroUsdc;
  nonce: Nonce;
  startMs: TimestampMs;
  expiryMs: TimestampMs;
  flags: number;
}

// ── cycles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Kind codes are append-only. */
export const CycleKind = {
  report: 1,
  rows: 2,
  trade: 3,
  liquidation: 4,
  auction: 5,
  bankruptcy: 6,
  adl: 7,
  expiry: 8,
  inbound: 9,
  outbound: 10,
  credit: 11,
  admin: 12,
} as const;
export type CycleKind = (typeof CycleKind)[keyof typeof CycleKind];
export type CycleKindName = keyof typeof CycleKind;

export interface QuorumSignature {
  /** Index into the parameter set's oracle keys; strictly increasing. */
  signer: number;
  signature: CompactSignature;
}

export interface ReportCycle {
  kind: "report";
  timeMs: TimestampMs;
  underlying: UnderlyingNumber;
  reportMs: TimestampMs;
  index: MicroUsd;
  /** Premium of the perpetual over the index. */
  premium: PartsPerBillion;
  surfaces: ExpirySurface[];
  signatures: QuorumSignature[];
}

export interface RowsCycle {
  kind: "rows";
  timeMs: TimestampMs;
  underlying: UnderlyingNumber;
  /** Strictly increasing, 1 … ROWS_PER_CYCLE_MAX; may be empty only when closesEpoch. */
  instruments: InstrumentNumber[];
  closesEpoch: boolean;
}

/** One order's netted change in one cycle. */
export interface TradeEntry {
  order: Order;
  /** Absent when the ring already holds this order: its first settlement proved the authorisation. */
  signature: CompactSignature | null;
  /** Unsigned lots filled in this cycle, > 0. */
  filledLots: number;
  /** Signed cash of those fills, without fee. */
  cash: MicroUsdc;
  /** ≥ 0, paid to the treasury. */
  fee: MicroUsdc;
}

export interface TradeAccount {
  account: AccountNumber;
  /** Declared number of positions before the cycle: the weight of a challenge is computed from it. */
  positionCount: number;
  /** In order of nonce. */
  entries: TradeEntry[];
}

export interface TradeCycle {
  kind: "trade";
  timeMs: TimestampMs;
  /** Sorted by account. */
  accounts: TradeAccount[];
}

export interface LiquidationLeg {
  instrument: InstrumentNumber;
  /** Signed change of the liquidated account's position. */
  size: SizeLots;
  cash: MicroUsdc;
  /** Penalty to the insurance account. */
  fee: MicroUsdc;
}

export interface LiquidationCycle {
  kind: "liquidation";
  timeMs: TimestampMs;
  account: AccountNumber;
  positionCount: number;
  /** In the order of execution. */
  legs: LiquidationLeg[];
  counterparties: TradeAccount[];
}

/** One position's part of a slice; lots carry the sign of the account's position. */
export interface AuctionLeg {
  instrument: InstrumentNumber;
  lots: SizeLots;
}

/** What a bidder signs (EIP-712). */
export interface Bid {
  domain: number;
  /** The bidder. */
  account: AccountNumber;
  auctioned: AccountNumber;
  /** Of AUCTION_PARTS, of every position. */
  parts: number;
  /** Most that the bidder pays; negative: least that it receives. */
  paymentMax: MicroUsdc;
  /** Whether the signature covers the legs; else the bid takes whatever the slice is then. */
  bindsLegs: boolean;
  nonce: Nonce;
  expiryMs: TimestampMs;
}

export interface AuctionTake {
  bid: Bid;
  signature: CompactSignature;
  bidderPositionCount: number;
  /** Legs in instruments that the bidder does not hold: with its positions the rows of a challenge. */
  newCount: number;
  /** Below the slice's value at the marks, ≥ 0: the auctioned account bears `fromAccount` of it, the insurance the rest. */
  discount: MicroUsdc;
  fromAccount: MicroUsdc;
  /** The slice, increasing by instrument. */
  legs: AuctionLeg[];
}

/** Starts or ends an account's auction, or sells a slice of it to a signed bid. */
export type AuctionCycle = {
  kind: "auction";
  timeMs: TimestampMs;
  account: AccountNumber;
  positionCount: number;
} & ({ op: "start" } | { op: "end" } | { op: "take"; take: AuctionTake });

export interface BankruptcyCycle {
  kind: "bankruptcy";
  timeMs: TimestampMs;
  /** Strictly increasing. */
  accounts: AccountNumber[];
}

export interface AdlCounterparty {
  account: AccountNumber;
  positionCount: number;
  /** At the cycle's start. */
  equity: MicroUsdc;
  maintenance: MicroUsdc;
}

/** Deleveraging: a bankrupt account's position in one instrument against the first of the ranking. */
export interface AdlCycle {
  kind: "adl";
  timeMs: TimestampMs;
  account: AccountNumber;
  positionCount: number;
  instrument: InstrumentNumber;
  /** Micro-USDC per lot by which the counterparties' price is worse than the mark. */
  haircut: MicroUsdc;
  /** In the order of the ranking. */
  counterparties: AdlCounterparty[];
}

export interface ExpiryCycle {
  kind: "expiry";
  timeMs: TimestampMs;
  underlying: UnderlyingNumber;
  expiryMs: TimestampMs;
  settlementPrice: MicroUsd;
  signatures: QuorumSignature[];
  /** Instruments of this expiry that become settled, increasing. May be empty. */
  instruments: InstrumentNumber[];
  /** Positions in settled instruments of this expiry that are realised now against the clearing accounts. */
  realisations: { account: AccountNumber; positionCount: number; instruments: InstrumentNumber[] }[];
}

export type InboundEntry =
  | { type: "openAccount"; account: AccountNumber; owner: Address }
  | { type: "deposit"; account: AccountNumber; amount: MicroUsdc; payer: Address }
  | { type: "keyGrant"; account: AccountNumber; key: Address; scopes: number; expiryMs: TimestampMs }
  | { type: "keyRevoke"; account: AccountNumber; key: Address; minNonce: Nonce }
  | { type: "cancelAll"; account: AccountNumber; minNonce: Nonce }
  | { type: "forcedWithdrawal"; account: AccountNumber; amount: MicroUsdc; recipient: Address }
  | {
      type: "forcedClose";
      account: AccountNumber;
      instrument: InstrumentNumber;
      size: SizeLots;
      limitPrice: PriceTicks;
      nonce: Nonce;
    }
  | { type: "forcedLiquidation"; account: AccountNumber }
  | {
      type: "listSeries";
      underlying: UnderlyingNumber;
      /** 0 lists the perpetual of the underlying (strikes empty); else one future, and a call and a put a strike. */
      expiryMs: TimestampMs;
      /** Strictly increasing, ≤ SERIES_STRIKES_MAX. */
      strikes: MicroUsd[];
    }
  /** Bytes of a change of the parameter set, 1 … ADMIN_CHANGE_BYTES_MAX; whether they make sense is judged when it is applied. */
  | { type: "adminChange"; change: HexBytes };

export interface InboundCycle {
  kind: "inbound";
  timeMs: TimestampMs;
  entries: InboundEntry[];
}

export interface Withdrawal {
  domain: number;
  account: AccountNumber;
  /** 0 = USDC. */
  asset: number;
  amount: MicroUsdc;
  destinationChain: number;
  recipient: Address;
  nonce: Nonce;
  expiryMs: TimestampMs;
}

export interface OutboundCycle {
  kind: "outbound";
  timeMs: TimestampMs;
  withdrawals: { withdrawal: Withdrawal; signature: CompactSignature; positionCount: number }[];
}

/** Finality credit for a deposit that the queue will bring. */
export type CreditCycle = {
  kind: "credit";
  timeMs: TimestampMs;
  account: AccountNumber;
} & (
  | {
      op: "grant";
      amount: MicroUsdc;
      /** Where the deposit lies in the L1 queue. */
      queueIndex: number;
    }
  | { op: "settle" }
  | { op: "revoke" }
);

/** Applies the pending change of the parameter set. */
export interface AdminCycle {
  kind: "admin";
  timeMs: TimestampMs;
  change: HexBytes;
}

export type Cycle =
  | ReportCycle
  | RowsCycle
  | TradeCycle
  | LiquidationCycle
  | AuctionCycle
  | BankruptcyCycle
  | AdlCycle
  | ExpiryCycle
  | InboundCycle
  | OutboundCycle
  | CreditCycle
  | AdminCycle;

// ── verdicts and ports ─────────────────────────────────────────────────────────────────────────────────────────────

/** Why a cycle is refused. `account` is −1 where no single account is at fault; `place` is the index inside the cycle. */
export interface CycleRejection {
  code: number;
  name: string;
  account: number;
  instrument: number;
  place: number;
}

/** Deterministic outcome of one inbound entry: 0 = done, else a RejectionCode of the inbound range. */
export interface InboundOutcome {
  code: number;
}

export type CycleVerdict =
  | { ok: true; root: Hash; outcomes: InboundOutcome[] }
  | { ok: false; rejection: CycleRejection };

/** The one thing outside arithmetic and hashing that the ledger needs. Low-s only; null when the signature is invalid. */
export interface SignaturePort {
  recoverAddress(digest: Uint8Array, signature: Uint8Array): Address | null;
}
