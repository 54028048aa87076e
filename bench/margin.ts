// The margin decision of one order with all open orders: the engine's scalar bound, which accepts most orders, and its
// incremental check of every scenario, which alone refuses, against the same figure computed from every position and every
// open order. All run over the same accounts, rounds alternate. docs/performance.md has the figures of a run.

import { Accounts, Instruments, Margin } from "@tidemark/engine";
import { type InstrumentCell, InstrumentKind, ROW_LENGTH, SCENARIO_COUNT, UNDERLYINGS_MAX } from "@tidemark/ledger";
import { type BenchRow, median } from "./rows.ts";

const INSTRUMENTS = 800;
const POSITIONS = 100;
const OPEN_ORDERS = 100;
const ROUNDS = 7;
const CHECKS = 200_000;
const RECOMPUTES = 4_000;
const TICK_VALUE = 1_000;

interface OpenOrder {
  record: number;
  side: number;
  price: number;
  lots: number;
}

/** Deterministic, so that two runs measure the same accounts. */
function scramble(value: number): number {
  const h = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

function cellOf(number: number): InstrumentCell {
  const mark = 100_000 + (scramble(number) % 900_000);
  const row = Array.from({ length: ROW_LENGTH }, (_, s) =>
    s < SCENARIO_COUNT ? mark + ((scramble(number * 64 + s) % 60_000) - 30_000) * (s === 0 ? 0 : 1) : 0,
  );
  return {
    kind: InstrumentKind.call,
    underlying: number % UNDERLYINGS_MAX,
    status: 1,
    expiryMs: 2 ** 45,
    tickValueMicroUsdc: TICK_VALUE,
    fundingIndex: 0,
    rowEpoch: 1,
    rowTimeMs: 1,
    row,
    shortAddOn: 500,
    longAddOn: 0,
    concentrationAddOn: 100,
    feePerLot: 300,
  } as unknown as InstrumentCell;
}

function build(accountCount: number): { margin: Margin; accounts: Accounts; orders: OpenOrder[][] } {
  const instruments = new Instruments({ makerPpb: 1, takerPpb: 3, optionPriceDivisor: 8 }, 60_000, () => 10_000);
  for (let number = 0; number < INSTRUMENTS; number++) instruments.load(number, cellOf(number));
  const accounts = new Accounts(instruments);
  const margin = new Margin(accounts, instruments, SCENARIO_COUNT);
  const orders: OpenOrder[][] = [];
  for (let account = 0; account < accountCount; account++) {
    accounts.load(account, {
      owner: `0x${account}`,
      delegates: [],
      cash: 10 ** 12,
      credit: 0,
      minNonce: 0,
      liquidationMs: 0,
    } as never);
    for (let i = 0; i < POSITIONS; i++) {
      margin.loadPosition(account, (account + i * 7) % INSTRUMENTS, (scramble(account * 128 + i) % 40) - 20 || 1, 0);
    }
    orders.push([]);
    margin.recompute(account, () => undefined);
    for (let i = 0; i < OPEN_ORDERS; i++) {
      const side = i % 2 === 0 ? 1 : -1;
      const record = accounts.position(account, (account + i * 7) % INSTRUMENTS);
      const order = { record, side, price: 100 + (scramble(i) % 900), lots: 1 + (i % 9) };
      margin.addOrder(order.record, order.side, order.price, order.lots);
      orders[account]?.push(order);
    }
  }
  return { margin, accounts, orders };
}

function nanosecondsEach(times: number, work: (i: number) => void): number {
  const from = process.hrtime.bigint();
  for (let i = 0; i < times; i++) work(i);
  return Number(process.hrtime.bigint() - from) / times;
}

function measure(accountCount: number): BenchRow[] {
  const { margin, orders } = build(accountCount);
  let sum = 0;
  const bound = (i: number): void => {
    const account = scramble(i) % accountCount;
    const instrument = (account + (i % POSITIONS) * 7) % INSTRUMENTS;
    sum += margin.initialWithOrderAtMost(account, instrument, i % 2 === 0 ? 1 : -1, 500, 3, 300);
  };
  const check = (i: number): void => {
    const account = scramble(i) % accountCount;
    const instrument = (account + (i % POSITIONS) * 7) % INSTRUMENTS;
    sum += margin.initialWithOrder(
      account,
      instrument,
      instrument % UNDERLYINGS_MAX,
      i % 2 === 0 ? 1 : -1,
      500,
      3,
      300,
    );
  };
  const change = (i: number): void => {
    const account = scramble(i) % accountCount;
    const order = orders[account]?.[i % OPEN_ORDERS];
    if (order === undefined) return;
    margin.addOrder(order.record, order.side, order.price, 1);
    margin.addOrder(order.record, order.side, order.price, -1);
  };
  const recompute = (i: number): void => {
    const account = scramble(i) % accountCount;
    margin.recompute(account, (of) => {
      for (const order of orders[of] ?? []) margin.addOrder(order.record, order.side, order.price, order.lots);
    });
    sum += margin.initialWithOrders(account);
  };
  const bounds: number[] = [];
  const checks: number[] = [];
  const changes: number[] = [];
  const recomputes: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const figures = [
      nanosecondsEach(CHECKS, bound),
      nanosecondsEach(CHECKS, check),
      nanosecondsEach(CHECKS, change) / 2,
      nanosecondsEach(RECOMPUTES, recompute),
    ] as const;
    // The first round warms up.
    if (round === 0) continue;
    bounds.push(figures[0]);
    checks.push(figures[1]);
    changes.push(figures[2]);
    recomputes.push(figures[3]);
  }
  if (sum === 0) throw new RangeError("nothing was measured");
  const full = median(recomputes);
  const row = (what: string, value: number, goal: number): BenchRow => ({
    what: `${what}, ${accountCount} accounts (yardstick: full recompute of ${POSITIONS} positions, ${OPEN_ORDERS} orders)`,
    value,
    unit: "ns",
    goal,
    yardstick: full,
    ratio: full / value,
  });
  return [
    row("acceptance of one order by the scalar bound", median(bounds), 100),
    row("check of one order, 39 scenarios", median(checks), 300),
    row("adding or removing open lots", median(changes), 400),
  ];
}

export function run(): BenchRow[] {
  return [...measure(100), ...measure(2_000)];
}
