// Counts what happens and how long it takes to become final. Listens to the engine; changes nothing.

import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { CycleRecord, EventSink } from "@tidemark/engine";
import type { CycleKindName } from "@tidemark/ledger";
import type { BatchMark } from "./childMessages.ts";
import type { History } from "./venue/history.ts";

/** One fill on its way: venue time and wall time of its execution. */
interface PendingFill {
  venueMs: number;
  wallMicros: number;
  sequence: number;
}

/** A closed cycle that waits to be posted or final. */
interface PendingCycle {
  index: number;
  fills: PendingFill[];
  /** Fills of an earlier life of the venue: counted, but their latencies are not known. */
  earlierFills: number;
}

export interface LatencyMs {
  p50: number;
  p99: number;
}

const nowMicros = (): number => Math.round(performance.now() * 1_000);

/** Histograms hold positive integers; 0 counts as 1 unit. */
function record(histogram: RecordableHistogram, value: number): void {
  histogram.record(Math.max(1, Math.round(value)));
}

function latency(histogram: RecordableHistogram, unitsPerMs: number): LatencyMs {
  if (histogram.count === 0) return { p50: 0, p99: 0 };
  return { p50: histogram.percentile(50) / unitsPerMs, p99: histogram.percentile(99) / unitsPerMs };
}

export class Tally implements EventSink {
  messages = 0;
  rejected = 0;
  fills = 0;
  fillsDurable = 0;
  fillsPosted = 0;
  fillsFinal = 0;
  liquidations = 0;
  fundingEvents = 0;
  expiries = 0;
  deposits = 0;
  withdrawals = 0;
  settledDeltas = 0;
  readonly cyclesByKind: Partial<Record<CycleKindName, number>> = {};
  readonly rejectionsByCode = new Map<number, number>();
  readonly quoted = new Set<number>();
  readonly news: string[] = [];

  /** Set by the pipeline before each command. */
  venueTimeMs = 0;
  sequence = 0;
  private commandStartMicros = 0;

  private readonly executedMicros = createHistogram();
  private readonly durableMicros = createHistogram();
  private readonly postedMs = createHistogram();
  private readonly finalMs = createHistogram();
  private openFills: PendingFill[] = [];
  /** Fills of an earlier life in the cycle that was open when it ended. */
  private openEarlierFills = 0;
  private undurable: PendingFill[] = [];
  private unposted: PendingCycle[] = [];
  private unfinal: PendingCycle[] = [];
  private readonly onCycleClosed: (record: CycleRecord) => void;
  private readonly nameOf: (instrument: number) => string;

  constructor(parts: { onCycle: (record: CycleRecord) => void; nameOf: (instrument: number) => string }) {
    this.onCycleClosed = parts.onCycle;
    this.nameOf = parts.nameOf;
  }

  /** Takes over what earlier lives of the venue did; called once, before anything else. */
  resume(history: History): void {
    for (const { index, kind, fills, settledDeltas } of history.cycles) {
      this.cyclesByKind[kind] = (this.cyclesByKind[kind] ?? 0) + 1;
      this.settledDeltas += settledDeltas;
      this.fills += fills;
      this.unposted.push({ index, fills: [], earlierFills: fills });
    }
    this.openEarlierFills = history.openFills;
    this.fills += history.openFills;
    this.fillsDurable = this.fills;
    this.liquidations = history.liquidations;
    this.fundingEvents = history.fundingEvents;
    this.expiries = history.expiries;
    this.withdrawals = history.withdrawals;
  }

  beginCommand(sequence: number, venueTimeMs: number): void {
    this.messages++;
    this.sequence = sequence;
    this.venueTimeMs = venueTimeMs;
    this.commandStartMicros = nowMicros();
  }

  /** Everything up to `sequence` is on disk. */
  durable(sequence: number): void {
    const now = nowMicros();
    let done = 0;
    while (done < this.undurable.length && (this.undurable[done] as PendingFill).sequence <= sequence) {
      record(this.durableMicros, now - (this.undurable[done] as PendingFill).wallMicros);
      done++;
    }
    if (done > 0) this.undurable = this.undurable.slice(done);
    this.fillsDurable += done;
  }

  /** What the proposer reports: batches in L1 blocks, and which of them are final at `headSeconds`. */
  batches(marks: readonly BatchMark[], headSeconds: number): void {
    for (const { cycleEnd, postedSeconds, final } of marks) {
      this.posted(cycleEnd, postedSeconds * 1_000);
      if (final) this.final(cycleEnd, headSeconds * 1_000);
    }
  }

  /** Cycles below `cycleEnd` are in an L1 block of that time. A reorg may take batches back: only the first time counts for latency. */
  posted(cycleEnd: number, blockMs: number): void {
    while (this.unposted.length > 0 && (this.unposted[0] as PendingCycle).index < cycleEnd) {
      const cycle = this.unposted.shift() as PendingCycle;
      for (const fill of cycle.fills) record(this.postedMs, blockMs - fill.venueMs);
      this.fillsPosted += cycle.fills.length + cycle.earlierFills;
      this.unfinal.push(cycle);
    }
  }

  final(cycleEnd: number, blockMs: number): void {
    while (this.unfinal.length > 0 && (this.unfinal[0] as PendingCycle).index < cycleEnd) {
      const cycle = this.unfinal.shift() as PendingCycle;
      for (const fill of cycle.fills) record(this.finalMs, blockMs - fill.venueMs);
      this.fillsFinal += cycle.fills.length + cycle.earlierFills;
    }
  }

  /** Venue milliseconds since the oldest fill that waits to be posted, and to be final. */
  oldestWaiting(nowMs: number): { posted: number; final: number } {
    const age = (cycles: readonly PendingCycle[]): number => {
      for (const cycle of cycles) {
        const first = cycle.fills[0];
        if (first !== undefined) return nowMs - first.venueMs;
      }
      return 0;
    };
    const open = this.openFills[0];
    return {
      posted: Math.max(age(this.unposted), open === undefined ? 0 : nowMs - open.venueMs),
      final: age(this.unfinal),
    };
  }

  /** Wall milliseconds for executed and durable, venue milliseconds for posted and final. */
  finalityMs(): { executed: LatencyMs; durable: LatencyMs; posted: LatencyMs; final: LatencyMs } {
    return {
      executed: latency(this.executedMicros, 1_000),
      durable: latency(this.durableMicros, 1_000),
      posted: latency(this.postedMs, 1),
      final: latency(this.finalMs, 1),
    };
  }

  tell(line: string): void {
    this.news.unshift(line);
    if (this.news.length > 20) this.news.pop();
  }

  private fill(): void {
    const now = nowMicros();
    record(this.executedMicros, now - this.commandStartMicros);
    const pending = { venueMs: this.venueTimeMs, wallMicros: this.commandStartMicros, sequence: this.sequence };
    this.fills++;
    this.openFills.push(pending);
    this.undurable.push(pending);
  }

  onFill(): void {
    this.fill();
  }

  onLiquidationFill(): void {
    this.fill();
  }

  onAccepted(_orderId: number, _account: number, _nonce: number, instrument: number): void {
    this.quoted.add(instrument);
  }

  onAmended(): void {}

  onCancelled(): void {}

  onRejected(code: number): void {
    this.rejected++;
    this.rejectionsByCode.set(code, (this.rejectionsByCode.get(code) ?? 0) + 1);
  }

  onCycle(cycle: CycleRecord): void {
    this.cyclesByKind[cycle.kind] = (this.cyclesByKind[cycle.kind] ?? 0) + 1;
    this.settledDeltas += cycle.settledDeltas;
    const earlierFills = Math.min(this.openEarlierFills, cycle.fills);
    this.openEarlierFills -= earlierFills;
    const fills = this.openFills.slice(0, cycle.fills - earlierFills);
    this.openFills = this.openFills.slice(fills.length);
    this.unposted.push({ index: cycle.index, fills, earlierFills });
    this.onCycleClosed(cycle);
  }

  onLiquidation(
    account: number,
    equity: number,
    _initial: number,
    maintenance: number,
    legs: number,
    penalty: number,
  ): void {
    if (legs === 0) return;
    this.liquidations++;
    this.tell(
      `account ${account} liquidated: equity ${usd(equity)} below maintenance ${usd(maintenance)}, ${legs} legs, penalty ${usd(penalty)} USDC to the insurance`,
    );
  }

  onFunding(): void {
    this.fundingEvents++;
  }

  onExpiry(
    _underlying: number,
    expiryMs: number,
    settlementPrice: number,
    instruments: number,
    realisations: number,
  ): void {
    this.expiries++;
    this.tell(
      `${new Date(expiryMs).toISOString().slice(0, 16)}Z expiry settled at ${usd(settlementPrice)}: ${instruments} instruments, ${realisations} positions realised`,
    );
  }

  onDeposit(): void {
    this.deposits++;
  }

  onInboundOutcome(queueIndex: number, code: number): void {
    if (code !== 0) this.tell(`queue entry ${queueIndex}: outcome ${code}`);
  }

  onListed(instrument: number): void {
    if (instrument % 100 === 0) this.tell(`listed ${this.nameOf(instrument)}`);
  }

  onWithdrawal(withdrawalNumber: number, account: number, amount: number): void {
    this.withdrawals++;
    this.tell(`withdrawal ${withdrawalNumber}: account ${account} sends ${usd(amount)} USDC to L1`);
  }

  onBadDebt(account: number, amount: number): void {
    this.tell(`bad debt: account ${account} owes ${usd(amount)} USDC`);
  }
}

const usd = (micro: number): string => (micro / 1e6).toLocaleString("en-US", { maximumFractionDigits: 2 });
