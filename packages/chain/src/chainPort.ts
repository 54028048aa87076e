// The batch chain as the proposer uses it: what the L1 shows, joined with what is on its way in the transaction outbox.
import { assert, bytesToHex, hexToBytes } from "@tidemark/num";
import {
  type Batch,
  type BatchHeader,
  type BatchTip,
  type ChainPort,
  type ChainView,
  type ClaimArguments,
  type CycleSource,
  decodePostBatch,
  encodePostBatch,
  genesisTip,
  hashHeader,
  tipAfter,
} from "@tidemark/settlement";
import { encodeFunctionData } from "viem";
import { readFinalisableAt } from "./affirmationClient.ts";
import { type BatchEvent, type DroppedBatches, readBatchEvents, readPostedBatch } from "./batchReader.ts";
import { claimCalldata } from "./claimsClient.ts";
import { type L1Client, readBlock } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, isTransportError, l1Call, l1Error } from "./errors.ts";
import { batchChainAbi } from "./generated/contracts.ts";
import { stakeRegistryAbi } from "./generated/stake.ts";
import { compareWithOwn } from "./ownBatch.ts";
import type { Intent, OutboxReport, TransactionOutbox } from "./transactionOutbox.ts";

/** What is known of a batch in a block of the L1. */
export interface PostedSummary {
  number: number;
  batchHash: string;
  header: BatchHeader;
  cycles: number;
  fills: number;
  messages: number;
  settledDeltas: number;
  /** Of the calldata. */
  l1Bytes: number;
  /** 0 when another outbox posted it. */
  l1Gas: number;
  floorSeconds: number;
  blockNumber: number;
  postedAtSeconds: number;
}

export interface L1ChainPort extends ChainPort {
  /** Batches of our own cycles in blocks, oldest first; what follows a foreign one is left out. */
  readonly posted: readonly PostedSummary[];
  readonly lastFinal: number;
  readonly outboxReport: OutboxReport | null;
  /** Reverted transactions so far; more than a few in a row stop the proposer. */
  readonly reverted: number;
  /** Sends for the bonds of our batches that were dropped as descendants of a convicted one. */
  reclaimBonds(): Promise<void>;
  withdrawBond(): Promise<void>;
  bondCreditWei(): Promise<bigint>;
}

export interface L1ChainPortOptions {
  client: L1Client;
  deployment: Deployment;
  outbox: TransactionOutbox;
  /**
   * The venue's cycles. While a batch on the L1 differs from them nothing is posted: it is dropped, or it becomes final and the
   * proposer ends. A batch that does not differ and is convicted ends it at once: the venue's own log is wrong.
   */
  source: CycleSource;
  bondWei: bigint;
}

// Calldata costs at most 40 gas a byte (the floor price of EIP-7623), execution adds hashing and two storage records.
const POST_GAS_FIXED = 600_000;
const POST_GAS_PER_BYTE = 48;
const POST_GAS_PER_CYCLE = 3_000;
const FINALISE_GAS = 300_000n;
const CLAIM_GAS = 400_000n;
const BOND_GAS = 150_000n;
/** A transaction of ours that reverts is sent anew from a fresh view; that many in a row mean that the view is wrong. */
const REVERTS_IN_A_ROW_MAX = 24;

const RECLAIM_GAS = 150_000n;

const POST_ID = /^post\/(\d+)\//;
const FINALISE_ID = /^finalise\/(\d+)\//;

class BatchChainPort implements L1ChainPort {
  readonly #options: L1ChainPortOptions;
  readonly #posted: PostedSummary[] = [];
  #events: BatchEvent[] = [];
  #scanned = { number: -1, hash: "" };
  #lastFinal = 0;
  #report: OutboxReport | null = null;
  #revertsInARow = 0;
  #reverted = 0;
  /** Headers of batches on their way, by intent: decoding 120 KiB every round would cost more than the round. */
  readonly #headers = new Map<string, BatchHeader>();
  /** Batches whose finalisation is on its way. */
  #finalisePending = new Set<number>();
  #foreign: { number: number; detail: string } | null = null;
  /** Numbers above the chain's last whose batch was ours: the bond is there until it is reclaimed or the number is used again. */
  readonly #dropped = new Map<number, DroppedBatches>();

  constructor(options: L1ChainPortOptions) {
    this.#options = options;
  }

  get posted(): readonly PostedSummary[] {
    return this.#posted;
  }
  get lastFinal(): number {
    return this.#lastFinal;
  }
  get outboxReport(): OutboxReport | null {
    return this.#report;
  }
  get reverted(): number {
    return this.#reverted;
  }

  async view(): Promise<ChainView> {
    const report = await this.#options.outbox.tick();
    this.#report = report;
    this.#countReverts(report);
    await this.#scan(report.head.number, report.head.hash);
    const { client, deployment } = this.#options;
    const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
    this.#lastFinal = Number(
      await l1Call("last final batch", () => client.readContract({ ...chain, functionName: "lastFinal" })),
    );
    this.#refuseFinalForeign();
    const inFlight = this.#inFlight();
    const lastPosted = this.#posted[this.#posted.length - 1];
    const lastHeader = inFlight[inFlight.length - 1] ?? lastPosted?.header;
    const tip: BatchTip = lastHeader === undefined ? genesisTip(deployment.genesisRoot) : tipAfter(lastHeader);
    return {
      timestampSeconds: report.head.timestampSeconds,
      tip,
      foreign: this.#foreign,
      turns: await this.#turnsFrom(tip.number + 1),
      inFlight: inFlight.length,
      lastNumber: this.#posted.length,
      lastFinal: this.#lastFinal,
      waiting: await this.#waiting(),
    };
  }

  /** From when on each may be final: of a proven batch the policy says it. */
  async #waiting(): Promise<ChainView["waiting"]> {
    const waiting = this.#posted.slice(this.#lastFinal).filter(({ number }) => !this.#finalisePending.has(number));
    return Promise.all(
      waiting.map(async ({ number, floorSeconds }) => {
        const isProven = this.#events[number - 1]?.isProven === true;
        return { number, floorSeconds: isProven ? await this.#provenFloor(number, floorSeconds) : floorSeconds };
      }),
    );
  }

  async #provenFloor(number: number, floorSeconds: number): Promise<number> {
    const { client, deployment } = this.#options;
    try {
      return await readFinalisableAt(client, deployment, number);
    } catch (error) {
      // Dropped since the events were read.
      if (error instanceof ChainError && error.code === "L1_REFUSED") return floorSeconds;
      throw error;
    }
  }

  /** Turns go round by number: who has two in a row has them all. */
  async #turnsFrom(number: number): Promise<number> {
    for (const turns of [0, 1]) if (!(await this.#mayPost(number + turns))) return turns;
    return Number.POSITIVE_INFINITY;
  }

  #mayPost(number: number): Promise<boolean> {
    const { client, deployment, outbox } = this.#options;
    const registry = { address: deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
    const args = [outbox.address, BigInt(number)] as const;
    return l1Call("turn to post", () => client.readContract({ ...registry, functionName: "mayPost", args }));
  }

  #countReverts(report: OutboxReport): void {
    for (const intent of report.newlyIncluded) {
      if (intent.inclusion?.reverted !== true) {
        this.#revertsInARow = 0;
        continue;
      }
      this.#reverted++;
      this.#revertsInARow++;
      if (this.#revertsInARow <= REVERTS_IN_A_ROW_MAX) continue;
      const context = { id: intent.id, transaction: intent.inclusion.transactionHash };
      throw new ChainError("TRANSACTION_REVERTED", `the L1 keeps refusing our transactions, last ${intent.id}`, {
        context,
      });
    }
  }

  /**
   * Posts that continue the chain as it was scanned; one whose parent is gone cannot land and is not counted. A post that is in a
   * block already but not among the events (a block or a reorg came between the two questions) is still on its way in this view:
   * it would be posted twice otherwise.
   */
  #inFlight(): BatchHeader[] {
    const list: BatchHeader[] = [];
    const finalising = new Set<number>();
    const open = this.#options.outbox.open();
    let parent = this.#posted[this.#posted.length - 1]?.batchHash;
    parent ??= genesisTip(this.#options.deployment.genesisRoot).batchHash;
    for (const intent of open) {
      if (intent.inclusion?.reverted === true) continue;
      const finalised = FINALISE_ID.exec(intent.id);
      if (finalised !== null && intent.inclusion === null) finalising.add(Number(finalised[1]));
      if (!POST_ID.test(intent.id)) continue;
      const header = this.#headerOf(intent);
      if (header.parent !== parent) continue;
      list.push(header);
      parent = hashHeader(header);
    }
    this.#finalisePending = finalising;
    const openIds = new Set(open.map(({ id }) => id));
    for (const id of this.#headers.keys()) if (!openIds.has(id)) this.#headers.delete(id);
    return list;
  }

  #headerOf(intent: Intent): BatchHeader {
    let header = this.#headers.get(intent.id);
    if (header !== undefined) return header;
    const call = decodePostBatch(hexToBytes(intent.request.data));
    assert(call.ok, "the outbox holds what post() encoded");
    header = call.header;
    this.#headers.set(intent.id, header);
    return header;
  }

  /** Follows the events up to `head`; after a reorg from the beginning, because cheap is not worth subtle here. */
  async #scan(headNumber: number, headHash: string): Promise<void> {
    const { client, deployment } = this.#options;
    if (this.#scanned.hash === headHash) return;
    const before = this.#scanned.number < 0 ? null : await readBlock(client, this.#scanned.number);
    const continues = before !== null && before.hash === this.#scanned.hash && this.#scanned.number <= headNumber;
    const from = continues ? this.#scanned.number + 1 : deployment.deployedAtBlock;
    const dropped: DroppedBatches[] = [];
    const known = continues ? this.#events : [];
    const events = await readBatchEvents(client, deployment, from, headNumber, known, (one) => dropped.push(one));
    if (!continues) this.#dropped.clear();
    for (const one of dropped) await this.#learnDropped(one);
    for (const number of this.#dropped.keys()) if (number <= events.length) this.#dropped.delete(number);
    const same = events.findIndex((event, i) => {
      const known = this.#posted[i];
      return known === undefined || known.batchHash !== event.batchHash || known.blockNumber !== event.blockNumber;
    });
    this.#posted.length = same < 0 ? events.length : same;
    this.#foreign = null;
    for (const event of events.slice(this.#posted.length)) {
      const summary = await this.#summarise(event);
      if (typeof summary === "string") {
        this.#foreign = { number: event.number, detail: summary };
        break;
      }
      this.#posted.push(summary);
    }
    this.#events = events;
    this.#scanned = { number: headNumber, hash: headHash };
  }

  /**
   * A conviction. Ours may be dropped as descendants; one of our own cycles that is convicted itself would be posted and convicted
   * again for ever.
   */
  async #learnDropped(dropped: DroppedBatches): Promise<void> {
    const [convicted, ...descendants] = dropped.batches;
    if (convicted === undefined) return;
    const summary = await this.#summarise(convicted);
    if (typeof summary !== "string") {
      const context = { batch: convicted.number, transaction: dropped.transactionHash };
      throw new ChainError(
        "OWN_BATCH_CONVICTED",
        `batch ${convicted.number} holds this venue's own cycles and was proven wrong on the L1`,
        { context },
      );
    }
    for (const { number, proposer } of descendants) {
      if (proposer.toLowerCase() === this.#options.outbox.address.toLowerCase()) this.#dropped.set(number, dropped);
    }
  }

  /** A batch of ours; a string says how it differs from our cycles. */
  async #summarise(event: BatchEvent): Promise<PostedSummary | string> {
    const posted = await readPostedBatch(this.#options.client, event);
    const compared = await compareWithOwn(posted, this.#options.source, this.#posted[event.number - 2]?.header);
    if (!compared.ok) return compared.why;
    const { header, own } = compared;
    const sum = (field: "fills" | "messages" | "settledDeltas"): number =>
      own.reduce((total, cycle) => total + cycle[field], 0);
    return {
      number: event.number,
      batchHash: event.batchHash,
      header,
      cycles: own.length,
      fills: sum("fills"),
      messages: sum("messages"),
      settledDeltas: sum("settledDeltas"),
      l1Bytes: posted.calldata.length,
      l1Gas: this.#gasOf(event),
      floorSeconds: event.floorSeconds,
      blockNumber: event.blockNumber,
      postedAtSeconds: posted.blockTimestampSeconds,
    };
  }

  #gasOf(event: BatchEvent): number {
    for (let attempt = 0; ; attempt++) {
      const intent = this.#options.outbox.intent(postId(event.number, event.batchHash, attempt));
      if (intent === undefined) return 0;
      if (intent.inclusion?.transactionHash === event.transactionHash) return intent.inclusion.gasUsed;
    }
  }

  /** The venue has forked from its L1: nothing that it does from here on can be settled. */
  #refuseFinalForeign(): void {
    const foreign = this.#foreign;
    if (foreign === null || foreign.number > this.#lastFinal) return;
    const { number, detail } = foreign;
    throw new ChainError("FOREIGN_BATCH", `batch ${number} is final and not of this venue's cycles: ${detail}`, {
      context: { batch: number, transaction: this.#events[number - 1]?.transactionHash ?? "" },
    });
  }

  /** First id of the series that is free: earlier ones were included and reverted. */
  #freeId(idOf: (attempt: number) => string): string {
    for (let attempt = 0; ; attempt++) {
      const id = idOf(attempt);
      const known = this.#options.outbox.intent(id);
      if (known === undefined || known.inclusion === null) return id;
    }
  }

  async post(batch: Batch): Promise<void> {
    const { header, data } = batch;
    const calldata = encodePostBatch(header, data);
    const gas = POST_GAS_FIXED + POST_GAS_PER_BYTE * calldata.length + POST_GAS_PER_CYCLE * header.cycleCount;
    const id = this.#freeId((attempt) => postId(header.number, batch.batchHash, attempt));
    await this.#options.outbox.submit(id, {
      to: this.#options.deployment.batchChain,
      data: bytesToHex(calldata),
      valueWei: this.#options.bondWei.toString(),
      gas: gas.toString(),
    });
  }

  async finalise(batchNumber: number): Promise<void> {
    const args = [BigInt(batchNumber)] as const;
    const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args });
    const id = this.#freeId((attempt) => `finalise/${batchNumber}/${attempt}`);
    await this.#send(id, data, FINALISE_GAS);
    this.#finalisePending.add(batchNumber);
  }

  async reclaimBonds(): Promise<void> {
    const { client, deployment, outbox } = this.#options;
    for (const [number, { transactionHash }] of this.#dropped) {
      const id = `reclaim/${number}/${transactionHash}`;
      if (outbox.intent(id) !== undefined) continue;
      const args = [BigInt(number)] as const;
      const data = encodeFunctionData({ abi: batchChainAbi, functionName: "reclaimBond", args });
      try {
        await client.call({ account: outbox.address, to: deployment.batchChain, data });
      } catch (error) {
        if (isTransportError(error)) throw l1Error("bond of a dropped batch", error);
        // Anyone may have asked for it before.
        this.#dropped.delete(number);
        continue;
      }
      await this.#send(id, data, RECLAIM_GAS);
    }
  }

  async withdrawBond(): Promise<void> {
    const data = encodeFunctionData({ abi: batchChainAbi, functionName: "withdrawBond" });
    await this.#send(
      this.#freeId((attempt) => `bond/${attempt}`),
      data,
      BOND_GAS,
    );
  }

  bondCreditWei(): Promise<bigint> {
    const { client, deployment, outbox } = this.#options;
    return l1Call("bond credit", () =>
      client.readContract({
        address: deployment.batchChain,
        abi: batchChainAbi,
        functionName: "bondCredit",
        args: [outbox.address],
      }),
    );
  }

  async claim(claim: ClaimArguments): Promise<void> {
    const { outbox, deployment } = this.#options;
    const id = this.#freeId((attempt) => `claim/${claim.withdrawalNumber}/${attempt}`);
    await outbox.submit(id, {
      to: deployment.custody,
      data: claimCalldata(claim),
      valueWei: "0",
      gas: CLAIM_GAS.toString(),
    });
  }

  async #send(id: string, data: `0x${string}`, gas: bigint): Promise<void> {
    const { outbox, deployment } = this.#options;
    await outbox.submit(id, { to: deployment.batchChain, data, valueWei: "0", gas: gas.toString() });
  }
}

function postId(number: number, batchHash: string, attempt: number): string {
  return `post/${number}/${batchHash}/${attempt}`;
}

export function createChainPort(options: L1ChainPortOptions): L1ChainPort {
  return new BatchChainPort(options);
}
