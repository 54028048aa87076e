// The venue's risk parameters: one versioned schema of plain integers that another protocol can read and check. One table
// gives every scalar's range, so that validation, encoding and decoding cannot disagree about the fields or their order.
import { type ByteReader, type ByteWriter, DecodeError } from "@tidemark/num";
import type { InstrumentKind } from "../types.ts";
import { InstrumentKind as Kind } from "../types.ts";

export const RISK_PARAMETERS_VERSION = 1;
export const SPOT_MOVE_COUNT = 9;
export const TAIL_MOVE_COUNT = 8;
export const ROLL_SCENARIO_COUNT = 2;
export const SKEW_SCENARIO_COUNT = 2;
/** Volatility unchanged, up, down. */
export const VOLATILITY_MOVE_COUNT = 3;
/** First index of each group in a row; the spot move j under volatility move m is scenario 3·j + m. */
export const TAIL_SCENARIO_FIRST = SPOT_MOVE_COUNT * VOLATILITY_MOVE_COUNT;
export const ROLL_SCENARIO_FIRST = TAIL_SCENARIO_FIRST + TAIL_MOVE_COUNT;
export const SKEW_SCENARIO_FIRST = ROLL_SCENARIO_FIRST + ROLL_SCENARIO_COUNT;
export const SCENARIO_COUNT = SKEW_SCENARIO_FIRST + SKEW_SCENARIO_COUNT;

/** ppb = parts per billion. Ranges: SCALAR_RANGES. */
export interface RiskParameters {
  version: number;
  /** First 0, then the others strictly increasing. Relative moves of the spot, crossed with three volatility moves. */
  spotMovesPpb: number[];
  /** Strictly increasing, each at least tailDampingPpb in size. Volatility up; profit and loss damped. */
  tailMovesPpb: number[];
  /** A tail counts with weight tailDampingPpb / |move|. */
  tailDampingPpb: number;
  /** σ·(1 + up·(reference/max(days, 1))^power) and σ·(1 − down·…), power by whether days < reference. */
  volatilityUpPpb: number;
  volatilityDownPpb: number;
  volatilityReferenceDays: number;
  volatilityPowerShortPpb: number;
  volatilityPowerLongPpb: number;
  /** A shocked-up volatility is at least this. */
  volatilityUpFloorPpb: number;
  volatilityMinPpb: number;
  /** Cap of the surface's volatility, and of a shocked one. */
  volatilityBaseMaxPpb: number;
  volatilityShockedMaxPpb: number;
  /** Roll scenarios: forward·(1 ± max(rollPerYear·T, rollMin)). */
  rollPpbPerYear: number;
  rollMinPpb: number;
  /** Skew scenarios: σ·(1 ± skew·clamp(ln(K/F)/skewSpan, −1, 1)). */
  skewPpb: number;
  skewSpanPpb: number;
  /** Length of the average of the index that settles futures and options. */
  averagingWindowMs: number;
  /** Maintenance requirement per initial requirement, scenario part. */
  maintenanceFactorPpb: number;
  /** Add-ons per lot, of the index value of the lot. */
  optionShortAddOnPpb: number;
  optionLongAddOnPpb: number;
  /** Perpetuals and futures, either side. */
  linearAddOnPpb: number;
  /** Add-on per lot beyond the threshold. */
  concentrationPpb: number;
  optionConcentrationLots: number;
  linearConcentrationLots: number;
  /** Perpetual mark = index·(1 + clamp(premium average, ±premiumClamp)). */
  premiumClampPpb: number;
  premiumTimeConstantMs: number;
  indexAverageTimeConstantMs: number;
  /** Funding rate per period: max(dead band, premium) + min(−dead band, premium), then clamped to ± cap. */
  fundingDeadBandPpb: number;
  fundingCapPpb: number;
  fundingPeriodMs: number;
  /** Of the index value of the lot. An option's fee is also at most price / optionFeePriceDivisor. */
  takerFeePpb: number;
  makerFeePpb: number;
  optionFeePriceDivisor: number;
  /** Older rows no longer carry margin decisions. */
  markAgeMaxMs: number;
  /** Liquidation ends at the initial requirement; penalty and price bound are shares of the index value of the lot. */
  liquidationPenaltyPpb: number;
  liquidationBoundPpb: number;
  /** Index value that one liquidation cycle may close, unless it is a single lot. */
  liquidationSliceMicroUsdc: number;
  /** An auction's price falls for that long, and is open for as long again. */
  auctionDurationMs: number;
  /** Most finality credit: share of the insurance's cash less bad debt, and micro-USDC an account. */
  creditPoolFactorPpb: number;
  creditAccountMaxMicroUsdc: number;
}

type ScalarName = Exclude<keyof RiskParameters, "version" | "spotMovesPpb" | "tailMovesPpb">;
const BILLION = 1_000_000_000;
const DAY_MS = 86_400_000;
const INT32 = 2 ** 31 - 1;

/**
 * In the order of the encoding. The volatility ranges carry the overflow bounds of rows.ts: base σ ≤ 5 and an up factor ≤
 * 1 + 0.8·31^0.5 < 5.46 keep the product below 27.3 at scale 2^48, and σ·√T ≤ 10·2 below 2^53.
 */
export const SCALAR_RANGES: readonly (readonly [ScalarName, number, number])[] = [
  ["tailDampingPpb", 1, BILLION],
  ["volatilityUpPpb", 0, 800_000_000],
  ["volatilityDownPpb", 0, BILLION],
  ["volatilityReferenceDays", 1, 31],
  ["volatilityPowerShortPpb", 0, 500_000_000],
  ["volatilityPowerLongPpb", 0, 500_000_000],
  ["volatilityUpFloorPpb", 0, 5 * BILLION],
  ["volatilityMinPpb", 1_000_000, BILLION],
  ["volatilityBaseMaxPpb", BILLION, 5 * BILLION],
  ["volatilityShockedMaxPpb", 5 * BILLION, 10 * BILLION],
  ["rollPpbPerYear", 0, 200_000_000],
  ["rollMinPpb", 0, 200_000_000],
  ["skewPpb", 0, 900_000_000],
  ["skewSpanPpb", 10_000_000, 8 * BILLION],
  ["averagingWindowMs", 1000, DAY_MS],
  ["maintenanceFactorPpb", 1, BILLION],
  ["optionShortAddOnPpb", 0, BILLION],
  ["optionLongAddOnPpb", 0, BILLION],
  ["linearAddOnPpb", 0, BILLION],
  ["concentrationPpb", 0, BILLION],
  ["optionConcentrationLots", 0, INT32],
  ["linearConcentrationLots", 0, INT32],
  ["premiumClampPpb", 0, 500_000_000],
  ["premiumTimeConstantMs", 1, DAY_MS],
  ["indexAverageTimeConstantMs", 1, 30 * DAY_MS],
  ["fundingDeadBandPpb", 0, BILLION],
  ["fundingCapPpb", 0, BILLION],
  ["fundingPeriodMs", 60_000, 30 * DAY_MS],
  ["takerFeePpb", 0, 100_000_000],
  ["makerFeePpb", 0, 100_000_000],
  ["optionFeePriceDivisor", 1, 1000],
  ["markAgeMaxMs", 1000, DAY_MS],
  ["liquidationPenaltyPpb", 0, 500_000_000],
  ["liquidationBoundPpb", 0, BILLION],
  ["liquidationSliceMicroUsdc", 1, 2 ** 50],
  ["auctionDurationMs", 1000, DAY_MS],
  ["creditPoolFactorPpb", 0, BILLION],
  ["creditAccountMaxMicroUsdc", 0, 2 ** 50],
];

/**
 * Tails pair a fall with the rise that undoes it (−33% and +50%, −50% and +100%, −66% and +200%); −25% and +500% bound the
 * list. Roll, volatility and funding shapes follow published portfolio-margin rules of the large options venues.
 */
export const DEFAULT_RISK_PARAMETERS: RiskParameters = {
  version: RISK_PARAMETERS_VERSION,
  spotMovesPpb: [0, -160, -120, -80, -40, 40, 80, 120, 160].map((perMille) => perMille * 1_000_000),
  tailMovesPpb: [-660, -500, -330, -250, 500, 1000, 2000, 5000].map((perMille) => perMille * 1_000_000),
  tailDampingPpb: 160_000_000,
  volatilityUpPpb: 500_000_000,
  volatilityDownPpb: 250_000_000,
  volatilityReferenceDays: 30,
  volatilityPowerShortPpb: 300_000_000,
  volatilityPowerLongPpb: 130_000_000,
  volatilityUpFloorPpb: 500_000_000,
  volatilityMinPpb: 50_000_000,
  volatilityBaseMaxPpb: 5 * BILLION,
  volatilityShockedMaxPpb: 10 * BILLION,
  rollPpbPerYear: 75_000_000,
  rollMinPpb: 10_000_000,
  skewPpb: 100_000_000,
  skewSpanPpb: 500_000_000,
  averagingWindowMs: 1_800_000,
  maintenanceFactorPpb: 800_000_000,
  optionShortAddOnPpb: 5_000_000,
  optionLongAddOnPpb: 0,
  linearAddOnPpb: 2_000_000,
  concentrationPpb: 20_000_000,
  optionConcentrationLots: 10_000,
  linearConcentrationLots: 1_000_000,
  premiumClampPpb: 5_000_000,
  premiumTimeConstantMs: 30_000,
  indexAverageTimeConstantMs: 600_000,
  fundingDeadBandPpb: 250_000,
  fundingCapPpb: 5_000_000,
  fundingPeriodMs: 8 * 3_600_000,
  takerFeePpb: 300_000,
  makerFeePpb: 100_000,
  optionFeePriceDivisor: 8,
  markAgeMaxMs: 120_000,
  liquidationPenaltyPpb: 5_000_000,
  liquidationBoundPpb: 20_000_000,
  liquidationSliceMicroUsdc: 100_000_000_000,
  auctionDurationMs: 300_000,
  creditPoolFactorPpb: 100_000_000,
  creditAccountMaxMicroUsdc: 10_000_000_000,
};

function integerProblem(name: string, value: unknown, low: number, high: number): string | null {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) return `${name}: not an integer`;
  if (value < low || value > high) return `${name}: ${value} is outside ${low} … ${high}`;
  return null;
}

function movesProblems(name: string, value: unknown, count: number, from: number): string[] {
  if (!Array.isArray(value) || value.length !== count) return [`${name}: needs exactly ${count} moves`];
  const moves: unknown[] = value;
  const problems: string[] = [];
  moves.forEach((move, i) => {
    const problem = integerProblem(`${name}[${i}]`, move, -990_000_000, 10 * BILLION);
    if (problem !== null) problems.push(problem);
    else if (i > from && (move as number) <= (moves[i - 1] as number)) problems.push(`${name}[${i}]: not increasing`);
  });
  return problems;
}

/** What is wrong with `value` as RiskParameters, one sentence a problem; empty when it is valid. */
export function riskParameterProblems(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return ["risk parameters: not an object"];
  const record = value as Record<string, unknown>;
  const problems: string[] = [];
  if (record["version"] !== RISK_PARAMETERS_VERSION) problems.push(`version: only ${RISK_PARAMETERS_VERSION} is known`);
  problems.push(...movesProblems("spotMovesPpb", record["spotMovesPpb"], SPOT_MOVE_COUNT, 1));
  problems.push(...movesProblems("tailMovesPpb", record["tailMovesPpb"], TAIL_MOVE_COUNT, 0));
  const known = new Set<string>(["version", "spotMovesPpb", "tailMovesPpb"]);
  for (const [name, low, high] of SCALAR_RANGES) {
    known.add(name);
    const problem = integerProblem(name, record[name], low, high);
    if (problem !== null) problems.push(problem);
  }
  for (const name of Object.keys(record)) if (!known.has(name)) problems.push(`${name}: unknown field`);
  return problems.length > 0 ? problems : relationProblems(value as RiskParameters);
}

function relationProblems(parameters: RiskParameters): string[] {
  const problems: string[] = [];
  const [first, ...others] = parameters.spotMovesPpb;
  if (first !== 0 || others.includes(0)) problems.push("spotMovesPpb: 0 must be first and only there");
  if (parameters.tailMovesPpb.some((move) => Math.abs(move) < parameters.tailDampingPpb)) {
    problems.push("tailMovesPpb: smaller than tailDampingPpb, so that damping would amplify");
  }
  if (parameters.volatilityMinPpb > parameters.volatilityBaseMaxPpb)
    problems.push("volatilityMinPpb: above the maximum");
  if (parameters.fundingDeadBandPpb > parameters.fundingCapPpb)
    problems.push("fundingDeadBandPpb: above fundingCapPpb");
  if (parameters.makerFeePpb > parameters.takerFeePpb) problems.push("makerFeePpb: above takerFeePpb");
  return problems;
}

/** Part of the parameter set's canonical bytes: u16 version, u8 count and i64 moves (spot, then tails), i64 scalars. */
export function encodeRiskParameters(parameters: RiskParameters, writer: ByteWriter): void {
  writer.u16(parameters.version);
  for (const moves of [parameters.spotMovesPpb, parameters.tailMovesPpb]) {
    writer.u8(moves.length);
    for (const move of moves) writer.i64(move);
  }
  for (const [name] of SCALAR_RANGES) writer.i64(parameters[name]);
}

/** @throws DecodeError for bytes that are not a valid set. */
export function decodeRiskParameters(reader: ByteReader): RiskParameters {
  const at = reader.offset;
  const version = reader.u16();
  const spotMovesPpb = Array.from({ length: reader.u8() }, () => reader.i64());
  const tailMovesPpb = Array.from({ length: reader.u8() }, () => reader.i64());
  const scalars = Object.fromEntries(SCALAR_RANGES.map(([name]) => [name, reader.i64()]));
  const parameters = { version, spotMovesPpb, tailMovesPpb, ...scalars } as unknown as RiskParameters;
  const problems = riskParameterProblems(parameters);
  if (problems.length > 0) throw new DecodeError("malformed", at, problems.join("; "));
  return parameters;
}

export function isOption(kind: InstrumentKind): boolean {
  return kind === Kind.call || kind === Kind.put;
}

/** Position size from which the concentration add-on counts. */
export function concentrationLotsOf(parameters: RiskParameters, kind: InstrumentKind): number {
  return isOption(kind) ? parameters.optionConcentrationLots : parameters.linearConcentrationLots;
}

/** Scenario numbers of the spot moves under unchanged volatility, by increasing move: the grid for interpolation. */
export function unchangedVolatilityScenarios(parameters: RiskParameters): { movePpb: number; scenario: number }[] {
  return parameters.spotMovesPpb
    .map((movePpb, j) => ({ movePpb, scenario: VOLATILITY_MOVE_COUNT * j }))
    .sort((a, b) => a.movePpb - b.movePpb);
}
