// Every rule of every kind broken once, and every rule of headers, times, queue and posting: the batch is refused when it is posted,
// or the real watcher finds it and has it convicted by the real contracts in one transaction, whose gas and bytes are the table's.
// The list is made from the code itself (fraud-plan.ts). States that a market rarely reaches are made by moving cash by hand, on the
// L1 by a batch that nobody challenges and in the watcher alike. TIDEMARK_LONG=1 is a part of `npm run test:long -- frauds`.
import {
  applyPayload,
  decodeCycle,
  encodeCycle,
  encodeInboundEntry,
  type Hash,
  INSURANCE_ACCOUNT,
  type InboundEntry,
  InboundOutcomeCode,
  inboundHashNext,
  type LedgerState,
  TREASURY_ACCOUNT,
} from "@tidemark/ledger";
import { type BatchHeader, hashHeader } from "@tidemark/settlement";
import { afterAll, expect, test } from "vitest";
import { account, at, micro } from "../../packages/ledger/test/factory.ts";
import { signaturePort } from "../../packages/ledger/test/keys.ts";
import { Random } from "../../packages/ledger/test/random.ts";
import { forgedOf } from "./forgery.ts";
import { type BitCounts, callBits, frameBits, payloadBits, rootBits } from "./fraud-bits.ts";
import {
  type FraudRow,
  fraudPlan,
  HEADER_FIELDS,
  headerKey,
  NOT_BREAKABLE,
  outcomeKey,
  POSTING_ERRORS,
  postingKey,
  rootKey,
  ruleKey,
} from "./fraud-plan.ts";
import { type Planted, Planter } from "./fraud-planter.ts";
import { POSTING_FRAUDS, refusalOf } from "./fraud-posting.ts";
import {
  belatedOf,
  ELSEWHERE,
  inflated,
  liquidationToFullAccount,
  malformedOf,
  payloadOf,
  RULE_RECIPES,
} from "./fraud-recipes.ts";
import { L1Stream, L1WideStream, queueFor, type RefusedCycle, type SoundCycle } from "./history.ts";
import { EvidenceL1 } from "./l1.ts";
import { nextCycle } from "./recipes.ts";
import { EvidenceRun, type UnitRecord } from "./run.ts";

const run = new EvidenceRun(20_261_125);
const STREAMS_MAX = run.isLong ? 60 : 1;
const STEPS_PER_STREAM = run.isLong ? 160 : 25;
/** Of rules of cycles; the sample is there to see that planting works. */
const PLANTED_MAX = run.isLong ? Infinity : 10;
const AIMED_SHARE = 0.75;
const PLAN = fraudPlan();
const ROWS = new Map(PLAN.filter((_, i) => i % run.shards === run.shard).map((row) => [row.key, row]));

afterAll(() => console.log(run.table()));

const proven = (): Set<string> => new Set(run.rows().map(({ key }) => String(key)));

function record(unit: UnitRecord, row: FraudRow, planted: Planted): void {
  const expected = row.area === "rule" ? row.code : 0;
  if (planted.code !== expected) throw new Error(`${row.key}: convicted with code ${planted.code}`);
  const { face, gas, bytes, isPlausible } = planted;
  const { key, area, kind, code, what } = row;
  const root = isPlausible ? "effects" : "any";
  unit.rows.push({ key, area, kind, code, what, root, outcome: "convicted", face, gas, bytes });
  unit.attempts += 1;
}

function recordRefusal(unit: UnitRecord, row: FraudRow, error: string): void {
  const { key, area, kind, code, what } = row;
  unit.rows.push({ key, area, kind, code, what, root: "", outcome: `refused: ${error}`, face: "", gas: 0, bytes: 0 });
  unit.attempts += 1;
}

// ── rules, roots and outcomes of cycles ────────────────────────────────────────────────────────────────────────────

/** One micro-USDC changes hands on top of the cycle. */
function withTheft(state: LedgerState, cycle: SoundCycle): Hash {
  applySound(state, cycle);
  const draft = state.begin();
  const [from, to] = [draft.editAccount(TREASURY_ACCOUNT), draft.editAccount(INSURANCE_ACCOUNT)];
  from.cash = micro(from.cash - 1);
  to.cash = micro(to.cash + 1);
  return draft.commit();
}

function applySound(state: LedgerState, cycle: SoundCycle): void {
  const verdict = applyPayload(state, cycle.payload, { signatures: signaturePort });
  if (!verdict.ok) throw new Error(`a sound cycle is refused: ${verdict.rejection.name}`);
}

/** The queue goes on, the entries change nothing. */
function withoutEffect(state: LedgerState, cycle: SoundCycle): Hash {
  const draft = state.begin();
  const { globals } = draft;
  globals.timeMs = at(cycle.timeMs);
  for (const entry of cycle.entries) {
    globals.inboundHash = inboundHashNext(globals.inboundHash, entry);
    globals.inboundCursor += 1;
  }
  return draft.commit();
}

class Search {
  readonly planter: Planter;
  readonly unit: UnitRecord;
  readonly lacking: Map<string, FraudRow>;
  #refusedSeen = 0;
  #soundSeen = 0;

  constructor(planter: Planter, unit: UnitRecord, lacking: Map<string, FraudRow>) {
    this.planter = planter;
    this.unit = unit;
    this.lacking = lacking;
  }

  get isFull(): boolean {
    return this.unit.rows.length >= PLANTED_MAX;
  }

  async #plant(key: string, plant: () => Promise<Planted>): Promise<void> {
    const row = this.lacking.get(key);
    if (row === undefined || this.isFull) return;
    try {
      record(this.unit, row, await plant());
    } catch (error) {
      throw new Error(`planting ${key}`, { cause: error });
    }
    this.lacking.delete(key);
  }

  /** Plants whatever of the list the stream has met since. */
  async plantMet(): Promise<void> {
    const { sound, refused } = this.planter.kept;
    const met = [
      ...refused.slice(this.#refusedSeen).map((one) => ({ at: one.at, refused: one, sound: null })),
      ...sound.slice(this.#soundSeen).map((one, i) => ({ at: this.#soundSeen + i, refused: null, sound: one })),
    ].sort((a, b) => a.at - b.at || (a.refused === null ? 1 : -1));
    this.#refusedSeen = refused.length;
    this.#soundSeen = sound.length;
    for (const one of met) {
      if (this.isFull) return;
      if (!this.planter.canFollowTo(one.at)) continue;
      if (one.refused !== null) await this.#plantRefused(one.refused);
      else if (one.sound.moved === null) await this.#plantOnSound(one.at, one.sound);
    }
  }

  async #plantRefused(cycle: RefusedCycle): Promise<void> {
    if (cycle.kind === null) return;
    await this.#plant(ruleKey(cycle.kind, cycle.code), () => this.planter.refused(cycle));
  }

  async #plantOnSound(index: number, cycle: SoundCycle): Promise<void> {
    await this.#plant(rootKey(cycle.name), () => this.planter.wrongRoot(index, withTheft));
    for (const code of cycle.outcomes) {
      const wrongly = code === InboundOutcomeCode.DONE ? withoutEffect : withTheft;
      await this.#plant(outcomeKey(code), () => this.planter.wrongRoot(index, wrongly));
    }
    const state = { preStateRoot: cycle.preStateRoot, rootWitness: null, kind: cycle.name, at: index };
    await this.#plant(ruleKey(cycle.name, 100), () =>
      this.planter.refused({ ...state, code: 100, payload: malformedOf(cycle) }),
    );
    const before = this.planter.kept.sound[index - 1];
    if (before !== undefined) {
      const payload = belatedOf(cycle, before.timeMs);
      await this.#plant(ruleKey(cycle.name, 102), () => this.planter.refused({ ...state, code: 102, payload }));
    }
    const large = this.lacking.has(ruleKey(cycle.name, 103)) ? inflated(cycle, this.planter.domain) : null;
    if (large !== null) {
      await this.#plant(ruleKey(cycle.name, 103), () => this.planter.refused({ ...state, code: 103, payload: large }));
    }
  }
}

async function searchStream(stream: L1Stream, search: Search): Promise<void> {
  stream.setUp();
  await search.plantMet();
  const tried = new Map<string, number>();
  for (let step = 0; step < STEPS_PER_STREAM && search.lacking.size > 0 && !search.isFull; step++) {
    const aims = [...search.lacking.keys()].filter((key) => RULE_RECIPES.has(key));
    // What was tried least comes first: many aims wait for a state that comes and goes.
    const least = Math.min(...aims.map((aim) => tried.get(aim) ?? 0));
    const next = aims.filter((aim) => (tried.get(aim) ?? 0) === least);
    const key = next.length > 0 && stream.random.chance(AIMED_SHARE) ? stream.random.pick(next) : undefined;
    if (key !== undefined) tried.set(key, (tried.get(key) ?? 0) + 1);
    const recipe = key === undefined ? null : stream.random.pick(RULE_RECIPES.get(key) ?? []);
    const cycle = recipe === null ? nextCycle(stream, new Set(), 0.25) : recipe(stream);
    if (cycle !== null) stream.apply(payloadOf(cycle));
    await search.plantMet();
  }
}

async function searchWide(stream: L1WideStream, search: Search): Promise<void> {
  stream.fill();
  stream.oneMore();
  stream.oneMoreByBid();
  stream.apply(liquidationToFullAccount(stream));
  await search.plantMet();
}

// ── headers, times, queue, posting ─────────────────────────────────────────────────────────────────────────────────

/** An entry that changes nothing: its account does not exist. */
const idle = (minNonce: number): InboundEntry => ({
  type: "cancelAll",
  account: account(4_000),
  minNonce: minNonce as never,
});

/** A right cycle that nothing follows, and everything before it posted. */
async function lastSound(stream: L1Stream, planter: Planter): Promise<SoundCycle> {
  stream.venue.advance(5_000);
  stream.must(stream.venue.inbound(idle(1)));
  const { sound } = planter.kept;
  await planter.followTo(sound.length - 1);
  const cycle = sound[sound.length - 1] as SoundCycle;
  await queueFor(planter.l1, [cycle]);
  return cycle;
}

async function plantInFrame(stream: L1Stream, search: Search): Promise<void> {
  const { planter, unit, lacking } = search;
  const { l1 } = planter;
  const cycle = await lastSound(stream, planter);
  const batch = planter.batchOf([forgedOf(cycle)]);
  const right = await refusalOf(l1, { calls: [l1.postCall(batch)], timeMs: batch.header.timeMs });
  if (right !== null) throw new Error(`the right batch is refused: ${right}`);
  for (const error of POSTING_ERRORS) {
    const row = lacking.get(postingKey(error));
    const build = POSTING_FRAUDS[error];
    if (row === undefined || build === undefined) continue;
    const refusal = await refusalOf(l1, await build({ l1, batch }));
    if (refusal !== error) throw new Error(`posting ${error}: ${refusal ?? "taken"}`);
    recordRefusal(unit, row, refusal);
    lacking.delete(row.key);
  }
  for (const field of Object.keys(HEADER_FIELDS) as (keyof BatchHeader)[]) {
    const row = lacking.get(headerKey(field));
    if (row === undefined) continue;
    const value = batch.header[field];
    const other = typeof value === "string" ? WRONG_WORD : value + 1;
    const header = { ...batch.header, [field]: other };
    const forged = { header, batchHash: hashHeader(header), data: batch.data };
    const refusal = await refusalOf(l1, { calls: [l1.postCall(forged)], timeMs: header.timeMs });
    if (refusal === null) record(unit, row, await planter.batch(forged));
    else recordRefusal(unit, row, refusal);
    lacking.delete(row.key);
  }
  for (const [what, shift] of [
    ["header before its last cycle", -1],
    ["header after its last cycle", 1],
  ] as const) {
    const row = lacking.get(`time ${what}`);
    if (row === undefined) continue;
    record(unit, row, await planter.batch(planter.batchOf([forgedOf(cycle)], { timeMs: cycle.timeMs + shift })));
    lacking.delete(row.key);
  }
}

const WRONG_WORD: Hash = `0x${"5a".repeat(32)}`;

/** Inbound cycles that the ledger takes but that are not the queue's: their own hash is refused, the queue's hash contradicts the state. */
async function plantInQueue(stream: L1Stream, search: Search): Promise<void> {
  const { planter, unit, lacking } = search;
  const { l1 } = planter;
  await planter.followTo(planter.kept.sound.length);
  const entries = [idle(2), idle(3)].map((entry) => encodeInboundEntry(entry));
  await l1.queue(entries);
  const frauds: Readonly<Record<string, InboundEntry[]>> = {
    "entry skipped": [idle(3)],
    "entry invented": [idle(2), idle(7)],
    "entries exchanged": [idle(3), idle(2)],
    "entry changed": [idle(6)],
  };
  const { tip } = l1;
  for (const [what, list] of Object.entries(frauds)) {
    const row = lacking.get(`queue ${what}`);
    if (row === undefined) continue;
    const timeMs = at(stream.venue.timeMs);
    const payload = encodeCycle({ kind: "inbound", timeMs, entries: list });
    const { state } = planter;
    state.mark();
    const verdict = applyPayload(state, payload, { signatures: signaturePort });
    state.rollBack();
    if (!verdict.ok) throw new Error(`${what}: the ledger refuses it`);
    const source = { kind: 9, timeMs, payload, postRoot: verdict.root } as unknown as SoundCycle;
    const own = planter.batchOf([forgedOf(source)]);
    const refusal = await refusalOf(l1, { calls: [l1.postCall(own)], timeMs });
    if (refusal !== "InboundHashMismatch") throw new Error(`${what}: ${refusal ?? "taken"}`);
    const consumed = entries.slice(0, list.length);
    const inboundHash = consumed.reduce((hash, entry) => inboundHashNext(hash, entry), tip.inboundHash);
    record(unit, row, await planter.batch(planter.batchOf([forgedOf(source)], { inboundHash })));
    lacking.delete(row.key);
  }
}

// ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function oneStream(seed: number, unit: UnitRecord, isFirst: boolean): Promise<void> {
  const l1 = await EvidenceL1.start();
  const done = proven();
  const lacking = new Map([...ROWS].filter(([key]) => !done.has(key) && !NOT_BREAKABLE.has(key)));
  const stream = new L1Stream(new Random(seed), l1.deployment.parameters);
  const planter = await Planter.start(l1, stream.kept);
  try {
    const search = new Search(planter, unit, lacking);
    await searchStream(stream, search);
    if (!isFirst) return;
    await plantInFrame(stream, search);
    await plantInQueue(stream, search);
  } finally {
    await planter.close();
    await l1.stop();
  }
}

async function oneWide(seed: number, unit: UnitRecord): Promise<void> {
  const l1 = await EvidenceL1.start();
  const done = proven();
  const lacking = new Map([...ROWS].filter(([key]) => ELSEWHERE.has(key) && !done.has(key)));
  const stream = new L1WideStream(new Random(seed), l1.deployment.parameters);
  const planter = await Planter.start(l1, stream.kept);
  try {
    await searchWide(stream, new Search(planter, unit, lacking));
  } finally {
    await planter.close();
    await l1.stop();
  }
}

// ── single bits ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Beyond it a payload's bits are sampled. */
const EXHAUSTIVE_BYTES = 640;
const BIT_STREAMS = run.isLong ? 2 : 1;
const SAMPLED_BITS = run.isLong ? 2_000 : 12;
const BIT_STEPS = run.isLong ? 240 : 12;
const ROOT_BITS = 256;

function bitsOf(random: Random, count: number): number[] {
  const all = Array.from({ length: count }, (_, bit) => bit);
  if (run.isLong && count <= 8 * EXHAUSTIVE_BYTES) return all;
  return Array.from({ length: Math.min(count, SAMPLED_BITS) }, () => random.integer(0, count - 1));
}

function addBits(unit: UnitRecord, what: string, tried: number, counts: BitCounts): void {
  unit.attempts += tried;
  unit.counts[`bits ${what}: tried`] = (unit.counts[`bits ${what}: tried`] ?? 0) + tried;
  unit.counts[`bits ${what}: refused`] = (unit.counts[`bits ${what}: refused`] ?? 0) + counts.refused;
  unit.counts[`bits ${what}: convicted`] = (unit.counts[`bits ${what}: convicted`] ?? 0) + counts.convicted;
}

/** Kind, with what else decides which bytes a payload has. */
function formOf(payload: Uint8Array, domain: number): string {
  const decoding = decodeCycle(payload, domain);
  if (!decoding.ok) throw new Error(`a sound cycle does not decode: ${decoding.what}`);
  const { cycle } = decoding;
  if (cycle.kind === "auction" || cycle.kind === "credit") return `${cycle.kind} ${cycle.op}`;
  if (cycle.kind === "inbound") return `inbound ${cycle.entries[0]?.type}`;
  return cycle.kind;
}

/** The smallest sound cycle of each form, in order of the history. */
function smallest(sound: readonly SoundCycle[], domain: number): number[] {
  const best = new Map<string, number>();
  sound.forEach(({ payload, moved }, i) => {
    if (moved !== null) return;
    const form = formOf(payload, domain);
    const known = sound[best.get(form) ?? -1];
    if (known === undefined || payload.length < known.payload.length) best.set(form, i);
  });
  return [...best.values()].sort((a, b) => a - b);
}

/** Every bit of one cycle of each kind and form, and of its root; of the last one every bit of the posting call around it. */
async function bits(seed: number, unit: UnitRecord): Promise<void> {
  const l1 = await EvidenceL1.start();
  const stream = new L1Stream(new Random(seed), l1.deployment.parameters);
  const planter = await Planter.start(l1, stream.kept);
  try {
    stream.setUp();
    for (let step = 0; step < BIT_STEPS; step++) {
      const cycle = nextCycle(stream, new Set(), 0.05);
      if (cycle !== null) stream.apply(payloadOf(cycle));
    }
    const random = new Random(seed + 1);
    const { sound } = stream.kept;
    const chosenCycles = smallest(sound, planter.domain);
    for (const index of chosenCycles) {
      await planter.followTo(index);
      const cycle = sound[index] as SoundCycle;
      await queueFor(l1, [cycle]);
      const payload = bitsOf(random, 8 * cycle.payload.length);
      addBits(unit, `payload ${cycle.name}`, payload.length, await payloadBits(planter, cycle, payload));
      const root = bitsOf(random, ROOT_BITS);
      addBits(unit, `root ${cycle.name}`, root.length, await rootBits(planter, cycle, root));
      const isLast = index === chosenCycles.at(-1);
      if (!isLast) continue;
      const frame = frameBits(planter, cycle);
      const chosen = run.isLong ? frame : Array.from({ length: 40 }, () => random.pick(frame));
      addBits(unit, "header and frame of the call", chosen.length, await callBits(planter, cycle, chosen));
    }
  } finally {
    await planter.close();
    await l1.stop();
  }
}

test("the list has a way to plant every fraud, and no way to plant what is not on it", () => {
  const keys = new Set(PLAN.map(({ key }) => key));
  const made = (row: FraudRow): boolean => {
    if (row.area === "rule" && [100, 102, 103].includes(row.code)) return true;
    if (row.area === "rule") return RULE_RECIPES.has(row.key) || ELSEWHERE.has(row.key);
    return row.area !== "posting" || POSTING_FRAUDS[row.what] !== undefined;
  };
  expect(PLAN.filter((row) => !made(row) && !NOT_BREAKABLE.has(row.key)).map(({ key }) => key)).toEqual([]);
  expect([...RULE_RECIPES.keys(), ...NOT_BREAKABLE.keys()].filter((key) => !keys.has(key))).toEqual([]);
  expect(Object.keys(POSTING_FRAUDS).filter((error) => !POSTING_ERRORS.includes(error))).toEqual([]);
});

test("every planted fraud is refused or convicted", { timeout: run.isLong ? 36_000_000 : 120_000 }, async () => {
  run.announce([...ROWS.keys()].filter((key) => !NOT_BREAKABLE.has(key)).length);
  const missing = (): string[] => {
    const done = proven();
    return [...ROWS.keys()].filter((key) => !done.has(key) && !NOT_BREAKABLE.has(key));
  };
  for (let number = run.shard; number < BIT_STREAMS; number += run.shards) {
    await run.unit(`bits ${number}`, (unit) => bits((run.seed ^ 0xb17) + number, unit));
  }
  if (run.isLong) await run.unit("wide", (unit) => oneWide(run.seed, unit));
  for (let number = 0; number < STREAMS_MAX && missing().length > 0; number++) {
    const seed = (run.seed + number * run.shards + run.shard) >>> 0;
    await run.unit(`stream ${seed}`, (unit) => oneStream(seed, unit, number === 0));
  }
  if (run.isLong) expect(missing()).toEqual([]);
  expect(run.rows().filter(({ outcome }) => outcome === "convicted").length).toBeGreaterThanOrEqual(10);
});
