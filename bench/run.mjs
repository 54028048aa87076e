// npm run bench -- <name> [--json]: runs bench/<name>.ts and prints a table, each line beside a yardstick of the same run.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const benchDirectory = dirname(fileURLToPath(import.meta.url));
const rootDirectory = join(benchDirectory, "..");
// Files that are no benchmark of their own.
const SHARED = new Set(["rows", "fills", "watcherProcess"]);

const names = readdirSync(benchDirectory)
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
  .map((file) => file.slice(0, -3))
  .filter((name) => !SHARED.has(name))
  .sort();
const parameters = process.argv.slice(2);
const json = parameters.includes("--json");
const [name, ...rest] = parameters.filter((parameter) => parameter !== "--json");
if (name === undefined || rest.length > 0 || !names.includes(name)) {
  console.error(`usage: npm run bench -- <name> [--json]\nbenchmarks: ${names.join(", ")}`);
  process.exit(2);
}

try {
  execFileSync(process.execPath, [join(rootDirectory, "node_modules/typescript/bin/tsc"), "-b", "bench"], {
    cwd: rootDirectory,
    stdio: ["ignore", "inherit", "inherit"],
  });
} catch {
  console.error("the benchmarks do not compile");
  process.exit(1);
}
const compiled = join(benchDirectory, "dist", `${name}.js`);
if (!existsSync(compiled)) {
  console.error(`${compiled} was not built`);
  process.exit(1);
}

const { run } = await import(pathToFileURL(compiled).href);
const rows = await run();
if (!Array.isArray(rows) || rows.length === 0) {
  console.error(`benchmark ${name} measured nothing`);
  process.exit(1);
}
printTable(rows);
if (json) console.log(JSON.stringify({ name, commit: commitOf(), machine: machineOf(), rows }));

function printTable(rows) {
  const header = ["what", "value", "unit", "goal", "yardstick", "ratio"];
  const cells = rows.map((row) => [
    row.what,
    format(row.value),
    row.unit,
    format(row.goal),
    format(row.yardstick),
    row.ratio === null ? "–" : `${row.ratio.toFixed(2)}×`,
  ]);
  const widths = header.map((title, column) => Math.max(title.length, ...cells.map((line) => line[column].length)));
  const isText = (column) => column === 0 || column === 2;
  const print = (line) =>
    console.log(
      line
        .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join("  ")
        .trimEnd(),
    );
  print(header);
  print(widths.map((width) => "─".repeat(width)));
  for (const line of cells) print(line);
}

function format(value) {
  if (value === null) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

function commitOf() {
  try {
    const git = (...parameters) => execFileSync("git", parameters, { cwd: rootDirectory, encoding: "utf8" }).trim();
    const commit = git("rev-parse", "HEAD");
    return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}+changes`;
  } catch {
    return "unknown";
  }
}

function machineOf() {
  const [first] = cpus();
  return {
    cpu: first?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}
