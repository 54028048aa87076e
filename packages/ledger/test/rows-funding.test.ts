import fc from "fast-check";
import { expect, test } from "vitest";
import {
  applyReport,
  emaTrunc,
  fundingIncrementFloor,
  fundingPaymentFloor,
  fundingRatePpb,
} from "../src/risk/funding.ts";
import { DEFAULT_RISK_PARAMETERS as parameters } from "../src/risk/parameters.ts";

const HOUR_MS = 3_600_000;

test("funding rate: dead band, slope one, cap", () => {
  const cases: [number, number][] = [
    [0, 0],
    [250_000, 0],
    [-250_000, 0],
    [250_001, 1],
    [-250_001, -1],
    [1_000_000, 750_000],
    [5_250_000, 5_000_000],
    [900_000_000, 5_000_000],
    [-900_000_000, -5_000_000],
  ];
  for (const [premium, rate] of cases) expect(fundingRatePpb(premium, parameters), `${premium}`).toBe(rate);
});

test("a premium of 0.1% over eight hours costs a long 0.075% of the index value", () => {
  const increment = fundingIncrementFloor(50_000_000_000, 100_000, 1_000_000, 8 * HOUR_MS, parameters);
  // 0.0001 coin · 50,000 USD · 0.075% = 3,750 micro-USDC per lot.
  expect(increment).toBe(3_750n << 20n);
  expect(fundingPaymentFloor(10_000, 0, Number(increment))).toBe(-37_500_000);
  expect(fundingPaymentFloor(-10_000, 0, Number(increment))).toBe(37_500_000);
  expect(fundingIncrementFloor(50_000_000_000, 100_000, 1_000_000, 80 * HOUR_MS, parameters)).toBe(increment);
});

test("payments never create money: floors of both sides sum to at most 0, within one unit a side", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      (size, a, b) => {
        const sum = fundingPaymentFloor(size, a, b) + fundingPaymentFloor(-size, a, b);
        expect(sum <= 0 && sum >= -1).toBe(true);
      },
    ),
  );
});

test("averages move towards the sample, never past it, and by Δt/(Δt + τ)", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1e9, max: 1e9 }),
      fc.integer({ min: -1e9, max: 1e9 }),
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 1, max: 1e9 }),
      (average, sample, elapsed, constant) => {
        const next = emaTrunc(average, sample, elapsed, constant);
        expect(next >= Math.min(average, sample) && next <= Math.max(average, sample)).toBe(true);
        expect(Math.abs(next - (average + ((sample - average) * elapsed) / (elapsed + constant)))).toBeLessThanOrEqual(
          1.000001,
        );
      },
    ),
  );
  expect(emaTrunc(100, 200, 30_000, 30_000)).toBe(150);
  expect(emaTrunc(0, -3, 1, 1)).toBe(-1);
});

test("a report: the first one sets the averages, later ones move them and accrue funding, overflow is refused", () => {
  const first = applyReport(
    { reportMs: 0, premiumEma: 0, indexAverage: 0 },
    { reportMs: 1000, index: 50_000_000_000, premium: 2_000_000 },
    { fundingIndex: 5, lotNanoCoin: 100_000 },
    parameters,
  );
  expect(first).toEqual({ premiumEma: 2_000_000, indexAverage: 50_000_000_000, fundingIndex: 5 });
  const before = { reportMs: 1000, premiumEma: 2_000_000, indexAverage: 50_000_000_000 };
  const report = { reportMs: 31_000, index: 51_000_000_000, premium: 1_000_000 };
  const next = applyReport(before, report, { fundingIndex: 5, lotNanoCoin: 100_000 }, parameters);
  // α = 1/2 for the premium and 30/630 for the index; rate 1,250,000 ppb for 30 s of 8 h.
  const increment = Math.floor((5_100_000 * 0.00125 * 30_000 * 2 ** 20) / (8 * HOUR_MS));
  expect(next).toEqual({ premiumEma: 1_500_000, indexAverage: 50_047_619_047, fundingIndex: 5 + increment });
  expect(applyReport(before, report, null, parameters)).toEqual({
    premiumEma: 1_500_000,
    indexAverage: 50_047_619_047,
    fundingIndex: 0,
  });
  expect(
    applyReport(before, report, { fundingIndex: Number.MAX_SAFE_INTEGER, lotNanoCoin: 100_000 }, parameters),
  ).toBeNull();
});
