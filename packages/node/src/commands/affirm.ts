// `tidemark affirm <batch>`: state and checks from the L1 alone; one call a check that is missing there, then the conclusion.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AffirmOptions,
  type AffirmProgress,
  type AffirmResult,
  affirmBatch,
  type BatchEvent,
  batchChainAbi,
  blobProofOf,
  ChainError,
  connectL1,
  createWatcherClient,
  type Deployment,
  FEE_POLICY_DEFAULT,
  type FeePolicy,
  type L1Client,
  l1Call,
  pieceName,
  readDeployment,
  readPostedBatch,
  type WatcherClient,
} from "@tidemark/chain";
import { type CommittedBatch, decodeBatchData, decodePost, describeFault, planAffirmation } from "@tidemark/settlement";
import { blobOptions } from "../blobOptions.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { signer } from "../signatures/signer.ts";
import { challengeFees } from "./challengeFees.ts";
import { accountOf, outboxOf, requiredAccountOf } from "./key.ts";
import { type FlaggedL1, openFlaggedL1 } from "./l1Flag.ts";

const POLL_MS = 500;
const BLOCK_SECONDS = 12;
const BAR_WIDTH = 32;
const WEI_PER_GWEI = 1e9;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Re-executes what is before the batch and answers with the batch. @throws NodeError NO_BATCH | BATCH_WRONG */
async function stateBefore(watcher: WatcherClient, batch: number): Promise<BatchEvent> {
  for (;;) {
    const status = await watcher.tick();
    if (status.fault !== null) {
      throw new NodeError("BATCH_WRONG", `batch ${batch} stands on a wrong one: ${describeFault(status.fault)}`, {
        exitCode: ExitCode.invariantBroken,
      });
    }
    const event = watcher.event(batch);
    if (event === null) {
      throw new NodeError("NO_BATCH", `the L1 has no batch ${batch}: its last is ${status.batchesPosted}`, {
        exitCode: ExitCode.usage,
      });
    }
    process.stderr.write(`re-executed ${status.batchesCompared}/${batch - 1} batches before it\n`);
    if (status.batchesCompared === batch - 1) return event;
  }
}

async function contentOf(client: L1Client, event: BatchEvent): Promise<CommittedBatch & { data: Uint8Array }> {
  const posted = await readPostedBatch(client, event);
  const call = decodePost(posted.calldata, posted.blob);
  const data = call.ok ? decodeBatchData(call.data) : null;
  if (!call.ok || data === null || !data.ok) {
    throw new NodeError("BATCH_WRONG", `the data of batch ${event.number} do not decode`, {
      exitCode: ExitCode.invariantBroken,
    });
  }
  return { header: call.header, cycles: data.cycles, data: call.data };
}

function bar(done: number, all: number): string {
  const filled = Math.floor((BAR_WIDTH * done) / Math.max(1, all));
  return `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${done}/${all} checks`;
}

function showProgress({ affirmed, pieces, newCalls }: AffirmProgress): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${bar(affirmed, pieces)} `);
  for (const { name, gasUsed, bytes } of newCalls) {
    say(`${process.stderr.isTTY ? "\r" : ""}${name}: ${gasUsed} gas, ${bytes} bytes`);
  }
}

/** The cap of a challenge's end: nobody waits for an affirmation. */
function feesOf(flags: Record<string, unknown>): FeePolicy {
  const fees = challengeFees(flags);
  return fees === null ? FEE_POLICY_DEFAULT : { ...FEE_POLICY_DEFAULT, maxFeeCapWeiPerGas: fees.feeCapEndWeiPerGas };
}

async function isFinal(client: L1Client, deployment: Deployment, batch: number): Promise<boolean> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  return (
    BigInt(batch) <=
    (await l1Call("last final batch", () => client.readContract({ ...chain, functionName: "lastFinal" })))
  );
}

/**
 * The chain takes no proof of a batch whose window passed meanwhile.
 * @throws NodeError NOT_AFFIRMABLE: it is wrong, or of a kind that cannot be proven
 */
async function affirmedOrFinal(options: AffirmOptions): Promise<AffirmResult | "final"> {
  try {
    return await affirmBatch(options);
  } catch (error) {
    if (!(error instanceof ChainError) || error.code !== "NOT_AFFIRMABLE") throw error;
    if (await isFinal(options.client, options.deployment, options.event.number)) return "final";
    if (error.retryable) throw error;
    throw new NodeError(error.code, error.message, { exitCode: ExitCode.invariantBroken, cause: error.cause });
  }
}

async function pause(client: L1Client, l1: FlaggedL1): Promise<void> {
  if (l1.mine === null) await sleep(POLL_MS);
  else await l1.mine(Number((await client.getBlock()).timestamp) + BLOCK_SECONDS);
}

export async function affirm(flags: Record<string, unknown>): Promise<ExitCode> {
  const batch = Number(flags["batch"]);
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new NodeError("USAGE", "batch numbers begin with 1", { exitCode: ExitCode.usage });
  }
  const dryRun = flags["dryRun"] === true;
  const account = dryRun ? accountOf(flags) : requiredAccountOf(flags);
  const deployment = await readDeployment(String(flags["deployment"]));
  const l1 = await openFlaggedL1(flags);
  try {
    const client = await connectL1(l1.url, deployment.chainId, { blobs: blobOptions(flags) });
    if (!dryRun && (await isFinal(client, deployment, batch))) return finalBefore(batch, flags);
    const ports = { signatures: signer };
    const watcher = await createWatcherClient({ client, deployment, ports, lastBatch: batch - 1 });
    const event = await stateBefore(watcher, batch);
    const content = await contentOf(client, event);
    const { state } = watcher.core;
    if (dryRun || account === null) return listed(planAffirmation(state, content, ports), flags);
    const result = await affirmedOrFinal({
      client,
      deployment,
      account,
      path: outboxOf(flags, account),
      fees: feesOf(flags),
      event,
      batch: content,
      state,
      ports,
      blob: () => blobProofOf(content.header, content.data),
      pause: () => pause(client, l1),
      onProgress: showProgress,
    });
    if (result === "final") return finalBefore(batch, flags);
    const gasPrice = await client.getGasPrice();
    return told(batch, result, gasPrice, flags);
  } finally {
    await l1.stop();
  }
}

function listed(plan: ReturnType<typeof planAffirmation>, flags: Record<string, unknown>): ExitCode {
  if (!plan.ok) {
    say(plan.why);
    return ExitCode.invariantBroken;
  }
  const names = plan.pieces.map(pieceName);
  if (flags["json"] === true) say(JSON.stringify({ calls: [...names, "conclusion"] }));
  else for (const name of [...names, "conclusion"]) say(name);
  return ExitCode.ok;
}

function finalBefore(batch: number, flags: Record<string, unknown>): ExitCode {
  say(`batch ${batch} is final: it needs no proof any more`);
  if (flags["json"] === true) say(JSON.stringify({ batch, outcome: "final" }));
  return ExitCode.ok;
}

function told(batch: number, result: AffirmResult, gasPrice: bigint, flags: Record<string, unknown>): ExitCode {
  const { pieces, affirmedBefore, calls, gasTotal, provenAtSeconds, finalisableAtSeconds } = result;
  const gwei = (Number(gasPrice) / WEI_PER_GWEI).toFixed(2);
  const ether = ((gasTotal * Number(gasPrice)) / 1e18).toFixed(6);
  say(
    `batch ${batch} is proven: ${pieces} checks (${affirmedBefore} were there), ${calls.length} calls, ${gasTotal} gas = ${ether} ETH at ${gwei} gwei; ` +
      `proven at ${provenAtSeconds}, may be final from ${finalisableAtSeconds} (L1 seconds)`,
  );
  if (flags["json"] === true) say(JSON.stringify({ batch, outcome: "proven", ...result }));
  return ExitCode.ok;
}
