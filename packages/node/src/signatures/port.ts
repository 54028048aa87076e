// What the signature implementations share: the compact form of EIP-2098 and addresses. One place decides what is valid.

import type { Address, SignaturePort } from "@tidemark/ledger";
import { bytesToHex, keccak256 } from "@tidemark/num";

export const DIGEST_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const PUBLIC_KEY_BYTES = 65;

/** Recovery and signing by one implementation of the curve. */
export interface Signer extends SignaturePort {
  readonly implementation: "native" | "javascript";
  /** 64 bytes, r ‖ yParityAndS, low s, deterministic nonce (RFC 6979). */
  signCompact(digest: Uint8Array, privateKey: Uint8Array): Uint8Array;
  addressOf(privateKey: Uint8Array): Address;
}

/** Floor of half the group order: a larger s is the malleable twin of a valid signature and is refused. */
const HALF_ORDER = Uint8Array.from(
  "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0".match(/../g) ?? [],
  (pair) => Number.parseInt(pair, 16),
);

/**
 * Splits a compact signature into plain r ‖ s (written to `plain`) and the y parity.
 * −1 when the form itself is invalid: wrong length, or s above half the order. Zero and r ≥ order are the curve's to refuse.
 */
export function splitCompact(signature: Uint8Array, plain: Uint8Array): 0 | 1 | -1 {
  if (signature.length !== SIGNATURE_BYTES) return -1;
  plain.set(signature);
  const first = plain[32] as number;
  plain[32] = first & 0x7f;
  for (let i = 0; i < 32; i++) {
    const difference = (plain[32 + i] as number) - (HALF_ORDER[i] as number);
    if (difference < 0) break;
    if (difference > 0) return -1;
  }
  return first >= 0x80 ? 1 : 0;
}

/** Puts the y parity into the top bit of a low s, in place. */
export function joinCompact(plain: Uint8Array, parity: number): Uint8Array {
  plain[32] = (plain[32] as number) | (parity << 7);
  return plain;
}

/** Address of an uncompressed public key (65 bytes, 0x04 first). */
export function addressOfPublicKey(publicKey: Uint8Array): Address {
  return bytesToHex(keccak256(publicKey.subarray(1)).subarray(12));
}
