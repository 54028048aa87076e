// The receipt court in one anvil, beside a venue whose final states each call decides for itself.
import { type EmbeddedL1, startEmbeddedL1 } from "@tidemark/chain";
import type { Hash, Order } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { decodeErrorResult, decodeFunctionResult, encodeDeployData, encodeFunctionData, type Hex } from "viem";
import { type Judgement, RECEIPT_VERDICTS, type Receipt, ReceiptKind } from "../../src/index.ts";
import { compiledContracts } from "../rules/compile.ts";

export const VENUE: Hex = "0x0000000000000000000000000000000000007300";
const COURT: Hex = "0x0000000000000000000000000000000000007301";
const CALL_GAS = 12_000_000;

export interface CourtTerms {
  sequencer: Hex;
  receiptPeriodMs: number;
  fixedPart: bigint;
  capPerReceipt: bigint;
}

export interface CourtCall {
  receipt: Receipt;
  path: Hash[];
  signature: Uint8Array;
  order: Order;
  witness: Uint8Array;
  batchNumber: number;
  script: { timesMs: number[]; root: Hash; dropAt: number; frozen: boolean };
}

export interface CourtAnswer extends Judgement {
  /** Name of the error when the call reverted; empty otherwise. */
  error: string;
}

/** Arguments of ReceiptCourt.claim and judge. */
export function courtArguments(call: Omit<CourtCall, "script">): unknown {
  const { receipt, order } = call;
  return {
    receipt: {
      ...receipt,
      kind: ReceiptKind[receipt.kind],
      filledCash: BigInt(receipt.filledCash),
      deadlineMs: BigInt(receipt.deadlineMs),
    },
    path: call.path,
    signature: bytesToHex(call.signature),
    order: {
      legs: order.legs,
      size: order.size,
      limitPrice: order.limitPrice,
      maxFeePerLot: BigInt(order.maxFeePerLot),
      start: BigInt(order.startMs),
      expiry: BigInt(order.expiryMs),
      flags: order.flags,
    },
    batchNumber: BigInt(call.batchNumber),
    witness: bytesToHex(call.witness),
  };
}

interface RpcAnswer {
  id: number;
  result?: Hex;
  error?: { message: string; data?: Hex };
}

export class CourtEvm {
  readonly #l1: EmbeddedL1;
  readonly #contracts = compiledContracts();

  private constructor(l1: EmbeddedL1) {
    this.#l1 = l1;
  }

  static async start(terms: CourtTerms): Promise<CourtEvm> {
    const evm = new CourtEvm(await startEmbeddedL1());
    await evm.#rpc("anvil_setCode", [VENUE, evm.#contract("ScriptedVenue").runtime]);
    const { abi, creation } = evm.#contract("ReceiptCourt");
    const args = [
      { batchChain: VENUE, custody: VENUE, escape: VENUE, registry: VENUE, claimPeriodSeconds: 1n, ...terms },
    ];
    // A creation that is only called answers with the code that would stand: immutable values included.
    const gas = `0x${CALL_GAS.toString(16)}`;
    // The venue's script is empty while the court asks it: none of what it asks then is scripted.
    const code = await evm.#rpc("eth_call", [
      { data: encodeDeployData({ abi, bytecode: creation, args }), gas },
      "latest",
    ]);
    await evm.#rpc("anvil_setCode", [COURT, code]);
    return evm;
  }

  #contract(name: string) {
    const contract = this.#contracts[name];
    if (contract === undefined) throw new Error(`${name} was not compiled`);
    return contract;
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

  async judge(calls: readonly CourtCall[]): Promise<CourtAnswer[]> {
    const { abi } = this.#contract("ScriptedVenue");
    const body = calls.map((call, id) => {
      const script = {
        ...call.script,
        timesMs: call.script.timesMs.map((timeMs) => BigInt(timeMs)),
        dropAt: BigInt(call.script.dropAt),
      };
      const data = encodeFunctionData({ abi, functionName: "run", args: [script, COURT, courtArguments(call)] });
      const params = [{ to: VENUE, data, gas: `0x${CALL_GAS.toString(16)}` }, "latest"];
      return { jsonrpc: "2.0", id, method: "eth_call", params };
    });
    const byId = new Map((await this.#post(body)).map((answer) => [answer.id, answer]));
    return calls.map((_, id) => this.#answerOf(byId.get(id)));
  }

  #answerOf(answer: RpcAnswer | undefined): CourtAnswer {
    const none = { verdict: "kept", damage: -1n } as const;
    if (answer?.result === undefined) return { ...none, error: this.#errorOf(answer) };
    const { abi } = this.#contract("ScriptedVenue");
    const result = decodeFunctionResult({ abi, functionName: "run", data: answer.result });
    const [code, damage] = result as readonly [number, bigint];
    const verdict = RECEIPT_VERDICTS[code];
    return verdict === undefined ? { ...none, error: `verdict ${code}` } : { verdict, damage, error: "" };
  }

  #errorOf(answer: RpcAnswer | undefined): string {
    const data = answer?.error?.data;
    const message = answer?.error?.message ?? "no answer";
    if (data === undefined || data === "0x") return message;
    for (const name of ["ReceiptCourt", "ReceiptHashes", "StateWitness"]) {
      const abi = this.#contracts[name]?.abi;
      if (abi === undefined) continue;
      try {
        return decodeErrorResult({ abi, data }).errorName;
      } catch {
        // Not an error of this contract.
      }
    }
    return `${message} ${data}`;
  }

  stop(): Promise<void> {
    return this.#l1.stop();
  }
}
