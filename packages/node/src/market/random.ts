// Seeded randomness of the market and its traders. Two forms: a stream, and a hash of a place (seed, label, number), which
// gives the same number for the same place whatever was asked before.

/** xoshiro128** state from a 32-bit seed, by splitmix32. */
function expand(seed: number): Uint32Array {
  const state = new Uint32Array(4);
  let x = seed >>> 0;
  for (let i = 0; i < 4; i++) {
    x = (x + 0x9e3779b9) >>> 0;
    state[i] = mix(x);
  }
  return state;
}

function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** 32-bit seed of a named part: parts with different labels draw independent numbers. */
export function seedOf(seed: number, label: string): number {
  let hash = mix(seed ^ 0x5bd1e995);
  for (let i = 0; i < label.length; i++) hash = mix(hash ^ Math.imul(label.charCodeAt(i) + 1, 0x01000193));
  return hash;
}

export class Random {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = expand(seed);
  }

  u32(): number {
    const s = this.#state;
    const s1 = s[1] as number;
    const scrambled = Math.imul(s1, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    s[2] = (s[2] as number) ^ (s[0] as number);
    s[3] = (s[3] as number) ^ s1;
    s[1] = s1 ^ (s[2] as number);
    s[0] = (s[0] as number) ^ (s[3] as number);
    s[2] = (s[2] as number) ^ (s1 << 9);
    s[3] = ((s[3] as number) << 11) | ((s[3] as number) >>> 21);
    return result;
  }

  /** In (0, 1): never an end, so that logarithms are finite. */
  uniform(): number {
    return (this.u32() + 0.5) / 2 ** 32;
  }

  /** Integer in [low, high]. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.integer(0, list.length - 1)];
  }

  normal(): number {
    return normalOf(this.uniform(), this.uniform());
  }
}

function normalOf(u: number, v: number): number {
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

/** Uniform in (0, 1) of the place (seed, a, b). */
export function uniformAt(seed: number, a: number, b: number): number {
  const high = Math.floor(b / 2 ** 32);
  return (
    (mix(mix(mix(seed ^ Math.imul(a + 1, 0x9e3779b1)) ^ (b >>> 0)) ^ Math.imul(high + 7, 0x85ebca6b)) + 0.5) / 2 ** 32
  );
}

/** Standard normal of the place (seed, a, b). */
export function normalAt(seed: number, a: number, b: number): number {
  return normalOf(uniformAt(seed, a, b), uniformAt(seed ^ 0x68bc21eb, a, b));
}
