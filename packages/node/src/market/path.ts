// Index paths through known points. Between two points a Brownian bridge on the logarithm, by midpoint displacement with
// hashed normals: both ends are met exactly, any moment can be asked in any order, underlyings are correlated.

import type { MicroUsd } from "@tidemark/num";
import { divFloor } from "@tidemark/num";
import { YEAR_MS } from "./black.ts";
import { normalAt, seedOf } from "./random.ts";
import { AVERAGING_SAMPLE_MS } from "./source.ts";

export interface Knot {
  timeMs: number;
  valueMicroUsd: MicroUsd;
  /** Annualised volatility of the bridge that starts here. */
  volatility: number;
}

/** Bridges end at this resolution; below it the path is straight. */
const RESOLUTION_MS = 1_000;

export class IndexPath {
  readonly #knots: readonly Knot[];
  readonly #ownSeed: number;
  readonly #commonSeed: number;
  readonly #correlation: number;
  readonly #averages = new Map<number, { count: number; sum: number }>();
  #segment = 0;

  /**
   * @param knots increasing in time, at least one
   * @param correlation with the common factor that all paths of one seed share over equal stretches
   */
  constructor(knots: readonly Knot[], seed: number, label: string, correlation: number) {
    this.#knots = knots;
    this.#ownSeed = seedOf(seed, `path ${label}`);
    this.#commonSeed = seedOf(seed, "path common");
    this.#correlation = correlation;
  }

  get endMs(): number {
    return (this.#knots[this.#knots.length - 1] as Knot).timeMs;
  }

  isKnown(timeMs: number): boolean {
    return this.#knots[this.#find(timeMs)]?.timeMs === timeMs;
  }

  /** Held constant before the first and after the last known point. */
  at(timeMs: number): MicroUsd {
    const place = this.#find(timeMs);
    const from = this.#knots[Math.max(place, 0)] as Knot;
    const to = this.#knots[place + 1];
    if (place < 0 || to === undefined || from.timeMs === timeMs) return from.valueMicroUsd;
    return Math.round(from.valueMicroUsd * Math.exp(this.#bridge(from, to, timeMs))) as MicroUsd;
  }

  /** Index of the last knot at or before `timeMs`, −1 when none. Starts from the last answer: time mostly moves on. */
  #find(timeMs: number): number {
    const knots = this.#knots;
    let place = this.#segment;
    if (timeMs >= (knots[place] as Knot).timeMs && (knots[place + 1]?.timeMs ?? Infinity) > timeMs) return place;
    let low = -1;
    let high = knots.length - 1;
    while (low < high) {
      place = (low + high + 1) >> 1;
      if ((knots[place] as Knot).timeMs <= timeMs) low = place;
      else high = place - 1;
    }
    this.#segment = Math.max(low, 0);
    return low;
  }

  /** Logarithm of the path relative to the segment's start. */
  #bridge(from: Knot, to: Knot, timeMs: number): number {
    let low = from.timeMs;
    let high = to.timeMs;
    let valueLow = 0;
    let valueHigh = Math.log(to.valueMicroUsd / from.valueMicroUsd);
    const segmentSeed = seedOf(low % 4_294_967_291, String(to.timeMs));
    // Binary-heap number of the interval inside the segment.
    let node = 1;
    while (high - low > RESOLUTION_MS) {
      const middle = (low + high) / 2;
      const deviation = from.volatility * Math.sqrt((high - low) / YEAR_MS / 4);
      const common = normalAt(this.#commonSeed, segmentSeed, node);
      const own = normalAt(this.#ownSeed, segmentSeed, node);
      const normal = this.#correlation * common + Math.sqrt(1 - this.#correlation ** 2) * own;
      const value = (valueLow + valueHigh) / 2 + deviation * normal;
      if (timeMs < middle) {
        high = middle;
        valueHigh = value;
        node = 2 * node;
      } else {
        low = middle;
        valueLow = value;
        node = 2 * node + 1;
      }
    }
    return valueLow + ((valueHigh - valueLow) * (timeMs - low)) / (high - low);
  }

  /**
   * Mean of the samples in (expiryMs − windowMs, min(timeMs, expiryMs)], floor; 0 before the window, and the index at its
   * start until the first sample. The sums grow with time, so asking along the clock reads every sample once.
   */
  average(expiryMs: number, windowMs: number, timeMs: number): MicroUsd {
    const start = expiryMs - windowMs;
    const count = Math.floor((Math.min(timeMs, expiryMs) - start) / AVERAGING_SAMPLE_MS);
    if (count <= 0) return timeMs > start ? this.at(start) : (0 as MicroUsd);
    let known = this.#averages.get(expiryMs);
    if (known === undefined || known.count > count) known = { count: 0, sum: 0 };
    for (let i = known.count + 1; i <= count; i++) known.sum += this.at(start + i * AVERAGING_SAMPLE_MS);
    known.count = count;
    this.#averages.set(expiryMs, known);
    return divFloor(known.sum, count) as MicroUsd;
  }
}
