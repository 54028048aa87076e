// Affirmation end to end: a real batch on an embedded L1 is proven right by the compiled rules, in pieces, over two runs, and is final
// after the guard delay; what is wrong is affirmed by nobody.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AffirmProgress,
  affirmationAbi,
  affirmationCalldata,
  affirmBatch,
  type BatchEvent,
  batchChainAbi,
  concludeCalldata,
  createProposer,
  developmentAccount,
  readBatchEvents,
} from "@tidemark/chain";
import { type Hash, LedgerState } from "@tidemark/ledger";
import { type Abi, BaseError, decodeErrorResult, parseAbi } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { signatures } from "../../chain/test/support/venue.ts";
import {
  type AffirmationCall,
  affirmationCalls,
  type Batch,
  buildBatch,
  claimOf as claimIn,
  genesisTip,
  planAffirmation,
  type SourceCycle,
} from "../src/index.ts";
import { createDisputeWorld, type DisputeWorld } from "./rules/dispute-world.ts";

const ALICE = { account: 2, owner: "alice" };
const BOB = { account: 3, owner: "bob" };
const ports = { signatures };
const noBlob = (): Promise<never> => Promise.reject(new Error("no blob"));
/** A third of the window of 600 seconds. */
const GUARD_SECONDS = 200;

let world: DisputeWorld;
let honest: SourceCycle[];
let batch: Batch;
let event: BatchEvent;
const path = mkdtempSync(join(tmpdir(), "affirm-"));

const genesis = (): LedgerState => LedgerState.genesis(world.deployment.parameters);
const batchOf = (cycles: readonly SourceCycle[]): Batch => {
  const { genesisRoot, parameters } = world.deployment;
  return buildBatch(genesisTip(genesisRoot), cycles, parameters.domain);
};

async function postedEvent(): Promise<BatchEvent> {
  const { client, deployment } = world;
  const head = Number(await client.getBlockNumber({ cacheTime: 0 }));
  const [found] = await readBatchEvents(client, deployment, deployment.deployedAtBlock, head);
  if (found === undefined) throw new Error("the batch is posted");
  return found;
}

beforeAll(async () => {
  world = await createDisputeWorld();
  for (let i = 0; i < 3; i++) world.venue.trade({ buyer: ALICE, seller: BOB, lots: 10 });
  world.venue.withdraw(ALICE, 1_000_000, world.challenger.address);
  world.venue.trade({ buyer: BOB, seller: ALICE, lots: 5 });
  honest = [...world.venue.cycles];
  batch = batchOf(honest);
  await world.mine();
});
afterAll(async () => {
  await world.close();
  rmSync(path, { recursive: true, force: true });
});

function run(onProgress: (progress: AffirmProgress) => void) {
  return affirmBatch({
    client: world.client,
    deployment: world.deployment,
    account: world.challenger,
    path,
    event,
    batch: { header: batch.header, cycles: honest },
    state: genesis(),
    ports,
    pause: () => world.mine(),
    onProgress,
  });
}

const concludeData = ({ header }: Batch): `0x${string}` => concludeCalldata(header);

/** Why the affirmation contract refuses the call; "" when it takes it. */
async function refusal(data: `0x${string}`): Promise<string> {
  try {
    await world.client.call({ account: world.challenger.address, to: world.deployment.affirmation, data });
    return "";
  } catch (error) {
    return error instanceof BaseError ? error.walk().message : String(error);
  }
}

/** By the selector of the contract's error. */
async function refusedWith(call: AffirmationCall, header = batch.header): Promise<string> {
  const data = await affirmationCalldata(header, call, noBlob);
  try {
    await world.client.call({ account: world.challenger.address, to: world.deployment.affirmation, data });
    return "";
  } catch (error) {
    const revert = (error as BaseError).walk((cause) => "data" in (cause as object)) as { data?: unknown } | null;
    const raw = revert?.data as `0x${string}` | { data?: `0x${string}` } | undefined;
    const bytes = typeof raw === "object" ? raw.data : raw;
    if (bytes === undefined || bytes === "0x") return "reverted";
    // Errors of the rules are not in the ABI of who calls them.
    const [named] = parseAbi(["error StateRootMismatch(bytes32)"]);
    return decodeErrorResult({ abi: [...affirmationAbi, named] as Abi, data: bytes }).errorName;
  }
}

test("a batch with a wrong root is planned by nobody, and its wrong cycle affirmed by nobody", async () => {
  const wrongRoot: Hash = `0x${"5a".repeat(32)}`;
  const cycles = honest.map((cycle, i) => (i === 4 ? { ...cycle, postRoot: wrongRoot } : cycle));
  const wrong = batchOf(cycles);
  const plan = planAffirmation(genesis(), { header: wrong.header, cycles }, ports);
  expect(plan).toEqual({ ok: false, why: "batch 1 is wrong: cycle 4, code 0" });
  await world.undone(async () => {
    await world.post(wrong, cycles);
    // The right batch's calls, aimed at the wrong batch: only the cycles before the forged one are in it.
    const refusals: string[] = [];
    for (const call of affirmationCalls(genesis(), { header: batch.header, cycles: honest }, ports, () => true)) {
      if (call.piece.what !== "cycle" || !("claim" in call)) continue;
      const { index } = call.piece;
      const claim = { ...call, claim: { ...call.claim, ...claimIn(cycles, index).claim } };
      refusals.push(await refusedWith({ ...claim, previous: claimIn(cycles, index).previous }, wrong.header));
    }
    expect(refusals.slice(0, 4)).toEqual(["", "", "", ""]);
    // Another root claimed; a witness of another state.
    expect(refusals[4]).toBe("NotRight");
    expect(refusals[5]).toBe("StateRootMismatch");
    expect(await refusal(concludeData(wrong))).not.toBe("");
  });
});

test("a batch is affirmed over two runs and final after the guard delay", async () => {
  await world.post(batch, honest);
  event = await postedEvent();
  const plan = planAffirmation(genesis(), { header: batch.header, cycles: honest }, ports);
  if (!plan.ok) throw new Error(plan.why);
  expect(plan.pieces.filter(({ what }) => what === "account").length).toBeGreaterThan(6);

  // The first run is broken off when half of the checks are there.
  const half = Math.floor(plan.pieces.length / 2);
  await expect(
    run(({ affirmed }) => {
      if (affirmed >= half) throw new Error("broken off");
    }),
  ).rejects.toThrow("broken off");
  expect(await refusal(concludeData(batch))).not.toBe("");

  const seen: number[] = [];
  const result = await run(({ affirmed }) => seen.push(affirmed));
  expect(result.affirmedBefore).toBeGreaterThanOrEqual(half);
  expect(result.affirmedBefore).toBeLessThan(plan.pieces.length);
  expect(seen.at(-1)).toBe(plan.pieces.length);
  expect(result.calls.length).toBeGreaterThan(1);
  expect(result.calls.every(({ gasUsed }) => gasUsed > 40_000 && gasUsed < 12_000_000)).toBe(true);
  expect(result.finalisableAtSeconds).toBe(result.provenAtSeconds + GUARD_SECONDS);
  expect(result.finalisableAtSeconds).toBeLessThan(event.floorSeconds);

  const { client, deployment, challenger } = world;
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const simulate = () =>
    client.simulateContract({ ...chain, functionName: "finalise", args: [1n], account: challenger.address });
  await expect(simulate()).rejects.toThrow("FloorNotReached");
  while (Number((await client.getBlock()).timestamp) < result.finalisableAtSeconds) await world.mine(GUARD_SECONDS / 2);
  expect(Number((await client.getBlock()).timestamp)).toBeLessThan(event.floorSeconds);
  await simulate();

  // The proposer learns of the proof from the L1 and does not wait for the floor.
  const source = {
    read: async (from: number, count: number) => honest.slice(from, from + count),
    count: async () => honest.length,
  };
  const proposerPath = join(path, "proposer");
  const account = developmentAccount("proposer");
  const proposer = await createProposer({ client, deployment, account, source, path: proposerPath });
  try {
    for (let round = 0; round < 4; round++) {
      await proposer.tick();
      await world.mine();
    }
  } finally {
    await proposer.close();
  }
  expect(await client.readContract({ ...chain, functionName: "lastFinal" })).toBe(1n);
  expect(Number((await client.getBlock()).timestamp)).toBeLessThan(event.floorSeconds);
});

test("a third run finds nothing to do", async () => {
  const result = await run(() => undefined);
  expect(result.calls).toEqual([]);
  expect(result.affirmedBefore).toBe(result.pieces);
});
