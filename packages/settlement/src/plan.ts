// What a proposer does next. A function of the view alone: the loop around it keeps no state that a crash could lose.
import type { Batch } from "./batch.ts";
import { type CutPolicy, type CutReason, cutBatch } from "./cut.ts";
import type { ChainView, SourceCycle } from "./ports.ts";
import { buildBatch, tipAfter } from "./propose.ts";

export interface ProposerPolicy {
  cut: CutPolicy;
  /** Batches on their way at once. */
  inFlightMax: number;
  /** Finalisations sent at once. */
  finaliseMax: number;
}

/** How a batch's data travel: its header says so, and later headers follow from it. */
export type BatchCarrier = (batch: Batch) => Batch;
const inCalldata: BatchCarrier = (batch) => batch;

export interface PlannedPost {
  batch: Batch;
  cycles: readonly SourceCycle[];
  reason: CutReason;
}

export interface ProposerPlan {
  posts: PlannedPost[];
  /** Batch numbers, in order. */
  finalise: number[];
}

/** Cycles that a plan can use at most, from the tip's next cycle on. */
export function cyclesWanted(view: ChainView, policy: ProposerPolicy): number {
  // One more than fits tells a full batch from one that just waits.
  return Math.max(0, policy.inFlightMax - view.inFlight) * policy.cut.cyclesMax + 1;
}

/** `closed` are the cycles from `view.tip.nextCycle` on. `flush`: the venue closes, nothing waits for company. */
export function planProposer(
  view: ChainView,
  closed: readonly SourceCycle[],
  policy: ProposerPolicy,
  domain: number,
  flush = false,
  carry: BatchCarrier = inCalldata,
): ProposerPlan {
  const nowMs = view.timestampSeconds * 1000 + 999;
  // The batch chain refuses a batch from the future of its block.
  const ahead = closed.findIndex((cycle) => cycle.timeMs > nowMs);
  let pending = ahead < 0 ? closed : closed.slice(0, ahead);
  const posts: PlannedPost[] = [];
  let { tip } = view;
  // What is built on a wrong batch is dropped with it.
  while (view.foreign === null && posts.length < view.turns && view.inFlight + posts.length < policy.inFlightMax) {
    const { count, reason } = cutBatch(pending, policy.cut, nowMs, flush);
    if (count === 0) break;
    const cycles = pending.slice(0, count);
    const batch = carry(buildBatch(tip, cycles, domain));
    posts.push({ batch, cycles, reason });
    tip = tipAfter(batch.header);
    pending = pending.slice(count);
  }
  const finalise: number[] = [];
  for (const { number, floorSeconds } of view.waiting) {
    if (finalise.length === policy.finaliseMax || view.timestampSeconds < floorSeconds) break;
    finalise.push(number);
  }
  return { posts, finalise };
}
