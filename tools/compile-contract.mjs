// Compiles one contract for a test that runs it in an EVM of its own, with the settings of foundry.toml.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param {string} path source from the repository's root
 * @param {string} name contract in that source
 * @returns {{ abi: import("viem").Abi, runtimeCode: `0x${string}` }}
 */
export function compileContract(path, name) {
  const input = {
    language: "Solidity",
    sources: { [path]: { content: readFileSync(join(ROOT, path), "utf8") } },
    settings: {
      optimizer: { enabled: true, runs: 1_000_000 },
      evmVersion: "prague",
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { [path]: { [name]: ["abi", "evm.deployedBytecode.object"] } },
    },
  };
  const contents = (file) => ({ contents: readFileSync(join(ROOT, file), "utf8") });
  const resolve = (file) => contents(file.startsWith("contracts/") ? file : join("node_modules", file));
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolve }));
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join("\n"));
  const { abi, evm } = output.contracts[path][name];
  return { abi, runtimeCode: `0x${evm.deployedBytecode.object}` };
}
