import fc from "fast-check";
import { expect, test } from "vitest";
import {
  checkedAdd,
  checkedMul,
  checkedSub,
  divCeil,
  divFloor,
  mulDivCeil,
  mulDivCeilNumber,
  mulDivFloor,
  mulDivFloorNumber,
  mulDivTrunc,
} from "../src/index.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const RUNS = { numRuns: 20_000 };
const anySafe = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom(MAX, -MAX, 2 ** 52, -(2 ** 52), 2 ** 50, 2 ** 50 + 1, 0),
);
const divisor = fc.oneof(
  fc.integer({ min: 1, max: MAX }),
  fc.integer({ min: 1, max: 1000 }),
  fc.constantFrom(MAX, 2 ** 50, 2 ** 50 + 1, 1_000_000_000),
);

test("bigint rounding by its definition", () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.bigInt(), fc.bigInt({ min: 1n, max: 1n << 200n }), (a, b, d) => {
      const floor = mulDivFloor(a, b, d);
      expect(floor * d <= a * b && (floor + 1n) * d > a * b).toBe(true);
      const ceil = mulDivCeil(a, b, d);
      expect(ceil * d >= a * b && (ceil - 1n) * d < a * b).toBe(true);
      expect(mulDivTrunc(a, b, d)).toBe(a * b >= 0n ? floor : ceil);
    }),
    { numRuns: 2000 },
  );
  expect(() => mulDivFloor(1n, 1n, 0n)).toThrow("divisor");
});

test("number forms give the bigint integers or refuse", () => {
  let exact = 0;
  fc.assert(
    fc.property(anySafe, anySafe, divisor, (a, b, d) => {
      for (const [fast, slow] of [
        [mulDivFloorNumber, mulDivFloor],
        [mulDivCeilNumber, mulDivCeil],
      ] as const) {
        const expected = slow(BigInt(a), BigInt(b), BigInt(d));
        if (expected <= BigInt(MAX) && expected >= -BigInt(MAX)) {
          exact += 1;
          expect(fast(a, b, d), `${a}·${b}/${d}`).toBe(Number(expected));
        } else {
          expect(() => fast(a, b, d)).toThrow("safe");
        }
      }
    }),
    RUNS,
  );
  expect(exact).toBeGreaterThan(RUNS.numRuns / 2);
});

test("products above 2^53 whose quotient sits on a rounding edge", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2 ** 26, max: 2 ** 50 }),
      fc.integer({ min: 2 ** 26, max: 2 ** 50 }),
      fc.integer({ min: 1, max: 2 ** 50 }),
      fc.integer({ min: -1, max: 1 }),
      (a, b, rough, offset) => {
        // A divisor of the product, and its neighbours, so that the remainder is 0 or nearly 0 or nearly d.
        const d = Math.max(1, (rough % 2 === 0 ? a : b) + offset);
        expect(BigInt(mulDivFloorNumber(a, b, d))).toBe(mulDivFloor(BigInt(a), BigInt(b), BigInt(d)));
        expect(BigInt(mulDivCeilNumber(-a, b, d))).toBe(mulDivCeil(BigInt(-a), BigInt(b), BigInt(d)));
      },
    ),
    RUNS,
  );
});

test("division by a safe integer is exact", () => {
  fc.assert(
    fc.property(anySafe, divisor, (a, d) => {
      expect(divFloor(a, d)).toBe(Number(mulDivFloor(BigInt(a), 1n, BigInt(d))));
      expect(divCeil(a, d)).toBe(Number(mulDivCeil(BigInt(a), 1n, BigInt(d))));
    }),
    RUNS,
  );
});

test("checked arithmetic refuses to leave the safe range and never makes -0", () => {
  expect(checkedAdd(MAX - 1, 1)).toBe(MAX);
  expect(() => checkedAdd(MAX, 1)).toThrow("checkedAdd");
  expect(() => checkedSub(-MAX, 1)).toThrow("checkedSub");
  expect(() => checkedMul(2 ** 27, 2 ** 26)).toThrow("checkedMul");
  expect(Object.is(checkedMul(-5, 0), 0)).toBe(true);
  expect(Object.is(mulDivCeilNumber(-1, 1, 2), 0)).toBe(true);
  expect(Object.is(divCeil(-1, 2), 0)).toBe(true);
});
