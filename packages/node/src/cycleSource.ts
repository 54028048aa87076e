// The proposer's view of the cycle store: closed cycles, durable, read from another process's journal.
import type { JournalReader, CycleRecord as StoredCycle } from "@tidemark/journal";
import type { CycleSource, SourceCycle } from "@tidemark/settlement";

function sourceCycle(record: StoredCycle): SourceCycle {
  return { ...record, timeMs: record.timeMs };
}

export function cycleSourceOf(reader: JournalReader): CycleSource {
  return {
    count: () => reader.cycleCount(),
    read: (first, countMax) => Array.from(reader.readCycles(first, first + countMax), sourceCycle),
  };
}
