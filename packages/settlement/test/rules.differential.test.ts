// The rule contracts against the ledger: random cycles of all kinds, applied in TypeScript and executed by the compiled contracts
// in a real EVM, must have the same verdict, code and root. TIDEMARK_CYCLES=<n> runs that many, TIDEMARK_SEED=<n> begins with
// that seed. The long run is test/evidence/differential.test.ts.
import { encodeCycle, rejectionName } from "@tidemark/ledger";
import { afterAll, beforeAll, expect, test } from "vitest";
import { account, micro, ownerKey } from "../../ledger/test/factory.ts";
import { Random, seedOf } from "../../ledger/test/random.ts";
import { nextCycle, WANTED } from "../../ledger/test/stream/steps.ts";
import { Coverage } from "../../ledger/test/stream/stream.ts";
import { RULES, RuleEvm } from "./rules/evm.ts";
import { Agreement, Judge, JudgedStream, JudgedWideStream } from "./rules/judge.ts";

const SEED = seedOf(20_261_122);
const CYCLES = Number(process.env["TIDEMARK_CYCLES"] ?? 2_500);
const CYCLES_PER_STREAM = 420;
const MUTATED_SHARE = 0.15;
/** Fewer, and a code is asked for first. */
const HITS = 5;

const coverage = new Coverage();
const agreement = new Agreement();
let evm: RuleEvm;

beforeAll(async () => {
  evm = await RuleEvm.start();
}, RuleEvm.START_MS_MAX);
afterAll(async () => {
  await evm.stop();
  console.log(`${agreement.table()}\nseed ${SEED}`);
  const { cycles, accepted, calls, hostile, hostileReverts } = agreement;
  const counts = Object.fromEntries([...agreement.counts].sort());
  const run = { attempts: cycles, failures: 0, seed: SEED, accepted, calls, hostile, hostileReverts, counts };
  console.log(JSON.stringify(run));
});

const judgeOf = (seed: number): Judge => new Judge(agreement, `seed ${seed}`, evm, new Random(seed ^ 0x5eed));

const hitsOf = (code: number): number => coverage.codes.get(code) ?? coverage.outcomes.get(code) ?? 0;

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
  const cycle = nextCycle(stream, hitsOf, HITS);
  if (cycle === null) return;
  const payload = cycle instanceof Uint8Array ? cycle : encodeCycle(cycle);
  if (payload.length > 12 && random.chance(MUTATED_SHARE)) stream.apply(mutated(payload, random));
  stream.apply(payload);
}

test("contracts and ledger agree on random cycles", { timeout: 7_200_000 }, async () => {
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
  }
});

test("contracts and ledger agree on accounts with 128 positions", { timeout: 120_000 }, async () => {
  const judge = judgeOf(SEED);
  const stream = new JudgedWideStream(new Random(SEED), coverage, judge);
  stream.fill();
  for (let attempt = 0; attempt < 4; attempt++) stream.oneMore();
  for (let attempt = 0; attempt < 4; attempt++) stream.oneMoreByBid();
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
  const lacking = WANTED.filter((code) => hitsOf(code) === 0).map((code) => `${rejectionName(code)}: ${hitsOf(code)}`);
  expect(lacking).toEqual([]);
});
