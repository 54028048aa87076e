// npm test: installs what is missing, builds, runs the static checks, the TypeScript tests and the contract tests, and ends with
// "N passed, N failed". With CI=true a skipped test is a failure: missing data or tools must not look like success.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { build, installWhenNeeded, requireNodeVersion, rootDirectory } from "./install.mjs";

requireNodeVersion();
installWhenNeeded();
// A build that fails is counted by the type check; the tests that need no build still say what they find.
build();
const { runChecks } = await import("./check.mjs");

const isCi = process.env["CI"] === "true";
const temporary = mkdtempSync(join(tmpdir(), "tidemark-test-"));
const started = performance.now();
const results = [];
try {
  console.log("── checks");
  const checks = runChecks();
  results.push({
    name: "checks",
    passed: checks.passed,
    failed: checks.failed.length,
    skipped: 0,
    what: checks.failed,
  });
  console.log("── TypeScript tests");
  results.push(await runVitest());
  console.log("── contract tests");
  results.push(await runForge());
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
let passed = 0;
let failed = 0;
for (const result of results) {
  if (isCi && result.skipped > 0) console.log(`${result.name}: ${result.skipped} skipped, which counts as failed here`);
  passed += result.passed;
  failed += result.failed + (isCi ? result.skipped : 0);
  console.log(`${result.name}: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
  // Again, where whoever reads the end of a log finds it.
  for (const what of result.what ?? []) console.log(`  failed: ${what}`);
}
console.log(`in ${((performance.now() - started) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** A run that ends badly without a failed test (it crashed, found no tests, an unhandled error) is one failure more. */
async function runVitest() {
  const report = join(temporary, "vitest.json");
  const { status } = await run([
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ]);
  let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  try {
    counts = JSON.parse(readFileSync(report, "utf8"));
  } catch (error) {
    console.error(`vitest left no report: ${error.message}`);
  }
  const result = {
    name: "vitest",
    passed: counts.numPassedTests,
    failed: counts.numFailedTests,
    skipped: counts.numPendingTests + (counts.numTodoTests ?? 0),
    what: (counts.testResults ?? []).flatMap(failuresOf),
  };
  if (result.failed === 0 && (status !== 0 || result.passed === 0)) result.failed = 1;
  return result;
}

/** Of one file of vitest's report: its own failure (a hook, an import), then those of its tests, each with the first line of why. */
function failuresOf({ name, status, message, assertionResults }) {
  const file = relative(rootDirectory, name);
  const firstLine = (text) => (text ?? "").split("\n")[0];
  const failed = assertionResults.filter((one) => one.status === "failed");
  if (failed.length === 0) return status === "failed" ? [`${file}: ${firstLine(message)}`] : [];
  return failed.map(({ fullName, failureMessages }) => `${file}: ${fullName}: ${firstLine(failureMessages?.[0])}`);
}

async function runForge() {
  const { status, output } = await run(["tools/forge.mjs", "test", "--color", "never"]);
  const total = /(\d+) tests? passed, (\d+) failed, (\d+) skipped \(\d+ total tests?\)/.exec(output);
  const [passed, failed, skipped] = total === null ? [0, 0, 0] : total.slice(1).map(Number);
  const what = [...new Set(output.split("\n").filter((line) => line.startsWith("[FAIL")))];
  const result = { name: "forge", passed, failed, skipped, what };
  if (total === null) console.error("forge reported no total");
  if (result.failed === 0 && (status !== 0 || result.passed === 0)) result.failed = 1;
  return result;
}

/** Shows what the program prints, and keeps it. */
function run(parameters) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, parameters, { cwd: rootDirectory, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on("error", (error) => resolve({ status: 1, output: `${output}${error.message}` }));
    child.on("close", (status) => resolve({ status: status ?? 1, output }));
  });
}
