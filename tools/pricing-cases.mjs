// Cases for the contract's pricing libraries: what to try, how it is packed for contracts/test/support/PricingHarness.sol, and
// what the TypeScript side answers. Shared by tools/generate-solidity-vectors.mjs (a fixed sample in a file) and
// test/pricing-differential.test.ts (new samples against the compiled contract). Rows are in row-cases.mjs.
import fc from "fast-check";

const ONE = 2 ** 48;
export const BILLION = 1_000_000_000;
export const SAFE_MAX = Number.MAX_SAFE_INTEGER;
export const MICRO_USD_MAX = 2 ** 50 - 1;
const WORD_BYTES = 8;

// ── packing ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Big-endian int64 of safe integers or bigints, one after the other. */
export function pack(integers) {
  const bytes = Buffer.alloc(WORD_BYTES * integers.length);
  integers.forEach((integer, i) => bytes.writeBigInt64BE(BigInt(integer), WORD_BYTES * i));
  return `0x${bytes.toString("hex")}`;
}

/** @returns {bigint[]} */
export function unpack(hex) {
  const bytes = Buffer.from(hex.slice(2), "hex");
  return Array.from({ length: bytes.length / WORD_BYTES }, (_, i) => bytes.readBigInt64BE(WORD_BYTES * i));
}

// ── numbers ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const within = (low, high) => fc.bigInt({ min: BigInt(low), max: BigInt(high) }).map(Number);
/** Every order of magnitude alike, ends included. 0 < low. */
export const logarithmic = (low, high) =>
  fc
    .oneof(
      { weight: 18, arbitrary: fc.double({ min: Math.log2(low), max: Math.log2(high), noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(Math.log2(low), Math.log2(high)) },
    )
    .map((x) => Math.min(high, Math.max(low, Math.floor(2 ** x))));
const signed = (magnitude) => fc.tuple(magnitude, fc.boolean()).map(([x, negative]) => (negative ? -x : x));
export const around = (...centres) => centres.flatMap((centre) => [centre - 1, centre, centre + 1]);
export const isUnusual = (times) => fc.integer({ min: 1, max: times }).map((x) => x === 1);
/** Numbers of a small-to-large scale up to the safe range, and zero. */
const anyInteger = fc.oneof(signed(logarithmic(1, SAFE_MAX)), within(-SAFE_MAX, SAFE_MAX), fc.constant(0));

// ── functions ──────────────────────────────────────────────────────────────────────────────────────────────────────

const LN2 = 195_103_586_505_167;
const SQRT2 = 398_065_729_532_861;
const ratio = fc.oneof(logarithmic(2 ** 24, ONE), within(ONE - 2 ** 30, ONE), within(ONE / 4, ONE));
/** σ√T: any size, or near the places where the formula branches for this ratio. */
const deviationFor = (ratioQ48) => {
  const x = -Math.log(ratioQ48 / ONE) * ONE;
  const never = Math.floor(x / 16);
  // u = x/v + v/2 = 8 at these two.
  const root = Math.sqrt(Math.max(0, 64 - (2 * x) / ONE));
  const edges = [never, Math.floor((8 - root) * ONE), Math.floor((8 + root) * ONE), Math.floor(Math.sqrt(2 * x * ONE))];
  const near = fc.tuple(fc.constantFrom(...edges), within(-40, 40)).map(([edge, step]) => Math.max(0, edge + step));
  return fc.oneof(logarithmic(1, SAFE_MAX), logarithmic(ONE / 1024, 4 * ONE), near, fc.constantFrom(0, 1, 2, 16 * ONE));
};
const forwardStrikeDeviation = fc
  .tuple(
    logarithmic(1, 2 ** 52 - 1),
    signed(
      fc.oneof(
        logarithmic(1, 2 ** 24),
        within(1, 4 * BILLION).map((x) => 1 + x / BILLION),
      ),
    ),
  )
  .map(([a, factor]) => [a, Math.min(2 ** 52 - 1, Math.max(1, Math.floor(factor > 0 ? a * factor : a / -factor)))])
  .filter(([a, b]) => Math.min(a, b) * 2 ** 24 >= Math.max(a, b))
  .chain(([a, b]) =>
    deviationFor(Math.max(2 ** 24, Math.floor((Math.min(a, b) / Math.max(a, b)) * ONE))).map((deviation) => [
      a,
      b,
      deviation,
    ]),
  );

/**
 * Code, name and definition of each function of the harness; inputs in its domain. `corners` come first in the vectors.
 * @type {{ code: number; name: string; inputs: fc.Arbitrary<number[]>; corners: number[][];
 *   evaluate: (num: typeof import("@tidemark/num"), inputs: number[]) => bigint }[]}
 */
export const FUNCTIONS = [
  {
    code: 0,
    name: "mulQ48",
    inputs: fc.tuple(anyInteger, anyInteger),
    corners: [-1, 0, 1, SAFE_MAX, -SAFE_MAX].flatMap((a) => [-ONE, -1, 0, 1, ONE, -SAFE_MAX].map((b) => [a, b])),
    evaluate: (num, [a, b]) => num.mulQ48Reference(BigInt(a), BigInt(b)),
  },
  {
    code: 1,
    name: "divQ48",
    inputs: fc
      .tuple(logarithmic(1, SAFE_MAX), fc.double({ min: -8, max: 8, noNaN: true }), fc.boolean())
      .map(([b, factor, isExact]) => [
        Math.trunc(Math.max(-1, Math.min(1, factor)) * (isExact ? b : Math.max(1, b - 1))),
        b,
      ]),
    corners: [-3, -1, 0, 1, 3].flatMap((a) => [1, 2, 3, ONE].map((b) => [a, b])),
    evaluate: (num, [a, b]) => num.divQ48Reference(BigInt(a), BigInt(b)),
  },
  {
    code: 2,
    name: "sqrtQ48",
    inputs: fc
      .oneof(
        logarithmic(1, SAFE_MAX),
        within(0, SAFE_MAX),
        logarithmic(1, 2 ** 52).map((r) => Math.floor((r / ONE) * r)),
      )
      .map((x) => [x]),
    corners: [0, 1, 2, 3, 4, ...around(ONE, 4 * ONE, 9 * ONE), SAFE_MAX].map((x) => [x]),
    evaluate: (num, [x]) => num.sqrtQ48Reference(BigInt(x)),
  },
  {
    code: 3,
    name: "expQ48",
    inputs: fc
      .oneof(
        within(-32 * ONE, 3 * ONE),
        signed(logarithmic(1, 3 * ONE)).filter((x) => x <= 3 * ONE),
      )
      .map((x) => [x]),
    corners: [
      ...[-32 * ONE, -32 * ONE + 1, 3 * ONE, 3 * ONE - 1, ...around(0)],
      ...Array.from({ length: 50 }, (_, n) => around((4 - n) * LN2)).flat(),
      // The number of halvings moves here and not at the multiples of LN2.
      ...Array.from({ length: 50 }, (_, n) => around(-Math.ceil(((n - 4) * 2 ** 46) / 6_051_101) * 2 ** 24)).flat(),
    ]
      .filter((x) => x >= -32 * ONE && x <= 3 * ONE)
      .map((x) => [x]),
    evaluate: (num, [x]) => num.expQ48Reference(BigInt(x)),
  },
  {
    code: 4,
    name: "lnQ48",
    inputs: fc
      .oneof(logarithmic(2 ** 8, 32 * ONE - 1), within(ONE / 2, 2 * ONE), within(2 ** 8, 32 * ONE - 1))
      .map((x) => [x]),
    corners: [
      ...Array.from({ length: 46 }, (_, n) => around(2 ** (8 + n))).flat(),
      ...Array.from({ length: 46 }, (_, n) => around(Math.floor(SQRT2 * 2 ** (n - 41)))).flat(),
    ]
      .filter((x) => x >= 2 ** 8 && x < 32 * ONE)
      .map((x) => [x]),
    evaluate: (num, [x]) => num.lnQ48Reference(BigInt(x)),
  },
  {
    code: 5,
    name: "normalCdfQ48",
    inputs: fc.oneof(within(-9 * ONE, 9 * ONE), signed(logarithmic(1, SAFE_MAX))).map((z) => [z]),
    corners: [...around(0, 8 * ONE, -8 * ONE, 4 * ONE, -4 * ONE), SAFE_MAX, -SAFE_MAX].map((z) => [z]),
    evaluate: (num, [z]) => num.normalCdfQ48Reference(BigInt(z)),
  },
  {
    code: 6,
    name: "outOfTheMoneyQ48",
    inputs: ratio.chain((r) => deviationFor(r).map((deviation) => [r, deviation])),
    corners: [
      ...[2 ** 24, 2 ** 24 + 1, ONE / 2, ONE - 1, ONE].flatMap((r) =>
        [0, 1, 2, 3, ONE / 1000, ONE, ...around(16 * ONE), SAFE_MAX].map((deviation) => [r, Math.floor(deviation)]),
      ),
      // Rounding leaves −1 here before the clamp.
      [ONE - 337, 43],
      [ONE - 336, 43],
    ],
    evaluate: (num, [r, deviation]) => num.outOfTheMoneyQ48Reference(BigInt(r), BigInt(deviation)),
  },
  {
    code: 7,
    name: "black76",
    inputs: fc.tuple(forwardStrikeDeviation, fc.boolean()).map(([numbers, isCall]) => [...numbers, isCall ? 1 : 0]),
    corners: [
      [1, 1],
      [2 ** 52 - 1, 2 ** 52 - 1],
      [2 ** 52 - 1, 2 ** 28],
      [2 ** 28, 2 ** 52 - 1],
      [1, 2 ** 24],
    ].flatMap(([f, k]) =>
      [0, 1, ONE, SAFE_MAX].flatMap((deviation) => [0, 1].map((isCall) => [f, k, deviation, isCall])),
    ),
    evaluate: (num, [f, k, deviation, isCall]) =>
      num.black76Reference(BigInt(f), BigInt(k), BigInt(deviation), isCall === 1),
  },
];

/** The harness takes four integers a case. */
export function packFunctionInputs(cases) {
  return pack(cases.flatMap((one) => [0, 1, 2, 3].map((i) => one[i] ?? 0)));
}

// ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Valid risk parameters: each scalar at an end of its range, anywhere in it, or as the default has it. */
export function riskParameters(ledger) {
  const scalars = ledger.SCALAR_RANGES.map(([name, low, high]) =>
    fc.oneof(fc.constant(ledger.DEFAULT_RISK_PARAMETERS[name]), fc.constantFrom(low, high), within(low, high)),
  );
  const increasing = (move) =>
    fc.uniqueArray(move, { minLength: 8, maxLength: 8 }).map((list) => list.sort((a, b) => a - b));
  const moves = fc.oneof(
    increasing(within(-300, 300).map((x) => x * 1_000_000)),
    increasing(within(-990, 1500).map((x) => x * 1_000_000)),
    increasing(fc.oneof(within(-990_000_000, 10 * BILLION), fc.constantFrom(-990_000_000, 10 * BILLION))),
  );
  return fc
    .tuple(moves, moves, fc.tuple(...scalars))
    .map(([spot, tails, values]) => {
      const parameters = { version: 1, spotMovesPpb: [0, ...spot], tailMovesPpb: tails };
      ledger.SCALAR_RANGES.forEach(([name], i) => {
        parameters[name] = values[i];
      });
      // Fields that bound each other.
      parameters.fundingDeadBandPpb = Math.min(parameters.fundingDeadBandPpb, parameters.fundingCapPpb);
      parameters.makerFeePpb = Math.min(parameters.makerFeePpb, parameters.takerFeePpb);
      parameters.tailDampingPpb = Math.min(
        parameters.tailDampingPpb,
        ...tails.map((move) => Math.max(1, Math.abs(move))),
      );
      return parameters;
    })
    .filter((parameters) => ledger.riskParameterProblems(parameters).length === 0);
}

/** The bytes of encodeRiskParameters without its checks, so that invalid sets can be written. */
export function encodeUnchecked(ledger, parameters) {
  const { version, spotMovesPpb, tailMovesPpb } = parameters;
  const integers = (list) =>
    list.map((value) => {
      const bytes = Buffer.alloc(WORD_BYTES);
      bytes.writeBigInt64LE(BigInt(value));
      return bytes;
    });
  const parts = [Buffer.from([version & 0xff, version >> 8, spotMovesPpb.length]), ...integers(spotMovesPpb)];
  parts.push(Buffer.from([tailMovesPpb.length]), ...integers(tailMovesPpb));
  parts.push(...integers(ledger.SCALAR_RANGES.map(([name]) => parameters[name])));
  return `0x${Buffer.concat(parts).toString("hex")}`;
}

/** Every field in the order of the encoding, or nothing where the bytes are no valid set. @returns {bigint[]} */
export function fieldsOfEncoding(num, ledger, encoding) {
  try {
    const reader = new num.ByteReader(num.hexToBytes(encoding));
    const parameters = ledger.decodeRiskParameters(reader);
    reader.end();
    const scalars = ledger.SCALAR_RANGES.map(([name]) => parameters[name]);
    return [parameters.version, ...parameters.spotMovesPpb, ...parameters.tailMovesPpb, ...scalars].map(BigInt);
  } catch (error) {
    if (error instanceof num.DecodeError) return [];
    throw error;
  }
}

/**
 * Encodings around one valid set: both ends of every range and one step outside, broken moves, counts, lengths, version.
 * @returns {`0x${string}`[]}
 */
export function encodingsAround(ledger, base) {
  const variants = [base];
  for (const [name, low, high] of ledger.SCALAR_RANGES) {
    for (const value of [low - 1, low, high, high + 1]) variants.push({ ...base, [name]: value });
  }
  for (const list of ["spotMovesPpb", "tailMovesPpb"]) {
    base[list].forEach((_, i) => {
      const values = [0, 1, -1, -990_000_001, 10 * BILLION + 1, base[list][i - 1] ?? 0, base[list][i + 1] ?? 0];
      for (const value of values) variants.push({ ...base, [list]: base[list].with(i, value) });
      variants.push({ ...base, [list]: base[list].filter((_, j) => j !== i) });
    });
    variants.push({ ...base, [list]: [...base[list], 10 * BILLION] }, { ...base, [list]: [] });
  }
  const smallestTail = Math.min(...base.tailMovesPpb.map(Math.abs));
  for (const tailDampingPpb of around(smallestTail)) variants.push({ ...base, tailDampingPpb });
  for (const fundingDeadBandPpb of around(base.fundingCapPpb)) variants.push({ ...base, fundingDeadBandPpb });
  for (const makerFeePpb of around(base.takerFeePpb)) variants.push({ ...base, makerFeePpb });
  for (const version of [0, 2, 256, 257]) variants.push({ ...base, version });
  // Outside what the reader takes at all, and bytes that move every field.
  variants.push({ ...base, liquidationSliceMicroUsdc: 2n ** 63n - 1n }, { ...base, skewPpb: -(2n ** 53n) });
  const encodings = variants.map((parameters) => encodeUnchecked(ledger, parameters));
  const whole = encodings[0];
  encodings.push(
    "0x",
    whole.slice(0, -2),
    `${whole}00`,
    `0x00${whole.slice(2)}`,
    whole.slice(0, -16),
    `0x${whole.slice(4)}`,
  );
  return encodings;
}

// ── funding ────────────────────────────────────────────────────────────────────────────────────────────────────────

export function fundingCase(parameters) {
  const premium = fc
    .oneof(
      within(-BILLION, BILLION),
      fc.constantFrom(...around(parameters.fundingDeadBandPpb, -parameters.fundingDeadBandPpb, 0)),
      within(-2 * parameters.fundingCapPpb - 2, 2 * parameters.fundingCapPpb + 2),
    )
    .map((x) => Math.max(-BILLION, Math.min(BILLION, x)));
  const fundingIndex = fc.oneof(signed(logarithmic(1, SAFE_MAX)), fc.constantFrom(0, SAFE_MAX, -SAFE_MAX));
  const elapsed = fc.oneof(
    fc.constantFrom(0, 1, ...around(parameters.fundingPeriodMs)),
    logarithmic(1, 2 ** 40),
    within(0, 2 * parameters.fundingPeriodMs),
  );
  return fc
    .record({
      reportMsBefore: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 9, arbitrary: within(1, 2 ** 52) }),
      premiumEmaBefore: premium,
      indexAverageBefore: logarithmic(1, MICRO_USD_MAX),
      elapsed,
      premium,
      index: fc.oneof(logarithmic(1e9, 2e11), logarithmic(1, MICRO_USD_MAX)),
      hasPerpetual: isUnusual(8).map((x) => !x),
      fundingIndex,
      lotNanoCoin: fc.oneof(fc.constantFrom(100_000, 1_000_000), logarithmic(1, 2 ** 40)),
      size: signed(logarithmic(1, 2 ** 31 - 1)),
      positionIndex: fundingIndex,
      instrumentIndex: fundingIndex,
    })
    .filter(({ size, positionIndex, instrumentIndex }) => Math.abs(size * (instrumentIndex - positionIndex)) < 2 ** 72);
}

export function packFunding(cases) {
  return pack(
    cases.flatMap((one) => [
      ...[one.reportMsBefore, one.premiumEmaBefore, one.indexAverageBefore, one.reportMsBefore + one.elapsed],
      ...[one.premium, one.index, one.hasPerpetual ? 1 : 0, one.fundingIndex, one.lotNanoCoin],
      ...[one.size, one.positionIndex, one.instrumentIndex],
    ]),
  );
}

/** The cases again. */
export function unpackFunding(hex) {
  const integers = unpack(hex).map(Number);
  return Array.from({ length: integers.length / 12 }, (_, i) => {
    const [reportMsBefore, premiumEmaBefore, indexAverageBefore, reportMs, premium, index, ...others] = integers.slice(
      12 * i,
      12 * i + 12,
    );
    const [hasPerpetual, fundingIndex, lotNanoCoin, size, positionIndex, instrumentIndex] = others;
    return {
      ...{ reportMsBefore, premiumEmaBefore, indexAverageBefore, elapsed: reportMs - reportMsBefore, premium, index },
      ...{ hasPerpetual: hasPerpetual === 1, fundingIndex, lotNanoCoin, size, positionIndex, instrumentIndex },
    };
  });
}

/** Whether the funding index is safe, the effect (zeros when not), the payment of a position. */
export function fundingResult(ledger, parameters, one) {
  const before = {
    reportMs: one.reportMsBefore,
    premiumEma: one.premiumEmaBefore,
    indexAverage: one.indexAverageBefore,
  };
  const report = { reportMs: one.reportMsBefore + one.elapsed, index: one.index, premium: one.premium };
  const perpetual = one.hasPerpetual ? { fundingIndex: one.fundingIndex, lotNanoCoin: one.lotNanoCoin } : null;
  const effect = ledger.applyReport(before, report, perpetual, parameters);
  const payment = ledger.fundingPaymentFloor(one.size, one.positionIndex, one.instrumentIndex);
  const values = effect === null ? [0, 0, 0, 0] : [1, effect.premiumEma, effect.indexAverage, effect.fundingIndex];
  return [...values, payment].map(BigInt);
}
