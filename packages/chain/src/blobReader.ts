// Reads blobs by their versioned hash: from an archive on disk, from a beacon node, or from an execution node that keeps them.
// None of them is trusted: what does not have the hash is not the blob. L1 nodes forget blobs after some 18 days, the archive
// does not.
import { mkdirSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hexToBytes } from "@tidemark/num";
import { BLOB_BYTES } from "@tidemark/settlement";
import type { Hex } from "viem";
import { ChainError, isTransportError, l1Error } from "./errors.ts";
import { loadKzg, versionedHashOf } from "./kzg.ts";

export interface BlobOptions {
  /** Beacon API of a consensus node. Absent: the execution node is asked itself, as the embedded L1 can be. */
  beaconUrl?: string;
  /** Folder of the archive; absent = none. */
  archivePath?: string;
}

export interface BlobRequest {
  versionedHash: Hex;
  /** Of the block that carries it. */
  blockTimestampSeconds: number;
}

export interface BlobReader {
  /** @throws ChainError BLOB_UNREADABLE */
  read(request: BlobRequest): Promise<Uint8Array>;
  /** Keeps a blob of one's own. @throws the error of the file system */
  keep(versionedHash: Hex, blob: Uint8Array): Promise<void>;
  /** Why the last blob that was read could not be archived; reading goes on without. */
  readonly archiveFailure: string | null;
}

type Rpc = (method: string, params: unknown[]) => Promise<unknown>;

const REQUEST_TIMEOUT_MS = 20_000;
/** Blobs that were just read are read again: by who summarises, compares, challenges. */
const KEPT_IN_MEMORY = 8;

async function versionedHashOfBlob(blob: Uint8Array): Promise<Hex | null> {
  const kzg = await loadKzg();
  try {
    return versionedHashOf(kzg.commitmentOf(blob));
  } catch {
    // An element at or above the modulus: no blob at all.
    return null;
  }
}

class VerifyingBlobReader implements BlobReader {
  archiveFailure: string | null = null;
  readonly #rpc: Rpc;
  readonly #options: BlobOptions;
  readonly #kept = new Map<Hex, Uint8Array>();
  #beacon: Promise<{ genesisSeconds: number; slotSeconds: number }> | null = null;

  constructor(rpc: Rpc, options: BlobOptions) {
    this.#rpc = rpc;
    this.#options = options;
  }

  async read(request: BlobRequest): Promise<Uint8Array> {
    const { versionedHash } = request;
    const kept = this.#kept.get(versionedHash);
    if (kept !== undefined) return kept;
    const archived = await this.#archived(versionedHash);
    const blob = archived ?? (await this.#asked(request));
    if (archived === null) {
      await this.#archive(versionedHash, blob).then(
        () => {
          this.archiveFailure = null;
        },
        (error: Error) => {
          this.archiveFailure = error.message;
        },
      );
    }
    this.#remember(versionedHash, blob);
    return blob;
  }

  async keep(versionedHash: Hex, blob: Uint8Array): Promise<void> {
    this.#remember(versionedHash, blob);
    await this.#archive(versionedHash, blob);
  }

  #remember(versionedHash: Hex, blob: Uint8Array): void {
    this.#kept.set(versionedHash, blob);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_IN_MEMORY) return;
      this.#kept.delete(oldest);
    }
  }

  #fileOf(versionedHash: Hex): string | null {
    const { archivePath } = this.#options;
    return archivePath === undefined ? null : join(archivePath, `${versionedHash}.blob`);
  }

  async #archived(versionedHash: Hex): Promise<Uint8Array | null> {
    const file = this.#fileOf(versionedHash);
    if (file === null) return null;
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await readFile(file));
    } catch {
      return null;
    }
    // A file that was changed is asked for anew.
    if (bytes.length !== BLOB_BYTES || (await versionedHashOfBlob(bytes)) !== versionedHash) return null;
    return bytes;
  }

  async #archive(versionedHash: Hex, blob: Uint8Array): Promise<void> {
    const { archivePath } = this.#options;
    const file = this.#fileOf(versionedHash);
    if (file === null || archivePath === undefined) return;
    mkdirSync(archivePath, { recursive: true });
    // Several processes may keep the same blob: the content is the same.
    const partial = `${file}.${process.pid}.partial`;
    await writeFile(partial, blob);
    await rename(partial, file);
  }

  async #asked(request: BlobRequest): Promise<Uint8Array> {
    const { versionedHash } = request;
    const answers =
      this.#options.beaconUrl === undefined ? await this.#fromNode(request) : await this.#fromBeacon(request);
    for (const answer of answers) {
      if (!/^0x[0-9a-fA-F]*$/.test(answer) || answer.length !== 2 + 2 * BLOB_BYTES) continue;
      const blob = hexToBytes(answer as Hex);
      if ((await versionedHashOfBlob(blob)) === versionedHash) return blob;
    }
    throw unreadable(versionedHash, `${answers.length} other blobs were shown`);
  }

  async #fromNode({ versionedHash }: BlobRequest): Promise<string[]> {
    let answer: unknown;
    try {
      answer = await this.#rpc("anvil_getBlobByHash", [versionedHash]);
    } catch (error) {
      if (isTransportError(error)) throw l1Error("blob", error);
      throw unreadable(versionedHash, "an execution node keeps no blobs, name a beacon node");
    }
    if (typeof answer !== "string") throw unreadable(versionedHash, "the node does not have it");
    return [answer];
  }

  async #fromBeacon({ versionedHash, blockTimestampSeconds }: BlobRequest): Promise<string[]> {
    this.#beacon ??= this.#beaconClock();
    const { genesisSeconds, slotSeconds } = await this.#beacon.catch((error) => {
      this.#beacon = null;
      throw error;
    });
    const slot = Math.floor((blockTimestampSeconds - genesisSeconds) / slotSeconds);
    const blobs = await this.#beaconGet(`/eth/v1/beacon/blobs/${slot}?versioned_hashes=${versionedHash}`);
    if (blobs !== null && Array.isArray(blobs)) return blobs.map(String);
    // Nodes of before the endpoint above.
    const sidecars = await this.#beaconGet(`/eth/v1/beacon/blob_sidecars/${slot}`);
    if (!Array.isArray(sidecars)) throw unreadable(versionedHash, `the beacon node has no blobs of slot ${slot}`);
    return sidecars.map((sidecar: { blob?: unknown }) => String(sidecar.blob));
  }

  async #beaconClock(): Promise<{ genesisSeconds: number; slotSeconds: number }> {
    const genesis = (await this.#beaconGet("/eth/v1/beacon/genesis")) as { genesis_time?: string } | null;
    const spec = (await this.#beaconGet("/eth/v1/config/spec")) as { SECONDS_PER_SLOT?: string } | null;
    const genesisSeconds = Number(genesis?.genesis_time);
    const slotSeconds = Number(spec?.SECONDS_PER_SLOT);
    if (Number.isSafeInteger(genesisSeconds) && slotSeconds > 0) return { genesisSeconds, slotSeconds };
    throw new ChainError("BLOB_UNREADABLE", `${this.#options.beaconUrl} does not answer as a beacon node`, {
      retryable: true,
    });
  }

  /** `data` of the answer; null for an error that the node answers with. */
  async #beaconGet(path: string): Promise<unknown> {
    const url = `${this.#options.beaconUrl?.replace(/\/+$/, "")}${path}`;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      if (!response.ok) return null;
      return ((await response.json()) as { data?: unknown }).data ?? null;
    } catch (cause) {
      throw new ChainError("L1_UNREACHABLE", `the beacon node at ${url} does not answer`, { cause, retryable: true });
    }
  }
}

function unreadable(versionedHash: Hex, why: string): ChainError {
  return new ChainError("BLOB_UNREADABLE", `blob ${versionedHash} cannot be read: ${why}`, {
    context: { versionedHash },
    retryable: true,
  });
}

export function createBlobReader(rpc: Rpc, options: BlobOptions = {}): BlobReader {
  return new VerifyingBlobReader(rpc, options);
}
