// Finds the frauds of the list in what a random stream meets, plants each once and writes its row.
import {
  applyPayload,
  decodeCycle,
  type Hash,
  INSURANCE_ACCOUNT,
  InboundOutcomeCode,
  inboundHashNext,
  type LedgerState,
  TREASURY_ACCOUNT,
} from "@tidemark/ledger";
import { at, micro } from "../../packages/ledger/test/factory.ts";
import { signaturePort } from "../../packages/ledger/test/keys.ts";
import { plantMiscounted } from "./fraud-miscount.ts";
import { entryKey, type FraudRow, outcomeKey, rootKey, ruleKey } from "./fraud-plan.ts";
import type { Planted, Planter } from "./fraud-planter.ts";
import {
  belatedOf,
  inflated,
  liquidationToFullAccount,
  malformedOf,
  payloadOf,
  RULE_RECIPES,
} from "./fraud-recipes.ts";
import type { L1Stream, L1WideStream, RefusedCycle, SoundCycle } from "./history.ts";
import { nextCycle } from "./recipes.ts";
import type { UnitRecord } from "./run.ts";

const AIMED_SHARE = 0.75;

export function record(unit: UnitRecord, row: FraudRow, planted: Planted): void {
  // Of outcomes the root alone is wrong.
  const expected = row.area === "outcome" ? 0 : row.code;
  if (planted.code !== expected) throw new Error(`${row.key}: convicted with code ${planted.code}`);
  const { face, gas, bytes, isPlausible } = planted;
  const { key, area, kind, code, what } = row;
  const root = isPlausible ? "effects" : "any";
  unit.rows.push({ key, area, kind, code, what, root, outcome: "convicted", face, gas, bytes });
  unit.attempts += 1;
}

export function recordRefusal(unit: UnitRecord, row: FraudRow, error: string): void {
  const { key, area, kind, code, what } = row;
  unit.rows.push({ key, area, kind, code, what, root: "", outcome: `refused: ${error}`, face: "", gas: 0, bytes: 0 });
  unit.attempts += 1;
}

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

function entryTypesOf({ payload, outcomes }: SoundCycle, domain: number): string[] {
  if (outcomes.length === 0) return [];
  const decoding = decodeCycle(payload, domain);
  if (!decoding.ok || decoding.cycle.kind !== "inbound") throw new Error("entries of what is no inbound cycle");
  return decoding.cycle.entries.map(({ type }) => type);
}

export class Search {
  readonly planter: Planter;
  readonly unit: UnitRecord;
  readonly lacking: Map<string, FraudRow>;
  /** Rows of one stream. */
  readonly #rowsMax: number;
  #refusedSeen = 0;
  #soundSeen = 0;

  constructor(planter: Planter, unit: UnitRecord, lacking: Map<string, FraudRow>, rowsMax: number) {
    this.planter = planter;
    this.unit = unit;
    this.lacking = lacking;
    this.#rowsMax = rowsMax;
  }

  get isFull(): boolean {
    return this.unit.rows.length >= this.#rowsMax;
  }

  async #plant(key: string, plant: () => Promise<Planted | null>): Promise<void> {
    const row = this.lacking.get(key);
    if (row === undefined || this.isFull) return;
    let planted: Planted | null;
    try {
      planted = await plant();
    } catch (error) {
      throw new Error(`planting ${key}`, { cause: error });
    }
    if (planted === null) return;
    record(this.unit, row, planted);
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
    for (const [i, type] of entryTypesOf(cycle, this.planter.domain).entries()) {
      const code = cycle.outcomes[i] as number;
      const isDone = code === InboundOutcomeCode.DONE;
      const key = isDone ? entryKey(type) : outcomeKey(code);
      await this.#plant(key, () => this.planter.wrongRoot(index, isDone ? withoutEffect : withTheft));
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

export async function searchStream(stream: L1Stream, search: Search, steps: number): Promise<void> {
  stream.setUp();
  await search.plantMet();
  const tried = new Map<string, number>();
  for (let step = 0; step < steps && search.lacking.size > 0 && !search.isFull; step++) {
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

export async function searchWide(stream: L1WideStream, search: Search): Promise<void> {
  stream.fill();
  stream.oneMore();
  stream.oneMoreByBid();
  stream.apply(liquidationToFullAccount(stream));
  await search.plantMet();
  await plantMiscounted(stream, search);
}
