// Runs the forge binary of this platform with the given arguments, from the repository root.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

/** @returns {string} path of the forge binary that npm installed for this platform */
export function forgePath() {
  const name = `@foundry-rs/forge-${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`;
  const require = createRequire(import.meta.url);
  const binary = process.platform === "win32" ? "forge.exe" : "forge";
  try {
    return join(dirname(require.resolve(`${name}/package.json`)), "bin", binary);
  } catch (cause) {
    throw new Error(`forge is not installed for this platform: ${name}`, { cause });
  }
}

export const root = fileURLToPath(new URL("..", import.meta.url));

const CACHE = join(root, "contracts/cache/solidity-files-cache.json");

/**
 * `forge lint` marks files as compiled but writes artifacts without code: a `forge test` after it on the same cache
 * silently leaves out the tests of those files. Lint therefore has a cache of its own, and a cache in which a test has
 * no code (somebody called forge directly) is thrown away.
 */
export function dropIncompleteCache() {
  if (!existsSync(CACHE)) return;
  const { files } = JSON.parse(readFileSync(CACHE, "utf8"));
  const tests = Object.entries(files).filter(([path]) => path.endsWith(".t.sol"));
  const hasCode = (path) => {
    const artifact = join(root, "contracts/out", path);
    return existsSync(artifact) && /"bytecode":\s*\{\s*"object":\s*"0x./.test(readFileSync(artifact, "utf8"));
  };
  const complete = tests.every(([, { artifacts }]) => {
    const paths = Object.values(artifacts ?? {}).flatMap((versions) =>
      Object.values(versions).flatMap((profiles) => Object.values(profiles).map(({ path }) => path)),
    );
    return paths.length > 0 && paths.every(hasCode);
  });
  if (!complete) rmSync(CACHE);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  if (args[0] !== "lint") dropIncompleteCache();
  const apart = { FOUNDRY_CACHE_PATH: "contracts/cache/lint", FOUNDRY_OUT: "contracts/out/lint" };
  const env = args[0] === "lint" ? { ...process.env, ...apart } : process.env;
  const run = spawnSync(forgePath(), args, { cwd: root, env, stdio: "inherit" });
  if (run.error) throw run.error;
  process.exit(run.status ?? 1);
}
