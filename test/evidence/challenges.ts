// Calls of the dispute contract, and the names of what it answers.
import { batchChainAbi, custodyAbi, disputeAbi } from "@tidemark/chain";
import { bytesToHex, keccak256 } from "@tidemark/num";
import { type Batch, type BatchCycle, cyclePath } from "@tidemark/settlement";
import { type Abi, type AbiItem, encodeFunctionData, type Hex, toFunctionSelector } from "viem";
import { compiledContracts } from "../../packages/settlement/test/rules/compile.ts";

export const ZERO_WORD: Hex = `0x${"00".repeat(32)}`;

export interface Claim {
  index: number;
  postRoot: Hex;
  payload: Hex;
  path: Hex[];
}

export interface Previous {
  payloadHash: Hex;
  length: number;
  postRoot: Hex;
  path: Hex[];
}

export type Header = Record<keyof Batch["header"], number | Hex>;

/** A challenge of one cycle; `account` null = face root. */
export interface CycleChallenge {
  header: Header;
  claim: Claim;
  previous: Previous;
  account: bigint | null;
  witness: Uint8Array;
}

export function challengeData({ header, claim, previous, account, witness }: CycleChallenge): Hex {
  const common = [header, claim, previous];
  const hex = bytesToHex(witness);
  return account === null
    ? encodeFunctionData({ abi: disputeAbi as Abi, functionName: "challengeRoot", args: [...common, hex] })
    : encodeFunctionData({ abi: disputeAbi as Abi, functionName: "challengeAccount", args: [...common, account, hex] });
}

export function headerChallengeData(header: Header, state: Record<string, Hex>): Hex {
  return encodeFunctionData({ abi: disputeAbi as Abi, functionName: "challengeHeader", args: [header, state] });
}

export function blobChallengeData(header: Header, data: Hex, commitment: Hex, proof: Hex): Hex {
  const args = [header, data, commitment, proof];
  return encodeFunctionData({ abi: disputeAbi as Abi, functionName: "challengeBlob", args });
}

export function blobElementChallengeData(header: Header, index: bigint, commitment: Hex, proof: Hex): Hex {
  const args = [header, index, 0n, commitment, proof];
  return encodeFunctionData({ abi: disputeAbi as Abi, functionName: "challengeBlobElement", args });
}

export function claimOf(cycles: readonly BatchCycle[], index: number): Claim {
  const { payload, postRoot } = cycles[index] as BatchCycle;
  return { index, postRoot, payload: bytesToHex(payload), path: cyclePath(cycles, index) };
}

/** Of the cycle before `index`; nothing looks at it for the first. */
export function previousOf(cycles: readonly BatchCycle[], index: number): Previous {
  const before = cycles[index - 1];
  if (before === undefined) return { payloadHash: ZERO_WORD, length: 0, postRoot: ZERO_WORD, path: [] };
  return {
    payloadHash: bytesToHex(keccak256(before.payload)),
    length: before.payload.length,
    postRoot: before.postRoot,
    path: cyclePath(cycles, index - 1),
  };
}

const errorNames = new Map<string, string>();
function addErrors(abi: Abi): void {
  for (const item of abi as readonly AbiItem[]) {
    if (item.type !== "error") continue;
    const selector = toFunctionSelector({ ...item, type: "function", outputs: [], stateMutability: "view" });
    errorNames.set(selector, item.name);
  }
}

/** Name of the custom error in revert data; "out of gas", "panic" or "empty" for what is none. */
export function refusalName(data: string, message = ""): string {
  if (errorNames.size === 0) {
    for (const { abi } of Object.values(compiledContracts())) addErrors(abi);
    for (const abi of [batchChainAbi, custodyAbi, disputeAbi]) addErrors(abi as Abi);
  }
  const known = errorNames.get(data.slice(0, 10));
  if (known !== undefined) return known;
  if (data.startsWith("0x4e487b71")) return "panic";
  if (/OutOfGas|out of gas|intrinsic gas/i.test(message)) return "out of gas";
  return data.length > 2 ? `unknown ${data.slice(0, 10)}` : "empty";
}
