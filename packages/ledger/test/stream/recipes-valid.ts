// Recipes for cycles that a sound venue would make. Some are refused all the same: that is the random part.
import {
  type Cycle,
  type InboundEntry,
  type InstrumentCell,
  InstrumentKind,
  type TradeEntry,
} from "../../src/index.ts";
import { account, at, BTC, dollars, ETH, instrument, micro, ownerKey, USDC } from "../factory.ts";
import { keyOf } from "../keys.ts";
import {
  crossEntries,
  EVERYONE,
  liquidationOf,
  lotValue,
  marginNow,
  pair,
  type Recipe,
  randomCross,
  soundLiquidation,
} from "./building.ts";
import { GAMBLERS, type Stream, TRADERS, UNKNOWN } from "./stream.ts";

const cross: Recipe = (stream) => {
  const entries: TradeEntry[] = [];
  for (let count = stream.random.integer(1, 3); count > 0; count--) {
    const spec = randomCross(stream);
    if (spec !== null) entries.push(...crossEntries(stream, spec, stream.random.integer(0, 20)));
  }
  return entries.length === 0 ? null : stream.venue.tradeOf(entries);
};

/** A resting order of one account is filled in part, and again later without its signature. */
const partialFill: Recipe = (stream) => {
  const spec = randomCross(stream);
  if (spec === null || spec.lots < 4) return null;
  const first = Math.floor(spec.lots / 2);
  const rest = {
    account: spec.buyer,
    instrument: spec.number,
    size: spec.lots,
    price: spec.price + 50,
    nonce: stream.venue.nextNonce(),
  };
  stream.openOrders.push({ spec: rest, filled: first, madeMs: stream.venue.timeMs });
  const taker = stream.venue.entry({
    account: spec.seller,
    instrument: spec.number,
    size: -first,
    price: spec.price + 50,
  });
  return stream.venue.tradeOf([stream.venue.entry({ ...rest, filledLots: first }), taker]);
};

const fillAgain: Recipe = (stream) => {
  const order = stream.openOrders.shift();
  if (order === undefined || !stream.liveInstruments().includes(order.spec.instrument)) return null;
  const slot = stream.state.ringSlot(order.spec.account, order.spec.nonce);
  if (slot?.nonce !== order.spec.nonce) return null;
  const lots = order.spec.size - slot.filledLots;
  if (lots <= 0) return null;
  const times = { startMs: order.madeMs - 1000, expiryMs: order.madeMs + 3_600_000 };
  const maker = stream.venue.entry({ ...order.spec, ...times, filledLots: lots, key: null });
  const seller = stream.random.pick(TRADERS.filter((other) => other !== order.spec.account));
  const taker = { account: seller, instrument: order.spec.instrument, size: -lots, price: order.spec.price };
  return stream.venue.tradeOf([maker, stream.venue.entry(taker)]);
};

/** Up to four options of one underlying in one order, against single orders of another account. */
const combination: Recipe = (stream) => {
  const options = stream
    .liveInstruments()
    .filter((number) => (stream.state.instrument(number) as InstrumentCell).kind >= 3);
  const first = options[0];
  if (first === undefined) return null;
  const { underlying } = stream.state.instrument(first) as InstrumentCell;
  const legs = options
    .filter((number) => stream.state.instrument(number)?.underlying === underlying)
    .slice(0, stream.random.integer(2, 4))
    .map((number) => ({ instrument: number, ratio: stream.random.pick([1, -1, 2]) }));
  const [taker, maker] = pair(stream);
  const lots = stream.random.integer(1, 5);
  const net = legs.reduce((sum, leg) => sum + leg.ratio * stream.venue.markTicks(leg.instrument), 0);
  const entries = [stream.venue.entry({ account: taker, legs, size: lots, price: net })];
  for (const leg of legs) {
    const size = -leg.ratio * lots;
    entries.push(
      stream.venue.entry({
        account: maker,
        instrument: leg.instrument,
        size,
        price: stream.venue.markTicks(leg.instrument),
      }),
    );
  }
  return stream.venue.tradeOf(entries);
};

/** A gambler takes about as much as its margin allows. */
const gamble: Recipe = (stream) => {
  const spec = randomCross(stream);
  if (spec === null) return null;
  const gambler = stream.random.pick(GAMBLERS);
  const margin = marginNow(stream, gambler);
  const free = Number(margin.equity - margin.initial);
  const lots = Math.floor((free * 0.9) / (lotValue(stream, spec.number) * 0.19));
  if (lots < 1) return null;
  const sides = stream.random.chance(0.5) ? { buyer: gambler } : { seller: gambler };
  return stream.venue.tradeOf(
    crossEntries(stream, { ...spec, lots, price: Math.max(1, stream.venue.markTicks(spec.number)), ...sides }),
  );
};

/** Closes part of a position, often reduce-only. */
const reduce: Recipe = (stream) => {
  const live = new Set(stream.liveInstruments());
  const owner = stream.random.pick(EVERYONE);
  const position = stream.venue.cell(owner).positions.find(({ instrument: held }) => live.has(held));
  if (position === undefined) return null;
  const size = -Math.sign(position.size) * stream.random.integer(1, Math.abs(position.size));
  const price = Math.max(1, stream.venue.markTicks(position.instrument));
  const other = stream.random.pick(TRADERS.filter((one) => one !== owner));
  const flags = stream.random.chance(0.7) ? 1 : 0;
  return stream.venue.tradeOf([
    stream.venue.entry({ account: owner, instrument: position.instrument, size, price, flags }),
    stream.venue.entry({ account: other, instrument: position.instrument, size: -size, price }),
  ]);
};

const report: Recipe = (stream) => {
  const { random } = stream;
  const underlying = random.pick([BTC, ETH]);
  if (stream.openEpochs().includes(underlying)) return null;
  stream.venue.advance(random.integer(5_000, 25_000));
  const jump = random.chance(0.15) ? (random.next() - 0.5) * 0.36 : (random.next() - 0.5) * 0.01;
  const before = stream.prices.get(underlying) ?? 0;
  const home = underlying === BTC ? 100_000 : 4_000;
  const price = Math.min(home * 1.6, Math.max(home * 0.6, before * (1 + jump)));
  stream.prices.set(underlying, price);
  return stream.report(underlying, { index: price });
};

/** A jump against a gambler: below maintenance, or at once under water. */
const crash: Recipe = (stream) => {
  const { random, state, venue } = stream;
  const bets = GAMBLERS.flatMap((gambler) =>
    venue
      .cell(gambler)
      .positions.map((position) => ({ ...position, cell: state.instrument(position.instrument) as InstrumentCell })),
  ).filter(
    ({ cell }) =>
      cell.kind <= InstrumentKind.future && cell.status === 1 && !stream.openEpochs().includes(cell.underlying),
  );
  if (bets.length === 0) return null;
  const { size, cell } = random.pick(bets);
  venue.advance(random.integer(5_000, 15_000));
  const move = random.chance(0.75) ? 0.088 + random.next() * 0.03 : 0.16 + random.next() * 0.14;
  const before = stream.prices.get(cell.underlying) ?? 0;
  const home = cell.underlying === BTC ? 100_000 : 4_000;
  const price = Math.min(home * 2, Math.max(home * 0.5, before * (1 - Math.sign(size) * move)));
  stream.prices.set(cell.underlying, price);
  return stream.report(cell.underlying as typeof BTC, { index: price });
};

/** The next rows of an open epoch; the last ones close it. */
const rows: Recipe = (stream) => {
  const underlying = stream.random.pick([BTC, ETH]);
  const cell = stream.state.underlying(underlying);
  if (cell === undefined || !cell.epochOpen) return null;
  const expiries = new Set<number>([0, ...cell.surfaces.map((surface) => surface.expiryMs)]);
  const due = stream.instruments(
    (one, number) =>
      one.underlying === underlying &&
      one.status === 1 &&
      one.rowEpoch < cell.epoch &&
      expiries.has(one.expiryMs) &&
      !stream.isDark(number),
  );
  const instruments = due.slice(0, 16).map(instrument);
  const closesEpoch = due.length <= 16;
  return { kind: "rows", timeMs: at(stream.venue.timeMs), underlying, instruments, closesEpoch };
};

const inbound: Recipe = (stream) => {
  const { random } = stream;
  const entries: InboundEntry[] = [];
  for (let count = random.integer(1, 3); count > 0; count--) entries.push(randomEntry(stream));
  return stream.venue.inbound(...entries);
};

function randomEntry(stream: Stream): InboundEntry {
  const { random } = stream;
  const number = account(random.pick(EVERYONE));
  const owner = ownerKey(number).address;
  switch (random.integer(0, 6)) {
    case 0:
      return {
        type: "keyGrant",
        account: number,
        key: keyOf(`spare ${random.integer(0, 9)}`).address,
        scopes: 1,
        expiryMs: at(2 ** 47),
      };
    case 1:
      return {
        type: "keyRevoke",
        account: number,
        key: keyOf(`spare ${random.integer(0, 3)}`).address,
        minNonce: 0 as never,
      };
    case 2:
      return {
        type: "forcedWithdrawal",
        account: number,
        amount: micro(random.integer(1, 2_000 * USDC)),
        recipient: owner,
      };
    case 3:
      return { type: "cancelAll", account: number, minNonce: random.integer(0, 3) as never };
    case 4:
      return { type: "deposit", account: account(UNKNOWN), amount: micro(random.integer(1, 50 * USDC)), payer: owner };
    default:
      return { type: "deposit", account: number, amount: micro(random.integer(1, 5_000 * USDC)), payer: owner };
  }
}

const outbound: Recipe = (stream) => {
  const owner = stream.random.pick(TRADERS);
  const free = Number(marginNow(stream, owner).withdrawable);
  if (free < 10) return null;
  return stream.venue.withdrawal({ account: owner, amount: stream.random.integer(1, Math.floor(free / 10)) });
};

const listSeries: Recipe = (stream) => {
  const underlying = stream.random.pick([BTC, ETH]);
  const dated = stream.venue.expiries(underlying).filter((expiryMs) => expiryMs !== stream.darkExpiryMs);
  if (dated.length >= 3) return null;
  const inMs = stream.random.integer(8, 40) * 60_000;
  const price = stream.prices.get(underlying) ?? 0;
  const strikes = [0.97, 1.03].map((factor) => dollars(Math.round((price * factor) / 10) * 10));
  return stream.venue.inbound({ type: "listSeries", underlying, expiryMs: at(stream.venue.timeMs + inMs), strikes });
};

/** Settles what is due, and realises positions of some accounts in the same or in a later cycle. */
const expiry: Recipe = (stream) => {
  const { random, venue } = stream;
  const due = stream.instruments((cell) => cell.expiryMs !== 0 && cell.status === 1 && cell.expiryMs <= venue.timeMs);
  const [first] = due;
  if (first === undefined) return realise(stream);
  const { underlying, expiryMs } = stream.state.instrument(first) as InstrumentCell;
  const instruments = due.filter((number) => {
    const cell = stream.state.instrument(number) as InstrumentCell;
    return cell.underlying === underlying && cell.expiryMs === expiryMs;
  });
  const factor = random.chance(0.4) ? 0.6 + random.next() * 0.9 : 1;
  const price = dollars((stream.prices.get(underlying) ?? 0) * factor);
  return venue.expiryOf({
    underlying,
    expiryMs,
    settlementPrice: price,
    instruments: instruments.map(instrument),
    realisations: [],
  });
};

function realise(stream: Stream): Cycle | null {
  const { random, venue } = stream;
  const settled = new Set(stream.instruments((cell) => cell.status === 2));
  const holders = EVERYONE.filter((owner) =>
    venue.cell(owner).positions.some((position) => settled.has(position.instrument)),
  );
  if (holders.length === 0) return null;
  const owner = random.pick(holders);
  const held = venue.cell(owner).positions.filter((position) => settled.has(position.instrument));
  const { underlying, expiryMs } = stream.state.instrument(random.pick(held).instrument) as InstrumentCell;
  const instruments = held
    .map((position) => position.instrument)
    .filter((number) => {
      const cell = stream.state.instrument(number) as InstrumentCell;
      return cell.underlying === underlying && cell.expiryMs === expiryMs;
    });
  const positionCount = venue.cell(owner).positions.length;
  const settlementPrice = dollars(stream.prices.get(underlying) ?? 1);
  return venue.expiryOf({
    underlying,
    expiryMs,
    settlementPrice,
    instruments: [],
    realisations: [{ account: account(owner), positionCount, instruments }],
  });
}

const liquidation: Recipe = (stream) => {
  const spec = soundLiquidation(stream);
  return spec === null ? null : liquidationOf(stream, spec);
};

/** Pays what keeps the venue from withdrawing, so that streams go on. */
const rescue: Recipe = (stream) => {
  const { badDebt } = stream.state.globals;
  if (badDebt === 0) return null;
  const debtor = stream.state.accountNumbers().find((number) => {
    const cell = stream.venue.cell(number);
    return cell.positions.length === 0 && cell.cash < 0;
  });
  if (debtor === undefined) return null;
  const amount = micro(-stream.venue.cell(debtor).cash + 5_000 * USDC);
  return stream.venue.inbound({ type: "deposit", account: account(debtor), amount, payer: keyOf("sponsor").address });
};

/** What a venue does before anything else: close an open epoch, settle what is due. */
export const DUTIES: readonly Recipe[] = [rows, expiry];

/** Weight and recipe. */
export const VALID: readonly (readonly [number, Recipe])[] = [
  [16, cross],
  [5, partialFill],
  [5, fillAgain],
  [5, combination],
  [12, gamble],
  [6, reduce],
  [9, report],
  [4, crash],
  [30, rows],
  [6, inbound],
  [6, outbound],
  [4, listSeries],
  [8, expiry],
  [10, liquidation],
  [1, rescue],
];
