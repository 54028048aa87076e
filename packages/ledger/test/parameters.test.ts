import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeParameters,
  ParameterError,
  type ParameterSet,
  parametersHash,
  tickValueMicroUsdcOf,
  validateParameters,
} from "../src/index.ts";
import { testParameters } from "./parameters.ts";

const copy = (): ParameterSet => structuredClone(testParameters());

test("default contracts", () => {
  const [btc, eth] = testParameters().underlyings;
  for (const underlying of [btc, eth]) {
    expect(tickValueMicroUsdcOf(underlying?.kinds.option as never)).toBe(1000);
    expect(tickValueMicroUsdcOf(underlying?.kinds.perpetual as never)).toBe(10);
    expect(tickValueMicroUsdcOf(underlying?.kinds.future as never)).toBe(10);
  }
});

test("a JSON round trip keeps the hash", () => {
  const parameters = testParameters();
  expect(parametersHash(validateParameters(JSON.parse(JSON.stringify(parameters))))).toBe(parametersHash(parameters));
});

test("every number, address and name changes the hash", () => {
  const base = testParameters();
  const hash = parametersHash(base);
  let leaves = 0;
  const visit = (node: unknown, replace: (value: unknown) => unknown): void => {
    if (typeof node === "object" && node !== null) {
      for (const key of Object.keys(node)) {
        const child = (node as Record<string, unknown>)[key];
        visit(child, (value) => {
          (node as Record<string, unknown>)[key] = value;
          return value;
        });
      }
      return;
    }
    const changed =
      typeof node === "number" ? node + 1 : `${String(node).slice(0, -1)}${String(node).endsWith("1") ? "2" : "1"}`;
    replace(changed);
    expect(parametersHash(base), JSON.stringify(changed)).not.toBe(hash);
    replace(node);
    leaves++;
  };
  visit(base, (value) => value);
  expect(leaves).toBeGreaterThan(60);
  expect(parametersHash(base)).toBe(hash);
});

describe("an invalid set names the field and the limit", () => {
  const cases: [string, (set: Record<string, never> & ParameterSet) => void, RegExp][] = [
    ["domain", (set) => (set.domain = -1), /domain must be an integer within 0 … 4294967295/],
    ["fraction", (set) => (set.chainId = 1.5), /chainId must be an integer within 1 …/],
    ["address", (set) => (set.treasuryOwner = "0x12"), /treasuryOwner must be a 0x-prefixed address/],
    ["upper case", (set) => (set.oracles[1] = `0x${"AB".repeat(20)}`), /oracles\[1\] must be a 0x-prefixed address/],
    ["no oracles", (set) => (set.oracles = []), /oracles must list 1 … 16 addresses/],
    ["repeated oracle", (set) => (set.oracles[1] = set.oracles[0] as never), /oracles must not repeat/],
    ["quorum", (set) => (set.oracleQuorum = 4), /oracleQuorum must be at most the 3 oracles/],
    ["name", (set) => ((set.underlyings[0] as { name: string }).name = "btc"), /underlyings\[0\]\.name must be 1 … 16/],
    [
      "same name",
      (set) => ((set.underlyings[0] as { name: string }).name = "ETH"),
      /underlyings must not repeat a name/,
    ],
    [
      "tick",
      (set) =>
        ((set.underlyings[0] as never as { kinds: { future: { tickMicroUsd: number } } }).kinds.future.tickMicroUsd =
          7),
      /underlyings\[0\]\.kinds\.future: tickMicroUsd · lotNanoCoin \/ 1e9 must be an integer/,
    ],
    [
      "option tick",
      (set) =>
        ((set.underlyings[1] as never as { kinds: { option: { tickMicroUsd: number } } }).kinds.option.tickMicroUsd =
          10_010),
      /kinds\.option: the tick value 1001 must be a multiple of 8/,
    ],
    ["too many", (set) => (set.underlyings = new Array(9).fill(set.underlyings[0])), /underlyings must list 1 … 8/],
    ["risk", (set) => (set.risk.takerFeePpb = -1), /risk\.takerFeePpb/],
    ["unknown", (set) => ((set as unknown as Record<string, unknown>)["colour"] = 1), /colour is not a known field/],
    ["missing", (set) => delete (set as Partial<ParameterSet>).receiptPeriodMs, /receiptPeriodMs must be an integer/],
  ];
  test.each(cases)("%s", (_, change, message) => {
    const set = copy();
    change(set as never);
    expect(() => validateParameters(set)).toThrow(message);
    expect(() => validateParameters(set)).toThrow(ParameterError);
  });

  test("anything at all: a ParameterError or a set that encodes", () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(...Object.keys(testParameters())), (value, field) => {
        for (const candidate of [value, { ...testParameters(), [field]: value }]) {
          try {
            expect(encodeParameters(validateParameters(candidate)).length).toBeGreaterThan(0);
          } catch (error) {
            expect(error).toBeInstanceOf(ParameterError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
