// Fraud proofs end to end: real batches with one fault each on an embedded L1, convicted by one transaction, and a right
// batch that nothing convicts.
import { batchChainAbi, developmentAccount, disputeAbi, stakeRegistryAbi } from "@tidemark/chain";
import { applyPayload, type Cycle, decodeCycle, encodeCycle, type Hash, LedgerState } from "@tidemark/ledger";
import { bytesToHex, keccak256 } from "@tidemark/num";
import { parseEventLogs } from "viem";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { MiniatureVenue, signatures } from "../../chain/test/support/venue.ts";
import {
  accountFaultCells,
  type Batch,
  type BatchCycle,
  buildBatch,
  cyclePath,
  encodeWitness,
  genesisTip,
  hashHeader,
  rootFaultCells,
  type SourceCycle,
} from "../src/index.ts";
import { BOND_WEI, createDisputeWorld, type DisputeWorld } from "./rules/dispute-world.ts";

const ALICE = { account: 2, owner: "alice" };
const BOB = { account: 3, owner: "bob" };
const WRONG_ROOT: Hash = `0x${"5a".repeat(32)}`;

/** Builds cycles that the ledger would refuse, without settling them. */
class Forger extends MiniatureVenue {
  override settle(cycle: Cycle): SourceCycle {
    const payload = encodeCycle(cycle);
    return {
      index: 0,
      kind: payload[1] as number,
      timeMs: cycle.timeMs,
      payload,
      postRoot: WRONG_ROOT,
      fills: 1,
      messages: 1,
      settledDeltas: 2,
    };
  }
}

let world: DisputeWorld;
let honest: SourceCycle[];

beforeAll(async () => {
  world = await createDisputeWorld();
  for (let i = 0; i < 3; i++) world.venue.trade({ buyer: ALICE, seller: BOB, lots: 10 });
  world.venue.withdraw(ALICE, 1_000_000, world.challenger.address);
  honest = [...world.venue.cycles];
});
afterAll(() => world.close());
beforeEach(() => world.mine());

/** The state before cycle `index` of the honest history. */
function stateBefore(index: number): LedgerState {
  const state = LedgerState.genesis(world.deployment.parameters);
  for (const { payload } of honest.slice(0, index)) applyPayload(state, payload, { signatures });
  return state;
}

function batchOf(cycles: readonly SourceCycle[]): Batch {
  const { genesisRoot, parameters } = world.deployment;
  return buildBatch(genesisTip(genesisRoot), cycles, parameters.domain);
}

function claimOf(cycles: readonly BatchCycle[], index: number): [object, object] {
  const { payload, postRoot } = cycles[index] as BatchCycle;
  const claim = { index, postRoot, payload: bytesToHex(payload), path: cyclePath(cycles, index) };
  const before = cycles[index - 1];
  if (before === undefined) return [claim, { payloadHash: WRONG_ROOT, length: 0, postRoot: WRONG_ROOT, path: [] }];
  return [
    claim,
    {
      payloadHash: bytesToHex(keccak256(before.payload)),
      length: before.payload.length,
      postRoot: before.postRoot,
      path: cyclePath(cycles, index - 1),
    },
  ];
}

function decoded(cycle: BatchCycle): Cycle {
  const decoding = decodeCycle(cycle.payload, world.deployment.parameters.domain);
  if (!decoding.ok) throw new Error(decoding.what);
  return decoding.cycle;
}

function rootWitness(cycle: BatchCycle, index: number): string {
  const state = stateBefore(index);
  return bytesToHex(encodeWitness(state, rootFaultCells(state, decoded(cycle))));
}

async function lastNumber(): Promise<bigint> {
  const { batchChain } = world.deployment;
  return world.client.readContract({ address: batchChain, abi: batchChainAbi, functionName: "lastNumber" });
}

/** What the proposer's stake still is. */
async function stake(): Promise<bigint> {
  const { stakeRegistry } = world.deployment;
  const args = [developmentAccount("proposer").address] as const;
  return world.client.readContract({ address: stakeRegistry, abi: stakeRegistryAbi, functionName: "stakeOf", args });
}

/** Convicts with that code: the batch is gone, half of the bond is burnt, half is the challenger's, the stake is slashed. */
function convicted(batch: Batch, functionName: string, args: unknown[], code: number): Promise<void> {
  return world.undone(async () => {
    await world.post(batch, []);
    await convict(functionName, args, code);
  });
}

async function convict(functionName: string, args: unknown[], code: number): Promise<void> {
  expect(await stake()).toBeGreaterThan(0n);
  const burnt = async (): Promise<bigint> => world.client.getBalance({ address: `0x${"00".repeat(18)}dEaD` });
  const rich = async (): Promise<bigint> => world.client.getBalance({ address: world.challenger.address });
  const [burntBefore, richBefore] = [await burnt(), await rich()];
  const { receipt, error } = await world.challenge(functionName, args);
  if (receipt === null) throw new Error(error);
  const [event] = parseEventLogs({ abi: disputeAbi, eventName: "FraudProven", logs: receipt.logs }) as unknown as {
    args: { code: bigint };
  }[];
  expect(Number(event?.args.code)).toBe(code);
  expect(await lastNumber()).toBe(0n);
  expect((await burnt()) - burntBefore).toBe(BOND_WEI / 2n);
  const paid = receipt.gasUsed * receipt.effectiveGasPrice;
  expect((await rich()) - richBefore).toBe(BOND_WEI / 2n - paid);
  expect(await stake()).toBe(0n);
}

const withFault = (index: number, change: Partial<SourceCycle>): SourceCycle[] =>
  honest.map((cycle, i) => (i === index ? { ...cycle, ...change } : cycle));

test("a wrong root after each cycle is proven", async () => {
  for (let index = 0; index < honest.length; index++) {
    const cycles = withFault(index, { postRoot: WRONG_ROOT });
    const batch = batchOf(cycles);
    const witness = rootWitness(cycles[index] as SourceCycle, index);
    await convicted(batch, "challengeRoot", [batch.header, ...claimOf(cycles, index), witness], 0);
  }
});

test("a malformed payload is proven without a witness", async () => {
  const index = honest.length - 1;
  const { payload } = honest[index] as SourceCycle;
  for (const wrong of [payload.subarray(0, -1), Uint8Array.of(1, 77), Uint8Array.of(2)]) {
    const cycles = withFault(index, { payload: wrong });
    const batch = batchOf(cycles);
    await convicted(batch, "challengeRoot", [batch.header, ...claimOf(cycles, index), "0x"], 100);
  }
});

test("a trade without margin is proven at its account", async () => {
  const forger = new Forger(world.deployment.parameters, (honest[honest.length - 1] as SourceCycle).timeMs);
  const state = stateBefore(honest.length);
  // Its nonces begin where the honest venue's did: past them.
  for (let i = 0; i < 8; i++) forger.trade({ buyer: ALICE, seller: BOB, lots: 1 });
  const trade = forger.trade({ buyer: ALICE, seller: BOB, lots: 200_000 });
  // The position counts that an honest proposer would declare.
  const cycle = decoded(trade);
  if (cycle.kind !== "trade") throw new Error("a trade was made");
  for (const account of cycle.accounts) account.positionCount = state.account(account.account)?.positions.length ?? 0;
  const payload = encodeCycle(cycle);
  const last = { ...trade, index: honest.length, payload };
  const cycles = [...honest, last];
  const batch = batchOf(cycles);
  const index = honest.length;
  const witness = bytesToHex(encodeWitness(state, accountFaultCells(state, cycle, BOB.account)));
  const claim = claimOf(cycles, index);
  await convicted(batch, "challengeAccount", [batch.header, ...claim, BigInt(BOB.account), witness], 421);
});

test("a header whose time is not the last cycle's is proven", async () => {
  const batch = batchOf(honest);
  const header = { ...batch.header, timeMs: batch.header.timeMs + 1 };
  const state = stateBefore(honest.length);
  const parts = { ...state.roots(), globals: bytesToHex(state.globalsBytes()) };
  await convicted({ ...batch, header, batchHash: hashHeader(header) }, "challengeHeader", [header, parts], 0);
});

test("nothing convicts a right batch", async () => {
  const batch = batchOf(honest);
  await world.post(batch, honest);
  const attempts: [string, unknown[]][] = [];
  for (const [index, cycle] of honest.entries()) {
    const claim = claimOf(honest, index);
    const witness = rootWitness(cycle, index);
    const state = stateBefore(index);
    const accountWitness = bytesToHex(encodeWitness(state, accountFaultCells(state, decoded(cycle), ALICE.account)));
    attempts.push(["challengeRoot", [batch.header, ...claim, witness]]);
    attempts.push(["challengeRoot", [batch.header, ...claim, "0x"]]);
    attempts.push(["challengeAccount", [batch.header, ...claim, BigInt(ALICE.account), accountWitness]]);
    // Another cycle's witness, another neighbour, another root.
    attempts.push(["challengeRoot", [batch.header, claim[0], claimOf(honest, 0)[1], witness]]);
    attempts.push(["challengeRoot", [batch.header, { ...claim[0], postRoot: WRONG_ROOT }, claim[1], witness]]);
    attempts.push(["challengeRoot", [{ ...batch.header, preStateRoot: WRONG_ROOT }, ...claim, witness]]);
  }
  const state = stateBefore(honest.length);
  const parts = { ...state.roots(), globals: bytesToHex(state.globalsBytes()) };
  attempts.push(["challengeHeader", [batch.header, parts]]);
  for (const [name, args] of attempts) expect((await world.challenge(name, args)).receipt, name).toBeNull();
  expect(await lastNumber()).toBe(1n);
});
