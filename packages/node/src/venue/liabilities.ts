// What the venue owes, read from the engine.
import type { Engine } from "@tidemark/engine";

/** Σ positive equity with everything realised virtually, and Σ negative equity apart. Treasury and insurance count with their cash. */
export function liabilitiesOf(engine: Engine): { liabilities: bigint; badDebt: bigint } {
  let liabilities = 0n;
  let badDebt = 0n;
  for (const account of engine.ledger.accountNumbers()) {
    const equity = engine.accountMargin(account)?.equity ?? engine.ledger.account(account)?.cash ?? 0;
    if (equity > 0) liabilities += BigInt(equity);
    else badDebt += BigInt(-equity);
  }
  return { liabilities, badDebt };
}
