// A sequencer that does not keep its word: the engine that signs receipts and the engine that settles hear different commands.
// Real engines, real contracts, real batches; what was promised and not settled is convicted, paid and taken from the stake.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  batchChainAbi,
  developmentAccount,
  l1Call,
  receiptCourtAbi,
  stakeRegistryAbi,
  testUsdcAbi,
} from "@tidemark/chain";
import { applyPayload, type Hash, LedgerState } from "@tidemark/ledger";
import { encodeWitness, receiptCells } from "@tidemark/settlement";
import { afterAll, beforeAll, expect, test } from "vitest";
import { signatures } from "../../chain/test/support/venue.ts";
import { createWorld, type World } from "../../chain/test/support/world.ts";
import { claimedBefore, collectDamages, judgeAtCourt, readCourt, sendClaims } from "../src/receipts/court.ts";
import { readReceiptFile, writeReceiptFile } from "../src/receipts/file.ts";
import { fillStake } from "../src/receipts/stake.ts";
import { ReceiptStore, type SignedReceipt } from "../src/receipts/store.ts";
import { type ReceiptReport, verifyReceipts } from "../src/receipts/verify.ts";
import { signer } from "../src/signatures/signer.ts";
import { as, TwoFaces } from "./twoFaces.ts";

const PRICE = 500_000;
const TICK_VALUE = 10;
const HOUR_SECONDS = 3_600;
const BURN = "0x000000000000000000000000000000000000dEaD";

let world: World;
let faces: TwoFaces;
let nowMs = 0;
const folder = mkdtempSync(join(tmpdir(), "tidemark-receipts-"));
const claimer = developmentAccount("claimer");

async function advance(seconds: number): Promise<void> {
  await world.mine(seconds);
  nowMs = world.venue.timeMs;
}

beforeAll(async () => {
  world = await createWorld();
  await world.l1.setBalance(claimer.address, 10n ** 20n);
  faces = new TwoFaces(world, join(folder, "receipts"));
  // The sequencer proposes too: what is taken from it must leave a proposer's stake.
  const { client, deployment } = world;
  await fillStake(client, deployment, developmentAccount("deployer"), 10n ** 12n, { mine: () => world.mine(1) });
  const { custody, keys } = world;
  const amountMicroUsdc = 1_000_000_000;
  await custody.mint(
    keys.lister,
    [keys.alice, keys.bob].map(({ address }) => ({ address, amountMicroUsdc })),
  );
  await custody.openAccounts([keys.alice, keys.bob].map((owner) => ({ owner, depositMicroUsdc: amountMicroUsdc })));
  await custody.listSeries(keys.lister, [{ underlying: 0, expiryMs: 0, strikesMicroUsd: [] }]);
  await world.finaliseL1();
  const entries = (await world.reader.poll()).map(({ bytes }) => bytes);
  nowMs = world.venue.timeMs;
  faces.submit({ kind: "inbound", timeMs: as(nowMs), entries });
  faces.submit(faces.report(nowMs));
});
afterAll(async () => {
  await faces?.desk.close();
  await world?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Posts what the settling engine made and lets it become final. */
async function postAndFinalise(): Promise<void> {
  const proposer = await world.proposer({ source: faces, path: join(folder, `outbox ${faces.count()}`) });
  for (let i = 0; i < 40; i++) {
    const status = await proposer.tick(true);
    if (status.cyclesFinal === faces.count()) break;
    await advance(60);
  }
  expect(proposer.status?.cyclesFinal).toBe(faces.count());
  await proposer.close();
}

function receiptsOf(): SignedReceipt[] {
  const store = ReceiptStore.openToRead(join(folder, "copy"));
  try {
    return [...store.read()];
  } finally {
    void store.close();
  }
}

const nonceOf = ({ signed }: ReceiptReport): number => signed.receipt.nonce;
const balance = (address: Hash): Promise<bigint> =>
  l1Call("balance", () =>
    world.client.readContract({
      address: world.deployment.token,
      abi: testUsdcAbi,
      functionName: "balanceOf",
      args: [address],
    }),
  );

test("what was promised and not settled is convicted and paid from the stake", { timeout: 300_000 }, async () => {
  const { alice, bob, client, deployment } = world;
  // Kept: both histories hear it.
  const kept = [faces.place(alice, -40, PRICE, nowMs), faces.place(bob, 40, PRICE, nowMs, false)];
  for (const command of kept) faces.submit(command);
  // Left out: bob's taking order, so that neither side's fill is settled. Alice's order is cancelled in the open.
  const resting = faces.place(alice, -30, PRICE + 7, nowMs);
  const dropped = faces.place(bob, 30, PRICE + 9, nowMs, false);
  faces.submit(resting);
  faces.submit(dropped, true);
  // Worse: the better offer never reaches the ledger, the taker is settled at the next price.
  const better = faces.place(alice, -20, PRICE - 5, nowMs);
  const next = faces.place(alice, -20, PRICE + 3, nowMs);
  const taker = faces.place(bob, 20, PRICE + 3, nowMs, false);
  faces.submit(better, true);
  faces.submit(next);
  faces.submit(taker);
  // After all: cancelled, and filled all the same.
  const cancelled = faces.place(bob, 10, PRICE - 20, nowMs);
  faces.submit(cancelled);
  faces.submit(faces.cancel(bob, cancelled.nonce, nowMs), true);
  const hitter = faces.place(alice, -10, PRICE - 20, nowMs, false);
  faces.submit(hitter);
  await faces.sign();
  faces.submit({ kind: "checkpoint", timeMs: as(nowMs) });

  // Before anything is final, nothing can be claimed.
  await faces.desk.copyTo(join(folder, "copy"));
  const receipts = receiptsOf();
  const file = join(folder, "receipts.json");
  writeReceiptFile(file, { chainId: deployment.chainId, custody: deployment.custody, receipts });
  expect(readReceiptFile(file).receipts).toEqual(receipts);
  const options = { client, deployment, signer };
  const early = await verifyReceipts(options, receipts);
  expect(new Set(early.reports.map(({ state }) => state))).toEqual(new Set(["pending"]));

  await postAndFinalise();
  const settled = await verifyReceipts(options, receipts);
  // A kept fill is known as soon as its batch is final, a missing one not before its deadline.
  const stateOf = (reports: readonly ReceiptReport[], command: { nonce: number }, kind: string): string | undefined =>
    reports.find((report) => nonceOf(report) === command.nonce && report.signed.receipt.kind === kind)?.state;
  for (const command of kept) expect(stateOf(settled.reports, command, "fill")).toBe("kept");
  expect(stateOf(settled.reports, dropped, "fill")).toBe("pending");

  await advance(2 * HOUR_SECONDS);
  faces.submit(faces.report(nowMs));
  await postAndFinalise();
  const { reports, facts } = await verifyReceipts(options, receipts);
  const broken = reports.filter(({ state }) => state === "broken");
  expect(broken.map((report) => `${nonceOf(report)} ${report.signed.receipt.kind}`).sort()).toEqual(
    [
      `${resting.nonce} fill`,
      `${dropped.nonce} fill`,
      `${better.nonce} fill`,
      `${taker.nonce} fill`,
      `${cancelled.nonce} cancel`,
      `${hitter.nonce} cancel`,
    ].sort(),
  );
  for (const command of kept) expect(stateOf(reports, command, "fill")).toBe("kept");
  // The better offer's 20 lots were 8 ticks better than what was settled.
  const worse = broken.find((report) => nonceOf(report) === taker.nonce);
  expect(worse?.damage).toBe(facts.fixedPart + BigInt(20 * 8 * TICK_VALUE));

  const { stakeRegistry, sequencer, receiptCourt } = deployment;
  const stake = (): Promise<bigint> =>
    client.readContract({ address: stakeRegistry, abi: stakeRegistryAbi, functionName: "stakeOf", args: [sequencer] });
  const before = {
    stake: await stake(),
    alice: await balance(world.keys.alice.address),
    bob: await balance(world.keys.bob.address),
  };
  const claims = broken.flatMap(({ claim }) => (claim === null ? [] : [claim]));
  const sent = await sendClaims(client, deployment, claimer, claims, { mine: () => world.mine(1) });
  expect(sent).toHaveLength(6);
  for (const { gasUsed } of sent) expect(gasUsed).toBeLessThan(1_000_000);
  for (const { claim, damage } of broken)
    if (claim) expect(await claimedBefore(client, deployment, claim)).toBe(damage);
  // Nothing is paid twice.
  await expect(
    sendClaims(client, deployment, claimer, claims.slice(0, 1), { mine: () => world.mine(1) }),
  ).rejects.toThrow("reverted");
  const owed = (owner: number): bigint =>
    broken.reduce((sum, { signed, damage }) => (signed.receipt.account === owner ? sum + damage : sum), 0n);

  // Early settling finds nothing; after the period the stake pays twice the damages, half of it to nobody.
  const mine = { mine: () => world.mine(1) };
  expect(await collectDamages(client, deployment, claimer, world.keys.alice.address, mine)).toBe(0n);
  const period = await client.readContract({
    address: receiptCourt,
    abi: receiptCourtAbi,
    functionName: "claimPeriodSeconds",
  });
  await advance(Number(period));
  expect(await collectDamages(client, deployment, claimer, world.keys.alice.address, mine)).toBe(owed(alice.account));
  expect(await collectDamages(client, deployment, claimer, world.keys.bob.address, mine)).toBe(owed(bob.account));
  const damages = owed(alice.account) + owed(bob.account);
  expect(before.stake - (await stake())).toBe(2n * damages);
  expect(await balance(BURN)).toBe(damages);
  expect((await balance(world.keys.alice.address)) - before.alice).toBe(owed(alice.account));
  expect((await balance(world.keys.bob.address)) - before.bob).toBe(owed(bob.account));
});

test("an order that the L1 forced is promised like any other", { timeout: 300_000 }, async () => {
  const { alice, bob, client, deployment, custody, keys } = world;
  nowMs = world.venue.timeMs;
  faces.submit(faces.report(nowMs));
  faces.submit(faces.place(alice, 6, PRICE - 50, nowMs));
  const nonce = 900_000;
  // Alice sells to Bob all along, so she can only buy back; Bob's close sells.
  await custody.forceClose(keys.bob, {
    account: bob.account,
    instrument: 0,
    lots: -9,
    limitPriceTicks: PRICE - 60,
    nonce,
  });
  await world.finaliseL1();
  nowMs = world.venue.timeMs;
  const entries = (await world.reader.poll()).map(({ bytes }) => bytes);
  faces.submit({ kind: "inbound", timeMs: as(nowMs), entries });
  await faces.sign();
  faces.submit({ kind: "checkpoint", timeMs: as(nowMs) });
  await postAndFinalise();
  await faces.desk.copyTo(join(folder, "forced"));
  const store = ReceiptStore.openToRead(join(folder, "forced"));
  const forced = [...store.read({ account: bob.account, nonce })];
  await store.close();
  expect(forced.map(({ receipt }) => [receipt.kind, receipt.filledLots])).toEqual([["fill", 6]]);
  const { reports } = await verifyReceipts({ client, deployment, signer }, forced);
  expect(reports.map(({ state, reason }) => [state, reason])).toEqual([
    ["kept", expect.stringMatching(/^settled in final batch/)],
  ]);
});

test("no final state convicts a kept receipt, whoever claims", { timeout: 300_000 }, async () => {
  const { client, deployment } = world;
  const head = await client.getBlockNumber();
  const facts = await readCourt(client, deployment, Number(head));
  const { reports } = await verifyReceipts({ client, deployment, signer }, receiptsOf());
  const kept = reports.filter(({ state }) => state === "kept");
  expect(kept.length).toBe(2);
  const state = LedgerState.genesis(deployment.parameters);
  let batch = 0;
  let attempts = 0;
  const attempt = async (): Promise<void> => {
    for (const { signed } of kept) {
      const witness = encodeWitness(state, receiptCells(signed.receipt, signed.order));
      const { verdict } = await judgeAtCourt(client, deployment, { ...signed, batchNumber: batch, witness });
      expect(["kept", "notMatured", "notDecisive", "recycled"]).toContain(verdict);
      attempts++;
    }
  };
  await attempt();
  for (const { payload, timeMs } of faces.cycles) {
    expect(applyPayload(state, payload, { signatures }).ok).toBe(true);
    const last = await client.readContract({
      address: deployment.batchChain,
      abi: batchChainAbi,
      functionName: "batch",
      args: [BigInt(batch + 1)],
    });
    if (last.postStateRoot !== state.root() || timeMs < (facts.timesMs[batch] ?? 0)) continue;
    batch++;
    await attempt();
    if (batch === facts.lastBatch) break;
  }
  expect(batch).toBe(facts.lastBatch);
  expect(attempts).toBe(kept.length * (facts.lastBatch + 1));
});
