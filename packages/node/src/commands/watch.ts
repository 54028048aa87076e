// The watcher process, for the venue itself and for anybody outside: needs an L1 and the deployment file, nothing else.
import {
  connectL1,
  createWatcherClient,
  readDeployment,
  startEmbeddedL1,
  type WatchStatus,
  watchOnce,
} from "@tidemark/chain";
import { describeFault } from "@tidemark/settlement";
import { leaveParent, stopSignal, tellParent } from "../childMessages.ts";
import { ExitCode, NodeError } from "../errors.ts";
import type { Signer } from "../signatures/port.ts";
import { signer } from "../signatures/signer.ts";

function progressLine(status: WatchStatus): string {
  return `re-executed ${status.batchesCompared}/${status.batchesPosted} batches, ${status.cyclesEqual}/${status.cyclesCompared} roots equal`;
}

function jsonOf(status: WatchStatus): string {
  return JSON.stringify(status, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

export async function watch(flags: Record<string, unknown>): Promise<ExitCode> {
  const deployment = await readDeployment(String(flags["deployment"]));
  const ports = { signatures: signer };
  const { url, stop } = await openL1(flags);
  try {
    if (flags["once"] === true) return await once(url, deployment, ports, flags["json"] === true);
    return await follow(url, deployment, ports, flags["ipc"] === true);
  } finally {
    await stop();
  }
}

/** A node that runs, or one of our own that serves the state of a finished run. */
async function openL1(flags: Record<string, unknown>): Promise<{ url: string; stop: () => Promise<void> }> {
  const { l1, l1State } = flags;
  if ((l1 === undefined) === (l1State === undefined)) {
    throw new NodeError("USAGE", "give either --l1 <url> or --l1-state <file>", { exitCode: ExitCode.usage });
  }
  if (l1 !== undefined) return { url: String(l1), stop: async () => undefined };
  const node = await startEmbeddedL1({ loadStateFile: String(l1State), endsWithProcess: true });
  return { url: node.url, stop: () => node.stop() };
}

type Deployment = Awaited<ReturnType<typeof readDeployment>>;
type Ports = { signatures: Signer };

async function once(url: string, deployment: Deployment, ports: Ports, json: boolean): Promise<ExitCode> {
  const status = await watchOnce(url, deployment, ports, {
    onProgress: (progress) => {
      if (!json) process.stderr.write(`${progressLine(progress)}\n`);
    },
  });
  const fault = status.fault;
  process.stdout.write(
    fault === null
      ? `the watcher agrees: ${status.cyclesEqual}/${status.cyclesCompared} state roots of ${status.batchesCompared} batches, state root ${status.stateRoot}\n`
      : `FAULT ${describeFault(fault)}\n`,
  );
  if (json) process.stdout.write(`${jsonOf(status)}\n`);
  return fault === null ? ExitCode.ok : ExitCode.invariantBroken;
}

async function follow(url: string, deployment: Deployment, ports: Ports, ipc: boolean): Promise<ExitCode> {
  const client = await connectL1(url, deployment.chainId);
  const watcher = await createWatcherClient({ client, deployment, ports, collectClaims: ipc });
  const signal = stopSignal(() => undefined);
  let claimsTold = 0;
  let shown = "";
  let faulty = false;
  await watcher.run({
    signal,
    onStatus: (status) => {
      const claims = watcher.claims.slice(claimsTold);
      claimsTold = watcher.claims.length;
      faulty = status.fault !== null;
      if (ipc) tellParent({ type: "watcher", status, claims });
      const line = status.fault === null ? progressLine(status) : `FAULT ${describeFault(status.fault)}`;
      if (!ipc && line !== shown) process.stdout.write(`${line}\n`);
      shown = line;
    },
    onRetry: (error) => {
      if (ipc) tellParent({ type: "retry", code: error.code, detail: error.message });
      else process.stderr.write(`${error.code}: ${error.message}; trying again\n`);
    },
  });
  leaveParent();
  return faulty ? ExitCode.invariantBroken : ExitCode.ok;
}
