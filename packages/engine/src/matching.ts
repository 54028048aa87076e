// place and amend: admission, then price-time matching, then what is left rests or is cancelled.
import { type Address, type CompactSignature, type Order, OrderFlag } from "@tidemark/ledger";
import { assert } from "@tidemark/num";
import {
  checkAuthority,
  checkMeans,
  checkOrder,
  isFirstFillAllowed,
  isOrderCovered,
  reducibleLots,
} from "./admission.ts";
import type { AmendCommand, OrderRequest, PlaceCommand } from "./commands.ts";
import type { Core } from "./core.ts";
import { CancelReason } from "./events.ts";
import {
  ACCOUNT,
  ENTRY,
  FLAG_IN_RING,
  FLAG_REDUCE_ONLY,
  FLAGS,
  INSTRUMENT,
  NONE,
  ORDER_STRIDE_SHIFT,
  POSITION,
  PRICE,
  REMAINING,
  SIDE,
} from "./orders.ts";
import { EngineCode } from "./rejections.ts";

/** What the command's result tells; reused. */
export interface OrderOutcome {
  orderId: number;
  filledLots: number;
  /** Lots resting afterwards. */
  openLots: number;
}

// Why matching stopped before the order was filled or the book exhausted.
const STOP_NONE = 0;

export function place(core: Core, command: PlaceCommand, outcome: OrderOutcome): number {
  const { order } = command;
  let code = checkAuthority(core, order, command.signer);
  if (code === EngineCode.ok) code = checkOrder(core, command, 0);
  if (code !== EngineCode.ok) return code;
  const lots = Math.abs(order.size);
  code = checkMeans(core, command, lots);
  if (code !== EngineCode.ok) return code;
  const covered = isOrderCovered(core, order, lots);
  if (!covered && !(command.timeInForce === "ioc" && isFirstFillAllowed(core, order, lots)))
    return EngineCode.marginInsufficient;
  const at = enter(core, command, lots);
  const orderId = core.arena.sequence[at] as number;
  core.sink.onAccepted(
    orderId,
    order.account,
    order.nonce,
    (order.legs[0] as Order["legs"][0]).instrument,
    order.limitPrice,
    order.size,
  );
  execute(core, command, at, covered, outcome);
  return EngineCode.ok;
}

const NO_SIGNATURE: CompactSignature = `0x${"00".repeat(64)}`;
const ignored: OrderOutcome = { orderId: 0, filledLots: 0, openLots: 0 };

/**
 * The order of a forced close: L1 authorised it and the ledger's ring holds it, so it is not signed. Everything else is as
 * for any order of its owner, but that the venue's tick grid does not bind it, and that what the account cannot cover
 * fills as far as it improves the account and does not rest. Whatever is refused stays in the ring and can be forced again.
 */
export function placeForced(core: Core, order: Order): number {
  const { accounts, instruments, timeMs } = core;
  const { account } = order;
  const instrument = (order.legs[0] as Order["legs"][0]).instrument;
  if (order.nonce < (accounts.minNonce[account] as number)) return EngineCode.belowMinNonce;
  if (order.limitPrice < 1) return EngineCode.priceOutOfRange;
  const marksMs = Math.min(instruments.marksUntilMs[instrument] as number, accounts.marksUntilMs[account] as number);
  if (timeMs > marksMs) return EngineCode.marksUnusable;
  const signer = accounts.owner[account] as Address;
  const request = {
    order,
    signature: NO_SIGNATURE,
    signer,
    type: "limit",
    timeInForce: "gtc",
    postOnly: false,
  } as const;
  const lots = Math.abs(order.size);
  const code = checkMeans(core, request, lots);
  if (code !== EngineCode.ok) return code;
  const covered = isOrderCovered(core, order, lots);
  const at = enter(core, request, lots);
  const base = at << ORDER_STRIDE_SHIFT;
  core.arena.records[base + FLAGS] = (core.arena.records[base + FLAGS] as number) | FLAG_IN_RING;
  const orderId = core.arena.sequence[at] as number;
  core.sink.onAccepted(orderId, account, order.nonce, instrument, order.limitPrice, order.size);
  execute(core, covered ? request : { ...request, timeInForce: "ioc" }, at, covered, ignored);
  return EngineCode.ok;
}

export function amend(core: Core, command: AmendCommand, outcome: OrderOutcome): number {
  const { order } = command;
  let code = checkAuthority(core, order, command.signer);
  if (code !== EngineCode.ok) return code;
  const old = core.arena.find(order.account, command.replaces);
  if (old === NONE) return EngineCode.unknownOrder;
  const { records } = core.arena;
  const base = old << ORDER_STRIDE_SHIFT;
  const side = records[base + SIDE] as number;
  if (order.legs[0]?.instrument !== records[base + INSTRUMENT] || order.size * side <= 0)
    return EngineCode.amendMismatch;
  const filled = filledOf(core, old);
  code = checkOrder(core, command, filled);
  if (code === EngineCode.ok && (command.type !== "limit" || command.timeInForce !== "gtc"))
    code = EngineCode.orderTypeInvalid;
  if (code !== EngineCode.ok) return code;
  const lots = Math.abs(order.size) - filled;
  // Judged as if the old order were gone; exact integers, so that taking it out and putting it back leaves no trace.
  core.removeOpenLots(old);
  code = checkMeans(core, command, lots);
  if (code === EngineCode.ok && !isOrderCovered(core, order, lots)) code = EngineCode.marginInsufficient;
  const open = records[base + REMAINING] as number;
  if (code !== EngineCode.ok) {
    core.margin.addOrder(records[base + POSITION] as number, side, records[base + PRICE] as number, open);
    return code;
  }
  if (order.limitPrice === records[base + PRICE] && lots <= open) amendInPlace(core, command, old, lots, outcome);
  else amendByReplacing(core, command, old, lots, outcome);
  return EngineCode.ok;
}

/** Lots filled of the order and of those that it replaced. */
function filledOf(core: Core, at: number): number {
  const base = at << ORDER_STRIDE_SHIFT;
  const { records } = core.arena;
  // An amended order's own size counts what was carried over, so size − open is all that was filled.
  return Math.abs((core.arena.order[at] as Order).size) - (records[base + REMAINING] as number);
}

/** Same price, no more lots: keeps its place and its id. The old order's open lots have left the margin. */
function amendInPlace(core: Core, command: AmendCommand, at: number, lots: number, outcome: OrderOutcome): void {
  const { order } = command;
  const { records } = core.arena;
  const base = at << ORDER_STRIDE_SHIFT;
  const entry = records[base + ENTRY] as number;
  if (entry !== NONE) core.netting.detach(entry);
  core.arena.replace(at, order, command.signature, command.signer);
  records[base + ENTRY] = NONE;
  records[base + FLAGS] = flagsOf(order);
  records[base + REMAINING] = lots;
  core.margin.addOrder(records[base + POSITION] as number, records[base + SIDE] as number, order.limitPrice, lots);
  core.accounts.lastNonce[order.account] = order.nonce;
  const orderId = core.arena.sequence[at] as number;
  core.sink.onAmended(orderId, order.account, order.nonce, command.replaces, order.limitPrice, lots);
  outcome.orderId = orderId;
  outcome.filledLots = 0;
  outcome.openLots = lots;
}

function amendByReplacing(core: Core, command: AmendCommand, old: number, lots: number, outcome: OrderOutcome): void {
  const { order } = command;
  core.unrest(old);
  const at = enter(core, command, lots);
  core.sink.onAmended(
    core.arena.sequence[at] as number,
    order.account,
    order.nonce,
    command.replaces,
    order.limitPrice,
    lots,
  );
  execute(core, command, at, true, outcome);
}

function flagsOf(order: Order): number {
  return (order.flags & OrderFlag.reduceOnly) !== 0 ? FLAG_REDUCE_ONLY : 0;
}

/** Accepts: a record in the arena, a nonce consumed; not yet on the book. */
function enter(core: Core, request: OrderRequest, lots: number): number {
  const { order } = request;
  const { arena, accounts } = core;
  const instrument = (order.legs[0] as Order["legs"][0]).instrument;
  const at = arena.allocate(order, request.signature, request.signer);
  const { records } = arena;
  const base = at << ORDER_STRIDE_SHIFT;
  records[base + INSTRUMENT] = instrument;
  records[base + FLAGS] = flagsOf(order);
  records[base + PRICE] = order.limitPrice;
  records[base + REMAINING] = lots;
  records[base + ACCOUNT] = order.account;
  records[base + POSITION] = accounts.position(order.account, instrument);
  records[base + ENTRY] = NONE;
  records[base + SIDE] = order.size > 0 ? 1 : -1;
  core.sequence += 1;
  arena.sequence[at] = core.sequence;
  // A forced close's may be below one that was used; its own is claimed already.
  if (order.nonce > (accounts.lastNonce[order.account] as number)) accounts.lastNonce[order.account] = order.nonce;
  return at;
}

function execute(core: Core, request: OrderRequest, at: number, covered: boolean, outcome: OrderOutcome): void {
  const { arena } = core;
  const base = at << ORDER_STRIDE_SHIFT;
  const orderId = arena.sequence[at] as number;
  const wanted = arena.records[base + REMAINING] as number;
  const stop = match(core, at, covered);
  const open = arena.records[base + REMAINING] as number;
  outcome.orderId = orderId;
  outcome.filledLots = wanted - open;
  outcome.openLots = 0;
  if (open === 0) {
    core.free(at);
    return;
  }
  if (stop === STOP_NONE && request.timeInForce === "gtc") {
    core.rest(at);
    outcome.openLots = open;
    return;
  }
  assert(request.timeInForce !== "fok", "a fill-or-kill order fills whole");
  const { order } = request;
  const instrument = arena.records[base + INSTRUMENT] as number;
  core.free(at);
  core.sink.onCancelled(
    orderId,
    order.account,
    order.nonce,
    instrument,
    open,
    stop === STOP_NONE ? CancelReason.immediateRemainder : stop,
  );
}

/** Fills against the book while prices cross; returns why it stopped early, as a cancel reason, or STOP_NONE. */
function match(core: Core, taker: number, covered: boolean): number {
  const { arena, books, accounts, timeMs } = core;
  const base = taker << ORDER_STRIDE_SHIFT;
  const instrument = arena.records[base + INSTRUMENT] as number;
  const side = arena.records[base + SIDE] as number;
  const limit = side * (arena.records[base + PRICE] as number);
  const account = arena.records[base + ACCOUNT] as number;
  const owner = accounts.ownerId[account];
  while ((arena.records[base + REMAINING] as number) > 0) {
    const maker = books.best(instrument, -side);
    if (maker === NONE) break;
    const makerBase = maker << ORDER_STRIDE_SHIFT;
    const price = arena.records[makerBase + PRICE] as number;
    if (side * price > limit) break;
    const makerAccount = arena.records[makerBase + ACCOUNT] as number;
    if (accounts.ownerId[makerAccount] === owner) return CancelReason.selfTrade;
    if (timeMs > (accounts.marksUntilMs[makerAccount] as number)) {
      core.cancel(maker, CancelReason.marksUnusable);
      continue;
    }
    const makerLots = reducibleLots(core, maker);
    if (makerLots === 0) {
      core.cancel(maker, CancelReason.reduceOnly);
      continue;
    }
    const takerLots = reducibleLots(core, taker);
    if (takerLots === 0) return CancelReason.reduceOnly;
    const lots = makerLots < takerLots ? makerLots : takerLots;
    const takerFee = core.instruments.takerFeeAt(instrument, price);
    if (!covered) {
      const underlying = core.instruments.underlying[instrument] as number;
      if (!core.margin.isFillAllowed(account, instrument, underlying, side, price, lots, takerFee))
        return CancelReason.margin;
    }
    trade(core, maker, taker, lots, price, lots * takerFee);
  }
  return STOP_NONE;
}

/** One fill: into the cycle, out of the maker's open lots, into both positions. */
function trade(core: Core, maker: number, taker: number, lots: number, price: number, takerFee: number): void {
  const { arena, netting, instruments, accounts, margin } = core;
  if (!netting.fits(arena, accounts, maker, taker, lots)) core.closeTradeCycle();
  const { records } = arena;
  const makerBase = maker << ORDER_STRIDE_SHIFT;
  const takerBase = taker << ORDER_STRIDE_SHIFT;
  const instrument = records[takerBase + INSTRUMENT] as number;
  const side = records[takerBase + SIDE] as number;
  const makerFee = lots * instruments.makerFeeAt(instrument, price);
  const cost = side * lots * price * (instruments.tickValue[instrument] as number);
  netting.begin(core.timeMs, instrument, instruments);
  netting.add(arena, accounts, maker, lots, cost, makerFee);
  netting.add(arena, accounts, taker, lots, -cost, takerFee);
  const makerPosition = records[makerBase + POSITION] as number;
  margin.addOrder(makerPosition, -side, price, -lots);
  margin.applyTrade(makerPosition, -side, lots, price, makerFee);
  margin.applyTrade(records[takerBase + POSITION] as number, side, lots, price, takerFee);
  const makerOpen = (records[makerBase + REMAINING] as number) - lots;
  records[makerBase + REMAINING] = makerOpen;
  records[takerBase + REMAINING] = (records[takerBase + REMAINING] as number) - lots;
  core.sink.onFill(
    records[makerBase + ACCOUNT] as number,
    (arena.order[maker] as Order).nonce,
    records[takerBase + ACCOUNT] as number,
    (arena.order[taker] as Order).nonce,
    instrument,
    price,
    lots,
    side,
    makerFee,
    takerFee,
    core.cycleIndex,
  );
  if (makerOpen === 0) core.unrest(maker);
}
