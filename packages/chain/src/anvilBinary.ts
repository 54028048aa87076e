// Finds the L1 node's executable in the platform package that npm installed beside @foundry-rs/anvil.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ChainError } from "./errors.ts";

const ARCHITECTURE_NAMES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
const PLATFORM_NAMES: Readonly<Record<string, string>> = { linux: "linux", darwin: "darwin", win32: "win32" };

/** @throws ChainError ANVIL_MISSING with the package that should be there. */
export function anvilBinary(): string {
  const platform = PLATFORM_NAMES[process.platform];
  const architecture = ARCHITECTURE_NAMES[process.arch];
  const packageName = `@foundry-rs/anvil-${platform ?? process.platform}-${architecture ?? process.arch}`;
  const missing = (cause?: unknown): ChainError =>
    new ChainError("ANVIL_MISSING", `the embedded L1 needs the optional npm package ${packageName}`, {
      context: { packageName },
      cause,
    });
  if (platform === undefined || architecture === undefined) throw missing();
  let packageFile: string;
  try {
    // Resolved from the wrapper package: the platform package is its dependency, not ours.
    const wrapper = createRequire(import.meta.url).resolve("@foundry-rs/anvil/package.json");
    packageFile = createRequire(wrapper).resolve(`${packageName}/package.json`);
  } catch (cause) {
    throw missing(cause);
  }
  const binary = join(dirname(packageFile), "bin", process.platform === "win32" ? "anvil.exe" : "anvil");
  if (!existsSync(binary)) throw missing();
  return binary;
}
