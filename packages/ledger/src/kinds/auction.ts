// auction: an account below maintenance is sold in slices to signed bids, at a price that falls from the marks by what the
// slice releases of the maintenance. Account and insurance bear the discount.
import { assert, bytesToHex, type InstrumentNumber, type MicroUsdc, type TimestampMs } from "@tidemark/num";
import { authorisesOrder } from "../authorise.ts";
import type { Draft } from "../draft.ts";
import { AUCTION_PARTS, INSURANCE_ACCOUNT } from "../limits.ts";
import { isHealthy, type Margin, marginOfCell } from "../margin.ts";
import { addCash, isSafe, positionIndex, settlePositions } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import { bidHash } from "../signing.ts";
import type { AccountCell, AuctionCycle, AuctionLeg, CycleRejection } from "../types.ts";
import { auctionSlice, auctionTermsFloor, isAuctionRunning, sliceValue } from "./auctionTerms.ts";
import { isTradable } from "./entry.ts";
import { isSlotTaken } from "./outbound.ts";
import { type CycleContext, reject } from "./rule.ts";
import { isTradingAccount, marginCode } from "./trade.ts";

type TakeCycle = Extract<AuctionCycle, { op: "take" }>;

/** 1300, 1301, and which of 1302 … 1304 the operation asks for. */
function accountCode(
  start: Readonly<AccountCell> | undefined,
  cycle: Readonly<AuctionCycle>,
  context: CycleContext,
): number {
  const { auctionDurationMs } = context.parameters.risk;
  if (start === undefined || !isTradingAccount(cycle.account)) return RejectionCode.AUCTION_UNKNOWN_ACCOUNT;
  if (start.positions.length !== cycle.positionCount) return RejectionCode.AUCTION_POSITION_COUNT;
  if (cycle.op === "end") return start.auctionMs === 0 ? RejectionCode.AUCTION_NOT_RUNNING : 0;
  if (start.positions.length === 0) return RejectionCode.AUCTION_NO_POSITIONS;
  const isRunning = isAuctionRunning(start.auctionMs, cycle.timeMs, auctionDurationMs);
  if (cycle.op === "start") return isRunning ? RejectionCode.AUCTION_RUNNING : 0;
  return isRunning ? 0 : RejectionCode.AUCTION_NOT_RUNNING;
}

/** 1308: the legs are the slice, leg by leg; 1309: all of it trades. */
function legsRejection(draft: Draft, start: Readonly<AccountCell>, cycle: Readonly<TakeCycle>): CycleRejection | null {
  const { account, timeMs, take } = cycle;
  const slice = auctionSlice(start.positions, take.bid.parts);
  const isSlice =
    slice.length === take.legs.length &&
    slice.every(({ instrument, lots }, i) => {
      const leg = take.legs[i];
      return leg?.instrument === instrument && leg.lots === lots;
    });
  if (!isSlice) return reject(RejectionCode.AUCTION_LEGS, { account });
  for (const [place, { instrument }] of slice.entries()) {
    const cell = draft.instrument(instrument);
    if (cell === undefined || !isTradable(cell, timeMs)) {
      return reject(RejectionCode.AUCTION_NOT_TRADABLE, { account, instrument, place });
    }
  }
  return null;
}

/** 1310 … 1315. */
function bidCode(draft: Draft, cycle: Readonly<TakeCycle>, digest: Uint8Array, context: CycleContext): number {
  const { timeMs, take } = cycle;
  const { bid } = take;
  const bidder = draft.account(bid.account);
  if (bidder === undefined || !isTradingAccount(bid.account) || bid.account === cycle.account) {
    return RejectionCode.AUCTION_BIDDER_INVALID;
  }
  const newCount = take.legs.filter(({ instrument }) => positionIndex(bidder.positions, instrument) < 0).length;
  if (bidder.positions.length !== take.bidderPositionCount || newCount !== take.newCount) {
    return RejectionCode.AUCTION_BIDDER_COUNTS;
  }
  if (timeMs >= bid.expiryMs) return RejectionCode.AUCTION_BID_EXPIRED;
  if (bid.nonce < bidder.minNonce) return RejectionCode.AUCTION_BELOW_MIN_NONCE;
  if (isSlotTaken(draft.ringSlot(bid.account, bid.nonce), bid.nonce, timeMs)) return RejectionCode.AUCTION_RING_SLOT;
  const isAuthorised = authorisesOrder(bidder, bid, digest, take.signature, context.signatures);
  return isAuthorised ? 0 : RejectionCode.AUCTION_NOT_AUTHORISED;
}

function lotsOf(legs: readonly AuctionLeg[], sign: 1 | -1): Map<InstrumentNumber, number> {
  return new Map(legs.map(({ instrument, lots }) => [instrument, sign * lots]));
}

/** 1319 … 1321: what the declared discount and the size of the slice must be. */
function termsCode(
  start: Readonly<AccountCell>,
  before: Readonly<Margin>,
  cycle: Readonly<TakeCycle>,
  context: CycleContext,
): number {
  const { timeMs, take } = cycle;
  const { parts } = take.bid;
  const terms = auctionTermsFloor(context.view, start, before, parts, timeMs);
  if (parts < AUCTION_PARTS && terms.maintenance >= before.maintenance) return RejectionCode.AUCTION_NOT_REDUCING;
  if (BigInt(take.discount) !== terms.discount || BigInt(take.fromAccount) !== terms.fromAccount) {
    return RejectionCode.AUCTION_DISCOUNT;
  }
  if (parts === 1) return 0;
  const less = auctionTermsFloor(context.view, start, before, parts - 1, timeMs);
  const equity = before.equity - less.fromAccount;
  return equity + BigInt(start.credit) >= less.initial ? RejectionCode.AUCTION_BEYOND_TARGET : 0;
}

const BIDDER_MARGIN_CODES = {
  marksUnusable: RejectionCode.AUCTION_BIDDER_MARKS_UNUSABLE,
  margin: RejectionCode.AUCTION_BIDDER_MARGIN,
};

/** 1316 … 1324, in order; the draft is written on the way. */
function settleTake(
  draft: Draft,
  start: Readonly<AccountCell>,
  before: Readonly<Margin>,
  digest: Uint8Array,
  cycle: Readonly<TakeCycle>,
  context: CycleContext,
): CycleRejection | null {
  const { account, timeMs, take } = cycle;
  const { bid, legs, discount, fromAccount } = take;
  const bidder = { account: bid.account };
  const bidderStart = draft.account(bid.account) as AccountCell;
  const value = sliceValue(draft, legs);
  const payment = value - BigInt(discount);
  if (payment > BigInt(bid.paymentMax)) return reject(RejectionCode.AUCTION_PAYMENT, bidder);
  const insurance = draft.editAccount(INSURANCE_ACCOUNT);
  const fromInsurance = discount - fromAccount;
  if (fromInsurance > 0 && fromInsurance > insurance.cash) {
    return reject(RejectionCode.AUCTION_INSURANCE, { account: INSURANCE_ACCOUNT });
  }
  if (!isSafe(payment)) return reject(RejectionCode.AUCTION_BOUNDS, bidder);
  addCash(insurance, BigInt(-fromInsurance));
  draft.putRingSlot(bid.account, {
    nonce: bid.nonce,
    orderHash: bytesToHex(digest),
    filledLots: 1,
    filledCash: Number(-payment) as MicroUsdc,
    receiptDeadlineMs: (timeMs + context.parameters.receiptPeriodMs) as TimestampMs,
  });
  if (settlePositions(draft, account, lotsOf(legs, -1), value - BigInt(fromAccount)) !== "settled") {
    return reject(RejectionCode.AUCTION_BOUNDS, { account });
  }
  const code = termsCode(start, before, cycle, context);
  if (code !== 0) return reject(code, { account });
  const auctioned = draft.editAccount(account);
  if (auctioned.positions.length === 0) auctioned.auctionMs = 0 as TimestampMs;
  const settled = settlePositions(draft, bid.account, lotsOf(legs, 1), -payment);
  if (settled === "bounds") return reject(RejectionCode.AUCTION_BOUNDS, bidder);
  if (settled === "positionsFull") return reject(RejectionCode.AUCTION_POSITIONS_FULL, bidder);
  const margin = marginCode(draft, bid.account, bidderStart, timeMs, context, BIDDER_MARGIN_CODES);
  return margin === 0 ? null : reject(margin, bidder);
}

function settleBid(
  draft: Draft,
  start: Readonly<AccountCell>,
  before: Readonly<Margin>,
  cycle: Readonly<TakeCycle>,
  context: CycleContext,
): CycleRejection | null {
  const { take } = cycle;
  const { bid } = take;
  assert(bid.domain === context.parameters.domain && bid.auctioned === cycle.account, "bid is for this account");
  const refused = legsRejection(draft, start, cycle);
  if (refused !== null) return refused;
  const digest = bidHash(bid, take.legs, context.separator);
  const code = bidCode(draft, cycle, digest, context);
  if (code !== 0) return reject(code, { account: bid.account });
  return settleTake(draft, start, before, digest, cycle, context);
}

export function validateAndApply(draft: Draft, cycle: AuctionCycle, context: CycleContext): CycleRejection | null {
  const { account, timeMs } = cycle;
  const start = draft.account(account);
  const code = accountCode(start, cycle, context);
  if (start === undefined || code !== 0) return reject(code, { account });
  const before = marginOfCell(context.view, start, timeMs);
  if (!before.marksUsable) return reject(RejectionCode.AUCTION_MARKS_UNUSABLE, { account });
  const isAbove = isHealthy(before, start.credit);
  if (cycle.op === "end") {
    if (!isAbove) return reject(RejectionCode.AUCTION_NOT_HEALTHY, { account });
    draft.editAccount(account).auctionMs = 0 as TimestampMs;
    return null;
  }
  if (isAbove) return reject(RejectionCode.AUCTION_HEALTHY, { account });
  if (cycle.op === "take") return settleBid(draft, start, before, cycle, context);
  draft.editAccount(account).auctionMs = timeMs;
  return null;
}
