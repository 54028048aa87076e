// Every rejection code by a case of its own, and their precedence: one order with every fault, mended fault by fault.
import { beforeEach, describe, expect, test } from "vitest";
import { type Command, Engine, EngineCode, silentSink } from "../src/index.ts";
import {
  addressOf,
  CONFIG,
  DAY_MS,
  inboundCommand,
  type OrderWish,
  START_MS,
  signatures,
  surfaceOf,
  World,
  worldParameters,
} from "./world.ts";

const parameters = worldParameters({ receiptPeriodMs: 60_000 });
const INDEX = 100_000_000_000;
const EXPIRY_MS = START_MS + 20 * DAY_MS;
const PERPETUAL = 0;
const FUTURE = 1;
const CALL = 2;
const MARK = 1_000_000;
const [MAKER, TAKER, POOR, SIBLING] = [2, 3, 4, 5];

const world = new World(parameters);
let engine: Engine;
let nonce = 0;

function apply(command: Command): number {
  return engine.apply(command, silentSink).code;
}

function order(change: Partial<OrderWish> & { replaces?: number } = {}): Command {
  nonce += 1;
  const account = change.account ?? MAKER;
  const owner = addressOf(account === SIBLING ? TAKER : account);
  const wish = {
    account,
    owner,
    instrument: PERPETUAL,
    size: 10,
    price: MARK,
    nonce,
    timeMs: engine.timeMs,
    ...change,
  };
  return change.replaces === undefined ? world.place(wish) : world.amend({ ...wish, replaces: change.replaces });
}

function report(timeMs: number): Command {
  const windowMs = parameters.risk.averagingWindowMs;
  return world.report(timeMs, 0, INDEX, 0, [surfaceOf(EXPIRY_MS, INDEX, timeMs, windowMs)]);
}

beforeEach(() => {
  nonce = 0;
  engine = Engine.create({ parameters, signatures, config: { ...CONFIG, isOnTick: (_, price) => price % 10 === 0 } });
  for (const account of [MAKER, TAKER, POOR, SIBLING]) {
    const owner = addressOf(account === SIBLING ? TAKER : account);
    const amount = account === POOR ? 10_000_000 : 1_000_000_000_000;
    const entries = [
      { type: "openAccount", account, owner },
      { type: "deposit", account, amount, payer: owner },
    ];
    expect(apply(inboundCommand(START_MS, entries))).toBe(0);
  }
  const series = { type: "listSeries", underlying: 0, expiryMs: EXPIRY_MS, strikes: [INDEX] };
  expect(
    apply(inboundCommand(START_MS, [{ type: "listSeries", underlying: 0, expiryMs: 0, strikes: [] }, series])),
  ).toBe(0);
  expect(apply(report(START_MS))).toBe(0);
});

describe("orders", () => {
  const simple: [keyof typeof EngineCode, Partial<OrderWish>][] = [
    ["wrongDomain", { change: { domain: 9 } }],
    ["unknownAccount", { account: 77 }],
    ["unknownAccount", { account: 0 }],
    ["unknownAccount", { account: 1 }],
    ["notAuthorised", { signer: addressOf(TAKER) }],
    ["legsUnsupported", { change: { legs: [] } }],
    ["unknownInstrument", { instrument: 4_000 }],
    ["orderTypeInvalid", { change: { flags: 2 } }],
    ["orderTypeInvalid", { type: "market", timeInForce: "gtc" }],
    ["orderTypeInvalid", { postOnly: true, timeInForce: "ioc" }],
    ["sizeOutOfRange", { size: 0 }],
    ["priceOutOfRange", { price: 0 }],
    ["priceNotOnTick", { price: MARK + 1 }],
    ["notStarted", { startMs: START_MS + 1 }],
    ["expired", { expiryMs: START_MS }],
    ["lifetime", { expiryMs: START_MS + 30 * DAY_MS + 1 }],
    ["feeAboveMaximum", { maxFeePerLot: 0 }],
    ["reduceOnly", { reduceOnly: true }],
    ["fillOrKill", { timeInForce: "fok" }],
    ["bounds", { size: 2 ** 31 - 1 }],
    ["marginInsufficient", { account: POOR, size: 1_000 }],
    ["marginInsufficient", { account: POOR, size: 1_000, timeInForce: "ioc" }],
  ];
  test.each(simple)("%s %o", (name, change) => {
    expect(apply(order(change))).toBe(EngineCode[name]);
    expect(apply(order())).toBe(EngineCode.ok);
  });

  test("timeNotMonotonic", () => {
    expect(apply({ kind: "tick", timeMs: (START_MS - 1) as Command["timeMs"] })).toBe(EngineCode.timeNotMonotonic);
  });

  test("instrumentNotTradable from the expiry on, before and after the settlement", () => {
    for (let timeMs = START_MS + 60_000; timeMs < START_MS + 120_000; timeMs += 60_000)
      expect(apply(report(timeMs))).toBe(0);
    apply({ kind: "tick", timeMs: EXPIRY_MS as Command["timeMs"] });
    expect(apply(order({ instrument: CALL, price: 1_000 }))).toBe(EngineCode.instrumentNotTradable);
    expect(apply(world.settle(EXPIRY_MS, 0, EXPIRY_MS, INDEX))).toBe(0);
    expect(apply(order({ instrument: FUTURE }))).toBe(EngineCode.instrumentNotTradable);
  });

  test("nonces: belowMinNonce, nonceNotIncreasing, nonceSlotBusy while live, while waiting and under receipts", () => {
    expect(apply(inboundCommand(START_MS, [{ type: "cancelAll", account: MAKER, minNonce: 5 }]))).toBe(0);
    expect(apply(order({ nonce: 4 }))).toBe(EngineCode.belowMinNonce);
    expect(apply(order({ nonce: 5 }))).toBe(EngineCode.ok);
    expect(apply(order({ nonce: 5 }))).toBe(EngineCode.nonceNotIncreasing);
    expect(apply(order({ nonce: 5 + 65_536 }))).toBe(EngineCode.nonceSlotBusy);
    expect(apply(order({ account: TAKER, size: -10 }))).toBe(EngineCode.ok);
    expect(apply(order({ nonce: 5 + 65_536 })), "filled, cycle open").toBe(EngineCode.nonceSlotBusy);
    apply({ kind: "checkpoint", timeMs: START_MS as Command["timeMs"] });
    expect(apply(order({ nonce: 5 + 65_536 })), "under receipts").toBe(EngineCode.nonceSlotBusy);
    apply({ kind: "tick", timeMs: (START_MS + 60_001) as Command["timeMs"] });
    expect(apply(order({ nonce: 5 + 65_536 }))).toBe(EngineCode.ok);
  });

  test("marksUnusable when the rows are too old", () => {
    apply({ kind: "tick", timeMs: (START_MS + parameters.risk.markAgeMaxMs) as Command["timeMs"] });
    expect(apply(order())).toBe(EngineCode.ok);
    apply({ kind: "tick", timeMs: (START_MS + parameters.risk.markAgeMaxMs + 1) as Command["timeMs"] });
    expect(apply(order())).toBe(EngineCode.marksUnusable);
  });

  test("postOnlyWouldCross", () => {
    expect(apply(order({ account: TAKER, size: -10 }))).toBe(EngineCode.ok);
    expect(apply(order({ postOnly: true }))).toBe(EngineCode.postOnlyWouldCross);
    expect(apply(order({ postOnly: true, price: MARK - 10 }))).toBe(EngineCode.ok);
  });

  test("positionsFull at 128 instruments, a hundred times", () => {
    const strikes = Array.from({ length: 64 }, (_, i) => INDEX + (i + 1) * 1_000_000);
    expect(
      apply(inboundCommand(START_MS, [{ type: "listSeries", underlying: 0, expiryMs: EXPIRY_MS - DAY_MS, strikes }])),
    ).toBe(0);
    const surfaces = [EXPIRY_MS - DAY_MS, EXPIRY_MS].map((expiryMs) => surfaceOf(expiryMs, INDEX, START_MS, 0));
    expect(apply(world.report(START_MS + 1, 0, INDEX, 0, surfaces))).toBe(0);
    for (let instrument = 4; instrument < 4 + 128; instrument++) {
      expect(apply(order({ instrument, size: 1, price: 10, postOnly: true })), `instrument ${instrument}`).toBe(
        EngineCode.ok,
      );
    }
    for (let i = 0; i < 100; i++)
      expect(apply(order({ instrument: CALL, size: 1, price: 10 }))).toBe(EngineCode.positionsFull);
    expect(apply(order({ instrument: 5, size: 1, price: 10 }))).toBe(EngineCode.ok);
  });

  test("precedence: mending the first fault shows the next", () => {
    const timeMs = START_MS + parameters.risk.markAgeMaxMs + 1;
    apply({ kind: "tick", timeMs: timeMs as Command["timeMs"] });
    const faults: [keyof typeof EngineCode, Partial<OrderWish>][] = [
      ["unknownAccount", { account: POOR }],
      ["notAuthorised", { signer: addressOf(POOR) }],
      ["unknownInstrument", { instrument: PERPETUAL }],
      ["orderTypeInvalid", { postOnly: false }],
      ["sizeOutOfRange", { size: 2 ** 31 - 1 }],
      ["priceOutOfRange", { price: MARK + 1 }],
      ["priceNotOnTick", { price: MARK }],
      ["notStarted", { startMs: timeMs }],
      ["expired", { expiryMs: timeMs + 31 * DAY_MS }],
      ["lifetime", { expiryMs: timeMs + DAY_MS }],
      ["nonceNotIncreasing", { nonce: 100 }],
      ["feeAboveMaximum", { maxFeePerLot: 2 ** 39 }],
    ];
    expect(apply(order({ account: POOR, nonce: 50, size: 1, timeMs })), "marks").toBe(EngineCode.marksUnusable);
    expect(apply(report(timeMs))).toBe(0);
    expect(apply(order({ account: POOR, nonce: 50, size: 1, timeMs }))).toBe(EngineCode.ok);
    let wish: Partial<OrderWish> = {
      account: 77,
      signer: addressOf(9),
      instrument: 9_999,
      postOnly: true,
      timeInForce: "fok",
      reduceOnly: true,
      size: 0,
      price: 0,
      startMs: timeMs + 9,
      expiryMs: timeMs,
      nonce: 50,
      maxFeePerLot: 0,
      timeMs,
    };
    for (const [name, mended] of faults) {
      expect(apply(order(wish)), name).toBe(EngineCode[name]);
      wish = { ...wish, ...mended };
    }
    const rest: [keyof typeof EngineCode, Partial<OrderWish>][] = [
      ["reduceOnly", { reduceOnly: false }],
      ["fillOrKill", { timeInForce: "gtc" }],
      ["bounds", { size: 1_000 }],
      ["marginInsufficient", { size: 1 }],
    ];
    for (const [name, mended] of rest) {
      expect(apply(order(wish)), name).toBe(EngineCode[name]);
      wish = { ...wish, ...mended };
    }
    expect(apply(order(wish))).toBe(EngineCode.ok);
  });
});

describe("amend, cancel, withdraw", () => {
  test("unknownOrder, amendMismatch, amendBelowFilled; a refused amendment leaves the old order", () => {
    expect(apply(order({ nonce: 1 }))).toBe(EngineCode.ok);
    expect(apply(order({ nonce: 2, replaces: 9 }))).toBe(EngineCode.unknownOrder);
    expect(apply(order({ nonce: 2, replaces: 1, size: -10 }))).toBe(EngineCode.amendMismatch);
    expect(apply(order({ nonce: 2, replaces: 1, instrument: FUTURE }))).toBe(EngineCode.amendMismatch);
    expect(apply(order({ account: TAKER, size: -4 }))).toBe(EngineCode.ok);
    expect(apply(order({ nonce: 20, replaces: 1, size: 4 }))).toBe(EngineCode.amendBelowFilled);
    expect(apply(order({ nonce: 20, replaces: 1, size: 2 ** 31 - 1 }))).toBe(EngineCode.bounds);
    expect(engine.openOrders(MAKER).map(({ order: { nonce: live }, openLots }) => [live, openLots])).toEqual([[1, 6]]);
    expect(apply(order({ nonce: 20, replaces: 1, size: 7 }))).toBe(EngineCode.ok);
    expect(engine.openOrders(MAKER).map(({ order: { nonce: live }, openLots }) => [live, openLots])).toEqual([[20, 3]]);
  });

  test("priority: kept by an amendment to fewer lots at the price, lost otherwise", () => {
    expect(apply(order({ nonce: 1 }))).toBe(EngineCode.ok);
    expect(apply(order({ account: POOR, nonce: 1, size: 1 }))).toBe(EngineCode.ok);
    expect(apply(order({ nonce: 2, replaces: 1, size: 5 }))).toBe(EngineCode.ok);
    expect(apply(order({ account: TAKER, nonce: 3, size: -5, timeInForce: "ioc" }))).toBe(EngineCode.ok);
    expect(engine.position(MAKER, PERPETUAL)).toBe(5);
    expect(engine.position(POOR, PERPETUAL)).toBe(0);
  });

  test("cancel: unknownAccount, notAuthorised, unknownOrder", () => {
    const timeMs = START_MS as Command["timeMs"];
    expect(apply(order({ nonce: 1 }))).toBe(EngineCode.ok);
    const cancel = (account: number, of: number, signer: number): Command =>
      ({ kind: "cancel", timeMs, account, nonce: of, signer: addressOf(signer) }) as Command;
    expect(apply(cancel(99, 1, MAKER))).toBe(EngineCode.unknownAccount);
    expect(apply(cancel(MAKER, 1, TAKER))).toBe(EngineCode.notAuthorised);
    expect(apply(cancel(MAKER, 2, MAKER))).toBe(EngineCode.unknownOrder);
    expect(apply(cancel(MAKER, 1, MAKER))).toBe(EngineCode.ok);
    expect(apply({ kind: "cancelAll", timeMs, account: MAKER, signer: addressOf(TAKER) } as Command)).toBe(
      EngineCode.notAuthorised,
    );
  });

  test("withdraw: open orders reserve their cover; the ledger's own codes come through", () => {
    expect(apply(order({ nonce: 1, size: 100_000 }))).toBe(EngineCode.ok);
    const all = { account: MAKER, amount: 1_000_000_000_000 };
    expect(apply(world.withdraw(START_MS, addressOf(MAKER), { ...all, nonce: 1 }))).toBe(EngineCode.nonceNotIncreasing);
    expect(apply(world.withdraw(START_MS, addressOf(MAKER), { ...all, nonce: 2 }))).toBe(EngineCode.reservedByOrders);
    expect(apply(world.withdraw(START_MS, addressOf(TAKER), { account: MAKER, amount: 1, nonce: 2 }))).toBe(1006);
    expect(apply(world.withdraw(START_MS, addressOf(MAKER), { account: MAKER, amount: 1, nonce: 2 }))).toBe(
      EngineCode.ok,
    );
  });

  test("no owner trades with himself: the taker's rest is cancelled", () => {
    expect(apply(order({ account: SIBLING, nonce: 1 }))).toBe(EngineCode.ok);
    const { filledLots, openLots, ok } = engine.apply(order({ account: TAKER, nonce: 1, size: -10 }), silentSink);
    expect([ok, filledLots, openLots]).toEqual([true, 0, 0]);
    expect(engine.openOrders(SIBLING)).toHaveLength(1);
  });

  test("accomplices at an off-market price: the account that would be emptied may not sell below its cover", () => {
    expect(apply(order({ account: POOR, nonce: 1, size: 1 }))).toBe(EngineCode.ok);
    expect(apply(order({ account: MAKER, nonce: 1, size: -1 }))).toBe(EngineCode.ok);
    expect(apply(order({ account: MAKER, nonce: 2, size: 1_000, price: 10 }))).toBe(EngineCode.ok);
    // A sale of 100 at a ten-thousandth of the mark would hand over more than the account owns.
    expect(apply(order({ account: POOR, nonce: 2, size: -100, price: 10, timeInForce: "ioc" }))).toBe(
      EngineCode.marginInsufficient,
    );
    expect(apply(order({ account: POOR, nonce: 2, size: -100, price: 10 }))).toBe(EngineCode.marginInsufficient);
    expect(engine.position(POOR, PERPETUAL)).toBe(1);
  });
});
