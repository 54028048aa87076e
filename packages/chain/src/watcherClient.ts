// The watcher's I/O: feeds the core with what one L1 shows, notices reorgs, and answers with a verdict.
import {
  type ClaimArguments,
  claimsOfBatch,
  createWatcher,
  type PostedBatch,
  type QueueEntry,
  type Watcher,
  type WatcherFault,
  type WatcherPorts,
  type WatcherVerdict,
} from "@tidemark/settlement";
import { type BatchEvent, readBatchEvents, readPostedBatch } from "./batchReader.ts";
import { connectL1, type L1Block, type L1Client, readBlock, readExistingBlock } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { checkDeployment } from "./deploymentCheck.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi } from "./generated/contracts.ts";
import { readQueueEntries } from "./inboundReader.ts";
import { type RunOptions, runRounds } from "./proposer.ts";

export interface WatchStatus extends WatcherVerdict {
  headNumber: number;
  /** Batches that the L1 holds; those not compared yet follow in the next rounds. */
  batchesPosted: number;
  batchesFinal: number;
  /** Times that everything was re-executed because an L1 reorg changed what had been compared. */
  restarts: number;
}

export interface WatcherClient {
  /** Compares what is new. After a fault it only repeats it. */
  tick(): Promise<WatchStatus>;
  run(options: Omit<RunOptions, "onStatus"> & { onStatus?: (status: WatchStatus) => void }): Promise<void>;
  readonly core: Watcher;
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
  /** Most batches compared in one round, so that a status appears now and then. */
  batchesPerRound?: number;
}

const BATCHES_PER_ROUND = 32;

/** Everything that is thrown away when the L1 replaced something that was compared. */
interface Comparison {
  core: Watcher;
  queue: QueueEntry[];
  events: BatchEvent[];
  scanned: L1Block | null;
  claims: ClaimArguments[];
}

function freshComparison(deployment: Deployment, ports: WatcherPorts): Comparison {
  return { core: createWatcher(deployment.parameters, ports), queue: [], events: [], scanned: null, claims: [] };
}

class L1Watcher implements WatcherClient {
  readonly #options: WatcherClientOptions;
  #comparison: Comparison;
  #restarts = 0;

  constructor(options: WatcherClientOptions) {
    this.#options = options;
    this.#comparison = freshComparison(options.deployment, options.ports);
  }

  get core(): Watcher {
    return this.#comparison.core;
  }
  get claims(): readonly ClaimArguments[] {
    return this.#comparison.claims;
  }

  async tick(): Promise<WatchStatus> {
    const head = await readExistingBlock(this.#options.client, "latest");
    if (this.#comparison.core.verdict().fault === null) {
      const fault = await this.#scan(head);
      if (fault === null) await this.#compareNext();
    }
    return this.#status(head);
  }

  run(options: Omit<RunOptions, "onStatus"> & { onStatus?: (status: WatchStatus) => void }): Promise<void> {
    const { signal, intervalMs = 200, onStatus, onRetry } = options;
    return runRounds(async () => onStatus?.(await this.tick()), { signal, intervalMs, onRetry });
  }

  /** Learns queue entries and batch events up to `head`. A fault is one of the queue itself. */
  async #scan(head: L1Block): Promise<WatcherFault | null> {
    const { client, deployment } = this.#options;
    const { scanned } = this.#comparison;
    if (scanned?.hash === head.hash) return null;
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
    if (!continues && scanned !== null && this.#contradicts(entries, events)) {
      this.#comparison = freshComparison(deployment, this.#options.ports);
      this.#restarts++;
    }
    const comparison = this.#comparison;
    const fresh = continues ? entries : entries.slice(comparison.queue.length);
    comparison.queue.push(...fresh);
    comparison.events = events;
    comparison.scanned = head;
    return comparison.core.addQueueEntries(fresh);
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
    const { core, events, claims } = this.#comparison;
    const { client, collectClaims, batchesPerRound = BATCHES_PER_ROUND } = this.#options;
    const next = events.slice(core.tip.number, core.tip.number + batchesPerRound);
    for (const event of next) {
      const withdrawals = core.state.outboxCount;
      const posted: PostedBatch = await readPostedBatch(client, event);
      if (core.checkBatch(posted) !== null) return;
      if (collectClaims === true) claims.push(...claimsOfBatch(core.state, event.number, withdrawals));
    }
  }

  async #status(head: L1Block): Promise<WatchStatus> {
    const { client, deployment } = this.#options;
    const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
    const lastFinal = await l1Call("last final batch", () =>
      client.readContract({ ...chain, functionName: "lastFinal" }),
    );
    return {
      ...this.core.verdict(),
      headNumber: head.number,
      batchesPosted: this.#comparison.events.length,
      batchesFinal: Number(lastFinal),
      restarts: this.#restarts,
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
}

/** Re-executes everything that the L1 holds now. The verdict's fault, if any, names the first wrong cycle and account. */
export async function watchOnce(
  l1Url: string,
  deployment: Deployment,
  ports: WatcherPorts,
  options: WatchOnceOptions = {},
): Promise<WatchStatus> {
  const client = await connectL1(l1Url, deployment.chainId);
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
