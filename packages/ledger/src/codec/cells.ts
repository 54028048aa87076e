// Bytes of the state cells (docs/spec/ledger.md, Cells). Writers assert widths; readers refuse what is not canonical.
import { assert, type ByteReader, type ByteWriter } from "@tidemark/num";
import { DELEGATES_MAX, EXPIRIES_MAX, POSITIONS_MAX, ROW_LENGTH } from "../limits.ts";
import {
  type AccountCell,
  type ExpirySurface,
  type GlobalsCell,
  type InstrumentCell,
  InstrumentKind,
  InstrumentStatus,
  type OutboxCell,
  type Position,
  type RingSlot,
  type UnderlyingCell,
} from "../types.ts";
import { as, malformed } from "./reading.ts";

export const ACCOUNT_CELL_FIXED_BYTES = 104;
export const DELEGATE_BYTES = 29;
export const POSITION_BYTES = 15;
export const RING_CELL_BYTES = 58;
export const INSTRUMENT_CELL_BYTES = 108 + 5 * ROW_LENGTH;
export const UNDERLYING_CELL_FIXED_BYTES = 46;
export const SURFACE_BYTES = 64;
export const OUTBOX_CELL_BYTES = 41;
export const GLOBALS_CELL_BYTES = 182;

function readFlag(reader: ByteReader, what: string): boolean {
  const value = reader.u8();
  if (value > 1) malformed(reader, what);
  return value === 1;
}

// Positions are most of an account's bytes: they are packed here and written at once.
const positionBytes = new Uint8Array(POSITIONS_MAX * POSITION_BYTES);
const positionView = new DataView(positionBytes.buffer);
const TWO_32 = 2 ** 32;

function packPositions(positions: readonly Position[]): Uint8Array {
  assert(positions.length <= POSITIONS_MAX, "positions");
  for (let i = 0; i < positions.length; i++) {
    const { instrument, size, fundingIndex } = positions[i] as Position;
    assert(
      instrument >= 0 && instrument < 2 ** 24 && (size | 0) === size && Number.isSafeInteger(fundingIndex),
      "position",
    );
    const at = i * POSITION_BYTES;
    positionView.setUint16(at, instrument & 0xffff, true);
    positionView.setUint8(at + 2, instrument >>> 16);
    positionView.setInt32(at + 3, size, true);
    const high = Math.floor(fundingIndex / TWO_32);
    positionView.setUint32(at + 7, fundingIndex - high * TWO_32, true);
    positionView.setInt32(at + 11, high, true);
  }
  return positionBytes.subarray(0, positions.length * POSITION_BYTES);
}

/** `ringRoot`: the bytes of cell.ringRoot where the caller has them. */
export function writeAccount(
  writer: ByteWriter,
  cell: Readonly<AccountCell>,
  ringRoot: Uint8Array | null = null,
): void {
  writer.u32(cell.domain).hex(cell.owner, 20).u8(cell.delegates.length);
  for (const delegate of cell.delegates) writer.hex(delegate.key, 20).u8(delegate.scopes).u64(delegate.expiryMs);
  writer.i64(cell.cash).i64(cell.credit).u48(cell.minNonce).u64(cell.liquidationMs).u64(cell.auctionMs);
  writer.u64(cell.creditIndex);
  if (ringRoot === null) writer.hex(cell.ringRoot, 32);
  else writer.bytes(ringRoot);
  writer.u8(cell.positions.length);
  writer.bytes(packPositions(cell.positions));
}

export function readAccount(reader: ByteReader): AccountCell {
  const domain = reader.u32();
  const owner = reader.hex(20);
  const delegateCount = reader.u8();
  if (delegateCount > DELEGATES_MAX) malformed(reader, "delegateCount");
  const delegates = Array.from({ length: delegateCount }, () => ({
    key: reader.hex(20),
    scopes: reader.u8(),
    expiryMs: as<AccountCell["liquidationMs"]>(reader.u64()),
  }));
  const cell: AccountCell = {
    domain,
    owner,
    delegates,
    cash: as(reader.i64()),
    credit: as(reader.i64()),
    minNonce: as(reader.u48()),
    liquidationMs: as(reader.u64()),
    auctionMs: as(reader.u64()),
    creditIndex: reader.u64(),
    ringRoot: reader.hex(32),
    positions: [],
  };
  const positionCount = reader.u8();
  if (positionCount > POSITIONS_MAX) malformed(reader, "positionCount");
  let previous = -1;
  for (let i = 0; i < positionCount; i++) {
    const instrument = reader.u24();
    const size = reader.i32();
    if (instrument <= previous || size === 0) malformed(reader, "positions");
    previous = instrument;
    cell.positions.push({ instrument: as(instrument), size: as(size), fundingIndex: reader.i64() });
  }
  return cell;
}

export function writeRingSlot(writer: ByteWriter, slot: Readonly<RingSlot>): void {
  writer.u48(slot.nonce).hex(slot.orderHash, 32).u32(slot.filledLots).i64(slot.filledCash).u64(slot.receiptDeadlineMs);
}

export function readRingSlot(reader: ByteReader): RingSlot {
  return {
    nonce: as(reader.u48()),
    orderHash: reader.hex(32),
    filledLots: reader.u32(),
    filledCash: as(reader.i64()),
    receiptDeadlineMs: as(reader.u64()),
  };
}

export function writeInstrument(writer: ByteWriter, cell: Readonly<InstrumentCell>): void {
  writer.u8(cell.kind).u16(cell.underlying).u8(cell.status).u64(cell.expiryMs).u64(cell.strike);
  writer.u64(cell.lotNanoCoin).u64(cell.tickMicroUsd).u32(cell.tickValueMicroUsdc);
  writer.i64(cell.fundingIndex).u64(cell.settlementPerLot).i64(cell.clearingPosition).i64(cell.clearingCash);
  writer.u64(cell.rowEpoch).u64(cell.rowTimeMs);
  for (let s = 0; s < ROW_LENGTH; s++) writer.u40(cell.row[s] as number);
  writer.u40(cell.shortAddOn).u40(cell.longAddOn).u40(cell.concentrationAddOn).u40(cell.feePerLot);
}

export function readInstrument(reader: ByteReader): InstrumentCell {
  const kind = reader.u8();
  if (kind > InstrumentKind.put) malformed(reader, "instrument kind");
  const underlying = reader.u16();
  const status = reader.u8();
  if (status !== InstrumentStatus.listed && status !== InstrumentStatus.settled) malformed(reader, "instrument status");
  return {
    kind: kind as InstrumentKind,
    underlying: as(underlying),
    status,
    expiryMs: as(reader.u64()),
    strike: as(reader.u64()),
    lotNanoCoin: reader.u64(),
    tickMicroUsd: reader.u64(),
    tickValueMicroUsdc: reader.u32(),
    fundingIndex: reader.i64(),
    settlementPerLot: as(reader.u64()),
    clearingPosition: reader.i64(),
    clearingCash: as(reader.i64()),
    rowEpoch: reader.u64(),
    rowTimeMs: as(reader.u64()),
    row: Array.from({ length: ROW_LENGTH }, () => reader.u40()),
    shortAddOn: reader.u40(),
    longAddOn: reader.u40(),
    concentrationAddOn: reader.u40(),
    feePerLot: reader.u40(),
  };
}

export function writeSurface(writer: ByteWriter, surface: Readonly<ExpirySurface>): void {
  writer.u64(surface.expiryMs).u64(surface.forward).u64(surface.realisedAverage);
  writer.i64(surface.a).i64(surface.b).i64(surface.rho).i64(surface.m).i64(surface.s);
}

export function readSurface(reader: ByteReader): ExpirySurface {
  return {
    expiryMs: as(reader.u64()),
    forward: as(reader.u64()),
    realisedAverage: as(reader.u64()),
    a: as(reader.i64()),
    b: as(reader.i64()),
    rho: as(reader.i64()),
    m: as(reader.i64()),
    s: as(reader.i64()),
  };
}

export function writeUnderlying(writer: ByteWriter, cell: Readonly<UnderlyingCell>): void {
  writer
    .u64(cell.epoch)
    .u8(cell.epochOpen ? 1 : 0)
    .u64(cell.reportMs)
    .u64(cell.index)
    .u64(cell.indexAverage);
  writer
    .i64(cell.premiumEma)
    .u8(cell.hasPerpetual ? 1 : 0)
    .u24(cell.perpetual)
    .u8(cell.surfaces.length);
  for (const surface of cell.surfaces) writeSurface(writer, surface);
}

export function readUnderlying(reader: ByteReader): UnderlyingCell {
  const cell: UnderlyingCell = {
    epoch: reader.u64(),
    epochOpen: readFlag(reader, "epochOpen"),
    reportMs: as(reader.u64()),
    index: as(reader.u64()),
    indexAverage: as(reader.u64()),
    premiumEma: as(reader.i64()),
    hasPerpetual: readFlag(reader, "hasPerpetual"),
    perpetual: as(reader.u24()),
    surfaces: [],
  };
  const surfaceCount = reader.u8();
  if (surfaceCount > EXPIRIES_MAX) malformed(reader, "surfaceCount");
  for (let i = 0; i < surfaceCount; i++) cell.surfaces.push(readSurface(reader));
  return cell;
}

export function writeOutbox(writer: ByteWriter, cell: Readonly<OutboxCell>): void {
  writer.u24(cell.account).u16(cell.asset).u64(cell.amount).u64(cell.destinationChain).hex(cell.recipient, 20);
}

export function readOutbox(reader: ByteReader): OutboxCell {
  return {
    account: as(reader.u24()),
    asset: reader.u16(),
    amount: as(reader.u64()),
    destinationChain: reader.u64(),
    recipient: reader.hex(20),
  };
}

export function writeGlobals(writer: ByteWriter, cell: Readonly<GlobalsCell>): void {
  writer.u32(cell.domain).u16(cell.format).u8(cell.hashSuite).u64(cell.timeMs).u64(cell.inboundCursor);
  writer.hex(cell.inboundHash, 32).u32(cell.outboxCount).u24(cell.instrumentCount);
  writer.i64(cell.inboundTotal).i64(cell.outboxTotal).i64(cell.cashTotal).i64(cell.clearingTotal).i64(cell.badDebt);
  writer.hex(cell.parametersHash, 32).i64(cell.creditTotal).hex(cell.adminHash, 32).u64(cell.adminMs);
}

export function readGlobals(reader: ByteReader): GlobalsCell {
  return {
    domain: reader.u32(),
    format: reader.u16(),
    hashSuite: reader.u8(),
    timeMs: as(reader.u64()),
    inboundCursor: reader.u64(),
    inboundHash: reader.hex(32),
    outboxCount: reader.u32(),
    instrumentCount: reader.u24(),
    inboundTotal: as(reader.i64()),
    outboxTotal: as(reader.i64()),
    cashTotal: as(reader.i64()),
    clearingTotal: as(reader.i64()),
    badDebt: as(reader.i64()),
    parametersHash: reader.hex(32),
    creditTotal: as(reader.i64()),
    adminHash: reader.hex(32),
    adminMs: as(reader.u64()),
  };
}
