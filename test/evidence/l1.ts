// An L1 with the whole venue deployed, whose queue holds whatever a stream's inbound cycles consume and whose batches are posted
// as they are given: right ones and forged ones.
import {
  connectL1,
  type Deployment,
  deployVenue,
  developmentAccount,
  disputeAbi,
  type EmbeddedL1,
  type L1Client,
  signBlobTransaction,
  stakeRegistryAbi,
  startEmbeddedL1,
  testUsdcAbi,
  transactAll,
} from "@tidemark/chain";
import { encodeParameters, LedgerState, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type Batch,
  type BatchTip,
  encodePostBatch,
  encodePostBatchBlob,
  genesisTip,
  tipAfter,
} from "@tidemark/settlement";
import {
  type Address,
  encodeFunctionData,
  type Hex,
  type LocalAccount,
  numberToHex,
  type TransactionReceipt,
} from "viem";
import { factoryParameters, GENESIS_TIME_MS } from "../../packages/ledger/test/factory.ts";
import { RISK } from "../../packages/ledger/test/stream/stream.ts";
import { type CompiledContract, compiledContract } from "./compile.ts";

export const BOND_WEI = 10n ** 18n;
/** No challenge may need more. */
export const CHALLENGE_GAS = 12_000_000n;
const POST_GAS = 12_000_000n;
const QUEUE_GAS = 16_000_000n;
const QUEUE_ENTRIES_PER_CALL = 64;
const GENESIS_SECONDS = Math.floor(GENESIS_TIME_MS / 1000) - 300;
const BATCH_CALLS = 64;
/** The node takes no larger requests than 2 MB. */
const BATCH_HEX_MAX = 1_200_000;

export interface ReadCall {
  from?: Address;
  to: Address;
  data: Hex;
  gas?: bigint;
}

export type ReadAnswer = { ok: true; data: Hex } | { ok: false; error: string; data: string };

interface RpcAnswer {
  id: number;
  result?: Hex;
  error?: { message: string; data?: unknown };
}

interface QueueSlots {
  lengthSlot: bigint;
  lengthShift: bigint;
  hashSlot: bigint;
}

function queueSlots(custody: CompiledContract): QueueSlots {
  const slotOf = (label: string): { slot: string; offset: number } => {
    const found = custody.storage.find((one) => one.label === label);
    if (found === undefined) throw new Error(`Custody has no ${label}`);
    return found;
  };
  const length = slotOf("queueLength");
  return {
    lengthSlot: BigInt(length.slot),
    lengthShift: BigInt(8 * length.offset),
    hashSlot: BigInt(slotOf("queueHash").slot),
  };
}

function frozenSlot(custody: CompiledContract): { slot: Hex; offset: number } {
  const found = custody.storage.find(({ label }) => label === "frozen");
  if (found === undefined) throw new Error("Custody has no flag frozen");
  return { slot: numberToHex(BigInt(found.slot), { size: 32 }), offset: found.offset };
}

const STAKE_MICRO_USDC = 10n ** 15n;

/** A stake that pays for every conviction of the run. */
async function stakeForMany(
  client: L1Client,
  deployment: Deployment,
  payer: LocalAccount,
  proposer: Address,
  mine: () => Promise<void>,
): Promise<void> {
  const { token, stakeRegistry } = deployment;
  const tokenCall = (functionName: "mint" | "approve", to: Address): Hex =>
    encodeFunctionData({ abi: testUsdcAbi, functionName, args: [to, STAKE_MICRO_USDC] });
  const args = [proposer, STAKE_MICRO_USDC] as const;
  const deposit = encodeFunctionData({ abi: stakeRegistryAbi, functionName: "depositFor", args });
  const common = { sender: payer, gas: 500_000n, what: "stake" };
  await transactAll(
    client,
    [
      { ...common, to: token, data: tokenCall("mint", payer.address) },
      { ...common, to: token, data: tokenCall("approve", stakeRegistry) },
      { ...common, to: stakeRegistry, data: deposit },
    ],
    { mine },
  );
}

/** One call of a simulated block, with the answer of a transaction. */
export interface SimulatedCall {
  from: Address;
  to: Address;
  data: Hex;
  value?: bigint;
  /** Of the blobs that its transaction would carry. */
  blobVersionedHashes?: readonly Hex[];
}

export interface SimulatedAnswer {
  ok: boolean;
  /** Returned or reverted with. */
  data: Hex;
  error: string;
  gasUsed: number;
  logs: readonly { address: Address; topics: Hex[]; data: Hex }[];
}

/** Calls of one block after the latest: what they do is gone afterwards. */
export interface Simulation {
  calls: readonly SimulatedCall[];
  code?: { address: Address; code: Hex };
  storage?: { address: Address; slot: Hex; value: Hex };
  /** The block's time is not before it. */
  timeMs?: number;
}

interface RpcSimulatedCall {
  status: Hex;
  returnData: Hex;
  gasUsed: Hex;
  logs: SimulatedAnswer["logs"];
  error?: { message: string; data?: Hex };
}

export class EvidenceL1 {
  readonly l1: EmbeddedL1;
  readonly client: L1Client;
  readonly deployment: Deployment;
  readonly proposer: LocalAccount = developmentAccount("proposer");
  readonly challenger: LocalAccount = developmentAccount("challenger");
  /** What the next batch continues: the last one posted and not dropped. */
  tip: BatchTip;
  readonly #writer = compiledContract("contracts/test/support/QueueWriter.sol", "QueueWriter");
  readonly #slots = queueSlots(compiledContract("contracts/src/custody/Custody.sol", "Custody"));
  readonly #frozen = frozenSlot(compiledContract("contracts/src/custody/Custody.sol", "Custody"));
  #nowSeconds: number;

  private constructor(l1: EmbeddedL1, client: L1Client, deployment: Deployment, nowSeconds: number) {
    this.l1 = l1;
    this.client = client;
    this.deployment = deployment;
    this.tip = genesisTip(deployment.genesisRoot);
    this.#nowSeconds = nowSeconds;
  }

  /** Parameters of the ledger's streams. */
  static async start(): Promise<EvidenceL1> {
    const l1 = await startEmbeddedL1({ genesisTimestampSeconds: GENESIS_SECONDS, slotsInAnEpoch: 2 });
    const client = await connectL1(l1.url, l1.chainId);
    const deployer = developmentAccount("deployer");
    const proposer = developmentAccount("proposer");
    for (const { address } of [deployer, proposer, developmentAccount("challenger")]) {
      await l1.setBalance(address, 10n ** 24n);
    }
    let nowSeconds = GENESIS_SECONDS;
    const mine = async (): Promise<void> => {
      nowSeconds = (await l1.mine(nowSeconds + 1)).timestampSeconds;
    };
    const deployment = await deployVenue(client, {
      deployer,
      parameters: factoryParameters(RISK),
      proposer: proposer.address,
      lister: deployer.address,
      windowSeconds: 86_400,
      bondWei: BOND_WEI,
      forcedPeriodSeconds: 3_600,
      // Every conviction empties the set of proposers: the next second is open to whoever has a stake.
      turnSeconds: 1,
      mine,
    });
    await stakeForMany(client, deployment, deployer, proposer.address, mine);
    return new EvidenceL1(l1, client, deployment, nowSeconds);
  }

  /** Of the globals' cell in a witness. */
  get globalsBytes(): number {
    return LedgerState.genesis(this.deployment.parameters).globalsBytes().length;
  }

  stop(): Promise<void> {
    return this.l1.stop();
  }

  /** Time of the next block at the earliest. */
  get nextSeconds(): number {
    return this.#nowSeconds + 1;
  }

  /** A block whose time is not before `timeMs`. */
  async mine(timeMs = 0): Promise<void> {
    const seconds = Math.max(this.#nowSeconds + 1, Math.ceil(timeMs / 1000));
    this.#nowSeconds = (await this.l1.mine(seconds)).timestampSeconds;
  }

  async #setCode(address: Address, code: Hex): Promise<void> {
    await this.client.request({ method: "anvil_setCode", params: [address, code] } as never);
  }

  /** Appends the entries to the custody's queue, whether or not its functions would. */
  async queue(entries: readonly Uint8Array[]): Promise<void> {
    if (entries.length === 0) return;
    const { custody } = this.deployment;
    const code = await this.client.getCode({ address: custody });
    if (code === undefined) throw new Error("no custody");
    await this.#setCode(custody, this.#writer.runtime);
    const { lengthSlot, lengthShift, hashSlot } = this.#slots;
    for (let from = 0; from < entries.length; from += QUEUE_ENTRIES_PER_CALL) {
      const part = entries.slice(from, from + QUEUE_ENTRIES_PER_CALL).map((entry) => bytesToHex(entry));
      const args = [part, lengthSlot, lengthShift, hashSlot];
      const data = encodeFunctionData({ abi: this.#writer.abi, functionName: "push", args });
      await this.send({ sender: this.challenger, to: custody, data, gas: QUEUE_GAS, what: "queue entries" });
    }
    await this.#setCode(custody, code);
  }

  /** @throws ChainError TRANSACTION_REVERTED */
  async send(call: {
    sender: LocalAccount;
    to: Address;
    data: Hex;
    gas: bigint;
    valueWei?: bigint;
    what: string;
    /** The block's time is not before it. */
    timeMs?: number;
  }): Promise<TransactionReceipt> {
    const { timeMs, ...rest } = call;
    const [receipt] = await transactAll(this.client, [rest], { mine: () => this.mine(timeMs) });
    return receipt as TransactionReceipt;
  }

  /** Places a changed parameter set where the dispute contract finds it, as anybody may. */
  async registerParameters(parameters: ParameterSet): Promise<void> {
    const args = [bytesToHex(encodeParameters(parameters))] as const;
    const data = encodeFunctionData({ abi: disputeAbi, functionName: "registerParameters", args });
    const { dispute } = this.deployment;
    await this.send({ sender: this.challenger, to: dispute, data, gas: QUEUE_GAS, what: "parameter store" });
  }

  /** Posts the batch and continues from it. @throws ChainError when the batch chain refuses it */
  async post(batch: Batch, timeMs = batch.header.timeMs): Promise<TransactionReceipt> {
    const receipt = await this.send({
      sender: this.proposer,
      to: this.deployment.batchChain,
      data: bytesToHex(encodePostBatch(batch.header, batch.data)),
      gas: POST_GAS,
      valueWei: BOND_WEI,
      what: `batch ${batch.header.number}`,
      timeMs,
    });
    this.tip = tipAfter(batch.header);
    return receipt;
  }

  /** The same for a batch in a blob, which may be any. */
  async postBlob(batch: Batch, blob: Uint8Array): Promise<TransactionReceipt> {
    const { client, proposer, deployment } = this;
    const { raw, hash } = await signBlobTransaction(proposer, {
      chainId: client.chain.id,
      nonce: await client.getTransactionCount({ address: proposer.address }),
      to: deployment.batchChain,
      data: bytesToHex(encodePostBatchBlob(batch.header)),
      valueWei: BOND_WEI,
      gas: POST_GAS,
      maxFeePerGas: 100_000_000_000n,
      maxPriorityFeePerGas: 1_000_000_000n,
      maxFeePerBlobGas: 10_000_000_000n,
      blob,
    });
    await client.sendRawTransaction({ serializedTransaction: raw });
    await this.mine(batch.header.timeMs);
    const receipt = await client.getTransactionReceipt({ hash });
    if (receipt.status !== "success") throw new Error(`batch ${batch.header.number} in a blob is refused`);
    this.tip = tipAfter(batch.header);
    return receipt;
  }

  /** One eth_call each. */
  async read(calls: readonly ReadCall[]): Promise<ReadAnswer[]> {
    const requests = calls.map(({ from, to, data, gas }, id) => {
      const call = { from: from ?? this.challenger.address, to, data, gas: numberToHex(gas ?? CHALLENGE_GAS) };
      return { length: data.length, body: { jsonrpc: "2.0", id, method: "eth_call", params: [call, "latest"] } };
    });
    const answers = await this.#all(requests);
    return calls.map((_, id): ReadAnswer => {
      const answer = answers.get(id);
      if (answer?.result !== undefined) return { ok: true, data: answer.result };
      if (answer?.error === undefined) throw new Error("the node left a call unanswered");
      return { ok: false, error: answer.error.message, data: String(answer.error.data ?? "") };
    });
  }

  async #rpc(body: object[]): Promise<RpcAnswer[]> {
    const headers = { "content-type": "application/json" };
    const response = await fetch(this.l1.url, { method: "POST", headers, body: JSON.stringify(body) });
    const answers = (await response.json()) as RpcAnswer[] | { error: unknown };
    if (!Array.isArray(answers)) throw new Error(`the node refused a request: ${JSON.stringify(answers)}`);
    return answers;
  }

  /** Storage of the custody with its queue as it is and the venue frozen. */
  async frozenStorage(): Promise<NonNullable<Simulation["storage"]>> {
    const { slot, offset } = this.#frozen;
    const address = this.deployment.custody;
    const word = (await this.client.getStorageAt({ address, slot })) ?? "0x0";
    const value = BigInt(word) | (1n << BigInt(8 * offset));
    return { address, slot, value: numberToHex(value, { size: 32 }) };
  }

  /** The proposer's call that posts the batch. */
  postCall(batch: Batch): SimulatedCall {
    const data = bytesToHex(encodePostBatch(batch.header, batch.data));
    return { from: this.proposer.address, to: this.deployment.batchChain, data, value: BOND_WEI };
  }

  /** Of a batch. */
  get bondWei(): bigint {
    return BOND_WEI;
  }

  challengeCall(data: Hex): SimulatedCall {
    return { from: this.challenger.address, to: this.deployment.dispute, data };
  }

  /** Each in a block of its own after the latest, by eth_simulateV1: thousands of batches can be tried after one parent. */
  async simulate(simulations: readonly Simulation[]): Promise<SimulatedAnswer[][]> {
    const requests = simulations.map(({ calls, code, storage, timeMs = 0 }, id) => {
      const stateOverrides: Record<Address, object> = {};
      if (code !== undefined) stateOverrides[code.address] = { code: code.code };
      if (storage !== undefined) stateOverrides[storage.address] = { stateDiff: { [storage.slot]: storage.value } };
      const list = calls.map(({ value, ...call }) => ({ ...call, value: numberToHex(value ?? 0n) }));
      const seconds = Math.max(this.#nowSeconds + 1, Math.ceil(timeMs / 1000));
      const blockOverrides = { time: numberToHex(seconds) };
      const blockStateCalls = [{ blockOverrides, stateOverrides, calls: list }];
      return {
        length: calls.reduce((sum, { data }) => sum + data.length, code?.code.length ?? 0),
        body: {
          jsonrpc: "2.0",
          id,
          method: "eth_simulateV1",
          params: [{ blockStateCalls, validation: false }, "latest"],
        },
      };
    });
    const answers = await this.#all(requests);
    return simulations.map((_, id) => {
      const answer = answers.get(id);
      const [block] = (answer?.result ?? []) as unknown as { calls: RpcSimulatedCall[] }[];
      if (block === undefined) throw new Error(`the node did not simulate: ${answer?.error?.message}`);
      return block.calls.map(
        ({ status, returnData, gasUsed, logs, error }): SimulatedAnswer => ({
          ok: status === "0x1",
          data: returnData === "0x" ? (error?.data ?? "0x") : returnData,
          error: error?.message ?? "",
          gasUsed: Number(gasUsed),
          logs,
        }),
      );
    });
  }

  async #all(requests: readonly { length: number; body: object }[]): Promise<Map<number, RpcAnswer>> {
    const bodies: object[][] = [];
    let hexLength = BATCH_HEX_MAX;
    for (const { length, body } of requests) {
      if (hexLength + length > BATCH_HEX_MAX || (bodies.at(-1)?.length ?? 0) >= BATCH_CALLS) {
        bodies.push([]);
        hexLength = 0;
      }
      hexLength += length;
      bodies.at(-1)?.push(body);
    }
    const answers = (await Promise.all(bodies.map((body) => this.#rpc(body)))).flat();
    return new Map(answers.map((answer) => [answer.id, answer]));
  }
}
