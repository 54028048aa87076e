// Gas and bytes of the heaviest challenges that the limits allow, by kind and face: below 12M gas and 112 KiB, each as a
// transaction of its own. The cycles are sound, so every check runs to its end. Compared exactly with docs/costs/challenges.json.

import {
  CYCLE_BYTES_MAX,
  type Cycle,
  type ExpirySurface,
  type InboundEntry,
  type LedgerState,
  type TradeEntry,
} from "@tidemark/ledger";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  account,
  at,
  BTC,
  dollars,
  ETH,
  flatSurface,
  instrument,
  micro,
  ownerKey,
  USDC,
  Venue,
} from "../../packages/ledger/test/factory.ts";
import { keyOf } from "../../packages/ledger/test/keys.ts";
import { Random } from "../../packages/ledger/test/random.ts";
import { marginNow } from "../../packages/ledger/test/stream/building.ts";
import { Coverage } from "../../packages/ledger/test/stream/stream.ts";
import { WideStream } from "../../packages/ledger/test/stream/wide.ts";
import { ChallengeTable, heaviest } from "./challengeTable.ts";
import { compareRecorded } from "./recorded.ts";
import { farAccount } from "./wideVenue.ts";

const NONCE_STRIDE = 500;
const PAIRS = 35;
let table: ChallengeTable;

beforeAll(async () => {
  table = await ChallengeTable.start();
});
afterAll(() => table.stop());

function fundedVenue(accounts: number): Venue {
  const venue = new Venue();
  for (let number = 2; number < 2 + accounts; number++) venue.fund(number, 5_000_000 * USDC);
  return venue;
}

test("trade: many orders of two accounts", async () => {
  const venue = fundedVenue(2);
  const perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
  const price = venue.markTicks(perpetual);
  // As far apart in the ring as can be.
  const cross = (_: unknown, i: number): TradeEntry[] => [
    venue.entry({ account: 2, instrument: perpetual, size: 1, price, nonce: 1 + i * NONCE_STRIDE }),
    venue.entry({ account: 3, instrument: perpetual, size: -1, price, nonce: 1 + i * NONCE_STRIDE }),
  ];
  const pairs = Array.from({ length: 120 }, cross);
  const cycle = heaviest(pairs.length, (count) => venue.tradeOf(pairs.slice(0, count).flat()));
  await table.measure(`${cycle.accounts[0]?.entries.length} orders each`, venue, cycle);
  await table.measure("one of these two accounts", venue, cycle, 2);
});

test("trade: many accounts, and many instruments", async () => {
  const venue = new Venue();
  for (let i = 0; i < 2 * PAIRS; i++) venue.fund(farAccount(i, 2 * PAIRS), 5_000_000 * USDC);
  venue.fund(3, 5_000_000 * USDC);
  const perpetual = venue.list(BTC, 0);
  const expiryMs = venue.timeMs + 3_600_000;
  const first = venue.list(
    BTC,
    expiryMs,
    Array.from({ length: 60 }, (_, i) => dollars(90_000 + 500 * i)),
  );
  venue.mark(BTC, { index: dollars(100_000) });
  const price = venue.markTicks(perpetual);
  const crosses = Array.from({ length: PAIRS }, (_, i) => [
    venue.entry({ account: farAccount(2 * i, 2 * PAIRS), instrument: perpetual, size: 1, price }),
    venue.entry({ account: farAccount(2 * i + 1, 2 * PAIRS), instrument: perpetual, size: -1, price }),
  ]);
  const accounts = heaviest(crosses.length, (count) => venue.tradeOf(crosses.slice(0, count).flat()));
  await table.measure(`${accounts.accounts.length} accounts`, venue, accounts);

  const options = Array.from({ length: 29 }, (_, i) => {
    const legs = [0, 1, 2, 3].map((leg) => ({ instrument: first + 1 + 4 * i + leg, ratio: 1 }));
    const net = legs.reduce((sum, leg) => sum + venue.markTicks(leg.instrument), 0);
    return [
      venue.entry({ account: 2, legs, size: 1, price: net }),
      venue.entry({ account: 3, legs, size: -1, price: net }),
    ];
  });
  const instruments = heaviest(options.length, (count) => venue.tradeOf(options.slice(0, count).flat()));
  await table.measure(`${4 * (instruments.accounts[0]?.entries.length ?? 0)} instruments`, venue, instruments);
  await table.measure("one of two accounts with 76 instruments", venue, instruments, 2);
});

test("accounts with 128 positions", async () => {
  const stream = new WideStream(new Random(1), new Coverage());
  stream.fill();
  const { venue } = stream;
  const [number] = stream.options() as [number];
  const price = venue.markTicks(number);
  const reduce = Array.from({ length: 60 }, () => [
    venue.entry({ account: 2, instrument: number, size: 1, price }),
    venue.entry({ account: 3, instrument: number, size: -1, price }),
  ]);
  const trade = heaviest(reduce.length, (count) => venue.tradeOf(reduce.slice(0, count).flat()));
  await table.measure(`${trade.accounts[0]?.entries.length} orders, 128 positions`, venue, trade, 2);
  await table.measure("128 positions", venue, venue.withdrawal({ account: 2, amount: 1 }), 2);
  const recipient = ownerKey(3).address;
  const forced: InboundEntry = { type: "forcedWithdrawal", account: account(3), amount: micro(5), recipient };
  await table.measure("forced withdrawal, 128 positions", venue, venue.inbound(forced));
});

test("liquidation of an account with 128 positions", async () => {
  const stream = new WideStream(new Random(2), new Coverage());
  stream.fill();
  const { venue } = stream;
  // All but a tenth of what the account must keep goes to its counterparty.
  const margin = marginNow(stream, 2);
  const moved = Number(margin.equity - margin.maintenance / 10n);
  const draft = venue.state.begin();
  draft.editAccount(2).cash = micro(venue.cell(2).cash - moved);
  draft.editAccount(4).cash = micro(venue.cell(4).cash + moved);
  draft.commit();
  const held = venue.cell(2).positions.slice(0, 10);
  const entries = held.map(({ instrument: number }) =>
    venue.entry({ account: 4, instrument: number, size: 1, price: venue.markTicks(number) }),
  );
  const { timeMs, accounts: counterparties } = venue.tradeOf(entries);
  const cycle: Cycle = {
    kind: "liquidation",
    timeMs,
    account: account(2),
    positionCount: venue.cell(2).positions.length,
    legs: entries.map(({ order, cash }) => ({
      instrument: order.legs[0]?.instrument ?? instrument(0),
      size: -1 as never,
      cash: micro(-cash),
      fee: micro(0),
    })),
    counterparties,
  };
  await table.measure("10 legs, 128 positions", venue, cycle);
  await table.measure("the account with 128 positions", venue, cycle, 2);
  await table.measure("its counterparty", venue, cycle, 4);
});

test("report and rows", async () => {
  const venue = fundedVenue(1);
  venue.list(ETH, 0);
  const expiries = Array.from({ length: 24 }, (_, i) => venue.timeMs + 3_600_000 * (i + 1));
  const first = venue.state.instrumentCount;
  for (const expiryMs of expiries) venue.list(ETH, expiryMs, [dollars(3_900)]);
  const skewed = (surface: ExpirySurface): ExpirySurface => ({
    ...surface,
    b: 300_000_000 as never,
    rho: -400_000_000 as never,
  });
  const report = venue.reportOf(ETH, { index: dollars(4_000) });
  const full = venue.resigned({
    ...report,
    surfaces: expiries.map((expiryMs) => skewed(flatSurface(expiryMs, dollars(4_010), 0.7))),
  });
  await table.measure("24 surfaces", venue, full);
  venue.must(full);
  // An option of an expiry of its own each: nothing is shared between them.
  const instruments = Array.from({ length: 16 }, (_, i) => instrument(first + 3 * i + 1));
  await table.measure("16 options of 16 expiries", venue, {
    kind: "rows",
    timeMs: at(venue.timeMs),
    underlying: ETH,
    instruments,
    closesEpoch: true,
  });
});

function isAccepted(state: LedgerState, number: number): boolean {
  return state.account(number) !== undefined;
}

test("expiry, inbound and outbound", async () => {
  const venue = fundedVenue(16);
  const expiryMs = venue.timeMs + 60_000;
  const first = venue.list(
    BTC,
    expiryMs,
    Array.from({ length: 31 }, (_, i) => dollars(90_000 + 500 * i)),
  );
  venue.mark(BTC, { index: dollars(100_000) });
  for (let number = 2; number < 18; number += 2) {
    venue.must(venue.cross(number, number + 1, first + number, 1, venue.markTicks(first + number)));
  }
  expect(isAccepted(venue.state, 17)).toBe(true);
  const withdrawals = [2, 4, 6, 8, 10, 12, 14, 16].flatMap((number) => {
    const cycle = venue.withdrawal({ account: number, amount: 1 });
    return cycle.withdrawals;
  });
  await table.measure("8 withdrawals", venue, { kind: "outbound", timeMs: at(venue.timeMs), withdrawals });
  venue.timeMs = expiryMs;
  const content = { underlying: BTC, expiryMs: at(expiryMs), settlementPrice: dollars(101_000) };
  const instruments = Array.from({ length: 63 }, (_, i) => instrument(first + i));
  const realisations = Array.from({ length: 16 }, (_, i) => {
    const number = 2 + i;
    return {
      account: account(number),
      positionCount: 1,
      instruments: [instrument(first + 2 * Math.floor(number / 2))],
    };
  });
  const settled = heaviest(63, (count) =>
    venue.expiryOf({ ...content, instruments: instruments.slice(0, Math.max(count, 18)), realisations }),
  );
  await table.measure(`${settled.instruments.length} instruments, 16 accounts`, venue, settled);

  const payer = keyOf("payer").address;
  const deposits = Array.from(
    { length: 32 },
    (_, i): InboundEntry => ({ type: "deposit", account: account(100 + i), amount: micro(5), payer }),
  );
  await table.measure(
    "32 parked deposits",
    venue,
    heaviest(32, (count) => venue.inbound(...deposits.slice(0, count)) as Cycle & { kind: "inbound" }),
  );
  const opens = Array.from(
    { length: 32 },
    (_, i): InboundEntry => ({ type: "openAccount", account: account(1000 + 77 * i), owner: payer }),
  );
  await table.measure(
    "32 new accounts",
    venue,
    heaviest(32, (count) => venue.inbound(...opens.slice(0, count)) as Cycle & { kind: "inbound" }),
  );
  const strikes = Array.from({ length: 120 }, (_, i) => dollars(50_000 + i));
  const series: InboundEntry = { type: "listSeries", underlying: BTC, expiryMs: at(expiryMs + 60_000), strikes };
  await table.measure("series of 120 strikes", venue, venue.inbound(series));
  const small: InboundEntry = { ...series, strikes: strikes.slice(0, 10) };
  const many = heaviest(
    32,
    (count) => venue.inbound(...new Array<InboundEntry>(count).fill(small)) as Cycle & { kind: "inbound" },
  );
  await table.measure("series of 10 strikes each", venue, many);
});

test("a payload that does not decode, a header that its state contradicts", async () => {
  const payload = new Uint8Array(CYCLE_BYTES_MAX).fill(0xff);
  await table.measureOthers(fundedVenue(1), payload);
});

test("every kind of these is measured; nothing changed", () => {
  const kinds = ["report", "rows", "trade", "liquidation", "expiry", "inbound", "outbound"];
  for (const kind of kinds) expect(table.rows).toContainEqual(expect.objectContaining({ kind, face: "root" }));
  compareRecorded("challenges", table.rows);
});
