// Recipes of auction, bankruptcy and adl: sound cycles, and one with one thing wrong for each code.
import {
  type AdlCycle,
  type AuctionTake,
  type Cycle,
  positionSize,
  RejectionCode,
  sliceValue,
} from "../../src/index.ts";
import { account, at, BTC, ETH, instrument, micro, ownerKey, USDC } from "../factory.ts";
import { keyOf } from "../keys.ts";
import {
  adlOf,
  adlRanking,
  auctionOf,
  bankruptcyOf,
  type TakeCycle,
  type TakeSpec,
  takeOf,
  viewOfVenue,
} from "../waterfall.ts";
import { EVERYONE, marginNow, type Recipe } from "./building.ts";
import {
  auctioned,
  closeEpochs,
  distressed,
  type Holder,
  holders,
  insuranceLeftNow,
  isBelow,
  isRunning,
  opened,
  otherThan,
  setEquity,
  takeFrom,
  underlyingsOf,
  unsold,
} from "./distress.ts";
import {
  CREDITED,
  delegateKey,
  expiringKey,
  GAMBLERS,
  HEDGER,
  PAUPERS,
  readOnlyKey,
  type Stream,
  UNKNOWN,
} from "./stream.ts";

// ── auction ────────────────────────────────────────────────────────────────────────────────────────────────────────

const start: Recipe = (stream) => {
  const owner = distressed(stream, stream.random.chance(0.3));
  return owner === null || isRunning(stream, owner) ? null : auctionOf(stream.venue, "start", owner);
};

const take: Recipe = (stream) =>
  takeFrom(stream, ({ bidder }) => (stream.random.chance(0.3) ? { key: delegateKey(bidder) } : {}));

/** Of an account that recovered: by hand, where nobody did. */
const end: Recipe = (stream) => {
  const owner = auctioned(stream);
  if (owner === null) return null;
  setEquity(stream, owner, Number(marginNow(stream, owner).initial) + USDC);
  return auctionOf(stream.venue, "end", owner);
};

const someone = (stream: Stream): number => stream.random.pick([0, 1, UNKNOWN]);

const unknownAuctioned: Recipe = (stream) => {
  const { random, venue } = stream;
  const owner = account(someone(stream));
  if (random.chance(0.6)) return auctionOf(venue, random.pick(["start", "end"]), owner);
  const cycle = takeFrom(stream);
  if (cycle === null) return null;
  return { ...cycle, account: owner, take: { ...cycle.take, bid: { ...cycle.take.bid, auctioned: owner } } };
};

const miscounted: Recipe = (stream) => {
  const cycle = stream.random.chance(0.5)
    ? takeFrom(stream)
    : auctionOf(stream.venue, stream.random.pick(["start", "end"]), stream.random.pick(EVERYONE));
  return cycle === null ? null : { ...cycle, positionCount: Math.min(128, cycle.positionCount + 1) };
};

const notRunning: Recipe = (stream) => {
  const { random, venue } = stream;
  const idle = EVERYONE.filter((one) => venue.cell(one).auctionMs === 0);
  if (random.chance(0.3) && idle.length > 0) return auctionOf(venue, "end", random.pick(idle));
  const over = holders(stream).filter((one) => !isRunning(stream, one));
  if (over.length === 0) return null;
  const owner = random.pick(over);
  return takeOf(venue, { owner, bidder: otherThan(stream, owner), parts: random.integer(1, 1000) });
};

const marksUnusable: Recipe = (stream) => {
  const { random, venue } = stream;
  if (random.chance(0.4)) {
    const [owner] = holders(stream, (_, one) => !isRunning(stream, one));
    const aheadMs = at(venue.timeMs + venue.parameters.risk.markAgeMaxMs + 1);
    return owner === undefined ? null : { ...auctionOf(venue, "start", owner), timeMs: aheadMs };
  }
  const cycle = takeFrom(stream);
  if (cycle === null) return null;
  const [underlying] = underlyingsOf(stream, venue.cell(cycle.account));
  if (!opened(stream, underlying as typeof BTC)) return null;
  const timeMs = at(venue.timeMs);
  return random.chance(0.5) ? { ...cycle, timeMs } : { ...auctionOf(venue, "end", cycle.account), timeMs };
};

const healthy: Recipe = (stream) => {
  const { random, venue } = stream;
  const sound = holders(stream, (_, one) => !isBelow(stream, one) && !isRunning(stream, one));
  if (random.chance(0.5) && sound.length > 0) return auctionOf(venue, "start", random.pick(sound));
  const cycle = takeFrom(stream);
  if (cycle === null) return null;
  setEquity(stream, cycle.account, Number(marginNow(stream, cycle.account).initial) + USDC);
  return cycle;
};

const wrongLegs: Recipe = (stream) => {
  const change = (drawn: AuctionTake): AuctionTake => {
    const [first, ...others] = drawn.legs as [AuctionTake["legs"][0], ...AuctionTake["legs"]];
    const sign = Math.sign(first.lots);
    return stream.random.pick([
      () => ({ ...drawn, legs: [{ ...first, lots: (first.lots + sign) as never }, ...others] }),
      () => ({ ...drawn, legs: [{ ...first, lots: (0 - first.lots) as never }, ...others] }),
      () => ({ ...drawn, legs: others.length > 0 ? others : [{ ...first, lots: (first.lots * 2) as never }] }),
      () => ({ ...drawn, bid: { ...drawn.bid, parts: drawn.bid.parts > 500 ? 1 : 1000 }, bindsLegs: false }),
      () => ({ ...drawn, legs: [...drawn.legs, { instrument: instrument(2 ** 24 - 1), lots: 1 as never }] }),
    ])();
  };
  return takeFrom(stream, () => ({ change }));
};

/** Part of the slice has expired meanwhile and nobody has settled it. */
const notTradable: Recipe = (stream) => {
  const { venue } = stream;
  const nowMs = venue.timeMs;
  const expiring: Holder = (cell) =>
    cell.positions.some((one) => {
      const expiryMs = stream.state.instrument(one.instrument)?.expiryMs ?? 0;
      return expiryMs !== 0 && expiryMs - nowMs < 500_000;
    });
  const [owner] = holders(stream, expiring);
  if (owner === undefined) return null;
  const due = venue.cell(owner).positions.map((one) => stream.state.instrument(one.instrument)?.expiryMs ?? 0);
  venue.timeMs = Math.max(nowMs, Math.min(...due.filter((expiryMs) => expiryMs !== 0)));
  setEquity(stream, owner, -USDC);
  if (!isRunning(stream, owner) && !stream.apply(auctionOf(venue, "start", owner)).ok) return null;
  return takeOf(venue, { owner, bidder: otherThan(stream, owner) });
};

const bidderInvalid: Recipe = (stream) =>
  takeFrom(stream, ({ owner }) => ({ bidder: stream.random.pick([someone(stream), owner]) }));

const bidderCounts: Recipe = (stream) => {
  const change = (drawn: AuctionTake): AuctionTake =>
    stream.random.chance(0.5)
      ? { ...drawn, bidderPositionCount: drawn.bidderPositionCount + 1 }
      : { ...drawn, newCount: drawn.newCount === 0 ? 1 : drawn.newCount - 1 };
  return takeFrom(stream, () => ({ change }));
};

const belowMinNonce: Recipe = (stream) =>
  takeFrom(stream, ({ bidder }) => {
    if (stream.venue.cell(bidder).minNonce === 0) {
      stream.apply(stream.venue.inbound({ type: "cancelAll", account: account(bidder), minNonce: 3 as never }));
    }
    return { nonce: stream.random.integer(0, stream.venue.cell(bidder).minNonce - 1) };
  });

const ringSlot: Recipe = (stream) =>
  takeFrom(stream, ({ bidder }) => {
    const slots = stream.state.ringSlots(bidder).filter(({ nonce }) => nonce >= stream.venue.cell(bidder).minNonce);
    return slots.length === 0 ? null : { nonce: stream.random.pick(slots).nonce + stream.random.pick([0, 65_536]) };
  });

const notAuthorised: Recipe = (stream) =>
  takeFrom(stream, ({ bidder, owner }) => ({
    key: stream.random.pick([keyOf("stranger"), readOnlyKey(bidder), expiringKey(bidder), ownerKey(owner)]),
  }));

function paymentOf(stream: Stream, { take: drawn }: TakeCycle): number {
  return Number(sliceValue(viewOfVenue(stream.venue), drawn.legs)) - drawn.discount;
}

const paymentAbove: Recipe = (stream) => {
  const sound = takeFrom(stream);
  if (sound === null) return null;
  const { bid } = sound.take;
  const paymentMax = paymentOf(stream, sound) - stream.random.pick([1, 1000]);
  return takeOf(stream.venue, { owner: sound.account, bidder: bid.account, parts: bid.parts, paymentMax });
};

const insuranceShort: Recipe = (stream) => {
  const change = (drawn: AuctionTake): AuctionTake => {
    const share = Math.max(0, stream.venue.cell(1).cash) + 1;
    return { ...drawn, discount: micro(Math.max(drawn.discount, share)), fromAccount: micro(0) };
  };
  return takeFrom(stream, () => ({ change }));
};

/** A short slice has a negative value: with the greatest discount the bidder would get more than a cell holds. */
const auctionBounds: Recipe = (stream) => {
  const isShort: Holder = (cell) => cell.positions.every(({ size }) => size < 0);
  const change = (drawn: AuctionTake): AuctionTake => {
    const discount = micro(2 ** 53 - 1);
    return { ...drawn, discount, fromAccount: discount };
  };
  return takeFrom(stream, () => ({ change }), isShort);
};

/** Sixty calls against a thousand lots of the perpetual: a thousandth is one lot of the hedge. */
function hedge(stream: Stream): boolean {
  const { venue } = stream;
  const live = stream.liveInstruments();
  const isHedged = holders(stream, (cell) => cell.positions.length === 2, [HEDGER]).length === 1;
  if (isHedged) return true;
  if (venue.cell(HEDGER).positions.length > 0) return false;
  const perpetual = stream.state.underlying(BTC)?.perpetual ?? 0;
  const calls = live.filter((number) => {
    const cell = stream.state.instrument(number);
    return cell?.kind === 3 && cell.underlying === BTC && cell.expiryMs > venue.timeMs + 120_000;
  });
  const [call] = calls;
  if (call === undefined || !live.includes(perpetual)) return false;
  const writer = otherThan(stream, HEDGER);
  const prices = [Math.max(1, venue.markTicks(call)), venue.markTicks(perpetual)] as const;
  const entries = [
    venue.entry({ account: HEDGER, instrument: call, size: 60, price: prices[0] }),
    venue.entry({ account: writer, instrument: call, size: -60, price: prices[0] }),
    venue.entry({ account: HEDGER, instrument: perpetual, size: -1_000, price: prices[1] }),
    venue.entry({ account: writer, instrument: perpetual, size: 1_000, price: prices[1] }),
  ];
  return stream.apply(venue.tradeOf(entries)).ok;
}

const notReducing: Recipe = (stream) => {
  const { venue } = stream;
  if (!hedge(stream) || !marginNow(stream, HEDGER).marksUsable) return null;
  setEquity(stream, HEDGER, 0);
  if (!isRunning(stream, HEDGER) && !stream.apply(auctionOf(venue, "start", HEDGER)).ok) return null;
  return takeOf(venue, { owner: HEDGER, bidder: otherThan(stream, HEDGER), parts: 1 });
};

const wrongDiscount: Recipe = (stream) => {
  const change = (drawn: AuctionTake): AuctionTake => {
    const { discount, fromAccount } = drawn;
    const choices = [
      { discount: discount + 1, fromAccount },
      { discount: discount + 1, fromAccount: fromAccount + 1 },
      ...(discount > 0 ? [{ discount: discount - 1, fromAccount: Math.min(discount - 1, fromAccount) }] : []),
      ...(fromAccount > 0 ? [{ discount, fromAccount: fromAccount - 1 }] : []),
    ];
    return { ...drawn, ...(stream.random.pick(choices) as Pick<AuctionTake, "discount" | "fromAccount">) };
  };
  return takeFrom(stream, () => ({ change }));
};

/** Just below maintenance and at the start of the curve: a part of the portfolio is enough. */
const beyondTarget: Recipe = (stream) => {
  const { venue } = stream;
  const [owner] = holders(stream, (_, one) => !isRunning(stream, one) && marginNow(stream, one).maintenance > 1000n);
  if (owner === undefined) return null;
  setEquity(stream, owner, Math.floor(Number(marginNow(stream, owner).maintenance) * 0.95));
  if (!stream.apply(auctionOf(venue, "start", owner)).ok) return null;
  return takeOf(venue, { owner, bidder: otherThan(stream, owner), parts: stream.random.integer(900, 1000) });
};

/** The bidder holds something of the other underlying, whose epoch opens. */
const bidderMarks: Recipe = (stream) => {
  const { random } = stream;
  closeEpochs(stream);
  const underlying = random.pick([BTC, ETH]);
  const other = underlying === BTC ? ETH : BTC;
  const cycle = takeFrom(
    stream,
    ({ owner }) => {
      const bidders = EVERYONE.filter(
        (one) => one !== owner && underlyingsOf(stream, stream.venue.cell(one)).has(other),
      );
      return bidders.length === 0 ? null : { bidder: random.pick(bidders) };
    },
    (cell) => !underlyingsOf(stream, cell).has(other),
  );
  if (cycle === null || !opened(stream, other)) return null;
  const { bid, ...declared } = cycle.take;
  const spec: TakeSpec = { owner: cycle.account, bidder: bid.account, parts: bid.parts };
  return declared.legs.length === 0 ? null : takeOf(stream.venue, spec);
};

/** Nothing but what the discount gives: less than the slice requires. */
const bidderMargin: Recipe = (stream) => {
  const bidder = stream.random.pick(PAUPERS);
  const cycle = takeFrom(stream, () => ({ bidder }));
  if (cycle === null) return null;
  stream.lendCash(bidder, otherThan(stream, cycle.account), Math.max(0, stream.venue.cell(bidder).cash));
  return cycle;
};

export const AUCTION_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.AUCTION_UNKNOWN_ACCOUNT, unknownAuctioned],
  [RejectionCode.AUCTION_POSITION_COUNT, miscounted],
  [RejectionCode.AUCTION_NO_POSITIONS, (stream) => auctionOf(stream.venue, "start", stream.random.pick(PAUPERS))],
  [RejectionCode.AUCTION_NOT_RUNNING, notRunning],
  [
    RejectionCode.AUCTION_RUNNING,
    (stream) => {
      const owner = auctioned(stream);
      return owner === null ? null : auctionOf(stream.venue, "start", owner);
    },
  ],
  [RejectionCode.AUCTION_MARKS_UNUSABLE, marksUnusable],
  [RejectionCode.AUCTION_HEALTHY, healthy],
  [
    RejectionCode.AUCTION_NOT_HEALTHY,
    (stream) => {
      const owner = auctioned(stream);
      return owner === null ? null : auctionOf(stream.venue, "end", owner);
    },
  ],
  [RejectionCode.AUCTION_LEGS, wrongLegs],
  [RejectionCode.AUCTION_NOT_TRADABLE, notTradable],
  [RejectionCode.AUCTION_BIDDER_INVALID, bidderInvalid],
  [RejectionCode.AUCTION_BIDDER_COUNTS, bidderCounts],
  [RejectionCode.AUCTION_BID_EXPIRED, (stream) => takeFrom(stream, () => ({ expiryMs: stream.venue.timeMs }))],
  [RejectionCode.AUCTION_BELOW_MIN_NONCE, belowMinNonce],
  [RejectionCode.AUCTION_RING_SLOT, ringSlot],
  [RejectionCode.AUCTION_NOT_AUTHORISED, notAuthorised],
  [RejectionCode.AUCTION_PAYMENT, paymentAbove],
  [RejectionCode.AUCTION_INSURANCE, insuranceShort],
  [RejectionCode.AUCTION_BOUNDS, auctionBounds],
  [RejectionCode.AUCTION_NOT_REDUCING, notReducing],
  [RejectionCode.AUCTION_DISCOUNT, wrongDiscount],
  [RejectionCode.AUCTION_BEYOND_TARGET, beyondTarget],
  [RejectionCode.AUCTION_BIDDER_MARKS_UNUSABLE, bidderMarks],
  [RejectionCode.AUCTION_BIDDER_MARGIN, bidderMargin],
];

// ── bankruptcy ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A debtor without positions, made where there is none. */
function debtor(stream: Stream): number {
  const found = [...EVERYONE, ...PAUPERS].filter((one) => {
    const { positions, cash } = stream.venue.cell(one);
    return positions.length === 0 && cash < 0;
  });
  if (found.length > 0) return stream.random.pick(found);
  const owner = stream.random.pick(PAUPERS);
  const debt = stream.random.integer(1, 2_000 * USDC);
  stream.shiftCash(owner, otherThan(stream), stream.venue.cell(owner).cash + debt);
  return owner;
}

const bankruptcy: Recipe = (stream) => {
  const owner = debtor(stream);
  return stream.venue.cell(1).cash <= 0 ? null : bankruptcyOf(stream.venue, owner);
};

const exhausted: Recipe = (stream) => {
  const owner = debtor(stream);
  stream.lendCash(1, otherThan(stream), stream.venue.cell(1).cash);
  return bankruptcyOf(stream.venue, owner);
};

export const BANKRUPTCY_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.BANKRUPTCY_UNKNOWN_ACCOUNT, (stream) => bankruptcyOf(stream.venue, someone(stream))],
  [
    RejectionCode.BANKRUPTCY_HAS_POSITIONS,
    (stream) => {
      const found = EVERYONE.filter((one) => stream.venue.cell(one).positions.length > 0);
      return found.length === 0 ? null : bankruptcyOf(stream.venue, stream.random.pick(found));
    },
  ],
  [RejectionCode.BANKRUPTCY_NOT_NEGATIVE, (stream) => bankruptcyOf(stream.venue, CREDITED)],
  [RejectionCode.BANKRUPTCY_INSURANCE_EXHAUSTED, exhausted],
];

// ── adl ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Of an unsold account, against as many as `most`; `change` sees the sound cycle. */
function adlFrom(
  stream: Stream,
  change: (cycle: AdlCycle) => Cycle | null = (cycle) => cycle,
  accepts: Holder = () => true,
  most = 64,
): Cycle | null {
  const owner = unsold(stream, accepts);
  if (owner === null) return null;
  const held = stream.venue.cell(owner).positions;
  for (let attempt = 0; attempt < held.length; attempt++) {
    const cycle = adlOf(stream.venue, owner, stream.random.pick(held).instrument, most);
    if (cycle !== null) return change(cycle);
  }
  return null;
}

const altered =
  (change: (cycle: AdlCycle, stream: Stream) => Cycle | null, most = 64): Recipe =>
  (stream) =>
    adlFrom(stream, (cycle) => change(cycle, stream), undefined, most);

type Counterparty = AdlCycle["counterparties"][number];

const withFirst = (cycle: AdlCycle, change: (first: Counterparty) => Partial<Counterparty>): AdlCycle => {
  const [first, ...others] = cycle.counterparties as [Counterparty, ...Counterparty[]];
  return { ...cycle, counterparties: [{ ...first, ...change(first) }, ...others] };
};

const auctionNotOver: Recipe = (stream) => {
  const owner = auctioned(stream, true);
  if (owner === null) return null;
  const [position] = stream.venue.cell(owner).positions;
  const leftMs = stream.venue.cell(owner).auctionMs + 60_000 - stream.venue.timeMs;
  // Before the price has fallen, or after the auction was closed to bids.
  if (leftMs <= 0) stream.venue.advance(60_000 + leftMs);
  return position === undefined ? null : adlOf(stream.venue, owner, position.instrument);
};

const wrongInstrument = altered((cycle, stream) => {
  const held = new Set(stream.venue.cell(cycle.account).positions.map((one) => one.instrument as number));
  const others = stream.liveInstruments().filter((number) => !held.has(number));
  return { ...cycle, instrument: instrument(stream.random.pick([...others.slice(0, 3), 2 ** 24 - 1])) };
});

const adlMarks = altered((cycle, stream) => {
  const [underlying] = underlyingsOf(stream, stream.venue.cell(cycle.account));
  return opened(stream, underlying as typeof BTC) ? { ...cycle, timeMs: at(stream.venue.timeMs) } : null;
});

const notBankrupt: Recipe = (stream) => {
  const owner = unsold(stream, undefined, false);
  if (owner === null || marginNow(stream, owner).equity < 0n) return null;
  const [position] = stream.venue.cell(owner).positions;
  return position === undefined ? null : adlOf(stream.venue, owner, position.instrument);
};

const insuranceLeft = altered((cycle, stream) => {
  const needed = -marginNow(stream, cycle.account).equity - insuranceLeftNow(stream);
  const debt = stream.state.globals.badDebt - Math.min(stream.state.globals.badDebt, stream.venue.cell(1).cash);
  const from = otherThan(stream, cycle.account);
  stream.lendCash(from, 1, Number(needed) + debt);
  return cycle;
});

/** A counterparty that holds the same side, or nothing. */
const wrongSide = altered((cycle, stream) => {
  const isLong = stream.venue.size(cycle.account, cycle.instrument) > 0;
  const others = EVERYONE.filter((one) => {
    const held = positionSize(stream.venue.cell(one).positions, cycle.instrument);
    return one !== cycle.account && (isLong ? held >= 0 : held <= 0);
  });
  if (others.length === 0) return null;
  const other = stream.random.pick(others);
  const positionCount = stream.venue.cell(other).positions.length;
  return withFirst(cycle, () => ({ account: account(other), positionCount }));
});

const wrongOrder = altered((cycle, stream) => {
  const { counterparties } = cycle;
  const [first, second] = counterparties;
  if (first === undefined) return null;
  if (second === undefined || stream.random.chance(0.3)) return { ...cycle, counterparties: [first, first] };
  return { ...cycle, counterparties: [second, first, ...counterparties.slice(2)] };
});

/** One more than is needed, or one whose equity pays for no lot. */
const nothingToTake = altered((cycle, stream) => {
  if (stream.random.chance(0.5)) {
    const equity = micro(Math.max(0, cycle.haircut - 1));
    return {
      ...withFirst(cycle, () => ({ equity })),
      counterparties: withFirst(cycle, () => ({ equity })).counterparties.slice(0, 1),
    };
  }
  const ranking = adlRanking(stream.venue, cycle.account, cycle.instrument, cycle.haircut);
  const next = ranking[cycle.counterparties.length];
  if (next === undefined) return null;
  const more = {
    account: account(next.account),
    positionCount: stream.venue.cell(next.account).positions.length,
    equity: micro(Number(next.equity)),
    maintenance: micro(Number(next.maintenance)),
  };
  return { ...cycle, counterparties: [...cycle.counterparties, more] };
});

/** The counterparty of a short account is paid: one lot more would take its cash beyond 2^53. */
const adlBounds: Recipe = (stream) => {
  const isShort: Holder = (cell) => cell.positions.some(({ size }) => size < 0);
  return adlFrom(
    stream,
    (cycle) => {
      const [first] = cycle.counterparties;
      if (first === undefined || stream.venue.size(cycle.account, cycle.instrument) > 0) return null;
      const lender = otherThan(stream, first.account, cycle.account);
      const { cash } = stream.venue.cell(first.account);
      if (cash < 0 || stream.venue.cell(lender).cash < 0) return null;
      stream.lendCash(lender, first.account, 2 ** 53 - 1 - cash);
      return { ...cycle, counterparties: [first] };
    },
    isShort,
    1,
  );
};

/** Bankrupt in one underlying, while the epoch of the other, which holders of the other side also have, is open. */
function besideOpenEpoch(stream: Stream, isNamed: boolean): Cycle | null {
  closeEpochs(stream);
  const underlying = stream.random.pick([BTC, ETH]);
  const other = underlying === BTC ? ETH : BTC;
  const accepts: Holder = (cell) => !underlyingsOf(stream, cell).has(other);
  return adlFrom(
    stream,
    (cycle) => {
      const isBlind = (one: number): boolean => underlyingsOf(stream, stream.venue.cell(one)).has(other);
      const blind = cycle.counterparties.findIndex((one) => isBlind(one.account));
      const counterparties = isNamed
        ? cycle.counterparties.slice(0, blind + 1)
        : cycle.counterparties.filter((one) => !isBlind(one.account)).slice(0, 1);
      if (counterparties.length === 0 || !opened(stream, other)) return null;
      return { ...cycle, timeMs: at(stream.venue.timeMs), counterparties };
    },
    accepts,
  );
}

const wrongFigures = altered((cycle, stream) => {
  const change = stream.random.pick([1, -1]);
  return {
    ...withFirst(cycle, ({ equity, maintenance }) =>
      stream.random.chance(0.5)
        ? { equity: micro(equity - 1) }
        : { maintenance: micro(Math.max(0, maintenance + change)) },
    ),
  };
}, 1);

/** The first of the ranking is left out. */
const passedOver: Recipe = altered((cycle, stream) => {
  const ranking = adlRanking(stream.venue, cycle.account, cycle.instrument, cycle.haircut);
  const second = ranking[1];
  if (second === undefined) return null;
  const named = {
    account: account(second.account),
    positionCount: stream.venue.cell(second.account).positions.length,
    equity: micro(Number(second.equity)),
    maintenance: micro(Number(second.maintenance)),
  };
  return { ...cycle, counterparties: [named] };
});

export const ADL_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.ADL_UNKNOWN_ACCOUNT, altered((cycle, stream) => ({ ...cycle, account: account(someone(stream)) }))],
  [
    RejectionCode.ADL_POSITION_COUNT,
    altered((cycle) => ({ ...cycle, positionCount: cycle.positionCount === 128 ? 0 : cycle.positionCount + 1 })),
  ],
  [RejectionCode.ADL_AUCTION_NOT_OVER, auctionNotOver],
  [RejectionCode.ADL_INSTRUMENT, wrongInstrument],
  [RejectionCode.ADL_MARKS_UNUSABLE, adlMarks],
  [RejectionCode.ADL_NOT_BANKRUPT, notBankrupt],
  [RejectionCode.ADL_INSURANCE_LEFT, insuranceLeft],
  [
    RejectionCode.ADL_HAIRCUT,
    altered((cycle, stream) => ({
      ...cycle,
      haircut: micro(Math.max(0, cycle.haircut + stream.random.pick([1, -1]))),
    })),
  ],
  [
    RejectionCode.ADL_UNKNOWN_COUNTERPARTY,
    altered((cycle, stream) =>
      withFirst(cycle, () => ({ account: account(stream.random.pick([someone(stream), cycle.account])) })),
    ),
  ],
  [
    RejectionCode.ADL_COUNTERPARTY_POSITION_COUNT,
    altered((cycle) => withFirst(cycle, ({ positionCount }) => ({ positionCount: positionCount - 1 }))),
  ],
  [RejectionCode.ADL_COUNTERPARTY_SIDE, wrongSide],
  [RejectionCode.ADL_ORDER, wrongOrder],
  [RejectionCode.ADL_NOTHING_TO_TAKE, nothingToTake],
  [RejectionCode.ADL_BOUNDS, adlBounds],
  [RejectionCode.ADL_COUNTERPARTY_MARKS_UNUSABLE, (stream) => besideOpenEpoch(stream, true)],
  [RejectionCode.ADL_FIGURES, wrongFigures],
  [RejectionCode.ADL_HOLDER_MARKS_UNUSABLE, (stream) => besideOpenEpoch(stream, false)],
  [RejectionCode.ADL_RANKING, passedOver],
];

/** Gamblers go first: a few that owe nothing any more keep the others company. */
const adl: Recipe = (stream) => {
  const most = stream.random.chance(0.5) ? 64 : stream.random.integer(1, 3);
  return adlFrom(
    stream,
    undefined,
    (_, owner) => !stream.random.chance(0.5) || GAMBLERS.some((one) => one === owner),
    most,
  );
};

/** Weight and recipe. */
export const WATERFALL_VALID: readonly (readonly [number, Recipe])[] = [
  [3, start],
  [6, take],
  [1, end],
  [2, bankruptcy],
  [3, adl],
];
