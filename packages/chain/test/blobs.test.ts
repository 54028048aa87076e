// Batches in real blob transactions on the embedded L1: posted, read back, re-executed, affirmed and final; blobs that are not what
// their header says are convicted by the watcher itself.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hash, LedgerState } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import {
  type Batch,
  type BatchHeader,
  type BatchTip,
  buildBatch,
  decodeBatchData,
  decodePost,
  encodePostBatchBlob,
  genesisTip,
  hashHeader,
  inBlob,
  packBlob,
  type SourceCycle,
} from "@tidemark/settlement";
import type { Hex, PrivateKeyAccount } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  affirmBatch,
  batchChainAbi,
  blobProofOf,
  createBlobReader,
  createDisputeClient,
  createWatcherClient,
  type DisputeClient,
  developmentAccount,
  type Kzg,
  loadKzg,
  readBatchEvents,
  readPostedBatch,
  signBlobTransaction,
  stakeRegistryAbi,
  versionedHashOf,
} from "../src/index.ts";
import { signatures } from "./support/venue.ts";
import { createWorld, openForTrading, tradeBackAndForth, type World } from "./support/world.ts";

const BOND_WEI = 10n ** 18n;
const TURN_SECONDS = 60;
const CHALLENGER = developmentAccount("challenger");
const DISHONEST = developmentAccount("dishonest proposer");
const WRONG_ROOT: Hash = `0x${"5a".repeat(32)}`;

let kzg: Kzg;
beforeAll(async () => {
  kzg = await loadKzg();
}, 120_000);

describe("a venue that posts in blobs", () => {
  let world: World;
  const disputes: DisputeClient[] = [];

  beforeEach(async () => {
    world = await createWorld({ furtherProposers: [DISHONEST.address], turnSeconds: TURN_SECONDS });
    for (const { address } of [CHALLENGER, DISHONEST]) await world.l1.setBalance(address, 10n ** 21n);
    await openForTrading(world);
  });
  afterEach(async () => {
    await Promise.all(disputes.splice(0).map((dispute) => dispute.close()));
    await world.close();
  });

  function watcherOf() {
    const { client, deployment, folder } = world;
    const path = join(folder, "challenger");
    const dispute = createDisputeClient({ client, deployment, account: CHALLENGER, path });
    disputes.push(dispute);
    return createWatcherClient({ client, deployment, ports: { signatures }, dispute });
  }

  async function untilTurnOf({ address }: PrivateKeyAccount, number: number): Promise<void> {
    const registry = { address: world.deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
    const args = [address, BigInt(number)] as const;
    while (!(await world.client.readContract({ ...registry, functionName: "mayPost", args }))) {
      await world.mine(TURN_SECONDS);
    }
  }

  const inItsBlob = (batch: Batch): Batch => inBlob(batch, versionedHashOf(kzg.commitmentOf(packBlob(batch.data))));
  const batchOf = (tip: BatchTip, cycles: readonly SourceCycle[]): Batch =>
    buildBatch(tip, cycles, world.deployment.parameters.domain);
  function changed(batch: Batch, change: Partial<BatchHeader>): Batch {
    const header = { ...batch.header, ...change };
    return { ...batch, header, batchHash: hashHeader(header) };
  }

  async function post({ header }: Batch, blob: Uint8Array): Promise<void> {
    await untilTurnOf(DISHONEST, header.number);
    const { client, deployment } = world;
    const { raw, hash } = await signBlobTransaction(DISHONEST, {
      chainId: client.chain.id,
      nonce: await client.getTransactionCount({ address: DISHONEST.address }),
      to: deployment.batchChain,
      data: bytesToHex(encodePostBatchBlob(header)),
      valueWei: BOND_WEI,
      gas: 2_000_000n,
      maxFeePerGas: 100_000_000_000n,
      maxPriorityFeePerGas: 1_000_000_000n,
      maxFeePerBlobGas: 10_000_000_000n,
      blob,
    });
    expect(await client.sendRawTransaction({ serializedTransaction: raw })).toBe(hash);
    await world.mine();
    expect((await client.getTransactionReceipt({ hash })).status).toBe("success");
  }

  test("posts, is watched, affirmed and final", { timeout: 120_000 }, async () => {
    tradeBackAndForth(world, 6);
    const proposer = await world.proposer({ inBlobs: true });
    const inCalldata = buildBatch(genesisTip(world.deployment.genesisRoot), world.venue.cycles, 1).data.length;
    await proposer.tick(true);
    await world.mine();
    const status = await proposer.tick();
    expect(status).toMatchObject({
      batchesPosted: 1,
      inFlight: 0,
      reverted: 0,
      cyclesPosted: world.venue.cycles.length,
    });
    const { client, deployment } = world;
    const [event] = await readBatchEvents(client, deployment, 0, Number(await client.getBlockNumber()));
    if (event === undefined) throw new Error("a batch");
    const posted = await readPostedBatch(client, event);
    // The data are not in the calldata.
    expect(posted.calldata.length).toBe(484);
    expect(posted.blob?.length).toBe(131_072);
    const receipt = await client.getTransactionReceipt({ hash: event.transactionHash });
    expect(receipt.blobGasUsed).toBe(131_072n);
    expect(Number(receipt.gasUsed)).toBeLessThan(250_000);
    expect(status.lastBatches[0]?.l1Bytes).toBe(484 + inCalldata);

    const watcher = await watcherOf();
    expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1, stateRoot: world.venue.state.root() });

    const call = decodePost(posted.calldata, posted.blob);
    if (!call.ok) throw new Error(call.detail);
    const { cycles } = decodeBatchData(call.data);
    const result = await affirmBatch({
      client,
      deployment,
      account: CHALLENGER,
      path: join(world.folder, "affirmer"),
      event,
      batch: { header: call.header, cycles },
      state: LedgerState.genesis(deployment.parameters),
      ports: { signatures },
      blob: () => blobProofOf(call.header, call.data),
      pause: () => world.mine(),
    });
    expect(result.calls.map(({ name }) => name)).toContain("blob");
    while (Number((await client.getBlock()).timestamp) < result.finalisableAtSeconds) await world.mine(60);
    await proposer.tick();
    await world.mine();
    expect(await proposer.tick()).toMatchObject({ batchesFinal: 1 });
    expect(Number((await client.getBlock()).timestamp)).toBeLessThan(event.floorSeconds);
  });

  test("goes on after a reorg that took a blob away", { timeout: 120_000 }, async () => {
    tradeBackAndForth(world, 2);
    await world.mine();
    const proposer = await world.proposer({ inBlobs: true });
    await proposer.tick(true);
    await world.mine();
    expect(await proposer.tick()).toMatchObject({ batchesPosted: 1 });
    await world.l1.reorg(1);
    const after = await proposer.tick();
    expect(after).toMatchObject({ batchesPosted: 0, inFlight: 1, removedByReorg: 1 });
    await world.mine();
    // The turn may have passed with the reorg: then it is posted anew in the next one.
    for (let round = 0; (await proposer.tick(true)).batchesPosted === 0; round++) {
      expect(round).toBeLessThan(20);
      await world.mine();
    }
    expect(await (await watcherOf()).tick()).toMatchObject({ ok: true, batchesCompared: 1 });
  });

  const FRAUDS: readonly {
    name: string;
    cycle: "blob" | "cycle";
    make: (batch: Batch) => { batch: Batch; blob: Uint8Array };
  }[] = [
    {
      name: "another cycles root",
      cycle: "blob",
      make: (batch) => ({ batch: changed(inItsBlob(batch), { cyclesRoot: WRONG_ROOT }), blob: packBlob(batch.data) }),
    },
    {
      name: "another last root",
      cycle: "blob",
      make: (batch) => ({
        batch: changed(inItsBlob(batch), { postStateRoot: WRONG_ROOT }),
        blob: packBlob(batch.data),
      }),
    },
    {
      name: "a cycle withheld",
      cycle: "blob",
      make: (batch) => {
        const data = batch.data.subarray(0, -1);
        const header = { ...batch.header, dataLength: data.length };
        return { batch: inItsBlob({ ...batch, header, data }), blob: packBlob(data) };
      },
    },
    {
      name: "an element that is no data",
      cycle: "blob",
      make: (batch) => {
        const blob = packBlob(batch.data);
        blob[32 * 3] = 0x11;
        return { batch: inBlob(batch, versionedHashOf(kzg.commitmentOf(blob))), blob };
      },
    },
    {
      name: "bytes beyond the data",
      cycle: "blob",
      make: (batch) => {
        const blob = packBlob(batch.data);
        blob[131_071] = 1;
        return { batch: inBlob(batch, versionedHashOf(kzg.commitmentOf(blob))), blob };
      },
    },
    {
      name: "a wrong root inside",
      cycle: "cycle",
      make: (batch) => {
        const { cycles } = decodeBatchData(batch.data);
        const wrong = world.venue.cycles.map((one, i) =>
          i === cycles.length - 1 ? { ...one, postRoot: WRONG_ROOT } : one,
        );
        const forged = inItsBlob(batchOf(genesisTip(world.deployment.genesisRoot), wrong));
        return { batch: forged, blob: packBlob(forged.data) };
      },
    },
  ];

  test.each(FRAUDS)("$name is convicted", { timeout: 120_000 }, async ({ cycle, make }) => {
    tradeBackAndForth(world, 2);
    await world.mine();
    const { batch, blob } = make(batchOf(genesisTip(world.deployment.genesisRoot), world.venue.cycles));
    await post(batch, blob);
    const proposer = await world.proposer({ inBlobs: true });
    // The honest proposer does not take it for its own.
    expect(await proposer.tick()).toMatchObject({ foreign: { number: 1 } });
    const watcher = await watcherOf();
    const found = await watcher.tick();
    expect(found.fault).toMatchObject({ batch: 1, what: cycle === "blob" ? "data" : "postRoot", dataCommitted: true });
    expect(found.challenge, found.challenge?.detail).toMatchObject({ step: "sent" });
    await world.mine();
    expect(await watcher.tick()).toMatchObject({ ok: true, fault: null, batchesDropped: 1 });
    const chain = { address: world.deployment.batchChain, abi: batchChainAbi } as const;
    expect(await world.client.readContract({ ...chain, functionName: "lastNumber" })).toBe(0n);
    // The honest log goes on.
    await untilTurnOf(world.keys.proposer, 1);
    await proposer.tick(true);
    await world.mine();
    expect(await proposer.tick()).toMatchObject({ batchesPosted: 1, foreign: null });
    expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 1 });
  });

  test("chains of batches may change from calldata to blobs and back", { timeout: 120_000 }, async () => {
    for (const [round, inBlobs] of [false, true, false].entries()) {
      await world.mine();
      world.venue.marks();
      tradeBackAndForth(world, 2);
      await untilTurnOf(world.keys.proposer, round + 1);
      const proposer = await world.proposer({ inBlobs, path: join(world.folder, `outbox ${round}`) });
      await proposer.tick(true);
      await world.mine();
      expect(await proposer.tick()).toMatchObject({ batchesPosted: round + 1 });
    }
    const watcher = await watcherOf();
    expect(await watcher.tick()).toMatchObject({ ok: true, batchesCompared: 3, stateRoot: world.venue.state.root() });
  });
});

// ── where blobs are read ─────────────────────────────────────────────────────────────────────────────────────────────

describe("blobs are read", () => {
  const blob = packBlob(Uint8Array.from({ length: 500 }, (_, i) => i % 251));
  const other = packBlob(Uint8Array.of(7));
  const folder = mkdtempSync(join(tmpdir(), "blobs-"));
  let versionedHash: Hex;
  let server: Server;
  let url: string;
  /** What the beacon node answers with, by path. */
  let answers: Record<string, unknown> = {};
  const asked: string[] = [];

  beforeAll(async () => {
    versionedHash = versionedHashOf(kzg.commitmentOf(blob));
    server = createServer((request, response) => {
      asked.push(request.url ?? "");
      const answer = answers[(request.url ?? "").split("?")[0] ?? ""];
      response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer === undefined ? { code: 404 } : { data: answer }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const noRpc = (): Promise<never> => Promise.reject(new Error("method not found"));
  const clock = {
    "/eth/v1/beacon/genesis": { genesis_time: "1000" },
    "/eth/v1/config/spec": { SECONDS_PER_SLOT: "12" },
  };
  const request = () => ({ versionedHash, blockTimestampSeconds: 1000 + 12 * 77 });

  test("from a beacon node, by slot, of old and new versions", async () => {
    answers = { ...clock, "/eth/v1/beacon/blobs/77": [bytesToHex(blob)] };
    expect(await createBlobReader(noRpc, { beaconUrl: url }).read(request())).toEqual(blob);
    expect(asked.at(-1)).toBe(`/eth/v1/beacon/blobs/77?versioned_hashes=${versionedHash}`);
    answers = {
      ...clock,
      "/eth/v1/beacon/blob_sidecars/77": [{ blob: bytesToHex(other) }, { blob: bytesToHex(blob) }],
    };
    expect(await createBlobReader(noRpc, { beaconUrl: url }).read(request())).toEqual(blob);
  });

  test("and nothing else is taken for the blob", async () => {
    const tooLarge = blob.slice();
    tooLarge.fill(0xff, 64, 96);
    for (const wrong of [other, tooLarge, blob.subarray(1)]) {
      answers = { ...clock, "/eth/v1/beacon/blobs/77": [bytesToHex(wrong)] };
      const reading = createBlobReader(noRpc, { beaconUrl: url }).read(request());
      await expect(reading).rejects.toMatchObject({ code: "BLOB_UNREADABLE", retryable: true });
    }
    answers = {};
    await expect(createBlobReader(noRpc, { beaconUrl: url }).read(request())).rejects.toMatchObject({
      code: "BLOB_UNREADABLE",
    });
    await expect(createBlobReader(noRpc).read(request())).rejects.toThrow("name a beacon node");
    await expect(createBlobReader(async () => null).read(request())).rejects.toThrow("does not have it");
  });

  test("without an archive that can be written, and says so", async () => {
    const file = join(folder, "no-folder");
    writeFileSync(file, "");
    const reader = createBlobReader(async () => bytesToHex(blob), { archivePath: file });
    expect(reader.archiveFailure).toBeNull();
    expect(await reader.read(request())).toEqual(blob);
    expect(reader.archiveFailure).toContain("EEXIST");
    rmSync(file);
  });

  test("from the archive, once it was read; a changed file is asked for anew", async () => {
    const fromNode = createBlobReader(async () => bytesToHex(blob), { archivePath: folder });
    expect(await fromNode.read(request())).toEqual(blob);
    expect(readdirSync(folder)).toEqual([`${versionedHash}.blob`]);
    expect(await createBlobReader(noRpc, { archivePath: folder }).read(request())).toEqual(blob);
    writeFileSync(join(folder, `${versionedHash}.blob`), other);
    await expect(createBlobReader(noRpc, { archivePath: folder }).read(request())).rejects.toThrow(
      "name a beacon node",
    );
    expect(await createBlobReader(async () => bytesToHex(blob), { archivePath: folder }).read(request())).toEqual(blob);
    expect(await createBlobReader(noRpc, { archivePath: folder }).read(request())).toEqual(blob);
  });
});
