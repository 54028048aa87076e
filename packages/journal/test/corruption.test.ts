// Damage must be named, never returned as data and never taken for the end of the log.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeCycle, encodeCycle } from "../src/cycle.ts";
import { decodeGroup, GroupBuffer } from "../src/group.ts";
import {
  exportJournal,
  importJournal,
  JournalError,
  type JournalReader,
  openJournal,
  openJournalReader,
} from "../src/index.ts";
import { buildPackage } from "./child.ts";
import { cycleOf, recordOf } from "./records.mjs";

const identity = { venueId: "corruption", genesisRoot: `0x${"cd".repeat(32)}` } as const;
const base = mkdtempSync(join(tmpdir(), "tidemark-corruption-"));
const original = join(base, "original");
const exported = join(base, "original.export");
const recordMark = Buffer.from("the record that will be damaged: ".repeat(200));
const cycleMark = Buffer.from("the cycle that will be damaged: ".repeat(200));
const snapshotMark = Buffer.from("the snapshot that will be damaged: ".repeat(200));

beforeAll(async () => {
  buildPackage();
  const journal = await openJournal(original, { identity });
  for (let sequence = 1; sequence <= 50; sequence++) {
    journal.append(sequence, sequence === 20 ? recordMark : recordOf("c", sequence));
    if (sequence % 10 === 0) {
      const payload = sequence === 30 ? cycleMark : cycleOf("c", 0).payload;
      journal.putCycle({ ...cycleOf("c", sequence / 10 - 1), payload });
      await journal.durable();
    }
  }
  await journal.writeSnapshot(40, Buffer.alloc(20_000, 7));
  await journal.writeSnapshot(50, Buffer.concat([Buffer.alloc(1_500_000, 1), snapshotMark]));
  await exportJournal(journal, exported);
  await journal.close();
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A copy in which one byte in the middle of `mark` is flipped, wherever the store holds it. */
function damaged(name: string, mark: Buffer): string {
  const directory = join(base, name);
  cpSync(original, directory, { recursive: true });
  const file = join(directory, "journal.mdb");
  const bytes = readFileSync(file);
  let found = 0;
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) {
    bytes[at + mark.length / 2]! ^= 1;
    found++;
  }
  expect(found).toBeGreaterThan(0);
  writeFileSync(file, bytes);
  return directory;
}

async function errorOf(directory: string, action: (reader: JournalReader) => unknown): Promise<JournalError> {
  const reader = openJournalReader(directory);
  try {
    action(reader);
  } catch (error) {
    if (error instanceof JournalError) return error;
    throw error;
  } finally {
    await reader.close();
  }
  throw new Error("the damage was not noticed");
}

describe("one flipped bit on disk", () => {
  it("in a record: reading names its group; what lies before it is still readable", async () => {
    const directory = damaged("record", recordMark);
    const error = await errorOf(directory, (reader) => [...reader.read()]);
    expect(error.code).toBe("CORRUPTED");
    expect(error.context).toMatchObject({ firstSequence: 11 });
    const reader = openJournalReader(directory);
    expect([...reader.read(1, 10)]).toHaveLength(10);
    expect([...reader.read(21)]).toHaveLength(30);
    await reader.close();
  });

  it("in a cycle and in a snapshot: reading names them; the older snapshot still loads", async () => {
    const cycleError = await errorOf(damaged("cycle", cycleMark), (reader) => [...reader.readCycles()]);
    expect(cycleError).toMatchObject({ code: "CORRUPTED", context: { index: 2 } });
    const directory = damaged("snapshot", snapshotMark);
    const error = await errorOf(directory, (reader) => reader.latestSnapshot());
    expect(error).toMatchObject({ code: "CORRUPTED", context: { sequence: 50 } });
    const reader = openJournalReader(directory);
    expect(reader.latestSnapshot(49)?.bytes).toHaveLength(20_000);
    await reader.close();
  });
});

describe("torn files", () => {
  it("a truncated store and a damaged header are refused before anything is mapped", async () => {
    const directory = join(base, "truncated");
    cpSync(original, directory, { recursive: true });
    const file = join(directory, "journal.mdb");
    truncateSync(file, Math.floor(statSync(file).size / 3));
    await expect(openJournal(directory, { identity })).rejects.toMatchObject({ code: "TRUNCATED" });
    expect(() => openJournalReader(directory)).toThrow(/TRUNCATED/);
    writeFileSync(file, Buffer.alloc(100_000, 5));
    await expect(openJournal(directory, { identity })).rejects.toMatchObject({ code: "CORRUPTED" });
  });

  it("an export that is cut anywhere or has any bit flipped is refused, and nothing is imported", async () => {
    const bytes = readFileSync(exported);
    const file = join(base, "bad.export");
    let attempt = 0;
    const refused = async (content: Buffer): Promise<void> => {
      writeFileSync(file, content);
      await expect(importJournal(file, join(base, `import-${attempt++}`))).rejects.toBeInstanceOf(JournalError);
    };
    for (let i = 0; i < 40; i++) await refused(bytes.subarray(0, Math.floor((bytes.length * i) / 40)));
    for (let i = 0; i < 40; i++) {
      const flipped = Buffer.from(bytes);
      flipped[Math.floor((bytes.length * (i + 0.5)) / 40)]! ^= 1 << (i % 8);
      await refused(flipped);
    }
    await refused(Buffer.concat([bytes, Buffer.from([0])]));
    await expect(importJournal(exported, join(base, "good"))).resolves.toEqual({
      commands: 50,
      cycles: 5,
      snapshots: 2,
    });
  });
});

describe("decoders", () => {
  it("refuse every single flipped bit and every cut of a group and of a cycle", () => {
    const group = new GroupBuffer();
    for (const sequence of [7, 8, 9]) group.add(sequence, Buffer.from(`record ${sequence}`));
    const cases: [Buffer, (bytes: Buffer) => unknown][] = [
      [Buffer.from(group.seal()), (bytes) => decodeGroup(7, bytes)],
      [encodeCycle({ ...cycleOf("c", 7), payload: Buffer.from("payload") }), (bytes) => decodeCycle(7, bytes)],
    ];
    for (const [stored, decode] of cases) {
      expect(() => decode(stored)).not.toThrow();
      for (let bit = 0; bit < stored.length * 8; bit++) {
        const flipped = Buffer.from(stored);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(() => decode(flipped), `bit ${bit}`).toThrow(/CORRUPTED/);
      }
      for (let length = 0; length < stored.length; length++) {
        expect(() => decode(stored.subarray(0, length)), `length ${length}`).toThrow(/CORRUPTED/);
      }
    }
  });

  it("refuse a group whose checksum is right and whose structure is not", () => {
    const group = new GroupBuffer();
    group.add(7, Buffer.from("abc"));
    const resealed = (change: (bytes: Buffer) => void): Buffer => {
      const bytes = Buffer.from(group.seal());
      change(bytes);
      bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
      return bytes;
    };
    expect(() =>
      decodeGroup(
        7,
        resealed(() => undefined),
      ),
    ).not.toThrow();
    expect(() =>
      decodeGroup(
        8,
        resealed(() => undefined),
      ),
    ).toThrow(/another sequence/);
    expect(() =>
      decodeGroup(
        7,
        resealed((bytes) => bytes.writeUInt32LE(2, 16)),
      ),
    ).toThrow(/beyond the group/);
    expect(() =>
      decodeGroup(
        7,
        resealed((bytes) => bytes.writeUInt32LE(0, 16)),
      ),
    ).toThrow(/count/);
    expect(() =>
      decodeGroup(
        7,
        resealed((bytes) => bytes.writeUInt32LE(2, 20)),
      ),
    ).toThrow(/count/);
    expect(() =>
      decodeGroup(
        7,
        resealed((bytes) => bytes.writeUInt32LE(9, 20)),
      ),
    ).toThrow(/beyond the group/);
  });
});

describe("a disk that takes no more", () => {
  it("fails the waiting promise and every later append, and leaves what was acknowledged", () => {
    const directory = join(base, "full");
    const script = join(import.meta.dirname, "child-full-disk.mjs");
    // The file size limit makes the system refuse the write like a full disk does.
    const command = `ulimit -f 6000; exec "${process.execPath}" "${script}" "${directory}"`;
    const output = execFileSync("bash", ["-c", command], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const lines = output.trim().split("\n");
    const { durable, codes } = JSON.parse(lines[lines.length - 1]!) as { durable: number; codes: string[] };
    expect(durable).toBeGreaterThan(0);
    expect(codes).toEqual(["WRITE_FAILED", "WRITE_FAILED", "WRITE_FAILED", "WRITE_FAILED"]);
    const reader = openJournalReader(directory);
    expect(reader.lastSequence()).toBe(durable);
    expect([...reader.read()]).toHaveLength(durable);
  });
});
