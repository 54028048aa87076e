// Import directions and purity of packages/*, decided by tools/boundaries.json. Fails closed: an unknown package, an unparsable
// file, a stale exception or a check that misses its own violations is a failure.
//   node tools/check-boundaries.mjs              self-test, then the check
//   … --self-test                                the self-test alone
//   … --check                                    also: the table in ARCHITECTURE.md is current
//   … --write                                    writes that table
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const rootDirectory = join(dirname(fileURLToPath(import.meta.url)), "..");
const TABLE_BEGIN = "<!-- boundaries:begin (written by tools/check-boundaries.mjs --write) -->";
const TABLE_END = "<!-- boundaries:end -->";
const SCOPE = "@tidemark/";

/** Globals that a pure package may not name: time, chance, the process, I/O, scheduling, locale, code from text. */
const IMPURE_GLOBALS = new Set(
  `Date Temporal performance Intl process console navigator fetch XMLHttpRequest WebSocket EventSource BroadcastChannel
  MessageChannel Worker SharedWorker crypto Buffer setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate
  queueMicrotask requestAnimationFrame Promise globalThis window self global require __dirname __filename eval
  Function WeakRef FinalizationRegistry Atomics localStorage indexedDB structuredClone`.split(/\s+/),
);
/** Everything else of Math is approximated by the implementation, random, or not worth a second look. */
const EXACT_MATH = new Set("abs ceil clz32 floor fround imul max min round sign trunc".split(" "));
const LOCALE_METHODS = new Set(
  "localeCompare toLocaleString toLocaleDateString toLocaleTimeString toLocaleUpperCase toLocaleLowerCase".split(" "),
);

// ── parsing ────────────────────────────────────────────────────────────────────────────────────────────────────────

let Api;
let syntax;
try {
  ({ API: Api } = await import("typescript/unstable/sync"));
  syntax = (await import("typescript/unstable/ast")).SyntaxKind;
} catch (error) {
  fail([`the TypeScript parser is not available (npm ci installs it): ${error.message}`]);
}

// One parser process for all parses; every parse sees a directory of its own.
const virtual = new Map();
const directories = new Set();
let client;
let parses = 0;

/** Parses `files` (path → text) with the compiler's own parser and calls back with each syntax tree or its errors. */
function parseAll(files, visit) {
  const root = `/boundaries/${parses++}`;
  const paths = Object.keys(files).sort();
  const config = `${root}/tsconfig.json`;
  const compilerOptions = { noLib: true, noResolve: true, types: [], target: "es2022", module: "esnext" };
  addVirtual(config, JSON.stringify({ compilerOptions, files: paths.map((path) => `./${path}`) }));
  for (const path of paths) addVirtual(`${root}/${path}`, files[path]);
  client ??= new Api({
    cwd: "/boundaries",
    fs: {
      readFile: (path) => virtual.get(path) ?? null,
      fileExists: (path) => virtual.has(path),
      directoryExists: (path) => directories.has(path),
      getAccessibleEntries: () => ({ files: [], directories: [] }),
      realpath: (path) => path,
    },
  });
  const snapshot = client.updateSnapshot({ openProjects: [config] });
  const program = snapshot.getProject(config)?.program;
  for (const path of paths) {
    const name = `${root}/${path}`;
    const source = program?.getSourceFile(name);
    const errors =
      source === undefined ? [{ text: "the parser returned nothing" }] : program.getSyntacticDiagnostics(name);
    visit(
      path,
      source,
      errors.map((error) => error.text ?? "syntax error"),
    );
  }
  snapshot.dispose();
}

function addVirtual(path, text) {
  virtual.set(path, text);
  for (let up = posix.dirname(path); !directories.has(up); up = posix.dirname(up)) directories.add(up);
}

// ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One finding. `name` is what an exception must list. */
function violation(path, line, rule, name) {
  return { path, line, rule, name, text: `${path}:${line}: ${rule}: ${name}` };
}

function checkSource(path, source, policy, manifest, report) {
  const packageName = path.split("/")[1];
  const lineOf = (node) => source.text.slice(0, node.getStart?.(source) ?? node.pos).split("\n").length;
  const add = (node, rule, name) => report(violation(path, lineOf(node), rule, name));
  const imported = (node, specifier) =>
    checkSpecifier(path, packageName, specifier, policy, manifest, (rule, name) => add(node, rule, name));

  for (const reference of [
    ...source.referencedFiles,
    ...source.typeReferenceDirectives,
    ...source.libReferenceDirectives,
  ]) {
    report(violation(path, 1, "reference directive", reference.fileName));
  }
  const visit = (node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) {
      if (specifier === null) add(node, "import of a computed name", "import()");
      else imported(node, specifier);
    }
    if (node.kind === syntax.Identifier && node.text === "require" && !isMemberName(node))
      add(node, "require", "require");
    if (policy.pure) checkPure(node, add);
    node.forEachChild((child) => {
      visit(child);
    });
  };
  visit(source);
}

/** The module that `node` loads; null when it cannot be known; undefined when it loads none. */
function specifierOf(node) {
  const literal = (expression) =>
    expression?.kind === syntax.StringLiteral || expression?.kind === syntax.NoSubstitutionTemplateLiteral
      ? expression.text
      : null;
  switch (node.kind) {
    case syntax.ImportDeclaration:
      return literal(node.moduleSpecifier);
    case syntax.ExportDeclaration:
      return node.moduleSpecifier === undefined ? undefined : literal(node.moduleSpecifier);
    case syntax.ImportEqualsDeclaration:
      return null;
    case syntax.ImportType:
      return literal(node.argument?.literal ?? node.argument);
    case syntax.ModuleDeclaration:
      return node.name.kind === syntax.StringLiteral ? null : undefined;
    case syntax.CallExpression:
      return node.expression.kind === syntax.ImportKeyword ? literal(node.arguments[0]) : undefined;
    default:
      return undefined;
  }
}

function checkSpecifier(path, packageName, specifier, policy, manifest, add) {
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(path), specifier);
    if (!target.startsWith(`packages/${packageName}/src/`)) add("relative import leaves the package", specifier);
    return;
  }
  if (specifier.startsWith(SCOPE)) {
    const [target, ...deep] = specifier.slice(SCOPE.length).split("/");
    if (deep.length > 0) add("deep import", specifier);
    else if (!policy.mayImport.includes(target)) add("import direction", specifier);
    else if (manifest.dependencies?.[SCOPE + target] === undefined) add("undeclared dependency", specifier);
    return;
  }
  if (specifier.startsWith("/") || /^(file|data|https?):/.test(specifier)) {
    add("absolute import", specifier);
    return;
  }
  if (policy.pure) {
    add(specifier.startsWith("node:") ? "node module in a pure package" : "npm package in a pure package", specifier);
    return;
  }
  if (specifier.startsWith("node:")) return;
  const dependency = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  if (manifest.dependencies?.[dependency] === undefined) add("undeclared dependency", specifier);
}

function checkPure(node, add) {
  switch (node.kind) {
    case syntax.AsyncKeyword:
      return add(node, "async in a pure package", "async");
    case syntax.AwaitExpression:
    case syntax.AwaitKeyword:
      return add(node, "async in a pure package", "await");
    case syntax.MetaProperty:
      return node.keywordToken === syntax.NewKeyword ? undefined : add(node, "impure global", "import.meta");
    case syntax.ElementAccessExpression:
      return node.expression.kind === syntax.Identifier && node.expression.text === "Math"
        ? add(node, "Math by a computed name", "Math")
        : undefined;
    case syntax.Identifier:
      break;
    default:
      return undefined;
  }
  if (isMemberName(node)) {
    return LOCALE_METHODS.has(node.text) ? add(node, "locale", node.text) : undefined;
  }
  if (IMPURE_GLOBALS.has(node.text)) return add(node, "impure global", node.text);
  if (node.text !== "Math") return undefined;
  const parent = node.parent;
  const member =
    parent?.kind === syntax.PropertyAccessExpression && parent.expression === node ? parent.name.text : undefined;
  if (member === undefined) {
    return parent?.kind === syntax.ElementAccessExpression ? undefined : add(node, "Math as a value", "Math");
  }
  return EXACT_MATH.has(member) ? undefined : add(node, "approximated or random function", `Math.${member}`);
}

/** A name behind a dot or the name of a member declares or selects a property; it refers to no global. */
function isMemberName(node) {
  const parent = node.parent;
  switch (parent?.kind) {
    case syntax.PropertyAccessExpression:
      return parent.name === node;
    case syntax.QualifiedName:
      return parent.right === node;
    case syntax.PropertyAssignment:
    case syntax.PropertyDeclaration:
    case syntax.PropertySignature:
    case syntax.MethodDeclaration:
    case syntax.MethodSignature:
    case syntax.GetAccessor:
    case syntax.SetAccessor:
      return parent.name === node;
    default:
      return false;
  }
}

// ── the check ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A tree: `files` (path → text) of packages/<name>/src, `packages` the directories found, `manifests` by package. */
function check(tree, configuration) {
  const problems = [];
  const found = [];
  const policies = configuration.packages;
  for (const name of tree.packages) {
    if (policies[name] === undefined)
      problems.push(`packages/${name}: unknown package; give it a line in tools/boundaries.json`);
  }
  for (const [name, policy] of Object.entries(policies)) {
    if (!tree.packages.includes(name)) problems.push(`tools/boundaries.json: package ${name} does not exist`);
    problems.push(...policyProblems(name, policy, policies), ...manifestProblems(name, policy, tree.manifests[name]));
    if (!Object.keys(tree.files).some((path) => path.startsWith(`packages/${name}/src/`)))
      problems.push(`packages/${name}: no sources found`);
  }
  const parsable = {};
  for (const [path, text] of Object.entries(tree.files)) {
    if (path.endsWith(".ts")) parsable[path] = text;
    else problems.push(`${path}: only .ts sources can be checked`);
  }
  let parsed = 0;
  parseAll(parsable, (path, source, errors) => {
    const name = path.split("/")[1];
    for (const error of errors) problems.push(`${path}: does not parse: ${error}`);
    if (source === undefined || policies[name] === undefined) return;
    parsed++;
    checkSource(path, source, policies[name], tree.manifests[name] ?? {}, (finding) => found.push(finding));
  });
  problems.push(...withoutExceptions(found, configuration.exceptions ?? []));
  return { problems, parsed };
}

function policyProblems(name, policy, policies) {
  const problems = [];
  for (const key of ["owns", "doesNotOwn"])
    if (!policy[key]) problems.push(`tools/boundaries.json: ${name}.${key} is missing`);
  if (typeof policy.pure !== "boolean") problems.push(`tools/boundaries.json: ${name}.pure is missing`);
  for (const target of policy.mayImport ?? [undefined]) {
    if (policies[target] === undefined)
      problems.push(`tools/boundaries.json: ${name} may import ${target}, which is no package`);
    else if (policy.pure && !policies[target].pure)
      problems.push(`tools/boundaries.json: pure ${name} may not import impure ${target}`);
  }
  // Directions without cycles: the table is ordered, a package may import only what stands above it.
  const order = Object.keys(policies);
  for (const target of policy.mayImport ?? []) {
    if (order.indexOf(target) >= order.indexOf(name))
      problems.push(`tools/boundaries.json: ${name} may import ${target}, which stands below it`);
  }
  return problems;
}

function manifestProblems(name, policy, manifest) {
  if (manifest === undefined) return [`packages/${name}: no readable package.json`];
  const problems = [];
  for (const field of ["dependencies", "peerDependencies", "optionalDependencies"]) {
    for (const dependency of Object.keys(manifest[field] ?? {})) {
      const own = dependency.startsWith(SCOPE);
      if (own && !policy.mayImport.includes(dependency.slice(SCOPE.length))) {
        problems.push(`packages/${name}/package.json: import direction: ${dependency}`);
      }
      if (!own && policy.pure)
        problems.push(`packages/${name}/package.json: npm package in a pure package: ${dependency}`);
    }
  }
  return problems;
}

function withoutExceptions(found, exceptions) {
  const problems = [];
  const used = new Set();
  for (const finding of found) {
    const index = exceptions.findIndex(
      (exception) => exception.file === finding.path && exception.names?.includes(finding.name),
    );
    if (index < 0) problems.push(finding.text);
    else used.add(`${index} ${finding.name}`);
  }
  exceptions.forEach((exception, index) => {
    if (!exception.reason || !/^\d{4}-\d{2}-\d{2}$/.test(exception.date ?? "")) {
      problems.push(`tools/boundaries.json: exception for ${exception.file} needs a reason and a date`);
    }
    for (const name of exception.names ?? [undefined]) {
      if (!used.has(`${index} ${name}`))
        problems.push(`tools/boundaries.json: exception for ${name} in ${exception.file} is not needed`);
    }
  });
  return problems;
}

function readTree() {
  const directory = join(rootDirectory, "packages");
  const packages = readdirSync(directory)
    .filter((name) => statSync(join(directory, name)).isDirectory())
    .sort();
  const tree = { packages, files: {}, manifests: {} };
  const walk = (from) => {
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      const path = join(from, entry.name);
      if (entry.isDirectory()) walk(path);
      else tree.files[relative(rootDirectory, path).split(sep).join("/")] = readFileSync(path, "utf8");
    }
  };
  for (const name of packages) {
    const source = join(directory, name, "src");
    if (existsSync(source)) walk(source);
    try {
      tree.manifests[name] = JSON.parse(readFileSync(join(directory, name, "package.json"), "utf8"));
    } catch {
      // Reported as an unreadable manifest by the check.
    }
  }
  return tree;
}

// ── self-test ──────────────────────────────────────────────────────────────────────────────────────────────────────

function selfTest() {
  const configuration = {
    packages: {
      base: { pure: true, mayImport: [], owns: "a", doesNotOwn: "b" },
      core: { pure: true, mayImport: ["base"], owns: "a", doesNotOwn: "b" },
      edge: { pure: false, mayImport: ["base"], owns: "a", doesNotOwn: "b" },
    },
    exceptions: [],
  };
  const manifests = {
    base: { dependencies: {} },
    core: { dependencies: { "@tidemark/base": "1" } },
    edge: { dependencies: { "@tidemark/base": "1", lmdb: "1", "@scope/name": "1" } },
  };
  const clean = {
    "packages/base/src/index.ts": "export const one = 1;\n",
    "packages/core/src/index.ts":
      'import { one } from "@tidemark/base";\nexport * from "./inner/part.ts";\nexport const two = one + Math.floor(1);\n',
    "packages/core/src/inner/part.ts":
      'import { two } from "../index.ts";\nexport interface Clock { Date: number; process(): number }\nexport const text = "Date.now() // import x from \'node:fs\'"; // Promise, await\nexport const of = (clock: Clock): number => clock.Date + clock.process() + two;\nexport const quoted = `fetch ${of.name} \\` Math.random`;\nexport const pattern = /await "Date" \\/ process/;\n',
    "packages/edge/src/index.ts":
      'import { readFileSync } from "node:fs";\nimport { open } from "lmdb";\nimport x from "@scope/name/deep";\nexport { one } from "@tidemark/base";\nexport const now = async () => [Date.now(), readFileSync, open, x];\n',
  };
  const failures = [];
  const run = (change, name) => {
    const tree = { packages: ["base", "core", "edge"], files: { ...clean }, manifests: structuredClone(manifests) };
    const own = structuredClone(configuration);
    change(tree, own);
    const { problems } = check(tree, own);
    return { problems, name };
  };
  const passes = (name, change) => {
    const { problems } = run(change, name);
    if (problems.length > 0) failures.push(`${name}: reported ${problems.join("; ")}`);
  };
  const fails = (name, expected, change) => {
    const { problems } = run(change, name);
    if (!problems.some((problem) => problem.includes(expected)))
      failures.push(`${name}: "${expected}" not found (${problems.join("; ") || "nothing"})`);
  };
  const core = (text) => (tree) => {
    tree.files["packages/core/src/bad.ts"] = text;
  };
  const edge = (text) => (tree) => {
    tree.files["packages/edge/src/bad.ts"] = text;
  };

  passes("clean tree", () => undefined);
  for (const [text, expected] of [
    ['import { x } from "@tidemark/edge";', "import direction: @tidemark/edge"],
    ['import type { X } from "@tidemark/edge";', "import direction: @tidemark/edge"],
    ['export * from "@tidemark/edge";', "import direction: @tidemark/edge"],
    ['export type { X } from "@tidemark/edge";', "import direction: @tidemark/edge"],
    ['export type X = import("@tidemark/edge").X;', "import direction: @tidemark/edge"],
    ['export const x = import("@tidemark/edge");', "import direction: @tidemark/edge"],
    ["export const x = import(`@tidemark/edge`);", "import direction: @tidemark/edge"],
    ['export const x = (name: string) => import("@tidemark/" + name);', "import of a computed name"],
    ['import /* from "./index.ts" */ x\n from\n "@tidemark/edge";', "bad.ts:1: import direction: @tidemark/edge"],
    ['const a = "`"; const b = `${"`"} ${`${1}`}`;\nimport x from "@tidemark/edge";', "bad.ts:2: import direction"],
    ['const a = /[/"]/;\nimport x from "node:fs";', "bad.ts:2: node module"],
    ['import x = require("@tidemark/edge");', "import of a computed name"],
    ['declare module "@tidemark/base" { export const z: number; }', "import of a computed name"],
    ['export const x = require("fs");', "require"],
    ['import x from "@tidemark/base/src/index.ts";', "deep import"],
    ['import x from "../../base/src/index.ts";', "relative import leaves the package"],
    ['import x from "../test/fixture.ts";', "relative import leaves the package"],
    ['import x from "/etc/x.ts";', "absolute import"],
    ['import x from "data:text/javascript,1";', "absolute import"],
    ['import x from "node:fs";', "node module in a pure package: node:fs"],
    ['import x from "fs";', "npm package in a pure package: fs"],
    ['import x from "viem";', "npm package in a pure package: viem"],
    ['/// <reference types="node" />\nexport const x = 1;', "reference directive"],
    ["export const x = Date.now();", "impure global: Date"],
    ["export const x = new Date();", "impure global: Date"],
    ["export const x = { Date };", "impure global: Date"],
    ["export const x = performance.now();", "impure global: performance"],
    ["export const x = process.env;", "impure global: process"],
    ['console.log("x");', "impure global: console"],
    ["setTimeout(() => undefined, 1);", "impure global: setTimeout"],
    ['export const x = fetch("x");', "impure global: fetch"],
    ["export const x = globalThis.x;", "impure global: globalThis"],
    ['export const x = eval("1");', "impure global: eval"],
    ["export const x = Math.random();", "Math.random"],
    ["export const x = Math.exp(1);", "Math.exp"],
    ["export const x = Math.log(1) + Math.pow(2, 3) + Math.sin(1);", "Math.pow"],
    ["export const x = Math . /* abs */ log(1);", "Math.log"],
    ['export const x = Math["ran" + "dom"]();', "Math by a computed name"],
    ["export const { random } = Math;", "Math as a value"],
    ["export const f = Math; export const x = f.random();", "Math as a value"],
    ["export const x = async () => 1;", "async in a pure package: async"],
    ["export async function x() {}", "async in a pure package: async"],
    ["export class X { async y() {} }", "async in a pure package: async"],
    ["export const x = await 1;", "async in a pure package: await"],
    ["export async function* x() { for await (const y of []) yield y; }", "async in a pure package: await"],
    ["export interface X { y(): Promise<void> }", "impure global: Promise"],
    ["export const x = `${Date.now()}`;", "impure global: Date"],
    ["export const x = import.meta.url;", "import.meta"],
    ['export const x = "a".localeCompare("b");', "locale: localeCompare"],
    ["export const x = ;", "does not parse"],
    ["export const x = `unterminated;", "does not parse"],
    ["export const x = 1; }", "does not parse"],
  ]) {
    fails(`pure package with ${text}`, expected, core(text));
  }
  for (const [text, expected] of [
    ['import x from "@tidemark/core";', "import direction: @tidemark/core"],
    ['import x from "zod";', "undeclared dependency: zod"],
    ['import x from "@scope/other";', "undeclared dependency: @scope/other"],
    ['import x from "@tidemark/unknown";', "import direction: @tidemark/unknown"],
  ]) {
    fails(`impure package with ${text}`, expected, edge(text));
  }
  fails("unknown package", "unknown package", (tree) => {
    tree.packages.push("extra");
  });
  fails("missing package", "does not exist", (tree) => {
    tree.packages = ["base", "core"];
  });
  fails("package without sources", "no sources found", (tree) => {
    delete tree.files["packages/base/src/index.ts"];
  });
  fails("source of another language", "only .ts sources", (tree) => {
    tree.files["packages/core/src/x.js"] = "1";
  });
  fails("manifest direction", "import direction: @tidemark/edge", (tree) => {
    tree.manifests.core.dependencies["@tidemark/edge"] = "1";
  });
  fails("manifest dependency", "npm package in a pure package", (tree) => {
    tree.manifests.core.dependencies.viem = "1";
  });
  fails("missing manifest", "no readable package.json", (tree) => {
    delete tree.manifests.core;
  });
  fails("dependency not in the manifest", "undeclared dependency: @tidemark/base", (tree) => {
    tree.manifests.core.dependencies = {};
  });
  fails("a table with a cycle", "stands below it", (_, own) => {
    own.packages.base.mayImport = ["core"];
  });
  fails("a pure package on an impure one", "may not import impure", (_, own) => {
    own.packages = {
      edge: own.packages.edge,
      base: own.packages.base,
      core: { ...own.packages.core, mayImport: ["edge"] },
    };
  });
  const exception = { file: "packages/core/src/bad.ts", names: ["Promise"], reason: "a port", date: "2026-01-01" };
  const withPromise = core("export interface X { y(): Promise<void> }");
  passes("a listed exception", (tree, own) => {
    withPromise(tree);
    own.exceptions = [exception];
  });
  fails("an exception for another name", "impure global: Date", (tree, own) => {
    core("export type X = Promise<Date>;")(tree);
    own.exceptions = [exception];
  });
  fails("an exception that is not needed", "is not needed", (_, own) => {
    own.exceptions = [exception];
  });
  fails("an exception without date", "needs a reason and a date", (tree, own) => {
    withPromise(tree);
    own.exceptions = [{ ...exception, date: "soon" }];
  });
  return failures;
}

// ── the table in ARCHITECTURE.md ───────────────────────────────────────────────────────────────────────────────────

function tableOf(configuration) {
  const lines = ["| package | owns | does not own | may import |", "| --- | --- | --- | --- |"];
  for (const [name, policy] of Object.entries(configuration.packages)) {
    const imports =
      policy.mayImport.length === 0 ? "nothing" : policy.mayImport.map((target) => `\`${target}\``).join(", ");
    lines.push(`| \`${name}\`${policy.pure ? " (pure)" : ""} | ${policy.owns} | ${policy.doesNotOwn} | ${imports} |`);
  }
  return lines.join("\n");
}

function withTable(document, configuration) {
  const begin = document.indexOf(TABLE_BEGIN);
  const end = document.indexOf(TABLE_END);
  if (begin < 0 || end < begin) fail([`ARCHITECTURE.md lacks the lines\n  ${TABLE_BEGIN}\n  ${TABLE_END}`]);
  return `${document.slice(0, begin + TABLE_BEGIN.length)}\n\n${tableOf(configuration)}\n\n${document.slice(end)}`;
}

function fail(problems) {
  for (const problem of problems) console.error(problem);
  console.error(`boundaries: ${problems.length} problem${problems.length === 1 ? "" : "s"}`);
  process.exit(1);
}

const mode = process.argv[2] ?? "";
if (!["", "--self-test", "--check", "--write"].includes(mode) || process.argv.length > 3) {
  console.error("usage: check-boundaries.mjs [--self-test | --check | --write]");
  process.exit(2);
}
const missed = selfTest();
if (missed.length > 0) fail(missed.map((line) => `self-test: ${line}`));
if (mode === "--self-test") {
  console.log("boundaries: the self-test found every planted violation");
  process.exit(0);
}
const configuration = JSON.parse(readFileSync(join(rootDirectory, "tools/boundaries.json"), "utf8"));
const tree = readTree();
const { problems, parsed } = check(tree, configuration);
const expected = Object.keys(tree.files).length;
if (parsed !== expected && problems.length === 0) problems.push(`only ${parsed} of ${expected} files were checked`);
const architecture = join(rootDirectory, "ARCHITECTURE.md");
if (mode === "--write" || mode === "--check") {
  if (!existsSync(architecture)) fail([...problems, "ARCHITECTURE.md does not exist"]);
  const document = readFileSync(architecture, "utf8");
  const current = withTable(document, configuration);
  if (mode === "--write" && current !== document) writeFileSync(architecture, current);
  if (mode === "--check" && current !== document)
    problems.push("ARCHITECTURE.md: the table is not current; run node tools/check-boundaries.mjs --write");
}
if (problems.length > 0) fail(problems);
console.log(`boundaries: ${parsed} files in ${tree.packages.length} packages`);
