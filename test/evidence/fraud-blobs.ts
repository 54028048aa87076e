// Batches in blobs that are not what their header says, in real blob transactions of the embedded L1; and what the batch chain refuses
// of them when they are posted.
import { createHash } from "node:crypto";
import { type Kzg, loadKzg, versionedHashOf } from "@tidemark/chain";
import { BLOB_BATCH_BYTES_MAX, CYCLE_BYTES_MAX } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type Batch,
  type BatchHeader,
  BLOB_BYTES,
  CYCLE_HEAD_BYTES,
  DATA_MODE_CALLDATA,
  encodePostBatch,
  encodePostBatchBlob,
  hashHeader,
  inBlob,
  packBlob,
} from "@tidemark/settlement";
import type { Hex } from "viem";
import { type ForgedCycle, forgeBatch, forgedOf } from "./forgery.ts";
import { type BLOB_FRAUDS, type BLOB_REFUSALS, UNDECODABLE_IN_BLOB } from "./fraud-plan.ts";
import type { Planter } from "./fraud-planter.ts";
import type { SoundCycle } from "./history.ts";
import type { SimulatedCall } from "./l1.ts";

const WRONG: Hex = `0x${"5a".repeat(32)}`;
const OTHER_BLOB: Hex = `0x01${"ab".repeat(31)}`;
const ELEMENT_BYTES = 32;
/** A frame of a cycle without payload. */
const EMPTY_CYCLE = new Uint8Array(36);

export interface InBlob {
  batch: Batch;
  blob: Uint8Array;
}

/** The library, with the commitments of this process kept: bits of one header open one blob again and again. */
export async function cachedKzg(): Promise<Kzg> {
  const kzg = await loadKzg();
  const known = new Map<string, Hex>();
  return {
    ...kzg,
    commitmentOf(blob) {
      const key = createHash("sha256").update(blob).digest("hex");
      const commitment = known.get(key) ?? (kzg.commitmentOf(blob) as Hex);
      known.set(key, commitment);
      return commitment;
    },
  };
}

/** The batch with its data in a blob, which may be another than theirs. */
export function inItsBlob(kzg: Kzg, batch: Batch, blob = packBlob(batch.data)): InBlob {
  return { batch: inBlob(batch, versionedHashOf(kzg.commitmentOf(blob) as Hex)), blob };
}

function withHeader(batch: Batch, changes: Partial<BatchHeader>): Batch {
  const header = { ...batch.header, ...changes };
  return { header, batchHash: hashHeader(header), data: batch.data };
}

const withData = (batch: Batch, data: Uint8Array, changes: Partial<BatchHeader> = {}): Batch => ({
  ...withHeader(batch, { dataLength: data.length, ...changes }),
  data,
});

function withByte(data: Uint8Array, at: number, value: number): Uint8Array {
  const blob = packBlob(data);
  blob[at] = value;
  return blob;
}

function longCycle(): Uint8Array {
  const cycle = new Uint8Array(CYCLE_HEAD_BYTES + CYCLE_BYTES_MAX + 1).fill(1);
  new DataView(cycle.buffer).setUint32(0, CYCLE_BYTES_MAX + 1, false);
  return cycle;
}

interface BlobPosting {
  kzg: Kzg;
  /** Right and next, of two cycles, its data in calldata. */
  batch: Batch;
  /** The same tip with other cycles. */
  forge(cycles: readonly ForgedCycle[]): Batch;
  cycles: readonly [SoundCycle, SoundCycle];
}

type Build = (posting: BlobPosting) => InBlob;
const changedHeader =
  (change: (header: BatchHeader) => Partial<BatchHeader>): Build =>
  ({ kzg, batch }) =>
    inItsBlob(kzg, withHeader(batch, change(batch.header)));
const changedData =
  (
    change: (data: Uint8Array) => Uint8Array,
    header: (header: BatchHeader) => Partial<BatchHeader> = () => ({}),
  ): Build =>
  ({ kzg, batch }) =>
    inItsBlob(kzg, withData(batch, change(batch.data), header(batch.header)));
const changedBlob =
  (change: (data: Uint8Array) => Uint8Array): Build =>
  ({ kzg, batch }) =>
    inItsBlob(kzg, batch, change(batch.data));

/** By the fraud that each makes. */
export const BLOB_BUILDS: Readonly<Record<(typeof BLOB_FRAUDS)[number] | typeof UNDECODABLE_IN_BLOB, Build>> = {
  "another cycles root than the blob's": changedHeader(() => ({ cyclesRoot: WRONG })),
  "another last root than the blob's": changedHeader(() => ({ postStateRoot: WRONG })),
  "a cycle more than in the blob": changedHeader(({ cycleCount }) => ({ cycleCount: cycleCount + 1 })),
  "a cycle fewer than in the blob": changedHeader(({ cycleCount }) => ({ cycleCount: cycleCount - 1 })),
  "more bytes than in the blob": changedHeader(({ dataLength }) => ({ dataLength: dataLength + 40 })),
  "fewer bytes than in the blob": changedHeader(({ dataLength }) => ({ dataLength: dataLength - 33 })),
  "a last cycle cut short": changedData((data) => data.slice(0, -1)),
  "bytes behind the last cycle": changedData((data) => Uint8Array.of(...data, ...new Uint8Array(40).fill(1))),
  "a cycle without payload": changedData(
    (data) => Uint8Array.of(...EMPTY_CYCLE, ...data),
    ({ cycleCount }) => ({ cycleCount: cycleCount + 1 }),
  ),
  "a cycle longer than one may be": changedData(
    (data) => Uint8Array.of(...longCycle(), ...data),
    ({ cycleCount }) => ({ cycleCount: cycleCount + 1 }),
  ),
  "no data at all": changedData(() => new Uint8Array(0)),
  "an element that is more than 31 bytes": changedBlob((data) => withByte(data, ELEMENT_BYTES, 0x11)),
  "the last element not zero": changedBlob((data) => withByte(data, BLOB_BYTES - 1, 1)),
  "another time than the state's": changedHeader(({ timeMs }) => ({ timeMs: timeMs - 1 })),
  "a wrong root of a cycle": ({ kzg, forge, cycles: [first, last] }) =>
    inItsBlob(kzg, forge([forgedOf(first), { ...forgedOf(last), postRoot: WRONG }])),
  [UNDECODABLE_IN_BLOB]: ({ kzg, forge, cycles: [first, last] }) =>
    inItsBlob(kzg, forge([{ ...forgedOf(first), payload: Uint8Array.of(1, 77) }, forgedOf(last)])),
};

/** A call that posts the header, and the blobs that its transaction carries. */
function blobCall(planter: Planter, { batch }: InBlob, hashes: readonly Hex[]): SimulatedCall {
  const { l1 } = planter;
  const data = bytesToHex(encodePostBatchBlob(batch.header));
  return { ...l1.postCall(batch), data, blobVersionedHashes: hashes };
}

export const postInBlobCall = (planter: Planter, posting: InBlob): SimulatedCall =>
  blobCall(planter, posting, [posting.batch.header.dataHash]);

export const REFUSED_CALLS: Readonly<
  Record<(typeof BLOB_REFUSALS)[number], { error: string; call: (planter: Planter, right: InBlob) => SimulatedCall }>
> = {
  "the hash of another blob": {
    error: "DataHashMismatch",
    call: (planter, right) => blobCall(planter, right, [OTHER_BLOB]),
  },
  "two blobs": {
    error: "BlobCountNotOne",
    call: (planter, right) => blobCall(planter, right, [right.batch.header.dataHash, OTHER_BLOB]),
  },
  "more data than a challenge carries": {
    error: "DataTooLong",
    call: (planter, right) => {
      const batch = withHeader(right.batch, { dataLength: BLOB_BATCH_BYTES_MAX + 1 });
      return postInBlobCall(planter, { ...right, batch });
    },
  },
  "calldata behind the header": {
    error: "CalldataNotCanonical",
    call: (planter, right) => {
      const call = postInBlobCall(planter, right);
      return { ...call, data: `${call.data}00` };
    },
  },
  "the mode of calldata": {
    error: "DataModeUnknown",
    call: (planter, right) => {
      const batch = withHeader(right.batch, { dataMode: DATA_MODE_CALLDATA });
      return postInBlobCall(planter, { ...right, batch });
    },
  },
  "the mode of blobs with its data in calldata": {
    error: "DataModeUnknown",
    call: (planter, { batch }) => {
      const data = bytesToHex(encodePostBatch(batch.header, batch.data));
      return { ...planter.l1.postCall(batch), data };
    },
  },
};

/** What the frauds start from. */
export function blobPosting(planter: Planter, kzg: Kzg, cycles: readonly [SoundCycle, SoundCycle]): BlobPosting {
  const forge = (forged: readonly ForgedCycle[]): Batch => forgeBatch(planter.l1.tip, forged, planter.domain);
  return { kzg, batch: forge(cycles.map(forgedOf)), forge, cycles };
}
