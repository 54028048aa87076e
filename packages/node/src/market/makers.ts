// Market makers. An owner quotes with several subaccounts, each a fixed slice of the chain, because an account holds a
// bounded number of positions; one more subaccount quotes perpetuals and futures in several levels.

import type { Desk, LiveOrder } from "./desk.ts";
import type { FloorInstrument, Reference, Step } from "./flow.ts";
import { feeBound, notionalPerLot } from "./flow.ts";
import { seedOf } from "./random.ts";

/** Positions and live orders together stay below the ledger's 128 per account, with room for settled ones. */
export const SLICE_INSTRUMENTS_MAX = 90;

export interface MakerStyle {
  /** Value of one option quote and of one level in perpetuals and futures, USDC. */
  readonly optionQuoteUsdc: number;
  readonly linearLevelUsdc: number;
  readonly linearLevels: number;
  /** Adds to the reference's half spread, as a share of it. */
  readonly widening: number;
  readonly lifetimeMs: number;
}

interface Quote {
  readonly desk: Desk;
  /** One nonce a level, 0 = none; bids and asks apart. */
  readonly bids: number[];
  readonly asks: number[];
  /** Step at which it was last looked at. */
  checkedStep: number;
}

/** A quote is moved when its price is off by this share of the spread. */
const REQUOTE_SHARE = 0.2;
/** A full inventory, in quotes, shifts both prices by this share of the half spread. */
const SKEW_SHARE = 0.8;
const FULL_INVENTORY_QUOTES = 12;

export class Maker {
  readonly name: string;
  readonly #style: MakerStyle;
  readonly #linearDesk: Desk;
  readonly #optionDesks: readonly Desk[];
  readonly #quotes = new Map<number, Quote>();
  readonly #seed: number;
  readonly #covers: (instrument: FloorInstrument, step: Step) => boolean;
  /** Instruments that no subaccount has room for. */
  uncovered = 0;
  #stepNumber = 0;

  constructor(options: {
    name: string;
    style: MakerStyle;
    linearDesk: Desk;
    optionDesks: readonly Desk[];
    seed: number;
    covers: (instrument: FloorInstrument, step: Step) => boolean;
  }) {
    this.name = options.name;
    this.#style = options.style;
    this.#linearDesk = options.linearDesk;
    this.#optionDesks = options.optionDesks;
    this.#seed = seedOf(options.seed, options.name);
    this.#covers = options.covers;
  }

  /** Sends at most about `messagesMax` quote messages; cancels of quotes that are far off go first and without limit. */
  step(step: Step, messagesMax: number): void {
    this.#stepNumber++;
    this.#assign(step);
    const due: { instrument: FloorInstrument; quote: Quote; reference: Reference }[] = [];
    for (const instrument of step.instruments) {
      const quote = this.#quotes.get(instrument.number);
      const reference = step.references.get(instrument.number);
      if (quote === undefined || reference === undefined) continue;
      this.#pullStale(step, quote, reference);
      due.push({ instrument, quote, reference });
    }
    // Perpetuals and futures every step, then options in turn: whatever waited longest.
    due.sort(
      (p, q) =>
        Number(p.instrument.isOption) - Number(q.instrument.isOption) ||
        p.quote.checkedStep - q.quote.checkedStep ||
        p.instrument.number - q.instrument.number,
    );
    let left = messagesMax;
    for (const { instrument, quote, reference } of due) {
      if (left <= 0) return;
      quote.checkedStep = this.#stepNumber;
      left -= instrument.isOption
        ? this.#quoteOption(step, instrument, quote, reference)
        : this.#quoteLinear(step, instrument, quote, reference);
    }
  }

  /** Gives new instruments to the subaccount with the most room, and forgets expired ones. */
  #assign(step: Step): void {
    const alive = new Set(step.instruments.map(({ number }) => number));
    for (const number of this.#quotes.keys()) if (!alive.has(number)) this.#quotes.delete(number);
    const load = new Map<Desk, number>(this.#optionDesks.map((desk) => [desk, 0]));
    for (const { desk } of this.#quotes.values()) if (load.has(desk)) load.set(desk, (load.get(desk) as number) + 1);
    this.uncovered = 0;
    for (const instrument of step.instruments) {
      if (this.#quotes.has(instrument.number) || !this.#covers(instrument, step)) continue;
      let desk: Desk | undefined = this.#linearDesk;
      if (instrument.isOption) {
        desk = this.#optionDesks.reduce((best, next) =>
          (load.get(next) as number) < (load.get(best) as number) ? next : best,
        );
        if ((load.get(desk) as number) >= SLICE_INSTRUMENTS_MAX) {
          this.uncovered++;
          continue;
        }
        load.set(desk, (load.get(desk) as number) + 1);
      }
      this.#quotes.set(instrument.number, { desk, bids: [], asks: [], checkedStep: 0 });
    }
  }

  /** A bid above the fair middle (or an ask below it) gives money away and stands in others' way: cancel at once, unsigned and cheap. */
  #pullStale(step: Step, quote: Quote, reference: Reference): void {
    for (const [nonces, isStale] of [
      [quote.bids, (price: number) => 2 * price > reference.bid + reference.ask || reference.bid === 0],
      [quote.asks, (price: number) => 2 * price < reference.bid + reference.ask || reference.ask === 0],
    ] as const) {
      nonces.forEach((nonce, level) => {
        const order = quote.desk.live.get(nonce);
        if (order === undefined || !isStale(order.price)) return;
        quote.desk.cancel(step.timeMs, nonce);
        nonces[level] = 0;
      });
    }
  }

  #quoteOption(step: Step, instrument: FloorInstrument, quote: Quote, reference: Reference): number {
    const lots = Math.max(1, Math.round((this.#style.optionQuoteUsdc * 1e6) / notionalPerLot(step.state, instrument)));
    const { bid, ask } = this.#skewed(step, instrument, quote, reference, lots);
    const spread = Math.max(ask - bid, 1);
    return (
      this.#keep(step, quote.desk, quote.bids, 0, instrument, reference.bid === 0 ? 0 : bid, lots, spread) +
      this.#keep(step, quote.desk, quote.asks, 0, instrument, reference.ask === 0 ? 0 : ask, -lots, spread)
    );
  }

  #quoteLinear(step: Step, instrument: FloorInstrument, quote: Quote, reference: Reference): number {
    const lots = Math.max(1, Math.round((this.#style.linearLevelUsdc * 1e6) / notionalPerLot(step.state, instrument)));
    const { bid, ask } = this.#skewed(step, instrument, quote, reference, lots);
    const spread = Math.max(ask - bid, 2);
    let messages = 0;
    for (let level = 0; level < this.#style.linearLevels; level++) {
      const away = Math.round(spread * level * 0.6);
      messages += this.#keep(step, quote.desk, quote.bids, level, instrument, bid - away, lots * (level + 1), spread);
      messages += this.#keep(step, quote.desk, quote.asks, level, instrument, ask + away, -lots * (level + 1), spread);
    }
    return messages;
  }

  /** The reference, widened, leaning against the inventory, with a fixed small offset of this maker and instrument. */
  #skewed(step: Step, instrument: FloorInstrument, quote: Quote, reference: Reference, lots: number): Reference {
    const position = step.view.position(quote.desk.account, instrument.number);
    const lean = Math.max(-1, Math.min(1, position / (lots * FULL_INVENTORY_QUOTES)));
    const low = reference.bid === 0 ? reference.ask - 2 : reference.bid;
    const half = Math.max((reference.ask - low) / 2, 1);
    const middle = (reference.ask + low) / 2 - lean * SKEW_SHARE * half;
    const own = (seedOf(this.#seed, String(instrument.number)) % 100) / 1_000;
    const width = half * (1 + this.#style.widening + own);
    const bid = Math.max(1, Math.floor(middle - width));
    return { bid, ask: Math.max(bid + 1, Math.ceil(middle + width)) };
  }

  /** Brings one level to price and size. Returns the number of messages. `wanted` 0 = no quote. */
  #keep(
    step: Step,
    desk: Desk,
    nonces: number[],
    level: number,
    instrument: FloorInstrument,
    wanted: number,
    size: number,
    spread: number,
  ): number {
    const order = desk.live.get(nonces[level] ?? 0);
    const side = size > 0 ? 1 : -1;
    const opposite = side > 0 ? step.view.bestAsk(instrument.number) : step.view.bestBid(instrument.number);
    const crosses = wanted >= 1 && opposite !== 0 && side * (wanted - opposite) >= 0;
    // What rests through this quote is worth taking when it is beyond the fair middle; else the quote stays behind it.
    const price = crosses ? Math.max(opposite - side, 0) : wanted;
    const intent = {
      instrument: instrument.number,
      size,
      price,
      postOnly: true,
      lifetimeMs: this.#style.lifetimeMs,
      maxFeePerLot: feeBound(step.view, instrument.number),
    };
    const reference = step.references.get(instrument.number) as Reference;
    let messages = 0;
    if (crosses && level === 0 && side * (reference.bid + reference.ask - 2 * opposite) > 0) {
      desk.place(step.timeMs, { ...intent, price: opposite, postOnly: false, timeInForce: "ioc" });
      messages++;
    }
    if (order === undefined) {
      if (price < 1) return messages;
      nonces[level] = desk.place(step.timeMs, intent);
      return messages + 1;
    }
    if (price < 1) {
      desk.cancel(step.timeMs, order.nonce);
      nonces[level] = 0;
      return messages + 1;
    }
    if (!needsMove(order, price, Math.abs(size), spread)) return messages;
    // An order that was filled is replaced by a new one: its amendments would carry the fills along for ever.
    if (order.filledLots > 0) {
      desk.cancel(step.timeMs, order.nonce);
      nonces[level] = desk.place(step.timeMs, intent);
      return messages + 2;
    }
    nonces[level] = desk.amend(step.timeMs, order, intent);
    return messages + 1;
  }
}

function needsMove(order: LiveOrder, price: number, lots: number, spread: number): boolean {
  return Math.abs(order.price - price) > Math.max(1, spread * REQUOTE_SHARE) || order.openLots < lots / 2;
}
