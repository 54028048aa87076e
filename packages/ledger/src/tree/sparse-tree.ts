// A binary Merkle tree with few leaves among 2^depth. It is cut into blocks of four levels, each with its hashes side by
// side in heap order (children of k are 2k and 2k + 1): a pair to be hashed is 64 neighbouring bytes, and the way to a leaf
// is one lookup a block instead of one a level. Blocks are made at the first write below them.
import { assert, keccak256Into } from "@tidemark/num";

const HASH_BYTES = 32;
const DEPTH_MAX = 32;
const BLOCK_DEPTH = 4;
const BLOCK_LEAVES = 2 ** BLOCK_DEPTH;
/** Hashes of a block by heap number; 0 is unused, 1 is used by the topmost block alone: a root lies in the block above. */
const BLOCK_NODES = 2 * BLOCK_LEAVES;
const BLOCK_BYTES = BLOCK_NODES * HASH_BYTES;
/** The topmost block is nobody's child. */
const TOP = 0;
const NO_BLOCK = 0;

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

export class SparseTree {
  readonly depth: number;
  /** Blocks on the way to a leaf, and levels within the topmost of them. */
  readonly #levels: number;
  readonly #topDepth: number;
  #hashes: Uint8Array;
  /** Block and leaf of it → the block below, or NO_BLOCK. */
  #below: Int32Array;
  /** One bit a leaf of the block: what is above it is stale. */
  #stale: Int32Array;
  #blockCount = 0;

  constructor(depth: number) {
    assert(depth >= 1 && depth <= DEPTH_MAX, "SparseTree: depth");
    this.depth = depth;
    this.#levels = Math.ceil(depth / BLOCK_DEPTH);
    this.#topDepth = depth - (this.#levels - 1) * BLOCK_DEPTH;
    this.#hashes = new Uint8Array(this.#levels * BLOCK_BYTES);
    this.#below = new Int32Array(this.#levels * BLOCK_LEAVES);
    this.#stale = new Int32Array(this.#levels);
    this.#newBlock(0);
  }

  #depthOf(level: number): number {
    return level === 0 ? this.#topDepth : BLOCK_DEPTH;
  }

  /** Levels of the tree below the leaves of a block. */
  #heightBelow(level: number): number {
    return (this.#levels - 1 - level) * BLOCK_DEPTH;
  }

  #newBlock(level: number): number {
    const block = this.#blockCount++;
    if (block >= this.#stale.length) this.#grow();
    const base = block * BLOCK_BYTES;
    const depth = this.#depthOf(level);
    const heightBelow = this.#heightBelow(level);
    for (let at = 0; at <= depth; at++) {
      const empty = (heightBelow + depth - at) * HASH_BYTES;
      for (let node = 2 ** at; node < 2 ** (at + 1); node++) {
        this.#hashes.set(EMPTY.subarray(empty, empty + HASH_BYTES), base + node * HASH_BYTES);
      }
    }
    return block;
  }

  #grow(): void {
    const hashes = new Uint8Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const below = new Int32Array(this.#below.length * 2);
    below.set(this.#below);
    this.#below = below;
    const stale = new Int32Array(this.#stale.length * 2);
    stale.set(this.#stale);
    this.#stale = stale;
  }

  /** Where the leaf's hash is; what is above it becomes stale. */
  #leafForWriting(index: number): number {
    assert(index >= 0 && index < 2 ** this.depth, "SparseTree: index");
    const levels = this.#levels;
    let block = TOP;
    for (let level = 0; ; level++) {
      const leaf = (index >>> this.#heightBelow(level)) & (2 ** this.#depthOf(level) - 1);
      this.#stale[block] = (this.#stale[block] as number) | (1 << leaf);
      if (level === levels - 1) return block * BLOCK_BYTES + (2 ** this.#depthOf(level) + leaf) * HASH_BYTES;
      const link = block * BLOCK_LEAVES + leaf;
      let below = this.#below[link] as number;
      if (below === NO_BLOCK) {
        below = this.#newBlock(level + 1);
        this.#below[link] = below;
      }
      block = below;
    }
  }

  /** Puts keccak256(cell[0 … length)) at the leaf; the path is hashed when the root is asked for. */
  setCell(index: number, cell: Uint8Array): void {
    const at = this.#leafForWriting(index);
    keccak256Into(cell, 0, cell.length, this.#hashes, at);
  }

  /** Makes the leaf absent again. */
  clearCell(index: number): void {
    const at = this.#leafForWriting(index);
    this.#hashes.fill(0, at, at + HASH_BYTES);
  }

  /** Hashes what is stale in the block and below it, each node once; the block's root goes to `rootAt`. */
  #refresh(block: number, level: number, rootAt: number): void {
    const hashes = this.#hashes;
    const base = block * BLOCK_BYTES;
    const depth = this.#depthOf(level);
    let stale = this.#stale[block] as number;
    this.#stale[block] = 0;
    if (level < this.#levels - 1) {
      for (let leaf = 0; leaf < BLOCK_LEAVES; leaf++) {
        if ((stale & (1 << leaf)) === 0) continue;
        const below = this.#below[block * BLOCK_LEAVES + leaf] as number;
        this.#refresh(below, level + 1, base + (2 ** depth + leaf) * HASH_BYTES);
      }
    }
    for (let first = 2 ** (depth - 1); first > 1; first >>= 1) {
      let above = 0;
      for (let i = 0; i < first; i++) {
        if (((stale >> (2 * i)) & 3) === 0) continue;
        above |= 1 << i;
        const node = base + (first + i) * HASH_BYTES;
        keccak256Into(hashes, base + 2 * (first + i) * HASH_BYTES, 2 * HASH_BYTES, hashes, node);
      }
      stale = above;
    }
    keccak256Into(hashes, base + 2 * HASH_BYTES, 2 * HASH_BYTES, hashes, rootAt);
  }

  rootInto(output: Uint8Array, outputOffset: number): void {
    if (this.#stale[TOP] !== 0) this.#refresh(TOP, 0, HASH_BYTES);
    for (let i = 0; i < HASH_BYTES; i++) output[outputOffset + i] = this.#hashes[HASH_BYTES + i] as number;
  }

  root(): Uint8Array {
    const root = new Uint8Array(HASH_BYTES);
    this.rootInto(root, 0);
    return root;
  }

  /** The siblings of the leaf's path, from the leaf up. */
  path(index: number): Uint8Array[] {
    assert(index >= 0 && index < 2 ** this.depth, "SparseTree: index");
    if (this.#stale[TOP] !== 0) this.#refresh(TOP, 0, HASH_BYTES);
    const siblings: Uint8Array[] = [];
    let block = TOP;
    for (let level = 0; level < this.#levels; level++) {
      const depth = this.#depthOf(level);
      const leaf = (index >>> this.#heightBelow(level)) & (2 ** depth - 1);
      const ofBlock: Uint8Array[] = [];
      for (let node = 2 ** depth + leaf; node > 1; node >>= 1) {
        const height = this.#heightBelow(level) + ofBlock.length;
        const isMissing = level > 0 && block === NO_BLOCK;
        const at = isMissing ? height * HASH_BYTES : block * BLOCK_BYTES + (node ^ 1) * HASH_BYTES;
        ofBlock.push((isMissing ? EMPTY : this.#hashes).slice(at, at + HASH_BYTES));
      }
      siblings.unshift(...ofBlock);
      if (level === 0 || block !== NO_BLOCK) block = this.#below[block * BLOCK_LEAVES + leaf] as number;
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
