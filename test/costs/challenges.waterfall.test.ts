// As challenges.test.ts, for the kinds that deal with accounts below maintenance and with what L1 decides: both sides of an
// auction and everybody in a deleveraging hold as many positions as an account may.
import { AUCTION_PARTS, encodeParameterChange, type InboundEntry, SCALAR_RANGES } from "@tidemark/ledger";
import { afterAll, beforeAll, expect, test } from "vitest";
import { account, BTC, dollars, instrument, USDC, Venue } from "../../packages/ledger/test/factory.ts";
import { adlOf, auctionOf, bankruptcyOf, creditOf, grantOf, takeOf } from "../../packages/ledger/test/waterfall.ts";
import { ChallengeTable, heaviest } from "./challengeTable.ts";
import { compareRecorded } from "./recorded.ts";
import { moveCash, wide } from "./wideVenue.ts";

const EVERYTHING = AUCTION_PARTS;
let table: ChallengeTable;

beforeAll(async () => {
  table = await ChallengeTable.start();
});
afterAll(() => table.stop());

test("auction of 128 positions", async () => {
  const { venue } = wide(1, { 2: 2, 3: -2 }, 0.7);
  const start = auctionOf(venue, "start", 2);
  await table.measure("start", venue, start);
  await table.measure("start, 128 positions", venue, start, 2);
  venue.must(start);
  venue.advance(30_000);
  // Half of every position: all of them stay, on both sides.
  const half = takeOf(venue, { owner: 2, bidder: 3, parts: EVERYTHING / 2 });
  expect([half.take.legs.length, half.take.bidderPositionCount, half.take.newCount]).toEqual([128, 128, 0]);
  await table.measure("128 legs, bidder with 128 positions", venue, half);
  await table.measure("the account", venue, half, 2);
  await table.measure("the bidder with 128 positions", venue, half, 3);
});

test("auction of 128 positions that are new to the bidder", async () => {
  const { venue } = wide(4, { 2: 1, 3: -1 }, 0.7);
  venue.must(auctionOf(venue, "start", 2));
  venue.advance(30_000);
  const whole = takeOf(venue, { owner: 2, bidder: 4 });
  expect([whole.take.legs.length, whole.take.bidderPositionCount, whole.take.newCount]).toEqual([128, 0, 128]);
  await table.measure("128 legs, new to the bidder", venue, whole);
  await table.measure("the account, of everything", venue, whole, 2);
  await table.measure("the bidder, 128 new positions", venue, whole, 4);
});

test("adl of an account with 128 positions", async () => {
  const { venue } = wide(2, { 2: 2, 3: -1, 4: -1 }, -2);
  venue.must(auctionOf(venue, "start", 2));
  venue.advance(venue.parameters.risk.auctionDurationMs);
  const marks = venue.cell(2).positions.map((position) => [venue.markTicks(position.instrument), position.instrument]);
  const number = marks.sort(([a], [b]) => (b as number) - (a as number))[0]?.[1] ?? instrument(0);
  const cycle = adlOf(venue, 2, number, 1);
  if (cycle === null) throw new Error("nobody ranks");
  const named = cycle.counterparties[0]?.account ?? 0;
  expect(cycle.haircut).toBeGreaterThan(0);
  await table.measure("128 positions each", venue, cycle);
  await table.measure("the account", venue, cycle, 2);
  await table.measure("a counterparty with 128 positions", venue, cycle, named);
  await table.measure("a holder who is not named", venue, cycle, 7 - named);
});

test("adl against 64 counterparties; bankruptcy of 32 accounts", async () => {
  const venue = new Venue();
  const numbers = Array.from({ length: 64 }, (_, i) => 3 + i);
  for (const number of [2, ...numbers]) venue.fund(number, 100_000 * USDC);
  const perpetual = venue.list(BTC, 0);
  venue.mark(BTC, { index: dollars(100_000) });
  for (const number of numbers) venue.must(venue.cross(2, number, perpetual, 10, venue.markTicks(perpetual)));
  moveCash(venue, 2, 0, 110_000 * USDC);
  venue.must(auctionOf(venue, "start", 2));
  venue.advance(venue.parameters.risk.auctionDurationMs);
  venue.mark(BTC, { index: dollars(99_000) });
  const cycle = adlOf(venue, 2, perpetual);
  expect(cycle?.counterparties.length).toBe(64);
  if (cycle !== null) await table.measure("64 counterparties", venue, cycle);

  const poor = Array.from({ length: 32 }, (_, i) => 1_000 + 331 * i);
  for (const number of poor) {
    venue.fund(number, USDC);
    moveCash(venue, number, 0, 2 * USDC);
  }
  moveCash(venue, 0, 1, 1_000 * USDC);
  await table.measure("32 accounts", venue, bankruptcyOf(venue, ...poor));
});

test("credit, admin and what L1 forces", async () => {
  const { venue } = wide(3, { 2: 2, 3: -2 }, 0.7);
  moveCash(venue, 0, 1, 1_000_000 * USDC);
  const grant = grantOf(venue, 2, 5 * USDC);
  await table.measure("grant, 128 positions", venue, grant);
  venue.must(grant);
  await table.measure("revoke, 128 positions", venue, creditOf(venue, "revoke", 2));

  const liquidation: InboundEntry = { type: "forcedLiquidation", account: account(2) };
  await table.measure("forced liquidation, 128 positions", venue, venue.inbound(liquidation));
  const closes = venue.cell(2).positions.map(
    ({ instrument: held, size }): InboundEntry => ({
      type: "forcedClose",
      account: account(2),
      instrument: held,
      size: -size as never,
      limitPrice: 1 as never,
      nonce: venue.nextNonce() as never,
    }),
  );
  const most = heaviest(32, (count) => venue.inbound(...closes.slice(0, count)) as never);
  await table.measure("forced closes", venue, most);

  const change = encodeParameterChange(
    Array.from({ length: 113 }, (_, i) => {
      const [field] = SCALAR_RANGES[i % SCALAR_RANGES.length] as (typeof SCALAR_RANGES)[number];
      return { field, value: venue.parameters.risk[field] };
    }),
  );
  const changes = new Array<InboundEntry>(32).fill({ type: "adminChange", change });
  await table.measure("32 changes of 1,018 bytes", venue, venue.inbound(...changes));
  venue.must(venue.inbound(changes[0] as InboundEntry));
  venue.advance(venue.parameters.adminDelayMs);
  await table.measure("change of 113 items", venue, { kind: "admin", timeMs: venue.timeMs as never, change });
});

test("every kind of these is measured; nothing changed", () => {
  const kinds = ["auction", "adl", "bankruptcy", "credit", "admin", "inbound"];
  for (const kind of kinds) expect(table.rows).toContainEqual(expect.objectContaining({ kind, face: "root" }));
  compareRecorded("challenges.waterfall", table.rows);
});
