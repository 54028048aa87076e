// Measured costs are compared exactly with the recorded ones in docs/costs; `node tools/costs-report.mjs` records them anew.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const FOLDER = fileURLToPath(new URL("../../docs/costs", import.meta.url));

export function compareRecorded(name: string, rows: readonly object[]): void {
  const file = join(FOLDER, `${name}.json`);
  if (process.env["TIDEMARK_RECORD"] === "1") {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(file, `[\n${rows.map((row) => ` ${JSON.stringify(row)}`).join(",\n")}\n]\n`);
  }
  expect(rows, `docs/costs/${name}.json is not what is measured now: node tools/costs-report.mjs`).toEqual(
    JSON.parse(readFileSync(file, "utf8")),
  );
}
