// What the clock brings: oracle reports, settlements of expiries.
import type { Engine, ReportCommand, SettleCommand } from "@tidemark/engine";
import { InstrumentStatus } from "@tidemark/ledger";
import type { TimestampMs, UnderlyingNumber } from "@tidemark/num";
import type { Oracle } from "../market/oracle.ts";
import type { MarketSource } from "../market/source.ts";

export class Schedule {
  readonly #parts: { source: MarketSource; oracle: Oracle; engine: Engine; reportIntervalMs: number };

  constructor(parts: { source: MarketSource; oracle: Oracle; engine: Engine; reportIntervalMs: number }) {
    this.#parts = parts;
  }

  /** Settlements first: a report no longer carries the surface of what expired. */
  due(timeMs: TimestampMs): (ReportCommand | SettleCommand)[] {
    return [...this.#settlements(timeMs), ...this.#reports(timeMs)];
  }

  #settlements(timeMs: TimestampMs): SettleCommand[] {
    const { engine, oracle } = this.#parts;
    const due = new Map<string, { underlying: UnderlyingNumber; expiryMs: TimestampMs }>();
    for (let number = 0; number < engine.ledger.instrumentCount; number++) {
      const cell = engine.ledger.instrument(number);
      if (
        cell === undefined ||
        cell.status !== InstrumentStatus.listed ||
        cell.expiryMs === 0 ||
        cell.expiryMs > timeMs
      )
        continue;
      due.set(`${cell.expiryMs}/${cell.underlying}`, { underlying: cell.underlying, expiryMs: cell.expiryMs });
    }
    return [...due.values()]
      .sort((p, q) => p.expiryMs - q.expiryMs || p.underlying - q.underlying)
      .map(({ underlying, expiryMs }) => oracle.settlement(underlying, expiryMs, timeMs));
  }

  #reports(timeMs: TimestampMs): ReportCommand[] {
    const { engine, oracle, source, reportIntervalMs } = this.#parts;
    return source.underlyings.flatMap(({ underlying }) => {
      const lastMs = engine.ledger.underlying(underlying)?.reportMs ?? 0;
      return timeMs - lastMs >= reportIntervalMs ? [oracle.report(underlying, timeMs)] : [];
    });
  }
}
