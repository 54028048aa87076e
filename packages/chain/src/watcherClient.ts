// The watcher's I/O: feeds the core with what one L1 shows, notices reorgs, and answers with a verdict.
import { assert } from "@tidemark/num";
import {
  type ClaimArguments,
  claimsOfBatch,
  createWatcher,
  type PostedBatch,
  type QueueEntry,
  type Watcher,
  type WatcherCheckpoint,
  type WatcherPorts,
  type WatcherVerdict,
} from "@tidemark/settlement";
import { type BatchEvent, readBatchEvents, readPostedBatch } from "./batchReader.ts";
import type { BlobOptions } from "./blobReader.ts";
import { keepCheckpoint, readCheckpoint } from "./checkpointStore.ts";
import { connectL1, type L1Block, type L1Client, readBlock, readExistingBlock } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { checkDeployment } from "./deploymentCheck.ts";
import type { ChallengeReport, DisputeClient } from "./disputeClient.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";
import { readQueueEntries } from "./inboundReader.ts";
import { deferredKzg } from "./kzg.ts";
import { type RunOptions, runRounds } from "./proposer.ts";

export interface WatchStatus extends WatcherVerdict {
  /** What is done about the fault; null without a fault or without a key to challenge with. */
  challenge: ChallengeReport | null;
  /** Batches that were found wrong, challenged or not, and that the L1 no longer has. */
  batchesDropped: number;
  headNumber: number;
  /** Batches that the L1 holds; those not compared yet follow in the next rounds. */
  batchesPosted: number;
  batchesFinal: number;
  /** Times that the comparison began again, at a checkpoint or at genesis, because an L1 reorg changed what had been compared. */
  restarts: number;
  /** Batches up to this one were compared in an earlier life; 0 = none. */
  resumedAt: number;
  /** Why the last checkpoint could not be kept; the watch goes on without it. */
  checkpointFailure: string | null;
}

export interface WatcherClient {
  /** Compares what is new. A fault is repeated, and challenged where there is a key, until its batch is gone. */
  tick(): Promise<WatchStatus>;
  run(options: Omit<RunOptions, "onStatus"> & { onStatus?: (status: WatchStatus) => void }): Promise<void>;
  readonly core: Watcher;
  /** The batch at fault, as the L1 holds it. */
  readonly faulty: BatchEvent | null;
  /** A batch that the L1 holds; null when it has none of that number. */
  event(batch: number): BatchEvent | null;
  /**
   * Claims of the withdrawals met so far, by withdrawal number: each is good once the batch it names is final.
   * Empty unless `claims` was asked for.
   */
  readonly claims: readonly ClaimArguments[];
}

export interface WatcherClientOptions {
  client: L1Client;
  deployment: Deployment;
  ports: WatcherPorts;
  /** Builds the claim of every withdrawal on the way: 32 hashes each. */
  collectClaims?: boolean;
  /** Challenges what is wrong. Without one a fault is only told. */
  dispute?: DisputeClient;
  /** Compares no later batch; absent = all. */
  lastBatch?: number;
  /** Folder of checkpoints; without one every life begins at genesis. Not together with `collectClaims`. */
  checkpoints?: string;
  /** Most batches compared in one round, so that a status appears now and then. */
  batchesPerRound?: number;
}

const BATCHES_PER_ROUND = 32;
/** A checkpoint writes the whole state. */
const BATCHES_PER_CHECKPOINT = 32;

/** Everything that is thrown away when the L1 replaced something that was compared. */
interface Comparison {
  core: Watcher;
  queue: QueueEntry[];
  events: BatchEvent[];
  scanned: L1Block | null;
  claims: ClaimArguments[];
  /** The batch at fault. */
  faulty: FaultyBatch | null;
}

interface FaultyBatch {
  event: BatchEvent;
  /** Asked for once: it re-executes the batch. */
  accused: ReturnType<Watcher["accuse"]> | null;
  report: ChallengeReport | null;
}

function freshComparison(
  deployment: Deployment,
  ports: WatcherPorts,
  from: WatcherCheckpoint | null = null,
): Comparison {
  const core = createWatcher(deployment.parameters, { kzg: deferredKzg, ...ports }, from);
  return { core, queue: [], events: [], scanned: null, claims: [], faulty: null };
}

class L1Watcher implements WatcherClient {
  readonly #options: WatcherClientOptions;
  #comparison: Comparison;
  #restarts = 0;
  #resumedAt = 0;
  #batchesDropped = 0;
  #keptAt = 0;
  #checkpointFailure: string | null = null;

  constructor(options: WatcherClientOptions) {
    const { checkpoints, collectClaims } = options;
    assert(checkpoints === undefined || collectClaims !== true, "claims are collected from genesis on");
    this.#options = options;
    this.#comparison = freshComparison(options.deployment, options.ports);
  }

  get core(): Watcher {
    return this.#comparison.core;
  }
  get faulty(): BatchEvent | null {
    return this.#comparison.faulty?.event ?? null;
  }
  event(batch: number): BatchEvent | null {
    return this.#comparison.events[batch - 1] ?? null;
  }
  get claims(): readonly ClaimArguments[] {
    return this.#comparison.claims;
  }

  async tick(): Promise<WatchStatus> {
    const { client, dispute } = this.#options;
    // First of all what was sent in this life or an earlier one: re-execution may take longer than a window.
    let refusal: { error: unknown } | null = null;
    try {
      await dispute?.tick();
    } catch (error) {
      // Whatever keeps a transaction from the L1 must not keep the watcher from looking.
      refusal = { error };
    }
    const head = await readExistingBlock(client, "latest");
    if (this.#comparison.core.verdict().fault?.what !== "queue") await this.#scan(head);
    if (this.#comparison.core.verdict().fault === null) await this.#compareNext();
    await this.#challenge();
    if (refusal !== null) throw refusal.error;
    return this.#status(head);
  }

  async #challenge(): Promise<void> {
    const { core, faulty } = this.#comparison;
    const { dispute } = this.#options;
    if (dispute === undefined) return;
    // Ahead of any fault, so that a challenge stays one transaction.
    if (faulty === null) return void (await dispute.ensureParameters(core.state.parameters));
    const { number, batchHash, blockNumber } = faulty.event;
    faulty.accused ??= core.accuse();
    if (!faulty.accused.ok) {
      const { why } = faulty.accused;
      faulty.report = { batch: number, step: "unprovable", detail: why, prepared: null, conviction: null };
      return;
    }
    faulty.report = await dispute.pursue({ number, batchHash, blockNumber }, faulty.accused.accusation);
  }

  /** The comparison goes on behind a batch that the L1 dropped. One that only moved to another block is still at fault. */
  #forgetDropped(): void {
    const { core, faulty, events } = this.#comparison;
    if (faulty === null) return;
    const { number, transactionHash } = faulty.event;
    if (events[number - 1]?.transactionHash === transactionHash) return;
    core.rollBack();
    this.#comparison.faulty = null;
    this.#batchesDropped++;
  }

  async run(options: Omit<RunOptions, "onStatus"> & { onStatus?: (status: WatchStatus) => void }): Promise<void> {
    const { signal, intervalMs = 200, onStatus, onRetry } = options;
    try {
      await runRounds(async () => onStatus?.(await this.tick()), { signal, intervalMs, onRetry });
    } finally {
      await this.#keep(1);
    }
  }

  /** Where this life begins: behind the newest batch that an earlier one compared and that the L1 still holds. */
  async #begin(events: readonly BatchEvent[]): Promise<void> {
    const { deployment, ports, checkpoints } = this.#options;
    const from =
      checkpoints === undefined
        ? null
        : await readCheckpoint(
            checkpoints,
            deployment.parameters,
            ({ number, batchHash }) => events[number - 1]?.batchHash === batchHash,
          );
    this.#comparison = freshComparison(deployment, ports, from);
    this.#resumedAt = from?.tip.number ?? 0;
    this.#keptAt = this.#resumedAt;
  }

  /** Once that many batches were compared since the last one. */
  async #keep(batches: number): Promise<void> {
    const { core, faulty } = this.#comparison;
    const { checkpoints } = this.#options;
    const isDue = core.tip.number >= this.#keptAt + batches;
    if (checkpoints === undefined || !isDue || faulty !== null || core.verdict().fault !== null) return;
    try {
      await keepCheckpoint(checkpoints, core.checkpoint());
      this.#keptAt = core.tip.number;
      this.#checkpointFailure = null;
    } catch (error) {
      this.#checkpointFailure = (error as Error).message;
    }
  }

  /** Learns queue entries and batch events up to `head`. */
  async #scan(head: L1Block): Promise<void> {
    const { client, deployment } = this.#options;
    const { scanned } = this.#comparison;
    if (scanned?.hash === head.hash) return;
    const before = scanned === null ? null : await readBlock(client, scanned.number);
    const continues = scanned !== null && before?.hash === scanned.hash && scanned.number <= head.number;
    const from = continues ? scanned.number + 1 : deployment.deployedAtBlock;
    const entries = await readQueueEntries(client, deployment, from, head.number);
    const known = continues ? this.#comparison.events : [];
    const events = await readBatchEvents(client, deployment, from, head.number, known);
    // A reorg in between would have mixed two chains.
    const after = await readBlock(client, head.number);
    if (after?.hash !== head.hash) {
      throw new ChainError("L1_BEHIND", "the L1 changed while it was read", {
        context: { block: head.number },
        retryable: true,
      });
    }
    await this.#requireWhole(continues ? this.#comparison.queue.length + entries.length : entries.length, events, head);
    if (scanned === null) {
      await this.#begin(events);
    } else if (continues) {
      if (!this.#holdsTip(events)) return this.#forgetAll();
    } else if (this.#contradicts(entries, events)) {
      await this.#begin(events);
      this.#restarts++;
    }
    const comparison = this.#comparison;
    const fresh = continues ? entries : entries.slice(comparison.queue.length);
    comparison.queue.push(...fresh);
    comparison.events = events;
    comparison.scanned = head;
    this.#forgetDropped();
    comparison.core.addQueueEntries(fresh);
  }

  /** The next round reads everything anew. */
  #forgetAll(): void {
    const { deployment, ports } = this.#options;
    this.#comparison = freshComparison(deployment, ports);
    this.#restarts++;
  }

  /** Whether the batch compared last is still the L1's: contracts that judge otherwise than this watcher may have dropped it. */
  #holdsTip(events: readonly BatchEvent[]): boolean {
    const { number, batchHash } = this.#comparison.core.tip;
    return number === 0 || events[number - 1]?.batchHash === batchHash;
  }

  /**
   * A node of several behind one address may be behind the one that named the head: it leaves out what it does not have yet, and
   * says nothing. @throws ChainError L1_INCONSISTENT when the contracts hold more than the node listed, or less.
   */
  async #requireWhole(entries: number, events: readonly BatchEvent[], head: L1Block): Promise<void> {
    const { client, deployment } = this.#options;
    const blockNumber = BigInt(head.number);
    const [queueLength, lastNumber] = await l1Call("length of queue and chain", () =>
      Promise.all([
        client.readContract({
          address: deployment.custody,
          abi: custodyAbi,
          functionName: "queueLength",
          blockNumber,
        }),
        client.readContract({
          address: deployment.batchChain,
          abi: batchChainAbi,
          functionName: "lastNumber",
          blockNumber,
        }),
      ]),
    );
    if (Number(queueLength) === entries && Number(lastNumber) === events.length) return;
    const context = { block: head.number, entries, queueLength: Number(queueLength), batches: events.length };
    throw new ChainError("L1_INCONSISTENT", "the L1 node does not list all that its contracts hold", {
      context: { ...context, lastNumber: Number(lastNumber) },
      retryable: true,
    });
  }

  /** Whether the L1, read anew, differs from what was compared. The same content in other blocks does not. */
  #contradicts(entries: readonly QueueEntry[], events: readonly BatchEvent[]): boolean {
    const { core, queue } = this.#comparison;
    if (queue.some((entry, i) => entries[i]?.queueHash !== entry.queueHash)) return true;
    if (events.length < core.tip.number) return true;
    return events.some((event) => {
      const checked = core.checkedHash(event.number);
      return checked !== null && checked !== event.batchHash;
    });
  }

  async #compareNext(): Promise<void> {
    const comparison = this.#comparison;
    const { core, events, claims } = comparison;
    const { client, collectClaims, lastBatch = Infinity, batchesPerRound = BATCHES_PER_ROUND } = this.#options;
    const next = events.slice(core.tip.number, Math.min(core.tip.number + batchesPerRound, lastBatch));
    for (const event of next) {
      const withdrawals = core.state.outboxCount;
      const posted: PostedBatch = await readPostedBatch(client, event);
      if (core.checkBatch(posted) !== null) {
        comparison.faulty = { event, accused: null, report: null };
        return;
      }
      if (collectClaims === true) claims.push(...claimsOfBatch(core.state, event.number, withdrawals));
    }
    await this.#keep(BATCHES_PER_CHECKPOINT);
  }

  async #status(head: L1Block): Promise<WatchStatus> {
    const { client, deployment } = this.#options;
    const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
    const lastFinal = await l1Call("last final batch", () =>
      client.readContract({ ...chain, functionName: "lastFinal" }),
    );
    return {
      ...this.core.verdict(),
      challenge: this.#comparison.faulty?.report ?? null,
      batchesDropped: this.#batchesDropped,
      headNumber: head.number,
      batchesPosted: this.#comparison.events.length,
      batchesFinal: Number(lastFinal),
      restarts: this.#restarts,
      resumedAt: this.#resumedAt,
      checkpointFailure: this.#checkpointFailure,
    };
  }
}

/** @throws ChainError DEPLOYMENT_MISMATCH when the L1 does not hold that deployment. */
export async function createWatcherClient(options: WatcherClientOptions): Promise<WatcherClient> {
  await checkDeployment(options.client, options.deployment);
  return new L1Watcher(options);
}

/** Whether the batch chain's own record ends with the batch compared last: a node may leave events out. */
async function readsToTheEnd(client: L1Client, deployment: Deployment, watcher: Watcher): Promise<boolean> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const last = await l1Call("last batch", () => client.readContract({ ...chain, functionName: "lastNumber" }));
  const record = await l1Call("last batch", () =>
    client.readContract({ ...chain, functionName: "batch", args: [last] }),
  );
  return Number(last) === watcher.tip.number && record.batchHash === watcher.tip.batchHash;
}

/** Batches posted while the end is looked at make it move; a hidden one stays hidden. */
const END_LOOKS_MAX = 5;

export interface WatchOnceOptions {
  onProgress?: (status: WatchStatus) => void;
  blobs?: BlobOptions;
}

/** Re-executes everything that the L1 holds now. The verdict's fault, if any, names the first wrong cycle and account. */
export async function watchOnce(
  l1Url: string,
  deployment: Deployment,
  ports: WatcherPorts,
  options: WatchOnceOptions = {},
): Promise<WatchStatus> {
  const { blobs } = options;
  const client = await connectL1(l1Url, deployment.chainId, blobs === undefined ? {} : { blobs });
  const watcher = await createWatcherClient({ client, deployment, ports });
  for (let looks = 1; ; ) {
    const status = await watcher.tick();
    options.onProgress?.(status);
    if (status.fault !== null) return status;
    if (status.batchesCompared < status.batchesPosted) continue;
    if (await readsToTheEnd(client, deployment, watcher.core)) return status;
    if (looks++ < END_LOOKS_MAX) continue;
    const { number, batchHash } = watcher.core.tip;
    throw new ChainError("L1_INCONSISTENT", `the batch chain does not end with batch ${number}, the L1's events do`, {
      context: { number, batchHash },
    });
  }
}
