// What is wrong with a batch's blob, and the call that shows it (docs/spec/settlement.md, Blobs).
import { BATCH_VERSION, type BatchHeader, cyclesRoot, DATA_MODE_BLOB, decodeBatchData } from "./batch.ts";
import { elementAt, type KzgPort, openData, openElement, unpackBlob } from "./blob.ts";
import type { Challenge } from "./challenge.ts";

/** A blob that is the one that the header names. */
export interface NamedBlob {
  header: BatchHeader;
  blob: Uint8Array;
}

/** Why the blob is not what its header says, in words; null when it is. */
export function blobFault({ header, blob }: NamedBlob): string | null {
  const unpacked = unpackBlob(blob, header.dataLength);
  if (!unpacked.ok) return `element ${unpacked.index} of the blob is none of ${header.dataLength} bytes of data`;
  const decoded = decodeBatchData(unpacked.data);
  if (!decoded.ok) return `the blob's data: ${decoded.detail}`;
  const { cycles } = decoded;
  if (cycles.length !== header.cycleCount) {
    return `the blob holds ${cycles.length} cycles, the header says ${header.cycleCount}`;
  }
  const last = cycles[cycles.length - 1];
  if (last === undefined) return "the blob holds no cycles";
  if (cyclesRoot(cycles) !== header.cyclesRoot) return "the blob's cycles are not the ones of the header's cyclesRoot";
  if (last.postRoot !== header.postStateRoot) return "the blob's last root is not the header's postStateRoot";
  return null;
}

/** The challenge of a blob that is wrong. */
export function* blobChallenge({ header, blob }: NamedBlob, kzg: KzgPort): Generator<Challenge> {
  const unpacked = unpackBlob(blob, header.dataLength);
  if (unpacked.ok) {
    const { data } = unpacked;
    yield { face: "blob", header, data, opening: openData(kzg, header.dataHash, data) };
    return;
  }
  const { index } = unpacked;
  const opening = openElement(kzg, blob, index);
  yield { face: "blobElement", header, index, value: elementAt(blob, index), opening };
}

/** Whether the chain holds the batch as one in a blob: what its header says of it can be challenged. */
export const isBlobHeader = ({ version, dataMode }: BatchHeader): boolean =>
  version === BATCH_VERSION && dataMode === DATA_MODE_BLOB;
