// State witnesses of fraud proofs: the bytes that one fault needs, built from the state before the cycle. Format:
// docs/spec/witness.md; contracts/src/lib/StateWitness.sol reads it. Which cells a fault needs: witnessCells.ts.
import {
  type LedgerState,
  RING_SLOTS,
  type StateTree,
  writeAccount,
  writeInstrument,
  writeOutbox,
  writeRingSlot,
  writeUnderlying,
} from "@tidemark/ledger";
import { assert, assertNever, ByteWriter } from "@tidemark/num";
import type { WitnessCells } from "./witnessCells.ts";

/** A leaf of a tree: its cell's bytes (empty = absent) and its path. */
interface Leaf {
  index: number;
  cell: Uint8Array;
  path: readonly Uint8Array[];
  /** An account's own order ring, already encoded; null elsewhere. */
  ring: Uint8Array | null;
}

const ABSENT = new Uint8Array(0);

function u16Big(writer: ByteWriter, value: number): void {
  assert(value >= 0 && value < 0x1_0000, "witness: u16");
  writer.u8(value >>> 8).u8(value & 0xff);
}

function u32Big(writer: ByteWriter, value: number): void {
  u16Big(writer, Math.floor(value / 0x1_0000));
  u16Big(writer, value % 0x1_0000);
}

function cellBytes<Cell>(
  cell: Readonly<Cell> | undefined,
  write: (writer: ByteWriter, cell: Readonly<Cell>) => void,
): Uint8Array {
  if (cell === undefined) return ABSENT;
  const writer = new ByteWriter(512);
  write(writer, cell);
  return writer.toBytes();
}

function bytesOf(state: LedgerState, tree: StateTree, index: number): Uint8Array {
  switch (tree) {
    case "accounts":
      return cellBytes(state.account(index), writeAccount);
    case "instruments":
      return cellBytes(state.instrument(index), writeInstrument);
    case "underlyings":
      return cellBytes(state.underlying(index), writeUnderlying);
    case "outbox":
      return cellBytes(state.outboxCell(index), writeOutbox);
    default:
      return assertNever(tree, "state tree");
  }
}

/**
 * Siblings that no leaf's path gives, level by level from the leaves up, left to right. Each level is represented by one
 * leaf a node: every path through a node has the same sibling there.
 */
export function multiproofSiblings(leaves: readonly { index: number; path: readonly Uint8Array[] }[]): Uint8Array[] {
  const depth = leaves[0]?.path.length ?? 0;
  const siblings: Uint8Array[] = [];
  let level = leaves.map(({ index, path }) => ({ node: index, path }));
  for (let height = 0; height < depth; height++) {
    const parents: typeof level = [];
    for (let i = 0; i < level.length; i++) {
      const one = level[i] as (typeof level)[number];
      const isPair = one.node % 2 === 0 && level[i + 1]?.node === one.node + 1;
      if (isPair) i += 1;
      else siblings.push(one.path[height] as Uint8Array);
      parents.push({ node: Math.floor(one.node / 2), path: one.path });
    }
    level = parents;
  }
  return siblings;
}

function encodeTree(writer: ByteWriter, leaves: readonly Leaf[], siblings: readonly Uint8Array[]): void {
  u16Big(writer, leaves.length);
  u16Big(writer, siblings.length);
  for (const { index, cell, ring } of leaves) {
    u32Big(writer, index);
    u16Big(writer, cell.length);
    writer.bytes(cell);
    if (ring !== null) writer.bytes(ring);
  }
  for (const sibling of siblings) writer.bytes(sibling);
}

const ascending = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);

function encodeRing(state: LedgerState, account: number, slots: ReadonlySet<number>): Uint8Array {
  const leaves = ascending(slots).map((slot): Leaf => {
    assert(slot < RING_SLOTS, "ring slot");
    const cell = cellBytes(state.ringSlot(account, slot), writeRingSlot);
    return { index: slot, cell, path: state.ringPath(account, slot), ring: null };
  });
  const writer = new ByteWriter(512);
  encodeTree(writer, leaves, multiproofSiblings(leaves));
  return writer.toBytes();
}

const NO_SLOTS: ReadonlySet<number> = new Set();

function writeTree(
  writer: ByteWriter,
  state: LedgerState,
  tree: StateTree,
  cells: Readonly<WitnessCells>,
  root: Uint8Array,
): void {
  const indices = tree === "accounts" ? cells.accounts.keys() : cells[tree];
  const leaves = ascending(indices).map((index): Leaf => {
    const cell = bytesOf(state, tree, index);
    // An account that does not exist has no ring.
    const slots = tree === "accounts" && cell.length > 0 ? (cells.accounts.get(index) ?? NO_SLOTS) : NO_SLOTS;
    const ring = tree === "accounts" ? encodeRing(state, index, slots) : null;
    return { index, cell, path: state.leafPath(tree, index), ring };
  });
  // Of a tree without cells only the root is needed.
  encodeTree(writer, leaves, leaves.length === 0 ? [root] : multiproofSiblings(leaves));
}

/** Bytes of the witness. `state` is the one before the cycle at fault. */
export function encodeWitness(state: LedgerState, cells: Readonly<WitnessCells>): Uint8Array {
  const writer = new ByteWriter(16_384);
  writer.bytes(state.globalsBytes());
  const roots = state.roots();
  const rootWriter = new ByteWriter(128);
  rootWriter
    .hex(roots.accountsRoot, 32)
    .hex(roots.instrumentsRoot, 32)
    .hex(roots.underlyingsRoot, 32)
    .hex(roots.outboxRoot, 32);
  const packed = rootWriter.toBytes();
  const root = (part: number): Uint8Array => packed.subarray(32 * part, 32 * part + 32);
  writeTree(writer, state, "accounts", cells, root(0));
  writeTree(writer, state, "instruments", cells, root(1));
  writeTree(writer, state, "underlyings", cells, root(2));
  writeTree(writer, state, "outbox", cells, root(3));
  return writer.toBytes();
}
