// Stage 7: the L1 queue, from finalised blocks only, as commands. A restart reads the queue again and skips what the ledger
// has consumed; a queue that no longer contains it is a reorg below finality and stops the venue.
import { createInboundReader, type Deployment, FinalisedReorgError, type InboundReader, type L1Client } from "@tidemark/chain";
import type { InboundCommand } from "@tidemark/engine";
import { INBOUND_PER_CYCLE_MAX, type LedgerState } from "@tidemark/ledger";
import type { TimestampMs } from "@tidemark/num";

export class InboundFeed {
  readonly #reader: InboundReader;
  readonly #ledger: LedgerState;

  constructor(client: L1Client, deployment: Deployment, ledger: LedgerState) {
    this.#reader = createInboundReader(client, deployment);
    this.#ledger = ledger;
  }

  /** Commands for entries that became final since the last call. */
  async poll(timeMs: TimestampMs): Promise<InboundCommand[]> {
    const { inboundCursor, inboundHash } = this.#ledger.globals;
    const entries = await this.#reader.poll();
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
