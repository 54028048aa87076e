// Recipes that aim at the general codes and at report, rows, expiry, inbound and outbound.
import { MICRO_USD_MAX } from "@tidemark/num";
import {
  type Cycle,
  encodeCycle,
  type ExpiryCycle,
  type InboundEntry,
  InboundOutcomeCode,
  type InstrumentCell,
  RejectionCode,
  type ReportCycle,
  type RowsCycle,
} from "../../src/index.ts";
import { account, at, BTC, dollars, ETH, instrument, micro, ownerKey, ppb, USDC, type WithdrawalSpec } from "../factory.ts";
import { corrupted, keyOf } from "../keys.ts";
import { crossEntries, EVERYONE, marginNow, randomCross, type Recipe } from "./recipes-valid.ts";
import { CREDITED, type Stream, TRADERS, UNKNOWN } from "./stream.ts";

// ── general ────────────────────────────────────────────────────────────────────────────────────────────────────────

function anyCycle(stream: Stream): Cycle {
  const spec = randomCross(stream);
  if (spec !== null) return stream.venue.tradeOf(crossEntries(stream, spec));
  return stream.venue.inbound({ type: "forcedLiquidation", account: account(2) });
}

const malformed: Recipe = (stream) => {
  const { random } = stream;
  const cycle = anyCycle(stream);
  const bytes = encodeCycle(cycle);
  return random.pick([
    () => bytes.slice(0, random.integer(0, bytes.length - 1)),
    () => Uint8Array.of(...bytes, 0),
    () => bytes.map((byte, i) => (i === 0 ? byte + 1 : byte)),
    () => bytes.map((byte, i) => (i === 1 ? 77 : byte)),
    // The same account twice: accounts must increase.
    () => {
      if (cycle.kind !== "trade" || cycle.accounts.length < 2) return bytes.slice(0, 9);
      const twice = encodeCycle({ ...cycle, accounts: cycle.accounts.slice(0, 1) });
      const entry = twice.subarray(11);
      return Uint8Array.of(...twice.subarray(0, 10), 2, ...entry, ...entry);
    },
    () => encodeCycle({ ...cycle, timeMs: at(2 ** 48 + random.integer(0, 1000)) }),
  ])();
};

/** Within every count, but too large for one challenge; and a total that would leave 2^53. */
const limitExceeded: Recipe = (stream) => {
  const { venue } = stream;
  const forced: InboundEntry = { type: "forcedWithdrawal", account: account(2), amount: micro(1), recipient: ownerKey(2).address };
  const huge: InboundEntry = { type: "deposit", account: account(2), amount: micro(2 ** 53 - 1), payer: ownerKey(2).address };
  return stream.random.chance(0.5) ? venue.inbound(...new Array<InboundEntry>(32).fill(forced)) : venue.inbound(huge);
};

// ── report ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function closedUnderlying(stream: Stream): typeof BTC | null {
  const open = stream.openEpochs();
  const closed = [BTC, ETH].filter((underlying) => !open.includes(underlying));
  return closed.length === 0 ? null : stream.random.pick(closed);
}

/** A report that would be good now; nothing but `change` is wrong, and it is signed as changed. */
function wrongReport(change: (report: ReportCycle, stream: Stream) => ReportCycle): Recipe {
  return (stream) => {
    const underlying = closedUnderlying(stream);
    if (underlying === null) return null;
    const reportMs = stream.state.underlying(underlying)?.reportMs ?? 0;
    if (stream.venue.timeMs <= reportMs) stream.venue.advance(reportMs - stream.venue.timeMs + 1);
    const report = stream.report(underlying) as ReportCycle;
    return stream.venue.resigned(change(report, stream));
  };
}

const outOfRange = wrongReport((report, stream) =>
  stream.random.pick([
    () => ({ ...report, index: dollars(0) }),
    () => ({ ...report, index: (MICRO_USD_MAX + 1) as never }),
    () => ({ ...report, premium: ppb(1_000_000_001) }),
    () => ({ ...report, premium: ppb(-1_000_000_001) }),
  ])(),
);

const wrongSurface = wrongReport((report, stream) => {
  const last = report.surfaces[report.surfaces.length - 1];
  if (last === undefined) return { ...report, index: dollars(0) };
  const wrong = stream.random.pick([
    { forward: dollars(0) },
    { forward: (MICRO_USD_MAX + 1) as never },
    { rho: ppb(1_000_000_000) },
    { rho: ppb(-1_000_000_000) },
    { b: ppb(-1) },
    { s: ppb(0) },
    { a: ppb(30_000_000_001) },
    { expiryMs: at(0) },
  ]);
  return { ...report, surfaces: [...report.surfaces.slice(0, -1), { ...last, ...wrong }] };
});

const fundingOverflow: Recipe = (stream) => {
  const underlying = closedUnderlying(stream);
  if (underlying === null) return null;
  const timeMs = at(stream.venue.timeMs + 3_600_000);
  const report = stream.report(underlying) as ReportCycle;
  return stream.venue.resigned({
    ...report,
    timeMs,
    reportMs: timeMs,
    index: MICRO_USD_MAX as never,
    premium: ppb(1_000_000_000),
    surfaces: [],
  });
};

const badQuorum: Recipe = (stream) => {
  const underlying = closedUnderlying(stream);
  if (underlying === null) return null;
  stream.venue.advance(1);
  const report = stream.report(underlying) as ReportCycle;
  const [first, second] = report.signatures;
  if (first === undefined || second === undefined) return null;
  if (report.reportMs <= (stream.state.underlying(underlying)?.reportMs ?? 0)) return null;
  return stream.random.pick([
    () => ({ ...report, signatures: [first] }),
    () => ({ ...report, signatures: [second, first] }),
    () => ({ ...report, signatures: [first, first] }),
    () => ({ ...report, signatures: [first, { ...second, signer: 2 }] }),
    () => ({ ...report, signatures: [first, { ...second, signer: 3 }] }),
    () => ({ ...report, signatures: [first, { ...second, signature: corrupted(second.signature) }] }),
    () => ({ ...report, premium: ppb(report.premium === 7 ? 8 : 7) }),
    () => stream.venue.resigned(report, [0, 1, 2]),
  ])();
};

export const REPORT_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.REPORT_UNKNOWN_UNDERLYING, wrongReport((report) => ({ ...report, underlying: 2 as never }))],
  [
    RejectionCode.REPORT_EPOCH_STILL_OPEN,
    (stream) => {
      const [open] = stream.openEpochs();
      stream.venue.advance(1);
      return open === undefined ? null : stream.report(open as typeof BTC);
    },
  ],
  [
    RejectionCode.REPORT_TIME_NOT_INCREASING,
    wrongReport((report, stream) => ({
      ...report,
      reportMs: at((stream.state.underlying(report.underlying)?.reportMs ?? 0) - stream.random.integer(0, 1)),
    })),
  ],
  [RejectionCode.REPORT_AHEAD, wrongReport((report) => ({ ...report, reportMs: at(report.timeMs + 1) }))],
  [RejectionCode.REPORT_INDEX_OUT_OF_RANGE, outOfRange],
  [RejectionCode.REPORT_SURFACE_OUT_OF_RANGE, wrongSurface],
  [RejectionCode.REPORT_BAD_QUORUM, badQuorum],
  [RejectionCode.REPORT_FUNDING_OVERFLOW, fundingOverflow],
];

// ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function rowsOf(stream: Stream, underlying: number, instruments: readonly number[]): RowsCycle {
  const sorted = [...instruments].sort((a, b) => a - b).map(instrument);
  return { kind: "rows", timeMs: at(stream.venue.timeMs), underlying: underlying as typeof BTC, instruments: sorted, closesEpoch: true };
}

/** Rows of an open underlying, of instruments for which `accepts` holds. */
function openRows(accepts: (cell: Readonly<InstrumentCell>, number: number, stream: Stream) => boolean): Recipe {
  return (stream) => {
    for (const underlying of stream.openEpochs()) {
      const numbers = stream.instruments((cell, number) => cell.underlying === underlying && accepts(cell, number, stream));
      if (numbers.length > 0) return rowsOf(stream, underlying, [stream.random.pick(numbers)]);
    }
    return null;
  };
}

const hasSurface = (cell: Readonly<InstrumentCell>, stream: Stream): boolean =>
  stream.state.underlying(cell.underlying)?.surfaces.some((surface) => surface.expiryMs === cell.expiryMs) === true;

export const ROWS_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.ROWS_UNKNOWN_UNDERLYING, (stream) => rowsOf(stream, 7, [0])],
  [
    RejectionCode.ROWS_EPOCH_NOT_OPEN,
    (stream) => {
      const underlying = closedUnderlying(stream);
      return underlying === null ? null : rowsOf(stream, underlying, [0]);
    },
  ],
  [
    RejectionCode.ROWS_INSTRUMENT_NOT_OF_UNDERLYING,
    (stream) => {
      const [open] = stream.openEpochs();
      if (open === undefined) return null;
      const foreign = stream.instruments((cell) => cell.underlying !== open);
      return rowsOf(stream, open, [stream.random.pick([...foreign, stream.state.instrumentCount])]);
    },
  ],
  [RejectionCode.ROWS_INSTRUMENT_NOT_LISTED, openRows((cell) => cell.status === 2)],
  [
    RejectionCode.ROWS_NO_SURFACE,
    openRows((cell, _, stream) => cell.status === 1 && cell.expiryMs !== 0 && !hasSurface(cell, stream)),
  ],
  [
    RejectionCode.ROWS_OUTSIDE_PRICING_DOMAIN,
    openRows((cell, _, stream) => cell.status === 1 && hasSurface(cell, stream) && cell.strike > 0 && cell.strike < 1000),
  ],
];

// ── expiry ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type Settlement = Omit<ExpiryCycle, "kind" | "signatures" | "timeMs">;

/** A settlement of an underlying with a closed epoch, of an expiry that has come: past the listing of what it names. */
function settlement(stream: Stream, content: Partial<Settlement>): ExpiryCycle | null {
  const underlying = content.underlying ?? closedUnderlying(stream);
  if (underlying === null) return null;
  const settlementPrice = dollars(stream.prices.get(underlying) ?? 100);
  const expiryMs = at(stream.venue.timeMs);
  return stream.venue.expiryOf({ underlying, expiryMs, settlementPrice, instruments: [], realisations: [], ...content });
}

function ofInstrument(stream: Stream, number: number): Pick<Settlement, "underlying" | "expiryMs"> {
  const { underlying, expiryMs } = stream.state.instrument(number) as InstrumentCell;
  return { underlying, expiryMs };
}

const wrongInstrument: Recipe = (stream) => {
  const { random } = stream;
  const underlying = closedUnderlying(stream);
  if (underlying === null) return null;
  const numbers = stream.instruments((cell) => cell.expiryMs !== stream.venue.timeMs || cell.underlying !== underlying);
  return settlement(stream, { underlying, instruments: [instrument(random.pick([...numbers, stream.state.instrumentCount]))] });
};

function realisationBy(stream: Stream, owner: number, change: Partial<ExpiryCycle["realisations"][number]>): ExpiryCycle | null {
  const underlying = closedUnderlying(stream);
  if (underlying === null) return null;
  const dated = stream.instruments((cell) => cell.underlying === underlying && cell.expiryMs !== 0 && cell.expiryMs <= stream.venue.timeMs);
  const number = dated.length === 0 ? null : stream.random.pick(dated);
  const positionCount = stream.state.account(owner)?.positions.length ?? 0;
  const realisation = { account: account(owner), positionCount, instruments: [instrument(number ?? 0)], ...change };
  const of = number === null ? { underlying } : ofInstrument(stream, number);
  return settlement(stream, { ...of, realisations: [realisation] });
}

/** Not settled, or not held. */
const wrongRealisation: Recipe = (stream) => {
  const owner = stream.random.pick(EVERYONE);
  const held = stream.venue.cell(owner).positions.map((position) => position.instrument as number);
  const cycle = realisationBy(stream, owner, {});
  const [realisation] = cycle?.realisations ?? [];
  const [number] = realisation?.instruments ?? [];
  if (number === undefined) return null;
  const isSound = held.includes(number) && stream.state.instrument(number)?.status === 2;
  return isSound ? null : cycle;
};

const expiryBounds: Recipe = (stream) => {
  const { random, venue } = stream;
  const due = stream.instruments(
    (cell) => cell.kind === 3 && cell.status === 1 && cell.expiryMs <= venue.timeMs && !stream.openEpochs().includes(cell.underlying),
  );
  if (due.length === 0 || random.chance(0.5)) {
    return settlement(stream, { settlementPrice: random.pick([dollars(0), (MICRO_USD_MAX + 1) as never]) });
  }
  const number = random.pick(due);
  // Within the range of prices, but a lot of the option is worth 2^40 or more.
  const instruments = [instrument(number)];
  return settlement(stream, { ...ofInstrument(stream, number), settlementPrice: MICRO_USD_MAX as never, instruments });
};

export const EXPIRY_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.EXPIRY_UNKNOWN_UNDERLYING, (stream) => settlement(stream, { underlying: 5 as never })],
  [RejectionCode.EXPIRY_TOO_EARLY, (stream) => settlement(stream, { expiryMs: at(stream.venue.timeMs + 1) })],
  [
    RejectionCode.EXPIRY_EPOCH_OPEN,
    (stream) => {
      const [open] = stream.openEpochs();
      return open === undefined ? null : settlement(stream, { underlying: open as typeof BTC });
    },
  ],
  [
    RejectionCode.EXPIRY_BAD_QUORUM,
    (stream) => {
      const cycle = settlement(stream, {});
      if (cycle === null) return null;
      return stream.random.pick([
        () => ({ ...cycle, signatures: cycle.signatures.slice(1) }),
        () => ({ ...cycle, settlementPrice: (cycle.settlementPrice + 1) as never }),
        () => ({ ...cycle, signatures: [...cycle.signatures].reverse() }),
      ])();
    },
  ],
  [RejectionCode.EXPIRY_WRONG_INSTRUMENT, wrongInstrument],
  [RejectionCode.EXPIRY_WRONG_REALISATION, wrongRealisation],
  [
    RejectionCode.EXPIRY_POSITION_COUNT,
    (stream) => {
      const owner = stream.random.pick(EVERYONE);
      return realisationBy(stream, owner, { positionCount: stream.venue.cell(owner).positions.length + 1 });
    },
  ],
  [RejectionCode.EXPIRY_UNKNOWN_ACCOUNT, (stream) => realisationBy(stream, stream.random.pick([0, 1, UNKNOWN]), {})],
  [RejectionCode.EXPIRY_BOUNDS, expiryBounds],
];

// ── inbound ────────────────────────────────────────────────────────────────────────────────────────────────────────

const queueOrder: Recipe = (stream) => {
  const bytes = encodeCycle(stream.venue.inbound({ type: "forcedLiquidation", account: account(2) }));
  return stream.random.pick([
    () => Uint8Array.of(...bytes.subarray(0, 10), 0),
    () => bytes.map((byte, i) => (i === 13 ? 99 : byte)),
  ])();
};

export const INBOUND_FAULTS: readonly (readonly [number, Recipe])[] = [[RejectionCode.INBOUND_QUEUE_ORDER, queueOrder]];

const entryOf =
  (make: (stream: Stream, owner: number) => InboundEntry | null): Recipe =>
  (stream) => {
    const entry = make(stream, stream.random.pick(EVERYONE));
    return entry === null ? null : stream.venue.inbound(entry);
  };

const forced = (owner: number, amount: number): InboundEntry => ({
  type: "forcedWithdrawal",
  account: account(owner),
  amount: micro(amount),
  recipient: ownerKey(owner).address,
});

const series = (underlying: number, expiryMs: number, strikes: number[]): InboundEntry => ({
  type: "listSeries",
  underlying: underlying as typeof BTC,
  expiryMs: at(expiryMs),
  strikes: strikes.map(dollars),
});

/** Forced withdrawals of accounts whose marks are usable or not. */
function holder(stream: Stream, usable: boolean): number | null {
  const found = EVERYONE.filter((owner) => marginNow(stream, owner).marksUsable === usable);
  return found.length === 0 ? null : stream.random.pick(found);
}

/** Aimed at outcomes of entries: the cycle itself is accepted. */
export const INBOUND_OUTCOMES: readonly (readonly [number, Recipe])[] = [
  [InboundOutcomeCode.ACCOUNT_EXISTS, entryOf((_, owner) => ({ type: "openAccount", account: account(owner), owner: keyOf("thief").address }))],
  [InboundOutcomeCode.UNKNOWN_ACCOUNT, entryOf((stream) => forced(stream.random.pick([0, 1, UNKNOWN]), 1))],
  [
    InboundOutcomeCode.PARKED,
    entryOf((_, owner) => ({ type: "deposit", account: account(UNKNOWN), amount: micro(5), payer: ownerKey(owner).address })),
  ],
  [
    InboundOutcomeCode.DELEGATES_FULL,
    (stream) => {
      const grants = Array.from({ length: 6 }, (_, i): InboundEntry => {
        const key = keyOf(`crowd ${i}`).address;
        return { type: "keyGrant", account: account(9), key, scopes: 1, expiryMs: at(2 ** 47) };
      });
      return stream.venue.inbound(...grants);
    },
  ],
  [
    InboundOutcomeCode.UNKNOWN_KEY,
    entryOf((stream, owner) => ({
      type: "keyRevoke",
      account: account(owner),
      key: keyOf("stranger").address,
      minNonce: stream.random.integer(0, 5) as never,
    })),
  ],
  [
    InboundOutcomeCode.NOTHING_WITHDRAWABLE,
    entryOf((stream) => {
      const owner = holder(stream, true);
      return owner === null ? null : forced(owner, 0);
    }),
  ],
  [
    InboundOutcomeCode.MARKS_UNUSABLE,
    entryOf((stream) => {
      const owner = holder(stream, false);
      return owner === null ? null : forced(owner, 1);
    }),
  ],
  [
    InboundOutcomeCode.FORCED_CLOSE_UNAVAILABLE,
    entryOf((_, owner) => ({
      type: "forcedClose",
      account: account(owner),
      instrument: instrument(0),
      size: -1 as never,
      limitPrice: -5 as never,
    })),
  ],
  [InboundOutcomeCode.FORCED_LIQUIDATION_UNAVAILABLE, entryOf((_, owner) => ({ type: "forcedLiquidation", account: account(owner) }))],
  [InboundOutcomeCode.UNKNOWN_UNDERLYING, entryOf(() => series(2, 0, []))],
  [InboundOutcomeCode.EXPIRY_NOT_AHEAD, entryOf((stream) => series(BTC, stream.venue.timeMs, [1]))],
  [
    InboundOutcomeCode.STRIKES_INVALID,
    entryOf((stream) =>
      stream.random.pick([
        series(BTC, stream.venue.timeMs + 1000, [2, 2]),
        series(BTC, stream.venue.timeMs + 1000, [0]),
        series(BTC, stream.venue.timeMs + 1000, [2e9]),
        series(BTC, 0, [1]),
      ]),
    ),
  ],
  [InboundOutcomeCode.PERPETUAL_EXISTS, entryOf((stream) => series(stream.random.pick([BTC, ETH]), 0, []))],
  [
    InboundOutcomeCode.BAD_DEBT,
    entryOf((stream, owner) => (stream.state.globals.badDebt > stream.venue.cell(1).cash ? forced(owner, 1) : null)),
  ],
  [InboundOutcomeCode.CREDIT_OUTSTANDING, entryOf(() => forced(CREDITED, USDC))],
];

// ── outbound ───────────────────────────────────────────────────────────────────────────────────────────────────────

const withdrawing =
  (change: (stream: Stream, owner: number) => Partial<WithdrawalSpec> | null): Recipe =>
  (stream) => {
    const owner = stream.random.pick(TRADERS);
    const wrong = change(stream, owner);
    return wrong === null ? null : stream.venue.withdrawal({ account: owner, amount: 1, ...wrong });
  };

const wrongNonce = withdrawing((stream, owner) => {
  const slots = stream.state.ringSlots(owner);
  if (slots.length === 0) return null;
  const { nonce } = stream.random.pick(slots);
  return { nonce: stream.random.pick([nonce, nonce + 65_536]) };
});

const notOwner: Recipe = (stream) => {
  const owner = stream.random.pick(TRADERS);
  const cycle = stream.venue.withdrawal({ account: owner, amount: 1 });
  const other = stream.venue.withdrawal({ account: owner, amount: 2 });
  const [item] = cycle.withdrawals;
  const [wrong] = other.withdrawals;
  if (item === undefined || wrong === undefined) return null;
  return { ...cycle, withdrawals: [{ ...item, signature: wrong.signature }] };
};

export const OUTBOUND_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.OUTBOUND_UNKNOWN_ACCOUNT, withdrawing((stream) => ({ account: stream.random.pick([0, 1, UNKNOWN]) }))],
  [
    RejectionCode.OUTBOUND_POSITION_COUNT,
    (stream) => {
      const cycle = stream.venue.withdrawal({ account: stream.random.pick(TRADERS), amount: 1 });
      return { ...cycle, withdrawals: cycle.withdrawals.map((one) => ({ ...one, positionCount: one.positionCount + 1 })) };
    },
  ],
  [
    RejectionCode.OUTBOUND_DOMAIN_OR_ASSET,
    withdrawing((stream) => stream.random.pick([{ asset: 1 }, { destinationChain: 1 }])),
  ],
  [RejectionCode.OUTBOUND_EXPIRED, withdrawing((stream) => ({ expiryMs: at(stream.venue.timeMs) }))],
  [
    RejectionCode.OUTBOUND_BELOW_MIN_NONCE,
    withdrawing((stream, owner) => {
      const { minNonce } = stream.venue.cell(owner);
      return minNonce === 0 ? null : { nonce: stream.random.integer(0, minNonce - 1) };
    }),
  ],
  [RejectionCode.OUTBOUND_RING_SLOT, wrongNonce],
  [RejectionCode.OUTBOUND_NOT_AUTHORISED, notOwner],
  [RejectionCode.OUTBOUND_CREDIT_OUTSTANDING, withdrawing(() => ({ account: CREDITED }))],
  [
    RejectionCode.OUTBOUND_BAD_DEBT,
    withdrawing((stream) => (stream.state.globals.badDebt > stream.venue.cell(1).cash ? {} : null)),
  ],
  [
    RejectionCode.OUTBOUND_MARKS_UNUSABLE,
    (stream) => {
      const owner = stream.random.pick(TRADERS);
      if (stream.venue.cell(owner).positions.length === 0) return null;
      const aheadMs = stream.venue.timeMs + stream.venue.parameters.risk.markAgeMaxMs + 1;
      const cycle = stream.venue.withdrawal({ account: owner, amount: 1, expiryMs: at(aheadMs + 1) });
      return { ...cycle, timeMs: at(aheadMs) };
    },
  ],
  [
    RejectionCode.OUTBOUND_NOT_WITHDRAWABLE,
    withdrawing((stream, owner) => {
      const margin = marginNow(stream, owner);
      return { amount: stream.random.pick([0, Number(margin.withdrawable) + 1]) };
    }),
  ],
];

export const GENERAL_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.MALFORMED, malformed],
  [
    RejectionCode.TIME_NOT_MONOTONIC,
    (stream) => ({ ...anyCycle(stream), timeMs: at(stream.state.globals.timeMs - stream.random.integer(1, 1000)) }),
  ],
  [RejectionCode.LIMIT_EXCEEDED, limitExceeded],
];
