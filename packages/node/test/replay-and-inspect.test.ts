// What a finished run leaves: its journal replays to the same root at every cycle, from the first command and from every snapshot,
// and every batch, account and fill of it can be looked at.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InstrumentKind } from "@tidemark/ledger";
import type { MicroUsd, TimestampMs, UnderlyingNumber } from "@tidemark/num";
import { afterAll, beforeAll, expect, it } from "vitest";
import { instrumentName } from "../src/instrumentName.ts";
import { buildPackages, ENTRY } from "./crash/build.ts";
import { type RunSummary, summaryOf, VenueProcess, writeConfig } from "./crash/venueProcess.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-replay-test-"));
const data = join(folder, "data");
const out = join(folder, "out");
let summary: RunSummary;

interface Answer {
  code: number;
  json: Record<string, unknown>;
  errors: string;
}

/** The command line with --json: its last line is one object. */
function tidemark(...parameters: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...parameters, "--json"], { maxBuffer: 64 << 20 }, (error, output, errors) => {
      const last = output.trim().split("\n").at(-1) ?? "";
      const code = error === null ? 0 : Number((error as { code?: number }).code ?? -1);
      resolve({ code, json: last.startsWith("{") ? (JSON.parse(last) as Record<string, unknown>) : {}, errors });
    });
  });
}

beforeAll(async () => {
  buildPackages();
  const parameters = [
    "--config",
    writeConfig(folder, { snapshotEveryCommands: 800 }),
    "--seed",
    "11",
    "--data-dir",
    data,
    "--out",
    out,
  ];
  const ended = await new VenueProcess([...parameters, "--once", "--seconds", "5", "--json"]).end();
  summary = summaryOf(ended);
  expect(summary.problems, ended.errors).toEqual([]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("replays to the same root from the beginning and from every snapshot, in place and exported", async () => {
  for (const source of [out, data]) {
    const deployment = ["--deployment", join(out, "deployment.json")];
    const { code, json, errors } = await tidemark("replay", source, "--from-snapshot", "all", ...deployment);
    const runs = json["runs"] as { from: number; commands: number; cyclesCompared: number; stateRoot: string }[];
    expect(code, errors).toBe(0);
    expect(json["equal"]).toBe(true);
    expect(runs.length).toBeGreaterThanOrEqual(3);
    expect(runs[0]).toMatchObject({ from: 0, commands: summary.engineMessages, cyclesCompared: summary.cycles.total });
    for (const { from, commands, stateRoot } of runs) {
      expect(from + commands).toBe(summary.engineMessages);
      expect(stateRoot).toBe(summary.finalStateRoot);
    }
  }
});

it("names the first cycle that other parameters make differently", async () => {
  const altered = join(folder, "altered");
  await cp(out, altered, { recursive: true });
  const file = join(altered, "deployment.json");
  const deployment = JSON.parse(readFileSync(file, "utf8")) as { parameters: { risk: { markAgeMaxMs: number } } };
  deployment.parameters.risk.markAgeMaxMs++;
  writeFileSync(file, JSON.stringify(deployment));
  const { code, errors } = await tidemark("replay", altered);
  expect(errors).toMatch(/error REPLAY_DIFFERS: cycle 0 \(\w+\): recorded root 0x/);
  expect(code).toBe(1);
});

it("shows every batch, and the batches add up to the run", async () => {
  const found = await Promise.all(
    Array.from({ length: summary.batchesPosted }, (_, i) =>
      tidemark("inspect", "batch", String(i + 1), "--data-dir", out),
    ),
  );
  const sum = (field: string): number => found.reduce((total, { json }) => total + Number(json[field]), 0);
  for (const { code, json, errors } of found) {
    expect(code, errors).toBe(0);
    expect(json).toMatchObject({ state: "final", rootsEqual: true, windowLeftSeconds: 0 });
  }
  expect(sum("fills")).toBe(summary.fills);
  expect(sum("settledDeltas")).toBe(summary.compression.settledDeltas);
  expect(sum("calldataBytes")).toBe(summary.compression.l1Bytes);
  expect(sum("gas")).toBe(summary.compression.l1Gas);
});

it("shows an account with named positions, margin and open orders", async () => {
  const { code, json, errors } = await tidemark("inspect", "account", "2", "--data-dir", data);
  expect(code, errors).toBe(0);
  const { positions, openOrders, margin } = json as {
    positions: { name: string; lots: number }[];
    openOrders: { name: string; openLots: number }[];
    margin: { equity: number; maintenance: number };
  };
  expect(json["owner"]).toMatch(/^0x[0-9a-f]{40}$/);
  expect(positions.length).toBeGreaterThan(0);
  for (const { name, lots } of positions) {
    expect(name).toMatch(/^(BTC|ETH)_USDC-(PERPETUAL|\d{1,2}[A-Z]{3}\d{2}(-\d+(d\d+)?-[CP])?)$/);
    expect(lots).not.toBe(0);
  }
  expect(openOrders.length).toBeGreaterThan(0);
  expect(margin.equity).toBeGreaterThan(margin.maintenance);
});

it("shows fills with maker, taker, fees, cycle, batch and finality", async () => {
  for (const number of [1, summary.fills]) {
    const { code, json, errors } = await tidemark("inspect", "fill", String(number), "--data-dir", out);
    expect(code, errors).toBe(0);
    expect(json).toMatchObject({ number, finality: { tier: "final", expectedFinalMs: null } });
    const { finality, cycle, lots, price, makerFeeMicroUsdc, takerFeeMicroUsdc, makerAccount, takerAccount } = json as {
      finality: { reachedMs: Record<string, number>; batchNumber: number; paysIfReversed: string };
    } & Record<string, number>;
    expect(makerAccount).not.toBe(takerAccount);
    expect(Math.min(lots as number, price as number)).toBeGreaterThan(0);
    expect(Math.min(makerFeeMicroUsdc as number, takerFeeMicroUsdc as number)).toBeGreaterThanOrEqual(0);
    expect(finality.paysIfReversed).toMatch(/^nobody/);
    const times = ["executed", "durable", "posted", "safe", "l1_final"].map(
      (tier) => finality.reachedMs[tier] as number,
    );
    expect(times).toEqual([...times].sort((p, q) => p - q));
    const batch = await tidemark("inspect", "batch", String(finality.batchNumber), "--data-dir", out);
    const { firstCycle, cycleCount } = batch.json["header"] as { firstCycle: number; cycleCount: number };
    expect(cycle).toBeGreaterThanOrEqual(firstCycle);
    expect(cycle).toBeLessThan(firstCycle + cycleCount);
  }
});

it("finds the same fill from a snapshot as from the first command", async () => {
  const { Engine, decodeCommand, silentSink } = await import("@tidemark/engine");
  const { openJournalReader } = await import("@tidemark/journal");
  const { readDeployment } = await import("@tidemark/chain");
  const { findFill } = await import("../src/commands/inspectFill.ts");
  const { signer } = await import("../src/signatures/signer.ts");
  const { parameters } = await readDeployment(join(out, "deployment.json"));
  const options = { parameters, signatures: signer, config: { cycleAgeMsMax: 75_000, rowsFor: "listed" } } as const;
  const reader = openJournalReader(join(data, "journal"));
  const engine = Engine.create(options);
  const seen: { sequence: number; maker: number; taker: number; lots: number; cycle: number }[] = [];
  for (const { sequence, bytes } of reader.read()) {
    engine.apply(decodeCommand(bytes), {
      ...silentSink,
      onFill: (maker, _makerNonce, taker, _takerNonce, _instrument, _price, lots, _side, _makerFee, _takerFee, cycle) =>
        void seen.push({ sequence, maker, taker, lots, cycle }),
      onLiquidationFill: (maker, _makerNonce, taker, _instrument, _price, lots, _side, _makerFee, _penalty, cycle) =>
        void seen.push({ sequence, maker, taker, lots, cycle }),
    });
  }
  expect(seen.length).toBe(summary.fills);
  for (let number = 1; number <= seen.length; number += Math.ceil(seen.length / 12)) {
    const { fill } = findFill(reader, options, number);
    expect({
      sequence: fill?.sequence,
      maker: fill?.makerAccount,
      taker: fill?.takerAccount,
      lots: fill?.lots,
      cycle: fill?.cycle,
    }).toEqual(seen[number - 1]);
  }
  await reader.close();
});

it("answers an unknown id or thing with a clear error and exit code 2", async () => {
  const questions = [
    ["batch", "9999", /there is no batch 9999: the L1 holds \d+/],
    ["account", "9999", /there is no account 9999/],
    ["fill", "0", /there is no fill 0: the journal holds/],
    ["fill", "99999999", /there is no fill 99999999: the journal holds \d+/],
    ["order", "1", /inspect knows batch, account and fill, not order/],
  ] as const;
  const answers = await Promise.all(questions.map(([what, id]) => tidemark("inspect", what, id, "--data-dir", out)));
  for (const [i, { code, errors }] of answers.entries()) {
    expect(errors).toMatch((questions[i] as (typeof questions)[number])[2]);
    expect(code, errors).toBe(2);
  }
  expect((await tidemark("inspect", "batch", "1", "--data-dir", folder)).errors).toMatch(/error NO_VENUE/);
});

it("names instruments as the market does", () => {
  const parameters = { underlyings: [{ name: "BTC" }, { name: "XRP" }] } as unknown as Parameters<
    typeof instrumentName
  >[1];
  const expiryMs = Date.UTC(2026, 11, 25, 8) as TimestampMs;
  const name = (kind: InstrumentKind, underlying: number, strike: number): string =>
    instrumentName(
      { kind, underlying: underlying as UnderlyingNumber, expiryMs, strike: strike as MicroUsd },
      parameters,
    );
  expect(name(InstrumentKind.call, 0, 100_000e6)).toBe("BTC_USDC-25DEC26-100000-C");
  expect(name(InstrumentKind.put, 1, 625_000)).toBe("XRP_USDC-25DEC26-0d625-P");
  expect(name(InstrumentKind.put, 1, 2_050_000)).toBe("XRP_USDC-25DEC26-2d05-P");
  expect(name(InstrumentKind.future, 0, 0)).toBe("BTC_USDC-25DEC26");
  expect(name(InstrumentKind.perpetual, 0, 0)).toBe("BTC_USDC-PERPETUAL");
});

/** Watches until everything is compared, and is ended as by Ctrl-C. */
async function watched(...parameters: string[]): Promise<{ code: number | null; output: string }> {
  const state = ["--l1-state", join(out, "l1-state.json"), "--deployment", join(out, "deployment.json")];
  const watcher = spawn(process.execPath, [ENTRY, "watch", ...state, ...parameters], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const whole = `re-executed ${summary.batchesPosted}/${summary.batchesPosted} batches`;
  let output = "";
  watcher.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.includes(whole)) watcher.kill("SIGINT");
  });
  const code = await new Promise<number | null>((resolve) => watcher.on("close", resolve));
  return { code, output };
}

it("watch goes on where an earlier run of it ended, unless everything is asked for", async () => {
  const checkpoints = join(folder, "kept");
  const first = await watched("--checkpoints", checkpoints);
  expect(first.code, first.output).toBe(0);
  expect(first.output).not.toContain("earlier run");
  expect(readdirSync(checkpoints).length).toBeGreaterThan(0);
  const second = await watched("--checkpoints", checkpoints);
  expect(second.code, second.output).toBe(0);
  expect(second.output).toContain(`(${summary.batchesPosted} in an earlier run)`);
  const whole = await watched("--checkpoints", checkpoints, "--from-genesis");
  expect(whole.output).toContain(`re-executed ${summary.batchesPosted}/${summary.batchesPosted} batches,`);
}, 120_000);
