// The steps of a winding-up that a rehearsal and the real thing share: the anchor's state, what registers, who is paid.
import {
  type ClaimedWithdrawal,
  type Deployment,
  depositsOf,
  type EscapeClient,
  type EscapeStatus,
  type L1Client,
  l1Call,
  readClaimed,
  readPaidEvidence,
  readStateAfter,
  readWholeQueue,
  testUsdcAbi,
} from "@tidemark/chain";
import type { LedgerState } from "@tidemark/ledger";
import { domainSeparator } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type ClosingMarks,
  closingMarksHash,
  type Entitlement,
  encodeClosingMarks,
  encodeQuorum,
  entitlementsOf,
  type PaidEvidence,
  paidBeyondAnchor,
  type QueueEntry,
} from "@tidemark/settlement";
import type { Address } from "viem";
import { ExitCode, NodeError } from "../errors.ts";
import type { OracleKey } from "../market/oracle.ts";
import { signer } from "../signatures/signer.ts";

export interface EscapeContext {
  client: L1Client;
  deployment: Deployment;
  contract: EscapeClient;
}

type FixedAnchor = NonNullable<EscapeStatus["anchor"]>;

export function fixedAnchor(status: EscapeStatus): FixedAnchor {
  if (status.anchor !== null) return status.anchor;
  throw new NodeError("NO_ANCHOR", `the escape's anchor is not fixed yet: phase ${status.phase}`, {
    exitCode: ExitCode.usage,
  });
}

/** State that the anchor will be or is: after the last final batch, or the one that is fixed. */
export async function anchorState({ client, deployment }: EscapeContext, batchNumber: number): Promise<LedgerState> {
  return readStateAfter(client, deployment, batchNumber, { signatures: signer });
}

/** Everything that the L1 says about a fixed anchor. */
export interface AnchorBooks {
  state: LedgerState;
  queue: readonly QueueEntry[];
  claimed: ReadonlyMap<number, ClaimedWithdrawal>;
  evidence: readonly PaidEvidence[];
  marks: ClosingMarks;
  entitlements: readonly Entitlement[];
}

/** Instruments that some account holds and whose mark counts. */
export function heldInstruments(state: LedgerState): number[] {
  const held = new Set<number>();
  for (const number of state.accountNumbers()) {
    for (const { instrument } of state.account(number)?.positions ?? []) held.add(instrument);
  }
  return [...held].sort((a, b) => a - b);
}

/** `state` is the anchor's. */
export async function readAnchorBooks(
  context: EscapeContext,
  anchor: FixedAnchor,
  state: LedgerState,
): Promise<AnchorBooks> {
  const { client, deployment, contract } = context;
  const queue = await readWholeQueue(client, deployment);
  const claimed = await readClaimed(client, deployment);
  const evidence = await readPaidEvidence(client, deployment, anchor);
  const marks = await contract.closingMarks(heldInstruments(state));
  const entitlements = entitlementsOf({
    state,
    marks,
    deposits: depositsOf(queue),
    claimedLeaf: (number) => claimed.get(number)?.leaf,
    paid: paidBeyondAnchor(evidence),
  });
  return { state, queue, claimed, evidence, marks, entitlements };
}

const entryAt = (queue: readonly QueueEntry[], index: number): Uint8Array | undefined => queue[index]?.bytes;

/** Shows what was paid beyond the anchor and is not shown yet. Answers with how much that was. */
export async function showEvidence({ contract }: EscapeContext, books: AnchorBooks): Promise<number> {
  let shown = 0;
  for (const one of books.evidence) {
    if (await contract.isShown(one.withdrawalNumber)) continue;
    await contract.showPaid(one, one.how === "returned" ? entryAt(books.queue, one.index) : undefined);
    shown++;
  }
  return shown;
}

/** Registers what is not registered yet, in order. Answers with the gas of each. */
export async function registerAll(
  { contract }: EscapeContext,
  { state, queue }: AnchorBooks,
  entitlements: readonly Entitlement[],
  onDone: (one: Entitlement, gas: number) => void,
): Promise<void> {
  for (const one of entitlements) {
    const { state: registered } = await contract.entitlement(one.kind, one.number);
    if (registered !== "absent") continue;
    const entry = one.kind === "deposit" ? entryAt(queue, one.number) : undefined;
    onDone(one, await contract.register(state, one.kind, one.number, entry));
  }
}

export function balanceOf({ client, deployment }: EscapeContext, address: Address): Promise<bigint> {
  const token = { address: deployment.token, abi: testUsdcAbi } as const;
  return l1Call("token balance", () => client.readContract({ ...token, functionName: "balanceOf", args: [address] }));
}

/** Signs a set of marks for the anchor with the oracles' keys. @throws NodeError where they are no quorum of the anchor's parameters */
export function signedMarks(
  state: LedgerState,
  anchor: FixedAnchor,
  marks: ClosingMarks,
  keys: readonly OracleKey[],
): { marks: Uint8Array; signatures: Uint8Array } {
  const { oracles, oracleQuorum, domain } = state.parameters;
  const fitting = keys.filter(({ signer: place, privateKey }) => oracles[place] === signer.addressOf(privateKey));
  if (fitting.length < oracleQuorum) {
    throw new NodeError(
      "ORACLE_QUORUM",
      `${fitting.length} of ${oracleQuorum} oracle keys fit the anchor's parameters`,
      {
        exitCode: ExitCode.usage,
      },
    );
  }
  const encoded = encodeClosingMarks(marks);
  const digest = closingMarksHash(anchor, encoded, domain, domainSeparator(state.parameters));
  const signatures = fitting.slice(0, oracleQuorum).map(({ signer: place, privateKey }) => ({
    signer: place,
    signature: bytesToHex(signer.signCompact(digest, privateKey)),
  }));
  return { marks: encoded, signatures: encodeQuorum(signatures) };
}
