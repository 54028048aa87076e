// Drives one challenge to its end: asked, made durable, sent, paid more as time runs out, sent again after a reorg. Somebody
// else's conviction is as good as one's own; a race that is lost costs what cannot be taken back and is no error.
import { encodeParameters, type Hash, type ParameterSet, parametersHash } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import type { Accusation } from "@tidemark/settlement";
import { type Address, encodeFunctionData, type Hex, type LocalAccount, parseAbiItem, zeroAddress } from "viem";
import { readFinalisableAt } from "./affirmationClient.ts";
import { challengePhrase, type PreparedChallenge, prepareChallenge, TRANSACTION_GAS_MAX } from "./challengeCall.ts";
import { eachBlockRange, type L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { l1Call } from "./errors.ts";
import { batchChainAbi } from "./generated/contracts.ts";
import { disputeAbi } from "./generated/dispute.ts";
import { type Intent, openTransactionOutbox, type TransactionOutbox } from "./transactionOutbox.ts";

export interface ChallengeFeePolicy {
  tipWeiPerGas: bigint;
  /** Most that is paid for gas when a batch has just been posted, and when its time is nearly over; it rises in between. */
  feeCapStartWeiPerGas: bigint;
  feeCapEndWeiPerGas: bigint;
  bumpAfterBlocks: number;
}

export const CHALLENGE_FEES_DEFAULT: ChallengeFeePolicy = {
  tipWeiPerGas: 2_000_000_000n,
  feeCapStartWeiPerGas: 50_000_000_000n,
  feeCapEndWeiPerGas: 500_000_000_000n,
  bumpAfterBlocks: 2,
};

export interface Conviction {
  batch: number;
  /** The ledger's rejection code; 0 where a root or a header field was wrong. */
  code: number;
  challenger: Address;
  rewardWei: bigint;
  burntWei: bigint;
  transactionHash: Hex;
  blockNumber: number;
}

export type ChallengeStep =
  /** On its way into a block. */
  | "sent"
  /** The batch is gone, by this challenge or another. */
  | "convicted"
  /** Not sent; `detail` says why. The next round looks again. */
  | "held"
  /** The batch was final before it was convicted: it stays, the custody is frozen, the venue is wound up from the one before. */
  | "convicted late"
  /** No face convicts: a difference between this watcher and the contracts. */
  | "unprovable";

export interface ChallengeReport {
  batch: number;
  step: ChallengeStep;
  detail: string;
  /** What is sent; null before anything convicts. */
  prepared: PreparedChallenge | null;
  conviction: Conviction | null;
}

export interface Target {
  number: number;
  batchHash: Hex;
  /** Block of its posting: convictions are looked for from there on. */
  blockNumber: number;
}

export interface DisputeClient {
  readonly address: Address;
  /** Keeps what was sent on its way, and takes back what is no longer needed. To be called in every round. */
  tick(): Promise<void>;
  /** One round for a batch at fault. */
  pursue(target: Target, accusation: Accusation): Promise<ChallengeReport>;
  /** Brings a parameter set that governance changed onto the L1, once. False while it is on its way. */
  ensureParameters(parameters: ParameterSet): Promise<boolean>;
  close(): Promise<void>;
}

export interface DisputeClientOptions {
  client: L1Client;
  deployment: Deployment;
  account: LocalAccount;
  /** Directory of the transaction outbox; one an account. */
  path: string;
  fees?: ChallengeFeePolicy;
}

const FRAUD_PROVEN = parseAbiItem(
  "event FraudProven(uint64 indexed number, uint32 indexed cycleIndex, uint256 code, address indexed challenger, uint256 rewardWei, uint256 burntWei)",
);
const CHALLENGE_ID = /^challenge\/(\d+)\/(0x[0-9a-f]{64})\/\d+$/;
// 200 gas a byte of code, 40 at most a byte of calldata.
const REGISTER_GAS_FIXED = 300_000;
const REGISTER_GAS_PER_BYTE = 300;
const PPM = 1_000_000n;
/** The full cap is reached when a quarter of the time is left. */
const FULL_CAP_AT_PPM = 750_000n;
/** The chain refuses a challenge that was asked for before: that many times, and something else is wrong. Then it is tried less often. */
const REVERTS_MAX = 8;
const REVERTS_PAUSE_BLOCKS = 8;

/** Cap for gas when `elapsedPpm` of the time from posting to finality is over. */
export function feeCapWeiPerGas(fees: ChallengeFeePolicy, elapsedPpm: bigint): bigint {
  const bounded = elapsedPpm < 0n ? 0n : elapsedPpm > FULL_CAP_AT_PPM ? FULL_CAP_AT_PPM : elapsedPpm;
  const range = fees.feeCapEndWeiPerGas - fees.feeCapStartWeiPerGas;
  return fees.feeCapStartWeiPerGas + (range * bounded) / FULL_CAP_AT_PPM;
}

/** What a batch that can be convicted is: pending, or final without a conviction yet. */
interface Open {
  state: "pending" | "final";
  postedSeconds: number;
  finalisableSeconds: number;
}

type Standing = { state: "gone" } | { state: "frozen" } | Open;

/** Convictions in a range of blocks, oldest first. */
export async function readConvictions(
  client: L1Client,
  deployment: Deployment,
  fromBlock: number,
  toBlock: number,
): Promise<Conviction[]> {
  const list: Conviction[] = [];
  await eachBlockRange(fromBlock, toBlock, async (from, to) => {
    const logs = await l1Call("convictions", () =>
      client.getLogs({ address: deployment.dispute, event: FRAUD_PROVEN, fromBlock: from, toBlock: to, strict: true }),
    );
    for (const { args, transactionHash, blockNumber } of logs) {
      const { number, code, challenger, rewardWei, burntWei } = args;
      const common = { challenger, rewardWei, burntWei, transactionHash, blockNumber: Number(blockNumber) };
      list.push({ batch: Number(number), code: Number(code), ...common });
    }
  });
  return list;
}

class OutboxDisputeClient implements DisputeClient {
  readonly #options: DisputeClientOptions;
  readonly #fees: ChallengeFeePolicy;
  readonly #outbox: TransactionOutbox;
  /** Of parameter sets that the L1 was seen to hold. */
  readonly #storedHashes = new Set<Hash>();
  /** The batch at fault: what its challenge waits for is as urgent as the challenge. */
  #pursued: Target | null = null;

  constructor(options: DisputeClientOptions) {
    const { client, account, path } = options;
    this.#options = options;
    this.#fees = options.fees ?? CHALLENGE_FEES_DEFAULT;
    const { tipWeiPerGas, feeCapStartWeiPerGas, bumpAfterBlocks } = this.#fees;
    const fees = { tipWeiPerGas, maxFeeCapWeiPerGas: feeCapStartWeiPerGas, bumpAfterBlocks };
    this.#outbox = openTransactionOutbox({ client, account, path, fees });
  }

  get address(): Address {
    return this.#options.account.address;
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }

  /** Challenges that are in no block, with the batch that each is against. */
  #waiting(): { intent: Intent; number: number; batchHash: Hex }[] {
    return this.#outbox.open().flatMap((intent) => {
      const match = CHALLENGE_ID.exec(intent.id);
      if (match === null || intent.inclusion !== null || intent.attemptsCancelled !== undefined) return [];
      return [{ intent, number: Number(match[1]), batchHash: match[2] as Hex }];
    });
  }

  async tick(): Promise<void> {
    const gone: Intent[] = [];
    let elapsedPpm = 0n;
    for (const { intent, number, batchHash } of this.#waiting()) {
      const standing = await this.#standing(number, batchHash);
      if (standing.state === "gone" || standing.state === "frozen") gone.push(intent);
      else elapsedPpm = max(elapsedPpm, await this.#elapsedPpm(standing));
    }
    if (this.#pursued !== null) {
      const standing = await this.#standing(this.#pursued.number, this.#pursued.batchHash);
      if (standing.state === "gone" || standing.state === "frozen") this.#pursued = null;
      else elapsedPpm = max(elapsedPpm, await this.#elapsedPpm(standing));
    }
    this.#outbox.setFeeCap(feeCapWeiPerGas(this.#fees, elapsedPpm));
    try {
      await this.#outbox.tick();
    } finally {
      // What the round found in a block needs no taking back. What nodes refuse must give its nonce to what comes after it.
      for (const { id } of gone) await this.#outbox.cancel(id);
    }
  }

  async #standing(number: number, batchHash: Hex): Promise<Standing> {
    const { client, deployment } = this.#options;
    const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
    return l1Call("standing of a batch", async () => {
      // One block for all three answers: a drop between them would look like another batch.
      const blockNumber = await client.getBlockNumber({ cacheTime: 0 });
      const last = await client.readContract({ ...chain, functionName: "lastNumber", blockNumber });
      if (last < BigInt(number)) return { state: "gone" };
      const record = await client.readContract({
        ...chain,
        functionName: "batch",
        args: [BigInt(number)],
        blockNumber,
      });
      if (record.batchHash !== batchHash) return { state: "gone" };
      // A batch that was proven right is final sooner.
      const finalisableSeconds =
        record.provenAt === 0n ? Number(record.floor) : await readFinalisableAt(client, deployment, number);
      const times = { postedSeconds: Number(record.postedAt), finalisableSeconds };
      const final = await client.readContract({ ...chain, functionName: "lastFinal", blockNumber });
      if (final < BigInt(number)) return { state: "pending", ...times };
      const dispute = { address: deployment.dispute, abi: disputeAbi } as const;
      const args = [BigInt(number)] as const;
      const isConvicted = await client.readContract({ ...dispute, functionName: "isConvicted", args, blockNumber });
      return isConvicted ? { state: "frozen" } : { state: "final", ...times };
    });
  }

  async #elapsedPpm(standing: Open): Promise<bigint> {
    // Its window is over: the last moment that a venue can be stopped is any moment now.
    if (standing.state === "final") return PPM;
    const block = await l1Call("latest block", () => this.#options.client.getBlock());
    const { postedSeconds, finalisableSeconds } = standing;
    const length = BigInt(Math.max(1, finalisableSeconds - postedSeconds));
    return ((block.timestamp - BigInt(postedSeconds)) * PPM) / length;
  }

  /** The conviction of the batch that the L1 holds now, whoever brought it about. */
  async #conviction(target: Target): Promise<Conviction | null> {
    const { client, deployment } = this.#options;
    const head = Number(await l1Call("latest block", () => client.getBlockNumber({ cacheTime: 0 })));
    const list = await readConvictions(client, deployment, target.blockNumber, head);
    // A batch goes with its ancestor, too.
    return list.findLast(({ batch }) => batch <= target.number) ?? null;
  }

  async pursue(target: Target, accusation: Accusation): Promise<ChallengeReport> {
    const { number, batchHash } = target;
    const report = (
      step: ChallengeStep,
      detail: string,
      prepared: PreparedChallenge | null = null,
    ): ChallengeReport => ({
      batch: number,
      step,
      detail,
      prepared,
      conviction: null,
    });
    const standing = await this.#standing(number, batchHash);
    if (standing.state === "gone") {
      const conviction = await this.#conviction(target);
      const by = conviction?.challenger.toLowerCase() === this.address.toLowerCase() ? "this challenge" : "another";
      const detail = conviction === null ? "the L1 no longer has the batch" : `convicted by ${by}`;
      return { ...report("convicted", detail), conviction };
    }
    if (standing.state === "frozen") {
      return report("convicted late", `batch ${number} was final when it was convicted: the custody is frozen`);
    }
    this.#pursued = target;
    const sent = this.#waiting().find((one) => one.number === number && one.batchHash === batchHash);
    if (sent !== undefined) return report("sent", sentPhrase(sent.intent));
    return this.#send(target, accusation, standing, report);
  }

  async #send(
    target: Target,
    accusation: Accusation,
    standing: Open,
    report: (step: ChallengeStep, detail: string, prepared?: PreparedChallenge | null) => ChallengeReport,
  ): Promise<ChallengeReport> {
    const { client, deployment } = this.#options;
    const { id, reverted, revertedAt } = this.#freeId(target);
    const block = await l1Call("latest block", () => client.getBlock());
    if (reverted > REVERTS_MAX && Number(block.number) < revertedAt + REVERTS_PAUSE_BLOCKS) {
      return report("held", `${reverted} challenges of this batch were reverted by the L1, the next follows later`);
    }
    // Ahead of the parameters: they are paid for by the same cap.
    const cap = feeCapWeiPerGas(this.#fees, await this.#elapsedPpm(standing));
    this.#outbox.setFeeCap(cap);
    if (!(await this.ensureParameters(accusation.parameters))) {
      return report("held", "the parameters in force are on their way to the L1");
    }
    const preparation = await prepareChallenge(client, deployment, this.address, accusation);
    if (!preparation.ok) {
      // A reorg may have taken the parameters back.
      this.#storedHashes.clear();
      // What cannot be proven because it is gone meanwhile is no difference.
      const now = await this.#standing(target.number, target.batchHash);
      const isOpen = now.state === "pending" || now.state === "final";
      return isOpen ? report("unprovable", preparation.why) : this.pursue(target, accusation);
    }
    const { prepared } = preparation;
    const baseFee = block.baseFeePerGas ?? 0n;
    const balance = await l1Call("balance", () => client.getBalance({ address: this.address }));
    const costWei = BigInt(prepared.gas) * (2n * baseFee + this.#fees.tipWeiPerGas);
    if (balance < costWei) {
      return report("held", `${this.address} has ${balance} wei, the challenge may cost ${costWei}`, prepared);
    }
    // One that was reverted may have had too little gas: what is not used is not paid for.
    const mostWei = BigInt(TRANSACTION_GAS_MAX) * (2n * baseFee + this.#fees.tipWeiPerGas);
    if (reverted > 0 && balance >= mostWei) prepared.gas = TRANSACTION_GAS_MAX;
    const request = { to: deployment.dispute, data: prepared.data, valueWei: "0", gas: String(prepared.gas) };
    const intent = await this.#outbox.submit(id, request);
    const what = `${challengePhrase(prepared.challenge)}, ${prepared.gas} gas at most, ${prepared.bytes} bytes`;
    const waits = intent.attempts.length === 0 ? `; waits: the base fee is above the cap of ${cap} wei a gas` : "";
    return report("sent", `${what}${waits}`, prepared);
  }

  async ensureParameters(parameters: ParameterSet): Promise<boolean> {
    const { client, deployment } = this.#options;
    const hash = parametersHash(parameters);
    if (this.#storedHashes.has(hash)) return true;
    const dispute = { address: deployment.dispute, abi: disputeAbi } as const;
    const store = await l1Call("store of parameters", () =>
      client.readContract({ ...dispute, functionName: "storeOf", args: [hash] }),
    );
    if (store !== zeroAddress) {
      this.#storedHashes.add(hash);
      return true;
    }
    const args = [bytesToHex(encodeParameters(parameters))] as const;
    const data = encodeFunctionData({ abi: disputeAbi, functionName: "registerParameters", args });
    const gas = REGISTER_GAS_FIXED + REGISTER_GAS_PER_BYTE * (data.length / 2);
    const id = this.#freeIdOf((attempt) => `parameters/${hash}/${attempt}`);
    if (id !== null) await this.#outbox.submit(id, { to: deployment.dispute, data, valueWei: "0", gas: String(gas) });
    return false;
  }

  /** First id that was not included yet; null when it is on its way. */
  #freeIdOf(idOf: (attempt: number) => string): string | null {
    for (let attempt = 0; ; attempt++) {
      const known = this.#outbox.intent(idOf(attempt));
      if (known === undefined) return idOf(attempt);
      if (known.inclusion === null) return null;
    }
  }

  /**
   * The series of challenges of one batch: earlier ones were included, or taken back because it was gone for a while. Only what was
   * reverted since the batch was posted counts: the same batch may be posted again and again, and each time be convicted by others.
   */
  #freeId(target: Target): { id: string; reverted: number; revertedAt: number } {
    let [reverted, revertedAt] = [0, 0];
    for (let attempt = 0; ; attempt++) {
      const id = `challenge/${target.number}/${target.batchHash}/${attempt}`;
      const known = this.#outbox.intent(id);
      if (known === undefined) return { id, reverted, revertedAt };
      const { inclusion } = known;
      if (inclusion?.reverted !== true || inclusion.blockNumber < target.blockNumber) continue;
      reverted++;
      revertedAt = Math.max(revertedAt, inclusion.blockNumber);
    }
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function sentPhrase(intent: Intent): string {
  const last = intent.attempts[intent.attempts.length - 1];
  if (last === undefined) return "made durable; waits for the base fee to fall or the cap to rise";
  const refusal = intent.lastRefusal === null ? "" : `; the node says: ${intent.lastRefusal}`;
  return `transaction ${last.hash}, at most ${last.maxFeePerGas} wei a gas${refusal}`;
}

export function createDisputeClient(options: DisputeClientOptions): DisputeClient {
  return new OutboxDisputeClient(options);
}
