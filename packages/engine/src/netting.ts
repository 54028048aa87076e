// The open trade cycle: fills netted per order, and everything that decides when the cycle must close so that the ledger
// will accept it — weight, the earliest expiry in it, the age of its marks, the rule of reduce-only orders.
import {
  accountRuleWitnessBytes,
  accountWitnessBytes,
  type CompactSignature,
  CYCLE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  INSTRUMENT_WITNESS_BYTES,
  type Order,
  RING_SLOTS,
  RING_WITNESS_BYTES,
  TRADE_ACCOUNT_BYTES,
  TRADE_ACCOUNTS_MAX,
  TRADE_BASE_WEIGHT,
  TRADE_ENTRIES_MAX,
  type TradeAccount,
  type TradeCycle,
  tradeEntryBytes,
} from "@tidemark/ledger";
import type { AccountNumber, MicroUsdc, TimestampMs } from "@tidemark/num";
import type { Accounts } from "./accounts.ts";
import type { Instruments } from "./instruments.ts";
import { grownFloat64, grownInt32, KeyTable } from "./keyTable.ts";
import {
  ACCOUNT,
  ENTRY,
  FLAG_IN_RING,
  FLAG_REDUCE_ONLY,
  FLAGS,
  INSTRUMENT,
  NONE,
  ORDER_STRIDE_SHIFT,
  type OrderArena,
  SIDE,
} from "./orders.ts";

const NEVER_MS = Number.MAX_SAFE_INTEGER;
const INITIAL = 512;
// One leg an order: the engine has no combination books.
const LEGS = 1;
/** Header and account count of the payload. */
const PAYLOAD_BASE_BYTES = TRADE_BASE_WEIGHT - accountWitnessBytes(0);

export interface ClosedTrades {
  cycle: TradeCycle;
  fills: number;
  deltas: number;
}

export class Netting {
  firstFillMs = 0;
  lastFillMs = 0;
  /** Earliest expiry of an order or instrument in the cycle. */
  expiryMs = NEVER_MS;
  /** Last time at which the marks of all its accounts are usable. */
  marksUntilMs = NEVER_MS;
  #fills = 0;
  #generation = 1;
  #payloadBytes = PAYLOAD_BASE_BYTES;
  #rootWitness = accountWitnessBytes(0);
  #ruleWitness = 0;

  #entryCount = 0;
  readonly #entryOrder: Order[] = [];
  readonly #entrySignature: (CompactSignature | null)[] = [];
  #entryFilled = new Float64Array(INITIAL);
  #entryCash = new Float64Array(INITIAL);
  #entryFee = new Float64Array(INITIAL);
  #entryArena = new Int32Array(INITIAL);
  readonly #entryOfSlot = new KeyTable(1024);

  #accountCount = 0;
  #cycleAccount = new Int32Array(INITIAL);
  #positionCount = new Int32Array(INITIAL);
  #entriesOf = new Int32Array(INITIAL);
  /** By account number: place in the cycle, valid where the stamp is the generation. */
  #place = new Int32Array(INITIAL);
  #stamp = new Int32Array(INITIAL);
  #instrumentStamp = new Int32Array(INITIAL);

  /** (account, instrument) → place; the lots bought and sold in the cycle from the position at its start. */
  readonly #sides = new KeyTable(1024);
  #sideCount = 0;
  #start = new Float64Array(INITIAL);
  #bought = new Float64Array(INITIAL);
  #sold = new Float64Array(INITIAL);
  #reduceOnly = new Int32Array(INITIAL);

  get isOpen(): boolean {
    return this.#fills > 0;
  }

  mustCloseBefore(timeMs: number, cycleAgeMsMax: number): boolean {
    if (this.#fills === 0) return false;
    return timeMs >= this.expiryMs || timeMs > this.marksUntilMs || timeMs - this.firstFillMs >= cycleAgeMsMax;
  }

  /** Whether an order that the cycle still has to settle occupies the nonce's slot. */
  holdsSlot(account: number, nonce: number): boolean {
    return this.#entryOfSlot.get(account, nonce % RING_SLOTS) !== NONE;
  }

  /** The order left the arena; its entry stays. */
  detach(entry: number): void {
    this.#entryArena[entry] = NONE;
  }

  // ── does another fill fit? ───────────────────────────────────────────────────────────────────────────────────────

  /** False when the cycle must close before a fill of these two orders. An empty cycle takes any fill. */
  fits(arena: OrderArena, accounts: Accounts, maker: number, taker: number, lots: number): boolean {
    if (this.#fills === 0) return true;
    if (!this.#keepsReduceOnly(arena, accounts, maker, lots) || !this.#keepsReduceOnly(arena, accounts, taker, lots))
      return false;
    let payload = this.#payloadBytes;
    let root = this.#rootWitness;
    let rule = this.#ruleWitness;
    let newAccounts = 0;
    const instrument = arena.records[(maker << ORDER_STRIDE_SHIFT) + INSTRUMENT] as number;
    if (instrument >= this.#instrumentStamp.length || this.#instrumentStamp[instrument] !== this.#generation)
      root += INSTRUMENT_WITNESS_BYTES;
    for (let party = 0; party < 2; party++) {
      const base = (party === 0 ? maker : taker) << ORDER_STRIDE_SHIFT;
      if (arena.records[base + ENTRY] !== NONE) continue;
      const account = arena.records[base + ACCOUNT] as number;
      const inRing = ((arena.records[base + FLAGS] as number) & FLAG_IN_RING) !== 0;
      payload += tradeEntryBytes(LEGS, !inRing);
      root += RING_WITNESS_BYTES;
      const place = this.#placeOf(account);
      const positionCount = (place === NONE ? accounts.heldCount[account] : this.#positionCount[place]) as number;
      const entries = place === NONE ? 1 : (this.#entriesOf[place] as number) + 1;
      if (entries > TRADE_ENTRIES_MAX) return false;
      if (place === NONE) {
        newAccounts += 1;
        payload += TRADE_ACCOUNT_BYTES;
        root += accountWitnessBytes(positionCount);
      }
      const ruleOfAccount = accountRuleWitnessBytes(positionCount, entries, entries * LEGS);
      if (ruleOfAccount > rule) rule = ruleOfAccount;
    }
    if (this.#accountCount + newAccounts > TRADE_ACCOUNTS_MAX || payload > CYCLE_BYTES_MAX) return false;
    return payload + (root > rule ? root : rule) <= CYCLE_WEIGHT_MAX;
  }

  #placeOf(account: number): number {
    return account < this.#stamp.length && this.#stamp[account] === this.#generation
      ? (this.#place[account] as number)
      : NONE;
  }

  /** The ledger's rule: where one entry is reduce-only, all the account's entries in the instrument reduce its position. */
  #keepsReduceOnly(arena: OrderArena, accounts: Accounts, at: number, lots: number): boolean {
    const base = at << ORDER_STRIDE_SHIFT;
    const account = arena.records[base + ACCOUNT] as number;
    const instrument = arena.records[base + INSTRUMENT] as number;
    const place = this.#sides.get(account, instrument);
    const marked =
      ((arena.records[base + FLAGS] as number) & FLAG_REDUCE_ONLY) !== 0 ||
      (place !== NONE && this.#reduceOnly[place] === 1);
    if (!marked) return true;
    const buys = (arena.records[base + SIDE] as number) > 0;
    const start = place === NONE ? accounts.sizeOf(account, instrument) : (this.#start[place] as number);
    const bought = (place === NONE ? 0 : (this.#bought[place] as number)) + (buys ? lots : 0);
    const sold = (place === NONE ? 0 : (this.#sold[place] as number)) + (buys ? 0 : lots);
    return start > 0 ? bought === 0 && sold <= start : sold === 0 && bought <= -start;
  }

  // ── recording ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Once a fill, before the positions change. */
  begin(timeMs: number, instrument: number, instruments: Instruments): void {
    if (this.#fills === 0) this.firstFillMs = timeMs;
    this.#fills += 1;
    this.lastFillMs = timeMs;
    const expiryMs = instruments.expiryMs[instrument] as number;
    if (expiryMs !== 0 && expiryMs < this.expiryMs) this.expiryMs = expiryMs;
    const marksMs = instruments.marksUntilMs[instrument] as number;
    if (marksMs < this.marksUntilMs) this.marksUntilMs = marksMs;
    this.#instrumentStamp = grownInt32(this.#instrumentStamp, instrument + 1);
    if (this.#instrumentStamp[instrument] !== this.#generation) {
      this.#instrumentStamp[instrument] = this.#generation;
      this.#rootWitness += INSTRUMENT_WITNESS_BYTES;
    }
  }

  /** One side of the fill, before the position changes. `cash` is signed and without the fee. */
  add(arena: OrderArena, accounts: Accounts, at: number, lots: number, cash: number, fee: number): void {
    const base = at << ORDER_STRIDE_SHIFT;
    const account = arena.records[base + ACCOUNT] as number;
    const marksMs = accounts.marksUntilMs[account] as number;
    if (marksMs < this.marksUntilMs) this.marksUntilMs = marksMs;
    this.#addSide(arena, accounts, base, account, lots);
    let entry = arena.records[base + ENTRY] as number;
    if (entry === NONE) {
      entry = this.#newEntry(arena, accounts, at, account);
      arena.records[base + ENTRY] = entry;
    }
    this.#entryFilled[entry] = (this.#entryFilled[entry] as number) + lots;
    this.#entryCash[entry] = (this.#entryCash[entry] as number) + cash;
    this.#entryFee[entry] = (this.#entryFee[entry] as number) + fee;
  }

  #addSide(arena: OrderArena, accounts: Accounts, base: number, account: number, lots: number): void {
    const instrument = arena.records[base + INSTRUMENT] as number;
    let place = this.#sides.get(account, instrument);
    if (place === NONE) {
      place = this.#sideCount++;
      this.#start = grownFloat64(this.#start, this.#sideCount);
      this.#bought = grownFloat64(this.#bought, this.#sideCount);
      this.#sold = grownFloat64(this.#sold, this.#sideCount);
      this.#reduceOnly = grownInt32(this.#reduceOnly, this.#sideCount);
      this.#start[place] = accounts.sizeOf(account, instrument);
      this.#bought[place] = 0;
      this.#sold[place] = 0;
      this.#reduceOnly[place] = 0;
      this.#sides.set(account, instrument, place);
    }
    if ((arena.records[base + SIDE] as number) > 0) this.#bought[place] = (this.#bought[place] as number) + lots;
    else this.#sold[place] = (this.#sold[place] as number) + lots;
    if (((arena.records[base + FLAGS] as number) & FLAG_REDUCE_ONLY) !== 0) this.#reduceOnly[place] = 1;
  }

  #newEntry(arena: OrderArena, accounts: Accounts, at: number, account: number): number {
    const entry = this.#entryCount++;
    this.#entryFilled = grownFloat64(this.#entryFilled, this.#entryCount);
    this.#entryCash = grownFloat64(this.#entryCash, this.#entryCount);
    this.#entryFee = grownFloat64(this.#entryFee, this.#entryCount);
    this.#entryArena = grownInt32(this.#entryArena, this.#entryCount);
    const order = arena.order[at] as Order;
    const inRing = ((arena.records[(at << ORDER_STRIDE_SHIFT) + FLAGS] as number) & FLAG_IN_RING) !== 0;
    this.#entryOrder[entry] = order;
    this.#entrySignature[entry] = inRing ? null : (arena.signature[at] as CompactSignature);
    this.#entryFilled[entry] = 0;
    this.#entryCash[entry] = 0;
    this.#entryFee[entry] = 0;
    this.#entryArena[entry] = at;
    this.#entryOfSlot.set(account, order.nonce % RING_SLOTS, entry);
    if (order.expiryMs < this.expiryMs) this.expiryMs = order.expiryMs;
    const place = this.#accountPlace(accounts, account);
    const entries = (this.#entriesOf[place] as number) + 1;
    this.#entriesOf[place] = entries;
    this.#payloadBytes += tradeEntryBytes(LEGS, !inRing);
    this.#rootWitness += RING_WITNESS_BYTES;
    const rule = accountRuleWitnessBytes(this.#positionCount[place] as number, entries, entries * LEGS);
    if (rule > this.#ruleWitness) this.#ruleWitness = rule;
    return entry;
  }

  #accountPlace(accounts: Accounts, account: number): number {
    const known = this.#placeOf(account);
    if (known !== NONE) return known;
    const place = this.#accountCount++;
    this.#cycleAccount = grownInt32(this.#cycleAccount, this.#accountCount);
    this.#positionCount = grownInt32(this.#positionCount, this.#accountCount);
    this.#entriesOf = grownInt32(this.#entriesOf, this.#accountCount);
    this.#place = grownInt32(this.#place, account + 1);
    this.#stamp = grownInt32(this.#stamp, account + 1);
    const positionCount = accounts.heldCount[account] as number;
    this.#cycleAccount[place] = account;
    this.#positionCount[place] = positionCount;
    this.#entriesOf[place] = 0;
    this.#place[account] = place;
    this.#stamp[account] = this.#generation;
    this.#payloadBytes += TRADE_ACCOUNT_BYTES;
    this.#rootWitness += accountWitnessBytes(positionCount);
    return place;
  }

  // ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The cycle so far; the next one starts empty. Orders that live on are in the ledger's ring from now on. */
  take(arena: OrderArena): ClosedTrades {
    const byPlace: TradeAccount[] = [];
    for (let place = 0; place < this.#accountCount; place++) {
      byPlace.push({
        account: this.#cycleAccount[place] as AccountNumber,
        positionCount: this.#positionCount[place] as number,
        entries: [],
      });
    }
    for (let entry = 0; entry < this.#entryCount; entry++) {
      const order = this.#entryOrder[entry] as Order;
      const place = this.#placeOf(order.account);
      (byPlace[place] as TradeAccount).entries.push({
        order,
        signature: this.#entrySignature[entry] as CompactSignature | null,
        filledLots: this.#entryFilled[entry] as number,
        cash: this.#entryCash[entry] as MicroUsdc,
        fee: this.#entryFee[entry] as MicroUsdc,
      });
      const at = this.#entryArena[entry] as number;
      if (at === NONE) continue;
      const base = at << ORDER_STRIDE_SHIFT;
      arena.records[base + ENTRY] = NONE;
      arena.records[base + FLAGS] = (arena.records[base + FLAGS] as number) | FLAG_IN_RING;
    }
    byPlace.sort((a, b) => a.account - b.account);
    for (const { entries } of byPlace) entries.sort((a, b) => a.order.nonce - b.order.nonce);
    const closed: ClosedTrades = {
      cycle: { kind: "trade", timeMs: this.lastFillMs as TimestampMs, accounts: byPlace },
      fills: this.#fills,
      deltas: this.#entryCount,
    };
    this.#reset();
    return closed;
  }

  #reset(): void {
    this.expiryMs = NEVER_MS;
    this.marksUntilMs = NEVER_MS;
    this.#fills = 0;
    this.#generation += 1;
    this.#payloadBytes = PAYLOAD_BASE_BYTES;
    this.#rootWitness = accountWitnessBytes(0);
    this.#ruleWitness = 0;
    this.#entryCount = 0;
    this.#accountCount = 0;
    this.#sideCount = 0;
    this.#entryOfSlot.clear();
    this.#sides.clear();
  }
}
