// The reference's auction rule.
import { bytesToHex } from "@tidemark/num";
import { bidHash } from "../signing.ts";
import type { AuctionCycle } from "../types.ts";
import { deepCopy, exact, type ReferenceAccountCell } from "./cells.ts";
import { type Fault, fault, fits, type ReferenceContext } from "./fault.ts";
import { areMarksUsable, floorOf, largestOf, present, referenceMargin, smallestOf } from "./margin.ts";
import { change, marginRule, signerOf, tradable } from "./trade.ts";

interface Terms {
  maintenance: bigint;
  initial: bigint;
  discount: bigint;
  fromAccount: bigint;
}

/** parts thousandths of every position, whole lots towards zero. */
function slice(cell: ReferenceAccountCell, parts: bigint): Map<bigint, bigint> {
  const lots = cell.positions.map(({ instrument, size }): [bigint, bigint] => [instrument, (size * parts) / 1000n]);
  return new Map(lots.filter(([, moved]) => moved !== 0n));
}

function termsOf(context: ReferenceContext, cell: ReferenceAccountCell, parts: bigint, timeMs: bigint): Terms {
  const { state, parameters } = context;
  const before = referenceMargin(state, cell, timeMs, parameters);
  const moved = slice(cell, parts);
  const left = deepCopy(cell);
  for (const position of left.positions) position.size -= moved.get(position.instrument) ?? 0n;
  left.positions = left.positions.filter(({ size }) => size !== 0n);
  const { maintenance, initial } = referenceMargin(state, left, timeMs, parameters);
  const duration = BigInt(parameters.risk.auctionDurationMs);
  const elapsed = smallestOf(timeMs - cell.auctionMs, duration);
  const released = largestOf(0n, before.maintenance - maintenance);
  const discount = floorOf(released * elapsed, duration);
  const share = discount === 0n ? 0n : largestOf(0n, floorOf(before.equity * released, before.maintenance));
  return { maintenance, initial, discount, fromAccount: smallestOf(discount, share) };
}

function referenceTake(
  context: ReferenceContext,
  cycle: Extract<AuctionCycle, { op: "take" }>,
  cell: ReferenceAccountCell,
): Fault | null {
  const { state, parameters } = context;
  const { bid, signature } = cycle.take;
  const take = exact(cycle.take);
  const timeMs = BigInt(cycle.timeMs);
  const parts = take.bid.parts;
  const atAccount = (code: number): Fault => fault(code, cycle.account);
  const atBidder = (code: number): Fault => fault(code, bid.account);
  const moved = slice(cell, parts);
  const declared = new Map(take.legs.map((leg) => [leg.instrument, leg.lots]));
  const isSame = moved.size === declared.size && [...moved].every(([number, lots]) => declared.get(number) === lots);
  if (!isSame) return atAccount(1308);
  for (const number of moved.keys()) {
    if (!tradable(present(state.instruments.get(number)), timeMs)) return atAccount(1309);
  }
  const bidder = state.accounts.get(take.bid.account);
  if (bidder === undefined || bid.account < 2 || bid.account === cycle.account) return atBidder(1310);
  const held = new Set(bidder.positions.map((position) => position.instrument));
  const newCount = [...moved.keys()].filter((number) => !held.has(number)).length;
  if (bidder.positions.length !== cycle.take.bidderPositionCount || newCount !== cycle.take.newCount) {
    return atBidder(1311);
  }
  if (timeMs >= take.bid.expiryMs) return atBidder(1312);
  if (take.bid.nonce < bidder.minNonce) return atBidder(1313);
  const ring = state.rings.get(take.bid.account) ?? new Map();
  const slot = ring.get(take.bid.nonce % 65536n);
  if (slot !== undefined && (slot.nonce >= take.bid.nonce || slot.receiptDeadlineMs >= timeMs)) return atBidder(1314);
  const digest = bidHash(bid, cycle.take.legs, context.separator);
  const signer = signerOf(context, digest, signature);
  const byDelegate = bidder.delegates.some(
    (one) => one.key === signer && one.scopes % 2n === 1n && one.expiryMs >= take.bid.expiryMs,
  );
  if (signer !== bidder.owner && !byDelegate) return atBidder(1315);

  let value = 0n;
  for (const [number, lots] of moved) value += lots * present(present(state.instruments.get(number)).row[0]);
  const payment = value - take.discount;
  if (payment > take.bid.paymentMax) return atBidder(1316);
  const insurance = present(state.accounts.get(1n));
  const fromInsurance = take.discount - take.fromAccount;
  if (fromInsurance > 0n && insurance.cash < fromInsurance) return fault(1317, 1);
  if (!fits(payment)) return atBidder(1318);
  const before = referenceMargin(state, cell, timeMs, parameters);
  const terms = termsOf(context, cell, parts, timeMs);
  const less = termsOf(context, cell, parts - 1n, timeMs);
  insurance.cash -= fromInsurance;
  const away = new Map([...moved].map(([number, lots]) => [number, -lots]));
  if (change(context, cell, away, value - take.fromAccount) !== 0) return atAccount(1318);
  if (parts < 1000n && terms.maintenance >= before.maintenance) return atAccount(1319);
  if (take.discount !== terms.discount || take.fromAccount !== terms.fromAccount) return atAccount(1320);
  if (parts > 1n && before.equity - less.fromAccount + cell.credit >= less.initial) return atAccount(1321);
  if (cell.positions.length === 0) cell.auctionMs = 0n;

  const start = deepCopy(bidder);
  const bidderBefore = referenceMargin(state, start, timeMs, parameters);
  const settled = change(context, bidder, moved, -payment);
  if (settled === 415) return atBidder(1318);
  if (settled === 416) return atBidder(1322);
  if (![start, bidder].every((one) => areMarksUsable(state, one, timeMs, parameters))) return atBidder(1323);
  const bidderAfter = referenceMargin(state, bidder, timeMs, parameters);
  if (!marginRule(bidderBefore, bidderAfter, bidder.credit)) return atBidder(1324);
  ring.set(take.bid.nonce % 65536n, {
    nonce: take.bid.nonce,
    orderHash: bytesToHex(digest),
    filledLots: 1n,
    filledCash: -payment,
    receiptDeadlineMs: timeMs + BigInt(parameters.receiptPeriodMs),
  });
  state.rings.set(take.bid.account, ring);
  return null;
}

export function referenceAuction(context: ReferenceContext, cycle: AuctionCycle): Fault | null {
  const { state, parameters } = context;
  const timeMs = BigInt(cycle.timeMs);
  const cell = state.accounts.get(BigInt(cycle.account));
  const no = (code: number): Fault => fault(code, cycle.account);
  if (cell === undefined || cycle.account < 2) return no(1300);
  if (cell.positions.length !== cycle.positionCount) return no(1301);
  const end = cell.auctionMs + 2n * BigInt(parameters.risk.auctionDurationMs);
  const isOpen = cell.auctionMs !== 0n && timeMs >= cell.auctionMs && timeMs < end;
  if (cycle.op !== "end" && cell.positions.length === 0) return no(1302);
  if (cycle.op === "end" ? cell.auctionMs === 0n : cycle.op === "take" && !isOpen) return no(1303);
  if (cycle.op === "start" && isOpen) return no(1304);
  const margin = referenceMargin(state, cell, timeMs, parameters);
  if (!margin.usable) return no(1305);
  const isHealthy = margin.equity + cell.credit >= margin.maintenance;
  if (cycle.op === "end" && !isHealthy) return no(1307);
  if (cycle.op !== "end" && isHealthy) return no(1306);
  if (cycle.op === "take") return referenceTake(context, cycle, cell);
  cell.auctionMs = cycle.op === "start" ? timeMs : 0n;
  return null;
}
