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
/** After so many refusals a claim is set aside: its recipient may be one that the token does not pay. */
const REFUSALS_MAX = 6;
/** A claim that is set aside is tried again once in so many rounds. */
const ASIDE_ROUNDS = 64;

export class Claims {
  readonly #client: ClaimsClient;
  readonly #l1: L1Client;
  readonly #settled = new Set<number>();
  /** Claimed withdrawals, and the head at which that was first seen. */
  readonly #seen = new Map<number, number>();
  readonly #refusals = new Map<number, number>();
  /** Claims that the L1 keeps refusing: they stay unclaimed and stand in no other claim's way. */
  readonly #aside = new Set<number>();
  readonly #tell: (line: string) => void;
  #round = 0;
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(client: L1Client, deployment: Deployment, tell: (line: string) => void) {
    this.#l1 = client;
    this.#tell = tell;
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
    this.#round++;
    for (const claim of ready) {
      const { withdrawalNumber } = claim;
      if (!(await this.#client.isClaimed(withdrawalNumber))) {
        this.#seen.delete(withdrawalNumber);
        if (!this.#aside.has(withdrawalNumber) || this.#round % ASIDE_ROUNDS === 0) open.push(claim);
        continue;
      }
      this.#aside.delete(withdrawalNumber);
      const seenAt = this.#seen.get(withdrawalNumber) ?? head.number;
      this.#seen.set(withdrawalNumber, seenAt);
      if (seenAt <= final.number) this.#settled.add(withdrawalNumber);
    }
    for (const claim of open) await this.#send(claim);
  }

  /**
   * A refusal may mean that a claim which a killed life left in the pool came first, or that a reorg took the batch's finality
   * back for a moment: the next round looks again. One that is refused again and again is set aside and shown.
   */
  async #send(claim: ClaimArguments): Promise<void> {
    const { withdrawalNumber, cell } = claim;
    try {
      await this.#client.claim([claim]);
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      if (error.retryable) return;
      if (error.code !== "TRANSACTION_REVERTED") throw error;
      const refusals = (this.#refusals.get(withdrawalNumber) ?? 0) + 1;
      this.#refusals.set(withdrawalNumber, refusals);
      if (refusals <= REFUSALS_MAX || this.#aside.has(withdrawalNumber)) return;
      this.#aside.add(withdrawalNumber);
      this.#tell(`withdrawal ${withdrawalNumber}: the L1 refuses to pay ${cell.recipient}; it stays unclaimed`);
    }
  }

  /** Claims that the L1 keeps refusing. */
  get setAsideCount(): number {
    return this.#aside.size;
  }

  get busy(): boolean {
    return this.#running !== null;
  }
}
