// The state root over the five parts, and constants of empty trees.
import { bytesToHex, hexToBytesInto, keccak256, keccak256Into } from "@tidemark/num";
import { RING_TREE_DEPTH } from "../limits.ts";
import type { Hash } from "../types.ts";
import { emptyRoot } from "./sparse-tree.ts";

export const ZERO_HASH: Hash = `0x${"00".repeat(32)}`;
export const EMPTY_RING_ROOT: Hash = bytesToHex(emptyRoot(RING_TREE_DEPTH));

/** What opens a state root: the argument of an outbox claim and of a challenge. */
export interface StateRoots {
  accountsRoot: Hash;
  instrumentsRoot: Hash;
  underlyingsRoot: Hash;
  outboxRoot: Hash;
  globalsHash: Hash;
}

export function stateRootOf(roots: Readonly<StateRoots>): Hash {
  const parts = new Uint8Array(5 * 32);
  hexToBytesInto(roots.accountsRoot, parts, 0);
  hexToBytesInto(roots.instrumentsRoot, parts, 32);
  hexToBytesInto(roots.underlyingsRoot, parts, 64);
  hexToBytesInto(roots.outboxRoot, parts, 96);
  hexToBytesInto(roots.globalsHash, parts, 128);
  return bytesToHex(keccak256(parts));
}

/** The same over packed parts, in place of the hexadecimal form. */
export function stateRootOfPacked(parts: Uint8Array): Hash {
  const root = new Uint8Array(32);
  keccak256Into(parts, 0, 5 * 32, root, 0);
  return bytesToHex(root);
}
