// Cycle payloads (docs/spec/ledger.md, Cycle payloads). The decoder accepts exactly the canonical bytes: encoding what
// it returned gives its input again. What a well-formed cycle may ask for is decided in kinds/.
import { assert, assertNever, ByteReader, ByteWriter, DecodeError } from "@tidemark/num";
import {
  CYCLE_BYTES_MAX,
  EXPIRIES_MAX,
  EXPIRY_INSTRUMENTS_MAX,
  INBOUND_PER_CYCLE_MAX,
  LIQUIDATION_LEGS_MAX,
  ORACLES_MAX,
  OUTBOUND_PER_CYCLE_MAX,
  PAYLOAD_VERSION,
  POSITIONS_MAX,
  REALISATIONS_PER_CYCLE_MAX,
  ROWS_PER_CYCLE_MAX,
} from "../limits.ts";
import { RejectionCode } from "../rejections.ts";
import {
  type Cycle,
  CycleKind,
  type ExpiryCycle,
  type InboundCycle,
  type InboundEntry,
  type LiquidationCycle,
  type OutboundCycle,
  type QuorumSignature,
  type ReportCycle,
  type RowsCycle,
} from "../types.ts";
import { readSurface, writeSurface } from "./cells.ts";
import { readCount, writeCount } from "./counts.ts";
import { readAdmin, readCredit, writeAdmin, writeCredit } from "./governance.ts";
import { readInboundEntry, writeInboundEntry } from "./inbound.ts";
import { as, malformed } from "./reading.ts";
import { readTradeAccounts, writeTradeAccounts } from "./trade.ts";
import { readAdl, readAuction, readBankruptcy, writeAdl, writeAuction, writeBankruptcy } from "./waterfall.ts";

/** MALFORMED, INBOUND_QUEUE_ORDER where an inbound entry does not decode, LIMIT_EXCEEDED beyond CYCLE_BYTES_MAX. */
type DecodingCode = (typeof RejectionCode)["MALFORMED" | "INBOUND_QUEUE_ORDER" | "LIMIT_EXCEEDED"];

export type CycleDecoding =
  | { ok: true; cycle: Cycle }
  | {
      ok: false;
      code: DecodingCode;
      offset: number;
      what: string;
    };

type Instrument = RowsCycle["instruments"][number];

// Reused: an encoding is copied out before the next begins.
const cycleWriter = new ByteWriter(CYCLE_BYTES_MAX);

export function encodeCycle(cycle: Readonly<Cycle>): Uint8Array {
  cycleWriter.reset();
  writeCycle(cycleWriter, cycle);
  return cycleWriter.toBytes();
}

export function writeCycle(writer: ByteWriter, cycle: Readonly<Cycle>): void {
  writer.u8(PAYLOAD_VERSION).u8(CycleKind[cycle.kind]).u64(cycle.timeMs);
  switch (cycle.kind) {
    case "report":
      return writeReport(writer, cycle);
    case "rows":
      return writeRows(writer, cycle);
    case "trade":
      return writeTradeAccounts(writer, cycle.accounts);
    case "liquidation":
      return writeLiquidation(writer, cycle);
    case "auction":
      return writeAuction(writer, cycle);
    case "bankruptcy":
      return writeBankruptcy(writer, cycle);
    case "adl":
      return writeAdl(writer, cycle);
    case "expiry":
      return writeExpiry(writer, cycle);
    case "inbound":
      return writeInbound(writer, cycle);
    case "outbound":
      return writeOutbound(writer, cycle);
    case "credit":
      return writeCredit(writer, cycle);
    case "admin":
      return writeAdmin(writer, cycle);
    default:
      return assertNever(cycle, "cycle");
  }
}

/** Never throws. `domain` is the state's: orders and withdrawals are signed for it, payloads do not repeat it. */
export function decodeCycle(bytes: Uint8Array, domain: number): CycleDecoding {
  const reader = new ByteReader(bytes);
  try {
    const cycle = readCycle(reader, bytes.length, domain);
    reader.end();
    return { ok: true, cycle };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { ok: false, code: codeOf(error), offset: error.offset, what: error.message };
  }
}

class InboundEntryError extends DecodeError {}
class OversizeError extends DecodeError {}

function codeOf(error: DecodeError): DecodingCode {
  if (error instanceof OversizeError) return RejectionCode.LIMIT_EXCEEDED;
  return error instanceof InboundEntryError ? RejectionCode.INBOUND_QUEUE_ORDER : RejectionCode.MALFORMED;
}

const KNOWN_KINDS: ReadonlySet<number> = new Set(Object.values(CycleKind));

function readCycle(reader: ByteReader, bytes: number, domain: number): Cycle {
  if (reader.u8() !== PAYLOAD_VERSION) malformed(reader, "payload version");
  const kind = reader.u8();
  const timeMs = as<Cycle["timeMs"]>(reader.u64());
  // Ahead of the body: no L1 transaction has gas to read one that is as long as a whole batch.
  if (KNOWN_KINDS.has(kind) && bytes > CYCLE_BYTES_MAX) {
    throw new OversizeError("outOfRange", reader.offset, "longer than a cycle may be");
  }
  switch (kind) {
    case CycleKind.report:
      return readReport(reader, timeMs);
    case CycleKind.rows:
      return readRows(reader, timeMs);
    case CycleKind.trade:
      return { kind: "trade", timeMs, accounts: readTradeAccounts(reader, domain) };
    case CycleKind.liquidation:
      return readLiquidation(reader, timeMs, domain);
    case CycleKind.auction:
      return readAuction(reader, timeMs, domain);
    case CycleKind.bankruptcy:
      return readBankruptcy(reader, timeMs);
    case CycleKind.adl:
      return readAdl(reader, timeMs);
    case CycleKind.expiry:
      return readExpiry(reader, timeMs);
    case CycleKind.inbound:
      return readInbound(reader, timeMs);
    case CycleKind.outbound:
      return readOutbound(reader, timeMs, domain);
    case CycleKind.credit:
      return readCredit(reader, timeMs);
    case CycleKind.admin:
      return readAdmin(reader, timeMs);
    default:
      return malformed(reader, "cycle kind");
  }
}

function writeSignatures(writer: ByteWriter, signatures: readonly QuorumSignature[]): void {
  writeCount(writer, signatures.length, 0, ORACLES_MAX, "signatureCount");
  for (const { signer, signature } of signatures) writer.u8(signer).hex(signature, 64);
}

function readSignatures(reader: ByteReader): QuorumSignature[] {
  const count = readCount(reader, 0, ORACLES_MAX, "signatureCount");
  return Array.from({ length: count }, () => ({ signer: reader.u8(), signature: reader.hex(64) }));
}

function readIncreasing(reader: ByteReader, count: number): Instrument[] {
  const instruments: Instrument[] = [];
  let previous = -1;
  for (let i = 0; i < count; i++) {
    const instrument = reader.u24();
    if (instrument <= previous) malformed(reader, "instruments not increasing");
    previous = instrument;
    instruments.push(as(instrument));
  }
  return instruments;
}

function writeIncreasing(writer: ByteWriter, instruments: readonly Instrument[]): void {
  let previous = -1;
  for (const instrument of instruments) {
    assert(instrument > previous, "instruments increase");
    previous = instrument;
    writer.u24(instrument);
  }
}

// ── report ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The part of the payload that the oracles sign: from `underlying` up to and without the signatures. */
export function writeReportContent(writer: ByteWriter, cycle: Readonly<ReportCycle>): void {
  writer.u16(cycle.underlying).u64(cycle.reportMs).u64(cycle.index).i64(cycle.premium);
  writeCount(writer, cycle.surfaces.length, 0, EXPIRIES_MAX, "surfaceCount");
  for (const surface of cycle.surfaces) writeSurface(writer, surface);
}

function writeReport(writer: ByteWriter, cycle: Readonly<ReportCycle>): void {
  writeReportContent(writer, cycle);
  writeSignatures(writer, cycle.signatures);
}

function readReport(reader: ByteReader, timeMs: Cycle["timeMs"]): ReportCycle {
  const underlying = reader.u16();
  const reportMs = reader.u64();
  const index = reader.u64();
  const premium = reader.i64();
  const surfaceCount = readCount(reader, 0, EXPIRIES_MAX, "surfaceCount");
  const surfaces = Array.from({ length: surfaceCount }, () => readSurface(reader));
  return {
    kind: "report",
    timeMs,
    underlying: as(underlying),
    reportMs: as(reportMs),
    index: as(index),
    premium: as(premium),
    surfaces,
    signatures: readSignatures(reader),
  };
}

// ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function writeRows(writer: ByteWriter, cycle: Readonly<RowsCycle>): void {
  writer.u16(cycle.underlying).u8(cycle.closesEpoch ? 1 : 0);
  writeCount(writer, cycle.instruments.length, cycle.closesEpoch ? 0 : 1, ROWS_PER_CYCLE_MAX, "rows count");
  writeIncreasing(writer, cycle.instruments);
}

function readRows(reader: ByteReader, timeMs: Cycle["timeMs"]): RowsCycle {
  const underlying = reader.u16();
  const closes = readCount(reader, 0, 1, "closesEpoch");
  const count = readCount(reader, closes === 1 ? 0 : 1, ROWS_PER_CYCLE_MAX, "rows count");
  const instruments = readIncreasing(reader, count);
  return { kind: "rows", timeMs, underlying: as(underlying), instruments, closesEpoch: closes === 1 };
}

// ── liquidation ────────────────────────────────────────────────────────────────────────────────────────────────────

function writeLiquidation(writer: ByteWriter, cycle: Readonly<LiquidationCycle>): void {
  writer.u24(cycle.account);
  writeCount(writer, cycle.positionCount, 0, POSITIONS_MAX, "positionCount");
  writeCount(writer, cycle.legs.length, 1, LIQUIDATION_LEGS_MAX, "legCount");
  for (const leg of cycle.legs) writer.u24(leg.instrument).i32(leg.size).i64(leg.cash).u48(leg.fee);
  writeTradeAccounts(writer, cycle.counterparties);
}

function readLiquidation(reader: ByteReader, timeMs: Cycle["timeMs"], domain: number): LiquidationCycle {
  const account = reader.u24();
  const positionCount = readCount(reader, 0, POSITIONS_MAX, "positionCount");
  const legCount = readCount(reader, 1, LIQUIDATION_LEGS_MAX, "legCount");
  const legs: LiquidationCycle["legs"] = [];
  for (let i = 0; i < legCount; i++) {
    const instrument = reader.u24();
    const size = reader.i32();
    if (size === -0x8000_0000) malformed(reader, "size");
    legs.push({ instrument: as(instrument), size: as(size), cash: as(reader.i64()), fee: as(reader.u48()) });
  }
  const counterparties = readTradeAccounts(reader, domain);
  return { kind: "liquidation", timeMs, account: as(account), positionCount, legs, counterparties };
}

// ── expiry ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function writeExpiry(writer: ByteWriter, cycle: Readonly<ExpiryCycle>): void {
  writer.u16(cycle.underlying).u64(cycle.expiryMs).u64(cycle.settlementPrice);
  writeSignatures(writer, cycle.signatures);
  writeCount(writer, cycle.instruments.length, 0, EXPIRY_INSTRUMENTS_MAX, "expiry instruments");
  writeIncreasing(writer, cycle.instruments);
  writeCount(writer, cycle.realisations.length, 0, REALISATIONS_PER_CYCLE_MAX, "realisationCount");
  for (const realisation of cycle.realisations) {
    writer.u24(realisation.account);
    writeCount(writer, realisation.positionCount, 0, POSITIONS_MAX, "positionCount");
    writeCount(writer, realisation.instruments.length, 1, POSITIONS_MAX, "realised instruments");
    writeIncreasing(writer, realisation.instruments);
  }
}

function readExpiry(reader: ByteReader, timeMs: Cycle["timeMs"]): ExpiryCycle {
  const underlying = reader.u16();
  const expiryMs = reader.u64();
  const settlementPrice = reader.u64();
  const signatures = readSignatures(reader);
  const instruments = readIncreasing(reader, readCount(reader, 0, EXPIRY_INSTRUMENTS_MAX, "expiry instruments"));
  const realisationCount = readCount(reader, 0, REALISATIONS_PER_CYCLE_MAX, "realisationCount");
  const realisations = Array.from({ length: realisationCount }, () => ({
    account: as<LiquidationCycle["account"]>(reader.u24()),
    positionCount: readCount(reader, 0, POSITIONS_MAX, "positionCount"),
    instruments: readIncreasing(reader, readCount(reader, 1, POSITIONS_MAX, "realised instruments")),
  }));
  return {
    kind: "expiry",
    timeMs,
    underlying: as(underlying),
    expiryMs: as(expiryMs),
    settlementPrice: as(settlementPrice),
    signatures,
    instruments,
    realisations,
  };
}

// ── inbound ────────────────────────────────────────────────────────────────────────────────────────────────────────

function writeInbound(writer: ByteWriter, cycle: Readonly<InboundCycle>): void {
  writeCount(writer, cycle.entries.length, 1, INBOUND_PER_CYCLE_MAX, "inbound count");
  const entryWriter = new ByteWriter(64);
  for (const entry of cycle.entries) {
    entryWriter.reset();
    writeInboundEntry(entryWriter, entry);
    writer.u16(entryWriter.length).bytes(entryWriter.view());
  }
}

function readInbound(reader: ByteReader, timeMs: Cycle["timeMs"]): InboundCycle {
  const count = reader.u8();
  if (count === 0) throw new InboundEntryError("malformed", reader.offset, "no inbound entries");
  if (count > INBOUND_PER_CYCLE_MAX) malformed(reader, "inbound count");
  const entries: InboundEntry[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.u16();
    const start = reader.offset;
    const bytes = reader.bytes(length);
    try {
      entries.push(readInboundEntry(new ByteReader(bytes)));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new InboundEntryError("malformed", start + error.offset, `inbound entry ${i}: ${error.message}`);
    }
  }
  return { kind: "inbound", timeMs, entries };
}

// ── outbound ───────────────────────────────────────────────────────────────────────────────────────────────────────

function writeOutbound(writer: ByteWriter, cycle: Readonly<OutboundCycle>): void {
  writeCount(writer, cycle.withdrawals.length, 1, OUTBOUND_PER_CYCLE_MAX, "outbound count");
  for (const { withdrawal, signature, positionCount } of cycle.withdrawals) {
    writer.u24(withdrawal.account);
    writeCount(writer, positionCount, 0, POSITIONS_MAX, "positionCount");
    writer.u16(withdrawal.asset).u64(withdrawal.amount).u64(withdrawal.destinationChain).hex(withdrawal.recipient, 20);
    writer.u48(withdrawal.nonce).u48(withdrawal.expiryMs).hex(signature, 64);
  }
}

function readOutbound(reader: ByteReader, timeMs: Cycle["timeMs"], domain: number): OutboundCycle {
  const count = readCount(reader, 1, OUTBOUND_PER_CYCLE_MAX, "outbound count");
  const withdrawals: OutboundCycle["withdrawals"] = [];
  for (let i = 0; i < count; i++) {
    const account = reader.u24();
    const positionCount = readCount(reader, 0, POSITIONS_MAX, "positionCount");
    const withdrawal: OutboundCycle["withdrawals"][number]["withdrawal"] = {
      domain,
      account: as(account),
      asset: reader.u16(),
      amount: as(reader.u64()),
      destinationChain: reader.u64(),
      recipient: reader.hex(20),
      nonce: as(reader.u48()),
      expiryMs: as(reader.u48()),
    };
    withdrawals.push({ withdrawal, signature: reader.hex(64), positionCount });
  }
  return { kind: "outbound", timeMs, withdrawals };
}
