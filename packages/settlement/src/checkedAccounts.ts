// Where a cycle's rule is looked at account by account: a cycle is sound when its root fault is none and none of these
// accounts is at fault. contracts/src/rules: accountsOf.
import type { Cycle, TradeAccount } from "@tidemark/ledger";
import { assertNever } from "@tidemark/num";

const accountsOfTrades = (accounts: readonly TradeAccount[]): number[] => accounts.map(({ account }) => account);

function namedAccounts(cycle: Readonly<Cycle>): number[] {
  switch (cycle.kind) {
    case "trade":
      return accountsOfTrades(cycle.accounts);
    case "liquidation":
      return [cycle.account, ...accountsOfTrades(cycle.counterparties)];
    case "outbound":
      return cycle.withdrawals.map(({ withdrawal }) => withdrawal.account);
    // Execution alone shows what is wrong with these.
    case "report":
    case "rows":
    case "expiry":
    case "inbound":
      return [];
    default:
      return assertNever(cycle, "cycle");
  }
}

/** Accounts that the cycle names and at which its rule may be broken although its root is right; strictly increasing. */
export function checkedAccounts(cycle: Readonly<Cycle>): number[] {
  return [...new Set(namedAccounts(cycle))].sort((a, b) => a - b);
}
