// Single wrong bits: whatever bit of a right batch is wrong, the batch chain refuses the batch or the challenge that the watcher builds
// convicts it. Batches and challenges run in simulated blocks after one parent, against the real contracts.
import { challengeCalldata } from "@tidemark/chain";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import {
  accuse,
  type Batch,
  type BatchCycle,
  type Challenge,
  decodeBatchData,
  decodePostBatch,
  encodePostBatch,
} from "@tidemark/settlement";
import { signaturePort } from "../../packages/ledger/test/keys.ts";
import { type ForgedCycle, forgeBatch, forgedOf } from "./forgery.ts";
import type { Planter } from "./fraud-planter.ts";
import type { SoundCycle } from "./history.ts";
import type { SimulatedCall, Simulation } from "./l1.ts";

const CHALLENGES_TRIED = 4;
const AT_ONCE = 64;

export interface Case {
  what: string;
  post: SimulatedCall;
  /** What the watcher would send against the batch, in its order; none when it finds nothing wrong or cannot read it. */
  challenges: () => Iterable<Challenge>;
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

type ReadBatch = { header: Batch["header"]; cycles: readonly BatchCycle[] };

/** What the watcher would send against a batch whose data it has. */
export function challengesOf(planter: Planter, batch: ReadBatch): Challenge[] {
  const { state } = planter;
  state.mark();
  const accusation = accuse(state, batch, { signatures: signaturePort });
  const list = accusation === null ? [] : firstOf(accusation.challenges());
  state.rollBack();
  return list;
}

function firstOf(challenges: Iterable<Challenge>): Challenge[] {
  const list: Challenge[] = [];
  for (const challenge of challenges) {
    list.push(challenge);
    if (list.length === CHALLENGES_TRIED) break;
  }
  return list;
}

/** Every case is refused or convicted. @throws Error for one that is not */
export async function tryAll(planter: Planter, cases: readonly Case[], timeMs: number): Promise<BitCounts> {
  const { l1 } = planter;
  const counts = { refused: 0, convicted: 0 };
  for (let from = 0; from < cases.length; from += AT_ONCE) {
    const part = cases.slice(from, from + AT_ONCE);
    const simulations = part.map(({ post, challenges }): Simulation => {
      const calls = firstOf(challenges()).map((challenge) => l1.challengeCall(challengeCalldata(challenge)));
      return { calls: [post, ...calls], timeMs };
    });
    const answers = await l1.simulate(simulations);
    part.forEach(({ what, post }, i) => {
      const [posted, ...challenges] = answers[i] ?? [];
      if (posted?.ok === false) counts.refused += 1;
      else if (challenges.some(({ ok }) => ok)) counts.convicted += 1;
      else throw new Error(`${what}: taken and not convicted (${challenges.length} challenges): ${post.data}`);
    });
  }
  return counts;
}

function caseOf(planter: Planter, what: string, wrong: ForgedCycle): Case {
  const batch = planter.batchOf([wrong]);
  const read = { header: batch.header, cycles: [wrong] };
  return { what, post: planter.l1.postCall(batch), challenges: () => challengesOf(planter, read) };
}

/** Bits of the payload, with the roots and the header that a right payload would have. */
export function payloadBits(planter: Planter, cycle: SoundCycle, bits: readonly number[]): Promise<BitCounts> {
  const cases = bits.map((bit) => {
    const wrong = { ...forgedOf(cycle), payload: flip(cycle.payload, bit) };
    return caseOf(planter, `${cycle.name} payload, bit ${bit}`, wrong);
  });
  return tryAll(planter, cases, cycle.timeMs);
}

/** Bits of the root after the cycle. */
export function rootBits(planter: Planter, cycle: SoundCycle, bits: readonly number[]): Promise<BitCounts> {
  const cases = bits.map((bit) => {
    const wrong = { ...forgedOf(cycle), postRoot: bytesToHex(flip(hexToBytes(cycle.postRoot), bit)) };
    return caseOf(planter, `${cycle.name} root, bit ${bit}`, wrong);
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
    const post = { ...planter.l1.postCall(right), data: bytesToHex(bytes) };
    return {
      what: `posting call, bit ${bit}`,
      post,
      challenges: () => (batch === null ? [] : challengesOf(planter, batch)),
    };
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
