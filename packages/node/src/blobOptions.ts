// Where a command reads the blobs of batches.
import { dirname, join, resolve } from "node:path";
import type { BlobOptions } from "@tidemark/chain";

/** Archive of a folder that holds a deployment file. */
export const blobsIn = (folder: string): BlobOptions => ({ archivePath: join(folder, "blobs") });

/** The archive is beside the deployment file unless given; without a beacon node the L1's own is asked for what it lacks. */
export function blobOptions(flags: Record<string, unknown>): BlobOptions {
  const { blobs, beacon, deployment } = flags;
  const archivePath =
    blobs === undefined ? join(resolve(dirname(String(deployment))), "blobs") : resolve(String(blobs));
  return beacon === undefined ? { archivePath } : { archivePath, beaconUrl: String(beacon) };
}
