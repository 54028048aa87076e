// Margin of an account with all its open orders, kept incrementally and exactly: per account and underlying
// L[s] = Σ size · (V[s] − V[0]) and O[s] = Σ open lots · max(0, side · (price − V[s]) + fee). All terms are integers below
// 2^53 (the bounds are checked first), so adding and taking away leaves no trace and any order of operations agrees.
import { CASH_BOUND, EXPOSURE_BOUND, ROW_LENGTH, UNDERLYINGS_MAX as UNDERLYINGS } from "@tidemark/ledger";
import { assert, INT32_MAX, mulDivCeilNumber } from "@tidemark/num";
import {
  type Accounts,
  P_ACCOUNT,
  P_INSTRUMENT,
  P_NEXT,
  P_RISK,
  P_SIZE,
  POSITION_SHIFT,
  pendingFunding,
  RISK_STRIDE,
  V_ADD_ON,
  V_BUY_LOTS,
  V_EXPOSURE,
  V_FUNDING_INDEX,
  V_PENDING,
  V_SELL_LOTS,
} from "./accounts.ts";
import type { Instruments } from "./instruments.ts";
import { NONE } from "./orders.ts";

/** Half of the ledger's bound: the other half is room for funding and settlement that no order brings. */
const CASH_REACH_BOUND = CASH_BOUND / 2;
/** A quarter of the ledger's bound: rows may grow eightfold before a sum of this package could leave 2^53. */
const EXPOSURE_REACH_BOUND = EXPOSURE_BOUND / 4;

/** Numbers of one account, as decisions use them. */
export interface AccountMargin {
  cash: number;
  credit: number;
  equity: number;
  /** With all open orders. */
  initialWithOrders: number;
  /** Of the positions alone. */
  initial: number;
  maintenance: number;
}

export class Margin {
  readonly #accounts: Accounts;
  readonly #instruments: Instruments;
  readonly #scenarios: number;

  constructor(accounts: Accounts, instruments: Instruments, scenarioCount: number) {
    this.#accounts = accounts;
    this.#instruments = instruments;
    this.#scenarios = scenarioCount;
  }

  initialWithOrders(account: number): number {
    return (this.#accounts.scenario[account] as number) + (this.#accounts.addOns[account] as number);
  }

  /** With every open order: requirement met, and exposure so low that no fill of them can meet the ledger's bound. */
  isCovered(account: number): boolean {
    const accounts = this.#accounts;
    const means = (accounts.equity[account] as number) + (accounts.credit[account] as number);
    return means >= this.initialWithOrders(account) && (accounts.exposure[account] as number) < EXPOSURE_BOUND;
  }

  addOnOf(instrument: number, size: number): number {
    const instruments = this.#instruments;
    const lots = Math.abs(size);
    const slope = (size < 0 ? instruments.shortAddOn[instrument] : instruments.longAddOn[instrument]) as number;
    const excess = lots - (instruments.concentrationLots[instrument] as number);
    return lots * slope + (excess > 0 ? excess * (instruments.concentrationAddOn[instrument] as number) : 0);
  }

  /** Of the worse end of [size − sells, size + buys]: the add-on is convex with its least value at 0. */
  #addOnReachable(instrument: number, size: number, buys: number, sells: number): number {
    const low = this.addOnOf(instrument, size - sells);
    const high = this.addOnOf(instrument, size + buys);
    return low > high ? low : high;
  }

  #refreshReach(record: number): void {
    const accounts = this.#accounts;
    const base = record << POSITION_SHIFT;
    const values = accounts.positionValues;
    const account = accounts.positions[base + P_ACCOUNT] as number;
    const instrument = accounts.positions[base + P_INSTRUMENT] as number;
    const size = accounts.positions[base + P_SIZE] as number;
    const buys = values[base + V_BUY_LOTS] as number;
    const sells = values[base + V_SELL_LOTS] as number;
    const addOn = this.#addOnReachable(instrument, size, buys, sells);
    const exposure =
      Math.max(Math.abs(size + buys), Math.abs(size - sells)) * (this.#instruments.rowMax[instrument] as number);
    accounts.addOns[account] = (accounts.addOns[account] as number) + addOn - (values[base + V_ADD_ON] as number);
    accounts.exposure[account] =
      (accounts.exposure[account] as number) + exposure - (values[base + V_EXPOSURE] as number);
    values[base + V_ADD_ON] = addOn;
    values[base + V_EXPOSURE] = exposure;
  }

  #setRequired(account: number, riskRecord: number, required: number): void {
    const accounts = this.#accounts;
    const before = accounts.riskRequired[riskRecord] as number;
    accounts.scenario[account] = (accounts.scenario[account] as number) + required - before;
    accounts.riskRequired[riskRecord] = required;
  }

  /** Adds (`lots` > 0) or takes away (`lots` < 0) open lots at a price. */
  addOrder(record: number, side: number, price: number, lots: number): void {
    const accounts = this.#accounts;
    const base = record << POSITION_SHIFT;
    const account = accounts.positions[base + P_ACCOUNT] as number;
    const instrument = accounts.positions[base + P_INSTRUMENT] as number;
    const riskRecord = accounts.positions[base + P_RISK] as number;
    const fee = this.#instruments.makerFeeAt(instrument, price);
    const cost = price * (this.#instruments.tickValue[instrument] as number);
    const worst = side * cost + fee;
    const rows = this.#instruments.rows;
    const row = instrument * ROW_LENGTH;
    const risk = accounts.risk;
    const loss = riskRecord * RISK_STRIDE;
    const open = loss + ROW_LENGTH;
    const scenarios = this.#scenarios;
    let required = 0;
    for (let s = 0; s < scenarios; s++) {
      const term = worst - side * (rows[row + s] as number);
      const o = (risk[open + s] as number) + (term > 0 ? lots * term : 0);
      risk[open + s] = o;
      const r = o - (risk[loss + s] as number);
      if (r > required) required = r;
    }
    this.#setRequired(account, riskRecord, required);
    const lotsField = base + (side > 0 ? V_BUY_LOTS : V_SELL_LOTS);
    accounts.positionValues[lotsField] = (accounts.positionValues[lotsField] as number) + lots;
    accounts.notional[account] = (accounts.notional[account] as number) + lots * (cost + fee);
    this.#refreshReach(record);
  }

  /** Changes a position by a trade: `side` · `lots` at `price`, `fee` in all. Realises the position's funding. */
  applyTrade(record: number, side: number, lots: number, price: number, fee: number): void {
    const accounts = this.#accounts;
    const instruments = this.#instruments;
    const base = record << POSITION_SHIFT;
    const values = accounts.positionValues;
    const account = accounts.positions[base + P_ACCOUNT] as number;
    const instrument = accounts.positions[base + P_INSTRUMENT] as number;
    const riskRecord = accounts.positions[base + P_RISK] as number;
    const signed = side * lots;
    const cost = signed * (price * (instruments.tickValue[instrument] as number)) + fee;
    const pending = values[base + V_PENDING] as number;
    if (pending !== 0) {
      accounts.pending[account] = (accounts.pending[account] as number) - pending;
      values[base + V_PENDING] = 0;
    }
    values[base + V_FUNDING_INDEX] = instruments.fundingIndex[instrument] as number;
    accounts.cash[account] = (accounts.cash[account] as number) + pending - cost;
    const rows = instruments.rows;
    const row = instrument * ROW_LENGTH;
    const mark = rows[row] as number;
    accounts.equity[account] = (accounts.equity[account] as number) + signed * mark - cost;
    const risk = accounts.risk;
    const loss = riskRecord * RISK_STRIDE;
    const open = loss + ROW_LENGTH;
    const scenarios = this.#scenarios;
    let required = 0;
    for (let s = 0; s < scenarios; s++) {
      const l = (risk[loss + s] as number) + signed * ((rows[row + s] as number) - mark);
      risk[loss + s] = l;
      const r = (risk[open + s] as number) - l;
      if (r > required) required = r;
    }
    this.#setRequired(account, riskRecord, required);
    this.#setSize(record, account, instrument, (accounts.positions[base + P_SIZE] as number) + signed);
    this.#refreshReach(record);
  }

  #setSize(record: number, account: number, instrument: number, size: number): void {
    const accounts = this.#accounts;
    const base = record << POSITION_SHIFT;
    const before = accounts.positions[base + P_SIZE] as number;
    accounts.positions[base + P_SIZE] = size;
    if (before === 0 && size !== 0) {
      accounts.heldCount[account] = (accounts.heldCount[account] as number) + 1;
      const untilMs = this.#instruments.marksUntilMs[instrument] as number;
      if (untilMs < (accounts.marksUntilMs[account] as number)) accounts.marksUntilMs[account] = untilMs;
    } else if (before !== 0 && size === 0) {
      accounts.heldCount[account] = (accounts.heldCount[account] as number) - 1;
      accounts.refreshMarksUntil(account);
    }
  }

  /** Would cash, exposure and size stay in range whatever part of all open orders and this one fills? */
  isWithinBounds(
    account: number,
    instrument: number,
    side: number,
    worstPrice: number,
    lots: number,
    fee: number,
  ): boolean {
    const accounts = this.#accounts;
    const record = accounts.findPosition(account, instrument);
    const base = record << POSITION_SHIFT;
    const size = record === NONE ? 0 : (accounts.positions[base + P_SIZE] as number);
    const buys = (record === NONE ? 0 : (accounts.positionValues[base + V_BUY_LOTS] as number)) + (side > 0 ? lots : 0);
    const sells =
      (record === NONE ? 0 : (accounts.positionValues[base + V_SELL_LOTS] as number)) + (side > 0 ? 0 : lots);
    const reach = Math.max(Math.abs(size + buys), Math.abs(size - sells));
    if (reach > INT32_MAX) return false;
    const exposureBefore = record === NONE ? 0 : (accounts.positionValues[base + V_EXPOSURE] as number);
    // Sums of doubles beyond 2^53 are inexact, but far above the bound, so the comparison holds.
    const exposure =
      (accounts.exposure[account] as number) -
      exposureBefore +
      reach * (this.#instruments.rowMax[instrument] as number);
    if (exposure >= EXPOSURE_REACH_BOUND && exposure > (accounts.exposure[account] as number)) return false;
    const orderCash = lots * (worstPrice * (this.#instruments.tickValue[instrument] as number) + fee);
    const cash = Math.abs(accounts.cash[account] as number) + Math.abs(accounts.pending[account] as number);
    return cash + (accounts.notional[account] as number) + orderCash < CASH_REACH_BOUND;
  }

  /**
   * An upper bound of initialWithOrder without the scenarios: every lot is charged the order's own worst scenario on top of
   * what is required already. It may accept an order; only initialWithOrder may refuse one.
   */
  initialWithOrderAtMost(
    account: number,
    instrument: number,
    side: number,
    price: number,
    lots: number,
    fee: number,
  ): number {
    const accounts = this.#accounts;
    const instruments = this.#instruments;
    const cost = price * (instruments.tickValue[instrument] as number);
    const worst =
      side > 0 ? cost - (instruments.rowMin[instrument] as number) : (instruments.rowMax[instrument] as number) - cost;
    const added = worst + fee > 0 ? lots * (worst + fee) : 0;
    return (
      this.initialWithOrders(account) +
      added +
      this.#addOnWithOrder(accounts.findPosition(account, instrument), instrument, side, lots)
    );
  }

  /** What the add-on grows by when `lots` more are open. */
  #addOnWithOrder(record: number, instrument: number, side: number, lots: number): number {
    const buys = side > 0 ? lots : 0;
    const sells = side > 0 ? 0 : lots;
    if (record === NONE) return this.#addOnReachable(instrument, 0, buys, sells);
    const base = record << POSITION_SHIFT;
    const values = this.#accounts.positionValues;
    const size = this.#accounts.positions[base + P_SIZE] as number;
    const reachable = this.#addOnReachable(
      instrument,
      size,
      buys + (values[base + V_BUY_LOTS] as number),
      sells + (values[base + V_SELL_LOTS] as number),
    );
    return reachable - (values[base + V_ADD_ON] as number);
  }

  /** Initial margin with all open orders and `lots` more, each at worst filled at `price` with `fee` per lot. */
  initialWithOrder(
    account: number,
    instrument: number,
    underlying: number,
    side: number,
    price: number,
    lots: number,
    fee: number,
  ): number {
    const accounts = this.#accounts;
    const instruments = this.#instruments;
    const worst = side * price * (instruments.tickValue[instrument] as number) + fee;
    const rows = instruments.rows;
    const row = instrument * ROW_LENGTH;
    const riskRecord = accounts.riskOf[account * UNDERLYINGS + underlying] as number;
    const risk = accounts.risk;
    const loss = riskRecord * RISK_STRIDE;
    const open = loss + ROW_LENGTH;
    const scenarios = this.#scenarios;
    let required = 0;
    for (let s = 0; s < scenarios; s++) {
      const term = worst - side * (rows[row + s] as number);
      const added = term > 0 ? lots * term : 0;
      const r = riskRecord === NONE ? added : added + (risk[open + s] as number) - (risk[loss + s] as number);
      if (r > required) required = r;
    }
    const before = riskRecord === NONE ? 0 : (accounts.riskRequired[riskRecord] as number);
    const addOn = this.#addOnWithOrder(accounts.findPosition(account, instrument), instrument, side, lots);
    return this.initialWithOrders(account) + required - before + addOn;
  }

  /**
   * May this fill happen although the order as a whole is not covered? Either the account is covered after it with all
   * its orders, or it has none and the fill satisfies the ledger's rule R′ < R, E′ − R′ ≥ E − R, E′ ≥ min(E, 0) and, while
   * E > 0, E′/R′ ≥ E/R. Each part is transitive, so what holds for every fill holds for the cycle.
   */
  isFillAllowed(
    account: number,
    instrument: number,
    underlying: number,
    side: number,
    price: number,
    lots: number,
    fee: number,
  ): boolean {
    const accounts = this.#accounts;
    const instruments = this.#instruments;
    const record = accounts.findPosition(account, instrument);
    const base = record << POSITION_SHIFT;
    const signed = side * lots;
    const rows = instruments.rows;
    const row = instrument * ROW_LENGTH;
    const mark = rows[row] as number;
    const riskRecord = accounts.riskOf[account * UNDERLYINGS + underlying] as number;
    const loss = riskRecord * RISK_STRIDE;
    const open = loss + ROW_LENGTH;
    let required = 0;
    for (let s = 0; s < this.#scenarios; s++) {
      const standing =
        riskRecord === NONE ? 0 : (accounts.risk[open + s] as number) - (accounts.risk[loss + s] as number);
      const r = standing - signed * ((rows[row + s] as number) - mark);
      if (r > required) required = r;
    }
    const requiredBefore = riskRecord === NONE ? 0 : (accounts.riskRequired[riskRecord] as number);
    const size = record === NONE ? 0 : (accounts.positions[base + P_SIZE] as number);
    const buys = record === NONE ? 0 : (accounts.positionValues[base + V_BUY_LOTS] as number);
    const sells = record === NONE ? 0 : (accounts.positionValues[base + V_SELL_LOTS] as number);
    const addOnBefore = record === NONE ? 0 : (accounts.positionValues[base + V_ADD_ON] as number);
    const addOn = this.#addOnReachable(instrument, size + signed, buys, sells);
    const initialBefore = this.initialWithOrders(account);
    const initial = initialBefore + required - requiredBefore + addOn - addOnBefore;
    const equityBefore = accounts.equity[account] as number;
    const equity = equityBefore + signed * (mark - price * (instruments.tickValue[instrument] as number)) - lots * fee;
    if (equity + (accounts.credit[account] as number) >= initial) return true;
    if ((accounts.orderCount[account] as number) !== 0) return false;
    if (initial >= initialBefore || equity - initial < equityBefore - initialBefore) return false;
    if (equity < Math.min(equityBefore, 0)) return false;
    // Ceil: E′ is an integer, so E′ ≥ E·R′/R is E′ ≥ ceil(E·R′/R). R > R′ ≥ 0.
    return equityBefore <= 0 || equity >= mulDivCeilNumber(equityBefore, initial, initialBefore);
  }

  /** From scratch after marks, funding or cells changed. `openOrders` re-adds the account's orders through addOrder. */
  recompute(account: number, openOrders: (account: number) => void): void {
    const accounts = this.#accounts;
    const instruments = this.#instruments;
    for (let underlying = 0; underlying < UNDERLYINGS; underlying++) {
      const riskRecord = accounts.riskOf[account * UNDERLYINGS + underlying] as number;
      if (riskRecord === NONE) continue;
      accounts.risk.fill(0, riskRecord * RISK_STRIDE, (riskRecord + 1) * RISK_STRIDE);
      accounts.riskRequired[riskRecord] = 0;
    }
    accounts.scenario[account] = 0;
    accounts.addOns[account] = 0;
    accounts.exposure[account] = 0;
    accounts.notional[account] = 0;
    let pendingTotal = 0;
    let value = 0;
    for (let record = accounts.positionHead[account] as number; record !== NONE; ) {
      const base = record << POSITION_SHIFT;
      const values = accounts.positionValues;
      const instrument = accounts.positions[base + P_INSTRUMENT] as number;
      const size = accounts.positions[base + P_SIZE] as number;
      const riskRecord = accounts.positions[base + P_RISK] as number;
      const row = instrument * ROW_LENGTH;
      const mark = instruments.rows[row] as number;
      const pending =
        size === 0
          ? 0
          : pendingFunding(
              size,
              instruments.fundingIndex[instrument] as number,
              values[base + V_FUNDING_INDEX] as number,
            );
      values[base + V_PENDING] = pending;
      values[base + V_BUY_LOTS] = 0;
      values[base + V_SELL_LOTS] = 0;
      values[base + V_ADD_ON] = 0;
      values[base + V_EXPOSURE] = 0;
      pendingTotal += pending;
      value += size * mark;
      let required = 0;
      for (let s = 0; s < this.#scenarios; s++) {
        const place = riskRecord * RISK_STRIDE + s;
        const l = (accounts.risk[place] as number) + size * ((instruments.rows[row + s] as number) - mark);
        accounts.risk[place] = l;
        if (-l > required) required = -l;
      }
      this.#setRequired(account, riskRecord, required);
      this.#refreshReach(record);
      record = accounts.positions[base + P_NEXT] as number;
    }
    accounts.pending[account] = pendingTotal;
    accounts.equity[account] = (accounts.cash[account] as number) + pendingTotal + value;
    assert(Number.isSafeInteger(accounts.equity[account] as number), "equity is exact");
    openOrders(account);
    accounts.refreshMarksUntil(account);
  }

  /** Size of a position as the ledger's cell has it; the caller recomputes the account afterwards. */
  loadPosition(account: number, instrument: number, size: number, fundingIndex: number): void {
    const accounts = this.#accounts;
    const record = accounts.position(account, instrument);
    this.#setSize(record, account, instrument, size);
    accounts.positionValues[(record << POSITION_SHIFT) + V_FUNDING_INDEX] = fundingIndex;
  }
}
