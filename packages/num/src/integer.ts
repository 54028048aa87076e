// Checked integer arithmetic with named rounding. The bigint forms are the definition; the Number forms give the same
// integers for safe operands without allocating on their usual path.
import { assert } from "./assert.ts";

/** Largest integer q with q·d ≤ a·b. d > 0. */
export function mulDivFloor(a: bigint, b: bigint, d: bigint): bigint {
  assert(d > 0n, "mulDivFloor: divisor > 0");
  const product = a * b;
  const quotient = product / d;
  return product < 0n && quotient * d !== product ? quotient - 1n : quotient;
}

/** Smallest integer q with q·d ≥ a·b. d > 0. */
export function mulDivCeil(a: bigint, b: bigint, d: bigint): bigint {
  return -mulDivFloor(-a, b, d);
}

/** a·b/d rounded towards zero. d > 0. */
export function mulDivTrunc(a: bigint, b: bigint, d: bigint): bigint {
  assert(d > 0n, "mulDivTrunc: divisor > 0");
  return (a * b) / d;
}

/** @throws BugError unless a + b is a safe integer. */
export function checkedAdd(a: number, b: number): number {
  const sum = a + b;
  assert(Number.isSafeInteger(sum), "checkedAdd");
  return sum;
}

/** @throws BugError unless a − b is a safe integer. */
export function checkedSub(a: number, b: number): number {
  const difference = a - b;
  assert(Number.isSafeInteger(difference), "checkedSub");
  return difference;
}

/** @throws BugError unless a·b is a safe integer. Never returns −0. */
export function checkedMul(a: number, b: number): number {
  const product = a * b + 0;
  assert(Number.isSafeInteger(product), "checkedMul");
  return product;
}

/**
 * floor(a / d), d > 0, both safe integers. Exact: for a quotient q + k/d the distance to the next integer is at least
 * 1/d, and half a unit in the last place of the correctly rounded quotient is below |a|/d · 2^−53 < 1/d.
 */
export function divFloor(a: number, d: number): number {
  assert(d > 0, "divFloor: divisor > 0");
  return Math.floor(a / d) + 0;
}

/** ceil(a / d), d > 0, both safe integers. Exact by the argument of divFloor. */
export function divCeil(a: number, d: number): number {
  assert(d > 0, "divCeil: divisor > 0");
  return Math.ceil(a / d) + 0;
}

const SPLIT = 2 ** 27 + 1;
// |q| ≤ 2^52 keeps the estimate within 2 of the quotient; d ≤ 2^50 keeps the remainder (|r| ≤ 3d) safe.
const DIVISOR_MAX = 2 ** 50;
const QUOTIENT_MAX = 2 ** 52;

/** Low part of a·b: a·b = (a·b rounded to double) + productLow, exactly (Dekker), for |a|, |b| < 2^53. */
function productLow(a: number, b: number, high: number): number {
  const aSplit = a * SPLIT;
  const aHigh = aSplit - (aSplit - a);
  const aLow = a - aHigh;
  const bSplit = b * SPLIT;
  const bHigh = bSplit - (bSplit - b);
  const bLow = b - bHigh;
  return aLow * bLow - (high - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/**
 * floor(a·b / d) for safe integers a, b and 0 < d < 2^53, exact also when a·b exceeds 2^53.
 * @throws BugError when the result is not a safe integer.
 */
export function mulDivFloorNumber(a: number, b: number, d: number): number {
  assert(d > 0, "mulDivFloorNumber: divisor > 0");
  const product = a * b;
  if (product <= Number.MAX_SAFE_INTEGER && product >= -Number.MAX_SAFE_INTEGER) return Math.floor(product / d) + 0;
  let quotient = Math.floor(product / d);
  if (d > DIVISOR_MAX || quotient > QUOTIENT_MAX || quotient < -QUOTIENT_MAX) {
    const exact = Number(mulDivFloor(BigInt(a), BigInt(b), BigInt(d)));
    assert(Number.isSafeInteger(exact), "mulDivFloorNumber: result is safe");
    return exact;
  }
  const back = quotient * d;
  // Both differences are exact: the high parts are within 3d of each other, the low parts are integers below 2^52.
  let remainder = product - back + (productLow(a, b, product) - productLow(quotient, d, back));
  while (remainder < 0) {
    quotient -= 1;
    remainder += d;
  }
  while (remainder >= d) {
    quotient += 1;
    remainder -= d;
  }
  return quotient;
}

/** ceil(a·b / d); domain and exactness as mulDivFloorNumber. */
export function mulDivCeilNumber(a: number, b: number, d: number): number {
  return 0 - mulDivFloorNumber(0 - a, b, d);
}
