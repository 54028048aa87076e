// Shows the status that a venue last wrote.
import { existsSync, readFileSync } from "node:fs";
import { existingDataFolder } from "../dataFolder.ts";
import { dashboard } from "../display.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { parseStatus } from "../status.ts";

export async function status(flags: Record<string, unknown>): Promise<ExitCode> {
  const folder = existingDataFolder(String(flags["dataDir"]));
  if (!existsSync(folder.status)) {
    throw new NodeError("NO_STATUS", `the venue in ${folder.path} has not written a status yet`, {
      exitCode: ExitCode.environment,
    });
  }
  const text = readFileSync(folder.status, "utf8");
  const width = process.stdout.columns ?? 120;
  let lines: string[];
  try {
    lines = dashboard(parseStatus(text), width);
  } catch (cause) {
    throw new NodeError("FILE_INVALID", `${folder.status} is damaged: ${String(cause)}`, {
      exitCode: ExitCode.environment,
      cause,
    });
  }
  process.stdout.write(flags["json"] === true ? `${text.trim()}\n` : `${lines.join("\n")}\n`);
  return ExitCode.ok;
}
