// A watcher that goes on where an earlier life of it was: what it skips, what it does not believe, and that it still convicts.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesToHex } from "@tidemark/num";
import {
  buildBatch,
  decodeCheckpoint,
  encodeCheckpoint,
  encodePostBatch,
  genesisTip,
  type SourceCycle,
  tipAfter,
} from "@tidemark/settlement";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  createDisputeClient,
  createWatcherClient,
  developmentAccount,
  type Proposer,
  readBatchEvents,
  transactAll,
  type WatcherClient,
} from "../src/index.ts";
import { signatures } from "./support/venue.ts";
import { createWorld, openForTrading, tradeBackAndForth, type World } from "./support/world.ts";

const DISHONEST = developmentAccount("dishonest proposer");
const CHALLENGER = developmentAccount("challenger");
const BOND_WEI = 10n ** 18n;

let world: World;
let proposer: Proposer;
let folder: string;

beforeEach(async () => {
  world = await createWorld({ furtherProposers: [DISHONEST.address], turnSeconds: 60, openAfterSeconds: 60 });
  for (const { address } of [CHALLENGER, DISHONEST]) await world.l1.setBalance(address, 10n ** 21n);
  await openForTrading(world);
  proposer = await world.proposer();
  folder = join(world.folder, "checkpoints");
});
afterEach(() => world.close());

function watcherOf(checkpoints: string | null = folder, lastBatch = Infinity): Promise<WatcherClient> {
  const { client, deployment } = world;
  const common = { client, deployment, ports: { signatures }, lastBatch };
  return createWatcherClient(checkpoints === null ? common : { ...common, checkpoints });
}

/** One life: ticks until it has compared what is posted, and ends. */
async function life(checkpoints: string | null = folder, lastBatch = Infinity): Promise<WatcherClient> {
  const watcher = await watcherOf(checkpoints, lastBatch);
  const stop = new AbortController();
  await watcher.run({
    signal: stop.signal,
    intervalMs: 1,
    onStatus: ({ fault, batchesCompared, batchesPosted }) => {
      if (fault !== null || batchesCompared >= Math.min(batchesPosted, lastBatch)) stop.abort();
    },
  });
  return watcher;
}

/** After silence everybody with a stake may post. */
async function postBatch(trades: number): Promise<void> {
  await world.mine(60);
  world.venue.marks();
  tradeBackAndForth(world, trades);
  await world.mine();
  expect(await proposer.tick(true)).toMatchObject({ inFlight: 1 });
  await world.mine();
  expect(await proposer.tick(true)).toMatchObject({ inFlight: 0, reverted: 0 });
}

const kept = async (): Promise<string[]> => (await readdir(folder)).sort();
const fileOf = (number: number): string => join(folder, `batch-${String(number).padStart(12, "0")}.checkpoint`);

test("a later life compares only what is new, with the verdict of one that began at genesis", {
  timeout: 120_000,
}, async () => {
  await postBatch(3);
  await postBatch(2);
  await life();
  await postBatch(4);
  const posted = world.venue.cycles.length;
  const resumed = await life();
  expect(await resumed.tick()).toMatchObject({
    ok: true,
    batchesCompared: 3,
    resumedAt: 2,
    cyclesEqual: posted,
    restarts: 0,
  });
  const [head] = [Number(await world.client.getBlockNumber())];
  const [first] = await readBatchEvents(world.client, world.deployment, 0, head);
  expect(resumed.core.checkedHash(1)).toBeNull();
  expect(resumed.core.checkedHash(2)).not.toBe(first?.batchHash);
  const whole = await life(null);
  expect(resumed.core.verdict()).toEqual(whole.core.verdict());
  expect((await whole.tick()).resumedAt).toBe(0);
  expect(await kept()).toHaveLength(2);
});

test("damaged files and checkpoints of other batches are passed over", { timeout: 120_000 }, async () => {
  await postBatch(3);
  await life(folder, 1);
  await postBatch(2);
  await life();
  expect(await kept()).toHaveLength(2);
  const second = await readFile(fileOf(2));
  const genesis = world.deployment.parameters;
  const checkpoint = decodeCheckpoint(new Uint8Array(second), genesis);
  expect(encodeCheckpoint(checkpoint)).toEqual(new Uint8Array(second));
  for (const at of [0, 8, Math.floor(second.length / 2), second.length - 1]) {
    const damaged = Uint8Array.from(second);
    damaged[at] = (damaged[at] as number) ^ 1;
    expect(() => decodeCheckpoint(damaged, genesis), `byte ${at}`).toThrow();
    await writeFile(fileOf(2), damaged);
    expect(await (await watcherOf()).tick(), `byte ${at}`).toMatchObject({
      ok: true,
      resumedAt: 1,
      batchesCompared: 2,
    });
  }
  // Whole, but of a batch that this L1 does not have.
  const foreign = { ...checkpoint, tip: { ...checkpoint.tip, batchHash: `0x${"5a".repeat(32)}` as const } };
  await writeFile(fileOf(2), encodeCheckpoint(foreign));
  expect(await (await watcherOf()).tick()).toMatchObject({ ok: true, resumedAt: 1, batchesCompared: 2 });
  await writeFile(fileOf(2), second);
  await mkdir(fileOf(3));
  expect(await (await watcherOf()).tick()).toMatchObject({ resumedAt: 2 });
});

test("after a reorg the comparison begins again at a checkpoint that still stands", { timeout: 120_000 }, async () => {
  await postBatch(3);
  await life(folder, 1);
  const before = Number(await world.client.getBlockNumber());
  await postBatch(2);
  await life();
  const watcher = await watcherOf();
  expect(await watcher.tick()).toMatchObject({ resumedAt: 2, batchesCompared: 2 });
  await world.l1.reorg(Number(await world.client.getBlockNumber()) - before);
  expect(await watcher.tick()).toMatchObject({ ok: true, resumedAt: 1, batchesCompared: 1, restarts: 1 });
});

test("a folder that cannot be written stops no watch, and says so", { timeout: 120_000 }, async () => {
  await postBatch(3);
  const file = join(world.folder, "no-folder");
  await writeFile(file, "");
  const watcher = await life(file);
  const status = await watcher.tick();
  expect(status).toMatchObject({ ok: true, batchesCompared: 1 });
  expect(status.checkpointFailure).toContain("EEXIST");
});

test("a fraud after the checkpoint is convicted by the life that never saw what came before", {
  timeout: 120_000,
}, async () => {
  await postBatch(3);
  await life();
  await world.mine();
  world.venue.marks();
  tradeBackAndForth(world, 2);
  await world.mine();
  const last = proposer.posted.at(-1)?.header;
  const tip = last === undefined ? genesisTip(world.deployment.genesisRoot) : tipAfter(last);
  const cycles = world.venue.cycles.slice(tip.nextCycle);
  const wrong: SourceCycle[] = cycles.map((one, i) =>
    i === cycles.length - 1 ? { ...one, postRoot: `0x${"5a".repeat(32)}` } : one,
  );
  const { header, data } = buildBatch(tip, wrong, world.deployment.parameters.domain);
  const call = { sender: DISHONEST, to: world.deployment.batchChain, data: bytesToHex(encodePostBatch(header, data)) };
  const what = { ...call, what: "a wrong batch", valueWei: BOND_WEI, gas: 9_000_000n };
  await world.mine(60);
  await transactAll(world.client, [what], { mine: () => world.mine() });
  const { client, deployment } = world;
  const dispute = createDisputeClient({
    client,
    deployment,
    account: CHALLENGER,
    path: join(world.folder, "challenger"),
  });
  try {
    const ports = { signatures };
    const watcher = await createWatcherClient({ client, deployment, ports, dispute, checkpoints: folder });
    expect(await watcher.tick()).toMatchObject({
      ok: false,
      resumedAt: 1,
      fault: { batch: 2 },
      challenge: { step: "sent" },
    });
    await world.mine();
    expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1, batchesDropped: 1, fault: null });
    // No checkpoint of the wrong batch was kept.
    expect(await kept()).toHaveLength(1);
  } finally {
    await dispute.close();
  }
});
