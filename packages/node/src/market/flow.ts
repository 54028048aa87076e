// What a strategy sees in one step, and the instruments as traders think of them.

import type { InstrumentCell } from "@tidemark/ledger";
import { InstrumentKind, InstrumentStatus } from "@tidemark/ledger";
import { callDelta, settlementForward, sviVariance, varianceYears } from "./black.ts";
import type { VenueView } from "./desk.ts";
import type { Random } from "./random.ts";
import type { ExpiryMarket, MarketSource, MarketState, UnderlyingMarket } from "./source.ts";

export interface FloorInstrument {
  readonly number: number;
  readonly kind: InstrumentKind;
  readonly underlying: number;
  /** 0 for a perpetual. */
  readonly expiryMs: number;
  readonly strikeMicroUsd: number;
  readonly tickMicroUsd: number;
  readonly lotNanoCoin: number;
  readonly isOption: boolean;
}

/** Prices in ticks; 0 = nothing to quote on that side. */
export interface Reference {
  readonly bid: number;
  readonly ask: number;
}

export interface Step {
  readonly timeMs: number;
  readonly state: MarketState;
  readonly source: MarketSource;
  readonly view: VenueView;
  /** Tradable and marked now, by number. */
  readonly instruments: readonly FloorInstrument[];
  readonly directory: ReadonlyMap<number, FloorInstrument>;
  readonly random: Random;
  readonly references: ReadonlyMap<number, Reference>;
}

export function floorInstrument(number: number, cell: Readonly<InstrumentCell>): FloorInstrument {
  return {
    number,
    kind: cell.kind,
    underlying: cell.underlying,
    expiryMs: cell.expiryMs,
    strikeMicroUsd: cell.strike,
    tickMicroUsd: cell.tickMicroUsd,
    lotNanoCoin: cell.lotNanoCoin,
    isOption: cell.kind === InstrumentKind.call || cell.kind === InstrumentKind.put,
  };
}

/** Traders leave an instrument alone in its last moments: an order in flight must not meet the expiry. */
const LAST_ORDER_MS = 1_000;

export function isTradable(cell: Readonly<InstrumentCell>, timeMs: number): boolean {
  return (
    cell.status === InstrumentStatus.listed &&
    cell.rowEpoch > 0 &&
    (cell.expiryMs === 0 || timeMs + LAST_ORDER_MS < cell.expiryMs)
  );
}

const marketOf = (state: MarketState, instrument: FloorInstrument): UnderlyingMarket =>
  state.underlyings[instrument.underlying] as UnderlyingMarket;

function settlementForwardOf(source: MarketSource, state: MarketState, market: ExpiryMarket, expiryMs: number): number {
  return settlementForward(
    market.forwardMicroUsd,
    market.surface.realisedAverage,
    expiryMs - state.timeMs,
    source.averagingWindowMs,
  );
}

/** Half spread of perpetuals and of futures by years to expiry, of the price. */
const PERPETUAL_HALF_SPREAD = 0.00012;
const FUTURE_HALF_SPREAD = 0.0003;
const FUTURE_HALF_SPREAD_PER_YEAR = 0.0008;

/** Fair two-sided prices of one instrument; null where the source knows nothing of it. */
export function referenceOf(source: MarketSource, state: MarketState, instrument: FloorInstrument): Reference | null {
  const { underlying, expiryMs, strikeMicroUsd, tickMicroUsd, kind } = instrument;
  const market = marketOf(state, instrument);
  const around = (fair: number, half: number): Reference => ({
    bid: Math.max(1, Math.floor((fair * (1 - half)) / tickMicroUsd)),
    ask: Math.ceil((fair * (1 + half)) / tickMicroUsd),
  });
  if (kind === InstrumentKind.perpetual)
    return around(market.index * (1 + market.premium / 1e9), PERPETUAL_HALF_SPREAD);
  const expiry = market.expiries.get(expiryMs);
  if (expiry === undefined) return null;
  if (kind === InstrumentKind.future) {
    return around(
      settlementForwardOf(source, state, expiry, expiryMs),
      FUTURE_HALF_SPREAD + FUTURE_HALF_SPREAD_PER_YEAR * expiry.years,
    );
  }
  const quote = source.optionReference(state, underlying, expiryMs, strikeMicroUsd, kind === InstrumentKind.call);
  return { bid: Math.floor(quote.bid / tickMicroUsd), ask: Math.ceil(quote.ask / tickMicroUsd) };
}

/** Coins of the underlying that one lot moves with. */
export function deltaPerLot(source: MarketSource, state: MarketState, instrument: FloorInstrument): number {
  const coins = instrument.lotNanoCoin / 1e9;
  if (!instrument.isOption) return coins;
  const expiry = marketOf(state, instrument).expiries.get(instrument.expiryMs);
  if (expiry === undefined) return 0;
  const k = Math.log(instrument.strikeMicroUsd / settlementForwardOf(source, state, expiry, instrument.expiryMs));
  const years = varianceYears(instrument.expiryMs - state.timeMs, source.averagingWindowMs);
  const call = callDelta(k, Math.sqrt(sviVariance(expiry.svi, k) * years));
  return coins * (instrument.kind === InstrumentKind.call ? call : call - 1);
}

/** Micro-USDC value of the underlying coins of one lot. */
export function notionalPerLot(state: MarketState, instrument: FloorInstrument): number {
  return (marketOf(state, instrument).index * instrument.lotNanoCoin) / 1e9;
}

/** Twice today's taker fee: the index may move before the order fills, and a fee above the maximum cancels it. */
export function feeBound(view: VenueView, instrument: number): number {
  return 2 * view.instrument(instrument).feePerLot + 1;
}
