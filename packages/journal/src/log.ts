// Group commit. Records and cycles collect in memory while one transaction is on its way to disk; when it is there, all that
// has collected becomes the next one. In: sequence + bytes. Out: the durable sequence, in order.
import { assert } from "@tidemark/num";
import { type CycleRecord, encodeCycle } from "./cycle.ts";
import { JournalError } from "./errors.ts";
import { GroupBuffer, RECORD_BYTES_MAX } from "./group.ts";
import type { Store } from "./store.ts";

/** Spare buffers kept for reuse; more are left to the collector. */
const SPARE_BUFFERS_MAX = 8;

interface Waiter {
  /** The commit that must be on disk. */
  readonly commit: number;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: JournalError) => void;
}

export interface LogStart {
  readonly lastSequence: number;
  readonly cycleCount: number;
  /** Above this `append` answers false; at twice this it throws. */
  readonly unflushedBytesMax: number;
}

export class LogWriter {
  private readonly store: Store;
  private readonly unflushedBytesMax: number;
  private readonly spare: GroupBuffer[] = [];
  private collecting: GroupBuffer[] = [];
  private collectingCycles: { index: number; stored: Buffer }[] = [];
  /** Every cycle that is not yet readable from the store, for the idempotency check. */
  private readonly unflushedCycles = new Map<number, Buffer>();
  private appendedSequence: number;
  private durableThrough: number;
  private cyclesAppended: number;
  private unflushedBytes = 0;
  private commitsStarted = 0;
  private committing = false;
  private scheduled = false;
  private failure: JournalError | null = null;
  private waiters: Waiter[] = [];
  private drainWaiters: Waiter[] = [];
  private readonly listeners = new Set<(sequence: number) => void>();
  private readonly failureListeners = new Set<(error: JournalError) => void>();

  constructor(store: Store, start: LogStart) {
    this.store = store;
    this.appendedSequence = start.lastSequence;
    this.durableThrough = start.lastSequence;
    this.cyclesAppended = start.cycleCount;
    this.unflushedBytesMax = start.unflushedBytesMax;
  }

  get lastSequence(): number {
    return this.appendedSequence;
  }

  get durableSequence(): number {
    return this.durableThrough;
  }

  append(sequence: number, bytes: Uint8Array): boolean {
    assert(sequence === this.appendedSequence + 1, "journal sequences are strictly consecutive");
    assert(bytes.length <= RECORD_BYTES_MAX, "a record is within RECORD_BYTES_MAX");
    this.requireWritable();
    this.requireMemory(bytes.length);
    let group = this.collecting[this.collecting.length - 1];
    if (group === undefined || !group.hasRoomFor(bytes.length)) {
      group = this.takeBuffer(bytes.length);
      this.collecting.push(group);
    }
    group.add(sequence, bytes);
    this.appendedSequence = sequence;
    this.unflushedBytes += bytes.length;
    this.schedule();
    return this.unflushedBytes <= this.unflushedBytesMax;
  }

  putCycle(record: CycleRecord): void {
    this.requireWritable();
    const stored = encodeCycle(record);
    if (record.index < this.cyclesAppended) {
      const before = this.unflushedCycles.get(record.index) ?? this.store.cycles.get(record.index);
      assert(before?.equals(stored) === true, `cycle ${record.index} is produced again with the same content`);
      return;
    }
    assert(record.index === this.cyclesAppended, "cycle indices are consecutive");
    this.requireMemory(stored.length);
    this.collectingCycles.push({ index: record.index, stored });
    this.unflushedCycles.set(record.index, stored);
    this.cyclesAppended++;
    this.unflushedBytes += stored.length;
    this.schedule();
  }

  durable(): Promise<number> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.isIdle()) return Promise.resolve(this.durableThrough);
    const commit = this.hasCollected() ? this.commitsStarted + 1 : this.commitsStarted;
    return new Promise((resolve, reject) => this.waiters.push({ commit, resolve, reject }));
  }

  drained(): Promise<number> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.unflushedBytes <= this.unflushedBytesMax) return Promise.resolve(this.durableThrough);
    return new Promise((resolve, reject) => this.drainWaiters.push({ commit: 0, resolve, reject }));
  }

  onDurable(listener: (sequence: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  onFailure(listener: (error: JournalError) => void): () => void {
    this.failureListeners.add(listener);
    return () => this.failureListeners.delete(listener);
  }

  /** Commits what is left. Nothing may be appended afterwards. */
  async close(): Promise<void> {
    while (this.failure === null && !this.isIdle()) await this.durable();
    this.failure ??= new JournalError("WRITE_FAILED", "the journal is closed");
  }

  private hasCollected(): boolean {
    return this.collecting.length > 0 || this.collectingCycles.length > 0;
  }

  private isIdle(): boolean {
    return !this.committing && !this.hasCollected();
  }

  private requireWritable(): void {
    if (this.failure !== null) throw this.failure;
  }

  private requireMemory(bytes: number): void {
    if (this.unflushedBytes + bytes <= 2 * this.unflushedBytesMax || this.unflushedBytes === 0) return;
    throw new JournalError("UNFLUSHED_LIMIT", "the disk is behind and the backpressure signal was not heeded", {
      unflushedBytes: this.unflushedBytes,
      unflushedBytesMax: this.unflushedBytesMax,
    });
  }

  private takeBuffer(recordBytes: number): GroupBuffer {
    const capacityBytes = GroupBuffer.capacityFor(recordBytes);
    const spare = this.spare[this.spare.length - 1];
    if (spare?.hasRoomFor(recordBytes) === true) {
      this.spare.pop();
      return spare;
    }
    return new GroupBuffer(capacityBytes);
  }

  /** The group closes at the end of the turn, so what one turn appends is on disk together or not at all. */
  private schedule(): void {
    if (this.scheduled || this.committing) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      if (!this.committing && this.hasCollected() && this.failure === null) this.commit();
    });
  }

  private commit(): void {
    const groups = this.collecting;
    const cycles = this.collectingCycles;
    const through = this.appendedSequence;
    const bytes = this.unflushedBytes;
    this.collecting = [];
    this.collectingCycles = [];
    this.committing = true;
    const commit = ++this.commitsStarted;
    const committed = this.store.log.batch(() => {
      for (const group of groups) void this.store.log.put(group.firstSequence, group.seal());
      for (const cycle of cycles) void this.store.cycles.put(cycle.index, cycle.stored);
    });
    committed.then(
      () => {
        for (const cycle of cycles) this.unflushedCycles.delete(cycle.index);
        this.recycle(groups);
        this.unflushedBytes -= bytes;
        this.committing = false;
        this.durableThrough = through;
        if (this.hasCollected()) this.commit();
        this.announce(commit, through);
      },
      async (error: unknown) => this.fail(await commitFailureCause(error)),
    );
  }

  private recycle(groups: GroupBuffer[]): void {
    for (const group of groups) {
      if (!group.isReusable || this.spare.length >= SPARE_BUFFERS_MAX) continue;
      group.reset();
      this.spare.push(group);
    }
  }

  private announce(commit: number, through: number): void {
    for (const listener of this.listeners) listener(through);
    const waiting = this.waiters;
    this.waiters = [];
    for (const waiter of waiting) {
      if (waiter.commit <= commit) waiter.resolve(through);
      else this.waiters.push(waiter);
    }
    if (this.unflushedBytes > this.unflushedBytesMax) return;
    const drained = this.drainWaiters;
    this.drainWaiters = [];
    for (const waiter of drained) waiter.resolve(through);
  }

  /** A failed commit is final: what followed it in memory must not reach the disk without it. */
  private fail(error: unknown): void {
    const failure = new JournalError(
      "WRITE_FAILED",
      "a group did not reach the disk",
      { durableSequence: this.durableThrough, appendedSequence: this.appendedSequence },
      error,
    );
    this.failure = failure;
    this.committing = false;
    const waiting = [...this.waiters, ...this.drainWaiters];
    this.waiters = [];
    this.drainWaiters = [];
    for (const waiter of waiting) waiter.reject(failure);
    const heard = waiting.length > 0 || this.failureListeners.size > 0;
    for (const listener of this.failureListeners) listener(failure);
    if (!heard) throw failure;
  }
}

/** The store reports the cause of a failed commit in a promise of its own, which must not go unhandled. */
export async function commitFailureCause(error: unknown): Promise<unknown> {
  const detail = (error as { commitError?: Promise<unknown> }).commitError;
  if (detail === undefined) return error;
  try {
    await detail;
    return error;
  } catch (cause) {
    return cause;
  }
}
