// May an order enter? Every check that the ledger will make when the order's fills settle, before anything happens, in the
// order of the table of codes. No check has an effect.
import {
  INSURANCE_ACCOUNT,
  InstrumentKind,
  ORDER_LIFETIME_MAX_MS,
  type Order,
  OrderFlag,
  POSITIONS_MAX,
  RING_SLOTS,
  Scope,
  TREASURY_ACCOUNT,
} from "@tidemark/ledger";
import { INT32_MAX } from "@tidemark/num";
import type { OrderRequest } from "./commands.ts";
import type { Core } from "./core.ts";
import {
  ACCOUNT,
  FLAG_REDUCE_ONLY,
  FLAGS,
  INSTRUMENT,
  NONE,
  ORDER_STRIDE_SHIFT,
  PRICE,
  REMAINING,
  SIDE,
} from "./orders.ts";
import { EngineCode } from "./rejections.ts";

const KNOWN_FLAGS = OrderFlag.reduceOnly;

export function isTradingAccount(core: Core, account: number): boolean {
  return account !== TREASURY_ACCOUNT && account !== INSURANCE_ACCOUNT && core.accounts.has(account);
}

function isTypeValid(request: OrderRequest): boolean {
  if ((request.order.flags & ~KNOWN_FLAGS) !== 0) return false;
  if (request.type === "market") return request.timeInForce === "ioc" && !request.postOnly;
  return !request.postOnly || request.timeInForce === "gtc";
}

/** Identity and shape, as far as nothing but cells is needed. `carried` = lots that replaced orders had filled. */
export function checkOrder(core: Core, request: OrderRequest, carried: number): number {
  const { order } = request;
  const { instruments, accounts, timeMs } = core;
  const leg = order.legs[0];
  if (leg === undefined || order.legs.length !== 1 || leg.ratio !== 1) return EngineCode.legsUnsupported;
  const instrument = leg.instrument;
  if (instrument >= instruments.count || instruments.kind[instrument] === InstrumentKind.spot)
    return EngineCode.unknownInstrument;
  if (!instruments.isTradable(instrument, timeMs)) return EngineCode.instrumentNotTradable;
  if (!isTypeValid(request)) return EngineCode.orderTypeInvalid;
  const lots = Math.abs(order.size);
  if (lots === 0 || lots > INT32_MAX || !Number.isInteger(order.size)) return EngineCode.sizeOutOfRange;
  if (lots <= carried) return EngineCode.amendBelowFilled;
  if (!(order.limitPrice >= 1 && order.limitPrice <= INT32_MAX) || !Number.isInteger(order.limitPrice))
    return EngineCode.priceOutOfRange;
  const { isOnTick } = core.config;
  if (isOnTick !== undefined && !isOnTick(instrument, order.limitPrice)) return EngineCode.priceNotOnTick;
  if (order.startMs > timeMs) return EngineCode.notStarted;
  if (order.expiryMs <= timeMs) return EngineCode.expired;
  if (order.expiryMs > order.startMs + ORDER_LIFETIME_MAX_MS) return EngineCode.lifetime;
  const nonceCode = checkNonce(core, order.account, order.nonce);
  if (nonceCode !== EngineCode.ok) return nonceCode;
  const fee = (request.postOnly ? instruments.makerFee[instrument] : instruments.takerFee[instrument]) as number;
  if (order.maxFeePerLot < fee) return EngineCode.feeAboveMaximum;
  if (
    !(
      timeMs <= (instruments.marksUntilMs[instrument] as number) &&
      timeMs <= (accounts.marksUntilMs[order.account] as number)
    )
  ) {
    return EngineCode.marksUnusable;
  }
  return EngineCode.ok;
}

/** Domain, account and authority; `untilMs` is how long a delegate's key must live. */
export function checkAuthority(core: Core, order: Order, signer: OrderRequest["signer"]): number {
  if (order.domain !== core.parameters.domain) return EngineCode.wrongDomain;
  if (!isTradingAccount(core, order.account)) return EngineCode.unknownAccount;
  if (core.accounts.owner[order.account] === signer) return EngineCode.ok;
  return core.accounts.isDelegate(order.account, signer, Scope.trade, order.expiryMs)
    ? EngineCode.ok
    : EngineCode.notAuthorised;
}

/** Orders and withdrawals share the nonces: increasing, and never into a slot whose last receipt may still be collected. */
export function checkNonce(core: Core, account: number, nonce: number): number {
  const { accounts, arena, netting, timeMs } = core;
  if (nonce < (accounts.minNonce[account] as number)) return EngineCode.belowMinNonce;
  if (nonce <= (accounts.lastNonce[account] as number)) return EngineCode.nonceNotIncreasing;
  // All that occupies a slot is an earlier nonce of the account: none shares the slot before the numbers come round.
  if (nonce < RING_SLOTS) return EngineCode.ok;
  if (arena.bySlot.get(account, nonce % RING_SLOTS) !== NONE || netting.holdsSlot(account, nonce))
    return EngineCode.nonceSlotBusy;
  const slot = core.ledger.ringSlot(account, nonce);
  if (slot !== undefined && (slot.nonce >= nonce || slot.receiptDeadlineMs >= timeMs)) return EngineCode.nonceSlotBusy;
  return EngineCode.ok;
}

/** What depends on book, position and money. `lots` = what may fill. Sets nothing. */
export function checkMeans(core: Core, request: OrderRequest, lots: number): number {
  const { order } = request;
  const { instruments, accounts, margin, books, arena } = core;
  const account = order.account;
  const instrument = (order.legs[0] as Order["legs"][0]).instrument;
  const side = order.size > 0 ? 1 : -1;
  const record = accounts.findPosition(account, instrument);
  if (record === NONE && (accounts.recordCount[account] as number) >= POSITIONS_MAX) return EngineCode.positionsFull;
  const reduceOnly = (order.flags & OrderFlag.reduceOnly) !== 0;
  const held = record === NONE ? 0 : core.sizeAt(record);
  if (reduceOnly && held * side >= 0) return EngineCode.reduceOnly;
  const best = books.best(instrument, -side);
  const bestPrice = best === NONE ? 0 : (arena.records[(best << ORDER_STRIDE_SHIFT) + PRICE] as number);
  if (request.postOnly && best !== NONE && side * order.limitPrice >= side * bestPrice)
    return EngineCode.postOnlyWouldCross;
  if (request.timeInForce === "fok") {
    if (reduceOnly && lots > Math.abs(held)) return EngineCode.fillOrKill;
    if (fillableLots(core, account, instrument, side, order.limitPrice, lots) < lots) return EngineCode.fillOrKill;
  }
  // A seller may be paid more than the limit, at most the best bid.
  const worstPrice = side > 0 || bestPrice < order.limitPrice ? order.limitPrice : bestPrice;
  const boundFee = instruments.takerFee[instrument] as number;
  if (!margin.isWithinBounds(account, instrument, side, worstPrice, lots, boundFee)) return EngineCode.bounds;
  return EngineCode.ok;
}

/** Is the whole order covered, each lot at worst filled at its limit? */
export function isOrderCovered(core: Core, order: Order, lots: number): boolean {
  const { instruments, accounts, margin } = core;
  const account = order.account;
  const instrument = (order.legs[0] as Order["legs"][0]).instrument;
  const side = order.size > 0 ? 1 : -1;
  const fee = instruments.takerFeeAt(instrument, order.limitPrice);
  const means = (accounts.equity[account] as number) + (accounts.credit[account] as number);
  if (means >= margin.initialWithOrderAtMost(account, instrument, side, order.limitPrice, lots, fee)) return true;
  const underlying = instruments.underlying[instrument] as number;
  return means >= margin.initialWithOrder(account, instrument, underlying, side, order.limitPrice, lots, fee);
}

/**
 * Lots that a fill-or-kill order may count on, up to `wanted`: stops at an order of the same owner; reduce-only orders and
 * orders of accounts without usable marks do not count.
 */
function fillableLots(
  core: Core,
  account: number,
  instrument: number,
  side: number,
  limit: number,
  wanted: number,
): number {
  const { arena, books, accounts, timeMs } = core;
  const owner = accounts.ownerId[account];
  let lots = 0;
  for (let at = books.best(instrument, -side); at !== NONE && lots < wanted; at = books.after(at)) {
    const base = at << ORDER_STRIDE_SHIFT;
    const { records } = arena;
    if (side * (records[base + PRICE] as number) > side * limit) break;
    const maker = records[base + ACCOUNT] as number;
    if (accounts.ownerId[maker] === owner) break;
    if (((records[base + FLAGS] as number) & FLAG_REDUCE_ONLY) !== 0) continue;
    if (timeMs > (accounts.marksUntilMs[maker] as number)) continue;
    lots += records[base + REMAINING] as number;
  }
  return lots;
}

/** First fill that an order not covered as a whole would get; whether it is allowed decides if the order may enter. */
export function isFirstFillAllowed(core: Core, order: Order, lots: number): boolean {
  const { arena, books, accounts, margin, instruments, timeMs } = core;
  const instrument = (order.legs[0] as Order["legs"][0]).instrument;
  const side = order.size > 0 ? 1 : -1;
  const best = books.best(instrument, -side);
  if (best === NONE) return false;
  const base = best << ORDER_STRIDE_SHIFT;
  const { records } = arena;
  const price = records[base + PRICE] as number;
  const maker = records[base + ACCOUNT] as number;
  if (side * price > side * order.limitPrice || accounts.ownerId[maker] === accounts.ownerId[order.account])
    return false;
  if (timeMs > (accounts.marksUntilMs[maker] as number)) return false;
  const makerReach = reducibleLots(core, best);
  let taken = Math.min(lots, records[base + REMAINING] as number, makerReach);
  if ((order.flags & OrderFlag.reduceOnly) !== 0)
    taken = Math.min(taken, Math.abs(accounts.sizeOf(order.account, instrument)));
  if (taken === 0) return false;
  const underlying = instruments.underlying[instrument] as number;
  return margin.isFillAllowed(
    order.account,
    instrument,
    underlying,
    side,
    price,
    taken,
    instruments.takerFeeAt(instrument, price),
  );
}

/** Lots that an order may fill now: all that are open, or for reduce-only what is left of the opposite position. */
export function reducibleLots(core: Core, at: number): number {
  const { records } = core.arena;
  const base = at << ORDER_STRIDE_SHIFT;
  const remaining = records[base + REMAINING] as number;
  if (((records[base + FLAGS] as number) & FLAG_REDUCE_ONLY) === 0) return remaining;
  const held = core.accounts.sizeOf(records[base + ACCOUNT] as number, records[base + INSTRUMENT] as number);
  if (held * (records[base + SIDE] as number) >= 0) return 0;
  return Math.min(remaining, Math.abs(held));
}
