// Named cases of liquidation at the edges of its rules.
import { beforeEach, expect, test } from "vitest";
import { type LiquidationCycle, marginOf, RejectionCode } from "../src/index.ts";
import { account, at, BTC, dollars, instrument, micro, USDC, Venue } from "./factory.ts";

const DEBTOR = 4;
const LOTS = 1_500;
const MARK_MICRO_USDC = 8_000_000;
let venue: Venue;
let perpetual: number;

beforeEach(() => {
  venue = new Venue();
  venue.fund(2, 100_000 * USDC);
  venue.fund(3, 1_000_000 * USDC);
  venue.fund(DEBTOR, 4_000 * USDC);
  perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(DEBTOR, 3, perpetual, LOTS, 1_000_000));
  venue.advance(10_000);
  venue.mark(BTC, { index: dollars(80_000) });
});

function codeOf(cycle: LiquidationCycle): number {
  const verdict = venue.apply(cycle);
  return verdict.ok ? 0 : verdict.rejection.code;
}

function liquidation(lots: number, cash: number, fee: number): LiquidationCycle {
  const entry = venue.entry({ account: 2, instrument: perpetual, size: lots, price: 2 ** 31 - 1, cash: -cash });
  return {
    kind: "liquidation",
    timeMs: at(venue.timeMs),
    account: account(DEBTOR),
    positionCount: 1,
    legs: [{ instrument: instrument(perpetual), size: -lots as never, cash: micro(cash), fee: micro(fee) }],
    counterparties: venue.tradeOf([entry]).accounts,
  };
}

function deposit(amount: number): void {
  const payer = `0x${"99".repeat(20)}` as const;
  venue.must(venue.inbound({ type: "deposit", account: account(DEBTOR), amount: micro(amount), payer }));
}

/**
 * The account's cash is set so that all but the last lot reach the target to the unit, when the doubt is the account's:
 * cash of those lots rounded up, fee rounded down.
 */
test.each([
  ["to the unit", 0, RejectionCode.LIQUIDATION_BEYOND_TARGET],
  ["one unit short", 1, 0],
])("the target is reached before the last lot %s", (_, missing, code) => {
  const margin = marginOf(venue.state, DEBTOR, at(venue.timeMs));
  const equity = Number(margin?.equity);
  const perLot = Number(margin?.initial) / LOTS;
  expect(Number.isInteger(perLot)).toBe(true);
  const lots = LOTS - Math.floor(equity / perLot) - 1;
  const cash = lots * MARK_MICRO_USDC - 5;
  const fee = 3;
  const trialCash = Math.ceil((cash * (lots - 1)) / lots) - Math.floor((fee * (lots - 1)) / lots);
  expect((cash * (lots - 1)) % lots).not.toBe(0);
  const trialEquity = equity - (lots - 1) * MARK_MICRO_USDC + trialCash;
  const trialInitial = (LOTS - lots + 1) * perLot;
  expect(trialInitial - trialEquity - missing).toBeGreaterThan(0);
  deposit(trialInitial - trialEquity - missing);
  expect(codeOf(liquidation(lots, cash, fee))).toBe(code);
});

test("the penalty goes to the insurance, and the next slice waits for a report", () => {
  const before = venue.cell(1).cash;
  expect(codeOf(liquidation(100, 100 * MARK_MICRO_USDC, 1_000))).toBe(0);
  expect(venue.cell(1).cash - before).toBe(1_000);
  expect(venue.cell(DEBTOR).liquidationMs).toBe(venue.timeMs);
  venue.advance(1_000);
  expect(codeOf(liquidation(100, 100 * MARK_MICRO_USDC, 0))).toBe(RejectionCode.LIQUIDATION_NO_NEWER_REPORT);
  venue.mark(BTC, { index: dollars(80_000) });
  expect(codeOf(liquidation(100, 100 * MARK_MICRO_USDC, 0))).toBe(0);
});

test("nothing is sold below zero, however wide the bound", () => {
  const wide = new Venue({ risk: { liquidationBoundPpb: 1_000_000_000 } });
  wide.fund(2, 100_000 * USDC);
  wide.fund(3, 1_000_000 * USDC);
  wide.fund(DEBTOR, 4_000 * USDC);
  perpetual = wide.list(BTC, 0);
  const call = wide.list(BTC, wide.timeMs + 48 * 3_600_000, [dollars(150_000)]) + 1;
  wide.mark(BTC, { index: dollars(100_000) });
  wide.must(wide.cross(DEBTOR, 3, perpetual, LOTS, 1_000_000));
  wide.must(wide.cross(DEBTOR, 3, call, 5, wide.markTicks(call)));
  wide.advance(10_000);
  wide.mark(BTC, { index: dollars(80_000) });
  venue = wide;
  const sale = (cash: number): LiquidationCycle => {
    const entry = wide.entry({ account: 2, instrument: call, size: 5, price: 2 ** 31 - 1, cash: 0 - cash });
    const legs = [{ instrument: instrument(call), size: -5 as never, cash: micro(cash), fee: micro(0) }];
    return { ...liquidation(1, 0, 0), positionCount: 2, legs, counterparties: wide.tradeOf([entry]).accounts };
  };
  expect(codeOf(sale(-1))).toBe(RejectionCode.LIQUIDATION_PRICE_BOUND);
  expect([0, RejectionCode.LIQUIDATION_NOT_IMPROVING]).toContain(codeOf(sale(0)));
});
