// settle: an expiry's signed settlement price. Orders go, instruments become constants, every holder is realised.
import {
  EXPIRY_INSTRUMENTS_MAX,
  type ExpiryCycle,
  InstrumentKind,
  REALISATIONS_PER_CYCLE_MAX,
  RejectionCode,
} from "@tidemark/ledger";
import type { AccountNumber, InstrumentNumber, TimestampMs } from "@tidemark/num";
import type { SettleCommand } from "./commands.ts";
import type { Core } from "./core.ts";
import { CancelReason } from "./events.ts";
import { NONE } from "./orders.ts";
import { EngineCode } from "./rejections.ts";

export function settleExpiry(core: Core, command: SettleCommand): number {
  const { underlying, expiryMs } = command;
  core.closeTradeCycle();
  const instruments = listedOf(core, underlying, expiryMs);
  if (instruments.length === 0) return RejectionCode.EXPIRY_WRONG_INSTRUMENT;
  const first = core.trySettle(
    settlementCycle(command, instruments.slice(0, EXPIRY_INSTRUMENTS_MAX)),
    0,
    Math.min(instruments.length, EXPIRY_INSTRUMENTS_MAX),
  );
  if (!first.ok) return first.rejection.code;
  const settled = instruments.splice(0, EXPIRY_INSTRUMENTS_MAX);
  while (instruments.length > 0) {
    const next = instruments.splice(0, EXPIRY_INSTRUMENTS_MAX);
    core.settle(settlementCycle(command, next), 0, next.length);
    settled.push(...next);
  }
  const affected = new Set<number>();
  for (const instrument of settled) {
    cancelOrdersOn(core, instrument, CancelReason.instrumentExpired);
    core.loadInstrument(instrument);
  }
  const realisations = holdersOf(core, new Set(settled));
  for (const { account } of realisations) affected.add(account);
  realise(core, command, realisations);
  for (const account of affected) core.loadAccount(account);
  for (const account of affected) {
    core.cancelUncovered(account);
    const cash = core.accounts.cash[account] as number;
    if (core.accounts.heldCount[account] === 0 && cash < 0) core.sink.onBadDebt(account, -cash);
  }
  core.sink.onExpiry(underlying, expiryMs, command.settlementPrice, settled.length, realisations.length);
  return EngineCode.ok;
}

interface Realisation {
  account: AccountNumber;
  positionCount: number;
  instruments: InstrumentNumber[];
}

function listedOf(core: Core, underlying: number, expiryMs: number): InstrumentNumber[] {
  const { instruments } = core;
  const listed: InstrumentNumber[] = [];
  for (let number = 0; number < instruments.count; number++) {
    const isDated = (instruments.kind[number] as number) >= InstrumentKind.future;
    if (
      isDated &&
      instruments.listed[number] === 1 &&
      instruments.underlying[number] === underlying &&
      instruments.expiryMs[number] === expiryMs
    ) {
      listed.push(number as InstrumentNumber);
    }
  }
  return listed;
}

function settlementCycle(command: SettleCommand, instruments: InstrumentNumber[]): ExpiryCycle {
  const { timeMs, underlying, expiryMs, settlementPrice, signatures } = command;
  return { kind: "expiry", timeMs, underlying, expiryMs, settlementPrice, signatures, instruments, realisations: [] };
}

/** Ascending by account. */
function holdersOf(core: Core, settled: ReadonlySet<number>): Realisation[] {
  const holders: Realisation[] = [];
  for (let account = 0; account < core.accounts.length; account++) {
    if (!core.accounts.has(account)) continue;
    const held = core.accounts.heldInstruments(account).filter((instrument) => settled.has(instrument));
    if (held.length === 0) continue;
    holders.push({
      account: account as AccountNumber,
      positionCount: core.accounts.heldCount[account] as number,
      instruments: held as InstrumentNumber[],
    });
  }
  return holders;
}

/** As many holders a cycle as limit and weight allow; one holder's positions may take several cycles. */
function realise(core: Core, command: SettleCommand, holders: readonly Realisation[]): void {
  const waiting = holders.map((holder) => ({ ...holder, instruments: holder.instruments.slice() }));
  while (waiting.length > 0) {
    const cycle: ExpiryCycle = { ...settlementCycle(command, []), timeMs: core.timeMs as TimestampMs };
    let deltas = 0;
    while (waiting.length > 0 && cycle.realisations.length < REALISATIONS_PER_CYCLE_MAX) {
      const holder = waiting[0] as Realisation;
      const part: Realisation = { ...holder, instruments: [] };
      cycle.realisations.push(part);
      for (const instrument of holder.instruments) {
        part.instruments.push(instrument);
        if (core.fitsWeight(cycle)) continue;
        part.instruments.pop();
        break;
      }
      deltas += part.instruments.length;
      if (part.instruments.length === 0) {
        cycle.realisations.pop();
        break;
      }
      holder.instruments.splice(0, part.instruments.length);
      holder.positionCount -= part.instruments.length;
      if (holder.instruments.length > 0) break;
      waiting.shift();
    }
    core.settle(cycle, 0, deltas);
  }
}

/** Cancels every order on an instrument, oldest first. */
export function cancelOrdersOn(core: Core, instrument: number, reason: CancelReason): void {
  const orders: number[] = [];
  for (const side of [1, -1]) {
    for (let at = core.books.best(instrument, side); at !== NONE; at = core.books.after(at)) orders.push(at);
  }
  orders.sort((a, b) => core.arena.sequenceOf(a) - core.arena.sequenceOf(b));
  for (const at of orders) core.cancel(at, reason);
}

/** Sweeps books of instruments whose expiry has come; finds the next one. */
export function sweepExpiredInstruments(core: Core): void {
  const { instruments, timeMs } = core;
  core.instrumentExpiryMs = Number.MAX_SAFE_INTEGER;
  for (let number = 0; number < instruments.count; number++) {
    const expiryMs = instruments.expiryMs[number] as number;
    if (expiryMs === 0 || instruments.listed[number] !== 1) continue;
    if (expiryMs > timeMs) core.instrumentExpiryMs = Math.min(core.instrumentExpiryMs, expiryMs);
    else cancelOrdersOn(core, number, CancelReason.instrumentExpired);
  }
}
