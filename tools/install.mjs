// What `npm start` and `npm test` need before anything is installed: only built-in modules here.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const rootDirectory = join(dirname(fileURLToPath(import.meta.url)), "..");
const NODE_MINIMUM = [20, 19];
const modulesDirectory = join(rootDirectory, "node_modules");
/** Holds the digest of the lock file that node_modules was installed from. */
const marker = join(modulesDirectory, ".tidemark-lock");
const lockFile = join(rootDirectory, "package-lock.json");

export function requireNodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor >= NODE_MINIMUM[1])) return;
  console.error(`Tidemark needs Node.js ${NODE_MINIMUM.join(".")} or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

/** Runs `npm ci` when nothing is installed or the lock file is another than the installed one. */
export function installWhenNeeded() {
  const digest = createHash("sha256").update(readFileSync(lockFile)).digest("hex");
  if (existsSync(marker) && readFileSync(marker, "utf8") === digest) return;
  if (!installedByHand()) {
    console.error("Installing dependencies (npm ci) …");
    // npm prints what it does on standard error, so that the last line of our output stays the caller's.
    const status = runNpm(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    if (status !== 0) {
      console.error("npm ci failed; see above.");
      process.exit(1);
    }
  }
  writeFileSync(marker, digest);
}

/** npm writes its own record after every install; one that is newer than the lock file belongs to it. */
function installedByHand() {
  const record = join(modulesDirectory, ".package-lock.json");
  return !existsSync(marker) && existsSync(record) && statSync(record).mtimeMs >= statSync(lockFile).mtimeMs;
}

function runNpm(parameters) {
  const options = { cwd: rootDirectory, stdio: ["ignore", 2, 2] };
  const script = process.env["npm_execpath"];
  const run =
    script?.endsWith(".js") === true
      ? spawnSync(process.execPath, [script, ...parameters], options)
      : spawnSync("npm", parameters, { ...options, shell: process.platform === "win32" });
  if (run.error) console.error(`npm cannot be run: ${run.error.message}`);
  return run.status ?? 1;
}

/** Compiles what is not up to date; does nothing in well under a second otherwise. False when it does not compile. */
export function build() {
  const compiler = join(modulesDirectory, "typescript/bin/tsc");
  const run = spawnSync(process.execPath, [compiler, "-b"], { cwd: rootDirectory, encoding: "utf8" });
  if (run.status === 0) return true;
  console.error(`${run.stdout ?? ""}${run.stderr ?? ""}${run.error?.message ?? ""}`);
  console.error("The build failed; see above.");
  return false;
}
