// The engine against the slow reference on random streams: same codes, same events in the same order, same roots.
import { expect, test } from "vitest";
import { Recorder } from "./recorder.ts";
import { figuresOf } from "./reference/account.ts";
import { ReferenceEngine } from "./reference/engine.ts";
import { STREAM_PARAMETERS, Stream } from "./stream.ts";
import { CONFIG } from "./world.ts";

const LONG = process.env["TIDEMARK_LONG"] === "1";
const BASE_SEED = Number(process.env["TIDEMARK_SEED"] ?? 7_000);
const SEEDS = Array.from({ length: Number(process.env["TIDEMARK_SEEDS"] ?? (LONG ? 50 : 4)) }, (_, i) => BASE_SEED + i);

/** The incrementally kept figures are the definition's, to the last micro-USDC, open orders and waiting fills included. */
function expectSameFigures(stream: Stream, reference: ReferenceEngine, where: string): void {
  for (const account of reference.ledger.accountNumbers()) {
    const margin = stream.engine.accountMargin(account);
    if (margin === undefined) continue;
    const withOrders = reference.figures(account);
    const standing = reference.standing(account);
    const alone = figuresOf(reference.ledger, standing, []);
    const expected = [standing.cash, withOrders.equity, withOrders.initial, alone.initial, alone.maintenance].map(
      Number,
    );
    const actual = [margin.cash, margin.equity, margin.initialWithOrders, margin.initial, margin.maintenance];
    expect(actual, `figures of account ${account}, ${where}`).toEqual(expected);
  }
}

test.each(SEEDS)("same as the reference engine, seed %i", (seed) => {
  const stream = new Stream({ seed, accounts: 8 + (seed % 5), strikes: 1 + (seed % 2), commands: LONG ? 4_000 : 800 });
  const recorder = new Recorder();
  const reference = new ReferenceEngine(STREAM_PARAMETERS, recorder, CONFIG.cycleAgeMsMax);
  stream.run((command, { code }) => {
    const where = `seed ${seed}, command ${stream.log.length - 1} ${command.kind}`;
    expect(reference.apply(command), where).toBe(code);
    expect(recorder.drain(), where).toEqual(stream.recorder.drain());
    recorder.cycles = [];
    if (stream.log.length % 5 === 0) expectSameFigures(stream, reference, where);
  });
  expect(reference.ledger.root()).toBe(stream.engine.ledger.root());
});
