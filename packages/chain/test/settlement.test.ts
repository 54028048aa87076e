// The whole way on a real L1 with the real contracts and ledger: deposit, inbound, batch, watcher, finality, claim.
import { join } from "node:path";
import { CycleKind, decodeCycle } from "@tidemark/ledger";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkDeployment,
  createClaimsClient,
  createWatcherClient,
  type Deployment,
  deploymentProblems,
  RULE_KINDS,
  readDeployment,
  startEmbeddedL1,
  watchOnce,
  writeDeployment,
} from "../src/index.ts";
import { signatures } from "./support/venue.ts";
import {
  createWorld,
  DEPOSIT_MICRO_USDC,
  openForTrading,
  tradeBackAndForth,
  WINDOW_SECONDS,
  type World,
} from "./support/world.ts";

const WITHDRAWAL_MICRO_USDC = 250_000_000;

describe("one venue from deployment to a claimed withdrawal", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world.close());

  test("the deployment file comes back as it was, and stands on the L1", async () => {
    const path = join(world.folder, "deployment.json");
    await writeDeployment(path, world.deployment);
    const read = await readDeployment(path);
    expect(read).toEqual(world.deployment);
    await checkDeployment(world.client, read);
    const { custody: elsewhere, rules } = read;
    const wrong: readonly (readonly [string, Partial<Deployment>])[] = [
      ["token (custody.token)", { token: elsewhere }],
      ["policy (batchChain.finalityPolicy)", { policy: elsewhere }],
      ["dispute (batchChain.dispute)", { dispute: elsewhere }],
      ["stakeRegistry (batchChain.proposerPolicy)", { stakeRegistry: elsewhere }],
      ["escape (custody.escape)", { escape: elsewhere }],
      ["receiptCourt (stakeRegistry.receiptCourt)", { receiptCourt: elsewhere }],
      ["sequencer (stakeRegistry.sequencer)", { sequencer: elsewhere }],
      ["parameterStore (code)", { parameterStore: elsewhere }],
      ["rules.trade (code)", { rules: { ...rules, trade: rules.rows } }],
    ];
    for (const [field, change] of wrong) {
      const failure = expect(checkDeployment(world.client, { ...read, ...change })).rejects;
      await failure.toMatchObject({ code: "DEPLOYMENT_MISMATCH", context: { field } });
    }
    const { trade: _, ...others } = rules;
    expect(deploymentProblems({ ...read, rules: { ...others, barter: elsewhere } })).toEqual([
      "rules.trade: not an address",
      "rules.barter: unknown cycle kind",
    ]);
  });

  test("a contract judges every kind that the ledger decodes, and no other", () => {
    const isKnown = (kind: number): boolean => {
      const decoding = decodeCycle(Uint8Array.of(1, kind, ...new Uint8Array(8)), world.deployment.parameters.domain);
      return decoding.ok || !decoding.what.includes("cycle kind");
    };
    const decoded = Array.from({ length: 256 }, (_, kind) => kind).filter(isKnown);
    expect(RULE_KINDS.map((kind) => CycleKind[kind]).toSorted((a, b) => a - b)).toEqual(decoded);
  });

  test("a deposit is read only once its block is final", async () => {
    const { custody, keys, reader } = world;
    await custody.mint(keys.lister, [{ address: keys.alice.address, amountMicroUsdc: DEPOSIT_MICRO_USDC }]);
    const opened = await custody.openAccounts([{ owner: keys.alice, depositMicroUsdc: DEPOSIT_MICRO_USDC }]);
    expect(opened.map(({ account }) => account)).toEqual([world.alice.account]);
    expect(await reader.poll()).toEqual([]);
    await world.mine();
    expect(await reader.poll()).toEqual([]);
    await world.finaliseL1();
    const entries = await reader.poll();
    expect(entries.map(({ index }) => index)).toEqual([0, 1]);
    world.venue.inbound(entries.map(({ bytes }) => bytes));
    expect(world.venue.state.account(world.alice.account)?.cash).toBe(DEPOSIT_MICRO_USDC);
    expect(await reader.poll()).toEqual([]);
  });

  test("cycles become posted batches that the watcher agrees with, then final ones", async () => {
    const { custody, keys, venue } = world;
    await custody.mint(keys.lister, [{ address: keys.bob.address, amountMicroUsdc: DEPOSIT_MICRO_USDC }]);
    await custody.openAccounts([{ owner: keys.bob, depositMicroUsdc: DEPOSIT_MICRO_USDC }]);
    await custody.listSeries(keys.lister, [{ underlying: 0, expiryMs: 0, strikesMicroUsd: [] }]);
    await world.finaliseL1();
    expect(await world.consumeQueue()).toBe(3);
    venue.marks();
    tradeBackAndForth(world, 20);
    venue.withdraw(world.alice, WITHDRAWAL_MICRO_USDC, keys.alice.address);
    await world.mine();

    const proposer = await world.proposer();
    const first = await proposer.tick(true);
    expect(first).toMatchObject({ inFlight: 1, batchesPosted: 0 });
    await world.mine();
    const posted = await proposer.tick(true);
    expect(posted).toMatchObject({
      inFlight: 0,
      batchesPosted: 1,
      batchesFinal: 0,
      cyclesPosted: venue.cycles.length,
      fillsPosted: 20,
      reverted: 0,
    });
    expect(posted.lastBatches[0]).toMatchObject({ number: 1, final: false, windowLeftSeconds: WINDOW_SECONDS });
    expect(posted.l1Gas).toBeGreaterThan(100_000);
    expect(posted.l1Bytes).toBeGreaterThan(20 * 200);

    const verdict = await watchOnce(world.l1.url, world.deployment, { signatures });
    expect(verdict).toMatchObject({ ok: true, fault: null, batchesCompared: 1, cyclesEqual: venue.cycles.length });
    expect(verdict.stateRoot).toBe(venue.state.root());
    expect(verdict.cyclesByKind).toEqual({ inbound: 2, report: 1, rows: 1, trade: 20, outbound: 1 });

    await world.mine(WINDOW_SECONDS - 1);
    expect((await proposer.tick()).batchesFinal).toBe(0);
    await world.mine(1);
    await proposer.tick();
    await world.mine();
    expect(await proposer.tick()).toMatchObject({ batchesFinal: 1, cyclesFinal: venue.cycles.length, fillsFinal: 20 });
    expect(await proposer.withdrawBonds()).toBe(true);
    await world.mine();
    await proposer.tick();
    expect(await proposer.withdrawBonds()).toBe(false);
  });

  test("a final withdrawal is claimed once", async () => {
    const watcher = await createWatcherClient({
      client: world.client,
      deployment: world.deployment,
      ports: { signatures },
      collectClaims: true,
    });
    await watcher.tick();
    const [claim, ...others] = watcher.claims;
    expect(others).toEqual([]);
    if (claim === undefined) throw new Error("no claim was collected");
    const claims = createClaimsClient(world.client, world.deployment, world.keys.bob, { mine: () => world.mine() });
    const before = await world.custody.balanceMicroUsdc(world.keys.alice.address);
    expect(await claims.lastFinal()).toBeGreaterThanOrEqual(claim.batchNumber);
    const forged = { ...claim, cell: { ...claim.cell, amount: (claim.cell.amount + 1) as never } };
    await expect(claims.claim([forged])).rejects.toMatchObject({ code: "TRANSACTION_REVERTED" });
    expect(await claims.isClaimed(0)).toBe(false);
    await claims.claim([claim]);
    expect(await claims.isClaimed(0)).toBe(true);
    const after = await world.custody.balanceMicroUsdc(world.keys.alice.address);
    expect(after - before).toBe(BigInt(WITHDRAWAL_MICRO_USDC));
    await expect(claims.claim([claim])).rejects.toMatchObject({ code: "TRANSACTION_REVERTED" });
    const { globals } = world.venue.state;
    const owed = globals.cashTotal + globals.clearingTotal + globals.outboxTotal - WITHDRAWAL_MICRO_USDC;
    expect(await world.custody.vaultMicroUsdc()).toBe(BigInt(owed));
  });

  test("from a state dump alone, on another node, the watcher agrees; it refuses another deployment", async () => {
    const path = join(world.folder, "l1.json");
    await world.l1.dumpState(path);
    const copy = await startEmbeddedL1({ loadStateFile: path });
    try {
      const verdict = await watchOnce(copy.url, world.deployment, { signatures });
      expect(verdict).toMatchObject({ ok: true, batchesFinal: 1, cyclesEqual: world.venue.cycles.length });
      const parameters = { ...world.deployment.parameters, receiptPeriodMs: 1 };
      const other = { ...world.deployment, parameters };
      await expect(watchOnce(copy.url, other, { signatures })).rejects.toMatchObject({ code: "DEPLOYMENT_MISMATCH" });
    } finally {
      await copy.stop();
    }
  });
});

test("opening for trading is repeatable", async () => {
  const world = await createWorld();
  try {
    await openForTrading(world);
    expect(world.venue.state.instrumentCount).toBe(1);
  } finally {
    await world.close();
  }
});
