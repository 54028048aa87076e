// What the commands of stakes and of the insurance pool share: the L1, the deployment, the key, and how a result is shown.
import { connectL1, type Deployment, type L1Client, readDeployment, type WaitOptions } from "@tidemark/chain";
import { type Address, isAddress } from "viem";
import { blobOptions } from "../blobOptions.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { accountOf } from "./key.ts";
import { openFlaggedL1 } from "./l1Flag.ts";

export interface StakeAccess {
  client: L1Client;
  deployment: Deployment;
  options: WaitOptions;
}

const BLOCK_SECONDS = 12;

/** Runs `use` on the flags' L1 and closes what was opened for it. */
export async function withAccess<Result>(
  flags: Record<string, unknown>,
  use: (access: StakeAccess) => Promise<Result>,
): Promise<Result> {
  const deployment = await readDeployment(String(flags["deployment"]));
  const l1 = await openFlaggedL1(flags);
  try {
    const client = await connectL1(l1.url, deployment.chainId, { blobs: blobOptions(flags) });
    const { mine } = l1;
    const options: WaitOptions =
      mine === null ? {} : { mine: async () => mine(Number((await client.getBlock()).timestamp) + BLOCK_SECONDS) };
    return await use({ client, deployment, options });
  } finally {
    await l1.stop();
  }
}

/** The address on the command line, or the key's own. @throws NodeError USAGE */
export function subjectOf(flags: Record<string, unknown>): Address {
  const { address } = flags;
  if (address === undefined) {
    const account = accountOf(flags);
    if (account !== null) return account.address;
    throw new NodeError("USAGE", "give an address or a key", { exitCode: ExitCode.usage });
  }
  return addressOf(String(address));
}

/** @throws NodeError USAGE */
export function addressOf(text: string): Address {
  if (isAddress(text, { strict: false })) return text;
  throw new NodeError("USAGE", `${text} is no address`, { exitCode: ExitCode.usage });
}

export const timeText = (seconds: number): string =>
  seconds === 0 ? "–" : new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");

/** One line a field, or one JSON object. */
export function show(fields: Record<string, unknown>, flags: Record<string, unknown>): ExitCode {
  const plain = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);
  if (flags["json"] === true) {
    process.stdout.write(`${JSON.stringify(fields, plain)}\n`);
    return ExitCode.ok;
  }
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  for (const [name, value] of Object.entries(fields)) {
    const text = typeof value === "object" ? JSON.stringify(value, plain) : String(value);
    process.stdout.write(`${name.padEnd(width)}  ${text}\n`);
  }
  return ExitCode.ok;
}
