// Single wrong bits of a batch in a blob: of the call that posts it, and of the blob itself.
import type { Kzg } from "@tidemark/chain";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import {
  blobChallenge,
  blobFault,
  type Challenge,
  decodeBatchData,
  decodePost,
  encodePostBatchBlob,
} from "@tidemark/settlement";
import type { Random } from "../../packages/ledger/test/random.ts";
import { type BitCounts, type Case, challengesOf, flip, tryAll } from "./fraud-bits.ts";
import { type InBlob, inItsBlob, postInBlobCall } from "./fraud-blobs.ts";
import type { Planter } from "./fraud-planter.ts";

/** Openings by blob and data: the headers of one blob differ in what they say of it, hundreds of times. */
type Openings = Map<string, Challenge[]>;

/** As the watcher reads a posting transaction and its blob. */
function challengesOfPost(
  planter: Planter,
  kzg: Kzg,
  calldata: Uint8Array,
  blob: Uint8Array,
  openings: Openings,
): Challenge[] {
  const call = decodePost(calldata, blob);
  if (call.header === null) return [];
  const { header } = call;
  const named = { header, blob };
  if (blobFault(named) !== null) {
    const key = `${header.dataHash} ${header.dataLength}`;
    const known = openings.get(key) ?? [...blobChallenge(named, kzg)];
    openings.set(key, known);
    return known.map((challenge) => ({ ...challenge, header }));
  }
  if (!call.ok) return [];
  return challengesOf(planter, { header: call.header, cycles: decodeBatchData(call.data).cycles });
}

export const callBitsOf = ({ batch }: InBlob): number => 8 * encodePostBatchBlob(batch.header).length;

/** Bits of postBatchBlob's calldata: selector and header. The blob is the right one. */
export function blobCallBits(planter: Planter, kzg: Kzg, right: InBlob, bits: readonly number[]): Promise<BitCounts> {
  const post = postInBlobCall(planter, right);
  const bytes = hexToBytes(post.data);
  const openings: Openings = new Map();
  const cases = bits.map((bit): Case => {
    const wrong = flip(bytes, bit);
    return {
      what: `posting call of a blob, bit ${bit}`,
      post: { ...post, data: bytesToHex(wrong) },
      challenges: () => challengesOfPost(planter, kzg, wrong, right.blob, openings),
    };
  });
  return tryAll(planter, cases, right.batch.header.timeMs);
}

/** Half of them of the data, half anywhere. */
export function someBlobBits(random: Random, { batch, blob }: InBlob, count: number): number[] {
  const elements = Math.ceil(batch.header.dataLength / 31);
  return Array.from({ length: count }, (_, i) => {
    const bytes = i % 2 === 0 ? 32 * elements : blob.length;
    return random.integer(0, 8 * bytes - 1);
  });
}

/** Bits of the blob, below a header that names the wrong blob and says of its data what is true of the right one. */
export async function blobBits(planter: Planter, kzg: Kzg, right: InBlob, bits: readonly number[]): Promise<BitCounts> {
  const sum = { refused: 0, convicted: 0 };
  const cases: Case[] = [];
  for (const bit of bits) {
    const blob = flip(right.blob, bit);
    let wrong: InBlob;
    try {
      wrong = inItsBlob(kzg, right.batch, blob);
    } catch {
      // An element at or above the modulus: the L1 knows no such blob.
      sum.refused += 1;
      continue;
    }
    const calldata = encodePostBatchBlob(wrong.batch.header);
    cases.push({
      what: `blob, bit ${bit}`,
      post: postInBlobCall(planter, wrong),
      challenges: () => challengesOfPost(planter, kzg, calldata, blob, new Map()),
    });
  }
  const { refused, convicted } = await tryAll(planter, cases, right.batch.header.timeMs);
  return { refused: sum.refused + refused, convicted: sum.convicted + convicted };
}
