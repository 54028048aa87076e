import { bytesToHex, keccak256 } from "@tidemark/num";
import { describe, expect, it } from "vitest";
import { fallback } from "../src/signatures/fallback.ts";
import { native } from "../src/signatures/native.ts";
import type { Signer } from "../src/signatures/port.ts";
import { SignaturePool } from "../src/signatures/workerPool.ts";

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const FIELD = 2n ** 256n - 2n ** 32n - 977n;

/** Deterministic bytes; the label is the seed and appears in failure messages. */
const bytesOf = (label: string): Uint8Array => keccak256(new TextEncoder().encode(label));
const toBytes = (value: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * (31 - i))) & 0xffn));
const toBig = (bytes: Uint8Array): bigint => BigInt(bytesToHex(bytes));

function compact(r: bigint, s: bigint, parity: number): Uint8Array {
  const signature = new Uint8Array(64);
  signature.set(toBytes(r), 0);
  signature.set(toBytes(s | (BigInt(parity) << 255n)), 32);
  return signature;
}

/** Valid signatures and every way that we know to break one. */
function cases(): { label: string; digest: Uint8Array; signature: Uint8Array }[] {
  const list: { label: string; digest: Uint8Array; signature: Uint8Array }[] = [];
  for (let i = 0; i < 40; i++) {
    const digest = bytesOf(`digest ${i}`);
    const valid = fallback.signCompact(digest, bytesOf(`key ${i}`));
    const r = toBig(valid.subarray(0, 32));
    const parity = (valid[32] as number) >> 7;
    const s = toBig(valid.subarray(32)) & (2n ** 255n - 1n);
    const add = (label: string, signature: Uint8Array): void =>
      void list.push({ label: `${label} ${i}`, digest, signature });
    add("valid", valid);
    add("other parity", compact(r, s, 1 - parity));
    add("other digest", fallback.signCompact(bytesOf(`other ${i}`), bytesOf(`key ${i}`)));
    // High s with the parity that makes it verify elsewhere; where it does not fit 255 bits it reads as another s.
    add("high s", compact(r, (ORDER - s) & (2n ** 255n - 1n), 1 - parity));
    add("s just above half", compact(r, ORDER / 2n + 1n, parity));
    add("s half", compact(r, ORDER / 2n, parity));
    add("s one", compact(r, 1n, parity));
    add("r zero", compact(0n, s, parity));
    add("s zero", compact(r, 0n, parity));
    add("r order", compact(ORDER, s, parity));
    add("r above order", compact(ORDER + BigInt(i), s, parity));
    add("r field", compact(FIELD - 1n, s, parity));
    add("r small", compact(BigInt(i + 1), s, parity));
    add("random", Uint8Array.from([...bytesOf(`random r ${i}`), ...bytesOf(`random s ${i}`)]));
    add("short", valid.subarray(0, 63));
    add("long", Uint8Array.from([...valid, 0]));
    const flipped = valid.slice();
    flipped[i] = (flipped[i] as number) ^ (1 << (i % 8));
    add("bit flipped", flipped);
  }
  list.push({
    label: "short digest",
    digest: new Uint8Array(31),
    signature: (list[0] as { signature: Uint8Array }).signature,
  });
  return list;
}

describe("signatures", () => {
  it("loads the native binding where CI runs", () => {
    if (process.env["CI"] === "true") expect(native).not.toBeNull();
  });

  it("native and JavaScript sign the same bytes and recover the same address", () => {
    const other: Signer = native ?? fallback;
    for (let i = 0; i < 20; i++) {
      const key = bytesOf(`key ${i}`);
      const digest = bytesOf(`digest ${i}`);
      const signature = fallback.signCompact(digest, key);
      expect(bytesToHex(other.signCompact(digest, key))).toBe(bytesToHex(signature));
      expect(other.recoverAddress(digest, signature)).toBe(fallback.addressOf(key));
      expect(other.addressOf(key)).toBe(fallback.addressOf(key));
    }
  });

  it.skipIf(native === null)("native and JavaScript agree on valid and broken signatures", () => {
    let valid = 0;
    let invalid = 0;
    for (const { label, digest, signature } of cases()) {
      const expected = fallback.recoverAddress(digest, signature);
      expect(native?.recoverAddress(digest, signature), label).toBe(expected);
      if (expected === null) invalid++;
      else valid++;
      if (/^(r zero|s zero|s just above half|r order|r above|short|long)/.test(label))
        expect(expected, label).toBeNull();
    }
    expect(valid).toBeGreaterThan(100);
    expect(invalid).toBeGreaterThan(200);
  });

  it("worker pool gives the addresses of the single-threaded path, in order", async () => {
    const pool = new SignaturePool(2);
    try {
      const list = cases();
      for (const length of [0, 1, 7, 8, 9, list.length]) {
        const part = list.slice(0, length);
        const addresses = await pool.verifyBatch(
          part.map((one) => one.digest),
          part.map((one) => one.signature),
        );
        expect(addresses).toEqual(part.map((one) => fallback.recoverAddress(one.digest, one.signature)));
      }
    } finally {
      await pool.close();
    }
  });
});
