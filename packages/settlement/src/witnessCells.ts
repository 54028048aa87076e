// Which cells a fault needs: "root" every cell that the cycle reads or writes outside margins, "rule at account" what
// concerns that account, the rows of its positions included.
import {
  type AuctionCycle,
  type AuctionTake,
  CYCLE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  type Cycle,
  cycleBytes,
  cycleWeight,
  INSURANCE_ACCOUNT,
  type InboundEntry,
  type LedgerState,
  type LiquidationCycle,
  RING_SLOTS,
  TREASURY_ACCOUNT,
  type TradeAccount,
  type TradeCycle,
} from "@tidemark/ledger";
import { assertNever, U48_MAX } from "@tidemark/num";

export interface WitnessCells {
  /** Account → slots of its order ring. */
  accounts: Map<number, Set<number>>;
  instruments: Set<number>;
  underlyings: Set<number>;
  outbox: Set<number>;
}

function noCells(): WitnessCells {
  return { accounts: new Map(), instruments: new Set(), underlyings: new Set(), outbox: new Set() };
}

function addAccount(cells: WitnessCells, account: number): Set<number> {
  let slots = cells.accounts.get(account);
  if (slots === undefined) {
    slots = new Set();
    cells.accounts.set(account, slots);
  }
  return slots;
}

function addTradeAccount(cells: WitnessCells, trade: Readonly<TradeAccount>): void {
  const slots = addAccount(cells, trade.account);
  for (const { order } of trade.entries) {
    slots.add(order.nonce % RING_SLOTS);
    for (const leg of order.legs) cells.instruments.add(leg.instrument);
  }
}

function addUnderlyings(state: LedgerState, cells: WitnessCells): void {
  for (const number of cells.instruments) {
    const instrument = state.instrument(number);
    if (instrument !== undefined) cells.underlyings.add(instrument.underlying);
  }
}

/** Rows that the margin of the account as it stands needs, and their underlyings. */
function addPositions(state: LedgerState, cells: WitnessCells, account: number): void {
  for (const { instrument } of state.account(account)?.positions ?? []) cells.instruments.add(instrument);
  addUnderlyings(state, cells);
}

function addInboundEntry(state: LedgerState, cells: WitnessCells, entry: Readonly<InboundEntry>): void {
  if (entry.type === "listSeries") {
    cells.underlyings.add(entry.underlying);
    return;
  }
  if (entry.type === "adminChange") return;
  const slots = addAccount(cells, entry.account);
  if (entry.type === "forcedClose") {
    slots.add(entry.nonce % RING_SLOTS);
    cells.instruments.add(entry.instrument);
  }
  if (entry.type === "forcedWithdrawal") addAccount(cells, INSURANCE_ACCOUNT);
  if (entry.type === "forcedWithdrawal" || entry.type === "forcedLiquidation") {
    addPositions(state, cells, entry.account);
  }
}

function addBidder(cells: WitnessCells, { bid, legs }: Readonly<AuctionTake>): void {
  addAccount(cells, bid.account).add(bid.nonce % RING_SLOTS);
  for (const { instrument } of legs) cells.instruments.add(instrument);
}

function addAuction(state: LedgerState, cells: WitnessCells, cycle: Readonly<AuctionCycle>): void {
  addAccount(cells, cycle.account);
  if (cycle.op !== "take" || isMiscounted(state, cycle)) return;
  addAccount(cells, INSURANCE_ACCOUNT);
  addBidder(cells, cycle.take);
}

/** Of the auctioned account or of the bidder: neither needs the other. */
function addAuctionAt(state: LedgerState, cells: WitnessCells, cycle: Readonly<AuctionCycle>, account: number): void {
  addAccount(cells, account);
  if (cycle.op === "take") {
    if (account !== cycle.account && account === cycle.take.bid.account) addBidder(cells, cycle.take);
    for (const { instrument } of cycle.take.legs) cells.instruments.add(instrument);
  }
  addPositions(state, cells, account);
}

/** Cells that the entries may append: leaves behind the last instrument and the last withdrawal. */
function addAppended(state: LedgerState, cells: WitnessCells, entries: readonly InboundEntry[]): void {
  let instruments = 0;
  let payments = 0;
  for (const entry of entries) {
    if (entry.type === "listSeries") instruments += 1 + 2 * entry.strikes.length;
    else if (entry.type === "deposit" || entry.type === "forcedWithdrawal") payments += 1;
  }
  for (let i = 0; i < instruments; i++) cells.instruments.add(state.instrumentCount + i);
  for (let i = 0; i < payments; i++) cells.outbox.add(state.outboxCount + i);
}

const isMiscounted = (state: LedgerState, item: { account: number; positionCount: number }): boolean =>
  (state.account(item.account)?.positions.length ?? 0) !== item.positionCount;

/**
 * Up to the first account that does not hold as many positions as the cycle says: the cycle is refused there, and those behind it may
 * hold more than its weight counts. One challenge has room for one such account.
 */
function untilMiscounted<Item extends { account: number; positionCount: number }>(
  state: LedgerState,
  items: readonly Item[],
): readonly Item[] {
  const place = items.findIndex((item) => isMiscounted(state, item));
  return place < 0 ? items : items.slice(0, place + 1);
}

/** Refused before any cell is looked at: such a cycle may name more cells than a challenge can bring. */
function isRefusedInGeneral(state: LedgerState, cycle: Readonly<Cycle>): boolean {
  if (cycle.timeMs > U48_MAX || cycle.timeMs < state.globals.timeMs) return true;
  return cycleBytes(cycle) > CYCLE_BYTES_MAX || cycleWeight(cycle) > CYCLE_WEIGHT_MAX;
}

/** Cells of a fault "root". `state` is the one before the cycle. */
export function rootFaultCells(state: LedgerState, cycle: Readonly<Cycle>): WitnessCells {
  const cells = noCells();
  if (isRefusedInGeneral(state, cycle)) return cells;
  switch (cycle.kind) {
    case "report": {
      cells.underlyings.add(cycle.underlying);
      const underlying = state.underlying(cycle.underlying);
      if (underlying?.hasPerpetual === true) cells.instruments.add(underlying.perpetual);
      return cells;
    }
    case "rows":
      cells.underlyings.add(cycle.underlying);
      for (const instrument of cycle.instruments) cells.instruments.add(instrument);
      return cells;
    case "trade":
      addAccount(cells, TREASURY_ACCOUNT);
      for (const account of untilMiscounted(state, cycle.accounts)) addTradeAccount(cells, account);
      return cells;
    case "liquidation":
      for (const account of [TREASURY_ACCOUNT, INSURANCE_ACCOUNT, cycle.account]) addAccount(cells, account);
      for (const leg of cycle.legs) cells.instruments.add(leg.instrument);
      if (isMiscounted(state, cycle)) return cells;
      for (const account of untilMiscounted(state, cycle.counterparties)) addTradeAccount(cells, account);
      return cells;
    case "auction":
      addAuction(state, cells, cycle);
      return cells;
    case "bankruptcy":
      for (const account of [INSURANCE_ACCOUNT, ...cycle.accounts]) addAccount(cells, account);
      return cells;
    case "adl":
      for (const { account } of untilMiscounted(state, [cycle, ...cycle.counterparties])) addAccount(cells, account);
      cells.instruments.add(cycle.instrument);
      return cells;
    case "credit":
      for (const account of [INSURANCE_ACCOUNT, cycle.account]) addAccount(cells, account);
      return cells;
    case "admin":
      return cells;
    case "expiry":
      cells.underlyings.add(cycle.underlying);
      for (const instrument of cycle.instruments) cells.instruments.add(instrument);
      for (const { account, instruments } of untilMiscounted(state, cycle.realisations)) {
        addAccount(cells, account);
        for (const instrument of instruments) cells.instruments.add(instrument);
      }
      return cells;
    case "inbound":
      for (const entry of cycle.entries) addInboundEntry(state, cells, entry);
      addAppended(state, cells, cycle.entries);
      return cells;
    case "outbound":
      addAccount(cells, INSURANCE_ACCOUNT);
      for (const { withdrawal } of cycle.withdrawals) {
        addAccount(cells, withdrawal.account).add(withdrawal.nonce % RING_SLOTS);
      }
      for (let i = 0; i < cycle.withdrawals.length; i++) cells.outbox.add(state.outboxCount + i);
      return cells;
    default:
      return assertNever(cycle, "cycle");
  }
}

/** What the payload says that a trading account or the liquidated one holds; −1 where it says nothing. */
function declaredPositions(cycle: Readonly<TradeCycle | LiquidationCycle>, account: number): number {
  if (cycle.kind === "liquidation" && cycle.account === account) return cycle.positionCount;
  const trades = cycle.kind === "trade" ? cycle.accounts : cycle.counterparties;
  return trades.find((trade) => trade.account === account)?.positionCount ?? -1;
}

/** Cells of a fault "rule at account". Kinds whose rule is shown by execution alone need none. */
export function accountFaultCells(state: LedgerState, cycle: Readonly<Cycle>, account: number): WitnessCells {
  const cells = noCells();
  if (isRefusedInGeneral(state, cycle)) return cells;
  switch (cycle.kind) {
    case "trade":
    case "liquidation": {
      const trades = cycle.kind === "trade" ? cycle.accounts : cycle.counterparties;
      addAccount(cells, account);
      // The account alone shows it, and what it really holds may be more than a transaction can bring.
      if (declaredPositions(cycle, account) !== state.account(account)?.positions.length) return cells;
      for (const trade of trades) if (trade.account === account) addTradeAccount(cells, trade);
      if (cycle.kind === "liquidation" && cycle.account === account) {
        for (const leg of cycle.legs) cells.instruments.add(leg.instrument);
      }
      addPositions(state, cells, account);
      return cells;
    }
    case "outbound": {
      addAccount(cells, INSURANCE_ACCOUNT);
      const slots = addAccount(cells, account);
      for (const { withdrawal } of cycle.withdrawals) {
        if (withdrawal.account === account) slots.add(withdrawal.nonce % RING_SLOTS);
      }
      addPositions(state, cells, account);
      return cells;
    }
    case "auction":
      addAuctionAt(state, cells, cycle, account);
      return cells;
    case "adl":
      // An account that is not named shows that it was passed over, the bankrupt one that the insurance still pays.
      if (account === cycle.account) addAccount(cells, INSURANCE_ACCOUNT);
      // Its side says which side the others must be on.
      for (const number of [cycle.account, account]) addAccount(cells, number);
      addPositions(state, cells, account);
      return cells;
    case "report":
    case "rows":
    case "bankruptcy":
    case "expiry":
    case "inbound":
    case "credit":
    case "admin":
      return cells;
    default:
      return assertNever(cycle, "cycle");
  }
}
