// The finality record: one type for engine, gateway, terminal, SDK and the contracts' tooling (design/finality.md).
import type { TimestampMs } from "@tidemark/num";

/** From weakest to strongest. `proven` is reached only on request. */
export const FINALITY_TIERS = ["executed", "durable", "posted", "safe", "l1_final", "proven", "final"] as const;
export type FinalityTier = (typeof FINALITY_TIERS)[number];

/** Who makes good if a record at this tier is reversed. */
export const PAYER_BY_TIER: Readonly<Record<FinalityTier, string>> = {
  executed: "sequencer stake",
  durable: "sequencer stake",
  posted: "proposer bond",
  safe: "proposer bond",
  l1_final: "proposer bond",
  proven: "guard delay",
  final: "nobody: nothing in the model undoes it",
};

/** When one fill, deposit or withdrawal reached each tier. A missing time means that the tier is not reached. */
export interface FinalityRecord {
  tier: FinalityTier;
  reachedMs: Partial<Record<FinalityTier, TimestampMs>>;
  batchNumber: number | null;
  expectedFinalMs: TimestampMs | null;
}

/** What decides when a batch may become final. The contract's policy answers the same question on L1. */
export interface FinalityPolicy {
  readonly name: string;
  /** Earliest time at which a batch posted at `postedMs` may be final, if its parent is. */
  floorMs(postedMs: TimestampMs): TimestampMs;
}

/** Fixed window, counted from the L1 block that holds the batch. */
export function fixedWindowPolicy(windowMs: number): FinalityPolicy {
  return { name: "fixed", floorMs: (postedMs) => (postedMs + windowMs) as TimestampMs };
}
