// npm start: checks Node, installs what is missing, builds what is stale, then runs `tidemark up` with the given arguments.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { build, installWhenNeeded, requireNodeVersion, rootDirectory } from "./install.mjs";

requireNodeVersion();
installWhenNeeded();
if (!build()) process.exit(1);

const main = join(rootDirectory, "packages/node/dist/main.js");
const child = spawn(process.execPath, [main, "up", ...process.argv.slice(2)], { stdio: "inherit" });

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    // A terminal sends its interrupt to every process of the group: the child has it already.
    if (signal === "SIGINT" && process.stdin.isTTY === true) return;
    child.kill(signal);
  });
}
child.on("error", (error) => {
  console.error(`tidemark cannot be started: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
