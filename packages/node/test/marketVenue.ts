// A venue without an L1 for tests of the floor: the real engine, fed with the oracle's reports and the floor's commands.

import type { Command, EventSink } from "@tidemark/engine";
import { Engine, silentSink } from "@tidemark/engine";
import type { InboundEntry, ParameterSet } from "@tidemark/ledger";
import { defaultParameters, encodeInboundEntry } from "@tidemark/ledger";
import type { AccountNumber, MicroUsdc, TimestampMs } from "@tidemark/num";
import type { FloorCommand } from "../src/market/desk.ts";
import { engineView } from "../src/market/engineView.ts";
import { Oracle } from "../src/market/oracle.ts";
import type { MarketSource } from "../src/market/source.ts";
import { floorKey, TradingFloor } from "../src/market/traders.ts";
import { signer } from "../src/signatures/signer.ts";

const ORACLES = 3;
const QUORUM = 2;
const FIRST_ACCOUNT = 2;

export function testParameters(seed: number): ParameterSet {
  return defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"5f".repeat(20)}`,
    oracles: Array.from({ length: ORACLES }, (_, i) => signer.addressOf(floorKey(seed, `oracle ${i}`))),
    oracleQuorum: QUORUM,
    treasuryOwner: `0x${"11".repeat(20)}`,
    insuranceOwner: `0x${"22".repeat(20)}`,
  });
}

export interface VenueCounts {
  messages: Record<string, number>;
  fills: number;
  selfTrades: number;
  liquidationFills: number;
  liquidatedLabels: Set<string>;
  withdrawals: number;
  funding: number;
  expiries: number;
  cancelled: Map<number, number>;
  rejected: Map<number, number>;
  cycles: Map<string, number>;
  inboundFailures: number;
  badDebt: number;
}

/** Runs steps of the venue's time and counts. Feedback goes to the floor as a pipeline would pass it on. */
export class TestVenue {
  readonly engine: Engine;
  readonly floor: TradingFloor;
  readonly source: MarketSource;
  readonly oracle: Oracle;
  readonly counts: VenueCounts;
  readonly log: FloorCommand[] = [];
  readonly quoted = new Set<number>();
  floorMs = 0;
  #settled = new Set<string>();
  #listedMs = -Infinity;
  readonly #owners = new Map<number, string>();
  readonly #sink: EventSink;

  constructor(source: MarketSource, seed: number, stepWallMs = 250) {
    const parameters = testParameters(seed);
    this.source = source;
    this.engine = Engine.create({
      parameters,
      signatures: signer,
      config: { cycleAgeMsMax: 150_000, rowsFor: "listed" },
    });
    this.floor = new TradingFloor({ source, parameters, seed, stepWallMs });
    const keys = [0, 2].map((place) => ({ signer: place, privateKey: floorKey(seed, `oracle ${place}`) }));
    this.oracle = new Oracle({ source, parameters, keys });
    this.counts = {
      messages: {},
      fills: 0,
      selfTrades: 0,
      liquidationFills: 0,
      liquidatedLabels: new Set(),
      withdrawals: 0,
      funding: 0,
      expiries: 0,
      cancelled: new Map(),
      rejected: new Map(),
      cycles: new Map(),
      inboundFailures: 0,
      badDebt: 0,
    };
    this.#sink = this.#buildSink();
    this.#open();
  }

  #buildSink(): EventSink {
    const { counts, floor } = this;
    const add = <K>(map: Map<K, number>, key: K): void => void map.set(key, (map.get(key) ?? 0) + 1);
    return {
      ...silentSink,
      onAccepted: (_id, _account, _nonce, instrument) => void this.quoted.add(instrument),
      onAmended: (_id, account, nonce, replaces, _price, open) => floor.onAmended(account, nonce, replaces, open),
      onFill: (maker, makerNonce, taker, takerNonce, _instrument, _price, lots) => {
        counts.fills++;
        if (this.#owners.get(maker) === this.#owners.get(taker)) counts.selfTrades++;
        floor.onFill(maker, makerNonce, taker, takerNonce, lots);
      },
      onLiquidationFill: (maker, makerNonce, account, _instrument, _price, lots) => {
        counts.liquidationFills++;
        counts.liquidatedLabels.add(floor.labelOf(account) ?? "?");
        floor.onLiquidationFill(maker, makerNonce, account, lots);
      },
      onCancelled: (_id, account, nonce, _instrument, _open, reason) => {
        add(counts.cancelled, reason);
        floor.onCancelled(account, nonce);
      },
      onRejected: (code, account, nonce) => {
        add(counts.rejected, code);
        floor.onRejected(account, nonce);
      },
      onCycle: (record) => add(counts.cycles, record.kind),
      onFunding: () => void counts.funding++,
      onExpiry: (_u, _e, _p, instruments) => void (counts.expiries += instruments > 0 ? 1 : 0),
      onInboundOutcome: (_i, code) => void (counts.inboundFailures += code === 0 ? 0 : 1),
      onWithdrawal: () => void counts.withdrawals++,
      onBadDebt: (_account, amount) => void (counts.badDebt += amount),
    };
  }

  apply(command: Command): void {
    this.counts.messages[command.kind] = (this.counts.messages[command.kind] ?? 0) + 1;
    this.engine.apply(command, this.#sink);
  }

  #inbound(timeMs: number, entries: InboundEntry[]): void {
    for (let i = 0; i < entries.length; i += 32) {
      this.apply({
        kind: "inbound",
        timeMs: timeMs as TimestampMs,
        entries: entries.slice(i, i + 32).map(encodeInboundEntry),
      });
    }
  }

  #open(): void {
    const entries: InboundEntry[] = [];
    const requests = this.floor.accountsNeeded();
    requests.forEach((request, i) => {
      const account = (FIRST_ACCOUNT + i) as AccountNumber;
      this.#owners.set(account, request.owner);
      entries.push({ type: "openAccount", account, owner: request.owner });
      entries.push({ type: "deposit", account, amount: request.depositMicroUsdc, payer: request.owner });
      if (request.delegate !== null) entries.push({ type: "keyGrant", account, ...request.delegate });
    });
    entries.push({
      type: "deposit",
      account: 1 as AccountNumber,
      amount: 1_000_000_000_000 as MicroUsdc,
      payer: `0x${"22".repeat(20)}`,
    });
    this.#inbound(this.source.startMs, entries);
    this.floor.assignAccounts(requests.map((_, i) => ({ account: FIRST_ACCOUNT + i, lastNonce: 0 })));
  }

  step(timeMs: number): void {
    const listings = this.source.listings(this.#listedMs, timeMs);
    this.#listedMs = timeMs;
    this.#inbound(
      timeMs,
      listings.map(({ underlying, expiryMs, strikes }) => ({ type: "listSeries", underlying, expiryMs, strikes })),
    );
    this.#settle(timeMs);
    for (const { underlying } of this.source.underlyings)
      this.apply(this.oracle.report(underlying, timeMs as TimestampMs));
    const begin = performance.now();
    const commands = this.floor.step(timeMs, engineView(this.engine));
    this.floorMs += performance.now() - begin;
    for (const command of commands) {
      this.log.push(command);
      this.apply(command);
    }
  }

  #settle(timeMs: number): void {
    for (const { underlying, expiryMs } of this.source.listings(-Infinity, timeMs)) {
      const key = `${underlying}:${expiryMs}`;
      if (expiryMs === 0 || expiryMs > timeMs || this.#settled.has(key)) continue;
      this.#settled.add(key);
      this.apply(this.oracle.settlement(underlying, expiryMs, timeMs as TimestampMs));
    }
  }
}
