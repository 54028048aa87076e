// Slow, obvious figures of one account, in bigint and from scratch each time: the ledger's cell, then the fills that wait for
// their cycle, then the open orders.
import { type AccountCell, InstrumentKind, type LedgerState, SCENARIO_COUNT } from "@tidemark/ledger";
import type { OrderRequest } from "../../src/index.ts";

export interface ReferenceOrder extends OrderRequest {
  id: number;
  open: number;
  inRing: boolean;
}

export interface PendingFill {
  order: ReferenceOrder;
  lots: number;
  cash: bigint;
  fee: bigint;
}

export interface Holding {
  size: bigint;
  fundingIndex: bigint;
}

export interface Standing {
  cash: bigint;
  holdings: Map<number, Holding>;
}

export interface ReferenceFigures {
  equity: bigint;
  scenario: bigint;
  addOns: bigint;
  initial: bigint;
  maintenance: bigint;
  exposure: bigint;
}

export const sideOf = (order: ReferenceOrder): number => (order.order.size > 0 ? 1 : -1);
export const instrumentOf = (order: ReferenceOrder): number => order.order.legs[0]?.instrument as number;
const abs = (value: bigint): bigint => (value < 0n ? -value : value);
const most = (...values: bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b));

export function cellOf(ledger: LedgerState, instrument: number) {
  const cell = ledger.instrument(instrument);
  if (cell === undefined) throw new Error(`no instrument ${instrument}`);
  return cell;
}

function ceilDiv(a: bigint, d: bigint): bigint {
  return a <= 0n ? -(-a / d) : (a + d - 1n) / d;
}

export function takerFee(ledger: LedgerState, instrument: number, price: number): bigint {
  return capped(ledger, instrument, price, BigInt(cellOf(ledger, instrument).feePerLot));
}

export function makerFeeUncapped(ledger: LedgerState, instrument: number): bigint {
  const { makerFeePpb, takerFeePpb } = ledger.parameters.risk;
  return ceilDiv(BigInt(cellOf(ledger, instrument).feePerLot) * BigInt(makerFeePpb), BigInt(takerFeePpb));
}

export function makerFee(ledger: LedgerState, instrument: number, price: number): bigint {
  return capped(ledger, instrument, price, makerFeeUncapped(ledger, instrument));
}

function capped(ledger: LedgerState, instrument: number, price: number, fee: bigint): bigint {
  const cell = cellOf(ledger, instrument);
  if (cell.kind !== InstrumentKind.call && cell.kind !== InstrumentKind.put) return fee;
  const cap = (BigInt(price) * BigInt(cell.tickValueMicroUsdc)) / BigInt(ledger.parameters.risk.optionFeePriceDivisor);
  return fee < cap ? fee : cap;
}

function fundingOf(ledger: LedgerState, instrument: number, holding: Holding): bigint {
  return (-holding.size * (BigInt(cellOf(ledger, instrument).fundingIndex) - holding.fundingIndex)) >> 20n;
}

export function trade(
  ledger: LedgerState,
  standing: Standing,
  instrument: number,
  signedLots: bigint,
  cash: bigint,
): void {
  const held = standing.holdings.get(instrument);
  if (held !== undefined) standing.cash += fundingOf(ledger, instrument, held);
  standing.cash += cash;
  const size = (held?.size ?? 0n) + signedLots;
  if (size === 0n) standing.holdings.delete(instrument);
  else standing.holdings.set(instrument, { size, fundingIndex: BigInt(cellOf(ledger, instrument).fundingIndex) });
}

export function standingOf(ledger: LedgerState, account: number, pending: readonly PendingFill[]): Standing {
  const cell = ledger.account(account) as AccountCell;
  const standing: Standing = { cash: BigInt(cell.cash), holdings: new Map() };
  for (const { instrument, size, fundingIndex } of cell.positions) {
    standing.holdings.set(instrument, { size: BigInt(size), fundingIndex: BigInt(fundingIndex) });
  }
  for (const { order, lots, cash, fee } of pending) {
    if (order.order.account !== account) continue;
    trade(ledger, standing, instrumentOf(order), BigInt(sideOf(order) * lots), cash - fee);
  }
  return standing;
}

export interface OpenLots {
  instrument: number;
  side: number;
  price: number;
  lots: number;
  fee: bigint;
}

function addOnOf(ledger: LedgerState, instrument: number, size: bigint): bigint {
  const cell = cellOf(ledger, instrument);
  const { risk } = ledger.parameters;
  const isOption = cell.kind === InstrumentKind.call || cell.kind === InstrumentKind.put;
  const threshold = BigInt(isOption ? risk.optionConcentrationLots : risk.linearConcentrationLots);
  const slope = BigInt(size < 0n ? cell.shortAddOn : cell.longAddOn);
  return abs(size) * slope + most(abs(size) - threshold, 0n) * BigInt(cell.concentrationAddOn);
}

/** The definition: every scenario, every position, every open order. */
export function figuresOf(ledger: LedgerState, standing: Standing, open: readonly OpenLots[]): ReferenceFigures {
  let equity = standing.cash;
  const touched = new Set<number>(open.map(({ instrument }) => instrument));
  for (const [instrument, holding] of standing.holdings) {
    touched.add(instrument);
    equity +=
      fundingOf(ledger, instrument, holding) + holding.size * BigInt(cellOf(ledger, instrument).row[0] as number);
  }
  let scenario = 0n;
  const underlyings = new Set([...touched].map((instrument) => cellOf(ledger, instrument).underlying));
  for (const underlying of underlyings) {
    let required = 0n;
    for (let s = 0; s < SCENARIO_COUNT; s++) {
      let loss = 0n;
      for (const [instrument, { size }] of standing.holdings) {
        const { row, underlying: other } = cellOf(ledger, instrument);
        if (other === underlying) loss -= size * BigInt((row[s] as number) - (row[0] as number));
      }
      for (const { instrument, side, price, lots, fee } of open) {
        const cell = cellOf(ledger, instrument);
        if (cell.underlying !== underlying) continue;
        const perLot =
          BigInt(side) * (BigInt(price) * BigInt(cell.tickValueMicroUsdc) - BigInt(cell.row[s] as number)) + fee;
        loss += BigInt(lots) * most(perLot, 0n);
      }
      required = most(required, loss);
    }
    scenario += required;
  }
  let addOns = 0n;
  let exposure = 0n;
  for (const instrument of touched) {
    const size = standing.holdings.get(instrument)?.size ?? 0n;
    let buys = 0n;
    let sells = 0n;
    for (const lots of open) {
      if (lots.instrument !== instrument) continue;
      if (lots.side > 0) buys += BigInt(lots.lots);
      else sells += BigInt(lots.lots);
    }
    addOns += most(addOnOf(ledger, instrument, size + buys), addOnOf(ledger, instrument, size - sells));
    exposure += most(abs(size + buys), abs(size - sells)) * BigInt(Math.max(...cellOf(ledger, instrument).row));
  }
  const factor = BigInt(ledger.parameters.risk.maintenanceFactorPpb);
  return {
    equity,
    scenario,
    addOns,
    initial: scenario + addOns,
    maintenance: ceilDiv(scenario * factor, 1_000_000_000n) + addOns,
    exposure,
  };
}

/** Last time at which the marks of an instrument are usable. */
export function marksUntil(ledger: LedgerState, instrument: number): number {
  const cell = cellOf(ledger, instrument);
  if (cell.status !== 1) return Number.MAX_SAFE_INTEGER;
  return cell.rowEpoch > 0 ? cell.rowTimeMs + ledger.parameters.risk.markAgeMaxMs : -1;
}

export function marksUntilOf(ledger: LedgerState, standing: Standing): number {
  return Math.min(
    Number.MAX_SAFE_INTEGER,
    ...[...standing.holdings.keys()].map((instrument) => marksUntil(ledger, instrument)),
  );
}
