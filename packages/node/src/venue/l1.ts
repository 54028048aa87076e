// Stage 2: the embedded L1. It outlives a crash of the venue: a restart finds it by the file that names its URL. A temporary
// venue is never restarted, so its L1 ends with it, however it ends.
import { join } from "node:path";
import { attachEmbeddedL1, connectL1, type EmbeddedL1, type L1Client, startEmbeddedL1 } from "@tidemark/chain";
import { type DataFolder, l1FileSchema, readJsonFile, writeFileWhole } from "../dataFolder.ts";
import { endProcess, nodesWithState, signalProcess } from "./leftovers.ts";

/**
 * Blocks are mined per step of the market: a block is final after twelve, three seconds of wall time at the default pace. That is
 * more than the node's own state file lags behind, so a killed node loses no final block.
 */
export const SLOTS_IN_AN_EPOCH = 6;
/** Deployment and deposits happen before the market opens. */
const BEFORE_START_SECONDS = 6 * 3_600;
const LEFTOVER_BLOCKS_MAX = 64;

export interface VenueL1 {
  readonly embedded: EmbeddedL1;
  readonly client: L1Client;
  /** Blocks until what is in the latest one is finalised. */
  readonly blocksToFinality: number;
  /** Mines a block right after the last one; for the time before the market opens. */
  mineNext(): Promise<void>;
  /** Mines until nothing waits: what a killed life sent is in blocks, and nonces are what the latest block says. */
  mineLeftovers(): Promise<void>;
  stop(): Promise<void>;
}

/** The node of a killed life, if it still answers. Any other one that writes this folder's state file is ended first. */
async function attached(folder: DataFolder): Promise<EmbeddedL1 | null> {
  const known = readJsonFile(folder.l1, l1FileSchema);
  const running = nodesWithState(folder.l1State);
  for (const processId of running ?? []) if (processId !== known?.processId) await endProcess(processId);
  if (known === null || (running !== null && !running.includes(known.processId))) return null;
  try {
    return await attachEmbeddedL1(known.url, known.processId);
  } catch {
    // It is gone as well, or hangs; its state file is next.
    await endProcess(known.processId);
    return null;
  }
}

export async function openL1(folder: DataFolder, startMs: number): Promise<VenueL1> {
  const found = folder.temporary ? null : await attached(folder);
  const embedded =
    found ??
    (await startEmbeddedL1({
      slotsInAnEpoch: SLOTS_IN_AN_EPOCH,
      genesisTimestampSeconds: Math.floor(startMs / 1_000) - BEFORE_START_SECONDS,
      logFile: folder.l1Log,
      cachePath: join(folder.path, "l1-cache"),
      ...(folder.temporary ? { endsWithProcess: true } : { stateFile: folder.l1State }),
    }));
  writeFileWhole(folder.l1, JSON.stringify({ url: embedded.url, processId: embedded.processId }));
  const endAtExit = (): void => signalProcess(embedded.processId, "SIGTERM");
  if (found !== null) process.once("exit", endAtExit);
  const client = await connectL1(embedded.url, embedded.chainId);
  const mineNext = async (): Promise<void> => {
    const head = await client.getBlock({ blockTag: "latest" });
    await embedded.mine(Number(head.timestamp) + 1);
  };
  return {
    embedded,
    client,
    blocksToFinality: 2 * SLOTS_IN_AN_EPOCH + 1,
    mineNext,
    async mineLeftovers() {
      for (let i = 0; i < LEFTOVER_BLOCKS_MAX && (await embedded.pendingTransactions()) > 0; i++) {
        const head = await client.getBlock({ blockTag: "latest" });
        const { transactionCount } = await embedded.mine(Number(head.timestamp) + 1);
        // What still waits has a gap in its nonces.
        if (transactionCount === 0) return;
      }
    },
    async stop() {
      process.removeListener("exit", endAtExit);
      await embedded.stop();
      if (found !== null) await endProcess(found.processId);
    },
  };
}
