// The venue's own L1 transactions, made durable before they are sent. Every intent owns one nonce for good, so however
// often it is sent, again after a crash, a drop or a reorg, the L1 executes it at most once.
import { hexToBytes } from "@tidemark/num";
import { packBlob } from "@tidemark/settlement";
import { type Hex, keccak256, type LocalAccount } from "viem";
import { signBlobTransaction } from "./blobTransaction.ts";
import { type L1Block, type L1Client, readBlock, readExistingBlock } from "./clients.ts";
import { ChainError, l1Call, l1Error } from "./errors.ts";
import {
  type Attempt,
  type Inclusion,
  type Intent,
  type IntentRequest,
  type OutboxStore,
  openOutboxStore,
} from "./outboxStore.ts";
import { readReceipt } from "./transact.ts";

export interface FeePolicy {
  tipWeiPerGas: bigint;
  /** Nothing is sent above it; the intent waits for the base fee to fall. */
  maxFeeCapWeiPerGas: bigint;
  /** An attempt that a node knows but no block took for that many blocks is replaced at a higher fee. */
  bumpAfterBlocks: number;
}

export const FEE_POLICY_DEFAULT: FeePolicy = {
  tipWeiPerGas: 1_000_000_000n,
  maxFeeCapWeiPerGas: 1_000_000_000_000n,
  bumpAfterBlocks: 5,
};

export interface TransactionOutboxOptions {
  client: L1Client;
  account: LocalAccount;
  /** Directory of the store. One outbox an account: two would give the same nonce away. */
  path: string;
  fees?: FeePolicy;
}

export interface OutboxReport {
  head: L1Block;
  waiting: number;
  included: number;
  /** Intents that became included, settled or uncovered by a reorg in this round. */
  newlyIncluded: Intent[];
  removedByReorg: Intent[];
  /** Attempts sent in this round: first sends, rebroadcasts and replacements at a higher fee. */
  sent: number;
  bumped: number;
  /** Intents held back because the base fee is above the cap. */
  feeCapped: number;
}

export interface TransactionOutbox {
  readonly address: Hex;
  /** Stores the intent and sends it. The same id again changes nothing and answers with what is stored. */
  submit(id: string, request: IntentRequest): Promise<Intent>;
  /** One round: receipts, reorgs, drops, fees. */
  tick(): Promise<OutboxReport>;
  /**
   * What was wanted has happened otherwise: an intent that is in no block yet becomes a transfer of nothing, because its nonce
   * must be used. An attempt that was sent before may still be included instead.
   */
  cancel(id: string): Promise<void>;
  /** From the next attempt on; see FeePolicy.maxFeeCapWeiPerGas. */
  setFeeCap(weiPerGas: bigint): void;
  intent(id: string): Intent | undefined;
  /** Unsettled intents by nonce: waiting or included in a block that is not final yet. */
  open(): Intent[];
  close(): Promise<void>;
}

/** Nodes take a replacement from 10% on; an eighth is also what a base fee rises by in a full block. */
function bumpedCeil(weiPerGas: bigint): bigint {
  return (weiPerGas * 9n + 7n) / 8n;
}

/** Nodes replace a blob transaction only when every fee doubles. */
const doubled = (weiPerGas: bigint): bigint => 2n * weiPerGas;
/** 131,072 blob gas at this price cost 0.00013 ETH: no reason to be replaced soon. */
const BLOB_FEE_LEAST = 1_000_000_000n;

const TRANSFER_GAS = 21_000;

/** Answers of nodes that mean "I have it" or "the next round will tell": no reason to stop. */
const HARMLESS_REFUSALS = [
  /already known/i,
  /already imported/i,
  /nonce too low/i,
  /underpriced/i,
  /max fee per gas less than block base fee/i,
  /fee cap less than block base fee/i,
  // An account has either blobs or other transactions in a node's pool: the others wait until the blobs are in a block.
  /address already reserved/i,
  /max fee per blob gas/i,
];

class DurableOutbox implements TransactionOutbox {
  readonly address: Hex;
  readonly #client: L1Client;
  readonly #account: LocalAccount;
  #fees: FeePolicy;
  readonly #store: OutboxStore;
  /** Attempt → latest block when this process sent it last. */
  readonly #sentAt = new Map<Hex, Hex>();

  constructor(options: TransactionOutboxOptions) {
    this.address = options.account.address;
    this.#client = options.client;
    this.#account = options.account;
    this.#fees = options.fees ?? FEE_POLICY_DEFAULT;
    this.#store = openOutboxStore(options.path, options.client.chain.id, options.account.address);
  }

  intent(id: string): Intent | undefined {
    return this.#store.get(id);
  }
  open(): Intent[] {
    return this.#store.unsettled();
  }
  close(): Promise<void> {
    return this.#store.close();
  }

  async submit(id: string, request: IntentRequest): Promise<Intent> {
    const stored = this.#store.get(id);
    if (stored !== undefined) return stored;
    const chainNonce = await this.#nonce();
    const intent = this.#store.add(id, request, chainNonce);
    const head = await readExistingBlock(this.#client, "latest");
    await this.#send(intent, head);
    return intent;
  }

  async tick(): Promise<OutboxReport> {
    const head = await readExistingBlock(this.#client, "latest");
    const finalised = await readExistingBlock(this.#client, "finalized");
    const nonce = await this.#nonce();
    const report: OutboxReport = {
      head,
      waiting: 0,
      included: 0,
      newlyIncluded: [],
      removedByReorg: [],
      sent: 0,
      bumped: 0,
      feeCapped: 0,
    };
    // What one is refused for says nothing of the others: they have their round before it is told.
    let refusal: { error: unknown } | null = null;
    for (const intent of this.#store.unsettled()) {
      await this.#refreshInclusion(intent, nonce, report);
      if (intent.inclusion === null) {
        report.waiting++;
        try {
          if (intent.nonce >= nonce) await this.#resend(intent, head, report);
        } catch (error) {
          refusal ??= { error };
        }
        continue;
      }
      if (intent.inclusion.blockNumber <= finalised.number) this.#settle(intent);
      else report.included++;
    }
    if (refusal !== null) throw refusal.error;
    return report;
  }

  setFeeCap(weiPerGas: bigint): void {
    this.#fees = { ...this.#fees, maxFeeCapWeiPerGas: weiPerGas };
  }

  async cancel(id: string): Promise<void> {
    const intent = this.#store.get(id);
    if (intent === undefined || intent.inclusion !== null || intent.attemptsCancelled !== undefined) return;
    intent.request = { to: this.address, data: "0x", valueWei: "0", gas: String(TRANSFER_GAS) };
    intent.attemptsCancelled = intent.attempts.length;
    this.#store.put(intent);
    await this.#send(intent, await readExistingBlock(this.#client, "latest"));
  }

  #settle(intent: Intent): void {
    for (const { hash } of intent.attempts) this.#sentAt.delete(hash);
    this.#store.settle(intent);
  }

  #nonce(): Promise<number> {
    return l1Call("nonce", () => this.#client.getTransactionCount({ address: this.address, blockTag: "latest" }));
  }

  async #refreshInclusion(intent: Intent, chainNonce: number, report: OutboxReport): Promise<void> {
    const known = intent.inclusion;
    if (known !== null) {
      const block = await readBlock(this.#client, known.blockNumber);
      if (block?.hash === known.blockHash) return;
      report.removedByReorg.push(intent);
      intent.inclusion = null;
    }
    if (intent.nonce < chainNonce) intent.inclusion = await this.#findInclusion(intent);
    if (known !== null || intent.inclusion !== null) this.#store.put(intent);
    if (intent.inclusion !== null) report.newlyIncluded.push(intent);
  }

  /** @throws ChainError NONCE_TAKEN when a transaction that is not ours used the intent's nonce. */
  async #findInclusion(intent: Intent): Promise<Inclusion | null> {
    for (const attempt of intent.attempts.toReversed()) {
      const receipt = await readReceipt(this.#client, attempt.hash);
      if (receipt === null) continue;
      return {
        transactionHash: attempt.hash,
        blockNumber: Number(receipt.blockNumber),
        blockHash: receipt.blockHash,
        reverted: receipt.status !== "success",
        gasUsed: Number(receipt.gasUsed),
      };
    }
    // A reorg between the two questions gives the nonce back.
    if ((await this.#nonce()) <= intent.nonce) return null;
    const context = { id: intent.id, nonce: intent.nonce, address: this.address };
    throw new ChainError("NONCE_TAKEN", `nonce ${intent.nonce} of ${this.address} was used by somebody else`, {
      context,
    });
  }

  async #resend(intent: Intent, head: L1Block, report: OutboxReport): Promise<void> {
    const last = intent.attempts[intent.attempts.length - 1];
    if (last === undefined || intent.attempts.length === intent.attemptsCancelled) {
      await this.#send(intent, head, report);
      return;
    }
    // Under the same latest block nothing can have happened to what this process sent.
    if (this.#sentAt.get(last.hash) === head.hash) return;
    const cannotPay =
      BigInt(last.maxFeePerGas) < bumpedCeil(head.baseFeePerGas) ||
      (last.maxFeePerBlobGas !== undefined && BigInt(last.maxFeePerBlobGas) < bumpedCeil(await this.#blobBaseFee()));
    const pooled = await this.#isPooled(last.hash);
    const stuck = pooled && head.number - last.sentAtBlock >= this.#fees.bumpAfterBlocks;
    if (cannotPay || stuck) {
      await this.#send(intent, head, report);
    } else if (!pooled) {
      await this.#broadcast(intent, last, head);
      report.sent++;
    }
  }

  async #isPooled(hash: Hex): Promise<boolean> {
    const answer = await l1Call("eth_getTransactionByHash", () =>
      this.#client.request({ method: "eth_getTransactionByHash", params: [hash] }),
    );
    return answer !== null;
  }

  /** Makes a new attempt: the first, or one that replaces the last at a higher fee. */
  async #send(intent: Intent, head: L1Block, report?: OutboxReport): Promise<void> {
    const last = intent.attempts[intent.attempts.length - 1];
    const isBlob = intent.request.blobData !== undefined;
    const bumped = isBlob ? doubled : bumpedCeil;
    const least = last === undefined ? 0n : bumped(BigInt(last.maxFeePerGas));
    const leastTip = last === undefined ? 0n : bumped(BigInt(last.maxPriorityFeePerGas));
    const tip = leastTip > this.#fees.tipWeiPerGas ? leastTip : this.#fees.tipWeiPerGas;
    const wanted = 2n * head.baseFeePerGas + tip;
    const cap = this.#fees.maxFeeCapWeiPerGas;
    let maxFeePerGas = wanted > least ? wanted : least;
    // Twice the base fee is comfort; what one block can raise it to is enough to be included.
    const enough = bumpedCeil(head.baseFeePerGas) + tip;
    if (maxFeePerGas > cap && cap >= least && cap >= enough) maxFeePerGas = cap;
    if (maxFeePerGas > cap) {
      if (report !== undefined) report.feeCapped++;
      return;
    }
    const attempt = await this.#sign(intent, maxFeePerGas, tip, head.number);
    this.#store.addAttempt(intent, attempt);
    await this.#broadcast(intent, attempt, head);
    if (report === undefined) return;
    report.sent++;
    if (last !== undefined) report.bumped++;
  }

  async #sign(intent: Intent, maxFeePerGas: bigint, tip: bigint, sentAtBlock: number): Promise<Attempt> {
    const { to, data, valueWei, gas, blobData } = intent.request;
    const common = {
      chainId: this.#client.chain.id,
      nonce: intent.nonce,
      to,
      data,
      gas: BigInt(gas),
      maxFeePerGas,
      maxPriorityFeePerGas: tip,
    };
    const fees = { maxFeePerGas: maxFeePerGas.toString(), maxPriorityFeePerGas: tip.toString(), sentAtBlock };
    if (blobData === undefined) {
      const raw = await this.#account.signTransaction({ ...common, type: "eip1559", value: BigInt(valueWei) });
      return { hash: keccak256(raw), raw, ...fees };
    }
    const last = intent.attempts[intent.attempts.length - 1];
    const least = doubled(BigInt(last?.maxFeePerBlobGas ?? BLOB_FEE_LEAST / 2n));
    const wanted = doubled(await this.#blobBaseFee());
    const maxFeePerBlobGas = wanted > least ? wanted : least;
    const signed = await signBlobTransaction(this.#account, {
      ...common,
      valueWei: BigInt(valueWei),
      maxFeePerBlobGas,
      blob: packBlob(hexToBytes(blobData)),
    });
    return { ...signed, ...fees, maxFeePerBlobGas: maxFeePerBlobGas.toString() };
  }

  #blobBaseFee(): Promise<bigint> {
    return l1Call("blob base fee", () => this.#client.getBlobBaseFee());
  }

  async #broadcast(intent: Intent, attempt: Attempt, head: L1Block): Promise<void> {
    const serializedTransaction = attempt.raw;
    this.#sentAt.set(attempt.hash, head.hash);
    try {
      await this.#client.sendRawTransaction({ serializedTransaction });
      intent.lastRefusal = null;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      intent.lastRefusal = message.split("\n", 1)[0] ?? message;
      if (HARMLESS_REFUSALS.some((pattern) => pattern.test(message))) return;
      // Stored and numbered: whatever kept it from the L1 now, the next round tries again.
      throw l1Error(`sending ${intent.id}`, error, { id: intent.id, nonce: intent.nonce });
    }
  }
}

/** @throws ChainError L1_INCONSISTENT when the store belongs to another chain or account. */
export function openTransactionOutbox(options: TransactionOutboxOptions): TransactionOutbox {
  return new DurableOutbox(options);
}

export type { Attempt, Inclusion, Intent, IntentRequest } from "./outboxStore.ts";
