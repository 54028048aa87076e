// A real market's order-by-order feed (CME, market by order) through the books: levels agree with a plain map of orders
// throughout, the open market's book is never crossed after an event, and at the end the queues agree order by order.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { Order } from "@tidemark/ledger";
import { expect, test } from "vitest";
import { Books } from "../src/book.ts";
import { INSTRUMENT, ORDER_STRIDE_SHIFT, OrderArena, PRICE, REMAINING, SIDE } from "../src/orders.ts";

const DATA = process.env["TIDEMARK_DATA"] ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const FILE = `${DATA}/order_flow/es_h4_mbo_20231225.csv.gz`;
const FLAG_LAST = 128;
const TICKS_PER_POINT = 4;
/** Before the opening auction (23:00 UTC) orders collect without matching, so the book may cross. */
const OPEN_SECONDS = 1_703_545_200;

interface Live {
  at: number;
  side: 1 | -1;
  price: number;
  lots: number;
  /** Time priority. */
  turn: number;
}

class Market {
  readonly arena = new OrderArena();
  readonly books = new Books(this.arena);
  readonly live = new Map<string, Live>();
  #turn = 0;
  #given = 0;

  constructor() {
    this.books.open(0);
  }

  add(id: string, side: 1 | -1, price: number, lots: number): void {
    this.#given += 1;
    const order = {
      account: Math.floor(this.#given / 65_536),
      nonce: this.#given,
      expiryMs: 1_000_000,
    } as unknown as Order;
    const at = this.arena.allocate(order, "0x", "0x");
    const base = at << ORDER_STRIDE_SHIFT;
    this.arena.records[base + 6] = order.account;
    this.arena.records[base + INSTRUMENT] = 0;
    this.arena.records[base + SIDE] = side;
    this.arena.records[base + PRICE] = price;
    this.arena.records[base + REMAINING] = lots;
    this.books.append(at);
    this.live.set(id, { at, side, price, lots, turn: this.#turn++ });
  }

  remove(id: string): void {
    const live = this.live.get(id);
    if (live === undefined) throw new RangeError(`unknown order ${id}`);
    this.books.remove(live.at);
    this.arena.release(live.at);
    this.live.delete(id);
  }

  change(id: string, side: 1 | -1, price: number, lots: number): void {
    const live = this.live.get(id);
    if (live === undefined) throw new RangeError(`unknown order ${id}`);
    if (price === live.price && lots <= live.lots) {
      live.lots = lots;
      this.arena.records[(live.at << ORDER_STRIDE_SHIFT) + REMAINING] = lots;
      return;
    }
    this.remove(id);
    this.add(id, side, price, lots);
  }

  touch(side: 1 | -1): number {
    return this.books.depth(0, side, 1)[0]?.price ?? -side * 2 ** 31;
  }
}

function levelsOf(market: Market, side: 1 | -1): { price: number; lots: number; orders: number }[] {
  const levels = new Map<number, { price: number; lots: number; orders: number }>();
  for (const order of market.live.values()) {
    if (order.side !== side) continue;
    const level = levels.get(order.price) ?? { price: order.price, lots: 0, orders: 0 };
    levels.set(order.price, { price: order.price, lots: level.lots + order.lots, orders: level.orders + 1 });
  }
  return [...levels.values()].sort((a, b) => side * (b.price - a.price));
}

const isMissing = !existsSync(FILE);
if (isMissing) console.log(`no market data at ${FILE}: set TIDEMARK_DATA`);

test.skipIf(isMissing && process.env["CI"] !== "true")("market by order: every state of the book", () => {
  const market = new Market();
  const lines = gunzipSync(readFileSync(FILE)).toString("utf8").trim().split("\n");
  const header = (lines.shift() as string).split(",");
  const column = (name: string): number => header.indexOf(name);
  const [id, action, side, price, size, flags, time] = [
    "order_id",
    "action",
    "side",
    "price",
    "size",
    "flags",
    "ts_event_ns",
  ].map(column) as [number, number, number, number, number, number, number];
  let events = 0;
  for (const [i, line] of lines.entries()) {
    const cells = line.split(",");
    const sign = cells[side] === "B" ? 1 : -1;
    const ticks = Math.round(Number(cells[price]) * TICKS_PER_POINT);
    const lots = Number(cells[size]);
    const name = cells[id] as string;
    if (cells[action] === "A") market.add(name, sign, ticks, lots);
    else if (cells[action] === "M") market.change(name, sign, ticks, lots);
    else if (cells[action] === "C") cancelLots(market, name, lots);
    else continue;
    events += 1;
    const isJudged = (Number(cells[flags]) & FLAG_LAST) !== 0 && Number(cells[time]) / 1e9 > OPEN_SECONDS + 1;
    if (isJudged && market.touch(1) >= market.touch(-1)) throw new RangeError(`crossed after row ${i + 1}`);
    if (events % 5_000 === 0) {
      for (const one of [1, -1] as const)
        expect(market.books.depth(0, one, 10_000), `row ${i + 1}`).toEqual(levelsOf(market, one));
    }
  }
  expect(events).toBeGreaterThan(50_000);
  for (const one of [1, -1] as const) {
    expect(market.books.depth(0, one, 10_000)).toEqual(levelsOf(market, one));
    const queue: number[] = [];
    for (let at = market.books.best(0, one); at !== -1; at = market.books.after(at)) queue.push(at);
    const expected = [...market.live.values()]
      .filter((order) => order.side === one)
      .sort((a, b) => one * (b.price - a.price) || a.turn - b.turn);
    expect(queue).toEqual(expected.map((order) => order.at));
  }
});

/** The feed's cancel names the lots taken away. */
function cancelLots(market: Market, id: string, lots: number): void {
  const live = market.live.get(id);
  if (live === undefined) throw new RangeError(`unknown order ${id}`);
  if (lots >= live.lots) market.remove(id);
  else market.change(id, live.side, live.price, live.lots - lots);
}
