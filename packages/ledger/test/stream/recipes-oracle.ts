// Recipes that aim at the codes of report, rows and expiry.
import { MICRO_USD_MAX } from "@tidemark/num";
import {
  type ExpiryCycle,
  type InstrumentCell,
  RejectionCode,
  type ReportCycle,
  type RowsCycle,
} from "../../src/index.ts";
import { account, at, BTC, dollars, ETH, instrument, ppb } from "../factory.ts";
import { corrupted } from "../keys.ts";
import { EVERYONE, type Recipe } from "./building.ts";
import { closeEpochs, opened } from "./distress.ts";
import { type Stream, UNKNOWN } from "./stream.ts";

// ── report ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function closedUnderlying(stream: Stream): typeof BTC | null {
  const closed = (): (typeof BTC)[] => [BTC, ETH].filter((one) => !stream.openEpochs().includes(one));
  if (closed().length === 0) closeEpochs(stream);
  return closed().length === 0 ? null : stream.random.pick(closed());
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
      const underlying = stream.random.pick([BTC, ETH]);
      if (!opened(stream, underlying)) return null;
      stream.venue.advance(1);
      return stream.report(underlying);
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
  return {
    kind: "rows",
    timeMs: at(stream.venue.timeMs),
    underlying: underlying as typeof BTC,
    instruments: sorted,
    closesEpoch: true,
  };
}

/** Rows of instruments for which `accepts` holds; the underlying's epoch is opened where it is closed. */
function openRows(accepts: (cell: Readonly<InstrumentCell>, number: number, stream: Stream) => boolean): Recipe {
  return (stream) => {
    for (const underlying of stream.random.chance(0.5) ? [BTC, ETH] : [ETH, BTC]) {
      if (!opened(stream, underlying)) continue;
      const numbers = stream.instruments(
        (cell, number) => cell.underlying === underlying && accepts(cell, number, stream),
      );
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
      const open = stream.random.pick([BTC, ETH]);
      if (!opened(stream, open)) return null;
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
    openRows(
      (cell, _, stream) => cell.status === 1 && hasSurface(cell, stream) && cell.strike > 0 && cell.strike < 1000,
    ),
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
  return stream.venue.expiryOf({
    underlying,
    expiryMs,
    settlementPrice,
    instruments: [],
    realisations: [],
    ...content,
  });
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
  return settlement(stream, {
    underlying,
    instruments: [instrument(random.pick([...numbers, stream.state.instrumentCount]))],
  });
};

function realisationBy(
  stream: Stream,
  owner: number,
  change: Partial<ExpiryCycle["realisations"][number]>,
): ExpiryCycle | null {
  const underlying = closedUnderlying(stream);
  if (underlying === null) return null;
  const dated = stream.instruments(
    (cell) => cell.underlying === underlying && cell.expiryMs !== 0 && cell.expiryMs <= stream.venue.timeMs,
  );
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
    (cell) =>
      cell.kind === 3 &&
      cell.status === 1 &&
      cell.expiryMs <= venue.timeMs &&
      !stream.openEpochs().includes(cell.underlying),
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
      const underlying = stream.random.pick([BTC, ETH]);
      return opened(stream, underlying) ? settlement(stream, { underlying }) : null;
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
