// Forge's invariants: handlers play owners, proposers, challengers, thieves and time in any order, and after every call what must
// always hold is asked. `npm test` runs them once (forge); TIDEMARK_LONG=1 is `npm run test:long -- invariants`: longer sequences from
// seeds of its own. What each statement of the issue is checked by is listed here and looked up in the sources.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { forgeTests, ROOT } from "./forge.ts";
import { EvidenceRun, type UnitRecord } from "./run.ts";

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
  const settings = { FOUNDRY_INVARIANT_RUNS: String(RUNS_PER_UNIT), FOUNDRY_INVARIANT_DEPTH: String(DEPTH) };
  for (const { name, kind } of forgeTests(
    ["--match-path", `${FOLDER}/*`, "--match-test", "invariant_"],
    seed,
    settings,
  )) {
    const counts = kind.Invariant;
    if (counts === undefined) throw new Error(`${name} is no invariant`);
    unit.attempts += counts.calls;
    for (const column of ["runs", "calls", "reverts"] as const) unit.counts[`${column}: ${name}`] = counts[column];
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
