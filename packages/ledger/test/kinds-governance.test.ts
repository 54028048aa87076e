// Named cases of credit, admin and the forced entries.
import { beforeEach, describe, expect, test } from "vitest";
import {
  type Cycle,
  changedParameters,
  deserialiseState,
  encodeParameterChange,
  forcedCloseOrder,
  type InboundEntry,
  InboundOutcomeCode,
  isChangeOf,
  marginOf,
  type ParameterChangeItem,
  parameterProblems,
  parametersHash,
  RejectionCode,
  rejectionName,
  SCALAR_RANGES,
  serialiseState,
  ZERO_HASH,
} from "../src/index.ts";
import {
  ADMIN_DELAY_MS,
  account,
  at,
  BTC,
  dollars,
  factoryParameters,
  instrument,
  micro,
  oracleKey,
  ownerKey,
  USDC,
  Venue,
} from "./factory.ts";
import { keyOf } from "./keys.ts";
import { auctionOf, creditOf, grantOf } from "./waterfall.ts";

let venue: Venue;
let perpetual: number;

beforeEach(() => {
  venue = new Venue({ risk: { auctionDurationMs: 60_000, creditPoolFactorPpb: 500_000_000 } });
  for (const number of [2, 3, 4]) venue.fund(number, 10_000 * USDC);
  perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
});

const codeOf = (cycle: Cycle): string => {
  const verdict = venue.apply(cycle);
  return verdict.ok ? "accepted" : (rejectionName(verdict.rejection.code) ?? "");
};
const outcomeOf = (...entries: InboundEntry[]): number[] =>
  venue.must(venue.inbound(...entries)).outcomes.map(({ code }) => code);
const deposit = (to: number, amount: number): InboundEntry => ({
  type: "deposit",
  account: account(to),
  amount: micro(amount),
  payer: ownerKey(9).address,
});

describe("credit", () => {
  beforeEach(() => void outcomeOf(deposit(1, 1_000 * USDC)));

  test("up to half of the insurance, less the bad debt that it owes", () => {
    expect(codeOf(grantOf(venue, 2, 500 * USDC + 1))).toBe("CREDIT_POOL_LIMIT");
    expect(codeOf(grantOf(venue, 2, 300 * USDC))).toBe("accepted");
    expect(codeOf(grantOf(venue, 3, 200 * USDC + 1))).toBe("CREDIT_POOL_LIMIT");
    const draft = venue.state.begin();
    draft.editAccount(4).cash = micro(-400 * USDC);
    draft.editAccount(3).cash = micro(venue.cell(3).cash + 10_400 * USDC);
    draft.commit();
    // Half of 600 is taken by account 2.
    expect(codeOf(grantOf(venue, 3, 1))).toBe("CREDIT_POOL_LIMIT");
    expect(venue.state.globals.creditTotal).toBe(300 * USDC);
  });

  test("the deposit that it was granted for clears it, and no other does", () => {
    const index = venue.state.globals.inboundCursor + 1;
    venue.must(grantOf(venue, 2, 100 * USDC, index));
    expect(outcomeOf(deposit(2, 100 * USDC))).toEqual([0]);
    expect(venue.cell(2)).toMatchObject({ credit: 100 * USDC, creditIndex: index });
    expect(codeOf(creditOf(venue, "settle", 2))).toBe("CREDIT_NOT_CONSUMED");
    expect(outcomeOf(deposit(2, 100 * USDC))).toEqual([0]);
    expect(venue.cell(2)).toMatchObject({ credit: 0, creditIndex: 0 });
    expect(venue.state.globals.creditTotal).toBe(0);
    // The entry at that place was another account's: settled by hand.
    venue.must(grantOf(venue, 2, 100 * USDC));
    outcomeOf(deposit(3, 1));
    expect(venue.cell(2).credit).toBe(100 * USDC);
    expect(codeOf(creditOf(venue, "settle", 2))).toBe("accepted");
    expect(codeOf(creditOf(venue, "revoke", 2))).toBe("CREDIT_NONE");
  });

  test("it covers requirement until it is revoked", () => {
    const free = Number(marginOf(venue.state, 2, at(venue.timeMs))?.equity) - 10_000 * USDC;
    expect(free).toBe(0);
    // 10,000 USDC carry 6,172 lots at 16.2%; 300 more carry 185 more.
    const cross = (): Cycle => venue.cross(2, 3, perpetual, 6_300, 1_000_000);
    venue.must(venue.inbound(deposit(3, 10_000 * USDC)));
    expect(codeOf(cross())).toBe("TRADE_MARGIN");
    venue.must(grantOf(venue, 2, 300 * USDC));
    expect(codeOf(cross())).toBe("accepted");
    expect(codeOf(creditOf(venue, "revoke", 2))).toBe("accepted");
  });

  test("a venue cannot block a forced withdrawal by granting credit", () => {
    venue.must(grantOf(venue, 2, 1));
    expect(codeOf(venue.withdrawal({ account: 2, amount: 1 }))).toBe("OUTBOUND_CREDIT_OUTSTANDING");
    const recipient = ownerKey(2).address;
    const entry: InboundEntry = { type: "forcedWithdrawal", account: account(2), amount: micro(USDC), recipient };
    expect(outcomeOf(entry)).toEqual([InboundOutcomeCode.DONE]);
    expect(venue.cell(2)).toMatchObject({ credit: 0, creditIndex: 0, cash: 9_999 * USDC });
  });
});

describe("admin", () => {
  const queue = (items: ParameterChangeItem[]): `0x${string}` => {
    const change = encodeParameterChange(items);
    expect(outcomeOf({ type: "adminChange", change })).toEqual([InboundOutcomeCode.DONE]);
    return change;
  };
  const admin = (change: `0x${string}`): Cycle => ({ kind: "admin", timeMs: at(venue.timeMs), change });

  test("a change waits its delay, then every later cycle is judged by it", () => {
    const change = queue([
      { field: "creditAccountMaxMicroUsdc", value: 5 },
      { field: "oracle", index: 1, key: keyOf("new oracle").address },
      { field: "oracleQuorum", value: 1 },
    ]);
    venue.advance(ADMIN_DELAY_MS - 1);
    expect(codeOf(admin(change))).toBe("ADMIN_TOO_EARLY");
    venue.advance(1);
    expect(codeOf(admin(`${change}00`))).toBe("ADMIN_OTHER_CHANGE");
    const before = venue.parameters;
    expect(codeOf(admin(change))).toBe("accepted");
    const { parametersHash: hash, adminHash, adminMs } = venue.state.globals;
    expect({ hash, adminHash, adminMs }).toEqual({
      hash: parametersHash(venue.parameters),
      adminHash: ZERO_HASH,
      adminMs: 0,
    });
    expect(venue.parameters).toEqual({
      ...before,
      oracleQuorum: 1,
      oracles: [before.oracles[0], keyOf("new oracle").address, before.oracles[2]],
      risk: { ...before.risk, creditAccountMaxMicroUsdc: 5 },
    });
    expect(codeOf(admin(change))).toBe("ADMIN_NOTHING_PENDING");
    expect(codeOf(grantOf(venue, 2, 6))).toBe("CREDIT_ACCOUNT_LIMIT");
    // One signature is enough now, and the old key's is worth nothing.
    venue.advance(1_000);
    const report = venue.reportOf(BTC, { index: dollars(100_000) });
    expect(oracleKey(1).address).not.toBe(venue.parameters.oracles[1]);
    expect(codeOf(venue.resigned(report, [1]))).toBe("REPORT_BAD_QUORUM");
    expect(codeOf(venue.resigned(report, [0]))).toBe("accepted");
  });

  test("a later change replaces one that waits, and waits again", () => {
    const first = queue([{ field: "makerFeePpb", value: 1 }]);
    venue.advance(ADMIN_DELAY_MS);
    const second = queue([{ field: "makerFeePpb", value: 2 }]);
    expect(codeOf(admin(first))).toBe("ADMIN_OTHER_CHANGE");
    expect(codeOf(admin(second))).toBe("ADMIN_TOO_EARLY");
    venue.advance(ADMIN_DELAY_MS);
    expect(codeOf(admin(second))).toBe("accepted");
  });

  test("a change that is rolled back is undone in the set too", () => {
    const change = queue([{ field: "makerFeePpb", value: 7 }]);
    venue.advance(ADMIN_DELAY_MS);
    const before = { set: venue.parameters, root: venue.state.root() };
    venue.state.mark();
    venue.must(admin(change));
    expect(venue.parameters.risk.makerFeePpb).toBe(7);
    expect(venue.state.rollBack()).toBe(before.root);
    expect(venue.parameters).toEqual(before.set);
    expect(codeOf(admin(change))).toBe("accepted");
  });

  test("a snapshot carries the changed set, and only sets that changes can make of the genesis are read", () => {
    const genesis = venue.parameters;
    const change = queue([{ field: "makerFeePpb", value: 7 }]);
    venue.advance(ADMIN_DELAY_MS);
    venue.must({ kind: "admin", timeMs: at(venue.timeMs), change });
    const restored = deserialiseState(serialiseState(venue.state), genesis);
    expect(restored.parameters).toEqual(venue.parameters);
    expect(restored.root()).toBe(venue.state.root());
    expect(() => deserialiseState(serialiseState(venue.state), { ...genesis, receiptPeriodMs: 1 })).toThrow(
      "another parameter set",
    );
    expect(isChangeOf(genesis, { ...venue.parameters, adminDelayMs: 1 })).toBe(false);
    expect(isChangeOf(genesis, { ...venue.parameters, oracles: genesis.oracles.slice(0, 2) })).toBe(false);
  });

  test("every scalar can change, within its range, and never to a set that is not valid", () => {
    const genesis = factoryParameters();
    for (const [field, low, high] of SCALAR_RANGES) {
      for (const value of [low, high, low - 1, high + 1]) {
        const bytes = Uint8Array.from(Buffer.from(encodeParameterChange([{ field, value }]).slice(2), "hex"));
        const expected = { ...genesis, risk: { ...genesis.risk, [field]: value } };
        const changed = changedParameters(genesis, bytes);
        const isValid = parameterProblems(expected).length === 0;
        expect(changed, `${field} ${value}`).toEqual(isValid ? expected : null);
        if (value < low || value > high) expect(isValid).toBe(false);
      }
    }
  });

  test("bytes that are no change", () => {
    const genesis = factoryParameters();
    const of = (...bytes: number[]): unknown => changedParameters(genesis, Uint8Array.from(bytes));
    const oracle = [0, 1, ...new Array<number>(19).fill(0), 9];
    expect(of(1, ...oracle)).not.toBeNull();
    expect(of()).toBeNull();
    expect(of(0)).toBeNull();
    expect(of(2, ...oracle)).toBeNull();
    expect(of(1, ...oracle, 0)).toBeNull();
    expect(of(1, 0, 3, ...oracle.slice(2))).toBeNull();
    expect(of(1, ...oracle.slice(0, 2), ...new Array<number>(20).fill(0))).toBeNull();
    expect(of(2, ...oracle, 0, 2, ...oracle.slice(2))).toBeNull();
    expect(of(1, 1, 0)).toBeNull();
    expect(of(1, 1, 4)).toBeNull();
    expect(of(1, 1, 3)).not.toBeNull();
    expect(of(1, 2, 0, 0, 0, 0, 0, 0, 0, 0)).toBeNull();
    expect(of(1, 16 + SCALAR_RANGES.length, 1, 0, 0, 0, 0, 0, 0, 0)).toBeNull();
    expect(of(1, 16, 1, 0, 0, 0, 0, 0, 0, 0)).not.toBeNull();
    expect(of(1, 16, 255, 255, 255, 255, 255, 255, 255, 127)).toBeNull();
  });
});

describe("forced close", () => {
  const close = (size: number, limitPrice: number, nonce: number): InboundEntry & { type: "forcedClose" } => ({
    type: "forcedClose",
    account: account(2),
    instrument: instrument(perpetual),
    size: size as never,
    limitPrice: limitPrice as never,
    nonce: nonce as never,
  });
  beforeEach(() => void venue.must(venue.cross(2, 3, perpetual, 10, 1_000_000)));

  const fill = (entry: ReturnType<typeof close>, madeMs: number, lots: number): Cycle => {
    const order = forcedCloseOrder(entry, venue.parameters.domain, at(madeMs));
    const cash = micro(lots * order.limitPrice * 10);
    const other = venue.entry({ account: 3, instrument: perpetual, size: lots, price: order.limitPrice });
    return venue.tradeOf([{ order, signature: null, filledLots: lots, cash, fee: micro(0) }, other]);
  };

  test("its order is filled without a signature, as far as it reduces, for a day", () => {
    const entry = close(-6, 999_000, 70_000);
    const madeMs = venue.timeMs;
    expect(outcomeOf(entry)).toEqual([InboundOutcomeCode.DONE]);
    expect(venue.state.ringSlot(2, 70_000)).toMatchObject({ nonce: 70_000, filledLots: 0, filledCash: 0 });
    venue.advance(1_000);
    expect(codeOf(fill(close(-6, 998_999, 70_000), madeMs, 1))).toBe("TRADE_RING_SLOT");
    expect(codeOf(fill(entry, madeMs, 4))).toBe("accepted");
    expect(codeOf(fill(entry, madeMs, 3))).toBe("TRADE_OVERFILLED");
    expect(codeOf(fill(entry, madeMs, 2))).toBe("accepted");
    expect(venue.size(2, perpetual)).toBe(4);
    venue.advance(24 * 3_600_000 - 1_000);
    expect(codeOf(fill(entry, madeMs, 1))).toBe("TRADE_EXPIRED");
  });

  test("only what reduces, trades and has a free nonce", () => {
    const { DONE, NOT_REDUCING, NOT_TRADABLE, NONCE_UNUSABLE, UNKNOWN_ACCOUNT } = InboundOutcomeCode;
    expect(outcomeOf(close(1, 1, 1), close(-11, 1, 1), close(0, 1, 1), close(-(2 ** 31), 1, 1))).toEqual([
      NOT_REDUCING,
      NOT_REDUCING,
      NOT_REDUCING,
      NOT_REDUCING,
    ]);
    expect(outcomeOf({ ...close(-1, 1, 1), instrument: instrument(99) }, close(-1, -(2 ** 31), 1))).toEqual([
      NOT_TRADABLE,
      NOT_TRADABLE,
    ]);
    expect(outcomeOf({ ...close(-1, 1, 1), account: account(1) })).toEqual([UNKNOWN_ACCOUNT]);
    expect(outcomeOf(close(-1, 5, 80_000), close(-1, 5, 80_000), close(-2, 5, 80_000 - 65_536))).toEqual([
      DONE,
      NONCE_UNUSABLE,
      NONCE_UNUSABLE,
    ]);
    outcomeOf({ type: "cancelAll", account: account(2), minNonce: 90_000 as never });
    expect(outcomeOf(close(-1, 5, 89_999), close(-1, 5, 90_000))).toEqual([NONCE_UNUSABLE, DONE]);
    expect(codeOf(fill(close(-1, 5, 80_000), venue.timeMs, 1))).toBe("TRADE_BELOW_MIN_NONCE");
  });
});

describe("forced liquidation", () => {
  const entry: InboundEntry = { type: "forcedLiquidation", account: account(2) };

  test("anyone starts the auction of an account below maintenance, and ends that of a healthy one", () => {
    const { DONE, HEALTHY, AUCTION_RUNNING, NO_POSITIONS, MARKS_UNUSABLE } = InboundOutcomeCode;
    expect(outcomeOf(entry)).toEqual([NO_POSITIONS]);
    venue.must(venue.cross(2, 3, perpetual, 5_000, 1_000_000));
    expect(outcomeOf(entry)).toEqual([HEALTHY]);
    venue.advance(1_000);
    venue.mark(BTC, { index: dollars(90_000) });
    expect(outcomeOf(entry)).toEqual([DONE]);
    expect(venue.cell(2).auctionMs).toBe(venue.timeMs);
    expect(outcomeOf(entry)).toEqual([AUCTION_RUNNING]);
    outcomeOf(deposit(2, 20_000 * USDC));
    expect(outcomeOf(entry)).toEqual([HEALTHY]);
    expect(venue.cell(2).auctionMs).toBe(0);
    expect(codeOf(auctionOf(venue, "end", 2))).toBe("AUCTION_NOT_RUNNING");
    venue.advance(1_000);
    venue.must(venue.reportOf(BTC, { index: dollars(90_000) }));
    expect(outcomeOf(entry)).toEqual([MARKS_UNUSABLE]);
    expect(RejectionCode.AUCTION_NOT_RUNNING).toBe(1303);
  });
});
