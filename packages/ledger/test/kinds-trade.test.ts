// Named cases of the trade rules: what the random streams do not say aloud.
import { beforeEach, describe, expect, test } from "vitest";
import { type Cycle, encodeCycle, type InboundEntry, InboundOutcomeCode, RejectionCode } from "../src/index.ts";
import { account, at, BTC, dollars, ETH, HOUR_MS, instrument, micro, USDC, Venue } from "./factory.ts";
import { keyOf } from "./keys.ts";

let venue: Venue;
let perpetual: number;
let future: number;
let call: number;
let put: number;
let expiryMs: number;
const INDEX = dollars(100_000);

beforeEach(() => {
  venue = new Venue();
  for (const number of [2, 3, 4]) venue.fund(number, 100_000 * USDC);
  perpetual = venue.list(BTC, 0);
  expiryMs = venue.timeMs + 2 * HOUR_MS;
  future = venue.list(BTC, expiryMs, [dollars(100_000)]);
  call = future + 1;
  put = future + 2;
  venue.mark(BTC, { index: INDEX });
});

/** Code of the rejection, 0 when accepted. */
function codeOf(cycle: Cycle): number {
  const verdict = venue.apply(cycle);
  return verdict.ok ? 0 : verdict.rejection.code;
}

function outcomesOf(...entries: InboundEntry[]): number[] {
  return venue.must(venue.inbound(...entries)).outcomes.map(({ code }) => code);
}

describe("trade", () => {
  test("cash moves by price and fee, positions by lots, the fee goes to the treasury", () => {
    const fee = 3_000;
    venue.must(
      venue.tradeOf([
        venue.entry({ account: 2, instrument: perpetual, size: 100, price: 1_000_000, fee }),
        venue.entry({ account: 3, instrument: perpetual, size: -100, price: 1_000_000 }),
      ]),
    );
    expect(venue.cell(2).cash).toBe(100_000 * USDC - 100 * 10 * USDC - fee);
    expect(venue.cell(3).cash).toBe(100_000 * USDC + 100 * 10 * USDC);
    expect(venue.cell(0).cash).toBe(fee);
    expect([venue.size(2, perpetual), venue.size(3, perpetual)]).toEqual([100, -100]);
  });

  test("a flat position leaves the cell; the order of an account's entries does not matter", () => {
    venue.must(venue.cross(2, 3, perpetual, 7, 1_000_000));
    const [a, b] = [venue.nextNonce(), venue.nextNonce()];
    venue.must(
      venue.tradeOf([
        venue.entry({ account: 2, instrument: perpetual, size: -10, price: 1_000_000, nonce: b }),
        venue.entry({ account: 2, instrument: perpetual, size: 3, price: 1_000_000, nonce: a }),
        venue.entry({ account: 3, instrument: perpetual, size: 7, price: 1_000_000 }),
      ]),
    );
    expect(venue.cell(2).positions).toEqual([]);
  });

  test("the same account twice does not decode", () => {
    const cycle = venue.cross(2, 3, perpetual, 1, 1_000_000);
    const bytes = encodeCycle({ ...cycle, accounts: cycle.accounts.slice(0, 1) });
    const accountBytes = bytes.subarray(11);
    const twice = Uint8Array.of(...bytes.subarray(0, 10), 2, ...accountBytes, ...accountBytes);
    const verdict = venue.applyPayload(twice);
    expect(!verdict.ok && verdict.rejection.code).toBe(RejectionCode.MALFORMED);
  });

  test.each([0, 1])("account %i never trades, is never liquidated and never withdraws", (number) => {
    const other = venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000 });
    const key = keyOf(number === 0 ? "treasury" : "insurance");
    const entry = venue.entry({ account: number, instrument: perpetual, size: -1, price: 1_000_000, key });
    expect(codeOf(venue.tradeOf([other, entry]))).toBe(RejectionCode.TRADE_UNKNOWN_ACCOUNT);
    expect(codeOf(venue.withdrawal({ account: number, amount: 1 }))).toBe(RejectionCode.OUTBOUND_UNKNOWN_ACCOUNT);
    const owned = { account: account(number), minNonce: 5 as never, recipient: key.address, amount: micro(1) };
    expect(outcomesOf({ type: "cancelAll", ...owned })).toEqual([InboundOutcomeCode.UNKNOWN_ACCOUNT]);
    expect(outcomesOf({ type: "forcedWithdrawal", ...owned })).toEqual([InboundOutcomeCode.UNKNOWN_ACCOUNT]);
    const grant = { key: key.address, scopes: 1, expiryMs: at(2 ** 47) };
    expect(outcomesOf({ type: "keyGrant", ...owned, ...grant })).toEqual([InboundOutcomeCode.UNKNOWN_ACCOUNT]);
  });

  test("reduce-only counts all of an account's entries in the instrument together", () => {
    venue.must(venue.cross(2, 3, perpetual, 10, 1_000_000));
    const sell = (lots: number, flags = 1): ReturnType<Venue["entry"]> =>
      venue.entry({ account: 2, instrument: perpetual, size: -lots, price: 1_000_000, flags });
    const buy = (lots: number): ReturnType<Venue["entry"]> =>
      venue.entry({ account: 4, instrument: perpetual, size: lots, price: 1_000_000 });
    expect(codeOf(venue.tradeOf([sell(6), sell(5), buy(11)]))).toBe(RejectionCode.TRADE_REDUCE_ONLY);
    expect(codeOf(venue.tradeOf([sell(6), sell(5, 0), buy(11)]))).toBe(RejectionCode.TRADE_REDUCE_ONLY);
    const back = venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000 });
    expect(codeOf(venue.tradeOf([sell(11), back, buy(10)]))).toBe(RejectionCode.TRADE_REDUCE_ONLY);
    expect(codeOf(venue.tradeOf([sell(6), sell(4), buy(10)]))).toBe(0);
    expect(codeOf(venue.tradeOf([sell(1), buy(1)]))).toBe(RejectionCode.TRADE_REDUCE_ONLY);
  });

  test("exposure stays below 2^52; who was carried over by a move may reduce and not grow", () => {
    for (const number of [5, 6]) venue.fund(number, 1_500_000_000 * USDC);
    const greatest = (): number => Math.max(...(venue.state.instrument(perpetual)?.row ?? []));
    const lots = Math.floor((2 ** 52 - 1) / greatest());
    expect(codeOf(venue.cross(5, 6, perpetual, lots + 1, 1_000_000))).toBe(RejectionCode.TRADE_BOUNDS);
    expect(codeOf(venue.cross(5, 6, perpetual, lots, 1_000_000))).toBe(0);
    venue.advance(1_000);
    venue.mark(BTC, { index: dollars(120_000) });
    expect(lots * greatest()).toBeGreaterThan(2 ** 52);
    expect(codeOf(venue.cross(5, 2, perpetual, 1, 1_200_000))).toBe(RejectionCode.TRADE_BOUNDS);
    expect(codeOf(venue.cross(6, 5, perpetual, 1, 1_200_000))).toBe(0);
  });

  test("an order is filled over several cycles with one signature, never beyond its size", () => {
    const order = { account: 2, instrument: perpetual, size: 10, price: 1_000_000, nonce: 500 };
    const sell = (lots: number): Parameters<Venue["entry"]>[0] => ({
      account: 3,
      instrument: perpetual,
      size: -lots,
      price: 1_000_000,
    });
    venue.must(venue.tradeOf([venue.entry({ ...order, filledLots: 4 }), venue.entry(sell(4))]));
    venue.must(venue.tradeOf([venue.entry({ ...order, filledLots: 6, key: null }), venue.entry(sell(6))]));
    expect(venue.state.ringSlot(2, 500)).toMatchObject({ nonce: 500, filledLots: 10, filledCash: -10 * 10 * USDC });
    const again = venue.tradeOf([venue.entry({ ...order, filledLots: 1, key: null }), venue.entry(sell(1))]);
    expect(codeOf(again)).toBe(RejectionCode.TRADE_OVERFILLED);
    // Replay with the signature does not help either.
    const replay = venue.tradeOf([venue.entry({ ...order, filledLots: 1 }), venue.entry(sell(1))]);
    expect(codeOf(replay)).toBe(RejectionCode.TRADE_OVERFILLED);
  });

  test("a slot is taken over by a higher nonce only after the receipt's deadline", () => {
    const { receiptPeriodMs } = venue.parameters;
    venue.must(
      venue.tradeOf([
        venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, nonce: 7 }),
        venue.entry({ account: 3, instrument: perpetual, size: -1, price: 1_000_000 }),
      ]),
    );
    const higher = (): Cycle =>
      venue.tradeOf([
        venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, nonce: 7 + 65_536 }),
        venue.entry({ account: 3, instrument: perpetual, size: -1, price: 1_000_000 }),
      ]);
    const { receiptDeadlineMs } = venue.state.ringSlot(2, 7) ?? { receiptDeadlineMs: 0 };
    expect(receiptDeadlineMs).toBe(venue.timeMs + receiptPeriodMs);
    venue.timeMs = receiptDeadlineMs;
    venue.mark(BTC, { index: INDEX });
    expect(codeOf(higher())).toBe(RejectionCode.TRADE_RING_SLOT);
    venue.timeMs += 1;
    expect(codeOf(higher())).toBe(0);
    // The lower nonce is dead for ever, and so is a third order of the same slot that comes at once.
    const killed = venue.entry({ account: 2, instrument: perpetual, size: 5, price: 1_000_000, nonce: 7 });
    expect(codeOf(venue.tradeOf([killed]))).toBe(RejectionCode.TRADE_RING_SLOT);
  });

  test("two orders of one slot cannot settle in one cycle", () => {
    const at7 = venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, nonce: 7 });
    const above = venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, nonce: 7 + 65_536 });
    const other = venue.entry({ account: 3, instrument: perpetual, size: -2, price: 1_000_000 });
    expect(codeOf(venue.tradeOf([at7, above, other]))).toBe(RejectionCode.TRADE_RING_SLOT);
  });

  test("a delegate's key must have the scope and outlive the order", () => {
    const key = keyOf("desk");
    const grant = (scopes: number, untilMs: number): number[] =>
      outcomesOf({ type: "keyGrant", account: account(2), key: key.address, scopes, expiryMs: at(untilMs) });
    const orderExpiryMs = venue.timeMs + HOUR_MS;
    const cycle = (): Cycle =>
      venue.tradeOf([
        venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, key, expiryMs: orderExpiryMs }),
        venue.entry({ account: 3, instrument: perpetual, size: -1, price: 1_000_000 }),
      ]);
    expect(codeOf(cycle())).toBe(RejectionCode.TRADE_NOT_AUTHORISED);
    grant(1, orderExpiryMs - 1);
    expect(codeOf(cycle())).toBe(RejectionCode.TRADE_NOT_AUTHORISED);
    grant(2, orderExpiryMs);
    expect(codeOf(cycle())).toBe(RejectionCode.TRADE_NOT_AUTHORISED);
    grant(1, orderExpiryMs);
    expect(codeOf(cycle())).toBe(0);
  });

  test("orders of another domain do not authorise", () => {
    const foreign = venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, domain: 9 });
    const entry = { ...foreign, order: { ...foreign.order, domain: venue.parameters.domain } };
    expect(codeOf(venue.tradeOf([entry]))).toBe(RejectionCode.TRADE_NOT_AUTHORISED);
  });

  test("an open epoch of another underlying makes the marks of an account that holds it unusable, of others not", () => {
    const eth = venue.list(ETH, 0);
    venue.mark(ETH, { index: dollars(4_000) });
    venue.must(venue.cross(2, 3, eth, 10, venue.markTicks(eth)));
    venue.advance(1_000);
    venue.must(venue.reportOf(ETH, { index: dollars(4_000) }));
    expect(codeOf(venue.cross(2, 4, perpetual, 1, 1_000_000))).toBe(RejectionCode.TRADE_MARKS_UNUSABLE);
    expect(codeOf(venue.withdrawal({ account: 2, amount: 1 }))).toBe(RejectionCode.OUTBOUND_MARKS_UNUSABLE);
    venue.fund(5, 1_000 * USDC);
    expect(codeOf(venue.cross(4, 5, perpetual, 1, 1_000_000))).toBe(0);
  });

  test("closing in a cycle what had old marks at its start is refused", () => {
    venue.must(venue.cross(2, 3, call, 1, venue.markTicks(call)));
    venue.timeMs += venue.parameters.risk.markAgeMaxMs + 1;
    venue.must(venue.reportOf(BTC, { index: INDEX }));
    // Every row but the call's: the epoch closes with the call's mark left old.
    const fresh = [perpetual, future, put].map(instrument);
    venue.must({ kind: "rows", timeMs: at(venue.timeMs), underlying: BTC, instruments: fresh, closesEpoch: true });
    expect(codeOf(venue.cross(3, 2, call, 1, 10))).toBe(RejectionCode.TRADE_MARKS_UNUSABLE);
    expect(codeOf(venue.cross(4, 2, perpetual, 1, 1_000_000))).toBe(RejectionCode.TRADE_MARKS_UNUSABLE);
  });

  test("a net limit price may be negative: who sells a spread below zero pays at most that", () => {
    const legs = [
      { instrument: put, ratio: 1 },
      { instrument: call, ratio: -1 },
    ];
    const tick = venue.state.instrument(put)?.tickValueMicroUsdc ?? 0;
    const putCash = 1_000 * 2 * tick;
    const combination = (cash: number): Cycle =>
      venue.tradeOf([
        venue.entry({ account: 2, legs, size: -2, price: -50, cash }),
        venue.entry({ account: 3, instrument: put, size: 2, price: 1_000, cash: -putCash }),
        venue.entry({ account: 3, instrument: call, size: -2, price: 0, cash: putCash - cash }),
      ]);
    // Two combinations at −50 ticks: account 2 pays at most 100 ticks.
    expect(codeOf(combination(-100 * tick - 1))).toBe(RejectionCode.TRADE_LIMIT_NOT_MET);
    expect(codeOf(combination(-100 * tick))).toBe(0);
  });

  test("a fee of an option is at most an eighth of its price, of a combination the sum of its legs' schedules", () => {
    const cell = venue.state.instrument(call);
    const tick = cell?.tickValueMicroUsdc ?? 0;
    const withFee = (fee: number, price: number): Cycle =>
      venue.tradeOf([
        venue.entry({ account: 2, instrument: call, size: 1, price, fee }),
        venue.entry({ account: 3, instrument: call, size: -1, price }),
      ]);
    expect(codeOf(withFee(tick, 7))).toBe(RejectionCode.TRADE_FEE_ABOVE_SCHEDULE);
    expect(codeOf(withFee(tick, 8))).toBe(0);
    const { feePerLot = 0 } = cell ?? {};
    const legs = [
      { instrument: call, ratio: 1 },
      { instrument: put, ratio: -2 },
    ];
    const combination = (fee: number): Cycle =>
      venue.tradeOf([
        venue.entry({ account: 2, legs, size: 1, price: 0, cash: 0, fee }),
        venue.entry({ account: 3, instrument: call, size: -1, price: 0, cash: 0 }),
        venue.entry({ account: 3, instrument: put, size: 2, price: 0, cash: 0 }),
      ]);
    expect(codeOf(combination(3 * feePerLot + 1))).toBe(RejectionCode.TRADE_FEE_ABOVE_SCHEDULE);
    expect(codeOf(combination(3 * feePerLot))).toBe(0);
  });
});
