// Pays out withdrawals whose batch is final. Claims need a block, so they are on their way while the market goes on.
import { createClaimsClient, type ClaimsClient, type Deployment, type L1Client } from "@tidemark/chain";
import { OPERATOR } from "./contracts.ts";
import type { Processes } from "./processes.ts";

export class Claims {
  readonly #client: ClaimsClient;
  readonly #settled = new Set<number>();
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(client: L1Client, deployment: Deployment) {
    this.#client = createClaimsClient(client, deployment, OPERATOR.claimer);
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

  async #claim(ready: Parameters<ClaimsClient["claim"]>[0]): Promise<void> {
    const open: typeof ready[number][] = [];
    for (const claim of ready) {
      if (await this.#client.isClaimed(claim.withdrawalNumber)) this.#settled.add(claim.withdrawalNumber);
      else open.push(claim);
    }
    if (open.length > 0) await this.#client.claim(open);
    for (const { withdrawalNumber } of open) this.#settled.add(withdrawalNumber);
  }

  get busy(): boolean {
    return this.#running !== null;
  }
}
