// A challenge as the L1 takes it: calldata, and whether the dispute contract would convict, asked before anything is sent.
import { bytesToHex } from "@tidemark/num";
import type { Accusation, BatchHeader, Challenge } from "@tidemark/settlement";
import { type Address, encodeFunctionData, type Hex } from "viem";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { isTransportError, l1Error } from "./errors.ts";
import { disputeAbi } from "./generated/dispute.ts";

/** Cap of the protocol on one transaction (EIP-7825). */
export const TRANSACTION_GAS_MAX = 2 ** 24;
/** No challenge of any cycle within the limits needs more: test/costs measures the dearest of every kind, bonds are sized by it. */
export const CHALLENGE_GAS_MAX = 12_000_000;
/** What public nodes take of one transaction. */
export const TRANSACTION_BYTES_MAX = 128 * 1024;
/** Of a transaction beside its calldata: fees, nonce, signature, and the lengths of each. */
const ENVELOPE_BYTES_MAX = 512;

export interface PreparedChallenge {
  challenge: Challenge;
  data: Hex;
  bytes: number;
  /** What the L1 says that it takes, with headroom; at most TRANSACTION_GAS_MAX, of which only what is used is paid. */
  gas: number;
}

/** The header as the ABI takes it. */
export function headerArgument(header: BatchHeader) {
  return {
    ...header,
    number: BigInt(header.number),
    firstCycle: BigInt(header.firstCycle),
    timeMs: BigInt(header.timeMs),
    inboundCursor: BigInt(header.inboundCursor),
  };
}

export function challengeCalldata(challenge: Challenge): Hex {
  const header = headerArgument(challenge.header);
  if (challenge.face === "header") {
    const state = { ...challenge.state, globals: bytesToHex(challenge.state.globals) };
    return encodeFunctionData({ abi: disputeAbi, functionName: "challengeHeader", args: [header, state] });
  }
  if (challenge.face === "blob") {
    const { commitment, proof } = challenge.opening;
    const args = [header, bytesToHex(challenge.data), commitment, proof] as const;
    return encodeFunctionData({ abi: disputeAbi, functionName: "challengeBlob", args });
  }
  if (challenge.face === "blobElement") {
    const { commitment, proof } = challenge.opening;
    const args = [header, BigInt(challenge.index), challenge.value, commitment, proof] as const;
    return encodeFunctionData({ abi: disputeAbi, functionName: "challengeBlobElement", args });
  }
  const { previous } = challenge;
  const claim = { ...challenge.claim, payload: bytesToHex(challenge.claim.payload) };
  const witness = bytesToHex(challenge.witness);
  if (challenge.face === "root") {
    const args = [header, claim, previous, witness] as const;
    return encodeFunctionData({ abi: disputeAbi, functionName: "challengeRoot", args });
  }
  const args = [header, claim, previous, BigInt(challenge.account), witness] as const;
  return encodeFunctionData({ abi: disputeAbi, functionName: "challengeAccount", args });
}

/** One phrase: what the call shows. */
export function challengePhrase(challenge: Challenge): string {
  switch (challenge.face) {
    case "header":
      return "header";
    case "blob":
      return "blob";
    case "blobElement":
      return `element ${challenge.index} of the blob`;
    case "root":
      return `root of cycle ${challenge.claim.index}`;
    case "account":
      return `rule of cycle ${challenge.claim.index} at account ${challenge.account}`;
  }
}

const GAS_HEADROOM = 1.2;
/** What others can make a conviction dearer by in between: sums of the stake registry that are paid out are stored anew. */
const GAS_HEADROOM_LEAST = 300_000;
const REASON_LENGTH_MAX = 200;

type Probe = { convicts: true; gas: number } | { convicts: false; why: string };

/** Asks the node for the gas of the call: it runs the call, so one that does not convict fails here. */
async function probe(client: L1Client, deployment: Deployment, sender: Address, data: Hex): Promise<Probe> {
  try {
    // Of the latest block: in the pending one somebody else's challenge may have convicted already, and never be included.
    const gas = await client.estimateGas({ account: sender, to: deployment.dispute, data, blockTag: "latest" });
    return { convicts: true, gas: Number(gas) };
  } catch (error) {
    // An answer of the node, whatever it is, says that this call does not do; no answer says nothing.
    if (isTransportError(error)) throw l1Error("challenge", error);
    const message = error instanceof Error ? error.message : String(error);
    return { convicts: false, why: message.replaceAll(/\s+/g, " ").slice(0, REASON_LENGTH_MAX) };
  }
}

export type Preparation = { ok: true; prepared: PreparedChallenge } | { ok: false; why: string };

/** The first face that convicts. `sender` needs no money for it. */
export async function prepareChallenge(
  client: L1Client,
  deployment: Deployment,
  sender: Address,
  accusation: Accusation,
): Promise<Preparation> {
  const reasons: string[] = [];
  for (const challenge of accusation.challenges()) {
    const data = challengeCalldata(challenge);
    const bytes = (data.length - 2) / 2;
    // A payload may lie about what its accounts hold, and the weight believes it. A node runs a call that it would not pass on.
    if (bytes + ENVELOPE_BYTES_MAX > TRANSACTION_BYTES_MAX) {
      reasons.push(`${challengePhrase(challenge)}: ${bytes} bytes, nodes take ${TRANSACTION_BYTES_MAX}`);
      continue;
    }
    const answer = await probe(client, deployment, sender, data);
    if (!answer.convicts) {
      reasons.push(`${challengePhrase(challenge)}: ${answer.why}`);
      continue;
    }
    if (answer.gas > TRANSACTION_GAS_MAX) {
      reasons.push(
        `${challengePhrase(challenge)}: needs ${answer.gas} gas, a transaction may use ${TRANSACTION_GAS_MAX}`,
      );
      continue;
    }
    const roomy = Math.max(Math.ceil(answer.gas * GAS_HEADROOM), answer.gas + GAS_HEADROOM_LEAST);
    return { ok: true, prepared: { challenge, data, bytes, gas: Math.min(roomy, TRANSACTION_GAS_MAX) } };
  }
  return { ok: false, why: reasons.join("; ") };
}
