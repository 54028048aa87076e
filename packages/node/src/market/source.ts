// Where the market comes from: index, perpetual premium, surfaces, listed series and reference quotes as functions of the
// venue's time. A source is deterministic: the same seed and data give the same answer to the same question, in any order.
import type { ExpirySurface } from "@tidemark/ledger";
import type { MicroUsd, PartsPerBillion, TimestampMs, UnderlyingNumber } from "@tidemark/num";
import type { Svi } from "./black.ts";
import type { FitError } from "./surface.ts";

export interface UnderlyingDefinition {
  readonly underlying: UnderlyingNumber;
  /** Coin, as in instrument names: "BTC". */
  readonly name: string;
  readonly optionTickMicroUsd: number;
}

/** The venue's two coins with the default contract's ticks; the parameter set's order of underlyings. */
export const UNDERLYINGS_DEFAULT: readonly UnderlyingDefinition[] = [
  { underlying: 0 as UnderlyingNumber, name: "BTC", optionTickMicroUsd: 100_000 },
  { underlying: 1 as UnderlyingNumber, name: "ETH", optionTickMicroUsd: 10_000 },
];

/** What goes into the L1 listing of one series; expiryMs 0 is the perpetual. */
export interface SeriesListing {
  readonly underlying: UnderlyingNumber;
  readonly expiryMs: TimestampMs;
  /** Strictly increasing; empty for the perpetual. */
  readonly strikes: MicroUsd[];
  /** From when on the source knows the series. */
  readonly listedMs: number;
}

export interface ExpiryMarket {
  readonly surface: ExpirySurface;
  readonly svi: Svi;
  readonly forwardMicroUsd: MicroUsd;
  /** To expiry, ACT/365. */
  readonly years: number;
}

export interface UnderlyingMarket {
  readonly index: MicroUsd;
  /** Of the perpetual over the index. */
  readonly premium: PartsPerBillion;
  /** Listed and not yet expired, by expiry. */
  readonly expiries: ReadonlyMap<number, ExpiryMarket>;
}

export interface MarketState {
  readonly timeMs: number;
  /** False only at moments for which the data holds recorded values. */
  readonly synthetic: boolean;
  readonly underlyings: readonly UnderlyingMarket[];
}

/** Micro-USD per coin on the tick; 0 = no quote on that side. */
export interface QuoteReference {
  readonly bid: MicroUsd;
  readonly ask: MicroUsd;
}

export interface ClockJump {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface MarketSource {
  readonly kind: "replay" | "simulated";
  /** For the run's summary: folder and range, or the simulation's name. Never an absolute promise about data. */
  readonly description: string;
  readonly seed: number;
  readonly underlyings: readonly UnderlyingDefinition[];
  readonly averagingWindowMs: number;
  readonly startMs: number;
  /** Last moment that the source can answer; Infinity when it never ends. */
  readonly endMs: number;
  /** The venue's time for `timeMs`: moved over a gap of the data, with the jump to report. */
  clock(timeMs: number): { timeMs: number; jump: ClockJump | null };
  marketAt(timeMs: number): MarketState;
  /** Reference quote of an option at the state's time. */
  optionReference(
    state: MarketState,
    underlying: number,
    expiryMs: number,
    strikeMicroUsd: number,
    isCall: boolean,
  ): QuoteReference;
  /** Series that become known in (fromMs, toMs]; from −Infinity includes the ones listed at the start. */
  listings(fromMs: number, toMs: number): SeriesListing[];
  /** Average of the index over the averaging window before the expiry, up to `timeMs`; 0 before the window. */
  indexAverage(underlying: number, expiryMs: number, timeMs: number): MicroUsd;
  /** Fit errors of the surfaces that the source had to fit so far. */
  fitErrors(): readonly FitError[];
}

/** The averaging window of settlement, and how often the index is read in it. */
export const AVERAGING_WINDOW_MS_DEFAULT = 30 * 60_000;
export const AVERAGING_SAMPLE_MS = 6_000;

export const DAY_MS = 24 * 3_600_000;

/** How much of a chain is listed. */
export interface ChainSelection {
  /** Nearest expiries of each underlying. */
  readonly expiriesMax: number;
  /** Strikes nearest the forward of each expiry. */
  readonly strikesMax: number;
}

/** 2 underlyings · 12 expiries · (10 strikes · call and put + future) + 2 perpetuals: about five hundred instruments. */
export const CHAIN_SELECTION_DEFAULT: ChainSelection = { expiriesMax: 12, strikesMax: 10 };

/** The `count` strikes nearest the forward, increasing. */
export function nearestStrikes(strikes: readonly number[], forwardMicroUsd: number, count: number): MicroUsd[] {
  return [...new Set(strikes)]
    .sort((p, q) => Math.abs(Math.log(p / forwardMicroUsd)) - Math.abs(Math.log(q / forwardMicroUsd)) || p - q)
    .slice(0, count)
    .sort((p, q) => p - q) as MicroUsd[];
}
