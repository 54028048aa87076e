// The rule contracts as the compiler makes them, for tests that run them in a real EVM. Compiled once per content of the
// sources: the result is kept beside forge's cache.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Abi, Hex } from "viem";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CACHE = join(ROOT, "contracts/cache/rules");
const SOURCES = [
  "contracts/src/rules",
  "contracts/src/lib",
  "contracts/src/dispute",
  "contracts/src/chain",
  "contracts/src/receipts",
  "contracts/test/support",
];
const COMPILED = /^contracts\/src\/(rules|dispute|receipts)\/|\/(ParameterStore|ScriptedVenue)\.sol$/;

export interface CompiledContract {
  abi: Abi;
  /** What lies at the contract's address. */
  runtime: Hex;
  creation: Hex;
}

interface SolcOutput {
  errors?: { severity: string; formattedMessage: string; sourceLocation?: { file: string } }[];
  contracts: Record<
    string,
    Record<string, { abi: Abi; evm: Record<"bytecode" | "deployedBytecode", { object: string }> }>
  >;
}

function sources(): Record<string, { content: string }> {
  const found: Record<string, { content: string }> = {};
  for (const folder of SOURCES) {
    for (const name of readdirSync(join(ROOT, folder)).sort()) {
      const path = `${folder}/${name}`;
      if (name.endsWith(".sol")) found[path] = { content: readFileSync(join(ROOT, path), "utf8") };
    }
  }
  return found;
}

function compile(contents: Record<string, { content: string }>): Record<string, CompiledContract> {
  const solc = createRequire(import.meta.url)("solc") as {
    compile(input: string, callbacks: { import(path: string): { contents: string } | { error: string } }): string;
  };
  const roots = Object.keys(contents).filter((path) => COMPILED.test(path));
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(roots.map((path) => [path, contents[path]])),
    // In step with foundry.toml.
    settings: {
      optimizer: { enabled: true, runs: 1_000_000 },
      evmVersion: "prague",
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const resolve = (path: string): { contents: string } | { error: string } => {
    const file = join(ROOT, path.startsWith("contracts/") ? path : `node_modules/${path}`);
    return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `not found: ${path}` };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolve })) as SolcOutput;
  const ours = (output.errors ?? []).filter(
    ({ severity, sourceLocation }) => severity === "error" || sourceLocation?.file.startsWith("contracts/"),
  );
  if (ours.length > 0) throw new Error(ours.map(({ formattedMessage }) => formattedMessage).join("\n"));
  const compiled: Record<string, CompiledContract> = {};
  for (const contracts of Object.values(output.contracts)) {
    for (const [name, { abi, evm }] of Object.entries(contracts)) {
      compiled[name] = { abi, runtime: `0x${evm.deployedBytecode.object}`, creation: `0x${evm.bytecode.object}` };
    }
  }
  return compiled;
}

/** By contract name. @throws Error with the compiler's messages. */
export function compiledContracts(): Record<string, CompiledContract> {
  const contents = sources();
  const digest = createHash("sha256").update(JSON.stringify(contents)).digest("hex").slice(0, 32);
  const file = join(CACHE, `${digest}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Record<string, CompiledContract>;
  const compiled = compile(contents);
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(file, JSON.stringify(compiled));
  return compiled;
}
