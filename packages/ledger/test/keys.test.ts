import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import { compactSignatureToSignature, parseCompactSignature, recoverAddress, serializeSignature } from "viem";
import { expect, test } from "vitest";
import { corrupted, keyOf, recover, sign, signaturePort } from "./keys.ts";

test("test signatures are compact EIP-2098 with low s, and recover to their key", async () => {
  for (let i = 0; i < 20; i++) {
    const digest = keccak256(Uint8Array.of(i));
    const key = keyOf(`signer ${i}`);
    const signature = sign(digest, key);
    expect(signature).toHaveLength(130);
    expect(recover(digest, hexToBytes(signature))).toBe(key.address);
    expect(signaturePort.recoverAddress(digest, hexToBytes(signature))).toBe(key.address);
    expect(signaturePort.recoverAddress(digest, hexToBytes(corrupted(signature)))).not.toBe(key.address);
    const full = serializeSignature(compactSignatureToSignature(parseCompactSignature(signature)));
    const viemAddress = await recoverAddress({ hash: bytesToHex(digest), signature: full });
    expect(viemAddress.toLowerCase()).toBe(key.address);
  }
});
