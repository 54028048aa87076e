// The deployment file: all that somebody outside needs, besides an L1, to check the venue.
import { readFile, rename, writeFile } from "node:fs/promises";
import { CycleKind, type Hash, ParameterError, type ParameterSet, validateParameters } from "@tidemark/ledger";
import { type Address, isAddress } from "viem";
import { ChainError } from "./errors.ts";
import { ruleCode } from "./generated/rules.ts";

export const DEPLOYMENT_VERSION = 2;

/** Cycle kinds that a contract judges. */
export type RuleKind = keyof typeof ruleCode;
export const RULE_KINDS = Object.keys(ruleCode) as readonly RuleKind[];
/** Bit k: cycles of kind k exist. Whatever else a payload says it is, is malformed. */
export const KNOWN_KINDS: bigint = RULE_KINDS.reduce((bits, kind) => bits | (1n << BigInt(CycleKind[kind])), 0n);

export interface Deployment {
  version: typeof DEPLOYMENT_VERSION;
  chainId: number;
  custody: Address;
  batchChain: Address;
  /** The finality policy. */
  policy: Address;
  token: Address;
  /** The parameter set's bytes as the rules read them. */
  parameterStore: Address;
  /** What judges the cycles of a kind. */
  rules: Record<RuleKind, Address>;
  dispute: Address;
  /** Where batches are proven right. */
  affirmation: Address;
  /** Says who may post, and holds what a conviction takes. */
  stakeRegistry: Address;
  insurancePool: Address;
  escape: Address;
  receiptCourt: Address;
  /** Whose signature makes a receipt: no contract. */
  sequencer: Address;
  deployedAtBlock: number;
  genesisRoot: Hash;
  parameters: ParameterSet;
}

/** Contracts of the venue's own, the rules apart. */
export const ADDRESS_FIELDS = [
  "custody",
  "batchChain",
  "policy",
  "token",
  "parameterStore",
  "dispute",
  "affirmation",
  "stakeRegistry",
  "insurancePool",
  "escape",
  "receiptCourt",
] as const;
const FIELDS = [
  "version",
  "chainId",
  ...ADDRESS_FIELDS,
  "sequencer",
  "rules",
  "deployedAtBlock",
  "genesisRoot",
  "parameters",
] as const;

const isAnyAddress = (value: unknown): boolean => typeof value === "string" && isAddress(value, { strict: false });

function ruleProblems(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return ["rules: needs one address a cycle kind"];
  const record = value as Record<string, unknown>;
  const known = new Set<string>(RULE_KINDS);
  return [
    ...RULE_KINDS.filter((kind) => !isAnyAddress(record[kind])).map((kind) => `rules.${kind}: not an address`),
    ...Object.keys(record)
      .filter((kind) => !known.has(kind))
      .map((kind) => `rules.${kind}: unknown cycle kind`),
  ];
}

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
  for (const name of [...ADDRESS_FIELDS, "sequencer"])
    if (!isAnyAddress(record[name])) problems.push(`${name}: not an address`);
  problems.push(...ruleProblems(record["rules"]));
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
  if (parameters.insuranceOwner.toLowerCase() !== deployment.insurancePool.toLowerCase()) {
    problems.push("parameters.insuranceOwner: differs from insurancePool");
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
