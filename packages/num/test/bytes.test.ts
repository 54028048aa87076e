import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter, bytesToHex, DecodeError, hexToBytes } from "../src/index.ts";

const WIDTHS = [
  ["u8", 1, 0, 2 ** 8 - 1],
  ["u16", 2, 0, 2 ** 16 - 1],
  ["u24", 3, 0, 2 ** 24 - 1],
  ["u32", 4, 0, 2 ** 32 - 1],
  ["u40", 5, 0, 2 ** 40 - 1],
  ["u48", 6, 0, 2 ** 48 - 1],
  ["u64", 8, 0, Number.MAX_SAFE_INTEGER],
  ["i32", 4, -(2 ** 31), 2 ** 31 - 1],
  ["i64", 8, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
] as const;

/** Little-endian two's complement by bigint, independent of DataView. */
function littleEndian(value: number, bytes: number): number[] {
  const bits = BigInt.asUintN(8 * bytes, BigInt(value));
  return Array.from({ length: bytes }, (_, i) => Number((bits >> BigInt(8 * i)) & 255n));
}

test.each(WIDTHS)("%s: bytes, round trip, bounds, over-read", (name, bytes, low, high) => {
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: low, max: high }), fc.constantFrom(low, high)), (value) => {
      const written = new ByteWriter(1)[name](value).toBytes();
      expect([...written]).toEqual(littleEndian(value, bytes));
      const reader = new ByteReader(written);
      expect(reader[name]()).toBe(value);
      reader.end();
    }),
    { numRuns: 500 },
  );
  const writer = new ByteWriter();
  expect(() => writer[name](low - 1)).toThrow(name);
  expect(() => writer[name](high + 1)).toThrow(name);
  expect(() => writer[name](0.5)).toThrow(name);
  expect(() => writer[name](Number.NaN)).toThrow(name);
  expect(writer.length).toBe(0);
  const short = new ByteReader(new Uint8Array(bytes + 1), 2);
  expect(() => short[name]()).toThrow(new DecodeError("overRead", 2, `${bytes} bytes wanted`));
});

test("eight-byte values outside the safe range are refused with their offset", () => {
  const encoded = (value: bigint) => Uint8Array.from([9, ...littleEndian64(value)]);
  const littleEndian64 = (value: bigint) =>
    Array.from({ length: 8 }, (_, i) => Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 255n));
  for (const [kind, value] of [
    ["u64", 2n ** 53n],
    ["u64", 2n ** 64n - 1n],
    ["i64", 2n ** 53n],
    ["i64", -(2n ** 53n)],
    ["i64", -(2n ** 63n)],
  ] as const) {
    try {
      new ByteReader(encoded(value), 1)[kind]();
      expect.unreachable(`${kind} ${value}`);
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      expect(error).toMatchObject({ code: "outOfRange", offset: 1 });
    }
  }
  expect(new ByteReader(encoded(-(2n ** 53n) + 1n), 1).i64()).toBe(-Number.MAX_SAFE_INTEGER);
});

test("a writer grows, is reused, and reads back inside a larger buffer", () => {
  const writer = new ByteWriter(1);
  writer.u8(1).hex("0x00ff10", 3).bytes(Uint8Array.of(7, 8)).i64(-2);
  expect(bytesToHex(writer.view())).toBe("0x0100ff100708feffffffffffffff");
  const outer = new Uint8Array(40);
  outer.set(writer.view(), 5);
  const reader = new ByteReader(outer.subarray(5, 5 + writer.length));
  expect([reader.u8(), reader.hex(3), [...reader.bytes(2)], reader.i64()]).toEqual([1, "0x00ff10", [7, 8], -2]);
  reader.end();
  writer.reset();
  expect(bytesToHex(writer.u16(513).toBytes())).toBe("0x0102");
  expect(() => new ByteReader(writer.toBytes()).end()).toThrow("2 trailing bytes at byte 0");
});

test("hexadecimal", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const hex = bytesToHex(bytes);
      expect(hex).toBe(`0x${Buffer.from(bytes).toString("hex")}`);
      expect(hexToBytes(hex)).toEqual(bytes);
      expect(hexToBytes(`0x${hex.slice(2).toUpperCase()}`)).toEqual(bytes);
    }),
  );
  for (const bad of ["", "0", "0x0", "00", "0xzz", "0x0g", "xx00"])
    expect(() => hexToBytes(bad), bad).toThrow(DecodeError);
});
