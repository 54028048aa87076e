// Fits an SVI slice to the implied volatilities of one expiry: quasi-explicit (for given m and s the rest is a small
// linear problem with bounds), robust by reweighting, bounded so that the least variance is positive and the wings obey Lee's
// slope limit. The result is rounded to the integers that the oracle signs.
import type { ExpirySurface } from "@tidemark/ledger";
import type { PartsPerBillion } from "@tidemark/num";
import type { Svi } from "./black.ts";
import { sviVariance } from "./black.ts";

export interface SmilePoint {
  /** ln(strike / forward) */
  logMoneyness: number;
  /** Annualised implied volatility, as a fraction. */
  volatility: number;
  /** Relative weight of the squared error in volatility, > 0; vega is usual. */
  weight: number;
}

export interface FitError {
  /** Weighted root mean square error in volatility (0.01 = one vol point). */
  rms: number;
  /** Largest error in volatility within two standard deviations of the money. */
  nearMoneyMax: number;
}

export interface SurfaceFit {
  svi: Svi;
  error: FitError;
  points: number;
}

/** |rho| stays clear of 1, where a wing would be flat at zero slope and rounding could leave the ledger's range. */
const RHO_MAX = 0.999;
/** Smallest s: below it the slice has a kink that no quote asks for. */
const WIDTH_MIN = 1e-3;
const VARIANCE_MIN = 1e-4;
const REWEIGHTINGS = 3;
const SEARCH_STEPS_MAX = 120;
/** Slope of total variance in |k| ≤ 2 (Lee), with a margin. */
const TOTAL_SLOPE_MAX = 1.9;

interface Linear {
  a: number;
  d: number;
  c: number;
  cost: number;
}

/** Sums of one weighted least-squares problem: variance = a + d·y + c·√(y²+1). */
class NormalEquations {
  w = 0;
  y = 0;
  z = 0;
  yy = 0;
  yz = 0;
  zz = 0;
  v = 0;
  vy = 0;
  vz = 0;
  vv = 0;

  constructor(points: readonly SmilePoint[], weights: Float64Array, m: number, s: number) {
    for (let i = 0; i < points.length; i++) {
      const point = points[i] as SmilePoint;
      const w = weights[i] as number;
      const y = (point.logMoneyness - m) / s;
      const z = Math.sqrt(y * y + 1);
      const v = point.volatility * point.volatility;
      this.w += w;
      this.y += w * y;
      this.z += w * z;
      this.yy += w * y * y;
      this.yz += w * y * z;
      this.zz += w * z * z;
      this.v += w * v;
      this.vy += w * v * y;
      this.vz += w * v * z;
      this.vv += w * v * v;
    }
  }

  cost(a: number, d: number, c: number): number {
    return (
      this.vv -
      2 * (a * this.v + d * this.vy + c * this.vz) +
      a * a * this.w +
      d * d * this.yy +
      c * c * this.zz +
      2 * (a * d * this.y + a * c * this.z + d * c * this.yz)
    );
  }
}

/** Lower bound of a: the least variance of the slice is a + √(c² − d²). */
function leastA(d: number, c: number): number {
  return VARIANCE_MIN - Math.sqrt(Math.max(c * c - d * d, 0));
}

/** Minimum of a unimodal function on [low, high]. */
function goldenSection(low: number, high: number, steps: number, cost: (x: number) => number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let left = high - ratio * (high - low);
  let right = low + ratio * (high - low);
  let costLeft = cost(left);
  let costRight = cost(right);
  for (let i = 0; i < steps; i++) {
    if (costLeft <= costRight) {
      high = right;
      right = left;
      costRight = costLeft;
      left = high - ratio * (high - low);
      costLeft = cost(left);
    } else {
      low = left;
      left = right;
      costLeft = costRight;
      right = low + ratio * (high - low);
      costRight = cost(right);
    }
  }
  return costLeft <= costRight ? left : right;
}

/** The bounds |d| ≤ 0.999·c, |d| + c ≤ slope and least variance are convex, so a search along c ends on the optimum. */
function solveBounded(sums: NormalEquations, slopeMax: number): Linear {
  const { a, d, c } = solveFree(sums);
  if (c >= 0 && Math.abs(d) <= RHO_MAX * c && Math.abs(d) + c <= slopeMax && a >= leastA(d, c)) {
    return { a, d, c, cost: sums.cost(a, d, c) };
  }
  return solveForC(
    sums,
    goldenSection(0, slopeMax, 26, (value) => solveForC(sums, value, slopeMax).cost),
    slopeMax,
  );
}

function solveForC(sums: NormalEquations, c: number, slopeMax: number): Linear {
  const dMax = Math.min(RHO_MAX * c, slopeMax - c);
  const determinant = sums.w * sums.yy - sums.y * sums.y;
  const right1 = sums.v - c * sums.z;
  const right2 = sums.vy - c * sums.yz;
  let d = determinant > 1e-12 * sums.w * sums.yy ? (sums.w * right2 - sums.y * right1) / determinant : 0;
  d = Math.min(Math.max(d, -dMax), dMax);
  let a = (right1 - d * sums.y) / sums.w;
  if (a < leastA(d, c)) {
    d = goldenSection(-dMax, dMax, 18, (value) => sums.cost(leastA(value, c), value, c));
    a = leastA(d, c);
  }
  return { a, d, c, cost: sums.cost(a, d, c) };
}

/** Unbounded solution by Cramer's rule; a degenerate problem gives an infeasible point and goes the bounded way. */
function solveFree(n: NormalEquations): { a: number; d: number; c: number } {
  const m1 = n.yy * n.zz - n.yz * n.yz;
  const m2 = n.y * n.zz - n.yz * n.z;
  const m3 = n.y * n.yz - n.yy * n.z;
  const determinant = n.w * m1 - n.y * m2 + n.z * m3;
  if (!(Math.abs(determinant) > 1e-14 * n.w * n.yy * n.zz)) return { a: -1, d: 0, c: 0 };
  const a = (n.v * m1 - n.y * (n.vy * n.zz - n.yz * n.vz) + n.z * (n.vy * n.yz - n.yy * n.vz)) / determinant;
  const d = (n.w * (n.vy * n.zz - n.yz * n.vz) - n.v * m2 + n.z * (n.y * n.vz - n.vy * n.z)) / determinant;
  const c = (n.w * (n.yy * n.vz - n.vy * n.yz) - n.y * (n.y * n.vz - n.vy * n.z) + n.v * m3) / determinant;
  return { a, d, c };
}

/** Nelder–Mead over (m, ln s): two dimensions, smooth, cheap. */
function search(
  cost: (m: number, logWidth: number) => number,
  start: readonly [number, number],
  step: readonly [number, number],
): [number, number] {
  const at = (m: number, w: number): [number, number, number] => [m, w, cost(m, w)];
  const simplex = [at(...start), at(start[0] + step[0], start[1]), at(start[0], start[1] + step[1])] as [
    number,
    number,
    number,
  ][];
  for (let i = 0; i < SEARCH_STEPS_MAX; i++) {
    simplex.sort((p, q) => p[2] - q[2]);
    const [best, middle, worst] = simplex as [
      [number, number, number],
      [number, number, number],
      [number, number, number],
    ];
    if (Math.abs(worst[2] - best[2]) <= 1e-9 * Math.abs(best[2]) + 1e-16) break;
    const centre = [(best[0] + middle[0]) / 2, (best[1] + middle[1]) / 2] as const;
    const along = (t: number): [number, number, number] =>
      at(centre[0] + t * (centre[0] - worst[0]), centre[1] + t * (centre[1] - worst[1]));
    const reflected = along(1);
    if (reflected[2] < best[2]) {
      const expanded = along(2);
      simplex[2] = expanded[2] < reflected[2] ? expanded : reflected;
    } else if (reflected[2] < middle[2]) simplex[2] = reflected;
    else {
      const contracted = reflected[2] < worst[2] ? along(0.5) : along(-0.5);
      if (contracted[2] < Math.min(reflected[2], worst[2])) simplex[2] = contracted;
      else {
        simplex[1] = at((best[0] + middle[0]) / 2, (best[1] + middle[1]) / 2);
        simplex[2] = at((best[0] + worst[0]) / 2, (best[1] + worst[1]) / 2);
      }
    }
  }
  simplex.sort((p, q) => p[2] - q[2]);
  const best = simplex[0] as [number, number, number];
  return [best[0], best[1]];
}

/** Weights of squared errors in variance that stand for squared errors in volatility: d(σ²) = 2σ·dσ. */
function baseWeights(points: readonly SmilePoint[]): Float64Array {
  return Float64Array.from(points, (point) => point.weight / (4 * point.volatility * point.volatility));
}

function fitWeighted(points: readonly SmilePoint[], weights: Float64Array, years: number, start: Svi | null): Svi {
  const ks = points.map((point) => point.logMoneyness);
  const low = Math.min(...ks);
  const high = Math.max(...ks);
  const range = Math.max(high - low, 0.02);
  const widthOf = (logWidth: number): number => Math.min(Math.max(Math.exp(logWidth), WIDTH_MIN), 0.75 * range);
  const clampM = (m: number): number => Math.min(Math.max(m, low - range / 2), high + range / 2);
  const solve = (m: number, logWidth: number): Linear => {
    const s = widthOf(logWidth);
    return solveBounded(new NormalEquations(points, weights, m, s), (TOTAL_SLOPE_MAX * s) / years);
  };
  const cost = (m: number, logWidth: number): number => {
    const outside = Math.abs(m - clampM(m)) + Math.abs(logWidth - Math.log(widthOf(logWidth)));
    return solve(clampM(m), logWidth).cost * (1 + outside);
  };
  const starts: [number, number][] =
    start === null
      ? [
          [0, Math.log(range / 4)],
          [0, Math.log(range / 20)],
        ]
      : [[start.m, Math.log(start.s)]];
  const found = starts
    .map((from) => search(cost, from, [range / 10, 0.5]))
    .reduce((best, next) => (cost(next[0], next[1]) < cost(best[0], best[1]) ? next : best));
  const m = clampM(found[0]);
  const s = widthOf(found[1]);
  const { a, d, c } = solve(m, Math.log(s));
  return { a, b: c / s, rho: c > 0 ? d / c : 0, m, s };
}

/** Needs at least five points; fewer give a flat slice at their weighted mean variance. */
export function fitSurface(points: readonly SmilePoint[], years: number): SurfaceFit {
  const base = baseWeights(points);
  let svi: Svi;
  if (points.length < 5) {
    const total = points.reduce((sum, point) => sum + point.weight, 0);
    const variance = points.reduce((sum, point) => sum + point.weight * point.volatility ** 2, 0) / total;
    svi = { a: Math.max(variance, VARIANCE_MIN), b: 0, rho: 0, m: 0, s: 0.1 };
  } else {
    svi = fitWeighted(points, base, years, null);
    for (let round = 0; round < REWEIGHTINGS; round++) {
      svi = fitWeighted(points, huberWeights(points, base, svi), years, svi);
    }
  }
  return { svi, error: errorOf(points, svi, years), points: points.length };
}

/** Errors beyond 1.5 robust deviations count linearly: one stale quote does not bend the slice. */
function huberWeights(points: readonly SmilePoint[], base: Float64Array, svi: Svi): Float64Array {
  const errors = points.map((point) => Math.abs(volatilityError(point, svi)));
  const median = [...errors].sort((p, q) => p - q)[errors.length >> 1] ?? 0;
  const limit = Math.max(1.5 * 1.4826 * median, 1e-4);
  return base.map((weight, i) => weight * Math.min(1, limit / Math.max(errors[i] as number, 1e-12)));
}

function volatilityError(point: SmilePoint, svi: Svi): number {
  return Math.sqrt(Math.max(sviVariance(svi, point.logMoneyness), 0)) - point.volatility;
}

function errorOf(points: readonly SmilePoint[], svi: Svi, years: number): FitError {
  let squares = 0;
  let weights = 0;
  let nearMoneyMax = 0;
  for (const point of points) {
    const error = volatilityError(point, svi);
    squares += point.weight * error * error;
    weights += point.weight;
    if (Math.abs(point.logMoneyness) <= 2 * point.volatility * Math.sqrt(years))
      nearMoneyMax = Math.max(nearMoneyMax, Math.abs(error));
  }
  return { rms: Math.sqrt(squares / weights), nearMoneyMax };
}

const PPB = 1_000_000_000;

export type SurfaceShape = Pick<ExpirySurface, "a" | "b" | "rho" | "m" | "s">;

/** The integers that are signed: rounded to nearest, b down so that the slope bound still holds. */
export function surfaceShape(svi: Svi): SurfaceShape {
  return {
    a: Math.round(svi.a * PPB) as PartsPerBillion,
    b: Math.floor(svi.b * PPB) as PartsPerBillion,
    rho: Math.round(svi.rho * PPB) as PartsPerBillion,
    m: Math.round(svi.m * PPB) as PartsPerBillion,
    s: Math.max(1, Math.round(svi.s * PPB)) as PartsPerBillion,
  };
}

/** Mixes two slices; every bound that both keep, the mixture keeps, except that the least variance is floored anew. */
export function mixSvi(from: Svi, to: Svi, share: number): Svi {
  const mix = (p: number, q: number): number => p + (q - p) * share;
  const mixed = {
    a: mix(from.a, to.a),
    b: mix(from.b, to.b),
    rho: mix(from.rho, to.rho),
    m: mix(from.m, to.m),
    s: mix(from.s, to.s),
  };
  const slope = mixed.b * mixed.s;
  return { ...mixed, a: Math.max(mixed.a, leastA(mixed.rho * slope, slope)) };
}
