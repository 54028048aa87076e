// What a fill costs on the L1: cycles of the real engine with that many fills, posted by the real proposer in calldata and in blobs.
// Gas and blob gas are the receipts'. Compared exactly with docs/costs/posting.json.
import {
  developmentAccount,
  developmentKey,
  readBatchEvents,
  readPostedBatch,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_GAS_MAX,
} from "@tidemark/chain";
import { BATCH_BYTES_MAX, BLOB_BATCH_BYTES_MAX } from "@tidemark/ledger";
import { hexToBytes } from "@tidemark/num";
import { decodePost } from "@tidemark/settlement";
import { expect, test } from "vitest";
import { type FillFlow, FillVenue } from "../../bench/fills.ts";
import { ORACLES } from "../../packages/chain/test/support/venue.ts";
import { createWorld, type World } from "../../packages/chain/test/support/world.ts";
import { compareRecorded } from "./recorded.ts";

const FLOWS = ["pairs", "quotes"] as const;
const FILL_COUNTS = [1, 64, 1_000] as const;
const MODES = ["calldata", "blob"] as const;
const TRADERS = 32;
const DEPOSIT_MICRO_USDC = 10_000_000_000;
const ROUNDS_MAX = 64;

interface PostingRow {
  flow: FillFlow;
  fills: number;
  mode: (typeof MODES)[number];
  batches: number;
  cycles: number;
  /** Orders in the cycles, after netting. */
  entries: number;
  /** Fills in the first batch. */
  fillsInFirstBatch: number;
  /** Cycles with their heads. */
  dataBytes: number;
  calldataBytes: number;
  gasUsed: number;
  blobGasUsed: number;
}

const ownerLabel = (account: number): string => `trader ${account}`;

async function openVenue(world: World): Promise<FillVenue> {
  const { custody, keys, deployment, l1 } = world;
  const venue = new FillVenue({
    parameters: deployment.parameters,
    startMs: world.venue.timeMs,
    traders: TRADERS,
    traderKey: (account) => hexToBytes(developmentKey(ownerLabel(account))),
    oracleKeys: ORACLES.slice(0, 2).map((label) => hexToBytes(developmentKey(label))),
  });
  const owners = venue.traders.map((account) => developmentAccount(ownerLabel(account)));
  for (const { address } of owners) await l1.setBalance(address, 10n ** 20n);
  const money = owners.map(({ address }) => ({ address, amountMicroUsdc: DEPOSIT_MICRO_USDC }));
  await custody.mint(keys.lister, money);
  await custody.openAccounts(owners.map((owner) => ({ owner, depositMicroUsdc: DEPOSIT_MICRO_USDC })));
  await custody.listSeries(keys.lister, [{ underlying: 0, expiryMs: 0, strikesMicroUsd: [] }]);
  await world.finaliseL1();
  venue.timeMs = world.venue.timeMs;
  for (let entries = await world.reader.poll(); entries.length > 0; entries = await world.reader.poll()) {
    venue.inbound(entries.map(({ bytes }) => bytes));
  }
  venue.report();
  return venue;
}

/** Posts everything, and returns what the L1 says of the batches. */
async function postAll(world: World, venue: FillVenue, proposer: Awaited<ReturnType<World["proposer"]>>) {
  const before = proposer.posted.length;
  for (let round = 0; ; round++) {
    if (round === ROUNDS_MAX) throw new Error("the proposer does not come to an end");
    const status = await proposer.tick(true);
    if (status.cyclesPosted === venue.cycles.length && status.inFlight === 0) break;
    await world.mine();
  }
  const { client, deployment } = world;
  const events = await readBatchEvents(client, deployment, 0, Number(await client.getBlockNumber()));
  return Promise.all(
    events.slice(before).map(async (event) => {
      const posted = await readPostedBatch(client, event);
      const call = decodePost(posted.calldata, posted.blob);
      if (!call.ok) throw new Error(call.detail);
      const receipt = await client.getTransactionReceipt({ hash: event.transactionHash });
      return { header: call.header, data: call.data, calldataBytes: posted.calldata.length, receipt };
    }),
  );
}

type PostedFills = Awaited<ReturnType<typeof postAll>>;

function rowOf(key: Pick<PostingRow, "flow" | "fills" | "mode">, venue: FillVenue, posted: PostedFills): PostingRow {
  const [first] = posted;
  if (first === undefined) throw new Error("nothing was posted");
  const { header } = first;
  const cyclesOf = (count: number) => venue.cycles.slice(header.firstCycle, header.firstCycle + count);
  const sum = (of: (batch: PostedFills[number]) => number): number => posted.reduce((total, one) => total + of(one), 0);
  const cycles = sum((batch) => batch.header.cycleCount);
  const all = cyclesOf(cycles);
  expect(all.reduce((fills, cycle) => fills + cycle.fills, 0)).toBe(key.fills);
  return {
    ...key,
    batches: posted.length,
    cycles,
    entries: all.reduce((entries, cycle) => entries + cycle.settledDeltas, 0),
    fillsInFirstBatch: cyclesOf(header.cycleCount).reduce((fills, cycle) => fills + cycle.fills, 0),
    dataBytes: sum(({ data }) => data.length),
    calldataBytes: sum((batch) => batch.calldataBytes),
    gasUsed: sum(({ receipt }) => Number(receipt.gasUsed)),
    blobGasUsed: sum(({ receipt }) => Number(receipt.blobGasUsed ?? 0n)),
  };
}

async function measure(mode: PostingRow["mode"]): Promise<PostingRow[]> {
  const world = await createWorld({ windowSeconds: 86_400 });
  try {
    const venue = await openVenue(world);
    const proposer = await world.proposer({ source: venue, inBlobs: mode === "blob" });
    // Accounts and money are not what is measured, nor a proposer's first batch.
    await postAll(world, venue, proposer);
    const rows: PostingRow[] = [];
    for (const flow of FLOWS) {
      for (const fills of FILL_COUNTS) {
        venue.timeMs = world.venue.timeMs;
        venue.apply(venue.commandsOf(flow, fills));
        venue.closeCycle();
        const posted = await postAll(world, venue, proposer);
        for (const { data, calldataBytes, receipt } of posted) {
          expect(calldataBytes).toBeLessThanOrEqual(BATCH_BYTES_MAX);
          expect(calldataBytes).toBeLessThan(TRANSACTION_BYTES_MAX);
          if (mode === "blob") expect(data.length).toBeLessThanOrEqual(BLOB_BATCH_BYTES_MAX);
          expect(Number(receipt.gasUsed)).toBeLessThan(TRANSACTION_GAS_MAX);
        }
        rows.push(rowOf({ flow, fills, mode }, venue, posted));
      }
    }
    expect(venue.engine.ledger.root()).toBe(venue.cycles.at(-1)?.postRoot);
    return rows;
  } finally {
    await world.close();
  }
}

test("posting 1, 64 and 1,000 fills in calldata and in blobs", { timeout: 300_000 }, async () => {
  const rows = [...(await measure("calldata")), ...(await measure("blob"))];
  compareRecorded("posting", rows);
});
