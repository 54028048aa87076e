// A forced close that the ledger accepted trades like any order of its owner, unsigned; one that can't says why.
import { decodeCycle, InboundOutcomeCode, type TradeEntry } from "@tidemark/ledger";
import { beforeEach, expect, test } from "vitest";
import { CancelReason, type Command, Engine, EngineCode } from "../src/index.ts";
import { Recorder } from "./recorder.ts";
import {
  addressOf,
  CONFIG,
  inboundCommand,
  type OrderWish,
  START_MS,
  signatures,
  World,
  worldParameters,
} from "./world.ts";

const parameters = worldParameters({ receiptPeriodMs: 60_000 });
const INDEX = 100_000_000_000;
const MARK = 1_000_000;
const PERPETUAL = 0;
const [OWNER, OTHER] = [2, 3];
const HELD = 10;

const world = new World(parameters);
let engine: Engine;
let recorder: Recorder;

const apply = (command: Command): number => engine.apply(command, recorder).code;
const checkpoint = (): Command => ({ kind: "checkpoint", timeMs: engine.timeMs as Command["timeMs"] });
const order = (change: Partial<OrderWish> & { account: number; nonce: number; size: number }): Command =>
  world.place({
    owner: addressOf(change.account),
    instrument: PERPETUAL,
    price: MARK,
    timeMs: engine.timeMs,
    ...change,
  });

beforeEach(() => {
  engine = Engine.create({ parameters, signatures, config: { ...CONFIG, isOnTick: (_, price) => price % 10 === 0 } });
  recorder = new Recorder();
  for (const account of [OWNER, OTHER]) {
    const owner = addressOf(account);
    const amount = 1_000_000_000_000;
    const entries = [
      { type: "openAccount", account, owner },
      { type: "deposit", account, amount, payer: owner },
    ];
    expect(apply(inboundCommand(START_MS, entries))).toBe(0);
  }
  expect(apply(inboundCommand(START_MS, [{ type: "listSeries", underlying: 0, expiryMs: 0, strikes: [] }]))).toBe(0);
  expect(apply(world.report(START_MS, 0, INDEX, 0, []))).toBe(0);
  expect(apply(order({ account: OWNER, nonce: 1, size: HELD }))).toBe(0);
  expect(apply(order({ account: OTHER, nonce: 1, size: -HELD }))).toBe(0);
  expect(engine.position(OWNER, PERPETUAL)).toBe(HELD);
  recorder.drain();
});

/** Asked for on L1; the lines of what came of it, but for cycles. */
function force(size: number, limitPrice: number, nonce: number, ...behind: object[]): string[] {
  const entry = { type: "forcedClose", account: OWNER, instrument: PERPETUAL, size, limitPrice, nonce };
  expect(apply(inboundCommand(engine.timeMs, [entry, ...behind]))).toBe(0);
  return recorder.drain().filter((line) => !line.startsWith("cycle"));
}

function lastTrade(): TradeEntry[] {
  expect(apply(checkpoint())).toBe(0);
  const record = recorder.cycles.at(-1);
  const decoding = decodeCycle(record?.payload ?? new Uint8Array(), parameters.domain);
  if (!decoding.ok || decoding.cycle.kind !== "trade") throw new Error("no trade cycle");
  return decoding.cycle.accounts.flatMap(({ entries }) => entries);
}

test("it rests at its price, off the tick grid too, and settles unsigned in as many cycles as it takes", () => {
  const lines = force(-6, MARK + 1, 40);
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["inboundOutcome", "accepted"]);
  expect(engine.openOrders(OWNER)).toMatchObject([
    { openLots: 6, order: { nonce: 40, flags: 1, limitPrice: MARK + 1 } },
  ]);
  for (const [taker, left] of [
    [4, 2],
    [2, 0],
  ] as const) {
    expect(apply(order({ account: OTHER, nonce: 20 - taker, size: taker, price: MARK + 10 }))).toBe(0);
    const entries = lastTrade();
    const own = entries.find((entry) => entry.order.account === OWNER);
    expect(own).toMatchObject({ signature: null, filledLots: taker, cash: taker * (MARK + 1) * 10 });
    expect(entries.find((entry) => entry.order.account === OTHER)?.signature).not.toBeNull();
    expect(engine.openOrders(OWNER).map(({ openLots }) => openLots)).toEqual(left === 0 ? [] : [left]);
  }
  expect(engine.position(OWNER, PERPETUAL)).toBe(HELD - 6);
  expect(engine.ledger.ringSlot(OWNER, 40)).toMatchObject({ nonce: 40, filledLots: 6 });
});

test("it takes what the book offers at once", () => {
  expect(apply(order({ account: OTHER, nonce: 2, size: 20, price: MARK - 50 }))).toBe(0);
  force(-HELD, 1, 40);
  expect(engine.position(OWNER, PERPETUAL)).toBe(0);
  expect(lastTrade().find((entry) => entry.order.account === OWNER)).toMatchObject({
    signature: null,
    filledLots: HELD,
    cash: HELD * (MARK - 50) * 10,
  });
});

test("a snapshot keeps what nobody signed", () => {
  force(-6, MARK + 10, 40);
  expect(apply(checkpoint())).toBe(0);
  engine = Engine.restore(engine.snapshot(), { parameters, signatures, config: CONFIG });
  expect(apply(order({ account: OTHER, nonce: 9, size: 6, price: MARK + 10 }))).toBe(0);
  expect(lastTrade().find((entry) => entry.order.account === OWNER)?.signature).toBeNull();
});

test("it displaces a live order of its slot, whichever nonce is higher", () => {
  for (const [live, forced] of [
    [70_000, 70_000 + 65_536],
    [300_000, 300_000 - 65_536],
  ] as const) {
    expect(apply(order({ account: OWNER, nonce: live, size: 1, price: MARK - 500 }))).toBe(0);
    recorder.drain();
    const lines = force(-1, MARK + 500, forced);
    expect(lines.filter((line) => line.startsWith("cancelled"))[0]).toMatch(new RegExp(` ${CancelReason.nonceTaken}$`));
    expect(engine.openOrders(OWNER).map((open) => open.order.nonce)).toContain(forced);
    expect(apply(order({ account: OTHER, nonce: forced, size: 1, price: MARK + 500 }))).toBe(0);
    expect(apply(checkpoint())).toBe(0);
  }
});

test("what its owner does behind it in the queue counts", () => {
  const lines = force(-1, MARK + 10, 40, { type: "cancelAll", account: OWNER, minNonce: 41 });
  expect(lines.at(-1)).toBe(`rejected ${EngineCode.belowMinNonce} ${OWNER} 40`);
  expect(engine.openOrders(OWNER)).toEqual([]);
});

test("no price below one tick, and no old marks", () => {
  expect(force(-1, 0, 40).at(-1)).toBe(`rejected ${EngineCode.priceOutOfRange} ${OWNER} 40`);
  apply({ kind: "tick", timeMs: (START_MS + parameters.risk.markAgeMaxMs + 1) as Command["timeMs"] });
  recorder.drain();
  expect(force(-1, MARK, 41).at(-1)).toBe(`rejected ${EngineCode.marksUnusable} ${OWNER} 41`);
});

test("a forced close that never reaches the book uses its nonce all the same: the ledger's ring holds it", () => {
  let bids = 100;
  for (const nonce of [40, 65_536 + 41]) {
    expect(force(-1, 0, nonce).at(-1)).toBe(`rejected ${EngineCode.priceOutOfRange} ${OWNER} ${nonce}`);
    expect(engine.lastNonce(OWNER)).toBe(nonce);
    // It would fill, and the ledger would refuse the cycle: the slot is taken.
    for (const same of [nonce % 65_536, nonce]) {
      expect(apply(order({ account: OTHER, nonce: (bids += 1), size: 1, price: MARK + 100 }))).toBe(0);
      expect(apply(order({ account: OWNER, nonce: same, size: -1, price: MARK - 100 }))).toBe(
        EngineCode.nonceNotIncreasing,
      );
      expect(apply(checkpoint())).toBe(0);
    }
  }
  expect(apply(order({ account: OWNER, nonce: 65_536 + 42, size: -1, price: MARK - 100 }))).toBe(0);
  expect(apply(checkpoint())).toBe(0);
});

test("the ledger's refusals reach the sink and nothing else", () => {
  const { NOT_REDUCING, NONCE_UNUSABLE } = InboundOutcomeCode;
  const cursor = engine.ledger.globals.inboundCursor;
  expect(force(1, MARK, 40)).toEqual([`inboundOutcome ${cursor} ${NOT_REDUCING}`]);
  expect(force(-1, MARK, 1)).toEqual([`inboundOutcome ${cursor + 1} ${NONCE_UNUSABLE}`]);
  expect(engine.openOrders(OWNER)).toEqual([]);
});

test("an account that covers too little reduces with it as far as the book goes, and does not rest", () => {
  const size = 500_000;
  expect(apply(order({ account: OWNER, nonce: 2, size }))).toBe(0);
  expect(apply(order({ account: OTHER, nonce: 2, size: -size }))).toBe(0);
  // Down by 7%: below the requirement, above maintenance.
  const timeMs = START_MS + 1_000;
  expect(apply(world.report(timeMs, 0, INDEX * 0.93, 0, []))).toBe(0);
  const margin = engine.accountMargin(OWNER);
  expect(margin?.equity).toBeGreaterThan(margin?.maintenance ?? Infinity);
  expect(margin?.equity).toBeLessThan(margin?.initial ?? 0);
  expect(apply(order({ account: OTHER, nonce: 3, size: 1_000, price: 0.93 * MARK }))).toBe(0);
  recorder.drain();
  const lines = force(-300_000, 0.9 * MARK, 50);
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["inboundOutcome", "accepted", "fill", "cancelled"]);
  expect(lines.at(-1)).toMatch(new RegExp(` 299000 ${CancelReason.immediateRemainder}$`));
  expect(engine.position(OWNER, PERPETUAL)).toBe(HELD + size - 1_000);
  expect(engine.openOrders(OWNER)).toEqual([]);
  expect(lastTrade()).toHaveLength(2);
});
