// A process that only watches, for bench/watcher.ts: reads batches from a folder, one at a time, compares them and prints what memory
// it has after the opening of the venue and at the end.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { deserialize } from "node:v8";
import type { ParameterSet, SignaturePort } from "@tidemark/ledger";
import { createWatcher, type PostedBatch, type QueueEntry } from "@tidemark/settlement";
import { recovering } from "./fills.ts";

/** A batch, and the queue entries that it is the first to need. */
export interface WatchedStep {
  posted: PostedBatch;
  queue: readonly QueueEntry[];
  fills: number;
  orders: number;
}

export interface MemoryStep {
  /** JavaScript heap and what lies outside of it, after a collection. */
  heapBytes: number;
  residentBytes: number;
}

function memory(): MemoryStep {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed + external, residentBytes: rss };
}

function main(folder: string, count: number, opening: number, signatures: SignaturePort): void {
  const read = (name: string): unknown => deserialize(readFileSync(join(folder, name)));
  const watcher = createWatcher(read("parameters") as ParameterSet, { signatures });
  const steps: MemoryStep[] = [];
  for (let i = 0; i < count; i++) {
    const { posted, queue } = read(String(i)) as WatchedStep;
    const fault = watcher.addQueueEntries(queue) ?? watcher.checkBatch(posted);
    if (fault !== null) throw new Error(`the watcher does not agree: ${fault.detail}`);
    if (i === opening - 1) steps.push(memory());
  }
  steps.push(memory());
  console.log(JSON.stringify(steps));
}

const [, , folder, count, opening] = argv;
if (folder !== undefined) main(folder, Number(count), Number(opening), recovering);
