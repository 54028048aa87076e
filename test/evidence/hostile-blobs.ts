// A hostile challenger of right batches in blobs: other data, other points, other proofs, other elements. Openings are real ones of real
// blobs, so that only the contract's own computation stands between them and a conviction.
import { disputeAbi, type Kzg, versionedHashOf } from "@tidemark/chain";
import { BLOB_ELEMENTS, type Hash } from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import { type BlobOpening, challengePoint, elementAt, openData, openElement, openPoint } from "@tidemark/settlement";
import { type Abi, encodeFunctionData, type Hex } from "viem";
import type { Random } from "../../packages/ledger/test/random.ts";
import type { InBlob } from "./fraud-blobs.ts";
import { flipped } from "./witness.ts";

/** Order of the scalar field. */
const MODULUS = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;
const OPENED_ELEMENTS = 6;
const OTHER_DATA = 8;

export interface BlobAttempt {
  class: string;
  data: Hex;
}

/** All that a challenger can open of one right batch. */
export interface OpenedBlob {
  right: InBlob;
  /** At the point of its own data. */
  own: BlobOpening;
  /** Other data of the same length, and the blob opened at their point: the proof is right, the value is not theirs. */
  others: { data: Uint8Array; opening: BlobOpening }[];
  elements: { index: number; value: bigint; opening: BlobOpening }[];
}

export function opened(kzg: Kzg, right: InBlob, random: Random): OpenedBlob {
  const { batch, blob } = right;
  const { dataHash } = batch.header;
  if (versionedHashOf(kzg.commitmentOf(blob) as Hex) !== dataHash) throw new Error("a batch in another blob");
  const others = Array.from({ length: OTHER_DATA }, () => {
    const data = flipped(batch.data, random);
    return { data, opening: openPoint(kzg, blob, challengePoint(dataHash, data)) };
  });
  const last = Math.ceil(batch.data.length / 31) - 1;
  const indices = [0, last, last + 1, BLOB_ELEMENTS - 1];
  while (indices.length < OPENED_ELEMENTS) indices.push(random.integer(0, last));
  const elements = indices.map((index) => ({
    index,
    value: elementAt(blob, index),
    opening: openElement(kzg, blob, index),
  }));
  return { right, own: openData(kzg, dataHash, batch.data), others, elements };
}

const call = (functionName: string, args: readonly unknown[]): Hex =>
  encodeFunctionData({ abi: disputeAbi as Abi, functionName, args });
const dataCall = ({ right }: OpenedBlob, data: Uint8Array, { commitment, proof }: BlobOpening): Hex =>
  call("challengeBlob", [right.batch.header, bytesToHex(data), commitment, proof]);
const elementCall = ({ right }: OpenedBlob, index: number | bigint, value: bigint, opening: BlobOpening): Hex =>
  call("challengeBlobElement", [right.batch.header, BigInt(index), value, opening.commitment, opening.proof]);

/** What is asked first of a right batch: every check is done, nothing is found. */
export const rightChallenges = (one: OpenedBlob): Hex[] => [
  dataCall(one, one.right.batch.data, one.own),
  ...one.elements.map(({ index, value, opening }) => elementCall(one, index, value, opening)),
];

const flippedWord = (word: Hash, random: Random): Hash => bytesToHex(flipped(hexToBytes(word), random));

function changedOpening(opening: BlobOpening, random: Random): BlobOpening {
  const place = random.pick(["commitment", "proof"] as const);
  return { ...opening, [place]: flippedWord(opening[place], random) };
}

type Attack = (one: OpenedBlob, all: readonly OpenedBlob[], random: Random) => Hex;
const ATTACKS: readonly (readonly [string, Attack])[] = [
  ["blob: nothing changed", (one, _, random) => random.pick(rightChallenges(one))],
  [
    "blob: other data, right opening",
    (one, _, random) => dataCall(one, flipped(one.right.batch.data, random), one.own),
  ],
  [
    "blob: other data, the blob opened at their point",
    (one, _, random) => {
      const { data, opening } = random.pick(one.others);
      return dataCall(one, data, opening);
    },
  ],
  [
    "blob: right data, opened at another point",
    (one, _, random) => dataCall(one, one.right.batch.data, random.pick(one.others).opening),
  ],
  [
    "blob: data of another length",
    (one, _, random) => {
      const { data } = one.right.batch;
      const cut = random.pick([data.slice(0, -1), Uint8Array.of(...data, 0), new Uint8Array(0), data.slice(1)]);
      return dataCall(one, cut, one.own);
    },
  ],
  [
    "blob: commitment or proof changed",
    (one, _, random) => dataCall(one, one.right.batch.data, changedOpening(one.own, random)),
  ],
  [
    "blob: opening of another blob",
    (one, all, random) => {
      const other = random.pick(all);
      const data = random.chance(0.5) ? one.right.batch.data : other.right.batch.data;
      return dataCall(one, data, other === one ? (one.others[0]?.opening ?? one.own) : other.own);
    },
  ],
  [
    "blob: header changed",
    (one, _, random) => {
      const { header, data } = one.right.batch;
      const changed = random.pick([
        { ...header, dataLength: header.dataLength + random.pick([-31, -1, 1, 31]) },
        { ...header, cyclesRoot: flippedWord(header.cyclesRoot, random) },
        { ...header, postStateRoot: flippedWord(header.postStateRoot, random) },
        { ...header, dataHash: flippedWord(header.dataHash, random) },
        { ...header, cycleCount: header.cycleCount + 1 },
        { ...header, dataMode: 0 },
      ]);
      return call("challengeBlob", [changed, bytesToHex(data), one.own.commitment, one.own.proof]);
    },
  ],
  [
    "blob element: another value",
    (one, _, random) => {
      const { index, value, opening } = random.pick(one.elements);
      const wrong = random.pick([value + 1n, value ^ (1n << BigInt(random.integer(0, 254))), 1n << 248n, 0n]);
      return elementCall(one, index, wrong === value ? value + 1n : wrong, opening);
    },
  ],
  [
    "blob element: the value and the modulus",
    (one, _, random) => {
      const { index, value, opening } = random.pick(one.elements);
      return elementCall(one, index, value + MODULUS * BigInt(random.integer(1, 2)), opening);
    },
  ],
  [
    "blob element: of another index",
    (one, _, random) => {
      const { index, value, opening } = random.pick(one.elements);
      const other = random.pick([index + 1, BLOB_ELEMENTS + index, BLOB_ELEMENTS - 1 - index, 2 ** 32 + index]);
      return elementCall(one, other === index ? index + 1 : other, value, opening);
    },
  ],
  [
    "blob element: commitment or proof changed",
    (one, _, random) => {
      const { index, value, opening } = random.pick(one.elements);
      return elementCall(one, index, value, changedOpening(opening, random));
    },
  ],
  [
    "blob element: opening of the data",
    (one, _, random) => {
      const { index, value } = random.pick(one.elements);
      return elementCall(one, index, value, one.own);
    },
  ],
];

export function hostileBlobChallenge(all: readonly OpenedBlob[], random: Random): BlobAttempt {
  const one = random.pick(all);
  const [name, attack] = random.pick(ATTACKS);
  return { class: name, data: attack(one, all, random) };
}
