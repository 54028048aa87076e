// liquidation: unsigned reducing orders of an account below maintenance against signed orders of others, in slices, inside
// a price bound, no further than the target. The penalty goes to the insurance account.
import { assert, type InstrumentNumber, type MicroUsdc, mulDivCeil, type TimestampMs } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import { ExactSum, exactProduct } from "../exact-sum.ts";
import { INSURANCE_ACCOUNT } from "../limits.ts";
import { isHealthy, type Margin, marginOfCell } from "../margin.ts";
import { addCash, planPositions, positionSize, settlePositions } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import type {
  AccountCell,
  CycleRejection,
  InstrumentCell,
  LiquidationCycle,
  LiquidationLeg,
  UnderlyingCell,
} from "../types.ts";
import { isTradable } from "./entry.ts";
import { type CycleContext, reject } from "./rule.ts";
import { type CycleSums, emptySums, isTradingAccount, settleTrades } from "./trade.ts";

const BILLION = 1_000_000_000n;

/** Share of a lot's index value, micro-USDC. Ceil: what the account may be asked to bear. */
function lotShareCeil(index: number, lotNanoCoin: number, sharePpb: number): bigint {
  return mulDivCeil(exactProduct(index, lotNanoCoin), BigInt(sharePpb), BILLION * BILLION);
}

/** floor(index·lot / 1e9): the lot's index value, by which slices are measured. */
export function lotValueFloor(index: number, lotNanoCoin: number): bigint {
  return exactProduct(index, lotNanoCoin) / BILLION;
}

/** Least cash for a leg: |size|·(mark ∓ bound), and never a negative price: no value of a row is below 0. */
function leastCash(leg: Readonly<LiquidationLeg>, mark: number, boundPerLot: bigint): bigint {
  const lots = BigInt(Math.abs(leg.size));
  if (leg.size > 0) return -lots * (BigInt(mark) + boundPerLot);
  const price = BigInt(mark) - boundPerLot;
  return price > 0n ? lots * price : 0n;
}

interface LegCells {
  instrument: Readonly<InstrumentCell>;
  underlying: Readonly<UnderlyingCell>;
}

/** 505: every leg reduces its own position in something that trades. The place of the first leg that does not. */
function legCells(
  draft: Draft,
  cell: Readonly<AccountCell>,
  legs: readonly LiquidationLeg[],
  timeMs: TimestampMs,
): LegCells[] | number {
  const cells: LegCells[] = [];
  const seen = new Set<number>();
  for (const [place, leg] of legs.entries()) {
    const instrument = draft.instrument(leg.instrument);
    const underlying = instrument === undefined ? undefined : draft.underlying(instrument.underlying);
    const held = positionSize(cell.positions, leg.instrument);
    const reduces = leg.size !== 0 && leg.size > 0 !== held > 0 && Math.abs(leg.size) <= Math.abs(held);
    if (instrument === undefined || underlying === undefined || !reduces) return place;
    if (seen.has(leg.instrument) || !isTradable(instrument, timeMs)) return place;
    seen.add(leg.instrument);
    cells.push({ instrument, underlying });
  }
  return cells;
}

/** 506 … 508, each over all legs before the next. */
function legsRejection(
  cycle: Readonly<LiquidationCycle>,
  cells: readonly LegCells[],
  context: CycleContext,
): CycleRejection | null {
  const { risk } = context.parameters;
  const { account, legs } = cycle;
  let sliceMicroUsdc = 0n;
  let lots = 0;
  let penaltyPlace = -1;
  for (const [place, leg] of legs.entries()) {
    const { instrument, underlying } = cells[place] as LegCells;
    const mark = instrument.row[0] as number;
    const size = Math.abs(leg.size);
    const bound = lotShareCeil(underlying.index, instrument.lotNanoCoin, risk.liquidationBoundPpb);
    if (BigInt(leg.cash) < leastCash(leg, mark, bound)) {
      return reject(RejectionCode.LIQUIDATION_PRICE_BOUND, { account, instrument: leg.instrument, place });
    }
    const penalty = lotShareCeil(underlying.index, instrument.lotNanoCoin, risk.liquidationPenaltyPpb);
    if (penaltyPlace < 0 && BigInt(leg.fee) > BigInt(size) * penalty) penaltyPlace = place;
    sliceMicroUsdc += BigInt(size) * lotValueFloor(underlying.index, instrument.lotNanoCoin);
    lots += size;
  }
  if (penaltyPlace >= 0) {
    const instrument = legs[penaltyPlace]?.instrument ?? -1;
    return reject(RejectionCode.LIQUIDATION_PENALTY, { account, instrument, place: penaltyPlace });
  }
  if (lots > 1 && sliceMicroUsdc > BigInt(risk.liquidationSliceMicroUsdc)) {
    return reject(RejectionCode.LIQUIDATION_SLICE, { account });
  }
  return null;
}

/**
 * Whether the legs without their last lot would already have reached the target. The last leg's cash and fee are shared
 * per lot, cash rounded up and fee down: the account gets the doubt.
 */
function isBeyondTarget(
  start: Readonly<AccountCell>,
  cycle: Readonly<LiquidationCycle>,
  context: CycleContext,
): boolean {
  const last = cycle.legs[cycle.legs.length - 1] as LiquidationLeg;
  const lots = BigInt(Math.abs(last.size));
  const cash = new ExactSum();
  cash.add(start.cash);
  for (const leg of cycle.legs.slice(0, -1)) {
    cash.add(leg.cash);
    cash.add(-leg.fee);
  }
  cash.addExact(mulDivCeil(BigInt(last.cash), lots - 1n, lots));
  cash.addExact(-((BigInt(last.fee) * (lots - 1n)) / lots));
  const changes = lotsOf(cycle.legs);
  changes.set(last.instrument, last.size - Math.sign(last.size));
  const plan = planPositions(context.view, start.positions, changes);
  assert(plan !== null, "a smaller reduction than the settled one is within bounds");
  // Cash apart: one lot short of the cycle's end it may lie outside the bound of a cell.
  const trial = marginOfCell(context.view, { ...start, cash: 0 as MicroUsdc, positions: plan.positions }, cycle.timeMs);
  const equity = trial.equity + cash.value() + plan.fundingTotal;
  return equity + BigInt(start.credit) >= trial.initial;
}

function lotsOf(legs: readonly LiquidationLeg[]): Map<InstrumentNumber, number> {
  return new Map(legs.map((leg) => [leg.instrument, leg.size]));
}

/** 504: one slice a report. Underlyings of positions only; without positions there is nothing to liquidate. */
function hasNewerReport(context: CycleContext, cell: Readonly<AccountCell>): boolean {
  return cell.positions.some((position) => {
    const instrument = context.view.instrument(position.instrument);
    const underlying = instrument === undefined ? undefined : context.view.underlying(instrument.underlying);
    return underlying !== undefined && underlying.reportMs > cell.liquidationMs;
  });
}

function startCode(start: Readonly<AccountCell>, margin: Readonly<Margin>, context: CycleContext): number {
  if (!margin.marksUsable) return RejectionCode.LIQUIDATION_MARKS_UNUSABLE;
  if (isHealthy(margin, start.credit)) return RejectionCode.LIQUIDATION_HEALTHY;
  return hasNewerReport(context, start) ? 0 : RejectionCode.LIQUIDATION_NO_NEWER_REPORT;
}

/** Settles the liquidated account's side and adds it to the sums; bounds of cash have the code of a trade. */
function settleLegs(draft: Draft, cycle: Readonly<LiquidationCycle>, sums: CycleSums): CycleRejection | null {
  const { account, legs } = cycle;
  const cash = new ExactSum();
  const penalties = new ExactSum();
  for (const leg of legs) {
    cash.add(leg.cash);
    sums.cash.add(leg.cash);
    cash.add(-leg.fee);
    penalties.add(leg.fee);
    sums.lots.set(leg.instrument, leg.size);
  }
  if (settlePositions(draft, account, lotsOf(legs), cash.value()) !== "settled") {
    return reject(RejectionCode.TRADE_BOUNDS, { account });
  }
  draft.editAccount(account).liquidationMs = cycle.timeMs;
  return addCash(draft.editAccount(INSURANCE_ACCOUNT), penalties.value())
    ? null
    : reject(RejectionCode.TRADE_BOUNDS, { account: INSURANCE_ACCOUNT });
}

export function validateAndApply(draft: Draft, cycle: LiquidationCycle, context: CycleContext): CycleRejection | null {
  const { account, legs, timeMs } = cycle;
  const start = draft.account(account);
  if (start === undefined || !isTradingAccount(account))
    return reject(RejectionCode.LIQUIDATION_UNKNOWN_ACCOUNT, { account });
  if (start.positions.length !== cycle.positionCount) {
    return reject(RejectionCode.LIQUIDATION_POSITION_COUNT, { account });
  }
  const before = marginOfCell(context.view, start, timeMs);
  const code = startCode(start, before, context);
  if (code !== 0) return reject(code, { account });
  const cells = legCells(draft, start, legs, timeMs);
  if (typeof cells === "number") {
    const instrument = legs[cells]?.instrument ?? -1;
    return reject(RejectionCode.LIQUIDATION_NOT_REDUCING, { account, instrument, place: cells });
  }
  const refused = legsRejection(cycle, cells, context);
  if (refused !== null) return refused;
  const sums = emptySums();
  const bounds = settleLegs(draft, cycle, sums);
  if (bounds !== null) return bounds;
  const after = marginOfCell(context.view, draft.editAccount(account), timeMs);
  if (after.equity - after.maintenance <= before.equity - before.maintenance) {
    return reject(RejectionCode.LIQUIDATION_NOT_IMPROVING, { account });
  }
  if (isBeyondTarget(start, cycle, context)) {
    return reject(RejectionCode.LIQUIDATION_BEYOND_TARGET, { account, place: legs.length - 1 });
  }
  if (cycle.counterparties.some((counterparty) => counterparty.account === account)) {
    return reject(RejectionCode.LIQUIDATION_SELF_COUNTERPARTY, { account });
  }
  return settleTrades(draft, cycle.counterparties, timeMs, context, sums);
}
