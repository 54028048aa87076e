// A watcher's checkpoints on disk: what it verified in an earlier life, so that a restart does not re-execute the whole history,
// which may take longer than a window. A file is believed like the watcher's own memory: keep the folder where nobody else writes.
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ParameterSet } from "@tidemark/ledger";
import { type BatchTip, decodeCheckpoint, encodeCheckpoint, type WatcherCheckpoint } from "@tidemark/settlement";

/** A reorg that takes more batches than lie between these leads back to genesis. */
const KEPT = 4;
const FILE = /^batch-(\d{12})\.checkpoint$/;
const fileOf = (number: number): string => `batch-${String(number).padStart(12, "0")}.checkpoint`;

/** Numbers of the batches, newest first; none without the folder. */
async function numbersIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  const numbers = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((a, b) => b - a);
}

/** The newest whose batch is accepted; null when there is none. Damaged files, and those of another venue, are passed over. */
export async function readCheckpoint(
  folder: string,
  genesis: ParameterSet,
  accepts: (tip: BatchTip) => boolean,
): Promise<WatcherCheckpoint | null> {
  for (const number of await numbersIn(folder)) {
    try {
      const bytes = new Uint8Array(await readFile(join(folder, fileOf(number))));
      const checkpoint = decodeCheckpoint(bytes, genesis);
      if (accepts(checkpoint.tip)) return checkpoint;
    } catch {
      // Re-execution from further back is always possible.
    }
  }
  return null;
}

/** @throws the error of the file system; what was kept before stays */
export async function keepCheckpoint(folder: string, checkpoint: WatcherCheckpoint): Promise<void> {
  const { number } = checkpoint.tip;
  const bytes = encodeCheckpoint(checkpoint);
  await mkdir(folder, { recursive: true });
  const file = join(folder, fileOf(number));
  const partial = `${file}.${process.pid}.partial`;
  await writeFile(partial, bytes);
  await rename(partial, file);
  // Later ones are of batches that the L1 no longer has.
  const others = (await numbersIn(folder)).filter((other) => other !== number);
  const stale = [
    ...others.filter((other) => other > number),
    ...others.filter((other) => other < number).slice(KEPT - 1),
  ];
  for (const other of stale) await rm(join(folder, fileOf(other)), { force: true });
}
