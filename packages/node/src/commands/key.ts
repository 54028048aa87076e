// The key that a command signs with: from a file or the environment, never from an argument, which every process can read.
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Hex, LocalAccount } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { ExitCode, NodeError } from "../errors.ts";

const ENVIRONMENT = "TIDEMARK_KEY";
const PRIVATE_KEY = /^(0x)?[0-9a-fA-F]{64}$/;

function keyText(flags: Record<string, unknown>): { text: string; source: string } | null {
  const { keyFile } = flags;
  if (keyFile === undefined) {
    const text = process.env[ENVIRONMENT];
    return text === undefined || text === "" ? null : { text, source: ENVIRONMENT };
  }
  const source = String(keyFile);
  try {
    return { text: readFileSync(source, "utf8"), source };
  } catch (cause) {
    throw new NodeError("KEY_INVALID", `${source} cannot be read`, { exitCode: ExitCode.usage, cause });
  }
}

/** Null when there is none. @throws NodeError KEY_INVALID that never shows the key */
export function accountOf(flags: Record<string, unknown>): LocalAccount | null {
  const found = keyText(flags);
  if (found === null) return null;
  const text = found.text.trim();
  if (!PRIVATE_KEY.test(text)) {
    throw new NodeError("KEY_INVALID", `${found.source} holds no private key: needs 64 hexadecimal digits`, {
      exitCode: ExitCode.usage,
    });
  }
  return privateKeyToAccount((text.startsWith("0x") ? text : `0x${text}`) as Hex);
}

/** @throws NodeError KEY_MISSING */
export function requiredAccountOf(flags: Record<string, unknown>): LocalAccount {
  const account = accountOf(flags);
  if (account !== null) return account;
  throw new NodeError("KEY_MISSING", `needs a key to send with: --key-file <file> or ${ENVIRONMENT}`, {
    exitCode: ExitCode.usage,
  });
}

/** Where an account's transactions are kept until they are final: one folder an account, beside the deployment file unless given. */
export function outboxOf(flags: Record<string, unknown>, account: LocalAccount): string {
  const { outbox, deployment } = flags;
  if (outbox !== undefined) return resolve(String(outbox));
  return join(resolve(dirname(String(deployment))), `outbox-${account.address.toLowerCase()}`);
}
