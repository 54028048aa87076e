import { readFileSync } from "node:fs";
import { join } from "node:path";
import type {
  InstrumentNumber,
  MicroUsd,
  MicroUsdc,
  PartsPerBillion,
  TimestampMs,
  UnderlyingNumber,
} from "@tidemark/num";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ROW_LENGTH, ROW_VALUE_BOUND } from "../src/limits.ts";
import { DEFAULT_RISK_PARAMETERS, type RiskParameters, SCENARIO_COUNT } from "../src/risk/parameters.ts";
import { computeRowReference } from "../src/risk/rows.reference.ts";
import { computeRow, lotChargesOf, RowPricer, RowRefusal, SURFACE_RANGE, YEAR_MS } from "../src/risk/rows.ts";
import type { ExpirySurface, InstrumentCell, InstrumentKind, UnderlyingCell } from "../src/types.ts";

const DAY_MS = 86_400_000;
const NOW_MS = 1_760_000_000_000;
const WINDOW_MS = DEFAULT_RISK_PARAMETERS.averagingWindowMs;
type Plain<T> = { [K in keyof T]: T[K] extends number ? number : T[K] };

function instrumentOf(kind: InstrumentKind, strike: number, expiryMs: number, lotNanoCoin: number): InstrumentCell {
  return {
    kind,
    underlying: 0 as UnderlyingNumber,
    status: 1,
    expiryMs: expiryMs as TimestampMs,
    strike: strike as MicroUsd,
    lotNanoCoin,
    tickMicroUsd: 10_000,
    tickValueMicroUsdc: 100,
    fundingIndex: 0,
    settlementPerLot: 0 as MicroUsdc,
    clearingPosition: 0,
    clearingCash: 0 as MicroUsdc,
    rowEpoch: 0,
    rowTimeMs: 0 as TimestampMs,
    row: [],
    shortAddOn: 0,
    longAddOn: 0,
    concentrationAddOn: 0,
    feePerLot: 0,
  };
}

function underlyingOf(index: number, premiumEma: number, surfaces: Plain<ExpirySurface>[]): UnderlyingCell {
  return {
    epoch: 1,
    epochOpen: true,
    reportMs: NOW_MS as TimestampMs,
    index: index as MicroUsd,
    indexAverage: index as MicroUsd,
    premiumEma: premiumEma as PartsPerBillion,
    perpetual: 0 as InstrumentNumber,
    hasPerpetual: true,
    surfaces: surfaces as ExpirySurface[],
  };
}

const BTC = { index: 67_000_000_000, lot: 10_000_000 };
function surfaceOf(leftMs: number, changes: Partial<Plain<ExpirySurface>> = {}): Plain<ExpirySurface> {
  const realisedAverage = leftMs < WINDOW_MS ? BTC.index : 0;
  const svi = { a: 120_000_000, b: 400_000_000, rho: -200_000_000, m: 20_000_000, s: 250_000_000 };
  return { expiryMs: NOW_MS + leftMs, forward: 67_300_000_000, realisedAverage, ...svi, ...changes };
}

interface RowCase {
  kind: InstrumentKind;
  strike: string;
  expiryMs: string;
  lotNanoCoin: string;
  underlying: { index: string; premiumEma: string; reportMs: string };
  surface: Record<keyof ExpirySurface, string>;
  row: string[];
}

test("rows against the independent high-precision vectors", () => {
  const path = join(import.meta.dirname, "../../../vectors/rows/rows.json");
  const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: RowCase[] };
  const out = new Float64Array(ROW_LENGTH);
  let worst = 0;
  const kinds = new Set<number>();
  for (const [i, one] of cases.entries()) {
    const surface = Object.fromEntries(Object.entries(one.surface).map(([name, text]) => [name, Number(text)]));
    const underlying = underlyingOf(Number(one.underlying.index), Number(one.underlying.premiumEma), [
      surface as unknown as Plain<ExpirySurface>,
    ]);
    const instrument = instrumentOf(one.kind, Number(one.strike), Number(one.expiryMs), Number(one.lotNanoCoin));
    expect(Number(one.underlying.reportMs)).toBe(NOW_MS);
    expect(computeRow(instrument, underlying, DEFAULT_RISK_PARAMETERS, out, 0), `case ${i}`).toBe(RowRefusal.none);
    expect(one.row.length).toBe(SCENARIO_COUNT);
    kinds.add(one.kind);
    const forwardPerLot = (Number(one.surface.forward) * Number(one.lotNanoCoin)) / 1e9;
    one.row.forEach((expected, s) => {
      const error = Math.abs((out[s] as number) - Number(expected));
      worst = Math.max(worst, (error - 1) / forwardPerLot);
      // One unit for the final floor, 8/4096 for the floors in lot units before it.
      expect(error, `case ${i} scenario ${s}: ${out[s]} against ${expected}`).toBeLessThanOrEqual(
        1 + 8 / 4096 + 1e-9 * forwardPerLot,
      );
    });
  }
  console.log(`${cases.length} rows: worst error beyond one micro-USDC is ${worst.toExponential(2)} of the forward`);
  expect(kinds.size).toBe(4);
});

const ppb = (low: number, high: number) => fc.integer({ min: low, max: high });
const leftMs = fc.oneof(
  fc.constantFrom(
    -5,
    0,
    1,
    999,
    WINDOW_MS - 1,
    WINDOW_MS,
    WINDOW_MS + 1,
    DAY_MS,
    30 * DAY_MS - 1,
    30 * DAY_MS,
    4 * YEAR_MS,
    4 * YEAR_MS + 1,
  ),
  fc.integer({ min: 0, max: 2 * WINDOW_MS }),
  fc.integer({ min: 0, max: 4 * YEAR_MS }),
);
const positiveLog = (low: number, high: number) =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map((x) => Math.max(1, Math.floor(Math.exp(x))));
const world = fc.record({
  index: fc.oneof(positiveLog(1e9, 2e11), positiveLog(1, 2 ** 50 - 1)),
  basis: fc.double({ min: -0.4, max: 0.4, noNaN: true }),
  logMoneyness: fc.oneof(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: -18, max: 18, noNaN: true })),
  lot: fc.oneof(fc.constantFrom(10_000_000, 100_000, 100_000_000, 1_000_000), positiveLog(1, 2 ** 40)),
  left: leftMs,
  premiumEma: ppb(-1e9, 1e9),
  realised: fc.double({ min: 0.5, max: 1.5, noNaN: true }),
  a: fc.oneof(
    ppb(0, 1e9),
    fc.maxSafeInteger().map((x) => x % (SURFACE_RANGE.a + 1)),
  ),
  b: fc.oneof(
    ppb(0, 2e9),
    fc.maxSafeInteger().map((x) => Math.abs(x) % (SURFACE_RANGE.b + 1)),
  ),
  rho: ppb(-1e9, 1e9),
  m: fc.oneof(
    ppb(-3e8, 3e8),
    fc.maxSafeInteger().map((x) => x % (SURFACE_RANGE.m + 1)),
  ),
  s: fc.oneof(
    ppb(0, 1e9),
    fc.maxSafeInteger().map((x) => Math.abs(x) % (SURFACE_RANGE.s + 1)),
  ),
});
const extremeParameters: RiskParameters = {
  ...DEFAULT_RISK_PARAMETERS,
  spotMovesPpb: [0, -900_000_000, -500_000_000, -1, 1, 160_000_000, 1_000_000_000, 5_000_000_000, 10_000_000_000],
  volatilityUpPpb: 800_000_000,
  volatilityDownPpb: 1_000_000_000,
  volatilityReferenceDays: 31,
  volatilityPowerShortPpb: 500_000_000,
  volatilityMinPpb: 1_000_000,
  skewPpb: 900_000_000,
  rollPpbPerYear: 200_000_000,
};

test("fast rows equal the reference, are in range, and are refused together with it", () => {
  const out = new Float64Array(ROW_LENGTH + 2);
  const counts = { priced: 0, refused: 0 };
  fc.assert(
    fc.property(world, fc.constantFrom<InstrumentKind>(1, 2, 3, 4), fc.boolean(), (w, kind, extreme) => {
      const parameters = extreme ? extremeParameters : DEFAULT_RISK_PARAMETERS;
      const forward = Math.max(1, Math.min(2 ** 50 - 1, Math.floor(w.index * (1 + w.basis))));
      const strike = Math.max(1, Math.min(2 ** 50 - 1, Math.floor(forward * Math.exp(w.logMoneyness))));
      const average = Math.min(2 ** 50 - 1, Math.floor(w.index * w.realised));
      const surface = surfaceOf(w.left, {
        forward,
        realisedAverage: w.left < WINDOW_MS ? average : 0,
        a: w.a,
        b: w.b,
        rho: w.rho,
        m: w.m,
        s: w.s,
      });
      const underlying = underlyingOf(w.index, w.premiumEma, [surfaceOf(1e12), surface]);
      const instrument = instrumentOf(kind, kind > 2 ? strike : 0, kind === 1 ? 0 : surface.expiryMs, w.lot);
      out.fill(-7);
      const refusal = computeRow(instrument, underlying, parameters, out, 1);
      const reference = computeRowReference(instrument, underlying, parameters);
      if (reference === null) {
        counts.refused += 1;
        expect(refusal).not.toBe(RowRefusal.none);
        expect(out.every((value) => value === -7)).toBe(true);
        return;
      }
      counts.priced += 1;
      expect(refusal).toBe(RowRefusal.none);
      expect(Array.from(out.subarray(1, 1 + SCENARIO_COUNT), BigInt)).toEqual(reference);
      expect([out[0], out[1 + SCENARIO_COUNT], out[1 + ROW_LENGTH]]).toEqual([-7, 0, -7]);
      for (const value of reference) expect(value >= 0n && value < BigInt(ROW_VALUE_BOUND)).toBe(true);
    }),
    { numRuns: 3000 },
  );
  console.log(`rows compared: ${counts.priced} priced, ${counts.refused} refused by both`);
  expect(counts.priced).toBeGreaterThan(1000);
  expect(counts.refused).toBeGreaterThan(50);
});

test("each refusal is reached and says why", () => {
  const out = new Float64Array(ROW_LENGTH);
  const left = 10 * DAY_MS;
  const refusalOf = (instrument: InstrumentCell, surfaces = [surfaceOf(left)], index = BTC.index) =>
    computeRow(instrument, underlyingOf(index, 0, surfaces), DEFAULT_RISK_PARAMETERS, out, 0);
  const call = (strike: number, lot = BTC.lot) => instrumentOf(3, strike, NOW_MS + left, lot);
  expect(refusalOf(call(BTC.index))).toBe(RowRefusal.none);
  expect(refusalOf(instrumentOf(0, 0, 0, BTC.lot))).toBe(RowRefusal.kindWithoutRow);
  expect(refusalOf(call(BTC.index), [])).toBe(RowRefusal.noSurface);
  expect(refusalOf(instrumentOf(3, BTC.index, NOW_MS + 5 * YEAR_MS, BTC.lot), [surfaceOf(5 * YEAR_MS)])).toBe(
    RowRefusal.horizon,
  );
  for (const name of ["a", "b", "rho", "m", "s"] as const) {
    expect(refusalOf(call(BTC.index), [surfaceOf(left, { [name]: SURFACE_RANGE[name] })])).toBe(RowRefusal.none);
    expect(refusalOf(call(BTC.index), [surfaceOf(left, { [name]: SURFACE_RANGE[name] + 1 })]), name).toBe(
      RowRefusal.surface,
    );
  }
  expect(refusalOf(call(BTC.index), [surfaceOf(left, { b: -1 })])).toBe(RowRefusal.surface);
  expect(refusalOf(call(BTC.index), [surfaceOf(left, { a: Number.NaN })])).toBe(RowRefusal.surface);
  const closing = instrumentOf(4, BTC.index, NOW_MS + 60_000, BTC.lot);
  expect(refusalOf(closing, [surfaceOf(60_000)])).toBe(RowRefusal.none);
  expect(refusalOf(closing, [surfaceOf(60_000, { realisedAverage: 0 })])).toBe(RowRefusal.realisedAverage);
  expect(refusalOf(call(0))).toBe(RowRefusal.lotValue);
  expect(refusalOf(call(BTC.index, 2 ** 40 + 1))).toBe(RowRefusal.lotValue);
  expect(refusalOf(call(2 ** 50 - 1, 2 ** 40))).toBe(RowRefusal.lotValue);
  expect(refusalOf(instrumentOf(1, 0, 0, BTC.lot), [], 0)).toBe(RowRefusal.lotValue);
  expect(refusalOf(call(1_000, 1_000_000_000))).toBe(RowRefusal.moneyness);
  // Inside the limit at the mark, outside in one tail: up for the low strike, down for the high one.
  for (const [strike, forward] of [
    [2 ** 17, 2 ** 40],
    [2 ** 40, 2 ** 17],
  ] as const) {
    expect(refusalOf(call(strike, 1_000_000), [surfaceOf(left, { forward })]), `${strike}`).toBe(RowRefusal.moneyness);
    const inside = forward > strike ? forward / 8 : forward * 8;
    expect(refusalOf(call(strike, 1_000_000), [surfaceOf(left, { forward: inside })]), `${strike}`).toBe(
      RowRefusal.none,
    );
  }
});

test("structure: parity, calls rise with the spot, mark first, tails damped, perpetual flat in roll and skew", () => {
  const left = 45 * DAY_MS;
  const underlying = underlyingOf(BTC.index, 3_000_000, [surfaceOf(left)]);
  const rowOf = (kind: InstrumentKind, strike: number) => {
    const out = new Float64Array(ROW_LENGTH);
    const expiryMs = kind === 1 ? 0 : NOW_MS + left;
    expect(computeRow(instrumentOf(kind, strike, expiryMs, BTC.lot), underlying, DEFAULT_RISK_PARAMETERS, out, 0)).toBe(
      0,
    );
    return out as Float64Array & Record<number, number>;
  };
  const strike = 70_000_000_000;
  const [call, put, future, perpetual] = [rowOf(3, strike), rowOf(4, strike), rowOf(2, 0), rowOf(1, 0)];
  for (let s = 0; s < SCENARIO_COUNT; s++) {
    // C − P = F − K in every scenario, damped tails included: their linear part is damped alike. Floors: ≤ 2.
    const strikeLot = (strike * BTC.lot) / 1e9;
    expect(Math.abs(call[s]! - put[s]! - (future[s]! - strikeLot)), `scenario ${s}`).toBeLessThanOrEqual(2);
  }
  const bySpot = DEFAULT_RISK_PARAMETERS.spotMovesPpb
    .map((move, j) => [move, call[3 * j]!] as const)
    .sort((a, b) => a[0] - b[0]);
  for (let j = 1; j < bySpot.length; j++) expect(bySpot[j]![1]).toBeGreaterThan(bySpot[j - 1]![1]);
  expect(call[1]!).toBeGreaterThan(call[0]!);
  expect(call[2]!).toBeLessThan(call[0]!);
  expect(perpetual[0]).toBe(672_010_000);
  expect(perpetual.subarray(35, 39).every((value) => value === perpetual[0])).toBe(true);
  // +500% damped by 16%/500% is +16%.
  expect(Math.abs(perpetual[34]! - perpetual[0]! * 1.16)).toBeLessThanOrEqual(2);
  expect(Math.abs(future[35]! - future[0]! * 1.01)).toBeLessThanOrEqual(2);
});

test("an option at expiry is worth its intrinsic value of the realised average in every scenario", () => {
  const out = new Float64Array(ROW_LENGTH);
  const realisedAverage = 66_500_000_000;
  const underlying = underlyingOf(BTC.index, 0, [surfaceOf(0, { realisedAverage })]);
  expect(
    computeRow(instrumentOf(4, 70_000_000_000, NOW_MS, BTC.lot), underlying, DEFAULT_RISK_PARAMETERS, out, 0),
  ).toBe(0);
  expect(out.subarray(0, SCENARIO_COUNT).every((value) => value === 35_000_000)).toBe(true);
});

test("charges per lot are rounded up and follow the kind", () => {
  const index = 67_000_000_001;
  const charges = lotChargesOf(instrumentOf(3, 1, NOW_MS, 10_000_000), index, DEFAULT_RISK_PARAMETERS);
  expect(charges).toEqual({ shortAddOn: 3_350_001, longAddOn: 0, concentrationAddOn: 13_400_001, feePerLot: 201_001 });
  const linear = lotChargesOf(instrumentOf(1, 0, 0, 100_000), index, DEFAULT_RISK_PARAMETERS);
  expect(linear).toEqual({ shortAddOn: 13_401, longAddOn: 13_401, concentrationAddOn: 134_001, feePerLot: 2_011 });
  expect(lotChargesOf(instrumentOf(1, 0, 0, 2 ** 40), 2 ** 49, DEFAULT_RISK_PARAMETERS)).toBeNull();
});

test("400 rows with shared preparation stay well under 50 ms", () => {
  const pricer = new RowPricer(DEFAULT_RISK_PARAMETERS);
  const lefts = Array.from({ length: 10 }, (_, i) => (3 + 30 * i) * DAY_MS);
  const underlying = underlyingOf(
    BTC.index,
    0,
    lefts.map((left) => surfaceOf(left)),
  );
  const instruments = lefts.flatMap((left) =>
    Array.from({ length: 40 }, (_, i) =>
      instrumentOf(i % 2 === 0 ? 3 : 4, (30 + 2 * i) * 1_000_000_000, NOW_MS + left, BTC.lot),
    ),
  );
  const out = new Float64Array(ROW_LENGTH);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    const start = performance.now();
    let prepared = 0;
    for (const instrument of instruments) {
      if (instrument.expiryMs !== prepared) {
        expect(pricer.prepare(underlying, instrument.expiryMs, BTC.lot)).toBe(RowRefusal.none);
        prepared = instrument.expiryMs;
      }
      if (pricer.price(instrument, out, 0) !== RowRefusal.none) expect.unreachable("refused");
    }
    best = Math.min(best, performance.now() - start);
  }
  console.log(`400 rows of ${SCENARIO_COUNT} scenarios: ${best.toFixed(2)} ms`);
  expect(best).toBeLessThan(50);
});
