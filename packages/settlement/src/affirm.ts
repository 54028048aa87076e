// From a batch that is right to the calls that prove it right on the L1 (docs/spec/settlement.md, Affirmation): every cycle's
// execution, its rule at every account that it names, the header, and in blob mode the blob.
import { applyPayload, type Cycle, decodeCycle, type LedgerPorts, type LedgerState } from "@tidemark/ledger";
import { assert } from "@tidemark/num";
import { type BatchCycle, DATA_MODE_BLOB } from "./batch.ts";
import {
  accuse,
  type CommittedBatch,
  type CycleClaim,
  claimOf,
  type PreviousCycle,
  type StateParts,
  statePartsOf,
} from "./challenge.ts";
import { checkedAccounts, isCheckedEverywhere } from "./checkedAccounts.ts";
import { encodeWitness } from "./witness.ts";
import { accountFaultCells, rootFaultCells } from "./witnessCells.ts";

/** What has to be affirmed, one call each. */
export type AffirmationPiece =
  | { what: "cycle"; index: number }
  /** `ordinal`: the account's place among those that the cycle names. */
  | { what: "account"; index: number; ordinal: number; account: number }
  | { what: "header" }
  | { what: "blob" };

interface CycleParts {
  claim: CycleClaim;
  previous: PreviousCycle;
  witness: Uint8Array;
  /** Encoding of the parameters that the cycle is judged by. */
  parameters: LedgerState["parameters"];
}

/** One call of the affirmation contract. The blob's own is made by whoever holds the blob. */
export type AffirmationCall =
  | ({ piece: Extract<AffirmationPiece, { what: "cycle" | "account" }> } & CycleParts)
  | { piece: Extract<AffirmationPiece, { what: "header" }>; state: StateParts }
  | { piece: Extract<AffirmationPiece, { what: "blob" }> };

export type AffirmationPlan =
  | { ok: true; pieces: AffirmationPiece[] }
  /** Wrong, or with a cycle that no list of checks proves right. */
  | { ok: false; why: string };

function decodedOf(cycle: BatchCycle, domain: number): Cycle {
  const decoding = decodeCycle(cycle.payload, domain);
  assert(decoding.ok, "an accepted cycle decodes");
  return decoding.cycle;
}

/**
 * The pieces of a batch that is right. `state` is the one that the batch begins with, and is again afterwards; it must not be
 * marked for anything else.
 */
export function planAffirmation(state: LedgerState, batch: CommittedBatch, ports: LedgerPorts): AffirmationPlan {
  state.mark();
  const accusation = accuse(state, batch, ports);
  state.rollBack();
  if (accusation !== null) {
    const place = accusation.cycleIndex === batch.cycles.length ? "its header" : `cycle ${accusation.cycleIndex}`;
    return { ok: false, why: `batch ${batch.header.number} is wrong: ${place}, code ${accusation.code}` };
  }
  const pieces: AffirmationPiece[] = [];
  for (const [index, cycle] of batch.cycles.entries()) {
    const decoded = decodedOf(cycle, batch.header.domain);
    if (isCheckedEverywhere(decoded)) {
      return {
        ok: false,
        why: `cycle ${index} (${decoded.kind}) may be wrong at any account: the batch waits for its window`,
      };
    }
    pieces.push({ what: "cycle", index });
    checkedAccounts(decoded).forEach((account, ordinal) => {
      pieces.push({ what: "account", index, ordinal, account });
    });
  }
  pieces.push({ what: "header" });
  if (batch.header.dataMode === DATA_MODE_BLOB) pieces.push({ what: "blob" });
  return { ok: true, pieces };
}

/**
 * The calls of the pieces that `isWanted`, in order; witnesses are built as they are asked for. `state` is the one that the
 * batch begins with; at the end it is the one after it.
 */
export function* affirmationCalls(
  state: LedgerState,
  batch: CommittedBatch,
  ports: LedgerPorts,
  isWanted: (piece: AffirmationPiece) => boolean,
): Generator<AffirmationCall> {
  const { header, cycles } = batch;
  for (const [index, cycle] of cycles.entries()) {
    yield* cycleCalls(state, batch, index, isWanted);
    const verdict = applyPayload(state, cycle.payload, ports);
    assert(verdict.ok && verdict.root === cycle.postRoot, "the batch is right");
  }
  const headerPiece = { what: "header" } as const;
  if (isWanted(headerPiece)) yield { piece: headerPiece, state: statePartsOf(state) };
  const blobPiece = { what: "blob" } as const;
  if (header.dataMode === DATA_MODE_BLOB && isWanted(blobPiece)) yield { piece: blobPiece };
}

function* cycleCalls(
  state: LedgerState,
  { header, cycles }: CommittedBatch,
  index: number,
  isWanted: (piece: AffirmationPiece) => boolean,
): Generator<AffirmationCall> {
  const decoded = decodedOf(cycles[index] as BatchCycle, header.domain);
  const { parameters } = state;
  const cyclePiece = { what: "cycle", index } as const;
  if (isWanted(cyclePiece)) {
    const witness = encodeWitness(state, rootFaultCells(state, decoded));
    yield { piece: cyclePiece, ...claimOf(cycles, index), witness, parameters };
  }
  for (const [ordinal, account] of checkedAccounts(decoded).entries()) {
    const piece = { what: "account", index, ordinal, account } as const;
    if (!isWanted(piece)) continue;
    const witness = encodeWitness(state, accountFaultCells(state, decoded, account));
    yield { piece, ...claimOf(cycles, index), witness, parameters };
  }
}
