// npm run test:long -- <name> [--seed <seed>] [--json] [--fresh]: the long version of a test that `npm test` only samples.
// Runs that are evidence work in several processes whose finished units are kept in .tidemark/long: the same seed over the same
// sources goes on where it was stopped. When all of it passed, the run's table in docs/evidence.md is written.
// Of other runs, printed lines {"attempts": n, "failures": n, …} are counted; without them the tests themselves.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { progressLine, readUnits, sumUnits } from "./evidence/units.mjs";
import { build, installWhenNeeded, requireNodeVersion, rootDirectory } from "./install.mjs";

const runs = JSON.parse(readFileSync(join(rootDirectory, "tools/long-runs.json"), "utf8"));
const { name, seed, json, fresh } = parse(process.argv.slice(2));
const run = runs[name];
const missing = run.files.filter((file) => !existsSync(join(rootDirectory, file)));
if (missing.length > 0) {
  console.error(`missing: ${missing.join(", ")}`);
  process.exit(1);
}

requireNodeVersion();
installWhenNeeded();
if (!build()) process.exit(1);
console.log(`${name}: ${run.what}; seed ${seed}`);
const result = run.evidence === true ? await evidence() : await plain();
console.log(`${name}: ${result.attempts} attempts, ${result.failures} failures, seed ${seed}`);
if (json) console.log(JSON.stringify({ name, seed, ...result }));
process.exit(result.failures === 0 ? 0 : 1);

// ── evidence: several processes, units on disk ──────────────────────────────────────────────────────────────────────

async function evidence() {
  const { commitOf, sourcesDigest, writeEvidence } = await import("./evidence.mjs");
  const digest = sourcesDigest(createHash("sha256"));
  const commit = commitOf();
  const folder = join(rootDirectory, ".tidemark/long", `${name}-${seed}-${digest.slice(0, 16)}`);
  if (fresh) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const shards = Math.max(1, Math.min(run.shards ?? 1, cpus().length));
  const files = Array.from({ length: shards }, (_, shard) => join(folder, `${shard}-of-${shards}.jsonl`));
  const before = sumUnits(files.flatMap((file) => readUnits(file).units));
  if (before.units > 0) console.log(`going on after ${before.units} finished units`);
  const started = performance.now();
  const show = progress(files, before.attempts);
  const statuses = await Promise.all(files.map((file, shard) => oneShard(folder, file, shard, shards)));
  show.end();
  const units = files.flatMap((file) => readUnits(file).units);
  const sum = sumUnits(units);
  const failed = statuses.filter((status) => status !== 0).length;
  const failures = sum.failures + failed + (sum.attempts === 0 ? 1 : 0);
  const seconds = Math.round(before.seconds / shards + (performance.now() - started) / 1000);
  const entry = {
    name,
    seed,
    commit,
    seconds,
    shards,
    attempts: sum.attempts,
    failures,
    counts: sum.counts,
    rows: sum.rows,
  };
  // What a stopped or a failed run found is no evidence.
  const isSame = sourcesDigest(createHash("sha256")) === digest;
  const changed = isSame ? [] : ["the sources were changed while they ran"];
  const problems = failures === 0 && isSame ? await writeEvidence(entry) : changed;
  for (const problem of problems) console.error(`not written to docs/evidence: ${problem}`);
  return {
    attempts: sum.attempts,
    failures: failures + problems.length,
    seconds,
    counts: sum.counts,
    rows: sum.rows.length,
  };
}

async function oneShard(folder, file, shard, shards) {
  const log = createWriteStream(join(folder, `${shard}-of-${shards}.log`));
  let tail = "";
  const environment = {
    TIDEMARK_EVIDENCE_FILE: file,
    TIDEMARK_SHARD: String(shard),
    TIDEMARK_SHARDS: String(shards),
  };
  const { status } = await vitest(["--reporter=verbose", "--disable-console-intercept"], environment, (text) => {
    log.write(text);
    tail = `${tail}${text}`.slice(-8_000);
  });
  log.end();
  if (status !== 0) console.log(`── process ${shard + 1} of ${shards} failed:\n${tail}`);
  return status;
}

/** A bar on a terminal; elsewhere a line a minute. */
function progress(files, before) {
  const started = performance.now();
  const isTerminal = process.stderr.isTTY === true;
  let last = 0;
  const print = () => {
    const parts = files.map((file) => readUnits(file));
    const total = parts.reduce((sum, part) => sum + part.total, 0);
    const { attempts, failures } = sumUnits(parts.flatMap(({ units }) => units));
    const seconds = (performance.now() - started) / 1000;
    const line = progressLine({ attempts, failures, total, seconds, rate: (attempts - before) / seconds });
    if (isTerminal) process.stderr.write(`\r${line.padEnd(100)}`);
    else if (seconds - last >= 60) {
      last = seconds;
      console.error(line);
    }
  };
  const timer = setInterval(print, 2_000);
  return {
    end: () => {
      clearInterval(timer);
      print();
      if (isTerminal) process.stderr.write("\n");
    },
  };
}

// ── other runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function plain() {
  const temporary = mkdtempSync(join(tmpdir(), "tidemark-long-"));
  const report = join(temporary, "vitest.json");
  const reported = { attempts: 0, failures: 0 };
  let rest = "";
  const parameters = ["--reporter=verbose", "--reporter=json", `--outputFile.json=${report}`];
  const { status } = await vitest(parameters, {}, (text) => {
    process.stdout.write(text);
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) count(line, reported);
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
  return { attempts, failures };
}

function count(line, reported) {
  if (!line.startsWith("{") || !line.includes('"attempts"')) return;
  try {
    const part = JSON.parse(line);
    reported.attempts += Number(part.attempts) || 0;
    reported.failures += Number(part.failures) || 0;
  } catch {
    // A line that only looks like a report.
  }
}

// ── processes and parameters ────────────────────────────────────────────────────────────────────────────────────────

function vitest(parameters, environment, onText) {
  const list = ["node_modules/vitest/vitest.mjs", "run", ...parameters, "--testTimeout=36000000", ...run.files];
  const child = spawn(process.execPath, ["--max-old-space-size=6144", ...list], {
    cwd: rootDirectory,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TIDEMARK_LONG: "1", TIDEMARK_SEED: seed, ...environment },
  });
  child.stdout.setEncoding("utf8").on("data", onText);
  return new Promise((resolve) => {
    child.on("error", () => resolve({ status: 1 }));
    child.on("close", (code) => resolve({ status: code ?? 1 }));
  });
}

function parse(given) {
  const usage = (status) => {
    const list = Object.entries(runs).map(([key, { what }]) => `  ${key.padEnd(18)} ${what}`);
    console.error(`usage: npm run test:long -- <name> [--seed <seed>] [--json] [--fresh]\n${list.join("\n")}`);
    process.exit(status);
  };
  const result = { name: undefined, seed: process.env["TIDEMARK_SEED"], json: false, fresh: false };
  for (let i = 0; i < given.length; i++) {
    if (given[i] === "--json") result.json = true;
    else if (given[i] === "--fresh") result.fresh = true;
    else if (given[i] === "--seed" && /^\d+$/.test(given[i + 1] ?? "")) result.seed = given[++i];
    else if (result.name === undefined && Object.hasOwn(runs, given[i])) result.name = given[i];
    else usage(2);
  }
  if (result.name === undefined) usage(2);
  // 32 bits: what the generators of the tests take.
  result.seed ??= String(Date.now() % 2 ** 32);
  return result;
}
