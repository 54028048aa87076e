// One changed byte of posted data: the watcher never agrees, and names the cycle and, for trades, an account.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesToHex } from "@tidemark/num";
import {
  CYCLE_HEAD_BYTES,
  createWatcher,
  decodeBatchData,
  decodePostBatch,
  describeFault,
  type PostedBatch,
  type QueueEntry,
  type WatcherFault,
} from "@tidemark/settlement";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readBatchEvents, readPostedBatch, readQueueEntries, startEmbeddedL1, watchOnce } from "../src/index.ts";
import { startLyingNode } from "./support/lyingNode.ts";
import { signatures } from "./support/venue.ts";
import { createWorld, openForTrading, tradeBackAndForth, type World } from "./support/world.ts";

const TRADES = 8;
const RANDOM_POSITIONS = 1_000;
const SEED = 0x7de_4a11;
/** Selector, header, offset and length words ahead of the data. */
const DATA_AT = 4 + 15 * 32 + 64;

let world: World;
let posted: PostedBatch;
let queue: QueueEntry[];

beforeAll(async () => {
  world = await createWorld();
  await openForTrading(world);
  tradeBackAndForth(world, TRADES);
  world.venue.withdraw(world.alice, 1_000_000, world.keys.alice.address);
  const proposer = await world.proposer();
  await world.mine();
  await proposer.tick(true);
  await world.mine();
  await proposer.tick();
  const head = Number(await world.client.getBlockNumber());
  const [event] = await readBatchEvents(world.client, world.deployment, 0, head);
  if (event === undefined) throw new Error("no batch was posted");
  posted = await readPostedBatch(world.client, event);
  queue = await readQueueEntries(world.client, world.deployment, 0, head);
});
afterAll(() => world.close());

function verdictOf(batch: PostedBatch): WatcherFault | null {
  const watcher = createWatcher(world.deployment.parameters, { signatures });
  expect(watcher.addQueueEntries(queue)).toBeNull();
  return watcher.checkBatch(batch);
}

function flipped(position: number, mask: number): PostedBatch {
  const calldata = posted.calldata.slice();
  calldata[position] = (calldata[position] as number) ^ mask;
  return { ...posted, calldata };
}

/** Start of every cycle in the calldata, and the kind of each. */
function layout(): { starts: number[]; end: number; kinds: number[] } {
  const call = decodePostBatch(posted.calldata);
  const data = call.ok ? decodeBatchData(call.data) : null;
  if (data === null || !data.ok) throw new Error("the posted batch does not decode");
  const starts: number[] = [];
  let at = DATA_AT;
  for (const { payload } of data.cycles) {
    starts.push(at);
    at += CYCLE_HEAD_BYTES + payload.length;
  }
  return { starts, end: at, kinds: data.cycles.map(({ payload }) => payload[1] as number) };
}

/** Park–Miller: the positions are the same on every machine. */
function randomNumbers(seed: number): () => number {
  let state = seed % 2_147_483_647;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state;
  };
}

test("unchanged, the batch agrees", () => {
  expect(verdictOf(posted)).toBeNull();
});

test(`one changed byte at ${RANDOM_POSITIONS} random places and everywhere in a trade's head is always found`, () => {
  const { starts, end, kinds } = layout();
  const firstTrade = kinds.indexOf(3);
  const tradeAt = starts[firstTrade] as number;
  const next = randomNumbers(SEED);
  const places = Array.from({ length: RANDOM_POSITIONS }, () => next() % posted.calldata.length);
  // Length, root, version, kind, time, counts, account, and the first entry's order.
  for (let i = 0; i < CYCLE_HEAD_BYTES + 60; i++) places.push(tradeAt + i);
  let named = 0;
  for (const position of places) {
    const mask = 1 << (next() % 8);
    const fault = verdictOf(flipped(position, mask));
    const place = `seed ${SEED}, byte ${position} ^ ${mask}: ${fault === null ? "agrees" : describeFault(fault)}`;
    expect(fault, place).not.toBeNull();
    if (fault === null) continue;
    expect(fault.batch, place).toBe(1);
    expect(fault.dataCommitted, place).toBe(false);
    // Cycles without accounts concern those that hold what they revalue, or those that trade on top of them.
    expect(fault.account, place).toBeGreaterThanOrEqual(0);
    expect(fault.concern, place).not.toBe("none");
    if (position < DATA_AT || position >= end) continue;
    const cycle = starts.findLastIndex((start) => start <= position);
    expect(fault.cycle, place).toBe(cycle);
    if (kinds[cycle] !== 3) continue;
    expect(fault.account, place).toBeGreaterThanOrEqual(0);
    if (fault.account === world.alice.account || fault.account === world.bob.account) named++;
  }
  // All but the flips that hit an account number itself name one of the two traders.
  expect(named).toBeGreaterThan(CYCLE_HEAD_BYTES + 50);
});

test("every account of a trade is named when its own bytes stop making sense", () => {
  const { starts, kinds } = layout();
  const cycle = kinds.lastIndexOf(3);
  const payloadAt = (starts[cycle] as number) + CYCLE_HEAD_BYTES;
  const accounts = [world.alice.account, world.bob.account].toSorted((a, b) => a - b);
  // Bytes of the first account and entry until the second account: head 5, one leg 1 + 5, terms 32, hasSignature 1.
  const firstAt = payloadAt + 11;
  const isSigned = posted.calldata[firstAt + 5 + 1 + 5 + 32] === 1;
  const secondAt = firstAt + 5 + 1 + 5 + 32 + 1 + (isSigned ? 64 : 0) + 18;
  for (const [at, account] of [
    [firstAt, accounts[0]],
    [secondAt, accounts[1]],
  ] as const) {
    // The account's own flags byte, unknown flags set: undecodable.
    const fault = verdictOf(flipped(at + 5 + 1 + 5 + 31, 0x80));
    expect(fault).toMatchObject({ what: "rejection", code: 100, cycle, account, concern: "touched" });
  }
});

test("bytes that make the ledger throw are a fault of their cycle, not the end of the watcher", () => {
  const throwing = {
    recover: (): never => {
      throw new RangeError("no such point");
    },
  };
  const watcher = createWatcher(world.deployment.parameters, { signatures: throwing as never });
  watcher.addQueueEntries(queue);
  const fault = watcher.checkBatch(posted);
  expect(fault).toMatchObject({ what: "execution", batch: 1 });
  expect(fault?.detail).toContain("cannot execute");
  expect(watcher.verdict().ok).toBe(false);
});

test("a proposer's own lie is told apart from a changed copy, and blamed on the right cycle", () => {
  const call = decodePostBatch(posted.calldata);
  if (!call.ok) throw new Error("the posted batch does not decode");
  const late = { ...posted, blockTimestampSeconds: Math.floor(call.header.timeMs / 1000) - 1 };
  const cycles = call.header.cycleCount;
  expect(verdictOf(late)).toMatchObject({ what: "header", cycle: cycles - 1, dataCommitted: true });
  const foreign = queue.map((entry, i) => (i === 0 ? { ...entry, bytes: entry.bytes.slice(0, -1) } : entry));
  const watcher = createWatcher(world.deployment.parameters, { signatures });
  expect(watcher.addQueueEntries(foreign)).toMatchObject({ what: "queue" });
  const short = createWatcher(world.deployment.parameters, { signatures });
  short.addQueueEntries(queue.slice(0, 2));
  expect(short.checkBatch(posted)).toMatchObject({
    what: "inboundEntry",
    cycle: 0,
    account: world.bob.account,
    dataCommitted: true,
  });
});

test("a byte changed in the L1 dump itself is found by whoever reloads it", async () => {
  const path = join(world.folder, "l1.json");
  await world.l1.dumpState(path);
  const { starts, kinds } = layout();
  const trade = kinds.lastIndexOf(3);
  const at = (starts[trade] as number) + CYCLE_HEAD_BYTES + 40;
  const before = bytesToHex(posted.calldata.subarray(at, at + 64)).slice(2);
  const after = `${before[0] === "0" ? "1" : "0"}${before.slice(1)}`;
  const dump = await readFile(path, "utf8");
  expect(dump).toContain(before);
  await writeFile(path, dump.replaceAll(before, after));
  const copy = await startEmbeddedL1({ loadStateFile: path });
  try {
    const { fault, ok } = await watchOnce(copy.url, world.deployment, { signatures });
    expect(ok).toBe(false);
    expect(fault).toMatchObject({ batch: 1, cycle: trade, kind: "trade", dataCommitted: false });
    expect([world.alice.account, world.bob.account]).toContain(fault?.account);
  } finally {
    await copy.stop();
  }
});

interface RpcLog {
  address: string;
  data: string;
}

test("a node that hides batches or changes the queue is not believed", async () => {
  const { deployment } = world;
  const is = (log: RpcLog, address: string): boolean => log.address.toLowerCase() === address.toLowerCase();
  const hiding = await startLyingNode(world.l1.url, (method, result) =>
    method === "eth_getLogs" ? (result as RpcLog[]).filter((log) => !is(log, deployment.batchChain)) : result,
  );
  const changing = await startLyingNode(world.l1.url, (method, result) => {
    if (method !== "eth_getLogs") return result;
    // The first entry opens account 2: type 1, then the number.
    return (result as RpcLog[]).map((log) =>
      is(log, deployment.custody) ? { ...log, data: log.data.replace("01000002", "01000009") } : log,
    );
  });
  try {
    const failure = watchOnce(hiding.url, deployment, { signatures });
    await expect(failure).rejects.toMatchObject({ code: "L1_INCONSISTENT" });
    const { ok, fault } = await watchOnce(changing.url, deployment, { signatures });
    expect(ok).toBe(false);
    expect(fault).toMatchObject({ what: "queue", batch: 1, cycle: 0 });
  } finally {
    await Promise.all([hiding.stop(), changing.stop()]);
  }
});
