// The trading floor: who is there, with how much money, and what they send in each step. Deterministic from the seed, the
// source and what the venue answers. No owner trades with himself: owners' subaccounts quote different instruments.

import type { Address, ParameterSet } from "@tidemark/ledger";
import { domainSeparator, Scope } from "@tidemark/ledger";
import type { MicroUsdc, TimestampMs } from "@tidemark/num";
import { keccak256 } from "@tidemark/num";
import type { FloorCommand, VenueView } from "./desk.ts";
import { Desk } from "./desk.ts";
import type { FloorInstrument, Reference, Step } from "./flow.ts";
import { floorInstrument, isTradable, referenceOf } from "./flow.ts";
import { Gambler, SleepyArbitrageur } from "./leverage.ts";
import type { MakerStyle } from "./makers.ts";
import { Maker, SLICE_INSTRUMENTS_MAX } from "./makers.ts";
import { Random, seedOf } from "./random.ts";
import type { MarketSource } from "./source.ts";
import type { TakerStyle } from "./takers.ts";
import { Hedger, Taker, Withdrawer } from "./takers.ts";

export interface FloorOptions {
  readonly source: MarketSource;
  readonly parameters: ParameterSet;
  readonly seed: number;
  /** Wall time between two steps: rates below are per wall second. */
  readonly stepWallMs: number;
  /** Scales takers and quotes alike. */
  readonly flow?: number;
  readonly takers?: number;
  /** Venue time after the start at which the withdrawer asks for money. */
  readonly withdrawAfterMs?: readonly number[];
}

export interface AccountRequest {
  readonly label: string;
  /** Owns the account on the L1; the same key may own several. */
  readonly ownerKey: Uint8Array;
  readonly owner: Address;
  readonly depositMicroUsdc: MicroUsdc;
  /** Session key to grant on the L1, or null. */
  readonly delegate: { readonly key: Address; readonly scopes: number; readonly expiryMs: TimestampMs } | null;
}

export interface AccountAssignment {
  readonly account: number;
  /** Highest nonce that the venue has seen; 0 for a new account. */
  readonly lastNonce: number;
}

const TAKERS_DEFAULT = 10;
const TAKER_ORDERS_PER_SECOND = 150;
const QUOTES_PER_SECOND = 1_500;
/** The first steps put up the whole chain. */
const OPENING_QUOTES_PER_STEP = 900;
const OPENING_STEPS = 4;
/** Outlives the gaps between the trading days of a replay. */
const SESSION_KEY_LIFETIME_MS = 365 * 24 * 3_600_000;
const WITHDRAW_AFTER_MS = [25 * 60_000, 80 * 60_000];
/** Options quoted by both makers: the nearest expiries, near the money. */
const SHARED_EXPIRIES = 4;
const SHARED_MONEYNESS = 1;

const USDC = 1_000_000;
const MAKER_OPTION_DEPOSIT = 20_000_000 * USDC;
const MAKER_LINEAR_DEPOSIT = 30_000_000 * USDC;
const TAKER_DEPOSIT = 1_500_000 * USDC;
const HEDGER_DEPOSIT = 800_000 * USDC;
const GAMBLER_DEPOSIT = 12_000 * USDC;
const ARBITRAGEUR_DEPOSIT = 6_000 * USDC;

const MAKER_STYLES: readonly { name: string; style: MakerStyle }[] = [
  {
    name: "maker-amber",
    style: {
      optionQuoteUsdc: 60_000,
      linearLevelUsdc: 60_000,
      linearLevels: 3,
      widening: 0.02,
      lifetimeMs: 2 * 3_600_000,
    },
  },
  {
    name: "maker-basalt",
    style: {
      optionQuoteUsdc: 40_000,
      linearLevelUsdc: 40_000,
      linearLevels: 2,
      widening: 0.08,
      lifetimeMs: 90 * 60_000,
    },
  },
];

const TAKER_STYLE: TakerStyle = {
  optionPositionUsdc: 150_000,
  optionOrderUsdc: 10_000,
  linearPositionUsdc: 700_000,
  linearOrderUsdc: 70_000,
  perpetualShare: 0.4,
  futureShare: 0.15,
};

/** A private key of the floor's own: from the seed and a label, for a venue that runs on an L1 of its own. */
export function floorKey(seed: number, label: string): Uint8Array {
  return keccak256(new TextEncoder().encode(`tidemark floor ${seed} ${label}`));
}

export class TradingFloor {
  readonly #options: FloorOptions;
  readonly #out: FloorCommand[] = [];
  readonly #desks: { desk: Desk; depositMicroUsdc: number; delegated: boolean }[] = [];
  readonly #byAccount = new Map<number, Desk>();
  readonly #makers: Maker[] = [];
  readonly #takers: Taker[] = [];
  readonly #others: { step(step: Step): void }[] = [];
  #withdrawer: Withdrawer | null = null;
  readonly #directory = new Map<number, FloorInstrument>();
  readonly #random: Random;
  #stepNumber = 0;
  #resumed = false;
  #takerBudget = 0;

  constructor(options: FloorOptions) {
    this.#options = options;
    this.#random = new Random(seedOf(options.seed, "trading floor"));
    this.#openMakers();
    this.#openTakers(options.takers ?? TAKERS_DEFAULT);
    options.source.underlyings.forEach(({ name }, u) => {
      this.#others.push(new Gambler(this.#desk(`bull-${name}`, GAMBLER_DEPOSIT), u, 1));
      this.#others.push(new Gambler(this.#desk(`bear-${name}`, GAMBLER_DEPOSIT), u, -1));
      this.#others.push(new SleepyArbitrageur(this.#desk(`basis-${name}`, ARBITRAGEUR_DEPOSIT), u));
    });
    this.#others.push(new Hedger(this.#desk("hedger", HEDGER_DEPOSIT), 0));
  }

  #desk(label: string, depositMicroUsdc: number, ownerLabel = label, delegated = false): Desk {
    const { seed, parameters } = this.#options;
    const ownerKey = floorKey(seed, ownerLabel);
    const tradingKey = delegated ? floorKey(seed, `${label} session`) : ownerKey;
    const desk = new Desk(
      label,
      ownerKey,
      tradingKey,
      { domain: parameters.domain, separator: domainSeparator(parameters) },
      this.#out,
    );
    this.#desks.push({ desk, depositMicroUsdc, delegated });
    return desk;
  }

  #openMakers(): void {
    const { source, seed } = this.#options;
    const listed = source.listings(-Infinity, source.startMs);
    const options = listed.reduce((sum, { strikes }) => sum + 2 * strikes.length, 0);
    // Half the chain each, what both quote, and room for series listed later.
    const slices = Math.ceil((options * 0.5 + options * 0.15 + 60) / SLICE_INSTRUMENTS_MAX);
    MAKER_STYLES.forEach(({ name, style }, place) => {
      const linearDesk = this.#desk(`${name}-linear`, MAKER_LINEAR_DEPOSIT, name);
      const optionDesks = Array.from({ length: slices }, (_, i) =>
        this.#desk(`${name}-options-${i + 1}`, MAKER_OPTION_DEPOSIT, name),
      );
      const covers = (instrument: FloorInstrument, step: Step): boolean =>
        !instrument.isOption || instrument.number % MAKER_STYLES.length === place || isShared(instrument, step);
      this.#makers.push(new Maker({ name, style, linearDesk, optionDesks, seed, covers }));
    });
  }

  #openTakers(count: number): void {
    for (let i = 0; i < count; i++) {
      const withdraws = i === 0;
      const desk = this.#desk(`taker-${i + 1}`, TAKER_DEPOSIT, `taker-${i + 1}`, withdraws);
      this.#takers.push(new Taker(desk, TAKER_STYLE, i, count));
      if (!withdraws) continue;
      this.#withdrawer = new Withdrawer(
        desk,
        this.#options.withdrawAfterMs ?? WITHDRAW_AFTER_MS,
        this.#options.parameters.chainId,
      );
      this.#others.push(this.#withdrawer);
    }
  }

  /** In the order in which `assignAccounts` expects the numbers. */
  accountsNeeded(): AccountRequest[] {
    return this.#desks.map(({ desk, depositMicroUsdc, delegated }) => ({
      label: desk.label,
      ownerKey: desk.ownerKey,
      owner: desk.owner,
      depositMicroUsdc: depositMicroUsdc as MicroUsdc,
      delegate: delegated
        ? {
            key: desk.trader,
            scopes: Scope.trade,
            expiryMs: (this.#options.source.startMs + SESSION_KEY_LIFETIME_MS) as TimestampMs,
          }
        : null,
    }));
  }

  /** Account numbers as the chain gave them. After a restart old orders are withdrawn first: nobody remembers them. */
  assignAccounts(assignments: readonly AccountAssignment[]): void {
    assignments.forEach(({ account, lastNonce }, i) => {
      const desk = this.#desks[i]?.desk;
      if (desk === undefined) return;
      desk.assign(account, lastNonce);
      this.#byAccount.set(account, desk);
      if (lastNonce > 0) this.#resumed = true;
    });
  }

  /** Commands of one step, in the order to apply; the venue's events reach the floor before the next step. */
  step(timeMs: number, view: VenueView): FloorCommand[] {
    this.#stepNumber++;
    this.#out.length = 0;
    if (this.#resumed) {
      for (const { desk } of this.#desks) desk.cancelAll(timeMs);
      this.#resumed = false;
    }
    const step = this.#look(timeMs, view);
    const perStep = (this.#options.stepWallMs / 1_000) * (this.#options.flow ?? 1);
    const opening = this.#stepNumber <= OPENING_STEPS;
    const quotes = opening ? OPENING_QUOTES_PER_STEP : Math.round(QUOTES_PER_SECOND * perStep);
    for (const maker of this.#makers) maker.step(step, Math.ceil(quotes / this.#makers.length));
    // Nobody crosses before the chain stands.
    if (!opening) {
      this.#takerBudget += TAKER_ORDERS_PER_SECOND * perStep;
      while (this.#takerBudget >= 1) {
        this.#takerBudget--;
        this.#random.pick(this.#takers)?.step(step, 1);
      }
      for (const other of this.#others) other.step(step);
    }
    return this.#out.slice();
  }

  #look(timeMs: number, view: VenueView): Step {
    const { source } = this.#options;
    const state = source.marketAt(timeMs);
    const instruments: FloorInstrument[] = [];
    const references = new Map<number, Reference>();
    const count = view.instrumentCount();
    for (let number = 0; number < count; number++) {
      const cell = view.instrument(number);
      if (!isTradable(cell, timeMs)) {
        this.#directory.delete(number);
        continue;
      }
      let instrument = this.#directory.get(number);
      if (instrument === undefined) this.#directory.set(number, (instrument = floorInstrument(number, cell)));
      const reference = referenceOf(source, state, instrument);
      if (reference === null) continue;
      instruments.push(instrument);
      references.set(number, reference);
    }
    return { timeMs, state, source, view, instruments, directory: this.#directory, random: this.#random, references };
  }

  /** Instruments that no maker had room for in the last step. */
  get uncovered(): number {
    return this.#makers.reduce((sum, maker) => sum + maker.uncovered, 0);
  }

  /** Label of an account of this floor, for the display. */
  labelOf(account: number): string | undefined {
    return this.#byAccount.get(account)?.label;
  }

  // ── feedback: the pipeline passes the engine's events on ─────────────────────────────────────────────────────────

  onFill(makerAccount: number, makerNonce: number, takerAccount: number, takerNonce: number, lots: number): void {
    this.#byAccount.get(makerAccount)?.filled(makerNonce, lots);
    this.#byAccount.get(takerAccount)?.filled(takerNonce, lots);
  }

  onLiquidationFill(makerAccount: number, makerNonce: number, account: number, lots: number): void {
    this.#byAccount.get(makerAccount)?.filled(makerNonce, lots);
    const desk = this.#byAccount.get(account);
    if (desk !== undefined) desk.liquidationFills++;
  }

  onAmended(account: number, nonce: number, replaces: number, openLots: number): void {
    this.#byAccount.get(account)?.amended(nonce, replaces, openLots);
  }

  onCancelled(account: number, nonce: number): void {
    this.#byAccount.get(account)?.cancelled(nonce);
  }

  onRejected(account: number, nonce: number): void {
    this.#byAccount.get(account)?.rejected(nonce);
    if (this.#withdrawer?.desk.account === account) this.#withdrawer.rejected(nonce);
  }
}

function isShared(instrument: FloorInstrument, step: Step): boolean {
  const market = step.state.underlyings[instrument.underlying];
  const rank = [...(market?.expiries.keys() ?? [])].indexOf(instrument.expiryMs);
  const expiry = market?.expiries.get(instrument.expiryMs);
  if (expiry === undefined || rank < 0 || rank >= SHARED_EXPIRIES) return false;
  const deviation = Math.sqrt(
    Math.max(expiry.svi.a + expiry.svi.b * Math.sqrt(expiry.svi.m ** 2 + expiry.svi.s ** 2), 0.04) * expiry.years,
  );
  return Math.abs(Math.log(instrument.strikeMicroUsd / expiry.forwardMicroUsd)) <= SHARED_MONEYNESS * deviation;
}
