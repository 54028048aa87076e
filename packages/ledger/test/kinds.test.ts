// Named cases of the rules: what the random streams do not say aloud.
import { beforeEach, describe, expect, test } from "vitest";
import {
  type Cycle,
  type CycleContext,
  domainSeparator,
  INSTRUMENTS_MAX,
  type InboundEntry,
  InboundOutcomeCode,
  marginOf,
  RejectionCode,
  rejectionName,
  viewOf,
} from "../src/index.ts";
import * as inbound from "../src/kinds/inbound.ts";
import { account, at, BTC, dollars, HOUR_MS, instrument, micro, ownerKey, USDC, Venue } from "./factory.ts";
import { keyOf, signaturePort } from "./keys.ts";

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

describe("inbound", () => {
  test("the queue hash chains the entries' bytes", () => {
    const entry: InboundEntry = { type: "cancelAll", account: account(2), minNonce: 3 as never };
    const before = venue.state.globals;
    outcomesOf(entry);
    expect(venue.state.globals.inboundCursor).toBe(before.inboundCursor + 1);
    expect(venue.state.globals.inboundHash).not.toBe(before.inboundHash);
  });

  test("minNonce only rises, and what is below it is dead even half filled; an unknown key does not save its orders", () => {
    const order = { account: 2, instrument: perpetual, size: 10, price: 1_000_000, nonce: 500 };
    const sell = { account: 3, instrument: perpetual, size: -4, price: 1_000_000 };
    venue.must(venue.tradeOf([venue.entry({ ...order, filledLots: 4 }), venue.entry(sell)]));
    const key = keyOf("never granted").address;
    expect(outcomesOf({ type: "keyRevoke", account: account(2), key, minNonce: 501 as never })).toEqual([
      InboundOutcomeCode.UNKNOWN_KEY,
    ]);
    expect(outcomesOf({ type: "cancelAll", account: account(2), minNonce: 9 as never })).toEqual([0]);
    expect(venue.cell(2).minNonce).toBe(501);
    const rest = venue.tradeOf([venue.entry({ ...order, filledLots: 4, key: null }), venue.entry(sell)]);
    expect(codeOf(rest)).toBe(RejectionCode.TRADE_BELOW_MIN_NONCE);
  });

  test("a deposit that cannot be credited waits in the outbox for its payer", () => {
    const payer = keyOf("payer").address;
    expect(outcomesOf({ type: "deposit", account: account(777), amount: micro(55), payer })).toEqual([
      InboundOutcomeCode.PARKED,
    ]);
    const number = venue.state.outboxCount - 1;
    const chain = venue.parameters.chainId;
    expect(venue.state.outboxCell(number)).toEqual({
      account: 777,
      asset: 0,
      amount: 55,
      destinationChain: chain,
      recipient: payer,
    });
    // Cash that is already at its bound: the account has more than ever came in, another owes it.
    const draft = venue.state.begin();
    const near = 2 ** 53 - 1;
    const missing = near - draft.editAccount(2).cash;
    draft.editAccount(2).cash = micro(near);
    draft.editAccount(3).cash = micro(draft.editAccount(3).cash - missing);
    draft.commit();
    expect(outcomesOf({ type: "deposit", account: account(2), amount: micro(1), payer })).toEqual([
      InboundOutcomeCode.PARKED,
    ]);
    expect(venue.cell(2).cash).toBe(near);
  });

  test("a deposit that no total can hold refuses the cycle and moves nothing", () => {
    const root = venue.state.root();
    const entry: InboundEntry = {
      type: "deposit",
      account: account(2),
      amount: micro(2 ** 53 - 1),
      payer: ownerKey(2).address,
    };
    expect(codeOf(venue.inbound(entry))).toBe(RejectionCode.LIMIT_EXCEEDED);
    expect(venue.state.root()).toBe(root);
  });

  test("a forced withdrawal pays what is withdrawable, to the recipient, on this chain", () => {
    venue.must(venue.cross(2, 3, perpetual, 1_000, 1_000_000));
    const { withdrawable } = marginOf(venue.state, 2, at(venue.timeMs)) ?? { withdrawable: 0n };
    const recipient = keyOf("cold store").address;
    const cash = venue.cell(2).cash;
    expect(outcomesOf({ type: "forcedWithdrawal", account: account(2), amount: micro(2 ** 52), recipient })).toEqual([
      0,
    ]);
    expect(BigInt(cash - venue.cell(2).cash)).toBe(withdrawable);
    expect(venue.state.outboxCell(venue.state.outboxCount - 1)).toMatchObject({
      recipient,
      amount: Number(withdrawable),
    });
  });

  test("nobody is paid more than came in: an account under water with a position holds its counterparty back", () => {
    // By hand: account 3 owes 150,000 and still has a position, so it is no bad debt; account 2 has the cash.
    venue.must(venue.cross(2, 3, call, 1, 10));
    const draft = venue.state.begin();
    const moved = 400_000 * USDC;
    draft.editAccount(3).cash = micro(draft.editAccount(3).cash - moved);
    draft.editAccount(2).cash = micro(draft.editAccount(2).cash + moved);
    draft.commit();
    expect(venue.state.globals.badDebt).toBe(0);
    const inVault = venue.state.globals.inboundTotal - venue.state.globals.outboxTotal;
    expect(codeOf(venue.withdrawal({ account: 2, amount: inVault + 1 }))).toBe(RejectionCode.OUTBOUND_BAD_DEBT);
    const recipient = ownerKey(2).address;
    expect(
      outcomesOf({ type: "forcedWithdrawal", account: account(2), amount: micro(inVault + 1), recipient }),
    ).toEqual([InboundOutcomeCode.BAD_DEBT]);
    expect(codeOf(venue.withdrawal({ account: 2, amount: inVault }))).toBe(0);
  });

  test("the instrument tree is never overfilled", () => {
    const draft = venue.state.begin();
    draft.globals.instrumentCount = INSTRUMENTS_MAX - 2;
    const context: CycleContext = {
      parameters: venue.parameters,
      separator: domainSeparator(venue.parameters),
      signatures: signaturePort,
      view: viewOf(draft, venue.parameters),
      outcomes: [],
    };
    const series = (strikes: number[]): InboundEntry => ({
      type: "listSeries",
      underlying: BTC,
      expiryMs: at(venue.timeMs + 1),
      strikes: strikes.map(dollars),
    });
    const entries = [series([1]), series([]), series([]), series([])];
    expect(inbound.validateAndApply(draft, { kind: "inbound", timeMs: at(venue.timeMs), entries }, context)).toBeNull();
    const full = InboundOutcomeCode.INSTRUMENTS_FULL;
    expect(context.outcomes.map(({ code }) => code)).toEqual([full, 0, 0, full]);
  });
});

describe("outbound", () => {
  test("a withdrawal is paid once, and its nonce is no order's any more", () => {
    const cycle = venue.withdrawal({ account: 2, amount: 1_000, nonce: 40 });
    expect(codeOf(cycle)).toBe(0);
    expect(codeOf(cycle)).toBe(RejectionCode.OUTBOUND_RING_SLOT);
    const order = venue.entry({ account: 2, instrument: perpetual, size: 1, price: 1_000_000, nonce: 40 });
    expect(codeOf(venue.tradeOf([order]))).toBe(RejectionCode.TRADE_RING_SLOT);
    expect(venue.state.ringSlot(2, 40)).toMatchObject({ filledLots: 1, filledCash: -1_000 });
  });

  test("a withdrawal's nonce stays taken after its receipt's deadline", () => {
    const expiryMs = at(venue.timeMs + 100 * HOUR_MS);
    const cycle = venue.withdrawal({ account: 2, amount: 1_000, nonce: 40, expiryMs });
    expect(codeOf(cycle)).toBe(0);
    venue.timeMs += venue.parameters.receiptPeriodMs + 1;
    const later = { ...cycle, timeMs: at(venue.timeMs) };
    expect(codeOf(later)).toBe(RejectionCode.OUTBOUND_RING_SLOT);
    expect(codeOf(venue.withdrawal({ account: 2, amount: 7, nonce: 40 }))).toBe(RejectionCode.OUTBOUND_RING_SLOT);
    expect(codeOf(venue.withdrawal({ account: 2, amount: 7, nonce: 40 + 65_536 }))).toBe(0);
    expect(codeOf(venue.withdrawal({ account: 2, amount: 7, nonce: 40 }))).toBe(RejectionCode.OUTBOUND_RING_SLOT);
  });

  test("delegates never withdraw", () => {
    const key = ownerKey(3).address;
    outcomesOf({ type: "keyGrant", account: account(2), key, scopes: 255, expiryMs: at(2 ** 47) });
    const good = venue.withdrawal({ account: 2, amount: 5 });
    const byOther = venue.withdrawal({ account: 3, amount: 5 });
    const [item] = good.withdrawals;
    const [other] = byOther.withdrawals;
    if (item === undefined || other === undefined) throw new Error("one withdrawal each");
    expect(codeOf({ ...good, withdrawals: [{ ...item, signature: other.signature }] })).toBe(
      RejectionCode.OUTBOUND_NOT_AUTHORISED,
    );
  });

  test("two withdrawals of one cycle cannot take the same money", () => {
    const free = Number(marginOf(venue.state, 2, at(venue.timeMs))?.withdrawable);
    const first = venue.withdrawal({ account: 2, amount: free });
    const second = venue.withdrawal({ account: 2, amount: 1 });
    const both = { ...first, withdrawals: [...first.withdrawals, ...second.withdrawals] };
    expect(codeOf(both)).toBe(RejectionCode.OUTBOUND_NOT_WITHDRAWABLE);
    expect(codeOf(first)).toBe(0);
  });

  test("money for a chain without custody stays where it is", () => {
    expect(codeOf(venue.withdrawal({ account: 2, amount: 1, destinationChain: 10 }))).toBe(
      RejectionCode.OUTBOUND_DOMAIN_OR_ASSET,
    );
  });

  test("nobody is sent money that the custody would refuse to pay", () => {
    for (const recipient of [`0x${"0".repeat(40)}` as const, venue.state.parameters.verifyingContract]) {
      expect(codeOf(venue.withdrawal({ account: 2, amount: 1, recipient }))).toBe(
        RejectionCode.OUTBOUND_DOMAIN_OR_ASSET,
      );
    }
    expect(codeOf(venue.withdrawal({ account: 2, amount: 1 }))).toBe(0);
  });
});

describe("expiry", () => {
  test("payoffs are floored once, the same integer for both sides, and clearing ends at zero", () => {
    venue.must(venue.cross(2, 3, call, 3, venue.markTicks(call)));
    venue.must(venue.cross(3, 2, put, 3, venue.markTicks(put)));
    venue.must(venue.cross(2, 3, future, 7, 1_000_000));
    venue.timeMs = expiryMs;
    // 0.01 BTC and 0.0001 BTC lots: 100,000.000333 · lot does not divide.
    const settlementPrice = dollars(100_123.000333);
    const instruments = [future, call, put].map(instrument);
    const realisation = (
      number: number,
    ): { account: ReturnType<typeof account>; positionCount: number; instruments: typeof instruments } => ({
      account: account(number),
      positionCount: 3,
      instruments,
    });
    const before = [venue.cell(2).cash, venue.cell(3).cash];
    venue.must(
      venue.expiryOf({
        underlying: BTC,
        expiryMs: at(expiryMs),
        settlementPrice,
        instruments,
        realisations: [realisation(2)],
      }),
    );
    venue.must(
      venue.expiryOf({
        underlying: BTC,
        expiryMs: at(expiryMs),
        settlementPrice,
        instruments: [],
        realisations: [realisation(3)],
      }),
    );
    const perLot = [future, call, put].map((number) => venue.state.instrument(number)?.settlementPerLot);
    expect(perLot).toEqual([10_012_300, 1_230_003, 0]);
    const gained = 7 * 10_012_300 + 3 * 1_230_003;
    expect(venue.cell(2).cash - (before[0] ?? 0)).toBe(gained);
    expect(venue.cell(3).cash - (before[1] ?? 0)).toBe(-gained);
    for (const number of instruments) {
      expect(venue.state.instrument(number)).toMatchObject({ clearingCash: 0, clearingPosition: 0, status: 2 });
    }
  });

  test("a settled position counts at its settlement value until it is realised, and does not age", () => {
    venue.must(venue.cross(2, 3, future, 100, 1_000_000));
    venue.timeMs = expiryMs;
    const settlementPrice = dollars(110_000);
    venue.must(
      venue.expiryOf({
        underlying: BTC,
        expiryMs: at(expiryMs),
        settlementPrice,
        instruments: [instrument(future)],
        realisations: [],
      }),
    );
    venue.timeMs += 30 * 24 * HOUR_MS;
    const margin = marginOf(venue.state, 2, at(venue.timeMs));
    expect(margin).toMatchObject({ marksUsable: true, initial: 0n, equity: BigInt(100_000 * USDC + 100 * USDC) });
    const other = marginOf(venue.state, 3, at(venue.timeMs));
    expect(other?.equity).toBe(BigInt(100_000 * USDC - 100 * USDC));
  });
});

test("every rejection code of the table is named, and no code has two names", () => {
  const codes = [...Object.values(RejectionCode), ...Object.values(InboundOutcomeCode)];
  expect(new Set(codes).size).toBe(codes.length);
  for (const code of codes) expect(rejectionName(code)).toBeTruthy();
});
