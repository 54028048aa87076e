// What a hostile proposer, a busy L1 and a poor node do to a watcher: it must go on looking, and its challenge must arrive.
import { join } from "node:path";
import type { Hash } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type Accusation,
  type Batch,
  buildBatch,
  type Challenge,
  encodePostBatch,
  genesisTip,
} from "@tidemark/settlement";
import type { PrivateKeyAccount } from "viem";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareChallenge, TRANSACTION_BYTES_MAX, TRANSACTION_GAS_MAX } from "../src/challengeCall.ts";
import { eachBlockRange } from "../src/clients.ts";
import {
  batchChainAbi,
  CHALLENGE_FEES_DEFAULT,
  ChainError,
  connectL1,
  createDisputeClient,
  createWatcherClient,
  type DisputeClient,
  type DisputeClientOptions,
  developmentAccount,
  type L1Client,
  stakeRegistryAbi,
  transactAll,
  type WatcherClient,
} from "../src/index.ts";
import { startLyingNode } from "./support/lyingNode.ts";
import { signatures } from "./support/venue.ts";
import { createWorld, openForTrading, tradeBackAndForth, WINDOW_SECONDS, type World } from "./support/world.ts";

const BOND_WEI = 10n ** 18n;
const WRONG_ROOT: Hash = `0x${"5a".repeat(32)}`;
const TURN_SECONDS = 60;
const POSTINGS = 11;
const DISHONEST = Array.from({ length: POSTINGS }, (_, place) => developmentAccount(`dishonest proposer ${place}`));
const CHALLENGER = developmentAccount("challenger");
const RIVAL = developmentAccount("rival");
/** In a block ahead of the challenger's. */
const EAGER = { ...CHALLENGE_FEES_DEFAULT, tipWeiPerGas: 5_000_000_000n };

let world: World;
const disputes: DisputeClient[] = [];

beforeEach(async () => {
  world = await createWorld({
    furtherProposers: DISHONEST.map(({ address }) => address),
    turnSeconds: TURN_SECONDS,
  });
  for (const { address } of [CHALLENGER, RIVAL, ...DISHONEST]) await world.l1.setBalance(address, 10n ** 21n);
  await openForTrading(world);
});
afterEach(async () => {
  await Promise.all(disputes.splice(0).map((dispute) => dispute.close()));
  await world.close();
});

function disputeOf(account: PrivateKeyAccount, options: Partial<DisputeClientOptions> = {}): DisputeClient {
  const { client, deployment, folder } = world;
  const path = join(folder, `challenger ${account.address}`);
  const dispute = createDisputeClient({ client, deployment, account, path, ...options });
  disputes.push(dispute);
  return dispute;
}

function watcherOf(dispute?: DisputeClient, client: L1Client = world.client): Promise<WatcherClient> {
  const common = { client, deployment: world.deployment, ports: { signatures } };
  return createWatcherClient(dispute === undefined ? common : { ...common, dispute });
}

const lastNumber = async (): Promise<number> => {
  const chain = { address: world.deployment.batchChain, abi: batchChainAbi, functionName: "lastNumber" } as const;
  return Number(await world.client.readContract(chain));
};

async function post(batch: Batch, sender: PrivateKeyAccount): Promise<void> {
  const registry = { address: world.deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
  const args = [sender.address, BigInt(batch.header.number)] as const;
  while (!(await world.client.readContract({ ...registry, functionName: "mayPost", args }))) {
    await world.mine(TURN_SECONDS / 4);
  }
  const data = bytesToHex(encodePostBatch(batch.header, batch.data));
  const call = { sender, to: world.deployment.batchChain, data, valueWei: BOND_WEI, gas: 9_000_000n, what: "batch" };
  await transactAll(world.client, [call], { mine: () => world.mine() });
}

/** Batch 1 of the venue's cycles, the last of them with another root. */
function wrongBatch(): Batch {
  tradeBackAndForth(world, 2);
  const { cycles } = world.venue;
  const wrong = cycles.map((one, i) => (i === cycles.length - 1 ? { ...one, postRoot: WRONG_ROOT } : one));
  return buildBatch(genesisTip(world.deployment.genesisRoot), wrong, world.deployment.parameters.domain);
}

async function plantFraud(): Promise<Batch> {
  const batch = wrongBatch();
  await world.mine();
  await post(batch, DISHONEST[0] as PrivateKeyAccount);
  return batch;
}

test("however often the same batch is posted and convicted by others first, it is challenged again", {
  timeout: 240_000,
}, async () => {
  const batch = wrongBatch();
  await world.mine();
  const watcher = await watcherOf(disputeOf(CHALLENGER));
  const rival = await watcherOf(disputeOf(RIVAL, { fees: EAGER }));
  for (const [round, dishonest] of DISHONEST.entries()) {
    await post(batch, dishonest);
    const status = await watcher.tick();
    expect(status.challenge, `posting ${round + 1}: ${status.challenge?.detail}`).toMatchObject({ step: "sent" });
    // The one that pays more is ahead in the block: the other is reverted, and has lost nothing but gas.
    if (round < POSTINGS - 1) await rival.tick();
    await world.mine();
    expect(await lastNumber()).toBe(0);
    await watcher.tick();
    await rival.tick();
  }
});

test("a challenge waits for its parameters no longer than the cap for its own gas demands", async () => {
  const { header, batchHash } = await plantFraud();
  const { parameters } = world.deployment;
  const changed = { ...parameters, risk: { ...parameters.risk, markAgeMaxMs: parameters.risk.markAgeMaxMs + 1 } };
  const challenges = function* (): Generator<Challenge> {};
  const common = { batch: header.number, cycleIndex: 0, code: 0, account: -1, challenges };
  const accusation: Accusation = { ...common, parameters: changed };
  const target = { number: header.number, batchHash, blockNumber: Number(await world.client.getBlockNumber()) };
  const dispute = disputeOf(CHALLENGER);
  const busy = async (seconds: number): Promise<void> => {
    await world.l1.setNextBaseFee(80_000_000_000n);
    await world.mine(seconds);
  };
  await busy(12);
  expect(await dispute.pursue(target, accusation)).toMatchObject({ step: "held" });
  // Above what is paid at the beginning of the window.
  expect(await world.l1.pendingTransactions()).toBe(0);
  await busy(WINDOW_SECONDS - 120);
  await dispute.tick();
  expect(await world.l1.pendingTransactions()).toBe(1);
  await world.mine();
  expect(await dispute.ensureParameters(changed)).toBe(true);
});

test("a face that no node would take is passed over, and gas has room for what others change", async () => {
  const last = world.venue.cycles.length - 1;
  // Malformed: the witness is not looked at.
  const malformed = { payload: Uint8Array.of(1, 3), postRoot: WRONG_ROOT };
  const cycles = world.venue.cycles.map((one, i) => (i === last ? { ...one, ...malformed } : one));
  const batch = buildBatch(genesisTip(world.deployment.genesisRoot), cycles, world.deployment.parameters.domain);
  await world.mine();
  await post(batch, DISHONEST[0] as PrivateKeyAccount);
  const watcher = await watcherOf();
  await watcher.tick();
  const accused = watcher.core.accuse();
  if (!accused.ok) throw new Error(accused.why);
  const { accusation } = accused;
  const [challenge] = [...accusation.challenges()];
  if (challenge?.face !== "root") throw new Error("the root");
  const large: Challenge = { ...challenge, witness: new Uint8Array(TRANSACTION_BYTES_MAX) };
  const challenges = function* (): Generator<Challenge> {
    yield large;
    yield challenge;
  };
  const { client, deployment } = world;
  const sender = CHALLENGER.address;
  const preparation = await prepareChallenge(client, deployment, sender, { ...accusation, challenges });
  if (!preparation.ok) throw new Error(preparation.why);
  const { prepared } = preparation;
  expect(prepared.bytes).toBeLessThan(TRANSACTION_BYTES_MAX);
  const used = await client.estimateGas({ account: sender, to: deployment.dispute, data: prepared.data });
  expect(prepared.gas - Number(used)).toBeGreaterThanOrEqual(250_000);
  expect(prepared.gas).toBeLessThan(TRANSACTION_GAS_MAX);
});

test("a transaction that nodes refuse does not keep the watcher from looking", async () => {
  await plantFraud();
  let isRefusing = true;
  const refusing = Object.assign(Object.create(world.client) as L1Client, {
    sendRawTransaction: (request: Parameters<L1Client["sendRawTransaction"]>[0]) =>
      isRefusing ? Promise.reject(new Error("oversized data")) : world.client.sendRawTransaction(request),
  });
  const watcher = await watcherOf(disputeOf(CHALLENGER, { client: refusing }));
  await expect(watcher.tick()).rejects.toMatchObject({ code: "L1_REFUSED", retryable: true });
  const rival = await watcherOf(disputeOf(RIVAL));
  await rival.tick();
  await world.mine();
  expect(await lastNumber()).toBe(0);
  await post(
    buildBatch(genesisTip(world.deployment.genesisRoot), world.venue.cycles, world.deployment.parameters.domain),
    world.keys.proposer,
  );
  await expect(watcher.tick()).rejects.toMatchObject({ code: "L1_REFUSED" });
  expect(watcher.core.verdict()).toMatchObject({ ok: true, batchesCompared: 1 });
  // The nonce is free for what comes after it.
  isRefusing = false;
  await world.mine();
  await watcher.tick();
  await world.mine();
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1 });
  expect(await world.client.getTransactionCount({ address: CHALLENGER.address })).toBe(1);
});

test("a node that is behind the head it was asked about costs a round, not the watcher", async () => {
  let isBehind = false;
  const node = await startLyingNode(world.l1.url, (method, result) =>
    isBehind && method === "eth_getLogs" ? [] : result,
  );
  try {
    const watcher = await watcherOf(undefined, await connectL1(node.url, world.l1.chainId));
    await watcher.tick();
    const amountMicroUsdc = 5_000_000;
    const deposit = async (): Promise<void> => {
      await world.custody.mint(world.keys.lister, [{ address: world.keys.alice.address, amountMicroUsdc }]);
      await world.custody.openAccounts([{ owner: world.keys.alice, depositMicroUsdc: amountMicroUsdc }]);
    };
    isBehind = true;
    await deposit();
    await expect(watcher.tick()).rejects.toMatchObject({ code: "L1_INCONSISTENT", retryable: true });
    isBehind = false;
    await deposit();
    expect(await watcher.tick()).toMatchObject({ ok: true, fault: null });
    const known = watcher.core.queueLength;
    expect(known).toBeGreaterThan(0);
    // The same of batches.
    isBehind = true;
    await post(
      buildBatch(genesisTip(world.deployment.genesisRoot), world.venue.cycles, world.deployment.parameters.domain),
      world.keys.proposer,
    );
    await expect(watcher.tick()).rejects.toMatchObject({ code: "L1_INCONSISTENT", retryable: true });
    isBehind = false;
    expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1 });
  } finally {
    await node.stop();
  }
});

test("ranges that a node refuses for what they hold are read in halves", async () => {
  const read: bigint[] = [];
  const refusal = new ChainError("L1_REFUSED", "query returned more than 10000 results", { retryable: true });
  await eachBlockRange(10, 5_000, async (from, to) => {
    if (to - from >= 100n && from < 1_000n) throw refusal;
    for (let block = from; block <= to; block++) read.push(block);
  });
  expect(read).toEqual(Array.from({ length: 4_991 }, (_, i) => BigInt(10 + i)));
  const whole = eachBlockRange(1, 50, () => Promise.reject(refusal));
  await expect(whole).rejects.toBe(refusal);
});
