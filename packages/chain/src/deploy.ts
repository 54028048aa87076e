// Puts the venue's contracts on an L1. One table in the order of creation; every address is known before the first contract
// stands, because contracts name each other and the genesis root commits to the custody.
import { encodeParameters, LedgerState, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
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
import { DEPLOYMENT_VERSION, type Deployment, KNOWN_KINDS, RULE_KINDS, type RuleKind } from "./deployment.ts";
import { checkDeployment } from "./deploymentCheck.ts";
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
import { disputeAbi, disputeBytecode, parameterStoreAbi, parameterStoreBytecode } from "./generated/dispute.ts";
import { ruleCode } from "./generated/rules.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

export interface DeployOptions extends WaitOptions {
  deployer: LocalAccount;
  /** `chainId` and `verifyingContract` are filled in: the custody's address is known before it stands. */
  parameters: Omit<ParameterSet, "chainId" | "verifyingContract">;
  proposer: Address;
  /** Only sender of listSeries. */
  lister: Address;
  /** Only sender of adminChange; absent = nobody. */
  governor?: Address;
  windowSeconds: number;
  /** From a batch's proof to its finality; absent = a third of the window. */
  guardSeconds?: number;
  bondWei: bigint;
  /** Time that the venue has for a forced entry. */
  forcedPeriodSeconds: number;
  /** An ERC-20 of 6 decimals; absent = a test token that anybody may mint is deployed. */
  token?: Address;
  /** Proofs that batches are right. */
  affirmation?: Address;
  /** Winding up: nobody may unless given. */
  escape?: Address;
}

type ContractName =
  | "token"
  | "parameterStore"
  | RuleKind
  | "policy"
  | "proposerPolicy"
  | "dispute"
  | "batchChain"
  | "custody";

/** What a constructor's arguments are made of. */
interface Surroundings {
  at: (name: ContractName) => Address;
  parameters: ParameterSet;
  genesisRoot: Hex;
}

interface Creation {
  name: ContractName;
  abi: Abi;
  bytecode: Hex;
  args: (around: Surroundings) => readonly unknown[];
}

/** The guard delay is that part of the window unless given. */
const GUARD_DIVISOR = 3;
const NO_ARGUMENTS = (): readonly unknown[] => [];

// 200 gas a byte of code, 16 a byte of the transaction's data, and what hashing and constructors add.
const CREATION_GAS_FIXED = 1_500_000;
const CREATION_GAS_PER_BYTE = 240;

/** In the order of creation: a constructor may call only what stands before it. */
function creationsOf(options: DeployOptions): Creation[] {
  const token: Creation[] =
    options.token === undefined
      ? [{ name: "token", abi: testUsdcAbi as Abi, bytecode: testUsdcBytecode, args: NO_ARGUMENTS }]
      : [];
  return [
    ...token,
    {
      name: "parameterStore",
      abi: parameterStoreAbi as Abi,
      bytecode: parameterStoreBytecode,
      args: ({ parameters }) => [bytesToHex(encodeParameters(parameters))],
    },
    ...RULE_KINDS.map(
      (kind): Creation => ({ name: kind, abi: [], bytecode: ruleCode[kind].bytecode, args: NO_ARGUMENTS }),
    ),
    {
      name: "policy",
      abi: fixedWindowPolicyAbi as Abi,
      bytecode: fixedWindowPolicyBytecode,
      args: () => [
        BigInt(options.windowSeconds),
        BigInt(options.guardSeconds ?? Math.ceil(options.windowSeconds / GUARD_DIVISOR)),
      ],
    },
    {
      name: "proposerPolicy",
      abi: singleProposerAbi as Abi,
      bytecode: singleProposerBytecode,
      args: () => [options.proposer],
    },
    {
      name: "dispute",
      abi: disputeAbi as Abi,
      bytecode: disputeBytecode,
      args: ({ at }) => [at("batchChain"), at("parameterStore"), KNOWN_KINDS, RULE_KINDS.map((kind) => at(kind))],
    },
    {
      name: "batchChain",
      abi: batchChainAbi as Abi,
      bytecode: batchChainBytecode,
      args: ({ at, genesisRoot, parameters }) => [
        {
          custody: at("custody"),
          genesisRoot,
          domain: parameters.domain,
          bondWei: options.bondWei,
          finalityPolicy: at("policy"),
          proposerPolicy: at("proposerPolicy"),
          dispute: at("dispute"),
          affirmation: options.affirmation ?? zeroAddress,
        },
      ],
    },
    {
      name: "custody",
      abi: custodyAbi as Abi,
      bytecode: custodyBytecode,
      args: ({ at }) => [
        {
          token: at("token"),
          batchChain: at("batchChain"),
          lister: options.lister,
          governor: options.governor ?? zeroAddress,
          forcedPeriodSeconds: BigInt(options.forcedPeriodSeconds),
          escape: options.escape ?? zeroAddress,
        },
      ],
    },
  ];
}

function creationCall(sender: LocalAccount, creation: Creation, around: Surroundings): Call {
  const { abi, bytecode, name } = creation;
  const data = encodeDeployData({ abi, bytecode, args: [...creation.args(around)] });
  const gas = BigInt(CREATION_GAS_FIXED + CREATION_GAS_PER_BYTE * (data.length / 2));
  return { sender, what: `creation of ${name}`, data, gas };
}

/** @throws ChainError DEPLOYMENT_MISMATCH when something else took one of the deployer's nonces meanwhile. */
export async function deployVenue(client: L1Client, options: DeployOptions): Promise<Deployment> {
  const { deployer } = options;
  const first = await l1Call("nonce of the deployer", () => client.getTransactionCount({ address: deployer.address }));
  const creations = creationsOf(options);
  const addresses = new Map<ContractName, Address>(
    creations.map(({ name }, i) => [
      name,
      getContractAddress({ from: deployer.address, nonce: BigInt(first) + BigInt(i) }),
    ]),
  );
  if (options.token !== undefined) addresses.set("token", options.token);
  const at = (name: ContractName): Address => addresses.get(name) as Address;
  const parameters: ParameterSet = {
    ...options.parameters,
    chainId: client.chain.id,
    verifyingContract: at("custody").toLowerCase() as Address,
  };
  const genesisRoot = LedgerState.genesis(parameters).root();
  const calls = creations.map((creation) => creationCall(deployer, creation, { at, parameters, genesisRoot }));
  const receipts = await transactAll(client, calls, options);
  const deployment: Deployment = {
    version: DEPLOYMENT_VERSION,
    chainId: client.chain.id,
    custody: at("custody"),
    batchChain: at("batchChain"),
    policy: at("policy"),
    token: at("token"),
    parameterStore: at("parameterStore"),
    rules: Object.fromEntries(RULE_KINDS.map((kind) => [kind, at(kind)])) as Record<RuleKind, Address>,
    dispute: at("dispute"),
    deployedAtBlock: Math.min(...receipts.map((receipt) => Number(receipt.blockNumber))),
    genesisRoot,
    parameters,
  };
  await checkDeployment(client, deployment);
  return deployment;
}
