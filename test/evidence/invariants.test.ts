// forge's invariant campaigns, cut into units with seeds of their own. An attempt is one call of a handler, after which every
// invariant is compared; a failure is a campaign that broke one. TIDEMARK_LONG=1 is a part of `npm run test:long -- invariants`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { SUITES } from "../../tools/evidence/invariants.mjs";
import { addCounts, EvidenceRun, type UnitRecord } from "./run.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const run = new EvidenceRun(20_261_122);
/** 256 sequences a suite, in parts that can be stopped between; more of the whole venue, where much is rare. */
const unitsOf = (suite: string): number => (run.isLong ? (suite.startsWith("System") ? 24 : 16) : 1);
const UNITS_MAX = 24;
const RUNS_PER_UNIT = run.isLong ? 16 : 2;
const DEPTH = run.isLong ? 256 : 24;
/** forge may write there (foundry.toml). */
const COUNTS = join(ROOT, "contracts/cache/invariant-counts");

const work = Object.keys(SUITES).flatMap((suite, i) =>
  Array.from({ length: unitsOf(suite) }, (_, part) => ({ suite, part, index: i * UNITS_MAX + part })),
);
const mine = work.filter(({ index }) => index % run.shards === run.shard);

afterAll(() => console.log(run.table()));

/** Names and sums of the lines that the campaign's ends left. */
function reachedIn(file: string): Record<string, number> {
  const sum: Record<string, number> = {};
  if (!existsSync(file)) return sum;
  for (const line of readFileSync(file, "utf8").split("\n")) {
    for (const pair of line.split(" ").filter((text) => text !== "")) {
      const [name, count] = pair.split("=") as [string, string];
      addCounts(sum, { [`reached: ${name}`]: Number(count) });
    }
  }
  return sum;
}

function campaign(suite: string, seed: number, record: UnitRecord): void {
  mkdirSync(COUNTS, { recursive: true });
  const counts = join(COUNTS, `${suite}-${seed}.txt`);
  rmSync(counts, { force: true });
  const parameters = [
    "test",
    "--match-contract",
    `^${suite}$`,
    "--match-test",
    "invariant",
    "--fuzz-seed",
    String(seed),
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, ["tools/forge.mjs", ...parameters], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    env: {
      ...process.env,
      FOUNDRY_PROFILE: "ci",
      FOUNDRY_INVARIANT_RUNS: String(RUNS_PER_UNIT),
      FOUNDRY_INVARIANT_DEPTH: String(DEPTH),
      TIDEMARK_COUNTS: counts,
    },
  });
  const passed = [...stdout.matchAll(/\[PASS\] \w+\(\) \(runs: (\d+), calls: (\d+), reverts: (\d+)\)/g)];
  if (status !== 0 || passed.length === 0) {
    record.failures += 1;
    throw new Error(`${suite} with seed ${seed} failed:\n${stdout.slice(-6_000)}\n${stderr.slice(-2_000)}`);
  }
  for (const [, runs, calls] of passed) {
    record.attempts += Number(calls);
    addCounts(record.counts, { [`runs: ${suite}`]: Number(runs), [`calls: ${suite}`]: Number(calls) });
  }
  addCounts(record.counts, reachedIn(counts));
  rmSync(counts, { force: true });
}

test("no sequence of calls breaks an invariant", async () => {
  run.announce(mine.length * RUNS_PER_UNIT * DEPTH);
  for (const { suite, part } of mine) {
    await run.unit(`${suite} ${part}`, (record) => campaign(suite, run.seed + part, record));
  }
  expect(run.failures).toBe(0);
  expect(run.attempts).toBeGreaterThanOrEqual(mine.length * RUNS_PER_UNIT * DEPTH);
}, 36_000_000);

test("the campaigns of the whole venue say what they reached", () => {
  if (![...run.units.keys()].some((unit) => unit.startsWith("System"))) return;
  expect(run.counts()["reached: posts"] ?? 0).toBeGreaterThan(0);
});
