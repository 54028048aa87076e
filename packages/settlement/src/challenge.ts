// From a batch that is wrong to the calls that prove it: the first wrong cycle, the state before it, and the faces that may
// show the fault, the likeliest first (docs/spec/witness.md). Whoever sends one asks the L1 first which of them convicts.
import {
  applyPayload,
  decodeCycle,
  type Hash,
  type LedgerPorts,
  type LedgerState,
  type ParameterSet,
  RejectionCode,
  type StateRoots,
} from "@tidemark/ledger";
import { assert, bytesToHex, keccak256 } from "@tidemark/num";
import type { BatchCycle, BatchHeader } from "./batch.ts";
import type { BlobOpening } from "./blob.ts";
import { checkedAccounts } from "./checkedAccounts.ts";
import { cyclePath } from "./cyclePath.ts";
import { encodeWitness } from "./witness.ts";
import { accountFaultCells, rootFaultCells } from "./witnessCells.ts";

/** The cycle at fault as the batch committed to it. */
export interface CycleClaim {
  /** In the batch. */
  index: number;
  postRoot: Hash;
  payload: Uint8Array;
  path: Hash[];
}

/** The cycle before it; nothing looks at it for a batch's first cycle. */
export interface PreviousCycle {
  payloadHash: Hash;
  length: number;
  postRoot: Hash;
  path: Hash[];
}

/** What opens the state root that a batch ends with. */
export interface StateParts extends Omit<StateRoots, "globalsHash"> {
  globals: Uint8Array;
}

/** One call of the dispute contract. */
export type Challenge =
  | { face: "root"; header: BatchHeader; claim: CycleClaim; previous: PreviousCycle; witness: Uint8Array }
  | {
      face: "account";
      header: BatchHeader;
      claim: CycleClaim;
      previous: PreviousCycle;
      account: number;
      witness: Uint8Array;
    }
  | { face: "header"; header: BatchHeader; state: StateParts }
  | { face: "blob"; header: BatchHeader; data: Uint8Array; opening: BlobOpening }
  | { face: "blobElement"; header: BatchHeader; index: number; value: bigint; opening: BlobOpening };

export interface Accusation {
  batch: number;
  /** First wrong cycle in the batch; the number of its cycles when only the header is wrong. */
  cycleIndex: number;
  /** The ledger's rejection code; 0 where a root or a header field is wrong. */
  code: number;
  /** Account that the ledger names; −1 = none. */
  account: number;
  /** In force where the fault is: the L1 must hold them to judge it. */
  parameters: ParameterSet;
  /** The faces that may show it, the likeliest first; each is built when it is asked for. */
  challenges(): Generator<Challenge>;
}

/** A batch whose data are the ones that its header commits to. */
export interface CommittedBatch {
  header: BatchHeader;
  cycles: readonly BatchCycle[];
}

interface WrongCycle {
  index: number;
  code: number;
  account: number;
}

const NO_WITNESS = new Uint8Array(0);
const NO_NEIGHBOUR: PreviousCycle = {
  payloadHash: `0x${"00".repeat(32)}`,
  length: 0,
  postRoot: `0x${"00".repeat(32)}`,
  path: [],
};

/** What `check` alone shows: it needs rows of positions (docs/spec/witness.md, Two faces). */
export const SHOWN_AT_ACCOUNT: ReadonlySet<number> = new Set([
  RejectionCode.TRADE_EPOCH_OPEN,
  RejectionCode.TRADE_MARKS_UNUSABLE,
  RejectionCode.TRADE_MARGIN,
  RejectionCode.LIQUIDATION_MARKS_UNUSABLE,
  RejectionCode.LIQUIDATION_HEALTHY,
  RejectionCode.LIQUIDATION_NO_NEWER_REPORT,
  RejectionCode.LIQUIDATION_PRICE_BOUND,
  RejectionCode.LIQUIDATION_PENALTY,
  RejectionCode.LIQUIDATION_SLICE,
  RejectionCode.LIQUIDATION_NOT_IMPROVING,
  RejectionCode.LIQUIDATION_BEYOND_TARGET,
  RejectionCode.OUTBOUND_MARKS_UNUSABLE,
  RejectionCode.OUTBOUND_NOT_WITHDRAWABLE,
  RejectionCode.ADL_MARKS_UNUSABLE,
  RejectionCode.ADL_NOT_BANKRUPT,
  RejectionCode.ADL_INSURANCE_LEFT,
  RejectionCode.ADL_HAIRCUT,
  RejectionCode.ADL_COUNTERPARTY_MARKS_UNUSABLE,
  RejectionCode.ADL_FIGURES,
  RejectionCode.ADL_HOLDER_MARKS_UNUSABLE,
  RejectionCode.ADL_RANKING,
  RejectionCode.AUCTION_MARKS_UNUSABLE,
  RejectionCode.AUCTION_HEALTHY,
  RejectionCode.AUCTION_NOT_HEALTHY,
  RejectionCode.AUCTION_NOT_REDUCING,
  RejectionCode.AUCTION_DISCOUNT,
  RejectionCode.AUCTION_BEYOND_TARGET,
  RejectionCode.AUCTION_BIDDER_MARKS_UNUSABLE,
  RejectionCode.AUCTION_BIDDER_MARGIN,
]);

/** Applies the cycles; the first one that is refused or leads to another root. The state is after the last one applied. */
function firstWrong(state: LedgerState, cycles: readonly BatchCycle[], ports: LedgerPorts): WrongCycle | null {
  for (const [index, { payload, postRoot }] of cycles.entries()) {
    let verdict: ReturnType<typeof applyPayload>;
    try {
      verdict = applyPayload(state, payload, ports);
    } catch {
      // Numbers that no valid cycle reaches stop the ledger's own assertions: the L1 says which face shows it.
      return { index, code: 0, account: -1 };
    }
    if (!verdict.ok) return { index, code: verdict.rejection.code, account: verdict.rejection.account };
    if (verdict.root !== postRoot) return { index, code: 0, account: -1 };
  }
  return null;
}

/** The cycle at `index` and its neighbour, as the L1 takes them. */
export function claimOf(cycles: readonly BatchCycle[], index: number): { claim: CycleClaim; previous: PreviousCycle } {
  const { payload, postRoot } = cycles[index] as BatchCycle;
  const before = cycles[index - 1];
  return {
    claim: { index, postRoot, payload, path: cyclePath(cycles, index) },
    previous:
      before === undefined
        ? NO_NEIGHBOUR
        : {
            payloadHash: bytesToHex(keccak256(before.payload)),
            length: before.payload.length,
            postRoot: before.postRoot,
            path: cyclePath(cycles, index - 1),
          },
  };
}

/** Faces in the order in which they are tried: "root", or an account. */
function facesOf(wrong: WrongCycle, named: readonly number[]): ("root" | number)[] {
  const { code, account } = wrong;
  const others = named.filter((one) => one !== account);
  if (account < 0) return ["root", ...others];
  return SHOWN_AT_ACCOUNT.has(code) ? [account, "root", ...others] : ["root", account, ...others];
}

/** `state` is the one before the wrong cycle when a challenge is taken. */
function* cycleChallenges(state: LedgerState, batch: CommittedBatch, wrong: WrongCycle): Generator<Challenge> {
  const { header, cycles } = batch;
  const { claim, previous } = claimOf(cycles, wrong.index);
  const decoding = decodeCycle(claim.payload, state.parameters.domain);
  // No state makes an undecodable payload good.
  if (!decoding.ok) {
    yield { face: "root", header, claim, previous, witness: NO_WITNESS };
    return;
  }
  const { cycle } = decoding;
  for (const face of facesOf(wrong, checkedAccounts(cycle))) {
    if (face === "root") {
      yield { face, header, claim, previous, witness: encodeWitness(state, rootFaultCells(state, cycle)) };
      continue;
    }
    const witness = encodeWitness(state, accountFaultCells(state, cycle, face));
    yield { face: "account", header, claim, previous, account: face, witness };
  }
}

/** Fields of a header that the batch chain cannot compare with the state. */
export function contradictsState(header: BatchHeader, state: LedgerState): boolean {
  const { timeMs, inboundCursor, inboundHash } = state.globals;
  return header.timeMs !== timeMs || header.inboundCursor !== inboundCursor || header.inboundHash !== inboundHash;
}

export function statePartsOf(state: LedgerState): StateParts {
  const { globalsHash: _, ...roots } = state.roots();
  return { ...roots, globals: state.globalsBytes() };
}

function* headerChallenge(state: LedgerState, header: BatchHeader): Generator<Challenge> {
  yield { face: "header", header, state: statePartsOf(state) };
}

/**
 * What is wrong with the batch by the rules that the L1 judges, or null when nothing is. `state` is marked where the batch
 * begins; it stays where the fault is until it is rolled back.
 */
export function accuse(state: LedgerState, batch: CommittedBatch, ports: LedgerPorts): Accusation | null {
  const { header, cycles } = batch;
  assert(cycles.length > 0, "a batch has a cycle");
  const wrong = firstWrong(state, cycles, ports);
  if (wrong === null) {
    if (!contradictsState(header, state)) return null;
    const challenges = (): Generator<Challenge> => headerChallenge(state, header);
    const { parameters } = state;
    return { batch: header.number, cycleIndex: cycles.length, code: 0, account: -1, parameters, challenges };
  }
  // A cycle with a wrong root was applied all the same: the witness is of the state before it.
  state.rollBack();
  assert(
    firstWrong(state, cycles.slice(0, wrong.index), ports) === null,
    "cycles before the first wrong one are right",
  );
  const challenges = (): Generator<Challenge> => cycleChallenges(state, batch, wrong);
  const { index: cycleIndex, code, account } = wrong;
  return { batch: header.number, cycleIndex, code, account, parameters: state.parameters, challenges };
}
