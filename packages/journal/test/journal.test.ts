import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BugError } from "@tidemark/num";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  exportJournal,
  importJournal,
  type Journal,
  type JournalError,
  type JournalIdentity,
  openJournal,
  openJournalReader,
  replay,
} from "../src/index.ts";
import { cycleOf, recordOf } from "./records.mjs";

const identity: JournalIdentity = { venueId: "test", genesisRoot: `0x${"ab".repeat(32)}` };
const seed = "round-trip";
let directory: string;

beforeEach(() => {
  // The dot in the name: a store that took such a path for a file name would fail here.
  directory = mkdtempSync(join(tmpdir(), "tidemark.journal-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const opened = (): Promise<Journal> => openJournal(directory, { identity });
const codeOf = async (action: () => unknown): Promise<string> => {
  try {
    await action();
  } catch (error) {
    return (error as JournalError).code ?? (error as Error).name;
  }
  return "no error";
};

async function fill(journal: Journal, from: number, to: number): Promise<void> {
  for (let sequence = from; sequence <= to; sequence++) {
    journal.append(sequence, recordOf(seed, sequence));
    if (sequence % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await journal.durable();
}

function expectRecords(records: Iterable<{ sequence: number; bytes: Uint8Array }>, from: number, to: number): void {
  let next = from;
  for (const { sequence, bytes } of records) {
    expect(sequence).toBe(next);
    expect(Buffer.from(bytes).equals(recordOf(seed, sequence)), `content of ${sequence}`).toBe(true);
    next++;
  }
  expect(next - 1).toBe(to);
}

describe("log", () => {
  it("returns what was appended, before and after reopening, from any sequence to any sequence", async () => {
    let journal = await opened();
    expect(journal.lastSequence()).toBe(0);
    expectRecords(journal.read(), 1, 0);
    await fill(journal, 1, 2_500);
    expectRecords(journal.read(), 1, 2_500);
    await journal.close();
    journal = await opened();
    expect(journal.lastSequence()).toBe(2_500);
    await fill(journal, 2_501, 3_000);
    expectRecords(journal.read(), 1, 3_000);
    for (const [from, to] of [
      [1, 1],
      [99, 101],
      [100, 100],
      [1_234, 2_501],
      [3_000, 3_000],
    ] as const) {
      expectRecords(journal.read(from, to), from, to);
    }
    expectRecords(journal.read(2_990, 9_999), 2_990, 3_000);
    await journal.close();
  });

  it("stores empty records and records larger than a group", async () => {
    const journal = await opened();
    const large = Buffer.alloc(3_000_000, recordOf(seed, 5));
    journal.append(1, Buffer.alloc(0));
    journal.append(2, large);
    journal.append(3, Buffer.from([7]));
    await journal.durable();
    expect([...journal.read()].map((record) => record.bytes.length)).toEqual([0, 3_000_000, 1]);
    expect(Buffer.from([...journal.read(2, 2)][0]!.bytes).equals(large)).toBe(true);
    await journal.close();
  });

  it("copies what it is given", async () => {
    const journal = await opened();
    const reused = Buffer.from("first");
    journal.append(1, reused);
    reused.write("later");
    await journal.durable();
    expect(Buffer.from([...journal.read()][0]!.bytes).toString()).toBe("first");
    await journal.close();
  });

  it("refuses a gap, a repetition and a read before the start as bugs", async () => {
    const journal = await opened();
    expect(() => journal.append(2, Buffer.alloc(1))).toThrow(BugError);
    journal.append(1, Buffer.alloc(1));
    expect(() => journal.append(1, Buffer.alloc(1))).toThrow(BugError);
    expect(() => [...journal.read(0)]).toThrow(BugError);
    await journal.close();
  });

  it("announces durable sequences in order, once, and never before they can be read by another reader", async () => {
    const journal = await opened();
    const reader = openJournalReader(directory);
    const announced: number[] = [];
    journal.onDurable((sequence) => {
      expect(reader.lastSequence()).toBeGreaterThanOrEqual(sequence);
      announced.push(sequence);
    });
    const resolved: number[] = [];
    for (let turn = 0; turn < 60; turn++) {
      const first = turn * 5 + 1;
      for (let i = 0; i < 5; i++) journal.append(first + i, recordOf(seed, first + i));
      void journal.durable().then((sequence) => {
        expect(sequence).toBeGreaterThanOrEqual(first + 4);
        resolved.push(first + 4);
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await journal.durable()).toBe(300);
    expect(announced).toEqual([...new Set(announced)].sort((a, b) => a - b));
    expect(announced[announced.length - 1]).toBe(300);
    // What one turn appended is one group: announcements fall on multiples of five.
    expect(announced.filter((sequence) => sequence % 5 !== 0)).toEqual([]);
    // Groups form while the disk is busy: fewer commits than turns shows that they do.
    expect(announced.length).toBeLessThan(60);
    expect(resolved).toHaveLength(60);
    expect(resolved).toEqual([...resolved].sort((a, b) => a - b));
    await reader.close();
    await journal.close();
  });

  it("signals backpressure, drains, and bounds its memory when the signal is ignored", async () => {
    const journal = await openJournal(directory, { identity, unflushedBytesMax: 100_000 });
    const bytes = Buffer.alloc(10_000, 3);
    let sequence = 0;
    while (journal.append(sequence + 1, bytes)) sequence++;
    sequence++;
    expect(sequence).toBe(11);
    await journal.drained();
    expect(journal.append(++sequence, bytes)).toBe(true);
    expect(
      await codeOf(() => {
        for (;;) journal.append(++sequence, bytes);
      }),
    ).toBe("UNFLUSHED_LIMIT");
    sequence--;
    await journal.durable();
    expect(journal.append(++sequence, bytes)).toBe(true);
    await journal.close();
    const reader = openJournalReader(directory);
    expect(reader.lastSequence()).toBe(sequence);
    await reader.close();
  });
});

describe("identity and writers", () => {
  it("refuses another venue, another genesis, a second writer, and a missing journal", async () => {
    expect(await codeOf(() => openJournalReader(directory))).toBe("NOT_FOUND");
    const journal = await opened();
    expect(await codeOf(opened)).toBe("LOCKED");
    await journal.close();
    expect(await codeOf(() => openJournal(directory, { identity: { ...identity, venueId: "other" } }))).toBe(
      "IDENTITY_MISMATCH",
    );
    const otherRoot: JournalIdentity = { ...identity, genesisRoot: `0x${"00".repeat(32)}` };
    expect(await codeOf(() => openJournal(directory, { identity: otherRoot }))).toBe("IDENTITY_MISMATCH");
    const again = await opened();
    expect(again.identity).toEqual(identity);
    await again.close();
  });
});

describe("snapshots", () => {
  it("stores large ones in chunks, keeps the newest, and finds the newest at or below", async () => {
    const journal = await opened();
    await fill(journal, 1, 500);
    const contents = new Map<number, Buffer>();
    for (const [sequence, length] of [
      [0, 0],
      [100, 1],
      [200, 1 << 20],
      [300, (1 << 20) + 1],
      [500, 9_500_000],
    ] as const) {
      const bytes = Buffer.alloc(length, recordOf(seed, sequence + 1));
      contents.set(sequence, bytes);
      await journal.writeSnapshot(sequence, bytes);
    }
    expect(journal.listSnapshots().map((info) => info.sequence)).toEqual([200, 300, 500]);
    for (const [atOrBelow, found] of [
      [undefined, 500],
      [499, 300],
      [300, 300],
      [299, 200],
    ] as const) {
      const snapshot = journal.latestSnapshot(atOrBelow)!;
      expect(snapshot.sequence).toBe(found);
      expect(Buffer.from(snapshot.bytes).equals(contents.get(found)!)).toBe(true);
    }
    expect(journal.latestSnapshot(199)).toBeNull();
    await journal.close();
  });

  it("waits until its command is durable", async () => {
    const journal = await opened();
    const reader = openJournalReader(directory);
    journal.append(1, recordOf(seed, 1));
    await journal.writeSnapshot(1, Buffer.from("state"));
    expect(reader.lastSequence()).toBe(1);
    expect(reader.latestSnapshot()?.sequence).toBe(1);
    expect(() => journal.writeSnapshot(2, Buffer.alloc(1))).toThrow(BugError);
    await reader.close();
    await journal.close();
  });
});

describe("cycles", () => {
  it("stores every field, takes the same cycle again, and stops on a different one", async () => {
    let journal = await opened();
    for (let index = 0; index < 300; index++) {
      journal.append(index + 1, recordOf(seed, index + 1));
      journal.putCycle(cycleOf(seed, index));
      journal.putCycle(cycleOf(seed, index));
      if (index % 50 === 0) await journal.durable();
    }
    expect(() => journal.putCycle(cycleOf(seed, 301))).toThrow(BugError);
    expect(() => journal.putCycle({ ...cycleOf(seed, 299), fills: 1_234 })).toThrow(BugError);
    await journal.durable();
    expect(journal.cycleCount()).toBe(300);
    await journal.close();
    journal = await opened();
    journal.putCycle(cycleOf(seed, 7));
    expect(() => journal.putCycle({ ...cycleOf(seed, 7), kind: 12 })).toThrow(BugError);
    const cycles = [...journal.readCycles(290)];
    expect(cycles.map((cycle) => ({ ...cycle, payload: Buffer.from(cycle.payload) }))).toEqual(
      Array.from({ length: 10 }, (_, i) => cycleOf(seed, 290 + i)),
    );
    expect([...journal.readCycles(3, 5)].map((cycle) => cycle.index)).toEqual([3, 4]);
    await journal.close();
  });
});

/** A running digest: differs as soon as one record is missing, repeated or out of order. */
class Machine {
  state = 17n;
  apply = (sequence: number, bytes: Uint8Array): void => {
    for (const byte of bytes) this.state = (this.state * 31n + BigInt(byte)) % 2n ** 61n;
    this.state = (this.state * 31n + BigInt(sequence)) % 2n ** 61n;
  };
}

describe("replay and export", () => {
  it("gives the same state from the start, from any snapshot, and from an export on another machine", async () => {
    const journal = await openJournal(directory, { identity, snapshotsKept: 10 });
    const live = new Machine();
    const states = new Map<number, bigint>();
    for (let sequence = 1; sequence <= 1_000; sequence++) {
      const bytes = recordOf(seed, sequence);
      journal.append(sequence, bytes);
      live.apply(sequence, bytes);
      states.set(sequence, live.state);
      if (sequence % 100 === 0) journal.putCycle(cycleOf(seed, sequence / 100 - 1));
      if (sequence % 250 === 0) await journal.writeSnapshot(sequence, Buffer.from(String(live.state)));
    }
    await journal.durable();
    const file = join(directory, "run.journal");
    expect(await exportJournal(journal, file)).toEqual({ commands: 1_000, cycles: 10, snapshots: 4 });
    await journal.close();

    const elsewhere = join(directory, "elsewhere");
    expect(await importJournal(file, elsewhere)).toEqual({ commands: 1_000, cycles: 10, snapshots: 4 });
    expect(await codeOf(() => importJournal(file, elsewhere))).toBe("ALREADY_EXISTS");
    for (const place of [directory, elsewhere]) {
      const reader = openJournalReader(place);
      expect(reader.identity).toEqual(identity);
      expect([...reader.readCycles()].map((cycle) => cycle.postRoot)).toEqual(
        Array.from({ length: 10 }, (_, index) => cycleOf(seed, index).postRoot),
      );
      for (const fromSnapshot of [undefined, 250, 500, 750, 1_000, "latest"] as const) {
        for (const toSequence of [1_000, 1_000 - 1]) {
          const machine = new Machine();
          const restore = (snapshot: { bytes: Uint8Array }): void => {
            machine.state = BigInt(Buffer.from(snapshot.bytes).toString());
          };
          if (fromSnapshot === 1_000 && toSequence < 1_000) continue;
          const from = fromSnapshot === undefined ? {} : { fromSnapshot, restore };
          const result = replay(reader, { ...from, toSequence }, machine.apply);
          expect(result.lastSequence).toBe(toSequence);
          expect(machine.state, `${place} ${fromSnapshot}`).toBe(states.get(toSequence));
        }
      }
      expect(await codeOf(() => replay(reader, { fromSnapshot: 251, restore: () => undefined }, () => undefined))).toBe(
        "NOT_FOUND",
      );
      await reader.close();
    }
  });
});
