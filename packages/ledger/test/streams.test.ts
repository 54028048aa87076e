// Random cycle streams: the ledger and its reference must agree on verdict, code, outcomes, cells and roots; identities
// hold after every cycle; every kind is accepted and every code of the kinds is hit. TIDEMARK_LONG=1 runs the long form,
// TIDEMARK_SEED=<n> one seed again.
import { afterAll, expect, test } from "vitest";
import { CycleKind, InboundOutcomeCode, RejectionCode, rejectionName } from "../src/index.ts";
import { Random, seedOf } from "./random.ts";
import type { Recipe } from "./stream/building.ts";
import { ADMIN_FAULTS, CREDIT_FAULTS, FORCED_OUTCOMES, GOVERNANCE_VALID } from "./stream/recipes-governance.ts";
import { LIQUIDATION_FAULTS } from "./stream/recipes-liquidation.ts";
import { EXPIRY_FAULTS, REPORT_FAULTS, ROWS_FAULTS } from "./stream/recipes-oracle.ts";
import { GENERAL_FAULTS, INBOUND_FAULTS, INBOUND_OUTCOMES, OUTBOUND_FAULTS } from "./stream/recipes-others.ts";
import { TRADE_FAULTS } from "./stream/recipes-trade.ts";
import { DUTIES, VALID } from "./stream/recipes-valid.ts";
import { ADL_FAULTS, AUCTION_FAULTS, BANKRUPTCY_FAULTS, WATERFALL_VALID } from "./stream/recipes-waterfall.ts";
import { Coverage, Stream } from "./stream/stream.ts";
import { WideStream } from "./stream/wide.ts";

const isLong = process.env["TIDEMARK_LONG"] === "1";
const HITS = isLong ? 200 : 12;
const SEED = seedOf(20_260_801);
const STREAMS_MAX = isLong ? 120 : 24;
const CYCLES_PER_STREAM = 420;
/** Of the recipes for codes, how many stand in the first row. */
const LEAST_HIT = 16;

const FAULTS: readonly (readonly [number, Recipe])[] = [
  ...GENERAL_FAULTS,
  ...REPORT_FAULTS,
  ...ROWS_FAULTS,
  ...TRADE_FAULTS,
  ...LIQUIDATION_FAULTS,
  ...EXPIRY_FAULTS,
  ...INBOUND_FAULTS,
  ...INBOUND_OUTCOMES,
  ...OUTBOUND_FAULTS,
  ...AUCTION_FAULTS,
  ...BANKRUPTCY_FAULTS,
  ...ADL_FAULTS,
  ...CREDIT_FAULTS,
  ...ADMIN_FAULTS,
  ...FORCED_OUTCOMES,
];
/** Unreachable by cycles here: 2^20 instruments (kinds.test.ts has it), and outcomes that are not given any more. */
const ELSEWHERE = new Set<number>([
  InboundOutcomeCode.INSTRUMENTS_FULL,
  InboundOutcomeCode.FORCED_CLOSE_UNAVAILABLE,
  InboundOutcomeCode.FORCED_LIQUIDATION_UNAVAILABLE,
  InboundOutcomeCode.CREDIT_OUTSTANDING,
]);
const WANTED = [...Object.values(RejectionCode), ...Object.values(InboundOutcomeCode)].filter(
  (code) => !ELSEWHERE.has(code),
);
const KINDS = Object.keys(CycleKind);
const SOUND = [...VALID, ...WATERFALL_VALID, ...GOVERNANCE_VALID];

const coverage = new Coverage();
const hitsOf = (code: number): number => coverage.codes.get(code) ?? coverage.outcomes.get(code) ?? 0;

function weighted(random: Random, recipes: typeof VALID): Recipe {
  const total = recipes.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const [weight, recipe] of recipes) {
    left -= weight;
    if (left < 0) return recipe;
  }
  throw new RangeError("weights");
}

/** Sound cycles half of the time; else the codes that were hit least. */
function next(stream: Stream): ReturnType<Recipe> {
  const { random } = stream;
  if (random.chance(0.48)) {
    // Rare states come and go: what they allow is the least hit, so it is asked for first.
    const wanted = FAULTS.filter(([code]) => hitsOf(code) < HITS);
    const pool = wanted.length > 0 ? wanted : FAULTS;
    const least = [...pool].sort(([a], [b]) => hitsOf(a) - hitsOf(b)).slice(0, LEAST_HIT);
    for (let attempt = 0; attempt < LEAST_HIT; attempt++) {
      const cycle = random.pick(least)[1](stream);
      if (cycle !== null) return cycle;
    }
  }
  stream.venue.advance(random.integer(0, 1_500));
  if (random.chance(0.5)) {
    for (const duty of DUTIES) {
      const cycle = duty(stream);
      if (cycle !== null) return cycle;
    }
  }
  for (;;) {
    const cycle = weighted(random, SOUND)(stream);
    if (cycle !== null) return cycle;
  }
}

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
  for (let number = 0; number < STREAMS_MAX && (number === 0 || lacks()); number++) {
    const seed = SEED + number;
    const stream = new Stream(new Random(seed), coverage);
    let step = 0;
    try {
      stream.setUp();
      for (; step < CYCLES_PER_STREAM; step++) {
        const cycle = next(stream);
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
