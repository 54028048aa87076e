/** One line of a benchmark. `ratio` > 1 means better than the yardstick, which ran in the same process and minute. */
export interface BenchRow {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What we want `value` to reach; null where nothing was promised. */
  readonly goal: number | null;
  /** What the yardstick reached, in the same unit; its name is in `what` or in the benchmark's header. */
  readonly yardstick: number | null;
  readonly ratio: number | null;
}

export function quantile(sorted: Float64Array | readonly number[], fraction: number): number {
  const index = Math.min(sorted.length - 1, Math.floor(sorted.length * fraction));
  return sorted[index] ?? Number.NaN;
}

/** Of rounds that interleave ours with the yardstick: the median resists a round that a stalled disk spoilt. */
export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}
