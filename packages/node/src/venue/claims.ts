// Pays out withdrawals whose batch is final. Claims need a block, so they are on their way while the market goes on.
import {
  ChainError,
  type ClaimsClient,
  createClaimsClient,
  type Deployment,
  type L1Client,
  readExistingBlock,
} from "@tidemark/chain";
import type { ClaimArguments } from "@tidemark/settlement";
import { OPERATOR } from "./contracts.ts";
import type { Processes } from "./processes.ts";

/** Blocks come every few hundred milliseconds; what a reorg dropped never gets a receipt. */
const RECEIPT_TIMEOUT_MS = 10_000;
const REFUSALS_MAX = 6;

export class Claims {
  readonly #client: ClaimsClient;
  readonly #l1: L1Client;
  readonly #settled = new Set<number>();
  /** Claimed withdrawals, and the head at which that was first seen. */
  readonly #seen = new Map<number, number>();
  readonly #refusals = new Map<number, number>();
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(client: L1Client, deployment: Deployment) {
    this.#l1 = client;
    this.#client = createClaimsClient(client, deployment, OPERATOR.claimer, { timeoutMs: RECEIPT_TIMEOUT_MS });
  }

  /** Starts what can be claimed and is not on its way. @throws what the round before failed with */
  advance(processes: Processes): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#running !== null) return;
    const lastFinal = processes.proposer?.batchesFinal ?? 0;
    const ready = [...processes.claims.values()].filter(
      ({ batchNumber, withdrawalNumber }) => batchNumber <= lastFinal && !this.#settled.has(withdrawalNumber),
    );
    if (ready.length === 0) return;
    this.#running = this.#claim(ready)
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#running = null;
      });
  }

  /** Looked at again in every round, because a reorg takes a claim back; one that is settled is final on the L1. */
  async #claim(ready: readonly ClaimArguments[]): Promise<void> {
    const head = await readExistingBlock(this.#l1, "latest");
    const final = await readExistingBlock(this.#l1, "finalized");
    const open: ClaimArguments[] = [];
    for (const claim of ready) {
      const { withdrawalNumber } = claim;
      if (!(await this.#client.isClaimed(withdrawalNumber))) {
        this.#seen.delete(withdrawalNumber);
        open.push(claim);
        continue;
      }
      const seenAt = this.#seen.get(withdrawalNumber) ?? head.number;
      this.#seen.set(withdrawalNumber, seenAt);
      if (seenAt <= final.number) this.#settled.add(withdrawalNumber);
    }
    for (const claim of open) await this.#send(claim);
  }

  /**
   * A refusal may mean that a claim which a killed life left in the pool came first, or that a reorg took the batch's finality
   * back for a moment: the next round looks again. @throws when the L1 keeps refusing
   */
  async #send(claim: ClaimArguments): Promise<void> {
    try {
      await this.#client.claim([claim]);
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      if (error.retryable) return;
      const refusals = (this.#refusals.get(claim.withdrawalNumber) ?? 0) + 1;
      this.#refusals.set(claim.withdrawalNumber, refusals);
      if (error.code !== "TRANSACTION_REVERTED" || refusals > REFUSALS_MAX) throw error;
    }
  }

  get busy(): boolean {
    return this.#running !== null;
  }
}
