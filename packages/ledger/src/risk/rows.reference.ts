// The definition of scenario rows, in bigint and without sharing or early exits. rows.ts gives the same integers.
import {
  divQ48Reference as divQ48,
  expQ48Reference as expQ48,
  lnQ48Reference as lnQ48,
  mulDivFloor,
  mulQ48Reference as mulQ48,
  outOfTheMoneyQ48Reference as outOfTheMoneyQ48,
  sqrtQ48Reference as sqrtQ48,
} from "@tidemark/num";
import { type ExpirySurface, type InstrumentCell, InstrumentKind, type UnderlyingCell } from "../types.ts";
import type { RiskParameters } from "./parameters.ts";

const ONE = 1n << 48n;
const BILLION = 1_000_000_000n;
const DAY_MS = 86_400_000n;
const YEAR_MS = 365n * DAY_MS;
const LOT_UNIT = 4096n;
const LOT_UNITS_LIMIT = 1n << 52n;

const largest = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const smallest = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const clamp = (low: bigint, x: bigint, high: bigint): bigint => largest(low, smallest(x, high));
const q48OfPpb = (ppb: number): bigint => mulDivFloor(BigInt(ppb), ONE, BILLION);

interface Scenario {
  /** Relative move in ppb of the unrealised forward, or a roll of ±1. */
  move: bigint;
  roll: bigint;
  volatility: "unchanged" | "up" | "down";
  skew: bigint;
  damped: boolean;
}

/** All scenarios in row order. */
export function scenariosReference(parameters: RiskParameters): Scenario[] {
  const still: Scenario = { move: 0n, roll: 0n, volatility: "unchanged", skew: 0n, damped: false };
  const scenarios: Scenario[] = [];
  for (const move of parameters.spotMovesPpb) {
    for (const volatility of ["unchanged", "up", "down"] as const) {
      scenarios.push({ ...still, move: BigInt(move), volatility });
    }
  }
  for (const move of parameters.tailMovesPpb) {
    scenarios.push({ ...still, move: BigInt(move), volatility: "up", damped: true });
  }
  for (const roll of [1n, -1n]) scenarios.push({ ...still, roll });
  for (const skew of [1n, -1n]) scenarios.push({ ...still, skew });
  return scenarios;
}

function lotUnits(price: number, lotNanoCoin: number): bigint {
  return mulDivFloor(BigInt(price), BigInt(lotNanoCoin) * LOT_UNIT, BILLION);
}

function surfaceVolatility(surface: ExpirySurface, k: bigint, parameters: RiskParameters): bigint {
  const z = clamp(-8n * ONE, k, 8n * ONE) - q48OfPpb(surface.m);
  const quarter = z >> 2n;
  const quarterS = q48OfPpb(surface.s) >> 2n;
  const root = 4n * sqrtQ48(mulQ48(quarter, quarter) + mulQ48(quarterS, quarterS));
  const wing = largest(0n, mulQ48(q48OfPpb(surface.rho), z) + root);
  const slope = mulDivFloor(BigInt(surface.b), 1n << 38n, BILLION);
  const variance46 =
    mulDivFloor(BigInt(surface.a), 1n << 46n, BILLION) + smallest(mulQ48(wing, slope), 1n << 44n) * 256n;
  const sigma = sqrtQ48(clamp(0n, variance46, 31n << 46n) * 4n);
  return clamp(q48OfPpb(parameters.volatilityMinPpb), sigma, q48OfPpb(parameters.volatilityBaseMaxPpb));
}

/** √T: T − 2W/3 before the averaging window, τ³/(3W²) inside. */
function rootOfTime(leftMs: bigint, windowMs: bigint): bigint {
  if (leftMs >= windowMs) return sqrtQ48(mulDivFloor(3n * leftMs - 2n * windowMs, ONE, 3n * YEAR_MS));
  return mulQ48(mulDivFloor(leftMs, ONE, windowMs), sqrtQ48(mulDivFloor(leftMs, ONE, 3n * YEAR_MS)));
}

function shockedVolatility(sigma: bigint, scenario: Scenario, leftMs: bigint, tilt: bigint, p: RiskParameters): bigint {
  const low = q48OfPpb(p.volatilityMinPpb);
  const high = q48OfPpb(p.volatilityShockedMaxPpb);
  if (scenario.skew !== 0n) return clamp(low, mulQ48(sigma, ONE + scenario.skew * tilt), high);
  if (scenario.volatility === "unchanged") return sigma;
  const referenceMs = BigInt(p.volatilityReferenceDays) * DAY_MS;
  const power = q48OfPpb(leftMs < referenceMs ? p.volatilityPowerShortPpb : p.volatilityPowerLongPpb);
  const scale = expQ48(mulQ48(power, lnQ48(mulDivFloor(referenceMs, ONE, largest(leftMs, DAY_MS)))));
  if (scenario.volatility === "down") {
    const factor = largest(0n, ONE - mulQ48(q48OfPpb(p.volatilityDownPpb), scale));
    return clamp(low, mulQ48(sigma, factor), high);
  }
  const factor = ONE + mulQ48(q48OfPpb(p.volatilityUpPpb), scale);
  return largest(clamp(low, mulQ48(sigma, factor), high), q48OfPpb(p.volatilityUpFloorPpb));
}

/** Value of a lot in lot units as a function of the scenario, before damping; null outside the pricing domain. */
function valuation(
  instrument: InstrumentCell,
  underlying: UnderlyingCell,
  p: RiskParameters,
): ((scenario: Scenario) => bigint | null) | null {
  const lot = instrument.lotNanoCoin;
  const inRange = (units: bigint): boolean => units >= 1n && units < LOT_UNITS_LIMIT;
  if (instrument.kind === InstrumentKind.perpetual) {
    const index = lotUnits(underlying.index, lot);
    if (!inRange(index)) return null;
    const premium = clamp(BigInt(-p.premiumClampPpb), BigInt(underlying.premiumEma), BigInt(p.premiumClampPpb));
    const mark = mulDivFloor(index, BILLION + premium, BILLION);
    return ({ move }) => {
      const value = mulDivFloor(mark, BILLION + move, BILLION);
      return inRange(value) ? value : null;
    };
  }
  const surface = underlying.surfaces.find((one) => one.expiryMs === instrument.expiryMs);
  if (surface === undefined) return null;
  const leftMs = largest(0n, BigInt(instrument.expiryMs - underlying.reportMs));
  const windowMs = BigInt(p.averagingWindowMs);
  if (leftMs > 4n * YEAR_MS || (leftMs < windowMs && surface.realisedAverage === 0)) return null;
  const inWindow = leftMs < windowMs;
  const full = lotUnits(surface.forward, lot);
  const average = inWindow ? lotUnits(surface.realisedAverage, lot) : 1n;
  if (!inRange(full) || !inRange(average)) return null;
  const realised = inWindow ? mulDivFloor(average, windowMs - leftMs, windowMs) : 0n;
  const unrealised = inWindow ? mulDivFloor(full, leftMs, windowMs) : full;
  const years = mulDivFloor(leftMs, ONE, YEAR_MS);
  const roll = largest(mulQ48(q48OfPpb(p.rollPpbPerYear), years), q48OfPpb(p.rollMinPpb));
  const forwardOf = (scenario: Scenario): bigint =>
    scenario.roll === 0n
      ? realised + mulDivFloor(unrealised, BILLION + scenario.move, BILLION)
      : realised + mulQ48(unrealised, ONE + scenario.roll * roll);
  const isCall = instrument.kind === InstrumentKind.call;
  if (instrument.kind === InstrumentKind.future) {
    return (scenario) => (inRange(forwardOf(scenario)) ? forwardOf(scenario) : null);
  }
  const strike = lotUnits(instrument.strike, lot);
  const ratioOf = (a: bigint, b: bigint): bigint => divQ48(smallest(a, b), largest(a, b));
  const baseRatio = ratioOf(BigInt(instrument.strike), BigInt(surface.forward));
  if (!inRange(strike) || baseRatio < 1n << 24n) return null;
  const k = instrument.strike < surface.forward ? lnQ48(baseRatio) : -lnQ48(baseRatio);
  const sigma = surfaceVolatility(surface, k, p);
  const span = q48OfPpb(p.skewSpanPpb);
  const tilt = mulQ48(q48OfPpb(p.skewPpb), divQ48(clamp(-span, k, span), span));
  return (scenario) => {
    const forward = forwardOf(scenario);
    if (!inRange(forward) || ratioOf(forward, strike) < 1n << 24n) return null;
    const deviation = mulQ48(shockedVolatility(sigma, scenario, leftMs, tilt, p), rootOfTime(leftMs, windowMs));
    const time = mulQ48(outOfTheMoneyQ48(ratioOf(forward, strike), deviation), largest(forward, strike));
    return largest(0n, isCall ? forward - strike : strike - forward) + time;
  };
}

/** SCENARIO_COUNT values, micro-USDC per lot (floor), or null where computeRow refuses (surface ranges aside). */
export function computeRowReference(
  instrument: InstrumentCell,
  underlying: UnderlyingCell,
  parameters: RiskParameters,
): bigint[] | null {
  if (instrument.kind === InstrumentKind.spot) return null;
  const valueIn = valuation(instrument, underlying, parameters);
  if (valueIn === null) return null;
  const scenarios = scenariosReference(parameters);
  const raw = scenarios.map(valueIn);
  const mark = raw[0];
  const row: bigint[] = [];
  for (const [s, scenario] of scenarios.entries()) {
    const value = raw[s];
    if (value === null || value === undefined || mark === null || mark === undefined) return null;
    const size = scenario.move < 0n ? -scenario.move : scenario.move;
    const damped = scenario.damped ? mark + mulDivFloor(value - mark, BigInt(parameters.tailDampingPpb), size) : value;
    row.push(damped >> 12n);
  }
  return row;
}
