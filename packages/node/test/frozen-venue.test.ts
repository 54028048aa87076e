// The whole venue when its custody is frozen under it: trading ends, nothing more is posted, it says so once and as what it is,
// and what was posted before becomes final.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { batchChainAbi, connectL1, custodyAbi, readDeployment } from "@tidemark/chain";
import { encodeFunctionData, numberToHex, parseAbi } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { OPERATOR } from "../src/venue/contracts.ts";
import { buildPackages, ENTRY, testSeed } from "./crash/build.ts";
import { l1Of, rpc, VenueProcess, writeConfig } from "./crash/venueProcess.ts";

const seed = testSeed();
const folder = mkdtempSync(join(tmpdir(), "tidemark-frozen-"));
const data = join(folder, "data");
const STEPS_WATCHED_MS = 3_000;

beforeAll(() => buildPackages());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface ShownStatus {
  phase: string;
  news: string[];
  engineMessages: number;
}
const shown = (): ShownStatus => JSON.parse(readFileSync(join(data, "status.json"), "utf8")) as ShownStatus;

function status(): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, "status", "--data-dir", data], (_error, output) => resolve(output));
  });
}

it("a venue whose custody is frozen stops, says so and lets what was posted become final", {
  timeout: 240_000,
}, async () => {
  const venue = new VenueProcess(["--config", writeConfig(folder), "--seed", String(seed), "--data-dir", data]);
  try {
    await venue.untilSaid("trading:");
    const deployment = await readDeployment(join(data, "deployment.json"));
    const { url } = l1Of(data);
    const client = await connectL1(url, deployment.chainId);
    const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
    const numberOf = async (functionName: "lastNumber" | "lastFinal"): Promise<number> =>
      Number(await client.readContract({ ...chain, functionName }));
    const custody = { address: deployment.custody, abi: custodyAbi } as const;
    const isFrozen = (): Promise<boolean> => client.readContract({ ...custody, functionName: "frozen" });
    expect(await venue.until(async () => (await numberOf("lastNumber")) >= 1), venue.said.slice(-1_500)).toBe(true);

    // As the dispute contract does after a conviction of a final batch.
    const { dispute: from, escape: to } = deployment;
    await rpc(url, "anvil_impersonateAccount", [from]);
    await rpc(url, "anvil_setBalance", [from, numberToHex(10n ** 18n)]);
    const call = encodeFunctionData({ abi: parseAbi(["function lateFraud(uint64 batchNumber)"]), args: [1_000n] });
    await rpc(url, "eth_sendTransaction", [{ from, to, data: call, gas: numberToHex(1_000_000) }]);
    expect(await venue.until(isFrozen), venue.said.slice(-1_500)).toBe(true);
    expect(await venue.until(() => shown().phase === "frozen"), venue.said.slice(-1_500)).toBe(true);

    const posted = await numberOf("lastNumber");
    const { engineMessages } = shown();
    await sleep(STEPS_WATCHED_MS);
    expect(venue.hasEnded, venue.said.slice(-1_500)).toBe(false);
    expect(await venue.until(async () => (await numberOf("lastFinal")) === posted), venue.said.slice(-1_500)).toBe(
      true,
    );
    expect(await numberOf("lastNumber")).toBe(posted);
    expect(shown().engineMessages).toBe(engineMessages);
    expect(shown().news.filter((line) => line.includes("the custody is frozen"))).toHaveLength(1);
    // Neither this nor anything else is sent into a revert for ever.
    const nonce = await client.getTransactionCount({ address: OPERATOR.proposer.address });
    await sleep(STEPS_WATCHED_MS);
    expect(await client.getTransactionCount({ address: OPERATOR.proposer.address })).toBe(nonce);
    expect(await status()).toMatch(/TIDEMARK.*frozen/);

    venue.child.kill("SIGINT");
    const ended = await venue.end();
    expect(ended.code, ended.errors).toBe(1);
    expect(ended.errors.match(/error VENUE_FROZEN: the custody is frozen/g)).toHaveLength(1);
  } finally {
    if (!venue.hasEnded) await venue.kill();
  }
});
