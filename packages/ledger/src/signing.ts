// EIP-712 digests of what traders and oracles sign. Words are written straight into one scratch buffer.
import { assert, ByteWriter, hexToBytesInto, keccak256, keccak256Into } from "@tidemark/num";
import { writeReportContent } from "./codec/cycles.ts";
import { auctionLegsBytes } from "./codec/waterfall.ts";
import { LEGS_MAX } from "./limits.ts";
import type { Address, AuctionLeg, Bid, ExpiryCycle, Order, ReportCycle, Withdrawal } from "./types.ts";

const WORD_BYTES = 32;

/** Text of the types that are signed; contracts generate their type hashes from the same. */
export const TYPE_STRINGS = {
  domain: "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
  leg: "Leg(uint32 instrument,int32 ratio)",
  order:
    "Order(uint32 domain,uint32 account,Leg[] legs,int32 size,int32 limitPrice,uint64 maxFeePerLot,uint64 nonce," +
    "uint64 start,uint64 expiry,uint32 flags)Leg(uint32 instrument,int32 ratio)",
  withdrawal:
    "Withdrawal(uint32 domain,uint32 account,uint32 asset,uint64 amount,uint64 destinationChain,address recipient," +
    "uint64 nonce,uint64 expiry)",
  bid:
    "Bid(uint32 domain,uint32 account,uint32 auctioned,uint32 parts,int64 paymentMax,bytes32 legs,uint64 nonce," +
    "uint64 expiry)",
  report: "Report(uint32 domain,bytes32 content)",
  settlement: "Settlement(uint32 domain,uint32 underlying,uint64 expiry,uint64 price)",
} as const;

export const DOMAIN_NAME = "Tidemark";
export const DOMAIN_VERSION = "1";

/** All strings here are ASCII; the pure packages have no TextEncoder. */
function asciiHash(text: string): Uint8Array {
  return keccak256(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

const LEG_TYPE_HASH = asciiHash(TYPE_STRINGS.leg);
const ORDER_TYPE_HASH = asciiHash(TYPE_STRINGS.order);
const WITHDRAWAL_TYPE_HASH = asciiHash(TYPE_STRINGS.withdrawal);
const BID_TYPE_HASH = asciiHash(TYPE_STRINGS.bid);
const REPORT_TYPE_HASH = asciiHash(TYPE_STRINGS.report);
const SETTLEMENT_TYPE_HASH = asciiHash(TYPE_STRINGS.settlement);

const WORDS_MAX = 16;
const words = new Uint8Array(WORDS_MAX * WORD_BYTES);
const legWords = new Uint8Array(3 * WORD_BYTES);
const legHashes = new Uint8Array(LEGS_MAX * WORD_BYTES);
const prefixed = new Uint8Array(2 + 2 * WORD_BYTES);
prefixed[0] = 0x19;
prefixed[1] = 0x01;
const TWO_32 = 2 ** 32;

function putHash(target: Uint8Array, word: number, hash: Uint8Array): void {
  for (let i = 0; i < WORD_BYTES; i++) target[word * WORD_BYTES + i] = hash[i] as number;
}

/** A safe integer ≥ 0, big-endian. */
function putUnsigned(target: Uint8Array, word: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "signed field: unsigned");
  const start = word * WORD_BYTES;
  for (let i = start; i < start + 24; i++) target[i] = 0;
  let high = Math.floor(value / TWO_32);
  let low = value - high * TWO_32;
  for (let i = start + 31; i >= start + 28; i--) {
    target[i] = low & 0xff;
    low >>>= 8;
  }
  for (let i = start + 27; i >= start + 24; i--) {
    target[i] = high & 0xff;
    high >>>= 8;
  }
}

/** An int32, sign-extended. */
function putInt32(target: Uint8Array, word: number, value: number): void {
  assert((value | 0) === value, "signed field: int32");
  const start = word * WORD_BYTES;
  const sign = value < 0 ? 0xff : 0;
  for (let i = start; i < start + 28; i++) target[i] = sign;
  target[start + 28] = (value >>> 24) & 0xff;
  target[start + 29] = (value >>> 16) & 0xff;
  target[start + 30] = (value >>> 8) & 0xff;
  target[start + 31] = value & 0xff;
}

/** A signed safe integer, sign-extended. */
function putSigned(target: Uint8Array, word: number, value: number): void {
  assert(Number.isSafeInteger(value), "signed field: integer");
  const start = word * WORD_BYTES;
  let left = BigInt.asUintN(256, BigInt(value));
  for (let i = start + 31; i >= start; i--) {
    target[i] = Number(left & 0xffn);
    left >>= 8n;
  }
}

function putAddress(target: Uint8Array, word: number, address: Address): void {
  const start = word * WORD_BYTES;
  for (let i = start; i < start + 12; i++) target[i] = 0;
  const written = hexToBytesInto(address, target, start + 12);
  assert(written === 20, "signed field: address");
}

/** keccak256(0x19 0x01 ‖ separator ‖ keccak256(words)). */
function digestOfWords(wordCount: number, separator: Uint8Array): Uint8Array {
  for (let i = 0; i < WORD_BYTES; i++) prefixed[2 + i] = separator[i] as number;
  keccak256Into(words, 0, wordCount * WORD_BYTES, prefixed, 2 + WORD_BYTES);
  const digest = new Uint8Array(WORD_BYTES);
  keccak256Into(prefixed, 0, prefixed.length, digest, 0);
  return digest;
}

/** Computed once a parameter set and passed to the hashes below. */
export function domainSeparator(parameters: {
  readonly chainId: number;
  readonly verifyingContract: Address;
}): Uint8Array {
  putHash(words, 0, asciiHash(TYPE_STRINGS.domain));
  putHash(words, 1, asciiHash(DOMAIN_NAME));
  putHash(words, 2, asciiHash(DOMAIN_VERSION));
  putUnsigned(words, 3, parameters.chainId);
  putAddress(words, 4, parameters.verifyingContract);
  return keccak256(words.subarray(0, 5 * WORD_BYTES));
}

/** The digest that a trader signs; also the order's identity in the ring. */
export function orderHash(order: Readonly<Order>, separator: Uint8Array): Uint8Array {
  const { legs } = order;
  assert(legs.length <= LEGS_MAX, "orderHash: legs");
  for (let i = 0; i < legs.length; i++) {
    const leg = legs[i] as Order["legs"][number];
    putHash(legWords, 0, LEG_TYPE_HASH);
    putUnsigned(legWords, 1, leg.instrument);
    putInt32(legWords, 2, leg.ratio);
    keccak256Into(legWords, 0, legWords.length, legHashes, i * WORD_BYTES);
  }
  putHash(words, 0, ORDER_TYPE_HASH);
  putUnsigned(words, 1, order.domain);
  putUnsigned(words, 2, order.account);
  keccak256Into(legHashes, 0, legs.length * WORD_BYTES, words, 3 * WORD_BYTES);
  putInt32(words, 4, order.size);
  putInt32(words, 5, order.limitPrice);
  putUnsigned(words, 6, order.maxFeePerLot);
  putUnsigned(words, 7, order.nonce);
  putUnsigned(words, 8, order.startMs);
  putUnsigned(words, 9, order.expiryMs);
  putUnsigned(words, 10, order.flags);
  return digestOfWords(11, separator);
}

export function withdrawalHash(withdrawal: Readonly<Withdrawal>, separator: Uint8Array): Uint8Array {
  putHash(words, 0, WITHDRAWAL_TYPE_HASH);
  putUnsigned(words, 1, withdrawal.domain);
  putUnsigned(words, 2, withdrawal.account);
  putUnsigned(words, 3, withdrawal.asset);
  putUnsigned(words, 4, withdrawal.amount);
  putUnsigned(words, 5, withdrawal.destinationChain);
  putAddress(words, 6, withdrawal.recipient);
  putUnsigned(words, 7, withdrawal.nonce);
  putUnsigned(words, 8, withdrawal.expiryMs);
  return digestOfWords(9, separator);
}

const ANY_LEGS = new Uint8Array(WORD_BYTES);

/** `legs`: those of the slice; they count where the bid binds them. */
export function bidHash(bid: Readonly<Bid>, legs: readonly AuctionLeg[], separator: Uint8Array): Uint8Array {
  const legsHash = bid.bindsLegs ? keccak256(auctionLegsBytes(legs)) : ANY_LEGS;
  putHash(words, 0, BID_TYPE_HASH);
  putUnsigned(words, 1, bid.domain);
  putUnsigned(words, 2, bid.account);
  putUnsigned(words, 3, bid.auctioned);
  putUnsigned(words, 4, bid.parts);
  putSigned(words, 5, bid.paymentMax);
  putHash(words, 6, legsHash);
  putUnsigned(words, 7, bid.nonce);
  putUnsigned(words, 8, bid.expiryMs);
  return digestOfWords(9, separator);
}

const contentWriter = new ByteWriter(2048);

/** keccak256 of the report's payload from `underlying` up to and without the signatures. */
export function reportContentHash(report: Readonly<ReportCycle>): Uint8Array {
  contentWriter.reset();
  writeReportContent(contentWriter, report);
  return keccak256(contentWriter.view());
}

export function reportHash(report: Readonly<ReportCycle>, domain: number, separator: Uint8Array): Uint8Array {
  const content = reportContentHash(report);
  putHash(words, 0, REPORT_TYPE_HASH);
  putUnsigned(words, 1, domain);
  putHash(words, 2, content);
  return digestOfWords(3, separator);
}

export function settlementHash(
  settlement: Readonly<Pick<ExpiryCycle, "underlying" | "expiryMs" | "settlementPrice">>,
  domain: number,
  separator: Uint8Array,
): Uint8Array {
  putHash(words, 0, SETTLEMENT_TYPE_HASH);
  putUnsigned(words, 1, domain);
  putUnsigned(words, 2, settlement.underlying);
  putUnsigned(words, 3, settlement.expiryMs);
  putUnsigned(words, 4, settlement.settlementPrice);
  return digestOfWords(5, separator);
}
