// What a watcher found wrong, and how it is told.
import { assertNever } from "@tidemark/num";
import type { Touched } from "./attribute.ts";

/** What is wrong, coarsely; `detail` says it in words, `code` is the ledger's rejection code where it has one. */
export type WatcherFaultKind =
  | "calldata"
  | "data"
  | "rejection"
  /** The ledger's own assertions stopped the cycle: it reaches numbers that no valid cycle can. */
  | "execution"
  | "postRoot"
  | "inboundEntry"
  | "header"
  | "queue";

/**
 * How the fault's account is concerned: the rule names it; the cycle touches it; it holds a position that the cycle
 * revalues; or the cycle concerns none, and it is the first that the rest of the batch touches on top of the wrong state.
 */
export type AccountConcern = "rule" | "touched" | "holder" | "next" | "none";

export interface WatcherFault {
  what: WatcherFaultKind;
  batch: number;
  /** Index of the first wrong cycle in the venue's whole history. A fault of a header names the cycle that contradicts it. */
  cycle: number;
  kind: Touched["kind"];
  /** The account that the fault concerns first; −1 when neither the cycle nor the rest of its batch concerns any. */
  account: number;
  concern: AccountConcern;
  /** All accounts that the cycle touches. */
  accounts: number[];
  instrument: number;
  /** Rejection code of the ledger; 0 when the fault is none of a rule. */
  code: number;
  detail: string;
  /** Whether the data are those that the batch's header commits to: false means that this copy was changed. */
  dataCommitted: boolean;
}

function accountPhrase({ account, concern }: WatcherFault): string {
  switch (concern) {
    case "rule":
    case "touched":
      return `account ${account}`;
    case "holder":
      return `account ${account}, by a position that the cycle revalues`;
    case "next":
      return `account ${account}, the first that the batch touches after it`;
    case "none":
      return "no account";
    default:
      return assertNever(concern, "concern");
  }
}

/** One sentence for a person: what is wrong and where. */
export function describeFault(fault: WatcherFault): string {
  const place = `batch ${fault.batch}, cycle ${fault.cycle} (${fault.kind ?? "unreadable"})`;
  const touched = [...new Set(fault.accounts)];
  const others = touched.length > 1 ? ` (the cycle touches accounts ${touched.join(", ")})` : "";
  const instrument = fault.instrument < 0 ? "" : `, instrument ${fault.instrument}`;
  const copy = fault.dataCommitted ? "" : "; the data are not those that the batch's header commits to";
  return `${place}, ${accountPhrase(fault)}${others}${instrument}: ${fault.detail}${copy}`;
}
