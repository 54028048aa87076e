// L1 reorgs against the reader, the proposer and the watcher.
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  createInboundReader,
  createReorgTracker,
  createWatcherClient,
  PROPOSER_POLICY_DEFAULT,
  readBatchEvents,
} from "../src/index.ts";
import { signatures } from "./support/venue.ts";
import { createWorld, openForTrading, tradeBackAndForth, WINDOW_SECONDS, type World } from "./support/world.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const batchHashes = async (): Promise<string[]> => {
  const head = Number(await world.client.getBlockNumber());
  return (await readBatchEvents(world.client, world.deployment, 0, head)).map(({ batchHash }) => batchHash);
};

test("the tracker tells depth and common block, and that nothing happened", async () => {
  const tracker = createReorgTracker(world.client);
  await tracker.observe();
  for (let i = 0; i < 6; i++) await world.mine();
  const calm = await tracker.observe();
  expect(calm.depth).toBe(0);
  await world.l1.reorg(3);
  expect(await tracker.observe()).toMatchObject({ depth: 3, commonNumber: calm.head.number - 3, beyondMemory: false });
  await world.mine();
  expect(await tracker.observe()).toMatchObject({ depth: 0 });
  expect(tracker.depthMax).toBe(3);
});

test("a reorg above the finalised block only delays; below it the reader stops for good", async () => {
  const { custody, keys, l1, reader } = world;
  await custody.mint(keys.lister, [{ address: keys.alice.address, amountMicroUsdc: 10 }]);
  await custody.openAccounts([{ owner: keys.alice, depositMicroUsdc: 5 }]);
  await world.finaliseL1();
  expect(await reader.poll()).toHaveLength(2);
  const resumed = createInboundReader(world.client, world.deployment, { ...reader.cursor });
  await custody.deposit(keys.alice, 2, 5);
  await l1.reorg(1);
  await world.finaliseL1();
  // The deposit's transaction is gone: no entry, and no error.
  expect(await resumed.poll()).toEqual([]);
  await reader.poll();
  await l1.reorg(7);
  await expect(reader.poll()).rejects.toMatchObject({ code: "FINALISED_REORG", retryable: false });
  await expect(resumed.poll()).rejects.toMatchObject({ name: "FinalisedReorgError" });
});

test("a batch that a reorg removed is posted again with the same content, and the watcher never restarts", async () => {
  await openForTrading(world);
  tradeBackAndForth(world, 10);
  const proposer = await world.proposer();
  const ports = { signatures };
  const watcher = await createWatcherClient({ client: world.client, deployment: world.deployment, ports });
  await world.mine();
  await proposer.tick(true);
  await world.mine();
  expect(await proposer.tick(true)).toMatchObject({ batchesPosted: 1 });
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1 });
  const before = await batchHashes();
  await world.l1.reorg(1);
  expect(await batchHashes()).toEqual([]);
  expect(await proposer.tick(true)).toMatchObject({ batchesPosted: 0, inFlight: 1, removedByReorg: 1 });
  await world.mine();
  const after = await proposer.tick(true);
  expect(after).toMatchObject({ batchesPosted: 1, inFlight: 0, reverted: 0, cyclesPosted: world.venue.cycles.length });
  expect(after.l1Gas).toBeGreaterThan(0);
  expect(await batchHashes()).toEqual(before);
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1, restarts: 0 });
});

test("when a reorg leads to other batches, the watcher compares them from the beginning", async () => {
  await openForTrading(world);
  tradeBackAndForth(world, 10);
  const ports = { signatures };
  const watcher = await createWatcherClient({ client: world.client, deployment: world.deployment, ports });
  const proposer = await world.proposer();
  await world.mine();
  await proposer.tick(true);
  await world.mine();
  await proposer.tick(true);
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1 });
  await world.l1.reorg(1);
  // A proposer that lost its outbox and cuts smaller batches: the same cycles in other batches.
  await proposer.close();
  const cut = { ...PROPOSER_POLICY_DEFAULT.cut, cyclesMax: 4 };
  const other = await world.proposer({
    path: join(world.folder, "other"),
    policy: { ...PROPOSER_POLICY_DEFAULT, cut },
  });
  for (let i = 0; i < 3; i++) {
    await other.tick(true);
    await world.mine();
  }
  expect(await other.tick(true)).toMatchObject({ cyclesPosted: world.venue.cycles.length, reverted: 0 });
  const status = await watcher.tick();
  expect(status).toMatchObject({ ok: true, restarts: 1, cyclesEqual: world.venue.cycles.length });
  expect(status.batchesCompared).toBe((await batchHashes()).length);
  expect(status.stateRoot).toBe(world.venue.state.root());
});

test("a proposer resumes from its outbox before inclusion, and from the L1 alone after", async () => {
  await openForTrading(world);
  tradeBackAndForth(world, 600);
  await world.mine();
  const first = await world.proposer();
  expect(await first.tick(true)).toMatchObject({ inFlight: 3, batchesPosted: 0 });
  await first.close();
  const second = await world.proposer();
  expect(await second.tick(true)).toMatchObject({ inFlight: 3, batchesPosted: 0 });
  await world.mine();
  expect(await second.tick(true)).toMatchObject({ inFlight: 0, batchesPosted: 3, fillsPosted: 600, reverted: 0 });
  await second.close();
  tradeBackAndForth(world, 5);
  await world.mine();
  const third = await world.proposer({ path: join(world.folder, "empty") });
  expect(await third.tick(true)).toMatchObject({ inFlight: 1, batchesPosted: 3, fillsPosted: 600 });
  await world.mine();
  expect(await third.tick(true)).toMatchObject({ batchesPosted: 4, cyclesPosted: world.venue.cycles.length });
  // Its own cycles differ from what is posted: somebody else's batches, or a broken store.
  const foreign = {
    count: () => world.venue.count(),
    read: (at: number, most: number) => world.venue.read(at + 1, most),
  };
  const confused = await world.proposer({ path: join(world.folder, "confused"), source: foreign });
  const waits = await confused.tick(true);
  expect(waits).toMatchObject({ batchesPosted: 0, inFlight: 0, foreign: { number: 1, detail: "cycle 1 differs" } });
  await world.mine(WINDOW_SECONDS);
  await third.tick();
  await world.mine();
  await expect(confused.tick(true)).rejects.toMatchObject({ code: "FOREIGN_BATCH", retryable: false });
});

test("a reorg that takes the queue below a batch makes the proposer stop instead of sending for ever", async () => {
  await openForTrading(world);
  const proposer = await world.proposer();
  await world.mine();
  await proposer.tick(true);
  await world.mine();
  await proposer.tick(true);
  // Below the finalised block: the accounts and deposits that the batch consumed are gone.
  await world.l1.reorg(8);
  const rounds = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) {
      await proposer.tick(true);
      await world.mine();
    }
  };
  await expect(rounds()).rejects.toMatchObject({ code: "TRANSACTION_REVERTED", retryable: false });
});
