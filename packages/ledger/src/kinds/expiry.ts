// expiry: a settlement price signed by the oracle quorum turns instruments into constants, and positions in settled
// instruments into cash against their clearing accounts. Both may come in several cycles.
import { assertNever, MICRO_USD_MAX, type MicroUsdc } from "@tidemark/num";
import { isQuorum } from "../authorise.ts";
import type { Draft } from "../draft.ts";
import { exactProduct } from "../exact-sum.ts";
import { ROW_LENGTH, ROW_VALUE_BOUND } from "../limits.ts";
import { addCash, positionIndex, takeFromClearing } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import { SCENARIO_COUNT } from "../risk/parameters.ts";
import { settlementHash } from "../signing.ts";
import {
  type CycleRejection,
  type ExpiryCycle,
  type InstrumentCell,
  InstrumentKind,
  InstrumentStatus,
} from "../types.ts";
import { type CycleContext, reject } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

const NANO_PER_COIN = 1_000_000_000n;

/**
 * Micro-USDC per lot at a settlement price. Floor, and the same integer for both sides: what long positions lose by it,
 * short positions keep, and nothing is left in clearing.
 */
export function settlementPerLotFloor(instrument: Readonly<InstrumentCell>, settlementPrice: number): bigint {
  const { kind, strike, lotNanoCoin } = instrument;
  switch (kind) {
    case InstrumentKind.future:
      return exactProduct(settlementPrice, lotNanoCoin) / NANO_PER_COIN;
    case InstrumentKind.call:
      return exactProduct(Math.max(0, settlementPrice - strike), lotNanoCoin) / NANO_PER_COIN;
    case InstrumentKind.put:
      return exactProduct(Math.max(0, strike - settlementPrice), lotNanoCoin) / NANO_PER_COIN;
    case InstrumentKind.spot:
    case InstrumentKind.perpetual:
      return -1n;
    default:
      return assertNever(kind, "instrument kind");
  }
}

function isOfExpiry(instrument: Readonly<InstrumentCell> | undefined, cycle: Readonly<ExpiryCycle>): boolean {
  return (
    instrument !== undefined &&
    (instrument.kind === InstrumentKind.future ||
      instrument.kind === InstrumentKind.call ||
      instrument.kind === InstrumentKind.put) &&
    instrument.underlying === cycle.underlying &&
    instrument.expiryMs === cycle.expiryMs
  );
}

function settleInstrument(draft: Draft, number: number, perLot: number): void {
  const cell = draft.editInstrument(number);
  cell.status = InstrumentStatus.settled;
  cell.settlementPerLot = perLot as MicroUsdc;
  cell.row = Array.from({ length: ROW_LENGTH }, (_, s) => (s < SCENARIO_COUNT ? perLot : 0));
  cell.shortAddOn = 0;
  cell.longAddOn = 0;
  cell.concentrationAddOn = 0;
  cell.feePerLot = 0;
}

function settleInstruments(draft: Draft, cycle: Readonly<ExpiryCycle>): CycleRejection | null {
  for (const [place, number] of cycle.instruments.entries()) {
    const where = { instrument: number, place };
    const instrument = draft.instrument(number);
    if (instrument === undefined || !isOfExpiry(instrument, cycle) || instrument.status !== InstrumentStatus.listed) {
      return reject(RejectionCode.EXPIRY_WRONG_INSTRUMENT, where);
    }
    const perLot = settlementPerLotFloor(instrument, cycle.settlementPrice);
    if (perLot < 0n || perLot >= BigInt(ROW_VALUE_BOUND)) return reject(RejectionCode.EXPIRY_BOUNDS, where);
    settleInstrument(draft, number, Number(perLot));
  }
  return null;
}

function realise(
  draft: Draft,
  cycle: Readonly<ExpiryCycle>,
  realisation: ExpiryCycle["realisations"][number],
  place: number,
): CycleRejection | null {
  const { account } = realisation;
  const start = draft.account(account);
  if (start === undefined || !isTradingAccount(account))
    return reject(RejectionCode.EXPIRY_UNKNOWN_ACCOUNT, { account, place });
  if (start.positions.length !== realisation.positionCount) {
    return reject(RejectionCode.EXPIRY_POSITION_COUNT, { account, place });
  }
  for (const number of realisation.instruments) {
    const where = { account, instrument: number, place };
    const instrument = draft.instrument(number);
    const cell = draft.editAccount(account);
    const index = positionIndex(cell.positions, number);
    const position = cell.positions[index];
    if (
      instrument === undefined ||
      position === undefined ||
      !isOfExpiry(instrument, cycle) ||
      instrument.status !== InstrumentStatus.settled
    ) {
      return reject(RejectionCode.EXPIRY_WRONG_REALISATION, where);
    }
    const amount = exactProduct(position.size, instrument.settlementPerLot);
    if (!addCash(cell, amount) || !takeFromClearing(draft, number, amount)) {
      return reject(RejectionCode.EXPIRY_BOUNDS, where);
    }
    draft.editInstrument(number).clearingPosition += position.size;
    cell.positions = cell.positions.filter((_, other) => other !== index);
  }
  return null;
}

export function validateAndApply(draft: Draft, cycle: ExpiryCycle, context: CycleContext): CycleRejection | null {
  const { parameters } = context;
  const underlying = draft.underlying(cycle.underlying);
  if (underlying === undefined) return reject(RejectionCode.EXPIRY_UNKNOWN_UNDERLYING);
  if (cycle.timeMs < cycle.expiryMs) return reject(RejectionCode.EXPIRY_TOO_EARLY);
  if (underlying.epochOpen) return reject(RejectionCode.EXPIRY_EPOCH_OPEN);
  const digest = settlementHash(cycle, parameters.domain, context.separator);
  if (!isQuorum(digest, cycle.signatures, parameters, context.signatures)) {
    return reject(RejectionCode.EXPIRY_BAD_QUORUM);
  }
  if (cycle.settlementPrice === 0 || cycle.settlementPrice > MICRO_USD_MAX) return reject(RejectionCode.EXPIRY_BOUNDS);
  const refused = settleInstruments(draft, cycle);
  if (refused !== null) return refused;
  for (const [place, realisation] of cycle.realisations.entries()) {
    const rejection = realise(draft, cycle, realisation, place);
    if (rejection !== null) return rejection;
  }
  return null;
}
