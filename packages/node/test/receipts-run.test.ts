// An honest run of the whole venue by its command line: every fill that was promised is kept, by the L1's word alone.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildPackages, ENTRY } from "./crash/build.ts";
import { type RunSummary, summaryOf, VenueProcess, writeConfig } from "./crash/venueProcess.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-receipts-run-"));
const out = join(folder, "out");
const deployment = join(out, "deployment.json");
const l1State = join(out, "l1-state.json");
let summary: RunSummary;

interface Answer {
  code: number;
  text: string;
  errors: string;
}

function tidemark(...parameters: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...parameters], { maxBuffer: 1 << 28 }, (error, text, errors) => {
      resolve({ code: error === null ? 0 : Number((error as { code?: number }).code ?? -1), text, errors });
    });
  });
}

beforeAll(async () => {
  buildPackages();
  const parameters = ["--config", writeConfig(folder, { snapshotEveryCommands: 800 }), "--seed", "17", "--out", out];
  const ended = await new VenueProcess([...parameters, "--once", "--seconds", "6", "--json"]).end();
  summary = summaryOf(ended);
  expect(summary.problems, ended.errors).toEqual([]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("keeps every fill that it promised, and shows when somebody changed a receipt", async () => {
  const fills = join(folder, "fills.json");
  const exported = await tidemark("receipts", "export", "--data-dir", out, "--kind", "fill", "--out", fills);
  expect(exported.code, exported.errors).toBe(0);
  const verified = await tidemark(
    "receipts",
    "verify",
    fills,
    "--deployment",
    deployment,
    "--l1-state",
    l1State,
    "--json",
  );
  expect(verified.code, verified.errors).toBe(0);
  const { counts } = JSON.parse(verified.text) as { counts: Record<string, number> };
  const { receipts } = summary as unknown as { receipts: { fills: number; cancels: number; groups: number } };
  // Maker and taker of each fill; a liquidated account has no order.
  expect(receipts.fills).toBeGreaterThan(summary.fills);
  expect(receipts.fills).toBeLessThanOrEqual(2 * summary.fills);
  expect(counts).toEqual({ kept: receipts.fills });

  const listed = await tidemark("receipts", "list", "--data-dir", out, "--json");
  const all = JSON.parse(listed.text) as { kind: string; account: number; nonce: number }[];
  expect(all.length).toBe(receipts.fills + receipts.cancels);
  const one = all[0] as { account: number; nonce: number };
  const some = await tidemark(
    "receipts",
    "list",
    "--data-dir",
    out,
    "--account",
    `${one.account}`,
    "--nonce",
    `${one.nonce}`,
  );
  expect(some.text.trim().split("\n").length).toBe(
    all.filter(({ account, nonce }) => account === one.account && nonce === one.nonce).length,
  );

  const file = JSON.parse(readFileSync(fills, "utf8")) as { receipts: { receipt: { filledLots: number } }[] };
  const [first] = file.receipts;
  if (first === undefined) throw new Error("no receipts");
  first.receipt.filledLots++;
  writeFileSync(fills, JSON.stringify({ ...file, receipts: [first] }));
  const forged = await tidemark("receipts", "verify", fills, "--deployment", deployment, "--l1-state", l1State);
  expect(forged.code).toBe(1);
  expect(forged.text).toMatch(/^invalid fill .*: it is signed by 0x\w+, not by the sequencer/);
  writeFileSync(fills, "{}");
  const unreadable = await tidemark("receipts", "verify", fills, "--deployment", deployment, "--l1-state", l1State);
  expect(unreadable.code).toBe(2);
}, 240_000);

it("breaks no cancel", async () => {
  const cancels = join(folder, "cancels.json");
  await tidemark("receipts", "export", "--data-dir", out, "--kind", "cancel", "--out", cancels);
  const verified = await tidemark(
    "receipts",
    "verify",
    cancels,
    "--deployment",
    deployment,
    "--l1-state",
    l1State,
    "--json",
  );
  expect(verified.code, verified.errors).toBe(0);
  const { counts } = JSON.parse(verified.text) as { counts: Record<string, number> };
  const { receipts } = summary as unknown as { receipts: { cancels: number } };
  expect((counts["kept"] ?? 0) + (counts["pending"] ?? 0)).toBe(receipts.cancels);
  expect(counts["kept"]).toBeGreaterThan(0);
}, 240_000);
