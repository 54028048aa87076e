// libsecp256k1 through its native binding. `null` where no binary of the package fits this machine: native or nothing,
// the package's own silent fallback to slow JavaScript is not used.
import { createRequire } from "node:module";
import type { Address } from "@tidemark/ledger";
import type { Signer } from "./port.ts";
import {
  addressOfPublicKey,
  DIGEST_BYTES,
  joinCompact,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  splitCompact,
} from "./port.ts";

type Binding = typeof import("secp256k1");

function loadBinding(): Binding | null {
  try {
    return createRequire(import.meta.url)("secp256k1/bindings.js") as Binding;
  } catch {
    return null;
  }
}

function nativeSigner(binding: Binding): Signer {
  const plain = new Uint8Array(SIGNATURE_BYTES);
  const publicKey = new Uint8Array(PUBLIC_KEY_BYTES);
  return {
    implementation: "native",
    recoverAddress(digest, signature): Address | null {
      if (digest.length !== DIGEST_BYTES) return null;
      const parity = splitCompact(signature, plain);
      if (parity < 0) return null;
      try {
        binding.ecdsaRecover(plain, parity, digest, false, publicKey);
      } catch {
        return null;
      }
      return addressOfPublicKey(publicKey);
    },
    signCompact(digest, privateKey) {
      const { signature, recid } = binding.ecdsaSign(digest, privateKey);
      return joinCompact(signature, recid & 1);
    },
    addressOf(privateKey) {
      return addressOfPublicKey(binding.publicKeyCreate(privateKey, false));
    },
  };
}

const binding = loadBinding();
export const native: Signer | null = binding === null ? null : nativeSigner(binding);
