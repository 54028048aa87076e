// Finds processes that an earlier, killed life of the venue left behind, by the paths in their command lines: a process id in a
// file may belong to somebody else by now.
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
    return match === null ? [] : [{ processId: Number(match[1]), command: `${match[2]} ` }];
  });
}

/** Other processes whose command line holds all the words; null where the system does not tell. */
function processesWith(words: readonly string[]): number[] | null {
  if (process.platform === "win32") return null;
  let running: RunningProcess[];
  try {
    running = process.platform === "linux" ? fromProcFolder() : fromProcessList();
  } catch {
    return null;
  }
  return running
    .filter(({ command, processId }) => processId !== process.pid && words.every((word) => command.includes(word)))
    .map(({ processId }) => processId);
}

/** Nodes that keep their state in this file. Two of them would overwrite each other. */
export const nodesWithState = (stateFile: string): number[] | null =>
  processesWith(["anvil", ` --state ${stateFile} `]);

/** Proposers of this data folder. Two of them would give the same L1 nonce away. */
export const proposersOf = (dataFolder: string): number[] | null =>
  processesWith([` propose --data-dir ${dataFolder} `]);

/** Watchers that challenge with the transactions of this folder; the same holds for them. */
export const challengersOf = (outbox: string): number[] | null => processesWith([" watch ", ` --outbox ${outbox} `]);

/** A process that has ended but that nobody has waited for yet counts as gone. */
function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return process.platform !== "linux" || readFileSync(`/proc/${processId}/cmdline`, "utf8") !== "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

export function signalProcess(processId: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(processId, name);
  } catch {
    // Ended already.
  }
}

/** Asks the process to end, which lets a node write its state, and insists when it does not. Resolves when it is gone. */
export async function endProcess(processId: number): Promise<void> {
  signalProcess(processId, "SIGTERM");
  const deadline = Date.now() + TERMINATE_TIMEOUT_MS;
  while (isAlive(processId)) {
    if (Date.now() > deadline) signalProcess(processId, "SIGKILL");
    if (Date.now() > deadline + TERMINATE_TIMEOUT_MS) return;
    await sleep(POLL_MS);
  }
}
