// Batches as a dishonest proposer makes them: nothing is asserted, fields are what he says.
import type { Hash } from "@tidemark/ledger";
import {
  type Batch,
  type BatchCycle,
  type BatchHeader,
  type BatchTip,
  buildBatch,
  cyclesRoot,
  encodeBatchData,
  hashHeader,
} from "@tidemark/settlement";
import { type SoundCycle, sourceCyclesOf } from "./history.ts";

export interface ForgedCycle extends BatchCycle {
  /** What the header is to say of time and queue after it; null: as before it. */
  claims: SoundCycle | null;
}

export const forgedOf = (cycle: SoundCycle): ForgedCycle => ({
  payload: cycle.payload,
  postRoot: cycle.postRoot,
  claims: cycle,
});

/** A batch of the cycles; time and queue of the header follow those that say so, other fields follow `changes`. */
export function forgeBatch(
  tip: BatchTip,
  cycles: readonly ForgedCycle[],
  domain: number,
  changes: Partial<BatchHeader> = {},
): Batch {
  const sound = cycles.flatMap(({ claims }) => (claims === null ? [] : [claims]));
  // A right batch of a placeholder has all fields but those of these cycles.
  const [first] = cycles;
  if (first === undefined) throw new RangeError("a batch has a cycle");
  const placeholder = { payload: Uint8Array.of(0), postRoot: first.postRoot, timeMs: tip.timeMs, kind: 0 };
  const base =
    sound.length > 0
      ? buildBatch(tip, sourceCyclesOf(tip, sound), domain)
      : buildBatch(tip, sourceCyclesOf(tip, [placeholder as unknown as SoundCycle]), domain);
  const data = encodeBatchData(cycles);
  const header: BatchHeader = {
    ...base.header,
    postStateRoot: cycles[cycles.length - 1]?.postRoot as Hash,
    cyclesRoot: cyclesRoot(cycles),
    cycleCount: cycles.length,
    dataLength: data.length,
    ...changes,
  };
  return { header, batchHash: hashHeader(header), data };
}
