// Pricing arithmetic on plain numbers: the integers of fixed.reference.ts without bigint. Values have scale 2^48 and are
// split into 24-bit limbs a = a1·2^24 + a0, 0 ≤ a0 < 2^24 (a1 signed), so that every intermediate is an exact double.
// Division and Math.sqrt only estimate: the exact remainder corrects the estimate, so no machine can differ.
import { assert } from "./assert.ts";
import {
  EXP_COEFFICIENTS,
  INVERSE_LN2_Q22,
  LN_COEFFICIENTS,
  LN2_Q48,
  MILLS_COEFFICIENTS,
  SQRT2_Q48,
} from "./coefficients.ts";

export const ONE_Q48 = 2 ** 48;
/** black76 takes ratios of forward and strike down to this. */
export const RATIO_Q48_MIN = 2 ** 24;
const LIMB = 2 ** 24;
const LIMB_INVERSE = 2 ** -24;
const Q46_INVERSE = 2 ** -46;
const FOUR = 4 * ONE_Q48;
const EIGHT = 8 * ONE_Q48;
const DEVIATION_MAX = 16 * ONE_Q48;
const EXP_MIN = -32 * ONE_Q48;
const EXP_MAX = 3 * ONE_Q48;
const LN_MIN = 2 ** 8;
const LN_LIMIT = 32 * ONE_Q48;
const EXP = Float64Array.from(EXP_COEFFICIENTS);
const LN = Float64Array.from(LN_COEFFICIENTS);
const MILLS = Float64Array.from(MILLS_COEFFICIENTS);
/** 2^−n for n = 0 … 47: halvings of exp are at most floor(32 / ln 2) = 46. */
const HALVED = Float64Array.from({ length: 48 }, (_, n) => 2 ** -n);

/**
 * floor(a·b / 2^48). |a| + |b| < 2^53 − 2^25 bounds the middle sum |a1·b0 + a0·b1 + …| < 2^53; |a·b| < 2^101 − 2^78 bounds a1·b1
 * and the result below 2^53.
 */
export function mulQ48(a: number, b: number): number {
  const a1 = Math.floor(a * LIMB_INVERSE);
  const a0 = a - a1 * LIMB;
  const b1 = Math.floor(b * LIMB_INVERSE);
  const b0 = b - b1 * LIMB;
  const middle = a1 * b0 + a0 * b1 + Math.floor(a0 * b0 * LIMB_INVERSE);
  return a1 * b1 + Math.floor(middle * LIMB_INVERSE);
}

/**
 * floor(a·2^48 / b). 0 < b ≤ 2^52, |a| < 2^52.6, |result| < 2^52. Rounding is monotone and integers are representable, so the
 * estimate is the floor or, rounded up onto the next integer, one more. With q·b ≈ a·2^48: |q1·b1| ≤ |a| + 2^30, the middle
 * sum < 2^53, |remainder| ≤ b, so each difference below is exact.
 */
export function divQ48(a: number, b: number): number {
  const q = Math.floor((a / b) * ONE_Q48);
  const q1 = Math.floor(q * LIMB_INVERSE);
  const q0 = q - q1 * LIMB;
  const b1 = Math.floor(b * LIMB_INVERSE);
  const b0 = b - b1 * LIMB;
  const remainder = ((a - q1 * b1) * LIMB - (q1 * b0 + q0 * b1)) * LIMB - q0 * b0;
  return remainder < 0 ? q - 1 : q;
}

/** floor(sqrt(x·2^48)). 0 ≤ x < 2^53: root < 2^50.5, root1² < 2^53, |remainder| ≤ 2·root + 1 < 2^52. */
export function sqrtQ48(x: number): number {
  let root = Math.floor(Math.sqrt(x) * LIMB);
  const root1 = Math.floor(root * LIMB_INVERSE);
  const root0 = root - root1 * LIMB;
  let remainder = ((x - root1 * root1) * LIMB - 2 * root1 * root0) * LIMB - root0 * root0;
  while (remainder < 0) {
    root -= 1;
    remainder += 2 * root + 1;
  }
  while (remainder > 2 * root) {
    remainder -= 2 * root + 1;
    root += 1;
  }
  return root;
}

/**
 * Horner's rule, floor at each step. |x| ≤ 2^48 and partial sums below 2^51 for the three polynomials here, so |sum1|·2^24 +
 * 2^24·|x1| < 2^52 keeps the middle sum exact. The split of x is hoisted: it is the same in every step.
 */
function polynomial(coefficients: Float64Array, x: number): number {
  const x1 = Math.floor(x * LIMB_INVERSE);
  const x0 = x - x1 * LIMB;
  let sum = 0;
  for (let i = 0; i < coefficients.length; i++) {
    const sum1 = Math.floor(sum * LIMB_INVERSE);
    const sum0 = sum - sum1 * LIMB;
    const middle = sum1 * x0 + sum0 * x1 + Math.floor(sum0 * x0 * LIMB_INVERSE);
    sum = sum1 * x1 + Math.floor(middle * LIMB_INVERSE) + (coefficients[i] as number);
  }
  return sum;
}

/** e^x, −32 ≤ x ≤ 3. floor(y / 2^24) ≤ 2^29 times a 23-bit constant and halvings·LN2 ≤ 46·2^47.5 < 2^53 are exact. */
export function expQ48(x: number): number {
  assert(x >= EXP_MIN && x <= EXP_MAX, "expQ48: −32 ≤ x ≤ 3");
  const y = -x;
  const halvings = Math.floor(Math.floor(y * LIMB_INVERSE) * INVERSE_LN2_Q22 * Q46_INVERSE);
  const mantissa = polynomial(EXP, y - halvings * LN2_Q48);
  return halvings >= 0 ? Math.floor(mantissa * (HALVED[halvings] as number)) : mantissa * 2 ** -halvings;
}

/** ln x, 2^−40 ≤ x < 32. |exponent|·LN2 ≤ 40·2^47.5 < 2^53. */
export function lnQ48(x: number): number {
  assert(x >= LN_MIN && x < LN_LIMIT, "lnQ48: 2^−40 ≤ x < 32");
  let mantissa = x;
  let exponent = 0;
  while (mantissa >= SQRT2_Q48) {
    mantissa = Math.floor(mantissa * 0.5);
    exponent += 1;
  }
  while (2 * mantissa < SQRT2_Q48) {
    mantissa *= 2;
    exponent -= 1;
  }
  const s = divQ48(mantissa - ONE_Q48, mantissa + ONE_Q48);
  return mulQ48(s, polynomial(LN, mulQ48(s, s))) + exponent * LN2_Q48;
}

/** Φ(−y)·e^(y²/2), 0 ≤ y ≤ 8. */
function mills(y: number): number {
  return polynomial(MILLS, divQ48(y - FOUR, y + FOUR));
}

/** e^(−y²/2), 0 ≤ y < 8: half² < 16·2^48 and its double < 2^53. */
function gaussian(y: number): number {
  const half = Math.floor(y * 0.5);
  return expQ48(-2 * mulQ48(half, half));
}

/** Standard normal distribution function; 0 and 1 from |z| ≥ 8 on. |z| < 2^53. */
export function normalCdfQ48(z: number): number {
  const y = z < 0 ? -z : z;
  const tail = y >= EIGHT ? 0 : mulQ48(gaussian(y), mills(y));
  return z <= 0 ? tail : ONE_Q48 - tail;
}

/**
 * Value of the out-of-the-money option in units of max(F, K); see outOfTheMoneyQ48Reference. `logOfRatio` = lnQ48(ratio)
 * is passed in because scenarios share it. x < 16·v and v ≤ 16 bound d by 2^52 and u by 2^52.6.
 */
export function outOfTheMoneyFromLogQ48(ratio: number, logOfRatio: number, deviation: number): number {
  const v = deviation > DEVIATION_MAX ? DEVIATION_MAX : deviation;
  const x = logOfRatio < 0 ? -logOfRatio : 0;
  if (v === 0 || x >= 16 * v) return 0;
  const d = divQ48(x, v);
  const u = d + Math.floor(v * 0.5);
  const w = u - v;
  if (u >= EIGHT) return w > 0 ? 0 : ratio;
  const g = gaussian(u);
  const value = w > 0 ? mulQ48(g, mills(w) - mills(u)) : ratio - mulQ48(g, mills(-w) + mills(u));
  return value < 0 ? 0 : value > ratio ? ratio : value;
}

/** 2^−24 ≤ ratio ≤ 1, deviation ≥ 0. */
export function outOfTheMoneyQ48(ratio: number, deviation: number): number {
  assert(ratio >= RATIO_Q48_MIN && ratio <= ONE_Q48 && deviation >= 0, "outOfTheMoney: 2^−24 ≤ ratio ≤ 1");
  return outOfTheMoneyFromLogQ48(ratio, lnQ48(ratio), deviation);
}

/** Black-76 value in the unit of `forward` and `strike` (integers < 2^52, ratio ≥ 2^−24), floor. */
export function black76(forward: number, strike: number, deviation: number, isCall: boolean): number {
  const low = forward < strike ? forward : strike;
  const high = forward < strike ? strike : forward;
  assert(low > 0 && high < 2 ** 52, "black76: 0 < forward, strike < 2^52");
  const value = mulQ48(outOfTheMoneyQ48(divQ48(low, high), deviation), high);
  const intrinsic = isCall ? forward - strike : strike - forward;
  return intrinsic > 0 ? intrinsic + value : value;
}
