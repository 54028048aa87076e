// `tidemark pool hold|cover` as processes: an account goes under water, its position is auctioned, what it owes is bad debt of a
// final state, and the pool pays it into the queue for the insurance account, which clears it.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  batchChainAbi,
  createPoolClient,
  developmentAccount,
  developmentKey,
  readQueueEntries,
  transactAll,
} from "@tidemark/chain";
import { decodeInboundEntry, INSURANCE_ACCOUNT } from "@tidemark/ledger";
import { shortfallOf } from "@tidemark/settlement";
import { encodeFunctionData } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BTC, dollars, USDC } from "../../ledger/test/factory.ts";
import { auctionOf, bankruptcyOf, takeOf } from "../../ledger/test/waterfall.ts";
import { buildPackages, ENTRY } from "./crash/build.ts";
import { createEndWorld, type EndWorld, IN_POOL, ownerOf } from "./escape/endWorld.ts";

const DEBTOR = 6;
const BIDDER = 4;
const SELLER = 3;
const LOTS = 1_500;
/** Less than the position loses below. */
const EQUITY = 3_000 * USDC;
const WINDOW_SECONDS = 600;
const PERPETUAL = 0;

interface Answer {
  code: number;
  json: Record<string, unknown>;
  errors: string;
}

let world: EndWorld;
let keyFile: string;

/** Runs the command line; the L1 makes a block now and then meanwhile. */
async function pool(...parameters: string[]): Promise<Answer> {
  let mining: Promise<void> | null = null;
  const timer = setInterval(() => {
    mining ??= world.mine(1).finally(() => {
      mining = null;
    });
  }, 100);
  const flags = ["--l1", world.l1.url, "--deployment", join(world.folder, "deployment.json"), "--key-file", keyFile];
  try {
    return await new Promise((resolve) => {
      execFile(process.execPath, [ENTRY, "pool", ...parameters, ...flags, "--json"], (error, output, errors) => {
        const code = error === null ? 0 : Number((error as { code?: number }).code ?? -1);
        const last = output.trim().split("\n").at(-1) ?? "";
        resolve({ code, json: last.startsWith("{") ? (JSON.parse(last) as Record<string, unknown>) : {}, errors });
      });
    });
  } finally {
    clearInterval(timer);
    await mining;
  }
}

/** Everything posted becomes final. */
async function finalise(): Promise<void> {
  const { client, deployment, mine } = world;
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  await mine(WINDOW_SECONDS);
  const last = await client.readContract({ ...chain, functionName: "lastNumber" });
  for (let n = (await client.readContract({ ...chain, functionName: "lastFinal" })) + 1n; n <= last; n++) {
    const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args: [n] });
    const call = { sender: developmentAccount("lister"), to: deployment.batchChain, data, gas: 300_000n };
    await transactAll(client, [{ ...call, what: "finalisation" }], { mine });
  }
}

beforeAll(async () => {
  buildPackages();
  world = await createEndWorld();
  const { custody, l1, venue } = world;
  keyFile = join(world.folder, "anybody.key");
  writeFileSync(keyFile, developmentKey("anybody"));
  const anybody = developmentAccount("anybody");
  const owner = ownerOf(DEBTOR);
  for (const { address } of [anybody, owner]) await l1.setBalance(address, 10n ** 21n);
  await custody.mint(developmentAccount("lister"), [
    { address: owner.address, amountMicroUsdc: EQUITY },
    { address: anybody.address, amountMicroUsdc: 10_000 * USDC },
  ]);
  const [opened] = await custody.openAccounts([{ owner, depositMicroUsdc: EQUITY }]);
  expect(opened?.account).toBe(DEBTOR);
  await world.consume();

  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(DEBTOR, SELLER, PERPETUAL, LOTS, venue.markTicks(PERPETUAL)));
  venue.advance(10_000);
  venue.mark(BTC, { index: dollars(76_000) });
  venue.must(auctionOf(venue, "start", DEBTOR));
  // At once, at the mark: nobody has to give a discount.
  venue.must(takeOf(venue, { owner: DEBTOR, bidder: BIDDER, parts: 1_000 }));
  expect(venue.cell(DEBTOR).positions).toEqual([]);
  await world.post();
}, 240_000);
afterAll(() => world?.close());

test("bad debt that is posted stops redemptions; once final the pool pays it into the insurance account's entry", {
  timeout: 240_000,
}, async () => {
  const { client, deployment, venue, custody } = world;
  const missing = shortfallOf(venue.state);
  // 3,600 USDC lost with 3,000 there, a little more or less by funding and rounding.
  expect(missing).toBeGreaterThan(500 * USDC);
  expect(missing).toBeLessThan(IN_POOL);
  const poolOf = createPoolClient(client, deployment);
  const anybody = developmentAccount("anybody").address;
  const assets = async (): Promise<bigint> => (await poolOf.status(anybody)).assetsMicroUsdc;
  const before = await assets();

  const early = await pool("cover");
  expect(early.code, early.errors).toBe(0);
  expect(early.json).toMatchObject({ batch: 1, shortfallMicroUsdc: 0, outcome: "nothing to do" });
  const held = await pool("hold");
  expect(held.code, held.errors).toBe(0);
  expect(held.json).toMatchObject({ batch: 2, shortfallMicroUsdc: missing, outcome: "held" });
  expect((await poolOf.status(anybody)).isHeld).toBe(true);
  expect(await assets()).toBe(before);

  await finalise();
  const vault = await custody.vaultMicroUsdc();
  const covered = await pool("cover");
  expect(covered.code, covered.errors).toBe(0);
  const outcome = { batch: 2, shortfallMicroUsdc: missing, paidMicroUsdc: String(missing), outcome: "covered" };
  expect(covered.json).toEqual(outcome);
  expect(covered.errors).toContain("of bad debt are not covered");
  expect(before - (await assets())).toBe(BigInt(missing));
  expect((await custody.vaultMicroUsdc()) - vault).toBe(BigInt(missing));
  const head = Number(await client.getBlockNumber({ cacheTime: 0 }));
  const entry = (await readQueueEntries(client, deployment, deployment.deployedAtBlock, head)).at(-1);
  expect(entry && decodeInboundEntry(entry.bytes)).toMatchObject({
    ok: true,
    entry: { type: "deposit", account: INSURANCE_ACCOUNT, amount: missing },
  });

  // Until the venue has consumed the entry, the same debt is shown by its final state and not paid again.
  const again = await pool("cover");
  expect(again.code, again.errors).toBe(0);
  expect(again.json).toMatchObject({ shortfallMicroUsdc: missing, outcome: "paid before" });
  expect(before - (await assets())).toBe(BigInt(missing));

  const insurance = venue.cell(INSURANCE_ACCOUNT).cash;
  await world.consume();
  expect(venue.cell(INSURANCE_ACCOUNT).cash - insurance).toBe(missing);
  venue.must(bankruptcyOf(venue, DEBTOR));
  expect(venue.cell(DEBTOR).cash).toBe(0);
  expect(venue.state.globals.badDebt).toBe(0);
  await world.post();
  await finalise();
  const after = await pool("cover");
  expect(after.json).toMatchObject({ shortfallMicroUsdc: 0, outcome: "nothing to do" });
});
