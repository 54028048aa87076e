// Bond, stake and unbonding time of a deployment follow from the formulas; one that falls short is told, in full, by what stands on
// the L1 and by what the vault holds.
import { readFileSync } from "node:fs";
import { microUsdc, partsPerBillion } from "@tidemark/num";
import { expect, test } from "vitest";
import {
  CHALLENGE_GAS_MAX,
  readStandingTerms,
  requiredBondWei,
  requireSizedTerms,
  STAKE_MICRO_USDC_MIN,
  type StandingTerms,
  termShortfalls,
  VENUE_SIZING_DEFAULT,
  venueTerms,
} from "../src/index.ts";
import { createWorld } from "./support/world.ts";

const DAY_SECONDS = 86_400;
const HOUR_MS = 3_600_000;
const FORCED = { forcedPeriodSeconds: DAY_SECONDS };
const GWEI = 10n ** 9n;

test("the defaults are the formulas'", () => {
  const week = venueTerms({ windowSeconds: 7 * DAY_SECONDS, ...FORCED }, HOUR_MS);
  // 2 · (12M · 100 gwei · 1.2 + 0.05 ETH).
  expect(week.bondWei).toBe(2_980_000_000n * GWEI);
  // 2 · 1e9 USDC · 5% · 7/365, rounded up before it is doubled.
  expect(week.minimumStakeMicroUsdc).toBe(2 * 958_904_109_590);
  const short = venueTerms({ windowSeconds: 600, ...FORCED }, HOUR_MS);
  expect(short.minimumStakeMicroUsdc).toBe(STAKE_MICRO_USDC_MIN);
  expect(short.bondWei).toBe(week.bondWei);
});

test("every input moves what it should, and what is given stays", () => {
  const terms = (sizing: Partial<typeof VENUE_SIZING_DEFAULT>) =>
    venueTerms({ windowSeconds: 7 * DAY_SECONDS, ...FORCED, sizing }, HOUR_MS);
  const { bondWei, minimumStakeMicroUsdc } = terms({});
  expect(terms({ stressWeiPerGas: 200n * GWEI }).bondWei).toBeGreaterThan(bondWei);
  expect(terms({ challengeGas: 9_500_000 }).bondWei).toBeLessThan(bondWei);
  expect(terms({ marginPpb: partsPerBillion(0) }).bondWei).toBeLessThan(bondWei);
  expect(terms({ bountyWei: 10n ** 18n }).bondWei - bondWei).toBe(2n * 95n * 10n ** 16n);
  expect(terms({ valueMicroUsdc: microUsdc(2 * 10 ** 15) }).minimumStakeMicroUsdc).toBeGreaterThan(
    minimumStakeMicroUsdc,
  );
  expect(terms({ ratePpb: partsPerBillion(100_000_000) }).minimumStakeMicroUsdc).toBeGreaterThan(minimumStakeMicroUsdc);
  const given = { bondWei: 5n, minimumStakeMicroUsdc: 7 };
  expect(venueTerms({ windowSeconds: 600, ...FORCED, ...given }, HOUR_MS)).toMatchObject(given);
});

test("no measured challenge needs more than bonds are sized by", () => {
  const measured = ["challenges", "challenges.waterfall", "challenges.spread"].flatMap((name) => {
    const file = new URL(`../../../docs/costs/${name}.json`, import.meta.url);
    return JSON.parse(readFileSync(file, "utf8")) as { gas: number }[];
  });
  expect(measured.length).toBeGreaterThan(40);
  expect(Math.max(...measured.map(({ gas }) => gas))).toBeLessThan(CHALLENGE_GAS_MAX);
});

test("a term that is one unit short is told, one that is exact is not", () => {
  const { bondWei, minimumStakeMicroUsdc, unbondingSeconds, windowSeconds, claimPeriodSeconds } = venueTerms(
    { windowSeconds: 7 * DAY_SECONDS, ...FORCED },
    HOUR_MS,
  );
  const exact: StandingTerms = {
    bondWei,
    minimumStakeMicroUsdc,
    unbondingSeconds,
    windowSeconds,
    claimPeriodSeconds,
    vaultMicroUsdc: 10 ** 15,
  };
  const short = (change: Partial<StandingTerms>) =>
    termShortfalls({ ...exact, ...change }, HOUR_MS).map(({ term }) => term);
  expect(short({})).toEqual([]);
  expect(short({ bondWei: bondWei - 1n })).toEqual(["bond"]);
  expect(short({ minimumStakeMicroUsdc: minimumStakeMicroUsdc - 1 })).toEqual(["stake"]);
  expect(short({ unbondingSeconds: unbondingSeconds - 1 })).toEqual(["unbonding"]);
  expect(short({ vaultMicroUsdc: 10 ** 15 + 10_000_000 })).toEqual(["stake"]);
  expect(short({ windowSeconds: windowSeconds + 60 })).toEqual(["stake", "unbonding"]);
});

test("what stands on the L1 is read, and refused in words when it is short", async () => {
  const bondWei = requiredBondWei(VENUE_SIZING_DEFAULT);
  const world = await createWorld({ windowSeconds: DAY_SECONDS, bondWei });
  try {
    const { client, deployment, custody, keys } = world;
    await requireSizedTerms(client, deployment);
    expect(await readStandingTerms(client, deployment)).toMatchObject({
      bondWei,
      minimumStakeMicroUsdc: 2 * 136_986_301_370,
      windowSeconds: DAY_SECONDS,
      vaultMicroUsdc: 0,
    });
    // The gas price doubles for good; then twice the value that was thought of comes in.
    const dearer = requireSizedTerms(client, deployment, { stressWeiPerGas: 200n * GWEI });
    await expect(dearer).rejects.toMatchObject({
      code: "TERMS_TOO_SMALL",
      message: expect.stringContaining("bond is 2.98 ETH, needs 5.86 ETH") as string,
    });
    await custody.mint(keys.lister, [{ address: deployment.custody, amountMicroUsdc: 2 * 10 ** 15 }]);
    await expect(requireSizedTerms(client, deployment)).rejects.toMatchObject({
      code: "TERMS_TOO_SMALL",
      message: expect.stringMatching(/stake is 273972\.\d+ USDC, needs 547945\.\d+ USDC/) as string,
    });
  } finally {
    await world.close();
  }
});
