// A state that goes back to a mark is, to the byte and to every sibling, the state that it was there.
import { expect, test } from "vitest";
import {
  applyPayload,
  type Cycle,
  type CycleVerdict,
  encodeCycle,
  LedgerState,
  type ParameterSet,
  serialiseState,
} from "../src/index.ts";
import { signaturePort } from "./keys.ts";
import { Random, seedOf } from "./random.ts";
import { DUTIES, VALID } from "./stream/recipes-valid.ts";
import { Coverage, Stream } from "./stream/stream.ts";

const SEED = seedOf(20_261_123);
const CYCLES = 400;
const MARKED_CYCLES_MAX = 24;
const PORTS = { signatures: signaturePort };

class RecordingStream extends Stream {
  readonly accepted: Uint8Array[] = [];

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = cycle instanceof Uint8Array ? cycle : encodeCycle(cycle);
    const verdict = super.apply(payload);
    if (verdict.ok) this.accepted.push(payload);
    return verdict;
  }
}

function history(): { parameters: ParameterSet; payloads: readonly Uint8Array[] } {
  const stream = new RecordingStream(new Random(SEED), new Coverage());
  stream.setUp();
  const { random, venue } = stream;
  while (stream.accepted.length < CYCLES) {
    venue.advance(random.integer(0, 1_500));
    const due = DUTIES.map((duty) => duty(stream)).find((cycle) => cycle !== null);
    const cycle = due !== undefined && random.chance(0.5) ? due : random.pick(VALID)[1](stream);
    if (cycle !== null) stream.apply(cycle);
  }
  return { parameters: venue.parameters, payloads: stream.accepted };
}

function applyAll(state: LedgerState, payloads: readonly Uint8Array[]): void {
  for (const payload of payloads) expect(applyPayload(state, payload, PORTS).ok).toBe(true);
}

/** Every path that a witness may ask for, of cells that are there and of those behind the last. */
function paths(state: LedgerState): string {
  const lists = [
    ...state.accountNumbers().flatMap((number) => [state.leafPath("accounts", number), state.ringPath(number, 1)]),
    state.leafPath("accounts", 4_000),
    state.leafPath("instruments", state.instrumentCount),
    state.leafPath("outbox", state.outboxCount),
    state.leafPath("underlyings", 0),
  ];
  return lists.map((path) => path.map((sibling) => Buffer.from(sibling).toString("hex")).join()).join(";");
}

test("rolling back restores cells, roots and paths, and what follows is the same", { timeout: 120_000 }, () => {
  const { parameters, payloads } = history();
  const random = new Random(SEED ^ 0xabc);
  const state = LedgerState.genesis(parameters);
  const kinds = new Set<number>();
  for (let at = 0; at < payloads.length; ) {
    const count = random.integer(1, MARKED_CYCLES_MAX);
    const part = payloads.slice(at, at + count);
    const place = `seed ${SEED}, cycles ${at} to ${at + part.length}`;
    const before = { bytes: serialiseState(state), paths: paths(state), rowBound: state.rowBound };
    state.mark();
    for (let round = 0; round < 2; round++) {
      applyAll(state, part.slice(0, round === 0 ? part.length : random.integer(0, part.length)));
      expect(state.rollBack(), place).toBe(state.root());
      expect(serialiseState(state), place).toEqual(before.bytes);
      expect(paths(state), place).toBe(before.paths);
      expect(state.rowBound, place).toBe(before.rowBound);
    }
    applyAll(state, part);
    for (const payload of part) kinds.add(payload[1] as number);
    at += part.length;
  }
  const straight = LedgerState.genesis(parameters);
  applyAll(straight, payloads);
  expect(serialiseState(state)).toEqual(serialiseState(straight));
  expect(kinds.size).toBeGreaterThanOrEqual(7);
});

test("a state without a mark has nowhere to go back to", () => {
  const state = LedgerState.genesis(new Stream(new Random(SEED), new Coverage()).venue.parameters);
  expect(() => state.rollBack()).toThrow(/marked/);
});
