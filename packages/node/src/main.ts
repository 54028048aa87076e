// The `tidemark` command line. Flags and exit codes: docs/guides/command-line.md.
import { Command, InvalidArgumentError, Option } from "commander";
import { codeOf, ExitCode, exitCodeOf, hintOf } from "./errors.ts";
import { stakeCommands } from "./stakeCommands.ts";

type Flags = Record<string, unknown>;
type Handler = (flags: Flags) => Promise<ExitCode>;

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("needs a number");
  return value;
}

const dataDir = (): Option => new Option("--data-dir <dir>", "folder of the venue's journal and state");
const json = (): Option => new Option("--json", "print one JSON object as the last line");

const l1 = (): Option => new Option("--l1 <url>", "JSON-RPC URL of the L1");
const l1State = (): Option =>
  new Option(
    "--l1-state <file>",
    "instead of --l1: start a node of our own from the L1 state that a run left in its --out folder",
  );
const deployment = (): Option =>
  new Option("--deployment <file>", "deployment file of the venue").makeOptionMandatory();
const keyFile = (): Option =>
  new Option("--key-file <file>", "file with the private key to send with (or the environment's TIDEMARK_KEY)");
const outbox = (): Option =>
  new Option(
    "--outbox <dir>",
    "where transactions are kept until they are final; one folder a key (default: beside the deployment file)",
  );
const gasPriceMax = (): Option =>
  new Option(
    "--gas-price-max-gwei <gwei>",
    "most that is paid a gas when a batch is about to become final (default 500)",
  ).argParser(number);

const beacon = (): Option =>
  new Option(
    "--beacon <url>",
    "beacon API of a consensus node, to read blobs from (default: the L1's own node is asked)",
  );
const blobs = (): Option =>
  new Option("--blobs <dir>", "archive of blobs, which L1 nodes forget (default: blobs beside the deployment file)");

/** Runs a handler, loaded only when it is called for: `--help` stays fast. */
async function run(load: () => Promise<Handler>, flags: Flags): Promise<void> {
  try {
    const handler = await load();
    process.exitCode = await handler(flags);
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): ExitCode {
  const exitCode = exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (exitCode === ExitCode.bug) {
    process.stderr.write(`bug: ${error instanceof Error ? (error.stack ?? message) : message}\n`);
    return exitCode;
  }
  const code = codeOf(error);
  process.stderr.write(`error ${code === "" || message.startsWith(`${code}: `) ? "" : `${code}: `}${message}\n`);
  const hint = hintOf(code);
  if (hint !== "") process.stderr.write(`  ${hint}\n`);
  for (let cause = error instanceof Error ? error.cause : undefined; cause instanceof Error; cause = cause.cause) {
    process.stderr.write(`  caused by: ${cause.message.split("\n")[0] ?? ""}\n`);
  }
  return exitCode;
}

/** Node would end with 1, which says that an invariant is broken. */
process.on("uncaughtException", (error) => process.exit(report(error)));
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read the output is gone: what is left to say goes nowhere, what is left to do is done.
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
  });
}

function upCommand(program: Command): void {
  program
    .command("up", { isDefault: true })
    .description("start the whole venue: embedded L1, contracts, market, engine, batches, watcher")
    .option("--config <file>", "JSON file with any of the settings (see `tidemark config-schema`)")
    .addOption(dataDir())
    .option("--replay <folder>", "replay recorded market data; without it a simulated market runs from a seed")
    .option("--start <time>", "where in the recorded data to begin (ISO time)")
    .option("--seed <number>", "seed of everything random; printed when chosen by itself", number)
    .option("--speed <factor>", "venue seconds per wall second (default 300)", number)
    .option("--step-wall-ms <ms>", "wall milliseconds between two steps of the market (default 250)", number)
    .option("--once", "trade for --seconds, wait until everything is final, print a summary, end")
    .option("--seconds <seconds>", "wall seconds of trading with --once (default 60)", number)
    .option("--window-seconds <seconds>", "finality window in venue seconds (default 1800)", number)
    .addOption(
      new Option("--data-mode <mode>", "how batches reach the L1 (default calldata)").choices(["calldata", "blob"]),
    )
    .option("--flow <factor>", "how much is traded, relative to the default (default 1)", number)
    .option("--out <dir>", "leave deployment file, L1 state, journal and summary here")
    .addOption(json())
    .action((flags: Flags) => run(async () => (await import("./commands/up.ts")).up, flags));
}

function verificationCommands(program: Command): void {
  program
    .command("watch")
    .description(
      "re-execute every posted batch from the L1 alone, compare every state root, and with a key challenge what is wrong",
    )
    .addOption(l1())
    .addOption(l1State())
    .addOption(deployment())
    .addOption(beacon())
    .addOption(blobs())
    .option("--once", "check what is posted now, from genesis on, and end; challenges nothing")
    .option(
      "--checkpoints <dir>",
      "where it keeps what it verified, to go on from (default: checkpoints beside the deployment file)",
    )
    .option("--from-genesis", "re-execute everything, whatever was verified before")
    .addOption(keyFile())
    .addOption(outbox())
    .addOption(gasPriceMax())
    .addOption(json())
    .addOption(new Option("--ipc").hideHelp())
    .addOption(new Option("--data-mode <mode>").hideHelp())
    .action((flags: Flags) => run(async () => (await import("./commands/watch.ts")).watch, flags));
  program
    .command("challenge")
    .description("prove on the L1 that a batch is wrong: one call, built from the L1 and the deployment file alone")
    .argument("<batch>", "batch number", number)
    .addOption(l1())
    .addOption(l1State())
    .addOption(deployment())
    .addOption(beacon())
    .addOption(blobs())
    .addOption(keyFile())
    .addOption(outbox())
    .addOption(gasPriceMax())
    .option("--dry-run", "find the fault and say what would be sent; needs no key")
    .addOption(json())
    .action((batch: number, flags: Flags) =>
      run(async () => (await import("./commands/challenge.ts")).challenge, { ...flags, batch }),
    );
  program
    .command("affirm")
    .description("prove on the L1 that a batch is right, check by check: it is final after the guard delay")
    .argument("<batch>", "batch number", number)
    .addOption(l1())
    .addOption(l1State())
    .addOption(deployment())
    .addOption(beacon())
    .addOption(blobs())
    .addOption(keyFile())
    .addOption(outbox())
    .addOption(gasPriceMax())
    .option("--dry-run", "list the calls; needs no key")
    .addOption(json())
    .action((batch: number, flags: Flags) =>
      run(async () => (await import("./commands/affirm.ts")).affirm, { ...flags, batch }),
    );
  program
    .command("replay")
    .description("replay a venue's journal and compare the state root of every cycle")
    .argument("<folder>", "data folder of a venue, or the --out folder of a run")
    .option("--deployment <file>", "deployment file, when it is not in the folder")
    .option("--from-snapshot <sequence>", "start from this snapshot; `all` tries each one")
    .addOption(json())
    .action((source: string, flags: Flags) =>
      run(async () => (await import("./commands/replayJournal.ts")).replayJournal, { ...flags, source }),
    );
}

function lookCommands(program: Command): void {
  program
    .command("status")
    .description("show the dashboard of a running or stopped venue once")
    .addOption(dataDir().makeOptionMandatory())
    .addOption(json())
    .action((flags: Flags) => run(async () => (await import("./commands/status.ts")).status, flags));
  program
    .command("inspect")
    .description("show one batch, account or fill of a venue and how final it is")
    .argument("<what>", "batch | account | fill")
    .argument("<id>", "batch number, account number, or fill number in order of execution", number)
    .addOption(dataDir().makeOptionMandatory())
    .addOption(json())
    .action((what: string, id: number, flags: Flags) =>
      run(async () => (await import("./commands/inspect.ts")).inspect, { ...flags, what, id }),
    );
  program
    .command("config-schema")
    .description("print the JSON Schema of the config file")
    .action((flags: Flags) => run(async () => (await import("./commands/configSchema.ts")).printConfigSchema, flags));
  program
    .command("propose", { hidden: true })
    .requiredOption("--data-dir <dir>")
    .requiredOption("--l1 <url>")
    .option("--batch-age-max-ms <ms>", "", number)
    .option("--data-mode <mode>")
    .action((flags: Flags) => run(async () => (await import("./commands/propose.ts")).propose, flags));
}

function receiptCommands(program: Command): void {
  const receipts = program.command("receipts").description("the sequencer's signed promises: list, check, collect");
  const stored = (command: Command): Command =>
    command
      .requiredOption("--data-dir <dir>", "data folder of a venue, or the --out folder of a run")
      .option("--account <number>", "of this account", number)
      .option("--nonce <number>", "of this order", number)
      .addOption(new Option("--kind <kind>", "of this kind").choices(["fill", "cancel"]));
  const load = (name: keyof typeof import("./commands/receipts.ts")) => async (): Promise<Handler> =>
    (await import("./commands/receipts.ts"))[name];
  stored(receipts.command("list").description("what was signed"))
    .addOption(json())
    .action((flags: Flags) => run(load("listReceipts"), flags));
  stored(receipts.command("export").description("write receipts with paths, signatures and orders to a file"))
    .requiredOption("--out <file>", "where to")
    .action((flags: Flags) => run(load("exportReceipts"), flags));
  receipts
    .command("verify")
    .description("kept, pending or broken: judged from the L1 and the deployment file alone")
    .argument("<file>", "exported receipts")
    .addOption(l1())
    .addOption(l1State())
    .addOption(deployment())
    .addOption(beacon())
    .addOption(blobs())
    .addOption(json())
    .action((file: string, flags: Flags) => run(load("verifyReceiptFile"), { ...flags, file }));
  receipts
    .command("claim")
    .description("send a claim for every broken receipt; the accounts' owners are paid")
    .argument("<file>", "exported receipts")
    .addOption(l1().makeOptionMandatory())
    .addOption(deployment())
    .addOption(beacon())
    .addOption(blobs())
    .addOption(keyFile())
    .addOption(json())
    .action((file: string, flags: Flags) => run(load("claimReceiptFile"), { ...flags, file }));
  receipts
    .command("collect")
    .description("settle a round whose period is over and pay an owner's share out")
    .requiredOption("--owner <address>", "owner of the accounts that claimed")
    .addOption(l1().makeOptionMandatory())
    .addOption(deployment())
    .addOption(keyFile())
    .action((flags: Flags) => run(load("collectReceiptDamages"), flags));
}

/** What every command needs that sends a transaction of its user. */
function sends(command: Command): Command {
  return command
    .requiredOption("--l1 <url>", "JSON-RPC URL of the L1")
    .requiredOption("--deployment <file>", "deployment file of the venue")
    .option("--key-file <file>", "file that holds the private key of the sender")
    .option("--development-key <label>", "instead: a key that anybody can derive, for an L1 without value");
}

/** What every command needs that re-executes the venue. */
function readsBatches(command: Command): Command {
  return command.addOption(beacon()).addOption(blobs());
}

function forceCommands(program: Command): void {
  const force = program.command("force").description("queue an entry that the venue must consume before its deadline");
  sends(force.command("withdrawal"))
    .description("withdraw as far as the account's margin allows, without the venue's consent")
    .requiredOption("--account <number>", "account", number)
    .requiredOption("--amount-micro-usdc <amount>", "most to withdraw", number)
    .option("--recipient <address>", "who is paid; the sender unless given")
    .action((flags: Flags) => run(async () => (await import("./commands/force.ts")).forceWithdrawal, flags));
  sends(force.command("close"))
    .description("put a reduce-only order of the owner on the book")
    .requiredOption("--account <number>", "account", number)
    .requiredOption("--instrument <number>", "instrument", number)
    .requiredOption("--lots <lots>", "signed: a buy is positive", number)
    .requiredOption("--limit-price-ticks <ticks>", "worst price", number)
    .requiredOption("--nonce <nonce>", "a free place in the account's order ring", number)
    .action((flags: Flags) => run(async () => (await import("./commands/force.ts")).forceClose, flags));
  sends(force.command("liquidation"))
    .description("have any account put up for auction if it is below maintenance")
    .requiredOption("--account <number>", "account", number)
    .action((flags: Flags) => run(async () => (await import("./commands/force.ts")).forceLiquidation, flags));
}

function escapeCommands(program: Command): void {
  const group = program.command("escape").description("the end of a failed venue: freeze, register by proof, be paid");
  group
    .command("rehearse")
    .description("end a copy of the venue: freeze it, register and pay everybody, compare every figure")
    .argument("<folder>", "data folder of a venue, running or not, or the --out folder of a run")
    .option("--out <dir>", "leave the report, the deployment file and the copy's L1 state here")
    .option("--no-marks", "without closing marks of the oracles: the last final ones count")
    .option("--mark-shift-ppb <ppb>", "move every closing mark by so many parts per billion", number)
    .addOption(json())
    .action((source: string, flags: Flags) =>
      run(async () => (await import("./commands/escape.ts")).escapeRehearse, { ...flags, source }),
    );
  group
    .command("status")
    .description("show where the escape stands")
    .requiredOption("--l1 <url>", "JSON-RPC URL of the L1")
    .requiredOption("--deployment <file>", "deployment file of the venue")
    .action((flags: Flags) => run(async () => (await import("./commands/escape.ts")).escapeStatus, flags));
  sends(group.command("freeze"))
    .description("freeze a venue that missed the deadline of a forced entry")
    .action((flags: Flags) => run(async () => (await import("./commands/escape.ts")).escapeFreeze, flags));
  readsBatches(sends(group.command("register")))
    .description("fix the anchor when it is time, then register everything that has not registered")
    .option("--account <number>", "this account alone", number)
    .action((flags: Flags) => run(async () => (await import("./commands/escape.ts")).escapeRegister, flags));
  readsBatches(sends(group.command("pay")))
    .description("close the books when it is time, then pay everything that is due")
    .option("--account <number>", "this account alone", number)
    .action((flags: Flags) => run(async () => (await import("./commands/escape.ts")).escapePay, flags));
}

const program = new Command("tidemark")
  .description(
    "A derivatives venue with asynchronous finality.\nExit codes: 0 fine, 1 a check found a difference, 2 usage, 3 environment, 4 bug, 5 nothing wrong: nothing to challenge, claim or collect.",
  )
  .version("0.1.0")
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? ExitCode.ok : ExitCode.usage);
  });
upCommand(program);
verificationCommands(program);
lookCommands(program);
forceCommands(program);
escapeCommands(program);
receiptCommands(program);
const addShared = (command: Command): void => {
  for (const option of [l1(), l1State(), deployment(), keyFile(), json()]) command.addOption(option);
};
stakeCommands(program, run, addShared, readsBatches);
await program.parseAsync();
