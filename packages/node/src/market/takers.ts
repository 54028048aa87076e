// Those who cross the spread: random takers who come back to flat, a hedger, a trader with a session key who withdraws.
import { InstrumentKind } from "@tidemark/ledger";
import type { Desk } from "./desk.ts";
import type { FloorInstrument, Step } from "./flow.ts";
import { deltaPerLot, feeBound, notionalPerLot } from "./flow.ts";

/** Instruments that one taker holds at most: well below the ledger's limit, settled positions included. */
const HELD_MAX = 80;
const TAKER_ORDER_LIFETIME_MS = 600_000;
/** Protection of a market order, as a share of the best price, and ticks for cheap options. */
const PROTECTION = 0.02;
const PROTECTION_TICKS = 20;

/** Worst price that an order which crosses the whole visible spread accepts; 0 when that side is empty. */
function crossingPrice(step: Step, instrument: number, side: 1 | -1, protection: number): number {
  const best = side > 0 ? step.view.bestAsk(instrument) : step.view.bestBid(instrument);
  if (best === 0) return 0;
  const slack = Math.max(Math.round(best * protection), protection > 0 ? PROTECTION_TICKS : 0);
  return side > 0 ? best + slack : Math.max(1, best - slack);
}

export interface TakerStyle {
  /** Largest position in one instrument and usual size of one order, USDC of underlying. */
  readonly optionPositionUsdc: number;
  readonly optionOrderUsdc: number;
  readonly linearPositionUsdc: number;
  readonly linearOrderUsdc: number;
  readonly perpetualShare: number;
  readonly futureShare: number;
}

export class Taker {
  readonly desk: Desk;
  readonly #style: TakerStyle;
  readonly #place: number;
  readonly #of: number;
  readonly #held = new Set<number>();

  /** @param place,of this taker's number among all takers: each has its own corner of the options */
  constructor(desk: Desk, style: TakerStyle, place: number, of: number) {
    this.desk = desk;
    this.#style = style;
    this.#place = place;
    this.#of = of;
  }

  step(step: Step, orders: number): void {
    for (const number of this.#held) if (!step.directory.has(number)) this.#held.delete(number);
    for (let i = 0; i < orders; i++) {
      const instrument = this.#choose(step);
      if (instrument !== undefined) this.#trade(step, instrument);
    }
  }

  #choose(step: Step): FloorInstrument | undefined {
    const { random } = step;
    const kindDraw = random.uniform();
    const { perpetualShare, futureShare } = this.#style;
    if (kindDraw < perpetualShare)
      return random.pick(step.instruments.filter(({ kind }) => kind === InstrumentKind.perpetual));
    if (kindDraw < perpetualShare + futureShare) {
      return random.pick(
        step.instruments.filter(
          ({ kind, number }) => kind === InstrumentKind.future && number % this.#of !== this.#place,
        ),
      );
    }
    // Half of the option orders go to what is already held: positions turn over instead of piling up.
    if (this.#held.size > 0 && (random.uniform() < 0.5 || this.#held.size >= HELD_MAX)) {
      return step.directory.get(random.pick([...this.#held]) as number);
    }
    return random.pick(
      step.instruments.filter(({ isOption, number }) => isOption && number % this.#of === this.#place),
    );
  }

  #trade(step: Step, instrument: FloorInstrument): void {
    const { random, view } = step;
    const { number } = instrument;
    const position = view.position(this.desk.account, number);
    if (position !== 0) this.#held.add(number);
    const perLot = notionalPerLot(step.state, instrument);
    const { optionPositionUsdc, optionOrderUsdc, linearPositionUsdc, linearOrderUsdc } = this.#style;
    const limit = Math.max(
      1,
      Math.floor(((instrument.isOption ? optionPositionUsdc : linearPositionUsdc) * 1e6) / perLot),
    );
    const usual = ((instrument.isOption ? optionOrderUsdc : linearOrderUsdc) * 1e6) / perLot;
    const lots = Math.max(1, Math.round(usual * (0.2 + 2.4 * random.uniform() ** 2)));
    // The fuller the position, the surer the way back.
    const side = random.uniform() < 0.5 + (0.5 * position) / limit ? -1 : 1;
    const reduces = position * side < 0;
    const size =
      reduces && lots > Math.abs(position) ? Math.abs(position) : Math.min(lots, Math.max(1, limit - position * side));
    if (!reduces && Math.abs(position + side * size) > limit) return;
    const common = {
      instrument: number,
      size: side * size,
      lifetimeMs: TAKER_ORDER_LIFETIME_MS,
      maxFeePerLot: feeBound(view, number),
      reduceOnly: reduces && random.uniform() < 0.5,
    };
    const style = random.uniform();
    const touch = crossingPrice(step, number, side, 0);
    if (touch === 0) return;
    this.#held.add(number);
    if (style < 0.35)
      this.desk.place(step.timeMs, {
        ...common,
        price: crossingPrice(step, number, side, PROTECTION),
        type: "market",
        timeInForce: "ioc",
      });
    else if (style < 0.75)
      this.desk.place(step.timeMs, {
        ...common,
        price: touch + side * PROTECTION_TICKS > 0 ? touch + side * PROTECTION_TICKS : 1,
        timeInForce: "ioc",
      });
    else if (style < 0.85) this.desk.place(step.timeMs, { ...common, price: touch, timeInForce: "fok" });
    // A limit order at the touch: fills, or rests until it expires.
    else this.desk.place(step.timeMs, { ...common, price: touch, lifetimeMs: TAKER_ORDER_LIFETIME_MS });
  }
}

/** Buys at-the-money options little by little and keeps its delta flat with the perpetual. */
export class Hedger {
  readonly desk: Desk;
  readonly #underlying: number;
  readonly #held = new Set<number>();
  #stepNumber = 0;

  constructor(desk: Desk, underlying: number) {
    this.desk = desk;
    this.#underlying = underlying;
  }

  step(step: Step): void {
    this.#stepNumber++;
    if (this.#stepNumber % 8 === 0) this.#buyOption(step);
    if (this.#stepNumber % 4 === 0) this.#hedge(step);
  }

  #buyOption(step: Step): void {
    const index = step.state.underlyings[this.#underlying]?.index ?? 0;
    const near = step.instruments.filter(
      ({ isOption, underlying, strikeMicroUsd }) =>
        isOption && underlying === this.#underlying && Math.abs(Math.log(strikeMicroUsd / index)) < 0.03,
    );
    const instrument = step.random.pick(near);
    if (instrument === undefined || (this.#held.size > 40 && !this.#held.has(instrument.number))) return;
    const price = crossingPrice(step, instrument.number, 1, 0);
    if (price === 0) return;
    this.#held.add(instrument.number);
    const lots = Math.max(1, Math.round(20_000e6 / notionalPerLot(step.state, instrument)));
    const maxFeePerLot = feeBound(step.view, instrument.number);
    this.desk.place(step.timeMs, {
      instrument: instrument.number,
      size: lots,
      price,
      timeInForce: "ioc",
      lifetimeMs: TAKER_ORDER_LIFETIME_MS,
      maxFeePerLot,
    });
  }

  #hedge(step: Step): void {
    const perpetual = step.instruments.find(
      ({ kind, underlying }) => kind === InstrumentKind.perpetual && underlying === this.#underlying,
    );
    if (perpetual === undefined) return;
    let delta =
      step.view.position(this.desk.account, perpetual.number) * deltaPerLot(step.source, step.state, perpetual);
    for (const number of this.#held) {
      const instrument = step.directory.get(number);
      if (instrument === undefined) this.#held.delete(number);
      else delta += step.view.position(this.desk.account, number) * deltaPerLot(step.source, step.state, instrument);
    }
    const size = -Math.round(delta / (perpetual.lotNanoCoin / 1e9));
    if (Math.abs(size) * notionalPerLot(step.state, perpetual) < 1_000e6) return;
    const price = crossingPrice(step, perpetual.number, size > 0 ? 1 : -1, PROTECTION);
    if (price === 0) return;
    const maxFeePerLot = feeBound(step.view, perpetual.number);
    this.desk.place(step.timeMs, {
      instrument: perpetual.number,
      size,
      price,
      type: "market",
      timeInForce: "ioc",
      lifetimeMs: TAKER_ORDER_LIFETIME_MS,
      maxFeePerLot,
    });
  }
}

/** Takes part of its free money back to the L1, once after each of the given times. */
export class Withdrawer {
  readonly desk: Desk;
  readonly #afterMs: number[];
  readonly #destinationChain: number;
  #pendingNonce = 0;

  constructor(desk: Desk, afterMs: readonly number[], destinationChain: number) {
    this.desk = desk;
    this.#afterMs = [...afterMs];
    this.#destinationChain = destinationChain;
  }

  step(step: Step): void {
    const due = this.#afterMs[0];
    if (due === undefined || step.timeMs - step.source.startMs < due) return;
    const amount = Math.floor(step.view.withdrawable(this.desk.account) / 10);
    if (amount < 1_000_000) return;
    this.#afterMs.shift();
    this.#pendingNonce = this.desk.withdraw(step.timeMs, amount, this.#destinationChain);
  }

  /** A refused withdrawal is asked for again in the next step. */
  rejected(nonce: number): void {
    if (nonce !== this.#pendingNonce || nonce === 0) return;
    this.#pendingNonce = 0;
    this.#afterMs.unshift(0);
  }
}
