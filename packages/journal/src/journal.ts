// The journal: command log, snapshots and cycle store of one venue, durable before anything is announced.
import { assert, type SequenceNumber, sequenceNumber } from "@tidemark/num";
import { type CycleRecord, decodeCycle } from "./cycle.ts";
import { JournalError } from "./errors.ts";
import { decodeGroup, type JournalRecord } from "./group.ts";
import { LogWriter } from "./log.ts";
import { headersOf, loadSnapshot, type Snapshot, type SnapshotInfo, storeSnapshot } from "./snapshot.ts";
import {
  closeReaderStore,
  type JournalIdentity,
  openStoreToRead,
  openStoreToWrite,
  releaseWriter,
  type Store,
} from "./store.ts";

export interface JournalOptions {
  /** Checked against what the journal was created with. */
  readonly identity: JournalIdentity;
  /** Bytes that may wait for the disk before `append` signals backpressure. Default 64 MiB. */
  readonly unflushedBytesMax?: number;
  /** Complete snapshots kept, the newest first. Default 3. */
  readonly snapshotsKept?: number;
}

const UNFLUSHED_BYTES_MAX = 64 << 20;
const SNAPSHOTS_KEPT = 3;

/** What any process may do with a journal, also while another writes it: everything read is durable. */
export class JournalReader {
  readonly identity: JournalIdentity;
  protected readonly store: Store;
  private readonly closeStore: () => Promise<void>;

  constructor(store: Store, identity: JournalIdentity, closeStore: () => Promise<void>) {
    this.store = store;
    this.identity = identity;
    this.closeStore = closeStore;
  }

  /** 0 while the log is empty; sequences start at 1. */
  lastSequence(): SequenceNumber {
    return sequenceNumber(this.durableSequence());
  }

  durableSequence(): number {
    this.refresh();
    return lastStoredSequence(this.store);
  }

  /** Durable records `from … to` (both included; default: all that is durable now). @throws JournalError CORRUPTED */
  *read(from = 1, to?: number): Generator<JournalRecord, void, undefined> {
    assert(from >= 1, "sequences start at 1");
    const last = Math.min(to ?? Number.MAX_SAFE_INTEGER, this.durableSequence());
    if (from > last) return;
    let next = firstKeyAtOrBelow(this.store, from);
    if (next === null) throw new JournalError("CORRUPTED", "the log has a gap", { sequence: from });
    while (next <= last) {
      const stored = this.store.log.get(next);
      if (stored === undefined) throw new JournalError("CORRUPTED", "the log has a gap", { sequence: next });
      const records = decodeGroup(next, stored);
      if (next + records.length <= from) {
        throw new JournalError("CORRUPTED", "the log has a gap", { sequence: next + records.length });
      }
      for (const record of records) {
        if (record.sequence > last) return;
        if (record.sequence >= from) yield record;
      }
      next += records.length;
    }
  }

  /** Ascending by sequence; complete ones only. */
  listSnapshots(): SnapshotInfo[] {
    this.refresh();
    return headersOf(this.store);
  }

  /** The newest complete snapshot, or the newest that does not contain more than `atOrBelow`. @throws JournalError CORRUPTED */
  latestSnapshot(atOrBelow = Number.MAX_SAFE_INTEGER): Snapshot | null {
    const eligible = this.listSnapshots().filter((info) => info.sequence <= atOrBelow);
    const newest = eligible[eligible.length - 1];
    return newest === undefined ? null : loadSnapshot(this.store, newest.sequence);
  }

  /** Durable cycles; indices run from 0. */
  cycleCount(): number {
    this.refresh();
    return lastStoredCycle(this.store) + 1;
  }

  /** Durable cycles `from … to − 1` (default: all from `from`). @throws JournalError CORRUPTED */
  *readCycles(from = 0, to?: number): Generator<CycleRecord, void, undefined> {
    const end = Math.min(to ?? Number.MAX_SAFE_INTEGER, this.cycleCount());
    for (let index = from; index < end; index++) {
      const stored = this.store.cycles.get(index);
      if (stored === undefined) throw new JournalError("CORRUPTED", "the cycle store has a gap", { index });
      yield decodeCycle(index, stored);
    }
  }

  async close(): Promise<void> {
    await this.closeStore();
  }

  /** Without this a reader sees another process's commits only in its next turn. */
  protected refresh(): void {
    this.store.root.resetReadTxn();
  }
}

/** The one writer. */
export class Journal extends JournalReader {
  private readonly log: LogWriter;
  private readonly snapshotsKept: number;
  private snapshotInProgress: Promise<void> = Promise.resolve();

  constructor(store: Store, options: JournalOptions) {
    super(store, options.identity, () => store.root.close());
    this.snapshotsKept = options.snapshotsKept ?? SNAPSHOTS_KEPT;
    assert(this.snapshotsKept >= 1, "at least one snapshot is kept");
    this.log = new LogWriter(store, {
      lastSequence: lastStoredSequence(store),
      cycleCount: lastStoredCycle(store) + 1,
      unflushedBytesMax: options.unflushedBytesMax ?? UNFLUSHED_BYTES_MAX,
    });
  }

  /** The last appended sequence, durable or not. */
  override lastSequence(): SequenceNumber {
    return sequenceNumber(this.log.lastSequence);
  }

  override durableSequence(): number {
    return this.log.durableSequence;
  }

  /**
   * Enqueues the next command; `sequence` must be the last + 1. The bytes are copied. False = the disk is behind: await
   * `drained()` before the next append. Everything that one turn appends reaches the disk together.
   * @throws JournalError UNFLUSHED_LIMIT when the signal is not heeded, WRITE_FAILED after a failed commit
   */
  append(sequence: number, bytes: Uint8Array): boolean {
    return this.log.append(sequence, bytes);
  }

  /**
   * Enqueues the next cycle, to be on disk no earlier than the commands appended before it. A cycle that exists already
   * (replay) must have the same content; anything else is a bug and stops the process.
   */
  putCycle(record: CycleRecord): void {
    this.log.putCycle(record);
  }

  /** Resolves with the durable sequence once everything enqueued before this call is on disk. */
  durable(): Promise<number> {
    return this.log.durable();
  }

  /** Resolves when the disk has caught up with the backpressure signal. */
  drained(): Promise<number> {
    return this.log.drained();
  }

  /** Called in order, once for each group, after it is on disk. Returns how to stop it. */
  onDurable(listener: (sequence: number) => void): () => void {
    return this.log.onDurable(listener);
  }

  /** Called once when a group could not be written; the journal takes nothing more. Unheard, the failure stops the process. */
  onFailure(listener: (error: JournalError) => void): () => void {
    return this.log.onFailure(listener);
  }

  /** State after command `sequence`. Visible only when complete, and never before that command is durable. */
  writeSnapshot(sequence: number, bytes: Uint8Array): Promise<void> {
    assert(sequence >= 0 && sequence <= this.log.lastSequence, "a snapshot is of an appended command");
    const previous = this.snapshotInProgress;
    const written = (async (): Promise<void> => {
      await previous.catch(() => undefined);
      if (this.log.durableSequence < sequence) await this.log.durable();
      await storeSnapshot(this.store, sequence, bytes, this.snapshotsKept);
    })();
    this.snapshotInProgress = written;
    return written;
  }

  /** Commits what is enqueued, then releases the journal. */
  override async close(): Promise<void> {
    await this.snapshotInProgress.catch(() => undefined);
    await this.log.close();
    releaseWriter(this.store);
    await super.close();
  }
}

/** Opens or creates the journal in `directory` for this process alone. @throws JournalError */
export async function openJournal(directory: string, options: JournalOptions): Promise<Journal> {
  return new Journal(openStoreToWrite(directory, options.identity), options);
}

/** Opens an existing journal to read, also while another process writes it. @throws JournalError NOT_FOUND and others */
export function openJournalReader(directory: string): JournalReader {
  const { store, identity } = openStoreToRead(directory);
  return new JournalReader(store, identity, () => closeReaderStore(directory, store));
}

function firstKeyAtOrBelow(store: Store, sequence: number): number | null {
  for (const key of store.log.getKeys({ start: sequence, reverse: true, limit: 1 })) return key;
  return null;
}

function lastStoredSequence(store: Store): number {
  const key = firstKeyAtOrBelow(store, Number.MAX_SAFE_INTEGER);
  if (key === null) return 0;
  const stored = store.log.get(key);
  if (stored === undefined) throw new JournalError("CORRUPTED", "the log's last group is missing", { sequence: key });
  return key + decodeGroup(key, stored).length - 1;
}

function lastStoredCycle(store: Store): number {
  for (const index of store.cycles.getKeys({ start: Number.MAX_SAFE_INTEGER, reverse: true, limit: 1 })) return index;
  return -1;
}
