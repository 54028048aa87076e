// npm run check: every static check, all of them even when one fails. Also used by tools/test.mjs.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rootDirectory } from "./install.mjs";

const binary = (path) => join(rootDirectory, "node_modules", path);
const LINES_SHOWN_MAX = 200;
/** Name, script, arguments. */
const PARTS = [
  ["types", binary("typescript/bin/tsc"), ["-b", ".", "bench"]],
  ["types of tests", binary("typescript/bin/tsc"), ["-p", "tools/tsconfig.tests.json"]],
  ["lint and format", binary("@biomejs/biome/bin/biome"), ["ci", "--colors=off", "--error-on-warnings", "."]],
  ["import directions", "tools/check-boundaries.mjs", ["--check"]],
  ["generated limits", "tools/generate-limits.mjs", ["--check"]],
  ["generated Solidity vectors", "tools/generate-solidity-vectors.mjs", ["--check"]],
  ["generated bindings", "tools/generate-bindings.mjs", ["--check"]],
  ["solidity format", "tools/forge.mjs", ["fmt", "--check"]],
  ["gas and code sizes", "tools/gas-report.mjs", ["--check"]],
  ["costs page", "tools/costs-report.mjs", ["--check"]],
  ["evidence", "tools/evidence.mjs", ["--check"]],
  ["long runs", "tools/check.mjs", ["--long-runs"]],
];

/** Runs all parts; the names of those that failed. */
export function runChecks() {
  const failed = [];
  for (const [name, script, parameters] of PARTS) {
    const started = performance.now();
    const run = spawnSync(process.execPath, [script, ...parameters], {
      cwd: rootDirectory,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    const passed = run.status === 0;
    console.log(`${passed ? "✓" : "✗"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    if (passed) continue;
    const lines = `${run.stdout ?? ""}${run.stderr ?? ""}${run.error?.message ?? ""}`.split("\n");
    console.log(lines.slice(0, LINES_SHOWN_MAX).join("\n"));
    if (lines.length > LINES_SHOWN_MAX) console.log(`… ${lines.length - LINES_SHOWN_MAX} more lines`);
    failed.push(name);
  }
  return { passed: PARTS.length - failed.length, failed };
}

/** A test that has a long version is one that `npm run test:long` can start, and the other way round. */
function checkLongRuns() {
  const registered = JSON.parse(readFileSync(join(rootDirectory, "tools/long-runs.json"), "utf8"));
  const listed = new Set(Object.values(registered).flatMap((run) => run.files));
  const found = new Set();
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.name === "node_modules" || entry.name === "dist") continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (path.endsWith(".test.ts") && readFileSync(path, "utf8").includes("TIDEMARK_LONG")) {
        found.add(relative(rootDirectory, path).split(sep).join("/"));
      }
    }
  };
  for (const directory of ["packages", "test"]) walk(join(rootDirectory, directory));
  const problems = [
    ...[...found]
      .filter((file) => !listed.has(file))
      .map((file) => `${file} has a long version but no line in tools/long-runs.json`),
    ...[...listed]
      .filter((file) => !found.has(file))
      .map((file) => `tools/long-runs.json: ${file} is no test with a long version`),
  ];
  for (const problem of problems) console.error(problem);
  process.exit(problems.length === 0 ? 0 : 1);
}

if (realpathSync(process.argv[1] ?? "") === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === "--long-runs") checkLongRuns();
  const { passed, failed } = runChecks();
  console.log(`${passed} passed, ${failed.length} failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}`);
  process.exit(failed.length === 0 ? 0 : 1);
}
