// Gas and bytes of challenges as whole transactions: the cycle stands in a posted batch with the longest paths, the deployed dispute
// contract opens it and asks the deployed rule. Each must succeed with the gas and bytes that a challenge may take.
import {
  challengeCalldata,
  developmentAccount,
  disputeAbi,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_GAS_MAX,
  transactAll,
} from "@tidemark/chain";
import {
  CHALLENGE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  CYCLES_PER_BATCH_MAX,
  type Cycle,
  cycleWeight,
  encodeCycle,
  encodeParameters,
  type Hash,
  type LedgerState,
  RejectionCode,
} from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  accountFaultCells,
  BATCH_VERSION,
  type BatchCycle,
  type BatchHeader,
  type BatchTip,
  type Challenge,
  claimOf,
  cyclesRoot,
  DATA_MODE_CALLDATA,
  encodeBatchData,
  encodePostBatch,
  encodeWitness,
  genesisTip,
  rootFaultCells,
  statePartsOf,
  tipAfter,
} from "@tidemark/settlement";
import { decodeEventLog, encodeFunctionData, type Hex, numberToHex, toFunctionSelector } from "viem";
import { expect } from "vitest";
import { createWorld, type World } from "../../packages/chain/test/support/world.ts";
import { account as accountNumber, USDC, Venue } from "../../packages/ledger/test/factory.ts";

/** No challenge may need more. */
const CHALLENGE_GAS_MAX = 12_000_000;
const BOND_WEI = 10n ** 18n;
const POST_GAS = 12_000_000n;
const WRONG_ROOT: Hash = `0x${"5a".repeat(32)}`;
/** What surrounds the cycle in its batch; nobody decodes it. */
const FILLER: BatchCycle = { payload: Uint8Array.of(1), postRoot: `0x${"a5".repeat(32)}` };
/** In the tree of a full batch every path is as long. */
const PLACE = 200;
const NO_FRAUD = toFunctionSelector("NoFraud()");

export interface ChallengeRow {
  kind: string;
  face: "root" | "account" | "header";
  what: string;
  /** Of the whole transaction. */
  gas: number;
  /** Of its calldata. */
  bytes: number;
}

interface SimulatedCall {
  status: Hex;
  returnData: Hex;
  gasUsed: Hex;
  logs: { address: Hex; topics: [Hex, ...Hex[]]; data: Hex }[];
  error?: { message: string; data?: Hex };
}

export class ChallengeTable {
  readonly rows: ChallengeRow[] = [];
  readonly #world: World;
  readonly #registered = new Set<Hash>();
  readonly #challenger = developmentAccount("challenger");
  #tip: BatchTip;
  /** What dropping the batch, its bond and the stake's part take beyond the verdict. */
  #convictionGas = 0;
  #last: { data: Hex; gas: number } | null = null;

  private constructor(world: World) {
    this.#world = world;
    this.#tip = genesisTip(world.deployment.genesisRoot);
  }

  static async start(): Promise<ChallengeTable> {
    const world = await createWorld({ windowSeconds: 86_400, bondWei: BOND_WEI });
    const table = new ChallengeTable(world);
    await world.l1.setBalance(table.#challenger.address, 10n ** 21n);
    await world.l1.setBalance(world.keys.proposer.address, 10n ** 24n);
    return table;
  }

  /** The last conviction for real: its receipt says what the simulation said. */
  async stop(): Promise<void> {
    try {
      if (this.#last === null) return;
      const { client, deployment, mine } = this.#world;
      const call = { sender: this.#challenger, to: deployment.dispute, data: this.#last.data, what: "challenge" };
      const [receipt] = await transactAll(client, [{ ...call, gas: BigInt(CHALLENGE_GAS_MAX) }], { mine });
      expect(Number(receipt?.gasUsed)).toBe(this.#last.gas);
    } finally {
      await this.#world.close();
    }
  }

  /** Root, or with `checked` the rule at that account. The cycle is sound, so every check runs to its end. */
  async measure(what: string, venue: Venue, cycle: Cycle, checked?: number): Promise<void> {
    const { state } = venue;
    const weight = cycleWeight(cycle);
    expect(weight, what).toBeLessThanOrEqual(CYCLE_WEIGHT_MAX);
    await this.#register(state);
    const payload = encodeCycle(cycle);
    const batch = await this.#post(state.root(), { payload, postRoot: WRONG_ROOT });
    const common = { header: batch.header, ...claimOf(batch.cycles, PLACE) };
    if (checked === undefined) {
      const witness = encodeWitness(state, rootFaultCells(state, cycle));
      const gas = await this.#convicting(what, { face: "root", ...common, witness });
      this.#add({ kind: cycle.kind, face: "root", what, ...gas });
      return;
    }
    const witness = encodeWitness(state, accountFaultCells(state, cycle, checked));
    const { gas, bytes } = await this.#acquitting(what, { face: "account", ...common, account: checked, witness });
    this.#add({ kind: cycle.kind, face: "account", what, gas: gas + (await this.#convictionCost()), bytes });
  }

  /** A payload that no rule decodes, and a header that its state contradicts. */
  async measureOthers(venue: Venue, payload: Uint8Array): Promise<void> {
    const batch = await this.#post(venue.state.root(), { payload, postRoot: WRONG_ROOT });
    const claim = claimOf(batch.cycles, PLACE);
    const undecodable = "longest payload that does not decode";
    const challenge: Challenge = { face: "root", header: batch.header, ...claim, witness: new Uint8Array(0) };
    this.#add({
      kind: "none",
      face: "root",
      what: undecodable,
      ...(await this.#convicting(undecodable, challenge, RejectionCode.MALFORMED)),
    });

    const { header } = await this.#post(venue.state.root(), FILLER, venue.state.root());
    const state = statePartsOf(venue.state);
    const what = "time, queue position";
    this.#add({
      kind: "none",
      face: "header",
      what,
      ...(await this.#convicting(what, { face: "header", header, state })),
    });
  }

  #add(row: ChallengeRow): void {
    const { gas, bytes, what } = row;
    expect(gas, what).toBeLessThan(CHALLENGE_GAS_MAX);
    expect(gas, what).toBeLessThan(TRANSACTION_GAS_MAX);
    expect(bytes, what).toBeLessThanOrEqual(CHALLENGE_BYTES_MAX);
    expect(bytes, what).toBeLessThan(TRANSACTION_BYTES_MAX);
    this.rows.push(row);
  }

  async #register({ parameters, globals }: LedgerState): Promise<void> {
    if (this.#registered.has(globals.parametersHash)) return;
    this.#registered.add(globals.parametersHash);
    const args = [bytesToHex(encodeParameters(parameters))] as const;
    const data = encodeFunctionData({ abi: disputeAbi, functionName: "registerParameters", args });
    const { client, deployment, mine } = this.#world;
    const call = { sender: this.#challenger, to: deployment.dispute, data, gas: POST_GAS, what: "parameters" };
    await transactAll(client, [call], { mine });
  }

  /** A full batch with the cycle at PLACE, after one that leads to `preStateRoot`. */
  async #post(
    preStateRoot: Hash,
    cycle: BatchCycle,
    postStateRoot = FILLER.postRoot,
  ): Promise<{ header: BatchHeader; cycles: BatchCycle[] }> {
    const cycles = new Array<BatchCycle>(CYCLES_PER_BATCH_MAX).fill(FILLER);
    cycles[PLACE - 1] = { ...FILLER, postRoot: preStateRoot };
    cycles[PLACE] = cycle;
    cycles[cycles.length - 1] = { ...FILLER, postRoot: postStateRoot };
    const { client, deployment, keys, mine } = this.#world;
    const data = encodeBatchData(cycles);
    const header: BatchHeader = {
      version: BATCH_VERSION,
      domain: deployment.parameters.domain,
      number: this.#tip.number + 1,
      parent: this.#tip.batchHash,
      preStateRoot: this.#tip.stateRoot,
      postStateRoot,
      cyclesRoot: cyclesRoot(cycles),
      cycleCount: cycles.length,
      firstCycle: this.#tip.nextCycle,
      timeMs: this.#tip.timeMs,
      inboundCursor: 0,
      inboundHash: this.#tip.inboundHash,
      dataMode: DATA_MODE_CALLDATA,
      dataHash: `0x${"00".repeat(32)}`,
      dataLength: data.length,
    };
    const call = {
      sender: keys.proposer,
      to: deployment.batchChain,
      data: bytesToHex(encodePostBatch(header, data)),
      valueWei: BOND_WEI,
      gas: POST_GAS,
      what: "batch",
    };
    await transactAll(client, [call], { mine });
    this.#tip = tipAfter(header);
    return { header, cycles };
  }

  async #simulate(challenge: Challenge): Promise<{ data: Hex; bytes: number; answer: SimulatedCall }> {
    const data = challengeCalldata(challenge);
    const { client, deployment } = this.#world;
    const gas = numberToHex(CHALLENGE_GAS_MAX);
    const calls = [{ from: this.#challenger.address, to: deployment.dispute, data, gas }];
    const request = client.request as unknown as (call: { method: string; params: unknown[] }) => Promise<unknown>;
    const params = [{ blockStateCalls: [{ calls }] }, "latest"];
    const [block] = (await request({ method: "eth_simulateV1", params })) as [{ calls: [SimulatedCall] }];
    return { data, bytes: (data.length - 2) / 2, answer: block.calls[0] };
  }

  async #convicting(what: string, challenge: Challenge, code = 0): Promise<{ gas: number; bytes: number }> {
    const { data, bytes, answer } = await this.#simulate(challenge);
    expect(answer.status, `${what}: ${JSON.stringify(answer.error)}`).toBe("0x1");
    const { dispute } = this.#world.deployment;
    const [log] = answer.logs.filter(({ address }) => address.toLowerCase() === dispute.toLowerCase());
    if (log === undefined) throw new Error(`${what}: nobody was convicted`);
    const event = decodeEventLog({ abi: disputeAbi, topics: log.topics, data: log.data });
    expect(event, what).toMatchObject({ eventName: "FraudProven", args: { code: BigInt(code) } });
    const gas = Number(answer.gasUsed);
    this.#last = { data, gas };
    return { gas, bytes };
  }

  async #acquitting(what: string, challenge: Challenge): Promise<{ gas: number; bytes: number }> {
    const { bytes, answer } = await this.#simulate(challenge);
    expect(`${JSON.stringify(answer)}`, what).toContain(NO_FRAUD);
    return { gas: Number(answer.gasUsed), bytes };
  }

  /** By one cycle posted with its root and with another: the two challenges differ in the conviction alone. */
  async #convictionCost(): Promise<number> {
    if (this.#convictionGas > 0) return this.#convictionGas;
    const venue = new Venue();
    const { state } = venue;
    venue.fund(2, USDC);
    await this.#register(state);
    const cycle = venue.inbound({ type: "cancelAll", account: accountNumber(2), minNonce: 1 as never });
    const witness = encodeWitness(state, rootFaultCells(state, cycle));
    const payload = encodeCycle(cycle);
    const preRoot = state.root();
    const { root: postRoot } = venue.must(cycle);
    const gasOf = async (root: Hash, isFraud: boolean): Promise<number> => {
      const { header, cycles } = await this.#post(preRoot, { payload, postRoot: root });
      const challenge: Challenge = { face: "root", header, ...claimOf(cycles, PLACE), witness };
      const { gas } = await (isFraud ? this.#convicting("small", challenge) : this.#acquitting("small", challenge));
      return gas;
    };
    const [fraud, right] = [await gasOf(WRONG_ROOT, true), await gasOf(postRoot, false)];
    expect(fraud).toBeGreaterThan(right);
    this.#convictionGas = fraud - right;
    return this.#convictionGas;
  }
}

/** The most items for which the cycle keeps the weight limit. */
export function heaviest<Made extends Cycle>(most: number, make: (count: number) => Made): Made {
  let low = 1;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (cycleWeight(make(middle)) <= CYCLE_WEIGHT_MAX) low = middle;
    else high = middle - 1;
  }
  return make(low);
}
