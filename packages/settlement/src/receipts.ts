// The sequencer's receipts: bytes, hashes, and the judgement against a final state. docs/spec/receipts.md;
// contracts/src/receipts/ does the same on the L1, integer by integer.
import {
  type Hash,
  INSTRUMENTS_MAX,
  type InstrumentCell,
  type LedgerState,
  type Order,
  RING_SLOTS,
  type RingSlot,
} from "@tidemark/ledger";
import { assert, bytesToHex, hexToBytesInto, keccak256, keccak256Into } from "@tidemark/num";
import type { WitnessCells } from "./witnessCells.ts";

export const ReceiptKind = { fill: 1, cancel: 2 } as const;
export type ReceiptKind = keyof typeof ReceiptKind;

export interface Receipt {
  kind: ReceiptKind;
  domain: number;
  account: number;
  orderHash: Hash;
  nonce: number;
  /** Cumulative lots and signed cash of the order's own fills, without fees. */
  filledLots: number;
  filledCash: number;
  /** Time of the fill or cancel + the receipt period. */
  deadlineMs: number;
  /** Place in FINALITY_TIERS that the event had reached when it was signed. */
  tier: number;
}

// ── bytes and hashes ───────────────────────────────────────────────────────────────────────────────────────────────

/** kind u8, domain u32, account u24, orderHash 32, nonce u48, filledLots u32, filledCash i64, deadlineMs u64, tier u8: big-endian. */
export const RECEIPT_BYTES = 67;
const HASH_BYTES = 32;
const ACCOUNT_AT = 5;
const ORDER_HASH_AT = 8;
const NONCE_AT = 40;
const LOTS_AT = 46;
const CASH_AT = 50;
const DEADLINE_AT = 58;
const TIER_AT = 66;
const TWO_16 = 0x1_0000;
const TWO_32 = 0x1_0000_0000;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function encodeReceipt(receipt: Readonly<Receipt>): Uint8Array {
  const bytes = new Uint8Array(RECEIPT_BYTES);
  const view = viewOf(bytes);
  const { nonce, filledCash, deadlineMs } = receipt;
  assert(Number.isSafeInteger(filledCash) && Number.isSafeInteger(deadlineMs) && deadlineMs >= 0, "receipt: integers");
  assert(nonce >= 0 && nonce < TWO_16 * TWO_32 && Number.isInteger(nonce), "receipt: nonce");
  view.setUint8(0, ReceiptKind[receipt.kind]);
  view.setUint32(1, receipt.domain);
  view.setUint8(ACCOUNT_AT, receipt.account >>> 16);
  view.setUint16(ACCOUNT_AT + 1, receipt.account & 0xffff);
  const written = hexToBytesInto(receipt.orderHash, bytes, ORDER_HASH_AT);
  assert(written === HASH_BYTES, "receipt: order hash");
  view.setUint16(NONCE_AT, Math.floor(nonce / TWO_32));
  view.setUint32(NONCE_AT + 2, nonce % TWO_32);
  view.setUint32(LOTS_AT, receipt.filledLots);
  // The high word carries the sign: floor, so that high · 2^32 + low is the value.
  view.setInt32(CASH_AT, Math.floor(filledCash / TWO_32));
  view.setUint32(CASH_AT + 4, filledCash - Math.floor(filledCash / TWO_32) * TWO_32);
  view.setUint32(DEADLINE_AT, Math.floor(deadlineMs / TWO_32));
  view.setUint32(DEADLINE_AT + 4, deadlineMs % TWO_32);
  view.setUint8(TIER_AT, receipt.tier);
  return bytes;
}

/** What encodeReceipt wrote. Null for an unknown kind or another length. */
export function decodeReceipt(bytes: Uint8Array): Receipt | null {
  if (bytes.length !== RECEIPT_BYTES) return null;
  const view = viewOf(bytes);
  const code = view.getUint8(0);
  if (code !== ReceiptKind.fill && code !== ReceiptKind.cancel) return null;
  return {
    kind: code === ReceiptKind.fill ? "fill" : "cancel",
    domain: view.getUint32(1),
    account: view.getUint8(ACCOUNT_AT) * TWO_16 + view.getUint16(ACCOUNT_AT + 1),
    orderHash: bytesToHex(bytes.subarray(ORDER_HASH_AT, ORDER_HASH_AT + HASH_BYTES)),
    nonce: view.getUint16(NONCE_AT) * TWO_32 + view.getUint32(NONCE_AT + 2),
    filledLots: view.getUint32(LOTS_AT),
    filledCash: view.getInt32(CASH_AT) * TWO_32 + view.getUint32(CASH_AT + 4),
    deadlineMs: view.getUint32(DEADLINE_AT) * TWO_32 + view.getUint32(DEADLINE_AT + 4),
    tier: view.getUint8(TIER_AT),
  };
}

const pair = new Uint8Array(2 * HASH_BYTES);

function isLower(one: Uint8Array, other: Uint8Array): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (one[i] !== other[i]) return (one[i] as number) < (other[i] as number);
  return false;
}

/** keccak256(lower ‖ higher): the path of a leaf needs no index. */
function nodeOf(one: Uint8Array, other: Uint8Array): Uint8Array {
  const isFirst = isLower(one, other);
  pair.set(isFirst ? one : other, 0);
  pair.set(isFirst ? other : one, HASH_BYTES);
  const node = new Uint8Array(HASH_BYTES);
  keccak256Into(pair, 0, pair.length, node, 0);
  return node;
}

/** One signature covers a group of receipts: a tree over the hashes of their bytes, an odd node moves up unchanged. */
export class ReceiptTree {
  readonly #levels: Uint8Array[][];

  constructor(encoded: readonly Uint8Array[]) {
    assert(encoded.length > 0, "a group of receipts is not empty");
    let level = encoded.map((bytes) => keccak256(bytes));
    this.#levels = [level];
    while (level.length > 1) {
      const parents: Uint8Array[] = [];
      for (let i = 0; i + 1 < level.length; i += 2) {
        parents.push(nodeOf(level[i] as Uint8Array, level[i + 1] as Uint8Array));
      }
      if (level.length % 2 === 1) parents.push(level[level.length - 1] as Uint8Array);
      this.#levels.push(parents);
      level = parents;
    }
  }

  get root(): Uint8Array {
    return this.#levels[this.#levels.length - 1]?.[0] as Uint8Array;
  }

  /** Siblings from the leaf up. */
  path(place: number): Hash[] {
    const path: Hash[] = [];
    let index = place;
    for (const level of this.#levels) {
      const sibling = level[index ^ 1];
      if (sibling !== undefined) path.push(bytesToHex(sibling));
      index >>= 1;
    }
    return path;
  }
}

const PATH_MAX = 32;

/** Root that the receipt and its path lead to; null for a path that no group can have. */
export function receiptRoot(receipt: Readonly<Receipt>, path: readonly Hash[]): Uint8Array | null {
  if (path.length > PATH_MAX) return null;
  let node: Uint8Array = keccak256(encodeReceipt(receipt));
  for (const sibling of path) {
    if (sibling.length !== 2 + 2 * HASH_BYTES) return null;
    const bytes = new Uint8Array(HASH_BYTES);
    hexToBytesInto(sibling, bytes, 0);
    node = nodeOf(node, bytes);
  }
  return node;
}

const RECEIPTS_TYPE = "Receipts(uint32 domain,bytes32 root)";
const RECEIPTS_TYPE_HASH = keccak256(Uint8Array.from(RECEIPTS_TYPE, (character) => character.charCodeAt(0)));

/** EIP-712 digest of a group, in the domain of the venue's orders. */
export function receiptsHash(domain: number, root: Uint8Array, separator: Uint8Array): Uint8Array {
  const words = new Uint8Array(3 * HASH_BYTES);
  words.set(RECEIPTS_TYPE_HASH, 0);
  viewOf(words).setUint32(2 * HASH_BYTES - 4, domain);
  words.set(root, 2 * HASH_BYTES);
  const message = new Uint8Array(2 + 2 * HASH_BYTES);
  message[0] = 0x19;
  message[1] = 0x01;
  message.set(separator, 2);
  message.set(keccak256(words), 2 + HASH_BYTES);
  return keccak256(message);
}

// ── judgement ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** In the order of the contract's codes (ReceiptJudge.sol). */
export const RECEIPT_VERDICTS = [
  "kept",
  "missing",
  "cashWorse",
  "excess",
  "notMatured",
  "notDecisive",
  "recycled",
] as const;
export type ReceiptVerdict = (typeof RECEIPT_VERDICTS)[number];

export function isBroken(verdict: ReceiptVerdict): boolean {
  return verdict === "missing" || verdict === "cashWorse" || verdict === "excess";
}

/** Where a final state stands among the others. Times are the ledger's. */
export interface StateStanding {
  timeMs: number;
  /** Of the final state before; 0 before the first. */
  previousMs: number;
  /** Of the final state after; 0 = there is none. */
  nextMs: number;
  /** The venue is frozen and this is the state that it is wound up with. */
  isAnchor: boolean;
  /** Last drop of batches; 0 = there was none. */
  lastDropMs: number;
}

export interface ReceiptEvidence extends StateStanding {
  slot: Readonly<RingSlot> | undefined;
  /** Σ ratio · mark over the legs; instruments without a mark count as 0. */
  markPerLot: bigint;
  tickValueMicroUsdc: number;
}

export interface Judgement {
  verdict: ReceiptVerdict;
  /** Micro-USDC, exact, without fixed part and cap; 0 unless broken. */
  damage: bigint;
}

const NO_DAMAGE = 0n;

/** A drop before the deadline gives a whole period more from then on, never more than one beyond the deadline. */
export function movedDeadlineMs(deadlineMs: number, lastDropMs: number, periodMs: number): number {
  if (lastDropMs === 0) return deadlineMs;
  return Math.max(deadlineMs, Math.min(lastDropMs, deadlineMs) + periodMs);
}

function settledOf(receipt: Readonly<Receipt>, slot: ReceiptEvidence["slot"]): { lots: number; cash: bigint } {
  const isSame = slot !== undefined && slot.nonce === receipt.nonce && slot.orderHash === receipt.orderHash;
  return isSame ? { lots: slot.filledLots, cash: BigInt(slot.filledCash) } : { lots: 0, cash: 0n };
}

/** lots · |price − mark| of what is missing or too much: |Δcash + Δlots · mark|, an integer as it stands. */
function difference(
  receipt: Readonly<Receipt>,
  isBuy: boolean,
  evidence: ReceiptEvidence,
  settled: { lots: number; cash: bigint },
): bigint {
  const lots = BigInt(receipt.filledLots - settled.lots) * (isBuy ? 1n : -1n);
  const value = BigInt(receipt.filledCash) - settled.cash + lots * evidence.markPerLot;
  return value < 0n ? -value : value;
}

const undecided = (verdict: "notMatured" | "notDecisive" | "recycled"): Judgement => ({ verdict, damage: NO_DAMAGE });

/** What the order's slot says of a fill, whichever state it is of. */
export function judgeSettled(receipt: Readonly<Receipt>, order: Readonly<Order>, evidence: ReceiptEvidence): Judgement {
  const isBuy = order.size > 0;
  const settled = settledOf(receipt, evidence.slot);
  if (settled.lots < receipt.filledLots)
    return { verdict: "missing", damage: difference(receipt, isBuy, evidence, settled) };
  // Further fills may cost up to the limit.
  const further = BigInt(settled.lots - receipt.filledLots);
  const atLimit = BigInt(order.limitPrice) * further * BigInt(evidence.tickValueMicroUsdc);
  const worstCash = BigInt(receipt.filledCash) + (isBuy ? -atLimit : atLimit);
  if (settled.cash < worstCash) return { verdict: "cashWorse", damage: worstCash - settled.cash };
  return { verdict: "kept", damage: NO_DAMAGE };
}

function judgeFill(
  receipt: Readonly<Receipt>,
  order: Readonly<Order>,
  evidence: ReceiptEvidence,
  periodMs: number,
): Judgement {
  const { slot } = evidence;
  if (slot !== undefined && slot.nonce > receipt.nonce) {
    // The ring keeps a settled order's slot until its deadline, which is not before the receipt's own: a later order there by
    // then shows that this one was never settled.
    if (evidence.timeMs > receipt.deadlineMs) return undecided("recycled");
    if (!evidence.isAnchor && evidence.nextMs <= receipt.deadlineMs) return undecided("notDecisive");
    return judgeSettled(receipt, order, evidence);
  }
  const movedMs = movedDeadlineMs(receipt.deadlineMs, evidence.lastDropMs, periodMs);
  if (evidence.timeMs <= movedMs) {
    if (!evidence.isAnchor) return undecided("notMatured");
  } else if (evidence.previousMs > movedMs) return undecided("notDecisive");
  return judgeSettled(receipt, order, evidence);
}

function judgeCancel(
  receipt: Readonly<Receipt>,
  order: Readonly<Order>,
  evidence: ReceiptEvidence,
  periodMs: number,
): Judgement {
  const settled = settledOf(receipt, evidence.slot);
  if (settled.lots <= receipt.filledLots) return { verdict: "kept", damage: NO_DAMAGE };
  // The state that the last settlement of the order belongs to, which is a period before the slot's deadline.
  const settledMs = Math.max(0, (evidence.slot?.receiptDeadlineMs ?? 0) - periodMs);
  if (settledMs < evidence.previousMs || settledMs > evidence.timeMs) return undecided("notDecisive");
  return { verdict: "excess", damage: difference(receipt, order.size > 0, evidence, settled) };
}

/** Was the promise kept, as far as this state tells? */
export function judgeReceipt(
  receipt: Readonly<Receipt>,
  order: Readonly<Order>,
  evidence: ReceiptEvidence,
  receiptPeriodMs: number,
): Judgement {
  return receipt.kind === "fill"
    ? judgeFill(receipt, order, evidence, receiptPeriodMs)
    : judgeCancel(receipt, order, evidence, receiptPeriodMs);
}

/** What the court pays at most: fixed part added, then capped; 0 unless broken. */
export function collectible(judgement: Judgement, terms: { fixedPart: bigint; capPerReceipt: bigint }): bigint {
  if (!isBroken(judgement.verdict)) return 0n;
  const whole = judgement.damage + terms.fixedPart;
  return whole < terms.capPerReceipt ? whole : terms.capPerReceipt;
}

function instrumentOf(state: LedgerState, number: number): Readonly<InstrumentCell> | undefined {
  return number < INSTRUMENTS_MAX ? state.instrument(number) : undefined;
}

/** What `state` shows of the receipt's order. */
export function receiptEvidence(
  state: LedgerState,
  receipt: Readonly<Receipt>,
  order: Readonly<Order>,
  standing: StateStanding,
): ReceiptEvidence {
  let markPerLot = 0n;
  for (const { instrument, ratio } of order.legs) {
    markPerLot += BigInt(ratio) * BigInt(instrumentOf(state, instrument)?.row[0] ?? 0);
  }
  const first = order.legs[0];
  return {
    ...standing,
    slot: state.account(receipt.account) === undefined ? undefined : state.ringSlot(receipt.account, receipt.nonce),
    markPerLot,
    tickValueMicroUsdc: first === undefined ? 0 : (instrumentOf(state, first.instrument)?.tickValueMicroUsdc ?? 0),
  };
}

/** Cells of a claim's witness. */
export function receiptCells(receipt: Readonly<Receipt>, order: Readonly<Order>): WitnessCells {
  return {
    accounts: new Map([[receipt.account, new Set([receipt.nonce % RING_SLOTS])]]),
    instruments: new Set(order.legs.map(({ instrument }) => instrument)),
    underlyings: new Set(),
    outbox: new Set(),
  };
}
