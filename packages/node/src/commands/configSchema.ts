import { configJsonSchema } from "../config.ts";
import { ExitCode } from "../errors.ts";

export async function printConfigSchema(): Promise<ExitCode> {
  process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return ExitCode.ok;
}
