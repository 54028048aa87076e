// A batch: the header that the L1 chain commits to, the data that it publishes, and the calldata that carries both.
// Formats: docs/spec/settlement.md. Encoders assert (the caller made the values); decoders are total on hostile bytes.

import { CYCLE_BYTES_MAX, type Hash } from "@tidemark/ledger";
import { assert, bytesToHex, hexToBytes, hexToBytesInto, keccak256, keccak256Into } from "@tidemark/num";
import { unpackBlob } from "./blob.ts";

export const BATCH_VERSION = 1;
/** The data are in the calldata of postBatch. */
export const DATA_MODE_CALLDATA = 0;
/** The data are in the one blob of postBatchBlob's transaction. */
export const DATA_MODE_BLOB = 1;

export interface BatchHeader {
  version: number;
  domain: number;
  number: number;
  parent: Hash;
  preStateRoot: Hash;
  postStateRoot: Hash;
  cyclesRoot: Hash;
  cycleCount: number;
  firstCycle: number;
  timeMs: number;
  inboundCursor: number;
  inboundHash: Hash;
  dataMode: number;
  /** Versioned hash of the blob; zero in calldata mode. */
  dataHash: Hash;
  /** Bytes of the data. */
  dataLength: number;
}

/** One cycle as a batch carries it. */
export interface BatchCycle {
  payload: Uint8Array;
  postRoot: Hash;
}

export interface Batch {
  header: BatchHeader;
  batchHash: Hash;
  data: Uint8Array;
}

// ── header ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type HeaderFieldType = "uint8" | "uint32" | "uint64" | "bytes32";
/** In ABI order. */
const HEADER_FIELDS = [
  ["version", "uint32"],
  ["domain", "uint32"],
  ["number", "uint64"],
  ["parent", "bytes32"],
  ["preStateRoot", "bytes32"],
  ["postStateRoot", "bytes32"],
  ["cyclesRoot", "bytes32"],
  ["cycleCount", "uint32"],
  ["firstCycle", "uint64"],
  ["timeMs", "uint64"],
  ["inboundCursor", "uint64"],
  ["inboundHash", "bytes32"],
  ["dataMode", "uint8"],
  ["dataHash", "bytes32"],
  ["dataLength", "uint32"],
] as const satisfies readonly (readonly [keyof BatchHeader, HeaderFieldType])[];

const WORD_BYTES = 32;
export const HEADER_BYTES = HEADER_FIELDS.length * WORD_BYTES;
/** Exclusive bounds; a uint64 above 2^53 − 1 has no meaning anywhere in the system. */
const FIELD_LIMIT: Readonly<Record<Exclude<HeaderFieldType, "bytes32">, number>> = {
  uint8: 2 ** 8,
  uint32: 2 ** 32,
  uint64: 2 ** 53,
};

function writeWord(value: number, output: Uint8Array, at: number): void {
  let rest = value;
  for (let i = at + WORD_BYTES - 1; rest > 0; i--) {
    output[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

/** The word as a number, or −1 when it is `limit` or more. `limit` is at most 2^53. */
function readWord(bytes: Uint8Array, at: number, limit: number): number {
  for (let i = at; i < at + WORD_BYTES - 7; i++) if (bytes[i] !== 0) return -1;
  let value = 0;
  for (let i = at + WORD_BYTES - 7; i < at + WORD_BYTES; i++) value = value * 256 + (bytes[i] as number);
  return value < limit ? value : -1;
}

/** abi.encode(header). */
export function encodeHeader(header: BatchHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  HEADER_FIELDS.forEach(([name, type], i) => {
    const value: number | Hash = header[name];
    if (typeof value === "string") {
      assert(type === "bytes32" && value.length === 66, `batch header: ${name} is 32 bytes`);
      hexToBytesInto(value, bytes, i * WORD_BYTES);
      return;
    }
    assert(type !== "bytes32" && Number.isSafeInteger(value), `batch header: ${name} is an integer`);
    assert(value >= 0 && value < FIELD_LIMIT[type], `batch header: ${name} fits ${type}`);
    writeWord(value, bytes, i * WORD_BYTES);
  });
  return bytes;
}

export function hashHeader(header: BatchHeader): Hash {
  return bytesToHex(keccak256(encodeHeader(header)));
}

/** Parent of batch 1: keccak256(abi.encode(genesisRoot)). */
export function genesisBatchHash(genesisRoot: Hash): Hash {
  return bytesToHex(keccak256(hexToBytes(genesisRoot)));
}

// ── data and their tree ────────────────────────────────────────────────────────────────────────────────────────────

const LENGTH_BYTES = 4;
const ROOT_BYTES = 32;
/** uint32 length (big-endian) ‖ postRoot. */
export const CYCLE_HEAD_BYTES = LENGTH_BYTES + ROOT_BYTES;

export function batchDataBytes(cycles: readonly BatchCycle[]): number {
  return cycles.reduce((sum, cycle) => sum + CYCLE_HEAD_BYTES + cycle.payload.length, 0);
}

export function encodeBatchData(cycles: readonly BatchCycle[]): Uint8Array {
  const data = new Uint8Array(batchDataBytes(cycles));
  const view = new DataView(data.buffer);
  let offset = 0;
  for (const { payload, postRoot } of cycles) {
    assert(payload.length > 0, "a cycle's payload is not empty");
    view.setUint32(offset, payload.length, false);
    hexToBytesInto(postRoot, data, offset + LENGTH_BYTES);
    data.set(payload, offset + CYCLE_HEAD_BYTES);
    offset += CYCLE_HEAD_BYTES + payload.length;
  }
  return data;
}

export type DecodedBatchData =
  | { ok: true; cycles: BatchCycle[] }
  /** `cycles` are those before the place where the bytes stop making sense. */
  | { ok: false; cycles: BatchCycle[]; detail: string };

/** Total: any bytes have an answer. Payloads are views of `data`. */
export function decodeBatchData(data: Uint8Array): DecodedBatchData {
  const cycles: BatchCycle[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let offset = 0;
  while (offset < data.length) {
    const fail = (what: string): DecodedBatchData => ({ ok: false, cycles, detail: `${what} at data byte ${offset}` });
    if (data.length - offset < CYCLE_HEAD_BYTES) return fail(`${data.length - offset} bytes are no cycle head`);
    const length = view.getUint32(offset, false);
    const payloadAt = offset + CYCLE_HEAD_BYTES;
    if (length === 0) return fail("empty payload");
    if (length > data.length - payloadAt) {
      return fail(`payload of ${length} bytes where ${data.length - payloadAt} are left`);
    }
    if (length > CYCLE_BYTES_MAX) return fail(`payload of ${length} bytes, a cycle has at most ${CYCLE_BYTES_MAX}`);
    cycles.push({
      payload: data.subarray(payloadAt, payloadAt + length),
      postRoot: bytesToHex(data.subarray(offset + LENGTH_BYTES, payloadAt)),
    });
    offset = payloadAt + length;
  }
  return { ok: true, cycles };
}

// 0x00 ‖ keccak256(payload) ‖ uint32 length ‖ postRoot
const LEAF_BYTES = 1 + 32 + LENGTH_BYTES + ROOT_BYTES;
// 0x01 ‖ left ‖ right
const NODE_BYTES = 1 + 64;

function hashLeaf(cycle: BatchCycle, scratch: Uint8Array, output: Uint8Array, outputOffset: number): void {
  scratch[0] = 0;
  keccak256Into(cycle.payload, 0, cycle.payload.length, scratch, 1);
  new DataView(scratch.buffer).setUint32(33, cycle.payload.length, false);
  hexToBytesInto(cycle.postRoot, scratch, 33 + LENGTH_BYTES);
  keccak256Into(scratch, 0, LEAF_BYTES, output, outputOffset);
}

/** keccak256(0x00 ‖ keccak256(payload) ‖ uint32 length ‖ postRoot). */
export function cycleLeaf(cycle: BatchCycle): Hash {
  const leaf = new Uint8Array(32);
  hashLeaf(cycle, new Uint8Array(LEAF_BYTES), leaf, 0);
  return bytesToHex(leaf);
}

/** Root over at least one cycle; an odd node moves up unchanged. */
export function cyclesRoot(cycles: readonly BatchCycle[]): Hash {
  assert(cycles.length > 0, "a batch has a cycle");
  const nodes = new Uint8Array(cycles.length * 32);
  const scratch = new Uint8Array(LEAF_BYTES);
  cycles.forEach((cycle, i) => hashLeaf(cycle, scratch, nodes, i * 32));
  for (let width = cycles.length; width > 1; width = (width + 1) >> 1) {
    const pairs = width >> 1;
    for (let i = 0; i < pairs; i++) {
      scratch[0] = 1;
      scratch.set(nodes.subarray(i * 64, i * 64 + 64), 1);
      keccak256Into(scratch, 0, NODE_BYTES, nodes, i * 32);
    }
    if (width % 2 === 1) nodes.copyWithin(pairs * 32, (width - 1) * 32, width * 32);
  }
  return bytesToHex(nodes.subarray(0, 32));
}

// ── calldata of postBatch ──────────────────────────────────────────────────────────────────────────────────────────

const SELECTOR_BYTES = 4;
const HEADER_TYPE = `(${HEADER_FIELDS.map(([, type]) => type).join()})`;
const POST_BATCH_SIGNATURE = `postBatch(${HEADER_TYPE},bytes)`;
const POST_BATCH_BLOB_SIGNATURE = `postBatchBlob(${HEADER_TYPE})`;

function selectorOf(signature: string): Uint8Array {
  // Function signatures are ASCII.
  return keccak256(Uint8Array.from(signature, (character) => character.charCodeAt(0))).slice(0, SELECTOR_BYTES);
}
const POST_BATCH_SELECTOR = selectorOf(POST_BATCH_SIGNATURE);
const POST_BATCH_BLOB_SELECTOR = selectorOf(POST_BATCH_BLOB_SIGNATURE);
const OFFSET_AT = SELECTOR_BYTES + HEADER_BYTES;
const DATA_OFFSET = HEADER_BYTES + WORD_BYTES;
const DATA_LENGTH_AT = OFFSET_AT + WORD_BYTES;
const DATA_AT = DATA_LENGTH_AT + WORD_BYTES;
/** Where the data stand in canonical calldata. */
export const POST_BATCH_DATA_AT = DATA_AT;

/** The call of postBatch(header, data) in canonical ABI encoding. */
export function encodePostBatch(header: BatchHeader, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(DATA_AT + Math.ceil(data.length / WORD_BYTES) * WORD_BYTES);
  bytes.set(POST_BATCH_SELECTOR, 0);
  bytes.set(encodeHeader(header), SELECTOR_BYTES);
  writeWord(DATA_OFFSET, bytes, OFFSET_AT);
  writeWord(data.length, bytes, DATA_LENGTH_AT);
  bytes.set(data, DATA_AT);
  return bytes;
}

/** The call of postBatchBlob(header). */
export function encodePostBatchBlob(header: BatchHeader): Uint8Array {
  const bytes = new Uint8Array(SELECTOR_BYTES + HEADER_BYTES);
  bytes.set(POST_BATCH_BLOB_SELECTOR, 0);
  bytes.set(encodeHeader(header), SELECTOR_BYTES);
  return bytes;
}

export type DecodedPostBatch = { ok: true; header: BatchHeader; data: Uint8Array } | { ok: false; detail: string };

function decodeHeader(bytes: Uint8Array, at: number): BatchHeader | string {
  const fields: Record<string, number | Hash> = {};
  for (const [i, [name, type]] of HEADER_FIELDS.entries()) {
    const wordAt = at + i * WORD_BYTES;
    if (type === "bytes32") {
      fields[name] = bytesToHex(bytes.subarray(wordAt, wordAt + WORD_BYTES));
      continue;
    }
    const value = readWord(bytes, wordAt, FIELD_LIMIT[type]);
    if (value < 0) return `header field ${name} does not fit ${type}`;
    fields[name] = value;
  }
  return fields as unknown as BatchHeader;
}

/**
 * Total. Accepts the canonical encoding only, tail included: two calldata that mean the same batch would let a byte
 * change unseen.
 */
export function decodePostBatch(input: Uint8Array): DecodedPostBatch {
  const fail = (detail: string): DecodedPostBatch => ({ ok: false, detail });
  if (input.length < DATA_AT) return fail(`${input.length} bytes of calldata are no postBatch call`);
  if (POST_BATCH_SELECTOR.some((byte, i) => input[i] !== byte)) return fail("calldata of another function");
  const header = decodeHeader(input, SELECTOR_BYTES);
  if (typeof header === "string") return fail(header);
  if (readWord(input, OFFSET_AT, 2 ** 32) !== DATA_OFFSET) return fail("data offset is not canonical");
  const length = readWord(input, DATA_LENGTH_AT, 2 ** 32);
  if (length < 0 || DATA_AT + Math.ceil(length / WORD_BYTES) * WORD_BYTES !== input.length) {
    return fail("data length does not match the calldata");
  }
  for (let i = DATA_AT + length; i < input.length; i++) if (input[i] !== 0) return fail("padding is not zero");
  return { ok: true, header, data: input.subarray(DATA_AT, DATA_AT + length) };
}

export type DecodedPost =
  | { ok: true; header: BatchHeader; data: Uint8Array }
  /** `element`: the blob's first element that no data have, where that is what is wrong. */
  | { ok: false; header: BatchHeader | null; detail: string; element: number };

const isSelector = (input: Uint8Array, selector: Uint8Array): boolean => selector.every((byte, i) => input[i] === byte);

/** Header and data of either call. `blob` is the one of the transaction, null where it has none. Total. */
export function decodePost(calldata: Uint8Array, blob: Uint8Array | null): DecodedPost {
  const fail = (detail: string, header: BatchHeader | null = null, element = -1): DecodedPost => {
    return { ok: false, header, detail, element };
  };
  if (!isSelector(calldata, POST_BATCH_BLOB_SELECTOR)) {
    const call = decodePostBatch(calldata);
    return call.ok ? call : fail(call.detail);
  }
  if (calldata.length !== SELECTOR_BYTES + HEADER_BYTES) return fail(`${calldata.length} bytes of calldata`);
  const header = decodeHeader(calldata, SELECTOR_BYTES);
  if (typeof header === "string") return fail(header);
  if (blob === null) return fail("the transaction has no blob", header);
  const unpacked = unpackBlob(blob, header.dataLength);
  if (!unpacked.ok) return fail(`element ${unpacked.index} of the blob is none of data`, header, unpacked.index);
  return { ok: true, header, data: unpacked.data };
}
