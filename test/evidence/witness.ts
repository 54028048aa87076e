// Witnesses taken apart (docs/spec/witness.md), so that a hostile challenger can change them where it matters and put them together
// again as bytes that still read as a witness.
import type { Random } from "../../packages/ledger/test/random.ts";

export interface WitnessCell {
  index: number;
  bytes: Uint8Array;
  /** Of accounts. */
  ring: WitnessTree | null;
}

export interface WitnessTree {
  cells: WitnessCell[];
  siblings: Uint8Array[];
}

export interface ParsedWitness {
  globals: Uint8Array;
  /** accounts, instruments, underlyings, outbox. */
  trees: WitnessTree[];
}

class Cursor {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }
  u16(): number {
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, false);
  }
  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, false);
  }
  take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }
}

function readTree(cursor: Cursor, hasRings: boolean): WitnessTree {
  const cellCount = cursor.u16();
  const siblingCount = cursor.u16();
  const cells = Array.from({ length: cellCount }, (): WitnessCell => {
    const index = cursor.u32();
    const bytes = cursor.take(cursor.u16());
    return { index, bytes, ring: hasRings ? readTree(cursor, false) : null };
  });
  return { cells, siblings: Array.from({ length: siblingCount }, () => cursor.take(32)) };
}

/** `globalsBytes`: length of the globals' cell. */
export function parseWitness(bytes: Uint8Array, globalsBytes: number): ParsedWitness {
  const cursor = new Cursor(bytes);
  const globals = cursor.take(globalsBytes);
  const trees = [true, false, false, false].map((hasRings) => readTree(cursor, hasRings));
  if (!cursor.isAtEnd) throw new RangeError("bytes behind the witness");
  return { globals, trees };
}

function writeTree(parts: Uint8Array[], tree: Readonly<WitnessTree>): void {
  const head = new DataView(new ArrayBuffer(4));
  head.setUint16(0, tree.cells.length, false);
  head.setUint16(2, tree.siblings.length, false);
  parts.push(new Uint8Array(head.buffer));
  for (const { index, bytes, ring } of tree.cells) {
    const cell = new DataView(new ArrayBuffer(6));
    cell.setUint32(0, index, false);
    cell.setUint16(4, bytes.length, false);
    parts.push(new Uint8Array(cell.buffer), bytes);
    if (ring !== null) writeTree(parts, ring);
  }
  parts.push(...tree.siblings);
}

export function joinWitness(witness: Readonly<ParsedWitness>): Uint8Array {
  const parts: Uint8Array[] = [witness.globals];
  for (const tree of witness.trees) writeTree(parts, tree);
  return Uint8Array.from(Buffer.concat(parts));
}

// ── hostile changes ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Hostile {
  /** Name of the class, as the table counts it. */
  class: string;
  witness: Uint8Array;
}

const randomBytes = (random: Random, length: number): Uint8Array =>
  Uint8Array.from({ length }, () => random.integer(0, 255));

export function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = bytes.slice();
  const at = random.integer(0, changed.length - 1);
  changed[at] = (changed[at] as number) ^ (1 << random.integer(0, 7));
  return changed;
}

/** Every tree with cells, rings included. */
function treesOf(witness: ParsedWitness): WitnessTree[] {
  const rings = witness.trees.flatMap(({ cells }) => cells.flatMap(({ ring }) => (ring === null ? [] : [ring])));
  return [...witness.trees, ...rings];
}

type Change = (witness: ParsedWitness, random: Random) => void;

const inTree =
  (accepts: (tree: WitnessTree) => boolean, change: (tree: WitnessTree, random: Random) => void): Change =>
  (witness, random) => {
    const trees = treesOf(witness).filter(accepts);
    if (trees.length > 0) change(random.pick(trees), random);
  };
const hasCells = (tree: WitnessTree): boolean => tree.cells.length > 0;
const hasTwoCells = (tree: WitnessTree): boolean => tree.cells.length > 1;
const hasSiblings = (tree: WitnessTree): boolean => tree.siblings.length > 0;

/** The witness still reads as one: what is wrong is what it says. */
const STRUCTURED: readonly (readonly [string, Change])[] = [
  [
    "cell changed",
    inTree(hasCells, (tree, random) => {
      const cell = random.pick(tree.cells);
      if (cell.bytes.length > 0) cell.bytes = flipped(cell.bytes, random);
    }),
  ],
  [
    "cell of another index",
    inTree(hasCells, (tree, random) => {
      random.pick(tree.cells).index += random.pick([-1, 1, 2 ** 16, 2 ** 24]);
      for (const cell of tree.cells) cell.index = Math.max(0, cell.index) % 2 ** 32;
    }),
  ],
  [
    "cell said to be absent",
    inTree(hasCells, (tree, random) => {
      const cell = random.pick(tree.cells);
      cell.bytes = new Uint8Array(0);
      if (cell.ring !== null && random.chance(0.7)) cell.ring = { cells: [], siblings: [] };
    }),
  ],
  [
    "absent cell said to be there",
    inTree(hasCells, (tree, random) => {
      const given = tree.cells.filter(({ bytes }) => bytes.length > 0);
      const absent = tree.cells.filter(({ bytes }) => bytes.length === 0);
      const [from, to] = [given[0] ?? tree.cells[0], absent[0] ?? random.pick(tree.cells)];
      if (from !== undefined && to !== undefined) to.bytes = from.bytes.slice();
    }),
  ],
  [
    "cell left out",
    inTree(hasCells, (tree, random) => {
      tree.cells.splice(random.integer(0, tree.cells.length - 1), 1);
    }),
  ],
  [
    "cell twice",
    inTree(hasCells, (tree, random) => {
      const at = random.integer(0, tree.cells.length - 1);
      const cell = tree.cells[at] as WitnessCell;
      tree.cells.splice(at, 0, { ...cell });
    }),
  ],
  [
    "cells reordered",
    inTree(hasTwoCells, (tree, random) => {
      const at = random.integer(0, tree.cells.length - 2);
      const [first, second] = tree.cells.slice(at, at + 2) as [WitnessCell, WitnessCell];
      tree.cells.splice(at, 2, second, first);
    }),
  ],
  [
    "contents of two cells exchanged",
    inTree(hasTwoCells, (tree, random) => {
      const at = random.integer(0, tree.cells.length - 2);
      const [first, second] = tree.cells.slice(at, at + 2) as [WitnessCell, WitnessCell];
      [first.bytes, second.bytes] = [second.bytes, first.bytes];
    }),
  ],
  [
    "node said to be a cell",
    inTree(hasSiblings, (tree, random) => {
      const bytes = Uint8Array.of(...random.pick(tree.siblings), ...random.pick(tree.siblings));
      const cell = tree.cells[random.integer(0, Math.max(0, tree.cells.length - 1))];
      if (cell === undefined) tree.cells.push({ index: 0, bytes, ring: null });
      else cell.bytes = bytes;
    }),
  ],
  [
    "sibling changed",
    inTree(hasSiblings, (tree, random) => {
      const at = random.integer(0, tree.siblings.length - 1);
      tree.siblings[at] = random.chance(0.5)
        ? flipped(tree.siblings[at] as Uint8Array, random)
        : random.pick([new Uint8Array(32), randomBytes(random, 32), random.pick(tree.siblings)]);
    }),
  ],
  [
    "siblings reordered",
    inTree(hasSiblings, (tree, random) => {
      const at = random.integer(0, tree.siblings.length - 1);
      const [one] = tree.siblings.splice(at, 1) as [Uint8Array];
      tree.siblings.splice(random.integer(0, tree.siblings.length), 0, one);
    }),
  ],
  [
    "sibling too many or too few",
    inTree(hasSiblings, (tree, random) => {
      const at = random.integer(0, tree.siblings.length - 1);
      if (random.chance(0.5)) tree.siblings.splice(at, 1);
      else tree.siblings.splice(at, 0, tree.siblings[at] as Uint8Array);
    }),
  ],
  [
    "trees exchanged",
    (witness, random) => {
      const [from, to] = [random.integer(0, 3), random.integer(0, 3)];
      const [first, second] = [witness.trees[from] as WitnessTree, witness.trees[to] as WitnessTree];
      witness.trees[from] = second;
      witness.trees[to] = first;
    },
  ],
  [
    "order ring changed",
    (witness, random) => {
      const accounts = (witness.trees[0] as WitnessTree).cells;
      if (accounts.length === 0) return;
      const account = random.pick(accounts);
      const other = random.pick(accounts);
      account.ring = random.pick([{ cells: [], siblings: [] }, other.ring, account.ring]);
    },
  ],
  [
    "globals changed",
    (witness, random) => {
      witness.globals = flipped(witness.globals, random);
    },
  ],
];

/** Changes of the bytes, whatever they mean. */
const BLIND: readonly (readonly [string, (witness: Uint8Array, random: Random) => Uint8Array])[] = [
  ["random bytes", (witness, random) => randomBytes(random, random.integer(0, Math.min(2_000, 2 * witness.length)))],
  [
    "bits flipped",
    (witness, random) => {
      let changed = witness;
      for (let count = random.integer(1, 3); count > 0; count--) changed = flipped(changed, random);
      return changed;
    },
  ],
  ["cut off", (witness, random) => witness.slice(0, random.integer(0, witness.length - 1))],
  [
    "made longer",
    (witness, random) => Uint8Array.of(...witness, ...randomBytes(random, random.pick([1, 2, 6, 32, 64]))),
  ],
  [
    "blocks moved",
    (witness, random) => {
      const changed = witness.slice();
      const from = random.integer(0, witness.length - 1);
      changed.copyWithin(random.integer(0, witness.length - 1), from, from + random.integer(1, 200));
      return changed;
    },
  ],
];

export const WITNESS_CLASSES: readonly string[] = [...STRUCTURED, ...BLIND].map(([name]) => name);

export function hostileWitness(sound: Uint8Array, globalsBytes: number, random: Random): Hostile {
  if (random.chance(0.3)) {
    const [name, change] = random.pick(BLIND);
    return { class: name, witness: change(sound, random) };
  }
  const [name, change] = random.pick(STRUCTURED);
  const parsed = parseWitness(sound, globalsBytes);
  change(parsed, random);
  return { class: name, witness: joinWitness(parsed) };
}
