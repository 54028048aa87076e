// What a finished run says about itself, and what it leaves behind for somebody who does not trust it.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { copyFile, cp } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeDeployment } from "@tidemark/chain";
import { exportJournal } from "@tidemark/journal";
import { blobsIn } from "../blobOptions.ts";
import { writeFileWhole } from "../dataFolder.ts";
import { usdc } from "../display.ts";
import { conservationGap, statusJson } from "../status.ts";
import { liabilitiesOf } from "./liabilities.ts";
import { statusOf } from "./statusOf.ts";
import type { Venue } from "./venue.ts";

export interface Summary {
  json: Record<string, unknown>;
  /** Invariants that do not hold; empty for a good run. */
  problems: string[];
  lines: string[];
}

export function summaryOf(venue: Venue): Summary {
  const { source, engine, tally, processes, vault, journal, gatekeeper, claims, receipts } = venue.parts;
  const { proposer, watch } = processes;
  const conservation = vault.conservation(engine.ledger);
  const gap = conservationGap(conservation);
  const { badDebt } = liabilitiesOf(engine);
  const stateRoot = engine.ledger.root();
  const rootsCompared = watch?.cyclesCompared ?? 0;
  const rootsEqual = watch?.cyclesEqual ?? 0;
  const problems = [
    ...(gap === 0n ? [] : [`conservation: the vault and the ledger differ by ${gap} micro-USDC`]),
    ...(rootsEqual === rootsCompared && rootsCompared === engine.cycleIndex
      ? []
      : [`roots: ${rootsEqual} of ${engine.cycleIndex} equal, ${rootsCompared} compared`]),
    ...(watch?.stateRoot === stateRoot
      ? []
      : [`state root: the watcher has ${watch?.stateRoot}, the engine ${stateRoot}`]),
    ...(tally.fillsFinal === tally.fills ? [] : [`fills: ${tally.fillsFinal} of ${tally.fills} final`]),
    ...(processes.fault === null ? [] : [`watcher: ${processes.fault}`]),
    ...(gatekeeper.refused === 0 ? [] : [`signatures: ${gatekeeper.refused} orders of our own traders did not verify`]),
  ];
  const json = {
    seed: source.seed,
    input: source.description,
    instrumentsQuoted: tally.quoted.size,
    accounts: engine.ledger.accountNumbers().length,
    engineMessages: journal.lastSequence(),
    fills: tally.fills,
    fillsSettled: tally.fillsFinal,
    cycles: { total: engine.cycleIndex, byKind: tally.cyclesByKind },
    batchesPosted: proposer?.batchesPosted ?? 0,
    batchesFinal: proposer?.batchesFinal ?? 0,
    withdrawalsClaimed: vault.claimedCount,
    withdrawalsRefusedByL1: claims.setAsideCount,
    liquidations: tally.liquidations,
    fundingEvents: tally.fundingEvents,
    expiries: tally.expiries,
    rootsCompared,
    rootsEqual,
    conservation: Object.fromEntries(Object.entries(conservation).map(([name, value]) => [name, String(value)])),
    unownedMicroUsdc: String(vault.unownedMicroUsdc),
    badDebtMicroUsdc: String(badDebt),
    compression: {
      messages: journal.lastSequence(),
      settledDeltas: tally.settledDeltas,
      l1Bytes: proposer?.l1Bytes ?? 0,
      l1Gas: proposer?.l1Gas ?? 0,
    },
    receipts: { ...receipts.counts },
    finalityMs: tally.finalityMs(),
    finalityClock: { executed: "wall", durable: "wall", posted: "venue", final: "venue" },
    rejections: Object.fromEntries([...tally.rejectionsByCode].sort(([p], [q]) => p - q)),
    wrongBatchesDropped: watch?.batchesDropped ?? 0,
    reorgsPostedAgain: proposer?.removedByReorg ?? 0,
    problems,
    finalStateRoot: stateRoot,
  };
  return { json, problems, lines: linesOf(json, problems, conservation.vault) };
}

function linesOf(json: Record<string, unknown>, problems: readonly string[], vault: bigint): string[] {
  const rows: readonly (readonly [string, unknown])[] = [
    ["input", json["input"]],
    ["seed", json["seed"]],
    ["instruments quoted", json["instrumentsQuoted"]],
    ["engine messages", json["engineMessages"]],
    ["fills, all settled", `${String(json["fills"])}, ${json["fills"] === json["fillsSettled"] ? "yes" : "no"}`],
    ["batches posted / final", `${String(json["batchesPosted"])} / ${String(json["batchesFinal"])}`],
    ["roots equal / compared", `${String(json["rootsEqual"])} / ${String(json["rootsCompared"])}`],
    [
      "liquidations, funding, expiries",
      `${String(json["liquidations"])}, ${String(json["fundingEvents"])}, ${String(json["expiries"])}`,
    ],
    ["withdrawals claimed", json["withdrawalsClaimed"]],
    ["withdrawals refused by the L1", json["withdrawalsRefusedByL1"]],
    ["vault", `${usdc(vault)} USDC`],
    ["final state root", json["finalStateRoot"]],
  ];
  const table = rows.map(([name, value]) => `${name.padEnd(32)} ${String(value)}`);
  return [...table, ...problems.map((problem) => `BROKEN ${problem}`)];
}

/** Deployment file, L1 state, journal and summary: enough to check the run without asking anybody. */
export async function writeOut(venue: Venue, summary: Summary, out: string): Promise<void> {
  const { deployment, l1, folder, journal, receipts } = venue.parts;
  const directory = resolve(out);
  mkdirSync(directory, { recursive: true });
  await writeDeployment(join(directory, "deployment.json"), deployment);
  await l1.embedded.dumpState(join(directory, "l1-state.json"));
  await journal.durable();
  await receipts.copyTo(join(directory, "receipts"));
  // Whoever loads the L1's state elsewhere may have a node that keeps none, as L1 nodes do after a while.
  const { archivePath } = blobsIn(folder.path);
  if (archivePath !== undefined && existsSync(archivePath)) {
    await cp(archivePath, join(directory, "blobs"), { recursive: true });
  }
  rmSync(join(directory, "journal.bin"), { force: true });
  await exportJournal(journal, join(directory, "journal.bin"));
  await copyFile(folder.run, join(directory, "run.json"));
  writeFileWhole(join(directory, "status.json"), statusJson(venue.tradingStatus ?? statusOf(venue, null)));
  writeFileWhole(join(directory, "summary.json"), `${JSON.stringify(summary.json, null, 2)}\n`);
}
