// The definition of the pricing arithmetic (docs/spec/fixed-point.md): bigint, scale 2^48, every shift rounds down.
// fixed.ts computes the same integers with plain numbers; the Solidity library follows this file line by line.
import { assert } from "./assert.ts";
import {
  EXP_COEFFICIENTS,
  INVERSE_LN2_Q22,
  LN_COEFFICIENTS,
  LN2_Q48,
  MILLS_COEFFICIENTS,
  SQRT2_Q48,
} from "./coefficients.ts";

const ONE = 1n << 48n;
const EIGHT = 8n * ONE;
const LN2 = BigInt(LN2_Q48);
const SQRT2 = BigInt(SQRT2_Q48);
const EXP = EXP_COEFFICIENTS.map(BigInt);
const LN = LN_COEFFICIENTS.map(BigInt);
const MILLS = MILLS_COEFFICIENTS.map(BigInt);

function divideFloor(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

/** floor(a·b / 2^48). */
export function mulQ48Reference(a: bigint, b: bigint): bigint {
  return (a * b) >> 48n;
}

/** floor(a·2^48 / b), b > 0. */
export function divQ48Reference(a: bigint, b: bigint): bigint {
  assert(b > 0n, "divQ48: divisor > 0");
  return divideFloor(a << 48n, b);
}

/** floor(sqrt(x·2^48)), x ≥ 0. */
export function sqrtQ48Reference(x: bigint): bigint {
  assert(x >= 0n, "sqrtQ48: x ≥ 0");
  const square = x << 48n;
  if (square === 0n) return 0n;
  let root = 1n << BigInt(Math.ceil(square.toString(2).length / 2));
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function polynomial(coefficients: readonly bigint[], x: bigint): bigint {
  let sum = 0n;
  for (const coefficient of coefficients) sum = mulQ48Reference(sum, x) + coefficient;
  return sum;
}

/** e^x, −32 ≤ x ≤ 3. */
export function expQ48Reference(x: bigint): bigint {
  assert(x >= -32n * ONE && x <= 3n * ONE, "expQ48: −32 ≤ x ≤ 3");
  const y = -x;
  const halvings = ((y >> 24n) * BigInt(INVERSE_LN2_Q22)) >> 46n;
  const mantissa = polynomial(EXP, y - halvings * LN2);
  return halvings >= 0n ? mantissa >> halvings : mantissa << -halvings;
}

/** ln x, 2^−40 ≤ x < 32. */
export function lnQ48Reference(x: bigint): bigint {
  assert(x >= 1n << 8n && x < 32n * ONE, "lnQ48: 2^−40 ≤ x < 32");
  let mantissa = x;
  let exponent = 0n;
  while (mantissa >= SQRT2) {
    mantissa >>= 1n;
    exponent += 1n;
  }
  while (2n * mantissa < SQRT2) {
    mantissa <<= 1n;
    exponent -= 1n;
  }
  const s = divQ48Reference(mantissa - ONE, mantissa + ONE);
  return mulQ48Reference(s, polynomial(LN, mulQ48Reference(s, s))) + exponent * LN2;
}

/** Φ(−y)·e^(y²/2), 0 ≤ y ≤ 8. */
function mills(y: bigint): bigint {
  return polynomial(MILLS, divQ48Reference(y - 4n * ONE, y + 4n * ONE));
}

/** e^(−y²/2), 0 ≤ y < 8. */
function gaussian(y: bigint): bigint {
  const half = y >> 1n;
  return expQ48Reference(-2n * mulQ48Reference(half, half));
}

/** Standard normal distribution function; 0 and 1 from |z| ≥ 8 on. */
export function normalCdfQ48Reference(z: bigint): bigint {
  const y = z < 0n ? -z : z;
  const tail = y >= EIGHT ? 0n : mulQ48Reference(gaussian(y), mills(y));
  return z <= 0n ? tail : ONE - tail;
}

/**
 * Undiscounted Black-76 value of the out-of-the-money option in units of max(F, K), from ratio = min(F, K) / max(F, K)
 * and deviation = σ√T: ratio·Φ(w) − Φ(−u) with u, w = x/σ√T ± σ√T/2, x = −ln ratio. 2^−24 ≤ ratio ≤ 1, 0 ≤ deviation.
 */
export function outOfTheMoneyQ48Reference(ratio: bigint, deviation: bigint): bigint {
  assert(ratio >= 1n << 24n && ratio <= ONE, "outOfTheMoney: 2^−24 ≤ ratio ≤ 1");
  const v = deviation > 16n * ONE ? 16n * ONE : deviation;
  const logOfRatio = lnQ48Reference(ratio);
  const x = logOfRatio < 0n ? -logOfRatio : 0n;
  if (v === 0n || x >= 16n * v) return 0n;
  const d = divQ48Reference(x, v);
  const u = d + (v >> 1n);
  const w = u - v;
  if (u >= EIGHT) return w > 0n ? 0n : ratio;
  const g = gaussian(u);
  const value = w > 0n ? mulQ48Reference(g, mills(w) - mills(u)) : ratio - mulQ48Reference(g, mills(-w) + mills(u));
  return value < 0n ? 0n : value > ratio ? ratio : value;
}

/** Black-76 value in the unit of `forward` and `strike` (integers < 2^52, ratio ≥ 2^−24), floor. */
export function black76Reference(forward: bigint, strike: bigint, deviation: bigint, isCall: boolean): bigint {
  const low = forward < strike ? forward : strike;
  const high = forward < strike ? strike : forward;
  assert(low > 0n && high < 1n << 52n, "black76: 0 < forward, strike < 2^52");
  const ratio = divQ48Reference(low, high);
  const value = mulQ48Reference(outOfTheMoneyQ48Reference(ratio, deviation), high);
  const intrinsic = isCall ? forward - strike : strike - forward;
  return intrinsic > 0n ? intrinsic + value : value;
}
