// Fraud in the running product: a proposer in the rotation posts a wrong batch while the venue trades, the venue's own watcher
// convicts it, the honest log goes on to the end; and the command line convicts from an L1 state and a deployment file alone.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type BatchEvent,
  batchChainAbi,
  type Conviction,
  connectL1,
  type Deployment,
  developmentAccount,
  developmentKey,
  type L1Client,
  readBatchEvents,
  readConvictions,
  readDeployment,
  readPostedBatch,
  stakeRegistryAbi,
  startEmbeddedL1,
  testUsdcAbi,
  transactAll,
} from "@tidemark/chain";
import { openJournalReader } from "@tidemark/journal";
import { bytesToHex } from "@tidemark/num";
import {
  type Batch,
  type BatchTip,
  buildBatch,
  decodePostBatch,
  encodePostBatch,
  type SourceCycle,
  tipAfter,
} from "@tidemark/settlement";
import { encodeFunctionData, type Hex, type PrivateKeyAccount } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cycleSourceOf } from "../src/cycleSource.ts";
import { OPERATOR } from "../src/venue/contracts.ts";
import { buildPackages, ENTRY, testSeed } from "./crash/build.ts";
import { l1Of, rpc, summaryOf, VenueProcess, writeConfig } from "./crash/venueProcess.ts";

const seed = testSeed();
const folder = mkdtempSync(join(tmpdir(), "tidemark-fraud-"));
const data = join(folder, "data");
const out = join(folder, "out");
const DISHONEST = developmentAccount("dishonest proposer");
const WRONG_ROOT: Hex = `0x${"5a".repeat(32)}`;
const RICH_WEI = `0x${(10n ** 21n).toString(16)}`;
const GAS = 6_000_000n;

beforeAll(() => buildPackages());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Post {
  client: L1Client;
  deployment: Deployment;
  mine?: () => Promise<unknown>;
}

async function post({ client, deployment, mine }: Post, batch: Batch, sender: PrivateKeyAccount): Promise<void> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const valueWei = await client.readContract({ ...chain, functionName: "bondWei" });
  const call = { sender, to: deployment.batchChain, data: bytesToHex(encodePostBatch(batch.header, batch.data)) };
  const options = mine === undefined ? {} : { mine };
  await transactAll(client, [{ ...call, valueWei, gas: GAS, what: `batch ${batch.header.number}` }], options);
}

async function lastPosted(client: L1Client, deployment: Deployment): Promise<BatchTip | null> {
  const head = Number(await client.getBlockNumber({ cacheTime: 0 }));
  const events: BatchEvent[] = await readBatchEvents(client, deployment, deployment.deployedAtBlock, head);
  const last = events.at(-1);
  if (last === undefined) return null;
  const call = decodePostBatch((await readPostedBatch(client, last)).calldata);
  return call.ok ? tipAfter(call.header) : null;
}

/** Bonds a stake and takes a place in the rotation, as the sequencer lets it. */
async function joinRotation({ client, deployment }: Post): Promise<void> {
  const registry = { to: deployment.stakeRegistry, gas: 500_000n };
  const read = { address: deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
  const stake = await client.readContract({ ...read, functionName: "minimumStake" });
  const token = (functionName: "mint" | "approve", to: Hex) => ({
    sender: DISHONEST,
    to: deployment.token,
    gas: 200_000n,
    data: encodeFunctionData({ abi: testUsdcAbi, functionName, args: [to, stake] }),
    what: functionName,
  });
  const call = (sender: PrivateKeyAccount, data: Hex, what: string) => ({ ...registry, sender, data, what });
  const abi = stakeRegistryAbi;
  await transactAll(client, [
    token("mint", DISHONEST.address),
    token("approve", deployment.stakeRegistry),
    call(DISHONEST, encodeFunctionData({ abi, functionName: "deposit", args: [stake] }), "deposit"),
    call(
      OPERATOR.sequencer as PrivateKeyAccount,
      encodeFunctionData({ abi, functionName: "admit", args: [DISHONEST.address] }),
      "admission",
    ),
  ]);
  const { admittedAt } = await client.readContract({
    ...read,
    functionName: "stakeDetails",
    args: [DISHONEST.address],
  });
  while ((await client.getBlock()).timestamp < admittedAt) await sleep(100);
  const join_ = encodeFunctionData({ abi, functionName: "join", args: [DISHONEST.address] });
  await transactAll(client, [call(DISHONEST, join_, "join")]);
}

/** The venue's own next cycles under the last batch, the first root wrong. */
async function postFraud(parts: Post, venue: VenueProcess): Promise<number> {
  const { client, deployment } = parts;
  const reader = openJournalReader(join(data, "journal"));
  const source = cycleSourceOf(reader);
  const read = { address: deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
  let number = 0;
  const posted = await venue.until(async () => {
    const tip = await lastPosted(client, deployment);
    if (tip === null) return false;
    const args = [DISHONEST.address, BigInt(tip.number + 1)] as const;
    if (!(await client.readContract({ ...read, functionName: "mayPost", args }))) return false;
    const nowMs = Number((await client.getBlock()).timestamp) * 1_000;
    const cycles = (await source.read(tip.nextCycle, 4)).filter(({ timeMs }) => timeMs <= nowMs);
    if (cycles.length === 0) return false;
    const wrong = cycles.map((one, i): SourceCycle => (i === 0 ? { ...one, postRoot: WRONG_ROOT } : one));
    try {
      await post(parts, buildBatch(tip, wrong, deployment.parameters.domain), DISHONEST);
    } catch {
      // Somebody was first: the next look shows the chain as it is then.
      return false;
    }
    number = tip.number + 1;
    return true;
  });
  await reader.close();
  expect(posted, venue.said.slice(-1_500)).toBe(true);
  return number;
}

it("a wrong batch of a proposer in the rotation is convicted while the venue trades on", {
  timeout: 300_000,
}, async () => {
  const config = writeConfig(folder);
  const venue = new VenueProcess([
    ...["--config", config, "--seed", String(seed), "--data-dir", data],
    ...["--once", "--seconds", "25", "--json", "--out", out],
  ]);
  await venue.untilSaid("trading:");
  const deployment = await readDeployment(join(data, "deployment.json"));
  const { url } = l1Of(data);
  await rpc(url, "anvil_setBalance", [DISHONEST.address, RICH_WEI]);
  const client = await connectL1(url, deployment.chainId);
  await joinRotation({ client, deployment });
  const number = await postFraud({ client, deployment }, venue);
  const convictions = async (): Promise<Conviction[]> =>
    readConvictions(client, deployment, 0, Number(await client.getBlockNumber({ cacheTime: 0 })));
  expect(await venue.until(async () => (await convictions()).length > 0), venue.said.slice(-1_500)).toBe(true);
  const [conviction, ...others] = await convictions();
  expect(others).toEqual([]);
  expect(conviction).toMatchObject({ batch: number, code: 0, challenger: OPERATOR.challenger.address });
  expect(conviction?.burntWei).toBe(conviction?.rewardWei);
  const registry = { address: deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
  expect(await client.readContract({ ...registry, functionName: "activeSet" })).toEqual([OPERATOR.proposer.address]);

  const ended = await venue.end();
  const summary = summaryOf(ended) as ReturnType<typeof summaryOf> & Record<string, unknown>;
  expect(summary.problems, `seed ${seed}: ${ended.errors.slice(-2_000)}`).toEqual([]);
  expect(ended.code, ended.errors.slice(-2_000)).toBe(0);
  expect(summary["wrongBatchesDropped"]).toBe(1);
  expect(summary.fillsSettled).toBe(summary.fills);
  expect(summary.rootsEqual).toBe(summary.cycles.total);
  expect(summary.batchesFinal).toBe(summary.batchesPosted);
});

interface Answer {
  code: number;
  output: string;
  errors: string;
}

function tidemark(...parameters: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...parameters], { maxBuffer: 64 << 20 }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number((error as { code?: number }).code ?? -1), output, errors });
    });
  });
}

const lastObject = ({ output }: Answer): Record<string, unknown> =>
  JSON.parse(output.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;

it("tidemark challenge convicts from an L1 state alone, says when a batch is right, and what it would send", {
  timeout: 240_000,
}, async () => {
  const file = join(out, "deployment.json");
  const deployment = await readDeployment(file);
  const l1 = await startEmbeddedL1({ loadStateFile: join(out, "l1-state.json") });
  const state = join(folder, "with-fraud.json");
  let number = 0;
  try {
    const client = await connectL1(l1.url, deployment.chainId);
    const mine = async (): Promise<unknown> => l1.mine(Number((await client.getBlock()).timestamp) + 12);
    const tip = await lastPosted(client, deployment);
    if (tip === null) throw new Error("the run posted nothing");
    // A trade that nobody can read, under a header that commits to it.
    const payload = Uint8Array.of(1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7);
    const cycle = { index: tip.nextCycle, kind: 3, timeMs: tip.timeMs, payload, postRoot: WRONG_ROOT };
    const cycles = [{ ...cycle, fills: 0, messages: 0, settledDeltas: 0 }];
    const batch = buildBatch(tip, cycles, deployment.parameters.domain);
    await post({ client, deployment, mine }, batch, OPERATOR.proposer as PrivateKeyAccount);
    number = batch.header.number;
    await l1.dumpState(state);
  } finally {
    await l1.stop();
  }
  const keyFile = join(folder, "key");
  writeFileSync(keyFile, `${developmentKey("challenger")}\n`);
  const common = ["--l1-state", state, "--deployment", file, "--json"];
  const right = await tidemark("challenge", String(number - 1), ...common, "--dry-run");
  expect(right.code, right.errors).toBe(5);
  expect(right.output).toContain(`batch ${number - 1} is right`);
  const dry = await tidemark("challenge", String(number), ...common, "--dry-run");
  expect(dry.code, dry.errors).toBe(1);
  expect(lastObject(dry)).toMatchObject({
    outcome: "not sent",
    fault: { code: 100 },
    challenge: { face: "root", cycle: 0 },
  });
  const keyless = await tidemark("challenge", String(number), ...common);
  expect(keyless.code, keyless.errors).toBe(2);
  expect(keyless.errors).toContain("KEY_MISSING");
  const none = await tidemark("challenge", String(number + 1), ...common, "--dry-run");
  // It would stand on the wrong one, which is what there is to convict.
  expect(none.output).toContain(`goes with it`);
  const sent = await tidemark("challenge", String(number), ...common, "--key-file", keyFile);
  expect(sent.code, sent.errors).toBe(0);
  expect(sent.output).toContain("100 MALFORMED");
  expect(lastObject(sent)).toMatchObject({
    outcome: "convicted",
    conviction: { batch: number, code: 100, challenger: OPERATOR.challenger.address },
  });
  const watched = await tidemark("watch", "--l1-state", state, "--deployment", file, "--once");
  expect(watched.code, watched.errors).toBe(1);
  expect(watched.output).toContain(`FAULT batch ${number}`);
});
