// keccak-256 (the pre-standard padding that Ethereum uses). Keccak-f[1600] wants 64-bit lanes, which JavaScript numbers
// lack, so the permutation is assembled here into a small WebAssembly module: nothing is downloaded or shipped as a blob.
import { assert } from "./assert.ts";

// The global exists in every engine that we run on, but the type library of plain ECMAScript does not declare it.
interface WebAssemblyInstance {
  readonly exports: Record<string, unknown>;
}
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => WebAssemblyInstance;
}

const LANES = 25;
const ROUNDS = 24;
const RATE_BYTES = 136;
const RATE_LANES = RATE_BYTES / 8;
const STATE_AT = 0;
const CONSTANTS_AT = 256;
const INPUT_AT = 512;
const PAGES = 2;
const INPUT_BLOCKS_MAX = Math.floor((PAGES * 65_536 - INPUT_AT) / RATE_BYTES);

/** Round constants by the specification's LFSR x^8 + x^6 + x^5 + x^4 + 1: bit 2^j − 1 of constant r is output 7r + j. */
function roundConstants(): bigint[] {
  const constants: bigint[] = [];
  let register = 1;
  for (let round = 0; round < ROUNDS; round++) {
    let constant = 0n;
    for (let j = 0; j < 7; j++) {
      if (register & 1) constant |= 1n << BigInt(2 ** j - 1);
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
    constants.push(constant);
  }
  return constants;
}

function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** Signed form for small non-negative constants: bit 6 of the last byte is the sign. */
function constantLeb(value: number): number[] {
  const bytes = unsignedLeb(value);
  const last = bytes[bytes.length - 1] ?? 0;
  if ((last & 0x40) === 0) return bytes;
  bytes[bytes.length - 1] = last | 0x80;
  bytes.push(0);
  return bytes;
}

// Locals of absorb(inputAt: i32, blocks: i32, first: i32).
const PARAMETER_INPUT = 0;
const PARAMETER_BLOCKS = 1;
const PARAMETER_FIRST = 2;
const LOCAL_ROUND = 3;
const LOCAL_A = 4;
const LOCAL_B = LOCAL_A + LANES;
const LOCAL_C = LOCAL_B + LANES;
const LOCAL_D = LOCAL_C + 5;
const LOCALS_I64 = 2 * LANES + 6;

const get = (local: number): number[] => [0x20, ...unsignedLeb(local)];
const set = (local: number): number[] => [0x21, ...unsignedLeb(local)];
const i32 = (value: number): number[] => [0x41, ...constantLeb(value)];
const load = (offset: number): number[] => [0x29, 3, ...unsignedLeb(offset)];
const store = (offset: number): number[] => [0x37, 3, ...unsignedLeb(offset)];
const rotateLeft = (bits: number): number[] => [0x42, ...constantLeb(bits), 0x89];
const I64_XOR = 0x85;
const I64_AND = 0x83;
const I64_NOT = [0x42, 0x7f, I64_XOR];
const I32_ADD = 0x6a;
const I32_SUB = 0x6b;
const END = 0x0b;

/** Rotation offset of every lane x + 5y by the specification's walk (x, y) → (y, 2x + 3y). */
function rotationOffsets(): number[] {
  const offsets = new Array<number>(LANES).fill(0);
  let x = 1;
  let y = 0;
  for (let t = 0; t < ROUNDS; t++) {
    offsets[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64;
    [x, y] = [y, (2 * x + 3 * y) % 5];
  }
  return offsets;
}

function roundCode(): number[] {
  const code: number[] = [];
  const offsets = rotationOffsets();
  for (let x = 0; x < 5; x++) {
    code.push(...get(LOCAL_A + x));
    for (let y = 1; y < 5; y++) code.push(...get(LOCAL_A + x + 5 * y), I64_XOR);
    code.push(...set(LOCAL_C + x));
  }
  for (let x = 0; x < 5; x++) {
    code.push(...get(LOCAL_C + ((x + 4) % 5)), ...get(LOCAL_C + ((x + 1) % 5)), ...rotateLeft(1), I64_XOR);
    code.push(...set(LOCAL_D));
    for (let y = 0; y < 5; y++) {
      const lane = x + 5 * y;
      code.push(...get(LOCAL_A + lane), ...get(LOCAL_D), I64_XOR);
      if (lane !== 0) code.push(...rotateLeft(offsets[lane] ?? 0));
      code.push(...set(LOCAL_B + y + 5 * ((2 * x + 3 * y) % 5)));
    }
  }
  for (let y = 0; y < 5; y++) {
    for (let x = 0; x < 5; x++) {
      const row = LOCAL_B + 5 * y;
      code.push(...get(row + ((x + 1) % 5)), ...I64_NOT, ...get(row + ((x + 2) % 5)), I64_AND);
      code.push(...get(row + x), I64_XOR);
      if (x === 0 && y === 0) code.push(...get(LOCAL_ROUND), ...load(CONSTANTS_AT), I64_XOR);
      code.push(...set(LOCAL_A + x + 5 * y));
    }
  }
  return code;
}

function absorbCode(): number[] {
  const code: number[] = [];
  code.push(...get(PARAMETER_FIRST), 0x45, 0x04, 0x40); // if (first == 0): continue from the stored state
  for (let lane = 0; lane < LANES; lane++) code.push(...i32(STATE_AT), ...load(8 * lane), ...set(LOCAL_A + lane));
  code.push(END);
  code.push(0x03, 0x40); // loop over blocks
  for (let lane = 0; lane < RATE_LANES; lane++) {
    code.push(...get(LOCAL_A + lane), ...get(PARAMETER_INPUT), ...load(8 * lane), I64_XOR, ...set(LOCAL_A + lane));
  }
  code.push(...i32(0), ...set(LOCAL_ROUND));
  code.push(0x03, 0x40); // loop over rounds; LOCAL_ROUND is the byte offset of the round constant
  code.push(...roundCode());
  code.push(...get(LOCAL_ROUND), ...i32(8), I32_ADD, 0x22, LOCAL_ROUND, ...i32(8 * ROUNDS), 0x49, 0x0d, 0, END);
  code.push(...get(PARAMETER_INPUT), ...i32(RATE_BYTES), I32_ADD, ...set(PARAMETER_INPUT));
  code.push(...get(PARAMETER_BLOCKS), ...i32(1), I32_SUB, 0x22, PARAMETER_BLOCKS, 0x0d, 0, END);
  for (let lane = 0; lane < LANES; lane++) code.push(...i32(STATE_AT), ...get(LOCAL_A + lane), ...store(8 * lane));
  code.push(END);
  return code;
}

function section(id: number, content: number[]): number[] {
  return [id, ...unsignedLeb(content.length), ...content];
}

function exported(name: string, kind: number): number[] {
  return [name.length, ...Array.from(name, (character) => character.charCodeAt(0)), kind, 0];
}

function assemble(): Uint8Array {
  const body = [2, 1, 0x7f, ...unsignedLeb(LOCALS_I64), 0x7e, ...absorbCode()];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, 0x7f, 0x7f, 0x7f, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0x01, PAGES, PAGES]),
    ...section(7, [2, ...exported("memory", 2), ...exported("absorb", 0)]),
    ...section(10, [1, ...unsignedLeb(body.length), ...body]),
  ]);
}

interface Permutation {
  /** Absorbs `blocks` ≥ 1 rate blocks at `inputAt`; `first` = 1 starts from the zero state. */
  absorb: (inputAt: number, blocks: number, first: number) => void;
  bytes: Uint8Array;
}

function instantiate(): Permutation {
  const api = (globalThis as unknown as { WebAssembly?: WebAssemblyApi }).WebAssembly;
  assert(api !== undefined, "WebAssembly is available");
  const { exports } = new api.Instance(new api.Module(assemble()));
  const memory = (exports["memory"] as { buffer: ArrayBuffer }).buffer;
  const view = new DataView(memory);
  roundConstants().forEach((constant, round) => {
    view.setBigUint64(CONSTANTS_AT + 8 * round, constant, true);
  });
  return { absorb: exports["absorb"] as Permutation["absorb"], bytes: new Uint8Array(memory) };
}

const { absorb, bytes: memory } = instantiate();

/** keccak-256 of input[inputOffset … +length) into output[outputOffset … +32). Does not allocate; may work in place. */
export function keccak256Into(
  input: Uint8Array,
  inputOffset: number,
  length: number,
  output: Uint8Array,
  outputOffset: number,
): void {
  assert(inputOffset >= 0 && length >= 0 && inputOffset + length <= input.length, "keccak256Into: input range");
  assert(outputOffset >= 0 && outputOffset + 32 <= output.length, "keccak256Into: output range");
  let at = inputOffset;
  let left = length;
  let first = 1;
  while (left >= RATE_BYTES) {
    const blocks = Math.min(Math.floor(left / RATE_BYTES), INPUT_BLOCKS_MAX);
    const bytes = blocks * RATE_BYTES;
    memory.set(input.subarray(at, at + bytes), INPUT_AT);
    absorb(INPUT_AT, blocks, first);
    first = 0;
    at += bytes;
    left -= bytes;
  }
  // A byte loop beats set/fill below one rate block: both cross into the runtime.
  for (let i = 0; i < left; i++) memory[INPUT_AT + i] = input[at + i] as number;
  for (let i = left; i < RATE_BYTES; i++) memory[INPUT_AT + i] = 0;
  memory[INPUT_AT + left] = 1;
  memory[INPUT_AT + RATE_BYTES - 1] = (memory[INPUT_AT + RATE_BYTES - 1] as number) | 0x80;
  absorb(INPUT_AT, 1, first);
  for (let i = 0; i < 32; i++) output[outputOffset + i] = memory[STATE_AT + i] as number;
}

export function keccak256(data: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  keccak256Into(data, 0, data.length, digest, 0);
  return digest;
}
