// Compiles the contracts and writes their ABIs and creation bytecode as TypeScript, so that nothing but this tool and
// forge needs a compiler: one file a group. `--check` compares with the committed files and exits 1 on a difference.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";
import { keccak256 } from "viem";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUTPUT = "packages/chain/src/generated";
const CODE_BYTES_MAX = 24_576;
const RULES = "contracts/src/rules";
/** Group → name of the binding, source, contract. */
const GROUPS = {
  contracts: [
    ["custody", "contracts/src/custody/Custody.sol", "Custody"],
    ["batchChain", "contracts/src/chain/BatchChain.sol", "BatchChain"],
    ["fixedWindowPolicy", "contracts/src/policy/FixedWindowPolicy.sol", "FixedWindowPolicy"],
    ["testUsdc", "contracts/dev/TestUsdc.sol", "TestUsdc"],
  ],
  dispute: [
    ["parameterStore", "contracts/src/lib/ParameterStore.sol", "ParameterStore"],
    ["dispute", "contracts/src/dispute/Dispute.sol", "Dispute"],
    ["affirmation", "contracts/src/dispute/Affirmation.sol", "Affirmation"],
  ],
  stake: [
    ["stakeRegistry", "contracts/src/stake/StakeRegistry.sol", "StakeRegistry"],
    ["insurancePool", "contracts/src/stake/InsurancePool.sol", "InsurancePool"],
  ],
  escape: [["escape", "contracts/src/escape/Escape.sol", "Escape"]],
  receipts: [["receiptCourt", "contracts/src/receipts/ReceiptCourt.sol", "ReceiptCourt"]],
};
/** Every concrete rule has the same ABI; what differs is the code. */
const RULE_INTERFACE = `${RULES}/ICycleRule.sol`;
const LINE_LENGTH = 120;

/** [name of the kind, source, contract] of every contract of a cycle kind. */
function ruleContracts() {
  return readdirSync(join(ROOT, RULES))
    .map((file) => /^([A-Z]\w*)Rule\.sol$/.exec(file)?.[1] ?? "")
    .filter((name) => name !== "" && name !== "Cycle" && name !== "ICycle")
    .sort()
    .map((name) => [`${name[0].toLowerCase()}${name.slice(1)}`, `${RULES}/${name}Rule.sol`, `${name}Rule`]);
}

function compile(sources) {
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(sources.map((path) => [path, { content: readFileSync(join(ROOT, path), "utf8") }])),
    // In step with foundry.toml.
    settings: {
      optimizer: { enabled: true, runs: 1_000_000 },
      evmVersion: "prague",
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const resolve = (path) => {
    const file = path.startsWith("contracts/") ? path : join("node_modules", path);
    try {
      return { contents: readFileSync(join(ROOT, file), "utf8") };
    } catch {
      return { error: `not found: ${path}` };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolve }));
  const ours = (entry) => entry.severity === "error" || entry.sourceLocation?.file.startsWith("contracts/");
  const problems = (output.errors ?? []).filter(ours);
  for (const problem of problems) process.stderr.write(problem.formattedMessage);
  if (problems.length > 0) throw new Error(`${problems.length} compiler errors or warnings`);
  return output.contracts;
}

const HEAD = "// Generated from contracts/ by tools/generate-bindings.mjs. Do not edit.";

function abiLines(name, abi) {
  return ["", `export const ${name}Abi = [`, ...abi.map((entry) => `  ${JSON.stringify(entry)},`), "] as const;"];
}

function bytecodeLines(name, contract, { evm }) {
  const codeBytes = evm.deployedBytecode.object.length / 2;
  if (codeBytes > CODE_BYTES_MAX) throw new Error(`${contract}: ${codeBytes} bytes of code`);
  const code = evm.bytecode.object.match(new RegExp(`.{1,${LINE_LENGTH - 8}}`, "g"));
  const open = `export const ${name}Bytecode: \`0x\${string}\` = \`0x\${[`;
  return ["", open, ...code.map((chunk) => `  "${chunk}",`), '].join("")}`;'];
}

function renderGroup(list, compiled) {
  const lines = [HEAD];
  for (const [name, path, contract] of list) {
    const output = compiled[path][contract];
    lines.push(...abiLines(name, output.abi), ...bytecodeLines(name, contract, output));
  }
  return `${lines.join("\n")}\n`;
}

function renderRules(rules, compiled) {
  const lines = [HEAD, ...abiLines("cycleRule", compiled[RULE_INTERFACE].ICycleRule.abi)];
  const hashes = [];
  for (const [kind, path, contract] of rules) {
    const output = compiled[path][contract];
    lines.push(...bytecodeLines(`${kind}Rule`, contract, output));
    // Rules have no immutables: what lies at their address is what the compiler wrote.
    hashes.push([kind, keccak256(`0x${output.evm.deployedBytecode.object}`)]);
  }
  lines.push(
    "",
    "/** By cycle kind: creation bytecode, and the hash of the code that it leaves. */",
    "export const ruleCode = {",
  );
  for (const [kind, hash] of hashes) {
    lines.push(`  ${kind}: { bytecode: ${kind}RuleBytecode, codeHash: "${hash}" },`);
  }
  return `${[...lines, "} as const;"].join("\n")}\n`;
}

function render() {
  const rules = ruleContracts();
  const sources = [...Object.values(GROUPS).flat(), ...rules].map(([, path]) => path);
  const compiled = compile([...sources, RULE_INTERFACE]);
  const files = Object.entries(GROUPS).map(([group, list]) => [`${group}.ts`, renderGroup(list, compiled)]);
  return [...files, ["rules.ts", renderRules(rules, compiled)]];
}

function committed(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // An absent file differs like any other.
    return "";
  }
}

const stale = [];
for (const [file, text] of render()) {
  const path = join(ROOT, OUTPUT, file);
  if (process.argv.includes("--check")) {
    if (committed(path) !== text) stale.push(`${OUTPUT}/${file}`);
    continue;
  }
  mkdirSync(join(ROOT, OUTPUT), { recursive: true });
  writeFileSync(path, text);
}
if (stale.length > 0) {
  process.stderr.write(`${stale.join(", ")}: not what contracts/ compile to, run node tools/generate-bindings.mjs\n`);
  process.exit(1);
}
