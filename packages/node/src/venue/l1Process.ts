// Finds the embedded L1 that an earlier, killed life of the venue left behind, by the state file in its command line: a process id
// in a file may belong to somebody else by now, and two nodes with one state file would overwrite each other.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 25;
const TERMINATE_TIMEOUT_MS = 8_000;

interface RunningProcess {
  processId: number;
  command: string;
}

function fromProcFolder(): RunningProcess[] {
  const running: RunningProcess[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      running.push({ processId: Number(name), command });
    } catch {
      // Ended while the list was read, or not ours to see.
    }
  }
  return running;
}

function fromProcessList(): RunningProcess[] {
  const list = execFileSync("ps", ["-A", "-o", "pid=,args="], { encoding: "utf8", maxBuffer: 16 << 20 });
  return list.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(.*)$/.exec(line);
    return match === null ? [] : [{ processId: Number(match[1]), command: match[2] as string }];
  });
}

/** Process ids of the nodes that keep their state in `stateFile`; null where the system does not tell. */
export function nodesWithState(stateFile: string): number[] | null {
  if (process.platform === "win32") return null;
  let running: RunningProcess[];
  try {
    running = process.platform === "linux" ? fromProcFolder() : fromProcessList();
  } catch {
    return null;
  }
  return running
    .filter(({ command, processId }) => processId !== process.pid && command.includes("anvil") && command.includes(` --state ${stateFile} `))
    .map(({ processId }) => processId);
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function signal(processId: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(processId, name);
  } catch {
    // Ended already.
  }
}

/** Asks the node to end, which makes it write its state, and insists when it does not. Resolves when it is gone. */
export async function endNode(processId: number): Promise<void> {
  signal(processId, "SIGTERM");
  const deadline = Date.now() + TERMINATE_TIMEOUT_MS;
  while (isAlive(processId)) {
    if (Date.now() > deadline) signal(processId, "SIGKILL");
    if (Date.now() > 2 * TERMINATE_TIMEOUT_MS + deadline) return;
    await sleep(POLL_MS);
  }
}
