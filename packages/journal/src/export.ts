// A journal as one portable file: what another machine needs to replay a run.
// File = magic ‖ entries. Entry, little-endian: type u8 ‖ length u32 ‖ crc32 u32 of type and payload ‖ payload. Order: identity,
// commands, cycles, snapshots (header, then chunks), trailer with the counts and a sha256 of all bytes before the trailer.
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { decodeCycle, encodeCycle } from "./cycle.ts";
import { JournalError } from "./errors.ts";
import { type Journal, type JournalReader, openJournal, openJournalReader } from "./journal.ts";
import { FORMAT_VERSION, type JournalIdentity } from "./store.ts";

const MAGIC = Buffer.from("TIDEMARK JOURNAL\n", "ascii");
const EntryType = { identity: 1, command: 2, cycle: 3, snapshot: 4, snapshotChunk: 5, trailer: 6 } as const;
const ENTRY_HEADER_BYTES = 9;
const ENTRY_BYTES_MAX = 64 << 20;
const CHUNK_BYTES = 1 << 20;
const TRAILER_BYTES = 8 + 8 + 8 + 32;

export interface ExportCounts {
  readonly commands: number;
  readonly cycles: number;
  readonly snapshots: number;
}

/** Writes what is durable now; the file appears complete or not at all. `source` is a directory or an open journal. */
export async function exportJournal(source: string | JournalReader, file: string): Promise<ExportCounts> {
  const reader = typeof source === "string" ? openJournalReader(source) : source;
  const partial = `${file}.partial`;
  try {
    const writer = new EntryWriter(await open(partial, "w"));
    try {
      const counts = await writeEntries(reader, writer);
      await writer.finish();
      await rename(partial, file);
      return counts;
    } catch (error) {
      await writer.abandon();
      await unlink(partial).catch(() => undefined);
      throw error;
    }
  } finally {
    if (typeof source === "string") await reader.close();
  }
}

async function writeEntries(reader: JournalReader, writer: EntryWriter): Promise<ExportCounts> {
  let commands = 0;
  let cycles = 0;
  let snapshots = 0;
  // Cycles are counted before the commands are: every exported cycle's commands are in the file.
  const cycleCount = reader.cycleCount();
  const snapshotInfos = reader.listSnapshots();
  await writer.raw(MAGIC);
  await writer.entry(
    EntryType.identity,
    Buffer.from(JSON.stringify({ formatVersion: FORMAT_VERSION, ...reader.identity })),
  );
  for (const { sequence, bytes } of reader.read()) {
    await writer.entry(EntryType.command, numbered(sequence, bytes));
    commands++;
  }
  for (const cycle of reader.readCycles(0, cycleCount)) {
    await writer.entry(EntryType.cycle, numbered(cycle.index, encodeCycle(cycle)));
    cycles++;
  }
  for (const info of snapshotInfos) {
    const snapshot = reader.latestSnapshot(info.sequence);
    // A live writer may have removed an old snapshot meanwhile.
    if (snapshot?.sequence !== info.sequence) continue;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(snapshot.bytes.length));
    await writer.entry(EntryType.snapshot, numbered(info.sequence, length));
    for (let offset = 0; offset < snapshot.bytes.length; offset += CHUNK_BYTES) {
      await writer.entry(EntryType.snapshotChunk, snapshot.bytes.subarray(offset, offset + CHUNK_BYTES));
    }
    snapshots++;
  }
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeBigUInt64LE(BigInt(commands), 0);
  trailer.writeBigUInt64LE(BigInt(cycles), 8);
  trailer.writeBigUInt64LE(BigInt(snapshots), 16);
  trailer.set(writer.digest(), 24);
  await writer.entry(EntryType.trailer, trailer);
  return { commands, cycles, snapshots };
}

/** Creates a journal in `directory` from an export. A file that is damaged or incomplete is refused. @throws JournalError */
export async function importJournal(file: string, directory: string): Promise<ExportCounts> {
  await verifyExport(file);
  const reader = new EntryReader(await open(file, "r"), file);
  try {
    await reader.expectMagic();
    const identity = decodeIdentity(await reader.next());
    const journal = await openJournal(directory, { identity, snapshotsKept: Number.MAX_SAFE_INTEGER });
    try {
      if (journal.lastSequence() !== 0 || journal.cycleCount() !== 0) {
        throw new JournalError("ALREADY_EXISTS", "the directory holds a journal already", { directory });
      }
      return await readEntries(reader, journal);
    } finally {
      await journal.close();
    }
  } finally {
    await reader.close();
  }
}

/** Reads the whole file: every entry's checksum, the counts and the digest. */
async function verifyExport(file: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (cause) {
    throw new JournalError("NOT_FOUND", "the export cannot be opened", { file }, cause);
  }
  const reader = new EntryReader(handle, file);
  try {
    await reader.expectMagic();
    decodeIdentity(await reader.next());
    let entry = await reader.next();
    while (entry.type !== EntryType.trailer) entry = await reader.next();
    if (entry.payload.length !== TRAILER_BYTES || !reader.digestBefore().equals(entry.payload.subarray(24))) {
      throw new JournalError("CORRUPTED", "the export's digest differs", { file });
    }
    await reader.expectEnd();
  } finally {
    await reader.close();
  }
}

async function readEntries(reader: EntryReader, journal: Journal): Promise<ExportCounts> {
  let commands = 0;
  let cycles = 0;
  let snapshots = 0;
  for (;;) {
    const { type, payload } = await reader.next();
    if (type === EntryType.trailer) {
      checkCounts(payload, { commands, cycles, snapshots }, reader);
      await journal.durable();
      return { commands, cycles, snapshots };
    }
    const number = type === EntryType.snapshotChunk ? 0 : Number(payload.readBigUInt64LE(0));
    const content = payload.subarray(8);
    if (type === EntryType.command) {
      if (number !== ++commands) reader.refuse("commands are not consecutive");
      if (!journal.append(number, content)) await journal.drained();
    } else if (type === EntryType.cycle) {
      if (number !== cycles++) reader.refuse("cycles are not consecutive");
      journal.putCycle(decodeCycle(number, content));
      if (cycles % 1024 === 0) await journal.drained();
    } else if (type === EntryType.snapshot) {
      if (number > commands) reader.refuse("a snapshot passes the log");
      await journal.writeSnapshot(number, await reader.chunks(Number(content.readBigUInt64LE(0))));
      snapshots++;
    } else {
      reader.refuse("unexpected entry");
    }
  }
}

function checkCounts(trailer: Buffer, found: ExportCounts, reader: EntryReader): void {
  const expected = [trailer.readBigUInt64LE(0), trailer.readBigUInt64LE(8), trailer.readBigUInt64LE(16)];
  const counted = [found.commands, found.cycles, found.snapshots];
  if (counted.some((count, i) => BigInt(count) !== expected[i])) reader.refuse("the counts differ from the trailer");
}

function numbered(number: number, bytes: Uint8Array): Buffer {
  const payload = Buffer.allocUnsafe(8 + bytes.length);
  payload.writeBigUInt64LE(BigInt(number), 0);
  payload.set(bytes, 8);
  return payload;
}

function decodeIdentity(entry: Entry): JournalIdentity {
  if (entry.type !== EntryType.identity)
    throw new JournalError("CORRUPTED", "the export does not begin with its identity");
  let identity: JournalIdentity & { formatVersion: number };
  try {
    identity = JSON.parse(entry.payload.toString("utf8"));
  } catch (cause) {
    throw new JournalError("CORRUPTED", "the export's identity is damaged", {}, cause);
  }
  if (identity.formatVersion !== FORMAT_VERSION) {
    throw new JournalError("FORMAT_VERSION", "the export was written in another format", {
      stored: identity.formatVersion,
      expected: FORMAT_VERSION,
    });
  }
  return { venueId: identity.venueId, genesisRoot: identity.genesisRoot };
}

class EntryWriter {
  private readonly handle: FileHandle;
  private readonly hash: Hash = createHash("sha256");
  private parts: Buffer[] = [];
  private bufferedBytes = 0;

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async raw(bytes: Buffer): Promise<void> {
    this.hash.update(bytes);
    this.parts.push(bytes);
    this.bufferedBytes += bytes.length;
    if (this.bufferedBytes >= CHUNK_BYTES) await this.flush();
  }

  async entry(type: number, payload: Uint8Array): Promise<void> {
    const entry = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + payload.length);
    entry.writeUInt8(type, 0);
    entry.writeUInt32LE(payload.length, 1);
    entry.writeUInt32LE(crc32(payload, crc32(entry.subarray(0, 1))), 5);
    entry.set(payload, ENTRY_HEADER_BYTES);
    await this.raw(entry);
  }

  digest(): Buffer {
    return this.hash.copy().digest();
  }

  async finish(): Promise<void> {
    await this.flush();
    await this.handle.sync();
    await this.handle.close();
  }

  async abandon(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }

  private async flush(): Promise<void> {
    const bytes = Buffer.concat(this.parts);
    this.parts = [];
    this.bufferedBytes = 0;
    await this.handle.appendFile(bytes);
  }
}

interface Entry {
  readonly type: number;
  readonly payload: Buffer;
}

class EntryReader {
  private readonly handle: FileHandle;
  private readonly file: string;
  private readonly hash: Hash = createHash("sha256");
  private unhashed: Buffer[] = [];
  private window: Buffer = Buffer.alloc(0);
  private offset = 0;

  constructor(handle: FileHandle, file: string) {
    this.handle = handle;
    this.file = file;
  }

  refuse(what: string): never {
    throw new JournalError("CORRUPTED", what, { file: this.file, offset: this.offset });
  }

  /** Of all bytes before the entry that was read last. */
  digestBefore(): Buffer {
    return this.hash.digest();
  }

  async expectMagic(): Promise<void> {
    if (!(await this.take(MAGIC.length)).equals(MAGIC)) this.refuse("not a journal export");
  }

  async expectEnd(): Promise<void> {
    if (this.window.length > 0 || (await this.handle.read(Buffer.alloc(1), 0, 1)).bytesRead > 0) {
      this.refuse("bytes after the trailer");
    }
  }

  async next(): Promise<Entry> {
    for (const part of this.unhashed) this.hash.update(part);
    this.unhashed = [];
    const header = await this.take(ENTRY_HEADER_BYTES);
    const type = header.readUInt8(0);
    const length = header.readUInt32LE(1);
    if (length > ENTRY_BYTES_MAX) this.refuse("an entry's length is damaged");
    const payload = await this.take(length);
    if (crc32(payload, crc32(header.subarray(0, 1))) !== header.readUInt32LE(5))
      this.refuse("an entry's checksum differs");
    const minimum = type === EntryType.command || type === EntryType.cycle || type === EntryType.snapshot ? 8 : 0;
    if (length < minimum) this.refuse("an entry is too short");
    return { type, payload };
  }

  /** The chunks that follow a snapshot entry. */
  async chunks(lengthBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let read = 0;
    while (read < lengthBytes) {
      const { type, payload } = await this.next();
      if (type !== EntryType.snapshotChunk || payload.length === 0) this.refuse("a snapshot chunk is missing");
      parts.push(payload);
      read += payload.length;
    }
    if (read !== lengthBytes) this.refuse("a snapshot's chunks exceed its length");
    return Buffer.concat(parts);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async take(length: number): Promise<Buffer> {
    while (this.window.length < length) {
      const block = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length - this.window.length));
      const { bytesRead } = await this.handle.read(block, 0, block.length);
      if (bytesRead === 0)
        throw new JournalError("TRUNCATED", "the export ends early", { file: this.file, offset: this.offset });
      this.window = Buffer.concat([this.window, block.subarray(0, bytesRead)]);
    }
    const taken = this.window.subarray(0, length);
    this.window = this.window.subarray(length);
    this.offset += length;
    this.unhashed.push(taken);
    return taken;
  }
}
