// From closed cycles to the next batch of the chain.
import { CycleKind, type Hash, inboundHashNext, ZERO_HASH } from "@tidemark/ledger";
import { assert, ByteReader } from "@tidemark/num";
import {
  BATCH_VERSION,
  type Batch,
  type BatchHeader,
  cyclesRoot,
  DATA_MODE_BLOB,
  DATA_MODE_CALLDATA,
  encodeBatchData,
  genesisBatchHash,
  hashHeader,
} from "./batch.ts";
import type { SourceCycle } from "./ports.ts";

/** What the next batch continues from. */
export interface BatchTip {
  number: number;
  batchHash: Hash;
  stateRoot: Hash;
  /** Index of the next batch's first cycle. */
  nextCycle: number;
  timeMs: number;
  inboundCursor: number;
  inboundHash: Hash;
}

export function genesisTip(genesisRoot: Hash): BatchTip {
  return {
    number: 0,
    batchHash: genesisBatchHash(genesisRoot),
    stateRoot: genesisRoot,
    nextCycle: 0,
    timeMs: 0,
    inboundCursor: 0,
    inboundHash: ZERO_HASH,
  };
}

export function tipAfter(header: BatchHeader): BatchTip {
  return {
    number: header.number,
    batchHash: hashHeader(header),
    stateRoot: header.postStateRoot,
    nextCycle: header.firstCycle + header.cycleCount,
    timeMs: header.timeMs,
    inboundCursor: header.inboundCursor,
    inboundHash: header.inboundHash,
  };
}

const PAYLOAD_KIND_AT = 1;
/** version, kind, timeMs. */
const PAYLOAD_HEADER_BYTES = 10;

/** The queue entries that a cycle consumes; none for other kinds. @throws DecodeError on a payload that is none. */
export function inboundEntriesOf(payload: Uint8Array): Uint8Array[] {
  if (payload[PAYLOAD_KIND_AT] !== CycleKind.inbound) return [];
  const reader = new ByteReader(payload, PAYLOAD_HEADER_BYTES);
  const entries: Uint8Array[] = [];
  for (let left = reader.u8(); left > 0; left--) entries.push(reader.bytes(reader.u16()));
  reader.end();
  return entries;
}

/** The same batch with its data in the blob of that versioned hash. */
export function inBlob(batch: Batch, versionedHash: Hash): Batch {
  const header = { ...batch.header, dataMode: DATA_MODE_BLOB, dataHash: versionedHash };
  return { ...batch, header, batchHash: hashHeader(header) };
}

/** The cycles are the venue's own, so what does not continue the tip is a bug of the caller. */
export function buildBatch(tip: BatchTip, cycles: readonly SourceCycle[], domain: number): Batch {
  const last = cycles[cycles.length - 1];
  assert(last !== undefined, "a batch has a cycle");
  let { inboundCursor, inboundHash, timeMs } = tip;
  cycles.forEach((cycle, i) => {
    assert(cycle.index === tip.nextCycle + i, `cycle ${cycle.index} continues the chain`);
    assert(cycle.timeMs >= timeMs, `time of cycle ${cycle.index} is monotonic`);
    timeMs = cycle.timeMs;
    for (const entry of inboundEntriesOf(cycle.payload)) {
      inboundHash = inboundHashNext(inboundHash, entry);
      inboundCursor++;
    }
  });
  const data = encodeBatchData(cycles);
  const header: BatchHeader = {
    version: BATCH_VERSION,
    domain,
    number: tip.number + 1,
    parent: tip.batchHash,
    preStateRoot: tip.stateRoot,
    postStateRoot: last.postRoot,
    cyclesRoot: cyclesRoot(cycles),
    cycleCount: cycles.length,
    firstCycle: tip.nextCycle,
    timeMs,
    inboundCursor,
    inboundHash,
    dataMode: DATA_MODE_CALLDATA,
    dataHash: ZERO_HASH,
    dataLength: data.length,
  };
  return { header, batchHash: hashHeader(header), data };
}
