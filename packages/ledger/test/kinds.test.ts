import { expect, test } from "vitest";
import { marginOf } from "../src/index.ts";
import { BTC, dollars, HOUR_MS, USDC, Venue } from "./factory.ts";

test("smoke", () => {
  const venue = new Venue();
  venue.fund(2, 100_000 * USDC);
  venue.fund(3, 100_000 * USDC);
  const perpetual = venue.list(BTC, 0);
  const future = venue.list(BTC, venue.timeMs + 24 * HOUR_MS, [90_000, 100_000, 110_000].map(dollars));
  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(2, 3, perpetual, 100, 1_000_000));
  venue.must(venue.cross(2, 3, future + 3, 10, venue.markTicks(future + 3)));
  expect(venue.size(2, perpetual)).toBe(100);
  console.log(marginOf(venue.state, 2, venue.timeMs as never));
  venue.must(venue.withdrawal({ account: 2, amount: 1000 * USDC }));
});
