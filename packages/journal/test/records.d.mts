import type { CycleRecord } from "@tidemark/journal";

export function recordOf(seed: string, sequence: number): Uint8Array;
export const COMMANDS_PER_CYCLE: number;
export function cycleOf(seed: string, index: number): CycleRecord;
