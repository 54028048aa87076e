// A market without data: correlated index paths with jumps, surfaces with skew and term structure, daily, weekly, monthly
// and quarterly expiries at 08:00 UTC, all from one printed seed.
import type { ExpirySurface } from "@tidemark/ledger";
import type { MicroUsd, PartsPerBillion, TimestampMs } from "@tidemark/num";
import type { Svi } from "./black.ts";
import { blackOverForward, settlementForward, sviVariance, varianceYears, vegaOverForward, YEAR_MS } from "./black.ts";
import { tickCeil, tickFloor } from "./conversion.ts";
import type { Knot } from "./path.ts";
import { IndexPath } from "./path.ts";
import { normalAt, seedOf, uniformAt } from "./random.ts";
import { nextExpiryMs } from "./recorded.ts";
import type {
  ChainSelection,
  ClockJump,
  ExpiryMarket,
  MarketSource,
  MarketState,
  QuoteReference,
  SeriesListing,
  UnderlyingDefinition,
  UnderlyingMarket,
} from "./source.ts";
import {
  AVERAGING_WINDOW_MS_DEFAULT,
  CHAIN_SELECTION_DEFAULT,
  DAY_MS,
  nearestStrikes,
  UNDERLYINGS_DEFAULT,
} from "./source.ts";
import type { FitError } from "./surface.ts";
import { surfaceShape } from "./surface.ts";

export interface SimulatedOptions {
  readonly seed: number;
  readonly startMs?: number;
  readonly selection?: ChainSelection;
  readonly underlyings?: readonly UnderlyingDefinition[];
  readonly averagingWindowMs?: number;
}

/** A Friday, three and a half hours before its expiry. */
export const SIMULATED_START_MS = Date.UTC(2026, 0, 9, 4, 30);

const HOUR_MS = 3_600_000;
const COMMON_FACTOR = 0.92;
const JUMPS_PER_HOUR = 0.25;
const JUMP_DEVIATION = 0.012;
/** A jump happens within this time. */
const JUMP_MS = 1_000;

interface CoinShape {
  readonly index: number;
  readonly volatility: number;
  readonly jumpBeta: number;
  readonly carryPerYear: number;
  /** Distance of strikes near the money, USD. */
  readonly strikeStep: number;
}

const SHAPES: readonly CoinShape[] = [
  { index: 92_000, volatility: 0.52, jumpBeta: 1, carryPerYear: 0.05, strikeStep: 500 },
  { index: 3_150, volatility: 0.7, jumpBeta: 1.25, carryPerYear: 0.035, strikeStep: 25 },
];

interface Coin {
  readonly shape: CoinShape;
  readonly knots: Knot[];
  readonly path: IndexPath;
  /** Short-term volatility at each hour from the start. */
  readonly levels: number[];
  readonly seed: number;
}

export class SimulatedSource implements MarketSource {
  readonly kind = "simulated";
  readonly description: string;
  readonly seed: number;
  readonly underlyings: readonly UnderlyingDefinition[];
  readonly startMs: number;
  readonly endMs = Infinity;
  readonly averagingWindowMs: number;
  readonly #selection: ChainSelection;
  readonly #coins: readonly Coin[];
  readonly #listings: SeriesListing[] = [];
  readonly #listedMs: Map<number, number>[];
  readonly #commonSeed: number;
  #nextListingMs: number;

  constructor(options: SimulatedOptions) {
    this.seed = options.seed;
    this.startMs = options.startMs ?? SIMULATED_START_MS;
    this.underlyings = options.underlyings ?? UNDERLYINGS_DEFAULT;
    this.averagingWindowMs = options.averagingWindowMs ?? AVERAGING_WINDOW_MS_DEFAULT;
    this.#selection = options.selection ?? CHAIN_SELECTION_DEFAULT;
    this.#commonSeed = seedOf(options.seed, "simulated common");
    this.description = `simulated market, seed ${options.seed}`;
    this.#coins = this.underlyings.map(({ name }, u) => {
      const shape = SHAPES[u % SHAPES.length] as CoinShape;
      const volatility = shape.volatility;
      const knots: Knot[] = [
        { timeMs: this.startMs, valueMicroUsd: Math.round(shape.index * 1e6) as MicroUsd, volatility },
      ];
      const path = new IndexPath(knots, options.seed, name, COMMON_FACTOR);
      return { shape, knots, path, levels: [volatility], seed: seedOf(options.seed, `simulated ${name}`) };
    });
    this.#listedMs = this.underlyings.map(() => new Map<number, number>());
    this.#nextListingMs = this.startMs;
    this.#listUntil(this.startMs);
  }

  /** Adds whole hours until every path reaches beyond `timeMs`. Hour h depends on the seed, h and hour h − 1 only. */
  #extend(timeMs: number): void {
    for (const coin of this.#coins) {
      while (coin.path.endMs <= timeMs) this.#addHour(coin, coin.levels.length - 1);
    }
  }

  #addHour(coin: Coin, hour: number): void {
    const fromMs = this.startMs + hour * HOUR_MS;
    const level = coin.levels[hour] as number;
    const jumps = uniformAt(this.#commonSeed, 1, hour) < JUMPS_PER_HOUR;
    const jumpMs = jumps
      ? fromMs + Math.floor(uniformAt(this.#commonSeed, 2, hour) * (HOUR_MS - 4 * JUMP_MS)) + 2 * JUMP_MS
      : 0;
    const size = JUMP_DEVIATION * coin.shape.jumpBeta * normalAt(this.#commonSeed, 3, hour);
    const diffuse = (toMs: number, part: number): void => {
      const last = coin.knots[coin.knots.length - 1] as Knot;
      const common = normalAt(this.#commonSeed, 4 + part, hour);
      const normal = COMMON_FACTOR * common + Math.sqrt(1 - COMMON_FACTOR ** 2) * normalAt(coin.seed, 4 + part, hour);
      const deviation = level * Math.sqrt((toMs - last.timeMs) / YEAR_MS);
      last.volatility = level;
      this.#addKnot(coin, toMs, deviation * normal - deviation ** 2 / 2, level);
    };
    if (jumps) {
      diffuse(jumpMs, 0);
      this.#addKnot(coin, jumpMs + JUMP_MS, size, level);
    }
    diffuse(fromMs + HOUR_MS, 1);
    // Volatility returns to its mean within days and rises with a jump's size.
    const pull = 0.02 * (Math.log(coin.shape.volatility) - Math.log(level));
    coin.levels.push(level * Math.exp(pull + 0.015 * normalAt(coin.seed, 9, hour) + (jumps ? 3 * Math.abs(size) : 0)));
  }

  #addKnot(coin: Coin, timeMs: number, logReturn: number, volatility: number): void {
    const last = coin.knots[coin.knots.length - 1] as Knot;
    coin.knots.push({
      timeMs,
      valueMicroUsd: Math.round(last.valueMicroUsd * Math.exp(logReturn)) as MicroUsd,
      volatility,
    });
  }

  #listUntil(timeMs: number): void {
    while (this.#nextListingMs <= timeMs) {
      const listedMs = this.#nextListingMs;
      this.#extend(listedMs);
      this.underlyings.forEach(({ underlying }, u) => {
        const known = this.#listedMs[u] as Map<number, number>;
        if (known.size === 0) this.#listings.push({ underlying, expiryMs: 0 as TimestampMs, strikes: [], listedMs });
        for (const expiryMs of calendarExpiries(listedMs).slice(0, this.#selection.expiriesMax)) {
          if (known.has(expiryMs)) continue;
          known.set(expiryMs, listedMs);
          this.#listings.push({
            underlying,
            expiryMs: expiryMs as TimestampMs,
            strikes: this.#strikes(u, expiryMs, listedMs),
            listedMs,
          });
        }
      });
      this.#nextListingMs = nextExpiryMs(listedMs);
    }
  }

  /** Strikes about a quarter of a standard deviation apart, on round numbers. */
  #strikes(underlying: number, expiryMs: number, timeMs: number): MicroUsd[] {
    const coin = this.#coins[underlying] as Coin;
    const forward = this.#forward(coin, expiryMs, timeMs);
    const deviation = coin.shape.volatility * Math.sqrt((expiryMs - timeMs) / YEAR_MS) * (forward / 1e6);
    const multiples = [1, 2, 4, 10, 20, 40];
    const factor = multiples.find((one) => one * coin.shape.strikeStep >= deviation / 4) ?? 40;
    const step = coin.shape.strikeStep * factor * 1e6;
    const centre = Math.round(forward / step) * step;
    const count = this.#selection.strikesMax;
    const candidates = Array.from({ length: 2 * count + 1 }, (_, i) => centre + (i - count) * step).filter(
      (strike) => strike > 0,
    );
    return nearestStrikes(candidates, forward, count);
  }

  #forward(coin: Coin, expiryMs: number, timeMs: number): MicroUsd {
    const years = (expiryMs - timeMs) / YEAR_MS;
    return Math.round(coin.path.at(timeMs) * Math.exp(coin.shape.carryPerYear * years)) as MicroUsd;
  }

  clock(timeMs: number): { timeMs: number; jump: ClockJump | null } {
    return { timeMs, jump: null };
  }

  marketAt(timeMs: number): MarketState {
    this.#extend(timeMs);
    this.#listUntil(timeMs);
    return { timeMs, synthetic: true, underlyings: this.underlyings.map((_, u) => this.#underlyingAt(u, timeMs)) };
  }

  #underlyingAt(underlying: number, timeMs: number): UnderlyingMarket {
    const coin = this.#coins[underlying] as Coin;
    const listed = [...(this.#listedMs[underlying] as Map<number, number>)].sort(([p], [q]) => p - q);
    const expiries = new Map<number, ExpiryMarket>();
    const hours = (timeMs - this.startMs) / HOUR_MS;
    const hour = Math.floor(hours);
    const level =
      (coin.levels[hour] as number) +
      ((coin.levels[hour + 1] as number) - (coin.levels[hour] as number)) * (hours - hour);
    for (const [expiryMs, listedMs] of listed) {
      if (expiryMs <= timeMs || listedMs > timeMs) continue;
      const years = (expiryMs - timeMs) / YEAR_MS;
      const svi = slice(level, coin.shape.volatility, years);
      const forward = this.#forward(coin, expiryMs, timeMs);
      const realisedAverage = this.indexAverage(underlying, expiryMs, timeMs);
      const surface: ExpirySurface = {
        expiryMs: expiryMs as TimestampMs,
        forward,
        realisedAverage,
        ...surfaceShape(svi),
      };
      expiries.set(expiryMs, { surface, svi, forwardMicroUsd: forward, years });
    }
    // The premium wanders between hourly values, mostly outside the funding's dead band.
    const premiumAt = (h: number): number => 0.0012 * normalAt(coin.seed, 10, h);
    const premium = premiumAt(hour) + (premiumAt(hour + 1) - premiumAt(hour)) * (hours - hour);
    return { index: coin.path.at(timeMs), premium: Math.round(premium * 1e9) as PartsPerBillion, expiries };
  }

  optionReference(
    state: MarketState,
    underlying: number,
    expiryMs: number,
    strikeMicroUsd: number,
    isCall: boolean,
  ): QuoteReference {
    const market = state.underlyings[underlying]?.expiries.get(expiryMs);
    if (market === undefined) return { bid: 0 as MicroUsd, ask: 0 as MicroUsd };
    const leftMs = expiryMs - state.timeMs;
    const forward = settlementForward(
      market.forwardMicroUsd,
      market.surface.realisedAverage,
      leftMs,
      this.averagingWindowMs,
    );
    const k = Math.log(strikeMicroUsd / forward);
    const years = varianceYears(leftMs, this.averagingWindowMs);
    const deviation = Math.sqrt(sviVariance(market.svi, k) * years);
    const model = blackOverForward(k, deviation, isCall);
    // Wider in volatility for what is far or short.
    const half = Math.max(0.008 * vegaOverForward(k, deviation, years), 0.0001) + 0.01 * model;
    const tick = (this.underlyings[underlying] as UnderlyingDefinition).optionTickMicroUsd;
    const bid = tickFloor((model - half) * forward, tick);
    return { bid, ask: Math.max(tickCeil((model + half) * forward, tick), bid + tick) as MicroUsd };
  }

  listings(fromMs: number, toMs: number): SeriesListing[] {
    this.#listUntil(toMs);
    return this.#listings.filter(({ listedMs }) => listedMs > fromMs && listedMs <= toMs);
  }

  indexAverage(underlying: number, expiryMs: number, timeMs: number): MicroUsd {
    this.#extend(Math.min(timeMs, expiryMs));
    return (this.#coins[underlying] as Coin).path.average(expiryMs, this.averagingWindowMs, timeMs);
  }

  fitErrors(): readonly FitError[] {
    return [];
  }
}

/** Short volatility decays to its mean along the term; a power-law smile (Gatheral–Jacquier) in SVI's own parameters. */
function slice(shortVolatility: number, meanVolatility: number, years: number): Svi {
  const volatility = meanVolatility + (shortVolatility - meanVolatility) * Math.exp(-years / 0.15);
  const variance = volatility * volatility;
  const rho = -0.15 - 0.2 * Math.min(1, years * 4);
  const phi = 0.85 / Math.sqrt(variance * Math.max(years, 1 / 2_000));
  return {
    a: (variance / 2) * (1 - rho * rho),
    b: (variance * phi) / 2,
    rho,
    m: -rho / phi,
    s: Math.sqrt(1 - rho * rho) / phi,
  };
}

const FRIDAY = 5;

/** Three days, four Fridays, the last Fridays of three months and of four quarters; each once, increasing. */
function calendarExpiries(timeMs: number): number[] {
  const first = nextExpiryMs(timeMs);
  const expiries = new Set<number>([first, first + DAY_MS, first + 2 * DAY_MS]);
  let friday = first;
  while (new Date(friday).getUTCDay() !== FRIDAY) friday += DAY_MS;
  for (let week = 0; week < 4; week++) expiries.add(friday + week * 7 * DAY_MS);
  let months = 0;
  let quarters = 0;
  for (let day = friday; months < 3 || quarters < 4; day += 7 * DAY_MS) {
    const date = new Date(day);
    if (new Date(day + 7 * DAY_MS).getUTCMonth() === date.getUTCMonth()) continue;
    const quarterly = date.getUTCMonth() % 3 === 2;
    if (months < 3 || (quarterly && quarters < 4)) expiries.add(day);
    months++;
    if (quarterly) quarters++;
  }
  return [...expiries].sort((p, q) => p - q);
}
