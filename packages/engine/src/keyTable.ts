// Hash table from a pair of int32 to a non-negative int32, open addressing in one Int32Array: lookups on the order path
// neither allocate nor box. Iteration order is never exposed, so the layout cannot reach an output.

const STRIDE = 4;
const EMPTY = -1;

export class KeyTable {
  #cells: Int32Array<ArrayBuffer>;
  #mask: number;
  #count = 0;

  /** @param capacity power of two. */
  constructor(capacity = 1024) {
    this.#cells = new Int32Array(capacity * STRIDE);
    this.#mask = capacity - 1;
    this.#erase();
  }

  get count(): number {
    return this.#count;
  }

  #erase(): void {
    for (let at = 2; at < this.#cells.length; at += STRIDE) this.#cells[at] = EMPTY;
  }

  #home(a: number, b: number): number {
    let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    return (h ^ (h >>> 13)) & this.#mask;
  }

  /** The value, or −1. */
  get(a: number, b: number): number {
    const cells = this.#cells;
    for (let i = this.#home(a, b); ; i = (i + 1) & this.#mask) {
      const at = i * STRIDE;
      const value = cells[at + 2] as number;
      if (value === EMPTY || (cells[at] === a && cells[at + 1] === b)) return value;
    }
  }

  /** False, and nothing changes, when the pair has a value. */
  add(a: number, b: number, value: number): boolean {
    if (this.#count * 2 > this.#mask) this.#grow();
    const cells = this.#cells;
    for (let i = this.#home(a, b); ; i = (i + 1) & this.#mask) {
      const at = i * STRIDE;
      if (cells[at + 2] !== EMPTY) {
        if (cells[at] === a && cells[at + 1] === b) return false;
        continue;
      }
      cells[at] = a;
      cells[at + 1] = b;
      cells[at + 2] = value;
      this.#count += 1;
      return true;
    }
  }

  set(a: number, b: number, value: number): void {
    if (this.#count * 2 > this.#mask) this.#grow();
    const cells = this.#cells;
    for (let i = this.#home(a, b); ; i = (i + 1) & this.#mask) {
      const at = i * STRIDE;
      if (cells[at + 2] === EMPTY) this.#count += 1;
      else if (cells[at] !== a || cells[at + 1] !== b) continue;
      cells[at] = a;
      cells[at + 1] = b;
      cells[at + 2] = value;
      return;
    }
  }

  /** Backward-shift deletion: no tombstones, so probes stay short however long the process runs. */
  delete(a: number, b: number): void {
    const cells = this.#cells;
    const mask = this.#mask;
    let i = this.#home(a, b);
    for (; ; i = (i + 1) & mask) {
      const at = i * STRIDE;
      if (cells[at + 2] === EMPTY) return;
      if (cells[at] === a && cells[at + 1] === b) break;
    }
    let hole = i;
    for (let j = (i + 1) & mask; cells[j * STRIDE + 2] !== EMPTY; j = (j + 1) & mask) {
      const home = this.#home(cells[j * STRIDE] as number, cells[j * STRIDE + 1] as number);
      // Movable when its home is not inside (hole, j].
      if (((j - home) & mask) >= ((j - hole) & mask)) {
        cells.copyWithin(hole * STRIDE, j * STRIDE, j * STRIDE + STRIDE);
        hole = j;
      }
    }
    cells[hole * STRIDE + 2] = EMPTY;
    this.#count -= 1;
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#erase();
    this.#count = 0;
  }

  #grow(): void {
    const old = this.#cells;
    this.#cells = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    this.#count = 0;
    this.#erase();
    for (let at = 0; at < old.length; at += STRIDE) {
      if (old[at + 2] !== EMPTY) this.set(old[at] as number, old[at + 1] as number, old[at + 2] as number);
    }
  }
}

/** The array itself, or a copy of at least twice its length that has room for `length` elements. */
export function grownInt32(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const grown = new Int32Array(Math.max(length, array.length * 2));
  grown.set(array);
  return grown;
}

export function grownFloat64(array: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const grown = new Float64Array(Math.max(length, array.length * 2));
  grown.set(array);
  return grown;
}
