// kill -9 of proposer and watcher while the venue trades, and reorgs of the L1 under it.
// TIDEMARK_LONG=1 makes the long run of it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeEventTopics, parseAbi } from "viem";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { buildPackages, isLong, randomFrom, testSeed } from "./build.ts";
import { type PostedOnL1, postedOnL1 } from "./posted.ts";
import { deploymentOf, l1Of, processesWith, rpc, summaryOf, VenueProcess, writeConfig } from "./venueProcess.ts";

const seed = testSeed();
const below = randomFrom(seed);
const BATCH_POSTED = encodeEventTopics({
  abi: parseAbi([
    "event BatchPosted(uint64 indexed number, bytes32 indexed batchHash, bytes32 postStateRoot, uint64 floor, address proposer)",
  ]),
})[0];
let folder = "";
let data = "";
let parameters: string[] = [];

beforeAll(buildPackages);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-children-crash-"));
  data = join(folder, "data");
  parameters = ["--config", writeConfig(folder), "--seed", String(seed), "--data-dir", data];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The run ended well, and the L1 holds every batch once. A reorg between two reads may cost a post that the contract refuses. */
async function expectWhole(venue: VenueProcess, out: string, refusedMax: number): Promise<PostedOnL1> {
  const ended = await venue.end();
  const summary = summaryOf(ended);
  const name = `seed ${seed}: ${ended.errors.slice(-2_000)}`;
  expect(summary.problems, name).toEqual([]);
  expect(ended.code, name).toBe(0);
  expect(summary.fillsSettled, name).toBe(summary.fills);
  expect(summary.rootsEqual, name).toBe(summary.cycles.total);
  const posted = await postedOnL1(out);
  expect(posted.refused, name).toBeLessThanOrEqual(refusedMax);
  expect(posted, name).toMatchObject({
    postTransactions: summary.batchesPosted + posted.refused,
    refused: posted.refused,
    batches: summary.batchesPosted,
    stateRoot: summary.finalStateRoot,
    fault: null,
  });
  expect(processesWith(folder), name).toEqual([]);
  return posted;
}

it("proposer and watcher are killed while the venue trades", { timeout: 600_000 }, async () => {
  const kills = isLong ? 40 : 6;
  const out = join(folder, "out");
  let attempts = 0;
  let failures = 1;
  try {
    const seconds = String(isLong ? 60 : 6);
    const venue = new VenueProcess([...parameters, "--once", "--seconds", seconds, "--json", "--out", out]);
    await venue.untilSaid("trading:");
    while (attempts < kills && !venue.said.includes("becoming final")) {
      await sleep(200 + below(1_200));
      const words = attempts % 3 === 2 ? [" watch ", data] : [` propose --data-dir ${data} `];
      const [victim] = processesWith(...words);
      if (victim === undefined) continue;
      process.kill(victim, "SIGKILL");
      attempts++;
    }
    await expectWhole(venue, out, 0);
    expect(attempts, `seed ${seed}`).toBeGreaterThanOrEqual(3);
    failures = 0;
  } finally {
    console.log(JSON.stringify({ name: "children-crash", seed, attempts, failures }));
  }
});

it("reorgs above the finalised block take batches back, and the venue posts them again", {
  timeout: 600_000,
}, async () => {
  const reorgsWanted = isLong ? 30 : 4;
  const out = join(folder, "out");
  const venue = new VenueProcess([
    ...parameters,
    "--once",
    "--seconds",
    String(isLong ? 60 : 6),
    "--json",
    "--out",
    out,
  ]);
  await venue.untilSaid("trading:");
  const { url } = l1Of(data);
  const batchChain = deploymentOf(data)?.batchChain;
  const removed = new Set<string>();
  let reorgs = 0;
  while (reorgs < reorgsWanted && !venue.said.includes("becoming final")) {
    const filter = { address: batchChain, topics: [BATCH_POSTED], fromBlock: "latest" };
    const logs = (await rpc(url, "eth_getLogs", [filter])) as { topics: string[] }[];
    if (logs.length === 0) {
      await sleep(20);
      continue;
    }
    // The batch is in the latest block: a reorg of any depth takes it away.
    await rpc(url, "anvil_reorg", [1 + (reorgs % 2), []]);
    reorgs++;
    for (const { topics } of logs) removed.add(String(topics[2]));
    await sleep(below(400));
  }
  const { batchHashes } = await expectWhole(venue, out, reorgs);
  console.log(
    JSON.stringify({ name: "reorg-drill", seed, attempts: reorgs, failures: 0, batchesRemoved: removed.size }),
  );
  expect(reorgs, `seed ${seed}`).toBeGreaterThanOrEqual(2);
  // Posted again with the same content.
  for (const batchHash of removed) expect(batchHashes, `seed ${seed}`).toContain(batchHash);
});

it("a reorg below the finalised block stops the venue, and keeps it stopped", { timeout: 120_000 }, async () => {
  const venue = new VenueProcess(parameters);
  await venue.untilSaid("trading:");
  await sleep(2_000);
  await rpc(l1Of(data).url, "anvil_reorg", [20, []]);
  const ended = await venue.end();
  expect(ended.errors).toMatch(/error FINALISED_REORG: finalised L1 block \d+ was 0x[0-9a-f]{64} and is 0x/);
  expect(ended.code).toBe(1);
  const next = await new VenueProcess(parameters).end();
  expect(next.errors).toMatch(/error (FINALISED_REORG|DEPLOYMENT_MISMATCH)/);
  expect(next.code).toBe(1);
  await expect.poll(() => processesWith(folder), { timeout: 10_000 }).toEqual([]);
});
