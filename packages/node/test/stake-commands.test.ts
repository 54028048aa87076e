// `tidemark stake …` and `tidemark pool …` as processes against a venue on a real L1.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { developmentKey, testUsdcAbi, writeDeployment } from "@tidemark/chain";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createWorld, openForTrading, type World } from "../../chain/test/support/world.ts";
import { microUsdcOf, usdcText } from "../src/usdc.ts";
import { buildPackages, ENTRY } from "./crash/build.ts";

const MICRO = 1_000_000n;
const SHARE = 10n ** 12n;
const DAY_SECONDS = 86_400;

interface Answer {
  code: number;
  json: Record<string, unknown>;
  output: string;
  errors: string;
}

let world: World;
let keyFile: string;
let deploymentFile: string;
let mining: NodeJS.Timeout;

/** Runs the command line; the L1 makes a block now and then meanwhile. */
function tidemark(...parameters: string[]): Promise<Answer> {
  const shared = ["--l1", world.l1.url, "--deployment", deploymentFile];
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...parameters, ...shared], (error, output, errors) => {
      const last = output.trim().split("\n").at(-1) ?? "";
      const code = error === null ? 0 : Number((error as { code?: number }).code ?? -1);
      const json = last.startsWith("{") ? (JSON.parse(last) as Record<string, unknown>) : {};
      resolve({ code, json, output, errors });
    });
  });
}

const asAlice = (...parameters: string[]): Promise<Answer> => tidemark(...parameters, "--key-file", keyFile, "--json");

beforeAll(async () => {
  buildPackages();
  world = await createWorld();
  keyFile = join(world.folder, "alice.key");
  writeFileSync(keyFile, `${developmentKey("alice")}\n`, { mode: 0o600 });
  deploymentFile = join(world.folder, "deployment.json");
  await writeDeployment(deploymentFile, world.deployment);
  await openForTrading(world);
  await world.custody.mint(world.keys.lister, [{ address: world.keys.alice.address, amountMicroUsdc: 1e12 }]);
  let isMining = false;
  mining = setInterval(() => {
    if (isMining) return;
    isMining = true;
    void world.mine(1).finally(() => {
      isMining = false;
    });
  }, 100);
}, 240_000);
afterAll(async () => {
  clearInterval(mining);
  await world.close();
});

test("amounts are exact or refused", () => {
  expect(microUsdcOf("250000")).toBe(250_000n * MICRO);
  expect(microUsdcOf("0.000001")).toBe(1n);
  expect(microUsdcOf("12.5")).toBe(12_500_000n);
  for (const wrong of ["", "0", "0.0", "-1", "1.0000001", "1e6", "1,5", ".5", "1."]) {
    expect(() => microUsdcOf(wrong)).toThrow("no amount");
  }
  expect([0n, 1n, 12_500_000n, 3n * MICRO].map(usdcText)).toEqual(["0", "0.000001", "12.5", "3"]);
});

test("the deployment's proposer takes turns; anybody can look", async () => {
  const proposer = world.keys.proposer.address;
  const { code, json } = await tidemark("stake", "status", proposer, "--json");
  expect(code).toBe(0);
  expect(json).toMatchObject({ staker: proposer, place: 0, mayPostNow: true, turn: proposer, activeSet: [proposer] });
  expect(json["bondedMicroUsdc"]).toBe(json["minimumMicroUsdc"]);
  const plain = await tidemark("stake", "status", proposer);
  expect(plain.output).toMatch(/turns +place 0; may post batch \d+ now/);
});

test("a stake is bonded, unbonds and is not given back too early", async () => {
  const deposited = await asAlice("stake", "deposit", "1000.5");
  expect(deposited).toMatchObject({ code: 0, json: { bondedMicroUsdc: String(1_000_500_000), place: null } });
  const forOther = await asAlice("stake", "deposit", "2", "--for", world.keys.bob.address);
  expect(forOther.json).toMatchObject({ staker: world.keys.bob.address, bondedMicroUsdc: String(2n * MICRO) });
  const unbonding = await asAlice("stake", "unbond", "0.5");
  expect(unbonding.json).toMatchObject({ bondedMicroUsdc: String(1_000n * MICRO), unbondingMicroUsdc: "500000" });
  const early = await asAlice("stake", "withdraw");
  expect(early.code).toBe(3);
  expect(early.errors).toContain("TRANSACTION_REVERTED");
  expect(await asAlice("stake", "distribute")).toMatchObject({ code: 0 });
});

test("shares are bought, requested, taken back, and redeemed after the cooldown", async () => {
  const bought = await asAlice("pool", "deposit", "100");
  expect(bought.json).toMatchObject({
    shares: String(100n * SHARE),
    valueMicroUsdc: String(100n * MICRO),
    isHeld: false,
  });
  expect((await asAlice("pool", "request", "40")).json).toMatchObject({
    shares: String(60n * SHARE),
    requestedShares: String(40n * SHARE),
    redeemableShares: "0",
  });
  expect((await asAlice("pool", "cancel")).json).toMatchObject({ shares: String(100n * SHARE), requestedShares: "0" });
  await asAlice("pool", "request");
  await world.mine(2 * DAY_SECONDS);
  const before = await world.custody.balanceMicroUsdc(world.keys.alice.address);
  const redeemed = await asAlice("pool", "redeem", "25");
  expect(redeemed.json).toMatchObject({ requestedShares: String(75n * SHARE) });
  expect((await world.custody.balanceMicroUsdc(world.keys.alice.address)) - before).toBe(25n * MICRO);
  expect(await asAlice("pool", "redeem")).toMatchObject({ code: 0, json: { requestedShares: "0", totalShares: "0" } });
});

test("a venue without bad debt has nothing covered and nothing held", async () => {
  for (const action of ["cover", "hold"]) {
    const { code, json, errors } = await asAlice("pool", action);
    expect({ code, ...json }).toEqual({ code: 0, batch: 0, shortfallMicroUsdc: 0, outcome: "nothing to do" });
    expect(errors).toContain("0 USDC of bad debt are not covered");
  }
});

test("wrong arguments are told apart from a failed environment", async () => {
  expect((await asAlice("stake", "deposit", "much")).code).toBe(2);
  expect((await tidemark("stake", "deposit", "1")).errors).toContain("KEY_MISSING");
  expect((await tidemark("stake", "status", "0x12")).code).toBe(2);
  expect((await tidemark("pool", "status")).code).toBe(2);
  const token = { address: world.deployment.token, abi: testUsdcAbi } as const;
  const total = await world.client.readContract({
    ...token,
    functionName: "balanceOf",
    args: [world.deployment.insurancePool],
  });
  expect(total).toBe(0n);
});
