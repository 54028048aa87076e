// KZG commitments by c-kzg compiled to WebAssembly. Loading takes seconds (the trusted setup), so it happens once and only where
// a blob is met.
import { createHash } from "node:crypto";
import { hexToBytes } from "@tidemark/num";
import type { KzgPort } from "@tidemark/settlement";
import { loadKZG } from "kzg-wasm";
import { bytesToHex, type Hex } from "viem";
import { ChainError } from "./errors.ts";

/** First byte of a versioned hash of EIP-4844. */
const VERSION = "01";

export interface Kzg extends KzgPort {
  /** Proof that a transaction carries beside its blob. */
  proofOf(blob: Uint8Array, commitment: Hex): Hex;
}

let loading: Promise<Kzg> | null = null;
let loaded: Kzg | null = null;

async function load(): Promise<Kzg> {
  const library = await loadKZG();
  const lowerCase = (text: string): Hex => text.toLowerCase() as Hex;
  loaded = {
    commitmentOf: (blob) => lowerCase(library.blobToKZGCommitment(bytesToHex(blob))),
    proofOf: (blob, commitment) => lowerCase(library.computeBlobKZGProof(bytesToHex(blob), commitment)),
  };
  return loaded;
}

/** The same library for everybody in this process. */
export function loadKzg(): Promise<Kzg> {
  loading ??= load();
  return loading;
}

/** For code that meets a blob only after somebody awaited `loadKzg` to read it. */
export const deferredKzg: KzgPort = {
  commitmentOf(blob) {
    if (loaded !== null) return loaded.commitmentOf(blob);
    throw new ChainError("BLOB_UNREADABLE", "the KZG library is not loaded yet", { retryable: true });
  },
};

export function versionedHashOf(commitment: Hex): Hex {
  const digest = createHash("sha256").update(hexToBytes(commitment)).digest("hex");
  return `0x${VERSION}${digest.slice(2)}`;
}
