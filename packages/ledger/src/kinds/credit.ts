// credit: finality credit for a deposit that the queue will bring. It covers requirement, never loss, and is bounded by what
// the insurance could lose.
import { type MicroUsdc, mulDivFloor } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import { INSURANCE_ACCOUNT } from "../limits.ts";
import type { ParameterSet } from "../parameters.ts";
import { RejectionCode } from "../rejections.ts";
import type { CreditCycle, CycleRejection } from "../types.ts";
import { insuranceLeft } from "./adl.ts";
import { type CycleContext, reject } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

const BILLION = 1_000_000_000n;

/** What all accounts together may hold. Floor: the insurance keeps the remainder. */
export function creditPoolFloor(draft: Draft, parameters: ParameterSet): bigint {
  const left = insuranceLeft(draft.globals, draft.account(INSURANCE_ACCOUNT));
  return mulDivFloor(left, BigInt(parameters.risk.creditPoolFactorPpb), BILLION);
}

/** Takes the credit back; nothing happens without one. */
export function clearCredit(draft: Draft, account: number): void {
  const { credit } = draft.account(account) ?? { credit: 0 };
  if (credit === 0) return;
  const cell = draft.editAccount(account);
  draft.globals.creditTotal = (draft.globals.creditTotal - credit) as MicroUsdc;
  cell.credit = 0 as MicroUsdc;
  cell.creditIndex = 0;
}

function grantCode(
  draft: Draft,
  cycle: Readonly<Extract<CreditCycle, { op: "grant" }>>,
  credit: number,
  context: CycleContext,
): number {
  const { globals } = draft;
  const { parameters } = context;
  if (credit !== 0) return RejectionCode.CREDIT_OUTSTANDING;
  if (cycle.queueIndex < globals.inboundCursor) return RejectionCode.CREDIT_SOURCE;
  if (cycle.amount === 0 || cycle.amount > parameters.risk.creditAccountMaxMicroUsdc) {
    return RejectionCode.CREDIT_ACCOUNT_LIMIT;
  }
  const total = BigInt(globals.creditTotal) + BigInt(cycle.amount);
  return total <= creditPoolFloor(draft, parameters) ? 0 : RejectionCode.CREDIT_POOL_LIMIT;
}

export function validateAndApply(draft: Draft, cycle: CreditCycle, context: CycleContext): CycleRejection | null {
  const { account } = cycle;
  const start = draft.account(account);
  if (start === undefined || !isTradingAccount(account)) {
    return reject(RejectionCode.CREDIT_UNKNOWN_ACCOUNT, { account });
  }
  if (cycle.op === "grant") {
    const code = grantCode(draft, cycle, start.credit, context);
    if (code !== 0) return reject(code, { account });
    const cell = draft.editAccount(account);
    cell.credit = cycle.amount;
    cell.creditIndex = cycle.queueIndex;
    draft.globals.creditTotal = (draft.globals.creditTotal + cycle.amount) as MicroUsdc;
    return null;
  }
  if (start.credit === 0) return reject(RejectionCode.CREDIT_NONE, { account });
  const isConsumed = start.creditIndex < draft.globals.inboundCursor;
  if (cycle.op === "settle" && !isConsumed) return reject(RejectionCode.CREDIT_NOT_CONSUMED, { account });
  clearCredit(draft, account);
  return null;
}
