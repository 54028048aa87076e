import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import fc from "fast-check";
import {
  concatHex,
  encodeAbiParameters,
  encodeFunctionData,
  encodePacked,
  type Hex,
  parseAbi,
  parseAbiParameters,
  keccak256 as viemKeccak256,
} from "viem";
import { expect, test } from "vitest";
import {
  type BatchCycle,
  type BatchHeader,
  batchDataBytes,
  cyclesRoot,
  decodeBatchData,
  decodePostBatch,
  encodeBatchData,
  encodeHeader,
  encodePostBatch,
  genesisBatchHash,
  hashHeader,
} from "../src/index.ts";

// The second implementation in these tests is viem: its ABI encoder, packing and keccak.
const HEADER_STRUCT =
  "struct BatchHeader { uint32 version; uint32 domain; uint64 number; bytes32 parent; bytes32 preStateRoot; bytes32 postStateRoot; bytes32 cyclesRoot; uint32 cycleCount; uint64 firstCycle; uint64 timeMs; uint64 inboundCursor; bytes32 inboundHash; uint8 dataMode; bytes32 dataHash; uint32 dataLength; }";
const ABI = parseAbi([HEADER_STRUCT, "function postBatch(BatchHeader header, bytes data) payable"]);
const HEADER_PARAMETER = parseAbiParameters(["BatchHeader header", HEADER_STRUCT]);

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytesToHex(bytes));
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u53 = fc.maxSafeNat();
const header: fc.Arbitrary<BatchHeader> = fc.record({
  version: u32,
  domain: u32,
  number: u53,
  parent: hash,
  preStateRoot: hash,
  postStateRoot: hash,
  cyclesRoot: hash,
  cycleCount: u32,
  firstCycle: u53,
  timeMs: u53,
  inboundCursor: u53,
  inboundHash: hash,
  dataMode: fc.integer({ min: 0, max: 255 }),
  dataHash: hash,
  dataLength: u32,
});
const cycle: fc.Arbitrary<BatchCycle> = fc.record({
  payload: fc.uint8Array({ minLength: 1, maxLength: 200 }),
  postRoot: hash,
});
const cycles = fc.array(cycle, { minLength: 1, maxLength: 40 });

function viemHeader(value: BatchHeader) {
  return {
    ...value,
    number: BigInt(value.number),
    firstCycle: BigInt(value.firstCycle),
    timeMs: BigInt(value.timeMs),
    inboundCursor: BigInt(value.inboundCursor),
  };
}

function referenceCyclesRoot(list: readonly BatchCycle[]): Hex {
  let nodes = list.map(({ payload, postRoot }) =>
    viemKeccak256(
      encodePacked(["uint8", "bytes32", "uint32", "bytes32"], [0, viemKeccak256(payload), payload.length, postRoot]),
    ),
  );
  while (nodes.length > 1) {
    const parents: Hex[] = [];
    for (let i = 0; i < nodes.length; i += 2) {
      const [left, right] = [nodes[i] as Hex, nodes[i + 1]];
      parents.push(right === undefined ? left : viemKeccak256(concatHex(["0x01", left, right])));
    }
    nodes = parents;
  }
  return nodes[0] as Hex;
}

test("header bytes, hash and calldata are those of an independent ABI encoder", () => {
  fc.assert(
    fc.property(header, fc.uint8Array({ maxLength: 300 }), (value, data) => {
      const encoded = encodeAbiParameters(HEADER_PARAMETER, [viemHeader(value)]);
      expect(bytesToHex(encodeHeader(value))).toBe(encoded);
      expect(hashHeader(value)).toBe(viemKeccak256(encoded));
      const call = encodeFunctionData({
        abi: ABI,
        functionName: "postBatch",
        args: [viemHeader(value), bytesToHex(data)],
      });
      expect(bytesToHex(encodePostBatch(value, data))).toBe(call);
      expect(decodePostBatch(hexToBytes(call))).toEqual({ ok: true, header: value, data });
    }),
  );
});

test("the parent of batch 1 is the hash of the ABI-encoded genesis root", () => {
  const root = bytesToHex(keccak256(Uint8Array.of(1)));
  expect(genesisBatchHash(root)).toBe(viemKeccak256(encodeAbiParameters(parseAbiParameters("bytes32"), [root])));
});

test("the cycles tree is that of an independent implementation, odd widths included", () => {
  fc.assert(
    fc.property(cycles, (list) => {
      expect(cyclesRoot(list)).toBe(referenceCyclesRoot(list));
    }),
  );
});

test("data decode to what was encoded", () => {
  fc.assert(
    fc.property(cycles, (list) => {
      const data = encodeBatchData(list);
      expect(data.length).toBe(batchDataBytes(list));
      expect(decodeBatchData(data)).toEqual({ ok: true, cycles: list });
    }),
  );
});

test("decoders answer any bytes; a truncated or extended batch never decodes to the same cycles", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(typeof decodeBatchData(bytes).ok).toBe("boolean");
      expect(decodePostBatch(bytes).ok).toBe(false);
    }),
  );
  fc.assert(
    fc.property(cycles, fc.nat(), (list, at) => {
      const data = encodeBatchData(list);
      const cut = decodeBatchData(data.subarray(0, at % data.length));
      expect(cut.cycles.length).toBeLessThan(list.length);
      expect(cut.cycles).toEqual(list.slice(0, cut.cycles.length));
    }),
  );
});

test("any single changed byte of the calldata changes what decodes, or does not decode", () => {
  fc.assert(
    fc.property(header, cycles, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, list, at, flip) => {
      const call = encodePostBatch(value, encodeBatchData(list));
      const position = at % call.length;
      call[position] = (call[position] as number) ^ flip;
      const decoded = decodePostBatch(call);
      if (!decoded.ok) return;
      const changedHeader = hashHeader(decoded.header) !== hashHeader(value);
      const data = decodeBatchData(decoded.data);
      const changedData = !data.ok || cyclesRoot(data.cycles) !== cyclesRoot(list);
      expect(changedHeader || changedData).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
