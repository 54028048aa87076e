// Opens what a venue left to be read: the journal of a data folder or of an --out folder, and the L1, live or from its state file.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectL1, type Deployment, type L1Client, startEmbeddedL1 } from "@tidemark/chain";
import { importJournal, type JournalReader, openJournalReader } from "@tidemark/journal";
import { blobsIn } from "../blobOptions.ts";
import { l1FileSchema, readJsonFile } from "../dataFolder.ts";
import { SLOTS_IN_AN_EPOCH } from "../venue/l1.ts";

export interface OpenedJournal {
  reader: JournalReader;
  done: () => Promise<void>;
}

/** A data folder's journal in place, or an export brought into a temporary one. */
export async function openJournalOf(folder: string): Promise<OpenedJournal> {
  const exported = join(folder, "journal.bin");
  if (!existsSync(exported)) {
    const reader = openJournalReader(join(folder, "journal"));
    return { reader, done: () => reader.close() };
  }
  const directory = mkdtempSync(join(tmpdir(), "tidemark-replay-"));
  await importJournal(exported, join(directory, "journal"));
  const reader = openJournalReader(join(directory, "journal"));
  return {
    reader,
    done: async () => {
      await reader.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface OpenedL1 {
  client: L1Client;
  /** "live", or "state file" when a node of our own shows what a stopped venue's L1 held. */
  from: "live" | "state file";
  done: () => Promise<void>;
}

/** Null when the venue's L1 neither answers nor left a state. Nothing is written to either. */
export async function openL1Of(folder: string, deployment: Deployment): Promise<OpenedL1 | null> {
  const known = readJsonFile(join(folder, "l1.json"), l1FileSchema);
  if (known !== null) {
    try {
      const client = await connectL1(known.url, deployment.chainId, { retryCount: 0, blobs: blobsIn(folder) });
      // Another venue's node may listen there by now.
      if ((await client.getCode({ address: deployment.batchChain })) !== undefined)
        return { client, from: "live", done: async () => undefined };
    } catch {
      // Not running; its state file is next.
    }
  }
  const stateFile = join(folder, "l1-state.json");
  if (!existsSync(stateFile)) return null;
  const embedded = await startEmbeddedL1({
    chainId: deployment.chainId,
    loadStateFile: stateFile,
    slotsInAnEpoch: SLOTS_IN_AN_EPOCH,
    endsWithProcess: true,
  });
  return {
    client: await connectL1(embedded.url, deployment.chainId, { blobs: blobsIn(folder) }),
    from: "state file",
    done: () => embedded.stop(),
  };
}
