// The edges where money leaves or lies: a vault that is robbed or given to, output that nobody reads, folders that cannot be
// written, journals that were cut. A broken invariant ends with 1 and says which; what is none does not stop the venue.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Deployment, parseDeployment, testUsdcAbi } from "@tidemark/chain";
import { exportJournal, importJournal, openJournal, openJournalReader } from "@tidemark/journal";
import { encodeFunctionData, type Hex } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildPackages, ENTRY } from "./crash/build.ts";
import { l1Of, processesWith, VenueProcess, writeConfig } from "./crash/venueProcess.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-edges-test-"));
const STRANGER = "0x00000000000000000000000000000000000000aa";
const goodOut = join(folder, "good-out");

beforeAll(() => buildPackages());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Answer {
  code: number;
  output: string;
  errors: string;
}

function tidemark(...parameters: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...parameters], { maxBuffer: 64 << 20 }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number((error as { code?: number }).code ?? -1), output, errors });
    });
  });
}

function start(name: string, seconds: number): { venue: VenueProcess; data: string } {
  const data = join(folder, name);
  const parameters = ["--config", writeConfig(folder), "--seed", "21", "--data-dir", data, "--out", `${data}-out`];
  return { venue: new VenueProcess([...parameters, "--once", "--seconds", String(seconds), "--json"]), data };
}

/** Calls of a node that signs for anybody, as the embedded one does. */
async function callAs(url: string, from: string, to: string, data: Hex): Promise<void> {
  const rpc = async (method: string, params: unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const answer = (await response.json()) as { result?: unknown; error?: { message: string } };
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  };
  await rpc("anvil_impersonateAccount", [from]);
  await rpc("anvil_setBalance", [from, "0x8ac7230489e80000"]);
  await rpc("eth_sendTransaction", [{ from, to, data, gas: "0x30d40" }]);
}

const lastObject = ({ output }: { output: string }): Record<string, unknown> =>
  JSON.parse(output.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;

async function inTheMiddle(venue: VenueProcess, data: string): Promise<{ url: string; deployment: Deployment }> {
  await venue.untilSaid("trading: ");
  return { url: l1Of(data).url, deployment: parseDeployment(readFileSync(join(data, "deployment.json"), "utf8")) };
}

const transfer = (to: string, amount: bigint): Hex =>
  encodeFunctionData({ abi: testUsdcAbi, functionName: "transfer", args: [to as Hex, amount] });
const mint = (to: string, amount: bigint): Hex =>
  encodeFunctionData({ abi: testUsdcAbi, functionName: "mint", args: [to as Hex, amount] });

it("ends with 1 and names conservation when one micro-USDC leaves the vault, and still leaves the run to look at", async () => {
  const { venue, data } = start("robbed", 20);
  const { url, deployment } = await inTheMiddle(venue, data);
  await callAs(url, deployment.custody, deployment.token, transfer(STRANGER, 1n));
  const ended = await venue.end();
  expect(ended.code, ended.errors).toBe(1);
  expect(ended.errors).toContain("CONSERVATION");
  const said = lastObject(ended);
  expect(said["error"]).toMatchObject({ code: "CONSERVATION", exitCode: 1 });
  expect((said["problems"] as string[])[0]).toContain("differ by -1 micro-USDC");
  expect(said["conservation"]).toBeDefined();
  const left = JSON.parse(readFileSync(join(`${data}-out`, "summary.json"), "utf8")) as Record<string, unknown>;
  expect(left["error"]).toMatchObject({ code: "CONSERVATION" });
  expect(existsSync(join(`${data}-out`, "l1-state.json"))).toBe(true);
}, 90_000);

it("goes on when a stranger sends the vault a token without depositing it", async () => {
  const { venue, data } = start("good", 5);
  const { url, deployment } = await inTheMiddle(venue, data);
  await callAs(url, STRANGER, deployment.token, mint(deployment.custody, 3n));
  const ended = await venue.end();
  expect(ended.code, ended.errors).toBe(0);
  expect(lastObject(ended)).toMatchObject({ problems: [], unownedMicroUsdc: "3" });
}, 90_000);

it("ends in order with 0 when nobody reads its output any more", async () => {
  const parameters = ["--config", writeConfig(folder), "--seed", "22", "--once", "--seconds", "30"];
  const venue = spawn(process.execPath, [ENTRY, "up", ...parameters], { stdio: ["ignore", "pipe", "ignore"] });
  let heard = "";
  const code = new Promise<number | null>((resolve) => venue.once("close", (ended) => resolve(ended)));
  venue.stdout.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
    if (heard.includes("trading: ")) venue.stdout.destroy();
  });
  const begun = Date.now();
  expect(await code).toBe(0);
  expect(Date.now() - begun).toBeLessThan(28_000);
}, 90_000);

it("refuses an --out or --data-dir that cannot be a folder before it starts anything, and names the setting", async () => {
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  for (const [flag, setting] of [
    ["--out", "out"],
    ["--data-dir", "dataDir"],
  ] as const) {
    const { code, errors } = await tidemark("up", "--once", "--seconds", "1", flag, file);
    expect(code, errors).toBe(3);
    expect(errors).toContain(`FOLDER_UNWRITABLE: ${setting}: `);
    expect(errors).not.toContain("L1 at");
  }
});

it("tells a journal that was cut, and one of another venue", async () => {
  const original = join(folder, "original");
  await importJournal(join(goodOut, "journal.bin"), original);
  const reader = openJournalReader(original);
  const cut = join(folder, "cut");
  const rewrite = async (directory: string, venueId: string, last: number): Promise<void> => {
    const journal = await openJournal(join(directory, "journal"), { identity: { ...reader.identity, venueId } });
    for (const { sequence, bytes } of reader.read(1, last))
      if (!journal.append(sequence, bytes)) await journal.drained();
    for (const cycle of reader.readCycles()) journal.putCycle(cycle);
    await journal.durable();
    for (const name of ["run.json", "deployment.json"])
      writeFileSync(join(directory, name), readFileSync(join(goodOut, name)));
    await journal.close();
  };
  await rewrite(cut, reader.identity.venueId, reader.lastSequence() - 400);
  const foreign = join(folder, "foreign");
  await rewrite(foreign, "1:0x0:1", reader.lastSequence());
  await reader.close();
  const [shortened, other] = [await tidemark("replay", cut), await tidemark("replay", foreign)];
  expect(shortened.code, shortened.errors).toBe(1);
  expect(shortened.errors).toContain("no command of the journal leads to it");
  expect(other.code, other.errors).toBe(1);
  expect(other.errors).toContain("the journal's venue is 1:0x0:1");
  // The export writes what it was given: a cut one has a digest of its own and is told by the replay alone.
  await exportJournal(join(cut, "journal"), join(cut, "journal.bin"));
  expect((await tidemark("replay", cut)).code).toBe(1);
}, 60_000);

it("leaves no L1 node behind when a watcher of a dump is ended early", async () => {
  const state = join(goodOut, "l1-state.json");
  const watcher = spawn(
    process.execPath,
    [ENTRY, "watch", "--l1-state", state, "--deployment", join(goodOut, "deployment.json")],
    { stdio: "ignore" },
  );
  const deadline = Date.now() + 20_000;
  while (processesWith("anvil", state).length === 0 && Date.now() < deadline) await sleep(20);
  expect(processesWith("anvil", state)).toHaveLength(1);
  watcher.kill("SIGKILL");
  while (processesWith("anvil", state).length > 0 && Date.now() < deadline) await sleep(50);
  expect(processesWith("anvil", state)).toEqual([]);
}, 30_000);
