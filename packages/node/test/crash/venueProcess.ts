// `tidemark up` as a process that a test starts, listens to and kills.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ENTRY } from "./build.ts";

/** A small venue that posts often. */
const CONFIG = {
  flow: 0.4,
  windowSeconds: 600,
  batchAgeMaxMs: 150_000,
  cycleAgeMaxMs: 75_000,
  snapshotEveryCommands: 2_000,
};
const EXIT_TIMEOUT_MS = 90_000;

export interface RunSummary {
  fills: number;
  fillsSettled: number;
  engineMessages: number;
  batchesPosted: number;
  batchesFinal: number;
  rootsCompared: number;
  rootsEqual: number;
  reorgsPostedAgain: number;
  compression: { messages: number; settledDeltas: number; l1Bytes: number; l1Gas: number };
  cycles: { total: number; byKind: Record<string, number> };
  problems: string[];
  finalStateRoot: string;
}

export interface Ended {
  code: number | null;
  signal: string | null;
  output: string;
  errors: string;
}

export class VenueProcess {
  readonly child: ChildProcess;
  output = "";
  errors = "";
  readonly #closed: Promise<unknown[]>;

  constructor(parameters: readonly string[], environment: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [ENTRY, "up", ...parameters], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#closed = once(this.child, "close");
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
  }

  /** All that it said. With --json the lines for people go to stderr. */
  get said(): string {
    return this.output + this.errors;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** False when it ended before. */
  async until(reached: () => boolean | Promise<boolean>): Promise<boolean> {
    const deadline = Date.now() + EXIT_TIMEOUT_MS;
    while (!(await reached())) {
      if (this.hasEnded || Date.now() > deadline) return false;
      await sleep(5);
    }
    return true;
  }

  async untilSaid(words: string): Promise<void> {
    if (!(await this.until(() => this.said.includes(words))))
      throw new Error(`never said "${words}": ${this.said.slice(-1_500)}`);
  }

  async end(timeoutMs = EXIT_TIMEOUT_MS): Promise<Ended> {
    const force = setTimeout(() => this.child.kill("SIGKILL"), timeoutMs);
    const [code, signal] = (await this.#closed) as [number | null, string | null];
    clearTimeout(force);
    return { code, signal, output: this.output, errors: this.errors };
  }

  async kill(): Promise<Ended> {
    this.child.kill("SIGKILL");
    return this.end();
  }
}

export function writeConfig(folder: string, changes: Partial<typeof CONFIG> = {}): string {
  const file = join(folder, "config.json");
  writeFileSync(file, JSON.stringify({ ...CONFIG, ...changes }));
  return file;
}

export function summaryOf(ended: Ended): RunSummary {
  const line = ended.output.trim().split("\n").at(-1) ?? "";
  if (!line.startsWith("{"))
    throw new Error(`no summary; exit ${ended.code ?? ended.signal}: ${ended.errors.slice(-2_000)}`);
  return JSON.parse(line) as RunSummary;
}

/** Living processes whose command line holds all the words. */
export function processesWith(...words: string[]): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      return words.every((word) => command.includes(word)) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

export interface L1File {
  url: string;
  processId: number;
}

export function l1Of(dataFolder: string): L1File {
  return JSON.parse(readFileSync(join(dataFolder, "l1.json"), "utf8")) as L1File;
}

export async function rpc(url: string, method: string, params: unknown[] = []): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const answer = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}

export function deploymentOf(dataFolder: string): { batchChain: `0x${string}` } | null {
  const file = join(dataFolder, "deployment.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { batchChain: `0x${string}` }) : null;
}
