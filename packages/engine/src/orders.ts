// Live orders: one packed Int32Array record an order (a cache line), cold fields beside it. An order is in four lists at
// once: its price level, its account (oldest first), the expiry wheel, and the table (account, nonce slot) → order.
import { type Address, type CompactSignature, type Order, RING_SLOTS } from "@tidemark/ledger";
import { assert } from "@tidemark/num";
import { grownFloat64, grownInt32, KeyTable } from "./keyTable.ts";

export const ORDER_STRIDE_SHIFT = 4;
const STRIDE = 1 << ORDER_STRIDE_SHIFT;
export const NONE = -1;

/** Fields of an order record; a record of order o starts at o << ORDER_STRIDE_SHIFT. */
export const NEXT = 0;
export const PREVIOUS = 1;
export const INSTRUMENT = 2;
export const FLAGS = 3;
export const PRICE = 4;
/** Unsigned lots still open. */
export const REMAINING = 5;
export const ACCOUNT = 6;
/** Position record of (account, instrument). */
export const POSITION = 7;
export const ACCOUNT_NEXT = 8;
export const ACCOUNT_PREVIOUS = 9;
const WHEEL_NEXT = 10;
/** The order before it in its bucket of the wheel; of the first one FIRST_OF_BUCKET − bucket. */
const WHEEL_PREVIOUS = 11;
/** Entry of the open cycle, or NONE. */
export const ENTRY = 12;
/** Bits of the nonce from 32 on. */
const NONCE_HIGH = 13;
/** +1 buys, −1 sells. */
export const SIDE = 14;
/** As int32. The slot is its low 16 bits. */
const NONCE_LOW = 15;

export const FLAG_REDUCE_ONLY = 1;
/** An earlier cycle settled a fill of it: the ledger's ring holds its authorisation. */
export const FLAG_IN_RING = 2;

// 2^16 ms a bucket, 2^16 buckets: 49 days, more than the longest lifetime of an order.
const BUCKET_MS = 2 ** 16;
const BUCKETS = 2 ** 16;
const FIRST_OF_BUCKET = -2;
const INITIAL_ORDERS = 1024;
const TWO_32 = 2 ** 32;

export class OrderArena {
  records = new Int32Array(INITIAL_ORDERS * STRIDE);
  /** Acceptance number: time priority, age and public id of the order. */
  sequence = new Float64Array(INITIAL_ORDERS);
  readonly order: Order[] = [];
  readonly signature: CompactSignature[] = [];
  readonly signer: Address[] = [];
  readonly bySlot = new KeyTable(4096);
  count = 0;
  /** No live order expires before. */
  earliestExpiryMs = Number.MAX_SAFE_INTEGER;
  #used = 0;
  #free = NONE;
  readonly #wheel = new Int32Array(BUCKETS).fill(NONE);

  /** The live order of `account` with exactly this nonce, or NONE. */
  find(account: number, nonce: number): number {
    const at = this.bySlot.get(account, nonce % RING_SLOTS);
    if (at === NONE) return NONE;
    const base = at << ORDER_STRIDE_SHIFT;
    const isSame =
      this.records[base + NONCE_LOW] === (nonce | 0) && this.records[base + NONCE_HIGH] === Math.floor(nonce / TWO_32);
    return isSame ? at : NONE;
  }

  allocate(order: Order, signature: CompactSignature, signer: Address): number {
    let at = this.#free;
    if (at !== NONE) this.#free = this.records[at << ORDER_STRIDE_SHIFT] as number;
    else {
      at = this.#used++;
      this.records = grownInt32(this.records, this.#used * STRIDE);
      this.sequence = grownFloat64(this.sequence, this.#used);
    }
    this.order[at] = order;
    this.signature[at] = signature;
    this.signer[at] = signer;
    this.#setNonce(at, order.account, order.nonce);
    this.count += 1;
    this.#enterWheel(at);
    return at;
  }

  #setNonce(at: number, account: number, nonce: number): void {
    assert(this.bySlot.add(account, nonce % RING_SLOTS, at), "nonce slot is free");
    const base = at << ORDER_STRIDE_SHIFT;
    this.records[base + NONCE_LOW] = nonce | 0;
    this.records[base + NONCE_HIGH] = Math.floor(nonce / TWO_32);
  }

  #leaveSlot(at: number): void {
    const base = at << ORDER_STRIDE_SHIFT;
    this.bySlot.delete(
      this.records[base + ACCOUNT] as number,
      (this.records[base + NONCE_LOW] as number) & (RING_SLOTS - 1),
    );
  }

  /** The caller took it out of its level and its account's list. Its cold references stay until the slot is used again. */
  release(at: number): void {
    const base = at << ORDER_STRIDE_SHIFT;
    this.#leaveSlot(at);
    this.#leaveWheel(at);
    this.records[base] = this.#free;
    this.#free = at;
    this.count -= 1;
  }

  /** In place: the new order takes the old one's priority and id. */
  replace(at: number, order: Order, signature: CompactSignature, signer: Address): void {
    this.#leaveSlot(at);
    this.#leaveWheel(at);
    this.order[at] = order;
    this.signature[at] = signature;
    this.signer[at] = signer;
    this.#setNonce(at, order.account, order.nonce);
    this.#enterWheel(at);
  }

  #enterWheel(at: number): void {
    const { expiryMs } = this.order[at] as Order;
    const bucket = Math.floor(expiryMs / BUCKET_MS) & (BUCKETS - 1);
    const head = this.#wheel[bucket] as number;
    const base = at << ORDER_STRIDE_SHIFT;
    this.records[base + WHEEL_NEXT] = head;
    this.records[base + WHEEL_PREVIOUS] = FIRST_OF_BUCKET - bucket;
    if (head !== NONE) this.records[(head << ORDER_STRIDE_SHIFT) + WHEEL_PREVIOUS] = at;
    this.#wheel[bucket] = at;
    if (expiryMs < this.earliestExpiryMs) this.earliestExpiryMs = expiryMs;
  }

  #leaveWheel(at: number): void {
    const base = at << ORDER_STRIDE_SHIFT;
    const next = this.records[base + WHEEL_NEXT] as number;
    const previous = this.records[base + WHEEL_PREVIOUS] as number;
    if (next !== NONE) this.records[(next << ORDER_STRIDE_SHIFT) + WHEEL_PREVIOUS] = previous;
    if (previous >= 0) this.records[(previous << ORDER_STRIDE_SHIFT) + WHEEL_NEXT] = next;
    else this.#wheel[FIRST_OF_BUCKET - previous] = next;
  }

  /**
   * Orders with expiry ≤ nowMs by (expiry, acceptance); the caller must remove them all. Also raises earliestExpiryMs.
   * `sinceMs` is the time of the previous call: earlier buckets are empty.
   */
  expiring(sinceMs: number, nowMs: number): number[] {
    const due: number[] = [];
    this.earliestExpiryMs = Number.MAX_SAFE_INTEGER;
    if (this.count === 0) return due;
    const first = Math.floor(sinceMs / BUCKET_MS);
    const last = first + BUCKETS - 1;
    for (let bucket = first; bucket <= last; bucket++) {
      // The first live order behind the present ends the search: later buckets hold only later expiries.
      if (bucket * BUCKET_MS > nowMs && this.earliestExpiryMs < Number.MAX_SAFE_INTEGER) break;
      let at = this.#wheel[bucket & (BUCKETS - 1)] as number;
      for (; at !== NONE; at = this.records[(at << ORDER_STRIDE_SHIFT) + WHEEL_NEXT] as number) {
        const expiryMs = (this.order[at] as Order).expiryMs;
        if (expiryMs <= nowMs) due.push(at);
        else if (expiryMs < this.earliestExpiryMs) this.earliestExpiryMs = expiryMs;
      }
    }
    return due.sort((a, b) => this.#expiryOf(a) - this.#expiryOf(b) || this.sequenceOf(a) - this.sequenceOf(b));
  }

  #expiryOf(at: number): number {
    return (this.order[at] as Order).expiryMs;
  }

  sequenceOf(at: number): number {
    return this.sequence[at] as number;
  }
}
