// Venues whose accounts hold as many positions as an account may, and with them the dearest states to open on the L1.
import {
  ACCOUNT_TREE_DEPTH,
  INSTRUMENTS_MAX,
  type InstrumentCell,
  InstrumentStatus,
  POSITIONS_MAX,
} from "@tidemark/ledger";
import { expect } from "vitest";
import { micro, type Venue } from "../../packages/ledger/test/factory.ts";
import { Random } from "../../packages/ledger/test/random.ts";
import { marginNow } from "../../packages/ledger/test/stream/building.ts";
import { Coverage } from "../../packages/ledger/test/stream/stream.ts";
import { WideStream } from "../../packages/ledger/test/stream/wide.ts";

const CREATED_AT_ONCE = 2 ** 14;

/** Sizes of everybody's positions by hand, as a market would have made them: in every instrument they sum to zero. */
export function hold(venue: Venue, sizes: Readonly<Record<number, number>>): void {
  const positions = venue.cell(2).positions;
  const draft = venue.state.begin();
  for (const [number, size] of Object.entries(sizes)) {
    const cell = draft.editAccount(Number(number));
    cell.positions = positions.map((position) => ({ ...position, size: size as never }));
  }
  draft.commit();
}

export function moveCash(venue: Venue, from: number, to: number, amount: number): void {
  const draft = venue.state.begin();
  draft.editAccount(from).cash = micro(venue.cell(from).cash - amount);
  draft.editAccount(to).cash = micro(venue.cell(to).cash + amount);
  draft.commit();
}

/** Leaves account 2 with `share` of its maintenance. */
export function leaveEquity(stream: WideStream, share: number): void {
  const { equity, maintenance } = marginNow(stream, 2);
  moveCash(stream.venue, 2, 0, Number(equity) - Math.floor(Number(maintenance) * share));
  expect(stream.venue.cell(2).positions.length).toBe(POSITIONS_MAX);
}

/** Account 2 holds 128 positions, with `equityShare` of its maintenance left. */
export function wide(seed: number, sizes: Readonly<Record<number, number>>, equityShare: number): WideStream {
  const stream = new WideStream(new Random(seed), new Coverage());
  stream.fill();
  hold(stream.venue, sizes);
  leaveEquity(stream, equityShare);
  return stream;
}

/**
 * The same in a venue that has listed all the instruments that it may: the ones held are as far apart as numbers can be, so that
 * their paths share nothing but the last levels.
 */
export function spread(venue: Venue): void {
  const { state } = venue;
  const held = venue.cell(2).positions.map(({ instrument }) => instrument);
  const [first] = held;
  const settled = { ...(state.instrument(first as number) as InstrumentCell), status: InstrumentStatus.settled };
  const filler = { ...settled, clearingPosition: 0, clearingCash: micro(0) };
  while (state.instrumentCount < INSTRUMENTS_MAX) {
    const draft = state.begin();
    for (let i = 0; i < CREATED_AT_ONCE && draft.globals.instrumentCount < INSTRUMENTS_MAX; i++) {
      draft.createInstrument(filler);
    }
    draft.commit();
  }
  const distance = INSTRUMENTS_MAX / POSITIONS_MAX;
  const placeOf = new Map(held.map((number, i) => [number, (i + 1) * distance - 1]));
  const draft = state.begin();
  for (const [from, to] of placeOf) {
    const cell = state.instrument(from) as InstrumentCell;
    Object.assign(draft.editInstrument(to), { ...cell, row: cell.row.slice() });
    Object.assign(draft.editInstrument(from), { ...filler, row: filler.row.slice() });
  }
  for (const number of [2, 3, 4, 5]) {
    const cell = draft.editAccount(number);
    cell.positions = cell.positions.map((position) => ({
      ...position,
      instrument: (placeOf.get(position.instrument) ?? position.instrument) as never,
    }));
  }
  draft.commit();
}

/** The i-th of `count` account numbers that are as far apart as can be, from 2 on. */
export function farAccount(i: number, count: number): number {
  return 2 + i * Math.floor((2 ** ACCOUNT_TREE_DEPTH - 2) / count);
}
