// One expiry through recorded time: what is known of it at each moment, and the neighbours of a moment in between.

import type { Svi } from "./black.ts";
import { sviVariance } from "./black.ts";
import type { ExpirySnapshot, OptionQuote } from "./chainSnapshot.ts";

/** What is known of one expiry at one recorded moment. */
export interface ExpiryKnot {
  readonly timeMs: number;
  /** forward / index − 1 */
  readonly basis: number;
  readonly svi: () => Svi;
  /** Null where only the term structure is recorded: the last chain's quotes go on. */
  readonly quotes: ReadonlyMap<number, OptionQuote> | null;
}

export interface ExpiryLine {
  readonly listedMs: number;
  readonly knots: ExpiryKnot[];
  /** Forward at the moment of a knot, for the moneyness of its quotes. */
  readonly snapshots: (ExpirySnapshot | null)[];
}

/** The same smile at another at-the-money volatility: the least variance stays positive. */
export function atVolatility(svi: Svi, volatility: number): Svi {
  const shift = volatility * volatility - sviVariance(svi, 0);
  const least = 1e-4 - svi.b * svi.s * Math.sqrt(1 - svi.rho * svi.rho);
  return { ...svi, a: Math.max(svi.a + shift, least) };
}

/** Volatility of a quote over the fitted slice at its own moment. */
export function residualOf(quote: OptionQuote, at: { knot: ExpiryKnot; forwardMicroUsd: number }): number {
  const k = Math.log(quote.strikeMicroUsd / at.forwardMicroUsd);
  return quote.volatility - Math.sqrt(Math.max(sviVariance(at.knot.svi(), k), 0));
}

export function shareOf(fromMs: number, toMs: number, timeMs: number): number {
  return (timeMs - fromMs) / (toMs - fromMs);
}

export function neighbours(
  line: ExpiryLine,
  timeMs: number,
): { from: ExpiryKnot; to: ExpiryKnot | null; share: number } {
  let place = 0;
  while ((line.knots[place + 1]?.timeMs ?? Infinity) <= timeMs) place++;
  const from = line.knots[place] as ExpiryKnot;
  const to = line.knots[place + 1] ?? null;
  return { from, to, share: to === null ? 0 : shareOf(from.timeMs, to.timeMs, timeMs) };
}

export interface QuotePlace {
  knot: ExpiryKnot;
  forwardMicroUsd: number;
}

export function quoteNeighbours(
  line: ExpiryLine,
  timeMs: number,
): { from: QuotePlace; to: QuotePlace | null; share: number } {
  let from: QuotePlace | null = null;
  for (let i = 0; i < line.knots.length; i++) {
    const knot = line.knots[i] as ExpiryKnot;
    const snapshot = line.snapshots[i];
    if (snapshot === null || snapshot === undefined) continue;
    const place = { knot, forwardMicroUsd: snapshot.forwardMicroUsd };
    if (from !== null && knot.timeMs > timeMs)
      return { from, to: place, share: shareOf(from.knot.timeMs, knot.timeMs, timeMs) };
    from = place;
  }
  return { from: from as QuotePlace, to: null, share: 0 };
}
