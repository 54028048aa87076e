// What an account is worth and what it must keep (docs/spec/ledger.md, Valuation of an account). A pure function of the
// cells that it reads, the same over a state and over a draft. Results are bigint: sizes and cash are bounded when they are
// written, but rows move afterwards, and a margin decision must not depend on where a sum stops being a safe integer.
import { assert, type PartsPerBillion, type TimestampMs, type UnderlyingNumber } from "@tidemark/num";
import { ExactSum, ScenarioSums } from "./exact-sum.ts";
import { UNDERLYINGS_MAX } from "./limits.ts";
import type { ParameterSet } from "./parameters.ts";
import { pendingFundingFloor } from "./positions.ts";
import {
  concentrationLotsOf,
  type RiskParameters,
  SCENARIO_COUNT,
  unchangedVolatilityScenarios,
} from "./risk/parameters.ts";
import {
  type AccountCell,
  type InstrumentCell,
  InstrumentStatus,
  type Position,
  type UnderlyingCell,
} from "./types.ts";

/** What a margin reads: a state has it, a draft with its parameters has it. */
export interface LedgerView {
  readonly parameters: ParameterSet;
  account(account: number): Readonly<AccountCell> | undefined;
  instrument(instrument: number): Readonly<InstrumentCell> | undefined;
  underlying(underlying: number): Readonly<UnderlyingCell> | undefined;
}

export interface UnderlyingMargin {
  underlying: UnderlyingNumber;
  /** Greatest loss over the scenarios, ≥ 0. */
  required: bigint;
  /** Row index of that loss; 0 when no scenario loses. */
  worstScenario: number;
}

/** Micro-USDC. `withdrawable` is 0 where marks are unusable: the other figures then rest on old marks. */
export interface Margin {
  /** cash + Σ pending funding + Σ size·mark. */
  equity: bigint;
  /** Equity where every index has moved to its slow average, gains ignored. */
  equityAverage: bigint;
  /** Σ funding that positions would realise now, each rounded down. */
  pendingFunding: bigint;
  scenario: bigint;
  addOns: bigint;
  initial: bigint;
  maintenance: bigint;
  withdrawable: bigint;
  marksUsable: boolean;
  /** In order of the underlying number; only those with positions. */
  underlyings: UnderlyingMargin[];
}

const BILLION = 1_000_000_000n;
/** By underlying. Reused: nothing of them outlives a call. */
const scenarioSums = Array.from({ length: UNDERLYINGS_MAX }, () => new ScenarioSums(SCENARIO_COUNT));
const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Rounded towards −∞, d > 0. */
function divFloorExact(a: bigint, d: bigint): bigint {
  const quotient = a / d;
  return a < 0n && quotient * d !== a ? quotient - 1n : quotient;
}

// The messages are built at a failure only: a template before every assertion costs more than the lookup.
function instrumentOf(view: LedgerView, position: Readonly<Position>): Readonly<InstrumentCell> {
  const cell = view.instrument(position.instrument);
  if (cell === undefined) assert(false, `instrument ${position.instrument} of a position exists`);
  return cell;
}

function underlyingOf(view: LedgerView, underlying: number): Readonly<UnderlyingCell> {
  const cell = view.underlying(underlying);
  if (cell === undefined) assert(false, `underlying ${underlying} of an instrument exists`);
  return cell;
}

function isMarkUsable(instrument: Readonly<InstrumentCell>, timeMs: TimestampMs, markAgeMsMax: number): boolean {
  if (instrument.status !== InstrumentStatus.listed) return true;
  return instrument.rowEpoch !== 0 && timeMs - instrument.rowTimeMs <= markAgeMsMax;
}

/**
 * Every underlying of a position has its epoch closed, every listed instrument of a position a row that is not older than
 * markAgeMaxMs. Settled instruments have constant rows and do not age.
 */
export function marksUsable(view: LedgerView, positions: readonly Position[], timeMs: TimestampMs): boolean {
  const { markAgeMaxMs } = view.parameters.risk;
  let closedUnderlying = -1;
  for (let i = 0; i < positions.length; i++) {
    const instrument = instrumentOf(view, positions[i] as Position);
    if (instrument.underlying !== closedUnderlying) {
      if (underlyingOf(view, instrument.underlying).epochOpen) return false;
      closedUnderlying = instrument.underlying;
    }
    if (!isMarkUsable(instrument, timeMs, markAgeMaxMs)) return false;
  }
  return true;
}

function addAddOns(sum: ExactSum, instrument: Readonly<InstrumentCell>, size: number, risk: RiskParameters): void {
  const lots = Math.abs(size);
  sum.addProduct(lots, size < 0 ? instrument.shortAddOn : instrument.longAddOn);
  const beyond = lots - concentrationLotsOf(risk, instrument.kind);
  if (beyond > 0) sum.addProduct(beyond, instrument.concentrationAddOn);
}

/** Relative distance from the index to its average, trunc, in parts per billion. 0 before the first report. */
export function averageMovePpb(underlying: Readonly<UnderlyingCell>): PartsPerBillion {
  if (underlying.index === 0) return 0 as PartsPerBillion;
  const difference = BigInt(underlying.indexAverage) - BigInt(underlying.index);
  return Number((difference * BILLION) / BigInt(underlying.index)) as PartsPerBillion;
}

/**
 * Value change of an underlying's positions when the index moves by movePpb: linear between the neighbouring spot scenarios
 * with unchanged volatility, clamped to the outermost. One floor over all positions: the account bears the remainder.
 */
function interpolatedChangeFloor(sums: ScenarioSums, movePpb: number, risk: RiskParameters): bigint {
  const grid = unchangedVolatilityScenarios(risk);
  const first = grid[0];
  const last = grid[grid.length - 1];
  assert(first !== undefined && last !== undefined, "spot moves exist");
  const move = Math.max(first.movePpb, Math.min(last.movePpb, movePpb));
  let upper = 1;
  while (upper < grid.length - 1 && (grid[upper] as typeof first).movePpb < move) upper++;
  const low = grid[upper - 1] as typeof first;
  const high = grid[upper] as typeof first;
  const weighted =
    sums.value(low.scenario) * BigInt(high.movePpb - move) + sums.value(high.scenario) * BigInt(move - low.movePpb);
  return divFloorExact(weighted, BigInt(high.movePpb - low.movePpb));
}

/** Margin of an account's cell, stored or not: with `positions` and `cash` as it gives them, marks as `view` gives them. */
export function marginOfCell(view: LedgerView, cell: Readonly<AccountCell>, timeMs: TimestampMs): Margin {
  const { risk } = view.parameters;
  const value = new ExactSum();
  const addOnSum = new ExactSum();
  let pendingFunding = 0n;
  const { markAgeMaxMs } = risk;
  const used: UnderlyingNumber[] = [];
  let usable = true;
  let sums = scenarioSums[0] as ScenarioSums;
  let underlyingOfSums = -1;
  for (const position of cell.positions) {
    const instrument = instrumentOf(view, position);
    if (instrument.fundingIndex !== position.fundingIndex) pendingFunding += pendingFundingFloor(instrument, position);
    value.addProduct(position.size, instrument.row[0] as number);
    addAddOns(addOnSum, instrument, position.size, risk);
    if (instrument.underlying !== underlyingOfSums) {
      underlyingOfSums = instrument.underlying;
      sums = scenarioSums[underlyingOfSums] as ScenarioSums;
      if (!used.includes(instrument.underlying)) {
        used.push(instrument.underlying);
        sums.reset();
        if (underlyingOf(view, underlyingOfSums).epochOpen) usable = false;
      }
    }
    if (!isMarkUsable(instrument, timeMs, markAgeMaxMs)) usable = false;
    sums.addRow(position.size, instrument.row);
  }
  const cash = BigInt(cell.cash);
  const equity = cash + pendingFunding + value.value();
  let equityAverage = equity;
  let scenario = 0n;
  const underlyings: UnderlyingMargin[] = [];
  used.sort((a, b) => a - b);
  for (const underlying of used) {
    sums = scenarioSums[underlying] as ScenarioSums;
    const worstScenario = sums.worst();
    const required = maxOf(0n, -sums.value(worstScenario));
    scenario += required;
    underlyings.push({ underlying, required, worstScenario: required === 0n ? 0 : worstScenario });
    const move = averageMovePpb(underlyingOf(view, underlying));
    if (move !== 0) equityAverage += minOf(0n, interpolatedChangeFloor(sums, move, risk));
  }
  const addOns = addOnSum.value();
  const initial = scenario + addOns;
  // Ceil: the account bears the remainder.
  const maintenance = -divFloorExact(-scenario * BigInt(risk.maintenanceFactorPpb), BILLION) + addOns;
  const covered = minOf(minOf(equity, equityAverage) - initial, minOf(cash, cash + pendingFunding));
  const withdrawable = usable && cell.credit === 0 ? maxOf(0n, covered) : 0n;
  return {
    equity,
    equityAverage,
    pendingFunding,
    scenario,
    addOns,
    initial,
    maintenance,
    withdrawable,
    marksUsable: usable,
    underlyings,
  };
}

/** Undefined for an account that does not exist. */
export function marginOf(view: LedgerView, account: number, timeMs: TimestampMs): Margin | undefined {
  const cell = view.account(account);
  return cell === undefined ? undefined : marginOfCell(view, cell, timeMs);
}

/** Above it a liquidation is refused; finality credit covers requirement. */
export function isHealthy(margin: Readonly<Margin>, credit: number): boolean {
  return margin.equity + BigInt(credit) >= margin.maintenance;
}

/** Without a look at where the account came from: the first half of the margin rule. */
export function coversInitial(margin: Readonly<Margin>, credit: number): boolean {
  return margin.equity + BigInt(credit) >= margin.initial;
}

/**
 * The margin rule after a cycle against its start, same marks. An account that does not cover its requirement may only
 * reduce it, without growing the deficit and, while it has equity, without giving away a larger share of the equity than
 * of the requirement: else two accomplices could empty it at an off-market price and leave the risk to the insurance.
 */
export function marginRuleHolds(before: Readonly<Margin>, after: Readonly<Margin>, credit: number): boolean {
  if (after.equity < -BigInt(credit) && after.equity < before.equity) return false;
  if (coversInitial(after, credit)) return true;
  return (
    after.initial < before.initial &&
    after.equity - after.initial >= before.equity - before.initial &&
    after.equity >= minOf(before.equity, 0n) &&
    (before.equity <= 0n || after.equity * before.initial >= before.equity * after.initial)
  );
}
