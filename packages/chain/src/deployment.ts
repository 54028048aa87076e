// The deployment file: all that somebody outside needs, besides an L1, to check the venue.
import { readFile, rename, writeFile } from "node:fs/promises";
import { type Hash, LedgerState, ParameterError, type ParameterSet, validateParameters } from "@tidemark/ledger";
import { type Address, getAddress, isAddress } from "viem";
import type { L1Client } from "./clients.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi, custodyAbi } from "./generated/contracts.ts";

export const DEPLOYMENT_VERSION = 1;

export interface Deployment {
  version: typeof DEPLOYMENT_VERSION;
  chainId: number;
  custody: Address;
  batchChain: Address;
  /** The finality policy. */
  policy: Address;
  token: Address;
  deployedAtBlock: number;
  genesisRoot: Hash;
  parameters: ParameterSet;
}

const ADDRESS_FIELDS = ["custody", "batchChain", "policy", "token"] as const;
const FIELDS = ["version", "chainId", ...ADDRESS_FIELDS, "deployedAtBlock", "genesisRoot", "parameters"] as const;

function integerProblem(name: string, value: unknown, least: number): string[] {
  const fine = typeof value === "number" && Number.isSafeInteger(value) && value >= least;
  return fine ? [] : [`${name}: needs an integer of at least ${least}`];
}

function parameterProblems(value: unknown): string[] {
  try {
    validateParameters(value);
    return [];
  } catch (error) {
    if (!(error instanceof ParameterError)) throw error;
    return error.problems.map((problem) => `parameters: ${problem}`);
  }
}

/** What is wrong with `value` as a deployment file, one sentence a problem; empty when it is valid. */
export function deploymentProblems(value: unknown): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return ["deployment: not a JSON object"];
  const record = value as Record<string, unknown>;
  const problems: string[] = [];
  if (record["version"] !== DEPLOYMENT_VERSION) problems.push(`version: only ${DEPLOYMENT_VERSION} is known`);
  problems.push(...integerProblem("chainId", record["chainId"], 1));
  problems.push(...integerProblem("deployedAtBlock", record["deployedAtBlock"], 0));
  for (const name of ADDRESS_FIELDS) {
    const address = record[name];
    if (typeof address !== "string" || !isAddress(address, { strict: false })) problems.push(`${name}: not an address`);
  }
  const root = record["genesisRoot"];
  if (typeof root !== "string" || !/^0x[0-9a-f]{64}$/.test(root)) {
    problems.push("genesisRoot: needs 32 bytes as 0x and lower-case hexadecimal digits");
  }
  problems.push(...parameterProblems(record["parameters"]));
  const known = new Set<string>(FIELDS);
  for (const name of Object.keys(record)) if (!known.has(name)) problems.push(`${name}: unknown field`);
  return problems.length > 0 ? problems : relationProblems(value as Deployment);
}

function relationProblems(deployment: Deployment): string[] {
  const { parameters } = deployment;
  const problems: string[] = [];
  if (parameters.chainId !== deployment.chainId) problems.push("parameters.chainId: differs from chainId");
  if (parameters.verifyingContract.toLowerCase() !== deployment.custody.toLowerCase()) {
    problems.push("parameters.verifyingContract: differs from custody");
  }
  return problems;
}

/** @throws ChainError DEPLOYMENT_INVALID naming every wrong field. */
export function parseDeployment(text: string, source = "deployment file"): Deployment {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ChainError("DEPLOYMENT_INVALID", `${source} is no JSON`, { context: { source }, cause });
  }
  const problems = deploymentProblems(value);
  if (problems.length > 0) {
    throw new ChainError("DEPLOYMENT_INVALID", `${source}: ${problems.join("; ")}`, { context: { source } });
  }
  return value as Deployment;
}

export async function readDeployment(path: string): Promise<Deployment> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new ChainError("DEPLOYMENT_INVALID", `${path} cannot be read`, { context: { path }, cause });
  }
  return parseDeployment(text, path);
}

export async function writeDeployment(path: string, deployment: Deployment): Promise<void> {
  const partial = `${path}.partial`;
  await writeFile(partial, `${JSON.stringify(deployment, null, 2)}\n`);
  await rename(partial, path);
}

/**
 * Compares the file with the contracts that stand on the L1 and with the genesis that its parameters make.
 * @throws ChainError DEPLOYMENT_MISMATCH naming the first field that differs.
 */
export async function checkDeployment(client: L1Client, deployment: Deployment): Promise<void> {
  const differs = (field: string, expected: unknown, actual: unknown): ChainError =>
    new ChainError("DEPLOYMENT_MISMATCH", `deployment ${field} is ${String(expected)}, found ${String(actual)}`, {
      context: { field, expected: String(expected), actual: String(actual) },
    });
  if (client.chain.id !== deployment.chainId) throw differs("chainId", deployment.chainId, client.chain.id);
  const genesisRoot = LedgerState.genesis(deployment.parameters).root();
  if (genesisRoot !== deployment.genesisRoot) throw differs("genesisRoot", deployment.genesisRoot, genesisRoot);
  for (const name of ["custody", "batchChain", "policy", "token"] as const) {
    const code = await l1Call(`code of ${name}`, () => client.getCode({ address: deployment[name] }));
    if (code === undefined) throw differs(name, deployment[name], "an address without code");
  }
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const custody = { address: deployment.custody, abi: custodyAbi } as const;
  const [named, policy, domain, genesis, namedChain, token] = await l1Call("deployed contracts", () =>
    Promise.all([
      client.readContract({ ...chain, functionName: "custody" }),
      client.readContract({ ...chain, functionName: "finalityPolicy" }),
      client.readContract({ ...chain, functionName: "domain" }),
      client.readContract({ ...chain, functionName: "batch", args: [0n] }),
      client.readContract({ ...custody, functionName: "batchChain" }),
      client.readContract({ ...custody, functionName: "token" }),
    ]),
  );
  const pairs: readonly (readonly [string, string | number, string | number])[] = [
    ["custody", getAddress(deployment.custody), getAddress(named)],
    ["policy", getAddress(deployment.policy), getAddress(policy)],
    ["parameters.domain", deployment.parameters.domain, domain],
    ["genesisRoot", deployment.genesisRoot, genesis.postStateRoot],
    ["batchChain", getAddress(deployment.batchChain), getAddress(namedChain)],
    ["token", getAddress(deployment.token), getAddress(token)],
  ];
  for (const [field, expected, actual] of pairs) if (expected !== actual) throw differs(field, expected, actual);
}
