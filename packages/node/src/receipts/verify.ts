// Were receipts kept? Judged from an L1 and the deployment file alone: every batch is executed again on the way.
import {
  checkDeployment,
  type Deployment,
  type L1Client,
  readBatchEvents,
  readExistingBlock,
  readPostedBatch,
  readQueueEntries,
} from "@tidemark/chain";
import { domainSeparator, type LedgerState, orderHash } from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import {
  collectible,
  createWatcher,
  describeFault,
  encodeWitness,
  isBroken,
  judgeReceipt,
  judgeSettled,
  receiptCells,
  receiptEvidence,
  receiptRoot,
  receiptsHash,
  type StateStanding,
} from "@tidemark/settlement";
import { ExitCode, NodeError } from "../errors.ts";
import type { Signer } from "../signatures/port.ts";
import { type CourtClaim, type CourtFacts, judgeAtCourt, readCourt } from "./court.ts";
import type { SignedReceipt } from "./store.ts";

/**
 * kept: a final state shows it. pending: no final state decides yet. broken: a claim collects damages. inconclusive: a later
 * order took the slot before any final state was looked at. invalid: the sequencer did not sign this.
 */
export type ReceiptState = "kept" | "pending" | "broken" | "inconclusive" | "invalid";

export interface ReceiptReport {
  signed: SignedReceipt;
  state: ReceiptState;
  /** One sentence for a person. */
  reason: string;
  /** Final batch that shows it; null while none does. */
  batchNumber: number | null;
  /** Micro-USDC that the court pays at most for it; 0 unless broken. */
  damage: bigint;
  /** What to send, when broken. */
  claim: CourtClaim | null;
}

/** Why the sequencer is not bound by it, or null. */
function invalidity(
  signed: SignedReceipt,
  deployment: Deployment,
  separator: Uint8Array,
  signer: Signer,
): string | null {
  const { receipt, order, path, signature } = signed;
  const { domain } = deployment.parameters;
  if (receipt.domain !== domain) return `it is of domain ${receipt.domain}, the venue's is ${domain}`;
  const isSame = order.domain === domain && order.account === receipt.account && order.nonce === receipt.nonce;
  if (!isSame || bytesToHex(orderHash(order, separator)) !== receipt.orderHash) {
    return "its order is not the one that it was signed for";
  }
  const root = receiptRoot(receipt, path);
  if (root === null) return "its path is malformed";
  const author = signer.recoverAddress(receiptsHash(domain, root, separator), hexToBytes(signature));
  if (author !== deployment.sequencer.toLowerCase()) {
    return author === null ? "its signature is malformed" : `it is signed by ${author}, not by the sequencer`;
  }
  return null;
}

/** Follows one receipt through the states of the chain, first to last. */
class Case {
  readonly signed: SignedReceipt;
  report: ReceiptReport | null = null;
  /** Posted batch that settles it, not final yet. */
  #postedBatch: number | null = null;
  #isRecycled = false;
  #finalMs = 0;

  constructor(signed: SignedReceipt) {
    this.signed = signed;
  }

  close(
    state: ReceiptState,
    reason: string,
    rest: Partial<Pick<ReceiptReport, "batchNumber" | "damage" | "claim">> = {},
  ): void {
    this.report ??= { signed: this.signed, state, reason, batchNumber: null, damage: 0n, claim: null, ...rest };
  }

  #shows(state: LedgerState, standing: StateStanding): boolean {
    const { receipt, order } = this.signed;
    const evidence = receiptEvidence(state, receipt, order, standing);
    return judgeSettled(receipt, order, evidence).verdict === "kept";
  }

  final(state: LedgerState, number: number, standing: StateStanding, facts: CourtFacts): void {
    if (this.report !== null) return;
    const { receipt, order } = this.signed;
    this.#finalMs = standing.timeMs;
    const evidence = receiptEvidence(state, receipt, order, standing);
    const judgement = judgeReceipt(receipt, order, evidence, facts.receiptPeriodMs);
    if (isBroken(judgement.verdict)) {
      const witness = encodeWitness(state, receiptCells(receipt, order));
      this.close("broken", brokenReason(judgement.verdict, this.signed, evidence.slot?.filledLots ?? 0, number), {
        batchNumber: number,
        damage: collectible(judgement, facts),
        claim: { ...this.signed, batchNumber: number, witness },
      });
    } else if (receipt.kind === "fill" && this.#shows(state, standing)) {
      this.close("kept", `settled in final batch ${number}`, { batchNumber: number });
    }
    if (judgement.verdict === "recycled") this.#isRecycled = true;
  }

  posted(state: LedgerState, number: number, standing: StateStanding): void {
    if (this.report !== null || this.#postedBatch !== null || this.signed.receipt.kind === "cancel") return;
    if (this.#shows(state, standing)) this.#postedBatch = number;
  }

  end(facts: CourtFacts): ReceiptReport {
    const { receipt, order } = this.signed;
    const madeMs = receipt.deadlineMs - facts.receiptPeriodMs;
    // A cancel is kept as far as anybody knows; only the order's own end makes it certain.
    if (receipt.kind === "cancel" && this.#finalMs >= madeMs) {
      const until = this.#finalMs >= order.expiryMs ? "" : ` so far; the order itself ends at ${iso(order.expiryMs)}`;
      this.close("kept", `nothing beyond ${receipt.filledLots} lots is settled${until}`, {
        batchNumber: facts.lastBatch,
      });
    }
    if (this.#isRecycled) this.close("inconclusive", "a later order took its slot before a final batch showed it");
    if (this.#postedBatch !== null) this.close("pending", `settled in batch ${this.#postedBatch}, which is not final`);
    if (receipt.kind === "cancel") this.close("pending", `cancelled at ${iso(madeMs)}, after the last final batch`);
    this.close("pending", `signed at ${iso(madeMs)}, not settled yet; due by ${iso(receipt.deadlineMs)}`);
    return this.report as ReceiptReport;
  }
}

const iso = (ms: number): string => {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
};

function brokenReason(verdict: string, { receipt }: SignedReceipt, lots: number, batch: number): string {
  const due = `due by ${iso(receipt.deadlineMs)}`;
  switch (verdict) {
    case "missing":
      return `final batch ${batch} settles fewer lots than the ${receipt.filledLots} that were promised, ${due}`;
    case "cashWorse":
      return `final batch ${batch} settles cash that the order's limit does not explain, ${due}`;
    default:
      return `final batch ${batch} settles ${lots} lots, ${receipt.filledLots} were filled when it was cancelled`;
  }
}

export interface VerifyOptions {
  client: L1Client;
  deployment: Deployment;
  signer: Signer;
}

/** In the order of the receipts. @throws NodeError WATCHER_FAULT when a final batch is wrong: then nothing it shows counts */
export async function verifyReceipts(
  options: VerifyOptions,
  receipts: readonly SignedReceipt[],
): Promise<{ reports: ReceiptReport[]; facts: CourtFacts }> {
  const { client, deployment, signer } = options;
  await checkDeployment(client, deployment);
  const head = await readExistingBlock(client, "latest");
  const facts = await readCourt(client, deployment, head.number);
  const separator = domainSeparator(deployment.parameters);
  const cases = receipts.map((signed) => {
    const found = new Case(signed);
    const why = invalidity(signed, deployment, separator, signer);
    if (why !== null) found.close("invalid", why);
    return found;
  });
  await walk(options, head.number, facts, cases);
  const reports = cases.map((found) => found.end(facts));
  if (facts.isAnchorSettled) await confirm(options, reports);
  return { reports, facts };
}

/** Executes every posted batch from genesis on and shows each state to all cases. */
async function walk(
  { client, deployment, signer }: VerifyOptions,
  headNumber: number,
  facts: CourtFacts,
  cases: readonly Case[],
): Promise<void> {
  const watcher = createWatcher(deployment.parameters, { signatures: signer });
  const fault = watcher.addQueueEntries(
    await readQueueEntries(client, deployment, deployment.deployedAtBlock, headNumber),
  );
  if (fault !== null) throw wrong(describeFault(fault));
  const { timesMs, lastBatch, isFrozen, lastDropMs } = facts;
  const standingOf = (number: number, timeMs: number): StateStanding => ({
    timeMs,
    previousMs: number === 0 ? 0 : (timesMs[number - 1] ?? 0),
    nextMs: number < lastBatch ? (timesMs[number + 1] ?? 0) : 0,
    isAnchor: isFrozen && number === lastBatch,
    lastDropMs,
  });
  for (const found of cases) found.final(watcher.state, 0, standingOf(0, 0), facts);
  for (const event of await readBatchEvents(client, deployment, deployment.deployedAtBlock, headNumber)) {
    const isFinal = event.number <= lastBatch;
    if (!isFinal && isFrozen) return;
    const found = watcher.checkBatch(await readPostedBatch(client, event));
    // One that is not final says nothing yet: it will be dropped.
    if (found !== null && !isFinal) return;
    if (found !== null) throw wrong(describeFault(found));
    const standing = standingOf(event.number, watcher.state.globals.timeMs);
    for (const one of cases) {
      if (isFinal) one.final(watcher.state, event.number, standing, facts);
      else one.posted(watcher.state, event.number, standing);
    }
  }
}

const wrong = (detail: string): NodeError =>
  new NodeError("WATCHER_FAULT", `a final batch is wrong, receipts cannot be judged by it: ${detail}`, {
    exitCode: ExitCode.invariantBroken,
  });

/** The court must say the same: it is what pays. */
async function confirm({ client, deployment }: VerifyOptions, reports: readonly ReceiptReport[]): Promise<void> {
  for (const { claim, damage } of reports) {
    if (claim === null) continue;
    const judgement = await judgeAtCourt(client, deployment, claim);
    if (isBroken(judgement.verdict) && judgement.damage === damage) continue;
    const { account, nonce } = claim.receipt;
    throw new NodeError(
      "COURT_DIFFERS",
      `account ${account}, nonce ${nonce}: the court says ${judgement.verdict} and ${judgement.damage}, expected ${damage}`,
      { exitCode: ExitCode.invariantBroken },
    );
  }
}
