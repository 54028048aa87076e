// Price-time priority books. A side is a sorted vector of levels with the best price last, so that work near the touch
// moves little memory; a level is a FIFO list through the order records.
import { assert } from "@tidemark/num";
import { grownInt32 } from "./keyTable.ts";
import { INSTRUMENT, NEXT, NONE, ORDER_STRIDE_SHIFT, type OrderArena, PREVIOUS, PRICE, REMAINING, SIDE } from "./orders.ts";

/** Levels are (key, head, tail); key = side · price ascends towards the touch on both sides. */
const LEVEL = 3;

interface BookSide {
  levels: Int32Array<ArrayBuffer>;
  count: number;
}

export interface DepthLevel {
  price: number;
  lots: number;
  orders: number;
}

function newSide(): BookSide {
  return { levels: new Int32Array(16 * LEVEL), count: 0 };
}

/** Place of the first level whose key is ≥ `key`. Searched from the touch: most orders are near it. */
function placeOf(side: BookSide, key: number): number {
  const levels = side.levels;
  let high = side.count;
  let step = 1;
  let low = high - 1;
  while (low >= 0 && (levels[low * LEVEL] as number) >= key) {
    high = low;
    low -= step;
    step += step;
  }
  if (low < 0) low = -1;
  while (high - low > 1) {
    const middle = (high + low) >> 1;
    if ((levels[middle * LEVEL] as number) >= key) high = middle;
    else low = middle;
  }
  return high;
}

export class Books {
  readonly #arena: OrderArena;
  readonly #bids: BookSide[] = [];
  readonly #asks: BookSide[] = [];

  constructor(arena: OrderArena) {
    this.#arena = arena;
  }

  get count(): number {
    return this.#bids.length;
  }

  /** Instruments are numbered densely, so books are opened in that order. */
  open(instrument: number): void {
    assert(instrument === this.#bids.length, "books are dense");
    this.#bids.push(newSide());
    this.#asks.push(newSide());
  }

  #side(instrument: number, side: number): BookSide {
    return (side > 0 ? this.#bids[instrument] : this.#asks[instrument]) as BookSide;
  }

  /** First order of the best level of the side (+1 bids, −1 asks), or NONE. */
  best(instrument: number, side: number): number {
    const book = this.#side(instrument, side);
    return book.count === 0 ? NONE : (book.levels[(book.count - 1) * LEVEL + 1] as number);
  }

  /** The order behind `at` in priority, across levels, or NONE. */
  after(at: number): number {
    const records = this.#arena.records;
    const base = at << ORDER_STRIDE_SHIFT;
    const next = records[base + NEXT] as number;
    if (next !== NONE) return next;
    const side = records[base + SIDE] as number;
    const book = this.#side(records[base + INSTRUMENT] as number, side);
    const place = placeOf(book, side * (records[base + PRICE] as number));
    return place === 0 ? NONE : (book.levels[(place - 1) * LEVEL + 1] as number);
  }

  /** At the end of its price level. */
  append(at: number): void {
    const records = this.#arena.records;
    const base = at << ORDER_STRIDE_SHIFT;
    const side = records[base + SIDE] as number;
    const book = this.#side(records[base + INSTRUMENT] as number, side);
    const key = side * (records[base + PRICE] as number);
    const place = placeOf(book, key);
    const level = place * LEVEL;
    records[base + NEXT] = NONE;
    if (place < book.count && book.levels[level] === key) {
      const tail = book.levels[level + 2] as number;
      records[(tail << ORDER_STRIDE_SHIFT) + NEXT] = at;
      records[base + PREVIOUS] = tail;
      book.levels[level + 2] = at;
      return;
    }
    records[base + PREVIOUS] = NONE;
    book.levels = grownInt32(book.levels, (book.count + 1) * LEVEL);
    if (place < book.count) book.levels.copyWithin(level + LEVEL, level, book.count * LEVEL);
    book.levels[level] = key;
    book.levels[level + 1] = at;
    book.levels[level + 2] = at;
    book.count += 1;
  }

  remove(at: number): void {
    const records = this.#arena.records;
    const base = at << ORDER_STRIDE_SHIFT;
    const next = records[base + NEXT] as number;
    const previous = records[base + PREVIOUS] as number;
    if (next !== NONE) records[(next << ORDER_STRIDE_SHIFT) + PREVIOUS] = previous;
    if (previous !== NONE) records[(previous << ORDER_STRIDE_SHIFT) + NEXT] = next;
    if (next !== NONE && previous !== NONE) return;
    const side = records[base + SIDE] as number;
    const book = this.#side(records[base + INSTRUMENT] as number, side);
    const level = placeOf(book, side * (records[base + PRICE] as number)) * LEVEL;
    if (next === NONE && previous === NONE) {
      const end = book.count * LEVEL;
      if (level + LEVEL < end) book.levels.copyWithin(level, level + LEVEL, end);
      book.count -= 1;
    } else if (next === NONE) book.levels[level + 2] = previous;
    else book.levels[level + 1] = next;
  }

  /** Best levels first. Walks the orders: for queries, not for the order path. */
  depth(instrument: number, side: number, levelsMax: number): DepthLevel[] {
    const records = this.#arena.records;
    const book = this.#side(instrument, side);
    const result: DepthLevel[] = [];
    for (let place = book.count - 1; place >= 0 && result.length < levelsMax; place--) {
      const level: DepthLevel = { price: side * (book.levels[place * LEVEL] as number), lots: 0, orders: 0 };
      for (let at = book.levels[place * LEVEL + 1] as number; at !== NONE; ) {
        level.lots += records[(at << ORDER_STRIDE_SHIFT) + REMAINING] as number;
        level.orders += 1;
        at = records[(at << ORDER_STRIDE_SHIFT) + NEXT] as number;
      }
      result.push(level);
    }
    return result;
  }
}
