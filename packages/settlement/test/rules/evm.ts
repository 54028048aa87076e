// The rule contracts in one anvil: code is placed at fixed addresses, verdicts are read by eth_call in JSON-RPC batches.
import { type EmbeddedL1, startEmbeddedL1 } from "@tidemark/chain";
import { encodeParameters, type Hash, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type Abi, decodeFunctionResult, encodeFunctionData, type Hex } from "viem";
import { compiledContracts } from "./compile.ts";

/** Kind code → contract. */
export const RULES: Readonly<Record<number, string>> = {
  1: "ReportRule",
  2: "RowsRule",
  3: "TradeRule",
  4: "LiquidationRule",
  5: "AuctionRule",
  6: "BankruptcyRule",
  7: "AdlRule",
  8: "ExpiryRule",
  9: "InboundRule",
  10: "OutboundRule",
  11: "CreditRule",
  12: "AdminRule",
};
const RULE_ADDRESS_BASE = 0x7100;
const PARAMETERS_ADDRESS_BASE = 0x7200;
/** No challenge may need more; a call that does fails, and with it the test. */
export const CHALLENGE_GAS = 12_000_000;
const BATCH_CALLS = 64;

const addressOf = (number: number): Hex => `0x${number.toString(16).padStart(40, "0")}`;

export interface RuleCall {
  /** Kind code whose rule judges. */
  kind: number;
  face: "execute" | "check";
  parameters: Hex;
  preStateRoot: Hex;
  payload: Uint8Array;
  witness: Uint8Array;
  /** Of face check. */
  account?: number;
}

export interface RuleAnswer {
  /** −1: the call reverted; `error` then says why. */
  code: number;
  /** Of face execute. */
  root: Hex;
  error: string;
}

/** What accountsOf says of a payload; null: it reverted. */
export interface ListAnswer {
  accounts: number[] | null;
  error: string;
}

interface RpcAnswer {
  id: number;
  result?: Hex;
  error?: { message: string; data?: unknown };
}

const whyNot = (answer: RpcAnswer | undefined): string =>
  `${answer?.error?.message ?? "no answer"} ${JSON.stringify(answer?.error?.data ?? "")}`;

export class RuleEvm {
  readonly #l1: EmbeddedL1;
  readonly #abi: Abi;
  readonly #stores = new Map<Hash, Hex>();
  readonly #unplaced: [Hex, Hex][] = [];
  readonly #placed: Promise<unknown>[] = [];

  private constructor(l1: EmbeddedL1, abi: Abi) {
    this.#l1 = l1;
    this.#abi = abi;
  }

  /** The first start after a change of the sources compiles them all. */
  static readonly START_MS_MAX = 600_000;

  static async start(): Promise<RuleEvm> {
    const compiled = compiledContracts();
    const abi = compiled["ICycleRule"]?.abi;
    if (abi === undefined) throw new Error("ICycleRule was not compiled");
    const evm = new RuleEvm(await startEmbeddedL1(), abi);
    for (const [kind, name] of Object.entries(RULES)) {
      await evm.#rpc("anvil_setCode", [addressOf(RULE_ADDRESS_BASE + Number(kind)), compiled[name]?.runtime]);
    }
    return evm;
  }

  /** Address of the parameter set, whose bytes lie there as ParameterStore's constructor writes them before the next call. */
  parametersAt(parameters: ParameterSet, hash: Hash): Hex {
    let address = this.#stores.get(hash);
    if (address === undefined) {
      address = addressOf(PARAMETERS_ADDRESS_BASE + this.#stores.size);
      this.#stores.set(hash, address);
      this.#unplaced.push([address, `0x00${bytesToHex(encodeParameters(parameters)).slice(2)}`]);
    }
    return address;
  }

  async #placeParameters(): Promise<void> {
    for (const code of this.#unplaced.splice(0)) this.#placed.push(this.#rpc("anvil_setCode", code));
    await Promise.all(this.#placed);
  }

  async #rpc(method: string, params: unknown[]): Promise<unknown> {
    const [answer] = await this.#post([{ jsonrpc: "2.0", id: 0, method, params }]);
    if (answer?.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer?.result;
  }

  async #post(body: object[]): Promise<RpcAnswer[]> {
    const headers = { "content-type": "application/json" };
    const response = await fetch(this.#l1.url, { method: "POST", headers, body: JSON.stringify(body) });
    return (await response.json()) as RpcAnswer[];
  }

  #dataOf(call: Readonly<RuleCall>): Hex {
    const payload = bytesToHex(call.payload);
    const witness = bytesToHex(call.witness);
    const common = [call.parameters, call.preStateRoot, payload];
    const args = call.face === "execute" ? [...common, witness] : [...common, BigInt(call.account ?? 0), witness];
    return encodeFunctionData({ abi: this.#abi, functionName: call.face, args });
  }

  #answerOf(call: Readonly<RuleCall>, answer: RpcAnswer | undefined): RuleAnswer {
    if (answer?.result === undefined) {
      return { code: -1, root: "0x", error: whyNot(answer) };
    }
    const result = decodeFunctionResult({ abi: this.#abi, functionName: call.face, data: answer.result });
    if (call.face === "check") return { code: Number(result as bigint), root: "0x", error: "" };
    const [code, root] = result as readonly [bigint, Hex];
    return { code: Number(code), root, error: "" };
  }

  /** One eth_call each, of `data` to the rule of `kind`. */
  async #ethCalls(calls: readonly { kind: number; data: Hex }[]): Promise<(RpcAnswer | undefined)[]> {
    await this.#placeParameters();
    const gas = `0x${CHALLENGE_GAS.toString(16)}`;
    const bodies: object[][] = [];
    calls.forEach(({ kind, data }, id) => {
      if (id % BATCH_CALLS === 0) bodies.push([]);
      const params = [{ to: addressOf(RULE_ADDRESS_BASE + kind), data, gas }, "latest"];
      bodies.at(-1)?.push({ jsonrpc: "2.0", id, method: "eth_call", params });
    });
    // All at once: the node works on them while this thread makes the next cycles.
    const answers = (await Promise.all(bodies.map((body) => this.#post(body)))).flat();
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    return calls.map((_, id) => byId.get(id));
  }

  async call(calls: readonly RuleCall[]): Promise<RuleAnswer[]> {
    const answers = await this.#ethCalls(calls.map((call) => ({ kind: call.kind, data: this.#dataOf(call) })));
    return calls.map((call, i) => this.#answerOf(call, answers[i]));
  }

  /** accountsOf of each payload, by the rule of its kind. */
  async list(payloads: readonly { kind: number; payload: Uint8Array }[]): Promise<ListAnswer[]> {
    const functionName = "accountsOf";
    const calls = payloads.map(({ kind, payload }) => ({
      kind,
      data: encodeFunctionData({ abi: this.#abi, functionName, args: [bytesToHex(payload)] }),
    }));
    return (await this.#ethCalls(calls)).map((answer) => {
      if (answer?.result === undefined) return { accounts: null, error: whyNot(answer) };
      const listed = decodeFunctionResult({ abi: this.#abi, functionName, data: answer.result });
      return { accounts: (listed as readonly bigint[]).map(Number), error: "" };
    });
  }

  stop(): Promise<void> {
    return this.#l1.stop();
  }
}
