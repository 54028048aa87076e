// An L1, a venue's deployment and a key: what a command needs that sends transactions of its user.
import { readFileSync } from "node:fs";
import {
  checkDeployment,
  connectL1,
  type Deployment,
  developmentAccount,
  type L1Client,
  readDeployment,
} from "@tidemark/chain";
import type { Hex, LocalAccount } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { blobOptions } from "../blobOptions.ts";
import { ExitCode, NodeError } from "../errors.ts";

export interface Session {
  client: L1Client;
  deployment: Deployment;
  sender: LocalAccount;
}

/** A key is never an argument: arguments are seen by everybody on the machine. */
function senderOf(flags: Record<string, unknown>): LocalAccount {
  const { keyFile, developmentKey } = flags;
  if ((keyFile === undefined) === (developmentKey === undefined)) {
    throw new NodeError("USAGE", "give either --key-file <file> or --development-key <label>", {
      exitCode: ExitCode.usage,
    });
  }
  if (developmentKey !== undefined) return developmentAccount(String(developmentKey));
  let text: string;
  try {
    text = readFileSync(String(keyFile), "utf8").trim();
  } catch (cause) {
    throw new NodeError("KEY_UNREADABLE", `cannot read the key file ${String(keyFile)}`, {
      exitCode: ExitCode.usage,
      cause,
    });
  }
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) {
    // The content is left out: it may be a key in another form.
    throw new NodeError("KEY_INVALID", `${String(keyFile)} must hold 0x and 64 hexadecimal digits, nothing else`, {
      exitCode: ExitCode.usage,
    });
  }
  return privateKeyToAccount(text as Hex);
}

export async function openSession(flags: Record<string, unknown>): Promise<Session> {
  const sender = senderOf(flags);
  const deployment = await readDeployment(String(flags["deployment"]));
  const client = await connectL1(String(flags["l1"]), deployment.chainId, { blobs: blobOptions(flags) });
  await checkDeployment(client, deployment);
  return { client, deployment, sender };
}
