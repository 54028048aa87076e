// Compares a deployment file with the contracts that stand on the L1: their code where the compiler fixed it, and whom they name.
import { CycleKind, encodeParameters, LedgerState } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type Abi, type Address, getAddress, type Hex, keccak256 } from "viem";
import type { L1Client } from "./clients.ts";
import { ADDRESS_FIELDS, type Deployment, KNOWN_KINDS, RULE_KINDS } from "./deployment.ts";
import { ChainError, isTransportError, l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";
import { affirmationAbi, disputeAbi } from "./generated/dispute.ts";
import { escapeAbi } from "./generated/escape.ts";
import { receiptCourtAbi } from "./generated/receipts.ts";
import { cycleRuleAbi, ruleCode } from "./generated/rules.ts";
import { insurancePoolAbi, stakeRegistryAbi } from "./generated/stake.ts";

type Plain = string | number | bigint;
/** Field of the file, what it leads one to expect, what the L1 says. */
type Comparison = readonly [field: string, expected: Plain, actual: Plain];

function differs(field: string, expected: Plain, actual: Plain): ChainError {
  return new ChainError("DEPLOYMENT_MISMATCH", `deployment ${field} is ${expected}, found ${actual}`, {
    context: { field, expected: String(expected), actual: String(actual) },
  });
}

function compare(comparisons: readonly Comparison[]): void {
  for (const [field, expected, actual] of comparisons) if (expected !== actual) throw differs(field, expected, actual);
}

async function codeAt(client: L1Client, field: string, address: Address): Promise<Hex> {
  const code = await l1Call(`code of ${field}`, () => client.getCode({ address }));
  if (code === undefined) throw differs(field, address, "an address without code");
  return code;
}

type ContractField = (typeof ADDRESS_FIELDS)[number];
/** Getter of the contract → field of the file that it must answer with. */
type Names = Readonly<Record<string, ContractField | "sequencer">>;

/** Whom each contract names. */
const WIRING: readonly (readonly [ContractField, Abi, Names])[] = [
  [
    "batchChain",
    batchChainAbi,
    {
      custody: "custody",
      finalityPolicy: "policy",
      proposerPolicy: "stakeRegistry",
      dispute: "dispute",
      affirmation: "affirmation",
    },
  ],
  ["custody", custodyAbi, { batchChain: "batchChain", token: "token", escape: "escape" }],
  [
    "dispute",
    disputeAbi,
    { batchChain: "batchChain", parameters: "parameterStore", stakeRegistry: "stakeRegistry", escape: "escape" },
  ],
  ["affirmation", affirmationAbi, { batchChain: "batchChain", dispute: "dispute" }],
  [
    "stakeRegistry",
    stakeRegistryAbi,
    {
      token: "token",
      batchChain: "batchChain",
      pool: "insurancePool",
      dispute: "dispute",
      receiptCourt: "receiptCourt",
      sequencer: "sequencer",
    },
  ],
  [
    "insurancePool",
    insurancePoolAbi,
    { asset: "token", batchChain: "batchChain", custody: "custody", escape: "escape" },
  ],
  [
    "escape",
    escapeAbi,
    {
      batchChain: "batchChain",
      custody: "custody",
      dispute: "dispute",
      pool: "insurancePool",
      parameters: "parameterStore",
    },
  ],
  [
    "receiptCourt",
    receiptCourtAbi,
    {
      batchChain: "batchChain",
      custody: "custody",
      escape: "escape",
      registry: "stakeRegistry",
      token: "token",
      sequencer: "sequencer",
    },
  ],
];

/** A contract of another sort has no such getter. */
async function addressAnswered(client: L1Client, address: Address, abi: Abi, functionName: string): Promise<string> {
  try {
    return getAddress((await client.readContract({ address, abi, functionName })) as Address);
  } catch (error) {
    if (isTransportError(error)) throw error;
    return "no answer";
  }
}

async function wiring(client: L1Client, deployment: Deployment): Promise<Comparison[]> {
  const questions = WIRING.flatMap(([holder, abi, names]) =>
    Object.entries(names).map(async ([functionName, field]): Promise<Comparison> => {
      const named = await addressAnswered(client, deployment[holder], abi, functionName);
      return [`${field} (${holder}.${functionName})`, getAddress(deployment[field]), named];
    }),
  );
  return Promise.all(questions);
}

async function genesisOf(client: L1Client, deployment: Deployment): Promise<Comparison[]> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const [domain, genesis] = await Promise.all([
    client.readContract({ ...chain, functionName: "domain" }),
    client.readContract({ ...chain, functionName: "batch", args: [0n] }),
  ]);
  return [
    ["parameters.domain", deployment.parameters.domain, domain],
    ["genesisRoot", deployment.genesisRoot, genesis.postStateRoot],
  ];
}

/** A dispute contract that judges by other rules convicts nobody. */
async function rulesOf(client: L1Client, deployment: Deployment): Promise<Comparison[]> {
  const dispute = { address: deployment.dispute, abi: disputeAbi } as const;
  const knownKinds = await client.readContract({ ...dispute, functionName: "knownKinds" });
  const list: Comparison[] = [["dispute.knownKinds", KNOWN_KINDS, knownKinds]];
  for (const kind of RULE_KINDS) {
    const address = deployment.rules[kind];
    const [judge, named] = await Promise.all([
      client.readContract({ ...dispute, functionName: "ruleOf", args: [BigInt(CycleKind[kind])] }),
      client.readContract({ address, abi: cycleRuleAbi, functionName: "kind" }),
    ]);
    list.push([`rules.${kind}`, getAddress(address), getAddress(judge)]);
    list.push([`rules.${kind} (kind)`, BigInt(CycleKind[kind]), named]);
  }
  return list;
}

/** Of the store's code: the parameter set's bytes behind one zero byte. */
function storedParametersHash(deployment: Deployment): Hex {
  return keccak256(`0x00${bytesToHex(encodeParameters(deployment.parameters)).slice(2)}`);
}

/**
 * Compares the file with the contracts that stand on the L1 and with the genesis that its parameters make. Rules must be the ones
 * that this build mirrors: a watcher would find faults that others do not prove.
 * @throws ChainError DEPLOYMENT_MISMATCH naming the first field that differs.
 */
export async function checkDeployment(client: L1Client, deployment: Deployment): Promise<void> {
  compare([
    ["chainId", deployment.chainId, client.chain.id],
    ["genesisRoot", deployment.genesisRoot, LedgerState.genesis(deployment.parameters).root()],
  ]);
  const codes = new Map<string, Hex>();
  for (const name of ADDRESS_FIELDS) codes.set(name, await codeAt(client, name, deployment[name]));
  const stored = keccak256(codes.get("parameterStore") as Hex);
  compare([["parameterStore (code)", storedParametersHash(deployment), stored]]);
  for (const kind of RULE_KINDS) {
    const code = await codeAt(client, `rules.${kind}`, deployment.rules[kind]);
    compare([[`rules.${kind} (code)`, ruleCode[kind].codeHash, keccak256(code)]]);
  }
  for (const read of [genesisOf, wiring, rulesOf]) {
    compare(await l1Call("deployed contracts", () => read(client, deployment)));
  }
}
