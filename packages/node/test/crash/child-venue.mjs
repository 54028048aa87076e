// The venue without its L1, as fast as it goes, until it is killed: engine, journal, sequencer, gatekeeper and trading floor are
// the real ones; the queue's entries are what the custody contract would pack. Prints one line for everything that may leave the
// house: "durable <sequence> <fills>" and "cycle <index> <root>"; "ready <sequence> <root>" once the journal is replayed, and
// "snapshot <sequence>" when one is begun. Arguments: directory of the journal, seed.
import { writeSync } from "node:fs";
import { setImmediate as yieldTurn } from "node:timers/promises";
import { defaultParameters, encodeInboundEntry } from "@tidemark/ledger";
import { engineView } from "../../dist/market/engineView.js";
import { Oracle } from "../../dist/market/oracle.js";
import { SimulatedSource } from "../../dist/market/simulated.js";
import { TradingFloor } from "../../dist/market/traders.js";
import { ReceiptDesk } from "../../dist/receipts/desk.js";
import { Exposure } from "../../dist/receipts/exposure.js";
import { Sequencer } from "../../dist/sequencer.js";
import { signer } from "../../dist/signatures/signer.js";
import { Tally } from "../../dist/tally.js";
import { Gatekeeper } from "../../dist/venue/gatekeeper.js";
import { Outlet } from "../../dist/venue/outlet.js";
import { recover, storedCycle } from "../../dist/venue/recovery.js";
import { Schedule } from "../../dist/venue/schedule.js";
import { CYCLE_AGE_MS_MAX, oracleKeysOf, parametersOf, receiptsFolder, SEQUENCER_KEY } from "./venueParameters.mjs";

const [directory, seedText] = process.argv.slice(2);
const seed = Number(seedText);
const STEP_MS = 60_000;
const REPORT_INTERVAL_MS = 120_000;
const SNAPSHOT_EVERY_COMMANDS = 400;
const FIRST_ACCOUNT = 2;
const INSURANCE_MICRO_USDC = 1_000_000_000_000;

const parameters = parametersOf(defaultParameters, seed);
const source = new SimulatedSource({ seed, selection: { expiriesMax: 4, strikesMax: 4 } });
const exposure = new Exposure({ notionalPerStake: 10, readStake: async () => 10n ** 18n });
const openReceipts = (ledger) =>
  new ReceiptDesk({
    folder: receiptsFolder(directory),
    parameters,
    ledger,
    signer,
    privateKey: SEQUENCER_KEY,
    exposure,
    onFailure: (error) => {
      throw error;
    },
  });
const { journal, engine, history, receipts } = await recover(
  directory,
  parameters,
  { cycleAgeMaxMs: CYCLE_AGE_MS_MAX },
  openReceipts,
);

const floor = new TradingFloor({ source, parameters, seed, stepWallMs: 250, flow: 0.4 });
const requests = floor.accountsNeeded();

/** The whole queue up to a moment, always in the same order: the ledger's cursor says how much of it is consumed. */
function queueUntil(timeMs) {
  const entries = [];
  for (const [i, request] of requests.entries()) {
    const account = FIRST_ACCOUNT + i;
    entries.push({ type: "openAccount", account, owner: request.owner });
    entries.push({ type: "deposit", account, amount: request.depositMicroUsdc, payer: request.owner });
    if (request.delegate !== null) entries.push({ type: "keyGrant", account, ...request.delegate });
  }
  entries.push({ type: "deposit", account: 1, amount: INSURANCE_MICRO_USDC, payer: `0x${"22".repeat(20)}` });
  for (const { underlying, expiryMs, strikes } of source.listings(-Infinity, timeMs)) {
    entries.push({ type: "listSeries", underlying, expiryMs, strikes });
  }
  return entries.map(encodeInboundEntry);
}

const gatekeeper = new Gatekeeper(parameters, 1);
const oracle = new Oracle({ source, parameters, keys: oracleKeysOf(seed) });
const schedule = new Schedule({ source, oracle, engine, reportIntervalMs: REPORT_INTERVAL_MS });
const closed = [];
const tally = new Tally({
  nameOf: String,
  onCycle: (record) => {
    journal.putCycle(storedCycle(record));
    closed.push({ sequence: tally.sequence, index: record.index, root: record.postRoot });
  },
});
tally.resume(history);
const outlet = new Outlet(tally, floor, receipts);
const sequencer = new Sequencer({ engine, journal, sink: outlet });
floor.assignAccounts(
  requests.map((_, i) => ({ account: FIRST_ACCOUNT + i, lastNonce: engine.lastNonce(FIRST_ACCOUNT + i) })),
);

/** What is durable may be told. */
function release(sequence) {
  outlet.release(sequence);
  let lines = "";
  while (closed.length > 0 && closed[0].sequence <= sequence) {
    const { index, root } = closed.shift();
    lines += `cycle ${index} ${root}\n`;
  }
  writeSync(1, `${lines}durable ${sequence} ${tally.fills}\n`);
}
journal.onDurable(release);

function submit(command) {
  tally.beginCommand(sequencer.nextSequence, command.timeMs);
  receipts.begin(sequencer.nextSequence, command);
  sequencer.submit(command);
}

writeSync(1, `ready ${journal.lastSequence()} ${engine.ledger.root()}\n`);
const view = engineView(engine);
let timeMs = Math.max(source.startMs, engine.timeMs);
let snapshotSequence = journal.lastSequence();
let snapshot = Promise.resolve();
for (;;) {
  timeMs += STEP_MS;
  const fresh = queueUntil(timeMs).slice(engine.ledger.globals.inboundCursor);
  for (let i = 0; i < fresh.length; i += 32) submit({ kind: "inbound", timeMs, entries: fresh.slice(i, i + 32) });
  for (const command of schedule.due(timeMs)) submit(command);
  let sinceYield = 0;
  for (const command of await gatekeeper.admit(floor.step(timeMs, view))) {
    submit(command);
    if (++sinceYield % 16 === 0) await yieldTurn();
  }
  submit({ kind: "tick", timeMs });
  await sequencer.settled();
  if (journal.lastSequence() - snapshotSequence >= SNAPSHOT_EVERY_COMMANDS) {
    await snapshot;
    submit({ kind: "checkpoint", timeMs });
    snapshotSequence = journal.lastSequence();
    writeSync(1, `snapshot ${snapshotSequence}\n`);
    // Not waited for: commands go on while it is written, and so do kills.
    const [written, writtenMs] = [snapshotSequence, timeMs];
    snapshot = journal.writeSnapshot(written, engine.snapshot()).then(() => receipts.checkpoint(written, writtenMs));
  }
}
