// Keeps one child process alive: starts it, hands on its messages, starts it again when it dies unasked.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ChildMessage, ParentMessage } from "./childMessages.ts";
import { ExitCode, NodeError } from "./errors.ts";

export interface Child {
  readonly restarts: number;
  send(message: ParentMessage): void;
  /** Kills the process without notice, as a crash would; it is started again. */
  kill(): void;
  /** Resolves when it is gone for good. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  name: string;
  args: string[];
  restartDelayMs: number;
  onMessage: (message: ChildMessage) => void;
  onExit: (detail: string) => void;
  /** Called when it died so often in a row that starting it again is no use. */
  onGiveUp: (error: NodeError) => void;
}

const ENTRY = fileURLToPath(new URL("./main.js", import.meta.url));
const DEATHS_IN_A_ROW_MAX = 8;
const STOP_TIMEOUT_MS = 8_000;

export function startChild(options: ChildOptions): Child {
  let current: ChildProcess | null = null;
  let stopping = false;
  let restarts = 0;
  let deathsInARow = 0;
  let timer: NodeJS.Timeout | null = null;

  function start(): void {
    timer = null;
    const process_ = spawn(process.execPath, [ENTRY, ...options.args], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
    });
    current = process_;
    let complaint = "";
    process_.stderr?.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2_000);
    });
    process_.on("message", (message) => {
      deathsInARow = 0;
      options.onMessage(message as ChildMessage);
    });
    process_.on("exit", (code, signal) => {
      if (current === process_) current = null;
      if (stopping) return;
      restarts++;
      deathsInARow++;
      const detail = `${options.name} ended (${signal ?? `code ${code}`})${complaint === "" ? "" : `: ${complaint.trim()}`}`;
      options.onExit(detail);
      if (deathsInARow > DEATHS_IN_A_ROW_MAX) {
        const exitCode = code === ExitCode.invariantBroken || code === ExitCode.bug ? code : ExitCode.environment;
        options.onGiveUp(new NodeError("CHILD_DEAD", detail, { exitCode, context: { child: options.name } }));
        return;
      }
      timer = setTimeout(start, options.restartDelayMs * deathsInARow);
    });
  }

  start();
  return {
    get restarts() {
      return restarts;
    },
    send(message) {
      if (current?.connected === true) current.send(message);
    },
    kill: () => void current?.kill("SIGKILL"),
    async stop() {
      stopping = true;
      if (timer !== null) clearTimeout(timer);
      const process_ = current;
      if (process_ === null || process_.exitCode !== null) return;
      const gone = new Promise<void>((resolve) => process_.once("exit", () => resolve()));
      if (process_.connected) process_.send({ type: "stop" } satisfies ParentMessage);
      const force = setTimeout(() => process_.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(force);
    },
  };
}
