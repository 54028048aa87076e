// Claims of withdrawals at the custody contract. Anyone may send one; the money goes to the recipient in the outbox.
import type { ClaimArguments } from "@tidemark/settlement";
import { encodeFunctionData, type Hex, type LocalAccount } from "viem";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

const CLAIM_GAS = 400_000n;

export function claimCalldata(claim: ClaimArguments): Hex {
  const { cell } = claim;
  return encodeFunctionData({
    abi: custodyAbi,
    functionName: "claim",
    args: [
      BigInt(claim.batchNumber),
      claim.roots,
      claim.withdrawalNumber,
      {
        account: cell.account,
        asset: cell.asset,
        amount: BigInt(cell.amount),
        destinationChain: BigInt(cell.destinationChain),
        recipient: cell.recipient,
      },
      claim.path,
    ],
  });
}

export interface ClaimsClient {
  isClaimed(withdrawalNumber: number): Promise<boolean>;
  /** Number of the last final batch: claims under it or an earlier one can be paid. */
  lastFinal(): Promise<number>;
  /** Sends all and waits. @throws ChainError TRANSACTION_REVERTED, for a withdrawal that was claimed before. */
  claim(claims: readonly ClaimArguments[]): Promise<{ gasUsed: number }[]>;
}

export function createClaimsClient(
  client: L1Client,
  deployment: Deployment,
  sender: LocalAccount,
  options: WaitOptions = {},
): ClaimsClient {
  const custody = { address: deployment.custody, abi: custodyAbi } as const;
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  return {
    isClaimed: (withdrawalNumber) =>
      l1Call("claimed withdrawals", () =>
        client.readContract({ ...custody, functionName: "isClaimed", args: [withdrawalNumber] }),
      ),
    async lastFinal() {
      return Number(
        await l1Call("last final batch", () => client.readContract({ ...chain, functionName: "lastFinal" })),
      );
    },
    async claim(claims) {
      const calls = claims.map(
        (claim): Call => ({
          sender,
          to: deployment.custody,
          data: claimCalldata(claim),
          gas: CLAIM_GAS,
          what: `claim of withdrawal ${claim.withdrawalNumber}`,
        }),
      );
      const receipts = await transactAll(client, calls, options);
      return receipts.map(({ gasUsed }) => ({ gasUsed: Number(gasUsed) }));
    },
  };
}
