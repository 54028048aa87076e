// Stage 2: the embedded L1. It outlives a crash of the venue: a restart finds it by the file that names its URL.
import { existsSync } from "node:fs";
import { attachEmbeddedL1, connectL1, type EmbeddedL1, type L1Client, startEmbeddedL1 } from "@tidemark/chain";
import { type DataFolder, l1FileSchema, readJsonFile, writeFileWhole } from "../dataFolder.ts";

/** Blocks are mined per step of the market; with short epochs a deposit is final after a second or two of wall time. */
const SLOTS_IN_AN_EPOCH = 2;
/** Deployment and deposits happen before the market opens. */
const BEFORE_START_SECONDS = 6 * 3_600;

export interface VenueL1 {
  readonly embedded: EmbeddedL1;
  readonly client: L1Client;
  /** Blocks until what is in the latest one is finalised. */
  readonly blocksToFinality: number;
  /** Mines a block right after the last one; for the time before the market opens. */
  mineNext(): Promise<void>;
  stop(): Promise<void>;
}

async function attached(folder: DataFolder): Promise<EmbeddedL1 | null> {
  const known = readJsonFile(folder.l1, l1FileSchema);
  if (known === null) return null;
  try {
    return await attachEmbeddedL1(known.url, known.processId);
  } catch {
    // It is gone as well; its state file is next.
    return null;
  }
}

function killQuietly(processId: number): void {
  try {
    process.kill(processId, "SIGTERM");
  } catch {
    // Ended already.
  }
}

export async function openL1(folder: DataFolder, startMs: number): Promise<VenueL1> {
  const found = await attached(folder);
  const embedded =
    found ??
    (await startEmbeddedL1({
      slotsInAnEpoch: SLOTS_IN_AN_EPOCH,
      genesisTimestampSeconds: Math.floor(startMs / 1_000) - BEFORE_START_SECONDS,
      ...(folder.temporary && !existsSync(folder.l1State) ? {} : { stateFile: folder.l1State }),
    }));
  writeFileWhole(folder.l1, JSON.stringify({ url: embedded.url, processId: embedded.processId }));
  const client = await connectL1(embedded.url, embedded.chainId);
  return {
    embedded,
    client,
    blocksToFinality: 2 * SLOTS_IN_AN_EPOCH + 1,
    async mineNext() {
      const head = await client.getBlock({ blockTag: "latest" });
      await embedded.mine(Number(head.timestamp) + 1);
    },
    async stop() {
      await embedded.stop();
      if (found !== null) killQuietly(found.processId);
    },
  };
}
