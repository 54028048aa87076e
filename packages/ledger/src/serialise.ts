// A whole state as bytes, for snapshots: canonical order, so equal states have equal bytes.
import { assert, ByteReader, ByteWriter, bytesToHex, DecodeError, keccak256 } from "@tidemark/num";
import {
  readAccount,
  readGlobals,
  readInstrument,
  readOutbox,
  readRingSlot,
  readUnderlying,
  writeAccount,
  writeGlobals,
  writeInstrument,
  writeOutbox,
  writeRingSlot,
  writeUnderlying,
} from "./codec/cells.ts";
import { malformed } from "./codec/reading.ts";
import { HASH_SUITE, INSTRUMENTS_MAX, RING_SLOTS, STATE_FORMAT, UNDERLYINGS_MAX } from "./limits.ts";
import { isChangeOf } from "./parameterChange.ts";
import { decodeParameters, encodeParameters, type ParameterSet, parametersHash } from "./parameters.ts";
import { LedgerState } from "./state.ts";
import { EMPTY_RING_ROOT } from "./tree/roots.ts";
import type { AccountCell, InstrumentCell, OutboxCell, RingSlot, UnderlyingCell } from "./types.ts";

const SNAPSHOT_VERSION = 2;
const HASH_BYTES = 32;

/**
 * version u16, stateRoot 32, parameter set (length u32 and bytes), globals, underlyingCount u16 and cells, instrument cells, outbox cells, accountCount u32 and
 * (number u24, cell, slotCount u32, ring slots by slot index)…, and keccak256 of all that.
 */
export function serialiseState(state: LedgerState): Uint8Array {
  const writer = new ByteWriter(1 << 16);
  writer.u16(SNAPSHOT_VERSION).hex(state.root(), HASH_BYTES);
  const parameters = encodeParameters(state.parameters);
  writer.u32(parameters.length).bytes(parameters);
  writeGlobals(writer, state.globals);
  writer.u16(state.underlyingCount);
  for (let number = 0; number < state.underlyingCount; number++) {
    writeUnderlying(writer, present(state.underlying(number)));
  }
  for (let number = 0; number < state.instrumentCount; number++) {
    writeInstrument(writer, present(state.instrument(number)));
  }
  for (let number = 0; number < state.outboxCount; number++) writeOutbox(writer, present(state.outboxCell(number)));
  const numbers = state.accountNumbers();
  writer.u32(numbers.length);
  for (const number of numbers) {
    writer.u24(number);
    writeAccount(writer, present(state.account(number)));
    const slots = state.ringSlots(number);
    writer.u32(slots.length);
    for (const slot of slots) writeRingSlot(writer, slot);
  }
  return writer.bytes(keccak256(writer.view())).toBytes();
}

function present<Cell>(cell: Cell | undefined): Cell {
  assert(cell !== undefined, "cells are dense");
  return cell;
}

/**
 * `genesis`: the parameters that the venue began with; the snapshot's are those or what admin cycles made of them.
 * @throws DecodeError for bytes that are not a state of such parameters: every root is computed again and compared.
 */
export function deserialiseState(bytes: Uint8Array, genesis: ParameterSet): LedgerState {
  const contentBytes = bytes.length - HASH_BYTES;
  if (contentBytes < 0) throw new DecodeError("malformed", 0, "snapshot too short");
  const content = bytes.subarray(0, contentBytes);
  if (bytesToHex(keccak256(content)) !== bytesToHex(bytes.subarray(contentBytes))) {
    throw new DecodeError("malformed", contentBytes, "snapshot checksum");
  }
  const reader = new ByteReader(content);
  if (reader.u16() !== SNAPSHOT_VERSION) malformed(reader, "snapshot version");
  const root = reader.hex(HASH_BYTES);
  const parameters = decodeParameters(reader.bytes(reader.u32()));
  if (!isChangeOf(genesis, parameters)) malformed(reader, "another parameter set");
  const globals = readGlobals(reader);
  if (globals.format !== STATE_FORMAT || globals.hashSuite !== HASH_SUITE) malformed(reader, "state format");
  if (globals.parametersHash !== parametersHash(parameters)) malformed(reader, "parameters hash");
  if (globals.instrumentCount > INSTRUMENTS_MAX) malformed(reader, "instrumentCount");
  const underlyingCount = reader.u16();
  if (underlyingCount > UNDERLYINGS_MAX) malformed(reader, "underlyingCount");
  const underlyings = new Map<number, UnderlyingCell>();
  for (let number = 0; number < underlyingCount; number++) underlyings.set(number, readUnderlying(reader));
  const instruments = new Map<number, InstrumentCell>();
  for (let number = 0; number < globals.instrumentCount; number++) instruments.set(number, readInstrument(reader));
  const outbox: OutboxCell[] = [];
  for (let number = 0; number < globals.outboxCount; number++) outbox.push(readOutbox(reader));
  const { accounts, ringSlots, ringRoots } = readAccounts(reader);
  reader.end();
  const state = new LedgerState(parameters, globals);
  const computed = state.store({ accounts, instruments, underlyings, ringSlots, outbox, globals, parameters: null });
  for (const [account, ringRoot] of ringRoots) {
    if (state.account(account)?.ringRoot !== ringRoot) malformed(reader, `ring root of account ${account}`);
  }
  if (computed !== root) malformed(reader, "state root");
  return state;
}

interface SnapshotAccounts {
  accounts: Map<number, AccountCell>;
  ringSlots: Map<number, Map<number, RingSlot>>;
  ringRoots: Map<number, string>;
}

function readAccounts(reader: ByteReader): SnapshotAccounts {
  const parts: SnapshotAccounts = { accounts: new Map(), ringSlots: new Map(), ringRoots: new Map() };
  const accountCount = reader.u32();
  let previous = -1;
  for (let i = 0; i < accountCount; i++) {
    const number = reader.u24();
    if (number <= previous) malformed(reader, "accounts not increasing");
    previous = number;
    const cell = readAccount(reader);
    parts.accounts.set(number, cell);
    parts.ringRoots.set(number, cell.ringRoot);
    const slots = readRingSlots(reader);
    if (slots.size > 0) parts.ringSlots.set(number, slots);
    else if (cell.ringRoot !== EMPTY_RING_ROOT) malformed(reader, `ring root of account ${number}`);
  }
  return parts;
}

function readRingSlots(reader: ByteReader): Map<number, RingSlot> {
  const slots = new Map<number, RingSlot>();
  const slotCount = reader.u32();
  let previous = -1;
  for (let i = 0; i < slotCount; i++) {
    const slot = readRingSlot(reader);
    const index = slot.nonce % RING_SLOTS;
    if (index <= previous) malformed(reader, "ring slots not increasing");
    previous = index;
    slots.set(index, slot);
  }
  return slots;
}
