// The end of a venue, rehearsed on a copy: its L1 as it stands, without its sequencer. Time passes until a forced entry is
// missed; everybody registers and is paid; every figure is compared with the computation from the ledger's state alone.

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  batchChainAbi,
  type CustodyClient,
  connectL1,
  createCustodyClient,
  createEscapeClient,
  type Deployment,
  developmentAccount,
  dumpL1State,
  type EmbeddedL1,
  type ForcedQueueEntry,
  type L1Client,
  l1Call,
  missedEntry,
  readDeployment,
  readExistingBlock,
  readForcedEntries,
  startEmbeddedL1,
  transactAll,
} from "@tidemark/chain";
import { type LedgerState, ROW_VALUE_BOUND } from "@tidemark/ledger";
import {
  type ClosingMarks,
  closingMarkOf,
  type Entitlement,
  type EscapeTable,
  escapeTable,
} from "@tidemark/settlement";
import { encodeFunctionData, type LocalAccount } from "viem";
import { blobsIn } from "../blobOptions.ts";
import { l1FileSchema, type RunFile, readJsonFile, runFileSchema, writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { oracleKeys } from "../venue/contracts.ts";
import { SLOTS_IN_AN_EPOCH } from "../venue/l1.ts";
import { type RehearsalReport, reportJson } from "./report.ts";
import {
  type AnchorBooks,
  anchorState,
  balanceOf,
  type EscapeContext,
  fixedAnchor,
  heldInstruments,
  readAnchorBooks,
  registerAll,
  signedMarks,
} from "./steps.ts";

export interface RehearsalOptions {
  /** Data folder of a venue, running or not, or the --out folder of a run. */
  folder: string;
  /** Receives the report, the deployment file and the copy's last L1 state. */
  out?: string;
  /** Sign closing marks with the oracles' development keys; without it the last final marks count. */
  withMarks: boolean;
  /** Moves every signed mark by so many parts per billion. */
  markShiftPpb: number;
  onStep: (line: string) => void;
}

const GAS_MONEY_WEI = 10n ** 21n;
const FINALISE_GAS = 300_000n;
const BILLION = 1_000_000_000n;

class Rehearsal {
  readonly #options: RehearsalOptions;
  readonly #l1: EmbeddedL1;
  readonly #client: L1Client;
  readonly #deployment: Deployment;
  readonly #run: RunFile | null;
  readonly #sender: LocalAccount;
  readonly #custody: CustodyClient;
  readonly #context: EscapeContext;
  readonly #problems: string[] = [];
  #state: { batchNumber: number; state: LedgerState } | null = null;

  constructor(
    options: RehearsalOptions,
    l1: EmbeddedL1,
    client: L1Client,
    deployment: Deployment,
    run: RunFile | null,
  ) {
    this.#options = options;
    this.#l1 = l1;
    this.#client = client;
    this.#deployment = deployment;
    this.#run = run;
    this.#sender = developmentAccount("escape rehearsal");
    const wait = { mine: () => this.#mine(1) };
    this.#custody = createCustodyClient(client, deployment, wait);
    this.#context = { client, deployment, contract: createEscapeClient(client, deployment, this.#sender, wait) };
  }

  async #mine(seconds: number): Promise<void> {
    const head = await readExistingBlock(this.#client, "latest");
    await this.#l1.mine(head.timestampSeconds + seconds);
  }

  /** One block at the time, or right after the last one where that is later. */
  async #warpTo(seconds: number): Promise<void> {
    const head = await readExistingBlock(this.#client, "latest");
    await this.#l1.mine(Math.max(seconds, head.timestampSeconds + 1));
  }

  #compare(what: string, contract: unknown, computed: unknown): void {
    if (contract !== computed) this.#problems.push(`${what}: the contract has ${contract}, computed is ${computed}`);
  }

  async run(): Promise<RehearsalReport> {
    const { onStep } = this.#options;
    await this.#l1.setBalance(this.#sender.address, GAS_MONEY_WEI);
    const { entry, isOwn } = await this.#missEntry();
    await this.#context.contract.freezeForMissedEntry(entry.index);
    onStep(`entry ${entry.index} (${entry.type}) missed its deadline: frozen`);
    await this.#finalisePosted();
    const lastFinal = await this.#lastBatch("lastFinal");
    const state = await this.#stateAfter(lastFinal);
    await this.#context.contract.fixAnchor(state);
    const anchor = fixedAnchor(await this.#context.contract.status());
    onStep(`anchor: batch ${anchor.batchNumber}, root ${anchor.root}`);
    const signed = await this.#signMarks(anchor, state);
    await this.#warpTo(anchor.marksUntilSeconds);
    const books = await readAnchorBooks(this.#context, anchor, state);
    this.#compareMarks(signed, books.marks);
    const gasMax = await this.#registerEverything(books);
    await this.#warpTo(anchor.registrationUntilSeconds);
    const { table, poolPaid } = await this.#close(books.entitlements);
    await this.#payEverything(table);
    const vaultLeft = await this.#custody.vaultMicroUsdc();
    this.#compare("left in the vault", vaultLeft, table.dustMicroUsdc);
    return {
      forcedEntry: { index: entry.index, type: entry.type, account: entry.account, queuedForTheRehearsal: isOwn },
      anchor: { batchNumber: anchor.batchNumber, root: anchor.root },
      instrumentsHeld: heldInstruments(books.state).length,
      marksSigned: books.marks.size,
      poolPaidMicroUsdc: poolPaid,
      table,
      gasMax,
      vaultLeftMicroUsdc: vaultLeft,
      problems: this.#problems,
    };
  }

  /** Re-executed from genesis, once. */
  async #stateAfter(batchNumber: number): Promise<LedgerState> {
    if (this.#state?.batchNumber !== batchNumber) {
      this.#state = { batchNumber, state: await anchorState(this.#context, batchNumber) };
    }
    return this.#state.state;
  }

  #lastBatch(functionName: "lastFinal" | "lastNumber"): Promise<number> {
    const contract = { address: this.#deployment.batchChain, abi: batchChainAbi } as const;
    return l1Call(functionName, async () => Number(await this.#client.readContract({ ...contract, functionName })));
  }

  /** A forced entry that nobody consumed; one of our own where the queue has none. Time passes beyond its deadline. */
  async #missEntry(): Promise<{ entry: ForcedQueueEntry; isOwn: boolean }> {
    const open = (forced: ForcedQueueEntry[]): ForcedQueueEntry | undefined =>
      forced.find(({ isConsumed }) => !isConsumed);
    let entry = open(await readForcedEntries(this.#client, this.#deployment));
    const isOwn = entry === undefined;
    if (entry === undefined) {
      const account = await this.#anyAccount();
      await this.#custody.forceLiquidation(this.#sender, account);
      this.#options.onStep(`queued a forced liquidation of account ${account}`);
      entry = open(await readForcedEntries(this.#client, this.#deployment));
    }
    if (entry === undefined) throw new NodeError("NO_ENTRY", "the queue took no entry", { exitCode: ExitCode.bug });
    await this.#warpTo(entry.deadlineSeconds + 1);
    const head = await readExistingBlock(this.#client, "latest");
    const missed = missedEntry(await readForcedEntries(this.#client, this.#deployment), head.timestampSeconds);
    return { entry: missed ?? entry, isOwn };
  }

  /** The lowest number that custody gave out; an account of our own where it gave none. */
  async #anyAccount(): Promise<number> {
    const state = await this.#stateAfter(await this.#lastBatch("lastFinal"));
    const known = state.accountNumbers().find((number) => number > 1);
    if (known !== undefined) return known;
    return this.#custody.openAccount(this.#sender);
  }

  async #finalisePosted(): Promise<void> {
    const last = await this.#lastBatch("lastNumber");
    const to = this.#deployment.batchChain;
    for (let number = (await this.#lastBatch("lastFinal")) + 1; number <= last; number++) {
      const args = [BigInt(number)] as const;
      const batch = await l1Call("batch", () =>
        this.#client.readContract({ address: to, abi: batchChainAbi, functionName: "batch", args }),
      );
      await this.#warpTo(Number(batch.floor));
      const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args });
      const call = { sender: this.#sender, to, data, gas: FINALISE_GAS, what: `finalisation of batch ${number}` };
      await transactAll(this.#client, [call], { mine: () => this.#mine(1) });
    }
  }

  async #signMarks(anchor: ReturnType<typeof fixedAnchor>, state: LedgerState): Promise<ClosingMarks> {
    const { withMarks, markShiftPpb, onStep } = this.#options;
    if (!withMarks) return new Map();
    if (this.#run === null) {
      throw new NodeError("NO_RUN", "no run.json: the oracles' development keys are not known; use --no-marks", {
        exitCode: ExitCode.usage,
      });
    }
    const marks = shiftedMarks(state, markShiftPpb);
    if (marks.size === 0) return marks;
    const set = signedMarks(state, anchor, marks, oracleKeys(this.#run.seed));
    await this.#context.contract.setClosingMarks(set.marks, set.signatures);
    onStep(`closing marks of ${marks.size} instruments`);
    return marks;
  }

  #compareMarks(signed: ClosingMarks, found: ClosingMarks): void {
    this.#compare("number of closing marks", found.size, signed.size);
    for (const [instrument, mark] of signed) this.#compare(`mark of ${instrument}`, found.get(instrument), mark);
  }

  async #registerEverything(books: AnchorBooks): Promise<Record<string, number>> {
    const gasMax: Record<string, number> = {};
    await registerAll(this.#context, books, books.entitlements, ({ kind }, gas) => {
      gasMax[kind] = Math.max(gasMax[kind] ?? 0, gas);
    });
    for (const one of books.entitlements) {
      const found = await this.#context.contract.entitlement(one.kind, one.number);
      const what = `${one.kind} ${one.number}`;
      this.#compare(`${what}, worth`, found.amountMicroUsdc, one.amountMicroUsdc);
      this.#compare(`${what}, beneficiary`, found.beneficiary.toLowerCase(), one.beneficiary.toLowerCase());
      this.#compare(`${what}, state`, found.state, "inTime");
    }
    this.#options.onStep(`registered ${books.entitlements.length} accounts, withdrawals and deposits`);
    return gasMax;
  }

  /** The pool pays what is missing as far as it goes. */
  async #close(entitlements: readonly Entitlement[]): Promise<{ table: EscapeTable; poolPaid: bigint }> {
    const before = await this.#custody.vaultMicroUsdc();
    const inPool = await balanceOf(this.#context, this.#deployment.insurancePool);
    const { registeredMicroUsdc } = escapeTable(entitlements, [], before);
    const missing = registeredMicroUsdc > before ? registeredMicroUsdc - before : 0n;
    const poolPaid = missing < inPool ? missing : inPool;
    await this.#context.contract.close();
    const table = escapeTable(entitlements, [], before + poolPaid);
    const { books } = await this.#context.contract.status();
    this.#compare("registered in sum", books.registeredMicroUsdc, table.registeredMicroUsdc);
    this.#compare("vault at the close", books.vaultMicroUsdc, table.vaultMicroUsdc);
    return { table, poolPaid };
  }

  async #payEverything(table: EscapeTable): Promise<void> {
    const isJunior = (one: Entitlement): boolean => one.kind === "account" && one.number <= 1;
    for (const one of table.payments) if (!isJunior(one)) await this.#payOne(one, one.paymentMicroUsdc);
    const { books, lateSeconds } = await this.#context.contract.status();
    await this.#warpTo(books.closedAtSeconds + lateSeconds);
    for (const one of table.payments) if (isJunior(one)) await this.#payOne(one, one.paymentMicroUsdc);
    this.#options.onStep("everybody is paid");
  }

  /** Paid is what the beneficiary's balance grew by. */
  async #payOne(one: Entitlement, expected: bigint): Promise<void> {
    const before = await balanceOf(this.#context, one.beneficiary);
    await this.#context.contract.pay(one.kind, one.number);
    const paid = (await balanceOf(this.#context, one.beneficiary)) - before;
    this.#compare(`${one.kind} ${one.number}, paid`, paid, expected);
  }
}

/** A mark for every instrument that somebody holds: its last one, moved by `shiftPpb` (floor), within the ledger's range. */
function shiftedMarks(state: LedgerState, shiftPpb: number): Map<number, number> {
  const marks = new Map<number, number>();
  for (const number of heldInstruments(state)) {
    const instrument = state.instrument(number);
    if (instrument === undefined) continue;
    const last = BigInt(closingMarkOf(instrument, number, new Map()));
    const moved = last + (last * BigInt(shiftPpb)) / BILLION;
    marks.set(number, Number(moved < 0n ? 0n : moved >= BigInt(ROW_VALUE_BOUND) ? BigInt(ROW_VALUE_BOUND - 1) : moved));
  }
  return marks;
}

/** Copies what the venue left: the L1's state, from the node that runs or from the file, and the deployment. */
async function copyVenue(folder: string, copy: string): Promise<void> {
  const known = readJsonFile(join(folder, "l1.json"), l1FileSchema);
  const deployment = await readDeployment(join(folder, "deployment.json"));
  await copyFile(join(folder, "deployment.json"), join(copy, "deployment.json"));
  if (existsSync(join(folder, "run.json"))) await copyFile(join(folder, "run.json"), join(copy, "run.json"));
  const state = join(copy, "l1-state.json");
  if (known !== null && (await holdsVenue(known.url, deployment))) return dumpL1State(known.url, state);
  const left = join(folder, "l1-state.json");
  if (!existsSync(left)) {
    throw new NodeError("NO_L1", `the L1 of the venue in ${folder} is not running and left no state`, {
      exitCode: ExitCode.environment,
    });
  }
  await copyFile(left, state);
}

async function holdsVenue(url: string, deployment: Deployment): Promise<boolean> {
  try {
    const client = await connectL1(url, deployment.chainId, { retryCount: 0 });
    return (await client.getCode({ address: deployment.batchChain })) !== undefined;
  } catch {
    // Not running, or another venue's: the state file is next.
    return false;
  }
}

export async function rehearse(options: RehearsalOptions): Promise<RehearsalReport> {
  const folder = resolve(options.folder);
  if (!existsSync(join(folder, "deployment.json"))) {
    throw new NodeError("NO_VENUE", `no venue in ${folder}: deployment.json is missing`, { exitCode: ExitCode.usage });
  }
  const copy = await mkdtemp(join(tmpdir(), "tidemark-escape-"));
  try {
    await copyVenue(folder, copy);
    const deployment = await readDeployment(join(copy, "deployment.json"));
    const l1 = await startEmbeddedL1({
      chainId: deployment.chainId,
      loadStateFile: join(copy, "l1-state.json"),
      slotsInAnEpoch: SLOTS_IN_AN_EPOCH,
      endsWithProcess: true,
    });
    try {
      const client = await connectL1(l1.url, deployment.chainId, { blobs: blobsIn(folder) });
      const run = readJsonFile(join(copy, "run.json"), runFileSchema);
      const report = await new Rehearsal(options, l1, client, deployment, run).run();
      if (options.out !== undefined) await writeOut(resolve(options.out), copy, l1, report);
      return report;
    } finally {
      await l1.stop();
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function writeOut(out: string, copy: string, l1: EmbeddedL1, report: RehearsalReport): Promise<void> {
  await mkdir(out, { recursive: true });
  await copyFile(join(copy, "deployment.json"), join(out, "deployment.json"));
  await l1.dumpState(join(out, "l1-state.json"));
  writeFileWhole(join(out, "escape.json"), `${reportJson(report)}\n`);
}
