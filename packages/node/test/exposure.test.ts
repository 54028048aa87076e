// What is promised and not posted, against the stake: when orders are taken, and that the books of a restart are the same.

import { encodeInboundEntry, type InboundEntry } from "@tidemark/ledger";
import { expect, test } from "vitest";
import { addressOfKey, MiniatureVenue, PRICE_TICKS } from "../../chain/test/support/venue.ts";
import { parametersForTests } from "../../chain/test/support/world.ts";
import { Exposure, notionalOfCycle } from "../src/receipts/exposure.ts";

const STAKE = 1_000n;
const withStake = async (notionalPerStake = 10): Promise<Exposure> => {
  const exposure = new Exposure({ notionalPerStake, readStake: async () => STAKE });
  await exposure.refresh();
  return exposure;
};

test("orders stop above the limit and come back below nine tenths of it", async () => {
  const exposure = await withStake();
  expect(exposure.isAdmitting).toBe(true);
  exposure.add(0, 10_000);
  expect(exposure.isAdmitting, "at the limit").toBe(true);
  exposure.add(1, 1);
  expect(exposure.isAdmitting, "above it").toBe(false);
  exposure.advance(0, 0);
  expect(exposure.isAdmitting, "nothing posted").toBe(false);
  exposure.advance(1, 0);
  expect(exposure.status).toMatchObject({ admitting: true, unpostedNotionalMicroUsdc: 1, limitMicroUsdc: 10_000 });
  exposure.add(1, 9_500);
  expect(exposure.isAdmitting, "between nine tenths and the limit: as before").toBe(true);
  exposure.add(1, 600);
  expect(exposure.isAdmitting).toBe(false);
  exposure.add(2, 0);
  exposure.advance(1, 1);
  expect(exposure.isAdmitting, "still above nine tenths").toBe(false);
});

test("a batch that is dropped counts again, a final one never", async () => {
  const exposure = await withStake();
  exposure.add(0, 4_000);
  exposure.add(1, 4_000);
  exposure.advance(2, 0);
  expect(exposure.status.unpostedNotionalMicroUsdc).toBe(0);
  exposure.advance(1, 1);
  expect(exposure.status.unpostedNotionalMicroUsdc, "the second went back").toBe(4_000);
  exposure.advance(0, 1);
  expect(exposure.status.unpostedNotionalMicroUsdc, "the first was final").toBe(4_000);
});

test("a stake that is gone stops the orders", async () => {
  let stake = STAKE;
  const exposure = new Exposure({ notionalPerStake: 10, readStake: async () => stake });
  await exposure.refresh();
  exposure.add(0, 1);
  expect(exposure.isAdmitting).toBe(true);
  stake = 0n;
  await exposure.refresh();
  expect(exposure.isAdmitting).toBe(false);
});

test("stored cycles give the notional of their fills, and replace what a replay has added", async () => {
  const venue = new MiniatureVenue(parametersForTests(1), 1_750_000_000_000);
  const entries: InboundEntry[] = [];
  for (const [account, owner] of [
    [2, "alice"],
    [3, "bob"],
  ] as const) {
    const address = addressOfKey(owner);
    entries.push({ type: "openAccount", account: account as never, owner: address });
    entries.push({ type: "deposit", account: account as never, amount: 1_000_000_000 as never, payer: address });
  }
  entries.push({ type: "listSeries", underlying: 0 as never, expiryMs: 0 as never, strikes: [] });
  venue.inbound(entries.map(encodeInboundEntry));
  venue.marks();
  const [buyer, seller] = [
    { account: 2, owner: "alice" },
    { account: 3, owner: "bob" },
  ];
  venue.trade({ buyer, seller, lots: 7 });
  venue.trade({ buyer: seller, seller: buyer, lots: 3 });
  const domain = venue.state.parameters.domain;
  const notionals = venue.cycles.map(({ payload }) => notionalOfCycle(payload, domain));
  const perLot = PRICE_TICKS * 10;
  expect(notionals.slice(-2)).toEqual([7 * perLot, 3 * perLot]);
  expect(notionals.slice(0, -2).every((notional) => notional === 0)).toBe(true);

  const exposure = await withStake();
  const last = venue.cycles.length - 1;
  exposure.add(last, 3 * perLot);
  exposure.resume(
    {
      *readCycles() {
        for (const cycle of venue.cycles) yield { ...cycle, timeMs: cycle.timeMs as never };
      },
    },
    domain,
  );
  expect(exposure.status.unpostedNotionalMicroUsdc).toBe(10 * perLot);
});
