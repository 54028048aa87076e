// A sink that keeps every event as one comparable line, and the cycles beside.
import type { CycleRecord, EventSink } from "../src/index.ts";

export class Recorder implements EventSink {
  lines: string[] = [];
  cycles: CycleRecord[] = [];
  readonly counts = new Map<string, number>();

  #add(name: string, ...values: (number | string)[]): void {
    this.lines.push(`${name} ${values.join(" ")}`);
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
  onAccepted(...values: number[]): void {
    this.#add("accepted", ...values);
  }
  onAmended(...values: number[]): void {
    this.#add("amended", ...values);
  }
  onFill(...values: number[]): void {
    this.#add("fill", ...values);
  }
  onLiquidationFill(...values: number[]): void {
    this.#add("liquidationFill", ...values);
  }
  onCancelled(...values: number[]): void {
    this.#add("cancelled", ...values);
    const reason = `cancelReason${values[5]}`;
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1);
  }
  onRejected(...values: number[]): void {
    this.#add("rejected", ...values);
  }
  onCycle(record: CycleRecord): void {
    this.#add(
      "cycle",
      record.index,
      record.kind,
      record.timeMs,
      record.postRoot,
      record.fills,
      record.messages,
      record.settledDeltas,
    );
    this.counts.set(`cycle:${record.kind}`, (this.counts.get(`cycle:${record.kind}`) ?? 0) + 1);
    this.cycles.push(record);
  }
  onLiquidation(...values: number[]): void {
    this.#add("liquidation", ...values);
  }
  onFunding(...values: number[]): void {
    this.#add("funding", ...values);
  }
  onExpiry(...values: number[]): void {
    this.#add("expiry", ...values);
  }
  onDeposit(...values: number[]): void {
    this.#add("deposit", ...values);
  }
  onInboundOutcome(...values: number[]): void {
    this.#add("inboundOutcome", ...values);
  }
  onListed(...values: number[]): void {
    this.#add("listed", ...values);
  }
  onWithdrawal(...values: number[]): void {
    this.#add("withdrawal", ...values);
  }
  onBadDebt(...values: number[]): void {
    this.#add("badDebt", ...values);
  }

  /** Lines since the last call. */
  drain(): string[] {
    const lines = this.lines;
    this.lines = [];
    return lines;
  }
}
