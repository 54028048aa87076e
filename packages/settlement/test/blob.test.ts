// Blobs against c-kzg (vectors/blobs.json, tools/reference/blob-vectors.mjs). Commitments are the library's own business: the port
// here answers with what was committed to.
import { readFileSync } from "node:fs";
import { BLOB_ELEMENT_BYTES, type Hash } from "@tidemark/ledger";
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type BatchHeader,
  BLOB_BYTES,
  blobFault,
  challengePoint,
  cyclesRoot,
  decodeBatchData,
  decodePost,
  elementAt,
  encodePostBatchBlob,
  evaluateBlob,
  packBlob,
  unpackBlob,
} from "../src/index.ts";

interface Opening {
  versionedHash: Hash;
  z: Hash;
  y: Hash;
}
const vectors = JSON.parse(readFileSync(new URL("../../../vectors/blobs.json", import.meta.url), "utf8")) as {
  openings: (Opening & { seed: string; length: string })[];
  elements: { name: string; index: string; value: Hash }[];
  elementSeed: string;
  elementDataLength: string;
  frames: {
    cycleCount: string;
    cyclesRoot: Hash;
    lastPostRoot: Hash;
    right: { data: Hash };
    truncated: { data: Hash };
    trailing: { data: Hash };
  };
};

function stream(seed: number, length: number): Uint8Array {
  const data = new Uint8Array(length + 32);
  const block = new Uint8Array(64);
  new DataView(block.buffer).setUint32(28, seed);
  for (let i = 0; 32 * i < length; i++) {
    new DataView(block.buffer).setUint32(60, i);
    data.set(keccak256(block), 32 * i);
  }
  return data.subarray(0, length);
}

test("points and values are those of the reference", () => {
  for (const { seed, length, versionedHash, z, y } of vectors.openings) {
    const data = stream(Number(seed), Number(length));
    expect(challengePoint(versionedHash, data)).toBe(BigInt(z));
    expect(evaluateBlob(packBlob(data), BigInt(z))).toBe(BigInt(y));
  }
});

test("the elements that no data have are found", () => {
  const dataLength = Number(vectors.elementDataLength);
  const found = vectors.elements.map(({ index, value }) => {
    const blob = packBlob(stream(Number(vectors.elementSeed), dataLength));
    blob.set(hexToBytes(value), 32 * Number(index));
    expect(elementAt(blob, Number(index))).toBe(BigInt(value));
    const unpacked = unpackBlob(blob, dataLength);
    return unpacked.ok ? -1 : unpacked.index;
  });
  // "right element", "last byte of data" and "zero element beyond" are data's.
  expect(found).toEqual([-1, 0, 2, -1, 3, 3, 4, 4095, -1]);
});

test("any data come back from their blob; any other length or changed byte does not pass for them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (data, at, flip) => {
      const blob = packBlob(data);
      expect(blob.length).toBe(BLOB_BYTES);
      expect(unpackBlob(blob, data.length)).toEqual({ ok: true, data });
      const place = at % BLOB_BYTES;
      blob[place] = (blob[place] as number) ^ flip;
      const changed = unpackBlob(blob, data.length);
      const isData = place % 32 !== 0 && (place >> 5) * BLOB_ELEMENT_BYTES + (place % 32) - 1 < data.length;
      expect(changed.ok).toBe(isData);
      if (changed.ok) expect(changed.data).not.toEqual(data);
    }),
  );
});

test("unpacking answers any length", () => {
  const blob = packBlob(stream(1, 200));
  for (const length of [0, 199, 200, 201, 126_976, 126_977, 2 ** 32 - 1]) {
    expect(unpackBlob(blob, length).ok, String(length)).toBe(length >= 200);
  }
});

test("the frame in a blob is judged as the contract does", () => {
  const { cycleCount, cyclesRoot: root, lastPostRoot, right, truncated, trailing } = vectors.frames;
  const header = {
    cycleCount: Number(cycleCount),
    cyclesRoot: root,
    postStateRoot: lastPostRoot,
    dataMode: 1,
  } as BatchHeader;
  const faultOf = (data: Hash, change: Partial<BatchHeader> = {}): string | null => {
    const bytes = hexToBytes(data);
    return blobFault({ header: { ...header, dataLength: bytes.length, ...change }, blob: packBlob(bytes) });
  };
  expect(faultOf(right.data)).toBeNull();
  const decoded = decodeBatchData(hexToBytes(right.data));
  expect(cyclesRoot(decoded.cycles)).toBe(root);
  for (const fault of [
    faultOf(truncated.data),
    faultOf(trailing.data),
    faultOf(right.data, { cycleCount: 2 }),
    faultOf(right.data, { cycleCount: 4 }),
    faultOf(right.data, { cyclesRoot: lastPostRoot }),
    faultOf(right.data, { postStateRoot: root }),
    faultOf(right.data, { dataLength: 10 }),
    faultOf("0x", { cycleCount: 0 }),
  ]) {
    expect(fault).not.toBeNull();
  }
});

test("calldata of a blob's batch decode to the header; other bytes do not", () => {
  const { right } = vectors.frames;
  const data = hexToBytes(right.data);
  const hash: Hash = `0x01${"22".repeat(31)}`;
  const header: BatchHeader = {
    version: 1,
    domain: 1,
    number: 1,
    parent: hash,
    preStateRoot: hash,
    postStateRoot: hash,
    cyclesRoot: hash,
    cycleCount: 3,
    firstCycle: 0,
    timeMs: 5,
    inboundCursor: 0,
    inboundHash: hash,
    dataMode: 1,
    dataHash: hash,
    dataLength: data.length,
  };
  const call = encodePostBatchBlob(header);
  expect(decodePost(call, packBlob(data))).toEqual({ ok: true, header, data });
  expect(decodePost(call, null)).toMatchObject({ ok: false, header, element: -1 });
  expect(decodePost(Uint8Array.of(...call, 0), packBlob(data))).toMatchObject({ ok: false, header: null });
  const foreign = packBlob(data);
  foreign[32] = 1;
  expect(decodePost(call, foreign)).toMatchObject({ ok: false, header, element: 1 });
  expect(bytesToHex(call).length).toBe(2 + 2 * 484);
});
