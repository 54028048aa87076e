// Recipes that aim at the codes 400 … 421: a sound trade with one thing wrong.
import { type InstrumentCell, RejectionCode, type TradeCycle, type TradeEntry } from "../../src/index.ts";
import { BTC, DAY_MS, ETH, ownerKey } from "../factory.ts";
import { corrupted, keyOf } from "../keys.ts";
import { type CrossSpec, crossEntries, marginNow, pair, type Recipe, randomCross } from "./building.ts";
import { opened } from "./distress.ts";
import { expiringKey, readOnlyKey, type Stream, UNKNOWN } from "./stream.ts";

/** A sound cross whose buyer's entry is built by `change`. */
function withBuyer(change: (stream: Stream, spec: CrossSpec) => TradeEntry | null): Recipe {
  return (stream) => {
    const spec = randomCross(stream);
    if (spec === null) return null;
    const [, seller] = crossEntries(stream, spec);
    const buyer = change(stream, spec);
    return buyer === null || seller === undefined ? null : stream.venue.tradeOf([buyer, seller]);
  };
}

const buyerSpec = (spec: CrossSpec): { account: number; instrument: number; size: number; price: number } => ({
  account: spec.buyer,
  instrument: spec.number,
  size: spec.lots,
  price: spec.price,
});

/** A sound cross that `change` then alters as a whole. */
function altered(change: (cycle: TradeCycle, stream: Stream) => TradeCycle | null): Recipe {
  return (stream) => {
    const spec = randomCross(stream);
    return spec === null ? null : change(stream.venue.tradeOf(crossEntries(stream, spec)), stream);
  };
}

function tickValue(stream: Stream, number: number): number {
  return (stream.state.instrument(number) as InstrumentCell).tickValueMicroUsdc;
}

const invalidLegs = withBuyer((stream, spec) => {
  const { random, venue } = stream;
  const live = stream.liveInstruments();
  const { underlying } = stream.state.instrument(spec.number) as InstrumentCell;
  const foreign = live.find((number) => stream.state.instrument(number)?.underlying !== underlying);
  const first = { instrument: spec.number, ratio: 1 };
  const choices = [
    [first, { instrument: spec.number, ratio: -1 }],
    [{ instrument: spec.number, ratio: 0 }],
    [first, { instrument: 9_999_999, ratio: 1 }],
    ...(foreign === undefined ? [] : [[first, { instrument: foreign, ratio: 1 }]]),
    ...live
      .filter((number) => tickValue(stream, number) !== tickValue(stream, spec.number))
      .slice(0, 1)
      .map((number) => [first, { instrument: number, ratio: 1 }]),
  ];
  return venue.entry({ account: spec.buyer, legs: random.pick(choices), size: spec.lots, price: spec.price, cash: 0 });
});

/** Settled, or listed but past its expiry. */
const notTradable: Recipe = (stream) => {
  const { venue } = stream;
  const dead = stream.instruments(
    (cell) => cell.status === 2 || (cell.expiryMs !== 0 && cell.expiryMs <= venue.timeMs),
  );
  if (dead.length === 0) return null;
  const [buyer, seller] = pair(stream);
  return venue.cross(buyer, seller, stream.random.pick(dead), 1, 100);
};

const epochOpen: Recipe = (stream) => {
  if (stream.openEpochs().length === 0 && !opened(stream, stream.random.pick([BTC, ETH]))) return null;
  const open = stream.openEpochs();
  const { timeMs } = stream.venue;
  const numbers = stream.instruments(
    (cell) => open.includes(cell.underlying) && cell.status === 1 && (cell.expiryMs === 0 || cell.expiryMs > timeMs),
  );
  if (numbers.length === 0) return null;
  const [buyer, seller] = pair(stream);
  return stream.venue.cross(buyer, seller, stream.random.pick(numbers), 1, 100);
};

/** cancelAll went first in an accepted cycle: the order's nonce is below. */
const belowMinNonce = withBuyer((stream, spec) => {
  const { minNonce } = stream.venue.cell(spec.buyer);
  if (minNonce === 0) return null;
  return stream.venue.entry({ ...buyerSpec(spec), nonce: stream.random.integer(0, minNonce - 1) });
});

const ringSlot = withBuyer((stream, spec) => {
  const { random, venue, state } = stream;
  const slots = state.ringSlots(spec.buyer);
  if (slots.length === 0) return null;
  const { nonce } = random.pick(slots);
  // The same nonce for another order, a nonce that a higher one killed, and a higher nonce that comes too early.
  const choices = [nonce, nonce + 65_536];
  if (nonce >= 65_536) choices.push(nonce - 65_536);
  return venue.entry({ ...buyerSpec(spec), nonce: random.pick(choices) });
});

const notAuthorised = withBuyer((stream, spec) => {
  const { random, venue } = stream;
  const keys = [keyOf("stranger"), readOnlyKey(spec.buyer), ownerKey(spec.seller), expiringKey(spec.buyer), null];
  if (random.chance(0.2)) {
    const entry = venue.entry(buyerSpec(spec));
    return { ...entry, signature: corrupted(entry.signature as `0x${string}`) };
  }
  return venue.entry({ ...buyerSpec(spec), key: random.pick(keys) });
});

const overfilled = withBuyer((stream, spec) => {
  const { random, venue } = stream;
  const base = buyerSpec(spec);
  return random.pick([
    () => venue.entry({ ...base, filledLots: spec.lots + 1 }),
    () => venue.entry({ ...base, filledLots: 0, cash: 0 }),
    () => venue.entry({ ...base, size: 0, filledLots: spec.lots, cash: 0 }),
  ])();
});

/** A resting order filled beyond its size over two cycles. */
const overfilledLater: Recipe = (stream) => {
  const order = stream.openOrders[0];
  if (order === undefined || !stream.liveInstruments().includes(order.spec.instrument)) return null;
  const times = { startMs: order.madeMs - 1000, expiryMs: order.madeMs + 3_600_000 };
  const maker = stream.venue.entry({
    ...order.spec,
    ...times,
    filledLots: order.spec.size - order.filled + 1,
    key: null,
  });
  return stream.venue.tradeOf([maker]);
};

const limitNotMet = withBuyer((stream, spec) => {
  const cash = -spec.price * spec.lots * tickValue(stream, spec.number) - 1;
  return stream.venue.entry({ ...buyerSpec(spec), cash });
});

const feeAboveSchedule = withBuyer((stream, spec) => {
  const cell = stream.state.instrument(spec.number) as InstrumentCell;
  const cash = spec.price * spec.lots * cell.tickValueMicroUsdc;
  const isOption = cell.kind >= 3;
  const most = Math.min(cell.feePerLot * spec.lots, isOption ? Math.floor(cash / 8) : Infinity);
  return stream.venue.entry({ ...buyerSpec(spec), fee: most + 1 });
});

const feeAboveMaximum = withBuyer((stream, spec) => {
  const fee = 2 * spec.lots;
  const cell = stream.state.instrument(spec.number) as InstrumentCell;
  if (cell.feePerLot < 2 || spec.price * spec.lots * cell.tickValueMicroUsdc < 8 * fee) return null;
  return stream.venue.entry({ ...buyerSpec(spec), fee, maxFeePerLot: 1 });
});

/** Sizes beyond int32, or cash beyond 2^53: inside what the orders allow. */
const bounds: Recipe = (stream) => {
  const { random, venue } = stream;
  const spec = randomCross(stream);
  if (spec === null) return null;
  if (random.chance(0.5)) {
    const legs = [{ instrument: spec.number, ratio: 32_767 }];
    const size = 2 ** 17;
    return venue.tradeOf([
      venue.entry({ account: spec.buyer, legs, size, price: 0, cash: 0 }),
      venue.entry({ account: spec.seller, legs, size: -size, price: 0, cash: 0 }),
    ]);
  }
  // Cash at a price of 2^31 ticks, so that one side would leave 2^53.
  const lots = Math.ceil(2 ** 53 / ((2 ** 31 - 1) * tickValue(stream, spec.number)));
  const cash = 2 ** 53 - 1;
  const price = 2 ** 31 - 1;
  return venue.tradeOf([
    venue.entry({ account: spec.buyer, instrument: spec.number, size: lots, price, cash: -cash }),
    venue.entry({ account: spec.seller, instrument: spec.number, size: -lots, price: 1, cash }),
  ]);
};

const reduceOnly: Recipe = (stream) => {
  const { random, venue } = stream;
  const spec = randomCross(stream);
  if (spec === null) return null;
  const held = venue.size(spec.buyer, spec.number);
  const { buyer, seller, number, price } = spec;
  const entry = (who: number, size: number, flags = 0): TradeEntry =>
    venue.entry({ account: who, instrument: number, size, price, flags });
  // No position or the wrong side; beyond flat; two orders that only together go beyond flat; another order that grows.
  const wrong = held === 0 ? random.pick([1, -1]) : Math.sign(held);
  const choices = [() => [entry(buyer, wrong * 2, 1), entry(seller, -wrong * 2)]];
  if (held !== 0) {
    const back = -held;
    choices.push(() => [entry(buyer, back - Math.sign(held), 1), entry(seller, -(back - Math.sign(held)))]);
    choices.push(() => [entry(buyer, back, 1), entry(buyer, -Math.sign(held)), entry(seller, held + Math.sign(held))]);
    if (Math.abs(held) > 2) {
      const part = -Math.sign(held) * 2;
      choices.push(() => [
        entry(buyer, part, 1),
        entry(buyer, Math.sign(held)),
        entry(seller, -part - Math.sign(held)),
      ]);
    }
  }
  return venue.tradeOf(random.pick(choices)());
};

const sizeSum = withBuyer((stream, spec) =>
  stream.venue.entry({
    ...buyerSpec(spec),
    size: spec.lots + 1,
    cash: -spec.price * spec.lots * tickValue(stream, spec.number),
  }),
);

const cashSum = withBuyer((stream, spec) => {
  const cash = -spec.price * spec.lots * tickValue(stream, spec.number);
  return stream.venue.entry({ ...buyerSpec(spec), cash: cash + stream.random.pick([1, 5, 1000]) });
});

const marksUnusable: Recipe = (stream) => {
  const { venue } = stream;
  const spec = randomCross(stream);
  if (spec === null) return null;
  const aheadMs = venue.timeMs + venue.parameters.risk.markAgeMaxMs + 1;
  const entries = crossEntries(stream, spec);
  const cell = stream.state.instrument(spec.number) as InstrumentCell;
  if (cell.expiryMs !== 0 && cell.expiryMs <= aheadMs) return null;
  return { ...venue.tradeOf(entries), timeMs: aheadMs as never };
};

/** Too large for the buyer, or at a price that hands the buyer's margin to the seller. */
const margin: Recipe = (stream) => {
  const { random, venue } = stream;
  const spec = randomCross(stream);
  if (spec === null) return null;
  const free = marginNow(stream, spec.buyer).equity - marginNow(stream, spec.buyer).initial;
  if (free <= 0n) return venue.tradeOf(crossEntries(stream, spec));
  const mark = venue.markTicks(spec.number);
  const value = tickValue(stream, spec.number);
  if (random.chance(0.5)) {
    const perLot = Math.max(1, mark * value);
    const lots = Math.ceil((Number(free) * 12) / perLot);
    if (lots > 10_000_000) return null;
    return venue.cross(spec.buyer, spec.seller, spec.number, lots, mark);
  }
  const lots = 10;
  const price = mark + Math.ceil(Number(free) / (lots * value));
  if (price > 2 ** 31 - 1) return null;
  return venue.cross(spec.buyer, spec.seller, spec.number, lots, price);
};

const withTimes = (times: (nowMs: number) => { startMs: number; expiryMs: number }): Recipe =>
  withBuyer((stream, spec) => stream.venue.entry({ ...buyerSpec(spec), ...times(stream.venue.timeMs) }));

export const TRADE_FAULTS: readonly (readonly [number, Recipe])[] = [
  [
    RejectionCode.TRADE_UNKNOWN_ACCOUNT,
    (stream) => {
      const spec = randomCross(stream);
      const buyer = stream.random.pick([0, 1, UNKNOWN]);
      return spec === null ? null : stream.venue.tradeOf(crossEntries(stream, { ...spec, buyer }));
    },
  ],
  [
    RejectionCode.TRADE_POSITION_COUNT,
    altered((cycle) => ({
      ...cycle,
      accounts: cycle.accounts.map((one) => ({ ...one, positionCount: one.positionCount + 1 })),
    })),
  ],
  [RejectionCode.TRADE_LEGS_INVALID, invalidLegs],
  [RejectionCode.TRADE_INSTRUMENT_NOT_TRADABLE, notTradable],
  [RejectionCode.TRADE_EPOCH_OPEN, epochOpen],
  [RejectionCode.TRADE_NOT_STARTED, withTimes((now) => ({ startMs: now + 1, expiryMs: now + 1000 }))],
  [RejectionCode.TRADE_EXPIRED, withTimes((now) => ({ startMs: now - 1000, expiryMs: now }))],
  [RejectionCode.TRADE_LIFETIME, withTimes((now) => ({ startMs: now - 5, expiryMs: now - 4 + 30 * DAY_MS }))],
  [RejectionCode.TRADE_BELOW_MIN_NONCE, belowMinNonce],
  [RejectionCode.TRADE_RING_SLOT, ringSlot],
  [RejectionCode.TRADE_NOT_AUTHORISED, notAuthorised],
  [
    RejectionCode.TRADE_OVERFILLED,
    (stream) => (stream.random.chance(0.5) ? overfilledLater(stream) : overfilled(stream)),
  ],
  [RejectionCode.TRADE_LIMIT_NOT_MET, limitNotMet],
  [RejectionCode.TRADE_FEE_ABOVE_SCHEDULE, feeAboveSchedule],
  [RejectionCode.TRADE_FEE_ABOVE_MAXIMUM, feeAboveMaximum],
  [RejectionCode.TRADE_BOUNDS, bounds],
  [RejectionCode.TRADE_REDUCE_ONLY, reduceOnly],
  [RejectionCode.TRADE_SIZE_SUM, sizeSum],
  [RejectionCode.TRADE_CASH_SUM, cashSum],
  [RejectionCode.TRADE_MARKS_UNUSABLE, marksUnusable],
  [RejectionCode.TRADE_MARGIN, margin],
];
