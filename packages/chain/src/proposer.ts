// The proposer's loop: look at the chain, plan, send. All that a crash could lose is on the L1, in the cycle store or in
// the transaction outbox.
import { BLOB_BATCH_BYTES_MAX } from "@tidemark/ledger";
import {
  type BatchCarrier,
  CUT_POLICY_DEFAULT,
  type CycleSource,
  cyclesWanted,
  inBlob,
  type ProposerPolicy,
  packBlob,
  planProposer,
} from "@tidemark/settlement";
import type { LocalAccount } from "viem";
import { createChainPort, type PostedSummary } from "./chainPort.ts";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";
import { loadKzg, versionedHashOf } from "./kzg.ts";
import { type FeePolicy, openTransactionOutbox } from "./transactionOutbox.ts";

export const PROPOSER_POLICY_DEFAULT: ProposerPolicy = { cut: CUT_POLICY_DEFAULT, inFlightMax: 4, finaliseMax: 8 };

export interface ProposerOptions {
  client: L1Client;
  deployment: Deployment;
  account: LocalAccount;
  source: CycleSource;
  /** Directory of the transaction outbox. */
  path: string;
  policy?: ProposerPolicy;
  /** Posts in blobs instead of calldata. */
  inBlobs?: boolean;
  fees?: FeePolicy;
}

export interface BatchStatus extends Omit<PostedSummary, "header"> {
  final: boolean;
  /** Seconds of L1 time until it may become final; 0 once it may. */
  windowLeftSeconds: number;
}

export interface ProposerStatus {
  headNumber: number;
  headSeconds: number;
  batchesPosted: number;
  batchesFinal: number;
  /** A batch of other cycles than ours: the proposer waits until it is dropped. */
  foreign: { number: number; detail: string } | null;
  /** The custody is frozen: nothing is posted any more. What was posted still becomes final, or is dropped. */
  frozen: boolean;
  /** Whether the next batch is ours to post. */
  hasTurn: boolean;
  inFlight: number;
  cyclesClosed: number;
  /** In blocks of the L1, and in final batches. */
  cyclesPosted: number;
  cyclesFinal: number;
  fillsPosted: number;
  fillsFinal: number;
  messagesPosted: number;
  settledDeltasPosted: number;
  l1Bytes: number;
  l1Gas: number;
  /** Intents that a reorg removed and the outbox sends again. */
  removedByReorg: number;
  feeBumps: number;
  reverted: number;
  /** The latest first. */
  lastBatches: BatchStatus[];
}

export interface RunOptions {
  signal: AbortSignal;
  intervalMs?: number;
  /** Called after every round. */
  onStatus?: (status: ProposerStatus) => void;
  /** Called for an error that a later round may not meet; others end the loop. */
  onRetry?: (error: ChainError) => void;
}

export interface Proposer {
  /** One round. `flush` posts what there is, full batch or not. */
  tick(flush?: boolean): Promise<ProposerStatus>;
  /** Rounds until `signal` aborts. */
  run(options: RunOptions): Promise<void>;
  readonly status: ProposerStatus | null;
  /** Posted batches, oldest first. */
  readonly posted: readonly PostedSummary[];
  /** Takes the bonds of final batches back. False when there are none. */
  withdrawBonds(): Promise<boolean>;
  close(): Promise<void>;
}

const INTERVAL_MS = 100;
const LAST_BATCHES = 12;

/** Resolves early when the signal aborts. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Runs `round` until `signal` aborts; a retryable ChainError goes to `onRetry`, any other error ends it. */
export async function runRounds(
  round: () => Promise<void>,
  options: { signal: AbortSignal; intervalMs: number; onRetry: ((error: ChainError) => void) | undefined },
): Promise<void> {
  while (!options.signal.aborted) {
    try {
      await round();
    } catch (error) {
      if (!(error instanceof ChainError) || !error.retryable) throw error;
      options.onRetry?.(error);
    }
    await pause(options.intervalMs, options.signal);
  }
}

function sumOf(
  batches: readonly PostedSummary[],
  field: "cycles" | "fills" | "messages" | "settledDeltas" | "l1Bytes" | "l1Gas",
): number {
  return batches.reduce((sum, batch) => sum + batch[field], 0);
}

const givenPolicy = ({ policy }: ProposerOptions): ProposerPolicy => policy ?? PROPOSER_POLICY_DEFAULT;

function forBlobs(policy: ProposerPolicy): ProposerPolicy {
  return { ...policy, cut: { ...policy.cut, bytesMax: Math.min(policy.cut.bytesMax, BLOB_BATCH_BYTES_MAX) } };
}

export async function createProposer(options: ProposerOptions): Promise<Proposer> {
  const { client, deployment, source } = options;
  const kzg = options.inBlobs === true ? await loadKzg() : null;
  const policy = kzg === null ? givenPolicy(options) : forBlobs(givenPolicy(options));
  const carry: BatchCarrier = (batch) =>
    kzg === null ? batch : inBlob(batch, versionedHashOf(kzg.commitmentOf(packBlob(batch.data))));
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const custody = { address: deployment.custody, abi: custodyAbi } as const;
  const bondWei = await l1Call("bond", () => client.readContract({ ...chain, functionName: "bondWei" }));
  const outbox = openTransactionOutbox({
    client,
    account: options.account,
    path: options.path,
    ...(options.fees === undefined ? {} : { fees: options.fees }),
  });
  const port = createChainPort({ client, deployment, outbox, source, bondWei });
  let status: ProposerStatus | null = null;
  let removedByReorg = 0;
  let feeBumps = 0;

  async function tick(flush = false): Promise<ProposerStatus> {
    const view = await port.view();
    removedByReorg += port.outboxReport?.removedByReorg.length ?? 0;
    feeBumps += port.outboxReport?.bumped ?? 0;
    // Asked in every round: a reorg takes a freeze back.
    const frozen = await l1Call("custody", () => client.readContract({ ...custody, functionName: "frozen" }));
    const closed = frozen ? [] : await source.read(view.tip.nextCycle, cyclesWanted(view, policy));
    const plan = planProposer(view, closed, policy, deployment.parameters.domain, flush, carry);
    for (const { batch, cycles } of plan.posts) {
      // Kept before it is sent: L1 nodes forget blobs.
      if (kzg !== null) await client.blobs.keep(batch.header.dataHash, packBlob(batch.data));
      await port.post(batch, cycles);
    }
    for (const number of plan.finalise) await port.finalise(number);
    await port.reclaimBonds();
    const head = port.outboxReport?.head;
    const { posted, lastFinal } = port;
    const final = posted.slice(0, lastFinal);
    status = {
      headNumber: head?.number ?? 0,
      headSeconds: view.timestampSeconds,
      batchesPosted: posted.length,
      batchesFinal: lastFinal,
      foreign: view.foreign,
      frozen,
      hasTurn: view.turns > 0,
      inFlight: view.inFlight + plan.posts.length,
      cyclesClosed: await source.count(),
      cyclesPosted: sumOf(posted, "cycles"),
      cyclesFinal: sumOf(final, "cycles"),
      fillsPosted: sumOf(posted, "fills"),
      fillsFinal: sumOf(final, "fills"),
      messagesPosted: sumOf(posted, "messages"),
      settledDeltasPosted: sumOf(posted, "settledDeltas"),
      l1Bytes: sumOf(posted, "l1Bytes"),
      l1Gas: sumOf(posted, "l1Gas"),
      removedByReorg,
      feeBumps,
      reverted: port.reverted,
      lastBatches: posted
        .slice(-LAST_BATCHES)
        .toReversed()
        .map(({ header: _, ...batch }) => ({
          ...batch,
          final: batch.number <= lastFinal,
          windowLeftSeconds: Math.max(0, batch.floorSeconds - view.timestampSeconds),
        })),
    };
    return status;
  }

  return {
    tick,
    get status() {
      return status;
    },
    get posted() {
      return port.posted;
    },
    run: ({ signal, intervalMs = INTERVAL_MS, onStatus, onRetry }) =>
      runRounds(async () => onStatus?.(await tick()), { signal, intervalMs, onRetry }),
    async withdrawBonds() {
      if ((await port.bondCreditWei()) === 0n) return false;
      await port.withdrawBond();
      return true;
    },
    close: () => outbox.close(),
  };
}
