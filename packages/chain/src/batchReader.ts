// Reads posted batches: events of the batch chain, and the data from the calldata of their transactions.
import { hexToBytes } from "@tidemark/num";
import { type BatchHeader, DATA_MODE_BLOB, decodePost, type PostedBatch } from "@tidemark/settlement";
import { type Address, type Hex, parseAbi } from "viem";
import { eachBlockRange, type L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, l1Call } from "./errors.ts";

const EVENTS = parseAbi([
  "event BatchPosted(uint64 indexed number, bytes32 indexed batchHash, bytes32 postStateRoot, uint64 floor, address proposer)",
  "event BatchesDropped(uint64 indexed number, uint64 lastNumber, address beneficiary)",
  "event BatchProven(uint64 indexed number, uint64 provenAt)",
]);

/** A BatchPosted event; the data are read on demand. */
export interface BatchEvent {
  number: number;
  batchHash: Hex;
  postStateRoot: Hex;
  floorSeconds: number;
  proposer: Address;
  /** Affirmed as a whole: the finality policy lets it be final before its floor. */
  isProven: boolean;
  blockNumber: number;
  blockHash: Hex;
  transactionHash: Hex;
}

/** Batches that a conviction took out of the chain: the convicted one first, then its descendants. */
export interface DroppedBatches {
  batches: BatchEvent[];
  blockNumber: number;
  transactionHash: Hex;
}

/**
 * Applies the events of blocks `fromBlock` … `toBlock` to `known` (batches 1, 2, … of the chain before): dropped batches
 * leave the list, posted ones join it.
 * @throws ChainError L1_INCONSISTENT when the events leave a gap.
 */
export async function readBatchEvents(
  client: L1Client,
  deployment: Deployment,
  fromBlock: number,
  toBlock: number,
  known: readonly BatchEvent[] = [],
  onDropped: (dropped: DroppedBatches) => void = () => undefined,
): Promise<BatchEvent[]> {
  const batches = [...known];
  await eachBlockRange(fromBlock, toBlock, async (from, to) => {
    const logs = await l1Call("batch events", () =>
      client.getLogs({ address: deployment.batchChain, events: EVENTS, fromBlock: from, toBlock: to, strict: true }),
    );
    for (const log of logs) {
      const number = Number(log.args.number);
      if (log.eventName === "BatchesDropped") {
        const dropped = batches.splice(number - 1);
        const { blockNumber, transactionHash } = log;
        onDropped({ batches: dropped, blockNumber: Number(blockNumber), transactionHash });
        continue;
      }
      if (log.eventName === "BatchProven") {
        const proven = batches[number - 1];
        if (proven !== undefined) batches[number - 1] = { ...proven, isProven: true };
        continue;
      }
      if (number !== batches.length + 1) {
        const context = { number, expected: batches.length + 1 };
        throw new ChainError("L1_INCONSISTENT", `the L1 lists batch ${number} after ${batches.length}`, {
          context,
          retryable: true,
        });
      }
      batches.push({
        number,
        batchHash: log.args.batchHash,
        postStateRoot: log.args.postStateRoot,
        floorSeconds: Number(log.args.floor),
        proposer: log.args.proposer,
        isProven: false,
        blockNumber: Number(log.blockNumber),
        blockHash: log.blockHash,
        transactionHash: log.transactionHash,
      });
    }
  });
  return batches;
}

/** The blob that the header names, for a batch that is in one. @throws ChainError BLOB_UNREADABLE */
async function blobOf(
  client: L1Client,
  calldata: Uint8Array,
  blockTimestampSeconds: number,
): Promise<Uint8Array | null> {
  const { header } = decodePost(calldata, null) as { header?: BatchHeader | null };
  if (header?.dataMode !== DATA_MODE_BLOB) return null;
  return client.blobs.read({ versionedHash: header.dataHash, blockTimestampSeconds });
}

/** @throws ChainError BATCH_UNREADABLE when the node does not have the transaction (any more): look at the chain again. */
export async function readPostedBatch(client: L1Client, event: BatchEvent): Promise<PostedBatch> {
  const { blockHash, transactionHash } = event;
  try {
    const [transaction, block] = await Promise.all([
      client.getTransaction({ hash: transactionHash }),
      client.getBlock({ blockHash }),
    ]);
    const calldata = hexToBytes(transaction.input);
    const blockTimestampSeconds = Number(block.timestamp);
    return {
      number: event.number,
      batchHash: event.batchHash,
      calldata,
      blob: await blobOf(client, calldata, blockTimestampSeconds),
      floorSeconds: event.floorSeconds,
      blockNumber: event.blockNumber,
      blockHash,
      blockTimestampSeconds,
      transactionHash,
    };
  } catch (cause) {
    if (cause instanceof ChainError) throw cause;
    const context = { batch: event.number, transactionHash, blockHash };
    throw new ChainError("BATCH_UNREADABLE", `the L1 node does not show the data of batch ${event.number}`, {
      context,
      cause,
      retryable: true,
    });
  }
}
