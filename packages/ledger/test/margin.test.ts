// Margins: against exact rational values and the reference, beyond 2^53, and never rounded towards the account. And how
// conservative the scenario rows are where no scenario lies.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type AccountCell,
  computeRow,
  exact,
  type InstrumentCell,
  InstrumentKind,
  type LedgerView,
  type Margin,
  marginOfCell,
  marginRuleHolds,
  type Position,
  pendingFundingFloor,
  planPositions,
  ROW_LENGTH,
  referenceMargin,
  referenceOf,
  unchangedVolatilityScenarios,
  viewOf,
} from "../src/index.ts";
import { at, BTC, dollars, ETH, flatSurface, HOUR_MS, micro, USDC, Venue } from "./factory.ts";
import { Random, seedOf } from "./random.ts";

let venue: Venue;

/** Two underlyings with rows, a moved index average, and funding that has run. */
beforeAll(() => {
  venue = new Venue();
  venue.fund(2, 1_000_000 * USDC);
  for (const underlying of [BTC, ETH]) {
    venue.list(underlying, 0);
    const price = underlying === BTC ? 100_000 : 4_000;
    venue.list(
      underlying,
      venue.timeMs + 20 * 24 * HOUR_MS,
      [0.9, 1, 1.1].map((factor) => dollars(price * factor)),
    );
    venue.mark(underlying, { index: dollars(price), premium: 3_000_000 });
  }
  venue.advance(90_000);
  venue.mark(BTC, { index: dollars(103_000.123457), premium: 4_000_000 });
  venue.mark(ETH, { index: dollars(3_870.5), premium: -3_000_000 });
});

const view = (): LedgerView => viewOf(venue.state.begin(), venue.parameters);
const now = (): ReturnType<typeof at> => at(venue.timeMs);

const positions = (sizeMax: number): fc.Arbitrary<Position[]> =>
  fc
    .uniqueArray(
      fc.record({
        instrument: fc.nat(15),
        size: fc.integer({ min: -sizeMax, max: sizeMax }),
        fundingIndex: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      }),
      {
        selector: (position) => position.instrument,
        maxLength: 16,
      },
    )
    .map((list) => list.filter(({ size }) => size !== 0).sort((a, b) => a.instrument - b.instrument) as Position[]);

const cellOf = (cash: number, held: Position[]): AccountCell => ({
  ...(venue.state.account(2) as AccountCell),
  cash: micro(cash),
  positions: held,
});

function agrees(cell: AccountCell): Margin {
  const margin = marginOfCell(view(), cell, now());
  const { ringRoot: _, ...others } = cell;
  const expected = referenceMargin(referenceOf(venue.state), exact(others), BigInt(venue.timeMs), venue.parameters);
  expect(margin).toMatchObject({
    equity: expected.equity,
    equityAverage: expected.equityAverage,
    pendingFunding: expected.pending,
    initial: expected.initial,
    maintenance: expected.maintenance,
    withdrawable: expected.withdrawable,
    marksUsable: expected.usable,
  });
  return margin;
}

describe("valuation", () => {
  test("equals the reference, also where sums pass 2^53", () => {
    const sizes = fc.constantFrom(100, 10_000, 2 ** 31 - 1);
    const cash = fc.integer({ min: -(2 ** 53 - 1), max: 2 ** 53 - 1 });
    const held = sizes.chain((most) => positions(most));
    fc.assert(
      fc.property(cash, held, (amount, list) => void agrees(cellOf(amount, list))),
      { numRuns: 150 },
    );
  });

  test("is exact where doubles are not", () => {
    const held = [{ instrument: 0, size: 2 ** 31 - 1, fundingIndex: -(2 ** 53 - 1) }] as Position[];
    const instrument = venue.state.instrument(0) as InstrumentCell;
    const margin = agrees(cellOf(1, held));
    const mark = BigInt(instrument.row[0] ?? 0);
    const funding = (-(2n ** 31n - 1n) * (BigInt(instrument.fundingIndex) + 2n ** 53n - 1n)) >> 20n;
    expect(margin.equity).toBe(1n + (2n ** 31n - 1n) * mark + funding);
    expect(margin.equity > 2n ** 53n || margin.equity < -(2n ** 53n)).toBe(true);
  });

  test("an account without positions is worth its cash and keeps nothing", () => {
    expect(agrees(cellOf(77, []))).toMatchObject({
      equity: 77n,
      initial: 0n,
      maintenance: 0n,
      withdrawable: 77n,
      underlyings: [],
    });
    expect(agrees(cellOf(-77, []))).toMatchObject({ equity: -77n, withdrawable: 0n });
  });

  test("names the scenario that decides", () => {
    const long = marginOfCell(view(), cellOf(0, [{ instrument: 0, size: 10, fundingIndex: 0 }] as Position[]), now());
    const [worst] = long.underlyings;
    const row = (venue.state.instrument(0) as InstrumentCell).row;
    expect(BigInt(10 * ((row[0] ?? 0) - (row[worst?.worstScenario ?? 0] ?? 0)))).toBe(worst?.required);
    expect(Math.min(...row.slice(0, 39))).toBe(row[worst?.worstScenario ?? 0]);
  });
});

describe("rounding never favours the account", () => {
  test("funding: what is realised is at most the exact amount, and in pieces never more than at once", () => {
    const instrument = { ...(venue.state.instrument(0) as InstrumentCell) };
    const size = fc.integer({ min: -(2 ** 31 - 1), max: 2 ** 31 - 1 });
    const index = fc.integer({ min: -(2 ** 52), max: 2 ** 52 });
    fc.assert(
      fc.property(size, index, index, index, (lots, from, middle, to) => {
        const realised = (start: number, end: number): bigint =>
          pendingFundingFloor({ ...instrument, fundingIndex: end }, {
            instrument: 0,
            size: lots,
            fundingIndex: start,
          } as Position);
        const exactNumerator = -BigInt(lots) * (BigInt(to) - BigInt(from));
        const once = realised(from, to);
        expect(once * 2n ** 20n <= exactNumerator && (once + 1n) * 2n ** 20n > exactNumerator).toBe(true);
        expect(realised(from, middle) + realised(middle, to) <= once).toBe(true);
      }),
    );
  });

  test("closing in two parts realises no more funding than closing at once", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10_000 }), fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (lots, from) => {
        const held = [{ instrument: 0, size: lots, fundingIndex: from }] as Position[];
        const once = planPositions(view(), held, new Map([[0 as never, -lots]]));
        const first = planPositions(view(), held, new Map([[0 as never, -1]]));
        const second = planPositions(view(), first?.positions ?? [], new Map([[0 as never, 1 - lots]]));
        expect((first?.fundingTotal ?? 0n) + (second?.fundingTotal ?? 0n)).toBe(once?.fundingTotal);
      }),
    );
  });

  test("maintenance is at least the exact share, the average's equity at most the exact interpolation", () => {
    const { risk } = venue.parameters;
    const grid = unchangedVolatilityScenarios(risk);
    fc.assert(
      fc.property(positions(100_000), (held) => {
        const margin = marginOfCell(view(), cellOf(0, held), now());
        const scaled = (margin.maintenance - margin.addOns) * 1_000_000_000n;
        const wanted = margin.scenario * BigInt(risk.maintenanceFactorPpb);
        expect(scaled >= wanted && scaled - wanted < 1_000_000_000n).toBe(true);
        let least = margin.equity * 10n ** 12n;
        for (const underlying of [BTC, ETH]) {
          const cell = venue.state.underlying(underlying);
          if (cell === undefined) throw new Error("underlyings exist");
          const move = Number(((BigInt(cell.indexAverage) - BigInt(cell.index)) * 1_000_000_000n) / BigInt(cell.index));
          const above = grid.findIndex((one) => one.movePpb >= move);
          const [low, high] = [grid[above - 1], grid[above]];
          if (low === undefined || high === undefined) throw new Error("the move is inside the grid");
          const valueAt = (scenario: number): bigint =>
            held.reduce((sum, { instrument, size }) => {
              const { row, underlying: of } = venue.state.instrument(instrument) as InstrumentCell;
              return of === underlying ? sum + BigInt(size) * BigInt((row[scenario] ?? 0) - (row[0] ?? 0)) : sum;
            }, 0n);
          const numerator =
            valueAt(low.scenario) * BigInt(high.movePpb - move) + valueAt(high.scenario) * BigInt(move - low.movePpb);
          if (numerator < 0n) least += (numerator * 10n ** 12n) / BigInt(high.movePpb - low.movePpb);
        }
        expect(margin.equityAverage * 10n ** 12n <= least + 2n).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe("margin rule", () => {
  const figures = (equity: bigint, initial: bigint): Margin => ({
    ...marginOfCell(view(), cellOf(0, []), now()),
    equity,
    initial,
  });
  const amount = fc.bigInt({ min: -1_000n, max: 1_000n });
  const required = fc.bigInt({ min: 0n, max: 1_000n });

  test("covers, or reduces without growing the deficit and without giving away more equity than requirement", () => {
    const holds = (e: bigint, r: bigint, f: bigint, s: bigint, credit = 0): boolean =>
      marginRuleHolds(figures(e, r), figures(f, s), credit);
    expect(holds(100n, 50n, 60n, 60n)).toBe(true);
    expect(holds(100n, 50n, 59n, 60n)).toBe(false);
    // Half of the risk closed at the mark: fine. Half of it closed and all equity handed over: the deficit did not grow.
    expect(holds(50n, 100n, 50n, 50n)).toBe(true);
    expect(holds(50n, 100n, 49n, 60n)).toBe(true);
    expect(holds(50n, 100n, 30n, 60n)).toBe(true);
    expect(holds(50n, 100n, 29n, 60n)).toBe(false);
    expect(holds(50n, 100n, 0n, 50n)).toBe(false);
    // Under water: only what does not cost anything.
    expect(holds(-50n, 100n, -50n, 20n)).toBe(true);
    expect(holds(-50n, 100n, -51n, 0n)).toBe(false);
    // Credit covers requirement, never loss.
    expect(holds(0n, 0n, 0n, 40n, 40)).toBe(true);
    expect(holds(10n, 0n, -41n, 0n, 41)).toBe(true);
    expect(holds(10n, 0n, -42n, 0n, 41)).toBe(false);
    expect(holds(-60n, 0n, -60n, 0n, 41)).toBe(false);
  });

  test("no chain of trades leaves less equity per requirement to an account below it, nor creates debt", () => {
    fc.assert(
      fc.property(amount, required, fc.array(fc.tuple(amount, required), { maxLength: 12 }), (e0, r0, steps) => {
        let [equity, initial] = [e0, r0];
        for (const [f, s] of steps) {
          if (!marginRuleHolds(figures(equity, initial), figures(f, s), 0)) continue;
          const wasDeficit = r0 > e0;
          const isDeficit = s > f;
          if (isDeficit) {
            expect(wasDeficit).toBe(true);
            expect(f - s >= equity - initial).toBe(true);
            if (e0 > 0n) expect(f * r0 >= e0 * s).toBe(true);
          }
          expect(f >= (e0 < 0n ? e0 : 0n)).toBe(true);
          if (!isDeficit) return;
          [equity, initial] = [f, s];
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

// The rows price nine spot moves; an account's loss at a move between them is not among the scenarios.
describe("conservativeness of the rows between the scenarios", () => {
  const HORIZONS_DAYS = [0.25, 1, 7, 60, 300];
  const random = new Random(seedOf(7));

  /** Value per lot after a spot move, priced anew under the same flat volatility. */
  function revalued(instrument: InstrumentCell, days: number, volatility: number, move: number): number {
    const index = dollars(100_000 * (1 + move));
    const underlying = {
      ...(venue.state.underlying(BTC) as NonNullable<ReturnType<LedgerView["underlying"]>>),
      index,
      reportMs: at(venue.timeMs),
      premiumEma: 0 as never,
      surfaces: [flatSurface(instrument.expiryMs, index, volatility)],
    };
    void days;
    const out = new Float64Array(ROW_LENGTH);
    expect(computeRow(instrument, underlying, venue.parameters.risk, out, 0)).toBe(0);
    return out[0] as number;
  }

  function option(kind: InstrumentKind, days: number, strike: number): InstrumentCell {
    const listed = venue.state.instrument(2) as InstrumentCell;
    return { ...listed, kind, strike: dollars(strike), expiryMs: at(venue.timeMs + Math.round(days * 24 * HOUR_MS)) };
  }

  function rowOf(instrument: InstrumentCell, volatility: number): number[] {
    const underlying = {
      ...(venue.state.underlying(BTC) as NonNullable<ReturnType<LedgerView["underlying"]>>),
      index: dollars(100_000),
      reportMs: at(venue.timeMs),
      premiumEma: 0 as never,
      surfaces: [flatSurface(instrument.expiryMs, dollars(100_000), volatility)],
    };
    const out = new Float64Array(ROW_LENGTH);
    expect(computeRow(instrument, underlying, venue.parameters.risk, out, 0)).toBe(0);
    return [...out.slice(0, 39)];
  }

  test("one position of any kind, and any vertical spread, never loses more within ±16% than its scenarios say", () => {
    for (let round = 0; round < 300; round++) {
      const days = random.pick(HORIZONS_DAYS);
      const volatility = 0.3 + random.next();
      const kind = random.pick([InstrumentKind.call, InstrumentKind.put, InstrumentKind.future]);
      const strikes = [random.integer(70_000, 130_000), random.integer(70_000, 130_000)];
      const legs = kind === InstrumentKind.future || random.chance(0.5) ? [1] : [1, -1];
      const cells = legs.map((size, i) => ({
        size: random.chance(0.5) ? size : -size,
        cell: option(kind, days, strikes[i] ?? 0),
      }));
      if (cells.length === 2 && cells[0]?.size === cells[1]?.size) continue;
      const rows = cells.map(({ cell }) => rowOf(cell, volatility));
      const worst = Math.max(
        ...Array.from({ length: 39 }, (_, s) =>
          cells.reduce((sum, { size }, i) => sum - size * ((rows[i]?.[s] ?? 0) - (rows[i]?.[0] ?? 0)), 0),
        ),
      );
      const move = (random.next() - 0.5) * 0.32;
      const loss = cells.reduce(
        (sum, { size, cell }, i) => sum - size * (revalued(cell, days, volatility, move) - (rows[i]?.[0] ?? 0)),
        0,
      );
      // Each of the values is rounded down by less than one micro-USDC.
      expect(loss, `round ${round}: ${days} days, move ${move}`).toBeLessThanOrEqual(worst + 4);
    }
  });

  test("a butterfly between two scenarios shortly before expiry shows what the grid does not see: add-ons must cover it", () => {
    const days = 0.25;
    const volatility = 0.3;
    const cells = [100_000, 102_000, 104_000].map((strike) => option(InstrumentKind.call, days, strike));
    const sizes = [1, -2, 1].map((size) => -size);
    const rows = cells.map((cell) => rowOf(cell, volatility));
    const lossAt = (s: number): number =>
      sizes.reduce((sum, size, i) => sum - size * ((rows[i]?.[s] ?? 0) - (rows[i]?.[0] ?? 0)), 0);
    const worst = Math.max(0, ...Array.from({ length: 39 }, (_, s) => lossAt(s)));
    const between = sizes.reduce(
      (sum, size, i) =>
        sum - size * (revalued(cells[i] as InstrumentCell, days, volatility, 0.02) - (rows[i]?.[0] ?? 0)),
      0,
    );
    const { optionShortAddOnPpb } = venue.parameters.risk;
    const addOns = 2 * 100_000 * USDC * 0.01 * (optionShortAddOnPpb / 1e9);
    expect(between).toBeLessThanOrEqual(worst + addOns);
  });
});
