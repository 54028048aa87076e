// Accounts in trouble, for the recipes of the waterfall: found where the stream has them, else made by moving cash by hand.
import { type AccountCell, hasAuctionRunOut, insuranceLeft, isAuctionRunning, type Position } from "../../src/index.ts";
import { at, BTC, ETH, USDC } from "../factory.ts";
import { auctionOf, type TakeCycle, type TakeSpec, takeOf } from "../waterfall.ts";
import { EVERYONE, marginNow } from "./building.ts";
import { type Stream, TRADERS } from "./stream.ts";

export const AUCTION_MS = 60_000;

/** Somebody rich, other than those. */
export function otherThan(stream: Stream, ...not: number[]): number {
  return stream.random.pick(TRADERS.filter((one) => !not.includes(one)));
}

export function isBelow(stream: Stream, owner: number): boolean {
  const margin = marginNow(stream, owner);
  return margin.marksUsable && margin.equity < margin.maintenance;
}

export const isUnder = (stream: Stream, owner: number): boolean =>
  isBelow(stream, owner) && -marginNow(stream, owner).equity > insuranceLeftNow(stream);

export function insuranceLeftNow(stream: Stream): bigint {
  return insuranceLeft(stream.state.globals, stream.venue.cell(1));
}

/** Moves cash until the account's equity is that. */
export function setEquity(stream: Stream, owner: number, equity: number): void {
  stream.shiftCash(owner, otherThan(stream, owner), Number(marginNow(stream, owner).equity) - equity);
}

/** Equity above debts that the insurance covers and below them, by turns; null without maintenance. */
function sink(stream: Stream, owner: number, under: boolean): number | null {
  const { random } = stream;
  const maintenance = Number(marginNow(stream, owner).maintenance);
  if (maintenance === 0 && !under) return null;
  const equity = under
    ? -Number(insuranceLeftNow(stream)) - random.integer(1, maintenance + 1_000 * USDC)
    : Math.floor(maintenance * (0.1 + 0.85 * random.next()));
  setEquity(stream, owner, equity);
  return owner;
}

export type Holder = (cell: Readonly<AccountCell>, owner: number) => boolean;

/** Accounts with usable marks and positions in what trades. */
export function holders(stream: Stream, accepts: Holder = () => true, from: readonly number[] = EVERYONE): number[] {
  const live = new Set(stream.liveInstruments());
  return from.filter((owner) => {
    const cell = stream.venue.cell(owner);
    const isLive = cell.positions.length > 0 && cell.positions.every(({ instrument }) => live.has(instrument));
    return isLive && marginNow(stream, owner).marksUsable && accepts(cell, owner);
  });
}

/** An account below maintenance, or with `under` below what the insurance pays. */
export function distressed(stream: Stream, under = false, accepts: Holder = () => true): number | null {
  const found = holders(stream, accepts);
  const already = found.filter((owner) => (under ? isUnder(stream, owner) : isBelow(stream, owner)));
  if (already.length > 0) return stream.random.pick(already);
  return found.length === 0 ? null : sink(stream, stream.random.pick(found), under);
}

export function isRunning(stream: Stream, owner: number): boolean {
  return isAuctionRunning(stream.venue.cell(owner).auctionMs, at(stream.venue.timeMs), AUCTION_MS);
}

/** A distressed account whose auction runs, somewhere on the price curve. */
export function auctioned(stream: Stream, under = false, accepts: Holder = () => true): number | null {
  const { random, venue } = stream;
  const running = holders(stream, accepts).filter(
    (owner) => isRunning(stream, owner) && (under ? isUnder(stream, owner) : isBelow(stream, owner)),
  );
  const owner = running.length > 0 ? random.pick(running) : distressed(stream, under, accepts);
  if (owner === null) return null;
  if (!isRunning(stream, owner) && !stream.apply(auctionOf(venue, "start", owner)).ok) return null;
  if (random.chance(0.5)) venue.advance(random.integer(0, 20_000));
  return isRunning(stream, owner) && isBelow(stream, owner) ? owner : null;
}

/** An account under water whose auction nobody took. */
export function unsold(stream: Stream, accepts: Holder = () => true, under = true): number | null {
  const owner = auctioned(stream, under, accepts);
  if (owner === null) return null;
  const { venue } = stream;
  const leftMs = venue.cell(owner).auctionMs + AUCTION_MS - venue.timeMs;
  if (leftMs > 0) venue.advance(leftMs + stream.random.integer(0, 5_000));
  if (!hasAuctionRunOut(venue.cell(owner).auctionMs, at(venue.timeMs), AUCTION_MS)) return null;
  const isStill = under ? isUnder(stream, owner) : isBelow(stream, owner);
  return isStill ? owner : null;
}

/** Most parts of which one less does not reach the target. */
export function partsToTarget(stream: Stream, owner: number, bidder: number): number {
  const { equity } = marginNow(stream, owner);
  let low = 1;
  let high = 1000;
  while (low < high) {
    const parts = Math.floor((low + high) / 2);
    const { take } = takeOf(stream.venue, { owner, bidder, parts });
    const isReached = equity - BigInt(take.fromAccount) >= initialWithout(stream, owner, take);
    if (isReached) high = parts;
    else low = parts + 1;
  }
  return low;
}

function initialWithout(stream: Stream, owner: number, take: TakeCycle["take"]): bigint {
  const lots = new Map(take.legs.map((leg) => [leg.instrument as number, leg.lots as number]));
  const cell = stream.venue.cell(owner);
  const positions = cell.positions
    .map((one): Position => ({ ...one, size: (one.size - (lots.get(one.instrument) ?? 0)) as never }))
    .filter(({ size }) => size !== 0);
  return stream.marginOf({ ...cell, positions }).initial;
}

/** A take that is sound but for `change`; null when nobody's auction runs. */
export function takeFrom(
  stream: Stream,
  change: (spec: TakeSpec) => Partial<TakeSpec> | null = () => ({}),
  accepts: Holder = () => true,
): TakeCycle | null {
  const owner = auctioned(stream, stream.random.chance(0.4), accepts);
  if (owner === null) return null;
  const bidder = otherThan(stream, owner);
  const most = partsToTarget(stream, owner, bidder);
  const parts = stream.random.chance(0.5) ? most : stream.random.integer(1, most);
  const spec: TakeSpec = { owner, bidder, parts, bindsLegs: stream.random.chance(0.5) };
  const wrong = change(spec);
  return wrong === null ? null : takeOf(stream.venue, { ...spec, ...wrong });
}

/** Opens an epoch of the underlying where none is; false when the report was refused. */
export function opened(stream: Stream, underlying: typeof BTC): boolean {
  if (stream.openEpochs().includes(underlying)) return true;
  stream.venue.advance(1);
  return stream.apply(stream.report(underlying)).ok;
}

export function closeEpochs(stream: Stream): void {
  for (const underlying of [BTC, ETH]) {
    if (!stream.openEpochs().includes(underlying)) continue;
    for (const cycle of stream.venue.rows(underlying)) {
      const instruments = cycle.instruments.filter((number) => !stream.isDark(number));
      if (instruments.length > 0 || cycle.closesEpoch) stream.apply({ ...cycle, instruments });
    }
  }
}

/** Underlyings of an account's positions. */
export function underlyingsOf(stream: Stream, cell: Readonly<AccountCell>): Set<number> {
  return new Set(cell.positions.map(({ instrument }) => stream.state.instrument(instrument)?.underlying as number));
}
