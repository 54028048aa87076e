// One group of records = one entry of the log, keyed by its first sequence. Little-endian:
// magic u32 ‖ crc32 u32 of all that follows ‖ first sequence u64 ‖ count u32 ‖ (length u32 ‖ bytes)…
import { crc32 } from "node:zlib";
import { assert, type SequenceNumber, sequenceNumber } from "@tidemark/num";
import { JournalError } from "./errors.ts";

const GROUP_MAGIC = 0x31474d54;
const HEADER_BYTES = 20;
const CHECKED_FROM = 8;
const LENGTH_BYTES = 4;
/** Groups are cut here so that one entry stays far below the store's limits. A larger record gets a group of its own. */
export const GROUP_BYTES = 1 << 20;
export const RECORD_BYTES_MAX = 16 << 20;

export interface JournalRecord {
  readonly sequence: SequenceNumber;
  readonly bytes: Uint8Array;
}

/** Collects records for one group in memory that the store reads from another thread until the commit. */
export class GroupBuffer {
  private readonly buffer: Buffer;
  private usedBytes = HEADER_BYTES;
  private count = 0;
  private first = 0;

  constructor(capacityBytes = GROUP_BYTES) {
    this.buffer = Buffer.allocUnsafeSlow(capacityBytes);
  }

  get firstSequence(): number {
    return this.first;
  }

  get isReusable(): boolean {
    return this.buffer.length === GROUP_BYTES;
  }

  static capacityFor(recordBytes: number): number {
    return Math.max(GROUP_BYTES, HEADER_BYTES + LENGTH_BYTES + recordBytes);
  }

  hasRoomFor(recordBytes: number): boolean {
    return this.usedBytes + LENGTH_BYTES + recordBytes <= this.buffer.length;
  }

  add(sequence: number, bytes: Uint8Array): void {
    if (this.count === 0) this.first = sequence;
    assert(sequence === this.first + this.count, "records of a group are consecutive");
    this.buffer.writeUInt32LE(bytes.length, this.usedBytes);
    this.buffer.set(bytes, this.usedBytes + LENGTH_BYTES);
    this.usedBytes += LENGTH_BYTES + bytes.length;
    this.count++;
  }

  /** The bytes to store; valid until `reset`. */
  seal(): Buffer {
    assert(this.count > 0, "a group is not empty");
    this.buffer.writeUInt32LE(GROUP_MAGIC, 0);
    this.buffer.writeBigUInt64LE(BigInt(this.first), 8);
    this.buffer.writeUInt32LE(this.count, 16);
    const sealed = this.buffer.subarray(0, this.usedBytes);
    this.buffer.writeUInt32LE(crc32(sealed.subarray(CHECKED_FROM)), 4);
    return sealed;
  }

  reset(): void {
    this.usedBytes = HEADER_BYTES;
    this.count = 0;
  }
}

/** A decoded group; `records` are views into the stored bytes. @throws JournalError CORRUPTED */
export function decodeGroup(key: number, stored: Buffer): JournalRecord[] {
  const fail = (what: string): never => {
    throw new JournalError("CORRUPTED", `log group is damaged: ${what}`, { firstSequence: key, bytes: stored.length });
  };
  if (stored.length < HEADER_BYTES) fail("shorter than its header");
  if (stored.readUInt32LE(0) !== GROUP_MAGIC) fail("wrong magic");
  if (stored.readUInt32LE(4) !== crc32(stored.subarray(CHECKED_FROM))) fail("checksum differs");
  if (stored.readBigUInt64LE(8) !== BigInt(key)) fail("stored under another sequence");
  const count = stored.readUInt32LE(16);
  const records: JournalRecord[] = [];
  let offset = HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    if (offset + LENGTH_BYTES > stored.length) fail("record length beyond the group");
    const length = stored.readUInt32LE(offset);
    offset += LENGTH_BYTES;
    if (offset + length > stored.length) fail("record beyond the group");
    records.push({ sequence: sequenceNumber(key + i), bytes: stored.subarray(offset, offset + length) });
    offset += length;
  }
  if (count === 0 || offset !== stored.length) fail("count does not match its bytes");
  return records;
}
