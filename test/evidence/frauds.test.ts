// Every rule of every kind broken once, and every rule of headers, times, queue, blobs and posting: the batch is refused when it is
// posted, or the real watcher finds it and has it convicted by the real contracts in one transaction, whose gas and bytes are the
// table's. The list is made from the code itself (fraud-plan.ts). States that a market rarely reaches are made by moving cash by hand, on
// the L1 by a batch that nobody challenges and in the watcher alike. TIDEMARK_LONG=1 is a part of `npm run test:long -- frauds`.
import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { Random } from "../../packages/ledger/test/random.ts";
import { bits } from "./fraud-bit-units.ts";
import { plantInBlobs, plantInFrame, plantInQueue } from "./fraud-frame.ts";
import { plantLong } from "./fraud-long.ts";
import { type FraudRow, fraudPlan, keyOf, MISCOUNTED, NOT_BREAKABLE, POSTING_ERRORS } from "./fraud-plan.ts";
import { Planter } from "./fraud-planter.ts";
import { POSTING_FRAUDS } from "./fraud-posting.ts";
import { ELSEWHERE, RULE_RECIPES } from "./fraud-recipes.ts";
import { Search, searchStream, searchWide } from "./fraud-search.ts";
import { L1Stream, L1WideStream } from "./history.ts";
import { EvidenceL1 } from "./l1.ts";
import { EvidenceRun, type UnitRecord } from "./run.ts";

const run = new EvidenceRun(20_261_125);
const STREAMS_MAX = run.isLong ? 150 : 1;
const STEPS_PER_STREAM = run.isLong ? 160 : 25;
const BIT_STREAMS = run.isLong ? 2 : 1;
/** For the progress bar. */
const BITS_ABOUT = run.isLong ? 28_000 : 450;
/** Of rules of cycles; the sample is there to see that planting works. */
const ROWS_MAX = run.isLong ? Infinity : 10;
const TABLE = new URL("../../docs/evidence/frauds.json", import.meta.url);
const PLAN = fraudPlan();
const ROWS = new Map(PLAN.filter((_, i) => i % run.shards === run.shard).map((row) => [row.key, row]));

afterAll(() => console.log(run.table()));

const proven = (): Set<string> => new Set(run.rows().map(({ key }) => String(key)));

/** What is on the list and why nobody can do it: the table says so. */
function notBreakable(unit: UnitRecord): void {
  for (const { key, area, kind, code, what } of PLAN) {
    const reason = NOT_BREAKABLE.get(key);
    if (reason === undefined) continue;
    unit.rows.push({
      key,
      area,
      kind,
      code,
      what,
      root: "",
      outcome: `impossible: ${reason}`,
      face: "",
      gas: 0,
      bytes: 0,
    });
  }
}

async function oneStream(seed: number, unit: UnitRecord, isFirst: boolean): Promise<void> {
  const l1 = await EvidenceL1.start();
  const done = proven();
  const lacking = new Map([...ROWS].filter(([key]) => !done.has(key) && !NOT_BREAKABLE.has(key)));
  const stream = new L1Stream(new Random(seed), l1.deployment.parameters);
  const planter = await Planter.start(l1, stream.kept);
  try {
    const search = new Search(planter, unit, lacking, ROWS_MAX);
    await searchStream(stream, search, STEPS_PER_STREAM);
    if (!isFirst) return;
    await plantInFrame(stream, search);
    // In the sample: packages/chain/test/blobs.test.ts.
    if (run.isLong) await plantInBlobs(stream, search);
    if (run.isLong) await plantLong(search);
    await plantInQueue(stream, search);
  } finally {
    await planter.close();
    await l1.stop();
  }
}

async function oneWide(seed: number, unit: UnitRecord): Promise<void> {
  const l1 = await EvidenceL1.start();
  const done = proven();
  const lacking = new Map(
    [...ROWS].filter(([key]) => (ELSEWHERE.has(key) || key === keyOf("payload", MISCOUNTED)) && !done.has(key)),
  );
  const stream = new L1WideStream(new Random(seed), l1.deployment.parameters);
  const planter = await Planter.start(l1, stream.kept);
  try {
    await searchWide(stream, new Search(planter, unit, lacking, ROWS_MAX));
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

test("the table of the last full run has a row for all of the list, and none besides", () => {
  if (run.isLong) return;
  const { rows } = JSON.parse(readFileSync(TABLE, "utf8")) as { rows: { key: string; outcome: string }[] };
  const impossible = rows.filter(({ outcome }) => outcome.startsWith("impossible: ")).map(({ key }) => key);
  expect(rows.map(({ key }) => key).sort()).toEqual(PLAN.map(({ key }) => key).sort());
  expect(impossible.sort()).toEqual([...NOT_BREAKABLE.keys()].sort());
});

test("every planted fraud is refused or convicted", { timeout: run.isLong ? 36_000_000 : 120_000 }, async () => {
  const missing = (): string[] => {
    const done = proven();
    return [...ROWS.keys()].filter((key) => !done.has(key) && !NOT_BREAKABLE.has(key));
  };
  run.announce(missing().length + BITS_ABOUT);
  for (let number = run.shard; number < BIT_STREAMS; number += run.shards) {
    await run.unit(`bits ${number}`, (unit) => bits((run.seed ^ 0xb17) + number, unit, run.isLong ? "long" : "sample"));
  }
  // How many bits there were is known only now.
  run.announce(run.attempts + missing().length);
  if (run.shard === 0) await run.unit("not breakable", notBreakable);
  if (run.isLong) await run.unit("wide", (unit) => oneWide(run.seed, unit));
  for (let number = 0; number < STREAMS_MAX && missing().length > 0; number++) {
    const seed = (run.seed + number * run.shards + run.shard) >>> 0;
    await run.unit(`stream ${seed}`, (unit) => oneStream(seed, unit, number === 0));
  }
  if (run.isLong) expect(missing()).toEqual([]);
  expect(run.rows().filter(({ outcome }) => outcome === "convicted").length).toBeGreaterThanOrEqual(10);
});
