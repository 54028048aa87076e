// Whatever single bit of a batch is wrong, the L1 refuses it when it is posted or a challenge convicts it: real contracts, the
// builder's own challenge, the watcher's own verdict.
import {
  developmentAccount,
  prepareChallenge,
  readBatchEvents,
  readPostedBatch,
  readQueueEntries,
} from "@tidemark/chain";
import type { Hash } from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import { afterAll, beforeAll, expect, test } from "vitest";
import { signatures } from "../../chain/test/support/venue.ts";
import { Random, seedOf } from "../../ledger/test/random.ts";
import {
  type Batch,
  type BatchHeader,
  buildBatch,
  createWatcher,
  cyclesRoot,
  describeFault,
  encodeBatchData,
  encodePostBatch,
  genesisTip,
  hashHeader,
  type SourceCycle,
  type Watcher,
} from "../src/index.ts";
import { BOND_WEI, createDisputeWorld, type DisputeWorld } from "./rules/dispute-world.ts";

const SEED = seedOf(20_261_124);
const PAYLOAD_BITS = 140;
const ROOT_BITS = 20;
const BITS_PER_FIELD = 3;
const ALICE = { account: 2, owner: "alice" };
const BOB = { account: 3, owner: "bob" };

let world: DisputeWorld;
let honest: SourceCycle[];

beforeAll(async () => {
  world = await createDisputeWorld();
  for (let i = 0; i < 3; i++) world.venue.trade({ buyer: ALICE, seller: BOB, lots: 10 });
  world.venue.withdraw(ALICE, 1_000_000, world.challenger.address);
  world.venue.trade({ buyer: BOB, seller: ALICE, lots: 5 });
  honest = [...world.venue.cycles];
  await world.mine();
});
afterAll(() => world.close());

async function rpc(method: string, params: unknown[] = []): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const response = await fetch(world.l1.url, { method: "POST", headers, body });
  const answer = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}

function batchOf(cycles: readonly SourceCycle[]): Batch {
  const { genesisRoot, parameters } = world.deployment;
  return buildBatch(genesisTip(genesisRoot), cycles, parameters.domain);
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = bytes.slice();
  changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
  return changed;
}

type Outcome = "refused by the L1" | "convicted" | "right";

/** A watcher that has seen the queue, and the batch on the L1: what it says, and what the dispute contract says to it. */
async function judge(batch: Batch, place: string): Promise<Outcome> {
  const { client, deployment, challenger } = world;
  const data = bytesToHex(encodePostBatch(batch.header, batch.data));
  try {
    const from = developmentAccount("proposer").address;
    await client.call({ account: from, to: deployment.batchChain, data, value: BOND_WEI });
  } catch {
    return "refused by the L1";
  }
  const snapshot = await rpc("evm_snapshot");
  await world.post(batch, []);
  const head = Number(await client.getBlockNumber({ cacheTime: 0 }));
  const watcher = await watcherUpTo(head);
  const [event] = await readBatchEvents(client, deployment, 0, head);
  if (event === undefined) throw new Error(`${place}: not posted`);
  const fault = watcher.checkBatch(await readPostedBatch(client, event));
  if (fault === null) {
    await rpc("evm_revert", [snapshot]);
    return "right";
  }
  const accused = watcher.accuse();
  if (!accused.ok) throw new Error(`${place}: ${describeFault(fault)}: ${accused.why}`);
  const preparation = await prepareChallenge(client, deployment, challenger.address, accused.accusation);
  await rpc("evm_revert", [snapshot]);
  if (!preparation.ok) throw new Error(`${place}: ${describeFault(fault)}: ${preparation.why}`);
  return "convicted";
}

async function watcherUpTo(head: number): Promise<Watcher> {
  const watcher = createWatcher(world.deployment.parameters, { signatures });
  watcher.addQueueEntries(await readQueueEntries(world.client, world.deployment, 0, head));
  return watcher;
}

test("the honest batch is right, and a changed one is not: the judge can tell", async () => {
  expect(await judge(batchOf(honest), "honest")).toBe("right");
  const postRoot: Hash = `0x${"5a".repeat(32)}`;
  expect(await judge(batchOf(honest.map((one) => ({ ...one, postRoot }))), "all roots")).toBe("convicted");
});

test("one wrong bit in any payload is convicted", { timeout: 240_000 }, async () => {
  const random = new Random(SEED);
  const outcomes = new Map<Outcome, number>();
  for (let i = 0; i < PAYLOAD_BITS; i++) {
    const index = i % honest.length;
    const bit = random.integer(0, 8 * (honest[index] as SourceCycle).payload.length - 1);
    const place = `seed ${SEED}, cycle ${index} (kind ${honest[index]?.kind}), bit ${bit}`;
    const cycles = honest.map((one, at) => (at === index ? { ...one, payload: flip(one.payload, bit) } : one));
    const outcome = await judge(batchWith(cycles), place);
    expect(outcome, place).not.toBe("right");
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  expect(outcomes.get("convicted")).toBe(PAYLOAD_BITS);
});

test("one wrong bit in any root is convicted", { timeout: 120_000 }, async () => {
  const random = new Random(SEED + 1);
  for (let i = 0; i < ROOT_BITS; i++) {
    const index = random.integer(0, honest.length - 1);
    const bit = random.integer(0, 255);
    const cycles = honest.map((one, at) =>
      at === index ? { ...one, postRoot: bytesToHex(flip(hexToBytes(one.postRoot), bit)) } : one,
    );
    const place = `seed ${SEED}, root ${index}, bit ${bit}`;
    expect(await judge(batchWith(cycles), place), place).toBe("convicted");
  }
});

test("one wrong bit in any field of the header is refused or convicted", { timeout: 120_000 }, async () => {
  const random = new Random(SEED + 2);
  const batch = batchOf(honest);
  const outcomes = new Map<string, Outcome[]>();
  for (const name of Object.keys(batch.header) as (keyof BatchHeader)[]) {
    for (let i = 0; i < BITS_PER_FIELD; i++) {
      const header = { ...batch.header };
      const value = header[name];
      // Low bits of numbers: a time may be a little less than it should be, not more than the block's.
      const changed =
        typeof value === "string"
          ? bytesToHex(flip(hexToBytes(value), random.integer(0, 255)))
          : ((value ^ (1 << random.integer(0, name === "timeMs" ? 12 : 4))) >>> 0) + (value - (value >>> 0));
      Object.assign(header, { [name]: changed });
      const place = `seed ${SEED}, header ${name} ${value} → ${changed}`;
      const outcome = await judge({ ...batch, header, batchHash: hashHeader(header) }, place);
      expect(outcome, place).not.toBe("right");
      outcomes.set(name, [...(outcomes.get(name) ?? []), outcome]);
    }
  }
  expect(outcomes.get("timeMs")).toContain("convicted");
});

/** The honest header over other cycles: what a proposer posts who changes a payload or a root and commits to it. */
function batchWith(cycles: readonly SourceCycle[]): Batch {
  const { header } = batchOf(honest);
  const data = encodeBatchData(cycles);
  const last = cycles.at(-1) as SourceCycle;
  const committed = {
    ...header,
    postStateRoot: last.postRoot,
    cyclesRoot: cyclesRoot(cycles),
    dataLength: data.length,
  };
  return { header: committed, batchHash: hashHeader(committed), data };
}
