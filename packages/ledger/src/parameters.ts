// The parameter set of a domain: who signs, what is listed, how risk is measured. Its hash is part of every state.
import { ByteReader, ByteWriter, bytesToHex, DecodeError, keccak256, MICRO_USD_MAX } from "@tidemark/num";
import { ORACLES_MAX, UNDERLYINGS_MAX } from "./limits.ts";
import {
  DEFAULT_RISK_PARAMETERS,
  decodeRiskParameters,
  encodeRiskParameters,
  type RiskParameters,
  riskParameterProblems,
} from "./risk/parameters.ts";
import { LOT_NANO_COIN_MAX } from "./risk/rows.ts";
import type { Address, Hash } from "./types.ts";

export const PARAMETER_SET_VERSION = 1;
export const CONTRACT_KINDS = ["perpetual", "future", "option"] as const;
export type ContractKind = (typeof CONTRACT_KINDS)[number];

export interface ContractSize {
  /** Size of one lot in billionths of a coin. */
  lotNanoCoin: number;
  tickMicroUsd: number;
}

export interface UnderlyingParameters {
  /** Coin code: upper-case letters and digits, part of instrument names. */
  name: string;
  kinds: Record<ContractKind, ContractSize>;
}

export interface ParameterSet {
  version: number;
  domain: number;
  chainId: number;
  verifyingContract: Address;
  oracles: Address[];
  oracleQuorum: number;
  treasuryOwner: Address;
  insuranceOwner: Address;
  /** A fill's ring slot cannot be taken over before its receipt is that old. */
  receiptPeriodMs: number;
  /** Between a change's arrival from L1 and its earliest effect. */
  adminDelayMs: number;
  /** Index = underlying number. */
  underlyings: UnderlyingParameters[];
  risk: RiskParameters;
}

/** Untrusted parameters do not validate. Every problem names its field and its limit. */
export class ParameterError extends Error {
  override readonly name = "ParameterError";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`parameter set: ${problems.join("; ")}`);
    this.problems = problems;
  }
}

const NANO_PER_COIN = 1_000_000_000;
const OPTION_TICK_VALUE_DIVISOR = 8;
const U32_MAX = 2 ** 32 - 1;
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

/** Micro-USDC per tick and lot. Exact for a validated set. */
export function tickValueMicroUsdcOf(size: Readonly<ContractSize>): number {
  return (size.tickMicroUsd * size.lotNanoCoin) / NANO_PER_COIN;
}

export interface ParameterChoices {
  chainId: number;
  verifyingContract: Address;
  oracles: Address[];
  oracleQuorum: number;
  treasuryOwner: Address;
  insuranceOwner: Address;
  domain?: number;
}

/** BTC and ETH with the default contracts and risk parameters. @throws ParameterError */
export function defaultParameters(choices: ParameterChoices): ParameterSet {
  const linear = (lotNanoCoin: number, tickMicroUsd: number): ContractSize => ({ lotNanoCoin, tickMicroUsd });
  return validateParameters({
    version: PARAMETER_SET_VERSION,
    domain: choices.domain ?? 1,
    chainId: choices.chainId,
    verifyingContract: choices.verifyingContract.toLowerCase(),
    oracles: choices.oracles.map((oracle) => oracle.toLowerCase()),
    oracleQuorum: choices.oracleQuorum,
    treasuryOwner: choices.treasuryOwner.toLowerCase(),
    insuranceOwner: choices.insuranceOwner.toLowerCase(),
    receiptPeriodMs: 3_600_000,
    adminDelayMs: 7 * 86_400_000,
    underlyings: [
      {
        name: "BTC",
        kinds: {
          perpetual: linear(100_000, 100_000),
          future: linear(100_000, 100_000),
          option: linear(10_000_000, 100_000),
        },
      },
      {
        name: "ETH",
        kinds: {
          perpetual: linear(1_000_000, 10_000),
          future: linear(1_000_000, 10_000),
          option: linear(100_000_000, 10_000),
        },
      },
    ],
    risk: { ...DEFAULT_RISK_PARAMETERS },
  });
}

type FieldCheck = (value: unknown, name: string, problems: string[]) => void;

function integerWithin(low: number, high: number): FieldCheck {
  return (value, name, problems) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < low || value > high) {
      problems.push(`${name} must be an integer within ${low} … ${high}`);
    }
  };
}

const address: FieldCheck = (value, name, problems) => {
  if (typeof value !== "string" || !/^0x[0-9a-f]{40}$/.test(value)) {
    problems.push(`${name} must be a 0x-prefixed address of 40 lower-case hexadecimal digits`);
  }
};

const oracleList: FieldCheck = (value, name, problems) => {
  if (!Array.isArray(value) || value.length < 1 || value.length > ORACLES_MAX) {
    problems.push(`${name} must list 1 … ${ORACLES_MAX} addresses`);
    return;
  }
  value.forEach((oracle, index) => address(oracle, `${name}[${index}]`, problems));
  if (new Set(value).size !== value.length) problems.push(`${name} must not repeat an address`);
};

/** Fields of an object: none missing, none unknown. */
function fields(checks: Readonly<Record<string, FieldCheck>>): FieldCheck {
  return (value, name, problems) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      problems.push(`${name} must be an object`);
      return;
    }
    const record = value as Record<string, unknown>;
    const path = (field: string): string => (name === "" ? field : `${name}.${field}`);
    for (const [field, check] of Object.entries(checks)) check(record[field], path(field), problems);
    for (const field of Object.keys(record)) {
      if (!Object.hasOwn(checks, field)) problems.push(`${path(field)} is not a known field`);
    }
  };
}

function contractSize(kind: ContractKind): FieldCheck {
  const shape = fields({
    lotNanoCoin: integerWithin(1, LOT_NANO_COIN_MAX),
    tickMicroUsd: integerWithin(1, MICRO_USD_MAX),
  });
  return (value, name, problems) => {
    const before = problems.length;
    shape(value, name, problems);
    if (problems.length > before) return;
    const { lotNanoCoin, tickMicroUsd } = value as ContractSize;
    const product = BigInt(lotNanoCoin) * BigInt(tickMicroUsd);
    const tickValue = product / BigInt(NANO_PER_COIN);
    if (tickValue * BigInt(NANO_PER_COIN) !== product || tickValue < 1n || tickValue > BigInt(U32_MAX)) {
      problems.push(`${name}: tickMicroUsd · lotNanoCoin / 1e9 must be an integer within 1 … ${U32_MAX}`);
    } else if (product > BigInt(Number.MAX_SAFE_INTEGER)) {
      problems.push(`${name}: tickMicroUsd · lotNanoCoin must be below 2^53`);
    } else if (kind === "option" && tickValue % BigInt(OPTION_TICK_VALUE_DIVISOR) !== 0n) {
      problems.push(`${name}: the tick value ${tickValue} must be a multiple of ${OPTION_TICK_VALUE_DIVISOR}`);
    }
  };
}

const underlying: FieldCheck = fields({
  name: (value, name, problems) => {
    if (typeof value !== "string" || !/^[A-Z0-9]{1,16}$/.test(value)) {
      problems.push(`${name} must be 1 … 16 upper-case letters or digits`);
    }
  },
  kinds: fields({
    perpetual: contractSize("perpetual"),
    future: contractSize("future"),
    option: contractSize("option"),
  }),
});

const underlyingList: FieldCheck = (value, name, problems) => {
  if (!Array.isArray(value) || value.length < 1 || value.length > UNDERLYINGS_MAX) {
    problems.push(`${name} must list 1 … ${UNDERLYINGS_MAX} underlyings`);
    return;
  }
  value.forEach((entry, index) => underlying(entry, `${name}[${index}]`, problems));
  const names = value.map((entry: unknown) => (entry as { name?: unknown } | null)?.name);
  if (new Set(names).size !== names.length) problems.push(`${name} must not repeat a name`);
};

const parameterSet: FieldCheck = fields({
  version: integerWithin(PARAMETER_SET_VERSION, PARAMETER_SET_VERSION),
  domain: integerWithin(0, U32_MAX),
  chainId: integerWithin(1, Number.MAX_SAFE_INTEGER),
  verifyingContract: address,
  oracles: oracleList,
  oracleQuorum: integerWithin(1, ORACLES_MAX),
  treasuryOwner: address,
  insuranceOwner: address,
  receiptPeriodMs: integerWithin(1, YEAR_MS),
  adminDelayMs: integerWithin(1, YEAR_MS),
  underlyings: underlyingList,
  risk: (value, name, problems) => {
    for (const problem of riskParameterProblems(value)) problems.push(`${name}.${problem}`);
  },
});

/** What is wrong with `value` as a ParameterSet, one sentence a problem; empty when it is valid. */
export function parameterProblems(value: unknown): string[] {
  const problems: string[] = [];
  parameterSet(value, "", problems);
  if (problems.length === 0) {
    const { oracles, oracleQuorum } = value as ParameterSet;
    if (oracleQuorum > oracles.length) problems.push(`oracleQuorum must be at most the ${oracles.length} oracles`);
  }
  return problems;
}

/** A deep copy of what was given, checked. @throws ParameterError that names every bad field and its limit. */
export function validateParameters(value: unknown): ParameterSet {
  const problems = parameterProblems(value);
  if (problems.length > 0) throw new ParameterError(problems);
  // Nothing but JSON values has passed, so this copies all of it.
  return JSON.parse(JSON.stringify(value)) as ParameterSet;
}

/** Canonical bytes; the set must be valid. */
export function encodeParameters(parameters: Readonly<ParameterSet>): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u16(parameters.version).u32(parameters.domain).u64(parameters.chainId).hex(parameters.verifyingContract, 20);
  writer.u8(parameters.oracles.length);
  for (const oracle of parameters.oracles) writer.hex(oracle, 20);
  writer.u8(parameters.oracleQuorum).hex(parameters.treasuryOwner, 20).hex(parameters.insuranceOwner, 20);
  writer.u64(parameters.receiptPeriodMs).u64(parameters.adminDelayMs).u8(parameters.underlyings.length);
  for (const { name, kinds } of parameters.underlyings) {
    writer.u8(name.length);
    for (let i = 0; i < name.length; i++) writer.u8(name.charCodeAt(i));
    for (const kind of CONTRACT_KINDS) writer.u64(kinds[kind].lotNanoCoin).u64(kinds[kind].tickMicroUsd);
  }
  encodeRiskParameters(parameters.risk, writer);
  return writer.toBytes();
}

/** @throws DecodeError unless the bytes are the encoding of a valid set. */
export function decodeParameters(bytes: Uint8Array): ParameterSet {
  const reader = new ByteReader(bytes);
  const parameters: ParameterSet = {
    version: reader.u16(),
    domain: reader.u32(),
    chainId: reader.u64(),
    verifyingContract: reader.hex(20),
    oracles: Array.from({ length: reader.u8() }, () => reader.hex(20)),
    oracleQuorum: reader.u8(),
    treasuryOwner: reader.hex(20),
    insuranceOwner: reader.hex(20),
    receiptPeriodMs: reader.u64(),
    adminDelayMs: reader.u64(),
    underlyings: Array.from({ length: reader.u8() }, () => readUnderlyingParameters(reader)),
    risk: decodeRiskParameters(reader),
  };
  reader.end();
  const problems = parameterProblems(parameters);
  if (problems.length > 0) throw new DecodeError("malformed", 0, problems.join("; "));
  return parameters;
}

function readUnderlyingParameters(reader: ByteReader): UnderlyingParameters {
  const name = String.fromCharCode(...reader.bytes(reader.u8()));
  const size = (): ContractSize => ({ lotNanoCoin: reader.u64(), tickMicroUsd: reader.u64() });
  return { name, kinds: { perpetual: size(), future: size(), option: size() } };
}

export function parametersHash(parameters: Readonly<ParameterSet>): Hash {
  return bytesToHex(keccak256(encodeParameters(parameters)));
}
