// The calls that prove a batch right, as the L1 takes them, and what of a batch is proven already.
import { bytesToHex } from "@tidemark/num";
import type { AffirmationCall, AffirmationPiece, BatchHeader } from "@tidemark/settlement";
import { type Abi, encodeFunctionData, type Hex, parseAbi } from "viem";
import { headerArgument } from "./challengeCall.ts";
import { eachBlockRange, type L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { l1Call } from "./errors.ts";
import { affirmationAbi } from "./generated/dispute.ts";

/** What opens the blob of a batch. */
export interface BlobProof {
  data: Uint8Array;
  commitment: Hex;
  proof: Hex;
}

/** `blob` is asked for where the piece is the blob. */
export async function affirmationCalldata(
  header: BatchHeader,
  call: AffirmationCall,
  blob: () => Promise<BlobProof>,
): Promise<Hex> {
  const abi = affirmationAbi as Abi;
  const head = headerArgument(header);
  switch (call.piece.what) {
    case "cycle":
    case "account": {
      const { claim, previous, witness, piece } = call as Extract<AffirmationCall, { claim: unknown }>;
      const cycle = [head, { ...claim, payload: bytesToHex(claim.payload) }, previous];
      if (piece.what === "cycle") {
        return encodeFunctionData({ abi, functionName: "affirmCycle", args: [...cycle, bytesToHex(witness)] });
      }
      const args = [...cycle, BigInt(piece.ordinal), bytesToHex(witness)];
      return encodeFunctionData({ abi, functionName: "affirmAccount", args });
    }
    case "header": {
      const { state } = call as Extract<AffirmationCall, { state: unknown }>;
      const args = [head, { ...state, globals: bytesToHex(state.globals) }];
      return encodeFunctionData({ abi, functionName: "affirmHeader", args });
    }
    case "blob": {
      const { data, commitment, proof } = await blob();
      const args = [head, bytesToHex(data), commitment, proof];
      return encodeFunctionData({ abi, functionName: "affirmBlob", args });
    }
  }
}

export function concludeCalldata(header: BatchHeader): Hex {
  return encodeFunctionData({ abi: affirmationAbi, functionName: "conclude", args: [headerArgument(header)] });
}

/** One word or two for a person; also names the piece, once in a batch. */
export function pieceName(piece: AffirmationPiece): string {
  switch (piece.what) {
    case "cycle":
      return `cycle ${piece.index}`;
    case "account":
      return `cycle ${piece.index} account ${piece.account}`;
    case "header":
    case "blob":
      return piece.what;
  }
}

const EVENTS = parseAbi([
  "event CycleAffirmed(bytes32 indexed batchHash, uint32 indexed cycleIndex)",
  "event AccountAffirmed(bytes32 indexed batchHash, uint32 indexed cycleIndex, uint256 account)",
  "event HeaderAffirmed(bytes32 indexed batchHash)",
  "event BlobAffirmed(bytes32 indexed batchHash)",
]);

/** Names of the pieces that the L1 has affirmed of a batch, from `fromBlock` on; what was affirmed of a hash stays. */
export async function readAffirmed(
  client: L1Client,
  deployment: Deployment,
  batchHash: Hex,
  fromBlock: number,
): Promise<Set<string>> {
  const head = Number(await l1Call("latest block", () => client.getBlockNumber({ cacheTime: 0 })));
  const names = new Set<string>();
  await eachBlockRange(fromBlock, head, async (from, to) => {
    const logs = await l1Call("affirmations", () =>
      client.getLogs({ address: deployment.affirmation, events: EVENTS, fromBlock: from, toBlock: to, strict: true }),
    );
    for (const log of logs) {
      if (log.args.batchHash !== batchHash) continue;
      switch (log.eventName) {
        case "CycleAffirmed":
          names.add(pieceName({ what: "cycle", index: log.args.cycleIndex }));
          break;
        case "AccountAffirmed": {
          const { cycleIndex: index, account } = log.args;
          names.add(pieceName({ what: "account", index, account: Number(account), ordinal: 0 }));
          break;
        }
        case "HeaderAffirmed":
          names.add("header");
          break;
        case "BlobAffirmed":
          names.add("blob");
          break;
      }
    }
  });
  return names;
}
