// Notices that the L1 replaced blocks, by comparing parent hashes: no node announces it reliably.
import type { Hex } from "viem";
import { type L1Block, type L1Client, readExistingBlock } from "./clients.ts";

export interface Observation {
  head: L1Block;
  /** Blocks seen earlier that are no longer in the chain; 0 without a reorg. */
  depth: number;
  /** Highest block that both chains share. */
  commonNumber: number;
  /** True when the reorg goes below everything remembered: depth is then a lower bound. */
  beyondMemory: boolean;
}

export interface ReorgTracker {
  observe(): Promise<Observation>;
  /** Deepest reorg seen so far. */
  readonly depthMax: number;
}

const MEMORY_BLOCKS = 256;

export function createReorgTracker(client: L1Client, memoryBlocks = MEMORY_BLOCKS): ReorgTracker {
  const hashes = new Map<number, Hex>();
  let headNumber = -1;
  let depthMax = 0;

  /** Walks back from `head` to a block that is remembered; what it meets is new. */
  async function newBlocks(head: L1Block): Promise<{ fresh: L1Block[]; commonNumber: number; beyondMemory: boolean }> {
    const lowest = Math.min(...hashes.keys());
    const fresh: L1Block[] = [];
    let block = head;
    for (;;) {
      if (hashes.get(block.number) === block.hash) return { fresh, commonNumber: block.number, beyondMemory: false };
      fresh.push(block);
      if (block.number <= lowest || fresh.length >= memoryBlocks) {
        return { fresh, commonNumber: block.number - 1, beyondMemory: block.number <= lowest };
      }
      block = await readExistingBlock(client, block.number - 1);
    }
  }

  return {
    get depthMax() {
      return depthMax;
    },
    async observe() {
      const head = await readExistingBlock(client, "latest");
      if (headNumber < 0) {
        hashes.set(head.number, head.hash);
        headNumber = head.number;
        return { head, depth: 0, commonNumber: head.number, beyondMemory: false };
      }
      const { fresh, commonNumber, beyondMemory } = await newBlocks(head);
      const depth = Math.max(0, headNumber - commonNumber);
      for (const number of [...hashes.keys()]) {
        if (number > commonNumber || number <= head.number - memoryBlocks) hashes.delete(number);
      }
      for (const block of fresh) hashes.set(block.number, block.hash);
      headNumber = head.number;
      depthMax = Math.max(depthMax, depth);
      return { head, depth, commonNumber, beyondMemory };
    },
  };
}
