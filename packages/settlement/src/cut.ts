// Where a run of closed cycles is cut into batches.
import { BATCH_BYTES_MAX, CYCLES_PER_BATCH_MAX } from "@tidemark/ledger";
import { assert } from "@tidemark/num";
import { type BatchCycle, CYCLE_HEAD_BYTES } from "./batch.ts";

export interface CutPolicy {
  cyclesMax: number;
  /** Of the data, heads of the cycles included. */
  bytesMax: number;
  /** A batch goes out when its oldest cycle is that old, full or not. */
  ageMaxMs: number;
}

/** The contract's limit less the call's own bytes and signature, so that the transaction fits the limit too. */
const HEADROOM_BYTES = 1024;

export const CUT_POLICY_DEFAULT: CutPolicy = {
  cyclesMax: CYCLES_PER_BATCH_MAX,
  bytesMax: BATCH_BYTES_MAX - HEADROOM_BYTES,
  ageMaxMs: 60_000,
};

/** Why a batch is cut where it is; "wait" = not yet. */
export type CutReason = "cycles" | "bytes" | "age" | "flush" | "wait";

export interface Cut {
  /** Number of leading cycles that make the batch; 0 with "wait". */
  count: number;
  bytes: number;
  reason: CutReason;
}

export interface CutCandidate extends Pick<BatchCycle, "payload"> {
  timeMs: number;
}

/**
 * `pending` are the oldest unposted cycles, in order; `flush` takes what there is (the venue is closing).
 * A single cycle always fits: CYCLE_BYTES_MAX is far below the limit of a batch.
 */
export function cutBatch(pending: readonly CutCandidate[], policy: CutPolicy, nowMs: number, flush = false): Cut {
  let bytes = 0;
  for (let count = 0; count < pending.length; count++) {
    if (count === policy.cyclesMax) return { count, bytes, reason: "cycles" };
    const cycleBytes = CYCLE_HEAD_BYTES + (pending[count] as CutCandidate).payload.length;
    if (bytes + cycleBytes > policy.bytesMax) {
      assert(count > 0, "one cycle fits a batch");
      return { count, bytes, reason: "bytes" };
    }
    bytes += cycleBytes;
  }
  const first = pending[0];
  if (first === undefined) return { count: 0, bytes: 0, reason: "wait" };
  if (pending.length === policy.cyclesMax) return { count: pending.length, bytes, reason: "cycles" };
  if (flush) return { count: pending.length, bytes, reason: "flush" };
  if (nowMs - first.timeMs >= policy.ageMaxMs) return { count: pending.length, bytes, reason: "age" };
  return { count: 0, bytes: 0, reason: "wait" };
}
