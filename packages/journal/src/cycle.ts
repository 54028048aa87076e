// The stored form of one settled cycle. Little-endian: crc32 u32 of all that follows ‖ index u64 ‖ kind u8 ‖ timeMs u64 ‖
// fills u32 ‖ messages u32 ‖ settledDeltas u32 ‖ postRoot 32 ‖ payload.
import { crc32 } from "node:zlib";
import { assert, bytesToHex, hexToBytes, type TimestampMs, timestampMs } from "@tidemark/num";
import { JournalError } from "./errors.ts";

export interface CycleRecord {
  /** From 0, without gaps. */
  readonly index: number;
  /** Kind code of the ledger. */
  readonly kind: number;
  readonly timeMs: TimestampMs;
  readonly payload: Uint8Array;
  readonly postRoot: `0x${string}`;
  /** Engine fills that this cycle settles. */
  readonly fills: number;
  /** Engine commands since the previous cycle. */
  readonly messages: number;
  readonly settledDeltas: number;
}

const ROOT_BYTES = 32;
const HEADER_BYTES = 4 + 8 + 1 + 8 + 4 + 4 + 4 + ROOT_BYTES;

export function encodeCycle(record: CycleRecord): Buffer {
  const root = hexToBytes(record.postRoot);
  assert(root.length === ROOT_BYTES, "a post root has 32 bytes");
  assert(Number.isSafeInteger(record.index) && record.index >= 0, "a cycle index is a safe integer from 0");
  const stored = Buffer.allocUnsafeSlow(HEADER_BYTES + record.payload.length);
  let offset = stored.writeBigUInt64LE(BigInt(record.index), 4);
  offset = stored.writeUInt8(record.kind, offset);
  offset = stored.writeBigUInt64LE(BigInt(record.timeMs), offset);
  offset = stored.writeUInt32LE(record.fills, offset);
  offset = stored.writeUInt32LE(record.messages, offset);
  offset = stored.writeUInt32LE(record.settledDeltas, offset);
  stored.set(root, offset);
  stored.set(record.payload, offset + ROOT_BYTES);
  stored.writeUInt32LE(crc32(stored.subarray(4)), 0);
  return stored;
}

/** @throws JournalError CORRUPTED */
export function decodeCycle(index: number, stored: Buffer): CycleRecord {
  if (stored.length < HEADER_BYTES || stored.readUInt32LE(0) !== crc32(stored.subarray(4))) {
    throw new JournalError("CORRUPTED", "cycle record is damaged: checksum differs", { index, bytes: stored.length });
  }
  if (stored.readBigUInt64LE(4) !== BigInt(index)) {
    throw new JournalError("CORRUPTED", "cycle record is stored under another index", { index });
  }
  return {
    index,
    kind: stored.readUInt8(12),
    timeMs: timestampMs(Number(stored.readBigUInt64LE(13))),
    fills: stored.readUInt32LE(21),
    messages: stored.readUInt32LE(25),
    settledDeltas: stored.readUInt32LE(29),
    postRoot: bytesToHex(stored.subarray(33, 33 + ROOT_BYTES)),
    payload: stored.subarray(HEADER_BYTES),
  };
}
