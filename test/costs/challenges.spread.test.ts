// As challenges.test.ts, for what paths cost: in a venue with all the instruments that the ledger takes, accounts hold positions in
// instruments that are as far apart as can be.
import { AUCTION_PARTS, type Cycle, INSTRUMENTS_MAX } from "@tidemark/ledger";
import { afterAll, beforeAll, expect, test } from "vitest";
import { account, instrument, micro } from "../../packages/ledger/test/factory.ts";
import type { WideStream } from "../../packages/ledger/test/stream/wide.ts";
import { adlOf, auctionOf, takeOf } from "../../packages/ledger/test/waterfall.ts";
import { ChallengeTable, heaviest } from "./challengeTable.ts";
import { compareRecorded } from "./recorded.ts";
import { leaveEquity, spread, wide } from "./wideVenue.ts";

let table: ChallengeTable;
let stream: WideStream;

beforeAll(async () => {
  table = await ChallengeTable.start();
  stream = wide(1, { 2: 2, 3: -1, 4: -1 }, 5);
  spread(stream.venue);
});
afterAll(() => table.stop());

test("trade", async () => {
  const { venue } = stream;
  expect(venue.state.instrumentCount).toBe(INSTRUMENTS_MAX);
  const numbers = venue.cell(2).positions.map((position) => position.instrument);
  const crosses = numbers
    .slice(0, 60)
    .map((number) => [
      venue.entry({ account: 2, instrument: number, size: -1, price: venue.markTicks(number) }),
      venue.entry({ account: 3, instrument: number, size: 1, price: venue.markTicks(number) }),
    ]);
  const cycle = heaviest(crosses.length, (count) => venue.tradeOf(crosses.slice(0, count).flat()));
  const orders = cycle.accounts[0]?.entries.length;
  await table.measure(`${orders} orders of two accounts with 128 positions far apart`, venue, cycle);
  await table.measure(`${orders} orders, 128 positions far apart`, venue, cycle, 2);
  await table.measure("128 positions far apart", venue, venue.withdrawal({ account: 3, amount: 1 }), 3);
});

test("liquidation and auction", async () => {
  const { venue } = stream;
  leaveEquity(stream, 0.7);
  const held = venue.cell(2).positions;
  const liquidation = heaviest(held.length, (count): Cycle => {
    const entries = held
      .slice(0, count)
      .map(({ instrument: number }) =>
        venue.entry({ account: 4, instrument: number, size: 1, price: venue.markTicks(number) }),
      );
    const { timeMs, accounts: counterparties } = venue.tradeOf(entries);
    const legs = entries.map(({ order, cash }) => ({
      instrument: order.legs[0]?.instrument ?? instrument(0),
      size: -1 as never,
      cash: micro(-cash),
      fee: micro(0),
    }));
    const positionCount = held.length;
    return { kind: "liquidation", timeMs, account: account(2), positionCount, legs, counterparties };
  });
  const legs = liquidation.kind === "liquidation" ? liquidation.legs.length : 0;
  await table.measure(`${legs} legs, 128 positions far apart`, venue, liquidation, 2);
  venue.must(auctionOf(venue, "start", 2));
  venue.advance(30_000);
  const half = takeOf(venue, { owner: 2, bidder: 3, parts: AUCTION_PARTS / 2 });
  expect([half.take.legs.length, half.take.bidderPositionCount]).toEqual([128, 128]);
  await table.measure("128 legs far apart", venue, half);
  await table.measure("the account, 128 positions far apart", venue, half, 2);
  await table.measure("the bidder, 128 positions far apart", venue, half, 3);
});

test("adl", async () => {
  const { venue } = stream;
  leaveEquity(stream, -2);
  venue.advance(venue.parameters.risk.auctionDurationMs - 30_000);
  const marks = venue.cell(2).positions.map((position) => [venue.markTicks(position.instrument), position.instrument]);
  const number = marks.sort(([a], [b]) => (b as number) - (a as number))[0]?.[1] ?? instrument(0);
  const cycle = adlOf(venue, 2, number, 1);
  if (cycle === null) throw new Error("nobody ranks");
  await table.measure("the account, 128 positions far apart", venue, cycle, 2);
  const [named] = cycle.counterparties;
  await table.measure("a counterparty, 128 positions far apart", venue, cycle, named?.account);
});

test("nothing changed", () => compareRecorded("challenges.spread", table.rows));
