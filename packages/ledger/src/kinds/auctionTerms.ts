// What a slice of an auctioned account is and what it costs: shared by the rule and by who makes bids.
import { mulDivFloor, type SizeLots, type TimestampMs } from "@tidemark/num";
import { ExactSum } from "../exact-sum.ts";
import { AUCTION_PARTS } from "../limits.ts";
import { type LedgerView, type Margin, marginOfCell } from "../margin.ts";
import type { AccountCell, AuctionLeg, Position } from "../types.ts";

/** Toward zero: what is left over stays with the account. The product is below 2^41 and its quotient exact to the lot. */
function sliceLotsTrunc(size: number, parts: number): number {
  return Math.trunc((size * parts) / AUCTION_PARTS);
}

export function auctionSlice(positions: readonly Position[], parts: number): AuctionLeg[] {
  const legs: AuctionLeg[] = [];
  for (const { instrument, size } of positions) {
    const lots = sliceLotsTrunc(size, parts);
    if (lots !== 0) legs.push({ instrument, lots: lots as SizeLots });
  }
  return legs;
}

function positionsWithout(positions: readonly Position[], parts: number): Position[] {
  const left: Position[] = [];
  for (const position of positions) {
    const size = position.size - sliceLotsTrunc(position.size, parts);
    if (size !== 0) left.push({ ...position, size: size as SizeLots });
  }
  return left;
}

/** Open for bids: the price falls for one duration and stays for another. */
export function isAuctionRunning(auctionMs: TimestampMs, timeMs: TimestampMs, durationMs: number): boolean {
  return auctionMs !== 0 && timeMs >= auctionMs && timeMs < auctionMs + 2 * durationMs;
}

/** Nobody took everything while the price fell: the next step of the waterfall may begin. */
export function hasAuctionRunOut(auctionMs: TimestampMs, timeMs: TimestampMs, durationMs: number): boolean {
  return isAuctionRunning(auctionMs, timeMs, durationMs) && timeMs >= auctionMs + durationMs;
}

export interface AuctionTerms {
  /** Maintenance and initial requirement that the account keeps. */
  maintenance: bigint;
  initial: bigint;
  discount: bigint;
  fromAccount: bigint;
}

/**
 * Terms of `parts` of an account. The discount is the elapsed share of the maintenance that the slice releases (floor:
 * against the bidder); the account bears it with the same share of its equity (floor: the insurance bears the remainder).
 */
export function auctionTermsFloor(
  view: LedgerView,
  start: Readonly<AccountCell>,
  before: Readonly<Margin>,
  parts: number,
  timeMs: TimestampMs,
): AuctionTerms {
  const after = marginOfCell(view, { ...start, positions: positionsWithout(start.positions, parts) }, timeMs);
  const { maintenance, initial } = after;
  const { auctionDurationMs } = view.parameters.risk;
  const elapsedMs = Math.min(timeMs - start.auctionMs, auctionDurationMs);
  const released = before.maintenance - maintenance;
  if (released <= 0n) return { maintenance, initial, discount: 0n, fromAccount: 0n };
  const discount = mulDivFloor(released, BigInt(elapsedMs), BigInt(auctionDurationMs));
  if (discount === 0n || before.equity <= 0n) return { maintenance, initial, discount, fromAccount: 0n };
  const share = mulDivFloor(before.equity, released, before.maintenance);
  return { maintenance, initial, discount, fromAccount: share < discount ? share : discount };
}

/** Σ lots·mark. */
export function sliceValue(view: Pick<LedgerView, "instrument">, legs: readonly AuctionLeg[]): bigint {
  const value = new ExactSum();
  for (const { instrument, lots } of legs) value.addProduct(lots, view.instrument(instrument)?.row[0] ?? 0);
  return value.value();
}
