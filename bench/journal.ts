// Durable records a second and time to durability of 200-byte records, against a plain file with append + fdatasync and the
// same group commit. Rounds of both alternate on the same disk.
import { closeSync, fdatasync, mkdirSync, mkdtempSync, openSync, rmSync, write } from "node:fs";
import { join } from "node:path";
import { openJournal } from "@tidemark/journal";
import { type BenchRow, median, quantile } from "./rows.ts";

const RECORD_BYTES = 200;
const ROUNDS = 5;
const THROUGHPUT_SECONDS = 1.5;
const LATENCY_SECONDS = 2;
const OPEN_LOOP_PER_MS = 10;
const UNFLUSHED_BYTES_MAX = 16 << 20;

/** What both sides offer. */
interface Log {
  append(sequence: number, bytes: Uint8Array): boolean;
  drained(): Promise<unknown>;
  onDurable(listener: (sequence: number) => void): void;
  close(): Promise<void>;
}

/** The yardstick: no index, no checksum, no transactions; one write and one fdatasync a group. */
class PlainFile implements Log {
  private readonly file: number;
  private collecting = Buffer.allocUnsafeSlow(2 * UNFLUSHED_BYTES_MAX);
  private writing = Buffer.allocUnsafeSlow(2 * UNFLUSHED_BYTES_MAX);
  private usedBytes = 0;
  private busy = false;
  private scheduled = false;
  private appended = 0;
  private listener: (sequence: number) => void = () => undefined;
  private idle: (() => void)[] = [];

  constructor(path: string) {
    this.file = openSync(path, "a");
  }

  append(sequence: number, bytes: Uint8Array): boolean {
    this.collecting.writeUInt32LE(bytes.length, this.usedBytes);
    this.collecting.set(bytes, this.usedBytes + 4);
    this.usedBytes += 4 + bytes.length;
    this.appended = sequence;
    if (!this.scheduled && !this.busy) {
      this.scheduled = true;
      setImmediate(() => {
        this.scheduled = false;
        if (!this.busy) this.commit();
      });
    }
    return this.usedBytes <= UNFLUSHED_BYTES_MAX;
  }

  drained(): Promise<unknown> {
    return new Promise<void>((resolve) => this.idle.push(resolve));
  }

  onDurable(listener: (sequence: number) => void): void {
    this.listener = listener;
  }

  async close(): Promise<void> {
    while (this.busy || this.usedBytes > 0) await this.drained();
    closeSync(this.file);
  }

  private commit(): void {
    const length = this.usedBytes;
    const through = this.appended;
    [this.collecting, this.writing] = [this.writing, this.collecting];
    this.usedBytes = 0;
    this.busy = true;
    write(this.file, this.writing, 0, length, null, (writeError, written) => {
      if (writeError !== null || written !== length) throw writeError ?? new Error("short write");
      fdatasync(this.file, (syncError) => {
        if (syncError !== null) throw syncError;
        this.busy = false;
        if (this.usedBytes > 0) this.commit();
        this.listener(through);
        const waiting = this.idle;
        this.idle = [];
        for (const resolve of waiting) resolve();
      });
    });
  }
}

async function throughput(log: Log): Promise<number> {
  const bytes = Buffer.alloc(RECORD_BYTES, 7);
  let durable = 0;
  log.onDurable((sequence) => {
    durable = sequence;
  });
  const start = process.hrtime.bigint();
  const end = start + BigInt(THROUGHPUT_SECONDS * 1e9);
  let sequence = 0;
  while (process.hrtime.bigint() < end) {
    let flowing = true;
    for (let i = 0; i < 2_000 && flowing; i++) flowing = log.append(++sequence, bytes);
    if (flowing) await new Promise((resolve) => setImmediate(resolve));
    else await log.drained();
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const counted = durable;
  await log.close();
  return counted / seconds;
}

/** Open loop: a record is due at its own time, whatever the disk does; the wait counts from then. */
async function latenciesMs(log: Log): Promise<Float64Array> {
  const total = LATENCY_SECONDS * 1000 * OPEN_LOOP_PER_MS;
  const bytes = Buffer.alloc(RECORD_BYTES, 7);
  const waits = new Float64Array(total);
  const start = performance.now();
  let done = 0;
  let appended = 0;
  await new Promise<void>((resolve) => {
    log.onDurable((sequence) => {
      const now = performance.now();
      for (; done < sequence; done++) waits[done] = now - (start + done / OPEN_LOOP_PER_MS);
      if (done === total) resolve();
    });
    const tick = (): void => {
      const due = Math.min(total, Math.floor((performance.now() - start) * OPEN_LOOP_PER_MS) + 1);
      while (appended < due) log.append(++appended, bytes);
      if (appended < total) setImmediate(tick);
    };
    tick();
  });
  await log.close();
  return waits.sort();
}

export async function run(): Promise<BenchRow[]> {
  const parent = join(process.cwd(), ".tidemark");
  mkdirSync(parent, { recursive: true });
  const base = mkdtempSync(join(parent, "bench-journal-"));
  const identity = { venueId: "bench", genesisRoot: `0x${"00".repeat(32)}` } as const;
  let files = 0;
  const ours = (): Promise<Log> =>
    openJournal(join(base, `journal-${files++}`), { identity, unflushedBytesMax: UNFLUSHED_BYTES_MAX });
  const plain = async (): Promise<Log> => new PlainFile(join(base, `plain-${files++}`));
  try {
    const rates = { ours: [] as number[], plain: [] as number[] };
    const waits = { ours: [] as Float64Array[], plain: [] as Float64Array[] };
    for (let round = 0; round < ROUNDS; round++) {
      rates.ours.push(await throughput(await ours()));
      rates.plain.push(await throughput(await plain()));
      waits.ours.push(await latenciesMs(await ours()));
      waits.plain.push(await latenciesMs(await plain()));
    }
    const rate = median(rates.ours);
    const plainRate = median(rates.plain);
    const rows: BenchRow[] = [
      {
        what: "durable records of 200 B, closed loop (yardstick: append + fdatasync)",
        value: Math.round(rate),
        unit: "records/s",
        goal: 800_000,
        yardstick: Math.round(plainRate),
        ratio: rate / plainRate,
      },
    ];
    for (const [name, fraction, goal] of [
      ["p50", 0.5, 1],
      ["p99", 0.99, 8],
    ] as const) {
      const value = median(waits.ours.map((sorted) => quantile(sorted, fraction)));
      const yardstick = median(waits.plain.map((sorted) => quantile(sorted, fraction)));
      rows.push({
        what: `time to durability at 10,000 records/s, ${name}`,
        value,
        unit: "ms",
        goal,
        yardstick,
        ratio: yardstick / value,
      });
    }
    return rows;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
