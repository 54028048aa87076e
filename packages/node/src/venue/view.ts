// What traders may read of the venue: the engine's public queries in the floor's words.
import type { Engine } from "@tidemark/engine";
import { type InstrumentCell, marginOf } from "@tidemark/ledger";
import { assert, timestampMs } from "@tidemark/num";
import type { VenueView } from "../market/desk.ts";

export function viewOf(engine: Engine): VenueView {
  const best = (instrument: number, side: 1 | -1): number => engine.depth(instrument, side, 1)[0]?.price ?? 0;
  return {
    instrumentCount: () => engine.ledger.instrumentCount,
    instrument(instrument): Readonly<InstrumentCell> {
      const cell = engine.ledger.instrument(instrument);
      assert(cell !== undefined, "a listed instrument has a cell");
      return cell;
    },
    bestBid: (instrument) => best(instrument, 1),
    bestAsk: (instrument) => best(instrument, -1),
    position: (account, instrument) => engine.position(account, instrument),
    margin(account) {
      const margin = engine.accountMargin(account);
      return { equity: margin?.equity ?? 0, initial: margin?.initialWithOrders ?? 0, maintenance: margin?.maintenance ?? 0 };
    },
    withdrawable(account) {
      const settled = Number(marginOf(engine.ledger, account, timestampMs(engine.timeMs))?.withdrawable ?? 0n);
      const live = engine.accountMargin(account);
      return live === undefined ? 0 : Math.max(0, Math.min(settled, live.equity - live.initialWithOrders));
    },
  };
}

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
