// `tidemark challenge <batch>`: state and fault from the L1 alone, one call, and what became of it.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type ChallengeReport,
  connectL1,
  createDisputeClient,
  createWatcherClient,
  type Deployment,
  type DisputeClient,
  type L1Client,
  type PreparedChallenge,
  prepareChallenge,
  readDeployment,
  type WatcherClient,
  type WatchStatus,
} from "@tidemark/chain";
import { type Accusation, describeFault } from "@tidemark/settlement";
import { type Address, zeroAddress } from "viem";
import { ExitCode, NodeError } from "../errors.ts";
import { signer } from "../signatures/signer.ts";
import { challengeFees } from "./challengeFees.ts";
import { preparedLine, reportLine } from "./challengeText.ts";
import { accountOf, outboxOf, requiredAccountOf } from "./key.ts";
import { type FlaggedL1, openFlaggedL1 } from "./l1Flag.ts";

const POLL_MS = 500;
const BLOCK_SECONDS = 12;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Compares up to the batch. @throws NodeError NO_BATCH */
async function compareUpTo(watcher: WatcherClient, batch: number, json: boolean): Promise<WatchStatus> {
  for (;;) {
    const status = await watcher.tick();
    if (!json) process.stderr.write(`re-executed ${status.batchesCompared}/${status.batchesPosted} batches\n`);
    if (status.fault !== null || status.batchesCompared >= batch) return status;
    if (status.batchesCompared < status.batchesPosted) continue;
    throw new NodeError("NO_BATCH", `the L1 has no batch ${batch}: its last is ${status.batchesPosted}`, {
      exitCode: ExitCode.usage,
    });
  }
}

interface Trial {
  client: L1Client;
  deployment: Deployment;
  watcher: WatcherClient;
  accusation: Accusation;
  l1: FlaggedL1;
}

async function prepared(trial: Trial, sender: Address): Promise<PreparedChallenge> {
  const { client, deployment, accusation } = trial;
  const preparation = await prepareChallenge(client, deployment, sender, accusation);
  if (preparation.ok) return preparation.prepared;
  throw new NodeError("UNPROVABLE", `no challenge convicts batch ${accusation.batch}: ${preparation.why}`, {
    exitCode: ExitCode.invariantBroken,
  });
}

const isOver = ({ step }: ChallengeReport): boolean =>
  step === "convicted" || step === "convicted late" || step === "unprovable";

/** Rounds until the batch is gone or nothing can be done about it. */
async function pursue(trial: Trial, dispute: DisputeClient): Promise<ChallengeReport> {
  const { watcher, accusation, client, l1 } = trial;
  const event = watcher.faulty;
  if (event === null) throw new Error("a batch at fault");
  const { number, batchHash, blockNumber } = event;
  for (let shown = ""; ; ) {
    await dispute.tick();
    const report = await dispute.pursue({ number, batchHash, blockNumber }, accusation);
    const line = reportLine(report);
    if (line !== shown) say(line);
    shown = line;
    if (isOver(report)) return report;
    if (l1.mine === null) await sleep(POLL_MS);
    else await l1.mine(Number((await client.getBlock()).timestamp) + BLOCK_SECONDS);
  }
}

export async function challenge(flags: Record<string, unknown>): Promise<ExitCode> {
  const batch = Number(flags["batch"]);
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new NodeError("USAGE", "batch numbers begin with 1", { exitCode: ExitCode.usage });
  }
  const dryRun = flags["dryRun"] === true;
  const account = dryRun ? accountOf(flags) : requiredAccountOf(flags);
  const deployment = await readDeployment(String(flags["deployment"]));
  const l1 = await openFlaggedL1(flags);
  try {
    const client = await connectL1(l1.url, deployment.chainId);
    const watcher = await createWatcherClient({ client, deployment, ports: { signatures: signer } });
    const status = await compareUpTo(watcher, batch, flags["json"] === true);
    const { fault } = status;
    if (fault === null || fault.batch > batch) return right(batch, status, flags);
    say(`FAULT ${describeFault(fault)}`);
    if (fault.batch < batch) say(`batch ${batch} stands on batch ${fault.batch} and goes with it`);
    const accused = watcher.core.accuse();
    if (!accused.ok) {
      throw new NodeError("UNPROVABLE", accused.why, { exitCode: ExitCode.invariantBroken });
    }
    const trial: Trial = { client, deployment, watcher, accusation: accused.accusation, l1 };
    const call = await prepared(trial, account?.address ?? zeroAddress);
    say(preparedLine(call));
    const common = { batch: fault.batch, fault, challenge: callJson(call) };
    if (dryRun || account === null) return ended({ ...common, outcome: "not sent" }, flags, ExitCode.invariantBroken);
    const path = outboxOf(flags, account);
    const fees = challengeFees(flags);
    const dispute = createDisputeClient({ client, deployment, account, path, ...(fees === null ? {} : { fees }) });
    try {
      const report = await pursue(trial, dispute);
      const exitCode = report.step === "convicted" ? ExitCode.ok : ExitCode.invariantBroken;
      return ended(
        { ...common, outcome: report.step, detail: report.detail, conviction: report.conviction },
        flags,
        exitCode,
      );
    } finally {
      await dispute.close();
    }
  } finally {
    await l1.stop();
  }
}

function callJson({ challenge, gas, bytes }: PreparedChallenge): Record<string, unknown> {
  const { face } = challenge;
  const cycle = face === "header" ? null : challenge.claim.index;
  return { face, cycle, account: face === "account" ? challenge.account : null, gas, bytes };
}

function right(batch: number, status: WatchStatus, flags: Record<string, unknown>): ExitCode {
  say(
    `batch ${batch} is right: ${status.cyclesEqual}/${status.cyclesCompared} state roots equal up to it; there is nothing to challenge`,
  );
  return ended({ batch, fault: null, outcome: "nothing wrong" }, flags, ExitCode.nothingWrong);
}

function ended(summary: Record<string, unknown>, flags: Record<string, unknown>, exitCode: ExitCode): ExitCode {
  const plain = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);
  if (flags["json"] === true) say(JSON.stringify({ ...summary, exitCode }, plain));
  return exitCode;
}
