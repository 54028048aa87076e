import { keccak_256 } from "@noble/hashes/sha3.js";
import { expect, test } from "vitest";
import { bytesToHex, keccak256, keccak256Into } from "../src/index.ts";

function filled(length: number, seed: number): Uint8Array {
  let state = seed >>> 0;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

test("known digests", () => {
  expect(bytesToHex(keccak256(new Uint8Array(0)))).toBe(
    "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
  );
  expect(bytesToHex(keccak256(new TextEncoder().encode("abc")))).toBe(
    "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
  );
});

test("equals an independent implementation on every length up to 1000", () => {
  for (let length = 0; length <= 1000; length++) {
    const data = filled(length, length * 7919 + 1);
    expect(bytesToHex(keccak256(data)), `length ${length}`).toBe(bytesToHex(keccak_256(data)));
  }
});

test("equals it around whole rate blocks and around the module's input buffer", () => {
  const buffer = Math.floor((2 * 65_536 - 512) / 136) * 136;
  for (const centre of [136, 272, 408, 136 * 100, buffer, 2 * buffer]) {
    for (let length = centre - 2; length <= centre + 2; length++) {
      const data = filled(length, length);
      expect(bytesToHex(keccak256(data)), `length ${length}`).toBe(bytesToHex(keccak_256(data)));
    }
  }
});

test("hashes a range into a range, also in place, and touches nothing else", () => {
  const data = filled(500, 42);
  const expected = keccak_256(data.subarray(100, 164));
  const output = new Uint8Array(50).fill(7);
  keccak256Into(data, 100, 64, output, 9);
  expect(output.subarray(9, 41)).toEqual(expected);
  expect([...output.subarray(0, 9), ...output.subarray(41)].every((byte) => byte === 7)).toBe(true);
  keccak256Into(data, 100, 64, data, 100);
  expect(data.subarray(100, 132)).toEqual(expected);
  expect(() => keccak256Into(data, 480, 64, output, 0)).toThrow("input range");
  expect(() => keccak256Into(data, 0, 64, output, 19)).toThrow("output range");
});
