// Real secp256k1 keys and signatures for tests. Signing and recovery are cached: a stream applies each cycle twice.
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import type { Address, CompactSignature, SignaturePort } from "../src/index.ts";

export interface TestKey {
  secret: Uint8Array;
  address: Address;
}

const keys = new Map<string, TestKey>();

/** The same label gives the same key. */
export function keyOf(label: string): TestKey {
  const known = keys.get(label);
  if (known !== undefined) return known;
  const secret = keccak256(Uint8Array.from(`tidemark test key ${label}`, (character) => character.charCodeAt(0)));
  const key = { secret, address: addressOf(secp256k1.getPublicKey(secret, false)) };
  keys.set(label, key);
  return key;
}

/** Of the 65 uncompressed bytes. */
function addressOf(publicKey: Uint8Array): Address {
  return bytesToHex(keccak256(publicKey.subarray(1)).subarray(12));
}

const signed = new Map<string, CompactSignature>();
const recoveries = new Map<string, Address | null>();

/** EIP-2098: r ‖ (yParity at the top of s). */
export function sign(digest: Uint8Array, key: TestKey): CompactSignature {
  const name = `${bytesToHex(digest)}${key.address}`;
  const known = signed.get(name);
  if (known !== undefined) return known;
  const recovered = secp256k1.sign(digest, key.secret, { prehash: false, format: "recovered" });
  const compact = recovered.slice(1);
  compact[32] = (compact[32] as number) | ((recovered[0] as number) << 7);
  const signature = bytesToHex(compact);
  signed.set(name, signature);
  // Known without computing it: keys.test.ts recovers for real, and so does the port where no test key signed.
  recoveries.set(bytesToHex(digest) + bytesToHex(compact), key.address);
  return signature;
}

/** Without a cache. */
export function recover(digest: Uint8Array, signature: Uint8Array): Address | null {
  const recovered = new Uint8Array(65);
  recovered[0] = (signature[32] as number) >> 7;
  recovered.set(signature, 1);
  recovered[33] = (recovered[33] as number) & 0x7f;
  try {
    const parsed = secp256k1.Signature.fromBytes(recovered, "recovered");
    if (parsed.hasHighS()) return null;
    return addressOf(parsed.recoverPublicKey(digest).toBytes(false));
  } catch {
    return null;
  }
}

export const signaturePort: SignaturePort = {
  recoverAddress(digest, signature) {
    const name = bytesToHex(digest) + bytesToHex(signature);
    let address = recoveries.get(name);
    if (address === undefined) {
      address = recover(digest, signature);
      recoveries.set(name, address);
    }
    return address;
  },
};

/** A signature that no key gave. */
export function corrupted(signature: CompactSignature): CompactSignature {
  const bytes = hexToBytes(signature);
  bytes[40] = (bytes[40] as number) ^ 1;
  return bytesToHex(bytes);
}
