// `tidemark receipts`: what the sequencer promised, whether it kept it, and how to be paid when it did not.
import { join } from "node:path";
import { connectL1, type Deployment, type L1Client, readDeployment } from "@tidemark/chain";
import { type Address, isAddress } from "viem";
import { blobOptions } from "../blobOptions.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { type CourtClaim, claimedBefore, collectDamages, openRoundOf, sendClaims } from "../receipts/court.ts";
import { type ReceiptFile, readReceiptFile, writeReceiptFile } from "../receipts/file.ts";
import { type ReceiptFilter, ReceiptStore, type SignedReceipt } from "../receipts/store.ts";
import { type ReceiptReport, type ReceiptState, verifyReceipts } from "../receipts/verify.ts";
import { signer } from "../signatures/signer.ts";
import { requiredAccountOf } from "./key.ts";
import { openFlaggedL1 } from "./l1Flag.ts";

type Flags = Record<string, unknown>;

const usage = (message: string): NodeError => new NodeError("USAGE", message, { exitCode: ExitCode.usage });

function filterOf({ account, nonce, kind }: Flags): ReceiptFilter {
  const filter: ReceiptFilter = {};
  if (account !== undefined) filter.account = Number(account);
  if (nonce !== undefined) filter.nonce = Number(nonce);
  if (kind === "fill" || kind === "cancel") filter.kind = kind;
  return filter;
}

/** Receipts of a data folder, or of the --out folder of a run. */
async function storedReceipts(flags: Flags): Promise<SignedReceipt[]> {
  const store = ReceiptStore.openToRead(join(String(flags["dataDir"]), "receipts"));
  try {
    return [...store.read(filterOf(flags))];
  } finally {
    await store.close();
  }
}

function lineOf({ receipt }: SignedReceipt): string {
  const { kind, account, nonce, filledLots, filledCash, deadlineMs, orderHash } = receipt;
  const due = new Date(deadlineMs).toISOString();
  return `${kind.padEnd(6)} account ${account} nonce ${nonce}: ${filledLots} lots, cash ${filledCash} micro-USDC, due ${due}, order ${orderHash}`;
}

export async function listReceipts(flags: Flags): Promise<ExitCode> {
  const receipts = await storedReceipts(flags);
  if (flags["json"] === true) process.stdout.write(`${JSON.stringify(receipts.map(({ receipt }) => receipt))}\n`);
  else process.stdout.write(receipts.map((signed) => `${lineOf(signed)}\n`).join(""));
  return ExitCode.ok;
}

export async function exportReceipts(flags: Flags): Promise<ExitCode> {
  const { chainId, custody } = await readDeployment(join(String(flags["dataDir"]), "deployment.json"));
  const receipts = await storedReceipts(flags);
  writeReceiptFile(String(flags["out"]), { chainId, custody, receipts });
  process.stdout.write(`${receipts.length} receipts written to ${String(flags["out"])}\n`);
  return ExitCode.ok;
}

interface Opened {
  client: L1Client;
  deployment: Deployment;
  stop: () => Promise<void>;
}

async function openL1(flags: Flags): Promise<Opened> {
  const deployment = await readDeployment(String(flags["deployment"]));
  const { url, stop } = await openFlaggedL1(flags);
  return { client: await connectL1(url, deployment.chainId, { blobs: blobOptions(flags) }), deployment, stop };
}

function requireSameVenue(file: ReceiptFile, deployment: Deployment): void {
  const isSame = file.chainId === deployment.chainId && file.custody.toLowerCase() === deployment.custody.toLowerCase();
  if (isSame) return;
  throw usage(`the receipts are of chain ${file.chainId}, custody ${file.custody}: another venue's`);
}

const money = (micro: bigint): string => `${micro / 1_000_000n}.${String(micro % 1_000_000n).padStart(6, "0")} USDC`;

function reportJson({ signed, state, reason, batchNumber, damage }: ReceiptReport): object {
  return { receipt: signed.receipt, state, reason, batchNumber, damageMicroUsdc: String(damage) };
}

function tell(reports: readonly ReceiptReport[], json: boolean, extra: Record<string, unknown> = {}): void {
  const counts: Partial<Record<ReceiptState, number>> = {};
  for (const { state } of reports) counts[state] = (counts[state] ?? 0) + 1;
  if (json) {
    process.stdout.write(`${JSON.stringify({ counts, ...extra, receipts: reports.map(reportJson) })}\n`);
    return;
  }
  for (const { signed, state, reason, damage } of reports) {
    if (state === "kept") continue;
    const { kind, account, nonce } = signed.receipt;
    const owed = damage > 0n ? `; up to ${money(damage)} can be claimed` : "";
    process.stdout.write(`${state} ${kind} account ${account} nonce ${nonce}: ${reason}${owed}\n`);
  }
  const summary = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
  process.stdout.write(`${reports.length} receipts: ${summary.join(", ") || "none"}\n`);
}

const isFine = ({ state }: ReceiptReport): boolean => state === "kept" || state === "pending";

export async function verifyReceiptFile(flags: Flags): Promise<ExitCode> {
  const file = readReceiptFile(String(flags["file"]));
  const { client, deployment, stop } = await openL1(flags);
  try {
    requireSameVenue(file, deployment);
    const { reports } = await verifyReceipts({ client, deployment, signer }, file.receipts);
    tell(reports, flags["json"] === true);
    return reports.every(isFine) ? ExitCode.ok : ExitCode.invariantBroken;
  } finally {
    await stop();
  }
}

/** Of an order's broken receipts the best one: the others would find that more was claimed. */
function bestClaims(reports: readonly ReceiptReport[]): { claim: CourtClaim; damage: bigint; reason: string }[] {
  const best = new Map<string, { claim: CourtClaim; damage: bigint; reason: string }>();
  for (const { signed, claim, damage, reason } of reports) {
    const { kind, account, nonce } = signed.receipt;
    const key = `${kind} ${account} ${nonce}`;
    if (claim !== null && damage > (best.get(key)?.damage ?? 0n)) best.set(key, { claim, damage, reason });
  }
  return [...best.values()];
}

/** Sends what is broken and was not claimed as high before. Nothing is sent for a promise that was kept. */
export async function claimReceiptFile(flags: Flags): Promise<ExitCode> {
  const json = flags["json"] === true;
  const say = (line: string): void => void (json ? process.stderr : process.stdout).write(`${line}\n`);
  const file = readReceiptFile(String(flags["file"]));
  const sender = requiredAccountOf(flags);
  const { client, deployment, stop } = await openL1(flags);
  try {
    requireSameVenue(file, deployment);
    const { reports, facts } = await verifyReceipts({ client, deployment, signer }, file.receipts);
    if (!facts.isAnchorSettled) throw usage("the venue is frozen and its last state not settled yet: claim afterwards");
    const claims = bestClaims(reports);
    let claimed = 0n;
    for (const { claim, damage, reason } of claims) {
      const before = await claimedBefore(client, deployment, claim);
      const { kind, account, nonce } = claim.receipt;
      if (before >= damage) {
        say(`claimed before: ${kind} account ${account} nonce ${nonce}`);
        continue;
      }
      const [sent] = await sendClaims(client, deployment, sender, [claim]);
      claimed += damage - before;
      say(
        `claimed ${money(damage - before)} for ${kind} account ${account} nonce ${nonce}: ${reason}; ${sent?.gasUsed} gas`,
      );
    }
    tell(reports, json, { claimedMicroUsdc: String(claimed) });
    if (claims.length === 0) {
      say("no receipt is broken: there is nothing to claim");
      return ExitCode.nothingWrong;
    }
    say(`${money(claimed)} claimed in all`);
    return ExitCode.ok;
  } finally {
    await stop();
  }
}

export async function collectReceiptDamages(flags: Flags): Promise<ExitCode> {
  const owner = String(flags["owner"]);
  if (!isAddress(owner, { strict: false })) throw usage(`--owner: ${owner} is no address`);
  const sender = requiredAccountOf(flags);
  const { client, deployment, stop } = await openL1(flags);
  try {
    const collected = await collectDamages(client, deployment, sender, owner as Address);
    const openUntil = await openRoundOf(client, deployment, owner as Address);
    if (collected > 0n) process.stdout.write(`${money(collected)} collected for ${owner}\n`);
    if (openUntil !== null) {
      process.stdout.write(`claims for ${owner} are in a round that ends at ${openUntil}: collect the rest then\n`);
    }
    if (collected === 0n && openUntil === null) process.stdout.write(`nothing is due to ${owner}\n`);
    return collected > 0n ? ExitCode.ok : ExitCode.nothingWrong;
  } finally {
    await stop();
  }
}
