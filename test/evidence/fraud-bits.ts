// Single wrong bits: whatever bit of a right batch is wrong, the batch chain refuses the batch or the challenge that the watcher builds
// convicts it. Batches and challenges run in simulated blocks after one parent, against the real contracts.
import { challengeCalldata } from "@tidemark/chain";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import {
  accuse,
  type Batch,
  type BatchCycle,
  decodeBatchData,
  decodePostBatch,
  encodePostBatch,
} from "@tidemark/settlement";
import type { Hex } from "viem";
import { signaturePort } from "../../packages/ledger/test/keys.ts";
import { forgeBatch, forgedOf } from "./forgery.ts";
import type { Planter } from "./fraud-planter.ts";
import type { SoundCycle } from "./history.ts";
import type { Simulation } from "./l1.ts";

const CHALLENGES_TRIED = 4;
const AT_ONCE = 64;

interface Case {
  what: string;
  post: Hex;
  /** As a reader of the posting transaction sees it; null: it cannot be read. */
  batch: { header: Batch["header"]; cycles: readonly BatchCycle[] } | null;
}

export interface BitCounts {
  refused: number;
  convicted: number;
}

export const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const changed = bytes.slice();
  changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
  return changed;
};

const postOf = (batch: Batch): Hex => bytesToHex(encodePostBatch(batch.header, batch.data));

/** What the watcher would send against the batch; none when it finds nothing wrong. */
function challengesOf(planter: Planter, batch: NonNullable<Case["batch"]>): Hex[] {
  const { state } = planter;
  state.mark();
  const accusation = accuse(state, batch, { signatures: signaturePort });
  const list: Hex[] = [];
  if (accusation !== null) {
    for (const challenge of accusation.challenges()) {
      list.push(challengeCalldata(challenge));
      if (list.length === CHALLENGES_TRIED) break;
    }
  }
  state.rollBack();
  return list;
}

async function tryAll(planter: Planter, cases: readonly Case[], timeMs: number): Promise<BitCounts> {
  const { l1 } = planter;
  const counts = { refused: 0, convicted: 0 };
  for (let from = 0; from < cases.length; from += AT_ONCE) {
    const part = cases.slice(from, from + AT_ONCE);
    const simulations = part.map(({ post, batch }): Simulation => {
      const challenges = batch === null ? [] : challengesOf(planter, batch);
      const { address } = l1.proposer;
      const call = { from: address, to: l1.deployment.batchChain, data: post, value: l1.bondWei };
      return { calls: [call, ...challenges.map((data) => l1.challengeCall(data))], timeMs };
    });
    const answers = await l1.simulate(simulations);
    part.forEach(({ what, post }, i) => {
      const [posted, ...challenges] = answers[i] ?? [];
      if (posted?.ok === false) counts.refused += 1;
      else if (challenges.some(({ ok }) => ok)) counts.convicted += 1;
      else throw new Error(`${what}: taken and not convicted (${challenges.length} challenges): ${post}`);
    });
  }
  return counts;
}

/** Bits of the payload, with the roots and the header that a right payload would have. */
export function payloadBits(planter: Planter, cycle: SoundCycle, bits: readonly number[]): Promise<BitCounts> {
  const cases = bits.map((bit): Case => {
    const wrong = { ...forgedOf(cycle), payload: flip(cycle.payload, bit) };
    const batch = planter.batchOf([wrong]);
    return {
      what: `${cycle.name} payload, bit ${bit}`,
      post: postOf(batch),
      batch: { header: batch.header, cycles: [wrong] },
    };
  });
  return tryAll(planter, cases, cycle.timeMs);
}

/** Bits of the root after the cycle. */
export function rootBits(planter: Planter, cycle: SoundCycle, bits: readonly number[]): Promise<BitCounts> {
  const cases = bits.map((bit): Case => {
    const wrong = { ...forgedOf(cycle), postRoot: bytesToHex(flip(hexToBytes(cycle.postRoot), bit)) };
    const batch = planter.batchOf([wrong]);
    return {
      what: `${cycle.name} root, bit ${bit}`,
      post: postOf(batch),
      batch: { header: batch.header, cycles: [wrong] },
    };
  });
  return tryAll(planter, cases, cycle.timeMs);
}

/** Bits of the posting call itself: selector, header, offset and length, heads of cycles, padding. */
export function callBits(planter: Planter, cycle: SoundCycle, bits: readonly number[]): Promise<BitCounts> {
  const right = forgeBatch(planter.l1.tip, [forgedOf(cycle)], planter.domain);
  const call = encodePostBatch(right.header, right.data);
  const cases = bits.map((bit): Case => {
    const bytes = flip(call, bit);
    const decoded = decodePostBatch(bytes);
    const data = decoded.ok ? decodeBatchData(decoded.data) : null;
    const batch =
      decoded.ok && data?.ok === true && data.cycles.length > 0
        ? { header: decoded.header, cycles: data.cycles }
        : null;
    return { what: `posting call, bit ${bit}`, post: bytesToHex(bytes), batch };
  });
  return tryAll(planter, cases, cycle.timeMs);
}

/** Bits of the call in which no payload lies. */
export function frameBits(planter: Planter, cycle: SoundCycle): number[] {
  const right = forgeBatch(planter.l1.tip, [forgedOf(cycle)], planter.domain);
  const call = encodePostBatch(right.header, right.data);
  const end = call.length - ((32 - (right.data.length % 32)) % 32);
  const payloadAt = end - cycle.payload.length;
  return Array.from({ length: 8 * call.length }, (_, bit) => bit).filter(
    (bit) => bit >> 3 < payloadAt || bit >> 3 >= end,
  );
}
