// The engine's own view of accounts: the ledger's cells plus the fills of the open cycle. Columns by account number;
// position records (one for each instrument in which an account has a position or live orders) in packed arrays.
import {
  type AccountCell,
  type Address,
  type Delegate,
  FUNDING_SHIFT,
  ROW_LENGTH,
  UNDERLYINGS_MAX,
} from "@tidemark/ledger";
import { assert, mulDivFloorNumber } from "@tidemark/num";
import type { Instruments } from "./instruments.ts";
import { grownFloat64, grownInt32, KeyTable } from "./keyTable.ts";
import { NONE } from "./orders.ts";

export const POSITION_SHIFT = 3;
/** Int32 fields of a position record. */
export const P_ACCOUNT = 0;
export const P_INSTRUMENT = 1;
/** Signed lots held. */
export const P_SIZE = 2;
export const P_NEXT = 3;
export const P_PREVIOUS = 4;
export const P_RISK = 5;
/** Float64 fields of a position record. */
export const V_BUY_LOTS = 0;
export const V_SELL_LOTS = 1;
export const V_FUNDING_INDEX = 2;
/** Funding that the next touch realises; floor, against the account. */
export const V_PENDING = 3;
export const V_ADD_ON = 4;
export const V_EXPOSURE = 5;

/** A risk record holds L[s] and, behind it, O[s]. */
export const RISK_STRIDE = 2 * ROW_LENGTH;

const FUNDING_ONE = 2 ** FUNDING_SHIFT;
const INITIAL = 64;

/** floor(−size · Δindex / 2^FUNDING_SHIFT). Floor: against the account. */
export function pendingFunding(size: number, indexNow: number, indexThen: number): number {
  return indexNow === indexThen ? 0 : mulDivFloorNumber(-size, indexNow - indexThen, FUNDING_ONE);
}

export class Accounts {
  readonly #instruments: Instruments;
  readonly #ownerIds = new Map<Address, number>();
  readonly owner: Address[] = [];
  readonly delegates: (readonly Delegate[])[] = [];
  exists = new Int32Array(INITIAL);
  ownerId = new Int32Array(INITIAL);
  /** As the ledger's, plus the fills of the open cycle. */
  cash = new Float64Array(INITIAL);
  /** cash + pending funding + Σ size · mark. */
  equity = new Float64Array(INITIAL);
  credit = new Float64Array(INITIAL);
  minNonce = new Float64Array(INITIAL);
  lastNonce = new Float64Array(INITIAL);
  liquidationMs = new Float64Array(INITIAL);
  /** Σ over underlyings of the requirement with all open orders. */
  scenario = new Float64Array(INITIAL);
  addOns = new Float64Array(INITIAL);
  /** Σ of the largest reachable |size| · max V. */
  exposure = new Float64Array(INITIAL);
  /** Σ open lots · (price + fee). */
  notional = new Float64Array(INITIAL);
  pending = new Float64Array(INITIAL);
  /** Last time at which the marks of all positions are usable. */
  marksUntilMs = new Float64Array(INITIAL);
  orderHead = new Int32Array(INITIAL);
  orderTail = new Int32Array(INITIAL);
  orderCount = new Int32Array(INITIAL);
  positionHead = new Int32Array(INITIAL);
  /** Instruments with a position or live orders. */
  recordCount = new Int32Array(INITIAL);
  /** Instruments with a position. */
  heldCount = new Int32Array(INITIAL);
  riskOf = new Int32Array(INITIAL * UNDERLYINGS_MAX);

  positions = new Int32Array(INITIAL << POSITION_SHIFT);
  positionValues = new Float64Array(INITIAL << POSITION_SHIFT);
  readonly #positionOf = new KeyTable(1024);
  /** The latest answer of findPosition: one order asks for the same record several times. */
  #foundAccount = NONE;
  #foundInstrument = NONE;
  #found = NONE;
  #positionsUsed = 0;
  #positionsFree = NONE;

  risk = new Float64Array(INITIAL * RISK_STRIDE);
  /** max(0, max over s of O[s] − L[s]). */
  riskRequired = new Float64Array(INITIAL);
  #risksUsed = 0;

  constructor(instruments: Instruments) {
    this.#instruments = instruments;
  }

  get length(): number {
    return this.owner.length;
  }

  has(account: number): boolean {
    return account < this.owner.length && this.exists[account] === 1;
  }

  #reserve(length: number): void {
    const before = this.owner.length;
    if (length <= before) return;
    this.exists = grownInt32(this.exists, length);
    this.ownerId = grownInt32(this.ownerId, length);
    this.cash = grownFloat64(this.cash, length);
    this.equity = grownFloat64(this.equity, length);
    this.credit = grownFloat64(this.credit, length);
    this.minNonce = grownFloat64(this.minNonce, length);
    this.lastNonce = grownFloat64(this.lastNonce, length);
    this.liquidationMs = grownFloat64(this.liquidationMs, length);
    this.scenario = grownFloat64(this.scenario, length);
    this.addOns = grownFloat64(this.addOns, length);
    this.exposure = grownFloat64(this.exposure, length);
    this.notional = grownFloat64(this.notional, length);
    this.pending = grownFloat64(this.pending, length);
    this.marksUntilMs = grownFloat64(this.marksUntilMs, length);
    this.orderHead = grownInt32(this.orderHead, length);
    this.orderTail = grownInt32(this.orderTail, length);
    this.orderCount = grownInt32(this.orderCount, length);
    this.positionHead = grownInt32(this.positionHead, length);
    this.recordCount = grownInt32(this.recordCount, length);
    this.heldCount = grownInt32(this.heldCount, length);
    this.riskOf = grownInt32(this.riskOf, length * UNDERLYINGS_MAX);
    for (let account = before; account < length; account++) {
      this.owner[account] = "0x";
      this.delegates[account] = [];
      this.lastNonce[account] = -1;
      this.marksUntilMs[account] = Number.MAX_SAFE_INTEGER;
      this.orderHead[account] = NONE;
      this.orderTail[account] = NONE;
      this.positionHead[account] = NONE;
      this.riskOf.fill(NONE, account * UNDERLYINGS_MAX, (account + 1) * UNDERLYINGS_MAX);
    }
  }

  /** Takes over what does not depend on open orders: identity, money, keys. Positions are synchronised by the caller. */
  load(account: number, cell: Readonly<AccountCell>): void {
    this.#reserve(account + 1);
    this.exists[account] = 1;
    let id = this.#ownerIds.get(cell.owner);
    if (id === undefined) {
      id = this.#ownerIds.size;
      this.#ownerIds.set(cell.owner, id);
    }
    this.ownerId[account] = id;
    this.owner[account] = cell.owner;
    this.delegates[account] = cell.delegates;
    this.cash[account] = cell.cash;
    this.credit[account] = cell.credit;
    this.minNonce[account] = cell.minNonce;
    this.liquidationMs[account] = cell.liquidationMs;
  }

  /** The position record, or NONE. */
  findPosition(account: number, instrument: number): number {
    if (account === this.#foundAccount && instrument === this.#foundInstrument) return this.#found;
    const record = this.#positionOf.get(account, instrument);
    this.#foundAccount = account;
    this.#foundInstrument = instrument;
    this.#found = record;
    return record;
  }

  position(account: number, instrument: number): number {
    const found = this.findPosition(account, instrument);
    if (found !== NONE) return found;
    let record = this.#positionsFree;
    if (record !== NONE) this.#positionsFree = this.positions[record << POSITION_SHIFT] as number;
    else {
      record = this.#positionsUsed++;
      this.positions = grownInt32(this.positions, this.#positionsUsed << POSITION_SHIFT);
      this.positionValues = grownFloat64(this.positionValues, this.#positionsUsed << POSITION_SHIFT);
    }
    const base = record << POSITION_SHIFT;
    this.positionValues.fill(0, base, base + (1 << POSITION_SHIFT));
    const head = this.positionHead[account] as number;
    this.positions[base + P_ACCOUNT] = account;
    this.positions[base + P_INSTRUMENT] = instrument;
    this.positions[base + P_SIZE] = 0;
    this.positions[base + P_NEXT] = head;
    this.positions[base + P_PREVIOUS] = NONE;
    this.positions[base + P_RISK] = this.#riskRecord(account, this.#instruments.underlying[instrument] as number);
    if (head !== NONE) this.positions[(head << POSITION_SHIFT) + P_PREVIOUS] = record;
    this.positionHead[account] = record;
    this.recordCount[account] = (this.recordCount[account] as number) + 1;
    this.#positionOf.set(account, instrument, record);
    this.#found = record;
    this.#instruments.users[instrument] = (this.#instruments.users[instrument] as number) + 1;
    return record;
  }

  /** Frees the record when neither a position nor a live order needs it. Its add-on and exposure are 0 then. */
  releasePosition(record: number): void {
    const base = record << POSITION_SHIFT;
    const values = this.positionValues;
    if (this.positions[base + P_SIZE] !== 0 || values[base + V_BUY_LOTS] !== 0 || values[base + V_SELL_LOTS] !== 0)
      return;
    assert(values[base + V_ADD_ON] === 0 && values[base + V_EXPOSURE] === 0, "an empty position has no requirement");
    const account = this.positions[base + P_ACCOUNT] as number;
    const instrument = this.positions[base + P_INSTRUMENT] as number;
    const next = this.positions[base + P_NEXT] as number;
    const previous = this.positions[base + P_PREVIOUS] as number;
    if (next !== NONE) this.positions[(next << POSITION_SHIFT) + P_PREVIOUS] = previous;
    if (previous !== NONE) this.positions[(previous << POSITION_SHIFT) + P_NEXT] = next;
    else this.positionHead[account] = next;
    this.recordCount[account] = (this.recordCount[account] as number) - 1;
    this.#positionOf.delete(account, instrument);
    this.#foundAccount = NONE;
    this.#instruments.users[instrument] = (this.#instruments.users[instrument] as number) - 1;
    this.positions[base] = this.#positionsFree;
    this.#positionsFree = record;
  }

  /** Risk record of (account, underlying), made at the first need and kept. */
  #riskRecord(account: number, underlying: number): number {
    const place = account * UNDERLYINGS_MAX + underlying;
    const found = this.riskOf[place] as number;
    if (found !== NONE) return found;
    const record = this.#risksUsed++;
    this.risk = grownFloat64(this.risk, this.#risksUsed * RISK_STRIDE);
    this.riskRequired = grownFloat64(this.riskRequired, this.#risksUsed);
    this.riskOf[place] = record;
    return record;
  }

  sizeOf(account: number, instrument: number): number {
    const record = this.findPosition(account, instrument);
    return record === NONE ? 0 : (this.positions[(record << POSITION_SHIFT) + P_SIZE] as number);
  }

  /** Whether the account has a position or a live order in an instrument of the underlying. */
  usesUnderlying(account: number, underlying: number): boolean {
    for (let record = this.positionHead[account] as number; record !== NONE; ) {
      const base = record << POSITION_SHIFT;
      if (this.#instruments.underlying[this.positions[base + P_INSTRUMENT] as number] === underlying) return true;
      record = this.positions[base + P_NEXT] as number;
    }
    return false;
  }

  /** Instruments held, ascending. Allocates: not for the order path. */
  heldInstruments(account: number): number[] {
    const held: number[] = [];
    for (let record = this.positionHead[account] as number; record !== NONE; ) {
      const base = record << POSITION_SHIFT;
      if (this.positions[base + P_SIZE] !== 0) held.push(this.positions[base + P_INSTRUMENT] as number);
      record = this.positions[base + P_NEXT] as number;
    }
    return held.sort((a, b) => a - b);
  }

  refreshMarksUntil(account: number): void {
    let untilMs = Number.MAX_SAFE_INTEGER;
    for (let record = this.positionHead[account] as number; record !== NONE; ) {
      const base = record << POSITION_SHIFT;
      if (this.positions[base + P_SIZE] !== 0) {
        const instrumentMs = this.#instruments.marksUntilMs[this.positions[base + P_INSTRUMENT] as number] as number;
        if (instrumentMs < untilMs) untilMs = instrumentMs;
      }
      record = this.positions[base + P_NEXT] as number;
    }
    this.marksUntilMs[account] = untilMs;
  }

  /** Of a delegate with the scope whose key lives at least until `untilMs`. The owner is no delegate: callers ask first. */
  isDelegate(account: number, signer: Address, scope: number, untilMs: number): boolean {
    const delegates = this.delegates[account] as readonly Delegate[];
    for (let i = 0; i < delegates.length; i++) {
      const delegate = delegates[i] as Delegate;
      if (delegate.key === signer) return (delegate.scopes & scope) !== 0 && delegate.expiryMs >= untilMs;
    }
    return false;
  }
}
