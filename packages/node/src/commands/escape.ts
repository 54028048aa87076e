// `tidemark escape`: the end of a venue, rehearsed on a copy or for real. Every step is anybody's.
import {
  batchChainAbi,
  createEscapeClient,
  type EscapePhase,
  type EscapeStatus,
  l1Call,
  missedEntry,
  readExistingBlock,
  readForcedEntries,
} from "@tidemark/chain";
import type { Entitlement, EntitlementKind } from "@tidemark/settlement";
import { ExitCode, NodeError } from "../errors.ts";
import { rehearse } from "../escape/rehearsal.ts";
import { reportJson, reportLines } from "../escape/report.ts";
import { openSession } from "../escape/session.ts";
import {
  anchorState,
  type EscapeContext,
  fixedAnchor,
  readAnchorBooks,
  registerAll,
  showEvidence,
} from "../escape/steps.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);

export async function escapeRehearse(flags: Record<string, unknown>): Promise<ExitCode> {
  const json = flags["json"] === true;
  const report = await rehearse({
    folder: String(flags["source"]),
    ...(flags["out"] === undefined ? {} : { out: String(flags["out"]) }),
    withMarks: flags["marks"] !== false,
    markShiftPpb: Number(flags["markShiftPpb"] ?? 0),
    onStep: (line) => void process.stderr.write(`${line}\n`),
  });
  for (const line of reportLines(report)) (json ? process.stderr : process.stdout).write(`${line}\n`);
  if (json) say(reportJson(report));
  return report.problems.length === 0 ? ExitCode.ok : ExitCode.invariantBroken;
}

async function open(flags: Record<string, unknown>): Promise<EscapeContext> {
  const { client, deployment, sender } = await openSession(flags);
  return { client, deployment, contract: createEscapeClient(client, deployment, sender) };
}

function wrongPhase(status: EscapeStatus, wanted: string): NodeError {
  return new NodeError("WRONG_PHASE", `the escape is in phase ${status.phase}: ${wanted}`, {
    exitCode: ExitCode.usage,
  });
}

export async function escapeFreeze(flags: Record<string, unknown>): Promise<ExitCode> {
  const context = await open(flags);
  const status = await context.contract.status();
  if (status.phase !== "live") throw wrongPhase(status, "the venue is frozen already");
  const forced = await readForcedEntries(context.client, context.deployment);
  const head = await readExistingBlock(context.client, "latest");
  const missed = missedEntry(forced, head.timestampSeconds);
  if (missed === undefined) {
    const open = forced.filter(({ isConsumed }) => !isConsumed);
    say(`nothing to freeze for: ${forced.length} forced entries, ${open.length} not consumed, none past its deadline`);
    return ExitCode.usage;
  }
  await context.contract.freezeForMissedEntry(missed.index);
  say(`frozen: entry ${missed.index} (${missed.type} of account ${missed.account}) missed its deadline`);
  return ExitCode.ok;
}

/** Fixes the anchor once what was posted is resolved, and shows what was paid beyond it. */
async function fix(context: EscapeContext): Promise<void> {
  const { client, deployment, contract } = context;
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const lastFinal = await l1Call("last final batch", () =>
    client.readContract({ ...chain, functionName: "lastFinal" }),
  );
  const limit = await contract.anchorLimit();
  const number = Math.min(Number(lastFinal), limit);
  await contract.fixAnchor(await anchorState(context, number));
  say(`anchor fixed: batch ${number}`);
}

const REGISTERING: readonly EscapePhase[] = ["registering", "paying"];

function wantedOf(flags: Record<string, unknown>, all: readonly Entitlement[]): readonly Entitlement[] {
  const { account } = flags;
  if (account === undefined) return all;
  return all.filter(({ kind, number }) => kind === "account" && number === Number(account));
}

export async function escapeRegister(flags: Record<string, unknown>): Promise<ExitCode> {
  const context = await open(flags);
  let status = await context.contract.status();
  if (status.phase === "resolving") {
    await fix(context);
    status = await context.contract.status();
  }
  const anchor = fixedAnchor(status);
  const state = await anchorState(context, anchor.batchNumber);
  const books = await readAnchorBooks(context, anchor, state);
  if (status.phase === "marking") {
    const shown = await showEvidence(context, books);
    const until = new Date(anchor.marksUntilSeconds * 1_000).toISOString();
    say(`${shown} payments beyond the anchor shown; registration begins ${until}`);
    return ExitCode.ok;
  }
  if (!REGISTERING.includes(status.phase)) throw wrongPhase(status, "nothing registers now");
  let count = 0;
  await registerAll(context, books, wantedOf(flags, books.entitlements), ({ kind, number, amountMicroUsdc }) => {
    count++;
    say(`registered ${kind} ${number}: ${amountMicroUsdc} micro-USDC`);
  });
  say(`${count} registered${status.phase === "paying" ? ", late" : ""}`);
  return ExitCode.ok;
}

export async function escapePay(flags: Record<string, unknown>): Promise<ExitCode> {
  const context = await open(flags);
  const { contract } = context;
  let status = await contract.status();
  if (status.phase === "closable") {
    await contract.close();
    status = await contract.status();
    say(
      `books closed: ${status.books.registeredMicroUsdc} registered, vault ${status.books.vaultMicroUsdc} micro-USDC`,
    );
  }
  if (status.phase !== "paying" && status.phase !== "residual") throw wrongPhase(status, "nothing is paid yet");
  const anchor = fixedAnchor(status);
  const books = await readAnchorBooks(context, anchor, await anchorState(context, anchor.batchNumber));
  let refused = 0;
  for (const { kind, number } of wantedOf(flags, books.entitlements)) refused += await payOne(context, kind, number);
  return refused === 0 ? ExitCode.ok : ExitCode.environment;
}

/** 1 where the token refuses the recipient: that is in nobody else's way. */
async function payOne({ contract }: EscapeContext, kind: EntitlementKind, number: number): Promise<number> {
  const { isDue, amountMicroUsdc } = await contract.payableNow({ kind, number });
  if (!isDue) return 0;
  try {
    await contract.pay(kind, number);
    say(`paid ${kind} ${number}: ${amountMicroUsdc} micro-USDC`);
    return 0;
  } catch (error) {
    say(`${kind} ${number} is not paid: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

export async function escapeStatus(flags: Record<string, unknown>): Promise<ExitCode> {
  // Reads only: nothing is sent with this key.
  const { contract } = await open({ ...flags, developmentKey: "nobody", keyFile: undefined });
  const status = await contract.status();
  say(JSON.stringify(status, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value), 2));
  return ExitCode.ok;
}
