// Builders of auction, adl, credit and admin cycles over a venue: what a sound sequencer and its bidders would send.
import type { Nonce } from "@tidemark/num";
import {
  type AccountCell,
  type AdlCycle,
  type AdlFigures,
  type AuctionCycle,
  type AuctionTake,
  auctionSlice,
  auctionTermsFloor,
  bidHash,
  type Cycle,
  domainSeparator,
  haircutCeil,
  insuranceLeft,
  isAdlEligible,
  type LedgerView,
  marginOfCell,
  positionSize,
  ranksBefore,
  viewOf,
} from "../src/index.ts";
import { account, at, HOUR_MS, instrument, micro, ownerKey, type Venue } from "./factory.ts";
import { sign, type TestKey } from "./keys.ts";

export type TakeCycle = Extract<AuctionCycle, { op: "take" }>;

export const viewOfVenue = (venue: Venue): LedgerView => viewOf(venue.state.begin(), venue.parameters);

export function auctionOf(venue: Venue, op: "start" | "end", owner: number): AuctionCycle {
  const positionCount = venue.state.account(owner)?.positions.length ?? 0;
  return { kind: "auction", op, timeMs: at(venue.timeMs), account: account(owner), positionCount };
}

export interface TakeSpec {
  owner: number;
  bidder: number;
  parts?: number;
  /** Default: as much as it takes. */
  paymentMax?: number;
  nonce?: number;
  expiryMs?: number;
  bindsLegs?: boolean;
  domain?: number;
  key?: TestKey;
  /** Of the venue's, at which the terms are computed and the cycle is dated. */
  timeMs?: number;
  /** What is declared otherwise than it should be; the signature covers it. */
  change?: (take: AuctionTake) => AuctionTake;
}

/** A signed bid for a slice, with the discount that the state asks for. */
export function takeOf(venue: Venue, spec: TakeSpec): TakeCycle {
  const { owner, bidder, parts = 1000 } = spec;
  const timeMs = at(spec.timeMs ?? venue.timeMs);
  const cell = venue.cell(owner);
  const view = viewOfVenue(venue);
  const terms = auctionTermsFloor(view, cell, marginOfCell(view, cell, timeMs), parts, timeMs);
  const held = venue.state.account(bidder)?.positions ?? [];
  const legs = auctionSlice(cell.positions, parts);
  const bid: AuctionTake["bid"] = {
    domain: spec.domain ?? venue.parameters.domain,
    account: account(bidder),
    auctioned: account(owner),
    parts,
    paymentMax: micro(spec.paymentMax ?? 2 ** 53 - 1),
    bindsLegs: spec.bindsLegs ?? true,
    nonce: (spec.nonce ?? venue.nextNonce()) as Nonce,
    expiryMs: at(spec.expiryMs ?? timeMs + HOUR_MS),
  };
  const drawn: AuctionTake = {
    bid,
    signature: "0x",
    bidderPositionCount: held.length,
    newCount: legs.filter((leg) => positionSize(held, leg.instrument) === 0).length,
    discount: micro(Number(terms.discount)),
    fromAccount: micro(Number(terms.fromAccount)),
    legs: legs.length === 0 ? [{ instrument: instrument(0), lots: 1 as never }] : legs,
  };
  const take = spec.change?.(drawn) ?? drawn;
  const digest = bidHash(take.bid, take.legs, domainSeparator(venue.parameters));
  const signed = { ...take, signature: sign(digest, spec.key ?? ownerKey(bidder)) };
  const positionCount = cell.positions.length;
  return { kind: "auction", op: "take", timeMs, account: account(owner), positionCount, take: signed };
}

function figuresOf(view: LedgerView, number: number, cell: Readonly<AccountCell>, timeMs: number): AdlFigures {
  const { equity, maintenance } = marginOfCell(view, cell, at(timeMs));
  return { account: number, equity, maintenance };
}

/** Holders of the other side that rank, first first. */
export function adlRanking(venue: Venue, owner: number, number: number, haircut: number): AdlFigures[] {
  const view = viewOfVenue(venue);
  const held = venue.size(owner, number);
  return venue.state
    .accountNumbers()
    .filter((one) => one >= 2 && one !== owner && venue.size(one, number) * held < 0)
    .map((one) => figuresOf(view, one, venue.cell(one), venue.timeMs))
    .filter((figures) => isAdlEligible(figures, haircut))
    .sort((a, b) => (ranksBefore(a, b) ? -1 : 1));
}

/** Deleverages as much of the position as the first `most` of the ranking take; null when nobody does. */
export function adlOf(venue: Venue, owner: number, number: number, most = 64): AdlCycle | null {
  const view = viewOfVenue(venue);
  const cell = venue.cell(owner);
  const { equity } = marginOfCell(view, cell, at(venue.timeMs));
  const left = insuranceLeft(venue.state.globals, venue.cell(1));
  const deficit = -equity - left;
  const haircut = deficit > 0n ? Number(haircutCeil(view, cell.positions, number, deficit)) : 0;
  let lots = Math.abs(venue.size(owner, number));
  const counterparties: AdlCycle["counterparties"] = [];
  for (const figures of adlRanking(venue, owner, number, haircut)) {
    if (lots === 0 || counterparties.length === most) break;
    const covered = haircut === 0 ? Infinity : Number(figures.equity / BigInt(haircut));
    lots -= Math.min(lots, covered, Math.abs(venue.size(figures.account, number)));
    counterparties.push({
      account: account(figures.account),
      positionCount: venue.cell(figures.account).positions.length,
      equity: micro(Number(figures.equity)),
      maintenance: micro(Number(figures.maintenance)),
    });
  }
  if (counterparties.length === 0) return null;
  return {
    kind: "adl",
    timeMs: at(venue.timeMs),
    account: account(owner),
    positionCount: cell.positions.length,
    instrument: instrument(number),
    haircut: micro(haircut),
    counterparties,
  };
}

export function bankruptcyOf(venue: Venue, ...owners: number[]): Cycle {
  return { kind: "bankruptcy", timeMs: at(venue.timeMs), accounts: owners.sort((a, b) => a - b).map(account) };
}

export function grantOf(venue: Venue, owner: number, amount: number, queueIndex?: number): Cycle {
  return {
    kind: "credit",
    op: "grant",
    timeMs: at(venue.timeMs),
    account: account(owner),
    amount: micro(amount),
    queueIndex: queueIndex ?? venue.state.globals.inboundCursor,
  };
}

export function creditOf(venue: Venue, op: "settle" | "revoke", owner: number): Cycle {
  return { kind: "credit", op, timeMs: at(venue.timeMs), account: account(owner) };
}
