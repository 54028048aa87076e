// What the proposer does about a venue that is wound up: it posts nothing more, sends nothing that the L1 would refuse, says so,
// and sees to it that what was posted becomes final.
import { afterAll, beforeAll, expect, test } from "vitest";
import { batchChainAbi, createEscapeClient, custodyAbi, type Proposer, runRounds } from "../src/index.ts";
import { createWorld, openForTrading, tradeBackAndForth, WINDOW_SECONDS, type World } from "./support/world.ts";

const FORCED_SECONDS = 3_600;

let world: World;
let proposer: Proposer;
beforeAll(async () => {
  world = await createWorld({ forcedPeriodSeconds: FORCED_SECONDS });
  await openForTrading(world);
  proposer = await world.proposer();
});
afterAll(() => world.close());

const isFrozen = (): Promise<boolean> =>
  world.client.readContract({ address: world.deployment.custody, abi: custodyAbi, functionName: "frozen" });
const lastNumber = async (): Promise<number> =>
  Number(
    await world.client.readContract({
      address: world.deployment.batchChain,
      abi: batchChainAbi,
      functionName: "lastNumber",
    }),
  );

async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await proposer.tick(true);
    await world.mine();
  }
}

test("a frozen venue is told once as what it is, and nothing is posted into reverts", async () => {
  const { custody, keys, client, deployment, l1 } = world;
  tradeBackAndForth(world, 2);
  await rounds(3);
  expect(proposer.status).toMatchObject({ frozen: false, batchesPosted: 1, cyclesPosted: world.venue.count() });
  // Nobody consumes it.
  await custody.forceLiquidation(keys.bob, world.alice.account);
  // Cycles that wait while the deadline passes, and one batch on its way when the custody freezes.
  tradeBackAndForth(world, 2);
  await world.mine(FORCED_SECONDS + 1);
  const escapeClient = createEscapeClient(client, deployment, keys.bob, { mine: () => world.mine() });
  const before = await proposer.tick(true);
  expect(before).toMatchObject({ frozen: false, inFlight: 1 });
  await world.mine();
  const posted = await lastNumber();
  const forced =
    Number(await client.readContract({ address: deployment.custody, abi: custodyAbi, functionName: "queueLength" })) -
    1;
  await escapeClient.freezeForMissedEntry(forced);
  expect(await isFrozen()).toBe(true);

  world.venue.marks();
  tradeBackAndForth(world, 4);
  const nonce = (): Promise<number> => client.getTransactionCount({ address: keys.proposer.address });
  await proposer.tick(true);
  await world.mine();
  const sent = await nonce();
  for (let i = 0; i < 30; i++) {
    const status = await proposer.tick(true);
    expect(status).toMatchObject({ frozen: true, batchesPosted: posted, reverted: 0 });
    await l1.mine(Number((await client.getBlock()).timestamp) + 1);
  }
  expect(await nonce()).toBe(sent);
  expect(proposer.status?.cyclesPosted).toBeLessThan(world.venue.count());

  // The loop that a process runs neither ends nor asks to be called again.
  const controller = new AbortController();
  const retried: string[] = [];
  let told = 0;
  await runRounds(
    async () => {
      await proposer.tick(true);
      if (++told === 5) controller.abort();
    },
    { signal: controller.signal, intervalMs: 1, onRetry: ({ code }) => retried.push(code) },
  );
  expect(retried).toEqual([]);

  // What was posted in time is settled.
  await world.mine(WINDOW_SECONDS);
  await rounds(4);
  expect(proposer.status).toMatchObject({ frozen: true, batchesFinal: posted, reverted: 0 });
  expect(await lastNumber()).toBe(posted);
});
