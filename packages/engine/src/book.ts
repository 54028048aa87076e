// Price-time priority books. A side is a sorted run of levels with the best price last, so that work near the touch moves
// little memory; a level is a FIFO list through the order records. All runs lie in one array: at many books the way to a
// level is what costs, and it is two reads here.
import { assert } from "@tidemark/num";
import { grownInt32 } from "./keyTable.ts";
import {
  INSTRUMENT,
  NEXT,
  NONE,
  ORDER_STRIDE_SHIFT,
  type OrderArena,
  PREVIOUS,
  PRICE,
  REMAINING,
  SIDE,
} from "./orders.ts";

/** Levels are (key, head, tail), padded; key = side · price ascends towards the touch on both sides. */
const LEVEL_SHIFT = 2;
const HEAD = 1;
const TAIL = 2;

/** Fields of a side: place of its run, in levels; levels in use; room = 2^class. */
const SIDE_SHIFT = 2;
const START = 0;
const COUNT = 1;
const CLASS = 2;
const CLASS_MIN = 4;
const CLASSES = 31;

export interface DepthLevel {
  price: number;
  lots: number;
  orders: number;
}

export class Books {
  readonly #arena: OrderArena;
  /** Bids of instrument i are side 2i, its asks side 2i + 1. */
  #sides = new Int32Array(64 << SIDE_SHIFT);
  #levels = new Int32Array(1024 << LEVEL_SHIFT);
  #levelsUsed = 0;
  /** First free run of each class; the next one stands in its first cell. */
  readonly #freeRuns = new Int32Array(CLASSES).fill(NONE);
  #count = 0;

  constructor(arena: OrderArena) {
    this.#arena = arena;
  }

  get count(): number {
    return this.#count;
  }

  /** Instruments are numbered densely, so books are opened in that order. */
  open(instrument: number): void {
    assert(instrument === this.#count, "books are dense");
    this.#count += 1;
    this.#sides = grownInt32(this.#sides, (2 * this.#count) << SIDE_SHIFT);
    for (let side = 2 * instrument; side < 2 * this.#count; side++) {
      const base = side << SIDE_SHIFT;
      this.#sides[base + START] = this.#takeRun(CLASS_MIN);
      this.#sides[base + COUNT] = 0;
      this.#sides[base + CLASS] = CLASS_MIN;
    }
  }

  #takeRun(size: number): number {
    const free = this.#freeRuns[size] as number;
    if (free !== NONE) {
      this.#freeRuns[size] = this.#levels[free << LEVEL_SHIFT] as number;
      return free;
    }
    const start = this.#levelsUsed;
    this.#levelsUsed += 2 ** size;
    this.#levels = grownInt32(this.#levels, this.#levelsUsed << LEVEL_SHIFT);
    return start;
  }

  /** Moves a full run to one of twice its room. */
  #enlarge(base: number): void {
    const size = this.#sides[base + CLASS] as number;
    const from = this.#sides[base + START] as number;
    const to = this.#takeRun(size + 1);
    this.#levels.copyWithin(to << LEVEL_SHIFT, from << LEVEL_SHIFT, (from + 2 ** size) << LEVEL_SHIFT);
    this.#levels[from << LEVEL_SHIFT] = this.#freeRuns[size] as number;
    this.#freeRuns[size] = from;
    this.#sides[base + START] = to;
    this.#sides[base + CLASS] = size + 1;
  }

  #sideOf(instrument: number, side: number): number {
    return (2 * instrument + (side > 0 ? 0 : 1)) << SIDE_SHIFT;
  }

  /** Of the side's levels the first whose key is ≥ `key`. Searched from the touch: most orders are near it. */
  #placeOf(base: number, key: number): number {
    const levels = this.#levels;
    const start = this.#sides[base + START] as number;
    let high = this.#sides[base + COUNT] as number;
    let step = 1;
    let low = high - 1;
    while (low >= 0 && (levels[(start + low) << LEVEL_SHIFT] as number) >= key) {
      high = low;
      low -= step;
      step += step;
    }
    if (low < 0) low = -1;
    while (high - low > 1) {
      const middle = (high + low) >> 1;
      if ((levels[(start + middle) << LEVEL_SHIFT] as number) >= key) high = middle;
      else low = middle;
    }
    return high;
  }

  /** First order of the best level of the side (+1 bids, −1 asks), or NONE. */
  best(instrument: number, side: number): number {
    const base = this.#sideOf(instrument, side);
    const count = this.#sides[base + COUNT] as number;
    if (count === 0) return NONE;
    return this.#levels[(((this.#sides[base + START] as number) + count - 1) << LEVEL_SHIFT) + HEAD] as number;
  }

  /** The order behind `at` in priority, across levels, or NONE. */
  after(at: number): number {
    const records = this.#arena.records;
    const order = at << ORDER_STRIDE_SHIFT;
    const next = records[order + NEXT] as number;
    if (next !== NONE) return next;
    const side = records[order + SIDE] as number;
    const base = this.#sideOf(records[order + INSTRUMENT] as number, side);
    const place = this.#placeOf(base, side * (records[order + PRICE] as number));
    if (place === 0) return NONE;
    return this.#levels[(((this.#sides[base + START] as number) + place - 1) << LEVEL_SHIFT) + HEAD] as number;
  }

  /** At the end of its price level. */
  append(at: number): void {
    const records = this.#arena.records;
    const order = at << ORDER_STRIDE_SHIFT;
    const side = records[order + SIDE] as number;
    const base = this.#sideOf(records[order + INSTRUMENT] as number, side);
    const key = side * (records[order + PRICE] as number);
    const place = this.#placeOf(base, key);
    const count = this.#sides[base + COUNT] as number;
    records[order + NEXT] = NONE;
    const known = ((this.#sides[base + START] as number) + place) << LEVEL_SHIFT;
    if (place < count && this.#levels[known] === key) {
      const tail = this.#levels[known + TAIL] as number;
      records[(tail << ORDER_STRIDE_SHIFT) + NEXT] = at;
      records[order + PREVIOUS] = tail;
      this.#levels[known + TAIL] = at;
      return;
    }
    records[order + PREVIOUS] = NONE;
    if (count === 2 ** (this.#sides[base + CLASS] as number)) this.#enlarge(base);
    const start = this.#sides[base + START] as number;
    const level = (start + place) << LEVEL_SHIFT;
    this.#move(level, level + (1 << LEVEL_SHIFT), (start + count) << LEVEL_SHIFT);
    this.#levels[level] = key;
    this.#levels[level + HEAD] = at;
    this.#levels[level + TAIL] = at;
    this.#sides[base + COUNT] = count + 1;
  }

  /** Shifts levels from `from` up to `end` to `to`. Few by hand: a call into the runtime costs more than they do. */
  #move(from: number, to: number, end: number): void {
    const levels = this.#levels;
    if (end - from > 16 << LEVEL_SHIFT) {
      levels.copyWithin(to, from, end);
    } else if (to > from) {
      for (let i = end - 1; i >= from; i--) levels[i + to - from] = levels[i] as number;
    } else {
      for (let i = from; i < end; i++) levels[i + to - from] = levels[i] as number;
    }
  }

  remove(at: number): void {
    const records = this.#arena.records;
    const order = at << ORDER_STRIDE_SHIFT;
    const next = records[order + NEXT] as number;
    const previous = records[order + PREVIOUS] as number;
    if (next !== NONE) records[(next << ORDER_STRIDE_SHIFT) + PREVIOUS] = previous;
    if (previous !== NONE) records[(previous << ORDER_STRIDE_SHIFT) + NEXT] = next;
    if (next !== NONE && previous !== NONE) return;
    const side = records[order + SIDE] as number;
    const base = this.#sideOf(records[order + INSTRUMENT] as number, side);
    const start = this.#sides[base + START] as number;
    const level = (start + this.#placeOf(base, side * (records[order + PRICE] as number))) << LEVEL_SHIFT;
    if (next === NONE && previous === NONE) {
      const count = this.#sides[base + COUNT] as number;
      this.#move(level + (1 << LEVEL_SHIFT), level, (start + count) << LEVEL_SHIFT);
      this.#sides[base + COUNT] = count - 1;
    } else if (next === NONE) this.#levels[level + TAIL] = previous;
    else this.#levels[level + HEAD] = next;
  }

  /** Best levels first. Walks the orders: for queries, not for the order path. */
  depth(instrument: number, side: number, levelsMax: number): DepthLevel[] {
    const records = this.#arena.records;
    const base = this.#sideOf(instrument, side);
    const start = this.#sides[base + START] as number;
    const result: DepthLevel[] = [];
    for (let place = (this.#sides[base + COUNT] as number) - 1; place >= 0 && result.length < levelsMax; place--) {
      const at = (start + place) << LEVEL_SHIFT;
      const level: DepthLevel = { price: side * (this.#levels[at] as number), lots: 0, orders: 0 };
      for (let order = this.#levels[at + HEAD] as number; order !== NONE; ) {
        level.lots += records[(order << ORDER_STRIDE_SHIFT) + REMAINING] as number;
        level.orders += 1;
        order = records[(order << ORDER_STRIDE_SHIFT) + NEXT] as number;
      }
      result.push(level);
    }
    return result;
  }
}
