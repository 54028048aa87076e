// bankruptcy: the insurance pays what accounts without positions owe, as far as its cash goes.
import type { Draft } from "../draft.ts";
import { INSURANCE_ACCOUNT } from "../limits.ts";
import { addCash } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import type { BankruptcyCycle, CycleRejection } from "../types.ts";
import { reject } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

function payDebt(draft: Draft, account: number): number {
  const start = draft.account(account);
  if (start === undefined || !isTradingAccount(account)) return RejectionCode.BANKRUPTCY_UNKNOWN_ACCOUNT;
  if (start.positions.length > 0) return RejectionCode.BANKRUPTCY_HAS_POSITIONS;
  if (start.cash >= 0) return RejectionCode.BANKRUPTCY_NOT_NEGATIVE;
  const insurance = draft.editAccount(INSURANCE_ACCOUNT);
  if (insurance.cash <= 0) return RejectionCode.BANKRUPTCY_INSURANCE_EXHAUSTED;
  // Both move towards zero: no bound is near.
  const payment = BigInt(Math.min(-start.cash, insurance.cash));
  addCash(insurance, -payment);
  addCash(draft.editAccount(account), payment);
  return 0;
}

export function validateAndApply(draft: Draft, cycle: BankruptcyCycle): CycleRejection | null {
  for (const [place, account] of cycle.accounts.entries()) {
    const code = payDebt(draft, account);
    if (code !== 0) return reject(code, { account, place });
  }
  return null;
}
