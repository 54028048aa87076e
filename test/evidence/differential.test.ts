// The rule contracts against the ledger: random cycles of all kinds, applied in TypeScript and executed by the compiled contracts
// in a real EVM, must have the same verdict, code and root. TIDEMARK_LONG=1 is a part of `npm run test:long -- differential`:
// 100,000 cycles over its processes, and on until every code was hit 100 times. TIDEMARK_SEED=<n> makes the same streams again.
import { CycleKind } from "@tidemark/ledger";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../packages/ledger/test/random.ts";
import { RULES, RuleEvm } from "../../packages/settlement/test/rules/evm.ts";
import { Agreement, Judge } from "../../packages/settlement/test/rules/judge.ts";
import {
  CountedStream,
  CountedWideStream,
  describeWanted,
  ExtremeStream,
  runStream,
  runWideStream,
} from "./differential-stream.ts";
import { FAULTS } from "./recipes.ts";
import { EvidenceRun, type UnitRecord } from "./run.ts";

const run = new EvidenceRun(20_261_122);
const CYCLES = run.isLong ? 100_000 : 1_800;
/** Of each code: 100 over all processes, with room for shares that differ. */
const HITS = run.isLong ? Math.ceil(110 / run.shards) : 3;
const STREAMS_MAX = run.isLong ? 1_000 : 6;
const WIDE_EVERY = 8;
const EXTREME_EVERY = run.isLong ? 5 : 3;
/** Codes that some recipe aims at; full accounts have a stream of their own. */
const CODES: readonly number[] = [...new Set(FAULTS.map(([code]) => code))];
const KINDS: ReadonlyMap<number, string> = new Map(
  Object.entries(CycleKind)
    .filter(([, number]) => RULES[number] !== undefined)
    .map(([name, number]) => [number, name]),
);

let evm: RuleEvm;

beforeAll(async () => {
  evm = await RuleEvm.start();
}, RuleEvm.START_MS_MAX);
afterAll(async () => {
  await evm.stop();
  console.log(run.table());
});

const hitsOf = (counts: Readonly<Record<string, number>>, code: number): number =>
  Object.entries(counts).reduce((sum, [key, count]) => (key.endsWith(` ${code}`) ? sum + count : sum), 0);

function lacking(): Set<number> {
  const counts = run.counts();
  return new Set(CODES.filter((code) => hitsOf(counts, code) < HITS));
}

async function oneUnit(number: number, seed: number, record: UnitRecord): Promise<void> {
  const wanted = lacking();
  const agreement = new Agreement();
  const judge = new Judge(agreement, `seed ${seed}`, evm, new Random(seed ^ 0x5eed));
  const random = new Random(seed);
  const isWide = number % WIDE_EVERY === WIDE_EVERY - 1 || (!run.isLong && number === 1);
  try {
    if (isWide) {
      record.counts = await runWideStream(new CountedWideStream(random, judge, KINDS));
    } else {
      const isExtreme = number % EXTREME_EVERY === EXTREME_EVERY - 1;
      const stream = isExtreme ? new ExtremeStream(random, judge, KINDS) : new CountedStream(random, judge, KINDS);
      record.counts = await runStream(stream, wanted);
    }
  } catch (error) {
    throw new Error(`unit ${number} of seed ${seed}, wanted ${describeWanted(wanted)}`, { cause: error });
  }
  record.attempts = agreement.cycles;
  record.counts["calls: hostile witness"] = agreement.hostile;
  record.counts["calls: state's witness"] = agreement.calls - agreement.hostile;
}

test("contracts and ledger agree", { timeout: run.isLong ? 36_000_000 : 120_000 }, async () => {
  const share = CYCLES / run.shards;
  run.announce(share);
  for (let number = 0; number < STREAMS_MAX; number++) {
    // A code that is lacking after all cycles is worth more of them.
    if (run.attempts >= share && (!run.isLong || lacking().size === 0)) break;
    const seed = (run.seed + number * run.shards + run.shard) >>> 0;
    await run.unit(`stream ${seed}`, (record) => oneUnit(number, seed, record));
  }
  expect(run.attempts).toBeGreaterThanOrEqual(share);
});

test("valid and refused cycles of every kind were among them", () => {
  const counts = run.counts();
  const verdicts = [...KINDS.values()].flatMap((kind) =>
    Object.entries(counts).filter(([key]) => key.startsWith(`${kind} `)),
  );
  const all = verdicts.reduce((sum, [, count]) => sum + count, 0);
  const accepted = verdicts.reduce((sum, [key, count]) => (key.endsWith(" 0") ? sum + count : sum), 0);
  expect(accepted / all).toBeGreaterThan(0.4);
  expect(counts["calls: hostile witness"]).toBeGreaterThan(0);
  for (const kind of KINDS.values()) expect(counts[`${kind} 0`] ?? 0, kind).toBeGreaterThan(0);
  if (run.isLong) expect([...lacking()]).toEqual([]);
});
