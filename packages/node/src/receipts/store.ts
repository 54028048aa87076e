// The signed receipts of a venue on disk, found by account and nonce. One record a group: a signature covers all its receipts,
// and paths are computed when somebody asks.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { readOrder, writeOrder } from "@tidemark/engine";
import type { Hash, Order } from "@tidemark/ledger";
import { assert, ByteReader, ByteWriter, bytesToHex } from "@tidemark/num";
import {
  decodeReceipt,
  encodeReceipt,
  RECEIPT_BYTES,
  type Receipt,
  ReceiptKind,
  ReceiptTree,
} from "@tidemark/settlement";
import { type Database, open, type RootDatabase } from "lmdb";
import { ExitCode, NodeError } from "../errors.ts";

const FORMAT_VERSION = 1;
const FILE_NAME = "receipts.mdb";
const SIGNATURE_BYTES = 64;

/** What the receipts of a folder belong to. */
export interface ReceiptsIdentity {
  /** Of the orders and receipts (EIP-712). */
  separator: Hash;
  sequencer: Hash;
}

/** Everything that a claim needs besides a state. */
export interface SignedReceipt {
  receipt: Receipt;
  order: Order;
  path: Hash[];
  signature: Hash;
}

export interface ReceiptGroup {
  /** Receipts of all commands up to here are in this group or an earlier one. */
  sequence: number;
  signature: Uint8Array;
  receipts: readonly { receipt: Receipt; order: Order }[];
}

export interface ReceiptFilter {
  account?: number;
  nonce?: number;
  kind?: ReceiptKind;
}

/** [account, nonce, kind code, group, place]: the receipts of an order are neighbours, in the order in which they were signed. */
type IndexKey = [number, number, number, number, number];

function encodeGroup(group: ReceiptGroup): Uint8Array {
  const writer = new ByteWriter(64 + 128 * group.receipts.length);
  writer.u64(group.sequence).bytes(group.signature).u32(group.receipts.length);
  for (const { receipt, order } of group.receipts) {
    writer.bytes(encodeReceipt(receipt));
    writeOrder(writer, order);
  }
  return writer.toBytes();
}

function decodeGroup(bytes: Uint8Array): ReceiptGroup {
  const reader = new ByteReader(bytes);
  const sequence = reader.u64();
  const signature = reader.bytes(SIGNATURE_BYTES).slice();
  const count = reader.u32();
  const receipts = Array.from({ length: count }, () => {
    const receipt = decodeReceipt(reader.bytes(RECEIPT_BYTES));
    assert(receipt !== null, "a stored receipt decodes");
    return { receipt, order: readOrder(reader) };
  });
  reader.end();
  return { sequence, signature, receipts };
}

const damaged = (path: string, cause: unknown): NodeError =>
  new NodeError("RECEIPTS_DAMAGED", `the receipts in ${path} cannot be read`, {
    exitCode: ExitCode.environment,
    cause,
  });

export class ReceiptStore {
  readonly #root: RootDatabase<Buffer, string>;
  readonly #groups: Database<Buffer, number>;
  readonly #index: Database<Buffer, IndexKey>;
  readonly #path: string;
  #nextGroup: number;
  /** Resolves when everything put so far is on disk. */
  #stored: Promise<unknown> = Promise.resolve();

  private constructor(path: string, readOnly: boolean) {
    this.#path = path;
    // overlappingSync would let a commit be seen before the disk has it.
    this.#root = open<Buffer, string>({
      path,
      noSubdir: true,
      encoding: "binary",
      overlappingSync: false,
      eventTurnBatching: false,
      readOnly,
      maxDbs: 4,
    });
    this.#groups = this.#root.openDB<Buffer, number>({ name: "groups", encoding: "binary" });
    this.#index = this.#root.openDB<Buffer, IndexKey>({ name: "index", encoding: "binary" });
    this.#nextGroup = (this.#lastGroup() ?? 0) + 1;
  }

  /** Creates the folder's store or continues it. @throws NodeError RECEIPTS_MISMATCH when it is another sequencer's */
  static openToWrite(folder: string, identity: ReceiptsIdentity): ReceiptStore {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, FILE_NAME);
    const isNew = !existsSync(path);
    const store = new ReceiptStore(path, false);
    if (isNew) syncFolder(folder);
    const known = store.#root.get("identity");
    const wanted = JSON.stringify({ formatVersion: FORMAT_VERSION, ...identity });
    if (known === undefined) store.#root.putSync("identity", Buffer.from(wanted));
    else if (known.toString("utf8") !== wanted) {
      void store.#root.close();
      throw new NodeError("RECEIPTS_MISMATCH", `the receipts in ${folder} are of another venue or sequencer`, {
        exitCode: ExitCode.environment,
        context: { known: known.toString("utf8"), wanted },
      });
    }
    return store;
  }

  /** @throws NodeError NO_RECEIPTS when the folder has none */
  static openToRead(folder: string): ReceiptStore {
    const path = join(folder, FILE_NAME);
    if (!existsSync(path)) throw new NodeError("NO_RECEIPTS", `no receipts in ${folder}`, { exitCode: ExitCode.usage });
    try {
      return new ReceiptStore(path, true);
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  #lastGroup(): number | null {
    for (const key of this.#groups.getKeys({ start: Number.MAX_SAFE_INTEGER, reverse: true, limit: 1 })) return key;
    return null;
  }

  /** Receipts of all commands up to this one are stored; 0 for an empty store. */
  get sequence(): number {
    const last = this.#lastGroup();
    const noted = Number(this.#root.get("sequence")?.toString("utf8") ?? 0);
    return Math.max(noted, last === null ? 0 : this.#group(last).sequence);
  }

  /** Rejects when the disk refused; also `stored` does then. */
  put(group: ReceiptGroup): Promise<unknown> {
    const number = this.#nextGroup++;
    const bytes = Buffer.from(encodeGroup(group));
    this.#stored = this.#root.transaction(() => {
      this.#groups.put(number, bytes);
      group.receipts.forEach(({ receipt }, place) => {
        const { account, nonce, kind } = receipt;
        this.#index.put([account, nonce, ReceiptKind[kind], number, place], EMPTY);
      });
    });
    return this.#stored;
  }

  /** States that no later group holds receipts of commands up to here. */
  putSequence(sequence: number): Promise<unknown> {
    this.#stored = this.#root.put("sequence", Buffer.from(String(sequence)));
    return this.#stored;
  }

  stored(): Promise<unknown> {
    return this.#stored;
  }

  #group(number: number): ReceiptGroup {
    const bytes = this.#groups.get(number);
    assert(bytes !== undefined, `receipt group ${number} is stored`);
    try {
      return decodeGroup(bytes);
    } catch (cause) {
      throw damaged(this.#path, cause);
    }
  }

  count(): { groups: number; receipts: number } {
    return { groups: this.#groups.getCount(), receipts: this.#index.getCount() };
  }

  /** Numbers of receipts by kind. */
  countByKind(): Record<ReceiptKind, number> {
    const counts = { fill: 0, cancel: 0 };
    for (const [, , code] of this.#index.getKeys()) counts[code === ReceiptKind.fill ? "fill" : "cancel"]++;
    return counts;
  }

  /** By account, nonce and kind, then in the order in which they were signed. */
  *read(filter: ReceiptFilter = {}): Generator<SignedReceipt, void, undefined> {
    const { account, nonce, kind } = filter;
    const from: number[] = account === undefined ? [] : nonce === undefined ? [account] : [account, nonce];
    const trees = new Map<number, { group: ReceiptGroup; tree: ReceiptTree }>();
    for (const key of this.#index.getKeys(from.length === 0 ? {} : { start: from as unknown as IndexKey })) {
      const [ofAccount, ofNonce, code, number, place] = key;
      if (account !== undefined && ofAccount !== account) break;
      if (account !== undefined && nonce !== undefined && ofNonce !== nonce) break;
      if ((nonce !== undefined && ofNonce !== nonce) || (kind !== undefined && code !== ReceiptKind[kind])) continue;
      let found = trees.get(number);
      if (found === undefined) {
        const group = this.#group(number);
        found = { group, tree: new ReceiptTree(group.receipts.map(({ receipt }) => encodeReceipt(receipt))) };
        trees.set(number, found);
      }
      const signed = found.group.receipts[place];
      assert(signed !== undefined, "the index points into its group");
      yield { ...signed, path: found.tree.path(place), signature: bytesToHex(found.group.signature) };
    }
  }

  /** Removes the oldest groups whose receipts were all due before, at most so many. Answers with how many went. */
  async prune(beforeMs: number, groupsMax: number): Promise<number> {
    const old: [number, ReceiptGroup][] = [];
    for (const number of this.#groups.getKeys({ limit: groupsMax })) {
      const group = this.#group(number);
      if (group.receipts.some(({ receipt }) => receipt.deadlineMs >= beforeMs)) break;
      old.push([number, group]);
    }
    this.#stored = this.#root.transaction(() => {
      for (const [number, { receipts }] of old) {
        this.#groups.remove(number);
        receipts.forEach(({ receipt: { account, nonce, kind } }, place) => {
          this.#index.remove([account, nonce, ReceiptKind[kind], number, place]);
        });
      }
    });
    await this.#stored;
    return old.length;
  }

  /** A copy that another process may open. */
  async copyTo(folder: string): Promise<void> {
    await this.#stored;
    mkdirSync(folder, { recursive: true });
    await this.#root.backup(join(folder, FILE_NAME), true);
  }

  async close(): Promise<void> {
    await this.#stored.catch(() => undefined);
    await this.#root.close();
  }
}

const EMPTY = Buffer.alloc(0);

/** A new file survives a power failure only when its folder's entry is on disk too. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
