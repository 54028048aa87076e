// The embedded L1: one anvil process whose blocks are mined on request, so that the venue's clock drives block times.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { type Address, type Hex, http, numberToHex } from "viem";
import { anvilBinary } from "./anvilBinary.ts";
import { ChainError, l1Call } from "./errors.ts";

export interface EmbeddedL1Options {
  chainId?: number;
  /** 0 (the default) takes a free port. */
  port?: number;
  /** Time of the genesis block; ignored when a state is loaded. */
  genesisTimestampSeconds?: number;
  /** The node's `finalized` block is the latest minus two epochs, `safe` minus one. */
  slotsInAnEpoch?: number;
  /** A file that `dumpState` wrote: blocks, transactions, receipts and the latest state come back. */
  loadStateFile?: string;
  /** Loaded when it exists and rewritten every `stateIntervalSeconds` and at the end: survives a killed node. */
  stateFile?: string;
  stateIntervalSeconds?: number;
  /** The node writes here instead of into pipes: it may outlive this process. Emptied at the start. */
  logFile?: string;
  /** Working directory of the node's cache, removed by `stop`. A temporary one when absent. */
  cachePath?: string;
  /** Ends the node also when this process is killed; without it a later process may attach to the node. */
  endsWithProcess?: boolean;
}

export interface MinedBlock {
  number: number;
  hash: Hex;
  timestampSeconds: number;
  transactionCount: number;
}

export interface EmbeddedL1 {
  readonly url: string;
  readonly chainId: number;
  readonly processId: number;
  /** Mines one block with everything that waits. A time before the last block's becomes the last block's. */
  mine(timestampSeconds: number): Promise<MinedBlock>;
  setBalance(address: Address, wei: bigint): Promise<void>;
  setNextBaseFee(weiPerGas: bigint): Promise<void>;
  /** Replaces the last `depth` blocks by empty ones. Their transactions do not return to the pool. */
  reorg(depth: number): Promise<void>;
  /** Number of transactions that wait for a block. */
  pendingTransactions(): Promise<number>;
  /** Writes what `loadStateFile` reads; the file appears whole or not at all. */
  dumpState(path: string): Promise<void>;
  /** Resolves when the process is gone; kills it when it does not go by itself. */
  stop(): Promise<void>;
}

export const EMBEDDED_CHAIN_ID = 31_337;
export const EMBEDDED_SLOTS_IN_AN_EPOCH = 4;
/** States of that many blocks are kept for reorgs; without a limit the node spills them to disk and never cleans up. */
const HISTORY_BLOCKS = 256;
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
const RPC_TIMEOUT_MS = 60_000;
const LOG_POLL_MS = 20;
const OUTPUT_KEPT_MAX = 64 * 1024;

type Rpc = (method: string, params?: unknown[]) => Promise<unknown>;

function rpcOf(url: string): Rpc {
  const transport = http(url, { timeout: RPC_TIMEOUT_MS, retryCount: 0 })({});
  return (method, params = []) => l1Call(method, () => transport.request({ method, params }) as Promise<unknown>);
}

function argumentsOf(options: EmbeddedL1Options, chainId: number, cachePath: string): string[] {
  const list = ["--host", "127.0.0.1", "--port", String(options.port ?? 0), "--chain-id", String(chainId)];
  list.push("--hardfork", "prague", "--no-mining", "--accounts", "0", "--prune-history", String(HISTORY_BLOCKS));
  list.push("--slots-in-an-epoch", String(options.slotsInAnEpoch ?? EMBEDDED_SLOTS_IN_AN_EPOCH));
  list.push("--cache-path", cachePath);
  // One block may carry several full batches.
  list.push("--gas-limit", "60000000");
  if (options.genesisTimestampSeconds !== undefined) list.push("--timestamp", String(options.genesisTimestampSeconds));
  if (options.loadStateFile !== undefined) list.push("--load-state", options.loadStateFile);
  if (options.stateFile !== undefined) {
    list.push("--state", options.stateFile, "--state-interval", String(options.stateIntervalSeconds ?? 2));
  }
  return list;
}

/** Address that the process prints once it listens. `printed` answers with all that it wrote so far. */
function listeningUrl(child: ChildProcess, printed: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + START_TIMEOUT_MS;
    const settle = (): void => {
      clearInterval(timer);
      child.removeAllListeners();
    };
    const fail = (why: string, cause?: unknown): void => {
      settle();
      child.kill("SIGKILL");
      const output = printed();
      const context = { output: output.slice(-500) };
      reject(new ChainError("ANVIL_START", `the embedded L1 ${why}: ${output.trim().slice(-200)}`, { context, cause }));
    };
    const timer = setInterval(() => {
      const match = /Listening on ([\d.]+:\d+)/.exec(printed());
      if (match !== null) {
        settle();
        resolve(`http://${match[1]}`);
      } else if (Date.now() > deadline) {
        fail("did not start in time");
      }
    }, LOG_POLL_MS);
    child.once("error", (cause) => fail("could not be started", cause));
    child.once("exit", (code, signal) => fail(`ended with ${signal ?? `code ${code}`}`));
  });
}

interface StartedNode {
  child: ChildProcess;
  printed: () => string;
}

/** A process group of its own: the terminal's Ctrl-C is for the venue, which ends the node last. */
function spawnNode(list: readonly string[], logFile: string | undefined): StartedNode {
  const binary = anvilBinary();
  if (logFile === undefined) {
    const child = spawn(binary, list, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "";
    const read = (chunk: unknown): void => {
      // Read for good, because a full pipe would stop the node; only the beginning is of interest.
      if (output.length < OUTPUT_KEPT_MAX) output += String(chunk);
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    return { child, printed: () => output };
  }
  const log = openSync(logFile, "w");
  try {
    const child = spawn(binary, list, { stdio: ["ignore", log, log], detached: true });
    child.unref();
    return { child, printed: () => readFileSync(logFile, "utf8").slice(0, OUTPUT_KEPT_MAX) };
  } finally {
    closeSync(log);
  }
}

/** A shell that waits for the end of this process, however it comes, and then ends the node. */
function endWithThisProcess(child: ChildProcess, cachePath: string): void {
  if (process.platform === "win32" || child.pid === undefined) return;
  const script = 'cat > /dev/null; kill -TERM "$0" 2> /dev/null; rm -rf -- "$1"';
  const guard = spawn("sh", ["-c", script, String(child.pid), cachePath], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  // Without a shell the node still ends with every exit but a kill.
  guard.on("error", () => undefined);
  guard.unref();
  (guard.stdin as (typeof guard.stdin & { unref?: () => void }) | null)?.unref?.();
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

interface RpcBlock {
  number: Hex;
  hash: Hex;
  timestamp: Hex;
  transactions: Hex[];
}

async function latestBlock(rpc: Rpc): Promise<MinedBlock> {
  const block = (await rpc("eth_getBlockByNumber", ["latest", false])) as RpcBlock;
  return {
    number: Number(block.number),
    hash: block.hash,
    timestampSeconds: Number(block.timestamp),
    transactionCount: block.transactions.length,
  };
}

async function writeStateDump(rpc: Rpc, path: string): Promise<void> {
  const dump = (await rpc("anvil_dumpState", [])) as Hex;
  const state = await promisify(gunzip)(Buffer.from(dump.slice(2), "hex"));
  const partial = `${path}.partial`;
  await writeFile(partial, state);
  await rename(partial, path);
}

/** Writes the state of a node that somebody else controls, which notices nothing. */
export function dumpL1State(url: string, path: string): Promise<void> {
  return writeStateDump(rpcOf(url), path);
}

/** Controls an anvil that somebody else started, for example before this process was killed and restarted. */
export async function attachEmbeddedL1(url: string, processId = 0): Promise<EmbeddedL1> {
  return embeddedL1Of(url, processId, async () => undefined);
}

async function embeddedL1Of(url: string, processId: number, stop: () => Promise<void>): Promise<EmbeddedL1> {
  const rpc = rpcOf(url);
  const chainId = Number(await rpc("eth_chainId"));
  let last = await latestBlock(rpc);
  // A loaded node would go on from the machine's clock instead of the chain's.
  await rpc("anvil_setTime", [last.timestampSeconds]);
  return {
    url,
    chainId,
    processId,
    async mine(timestampSeconds) {
      // Asked again, because a reorg in between lowers or raises the last time.
      last = await latestBlock(rpc);
      await rpc("evm_mine", [Math.max(timestampSeconds, last.timestampSeconds)]);
      last = await latestBlock(rpc);
      return last;
    },
    async setBalance(address, wei) {
      await rpc("anvil_setBalance", [address, numberToHex(wei)]);
    },
    async setNextBaseFee(weiPerGas) {
      await rpc("anvil_setNextBlockBaseFeePerGas", [numberToHex(weiPerGas)]);
    },
    async reorg(depth) {
      await rpc("anvil_reorg", [depth, []]);
    },
    async pendingTransactions() {
      const status = (await rpc("txpool_status")) as { pending: Hex; queued: Hex };
      return Number(status.pending) + Number(status.queued);
    },
    dumpState: (path) => writeStateDump(rpc, path),
    stop,
  };
}

/** Starts anvil; it ends with `stop` and, at the latest, when this process exits by itself. */
export async function startEmbeddedL1(options: EmbeddedL1Options = {}): Promise<EmbeddedL1> {
  const chainId = options.chainId ?? EMBEDDED_CHAIN_ID;
  // The node leaves directories behind in its cache, even where it persists nothing.
  const cachePath = options.cachePath ?? mkdtempSync(join(tmpdir(), "tidemark-l1-cache-"));
  mkdirSync(cachePath, { recursive: true });
  const removeCache = (): void => rmSync(cachePath, { recursive: true, force: true });
  const { child, printed } = spawnNode(argumentsOf(options, chainId, cachePath), options.logFile);
  if (options.endsWithProcess === true) endWithThisProcess(child, cachePath);
  const endAtExit = (): void => {
    // Asked, not killed: it writes its state file first.
    child.kill("SIGTERM");
    removeCache();
  };
  process.once("exit", endAtExit);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", endAtExit);
    await stopProcess(child);
    removeCache();
  };
  try {
    const url = await listeningUrl(child, printed);
    return await embeddedL1Of(url, child.pid ?? 0, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}
