// A command called in the test's own process: what it said, and what it would end with. Loading the library that opens blobs takes
// seconds, which a process for every command would pay again.
import { vi } from "vitest";
import { codeOf, ExitCode, exitCodeOf } from "../src/errors.ts";

export interface Told {
  code: ExitCode;
  output: string;
  errors: string;
  /** The last line, where it is an object. */
  json: Record<string, unknown>;
}

type Flags = Record<string, unknown>;

export async function told(command: (flags: Flags) => Promise<ExitCode>, flags: Flags): Promise<Told> {
  let output = "";
  let errors = "";
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      output += String(text);
      return true;
    }),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      errors += String(text);
      return true;
    }),
  ];
  let code: ExitCode = ExitCode.ok;
  try {
    code = await command(flags);
  } catch (error) {
    code = exitCodeOf(error);
    errors += `error ${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}\n`;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  const last = output.trim().split("\n").at(-1) ?? "";
  return { code, output, errors, json: last.startsWith("{") ? (JSON.parse(last) as Record<string, unknown>) : {} };
}
