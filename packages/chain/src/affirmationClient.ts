// Proves one batch right: what is missing is sent through the transaction outbox until the L1 has all of it, then concluded.
// What others affirm meanwhile need not be sent; what a reorg takes away is sent again.
import { encodeParameters, type LedgerPorts, type LedgerState, parametersHash } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type AffirmationPiece, affirmationCalls, type CommittedBatch, planAffirmation } from "@tidemark/settlement";
import { encodeFunctionData, type Hex, type LocalAccount } from "viem";
import { affirmationCalldata, type BlobProof, concludeCalldata, pieceName, readAffirmed } from "./affirmationCall.ts";
import type { BatchEvent } from "./batchReader.ts";
import { TRANSACTION_GAS_MAX } from "./challengeCall.ts";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, isTransportError, l1Call, l1Error } from "./errors.ts";
import { batchChainAbi, fixedWindowPolicyAbi } from "./generated/contracts.ts";
import { disputeAbi } from "./generated/dispute.ts";
import { type FeePolicy, type Intent, openTransactionOutbox, type TransactionOutbox } from "./transactionOutbox.ts";

export interface AffirmOptions {
  client: L1Client;
  deployment: Deployment;
  account: LocalAccount;
  /** Directory of the transaction outbox; one an account. */
  path: string;
  fees?: FeePolicy;
  event: BatchEvent;
  batch: CommittedBatch;
  /** The state that the batch begins with, re-executed from the L1. Not to be used by others meanwhile. */
  state: LedgerState;
  ports: LedgerPorts;
  /** Opens the batch's blob, where it is in one. */
  blob?: () => Promise<BlobProof>;
  /** Between two looks at the L1: waits, or makes a block where nobody else does. */
  pause: () => Promise<void>;
  onProgress?: (progress: AffirmProgress) => void;
}

export interface AffirmedCall {
  name: string;
  gasUsed: number;
  /** Of the calldata. */
  bytes: number;
}

export interface AffirmProgress {
  pieces: number;
  /** On the L1 by now, whoever sent them. */
  affirmed: number;
  /** Of this account, newly in a block. */
  newCalls: AffirmedCall[];
}

export interface AffirmResult {
  pieces: number;
  /** Affirmed before this run began. */
  affirmedBefore: number;
  calls: AffirmedCall[];
  gasTotal: number;
  /** L1 seconds. */
  provenAtSeconds: number;
  finalisableAtSeconds: number;
}

/** On their way at once. */
const IN_FLIGHT_MAX = 8;
const GAS_HEADROOM = 1.2;
/** What is missing after a pass was reverted or taken away by a reorg; more passes than that would not help. */
const PASSES_MAX = 6;
const REGISTER_GAS = 1_000_000;

class Affirmer {
  readonly #options: AffirmOptions;
  readonly #outbox: TransactionOutbox;
  readonly #calls = new Map<string, AffirmedCall>();
  readonly #bytes = new Map<string, number>();
  /** Told already. */
  #told = 0;
  readonly #stored = new Set<Hex>();
  #affirmed = new Set<string>();
  #pieces: AffirmationPiece[] = [];

  constructor(options: AffirmOptions) {
    const { client, account, path, fees } = options;
    this.#options = options;
    this.#outbox = openTransactionOutbox({ client, account, path, ...(fees === undefined ? {} : { fees }) });
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }

  get #prefix(): string {
    return `affirm/${this.#options.event.batchHash}/`;
  }

  async run(): Promise<AffirmResult> {
    const { state, batch, ports } = this.#options;
    const plan = planAffirmation(state, batch, ports);
    if (!plan.ok) throw new ChainError("NOT_AFFIRMABLE", plan.why, { context: { batch: batch.header.number } });
    this.#pieces = plan.pieces;
    await this.#look();
    const affirmedBefore = this.#affirmed.size;
    for (let pass = 0; this.#missing() > 0; pass++) {
      if (pass === PASSES_MAX) throw this.#stuck();
      state.mark();
      try {
        await this.#sendMissing();
      } finally {
        state.rollBack();
      }
      while (this.#open().length > 0) await this.#round();
    }
    const provenAtSeconds = await this.#conclude();
    const calls = [...this.#calls.values()];
    return {
      pieces: this.#pieces.length,
      affirmedBefore,
      calls,
      gasTotal: calls.reduce((sum, { gasUsed }) => sum + gasUsed, 0),
      provenAtSeconds,
      finalisableAtSeconds: await this.#finalisableAt(),
    };
  }

  #missing(): number {
    return this.#pieces.filter((piece) => !this.#affirmed.has(pieceName(piece))).length;
  }

  #stuck(): ChainError {
    const refusals = this.#outbox.open().flatMap(({ lastRefusal }) => (lastRefusal === null ? [] : [lastRefusal]));
    return new ChainError("NOT_AFFIRMABLE", `${this.#missing()} pieces are still missing; ${refusals.join("; ")}`, {
      context: { batch: this.#options.event.number, passes: PASSES_MAX },
      retryable: true,
    });
  }

  /** Calls of this batch that are in no block. */
  #open(): Intent[] {
    return this.#outbox.open().filter(({ id, inclusion }) => id.startsWith(this.#prefix) && inclusion === null);
  }

  async #look(): Promise<void> {
    const { client, deployment, event } = this.#options;
    await this.#outbox.tick();
    await this.#requirePosted();
    this.#affirmed = await readAffirmed(client, deployment, event.batchHash, event.blockNumber);
    for (const [id, bytes] of this.#bytes) {
      const inclusion = this.#outbox.intent(id)?.inclusion;
      if (inclusion === undefined || inclusion === null || inclusion.reverted || this.#calls.has(id)) continue;
      this.#calls.set(id, {
        name: id.slice(this.#prefix.length).replace(/\/\d+$/, ""),
        gasUsed: inclusion.gasUsed,
        bytes,
      });
    }
    const newCalls = [...this.#calls.values()].slice(this.#told);
    this.#told = this.#calls.size;
    const affirmed = this.#pieces.length - this.#missing();
    this.#options.onProgress?.({ pieces: this.#pieces.length, affirmed, newCalls });
  }

  /** @throws ChainError BATCH_GONE */
  async #requirePosted(): Promise<void> {
    const { event } = this.#options;
    const record = await this.#record();
    if (record?.batchHash === event.batchHash) return;
    throw new ChainError("BATCH_GONE", `the L1 no longer has batch ${event.number}`, {
      context: { batch: event.number, batchHash: event.batchHash },
    });
  }

  async #record() {
    const { client, deployment, event } = this.#options;
    const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
    const last = await l1Call("last batch", () => client.readContract({ ...chain, functionName: "lastNumber" }));
    if (last < BigInt(event.number)) return null;
    return l1Call("batch", () =>
      client.readContract({ ...chain, functionName: "batch", args: [BigInt(event.number)] }),
    );
  }

  async #round(): Promise<void> {
    await this.#options.pause();
    await this.#look();
  }

  async #sendMissing(): Promise<void> {
    const { state, batch, ports } = this.#options;
    const isWanted = (piece: AffirmationPiece): boolean => !this.#affirmed.has(pieceName(piece));
    for (const call of affirmationCalls(state, batch, ports, isWanted)) {
      if ("parameters" in call) await this.#store(call.parameters);
      const data = await affirmationCalldata(batch.header, call, this.#blob);
      await this.#send(pieceName(call.piece), data);
      while (this.#open().length >= IN_FLIGHT_MAX) await this.#round();
    }
  }

  readonly #blob = (): Promise<BlobProof> => {
    const { blob, event } = this.#options;
    if (blob !== undefined) return blob();
    throw new ChainError("BLOB_UNREADABLE", `nothing here opens the blob of batch ${event.number}`);
  };

  /** Parameters that governance brought in have to be on the L1 before a cycle can be judged by them. */
  async #store(parameters: LedgerState["parameters"]): Promise<void> {
    const { client, deployment } = this.#options;
    const hash = parametersHash(parameters);
    if (this.#stored.has(hash)) return;
    const dispute = { address: deployment.dispute, abi: disputeAbi } as const;
    const isStored = async (): Promise<boolean> =>
      BigInt(
        await l1Call("parameters", () => client.readContract({ ...dispute, functionName: "storeOf", args: [hash] })),
      ) !== 0n;
    if (!(await isStored())) {
      const args = [bytesToHex(encodeParameters(parameters))] as const;
      const data = encodeFunctionData({ abi: disputeAbi, functionName: "registerParameters", args });
      const request = { to: deployment.dispute, data, valueWei: "0", gas: String(REGISTER_GAS) };
      await this.#outbox.submit(this.#freeId(`parameters ${hash}`), request);
      while (!(await isStored())) await this.#round();
    }
    this.#stored.add(hash);
  }

  #freeId(name: string): string {
    for (let attempt = 0; ; attempt++) {
      const id = `${this.#prefix}${name}/${attempt}`;
      const known = this.#outbox.intent(id);
      if (known === undefined || known.inclusion === null) return id;
    }
  }

  /** Asks the node first: what others affirmed meanwhile is refused there and needs no transaction. */
  async #send(name: string, data: Hex): Promise<void> {
    const { client, deployment, account } = this.#options;
    const id = this.#freeId(name);
    this.#bytes.set(id, (data.length - 2) / 2);
    if (this.#outbox.intent(id) !== undefined) return;
    let gas: bigint;
    try {
      const to = deployment.affirmation;
      gas = await client.estimateGas({ account: account.address, to, data, blockTag: "latest" });
    } catch (error) {
      if (isTransportError(error)) throw l1Error(name, error);
      await this.#look();
      if (this.#affirmed.has(name)) return;
      throw new ChainError("NOT_AFFIRMABLE", `${name} is refused by the L1: ${String(error).slice(0, 300)}`, {
        context: { batch: this.#options.event.number },
        cause: error,
      });
    }
    const withHeadroom = Math.min(Math.ceil(Number(gas) * GAS_HEADROOM), TRANSACTION_GAS_MAX);
    await this.#outbox.submit(id, {
      to: deployment.affirmation,
      data,
      valueWei: "0",
      gas: String(withHeadroom),
    });
  }

  /** L1 seconds of the proof. */
  async #conclude(): Promise<number> {
    const { batch } = this.#options;
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      const provenAt = Number((await this.#record())?.provenAt ?? 0n);
      if (provenAt !== 0) return provenAt;
      await this.#send("conclusion", concludeCalldata(batch.header));
      while (this.#open().length > 0) await this.#round();
    }
    throw this.#stuck();
  }

  async #finalisableAt(): Promise<number> {
    const { client, deployment, event } = this.#options;
    return readFinalisableAt(client, deployment, event.number);
  }
}

/** L1 seconds from which on the batch may be final, as the finality policy says now. */
export async function readFinalisableAt(client: L1Client, deployment: Deployment, number: number): Promise<number> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const { postedAt, postedBlock, floor, provenAt } = await l1Call("batch", () =>
    client.readContract({ ...chain, functionName: "batch", args: [BigInt(number)] }),
  );
  const timing = { number: BigInt(number), postedAt, postedBlock, floor, provenAt };
  const policy = { address: deployment.policy, abi: fixedWindowPolicyAbi } as const;
  return Number(
    await l1Call("finality policy", () =>
      client.readContract({ ...policy, functionName: "finalisableAt", args: [timing] }),
    ),
  );
}

/**
 * Affirms what is missing and concludes. Resumes where an earlier run, or somebody else, stopped.
 * @throws ChainError NOT_AFFIRMABLE | BATCH_GONE
 */
export async function affirmBatch(options: AffirmOptions): Promise<AffirmResult> {
  const affirmer = new Affirmer(options);
  try {
    return await affirmer.run();
  } finally {
    await affirmer.close();
  }
}
