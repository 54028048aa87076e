// One order's netted change in one cycle: is the order good, and do its fills keep what was signed? Shared by trade and
// liquidation. Checks 402 … 415 in the order of docs/spec/ledger.md; the ring slot is written when all hold.
import { assert, bytesToHex, INT32_MAX, type InstrumentNumber, type MicroUsdc, type TimestampMs } from "@tidemark/num";
import { authorisesOrder } from "../authorise.ts";
import type { Draft } from "../draft.ts";
import { ExactSum, exactProduct } from "../exact-sum.ts";
import { LEGS_MAX, ORDER_LIFETIME_MAX_MS } from "../limits.ts";
import { RejectionCode } from "../rejections.ts";
import { isOption } from "../risk/parameters.ts";
import { orderHash } from "../signing.ts";
import {
  type AccountCell,
  type Hash,
  type InstrumentCell,
  InstrumentStatus,
  type Order,
  type RingSlot,
  type TradeEntry,
} from "../types.ts";
import type { CycleContext } from "./rule.ts";

/** `code` 0 = settled; `instrument` is −1 where none is at fault. */
export interface EntryResult {
  code: number;
  instrument: number;
}

/** Legs share underlying and tick value: only then is one net price in ticks meaningful. Null when the legs are invalid. */
function legInstruments(draft: Draft, order: Readonly<Order>): Readonly<InstrumentCell>[] | null {
  const { legs } = order;
  if (legs.length === 0 || legs.length > LEGS_MAX) return null;
  const cells: Readonly<InstrumentCell>[] = [];
  for (const [index, leg] of legs.entries()) {
    const cell = draft.instrument(leg.instrument);
    if (cell === undefined || leg.ratio === 0) return null;
    const first = cells[0] ?? cell;
    if (cell.tickValueMicroUsdc !== first.tickValueMicroUsdc || cell.underlying !== first.underlying) return null;
    for (let other = 0; other < index; other++) if (legs[other]?.instrument === leg.instrument) return null;
    cells.push(cell);
  }
  return cells;
}

/** Listed and, if dated, before its expiry. */
export function isTradable(instrument: Readonly<InstrumentCell>, timeMs: TimestampMs): boolean {
  return instrument.status === InstrumentStatus.listed && (instrument.expiryMs === 0 || timeMs < instrument.expiryMs);
}

/**
 * Whether the nonce's slot refuses this order: a higher nonce killed it, the nonce belongs to another order, or a lower
 * nonce is still under receipts that its slot must prove.
 */
export function isSlotRefusing(
  slot: Readonly<RingSlot> | undefined,
  nonce: number,
  hash: Hash,
  timeMs: TimestampMs,
): boolean {
  if (slot === undefined || slot.nonce < nonce) return slot !== undefined && slot.receiptDeadlineMs >= timeMs;
  return slot.nonce > nonce || slot.orderHash !== hash;
}

function timeCode(order: Readonly<Order>, timeMs: TimestampMs): number {
  if (timeMs < order.startMs) return RejectionCode.TRADE_NOT_STARTED;
  if (timeMs >= order.expiryMs) return RejectionCode.TRADE_EXPIRED;
  return order.expiryMs > order.startMs + ORDER_LIFETIME_MAX_MS ? RejectionCode.TRADE_LIFETIME : 0;
}

/** Cash at the limit price is −sign(size)·price·lots·tickValue; more is better for either side. */
function meetsLimit(entry: Readonly<TradeEntry>, tickValueMicroUsdc: number): boolean {
  const { limitPrice, size } = entry.order;
  const atLimit = exactProduct(limitPrice, entry.filledLots) * BigInt(tickValueMicroUsdc);
  return BigInt(entry.cash) >= (size > 0 ? -atLimit : atLimit);
}

function isFeeWithinSchedule(
  entry: Readonly<TradeEntry>,
  instruments: readonly Readonly<InstrumentCell>[],
  optionFeePriceDivisor: number,
): boolean {
  const perLot = new ExactSum();
  for (const [index, cell] of instruments.entries()) {
    perLot.addProduct(cell.feePerLot, Math.abs(entry.order.legs[index]?.ratio ?? 0));
  }
  if (BigInt(entry.fee) > perLot.value() * BigInt(entry.filledLots)) return false;
  const single = instruments.length === 1 ? instruments[0] : undefined;
  if (single === undefined || !isOption(single.kind)) return true;
  // Floor by the comparison of integers: fee ≤ |cash| / divisor.
  return exactProduct(entry.fee, optionFeePriceDivisor) <= BigInt(Math.abs(entry.cash));
}

export function settleEntry(
  draft: Draft,
  cell: Readonly<AccountCell>,
  entry: Readonly<TradeEntry>,
  timeMs: TimestampMs,
  context: CycleContext,
): EntryResult {
  const { order } = entry;
  // Decoders fill both in; a caller that signs for one domain and settles in another has a bug.
  assert(order.domain === context.parameters.domain && order.domain === cell.domain, "order is of this domain");
  const refuse = (code: number, instrument = -1): EntryResult => ({ code, instrument });
  const instruments = legInstruments(draft, order);
  if (instruments === null) return refuse(RejectionCode.TRADE_LEGS_INVALID);
  for (const [index, instrument] of instruments.entries()) {
    const number = order.legs[index]?.instrument as InstrumentNumber;
    if (!isTradable(instrument, timeMs)) return refuse(RejectionCode.TRADE_INSTRUMENT_NOT_TRADABLE, number);
  }
  const first = instruments[0] as InstrumentCell;
  if (draft.underlying(first.underlying)?.epochOpen !== false) return refuse(RejectionCode.TRADE_EPOCH_OPEN);
  const timing = timeCode(order, timeMs);
  if (timing !== 0) return refuse(timing);
  if (order.nonce < cell.minNonce) return refuse(RejectionCode.TRADE_BELOW_MIN_NONCE);
  const digest = orderHash(order, context.separator);
  const hash = bytesToHex(digest);
  const slot = draft.ringSlot(order.account, order.nonce);
  if (isSlotRefusing(slot, order.nonce, hash, timeMs)) return refuse(RejectionCode.TRADE_RING_SLOT);
  const held = slot !== undefined && slot.nonce === order.nonce ? slot : undefined;
  const isAuthorised =
    entry.signature === null
      ? held !== undefined
      : authorisesOrder(cell, order, digest, entry.signature, context.signatures);
  if (!isAuthorised) return refuse(RejectionCode.TRADE_NOT_AUTHORISED);
  const filledLots = (held?.filledLots ?? 0) + entry.filledLots;
  if (order.size === 0 || entry.filledLots === 0 || filledLots > Math.abs(order.size)) {
    return refuse(RejectionCode.TRADE_OVERFILLED);
  }
  if (!meetsLimit(entry, first.tickValueMicroUsdc)) return refuse(RejectionCode.TRADE_LIMIT_NOT_MET);
  if (!isFeeWithinSchedule(entry, instruments, context.parameters.risk.optionFeePriceDivisor)) {
    return refuse(RejectionCode.TRADE_FEE_ABOVE_SCHEDULE);
  }
  if (BigInt(entry.fee) > exactProduct(order.maxFeePerLot, entry.filledLots)) {
    return refuse(RejectionCode.TRADE_FEE_ABOVE_MAXIMUM);
  }
  const filledCash = (held?.filledCash ?? 0) + entry.cash;
  if (!Number.isSafeInteger(filledCash)) return refuse(RejectionCode.TRADE_BOUNDS);
  // With it no sum of lots over a cycle leaves the safe integers, in whichever order it is taken.
  for (const leg of order.legs) {
    if (Math.abs(leg.ratio) * entry.filledLots > INT32_MAX) {
      return refuse(RejectionCode.TRADE_BOUNDS, leg.instrument);
    }
  }
  draft.putRingSlot(order.account, {
    nonce: order.nonce,
    orderHash: hash,
    filledLots,
    filledCash: filledCash as MicroUsdc,
    receiptDeadlineMs: (timeMs + context.parameters.receiptPeriodMs) as TimestampMs,
  });
  return { code: 0, instrument: -1 };
}
