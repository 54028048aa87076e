// What the insurance pool is shown of a state: by how much its bad debt exceeds the insurance account, and the proof.
import { type Hash, INSURANCE_ACCOUNT, type LedgerState, type StateRoots } from "@tidemark/ledger";
import { assert, type MicroUsdc, microUsdc } from "@tidemark/num";

/** Arguments of InsurancePool.coverShortfall and holdForShortfall. */
export interface InsuranceWitness {
  state: Omit<StateRoots, "globalsHash"> & { globals: Uint8Array };
  /** The insurance account's bytes. */
  cell: Uint8Array;
  /** Its siblings in the accounts tree, from the leaf up. */
  path: Hash[];
}

/** `state` is the one that the batch ends with. */
export function insuranceWitness(state: LedgerState): InsuranceWitness {
  const { accountsRoot, instrumentsRoot, underlyingsRoot, outboxRoot } = state.roots();
  const { cell, path } = state.proveAccount(INSURANCE_ACCOUNT);
  const globals = state.globalsBytes();
  return { state: { accountsRoot, instrumentsRoot, underlyingsRoot, outboxRoot, globals }, cell, path };
}

/** Bad debt that the insurance account's cash does not cover. Its own negative cash is bad debt already. */
export function shortfallOf(state: LedgerState): MicroUsdc {
  const insurance = state.account(INSURANCE_ACCOUNT);
  assert(insurance !== undefined, "the insurance account exists from genesis");
  return microUsdc(Math.max(0, state.globals.badDebt - Math.max(0, insurance.cash)));
}
