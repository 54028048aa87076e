// Compiles the contracts and writes their ABIs and creation bytecode as TypeScript, so that nothing but this tool and
// forge needs a compiler. `--check` compares with the committed file and exits 1 on a difference.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUTPUT = "packages/chain/src/generated/contracts.ts";
const CODE_BYTES_MAX = 24_576;
const CONTRACTS = [
  ["custody", "contracts/src/custody/Custody.sol", "Custody"],
  ["escape", "contracts/src/escape/Escape.sol", "Escape"],
  ["batchChain", "contracts/src/chain/BatchChain.sol", "BatchChain"],
  ["fixedWindowPolicy", "contracts/src/policy/FixedWindowPolicy.sol", "FixedWindowPolicy"],
  ["singleProposer", "contracts/src/policy/SingleProposer.sol", "SingleProposer"],
  ["testUsdc", "contracts/dev/TestUsdc.sol", "TestUsdc"],
];
const LINE_LENGTH = 120;

function compile() {
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(
      CONTRACTS.map(([, path]) => [path, { content: readFileSync(join(ROOT, path), "utf8") }]),
    ),
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

function entryLine(entry) {
  return `  ${JSON.stringify(entry)},`;
}

function render(contracts) {
  const lines = ["// Generated from contracts/ by tools/generate-bindings.mjs. Do not edit."];
  for (const [name, path, contract] of CONTRACTS) {
    const { abi, evm } = contracts[path][contract];
    const codeBytes = evm.deployedBytecode.object.length / 2;
    if (codeBytes > CODE_BYTES_MAX) throw new Error(`${contract}: ${codeBytes} bytes of code`);
    const code = evm.bytecode.object.match(new RegExp(`.{1,${LINE_LENGTH - 8}}`, "g"));
    lines.push("", `export const ${name}Abi = [`, ...abi.map(entryLine), "] as const;", "");
    lines.push(`export const ${name}Bytecode: \`0x\${string}\` = \`0x\${[`);
    lines.push(...code.map((chunk) => `  "${chunk}",`), '].join("")}`;');
  }
  return `${lines.join("\n")}\n`;
}

const rendered = render(compile());
const target = join(ROOT, OUTPUT);
if (process.argv.includes("--check")) {
  let committed = "";
  try {
    committed = readFileSync(target, "utf8");
  } catch {
    // An absent file differs like any other.
  }
  if (committed !== rendered) {
    process.stderr.write(`${OUTPUT} is not what contracts/ compile to: run node tools/generate-bindings.mjs\n`);
    process.exit(1);
  }
} else {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, rendered);
}
