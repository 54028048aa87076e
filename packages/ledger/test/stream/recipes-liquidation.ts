// Recipes that aim at the codes 500 … 511. Most need an account below maintenance; gamblers and jumps see to it.
import { type InstrumentCell, type LiquidationCycle, RejectionCode } from "../../src/index.ts";
import { account, at, micro } from "../factory.ts";
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
import { type Stream, TRADERS, UNKNOWN } from "./stream.ts";

/** A sound liquidation that `change` alters; null when nobody is liquidatable or the change does not apply. */
function altered(change: (spec: LiquidationSpec, stream: Stream) => LiquidationSpec | null): Recipe {
  return (stream) => {
    const spec = soundLiquidation(stream);
    const wrong = spec === null ? null : change(spec, stream);
    return wrong === null ? null : liquidationOf(stream, wrong);
  };
}

function alteredCycle(change: (cycle: LiquidationCycle, stream: Stream) => LiquidationCycle): Recipe {
  return (stream) => {
    const spec = soundLiquidation(stream);
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

export const LIQUIDATION_FAULTS: readonly (readonly [number, Recipe])[] = [
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
