// The reference ledger: the rules of docs/spec/ledger.md said as plainly as possible, in bigint over plain Maps. It shares
// with the ledger what has references of its own (hashes of signed data, the row formula) and nothing else.
import { bytesToHex, hexToBytes } from "@tidemark/num";
import type { ParameterSet } from "../parameters.ts";
import { computeRowReference } from "../risk/rows.reference.ts";
import { domainSeparator, reportHash, settlementHash, withdrawalHash } from "../signing.ts";
import type {
  Cycle,
  ExpiryCycle,
  InstrumentCell,
  OutboundCycle,
  QuorumSignature,
  ReportCycle,
  RowsCycle,
  SignaturePort,
  UnderlyingCell,
} from "../types.ts";
import { cycleBytes, cycleWeight } from "../weight.ts";
import { referenceAdl } from "./adl.ts";
import { referenceAuction } from "./auction.ts";
import {
  deepCopy,
  type Exact,
  exact,
  type ReferenceInstrument,
  type ReferenceState,
  recomputeTotals,
  referenceGenesis,
} from "./cells.ts";
import { type Fault, fault, fits, type ReferenceContext } from "./fault.ts";
import { referenceInbound, vaultHolds } from "./inbound.ts";
import { ceilOf, floorOf, largestOf, present, referenceMargin, sizeOf, smallestOf } from "./margin.ts";
import { referenceAdmin, referenceBankruptcy, referenceCredit } from "./others.ts";
import { referenceLiquidation, referenceTrades } from "./trade.ts";

const E9 = 10n ** 9n;
const E18 = 10n ** 18n;
const MICRO_USD_LIMIT = 2n ** 50n;

function quorumHolds(context: ReferenceContext, digest: Uint8Array, quorum: readonly QuorumSignature[]): boolean {
  const { oracles, oracleQuorum } = context.parameters;
  const increasing = quorum.every((one, i) => i === 0 || one.signer > present(quorum[i - 1]).signer);
  const signed = quorum.every(
    ({ signer, signature }) =>
      signer < oracles.length && context.signatures.recoverAddress(digest, hexToBytes(signature)) === oracles[signer],
  );
  return quorum.length === oracleQuorum && increasing && signed;
}

function isOfPricedDomain(surface: Exact<ReportCycle>["surfaces"][number]): boolean {
  const { forward, realisedAverage, a, b, rho, m, s } = surface;
  const isForward = forward > 0n && forward < MICRO_USD_LIMIT && realisedAverage < MICRO_USD_LIMIT;
  const isVariance = sizeOf(a) <= 30n * E9 && b >= 0n && b <= 1000n * E9 && sizeOf(rho) < E9;
  return isForward && isVariance && sizeOf(m) <= 4n * E9 && s > 0n && s <= 4n * E9;
}

/** average + trunc((sample − average)·Δt / (Δt + τ)) */
function averaged(average: bigint, sample: bigint, elapsedMs: bigint, constantMs: number): bigint {
  return average + ((sample - average) * elapsedMs) / (elapsedMs + BigInt(constantMs));
}

function referenceReport(context: ReferenceContext, cycle: ReportCycle): Fault | null {
  const { state, parameters } = context;
  const { risk } = parameters;
  const report = exact(cycle);
  const cell = state.underlyings.get(report.underlying);
  if (cell === undefined) return fault(200);
  if (cell.epochOpen) return fault(201);
  if (report.reportMs <= cell.reportMs) return fault(202);
  if (report.reportMs > report.timeMs) return fault(203);
  if (report.index === 0n || report.index >= MICRO_USD_LIMIT || sizeOf(report.premium) > E9) return fault(204);
  const expiries = report.surfaces.map((surface) => surface.expiryMs);
  if (expiries.some((expiry, i) => expiry <= (expiries[i - 1] ?? 0n))) return fault(205);
  if (!report.surfaces.every(isOfPricedDomain)) return fault(205);
  const digest = reportHash(cycle, parameters.domain, context.separator);
  if (!quorumHolds(context, digest, cycle.signatures)) return fault(206);
  const elapsedMs = report.reportMs - cell.reportMs;
  if (cell.reportMs === 0n) {
    cell.premiumEma = report.premium;
    cell.indexAverage = report.index;
  } else {
    cell.premiumEma = averaged(cell.premiumEma, report.premium, elapsedMs, risk.premiumTimeConstantMs);
    cell.indexAverage = averaged(cell.indexAverage, report.index, elapsedMs, risk.indexAverageTimeConstantMs);
    if (cell.hasPerpetual) {
      const perpetual = present(state.instruments.get(cell.perpetual));
      const band = BigInt(risk.fundingDeadBandPpb);
      const cap = BigInt(risk.fundingCapPpb);
      const outside = largestOf(band, cell.premiumEma) + smallestOf(-band, cell.premiumEma);
      const rate = largestOf(-cap, smallestOf(cap, outside));
      const period = BigInt(risk.fundingPeriodMs);
      const accrued = report.index * perpetual.lotNanoCoin * rate * smallestOf(elapsedMs, period) * 2n ** 20n;
      perpetual.fundingIndex += floorOf(accrued, E18 * period);
      if (!fits(perpetual.fundingIndex)) return fault(207);
    }
  }
  cell.epoch += 1n;
  cell.epochOpen = true;
  cell.reportMs = report.reportMs;
  cell.index = report.index;
  cell.surfaces = report.surfaces;
  return null;
}

/** Back to numbers, for the row formula's own reference. */
function plain<T>(value: Exact<T>): T {
  if (typeof value === "bigint") return Number(value) as T;
  if (Array.isArray(value)) return value.map((item: Exact<unknown>) => plain(item)) as T;
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item as Exact<unknown>)])) as T;
  }
  return value as T;
}

function referenceRows(context: ReferenceContext, cycle: RowsCycle): Fault | null {
  const { state, parameters } = context;
  const { risk } = parameters;
  const underlying = state.underlyings.get(BigInt(cycle.underlying));
  if (underlying === undefined) return fault(300);
  if (!underlying.epochOpen) return fault(301);
  for (const number of cycle.instruments) {
    const cell = state.instruments.get(BigInt(number));
    if (cell === undefined || cell.underlying !== BigInt(cycle.underlying)) return fault(302);
    if (cell.status !== 1n) return fault(303);
    const hasSurface = underlying.surfaces.some((surface) => surface.expiryMs === cell.expiryMs);
    if (cell.kind !== 1n && !hasSurface) return fault(304);
    const row = computeRowReference(plain<InstrumentCell>(cell), plain<UnderlyingCell>(underlying), risk);
    const lotValue = ceilOf(underlying.index * cell.lotNanoCoin, E9);
    const lotUnits = floorOf(underlying.index * cell.lotNanoCoin * 4096n, E9);
    if (row === null || lotUnits < 1n || lotUnits >= 2n ** 52n) return fault(305);
    const share = (ppb: number): bigint => ceilOf(lotValue * BigInt(ppb), E9);
    const option = cell.kind === 3n || cell.kind === 4n;
    cell.row = [...row, ...new Array<bigint>(40 - row.length).fill(0n)];
    cell.shortAddOn = share(option ? risk.optionShortAddOnPpb : risk.linearAddOnPpb);
    cell.longAddOn = share(option ? risk.optionLongAddOnPpb : risk.linearAddOnPpb);
    cell.concentrationAddOn = share(risk.concentrationPpb);
    cell.feePerLot = share(risk.takerFeePpb);
    cell.rowEpoch = underlying.epoch;
    cell.rowTimeMs = underlying.reportMs;
  }
  if (cycle.closesEpoch) underlying.epochOpen = false;
  return null;
}

function payoffPerLot(cell: ReferenceInstrument, price: bigint): bigint {
  const payoff = cell.kind === 2n ? price : largestOf(0n, cell.kind === 3n ? price - cell.strike : cell.strike - price);
  return floorOf(payoff * cell.lotNanoCoin, E9);
}

function referenceExpiry(context: ReferenceContext, cycle: ExpiryCycle): Fault | null {
  const { state, parameters } = context;
  const price = BigInt(cycle.settlementPrice);
  const underlying = state.underlyings.get(BigInt(cycle.underlying));
  if (underlying === undefined) return fault(800);
  if (cycle.timeMs < cycle.expiryMs) return fault(801);
  if (underlying.epochOpen) return fault(802);
  const digest = settlementHash(cycle, parameters.domain, context.separator);
  if (!quorumHolds(context, digest, cycle.signatures)) return fault(803);
  if (price === 0n || price >= MICRO_USD_LIMIT) return fault(808);
  const ofThisExpiry = (number: number, status: bigint): ReferenceInstrument | undefined => {
    const cell = state.instruments.get(BigInt(number));
    if (cell === undefined || cell.kind < 2n || cell.status !== status) return undefined;
    if (cell.underlying !== BigInt(cycle.underlying) || cell.expiryMs !== BigInt(cycle.expiryMs)) return undefined;
    return cell;
  };
  for (const number of cycle.instruments) {
    const cell = ofThisExpiry(number, 1n);
    if (cell === undefined) return fault(804);
    const perLot = payoffPerLot(cell, price);
    if (perLot >= 2n ** 40n) return fault(808);
    cell.status = 2n;
    cell.settlementPerLot = perLot;
    cell.row = cell.row.map((_, s) => (s < 39 ? perLot : 0n));
    cell.shortAddOn = cell.longAddOn = cell.concentrationAddOn = cell.feePerLot = 0n;
  }
  for (const { account, positionCount, instruments } of cycle.realisations) {
    const owner = state.accounts.get(BigInt(account));
    if (owner === undefined || account < 2) return fault(807, account);
    if (owner.positions.length !== positionCount) return fault(806, account);
    for (const number of instruments) {
      const cell = ofThisExpiry(number, 2n);
      const position = owner.positions.find((one) => one.instrument === BigInt(number));
      if (cell === undefined || position === undefined) return fault(805, account);
      owner.cash += position.size * cell.settlementPerLot;
      cell.clearingCash -= position.size * cell.settlementPerLot;
      cell.clearingPosition += position.size;
      owner.positions = owner.positions.filter((one) => one !== position);
      if (!fits(owner.cash) || !fits(cell.clearingCash)) return fault(808, account);
    }
  }
  return null;
}

function referenceOutbound(context: ReferenceContext, cycle: OutboundCycle): Fault | null {
  const { state, parameters } = context;
  const timeMs = BigInt(cycle.timeMs);
  for (const { withdrawal, signature, positionCount } of cycle.withdrawals) {
    const no = (code: number): Fault => fault(code, withdrawal.account);
    const w = exact(withdrawal);
    const cell = state.accounts.get(w.account);
    if (cell === undefined || w.account < 2n) return no(1000);
    if (cell.positions.length !== positionCount) return no(1001);
    if (w.domain !== state.globals.domain || w.asset !== 0n) return no(1002);
    if (w.destinationChain !== BigInt(parameters.chainId)) return no(1002);
    const { recipient } = withdrawal;
    if (BigInt(recipient) === 0n || BigInt(recipient) === BigInt(parameters.verifyingContract)) return no(1002);
    if (timeMs >= w.expiryMs) return no(1003);
    if (w.nonce < cell.minNonce) return no(1004);
    const ring = state.rings.get(w.account) ?? new Map();
    const slot = ring.get(w.nonce % 65536n);
    if (slot !== undefined && (slot.nonce >= w.nonce || slot.receiptDeadlineMs >= timeMs)) return no(1005);
    const digest = withdrawalHash(withdrawal, context.separator);
    if (context.signatures.recoverAddress(digest, hexToBytes(signature)) !== cell.owner) return no(1006);
    if (cell.credit > 0n) return no(1007);
    if (state.globals.badDebt > present(state.accounts.get(1n)).cash || !vaultHolds(state, w.amount)) return no(1008);
    const margin = referenceMargin(state, cell, timeMs, parameters);
    if (!margin.usable) return no(1009);
    if (w.amount === 0n || w.amount > margin.withdrawable) return no(1010);
    cell.cash -= w.amount;
    state.outbox.set(state.globals.outboxCount, {
      account: w.account,
      asset: 0n,
      amount: w.amount,
      destinationChain: w.destinationChain,
      recipient: w.recipient,
    });
    state.globals.outboxCount += 1n;
    state.globals.outboxTotal += w.amount;
    ring.set(w.nonce % 65536n, {
      nonce: w.nonce,
      orderHash: bytesToHex(digest),
      filledLots: 1n,
      filledCash: -w.amount,
      receiptDeadlineMs: timeMs + BigInt(parameters.receiptPeriodMs),
    });
    state.rings.set(w.account, ring);
  }
  return null;
}

function referenceKind(context: ReferenceContext, cycle: Cycle): Fault | null {
  if (cycle.kind === "report") return referenceReport(context, cycle);
  if (cycle.kind === "rows") return referenceRows(context, cycle);
  if (cycle.kind === "trade") return referenceTrades(context, cycle.accounts, BigInt(cycle.timeMs));
  if (cycle.kind === "liquidation") return referenceLiquidation(context, cycle);
  if (cycle.kind === "expiry") return referenceExpiry(context, cycle);
  if (cycle.kind === "inbound") return referenceInbound(context, cycle);
  if (cycle.kind === "outbound") return referenceOutbound(context, cycle);
  if (cycle.kind === "auction") return referenceAuction(context, cycle);
  if (cycle.kind === "bankruptcy") return referenceBankruptcy(context, cycle);
  if (cycle.kind === "adl") return referenceAdl(context, cycle);
  if (cycle.kind === "credit") return referenceCredit(context, cycle);
  return referenceAdmin(context, cycle);
}

export type ReferenceVerdict = { ok: true; outcomes: number[] } | { ok: false; fault: Fault };

export class ReferenceLedger {
  parameters: ParameterSet;
  readonly #signatures: SignaturePort;
  state: ReferenceState;

  constructor(parameters: ParameterSet, signatures: SignaturePort) {
    this.parameters = parameters;
    this.#signatures = signatures;
    this.state = referenceGenesis(parameters);
  }

  apply(cycle: Cycle): ReferenceVerdict {
    if (BigInt(cycle.timeMs) >= 2n ** 48n) return { ok: false, fault: fault(100) };
    if (BigInt(cycle.timeMs) < this.state.globals.timeMs) return { ok: false, fault: fault(102) };
    if (cycleBytes(cycle) > 65536 || cycleWeight(cycle) > 110 * 1024) return { ok: false, fault: fault(103) };
    const context: ReferenceContext = {
      state: deepCopy(this.state),
      parameters: this.parameters,
      separator: domainSeparator(this.parameters),
      signatures: this.#signatures,
      outcomes: [],
    };
    const found = referenceKind(context, cycle);
    if (found !== null) return { ok: false, fault: found };
    context.state.globals.timeMs = BigInt(cycle.timeMs);
    recomputeTotals(context.state);
    const { cashTotal, clearingTotal, badDebt } = context.state.globals;
    if (![cashTotal, clearingTotal, badDebt].every(fits)) return { ok: false, fault: fault(103) };
    this.state = context.state;
    this.parameters = context.parameters;
    return { ok: true, outcomes: context.outcomes };
  }
}
