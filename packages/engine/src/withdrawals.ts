// withdraw: what the ledger allows, and open orders keep their cover. The ledger judges authority and what is withdrawable.
import { type OutboundCycle, RejectionCode } from "@tidemark/ledger";
import { checkNonce, isTradingAccount } from "./admission.ts";
import type { WithdrawCommand } from "./commands.ts";
import type { Core } from "./core.ts";
import { EngineCode } from "./rejections.ts";

export function withdraw(core: Core, command: WithdrawCommand): number {
  const { withdrawal, signature, timeMs } = command;
  const { account, amount, nonce } = withdrawal;
  if (!isTradingAccount(core, account)) return RejectionCode.OUTBOUND_UNKNOWN_ACCOUNT;
  const nonceCode = checkNonce(core, account, nonce);
  if (nonceCode !== EngineCode.ok) return nonceCode;
  const free = (core.accounts.equity[account] as number) - core.margin.initialWithOrders(account);
  if ((core.accounts.orderCount[account] as number) > 0 && amount > free) return EngineCode.reservedByOrders;
  core.closeTradeCycle();
  const positionCount = core.accounts.heldCount[account] as number;
  const cycle: OutboundCycle = { kind: "outbound", timeMs, withdrawals: [{ withdrawal, signature, positionCount }] };
  const number = core.ledger.outboxCount;
  const verdict = core.trySettle(cycle, 0, 1);
  if (!verdict.ok) return verdict.rejection.code;
  core.accounts.lastNonce[account] = nonce;
  core.loadAccount(account);
  core.sink.onWithdrawal(number, account, amount);
  return EngineCode.ok;
}
