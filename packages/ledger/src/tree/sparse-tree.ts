// A binary Merkle tree with few leaves among 2^depth. Nodes are numbered as in a heap (root 1, children 2k and 2k+1,
// leaf 2^depth + index) and their hashes lie in one growing array, so an update allocates only for new nodes.
import { assert, keccak256Into } from "@tidemark/num";

const HASH_BYTES = 32;
const DEPTH_MAX = 32;
const SLOTS_AT_START = 32;

/** Hashes of the all-empty subtree of every height: 32 zero bytes, then keccak256 of two of the height below. */
const EMPTY = emptyHashes();

function emptyHashes(): Uint8Array {
  const hashes = new Uint8Array((DEPTH_MAX + 1) * HASH_BYTES);
  const pair = new Uint8Array(2 * HASH_BYTES);
  for (let height = 1; height <= DEPTH_MAX; height++) {
    const below = hashes.subarray((height - 1) * HASH_BYTES, height * HASH_BYTES);
    pair.set(below, 0);
    pair.set(below, HASH_BYTES);
    keccak256Into(pair, 0, pair.length, hashes, height * HASH_BYTES);
  }
  return hashes;
}

/** Root of an empty tree of that depth. */
export function emptyRoot(depth: number): Uint8Array {
  assert(depth >= 0 && depth <= DEPTH_MAX, "emptyRoot: depth");
  return EMPTY.slice(depth * HASH_BYTES, (depth + 1) * HASH_BYTES);
}

const pairBuffer = new Uint8Array(2 * HASH_BYTES);

function copyHash(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number): void {
  for (let i = 0; i < HASH_BYTES; i++) to[toOffset + i] = from[fromOffset + i] as number;
}

export class SparseTree {
  readonly depth: number;
  readonly #leafBase: number;
  /** Heap number of a node → its slot in #hashes. */
  readonly #slots = new Map<number, number>();
  #hashes = new Uint8Array(SLOTS_AT_START * HASH_BYTES);
  #slotCount = 0;
  /** Heap numbers of leaves whose path is stale. */
  #dirty: number[] = [];

  constructor(depth: number) {
    assert(depth >= 1 && depth <= DEPTH_MAX, "SparseTree: depth");
    this.depth = depth;
    this.#leafBase = 2 ** depth;
  }

  #slotOf(node: number): number {
    const known = this.#slots.get(node);
    if (known !== undefined) return known;
    const slot = this.#slotCount++;
    if (this.#slotCount * HASH_BYTES > this.#hashes.length) {
      const grown = new Uint8Array(this.#hashes.length * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#slots.set(node, slot);
    return slot;
  }

  #readNode(node: number, height: number, output: Uint8Array, outputOffset: number): void {
    const slot = this.#slots.get(node);
    if (slot === undefined) copyHash(EMPTY, height * HASH_BYTES, output, outputOffset);
    else copyHash(this.#hashes, slot * HASH_BYTES, output, outputOffset);
  }

  /** Puts keccak256(cell[0 … length)) at the leaf; the path is hashed when the root is asked for. */
  setCell(index: number, cell: Uint8Array): void {
    assert(index >= 0 && index < this.#leafBase, "SparseTree: index");
    const node = this.#leafBase + index;
    const slot = this.#slotOf(node);
    keccak256Into(cell, 0, cell.length, this.#hashes, slot * HASH_BYTES);
    this.#dirty.push(node);
  }

  #refresh(): void {
    const level = this.#dirty;
    if (level.length === 0) return;
    this.#dirty = [];
    if (level.length > 1) level.sort((a, b) => a - b);
    for (let height = 0; height < this.depth; height++) {
      // Sorted numbers stay sorted when halved, so equal parents are neighbours and each is hashed once.
      let count = 0;
      let last = 0;
      for (let i = 0; i < level.length; i++) {
        const parent = Math.floor((level[i] as number) / 2);
        if (parent === last) continue;
        last = parent;
        this.#readNode(2 * parent, height, pairBuffer, 0);
        this.#readNode(2 * parent + 1, height, pairBuffer, HASH_BYTES);
        const slot = this.#slotOf(parent);
        keccak256Into(pairBuffer, 0, 2 * HASH_BYTES, this.#hashes, slot * HASH_BYTES);
        level[count++] = parent;
      }
      level.length = count;
    }
  }

  rootInto(output: Uint8Array, outputOffset: number): void {
    this.#refresh();
    this.#readNode(1, this.depth, output, outputOffset);
  }

  root(): Uint8Array {
    const root = new Uint8Array(HASH_BYTES);
    this.rootInto(root, 0);
    return root;
  }

  /** The siblings of the leaf's path, from the leaf up. */
  path(index: number): Uint8Array[] {
    assert(index >= 0 && index < this.#leafBase, "SparseTree: index");
    this.#refresh();
    const siblings: Uint8Array[] = [];
    let node = this.#leafBase + index;
    for (let height = 0; height < this.depth; height++) {
      const sibling = new Uint8Array(HASH_BYTES);
      this.#readNode(node % 2 === 0 ? node + 1 : node - 1, height, sibling, 0);
      siblings.push(sibling);
      node = Math.floor(node / 2);
    }
    return siblings;
  }
}

/** Root that the cell and its path lead to: what a contract computes. */
export function rootOfPath(index: number, cell: Uint8Array, path: readonly Uint8Array[]): Uint8Array {
  const current = new Uint8Array(HASH_BYTES);
  keccak256Into(cell, 0, cell.length, current, 0);
  const pair = new Uint8Array(2 * HASH_BYTES);
  let position = index;
  for (const sibling of path) {
    assert(sibling.length === HASH_BYTES, "rootOfPath: sibling");
    const isLeft = position % 2 === 0;
    pair.set(isLeft ? current : sibling, 0);
    pair.set(isLeft ? sibling : current, HASH_BYTES);
    keccak256Into(pair, 0, pair.length, current, 0);
    position = Math.floor(position / 2);
  }
  return current;
}
