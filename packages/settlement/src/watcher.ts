// The watcher's core: re-executes every cycle of every posted batch from genesis and compares all that the batch claims.
// It is fed what the L1 shows and trusts none of it.
import {
  applyPayload,
  type Hash,
  inboundHashNext,
  LedgerState,
  type ParameterSet,
  type SignaturePort,
  ZERO_HASH,
} from "@tidemark/ledger";
import { assert, bytesToHex } from "@tidemark/num";
import { cycleLengthOf, holderOf, kindNameOf, type Touched, touchedByPayload } from "./attribute.ts";
import {
  BATCH_VERSION,
  type BatchCycle,
  type BatchHeader,
  CYCLE_HEAD_BYTES,
  cyclesRoot,
  DATA_MODE_BLOB,
  DATA_MODE_CALLDATA,
  decodeBatchData,
  decodePost,
  hashHeader,
  POST_BATCH_DATA_AT,
} from "./batch.ts";
import type { KzgPort } from "./blob.ts";
import { blobChallenge, blobFault, isBlobHeader, type NamedBlob } from "./blobFault.ts";
import { type Accusation, accuse, type Challenge, type CommittedBatch } from "./challenge.ts";
import type { WatcherCheckpoint } from "./checkpoint.ts";
import type { WatcherFault, WatcherFaultKind } from "./fault.ts";
import type { PostedBatch, QueueEntry } from "./ports.ts";
import { type BatchTip, genesisTip, inboundEntriesOf, tipAfter } from "./propose.ts";

export interface WatcherVerdict {
  ok: boolean;
  batchesCompared: number;
  cyclesCompared: number;
  cyclesEqual: number;
  cyclesByKind: Record<string, number>;
  stateRoot: Hash;
  tip: BatchTip;
  fault: WatcherFault | null;
}

export interface WatcherPorts {
  signatures: SignaturePort;
  /** Opens blobs for challenges; without it a wrong blob is only told. */
  kzg?: KzgPort;
}

export interface Watcher {
  /** State after the last batch that agreed. */
  readonly state: LedgerState;
  readonly tip: BatchTip;
  /** Feeds the L1 queue, in order. */
  addQueueEntries(entries: readonly QueueEntry[]): WatcherFault | null;
  readonly queueLength: number;
  /** Re-executes the next batch. After a fault the watcher waits until it is rolled back. */
  checkBatch(posted: PostedBatch): WatcherFault | null;
  /**
   * What the L1 can be shown of the fault, or why it can not: a copy of the data that somebody changed on the way is no fault of
   * the batch. Challenges are good until the watcher is rolled back.
   */
  accuse(): { ok: true; accusation: Accusation } | { ok: false; why: string };
  /** Forgets the fault: the state is again the one before the batch. For a batch that the L1 dropped. */
  rollBack(): void;
  /** Hash of an agreed batch, to notice that the L1 holds another one now; null when not checked yet, or before a checkpoint. */
  checkedHash(batchNumber: number): Hash | null;
  verdict(): WatcherVerdict;
  /** To go on from later; the state is shared. Only without a fault. */
  checkpoint(): WatcherCheckpoint;
}

/** `tail` = the batch's data from the cycle's payload on; `later` = the payloads of the batch's later cycles. */
type Where = { batch: number; cycle: number; payload: Uint8Array; tail: Uint8Array; later: readonly Uint8Array[] };
/** What a batch moved before it turned out wrong. */
interface Begun {
  batch: CommittedBatch | null;
  /** The blob that is not what its header says. */
  blob: NamedBlob | null;
  cyclesCompared: number;
  cyclesEqual: number;
  cyclesByKind: Record<string, number>;
}
type Reason = { what: WatcherFaultKind; detail: string; code?: number; account?: number; instrument?: number };

const NO_BYTES = new Uint8Array(0);

class LedgerWatcher implements Watcher {
  readonly state: LedgerState;
  readonly #ports: WatcherPorts;
  readonly #queue: { bytes: Uint8Array; queueHash: Hash }[] = [];
  /** Batch number → hash, from where this watcher began. */
  readonly #hashes = new Map<number, Hash>();
  #cyclesByKind: Record<string, number> = {};
  #tip: BatchTip;
  #cyclesCompared = 0;
  #cyclesEqual = 0;
  #fault: WatcherFault | null = null;
  /** The batch that is being compared, or that is at fault. */
  #begun: Begun | null = null;

  constructor(parameters: ParameterSet, ports: WatcherPorts, from: WatcherCheckpoint | null) {
    this.state = from?.state ?? LedgerState.genesis(parameters);
    this.#ports = ports;
    this.#tip = from?.tip ?? genesisTip(this.state.root());
    this.#hashes.set(this.#tip.number, this.#tip.batchHash);
    this.#cyclesCompared = from?.cyclesCompared ?? 0;
    this.#cyclesEqual = this.#cyclesCompared;
    this.#cyclesByKind = { ...from?.cyclesByKind };
  }

  get tip(): BatchTip {
    return this.#tip;
  }
  get queueLength(): number {
    return this.#queue.length;
  }
  get #domain(): number {
    return this.state.parameters.domain;
  }

  checkedHash(batchNumber: number): Hash | null {
    return this.#hashes.get(batchNumber) ?? null;
  }

  checkpoint(): WatcherCheckpoint {
    assert(this.#fault === null, "no checkpoint at a fault");
    const { state } = this;
    return { state, tip: this.#tip, cyclesCompared: this.#cyclesCompared, cyclesByKind: { ...this.#cyclesByKind } };
  }

  addQueueEntries(entries: readonly QueueEntry[]): WatcherFault | null {
    assert(this.#fault?.what !== "queue", "a queue that is not one chain is the end");
    for (const entry of entries) {
      const last = this.#queue[this.#queue.length - 1]?.queueHash ?? ZERO_HASH;
      const queueHash = inboundHashNext(last, entry.bytes);
      if (entry.index === this.#queue.length && queueHash === entry.queueHash) {
        this.#queue.push({ bytes: entry.bytes, queueHash });
        continue;
      }
      const detail = `queue entry ${entry.index} does not continue the queue's hash chain at ${this.#queue.length}`;
      const where = { batch: this.#tip.number + 1, cycle: this.#tip.nextCycle, payload: NO_BYTES, tail: NO_BYTES };
      return this.#fail({ ...where, later: [] }, { what: "queue", detail, account: entryAccount(entry.bytes) }, false);
    }
    return null;
  }

  checkBatch(posted: PostedBatch): WatcherFault | null {
    assert(this.#fault === null, "a watcher stays at its fault until it is rolled back");
    const tip = this.#tip;
    const batch = tip.number + 1;
    this.state.mark();
    const begun: Begun = {
      batch: null,
      blob: null,
      cyclesCompared: this.#cyclesCompared,
      cyclesEqual: this.#cyclesEqual,
      cyclesByKind: { ...this.#cyclesByKind },
    };
    this.#begun = begun;
    const call = decodePost(posted.calldata, posted.blob);
    const named = call.header !== null && posted.blob !== null ? { header: call.header, blob: posted.blob } : null;
    if (named !== null && isBlobHeader(named.header)) {
      const detail = blobFault(named);
      if (detail !== null) return this.#failBlob(named, posted, detail);
    }
    if (!call.ok) {
      const tail = posted.calldata.subarray(POST_BATCH_DATA_AT + CYCLE_HEAD_BYTES);
      const where = { batch, cycle: tip.nextCycle, payload: NO_BYTES, tail, later: [] };
      return this.#fail(this.#relaid(where), { what: "calldata", detail: call.detail }, false);
    }
    const { header, data } = call;
    const decoded = decodeBatchData(data);
    const { cycles } = decoded;
    const committed = (): boolean =>
      decoded.ok &&
      cycles.length > 0 &&
      cyclesRoot(cycles) === header.cyclesRoot &&
      hashHeader(header) === posted.batchHash;
    const fail = (where: Where, reason: Reason): WatcherFault => {
      const dataCommitted = committed();
      if (dataCommitted) begun.batch = { header, cycles };
      return this.#fail(where, reason, dataCommitted);
    };

    const at = (index: number): Where => {
      const before = cycles.slice(0, index).reduce((sum, { payload }) => sum + CYCLE_HEAD_BYTES + payload.length, 0);
      const tail = data.subarray(before + CYCLE_HEAD_BYTES);
      const later = cycles.slice(index + 1).map(({ payload }) => payload);
      return { batch, cycle: tip.nextCycle + index, payload: cycles[index]?.payload ?? tail, tail, later };
    };
    for (const [i, cycle] of cycles.entries()) {
      const reason = this.#execute(cycle);
      if (reason !== null) return fail(decoded.ok ? at(i) : this.#relaid(at(i)), reason);
    }
    if (!decoded.ok || cycles.length === 0) {
      const where = this.#relaid(at(cycles.length));
      return fail(where, { what: "data", detail: decoded.ok ? "no cycles" : decoded.detail });
    }
    const wrong = this.#headerFault(header, data, cycles, posted);
    if (wrong !== null) {
      const where = at(wrong.last ? cycles.length - 1 : 0);
      return fail(where, { what: "header", detail: wrong.detail });
    }
    this.#tip = tipAfter(header);
    this.#hashes.set(this.#tip.number, posted.batchHash);
    return null;
  }

  /** Before any cycle is looked at: what the header commits to is not what can be read. */
  #failBlob(named: NamedBlob, posted: PostedBatch, detail: string): WatcherFault {
    const { number, nextCycle } = this.#tip;
    const isPosted = hashHeader(named.header) === posted.batchHash;
    if (isPosted && this.#begun !== null) this.#begun.blob = named;
    const where = { batch: number + 1, cycle: nextCycle, payload: NO_BYTES, tail: NO_BYTES, later: [] };
    return this.#fail(where, { what: "data", detail }, isPosted);
  }

  #accuseBlob(named: NamedBlob): { ok: true; accusation: Accusation } | { ok: false; why: string } {
    const { kzg } = this.#ports;
    if (kzg === undefined) return { ok: false, why: "nothing here opens blobs" };
    this.state.rollBack();
    const { number: batch, cycleCount: cycleIndex } = named.header;
    const challenges = (): Generator<Challenge> => blobChallenge(named, kzg);
    const { parameters } = this.state;
    return { ok: true, accusation: { batch, cycleIndex, code: 0, account: -1, parameters, challenges } };
  }

  accuse(): { ok: true; accusation: Accusation } | { ok: false; why: string } {
    const fault = this.#fault;
    if (fault === null) return { ok: false, why: "every batch that was compared is right" };
    if (fault.what === "queue") return { ok: false, why: `the L1's queue is not one chain of hashes: ${fault.detail}` };
    const blob = this.#begun?.blob ?? null;
    if (blob !== null) return this.#accuseBlob(blob);
    const batch = this.#begun?.batch ?? null;
    if (batch === null) {
      return { ok: false, why: "the data that this L1 node shows are not the ones that the batch's header commits to" };
    }
    this.state.rollBack();
    const accusation = accuse(this.state, batch, this.#ports);
    if (accusation === null) return { ok: false, why: "no rule that the L1 judges is broken" };
    return { ok: true, accusation };
  }

  rollBack(): void {
    const begun = this.#begun;
    assert(this.#fault !== null && begun !== null, "a batch at fault is rolled back");
    this.state.rollBack();
    this.#cyclesCompared = begun.cyclesCompared;
    this.#cyclesEqual = begun.cyclesEqual;
    this.#cyclesByKind = begun.cyclesByKind;
    this.#fault = null;
    this.#begun = null;
  }

  /** Why the next cycle is wrong, or null after the state has moved on by it. */
  #execute(cycle: BatchCycle): Reason | null {
    this.#cyclesCompared++;
    const foreign = this.#foreignEntry(cycle.payload);
    if (foreign !== null) return foreign;
    let verdict: ReturnType<typeof applyPayload>;
    try {
      verdict = applyPayload(this.state, cycle.payload, this.#ports);
    } catch (error) {
      // Hostile bytes must not take the watcher down: what cannot be re-executed is wrong, and where is what matters.
      return { what: "execution", detail: `the ledger cannot execute the cycle: ${(error as Error).message}` };
    }
    if (!verdict.ok) {
      const { code, name, account, instrument, place } = verdict.rejection;
      const detail = `the ledger refuses the cycle: ${code} ${name} at place ${place}`;
      return { what: "rejection", detail, code, account, instrument };
    }
    if (verdict.root !== cycle.postRoot) {
      return { what: "postRoot", detail: `re-execution gives root ${verdict.root}, the batch says ${cycle.postRoot}` };
    }
    this.#cyclesEqual++;
    const kind = kindNameOf(cycle.payload) ?? "unknown";
    this.#cyclesByKind[kind] = (this.#cyclesByKind[kind] ?? 0) + 1;
    return null;
  }

  /** An inbound cycle must carry the very entries that come next in the L1 queue. */
  #foreignEntry(payload: Uint8Array): Reason | null {
    let entries: Uint8Array[];
    try {
      entries = inboundEntriesOf(payload);
    } catch {
      // Not decodable: applyPayload says how.
      return null;
    }
    for (const [i, entry] of entries.entries()) {
      const index = this.state.globals.inboundCursor + i;
      const queued = this.#queue[index];
      if (queued !== undefined && bytesToHex(queued.bytes) === bytesToHex(entry)) continue;
      const actual =
        queued === undefined ? "the L1 queue ends before it" : `the L1 queue has ${bytesToHex(queued.bytes)}`;
      const account = entryAccount(queued?.bytes ?? entry);
      return { what: "inboundEntry", detail: `queue entry ${index} is ${bytesToHex(entry)}: ${actual}`, account };
    }
    return null;
  }

  /** `last` = the last cycle shows the contradiction, else the first. */
  #headerFault(
    header: BatchHeader,
    data: Uint8Array,
    cycles: readonly BatchCycle[],
    posted: PostedBatch,
  ): { detail: string; last: boolean } | null {
    const { globals } = this.state;
    const tip = this.#tip;
    const blockTimeMs = posted.blockTimestampSeconds * 1000 + 999;
    const checks: readonly (readonly [keyof BatchHeader, number | string, boolean])[] = [
      ["version", BATCH_VERSION, false],
      ["domain", this.#domain, false],
      ["number", tip.number + 1, false],
      ["parent", tip.batchHash, false],
      ["preStateRoot", tip.stateRoot, false],
      ["firstCycle", tip.nextCycle, false],
      ["dataMode", posted.blob === null ? DATA_MODE_CALLDATA : DATA_MODE_BLOB, false],
      ["dataHash", posted.blob === null ? ZERO_HASH : header.dataHash, false],
      ["dataLength", data.length, false],
      ["postStateRoot", this.state.root(), true],
      ["timeMs", globals.timeMs, true],
      ["inboundCursor", globals.inboundCursor, true],
      ["inboundHash", globals.inboundHash, true],
      ["cycleCount", cycles.length, true],
      ["cyclesRoot", cyclesRoot(cycles), false],
    ];
    for (const [name, expected, last] of checks) {
      if (header[name] !== expected) return { detail: `header ${name} is ${header[name]}, expected ${expected}`, last };
    }
    if (header.timeMs > blockTimeMs) {
      return { detail: `header timeMs ${header.timeMs} is ahead of its block (${blockTimeMs})`, last: true };
    }
    if (posted.number !== header.number) return { detail: `posted as batch ${posted.number}`, last: false };
    if (hashHeader(header) !== posted.batchHash) {
      return {
        detail: `the batch chain has hash ${posted.batchHash}, the header's is ${hashHeader(header)}`,
        last: false,
      };
    }
    return null;
  }

  #fail(where: Where, reason: Reason, dataCommitted: boolean): WatcherFault {
    const touched = touchedByPayload(where.payload, this.#domain, where.tail);
    this.#fault = {
      what: reason.what,
      batch: where.batch,
      cycle: where.cycle,
      kind: touched.kind,
      ...this.#accountOf(where, reason, touched),
      accounts: touched.accounts,
      instrument: (reason.instrument ?? -1) >= 0 ? (reason.instrument as number) : touched.instrument,
      code: reason.code ?? 0,
      detail: reason.detail,
      dataCommitted,
    };
    return this.#fault;
  }

  /** The same place with the payload as long as its own bytes say: a changed length hides neither it nor what follows. */
  #relaid(where: Where): Where {
    const length = cycleLengthOf(where.tail, this.#domain);
    if (length < 0) return where;
    const later = decodeBatchData(where.tail.subarray(length)).cycles.map(({ payload }) => payload);
    return { ...where, payload: where.tail.subarray(0, length), later };
  }

  #accountOf(where: Where, reason: Reason, touched: Touched): Pick<WatcherFault, "account" | "concern"> {
    const named = reason.account ?? -1;
    if (named >= 0) return { account: named, concern: "rule" };
    const [first] = touched.accounts;
    if (first !== undefined) return { account: first, concern: "touched" };
    const due = this.#queue[this.state.globals.inboundCursor];
    const dueAccount = touched.kind === "inbound" && due !== undefined ? entryAccount(due.bytes) : -1;
    if (dueAccount >= 0) return { account: dueAccount, concern: "touched" };
    const holder = holderOf(where.payload, this.state);
    if (holder >= 0) return { account: holder, concern: "holder" };
    for (const payload of where.later) {
      const [next] = touchedByPayload(payload, this.#domain, payload).accounts;
      if (next !== undefined) return { account: next, concern: "next" };
    }
    return { account: -1, concern: "none" };
  }

  verdict(): WatcherVerdict {
    return {
      ok: this.#fault === null && this.#cyclesCompared === this.#cyclesEqual,
      batchesCompared: this.#tip.number,
      cyclesCompared: this.#cyclesCompared,
      cyclesEqual: this.#cyclesEqual,
      cyclesByKind: { ...this.#cyclesByKind },
      stateRoot: this.state.root(),
      tip: this.#tip,
      fault: this.#fault,
    };
  }
}

/** Entries about an account start with their type and a big-endian account number; listSeries (9) has none. */
function entryAccount(entry: Uint8Array): number {
  if (entry.length < 4 || (entry[0] as number) >= 9) return -1;
  return (entry[1] as number) * 0x1_0000 + (entry[2] as number) * 0x100 + (entry[3] as number);
}

/**
 * One watcher per chain of batches; feed the queue ahead of the batches that consume it, from its first entry. Without a checkpoint
 * it begins at genesis; the state of a checkpoint is the watcher's afterwards.
 */
export function createWatcher(
  parameters: ParameterSet,
  ports: WatcherPorts,
  from: WatcherCheckpoint | null = null,
): Watcher {
  return new LedgerWatcher(parameters, ports, from);
}
