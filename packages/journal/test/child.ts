// Starts JavaScript children that use the built package; the build is incremental and does nothing when it is current.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const testDirectory = dirname(fileURLToPath(import.meta.url));
const rootDirectory = join(testDirectory, "../../..");

export function buildPackage(): void {
  const compiler = join(rootDirectory, "node_modules/typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [compiler, "-b", "packages/journal"], { cwd: rootDirectory, encoding: "utf8" });
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    throw new Error(`the package does not build:\n${stdout ?? String(error)}`, { cause: error });
  }
}

export function startChild(script: string, ...parameters: string[]): ChildProcess {
  return spawn(process.execPath, [join(testDirectory, script), ...parameters], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}
