// `tidemark force withdrawal|close|liquidation`: entries that the venue must consume before their deadline.
import { createCustodyClient, type ForcedEntry } from "@tidemark/chain";
import { type Address, isAddress } from "viem";
import { ExitCode, NodeError } from "../errors.ts";
import { openSession } from "../escape/session.ts";

function integer(flags: Record<string, unknown>, name: string): number {
  const value = flags[name];
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new NodeError("USAGE", `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} needs an integer`, {
    exitCode: ExitCode.usage,
  });
}

function tell({ index, deadlineSeconds }: ForcedEntry): ExitCode {
  const deadline = new Date(deadlineSeconds * 1_000).toISOString();
  process.stdout.write(`queued as entry ${index}; the venue must consume it by ${deadline} or anyone may freeze it\n`);
  return ExitCode.ok;
}

export async function forceWithdrawal(flags: Record<string, unknown>): Promise<ExitCode> {
  const { client, deployment, sender } = await openSession(flags);
  const recipient = flags["recipient"] === undefined ? sender.address : String(flags["recipient"]);
  if (!isAddress(recipient, { strict: false })) {
    throw new NodeError("USAGE", `--recipient: ${recipient} is no address`, { exitCode: ExitCode.usage });
  }
  const custody = createCustodyClient(client, deployment);
  const [account, amount] = [integer(flags, "account"), integer(flags, "amountMicroUsdc")];
  return tell(await custody.forceWithdrawal(sender, account, amount, recipient as Address));
}

export async function forceClose(flags: Record<string, unknown>): Promise<ExitCode> {
  const { client, deployment, sender } = await openSession(flags);
  const close = {
    account: integer(flags, "account"),
    instrument: integer(flags, "instrument"),
    lots: integer(flags, "lots"),
    limitPriceTicks: integer(flags, "limitPriceTicks"),
    nonce: integer(flags, "nonce"),
  };
  return tell(await createCustodyClient(client, deployment).forceClose(sender, close));
}

export async function forceLiquidation(flags: Record<string, unknown>): Promise<ExitCode> {
  const { client, deployment, sender } = await openSession(flags);
  return tell(await createCustodyClient(client, deployment).forceLiquidation(sender, integer(flags, "account")));
}
