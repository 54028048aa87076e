// The status of a running venue, gathered from its parts.
import type { VenueStatus } from "../status.ts";
import { liabilitiesOf } from "./liabilities.ts";
import type { Processes } from "./processes.ts";
import type { Venue } from "./venue.ts";

const BATCHES_SHOWN = 8;
/** Rates are over the time since the last status, smoothed so that they can be read. */
const RATE_SMOOTHING = 0.4;

class Rate {
  #lastCount = 0;
  #lastWallMs = 0;
  #value = 0;

  next(count: number): number {
    const now = Date.now();
    if (this.#lastWallMs > 0 && now > this.#lastWallMs) {
      const rate = ((count - this.#lastCount) * 1_000) / (now - this.#lastWallMs);
      this.#value = this.#value === 0 ? rate : this.#value + RATE_SMOOTHING * (rate - this.#value);
    }
    this.#lastCount = count;
    this.#lastWallMs = now;
    return this.#value;
  }
}

const rates = new WeakMap<Venue, { messages: Rate; fills: Rate }>();

function verdictOf({ fault, challenging, watch }: Processes): VenueStatus["watcher"]["verdict"] {
  if (fault !== null) return "fault";
  if (challenging !== null) return "challenging";
  return (watch?.batchesCompared ?? 0) > 0 ? "agrees" : "waiting";
}

export function statusOf(venue: Venue, wallSecondsTotal: number | null): VenueStatus {
  const { config, source, engine, tally, processes, vault, journal, exposure, receipts } = venue.parts;
  const { proposer, watch } = processes;
  let rate = rates.get(venue);
  if (rate === undefined) rates.set(venue, (rate = { messages: new Rate(), fills: new Rate() }));
  const waiting = tally.oldestWaiting(venue.timeMs);
  const { liabilities, badDebt } = liabilitiesOf(engine);
  return {
    phase: venue.phase,
    input: source.description,
    seed: source.seed,
    synthetic: source.marketAt(venue.timeMs).synthetic && source.kind === "replay",
    speed: config.speed,
    venueTimeMs: venue.timeMs,
    wallSeconds: venue.tradedSeconds,
    wallSecondsTotal,
    instrumentsQuoted: tally.quoted.size,
    accounts: engine.ledger.accountNumbers().length,
    engineMessages: journal.lastSequence(),
    engineMessagesPerSecond: rate.messages.next(tally.messages),
    fills: tally.fills,
    fillsPerSecond: rate.fills.next(tally.fills),
    tiers: {
      executed: { fills: tally.fills, oldestWaitingMs: 0 },
      durable: { fills: tally.fillsDurable, oldestWaitingMs: waiting.posted },
      posted: { fills: tally.fillsPosted, oldestWaitingMs: waiting.final },
      final: { fills: tally.fillsFinal, oldestWaitingMs: 0 },
    },
    batches: (proposer?.lastBatches ?? []).slice(0, BATCHES_SHOWN).map((batch) => ({
      number: batch.number,
      cycles: batch.cycles,
      fills: batch.fills,
      bytes: batch.l1Bytes,
      gas: batch.l1Gas,
      windowLeftSeconds: batch.windowLeftSeconds,
      state: batch.final ? "final" : "posted",
    })),
    compression: {
      messages: proposer?.messagesPosted ?? 0,
      settledDeltas: proposer?.settledDeltasPosted ?? 0,
      l1Bytes: proposer?.l1Bytes ?? 0,
      l1Gas: proposer?.l1Gas ?? 0,
    },
    conservation: vault.conservation(engine.ledger),
    liabilities,
    badDebt,
    watcher: {
      batches: watch?.batchesCompared ?? 0,
      rootsCompared: watch?.cyclesCompared ?? 0,
      rootsEqual: watch?.cyclesEqual ?? 0,
      verdict: verdictOf(processes),
      batchesDropped: watch?.batchesDropped ?? 0,
      detail: processes.fault ?? processes.challenging ?? "",
    },
    admission: exposure.status,
    receipts: { ...receipts.counts },
    liquidations: tally.liquidations,
    fundingEvents: tally.fundingEvents,
    expiries: tally.expiries,
    withdrawalsClaimed: vault.claimedCount,
    news: tally.news,
  };
}
