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
import { account, at, type BTC, dollars, micro, ownerKey, ppb } from "../../packages/ledger/test/factory.ts";
import type { Random } from "../../packages/ledger/test/random.ts";
import { crossEntries, type Recipe, randomCross } from "../../packages/ledger/test/stream/building.ts";
import { LIQUIDATION_FAULTS } from "../../packages/ledger/test/stream/recipes-liquidation.ts";
import { EXPIRY_FAULTS, REPORT_FAULTS, ROWS_FAULTS } from "../../packages/ledger/test/stream/recipes-oracle.ts";
import {
  GENERAL_FAULTS,
  INBOUND_FAULTS,
  INBOUND_OUTCOMES,
  OUTBOUND_FAULTS,
} from "../../packages/ledger/test/stream/recipes-others.ts";
import { TRADE_FAULTS } from "../../packages/ledger/test/stream/recipes-trade.ts";
import { DUTIES, VALID } from "../../packages/ledger/test/stream/recipes-valid.ts";
import { Coverage } from "../../packages/ledger/test/stream/stream.ts";
import type { RuleEvm } from "../../packages/settlement/test/rules/evm.ts";
import { type Judge, JudgedStream, JudgedWideStream } from "../../packages/settlement/test/rules/judge.ts";

const CYCLES_PER_STREAM = 420;
const FAULT_SHARE = 0.4;
const TRIES = 6;
const DAY_MS = 24 * 3_600_000;
const FUNDING_UNIT = 2n ** 20n;
/** Index beyond which a price counts as extreme, in micro-USD. */
const INDEX_LOW = 1_000_000;
const INDEX_HIGH = 10_000_000_000_000;

/** One micro-USDC above what the order allows: the recipes of the ledger are further off. */
const feeJustAboveMaximum: Recipe = (stream) => {
  const spec = randomCross(stream);
  if (spec === null) return null;
  const { number, buyer, lots, price } = spec;
  const cell = stream.state.instrument(number);
  const fee = lots + 1;
  if (cell === undefined || cell.feePerLot < 2 || price * lots * cell.tickValueMicroUsdc < 8 * fee) return null;
  const [, seller] = crossEntries(stream, spec);
  const entry = stream.venue.entry({ account: buyer, instrument: number, size: lots, price, fee, maxFeePerLot: 1 });
  return seller === undefined ? null : stream.venue.tradeOf([entry, seller]);
};

export const FAULTS: readonly (readonly [number, Recipe])[] = [
  ...GENERAL_FAULTS,
  ...REPORT_FAULTS,
  ...ROWS_FAULTS,
  ...TRADE_FAULTS,
  [RejectionCode.TRADE_FEE_ABOVE_MAXIMUM, feeJustAboveMaximum],
  ...LIQUIDATION_FAULTS,
  ...EXPIRY_FAULTS,
  ...INBOUND_FAULTS,
  ...INBOUND_OUTCOMES,
  ...OUTBOUND_FAULTS,
];

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
  state: LedgerState,
  payload: Uint8Array,
  apply: () => CycleVerdict,
  kinds: ReadonlyMap<number, string>,
): CycleVerdict {
  const decoding = decodeCycle(payload, state.parameters.domain);
  const states = decoding.ok ? statesOf(state, decoding.cycle) : new Set<string>();
  const verdict = apply();
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

  constructor(random: Random, judge: Judge, kinds: ReadonlyMap<number, string>) {
    super(random, new Coverage(), judge);
    this.#kinds = kinds;
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = payloadOf(cycle);
    return counted(this.counts, this.state, payload, () => super.apply(payload), this.#kinds);
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
    return counted(this.counts, this.state, payload, () => super.apply(payload), this.#kinds);
  }
}

// ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Codes that are still wanted come first: rare states come and go. */
function fault(stream: CountedStream, wanted: ReadonlySet<number>): Recipe {
  const { random, coverage } = stream;
  const lacking = FAULTS.filter(
    ([code]) => wanted.has(code) && !coverage.codes.has(code) && !coverage.outcomes.has(code),
  );
  return random.pick(lacking.length > 0 && random.chance(0.7) ? lacking : FAULTS)[1];
}

function weighted(random: Random): Recipe {
  const total = VALID.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const [weight, recipe] of VALID) {
    left -= weight;
    if (left < 0) return recipe;
  }
  throw new RangeError("weights");
}

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

/** What the state allows now, for a few tries. */
function next(stream: CountedStream, wanted: ReadonlySet<number>): Cycle | Uint8Array | null {
  const { random } = stream;
  const isFault = random.chance(FAULT_SHARE);
  if (!isFault) stream.venue.advance(random.integer(0, 1_500));
  const duties = !isFault && random.chance(0.4) ? DUTIES : [];
  for (const duty of duties) {
    const cycle = duty(stream);
    if (cycle !== null) return cycle;
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const cycle = (isFault ? fault(stream, wanted) : weighted(random))(stream);
    if (cycle !== null) return cycle;
  }
  return null;
}

function step(stream: CountedStream, wanted: ReadonlySet<number>): void {
  const { random } = stream;
  const cycle = next(stream, wanted);
  if (cycle === null) return;
  const payload = payloadOf(cycle);
  if (payload.length > 12 && random.chance(0.15)) stream.apply(mutated(payload, random));
  stream.apply(payload);
}

/** One stream from its seed. @throws Error at the first cycle on which ledger and contracts differ. */
export async function runStream(stream: CountedStream, evm: RuleEvm, wanted: ReadonlySet<number>): Promise<Counts> {
  stream.setUp();
  for (let steps = 0; steps < CYCLES_PER_STREAM; steps++) {
    step(stream, wanted);
    if (stream.judge.isFull) await stream.judge.compare(evm);
  }
  await stream.judge.compare(evm);
  return stream.counts;
}

const WIDE_ATTEMPTS = 12;

/** Accounts that hold as many positions as they may. */
export async function runWideStream(stream: CountedWideStream, evm: RuleEvm): Promise<Counts> {
  stream.fill();
  for (let attempt = 0; attempt < WIDE_ATTEMPTS; attempt++) {
    stream.oneMore();
    // A full account's witness is large: few fit one request.
    await stream.judge.compare(evm);
  }
  stream.apply(stream.venue.withdrawal({ account: 2, amount: 1 }));
  const recipient = ownerKey(3).address;
  stream.apply(stream.venue.inbound({ type: "forcedWithdrawal", account: account(3), amount: micro(5), recipient }));
  await stream.judge.compare(evm);
  return stream.counts;
}

/** For a failure's message: the stream again needs both. */
export function describeWanted(wanted: ReadonlySet<number>): string {
  return [...wanted].map((code) => `${code} ${rejectionName(code) ?? ""}`).join(", ");
}
