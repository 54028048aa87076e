// A random venue under test: every cycle goes through the ledger (as payload bytes) and through the reference, and both
// must say the same. Recipes (recipes-*.ts) make the cycles.
import {
  type AccountCell,
  brokenIdentities,
  type Cycle,
  type CycleVerdict,
  decodeCycle,
  differences,
  encodeCycle,
  type HexBytes,
  type InstrumentCell,
  isTradable,
  type Margin,
  marginOfCell,
  type Order,
  ReferenceLedger,
  referenceOf,
  referenceRoot,
} from "../../src/index.ts";
import { account, at, BTC, dollars, ETH, type FillSpec, instrument, micro, USDC, Venue } from "../factory.ts";
import { keyOf, signaturePort } from "../keys.ts";
import type { Random } from "../random.ts";
import { grantOf, viewOfVenue } from "../waterfall.ts";

/** How often each kind was accepted, each code refused and each inbound entry ended so. */
export class Coverage {
  readonly accepted = new Map<string, number>();
  readonly codes = new Map<number, number>();
  readonly outcomes = new Map<number, number>();
  cycles = 0;
  acceptedTotal = 0;

  static add<Key>(counts: Map<Key, number>, key: Key): void {
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}

/** An order with something left, to be filled again without its signature. */
export interface OpenOrder {
  spec: FillSpec & { instrument: number };
  filled: number;
  /** Time at which its start and expiry were set. */
  madeMs: number;
}

export const TRADERS = [2, 3, 4, 5, 6, 7, 8, 9] as const;
/** Highly leveraged, so that a jump of the index puts them below maintenance. */
export const GAMBLERS = [10, 11, 12, 13] as const;
/** Has finality credit for a deposit that never comes. */
export const CREDITED = 14;
/** Never trade: what they owe or own is moved to them by hand. */
export const PAUPERS = [15, 16] as const;
/** Holds options against a perpetual, so that a thin slice leaves it worse hedged. */
export const HEDGER = 17;
/** Nobody opens it. */
export const UNKNOWN = 4000;
export const delegateKey = (owner: number): ReturnType<typeof keyOf> => keyOf(`delegate of ${owner}`);
export const readOnlyKey = (owner: number): ReturnType<typeof keyOf> => keyOf(`key without scope of ${owner}`);
export const expiringKey = (owner: number): ReturnType<typeof keyOf> => keyOf(`key that expires of ${owner}`);

const ROOT_EVERY = 50;
/** Stress settings: wide price bound and small slices reach the liquidation codes, a high cap the funding overflow. */
export const RISK = {
  averagingWindowMs: 300_000,
  markAgeMaxMs: 600_000,
  fundingCapPpb: 1_000_000_000,
  liquidationBoundPpb: 200_000_000,
  liquidationSliceMicroUsdc: 20_000 * USDC,
  auctionDurationMs: 60_000,
  creditPoolFactorPpb: 1_000_000_000,
  creditAccountMaxMicroUsdc: 1_500 * USDC,
};

export class Stream {
  readonly venue: Venue;
  readonly reference: ReferenceLedger;
  readonly random: Random;
  readonly coverage: Coverage;
  readonly openOrders: OpenOrder[] = [];
  readonly prices = new Map<number, number>([
    [BTC, 100_000],
    [ETH, 4_000],
  ]);
  /** Orders that forced closes put into rings. */
  readonly forcedOrders: Order[] = [];
  /** The change of the parameter set that was queued last. */
  queuedChange: HexBytes | null = null;
  readonly #afterwards: (() => void)[] = [];
  /** Expiry that no report has a surface for. */
  darkExpiryMs = 0;
  #accepted = 0;

  constructor(random: Random, coverage: Coverage, venue = new Venue({ risk: RISK })) {
    this.random = random;
    this.coverage = coverage;
    this.venue = venue;
    this.reference = new ReferenceLedger(this.venue.parameters, signaturePort);
  }

  get state(): Venue["state"] {
    return this.venue.state;
  }

  /** @throws Error when ledger and reference disagree, or an identity is broken. */
  apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = cycle instanceof Uint8Array ? cycle : encodeCycle(cycle);
    const before = this.state.root();
    const decoding = decodeCycle(payload, this.venue.parameters.domain);
    const verdict = this.venue.applyPayload(payload);
    this.coverage.cycles += 1;
    // A payload with a changed byte may have moved the ledger's clock.
    this.venue.timeMs = Math.max(this.venue.timeMs, this.state.globals.timeMs);
    if (!verdict.ok) {
      Coverage.add(this.coverage.codes, verdict.rejection.code);
      if (this.state.root() !== before) throw new Error(`rejection ${verdict.rejection.name} moved the root`);
    }
    if (!decoding.ok) {
      this.undoLoans();
      if (verdict.ok || verdict.rejection.code !== decoding.code) throw new Error("undecodable payload was applied");
      return verdict;
    }
    const expected = this.reference.apply(decoding.cycle);
    this.undoLoans();
    const said = verdict.ok ? "accepted" : `${verdict.rejection.code} at account ${verdict.rejection.account}`;
    const wanted = expected.ok ? "accepted" : `${expected.fault.code} at account ${expected.fault.account}`;
    if (said !== wanted) throw new Error(`${decoding.cycle.kind}: ledger ${said}, reference ${wanted}`);
    if (verdict.ok && expected.ok) this.#checkAccepted(decoding.cycle.kind, verdict.outcomes, expected.outcomes);
    return verdict;
  }

  #checkAccepted(kind: string, outcomes: readonly { code: number }[], expected: readonly number[]): void {
    Coverage.add(this.coverage.accepted, kind);
    this.coverage.acceptedTotal += 1;
    this.#accepted += 1;
    if (outcomes.map(({ code }) => code).join() !== expected.join()) throw new Error(`${kind}: outcomes differ`);
    for (const { code } of outcomes) Coverage.add(this.coverage.outcomes, code);
    this.check(this.#accepted % ROOT_EVERY === 0);
  }

  /** Cells equal, identities hold; the root by its definition when asked for. */
  check(withRoot: boolean): void {
    const found = differences(referenceOf(this.state), this.reference.state);
    if (found.length > 0) throw new Error(`cells differ (ledger ≠ reference): ${found.join("; ")}`);
    const broken = brokenIdentities(this.reference.state);
    if (broken.length > 0) throw new Error(`identities: ${broken.join("; ")}`);
    if (withRoot && referenceRoot(this.reference.state) !== this.state.root()) throw new Error("roots differ");
  }

  /** @throws Error unless accepted. */
  must(cycle: Cycle): void {
    const verdict = this.apply(cycle);
    if (!verdict.ok) throw new Error(`set-up: ${JSON.stringify(verdict.rejection)}`);
  }

  // ── set-up ───────────────────────────────────────────────────────────────────────────────────────────────────────

  setUp(): void {
    const { venue, random } = this;
    for (const number of [...TRADERS, ...GAMBLERS, CREDITED, ...PAUPERS, HEDGER]) {
      const owner = keyOf(`owner of ${number}`).address;
      const isRich = number < 10 || number === HEDGER;
      const amount = micro(random.integer(isRich ? 200_000 : 8_000, isRich ? 900_000 : 20_000) * USDC);
      this.must(
        venue.inbound(
          { type: "openAccount", account: account(number), owner },
          { type: "deposit", account: account(number), amount, payer: owner },
          {
            type: "keyGrant",
            account: account(number),
            key: delegateKey(number).address,
            scopes: 1,
            expiryMs: at(2 ** 47),
          },
          {
            type: "keyGrant",
            account: account(number),
            key: readOnlyKey(number).address,
            scopes: 2,
            expiryMs: at(2 ** 47),
          },
          {
            type: "keyGrant",
            account: account(number),
            key: expiringKey(number).address,
            scopes: 1,
            expiryMs: at(venue.timeMs + 60_000),
          },
        ),
      );
    }
    this.must(
      venue.inbound({
        type: "deposit",
        account: account(1),
        amount: micro(5_000 * USDC),
        payer: keyOf("sponsor").address,
      }),
    );
    for (const underlying of [BTC, ETH]) {
      this.must(venue.inbound({ type: "listSeries", underlying, expiryMs: at(0), strikes: [] }));
      for (const minutes of [random.integer(8, 15), random.integer(30, 60)])
        this.listSeries(underlying, minutes * 60_000);
    }
    this.darkExpiryMs = venue.timeMs + 10 * 24 * 3_600_000;
    // A strike of one micro-USD is outside the pricing domain.
    const strikes = [dollars(0.000001), dollars(100_000)];
    this.must(venue.inbound({ type: "listSeries", underlying: BTC, expiryMs: at(this.darkExpiryMs), strikes }));
    for (const underlying of [BTC, ETH]) {
      this.must(this.report(underlying));
      this.closeEpoch(underlying);
    }
    this.must(grantOf(venue, CREDITED, 1_000 * USDC, 2 ** 40));
    this.#settleSeries();
  }

  /** From the start there are settled instruments, and some that expired without a price. */
  #settleSeries(): void {
    const { venue } = this;
    for (const underlying of [BTC, ETH]) {
      const first = this.state.instrumentCount;
      this.listSeries(underlying, 1_000);
      const expiryMs = at(venue.timeMs + 1_000);
      this.listSeries(underlying, 1_001);
      venue.advance(1_001);
      const instruments = this.instruments((cell, number) => number >= first && cell.expiryMs === expiryMs);
      const settlementPrice = dollars(this.prices.get(underlying) ?? 0);
      const settled = instruments.map(instrument);
      this.must(venue.expiryOf({ underlying, expiryMs, settlementPrice, instruments: settled, realisations: [] }));
    }
  }

  // ── states that cycles reach too rarely ──────────────────────────────────────────────────────────────────────────

  /** Moves cash by hand, in both states: what a run of the market would do to an account. */
  shiftCash(from: number, to: number, amount: number): void {
    if (from === to || amount === 0) return;
    const draft = this.state.begin();
    draft.editAccount(from).cash = micro(draft.editAccount(from).cash - amount);
    draft.editAccount(to).cash = micro(draft.editAccount(to).cash + amount);
    draft.commit();
    this.syncReference();
  }

  /** The reference's state follows what was written by hand. */
  protected syncReference(): void {
    this.reference.state = referenceOf(this.state);
  }

  /** The same until the next cycle was applied. */
  lendCash(from: number, to: number, amount: number): void {
    this.shiftCash(from, to, amount);
    this.#afterwards.push(() => this.shiftCash(to, from, amount));
  }

  /** What was lent for a cycle goes back once it was applied, by whomever. */
  undoLoans(): void {
    for (const undo of this.#afterwards.splice(0)) undo();
  }

  listSeries(underlying: typeof BTC, inMs: number): void {
    const price = this.prices.get(underlying) ?? 0;
    const strikes = [0.95, 1, 1.05].map((factor) => dollars(Math.round((price * factor) / 50) * 50));
    this.must(this.venue.inbound({ type: "listSeries", underlying, expiryMs: at(this.venue.timeMs + inMs), strikes }));
  }

  // ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────

  report(underlying: typeof BTC, change: Partial<{ index: number; premium: number }> = {}): Cycle {
    const price = change.index ?? this.prices.get(underlying) ?? 0;
    const marks = { index: dollars(price), premium: change.premium ?? this.random.integer(-2_000_000, 2_000_000) };
    const report = this.venue.reportOf(underlying, { ...marks, volatility: 0.3 + this.random.next() });
    const hasDark = this.random.chance(0.5);
    const surfaces = report.surfaces.filter((surface) => hasDark || surface.expiryMs !== this.darkExpiryMs);
    return this.venue.resigned({ ...report, surfaces });
  }

  closeEpoch(underlying: number): void {
    for (const cycle of this.venue.rows(underlying)) {
      const instruments = cycle.instruments.filter((number) => !this.isDark(number));
      if (instruments.length > 0 || cycle.closesEpoch) this.must({ ...cycle, instruments });
    }
  }

  isDark(number: number): boolean {
    return this.state.instrument(number)?.expiryMs === this.darkExpiryMs;
  }

  // ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

  instruments(accepts: (cell: Readonly<InstrumentCell>, number: number) => boolean): number[] {
    const numbers: number[] = [];
    for (let number = 0; number < this.state.instrumentCount; number++) {
      if (accepts(this.state.instrument(number) as InstrumentCell, number)) numbers.push(number);
    }
    return numbers;
  }

  /** Of an account as it could be, at the marks of now. */
  marginOf(cell: Readonly<AccountCell>): Margin {
    return marginOfCell(viewOfVenue(this.venue), cell, at(this.venue.timeMs));
  }

  /** Tradable, with a row, of an underlying whose epoch is closed. */
  liveInstruments(): number[] {
    return this.instruments(
      (cell) =>
        isTradable(cell, at(this.venue.timeMs)) &&
        cell.rowEpoch > 0 &&
        this.state.underlying(cell.underlying)?.epochOpen === false,
    );
  }

  openEpochs(): number[] {
    return [BTC, ETH].filter((underlying) => this.state.underlying(underlying)?.epochOpen === true);
  }
}
