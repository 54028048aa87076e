// One fill, found by applying the journal again up to it, and how final it is.
import { type Command, decodeCommand, Engine, type EngineOptions, type EventSink, silentSink } from "@tidemark/engine";
import { FINALITY_TIERS, type FinalityRecord, type FinalityTier, PAYER_BY_TIER } from "@tidemark/finality";
import type { JournalReader } from "@tidemark/journal";
import { type TimestampMs, timestampMs } from "@tidemark/num";
import { instrumentName } from "../instrumentName.ts";
import type { BatchFound } from "./inspectBatch.ts";

export interface FillFound {
  number: number;
  sequence: number;
  timeMs: TimestampMs;
  kind: "trade" | "liquidation";
  makerAccount: number;
  makerNonce: number;
  takerAccount: number;
  /** Null where the taker is a liquidation: it has no order. */
  takerNonce: number | null;
  takerSide: "buy" | "sell";
  instrument: number;
  instrumentName: string;
  price: number;
  priceMicroUsd: number;
  lots: number;
  makerFeeMicroUsdc: number;
  /** Of a liquidated account: the penalty, which goes to the insurance. */
  takerFeeMicroUsdc: number;
  cycle: number;
}

/** Fills settled by cycles before `cycleIndex`. */
function fillsBefore(reader: JournalReader, cycleIndex: number): number {
  let fills = 0;
  for (const cycle of reader.readCycles(0, cycleIndex)) fills += cycle.fills;
  return fills;
}

/** The latest snapshot before the fill, because a snapshot has no open cycle: its fills are those of the cycles before it. */
function beginning(
  reader: JournalReader,
  options: EngineOptions,
  number: number,
): { engine: Engine; sequence: number; fills: number } {
  for (const { sequence } of reader.listSnapshots().toReversed()) {
    const snapshot = reader.latestSnapshot(sequence);
    if (snapshot === null) continue;
    const engine = Engine.restore(snapshot.bytes, options);
    const fills = fillsBefore(reader, engine.cycleIndex);
    if (fills < number) return { engine, sequence: snapshot.sequence, fills };
  }
  return { engine: Engine.create(options), sequence: 0, fills: 0 };
}

/** Fills count from 1 in the order of execution, liquidations included. Null when there are fewer, with how many there are. */
export function findFill(
  reader: JournalReader,
  options: EngineOptions,
  number: number,
): { fill: FillFound | null; fills: number } {
  const { engine, sequence: from, fills: counted } = beginning(reader, options, number);
  let fills = counted;
  let fill: FillFound | null = null;
  let sequence = from;
  let command: Command | null = null;
  const take = (
    found: Omit<FillFound, "number" | "sequence" | "timeMs" | "instrumentName" | "priceMicroUsd">,
  ): void => {
    if (++fills !== number || command === null) return;
    const cell = engine.ledger.instrument(found.instrument);
    fill = {
      ...found,
      number,
      sequence,
      timeMs: command.timeMs,
      instrumentName: cell === undefined ? `instrument ${found.instrument}` : instrumentName(cell, options.parameters),
      priceMicroUsd: found.price * (cell?.tickMicroUsd ?? 0),
    };
  };
  const sink: EventSink = {
    ...silentSink,
    onFill: (
      makerAccount,
      makerNonce,
      takerAccount,
      takerNonce,
      instrument,
      price,
      lots,
      takerSide,
      makerFee,
      takerFee,
      cycle,
    ) =>
      take({
        kind: "trade",
        makerAccount,
        makerNonce,
        takerAccount,
        takerNonce,
        instrument,
        price,
        lots,
        cycle,
        takerSide: takerSide > 0 ? "buy" : "sell",
        makerFeeMicroUsdc: makerFee,
        takerFeeMicroUsdc: takerFee,
      }),
    onLiquidationFill: (makerAccount, makerNonce, account, instrument, price, lots, side, makerFee, penalty, cycle) =>
      take({
        kind: "liquidation",
        makerAccount,
        makerNonce,
        takerAccount: account,
        takerNonce: null,
        instrument,
        price,
        lots,
        cycle,
        takerSide: side > 0 ? "buy" : "sell",
        makerFeeMicroUsdc: makerFee,
        takerFeeMicroUsdc: penalty,
      }),
  };
  for (const record of reader.read(from + 1)) {
    sequence = record.sequence;
    command = decodeCommand(record.bytes);
    engine.apply(command, sink);
    if (fill !== null) break;
  }
  return { fill, fills };
}

/** A fill in the journal is durable; what follows is its batch's. Venue clock and L1 clock are the same here. */
export function finalityOf(timeMs: TimestampMs, batch: BatchFound | null): FinalityRecord & { paysIfReversed: string } {
  const reachedMs: FinalityRecord["reachedMs"] = { executed: timeMs, durable: timeMs };
  const seconds: Partial<Record<FinalityTier, number | null>> =
    batch === null
      ? {}
      : {
          posted: batch.postedSeconds,
          safe: batch.safeSeconds,
          l1_final: batch.l1FinalSeconds,
          final: batch.finalSeconds,
        };
  for (const [tier, at] of Object.entries(seconds) as [FinalityTier, number | null][]) {
    if (at !== null) reachedMs[tier] = timestampMs(at * 1_000);
  }
  const tier = FINALITY_TIERS.findLast((name) => reachedMs[name] !== undefined) ?? "executed";
  return {
    tier,
    reachedMs,
    batchNumber: batch?.number ?? null,
    expectedFinalMs: batch === null || tier === "final" ? null : timestampMs(batch.floorSeconds * 1_000),
    paysIfReversed: PAYER_BY_TIER[tier],
  };
}
