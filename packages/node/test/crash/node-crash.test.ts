// kill -9 of the whole venue, at any moment from the first millisecond on: the next life goes on with the same data folder and L1,
// and in the end everything that was executed is final and verified.
// TIDEMARK_LONG=1 makes the long run of it.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openJournalReader } from "@tidemark/journal";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { buildPackages, isLong, randomFrom, testSeed } from "./build.ts";
import { postedOnL1 } from "./posted.ts";
import { l1Of, processesWith, summaryOf, VenueProcess, writeConfig } from "./venueProcess.ts";

const KILLS = isLong ? 20 : 4;
const seed = testSeed();
const below = randomFrom(seed);
let folder = "";
let parameters: string[] = [];

beforeAll(buildPackages);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-node-crash-"));
  parameters = ["--config", writeConfig(folder), "--seed", String(seed), "--data-dir", join(folder, "data")];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Fills of closed cycles and commands that are on the disk. */
function onDisk(): { commands: number; fills: number } {
  if (!existsSync(join(folder, "data", "journal", "journal.mdb"))) return { commands: 0, fills: 0 };
  let reader: ReturnType<typeof openJournalReader>;
  try {
    reader = openJournalReader(join(folder, "data", "journal"));
  } catch (error) {
    // Killed while the journal was made.
    if ((error as { code?: string }).code === "NOT_FOUND") return { commands: 0, fills: 0 };
    throw error;
  }
  let fills = 0;
  for (const cycle of reader.readCycles()) fills += cycle.fills;
  const commands = reader.lastSequence();
  void reader.close();
  return { commands, fills };
}

it(`the venue survives ${KILLS} kills and becomes final`, { timeout: 3_600_000 }, async () => {
  let attempts = 0;
  let failures = 1;
  const moments: string[] = [];
  try {
    let before = { commands: 0, fills: 0 };
    while (attempts < KILLS) {
      const venue = new VenueProcess(parameters);
      const moment = (["deployment", "onboarding", "trading", "start"] as const)[attempts % 4];
      if (moment === "deployment") await venue.untilSaid("L1 at");
      if (moment === "onboarding") await venue.untilSaid("custody 0x");
      if (moment === "trading") await venue.untilSaid("trading:");
      await sleep(below({ deployment: 300, onboarding: 600, trading: 3_000, start: 2_000 }[moment as "start"]));
      const lastWords = venue.said.trim().split("\n").at(-1) ?? "";
      const { signal, errors } = await venue.kill();
      attempts++;
      const name = `seed ${seed}, kill ${attempts} (${moment})`;
      moments.push(lastWords.slice(0, 40));
      expect({ signal, errors }, name).toMatchObject({ signal: "SIGKILL", errors: "" });
      const now = onDisk();
      expect(now.commands, name).toBeGreaterThanOrEqual(before.commands);
      expect(now.fills, name).toBeGreaterThanOrEqual(before.fills);
      before = now;
    }
    const out = join(folder, "out");
    const ended = await new VenueProcess([...parameters, "--once", "--seconds", "3", "--json", "--out", out]).end();
    const summary = summaryOf(ended);
    const name = `seed ${seed}: ${ended.errors.slice(-2_000)}`;
    expect(summary.problems, name).toEqual([]);
    expect(ended.code, name).toBe(0);
    expect(summary.rootsEqual, name).toBe(summary.cycles.total);
    expect(summary.fills, name).toBeGreaterThan(before.fills);
    expect(summary.fillsSettled, name).toBe(summary.fills);
    expect(summary.fills, name).toBe(onDisk().fills);
    const kinds = Object.values(summary.cycles.byKind).reduce((sum, count) => sum + count, 0);
    expect(kinds, name).toBe(summary.cycles.total);
    const posted = await postedOnL1(out);
    expect(posted, name).toMatchObject({
      postTransactions: summary.batchesPosted,
      refused: 0,
      batches: summary.batchesPosted,
      stateRoot: summary.finalStateRoot,
      fault: null,
    });
    expect(processesWith(folder), name).toEqual([]);
    failures = 0;
  } finally {
    console.log(JSON.stringify({ name: "node-crash", seed, attempts, failures, moments }));
  }
});

it("a temporary venue leaves no process behind, killed or not", { timeout: 120_000 }, async () => {
  const environment = { TMPDIR: folder };
  const venue = new VenueProcess(["--seed", "3"], environment);
  await venue.untilSaid("custody 0x");
  const [node] = processesWith("anvil", "--cache-path", folder);
  expect(node).toBeDefined();
  await venue.kill();
  await expect.poll(() => processesWith(folder), { timeout: 10_000 }).toEqual([]);

  const finished = new VenueProcess(
    ["--seed", "3", "--config", writeConfig(folder), "--once", "--seconds", "1", "--json"],
    environment,
  );
  expect(summaryOf(await finished.end()).problems).toEqual([]);
  await expect.poll(() => processesWith(folder), { timeout: 10_000 }).toEqual([]);
});

it("a killed L1 stops the venue loudly; the next life goes on or says why not", { timeout: 120_000 }, async () => {
  const venue = new VenueProcess(parameters);
  await venue.untilSaid("trading:");
  await sleep(3_000 + below(2_000));
  const { processId } = l1Of(join(folder, "data"));
  process.kill(processId, "SIGKILL");
  const ended = await venue.end();
  expect(ended.code, ended.errors).toBe(3);
  expect(ended.errors).toMatch(/error L1_UNREACHABLE/);
  await expect.poll(() => processesWith(folder), { timeout: 10_000 }).toEqual([]);

  const before = onDisk();
  const next = await new VenueProcess([...parameters, "--once", "--seconds", "2", "--json"]).end();
  if (next.code === 0) {
    const summary = summaryOf(next);
    expect(summary.problems).toEqual([]);
    expect(summary.fills).toBeGreaterThanOrEqual(before.fills);
  } else {
    // The node lost more than it may, or died while it wrote its state: nothing goes on from there.
    expect(next.errors).toMatch(/error (FINALISED_REORG|DEPLOYMENT_MISMATCH|ANVIL_START)/);
    expect(next.code).toBe(3);
  }
  console.log(JSON.stringify({ name: "l1-kill", seed, continued: next.code === 0 }));
  expect(processesWith(folder)).toEqual([]);
});
