// Forge's invariants: handlers play owners, proposers, challengers, thieves and time in any order, and after every call what must
// always hold is asked. `npm test` runs them once (forge); TIDEMARK_LONG=1 is `npm run test:long -- invariants`: longer sequences from
// seeds of its own. What each statement of the issue is checked by is listed here and looked up in the sources.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { EvidenceRun, type UnitRecord } from "./run.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = "contracts/test/invariant";
const run = new EvidenceRun(20_261_126);
const UNITS = 8;
const RUNS_PER_UNIT = 64;
const DEPTH = 128;

/** Statement → checks as "Contract.function". */
const STATEMENTS: Readonly<Record<string, readonly string[]>> = {
  "vault ≥ everything claimable": [
    "SystemInvariantTest.vaultCoversEverything",
    "SettlementInvariantTest.vaultCoversEverything",
  ],
  "bonds conserved": ["SystemInvariantTest.bondsAreConserved", "SettlementInvariantTest.bondsAreConserved"],
  "stakes and pool conserved": ["SystemInvariantTest.stakeIsConserved", "SystemInvariantTest.poolIsConserved"],
  "floors only move up": ["SystemInvariantTest.floorsOnlyMoveUp", "SettlementInvariantTest.floorsOnlyMoveUp"],
  "nothing finalised twice, no batch final whose parent is not": [
    "SystemInvariantTest.finalBatchesStayAndFollowTheirParents",
    "SettlementInvariantTest.finalBatchesStayAndFollowTheirParents",
  ],
  "nothing claimed twice": ["SettlementInvariantTest.nothingIsPaidTwice"],
};

interface ForgeTest {
  status: string;
  reason: string | null;
  counterexample?: unknown;
  kind: { Invariant?: { runs: number; calls: number; reverts: number } };
}

afterAll(() => console.log(run.table()));

/** Contract → names of its functions. */
function sources(): Map<string, { functions: string[]; invariants: string[] }> {
  const found = new Map<string, { functions: string[]; invariants: string[] }>();
  for (const name of readdirSync(join(ROOT, FOLDER))) {
    const text = readFileSync(join(ROOT, FOLDER, name), "utf8");
    const contract = /^contract (\w+Test) /m.exec(text)?.[1];
    if (contract === undefined) continue;
    const functions = [...text.matchAll(/^ {4}function (\w+)/gm)].map((match) => match[1] as string);
    found.set(contract, { functions, invariants: functions.filter((one) => one.startsWith("invariant_")) });
  }
  return found;
}

test("every statement has its check", () => {
  const contracts = sources();
  expect([...contracts.values()].flatMap(({ invariants }) => invariants).length).toBeGreaterThan(0);
  for (const [statement, checks] of Object.entries(STATEMENTS)) {
    for (const check of checks) {
      const [contract = "", name = ""] = check.split(".");
      expect(contracts.get(contract)?.functions ?? [], `${statement}: ${check}`).toContain(name);
    }
  }
});

function campaign(unit: UnitRecord, seed: number): void {
  const parameters = ["test", "--match-path", `${FOLDER}/*`, "--match-test", "invariant_", "--json"];
  const result = spawnSync(
    process.execPath,
    ["tools/forge.mjs", ...parameters, "--fuzz-seed", `0x${seed.toString(16)}`],
    {
      cwd: ROOT,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      env: {
        ...process.env,
        FOUNDRY_INVARIANT_RUNS: String(RUNS_PER_UNIT),
        FOUNDRY_INVARIANT_DEPTH: String(DEPTH),
      },
    },
  );
  const line = result.stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`forge said nothing: ${result.stderr.slice(-2_000)}`);
  const suites = JSON.parse(line) as Record<string, { test_results: Record<string, ForgeTest> }>;
  for (const [suite, { test_results: tests }] of Object.entries(suites)) {
    const contract = suite.split(":")[1] ?? suite;
    for (const [name, { status, reason, kind, counterexample }] of Object.entries(tests)) {
      const counts = kind.Invariant;
      if (status !== "Success" || counts === undefined) {
        throw new Error(
          `seed ${seed}: ${contract}.${name}: ${reason} ${JSON.stringify(counterexample).slice(0, 4_000)}`,
        );
      }
      const key = `${contract}.${name.replace("()", "")}`;
      unit.attempts += counts.calls;
      unit.counts[`runs: ${key}`] = (unit.counts[`runs: ${key}`] ?? 0) + counts.runs;
      unit.counts[`calls: ${key}`] = (unit.counts[`calls: ${key}`] ?? 0) + counts.calls;
      unit.counts[`reverts: ${key}`] = (unit.counts[`reverts: ${key}`] ?? 0) + counts.reverts;
    }
  }
}

// The sample is forge's own run in `npm test`.
if (run.isLong) {
  test("no sequence of calls breaks an invariant", { timeout: 36_000_000 }, async () => {
    const invariants = [...sources().values()].flatMap((one) => one.invariants).length;
    run.announce((UNITS * RUNS_PER_UNIT * DEPTH * invariants) / run.shards);
    for (let number = run.shard; number < UNITS; number += run.shards) {
      const seed = (run.seed + number) >>> 0;
      await run.unit(`campaign ${seed}`, (unit) => {
        campaign(unit, seed);
        for (const [statement, checks] of Object.entries(STATEMENTS)) {
          if (number === 0) unit.rows.push({ statement, checks: checks.join(", ") });
        }
      });
    }
    expect(run.attempts).toBeGreaterThan(0);
  });
}
