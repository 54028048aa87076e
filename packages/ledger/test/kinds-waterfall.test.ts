// Named cases of auction, bankruptcy and adl, with their numbers worked out by hand.
import { beforeEach, describe, expect, test } from "vitest";
import { type Cycle, marginOf, RejectionCode, rejectionName } from "../src/index.ts";
import { account, at, BTC, dollars, HOUR_MS, instrument, micro, ownerKey, USDC, Venue } from "./factory.ts";
import { adlOf, auctionOf, bankruptcyOf, type TakeSpec, takeOf } from "./waterfall.ts";

const DEBTOR = 4;
const BIDDER = 2;
const LOTS = 1_500;
const DURATION_MS = 60_000;
/** Per lot at 80,000: 16% of 8 USDC in the worst scenario, 0.2% add-on. */
const SCENARIO = 1_280_000;
const ADD_ON = 16_000;
const MAINTENANCE = LOTS * ((SCENARIO * 8) / 10 + ADD_ON);
let venue: Venue;
let perpetual: number;

const codeOf = (cycle: Cycle | null): string => {
  if (cycle === null) return "no cycle";
  const verdict = venue.apply(cycle);
  return verdict.ok ? "accepted" : `${rejectionName(verdict.rejection.code)} at ${verdict.rejection.account}`;
};
const named = (code: number, at: number): string => `${rejectionName(code)} at ${at}`;
const equityOf = (number: number): number => Number(marginOf(venue.state, number, at(venue.timeMs))?.equity);
const totalOf = (...numbers: number[]): number => numbers.reduce((sum, one) => sum + equityOf(one), 0);
const pay = (to: number, amount: number): void => {
  const payer = ownerKey(9).address;
  venue.must(venue.inbound({ type: "deposit", account: account(to), amount: micro(amount), payer }));
};
const start = (): void => void venue.must(auctionOf(venue, "start", DEBTOR));
const take = (spec: Partial<TakeSpec> = {}): ReturnType<typeof takeOf> =>
  takeOf(venue, { owner: DEBTOR, bidder: BIDDER, ...spec });

/** Account 4 is long 1,500 lots against account 3 and has `equity` at the mark of 80,000. */
function distress(equity: number): void {
  venue = new Venue({ risk: { auctionDurationMs: DURATION_MS } });
  venue.fund(BIDDER, 100_000 * USDC);
  venue.fund(3, 1_000_000 * USDC);
  venue.fund(DEBTOR, 3_000 * USDC + equity);
  perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(DEBTOR, 3, perpetual, LOTS, 1_000_000));
  venue.advance(10_000);
  venue.mark(BTC, { index: dollars(80_000) });
}

describe("auction", () => {
  beforeEach(() => distress(1_000 * USDC));

  test("below maintenance it starts once, and again two durations later", () => {
    expect(codeOf(take())).toBe(named(RejectionCode.AUCTION_NOT_RUNNING, DEBTOR));
    start();
    expect(venue.cell(DEBTOR).auctionMs).toBe(venue.timeMs);
    venue.advance(2 * DURATION_MS - 1);
    expect(codeOf(auctionOf(venue, "start", DEBTOR))).toBe(named(RejectionCode.AUCTION_RUNNING, DEBTOR));
    venue.advance(1);
    expect(codeOf({ ...take(), timeMs: at(venue.timeMs) })).toBe(named(RejectionCode.AUCTION_NOT_RUNNING, DEBTOR));
    expect(codeOf(auctionOf(venue, "start", DEBTOR))).toBe("accepted");
  });

  test("maintenance to the unit is healthy", () => {
    pay(DEBTOR, MAINTENANCE - 1_000 * USDC - 1);
    expect(codeOf(auctionOf(venue, "start", DEBTOR))).toBe("accepted");
    expect(codeOf(auctionOf(venue, "end", DEBTOR))).toBe(named(RejectionCode.AUCTION_NOT_HEALTHY, DEBTOR));
    pay(DEBTOR, 1);
    expect(codeOf(take())).toBe(named(RejectionCode.AUCTION_HEALTHY, DEBTOR));
    expect(codeOf(auctionOf(venue, "end", DEBTOR))).toBe("accepted");
    expect(venue.cell(DEBTOR).auctionMs).toBe(0);
    expect(codeOf(auctionOf(venue, "start", DEBTOR))).toBe(named(RejectionCode.AUCTION_HEALTHY, DEBTOR));
  });

  test("at the start the price is the mark; later the discount is what the slice releases, by the time elapsed", () => {
    start();
    const first = take({ parts: 100 });
    expect(first.take).toMatchObject({ discount: 0, fromAccount: 0, legs: [{ instrument: perpetual, lots: 150 }] });
    venue.advance(DURATION_MS / 4);
    const { take: later } = take({ parts: 100 });
    const released = MAINTENANCE / 10;
    expect(later.discount).toBe(Math.floor(released / 4));
    // The account gives as large a share of its equity, a tenth, as of its maintenance: here more than the discount.
    expect(later.fromAccount).toBe(later.discount);
    venue.advance(DURATION_MS);
    const { take: last } = take({ parts: 100 });
    expect(last.discount).toBe(released);
    expect(last.fromAccount).toBe((1_000 * USDC) / 10);
  });

  test("account and insurance bear the discount, the bidder has it, and nothing is lost", () => {
    pay(1, 150 * USDC);
    start();
    venue.advance(DURATION_MS);
    const before = { total: totalOf(1, BIDDER, DEBTOR), debtor: equityOf(DEBTOR), bidder: equityOf(BIDDER) };
    const cycle = take({ parts: 200 });
    expect(codeOf(cycle)).toBe("accepted");
    const { discount, fromAccount, bid } = cycle.take;
    expect(equityOf(DEBTOR)).toBe(before.debtor - fromAccount);
    expect(equityOf(BIDDER)).toBe(before.bidder + discount);
    expect(venue.cell(1).cash).toBe(150 * USDC - (discount - fromAccount));
    expect(totalOf(1, BIDDER, DEBTOR)).toBe(before.total);
    expect(venue.size(BIDDER, perpetual)).toBe(300);
    expect(venue.size(DEBTOR, perpetual)).toBe(LOTS - 300);
    const payment = 300 * 8_000_000 - discount;
    expect(venue.state.ringSlot(BIDDER, bid.nonce)).toMatchObject({ filledLots: 1, filledCash: -payment });
  });

  test("the insurance must have its share", () => {
    start();
    venue.advance(DURATION_MS);
    const { discount, fromAccount } = take({ parts: 200 }).take;
    pay(1, discount - fromAccount - 1);
    expect(codeOf(take({ parts: 200 }))).toBe(named(RejectionCode.AUCTION_INSURANCE, 1));
    pay(1, 1);
    expect(codeOf(take({ parts: 200 }))).toBe("accepted");
    expect(venue.cell(1).cash).toBe(0);
  });

  test("no more is sold than the target needs", () => {
    start();
    // At the mark: 1,000 USDC cover the initial requirement of this many lots.
    const kept = Math.floor((1_000 * USDC) / (SCENARIO + ADD_ON));
    const parts = Math.ceil(((LOTS - kept) * 1000) / LOTS);
    expect(codeOf(take({ parts: parts + 1 }))).toBe(named(RejectionCode.AUCTION_BEYOND_TARGET, DEBTOR));
    expect(codeOf(take({ parts }))).toBe("accepted");
    expect(codeOf(take({ parts: 1 }))).toBe(named(RejectionCode.AUCTION_HEALTHY, DEBTOR));
  });

  test("under water everything may go at once, and the auction ends with the last position", () => {
    distress(-500 * USDC);
    pay(1, 2_000 * USDC);
    start();
    venue.advance(DURATION_MS / 2);
    const cycle = take({ parts: 1000 });
    expect(cycle.take).toMatchObject({ discount: MAINTENANCE / 2, fromAccount: 0 });
    expect(codeOf(cycle)).toBe("accepted");
    expect(venue.cell(DEBTOR)).toMatchObject({ cash: -500 * USDC, positions: [], auctionMs: 0 });
    expect(venue.state.globals.badDebt).toBe(500 * USDC);
  });

  test("a bid that names its legs is void when the slice is another; one that does not takes what there is", () => {
    start();
    const bound = take({ parts: 100 });
    const unbound = take({ parts: 100, bindsLegs: false });
    expect(codeOf(take({ parts: 50 }))).toBe("accepted");
    const fresh = take({ parts: 100 });
    const now = { ...fresh.take, bidderPositionCount: 1, newCount: 0 };
    const reused = (cycle: typeof bound): Cycle => ({
      ...fresh,
      take: { ...now, bid: cycle.take.bid, signature: cycle.take.signature },
    });
    expect(codeOf(bound)).toBe(named(RejectionCode.AUCTION_LEGS, DEBTOR));
    expect(codeOf(reused(bound))).toBe(named(RejectionCode.AUCTION_NOT_AUTHORISED, BIDDER));
    expect(codeOf(reused(unbound))).toBe("accepted");
    expect(codeOf(reused(unbound))).toBe(named(RejectionCode.AUCTION_LEGS, DEBTOR));
  });

  test("a bid is used once, and not above its price", () => {
    start();
    const cycle = take({ parts: 100, paymentMax: 150 * 8_000_000 - 1 });
    expect(codeOf(cycle)).toBe(named(RejectionCode.AUCTION_PAYMENT, BIDDER));
    const good = take({ parts: 100, paymentMax: 150 * 8_000_000 });
    expect(codeOf(good)).toBe("accepted");
    const again = take({ parts: 100, nonce: good.take.bid.nonce });
    expect(codeOf(again)).toBe(named(RejectionCode.AUCTION_RING_SLOT, BIDDER));
  });

  test("parts that move few lots are paid for few lots", () => {
    // Beside the perpetual nine lots of a future: a tenth of them is nothing.
    distress(1_000 * USDC);
    const future = venue.list(BTC, venue.timeMs + HOUR_MS);
    venue.advance(1);
    venue.mark(BTC, { index: dollars(80_000) });
    pay(DEBTOR, 2_000 * USDC);
    venue.must(venue.cross(DEBTOR, 3, future, 9, 800_000));
    venue.must(
      venue.tradeOf([
        venue.entry({ account: DEBTOR, instrument: perpetual, size: -1_491, price: 800_000 }),
        venue.entry({ account: 3, instrument: perpetual, size: 1_491, price: 800_000 }),
      ]),
    );
    const drain = Number(marginOf(venue.state, DEBTOR, at(venue.timeMs))?.equity) - 10 * USDC;
    const draft = venue.state.begin();
    draft.editAccount(DEBTOR).cash = micro(venue.cell(DEBTOR).cash - drain);
    draft.editAccount(3).cash = micro(venue.cell(3).cash + drain);
    draft.commit();
    start();
    venue.advance(DURATION_MS);
    expect(take({ parts: 111 }).take.legs).toEqual([{ instrument: 0, lots: 1 }]);
    expect(codeOf(take({ parts: 111 }))).toBe(named(RejectionCode.AUCTION_LEGS, DEBTOR));
    const { discount, legs } = take({ parts: 112 }).take;
    expect(legs.map(({ lots }) => lots)).toEqual([1, 1]);
    // Two of eighteen lots, not 112 thousandths of them.
    expect(discount).toBe((2 * MAINTENANCE) / LOTS);
  });
});

describe("bankruptcy", () => {
  test("the insurance pays in order, as far as it goes", () => {
    distress(-500 * USDC);
    venue.fund(5, 0);
    const draft = venue.state.begin();
    draft.editAccount(5).cash = micro(-200 * USDC);
    draft.editAccount(3).cash = micro(venue.cell(3).cash + 200 * USDC);
    draft.commit();
    expect(codeOf(bankruptcyOf(venue, DEBTOR))).toBe(named(RejectionCode.BANKRUPTCY_HAS_POSITIONS, DEBTOR));
    expect(codeOf(bankruptcyOf(venue, 5))).toBe(named(RejectionCode.BANKRUPTCY_INSURANCE_EXHAUSTED, 5));
    pay(1, 150 * USDC);
    expect(codeOf(bankruptcyOf(venue, 3, 5))).toBe(named(RejectionCode.BANKRUPTCY_HAS_POSITIONS, 3));
    expect(codeOf(bankruptcyOf(venue, 5))).toBe("accepted");
    expect([venue.cell(5).cash, venue.cell(1).cash, venue.state.globals.badDebt]).toEqual([-50 * USDC, 0, 50 * USDC]);
    pay(1, 80 * USDC);
    expect(codeOf(bankruptcyOf(venue, 5))).toBe("accepted");
    expect([venue.cell(5).cash, venue.cell(1).cash]).toEqual([0, 30 * USDC]);
    expect(codeOf(bankruptcyOf(venue, 5))).toBe(named(RejectionCode.BANKRUPTCY_NOT_NEGATIVE, 5));
  });
});

describe("adl", () => {
  const DEFICIT = 300 * USDC;

  /** The debtor owes 500 USDC, of which the insurance has 200; two winners on the other side, of 1,000 and 500 lots. */
  function unsold(): void {
    distress(-500 * USDC);
    venue.fund(5, 5_000 * USDC);
    venue.must(venue.cross(3, 5, perpetual, 500, 800_000));
    pay(1, 200 * USDC);
    start();
    venue.advance(DURATION_MS);
  }
  beforeEach(unsold);

  test("not before the auction ran out, not after it closed, not while the insurance can pay", () => {
    venue.advance(-1);
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe(named(RejectionCode.ADL_AUCTION_NOT_OVER, DEBTOR));
    venue.advance(DURATION_MS + 1);
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe(named(RejectionCode.ADL_AUCTION_NOT_OVER, DEBTOR));
    venue.advance(-1);
    pay(1, 299_999_999);
    expect(adlOf(venue, DEBTOR, perpetual)).toMatchObject({ haircut: 1 });
    pay(1, 1);
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe(named(RejectionCode.ADL_INSURANCE_LEFT, DEBTOR));
  });

  test("the winners of the highest leverage buy back above the mark, until the deficit is covered", () => {
    const before = totalOf(1, 3, 5, DEBTOR);
    const cycle = adlOf(venue, DEBTOR, perpetual);
    // 300 USDC over 1,500 lots; account 5 has 500 lots on 5,000 USDC, account 3 a thousand on a million.
    expect(cycle).toMatchObject({ haircut: DEFICIT / LOTS, counterparties: [{ account: 5 }, { account: 3 }] });
    const winners = [equityOf(5), equityOf(3)];
    expect(codeOf(cycle)).toBe("accepted");
    expect(equityOf(5)).toBe((winners[0] as number) - 500 * (DEFICIT / LOTS));
    expect(equityOf(3)).toBe((winners[1] as number) - 1_000 * (DEFICIT / LOTS));
    expect(totalOf(1, 3, 5, DEBTOR)).toBe(before);
    expect(venue.cell(DEBTOR)).toMatchObject({ cash: -200 * USDC, positions: [], auctionMs: 0 });
    expect(codeOf(bankruptcyOf(venue, DEBTOR))).toBe("accepted");
    expect([venue.cell(DEBTOR).cash, venue.cell(1).cash]).toEqual([0, 0]);
  });

  test("bad debt that the insurance owes already is not counted twice", () => {
    venue.fund(6, 0);
    const draft = venue.state.begin();
    draft.editAccount(6).cash = micro(-150 * USDC);
    draft.editAccount(3).cash = micro(venue.cell(3).cash + 150 * USDC);
    draft.commit();
    expect(adlOf(venue, DEBTOR, perpetual)).toMatchObject({ haircut: (DEFICIT + 150 * USDC) / LOTS });
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe("accepted");
  });

  test("a winner gives no more lots than its equity pays the haircut of", () => {
    // 200,000 a lot: 7.3 USDC are good for 36 lots and no debt.
    const drain = equityOf(5) - 7_300_000;
    const draft = venue.state.begin();
    draft.editAccount(5).cash = micro(venue.cell(5).cash - drain);
    draft.editAccount(3).cash = micro(venue.cell(3).cash + drain);
    draft.commit();
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe("accepted");
    expect(venue.size(5, perpetual)).toBe(-500 + 36);
    expect(equityOf(5)).toBe(7_300_000 - 36 * 200_000);
    // What is left of him pays for no further lot, and nobody else is on that side.
    expect(venue.size(DEBTOR, perpetual)).toBe(LOTS - 36 - 1_000);
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe("no cycle");
  });

  test("passing somebody over is wrong at the one passed over, named or not", () => {
    const both = adlOf(venue, DEBTOR, perpetual);
    if (both === null) throw new Error("nobody to deleverage");
    const [first, second] = both.counterparties as [(typeof both.counterparties)[0], (typeof both.counterparties)[0]];
    expect(codeOf({ ...both, counterparties: [second] })).toBe(named(RejectionCode.ADL_RANKING, 5));
    expect(codeOf({ ...both, counterparties: [second, first] })).toBe(named(RejectionCode.ADL_ORDER, 5));
    const modest = { ...first, equity: micro(first.equity + 1) };
    expect(codeOf({ ...both, counterparties: [modest, second] })).toBe(named(RejectionCode.ADL_FIGURES, 5));
    expect(codeOf({ ...both, counterparties: [first] })).toBe("accepted");
  });

  test("a haircut is never more than the mark: the rest stays a debt", () => {
    const draft = venue.state.begin();
    draft.editAccount(DEBTOR).cash = micro(venue.cell(DEBTOR).cash - 20_000 * USDC);
    draft.editAccount(3).cash = micro(venue.cell(3).cash + 20_000 * USDC);
    draft.commit();
    expect(adlOf(venue, DEBTOR, perpetual)).toMatchObject({ haircut: 8_000_000, instrument: instrument(perpetual) });
    expect(codeOf(adlOf(venue, DEBTOR, perpetual))).toBe("accepted");
  });
});
