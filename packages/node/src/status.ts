// What a running venue shows: one plain object, written to <data-dir>/status.json and drawn by display.ts.
import type { FinalityTier } from "@tidemark/finality";
import type { ReceiptCounts } from "./receipts/desk.ts";
import type { ExposureStatus } from "./receipts/exposure.ts";

/** One row of the batch table. */
export interface BatchStatus {
  number: number;
  cycles: number;
  fills: number;
  bytes: number;
  gas: number;
  /** Venue seconds until the window has passed; 0 once final. */
  windowLeftSeconds: number;
  state: "posting" | "posted" | "final";
}

export interface TierStatus {
  fills: number;
  /** Age of the oldest fill that waits for the next tier, in venue milliseconds; 0 when none waits. */
  oldestWaitingMs: number;
}

export interface WatcherStatus {
  batches: number;
  rootsCompared: number;
  rootsEqual: number;
  verdict: "waiting" | "agrees" | "challenging" | "fault";
  /** Wrong batches that the L1 dropped. */
  batchesDropped: number;
  detail: string;
}

export interface Compression {
  messages: number;
  settledDeltas: number;
  l1Bytes: number;
  l1Gas: number;
}

export interface Conservation {
  vault: bigint;
  cash: bigint;
  clearing: bigint;
  outboxUnclaimed: bigint;
  inboundUnconsumed: bigint;
}

export interface VenueStatus {
  phase: string;
  input: string;
  seed: number;
  synthetic: boolean;
  speed: number;
  venueTimeMs: number;
  wallSeconds: number;
  wallSecondsTotal: number | null;
  instrumentsQuoted: number;
  accounts: number;
  engineMessages: number;
  engineMessagesPerSecond: number;
  fills: number;
  fillsPerSecond: number;
  tiers: Record<Extract<FinalityTier, "executed" | "durable" | "posted" | "final">, TierStatus>;
  batches: BatchStatus[];
  compression: Compression;
  conservation: Conservation;
  /** Σ positive equity with everything realised virtually, and bad debt apart. */
  liabilities: bigint;
  badDebt: bigint;
  watcher: WatcherStatus;
  /** Whether new orders are taken, and what the sequencer's stake has to do with it. */
  admission: ExposureStatus;
  receipts: ReceiptCounts;
  liquidations: number;
  fundingEvents: number;
  expiries: number;
  withdrawalsClaimed: number;
  /** Newest first. */
  news: string[];
}

/** vault = cash + clearing + unclaimed outbox + unconsumed inbound. */
export function conservationGap(c: Conservation): bigint {
  return c.vault - c.cash - c.clearing - c.outboxUnclaimed - c.inboundUnconsumed;
}

/** JSON with bigints as strings. */
export function statusJson(status: VenueStatus): string {
  return JSON.stringify(status, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

const MONEY = new Set(["vault", "cash", "clearing", "outboxUnclaimed", "inboundUnconsumed", "liabilities", "badDebt"]);

/** Reads what `statusJson` wrote. */
export function parseStatus(text: string): VenueStatus {
  return JSON.parse(text, (key, value: unknown) =>
    MONEY.has(key) && typeof value === "string" ? BigInt(value) : value,
  ) as VenueStatus;
}
