// Puts the venue's contracts on an L1. One table in the order of creation; every address is known before the first contract
// stands, because contracts name each other and the genesis root commits to the custody.
import { encodeParameters, LedgerState, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type Abi,
  type Address,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  type LocalAccount,
  zeroAddress,
} from "viem";
import type { L1Client } from "./clients.ts";
import { DEPLOYMENT_VERSION, type Deployment, KNOWN_KINDS, RULE_KINDS, type RuleKind } from "./deployment.ts";
import { checkDeployment } from "./deploymentCheck.ts";
import { type GivenTerms, type VenueTerms, venueTerms } from "./deployTerms.ts";
import { l1Call } from "./errors.ts";
import {
  batchChainAbi,
  batchChainBytecode,
  custodyAbi,
  custodyBytecode,
  fixedWindowPolicyAbi,
  fixedWindowPolicyBytecode,
  testUsdcAbi,
  testUsdcBytecode,
} from "./generated/contracts.ts";
import {
  affirmationAbi,
  affirmationBytecode,
  disputeAbi,
  disputeBytecode,
  parameterStoreAbi,
  parameterStoreBytecode,
} from "./generated/dispute.ts";
import { escapeAbi, escapeBytecode } from "./generated/escape.ts";
import { receiptCourtAbi, receiptCourtBytecode } from "./generated/receipts.ts";
import { ruleCode } from "./generated/rules.ts";
import { insurancePoolAbi, insurancePoolBytecode, stakeRegistryAbi, stakeRegistryBytecode } from "./generated/stake.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

export interface DeployOptions extends WaitOptions, GivenTerms {
  deployer: LocalAccount;
  /** Filled in: chain, custody and insurance pool, whose addresses are known before they stand. */
  parameters: Omit<ParameterSet, "chainId" | "verifyingContract" | "insuranceOwner">;
  /** Takes the turns from the start. With the test token its stake is bonded by the deployment. */
  proposer: Address;
  /** Admitted beside it, in this order. */
  furtherProposers?: readonly Address[];
  /** Signs receipts, answers for them with a stake, admits further proposers; absent = the proposer. */
  sequencer?: Address;
  /** Only sender of listSeries. */
  lister: Address;
  /** Only sender of adminChange; nobody unless given. */
  governor?: Address;
  /** An ERC-20 of 6 decimals; absent = a test token that anybody may mint is deployed. */
  token?: Address;
}

type ContractName =
  | "token"
  | "parameterStore"
  | RuleKind
  | "policy"
  | "insurancePool"
  | "stakeRegistry"
  | "dispute"
  | "affirmation"
  | "batchChain"
  | "custody"
  | "escape"
  | "receiptCourt";

/** What a constructor's arguments are made of. */
interface Surroundings {
  at: (name: ContractName) => Address;
  parameters: ParameterSet;
  genesisRoot: Hex;
  terms: VenueTerms;
}

interface Creation {
  name: ContractName;
  abi: Abi;
  bytecode: Hex;
  args: (around: Surroundings) => readonly unknown[];
}

const NO_ARGUMENTS = (): readonly unknown[] => [];

// 200 gas a byte of code, 16 a byte of the transaction's data, and what hashing and constructors add.
const CREATION_GAS_FIXED = 1_500_000;
const CREATION_GAS_PER_BYTE = 240;
const STAKING_GAS = 400_000n;

const proposersOf = (options: DeployOptions): Address[] => [options.proposer, ...(options.furtherProposers ?? [])];
const sequencerOf = (options: DeployOptions): Address => options.sequencer ?? options.proposer;

/** In the order of creation: a constructor may call only what stands before it. */
function creationsOf(options: DeployOptions): Creation[] {
  const sequencer = sequencerOf(options);
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
      args: ({ terms }) => [BigInt(terms.windowSeconds), BigInt(terms.guardSeconds)],
    },
    {
      name: "insurancePool",
      abi: insurancePoolAbi as Abi,
      bytecode: insurancePoolBytecode,
      args: ({ at, terms }) => [
        {
          token: at("token"),
          batchChain: at("batchChain"),
          custody: at("custody"),
          escape: at("escape"),
          windowSecondsMax: BigInt(terms.windowSeconds),
          cooldownSeconds: BigInt(terms.cooldownSeconds),
          redeemSeconds: BigInt(terms.redeemSeconds),
        },
      ],
    },
    {
      name: "stakeRegistry",
      abi: stakeRegistryAbi as Abi,
      bytecode: stakeRegistryBytecode,
      args: ({ at, terms }) => [
        {
          token: at("token"),
          batchChain: at("batchChain"),
          pool: at("insurancePool"),
          dispute: at("dispute"),
          receiptCourt: at("receiptCourt"),
          sequencer,
          minimumStake: BigInt(terms.minimumStakeMicroUsdc),
          unbondingSeconds: BigInt(terms.unbondingSeconds),
          turnSeconds: BigInt(terms.turnSeconds),
          windowSecondsMax: BigInt(terms.windowSeconds),
          openAfterSeconds: BigInt(terms.openAfterSeconds),
        },
        proposersOf(options),
      ],
    },
    {
      name: "dispute",
      abi: disputeAbi as Abi,
      bytecode: disputeBytecode,
      args: ({ at }) => [
        {
          batchChain: at("batchChain"),
          parameters: at("parameterStore"),
          knownKinds: KNOWN_KINDS,
          stakeRegistry: at("stakeRegistry"),
          escape: at("escape"),
        },
        RULE_KINDS.map((kind) => at(kind)),
      ],
    },
    {
      name: "affirmation",
      abi: affirmationAbi as Abi,
      bytecode: affirmationBytecode,
      args: ({ at }) => [at("batchChain"), at("dispute")],
    },
    {
      name: "batchChain",
      abi: batchChainAbi as Abi,
      bytecode: batchChainBytecode,
      args: ({ at, genesisRoot, parameters, terms }) => [
        {
          custody: at("custody"),
          genesisRoot,
          domain: parameters.domain,
          bondWei: terms.bondWei,
          finalityPolicy: at("policy"),
          proposerPolicy: at("stakeRegistry"),
          dispute: at("dispute"),
          affirmation: at("affirmation"),
        },
      ],
    },
    {
      name: "custody",
      abi: custodyAbi as Abi,
      bytecode: custodyBytecode,
      args: ({ at, terms }) => [
        {
          token: at("token"),
          batchChain: at("batchChain"),
          lister: options.lister,
          governor: options.governor ?? zeroAddress,
          forcedPeriodSeconds: BigInt(terms.forcedPeriodSeconds),
          escape: at("escape"),
        },
      ],
    },
    {
      name: "escape",
      abi: escapeAbi as Abi,
      bytecode: escapeBytecode,
      args: ({ at, terms }) => [
        {
          batchChain: at("batchChain"),
          custody: at("custody"),
          dispute: at("dispute"),
          pool: at("insurancePool"),
          parameters: at("parameterStore"),
          registrationSeconds: BigInt(terms.registrationSeconds),
          markSeconds: BigInt(terms.markSeconds),
          lateSeconds: BigInt(terms.lateSeconds),
        },
      ],
    },
    {
      name: "receiptCourt",
      abi: receiptCourtAbi as Abi,
      bytecode: receiptCourtBytecode,
      args: ({ at, terms, parameters }) => [
        {
          batchChain: at("batchChain"),
          custody: at("custody"),
          escape: at("escape"),
          registry: at("stakeRegistry"),
          sequencer,
          receiptPeriodMs: BigInt(parameters.receiptPeriodMs),
          claimPeriodSeconds: BigInt(terms.claimPeriodSeconds),
          fixedPart: BigInt(terms.receiptFixedPartMicroUsdc),
          capPerReceipt: BigInt(terms.receiptCapMicroUsdc),
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

/** Money of the test token for the stakes of proposers and sequencer: without it nobody may post. */
function stakingCalls(options: DeployOptions, { at, terms }: Surroundings): Call[] {
  const stakers = new Set([...proposersOf(options), sequencerOf(options)]);
  const sender = options.deployer;
  const stake = BigInt(terms.minimumStakeMicroUsdc);
  const total = stake * BigInt(stakers.size);
  const token = { sender, to: at("token"), gas: STAKING_GAS };
  const registry = { sender, to: at("stakeRegistry"), gas: STAKING_GAS };
  const tokenCall = (functionName: "mint" | "approve", to: Address): Hex =>
    encodeFunctionData({ abi: testUsdcAbi, functionName, args: [to, total] });
  return [
    { ...token, what: "minting of the stakes", data: tokenCall("mint", sender.address) },
    { ...token, what: "approval of the stakes", data: tokenCall("approve", at("stakeRegistry")) },
    ...[...stakers].map((staker): Call => {
      const args = [staker, stake] as const;
      const data = encodeFunctionData({ abi: stakeRegistryAbi, functionName: "depositFor", args });
      return { ...registry, what: `stake of ${staker}`, data };
    }),
  ];
}

/**
 * With a token of the world outside, proposer and sequencer bond their stakes themselves (StakeRegistry.deposit) before the first batch.
 * @throws ChainError DEPLOYMENT_MISMATCH when something else took one of the deployer's nonces meanwhile.
 */
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
  const lowerCase = (name: ContractName): Address => at(name).toLowerCase() as Address;
  const parameters: ParameterSet = {
    ...options.parameters,
    chainId: client.chain.id,
    verifyingContract: lowerCase("custody"),
    insuranceOwner: lowerCase("insurancePool"),
  };
  const genesisRoot = LedgerState.genesis(parameters).root();
  const terms = venueTerms(options, parameters.receiptPeriodMs);
  const around: Surroundings = { at, parameters, genesisRoot, terms };
  const calls = creations.map((creation) => creationCall(deployer, creation, around));
  if (options.token === undefined) calls.push(...stakingCalls(options, around));
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
    affirmation: at("affirmation"),
    stakeRegistry: at("stakeRegistry"),
    insurancePool: at("insurancePool"),
    escape: at("escape"),
    receiptCourt: at("receiptCourt"),
    sequencer: sequencerOf(options),
    deployedAtBlock: Math.min(...receipts.map((receipt) => Number(receipt.blockNumber))),
    genesisRoot,
    parameters,
  };
  await checkDeployment(client, deployment);
  return deployment;
}
