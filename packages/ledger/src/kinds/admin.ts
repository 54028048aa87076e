// admin: a change of the parameter set that came through L1 takes effect once its delay is over.
import { bytesToHex, hexToBytes, keccak256, type TimestampMs } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import { changedParameters } from "../parameterChange.ts";
import { RejectionCode } from "../rejections.ts";
import { ZERO_HASH } from "../tree/roots.ts";
import type { AdminCycle, CycleRejection } from "../types.ts";
import { type CycleContext, reject } from "./rule.ts";

export function validateAndApply(draft: Draft, cycle: AdminCycle, context: CycleContext): CycleRejection | null {
  const { globals } = draft;
  if (globals.adminHash === ZERO_HASH) return reject(RejectionCode.ADMIN_NOTHING_PENDING);
  const change = hexToBytes(cycle.change);
  if (bytesToHex(keccak256(change)) !== globals.adminHash) return reject(RejectionCode.ADMIN_OTHER_CHANGE);
  if (cycle.timeMs < globals.adminMs) return reject(RejectionCode.ADMIN_TOO_EARLY);
  const changed = changedParameters(context.parameters, change);
  if (changed === null) return reject(RejectionCode.ADMIN_PARAMETERS_INVALID);
  draft.changeParameters(changed);
  globals.adminHash = ZERO_HASH;
  globals.adminMs = 0 as TimestampMs;
  return null;
}
