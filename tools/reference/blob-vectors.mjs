// Writes vectors/blobs.json: real blobs with commitments and proofs by c-kzg (compiled to WebAssembly), evaluated with the
// textbook barycentric formula. Shares no code with packages/ or contracts/. `--check` compares.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadKZG } from "kzg-wasm";
import { keccak256 } from "viem";

const OUTPUT = fileURLToPath(new URL("../../vectors/blobs.json", import.meta.url));
const MODULUS = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;
const SIZE = 4096;
const ELEMENT_BYTES = 31;

const mod = (value) => ((value % MODULUS) + MODULUS) % MODULUS;
function power(base, exponent) {
  let result = 1n;
  let factor = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % MODULUS;
    factor = (factor * factor) % MODULUS;
  }
  return result;
}
const invert = (value) => power(value, MODULUS - 2n);
const reverse = (index) => Number.parseInt(index.toString(2).padStart(12, "0").split("").reverse().join(""), 2);
const OMEGA = power(7n, (MODULUS - 1n) / BigInt(SIZE));
const NATURAL = [1n];
while (NATURAL.length < SIZE) NATURAL.push((NATURAL[NATURAL.length - 1] * OMEGA) % MODULUS);
const ROOTS = Array.from({ length: SIZE }, (_, index) => NATURAL[reverse(index)]);

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const word = (value) => value.toString(16).padStart(64, "0");
const hexWord = (value) => `0x${word(value)}`;
const bytesOf = (text) => Buffer.from(text.slice(2), "hex");

/** keccak256(uint256 seed ‖ uint256 i) for i = 0, 1, …, cut. */
function stream(seed, length) {
  const parts = [];
  for (let i = 0; 32 * i < length; i++) parts.push(bytesOf(keccak256(`0x${word(BigInt(seed))}${word(BigInt(i))}`)));
  return Buffer.concat(parts).subarray(0, length);
}

function elementsOf(data) {
  const padded = Buffer.alloc(SIZE * ELEMENT_BYTES);
  data.copy(padded);
  return Array.from({ length: SIZE }, (_, i) =>
    BigInt(hex(padded.subarray(ELEMENT_BYTES * i, ELEMENT_BYTES * (i + 1)))),
  );
}

/** Batch inversion by prefix products. */
function invertAll(values) {
  const prefix = [1n];
  for (const value of values) prefix.push((prefix[prefix.length - 1] * value) % MODULUS);
  let rest = invert(prefix[values.length]);
  const inverses = new Array(values.length);
  for (let i = values.length - 1; i >= 0; i--) {
    inverses[i] = (rest * prefix[i]) % MODULUS;
    rest = (rest * values[i]) % MODULUS;
  }
  return inverses;
}

function evaluate(elements, z) {
  const place = ROOTS.indexOf(z);
  if (place >= 0) return elements[place];
  const inverses = invertAll(ROOTS.map((root) => mod(z - root)));
  let sum = 0n;
  for (let i = 0; i < SIZE; i++) sum += ((elements[i] * ROOTS[i]) % MODULUS) * inverses[i];
  return mod(mod(sum) * mod(power(z, BigInt(SIZE)) - 1n) * invert(BigInt(SIZE)));
}

const kzg = await loadKZG();
const blobOf = (elements) => `0x${elements.map(word).join("")}`;
const commit = (elements) => kzg.blobToKZGCommitment(blobOf(elements)).toLowerCase();

/** Commitment of (p(x) − y) / (x − z), in values at the roots. */
function prove(elements, z, y) {
  const place = ROOTS.indexOf(z);
  const inverses = invertAll(ROOTS.map((root, i) => (i === place ? 1n : mod(root - z))));
  const quotient = elements.map((value, i) => (i === place ? 0n : mod(mod(value - y) * inverses[i])));
  if (place >= 0) {
    const scale = invert(z);
    let sum = 0n;
    quotient.forEach((value, i) => {
      // (f_i − y)·ω_i / (z·(z − ω_i)) = −q_i·ω_i / z
      if (i !== place) sum -= value * ROOTS[i];
    });
    quotient[place] = mod(mod(sum) * scale);
  }
  return commit(quotient);
}

function committed(elements) {
  const commitment = commit(elements);
  const versionedHash = `0x01${createHash("sha256").update(bytesOf(commitment)).digest("hex").slice(2)}`;
  return { commitment, versionedHash };
}

function opening(elements, z, { commitment }) {
  const y = evaluate(elements, z);
  const proof = prove(elements, z, y);
  if (!kzg.verifyKZGProof(commitment, hexWord(z), hexWord(y), proof)) throw new Error("the reference proof is wrong");
  return { y: hexWord(y), proof };
}

function dataOpening(data) {
  const elements = elementsOf(data);
  const blob = committed(elements);
  const z = mod(BigInt(keccak256(Buffer.concat([bytesOf(blob.versionedHash), data]))));
  return { ...blob, z: hexWord(z), ...opening(elements, z, blob) };
}

const openings = [0, 1, 30, 31, 32, 62, 63, 1_000, 1_984, 1_985, 50_000, 112_639, 112_640].map((length, i) => ({
  seed: String(i),
  length: String(length),
  ...dataOpening(stream(i, length)),
}));

// ── elements that no data have ───────────────────────────────────────────────────────────────────────────────────────

const ELEMENT_DATA_LENGTH = 100;
const elementCases = [
  { name: "right element", index: 1, change: (value) => value },
  { name: "top byte", index: 0, change: (value) => value + (1n << 248n) },
  { name: "top bit of the field", index: 2, change: (value) => value + (0x70n << 248n) },
  // 100 = 3 · 31 + 7: of element 3 seven bytes are data.
  { name: "last byte of data", index: 3, change: (value) => value ^ (1n << 192n) },
  { name: "first byte beyond", index: 3, change: (value) => value ^ (1n << 184n) },
  { name: "last byte beyond", index: 3, change: (value) => value ^ 1n },
  { name: "next element", index: 4, change: () => 7n },
  { name: "last element", index: 4095, change: () => 1n },
  { name: "zero element beyond", index: 4094, change: () => 0n },
].map(({ name, index, change }) => {
  const elements = elementsOf(stream(100, ELEMENT_DATA_LENGTH));
  elements[index] = change(elements[index]);
  const blob = committed(elements);
  const { y, proof } = opening(elements, ROOTS[index], blob);
  return { name, index: String(index), value: y, root: hexWord(ROOTS[index]), ...blob, proof };
});

// ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const CYCLES = [
  [40, 1],
  [3, 2],
  [120, 3],
].map(([length, seed]) => ({ payload: stream(200 + seed, length), postRoot: stream(300 + seed, 32) }));
const u32 = (value) => Buffer.from(value.toString(16).padStart(8, "0"), "hex");
const right = Buffer.concat(CYCLES.flatMap(({ payload, postRoot }) => [u32(payload.length), postRoot, payload]));
const leaf = ({ payload, postRoot }) =>
  bytesOf(keccak256(Buffer.concat([Buffer.of(0), bytesOf(keccak256(payload)), u32(payload.length), postRoot])));
const node = (left, other) => bytesOf(keccak256(Buffer.concat([Buffer.of(1), left, other])));
const [first, second, third] = CYCLES.map(leaf);
const frames = {
  cycleCount: "3",
  cyclesRoot: hex(node(node(first, second), third)),
  lastPostRoot: hex(CYCLES[2].postRoot),
  right: { data: hex(right), ...dataOpening(right) },
  truncated: { data: hex(right.subarray(0, -1)), ...dataOpening(right.subarray(0, -1)) },
  trailing: { data: hex(Buffer.concat([right, Buffer.of(9)])), ...dataOpening(Buffer.concat([right, Buffer.of(9)])) },
};

// As many bytes as a batch in a blob may have, in as many cycles.
const LARGEST_CYCLES = 256;
const LARGEST_PAYLOAD_BYTES = 404;
const largest = Buffer.concat(
  Array.from({ length: LARGEST_CYCLES }, (_, i) => [
    u32(LARGEST_PAYLOAD_BYTES),
    stream(2_000 + i, 32),
    stream(1_000 + i, LARGEST_PAYLOAD_BYTES),
  ]).flat(),
);
frames.largest = { cycleCount: String(LARGEST_CYCLES), ...dataOpening(largest) };

const vectors = {
  about: "Blobs, commitments and proofs by c-kzg; data are keccak256(seed ‖ i) for i = 0, 1, …, cut to length.",
  counts: { openings: String(openings.length), elements: String(elementCases.length) },
  elementSeed: "100",
  elementDataLength: String(ELEMENT_DATA_LENGTH),
  openings,
  elements: elementCases,
  frames,
};
const rendered = `${JSON.stringify(vectors, null, 1)}\n`;
if (process.argv.includes("--check")) {
  if (readFileSync(OUTPUT, "utf8") !== rendered) {
    process.stderr.write("vectors/blobs.json is not what tools/reference/blob-vectors.mjs makes\n");
    process.exit(1);
  }
} else {
  writeFileSync(OUTPUT, rendered);
}
