// A unit of single bits: which cycles of a stream, and which of their bits.
import { decodeCycle } from "@tidemark/ledger";
import { Random } from "../../packages/ledger/test/random.ts";
import { forgedOf } from "./forgery.ts";
import { type BitCounts, callBits, frameBits, payloadBits, rootBits } from "./fraud-bits.ts";
import { blobBits, blobCallBits, callBitsOf, someBlobBits } from "./fraud-blob-bits.ts";
import { cachedKzg, inItsBlob } from "./fraud-blobs.ts";
import { Planter } from "./fraud-planter.ts";
import { payloadOf } from "./fraud-recipes.ts";
import { L1Stream, queueFor, type SoundCycle } from "./history.ts";
import { EvidenceL1 } from "./l1.ts";
import { nextCycle } from "./recipes.ts";
import type { UnitRecord } from "./run.ts";

/** Beyond it a payload's bits are sampled. */
const EXHAUSTIVE_BYTES = 640;
const SAMPLED_BITS = { long: 2_000, sample: 12 };
/** Of a blob: each takes two commitments, a second and more. */
const BLOB_BITS = 32;
const STEPS = { long: 240, sample: 12 };
const ROOT_BITS = 256;

type Length = "long" | "sample";

function bitsOf(random: Random, count: number, length: Length): number[] {
  const all = Array.from({ length: count }, (_, bit) => bit);
  if (length === "long" && count <= 8 * EXHAUSTIVE_BYTES) return all;
  return Array.from({ length: Math.min(count, SAMPLED_BITS[length]) }, () => random.integer(0, count - 1));
}

function addBits(unit: UnitRecord, what: string, tried: number, counts: BitCounts): void {
  unit.attempts += tried;
  unit.counts[`bits ${what}: tried`] = (unit.counts[`bits ${what}: tried`] ?? 0) + tried;
  unit.counts[`bits ${what}: refused`] = (unit.counts[`bits ${what}: refused`] ?? 0) + counts.refused;
  unit.counts[`bits ${what}: convicted`] = (unit.counts[`bits ${what}: convicted`] ?? 0) + counts.convicted;
}

/** Kind, with what else decides which bytes a payload has. */
function formOf(payload: Uint8Array, domain: number): string {
  const decoding = decodeCycle(payload, domain);
  if (!decoding.ok) throw new Error(`a sound cycle does not decode: ${decoding.what}`);
  const { cycle } = decoding;
  if (cycle.kind === "auction" || cycle.kind === "credit") return `${cycle.kind} ${cycle.op}`;
  if (cycle.kind === "inbound") return `inbound ${cycle.entries[0]?.type}`;
  return cycle.kind;
}

/** The smallest sound cycle of each form, in order of the history. */
function smallest(sound: readonly SoundCycle[], domain: number): number[] {
  const best = new Map<string, number>();
  sound.forEach(({ payload, moved }, i) => {
    if (moved !== null) return;
    const form = formOf(payload, domain);
    const known = sound[best.get(form) ?? -1];
    if (known === undefined || payload.length < known.payload.length) best.set(form, i);
  });
  return [...best.values()].sort((a, b) => a - b);
}

async function cycleBits(planter: Planter, cycle: SoundCycle, unit: UnitRecord, random: Random, length: Length) {
  const payload = bitsOf(random, 8 * cycle.payload.length, length);
  addBits(unit, `payload ${cycle.name}`, payload.length, await payloadBits(planter, cycle, payload));
  const root = bitsOf(random, ROOT_BITS, length);
  addBits(unit, `root ${cycle.name}`, root.length, await rootBits(planter, cycle, root));
}

/** Of the same cycle in calldata and in a blob. */
async function postingBits(planter: Planter, cycle: SoundCycle, unit: UnitRecord, random: Random, length: Length) {
  const frame = frameBits(planter, cycle);
  const chosen = length === "long" ? frame : bitsOf(random, frame.length, length).map((i) => frame[i] as number);
  addBits(unit, "header and frame of the call", chosen.length, await callBits(planter, cycle, chosen));
  // Loading the library takes longer than a sample may; packages/chain/test/blobs.test.ts has it anyway.
  if (length === "sample") return;
  const kzg = await cachedKzg();
  const right = inItsBlob(kzg, planter.batchOf([forgedOf(cycle)]));
  const call = bitsOf(random, callBitsOf(right), length);
  addBits(unit, "header in the call of a blob", call.length, await blobCallBits(planter, kzg, right, call));
  const blob = someBlobBits(random, right, BLOB_BITS);
  addBits(unit, "blob", blob.length, await blobBits(planter, kzg, right, blob));
}

/** Every bit of one cycle of each kind and form, and of its root; of the last one every bit of the posting calls around it. */
export async function bits(seed: number, unit: UnitRecord, length: Length): Promise<void> {
  const l1 = await EvidenceL1.start();
  const stream = new L1Stream(new Random(seed), l1.deployment.parameters);
  const planter = await Planter.start(l1, stream.kept);
  try {
    stream.setUp();
    for (let step = 0; step < STEPS[length]; step++) {
      const cycle = nextCycle(stream, new Set(), 0.05);
      if (cycle !== null) stream.apply(payloadOf(cycle));
    }
    const random = new Random(seed + 1);
    const { sound } = stream.kept;
    const chosenCycles = smallest(sound, planter.domain);
    for (const index of chosenCycles) {
      await planter.followTo(index);
      const cycle = sound[index] as SoundCycle;
      await queueFor(l1, [cycle]);
      await cycleBits(planter, cycle, unit, random, length);
      if (index === chosenCycles.at(-1)) await postingBits(planter, cycle, unit, random, length);
    }
  } finally {
    await planter.close();
    await l1.stop();
  }
}
