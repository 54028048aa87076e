// npm run security: static analysis of the contracts by slither (from PyPI). Every finding needs an answer in
// contracts/slither-answers.json; an answer without a finding is stale. Writes the table of docs/security.md, or compares with
// `--check`. TIDEMARK_PYTHON names a Python 3 that may install packages into an environment of its own.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { forgePath, root } from "./forge.mjs";

const SLITHER = "slither-analyzer==0.11.6";
const HOME = join(root, "contracts/cache/slither");
const OUT = "contracts/cache/slither/out";
const DOCUMENT = join(root, "docs/security.md");
const BEGIN = "<!-- findings: written by tools/slither.mjs -->";
const END = "<!-- end of findings -->";
const OTHERS = "node_modules|contracts/test|contracts/dev";

function run(what, command, parameters, env = {}) {
  const result = spawnSync(command, parameters, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
  if (result.error) throw new Error(`${what}: ${result.error.message}`, { cause: result.error });
  return result;
}

function need(what, command, parameters, env) {
  const result = run(what, command, parameters, env);
  if (result.status !== 0) throw new Error(`${what} failed:\n${result.stdout}${result.stderr}`);
}

function installSlither() {
  const python = join(HOME, "python");
  const binary = join(python, "bin/slither");
  if (existsSync(binary)) return binary;
  mkdirSync(HOME, { recursive: true });
  need("making a Python environment", process.env["TIDEMARK_PYTHON"] ?? "python3", ["-m", "venv", python]);
  need("installing slither", join(python, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", SLITHER]);
  return binary;
}

/** What slither finds, one entry a place: names, not lines, so that an answer outlives edits around it. */
function findings() {
  const slither = installSlither();
  const folders = { FOUNDRY_OUT: OUT, FOUNDRY_CACHE_PATH: join(HOME, "forge") };
  rmSync(join(root, OUT, "build-info"), { recursive: true, force: true });
  need("building the contracts", forgePath(), ["build", "--force", "--build-info", "--skip", "test"], folders);
  const report = join(HOME, "report.json");
  rmSync(report, { force: true });
  // Slither asks forge for the remappings, by name.
  const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"]}`;
  const parameters = [".", "--foundry-ignore-compile", "--foundry-out-directory", OUT, "--filter-paths", OTHERS];
  const analysis = run("slither", slither, [...parameters, "--json", report], { ...folders, PATH: path });
  if (!existsSync(report)) throw new Error(`slither wrote no report:\n${analysis.stdout}${analysis.stderr}`);
  const { success, error, results } = JSON.parse(readFileSync(report, "utf8"));
  if (success !== true) throw new Error(`slither failed: ${error}`);
  const places = new Map();
  for (const { check, impact, elements } of results.detectors ?? []) {
    const place = placeOf(elements[0]);
    places.set(`${check} ${place}`, { check, impact, place });
  }
  return [...places.values()].sort((a, b) => (`${a.check} ${a.place}` < `${b.check} ${b.place}` ? -1 : 1));
}

function placeOf(element) {
  if (element === undefined) return "everywhere";
  const parents = [];
  for (let at = element; at?.name !== undefined; at = at.type_specific_fields?.parent) {
    if (at.type === "contract" || at.type === "function" || at.type === "variable") parents.unshift(at.name);
  }
  return parents.length > 0 ? parents.join(".") : element.name;
}

/** First answer that fits: one for a list of places, or for a whole check. */
function answerOf(answers, { check, place }) {
  return answers.find((answer) => answer.check === check && (answer.places?.includes(place) ?? true));
}

function tableOf(found, answers) {
  const rows = new Map();
  for (const finding of found) {
    const { answer } = answerOf(answers, finding);
    const key = `${finding.check} ${answer}`;
    const row = rows.get(key) ?? { ...finding, places: [], answer };
    row.places.push(finding.place);
    rows.set(key, row);
  }
  const lines = [`${SLITHER}: ${found.length} findings, all answered.`, "", "| check | impact | places | answer |"];
  lines.push("| --- | --- | --- | --- |");
  for (const { check, impact, places, answer } of rows.values()) {
    const shown = places.length > 12 ? `${places.length} places` : places.map((place) => `\`${place}\``).join(", ");
    lines.push(`| ${check} | ${impact} | ${shown} | ${answer} |`);
  }
  return lines.join("\n");
}

const answers = JSON.parse(readFileSync(join(root, "contracts/slither-answers.json"), "utf8"));
const found = findings();
const problems = [];
for (const finding of found) {
  if (answerOf(answers, finding) === undefined) {
    problems.push(`no answer: ${finding.check} (${finding.impact}) at ${finding.place}`);
  }
}
for (const answer of answers) {
  const places = answer.places ?? [undefined];
  for (const place of places) {
    const isFound = found.some(
      (finding) => finding.check === answer.check && (place ?? finding.place) === finding.place,
    );
    if (!isFound) problems.push(`stale answer: ${answer.check} at ${place ?? "any place"}`);
  }
}
if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n`);
  process.exit(1);
}
const document = readFileSync(DOCUMENT, "utf8");
const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
if (begin < 0 || end < begin) throw new Error(`${DOCUMENT} has no place for the findings`);
const written = `${document.slice(0, begin)}${BEGIN}\n\n${tableOf(found, answers)}\n\n${document.slice(end)}`;
if (!process.argv.includes("--check")) {
  mkdirSync(dirname(DOCUMENT), { recursive: true });
  writeFileSync(DOCUMENT, written);
} else if (written !== document) {
  process.stderr.write("docs/security.md has another table of findings: run npm run security\n");
  process.exit(1);
}
console.log(`${found.length} findings, all answered`);
