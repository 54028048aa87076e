// What a random stream does next: sound cycles half of the time, else those that aim at the codes that were hit least.
import { InboundOutcomeCode, RejectionCode } from "../../src/index.ts";
import type { Random } from "../random.ts";
import type { Recipe } from "./building.ts";
import { ADMIN_FAULTS, CREDIT_FAULTS, FORCED_OUTCOMES, GOVERNANCE_VALID } from "./recipes-governance.ts";
import { LIQUIDATION_FAULTS } from "./recipes-liquidation.ts";
import { EXPIRY_FAULTS, REPORT_FAULTS, ROWS_FAULTS } from "./recipes-oracle.ts";
import { GENERAL_FAULTS, INBOUND_FAULTS, INBOUND_OUTCOMES, OUTBOUND_FAULTS } from "./recipes-others.ts";
import { TRADE_FAULTS } from "./recipes-trade.ts";
import { DUTIES, VALID } from "./recipes-valid.ts";
import { ADL_FAULTS, AUCTION_FAULTS, BANKRUPTCY_FAULTS, WATERFALL_VALID } from "./recipes-waterfall.ts";
import type { Stream } from "./stream.ts";

/** Of the recipes for codes, how many stand in the first row. */
const LEAST_HIT = 16;

export const FAULTS: readonly (readonly [number, Recipe])[] = [
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
/** Every code that random streams can hit. */
export const WANTED = [...Object.values(RejectionCode), ...Object.values(InboundOutcomeCode)].filter(
  (code) => !ELSEWHERE.has(code),
);
/** Weight and recipe of what a sound venue does. */
export const SOUND = [...VALID, ...WATERFALL_VALID, ...GOVERNANCE_VALID];

function weighted(random: Random, recipes: typeof VALID): Recipe {
  const total = recipes.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const [weight, recipe] of recipes) {
    left -= weight;
    if (left < 0) return recipe;
  }
  throw new RangeError("weights");
}

/** `hitsOf`: how often a code was hit; `enough` hits and it is not asked for any more. */
export function nextCycle(stream: Stream, hitsOf: (code: number) => number, enough: number): ReturnType<Recipe> {
  const { random } = stream;
  if (random.chance(0.48)) {
    // Rare states come and go: what they allow is the least hit, so it is asked for first.
    const wanted = FAULTS.filter(([code]) => hitsOf(code) < enough);
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
