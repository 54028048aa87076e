// Cases for the contract's scenario rows; see pricing-cases.mjs.
import fc from "fast-check";
import { around, BILLION, isUnusual, logarithmic, MICRO_USD_MAX, pack, SAFE_MAX, within } from "./pricing-cases.mjs";

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const NOW_MS = 1_760_000_000_000;

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
