// Writes vectors/solidity/*.json: inputs of the contract's pricing libraries with what the TypeScript side (built by tsc -b)
// computes for them, values by the bigint definitions. `--check` computes the answers to the committed inputs again and
// exits 1 on a difference; the inputs themselves come from a sampler that uses floats, so another machine may draw others.
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
  riskParameters,
  unpack,
  unpackFunding,
} from "./pricing-cases.mjs";
import { packRows, rowCase, rowCorners, rowResult } from "./row-cases.mjs";

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

function functionInputs() {
  const functions = FUNCTIONS.map(({ code, name, inputs, corners }) => {
    const cases = [...knownInputs(name), ...corners, ...sample(inputs, SAMPLES_PER_FUNCTION, code)];
    return { name, code, count: cases.length, inputs: packFunctionInputs(cases) };
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

function rowInputs(sets) {
  const groups = sets.map((parameters, i) => {
    const cases =
      i === 0 ? [...knownRows(), ...rowCorners(parameters)] : sample(rowCase(parameters), ROWS_PER_SET, 100 + i);
    return { parameters: encodeUnchecked(ledger, parameters), count: cases.length, ...packRows(num, ledger, cases) };
  });
  const comment =
    "inputs: kind, strike, expiryMs, lotNanoCoin, index of the underlying's cell; expected: refusal, 40 values, whether charges exist, 4 charges; big-endian int64";
  return { comment, count: groups.length, groups };
}

function fundingInputs(sets) {
  const groups = sets.map((parameters, i) => {
    const cases = sample(fundingCase(parameters), FUNDING_PER_SET, 200 + i);
    return { parameters: encodeUnchecked(ledger, parameters), count: cases.length, inputs: packFunding(cases) };
  });
  const comment =
    "inputs: reportMs, premium average, index average before; reportMs, premium, index; has perpetual, its funding index, lot; position size and index, instrument's index; expected: safe, premium average, index average, funding index, payment; big-endian int64";
  return { comment, count: groups.length, groups };
}

function parameterInputs(sets) {
  const encodings = [
    ...new Set([...encodingsAround(ledger, sets[0]), ...sets.map((set) => encodeUnchecked(ledger, set))]),
  ];
  return {
    comment: "expected: every field in the order of the encoding as big-endian int64; nothing for what is no valid set",
    count: encodings.length,
    encodings,
  };
}

// ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────

function casesOf(hex, width) {
  const integers = unpack(hex).map(Number);
  return Array.from({ length: integers.length / width }, (_, i) => integers.slice(i * width, (i + 1) * width));
}

const readerOf = (hex) => new num.ByteReader(num.hexToBytes(hex));
const parametersOf = (hex) => ledger.decodeRiskParameters(readerOf(hex));

function withFunctionAnswers(content) {
  const functions = content.functions.map((one) => {
    const { evaluate } = FUNCTIONS.find(({ code }) => code === one.code);
    return { ...one, expected: pack(casesOf(one.inputs, 4).map((inputs) => evaluate(num, inputs))) };
  });
  return { ...content, functions };
}

function withRowAnswers(content) {
  const groups = content.groups.map((group) => {
    const parameters = parametersOf(group.parameters);
    const markets = group.cells.map((cell) => ledger.readUnderlying(readerOf(cell)));
    const expected = casesOf(group.inputs, 5).map(([kind, strike, expiryMs, lotNanoCoin, cell]) => {
      const one = { kind, strike, expiryMs, lotNanoCoin, market: markets[cell] };
      return rowResult(ledger, parameters, one, rowsReference);
    });
    const priced = expected.filter(([refusal]) => refusal === 0n).length;
    return { ...group, priced, expected: pack(expected.flat()) };
  });
  return { ...content, groups };
}

function withFundingAnswers(content) {
  const groups = content.groups.map((group) => {
    const parameters = parametersOf(group.parameters);
    const expected = unpackFunding(group.inputs).flatMap((one) => fundingResult(ledger, parameters, one));
    return { ...group, expected: pack(expected) };
  });
  return { ...content, groups };
}

function withParameterAnswers(content) {
  const fields = content.encodings.map((encoding) => fieldsOfEncoding(num, ledger, encoding));
  return { ...content, valid: fields.filter((list) => list.length > 0).length, expected: fields.map(pack) };
}

// ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const FILES = {
  functions: [functionInputs, withFunctionAnswers],
  rows: [rowInputs, withRowAnswers],
  funding: [fundingInputs, withFundingAnswers],
  parameters: [parameterInputs, withParameterAnswers],
};
const isCheck = process.argv.includes("--check");
const sets = isCheck ? [] : [ledger.DEFAULT_RISK_PARAMETERS, ...sample(riskParameters(ledger), PARAMETER_SETS, 300)];
mkdirSync(join(ROOT, "vectors/solidity"), { recursive: true });
for (const [name, [inputs, withAnswers]] of Object.entries(FILES)) {
  const path = `vectors/solidity/${name}.json`;
  const content = withAnswers(isCheck ? readJson(path) : inputs(sets));
  const rendered = `${JSON.stringify(content, null, 1)}\n`;
  if (!isCheck) {
    writeFileSync(join(ROOT, path), rendered);
  } else if (readFileSync(join(ROOT, path), "utf8") !== rendered) {
    console.error(`${path} is not what the TypeScript computes: run tools/generate-solidity-vectors.mjs`);
    process.exitCode = 1;
  }
}
