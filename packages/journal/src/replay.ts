// Rebuilds state from the log. The machine that applies is an argument: the journal knows bytes, not commands.
import { assert } from "@tidemark/num";
import { JournalError } from "./errors.ts";
import type { JournalRecord } from "./group.ts";
import type { Snapshot, SnapshotInfo } from "./snapshot.ts";

/** A journal or a reader; an export is imported first. */
export interface ReplaySource {
  read(from?: number, to?: number): Iterable<JournalRecord>;
  listSnapshots(): SnapshotInfo[];
  latestSnapshot(atOrBelow?: number): Snapshot | null;
}

export interface ReplayOptions {
  /** Start from this snapshot, or from the newest one that does not pass `toSequence`. Default: from the first command. */
  readonly fromSnapshot?: number | "latest";
  /** Needed with `fromSnapshot`. Not called when "latest" finds none. */
  readonly restore?: (snapshot: Snapshot) => void;
  /** Last command to apply. Default: all. */
  readonly toSequence?: number;
}

export interface ReplayResult {
  /** 0 = from the first command. */
  readonly snapshotSequence: number;
  readonly lastSequence: number;
  readonly applied: number;
}

/** @throws JournalError NOT_FOUND when the named snapshot does not exist, CORRUPTED */
export function replay(
  source: ReplaySource,
  options: ReplayOptions,
  apply: (sequence: number, bytes: Uint8Array) => void,
): ReplayResult {
  const snapshot = snapshotToRestore(source, options);
  if (snapshot !== null) {
    assert(options.restore !== undefined, "a replay from a snapshot needs restore");
    options.restore(snapshot);
  }
  const snapshotSequence = snapshot?.sequence ?? 0;
  let lastSequence: number = snapshotSequence;
  let applied = 0;
  for (const { sequence, bytes } of source.read(snapshotSequence + 1, options.toSequence)) {
    if (sequence !== lastSequence + 1)
      throw new JournalError("CORRUPTED", "the log has a gap", { sequence: lastSequence + 1 });
    apply(sequence, bytes);
    lastSequence = sequence;
    applied++;
  }
  return { snapshotSequence, lastSequence, applied };
}

function snapshotToRestore(source: ReplaySource, options: ReplayOptions): Snapshot | null {
  const wanted = options.fromSnapshot;
  if (wanted === undefined) return null;
  if (wanted === "latest") return source.latestSnapshot(options.toSequence);
  const snapshot = source.latestSnapshot(wanted);
  if (snapshot?.sequence !== wanted)
    throw new JournalError("NOT_FOUND", "no snapshot at this sequence", { sequence: wanted });
  return snapshot;
}
