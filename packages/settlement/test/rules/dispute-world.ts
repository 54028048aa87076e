// An L1 with the deployed venue whose batch chain names a Dispute with every rule: what a fraud proof needs end to end.
import {
  connectL1,
  createCustodyClient,
  createInboundReader,
  type Deployment,
  deployVenue,
  developmentAccount,
  disputeAbi,
  type EmbeddedL1,
  type L1Client,
  startEmbeddedL1,
  transactAll,
} from "@tidemark/chain";
import { bytesToHex } from "@tidemark/num";
import {
  type Abi,
  type Address,
  encodeFunctionData,
  type Hex,
  type PrivateKeyAccount,
  type TransactionReceipt,
} from "viem";
import { MiniatureVenue } from "../../../chain/test/support/venue.ts";
import { parametersForTests } from "../../../chain/test/support/world.ts";
import { type Batch, type BatchCycle, encodePostBatch } from "../../src/index.ts";

const GENESIS_SECONDS = 1_750_000_000;
const SLOTS_IN_AN_EPOCH = 2;
const FINAL_DEPTH = 2 * SLOTS_IN_AN_EPOCH;
const DEPOSIT_MICRO_USDC = 1_000_000_000;
export const BOND_WEI = 10n ** 18n;

export interface DisputeWorld {
  l1: EmbeddedL1;
  client: L1Client;
  deployment: Deployment;
  venue: MiniatureVenue;
  challenger: PrivateKeyAccount;
  mine(seconds?: number): Promise<void>;
  /** Runs `work` and puts the L1 back: a convicted proposer has lost stake and place. */
  undone(work: () => Promise<void>): Promise<void>;
  post(batch: Batch, cycles: readonly BatchCycle[]): Promise<TransactionReceipt>;
  /** Null when it reverted; `error` says why. */
  challenge(functionName: string, args: unknown[]): Promise<{ receipt: TransactionReceipt | null; error: string }>;
  close(): Promise<void>;
}

/** Two funded accounts, a marked perpetual. */
export async function createDisputeWorld(): Promise<DisputeWorld> {
  const l1 = await startEmbeddedL1({ genesisTimestampSeconds: GENESIS_SECONDS, slotsInAnEpoch: SLOTS_IN_AN_EPOCH });
  const client = await connectL1(l1.url, l1.chainId);
  const deployer = developmentAccount("deployer");
  const proposer = developmentAccount("proposer");
  const lister = developmentAccount("lister");
  const alice = developmentAccount("alice");
  const bob = developmentAccount("bob");
  const challenger = developmentAccount("challenger");
  const everyone = [deployer, proposer, lister, alice, bob, challenger];
  for (const { address } of everyone) await l1.setBalance(address, 10n ** 21n);
  let nowSeconds = GENESIS_SECONDS;
  let venue: MiniatureVenue | null = null;
  const mine = async (seconds = 12): Promise<void> => {
    nowSeconds = (await l1.mine(nowSeconds + seconds)).timestampSeconds;
    venue?.advanceTo(nowSeconds * 1000);
  };
  const deployment = await deployVenue(client, {
    deployer,
    parameters: parametersForTests(l1.chainId),
    proposer: proposer.address,
    lister: lister.address,
    windowSeconds: 600,
    bondWei: BOND_WEI,
    forcedPeriodSeconds: 3_600,
    mine,
  });
  venue = new MiniatureVenue(deployment.parameters, nowSeconds * 1000);
  const custody = createCustodyClient(client, deployment, { mine });
  const amountMicroUsdc = DEPOSIT_MICRO_USDC;
  await custody.mint(
    lister,
    [alice, bob].map(({ address }) => ({ address, amountMicroUsdc })),
  );
  await custody.openAccounts([alice, bob].map((owner) => ({ owner, depositMicroUsdc: amountMicroUsdc })));
  await custody.listSeries(lister, [{ underlying: 0, expiryMs: 0, strikesMicroUsd: [] }]);
  for (let i = 0; i < FINAL_DEPTH; i++) await mine();
  const entries = await createInboundReader(client, deployment).poll();
  venue.inbound(entries.map(({ bytes }) => bytes));
  venue.marks();

  const send = async (
    sender: PrivateKeyAccount,
    to: Address,
    data: Hex,
    valueWei: bigint,
    what: string,
  ): Promise<TransactionReceipt> => {
    const [receipt] = await transactAll(client, [{ sender, to, data, valueWei, gas: 12_000_000n, what }], { mine });
    return receipt as TransactionReceipt;
  };
  return {
    l1,
    client,
    deployment,
    venue,
    challenger,
    mine,
    async undone(work) {
      const before = nowSeconds;
      const request = client.request as unknown as (call: { method: string; params: unknown[] }) => Promise<unknown>;
      const snapshot = await request({ method: "evm_snapshot", params: [] });
      try {
        await work();
      } finally {
        await request({ method: "evm_revert", params: [snapshot] });
        nowSeconds = before;
      }
    },
    post: (batch, cycles) =>
      send(
        proposer,
        deployment.batchChain,
        bytesToHex(encodePostBatch(batch.header, batch.data)),
        BOND_WEI,
        `batch of ${cycles.length}`,
      ),
    async challenge(functionName, callArgs) {
      const data = encodeFunctionData({ abi: disputeAbi as Abi, functionName, args: callArgs });
      try {
        return { receipt: await send(challenger, deployment.dispute, data, 0n, functionName), error: "" };
      } catch (error) {
        return { receipt: null, error: String(error) };
      }
    },
    close: () => l1.stop(),
  };
}
