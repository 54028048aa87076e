// Frauds of a whole batch rather than of a cycle: what its header says, what it consumes of the queue, how it is posted, its blob.
import {
  applyPayload,
  encodeCycle,
  encodeInboundEntry,
  type Hash,
  type InboundEntry,
  inboundHashNext,
} from "@tidemark/ledger";
import { type BatchHeader, hashHeader } from "@tidemark/settlement";
import { account, at } from "../../packages/ledger/test/factory.ts";
import { signaturePort } from "../../packages/ledger/test/keys.ts";
import { forgedOf } from "./forgery.ts";
import { BLOB_BUILDS, blobPosting, cachedKzg, inItsBlob, postInBlobCall, REFUSED_CALLS } from "./fraud-blobs.ts";
import {
  BLOB_FRAUDS,
  BLOB_REFUSALS,
  type CURSOR_FRAUDS,
  HEADER_FIELDS,
  keyOf,
  PAYLOAD_FRAUDS,
  POSTING_ERRORS,
  type QUEUE_FRAUDS,
  UNDECODABLE_IN_BLOB,
} from "./fraud-plan.ts";
import type { Planter } from "./fraud-planter.ts";
import { POSTING_FRAUDS, refusalOf } from "./fraud-posting.ts";
import { record, recordRefusal, type Search } from "./fraud-search.ts";
import { type L1Stream, queueFor, type SoundCycle } from "./history.ts";

const WRONG_WORD: Hash = `0x${"5a".repeat(32)}`;

/** An entry that changes nothing: its account does not exist. */
const idle = (minNonce: number): InboundEntry => ({
  type: "cancelAll",
  account: account(4_000),
  minNonce: minNonce as never,
});

/** A right cycle that nothing follows, and everything before it posted. */
async function lastSound(stream: L1Stream, planter: Planter): Promise<SoundCycle> {
  stream.venue.advance(5_000);
  stream.must(stream.venue.inbound(idle(1)));
  const { sound } = planter.kept;
  await planter.followTo(sound.length - 1);
  const cycle = sound[sound.length - 1] as SoundCycle;
  await queueFor(planter.l1, [cycle]);
  return cycle;
}

export async function plantInFrame(stream: L1Stream, search: Search): Promise<void> {
  const { planter, unit, lacking } = search;
  const { l1 } = planter;
  const cycle = await lastSound(stream, planter);
  const batch = planter.batchOf([forgedOf(cycle)]);
  const right = await refusalOf(l1, { calls: [l1.postCall(batch)], timeMs: batch.header.timeMs });
  if (right !== null) throw new Error(`the right batch is refused: ${right}`);
  for (const error of POSTING_ERRORS) {
    const row = lacking.get(keyOf("posting", error));
    const build = POSTING_FRAUDS[error];
    if (row === undefined || build === undefined) continue;
    const refusal = await refusalOf(l1, await build({ l1, batch }));
    if (refusal !== error) throw new Error(`posting ${error}: ${refusal ?? "taken"}`);
    recordRefusal(unit, row, refusal);
    lacking.delete(row.key);
  }
  for (const field of Object.keys(HEADER_FIELDS) as (keyof BatchHeader)[]) {
    const row = lacking.get(keyOf("header", field));
    if (row === undefined) continue;
    const value = batch.header[field];
    const other = typeof value === "string" ? WRONG_WORD : value + 1;
    const header = { ...batch.header, [field]: other };
    const forged = { header, batchHash: hashHeader(header), data: batch.data };
    const refusal = await refusalOf(l1, { calls: [l1.postCall(forged)], timeMs: header.timeMs });
    if (refusal === null) record(unit, row, await planter.batch(forged));
    else recordRefusal(unit, row, refusal);
    lacking.delete(row.key);
  }
  for (const [what, shift] of [
    ["header before its last cycle", -1],
    ["header after its last cycle", 1],
  ] as const) {
    const row = lacking.get(keyOf("time", what));
    if (row === undefined) continue;
    record(unit, row, await planter.batch(planter.batchOf([forgedOf(cycle)], { timeMs: cycle.timeMs + shift })));
    lacking.delete(row.key);
  }
  for (const [what, payload] of Object.entries(PAYLOAD_FRAUDS)) {
    const row = lacking.get(keyOf("payload", what));
    if (row === undefined) continue;
    const bad = { payload, postRoot: WRONG_WORD, claims: null };
    record(unit, row, await planter.batch(planter.batchOf([forgedOf(cycle), bad])));
    lacking.delete(row.key);
  }
}

interface QueueFraud {
  /** What the cycle holds where the queue has idle(2), idle(3). */
  entries: InboundEntry[];
  /** Entries that the header says are consumed. */
  said: number;
  /** By which the batch is refused with the header that its cycle makes; null: it is the header that is wrong. */
  refusal: "InboundHashMismatch" | null;
}

const QUEUE: Readonly<Record<(typeof QUEUE_FRAUDS | typeof CURSOR_FRAUDS)[number], QueueFraud>> = {
  "entry skipped": { entries: [idle(3)], said: 1, refusal: "InboundHashMismatch" },
  "entry invented": { entries: [idle(2), idle(7)], said: 2, refusal: "InboundHashMismatch" },
  "entries exchanged": { entries: [idle(3), idle(2)], said: 2, refusal: "InboundHashMismatch" },
  "entry changed": { entries: [idle(6)], said: 1, refusal: "InboundHashMismatch" },
  "entry passed over": { entries: [idle(2)], said: 2, refusal: null },
  "entry consumed, the header says not": { entries: [idle(2)], said: 0, refusal: null },
};

/** Inbound cycles that the ledger takes but that are not the queue's: their own hash is refused, the queue's hash contradicts the state. */
export async function plantInQueue(stream: L1Stream, search: Search): Promise<void> {
  const { planter, unit, lacking } = search;
  const { l1 } = planter;
  await planter.followTo(planter.kept.sound.length);
  const queued = [idle(2), idle(3)].map((entry) => encodeInboundEntry(entry));
  await l1.queue(queued);
  const { tip } = l1;
  for (const [what, { entries, said, refusal }] of Object.entries(QUEUE)) {
    const row = lacking.get(keyOf("queue", what));
    if (row === undefined) continue;
    const timeMs = at(stream.venue.timeMs);
    const payload = encodeCycle({ kind: "inbound", timeMs, entries });
    const { state } = planter;
    state.mark();
    const verdict = applyPayload(state, payload, { signatures: signaturePort });
    state.rollBack();
    if (!verdict.ok) throw new Error(`${what}: the ledger refuses it`);
    const source = { kind: 9, timeMs, payload, postRoot: verdict.root } as unknown as SoundCycle;
    const own = planter.batchOf([forgedOf(source)]);
    const met = await refusalOf(l1, { calls: [l1.postCall(own)], timeMs });
    if (met !== refusal) throw new Error(`${what}: ${met ?? "taken"}`);
    const inboundHash = queued.slice(0, said).reduce((hash, entry) => inboundHashNext(hash, entry), tip.inboundHash);
    const header = { inboundHash, inboundCursor: tip.inboundCursor + said };
    record(unit, row, await planter.batch(planter.batchOf([forgedOf(source)], header)));
    lacking.delete(row.key);
  }
}

/** Each in a blob transaction of its own, after a right one that the watcher follows. */
export async function plantInBlobs(stream: L1Stream, search: Search): Promise<void> {
  const { planter, unit, lacking } = search;
  const { l1 } = planter;
  const wanted = [...BLOB_FRAUDS, UNDECODABLE_IN_BLOB, ...BLOB_REFUSALS].some((what) =>
    lacking.has(keyOf("blob", what)),
  );
  if (!wanted) return;
  const kzg = await cachedKzg();
  const first = await lastSound(stream, planter);
  stream.venue.advance(5_000);
  stream.must(stream.venue.inbound(idle(1)));
  const last = planter.kept.sound.at(-1) as SoundCycle;
  await queueFor(l1, [last]);
  const posting = blobPosting(planter, kzg, [first, last]);
  const right = inItsBlob(kzg, posting.batch);
  const { timeMs } = posting.batch.header;
  for (const what of BLOB_REFUSALS) {
    const row = lacking.get(keyOf("blob", what));
    if (row === undefined) continue;
    const { error, call } = REFUSED_CALLS[what];
    const refusal = await refusalOf(l1, { calls: [call(planter, right)], timeMs });
    if (refusal !== error) throw new Error(`blob, ${what}: ${refusal ?? "taken"}`);
    recordRefusal(unit, row, refusal);
    lacking.delete(row.key);
  }
  const taken = await refusalOf(l1, { calls: [postInBlobCall(planter, right)], timeMs });
  if (taken !== null) throw new Error(`the right batch in a blob is refused: ${taken}`);
  for (const what of [...BLOB_FRAUDS, UNDECODABLE_IN_BLOB] as const) {
    const row = lacking.get(keyOf("blob", what));
    if (row === undefined) continue;
    const { batch, blob } = BLOB_BUILDS[what](posting);
    try {
      record(unit, row, await planter.batch(batch, blob));
    } catch (error) {
      throw new Error(`planting blob, ${what}`, { cause: error });
    }
    lacking.delete(row.key);
  }
  await planter.followInBlob([first, last], right);
}
