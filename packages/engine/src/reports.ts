// report: new marks for one underlying. Rows of every instrument that needs them, then every account that the marks touch:
// fees and cover of its open orders first, then liquidation of those below maintenance, all before the next fill.
import {
  type InstrumentCell,
  InstrumentKind,
  type Order,
  RejectionCode,
  type ReportCycle,
  ROWS_PER_CYCLE_MAX,
  type RowsCycle,
} from "@tidemark/ledger";
import { assert, type InstrumentNumber, type TimestampMs, type UnderlyingNumber } from "@tidemark/num";
import type { ReportCommand } from "./commands.ts";
import type { Core } from "./core.ts";
import { CancelReason } from "./events.ts";
import { liquidate } from "./liquidation.ts";
import { INSTRUMENT, ORDER_STRIDE_SHIFT, PRICE } from "./orders.ts";
import { EngineCode } from "./rejections.ts";

export function report(core: Core, command: ReportCommand): number {
  const { timeMs, underlying, reportMs, index, premium, surfaces, signatures } = command;
  const cycle: ReportCycle = { kind: "report", timeMs, underlying, reportMs, index, premium, surfaces, signatures };
  core.closeTradeCycle();
  const before = core.ledger.underlying(underlying);
  const fundingBefore =
    before?.hasPerpetual === true ? core.ledger.instrument(before.perpetual)?.fundingIndex : undefined;
  const verdict = core.trySettle(cycle, 0, 0);
  if (!verdict.ok) return verdict.rejection.code;
  computeRows(core, underlying);
  loadInstruments(core, underlying);
  const after = core.ledger.underlying(underlying);
  if (after?.hasPerpetual === true && fundingBefore !== undefined) {
    const fundingAfter = core.instruments.fundingIndex[after.perpetual] as number;
    if (fundingAfter !== fundingBefore) core.sink.onFunding(after.perpetual, fundingBefore, fundingAfter);
  }
  const affected = accountsOf(core, underlying);
  for (const account of affected) core.recompute(account);
  for (const account of affected) {
    cancelUnpayable(core, account);
    core.cancelUncovered(account);
  }
  // Counterparties of a liquidation are covered by now.
  for (const account of affected) liquidate(core, account);
  return EngineCode.ok;
}

function loadInstruments(core: Core, underlying: number): void {
  for (let instrument = 0; instrument < core.instruments.count; instrument++) {
    if (core.instruments.underlying[instrument] === underlying && core.instruments.listed[instrument] === 1) {
      core.loadInstrument(instrument);
    }
  }
}

/** Accounts with a position or live order in the underlying, ascending. */
export function accountsOf(core: Core, underlying: number): number[] {
  const affected: number[] = [];
  for (let account = 0; account < core.accounts.length; account++) {
    if (core.accounts.has(account) && core.accounts.usesUnderlying(account, underlying)) affected.push(account);
  }
  return affected;
}

/** An order whose signed maximum lies below the new fee could no longer settle. Resting orders pay the maker fee. */
function cancelUnpayable(core: Core, account: number): void {
  for (const at of core.ordersOf(account)) {
    const base = at << ORDER_STRIDE_SHIFT;
    const instrument = core.arena.records[base + INSTRUMENT] as number;
    const fee = core.instruments.makerFeeAt(instrument, core.arena.records[base + PRICE] as number);
    if ((core.arena.order[at] as Order).maxFeePerLot < fee) core.cancel(at, CancelReason.feeAboveMaximum);
  }
}

// ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows in cycles of at most ROWS_PER_CYCLE_MAX; the last one closes the epoch. */
function computeRows(core: Core, underlying: UnderlyingNumber): void {
  const timeMs = core.timeMs as TimestampMs;
  const wanted = instrumentsToPrice(core, underlying);
  for (;;) {
    const instruments = wanted.splice(0, ROWS_PER_CYCLE_MAX);
    settleRows(core, { kind: "rows", timeMs, underlying, instruments, closesEpoch: wanted.length === 0 });
    if (wanted.length === 0) return;
  }
}

/** An instrument that the pricing refuses keeps its old row and ages; the others of the cycle must not suffer for it. */
function settleRows(core: Core, cycle: RowsCycle): void {
  for (;;) {
    if (cycle.instruments.length === 0 && !cycle.closesEpoch) return;
    const verdict = core.trySettle(cycle, 0, 0);
    if (verdict.ok) return;
    const { code, instrument } = verdict.rejection;
    const dropped = cycle.instruments.indexOf(instrument as InstrumentNumber);
    assert(code === RejectionCode.ROWS_OUTSIDE_PRICING_DOMAIN && dropped >= 0, `rows are accepted: ${code}`);
    cycle.instruments.splice(dropped, 1);
  }
}

function instrumentsToPrice(core: Core, underlying: number): InstrumentNumber[] {
  const cell = core.ledger.underlying(underlying);
  assert(cell !== undefined, "underlying exists");
  const expiries = new Set<number>(cell.surfaces.map((surface) => surface.expiryMs));
  const wanted: InstrumentNumber[] = [];
  for (let number = 0; number < core.instruments.count; number++) {
    if (core.instruments.underlying[number] !== underlying || core.instruments.listed[number] !== 1) continue;
    const instrument = core.ledger.instrument(number);
    assert(instrument !== undefined, "instrument exists");
    const priceable = instrument.kind === InstrumentKind.perpetual || expiries.has(instrument.expiryMs);
    if (priceable && isWanted(core, number, instrument, cell.reportMs)) wanted.push(number as InstrumentNumber);
  }
  return wanted;
}

function isWanted(core: Core, number: number, cell: Readonly<InstrumentCell>, reportMs: number): boolean {
  if (core.config.rowsFor === "listed") return true;
  if (cell.rowEpoch === 0 || (core.instruments.users[number] as number) > 0) return true;
  // Before its marks become unusable: an instrument without orders would otherwise never get one again.
  return reportMs - cell.rowTimeMs > core.parameters.risk.markAgeMaxMs / 2;
}
