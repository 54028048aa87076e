// Writes vectors/solidity/*.json: inputs of the contract's pricing libraries with what the TypeScript side (built by tsc -b)
// computes for them. The values come from the bigint definitions. `--check` compares with the committed files and exits 1
// on a difference.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import fc from "fast-check";
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
  packRows,
  riskParameters,
  rowCase,
  rowCorners,
  rowResult,
} from "./pricing-cases.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const built = (path) => import(pathToFileURL(join(ROOT, path)).href);
const [num, ledger, rowsReference] = await Promise.all(
  ["packages/num/dist/index.js", "packages/ledger/dist/index.js", "packages/ledger/dist/risk/rows.reference.js"].map(
    built,
  ),
);
const SEED = 20240617;
const SAMPLES_PER_FUNCTION = 400;
const PARAMETER_SETS = 12;
const ROWS_PER_SET = 40;
const FUNDING_PER_SET = 60;

const readJson = (path) => JSON.parse(readFileSync(join(ROOT, path), "utf8"));
const sample = (arbitrary, count, part) => fc.sample(arbitrary, { numRuns: count, seed: SEED + part });

/** Inputs of the high-precision vectors of the same function. */
function knownInputs(name) {
  if (name === "black76") {
    return readJson("vectors/num/black76.json").cases.map(({ forward, strike, deviation }, i) => [
      ...[Number(forward), Number(strike), Number(deviation)],
      i % 2,
    ]);
  }
  const { cases } = readJson("vectors/num/functions.json");
  return cases.filter((one) => `${one.function}Q48` === name).map(({ x }) => [Number(x)]);
}

function functionVectors() {
  const functions = FUNCTIONS.map(({ code, name, inputs, corners, evaluate }) => {
    const cases = [...knownInputs(name), ...corners, ...sample(inputs, SAMPLES_PER_FUNCTION, code)];
    const expected = cases.map((one) => evaluate(num, one));
    return { name, code, count: cases.length, inputs: packFunctionInputs(cases), expected: pack(expected) };
  });
  return {
    comment: "per case: 4 big-endian int64 (a, b, c, flag; unused 0) and 1 result",
    count: functions.length,
    functions,
  };
}

function knownRows() {
  return readJson("vectors/rows/rows.json").cases.map(
    ({ kind, strike, expiryMs, lotNanoCoin, underlying, surface }) => {
      const numbers = (record) =>
        Object.fromEntries(Object.entries(record).map(([name, text]) => [name, Number(text)]));
      const market = { ...numbers(underlying), surfaces: [numbers(surface)] };
      return {
        kind,
        strike: Number(strike),
        expiryMs: kind === 1 ? 0 : Number(expiryMs),
        lotNanoCoin: Number(lotNanoCoin),
        market,
      };
    },
  );
}

function rowVectors(sets) {
  const groups = sets.map((parameters, i) => {
    const cases =
      i === 0 ? [...knownRows(), ...rowCorners(parameters)] : sample(rowCase(parameters), ROWS_PER_SET, 100 + i);
    const expected = cases.map((one) => rowResult(ledger, parameters, one, rowsReference));
    const { cells, inputs } = packRows(num, ledger, cases);
    const flat = expected.flat();
    return {
      parameters: encodeUnchecked(ledger, parameters),
      count: cases.length,
      priced: expected.filter(([refusal]) => refusal === 0n).length,
      cells,
      inputs,
      expected: pack(flat),
    };
  });
  const comment =
    "inputs: kind, strike, expiryMs, lotNanoCoin, index of the underlying's cell; expected: refusal, 40 values, whether charges exist, 4 charges; big-endian int64";
  return { comment, count: groups.length, groups };
}

function fundingVectors(sets) {
  const groups = sets.map((parameters, i) => {
    const cases = sample(fundingCase(parameters), FUNDING_PER_SET, 200 + i);
    const expected = cases.flatMap((one) => fundingResult(ledger, parameters, one));
    return {
      parameters: encodeUnchecked(ledger, parameters),
      count: cases.length,
      inputs: packFunding(cases),
      expected: pack(expected),
    };
  });
  const comment =
    "inputs: reportMs, premium average, index average before; reportMs, premium, index; has perpetual, its funding index, lot; position size and index, instrument's index; expected: safe, premium average, index average, funding index, payment; big-endian int64";
  return { comment, count: groups.length, groups };
}

function parameterVectors(sets) {
  const encodings = [
    ...new Set([...encodingsAround(ledger, sets[0]), ...sets.map((set) => encodeUnchecked(ledger, set))]),
  ];
  const fields = encodings.map((encoding) => fieldsOfEncoding(num, ledger, encoding));
  return {
    comment: "expected: every field in the order of the encoding as big-endian int64; nothing for what is no valid set",
    count: encodings.length,
    valid: fields.filter((list) => list.length > 0).length,
    encodings,
    expected: fields.map(pack),
  };
}

const sets = [ledger.DEFAULT_RISK_PARAMETERS, ...sample(riskParameters(ledger), PARAMETER_SETS, 300)];
const files = {
  functions: functionVectors(),
  rows: rowVectors(sets),
  funding: fundingVectors(sets),
  parameters: parameterVectors(sets),
};
for (const [name, content] of Object.entries(files)) {
  const path = join(ROOT, "vectors/solidity", `${name}.json`);
  const rendered = `${JSON.stringify(content, null, 1)}\n`;
  if (!process.argv.includes("--check")) {
    mkdirSync(join(ROOT, "vectors/solidity"), { recursive: true });
    writeFileSync(path, rendered);
  } else if (readFileSync(path, "utf8") !== rendered) {
    console.error(
      `vectors/solidity/${name}.json is not what the TypeScript computes: run tools/generate-solidity-vectors.mjs`,
    );
    process.exitCode = 1;
  }
}
