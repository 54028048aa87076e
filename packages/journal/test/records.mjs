// Records and cycles whose content follows from seed and number, so that any process can tell whether one is right.
import { createHash } from "node:crypto";

/** @param {string} seed @param {number} sequence @returns {Uint8Array} */
export function recordOf(seed, sequence) {
  const digest = createHash("sha256").update(`${seed}:${sequence}`).digest();
  return Buffer.alloc(1 + ((sequence * 7919) % 400), digest);
}

export const COMMANDS_PER_CYCLE = 7;

/** @param {string} seed @param {number} index */
export function cycleOf(seed, index) {
  const digest = createHash("sha256").update(`cycle:${seed}:${index}`).digest();
  return {
    index,
    kind: 1 + (index % 12),
    timeMs: 1_700_000_000_000 + index,
    payload: Buffer.alloc(10 + ((index * 131) % 900), digest),
    postRoot: /** @type {`0x${string}`} */ (`0x${digest.toString("hex")}`),
    fills: index % 50,
    messages: COMMANDS_PER_CYCLE,
    settledDeltas: index % 9,
  };
}
