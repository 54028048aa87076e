// A venue with more instruments than an account may hold positions.
import { type InstrumentCell, POSITIONS_MAX, type TradeEntry } from "../../src/index.ts";
import { account, at, BTC, dollars, micro, ownerKey, USDC } from "../factory.ts";
import { auctionOf, takeOf } from "../waterfall.ts";
import { Stream } from "./stream.ts";

const STRIKES = 70;
const LEGS = 4;
const ENTRIES_PER_CYCLE = 4;

export class WideStream extends Stream {
  /** Accounts 2 and 3 end with POSITIONS_MAX positions each, in combinations of four options. */
  fill(): void {
    const { venue } = this;
    for (const number of [2, 3, 4, 5]) {
      const owner = ownerKey(number).address;
      this.must(
        venue.inbound(
          { type: "openAccount", account: account(number), owner },
          { type: "deposit", account: account(number), amount: micro(50_000_000 * USDC), payer: owner },
        ),
      );
    }
    const strikes = Array.from({ length: STRIKES }, (_, i) => dollars(80_000 + 500 * i));
    const expiryMs = at(venue.timeMs + 3_600_000);
    this.must(venue.inbound({ type: "listSeries", underlying: BTC, expiryMs, strikes }));
    this.must(venue.reportOf(BTC, { index: dollars(100_000) }));
    for (const cycle of venue.rows(BTC)) this.must(cycle);
    const options = this.options();
    for (let first = 0; first < POSITIONS_MAX; first += LEGS * ENTRIES_PER_CYCLE) {
      const entries: TradeEntry[] = [];
      for (let from = first; from < Math.min(POSITIONS_MAX, first + LEGS * ENTRIES_PER_CYCLE); from += LEGS) {
        const legs = options.slice(from, from + LEGS).map((number) => ({ instrument: number, ratio: 1 }));
        const price = legs.reduce((sum, leg) => sum + venue.markTicks(leg.instrument), 0);
        entries.push(
          venue.entry({ account: 2, legs, size: 1, price }),
          venue.entry({ account: 3, legs, size: -1, price }),
        );
      }
      this.must(venue.tradeOf(entries));
    }
  }

  options(): number[] {
    return this.instruments((cell: Readonly<InstrumentCell>) => cell.kind >= 3);
  }

  /** The same by a bid: account 4 holds what account 2 or 3 cannot take. */
  oneMoreByBid(): void {
    const { venue } = this;
    const [number] = this.options().slice(POSITIONS_MAX);
    if (number === undefined) throw new RangeError("an instrument that accounts 2 and 3 do not hold");
    if (venue.size(4, number) === 0) {
      const price = venue.markTicks(number);
      this.must(
        venue.tradeOf([
          venue.entry({ account: 4, instrument: number, size: -10, price }),
          venue.entry({ account: 5, instrument: number, size: 10, price }),
        ]),
      );
      this.shiftCash(4, 5, Number(this.marginOf(venue.cell(4)).equity) + 1);
      this.must(auctionOf(venue, "start", 4));
    }
    const bidder = this.random.pick([2, 3]);
    this.apply(takeOf(venue, { owner: 4, bidder, parts: this.random.integer(100, 1000) }));
  }

  /** A 129th position of account 2 or 3, against account 4. */
  oneMore(): void {
    const number = this.random.pick(this.options().slice(POSITIONS_MAX));
    const full = this.random.pick([2, 3]);
    const size = this.random.pick([1, -1]);
    const price = this.venue.markTicks(number);
    this.apply(
      this.venue.tradeOf([
        this.venue.entry({ account: full, instrument: number, size, price }),
        this.venue.entry({ account: 4, instrument: number, size: -size, price }),
      ]),
    );
  }
}
