// report: an oracle quorum's index, premium and surfaces for one underlying. Opens a mark epoch and moves funding.
import { MICRO_USD_MAX, type MicroUsd, type PartsPerBillion } from "@tidemark/num";
import { isQuorum } from "../authorise.ts";
import type { Draft } from "../draft.ts";
import { EXPIRIES_MAX } from "../limits.ts";
import { RejectionCode } from "../rejections.ts";
import { applyReport } from "../risk/funding.ts";
import { surfaceInRange } from "../risk/rows.ts";
import { reportHash } from "../signing.ts";
import type { CycleRejection, ExpirySurface, ReportCycle } from "../types.ts";
import { type CycleContext, reject } from "./rule.ts";

const PREMIUM_LIMIT_PPB = 1_000_000_000;
const RHO_LIMIT_PPB = 1_000_000_000;

function isSurfaceValid(surface: Readonly<ExpirySurface>): boolean {
  return (
    surface.forward > 0 &&
    surface.forward <= MICRO_USD_MAX &&
    surface.realisedAverage <= MICRO_USD_MAX &&
    Math.abs(surface.rho) < RHO_LIMIT_PPB &&
    surface.s > 0 &&
    surfaceInRange(surface)
  );
}

/** Index of the first surface that is out of range or not after its predecessor, or −1. Expiry 0 is the perpetual's. */
function firstInvalidSurface(surfaces: readonly ExpirySurface[]): number {
  let previousMs = 0;
  for (const [index, surface] of surfaces.entries()) {
    if (surface.expiryMs <= previousMs || !isSurfaceValid(surface)) return index;
    previousMs = surface.expiryMs;
  }
  return surfaces.length > EXPIRIES_MAX ? EXPIRIES_MAX : -1;
}

export function validateAndApply(draft: Draft, cycle: ReportCycle, context: CycleContext): CycleRejection | null {
  const { parameters } = context;
  const before = draft.underlying(cycle.underlying);
  if (before === undefined) return reject(RejectionCode.REPORT_UNKNOWN_UNDERLYING);
  if (before.epochOpen) return reject(RejectionCode.REPORT_EPOCH_STILL_OPEN);
  if (cycle.reportMs <= before.reportMs) return reject(RejectionCode.REPORT_TIME_NOT_INCREASING);
  if (cycle.reportMs > cycle.timeMs) return reject(RejectionCode.REPORT_AHEAD);
  if (cycle.index === 0 || cycle.index > MICRO_USD_MAX || Math.abs(cycle.premium) > PREMIUM_LIMIT_PPB) {
    return reject(RejectionCode.REPORT_INDEX_OUT_OF_RANGE);
  }
  const invalid = firstInvalidSurface(cycle.surfaces);
  if (invalid >= 0) return reject(RejectionCode.REPORT_SURFACE_OUT_OF_RANGE, { place: invalid });
  const digest = reportHash(cycle, parameters.domain, context.separator);
  if (!isQuorum(digest, cycle.signatures, parameters, context.signatures)) {
    return reject(RejectionCode.REPORT_BAD_QUORUM);
  }
  const perpetual = before.hasPerpetual ? (draft.instrument(before.perpetual) ?? null) : null;
  const effect = applyReport(before, cycle, perpetual, parameters.risk);
  if (effect === null) return reject(RejectionCode.REPORT_FUNDING_OVERFLOW, { instrument: before.perpetual });
  if (perpetual !== null && effect.fundingIndex !== perpetual.fundingIndex) {
    draft.editInstrument(before.perpetual).fundingIndex = effect.fundingIndex;
  }
  const cell = draft.editUnderlying(cycle.underlying);
  cell.epoch += 1;
  cell.epochOpen = true;
  cell.reportMs = cycle.reportMs;
  cell.index = cycle.index;
  cell.indexAverage = effect.indexAverage as MicroUsd;
  cell.premiumEma = effect.premiumEma as PartsPerBillion;
  cell.surfaces = cycle.surfaces.map((surface) => ({ ...surface }));
  return null;
}
