// The list of planted frauds, made from the ledger's codes and kinds, the fields of a header and the errors of the batch chain: a new
// one of these without a fraud of its own fails the run.
import { batchChainAbi } from "@tidemark/chain";
import {
  type Cycle,
  CycleKind,
  type InboundEntry,
  InboundOutcomeCode,
  RejectionCode,
  rejectionName,
} from "@tidemark/ledger";
import type { BatchHeader } from "@tidemark/settlement";

export interface FraudRow {
  key: string;
  /** What kind of rule is broken. */
  area: "rule" | "root" | "entry" | "outcome" | "payload" | "queue" | "time" | "header" | "blob" | "posting";
  kind: string;
  code: number;
  what: string;
}

export const KINDS = Object.keys(CycleKind) as Cycle["kind"][];
const GENERAL = [RejectionCode.MALFORMED, RejectionCode.TIME_NOT_MONOTONIC, RejectionCode.LIMIT_EXCEEDED];

export const ruleKey = (kind: string, code: number): string => `rule ${kind} ${code}`;
export const rootKey = (kind: string): string => `root ${kind}`;
export const entryKey = (type: string): string => `entry ${type}`;
export const outcomeKey = (code: number): string => `outcome ${code}`;
export const keyOf = (area: FraudRow["area"], what: string): string => `${area} ${what}`;

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

/** Their counts keep every cycle that decodes within the limits. */
const WITHIN_LIMITS = ["report", "rows", "auction", "bankruptcy", "outbound", "credit", "admin"] as const;

/**
 * Rules that no cycle of that kind can break, and why: the table has them below the frauds. Whoever removes the reason must plant the
 * fraud.
 */
export const NOT_BREAKABLE: ReadonlyMap<string, string> = new Map([
  ...WITHIN_LIMITS.map((kind): [string, string] => [
    ruleKey(kind, RejectionCode.LIMIT_EXCEEDED),
    "what decodes is within the limits, and the batch chain takes no longer payload",
  ]),
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

/** Each ends differently when it has its effect. */
export const ENTRY_TYPES: Readonly<Record<InboundEntry["type"], true>> = {
  openAccount: true,
  deposit: true,
  keyGrant: true,
  keyRevoke: true,
  cancelAll: true,
  forcedWithdrawal: true,
  forcedClose: true,
  forcedLiquidation: true,
  listSeries: true,
  adminChange: true,
};

/** Payloads that are no cycle of any kind. */
export const PAYLOAD_FRAUDS = {
  "of an unknown version": Uint8Array.of(2, 1),
  "of an unknown kind": Uint8Array.of(1, 77),
  "without a kind": Uint8Array.of(1),
} as const;
/** A body that is looked at to its end, and that a challenge carries whole. */
export const longBody = (kind: string): string => `${kind} as long as a cycle`;
/** One that decodes and whose numbers are chosen to be dear. */
export const FAR_APART = "trade as long as a cycle, its instruments far apart";
/** Within the limits by what it says. */
export const MISCOUNTED = "trade of accounts that hold more positions than it says";
export const QUEUE_FRAUDS = ["entry skipped", "entry invented", "entries exchanged", "entry changed"] as const;
/** A header that says of the queue what its cycles do not do. */
export const CURSOR_FRAUDS = ["entry passed over", "entry consumed, the header says not"] as const;
/** A batch in a blob that the batch chain takes. */
export const BLOB_FRAUDS = [
  "another cycles root than the blob's",
  "another last root than the blob's",
  "a cycle more than in the blob",
  "a cycle fewer than in the blob",
  "more bytes than in the blob",
  "fewer bytes than in the blob",
  "a last cycle cut short",
  "bytes behind the last cycle",
  "a cycle without payload",
  "a cycle longer than one may be",
  "no data at all",
  "an element that is more than 31 bytes",
  "the last element not zero",
  "another time than the state's",
  "a wrong root of a cycle",
] as const;
export const UNDECODABLE_IN_BLOB = "a cycle that is none";
/** One that it refuses. */
export const BLOB_REFUSALS = [
  "the hash of another blob",
  "two blobs",
  "more data than a challenge carries",
  "calldata behind the header",
  "the mode of calldata",
  "the mode of blobs with its data in calldata",
] as const;
export const TIME_FRAUDS = ["header before its last cycle", "header after its last cycle"] as const;

export function fraudPlan(): FraudRow[] {
  const rows: FraudRow[] = [];
  for (const kind of KINDS) {
    for (const code of codesOf(kind)) {
      rows.push({ key: ruleKey(kind, code), area: "rule", kind, code, what: rejectionName(code) ?? "" });
    }
    rows.push({ key: rootKey(kind), area: "root", kind, code: 0, what: "state root after the cycle" });
  }
  for (const type of Object.keys(ENTRY_TYPES)) {
    const what = `${type} that has its effect ended otherwise`;
    rows.push({ key: entryKey(type), area: "entry", kind: "inbound", code: InboundOutcomeCode.DONE, what });
  }
  for (const code of Object.values(InboundOutcomeCode)) {
    if (code === InboundOutcomeCode.DONE) continue;
    const what = `entry ended otherwise than ${rejectionName(code)}`;
    rows.push({ key: outcomeKey(code), area: "outcome", kind: "inbound", code, what });
  }
  const others: readonly (readonly [FraudRow["area"], string, readonly string[], number])[] = [
    ["payload", "", [...Object.keys(PAYLOAD_FRAUDS), ...KINDS.map(longBody)], RejectionCode.MALFORMED],
    ["payload", "", [FAR_APART], RejectionCode.LIMIT_EXCEEDED],
    ["payload", "", [MISCOUNTED], RejectionCode.TRADE_POSITION_COUNT],
    ["queue", "inbound", [...QUEUE_FRAUDS, ...CURSOR_FRAUDS], 0],
    ["time", "", TIME_FRAUDS, 0],
    ["header", "", Object.keys(HEADER_FIELDS), 0],
    ["blob", "", [...BLOB_FRAUDS, ...BLOB_REFUSALS], 0],
    ["blob", "", [UNDECODABLE_IN_BLOB], RejectionCode.MALFORMED],
    ["posting", "", POSTING_ERRORS, 0],
  ];
  for (const [area, kind, list, code] of others) {
    for (const what of list) rows.push({ key: keyOf(area, what), area, kind, code, what: WORDS[area]?.(what) ?? what });
  }
  return rows;
}

const WORDS: Partial<Record<FraudRow["area"], (what: string) => string>> = {
  payload: (what) => `payload: ${what}`,
  header: (field) => `header field ${field}`,
  blob: (what) => `blob: ${what}`,
};
