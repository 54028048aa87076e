// Snapshots: chunks first, the header that makes them visible last. A snapshot without header does not exist; its chunks are
// removed by the next snapshot. Header, little-endian: magic u32 ‖ length u64 ‖ chunk count u32 ‖ sha256 of all bytes 32.
import { createHash, type Hash } from "node:crypto";
import { assert, type SequenceNumber, sequenceNumber } from "@tidemark/num";
import { JournalError } from "./errors.ts";
import type { Store } from "./store.ts";

export interface SnapshotInfo {
  /** The last command that is part of the state. */
  readonly sequence: SequenceNumber;
  readonly lengthBytes: number;
}
export interface Snapshot {
  readonly sequence: SequenceNumber;
  readonly bytes: Uint8Array;
}

const HEADER_MAGIC = 0x31534d54;
const HEADER_CHUNK = -1;
const HEADER_BYTES = 4 + 8 + 4 + 32;
const CHUNK_BYTES = 1 << 20;
/** Chunks that may be on their way at once: bounds memory and how long commands wait behind a snapshot. */
const CHUNKS_PER_COMMIT = 4;

interface Header {
  readonly lengthBytes: number;
  readonly chunkCount: number;
  readonly digest: Buffer;
}

export async function storeSnapshot(store: Store, sequence: number, bytes: Uint8Array, kept: number): Promise<void> {
  const chunkCount = Math.ceil(bytes.length / CHUNK_BYTES);
  const hash = createHash("sha256");
  for (let chunk = 0; chunk < chunkCount; chunk += CHUNKS_PER_COMMIT) {
    const written: Promise<unknown>[] = [];
    for (let i = chunk; i < Math.min(chunk + CHUNKS_PER_COMMIT, chunkCount); i++) {
      const part = Buffer.from(bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
      hash.update(part);
      written.push(store.snapshots.put([sequence, i], part));
    }
    await Promise.all(written);
  }
  const header = encodeHeader(bytes.length, chunkCount, hash);
  const outdated = outdatedKeys(store, sequence, kept);
  await store.snapshots.batch(() => {
    void store.snapshots.put([sequence, HEADER_CHUNK], header);
    for (const key of outdated) void store.snapshots.remove(key);
  });
}

/** All keys but those of `sequence` and of the newest `kept − 1` other complete snapshots. */
function outdatedKeys(store: Store, sequence: number, kept: number): [number, number][] {
  const others = headersOf(store).filter((info) => info.sequence !== sequence);
  const keep = new Set<number>(others.slice(Math.max(0, others.length - (kept - 1))).map((info) => info.sequence));
  keep.add(sequence);
  const outdated: [number, number][] = [];
  for (const key of store.snapshots.getKeys({ snapshot: false })) if (!keep.has(key[0])) outdated.push(key);
  return outdated;
}

/** Ascending by sequence. */
export function headersOf(store: Store): SnapshotInfo[] {
  const found: SnapshotInfo[] = [];
  for (const [sequence, chunk] of store.snapshots.getKeys({ snapshot: false })) {
    if (chunk !== HEADER_CHUNK) continue;
    const header = readHeader(store, sequence);
    found.push({ sequence: sequenceNumber(sequence), lengthBytes: header.lengthBytes });
  }
  return found;
}

/** @throws JournalError CORRUPTED */
export function loadSnapshot(store: Store, sequence: number): Snapshot {
  const header = readHeader(store, sequence);
  const bytes = Buffer.allocUnsafeSlow(header.lengthBytes);
  const hash = createHash("sha256");
  let offset = 0;
  for (let chunk = 0; chunk < header.chunkCount; chunk++) {
    const part = store.snapshots.get([sequence, chunk]);
    if (part === undefined || offset + part.length > bytes.length) {
      throw new JournalError("CORRUPTED", "a chunk of the snapshot is missing or too long", { sequence, chunk });
    }
    part.copy(bytes, offset);
    hash.update(part);
    offset += part.length;
  }
  if (offset !== bytes.length || !hash.digest().equals(header.digest)) {
    throw new JournalError("CORRUPTED", "the snapshot is damaged: checksum differs", { sequence });
  }
  return { sequence: sequenceNumber(sequence), bytes };
}

function encodeHeader(lengthBytes: number, chunkCount: number, hash: Hash): Buffer {
  const header = Buffer.allocUnsafeSlow(HEADER_BYTES);
  header.writeUInt32LE(HEADER_MAGIC, 0);
  header.writeBigUInt64LE(BigInt(lengthBytes), 4);
  header.writeUInt32LE(chunkCount, 12);
  header.set(hash.digest(), 16);
  return header;
}

function readHeader(store: Store, sequence: number): Header {
  const stored = store.snapshots.get([sequence, HEADER_CHUNK]);
  if (stored === undefined) throw new JournalError("NOT_FOUND", "no snapshot at this sequence", { sequence });
  if (stored.length !== HEADER_BYTES || stored.readUInt32LE(0) !== HEADER_MAGIC) {
    throw new JournalError("CORRUPTED", "the snapshot's header is damaged", { sequence });
  }
  const lengthBytes = Number(stored.readBigUInt64LE(4));
  const chunkCount = stored.readUInt32LE(12);
  if (chunkCount !== Math.ceil(lengthBytes / CHUNK_BYTES)) {
    throw new JournalError("CORRUPTED", "the snapshot's header is damaged", { sequence, lengthBytes, chunkCount });
  }
  assert(Number.isSafeInteger(lengthBytes), "a snapshot length is a safe integer");
  return { lengthBytes, chunkCount, digest: stored.subarray(16) };
}
