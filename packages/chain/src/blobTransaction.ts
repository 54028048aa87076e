// Transactions that carry their data in a blob (EIP-4844).
import {
  bytesToHex,
  type Hex,
  keccak256,
  type LocalAccount,
  parseTransaction,
  type Signature,
  serializeTransaction,
  type TransactionSerializableEIP4844,
} from "viem";
import { loadKzg, versionedHashOf } from "./kzg.ts";

export interface BlobTransaction {
  chainId: number;
  nonce: number;
  to: Hex;
  data: Hex;
  valueWei: bigint;
  gas: bigint;
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
  maxFeePerBlobGas: bigint;
  blob: Uint8Array;
}

export interface SignedTransaction {
  /** As nodes take it: the blob and its proof beside the transaction. */
  raw: Hex;
  /** Of the transaction without them. */
  hash: Hex;
}

export async function signBlobTransaction(
  account: LocalAccount,
  transaction: BlobTransaction,
): Promise<SignedTransaction> {
  const { valueWei, blob, ...fields } = transaction;
  const kzg = await loadKzg();
  const commitment = kzg.commitmentOf(blob);
  const proof = kzg.proofOf(blob, commitment);
  const raw = await account.signTransaction({
    ...fields,
    type: "eip4844",
    value: valueWei,
    blobs: [bytesToHex(blob)],
    sidecars: [{ blob: bytesToHex(blob), commitment, proof }],
    blobVersionedHashes: [versionedHashOf(commitment)],
  });
  const {
    sidecars: _,
    r,
    s,
    yParity,
    ...unsigned
  } = parseTransaction(raw) as TransactionSerializableEIP4844 & Signature;
  const body = serializeTransaction({ ...unsigned, type: "eip4844", sidecars: false }, { r, s, yParity: yParity ?? 0 });
  return { raw, hash: keccak256(body) };
}
