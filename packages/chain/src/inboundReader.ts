// Reads the L1 queue. What the venue credits comes from finalised blocks only; the hash chain proves that nothing is
// missing, and the last finalised block's hash that nothing final changed.
import { type Hash, inboundHashNext, ZERO_HASH } from "@tidemark/ledger";
import { hexToBytes } from "@tidemark/num";
import type { QueueEntry } from "@tidemark/settlement";
import { parseAbiItem } from "viem";
import { eachBlockRange, type L1Block, type L1Client, readBlock, readExistingBlock } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, FinalisedReorgError, l1Call } from "./errors.ts";

const INBOUND_QUEUED = parseAbiItem(
  "event InboundQueued(uint64 indexed index, bytes entry, bytes32 queueHash, uint64 queuedAt)",
);

/** Entries queued in the blocks `fromBlock` … `toBlock`, as the node lists them. Nothing is checked here. */
export async function readQueueEntries(
  client: L1Client,
  deployment: Deployment,
  fromBlock: number,
  toBlock: number,
): Promise<QueueEntry[]> {
  const entries: QueueEntry[] = [];
  await eachBlockRange(fromBlock, toBlock, async (from, to) => {
    const logs = await l1Call("inbound queue", () =>
      client.getLogs({
        address: deployment.custody,
        event: INBOUND_QUEUED,
        fromBlock: from,
        toBlock: to,
        strict: true,
      }),
    );
    for (const { args, blockNumber } of logs) {
      entries.push({
        index: Number(args.index),
        bytes: hexToBytes(args.entry),
        queueHash: args.queueHash,
        queuedAtSeconds: Number(args.queuedAt),
        blockNumber: Number(blockNumber),
      });
    }
  });
  return entries;
}

/** Where a reader stands; small and JSON-able, so that the venue can keep it beside its journal. */
export interface InboundCursor {
  /** Index of the next entry. */
  nextIndex: number;
  /** Queue hash before it. */
  queueHash: Hash;
  /** Last finalised block that was read; number −1 and a zero hash before the first. */
  finalisedNumber: number;
  finalisedHash: Hash;
}

export interface InboundReader {
  readonly cursor: Readonly<InboundCursor>;
  /**
   * New entries of finalised blocks, in order.
   * @throws FinalisedReorgError when a block that was final has changed; QUEUE_BROKEN when entries do not chain.
   */
  poll(): Promise<QueueEntry[]>;
}

async function checkRemembered(client: L1Client, cursor: InboundCursor): Promise<void> {
  if (cursor.finalisedNumber < 0) return;
  const block = await readBlock(client, cursor.finalisedNumber);
  if (block === null) {
    const context = { block: cursor.finalisedNumber };
    throw new ChainError("L1_BEHIND", `the L1 node is behind block ${cursor.finalisedNumber}, which was final`, {
      context,
      retryable: true,
    });
  }
  if (block.hash !== cursor.finalisedHash) {
    throw new FinalisedReorgError(cursor.finalisedNumber, cursor.finalisedHash, block.hash);
  }
}

function advance(cursor: InboundCursor, entries: readonly QueueEntry[], finalised: L1Block): InboundCursor {
  let { nextIndex, queueHash } = cursor;
  for (const entry of entries) {
    const expected = inboundHashNext(queueHash, entry.bytes);
    if (entry.index !== nextIndex || entry.queueHash !== expected) {
      throw new ChainError("QUEUE_BROKEN", `queue entry ${entry.index} does not continue the queue at ${nextIndex}`, {
        context: { index: entry.index, expectedIndex: nextIndex, queueHash: entry.queueHash, expected },
      });
    }
    nextIndex++;
    queueHash = expected;
  }
  return { nextIndex, queueHash, finalisedNumber: finalised.number, finalisedHash: finalised.hash };
}

/** `resume` continues where an earlier reader stood; its cursor must have been stored with what it delivered. */
export function createInboundReader(client: L1Client, deployment: Deployment, resume?: InboundCursor): InboundReader {
  let cursor: InboundCursor = resume ?? {
    nextIndex: 0,
    queueHash: ZERO_HASH,
    finalisedNumber: -1,
    finalisedHash: ZERO_HASH,
  };
  return {
    get cursor() {
      return cursor;
    },
    async poll() {
      const finalised = await readExistingBlock(client, "finalized");
      await checkRemembered(client, cursor);
      if (finalised.number <= cursor.finalisedNumber) return [];
      const from = Math.max(deployment.deployedAtBlock, cursor.finalisedNumber + 1);
      const entries = await readQueueEntries(client, deployment, from, finalised.number);
      // The cursor moves last: a poll that fails is repeated from the same place.
      cursor = advance(cursor, entries, finalised);
      return entries;
    },
  };
}
