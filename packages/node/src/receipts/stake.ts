// The sequencer's stake on the L1: what it is, and how a venue with test money comes to it.
import {
  type Call,
  type Deployment,
  type L1Client,
  l1Call,
  stakeRegistryAbi,
  testUsdcAbi,
  transactAll,
  type WaitOptions,
} from "@tidemark/chain";
import { encodeFunctionData, type LocalAccount } from "viem";

const STAKING_GAS = 400_000n;

/** Micro-USDC that can be slashed: bonded and unbonding. */
export function readStake(client: L1Client, deployment: Deployment): Promise<bigint> {
  return l1Call("stake of the sequencer", () =>
    client.readContract({
      address: deployment.stakeRegistry,
      abi: stakeRegistryAbi,
      functionName: "stakeOf",
      args: [deployment.sequencer],
    }),
  );
}

/** Mints what is missing to `stakeMicroUsdc` and bonds it for the sequencer. Only where the token is the test token. */
export async function fillStake(
  client: L1Client,
  deployment: Deployment,
  payer: LocalAccount,
  stakeMicroUsdc: bigint,
  options: WaitOptions,
): Promise<void> {
  const missing = stakeMicroUsdc - (await readStake(client, deployment));
  if (missing <= 0n) return;
  const call = (to: Deployment["token"], what: string, data: Call["data"]): Call => ({
    sender: payer,
    to,
    what,
    data,
    gas: STAKING_GAS,
  });
  const { token, stakeRegistry, sequencer } = deployment;
  const mint = encodeFunctionData({ abi: testUsdcAbi, functionName: "mint", args: [payer.address, missing] });
  const approve = encodeFunctionData({ abi: testUsdcAbi, functionName: "approve", args: [stakeRegistry, missing] });
  const deposit = encodeFunctionData({ abi: stakeRegistryAbi, functionName: "depositFor", args: [sequencer, missing] });
  await transactAll(
    client,
    [
      call(token, "minting of the sequencer's stake", mint),
      call(token, "approval of the sequencer's stake", approve),
      call(stakeRegistry, "the sequencer's stake", deposit),
    ],
    options,
  );
}
