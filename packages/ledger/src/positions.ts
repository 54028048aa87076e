// Writing an account: realise funding, change sizes, move cash, and refuse what would leave the bounds.
import { assert, INT32_MAX, type InstrumentNumber, type MicroUsdc, type SizeLots } from "@tidemark/num";
import type { Draft } from "./draft.ts";
import { ExactSum } from "./exact-sum.ts";
import { EXPOSURE_BOUND, FUNDING_SHIFT, POSITIONS_MAX } from "./limits.ts";
import type { LedgerView } from "./margin.ts";
import { type AccountCell, type InstrumentCell, InstrumentKind, type Position } from "./types.ts";

const FUNDING_UNIT = 2 ** FUNDING_SHIFT;
const FUNDING_SHIFT_BITS = BigInt(FUNDING_SHIFT);

/** Funding that the position would receive now. Floor: the account bears the remainder, the clearing account keeps it. */
export function pendingFundingFloor(instrument: Readonly<InstrumentCell>, position: Readonly<Position>): bigint {
  const change = instrument.fundingIndex - position.fundingIndex;
  if (instrument.kind !== InstrumentKind.perpetual || change === 0) return 0n;
  const product = position.size * change;
  // Each step is exact when its result is safe: the quotient by a power of two only moves the exponent.
  if (Number.isSafeInteger(change) && Number.isSafeInteger(product)) return BigInt(Math.floor(-product / FUNDING_UNIT));
  const exactChange = BigInt(instrument.fundingIndex) - BigInt(position.fundingIndex);
  return (-BigInt(position.size) * exactChange) >> FUNDING_SHIFT_BITS;
}

function rowMaximum(row: readonly number[]): number {
  let maximum = 0;
  for (const value of row) if (value > maximum) maximum = value;
  return maximum;
}

/** Σ |size| · max V over the rows as they stand. */
export function exposureOf(view: Pick<LedgerView, "instrument">, positions: readonly Position[]): bigint {
  const sum = new ExactSum();
  for (const { instrument, size } of positions) {
    const cell = view.instrument(instrument);
    assert(cell !== undefined, `instrument ${instrument} of a position exists`);
    sum.addProduct(Math.abs(size), rowMaximum(cell.row));
  }
  return sum.value();
}

export const isSafe = (value: bigint): boolean =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -BigInt(Number.MAX_SAFE_INTEGER);

/** Adds to an account's cash. False and unchanged when |cash| would leave CASH_BOUND. */
export function addCash(cell: AccountCell, change: bigint): boolean {
  const cash = BigInt(cell.cash) + change;
  if (!isSafe(cash)) return false;
  cell.cash = Number(cash) as MicroUsdc;
  return true;
}

/** Moves money between an instrument's clearing account and a position's account. False when clearing would overflow. */
export function takeFromClearing(draft: Draft, instrument: InstrumentNumber, amount: bigint): boolean {
  if (amount === 0n) return true;
  const cell = draft.editInstrument(instrument);
  const cash = BigInt(cell.clearingCash) - amount;
  if (!isSafe(cash)) return false;
  cell.clearingCash = Number(cash) as MicroUsdc;
  return true;
}

/** Index of the first position whose instrument is not below; positions are sorted by it. */
function placeOf(positions: readonly Position[], instrument: number): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((positions[middle] as Position).instrument < instrument) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the instrument's position, or −1. */
export function positionIndex(positions: readonly Position[], instrument: number): number {
  const place = placeOf(positions, instrument);
  return positions[place]?.instrument === instrument ? place : -1;
}

export function positionSize(positions: readonly Position[], instrument: number): number {
  const index = positionIndex(positions, instrument);
  return index < 0 ? 0 : (positions[index] as Position).size;
}

export interface PositionPlan {
  /** Sorted by instrument, no size 0. */
  positions: Position[];
  /** What each changed position realises, to be taken from its instrument's clearing account; 0 is left out. */
  funding: { instrument: InstrumentNumber; amount: bigint }[];
  fundingTotal: bigint;
}

/**
 * What `positions` become when funding of every changed instrument is realised and its net lots are added; null when a
 * size would leave ±(2^31 − 1). Sizes move once, by their sum, so the order of an account's entries does not matter.
 */
export function planPositions(
  view: Pick<LedgerView, "instrument">,
  positions: readonly Position[],
  lotsByInstrument: ReadonlyMap<InstrumentNumber, number>,
): PositionPlan | null {
  const plan: PositionPlan = { positions: positions.slice(), funding: [], fundingTotal: 0n };
  for (const [number, lots] of lotsByInstrument) {
    const instrument = view.instrument(number);
    if (instrument === undefined) assert(false, `instrument ${number} exists`);
    const index = positionIndex(plan.positions, number);
    const held = plan.positions[index];
    const amount = held === undefined ? 0n : pendingFundingFloor(instrument, held);
    if (amount !== 0n) plan.funding.push({ instrument: number, amount });
    plan.fundingTotal += amount;
    const size = (held?.size ?? 0) + lots;
    if (!Number.isSafeInteger(size) || Math.abs(size) > INT32_MAX) return null;
    const changed = { instrument: number, size: size as SizeLots, fundingIndex: instrument.fundingIndex };
    if (held === undefined) {
      if (size !== 0) plan.positions.splice(placeOf(plan.positions, number), 0, changed);
    } else if (size === 0) {
      plan.positions.splice(index, 1);
    } else {
      plan.positions[index] = changed;
    }
  }
  return plan;
}

/** Judged by the lots and the greatest of all rows: no row is read. A product that a double rounds rounds at the bound too. */
function isExposureClearlyBelowBound(draft: Draft, positions: readonly Position[]): boolean {
  let lots = 0;
  for (let i = 0; i < positions.length; i++) lots += Math.abs((positions[i] as Position).size);
  return lots * draft.rowBound() < EXPOSURE_BOUND;
}

export type SettleResult = "settled" | "bounds" | "positionsFull";

/**
 * Writes the plan of planPositions and adds `cashChange` to cash. Exposure above its bound is refused only where it grows:
 * an account that a mark move carried over the bound must be able to reduce.
 */
export function settlePositions(
  draft: Draft,
  account: number,
  lotsByInstrument: ReadonlyMap<InstrumentNumber, number>,
  cashChange: bigint,
): SettleResult {
  const cell = draft.editAccount(account);
  const before = cell.positions;
  const plan = planPositions(draft, before, lotsByInstrument);
  if (plan === null) return "bounds";
  for (const { instrument, amount } of plan.funding) if (!takeFromClearing(draft, instrument, amount)) return "bounds";
  if (!addCash(cell, cashChange + plan.fundingTotal)) return "bounds";
  cell.positions = plan.positions;
  if (!isExposureClearlyBelowBound(draft, plan.positions)) {
    const exposure = exposureOf(draft, plan.positions);
    if (exposure >= BigInt(EXPOSURE_BOUND) && exposure > exposureOf(draft, before)) return "bounds";
  }
  return plan.positions.length > POSITIONS_MAX ? "positionsFull" : "settled";
}
