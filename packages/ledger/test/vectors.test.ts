// Bytes that an implementation of the specification alone made: tools/reference/ledger-vectors.mjs.
import { readFileSync } from "node:fs";
import { ByteReader, ByteWriter, bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import { describe, expect, test } from "vitest";
import {
  type AuctionLeg,
  type Bid,
  bidHash,
  type Cycle,
  cycleBytes,
  decodeCycle,
  decodeInboundEntry,
  domainSeparator,
  emptyRoot,
  encodeCycle,
  encodeInboundEntry,
  type Hash,
  type InboundEntry,
  inboundHashNext,
  type Order,
  orderHash,
  readAccount,
  readGlobals,
  readInstrument,
  readOutbox,
  readRingSlot,
  readUnderlying,
  reportContentHash,
  reportHash,
  rootOfPath,
  SparseTree,
  type StateRoots,
  settlementHash,
  stateRootOf,
  type Withdrawal,
  withdrawalHash,
  writeAccount,
  writeGlobals,
  writeInstrument,
  writeOutbox,
  writeRingSlot,
  writeUnderlying,
  ZERO_HASH,
} from "../src/index.ts";

/** Integers are decimal strings; nothing else in the files looks like one. */
function load<Shape>(name: string): Shape {
  const text = readFileSync(new URL(`../../../vectors/ledger/${name}.json`, import.meta.url), "utf8");
  const integer = /^-?\d+$/;
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === "string" && integer.test(value) ? Number(value) : value,
  ) as Shape;
}

const CODECS: Record<
  string,
  { write: (writer: ByteWriter, cell: never) => void; read: (reader: ByteReader) => unknown }
> = {
  account: { write: writeAccount, read: readAccount },
  ringSlot: { write: writeRingSlot, read: readRingSlot },
  instrument: { write: writeInstrument, read: readInstrument },
  underlying: { write: writeUnderlying, read: readUnderlying },
  outbox: { write: writeOutbox, read: readOutbox },
  globals: { write: writeGlobals, read: readGlobals },
};

test("cells", () => {
  const vectors = load<{ type: string; cell: never; bytes: Hash; leaf: Hash }[]>("cells");
  expect(new Set(vectors.map(({ type }) => type))).toEqual(new Set(Object.keys(CODECS)));
  for (const { type, cell, bytes, leaf } of vectors) {
    const codec = CODECS[type];
    const writer = new ByteWriter();
    codec?.write(writer, cell);
    expect(bytesToHex(writer.view()), type).toBe(bytes);
    expect(bytesToHex(keccak256(writer.view())), type).toBe(leaf);
    const reader = new ByteReader(hexToBytes(bytes));
    expect(codec?.read(reader), type).toEqual(cell);
    expect(reader.remaining).toBe(0);
  }
});

describe("trees", () => {
  const { emptyRoots, trees, stateRoots } = load<{
    emptyRoots: Hash[];
    trees: {
      depth: number;
      cells: { index: number; cell: Hash }[];
      root: Hash;
      proofs: { index: number; path: Hash[] }[];
    }[];
    stateRoots: { roots: StateRoots; stateRoot: Hash }[];
  }>("trees");

  test("empty roots", () => {
    expect(emptyRoots).toHaveLength(33);
    emptyRoots.forEach((root, depth) => expect(bytesToHex(emptyRoot(depth))).toBe(root));
  });

  test("roots and paths", () => {
    expect(trees.length).toBeGreaterThan(9);
    for (const { depth, cells, root, proofs } of trees) {
      const tree = new SparseTree(depth);
      for (const { index, cell } of cells) tree.setCell(index, hexToBytes(cell));
      expect(bytesToHex(tree.root())).toBe(root);
      proofs.forEach(({ index, path }, i) => {
        expect(tree.path(index).map((sibling) => bytesToHex(sibling))).toEqual(path);
        const cell = hexToBytes(cells[i]?.cell as Hash);
        expect(
          bytesToHex(
            rootOfPath(
              index,
              cell,
              path.map((sibling) => hexToBytes(sibling)),
            ),
          ),
        ).toBe(root);
      });
    }
  });

  test("state roots", () => {
    for (const { roots, stateRoot } of stateRoots) expect(stateRootOf(roots)).toBe(stateRoot);
  });
});

test("the inbound queue", () => {
  let queueHash: Hash = ZERO_HASH;
  const vectors = load<{ entry: InboundEntry; bytes: Hash; queueHash: Hash }[]>("inbound");
  expect(new Set(vectors.map(({ entry }) => entry.type)).size).toBe(10);
  for (const vector of vectors) {
    const bytes = encodeInboundEntry(vector.entry);
    expect(bytesToHex(bytes)).toBe(vector.bytes);
    expect(decodeInboundEntry(bytes)).toEqual({ ok: true, entry: vector.entry });
    queueHash = inboundHashNext(queueHash, bytes);
    expect(queueHash).toBe(vector.queueHash);
  }
});

test("cycles", () => {
  const vectors = load<{ domain: number; cycle: Cycle; payload: Hash; payloadHash: Hash }[]>("cycles");
  expect(new Set(vectors.map(({ cycle }) => cycle.kind)).size).toBe(12);
  for (const { domain, cycle, payload, payloadHash } of vectors) {
    const bytes = encodeCycle(cycle);
    expect(bytesToHex(bytes), cycle.kind).toBe(payload);
    expect(bytesToHex(keccak256(bytes))).toBe(payloadHash);
    expect(cycleBytes(cycle)).toBe(bytes.length);
    expect(decodeCycle(bytes, domain)).toEqual({ ok: true, cycle });
  }
});

test("signed digests", () => {
  const vectors = load<{
    chainId: number;
    verifyingContract: Hash;
    domain: number;
    orders: { order: Order; digest: Hash }[];
    withdrawals: { withdrawal: Withdrawal; digest: Hash }[];
    bids: { bid: Bid; legs: AuctionLeg[]; digest: Hash }[];
    reports: { payload: Hash; content: Hash; digest: Hash }[];
    settlements: { payload: Hash; digest: Hash }[];
  }>("signing");
  const separator = domainSeparator(vectors);
  for (const { order, digest } of vectors.orders) expect(bytesToHex(orderHash(order, separator))).toBe(digest);
  for (const { withdrawal, digest } of vectors.withdrawals) {
    expect(bytesToHex(withdrawalHash(withdrawal, separator))).toBe(digest);
  }
  for (const { bid, legs, digest } of vectors.bids) expect(bytesToHex(bidHash(bid, legs, separator))).toBe(digest);
  const decoded = <Kind extends Cycle["kind"]>(payload: Hash, kind: Kind): Extract<Cycle, { kind: Kind }> => {
    const decoding = decodeCycle(hexToBytes(payload), vectors.domain);
    if (!decoding.ok || decoding.cycle.kind !== kind) throw new Error(`${kind} payload does not decode`);
    return decoding.cycle as Extract<Cycle, { kind: Kind }>;
  };
  expect(vectors.reports.length + vectors.settlements.length).toBe(6);
  for (const { payload, content, digest } of vectors.reports) {
    const report = decoded(payload, "report");
    expect(bytesToHex(reportContentHash(report))).toBe(content);
    expect(bytesToHex(reportHash(report, vectors.domain, separator))).toBe(digest);
  }
  for (const { payload, digest } of vectors.settlements) {
    expect(bytesToHex(settlementHash(decoded(payload, "expiry"), vectors.domain, separator))).toBe(digest);
  }
});
