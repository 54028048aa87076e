// A running L1 with the deployed venue, two funded accounts and everything a test needs to go on from there.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultParameters, type ParameterSet } from "@tidemark/ledger";
import type { PrivateKeyAccount } from "viem";
import {
  type CustodyClient,
  connectL1,
  createCustodyClient,
  createInboundReader,
  createProposer,
  type Deployment,
  type DeployOptions,
  deployVenue,
  developmentAccount,
  type EmbeddedL1,
  type InboundReader,
  type L1Client,
  type Proposer,
  type ProposerOptions,
  startEmbeddedL1,
} from "../../src/index.ts";
import { requireWithinProtocol } from "./protocolLimits.ts";
import { addressOfKey, MiniatureVenue, ORACLES } from "./venue.ts";

export const GENESIS_SECONDS = 1_750_000_000;
export const WINDOW_SECONDS = 600;
export const SLOTS_IN_AN_EPOCH = 2;
/** Depth from which a block is final. */
export const FINAL_DEPTH = 2 * SLOTS_IN_AN_EPOCH;
export const DEPOSIT_MICRO_USDC = 1_000_000_000;

export interface Trader {
  account: number;
  /** Label of the development key. */
  owner: string;
}

export interface World {
  l1: EmbeddedL1;
  client: L1Client;
  deployment: Deployment;
  custody: CustodyClient;
  reader: InboundReader;
  venue: MiniatureVenue;
  alice: Trader;
  bob: Trader;
  keys: Record<"alice" | "bob" | "proposer" | "lister", PrivateKeyAccount>;
  folder: string;
  /** Mines one block `seconds` after the last; the venue's clock follows. */
  mine(seconds?: number): Promise<void>;
  /** Mines until everything so far is final. */
  finaliseL1(): Promise<void>;
  /** Settles what became final in the queue. */
  consumeQueue(): Promise<number>;
  proposer(options?: Partial<ProposerOptions>): Promise<Proposer>;
  /** Stops the L1. @throws RangeError when a public L1 would have refused one of its transactions */
  close(): Promise<void>;
}

/** Deployment replaces the contract address. */
export function parametersForTests(chainId: number): ParameterSet {
  const owner = addressOfKey("lister");
  return defaultParameters({
    chainId,
    verifyingContract: owner,
    oracles: ORACLES.map(addressOfKey),
    oracleQuorum: 2,
    treasuryOwner: owner,
    insuranceOwner: owner,
  });
}

export interface WorldOptions extends Partial<DeployOptions> {
  slotsInAnEpoch?: number;
}

export async function createWorld({
  slotsInAnEpoch = SLOTS_IN_AN_EPOCH,
  ...options
}: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-chain-"));
  const l1 = await startEmbeddedL1({ genesisTimestampSeconds: GENESIS_SECONDS, slotsInAnEpoch });
  const client = await connectL1(l1.url, l1.chainId);
  const keys = {
    alice: developmentAccount("alice"),
    bob: developmentAccount("bob"),
    proposer: developmentAccount("proposer"),
    lister: developmentAccount("lister"),
  };
  const deployer = developmentAccount("deployer");
  for (const key of [...Object.values(keys), deployer]) await l1.setBalance(key.address, 10n ** 21n);
  let nowSeconds = GENESIS_SECONDS;
  const proposers: Proposer[] = [];
  let venue: MiniatureVenue | null = null;
  const mine = async (seconds = 12): Promise<void> => {
    nowSeconds = (await l1.mine(nowSeconds + seconds)).timestampSeconds;
    venue?.advanceTo(nowSeconds * 1000);
  };
  const deployment = await deployVenue(client, {
    deployer,
    parameters: parametersForTests(l1.chainId),
    proposer: keys.proposer.address,
    lister: keys.lister.address,
    windowSeconds: WINDOW_SECONDS,
    bondWei: 10n ** 18n,
    forcedPeriodSeconds: 3_600,
    mine,
    ...options,
  });
  const custody = createCustodyClient(client, deployment, { mine });
  venue = new MiniatureVenue(deployment.parameters, nowSeconds * 1000);
  const world: World = {
    l1,
    client,
    deployment,
    custody,
    reader: createInboundReader(client, deployment),
    venue,
    alice: { account: 2, owner: "alice" },
    bob: { account: 3, owner: "bob" },
    keys,
    folder,
    mine,
    async finaliseL1() {
      for (let i = 0; i < 2 * slotsInAnEpoch; i++) await mine();
    },
    async consumeQueue() {
      const entries = await world.reader.poll();
      if (entries.length > 0) world.venue.inbound(entries.map(({ bytes }) => bytes));
      return entries.length;
    },
    async proposer(options = {}) {
      const made = await createProposer({
        client,
        deployment,
        account: keys.proposer,
        source: world.venue,
        path: join(folder, "outbox"),
        ...options,
      });
      proposers.push(made);
      return made;
    },
    async close() {
      await Promise.all(proposers.map((proposer) => proposer.close()));
      try {
        await requireWithinProtocol(client);
      } finally {
        await l1.stop();
        await rm(folder, { recursive: true });
      }
    },
  };
  return world;
}

/** Opens alice's and bob's accounts, lists the perpetual, has all of it consumed, and marks the perpetual. */
export async function openForTrading(world: World): Promise<void> {
  const { custody, keys } = world;
  const owners = [keys.alice, keys.bob];
  const amountMicroUsdc = DEPOSIT_MICRO_USDC;
  await custody.mint(
    keys.lister,
    owners.map(({ address }) => ({ address, amountMicroUsdc })),
  );
  await custody.openAccounts(owners.map((owner) => ({ owner, depositMicroUsdc: amountMicroUsdc })));
  await custody.listSeries(keys.lister, [{ underlying: 0, expiryMs: 0, strikesMicroUsd: [] }]);
  await world.finaliseL1();
  await world.consumeQueue();
  world.venue.marks();
}

/** `count` trade cycles, alternating sides, so that margin never runs out. */
export function tradeBackAndForth(world: World, count: number): void {
  for (let i = 0; i < count; i++) {
    const [buyer, seller] = i % 2 === 0 ? [world.alice, world.bob] : [world.bob, world.alice];
    world.venue.trade({ buyer, seller, lots: 100 });
  }
}
