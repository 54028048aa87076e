import { bytesToHex, keccak256 } from "@tidemark/num";
import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyRoot, rootOfPath, SparseTree } from "../src/index.ts";
import { recursiveRoot } from "./naive-tree.ts";

/** The definition, spelled out: every leaf of the tree is hashed. */
function naiveRoot(depth: number, cells: ReadonlyMap<number, Uint8Array>): Uint8Array {
  let level = Array.from({ length: 2 ** depth }, (_, index) => {
    const cell = cells.get(index);
    return cell === undefined ? new Uint8Array(32) : keccak256(cell);
  });
  while (level.length > 1) {
    level = Array.from({ length: level.length / 2 }, (_, i) =>
      keccak256(Uint8Array.from([...(level[2 * i] as Uint8Array), ...(level[2 * i + 1] as Uint8Array)])),
    );
  }
  return level[0] as Uint8Array;
}

const cellBytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

test("empty roots follow the definition", () => {
  for (let depth = 0; depth <= 8; depth++) expect(emptyRoot(depth)).toEqual(naiveRoot(depth, new Map()));
});

test("incremental roots equal a full recomputation after every batch of writes", () => {
  const batches = fc.array(fc.array(fc.tuple(fc.nat(63), cellBytes), { maxLength: 12 }), { maxLength: 8 });
  fc.assert(
    fc.property(batches, (writes) => {
      const tree = new SparseTree(6);
      const cells = new Map<number, Uint8Array>();
      for (const batch of writes) {
        for (const [index, cell] of batch) {
          tree.setCell(index, cell);
          cells.set(index, cell);
        }
        expect(bytesToHex(tree.root())).toBe(bytesToHex(naiveRoot(6, cells)));
      }
    }),
    { numRuns: 60 },
  );
});

test("deep trees, the last index included, and their paths", () => {
  const depths = fc.constantFrom(16, 24, 32);
  const writes = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), cellBytes), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(depths, writes, (depth, relative) => {
      const tree = new SparseTree(depth);
      const cells = new Map<number, Uint8Array>();
      for (const [place, cell] of relative) {
        const index = Math.floor(place * (2 ** depth - 1));
        cells.set(index, cell);
        tree.setCell(index, cell);
      }
      const root = bytesToHex(tree.root());
      expect(root).toBe(bytesToHex(recursiveRoot(depth, [...cells])));
      for (const [index, cell] of cells) {
        const path = tree.path(index);
        expect(path).toHaveLength(depth);
        expect(bytesToHex(rootOfPath(index, cell, path))).toBe(root);
        const changed = cell.slice();
        changed[0] = (changed[0] as number) ^ 1;
        expect(bytesToHex(rootOfPath(index, changed, path))).not.toBe(root);
        expect(bytesToHex(rootOfPath(index ^ 1, cell, path))).not.toBe(root);
      }
    }),
    { numRuns: 40 },
  );
});

test("an index outside the tree is a bug", () => {
  const tree = new SparseTree(4);
  expect(() => tree.setCell(16, new Uint8Array(1))).toThrow("index");
  expect(() => tree.setCell(-1, new Uint8Array(1))).toThrow("index");
  expect(() => tree.path(16)).toThrow("index");
});
