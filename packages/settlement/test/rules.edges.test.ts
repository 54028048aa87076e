// Contract and ledger on borders that random cycles rarely meet, from both sides: equal ranks, the last micro-USDC of equity,
// the end of a price curve, a cursor that has just arrived.
import {
  type AdlCycle,
  auctionTermsFloor,
  type Cycle,
  encodeCycle,
  encodeParameterChange,
  forcedCloseOrder,
  type HexBytes,
  haircutCeil,
  type InboundEntry,
  insuranceLeft,
  marginOf,
  RejectionCode,
} from "@tidemark/ledger";
import { U48_MAX } from "@tidemark/num";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { account, at, BTC, DAY_MS, dollars, instrument, micro, USDC, Venue } from "../../ledger/test/factory.ts";
import { keyOf } from "../../ledger/test/keys.ts";
import { Random } from "../../ledger/test/random.ts";
import { adlOf, auctionOf, bankruptcyOf, creditOf, grantOf, takeOf, viewOfVenue } from "../../ledger/test/waterfall.ts";
import { RuleEvm } from "./rules/evm.ts";
import { Agreement, Judge } from "./rules/judge.ts";

const BANKRUPT = 2;
const DEPOSIT = 100_000 * USDC;
const payer = keyOf("payer").address;
let evm: RuleEvm;
let venue: Venue;
let judge: Judge;

beforeAll(async () => {
  evm = await RuleEvm.start();
}, RuleEvm.START_MS_MAX);
afterAll(() => evm.stop());
beforeEach(({ task }) => {
  judge = new Judge(new Agreement(), task.name, evm, new Random(7));
  venue = new Venue({ risk: { markAgeMaxMs: DAY_MS } });
  for (const number of [2, 3, 4, 5]) venue.fund(number, DEPOSIT);
});

/** The cycle's verdict by the ledger; what the contracts say is compared at the end of the test. */
function says(cycle: Cycle, code: number): void {
  const payload = encodeCycle(cycle);
  const verdict = judge.observe(venue.state, payload, () => venue.applyPayload(payload));
  expect(verdict.ok ? 0 : verdict.rejection.code, JSON.stringify(verdict)).toBe(code);
}

function outcomes(entry: InboundEntry): number[] {
  const payload = encodeCycle(venue.inbound(entry));
  const verdict = judge.observe(venue.state, payload, () => venue.applyPayload(payload));
  return verdict.ok ? verdict.outcomes.map(({ code }) => code) : [];
}

function moveCash(from: number, to: number, amount: number): void {
  const draft = venue.state.begin();
  draft.editAccount(from).cash = micro(venue.cell(from).cash - amount);
  draft.editAccount(to).cash = micro(venue.cell(to).cash + amount);
  draft.commit();
}

function equityOf(number: number): number {
  return Number(marginOf(venue.state, number, at(venue.timeMs))?.equity);
}

function setEquity(number: number, equity: number): void {
  moveCash(number, 0, equityOf(number) - equity);
}

/** Account 2 is long against the others, at `equity`, and its auction runs. */
function distressed(equity: number, others: Readonly<Record<number, number>>): number {
  const perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
  for (const [number, lots] of Object.entries(others)) {
    venue.must(venue.cross(BANKRUPT, Number(number), perpetual, lots, venue.markTicks(perpetual)));
  }
  setEquity(BANKRUPT, equity);
  says(auctionOf(venue, "start", BANKRUPT), 0);
  return perpetual;
}

const duration = (): number => venue.parameters.risk.auctionDurationMs;

function haircutOf(number: number): number {
  const deficit = BigInt(-equityOf(BANKRUPT)) - insuranceLeft(venue.state.globals, venue.cell(1));
  return Number(haircutCeil(viewOfVenue(venue), venue.cell(BANKRUPT).positions, number, deficit));
}

/** What adlOf makes, with counterparties by hand. */
function adl(number: number, ...named: number[]): AdlCycle {
  const made = adlOf(venue, BANKRUPT, number);
  if (made === null) throw new Error("nobody ranks");
  const counterparties = named.map((one) => {
    const margin = marginOf(venue.state, one, at(venue.timeMs));
    return {
      account: account(one),
      positionCount: venue.cell(one).positions.length,
      equity: micro(Number(margin?.equity)),
      maintenance: micro(Number(margin?.maintenance)),
    };
  });
  return { ...made, counterparties };
}

test("adl: of equal ranks the lower number is first", async () => {
  const perpetual = distressed(-500 * USDC, { 3: 1_000, 4: 1_000, 5: 500 });
  venue.advance(duration());
  setEquity(3, 9_000 * USDC);
  setEquity(4, 9_000 * USDC);
  setEquity(5, 90_000 * USDC);
  says(adl(perpetual, 4), RejectionCode.ADL_RANKING);
  says(adl(perpetual, 4, 3), RejectionCode.ADL_ORDER);
  // Named twice: the second time nothing is held any more.
  says(adl(perpetual, 3, 3), RejectionCode.ADL_COUNTERPARTY_POSITION_COUNT);
  says(adl(perpetual, 3, 5), RejectionCode.ADL_RANKING);
  says(adl(perpetual, 3), 0);
  await judge.compare();
});

test("adl: a holder of one lot's haircut ranks, with less it does not", async () => {
  const perpetual = distressed(-5_000 * USDC, { 3: 1_000, 4: 1_000 });
  venue.advance(duration());
  const haircut = haircutOf(perpetual);
  setEquity(4, haircut);
  says(adl(perpetual, 3), RejectionCode.ADL_RANKING);
  setEquity(4, haircut - 1);
  says(adl(perpetual, 4, 3), RejectionCode.ADL_NOTHING_TO_TAKE);
  says(adl(perpetual, 3), 0);
  await judge.compare();
});

test("adl: takes what equity covers, down to the lot", async () => {
  const perpetual = distressed(-5_000 * USDC, { 3: 1_000, 4: 1_000 });
  venue.advance(duration());
  const haircut = haircutOf(perpetual);
  setEquity(4, 4 * haircut - 1);
  says(adl(perpetual, 4, 3), 0);
  expect([venue.size(4, perpetual), venue.size(3, perpetual), venue.size(BANKRUPT, perpetual)]).toEqual([-997, 0, 997]);
  await judge.compare();
});

test("adl: begins when the curve has ended and ends with the auction; insurance comes first", async () => {
  const perpetual = distressed(-5_000 * USDC, { 3: 1_000 });
  venue.advance(duration() - 1);
  says(adl(perpetual, 3), RejectionCode.ADL_AUCTION_NOT_OVER);
  venue.advance(1);
  moveCash(0, 1, 5_000 * USDC);
  says({ ...adl(perpetual, 3), haircut: micro(1) }, RejectionCode.ADL_INSURANCE_LEFT);
  moveCash(1, 0, 1);
  says(adl(perpetual, 3), 0);
  expect(venue.cell(BANKRUPT).auctionMs).toBe(0);
  await judge.compare();
});

test("adl: another auction's time is over", async () => {
  const perpetual = distressed(-5_000 * USDC, { 3: 1_000 });
  venue.advance(2 * duration());
  says(adl(perpetual, 3), RejectionCode.ADL_AUCTION_NOT_OVER);
  says(auctionOf(venue, "start", BANKRUPT), 0);
  await judge.compare();
});

test.each([-1, 0, 1])("auction: the price falls to the curve's end and stays; %i ms from it", async (off) => {
  distressed(20 * USDC, { 3: 1_000, 4: 1_000 });
  moveCash(0, 1, 50_000 * USDC);
  const first = takeOf(venue, { owner: BANKRUPT, bidder: 5, parts: 100 });
  expect(first.take.discount).toBe(0);
  says(first, 0);
  venue.advance(duration() + off);
  const sound = takeOf(venue, { owner: BANKRUPT, bidder: 5, parts: 100 });
  const change = (more: number) => (take: typeof sound.take) => ({ ...take, discount: micro(take.discount + more) });
  for (const more of [-1, 1]) {
    const wrong = takeOf(venue, { owner: BANKRUPT, bidder: 5, parts: 100, change: change(more) });
    says(wrong, RejectionCode.AUCTION_DISCOUNT);
  }
  says(sound, 0);
  await judge.compare();
});

test.each([-1, 0])("auction: runs for two durations; %i ms from its end", async (off) => {
  distressed(20 * USDC, { 3: 1_000, 4: 1_000 });
  moveCash(0, 1, 50_000 * USDC);
  venue.advance(2 * duration() + off);
  says(auctionOf(venue, "start", BANKRUPT), off < 0 ? RejectionCode.AUCTION_RUNNING : 0);
  const take = takeOf(venue, { owner: BANKRUPT, bidder: 5, parts: 100 });
  says(take, 0);
  await judge.compare();
});

test("auction: an account without equity leaves the discount to the insurance, to its last micro-USDC", async () => {
  distressed(-20 * USDC, { 3: 1_000, 4: 1_000 });
  venue.advance(duration() / 2);
  const take = takeOf(venue, { owner: BANKRUPT, bidder: 5 });
  expect([take.take.fromAccount, take.take.discount > 0]).toEqual([0, true]);
  moveCash(0, 1, take.take.discount - 1);
  says(take, RejectionCode.AUCTION_INSURANCE);
  moveCash(0, 1, 1);
  says(take, 0);
  expect([venue.cell(1).cash, venue.cell(BANKRUPT).auctionMs]).toEqual([0, 0]);
  // What is left of the account is bad debt; half of it is covered.
  const debt = -venue.cell(BANKRUPT).cash;
  moveCash(0, 1, Math.floor(debt / 2));
  says(bankruptcyOf(venue, BANKRUPT), 0);
  says(bankruptcyOf(venue, BANKRUPT), RejectionCode.BANKRUPTCY_INSURANCE_EXHAUSTED);
  await judge.compare();
});

test("auction: stops where one part less would have reached the initial requirement", async () => {
  distressed(20 * USDC, { 3: 1_000, 4: 1_000 });
  moveCash(0, 1, 50_000 * USDC);
  venue.advance(duration() / 2);
  const parts = 400;
  const reaches = (equity: number): boolean => {
    setEquity(BANKRUPT, equity);
    const cell = venue.cell(BANKRUPT);
    const margin = marginOf(venue.state, BANKRUPT, at(venue.timeMs));
    if (margin === undefined) throw new Error("the account exists");
    const less = auctionTermsFloor(viewOfVenue(venue), cell, margin, parts - 1, at(venue.timeMs));
    return margin.equity - less.fromAccount >= less.initial;
  };
  let low = 0;
  let high = Number(marginOf(venue.state, BANKRUPT, at(venue.timeMs))?.maintenance) - 1;
  expect(reaches(high)).toBe(true);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (reaches(middle)) high = middle;
    else low = middle;
  }
  setEquity(BANKRUPT, high);
  says(takeOf(venue, { owner: BANKRUPT, bidder: 5, parts }), RejectionCode.AUCTION_BEYOND_TARGET);
  setEquity(BANKRUPT, low);
  const take = takeOf(venue, { owner: BANKRUPT, bidder: 5, parts });
  expect(take.take.fromAccount).toBeGreaterThan(1);
  says(take, 0);
  await judge.compare();
});

test("auction: the bid is paid to the last micro-USDC, and binds its legs", async () => {
  distressed(20 * USDC, { 3: 1_000, 4: 1_000 });
  moveCash(0, 1, 50_000 * USDC);
  venue.advance(duration() / 2);
  const { discount, legs } = takeOf(venue, { owner: BANKRUPT, bidder: 5, parts: 100 }).take;
  const mark = venue.state.instrument(legs[0]?.instrument ?? 0)?.row[0] ?? 0;
  const payment = (legs[0]?.lots ?? 0) * mark - discount;
  const bid = { owner: BANKRUPT, bidder: 5, parts: 100 };
  says(takeOf(venue, { ...bid, paymentMax: payment - 1 }), RejectionCode.AUCTION_PAYMENT);
  // Signed for other legs: bound it is another bid, unbound the same.
  const other = takeOf(venue, { ...bid, paymentMax: payment });
  const unbound = { ...other.take, bid: { ...other.take.bid, bindsLegs: false } };
  says({ ...other, take: unbound }, RejectionCode.AUCTION_NOT_AUTHORISED);
  says(takeOf(venue, { ...bid, paymentMax: payment, bindsLegs: false }), 0);
  await judge.compare();
});

const deposit = (number: number, amount: number): InboundEntry => ({
  type: "deposit",
  account: account(number),
  amount: micro(amount),
  payer,
});

test("credit: settled once its entry is consumed, cleared by its deposit and no other", async () => {
  moveCash(3, 1, 50_000 * USDC);
  const index = (): number => venue.state.globals.inboundCursor;
  says(grantOf(venue, 2, USDC, index() - 1), RejectionCode.CREDIT_SOURCE);
  says(grantOf(venue, 2, USDC, index()), 0);
  says(creditOf(venue, "settle", 2), RejectionCode.CREDIT_NOT_CONSUMED);
  expect(outcomes(deposit(3, 5))).toEqual([0]);
  says(creditOf(venue, "settle", 2), 0);
  says(grantOf(venue, 2, USDC, index() + 1), 0);
  expect(outcomes(deposit(2, 5))).toEqual([0]);
  expect(venue.cell(2).credit).toBe(USDC);
  expect(outcomes(deposit(2, 5))).toEqual([0]);
  expect([venue.cell(2).credit, venue.state.globals.creditTotal]).toEqual([0, 0]);
  await judge.compare();
});

test("credit: the pool's limit is a share of the insurance less bad debt, rounded down", async () => {
  moveCash(3, 1, 1_019);
  const { creditPoolFactorPpb } = venue.parameters.risk;
  const limit = Math.floor((1_019 * creditPoolFactorPpb) / 1e9);
  says(grantOf(venue, 2, limit + 1), RejectionCode.CREDIT_POOL_LIMIT);
  says(grantOf(venue, 2, limit), 0);
  says(creditOf(venue, "revoke", 2), 0);
  moveCash(4, 0, DEPOSIT + 29);
  const less = Math.floor((990 * creditPoolFactorPpb) / 1e9);
  expect(less).toBeLessThan(limit);
  says(grantOf(venue, 2, less + 1), RejectionCode.CREDIT_POOL_LIMIT);
  says(grantOf(venue, 2, less), 0);
  await judge.compare();
});

/** Queued, and its delay over. */
function changed(change: HexBytes, code: number): void {
  expect(outcomes({ type: "adminChange", change })).toEqual([0]);
  venue.advance(venue.parameters.adminDelayMs - 1);
  const cycle = (): Cycle => ({ kind: "admin", timeMs: at(venue.timeMs), change });
  says(cycle(), RejectionCode.ADMIN_TOO_EARLY);
  venue.advance(1);
  says(cycle(), code);
}

test("admin: the set that results counts, not the way to it; no field beyond 2^53 is read", async () => {
  const swapped = encodeParameterChange([
    { field: "oracle", index: 0, key: venue.parameters.oracles[1] as HexBytes },
    { field: "oracle", index: 1, key: venue.parameters.oracles[0] as HexBytes },
    { field: "makerFeePpb", value: 1_000_000 },
    { field: "takerFeePpb", value: 2_000_000 },
  ]);
  changed(swapped, 0);
  const twice = encodeParameterChange([{ field: "oracle", index: 0, key: venue.parameters.oracles[1] as HexBytes }]);
  changed(twice, RejectionCode.ADMIN_PARAMETERS_INVALID);
  const least = encodeParameterChange([{ field: "auctionDurationMs", value: 1 }]).slice(4);
  const sound = encodeParameterChange([{ field: "auctionDurationMs", value: 1_000 }]).slice(4);
  changed(`0x02${least}${sound}`, 0);
  expect(venue.parameters.risk.auctionDurationMs).toBe(1_000);
  const beyond = `${least.slice(0, 2)}ffffffffffffff7f`;
  changed(`0x02${beyond}${sound}`, RejectionCode.ADMIN_PARAMETERS_INVALID);
  changed(`0x02${sound}`, RejectionCode.ADMIN_PARAMETERS_INVALID);
  const quorum = (value: number): HexBytes => encodeParameterChange([{ field: "oracleQuorum", value }]);
  changed(quorum(0), RejectionCode.ADMIN_PARAMETERS_INVALID);
  changed(quorum(venue.parameters.oracles.length + 1), RejectionCode.ADMIN_PARAMETERS_INVALID);
  changed(quorum(venue.parameters.oracles.length), 0);
  changed(`0x01${sound}00`, RejectionCode.ADMIN_PARAMETERS_INVALID);
  await judge.compare();
});

test("forced close: filled without a signature while it lasts, its times within u48", async () => {
  const perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
  const price = venue.markTicks(perpetual);
  venue.must(venue.cross(2, 3, perpetual, 10, price));
  const close = (nonce: number): InboundEntry & { type: "forcedClose" } => ({
    type: "forcedClose",
    account: account(2),
    instrument: perpetual as never,
    size: -10 as never,
    limitPrice: (price - 5) as never,
    nonce: nonce as never,
  });
  const entry = close(venue.nextNonce());
  expect(outcomes(entry)).toEqual([0]);
  expect(outcomes(entry)).toEqual([968]);
  const order = forcedCloseOrder(entry, venue.parameters.domain, at(venue.timeMs));
  const filled = (lots: number): Cycle => {
    const buyer = venue.entry({ account: 4, instrument: perpetual, size: lots, price });
    return venue.tradeOf([
      { order, signature: null, filledLots: lots, cash: micro(-buyer.cash), fee: micro(0) },
      buyer,
    ]);
  };
  venue.advance(60_000);
  says(filled(4), 0);
  says(filled(7), RejectionCode.TRADE_OVERFILLED);
  says(filled(6), 0);
  // Near the end of u48 no order is a day long.
  venue.timeMs = U48_MAX - 1_000;
  expect(outcomes(close(venue.nextNonce()))).toEqual([966]);
  expect(outcomes({ ...close(venue.nextNonce()), account: account(3), size: 10 as never })).toEqual([0]);
  await judge.compare();
});

test("forced liquidation: begins an auction, ends that of who has recovered", async () => {
  const entry: InboundEntry = { type: "forcedLiquidation", account: account(BANKRUPT) };
  expect(outcomes(entry)).toEqual([971]);
  distressed(20 * USDC, { 3: 1_000 });
  expect(outcomes(entry)).toEqual([970]);
  venue.advance(2 * duration());
  expect(outcomes(entry)).toEqual([0]);
  expect(venue.cell(BANKRUPT).auctionMs).toBe(venue.timeMs);
  const maintenance = Number(marginOf(venue.state, BANKRUPT, at(venue.timeMs))?.maintenance);
  setEquity(BANKRUPT, maintenance - 1);
  says(auctionOf(venue, "end", BANKRUPT), RejectionCode.AUCTION_NOT_HEALTHY);
  setEquity(BANKRUPT, maintenance);
  expect(outcomes(entry)).toEqual([969]);
  expect(venue.cell(BANKRUPT).auctionMs).toBe(0);
  says(auctionOf(venue, "end", BANKRUPT), RejectionCode.AUCTION_NOT_RUNNING);
  await judge.compare();
});

test("totals: a cycle may take bad debt to the last safe integer, and not beyond", async () => {
  const expiryMs = venue.timeMs + DAY_MS;
  const strike = dollars(100_000);
  const call = venue.list(BTC, expiryMs, [strike]) + 1;
  venue.mark(BTC, { index: strike });
  for (const buyer of [3, 4]) venue.must(venue.cross(buyer, 2, call, 1, 10));
  const expire = (settled: readonly number[], realised: number): Cycle => {
    const instruments = [instrument(call)];
    const positionCount = venue.cell(realised).positions.length;
    return venue.expiryOf({
      underlying: BTC,
      expiryMs: at(expiryMs),
      settlementPrice: strike,
      instruments: settled.map(instrument),
      realisations: [{ account: account(realised), positionCount, instruments }],
    });
  };
  // The call ends at its strike, worth nothing: an account owes what was moved away from it. No single account can hold all of it.
  const owes = (number: number, debt: number): void => {
    const moved = venue.cell(number).cash + debt;
    moveCash(number, 5, Math.floor(moved / 2));
    moveCash(number, 2, Math.ceil(moved / 2));
  };
  owes(3, Number.MAX_SAFE_INTEGER - 5);
  owes(4, 6);
  venue.timeMs = expiryMs;
  says(expire([call], 3), 0);
  expect(venue.state.globals.badDebt).toBe(Number.MAX_SAFE_INTEGER - 5);
  says(expire([], 4), RejectionCode.LIMIT_EXCEEDED);
  moveCash(5, 4, 1);
  says(expire([], 4), 0);
  expect(venue.state.globals.badDebt).toBe(Number.MAX_SAFE_INTEGER);
  await judge.compare();
});
