// The only place that wires. One numbered stage after the other, no logic of its own.
import { join } from "node:path";
import type { Config } from "./config.ts";
import { openDataFolder } from "./dataFolder.ts";
import { instrumentName } from "./instrumentName.ts";
import { engineView } from "./market/engineView.ts";
import { Oracle } from "./market/oracle.ts";
import { TradingFloor } from "./market/traders.ts";
import { ReceiptDesk } from "./receipts/desk.ts";
import { Exposure } from "./receipts/exposure.ts";
import { readStake } from "./receipts/stake.ts";
import { Sequencer } from "./sequencer.ts";
import { signer } from "./signatures/signer.ts";
import { Tally } from "./tally.ts";
import { Claims } from "./venue/claims.ts";
import { openContracts, oracleKeys, sequencerKey } from "./venue/contracts.ts";
import { Gatekeeper } from "./venue/gatekeeper.ts";
import { InboundFeed } from "./venue/inbound.ts";
import { openL1 } from "./venue/l1.ts";
import { openMarket } from "./venue/market.ts";
import { onboard } from "./venue/onboarding.ts";
import { Outlet } from "./venue/outlet.ts";
import { Processes } from "./venue/processes.ts";
import { recover, storedCycle } from "./venue/recovery.ts";
import { Schedule } from "./venue/schedule.ts";
import { SeriesLister } from "./venue/seriesLister.ts";
import { VaultBooks } from "./venue/vault.ts";
import { Venue, type VenueParts } from "./venue/venue.ts";

const SIGNATURE_WORKERS = 1;

export async function openVenue(config: Config, tell: (line: string) => void): Promise<Venue> {
  const folder = openDataFolder(config.dataDir);

  // 1. The market: recorded or simulated. Everything random comes from its seed.
  const source = await openMarket(config, folder);
  tell(`input ${source.description}, seed ${source.seed}`);

  // 2. The L1.
  const l1 = await openL1(folder, source.startMs);
  tell(`L1 at ${l1.embedded.url}, chain ${l1.embedded.chainId}`);

  // 3. The contracts and the parameters.
  const deployment = await openContracts(config, folder, l1, source.seed, tell);
  const { parameters } = deployment;
  tell(`custody ${deployment.custody}, batch chain ${deployment.batchChain}, genesis ${deployment.genesisRoot}`);

  // 4. Journal and engine, as the last run left them.
  const exposure = new Exposure({
    notionalPerStake: config.unpostedNotionalPerStake,
    readStake: () => readStake(l1.client, deployment),
  });
  const { journal, engine, replayed, history, receipts } = await recover(
    folder.journal,
    parameters,
    config,
    (ledger) =>
      new ReceiptDesk({
        folder: folder.receipts,
        parameters,
        ledger,
        signer,
        privateKey: sequencerKey(),
        exposure,
        onFailure: (error) => venue.fail(error),
      }),
  );
  exposure.resume(journal, parameters.domain);
  await exposure.refresh();
  if (replayed > 0) tell(`journal replayed: ${replayed} commands, state root ${engine.ledger.root()}`);

  // 5. The trading floor, its accounts by real deposits, the first series by real listings.
  const floor = new TradingFloor({
    source,
    parameters,
    seed: source.seed,
    stepWallMs: config.stepWallMs,
    flow: config.flow,
  });
  const listings = source.listings(Number.NEGATIVE_INFINITY, source.startMs);
  const accounts = await onboard({ folder, l1, deployment }, floor.accountsNeeded(), listings);
  floor.assignAccounts(accounts.map((account) => ({ account, lastNonce: engine.lastNonce(account) })));
  tell(`${accounts.length} accounts opened, ${listings.length} series listed on the L1`);

  // 6. The way in: signatures, the L1 queue, oracle reports and expiries, the sequencer.
  const gatekeeper = new Gatekeeper(parameters, SIGNATURE_WORKERS);
  const inbound = new InboundFeed(l1.client, deployment, engine.ledger, join(folder.path, "l1-finalised.json"));
  const oracle = new Oracle({ source, parameters, keys: oracleKeys(source.seed) });
  const schedule = new Schedule({ source, oracle, engine, reportIntervalMs: config.reportIntervalMs });
  const nameOf = (number: number): string => {
    const cell = engine.ledger.instrument(number);
    return cell === undefined ? `instrument ${number}` : instrumentName(cell, parameters);
  };
  const tally = new Tally({ onCycle: (record) => journal.putCycle(storedCycle(record)), nameOf });
  tally.resume(history);
  const lister = new SeriesLister({ client: l1.client, deployment, engine, source });
  const outlet = new Outlet(tally, floor, receipts);
  const sequencer = new Sequencer({ engine, journal, sink: outlet });

  // 7. The way out: proposer and watcher as processes of their own, claims, the vault's books.
  const processes = new Processes({
    config,
    folder,
    l1Url: l1.embedded.url,
    onBatches: (batches, headSeconds) => tally.batches(batches, headSeconds),
    onNews: (line) => tally.tell(line),
    onFatal: (error) => venue.fail(error),
  });
  const claims = new Claims(l1.client, deployment, (line) => tally.tell(line));
  const vault = new VaultBooks(l1.client, deployment);

  // 8. The clock drives them.
  const parts: VenueParts = {
    config,
    folder,
    source,
    l1,
    deployment,
    journal,
    engine,
    floor,
    view: engineView(engine),
    gatekeeper,
    inbound,
    schedule,
    lister,
    tally,
    outlet,
    receipts,
    exposure,
    sequencer,
    processes,
    claims,
    vault,
  };
  const venue = new Venue(parts);
  return venue;
}
