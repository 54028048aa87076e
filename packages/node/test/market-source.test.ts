import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { surfaceInRange } from "../../ledger/src/risk/rows.ts";
import { sviVariance } from "../src/market/black.ts";
import { readChainSnapshot } from "../src/market/chainSnapshot.ts";
import { tickCeil, tickFloor, usdcPrice } from "../src/market/conversion.ts";
import { IndexPath } from "../src/market/path.ts";
import type { ReplaySource } from "../src/market/replay.ts";
import { openReplay } from "../src/market/replay.ts";
import { SimulatedSource } from "../src/market/simulated.ts";
import type { MarketSource } from "../src/market/source.ts";
import { AVERAGING_WINDOW_MS_DEFAULT, UNDERLYINGS_DEFAULT } from "../src/market/source.ts";
import { fitSurface, surfaceShape } from "../src/market/surface.ts";

const DATA = process.env["TIDEMARK_DATA"] ?? new URL("../../../../shared/data", import.meta.url).pathname;
const HAS_DATA = existsSync(join(DATA, "deribit_options"));
const HOUR = 3_600_000;

function expectValidSurfaces(source: MarketSource, timeMs: number): number {
  const state = source.marketAt(timeMs);
  let count = 0;
  for (const { index, premium, expiries } of state.underlyings) {
    expect(Number.isSafeInteger(index) && index > 0).toBe(true);
    expect(Math.abs(premium)).toBeLessThanOrEqual(1e9);
    expect(expiries.size).toBeLessThanOrEqual(24);
    for (const [expiryMs, { surface }] of expiries) {
      count++;
      expect(surface.expiryMs).toBe(expiryMs);
      for (const value of Object.values(surface)) expect(Number.isSafeInteger(value)).toBe(true);
      expect(surface.forward).toBeGreaterThan(0);
      expect(Math.abs(surface.rho)).toBeLessThan(1e9);
      expect(surface.b).toBeGreaterThanOrEqual(0);
      expect(surface.s).toBeGreaterThan(0);
      expect(surfaceInRange(surface), JSON.stringify(surface)).toBe(true);
      if (timeMs > expiryMs - AVERAGING_WINDOW_MS_DEFAULT) expect(surface.realisedAverage).toBeGreaterThan(0);
      const svi = {
        a: surface.a / 1e9,
        b: surface.b / 1e9,
        rho: surface.rho / 1e9,
        m: surface.m / 1e9,
        s: surface.s / 1e9,
      };
      const least = Math.min(...Array.from({ length: 201 }, (_, i) => sviVariance(svi, (i - 100) / 50)));
      expect(least, `${timeMs} ${expiryMs}`).toBeGreaterThan(0);
    }
  }
  return count;
}

describe("conversion", () => {
  it("rounds bids down and asks up to the tick, exactly", () => {
    expect(usdcPrice("0.01", "64777.01", 100_000, "bid")).toBe(647_700_000);
    expect(usdcPrice("0.01", "64777.01", 100_000, "ask")).toBe(647_800_000);
    expect(usdcPrice("0.1", "65000", 100_000, "bid")).toBe(6_500_000_000);
    expect(usdcPrice("0.1", "65000", 100_000, "ask")).toBe(6_500_000_000);
    // In floating point 0.0003 · 88535.0947548592 and its like would decide ties by luck.
    expect(usdcPrice("0.0003", "88535.0947548592", 10_000, "bid")).toBe(26_560_000);
    expect(usdcPrice("0.0003", "88535.0947548592", 10_000, "ask")).toBe(26_570_000);
    expect(usdcPrice("1e-4", "70000", 100_000, "ask")).toBe(7_000_000);
    expect(usdcPrice("0.0001", "999.99", 100_000, "bid")).toBe(0);
    expect([tickFloor(-5, 10), tickFloor(19.9, 10), tickCeil(10.1, 10), tickCeil(20, 10)]).toEqual([0, 10, 20, 20]);
  });
});

describe("index path", () => {
  const knots = [
    { timeMs: 1_000_000, valueMicroUsd: 65_000_000_000, volatility: 0.9 },
    { timeMs: 1_000_000 + 5 * HOUR, valueMicroUsd: 66_000_000_000, volatility: 0.9 },
    { timeMs: 1_000_000 + 9 * HOUR, valueMicroUsd: 64_000_000_000, volatility: 0.9 },
  ] as unknown as ConstructorParameters<typeof IndexPath>[0];

  it("meets every known point, whatever was asked before", () => {
    const path = new IndexPath(knots, 7, "BTC", 0.9);
    for (const knot of [...knots, ...[...knots].reverse()]) expect(path.at(knot.timeMs)).toBe(knot.valueMicroUsd);
    expect(path.at(0)).toBe(knots[0]?.valueMicroUsd);
    expect(path.at(path.endMs + 1)).toBe(knots[2]?.valueMicroUsd);
  });

  it("is the same for the same seed in any order of questions, another for another seed", () => {
    const times = Array.from({ length: 500 }, (_, i) => 1_000_000 + i * 61_003);
    const forwards = new IndexPath(knots, 7, "BTC", 0.9);
    const backwards = new IndexPath(knots, 7, "BTC", 0.9);
    const values = times.map((time) => forwards.at(time));
    expect(
      [...times]
        .reverse()
        .map((time) => backwards.at(time))
        .reverse(),
    ).toEqual(values);
    const other = new IndexPath(knots, 8, "BTC", 0.9);
    expect(times.filter((time, i) => other.at(time) === values[i]).length).toBeLessThan(20);
  });

  it("moves by the volatility that it was given, and together with the other coin", () => {
    const ratios: number[] = [];
    let together = 0;
    let squares = 0;
    for (let seed = 0; seed < 40; seed++) {
      const bitcoin = new IndexPath(knots, seed, "BTC", 0.92);
      const ether = new IndexPath(knots, seed, "ETH", 0.92);
      let sum = 0;
      const steps = 300;
      for (let i = 0; i < steps; i++) {
        const at = 1_000_000 + i * 60_000;
        const move = Math.log(bitcoin.at(at + 60_000) / bitcoin.at(at));
        const otherMove = Math.log(ether.at(at + 60_000) / ether.at(at));
        sum += move * move;
        together += move * otherMove;
        squares += (move * move + otherMove * otherMove) / 2;
      }
      ratios.push(Math.sqrt((sum / steps) * (365 * 24 * 60)) / 0.9);
    }
    const mean = ratios.reduce((p, q) => p + q) / ratios.length;
    expect(mean).toBeGreaterThan(0.9);
    expect(mean).toBeLessThan(1.1);
    expect(together / squares).toBeGreaterThan(0.75);
    expect(together / squares).toBeLessThan(0.95);
  });

  it("averages the samples of the window, the same at once as along the clock", () => {
    const path = new IndexPath(knots, 3, "BTC", 0.9);
    const fresh = new IndexPath(knots, 3, "BTC", 0.9);
    const expiryMs = 1_000_000 + 4 * HOUR;
    const windowMs = AVERAGING_WINDOW_MS_DEFAULT;
    expect(path.average(expiryMs, windowMs, expiryMs - windowMs)).toBe(0);
    expect(path.average(expiryMs, windowMs, expiryMs - windowMs + 1)).toBe(fresh.at(expiryMs - windowMs));
    for (let t = expiryMs - windowMs; t <= expiryMs; t += 7_001) path.average(expiryMs, windowMs, t);
    const samples = Array.from({ length: 300 }, (_, i) => fresh.at(expiryMs - windowMs + (i + 1) * 6_000));
    const expected = Math.floor(samples.reduce((p: number, q) => p + q, 0) / 300);
    expect(path.average(expiryMs, windowMs, expiryMs + HOUR)).toBe(expected);
    expect(fresh.average(expiryMs, windowMs, expiryMs)).toBe(expected);
  });
});

describe("surface fit", () => {
  it("finds a slice that was sampled without noise", () => {
    const truth = { a: 0.02, b: 0.9, rho: -0.35, m: 0.02, s: 0.12 };
    const points = Array.from({ length: 25 }, (_, i) => {
      const logMoneyness = -0.4 + i / 30;
      return { logMoneyness, volatility: Math.sqrt(sviVariance(truth, logMoneyness)), weight: 1 };
    });
    const fit = fitSurface(points, 0.1);
    expect(fit.error.rms).toBeLessThan(2e-4);
  });

  it("is not bent by a stale quote", () => {
    const truth = { a: 0.02, b: 0.9, rho: -0.35, m: 0.02, s: 0.12 };
    const points = Array.from({ length: 25 }, (_, i) => {
      const logMoneyness = -0.4 + i / 30;
      const stale = i === 5 ? 0.25 : 0;
      return { logMoneyness, volatility: Math.sqrt(sviVariance(truth, logMoneyness)) + stale, weight: 1 };
    });
    const { svi } = fitSurface(points, 0.1);
    points.forEach(({ logMoneyness, volatility }, i) => {
      if (i !== 5) expect(Math.abs(Math.sqrt(sviVariance(svi, logMoneyness)) - volatility)).toBeLessThan(0.015);
    });
  });

  it("stays inside the ledger's range when the quotes are absurd", () => {
    for (const slope of [-9, 9, 0]) {
      const points = Array.from({ length: 9 }, (_, i) => ({
        logMoneyness: (i - 4) / 10,
        volatility: Math.max(0.05, 0.5 + (slope * (i - 4)) / 10),
        weight: 1,
      }));
      const shape = surfaceShape(fitSurface(points, 0.5).svi);
      expect(Math.abs(shape.rho)).toBeLessThan(1e9);
      expect(shape.b).toBeGreaterThanOrEqual(0);
      expect(shape.s).toBeGreaterThan(0);
      expect(shape.a + shape.b * (shape.s / 1e9) * Math.sqrt(1 - (shape.rho / 1e9) ** 2)).toBeGreaterThan(0);
    }
  });
});

describe("simulated source", () => {
  it("gives the same market for the same seed in any order of questions", () => {
    const first = new SimulatedSource({ seed: 11 });
    const second = new SimulatedSource({ seed: 11 });
    const times = Array.from({ length: 40 }, (_, i) => first.startMs + i * 47 * 60_000);
    const late = times.at(-1) as number;
    expect(second.marketAt(late)).toEqual(first.marketAt(late));
    for (const time of times) expect(second.marketAt(time)).toEqual(first.marketAt(time));
    expect(second.listings(-Infinity, late)).toEqual(first.listings(-Infinity, late));
    expect(new SimulatedSource({ seed: 12 }).marketAt(late)).not.toEqual(first.marketAt(late));
  });

  it("lists several hundred instruments with valid surfaces and two-sided references", () => {
    const source = new SimulatedSource({ seed: 5 });
    let instruments = 0;
    let quoted = 0;
    const state = source.marketAt(source.startMs);
    for (const { underlying, expiryMs, strikes } of source.listings(-Infinity, source.startMs)) {
      instruments += 1 + 2 * strikes.length;
      for (const strike of strikes) {
        for (const isCall of [true, false]) {
          const { bid, ask } = source.optionReference(state, underlying, expiryMs, strike, isCall);
          expect(ask).toBeGreaterThan(bid);
          if (bid > 0) quoted++;
        }
      }
    }
    expect(instruments).toBeGreaterThan(400);
    expect(quoted / instruments).toBeGreaterThan(0.8);
    for (let hour = 0; hour < 60; hour++)
      expect(expectValidSurfaces(source, source.startMs + hour * HOUR + 123)).toBeGreaterThan(15);
    expect(source.listings(source.startMs, source.startMs + 30 * HOUR).length).toBeGreaterThan(0);
  });

  it("jumps now and then", () => {
    const source = new SimulatedSource({ seed: 5 });
    let jumps = 0;
    let previous = source.marketAt(source.startMs).underlyings[0]?.index as number;
    for (let t = source.startMs; t < source.startMs + 30 * HOUR; t += 6_000) {
      const index = source.marketAt(t).underlyings[0]?.index as number;
      if (Math.abs(Math.log(index / previous)) > 0.005) jumps++;
      previous = index;
    }
    expect(jumps).toBeGreaterThan(0);
    expect(jumps).toBeLessThan(30);
  });
});

const HEADER =
  "timestamp,instrument_name,underlying,underlying_name,option_type,strike,expiry_datetime,time_to_maturity,bid_price,ask_price,mark_price,mid_price,futures_price,futures_instrument_name,implied_volatility,delta,vega,open_interest,volume,bid_ask_spread,currency,index_price,volume_usd";
const LINE =
  "2026-02-06T04:30:12.553805+00:00,BTC-20FEB26-52000-P,64777.01,SYN.BTC-20FEB26,put,52000.0,2026-02-20T08:00:00+00:00,0.0387,0.01,0.011,0.0102,0.0105,64777.01,SYN.BTC-20FEB26,0.9589,-0.10422,23.06301,21.2,24.2,0.0009,BTC,64817.22,30149.5";

describe("malformed data", () => {
  async function failure(lines: string[]): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-data-"));
    mkdirSync(join(folder, "deribit_options"));
    const path = join(folder, "deribit_options", "chain_20260206T043012Z.csv.gz");
    writeFileSync(path, gzipSync([HEADER, ...lines].join("\n")));
    return readChainSnapshot(path, UNDERLYINGS_DEFAULT.slice(0, 1), AVERAGING_WINDOW_MS_DEFAULT).then(
      () => "accepted",
      (error: Error) => error.message,
    );
  }

  it("is named with file, line and column", async () => {
    expect(await failure([LINE])).toBe("accepted");
    expect(await failure([LINE, LINE.replace("0.01,", "abc,")])).toMatch(
      /chain_20260206T043012Z\.csv\.gz:3: column bid_price/,
    );
    expect(await failure([LINE.replace(",put,", ",straddle,")])).toMatch(/:2: column option_type/);
    expect(await failure([LINE.replace("52000.0", "53000.0")])).toMatch(/:2: column instrument_name/);
    expect(await failure([LINE.replace("0.9589", "-1")])).toMatch(/:2: column implied_volatility/);
    expect(await failure([LINE.replace("0.011", "0.001")])).toMatch(/:2: column bid_price/);
    expect(await failure([`${LINE},extra`])).toMatch(/:2: expected 23 columns, found 24/);
    expect(await failure([])).toMatch(/no BTC options/);
  });

  it("a folder that is not there, or holds no chain, or holds a truncated file, is said", async () => {
    const empty = mkdtempSync(join(tmpdir(), "tidemark-data-"));
    await expect(openReplay({ folder: join(empty, "nowhere"), seed: 1 })).rejects.toThrow(/no recorded data in/);
    mkdirSync(join(empty, "deribit_options"));
    await expect(openReplay({ folder: empty, seed: 1 })).rejects.toThrow(/nothing to replay/);
    const whole = gzipSync([HEADER, LINE].join("\n"));
    writeFileSync(
      join(empty, "deribit_options", "chain_20260206T043012Z.csv.gz"),
      whole.subarray(0, whole.length - 20),
    );
    await expect(openReplay({ folder: empty, seed: 1 })).rejects.toThrow(/cannot read .*chain_20260206T043012Z/);
  });
});

describe("candles", () => {
  it("shape the path between two snapshots, bent to meet both", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-data-"));
    mkdirSync(join(folder, "deribit_options"));
    mkdirSync(join(folder, "prices"));
    const chain = (stamp: string, time: string, index: number): void => {
      const rows = ["BTC", "ETH"].map((coin) =>
        LINE.replaceAll("BTC", coin).replace("2026-02-06T04:30:12.553805", time).replace("64817.22", String(index)),
      );
      writeFileSync(join(folder, "deribit_options", `chain_${stamp}.csv.gz`), gzipSync([HEADER, ...rows].join("\n")));
    };
    chain("20260206T040000Z", "2026-02-06T04:00:00.000000", 60_000);
    chain("20260206T080000Z", "2026-02-06T08:00:00.000000", 66_000);
    const first = Date.UTC(2026, 1, 6, 4);
    // Minute candles one percent above the index that climb early and stay.
    const bars = Array.from(
      { length: 239 },
      (_, i) => `${first + i * 60_000},0,0,0,${(60_000 + Math.min(i, 60) * 100) * 1.01},1`,
    );
    writeFileSync(
      join(folder, "prices", "btcusdt_1m_20260206_20260206.csv"),
      ["open_time_ms,open,high,low,close,volume", ...bars].join("\n"),
    );
    const source = await openReplay({ folder, seed: 1, startMs: first });
    const indexAt = (timeMs: number): number => (source.marketAt(timeMs).underlyings[0]?.index as number) / 1e6;
    expect(indexAt(first)).toBe(60_000);
    expect(indexAt(first + 4 * HOUR)).toBe(66_000);
    expect(indexAt(first + 31 * 60_000)).toBeCloseTo(63_000, -1);
    for (let minute = 62; minute < 239; minute++)
      expect(Math.abs(indexAt(first + minute * 60_000) / 66_000 - 1)).toBeLessThan(2e-4);
    // The coin without candles takes its own way.
    const ether = source.marketAt(first + 61 * 60_000).underlyings[1]?.index as number;
    expect(Math.abs(ether / 66_000e6 - 1)).toBeGreaterThan(0.01);
  });
});

describe.skipIf(!HAS_DATA)("replay", () => {
  const earliest = Date.UTC(2025, 11, 30, 17, 31, 16);
  let whole: Promise<ReplaySource> | null = null;
  const all = (): Promise<ReplaySource> => (whole ??= openReplay({ folder: DATA, seed: 4, startMs: earliest }));

  it("parses every snapshot; fits are within the stated bound", async () => {
    const files = readdirSync(join(DATA, "deribit_options")).filter((name) => name.startsWith("chain_"));
    const rms: number[] = [];
    const near: number[] = [];
    for (const name of files) {
      const snapshot = await readChainSnapshot(
        join(DATA, "deribit_options", name),
        UNDERLYINGS_DEFAULT,
        AVERAGING_WINDOW_MS_DEFAULT,
      );
      expect(snapshot.optionCount).toBeGreaterThan(1000);
      for (const { expiries } of snapshot.underlyings) {
        for (const { fit } of expiries) {
          rms.push(fit().error.rms);
          near.push(fit().error.nearMoneyMax);
        }
      }
    }
    const quantile = (values: number[], p: number): number =>
      [...values].sort((a, b) => a - b)[Math.floor(p * (values.length - 1))] as number;
    console.log(
      `${rms.length} fits; vega-weighted rms in vol points: median ${(100 * quantile(rms, 0.5)).toFixed(2)}, 99% ${(100 * quantile(rms, 0.99)).toFixed(2)}, max ${(100 * quantile(rms, 1)).toFixed(2)}; near the money max: median ${(100 * quantile(near, 0.5)).toFixed(2)}, 99% ${(100 * quantile(near, 0.99)).toFixed(2)}`,
    );
    expect(files.length).toBe(28);
    expect(quantile(rms, 0.5)).toBeLessThan(0.005);
    expect(quantile(rms, 0.99)).toBeLessThan(0.035);
    expect(quantile(rms, 1)).toBeLessThan(0.06);
    expect(quantile(near, 0.99)).toBeLessThan(0.045);
  });

  it("gives recorded values at a snapshot and synthetic ones between", async () => {
    const source = await all();
    for (const timeMs of source.snapshotTimesMs.slice(0, 6)) {
      const state = source.marketAt(timeMs);
      const name = new Date(timeMs).toISOString().replace(/[-:]/g, "").slice(0, 15);
      const path = join(DATA, "deribit_options", `chain_${name}Z.csv.gz`);
      const recorded = await readChainSnapshot(path, UNDERLYINGS_DEFAULT, AVERAGING_WINDOW_MS_DEFAULT);
      expect(state.synthetic).toBe(false);
      expect(source.marketAt(timeMs + 1).synthetic).toBe(true);
      recorded.underlyings.forEach((underlying, u) => {
        expect(state.underlyings[u]?.index).toBe(underlying.indexMicroUsd);
        for (const { expiryMs, forwardMicroUsd, options } of underlying.expiries) {
          const market = state.underlyings[u]?.expiries.get(expiryMs);
          if (market === undefined) continue;
          expect(Math.abs(market.forwardMicroUsd - forwardMicroUsd)).toBeLessThanOrEqual(1);
          for (const { strikeMicroUsd, isCall, bid, ask } of options) {
            expect(source.optionReference(state, u, expiryMs, strikeMicroUsd, isCall)).toEqual({ bid, ask });
          }
        }
      });
    }
  });

  it("references move without a break when a snapshot's moment passes", async () => {
    const source = await openReplay({ folder: DATA, seed: 4 });
    const before = source.marketAt(source.startMs);
    const after = source.marketAt(source.startMs + 1);
    let compared = 0;
    for (const { underlying, expiryMs, strikes } of source.listings(-Infinity, source.startMs)) {
      const tick = UNDERLYINGS_DEFAULT[underlying]?.optionTickMicroUsd as number;
      for (const strike of strikes) {
        const p = source.optionReference(before, underlying, expiryMs, strike, true);
        const q = source.optionReference(after, underlying, expiryMs, strike, true);
        if (p.bid === 0 || p.ask === 0) continue;
        compared++;
        const forward = before.underlyings[underlying]?.index as number;
        expect(Math.abs(p.bid - q.bid)).toBeLessThanOrEqual(tick + forward * 2e-6);
        expect(Math.abs(p.ask - q.ask)).toBeLessThanOrEqual(tick + forward * 2e-6);
      }
    }
    expect(compared).toBeGreaterThan(150);
  });

  it("every surface on the way is inside the ledger's range, at and between snapshots", async () => {
    const source = await all();
    for (const { startMs, endMs } of source.sessions) {
      for (let t = Math.max(startMs, source.startMs); t < endMs; t += 97 * 60_000)
        expect(expectValidSurfaces(source, t)).toBeGreaterThan(10);
    }
  });

  it("starts by default so that a minute at 300 times spans an expiry and its averaging window", async () => {
    const source = await openReplay({ folder: DATA, seed: 4 });
    const expiryMs = Date.UTC(2026, 1, 6, 8);
    expect(new Date(source.startMs).toISOString()).toBe("2026-02-06T04:30:12.553Z");
    expect(expiryMs - source.startMs).toBeLessThan(45 * 300_000);
    expect(source.indexAverage(0, expiryMs, expiryMs - AVERAGING_WINDOW_MS_DEFAULT)).toBe(0);
    const state = source.marketAt(expiryMs - 600_000);
    const market = state.underlyings[0]?.expiries.get(expiryMs);
    expect(market?.surface.realisedAverage).toBe(source.indexAverage(0, expiryMs, expiryMs - 600_000));
    expect(market?.surface.realisedAverage).toBeGreaterThan(0);
    const settled = source.indexAverage(0, expiryMs, expiryMs) / (state.underlyings[0]?.index as number);
    expect(Math.abs(settled - 1)).toBeLessThan(0.03);
    const instruments = source
      .listings(-Infinity, source.startMs)
      .reduce((sum, { strikes }) => sum + 1 + 2 * strikes.length, 0);
    expect(instruments).toBeGreaterThan(400);
  });

  it("jumps over gaps of more than a day, and says so", async () => {
    const source = await all();
    expect(source.sessions.length).toBe(3);
    for (let i = 1; i < source.sessions.length; i++) {
      const [before, after] = [source.sessions[i - 1], source.sessions[i]] as [{ endMs: number }, { startMs: number }];
      expect(source.clock(before.endMs)).toEqual({ timeMs: before.endMs, jump: null });
      expect(source.clock(before.endMs + 1)).toEqual({
        timeMs: after.startMs,
        jump: { fromMs: before.endMs, toMs: after.startMs },
      });
    }
  });

  it("same seed, same path; both sources keep listings in time order", async () => {
    const [first, second] = [await openReplay({ folder: DATA, seed: 9 }), await openReplay({ folder: DATA, seed: 9 })];
    const other = await openReplay({ folder: DATA, seed: 10 });
    let different = 0;
    for (let t = first.startMs; t < first.startMs + 5 * HOUR; t += 11 * 60_000) {
      expect(second.marketAt(t)).toEqual(first.marketAt(t));
      if (other.marketAt(t).underlyings[0]?.index !== first.marketAt(t).underlyings[0]?.index) different++;
    }
    expect(different).toBeGreaterThan(20);
    const later = first.listings(first.startMs, first.startMs + 48 * HOUR);
    expect(later.length).toBeGreaterThan(0);
    for (const { listedMs } of later) expect(first.snapshotTimesMs).toContain(listedMs);
  });
});

describe("recorded data", () => {
  it("is present where CI runs", () => {
    if (!HAS_DATA)
      console.warn(`recorded data not found at ${DATA}: the replay tests were skipped (set TIDEMARK_DATA)`);
    expect(HAS_DATA || process.env["CI"] !== "true").toBe(true);
  });
});
