// Arguments of Custody.claim, built from a state that a batch ends with.
import type { Hash, LedgerState, OutboxCell, StateRoots } from "@tidemark/ledger";
import { assert } from "@tidemark/num";

export interface ClaimArguments {
  batchNumber: number;
  roots: StateRoots;
  withdrawalNumber: number;
  cell: OutboxCell;
  /** Siblings from the leaf up. */
  path: Hash[];
}

/** `state` is the one after batch `batchNumber`: its root is what the batch chain makes final. */
export function claimArguments(state: LedgerState, batchNumber: number, withdrawalNumber: number): ClaimArguments {
  const cell = state.outboxCell(withdrawalNumber);
  assert(cell !== undefined, `withdrawal ${withdrawalNumber} is in the state`);
  return {
    batchNumber,
    roots: state.roots(),
    withdrawalNumber,
    cell: { ...cell },
    path: state.proveOutbox(withdrawalNumber).path,
  };
}

/**
 * Claims of the withdrawals that the batch added. The outbox only grows, so a claim under the first batch that holds a
 * withdrawal stays good for ever.
 */
export function claimsOfBatch(state: LedgerState, batchNumber: number, withdrawalsBefore: number): ClaimArguments[] {
  const claims: ClaimArguments[] = [];
  for (let number = withdrawalsBefore; number < state.outboxCount; number++) {
    claims.push(claimArguments(state, batchNumber, number));
  }
  return claims;
}
