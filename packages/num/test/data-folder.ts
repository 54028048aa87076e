// Where tests find recorded data and published reference values, which are not part of the repository.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const repositoryRoot = resolve(import.meta.dirname, "../../..");

/** Folder inside the repository's vectors/. */
export function vectorFile(...parts: string[]): string {
  return join(repositoryRoot, "vectors", ...parts);
}

/**
 * Path inside the data folder (TIDEMARK_DATA, else ../shared/data beside the repository), or null when it is absent and a
 * skip is allowed. @throws when it is absent under CI=true.
 */
export function dataFile(...parts: string[]): string | null {
  const root = process.env["TIDEMARK_DATA"] ?? resolve(repositoryRoot, "../shared/data");
  const path = join(root, ...parts);
  if (existsSync(path)) return path;
  const message = `data file ${parts.join("/")} is absent (set TIDEMARK_DATA)`;
  if (process.env["CI"] === "true") throw new Error(message);
  console.warn(`skipped: ${message}`);
  return null;
}

/** Rows of a plain CSV file (no quoted commas) as objects by header name. */
export function parseCsv(text: string): Record<string, string>[] {
  const [header, ...lines] = text.trim().split(/\r?\n/);
  const names = (header ?? "").split(",");
  return lines.map((line) => {
    const cells = line.split(",");
    return Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ""]));
  });
}
