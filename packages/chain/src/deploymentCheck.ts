// Compares a deployment file with the contracts that stand on the L1: their code where the compiler fixed it, and whom they name.
import { CycleKind, encodeParameters, LedgerState } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type Address, getAddress, type Hex, keccak256 } from "viem";
import type { L1Client } from "./clients.ts";
import { ADDRESS_FIELDS, type Deployment, KNOWN_KINDS, RULE_KINDS } from "./deployment.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";
import { disputeAbi } from "./generated/dispute.ts";
import { cycleRuleAbi, ruleCode } from "./generated/rules.ts";

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

async function chainWiring(client: L1Client, deployment: Deployment): Promise<Comparison[]> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const custody = { address: deployment.custody, abi: custodyAbi } as const;
  const [named, policy, domain, dispute, genesis, namedChain, token] = await Promise.all([
    client.readContract({ ...chain, functionName: "custody" }),
    client.readContract({ ...chain, functionName: "finalityPolicy" }),
    client.readContract({ ...chain, functionName: "domain" }),
    client.readContract({ ...chain, functionName: "dispute" }),
    client.readContract({ ...chain, functionName: "batch", args: [0n] }),
    client.readContract({ ...custody, functionName: "batchChain" }),
    client.readContract({ ...custody, functionName: "token" }),
  ]);
  return [
    ["custody", getAddress(deployment.custody), getAddress(named)],
    ["policy", getAddress(deployment.policy), getAddress(policy)],
    ["parameters.domain", deployment.parameters.domain, domain],
    ["dispute", getAddress(deployment.dispute), getAddress(dispute)],
    ["genesisRoot", deployment.genesisRoot, genesis.postStateRoot],
    ["batchChain", getAddress(deployment.batchChain), getAddress(namedChain)],
    ["token", getAddress(deployment.token), getAddress(token)],
  ];
}

/** A dispute contract that judges another chain, by other rules or other parameters, convicts nobody. */
async function disputeWiring(client: L1Client, deployment: Deployment): Promise<Comparison[]> {
  const dispute = { address: deployment.dispute, abi: disputeAbi } as const;
  const [chain, store, knownKinds] = await Promise.all([
    client.readContract({ ...dispute, functionName: "batchChain" }),
    client.readContract({ ...dispute, functionName: "parameters" }),
    client.readContract({ ...dispute, functionName: "knownKinds" }),
  ]);
  const list: Comparison[] = [
    ["dispute.batchChain", getAddress(deployment.batchChain), getAddress(chain)],
    ["parameterStore", getAddress(deployment.parameterStore), getAddress(store)],
    ["dispute.knownKinds", KNOWN_KINDS, knownKinds],
  ];
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
  compare(await l1Call("deployed contracts", () => chainWiring(client, deployment)));
  compare(await l1Call("deployed contracts", () => disputeWiring(client, deployment)));
}
