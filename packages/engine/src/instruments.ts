// The ledger's instrument cells as columns: what the order path reads of an instrument, without objects.
import { type InstrumentCell, InstrumentKind, InstrumentStatus, ROW_LENGTH, SCENARIO_COUNT } from "@tidemark/ledger";
import { mulDivCeilNumber } from "@tidemark/num";
import { grownFloat64 } from "./keyTable.ts";

/** Marks of a settled instrument never age. */
const FOREVER_MS = Number.MAX_SAFE_INTEGER;

export interface FeeRule {
  makerPpb: number;
  takerPpb: number;
  /** Options are charged at most this part of their price. */
  optionPriceDivisor: number;
}

export class Instruments {
  count = 0;
  rows = new Float64Array(0);
  kind = new Float64Array(0);
  underlying = new Float64Array(0);
  /** 1 while listed. */
  listed = new Float64Array(0);
  expiryMs = new Float64Array(0);
  tickValue = new Float64Array(0);
  rowEpoch = new Float64Array(0);
  rowTimeMs = new Float64Array(0);
  /** Last time at which the marks are usable; −1 before the first row. */
  marksUntilMs = new Float64Array(0);
  /** Least value in a scenario, greatest of the whole row. */
  rowMin = new Float64Array(0);
  rowMax = new Float64Array(0);
  takerFee = new Float64Array(0);
  makerFee = new Float64Array(0);
  shortAddOn = new Float64Array(0);
  longAddOn = new Float64Array(0);
  concentrationAddOn = new Float64Array(0);
  concentrationLots = new Float64Array(0);
  fundingIndex = new Float64Array(0);
  /** Position records (a position or live orders of one account) on the instrument. */
  users = new Float64Array(0);
  readonly #fees: FeeRule;
  readonly #markAgeMsMax: number;
  readonly #concentrationLotsOf: (cell: Readonly<InstrumentCell>) => number;

  constructor(fees: FeeRule, markAgeMsMax: number, concentrationLotsOf: (cell: Readonly<InstrumentCell>) => number) {
    this.#fees = fees;
    this.#markAgeMsMax = markAgeMsMax;
    this.#concentrationLotsOf = concentrationLotsOf;
  }

  #reserve(length: number): void {
    this.rows = grownFloat64(this.rows, length * ROW_LENGTH);
    this.kind = grownFloat64(this.kind, length);
    this.underlying = grownFloat64(this.underlying, length);
    this.listed = grownFloat64(this.listed, length);
    this.expiryMs = grownFloat64(this.expiryMs, length);
    this.tickValue = grownFloat64(this.tickValue, length);
    this.rowEpoch = grownFloat64(this.rowEpoch, length);
    this.rowTimeMs = grownFloat64(this.rowTimeMs, length);
    this.marksUntilMs = grownFloat64(this.marksUntilMs, length);
    this.rowMin = grownFloat64(this.rowMin, length);
    this.rowMax = grownFloat64(this.rowMax, length);
    this.takerFee = grownFloat64(this.takerFee, length);
    this.makerFee = grownFloat64(this.makerFee, length);
    this.shortAddOn = grownFloat64(this.shortAddOn, length);
    this.longAddOn = grownFloat64(this.longAddOn, length);
    this.concentrationAddOn = grownFloat64(this.concentrationAddOn, length);
    this.concentrationLots = grownFloat64(this.concentrationLots, length);
    this.fundingIndex = grownFloat64(this.fundingIndex, length);
    this.users = grownFloat64(this.users, length);
  }

  load(number: number, cell: Readonly<InstrumentCell>): void {
    this.#reserve(number + 1);
    if (number >= this.count) this.count = number + 1;
    let rowMin = Infinity;
    let rowMax = 0;
    for (let s = 0; s < ROW_LENGTH; s++) {
      const value = cell.row[s] ?? 0;
      this.rows[number * ROW_LENGTH + s] = value;
      if (s < SCENARIO_COUNT && value < rowMin) rowMin = value;
      if (value > rowMax) rowMax = value;
    }
    const listed = cell.status === InstrumentStatus.listed;
    this.rowMin[number] = rowMin;
    this.rowMax[number] = rowMax;
    this.kind[number] = cell.kind;
    this.underlying[number] = cell.underlying;
    this.listed[number] = listed ? 1 : 0;
    this.expiryMs[number] = cell.expiryMs;
    this.tickValue[number] = cell.tickValueMicroUsdc;
    this.rowEpoch[number] = cell.rowEpoch;
    this.rowTimeMs[number] = cell.rowTimeMs;
    this.marksUntilMs[number] = listed ? (cell.rowEpoch > 0 ? cell.rowTimeMs + this.#markAgeMsMax : -1) : FOREVER_MS;
    this.takerFee[number] = cell.feePerLot;
    this.makerFee[number] = makerFeePerLot(cell.feePerLot, this.#fees);
    this.shortAddOn[number] = cell.shortAddOn;
    this.longAddOn[number] = cell.longAddOn;
    this.concentrationAddOn[number] = cell.concentrationAddOn;
    this.concentrationLots[number] = this.#concentrationLotsOf(cell);
    this.fundingIndex[number] = cell.fundingIndex;
  }

  isOption(number: number): boolean {
    return (this.kind[number] as number) >= InstrumentKind.call;
  }

  /** Taker fee per lot at a price. Floor of the cap per lot: the sum over an order's fills keeps the cap too. */
  takerFeeAt(number: number, price: number): number {
    return this.#capped(number, price, this.takerFee[number] as number);
  }

  makerFeeAt(number: number, price: number): number {
    return this.#capped(number, price, this.makerFee[number] as number);
  }

  #capped(number: number, price: number, fee: number): number {
    if (!this.isOption(number)) return fee;
    const cap = Math.floor((price * (this.tickValue[number] as number)) / this.#fees.optionPriceDivisor);
    return fee < cap ? fee : cap;
  }

  /** Listed, and a dated instrument has not expired. */
  isTradable(number: number, timeMs: number): boolean {
    const expiryMs = this.expiryMs[number] as number;
    return this.listed[number] === 1 && (expiryMs === 0 || timeMs < expiryMs);
  }
}

/** Ceil: the remainder of the ratio goes to the venue. Ratios are below 2^27, so the result fits. */
function makerFeePerLot(feePerLot: number, fees: FeeRule): number {
  return fees.takerPpb === 0 ? 0 : mulDivCeilNumber(feePerLot, fees.makerPpb, fees.takerPpb);
}
