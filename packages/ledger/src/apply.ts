// The ledger's one entry: a cycle in, a new root or a rejection out. The table over kinds is closed: a member of Cycle
// without a rule does not compile.
import { assertNever, U48_MAX } from "@tidemark/num";
import { decodeCycle } from "./codec/cycles.ts";
import type { Draft } from "./draft.ts";
import * as adl from "./kinds/adl.ts";
import * as admin from "./kinds/admin.ts";
import * as auction from "./kinds/auction.ts";
import * as bankruptcy from "./kinds/bankruptcy.ts";
import * as credit from "./kinds/credit.ts";
import * as expiry from "./kinds/expiry.ts";
import * as inbound from "./kinds/inbound.ts";
import * as liquidation from "./kinds/liquidation.ts";
import * as outbound from "./kinds/outbound.ts";
import * as report from "./kinds/report.ts";
import * as rows from "./kinds/rows.ts";
import { type CycleContext, reject } from "./kinds/rule.ts";
import * as trade from "./kinds/trade.ts";
import { CYCLE_BYTES_MAX, CYCLE_WEIGHT_MAX } from "./limits.ts";
import type { LedgerView } from "./margin.ts";
import type { ParameterSet } from "./parameters.ts";
import { RejectionCode } from "./rejections.ts";
import { domainSeparator } from "./signing.ts";
import type { LedgerState } from "./state.ts";
import type { Cycle, CycleRejection, CycleVerdict, SignaturePort } from "./types.ts";
import { cycleBytes, cycleWeight } from "./weight.ts";

export interface LedgerPorts {
  signatures: SignaturePort;
}

/** A draft as margins read it. */
export function viewOf(draft: Draft, parameters: ParameterSet): LedgerView {
  return {
    parameters,
    account: (account) => draft.account(account),
    instrument: (instrument) => draft.instrument(instrument),
    underlying: (underlying) => draft.underlying(underlying),
  };
}

function applyKind(draft: Draft, cycle: Cycle, context: CycleContext): CycleRejection | null {
  switch (cycle.kind) {
    case "report":
      return report.validateAndApply(draft, cycle, context);
    case "rows":
      return rows.validateAndApply(draft, cycle, context);
    case "trade":
      return trade.validateAndApply(draft, cycle, context);
    case "liquidation":
      return liquidation.validateAndApply(draft, cycle, context);
    case "auction":
      return auction.validateAndApply(draft, cycle, context);
    case "bankruptcy":
      return bankruptcy.validateAndApply(draft, cycle);
    case "adl":
      return adl.validateAndApply(draft, cycle, context);
    case "expiry":
      return expiry.validateAndApply(draft, cycle, context);
    case "inbound":
      return inbound.validateAndApply(draft, cycle, context);
    case "outbound":
      return outbound.validateAndApply(draft, cycle, context);
    case "credit":
      return credit.validateAndApply(draft, cycle, context);
    case "admin":
      return admin.validateAndApply(draft, cycle, context);
    default:
      return assertNever(cycle, "cycle");
  }
}

/** Times are u48 wherever they are signed; with it no deadline computed from one leaves the safe integers. */
function generalRejection(state: LedgerState, cycle: Cycle): CycleRejection | null {
  if (cycle.timeMs > U48_MAX) return reject(RejectionCode.MALFORMED);
  if (cycle.timeMs < state.globals.timeMs) return reject(RejectionCode.TIME_NOT_MONOTONIC);
  const isTooLarge = cycleBytes(cycle) > CYCLE_BYTES_MAX || cycleWeight(cycle) > CYCLE_WEIGHT_MAX;
  return isTooLarge ? reject(RejectionCode.LIMIT_EXCEEDED) : null;
}

const separators = new WeakMap<ParameterSet, Uint8Array>();

function separatorOf(parameters: ParameterSet): Uint8Array {
  let separator = separators.get(parameters);
  if (separator === undefined) {
    separator = domainSeparator(parameters);
    separators.set(parameters, separator);
  }
  return separator;
}

/**
 * Applies a cycle whose shape is canonical: what decodeCycle returns, or what encodeCycle would write. After a rejection
 * the state is what it was.
 */
export function applyCycle(state: LedgerState, cycle: Cycle, ports: LedgerPorts): CycleVerdict {
  const general = generalRejection(state, cycle);
  if (general !== null) return { ok: false, rejection: general };
  const { parameters } = state;
  const draft = state.begin();
  const context: CycleContext = {
    parameters,
    separator: separatorOf(parameters),
    signatures: ports.signatures,
    view: viewOf(draft, parameters),
    outcomes: [],
  };
  const rejection = applyKind(draft, cycle, context);
  if (rejection !== null) return { ok: false, rejection };
  draft.globals.timeMs = cycle.timeMs;
  const root = draft.tryCommit();
  if (root === null) return { ok: false, rejection: reject(RejectionCode.LIMIT_EXCEEDED) };
  return { ok: true, root, outcomes: context.outcomes };
}

/** Applies payload bytes: what a watcher does. Never throws, whatever the bytes. */
export function applyPayload(state: LedgerState, payload: Uint8Array, ports: LedgerPorts): CycleVerdict {
  const decoding = decodeCycle(payload, state.parameters.domain);
  if (!decoding.ok) return { ok: false, rejection: reject(decoding.code) };
  return applyCycle(state, decoding.cycle, ports);
}
