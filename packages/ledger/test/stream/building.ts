// What recipes build their cycles from: sizes, prices, crosses and liquidations that would be sound.
import {
  type Cycle,
  type InstrumentCell,
  InstrumentKind,
  type LiquidationCycle,
  type Margin,
  marginOf,
  marginOfCell,
  type TradeEntry,
  viewOf,
} from "../../src/index.ts";
import { account, at, instrument, micro, ownerKey, USDC } from "../factory.ts";
import type { keyOf } from "../keys.ts";
import { grantOf } from "../waterfall.ts";
import { CREDITED, delegateKey, GAMBLERS, type Stream, TRADERS } from "./stream.ts";

/** Null when the state does not allow it now. */
export type Recipe = (stream: Stream) => Cycle | Uint8Array | null;

export const EVERYONE = [...TRADERS, ...GAMBLERS];

export function marginNow(stream: Stream, number: number): Margin {
  const margin = marginOf(stream.state, number, at(stream.venue.timeMs));
  if (margin === undefined) throw new Error(`account ${number} is missing`);
  return margin;
}

export function priceNear(stream: Stream, number: number, spread: number): number {
  const mark = stream.venue.markTicks(number);
  return Math.max(1, Math.round(mark * (1 + (stream.random.next() - 0.5) * spread)));
}

export function lotValue(stream: Stream, number: number): number {
  const cell = stream.state.instrument(number) as InstrumentCell;
  const index = stream.state.underlying(cell.underlying)?.index ?? 0;
  return (index * cell.lotNanoCoin) / 1e9;
}

export function randomLots(stream: Stream, number: number, usdc: number): number {
  const most = Math.max(1, Math.floor((usdc * USDC) / lotValue(stream, number)));
  return stream.random.integer(1, Math.max(1, Math.min(most, 100_000)));
}

/** Two different accounts, if it can be such whose marks are usable. */
export function pair(stream: Stream, from: readonly number[] = TRADERS): [number, number] {
  const usable = from.filter((number) => marginNow(stream, number).marksUsable);
  const candidates = usable.length >= 2 ? usable : from;
  const first = stream.random.pick(candidates);
  return [first, stream.random.pick(candidates.filter((other) => other !== first))];
}

export interface CrossSpec {
  number: number;
  buyer: number;
  seller: number;
  lots: number;
  /** Of the fill, in ticks. */
  price: number;
}

/** Buyer's and seller's entry at one price; limits may be looser than the price. */
export function crossEntries(stream: Stream, spec: CrossSpec, loose = 0): TradeEntry[] {
  const { number, buyer, seller, lots, price } = spec;
  const cell = stream.state.instrument(number) as InstrumentCell;
  const cash = price * lots * cell.tickValueMicroUsdc;
  const isOption = cell.kind === InstrumentKind.call || cell.kind === InstrumentKind.put;
  const most = Math.min(cell.feePerLot * lots, isOption ? Math.floor(cash / 8) : Infinity);
  const fee = (): number => Math.floor(stream.random.next() * most);
  const keyFor = (owner: number): ReturnType<typeof keyOf> =>
    stream.random.chance(0.3) ? delegateKey(owner) : ownerKey(owner);
  return [
    stream.venue.entry({
      account: buyer,
      instrument: number,
      size: lots,
      price: price + loose,
      cash: -cash,
      fee: fee(),
      key: keyFor(buyer),
    }),
    stream.venue.entry({
      account: seller,
      instrument: number,
      size: -lots,
      price: price - loose,
      cash,
      fee: fee(),
      key: keyFor(seller),
    }),
  ];
}

export function randomCross(stream: Stream): CrossSpec | null {
  const live = stream.liveInstruments();
  if (live.length === 0) return null;
  const number = stream.random.pick(live);
  const [buyer, seller] = pair(stream);
  return { number, buyer, seller, lots: randomLots(stream, number, 20_000), price: priceNear(stream, number, 0.02) };
}

/** Accounts below maintenance with usable marks and a report since their last liquidation. */
export function liquidatable(stream: Stream): number[] {
  return EVERYONE.filter((owner) => {
    const margin = marginNow(stream, owner);
    if (!margin.marksUsable || margin.equity >= margin.maintenance) return false;
    const cell = stream.venue.cell(owner);
    return cell.positions.some((position) => {
      const { underlying } = stream.state.instrument(position.instrument) as InstrumentCell;
      return (stream.state.underlying(underlying)?.reportMs ?? 0) > cell.liquidationMs;
    });
  });
}

export interface LiquidationSpec {
  owner: number;
  number: number;
  /** Signed. */
  size: number;
  cash: number;
  fee: number;
  counterparty: number;
  /** Cash of the counterparty, without which it is the opposite. */
  counterCash?: number;
}

export function liquidationOf(stream: Stream, spec: LiquidationSpec): LiquidationCycle {
  const { venue } = stream;
  const counterCash = spec.counterCash ?? 0 - spec.cash;
  // A limit that any price meets: the leg's bound is what is tested.
  const price = spec.size > 0 ? -(2 ** 31 - 1) : 2 ** 31 - 1;
  const entry = venue.entry({
    account: spec.counterparty,
    instrument: spec.number,
    size: -spec.size,
    price,
    cash: counterCash,
  });
  const trade = venue.tradeOf([entry]);
  return {
    kind: "liquidation",
    timeMs: trade.timeMs,
    account: account(spec.owner),
    positionCount: venue.cell(spec.owner).positions.length,
    legs: [
      { instrument: instrument(spec.number), size: spec.size as never, cash: micro(spec.cash), fee: micro(spec.fee) },
    ],
    counterparties: trade.accounts,
  };
}

export const SLICE_MICRO_USDC = 20_000 * USDC;

/** Fewest lots at the mark that reach the target, or as many as position and slice allow. */
export function lotsToTarget(stream: Stream, owner: number, number: number): number {
  const cell = stream.venue.cell(owner);
  const mark = (stream.state.instrument(number) as InstrumentCell).row[0] as number;
  const held = stream.venue.size(owner, number);
  const most = Math.min(Math.abs(held), Math.max(1, Math.floor(SLICE_MICRO_USDC / lotValue(stream, number))));
  const view = viewOf(stream.state.begin(), stream.venue.parameters);
  const reaches = (lots: number): boolean => {
    const size = held - Math.sign(held) * lots;
    const positions = cell.positions
      .map((position) => (position.instrument === number ? { ...position, size: size as never } : position))
      .filter((position) => position.size !== 0);
    const cash = micro(cell.cash + Math.sign(held) * lots * mark);
    const margin = marginOfCell(view, { ...cell, positions, cash }, at(stream.venue.timeMs));
    return margin.equity >= margin.initial;
  };
  let low = 1;
  let high = most;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (reaches(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** An account that may be liquidated in something live, at the mark, as far as the target. */
export function soundLiquidation(stream: Stream): LiquidationSpec | null {
  const live = new Set(stream.liveInstruments());
  const candidates = liquidatable(stream).flatMap((owner) =>
    stream.venue
      .cell(owner)
      .positions.filter((position) => live.has(position.instrument))
      .map((position) => ({ owner, number: position.instrument as number })),
  );
  if (candidates.length === 0) return null;
  const { owner, number } = stream.random.pick(candidates);
  const held = stream.venue.size(owner, number);
  const size = -Math.sign(held) * lotsToTarget(stream, owner, number);
  const mark = (stream.state.instrument(number) as InstrumentCell).row[0] as number;
  const penalty = Math.floor(lotValue(stream, number) * 0.005);
  const fee = Math.floor(stream.random.next() * penalty * Math.abs(size) * 0.2);
  const counterparty = stream.random.pick(TRADERS.filter((other) => other !== owner));
  return { owner, number, size, cash: -size * mark + 0, fee, counterparty };
}

/** An account with credit: granted anew when a forced withdrawal revoked it. */
export function credited(stream: Stream): number | null {
  const { venue, state } = stream;
  if (venue.cell(CREDITED).credit > 0) return CREDITED;
  const { creditTotal, badDebt } = state.globals;
  const most = Math.min(1_000 * USDC, venue.cell(1).cash - badDebt - creditTotal);
  return most > 0 && stream.apply(grantOf(venue, CREDITED, most, 2 ** 40)).ok ? CREDITED : null;
}
