// inbound: consumes the L1 queue in order. No entry refuses the cycle for what it asks: each has an outcome, and money that
// cannot be credited goes back to its payer through the outbox. Accounts 0 and 1 only ever receive.
import {
  assertNever,
  bytesToHex,
  hexToBytes,
  type InstrumentNumber,
  keccak256,
  MICRO_USD_MAX,
  type MicroUsd,
  type MicroUsdc,
  type TimestampMs,
  type UnderlyingNumber,
} from "@tidemark/num";
import { encodeInboundEntry, inboundHashNext } from "../codec/inbound.ts";
import type { Draft } from "../draft.ts";
import { DELEGATES_MAX, INSTRUMENTS_MAX, ROW_LENGTH, SERIES_STRIKES_MAX } from "../limits.ts";
import { marginOfCell } from "../margin.ts";
import { type ContractSize, tickValueMicroUsdcOf } from "../parameters.ts";
import { addCash, isSafe } from "../positions.ts";
import { InboundOutcomeCode, RejectionCode } from "../rejections.ts";
import {
  type AccountCell,
  type CycleRejection,
  type InboundCycle,
  type InboundEntry,
  type InstrumentCell,
  InstrumentKind,
  InstrumentStatus,
  type OutboxCell,
} from "../types.ts";
import { clearCredit } from "./credit.ts";
import { forcedClose, forcedLiquidation } from "./forced.ts";
import { hasBadDebt, isInVault, OUTBOX_COUNT_MAX } from "./outbound.ts";
import { type CycleContext, reject } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

type EntryOf<Type extends InboundEntry["type"]> = Extract<InboundEntry, { type: Type }>;

/** Outcome code, or null where the venue cannot record the entry at all: its money would leave the totals' range. */
type Outcome = InboundOutcomeCode | null;

/** The account as an owner may change it: not there for the treasury and the insurance. */
function ownedAccount(draft: Draft, account: number): AccountCell | undefined {
  return draft.account(account) === undefined || !isTradingAccount(account) ? undefined : draft.editAccount(account);
}

function openAccount(draft: Draft, entry: EntryOf<"openAccount">): Outcome {
  if (draft.account(entry.account) !== undefined) return InboundOutcomeCode.ACCOUNT_EXISTS;
  draft.createAccount(entry.account, entry.owner);
  return InboundOutcomeCode.DONE;
}

function sendToOutbox(
  draft: Draft,
  context: CycleContext,
  payment: Pick<OutboxCell, "account" | "amount" | "recipient">,
): void {
  draft.appendOutbox({ ...payment, asset: 0, destinationChain: context.parameters.chainId });
}

function deposit(draft: Draft, entry: EntryOf<"deposit">, context: CycleContext): Outcome {
  const { globals } = draft;
  const start = draft.account(entry.account);
  // The money that the credit stood for is here, or back at its payer.
  if (start !== undefined && start.creditIndex === globals.inboundCursor) clearCredit(draft, entry.account);
  const inboundTotal = BigInt(globals.inboundTotal) + BigInt(entry.amount);
  if (!isSafe(inboundTotal)) return null;
  const cell = draft.account(entry.account);
  const isCredited = cell !== undefined && addCash(draft.editAccount(entry.account), BigInt(entry.amount));
  if (!isCredited && globals.outboxCount >= OUTBOX_COUNT_MAX) return null;
  globals.inboundTotal = Number(inboundTotal) as MicroUsdc;
  if (isCredited) return InboundOutcomeCode.DONE;
  sendToOutbox(draft, context, { account: entry.account, amount: entry.amount, recipient: entry.payer });
  return InboundOutcomeCode.PARKED;
}

function keyGrant(draft: Draft, entry: EntryOf<"keyGrant">): Outcome {
  const cell = ownedAccount(draft, entry.account);
  if (cell === undefined) return InboundOutcomeCode.UNKNOWN_ACCOUNT;
  const granted = { key: entry.key, scopes: entry.scopes, expiryMs: entry.expiryMs };
  const index = cell.delegates.findIndex((delegate) => delegate.key === entry.key);
  if (index >= 0) {
    cell.delegates[index] = granted;
    return InboundOutcomeCode.DONE;
  }
  if (cell.delegates.length >= DELEGATES_MAX) return InboundOutcomeCode.DELEGATES_FULL;
  cell.delegates.push(granted);
  return InboundOutcomeCode.DONE;
}

function raiseMinNonce(cell: AccountCell, minNonce: AccountCell["minNonce"]): void {
  if (minNonce > cell.minNonce) cell.minNonce = minNonce;
}

/** The nonces fall even when the key is unknown: who revokes wants what it signed to be dead. */
function keyRevoke(draft: Draft, entry: EntryOf<"keyRevoke">): Outcome {
  const cell = ownedAccount(draft, entry.account);
  if (cell === undefined) return InboundOutcomeCode.UNKNOWN_ACCOUNT;
  raiseMinNonce(cell, entry.minNonce);
  const index = cell.delegates.findIndex((delegate) => delegate.key === entry.key);
  if (index < 0) return InboundOutcomeCode.UNKNOWN_KEY;
  cell.delegates.splice(index, 1);
  return InboundOutcomeCode.DONE;
}

function cancelAll(draft: Draft, entry: EntryOf<"cancelAll">): Outcome {
  const cell = ownedAccount(draft, entry.account);
  if (cell === undefined) return InboundOutcomeCode.UNKNOWN_ACCOUNT;
  raiseMinNonce(cell, entry.minNonce);
  return InboundOutcomeCode.DONE;
}

/**
 * Checks in the order of outbound; pays what is withdrawable when more is asked. Credit is the sequencer's to grant: could
 * it refuse a forced withdrawal, nobody would get out against the sequencer's will, so it is revoked first.
 */
function forcedWithdrawal(
  draft: Draft,
  entry: EntryOf<"forcedWithdrawal">,
  timeMs: TimestampMs,
  context: CycleContext,
): Outcome {
  if (draft.account(entry.account) === undefined || !isTradingAccount(entry.account)) {
    return InboundOutcomeCode.UNKNOWN_ACCOUNT;
  }
  clearCredit(draft, entry.account);
  if (hasBadDebt(draft)) return InboundOutcomeCode.BAD_DEBT;
  const cell = draft.account(entry.account) as AccountCell;
  const margin = marginOfCell(context.view, cell, timeMs);
  if (!margin.marksUsable) return InboundOutcomeCode.MARKS_UNUSABLE;
  // Withdrawable is at most cash, so it is a safe integer.
  const amount = Math.min(entry.amount, Number(margin.withdrawable)) as MicroUsdc;
  if (amount <= 0) return InboundOutcomeCode.NOTHING_WITHDRAWABLE;
  if (!isInVault(draft, amount)) return InboundOutcomeCode.BAD_DEBT;
  if (draft.globals.outboxCount >= OUTBOX_COUNT_MAX) return null;
  addCash(draft.editAccount(entry.account), -BigInt(amount));
  sendToOutbox(draft, context, { account: entry.account, amount, recipient: entry.recipient });
  return InboundOutcomeCode.DONE;
}

function listedCell(
  kind: InstrumentKind,
  underlying: UnderlyingNumber,
  size: Readonly<ContractSize>,
  expiryMs: TimestampMs,
  strike: MicroUsd,
): InstrumentCell {
  return {
    kind,
    underlying,
    status: InstrumentStatus.listed,
    expiryMs,
    strike,
    lotNanoCoin: size.lotNanoCoin,
    tickMicroUsd: size.tickMicroUsd,
    tickValueMicroUsdc: tickValueMicroUsdcOf(size),
    fundingIndex: 0,
    settlementPerLot: 0 as MicroUsdc,
    clearingPosition: 0,
    clearingCash: 0 as MicroUsdc,
    rowEpoch: 0,
    rowTimeMs: 0 as TimestampMs,
    row: new Array<number>(ROW_LENGTH).fill(0),
    shortAddOn: 0,
    longAddOn: 0,
    concentrationAddOn: 0,
    feePerLot: 0,
  };
}

function areStrikesValid(strikes: readonly MicroUsd[]): boolean {
  let previous = 0;
  for (const strike of strikes) {
    if (strike <= previous || strike > MICRO_USD_MAX) return false;
    previous = strike;
  }
  return strikes.length <= SERIES_STRIKES_MAX;
}

const NO_STRIKE = 0 as MicroUsd;

/** Expiry 0 lists the perpetual; else the future first, then a call and a put a strike. */
function listSeries(draft: Draft, entry: EntryOf<"listSeries">, timeMs: TimestampMs, context: CycleContext): Outcome {
  const { underlying: number, expiryMs, strikes } = entry;
  const kinds = context.parameters.underlyings[number]?.kinds;
  const underlying = draft.underlying(number);
  if (underlying === undefined || kinds === undefined) return InboundOutcomeCode.UNKNOWN_UNDERLYING;
  const isPerpetual = expiryMs === 0;
  if (!isPerpetual && expiryMs <= timeMs) return InboundOutcomeCode.EXPIRY_NOT_AHEAD;
  if (isPerpetual ? strikes.length > 0 : !areStrikesValid(strikes)) return InboundOutcomeCode.STRIKES_INVALID;
  if (isPerpetual && underlying.hasPerpetual) return InboundOutcomeCode.PERPETUAL_EXISTS;
  if (draft.globals.instrumentCount + 1 + 2 * strikes.length > INSTRUMENTS_MAX) {
    return InboundOutcomeCode.INSTRUMENTS_FULL;
  }
  const list = (kind: InstrumentKind, size: Readonly<ContractSize>, strike: MicroUsd): InstrumentNumber =>
    draft.createInstrument(listedCell(kind, number, size, expiryMs, strike));
  if (isPerpetual) {
    const perpetual = list(InstrumentKind.perpetual, kinds.perpetual, NO_STRIKE);
    const cell = draft.editUnderlying(number);
    cell.perpetual = perpetual;
    cell.hasPerpetual = true;
    return InboundOutcomeCode.DONE;
  }
  list(InstrumentKind.future, kinds.future, NO_STRIKE);
  for (const strike of strikes) {
    list(InstrumentKind.call, kinds.option, strike);
    list(InstrumentKind.put, kinds.option, strike);
  }
  return InboundOutcomeCode.DONE;
}

/** A later change replaces one that still waits. */
function adminChange(draft: Draft, entry: EntryOf<"adminChange">, timeMs: TimestampMs, context: CycleContext): Outcome {
  const { globals } = draft;
  globals.adminHash = bytesToHex(keccak256(hexToBytes(entry.change)));
  globals.adminMs = (timeMs + context.parameters.adminDelayMs) as TimestampMs;
  return InboundOutcomeCode.DONE;
}

function outcomeOf(draft: Draft, entry: InboundEntry, timeMs: TimestampMs, context: CycleContext): Outcome {
  switch (entry.type) {
    case "openAccount":
      return openAccount(draft, entry);
    case "deposit":
      return deposit(draft, entry, context);
    case "keyGrant":
      return keyGrant(draft, entry);
    case "keyRevoke":
      return keyRevoke(draft, entry);
    case "cancelAll":
      return cancelAll(draft, entry);
    case "forcedWithdrawal":
      return forcedWithdrawal(draft, entry, timeMs, context);
    case "forcedClose":
      return forcedClose(draft, entry, timeMs, context);
    case "forcedLiquidation":
      return forcedLiquidation(draft, entry, timeMs, context);
    case "listSeries":
      return listSeries(draft, entry, timeMs, context);
    case "adminChange":
      return adminChange(draft, entry, timeMs, context);
    default:
      return assertNever(entry, "inbound entry");
  }
}

export function validateAndApply(draft: Draft, cycle: InboundCycle, context: CycleContext): CycleRejection | null {
  const { globals } = draft;
  if (cycle.entries.length === 0) return reject(RejectionCode.INBOUND_QUEUE_ORDER);
  for (const [place, entry] of cycle.entries.entries()) {
    const code = outcomeOf(draft, entry, cycle.timeMs, context);
    if (code === null) return reject(RejectionCode.LIMIT_EXCEEDED, { place });
    context.outcomes.push({ code });
    globals.inboundCursor += 1;
    globals.inboundHash = inboundHashNext(globals.inboundHash, encodeInboundEntry(entry));
  }
  return null;
}
