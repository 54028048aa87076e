// The common shape of a kind: what it gets, what it answers. apply.ts holds the table.
import { assert } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import type { LedgerView } from "../margin.ts";
import type { ParameterSet } from "../parameters.ts";
import { rejectionName } from "../rejections.ts";
import type { Cycle, CycleRejection, InboundOutcome, SignaturePort } from "../types.ts";

export interface CycleContext {
  readonly parameters: ParameterSet;
  /** EIP-712 domain separator of the parameter set. */
  readonly separator: Uint8Array;
  readonly signatures: SignaturePort;
  /** The draft as margins read it: every edit is visible at once. */
  readonly view: LedgerView;
  /** One per inbound entry, in order; other kinds leave it empty. */
  readonly outcomes: InboundOutcome[];
}

/**
 * Checks a cycle and writes its effect to the draft. After a rejection the draft is dropped, so a rule may write before
 * its last check. Shape (counts, order, widths) was checked before: see apply.ts.
 */
export type KindRule<Kind extends Cycle> = (draft: Draft, cycle: Kind, context: CycleContext) => CycleRejection | null;

export interface RejectionPlace {
  account?: number;
  instrument?: number;
  place?: number;
}

export function reject(code: number, where: RejectionPlace = {}): CycleRejection {
  const name = rejectionName(code);
  assert(name !== undefined, `rejection code ${code} has a name`);
  return { code, name, account: where.account ?? -1, instrument: where.instrument ?? -1, place: where.place ?? 0 };
}
