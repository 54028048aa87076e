// Units of the differential run: random streams whose every cycle the compiled rules judge too. What a unit does depends on its
// seed and on the codes that it is to look for, nothing else.
import {
  type Cycle,
  type CycleVerdict,
  decodeCycle,
  encodeCycle,
  type InstrumentCell,
  type LedgerState,
  marginOf,
  RejectionCode,
  rejectionName,
} from "@tidemark/ledger";
import {
  account,
  at,
  type BTC,
  dollars,
  micro,
  ownerKey,
  ppb,
  type Venue,
} from "../../packages/ledger/test/factory.ts";
import type { Random } from "../../packages/ledger/test/random.ts";
import { Coverage } from "../../packages/ledger/test/stream/stream.ts";
import { type Judge, JudgedStream, JudgedWideStream } from "../../packages/settlement/test/rules/judge.ts";
import { nextCycle } from "./recipes.ts";

const CYCLES_PER_STREAM = 420;
const DAY_MS = 24 * 3_600_000;
const FUNDING_UNIT = 2n ** 20n;
/** Index beyond which a price counts as extreme, in micro-USD. */
const INDEX_LOW = 1_000_000;
const INDEX_HIGH = 10_000_000_000_000;

// ── what the issue asks to be among the cycles ─────────────────────────────────────────────────────────────────────

interface Named {
  accounts: Set<number>;
  instruments: Set<number>;
  underlyings: Set<number>;
}

/** Whatever a cycle names, whichever its kind: numbers under these keys, at any depth. */
function namedIn(value: unknown, key: string, named: Named): void {
  if (typeof value === "number") {
    if (key === "account" || key === "bidder" || key === "accounts") named.accounts.add(value);
    if (key === "instrument" || key === "instruments") named.instruments.add(value);
    if (key === "underlying") named.underlyings.add(value);
  } else if (Array.isArray(value)) {
    for (const one of value) namedIn(one, key, named);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, one] of Object.entries(value)) namedIn(one, name, named);
  }
}

function accountStates(state: LedgerState, number: number, timeMs: number, named: Named, found: Set<string>): void {
  const cell = state.account(number);
  if (cell === undefined) return;
  const margin = marginOf(state, number, at(timeMs));
  if (margin !== undefined && margin.equity < 0n) found.add("negative equity");
  for (const { instrument, size, fundingIndex } of cell.positions) {
    named.instruments.add(instrument);
    const held = state.instrument(instrument) as InstrumentCell;
    const funding = BigInt(size) * BigInt(held.fundingIndex - fundingIndex);
    if (funding % FUNDING_UNIT !== 0n) found.add("rounded against the account");
  }
}

/** States of the world that the cycle is judged in; names: tools/evidence/differential.mjs. */
export function statesOf(state: LedgerState, cycle: Readonly<Cycle>): Set<string> {
  const found = new Set<string>();
  const named: Named = { accounts: new Set(), instruments: new Set(), underlyings: new Set() };
  namedIn(cycle, "", named);
  for (const number of named.accounts) accountStates(state, number, cycle.timeMs, named, found);
  for (const number of named.instruments) {
    const cell = state.instrument(number);
    if (cell === undefined) continue;
    named.underlyings.add(cell.underlying);
    if (cell.expiryMs === 0 || cell.status !== 1) continue;
    const leftMs = cell.expiryMs - cycle.timeMs;
    if (Math.abs(leftMs) < DAY_MS) found.add("on the expiry's day");
    if (leftMs > 0 && leftMs < state.parameters.risk.averagingWindowMs) {
      found.add("within the settlement's averaging window");
    }
    if (leftMs <= 0) found.add("after expiry");
  }
  for (const number of named.underlyings) {
    const index = state.underlying(number)?.index ?? 0;
    if (index > INDEX_HIGH || (index > 0 && index < INDEX_LOW)) found.add("extreme price");
  }
  return found;
}

// ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────

type Counts = Record<string, number>;
const count = (counts: Counts, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

const payloadOf = (cycle: Cycle | Uint8Array): Uint8Array => (cycle instanceof Uint8Array ? cycle : encodeCycle(cycle));

/** Counts verdicts by kind and code, and the states of the world. */
function counted(
  counts: Counts,
  venue: Venue,
  payload: Uint8Array,
  apply: () => CycleVerdict,
  kinds: ReadonlyMap<number, string>,
): CycleVerdict {
  const decoding = decodeCycle(payload, venue.parameters.domain);
  const states = decoding.ok ? statesOf(venue.state, decoding.cycle) : new Set<string>();
  const verdict = apply();
  // A changed time may have been accepted: whatever comes next is not before it.
  venue.timeMs = Math.max(venue.timeMs, venue.state.globals.timeMs);
  const kind = kinds.get(payload[1] ?? 0);
  if (kind === undefined) return verdict;
  count(counts, `${kind} ${verdict.ok ? 0 : verdict.rejection.code}`);
  for (const name of states) count(counts, `state: ${name}`);
  if (verdict.ok) for (const { code } of verdict.outcomes) count(counts, `outcome ${code}`);
  return verdict;
}

export class CountedStream extends JudgedStream {
  readonly counts: Counts = {};
  readonly #kinds: ReadonlyMap<number, string>;
  #isApplying = false;

  constructor(random: Random, judge: Judge, kinds: ReadonlyMap<number, string>) {
    super(random, new Coverage(), judge);
    this.#kinds = kinds;
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = payloadOf(cycle);
    this.#isApplying = true;
    const verdict = counted(this.counts, this.venue, payload, () => super.apply(payload), this.#kinds);
    this.#isApplying = false;
    return verdict;
  }

  /** Whether what was thrown came from the ledger, which never may, and not from a recipe. */
  get isBroken(): boolean {
    return this.#isApplying;
  }
}

/** Prices near the ends of what a report may say, volatilities from almost none to 500%, premiums to their bound. */
export class ExtremeStream extends CountedStream {
  readonly #factor = this.random.pick([1e-5, 1e-3, 100, 1e3]);

  override report(underlying: typeof BTC, change: Partial<{ index: number; premium: number }> = {}): Cycle {
    const index = (change.index ?? this.prices.get(underlying) ?? 0) * this.#factor;
    const report = super.report(underlying, { ...change, index });
    if (report.kind !== "report") return report;
    const volatility = this.random.pick([0.01, 0.2, 1, 5]);
    const surfaces = report.surfaces.map((surface) => ({
      ...surface,
      forward: dollars((surface.forward / 1e6) * (0.7 + this.random.next() * 0.6)),
      a: ppb(Math.round(volatility * volatility * 1e9)),
    }));
    const premium = this.random.chance(0.3) ? ppb(this.random.pick([-1e9, 1e9])) : report.premium;
    return this.venue.resigned({ ...report, surfaces, premium });
  }

  override listSeries(underlying: typeof BTC, inMs: number): void {
    const price = (this.prices.get(underlying) ?? 0) * this.#factor;
    const strikes = [0.5, 1, 2].map((factor) => dollars(Math.max(0.01, Number((price * factor).toPrecision(3)))));
    this.must(this.venue.inbound({ type: "listSeries", underlying, expiryMs: at(this.venue.timeMs + inMs), strikes }));
  }

  /** A series whose strikes are far from its settlement may be beyond the bounds: it stays unsettled. */
  override must(cycle: Cycle): void {
    const verdict = this.apply(cycle);
    if (verdict.ok || verdict.rejection.code === RejectionCode.EXPIRY_BOUNDS) return;
    throw new Error(`set-up: ${JSON.stringify(verdict.rejection)}`);
  }

  /** Rows that nothing can price stay without. */
  override closeEpoch(underlying: number): void {
    for (const cycle of this.venue.rows(underlying)) {
      if (this.apply(cycle).ok) continue;
      for (const number of cycle.instruments) this.apply({ ...cycle, instruments: [number], closesEpoch: false });
      if (cycle.closesEpoch) this.must({ ...cycle, instruments: [] });
    }
  }
}

export class CountedWideStream extends JudgedWideStream {
  readonly counts: Counts = {};
  readonly #kinds: ReadonlyMap<number, string>;

  constructor(random: Random, judge: Judge, kinds: ReadonlyMap<number, string>) {
    super(random, new Coverage(), judge);
    this.#kinds = kinds;
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = payloadOf(cycle);
    const verdict = counted(this.counts, this.venue, payload, () => super.apply(payload), this.#kinds);
    return verdict;
  }
}

// ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A few bytes changed, cut off or added: anything may come of it. */
function mutated(payload: Uint8Array, random: Random): Uint8Array {
  const bytes = payload.slice();
  for (let changes = random.integer(1, 2); changes > 0; changes--) {
    // The kind stays, or another rule would judge; the head is rarely hit otherwise.
    const place = random.chance(0.1)
      ? random.pick([0, 2, 3, 8, 9])
      : random.integer(Math.min(10, bytes.length - 1), bytes.length - 1);
    bytes[place] = random.chance(0.5) ? (bytes[place] as number) ^ (1 << random.integer(0, 7)) : random.integer(0, 255);
  }
  if (random.chance(0.1)) return bytes.slice(0, random.integer(2, bytes.length));
  return random.chance(0.05) ? Uint8Array.of(...bytes, random.integer(0, 255)) : bytes;
}

/** At extreme prices some recipes write numbers that no payload can hold: those are none. */
function nextPayload(stream: CountedStream, wanted: ReadonlySet<number>): Uint8Array | null {
  try {
    const cycle = nextCycle(stream, wanted);
    return cycle === null ? null : payloadOf(cycle);
  } catch (error) {
    if (stream instanceof ExtremeStream && !stream.isBroken && (error as Error).name === "BugError") return null;
    throw error;
  }
}

function step(stream: CountedStream, wanted: ReadonlySet<number>): void {
  const { random } = stream;
  const payload = nextPayload(stream, wanted);
  if (payload === null) return;
  if (payload.length > 12 && random.chance(0.15)) stream.apply(mutated(payload, random));
  stream.apply(payload);
}

/** One stream from its seed. @throws Error at the first cycle on which ledger and contracts differ. */
export async function runStream(stream: CountedStream, wanted: ReadonlySet<number>): Promise<Counts> {
  stream.setUp();
  for (let steps = 0; steps < CYCLES_PER_STREAM; steps++) {
    step(stream, wanted);
    if (stream.judge.isFull) await stream.judge.compareBehind();
  }
  await stream.judge.compare();
  return stream.counts;
}

const WIDE_ATTEMPTS = 12;

/** Accounts that hold as many positions as they may. */
export async function runWideStream(stream: CountedWideStream): Promise<Counts> {
  stream.fill();
  for (let attempt = 0; attempt < WIDE_ATTEMPTS; attempt++) {
    if (attempt % 2 === 0) stream.oneMore();
    else stream.oneMoreByBid();
    // A full account's witness is large: few fit one request.
    await stream.judge.compare();
  }
  stream.apply(stream.venue.withdrawal({ account: 2, amount: 1 }));
  const recipient = ownerKey(3).address;
  stream.apply(stream.venue.inbound({ type: "forcedWithdrawal", account: account(3), amount: micro(5), recipient }));
  await stream.judge.compare();
  return stream.counts;
}

/** For a failure's message: the stream again needs both. */
export function describeWanted(wanted: ReadonlySet<number>): string {
  return [...wanted].map((code) => `${code} ${rejectionName(code) ?? ""}`).join(", ");
}
