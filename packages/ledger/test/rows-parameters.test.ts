import { ByteReader, ByteWriter, DecodeError } from "@tidemark/num";
import { expect, test } from "vitest";
import { ROW_LENGTH } from "../src/limits.ts";
import {
  concentrationLotsOf,
  DEFAULT_RISK_PARAMETERS,
  decodeRiskParameters,
  encodeRiskParameters,
  riskParameterProblems,
  SCALAR_RANGES,
  SCENARIO_COUNT,
  unchangedVolatilityScenarios,
} from "../src/risk/parameters.ts";

function encoded(parameters = DEFAULT_RISK_PARAMETERS): Uint8Array {
  const writer = new ByteWriter();
  encodeRiskParameters(parameters, writer);
  return writer.toBytes();
}

test("the default set is valid and fills a row", () => {
  expect(riskParameterProblems(DEFAULT_RISK_PARAMETERS)).toEqual([]);
  expect(riskParameterProblems(JSON.parse(JSON.stringify(DEFAULT_RISK_PARAMETERS)))).toEqual([]);
  expect(SCENARIO_COUNT).toBe(39);
  expect(SCENARIO_COUNT).toBeLessThanOrEqual(ROW_LENGTH);
});

test("every field is in the table, the bytes and the way back", () => {
  expect(new Set([...SCALAR_RANGES.map(([name]) => name), "version", "spotMovesPpb", "tailMovesPpb"])).toEqual(
    new Set(Object.keys(DEFAULT_RISK_PARAMETERS)),
  );
  const bytes = encoded();
  expect(bytes.length).toBe(2 + 1 + 9 * 8 + 1 + 8 * 8 + 8 * SCALAR_RANGES.length);
  const reader = new ByteReader(bytes);
  expect(decodeRiskParameters(reader)).toEqual(DEFAULT_RISK_PARAMETERS);
  reader.end();
  const seen = new Set([encoded().join()]);
  for (const [name, low, high] of SCALAR_RANGES) {
    const changed = { ...DEFAULT_RISK_PARAMETERS, [name]: DEFAULT_RISK_PARAMETERS[name] === low ? high : low };
    seen.add(encoded(changed).join());
  }
  expect(seen.size).toBe(1 + SCALAR_RANGES.length);
});

test("bytes that are no valid set do not decode", () => {
  const bytes = encoded();
  expect(() => decodeRiskParameters(new ByteReader(bytes.subarray(0, bytes.length - 1)))).toThrow(DecodeError);
  const wrong = bytes.slice();
  wrong[0] = 2;
  expect(() => decodeRiskParameters(new ByteReader(wrong))).toThrow("version: only 1 is known");
});

test.each(SCALAR_RANGES.map((range) => [...range] as const))("%s has limits", (name, low, high) => {
  for (const bad of [low - 1, high + 1, 0.5, "1", null, undefined, Number.NaN]) {
    const problems = riskParameterProblems({ ...DEFAULT_RISK_PARAMETERS, [name]: bad });
    expect(
      problems.some((problem) => problem.startsWith(`${name}:`)),
      `${name} = ${String(bad)}`,
    ).toBe(true);
  }
});

test("relations between fields", () => {
  const withChange = (change: Record<string, unknown>) =>
    riskParameterProblems({ ...DEFAULT_RISK_PARAMETERS, ...change });
  const { spotMovesPpb, tailMovesPpb } = DEFAULT_RISK_PARAMETERS;
  expect(withChange({ spotMovesPpb: [...spotMovesPpb].sort((a, b) => a - b) })).toEqual([
    "spotMovesPpb: 0 must be first and only there",
  ]);
  expect(withChange({ spotMovesPpb: spotMovesPpb.slice(1) })).toEqual(["spotMovesPpb: needs exactly 9 moves"]);
  expect(withChange({ tailMovesPpb: [...tailMovesPpb].reverse() })[0]).toBe("tailMovesPpb[1]: not increasing");
  expect(withChange({ tailMovesPpb: [-1_000_000_000, ...tailMovesPpb.slice(1)] })[0]).toContain("outside");
  expect(withChange({ tailDampingPpb: 250_000_001 })).toHaveLength(1);
  expect(withChange({ makerFeePpb: 300_001 })).toEqual(["makerFeePpb: above takerFeePpb"]);
  expect(withChange({ fundingDeadBandPpb: 5_000_001 })).toEqual(["fundingDeadBandPpb: above fundingCapPpb"]);
  expect(withChange({ surprise: 1 })).toEqual(["surprise: unknown field"]);
  expect(riskParameterProblems(null)).toEqual(["risk parameters: not an object"]);
});

test("the interpolation grid names the unchanged-volatility scenarios by increasing move", () => {
  const grid = unchangedVolatilityScenarios(DEFAULT_RISK_PARAMETERS);
  expect(grid.map(({ movePpb }) => movePpb / 1e7)).toEqual([-16, -12, -8, -4, 0, 4, 8, 12, 16]);
  expect(grid.map(({ scenario }) => scenario)).toEqual([3, 6, 9, 12, 0, 15, 18, 21, 24]);
  expect([concentrationLotsOf(DEFAULT_RISK_PARAMETERS, 1), concentrationLotsOf(DEFAULT_RISK_PARAMETERS, 4)]).toEqual([
    1_000_000, 10_000,
  ]);
});
