// What a report does to an underlying besides its rows: premium average, index average, funding. Not in the order path.
import { assert, mulDivFloor, mulDivTrunc } from "@tidemark/num";
import { FUNDING_SHIFT } from "../limits.ts";
import type { RiskParameters } from "./parameters.ts";

/**
 * Exponential average with step Δt/(Δt + τ), the backward-Euler form of 1 − e^(−Δt/τ) that needs no exp. The step is
 * truncated: the average stays between old value and sample, and moves towards the sample, never past it.
 */
export function emaTrunc(average: number, sample: number, elapsedMs: number, timeConstantMs: number): number {
  assert(elapsedMs >= 0 && timeConstantMs > 0, "emaTrunc: elapsed ≥ 0, time constant > 0");
  const step = mulDivTrunc(BigInt(sample) - BigInt(average), BigInt(elapsedMs), BigInt(elapsedMs + timeConstantMs));
  return Number(BigInt(average) + step);
}

/** Funding rate per fundingPeriodMs in ppb: 0 inside the dead band, premium minus the band outside, capped. */
export function fundingRatePpb(premiumPpb: number, parameters: RiskParameters): number {
  const { fundingDeadBandPpb: band, fundingCapPpb: cap } = parameters;
  const rate = Math.max(band, premiumPpb) + Math.min(-band, premiumPpb);
  return Math.max(-cap, Math.min(cap, rate));
}

/**
 * Change of the funding index, micro-USDC per lot · 2^FUNDING_SHIFT: floor(index·lot·rate·Δt·2^20 / (10^18·period)). The
 * index is common to both sides, so floor favours nobody; what the payments below keep stays in clearing. A silence longer
 * than one period accrues one period: the premium of its end says nothing about its beginning.
 */
export function fundingIncrementFloor(
  index: number,
  lotNanoCoin: number,
  premiumPpb: number,
  elapsedMs: number,
  parameters: RiskParameters,
): bigint {
  assert(elapsedMs >= 0, "fundingIncrementFloor: elapsed ≥ 0");
  const elapsed = Math.min(elapsedMs, parameters.fundingPeriodMs);
  const accrued = BigInt(index) * BigInt(lotNanoCoin) * BigInt(fundingRatePpb(premiumPpb, parameters));
  const divisor = 10n ** 18n * BigInt(parameters.fundingPeriodMs);
  return mulDivFloor(accrued, BigInt(elapsed) << BigInt(FUNDING_SHIFT), divisor);
}

/** Funding that a position receives (negative: pays), micro-USDC: floor, against the account. */
export function fundingPaymentFloor(size: number, positionIndex: number, instrumentIndex: number): number {
  const owed = -BigInt(size) * (BigInt(instrumentIndex) - BigInt(positionIndex));
  const payment = Number(owed >> BigInt(FUNDING_SHIFT));
  assert(Number.isSafeInteger(payment), "fundingPaymentFloor: exposure bound keeps it safe");
  return payment;
}

export interface ReportEffect {
  premiumEma: number;
  indexAverage: number;
  /** New funding index of the perpetual; unchanged without one. */
  fundingIndex: number;
}

/** Effect of a report on an underlying (reportMs 0 = it never had one); null when the funding index would leave int53. */
export function applyReport(
  before: { reportMs: number; premiumEma: number; indexAverage: number },
  report: { reportMs: number; index: number; premium: number },
  perpetual: { fundingIndex: number; lotNanoCoin: number } | null,
  parameters: RiskParameters,
): ReportEffect | null {
  const fundingIndex = perpetual === null ? 0 : perpetual.fundingIndex;
  if (before.reportMs === 0) return { premiumEma: report.premium, indexAverage: report.index, fundingIndex };
  const elapsedMs = report.reportMs - before.reportMs;
  const premiumEma = emaTrunc(before.premiumEma, report.premium, elapsedMs, parameters.premiumTimeConstantMs);
  const indexAverage = emaTrunc(before.indexAverage, report.index, elapsedMs, parameters.indexAverageTimeConstantMs);
  if (perpetual === null) return { premiumEma, indexAverage, fundingIndex };
  const increment = fundingIncrementFloor(report.index, perpetual.lotNanoCoin, premiumEma, elapsedMs, parameters);
  const next = Number(BigInt(fundingIndex) + increment);
  return Number.isSafeInteger(next) ? { premiumEma, indexAverage, fundingIndex: next } : null;
}
