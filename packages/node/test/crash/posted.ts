// What the L1 of a finished run holds: read by somebody who starts a node of his own from the run's state dump.

import { join } from "node:path";
import { connectL1, readBatchEvents, readDeployment, startEmbeddedL1, watchOnce } from "@tidemark/chain";
import { signer } from "../../src/signatures/signer.ts";

export interface PostedOnL1 {
  /** Transactions with a batch in a block, and those of them that the contract refused. */
  postTransactions: number;
  refused: number;
  batches: number;
  /** In their order. */
  batchHashes: string[];
  stateRoot: string;
  fault: unknown;
}

const POST_BATCH_BYTES_MIN = 1_000;

export async function postedOnL1(out: string): Promise<PostedOnL1> {
  const deployment = await readDeployment(join(out, "deployment.json"));
  const l1 = await startEmbeddedL1({ loadStateFile: join(out, "l1-state.json") });
  try {
    const client = await connectL1(l1.url, deployment.chainId);
    let postTransactions = 0;
    let refused = 0;
    const head = Number(await client.getBlockNumber());
    for (let number = deployment.deployedAtBlock; number <= head; number++) {
      const block = await client.getBlock({ blockNumber: BigInt(number), includeTransactions: true });
      for (const { to, hash, input } of block.transactions) {
        if (to?.toLowerCase() !== deployment.batchChain.toLowerCase() || input.length < POST_BATCH_BYTES_MIN) continue;
        postTransactions++;
        if ((await client.getTransactionReceipt({ hash })).status !== "success") refused++;
      }
    }
    const events = await readBatchEvents(client, deployment, deployment.deployedAtBlock, head);
    const { batchesCompared, stateRoot, fault } = await watchOnce(l1.url, deployment, { signatures: signer });
    return {
      postTransactions,
      refused,
      batches: batchesCompared,
      batchHashes: events.map(({ batchHash }) => batchHash),
      stateRoot,
      fault,
    };
  } finally {
    await l1.stop();
  }
}
