// Entries of the L1 queue, big-endian as the custody contract packs them, and the queue's hash chain.
import {
  assert,
  assertNever,
  ByteReader,
  ByteWriter,
  bytesToHex,
  DecodeError,
  hexToBytesInto,
  keccak256Into,
} from "@tidemark/num";
import { SERIES_STRIKES_MAX } from "../limits.ts";
import type { Hash, InboundEntry } from "../types.ts";
import { changeBytes, isChangeLength } from "./governance.ts";
import { as } from "./reading.ts";

/** Entry types are append-only. */
export const InboundEntryType = {
  openAccount: 1,
  deposit: 2,
  keyGrant: 3,
  keyRevoke: 4,
  cancelAll: 5,
  forcedWithdrawal: 6,
  forcedClose: 7,
  forcedLiquidation: 8,
  listSeries: 9,
  adminChange: 10,
} as const;

export type InboundEntryDecoding = { ok: true; entry: InboundEntry } | { ok: false; offset: number; what: string };

/** Unsigned big-endian integer of `bytes` bytes. */
function unsignedBig(writer: ByteWriter, value: number, bytes: number): void {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 256 ** bytes, "inbound entry: unsigned range");
  for (let i = bytes - 1; i >= 0; i--) writer.u8(Math.floor(value / 256 ** i) % 256);
}

function int32Big(writer: ByteWriter, value: number): void {
  assert((value | 0) === value, "inbound entry: int32");
  unsignedBig(writer, value >>> 0, 4);
}

function readUnsignedBig(reader: ByteReader, bytes: number): number {
  const at = reader.offset;
  const value = reader.bytes(bytes).reduce((sum, byte) => sum * 256 + byte, 0);
  // The sum is exact below 2^53 and never rounds from above that bound to below it.
  if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError("outOfRange", at, "integer above 2^53 − 1");
  return value;
}

export function writeInboundEntry(writer: ByteWriter, entry: Readonly<InboundEntry>): void {
  writer.u8(InboundEntryType[entry.type]);
  if (entry.type === "listSeries") {
    assert(entry.strikes.length <= SERIES_STRIKES_MAX, "listSeries: strikes");
    unsignedBig(writer, entry.underlying, 2);
    unsignedBig(writer, entry.expiryMs, 8);
    unsignedBig(writer, entry.strikes.length, 2);
    for (const strike of entry.strikes) unsignedBig(writer, strike, 8);
    return;
  }
  if (entry.type === "adminChange") {
    const bytes = changeBytes(entry.change);
    assert(isChangeLength(bytes), "adminChange: length");
    unsignedBig(writer, bytes, 2);
    writer.hex(entry.change, bytes);
    return;
  }
  unsignedBig(writer, entry.account, 3);
  switch (entry.type) {
    case "openAccount":
      writer.hex(entry.owner, 20);
      return;
    case "deposit":
      unsignedBig(writer, entry.amount, 8);
      writer.hex(entry.payer, 20);
      return;
    case "keyGrant":
      writer.hex(entry.key, 20).u8(entry.scopes);
      unsignedBig(writer, entry.expiryMs, 8);
      return;
    case "keyRevoke":
      writer.hex(entry.key, 20);
      unsignedBig(writer, entry.minNonce, 6);
      return;
    case "cancelAll":
      unsignedBig(writer, entry.minNonce, 6);
      return;
    case "forcedWithdrawal":
      unsignedBig(writer, entry.amount, 8);
      writer.hex(entry.recipient, 20);
      return;
    case "forcedClose":
      unsignedBig(writer, entry.instrument, 3);
      int32Big(writer, entry.size);
      int32Big(writer, entry.limitPrice);
      unsignedBig(writer, entry.nonce, 6);
      return;
    case "forcedLiquidation":
      return;
    default:
      assertNever(entry, "inbound entry");
  }
}

/** @throws DecodeError unless the reader holds exactly one entry. */
export function readInboundEntry(reader: ByteReader): InboundEntry {
  const entry = readEntryFields(reader);
  reader.end();
  return entry;
}

function readEntryFields(reader: ByteReader): InboundEntry {
  const type = reader.u8();
  if (type === InboundEntryType.listSeries) return readListSeries(reader);
  if (type === InboundEntryType.adminChange) return readAdminChange(reader);
  if (type < InboundEntryType.openAccount || type > InboundEntryType.adminChange) {
    throw new DecodeError("malformed", 0, "inbound entry type");
  }
  const account = as<Extract<InboundEntry, { type: "deposit" }>["account"]>(readUnsignedBig(reader, 3));
  switch (type) {
    case InboundEntryType.openAccount:
      return { type: "openAccount", account, owner: reader.hex(20) };
    case InboundEntryType.deposit:
      return { type: "deposit", account, amount: as(readUnsignedBig(reader, 8)), payer: reader.hex(20) };
    case InboundEntryType.keyGrant:
      return {
        type: "keyGrant",
        account,
        key: reader.hex(20),
        scopes: reader.u8(),
        expiryMs: as(readUnsignedBig(reader, 8)),
      };
    case InboundEntryType.keyRevoke:
      return { type: "keyRevoke", account, key: reader.hex(20), minNonce: as(readUnsignedBig(reader, 6)) };
    case InboundEntryType.cancelAll:
      return { type: "cancelAll", account, minNonce: as(readUnsignedBig(reader, 6)) };
    case InboundEntryType.forcedWithdrawal:
      return { type: "forcedWithdrawal", account, amount: as(readUnsignedBig(reader, 8)), recipient: reader.hex(20) };
    case InboundEntryType.forcedClose:
      return {
        type: "forcedClose",
        account,
        instrument: as(readUnsignedBig(reader, 3)),
        size: as(readUnsignedBig(reader, 4) | 0),
        limitPrice: as(readUnsignedBig(reader, 4) | 0),
        nonce: as(readUnsignedBig(reader, 6)),
      };
    default:
      return { type: "forcedLiquidation", account };
  }
}

function readAdminChange(reader: ByteReader): InboundEntry {
  const bytes = readUnsignedBig(reader, 2);
  if (!isChangeLength(bytes)) throw new DecodeError("malformed", reader.offset, "change length");
  return { type: "adminChange", change: reader.hex(bytes) };
}

function readListSeries(reader: ByteReader): InboundEntry {
  const underlying = readUnsignedBig(reader, 2);
  const expiryMs = readUnsignedBig(reader, 8);
  const count = readUnsignedBig(reader, 2);
  if (count > SERIES_STRIKES_MAX) throw new DecodeError("malformed", reader.offset, "too many strikes");
  // Order and range of the strikes are the entry's outcome, not its form.
  const strikes = Array.from({ length: count }, () =>
    as<Extract<InboundEntry, { type: "listSeries" }>["strikes"][number]>(readUnsignedBig(reader, 8)),
  );
  return { type: "listSeries", underlying: as(underlying), expiryMs: as(expiryMs), strikes };
}

export function encodeInboundEntry(entry: Readonly<InboundEntry>): Uint8Array {
  const writer = new ByteWriter(64);
  writeInboundEntry(writer, entry);
  return writer.toBytes();
}

/** Never throws; encodeInboundEntry of the entry gives the same bytes. */
export function decodeInboundEntry(bytes: Uint8Array): InboundEntryDecoding {
  try {
    return { ok: true, entry: readInboundEntry(new ByteReader(bytes)) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { ok: false, offset: error.offset, what: error.message };
  }
}

/** keccak256(previous ‖ keccak256(entry)). */
export function inboundHashNext(previous: Hash, entry: Uint8Array): Hash {
  const pair = new Uint8Array(64);
  hexToBytesInto(previous, pair, 0);
  keccak256Into(entry, 0, entry.length, pair, 32);
  keccak256Into(pair, 0, 64, pair, 0);
  return bytesToHex(pair.subarray(0, 32));
}
