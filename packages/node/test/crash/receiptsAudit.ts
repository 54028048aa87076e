// What a killed venue's receipts are compared with: those that an independent engine makes from the journal's first command on.
import { decodeCommand, Engine, type EngineOptions, silentSink } from "@tidemark/engine";
import { type JournalReader, replay } from "@tidemark/journal";
import { domainSeparator } from "@tidemark/ledger";
import { hexToBytes } from "@tidemark/num";
import { receiptRoot, receiptsHash } from "@tidemark/settlement";
import { expect } from "vitest";
import { type DueReceipt, ReceiptBook } from "../../src/receipts/book.ts";
import { ReceiptStore } from "../../src/receipts/store.ts";
import { signer } from "../../src/signatures/signer.ts";
import { receiptsFolder, SEQUENCER_KEY } from "./venueParameters.mjs";

const textOf = (value: unknown): string => JSON.stringify(value);

/** Every receipt up to the store's cursor is there exactly once and signed, and no other. Answers with how many there are. */
export async function auditReceipts(reader: JournalReader, directory: string, options: EngineOptions): Promise<number> {
  const engine = Engine.create(options);
  const book = new ReceiptBook(options.parameters, () => engine.ledger);
  const made: DueReceipt[] = [];
  replay(reader, {}, (sequence, bytes) => {
    const command = decodeCommand(bytes);
    book.begin(sequence, command);
    engine.apply(command, { ...silentSink, ...book.events });
    made.push(...book.take());
  });
  const store = ReceiptStore.openToRead(receiptsFolder(directory));
  try {
    const { sequence } = store;
    // Nothing is promised that the disk does not have.
    expect(sequence).toBeLessThanOrEqual(reader.lastSequence());
    const expected = made.filter((due) => due.sequence <= sequence);
    const stored = [...store.read()];
    const separator = domainSeparator(options.parameters);
    const sequencer = signer.addressOf(SEQUENCER_KEY);
    for (const { receipt, path, signature } of stored) {
      const root = receiptRoot(receipt, path);
      const digest = receiptsHash(receipt.domain, root as Uint8Array, separator);
      expect(signer.recoverAddress(digest, hexToBytes(signature))).toBe(sequencer);
    }
    const contents = (list: readonly { receipt: unknown; order: unknown }[]): string[] =>
      list.map(({ receipt, order }) => textOf([receipt, order])).sort();
    expect(contents(stored)).toEqual(contents(expected));
    return stored.length;
  } finally {
    await store.close();
  }
}
