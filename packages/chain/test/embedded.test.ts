import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  attachEmbeddedL1,
  connectL1,
  developmentAccount,
  type EmbeddedL1,
  l1Wallet,
  readBlock,
  startEmbeddedL1,
} from "../src/index.ts";

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const running: EmbeddedL1[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((l1) => l1.stop()));
});
async function start(options: Parameters<typeof startEmbeddedL1>[0]): Promise<EmbeddedL1> {
  const l1 = await startEmbeddedL1(options);
  running.push(l1);
  return l1;
}

/** Init code of a contract that logs nothing but an empty event on every call. */
const LOGGER = "0x635f5fa0005f526004601cf3";
const GENESIS_SECONDS = 1_700_000_000;

test("block times follow the caller and never run back; finality is a depth", async () => {
  const l1 = await start({ genesisTimestampSeconds: GENESIS_SECONDS, slotsInAnEpoch: 2 });
  const client = await connectL1(l1.url, l1.chainId);
  expect((await l1.mine(GENESIS_SECONDS + 3_600)).timestampSeconds).toBe(GENESIS_SECONDS + 3_600);
  expect((await l1.mine(GENESIS_SECONDS + 3_599)).timestampSeconds).toBe(GENESIS_SECONDS + 3_600);
  for (let i = 1; i <= 4; i++) await l1.mine(GENESIS_SECONDS + 3_600 + i);
  expect((await readBlock(client, "latest"))?.number).toBe(6);
  expect((await readBlock(client, "finalized"))?.number).toBe(2);
  expect(await readBlock(client, 99)).toBeNull();
});

test("a dump reloaded elsewhere keeps blocks, calldata and logs, and goes on from its own clock", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-l1-"));
  try {
    const l1 = await start({ genesisTimestampSeconds: GENESIS_SECONDS });
    const client = await connectL1(l1.url);
    const account = developmentAccount("dump");
    await l1.setBalance(account.address, 10n ** 20n);
    const wallet = l1Wallet(client, account);
    const creation = await wallet.sendTransaction({ data: LOGGER, gas: 200_000n });
    await l1.mine(GENESIS_SECONDS + 10);
    const contract = (await client.getTransactionReceipt({ hash: creation })).contractAddress;
    if (contract === null || contract === undefined) throw new Error("the contract was not created");
    const data = `0x${"ab".repeat(100_000)}` as const;
    const call = await wallet.sendTransaction({ to: contract, data, gas: 8_000_000n });
    await l1.mine(GENESIS_SECONDS + 20);
    for (let i = 0; i < 300; i++) await l1.mine(GENESIS_SECONDS + 30 + i);
    const logs = await client.getLogs({ address: contract, fromBlock: 0n, toBlock: "latest" });
    expect(logs).toHaveLength(1);
    const path = join(folder, "l1.json");
    await l1.dumpState(path);
    await l1.stop();

    const again = await start({ loadStateFile: path });
    const reader = await connectL1(again.url);
    expect(await reader.getLogs({ address: contract, fromBlock: 0n, toBlock: "latest" })).toEqual(logs);
    expect((await reader.getTransaction({ hash: call })).input).toBe(data);
    expect((await readBlock(reader, "finalized"))?.number).toBe(302 - 8);
    expect((await again.mine(GENESIS_SECONDS + 5_000)).timestampSeconds).toBe(GENESIS_SECONDS + 5_000);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a taken port is an operating error that says so", async () => {
  const l1 = await start({});
  const port = Number(new URL(l1.url).port);
  await expect(startEmbeddedL1({ port })).rejects.toMatchObject({ code: "ANVIL_START" });
});

test("an unreachable or foreign L1 is named", async () => {
  const l1 = await start({ chainId: 4_242 });
  await expect(connectL1(l1.url, 1)).rejects.toMatchObject({ code: "WRONG_CHAIN" });
  await l1.stop();
  await expect(connectL1(l1.url, 4_242, { retryCount: 0 })).rejects.toMatchObject({ code: "L1_UNREACHABLE" });
});

test("a node killed without warning comes back from its state file and goes on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-l1-"));
  try {
    const options = {
      stateFile: join(folder, "state.json"),
      stateIntervalSeconds: 1,
      genesisTimestampSeconds: GENESIS_SECONDS,
    };
    const l1 = await start(options);
    await l1.mine(GENESIS_SECONDS + 10);
    const attached = await attachEmbeddedL1(l1.url, l1.processId);
    const last = await attached.mine(GENESIS_SECONDS + 20);
    // One whole interval after the block: a dump that holds it has begun and ended.
    const minedAt = Date.now();
    while (((await stat(options.stateFile).catch(() => null))?.mtimeMs ?? 0) < minedAt) await sleep(50);
    await sleep(300);
    process.kill(l1.processId, "SIGKILL");
    await l1.stop();
    const again = await start(options);
    const reader = await connectL1(again.url);
    expect(await readBlock(reader, "latest")).toMatchObject({ number: last.number, hash: last.hash });
    expect(await again.mine(GENESIS_SECONDS + 30)).toMatchObject({ number: 3, timestampSeconds: GENESIS_SECONDS + 30 });
  } finally {
    await rm(folder, { recursive: true });
  }
});
