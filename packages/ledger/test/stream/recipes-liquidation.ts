// Recipes that aim at the codes 500 … 511. Most need an account below maintenance; gamblers and jumps see to it.
import { type InstrumentCell, type LiquidationCycle, type Order, RejectionCode } from "../../src/index.ts";
import { account, at, DAY_MS, type FillSpec, micro } from "../factory.ts";
import { keyOf } from "../keys.ts";
import {
  EVERYONE,
  type LiquidationSpec,
  liquidationOf,
  lotValue,
  marginNow,
  type Recipe,
  SLICE_MICRO_USDC,
  soundLiquidation,
} from "./building.ts";
import { distressed } from "./distress.ts";
import { PAUPERS, readOnlyKey, type Stream, TRADERS, UNKNOWN } from "./stream.ts";

/** Somebody to liquidate, brought below maintenance where nobody is. */
function sound(stream: Stream): LiquidationSpec | null {
  return soundLiquidation(stream) ?? (distressed(stream) === null ? null : soundLiquidation(stream));
}

/** A sound liquidation that `change` alters; null when nobody is liquidatable or the change does not apply. */
function altered(change: (spec: LiquidationSpec, stream: Stream) => LiquidationSpec | null): Recipe {
  return (stream) => {
    const spec = sound(stream);
    const wrong = spec === null ? null : change(spec, stream);
    return wrong === null ? null : liquidationOf(stream, wrong);
  };
}

function alteredCycle(change: (cycle: LiquidationCycle, stream: Stream) => LiquidationCycle): Recipe {
  return (stream) => {
    const spec = sound(stream);
    return spec === null ? null : change(liquidationOf(stream, spec), stream);
  };
}

/** An account with a live position, healthy or not. */
function anyHolder(stream: Stream, accepts: (owner: number) => boolean): LiquidationSpec | null {
  const live = new Set(stream.liveInstruments());
  const found = EVERYONE.filter(accepts).flatMap((owner) =>
    stream.venue
      .cell(owner)
      .positions.filter((one) => live.has(one.instrument))
      .map((position) => ({ owner, position })),
  );
  if (found.length === 0) return null;
  const { owner, position } = stream.random.pick(found);
  const size = -Math.sign(position.size);
  const mark = stream.state.instrument(position.instrument)?.row[0] ?? 0;
  const counterparty = stream.random.pick(TRADERS.filter((other) => other !== owner));
  return { owner, number: position.instrument, size, cash: -size * mark + 0, fee: 0, counterparty };
}

const healthy: Recipe = (stream) => {
  const spec = anyHolder(stream, (owner) => {
    const margin = marginNow(stream, owner);
    return margin.marksUsable && margin.equity >= margin.maintenance;
  });
  return spec === null ? null : liquidationOf(stream, spec);
};

const noNewerReport: Recipe = (stream) => {
  const spec = anyHolder(stream, (owner) => {
    const margin = marginNow(stream, owner);
    const cell = stream.venue.cell(owner);
    const isFresh = cell.positions.some((position) => {
      const { underlying } = stream.state.instrument(position.instrument) as InstrumentCell;
      return (stream.state.underlying(underlying)?.reportMs ?? 0) > cell.liquidationMs;
    });
    return margin.marksUsable && margin.equity < margin.maintenance && !isFresh;
  });
  return spec === null ? null : liquidationOf(stream, spec);
};

const notReducing = altered((spec, stream) => {
  const held = stream.venue.size(spec.owner, spec.number);
  const others = stream.liveInstruments().filter((number) => stream.venue.size(spec.owner, number) === 0);
  return stream.random.pick([
    () => ({ ...spec, size: -spec.size }),
    () => ({ ...spec, size: -(held + Math.sign(held)) }),
    () => (others.length === 0 ? { ...spec, size: -spec.size } : { ...spec, number: stream.random.pick(others) }),
  ])();
});

function boundPerLot(stream: Stream, number: number): number {
  return lotValue(stream, number) * (stream.venue.parameters.risk.liquidationBoundPpb / 1e9);
}

const priceBound = altered((spec, stream) => {
  const mark = (stream.state.instrument(spec.number) as InstrumentCell).row[0] as number;
  const lots = Math.abs(spec.size);
  const bound = Math.ceil(boundPerLot(stream, spec.number)) + 2;
  const cash = spec.size > 0 ? -lots * (mark + bound) : Math.max(-1, lots * (mark - bound));
  return { ...spec, cash };
});

const slice = altered((spec, stream) => {
  const held = stream.venue.size(spec.owner, spec.number);
  const lots = Math.floor(SLICE_MICRO_USDC / lotValue(stream, spec.number)) + 2;
  if (Math.abs(held) < lots) return null;
  const mark = (stream.state.instrument(spec.number) as InstrumentCell).row[0] as number;
  const size = -Math.sign(held) * lots;
  return { ...spec, size, cash: -size * mark, fee: 0 };
});

/** The worst price inside the bound: it costs more than the requirement that it releases. */
const notImproving = altered((spec, stream) => {
  const mark = (stream.state.instrument(spec.number) as InstrumentCell).row[0] as number;
  const lots = Math.abs(spec.size);
  const bound = Math.floor(boundPerLot(stream, spec.number)) - 1;
  const cash = spec.size > 0 ? -lots * (mark + bound) : Math.max(0, lots * (mark - bound));
  return { ...spec, cash, fee: 0 };
});

const beyondTarget = altered((spec, stream) => {
  const held = stream.venue.size(spec.owner, spec.number);
  const most = Math.min(Math.abs(held), Math.floor(SLICE_MICRO_USDC / lotValue(stream, spec.number)));
  const lots = Math.min(most, Math.abs(spec.size) * 2);
  if (lots <= Math.abs(spec.size)) return null;
  const mark = (stream.state.instrument(spec.number) as InstrumentCell).row[0] as number;
  const size = -Math.sign(held) * lots;
  return { ...spec, size, cash: -size * mark, fee: 0 };
});

/** A sound liquidation whose counterparty's order is another one, signed as it is. */
function otherOrder(change: (order: Order, stream: Stream) => Partial<FillSpec> | null): Recipe {
  return alteredCycle((cycle, stream) => {
    const [counterparty] = cycle.counterparties;
    const [entry] = counterparty?.entries ?? [];
    if (counterparty === undefined || entry === undefined) return cycle;
    const { order } = entry;
    const spec = {
      account: order.account,
      instrument: order.legs[0]?.instrument as number,
      size: order.size,
      price: order.limitPrice,
      cash: entry.cash,
    };
    const wrong = stream.venue.entry({ ...spec, ...change(order, stream) });
    return { ...cycle, counterparties: [{ ...counterparty, entries: [wrong] }] };
  });
}

/** The codes of trade at a counterparty. */
const COUNTERPARTY_FAULTS: readonly (readonly [number, Recipe])[] = [
  [
    RejectionCode.TRADE_UNKNOWN_ACCOUNT,
    altered((spec, stream) => ({ ...spec, counterparty: stream.random.pick([0, 1, UNKNOWN]) })),
  ],
  [
    RejectionCode.TRADE_POSITION_COUNT,
    alteredCycle((cycle) => ({
      ...cycle,
      counterparties: cycle.counterparties.map((one) => ({ ...one, positionCount: one.positionCount + 1 })),
    })),
  ],
  [
    RejectionCode.TRADE_LEGS_INVALID,
    otherOrder((order) => ({ legs: [{ instrument: order.legs[0]?.instrument as number, ratio: 0 }] })),
  ],
  [
    RejectionCode.TRADE_INSTRUMENT_NOT_TRADABLE,
    otherOrder((_, stream) => {
      const [dead] = stream.instruments((cell) => cell.status === 2);
      return dead === undefined ? null : { instrument: dead };
    }),
  ],
  [RejectionCode.TRADE_NOT_STARTED, otherOrder((_, stream) => ({ startMs: stream.venue.timeMs + 1 }))],
  [RejectionCode.TRADE_EXPIRED, otherOrder((_, stream) => ({ expiryMs: stream.venue.timeMs }))],
  [RejectionCode.TRADE_LIFETIME, otherOrder((_, stream) => ({ expiryMs: stream.venue.timeMs + 31 * DAY_MS }))],
  [
    RejectionCode.TRADE_BELOW_MIN_NONCE,
    otherOrder((order, stream) => {
      const { minNonce } = stream.venue.cell(order.account);
      return minNonce === 0 ? null : { nonce: minNonce - 1 };
    }),
  ],
  [
    RejectionCode.TRADE_RING_SLOT,
    otherOrder((order, stream) => {
      const slots = stream.state.ringSlots(order.account);
      return slots.length === 0 ? null : { nonce: stream.random.pick(slots).nonce };
    }),
  ],
  [
    RejectionCode.TRADE_NOT_AUTHORISED,
    otherOrder((order, stream) => ({ key: stream.random.pick([keyOf("stranger"), readOnlyKey(order.account), null]) })),
  ],
  [RejectionCode.TRADE_OVERFILLED, otherOrder((order) => ({ filledLots: Math.abs(order.size) + 1 }))],
  [RejectionCode.TRADE_LIMIT_NOT_MET, otherOrder((order) => ({ price: -Math.sign(order.size) * (2 ** 31 - 1) }))],
  [
    RejectionCode.TRADE_FEE_ABOVE_SCHEDULE,
    otherOrder((order, stream) => {
      const cell = stream.state.instrument(order.legs[0]?.instrument as number);
      return { fee: (cell?.feePerLot ?? 0) * Math.abs(order.size) + 1 };
    }),
  ],
  [RejectionCode.TRADE_FEE_ABOVE_MAXIMUM, otherOrder((order) => ({ fee: Math.abs(order.size), maxFeePerLot: 0 }))],
  [RejectionCode.TRADE_REDUCE_ONLY, otherOrder(() => ({ flags: 1 }))],
  [
    RejectionCode.TRADE_SIZE_SUM,
    otherOrder((order) => ({ size: order.size + Math.sign(order.size), filledLots: Math.abs(order.size) + 1 })),
  ],
  [
    RejectionCode.TRADE_MARGIN,
    altered((spec, stream) => {
      const counterparty = stream.random.pick(PAUPERS);
      stream.lendCash(counterparty, stream.random.pick(TRADERS), stream.venue.cell(counterparty).cash);
      return { ...spec, counterparty };
    }),
  ],
];

export const LIQUIDATION_FAULTS: readonly (readonly [number, Recipe])[] = [
  ...COUNTERPARTY_FAULTS,
  [
    RejectionCode.LIQUIDATION_UNKNOWN_ACCOUNT,
    (stream) => {
      const spec = anyHolder(stream, () => true);
      const owner = account(stream.random.pick([0, 1, UNKNOWN]));
      return spec === null ? null : { ...liquidationOf(stream, spec), account: owner };
    },
  ],
  [
    RejectionCode.LIQUIDATION_POSITION_COUNT,
    (stream) => {
      const spec = anyHolder(stream, () => true);
      if (spec === null) return null;
      const cycle = liquidationOf(stream, spec);
      return { ...cycle, positionCount: cycle.positionCount + 1 };
    },
  ],
  [
    RejectionCode.LIQUIDATION_MARKS_UNUSABLE,
    (stream) => {
      const spec = anyHolder(stream, () => true);
      const aheadMs = at(stream.venue.timeMs + stream.venue.parameters.risk.markAgeMaxMs + 1);
      return spec === null ? null : { ...liquidationOf(stream, spec), timeMs: aheadMs };
    },
  ],
  [RejectionCode.LIQUIDATION_HEALTHY, healthy],
  [RejectionCode.LIQUIDATION_NO_NEWER_REPORT, noNewerReport],
  [RejectionCode.LIQUIDATION_NOT_REDUCING, notReducing],
  [
    RejectionCode.LIQUIDATION_NOT_REDUCING,
    alteredCycle((cycle) => ({ ...cycle, legs: [...cycle.legs, ...cycle.legs] })),
  ],
  [RejectionCode.LIQUIDATION_PRICE_BOUND, priceBound],
  [
    RejectionCode.LIQUIDATION_PENALTY,
    altered((spec, stream) => ({
      ...spec,
      fee: Math.abs(spec.size) * (Math.ceil(lotValue(stream, spec.number) * 0.005) + 1) + 1,
    })),
  ],
  [RejectionCode.LIQUIDATION_SLICE, slice],
  [RejectionCode.LIQUIDATION_NOT_IMPROVING, notImproving],
  [RejectionCode.LIQUIDATION_BEYOND_TARGET, beyondTarget],
  [RejectionCode.LIQUIDATION_SELF_COUNTERPARTY, altered((spec) => ({ ...spec, counterparty: spec.owner }))],
  [
    RejectionCode.TRADE_CASH_SUM,
    alteredCycle((cycle) => ({
      ...cycle,
      counterparties: cycle.counterparties.map((one) => ({
        ...one,
        entries: one.entries.map((entry) => ({ ...entry, cash: micro(entry.cash + 1) })),
      })),
    })),
  ],
];
