// `tidemark receipts verify|claim|collect` as processes, against a sequencer that kept its word at first and broke it later: its
// stake is not touched before, and pays afterwards what the court caps.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  developmentAccount,
  developmentKey,
  l1Call,
  receiptCourtAbi,
  stakeRegistryAbi,
  testUsdcAbi,
  writeDeployment,
} from "@tidemark/chain";
import type { Address } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createWorld, type World } from "../../chain/test/support/world.ts";
import { writeReceiptFile } from "../src/receipts/file.ts";
import { fillStake } from "../src/receipts/stake.ts";
import { ReceiptStore } from "../src/receipts/store.ts";
import { buildPackages, ENTRY } from "./crash/build.ts";
import { as, TwoFaces } from "./twoFaces.ts";

const PRICE = 500_000;
const TICK_VALUE = 10;
const HOUR_SECONDS = 3_600;
const MICRO = 1_000_000;
const STAKE_MICRO_USDC = 10n ** 12n;
const FIXED_PART = 10 * MICRO;
/** One broken promise below costs more, the others less. */
const CAP = FIXED_PART + 2_000;
const BURN = "0x000000000000000000000000000000000000dEaD";
const DEPOSIT_MICRO_USDC = 1_000 * MICRO;

interface Answer {
  code: number;
  output: string;
  errors: string;
}

let world: World;
let faces: TwoFaces;
let nowMs = 0;
let keyFile: string;
let deploymentFile: string;
let timer: NodeJS.Timeout | undefined;
let mining: Promise<unknown> = Promise.resolve();
let posted = 0;

async function advance(seconds: number): Promise<void> {
  await world.mine(seconds);
  nowMs = world.venue.timeMs;
}

/** Runs the command line; the L1 makes a block now and then meanwhile, as others would. */
async function tidemark(...parameters: string[]): Promise<Answer> {
  let isMining = false;
  timer = setInterval(() => {
    if (isMining) return;
    isMining = true;
    mining = world.mine(1).finally(() => {
      isMining = false;
    });
  }, 100);
  const shared = ["--l1", world.l1.url, "--deployment", deploymentFile];
  try {
    return await new Promise((resolve) => {
      execFile(process.execPath, [ENTRY, "receipts", ...parameters, ...shared], (error, output, errors) => {
        resolve({ code: error === null ? 0 : Number((error as { code?: number }).code ?? -1), output, errors });
      });
    });
  } finally {
    clearInterval(timer);
    await mining;
    nowMs = world.venue.timeMs;
  }
}

const claim = (file: string, ...more: string[]): Promise<Answer> =>
  tidemark("claim", file, "--key-file", keyFile, ...more);
const collect = (owner: Address): Promise<Answer> => tidemark("collect", "--owner", owner, "--key-file", keyFile);

/** What the sequencer signed for the orders, as a file that a trader has. */
async function receiptsOf(name: string, nonces: readonly number[], kind?: "fill" | "cancel"): Promise<string> {
  const copy = join(world.folder, `copy ${name}`);
  await faces.desk.copyTo(copy);
  const store = ReceiptStore.openToRead(copy);
  const receipts = [...store.read(kind === undefined ? {} : { kind })].filter(({ receipt }) =>
    nonces.includes(receipt.nonce),
  );
  await store.close();
  const file = join(world.folder, `${name}.json`);
  const { chainId, custody } = world.deployment;
  writeReceiptFile(file, { chainId, custody, receipts });
  return file;
}

async function postAndFinalise(): Promise<void> {
  const proposer = await world.proposer({ source: faces, path: join(world.folder, `outbox ${++posted}`) });
  for (let i = 0; i < 40; i++) {
    const { cyclesFinal } = await proposer.tick(true);
    if (cyclesFinal === faces.count()) break;
    await advance(60);
  }
  expect(proposer.status?.cyclesFinal).toBe(faces.count());
  await proposer.close();
}

/** Every promise so far falls due, and a state that is later than that becomes final. */
async function fallDue(): Promise<void> {
  await postAndFinalise();
  await advance(2 * HOUR_SECONDS);
  faces.submit(faces.report(nowMs));
  await postAndFinalise();
}

const balance = (address: Address): Promise<bigint> =>
  l1Call("balance", () =>
    world.client.readContract({
      address: world.deployment.token,
      abi: testUsdcAbi,
      functionName: "balanceOf",
      args: [address],
    }),
  );
const stake = (): Promise<bigint> =>
  world.client.readContract({
    address: world.deployment.stakeRegistry,
    abi: stakeRegistryAbi,
    functionName: "stakeOf",
    args: [world.deployment.sequencer],
  });
const court = () => ({ address: world.deployment.receiptCourt, abi: receiptCourtAbi }) as const;

beforeAll(async () => {
  buildPackages();
  world = await createWorld({ receiptFixedPartMicroUsdc: FIXED_PART, receiptCapMicroUsdc: CAP });
  const { client, custody, deployment, keys, l1 } = world;
  const claimer = developmentAccount("claimer");
  await l1.setBalance(claimer.address, 10n ** 20n);
  keyFile = join(world.folder, "claimer.key");
  writeFileSync(keyFile, developmentKey("claimer"));
  deploymentFile = join(world.folder, "deployment.json");
  await writeDeployment(deploymentFile, deployment);
  faces = new TwoFaces(world, join(world.folder, "receipts"));
  await fillStake(client, deployment, developmentAccount("deployer"), STAKE_MICRO_USDC, { mine: () => world.mine(1) });
  const owners = [keys.alice, keys.bob];
  await custody.mint(
    keys.lister,
    owners.map(({ address }) => ({ address, amountMicroUsdc: DEPOSIT_MICRO_USDC })),
  );
  await custody.openAccounts(owners.map((owner) => ({ owner, depositMicroUsdc: DEPOSIT_MICRO_USDC })));
  await custody.listSeries(keys.lister, [{ underlying: 0, expiryMs: 0, strikesMicroUsd: [] }]);
  await world.finaliseL1();
  const entries = (await world.reader.poll()).map(({ bytes }) => bytes);
  nowMs = world.venue.timeMs;
  faces.submit({ kind: "inbound", timeMs: as(nowMs), entries });
  faces.submit(faces.report(nowMs));
}, 240_000);
afterAll(async () => {
  clearInterval(timer);
  await mining;
  await faces?.desk.close();
  await world?.close();
});

test("a sequencer that keeps its word is charged nothing, and the exit code says so", {
  timeout: 240_000,
}, async () => {
  const { alice, bob, client, keys } = world;
  const sold = faces.place(alice, -40, PRICE, nowMs);
  const bought = faces.place(bob, 40, PRICE, nowMs, false);
  const withdrawn = faces.place(bob, 15, PRICE - 30, nowMs);
  for (const command of [sold, bought, withdrawn]) faces.submit(command);
  faces.submit(faces.cancel(bob, withdrawn.nonce, nowMs));
  await faces.sign();
  faces.submit({ kind: "checkpoint", timeMs: as(nowMs) });
  const file = await receiptsOf("honest", [sold.nonce, bought.nonce, withdrawn.nonce]);
  const before = await stake();

  const early = await claim(file);
  expect(early.code, early.errors).toBe(5);
  expect(early.output).toContain("3 receipts: 3 pending");
  await fallDue();
  const verified = await tidemark("verify", file);
  expect(verified.code, verified.output).toBe(0);
  const late = await claim(file, "--json");
  expect(late.code, late.errors).toBe(5);
  expect(JSON.parse(late.output)).toMatchObject({ counts: { kept: 3 }, claimedMicroUsdc: "0" });
  expect(late.errors).toContain("no receipt is broken: there is nothing to claim");
  const collected = await collect(keys.alice.address);
  expect(collected.code, collected.errors).toBe(5);
  expect(collected.output).toContain("nothing is due to");
  expect(await stake()).toBe(before);
  expect(await client.readContract({ ...court(), functionName: "roundCount" })).toBe(0n);
});

test("broken promises are claimed and collected from the stake, each up to the cap", { timeout: 240_000 }, async () => {
  const { alice, bob, client, keys } = world;
  nowMs = world.venue.timeMs;
  faces.submit(faces.report(nowMs));
  // Bob's order is left out: neither side's fill is settled.
  const resting = faces.place(alice, -30, PRICE + 7, nowMs);
  const dropped = faces.place(bob, 30, PRICE + 9, nowMs, false);
  faces.submit(resting);
  faces.submit(dropped, true);
  // The better offer is left out, and 20 lots are settled 18 ticks worse: more than the cap.
  const better = faces.place(alice, -20, PRICE - 15, nowMs);
  const worse = faces.place(alice, -20, PRICE + 3, nowMs);
  const taker = faces.place(bob, 20, PRICE + 3, nowMs, false);
  faces.submit(better, true);
  faces.submit(worse);
  faces.submit(taker);
  // The cancel is left out: what it cancelled is filled all the same.
  const cancelled = faces.place(bob, 10, PRICE - 20, nowMs);
  faces.submit(cancelled);
  faces.submit(faces.cancel(bob, cancelled.nonce, nowMs), true);
  const hitter = faces.place(alice, -10, PRICE - 20, nowMs, false);
  faces.submit(hitter);
  await faces.sign();
  faces.submit({ kind: "checkpoint", timeMs: as(nowMs) });
  const fills = await receiptsOf("broken-fills", [dropped.nonce, taker.nonce], "fill");
  const cancels = await receiptsOf("broken-cancel", [cancelled.nonce], "cancel");
  const before = { stake: await stake(), bob: await balance(keys.bob.address), burnt: await balance(BURN) };
  await fallDue();

  const cancelClaimed = await claim(cancels, "--json");
  expect(cancelClaimed.code, `${cancelClaimed.output}${cancelClaimed.errors}`).toBe(0);
  const ofCancel = BigInt((JSON.parse(cancelClaimed.output) as { claimedMicroUsdc: string }).claimedMicroUsdc);
  const verified = await tidemark("verify", fills);
  expect(verified.code).toBe(1);
  expect(verified.output).toContain("2 receipts: 2 broken");
  const claimed = await claim(fills);
  expect(claimed.code, claimed.errors).toBe(0);
  expect(claimed.output).toMatch(/claimed 10\.002000 USDC for fill account 3 nonce \d+: final batch \d+ settles cash/);
  expect(20 * 18 * TICK_VALUE).toBeGreaterThan(CAP - FIXED_PART);
  const again = await claim(fills);
  expect(again.code, again.errors).toBe(0);
  expect(again.output.match(/^claimed before: fill account 3/gm)).toHaveLength(2);
  expect(again.output).toContain("0.000000 USDC claimed in all");

  const owed = await client.readContract({ ...court(), functionName: "damagesOf", args: [1n, keys.bob.address] });
  expect(owed).toBeGreaterThan(BigInt(CAP) + ofCancel);
  expect(owed).toBeLessThanOrEqual(BigInt(3 * CAP));
  const early = await collect(keys.bob.address);
  expect(early.code, early.errors).toBe(5);
  expect(early.output).toMatch(/are in a round that ends at 20\d\d-/);
  expect(await stake()).toBe(before.stake);
  await advance(Number(await client.readContract({ ...court(), functionName: "claimPeriodSeconds" })));
  const collected = await collect(keys.bob.address);
  expect(collected.code, collected.errors).toBe(0);
  expect((await balance(keys.bob.address)) - before.bob).toBe(owed);
  expect(before.stake - (await stake())).toBe(2n * owed);
  expect((await balance(BURN)) - before.burnt).toBe(owed);
  const nothing = await collect(keys.bob.address);
  expect(nothing.code, nothing.errors).toBe(5);
  expect(await balance(keys.bob.address)).toBe(before.bob + owed);
});
