// Paths in a batch's cycles tree: what shows the L1 that a cycle is the batch's.
import type { Hash } from "@tidemark/ledger";
import { assert, bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import { type BatchCycle, cycleLeaf } from "./batch.ts";

/** Siblings of the cycle from the leaf up; an odd last node has none on its level. */
export function cyclePath(cycles: readonly BatchCycle[], index: number): Hash[] {
  assert(index >= 0 && index < cycles.length, "cyclePath: index");
  const path: Hash[] = [];
  let nodes = cycles.map((cycle) => cycleLeaf(cycle));
  let place = index;
  while (nodes.length > 1) {
    const sibling = nodes[place % 2 === 0 ? place + 1 : place - 1];
    if (sibling !== undefined) path.push(sibling);
    const parents: Hash[] = [];
    for (let i = 0; i < nodes.length; i += 2) {
      const right = nodes[i + 1];
      const left = nodes[i] as Hash;
      parents.push(
        right === undefined ? left : bytesToHex(keccak256(hexToBytes(`0x01${left.slice(2)}${right.slice(2)}`))),
      );
    }
    nodes = parents;
    place = Math.floor(place / 2);
  }
  return path;
}
