// The durable side of the transaction outbox. A write returns when it is on disk.

import { assert } from "@tidemark/num";
import { type Database, open, type RootDatabase } from "lmdb";
import type { Address, Hex } from "viem";
import { ChainError } from "./errors.ts";

export interface IntentRequest {
  to: Address;
  data: Hex;
  /** Decimal, because a store of JSON has no bigint. */
  valueWei: string;
  gas: string;
  /** Data that travel in the transaction's one blob (docs/spec/settlement.md, Blobs). */
  blobData?: Hex;
}

export interface Attempt {
  hash: Hex;
  raw: Hex;
  maxFeePerGas: string;
  maxPriorityFeePerGas: string;
  /** Of a blob transaction. */
  maxFeePerBlobGas?: string;
  sentAtBlock: number;
}

export interface Inclusion {
  transactionHash: Hex;
  blockNumber: number;
  blockHash: Hex;
  reverted: boolean;
  gasUsed: number;
}

export interface Intent {
  id: string;
  nonce: number;
  /** Data are dropped once the intent is settled. */
  request: IntentRequest;
  attempts: Attempt[];
  inclusion: Inclusion | null;
  /** Included in a finalised block: never looked at again. */
  settled: boolean;
  /** What a node last said against it. */
  lastRefusal: string | null;
  /** Attempts of before the intent was cancelled; absent while it is wanted. */
  attemptsCancelled?: number;
}

export interface OutboxStore {
  get(id: string): Intent | undefined;
  /** By nonce. */
  unsettled(): Intent[];
  /** Gives the intent the next free nonce, at least `chainNonce`. */
  add(id: string, request: IntentRequest, chainNonce: number): Intent;
  addAttempt(intent: Intent, attempt: Attempt): void;
  put(intent: Intent): void;
  settle(intent: Intent): void;
  close(): Promise<void>;
}

const FORMAT_VERSION = 1;

interface StoreIdentity {
  formatVersion: number;
  chainId: number;
  address: Address;
}

class LmdbOutboxStore implements OutboxStore {
  readonly #root: RootDatabase;
  readonly #intents: Database<Intent, string>;
  readonly #meta: Database<unknown, string>;
  /** The unsettled ones; a settled intent is only on disk. */
  readonly #open = new Map<string, Intent>();

  constructor(path: string, identity: StoreIdentity) {
    // overlappingSync would let a commit return before the disk has it.
    this.#root = open({ path, encoding: "json", overlappingSync: false, eventTurnBatching: false });
    this.#intents = this.#root.openDB<Intent, string>({ name: "intents", encoding: "json" });
    this.#meta = this.#root.openDB<unknown, string>({ name: "meta", encoding: "json" });
    const stored = this.#meta.get("identity") as StoreIdentity | undefined;
    if (stored === undefined) this.#meta.putSync("identity", identity);
    else this.#checkIdentity(stored, identity, path);
    for (const { value } of this.#intents.getRange()) if (!value.settled) this.#open.set(value.id, value);
  }

  #checkIdentity(stored: StoreIdentity, expected: StoreIdentity, path: string): void {
    for (const name of ["formatVersion", "chainId", "address"] as const) {
      if (stored[name] === expected[name]) continue;
      void this.#root.close();
      const context = { path, field: name, stored: stored[name], expected: expected[name] };
      throw new ChainError("L1_INCONSISTENT", `the transaction outbox at ${path} belongs to another ${name}`, {
        context,
      });
    }
  }

  get(id: string): Intent | undefined {
    return this.#open.get(id) ?? this.#intents.get(id);
  }

  unsettled(): Intent[] {
    return [...this.#open.values()].sort((a, b) => a.nonce - b.nonce);
  }

  add(id: string, request: IntentRequest, chainNonce: number): Intent {
    const intent = this.#root.transactionSync(() => {
      assert(this.#intents.get(id) === undefined, `intent ${id} is new`);
      const nonce = Math.max(chainNonce, (this.#meta.get("nextNonce") as number | undefined) ?? 0);
      const added: Intent = { id, nonce, request, attempts: [], inclusion: null, settled: false, lastRefusal: null };
      void this.#intents.put(id, added);
      void this.#meta.put("nextNonce", nonce + 1);
      return added;
    });
    this.#open.set(id, intent);
    return intent;
  }

  addAttempt(intent: Intent, attempt: Attempt): void {
    intent.attempts.push(attempt);
    this.put(intent);
  }

  put(intent: Intent): void {
    this.#intents.putSync(intent.id, intent);
  }

  settle(intent: Intent): void {
    intent.settled = true;
    intent.request.data = "0x";
    delete intent.request.blobData;
    for (const attempt of intent.attempts) attempt.raw = "0x";
    this.put(intent);
    this.#open.delete(intent.id);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

export function openOutboxStore(path: string, chainId: number, address: Address): OutboxStore {
  return new LmdbOutboxStore(path, { formatVersion: FORMAT_VERSION, chainId, address });
}
