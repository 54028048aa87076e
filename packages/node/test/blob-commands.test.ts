// A run that posts in blobs, and every command on what it leaves: from the L1's state and the deployment file, with the blobs in
// the archive, at a beacon node, or nowhere.
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  batchChainAbi,
  connectL1,
  createProposer,
  developmentKey,
  type EmbeddedL1,
  fixedWindowPolicyAbi,
  type L1Client,
  startEmbeddedL1,
  transactAll,
} from "@tidemark/chain";
import { bytesToHex } from "@tidemark/num";
import type { CycleSource } from "@tidemark/settlement";
import { encodeFunctionData } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { blobsIn } from "../src/blobOptions.ts";
import { affirm } from "../src/commands/affirm.ts";
import { challenge } from "../src/commands/challenge.ts";
import { escapeRehearse } from "../src/commands/escape.ts";
import { exportReceipts, verifyReceiptFile } from "../src/commands/receipts.ts";
import { watch } from "../src/commands/watch.ts";
import { ExitCode } from "../src/errors.ts";
import { OPERATOR } from "../src/venue/contracts.ts";
import { SLOTS_IN_AN_EPOCH } from "../src/venue/l1.ts";
import { ContinuedRun, type FloorTrader } from "./continuedRun.ts";
import { buildPackages, ENTRY } from "./crash/build.ts";
import { type RunSummary, summaryOf, VenueProcess, writeConfig } from "./crash/venueProcess.ts";
import { told } from "./told.ts";

const SEED = 23;
/** Proposer and watcher load the library of blobs first, which takes its time where others compute too. */
const RUN_TIMEOUT_MS = 240_000;
const POST_STEP_SECONDS = 120;
const WRONG_ROOT = `0x${"5a".repeat(32)}` as const;
const BLOB_HEX = /^[0-9a-f]{64}$/;
/** Listed first. */
const PERPETUAL = 0;

const folder = mkdtempSync(join(tmpdir(), "tidemark-blob-commands-"));
const data = join(folder, "data");
const out = join(folder, "out");
/** The deployment file alone, as somebody outside has it, and L1 states beside it. */
const outside = join(folder, "outside");
const deploymentFile = join(outside, "deployment.json");
const forgetfulState = join(outside, "without-blobs.json");
const keyFile = join(folder, "key");
let summary: RunSummary;
let run: ContinuedRun;
let takers: FloorTrader[] = [];
let l1: EmbeddedL1;
let client: L1Client;
let mining: Promise<unknown> = Promise.resolve();
let timer: NodeJS.Timeout;

/** The state as of an L1 whose nodes have forgotten the blobs. */
function forgetBlobs(from: string, to: string): number {
  const state = JSON.parse(readFileSync(from, "utf8")) as {
    blocks: { transactions: { transaction: Record<string, unknown> }[] }[];
  };
  let forgotten = 0;
  for (const { transactions } of state.blocks) {
    for (const { transaction } of transactions) {
      if (transaction["blobs"] === undefined) continue;
      for (const field of ["blobs", "commitments", "proofs"]) delete transaction[field];
      forgotten++;
    }
  }
  writeFileSync(to, JSON.stringify(state));
  return forgotten;
}

/** One block after the other. */
function mine(seconds = 1): Promise<unknown> {
  mining = mining.then(async () => l1.mine(Number((await client.getBlock()).timestamp) + seconds));
  return mining;
}

/** The venue's proposer, on cycles that the test gives it; `untilFinal` lets the window pass. Answers with the last batch. */
async function post(source: CycleSource, untilFinal = false): Promise<number> {
  const proposer = await createProposer({
    client,
    deployment: run.deployment,
    account: OPERATOR.proposer,
    source,
    path: join(folder, `proposer ${source.count()}`),
    inBlobs: true,
  });
  try {
    for (;;) {
      const status = await proposer.tick(true);
      if ((untilFinal ? status.cyclesFinal : status.cyclesPosted) === source.count()) return status.batchesPosted;
      await mine(untilFinal ? POST_STEP_SECONDS : 1);
    }
  } finally {
    await proposer.close();
  }
}

function tidemark(...parameters: string[]): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...parameters], { maxBuffer: 1 << 28 }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number((error as { code?: number }).code ?? -1), output, errors });
    });
  });
}

beforeAll(async () => {
  buildPackages();
  const config = writeConfig(folder, { snapshotEveryCommands: 800 });
  const parameters = ["--config", config, "--seed", String(SEED), "--data-dir", data, "--out", out];
  const ended = await new VenueProcess([
    ...parameters,
    ...["--data-mode", "blob", "--once", "--seconds", "5", "--json"],
  ]).end(RUN_TIMEOUT_MS);
  summary = summaryOf(ended);
  expect(summary.problems, ended.errors).toEqual([]);
  expect(ended.code, ended.errors.slice(-2_000)).toBe(ExitCode.ok);
  mkdirSync(outside);
  cpSync(join(out, "deployment.json"), deploymentFile);
  writeFileSync(keyFile, `${developmentKey("challenger")}\n`);
  const floor = JSON.parse(readFileSync(join(data, "accounts.json"), "utf8")) as FloorTrader[];
  takers = floor.filter(({ label }) => label.startsWith("taker"));
  run = await ContinuedRun.open(out, join(folder, "journal"));
  l1 = await startEmbeddedL1({ loadStateFile: join(out, "l1-state.json"), slotsInAnEpoch: SLOTS_IN_AN_EPOCH });
  client = await connectL1(l1.url, run.deployment.chainId, { blobs: blobsIn(folder) });
}, 300_000);
afterAll(async () => {
  clearInterval(timer);
  await mining;
  await l1?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("everything is final, and the folder of the run answers", async () => {
  expect(summary.batchesFinal).toBe(summary.batchesPosted);
  expect(summary.rootsEqual).toBe(summary.cycles.total);
  const status = await tidemark("status", "--data-dir", out);
  expect(status.code, status.errors).toBe(0);
  const batch = await tidemark("inspect", "batch", "1", "--data-dir", out, "--json");
  expect(batch.code, batch.errors).toBe(0);
  const found = JSON.parse(batch.output) as { blobBytes: number; calldataBytes: number };
  expect(found).toMatchObject({ state: "final", rootsEqual: true, header: { dataMode: 1 } });
  expect(found.blobBytes).toBeGreaterThan(found.calldataBytes);
  const fill = await tidemark("inspect", "fill", String(summary.fills), "--data-dir", out, "--json");
  expect(fill.code, fill.errors).toBe(0);
  expect(JSON.parse(fill.output)).toMatchObject({ finality: { tier: "final" } });
});

it("watch agrees from the L1's state and the deployment file alone", async () => {
  const flags = { l1State: join(out, "l1-state.json"), deployment: deploymentFile, once: true, json: true };
  const { code, json, errors } = await told(watch, flags);
  expect(code, errors).toBe(ExitCode.ok);
  expect(json).toMatchObject({ cyclesEqual: summary.cycles.total, stateRoot: summary.finalStateRoot, fault: null });
  expect(errors).toBe("");
});

it("blobs that the L1 has forgotten come from the archive or a beacon node; without either the error names both flags", async () => {
  rmSync(join(outside, "blobs"), { recursive: true, force: true });
  expect(forgetBlobs(join(out, "l1-state.json"), forgetfulState)).toBe(summary.batchesPosted);
  const common = ["watch", "--once", "--l1-state", forgetfulState, "--deployment", deploymentFile];
  const none = await tidemark(...common);
  expect(none.code).toBe(ExitCode.environment);
  expect(none.errors).toMatch(/error BLOB_UNREADABLE: blob 0x01[0-9a-f]{62} cannot be read/);
  expect(none.errors).toMatch(/--blobs <dir>.*--beacon <url>/);

  const flags = { l1State: forgetfulState, deployment: deploymentFile, once: true };
  const archived = await told(watch, { ...flags, blobs: join(out, "blobs") });
  expect(archived.code, archived.errors).toBe(ExitCode.ok);
  expect(archived.output).toContain(summary.finalStateRoot);

  // Answers for any slot: whether it is the one of the blob is told in the chain's own tests.
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://beacon");
    const hash = (url.searchParams.get("versioned_hashes") ?? "").replace(/^0x/, "");
    const fixed: Record<string, unknown> = {
      "/eth/v1/beacon/genesis": { genesis_time: "0" },
      "/eth/v1/config/spec": { SECONDS_PER_SLOT: "12" },
    };
    const file = join(out, "blobs", `0x${hash}.blob`);
    const blob = BLOB_HEX.test(hash) && existsSync(file) ? [bytesToHex(readFileSync(file))] : null;
    const found = fixed[url.pathname] ?? blob;
    response.statusCode = found === null ? 404 : 200;
    response.end(JSON.stringify({ data: found }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const beacon = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const asked = await told(watch, { ...flags, beacon, blobs: join(folder, "from-beacon") });
    expect(asked.code, asked.errors).toBe(ExitCode.ok);
    expect(asked.output).toContain(summary.finalStateRoot);
  } finally {
    server.close();
  }
  // What was read is kept.
  const again = await told(watch, { ...flags, blobs: join(folder, "from-beacon") });
  expect(again.code, again.errors).toBe(ExitCode.ok);
});

it("every receipt of the run is kept", async () => {
  const file = join(folder, "fills.json");
  await told(exportReceipts, { dataDir: out, kind: "fill", out: file });
  const flags = { file, l1State: forgetfulState, deployment: deploymentFile, blobs: join(out, "blobs"), json: true };
  const { code, json, errors } = await told(verifyReceiptFile, flags);
  expect(code, errors).toBe(ExitCode.ok);
  expect(json["counts"]).toEqual({
    kept: (summary as unknown as { receipts: { fills: number } }).receipts.fills,
  });
});

it("a batch that is final is neither challenged nor proven again", async () => {
  const flags = { batch: 1, l1State: join(out, "l1-state.json"), deployment: deploymentFile, keyFile };
  const right = await told(challenge, { ...flags, outbox: join(folder, "outbox-1") });
  expect(right.code, right.errors).toBe(ExitCode.nothingWrong);
  expect(right.output).toContain("batch 1 is right");
  const proven = await told(affirm, { ...flags, outbox: join(folder, "outbox-2") });
  expect(proven.code, proven.errors).toBe(ExitCode.ok);
  expect(proven.output).toContain("batch 1 is final");
});

it("affirm convinces the contracts of a pending batch, which is final after the guard delay", async () => {
  const { deployment } = run;
  const [buyer, seller] = takers;
  if (buyer === undefined || seller === undefined) throw new Error("a floor without takers");
  // Marks for hundreds of instruments: what is proven below is the trade behind them.
  for (const underlying of [0, 1]) run.report(underlying);
  const before = await post(run, true);
  run.trade(buyer, seller, PERPETUAL, 5);
  const number = await post(run);
  expect(number).toBe(before + 1);
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const record = () => client.readContract({ ...chain, functionName: "batch", args: [BigInt(number)] });
  expect((await record()).provenAt).toBe(0n);

  let isMining = false;
  timer = setInterval(() => {
    if (isMining) return;
    isMining = true;
    void mine().finally(() => {
      isMining = false;
    });
  }, 50);
  const flags = { batch: number, l1: l1.url, deployment: deploymentFile, keyFile, blobs: join(folder, "affirming") };
  const { code, json, output, errors } = await told(affirm, { ...flags, outbox: join(folder, "outbox"), json: true });
  expect(code, errors).toBe(ExitCode.ok);
  expect(output).toMatch(/^blob: \d+ gas/m);
  expect(output).toContain(`batch ${number} is proven`);
  expect(json).toMatchObject({ batch: number, outcome: "proven", affirmedBefore: 0 });
  const { provenAt, floor } = await record();
  expect(Number(provenAt)).toBe(json["provenAtSeconds"]);

  clearInterval(timer);
  await mining;
  const policy = { address: deployment.policy, abi: fixedWindowPolicyAbi } as const;
  await mine(Number(await client.readContract({ ...policy, functionName: "guardSeconds" })));
  const call = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args: [BigInt(number)] });
  const finalisation = { sender: OPERATOR.claimer, to: deployment.batchChain, data: call, gas: 300_000n };
  await transactAll(client, [{ ...finalisation, what: "finalisation" }], { mine: async () => void (await mine()) });
  expect(await client.readContract({ ...chain, functionName: "lastFinal" })).toBe(BigInt(number));
  expect((await client.getBlock()).timestamp).toBeLessThan(floor);
});

it("challenge says that the honest batch is right, and convicts the wrong one behind it", async () => {
  const before = run.count();
  run.report(0);
  const number = await post(run.dishonest(run.count() - before, WRONG_ROOT));
  const state = join(outside, "with-fraud.json");
  await l1.dumpState(state);
  const flags = { l1State: state, deployment: deploymentFile, keyFile, blobs: join(folder, "challenging"), json: true };
  const right = await told(challenge, { ...flags, batch: number - 1, outbox: join(folder, "outbox-3") });
  expect(right.code, right.errors).toBe(ExitCode.nothingWrong);
  const watched = await told(watch, { ...flags, once: true });
  expect(watched.code, watched.errors).toBe(ExitCode.invariantBroken);
  expect(watched.output).toContain(`FAULT batch ${number}`);
  const unproven = await told(affirm, { ...flags, batch: number, outbox: join(folder, "outbox-5") });
  expect(unproven.code, unproven.output).toBe(ExitCode.invariantBroken);
  expect(unproven.errors).toContain("error NOT_AFFIRMABLE");
  const sent = await told(challenge, { ...flags, batch: number, outbox: join(folder, "outbox-4") });
  expect(sent.code, `${sent.output}${sent.errors}`).toBe(ExitCode.ok);
  expect(sent.json).toMatchObject({
    outcome: "convicted",
    challenge: { face: "root" },
    conviction: { batch: number, code: 0, challenger: OPERATOR.challenger.address },
  });
});

it("the end of the venue is rehearsed with blobs from the archive", async () => {
  const copy = join(folder, "copy");
  cpSync(out, copy, { recursive: true });
  cpSync(forgetfulState, join(copy, "l1-state.json"));
  const { code, json, errors } = await told(escapeRehearse, { source: copy, json: true });
  expect(code, errors).toBe(ExitCode.ok);
  expect(json).toMatchObject({ problems: [], factor: "1.000000" });
});
