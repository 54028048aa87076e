// The compiled pricing libraries in a real EVM against the ledger: random inputs, every integer and refusal equal.
// TIDEMARK_LONG=1 runs the long form, TIDEMARK_SEED=<n> one seed again.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type EmbeddedL1, startEmbeddedL1 } from "@tidemark/chain";
import * as ledger from "@tidemark/ledger";
import * as num from "@tidemark/num";
import fc from "fast-check";
import { type Abi, createPublicClient, decodeFunctionResult, encodeFunctionData, type Hex, http } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EXP_COEFFICIENTS, LN_COEFFICIENTS, MILLS_COEFFICIENTS } from "../packages/num/src/coefficients.ts";
import { compileContract } from "../tools/compile-contract.mjs";
import {
  encodeUnchecked,
  encodingsAround,
  FUNCTIONS,
  fieldsOfEncoding,
  fundingCase,
  fundingResult,
  pack,
  packFunctionInputs,
  packFunding,
  riskParameters,
  unpack,
} from "../tools/pricing-cases.mjs";
import { chainCase, packRows, rowCase, rowResult } from "../tools/row-cases.mjs";

interface RowCase {
  kind: number;
  strike: number;
  expiryMs: number;
  lotNanoCoin: number;
  market: object;
}

const isLong = process.env["TIDEMARK_LONG"] === "1";
const seed = Number(process.env["TIDEMARK_SEED"] ?? 20_261_122) % 2 ** 31;
const ROWS_PER_CALL = 40;
const RUNS = isLong
  ? { rows: 2500, chains: 200, functions: 60, funding: 200, parameters: 40 }
  : { rows: 50, chains: 8, functions: 2, funding: 4, parameters: 2 };
const ADDRESS = "0x00000000000000000000000000000000000c0de5";
const CALL_GAS = 55_000_000n;

let l1: EmbeddedL1;
let read: (functionName: string, args: readonly unknown[]) => Promise<unknown>;
const attempts = { rows: 0, chains: 0, functions: 0, funding: 0, parameters: 0 };

beforeAll(async () => {
  const { abi, runtimeCode } = compileContract("contracts/test/support/PricingHarness.sol", "PricingHarness");
  l1 = await startEmbeddedL1();
  const client = createPublicClient({ transport: http(l1.url, { timeout: 60_000, retryCount: 0 }) });
  read = async (functionName, args) => {
    const call = encodeFunctionData({ abi: abi as Abi, functionName, args });
    const stateOverride = [{ address: ADDRESS as Hex, code: runtimeCode }];
    const { data } = await client.call({ to: ADDRESS, data: call, gas: CALL_GAS, stateOverride });
    return decodeFunctionResult({ abi: abi as Abi, functionName, data: data as Hex });
  };
});

afterAll(async () => {
  await l1.stop();
  const total = Object.values(attempts).reduce((sum, count) => sum + count, 0);
  console.log(`compared: ${JSON.stringify(attempts)}, seed ${seed}`);
  console.log(JSON.stringify({ attempts: total, failures: 0 }));
});

const someParameters = fc.oneof(
  fc.constant(ledger.DEFAULT_RISK_PARAMETERS),
  riskParameters(ledger) as fc.Arbitrary<ledger.RiskParameters>,
);

async function rowsOfContract(
  parameters: ledger.RiskParameters,
  cases: readonly RowCase[],
  isShared: boolean,
): Promise<bigint[]> {
  const { cells, inputs } = packRows(num, ledger, cases);
  return unpack((await read("rows", [encodeUnchecked(ledger, parameters), cells, inputs, isShared])) as Hex);
}

test("rows, refusals and charges of single instruments", async () => {
  const refusals = new Map<number, number>();
  const world = someParameters.chain((parameters) =>
    fc.record({
      parameters: fc.constant(parameters),
      cases: fc.array(rowCase(parameters), { minLength: ROWS_PER_CALL, maxLength: ROWS_PER_CALL }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(world, async ({ parameters, cases }) => {
      const expected = cases.map((one) => rowResult(ledger, parameters, one));
      expect(await rowsOfContract(parameters, cases, false)).toEqual(expected.flat());
      attempts.rows += cases.length;
      for (const [refusal] of expected) refusals.set(Number(refusal), (refusals.get(Number(refusal)) ?? 0) + 1);
    }),
    { numRuns: RUNS.rows, seed },
  );
  console.log(`rows by refusal: ${JSON.stringify(Object.fromEntries([...refusals].sort()))}`);
  expect(refusals.get(0) ?? 0).toBeGreaterThan(attempts.rows / 3);
  for (const code of Object.values(ledger.RowRefusal))
    expect(refusals.get(code) ?? 0, `refusal ${code}`).toBeGreaterThan(4);
});

test("instruments that share a preparation", async () => {
  const world = someParameters.chain((parameters) =>
    fc.record({ parameters: fc.constant(parameters), cases: chainCase(parameters, ledger.ROWS_PER_CYCLE_MAX) }),
  );
  await fc.assert(
    fc.asyncProperty(world, async ({ parameters, cases }) => {
      const first = cases[0] as RowCase;
      const pricer = new ledger.RowPricer(parameters);
      const market = first.market as ledger.UnderlyingCell;
      // A preparation that is refused ends a rows cycle; then nothing shares it.
      fc.pre(pricer.prepare(market, first.expiryMs, first.lotNanoCoin) === ledger.RowRefusal.none);
      const expected = cases.flatMap((one) => rowResult(ledger, parameters, one));
      expect(await rowsOfContract(parameters, cases, true)).toEqual(expected);
      attempts.chains += cases.length;
    }),
    { numRuns: RUNS.chains, seed },
  );
});

test.each(FUNCTIONS.map((one) => [one.name, one] as const))("%s", async (_, { code, inputs, corners, evaluate }) => {
  const compare = async (cases: number[][]): Promise<void> => {
    const expected = cases.map((one) => evaluate(num, one));
    expect(unpack((await read("functions", [BigInt(code), packFunctionInputs(cases)])) as Hex)).toEqual(expected);
    attempts.functions += cases.length;
  };
  await compare(corners);
  const list = fc.array(inputs, { minLength: 300, maxLength: 300 });
  await fc.assert(fc.asyncProperty(list, compare), { numRuns: RUNS.functions, seed });
});

test("funding, averages and payments", async () => {
  const world = someParameters.chain((parameters) =>
    fc.record({
      parameters: fc.constant(parameters),
      cases: fc.array(fundingCase(parameters), { minLength: 100, maxLength: 100 }),
    }),
  );
  const counts = { safe: 0, unsafe: 0 };
  await fc.assert(
    fc.asyncProperty(world, async ({ parameters, cases }) => {
      const expected = cases.map((one) => fundingResult(ledger, parameters, one));
      const results = await read("funding", [encodeUnchecked(ledger, parameters), packFunding(cases)]);
      expect(unpack(results as Hex)).toEqual(expected.flat());
      attempts.funding += cases.length;
      for (const [safe] of expected) counts[safe === 1n ? "safe" : "unsafe"] += 1;
    }),
    { numRuns: RUNS.funding, seed },
  );
  expect(counts.safe).toBeGreaterThan(100);
  expect(counts.unsafe).toBeGreaterThan(10);
});

test("encoded risk parameters: the same fields, the same sets refused", async () => {
  await fc.assert(
    fc.asyncProperty(riskParameters(ledger), async (parameters) => {
      const encodings = encodingsAround(ledger, parameters);
      const expected = encodings.map((encoding) => pack(fieldsOfEncoding(num, ledger, encoding)));
      expect(await read("decode", [encodings])).toEqual(expected);
      attempts.parameters += encodings.length;
    }),
    { numRuns: RUNS.parameters, seed },
  );
});

test("a base that is no valid set at all is refused by the whole harness", async () => {
  const broken = { ...ledger.DEFAULT_RISK_PARAMETERS, skewSpanPpb: 0 };
  await expect(read("funding", [encodeUnchecked(ledger, broken), "0x"])).rejects.toThrow(/ParametersInvalid|revert/);
});

// The lowest coefficients of ln move no result that a sample could meet.
test("the polynomials of the contract have the coefficients of the specification", () => {
  const source = readFileSync(join(import.meta.dirname, "../contracts/src/lib/FixedPoint.sol"), "utf8");
  const of = (name: string): number[] => {
    const body = new RegExp(`function ${name}\\(int256 x\\)[^{]*\\{([^}]*)\\}`).exec(source)?.[1] ?? "";
    const first = /mul\((\d+), x\)/.exec(body)?.[1];
    const others = [...body.matchAll(/:= (add|sub)\(sar\(48, mul\(\w+, x\)\), (\d+)\)/g)];
    expect(body.trim().split("\n").length - 1, name).toBe(others.length);
    return [Number(first), ...others.map(([, sign, digits]) => (sign === "sub" ? -Number(digits) : Number(digits)))];
  };
  expect(of("expPolynomial")).toEqual(EXP_COEFFICIENTS);
  expect(of("lnPolynomial")).toEqual(LN_COEFFICIENTS);
  expect(of("millsPolynomial")).toEqual(MILLS_COEFFICIENTS);
});
