// Signs what the sequencer promised: off the order path, one signature for each group that the disk has taken.
import type { Command, Engine } from "@tidemark/engine";
import { domainSeparator, type LedgerState, ORDER_LIFETIME_MAX_MS, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { encodeReceipt, ReceiptTree, receiptsHash } from "@tidemark/settlement";
import type { Signer } from "../signatures/port.ts";
import { ReceiptBook } from "./book.ts";
import type { Exposure } from "./exposure.ts";
import { ReceiptStore } from "./store.ts";

/** Longer than any order lives, so that every cancel is on the shelf as long as it can be broken. */
const KEPT_MS = ORDER_LIFETIME_MAX_MS + 7 * 24 * 3_600_000;
const PRUNED_AT_ONCE = 1_024;

export interface ReceiptDeskOptions {
  folder: string;
  parameters: ParameterSet;
  ledger: () => LedgerState;
  signer: Signer;
  /** The sequencer's own key. */
  privateKey: Uint8Array;
  exposure: Exposure;
  onFailure: (error: Error) => void;
}

export interface ReceiptCounts {
  fills: number;
  cancels: number;
  groups: number;
  /** Of this life: time spent on trees and signatures. */
  signingMicros: number;
}

export class ReceiptDesk {
  readonly #options: ReceiptDeskOptions;
  readonly #separator: Uint8Array;
  readonly #book: ReceiptBook;
  readonly #store: ReceiptStore;
  /** Receipts of commands up to here were stored by an earlier life. */
  readonly #storedSequence: number;
  readonly counts: ReceiptCounts = { fills: 0, cancels: 0, groups: 0, signingMicros: 0 };
  #due: ReturnType<ReceiptBook["take"]> = [];

  constructor(options: ReceiptDeskOptions) {
    this.#options = options;
    const { parameters, signer, privateKey } = options;
    this.#separator = domainSeparator(parameters);
    this.#book = new ReceiptBook(parameters, options.ledger, (cycle, notional) =>
      options.exposure.add(cycle, notional),
    );
    this.#store = ReceiptStore.openToWrite(options.folder, {
      separator: bytesToHex(this.#separator),
      sequencer: signer.addressOf(privateKey),
    });
    this.#storedSequence = this.#store.sequence;
    const { fill, cancel } = this.#store.countByKind();
    Object.assign(this.counts, { fills: fill, cancels: cancel, groups: this.#store.count().groups });
  }

  /** A recovery must begin at or before this command, so that no receipt stays unsigned. */
  get storedSequence(): number {
    return this.#storedSequence;
  }
  get book(): ReceiptBook {
    return this.#book;
  }

  restore(engine: Engine): void {
    this.#book.restore(engine);
  }

  begin(sequence: number, command: Command): void {
    this.#book.begin(sequence, command);
  }

  #count(kind: "fill" | "cancel"): void {
    if (kind === "fill") this.counts.fills++;
    else this.counts.cancels++;
  }

  /** Everything up to `sequence` is on disk: its receipts are signed together. */
  release(sequence: number): void {
    const made = this.#book.take();
    const due = this.#due.length === 0 ? made : this.#due.concat(made);
    let count = 0;
    while (count < due.length && (due[count]?.sequence ?? 0) <= sequence) count++;
    this.#due = count === due.length ? [] : due.slice(count);
    // A replay makes receipts again that an earlier life has stored.
    const receipts = due.slice(0, count).filter((receipt) => receipt.sequence > this.#storedSequence);
    if (receipts.length === 0) return;
    const started = performance.now();
    const { parameters, signer, privateKey, onFailure } = this.#options;
    const tree = new ReceiptTree(receipts.map(({ receipt }) => encodeReceipt(receipt)));
    const digest = receiptsHash(parameters.domain, tree.root, this.#separator);
    const signature = signer.signCompact(digest, privateKey);
    this.counts.signingMicros += Math.round((performance.now() - started) * 1_000);
    this.counts.groups++;
    for (const { receipt } of receipts) this.#count(receipt.kind);
    this.#store.put({ sequence, signature, receipts }).catch((cause: unknown) => {
      onFailure(cause instanceof Error ? cause : new Error(String(cause)));
    });
  }

  /** Receipts of all commands up to here were released: a recovery may begin behind it. Very old ones go. */
  async checkpoint(sequence: number, timeMs: number): Promise<void> {
    await this.#store.putSequence(sequence);
    await this.#store.prune(timeMs - KEPT_MS, PRUNED_AT_ONCE);
  }

  /** Resolves when all that was signed is on disk. */
  stored(): Promise<unknown> {
    return this.#store.stored();
  }

  copyTo(folder: string): Promise<void> {
    return this.#store.copyTo(folder);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
