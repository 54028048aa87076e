export type { CycleRecord } from "./cycle.ts";
export { JournalError, type JournalErrorCode } from "./errors.ts";
export { type ExportCounts, exportJournal, importJournal } from "./export.ts";
export { type JournalRecord, RECORD_BYTES_MAX } from "./group.ts";
export { Journal, type JournalOptions, JournalReader, openJournal, openJournalReader } from "./journal.ts";
export { type ReplayOptions, type ReplayResult, type ReplaySource, replay } from "./replay.ts";
export type { Snapshot, SnapshotInfo } from "./snapshot.ts";
export type { JournalIdentity } from "./store.ts";
