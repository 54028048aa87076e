// Forced entries of the L1 queue that reach into trading: a close that L1 has authorised, a liquidation that anyone asks for.
import { bytesToHex, INT32_MAX, type MicroUsdc, type TimestampMs, U48_MAX } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import { FORCED_CLOSE_FEE_MAX, FORCED_CLOSE_LIFETIME_MS } from "../limits.ts";
import { isHealthy, marginOfCell } from "../margin.ts";
import { positionSize } from "../positions.ts";
import { InboundOutcomeCode } from "../rejections.ts";
import { orderHash } from "../signing.ts";
import { type InboundEntry, type Order, OrderFlag } from "../types.ts";
import { isAuctionRunning } from "./auctionTerms.ts";
import { isTradable } from "./entry.ts";
import { isSlotTaken } from "./outbound.ts";
import type { CycleContext } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

type EntryOf<Type extends InboundEntry["type"]> = Extract<InboundEntry, { type: Type }>;

/** The order that a forced close puts into its owner's ring; only the schedule bounds its fee. */
export function forcedCloseOrder(entry: EntryOf<"forcedClose">, domain: number, timeMs: TimestampMs): Order {
  const { account, instrument, size, limitPrice, nonce } = entry;
  return {
    domain,
    account,
    legs: [{ instrument, ratio: 1 }],
    size,
    limitPrice,
    maxFeePerLot: FORCED_CLOSE_FEE_MAX as MicroUsdc,
    nonce,
    startMs: timeMs,
    // Times of orders are u48.
    expiryMs: Math.min(timeMs + FORCED_CLOSE_LIFETIME_MS, U48_MAX) as TimestampMs,
    flags: OrderFlag.reduceOnly,
  };
}

export function forcedClose(
  draft: Draft,
  entry: EntryOf<"forcedClose">,
  timeMs: TimestampMs,
  context: CycleContext,
): InboundOutcomeCode {
  const { account, nonce, size } = entry;
  const cell = draft.account(account);
  if (cell === undefined || !isTradingAccount(account)) return InboundOutcomeCode.UNKNOWN_ACCOUNT;
  const instrument = draft.instrument(entry.instrument);
  // No order carries the lowest int32 as its price.
  if (instrument === undefined || !isTradable(instrument, timeMs) || entry.limitPrice < -INT32_MAX) {
    return InboundOutcomeCode.NOT_TRADABLE;
  }
  const held = positionSize(cell.positions, entry.instrument);
  const reduces = size !== 0 && held !== 0 && size > 0 !== held > 0 && Math.abs(size) <= Math.abs(held);
  if (!reduces) return InboundOutcomeCode.NOT_REDUCING;
  if (nonce < cell.minNonce || isSlotTaken(draft.ringSlot(account, nonce), nonce, timeMs)) {
    return InboundOutcomeCode.NONCE_UNUSABLE;
  }
  const { domain, receiptPeriodMs } = context.parameters;
  draft.putRingSlot(account, {
    nonce,
    orderHash: bytesToHex(orderHash(forcedCloseOrder(entry, domain, timeMs), context.separator)),
    filledLots: 0,
    filledCash: 0 as MicroUsdc,
    receiptDeadlineMs: (timeMs + receiptPeriodMs) as TimestampMs,
  });
  return InboundOutcomeCode.DONE;
}

/** Starts the account's auction; one that is healthy ends a running one, so that the next begins at the marks. */
export function forcedLiquidation(
  draft: Draft,
  entry: EntryOf<"forcedLiquidation">,
  timeMs: TimestampMs,
  context: CycleContext,
): InboundOutcomeCode {
  const { account } = entry;
  const cell = draft.account(account);
  if (cell === undefined || !isTradingAccount(account)) return InboundOutcomeCode.UNKNOWN_ACCOUNT;
  if (cell.positions.length === 0) return InboundOutcomeCode.NO_POSITIONS;
  const margin = marginOfCell(context.view, cell, timeMs);
  if (!margin.marksUsable) return InboundOutcomeCode.MARKS_UNUSABLE;
  if (isHealthy(margin, cell.credit)) {
    if (cell.auctionMs !== 0) draft.editAccount(account).auctionMs = 0 as TimestampMs;
    return InboundOutcomeCode.HEALTHY;
  }
  const { auctionDurationMs } = context.parameters.risk;
  if (isAuctionRunning(cell.auctionMs, timeMs, auctionDurationMs)) return InboundOutcomeCode.AUCTION_RUNNING;
  draft.editAccount(account).auctionMs = timeMs;
  return InboundOutcomeCode.DONE;
}
