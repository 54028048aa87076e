// The ledger's state: cells by number, one Merkle tree a kind of cell, one ring tree an account with orders.
import { assert, assertNever, ByteWriter, bytesToHex, keccak256Into } from "@tidemark/num";
import {
  writeAccount,
  writeGlobals,
  writeInstrument,
  writeOutbox,
  writeRingSlot,
  writeUnderlying,
} from "./codec/cells.ts";
import { Draft, emptyAccount, type StateChanges } from "./draft.ts";
import {
  ACCOUNT_TREE_DEPTH,
  HASH_SUITE,
  INSTRUMENT_TREE_DEPTH,
  INSURANCE_ACCOUNT,
  OUTBOX_TREE_DEPTH,
  RING_SLOTS,
  RING_TREE_DEPTH,
  STATE_FORMAT,
  TREASURY_ACCOUNT,
  UNDERLYING_TREE_DEPTH,
} from "./limits.ts";
import { type ParameterSet, parametersHash } from "./parameters.ts";
import { keepFirst, nothingReplaced, type Replaced, restoreLeaf } from "./rollback.ts";
import { type StateRoots, stateRootOfPacked, ZERO_HASH } from "./tree/roots.ts";
import { SparseTree } from "./tree/sparse-tree.ts";
import type { AccountCell, GlobalsCell, Hash, InstrumentCell, OutboxCell, RingSlot, UnderlyingCell } from "./types.ts";

/** A cell's bytes and the siblings of its leaf, from the leaf up. */
export interface CellProof {
  cell: Uint8Array;
  path: Hash[];
}

export type StateTree = "accounts" | "instruments" | "underlyings" | "outbox";

interface Ring {
  tree: SparseTree;
  /** Slot index → slot. */
  slots: Map<number, RingSlot>;
}

const PART_BYTES = 32;
const EMPTY_RING = new SparseTree(RING_TREE_DEPTH);
// One writer and one hash buffer for all cells: nothing of them outlives a call.
const cellWriter = new ByteWriter(4096);
const hashBuffer = new Uint8Array(PART_BYTES);

function emptyUnderlying(): UnderlyingCell {
  return {
    epoch: 0,
    epochOpen: false,
    reportMs: 0 as UnderlyingCell["reportMs"],
    index: 0 as UnderlyingCell["index"],
    indexAverage: 0 as UnderlyingCell["indexAverage"],
    premiumEma: 0 as UnderlyingCell["premiumEma"],
    perpetual: 0 as UnderlyingCell["perpetual"],
    hasPerpetual: false,
    surfaces: [],
  };
}

export class LedgerState {
  #parameters: ParameterSet;
  readonly #accounts = new Map<number, AccountCell>();
  readonly #rings = new Map<number, Ring>();
  readonly #instruments: InstrumentCell[] = [];
  readonly #underlyings: UnderlyingCell[] = [];
  readonly #outbox: OutboxCell[] = [];
  readonly #accountTree = new SparseTree(ACCOUNT_TREE_DEPTH);
  readonly #instrumentTree = new SparseTree(INSTRUMENT_TREE_DEPTH);
  readonly #underlyingTree = new SparseTree(UNDERLYING_TREE_DEPTH);
  readonly #outboxTree = new SparseTree(OUTBOX_TREE_DEPTH);
  #globals: GlobalsCell;
  /** accountsRoot ‖ instrumentsRoot ‖ underlyingsRoot ‖ outboxRoot ‖ globalsHash */
  readonly #parts = new Uint8Array(5 * PART_BYTES);
  #root: Hash = ZERO_HASH;
  #version = 0;
  #rowBound = 0;
  /** Null until the first mark. */
  #replaced: Replaced | null = null;

  /** Use LedgerState.genesis or deserialiseState. */
  constructor(parameters: ParameterSet, globals: GlobalsCell) {
    this.#parameters = parameters;
    this.#globals = globals;
  }

  static genesis(parameters: ParameterSet): LedgerState {
    const { domain, treasuryOwner, insuranceOwner } = parameters;
    const globals = {
      domain,
      format: STATE_FORMAT,
      hashSuite: HASH_SUITE,
      timeMs: 0,
      inboundCursor: 0,
      inboundHash: ZERO_HASH,
      outboxCount: 0,
      instrumentCount: 0,
      inboundTotal: 0,
      outboxTotal: 0,
      cashTotal: 0,
      clearingTotal: 0,
      badDebt: 0,
      parametersHash: parametersHash(parameters),
      creditTotal: 0,
      adminHash: ZERO_HASH,
      adminMs: 0,
    } as GlobalsCell;
    const state = new LedgerState(parameters, globals);
    state.store({
      accounts: new Map([
        [TREASURY_ACCOUNT, emptyAccount(domain, treasuryOwner)],
        [INSURANCE_ACCOUNT, emptyAccount(domain, insuranceOwner)],
      ]),
      instruments: new Map(),
      underlyings: new Map(parameters.underlyings.map((_, number) => [number, emptyUnderlying()])),
      ringSlots: new Map(),
      outbox: [],
      globals,
      parameters: null,
    });
    return state;
  }

  /** Those that the next cycle is judged by: an admin cycle changes them. */
  get parameters(): ParameterSet {
    return this.#parameters;
  }
  /** Grows with every commit. */
  get version(): number {
    return this.#version;
  }
  get globals(): Readonly<GlobalsCell> {
    return this.#globals;
  }
  /** No row has ever had a greater value. */
  get rowBound(): number {
    return this.#rowBound;
  }
  get instrumentCount(): number {
    return this.#instruments.length;
  }
  get underlyingCount(): number {
    return this.#underlyings.length;
  }
  get outboxCount(): number {
    return this.#outbox.length;
  }

  account(number: number): Readonly<AccountCell> | undefined {
    return this.#accounts.get(number);
  }
  instrument(number: number): Readonly<InstrumentCell> | undefined {
    return this.#instruments[number];
  }
  underlying(number: number): Readonly<UnderlyingCell> | undefined {
    return this.#underlyings[number];
  }
  outboxCell(number: number): Readonly<OutboxCell> | undefined {
    return this.#outbox[number];
  }
  /** What slot nonce mod RING_SLOTS holds, whichever nonce that is of. */
  ringSlot(account: number, nonce: number): Readonly<RingSlot> | undefined {
    return this.#rings.get(account)?.slots.get(nonce % RING_SLOTS);
  }
  /** All occupied slots of an account by slot index, ascending. */
  ringSlots(account: number): Readonly<RingSlot>[] {
    const ring = this.#rings.get(account);
    if (ring === undefined) return [];
    return [...ring.slots].sort((a, b) => a[0] - b[0]).map(([, slot]) => slot);
  }
  /** Ascending. */
  accountNumbers(): number[] {
    return [...this.#accounts.keys()].sort((a, b) => a - b);
  }

  begin(): Draft {
    return new Draft(this);
  }

  root(): Hash {
    return this.#root;
  }

  roots(): StateRoots {
    const part = (index: number): Hash =>
      bytesToHex(this.#parts.subarray(index * PART_BYTES, (index + 1) * PART_BYTES));
    return {
      accountsRoot: part(0),
      instrumentsRoot: part(1),
      underlyingsRoot: part(2),
      outboxRoot: part(3),
      globalsHash: part(4),
    };
  }

  proveAccount(number: number): CellProof {
    const cell = this.#accounts.get(number);
    assert(cell !== undefined, `account ${number} exists`);
    return proof(this.#accountTree, number, (writer) => writeAccount(writer, cell));
  }
  proveInstrument(number: number): CellProof {
    const cell = this.#instruments[number];
    assert(cell !== undefined, `instrument ${number} exists`);
    return proof(this.#instrumentTree, number, (writer) => writeInstrument(writer, cell));
  }
  proveUnderlying(number: number): CellProof {
    const cell = this.#underlyings[number];
    assert(cell !== undefined, `underlying ${number} exists`);
    return proof(this.#underlyingTree, number, (writer) => writeUnderlying(writer, cell));
  }
  proveOutbox(number: number): CellProof {
    const cell = this.#outbox[number];
    assert(cell !== undefined, `withdrawal ${number} exists`);
    return proof(this.#outboxTree, number, (writer) => writeOutbox(writer, cell));
  }
  /** Against the ringRoot in the account's cell. */
  proveRingSlot(account: number, nonce: number): CellProof {
    const ring = this.#rings.get(account);
    const index = nonce % RING_SLOTS;
    const slot = ring?.slots.get(index);
    assert(ring !== undefined && slot !== undefined, `ring slot ${index} of account ${account} is occupied`);
    return proof(ring.tree, index, (writer) => writeRingSlot(writer, slot));
  }
  /** Siblings of a leaf from the leaf up, whether or not a cell is there: absence is proven by the same path. */
  leafPath(tree: StateTree, index: number): Uint8Array[] {
    switch (tree) {
      case "accounts":
        return this.#accountTree.path(index);
      case "instruments":
        return this.#instrumentTree.path(index);
      case "underlyings":
        return this.#underlyingTree.path(index);
      case "outbox":
        return this.#outboxTree.path(index);
      default:
        return assertNever(tree, "state tree");
    }
  }
  /** The same for the nonce's slot in an account's order ring. */
  ringPath(account: number, nonce: number): Uint8Array[] {
    return (this.#rings.get(account)?.tree ?? EMPTY_RING).path(nonce % RING_SLOTS);
  }
  globalsBytes(): Uint8Array {
    cellWriter.reset();
    writeGlobals(cellWriter, this.#globals);
    return cellWriter.toBytes();
  }

  /** For Draft.commit and deserialiseState, which checked the changes: takes the cells over and returns the new root. */
  store(changes: StateChanges): Hash {
    this.#version++;
    if (this.#replaced !== null) this.#keepReplaced(changes, this.#replaced);
    for (const [account, slots] of changes.ringSlots) {
      const cell = changes.accounts.get(account);
      assert(cell !== undefined, "an account whose ring changes is among the changes");
      this.#storeRing(account, slots);
      cell.ringRoot = bytesToHex(hashBuffer);
    }
    for (const [number, cell] of changes.accounts) {
      this.#accounts.set(number, cell);
      cellWriter.reset();
      writeAccount(cellWriter, cell, this.#ringRootOf(number, changes));
      this.#accountTree.setCell(number, cellWriter.view());
    }
    // New instruments have consecutive numbers from instrumentCount on, in the order of their creation.
    for (const [number, cell] of changes.instruments) {
      assert(number <= this.#instruments.length, "instruments are dense");
      this.#instruments[number] = cell;
      for (const value of cell.row) if (value > this.#rowBound) this.#rowBound = value;
      cellWriter.reset();
      writeInstrument(cellWriter, cell);
      this.#instrumentTree.setCell(number, cellWriter.view());
    }
    for (const [number, cell] of changes.underlyings) {
      assert(number <= this.#underlyings.length, "underlyings are dense");
      this.#underlyings[number] = cell;
      cellWriter.reset();
      writeUnderlying(cellWriter, cell);
      this.#underlyingTree.setCell(number, cellWriter.view());
    }
    for (const cell of changes.outbox) {
      cellWriter.reset();
      writeOutbox(cellWriter, cell);
      this.#outboxTree.setCell(this.#outbox.length, cellWriter.view());
      this.#outbox.push(cell);
    }
    this.#globals = changes.globals;
    if (changes.parameters !== null) this.#parameters = changes.parameters;
    assert(this.#globals.instrumentCount === this.#instruments.length, "instrumentCount");
    assert(this.#globals.outboxCount === this.#outbox.length, "outboxCount");
    return this.#refreshRoot();
  }

  // ── rolling back ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** From here on the state can be rolled back to this moment; an earlier mark is forgotten. Costs what is stored since. */
  mark(): void {
    this.#replaced = nothingReplaced(this.#outbox.length, this.#globals, this.#parameters, this.#rowBound);
  }

  #keepReplaced(changes: StateChanges, replaced: Replaced): void {
    for (const number of changes.accounts.keys()) keepFirst(replaced.accounts, number, this.#accounts.get(number));
    for (const number of changes.instruments.keys()) keepFirst(replaced.instruments, number, this.#instruments[number]);
    for (const number of changes.underlyings.keys()) keepFirst(replaced.underlyings, number, this.#underlyings[number]);
    for (const [account, slots] of changes.ringSlots) {
      let kept = replaced.ringSlots.get(account);
      if (kept === undefined) replaced.ringSlots.set(account, (kept = new Map()));
      const ring = this.#rings.get(account);
      for (const index of slots.keys()) keepFirst(kept, index, ring?.slots.get(index));
    }
  }

  /** Back to the last mark, which stays. Root and cells are what they were then. */
  rollBack(): Hash {
    const replaced = this.#replaced;
    assert(replaced !== null, "a state that was marked");
    this.#version++;
    for (const [account, slots] of replaced.ringSlots) this.#restoreRing(account, slots);
    for (const [number, cell] of replaced.accounts) {
      if (cell === undefined) this.#accounts.delete(number);
      else this.#accounts.set(number, cell);
      restoreLeaf(this.#accountTree, number, cell, writeAccount);
    }
    for (const [number, cell] of replaced.instruments) {
      if (cell !== undefined) this.#instruments[number] = cell;
      restoreLeaf(this.#instrumentTree, number, cell, writeInstrument);
    }
    this.#instruments.length = replaced.globals.instrumentCount;
    for (const [number, cell] of replaced.underlyings) {
      assert(cell !== undefined, "underlyings are there from genesis");
      this.#underlyings[number] = cell;
      restoreLeaf(this.#underlyingTree, number, cell, writeUnderlying);
    }
    for (let number = replaced.outboxCount; number < this.#outbox.length; number++) this.#outboxTree.clearCell(number);
    this.#outbox.length = replaced.outboxCount;
    this.#globals = replaced.globals;
    this.#parameters = replaced.parameters;
    this.#rowBound = replaced.rowBound;
    this.mark();
    return this.#refreshRoot();
  }

  #restoreRing(account: number, slots: ReadonlyMap<number, RingSlot | undefined>): void {
    const ring = this.#rings.get(account);
    assert(ring !== undefined, "a ring that was stored");
    for (const [index, slot] of slots) {
      if (slot === undefined) ring.slots.delete(index);
      else ring.slots.set(index, slot);
      restoreLeaf(ring.tree, index, slot, writeRingSlot);
    }
  }

  /** As bytes, where the account's ring is among the changes: cell.ringRoot was written from it. */
  #ringRootOf(account: number, changes: StateChanges): Uint8Array | null {
    if (!changes.ringSlots.has(account)) return null;
    this.#rings.get(account)?.tree.rootInto(hashBuffer, 0);
    return hashBuffer;
  }

  /** Leaves the ring's new root in hashBuffer. */
  #storeRing(account: number, slots: ReadonlyMap<number, RingSlot>): void {
    let ring = this.#rings.get(account);
    if (ring === undefined) {
      ring = { tree: new SparseTree(RING_TREE_DEPTH), slots: new Map() };
      this.#rings.set(account, ring);
    }
    for (const [index, slot] of slots) {
      ring.slots.set(index, slot);
      cellWriter.reset();
      writeRingSlot(cellWriter, slot);
      ring.tree.setCell(index, cellWriter.view());
    }
    ring.tree.rootInto(hashBuffer, 0);
  }

  #refreshRoot(): Hash {
    this.#accountTree.rootInto(this.#parts, 0);
    this.#instrumentTree.rootInto(this.#parts, PART_BYTES);
    this.#underlyingTree.rootInto(this.#parts, 2 * PART_BYTES);
    this.#outboxTree.rootInto(this.#parts, 3 * PART_BYTES);
    cellWriter.reset();
    writeGlobals(cellWriter, this.#globals);
    const globals = cellWriter.view();
    keccak256Into(globals, 0, globals.length, this.#parts, 4 * PART_BYTES);
    this.#root = stateRootOfPacked(this.#parts);
    return this.#root;
  }
}

function proof(tree: SparseTree, index: number, write: (writer: ByteWriter) => void): CellProof {
  cellWriter.reset();
  write(cellWriter);
  return { cell: cellWriter.toBytes(), path: tree.path(index).map((sibling) => bytesToHex(sibling)) };
}
