// Contracts of contracts/test/support as the compiler makes them, and the storage layout of those that they stand in for. Kept beside
// forge's cache, once per content of the sources.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Abi, Hex } from "viem";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CACHE = join(ROOT, "contracts/cache/evidence");

export interface CompiledContract {
  abi: Abi;
  creation: Hex;
  /** What lies at the contract's address. */
  runtime: Hex;
  storage: { label: string; slot: string; offset: number }[];
}

interface SolcOutput {
  errors?: { severity: string; formattedMessage: string }[];
  contracts: Record<
    string,
    Record<
      string,
      {
        abi: Abi;
        evm: Record<"bytecode" | "deployedBytecode", { object: string }>;
        storageLayout: { storage: CompiledContract["storage"] };
      }
    >
  >;
}

function read(path: string): { contents: string } | { error: string } {
  const file = join(ROOT, path.startsWith("contracts/") ? path : `node_modules/${path}`);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `not found: ${path}` };
}

/** Digest of every source that a compilation could read, libraries of npm apart: they are pinned. */
function digestOf(path: string): string {
  const hash = createHash("sha256").update(path);
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const inner = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(inner);
      else if (entry.name.endsWith(".sol")) hash.update(inner).update(readFileSync(join(ROOT, inner)));
    }
  };
  walk("contracts/src");
  hash.update(readFileSync(join(ROOT, path)));
  return hash.digest("hex").slice(0, 32);
}

/** @throws Error with the compiler's messages. */
export function compiledContract(path: string, name: string): CompiledContract {
  const file = join(CACHE, `${name}-${digestOf(path)}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as CompiledContract;
  const solc = createRequire(import.meta.url)("solc") as {
    compile(input: string, callbacks: { import: typeof read }): string;
  };
  const input = {
    language: "Solidity",
    sources: { [path]: { content: readFileSync(join(ROOT, path), "utf8") } },
    // In step with foundry.toml.
    settings: {
      optimizer: { enabled: true, runs: 1_000_000 },
      evmVersion: "prague",
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: {
        [path]: { [name]: ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read })) as SolcOutput;
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join("\n"));
  const contract = output.contracts[path]?.[name];
  if (contract === undefined) throw new Error(`${path} has no ${name}`);
  const compiled: CompiledContract = {
    abi: contract.abi,
    creation: `0x${contract.evm.bytecode.object}`,
    runtime: `0x${contract.evm.deployedBytecode.object}`,
    storage: contract.storageLayout.storage.map(({ label, slot, offset }) => ({ label, slot, offset })),
  };
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(file, JSON.stringify(compiled));
  return compiled;
}
