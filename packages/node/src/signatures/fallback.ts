// The same in JavaScript, for machines without a native binary: about forty times slower, equal on every input.
import { secp256k1 } from "@noble/curves/secp256k1.js";
import type { Address } from "@tidemark/ledger";
import type { Signer } from "./port.ts";
import { addressOfPublicKey, DIGEST_BYTES, joinCompact, SIGNATURE_BYTES, splitCompact } from "./port.ts";

const plain = new Uint8Array(SIGNATURE_BYTES);

export const fallback: Signer = {
  implementation: "javascript",
  recoverAddress(digest, signature): Address | null {
    if (digest.length !== DIGEST_BYTES) return null;
    const parity = splitCompact(signature, plain);
    if (parity < 0) return null;
    try {
      const point = secp256k1.Signature.fromBytes(plain, "compact").addRecoveryBit(parity).recoverPublicKey(digest);
      return addressOfPublicKey(point.toBytes(false));
    } catch {
      return null;
    }
  },
  signCompact(digest, privateKey) {
    const recovered = secp256k1.sign(digest, privateKey, { prehash: false, lowS: true, format: "recovered" });
    return joinCompact(recovered.slice(1), (recovered[0] as number) & 1);
  },
  addressOf(privateKey) {
    return addressOfPublicKey(secp256k1.getPublicKey(privateKey, false));
  },
};
