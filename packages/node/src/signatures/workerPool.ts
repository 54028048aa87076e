// Batches of signatures in worker threads. Bytes travel in one shared buffer per batch; results are written in place.

import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { Address } from "@tidemark/ledger";
import { native } from "./native.ts";
import { addressOfPublicKey, DIGEST_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, splitCompact } from "./port.ts";
import { signer } from "./signer.ts";

// One item: digest, plain r ‖ s, y parity (0, 1, or 2 = form invalid), found flag, public key.
const PARITY_AT = DIGEST_BYTES + SIGNATURE_BYTES;
const FOUND_AT = PARITY_AT + 1;
const PUBLIC_KEY_AT = FOUND_AT + 1;
const ITEM_BYTES = PUBLIC_KEY_AT + PUBLIC_KEY_BYTES;
const FORM_INVALID = 2;

/**
 * Measured: a hand-over costs the caller some 100 µs and 15 to 20 µs a signature, recovering here 60 to 90 µs each. Below
 * this number it frees nothing.
 */
export const BATCH_MIN = 8;

// Text and not a module: it must start from TypeScript sources and from dist/ alike, and needs nothing but the binding.
const WORKER_SOURCE = `
const { parentPort, workerData } = require("node:worker_threads");
const binding = require(workerData.bindingPath);
parentPort.on("message", ({ buffer, from, to }) => {
  const bytes = new Uint8Array(buffer);
  for (let item = from; item < to; item++) {
    const at = item * ${ITEM_BYTES};
    const parity = bytes[at + ${PARITY_AT}];
    if (parity === ${FORM_INVALID}) continue;
    try {
      const key = bytes.subarray(at + ${PUBLIC_KEY_AT}, at + ${ITEM_BYTES});
      const plain = bytes.slice(at + ${DIGEST_BYTES}, at + ${PARITY_AT});
      key.set(binding.ecdsaRecover(plain, parity, bytes.slice(at, at + ${DIGEST_BYTES}), false));
      bytes[at + ${FOUND_AT}] = 1;
    } catch {
      bytes[at + ${FOUND_AT}] = 0;
    }
  }
  parentPort.postMessage(0);
});
`;

interface Job {
  resolve: () => void;
  reject: (cause: Error) => void;
}

class PoolWorker {
  readonly #worker: Worker;
  /** A worker answers in order, so the oldest job is the one that is done. */
  readonly #jobs: Job[] = [];
  #ended: Error | null = null;

  constructor(bindingPath: string) {
    this.#worker = new Worker(WORKER_SOURCE, { eval: true, workerData: { bindingPath } });
    this.#worker.unref();
    this.#worker.on("message", () => this.#jobs.shift()?.resolve());
    this.#worker.on("error", (cause) => this.#fail(cause));
    this.#worker.on("exit", (code) => this.#fail(new Error(`signature worker ended with code ${code}`)));
  }

  run(buffer: SharedArrayBuffer, from: number, to: number): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise<void>((resolve, reject) => {
      this.#jobs.push({ resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ buffer, from, to });
    }).then(() => {
      // An idle pool must not keep the process alive.
      if (this.#jobs.length === 0) this.#worker.unref();
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(cause: Error): void {
    this.#ended = cause;
    for (const job of this.#jobs.splice(0)) job.reject(cause);
  }
}

/** Recovers signers of batches. With no worker, no native binding or a short batch the work happens in the caller. */
export class SignaturePool {
  readonly #workers: PoolWorker[] = [];

  constructor(workerCount: number) {
    if (native === null) return;
    const bindingPath = createRequire(import.meta.url).resolve("secp256k1/bindings.js");
    for (let i = 0; i < workerCount; i++) this.#workers.push(new PoolWorker(bindingPath));
  }

  /** Addresses in the order of the input; null = invalid. */
  async verifyBatch(digests: readonly Uint8Array[], signatures: readonly Uint8Array[]): Promise<(Address | null)[]> {
    const count = digests.length;
    if (this.#workers.length === 0 || count < BATCH_MIN) {
      return digests.map((digest, i) => signer.recoverAddress(digest, signatures[i] as Uint8Array));
    }
    const bytes = packBatch(digests, signatures);
    const buffer = bytes.buffer as SharedArrayBuffer;
    const share = Math.ceil(count / this.#workers.length);
    await Promise.all(
      this.#workers.map((worker, i) =>
        i * share < count ? worker.run(buffer, i * share, Math.min(count, (i + 1) * share)) : Promise.resolve(),
      ),
    );
    return digests.map((_, i) => {
      const at = i * ITEM_BYTES;
      return bytes[at + FOUND_AT] === 1 ? addressOfPublicKey(bytes.slice(at + PUBLIC_KEY_AT, at + ITEM_BYTES)) : null;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.close()));
  }
}

function packBatch(digests: readonly Uint8Array[], signatures: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(digests.length * ITEM_BYTES));
  digests.forEach((digest, i) => {
    const at = i * ITEM_BYTES;
    const plain = bytes.subarray(at + DIGEST_BYTES, at + PARITY_AT);
    const parity = digest.length === DIGEST_BYTES ? splitCompact(signatures[i] as Uint8Array, plain) : -1;
    bytes[at + PARITY_AT] = parity < 0 ? FORM_INVALID : parity;
    if (parity >= 0) bytes.set(digest, at);
  });
  return bytes;
}
