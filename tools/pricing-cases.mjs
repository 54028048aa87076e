// Cases for the contract's pricing libraries: what to try, how it is packed for contracts/test/support/PricingHarness.sol, and
// what the TypeScript side answers. Shared by tools/generate-solidity-vectors.mjs (a fixed sample in a file) and
// test/pricing-differential.test.ts (new samples against the compiled contract).
import fc from "fast-check";

const ONE = 2 ** 48;
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const BILLION = 1_000_000_000;
const SAFE_MAX = Number.MAX_SAFE_INTEGER;
const MICRO_USD_MAX = 2 ** 50 - 1;
const NOW_MS = 1_760_000_000_000;
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

const within = (low, high) => fc.bigInt({ min: BigInt(low), max: BigInt(high) }).map(Number);
/** Every order of magnitude alike, ends included. 0 < low. */
const logarithmic = (low, high) =>
  fc
    .oneof(
      { weight: 18, arbitrary: fc.double({ min: Math.log2(low), max: Math.log2(high), noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(Math.log2(low), Math.log2(high)) },
    )
    .map((x) => Math.min(high, Math.max(low, Math.floor(2 ** x))));
const signed = (magnitude) => fc.tuple(magnitude, fc.boolean()).map(([x, negative]) => (negative ? -x : x));
const around = (...centres) => centres.flatMap((centre) => [centre - 1, centre, centre + 1]);
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

// ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const SURFACE_RANGE = { a: 30e9, b: 1000e9, rho: 1e9, m: 4e9, s: 4e9 };
const surfaceParameter = (usualLow, usualHigh, low, high) =>
  fc.oneof(
    { weight: 60, arbitrary: within(usualLow, usualHigh) },
    { weight: 10, arbitrary: within(low, high) },
    { weight: 4, arbitrary: fc.constantFrom(low, high) },
    { weight: 1, arbitrary: fc.constantFrom(low - 1, high + 1, SAFE_MAX, -SAFE_MAX) },
  );
const surfaceShape = fc.record({
  a: surfaceParameter(0, 1e9, -SURFACE_RANGE.a, SURFACE_RANGE.a),
  b: surfaceParameter(0, 2e9, 0, SURFACE_RANGE.b),
  rho: surfaceParameter(-9e8, 9e8, -SURFACE_RANGE.rho, SURFACE_RANGE.rho),
  m: surfaceParameter(-3e8, 3e8, -SURFACE_RANGE.m, SURFACE_RANGE.m),
  s: surfaceParameter(0, 1e9, 0, SURFACE_RANGE.s),
});
const leftMsFor = (windowMs) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(-5, 0, 1, 999, windowMs - 1, windowMs, windowMs + 1) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(DAY_MS - 1, DAY_MS, 30 * DAY_MS - 1, 30 * DAY_MS, 4 * YEAR_MS, 4 * YEAR_MS + 1),
    },
    { weight: 4, arbitrary: within(0, 2 * windowMs) },
    { weight: 4, arbitrary: within(0, 90 * DAY_MS) },
    { weight: 3, arbitrary: within(0, 4 * YEAR_MS) },
  );
const price = fc.oneof(
  { weight: 5, arbitrary: logarithmic(1e8, 2e11) },
  { weight: 1, arbitrary: logarithmic(1, MICRO_USD_MAX) },
);
const lot = fc.oneof(
  { weight: 15, arbitrary: fc.constantFrom(10_000_000, 100_000, 100_000_000, 1_000_000) },
  { weight: 3, arbitrary: logarithmic(1, 2 ** 40) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 2 ** 40, 2 ** 40 + 1) },
);
const moneyness = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -1, max: 1, noNaN: true }) },
  { weight: 3, arbitrary: fc.double({ min: -18, max: 18, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(0) },
);
const isUnusual = (times) => fc.integer({ min: 1, max: times }).map((x) => x === 1);

/** A row case: instrument fields and what rows read of the underlying's cell. */
export function rowCase(parameters) {
  return fc.oneof({ weight: 4, arbitrary: usualCase(parameters) }, { weight: 1, arbitrary: sensitiveCase(parameters) });
}

function usualCase(parameters) {
  const windowMs = parameters.averagingWindowMs;
  return fc
    .record({
      kind: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(3, 4) }, { weight: 1, arbitrary: fc.constantFrom(1, 2) }),
      isSpot: isUnusual(60),
      isMismatched: isUnusual(50),
      hasNoSurface: isUnusual(60),
      hasNoAverage: isUnusual(20),
      index: price,
      basis: fc.double({ min: -0.4, max: 0.4, noNaN: true }),
      moneyness,
      lot,
      isLarge: isUnusual(3),
      left: leftMsFor(windowMs),
      premiumEma: fc.oneof(within(-1e7, 1e7), within(-1e9, 1e9)),
      realised: fc.double({ min: 0.5, max: 1.5, noNaN: true }),
      shape: surfaceShape,
      otherShape: surfaceShape,
      reportMs: fc.constantFrom(NOW_MS, 1, 2 ** 52),
    })
    .map((w) => {
      const bounded = (x) => Math.max(1, Math.min(MICRO_USD_MAX, Math.floor(x)));
      const forward = bounded(w.index * (1 + w.basis));
      const inWindow = w.left < windowMs;
      const surface = {
        expiryMs: Math.max(1, w.reportMs + w.left),
        forward,
        realisedAverage: inWindow && !w.hasNoAverage ? bounded(w.index * w.realised) : 0,
        ...w.shape,
      };
      const other = { expiryMs: surface.expiryMs + 7 * DAY_MS, forward: w.index, realisedAverage: 0, ...w.otherShape };
      const kind = w.isSpot ? 0 : w.kind;
      const strike = kind > 2 ? bounded(forward * Math.exp(w.moneyness)) : 0;
      // Close to the largest lot that no move carries out of the domain: there the last bits of a volatility show.
      const lotMax = Math.floor((2 ** 40 / 12) * (BILLION / Math.max(w.index, forward, strike)));
      const isDated = w.isMismatched ? kind === 1 : kind > 1;
      return {
        kind,
        strike,
        expiryMs: isDated ? surface.expiryMs : 0,
        lotNanoCoin: w.isLarge ? Math.max(1, Math.min(2 ** 40, lotMax)) : w.lot,
        market: {
          reportMs: w.reportMs,
          index: w.index,
          premiumEma: w.premiumEma,
          surfaces: w.hasNoSurface
            ? [other]
            : [{ ...other, expiryMs: Math.max(1, surface.expiryMs - 1) }, surface, other],
        },
      };
    });
}

/**
 * Options whose value shows the last bits of their volatility: the largest lot, a steep wing that multiplies what the root
 * loses, and an expiry that leaves σ√T near 1.
 */
function sensitiveCase(parameters) {
  const factorMax =
    1 + Math.max(0.8, ...[...parameters.spotMovesPpb, ...parameters.tailMovesPpb].map((x) => x / BILLION));
  return fc
    .record({
      isCall: fc.boolean(),
      forward: logarithmic(1e8, 2e11),
      k: fc.double({ min: -0.5, max: 0.5, noNaN: true }),
      b: logarithmic(1e9, 1e12),
      rho: within(-900_000_000, 900_000_000),
      variance: fc.double({ min: 0.5, max: 24, noNaN: true }),
      isBelow: fc.boolean(),
      total: fc.double({ min: 0.1, max: 2, noNaN: true }),
    })
    .map((w) => {
      const strike = Math.floor(w.forward * Math.exp(w.k));
      const wing = (w.variance * BILLION) / w.b;
      const rho = w.rho / BILLION;
      const z = w.isBelow ? -wing / (1 - rho) : wing / (1 + rho);
      const surface = {
        expiryMs: NOW_MS + Math.floor((w.total / w.variance) * YEAR_MS),
        forward: w.forward,
        realisedAverage: w.forward,
        ...{ a: 0, b: w.b, rho: w.rho, m: Math.round((w.k - z) * BILLION), s: 0 },
      };
      const largest = Math.max(w.forward * factorMax, strike);
      return {
        kind: w.isCall ? 3 : 4,
        strike,
        expiryMs: surface.expiryMs,
        lotNanoCoin: Math.min(2 ** 40, Math.floor(2 ** 40 * 0.999 * (BILLION / largest))),
        market: { reportMs: NOW_MS, index: w.forward, premiumEma: 0, surfaces: [surface] },
      };
    });
}

/** Instruments of one underlying, expiry and lot, strikes around the forward: what one preparation serves. */
export function chainCase(parameters, count) {
  return fc
    .tuple(
      rowCase(parameters),
      fc.array(fc.tuple(fc.constantFrom(2, 3, 4), moneyness), { minLength: count, maxLength: count }),
    )
    .filter(([{ expiryMs }]) => expiryMs > 0)
    .map(([base, instruments]) =>
      instruments.map(([kind, k]) => ({
        ...base,
        kind,
        strike: kind > 2 ? Math.max(1, Math.min(MICRO_USD_MAX, Math.floor(base.market.index * Math.exp(k)))) : 0,
      })),
    );
}

const ordinarySurface = { a: 120_000_000, b: 400_000_000, rho: -200_000_000, m: 20_000_000, s: 250_000_000 };

/** Each edge of the row formula once, with the default parameters. */
export function rowCorners(parameters) {
  const windowMs = parameters.averagingWindowMs;
  const index = 67_000_000_000;
  const forward = 67_300_000_000;
  const one = (kind, leftMs, changes = {}, surfaceChanges = {}) => {
    const expiryMs = NOW_MS + leftMs;
    const realisedAverage = leftMs < windowMs ? index : 0;
    const surface = { expiryMs, forward, realisedAverage, ...ordinarySurface, ...surfaceChanges };
    const {
      strike = kind > 2 ? 70_000_000_000 : 0,
      lotNanoCoin = 10_000_000,
      marketIndex = index,
      premiumEma = 3_000_000,
    } = changes;
    const market = { reportMs: NOW_MS, index: marketIndex, premiumEma, surfaces: changes.surfaces ?? [surface] };
    return { kind, strike, expiryMs: kind === 1 ? 0 : expiryMs, lotNanoCoin, market };
  };
  const left = 10 * DAY_MS;
  const cases = [];
  const lefts = [
    -5,
    0,
    1,
    999,
    60_000,
    ...around(windowMs),
    ...around(DAY_MS),
    ...around(30 * DAY_MS),
    YEAR_MS,
    ...around(4 * YEAR_MS),
  ];
  for (const leftMs of lefts) for (const kind of [2, 3, 4]) cases.push(one(kind, leftMs));
  for (const leftMs of [0, 60_000, windowMs - 1]) {
    for (const kind of [2, 4]) cases.push(one(kind, leftMs, {}, { realisedAverage: 0 }));
  }
  for (const name of ["a", "b", "rho", "m", "s"]) {
    const range = SURFACE_RANGE[name];
    for (const value of [...around(range), ...around(-range), ...around(0)])
      cases.push(one(3, left, {}, { [name]: value }));
  }
  // Volatility at its floor and its cap, at each expiry.
  for (const leftMs of [1, 60_000, DAY_MS, 400 * DAY_MS, 4 * YEAR_MS]) {
    cases.push(one(3, leftMs, {}, { a: -30e9, b: 0 }), one(4, leftMs, {}, { a: 30e9, b: 1000e9, s: 4e9 }));
  }
  for (const strike of [0, 1, 2, 1_000, forward - 1, forward, forward + 1, 2 ** 49, MICRO_USD_MAX]) {
    for (const lotNanoCoin of [1, 10_000_000, 1_000_000_000, 2 ** 40])
      cases.push(one(3, left, { strike, lotNanoCoin }));
  }
  for (const lotNanoCoin of [0, 1, ...around(2 ** 40)])
    for (const kind of [1, 2, 3]) cases.push(one(kind, left, { lotNanoCoin }));
  // A factor of 2^24 between strike and forward, at the mark and in one scenario only.
  for (const [low, high] of [
    [2 ** 17, 2 ** 40],
    [2 ** 17, 2 ** 41],
    [2 ** 17, 2 ** 41 - 1],
    [2 ** 20, 2 ** 44 + 1],
  ]) {
    for (const factor of [1, 4, 8, 16]) {
      cases.push(one(3, left, { strike: low, lotNanoCoin: 1_000_000 }, { forward: Math.floor(high / factor) }));
      cases.push(one(4, left, { strike: high, lotNanoCoin: 1_000_000 }, { forward: low * factor }));
    }
  }
  // A factor of exactly 2^24 in the largest and in the smallest tail; then at the report alone, inside the window.
  for (const step of [-1, 0, 1]) {
    cases.push(one(3, left, { strike: 3, lotNanoCoin: BILLION }, { forward: 2 ** 23 + step }));
    cases.push(one(4, left, { strike: 17 * 2 ** 24 + step, lotNanoCoin: BILLION }, { forward: 50 }));
    cases.push(
      one(3, 60_000, { strike: 2 ** 24 + step, lotNanoCoin: BILLION }, { forward: 1, realisedAverage: 2 ** 24 }),
    );
    cases.push(one(4, 60_000, { strike: 1, lotNanoCoin: BILLION }, { forward: 2 ** 24 + step, realisedAverage: 1 }));
  }
  // Exactly 2^52 lot units in the largest tail, half of the averaging window gone: 6·2^49 + 2^50.
  for (const step of [-1, 0]) {
    const averaged = { forward: 2 ** 38 + step, realisedAverage: 2 ** 39 };
    cases.push(one(2, windowMs / 2, { lotNanoCoin: BILLION }, averaged));
  }
  // 2^52 lot units = 2^40 micro-USDC, at the mark and in the largest tail.
  for (const limit of [2 ** 40 * 1000, Math.floor((2 ** 40 * 1000) / 6)]) {
    for (const price of around(limit)) {
      cases.push(one(2, left, { lotNanoCoin: 1_000_000 }, { forward: price }));
      cases.push(one(1, left, { lotNanoCoin: 1_000_000, marketIndex: price, premiumEma: 0 }));
      cases.push(one(4, left, { lotNanoCoin: 1_000_000, strike: price }, { forward: Math.floor(price / 8) }));
    }
  }
  for (const premiumEma of [
    0,
    ...around(parameters.premiumClampPpb),
    ...around(-parameters.premiumClampPpb),
    BILLION,
    -BILLION,
  ]) {
    cases.push(one(1, left, { premiumEma }));
  }
  for (const marketIndex of [0, 1, 23, 24, 25, 2 ** 50 - 1])
    cases.push(one(1, left, { marketIndex }), one(3, left, { marketIndex }));
  cases.push(
    one(0, left),
    one(3, left, { surfaces: [] }),
    one(2, left, { surfaces: [{ ...one(2, left).market.surfaces[0], expiryMs: 5 }] }),
  );
  return cases;
}

const row = new Float64Array(40);

/**
 * What the harness must answer: refusal, 40 values, whether charges exist, the 4 charges. Values come from the bigint
 * definition when `rowsReference` is given, else from the ledger itself.
 */
export function rowResult(ledger, parameters, one, rowsReference) {
  const instrument = { kind: one.kind, strike: one.strike, expiryMs: one.expiryMs, lotNanoCoin: one.lotNanoCoin };
  const refusal = ledger.computeRow(instrument, one.market, parameters, row, 0);
  const values = refusal === 0 ? Array.from(row, BigInt) : new Array(40).fill(0n);
  if (refusal === 0 && rowsReference !== undefined && isUsual(one)) {
    const defined = rowsReference.computeRowReference(instrument, one.market, parameters);
    if (defined === null || defined.some((value, s) => value !== values[s]))
      throw new Error(`rows differ: ${JSON.stringify(one)}`);
  }
  const charges = ledger.lotChargesOf(instrument, one.market.index, parameters);
  const { shortAddOn, longAddOn, concentrationAddOn, feePerLot } = charges ?? {};
  const chargeValues = charges === null ? [0, 0, 0, 0, 0] : [1, shortAddOn, longAddOn, concentrationAddOn, feePerLot];
  return [BigInt(refusal), ...values, ...chargeValues.map(BigInt)];
}

/** Kind and expiry fit each other; the definition asks the kind, the ledger the expiry. */
const isUsual = ({ kind, expiryMs }) => (kind === 1) === (expiryMs === 0);

/** Arguments of the harness: underlying cells and packed instruments. */
export function packRows(num, ledger, cases) {
  const markets = [...new Set(cases.map(({ market }) => market))];
  const cells = markets.map((market) => {
    const writer = new num.ByteWriter(1024);
    ledger.writeUnderlying(writer, {
      epoch: 1,
      epochOpen: true,
      indexAverage: 1,
      perpetual: 0,
      hasPerpetual: true,
      ...market,
    });
    return num.bytesToHex(writer.toBytes());
  });
  const inputs = cases.flatMap(({ kind, strike, expiryMs, lotNanoCoin, market }) => [
    kind,
    strike,
    expiryMs,
    lotNanoCoin,
    markets.indexOf(market),
  ]);
  return { cells, inputs: pack(inputs) };
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
