// A venue that is about to fail, on an L1 of its own: real contracts, real ledger, open options and perpetuals, a withdrawal
// that nobody claimed, a deposit that nobody consumed, and then no sequencer any more.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CustodyClient,
  connectL1,
  createCustodyClient,
  createInboundReader,
  createProposer,
  type Deployment,
  deployVenue,
  developmentAccount,
  type EmbeddedL1,
  type L1Client,
  startEmbeddedL1,
  writeDeployment,
} from "@tidemark/chain";
import {
  CycleKind,
  type CycleVerdict,
  decodeCycle,
  decodeInboundEntry,
  domainSeparator,
  type ReportCycle,
  reportHash,
} from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import type { CycleSource, SourceCycle } from "@tidemark/settlement";
import type { LocalAccount } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { at, BTC, dollars, factoryParameters, ownerKey, USDC, Venue } from "../../../ledger/test/factory.ts";
import { writeFileWhole } from "../../src/dataFolder.ts";
import { signer } from "../../src/signatures/signer.ts";
import { oracleKeys } from "../../src/venue/contracts.ts";

export const SEED = 77;
export const FORCED_PERIOD_SECONDS = 86_400;
const GENESIS_SECONDS = 1_750_000_000;
const WINDOW_SECONDS = 600;
const SLOTS_IN_AN_EPOCH = 2;
const FINAL_DEPTH = 2 * SLOTS_IN_AN_EPOCH;
const DAY_MS = 86_400_000;
const DEPOSIT = 1_000_000 * USDC;
export const LATE_DEPOSIT = 1_234_567;
/** Belongs to the pool's shares. */
export const IN_POOL = 1_000 * USDC;
export const WITHDRAWN = 50_000 * USDC;

/** Numbers that custody gives in order. */
export const TRADERS = [2, 3, 4, 5] as const;
export const ownerOf = (account: number): LocalAccount => privateKeyToAccount(bytesToHex(ownerKey(account).secret));

/** The factory's venue with the oracles of a local one, as a source of cycles. */
export class RecordingVenue extends Venue implements CycleSource {
  readonly cycles: SourceCycle[] = [];

  override reportOf(...args: Parameters<Venue["reportOf"]>): ReportCycle {
    const report = super.reportOf(...args);
    const digest = reportHash(report, this.parameters.domain, domainSeparator(this.parameters));
    const signatures = oracleKeys(SEED)
      .slice(0, 2)
      .map(({ signer: place, privateKey }) => ({
        signer: place,
        signature: bytesToHex(signer.signCompact(digest, privateKey)),
      }));
    return { ...report, signatures };
  }

  override applyPayload(payload: Uint8Array): CycleVerdict {
    const verdict = super.applyPayload(payload);
    const decoded = decodeCycle(payload, this.parameters.domain);
    if (verdict.ok && decoded.ok) {
      this.cycles.push({
        index: this.cycles.length,
        kind: CycleKind[decoded.cycle.kind],
        timeMs: decoded.cycle.timeMs,
        payload,
        postRoot: verdict.root,
        fills: 0,
        messages: 1,
        settledDeltas: 0,
      });
    }
    return verdict;
  }

  count(): number {
    return this.cycles.length;
  }
  read(firstIndex: number, countMax: number): readonly SourceCycle[] {
    return this.cycles.slice(firstIndex, firstIndex + countMax);
  }
}

export interface EndWorld {
  l1: EmbeddedL1;
  client: L1Client;
  deployment: Deployment;
  custody: CustodyClient;
  venue: RecordingVenue;
  /** deployment.json, run.json, l1-state.json: what a stopped venue leaves. */
  folder: string;
  mine(seconds?: number): Promise<void>;
  /** Settles what becomes final in the queue. */
  consume(): Promise<void>;
  /** Posts every cycle that is not posted. */
  post(): Promise<void>;
  /** Writes the L1's state as it is now. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export async function createEndWorld(): Promise<EndWorld> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-end-"));
  const l1 = await startEmbeddedL1({ genesisTimestampSeconds: GENESIS_SECONDS, slotsInAnEpoch: SLOTS_IN_AN_EPOCH });
  const client = await connectL1(l1.url, l1.chainId);
  const keys = {
    deployer: developmentAccount("deployer"),
    proposer: developmentAccount("proposer"),
    lister: developmentAccount("lister"),
  };
  const owners = TRADERS.map(ownerOf);
  for (const { address } of [...Object.values(keys), ...owners]) await l1.setBalance(address, 10n ** 21n);
  let nowSeconds = GENESIS_SECONDS;
  let venue: RecordingVenue | null = null;
  const mine = async (seconds = 12): Promise<void> => {
    nowSeconds = (await l1.mine(nowSeconds + seconds)).timestampSeconds;
    if (venue !== null) venue.timeMs = Math.max(venue.timeMs, nowSeconds * 1_000);
  };
  const oracles = oracleKeys(SEED).map(({ privateKey }) => signer.addressOf(privateKey));
  const deployment = await deployVenue(client, {
    deployer: keys.deployer,
    parameters: { ...factoryParameters(), oracles, oracleQuorum: 2 },
    proposer: keys.proposer.address,
    lister: keys.lister.address,
    windowSeconds: WINDOW_SECONDS,
    bondWei: 10n ** 17n,
    forcedPeriodSeconds: FORCED_PERIOD_SECONDS,
    mine,
  });
  const custody = createCustodyClient(client, deployment, { mine });
  venue = new RecordingVenue({ parameters: deployment.parameters, timeMs: nowSeconds * 1_000 });
  const reader = createInboundReader(client, deployment);
  const consume = async (): Promise<void> => {
    for (let i = 0; i < FINAL_DEPTH; i++) await mine();
    for (const { bytes } of await reader.poll()) {
      const decoded = decodeInboundEntry(bytes);
      if (!decoded.ok) throw new Error(decoded.what);
      venue?.must(venue.inbound(decoded.entry));
    }
  };

  await custody.mint(
    keys.lister,
    owners.map(({ address }) => ({ address, amountMicroUsdc: 2 * DEPOSIT })),
  );
  await custody.openAccounts(owners.map((owner) => ({ owner, depositMicroUsdc: DEPOSIT })));
  const expiryMs = Math.ceil(venue.timeMs / DAY_MS + 3) * DAY_MS;
  const strikes = [90_000, 100_000, 110_000].map((strike) => strike * 1_000_000);
  await custody.listSeries(keys.lister, [
    { underlying: BTC, expiryMs: 0, strikesMicroUsd: [] },
    { underlying: BTC, expiryMs, strikesMicroUsd: strikes },
  ]);
  await custody.mint(keys.lister, [{ address: deployment.insurancePool, amountMicroUsdc: IN_POOL }]);
  await consume();
  trade(venue, expiryMs);
  await mine();
  const settled = venue;
  const post = (): Promise<void> => postAll(deployment, client, settled, keys.proposer, join(folder, "outbox"), mine);
  await post();
  // Nobody consumes these any more.
  await custody.deposit(owners[0] as LocalAccount, 3, LATE_DEPOSIT);
  await custody.forceWithdrawal(owners[0] as LocalAccount, 2, 1_000, (owners[1] as LocalAccount).address);

  await writeDeployment(join(folder, "deployment.json"), deployment);
  const run = { seed: SEED, replay: null, startMs: GENESIS_SECONDS * 1_000, cycleAgeMaxMs: 150_000 };
  writeFileWhole(join(folder, "run.json"), JSON.stringify(run));
  return {
    l1,
    client,
    deployment,
    custody,
    venue,
    folder,
    mine,
    consume,
    post,
    leave: () => l1.dumpState(join(folder, "l1-state.json")),
    async close() {
      await l1.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Options and perpetuals between the four, funding, a withdrawal. */
function trade(venue: RecordingVenue, expiryMs: number): void {
  // 0 perpetual, 1 future, then a call and a put a strike.
  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(2, 3, 0, 2_000, venue.markTicks(0)));
  for (const [buyer, seller, number, lots] of [
    [2, 3, 2, 400],
    [4, 2, 3, 300],
    [5, 4, 5, 500],
    [3, 5, 6, 250],
  ] as const) {
    venue.must(venue.cross(buyer, seller, number, lots, venue.markTicks(number)));
  }
  venue.advance(3_600_000);
  venue.mark(BTC, { index: dollars(101_000), premium: 2_000_000, forwards: new Map([[expiryMs, dollars(101_200)]]) });
  const price = venue.markTicks(1);
  venue.must(
    venue.tradeOf([
      venue.entry({ account: 4, instrument: 1, size: 100, price, fee: 100 }),
      venue.entry({ account: 5, instrument: 1, size: -100, price, fee: 50 }),
    ]),
  );
  venue.must(venue.withdrawal({ account: 5, amount: WITHDRAWN }));
  venue.timeMs = at(venue.timeMs);
}

async function postAll(
  deployment: Deployment,
  client: L1Client,
  venue: RecordingVenue,
  account: LocalAccount,
  path: string,
  mine: (seconds?: number) => Promise<void>,
): Promise<void> {
  // The block must not be before the cycles.
  await mine(3_700);
  const proposer = await createProposer({ client, deployment, account, source: venue, path });
  try {
    for (let i = 0; i < 20; i++) {
      const status = await proposer.tick(true);
      if (status.cyclesPosted === venue.cycles.length) return;
      await mine();
    }
    throw new Error("not everything was posted");
  } finally {
    await proposer.close();
  }
}
