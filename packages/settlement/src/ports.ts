// What settlement needs of the world. Adapters are in the chain package (L1) and the node (cycle store).
import type { Hash } from "@tidemark/ledger";
import type { Batch } from "./batch.ts";
import type { ClaimArguments } from "./claims.ts";
import type { BatchTip } from "./propose.ts";

/** One entry of the L1 queue. */
export interface QueueEntry {
  index: number;
  bytes: Uint8Array;
  /** Queue hash after this entry. */
  queueHash: Hash;
  queuedAtSeconds: number;
  blockNumber: number;
}

/** A batch as the L1 shows it. `calldata` is what was sent in the transaction; nothing of it is trusted. */
export interface PostedBatch {
  number: number;
  /** From the event of the batch chain. */
  batchHash: Hash;
  calldata: Uint8Array;
  /** The transaction's first blob, shown to have the versioned hash that the transaction names; null where it has none. */
  blob: Uint8Array | null;
  floorSeconds: number;
  blockNumber: number;
  blockHash: Hash;
  blockTimestampSeconds: number;
  transactionHash: Hash;
}

/** A closed cycle from the venue's store. */
export interface SourceCycle {
  index: number;
  /** Kind code of the ledger. */
  kind: number;
  timeMs: number;
  payload: Uint8Array;
  postRoot: Hash;
  /** Engine fills that it settles; engine commands since the cycle before; netted changes. */
  fills: number;
  messages: number;
  settledDeltas: number;
}

export interface CycleSource {
  /** Number of closed cycles: indices 0 … count − 1 can be read. */
  count(): number | Promise<number>;
  read(firstIndex: number, countMax: number): readonly SourceCycle[] | Promise<readonly SourceCycle[]>;
}

/** The batch chain as a proposer sees it now. */
export interface ChainView {
  /** Time of the latest L1 block. A transaction is included in a later one, so what its time allows is allowed. */
  timestampSeconds: number;
  /** What the next batch continues: the last batch posted or on its way. */
  tip: BatchTip;
  /** A batch on the L1 that is not of the venue's own cycles: nothing is posted on top of it. */
  foreign: { number: number; detail: string } | null;
  /** How many batches in a row, from the next one on, are ours to post: others may have the turns. */
  turns: number;
  /** Batches on their way into a block. */
  inFlight: number;
  lastNumber: number;
  lastFinal: number;
  /** Batches of the venue's own cycles that are not final, oldest first; without those whose finalisation is on its way. */
  waiting: readonly { number: number; floorSeconds: number }[];
}

/** The L1 as the proposer uses it. Sending only makes an intent durable: what became of it shows in a later view. */
export interface ChainPort {
  view(): Promise<ChainView>;
  post(batch: Batch, cycles: readonly SourceCycle[]): Promise<void>;
  finalise(batchNumber: number): Promise<void>;
  claim(claim: ClaimArguments): Promise<void>;
}
