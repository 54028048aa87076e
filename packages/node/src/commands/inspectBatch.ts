// One batch as the L1 holds it, beside the cycles that the venue's own journal has for it.
import {
  type BatchEvent,
  batchChainAbi,
  type Deployment,
  type L1Client,
  l1Call,
  readBatchEvents,
  readBlock,
  readExistingBlock,
} from "@tidemark/chain";
import type { JournalReader } from "@tidemark/journal";
import { assert, hexToBytes } from "@tidemark/num";
import { type BatchHeader, DATA_MODE_BLOB, decodePost } from "@tidemark/settlement";
import { kindName } from "../venue/history.ts";

export interface BatchFound {
  number: number;
  batchHash: string;
  header: BatchHeader;
  transaction: string;
  block: number;
  calldataBytes: number;
  /** Of the data in the batch's blob; 0 where they are in the calldata. */
  blobBytes: number;
  gas: number;
  postedSeconds: number;
  /** Earliest finalisation. */
  floorSeconds: number;
  windowLeftSeconds: number;
  /** When the L1's own checkpoints and the venue's window reached it; null before. */
  safeSeconds: number | null;
  l1FinalSeconds: number | null;
  finalSeconds: number | null;
  state: "posted" | "final";
}

export interface BatchContent {
  cyclesByKind: Record<string, number>;
  fills: number;
  messages: number;
  settledDeltas: number;
  /** Whether the journal's last cycle of the batch has the root that the L1 holds. */
  rootsEqual: boolean;
}

export class BatchesOnL1 {
  readonly #client: L1Client;
  readonly #deployment: Deployment;
  readonly events: readonly BatchEvent[];

  private constructor(client: L1Client, deployment: Deployment, events: readonly BatchEvent[]) {
    this.#client = client;
    this.#deployment = deployment;
    this.events = events;
  }

  static async read(client: L1Client, deployment: Deployment): Promise<BatchesOnL1> {
    const head = await readExistingBlock(client, "latest");
    return new BatchesOnL1(
      client,
      deployment,
      await readBatchEvents(client, deployment, deployment.deployedAtBlock, head.number),
    );
  }

  /** The header is in the calldata of either mode: a blob that nobody keeps any more is not missed. */
  async #headerOf(event: BatchEvent): Promise<{ header: BatchHeader; calldataBytes: number; postedSeconds: number }> {
    const { blockHash, transactionHash } = event;
    const [transaction, block] = await l1Call(`batch ${event.number}`, () =>
      Promise.all([this.#client.getTransaction({ hash: transactionHash }), this.#client.getBlock({ blockHash })]),
    );
    const calldata = hexToBytes(transaction.input);
    const call = decodePost(calldata, null);
    assert(call.header !== null, "the contract took the batch, so its header decodes");
    return { header: call.header, calldataBytes: calldata.length, postedSeconds: Number(block.timestamp) };
  }

  /** Time at which a checkpoint that runs `lag` blocks behind the head reached `block`. */
  async #checkpointSeconds(tag: "safe" | "finalized", block: number): Promise<number | null> {
    const head = await readExistingBlock(this.#client, "latest");
    const checkpoint = await readExistingBlock(this.#client, tag);
    if (block > checkpoint.number) return null;
    const reached = await readBlock(this.#client, block + head.number - checkpoint.number);
    return reached?.timestampSeconds ?? null;
  }

  async #finalSeconds(number: number): Promise<number | null> {
    const [log] = await this.#client.getContractEvents({
      address: this.#deployment.batchChain,
      abi: batchChainAbi,
      eventName: "BatchFinal",
      args: { number: BigInt(number) },
      fromBlock: BigInt(this.#deployment.deployedAtBlock),
    });
    if (log === undefined) return null;
    return (await readExistingBlock(this.#client, Number(log.blockNumber))).timestampSeconds;
  }

  /** Null when there is no such batch. */
  async batch(number: number): Promise<BatchFound | null> {
    const event = this.events[number - 1];
    if (event === undefined) return null;
    const { header, calldataBytes, postedSeconds } = await this.#headerOf(event);
    const receipt = await this.#client.getTransactionReceipt({ hash: event.transactionHash });
    const head = await readExistingBlock(this.#client, "latest");
    const finalSeconds = await this.#finalSeconds(number);
    return {
      number,
      batchHash: event.batchHash,
      header,
      transaction: event.transactionHash,
      block: event.blockNumber,
      calldataBytes,
      blobBytes: header.dataMode === DATA_MODE_BLOB ? header.dataLength : 0,
      gas: Number(receipt.gasUsed),
      postedSeconds,
      floorSeconds: event.floorSeconds,
      windowLeftSeconds: finalSeconds === null ? Math.max(0, event.floorSeconds - head.timestampSeconds) : 0,
      safeSeconds: await this.#checkpointSeconds("safe", event.blockNumber),
      l1FinalSeconds: await this.#checkpointSeconds("finalized", event.blockNumber),
      finalSeconds,
      state: finalSeconds === null ? "posted" : "final",
    };
  }

  /** The batch that carries a cycle, by bisection: batches follow each other without gaps. Null while it is not posted. */
  async batchOfCycle(cycle: number): Promise<BatchFound | null> {
    let low = 0;
    let high = this.events.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const { header } = await this.#headerOf(this.events[middle] as BatchEvent);
      if (cycle < header.firstCycle) high = middle - 1;
      else if (cycle >= header.firstCycle + header.cycleCount) low = middle + 1;
      else return this.batch(middle + 1);
    }
    return null;
  }
}

export function contentOf(reader: JournalReader, header: BatchHeader): BatchContent {
  const content: BatchContent = { cyclesByKind: {}, fills: 0, messages: 0, settledDeltas: 0, rootsEqual: false };
  for (const cycle of reader.readCycles(header.firstCycle, header.firstCycle + header.cycleCount)) {
    const kind = kindName(cycle.kind);
    content.cyclesByKind[kind] = (content.cyclesByKind[kind] ?? 0) + 1;
    content.fills += cycle.fills;
    content.messages += cycle.messages;
    content.settledDeltas += cycle.settledDeltas;
    content.rootsEqual = cycle.postRoot === header.postStateRoot;
  }
  return content;
}
