// Trades between accomplices at prices that are not the market's, and what the rules say to them: vectors for every
// implementation. TIDEMARK_WRITE_VECTORS=1 writes the file anew; otherwise it must be what this code gives.
import { readFileSync, writeFileSync } from "node:fs";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import { expect, test } from "vitest";
import {
  type Cycle,
  decodeCycle,
  encodeCycle,
  type InstrumentCell,
  type LiquidationCycle,
  marginOf,
  ReferenceLedger,
  RejectionCode,
  type TradeEntry,
} from "../src/index.ts";
import { account, at, BTC, dollars, HOUR_MS, instrument, micro, ownerKey, USDC, Venue } from "./factory.ts";
import { signaturePort } from "./keys.ts";

const FILE = new URL("../../../vectors/ledger/off-market.json", import.meta.url);
const RICH = 2;
const MAKER = 3;
/** Equity above 0, below requirement and maintenance. */
const SHORT_OF_MARGIN = 4;
/** Equity below 0. */
const UNDER_WATER = 5;
const PAUPER = 6;
const LOTS = 1_500;
const PERPETUAL = 0;
const CALL = 2;

interface Story {
  name: string;
  why: string;
  code: number;
  build: (venue: Venue) => Cycle;
}

/** Index 100,000, two accounts long, then 80,000. */
function setUp(venue: Venue): Cycle[] {
  const cycles: Cycle[] = [];
  const add = (cycle: Cycle): void => {
    venue.must(cycle);
    cycles.push(cycle);
  };
  const deposits = new Map([
    [RICH, 100_000],
    [MAKER, 1_000_000],
    [SHORT_OF_MARGIN, 4_000],
    [UNDER_WATER, 2_500],
    [PAUPER, 0],
  ]);
  for (const [number, usdc] of deposits) {
    const owner = ownerKey(number).address;
    add(
      venue.inbound(
        { type: "openAccount", account: account(number), owner },
        { type: "deposit", account: account(number), amount: micro(usdc * USDC), payer: owner },
      ),
    );
  }
  add(venue.inbound({ type: "listSeries", underlying: BTC, expiryMs: at(0), strikes: [] }));
  const expiryMs = at(venue.timeMs + 240 * HOUR_MS);
  add(venue.inbound({ type: "listSeries", underlying: BTC, expiryMs, strikes: [dollars(130_000)] }));
  const mark = (index: number): void => {
    add(venue.reportOf(BTC, { index: dollars(index), volatility: 0.5 }));
    for (const cycle of venue.rows(BTC)) add(cycle);
  };
  mark(100_000);
  add(venue.cross(SHORT_OF_MARGIN, MAKER, PERPETUAL, LOTS, 1_000_000));
  add(venue.cross(UNDER_WATER, MAKER, PERPETUAL, LOTS, 1_000_000));
  venue.advance(10_000);
  mark(80_000);
  return cycles;
}

const TICK = 10;
const MARK = 800_000;

/** The most that the account may give away above its requirement, in ticks of one lot. */
function spareTicks(venue: Venue, number: number): number {
  const margin = marginOf(venue.state, number, at(venue.timeMs));
  return Number((margin?.equity ?? 0n) - (margin?.initial ?? 0n)) / TICK;
}

const GIFT_LOTS = 10;

/** An entry whose limit any price meets. */
function loose(venue: Venue, number: number, size: number, cash: number): TradeEntry {
  return venue.entry({ account: number, instrument: PERPETUAL, size, price: size > 0 ? 2 ** 31 - 1 : 0, cash });
}

/** Buys and sells GIFT_LOTS in one cycle, so that only cash moves from `from` to `to`. */
function gift(venue: Venue, from: number, to: number, microUsdc: number): Cycle {
  const pay = loose(venue, from, GIFT_LOTS, -microUsdc);
  const receive = loose(venue, to, -GIFT_LOTS, microUsdc);
  return venue.tradeOf([pay, loose(venue, from, -GIFT_LOTS, 0), receive, loose(venue, to, GIFT_LOTS, 0)]);
}

/** SHORT_OF_MARGIN closes part of its position to RICH, below the mark by `givenTicks` a lot. */
const closes = (venue: Venue, number: number, lots: number, givenTicks: number): Cycle =>
  venue.cross(RICH, number, PERPETUAL, lots, MARK - givenTicks);

function liquidation(
  venue: Venue,
  size: number,
  cash: number,
  held = PERPETUAL,
  number = SHORT_OF_MARGIN,
): LiquidationCycle {
  const price = size > 0 ? -(2 ** 31 - 1) : 2 ** 31 - 1;
  const other = venue.entry({ account: RICH, instrument: held, size: -size, price, cash: 0 - cash });
  return {
    kind: "liquidation",
    timeMs: at(venue.timeMs),
    account: account(number),
    positionCount: venue.cell(number).positions.length,
    legs: [{ instrument: instrument(held), size: size as never, cash: micro(cash), fee: micro(0) }],
    counterparties: venue.tradeOf([other]).accounts,
  };
}

/** Equity that closing `lots` in proportion may cost, per lot in whole ticks, rounded down. */
function proportionalTicks(venue: Venue, lots: number): number {
  const margin = marginOf(venue.state, SHORT_OF_MARGIN, at(venue.timeMs));
  return Math.floor(Number((margin?.equity ?? 0n) * BigInt(lots)) / LOTS / lots / TICK);
}

const boundMicroUsdc = (venue: Venue): number => {
  const cell = venue.state.instrument(PERPETUAL) as InstrumentCell;
  const index = venue.state.underlying(BTC)?.index ?? 0;
  return Math.ceil((index * cell.lotNanoCoin * venue.parameters.risk.liquidationBoundPpb) / 1e18);
};

const STORIES: Story[] = [
  {
    name: "overpays an accomplice beyond its margin",
    why: "A hundred lots bought at a price that hands over all spare equity: their own requirement is not covered.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => venue.cross(RICH, MAKER, PERPETUAL, 100, MARK + Math.floor(spareTicks(venue, RICH) / 100)),
  },
  {
    name: "gives away exactly what it owns",
    why: "A flat account may give away its own money to the last unit: equity 0 covers requirement 0.",
    code: 0,
    build: (venue) => gift(venue, RICH, MAKER, 100_000 * USDC),
  },
  {
    name: "gives away one unit more than it owns",
    why: "The money would come from the insurance.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => gift(venue, RICH, MAKER, 100_000 * USDC + 1),
  },
  {
    name: "an empty account pays by turning over",
    why: "An account without money trades in and out at different prices.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => gift(venue, PAUPER, RICH, 1),
  },
  {
    name: "buys a worthless option dearly",
    why: "The option counts at its mark, so the price paid is lost at once.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => venue.cross(RICH, MAKER, CALL, 100, 2_000_000),
  },
  {
    name: "a chain of three accounts",
    why: "What passes through the middle does not excuse the end that pays.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => {
      const through = 1_000 * USDC;
      return venue.tradeOf([
        loose(venue, PAUPER, 1, -through),
        loose(venue, PAUPER, -1, 0),
        loose(venue, RICH, -1, through),
        loose(venue, RICH, 1, -through),
        loose(venue, MAKER, -1, through),
        loose(venue, MAKER, 1, 0),
      ]);
    },
  },
  {
    name: "below margin, closes at the mark",
    why: "Reduces the requirement and keeps the equity.",
    code: 0,
    build: (venue) => closes(venue, SHORT_OF_MARGIN, 500, 0),
  },
  {
    name: "below margin, closes a third and pays a third of its equity for it",
    why: "No more than the share of the requirement that goes: equity per requirement stays.",
    code: 0,
    build: (venue) => closes(venue, SHORT_OF_MARGIN, 500, proportionalTicks(venue, 500) - 1),
  },
  {
    name: "below margin, closes a third and hands over two thirds of its equity",
    why: "The deficit does not grow, but the equity goes to the accomplice and the risk stays with the insurance.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => closes(venue, SHORT_OF_MARGIN, 500, 2 * proportionalTicks(venue, 500)),
  },
  {
    name: "below margin, opens more",
    why: "Whoever does not cover the requirement may only reduce it.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => venue.cross(SHORT_OF_MARGIN, MAKER, PERPETUAL, 1, MARK),
  },
  {
    name: "below margin, turns the position over",
    why: "A smaller requirement on the other side is a reduction too, at the mark.",
    code: 0,
    build: (venue) => closes(venue, SHORT_OF_MARGIN, LOTS + 300, 0),
  },
  {
    name: "under water, closes at the mark",
    why: "Costs nobody anything.",
    code: 0,
    build: (venue) => closes(venue, UNDER_WATER, LOTS, 0),
  },
  {
    name: "under water, closes one tick below the mark",
    why: "Every tick would be the insurance's.",
    code: RejectionCode.TRADE_MARGIN,
    build: (venue) => closes(venue, UNDER_WATER, LOTS, 1),
  },
  {
    name: "liquidated at the bound",
    why: "The accomplice on the other side gets the worst price that the bound allows, and no worse.",
    code: 0,
    build: (venue) => liquidation(venue, -100, 100 * (MARK * TICK - boundMicroUsdc(venue))),
  },
  {
    name: "liquidated one unit beyond the bound",
    why: "Beyond the bound nobody may be the other side, accomplice or not.",
    code: RejectionCode.LIQUIDATION_PRICE_BOUND,
    build: (venue) => liquidation(venue, -100, 100 * (MARK * TICK - boundMicroUsdc(venue)) - 1),
  },
  {
    name: "liquidated although healthy",
    why: "An accomplice cannot be bought out of a position that is covered.",
    code: RejectionCode.LIQUIDATION_HEALTHY,
    build: (venue) => liquidation(venue, 1, -MARK * TICK, PERPETUAL, MAKER),
  },
];

type Payload = `0x${string}`;
interface Case {
  name: string;
  why: string;
  payload: Payload;
  verdict: { accepted: true; root: string } | { accepted: false; code: string; name: string; account: string };
  /** Equity, initial and maintenance requirement by account, before and after (after: of accepted cycles). */
  before: Record<string, Figures>;
  after: Record<string, Figures> | null;
}
interface Figures {
  equity: string;
  initial: string;
  maintenance: string;
  withdrawable: string;
}
interface Vectors {
  description: string;
  parameters: unknown;
  setUp: Payload[];
  root: string;
  cases: Case[];
}

function figures(venue: Venue): Record<string, Figures> {
  return Object.fromEntries(
    [RICH, MAKER, SHORT_OF_MARGIN, UNDER_WATER, PAUPER].map((number) => {
      const margin = marginOf(venue.state, number, at(venue.timeMs));
      const text = (value: bigint | undefined): string => String(value);
      return [
        String(number),
        {
          equity: text(margin?.equity),
          initial: text(margin?.initial),
          maintenance: text(margin?.maintenance),
          withdrawable: text(margin?.withdrawable),
        },
      ];
    }),
  );
}

function ready(): { venue: Venue; cycles: Cycle[] } {
  const venue = new Venue();
  return { venue, cycles: setUp(venue) };
}

function caseOf(story: Story): Case {
  const { venue } = ready();
  const before = figures(venue);
  const payload = encodeCycle(story.build(venue));
  const verdict = venue.applyPayload(payload);
  return {
    name: story.name,
    why: story.why,
    payload: bytesToHex(payload),
    verdict: verdict.ok
      ? { accepted: true, root: verdict.root }
      : {
          accepted: false,
          code: String(verdict.rejection.code),
          name: verdict.rejection.name,
          account: String(verdict.rejection.account),
        },
    before,
    after: verdict.ok ? figures(venue) : null,
  };
}

/** Numbers of the parameter set as strings, like all integers of the vectors. */
function withStrings(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, item: unknown) => (typeof item === "number" ? String(item) : item));
}

function generated(): Vectors {
  const { venue, cycles } = ready();
  return {
    description: "Apply setUp from genesis of parameters, then each case to that state on its own.",
    parameters: withStrings(venue.parameters),
    setUp: cycles.map((cycle) => bytesToHex(encodeCycle(cycle))),
    root: venue.state.root(),
    cases: STORIES.map(caseOf),
  };
}

test.each(STORIES)("$name", (story) => {
  const { verdict } = caseOf(story);
  expect(verdict.accepted ? 0 : Number(verdict.code)).toBe(story.code);
});

test("the vectors are what this code gives", () => {
  const vectors = generated();
  if (process.env["TIDEMARK_WRITE_VECTORS"] === "1") writeFileSync(FILE, `${JSON.stringify(vectors, null, 1)}\n`);
  expect(JSON.parse(readFileSync(FILE, "utf8"))).toEqual(vectors);
});

test("the vectors hold in the reference", () => {
  const vectors = JSON.parse(readFileSync(FILE, "utf8")) as Vectors;
  const { parameters } = new Venue();
  for (const one of vectors.cases) {
    const reference = new ReferenceLedger(parameters, signaturePort);
    const applied = [...vectors.setUp, one.payload].map((payload) => {
      const decoding = decodeCycle(hexToBytes(payload), parameters.domain);
      if (!decoding.ok) throw new Error(decoding.what);
      return reference.apply(decoding.cycle);
    });
    const last = applied.pop();
    expect(applied.every(({ ok }) => ok)).toBe(true);
    const said = last?.ok === true ? "accepted" : `${last?.fault.code} at ${last?.fault.account}`;
    const { verdict } = one;
    expect(said, one.name).toBe(verdict.accepted ? "accepted" : `${verdict.code} at ${verdict.account}`);
  }
});
