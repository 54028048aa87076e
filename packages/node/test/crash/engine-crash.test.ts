// kill -9 of engine and journal at random moments, start, replay and the writing of snapshots included: nothing acknowledged is
// lost, every root is that of an independent replay, and the run goes on.
// TIDEMARK_LONG=1 makes the long run of it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CycleRecord, decodeCommand, Engine, type EngineOptions, silentSink } from "@tidemark/engine";
import { type JournalReader, openJournalReader, replay } from "@tidemark/journal";
import { defaultParameters } from "@tidemark/ledger";
import { afterAll, beforeAll, expect, it } from "vitest";
import { signer } from "../../src/signatures/signer.ts";
import { kindName } from "../../src/venue/history.ts";
import { buildPackages, isLong, randomFrom, testDirectory, testSeed } from "./build.ts";
import { auditReceipts } from "./receiptsAudit.ts";
import { CYCLE_AGE_MS_MAX, parametersOf } from "./venueParameters.mjs";

const KILLS = isLong ? 200 : 20;
const seed = testSeed();
const below = randomFrom(seed);
const directory = mkdtempSync(join(tmpdir(), "tidemark-engine-crash-"));
const options: EngineOptions = {
  parameters: parametersOf(defaultParameters, seed),
  signatures: signer,
  config: { cycleAgeMsMax: CYCLE_AGE_MS_MAX, rowsFor: "listed" },
};

beforeAll(buildPackages);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What one life of the venue told before it was killed. */
class Life {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #text = "";
  readySequence = -1;
  readyRoot = "";
  durable = 0;
  fills = 0;
  fillsAtFirst = -1;
  snapshotsBegun = 0;
  readonly cycles = new Map<number, string>();
  complaint = "";

  constructor() {
    this.#child = spawn(process.execPath, [join(testDirectory, "child-venue.mjs"), directory, String(seed)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#closed = once(this.#child, "close");
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#hear(text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.complaint += text;
    });
  }

  #hear(text: string): void {
    // The last line may be cut by the kill; only complete ones count.
    const lines = `${this.#text}${text}`.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      const [word, number, rest] = line.split(" ");
      if (word === "ready") {
        this.readySequence = Number(number);
        this.readyRoot = String(rest);
      } else if (word === "durable") {
        this.durable = Number(number);
        this.fills = Number(rest);
        if (this.fillsAtFirst < 0) this.fillsAtFirst = this.fills;
      }
      if (word === "snapshot") this.snapshotsBegun++;
      else if (word === "cycle") this.cycles.set(Number(number), String(rest));
    }
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      if (this.#child.exitCode !== null) throw new Error(`seed ${seed}: the venue ended by itself: ${this.complaint}`);
      await sleep(1);
    }
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    const [code, signal] = await this.#closed;
    expect({ code, signal, complaint: this.complaint }, `seed ${seed}`).toMatchObject({
      signal: "SIGKILL",
      complaint: "",
    });
  }
}

type Moment = "start" | "running" | "snapshot" | "trading";
/** Fills after which a life that is to trade has traded: takers wait until the chain of quotes stands. */
const FILLS_OF_A_LIFE = 30;

/** Starts the venue and kills it: before or while it replays, anywhere in its run, or while a snapshot is on its way to the disk. */
async function liveAndDie(moment: Moment): Promise<Life> {
  const life = new Life();
  if (moment === "start") {
    await sleep(below(700));
  } else {
    await life.until(() => life.readySequence >= 0 && life.durable > life.readySequence);
    if (moment === "snapshot") {
      const wanted = 1 + below(3);
      await life.until(() => life.snapshotsBegun >= wanted);
      await sleep(below(6));
    } else if (moment === "trading") {
      await life.until(() => life.fills - life.fillsAtFirst >= FILLS_OF_A_LIFE);
      await sleep(below(40));
    } else {
      await sleep(below(700));
    }
  }
  await life.kill();
  return life;
}

/** An independent engine that applies what is on the disk, from the first command on, and compares every cycle on the way. */
class Auditor {
  readonly #engine = Engine.create(options);
  readonly #snapshotsChecked = new Set<number>();
  sequence = 0;
  fills = 0;
  cyclesCompared = 0;
  snapshotsCompared = 0;

  get root(): string {
    return this.#engine.ledger.root();
  }
  get cycleIndex(): number {
    return this.#engine.cycleIndex;
  }

  /** @throws when the store's cycle is not what the commands make, to the byte */
  #compare(reader: JournalReader, told: ReadonlyMap<number, string>, record: CycleRecord): void {
    const [stored] = reader.readCycles(record.index, record.index + 1);
    const name = `seed ${seed}, cycle ${record.index}`;
    if (told.has(record.index)) expect(told.get(record.index), name).toBe(record.postRoot);
    // The last commands may be on the disk while their cycles are not: nobody was told of those.
    if (stored === undefined) return;
    const { kind, timeMs, fills, messages, settledDeltas, postRoot } = stored;
    expect(
      { ...record, payload: "", kind: kindName(kind), timeMs, fills, messages, settledDeltas, postRoot },
      name,
    ).toEqual({ ...record, payload: "" });
    expect(Buffer.compare(stored.payload, record.payload), name).toBe(0);
    this.cyclesCompared++;
    this.fills += fills;
  }

  follow(reader: JournalReader, told: ReadonlyMap<number, string>): void {
    const fresh = reader.listSnapshots().filter(({ sequence }) => !this.#snapshotsChecked.has(sequence));
    const roots = new Map<number, string>();
    const sink = { ...silentSink, onCycle: (record: CycleRecord): void => this.#compare(reader, told, record) };
    for (const { sequence, bytes } of reader.read(this.sequence + 1)) {
      expect(sequence, `seed ${seed}`).toBe(this.sequence + 1);
      this.#engine.apply(decodeCommand(bytes), sink);
      this.sequence = sequence;
      if (fresh.some((snapshot) => snapshot.sequence === sequence)) roots.set(sequence, this.root);
    }
    for (const { sequence } of fresh) this.#checkSnapshot(reader, sequence, roots.get(sequence));
  }

  #checkSnapshot(reader: JournalReader, from: number, expectedRoot: string | undefined): void {
    const name = `seed ${seed}, snapshot ${from}`;
    let engine: Engine | null = null;
    replay(
      reader,
      {
        fromSnapshot: from,
        restore: ({ bytes }) => {
          engine = Engine.restore(bytes, options);
          expect(engine.ledger.root(), name).toBe(expectedRoot);
        },
      },
      (_sequence, bytes) => void engine?.apply(decodeCommand(bytes), silentSink),
    );
    expect((engine as Engine | null)?.ledger.root(), name).toBe(this.root);
    this.#snapshotsChecked.add(from);
    this.snapshotsCompared++;
  }
}

it(`engine and journal survive ${KILLS} kills`, { timeout: 3_600_000 }, async () => {
  const auditor = new Auditor();
  const moments: Record<Moment, number> = { start: 0, running: 0, snapshot: 0, trading: 0 };
  let killedBeforeReady = 0;
  let attempts = 0;
  let failures = 1;
  let receipts = 0;
  try {
    while (attempts < KILLS) {
      const moment = (["running", "start", "snapshot", "trading"] as const)[attempts % 4] as Moment;
      const before = { sequence: auditor.sequence, root: auditor.root, cycles: auditor.cycleIndex };
      const life = await liveAndDie(moment);
      attempts++;
      moments[moment]++;
      const name = `seed ${seed}, kill ${attempts} (${moment})`;
      if (life.readySequence < 0) {
        killedBeforeReady++;
      } else {
        expect(life.readySequence, name).toBe(before.sequence);
        expect(life.readyRoot, name).toBe(before.root);
      }
      const reader = openJournalReader(directory);
      try {
        expect(reader.lastSequence(), name).toBeGreaterThanOrEqual(Math.max(life.durable, before.sequence));
        expect(reader.cycleCount(), name).toBeGreaterThan(Math.max(-1, ...life.cycles.keys()));
        // Cycles that the kill before kept from the store are in it again.
        if (life.readySequence >= 0) expect(reader.cycleCount(), name).toBeGreaterThanOrEqual(before.cycles);
        auditor.follow(reader, life.cycles);
      } finally {
        await reader.close();
      }
      if (moment !== "start") expect(auditor.sequence, `${name}: progress`).toBeGreaterThan(before.sequence);
    }
    const reader = openJournalReader(directory);
    const whole = Engine.create(options);
    replay(reader, {}, (_sequence, bytes) => void whole.apply(decodeCommand(bytes), silentSink));
    receipts = await auditReceipts(reader, directory, options);
    await reader.close();
    expect(receipts, `seed ${seed}`).toBeGreaterThan(auditor.fills);
    expect(whole.ledger.root(), `seed ${seed}`).toBe(auditor.root);
    // The test says nothing where nothing was traded, settled or snapshot.
    expect(auditor.fills, `seed ${seed}`).toBeGreaterThan(100);
    expect(auditor.cyclesCompared, `seed ${seed}`).toBeGreaterThan(100);
    expect(auditor.snapshotsCompared, `seed ${seed}`).toBeGreaterThan(KILLS / 2);
    failures = 0;
  } finally {
    const { sequence: commands, fills, cyclesCompared, snapshotsCompared } = auditor;
    const details = { killedBeforeReady, moments, commands, fills, cyclesCompared, snapshotsCompared, receipts };
    console.log(JSON.stringify({ name: "engine-crash", seed, attempts, failures, ...details }));
  }
});
