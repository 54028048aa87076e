// Black-76 and SVI in floating point, for references and fits only. The marks that money depends on are the ledger's.

export const YEAR_MS = 365 * 24 * 3_600_000;

/** Φ by Abramowitz–Stegun 26.2.17, absolute error below 7.5e-8: far below a tick of any option here. */
export function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const polynomial = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (polynomial * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  return x >= 0 ? 1 - tail : tail;
}

/** Undiscounted price in units of the forward. `deviation` = σ·√T. */
export function blackOverForward(logMoneyness: number, deviation: number, isCall: boolean): number {
  const strike = Math.exp(logMoneyness);
  if (deviation < 1e-9) return Math.max(0, isCall ? 1 - strike : strike - 1);
  const d1 = -logMoneyness / deviation + deviation / 2;
  const d2 = d1 - deviation;
  const call = normalCdf(d1) - strike * normalCdf(d2);
  return Math.max(0, isCall ? call : call - 1 + strike);
}

/** ∂price/∂σ in units of the forward and of √year. */
export function vegaOverForward(logMoneyness: number, deviation: number, years: number): number {
  if (deviation < 1e-9) return 0;
  const d1 = -logMoneyness / deviation + deviation / 2;
  return Math.sqrt(years / (2 * Math.PI)) * Math.exp((-d1 * d1) / 2);
}

/** Delta of a call on the forward. */
export function callDelta(logMoneyness: number, deviation: number): number {
  if (deviation < 1e-9) return logMoneyness < 0 ? 1 : 0;
  return normalCdf(-logMoneyness / deviation + deviation / 2);
}

/** Annualised variance v(k) = a + b·(rho·(k−m) + √((k−m)² + s²)). */
export interface Svi {
  a: number;
  b: number;
  rho: number;
  m: number;
  s: number;
}

export function sviVariance(svi: Svi, k: number): number {
  const x = k - svi.m;
  return svi.a + svi.b * (svi.rho * x + Math.sqrt(x * x + svi.s * svi.s));
}

/** Years of variance left when the settlement price is an average over the last `windowMs` before expiry. */
export function varianceYears(leftMs: number, windowMs: number): number {
  const effectiveMs = leftMs > windowMs ? leftMs - (2 * windowMs) / 3 : leftMs ** 3 / (3 * windowMs ** 2);
  return Math.max(effectiveMs, 0) / YEAR_MS;
}

/** Expected settlement price: the part of the average that has passed, and the forward for the rest. */
export function settlementForward(forward: number, realisedAverage: number, leftMs: number, windowMs: number): number {
  if (leftMs >= windowMs || realisedAverage === 0) return forward;
  const share = leftMs / windowMs;
  return realisedAverage * (1 - share) + forward * share;
}
