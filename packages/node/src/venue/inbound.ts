// Stage 7: the L1 queue, from finalised blocks only, as commands. A restart reads the queue again and skips what the ledger
// has consumed; an L1 that no longer has the last finalised block that was read stops the venue, in this life or the next.
import {
  createInboundReader,
  type Deployment,
  FinalisedReorgError,
  type InboundReader,
  type L1Client,
  readBlock,
} from "@tidemark/chain";
import type { InboundCommand } from "@tidemark/engine";
import { INBOUND_PER_CYCLE_MAX, type LedgerState } from "@tidemark/ledger";
import type { TimestampMs } from "@tidemark/num";
import { z } from "zod";
import { readJsonFile, writeFileWhole } from "../dataFolder.ts";

const finalisedFileSchema = z.object({ number: z.number().int(), hash: z.string() });

export class InboundFeed {
  readonly #reader: InboundReader;
  readonly #ledger: LedgerState;
  readonly #client: L1Client;
  /** Holds the last finalised block that was read, from before anything in it was consumed. */
  readonly #file: string;
  #isChecked = false;

  constructor(client: L1Client, deployment: Deployment, ledger: LedgerState, file: string) {
    this.#reader = createInboundReader(client, deployment);
    this.#ledger = ledger;
    this.#client = client;
    this.#file = file;
  }

  async #checkEarlierLife(): Promise<void> {
    const known = readJsonFile(this.#file, finalisedFileSchema);
    if (known !== null) {
      const block = await readBlock(this.#client, known.number);
      if (block?.hash !== known.hash) throw new FinalisedReorgError(known.number, known.hash, block?.hash ?? "missing");
    }
    this.#isChecked = true;
  }

  /** @throws FinalisedReorgError when the last finalised block that was read has changed */
  async checkFinalised(): Promise<void> {
    const { finalisedNumber, finalisedHash } = this.#reader.cursor;
    if (finalisedNumber < 0) return;
    const block = await readBlock(this.#client, finalisedNumber);
    if (block !== null && block.hash !== finalisedHash)
      throw new FinalisedReorgError(finalisedNumber, finalisedHash, block.hash);
  }

  #remember(): void {
    const { finalisedNumber, finalisedHash } = this.#reader.cursor;
    writeFileWhole(this.#file, JSON.stringify({ number: finalisedNumber, hash: finalisedHash }));
  }

  /** Commands for entries that became final since the last call. */
  async poll(timeMs: TimestampMs): Promise<InboundCommand[]> {
    const { inboundCursor, inboundHash } = this.#ledger.globals;
    if (!this.#isChecked) await this.#checkEarlierLife();
    const before = this.#reader.cursor.finalisedNumber;
    const entries = await this.#reader.poll();
    if (this.#reader.cursor.finalisedNumber !== before) this.#remember();
    for (const { index, queueHash } of entries) {
      if (index + 1 === inboundCursor && queueHash !== inboundHash) {
        throw new FinalisedReorgError(this.#reader.cursor.finalisedNumber, inboundHash, queueHash);
      }
    }
    const fresh = entries.filter(({ index }) => index >= inboundCursor).map(({ bytes }) => bytes);
    const commands: InboundCommand[] = [];
    for (let i = 0; i < fresh.length; i += INBOUND_PER_CYCLE_MAX) {
      commands.push({ kind: "inbound", timeMs, entries: fresh.slice(i, i + INBOUND_PER_CYCLE_MAX) });
    }
    return commands;
  }
}
