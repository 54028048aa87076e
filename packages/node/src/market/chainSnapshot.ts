// One recorded chain: every listed option of every underlying at one moment, converted to USDC.
import type { MicroUsd, TimestampMs } from "@tidemark/num";
import { blackOverForward, varianceYears, vegaOverForward, YEAR_MS } from "./black.ts";
import { usdcPrice } from "./conversion.ts";
import type { CsvRow } from "./csv.ts";
import { dataError, readCsv } from "./csv.ts";
import type { SmilePoint, SurfaceFit } from "./surface.ts";
import { fitSurface } from "./surface.ts";

export interface OptionQuote {
  isCall: boolean;
  strikeMicroUsd: MicroUsd;
  /** Implied volatility of the exchange's mark, fraction. */
  volatility: number;
  /** USDC reference, micro-USD per coin on the tick; 0 = no quote on that side. */
  bid: MicroUsd;
  ask: MicroUsd;
  /** Distance of bid and ask from the model price at `volatility`, in units of the forward; null = no quote. */
  bidOffset: number | null;
  askOffset: number | null;
}

export interface ExpirySnapshot {
  expiryMs: TimestampMs;
  forwardMicroUsd: MicroUsd;
  /** By strike, calls before puts. */
  options: OptionQuote[];
  /** Fitted when first asked for. */
  readonly fit: () => SurfaceFit;
}

export interface UnderlyingSnapshot {
  indexMicroUsd: MicroUsd;
  /** By expiry. */
  expiries: ExpirySnapshot[];
}

export interface ChainSnapshot {
  file: string;
  timeMs: number;
  /** In the order of the underlying names asked for. */
  underlyings: UnderlyingSnapshot[];
  optionCount: number;
}

/** Tick of options, by underlying: references lie on it. */
export interface UnderlyingTick {
  name: string;
  optionTickMicroUsd: number;
}

const COLUMNS = [
  "timestamp",
  "instrument_name",
  "option_type",
  "strike",
  "expiry_datetime",
  "bid_price",
  "ask_price",
  "futures_price",
  "implied_volatility",
  "currency",
  "index_price",
];

/** Volatilities above carry no information but the exchange's cap, and would leave the range of any pricing. */
const VOLATILITY_MAX = 4;
/** Options less sensitive than this, against the most sensitive one, quote the exchange's floor and cap, not a smile. */
const SENSITIVITY_MIN = 1e-3;
/** Least weight: the wings stay attached where vega fades. */
const WEIGHT_FLOOR = 0.01;

interface RawOption {
  isCall: boolean;
  strikeMicroUsd: MicroUsd;
  futures: string;
  bid: string | null;
  ask: string | null;
  volatility: number;
}

interface RawExpiry {
  futures: number[];
  options: RawOption[];
}

interface RawUnderlying {
  index: number[];
  expiries: Map<number, RawExpiry>;
}

/** The instrument's name, its type, strike and expiry columns say the same thing twice; a row that disagrees is refused. */
function checkName(row: CsvRow, currency: string, isCall: boolean, strike: number, expiryMs: number): void {
  const match = /^([A-Z]+)-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:d\d+)?)-([CP])$/.exec(row.text("instrument_name"));
  if (match === null) throw row.error("instrument_name", "CURRENCY-DDMMMYY-STRIKE-C/P");
  const day = new Date(expiryMs);
  const month = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"][day.getUTCMonth()];
  const date = `${day.getUTCDate()}${month}${String(day.getUTCFullYear()).slice(2)}`;
  const named = Number((match[3] as string).replace("d", "."));
  if (match[1] !== currency || match[2] !== date || named !== strike || (match[4] === "C") !== isCall) {
    throw row.error("instrument_name", `the name of a ${currency} ${isCall ? "call" : "put"} at ${strike} of ${date}`);
  }
}

function readOption(row: CsvRow, timeMs: number, byName: ReadonlyMap<string, RawUnderlying>): boolean {
  const currency = row.text("currency");
  const underlying = byName.get(currency);
  if (underlying === undefined) return false;
  const type = row.text("option_type");
  if (type !== "call" && type !== "put") throw row.error("option_type", "call or put");
  const strike = row.positive("strike");
  const expiryMs = row.timeMs("expiry_datetime");
  checkName(row, currency, type === "call", strike, expiryMs);
  const futures = row.positive("futures_price");
  underlying.index.push(row.positive("index_price"));
  if (expiryMs <= timeMs) return false;
  const volatility = row.numberOrNull("implied_volatility");
  const bid = row.decimalOrNull("bid_price");
  const ask = row.decimalOrNull("ask_price");
  if (bid !== null && ask !== null && Number(bid) > Number(ask))
    throw row.error("bid_price", "a bid not above the ask");
  if (volatility === null || !(volatility > 0)) throw row.error("implied_volatility", "a volatility above 0");
  let expiry = underlying.expiries.get(expiryMs);
  if (expiry === undefined) underlying.expiries.set(expiryMs, (expiry = { futures: [], options: [] }));
  expiry.futures.push(futures);
  expiry.options.push({
    isCall: type === "call",
    strikeMicroUsd: Math.round(strike * 1e6) as MicroUsd,
    futures: row.text("futures_price"),
    bid: bid !== null && Number(bid) > 0 ? bid : null,
    ask: ask !== null && Number(ask) > 0 ? ask : null,
    volatility: Math.min(volatility, VOLATILITY_MAX),
  });
  return true;
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((p, q) => p - q);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Reads and checks one file. @throws NodeError with file, line and column. */
export async function readChainSnapshot(
  path: string,
  ticks: readonly UnderlyingTick[],
  windowMs: number,
): Promise<ChainSnapshot> {
  const byName = new Map<string, RawUnderlying>(ticks.map((tick) => [tick.name, { index: [], expiries: new Map() }]));
  let timeMs = -1;
  let optionCount = 0;
  for await (const row of readCsv(path, COLUMNS)) {
    const rowTime = row.timeMs("timestamp");
    if (timeMs < 0) timeMs = rowTime;
    else if (rowTime !== timeMs) throw row.error("timestamp", "the same collection time in the whole file");
    if (readOption(row, timeMs, byName)) optionCount++;
  }
  const underlyings = ticks.map((tick) => {
    const raw = byName.get(tick.name) as RawUnderlying;
    if (raw.index.length === 0)
      throw dataError("DATA_INCOMPLETE", `${path}: no ${tick.name} options`, { file: path, underlying: tick.name });
    return {
      indexMicroUsd: Math.round(medianOf(raw.index) * 1e6) as MicroUsd,
      expiries: [...raw.expiries]
        .sort(([p], [q]) => p - q)
        .map(([expiryMs, expiry]) => convertExpiry(expiry, expiryMs, timeMs, tick, windowMs)),
    };
  });
  return { file: path, timeMs, underlyings, optionCount };
}

function convertExpiry(
  raw: RawExpiry,
  expiryMs: number,
  timeMs: number,
  tick: UnderlyingTick,
  windowMs: number,
): ExpirySnapshot {
  const forward = medianOf(raw.futures);
  const years = (expiryMs - timeMs) / YEAR_MS;
  const pricingYears = varianceYears(expiryMs - timeMs, windowMs);
  const options = raw.options
    .map((option) => convertOption(option, forward, pricingYears, tick))
    .sort((p, q) => p.strikeMicroUsd - q.strikeMicroUsd || Number(q.isCall) - Number(p.isCall));
  let fit: SurfaceFit | null = null;
  return {
    expiryMs: expiryMs as TimestampMs,
    forwardMicroUsd: Math.round(forward * 1e6) as MicroUsd,
    options,
    fit: () => (fit ??= fitSurface(smileOf(options, forward * 1e6, years), years)),
  };
}

function convertOption(raw: RawOption, forward: number, pricingYears: number, tick: UnderlyingTick): OptionQuote {
  const { isCall, strikeMicroUsd, volatility } = raw;
  const logMoneyness = Math.log(strikeMicroUsd / 1e6 / forward);
  const model = blackOverForward(logMoneyness, volatility * Math.sqrt(pricingYears), isCall);
  // Rows were read seconds apart, each with its own futures price; distances are from the model at the expiry's forward.
  const scale = Number(raw.futures) / forward;
  return {
    isCall,
    strikeMicroUsd,
    volatility,
    bid: raw.bid === null ? (0 as MicroUsd) : usdcPrice(raw.bid, raw.futures, tick.optionTickMicroUsd, "bid"),
    ask: raw.ask === null ? (0 as MicroUsd) : usdcPrice(raw.ask, raw.futures, tick.optionTickMicroUsd, "ask"),
    bidOffset: raw.bid === null ? null : Number(raw.bid) * scale - model,
    askOffset: raw.ask === null ? null : Number(raw.ask) * scale - model,
  };
}

/** Out-of-the-money options carry the smile: their quotes are the tighter ones in volatility. */
function smileOf(options: readonly OptionQuote[], forwardMicroUsd: number, years: number): SmilePoint[] {
  const points: SmilePoint[] = [];
  for (const option of options) {
    const outOfTheMoney = option.isCall
      ? option.strikeMicroUsd >= forwardMicroUsd
      : option.strikeMicroUsd < forwardMicroUsd;
    if (!outOfTheMoney) continue;
    const logMoneyness = Math.log(option.strikeMicroUsd / forwardMicroUsd);
    const vega = vegaOverForward(logMoneyness, option.volatility * Math.sqrt(years), years);
    points.push({ logMoneyness, volatility: option.volatility, weight: vega });
  }
  const top = Math.max(...points.map((point) => point.weight));
  return points
    .filter((point) => point.weight >= top * SENSITIVITY_MIN)
    .map((point) => ({ ...point, weight: Math.max(point.weight / top, WEIGHT_FLOOR) }));
}
