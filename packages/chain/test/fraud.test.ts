// Fraud end to end with the real contracts: a dishonest proposer's batch is convicted by the watcher itself, in one transaction,
// and the honest log goes on from the batch before it to final settlement.
import { join } from "node:path";
import { decodeCycle, encodeCycle, encodeParameters, type Hash, parametersHash } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type Batch,
  type BatchHeader,
  type BatchTip,
  buildBatch,
  encodePostBatch,
  genesisTip,
  hashHeader,
  type SourceCycle,
  tipAfter,
} from "@tidemark/settlement";
import { encodeFunctionData, type PrivateKeyAccount } from "viem";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  batchChainAbi,
  CHALLENGE_FEES_DEFAULT,
  createClaimsClient,
  createDisputeClient,
  createWatcherClient,
  custodyAbi,
  type DisputeClient,
  type DisputeClientOptions,
  developmentAccount,
  disputeAbi,
  feeCapWeiPerGas,
  readConvictions,
  stakeRegistryAbi,
  transactAll,
  type WatcherClient,
} from "../src/index.ts";
import { signatures } from "./support/venue.ts";
import { createWorld, openForTrading, tradeBackAndForth, WINDOW_SECONDS, type World } from "./support/world.ts";

const BOND_WEI = 10n ** 18n;
const BURN_ADDRESS = `0x${"00".repeat(18)}dEaD` as const;
const WRONG_ROOT: Hash = `0x${"5a".repeat(32)}`;
const TURN_SECONDS = 60;
/** Admitted and staked like the honest proposer: each fraud costs one of them its place. */
const DISHONEST = [0, 1, 2].map((place) => developmentAccount(`dishonest proposer ${place}`));
const CHALLENGER = developmentAccount("challenger");
const RIVAL = developmentAccount("rival");

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

function disputeOf(account = CHALLENGER, options: Partial<DisputeClientOptions> = {}): DisputeClient {
  const { client, deployment, folder } = world;
  const path = join(folder, `challenger ${account.address}`);
  const dispute = createDisputeClient({ client, deployment, account, path, ...options });
  disputes.push(dispute);
  return dispute;
}

function watcherOf(dispute?: DisputeClient): Promise<WatcherClient> {
  const { client, deployment } = world;
  const common = { client, deployment, ports: { signatures }, collectClaims: true };
  return createWatcherClient(dispute === undefined ? common : { ...common, dispute });
}

const pastTip = async (proposer: { posted: readonly { header: BatchHeader }[] }): Promise<BatchTip> => {
  const last = proposer.posted.at(-1);
  return last === undefined ? genesisTip(world.deployment.genesisRoot) : tipAfter(last.header);
};

/** Turns pass by silence. It ends at the beginning of a turn: what is sent then is included in it. */
async function untilTurnOf({ address }: PrivateKeyAccount): Promise<void> {
  const { stakeRegistry } = world.deployment;
  const registry = { address: stakeRegistry, abi: stakeRegistryAbi } as const;
  const mayPost = async (): Promise<boolean> => {
    const args = [address, BigInt((await lastNumber()) + 1)] as const;
    return world.client.readContract({ ...registry, functionName: "mayPost", args });
  };
  // Who is alone has every turn.
  for (let i = 0; i < 5 && (await mayPost()); i++) await world.mine(TURN_SECONDS / 4);
  while (!(await mayPost())) await world.mine(TURN_SECONDS / 4);
}

async function post(batch: Batch, sender = DISHONEST[0] as PrivateKeyAccount): Promise<void> {
  await untilTurnOf(sender);
  const data = bytesToHex(encodePostBatch(batch.header, batch.data));
  const { batchChain } = world.deployment;
  const call = { sender, to: batchChain, data, valueWei: BOND_WEI, gas: 9_000_000n };
  await transactAll(world.client, [{ ...call, what: `batch ${batch.header.number}` }], { mine: () => world.mine() });
}

const batchOf = (tip: BatchTip, cycles: readonly SourceCycle[]): Batch =>
  buildBatch(tip, cycles, world.deployment.parameters.domain);

function withHeader(batch: Batch, change: Partial<BatchHeader>): Batch {
  const header = { ...batch.header, ...change };
  return { ...batch, header, batchHash: hashHeader(header) };
}

function lastTradeOf(cycles: readonly SourceCycle[]): number {
  const index = cycles.findLastIndex(({ kind }) => kind === 3);
  if (index < 0) throw new Error("no trade");
  return index;
}

/** The trade's first signature with one bit changed, and a root that the batch's proposer may claim. */
function withForgedSignature(cycles: readonly SourceCycle[]): SourceCycle[] {
  const at = lastTradeOf(cycles);
  return cycles.map((one, i) => {
    if (i !== at) return one;
    const decoding = decodeCycle(one.payload, world.deployment.parameters.domain);
    if (!decoding.ok || decoding.cycle.kind !== "trade") throw new Error("a trade");
    const entry = decoding.cycle.accounts[0]?.entries[0];
    if (entry === undefined || entry.signature === null) throw new Error("a signed entry");
    const digit = entry.signature[10] === "0" ? "1" : "0";
    entry.signature = `0x${entry.signature.slice(2, 10)}${digit}${entry.signature.slice(11)}`;
    return { ...one, payload: encodeCycle(decoding.cycle) };
  });
}

const balanceOf = (address: `0x${string}`): Promise<bigint> => world.client.getBalance({ address });
const lastNumber = async (): Promise<number> =>
  Number(
    await world.client.readContract({
      address: world.deployment.batchChain,
      abi: batchChainAbi,
      functionName: "lastNumber",
    }),
  );

const FRAUDS: readonly {
  name: string;
  code: number;
  make: (tip: BatchTip, cycles: readonly SourceCycle[]) => Batch;
}[] = [
  {
    name: "a wrong root",
    code: 0,
    make: (tip, cycles) =>
      batchOf(
        tip,
        cycles.map((one, i) => (i === lastTradeOf(cycles) ? { ...one, postRoot: WRONG_ROOT } : one)),
      ),
  },
  { name: "a forged signature", code: 410, make: (tip, cycles) => batchOf(tip, withForgedSignature(cycles)) },
  {
    name: "a wrong header",
    code: 0,
    make: (tip, cycles) => {
      const batch = batchOf(tip, cycles);
      return withHeader(batch, { timeMs: batch.header.timeMs + 1 });
    },
  },
];

test("each fraud is convicted in one transaction, and the honest log becomes final", { timeout: 120_000 }, async () => {
  const watcher = await watcherOf(disputeOf());
  const proposer = await world.proposer();
  let bondsBurnt = 0n;
  for (const [place, { name, code, make }] of FRAUDS.entries()) {
    // Waiting for turns makes marks old.
    await world.mine();
    world.venue.marks();
    tradeBackAndForth(world, 4);
    world.venue.withdraw(world.alice, 1_000_000, world.keys.alice.address);
    await world.mine();
    await proposer.tick();
    const tip = await pastTip(proposer);
    const cycles = world.venue.cycles.slice(tip.nextCycle);
    const fraud = make(tip, cycles);
    await post(fraud, DISHONEST[place]);
    expect(await proposer.tick(true), name).toMatchObject({ inFlight: 0, foreign: { number: tip.number + 1 } });
    const found = await watcher.tick();
    expect(found.fault, name).toMatchObject({ batch: tip.number + 1, code, dataCommitted: true });
    expect(found.challenge, `${name}: ${found.challenge?.detail}`).toMatchObject({ step: "sent" });
    expect((await watcher.tick()).challenge, name).toMatchObject({ step: "sent" });
    expect(await world.l1.pendingTransactions(), name).toBe(1);
    const [burnt, rich] = [await balanceOf(BURN_ADDRESS), await balanceOf(CHALLENGER.address)];
    await world.mine();
    bondsBurnt += BOND_WEI / 2n;
    expect((await balanceOf(BURN_ADDRESS)) - burnt, name).toBe(BOND_WEI / 2n);
    expect((await balanceOf(CHALLENGER.address)) - rich, name).toBeGreaterThan((BOND_WEI * 49n) / 100n);
    expect(await lastNumber(), name).toBe(tip.number);
    const after = await watcher.tick();
    expect(after, name).toMatchObject({ ok: true, fault: null, challenge: null, batchesCompared: tip.number });
    expect(after.stateRoot, name).toBe(tip.stateRoot);
    // The honest proposer goes on from the batch before, with the same journal, when its turn has come.
    await untilTurnOf(world.keys.proposer);
    expect(await proposer.tick(true), name).toMatchObject({ inFlight: 1, foreign: null });
    await world.mine();
    expect(await proposer.tick(true), name).toMatchObject({ cyclesPosted: world.venue.cycles.length, inFlight: 0 });
    expect(await watcher.tick(), name).toMatchObject({ ok: true, batchesCompared: tip.number + 1 });
  }
  const head = Number(await world.client.getBlockNumber());
  const registry = { address: world.deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
  expect(await world.client.readContract({ ...registry, functionName: "activeSet" })).toEqual([
    world.keys.proposer.address,
  ]);
  expect(await world.client.readContract({ ...registry, functionName: "slashCount" })).toBe(BigInt(FRAUDS.length));
  const convictions = await readConvictions(world.client, world.deployment, 0, head);
  expect(convictions.map(({ code }) => code)).toEqual(FRAUDS.map(({ code }) => code));
  expect(convictions.reduce((sum, one) => sum + one.burntWei, 0n)).toBe(bondsBurnt);

  await world.mine(WINDOW_SECONDS);
  await proposer.tick();
  await world.mine();
  const end = await proposer.tick();
  expect(end).toMatchObject({ batchesPosted: FRAUDS.length, batchesFinal: FRAUDS.length });
  expect(await watcher.tick()).toMatchObject({
    ok: true,
    batchesFinal: FRAUDS.length,
    batchesDropped: FRAUDS.length,
    cyclesCompared: world.venue.cycles.length,
    cyclesEqual: world.venue.cycles.length,
    stateRoot: world.venue.state.root(),
  });
  const claims = createClaimsClient(world.client, world.deployment, world.keys.bob, { mine: () => world.mine() });
  const before = await world.custody.balanceMicroUsdc(world.keys.alice.address);
  await claims.claim(watcher.claims);
  const after = await world.custody.balanceMicroUsdc(world.keys.alice.address);
  expect(after - before).toBe(BigInt(FRAUDS.length * 1_000_000));
});

/** A wrong batch 1 and the state that leads to it, posted. */
async function plantFraud(): Promise<{ batch: Batch; cycles: readonly SourceCycle[] }> {
  tradeBackAndForth(world, 3);
  await world.mine();
  const cycles = world.venue.cycles;
  const batch = (FRAUDS[0] as (typeof FRAUDS)[number]).make(genesisTip(world.deployment.genesisRoot), cycles);
  await post(batch);
  return { batch, cycles };
}

test("descendants of a convicted batch go with it, and their bonds come back", async () => {
  const { batch } = await plantFraud();
  await world.mine();
  world.venue.marks();
  await world.mine();
  let tip = tipAfter(batch.header);
  for (const cycle of world.venue.cycles.slice(tip.nextCycle)) {
    const descendant = batchOf(tip, [cycle]);
    // A proposer that posts on top of it in good faith.
    await post(descendant, world.keys.proposer);
    tip = tipAfter(descendant.header);
  }
  const proposer = await world.proposer();
  const watcher = await watcherOf(disputeOf());
  await proposer.tick(true);
  await watcher.tick();
  await world.mine();
  expect(await lastNumber()).toBe(0);
  const credit = (): Promise<bigint> =>
    world.client.readContract({
      address: world.deployment.batchChain,
      abi: batchChainAbi,
      functionName: "bondCredit",
      args: [world.keys.proposer.address],
    });
  expect(await credit()).toBe(0n);
  for (let i = 0; i < 3; i++) {
    await untilTurnOf(world.keys.proposer);
    await proposer.tick(true);
    await world.mine();
  }
  expect(await credit()).toBe(2n * BOND_WEI);
  const [rich] = [await balanceOf(world.keys.proposer.address)];
  expect(await proposer.withdrawBonds()).toBe(true);
  await world.mine();
  expect((await balanceOf(world.keys.proposer.address)) - rich).toBeGreaterThan(BOND_WEI + BOND_WEI / 2n);
  expect(await watcher.tick()).toMatchObject({ ok: true, cyclesEqual: world.venue.cycles.length });
});

test("two watchers: one convicts, the other loses the race without an error", async () => {
  await plantFraud();
  const watchers = [await watcherOf(disputeOf(CHALLENGER)), await watcherOf(disputeOf(RIVAL))];
  for (const watcher of watchers) expect((await watcher.tick()).challenge).toMatchObject({ step: "sent" });
  expect(await world.l1.pendingTransactions()).toBe(2);
  await world.mine();
  for (const watcher of watchers) {
    expect(await watcher.tick()).toMatchObject({ ok: true, fault: null, batchesDropped: 1, batchesPosted: 0 });
    expect(await watcher.tick()).toMatchObject({ ok: true });
  }
  const head = Number(await world.client.getBlockNumber());
  expect(await readConvictions(world.client, world.deployment, 0, head)).toHaveLength(1);
});

test("a challenge that no block took is taken back once another convicted", async () => {
  await plantFraud();
  const fees = {
    ...CHALLENGE_FEES_DEFAULT,
    tipWeiPerGas: 1n,
    feeCapEndWeiPerGas: CHALLENGE_FEES_DEFAULT.feeCapStartWeiPerGas,
  };
  const slow = await watcherOf(disputeOf(RIVAL, { fees }));
  expect((await slow.tick()).challenge).toMatchObject({ step: "sent" });
  // Nobody takes its price any more, and the node drops it from its pool.
  await world.l1.setNextBaseFee(60_000_000_000n);
  await world.mine();
  const quick = await watcherOf(disputeOf(CHALLENGER));
  expect((await quick.tick()).challenge?.detail).toContain("above the cap");
  await world.l1.setNextBaseFee(10_000_000_000n);
  await world.mine();
  await quick.tick();
  await world.mine();
  expect(await lastNumber()).toBe(0);
  expect(await slow.tick()).toMatchObject({ ok: true, batchesDropped: 1 });
  await world.mine();
  expect(await slow.tick()).toMatchObject({ ok: true });
  expect(await world.l1.pendingTransactions()).toBe(0);
  const { transactions } = await world.client.getBlock({ includeTransactions: true });
  // A transfer of nothing instead of a challenge that would revert.
  expect(transactions).toHaveLength(1);
  expect(transactions[0]).toMatchObject({ from: RIVAL.address.toLowerCase(), input: "0x", value: 0n });
});

test("a killed challenger goes on where it was, and convicts once", async () => {
  await plantFraud();
  const dispute = disputeOf();
  await (await watcherOf(dispute)).tick();
  await dispute.close();
  disputes.length = 0;
  // Its second life knows the batch only by its stored challenge at first.
  const again = disputeOf();
  await again.tick();
  const watcher = await watcherOf(again);
  expect((await watcher.tick()).challenge).toMatchObject({ step: "sent" });
  expect(await world.l1.pendingTransactions()).toBe(1);
  await world.mine();
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesDropped: 1 });
  expect(await world.client.getTransactionCount({ address: CHALLENGER.address })).toBe(1);
});

test("a reorg takes the conviction back, and the batch is convicted again", async () => {
  await plantFraud();
  const watcher = await watcherOf(disputeOf());
  await watcher.tick();
  await world.mine();
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesDropped: 1 });
  await world.l1.reorg(1);
  expect(await lastNumber()).toBe(1);
  const status = await watcher.tick();
  expect(status.fault).toMatchObject({ batch: 1 });
  expect(status.challenge).toMatchObject({ step: "sent" });
  await world.mine();
  expect(await lastNumber()).toBe(0);
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesDropped: 2 });
});

test("a parameter set that governance changed is brought onto the L1 once, by whoever watches first", async () => {
  const { parameters } = world.deployment;
  const changed = { ...parameters, risk: { ...parameters.risk, markAgeMaxMs: parameters.risk.markAgeMaxMs + 1 } };
  const watching = [disputeOf(CHALLENGER), disputeOf(RIVAL)];
  for (const dispute of watching) {
    expect(await dispute.ensureParameters(parameters)).toBe(true);
    expect(await dispute.ensureParameters(changed)).toBe(false);
    expect(await dispute.ensureParameters(changed)).toBe(false);
  }
  expect(await world.l1.pendingTransactions()).toBe(2);
  await world.mine();
  for (const dispute of watching) {
    await dispute.tick();
    expect(await dispute.ensureParameters(changed)).toBe(true);
  }
  const stored = await world.client.readContract({
    address: world.deployment.dispute,
    abi: disputeAbi,
    functionName: "storeOf",
    args: [parametersHash(changed)],
  });
  expect(await world.client.getCode({ address: stored })).toBe(`0x00${bytesToHex(encodeParameters(changed)).slice(2)}`);
});

test("the same wrong batch posted again is convicted again", async () => {
  const { batch } = await plantFraud();
  const watcher = await watcherOf(disputeOf());
  for (let round = 1; round <= 3; round++) {
    expect((await watcher.tick()).challenge).toMatchObject({ step: "sent" });
    await world.mine();
    if (round < 3) await post(batch, DISHONEST[round]);
    const status = await watcher.tick();
    expect(status.batchesDropped).toBe(round);
  }
  expect(await lastNumber()).toBe(0);
});

test("a challenge waits for gas that it may pay for, and says so; the cap rises with time", async () => {
  const fees = {
    tipWeiPerGas: 1_000_000_000n,
    feeCapStartWeiPerGas: 5_000_000_000n,
    feeCapEndWeiPerGas: 100_000_000_000n,
    bumpAfterBlocks: 1,
  };
  const caps = [0n, 100_000n, 500_000n, 750_000n, 2_000_000n].map((ppm) => feeCapWeiPerGas(fees, ppm));
  expect(caps[0]).toBe(fees.feeCapStartWeiPerGas);
  expect(caps).toEqual([...caps].sort((a, b) => Number(a - b)));
  expect(caps.slice(3)).toEqual([fees.feeCapEndWeiPerGas, fees.feeCapEndWeiPerGas]);
  await plantFraud();
  const watcher = await watcherOf(disputeOf(CHALLENGER, { fees }));
  await world.l1.setNextBaseFee(20_000_000_000n);
  await world.mine();
  const held = await watcher.tick();
  expect(held.challenge?.detail).toContain("base fee is above the cap");
  expect(await world.l1.pendingTransactions()).toBe(0);
  await world.l1.setNextBaseFee(20_000_000_000n);
  await world.mine(WINDOW_SECONDS - 120);
  await watcher.tick();
  expect(await world.l1.pendingTransactions()).toBe(1);
  await world.mine();
  expect(await watcher.tick()).toMatchObject({ ok: true, batchesDropped: 1 });
});

test("without money it says why and sends nothing; a batch that became final is convicted late and freezes the custody", async () => {
  await plantFraud();
  const poor = developmentAccount("poor");
  const penniless = await watcherOf(disputeOf(poor));
  const held = await penniless.tick();
  expect(held.challenge).toMatchObject({ step: "held" });
  expect(held.challenge?.detail).toContain("has 0 wei");
  await world.mine(WINDOW_SECONDS);
  const { batchChain } = world.deployment;
  const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args: [1n] });
  await transactAll(world.client, [{ sender: world.keys.bob, to: batchChain, data, gas: 300_000n, what: "finalise" }], {
    mine: () => world.mine(),
  });
  const late = await watcherOf(disputeOf());
  expect((await late.tick()).challenge).toMatchObject({ step: "sent" });
  await world.mine();
  const status = await late.tick();
  expect(status).toMatchObject({ ok: false, batchesDropped: 0, challenge: { step: "convicted late" } });
  const frozen = { address: world.deployment.custody, abi: custodyAbi, functionName: "frozen" } as const;
  expect(await world.client.readContract(frozen)).toBe(true);
  expect((await late.tick()).challenge).toMatchObject({ step: "convicted late" });
  expect(await world.l1.pendingTransactions()).toBe(0);
});

test("a venue whose own cycles are convicted stops instead of posting them for ever", async () => {
  const { batch, cycles } = await plantFraud();
  const wrong = cycles.map((one, i) => (i === lastTradeOf(cycles) ? { ...one, postRoot: WRONG_ROOT } : one));
  const source = { count: () => wrong.length, read: (at: number, most: number) => wrong.slice(at, at + most) };
  const proposer = await world.proposer({ source });
  expect(await proposer.tick()).toMatchObject({ batchesPosted: 1, foreign: null });
  expect(batch.header.number).toBe(1);
  const watcher = await watcherOf(disputeOf());
  await watcher.tick();
  await world.mine();
  await expect(proposer.tick(true)).rejects.toMatchObject({ code: "OWN_BATCH_CONVICTED", retryable: false });
  // Not in its next life either.
  const next = await world.proposer({ source, path: join(world.folder, "next") });
  await expect(next.tick(true)).rejects.toMatchObject({ code: "OWN_BATCH_CONVICTED" });
});
