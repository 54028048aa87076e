// The real watcher beside an evidence L1: it follows what is right, finds what is wrong, and challenges it by itself.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createDisputeClient,
  createWatcherClient,
  type DisputeClient,
  readConvictions,
  type WatcherClient,
} from "@tidemark/chain";
import type { Batch } from "@tidemark/settlement";
import { signaturePort } from "../../packages/ledger/test/keys.ts";
import { postSound, type SoundCycle } from "./history.ts";
import type { EvidenceL1 } from "./l1.ts";

const CYCLES_PER_BATCH = 32;
const ROUNDS_MAX = 6;

export interface Convicted {
  /** As the dispute contract said; 0: a root or a header field. */
  code: number;
  face: string;
  gas: number;
  /** Of the transaction's calldata. */
  bytes: number;
}

export class FraudCourt {
  readonly l1: EvidenceL1;
  readonly watcher: WatcherClient;
  readonly #dispute: DisputeClient;
  readonly #folder: string;

  private constructor(l1: EvidenceL1, watcher: WatcherClient, dispute: DisputeClient, folder: string) {
    this.l1 = l1;
    this.watcher = watcher;
    this.#dispute = dispute;
    this.#folder = folder;
  }

  static async start(l1: EvidenceL1): Promise<FraudCourt> {
    const { client, deployment, challenger } = l1;
    const folder = mkdtempSync(join(tmpdir(), "tidemark-court-"));
    const dispute = createDisputeClient({ client, deployment, account: challenger, path: join(folder, "outbox") });
    const watcher = await createWatcherClient({ client, deployment, ports: { signatures: signaturePort }, dispute });
    return new FraudCourt(l1, watcher, dispute, folder);
  }

  async close(): Promise<void> {
    await this.#dispute.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Posts sound cycles; the watcher must agree with all of them. What a hand moved, it moves in the watcher's state too. */
  async follow(cycles: readonly SoundCycle[]): Promise<void> {
    let from = 0;
    while (from < cycles.length) {
      let to = from + 1;
      while (to < cycles.length && to - from < CYCLES_PER_BATCH && cycles[to]?.moved === null) to++;
      const [first] = cycles.slice(from, to);
      await postSound(this.l1, cycles.slice(from, to));
      first?.moved?.(this.watcher.core.state);
      const status = await this.watcher.tick();
      if (!status.ok || status.batchesCompared !== status.batchesPosted) {
        throw new Error(`the watcher disagrees with a sound batch: ${JSON.stringify(status.fault)}`);
      }
      from = to;
    }
  }

  /** Posts the right batch in its blob; the watcher must agree. */
  async followInBlob(batch: Batch, blob: Uint8Array): Promise<void> {
    await this.l1.postBlob(batch, blob);
    const status = await this.watcher.tick();
    if (!status.ok || status.batchesCompared !== status.batchesPosted) {
      throw new Error(`the watcher disagrees with a sound batch in a blob: ${JSON.stringify(status.fault)}`);
    }
  }

  /** Posts the batch as it is, in a blob where there is one, and waits for the watcher to have it convicted. */
  async convict(batch: Batch, blob: Uint8Array | null = null): Promise<Convicted> {
    const { l1 } = this;
    const { tip } = l1;
    const posted = blob === null ? await l1.post(batch) : await l1.postBlob(batch, blob);
    let face = "";
    let dropped = -1;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const status = await this.watcher.tick();
      if (dropped < 0) dropped = status.batchesDropped;
      if (status.batchesDropped > dropped) {
        l1.tip = tip;
        return this.#conviction(Number(posted.blockNumber), face);
      }
      const { challenge, fault } = status;
      if (challenge === null) throw new Error("the watcher finds nothing wrong");
      if (challenge.step !== "sent" && challenge.step !== "convicted") {
        throw new Error(`the watcher's challenge is ${challenge.step}: ${challenge.detail}; fault ${fault?.detail}`);
      }
      face = challenge.prepared?.challenge.face ?? face;
      await l1.mine();
    }
    throw new Error("no conviction after many blocks");
  }

  async #conviction(fromBlock: number, face: string): Promise<Convicted> {
    const { client, deployment, challenger } = this.l1;
    const head = Number(await client.getBlockNumber({ cacheTime: 0 }));
    const [conviction] = (await readConvictions(client, deployment, fromBlock, head)).slice(-1);
    if (conviction?.challenger.toLowerCase() !== challenger.address.toLowerCase()) throw new Error("no conviction");
    const receipt = await client.getTransactionReceipt({ hash: conviction.transactionHash });
    const { input } = await client.getTransaction({ hash: conviction.transactionHash });
    return { code: conviction.code, face, gas: Number(receipt.gasUsed), bytes: (input.length - 2) / 2 };
  }
}
