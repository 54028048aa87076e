// The evidence that docs/evidence.md shows: `npm run test:long -- <name>` writes docs/evidence/<name>.json and, from all of
// them, the page. `node tools/evidence.mjs` writes the page again, `--check` compares it and asks of every run whether what it
// counted covers today's rejection codes, kinds and rules (packages built by tsc -b).
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as differential from "./evidence/differential.mjs";
import * as falseConvictions from "./evidence/false-convictions.mjs";
import * as frauds from "./evidence/frauds.mjs";
import * as invariants from "./evidence/invariants.mjs";
import * as reorgs from "./evidence/reorgs.mjs";
import { durationOf } from "./evidence/units.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = "docs/evidence.md";
const FOLDER = "docs/evidence";
/** In order of the page. */
const SECTIONS = { frauds, "false-convictions": falseConvictions, differential, invariants, reorgs };
/** What a run's outcome depends on. */
const SOURCES = ["contracts/src", "contracts/test", "packages", "test", "tools/evidence"];
const SOURCE = /\.(sol|ts|mjs)$/;

/** Names to numbers, as the built packages have them. */
async function facts() {
  const ledger = await import(pathToFileURL(join(ROOT, "packages/ledger/dist/index.js")).href);
  const { RejectionCode, InboundOutcomeCode, CycleKind, rejectionName } = ledger;
  return { RejectionCode, InboundOutcomeCode, CycleKind, rejectionName };
}

/** @param {import("node:crypto").Hash} hash */
export function sourcesDigest(hash) {
  const walk = (folder) => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && !["node_modules", "dist"].includes(entry.name)) walk(path);
      else if (entry.isFile() && SOURCE.test(path)) hash.update(path).update(readFileSync(join(ROOT, path)));
    }
  };
  for (const folder of SOURCES) walk(folder);
  return hash.digest("hex");
}

/** Read before a run: what it runs is what was loaded then. */
export function commitOf() {
  const git = (...parameters) => execFileSync("git", parameters, { cwd: ROOT, encoding: "utf8" }).trim();
  try {
    const commit = git("rev-parse", "--short=12", "HEAD");
    const changed = git("status", "--porcelain", "--untracked-files=no", "--", ...SOURCES);
    return changed === "" ? commit : `${commit} with changes`;
  } catch {
    return "unknown";
  }
}

function machineOf() {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? "unknown"}, Node ${process.version.slice(1)}`;
}

/** Keeps a full run that covers what it must. @returns what it lacks, in which case nothing is written */
export async function writeEvidence(entry) {
  const problems = SECTIONS[entry.name].problems(entry, await facts());
  if (problems.length > 0) return problems;
  mkdirSync(join(ROOT, FOLDER), { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const kept = { ...entry, date, machine: machineOf() };
  writeFileSync(join(ROOT, FOLDER, `${entry.name}.json`), `${JSON.stringify(kept, null, 1)}\n`);
  writeFileSync(join(ROOT, PAGE), await page());
  return [];
}

const entryOf = (name) => {
  const file = join(ROOT, FOLDER, `${name}.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
};

function headOf(entry) {
  const number = (value) => value.toLocaleString("en-US");
  const processes = entry.shards > 1 ? ` in ${entry.shards} processes` : "";
  return [
    `\`npm run test:long -- ${entry.name} --seed ${entry.seed}\`: ${number(entry.attempts)} attempts,`,
    `**${number(entry.failures)} failures**, ${durationOf(entry.seconds)}${processes}.`,
    `${entry.date}, commit ${entry.commit}, ${entry.machine}.`,
  ].join(" ");
}

async function page() {
  const known = await facts();
  const lines = [
    "# Evidence",
    "",
    "The last full run of each long test, written by the command itself; not edited by hand. `npm test` runs a sample of each,",
    "`npm run check` compares this page with the runs and the runs with today's rejection codes, kinds and rules.",
  ];
  for (const [name, section] of Object.entries(SECTIONS)) {
    const entry = entryOf(name);
    lines.push("", `## ${section.title}`, "", section.claim, "");
    if (entry === null) lines.push("No full run yet.");
    else lines.push(headOf(entry), "", ...section.render(entry, known));
  }
  return `${lines.join("\n")}\n`;
}

async function check() {
  const known = await facts();
  const problems = [];
  for (const [name, section] of Object.entries(SECTIONS)) {
    const entry = entryOf(name);
    if (entry === null) problems.push(`${name}: no full run; npm run test:long -- ${name}`);
    else problems.push(...section.problems(entry, known).map((problem) => `${name}: ${problem}`));
  }
  const file = join(ROOT, PAGE);
  if (!existsSync(file) || readFileSync(file, "utf8") !== (await page())) {
    problems.push(`${PAGE} is not what the runs say: node tools/evidence.mjs`);
  }
  return problems;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--check")) {
    const problems = await check();
    for (const problem of problems) console.error(problem);
    process.exitCode = problems.length === 0 ? 0 : 1;
  } else {
    writeFileSync(join(ROOT, PAGE), await page());
  }
}
