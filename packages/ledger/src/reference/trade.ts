// The reference's trade and liquidation rules, with the codes of docs/spec/ledger.md as numbers.
import { bytesToHex, hexToBytes } from "@tidemark/num";
import { orderHash } from "../signing.ts";
import type { CompactSignature, LiquidationCycle, TradeAccount, TradeEntry } from "../types.ts";
import { deepCopy, exact, type ReferenceAccountCell, type ReferenceInstrument } from "./cells.ts";
import { type Fault, fault, fits, type ReferenceContext } from "./fault.ts";
import {
  areMarksUsable,
  ceilOf,
  floorOf,
  largestOf,
  pendingOf,
  present,
  type ReferenceMargin,
  referenceMargin,
  sizeOf,
  smallestOf,
} from "./margin.ts";

const THIRTY_DAYS_MS = 30n * 24n * 3600n * 1000n;
const INT32 = 2n ** 31n - 1n;
const E18 = 10n ** 18n;

export function signerOf(context: ReferenceContext, digest: Uint8Array, signature: CompactSignature): string | null {
  return context.signatures.recoverAddress(digest, hexToBytes(signature));
}

export function tradable(instrument: ReferenceInstrument, timeMs: bigint): boolean {
  return instrument.status === 1n && (instrument.kind === 1n || timeMs < instrument.expiryMs);
}

function entryCode(context: ReferenceContext, cell: ReferenceAccountCell, entry: TradeEntry, timeMs: bigint): number {
  const { state } = context;
  const { order, signature } = entry;
  const e = exact(entry);
  const legs = e.order.legs;
  const cells = legs.map((leg) => state.instruments.get(leg.instrument));
  const distinct = new Set(legs.map((leg) => leg.instrument));
  if (legs.length < 1 || legs.length > 4 || distinct.size !== legs.length) return 402;
  if (legs.some((leg) => leg.ratio === 0n)) return 402;
  const known = cells.flatMap((one) => (one === undefined ? [] : [one]));
  if (known.length !== legs.length) return 402;
  if (new Set(known.map((one) => `${one.underlying}/${one.tickValueMicroUsdc}`)).size !== 1) return 402;
  if (known.some((one) => !tradable(one, timeMs))) return 403;
  if (known.some((one) => present(state.underlyings.get(one.underlying)).epochOpen)) return 404;
  if (timeMs < e.order.startMs) return 405;
  if (timeMs >= e.order.expiryMs) return 406;
  if (e.order.expiryMs - e.order.startMs > THIRTY_DAYS_MS) return 407;
  if (e.order.nonce < cell.minNonce) return 408;

  const account = e.order.account;
  const digest = orderHash(order, context.separator);
  const hash = bytesToHex(digest);
  const ring = state.rings.get(account) ?? new Map();
  const slot = ring.get(e.order.nonce % 65536n);
  if (slot !== undefined) {
    if (slot.nonce > e.order.nonce) return 409;
    if (slot.nonce === e.order.nonce && slot.orderHash !== hash) return 409;
    if (slot.nonce < e.order.nonce && slot.receiptDeadlineMs >= timeMs) return 409;
  }
  const inRing = slot !== undefined && slot.nonce === e.order.nonce;
  if (signature === null) {
    if (!inRing) return 410;
  } else {
    const signer = signerOf(context, digest, signature);
    const byDelegate = cell.delegates.some(
      (one) => one.key === signer && one.scopes % 2n === 1n && one.expiryMs >= e.order.expiryMs,
    );
    if (signer !== cell.owner && !byDelegate) return 410;
  }
  const filledLots = (inRing ? slot.filledLots : 0n) + e.filledLots;
  if (e.order.size === 0n || e.filledLots === 0n || filledLots > sizeOf(e.order.size)) return 411;
  const side = e.order.size > 0n ? 1n : -1n;
  const tickValue = present(known[0]).tickValueMicroUsdc;
  if (e.cash + side * e.order.limitPrice * e.filledLots * tickValue < 0n) return 412;
  const schedule = legs.reduce((sum, leg, i) => sum + sizeOf(leg.ratio) * present(known[i]).feePerLot, 0n);
  if (e.fee > schedule * e.filledLots) return 413;
  const onlyLeg = legs.length === 1 ? present(known[0]) : undefined;
  if (onlyLeg !== undefined && (onlyLeg.kind === 3n || onlyLeg.kind === 4n)) {
    if (e.fee > floorOf(sizeOf(e.cash), BigInt(context.parameters.risk.optionFeePriceDivisor))) return 413;
  }
  if (e.fee > e.order.maxFeePerLot * e.filledLots) return 414;
  const filledCash = (inRing ? slot.filledCash : 0n) + e.cash;
  if (!fits(filledCash) || legs.some((leg) => sizeOf(leg.ratio) * e.filledLots > INT32)) return 415;
  const receiptDeadlineMs = timeMs + BigInt(context.parameters.receiptPeriodMs);
  ring.set(e.order.nonce % 65536n, {
    nonce: e.order.nonce,
    orderHash: hash,
    filledLots,
    filledCash,
    receiptDeadlineMs,
  });
  state.rings.set(account, ring);
  return 0;
}

function exposure(context: ReferenceContext, cell: ReferenceAccountCell): bigint {
  return cell.positions.reduce((sum, position) => {
    const { row } = present(context.state.instruments.get(position.instrument));
    return sum + sizeOf(position.size) * largestOf(...row);
  }, 0n);
}

/** Realises funding of the changed instruments, then changes sizes and cash. 0, 415 or 416. */
export function change(
  context: ReferenceContext,
  cell: ReferenceAccountCell,
  lots: ReadonlyMap<bigint, bigint>,
  cash: bigint,
): number {
  const exposureBefore = exposure(context, cell);
  for (const [number, delta] of lots) {
    const instrument = present(context.state.instruments.get(number));
    const held = cell.positions.find((position) => position.instrument === number);
    const funding = held === undefined ? 0n : pendingOf(instrument, held.size, held.fundingIndex);
    cash += funding;
    instrument.clearingCash -= funding;
    const size = (held?.size ?? 0n) + delta;
    if (!fits(instrument.clearingCash) || sizeOf(size) > INT32) return 415;
    cell.positions = cell.positions.filter((position) => position.instrument !== number);
    if (size !== 0n) cell.positions.push({ instrument: number, size, fundingIndex: instrument.fundingIndex });
  }
  cell.positions.sort((a, b) => (a.instrument < b.instrument ? -1 : 1));
  cell.cash += cash;
  if (!fits(cell.cash)) return 415;
  const exposureAfter = exposure(context, cell);
  if (exposureAfter >= 2n ** 52n && exposureAfter > exposureBefore) return 415;
  return cell.positions.length > 128 ? 416 : 0;
}

function reduceOnlyHolds(start: ReferenceAccountCell, trade: TradeAccount): boolean {
  const fills = trade.entries.flatMap((entry) =>
    entry.order.legs.map((leg) => ({
      instrument: BigInt(leg.instrument),
      lots: BigInt(Math.sign(entry.order.size)) * BigInt(leg.ratio) * BigInt(entry.filledLots),
      reduceOnly: entry.order.flags === 1,
    })),
  );
  return fills.every((promised) => {
    if (!promised.reduceOnly) return true;
    const held = start.positions.find((position) => position.instrument === promised.instrument)?.size ?? 0n;
    const inInstrument = fills.filter((fill) => fill.instrument === promised.instrument);
    const total = inInstrument.reduce((sum, fill) => sum + fill.lots, 0n);
    return inInstrument.every((fill) => fill.lots * held < 0n) && sizeOf(total) <= sizeOf(held);
  });
}

export function marginRule(before: ReferenceMargin, after: ReferenceMargin, credit: bigint): boolean {
  const creditCoversNoLoss = after.equity >= -credit || after.equity >= before.equity;
  const covered = after.equity + credit >= after.initial;
  const improving =
    after.initial < before.initial &&
    after.equity - after.initial >= before.equity - before.initial &&
    after.equity >= smallestOf(before.equity, 0n) &&
    (before.equity <= 0n || after.equity * before.initial >= before.equity * after.initial);
  return creditCoversNoLoss && (covered || improving);
}

interface Sums {
  lots: Map<bigint, bigint>;
  cash: bigint;
  fees: bigint;
}

function addTo(sums: Map<bigint, bigint>, key: bigint, value: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + value);
}

function tradeAccount(context: ReferenceContext, trade: TradeAccount, timeMs: bigint, sums: Sums): Fault | null {
  const account = BigInt(trade.account);
  const cell = context.state.accounts.get(account);
  if (cell === undefined || account < 2n) return fault(400, trade.account);
  if (cell.positions.length !== trade.positionCount) return fault(401, trade.account);
  const start = deepCopy(cell);
  const lots = new Map<bigint, bigint>();
  let cash = 0n;
  for (const entry of trade.entries) {
    const code = entryCode(context, cell, entry, timeMs);
    if (code !== 0) return fault(code, trade.account);
    for (const leg of entry.order.legs) {
      const delta = BigInt(Math.sign(entry.order.size)) * BigInt(leg.ratio) * BigInt(entry.filledLots);
      addTo(lots, BigInt(leg.instrument), delta);
      addTo(sums.lots, BigInt(leg.instrument), delta);
    }
    cash += BigInt(entry.cash) - BigInt(entry.fee);
    sums.cash += BigInt(entry.cash);
    sums.fees += BigInt(entry.fee);
  }
  const code = change(context, cell, lots, cash);
  if (code !== 0) return fault(code, trade.account);
  return reduceOnlyHolds(start, trade) ? null : fault(417, trade.account);
}

export function referenceTrades(
  context: ReferenceContext,
  accounts: readonly TradeAccount[],
  timeMs: bigint,
  sums: Sums = { lots: new Map(), cash: 0n, fees: 0n },
): Fault | null {
  const { state, parameters } = context;
  const starts = deepCopy(state.accounts);
  for (const trade of accounts) {
    const found = tradeAccount(context, trade, timeMs, sums);
    if (found !== null) return found;
  }
  if ([...sums.lots.values()].some((total) => total !== 0n)) return fault(418);
  if (sums.cash !== 0n) return fault(419);
  const treasury = present(state.accounts.get(0n));
  treasury.cash += sums.fees;
  if (!fits(treasury.cash)) return fault(415, 0);
  for (const { account } of accounts) {
    const start = present(starts.get(BigInt(account)));
    const now = present(state.accounts.get(BigInt(account)));
    const usable = [start, now].every((cell) => areMarksUsable(state, cell, timeMs, parameters));
    if (!usable) return fault(420, account);
    const before = referenceMargin(state, start, timeMs, parameters);
    const after = referenceMargin(state, now, timeMs, parameters);
    if (!marginRule(before, after, now.credit)) return fault(421, account);
  }
  return null;
}

/** 505 … 508 over all legs, one code after the other. */
function legsCode(context: ReferenceContext, cell: ReferenceAccountCell, cycle: LiquidationCycle): number {
  const { state, parameters } = context;
  const { risk } = parameters;
  const legs = exact(cycle.legs);
  const heldOf = (number: bigint): bigint => cell.positions.find((one) => one.instrument === number)?.size ?? 0n;
  const reducing = legs.every((leg) => {
    const instrument = state.instruments.get(leg.instrument);
    const held = heldOf(leg.instrument);
    return (
      instrument !== undefined &&
      leg.size * held < 0n &&
      sizeOf(leg.size) <= sizeOf(held) &&
      tradable(instrument, BigInt(cycle.timeMs))
    );
  });
  if (!reducing || new Set(legs.map((leg) => leg.instrument)).size !== legs.length) return 505;
  const lotShare = (number: bigint, ppb: number): bigint => {
    const instrument = present(state.instruments.get(number));
    const { index } = present(state.underlyings.get(instrument.underlying));
    return ceilOf(index * instrument.lotNanoCoin * BigInt(ppb), E18);
  };
  for (const leg of legs) {
    const mark = present(present(state.instruments.get(leg.instrument)).row[0]);
    const bound = lotShare(leg.instrument, risk.liquidationBoundPpb);
    const worst = leg.size > 0n ? -leg.size * (mark + bound) : -leg.size * largestOf(0n, mark - bound);
    if (leg.cash < worst) return 506;
  }
  if (legs.some((leg) => leg.fee > sizeOf(leg.size) * lotShare(leg.instrument, risk.liquidationPenaltyPpb))) return 507;
  const lots = legs.reduce((sum, leg) => sum + sizeOf(leg.size), 0n);
  const slice = legs.reduce((sum, leg) => {
    const instrument = present(state.instruments.get(leg.instrument));
    const { index } = present(state.underlyings.get(instrument.underlying));
    return sum + sizeOf(leg.size) * floorOf(index * instrument.lotNanoCoin, 10n ** 9n);
  }, 0n);
  return slice > BigInt(risk.liquidationSliceMicroUsdc) && lots > 1n ? 508 : 0;
}

export function referenceLiquidation(context: ReferenceContext, cycle: LiquidationCycle): Fault | null {
  const { state, parameters } = context;
  const timeMs = BigInt(cycle.timeMs);
  const cell = state.accounts.get(BigInt(cycle.account));
  const no = (code: number): Fault => fault(code, cycle.account);
  if (cell === undefined || cycle.account < 2) return no(500);
  if (cell.positions.length !== cycle.positionCount) return no(501);
  const before = referenceMargin(state, cell, timeMs, parameters);
  if (!before.usable) return no(502);
  if (before.equity + cell.credit >= before.maintenance) return no(503);
  const reports = cell.positions.map((position) => {
    const { underlying } = present(state.instruments.get(position.instrument));
    return present(state.underlyings.get(underlying)).reportMs;
  });
  if (!reports.some((reportMs) => reportMs > cell.liquidationMs)) return no(504);
  const code = legsCode(context, cell, cycle);
  if (code !== 0) return no(code);

  // The target is judged on a copy of everything, with the last lot of the last leg left out.
  const legs = exact(cycle.legs);
  const last = present(legs[legs.length - 1]);
  const count = sizeOf(last.size);
  const trialLegs = [
    ...legs.slice(0, -1),
    {
      instrument: last.instrument,
      size: (last.size / count) * (count - 1n),
      cash: ceilOf(last.cash * (count - 1n), count),
      fee: floorOf(last.fee * (count - 1n), count),
    },
  ];
  const netCash = (some: typeof legs): bigint => some.reduce((sum, leg) => sum + leg.cash - leg.fee, 0n);
  const lotsOf = (some: typeof legs): Map<bigint, bigint> => new Map(some.map((leg) => [leg.instrument, leg.size]));
  const trial = { ...context, state: deepCopy(state) };
  const trialCell = present(trial.state.accounts.get(BigInt(cycle.account)));
  change(trial, trialCell, lotsOf(trialLegs), netCash(trialLegs));
  const short = referenceMargin(trial.state, trialCell, timeMs, parameters);

  if (change(context, cell, lotsOf(legs), netCash(legs)) !== 0) return no(415);
  cell.liquidationMs = timeMs;
  const insurance = present(state.accounts.get(1n));
  insurance.cash += legs.reduce((sum, leg) => sum + leg.fee, 0n);
  if (!fits(insurance.cash)) return fault(415, 1);
  const after = referenceMargin(state, cell, timeMs, parameters);
  if (after.equity - after.maintenance <= before.equity - before.maintenance) return no(509);
  if (short.equity + cell.credit >= short.initial) return no(510);
  if (cycle.counterparties.some(({ account }) => account === cycle.account)) return no(511);
  const cash = legs.reduce((sum, leg) => sum + leg.cash, 0n);
  return referenceTrades(context, cycle.counterparties, timeMs, { lots: lotsOf(legs), cash, fees: 0n });
}
