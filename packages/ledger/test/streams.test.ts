// Random cycle streams: the ledger and its reference must agree on verdict, code, outcomes, cells and roots; identities
// hold after every cycle; every kind is accepted and every code of the kinds is hit. TIDEMARK_LONG=1 runs the long form,
// TIDEMARK_SEED=<n> one seed again.
import { afterAll, expect, test } from "vitest";
import { CycleKind, rejectionName } from "../src/index.ts";
import { Random, seedOf } from "./random.ts";
import { FAULTS, nextCycle, WANTED } from "./stream/steps.ts";
import { Coverage, Stream } from "./stream/stream.ts";
import { WideStream } from "./stream/wide.ts";

const isLong = process.env["TIDEMARK_LONG"] === "1";
const HITS = isLong ? 200 : 12;
const SEED = seedOf(20_260_801);
const STREAMS_MAX = isLong ? 600 : 24;
const CYCLES_MIN = isLong ? 100_000 : 0;
const CYCLES_PER_STREAM = 420;
const KINDS = Object.keys(CycleKind);

const coverage = new Coverage();
const hitsOf = (code: number): number => coverage.codes.get(code) ?? coverage.outcomes.get(code) ?? 0;

function table(): string {
  const rows = WANTED.map(
    (code) => `${String(code).padStart(5)} ${(rejectionName(code) ?? "").padEnd(40)} ${hitsOf(code)}`,
  );
  const kinds = KINDS.map((kind) => `${kind.padEnd(46)} ${coverage.accepted.get(kind) ?? 0}`);
  const share = ((100 * coverage.acceptedTotal) / coverage.cycles).toFixed(1);
  return [`cycles ${coverage.cycles}, accepted ${share}% (seed ${SEED})`, ...kinds, ...rows].join("\n");
}

afterAll(() => {
  console.log(table());
  if (isLong) console.log(JSON.stringify({ attempts: coverage.cycles, failures: 0 }));
});

test("random streams agree with the reference", { timeout: isLong ? 7_200_000 : 600_000 }, () => {
  const lacks = (): boolean => FAULTS.some(([code]) => hitsOf(code) < HITS);
  for (let number = 0; number < STREAMS_MAX && (number === 0 || lacks() || coverage.cycles < CYCLES_MIN); number++) {
    const seed = SEED + number;
    const stream = new Stream(new Random(seed), coverage);
    let step = 0;
    try {
      stream.setUp();
      for (; step < CYCLES_PER_STREAM; step++) {
        const cycle = nextCycle(stream, hitsOf, HITS);
        if (cycle !== null) stream.apply(cycle);
      }
      stream.check(true);
    } catch (error) {
      throw new Error(`stream of seed ${seed}, step ${step}`, { cause: error });
    }
  }
});

test("an account with 128 positions takes no more", { timeout: 120_000 }, () => {
  const stream = new WideStream(new Random(SEED), coverage);
  stream.fill();
  for (let attempt = 0; attempt < HITS; attempt++) stream.oneMore();
  for (let attempt = 0; attempt < HITS; attempt++) stream.oneMoreByBid();
  stream.check(true);
});

test("every kind was accepted and every code was hit", () => {
  expect(KINDS.filter((kind) => (coverage.accepted.get(kind) ?? 0) < HITS)).toEqual([]);
  expect(WANTED.filter((code) => hitsOf(code) < HITS).map((code) => `${rejectionName(code)}: ${hitsOf(code)}`)).toEqual(
    [],
  );
  expect(coverage.acceptedTotal / coverage.cycles).toBeGreaterThan(0.4);
});
