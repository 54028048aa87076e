// Who may say what: an order by owner or delegate, a withdrawal by the owner, a report or settlement by an oracle quorum.
import { hexToBytes } from "@tidemark/num";
import type { ParameterSet } from "./parameters.ts";
import {
  type AccountCell,
  type Address,
  type CompactSignature,
  type Order,
  type QuorumSignature,
  Scope,
  type SignaturePort,
} from "./types.ts";

function signerOf(digest: Uint8Array, signature: CompactSignature, signatures: SignaturePort): Address | null {
  return signatures.recoverAddress(digest, hexToBytes(signature));
}

/** Of an order or a bid: a delegate's key must have the scope and outlive it: its expiry then ends every order that it signed. */
export function isTrader(cell: Readonly<AccountCell>, signer: Address, order: Pick<Order, "expiryMs">): boolean {
  if (signer === cell.owner) return true;
  return cell.delegates.some(
    (delegate) =>
      delegate.key === signer && (delegate.scopes & Scope.trade) !== 0 && delegate.expiryMs >= order.expiryMs,
  );
}

export function authorisesOrder(
  cell: Readonly<AccountCell>,
  order: Pick<Order, "expiryMs">,
  digest: Uint8Array,
  signature: CompactSignature,
  signatures: SignaturePort,
): boolean {
  const signer = signerOf(digest, signature, signatures);
  return signer !== null && isTrader(cell, signer, order);
}

export function isSignedByOwner(
  cell: Readonly<AccountCell>,
  digest: Uint8Array,
  signature: CompactSignature,
  signatures: SignaturePort,
): boolean {
  return signerOf(digest, signature, signatures) === cell.owner;
}

/** Exactly oracleQuorum signatures, signer indices strictly increasing, each by that oracle's key. */
export function isQuorum(
  digest: Uint8Array,
  quorum: readonly QuorumSignature[],
  parameters: ParameterSet,
  signatures: SignaturePort,
): boolean {
  if (quorum.length !== parameters.oracleQuorum) return false;
  let previous = -1;
  for (const { signer, signature } of quorum) {
    const oracle = parameters.oracles[signer];
    if (signer <= previous || oracle === undefined) return false;
    if (signerOf(digest, signature, signatures) !== oracle) return false;
    previous = signer;
  }
  return true;
}
