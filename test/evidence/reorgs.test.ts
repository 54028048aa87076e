// Reorgs of the L1 at depths 1, 2, 7 and 64 in the middle of deposits, batches, challenges and withdrawals, with the embedded L1's reorg
// call. Its slots per epoch put the finalised block below the reorg ("above": everything is done again and the ledger never notices) or
// above it ("below": the reader of the queue stops for good). TIDEMARK_LONG=1 is a part of `npm run test:long -- reorgs`.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  batchChainAbi,
  createClaimsClient,
  createDisputeClient,
  createWatcherClient,
  developmentAccount,
  readBatchEvents,
  readConvictions,
  testUsdcAbi,
  transactAll,
} from "@tidemark/chain";
import type { Hash } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { buildBatch, encodePostBatch, genesisTip } from "@tidemark/settlement";
import { afterAll, expect, test } from "vitest";
import { signatures } from "../../packages/chain/test/support/venue.ts";
import {
  createWorld,
  openForTrading,
  tradeBackAndForth,
  WINDOW_SECONDS,
  type World,
} from "../../packages/chain/test/support/world.ts";
import { Claims } from "../../packages/node/src/venue/claims.ts";
import { OPERATOR } from "../../packages/node/src/venue/contracts.ts";
import { EvidenceRun } from "./run.ts";

const run = new EvidenceRun(20_261_127);
const DEPTHS = [1, 2, 7, 64] as const;
const ACTIVITIES = ["deposits", "batches", "challenges", "withdrawals"] as const;
const SIDES = ["above", "below"] as const;
const ROUNDS_MAX = 40;
const DEPOSIT = 5_000_000;
const WITHDRAWAL = 1_000_000;
const WRONG_ROOT: Hash = `0x${"5a".repeat(32)}`;

type Activity = (typeof ACTIVITIES)[number];
type Side = (typeof SIDES)[number];

interface Drill {
  activity: Activity;
  depth: number;
  side: Side;
  slots: number;
}

/** The finalised block is two epochs behind the latest; with no slots in an epoch it is the latest itself. */
function slotsFor(depth: number, side: Side): number {
  if (side === "above") return depth <= 2 ? 2 : 40;
  return depth <= 2 ? 0 : 2;
}

const DRILLS: readonly Drill[] = ACTIVITIES.flatMap((activity) =>
  SIDES.flatMap((side) => DEPTHS.map((depth) => ({ activity, depth, side, slots: slotsFor(depth, side) }))),
);
/** One of each activity above, one below. */
const SAMPLE = DRILLS.filter(
  ({ activity, depth, side }) => (side === "above" && depth === 2) || (depth === 7 && activity === "batches"),
).filter(({ side, slots }) => side === "below" || slots === 2);

afterAll(() => console.log(run.table()));

interface Scene {
  world: World;
  drill: Drill;
  /** Blocks so that what was just included lies at the bottom of the reorg. */
  bury(): Promise<void>;
  reorg(): Promise<void>;
  /** The rounds of the processes, until `done`. */
  until(what: string, round: () => Promise<unknown>, done: () => Promise<boolean>): Promise<void>;
}

const lastNumber = async ({ client, deployment }: World): Promise<number> =>
  Number(await client.readContract({ address: deployment.batchChain, abi: batchChainAbi, functionName: "lastNumber" }));

const balanceOf = (world: World, address: `0x${string}`): Promise<bigint> =>
  world.client.readContract({
    address: world.deployment.token,
    abi: testUsdcAbi,
    functionName: "balanceOf",
    args: [address],
  });

// ── what is going on when the reorg comes ──────────────────────────────────────────────────────────────────────────

/** What has to be true again afterwards; a sentence for the table. */
type Play = (scene: Scene) => Promise<() => Promise<string>>;

const deposits: Play = async ({ world, bury, drill }) => {
  const { custody, keys, venue } = world;
  await custody.mint(keys.lister, [{ address: keys.alice.address, amountMicroUsdc: 2 * DEPOSIT }]);
  await custody.deposit(keys.alice, world.alice.account, DEPOSIT);
  await bury();
  const before = venue.state.globals.inboundTotal;
  return async () => {
    // The deposit's transaction is gone, and no entry was taken from it.
    expect(await world.consumeQueue()).toBe(0);
    // The reorg may have taken the money's minting with it.
    await custody.mint(keys.lister, [{ address: keys.alice.address, amountMicroUsdc: DEPOSIT }]);
    await custody.deposit(keys.alice, world.alice.account, DEPOSIT);
    for (let i = 0; i < 2 * drill.slots; i++) await world.mine(1);
    expect(await world.consumeQueue()).toBe(1);
    expect(venue.state.globals.inboundTotal - before).toBe(DEPOSIT);
    return "deposit made again, credited once";
  };
};

const batches: Play = async ({ world, bury, until }) => {
  const proposer = await world.proposer();
  const watcher = await createWatcherClient({
    client: world.client,
    deployment: world.deployment,
    ports: { signatures },
  });
  const round = async (): Promise<void> => {
    await proposer.tick(true);
    await world.mine(1);
  };
  await until("the first batch", round, async () => (await lastNumber(world)) === 1);
  const events = async (): Promise<string[]> => {
    const head = Number(await world.client.getBlockNumber({ cacheTime: 0 }));
    return (await readBatchEvents(world.client, world.deployment, 0, head)).map(({ batchHash }) => batchHash);
  };
  const hashes = await events();
  expect((await watcher.tick()).batchesCompared).toBe(1);
  await bury();
  return async () => {
    expect(await lastNumber(world)).toBe(0);
    await until("the batch again", round, async () => (await lastNumber(world)) === 1);
    expect(await events()).toEqual(hashes);
    const status = await watcher.tick();
    expect(status).toMatchObject({ ok: true, batchesCompared: 1, stateRoot: world.venue.state.root() });
    return "posted again, the same hash; the watcher agrees";
  };
};

const challenges: Play = async ({ world, bury, until }) => {
  const { client, deployment, keys, venue, folder } = world;
  const account = developmentAccount("challenger");
  await world.l1.setBalance(account.address, 10n ** 21n);
  const dispute = createDisputeClient({ client, deployment, account, path: join(folder, "challenger") });
  closing.push(() => dispute.close());
  const watcher = await createWatcherClient({ client, deployment, ports: { signatures }, dispute });
  const cycles = venue.cycles.map((cycle, i) =>
    i === venue.cycles.length - 1 ? { ...cycle, postRoot: WRONG_ROOT } : cycle,
  );
  const batch = buildBatch(genesisTip(deployment.genesisRoot), cycles, deployment.parameters.domain);
  const data = bytesToHex(encodePostBatch(batch.header, batch.data));
  const call = { sender: keys.proposer, to: deployment.batchChain, data, valueWei: 10n ** 18n, gas: 9_000_000n };
  await transactAll(client, [{ ...call, what: "a wrong batch" }], { mine: () => world.mine(1) });
  // The wrong batch stays when the conviction goes.
  await bury();
  const round = async (): Promise<void> => {
    await watcher.tick();
    await world.mine(1);
  };
  await until("the conviction", round, async () => (await lastNumber(world)) === 0);
  await bury();
  return async () => {
    expect(await lastNumber(world)).toBe(1);
    await until("the conviction again", round, async () => (await lastNumber(world)) === 0);
    const head = Number(await client.getBlockNumber({ cacheTime: 0 }));
    expect(await readConvictions(client, deployment, 0, head)).toHaveLength(1);
    expect(await watcher.tick()).toMatchObject({ ok: true });
    return "challenged again, convicted once";
  };
};

const withdrawals: Play = async ({ world, bury, until }) => {
  const { client, deployment, venue } = world;
  const recipient = developmentAccount("recipient of a drill").address;
  await world.l1.setBalance(OPERATOR.claimer.address, 10n ** 21n);
  venue.withdraw(world.alice, WITHDRAWAL, recipient);
  const proposer = await world.proposer();
  const watcher = await createWatcherClient({ client, deployment, ports: { signatures }, collectClaims: true });
  const claims = new Claims(client, deployment, () => undefined);
  const reader = createClaimsClient(client, deployment, OPERATOR.claimer);
  let batchesFinal = 0;
  const round = async (): Promise<void> => {
    ({ batchesFinal } = await proposer.tick(true));
    await watcher.tick();
    const list = new Map(watcher.claims.map((claim) => [claim.withdrawalNumber, claim]));
    claims.advance({ proposer: { batchesFinal }, claims: list } as never);
    await sleep(20);
    await world.mine(1);
  };
  await until("the batch", round, async () => (await lastNumber(world)) === 1);
  await world.mine(WINDOW_SECONDS + 1);
  const isPaid = async (): Promise<boolean> => (await balanceOf(world, recipient)) === BigInt(WITHDRAWAL);
  await until("the claim", round, isPaid);
  await bury();
  return async () => {
    expect(await isPaid()).toBe(false);
    await until("the claim again", round, isPaid);
    expect(await reader.isClaimed(0)).toBe(true);
    await until("the claim's rest", round, async () => !claims.busy);
    return "claimed again, paid once";
  };
};

const PLAYS: Readonly<Record<Activity, Play>> = { deposits, batches, challenges, withdrawals };
const closing: (() => Promise<void>)[] = [];

// ── drills ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** @returns what happened, for the table */
async function play(drill: Drill): Promise<string> {
  // Trades only after there are enough blocks that nothing but the activity lies within the reorg.
  const world = await createWorld({ slotsInAnEpoch: drill.slots });
  try {
    await openForTrading(world);
    tradeBackAndForth(world, 6);
    for (let i = 0; i < drill.depth + 2; i++) await world.mine(1);
    const scene: Scene = {
      world,
      drill,
      async bury() {
        for (let i = 1; i < drill.depth; i++) await world.mine(1);
      },
      reorg: () => world.l1.reorg(drill.depth),
      async until(what, round, done) {
        for (let i = 0; i < ROUNDS_MAX; i++) {
          if (await done()) return;
          await round();
        }
        if (!(await done())) throw new Error(`${what}: not after ${ROUNDS_MAX} rounds`);
      },
    };
    const again = await PLAYS[drill.activity](scene);
    // What is final now is what the reader remembers.
    await world.consumeQueue();
    const root = world.venue.state.root();
    await scene.reorg();
    if (drill.side === "above") {
      await world.reader.poll();
      expect(world.venue.state.root(), "the ledger is untouched").toBe(root);
      return await again();
    }
    for (let i = 0; i < 3; i++) {
      await expect(world.reader.poll()).rejects.toMatchObject({ code: "FINALISED_REORG", retryable: false });
      await world.mine(1);
    }
    expect(world.venue.state.root(), "the ledger is untouched").toBe(root);
    return "halted: FINALISED_REORG";
  } finally {
    for (const close of closing.splice(0)) await close();
    await world.close();
  }
}

test("reorgs above the finalised block only delay, below it the venue halts", { timeout: 3_600_000 }, async () => {
  const mine = (run.isLong ? DRILLS : SAMPLE).filter((_, i) => i % run.shards === run.shard);
  run.announce(mine.length);
  for (const drill of mine) {
    const { activity, depth, side, slots } = drill;
    const name = `${activity} ${depth} ${side}`;
    await run.unit(name, async (unit) => {
      let outcome: string;
      try {
        outcome = await play(drill);
      } catch (error) {
        throw new Error(`drill ${name}, ${slots} slots an epoch`, { cause: error });
      }
      unit.rows.push({ key: name, activity, depth, side, slots, outcome });
      unit.attempts += 1;
    });
  }
  expect(run.rows()).toHaveLength(mine.length);
});
