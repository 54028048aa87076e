// Forge's own test runs as units of an evidence run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(fileURLToPath(new URL("../..", import.meta.url)));

export interface ForgeResult {
  /** "Contract.function" */
  name: string;
  kind: {
    Invariant?: { runs: number; calls: number; reverts: number };
    Fuzz?: { runs: number };
  };
}

interface ForgeTest {
  status: string;
  reason: string | null;
  counterexample?: unknown;
  kind: ForgeResult["kind"];
}

/** @throws Error at the first test that did not pass. */
export function forgeTests(
  parameters: readonly string[],
  seed: number,
  settings: Record<string, string>,
): ForgeResult[] {
  const list = ["tools/forge.mjs", "test", ...parameters, "--json", "--fuzz-seed", `0x${seed.toString(16)}`];
  const result = spawnSync(process.execPath, list, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 1 << 29,
    env: { ...process.env, ...settings },
  });
  const line = result.stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`forge said nothing: ${result.stderr.slice(-2_000)}`);
  const suites = JSON.parse(line) as Record<string, { test_results: Record<string, ForgeTest> }>;
  return Object.entries(suites).flatMap(([suite, { test_results: tests }]) =>
    Object.entries(tests).map(([test, { status, reason, kind, counterexample }]): ForgeResult => {
      const name = `${suite.split(":")[1] ?? suite}.${test.split("(")[0]}`;
      if (status === "Success") return { name, kind };
      throw new Error(`seed ${seed}: ${name}: ${reason} ${JSON.stringify(counterexample).slice(0, 4_000)}`);
    }),
  );
}
