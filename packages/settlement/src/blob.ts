// A batch's data in a blob (docs/spec/settlement.md, Blobs): packing, and what opens a blob at a point. Commitments are made by
// whoever has a KZG library; a proof at a point is the commitment of a quotient, which is made here.
import { BLOB_ELEMENT_BYTES, BLOB_ELEMENTS, type Hash } from "@tidemark/ledger";
import { assert, bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";

/** Of an element in the blob: a zero byte and BLOB_ELEMENT_BYTES of data. */
const ELEMENT_STRIDE = 32;
export const BLOB_BYTES = BLOB_ELEMENTS * ELEMENT_STRIDE;

/** The one primitive that needs elliptic curves. */
export interface KzgPort {
  /** KZG commitment of a blob of canonical elements, 48 bytes as hexadecimal digits. */
  commitmentOf(blob: Uint8Array): Hash;
}

/** What opens a blob at one point. */
export interface BlobOpening {
  commitment: Hash;
  proof: Hash;
}

/** Order of the BLS12-381 scalar field. */
const MODULUS = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;
/** 7^((r − 1) / 4096) and its inverse. */
const ROOT = 0x564c0a11a0f704f4fc3e8acfe0f8245f0ad1347b378fbf96e206da11a5d36306n;
const LEVELS = 12;

// ── packing ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The one blob of these data. */
export function packBlob(data: Uint8Array): Uint8Array {
  assert(data.length <= BLOB_ELEMENTS * BLOB_ELEMENT_BYTES, "the data fit one blob");
  const blob = new Uint8Array(BLOB_BYTES);
  for (let from = 0, at = 1; from < data.length; from += BLOB_ELEMENT_BYTES, at += ELEMENT_STRIDE) {
    blob.set(data.subarray(from, from + BLOB_ELEMENT_BYTES), at);
  }
  return blob;
}

export type UnpackedBlob =
  | { ok: true; data: Uint8Array }
  /** The first element that no data of that length have there. */
  | { ok: false; index: number };

/** Total: any blob and length have an answer. */
export function unpackBlob(blob: Uint8Array, dataLength: number): UnpackedBlob {
  assert(blob.length === BLOB_BYTES, "a blob has 4096 elements");
  const room = BLOB_ELEMENTS * BLOB_ELEMENT_BYTES;
  const data = new Uint8Array(Math.min(dataLength, room));
  for (let index = 0; index < BLOB_ELEMENTS; index++) {
    const at = index * ELEMENT_STRIDE;
    const held = Math.min(BLOB_ELEMENT_BYTES, Math.max(0, dataLength - index * BLOB_ELEMENT_BYTES));
    if (blob[at] !== 0) return { ok: false, index };
    if (held > 0) data.set(blob.subarray(at + 1, at + 1 + held), index * BLOB_ELEMENT_BYTES);
    for (let i = at + 1 + held; i < at + ELEMENT_STRIDE; i++) if (blob[i] !== 0) return { ok: false, index };
  }
  return { ok: true, data };
}

// ── field ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const reduce = (value: bigint): bigint => {
  const rest = value % MODULUS;
  return rest < 0n ? rest + MODULUS : rest;
};

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let factor = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * factor) % MODULUS;
    factor = (factor * factor) % MODULUS;
  }
  return result;
}

/** By prefix products: one inversion for all. None of `values` is zero. */
function invertAll(values: readonly bigint[]): bigint[] {
  const prefix: bigint[] = [1n];
  for (const value of values) prefix.push(((prefix[prefix.length - 1] as bigint) * value) % MODULUS);
  let rest = power(prefix[values.length] as bigint, MODULUS - 2n);
  const inverses = new Array<bigint>(values.length);
  for (let i = values.length - 1; i >= 0; i--) {
    inverses[i] = (rest * (prefix[i] as bigint)) % MODULUS;
    rest = (rest * (values[i] as bigint)) % MODULUS;
  }
  return inverses;
}

/** Points of the elements: roots of unity in bit-reversed order. */
function domain(): readonly bigint[] {
  const points = new Array<bigint>(BLOB_ELEMENTS).fill(1n);
  // Entry j + 2^m is entry j times ω^2^(11 − m).
  for (let level = 0; level < LEVELS; level++) {
    const factor = power(ROOT, 1n << BigInt(LEVELS - 1 - level));
    const width = 2 ** level;
    for (let j = 0; j < width; j++) points[j + width] = ((points[j] as bigint) * factor) % MODULUS;
  }
  return points;
}
let domainOnce: readonly bigint[] | null = null;
function points(): readonly bigint[] {
  domainOnce ??= domain();
  return domainOnce;
}

function elementsOf(blob: Uint8Array): bigint[] {
  return Array.from({ length: BLOB_ELEMENTS }, (_, i) =>
    BigInt(bytesToHex(blob.subarray(ELEMENT_STRIDE * i, ELEMENT_STRIDE * (i + 1)))),
  );
}

export const elementAt = (blob: Uint8Array, index: number): bigint =>
  BigInt(bytesToHex(blob.subarray(ELEMENT_STRIDE * index, ELEMENT_STRIDE * (index + 1))));

function blobOf(elements: readonly bigint[]): Uint8Array {
  const blob = new Uint8Array(BLOB_BYTES);
  elements.forEach((value, i) => {
    blob.set(hexToBytes(`0x${value.toString(16).padStart(2 * ELEMENT_STRIDE, "0")}`), ELEMENT_STRIDE * i);
  });
  return blob;
}

// ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** keccak256(versioned hash ‖ data) mod r: where the contract opens a blob whose data it is brought. */
export function challengePoint(versionedHash: Hash, data: Uint8Array): bigint {
  const bytes = new Uint8Array(32 + data.length);
  bytes.set(hexToBytes(versionedHash), 0);
  bytes.set(data, 32);
  return reduce(BigInt(bytesToHex(keccak256(bytes))));
}

/** Value of the blob's polynomial at a point that is no root of unity: the barycentric formula. */
export function evaluateBlob(blob: Uint8Array, z: bigint): bigint {
  const roots = points();
  const elements = elementsOf(blob);
  const inverses = invertAll(roots.map((root) => reduce(z - root)));
  let sum = 0n;
  elements.forEach((value, i) => {
    sum = (sum + ((value * (roots[i] as bigint)) % MODULUS) * (inverses[i] as bigint)) % MODULUS;
  });
  const size = BigInt(BLOB_ELEMENTS);
  return reduce(((sum * reduce(power(z, size) - 1n)) % MODULUS) * power(size, MODULUS - 2n));
}

/** Commitment of (p(x) − y) / (x − z). */
function proofAt(kzg: KzgPort, blob: Uint8Array, z: bigint, y: bigint, place: number): Hash {
  const roots = points();
  const elements = elementsOf(blob);
  // At a root that is z itself the difference is zero; its quotient follows from the others.
  const inverses = invertAll(roots.map((root, i) => (i === place ? 1n : reduce(root - z))));
  const quotient = elements.map((value, i) =>
    i === place ? 0n : (reduce(value - y) * (inverses[i] as bigint)) % MODULUS,
  );
  if (place >= 0) {
    let sum = 0n;
    for (let i = 0; i < BLOB_ELEMENTS; i++) sum += (quotient[i] as bigint) * (roots[i] as bigint);
    quotient[place] = reduce(-reduce(sum) * power(z, MODULUS - 2n));
  }
  return kzg.commitmentOf(blobOf(quotient));
}

/** Shows the value of the blob's polynomial at a point that is no root of unity. */
export function openPoint(kzg: KzgPort, blob: Uint8Array, z: bigint): BlobOpening {
  return { commitment: kzg.commitmentOf(blob), proof: proofAt(kzg, blob, z, evaluateBlob(blob, z), -1) };
}

/** Shows that the blob of `versionedHash` holds `data`. */
export function openData(kzg: KzgPort, versionedHash: Hash, data: Uint8Array): BlobOpening {
  return openPoint(kzg, packBlob(data), challengePoint(versionedHash, data));
}

/** Shows one element of the blob. */
export function openElement(kzg: KzgPort, blob: Uint8Array, index: number): BlobOpening {
  const proof = proofAt(kzg, blob, points()[index] as bigint, elementAt(blob, index), index);
  return { commitment: kzg.commitmentOf(blob), proof };
}
