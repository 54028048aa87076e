// The market out of recorded data. At a snapshot's moment every value is the recorded one; between snapshots forwards,
// volatilities and quote distances are interpolated and the index is a seeded bridge, labelled synthetic.
import type { ExpirySurface } from "@tidemark/ledger";
import type { MicroUsd, PartsPerBillion, TimestampMs } from "@tidemark/num";
import type { Svi } from "./black.ts";
import { blackOverForward, settlementForward, sviVariance, varianceYears, YEAR_MS } from "./black.ts";
import type { ChainSnapshot, ExpirySnapshot } from "./chainSnapshot.ts";
import { readChainSnapshot } from "./chainSnapshot.ts";
import { tickCeil, tickFloor } from "./conversion.ts";
import { dataError } from "./csv.ts";
import type { ExpiryKnot, ExpiryLine } from "./expiryLine.ts";
import { atVolatility, neighbours, quoteNeighbours, residualOf, shareOf } from "./expiryLine.ts";
import type { IndexPath } from "./path.ts";
import type { RecordedFolder, RecordedPoint } from "./recorded.ts";
import { defaultStartMs, readRecordedFolder } from "./recorded.ts";
import { buildPath, SAME_MOMENT_MS } from "./replayPath.ts";
import type {
  ChainSelection,
  ClockJump,
  ExpiryMarket,
  MarketSource,
  MarketState,
  QuoteReference,
  SeriesListing,
  UnderlyingDefinition,
  UnderlyingMarket,
} from "./source.ts";
import {
  AVERAGING_WINDOW_MS_DEFAULT,
  CHAIN_SELECTION_DEFAULT,
  DAY_MS,
  nearestStrikes,
  UNDERLYINGS_DEFAULT,
} from "./source.ts";
import type { FitError } from "./surface.ts";
import { mixSvi, surfaceShape } from "./surface.ts";

export interface ReplayOptions {
  readonly folder: string;
  readonly seed: number;
  /** A moment inside the recorded data; by default before a Friday's expiry. */
  readonly startMs?: number;
  readonly selection?: ChainSelection;
  readonly underlyings?: readonly UnderlyingDefinition[];
  readonly averagingWindowMs?: number;
}

interface Session {
  readonly startMs: number;
  readonly endMs: number;
}

const quoteKey = (strikeMicroUsd: number, isCall: boolean): number => strikeMicroUsd * 2 + (isCall ? 1 : 0);

/** Opens a recorded folder. @throws NodeError naming what is missing or malformed. */
export async function openReplay(options: ReplayOptions): Promise<ReplaySource> {
  const underlyings = options.underlyings ?? UNDERLYINGS_DEFAULT;
  const windowMs = options.averagingWindowMs ?? AVERAGING_WINDOW_MS_DEFAULT;
  const recorded = await readRecordedFolder(options.folder);
  const startMs = options.startMs ?? defaultStartMs(recorded.sessions);
  const files = recorded.sessions.flatMap((session) => session.files);
  const next = files.findIndex((file) => file.timeMs > startMs);
  const first = next === -1 ? files.length - 1 : next - 1;
  if (first < 0) {
    throw dataError(
      "DATA_OUT_OF_RANGE",
      `the replay cannot start at ${new Date(startMs).toISOString()}: the first snapshot is of ${new Date(
        (files[0] as { timeMs: number }).timeMs,
      ).toISOString()}`,
      { startMs },
    );
  }
  const snapshots: ChainSnapshot[] = [];
  for (const file of files.slice(first)) snapshots.push(await readChainSnapshot(file.path, underlyings, windowMs));
  const paths = await Promise.all(
    underlyings.map((_, u) => buildPath(recorded, snapshots, underlyings, u, options.seed)),
  );
  const source = new ReplaySource(
    { ...options, underlyings, averagingWindowMs: windowMs },
    recorded,
    snapshots,
    paths,
    startMs,
  );
  if (source.startMs >= source.endMs) {
    throw dataError("DATA_OUT_OF_RANGE", `nothing is recorded after ${new Date(startMs).toISOString()}`, { startMs });
  }
  return source;
}

export class ReplaySource implements MarketSource {
  readonly kind = "replay";
  readonly description: string;
  readonly seed: number;
  readonly underlyings: readonly UnderlyingDefinition[];
  readonly startMs: number;
  readonly endMs: number;
  readonly sessions: readonly Session[];
  readonly snapshotTimesMs: readonly number[];
  readonly averagingWindowMs: number;
  readonly #paths: readonly IndexPath[];
  /** By underlying, by expiry. */
  readonly #lines: ReadonlyMap<number, ExpiryLine>[];
  readonly #premiums: readonly RecordedPoint[][];
  readonly #listings: SeriesListing[] = [];
  readonly #recordedTimes: ReadonlySet<number>;
  readonly #fitErrors: FitError[] = [];

  constructor(
    options: ReplayOptions & { underlyings: readonly UnderlyingDefinition[]; averagingWindowMs: number },
    recorded: RecordedFolder,
    snapshots: readonly ChainSnapshot[],
    paths: readonly IndexPath[],
    startMs: number,
  ) {
    this.seed = options.seed;
    this.underlyings = options.underlyings;
    this.averagingWindowMs = options.averagingWindowMs;
    this.#paths = paths;
    this.snapshotTimesMs = snapshots.map((snapshot) => snapshot.timeMs);
    this.#recordedTimes = new Set(this.snapshotTimesMs);
    this.sessions = this.#buildSessions(recorded);
    // The name of the first file has no milliseconds: start at its rows' time when that is what was asked for. A start in
    // a gap is the next session's.
    const session = this.sessions.find(({ endMs }) => endMs > startMs);
    this.startMs = Math.max(startMs, session?.startMs ?? startMs);
    this.endMs = this.sessions[this.sessions.length - 1]?.endMs ?? startMs;
    this.#lines = this.underlyings.map((_, u) =>
      this.#buildLines(snapshots, u, options.selection ?? CHAIN_SELECTION_DEFAULT),
    );
    this.#addTermPoints(recorded);
    this.#premiums = this.underlyings.map(({ name }, u) =>
      (recorded.perpetuals.get(name) ?? []).map(({ timeMs, value }) => ({
        timeMs,
        value: (value * 1e6) / (this.#paths[u] as IndexPath).at(timeMs) - 1,
      })),
    );
    this.description = `${snapshots.length} snapshots from ${new Date(this.startMs).toISOString()} to ${new Date(this.endMs).toISOString()}`;
  }

  /** A session ends with its last snapshot, or up to a day later where the index history goes on. */
  #buildSessions(recorded: RecordedFolder): Session[] {
    const sessions: { startMs: number; endMs: number }[] = [];
    for (const timeMs of this.snapshotTimesMs) {
      const last = sessions[sessions.length - 1];
      if (last !== undefined && timeMs - last.endMs <= DAY_MS) last.endMs = timeMs;
      else sessions.push({ startMs: timeMs, endMs: timeMs });
    }
    const history = this.underlyings.map(({ name }) => recorded.indexHistory.get(name) ?? []);
    for (const session of sessions) {
      const reach = history.map((points) => {
        const inside = points.filter(({ timeMs }) => timeMs > session.endMs && timeMs <= session.endMs + DAY_MS);
        return inside[inside.length - 1]?.timeMs ?? session.endMs;
      });
      session.endMs = Math.max(session.endMs, Math.min(...reach));
    }
    return sessions.filter((session) => session.endMs > session.startMs);
  }

  #buildLines(
    snapshots: readonly ChainSnapshot[],
    underlying: number,
    selection: ChainSelection,
  ): Map<number, ExpiryLine> {
    const lines = new Map<number, ExpiryLine>();
    const number = (this.underlyings[underlying] as UnderlyingDefinition).underlying;
    this.#listings.push({ underlying: number, expiryMs: 0 as TimestampMs, strikes: [], listedMs: this.startMs });
    snapshots.forEach((snapshot) => {
      const { indexMicroUsd, expiries } = snapshot.underlyings[underlying] as ChainSnapshot["underlyings"][number];
      expiries.forEach((expiry, rank) => {
        let line = lines.get(expiry.expiryMs);
        if (line === undefined) {
          if (rank >= selection.expiriesMax) return;
          line = { listedMs: Math.max(snapshot.timeMs, this.startMs), knots: [], snapshots: [] };
          lines.set(expiry.expiryMs, line);
          if (expiry.expiryMs > this.startMs) {
            this.#listings.push({
              underlying: number,
              expiryMs: expiry.expiryMs,
              strikes: listedStrikes(expiry, selection),
              listedMs: line.listedMs,
            });
          }
        }
        line.snapshots.push(expiry);
        line.knots.push({
          timeMs: snapshot.timeMs,
          basis: expiry.forwardMicroUsd / indexMicroUsd - 1,
          svi: this.#remembered(expiry),
          quotes: new Map(expiry.options.map((option) => [quoteKey(option.strikeMicroUsd, option.isCall), option])),
        });
      });
    });
    return lines;
  }

  #remembered(expiry: ExpirySnapshot): () => Svi {
    let svi: Svi | null = null;
    return () => {
      if (svi === null) {
        const fit = expiry.fit();
        this.#fitErrors.push(fit.error);
        svi = fit.svi;
      }
      return svi;
    };
  }

  /** Beyond a session's last chain the recorded at-the-money volatility moves the last smile up or down. */
  #addTermPoints(recorded: RecordedFolder): void {
    for (const point of recorded.termPoints) {
      const underlying = this.underlyings.findIndex(({ name }) => name === point.coin);
      const line = this.#lines[underlying]?.get(point.expiryMs);
      const chain = line?.knots.filter((knot) => knot.quotes !== null && knot.timeMs < point.timeMs).at(-1);
      if (line === undefined || chain === undefined) continue;
      const beyond = this.sessions.some(({ endMs }) => point.timeMs <= endMs) && !this.#nearSnapshot(point.timeMs);
      if (!beyond || point.timeMs - chain.timeMs > DAY_MS) continue;
      const basis = (point.forward * 1e6) / (this.#paths[underlying] as IndexPath).at(point.timeMs) - 1;
      line.knots.push({
        timeMs: point.timeMs,
        basis,
        svi: () => atVolatility(chain.svi(), point.volatility),
        quotes: null,
      });
      line.snapshots.push(null);
    }
    for (const lines of this.#lines) {
      for (const line of lines.values()) {
        const order = line.knots
          .map((_, i) => i)
          .sort((p, q) => (line.knots[p] as ExpiryKnot).timeMs - (line.knots[q] as ExpiryKnot).timeMs);
        line.snapshots.splice(0, Infinity, ...order.map((i) => line.snapshots[i] as ExpirySnapshot | null));
        line.knots.splice(0, Infinity, ...order.map((i) => line.knots[i] as ExpiryKnot));
      }
    }
  }

  #nearSnapshot(timeMs: number): boolean {
    return this.snapshotTimesMs.some((known) => Math.abs(known - timeMs) < SAME_MOMENT_MS);
  }

  clock(timeMs: number): { timeMs: number; jump: ClockJump | null } {
    const following = this.sessions.find((session) => session.endMs >= timeMs);
    if (following === undefined || timeMs >= following.startMs || timeMs < this.startMs) return { timeMs, jump: null };
    const before = [...this.sessions].reverse().find((session) => session.endMs < timeMs);
    return { timeMs: following.startMs, jump: { fromMs: before?.endMs ?? timeMs, toMs: following.startMs } };
  }

  marketAt(timeMs: number): MarketState {
    return {
      timeMs,
      synthetic: !this.#recordedTimes.has(timeMs),
      underlyings: this.underlyings.map((_, u) => this.#underlyingAt(u, timeMs)),
    };
  }

  #underlyingAt(underlying: number, timeMs: number): UnderlyingMarket {
    const index = (this.#paths[underlying] as IndexPath).at(timeMs);
    const expiries = new Map<number, ExpiryMarket>();
    const lines = this.#lines[underlying] as ReadonlyMap<number, ExpiryLine>;
    for (const expiryMs of [...lines.keys()].sort((p, q) => p - q)) {
      const line = lines.get(expiryMs) as ExpiryLine;
      if (expiryMs <= timeMs || line.listedMs > timeMs) continue;
      expiries.set(expiryMs, this.#expiryAt(line, underlying, expiryMs, timeMs, index));
    }
    const premium = Math.round(interpolated(this.#premiums[underlying] ?? [], timeMs) * 1e9) as PartsPerBillion;
    return { index, premium, expiries };
  }

  #expiryAt(line: ExpiryLine, underlying: number, expiryMs: number, timeMs: number, index: MicroUsd): ExpiryMarket {
    const { from, to, share } = neighbours(line, timeMs);
    // Towards an expiry that no later snapshot knows the basis runs out.
    const basis =
      to === null
        ? from.basis * ((expiryMs - timeMs) / (expiryMs - from.timeMs))
        : from.basis + (to.basis - from.basis) * share;
    let svi = from.svi();
    if (to !== null && share > 0) {
      const end = to.svi();
      const money = sviVariance(svi, 0) * (1 - share) + sviVariance(end, 0) * share;
      svi = atVolatility(mixSvi(svi, end, share), Math.sqrt(money));
    }
    const forwardMicroUsd = Math.round(index * (1 + basis)) as MicroUsd;
    const surface: ExpirySurface = {
      expiryMs: expiryMs as TimestampMs,
      forward: forwardMicroUsd,
      realisedAverage: this.indexAverage(underlying, expiryMs, timeMs),
      ...surfaceShape(svi),
    };
    return { surface, svi, forwardMicroUsd, years: (expiryMs - timeMs) / YEAR_MS };
  }

  optionReference(
    state: MarketState,
    underlying: number,
    expiryMs: number,
    strikeMicroUsd: number,
    isCall: boolean,
  ): QuoteReference {
    const none: QuoteReference = { bid: 0 as MicroUsd, ask: 0 as MicroUsd };
    const line = this.#lines[underlying]?.get(expiryMs);
    const market = state.underlyings[underlying]?.expiries.get(expiryMs);
    if (line === undefined || market === undefined) return none;
    const { from, to, share } = quoteNeighbours(line, state.timeMs);
    const key = quoteKey(strikeMicroUsd, isCall);
    const start = from.knot.quotes?.get(key);
    if (start === undefined) return none;
    if (state.timeMs === from.knot.timeMs) return { bid: start.bid, ask: start.ask };
    const end = to?.knot.quotes?.get(key);
    const mix = (p: number, q: number | null | undefined): number =>
      q === null || q === undefined ? p : p + (q - p) * share;
    const residual = mix(residualOf(start, from), end === undefined || to === null ? null : residualOf(end, to));
    const leftMs = expiryMs - state.timeMs;
    const forward = settlementForward(
      market.forwardMicroUsd,
      market.surface.realisedAverage,
      leftMs,
      this.averagingWindowMs,
    );
    const k = Math.log(strikeMicroUsd / forward);
    const volatility = Math.max(Math.sqrt(Math.max(sviVariance(market.svi, k), 0)) + residual, 0.01);
    const model = blackOverForward(k, volatility * Math.sqrt(varianceYears(leftMs, this.averagingWindowMs)), isCall);
    const tick = (this.underlyings[underlying] as UnderlyingDefinition).optionTickMicroUsd;
    const bid =
      start.bidOffset === null ? 0 : tickFloor((model + mix(start.bidOffset, end?.bidOffset)) * forward, tick);
    const ask = start.askOffset === null ? 0 : tickCeil((model + mix(start.askOffset, end?.askOffset)) * forward, tick);
    return { bid: bid as MicroUsd, ask: (ask <= bid && ask > 0 ? bid + tick : Math.max(ask, 0)) as MicroUsd };
  }

  listings(fromMs: number, toMs: number): SeriesListing[] {
    return this.#listings
      .filter(({ listedMs }) => listedMs > fromMs && listedMs <= toMs)
      .sort((p, q) => p.listedMs - q.listedMs || p.underlying - q.underlying || p.expiryMs - q.expiryMs);
  }

  indexAverage(underlying: number, expiryMs: number, timeMs: number): MicroUsd {
    return (this.#paths[underlying] as IndexPath).average(expiryMs, this.averagingWindowMs, timeMs);
  }

  fitErrors(): readonly FitError[] {
    return this.#fitErrors;
  }
}

function listedStrikes(expiry: ExpirySnapshot, selection: ChainSelection): MicroUsd[] {
  return nearestStrikes(
    expiry.options.map((option) => option.strikeMicroUsd),
    expiry.forwardMicroUsd,
    selection.strikesMax,
  );
}

/** Straight between recorded points, held outside them. */
function interpolated(points: readonly RecordedPoint[], timeMs: number): number {
  const next = points.findIndex((point) => point.timeMs > timeMs);
  const to = points[next];
  if (to === undefined) return points[points.length - 1]?.value ?? 0;
  const from = points[next - 1];
  return from === undefined ? to.value : from.value + (to.value - from.value) * shareOf(from.timeMs, to.timeMs, timeMs);
}
