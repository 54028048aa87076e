// The transaction outbox on a real L1: each intent is executed exactly once, whatever happens on the way.
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeFunctionData } from "viem";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  connectL1,
  custodyAbi,
  type Deployment,
  deployVenue,
  developmentAccount,
  type EmbeddedL1,
  FEE_POLICY_DEFAULT,
  type L1Client,
  openTransactionOutbox,
  startEmbeddedL1,
  type TransactionOutbox,
} from "../src/index.ts";
import { parametersForTests } from "./support/world.ts";

const testDirectory = dirname(fileURLToPath(import.meta.url));
const rootDirectory = join(testDirectory, "../../..");
const GENESIS_SECONDS = 1_750_000_000;
const SENDER = developmentAccount("sender");
/** Every execution adds one entry to the queue: the number of executions can be counted on the L1. */
const OPEN_ACCOUNT = encodeFunctionData({ abi: custodyAbi, functionName: "openAccount" });

let l1: EmbeddedL1;
let client: L1Client;
let deployment: Deployment;
let folder: string;
let nowSeconds: number;
const opened: TransactionOutbox[] = [];

const mine = async (): Promise<void> => {
  nowSeconds += 12;
  await l1.mine(nowSeconds);
};
const request = (data = OPEN_ACCOUNT) => ({ to: deployment.custody, data, valueWei: "0", gas: "500000" });
const executions = async (): Promise<number> =>
  Number(await client.readContract({ address: deployment.custody, abi: custodyAbi, functionName: "queueLength" }));

function openOutbox(fees = FEE_POLICY_DEFAULT): TransactionOutbox {
  const outbox = openTransactionOutbox({ client, account: SENDER, path: join(folder, "outbox"), fees });
  opened.push(outbox);
  return outbox;
}

beforeAll(() => {
  // The children run the built package; an incremental build does nothing when it is current.
  const compiler = join(rootDirectory, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "-b", "packages/chain"], { cwd: rootDirectory });
});
beforeEach(async () => {
  nowSeconds = GENESIS_SECONDS;
  folder = await mkdtemp(join(tmpdir(), "tidemark-outbox-"));
  l1 = await startEmbeddedL1({ genesisTimestampSeconds: GENESIS_SECONDS, slotsInAnEpoch: 2 });
  client = await connectL1(l1.url);
  const deployer = developmentAccount("deployer");
  for (const { address } of [deployer, SENDER]) await l1.setBalance(address, 10n ** 21n);
  deployment = await deployVenue(client, {
    deployer,
    parameters: parametersForTests(l1.chainId),
    proposer: SENDER.address,
    lister: SENDER.address,
    windowSeconds: 600,
    bondWei: 1n,
    forcedPeriodSeconds: 3_600,
    mine,
  });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((outbox) => outbox.close()));
  await l1.stop();
  await rm(folder, { recursive: true });
});

test("the same id is one intent; it settles when its block is final and survives a restart", async () => {
  const outbox = openOutbox();
  const [first, again] = [await outbox.submit("a", request()), await outbox.submit("a", request("0x"))];
  expect(again.nonce).toBe(first.nonce);
  expect((await outbox.submit("b", request())).nonce).toBe(first.nonce + 1);
  await mine();
  expect(await outbox.tick()).toMatchObject({ waiting: 0, included: 2 });
  await outbox.close();
  const reopened = openOutbox();
  expect(reopened.open()).toHaveLength(2);
  for (let i = 0; i < 4; i++) await mine();
  expect(await reopened.tick()).toMatchObject({ included: 0 });
  expect(reopened.open()).toHaveLength(0);
  expect(reopened.intent("a")).toMatchObject({ settled: true, inclusion: { reverted: false } });
  await reopened.submit("a", request());
  await mine();
  await reopened.tick();
  expect(await executions()).toBe(2);
});

test.each(["before", "after"])("a sender killed %s the send executes exactly once", async (moment) => {
  const path = join(folder, "outbox");
  const parameters = [join(testDirectory, "child-sender.mjs"), l1.url, path, deployment.custody, OPEN_ACCOUNT, moment];
  const child = spawn(process.execPath, parameters, { stdio: ["ignore", "inherit", "inherit"] });
  const signal = await new Promise((resolve) => child.once("exit", (_, name) => resolve(name)));
  expect(signal).toBe("SIGKILL");
  expect(await l1.pendingTransactions()).toBe(moment === "after" ? 1 : 0);
  const outbox = openOutbox();
  expect(outbox.open().map(({ id, attempts }) => [id, attempts.length])).toEqual([["only", 1]]);
  await outbox.submit("only", request());
  await outbox.tick();
  expect(await l1.pendingTransactions()).toBe(1);
  await mine();
  await outbox.tick();
  await mine();
  expect(await outbox.tick()).toMatchObject({ waiting: 0, included: 1 });
  expect(await executions()).toBe(1);
  expect(await client.getTransactionCount({ address: SENDER.address })).toBe(1);
});

test("a base fee that jumps drops the transaction silently; it goes out again at a higher fee, in order", async () => {
  const outbox = openOutbox();
  const first = await outbox.submit("a", request());
  const second = await outbox.submit("b", request());
  await l1.setNextBaseFee(50_000_000_000n);
  await mine();
  expect(await l1.pendingTransactions()).toBe(0);
  expect(await executions()).toBe(0);
  expect(await outbox.tick()).toMatchObject({ waiting: 2, sent: 2, bumped: 2 });
  for (const intent of [first, second]) {
    const [old, raised] = intent.attempts.map(({ maxFeePerGas }) => BigInt(maxFeePerGas));
    expect((raised as bigint) * 8n).toBeGreaterThanOrEqual((old as bigint) * 9n);
  }
  await mine();
  expect(await outbox.tick()).toMatchObject({ waiting: 0, included: 2 });
  expect(await executions()).toBe(2);
});

test("above the fee cap nothing is sent until the base fee falls", async () => {
  const outbox = openOutbox({ ...FEE_POLICY_DEFAULT, maxFeeCapWeiPerGas: 20_000_000_000n });
  await l1.setNextBaseFee(25_000_000_000n);
  await mine();
  await outbox.submit("a", request());
  expect(await outbox.tick()).toMatchObject({ waiting: 1, sent: 0, feeCapped: 1 });
  await l1.setNextBaseFee(1_000_000_000n);
  await mine();
  expect(await outbox.tick()).toMatchObject({ sent: 1, feeCapped: 0 });
  await mine();
  await outbox.tick();
  expect(await executions()).toBe(1);
});

test("what a reorg removed is sent again under the same hash and executed once", async () => {
  const outbox = openOutbox();
  await outbox.submit("a", request());
  await mine();
  const included = await outbox.tick();
  const hash = included.newlyIncluded[0]?.inclusion?.transactionHash;
  await l1.reorg(1);
  expect(await executions()).toBe(0);
  const after = await outbox.tick();
  expect(after).toMatchObject({ waiting: 1, sent: 1 });
  expect(after.removedByReorg.map(({ id }) => id)).toEqual(["a"]);
  await mine();
  const again = await outbox.tick();
  expect(again.newlyIncluded[0]?.inclusion?.transactionHash).toBe(hash);
  expect(await executions()).toBe(1);
});

test("a nonce that somebody else used is an operating error, and so is another account's store", async () => {
  const outbox = openOutbox();
  await outbox.submit("a", request());
  // The same key elsewhere: a replacement at a much higher fee.
  const fees = { maxFeePerGas: 90_000_000_000n, maxPriorityFeePerGas: 90_000_000_000n };
  const base = { type: "eip1559", chainId: l1.chainId, nonce: 0, gas: 21_000n, to: SENDER.address, ...fees } as const;
  await client.sendRawTransaction({ serializedTransaction: await SENDER.signTransaction(base) });
  await mine();
  await expect(outbox.tick()).rejects.toMatchObject({ code: "NONCE_TAKEN" });
  await outbox.close();
  const path = join(folder, "outbox");
  const other = developmentAccount("other");
  expect(() => openTransactionOutbox({ client, account: other, path })).toThrow(/another address/);
});
