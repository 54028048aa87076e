// What a watcher keeps of its work: the state after the last batch that agreed, and how much was compared on the way to it.
import { deserialiseState, type LedgerState, type ParameterSet, serialiseState } from "@tidemark/ledger";
import { assert, ByteReader, ByteWriter, bytesToHex, DecodeError, keccak256 } from "@tidemark/num";
import type { BatchTip } from "./propose.ts";

export interface WatcherCheckpoint {
  /** After the batch of `tip`. */
  state: LedgerState;
  tip: BatchTip;
  /** From genesis on; all of them were equal. */
  cyclesCompared: number;
  cyclesByKind: Record<string, number>;
}

const CHECKPOINT_VERSION = 1;
const HASH_BYTES = 32;

/**
 * version u16, number u48, batchHash 32, nextCycle u48, timeMs u48, inboundCursor u48, inboundHash 32, cyclesCompared u48, kindCount u8 and (length u8,
 * name, cycles u48)…, length u32 and the state's snapshot, and keccak256 of all that.
 */
export function encodeCheckpoint({ state, tip, cyclesCompared, cyclesByKind }: WatcherCheckpoint): Uint8Array {
  assert(state.root() === tip.stateRoot, "a checkpoint's state is the one after its tip");
  const writer = new ByteWriter(1 << 16);
  writer.u16(CHECKPOINT_VERSION).u48(tip.number).hex(tip.batchHash, HASH_BYTES);
  writer.u48(tip.nextCycle).u48(tip.timeMs).u48(tip.inboundCursor).hex(tip.inboundHash, HASH_BYTES);
  const kinds = Object.entries(cyclesByKind);
  writer.u48(cyclesCompared).u8(kinds.length);
  for (const [kind, cycles] of kinds) {
    const name = new TextEncoder().encode(kind);
    writer.u8(name.length).bytes(name).u48(cycles);
  }
  const snapshot = serialiseState(state);
  writer.u32(snapshot.length).bytes(snapshot);
  return writer.bytes(keccak256(writer.view())).toBytes();
}

/**
 * Whether the state was right when it was kept is the word of whoever kept it. `genesis`: the parameters that the venue began with.
 * @throws DecodeError for bytes that are no checkpoint of such a venue; the state's root is computed again
 */
export function decodeCheckpoint(bytes: Uint8Array, genesis: ParameterSet): WatcherCheckpoint {
  const contentBytes = bytes.length - HASH_BYTES;
  if (contentBytes < 0) throw new DecodeError("malformed", 0, "checkpoint too short");
  const content = bytes.subarray(0, contentBytes);
  if (bytesToHex(keccak256(content)) !== bytesToHex(bytes.subarray(contentBytes))) {
    throw new DecodeError("malformed", contentBytes, "checkpoint checksum");
  }
  const reader = new ByteReader(content);
  if (reader.u16() !== CHECKPOINT_VERSION) throw new DecodeError("malformed", 0, "checkpoint version");
  const number = reader.u48();
  const batchHash = reader.hex(HASH_BYTES);
  const nextCycle = reader.u48();
  const timeMs = reader.u48();
  const inboundCursor = reader.u48();
  const inboundHash = reader.hex(HASH_BYTES);
  const cyclesCompared = reader.u48();
  const cyclesByKind: Record<string, number> = {};
  for (let left = reader.u8(); left > 0; left--) {
    const kind = new TextDecoder().decode(reader.bytes(reader.u8()));
    cyclesByKind[kind] = reader.u48();
  }
  const state = deserialiseState(reader.bytes(reader.u32()), genesis);
  reader.end();
  const tip: BatchTip = { number, batchHash, stateRoot: state.root(), nextCycle, timeMs, inboundCursor, inboundHash };
  const { globals } = state;
  if (globals.timeMs !== timeMs || globals.inboundCursor !== inboundCursor || globals.inboundHash !== inboundHash) {
    throw new DecodeError("malformed", 0, "checkpoint's state is of another batch");
  }
  return { state, tip, cyclesCompared, cyclesByKind };
}
