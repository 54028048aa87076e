// Scenario rows: an instrument's value per lot under every scenario (docs/spec/fixed-point.md has arithmetic and errors).
// rows.reference.ts is the same in bigint and the definition. Values are held in 1/4096 micro-USDC ("lot units"), all below
// 2^52, and rounded down once at the end, so 0 ≤ V < 2^40: a call is worth at most its forward, a put at most its strike, a
// damped tail lies between V0 and the undamped value, and preparation refuses when a forward or strike reaches 2^52.
import {
  assert,
  divQ48,
  expQ48,
  lnQ48,
  mulDivCeilNumber,
  mulDivFloorNumber,
  mulQ48,
  ONE_Q48,
  outOfTheMoneyFromLogQ48,
  RATIO_Q48_MIN,
  sqrtQ48,
} from "@tidemark/num";
import { ROW_LENGTH } from "../limits.ts";
import { type ExpirySurface, type InstrumentCell, InstrumentKind, type UnderlyingCell } from "../types.ts";
import {
  isOption,
  type RiskParameters,
  ROLL_SCENARIO_FIRST,
  SCENARIO_COUNT,
  SKEW_SCENARIO_FIRST,
  SPOT_MOVE_COUNT,
  TAIL_MOVE_COUNT,
  TAIL_SCENARIO_FIRST,
} from "./parameters.ts";

/** Why a row cannot be computed; 0 = it was. */
export const RowRefusal = {
  none: 0,
  kindWithoutRow: 1,
  noSurface: 2,
  /** Expiry further than EXPIRY_HORIZON_MS after the report. */
  horizon: 3,
  /** A surface parameter outside SURFACE_RANGE. */
  surface: 4,
  /** Inside the averaging window without a realised average. */
  realisedAverage: 5,
  /** Index, forward or strike: the value of a lot is 0 or reaches 2^40 micro-USDC in a scenario. */
  lotValue: 6,
  /** Strike and forward differ by a factor above 2^24. */
  moneyness: 7,
} as const;
export type RowRefusal = (typeof RowRefusal)[keyof typeof RowRefusal];

export const YEAR_MS = 365 * 86_400_000;
export const EXPIRY_HORIZON_MS = 4 * YEAR_MS;
/** Largest absolute value of each surface parameter, ppb; b and s are not negative. Bounds of the products in volatility(). */
export const SURFACE_RANGE = { a: 30e9, b: 1000e9, rho: 1e9, m: 4e9, s: 4e9 } as const;
/** A lot is at most 1,024 coins, so that lotNanoCoin · 4096 stays exact. */
export const LOT_NANO_COIN_MAX = 2 ** 40;

const BILLION = 1_000_000_000;
const DAY_MS = 86_400_000;
const LOT_UNIT = 4096;
const LOT_UNITS_LIMIT = 2 ** 52;
const EIGHT = 8 * ONE_Q48;
const VARIANCE_Q46_MAX = 31 * 2 ** 46;
const FORWARD_COUNT = SPOT_MOVE_COUNT + TAIL_MOVE_COUNT + 2;
const ROLL_FORWARD = SPOT_MOVE_COUNT + TAIL_MOVE_COUNT;

/** floor(ppb·2^48 / 1e9). */
function q48OfPpb(ppb: number): number {
  return mulDivFloorNumber(ppb, ONE_Q48, BILLION);
}

/** floor(price·lot·4096 / 1e9) lot units, or −1 outside [1, 2^52). */
function lotUnits(priceMicroUsd: number, lotNanoCoin: number): number {
  const scaledLot = lotNanoCoin * LOT_UNIT;
  // The rounded product only keeps the exact form inside its domain; the exact value decides at the limit.
  if ((priceMicroUsd * scaledLot) / BILLION > 2 * LOT_UNITS_LIMIT - LOT_UNIT) return -1;
  const units = mulDivFloorNumber(priceMicroUsd, scaledLot, BILLION);
  return units >= 1 && units < LOT_UNITS_LIMIT ? units : -1;
}

export function surfaceInRange(surface: ExpirySurface): boolean {
  return (
    Math.abs(surface.a) <= SURFACE_RANGE.a &&
    surface.b >= 0 &&
    surface.b <= SURFACE_RANGE.b &&
    Math.abs(surface.rho) <= SURFACE_RANGE.rho &&
    Math.abs(surface.m) <= SURFACE_RANGE.m &&
    surface.s >= 0 &&
    surface.s <= SURFACE_RANGE.s
  );
}

/**
 * Prices rows of one parameter set. prepare() once for an underlying, expiry and lot, then price() for each instrument of
 * it; buffers are reused and nothing is allocated by price().
 */
export class RowPricer {
  readonly #parameters: RiskParameters;
  readonly #spotFactors: Float64Array;
  readonly #tailFactors: Float64Array;
  readonly #tailMoveSizes: Float64Array;
  readonly #skew: number;
  readonly #skewSpan: number;
  readonly #volatilityMin: number;
  readonly #volatilityBaseMax: number;
  readonly #volatilityShockedMax: number;
  readonly #volatilityUpFloor: number;
  /** Shocked forwards in lot units: spot moves, tails, roll up, roll down. */
  readonly #forwards = new Float64Array(FORWARD_COUNT);
  readonly #values = new Float64Array(SCENARIO_COUNT);
  #prepared = false;
  #expiryMs = 0;
  #lotNanoCoin = 0;
  #forward = 0;
  #rootOfTime = 0;
  #upFactor = 0;
  #downFactor = 0;
  #svi = { a46: 0, b38: 0, rho: 0, m: 0, quarterS: 0 };

  constructor(parameters: RiskParameters) {
    this.#parameters = parameters;
    this.#spotFactors = Float64Array.from(parameters.spotMovesPpb, (move) => BILLION + move);
    this.#tailFactors = Float64Array.from(parameters.tailMovesPpb, (move) => BILLION + move);
    this.#tailMoveSizes = Float64Array.from(parameters.tailMovesPpb, (move) => Math.abs(move));
    this.#skew = q48OfPpb(parameters.skewPpb);
    this.#skewSpan = q48OfPpb(parameters.skewSpanPpb);
    this.#volatilityMin = q48OfPpb(parameters.volatilityMinPpb);
    this.#volatilityBaseMax = q48OfPpb(parameters.volatilityBaseMaxPpb);
    this.#volatilityShockedMax = q48OfPpb(parameters.volatilityShockedMaxPpb);
    this.#volatilityUpFloor = q48OfPpb(parameters.volatilityUpFloorPpb);
  }

  /** For futures and options of `expiryMs`, or for the perpetual (expiryMs 0). */
  prepare(underlying: UnderlyingCell, expiryMs: number, lotNanoCoin: number): RowRefusal {
    this.#expiryMs = expiryMs;
    this.#lotNanoCoin = lotNanoCoin;
    const refusal = this.#prepare(underlying, expiryMs, lotNanoCoin);
    this.#prepared = refusal === RowRefusal.none;
    return refusal;
  }

  #prepare(underlying: UnderlyingCell, expiryMs: number, lotNanoCoin: number): RowRefusal {
    if (lotNanoCoin < 1 || lotNanoCoin > LOT_NANO_COIN_MAX) return RowRefusal.lotValue;
    if (expiryMs === 0) return this.#preparePerpetual(underlying);
    const surface = underlying.surfaces.find((candidate) => candidate.expiryMs === expiryMs);
    if (surface === undefined) return RowRefusal.noSurface;
    if (!surfaceInRange(surface)) return RowRefusal.surface;
    const leftMs = Math.max(0, expiryMs - underlying.reportMs);
    if (leftMs > EXPIRY_HORIZON_MS) return RowRefusal.horizon;
    if (leftMs < this.#parameters.averagingWindowMs && surface.realisedAverage === 0) return RowRefusal.realisedAverage;
    this.#prepareTime(leftMs);
    this.#forward = surface.forward;
    const svi = this.#svi;
    svi.a46 = mulDivFloorNumber(surface.a, 2 ** 46, BILLION);
    svi.b38 = mulDivFloorNumber(surface.b, 2 ** 38, BILLION);
    svi.rho = q48OfPpb(surface.rho);
    svi.m = q48OfPpb(surface.m);
    svi.quarterS = Math.floor(q48OfPpb(surface.s) / 4);
    return this.#prepareForwards(surface, leftMs);
  }

  #preparePerpetual(underlying: UnderlyingCell): RowRefusal {
    const index = lotUnits(underlying.index, this.#lotNanoCoin);
    if (index < 0) return RowRefusal.lotValue;
    const bound = this.#parameters.premiumClampPpb;
    const premium = Math.max(-bound, Math.min(bound, underlying.premiumEma));
    const mark = mulDivFloorNumber(index, BILLION + premium, BILLION);
    return this.#moveForwards(0, mark, 0);
  }

  /** √T and the volatility factors. Before the averaging window the variance time is T − 2W/3, inside it τ³/(3W²). */
  #prepareTime(leftMs: number): void {
    const { averagingWindowMs, volatilityReferenceDays } = this.#parameters;
    if (leftMs >= averagingWindowMs) {
      const years = mulDivFloorNumber(3 * leftMs - 2 * averagingWindowMs, ONE_Q48, 3 * YEAR_MS);
      this.#rootOfTime = sqrtQ48(years);
    } else {
      // √(τ³/(3W²)) = (τ/W)·√(τ/3): the cube itself would vanish in the last second.
      const share = mulDivFloorNumber(leftMs, ONE_Q48, averagingWindowMs);
      this.#rootOfTime = mulQ48(share, sqrtQ48(mulDivFloorNumber(leftMs, ONE_Q48, 3 * YEAR_MS)));
    }
    const referenceMs = volatilityReferenceDays * DAY_MS;
    const { volatilityPowerShortPpb, volatilityPowerLongPpb } = this.#parameters;
    const power = q48OfPpb(leftMs < referenceMs ? volatilityPowerShortPpb : volatilityPowerLongPpb);
    // reference/days ≤ 31 < 32, and |power·ln| ≤ 0.5·3.44 < 3: inside the domains of ln and exp.
    const ratio = mulDivFloorNumber(referenceMs, ONE_Q48, Math.max(leftMs, DAY_MS));
    const scale = expQ48(mulQ48(power, lnQ48(ratio)));
    this.#upFactor = ONE_Q48 + mulQ48(q48OfPpb(this.#parameters.volatilityUpPpb), scale);
    this.#downFactor = Math.max(0, ONE_Q48 - mulQ48(q48OfPpb(this.#parameters.volatilityDownPpb), scale));
  }

  #prepareForwards(surface: ExpirySurface, leftMs: number): RowRefusal {
    const { averagingWindowMs, rollPpbPerYear, rollMinPpb } = this.#parameters;
    const forward = lotUnits(surface.forward, this.#lotNanoCoin);
    if (forward < 0) return RowRefusal.lotValue;
    const years = mulDivFloorNumber(leftMs, ONE_Q48, YEAR_MS);
    const roll = Math.max(mulQ48(q48OfPpb(rollPpbPerYear), years), q48OfPpb(rollMinPpb));
    if (leftMs >= averagingWindowMs) return this.#moveForwards(0, forward, roll);
    const average = lotUnits(surface.realisedAverage, this.#lotNanoCoin);
    if (average < 0) return RowRefusal.lotValue;
    const realised = mulDivFloorNumber(average, averagingWindowMs - leftMs, averagingWindowMs);
    return this.#moveForwards(realised, mulDivFloorNumber(forward, leftMs, averagingWindowMs), roll);
  }

  /** realised + unrealised·(1 + move) for every move. roll ≤ 0.8. */
  #moveForwards(realised: number, unrealised: number, roll: number): RowRefusal {
    const forwards = this.#forwards;
    for (let j = 0; j < SPOT_MOVE_COUNT + TAIL_MOVE_COUNT; j++) {
      const factor = (j < SPOT_MOVE_COUNT ? this.#spotFactors[j] : this.#tailFactors[j - SPOT_MOVE_COUNT]) as number;
      // A factor ≤ 11 could leave the safe range; such a lot is refused below in any case.
      if ((unrealised * factor) / BILLION > 2 * LOT_UNITS_LIMIT - LOT_UNIT) return RowRefusal.lotValue;
      forwards[j] = realised + mulDivFloorNumber(unrealised, factor, BILLION);
    }
    forwards[ROLL_FORWARD] = realised + mulQ48(unrealised, ONE_Q48 + roll);
    forwards[ROLL_FORWARD + 1] = realised + mulQ48(unrealised, ONE_Q48 - roll);
    for (let j = 0; j < FORWARD_COUNT; j++) {
      if (!((forwards[j] as number) >= 1 && (forwards[j] as number) < LOT_UNITS_LIMIT)) return RowRefusal.lotValue;
    }
    return RowRefusal.none;
  }

  /** Writes ROW_LENGTH values to out[offset …] when the result is 0; leaves `out` alone otherwise. */
  price(instrument: InstrumentCell, out: Float64Array, offset: number): RowRefusal {
    const kind = instrument.kind;
    if (kind === InstrumentKind.spot) return RowRefusal.kindWithoutRow;
    assert(
      this.#prepared && instrument.expiryMs === this.#expiryMs && instrument.lotNanoCoin === this.#lotNanoCoin,
      "RowPricer: price() after an accepted prepare() of the same expiry and lot",
    );
    const refusal = isOption(kind)
      ? this.#optionValues(instrument.strike, kind === InstrumentKind.call)
      : this.#linearValues();
    if (refusal !== RowRefusal.none) return refusal;
    const values = this.#values;
    const mark = values[0] as number;
    const damping = this.#parameters.tailDampingPpb;
    for (let j = 0; j < TAIL_MOVE_COUNT; j++) {
      const s = TAIL_SCENARIO_FIRST + j;
      values[s] = mark + mulDivFloorNumber((values[s] as number) - mark, damping, this.#tailMoveSizes[j] as number);
    }
    for (let s = 0; s < SCENARIO_COUNT; s++) out[offset + s] = Math.floor((values[s] as number) / LOT_UNIT);
    for (let s = SCENARIO_COUNT; s < ROW_LENGTH; s++) out[offset + s] = 0;
    return RowRefusal.none;
  }

  #linearValues(): RowRefusal {
    const values = this.#values;
    const forwards = this.#forwards;
    for (let j = 0; j < SPOT_MOVE_COUNT; j++) values.fill(forwards[j] as number, 3 * j, 3 * j + 3);
    for (let j = 0; j < TAIL_MOVE_COUNT; j++) values[TAIL_SCENARIO_FIRST + j] = forwards[SPOT_MOVE_COUNT + j] as number;
    values[ROLL_SCENARIO_FIRST] = forwards[ROLL_FORWARD] as number;
    values[ROLL_SCENARIO_FIRST + 1] = forwards[ROLL_FORWARD + 1] as number;
    values.fill(forwards[0] as number, SKEW_SCENARIO_FIRST, SKEW_SCENARIO_FIRST + 2);
    return RowRefusal.none;
  }

  /** σ of the unshocked surface at log-moneyness k (sticky strike), clamped. */
  #volatility(k: number): number {
    const { a46, b38, rho, m, quarterS } = this.#svi;
    // |k| ≤ 8, |m| ≤ 4 → |z| ≤ 12; quarters keep the squares below 10 at scale 2^48, and wing < 24.7.
    const z = Math.max(-EIGHT, Math.min(EIGHT, k)) - m;
    const quarter = Math.floor(z / 4);
    const root = 4 * sqrtQ48(mulQ48(quarter, quarter) + mulQ48(quarterS, quarterS));
    const wing = Math.max(0, mulQ48(rho, z) + root);
    // wing·b < 24.7·1000·2^38 < 2^53; after the cap the sum stays below 2^53.
    const variance46 = a46 + Math.min(mulQ48(wing, b38), 2 ** 44) * 256;
    const sigma = sqrtQ48(Math.max(0, Math.min(variance46, VARIANCE_Q46_MAX)) * 4);
    return Math.max(this.#volatilityMin, Math.min(sigma, this.#volatilityBaseMax));
  }

  #shocked(sigma: number, factor: number): number {
    return Math.max(this.#volatilityMin, Math.min(mulQ48(sigma, factor), this.#volatilityShockedMax));
  }

  #optionValues(strikeMicroUsd: number, isCall: boolean): RowRefusal {
    const strike = lotUnits(strikeMicroUsd, this.#lotNanoCoin);
    if (strike < 0) return RowRefusal.lotValue;
    const forwards = this.#forwards;
    for (let j = 0; j < FORWARD_COUNT; j++) {
      const forward = forwards[j] as number;
      // Powers of two: both products are exact.
      if (forward > strike * RATIO_Q48_MIN || strike > forward * RATIO_Q48_MIN) return RowRefusal.moneyness;
    }
    const low = Math.min(strikeMicroUsd, this.#forward);
    const ratio = divQ48(low, Math.max(strikeMicroUsd, this.#forward));
    if (ratio < RATIO_Q48_MIN) return RowRefusal.moneyness;
    const k = strikeMicroUsd < this.#forward ? lnQ48(ratio) : -lnQ48(ratio);
    const sigma = this.#volatility(k);
    const root = this.#rootOfTime;
    const unchanged = mulQ48(sigma, root);
    const up = mulQ48(Math.max(this.#shocked(sigma, this.#upFactor), this.#volatilityUpFloor), root);
    const down = mulQ48(this.#shocked(sigma, this.#downFactor), root);
    const clampedK = Math.max(-this.#skewSpan, Math.min(this.#skewSpan, k));
    const tilt = mulQ48(this.#skew, divQ48(clampedK, this.#skewSpan));
    for (let j = 0; j < SPOT_MOVE_COUNT; j++) {
      this.#priceAt(forwards[j] as number, strike, isCall, 3 * j, unchanged, up, down);
    }
    for (let j = 0; j < TAIL_MOVE_COUNT; j++) {
      this.#priceAt(forwards[SPOT_MOVE_COUNT + j] as number, strike, isCall, TAIL_SCENARIO_FIRST + j, up, -1, -1);
    }
    this.#priceAt(forwards[ROLL_FORWARD] as number, strike, isCall, ROLL_SCENARIO_FIRST, unchanged, -1, -1);
    this.#priceAt(forwards[ROLL_FORWARD + 1] as number, strike, isCall, ROLL_SCENARIO_FIRST + 1, unchanged, -1, -1);
    const skewUp = mulQ48(this.#shocked(sigma, ONE_Q48 + tilt), root);
    const skewDown = mulQ48(this.#shocked(sigma, ONE_Q48 - tilt), root);
    this.#priceAt(forwards[0] as number, strike, isCall, SKEW_SCENARIO_FIRST, skewUp, skewDown, -1);
    return RowRefusal.none;
  }

  /** Values under up to three deviations, which share the logarithm; a negative deviation ends the list. */
  #priceAt(forward: number, strike: number, isCall: boolean, at: number, d0: number, d1: number, d2: number): void {
    const high = forward < strike ? strike : forward;
    const ratio = divQ48(forward < strike ? forward : strike, high);
    const logOfRatio = lnQ48(ratio);
    const intrinsic = Math.max(0, isCall ? forward - strike : strike - forward);
    const values = this.#values;
    values[at] = intrinsic + mulQ48(outOfTheMoneyFromLogQ48(ratio, logOfRatio, d0), high);
    if (d1 < 0) return;
    values[at + 1] = intrinsic + mulQ48(outOfTheMoneyFromLogQ48(ratio, logOfRatio, d1), high);
    if (d2 < 0) return;
    values[at + 2] = intrinsic + mulQ48(outOfTheMoneyFromLogQ48(ratio, logOfRatio, d2), high);
  }
}

/** One row with its preparation; RowPricer shares the preparation between the instruments of an expiry. */
export function computeRow(
  instrument: InstrumentCell,
  underlying: UnderlyingCell,
  parameters: RiskParameters,
  out: Float64Array,
  offset: number,
): RowRefusal {
  if (instrument.kind === InstrumentKind.spot) return RowRefusal.kindWithoutRow;
  const pricer = new RowPricer(parameters);
  const refusal = pricer.prepare(underlying, instrument.expiryMs, instrument.lotNanoCoin);
  return refusal === RowRefusal.none ? pricer.price(instrument, out, offset) : refusal;
}

/** Per lot, micro-USDC, each < 2^40 when the instrument's row was computed. */
export interface LotCharges {
  shortAddOn: number;
  longAddOn: number;
  concentrationAddOn: number;
  /** Most that a taker may be charged; an option's fee is also at most its price / optionFeePriceDivisor, per trade. */
  feePerLot: number;
}

/** Index value of a lot, ceil; then each share of it, ceil: against the account. Null when the index value reaches 2^40. */
export function lotChargesOf(instrument: InstrumentCell, index: number, parameters: RiskParameters): LotCharges | null {
  if (instrument.lotNanoCoin > LOT_NANO_COIN_MAX || lotUnits(index, instrument.lotNanoCoin) < 0) return null;
  const value = mulDivCeilNumber(index, instrument.lotNanoCoin, BILLION);
  const option = isOption(instrument.kind);
  const share = (ppb: number): number => mulDivCeilNumber(value, ppb, BILLION);
  return {
    shortAddOn: share(option ? parameters.optionShortAddOnPpb : parameters.linearAddOnPpb),
    longAddOn: share(option ? parameters.optionLongAddOnPpb : parameters.linearAddOnPpb),
    concentrationAddOn: share(parameters.concentrationPpb),
    feePerLot: share(parameters.takerFeePpb),
  };
}
