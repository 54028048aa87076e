// The receipt court and what decides beside it, as the L1 shows them; claims and collections.
import {
  batchChainAbi,
  type Call,
  type Deployment,
  escapeAbi,
  type L1Client,
  l1Call,
  receiptCourtAbi,
  transactAll,
  type WaitOptions,
} from "@tidemark/chain";
import { bytesToHex } from "@tidemark/num";
import { type Judgement, RECEIPT_VERDICTS, ReceiptKind } from "@tidemark/settlement";
import { type Address, encodeFunctionData, type LocalAccount } from "viem";
import { ExitCode, NodeError } from "../errors.ts";
import type { SignedReceipt } from "./store.ts";

/** Worst account and four legs with a margin; the claim that opens a round settles the one before. */
const CLAIM_GAS = 3_000_000n;
const READS_AT_ONCE = 32;

/** What decides about receipts, read at one block. */
export interface CourtFacts {
  receiptPeriodMs: number;
  fixedPart: bigint;
  capPerReceipt: bigint;
  /** Last batch that counts: the last final one, or the anchor of a frozen venue. */
  lastBatch: number;
  isFrozen: boolean;
  /** False while a frozen venue's last state is not settled: nothing can be claimed. */
  isAnchorSettled: boolean;
  /** 0 = there was no drop. */
  lastDropMs: number;
  /** Ledger time that batch n ends with, from genesis (0) to `lastBatch`. */
  timesMs: number[];
}

/** @throws ChainError DEPLOYMENT_MISMATCH and others of the L1 */
export async function readCourt(client: L1Client, deployment: Deployment, blockNumber: number): Promise<CourtFacts> {
  const at = { blockNumber: BigInt(blockNumber) } as const;
  const court = { ...at, address: deployment.receiptCourt, abi: receiptCourtAbi } as const;
  const chain = { ...at, address: deployment.batchChain, abi: batchChainAbi } as const;
  const freezer = { ...at, address: deployment.escape, abi: escapeAbi } as const;
  const [receiptPeriodMs, fixedPart, capPerReceipt, lastFinal, lastDropAt, isFrozen, anchor, sequencer] = await l1Call(
    "receipt court",
    () =>
      Promise.all([
        client.readContract({ ...court, functionName: "receiptPeriodMs" }),
        client.readContract({ ...court, functionName: "fixedPart" }),
        client.readContract({ ...court, functionName: "capPerReceipt" }),
        client.readContract({ ...chain, functionName: "lastFinal" }),
        client.readContract({ ...chain, functionName: "lastDropAt" }),
        client.readContract({ ...freezer, functionName: "isFrozen" }),
        client.readContract({ ...freezer, functionName: "anchor" }),
        client.readContract({ ...court, functionName: "sequencer" }),
      ]),
  );
  if (sequencer.toLowerCase() !== deployment.sequencer.toLowerCase()) {
    throw new NodeError("DEPLOYMENT_MISMATCH", `the court's sequencer is ${sequencer}, not ${deployment.sequencer}`, {
      exitCode: ExitCode.invariantBroken,
    });
  }
  const lastBatch = Number(isFrozen ? anchor[0] : lastFinal);
  const timesMs: number[] = [];
  for (let from = 0; from <= lastBatch; from += READS_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(READS_AT_ONCE, lastBatch + 1 - from) }, (_, i) => BigInt(from + i));
    const records = await l1Call("batches", () =>
      Promise.all(numbers.map((number) => client.readContract({ ...chain, functionName: "batch", args: [number] }))),
    );
    for (const { timeMs } of records) timesMs.push(Number(timeMs));
  }
  return {
    receiptPeriodMs: Number(receiptPeriodMs),
    fixedPart,
    capPerReceipt,
    lastBatch,
    isFrozen,
    isAnchorSettled: !isFrozen || anchor[2],
    // The end of the drop's second, as the court counts.
    lastDropMs: lastDropAt === 0n ? 0 : Number(lastDropAt) * 1_000 + 999,
    timesMs,
  };
}

/** A receipt with the state that breaks it. */
export interface CourtClaim extends SignedReceipt {
  batchNumber: number;
  witness: Uint8Array;
}

function claimArguments({ receipt, order, path, signature, batchNumber, witness }: CourtClaim) {
  return {
    receipt: {
      ...receipt,
      kind: ReceiptKind[receipt.kind],
      filledCash: BigInt(receipt.filledCash),
      deadlineMs: BigInt(receipt.deadlineMs),
    },
    path,
    signature,
    order: {
      legs: order.legs,
      size: order.size,
      limitPrice: order.limitPrice,
      maxFeePerLot: BigInt(order.maxFeePerLot),
      start: BigInt(order.startMs),
      expiry: BigInt(order.expiryMs),
      flags: order.flags,
    },
    batchNumber: BigInt(batchNumber),
    witness: bytesToHex(witness),
  };
}

/** What the court itself would say. @throws ChainError when it refuses the evidence */
export async function judgeAtCourt(client: L1Client, deployment: Deployment, claim: CourtClaim): Promise<Judgement> {
  const [code, damage] = await l1Call("judgement of the receipt court", () =>
    client.readContract({
      address: deployment.receiptCourt,
      abi: receiptCourtAbi,
      functionName: "judge",
      args: [claimArguments(claim)],
    }),
  );
  const verdict = RECEIPT_VERDICTS[code];
  if (verdict === undefined) {
    throw new NodeError("COURT_UNKNOWN", `the receipt court answers with verdict ${code}`, {
      exitCode: ExitCode.environment,
    });
  }
  return { verdict, damage };
}

/** What promises of the order have claimed before. */
export function claimedBefore(client: L1Client, deployment: Deployment, claim: CourtClaim): Promise<bigint> {
  const { kind, account, nonce } = claim.receipt;
  return l1Call("claimed damages", () =>
    client.readContract({
      address: deployment.receiptCourt,
      abi: receiptCourtAbi,
      functionName: "claimedOf",
      args: [ReceiptKind[kind], account, nonce],
    }),
  );
}

function courtCall(deployment: Deployment, sender: LocalAccount, what: string, data: Call["data"]): Call {
  return { sender, to: deployment.receiptCourt, gas: CLAIM_GAS, what, data };
}

/** Sends the claims; whoever sends them, the accounts' owners are paid. @throws ChainError TRANSACTION_REVERTED and others */
export async function sendClaims(
  client: L1Client,
  deployment: Deployment,
  sender: LocalAccount,
  claims: readonly CourtClaim[],
  options: WaitOptions = {},
): Promise<{ transactionHash: Address; gasUsed: number }[]> {
  const calls = claims.map((claim) => {
    const { kind, account, nonce } = claim.receipt;
    const data = encodeFunctionData({ abi: receiptCourtAbi, functionName: "claim", args: [claimArguments(claim)] });
    return courtCall(deployment, sender, `claim of a broken ${kind} receipt, account ${account}, nonce ${nonce}`, data);
  });
  const receipts = await transactAll(client, calls, options);
  return receipts.map(({ transactionHash, gasUsed }) => ({ transactionHash, gasUsed: Number(gasUsed) }));
}

/** Settles the round whose period is over, then collects what the rounds hold for `owner`. Answers with the sum. */
export async function collectDamages(
  client: L1Client,
  deployment: Deployment,
  sender: LocalAccount,
  owner: Address,
  options: WaitOptions = {},
): Promise<bigint> {
  const court = { address: deployment.receiptCourt, abi: receiptCourtAbi } as const;
  const roundCount = await l1Call("rounds", () => client.readContract({ ...court, functionName: "roundCount" }));
  const { timestamp } = await l1Call("latest block", () => client.getBlock());
  let collected = 0n;
  for (let round = 1n; round <= roundCount; round++) {
    const [record, due] = await l1Call("round", () =>
      Promise.all([
        client.readContract({ ...court, functionName: "roundOf", args: [round] }),
        client.readContract({ ...court, functionName: "damagesOf", args: [round, owner] }),
      ]),
    );
    if (due === 0n || (!record.isSettled && timestamp < record.endsAt)) continue;
    if (!record.isSettled) {
      const data = encodeFunctionData({ abi: receiptCourtAbi, functionName: "settle" });
      await transactAll(client, [courtCall(deployment, sender, `settling of round ${round}`, data)], options);
    }
    const settled = await l1Call("round", () =>
      client.readContract({ ...court, functionName: "roundOf", args: [round] }),
    );
    const share = (due * settled.pot) / settled.damages;
    if (share === 0n) continue;
    const data = encodeFunctionData({ abi: receiptCourtAbi, functionName: "collect", args: [round, owner] });
    await transactAll(client, [courtCall(deployment, sender, `damages of round ${round}`, data)], options);
    collected += share;
  }
  return collected;
}

/** When the round ends that takes claims and holds some of `owner`; null where none does. */
export async function openRoundOf(client: L1Client, deployment: Deployment, owner: Address): Promise<string | null> {
  const court = { address: deployment.receiptCourt, abi: receiptCourtAbi } as const;
  const round = await l1Call("rounds", () => client.readContract({ ...court, functionName: "roundCount" }));
  if (round === 0n) return null;
  const [record, due] = await l1Call("round", () =>
    Promise.all([
      client.readContract({ ...court, functionName: "roundOf", args: [round] }),
      client.readContract({ ...court, functionName: "damagesOf", args: [round, owner] }),
    ]),
  );
  if (record.isSettled || due === 0n) return null;
  return new Date(Number(record.endsAt) * 1_000).toISOString().replace(".000Z", "Z");
}
