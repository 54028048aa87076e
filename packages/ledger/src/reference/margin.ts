// The reference's valuation of an account: every figure straight from its sentence in docs/spec/ledger.md.
import { assert } from "@tidemark/num";
import type { ParameterSet } from "../parameters.ts";
import { scenariosReference } from "../risk/rows.reference.ts";
import type { ReferenceAccountCell, ReferenceInstrument, ReferenceState } from "./cells.ts";

const BILLION = 1_000_000_000n;
const isOption = (instrument: ReferenceInstrument): boolean => instrument.kind === 3n || instrument.kind === 4n;

/** Largest integer ≤ n/d for d > 0, by the definition of the remainder. */
export function floorOf(n: bigint, d: bigint): bigint {
  const remainder = ((n % d) + d) % d;
  return (n - remainder) / d;
}
export const ceilOf = (n: bigint, d: bigint): bigint => -floorOf(-n, d);
export const largestOf = (...values: bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b));
export const smallestOf = (...values: bigint[]): bigint => values.reduce((a, b) => (a < b ? a : b));
export const sizeOf = (value: bigint): bigint => (value < 0n ? -value : value);

export interface ReferenceMargin {
  equity: bigint;
  equityAverage: bigint;
  pending: bigint;
  initial: bigint;
  maintenance: bigint;
  withdrawable: bigint;
  usable: boolean;
}

export function present<T>(value: T | undefined): T {
  assert(value !== undefined, "reference: a cell that must exist is missing");
  return value;
}

export function pendingOf(instrument: ReferenceInstrument, size: bigint, fundingIndex: bigint): bigint {
  return instrument.kind === 1n ? floorOf(-size * (instrument.fundingIndex - fundingIndex), 1n << 20n) : 0n;
}

export function areMarksUsable(
  state: ReferenceState,
  cell: Pick<ReferenceAccountCell, "positions">,
  timeMs: bigint,
  parameters: ParameterSet,
): boolean {
  return cell.positions.every((position) => {
    const instrument = present(state.instruments.get(position.instrument));
    if (present(state.underlyings.get(instrument.underlying)).epochOpen) return false;
    if (instrument.status === 2n) return true;
    return instrument.rowEpoch > 0n && timeMs - instrument.rowTimeMs <= BigInt(parameters.risk.markAgeMaxMs);
  });
}

/** Value of a lot at a spot move with unchanged volatility, as a numerator over `span`, by its neighbours on the grid. */
function interpolated(row: bigint[], move: bigint, parameters: ParameterSet): { numerator: bigint; span: bigint } {
  const grid = scenariosReference(parameters.risk)
    .map((scenario, s) => ({ ...scenario, value: present(row[s]) }))
    .filter((one) => one.volatility === "unchanged" && !one.damped && one.roll === 0n && one.skew === 0n)
    .sort((a, b) => (a.move < b.move ? -1 : 1));
  const clamped = largestOf(present(grid[0]).move, smallestOf(present(grid[grid.length - 1]).move, move));
  for (let i = 1; i < grid.length; i++) {
    const low = present(grid[i - 1]);
    const high = present(grid[i]);
    if (clamped > high.move) continue;
    const span = high.move - low.move;
    return { numerator: low.value * (high.move - clamped) + high.value * (clamped - low.move), span };
  }
  assert(false, "reference: the grid covers every clamped move");
}

function averageLoss(
  state: ReferenceState,
  cell: ReferenceAccountCell,
  underlying: bigint,
  parameters: ParameterSet,
): bigint {
  const { index, indexAverage } = present(state.underlyings.get(underlying));
  const move = index === 0n ? 0n : ((indexAverage - index) * BILLION) / index;
  let numerator = 0n;
  let span = 1n;
  for (const position of cell.positions) {
    const instrument = present(state.instruments.get(position.instrument));
    if (instrument.underlying !== underlying) continue;
    const value = interpolated(instrument.row, move, parameters);
    numerator += position.size * (value.numerator - present(instrument.row[0]) * value.span);
    span = value.span;
  }
  return smallestOf(0n, floorOf(numerator, span));
}

export function referenceMargin(
  state: ReferenceState,
  cell: ReferenceAccountCell,
  timeMs: bigint,
  parameters: ParameterSet,
): ReferenceMargin {
  const { risk } = parameters;
  const scenarioCount = scenariosReference(risk).length;
  const held = cell.positions.map((position) => ({
    ...position,
    cell: present(state.instruments.get(position.instrument)),
  }));
  let pending = 0n;
  let value = 0n;
  let addOns = 0n;
  for (const one of held) {
    pending += pendingOf(one.cell, one.size, one.fundingIndex);
    value += one.size * present(one.cell.row[0]);
    addOns += largestOf(-one.size, 0n) * one.cell.shortAddOn + largestOf(one.size, 0n) * one.cell.longAddOn;
    const threshold = BigInt(isOption(one.cell) ? risk.optionConcentrationLots : risk.linearConcentrationLots);
    addOns += largestOf(sizeOf(one.size) - threshold, 0n) * one.cell.concentrationAddOn;
  }
  const equity = cell.cash + pending + value;
  let equityAverage = equity;
  let scenario = 0n;
  for (const underlying of new Set(held.map((one) => one.cell.underlying))) {
    let worst = 0n;
    for (let s = 0; s < scenarioCount; s++) {
      let result = 0n;
      for (const one of held) {
        if (one.cell.underlying === underlying)
          result += one.size * (present(one.cell.row[s]) - present(one.cell.row[0]));
      }
      worst = smallestOf(worst, result);
    }
    scenario -= worst;
    equityAverage += averageLoss(state, cell, underlying, parameters);
  }
  const initial = scenario + addOns;
  const usable = areMarksUsable(state, cell, timeMs, parameters);
  const free = smallestOf(equity - initial, equityAverage - initial, cell.cash, cell.cash + pending);
  return {
    equity,
    equityAverage,
    pending,
    initial,
    maintenance: ceilOf(scenario * BigInt(risk.maintenanceFactorPpb), BILLION) + addOns,
    withdrawable: usable && cell.credit === 0n ? largestOf(0n, free) : 0n,
    usable,
  };
}
