// Limits of the protocol and of public nodes that the embedded L1 does not have.
import type { Hex } from "viem";
import { type L1Client, TRANSACTION_BYTES_MAX, TRANSACTION_GAS_MAX } from "../../src/index.ts";

/** Blob pools take longer ones: the blob, its commitment and its proof are carried beside the transaction. */
const BLOB_TRANSACTION = 3;

/** @throws RangeError when a transaction of the chain is one that a public node or the protocol would refuse */
export async function requireWithinProtocol(client: L1Client): Promise<void> {
  const head = Number(await client.getBlockNumber());
  for (let number = 0; number <= head; number++) {
    const { transactions } = await client.getBlock({ blockNumber: BigInt(number), includeTransactions: true });
    for (const { hash, gas, typeHex } of transactions) {
      if (gas > BigInt(TRANSACTION_GAS_MAX)) throw new RangeError(`transaction ${hash} asks for ${gas} gas`);
      if (Number(typeHex) === BLOB_TRANSACTION) continue;
      const raw = await rawTransaction(client, hash);
      const bytes = (raw.length - 2) / 2;
      if (bytes > TRANSACTION_BYTES_MAX) throw new RangeError(`transaction ${hash} has ${bytes} bytes`);
    }
  }
}

async function rawTransaction(client: L1Client, hash: Hex): Promise<Hex> {
  const request = client.request as unknown as (call: { method: string; params: unknown[] }) => Promise<unknown>;
  return (await request({ method: "eth_getRawTransactionByHash", params: [hash] })) as Hex;
}
