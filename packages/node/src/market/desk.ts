// One account at its desk: builds and signs its commands, keeps track of its live orders. Knows nothing of strategies.

import type {
  AmendCommand,
  CancelAllCommand,
  CancelCommand,
  OrderType,
  PlaceCommand,
  TimeInForce,
  WithdrawCommand,
} from "@tidemark/engine";
import type { Address, InstrumentCell, Order, Withdrawal } from "@tidemark/ledger";
import { OrderFlag, orderHash, withdrawalHash } from "@tidemark/ledger";
import type {
  AccountNumber,
  InstrumentNumber,
  MicroUsdc,
  Nonce,
  PriceTicks,
  SizeLots,
  TimestampMs,
} from "@tidemark/num";
import { bytesToHex } from "@tidemark/num";
import { signer } from "../signatures/signer.ts";

export type FloorCommand = PlaceCommand | AmendCommand | CancelCommand | CancelAllCommand | WithdrawCommand;

/** What traders read of the venue. Prices in ticks, 0 = empty side; money in micro-USDC. */
export interface VenueView {
  instrumentCount(): number;
  instrument(instrument: number): Readonly<InstrumentCell>;
  bestBid(instrument: number): number;
  bestAsk(instrument: number): number;
  /** Signed lots, fills of the open cycle included. */
  position(account: number, instrument: number): number;
  margin(account: number): { equity: number; initial: number; maintenance: number };
  /** What a withdrawal may take now. */
  withdrawable(account: number): number;
}

export interface SigningDomain {
  readonly domain: number;
  readonly separator: Uint8Array;
}

export interface OrderIntent {
  readonly instrument: number;
  /** Signed lots. */
  readonly size: number;
  readonly price: number;
  readonly type?: OrderType;
  readonly timeInForce?: TimeInForce;
  readonly postOnly?: boolean;
  readonly reduceOnly?: boolean;
  readonly lifetimeMs: number;
  readonly maxFeePerLot: number;
}

export interface LiveOrder {
  readonly nonce: number;
  readonly instrument: number;
  readonly price: number;
  readonly side: 1 | -1;
  /** Unsigned lots that are still open; what an amendment carried over is not in it. */
  openLots: number;
  filledLots: number;
  /** Lots in the signed order; of an amended one they include what its predecessors filled. */
  readonly signedLots: number;
  /** Nonce of the order that this one amends; 0 = none. */
  replaces: number;
  /** An amendment is under way; the next event decides. */
  replacedBy: number;
}

export class Desk {
  readonly label: string;
  readonly ownerKey: Uint8Array;
  readonly owner: Address;
  /** Signs orders: a session key where the account granted one, else the owner's. */
  readonly tradingKey: Uint8Array;
  readonly trader: Address;
  readonly live = new Map<number, LiveOrder>();
  account = -1 as AccountNumber;
  /** Lots traded, and times that the venue liquidated this account. */
  lotsTraded = 0;
  liquidationFills = 0;
  #nextNonce = 1;
  readonly #signing: SigningDomain;
  readonly #out: FloorCommand[];

  constructor(
    label: string,
    ownerKey: Uint8Array,
    tradingKey: Uint8Array,
    signing: SigningDomain,
    out: FloorCommand[],
  ) {
    this.label = label;
    this.ownerKey = ownerKey;
    this.owner = signer.addressOf(ownerKey);
    this.tradingKey = tradingKey;
    this.trader = signer.addressOf(tradingKey);
    this.#signing = signing;
    this.#out = out;
  }

  /** The account number that the chain gave; after a restart nonces go on where the venue saw them last. */
  assign(account: number, lastNonce: number): void {
    this.account = account as AccountNumber;
    this.#nextNonce = lastNonce + 1;
  }

  place(timeMs: number, intent: OrderIntent): number {
    const request = this.#request(timeMs, intent, Math.abs(intent.size));
    this.#out.push({ kind: "place", timeMs: timeMs as TimestampMs, ...request });
    return request.order.nonce;
  }

  /** Replaces a live order: an amended order's signed size counts what its predecessors filled. */
  amend(timeMs: number, old: LiveOrder, intent: OrderIntent): number {
    const signed = { ...intent, size: intent.size + old.side * old.filledLots };
    const request = this.#request(timeMs, signed, Math.abs(intent.size));
    old.replacedBy = request.order.nonce;
    const replacement = this.live.get(request.order.nonce) as LiveOrder;
    replacement.filledLots = old.filledLots;
    replacement.replaces = old.nonce;
    this.#out.push({ kind: "amend", timeMs: timeMs as TimestampMs, ...request, replaces: old.nonce as Nonce });
    return request.order.nonce;
  }

  cancel(timeMs: number, nonce: number): void {
    this.#out.push({
      kind: "cancel",
      timeMs: timeMs as TimestampMs,
      account: this.account,
      nonce: nonce as Nonce,
      signer: this.trader,
    });
  }

  cancelAll(timeMs: number): void {
    this.#out.push({ kind: "cancelAll", timeMs: timeMs as TimestampMs, account: this.account, signer: this.trader });
  }

  /** Signed by the owner: withdrawals cannot be delegated. */
  withdraw(timeMs: number, amount: number, destinationChain: number): number {
    const nonce = this.#nextNonce++;
    const withdrawal: Withdrawal = {
      domain: this.#signing.domain,
      account: this.account,
      asset: 0,
      amount: amount as MicroUsdc,
      destinationChain,
      recipient: this.owner,
      nonce: nonce as Nonce,
      expiryMs: (timeMs + WITHDRAWAL_LIFETIME_MS) as TimestampMs,
    };
    const digest = withdrawalHash(withdrawal, this.#signing.separator);
    const signature = bytesToHex(signer.signCompact(digest, this.ownerKey));
    this.#out.push({ kind: "withdraw", timeMs: timeMs as TimestampMs, withdrawal, signature });
    return nonce;
  }

  #request(timeMs: number, intent: OrderIntent, openLots: number): Omit<PlaceCommand, "kind" | "timeMs"> {
    const nonce = this.#nextNonce++;
    const order: Order = {
      domain: this.#signing.domain,
      account: this.account,
      legs: [{ instrument: intent.instrument as InstrumentNumber, ratio: 1 }],
      size: intent.size as SizeLots,
      limitPrice: intent.price as PriceTicks,
      maxFeePerLot: intent.maxFeePerLot as MicroUsdc,
      nonce: nonce as Nonce,
      startMs: timeMs as TimestampMs,
      expiryMs: (timeMs + intent.lifetimeMs) as TimestampMs,
      flags: intent.reduceOnly === true ? OrderFlag.reduceOnly : 0,
    };
    const digest = orderHash(order, this.#signing.separator);
    this.live.set(nonce, {
      nonce,
      instrument: intent.instrument,
      price: intent.price,
      side: intent.size > 0 ? 1 : -1,
      openLots,
      filledLots: 0,
      signedLots: Math.abs(intent.size),
      replaces: 0,
      replacedBy: 0,
    });
    return {
      order,
      signature: bytesToHex(signer.signCompact(digest, this.tradingKey)),
      signer: this.trader,
      orderHash: bytesToHex(digest),
      type: intent.type ?? "limit",
      timeInForce: intent.timeInForce ?? "gtc",
      postOnly: intent.postOnly ?? false,
    };
  }

  // ── what the venue tells ─────────────────────────────────────────────────────────────────────────────────────────

  filled(nonce: number, lots: number): void {
    this.lotsTraded += lots;
    const order = this.live.get(nonce);
    if (order === undefined) return;
    order.openLots -= lots;
    order.filledLots += lots;
    if (order.openLots <= 0) this.live.delete(nonce);
  }

  amended(nonce: number, replaces: number, openLots: number): void {
    this.live.delete(replaces);
    const order = this.live.get(nonce);
    if (order === undefined) return;
    order.openLots = openLots;
    order.filledLots = order.signedLots - openLots;
    order.replaces = 0;
  }

  cancelled(nonce: number): void {
    this.live.delete(nonce);
  }

  /** A refused order never was; a refused amendment leaves the old order as it is. */
  rejected(nonce: number): void {
    const old = this.live.get(this.live.get(nonce)?.replaces ?? 0);
    if (old !== undefined) old.replacedBy = 0;
    this.live.delete(nonce);
  }
}

/** Long enough to outlive the queue in front of it, short enough not to linger. */
const WITHDRAWAL_LIFETIME_MS = 6 * 3_600_000;
