// The engine as traders read it.
import type { Engine } from "@tidemark/engine";
import type { InstrumentCell } from "@tidemark/ledger";
import type { InstrumentNumber } from "@tidemark/num";
import { assert } from "@tidemark/num";
import type { VenueView } from "./desk.ts";

export function engineView(engine: Engine): VenueView {
  const best = (instrument: number, side: 1 | -1): number => engine.depth(instrument, side, 1)[0]?.price ?? 0;
  return {
    instrumentCount: () => engine.ledger.globals.instrumentCount,
    instrument(instrument): Readonly<InstrumentCell> {
      const cell = engine.ledger.instrument(instrument as InstrumentNumber);
      assert(cell !== undefined, "engineView: the instrument exists");
      return cell;
    },
    bestBid: (instrument) => best(instrument, 1),
    bestAsk: (instrument) => best(instrument, -1),
    position: (account, instrument) => engine.position(account, instrument),
    margin(account) {
      const margin = engine.accountMargin(account);
      if (margin === undefined) return { equity: 0, initial: 0, maintenance: 0 };
      return { equity: margin.equity, initial: margin.initialWithOrders, maintenance: margin.maintenance };
    },
    // The rule also looks at the index average: an upper bound is enough for who asks for a part of it.
    withdrawable(account) {
      const margin = engine.accountMargin(account);
      if (margin === undefined || margin.credit > 0) return 0;
      return Math.max(0, Math.min(margin.cash, margin.equity - margin.initialWithOrders));
    },
  };
}
