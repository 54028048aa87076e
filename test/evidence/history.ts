// Streams whose accepted cycles go to an L1: what was accepted is kept with everything that a challenge of it would need.
import {
  type Cycle,
  CycleKind,
  type CycleVerdict,
  decodeCycle,
  encodeCycle,
  type Hash,
  type InboundEntry,
  type LedgerState,
  type ParameterSet,
} from "@tidemark/ledger";
import {
  accountFaultCells,
  type Batch,
  type BatchTip,
  buildBatch,
  checkedAccounts,
  encodeWitness,
  inboundEntriesOf,
  isCheckedEverywhere,
  kindNameOf,
  rootFaultCells,
  type SourceCycle,
  type StateParts,
  type WitnessCells,
} from "@tidemark/settlement";
import { account, at, micro, Venue } from "../../packages/ledger/test/factory.ts";
import { Random } from "../../packages/ledger/test/random.ts";
import { Coverage, Stream, UNKNOWN } from "../../packages/ledger/test/stream/stream.ts";
import { WideStream } from "../../packages/ledger/test/stream/wide.ts";
import type { EvidenceL1 } from "./l1.ts";

/** A cycle that the ledger accepted, with the witnesses of the state before it. */
export interface SoundCycle {
  kind: number;
  name: Cycle["kind"];
  timeMs: number;
  payload: Uint8Array;
  preStateRoot: Hash;
  postRoot: Hash;
  rootWitness: Uint8Array;
  /** By account at which the rule is looked at. */
  accountWitnesses: Map<number, Uint8Array>;
  /** Well proven, but of one cell less or of some more than the fault needs. */
  otherWitnesses: { class: string; account: number | null; witness: Uint8Array }[];
  /** Entries of the queue that it consumed, and how each ended. */
  entries: Uint8Array[];
  outcomes: number[];
  /** What opens the root after it. */
  stateParts: StateParts;
  /**
   * What a hand did to the state before the cycle; null = nothing. Such a cycle's root does not follow from the root before it:
   * nobody challenges it, and who re-executes moves the same.
   */
  moved: ((state: LedgerState) => void) | null;
  /** The set that it made the state's; null = as before. */
  changedParameters: ParameterSet | null;
}

/** A cycle that the ledger refused, and where in the history. */
export interface RefusedCycle {
  kind: Cycle["kind"] | null;
  payload: Uint8Array;
  code: number;
  preStateRoot: Hash;
  /** Of the root's fault; null for bytes that are no cycle. */
  rootWitness: Uint8Array | null;
  /** Cycles kept before it. */
  at: number;
}

/** What a stream leaves behind for the L1. */
export interface Kept {
  sound: SoundCycle[];
  refused: RefusedCycle[];
}

const payloadOf = (cycle: Cycle | Uint8Array): Uint8Array => (cycle instanceof Uint8Array ? cycle : encodeCycle(cycle));

function withoutOne(cells: WitnessCells, random: Random): WitnessCells {
  const places = [cells.accounts, cells.instruments, cells.underlyings, cells.outbox].filter(({ size }) => size > 0);
  if (places.length === 0) return cells;
  const place = random.pick(places);
  const key = random.pick([...place.keys()]);
  const slots = cells.accounts.get(key);
  // Of an account sometimes only a slot of its order ring.
  if (place === cells.accounts && slots !== undefined && slots.size > 0 && random.chance(0.5)) {
    slots.delete(random.pick([...slots]));
  } else {
    place.delete(key);
  }
  return cells;
}

function withMore(state: LedgerState, cells: WitnessCells, random: Random): WitnessCells {
  for (let count = random.integer(1, 4); count > 0; count--) {
    random.pick([
      () => {
        const account = random.pick([0, 1, 2, 5, 9, 12, 4001]);
        const slots = cells.accounts.get(account) ?? new Set<number>();
        if (state.account(account) !== undefined && random.chance(0.5)) slots.add(random.integer(0, 400));
        cells.accounts.set(account, slots);
      },
      () => cells.instruments.add(random.integer(0, state.instrumentCount + 1)),
      () => cells.underlyings.add(random.integer(0, 2)),
      () => cells.outbox.add(random.integer(0, state.outboxCount + 1)),
    ])();
  }
  return cells;
}

const CROWDED_BYTES = 60_000;

function witnessesOf(
  state: LedgerState,
  cycle: Cycle,
  random: Random,
): Pick<SoundCycle, "rootWitness" | "accountWitnesses" | "otherWitnesses"> {
  const accounts = isCheckedEverywhere(cycle)
    ? [...new Set([...checkedAccounts(cycle), ...state.accountNumbers()])]
    : checkedAccounts(cycle);
  const rootWitness = encodeWitness(state, rootFaultCells(state, cycle));
  const otherWitnesses: SoundCycle["otherWitnesses"] = [];
  if (rootWitness.length < CROWDED_BYTES) {
    const account = accounts.length > 0 && random.chance(0.5) ? random.pick(accounts) : null;
    const cells = (): WitnessCells =>
      account === null ? rootFaultCells(state, cycle) : accountFaultCells(state, cycle, account);
    const few = encodeWitness(state, withoutOne(cells(), random));
    const many = encodeWitness(state, withMore(state, cells(), random));
    otherWitnesses.push({ class: "a cell less, well proven", account, witness: few });
    otherWitnesses.push({ class: "more cells, well proven", account, witness: many });
  }
  return {
    rootWitness,
    accountWitnesses: new Map(
      accounts.map((account) => [account, encodeWitness(state, accountFaultCells(state, cycle, account))]),
    ),
    otherWitnesses,
  };
}

/** Moves cash between two accounts. */
function mover(from: number, to: number, amount: number): (state: LedgerState) => void {
  return (state) => {
    const draft = state.begin();
    const [payer, payee] = [draft.editAccount(from), draft.editAccount(to)];
    payer.cash = micro(payer.cash - amount);
    payee.cash = micro(payee.cash + amount);
    draft.commit();
  };
}

/** The same hand moves it on the L1: by a cycle that anybody could have queued, and the root of the state that it met. */
function keepMoved(stream: Stream, kept: Kept, moved: (state: LedgerState) => void, choices: Random): void {
  moved(stream.state);
  const timeMs = at(Math.max(stream.venue.timeMs, stream.state.globals.timeMs));
  const entry: InboundEntry = { type: "forcedLiquidation", account: account(UNKNOWN) };
  if (!keep(stream, kept, { kind: "inbound", timeMs, entries: [entry] }, choices).ok) throw new Error("moving by hand");
  (kept.sound.at(-1) as SoundCycle).moved = moved;
}

/** Applies to the ledger alone and keeps what was accepted. */
function keep(stream: Stream, kept: Kept, cycle: Cycle | Uint8Array, choices: Random): CycleVerdict {
  const payload = payloadOf(cycle);
  const { state } = stream;
  const decoding = decodeCycle(payload, state.parameters.domain);
  const preStateRoot = state.root();
  const witnesses = decoding.ok ? witnessesOf(state, decoding.cycle, choices) : null;
  const verdict = stream.venue.applyPayload(payload);
  if (!verdict.ok) {
    const { code } = verdict.rejection;
    Coverage.add(stream.coverage.codes, code);
    const rootWitness = witnesses?.rootWitness ?? null;
    const kind = kindNameOf(payload);
    kept.refused.push({ kind, payload, code, preStateRoot, rootWitness, at: kept.sound.length });
    return verdict;
  }
  if (!decoding.ok || witnesses === null) throw new Error("an undecodable payload was accepted");
  const { kind: name, timeMs } = decoding.cycle;
  Coverage.add(stream.coverage.accepted, name);
  for (const { code } of verdict.outcomes) Coverage.add(stream.coverage.outcomes, code);
  const entries = inboundEntriesOf(payload);
  const { globalsHash: _, ...roots } = state.roots();
  kept.sound.push({
    stateParts: { ...roots, globals: state.globalsBytes() },
    kind: CycleKind[name],
    name,
    timeMs,
    payload,
    preStateRoot,
    postRoot: verdict.root,
    ...witnesses,
    entries,
    outcomes: verdict.outcomes.map(({ code }) => code),
    moved: null,
    changedParameters: name === "admin" ? state.parameters : null,
  });
  return verdict;
}

export class L1Stream extends Stream {
  readonly kept: Kept = { sound: [], refused: [] };
  readonly #choices = new Random(7);

  constructor(random: Random, parameters: ParameterSet) {
    super(random, new Coverage(), new Venue({ parameters }));
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const verdict = keep(this, this.kept, cycle, this.#choices);
    this.undoLoans();
    return verdict;
  }

  override shiftCash(from: number, to: number, amount: number): void {
    if (from !== to && amount !== 0) keepMoved(this, this.kept, mover(from, to, amount), this.#choices);
  }
}

export class L1WideStream extends WideStream {
  readonly kept: Kept = { sound: [], refused: [] };
  readonly #choices = new Random(7);

  constructor(random: Random, parameters: ParameterSet) {
    super(random, new Coverage(), new Venue({ parameters }));
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const verdict = keep(this, this.kept, cycle, this.#choices);
    this.undoLoans();
    return verdict;
  }

  moveByHand(moved: (state: LedgerState) => void): void {
    keepMoved(this, this.kept, moved, this.#choices);
  }

  override shiftCash(from: number, to: number, amount: number): void {
    if (from !== to && amount !== 0) keepMoved(this, this.kept, mover(from, to, amount), this.#choices);
  }
}

export function sourceCyclesOf(tip: BatchTip, cycles: readonly SoundCycle[]): SourceCycle[] {
  return cycles.map(({ kind, timeMs, payload, postRoot }, i) => ({
    index: tip.nextCycle + i,
    kind,
    timeMs,
    payload,
    postRoot,
    fills: 0,
    messages: 0,
    settledDeltas: 0,
  }));
}

export interface PostedCycles {
  batch: Batch;
  cycles: readonly SoundCycle[];
}

/** The dispute contract finds every parameter set that these cycles made the state's. */
export async function registerChanged(l1: EvidenceL1, cycles: readonly SoundCycle[]): Promise<void> {
  for (const { changedParameters } of cycles) {
    if (changedParameters !== null) await l1.registerParameters(changedParameters);
  }
}

const queued = new WeakSet<SoundCycle>();

/** What the cycles consume goes into the queue, once. */
export async function queueFor(l1: EvidenceL1, cycles: readonly SoundCycle[]): Promise<void> {
  const fresh = cycles.filter((cycle) => !queued.has(cycle));
  await l1.queue(fresh.flatMap(({ entries }) => entries));
  for (const cycle of fresh) queued.add(cycle);
}

/** Posts sound cycles as one batch; what they consume goes into the queue first. */
export async function postSound(l1: EvidenceL1, cycles: readonly SoundCycle[]): Promise<PostedCycles> {
  await queueFor(l1, cycles);
  const batch = buildBatch(l1.tip, sourceCyclesOf(l1.tip, cycles), l1.deployment.parameters.domain);
  await l1.post(batch);
  await registerChanged(l1, cycles);
  return { batch, cycles };
}
