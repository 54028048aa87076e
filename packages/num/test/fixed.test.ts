import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as reference from "../src/fixed.reference.ts";
import * as fixed from "../src/fixed.ts";
import { dataFile, parseCsv, vectorFile } from "./data-folder.ts";

const ONE = 2 ** 48;
const RUNS = { numRuns: 4000 };

interface FunctionCase {
  function: "exp" | "ln" | "sqrt" | "normalCdf";
  x: string;
  expected: string;
}
interface OptionCase {
  forward: string;
  strike: string;
  deviation: string;
  call: string;
  put: string;
}

/** Bounds of docs/spec/fixed-point.md, in units of 2^−48; exp's is relative where the result exceeds 1. */
const BOUND = { exp: 6, ln: 30, sqrt: 0, normalCdf: 24 } as const;
const BLACK76_BOUND = 1e-9;

test("functions against the high-precision vectors", () => {
  const { cases } = JSON.parse(readFileSync(vectorFile("num", "functions.json"), "utf8")) as { cases: FunctionCase[] };
  const fast = { exp: fixed.expQ48, ln: fixed.lnQ48, sqrt: fixed.sqrtQ48, normalCdf: fixed.normalCdfQ48 };
  const worst = { exp: 0, ln: 0, sqrt: 0, normalCdf: 0 };
  for (const one of cases) {
    const value = fast[one.function](Number(one.x));
    const error = Math.abs(Number(BigInt(value) - BigInt(one.expected)));
    const scale = one.function === "exp" ? Math.max(1, value / ONE) : 1;
    worst[one.function] = Math.max(worst[one.function], error / scale);
  }
  console.log(`worst errors in units of 2^-48 over ${cases.length} cases: ${JSON.stringify(worst)}`);
  expect(cases.length).toBeGreaterThan(700);
  for (const name of ["exp", "ln", "sqrt", "normalCdf"] as const)
    expect(worst[name], name).toBeLessThanOrEqual(BOUND[name]);
});

test("Black-76 against the high-precision vectors: error per forward", () => {
  const { cases } = JSON.parse(readFileSync(vectorFile("num", "black76.json"), "utf8")) as { cases: OptionCase[] };
  let worst = 0;
  for (const one of cases) {
    const [forward, strike, deviation] = [Number(one.forward), Number(one.strike), Number(one.deviation)];
    // The option value before it is rounded to the forward's unit: the bound is on the algorithm, not on the last unit.
    const ratio = fixed.divQ48(Math.min(forward, strike), Math.max(forward, strike));
    const outside = (fixed.outOfTheMoneyQ48(ratio, deviation) / ONE) * (Math.max(forward, strike) / forward);
    const expected = Number(forward < strike ? one.call : one.put) / ONE;
    worst = Math.max(worst, Math.abs(outside - expected));
    for (const isCall of [true, false]) {
      const value = fixed.black76(forward, strike, deviation, isCall);
      const exact = Number((BigInt(isCall ? one.call : one.put) * BigInt(forward)) >> 48n);
      expect(Math.abs(value - exact), JSON.stringify(one)).toBeLessThanOrEqual(1 + BLACK76_BOUND * forward);
    }
  }
  console.log(`worst Black-76 error over ${cases.length} cases: ${worst.toExponential(2)} of the forward`);
  expect(cases.length).toBeGreaterThan(1000);
  expect(worst).toBeLessThanOrEqual(BLACK76_BOUND);
});

const safe = (low: number, high: number) => fc.integer({ min: low, max: high });

test("multiplication, division and root: fast = reference", () => {
  const half = 2 ** 52 - 2 ** 26;
  fc.assert(
    fc.property(safe(-(2 ** 50), 2 ** 50), safe(-(2 ** 50), 2 ** 50), safe(0, half), (a, b, c) => {
      expect(BigInt(fixed.mulQ48(a, b))).toBe(reference.mulQ48Reference(BigInt(a), BigInt(b)));
      expect(BigInt(fixed.mulQ48(c, 2 ** 48))).toBe(BigInt(c));
      expect(BigInt(fixed.sqrtQ48(c))).toBe(reference.sqrtQ48Reference(BigInt(c)));
    }),
    RUNS,
  );
  // Operands whose quotient stays below 2^52, the primitive's domain.
  fc.assert(
    fc.property(safe(-(2 ** 52) + 1, 2 ** 52 - 1), safe(1, 2 ** 52), (a, b) => {
      fc.pre(Math.abs(a / b) < 15.9);
      expect(BigInt(fixed.divQ48(a, b))).toBe(reference.divQ48Reference(BigInt(a), BigInt(b)));
    }),
    RUNS,
  );
});

test("exp, ln, normal distribution: fast = reference", () => {
  fc.assert(
    fc.property(safe(-32 * ONE, 3 * ONE), safe(2 ** 8, 32 * ONE - 1), safe(-9 * ONE, 9 * ONE), (x, y, z) => {
      expect(BigInt(fixed.expQ48(x))).toBe(reference.expQ48Reference(BigInt(x)));
      expect(BigInt(fixed.lnQ48(y))).toBe(reference.lnQ48Reference(BigInt(y)));
      expect(BigInt(fixed.normalCdfQ48(z))).toBe(reference.normalCdfQ48Reference(BigInt(z)));
    }),
    RUNS,
  );
});

const logUniform = (low: number, high: number) =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map((x) => Math.floor(Math.exp(x)));

test("Black-76: fast = reference, parity, monotone bounds", () => {
  fc.assert(
    fc.property(
      logUniform(1, 2 ** 51),
      fc.oneof(fc.double({ min: -8, max: 8, noNaN: true }), fc.double({ min: -0.01, max: 0.01, noNaN: true })),
      fc.oneof(logUniform(1, 20 * ONE), fc.constantFrom(0, 1, 16 * ONE, 16 * ONE + 1)),
      (forward, logMoneyness, deviation) => {
        const strike = Math.floor(forward * Math.exp(logMoneyness));
        fc.pre(strike >= 1 && strike < 2 ** 52);
        const call = fixed.black76(forward, strike, deviation, true);
        const put = fixed.black76(forward, strike, deviation, false);
        expect(BigInt(call)).toBe(reference.black76Reference(BigInt(forward), BigInt(strike), BigInt(deviation), true));
        expect(BigInt(put)).toBe(reference.black76Reference(BigInt(forward), BigInt(strike), BigInt(deviation), false));
        expect(call - put).toBe(forward - strike);
        expect(call >= Math.max(0, forward - strike) && call <= forward).toBe(true);
      },
    ),
    RUNS,
  );
});

test("out-of-the-money value at full precision: fast = reference", () => {
  fc.assert(
    fc.property(
      logUniform(2 ** 24, ONE),
      logUniform(2 ** 36, 17 * ONE),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (low, deviation, mix) => {
        // Half of the ratios within a few deviations of the money, where the value is not 0.
        const near = Math.floor(ONE * Math.exp((-deviation / ONE) * 4 * mix));
        for (const ratio of [low, near].map((one) => Math.max(2 ** 24, Math.min(ONE, one)))) {
          expect(BigInt(fixed.outOfTheMoneyQ48(ratio, deviation))).toBe(
            reference.outOfTheMoneyQ48Reference(BigInt(ratio), BigInt(deviation)),
          );
        }
      },
    ),
    RUNS,
  );
});

test("division where the double quotient rounds up onto an integer", () => {
  let corrected = 0;
  const compare = (a: number, b: number): void => {
    const expected = reference.divQ48Reference(BigInt(a), BigInt(b));
    if (BigInt(Math.floor((a / b) * ONE)) !== expected) corrected += 1;
    expect(BigInt(fixed.divQ48(a, b)), `${a} / ${b}`).toBe(expected);
  };
  fc.assert(
    fc.property(safe(2 ** 40, 2 ** 52), safe(2 ** 48, 2 ** 52 - 1), (b, quotient) => {
      // The largest a whose exact quotient is below the wanted integer.
      const a = Number((BigInt(quotient) * BigInt(b) - 1n) >> 48n);
      if (a < 2 ** 52) compare(a, b);
    }),
    RUNS,
  );
  // a·2^48 = q·b − r with a tiny r: b odd, q the inverse of b modulo 2^48 times −r.
  for (let b = 2 ** 51 + 1; b < 2 ** 51 + 2001; b += 2) {
    for (const r of [1n, 2n, 3n]) {
      let inverse = 1n;
      for (let i = 0; i < 6; i++) inverse = BigInt.asUintN(48, inverse * (2n - BigInt(b) * inverse));
      const quotient = BigInt.asUintN(48, inverse * r) + 15n * BigInt(ONE);
      const a = (quotient * BigInt(b) - r) >> 48n;
      if (a < 1n << 52n) compare(Number(a), b);
      compare(Number(((quotient - 12n * BigInt(ONE)) * BigInt(b) - r) >> 48n) % 2 ** 52, b);
    }
  }
  console.log(`division: estimate corrected in ${corrected} cases`);
  expect(corrected).toBeGreaterThan(0);
});

test("the corners of the domain stay inside their bounds", () => {
  for (const ratio of [2 ** 24, 2 ** 24 + 1, 2 ** 36, ONE - 1, ONE]) {
    for (const deviation of [0, 1, 2, 3, 2 ** 24, ONE, 8 * ONE, 16 * ONE - 1, 16 * ONE, 2 ** 53 - 1]) {
      expect(BigInt(fixed.outOfTheMoneyQ48(ratio, deviation))).toBe(
        reference.outOfTheMoneyQ48Reference(BigInt(ratio), BigInt(deviation)),
      );
    }
  }
  expect(() => fixed.outOfTheMoneyQ48(2 ** 24 - 1, ONE)).toThrow("ratio");
  expect(() => fixed.expQ48(3 * ONE + 1)).toThrow("expQ48");
  expect(() => fixed.lnQ48(255)).toThrow("lnQ48");
});

/** Discounted Black-76 on the forward spot·e^((r−q)·T), by the product's arithmetic; the set-up around it is plain floats. */
function europeanPrice(isCall: boolean, forward: number, strike: number, deviation: number, discount: number): number {
  const unit = 1e9;
  const value = fixed.black76(
    Math.round(forward * unit),
    Math.round(strike * unit),
    Math.round(deviation * ONE),
    isCall,
  );
  return (value / unit) * discount;
}

test("published prices (Haug)", ({ skip }) => {
  const path = dataFile("reference_values", "haug_european_prices.csv");
  if (path === null) return skip();
  const rows = parseCsv(readFileSync(path, "utf8"));
  expect(rows.length).toBe(43);
  for (const row of rows) {
    const [spot, q, r, years] = [Number(row["spot"]), Number(row["q"]), Number(row["r"]), Number(row["t_years"])];
    const forward = spot * Math.exp((r - q) * years);
    const deviation = Number(row["vol"]) * Math.sqrt(years);
    const price = europeanPrice(
      row["type"] === "call",
      forward,
      Number(row["strike"]),
      deviation,
      Math.exp(-r * years),
    );
    expect(Math.abs(price - Number(row["price"])), JSON.stringify(row)).toBeLessThanOrEqual(Number(row["tolerance"]));
  }
});

test("published prices (py_vollib)", ({ skip }) => {
  const path = dataFile("reference_values", "py_vollib_black_scholes.csv");
  if (path === null) return skip();
  const rows = parseCsv(readFileSync(path, "utf8"));
  expect(rows.length).toBeGreaterThan(90);
  for (const row of rows) {
    const [years, rate] = [Number(row["t"]), Number(row["R"])];
    const forward = Number(row["S"]) * Math.exp(rate * years);
    const deviation = Number(row["v"]) * Math.sqrt(years);
    for (const [isCall, name] of [
      [true, "bs_call"],
      [false, "bs_put"],
    ] as const) {
      const price = europeanPrice(isCall, forward, Number(row["K"]), deviation, Math.exp(-rate * years));
      // The file has nine significant digits.
      const tolerance = 1e-9 * forward + 5e-9 * Number(row[name]);
      expect(Math.abs(price - Number(row[name])), `${name} ${JSON.stringify(row)}`).toBeLessThanOrEqual(tolerance);
    }
  }
});

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

test("mark prices of a live venue", ({ skip }) => {
  const excess: number[] = [];
  let withinRounding = 0;
  for (const name of ["ticker_greeks_20210405T1747Z.csv", "ticker_greeks_20210722T2242Z.csv"]) {
    const path = dataFile("deribit_options", name);
    if (path === null) return skip();
    for (const row of parseCsv(readFileSync(path, "utf8"))) {
      const parts = /^[A-Z]+-(\d+)([A-Z]{3})(\d\d)-(\d+)-([CP])$/.exec(row["instrument"] ?? "");
      if (parts === null) continue;
      const expiryMs = Date.UTC(2000 + Number(parts[3]), MONTHS.indexOf(parts[2] ?? ""), Number(parts[1]), 8);
      const years = (expiryMs - Number(row["ts_ms"])) / (365 * 86_400_000);
      const [forward, strike] = [Number(row["underlying_price"]), Number(parts[4])];
      const deviation = (Number(row["mark_iv"]) / 100) * Math.sqrt(years);
      const price = europeanPrice(parts[5] === "C", forward, strike, deviation, 1) / forward;
      const error = Math.abs(price - Number(row["mark_price"]));
      // Published: volatility to 0.01 points (vega ≤ 0.4·√T of the forward), price to 1e-6 coin, forward to 0.01 USD.
      const rounding = 0.4 * Math.sqrt(years) * 0.5e-4 + 1e-6 + 0.01 / forward;
      // The venue refreshes the forward and the mark of one message at different moments: 0.03% of drift between them.
      excess.push(error / (rounding + 3e-4 * Math.max(1, strike / forward)));
      if (error <= rounding) withinRounding += 1;
    }
  }
  const worst = Math.max(...excess);
  console.log(
    `${excess.length} venue marks: ${withinRounding} within the rounding of the inputs, worst ${worst.toFixed(2)} of it with drift`,
  );
  expect(excess.length).toBe(362);
  expect(withinRounding).toBeGreaterThan(excess.length / 2);
  expect(worst).toBeLessThanOrEqual(1);
});
