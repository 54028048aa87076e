// The rule contracts against the ledger: random cycles of all kinds that have a contract, applied in TypeScript and executed
// by the compiled contracts in a real EVM, must have the same verdict, code and root. TIDEMARK_LONG=1 runs 100,000 cycles,
// TIDEMARK_SEED=<n> one seed again.

import { encodeCycle, RejectionCode } from "@tidemark/ledger";
import { afterAll, beforeAll, expect, test } from "vitest";
import { account, micro, ownerKey } from "../../ledger/test/factory.ts";
import { Random, seedOf } from "../../ledger/test/random.ts";
import { crossEntries, type Recipe, randomCross } from "../../ledger/test/stream/building.ts";
import { LIQUIDATION_FAULTS } from "../../ledger/test/stream/recipes-liquidation.ts";
import { EXPIRY_FAULTS, REPORT_FAULTS, ROWS_FAULTS } from "../../ledger/test/stream/recipes-oracle.ts";
import {
  GENERAL_FAULTS,
  INBOUND_FAULTS,
  INBOUND_OUTCOMES,
  OUTBOUND_FAULTS,
} from "../../ledger/test/stream/recipes-others.ts";
import { TRADE_FAULTS } from "../../ledger/test/stream/recipes-trade.ts";
import { VALID } from "../../ledger/test/stream/recipes-valid.ts";
import { Coverage } from "../../ledger/test/stream/stream.ts";
import { RULES, RuleEvm } from "./rules/evm.ts";
import { Agreement, Judge, JudgedStream, JudgedWideStream } from "./rules/judge.ts";

const isLong = process.env["TIDEMARK_LONG"] === "1";
const SEED = seedOf(20_261_122);
const CYCLES = isLong ? 100_000 : 2_500;
const CYCLES_PER_STREAM = 420;
const HITS = isLong ? 100 : 5;

/** One micro-USDC above what the order allows: the recipes of the ledger are further off. */
const feeJustAboveMaximum: Recipe = (stream) => {
  const spec = randomCross(stream);
  if (spec === null) return null;
  const { number, buyer, lots, price } = spec;
  const cell = stream.state.instrument(number);
  const fee = lots + 1;
  if (cell === undefined || cell.feePerLot < 2 || price * lots * cell.tickValueMicroUsdc < 8 * fee) return null;
  const [, seller] = crossEntries(stream, spec);
  const entry = stream.venue.entry({ account: buyer, instrument: number, size: lots, price, fee, maxFeePerLot: 1 });
  return seller === undefined ? null : stream.venue.tradeOf([entry, seller]);
};

const FAULTS: readonly (readonly [number, Recipe])[] = [
  ...GENERAL_FAULTS,
  ...REPORT_FAULTS,
  ...ROWS_FAULTS,
  ...TRADE_FAULTS,
  [RejectionCode.TRADE_FEE_ABOVE_MAXIMUM, feeJustAboveMaximum],
  ...LIQUIDATION_FAULTS,
  ...EXPIRY_FAULTS,
  ...INBOUND_FAULTS,
  ...INBOUND_OUTCOMES,
  ...OUTBOUND_FAULTS,
];

const coverage = new Coverage();
const agreement = new Agreement();
let evm: RuleEvm;

beforeAll(async () => {
  evm = await RuleEvm.start();
});
afterAll(async () => {
  await evm.stop();
  console.log(`${agreement.table()}\nseed ${SEED}`);
});

const judgeOf = (seed: number): Judge => new Judge(agreement, `seed ${seed}`, evm, new Random(seed ^ 0x5eed));

const hitsOf = (code: number): number => coverage.codes.get(code) ?? coverage.outcomes.get(code) ?? 0;

/** Codes that were hit least come first. */
function fault(random: Random): Recipe {
  const lacking = FAULTS.filter(([code]) => hitsOf(code) < HITS);
  return random.pick(lacking.length > 0 && random.chance(0.7) ? lacking : FAULTS)[1];
}

function weighted(random: Random): Recipe {
  const total = VALID.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const [weight, recipe] of VALID) {
    left -= weight;
    if (left < 0) return recipe;
  }
  throw new RangeError("weights");
}

/** A few bytes changed, cut off or added: anything may come of it. */
function mutated(payload: Uint8Array, random: Random): Uint8Array {
  const bytes = payload.slice();
  for (let count = random.integer(1, 2); count > 0; count--) {
    // The kind stays, or another rule would judge; the head is rarely hit otherwise.
    const at = random.chance(0.1)
      ? random.pick([0, 2, 3, 8, 9])
      : random.integer(Math.min(10, bytes.length - 1), bytes.length - 1);
    bytes[at] = random.chance(0.5) ? (bytes[at] as number) ^ (1 << random.integer(0, 7)) : random.integer(0, 255);
  }
  if (random.chance(0.1)) return bytes.slice(0, random.integer(2, bytes.length));
  return random.chance(0.05) ? Uint8Array.of(...bytes, random.integer(0, 255)) : bytes;
}

function step(stream: JudgedStream): void {
  const { random } = stream;
  const isFault = random.chance(0.4);
  if (!isFault) stream.venue.advance(random.integer(0, 1_500));
  const cycle = (isFault ? fault(random) : weighted(random))(stream);
  if (cycle === null) return;
  const payload = cycle instanceof Uint8Array ? cycle : encodeCycle(cycle);
  if (payload.length > 12 && random.chance(0.15)) stream.apply(mutated(payload, random));
  stream.apply(payload);
}

test("contracts and ledger agree on random cycles", { timeout: isLong ? 7_200_000 : 120_000 }, async () => {
  for (let number = 0; agreement.cycles < CYCLES; number++) {
    const seed = SEED + number;
    const judge = judgeOf(seed);
    const stream = new JudgedStream(new Random(seed), coverage, judge);
    stream.setUp();
    for (let count = 0; count < CYCLES_PER_STREAM; count++) {
      step(stream);
      if (judge.isFull) await judge.compareBehind();
    }
    await judge.compare();
    // A long run says how far it is: 25 streams are about 10,000 cycles.
    if (isLong && number % 25 === 24) console.log(`${agreement.table()}\nafter seed ${seed}`);
  }
});

test("contracts and ledger agree on accounts with 128 positions", { timeout: 120_000 }, async () => {
  const judge = judgeOf(SEED);
  const stream = new JudgedWideStream(new Random(SEED), coverage, judge);
  stream.fill();
  for (let attempt = 0; attempt < (isLong ? 100 : 4); attempt++) stream.oneMore();
  stream.apply(stream.venue.withdrawal({ account: 2, amount: 1 }));
  const recipient = ownerKey(3).address;
  stream.apply(stream.venue.inbound({ type: "forcedWithdrawal", account: account(3), amount: micro(5), recipient }));
  await judge.compare();
});

test("valid and refused cycles of every kind were among them", () => {
  expect(agreement.accepted / agreement.cycles).toBeGreaterThan(0.4);
  expect(agreement.hostileReverts).toBeGreaterThan(0);
  for (const rule of Object.values(RULES)) {
    expect(agreement.counts.get(`${rule} 0`) ?? 0, rule).toBeGreaterThan(0);
  }
});
