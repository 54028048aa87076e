// What it costs to watch: the watcher over full batches — decoding, signatures, re-execution, every root — beside the engine over the
// fills of the same batches, matched and settled, batch by batch in one run and in processor time. Then the memory of a process that
// does nothing but watch (bench/watcherProcess.ts). docs/performance.md has the figures of a run.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serialize } from "node:v8";
import type { Command } from "@tidemark/engine";
import {
  defaultParameters,
  encodeInboundEntry,
  type InboundEntry,
  inboundHashNext,
  type ParameterSet,
  type SignaturePort,
  ZERO_HASH,
} from "@tidemark/ledger";
import { bytesToHex, keccak256 } from "@tidemark/num";
import {
  type BatchTip,
  buildBatch,
  CUT_POLICY_DEFAULT,
  createWatcher,
  cutBatch,
  encodePostBatch,
  genesisTip,
  type PostedBatch,
  type QueueEntry,
  tipAfter,
} from "@tidemark/settlement";
import secp256k1 from "secp256k1";
import { type FillFlow, FillVenue, recovering } from "./fills.ts";
import { type BenchRow, median } from "./rows.ts";
import type { MemoryStep, WatchedStep } from "./watcherProcess.ts";

const START_MS = 1_750_000_000_000;
const TRADERS = 200;
const BATCHES = 7;
/** The first batches warm the compiler up. */
const WARM_UP = 2;
/** About what fills a batch, by flow. */
const FILLS_PER_BATCH: Record<FillFlow, number> = { pairs: 480, quotes: 900 };
const ENTRIES_PER_CYCLE = 32;
const DEPOSIT_MICRO_USDC = 10_000_000_000;
const FIRST_ACCOUNT = 2;

const as = <Branded>(value: number): Branded => value as Branded;
const keyOf = (label: string): Uint8Array => keccak256(new TextEncoder().encode(label));
const traderKey = (account: number): Uint8Array => keyOf(`trader ${account}`);
const ORACLE = keyOf("oracle");
const addressOf = (key: Uint8Array): `0x${string}` =>
  bytesToHex(keccak256(secp256k1.publicKeyCreate(key, false).subarray(1)).subarray(12));

function parametersOf(): ParameterSet {
  return defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"c0".repeat(20)}`,
    oracles: [addressOf(ORACLE)],
    oracleQuorum: 1,
    treasuryOwner: `0x${"70".repeat(20)}`,
    insuranceOwner: `0x${"71".repeat(20)}`,
  });
}

function venueOf(parameters: ParameterSet, traders: number, signatures: SignaturePort): FillVenue {
  return new FillVenue({ parameters, startMs: START_MS, traders, traderKey, oracleKeys: [ORACLE], signatures });
}

/** Answers known from before: what remains is everything but the curve. */
function remembering(): SignaturePort {
  const known = new Map<string, string | null>();
  return {
    recoverAddress(digest, signature) {
      const key = bytesToHex(signature);
      const found = known.get(key);
      if (found !== undefined) return found as never;
      const address = recovering.recoverAddress(digest, signature);
      known.set(key, address);
      return address;
    },
  };
}

/** Queue and log of a venue, and the batches that its proposer makes of them. */
class Posting {
  readonly queue: QueueEntry[] = [];
  readonly venue: FillVenue;
  #tip: BatchTip;
  #queuePosted = 0;

  constructor(venue: FillVenue) {
    this.venue = venue;
    this.#tip = genesisTip(venue.engine.ledger.root());
  }

  inbound(entries: readonly InboundEntry[]): void {
    const encoded = entries.map((entry) => encodeInboundEntry(entry));
    for (const bytes of encoded) {
      const queueHash = inboundHashNext(this.queue.at(-1)?.queueHash ?? ZERO_HASH, bytes);
      this.queue.push({ index: this.queue.length, bytes, queueHash, queuedAtSeconds: 0, blockNumber: 0 });
    }
    this.venue.inbound(encoded);
  }

  open(accounts: number): void {
    const payer: `0x${string}` = `0x${"aa".repeat(20)}`;
    let entries: InboundEntry[] = [];
    for (let account = FIRST_ACCOUNT; account < FIRST_ACCOUNT + accounts; account++) {
      const owner = account < FIRST_ACCOUNT + TRADERS ? this.venue.ownerOf(account) : payer;
      entries.push({ type: "openAccount", account: as(account), owner });
      entries.push({ type: "deposit", account: as(account), amount: as(DEPOSIT_MICRO_USDC), payer });
      if (entries.length < ENTRIES_PER_CYCLE) continue;
      this.inbound(entries);
      entries = [];
    }
    this.inbound([...entries, { type: "listSeries", underlying: as(0), expiryMs: as(0), strikes: [] }]);
    this.venue.report();
  }

  /** All closed cycles that are in no batch yet. */
  take(): WatchedStep[] {
    const steps: WatchedStep[] = [];
    for (;;) {
      const pending = this.venue.read(this.#tip.nextCycle, CUT_POLICY_DEFAULT.cyclesMax + 1);
      const { count } = cutBatch(pending, CUT_POLICY_DEFAULT, START_MS, true);
      if (count === 0) return steps;
      const cycles = pending.slice(0, count);
      const batch = buildBatch(this.#tip, cycles, this.venue.engine.ledger.parameters.domain);
      this.#tip = tipAfter(batch.header);
      const posted: PostedBatch = {
        number: batch.header.number,
        batchHash: batch.batchHash,
        blob: null,
        calldata: encodePostBatch(batch.header, batch.data),
        floorSeconds: 0,
        blockNumber: batch.header.number,
        blockHash: ZERO_HASH,
        blockTimestampSeconds: START_MS / 1000,
        transactionHash: ZERO_HASH,
      };
      const queue = this.queue.slice(this.#queuePosted, batch.header.inboundCursor);
      this.#queuePosted = batch.header.inboundCursor;
      const fills = cycles.reduce((sum, cycle) => sum + cycle.fills, 0);
      steps.push({ posted, queue, fills, orders: cycles.reduce((sum, cycle) => sum + cycle.settledDeltas, 0) });
    }
  }
}

/** Milliseconds of processor time, garbage collection included. */
function processorMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function watch(watcher: ReturnType<typeof createWatcher>, { posted, queue }: WatchedStep): void {
  const fault = watcher.addQueueEntries(queue) ?? watcher.checkBatch(posted);
  if (fault !== null) throw new Error(`the watcher does not agree: ${fault.detail}`);
}

interface Compared {
  engineMs: number;
  watcherMs: number;
  fills: number;
  batches: number;
}

/** The same fills through engine and watcher, alternating. `known`: nobody recovers a signature. */
function compare(flow: FillFlow, known: boolean): Compared {
  const parameters = parametersOf();
  const signatures = known ? remembering() : recovering;
  const venue = venueOf(parameters, TRADERS, signatures);
  const posting = new Posting(venue);
  posting.open(TRADERS);
  const watcher = createWatcher(parameters, { signatures });
  for (const step of posting.take()) watch(watcher, step);
  const engine: number[] = [];
  const watching: number[] = [];
  const fills: number[] = [];
  let batches = 0;
  for (let round = 0; round < BATCHES; round++) {
    const commands: Command[] = venue.commandsOf(flow, FILLS_PER_BATCH[flow]);
    if (known) learn(signatures, commands, venue);
    engine.push(
      processorMs(() => {
        venue.apply(commands);
        venue.closeCycle();
      }),
    );
    const steps = posting.take();
    watching.push(
      processorMs(() => {
        for (const step of steps) watch(watcher, step);
      }),
    );
    fills.push(steps.reduce((sum, step) => sum + step.fills, 0));
    batches += steps.length;
    if (watcher.state.root() !== venue.engine.ledger.root()) throw new Error("watcher and engine end in other states");
  }
  const warm = (times: readonly number[]): number => median(times.slice(WARM_UP));
  return { engineMs: warm(engine), watcherMs: warm(watching), fills: median(fills), batches: batches / BATCHES };
}

/** The curve's work, outside the clock. */
function learn(signatures: SignaturePort, commands: readonly Command[], venue: FillVenue): void {
  for (const command of commands) {
    if (command.kind !== "place") continue;
    const { order, signature } = command;
    signatures.recoverAddress(venue.hashOf(order), Buffer.from(signature.slice(2), "hex"));
  }
}

function timeRows(): BenchRow[] {
  return (["pairs", "quotes"] as const).flatMap((flow) =>
    [false, true].map((known): BenchRow => {
      const { engineMs, watcherMs, fills, batches } = compare(flow, known);
      const flowName = flow === "pairs" ? "nothing nets" : "standing quotes";
      const without = known ? ", without signatures" : "";
      if (batches !== 1) throw new Error(`${flow}: ${batches} batches a round`);
      return {
        what: `watcher, a batch of ${fills} fills, ${flowName}${without} (yardstick: engine, the same fills)`,
        value: watcherMs,
        unit: "ms",
        goal: null,
        yardstick: engineMs,
        ratio: engineMs / watcherMs,
      };
    }),
  );
}

// ── memory ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const ACCOUNTS_FEW = 1_000;
const ACCOUNTS_MANY = 20_000;
const MEMORY_BATCHES = 20;

/** What a process of its own has after the opening of that many accounts, and after batches of fills on top. */
function memoryOf(accounts: number, batches: number): { opened: MemoryStep; last: MemoryStep; orders: number } {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-watching-"));
  try {
    const parameters = parametersOf();
    const posting = new Posting(venueOf(parameters, TRADERS, remembering()));
    const steps: WatchedStep[] = [];
    posting.open(accounts);
    steps.push(...posting.take());
    const opening = steps.length;
    for (let batch = 0; batch < batches; batch++) {
      posting.venue.apply(posting.venue.commandsOf("pairs", FILLS_PER_BATCH.pairs));
      posting.venue.closeCycle();
      steps.push(...posting.take());
    }
    writeFileSync(join(folder, "parameters"), serialize(parameters));
    for (const [i, step] of steps.entries()) writeFileSync(join(folder, String(i)), serialize(step));
    const script = fileURLToPath(new URL("watcherProcess.js", import.meta.url));
    const list = ["--expose-gc", script, folder, String(steps.length), String(opening)];
    const [opened, last] = JSON.parse(execFileSync(process.execPath, list, { encoding: "utf8" })) as MemoryStep[];
    if (opened === undefined || last === undefined) throw new Error("the watching process reported nothing");
    return { opened, last, orders: steps.slice(opening).reduce((sum, step) => sum + step.orders, 0) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function memoryRows(): BenchRow[] {
  const few = memoryOf(ACCOUNTS_FEW, MEMORY_BATCHES);
  const many = memoryOf(ACCOUNTS_MANY, 0);
  const row = (what: string, value: number, unit: string): BenchRow => {
    return { what, value, unit, goal: null, yardstick: null, ratio: null };
  };
  const mebibytes = (bytes: number): number => bytes / 2 ** 20;
  const perAccount = (many.opened.heapBytes - few.opened.heapBytes) / (ACCOUNTS_MANY - ACCOUNTS_FEW);
  const grown = few.last.heapBytes - few.opened.heapBytes;
  return [
    row(`watching process, ${ACCOUNTS_FEW} accounts: heap and buffers`, mebibytes(few.opened.heapBytes), "MiB"),
    row(`watching process, ${ACCOUNTS_FEW} accounts: resident`, mebibytes(few.opened.residentBytes), "MiB"),
    row(`watching process, ${ACCOUNTS_MANY} accounts: heap and buffers`, mebibytes(many.opened.heapBytes), "MiB"),
    row(`watching process, ${ACCOUNTS_MANY} accounts: resident`, mebibytes(many.opened.residentBytes), "MiB"),
    row("heap and buffers, an account more", perAccount, "bytes"),
    row(`after ${MEMORY_BATCHES} full batches more: resident`, mebibytes(few.last.residentBytes), "MiB"),
    row("heap and buffers, a full batch more (nothing nets)", grown / MEMORY_BATCHES / 1024, "KiB"),
    row("heap and buffers, a settled order more", grown / few.orders, "bytes"),
  ];
}

export function run(): BenchRow[] {
  return [...timeRows(), ...memoryRows()];
}
