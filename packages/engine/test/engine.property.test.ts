// Properties of the engine on random command streams. A stream that the ledger refuses a cycle of throws by itself.
import { applyPayload, LedgerState } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { describe, expect, test } from "vitest";
import { decodeCommand, EngineCode, encodeCommand, silentSink } from "../src/index.ts";
import { Recorder } from "./recorder.ts";
import { count, createEngine, restoreEngine, STREAM_PARAMETERS, Stream } from "./stream.ts";
import { CONFIG, signatures } from "./world.ts";

const LONG = process.env["TIDEMARK_LONG"] === "1";
const BASE_SEED = Number(process.env["TIDEMARK_SEED"] ?? 20_240);
const SEEDS = Array.from({ length: Number(process.env["TIDEMARK_SEEDS"] ?? (LONG ? 40 : 4)) }, (_, i) => BASE_SEED + i);
const COMMANDS = LONG ? 20_000 : 2_500;
/** Codes that a random stream cannot reach have a case of their own in rejections.test.ts. */
const ONLY_BY_CASE = new Set<number>([EngineCode.positionsFull]);
/** A stepped tick that most prices keep. */
const STEPPED = { ...CONFIG, isOnTick: (_instrument: number, price: number): boolean => price % 13 !== 0 };
const COMMAND_KINDS = [
  "place",
  "amend",
  "cancel",
  "cancelAll",
  "report",
  "settle",
  "inbound",
  "withdraw",
  "tick",
  "checkpoint",
];
const CYCLE_KINDS = ["report", "rows", "trade", "liquidation", "expiry", "inbound", "outbound"];

describe("random streams", () => {
  test("every accepted fill settles, enough is accepted, every code is met", () => {
    const counts = new Map<string, number>();
    let commands = 0;
    let accepted = 0;
    for (const seed of SEEDS) {
      const stream = new Stream({ seed, accounts: 14, strikes: 2, commands: COMMANDS, config: STEPPED });
      stream.run();
      stream.engine.apply({ kind: "checkpoint", timeMs: stream.engine.timeMs as never }, stream.recorder);
      let settled = 0;
      for (const cycle of stream.recorder.cycles) settled += cycle.fills;
      const fills = (stream.recorder.counts.get("fill") ?? 0) + (stream.recorder.counts.get("liquidationFill") ?? 0);
      expect(settled, `fills settled, seed ${seed}`).toBe(fills);
      commands += stream.log.length;
      accepted += stream.accepted;
      for (const [key, value] of stream.codes) count(counts, key, value);
      for (const [key, value] of stream.recorder.counts) count(counts, `event ${key}`, value);
    }
    console.log(
      `seeds ${SEEDS[0]}…, ${commands} commands, ${accepted} accepted\n${[...counts]
        .sort()
        .map(([key, value]) => `  ${key}: ${value}`)
        .join("\n")}`,
    );
    expect(accepted / commands, `accepted share from seed ${SEEDS[0]}`).toBeGreaterThanOrEqual(0.4);
    if (LONG) {
      for (const kind of COMMAND_KINDS)
        expect(counts.get(`command ${kind}`) ?? 0, `command ${kind}`).toBeGreaterThanOrEqual(100);
      for (const kind of CYCLE_KINDS)
        expect(counts.get(`event cycle:${kind}`) ?? 0, `cycle ${kind}`).toBeGreaterThanOrEqual(100);
      for (const [name, code] of Object.entries(EngineCode)) {
        if (ONLY_BY_CASE.has(code)) continue;
        expect(counts.get(`code ${code} ${name}`) ?? 0, `code ${code} ${name}`).toBeGreaterThanOrEqual(100);
      }
    }
    for (const kind of CYCLE_KINDS) {
      expect(counts.get(`event cycle:${kind}`) ?? 0, `cycles of kind ${kind}`).toBeGreaterThan(0);
    }
    expect(counts.get("event funding") ?? 0).toBeGreaterThan(0);
  });

  test.each(SEEDS.slice(0, LONG ? 20 : 2))(
    "replay, restore and the payloads alone give the same roots, seed %i",
    (seed) => {
      const stream = new Stream({ seed, accounts: 10, strikes: 2, commands: COMMANDS / 2 });
      const snapshots: { at: number; bytes: Uint8Array }[] = [];
      stream.run((command) => {
        if (command.kind === "checkpoint") snapshots.push({ at: stream.log.length, bytes: stream.engine.snapshot() });
      });
      const lines = stream.recorder.drain();

      const replayed = createEngine();
      const replay = new Recorder();
      for (const command of stream.log) replayed.apply(decodeCommand(encodeCommand(command)), replay);
      expect(replay.drain()).toEqual(lines);

      const roots = stream.recorder.cycles.map((cycle) => cycle.postRoot);
      const ledger = LedgerState.genesis(STREAM_PARAMETERS);
      for (const [index, cycle] of stream.recorder.cycles.entries()) {
        const verdict = applyPayload(ledger, cycle.payload, { signatures });
        expect(verdict.ok && verdict.root, `cycle ${index}`).toBe(cycle.postRoot);
      }

      expect(snapshots.length).toBeGreaterThan(2);
      for (const { at, bytes } of [snapshots[0], snapshots[snapshots.length >> 1], snapshots.at(-1)].filter(
        (one) => one !== undefined,
      )) {
        const restored = restoreEngine(bytes);
        expect(bytesToHex(restored.snapshot()), `snapshot of the restored engine at ${at}`).toBe(bytesToHex(bytes));
        const tail = new Recorder();
        for (const command of stream.log.slice(at)) restored.apply(command, tail);
        expect(tail.cycles.map((cycle) => cycle.postRoot)).toEqual(
          tail.cycles.length === 0 ? [] : roots.slice(-tail.cycles.length),
        );
        expect(tail.lines).toEqual(lines.slice(lines.length - tail.lines.length));
      }
    },
  );

  test.each(SEEDS.slice(0, LONG ? 10 : 1))("a rejection leaves root and snapshot as they were, seed %i", (seed) => {
    const stream = new Stream({ seed: seed + 1_000, accounts: 10, strikes: 2, commands: COMMANDS / 2 });
    stream.run();
    const twin = createEngine();
    let rejections = 0;
    for (const [i, command] of stream.log.entries()) {
      // Time passes first, so that all that is left is the command itself.
      const isProbe = i % 7 === 0 && command.timeMs >= twin.timeMs;
      const before = isProbe ? snapshotOf(twin, command.timeMs) : null;
      const { ok } = twin.apply(command, silentSink);
      if (ok || before === null) continue;
      rejections += 1;
      expect(snapshotOf(twin, command.timeMs), `command ${i} ${command.kind}, seed ${seed + 1_000}`).toBe(before);
    }
    expect(rejections).toBeGreaterThan(20);
  });
});

/** Without the count of messages since the last cycle, which counts rejected commands too. */
function snapshotOf(engine: ReturnType<typeof createEngine>, timeMs: number): string {
  engine.apply({ kind: "checkpoint", timeMs: timeMs as never }, silentSink);
  const bytes = engine.snapshot();
  const ledgerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
  bytes.fill(0, 5 + ledgerBytes + 24, 5 + ledgerBytes + 32);
  return `${engine.ledger.root()} ${bytesToHex(bytes)}`;
}
