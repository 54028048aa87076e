// The reference's inbound rules.
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import { encodeInboundEntry, inboundHashNext } from "../codec/inbound.ts";
import { orderHash } from "../signing.ts";
import type { InboundCycle, InboundEntry, Order } from "../types.ts";
import {
  exact,
  newAccount,
  type ReferenceAccountCell,
  type ReferenceInstrument,
  type ReferenceState,
} from "./cells.ts";
import { type Fault, fault, fits, type ReferenceContext } from "./fault.ts";
import { present, referenceMargin, sizeOf, smallestOf } from "./margin.ts";
import { tradable } from "./trade.ts";

/** What came in and did not go out covers it. */
export function vaultHolds(state: ReferenceState, amount: bigint): boolean {
  return state.globals.outboxTotal + amount <= state.globals.inboundTotal;
}

/** False when the outbox is full. */
function toOutbox(context: ReferenceContext, account: bigint, amount: bigint, recipient: `0x${string}`): boolean {
  const { globals, outbox } = context.state;
  if (globals.outboxCount >= 2n ** 32n - 1n) return false;
  const destinationChain = BigInt(context.parameters.chainId);
  outbox.set(globals.outboxCount, { account, asset: 0n, amount, destinationChain, recipient });
  globals.outboxCount += 1n;
  globals.outboxTotal += amount;
  return true;
}

function listed(context: ReferenceContext, underlying: bigint, kind: bigint, expiryMs: bigint, strike: bigint): bigint {
  const { state, parameters } = context;
  const { kinds } = present(parameters.underlyings[Number(underlying)]);
  const size = exact(kind === 1n ? kinds.perpetual : kind === 2n ? kinds.future : kinds.option);
  const cell: ReferenceInstrument = {
    kind,
    underlying,
    status: 1n,
    expiryMs,
    strike,
    lotNanoCoin: size.lotNanoCoin,
    tickMicroUsd: size.tickMicroUsd,
    tickValueMicroUsdc: (size.lotNanoCoin * size.tickMicroUsd) / 10n ** 9n,
    fundingIndex: 0n,
    settlementPerLot: 0n,
    clearingPosition: 0n,
    clearingCash: 0n,
    rowEpoch: 0n,
    rowTimeMs: 0n,
    row: new Array<bigint>(40).fill(0n),
    shortAddOn: 0n,
    longAddOn: 0n,
    concentrationAddOn: 0n,
    feePerLot: 0n,
  };
  const number = state.globals.instrumentCount;
  state.instruments.set(number, cell);
  state.globals.instrumentCount += 1n;
  return number;
}

function listSeries(
  context: ReferenceContext,
  entry: Extract<InboundEntry, { type: "listSeries" }>,
  timeMs: bigint,
): number {
  const { state } = context;
  const { underlying, expiryMs, strikes } = exact(entry);
  const cell = state.underlyings.get(underlying);
  if (cell === undefined) return 959;
  if (expiryMs !== 0n && expiryMs <= timeMs) return 960;
  const increasing = strikes.every((strike, i) => strike > (strikes[i - 1] ?? 0n) && strike < 2n ** 50n);
  if (expiryMs === 0n ? strikes.length !== 0 : !increasing || strikes.length > 120) return 961;
  if (expiryMs === 0n && cell.hasPerpetual) return 962;
  if (state.globals.instrumentCount + 1n + 2n * BigInt(strikes.length) > 2n ** 20n) return 963;
  if (expiryMs === 0n) {
    cell.perpetual = listed(context, underlying, 1n, 0n, 0n);
    cell.hasPerpetual = true;
    return 0;
  }
  listed(context, underlying, 2n, expiryMs, 0n);
  for (const strike of strikes) for (const kind of [3n, 4n]) listed(context, underlying, kind, expiryMs, strike);
  return 0;
}

function withoutCredit(cell: ReferenceAccountCell): void {
  cell.credit = 0n;
  cell.creditIndex = 0n;
}

function forcedClose(
  context: ReferenceContext,
  cell: ReferenceAccountCell,
  entry: Extract<InboundEntry, { type: "forcedClose" }>,
  timeMs: bigint,
): number {
  const { state, parameters } = context;
  const asked = exact(entry);
  const instrument = state.instruments.get(asked.instrument);
  if (instrument === undefined || !tradable(instrument, timeMs) || asked.limitPrice === -(2n ** 31n)) return 967;
  const held = cell.positions.find((position) => position.instrument === asked.instrument)?.size ?? 0n;
  if (asked.size * held >= 0n || sizeOf(asked.size) > sizeOf(held)) return 966;
  const ring = state.rings.get(asked.account) ?? new Map();
  const slot = ring.get(asked.nonce % 65536n);
  if (asked.nonce < cell.minNonce) return 968;
  if (slot !== undefined && (slot.nonce >= asked.nonce || slot.receiptDeadlineMs >= timeMs)) return 968;
  const expiryMs = smallestOf(timeMs + 86_400_000n, 2n ** 48n - 1n);
  const order: Order = {
    domain: Number(state.globals.domain),
    account: entry.account,
    legs: [{ instrument: entry.instrument, ratio: 1 }],
    size: entry.size,
    limitPrice: entry.limitPrice,
    maxFeePerLot: Number(2n ** 40n - 1n) as Order["maxFeePerLot"],
    nonce: entry.nonce,
    startMs: Number(timeMs) as Order["startMs"],
    expiryMs: Number(expiryMs) as Order["startMs"],
    flags: 1,
  };
  ring.set(asked.nonce % 65536n, {
    nonce: asked.nonce,
    orderHash: bytesToHex(orderHash(order, context.separator)),
    filledLots: 0n,
    filledCash: 0n,
    receiptDeadlineMs: timeMs + BigInt(parameters.receiptPeriodMs),
  });
  state.rings.set(asked.account, ring);
  return 0;
}

/** Outcome, or −1 when the entry cannot be recorded. */
function outcomeOf(context: ReferenceContext, entry: InboundEntry, timeMs: bigint): number {
  const { state, parameters } = context;
  if (entry.type === "listSeries") return listSeries(context, entry, timeMs);
  if (entry.type === "adminChange") {
    state.globals.adminHash = bytesToHex(keccak256(hexToBytes(entry.change)));
    state.globals.adminMs = timeMs + BigInt(parameters.adminDelayMs);
    return 0;
  }
  const account = BigInt(entry.account);
  const cell = state.accounts.get(account);
  if (entry.type === "openAccount") {
    if (cell !== undefined) return 950;
    state.accounts.set(account, newAccount(state.globals.domain, entry.owner));
    return 0;
  }
  if (entry.type === "deposit") {
    const amount = BigInt(entry.amount);
    if (!fits(state.globals.inboundTotal + amount)) return -1;
    state.globals.inboundTotal += amount;
    if (cell !== undefined && cell.credit > 0n && cell.creditIndex === state.globals.inboundCursor) withoutCredit(cell);
    if (cell !== undefined && fits(cell.cash + amount)) {
      cell.cash += amount;
      return 0;
    }
    return toOutbox(context, account, amount, entry.payer) ? 952 : -1;
  }
  if (cell === undefined || account < 2n) return 951;
  switch (entry.type) {
    case "keyGrant": {
      const granted = { key: entry.key, scopes: BigInt(entry.scopes), expiryMs: BigInt(entry.expiryMs) };
      const isKnown = cell.delegates.some((one) => one.key === entry.key);
      if (!isKnown && cell.delegates.length === 8) return 953;
      cell.delegates = isKnown
        ? cell.delegates.map((one) => (one.key === entry.key ? granted : one))
        : [...cell.delegates, granted];
      return 0;
    }
    case "keyRevoke": {
      const isKnown = cell.delegates.some((one) => one.key === entry.key);
      if (BigInt(entry.minNonce) > cell.minNonce) cell.minNonce = BigInt(entry.minNonce);
      cell.delegates = cell.delegates.filter((one) => one.key !== entry.key);
      return isKnown ? 0 : 954;
    }
    case "cancelAll":
      if (BigInt(entry.minNonce) > cell.minNonce) cell.minNonce = BigInt(entry.minNonce);
      return 0;
    case "forcedClose":
      return forcedClose(context, cell, entry, timeMs);
    case "forcedLiquidation": {
      if (cell.positions.length === 0) return 971;
      const margin = referenceMargin(state, cell, timeMs, parameters);
      if (!margin.usable) return 956;
      const isHealthy = margin.equity + cell.credit >= margin.maintenance;
      const isOver = cell.auctionMs === 0n || timeMs >= cell.auctionMs + 2n * BigInt(parameters.risk.auctionDurationMs);
      if (!isHealthy && !isOver) return 970;
      cell.auctionMs = isHealthy ? 0n : timeMs;
      return isHealthy ? 969 : 0;
    }
    default: {
      withoutCredit(cell);
      if (state.globals.badDebt > present(state.accounts.get(1n)).cash) return 964;
      const margin = referenceMargin(state, cell, timeMs, parameters);
      if (!margin.usable) return 956;
      const amount = smallestOf(BigInt(entry.amount), margin.withdrawable);
      if (amount === 0n) return 955;
      if (!vaultHolds(state, amount)) return 964;
      cell.cash -= amount;
      return toOutbox(context, account, amount, entry.recipient) ? 0 : -1;
    }
  }
}

export function referenceInbound(context: ReferenceContext, cycle: InboundCycle): Fault | null {
  const { globals } = context.state;
  if (cycle.entries.length === 0) return fault(900);
  for (const entry of cycle.entries) {
    const outcome = outcomeOf(context, entry, BigInt(cycle.timeMs));
    if (outcome < 0) return fault(103);
    context.outcomes.push(outcome);
    globals.inboundCursor += 1n;
    globals.inboundHash = inboundHashNext(globals.inboundHash, encodeInboundEntry(entry));
  }
  return null;
}
