// The recorded folder as known points: chain snapshots, index history, term structure, perpetual prices and candles.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { BarFile } from "./bars.ts";
import { listBarFiles } from "./bars.ts";
import { dataError, readCsv } from "./csv.ts";
import { DAY_MS } from "./source.ts";

export interface SnapshotFile {
  path: string;
  /** From the name; the rows carry milliseconds. */
  timeMs: number;
}

/** A run of snapshots without a gap over one day. */
export interface RecordedSession {
  files: SnapshotFile[];
}

export interface RecordedPoint {
  timeMs: number;
  value: number;
}

/** At-the-money volatility and forward of one expiry at a moment without a shipped chain. */
export interface TermPoint {
  timeMs: number;
  coin: string;
  expiryMs: number;
  forward: number;
  volatility: number;
}

export interface RecordedFolder {
  folder: string;
  sessions: RecordedSession[];
  bars: BarFile[];
  indexHistory: ReadonlyMap<string, RecordedPoint[]>;
  /** Perpetual price, USD. */
  perpetuals: ReadonlyMap<string, RecordedPoint[]>;
  termPoints: TermPoint[];
}

const CHAIN_NAME = /^chain_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.csv\.gz$/;

function listSnapshots(folder: string): SnapshotFile[] {
  const files: SnapshotFile[] = [];
  for (const name of readdirSync(folder).sort()) {
    const match = CHAIN_NAME.exec(name);
    if (match === null) continue;
    const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    files.push({ path: join(folder, name), timeMs: Date.UTC(year, month - 1, day, hour, minute, second) });
  }
  return files;
}

function splitSessions(files: readonly SnapshotFile[]): RecordedSession[] {
  const sessions: RecordedSession[] = [];
  let lastMs = -Infinity;
  for (const file of files) {
    if (file.timeMs - lastMs > DAY_MS) sessions.push({ files: [] });
    (sessions[sessions.length - 1] as RecordedSession).files.push(file);
    lastMs = file.timeMs;
  }
  return sessions;
}

async function readPoints(
  path: string,
  columns: { time: string; coin: string; value: string },
): Promise<Map<string, RecordedPoint[]>> {
  const points = new Map<string, RecordedPoint[]>();
  if (!existsSync(path)) return points;
  for await (const row of readCsv(path, Object.values(columns))) {
    // A moment without a price is not an error of the file.
    if (row.isMissing(columns.value)) continue;
    const coin = row.text(columns.coin);
    let list = points.get(coin);
    if (list === undefined) points.set(coin, (list = []));
    list.push({ timeMs: row.timeMs(columns.time), value: row.positive(columns.value) });
  }
  for (const list of points.values()) list.sort((p, q) => p.timeMs - q.timeMs);
  return points;
}

async function readTermPoints(path: string): Promise<TermPoint[]> {
  const points: TermPoint[] = [];
  if (!existsSync(path)) return points;
  for await (const row of readCsv(path, [
    "snapshot_utc",
    "currency",
    "expiry_utc",
    "futures_price_usd",
    "atm_call_iv",
  ])) {
    if (row.isMissing("futures_price_usd") || row.isMissing("atm_call_iv")) continue;
    points.push({
      timeMs: row.timeMs("snapshot_utc"),
      coin: row.text("currency"),
      expiryMs: row.timeMs("expiry_utc"),
      forward: row.positive("futures_price_usd"),
      volatility: row.positive("atm_call_iv"),
    });
  }
  return points.sort((p, q) => p.timeMs - q.timeMs || p.expiryMs - q.expiryMs);
}

/** Reads everything but the chains themselves. @throws NodeError when the folder has no chains. */
export async function readRecordedFolder(folder: string): Promise<RecordedFolder> {
  const chains = join(folder, "deribit_options");
  if (!existsSync(chains)) {
    throw dataError("DATA_MISSING", `no recorded data in ${folder}: the folder deribit_options is not there`, {
      folder,
    });
  }
  const sessions = splitSessions(listSnapshots(chains));
  if (sessions.length === 0) {
    throw dataError("DATA_MISSING", `no chain_<time>.csv.gz in ${chains}: there is nothing to replay`, {
      folder: chains,
    });
  }
  return {
    folder,
    sessions,
    bars: listBarFiles(join(folder, "prices")),
    indexHistory: await readPoints(join(chains, "index_history.csv.gz"), {
      time: "snapshot_utc",
      coin: "currency",
      value: "index_price_usd",
    }),
    perpetuals: await readPoints(join(chains, "perpetual_futures_prices.csv.gz"), {
      time: "obs_datetime",
      coin: "coin",
      value: "candle_price_used",
    }),
    termPoints: await readTermPoints(join(chains, "atm_term_structure.csv.gz")),
  };
}

const EXPIRY_HOUR_MS = 8 * 3_600_000;
const FRIDAY = 5;

/**
 * Where a replay begins when nobody says: the first snapshot before a Friday's 08:00 expiry (weekly or larger) that the
 * snapshot's session outlives, else before any day's expiry, else the first. Within six hours, so that a minute's run at
 * the default speed spans the expiry and its averaging window.
 */
export function defaultStartMs(sessions: readonly RecordedSession[]): number {
  const candidates = sessions.flatMap(({ files }) =>
    files.filter((file) => {
      const expiryMs = nextExpiryMs(file.timeMs);
      const last = files[files.length - 1] as SnapshotFile;
      return expiryMs - file.timeMs <= DAY_MS / 4 && last.timeMs > expiryMs;
    }),
  );
  const friday = candidates.find((file) => new Date(nextExpiryMs(file.timeMs)).getUTCDay() === FRIDAY);
  return (friday ?? candidates[0] ?? ((sessions[0] as RecordedSession).files[0] as SnapshotFile)).timeMs;
}

/** The next 08:00 UTC strictly after `timeMs`. */
export function nextExpiryMs(timeMs: number): number {
  const today = Math.floor(timeMs / DAY_MS) * DAY_MS + EXPIRY_HOUR_MS;
  return today > timeMs ? today : today + DAY_MS;
}
