// The part of trade and liquidation payloads that lists accounts and their orders' netted changes.
import { assert, type ByteReader, type ByteWriter, INT32_MAX } from "@tidemark/num";
import { LEGS_MAX, POSITIONS_MAX, TRADE_ACCOUNTS_MAX, TRADE_ENTRIES_MAX } from "../limits.ts";
import { type Order, OrderFlag, type OrderLeg, type TradeAccount, type TradeEntry } from "../types.ts";
import { as, malformed } from "./reading.ts";

const INT16_BASE = 0x1_0000;
const INT16_MAX = 0x7fff;
/** An unknown flag would be a condition of the signer that nobody checks. */
const KNOWN_FLAGS = OrderFlag.reduceOnly;

export function writeTradeAccounts(writer: ByteWriter, accounts: readonly TradeAccount[]): void {
  assert(accounts.length >= 1 && accounts.length <= TRADE_ACCOUNTS_MAX, "accountCount");
  writer.u8(accounts.length);
  let previousAccount = -1;
  for (const { account, positionCount, entries } of accounts) {
    assert(account > previousAccount, "accounts increase");
    assert(positionCount <= POSITIONS_MAX, "positionCount");
    assert(entries.length >= 1 && entries.length <= TRADE_ENTRIES_MAX, "entryCount");
    previousAccount = account;
    writer.u24(account).u8(positionCount).u8(entries.length);
    let previousNonce = -1;
    for (const entry of entries) {
      assert(entry.order.account === account && entry.order.nonce > previousNonce, "entries in order of nonce");
      previousNonce = entry.order.nonce;
      writeTradeEntry(writer, entry);
    }
  }
}

function writeTradeEntry(writer: ByteWriter, entry: Readonly<TradeEntry>): void {
  const { order } = entry;
  assert(order.legs.length >= 1 && order.legs.length <= LEGS_MAX, "legCount");
  writer.u8(order.legs.length);
  for (const leg of order.legs) {
    assert(leg.ratio >= -INT16_MAX && leg.ratio <= INT16_MAX, "ratio");
    writer.u24(leg.instrument).u16(leg.ratio < 0 ? leg.ratio + INT16_BASE : leg.ratio);
  }
  assert((order.flags & ~KNOWN_FLAGS) === 0, "flags");
  writer.i32(order.size).i32(order.limitPrice).u40(order.maxFeePerLot).u48(order.nonce);
  writer
    .u48(order.startMs)
    .u48(order.expiryMs)
    .u8(order.flags)
    .u8(entry.signature === null ? 0 : 1);
  if (entry.signature !== null) writer.hex(entry.signature, 64);
  writer.u32(entry.filledLots).i64(entry.cash).u48(entry.fee);
}

export function readTradeAccounts(reader: ByteReader, domain: number): TradeAccount[] {
  const accountCount = reader.u8();
  if (accountCount === 0) malformed(reader, "accountCount");
  const accounts: TradeAccount[] = [];
  let previousAccount = -1;
  for (let i = 0; i < accountCount; i++) {
    const account = reader.u24();
    if (account <= previousAccount) malformed(reader, "accounts not increasing");
    previousAccount = account;
    const positionCount = reader.u8();
    if (positionCount > POSITIONS_MAX) malformed(reader, "positionCount");
    const entryCount = reader.u8();
    if (entryCount === 0) malformed(reader, "entryCount");
    const entries: TradeEntry[] = [];
    let previousNonce = -1;
    for (let j = 0; j < entryCount; j++) {
      const entry = readTradeEntry(reader, domain, as(account));
      if (entry.order.nonce <= previousNonce) malformed(reader, "entries not in order of nonce");
      previousNonce = entry.order.nonce;
      entries.push(entry);
    }
    accounts.push({ account: as(account), positionCount, entries });
  }
  return accounts;
}

function readInt32(reader: ByteReader, what: string): number {
  const value = reader.i32();
  if (value < -INT32_MAX) malformed(reader, what);
  return value;
}

function readLegs(reader: ByteReader): OrderLeg[] {
  const legCount = reader.u8();
  if (legCount === 0 || legCount > LEGS_MAX) malformed(reader, "legCount");
  const legs: OrderLeg[] = [];
  for (let i = 0; i < legCount; i++) {
    const instrument = reader.u24();
    const ratio = reader.u16();
    if (ratio === INT16_MAX + 1) malformed(reader, "ratio");
    legs.push({ instrument: as(instrument), ratio: ratio > INT16_MAX ? ratio - INT16_BASE : ratio });
  }
  return legs;
}

function readTradeEntry(reader: ByteReader, domain: number, account: Order["account"]): TradeEntry {
  const order: Order = {
    domain,
    account,
    legs: readLegs(reader),
    size: as(readInt32(reader, "size")),
    limitPrice: as(readInt32(reader, "limitPrice")),
    maxFeePerLot: as(reader.u40()),
    nonce: as(reader.u48()),
    startMs: as(reader.u48()),
    expiryMs: as(reader.u48()),
    flags: reader.u8(),
  };
  if ((order.flags & ~KNOWN_FLAGS) !== 0) malformed(reader, "flags");
  const hasSignature = reader.u8();
  if (hasSignature > 1) malformed(reader, "hasSignature");
  return {
    order,
    signature: hasSignature === 1 ? reader.hex(64) : null,
    filledLots: reader.u32(),
    cash: as(reader.i64()),
    fee: as(reader.u48()),
  };
}
