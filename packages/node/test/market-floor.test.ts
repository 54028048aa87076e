import { existsSync } from "node:fs";
import { join } from "node:path";
import { silentSink } from "@tidemark/engine";
import type { CompactSignature, InstrumentCell } from "@tidemark/ledger";
import { domainSeparator, orderHash, reportHash, settlementHash, withdrawalHash } from "@tidemark/ledger";
import type { InstrumentNumber, TimestampMs, UnderlyingNumber } from "@tidemark/num";
import { hexToBytes } from "@tidemark/num";
import { describe, expect, it } from "vitest";
import { Oracle } from "../src/market/oracle.ts";
import { openReplay } from "../src/market/replay.ts";
import { SimulatedSource } from "../src/market/simulated.ts";
import { floorKey, TradingFloor } from "../src/market/traders.ts";
import { signer } from "../src/signatures/signer.ts";
import { TestVenue, testParameters } from "./marketVenue.ts";

const DATA = process.env["TIDEMARK_DATA"] ?? new URL("../../../../shared/data", import.meta.url).pathname;
const HAS_DATA = existsSync(join(DATA, "deribit_options"));
const STEP_MS = 75_000;
const SEED = 20_260_206;

const recover = (digest: Uint8Array, signature: CompactSignature): string | null =>
  signer.recoverAddress(digest, hexToBytes(signature));

describe("oracle", () => {
  it("signs reports and settlements with a quorum in increasing order", () => {
    const source = new SimulatedSource({ seed: SEED });
    const parameters = testParameters(SEED);
    const separator = domainSeparator(parameters);
    const key = (place: number) => ({ signer: place, privateKey: floorKey(SEED, `oracle ${place}`) });
    const oracle = new Oracle({ source, parameters, keys: [key(2), key(0), key(1)] });
    for (const underlying of [0, 1] as UnderlyingNumber[]) {
      const report = oracle.report(underlying, (source.startMs + 10_000) as TimestampMs);
      expect(report.surfaces.length).toBeGreaterThan(8);
      const digest = reportHash(report, parameters.domain, separator);
      expect(report.signatures.map(({ signer: place }) => place)).toEqual([0, 1]);
      for (const { signer: place, signature } of report.signatures)
        expect(recover(digest, signature)).toBe(parameters.oracles[place]);
      const expiryMs = report.surfaces[0]?.expiryMs as TimestampMs;
      const settlement = oracle.settlement(underlying, expiryMs, (expiryMs + 5_000) as TimestampMs);
      expect(settlement.settlementPrice).toBe(source.indexAverage(underlying, expiryMs, expiryMs));
      const settled = settlementHash(settlement, parameters.domain, separator);
      for (const { signer: place, signature } of settlement.signatures)
        expect(recover(settled, signature)).toBe(parameters.oracles[place]);
    }
    expect(() => new Oracle({ source, parameters, keys: [key(0), key(0)] })).toThrow(/1 of 2 oracle keys/);
    expect(
      () => new Oracle({ source, parameters, keys: [key(0), { signer: 1, privateKey: floorKey(1, "x") }] }),
    ).toThrow(/1 of 2/);
  });
});

describe("trading floor", () => {
  it("asks for accounts with distinct labels, two makers with several each, one session key", () => {
    const floor = new TradingFloor({
      source: new SimulatedSource({ seed: SEED }),
      parameters: testParameters(SEED),
      seed: SEED,
      stepWallMs: 250,
    });
    const requests = floor.accountsNeeded();
    expect(new Set(requests.map(({ label }) => label)).size).toBe(requests.length);
    const byOwner = new Map<string, number>();
    for (const { owner, ownerKey } of requests) {
      expect(signer.addressOf(ownerKey)).toBe(owner);
      byOwner.set(owner, (byOwner.get(owner) ?? 0) + 1);
    }
    expect([...byOwner.values()].filter((count) => count > 2).length).toBe(2);
    expect(requests.filter(({ delegate }) => delegate !== null).length).toBe(1);
    expect(requests.every(({ depositMicroUsdc }) => depositMicroUsdc > 0)).toBe(true);
  });

  it("trades a simulated market on the real engine: everything signed, nonces increasing, nobody with himself", () => {
    const source = new SimulatedSource({ seed: SEED });
    const venue = new TestVenue(source, SEED);
    const steps = 24;
    for (let i = 0; i < steps; i++) venue.step(source.startMs + i * STEP_MS);
    const { counts } = venue;
    const separator = domainSeparator(testParameters(SEED));
    const nonces = new Map<number, number>();
    const traders = new Map(
      venue.floor.accountsNeeded().map(({ owner, delegate }, i) => [2 + i, { owner, trader: delegate?.key ?? owner }]),
    );
    let checked = 0;
    for (const command of venue.log) {
      if (command.kind === "cancel" || command.kind === "cancelAll") continue;
      const signed = command.kind === "withdraw" ? command.withdrawal : command.order;
      expect(signed.nonce).toBeGreaterThan(nonces.get(signed.account) ?? 0);
      nonces.set(signed.account, signed.nonce);
      expect(signed.expiryMs).toBeGreaterThan(command.timeMs);
      // Recovering every one of some ten thousand signatures would be the test's whole time.
      if (checked++ % 17 !== 0) continue;
      if (command.kind === "withdraw")
        expect(recover(withdrawalHash(command.withdrawal, separator), command.signature)).toBe(
          traders.get(signed.account)?.owner,
        );
      else {
        expect(recover(orderHash(command.order, separator), command.signature)).toBe(command.signer);
        expect(command.signer).toBe(traders.get(signed.account)?.trader);
      }
    }
    const quotes = venue.log.filter((one) => one.kind !== "withdraw" && (one.kind !== "place" || one.postOnly)).length;
    const refused = [...counts.rejected.values()].reduce((p, q) => p + q, 0);
    const context = `seed ${SEED}: ${JSON.stringify({ ...counts, rejected: [...counts.rejected] })}`;
    expect(counts.inboundFailures, context).toBe(0);
    expect(counts.selfTrades, context).toBe(0);
    expect(counts.fills, context).toBeGreaterThan(25 * (steps - 4));
    expect(venue.quoted.size, context).toBeGreaterThan(400);
    expect(venue.floor.uncovered, context).toBe(0);
    expect(quotes / venue.log.length, context).toBeGreaterThan(0.88);
    expect(refused / venue.log.length, context).toBeLessThan(0.1);
    expect(counts.funding, context).toBeGreaterThan(0);
    expect(counts.badDebt, context).toBe(0);
    console.log(
      `floor: ${(venue.floorMs / steps).toFixed(1)} ms a step of ${Math.round(venue.log.length / steps)} commands, ${counts.fills} fills in ${steps} steps`,
    );
  });

  it("is deterministic from seed and source", () => {
    const run = (seed: number): unknown[] => {
      const source = new SimulatedSource({ seed });
      const venue = new TestVenue(source, seed);
      for (let i = 0; i < 7; i++) venue.step(source.startMs + i * STEP_MS);
      return venue.log;
    };
    const first = run(5);
    expect(first.length).toBeGreaterThan(1_500);
    expect(run(5)).toEqual(first);
    expect(run(6)).not.toEqual(first);
  });

  it("after a restart cancels what nobody remembers and goes on behind the last nonce", () => {
    const source = new SimulatedSource({ seed: 9 });
    const venue = new TestVenue(source, 9);
    const floor = new TradingFloor({ source, parameters: testParameters(9), seed: 9, stepWallMs: 250 });
    floor.assignAccounts(floor.accountsNeeded().map((_, i) => ({ account: 2 + i, lastNonce: 1_000 })));
    const { floor: original, engine } = venue;
    for (let i = 0; i < 3; i++) venue.step(source.startMs + i * STEP_MS);
    expect(engine.openOrderCount).toBeGreaterThan(500);
    const nothing = { equity: 0, initial: 0, maintenance: 0 };
    const commands = floor.step(source.startMs + 3 * STEP_MS, {
      instrumentCount: () => 0,
      instrument: (number) => engine.ledger.instrument(number as InstrumentNumber) as Readonly<InstrumentCell>,
      bestBid: () => 0,
      bestAsk: () => 0,
      position: () => 0,
      margin: () => nothing,
      withdrawable: () => 0,
    });
    expect(commands.filter(({ kind }) => kind === "cancelAll").length).toBe(original.accountsNeeded().length);
    for (const command of commands) expect(engine.apply(command, silentSink).ok).toBe(true);
    expect(engine.openOrderCount).toBe(0);
  });
});

describe.skipIf(!HAS_DATA)("the replayed day", () => {
  it("brings an expiry, withdrawals and liquidations through the book; session keys sign", async () => {
    const source = await openReplay({
      folder: DATA,
      seed: 4,
      startMs: Date.UTC(2026, 1, 6, 6, 20),
      selection: { expiriesMax: 3, strikesMax: 4 },
    });
    const venue = new TestVenue(source, 4, 60);
    const expiryMs = Date.UTC(2026, 1, 6, 8);
    for (let t = source.startMs; t <= expiryMs + 2 * STEP_MS; t += STEP_MS) venue.step(t);
    const { counts } = venue;
    const context = `seed 4: ${JSON.stringify({ ...counts, rejected: [...counts.rejected], liquidated: [...counts.liquidatedLabels] })}`;
    expect(counts.expiries, context).toBe(2);
    expect(counts.withdrawals, context).toBe(2);
    expect(counts.liquidationFills, context).toBeGreaterThan(0);
    expect(counts.liquidatedLabels.size, context).toBeGreaterThan(0);
    expect(counts.selfTrades, context).toBe(0);
    expect(counts.fills, context).toBeGreaterThan(400);
    const delegated = venue.floor.accountsNeeded().findIndex(({ delegate }) => delegate !== null);
    const byDelegate = venue.log.filter((one) => one.kind === "place" && one.order.account === 2 + delegated);
    expect(byDelegate.length, context).toBeGreaterThan(5);
  });
});
