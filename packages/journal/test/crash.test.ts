// kill -9 at random moments: everything acknowledged is there, and what is there is a gapless prefix.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openJournal, openJournalReader } from "../src/index.ts";
import { buildPackage, startChild } from "./child.ts";
import { COMMANDS_PER_CYCLE, cycleOf, recordOf } from "./records.mjs";

const kills = process.env["TIDEMARK_LONG"] === "1" ? 100 : 8;
const seed = process.env["TIDEMARK_SEED"] ?? String(Date.now());
const directory = mkdtempSync(join(tmpdir(), "tidemark-crash-"));

beforeAll(buildPackage);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the writer until the kill; the highest sequence that it acknowledged. */
async function writeUntilKilled(delayMs: number): Promise<number> {
  const child = startChild("child-writer.mjs", directory, seed);
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const closed = once(child, "close");
  while (!output.includes("ready\n")) {
    if (child.exitCode !== null) throw new Error(`the writer ended by itself: ${output}`);
    await sleep(2);
  }
  await sleep(delayMs);
  child.kill("SIGKILL");
  const [, signal] = await closed;
  expect(signal, `seed ${seed}`).toBe("SIGKILL");
  // The last line may be cut by the kill; a complete line ends in a newline.
  const lines = output.slice(0, output.lastIndexOf("\n")).split("\n");
  return Math.max(0, ...lines.filter((line) => line !== "ready").map(Number));
}

function check(acknowledged: number, name: string): number {
  const reader = openJournalReader(directory);
  const last = reader.lastSequence();
  expect(last, name).toBeGreaterThanOrEqual(acknowledged);
  let next = 1;
  for (const { sequence, bytes } of reader.read()) {
    if (sequence !== next || !recordOf(seed, sequence).every((byte, i) => bytes[i] === byte)) {
      expect.fail(`${name}: record ${next} is wrong`);
    }
    next++;
  }
  expect(next - 1, name).toBe(last);
  const cycles = reader.cycleCount();
  // A cycle is never on disk before the commands that it comes from.
  expect(cycles * COMMANDS_PER_CYCLE, name).toBeLessThanOrEqual(last);
  for (const cycle of reader.readCycles()) expect(cycle.postRoot, name).toBe(cycleOf(seed, cycle.index).postRoot);
  for (const info of reader.listSnapshots()) {
    const snapshot = reader.latestSnapshot(info.sequence);
    expect(info.sequence, name).toBeLessThanOrEqual(last);
    const expected = Buffer.alloc(3_000_000, recordOf(seed, info.sequence));
    expect(expected.equals(snapshot?.bytes ?? Buffer.alloc(0)), name).toBe(true);
  }
  void reader.close();
  return last;
}

describe("kill -9", () => {
  it(`${kills} times: nothing acknowledged is lost, and the next writer goes on`, { timeout: 600_000 }, async () => {
    let last = 0;
    let acknowledgedRounds = 0;
    // A multiplicative generator: the delays follow from the seed.
    let random = (Number(BigInt.asUintN(31, BigInt(seed))) % 2_147_483_646) + 1;
    for (let kill = 1; kill <= kills; kill++) {
      random = (random * 48_271) % 2_147_483_647;
      const acknowledged = await writeUntilKilled(random % 250);
      if (acknowledged > last) acknowledgedRounds++;
      const name = `seed ${seed}, kill ${kill}`;
      const found = check(acknowledged, name);
      expect(found, name).toBeGreaterThanOrEqual(last);
      last = found;
    }
    console.log(JSON.stringify({ name: "journal-crash", seed, attempts: kills, failures: 0, records: last }));
    // The test says nothing if the writers were killed before they acknowledged anything.
    expect(acknowledgedRounds, `seed ${seed}`).toBeGreaterThan(kills / 2);
  });

  it("a live writer in another process is refused, a dead one is not, and a reader follows both", async () => {
    const own = join(directory, "locked");
    const child = startChild("child-writer.mjs", own, seed);
    const closed = once(child, "close");
    let durable = 0;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      durable = Math.max(durable, ...text.split("\n").map((line) => Number(line) || 0));
    });
    while (durable === 0) await sleep(2);
    const identity = { venueId: `venue-${seed}`, genesisRoot: `0x${"11".repeat(32)}` } as const;
    await expect(openJournal(own, { identity })).rejects.toMatchObject({ code: "LOCKED" });
    const reader = openJournalReader(own);
    expect(reader.identity).toEqual(identity);
    let seen = 0;
    for (let look = 0; look < 50; look++) {
      const acknowledged = durable;
      const now = reader.lastSequence();
      expect(now).toBeGreaterThanOrEqual(acknowledged);
      expect(now).toBeGreaterThanOrEqual(seen);
      for (const { sequence, bytes } of reader.read(Math.max(1, now - 20), now)) {
        expect(Buffer.from(recordOf(seed, sequence)).equals(bytes)).toBe(true);
      }
      // Cycles before commands: a cycle that is visible has its commands visible too.
      const cycles = reader.cycleCount();
      expect(cycles * COMMANDS_PER_CYCLE).toBeLessThanOrEqual(reader.lastSequence());
      seen = now;
      await sleep(3);
    }
    expect(seen).toBeGreaterThan(COMMANDS_PER_CYCLE);
    child.kill("SIGKILL");
    await closed;
    await expect(openJournal(own, { identity })).rejects.toThrow(/close that reader first/);
    await reader.close();
    const journal = await openJournal(own, { identity });
    expect(journal.lastSequence()).toBeGreaterThanOrEqual(durable);
    await journal.close();
  });
});
