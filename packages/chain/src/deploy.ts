// Puts the venue's contracts on an L1 (order: docs/spec/settlement.md and the comment of BatchChain.sol).
import { LedgerState, type ParameterSet } from "@tidemark/ledger";
import {
  type Abi,
  type Address,
  encodeDeployData,
  getContractAddress,
  type Hex,
  type LocalAccount,
  zeroAddress,
} from "viem";
import type { L1Client } from "./clients.ts";
import { checkDeployment, DEPLOYMENT_VERSION, type Deployment } from "./deployment.ts";
import { l1Call } from "./errors.ts";
import {
  batchChainAbi,
  batchChainBytecode,
  custodyAbi,
  custodyBytecode,
  fixedWindowPolicyAbi,
  fixedWindowPolicyBytecode,
  singleProposerAbi,
  singleProposerBytecode,
  testUsdcAbi,
  testUsdcBytecode,
} from "./generated/contracts.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

export interface DeployOptions extends WaitOptions {
  deployer: LocalAccount;
  /** `chainId` and `verifyingContract` are filled in: the custody's address is known before it stands. */
  parameters: Omit<ParameterSet, "chainId" | "verifyingContract">;
  proposer: Address;
  /** Only sender of listSeries. */
  lister: Address;
  /** Only sender of adminChange; nobody unless given. */
  governor?: Address;
  windowSeconds: number;
  /** From a batch's proof to its finality; absent = a third of the window. */
  guardSeconds?: number;
  bondWei: bigint;
  /** Time that the venue has for a forced entry. */
  forcedPeriodSeconds: number;
  /** An ERC-20 of 6 decimals; absent = a test token that anybody may mint is deployed. */
  token?: Address;
  /** Fraud proofs and winding up: nobody may unless given. */
  dispute?: Address;
  /** Proofs that batches are right. */
  affirmation?: Address;
  escape?: Address;
}

const CREATION_GAS = 6_000_000n;

function creation(sender: LocalAccount, what: string, abi: Abi, bytecode: Hex, args: unknown[]): Call {
  return { sender, what: `creation of ${what}`, data: encodeDeployData({ abi, bytecode, args }), gas: CREATION_GAS };
}

export async function deployVenue(client: L1Client, options: DeployOptions): Promise<Deployment> {
  const { deployer } = options;
  const first = await l1Call("nonce of the deployer", () => client.getTransactionCount({ address: deployer.address }));
  const addressAt = (offset: number): Address =>
    getContractAddress({ from: deployer.address, nonce: BigInt(first + offset) });
  const makesToken = options.token === undefined;
  const base = makesToken ? 1 : 0;
  const token = options.token ?? addressAt(0);
  const policy = addressAt(base);
  const proposerPolicy = addressAt(base + 1);
  const batchChain = addressAt(base + 2);
  const custody = addressAt(base + 3);

  const parameters: ParameterSet = {
    ...options.parameters,
    chainId: client.chain.id,
    verifyingContract: custody.toLowerCase() as Address,
  };
  const genesisRoot = LedgerState.genesis(parameters).root();
  const calls = [
    creation(deployer, "FixedWindowPolicy", fixedWindowPolicyAbi as Abi, fixedWindowPolicyBytecode, [
      BigInt(options.windowSeconds),
      BigInt(options.guardSeconds ?? Math.ceil(options.windowSeconds / 3)),
    ]),
    creation(deployer, "SingleProposer", singleProposerAbi as Abi, singleProposerBytecode, [options.proposer]),
    creation(deployer, "BatchChain", batchChainAbi as Abi, batchChainBytecode, [
      {
        custody,
        genesisRoot,
        domain: parameters.domain,
        bondWei: options.bondWei,
        finalityPolicy: policy,
        proposerPolicy,
        dispute: options.dispute ?? zeroAddress,
        affirmation: options.affirmation ?? zeroAddress,
      },
    ]),
    creation(deployer, "Custody", custodyAbi as Abi, custodyBytecode, [
      {
        token,
        batchChain,
        lister: options.lister,
        governor: options.governor ?? zeroAddress,
        forcedPeriodSeconds: BigInt(options.forcedPeriodSeconds),
        escape: options.escape ?? zeroAddress,
      },
    ]),
  ];
  if (makesToken) calls.unshift(creation(deployer, "TestUsdc", testUsdcAbi as Abi, testUsdcBytecode, []));
  const receipts = await transactAll(client, calls, options);
  const deployedAtBlock = Math.min(...receipts.map((receipt) => Number(receipt.blockNumber)));
  const deployment: Deployment = {
    version: DEPLOYMENT_VERSION,
    chainId: client.chain.id,
    custody,
    batchChain,
    policy,
    token,
    deployedAtBlock,
    genesisRoot,
    parameters,
  };
  await checkDeployment(client, deployment);
  return deployment;
}
