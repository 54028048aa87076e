// Bytes of the canonical codec: little-endian, fixed width. Readers check ranges because brands vanish at run time.
import { assert } from "./assert.ts";

/** Untrusted bytes do not decode. Codecs turn it into a rejection; it is never a bug of the reader. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly code: "overRead" | "outOfRange" | "malformed";
  readonly offset: number;
  constructor(code: "overRead" | "outOfRange" | "malformed", offset: number, what: string) {
    super(`${what} at byte ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}

const HEX_DIGITS = "0123456789abcdef";
const HEX_OF_BYTE: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => HEX_DIGITS.charAt(byte >> 4) + HEX_DIGITS.charAt(byte & 15),
);

/** Lower-case, 0x-prefixed. */
export function bytesToHex(bytes: Uint8Array): `0x${string}` {
  let hex = "";
  for (const byte of bytes) hex += HEX_OF_BYTE[byte];
  return `0x${hex}`;
}

function hexDigit(code: number, offset: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  throw new DecodeError("malformed", offset, "not a hexadecimal digit");
}

/** Writes the bytes of `hex` (0x prefix required) and returns their number. @throws DecodeError */
export function hexToBytesInto(hex: string, output: Uint8Array, outputOffset: number): number {
  if (hex.length % 2 !== 0 || hex.charCodeAt(0) !== 48 || hex.charCodeAt(1) !== 120) {
    throw new DecodeError("malformed", 0, "not 0x-prefixed whole bytes");
  }
  const length = (hex.length - 2) / 2;
  assert(outputOffset + length <= output.length, "hexToBytesInto: output has room");
  for (let i = 0; i < length; i++) {
    const high = hexDigit(hex.charCodeAt(2 + 2 * i), i);
    output[outputOffset + i] = (high << 4) | hexDigit(hex.charCodeAt(3 + 2 * i), i);
  }
  return length;
}

/** @throws DecodeError unless `hex` is 0x-prefixed whole bytes. */
export function hexToBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, (hex.length - 2) >> 1));
  hexToBytesInto(hex, bytes, 0);
  return bytes;
}

const TWO_32 = 2 ** 32;
const I64_HIGH_MIN = -(2 ** 21);
const I64_HIGH_MAX = 2 ** 21 - 1;

/** Growable little-endian writer. Values out of the width's range are bugs: the caller validated them. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes = 1024) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** Keeps the buffer, so that one writer serves many messages without allocating. */
  reset(): void {
    this.#length = 0;
  }

  /** The written bytes as a view of the writer's buffer: valid until the next write or reset. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Call it before reading #bytes or #view: growing replaces both. */
  #reserve(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return at;
  }

  #unsigned(value: number, limit: number, width: string): void {
    assert(Number.isSafeInteger(value) && value >= 0 && value < limit, width);
  }

  u8(value: number): this {
    this.#unsigned(value, 0x100, "u8");
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    this.#unsigned(value, 0x1_0000, "u16");
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  u24(value: number): this {
    this.#unsigned(value, 0x100_0000, "u24");
    const at = this.#reserve(3);
    this.#view.setUint16(at, value & 0xffff, true);
    this.#view.setUint8(at + 2, value >>> 16);
    return this;
  }
  u32(value: number): this {
    this.#unsigned(value, TWO_32, "u32");
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  u40(value: number): this {
    this.#unsigned(value, 2 ** 40, "u40");
    const at = this.#reserve(5);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint8(at + 4, Math.floor(value / TWO_32));
    return this;
  }
  u48(value: number): this {
    this.#unsigned(value, 2 ** 48, "u48");
    const at = this.#reserve(6);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint16(at + 4, Math.floor(value / TWO_32), true);
    return this;
  }
  /** A u53 in eight bytes. */
  u64(value: number): this {
    this.#unsigned(value, 2 ** 53, "u64");
    const at = this.#reserve(8);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
    return this;
  }
  i32(value: number): this {
    assert((value | 0) === value, "i32");
    const at = this.#reserve(4);
    this.#view.setInt32(at, value, true);
    return this;
  }
  /** A signed safe integer in eight bytes, two's complement. */
  i64(value: number): this {
    assert(Number.isSafeInteger(value), "i64");
    const at = this.#reserve(8);
    const high = Math.floor(value / TWO_32);
    this.#view.setUint32(at, value - high * TWO_32, true);
    this.#view.setInt32(at + 4, high, true);
    return this;
  }
  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }
  /** Bytes of 0x-prefixed hex that must have exactly `lengthBytes` of them. */
  hex(value: string, lengthBytes: number): this {
    assert(value.length === 2 + 2 * lengthBytes, "hex: length");
    const at = this.#reserve(lengthBytes);
    hexToBytesInto(value, this.#bytes, at);
    return this;
  }
}

/** Little-endian reader of untrusted bytes. @throws DecodeError on over-read and on values outside the safe range. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #take(bytes: number): number {
    const at = this.#offset;
    if (!(bytes >= 0) || at + bytes > this.#bytes.length)
      throw new DecodeError("overRead", at, `${bytes} bytes wanted`);
    this.#offset = at + bytes;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u24(): number {
    const at = this.#take(3);
    return this.#view.getUint16(at, true) + this.#view.getUint8(at + 2) * 0x1_0000;
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  u40(): number {
    const at = this.#take(5);
    return this.#view.getUint32(at, true) + this.#view.getUint8(at + 4) * TWO_32;
  }
  u48(): number {
    const at = this.#take(6);
    return this.#view.getUint32(at, true) + this.#view.getUint16(at + 4, true) * TWO_32;
  }
  /** Eight bytes that must hold a u53. */
  u64(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at + 4, true);
    if (high > I64_HIGH_MAX) throw new DecodeError("outOfRange", at, "u64 above 2^53 − 1");
    return this.#view.getUint32(at, true) + high * TWO_32;
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  /** Eight bytes, two's complement, |x| < 2^53. */
  i64(): number {
    const at = this.#take(8);
    const low = this.#view.getUint32(at, true);
    const high = this.#view.getInt32(at + 4, true);
    // −2^53 itself is not a safe integer.
    if (high > I64_HIGH_MAX || high < I64_HIGH_MIN || (high === I64_HIGH_MIN && low === 0)) {
      throw new DecodeError("outOfRange", at, "i64 outside ±(2^53 − 1)");
    }
    return low + high * TWO_32;
  }
  /** A view of the input, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }
  hex(lengthBytes: number): `0x${string}` {
    return bytesToHex(this.bytes(lengthBytes));
  }
  /** @throws DecodeError when bytes are left: a canonical encoding has no tail. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError("malformed", this.#offset, `${this.remaining} trailing bytes`);
  }
}
