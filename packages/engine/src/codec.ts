// Binary form of commands, as the journal keeps them: version, kind, time, body; little-endian, fixed width, append-only.
import type {
  Address,
  CompactSignature,
  ExpirySurface,
  Hash,
  Order,
  OrderLeg,
  QuorumSignature,
  Withdrawal,
} from "@tidemark/ledger";
import { EXPIRIES_MAX, LEGS_MAX, ORACLES_MAX, readSurface, writeSurface } from "@tidemark/ledger";
import { assertNever, ByteReader, ByteWriter, DecodeError, INT32_MAX, type TimestampMs } from "@tidemark/num";
import {
  type AmendCommand,
  type Command,
  CommandKind,
  type OrderRequest,
  OrderType,
  type PlaceCommand,
  TimeInForce,
} from "./commands.ts";

export const COMMAND_VERSION = 1;
const SIGNATURE_BYTES = 64;
const ADDRESS_BYTES = 20;
const HASH_BYTES = 32;
const ENTRY_BYTES_MAX = 0xffff;
const ENTRIES_MAX = 0xffff;
const MODE_TIME_IN_FORCE_SHIFT = 1;
const MODE_POST_ONLY = 8;
const MODE_HASH = 16;
const MODE_MASK = 31;

/** A reader's numbers carry no unit; the field that takes it decides which. */
function as<Branded extends number>(value: number): Branded {
  return value as Branded;
}

function malformed(reader: ByteReader, what: string): never {
  throw new DecodeError("malformed", reader.offset, what);
}

// ── orders ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export function writeOrder(writer: ByteWriter, order: Order): void {
  writer.u32(order.domain).u24(order.account).u8(order.legs.length);
  for (const leg of order.legs) writer.u24(leg.instrument).i32(leg.ratio);
  writer.i32(order.size).i32(order.limitPrice).u40(order.maxFeePerLot).u48(order.nonce);
  writer.u48(order.startMs).u48(order.expiryMs).u8(order.flags);
}

export function readOrder(reader: ByteReader): Order {
  const domain = reader.u32();
  const account = as<Order["account"]>(reader.u24());
  const legCount = reader.u8();
  if (legCount > LEGS_MAX) malformed(reader, "legs");
  const legs: OrderLeg[] = [];
  for (let i = 0; i < legCount; i++) legs.push({ instrument: as(reader.u24()), ratio: reader.i32() });
  const size = reader.i32();
  const limitPrice = reader.i32();
  // −2^31 is no size and no price: its absolute value is no int32.
  if (size < -INT32_MAX || limitPrice < -INT32_MAX) malformed(reader, "size or price");
  return {
    domain,
    account,
    legs,
    size: as(size),
    limitPrice: as(limitPrice),
    maxFeePerLot: as(reader.u40()),
    nonce: as(reader.u48()),
    startMs: as(reader.u48()),
    expiryMs: as(reader.u48()),
    flags: reader.u8(),
  };
}

function writeRequest(writer: ByteWriter, request: OrderRequest): void {
  const { orderHash } = request;
  const mode =
    OrderType[request.type] |
    (TimeInForce[request.timeInForce] << MODE_TIME_IN_FORCE_SHIFT) |
    (request.postOnly ? MODE_POST_ONLY : 0) |
    (orderHash === undefined ? 0 : MODE_HASH);
  writer.u8(mode);
  writeOrder(writer, request.order);
  writer.hex(request.signature, SIGNATURE_BYTES).hex(request.signer, ADDRESS_BYTES);
  if (orderHash !== undefined) writer.hex(orderHash, HASH_BYTES);
}

const TIMES_IN_FORCE: readonly TimeInForce[] = ["gtc", "ioc", "fok"];

function readRequest(reader: ByteReader): OrderRequest {
  const mode = reader.u8();
  const timeInForce = TIMES_IN_FORCE[(mode >> MODE_TIME_IN_FORCE_SHIFT) & 3];
  if (timeInForce === undefined || (mode & ~MODE_MASK) !== 0) malformed(reader, "order mode");
  const order = readOrder(reader);
  const signature: CompactSignature = reader.hex(SIGNATURE_BYTES);
  const signer: Address = reader.hex(ADDRESS_BYTES);
  const request: OrderRequest = {
    order,
    signature,
    signer,
    type: (mode & 1) === 0 ? "limit" : "market",
    timeInForce,
    postOnly: (mode & MODE_POST_ONLY) !== 0,
  };
  if ((mode & MODE_HASH) === 0) return request;
  const orderHash: Hash = reader.hex(HASH_BYTES);
  return { ...request, orderHash };
}

// ── lists ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function writeSurfaces(writer: ByteWriter, surfaces: readonly ExpirySurface[]): void {
  writer.u8(surfaces.length);
  for (const surface of surfaces) writeSurface(writer, surface);
}

function readSurfaces(reader: ByteReader): ExpirySurface[] {
  const count = reader.u8();
  if (count > EXPIRIES_MAX) malformed(reader, "surfaces");
  const surfaces: ExpirySurface[] = [];
  for (let i = 0; i < count; i++) surfaces.push(readSurface(reader));
  return surfaces;
}

function writeQuorum(writer: ByteWriter, signatures: readonly QuorumSignature[]): void {
  writer.u8(signatures.length);
  for (const { signer, signature } of signatures) writer.u8(signer).hex(signature, SIGNATURE_BYTES);
}

function readQuorum(reader: ByteReader): QuorumSignature[] {
  const count = reader.u8();
  if (count > ORACLES_MAX) malformed(reader, "signatures");
  const signatures: QuorumSignature[] = [];
  for (let i = 0; i < count; i++) signatures.push({ signer: reader.u8(), signature: reader.hex(SIGNATURE_BYTES) });
  return signatures;
}

function writeWithdrawal(writer: ByteWriter, withdrawal: Withdrawal): void {
  writer.u32(withdrawal.domain).u24(withdrawal.account).u16(withdrawal.asset).u64(withdrawal.amount);
  writer
    .u64(withdrawal.destinationChain)
    .hex(withdrawal.recipient, ADDRESS_BYTES)
    .u48(withdrawal.nonce)
    .u48(withdrawal.expiryMs);
}

function readWithdrawal(reader: ByteReader): Withdrawal {
  return {
    domain: reader.u32(),
    account: as(reader.u24()),
    asset: reader.u16(),
    amount: as(reader.u64()),
    destinationChain: reader.u64(),
    recipient: reader.hex(ADDRESS_BYTES),
    nonce: as(reader.u48()),
    expiryMs: as(reader.u48()),
  };
}

// ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────

export function encodeCommand(command: Command): Uint8Array {
  const writer = new ByteWriter(256);
  writeCommand(writer, command);
  return writer.toBytes();
}

export function writeCommand(writer: ByteWriter, command: Command): void {
  writer.u8(COMMAND_VERSION).u8(CommandKind[command.kind]).u48(command.timeMs);
  switch (command.kind) {
    case "place":
      return writeRequest(writer, command);
    case "amend":
      writer.u48(command.replaces);
      return writeRequest(writer, command);
    case "cancel":
      writer.u24(command.account).u48(command.nonce).hex(command.signer, ADDRESS_BYTES);
      return;
    case "cancelAll":
      writer
        .u24(command.account)
        .hex(command.signer, ADDRESS_BYTES)
        .u8(command.instrument === undefined ? 0 : 1);
      if (command.instrument !== undefined) writer.u24(command.instrument);
      return;
    case "report":
      writer.u16(command.underlying).u64(command.reportMs).u64(command.index).i64(command.premium);
      writeSurfaces(writer, command.surfaces);
      return writeQuorum(writer, command.signatures);
    case "settle":
      writer.u16(command.underlying).u64(command.expiryMs).u64(command.settlementPrice);
      return writeQuorum(writer, command.signatures);
    case "inbound":
      writer.u16(command.entries.length);
      for (const entry of command.entries) writer.u16(entry.length).bytes(entry);
      return;
    case "withdraw":
      writeWithdrawal(writer, command.withdrawal);
      writer.hex(command.signature, SIGNATURE_BYTES);
      return;
    case "tick":
    case "checkpoint":
      return;
    default:
      assertNever(command, "command");
  }
}

/** Accepts exactly what encodeCommand writes. @throws DecodeError */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== COMMAND_VERSION) malformed(reader, "command version");
  const kind = reader.u8();
  const timeMs = as<TimestampMs>(reader.u48());
  const command = readBody(reader, kind, timeMs);
  reader.end();
  return command;
}

function readBody(reader: ByteReader, kind: number, timeMs: TimestampMs): Command {
  switch (kind) {
    case CommandKind.place:
      return { kind: "place", timeMs, ...readRequest(reader) } satisfies PlaceCommand;
    case CommandKind.amend: {
      const replaces = as<AmendCommand["replaces"]>(reader.u48());
      return { kind: "amend", timeMs, replaces, ...readRequest(reader) };
    }
    case CommandKind.cancel:
      return {
        kind: "cancel",
        timeMs,
        account: as(reader.u24()),
        nonce: as(reader.u48()),
        signer: reader.hex(ADDRESS_BYTES),
      };
    case CommandKind.cancelAll:
      return readCancelAll(reader, timeMs);
    case CommandKind.report:
      return {
        kind: "report",
        timeMs,
        underlying: as(reader.u16()),
        reportMs: as(reader.u64()),
        index: as(reader.u64()),
        premium: as(reader.i64()),
        surfaces: readSurfaces(reader),
        signatures: readQuorum(reader),
      };
    case CommandKind.settle:
      return {
        kind: "settle",
        timeMs,
        underlying: as(reader.u16()),
        expiryMs: as(reader.u64()),
        settlementPrice: as(reader.u64()),
        signatures: readQuorum(reader),
      };
    case CommandKind.inbound:
      return { kind: "inbound", timeMs, entries: readEntries(reader) };
    case CommandKind.withdraw:
      return { kind: "withdraw", timeMs, withdrawal: readWithdrawal(reader), signature: reader.hex(SIGNATURE_BYTES) };
    case CommandKind.tick:
      return { kind: "tick", timeMs };
    case CommandKind.checkpoint:
      return { kind: "checkpoint", timeMs };
    default:
      return malformed(reader, "command kind");
  }
}

function readCancelAll(reader: ByteReader, timeMs: TimestampMs): Command {
  const account = as<AmendCommand["order"]["account"]>(reader.u24());
  const signer: Address = reader.hex(ADDRESS_BYTES);
  const hasInstrument = reader.u8();
  if (hasInstrument > 1) malformed(reader, "flag");
  if (hasInstrument === 0) return { kind: "cancelAll", timeMs, account, signer };
  return { kind: "cancelAll", timeMs, account, signer, instrument: as(reader.u24()) };
}

function readEntries(reader: ByteReader): Uint8Array[] {
  const count = reader.u16();
  const entries: Uint8Array[] = [];
  for (let i = 0; i < count; i++) entries.push(reader.bytes(reader.u16()).slice());
  return entries;
}

/** Most entries and longest entry that an inbound command can carry. */
export const INBOUND_COMMAND_LIMITS = { entriesMax: ENTRIES_MAX, entryBytesMax: ENTRY_BYTES_MAX } as const;
