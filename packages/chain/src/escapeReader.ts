// What a winding-up needs to know, read from the L1 alone: forced entries and their deadlines, deposits, claims, and the state
// of the anchor, re-executed from genesis.
import {
  type Address,
  type CompactSignature,
  decodeCycle,
  decodeInboundEntry,
  type Hash,
  type LedgerState,
  type OutboxCell,
  type Withdrawal,
} from "@tidemark/ledger";
import {
  type ClaimBeyondAnchor,
  createWatcher,
  decodeBatchData,
  decodePost,
  describeFault,
  outboxLeaf,
  type PaidEvidence,
  paidEvidence,
  type QueuedDeposit,
  type QueueEntry,
  type WatcherPorts,
} from "@tidemark/settlement";
import { decodeFunctionData, parseAbiItem } from "viem";
import { readBatchEvents, readPostedBatch } from "./batchReader.ts";
import { eachBlockRange, type L1Client, readExistingBlock } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";
import { readQueueEntries } from "./inboundReader.ts";

const CLAIMED = parseAbiItem(
  "event WithdrawalClaimed(uint32 indexed withdrawalNumber, address recipient, uint64 amount)",
);

/** The whole queue up to the latest block. */
export async function readWholeQueue(client: L1Client, deployment: Deployment): Promise<QueueEntry[]> {
  const head = await readExistingBlock(client, "latest");
  return readQueueEntries(client, deployment, deployment.deployedAtBlock, head.number);
}

export function depositsOf(entries: readonly QueueEntry[]): QueuedDeposit[] {
  const deposits: QueuedDeposit[] = [];
  for (const { index, bytes } of entries) {
    const decoded = decodeInboundEntry(bytes);
    if (!decoded.ok || decoded.entry.type !== "deposit") continue;
    const { account, amount, payer } = decoded.entry;
    deposits.push({ index, account, amount, payer });
  }
  return deposits;
}

// ── forced entries ───────────────────────────────────────────────────────────────────────────────────────────────────

export interface ForcedQueueEntry {
  index: number;
  type: string;
  account: number;
  /** The recorded one, or the later one that a drop gave it. */
  deadlineSeconds: number;
  /** The last posted batch has consumed it. */
  isConsumed: boolean;
}

/** Every forced entry of the queue with the deadline that counts. */
export async function readForcedEntries(client: L1Client, deployment: Deployment): Promise<ForcedQueueEntry[]> {
  const entries = await readWholeQueue(client, deployment);
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const custody = { address: deployment.custody, abi: custodyAbi } as const;
  const [lastNumber, lastDropAt, period] = await l1Call("deadlines of forced entries", () =>
    Promise.all([
      client.readContract({ ...chain, functionName: "lastNumber" }),
      client.readContract({ ...chain, functionName: "lastDropAt" }),
      client.readContract({ ...custody, functionName: "forcedPeriodSeconds" }),
    ]),
  );
  const { inboundCursor } = await l1Call("last batch", () =>
    client.readContract({ ...chain, functionName: "batch", args: [lastNumber] }),
  );
  const afterDrop = Number(lastDropAt + period);
  const forced: ForcedQueueEntry[] = [];
  for (const { index, bytes } of entries) {
    const decoded = decodeInboundEntry(bytes);
    if (!decoded.ok) continue;
    const { entry } = decoded;
    if (entry.type !== "forcedWithdrawal" && entry.type !== "forcedClose" && entry.type !== "forcedLiquidation")
      continue;
    const deadline = await l1Call("deadline of a forced entry", () =>
      client.readContract({ ...custody, functionName: "forcedDeadlineOf", args: [BigInt(index)] }),
    );
    forced.push({
      index,
      type: entry.type,
      account: entry.account,
      deadlineSeconds: Math.max(Number(deadline), afterDrop),
      isConsumed: index < Number(inboundCursor),
    });
  }
  return forced;
}

/** The first entry that freezes the venue at `nowSeconds`, if any. */
export function missedEntry(forced: readonly ForcedQueueEntry[], nowSeconds: number): ForcedQueueEntry | undefined {
  return forced.find(({ isConsumed, deadlineSeconds }) => !isConsumed && nowSeconds > deadlineSeconds);
}

// ── the anchor's state ───────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The state after batch `batchNumber`, re-executed from genesis with what the L1 shows.
 * @throws ChainError L1_INCONSISTENT when a batch up to there is wrong or its root is not the L1's
 */
export async function readStateAfter(
  client: L1Client,
  deployment: Deployment,
  batchNumber: number,
  ports: WatcherPorts,
): Promise<LedgerState> {
  const head = await readExistingBlock(client, "latest");
  const core = createWatcher(deployment.parameters, ports);
  const events = await readBatchEvents(client, deployment, deployment.deployedAtBlock, head.number);
  const queueFault = core.addQueueEntries(await readWholeQueue(client, deployment));
  const wrong = (detail: string): ChainError =>
    new ChainError("L1_INCONSISTENT", `the state after batch ${batchNumber} cannot be rebuilt: ${detail}`, {
      context: { batchNumber },
    });
  if (queueFault !== null) throw wrong(describeFault(queueFault));
  if (events.length < batchNumber) throw wrong(`the L1 shows ${events.length} batches`);
  for (const event of events.slice(0, batchNumber)) {
    const fault = core.checkBatch(await readPostedBatch(client, event));
    if (fault !== null) throw wrong(describeFault(fault));
  }
  const root = await l1Call("final root", () =>
    client.readContract({
      address: deployment.batchChain,
      abi: batchChainAbi,
      functionName: "finalRoot",
      args: [BigInt(batchNumber)],
    }),
  );
  if (root !== core.state.root()) throw wrong(`re-execution gives ${core.state.root()}, the L1 has ${root}`);
  return core.state;
}

// ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ClaimedWithdrawal {
  withdrawalNumber: number;
  leaf: Hash;
  /** As the claim gave it; null where the claim was sent through another contract. */
  cell: OutboxCell | null;
}

/** Every claim that was ever paid, by withdrawal number. */
export async function readClaimed(client: L1Client, deployment: Deployment): Promise<Map<number, ClaimedWithdrawal>> {
  const head = await readExistingBlock(client, "latest");
  const claimed = new Map<number, ClaimedWithdrawal>();
  await eachBlockRange(deployment.deployedAtBlock, head.number, async (fromBlock, toBlock) => {
    const logs = await l1Call("claims", () =>
      client.getLogs({ address: deployment.custody, event: CLAIMED, fromBlock, toBlock, strict: true }),
    );
    for (const { args, transactionHash } of logs) {
      const withdrawalNumber = Number(args.withdrawalNumber);
      const [leaf, { input }] = await l1Call("claim", () =>
        Promise.all([
          client.readContract({
            address: deployment.custody,
            abi: custodyAbi,
            functionName: "claimedLeafOf",
            args: [withdrawalNumber],
          }),
          client.getTransaction({ hash: transactionHash }),
        ]),
      );
      claimed.set(withdrawalNumber, { withdrawalNumber, leaf, cell: claimedCell(input, withdrawalNumber, leaf) });
    }
  });
  return claimed;
}

function claimedCell(input: `0x${string}`, withdrawalNumber: number, leaf: Hash): OutboxCell | null {
  let call: ReturnType<typeof decodeFunctionData<typeof custodyAbi>>;
  try {
    call = decodeFunctionData({ abi: custodyAbi, data: input });
  } catch {
    // Sent through another contract.
    return null;
  }
  if (call.functionName !== "claim" || call.args[2] !== withdrawalNumber) return null;
  const { account, asset, amount, destinationChain, recipient } = call.args[3];
  const cell = {
    account: account as OutboxCell["account"],
    asset,
    amount: Number(amount) as OutboxCell["amount"],
    destinationChain: Number(destinationChain),
    recipient: recipient.toLowerCase() as Address,
  };
  return outboxLeaf(cell) === leaf ? cell : null;
}

/** Withdrawals that owners signed, in the batches after `batchNumber`. */
async function readSignedWithdrawals(
  client: L1Client,
  deployment: Deployment,
  batchNumber: number,
): Promise<{ withdrawal: Withdrawal; signature: CompactSignature }[]> {
  const head = await readExistingBlock(client, "latest");
  const events = await readBatchEvents(client, deployment, deployment.deployedAtBlock, head.number);
  const signed: { withdrawal: Withdrawal; signature: CompactSignature }[] = [];
  for (const event of events.slice(batchNumber)) {
    const posted = await readPostedBatch(client, event);
    const call = decodePost(posted.calldata, posted.blob);
    if (!call.ok) continue;
    for (const { payload } of decodeBatchData(call.data).cycles) {
      const decoded = decodeCycle(payload, deployment.parameters.domain);
      if (decoded.ok && decoded.cycle.kind === "outbound") signed.push(...decoded.cycle.withdrawals);
    }
  }
  return signed;
}

/** What can be shown of the claims that the anchor does not know. Empty unless a late fraud put the anchor before them. */
export async function readPaidEvidence(
  client: L1Client,
  deployment: Deployment,
  anchor: { batchNumber: number; outboxCount: number; inboundCursor: number },
): Promise<PaidEvidence[]> {
  const claims: ClaimBeyondAnchor[] = [];
  for (const { withdrawalNumber, cell } of (await readClaimed(client, deployment)).values()) {
    if (withdrawalNumber >= anchor.outboxCount && cell !== null) claims.push({ withdrawalNumber, cell });
  }
  if (claims.length === 0) return [];
  const custody = { address: deployment.custody, abi: custodyAbi } as const;
  const ownersRecipients = new Set<string>();
  for (const { cell } of claims) {
    const { account, recipient } = cell;
    const [owner, hasForced] = await l1Call("owner of an account", () =>
      Promise.all([
        client.readContract({ ...custody, functionName: "ownerOf", args: [account] }),
        client.readContract({ ...custody, functionName: "hasForcedTo", args: [account, recipient] }),
      ]),
    );
    if (hasForced || owner.toLowerCase() === recipient) ownersRecipients.add(`${account} ${recipient}`);
  }
  const deposits = depositsOf(await readWholeQueue(client, deployment));
  return paidEvidence(claims, {
    isOwnersRecipient: (account, recipient) => ownersRecipients.has(`${account} ${recipient}`),
    signed: await readSignedWithdrawals(client, deployment, anchor.batchNumber),
    deposits: deposits.filter(({ index }) => index >= anchor.inboundCursor),
  });
}
