// The end of a venue end to end: rehearsed on a copy, and for real with the commands that anybody has.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  batchChainAbi,
  connectL1,
  createCustodyClient,
  createEscapeClient,
  type Deployment,
  developmentAccount,
  type EmbeddedL1,
  type L1Client,
  readExistingBlock,
  startEmbeddedL1,
  transactAll,
} from "@tidemark/chain";
import { encodeFunctionData } from "viem";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { escapeFreeze, escapePay, escapeRegister, escapeRehearse, escapeStatus } from "../../src/commands/escape.ts";
import { forceLiquidation } from "../../src/commands/force.ts";
import { ExitCode } from "../../src/errors.ts";
import { rehearse } from "../../src/escape/rehearsal.ts";
import { factorText, reportLines } from "../../src/escape/report.ts";
import { createEndWorld, type EndWorld, IN_POOL, LATE_DEPOSIT, ownerOf, WITHDRAWN } from "./endWorld.ts";

let world: EndWorld;
beforeAll(async () => {
  world = await createEndWorld();
  await world.leave();
});
afterAll(() => world.close());

const quiet = { onStep: () => undefined };
const payment = (
  report: Awaited<ReturnType<typeof rehearse>>,
  kind: string,
  number: number,
): { amountMicroUsdc: bigint; paymentMicroUsdc: bigint } | undefined =>
  report.table.payments.find((one) => one.kind === kind && one.number === number);

describe("a rehearsal", () => {
  test("pays everybody in full where the vault suffices, and leaves nothing", async () => {
    const report = await rehearse({ folder: world.folder, withMarks: true, markShiftPpb: 0, ...quiet });
    expect(report.problems).toEqual([]);
    expect(report.forcedEntry).toMatchObject({ type: "forcedWithdrawal", account: 2, queuedForTheRehearsal: false });
    expect(report.marksSigned).toBe(report.instrumentsHeld);
    expect(report.instrumentsHeld).toBe(6);
    // Treasury, insurance, four accounts, a withdrawal, a deposit.
    expect(report.table.payments).toHaveLength(8);
    expect(payment(report, "account", 0)).toMatchObject({ paymentMicroUsdc: 150n });
    expect(payment(report, "withdrawal", 0)).toMatchObject({ paymentMicroUsdc: BigInt(WITHDRAWN) });
    const deposit = report.table.payments.find(({ kind }) => kind === "deposit");
    expect(deposit).toMatchObject({ paymentMicroUsdc: BigInt(LATE_DEPOSIT) });
    expect(deposit?.beneficiary).toBe(ownerOf(2).address.toLowerCase());
    expect(report.poolPaidMicroUsdc).toBe(0n);
    expect(factorText(report.table)).toBe("1.000000");
    expect(report.vaultLeftMicroUsdc).toBe(0n);
    for (const { paymentMicroUsdc, amountMicroUsdc, number, kind } of report.table.payments) {
      if (kind !== "account" || number > 1) expect(paymentMicroUsdc).toBe(amountMicroUsdc);
    }
    const copied = await rehearse({ folder: world.folder, withMarks: false, markShiftPpb: 0, ...quiet });
    expect(copied.problems).toEqual([]);
    expect(copied.marksSigned).toBe(0);
    expect(copied.table).toEqual(report.table);
  });

  test("shares a short vault by one factor, and leaves exactly the dust", async () => {
    // At forty times the marks whoever is short owes more than he has.
    const out = mkdtempSync(join(tmpdir(), "tidemark-end-out-"));
    const report = await rehearse({
      folder: world.folder,
      out,
      withMarks: true,
      markShiftPpb: 40_000_000_000,
      ...quiet,
    });
    expect(report.problems).toEqual([]);
    const { table } = report;
    expect(table.registeredMicroUsdc).toBeGreaterThan(table.vaultMicroUsdc);
    expect(report.poolPaidMicroUsdc).toBe(BigInt(IN_POOL));
    expect(table.paidMicroUsdc + table.dustMicroUsdc).toBe(table.vaultMicroUsdc);
    expect(table.dustMicroUsdc).toBeLessThan(8n);
    expect(report.vaultLeftMicroUsdc).toBe(table.dustMicroUsdc);
    for (const { amountMicroUsdc, paymentMicroUsdc, kind, number } of table.payments) {
      const isJunior = kind === "account" && number < 2;
      const share = (amountMicroUsdc * table.vaultMicroUsdc) / table.registeredMicroUsdc;
      expect(paymentMicroUsdc).toBe(isJunior ? 0n : share);
    }
    const written = JSON.parse(readFileSync(join(out, "escape.json"), "utf8")) as { factor: string };
    expect(written.factor).toBe(factorText(table));
    rmSync(out, { recursive: true });
  });

  test("of a folder without a venue ends with 2", async () => {
    const error = await rehearse({
      folder: join(world.folder, "none"),
      withMarks: true,
      markShiftPpb: 0,
      ...quiet,
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "NO_VENUE", exitCode: ExitCode.usage });
  });

  test("says what differs, and as a command ends with 0 where nothing does", async () => {
    const report = await rehearse({ folder: world.folder, withMarks: false, markShiftPpb: 0, ...quiet });
    report.problems.push("account 2, paid: the contract has 1, computed is 2");
    expect(reportLines(report).at(-1)).toMatch(/^DIFFERS account 2/);
    const said: string[] = [];
    const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => said.push(String(text)) > 0);
    const code = await escapeRehearse({ source: world.folder, marks: false, json: true });
    spy.mockRestore();
    expect(code).toBe(ExitCode.ok);
    expect(JSON.parse(said.at(-1) ?? "")).toMatchObject({ problems: [], factor: "1.000000" });
  });
});

/** The same L1 again, where blocks come by themselves: what a user's command meets. */
describe("for real", () => {
  let l1: EmbeddedL1;
  let client: L1Client;
  let deployment: Deployment;
  let chain: Promise<void> = Promise.resolve();
  let isMining = true;
  let said: string[] = [];
  let flags: Record<string, unknown>;

  const now = async (): Promise<number> => (await readExistingBlock(client, "latest")).timestampSeconds;

  /** One block after the other: two at a time would get into each other's way. */
  function mine(secondsOf: () => Promise<number>): Promise<void> {
    chain = chain.then(async () => void (await l1.mine(await secondsOf())));
    return chain;
  }
  const warpTo = (seconds: number): Promise<void> => mine(async () => seconds);

  async function mineOn(): Promise<void> {
    while (isMining) {
      await mine(async () => (await now()) + 1);
      await sleep(30);
    }
  }
  let mining: Promise<void>;

  async function told(
    command: (flags: Record<string, unknown>) => Promise<ExitCode>,
    more: Record<string, unknown> = {},
  ): Promise<{ code: ExitCode; lines: string[] }> {
    said = [];
    const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => said.push(String(text).trimEnd()) > 0);
    try {
      return { code: await command({ ...flags, ...more }), lines: said };
    } finally {
      spy.mockRestore();
    }
  }

  beforeAll(async () => {
    ({ deployment } = world);
    l1 = await startEmbeddedL1({ loadStateFile: join(world.folder, "l1-state.json"), slotsInAnEpoch: 2 });
    client = await connectL1(l1.url);
    const anybody = developmentAccount("anybody");
    await l1.setBalance(anybody.address, 10n ** 21n);
    flags = { l1: l1.url, deployment: join(world.folder, "deployment.json"), developmentKey: "anybody" };
    mining = mineOn();
  });
  afterAll(async () => {
    isMining = false;
    await mining;
    await l1.stop();
  });

  test("freeze, register, pay", async () => {
    const forced = await told(forceLiquidation, { account: 3 });
    expect(forced.lines[0]).toMatch(/^queued as entry \d+; the venue must consume it by/);
    const early = await told(escapeFreeze);
    expect(early.code).toBe(ExitCode.usage);
    expect(early.lines[0]).toMatch(/^nothing to freeze for: 2 forced entries, 2 not consumed/);
    await expect(told(escapeRegister)).rejects.toMatchObject({ code: "NO_ANCHOR" });

    await warpTo((await now()) + 86_400 + 60);
    const frozen = await told(escapeFreeze);
    expect(frozen.lines[0]).toMatch(/^frozen: entry \d+ \(forcedWithdrawal of account 2\)/);
    await expect(told(escapeFreeze)).rejects.toMatchObject({ code: "WRONG_PHASE" });
    const custody = createCustodyClient(client, deployment);
    await expect(custody.forceLiquidation(developmentAccount("anybody"), 3)).rejects.toMatchObject({
      code: "TRANSACTION_REVERTED",
    });

    // The posted batch is not final yet: nobody finalised it.
    await expect(told(escapeRegister)).rejects.toMatchObject({ message: expect.stringContaining("BatchesPending") });
    await finaliseAll(client, deployment);
    const fixed = await told(escapeRegister);
    expect(fixed.lines[0]).toBe("anchor fixed: batch 1");
    expect(fixed.lines[1]).toMatch(/^0 payments beyond the anchor shown; registration begins/);

    const contract = createEscapeClient(client, deployment, developmentAccount("anybody"));
    const anchor = (await contract.status()).anchor;
    await warpTo(anchor?.marksUntilSeconds ?? 0);
    const one = await told(escapeRegister, { account: 4 });
    expect(one.lines.at(-1)).toBe("1 registered");
    const rest = await told(escapeRegister);
    // Four accounts, treasury, insurance, withdrawal, deposit; one of them is in already.
    expect(rest.lines.at(-1)).toBe("7 registered");
    expect((await told(escapeRegister)).lines.at(-1)).toBe("0 registered");
    await expect(told(escapePay)).rejects.toMatchObject({ code: "WRONG_PHASE" });

    await warpTo(anchor?.registrationUntilSeconds ?? 0);
    const paid = await told(escapePay);
    expect(paid.lines[0]).toMatch(/^books closed/);
    expect(paid.lines.filter((line) => line.startsWith("paid "))).toHaveLength(6);
    const status = await contract.status();
    await warpTo(status.books.closedAtSeconds + status.lateSeconds);
    const last = await told(escapePay);
    expect(last.lines.filter((line) => line.startsWith("paid account "))).toHaveLength(2);
    expect(await custody.vaultMicroUsdc()).toBe(0n);
    expect(JSON.parse((await told(escapeStatus)).lines.join("\n"))).toMatchObject({ phase: "residual" });
  });
});

async function finaliseAll(client: L1Client, deployment: Deployment): Promise<void> {
  const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args: [1n] });
  const sender = developmentAccount("anybody");
  await transactAll(client, [{ sender, to: deployment.batchChain, data, gas: 300_000n, what: "finalisation" }]);
}
