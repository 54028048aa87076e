// rows: scenario rows of some instruments of an underlying, computed from its last report while its epoch is open.
import type { Draft } from "../draft.ts";
import { ROW_LENGTH } from "../limits.ts";
import { RejectionCode } from "../rejections.ts";
import { lotChargesOf, RowPricer, RowRefusal } from "../risk/rows.ts";
import { type CycleRejection, InstrumentStatus, type RowsCycle } from "../types.ts";
import { type CycleContext, reject } from "./rule.ts";

const rowBuffer = new Float64Array(ROW_LENGTH);

export function validateAndApply(draft: Draft, cycle: RowsCycle, context: CycleContext): CycleRejection | null {
  const underlying = draft.underlying(cycle.underlying);
  if (underlying === undefined) return reject(RejectionCode.ROWS_UNKNOWN_UNDERLYING);
  if (!underlying.epochOpen) return reject(RejectionCode.ROWS_EPOCH_NOT_OPEN);
  const { risk } = context.parameters;
  const pricer = new RowPricer(risk);
  let preparedExpiryMs = -1;
  let preparedLot = -1;
  for (const [place, number] of cycle.instruments.entries()) {
    const where = { instrument: number, place };
    const instrument = draft.instrument(number);
    if (instrument === undefined || instrument.underlying !== cycle.underlying) {
      return reject(RejectionCode.ROWS_INSTRUMENT_NOT_OF_UNDERLYING, where);
    }
    if (instrument.status !== InstrumentStatus.listed) {
      return reject(RejectionCode.ROWS_INSTRUMENT_NOT_LISTED, where);
    }
    let refusal: RowRefusal = RowRefusal.none;
    if (instrument.expiryMs !== preparedExpiryMs || instrument.lotNanoCoin !== preparedLot) {
      refusal = pricer.prepare(underlying, instrument.expiryMs, instrument.lotNanoCoin);
      preparedExpiryMs = instrument.expiryMs;
      preparedLot = instrument.lotNanoCoin;
    }
    if (refusal === RowRefusal.noSurface) return reject(RejectionCode.ROWS_NO_SURFACE, where);
    if (refusal === RowRefusal.none) refusal = pricer.price(instrument, rowBuffer, 0);
    const charges = refusal === RowRefusal.none ? lotChargesOf(instrument, underlying.index, risk) : null;
    if (charges === null) return reject(RejectionCode.ROWS_OUTSIDE_PRICING_DOMAIN, where);
    const cell = draft.editInstrument(number);
    cell.row = Array.from(rowBuffer);
    Object.assign(cell, charges);
    cell.rowEpoch = underlying.epoch;
    cell.rowTimeMs = underlying.reportMs;
  }
  if (cycle.closesEpoch) draft.editUnderlying(cycle.underlying).epochOpen = false;
  return null;
}
