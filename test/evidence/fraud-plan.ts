// The list of planted frauds, made from the ledger's codes and kinds, the fields of a header and the errors of the batch chain: a new
// one of these without a fraud of its own fails the run.
import { batchChainAbi } from "@tidemark/chain";
import { type Cycle, CycleKind, InboundOutcomeCode, RejectionCode, rejectionName } from "@tidemark/ledger";
import type { BatchHeader } from "@tidemark/settlement";

export interface FraudRow {
  key: string;
  /** What kind of rule is broken. */
  area: "rule" | "root" | "outcome" | "header" | "queue" | "time" | "posting";
  kind: string;
  code: number;
  what: string;
}

export const KINDS = Object.keys(CycleKind) as Cycle["kind"][];
const GENERAL = [RejectionCode.MALFORMED, RejectionCode.TIME_NOT_MONOTONIC, RejectionCode.LIMIT_EXCEEDED];

export const ruleKey = (kind: string, code: number): string => `rule ${kind} ${code}`;
export const rootKey = (kind: string): string => `root ${kind}`;
export const outcomeKey = (code: number): string => `outcome ${code}`;
export const headerKey = (field: string): string => `header ${field}`;
export const postingKey = (error: string): string => `posting ${error}`;

const REJECTIONS: ReadonlySet<number> = new Set(Object.values(RejectionCode));

/** Kind that a code belongs to by its name; null for the general ones and for outcomes. */
export function kindOfCode(code: number): Cycle["kind"] | null {
  if (!REJECTIONS.has(code)) return null;
  const prefix = (rejectionName(code) ?? "").split("_")[0]?.toLowerCase();
  return KINDS.find((kind) => kind === prefix) ?? null;
}

/** Trades' codes are also those of a liquidation's counterparties. */
function codesOf(kind: Cycle["kind"]): number[] {
  const codes = Object.values(RejectionCode);
  const own = codes.filter((code) => kindOfCode(code) === kind);
  const trades = kind === "liquidation" ? codes.filter((code) => kindOfCode(code) === "trade") : [];
  return [...GENERAL, ...own, ...trades];
}

/**
 * Rules that no cycle of that kind can break, and why. `npm run check` shows them in the table; whoever removes the reason must plant
 * the fraud.
 */
export const NOT_BREAKABLE: ReadonlyMap<string, string> = new Map([
  ...(["report", "rows", "auction", "bankruptcy", "outbound", "credit", "admin"] as const).map(
    (kind): [string, string] => [
      ruleKey(kind, RejectionCode.LIMIT_EXCEEDED),
      "the counts that its decoder takes keep every cycle of the kind within the limits",
    ],
  ),
  [outcomeKey(InboundOutcomeCode.FORCED_CLOSE_UNAVAILABLE), "not given any more"],
  [outcomeKey(InboundOutcomeCode.FORCED_LIQUIDATION_UNAVAILABLE), "not given any more"],
  [outcomeKey(InboundOutcomeCode.CREDIT_OUTSTANDING), "not given any more"],
  [
    outcomeKey(InboundOutcomeCode.INSTRUMENTS_FULL),
    "needs 2^20 instruments; both verifiers: packages/ledger/test/kinds.test.ts, packages/settlement/test/rules.edges.test.ts",
  ],
]);

/** Fields of a header. */
export const HEADER_FIELDS: Readonly<Record<keyof BatchHeader, true>> = {
  version: true,
  domain: true,
  number: true,
  parent: true,
  preStateRoot: true,
  postStateRoot: true,
  cyclesRoot: true,
  cycleCount: true,
  firstCycle: true,
  timeMs: true,
  inboundCursor: true,
  inboundHash: true,
  dataMode: true,
  dataHash: true,
  dataLength: true,
};

/** Errors of the batch chain that have nothing to do with posting a batch. */
const NOT_POSTING: ReadonlySet<string> = new Set([
  // Deployment.
  ...["CustodyZero", "GenesisRootZero", "BondWeiOutOfRange", "PolicyWithoutCode"],
  // Finality, drops and bonds.
  ...["BatchAlreadyFinal", "BatchAlreadyProven", "ParentNotFinal", "FloorNotReached", "BatchUnknown", "BatchNotFinal"],
  ...["CallerNotDispute", "CallerNotAffirmation", "BeneficiaryZero", "BatchNotDropped", "BondAlreadyCredited"],
  ...["NothingToWithdraw", "FailedCall", "InsufficientBalance", "ReentrancyGuardReentrantCall"],
]);

export const POSTING_ERRORS: readonly string[] = batchChainAbi.flatMap((item) =>
  item.type === "error" && !NOT_POSTING.has(item.name) ? [item.name] : [],
);

export const QUEUE_FRAUDS = ["entry skipped", "entry invented", "entries exchanged", "entry changed"] as const;
export const TIME_FRAUDS = ["header before its last cycle", "header after its last cycle"] as const;

export function fraudPlan(): FraudRow[] {
  const rows: FraudRow[] = [];
  for (const kind of KINDS) {
    for (const code of codesOf(kind)) {
      rows.push({ key: ruleKey(kind, code), area: "rule", kind, code, what: rejectionName(code) ?? "" });
    }
    rows.push({ key: rootKey(kind), area: "root", kind, code: 0, what: "state root after the cycle" });
  }
  for (const code of Object.values(InboundOutcomeCode)) {
    const what = `entry ended otherwise than ${rejectionName(code)}`;
    rows.push({ key: outcomeKey(code), area: "outcome", kind: "inbound", code, what });
  }
  for (const what of QUEUE_FRAUDS) rows.push({ key: `queue ${what}`, area: "queue", kind: "inbound", code: 0, what });
  for (const what of TIME_FRAUDS) rows.push({ key: `time ${what}`, area: "time", kind: "", code: 0, what });
  for (const field of Object.keys(HEADER_FIELDS)) {
    rows.push({ key: headerKey(field), area: "header", kind: "", code: 0, what: `header field ${field}` });
  }
  for (const error of POSTING_ERRORS) {
    rows.push({ key: postingKey(error), area: "posting", kind: "", code: 0, what: error });
  }
  return rows;
}
