// npm run test:long -- <name> [--seed <seed>] [--json]: the long version of a test that `npm test` only samples.
// A run may print lines {"attempts": n, "failures": n, …}; without them the tests themselves are counted.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, installWhenNeeded, requireNodeVersion, rootDirectory } from "./install.mjs";

const runs = JSON.parse(readFileSync(join(rootDirectory, "tools/long-runs.json"), "utf8"));
const { name, seed, json } = parse(process.argv.slice(2));
const missing = runs[name].files.filter((file) => !existsSync(join(rootDirectory, file)));
if (missing.length > 0) {
  console.error(`missing: ${missing.join(", ")}`);
  process.exit(1);
}

requireNodeVersion();
installWhenNeeded();
if (!build()) process.exit(1);
console.log(`${name}: ${runs[name].what}; seed ${seed}`);
const temporary = mkdtempSync(join(tmpdir(), "tidemark-long-"));
const report = join(temporary, "vitest.json");
const parameters = [
  "node_modules/vitest/vitest.mjs",
  "run",
  "--reporter=verbose",
  "--reporter=json",
  `--outputFile.json=${report}`,
];
const child = spawn(process.execPath, [...parameters, "--testTimeout=7200000", ...runs[name].files], {
  cwd: rootDirectory,
  stdio: ["ignore", "pipe", "inherit"],
  env: { ...process.env, TIDEMARK_LONG: "1", TIDEMARK_SEED: seed },
});
const reported = { attempts: 0, failures: 0 };
let rest = "";
child.stdout.setEncoding("utf8").on("data", (text) => {
  process.stdout.write(text);
  const lines = `${rest}${text}`.split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) count(line);
});
const status = await new Promise((resolve) => {
  child.on("error", () => resolve(1));
  child.on("close", (code) => resolve(code ?? 1));
});
let tests = { numPassedTests: 0, numFailedTests: 0 };
try {
  tests = JSON.parse(readFileSync(report, "utf8"));
} catch (error) {
  console.error(`the run left no report: ${error.message}`);
}
rmSync(temporary, { recursive: true, force: true });
const attempts = reported.attempts > 0 ? reported.attempts : tests.numPassedTests + tests.numFailedTests;
let failures = Math.max(reported.failures, tests.numFailedTests);
if (failures === 0 && (status !== 0 || attempts === 0)) failures = 1;
console.log(`${name}: ${attempts} attempts, ${failures} failures, seed ${seed}`);
if (json) console.log(JSON.stringify({ name, seed, attempts, failures }));
process.exit(failures === 0 ? 0 : 1);

function count(line) {
  if (!line.startsWith("{") || !line.includes('"attempts"')) return;
  try {
    const part = JSON.parse(line);
    reported.attempts += Number(part.attempts) || 0;
    reported.failures += Number(part.failures) || 0;
  } catch {
    // A line that only looks like a report.
  }
}

function parse(given) {
  const usage = (status) => {
    const list = Object.entries(runs).map(([key, run]) => `  ${key.padEnd(12)} ${run.what}`);
    console.error(`usage: npm run test:long -- <name> [--seed <seed>] [--json]\n${list.join("\n")}`);
    process.exit(status);
  };
  const result = { name: undefined, seed: process.env["TIDEMARK_SEED"] ?? String(Date.now()), json: false };
  for (let i = 0; i < given.length; i++) {
    if (given[i] === "--json") result.json = true;
    else if (given[i] === "--seed" && /^\d+$/.test(given[i + 1] ?? "")) result.seed = given[++i];
    else if (result.name === undefined && Object.hasOwn(runs, given[i])) result.name = given[i];
    else usage(2);
  }
  if (result.name === undefined) usage(2);
  return result;
}
