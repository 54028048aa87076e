// The index path of a replay: every recorded point of an underlying, from all files that know it.
import type { MicroUsd } from "@tidemark/num";
import type { BarClose } from "./bars.ts";
import { readBarCloses } from "./bars.ts";
import type { ChainSnapshot, OptionQuote } from "./chainSnapshot.ts";
import type { Knot } from "./path.ts";
import { IndexPath } from "./path.ts";
import type { RecordedFolder } from "./recorded.ts";
import type { UnderlyingDefinition } from "./source.ts";
import { DAY_MS } from "./source.ts";

/** Two coins share this much of their movement; their correlation is its square. */
const COMMON_FACTOR = 0.92;
/** The bridge follows the at-the-money volatility of the first expiry beyond this. */
const BRIDGE_TENOR_MS = DAY_MS / 2;
const VOLATILITY_DEFAULT = 0.6;
/** Two records of the same moment may differ by the seconds that collecting them took. */
export const SAME_MOMENT_MS = 60_000;

function atTheMoneyVolatility(snapshot: ChainSnapshot, underlying: number): number {
  const expiries = snapshot.underlyings[underlying]?.expiries ?? [];
  const expiry = expiries.find((one) => one.expiryMs - snapshot.timeMs >= BRIDGE_TENOR_MS) ?? expiries[0];
  if (expiry === undefined) return VOLATILITY_DEFAULT;
  const distance = (option: OptionQuote): number => Math.abs(option.strikeMicroUsd - expiry.forwardMicroUsd);
  return expiry.options.reduce((best, option) => (distance(option) < distance(best) ? option : best)).volatility;
}

/** Snapshots, index history and, where they cover the time, candles: bent so that they meet the snapshots. */
export async function buildPath(
  recorded: RecordedFolder,
  snapshots: readonly ChainSnapshot[],
  definitions: readonly UnderlyingDefinition[],
  underlying: number,
  seed: number,
): Promise<IndexPath> {
  const coin = (definitions[underlying] as UnderlyingDefinition).name;
  const known: Knot[] = snapshots.map((snapshot) => ({
    timeMs: snapshot.timeMs,
    valueMicroUsd: snapshot.underlyings[underlying]?.indexMicroUsd as MicroUsd,
    volatility: atTheMoneyVolatility(snapshot, underlying),
  }));
  const firstMs = (known[0] as Knot).timeMs;
  const chainTimes = known.map((knot) => knot.timeMs);
  for (const point of recorded.indexHistory.get(coin) ?? []) {
    if (point.timeMs <= firstMs || chainTimes.some((timeMs) => Math.abs(timeMs - point.timeMs) < SAME_MOMENT_MS))
      continue;
    known.push({ timeMs: point.timeMs, valueMicroUsd: Math.round(point.value * 1e6) as MicroUsd, volatility: 0 });
  }
  known.sort((p, q) => p.timeMs - q.timeMs);
  for (let i = 1; i < known.length; i++) {
    const knot = known[i] as Knot;
    if (knot.volatility === 0) knot.volatility = (known[i - 1] as Knot).volatility;
  }
  const lastMs = (known[known.length - 1] as Knot).timeMs;
  const closes = await readBarCloses(recorded.bars, coin, firstMs, lastMs);
  return new IndexPath(closes.length === 0 ? known : withBars(known, closes), seed, coin, COMMON_FACTOR);
}

/** Candles keep their shape; the difference to the recorded index at both ends of a stretch is spread along it. */
function withBars(known: readonly Knot[], closes: readonly BarClose[]): Knot[] {
  const merged: Knot[] = [];
  let place = 0;
  known.forEach((from, i) => {
    merged.push(from);
    const to = known[i + 1];
    if (to === undefined) return;
    const inside: BarClose[] = [];
    while (place < closes.length && (closes[place] as { timeMs: number }).timeMs < to.timeMs) {
      const close = closes[place++] as BarClose;
      if (close.timeMs > from.timeMs) inside.push(close);
    }
    const [first, last] = [inside[0], inside[inside.length - 1]];
    if (first === undefined || last === undefined) return;
    const errorFrom = Math.log(from.valueMicroUsd / 1e6 / first.close);
    const errorTo = Math.log(to.valueMicroUsd / 1e6 / last.close);
    for (const { timeMs, close } of inside) {
      const share = (timeMs - from.timeMs) / (to.timeMs - from.timeMs);
      const value = close * 1e6 * Math.exp(errorFrom + (errorTo - errorFrom) * share);
      merged.push({ timeMs, valueMicroUsd: Math.round(value) as MicroUsd, volatility: from.volatility });
    }
  });
  return merged;
}
