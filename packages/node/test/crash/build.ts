// The children of these tests run the built packages; the build is incremental and does nothing when it is current.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const testDirectory = dirname(fileURLToPath(import.meta.url));
const rootDirectory = join(testDirectory, "../../../..");
export const ENTRY = join(rootDirectory, "packages/node/dist/main.js");

export const isLong = process.env["TIDEMARK_LONG"] === "1";

/** Of everything random in a test: given by the long runner, else fresh and printed. */
export function testSeed(): number {
  return Number(process.env["TIDEMARK_SEED"] ?? Date.now()) % 0x7fff_ffff;
}

/** A multiplicative generator: what follows it follows from the seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = (seed % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

export function buildPackages(): void {
  const compiler = join(rootDirectory, "node_modules/typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [compiler, "-b", "packages/node"], { cwd: rootDirectory, encoding: "utf8" });
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    throw new Error(`the packages do not build:\n${stdout ?? String(error)}`, { cause: error });
  }
}
