// Flags of `tidemark stake …` and `tidemark pool …`.
import { type Command, Option } from "commander";
import type { ExitCode } from "./errors.ts";

type Flags = Record<string, unknown>;
type Handler = (flags: Flags) => Promise<ExitCode>;
type AddFlags = (command: Command) => void;
type Run = (load: () => Promise<Handler>, flags: Flags) => Promise<void>;

interface Action {
  name: string;
  description: string;
  /** As commander writes them: `<needed>`, `[left out]`. */
  argument?: { name: string; key: string; description: string };
  options?: readonly Option[];
  /** Re-executes the venue: takes the flags that say where blobs are. */
  readsBatches?: true;
  load: () => Promise<Handler>;
}

const stakeModule = () => import("./commands/stake.ts");
const poolModule = () => import("./commands/pool.ts");
const amount = { name: "<usdc>", key: "amount", description: "amount in USDC, at most six decimals" };
const shares = {
  name: "[shares]",
  key: "shares",
  description: "whole shares, at most six decimals; all when left out",
};
const address = (whose: string): typeof amount => ({
  name: "[address]",
  key: "address",
  description: `${whose}; the key's own when left out`,
});

const STAKE_ACTIONS: readonly Action[] = [
  {
    name: "deposit",
    description: "bond money; an admitted proposer with enough joins the active set",
    argument: amount,
    options: [new Option("--for <address>", "whose stake it becomes (default: the sender's)")],
    load: async () => (await stakeModule()).stakeDeposit,
  },
  {
    name: "unbond",
    description: "start the unbonding of part of the stake; it stays slashable meanwhile",
    argument: amount,
    load: async () => (await stakeModule()).stakeUnbond,
  },
  { name: "withdraw", description: "take out what is unbonded", load: async () => (await stakeModule()).stakeWithdraw },
  {
    name: "distribute",
    description: "move what was slashed: burn, pay the pool, pay a challenger",
    argument: address("the challenger"),
    load: async () => (await stakeModule()).stakeDistribute,
  },
  {
    name: "status",
    description: "a stake, whose turn it is, and every slash so far",
    argument: address("whose stake"),
    load: async () => (await stakeModule()).stakeStatus,
  },
];

const POOL_ACTIONS: readonly Action[] = [
  { name: "deposit", description: "buy shares", argument: amount, load: async () => (await poolModule()).poolDeposit },
  {
    name: "request",
    description: "ask for redemption: shares wait for the cooldown and still bear losses",
    argument: shares,
    load: async () => (await poolModule()).poolRequest,
  },
  { name: "cancel", description: "take requested shares back", load: async () => (await poolModule()).poolCancel },
  {
    name: "redeem",
    description: "redeem requested shares while their time lasts",
    argument: shares,
    load: async () => (await poolModule()).poolRedeem,
  },
  {
    name: "cover",
    description: "re-execute the venue up to its last final batch and have the pool pay its uncovered bad debt",
    readsBatches: true,
    load: async () => (await poolModule()).poolCover,
  },
  {
    name: "hold",
    description: "re-execute everything posted and stop redemptions while bad debt that it shows is not covered",
    readsBatches: true,
    load: async () => (await poolModule()).poolHold,
  },
  {
    name: "status",
    description: "the pool, and somebody's shares",
    argument: address("the holder"),
    load: async () => (await poolModule()).poolStatus,
  },
];

function addActions(
  parent: Command,
  actions: readonly Action[],
  run: Run,
  addShared: AddFlags,
  addReading: AddFlags,
): void {
  for (const { name, description, argument, options = [], readsBatches, load } of actions) {
    const command = parent.command(name).description(description);
    if (argument !== undefined) command.argument(argument.name, argument.description);
    addShared(command);
    if (readsBatches === true) addReading(command);
    for (const option of options) command.addOption(option);
    command.action((...given: unknown[]) => {
      const flags = given[argument === undefined ? 0 : 1] as Flags;
      return run(load, argument === undefined ? flags : { ...flags, [argument.key]: given[0] });
    });
  }
}

/** `addShared` adds the flags that say which venue, which L1 and which key; `addReading` those of what reads batches. */
export function stakeCommands(program: Command, run: Run, addShared: AddFlags, addReading: AddFlags): void {
  const stake = program.command("stake").description("stake of a proposer or of the sequencer");
  addActions(stake, STAKE_ACTIONS, run, addShared, addReading);
  const pool = program.command("pool").description("shares of the insurance pool");
  addActions(pool, POOL_ACTIONS, run, addShared, addReading);
}
