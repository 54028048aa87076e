// The watcher process, for the venue itself and for anybody outside: needs an L1 and the deployment file, nothing else.
import { dirname, join, resolve } from "node:path";
import {
  connectL1,
  createDisputeClient,
  createWatcherClient,
  type DisputeClient,
  type L1Client,
  loadKzg,
  readDeployment,
  shortfallsOf,
  type WatchStatus,
  watchOnce,
} from "@tidemark/chain";
import { describeFault } from "@tidemark/settlement";
import { blobOptions } from "../blobOptions.ts";
import { leaveParent, stopSignal, tellParent } from "../childMessages.ts";
import { ExitCode, hintOf } from "../errors.ts";
import type { Signer } from "../signatures/port.ts";
import { signer } from "../signatures/signer.ts";
import { challengersOf, endProcess } from "../venue/leftovers.ts";
import { challengeFees } from "./challengeFees.ts";
import { reportLine } from "./challengeText.ts";
import { accountOf, outboxOf } from "./key.ts";
import { openFlaggedL1 } from "./l1Flag.ts";

function progressLine(status: WatchStatus): string {
  const { batchesCompared, batchesPosted, cyclesEqual, cyclesCompared, resumedAt } = status;
  const earlier = resumedAt === 0 ? "" : ` (${resumedAt} in an earlier run)`;
  return `re-executed ${batchesCompared}/${batchesPosted} batches${earlier}, ${cyclesEqual}/${cyclesCompared} roots equal`;
}

/** Undefined where every life begins at genesis: the venue's own watcher collects claims on the way. */
function checkpointsOf(flags: Record<string, unknown>): string | undefined {
  if (flags["ipc"] === true || flags["fromGenesis"] === true) return undefined;
  const { checkpoints, deployment } = flags;
  if (checkpoints !== undefined) return resolve(String(checkpoints));
  return join(resolve(dirname(String(deployment))), "checkpoints");
}

function jsonOf(status: WatchStatus): string {
  return JSON.stringify(status, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

export async function watch(flags: Record<string, unknown>): Promise<ExitCode> {
  const deployment = await readDeployment(String(flags["deployment"]));
  const ports = { signatures: signer };
  const { url, stop } = await openFlaggedL1(flags);
  try {
    if (flags["once"] === true) return await once(url, deployment, ports, flags);
    return await follow(url, deployment, ports, flags);
  } finally {
    await stop();
  }
}

type Deployment = Awaited<ReturnType<typeof readDeployment>>;
type Ports = { signatures: Signer };

async function once(
  url: string,
  deployment: Deployment,
  ports: Ports,
  flags: Record<string, unknown>,
): Promise<ExitCode> {
  const json = flags["json"] === true;
  const status = await watchOnce(url, deployment, ports, {
    blobs: blobOptions(flags),
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

/** Null without a key: a fault is told then, and left to others. */
async function challengerOf(
  client: L1Client,
  deployment: Deployment,
  flags: Record<string, unknown>,
): Promise<DisputeClient | null> {
  const account = accountOf(flags);
  if (account === null) return null;
  const path = outboxOf(flags, account);
  // A watcher that a killed venue left behind would give the same nonces away.
  if (flags["ipc"] === true) for (const processId of challengersOf(path) ?? []) await endProcess(processId);
  const fees = challengeFees(flags);
  return createDisputeClient({ client, deployment, account, path, ...(fees === null ? {} : { fees }) });
}

function statusLines(status: WatchStatus): string[] {
  const dropped = status.batchesDropped === 0 ? "" : `, ${status.batchesDropped} wrong batches dropped`;
  const { checkpointFailure } = status;
  const kept = checkpointFailure === null ? [] : [`no checkpoint is kept: ${checkpointFailure}`];
  if (status.fault === null) return [`${progressLine(status)}${dropped}`, ...kept];
  const challenge = status.challenge === null ? [] : [reportLine(status.challenge)];
  return [`FAULT ${describeFault(status.fault)}`, ...challenge];
}

async function follow(
  url: string,
  deployment: Deployment,
  ports: Ports,
  flags: Record<string, unknown>,
): Promise<ExitCode> {
  const ipc = flags["ipc"] === true;
  const signal = stopSignal(() => undefined);
  // Takes seconds: not only when the first blob is there.
  if (flags["dataMode"] === "blob") await loadKzg();
  const client = await connectL1(url, deployment.chainId, { blobs: blobOptions(flags) });
  const dispute = await challengerOf(client, deployment, flags);
  const challenging = dispute === null ? {} : { dispute };
  const checkpoints = checkpointsOf(flags);
  const keeping = checkpoints === undefined ? {} : { checkpoints };
  const common = { client, deployment, ports, collectClaims: ipc };
  const watcher = await createWatcherClient({ ...common, ...challenging, ...keeping });
  if (!ipc) {
    for (const { text } of await shortfallsOf(client, deployment)) process.stderr.write(`WARNING ${text}\n`);
  }
  let claimsTold = 0;
  let shown = "";
  let faulty = false;
  try {
    await watcher.run({
      signal,
      onStatus: (status) => {
        const claims = watcher.claims.slice(claimsTold);
        claimsTold = watcher.claims.length;
        faulty = status.fault !== null;
        if (ipc) tellParent({ type: "watcher", status: lighter(status), claims });
        const lines = statusLines(status).join("\n");
        if (!ipc && lines !== shown) process.stdout.write(`${lines}\n`);
        shown = lines;
      },
      onRetry: (error) => {
        if (ipc) tellParent({ type: "retry", code: error.code, detail: error.message });
        else
          process.stderr.write(
            `${[`${error.code}: ${error.message}`, hintOf(error.code)].filter(Boolean).join("; ")}; trying again\n`,
          );
      },
    });
  } finally {
    await dispute?.close();
  }
  leaveParent();
  return faulty ? ExitCode.invariantBroken : ExitCode.ok;
}

/** Without the bytes of the challenge, which nobody on the other side reads. */
function lighter(status: WatchStatus): WatchStatus {
  return status.challenge === null ? status : { ...status, challenge: { ...status.challenge, prepared: null } };
}
