// A cycle's changes over a state: read through, copied at the first edit, dropped without a trace or committed whole.
import { type AccountNumber, assert, INT32_MAX, type InstrumentNumber, microUsdc } from "@tidemark/num";
import { ExactSum } from "./exact-sum.ts";
import { ACCOUNTS_MAX, INSTRUMENTS_MAX, POSITIONS_MAX, RING_SLOTS, ROW_LENGTH } from "./limits.ts";
import { type ParameterSet, parametersHash } from "./parameters.ts";
import type { LedgerState } from "./state.ts";
import { EMPTY_RING_ROOT } from "./tree/roots.ts";
import type {
  AccountCell,
  Address,
  GlobalsCell,
  Hash,
  InstrumentCell,
  OutboxCell,
  Position,
  RingSlot,
  UnderlyingCell,
} from "./types.ts";

/** What a draft hands to its state; cells belong to the state afterwards. */
export interface StateChanges {
  accounts: ReadonlyMap<number, AccountCell>;
  instruments: ReadonlyMap<number, InstrumentCell>;
  underlyings: ReadonlyMap<number, UnderlyingCell>;
  /** Account → slot index → slot. */
  ringSlots: ReadonlyMap<number, ReadonlyMap<number, RingSlot>>;
  /** Appended from globals.outboxCount of the state on. */
  outbox: readonly OutboxCell[];
  globals: GlobalsCell;
  /** Null where they stay. */
  parameters: ParameterSet | null;
}

/** The lists are new, their members shared: delegates and positions are replaced, never changed in place. */
function cloneAccount(cell: Readonly<AccountCell>): AccountCell {
  return { ...cell, delegates: cell.delegates.slice(), positions: cell.positions.slice() };
}

// The messages are built at a failure only: a template before every assertion costs more than the check.
function checkAccount(number: number, cell: Readonly<AccountCell>, instrumentCount: number): void {
  const { positions } = cell;
  if (positions.length > POSITIONS_MAX) assert(false, `account ${number}: positions`);
  let previous = -1;
  for (let i = 0; i < positions.length; i++) {
    const { instrument, size, fundingIndex } = positions[i] as Position;
    if (!(instrument > previous && instrument < instrumentCount)) assert(false, `account ${number}: order`);
    previous = instrument;
    if (!(Number.isInteger(size) && size !== 0 && Math.abs(size) <= INT32_MAX))
      assert(false, `account ${number}: size`);
    if (!Number.isSafeInteger(fundingIndex)) assert(false, `account ${number}: funding index`);
  }
  if (!Number.isSafeInteger(cell.cash)) assert(false, `account ${number}: cash`);
  if (!(Number.isSafeInteger(cell.credit) && cell.credit >= 0)) assert(false, `account ${number}: credit`);
  if (cell.credit === 0 && cell.creditIndex !== 0) assert(false, `account ${number}: creditIndex`);
}

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const isSafe = (value: bigint): boolean => value >= -SAFE_MAX && value <= SAFE_MAX;

function badDebtOf(cell: Readonly<AccountCell> | undefined): number {
  return cell !== undefined && cell.positions.length === 0 && cell.cash < 0 ? -cell.cash : 0;
}

const NO_POSITIONS: readonly Position[] = [];

/** Adds after − before per instrument, by a merge of the two sorted lists. */
function addSizeChanges(before: readonly Position[], after: readonly Position[], sums: Map<number, number>): void {
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const left = before[i];
    const right = after[j];
    if (left === right) {
      i++;
      j++;
      continue;
    }
    const leftInstrument = left === undefined ? Infinity : left.instrument;
    const rightInstrument = right === undefined ? Infinity : right.instrument;
    const instrument = leftInstrument < rightInstrument ? leftInstrument : rightInstrument;
    let change = 0;
    if (left !== undefined && leftInstrument === instrument) {
      change -= left.size;
      i++;
    }
    if (right !== undefined && rightInstrument === instrument) {
      change += right.size;
      j++;
    }
    if (change !== 0) sums.set(instrument, (sums.get(instrument) ?? 0) + change);
  }
}

export class Draft {
  readonly globals: GlobalsCell;
  readonly #state: LedgerState;
  readonly #version: number;
  readonly #accounts = new Map<number, AccountCell>();
  readonly #instruments = new Map<number, InstrumentCell>();
  readonly #underlyings = new Map<number, UnderlyingCell>();
  readonly #ringSlots = new Map<number, Map<number, RingSlot>>();
  readonly #outbox: OutboxCell[] = [];
  #parameters: ParameterSet | null = null;
  #committed = false;

  /** Use LedgerState.begin. */
  constructor(state: LedgerState) {
    this.#state = state;
    this.#version = state.version;
    this.globals = { ...state.globals };
  }

  account(number: number): Readonly<AccountCell> | undefined {
    return this.#accounts.get(number) ?? this.#state.account(number);
  }

  /** Of the accounts before the cycle, ascending. */
  accountNumbers(): number[] {
    return this.#state.accountNumbers();
  }

  /** Mutable; the account must exist. */
  editAccount(number: number): AccountCell {
    const edited = this.#accounts.get(number);
    if (edited !== undefined) return edited;
    const stored = this.#state.account(number);
    if (stored === undefined) assert(false, `account ${number} exists`);
    const copy = cloneAccount(stored);
    copy.domain = this.globals.domain;
    this.#accounts.set(number, copy);
    return copy;
  }

  createAccount(number: AccountNumber, owner: Address): AccountCell {
    assert(number >= 0 && number < ACCOUNTS_MAX && this.account(number) === undefined, `account ${number} is new`);
    const cell = emptyAccount(this.globals.domain, owner);
    this.#accounts.set(number, cell);
    return cell;
  }

  instrument(number: number): Readonly<InstrumentCell> | undefined {
    if (this.#instruments.size === 0) return this.#state.instrument(number);
    return this.#instruments.get(number) ?? this.#state.instrument(number);
  }

  /** No row of an instrument, edited ones included, has a greater value. */
  rowBound(): number {
    let bound = this.#state.rowBound;
    for (const { row } of this.#instruments.values()) for (const value of row) if (value > bound) bound = value;
    return bound;
  }

  editInstrument(number: number): InstrumentCell {
    const edited = this.#instruments.get(number);
    if (edited !== undefined) return edited;
    const stored = this.#state.instrument(number);
    assert(stored !== undefined, `instrument ${number} exists`);
    const copy = { ...stored, row: stored.row.slice() };
    this.#instruments.set(number, copy);
    return copy;
  }

  /** Number of the new instrument. The caller checked INSTRUMENTS_MAX. */
  createInstrument(cell: InstrumentCell): InstrumentNumber {
    const number = this.globals.instrumentCount;
    assert(number < INSTRUMENTS_MAX, "instruments full");
    this.globals.instrumentCount = number + 1;
    this.#instruments.set(number, cell);
    return number as InstrumentNumber;
  }

  underlying(number: number): Readonly<UnderlyingCell> | undefined {
    if (this.#underlyings.size === 0) return this.#state.underlying(number);
    return this.#underlyings.get(number) ?? this.#state.underlying(number);
  }

  editUnderlying(number: number): UnderlyingCell {
    const edited = this.#underlyings.get(number);
    if (edited !== undefined) return edited;
    const stored = this.#state.underlying(number);
    assert(stored !== undefined, `underlying ${number} exists`);
    const copy = { ...stored, surfaces: stored.surfaces.map((surface) => ({ ...surface })) };
    this.#underlyings.set(number, copy);
    return copy;
  }

  /** What the nonce's slot holds now, whichever nonce that is of. */
  ringSlot(account: number, nonce: number): Readonly<RingSlot> | undefined {
    return this.#ringSlots.get(account)?.get(nonce % RING_SLOTS) ?? this.#state.ringSlot(account, nonce);
  }

  putRingSlot(account: number, slot: RingSlot): void {
    this.editAccount(account);
    let slots = this.#ringSlots.get(account);
    if (slots === undefined) {
      slots = new Map();
      this.#ringSlots.set(account, slots);
    }
    slots.set(slot.nonce % RING_SLOTS, slot);
  }

  /** Number of the withdrawal. Adds its amount to outboxTotal; the caller takes it from an account. */
  appendOutbox(cell: OutboxCell): number {
    const number = this.globals.outboxCount;
    this.globals.outboxCount = number + 1;
    this.globals.outboxTotal = microUsdc(this.globals.outboxTotal + cell.amount);
    this.#outbox.push(cell);
    return number;
  }

  /** From the next cycle on; the set is valid. */
  changeParameters(parameters: ParameterSet): void {
    this.#parameters = parameters;
    this.globals.parametersHash = parametersHash(parameters);
  }

  /** As tryCommit, where no total can leave the safe integers. */
  commit(): Hash {
    const root = this.tryCommit();
    if (root === null) assert(false, "the totals are safe integers");
    return root;
  }

  /**
   * Makes the changes the state's own and returns its new root; null, and nothing was done, when a total would leave the safe
   * integers. @throws BugError when an identity does not hold.
   */
  tryCommit(): Hash | null {
    assert(!this.#committed && this.#state.version === this.#version, "draft is of the current state");
    for (const [number, cell] of this.#accounts) checkAccount(number, cell, this.globals.instrumentCount);
    for (const [number, cell] of this.#instruments) {
      assert(cell.row.length === ROW_LENGTH, `instrument ${number}: row length`);
    }
    if (!this.#setTotals()) return null;
    this.#checkSizes();
    this.#committed = true;
    return this.#state.store({
      accounts: this.#accounts,
      instruments: this.#instruments,
      underlyings: this.#underlyings,
      ringSlots: this.#ringSlots,
      outbox: this.#outbox,
      globals: this.globals,
      parameters: this.#parameters,
    });
  }

  /** False where one is no safe integer: then none is set. */
  #setTotals(): boolean {
    const { globals } = this;
    const before = this.#state.globals;
    // Exact sums: a partial sum over some of the accounts may leave the safe range while the total does not.
    const cashTotal = new ExactSum();
    const badDebt = new ExactSum();
    let creditChange = 0;
    cashTotal.add(before.cashTotal);
    badDebt.add(before.badDebt);
    for (const [number, cell] of this.#accounts) {
      const stored = this.#state.account(number);
      cashTotal.add(cell.cash);
      cashTotal.add(-(stored?.cash ?? 0));
      creditChange += cell.credit - (stored?.credit ?? 0);
      badDebt.add(badDebtOf(cell));
      badDebt.add(-badDebtOf(stored));
    }
    const clearingTotal = new ExactSum();
    clearingTotal.add(before.clearingTotal);
    for (const [number, cell] of this.#instruments) {
      clearingTotal.add(cell.clearingCash);
      clearingTotal.add(-(this.#state.instrument(number)?.clearingCash ?? 0));
    }
    if (!(isSafe(cashTotal.value()) && isSafe(clearingTotal.value()) && isSafe(badDebt.value()))) return false;
    globals.cashTotal = microUsdc(Number(cashTotal.value()));
    globals.clearingTotal = microUsdc(Number(clearingTotal.value()));
    globals.badDebt = microUsdc(Number(badDebt.value()));
    assert(globals.creditTotal - before.creditTotal === creditChange, "creditTotal = Σ credit");
    assert(
      BigInt(globals.inboundTotal) === cashTotal.value() + clearingTotal.value() + BigInt(globals.outboxTotal),
      "inboundTotal = cashTotal + clearingTotal + outboxTotal",
    );
    return true;
  }

  /** Per derivative Σ sizes + clearingPosition stays 0. */
  #checkSizes(): void {
    const sums = new Map<number, number>();
    for (const [number, cell] of this.#accounts) {
      addSizeChanges(this.#state.account(number)?.positions ?? NO_POSITIONS, cell.positions, sums);
    }
    for (const [number, cell] of this.#instruments) {
      const change = cell.clearingPosition - (this.#state.instrument(number)?.clearingPosition ?? 0);
      if (change !== 0) sums.set(number, (sums.get(number) ?? 0) + change);
    }
    for (const [instrument, sum] of sums) assert(sum === 0, `sizes of instrument ${instrument} sum to zero`);
  }
}

export function emptyAccount(domain: number, owner: Address): AccountCell {
  return {
    domain,
    owner,
    delegates: [],
    cash: microUsdc(0),
    credit: microUsdc(0),
    minNonce: 0 as AccountCell["minNonce"],
    liquidationMs: 0 as AccountCell["liquidationMs"],
    auctionMs: 0 as AccountCell["auctionMs"],
    creditIndex: 0,
    ringRoot: EMPTY_RING_ROOT,
    positions: [],
  };
}
