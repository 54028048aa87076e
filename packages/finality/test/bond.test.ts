import { microUsdc, partsPerBillion } from "@tidemark/num";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bondWeiFor, delayCostCeil, stakeMicroUsdcFor, unbondingSecondsFor } from "../src/index.ts";

const GWEI = 10n ** 9n;
const BILLION = 10n ** 9n;
const YEAR = 365n * 86_400n;

describe("cost of a delay and stake against it", () => {
  test("5.4e9 dollars at 5% for 7 days cost 5,178,082 dollars", () => {
    const delay = {
      valueMicroUsdc: microUsdc(5.4e15),
      ratePpb: partsPerBillion(50_000_000),
      windowSeconds: 7 * 86_400,
    };
    expect(Math.floor(delayCostCeil(delay) / 1e6)).toBe(5_178_082);
    expect(delayCostCeil(delay)).toBe(5_178_082_191_781);
    expect(stakeMicroUsdcFor(delay)).toBe(2 * 5_178_082_191_781);
  });

  test("rounded up, and by less than one micro-USDC", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 52 }),
        fc.integer({ min: 0, max: 200_000_000 }),
        fc.integer({ min: 1, max: 30 * 86_400 }),
        (value, rate, windowSeconds) => {
          const cost = delayCostCeil({
            valueMicroUsdc: microUsdc(value),
            ratePpb: partsPerBillion(rate),
            windowSeconds,
          });
          const exact = BigInt(value) * BigInt(rate) * BigInt(windowSeconds);
          expect(BigInt(cost) * BILLION * YEAR).toBeGreaterThanOrEqual(exact);
          expect((BigInt(cost) - 1n) * BILLION * YEAR).toBeLessThan(exact);
        },
      ),
    );
  });

  test("what burning takes from a proposer that convicts himself covers the delay", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), fc.integer({ min: 1, max: 30 * 86_400 }), (value, seconds) => {
        const delay = {
          valueMicroUsdc: microUsdc(value),
          ratePpb: partsPerBillion(50_000_000),
          windowSeconds: seconds,
        };
        const stake = stakeMicroUsdcFor(delay);
        const burnt = stake - Math.floor(stake / 4) - (Math.floor(stake / 2) - Math.floor(stake / 4));
        expect(burnt).toBeGreaterThanOrEqual(delayCostCeil(delay));
      }),
    );
  });
});

describe("bond of a batch", () => {
  test("half of it pays the dearest challenge at a stress price, with margin and bounty", () => {
    const cost = {
      gas: 12_000_000,
      stressWeiPerGas: 100n * GWEI,
      marginPpb: partsPerBillion(500_000_000),
      bountyWei: 2n * 10n ** 17n,
    };
    // 12M · 100 gwei · 1.5 = 1.8 ETH, and 0.2.
    expect(bondWeiFor(cost)).toBe(4n * 10n ** 18n);
  });

  test("rounded up for the challenger", () => {
    expect(bondWeiFor({ gas: 1, stressWeiPerGas: 1n, marginPpb: partsPerBillion(1), bountyWei: 0n })).toBe(4n);
    expect(bondWeiFor({ gas: 1, stressWeiPerGas: 1n, marginPpb: partsPerBillion(0), bountyWei: 3n })).toBe(8n);
  });
});

test("a stake stays longer than the longest window and the claim of the last receipt", () => {
  const periods = { windowSecondsMax: 3_600, receiptPeriodSeconds: 600, claimPeriodSeconds: 86_400 };
  const seconds = unbondingSecondsFor(periods);
  expect(seconds).toBe(2 * 3_600 + 2 * 600 + 86_400 + 1);
  expect(seconds).toBeGreaterThan(periods.windowSecondsMax);
  expect(seconds).toBeGreaterThan(periods.claimPeriodSeconds);
});
