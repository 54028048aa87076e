// Recorded candles of BTC and ETH: known points of the path between two chain snapshots, where a file covers them.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readCsv } from "./csv.ts";

export interface BarFile {
  path: string;
  name: string;
  /** Coin in upper case. */
  coin: string;
  intervalMs: number;
  /** From the dates in the name, whole days. */
  fromMs: number;
  toMs: number;
}

export interface BarClose {
  timeMs: number;
  close: number;
}

const INTERVALS: Readonly<Record<string, number>> = { "1m": 60_000, "5m": 300_000, "1h": 3_600_000 };
const FILE_NAME = /^([a-z]{3})usd[a-z_]*_(1m|5m|1h)_(\d{8})_(\d{8})\.csv(\.gz)?$/;

function dayMs(day: string): number {
  return Date.UTC(Number(day.slice(0, 4)), Number(day.slice(4, 6)) - 1, Number(day.slice(6, 8)));
}

/** Files named `<coin>usd…_<interval>_<first day>_<last day>.csv[.gz]`; others in the folder are no bars of an index. */
export function listBarFiles(folder: string): BarFile[] {
  if (!existsSync(folder)) return [];
  const files: BarFile[] = [];
  for (const name of readdirSync(folder).sort()) {
    const match = FILE_NAME.exec(name);
    if (match === null) continue;
    const [, coin, interval, first, last] = match as unknown as [string, string, string, string, string];
    files.push({
      path: join(folder, name),
      name,
      coin: coin.toUpperCase(),
      intervalMs: INTERVALS[interval] as number,
      fromMs: dayMs(first),
      toMs: dayMs(last) + 86_400_000,
    });
  }
  return files;
}

/** Closes strictly inside (fromMs, toMs), stamped with the end of their bar, from the finest files that overlap. */
export async function readBarCloses(
  files: readonly BarFile[],
  coin: string,
  fromMs: number,
  toMs: number,
): Promise<BarClose[]> {
  const overlapping = files
    .filter((file) => file.coin === coin && file.fromMs < toMs && file.toMs > fromMs)
    .sort((p, q) => p.intervalMs - q.intervalMs);
  const closes = new Map<number, number>();
  for (const file of overlapping) {
    for await (const row of readCsv(file.path, ["open_time_ms", "close"])) {
      const timeMs = row.positive("open_time_ms") + file.intervalMs;
      if (timeMs > fromMs && timeMs < toMs && !closes.has(timeMs)) closes.set(timeMs, row.positive("close"));
    }
  }
  return [...closes].sort(([p], [q]) => p - q).map(([timeMs, close]) => ({ timeMs, close }));
}
