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
    case "auction":
      return cycle.op === "take" ? [cycle.account, cycle.take.bid.account] : [cycle.account];
    case "adl":
      return [cycle, ...cycle.counterparties].map(({ account }) => account);
    case "outbound":
      return cycle.withdrawals.map(({ withdrawal }) => withdrawal.account);
    // Execution alone shows what is wrong with these.
    case "report":
    case "rows":
    case "bankruptcy":
    case "expiry":
    case "inbound":
    case "credit":
    case "admin":
      return [];
    default:
      return assertNever(cycle, "cycle");
  }
}

/** Whether any account of the state, named or not, may be at fault: nobody may be passed over in adl. */
export function isCheckedEverywhere(cycle: Readonly<Cycle>): boolean {
  return cycle.kind === "adl";
}

/** Accounts that the cycle names and at which its rule may be broken although its root is right; strictly increasing. */
export function checkedAccounts(cycle: Readonly<Cycle>): number[] {
  return [...new Set(namedAccounts(cycle))].sort((a, b) => a - b);
}
