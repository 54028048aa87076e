// One process of an evidence run. Work is cut into units that depend on their own seed alone; each finished unit is one line of the
// run's file, so that a run that was stopped goes on with the next unit and the command can sum up several processes.
// Without a file (npm test) units are counted in memory.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { seedOf } from "../../packages/ledger/test/random.ts";

/** A line of the table that a run writes: columns by name. */
export type EvidenceRow = Record<string, string | number>;

export interface UnitRecord {
  unit: string;
  /** What the run counts towards its goal. */
  attempts: number;
  failures: number;
  seconds: number;
  counts: Record<string, number>;
  rows: EvidenceRow[];
}

interface Line extends Partial<UnitRecord> {
  total?: number;
}

export function addCounts(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [key, count] of Object.entries(counts)) sum[key] = (sum[key] ?? 0) + count;
}

export class EvidenceRun {
  readonly isLong = process.env["TIDEMARK_LONG"] === "1";
  readonly seed: number;
  /** This process's part of the work, from 0. */
  readonly shard = Number(process.env["TIDEMARK_SHARD"] ?? 0);
  readonly shards = Number(process.env["TIDEMARK_SHARDS"] ?? 1);
  readonly units = new Map<string, UnitRecord>();
  readonly #file = process.env["TIDEMARK_EVIDENCE_FILE"];

  constructor(seed: number) {
    this.seed = seedOf(seed) >>> 0;
    if (this.#file === undefined || !existsSync(this.#file)) return;
    for (const text of readFileSync(this.#file, "utf8").split("\n")) {
      const line = lineOf(text);
      if (line?.unit !== undefined) this.units.set(line.unit, line as UnitRecord);
    }
  }

  /** Attempts that this process will make, for the progress bar. */
  announce(total: number): void {
    this.#append({ total });
  }

  isFinished(unit: string): boolean {
    return this.units.has(unit);
  }

  /** Runs the unit unless an earlier life of the run did. */
  async unit(unit: string, work: (record: UnitRecord) => Promise<void> | void): Promise<void> {
    if (this.isFinished(unit)) return;
    const started = performance.now();
    const record: UnitRecord = { unit, attempts: 0, failures: 0, seconds: 0, counts: {}, rows: [] };
    await work(record);
    record.seconds = Math.round((performance.now() - started) / 10) / 100;
    this.units.set(unit, record);
    this.#append(record);
  }

  get attempts(): number {
    return [...this.units.values()].reduce((sum, { attempts }) => sum + attempts, 0);
  }

  get failures(): number {
    return [...this.units.values()].reduce((sum, { failures }) => sum + failures, 0);
  }

  counts(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const { counts } of this.units.values()) addCounts(sum, counts);
    return sum;
  }

  rows(): EvidenceRow[] {
    return [...this.units.values()].flatMap(({ rows }) => rows);
  }

  /** Counts as text, one a line, in order of their keys. */
  table(): string {
    const counts = Object.entries(this.counts()).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    const head = `seed ${this.seed}: ${this.attempts} attempts, ${this.failures} failures`;
    return [head, ...counts.map(([key, count]) => `${key.padEnd(56)} ${count}`)].join("\n");
  }

  #append(line: Line): void {
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Null for a line that a killed process left unfinished. */
function lineOf(text: string): Line | null {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return null;
  }
}
