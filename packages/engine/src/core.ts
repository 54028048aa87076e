// What the parts of the engine share: state, ports and configuration. No rules here beyond keeping the parts in step.
import {
  applyCycle,
  CYCLE_WEIGHT_MAX,
  type Cycle,
  type CycleRejection,
  concentrationLotsOf,
  cycleWeight,
  encodeCycle,
  type InboundOutcome,
  type LedgerState,
  type Order,
  type ParameterSet,
  positionSize,
  SCENARIO_COUNT,
  type SignaturePort,
  type TradeAccount,
} from "@tidemark/ledger";
import { assert } from "@tidemark/num";
import { Accounts, P_SIZE, POSITION_SHIFT } from "./accounts.ts";
import { Books } from "./book.ts";
import { CancelReason, type EventSink, silentSink } from "./events.ts";
import { Instruments } from "./instruments.ts";
import { Margin } from "./margin.ts";
import { Netting } from "./netting.ts";
import {
  ACCOUNT,
  ACCOUNT_NEXT,
  ACCOUNT_PREVIOUS,
  ENTRY,
  INSTRUMENT,
  NONE,
  ORDER_STRIDE_SHIFT,
  OrderArena,
  POSITION,
  PRICE,
  REMAINING,
  SIDE,
} from "./orders.ts";

export interface EngineConfig {
  /** A trade cycle closes when its first fill is this old. */
  readonly cycleAgeMsMax: number;
  /** "listed": every report prices all instruments that can be priced; "needed": those in use, new, or with half-aged rows. */
  readonly rowsFor: "listed" | "needed";
  /** Stepped tick sizes: whether a price may be quoted. Pure; every price when absent. */
  readonly isOnTick?: (instrument: number, price: number) => boolean;
}

export class Core {
  readonly parameters: ParameterSet;
  readonly ledger: LedgerState;
  readonly signatures: SignaturePort;
  readonly config: EngineConfig;
  readonly arena = new OrderArena();
  readonly books = new Books(this.arena);
  readonly instruments: Instruments;
  readonly accounts: Accounts;
  readonly margin: Margin;
  readonly netting = new Netting();
  sink: EventSink = silentSink;
  timeMs = 0;
  /** Acceptance numbers given so far. */
  sequence = 0;
  cycleIndex = 0;
  commandsSinceCycle = 0;
  /** Earliest expiry of an instrument with a book that was not swept yet. */
  instrumentExpiryMs = Number.MAX_SAFE_INTEGER;
  readonly #readdOrders = (account: number): void => this.#addOrdersOf(account);

  constructor(parameters: ParameterSet, ledger: LedgerState, signatures: SignaturePort, config: EngineConfig) {
    this.parameters = parameters;
    this.ledger = ledger;
    this.signatures = signatures;
    this.config = config;
    const { risk } = parameters;
    const fees = {
      makerPpb: risk.makerFeePpb,
      takerPpb: risk.takerFeePpb,
      optionPriceDivisor: risk.optionFeePriceDivisor,
    };
    this.instruments = new Instruments(fees, risk.markAgeMaxMs, (cell) => concentrationLotsOf(risk, cell.kind));
    this.accounts = new Accounts(this.instruments);
    this.margin = new Margin(this.accounts, this.instruments, SCENARIO_COUNT);
  }

  // ── cycles ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Applies a cycle that the caller proved valid: a refusal is a bug ("no trade busts"). */
  settle(cycle: Cycle, fills: number, settledDeltas: number): InboundOutcome[] {
    const verdict = this.trySettle(cycle, fills, settledDeltas);
    if (verdict.ok) return verdict.outcomes;
    const { code, name, account, instrument, place } = verdict.rejection;
    assert(
      false,
      `ledger refuses ${cycle.kind} cycle: ${code} ${name}, account ${account}, instrument ${instrument}, place ${place}`,
    );
  }

  /** Applies a cycle whose content comes from outside; a refusal leaves the ledger as it was. */
  trySettle(
    cycle: Cycle,
    fills: number,
    settledDeltas: number,
  ): { ok: true; outcomes: InboundOutcome[] } | { ok: false; rejection: CycleRejection } {
    const verdict = applyCycle(this.ledger, cycle, { signatures: this.signatures });
    if (!verdict.ok) return verdict;
    this.sink.onCycle({
      index: this.cycleIndex,
      kind: cycle.kind,
      timeMs: cycle.timeMs,
      payload: encodeCycle(cycle),
      postRoot: verdict.root,
      fills,
      messages: this.commandsSinceCycle,
      settledDeltas,
    });
    this.cycleIndex += 1;
    this.commandsSinceCycle = 0;
    return verdict;
  }

  /** Settles the open trade cycle, if there is one. */
  closeTradeCycle(): void {
    if (!this.netting.isOpen) return;
    const { cycle, fills, deltas } = this.netting.take(this.arena);
    this.settle(cycle, fills, deltas);
    for (const trader of cycle.accounts) this.#assertTraderInStep(trader);
  }

  /** Of positions only those that the cycle changed: the others, here and there, are what they were. */
  #assertTraderInStep({ account, entries }: TradeAccount): void {
    const cell = this.ledger.account(account);
    assert(cell !== undefined && cell.cash === this.accounts.cash[account], "cash is the ledger's");
    assert(cell.positions.length === this.accounts.heldCount[account], "positions are the ledger's");
    for (let i = 0; i < entries.length; i++) {
      const { legs } = (entries[i] as TradeAccount["entries"][number]).order;
      for (let leg = 0; leg < legs.length; leg++) {
        const { instrument } = legs[leg] as Order["legs"][number];
        const size = positionSize(cell.positions, instrument);
        assert(this.accounts.sizeOf(account, instrument) === size, "sizes are the ledger's");
      }
    }
  }

  fitsWeight(cycle: Cycle): boolean {
    return cycleWeight(cycle) <= CYCLE_WEIGHT_MAX;
  }

  assertInStep(account: number): void {
    const cell = this.ledger.account(account);
    assert(cell !== undefined && cell.cash === this.accounts.cash[account], "cash is the ledger's");
    assert(cell.positions.length === this.accounts.heldCount[account], "positions are the ledger's");
    for (const { instrument, size } of cell.positions) {
      assert(this.accounts.sizeOf(account, instrument) === size, "sizes are the ledger's");
    }
  }

  // ── synchronising with the ledger's cells ────────────────────────────────────────────────────────────────────────

  /** Reads an account's cell again and recomputes what depends on it. No trade cycle may be open. */
  loadAccount(account: number): void {
    const cell = this.ledger.account(account);
    assert(cell !== undefined, "account exists");
    const { accounts } = this;
    accounts.load(account, cell);
    const held = accounts.heldInstruments(account);
    for (const { instrument, size, fundingIndex } of cell.positions) {
      this.margin.loadPosition(account, instrument, size, fundingIndex);
    }
    for (const instrument of held) {
      if (!cell.positions.some((position) => position.instrument === instrument)) {
        this.margin.loadPosition(account, instrument, 0, 0);
      }
    }
    this.recompute(account);
    for (const instrument of held) {
      const record = accounts.findPosition(account, instrument);
      if (record !== NONE) accounts.releasePosition(record);
    }
  }

  recompute(account: number): void {
    this.margin.recompute(account, this.#readdOrders);
  }

  #addOrdersOf(account: number): void {
    for (let at = this.accounts.orderHead[account] as number; at !== NONE; ) {
      const { records } = this.arena;
      const base = at << ORDER_STRIDE_SHIFT;
      this.margin.addOrder(
        records[base + POSITION] as number,
        records[base + SIDE] as number,
        records[base + PRICE] as number,
        records[base + REMAINING] as number,
      );
      at = records[base + ACCOUNT_NEXT] as number;
    }
  }

  loadInstrument(instrument: number): void {
    const cell = this.ledger.instrument(instrument);
    assert(cell !== undefined, "instrument exists");
    this.instruments.load(instrument, cell);
    if (instrument === this.books.count) {
      this.books.open(instrument);
      if (cell.expiryMs > this.timeMs && cell.expiryMs < this.instrumentExpiryMs)
        this.instrumentExpiryMs = cell.expiryMs;
    }
  }

  // ── live orders ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts an allocated order with all its fields set on the book. */
  rest(at: number): void {
    const { records } = this.arena;
    const { accounts } = this;
    const base = at << ORDER_STRIDE_SHIFT;
    const account = records[base + ACCOUNT] as number;
    this.margin.addOrder(
      records[base + POSITION] as number,
      records[base + SIDE] as number,
      records[base + PRICE] as number,
      records[base + REMAINING] as number,
    );
    const tail = accounts.orderTail[account] as number;
    records[base + ACCOUNT_PREVIOUS] = tail;
    records[base + ACCOUNT_NEXT] = NONE;
    if (tail === NONE) accounts.orderHead[account] = at;
    else records[(tail << ORDER_STRIDE_SHIFT) + ACCOUNT_NEXT] = at;
    accounts.orderTail[account] = at;
    accounts.orderCount[account] = (accounts.orderCount[account] as number) + 1;
    this.books.append(at);
  }

  /** Takes a resting order off the book and frees it. Its open lots must have left the margin already. */
  unrest(at: number): void {
    const { records } = this.arena;
    const { accounts } = this;
    const base = at << ORDER_STRIDE_SHIFT;
    const account = records[base + ACCOUNT] as number;
    const next = records[base + ACCOUNT_NEXT] as number;
    const previous = records[base + ACCOUNT_PREVIOUS] as number;
    if (next === NONE) accounts.orderTail[account] = previous;
    else records[(next << ORDER_STRIDE_SHIFT) + ACCOUNT_PREVIOUS] = previous;
    if (previous === NONE) accounts.orderHead[account] = next;
    else records[(previous << ORDER_STRIDE_SHIFT) + ACCOUNT_NEXT] = next;
    accounts.orderCount[account] = (accounts.orderCount[account] as number) - 1;
    this.books.remove(at);
    this.free(at);
  }

  /** Frees an order that is not on the book, and its position record when nothing else needs it. */
  free(at: number): void {
    const base = at << ORDER_STRIDE_SHIFT;
    const record = this.arena.records[base + POSITION] as number;
    const entry = this.arena.records[base + ENTRY] as number;
    if (entry !== NONE) this.netting.detach(entry);
    this.arena.release(at);
    this.accounts.releasePosition(record);
  }

  /** Removes the order's open lots from margin and book without an event. */
  withdrawOrder(at: number): void {
    this.removeOpenLots(at);
    this.unrest(at);
  }

  removeOpenLots(at: number): void {
    const { records } = this.arena;
    const base = at << ORDER_STRIDE_SHIFT;
    this.margin.addOrder(
      records[base + POSITION] as number,
      records[base + SIDE] as number,
      records[base + PRICE] as number,
      -(records[base + REMAINING] as number),
    );
  }

  cancel(at: number, reason: CancelReason): void {
    const { records } = this.arena;
    const base = at << ORDER_STRIDE_SHIFT;
    const account = records[base + ACCOUNT] as number;
    const instrument = records[base + INSTRUMENT] as number;
    const remaining = records[base + REMAINING] as number;
    const orderId = this.arena.sequence[at] as number;
    const order = this.arena.order[at];
    assert(order !== undefined, "order is live");
    const nonce = order.nonce;
    this.withdrawOrder(at);
    this.sink.onCancelled(orderId, account, nonce, instrument, remaining, reason);
  }

  /** Live orders of an account, oldest first. Allocates: not for the order path. */
  ordersOf(account: number): number[] {
    const orders: number[] = [];
    for (let at = this.accounts.orderHead[account] as number; at !== NONE; ) {
      orders.push(at);
      at = this.arena.records[(at << ORDER_STRIDE_SHIFT) + ACCOUNT_NEXT] as number;
    }
    return orders;
  }

  /** Cancels the account's newest orders until the rest is covered. */
  cancelUncovered(account: number): void {
    while ((this.accounts.orderCount[account] as number) > 0 && !this.margin.isCovered(account)) {
      this.cancel(this.accounts.orderTail[account] as number, CancelReason.margin);
    }
  }

  sizeAt(record: number): number {
    return this.accounts.positions[(record << POSITION_SHIFT) + P_SIZE] as number;
  }
}
