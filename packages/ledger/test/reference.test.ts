// The instruments of the differential tests themselves: a comparison that sees nothing proves nothing. And payloads with
// flipped bytes: never an exception, always the reference's verdict.
import { beforeAll, describe, expect, test } from "vitest";
import {
  brokenIdentities,
  type Cycle,
  differences,
  encodeCycle,
  ReferenceLedger,
  type ReferenceState,
  referenceOf,
  referenceRoot,
} from "../src/index.ts";
import { BTC, dollars, factoryParameters, HOUR_MS, USDC, Venue } from "./factory.ts";
import { signaturePort } from "./keys.ts";
import { Random, seedOf } from "./random.ts";
import { LIQUIDATION_FAULTS } from "./stream/recipes-liquidation.ts";
import { REPORT_FAULTS } from "./stream/recipes-oracle.ts";
import { OUTBOUND_FAULTS } from "./stream/recipes-others.ts";
import { VALID } from "./stream/recipes-valid.ts";
import { Coverage, Stream } from "./stream/stream.ts";

let venue: Venue;

beforeAll(() => {
  venue = new Venue();
  venue.fund(2, 100_000 * USDC);
  venue.fund(3, 100_000 * USDC);
  const perpetual = venue.list(BTC, 0);
  venue.list(BTC, venue.timeMs + HOUR_MS * 48, [dollars(100_000)]);
  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(2, 3, perpetual, 10, 1_000_000));
  venue.must(venue.withdrawal({ account: 2, amount: 5 }));
});

test("genesis has the same cells and root", () => {
  const fresh = new Venue();
  const reference = new ReferenceLedger(factoryParameters(), signaturePort);
  expect(differences(referenceOf(fresh.state), reference.state)).toEqual([]);
  expect(referenceRoot(reference.state)).toBe(fresh.state.root());
});

/** Every number of a state, as a place that can be changed and put back. */
function places(value: unknown, path = ""): { path: string; change: () => void; restore: () => void }[] {
  if (typeof value !== "object" || value === null) return [];
  if (value instanceof Map) return [...value].flatMap(([key, item]) => places(item, `${path}/${String(key)}`));
  const record = value as Record<string, unknown>;
  return Object.entries(record).flatMap(([key, item]) => {
    if (typeof item !== "bigint") return places(item, `${path}/${key}`);
    const change = (): void => {
      record[key] = item ^ 1n;
    };
    const restore = (): void => {
      record[key] = item;
    };
    return [{ path: `${path}/${key}`, change, restore }];
  });
}

describe("a changed number of any cell", () => {
  test("is seen by the comparison and by the reference's root", () => {
    const stored = referenceOf(venue.state);
    const copy = referenceOf(venue.state);
    const root = referenceRoot(stored);
    expect(root).toBe(venue.state.root());
    const all = places(copy);
    expect(all.length).toBeGreaterThan(300);
    const random = new Random(seedOf(3));
    for (const place of all) {
      place.change();
      expect(differences(stored, copy), place.path).toHaveLength(1);
      // The root costs thousands of hashes: a sample of the rows, all else.
      if (!place.path.includes("/row/") || random.chance(0.02)) expect(referenceRoot(copy), place.path).not.toBe(root);
      place.restore();
    }
    expect(differences(stored, copy)).toEqual([]);
  });

  test("a cell too many or too few is seen", () => {
    const fewer = referenceOf(venue.state);
    fewer.rings.delete(2n);
    expect(differences(referenceOf(venue.state), fewer)).not.toEqual([]);
    expect(differences(fewer, referenceOf(venue.state))).not.toEqual([]);
    expect(referenceRoot(fewer)).not.toBe(venue.state.root());
  });

  test("broken identities are named", () => {
    const broken = (change: (state: ReferenceState) => void): string[] => {
      const state = referenceOf(venue.state);
      change(state);
      return brokenIdentities(state);
    };
    expect(broken(() => undefined)).toEqual([]);
    expect(broken((state) => void (state.globals.cashTotal += 1n))).toHaveLength(1);
    expect(broken((state) => void (state.globals.outboxTotal += 1n))).toHaveLength(2);
    expect(broken((state) => void state.accounts.get(2n)?.positions.pop())).toEqual([
      "sizes of instrument 0 sum to -10",
    ]);
  });
});

test("payloads with flipped bytes never throw, and the reference says the same of them", { timeout: 60_000 }, () => {
  const seed = seedOf(11);
  const random = new Random(seed);
  const stream = new Stream(random, new Coverage());
  stream.setUp();
  const recipes = [...VALID, ...LIQUIDATION_FAULTS, ...OUTBOUND_FAULTS, ...REPORT_FAULTS].map(([, recipe]) => recipe);
  let applied = 0;
  for (let step = 0; applied < 500; step++) {
    const made: Cycle | Uint8Array | null = random.pick(recipes)(stream);
    if (made === null) continue;
    const payload = made instanceof Uint8Array ? made : encodeCycle(made);
    try {
      for (let copy = 0; copy < 3; copy++) {
        const flipped = payload.slice();
        for (let flips = random.integer(1, 2); flips > 0; flips--) {
          const at = random.integer(0, flipped.length - 1);
          flipped[at] = (flipped[at] as number) ^ (1 << random.integer(0, 7));
        }
        stream.apply(flipped);
        applied += 1;
      }
      stream.apply(payload);
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}`, { cause: error });
    }
  }
  stream.check(true);
});
