// Traders who use all the margin that the venue gives. Nobody here knows the future: for each underlying one bets on a rise
// and one on a fall, and both add to the position while it wins, so that a turn of some three percent from the best price
// takes one of them below maintenance. A third holds a cheap-looking hedge: the perpetual against a future that expires.
import { InstrumentKind } from "@tidemark/ledger";
import type { Desk } from "./desk.ts";
import type { FloorInstrument, Step } from "./flow.ts";
import { feeBound, notionalPerLot } from "./flow.ts";

const LIFETIME_MS = 600_000;
/** Requirement of an unhedged linear position per notional: the scenario range, the add-on and costs of getting in. */
const NAKED_REQUIREMENT = 0.166;
/** Share of the free margin that one order may use: the estimate above is not the matrix. */
const STEP_SHARE = 0.93;
const USE_MIN = 0.004;
/** Orders of this account stay below this, USDC: about what the makers show. */
const ORDER_USDC_MAX = 60_000;

function freeMicroUsdc(step: Step, desk: Desk): { free: number; equity: number } {
  const { equity, initial } = step.view.margin(desk.account);
  return { free: equity - initial, equity };
}

function take(step: Step, desk: Desk, instrument: FloorInstrument, side: 1 | -1, lots: number): void {
  const best = side > 0 ? step.view.bestAsk(instrument.number) : step.view.bestBid(instrument.number);
  if (best === 0 || lots < 1) return;
  const price = Math.max(1, Math.round(best * (1 + side * 0.0006)));
  const maxFeePerLot = feeBound(step.view, instrument.number);
  desk.place(step.timeMs, {
    instrument: instrument.number,
    size: side * lots,
    price,
    timeInForce: "ioc",
    lifetimeMs: LIFETIME_MS,
    maxFeePerLot,
  });
}

function lotsFor(step: Step, instrument: FloorInstrument, microUsdc: number): number {
  return Math.floor(Math.min(microUsdc, ORDER_USDC_MAX * 1e6) / notionalPerLot(step.state, instrument));
}

/** All in, one direction, pyramiding; sobers up after the first liquidation. */
export class Gambler {
  readonly desk: Desk;
  readonly #underlying: number;
  readonly #side: 1 | -1;

  constructor(desk: Desk, underlying: number, side: 1 | -1) {
    this.desk = desk;
    this.#underlying = underlying;
    this.#side = side;
  }

  step(step: Step): void {
    if (this.desk.liquidationFills > 0) return;
    const perpetual = step.instruments.find(
      ({ kind, underlying }) => kind === InstrumentKind.perpetual && underlying === this.#underlying,
    );
    if (perpetual === undefined) return;
    const { free, equity } = freeMicroUsdc(step, this.desk);
    if (free < equity * USE_MIN) return;
    take(step, this.desk, perpetual, this.#side, lotsFor(step, perpetual, (free * STEP_SHARE) / NAKED_REQUIREMENT));
  }
}

/** Requirement of the hedged pair per notional: the roll scenarios and both add-ons. */
const HEDGED_REQUIREMENT = 0.016;
/** The pair is built to this share of what margin allows, not more: its own leverage is enough. */
const PAIR_SHARE = 0.7;
/** Nothing is added when the future is this near to its expiry. */
const LAST_ENTRY_MS = 45 * 60_000;

/**
 * Long the perpetual, short the nearest future, at many times its money, and asleep when the future runs off: during the
 * averaging window the hedge fades and the requirement of the naked leg appears.
 */
export class SleepyArbitrageur {
  readonly desk: Desk;
  readonly #underlying: number;

  constructor(desk: Desk, underlying: number) {
    this.desk = desk;
    this.#underlying = underlying;
  }

  step(step: Step): void {
    if (this.desk.liquidationFills > 0) return;
    const mine = step.instruments.filter(({ underlying }) => underlying === this.#underlying);
    const perpetual = mine.find(({ kind }) => kind === InstrumentKind.perpetual);
    const future = mine
      .filter(({ kind }) => kind === InstrumentKind.future)
      .reduce<FloorInstrument | undefined>(
        (first, next) => (first === undefined || next.expiryMs < first.expiryMs ? next : first),
        undefined,
      );
    if (perpetual === undefined || future === undefined || future.expiryMs - step.timeMs < LAST_ENTRY_MS) return;
    const { account } = this.desk;
    const long = step.view.position(account, perpetual.number);
    const short = -step.view.position(account, future.number);
    if (long > short) return take(step, this.desk, future, -1, long - short);
    if (short > long) return take(step, this.desk, perpetual, 1, short - long);
    const { free, equity } = freeMicroUsdc(step, this.desk);
    const target = (PAIR_SHARE * equity) / HEDGED_REQUIREMENT;
    const missing = target - long * notionalPerLot(step.state, perpetual);
    take(step, this.desk, perpetual, 1, lotsFor(step, perpetual, Math.min(missing, (free * 0.8) / NAKED_REQUIREMENT)));
  }
}
