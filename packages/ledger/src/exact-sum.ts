// Sums of products that stay exact beyond 2^53: plain numbers while they are safe, carried into a bigint when not.
// An account's size bounds are checked when it is written, but marks move afterwards, so no bound holds when it is read.

import { ROW_VALUE_BOUND } from "./limits.ts";

/** a·b, exactly, for safe integers. */
export function exactProduct(a: number, b: number): bigint {
  const product = a * b;
  return Number.isSafeInteger(product) ? BigInt(product) : BigInt(a) * BigInt(b);
}

export class ExactSum {
  #small = 0;
  #carried = 0n;

  /** A safe integer. */
  add(value: number): void {
    const sum = this.#small + value;
    if (Number.isSafeInteger(sum)) {
      this.#small = sum;
    } else {
      this.#carried += BigInt(this.#small) + BigInt(value);
      this.#small = 0;
    }
  }

  addExact(value: bigint): void {
    this.#carried += value;
  }

  /** Adds a·b of safe integers. */
  addProduct(a: number, b: number): void {
    const product = a * b;
    if (Number.isSafeInteger(product)) this.add(product);
    else this.#carried += BigInt(a) * BigInt(b);
  }

  value(): bigint {
    return this.#carried + BigInt(this.#small);
  }
}

/** Of values that are ≥ 0, it bounds their differences too. */
function greatest(values: readonly number[], count: number): number {
  let result = 0;
  for (let i = 0; i < count; i++) if ((values[i] as number) > result) result = values[i] as number;
  return result;
}

/** One exact sum a scenario: Σ size·(V[s] − V[0]) over the rows that were added. */
export class ScenarioSums {
  readonly #small: Float64Array;
  #carried: bigint[] | null = null;
  /** No |sum| is above it: while it is safe, so is every product and every sum below it. */
  #bound = 0;

  constructor(scenarioCount: number) {
    this.#small = new Float64Array(scenarioCount);
  }

  /** As new: one object serves many accounts. */
  reset(): void {
    this.#small.fill(0);
    this.#carried = null;
    this.#bound = 0;
  }

  /** size: int32; row: 0 ≤ V < 2^40. */
  addRow(size: number, row: readonly number[]): void {
    const small = this.#small;
    const mark = row[0] as number;
    // Almost always the bound that every row keeps is enough; else the row's own.
    const lots = Math.abs(size);
    const byWidth = this.#bound + lots * ROW_VALUE_BOUND;
    this.#bound = byWidth <= Number.MAX_SAFE_INTEGER ? byWidth : this.#bound + lots * greatest(row, small.length);
    if (this.#bound <= Number.MAX_SAFE_INTEGER) {
      for (let s = 1; s < small.length; s++) small[s] = (small[s] as number) + size * ((row[s] as number) - mark);
      return;
    }
    for (let s = 0; s < small.length; s++) {
      const change = (row[s] as number) - mark;
      const product = size * change;
      const sum = (small[s] as number) + product;
      if (Number.isSafeInteger(product) && Number.isSafeInteger(sum)) small[s] = sum;
      else this.#carry(s, size, change);
    }
  }

  #carry(s: number, size: number, change: number): void {
    this.#carried ??= new Array<bigint>(this.#small.length).fill(0n);
    this.#carried[s] = (this.#carried[s] as bigint) + BigInt(size) * BigInt(change);
  }

  value(s: number): bigint {
    return BigInt(this.#small[s] as number) + (this.#carried?.[s] ?? 0n);
  }

  /** Scenario of the greatest loss; the first of equals. */
  worst(): number {
    let worst = 0;
    if (this.#carried === null) {
      for (let s = 1; s < this.#small.length; s++) {
        if ((this.#small[s] as number) < (this.#small[worst] as number)) worst = s;
      }
      return worst;
    }
    for (let s = 1; s < this.#small.length; s++) if (this.value(s) < this.value(worst)) worst = s;
    return worst;
  }
}
