// Reads the recorded data. Everything that is wrong with it is said with file, line and column.
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { ExitCode, NodeError } from "../errors.ts";

export function dataError(code: string, message: string, context: Record<string, unknown>, cause?: unknown): NodeError {
  return new NodeError(code, message, { exitCode: ExitCode.environment, context, cause });
}

/** One data line. Fields are asked by the names of the header. */
export class CsvRow {
  readonly file: string;
  readonly line: number;
  readonly #columns: ReadonlyMap<string, number>;
  readonly #fields: readonly string[];

  constructor(file: string, line: number, columns: ReadonlyMap<string, number>, fields: readonly string[]) {
    this.file = file;
    this.line = line;
    this.#columns = columns;
    this.#fields = fields;
  }

  error(column: string, expected: string): NodeError {
    const value = this.text(column);
    return dataError(
      "DATA_MALFORMED",
      `${this.file}:${this.line}: column ${column}: expected ${expected}, found ${JSON.stringify(value)}`,
      {
        file: this.file,
        line: this.line,
        column,
      },
    );
  }

  text(column: string): string {
    return this.#fields[this.#columns.get(column) ?? -1] ?? "";
  }

  /** Empty, or "nan" as the tools that collected the smaller tables write it. */
  isMissing(column: string): boolean {
    const value = this.text(column);
    return value === "" || value === "nan";
  }

  /** A decimal number as written, or null where the field is empty. */
  decimalOrNull(column: string): string | null {
    const value = this.text(column);
    if (value === "") return null;
    if (!/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value)) throw this.error(column, "a number");
    return value;
  }

  numberOrNull(column: string): number | null {
    const value = this.decimalOrNull(column);
    return value === null ? null : Number(value);
  }

  number(column: string): number {
    const value = this.numberOrNull(column);
    if (value === null) throw this.error(column, "a number");
    return value;
  }

  positive(column: string): number {
    const value = this.number(column);
    if (!(value > 0) || !Number.isFinite(value)) throw this.error(column, "a number above 0");
    return value;
  }

  /** An ISO time; one without a zone is UTC. */
  timeMs(column: string): number {
    const value = this.text(column);
    const zoned = /(Z|[+-]\d\d:\d\d)$/.test(value) ? value : `${value}Z`;
    // The recorded times carry microseconds, of which the calendar reads three digits.
    const time = Date.parse(zoned.replace(/(\.\d{3})\d+/, "$1"));
    if (Number.isNaN(time)) throw this.error(column, "a time");
    return time;
  }
}

/** Lines without their ends. Errors of the stream reach the caller, which readline does not promise. */
async function* linesOf(input: NodeJS.ReadableStream): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk as unknown as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  if (rest !== "") yield rest;
}

/** Streams the rows of a CSV file, plain or gzip, that has at least the named columns. @throws NodeError */
export async function* readCsv(path: string, required: readonly string[]): AsyncGenerator<CsvRow> {
  const source = createReadStream(path);
  const input = path.endsWith(".gz") ? source.pipe(createGunzip()) : source;
  // A pipe does not carry errors downstream.
  source.on("error", (cause) => input.destroy(cause));
  let columns: Map<string, number> | null = null;
  let line = 0;
  try {
    for await (const text of linesOf(input)) {
      line++;
      if (text === "") continue;
      const fields = text.split(",");
      if (columns === null) {
        columns = new Map(fields.map((name, i) => [name, i]));
        for (const name of required) {
          if (!columns.has(name)) {
            throw dataError("DATA_MALFORMED", `${path}:1: column ${name} is missing`, {
              file: path,
              line: 1,
              column: name,
            });
          }
        }
        continue;
      }
      if (fields.length !== columns.size) {
        throw dataError("DATA_MALFORMED", `${path}:${line}: expected ${columns.size} columns, found ${fields.length}`, {
          file: path,
          line,
        });
      }
      yield new CsvRow(path, line, columns, fields);
    }
  } catch (cause) {
    if (cause instanceof NodeError) throw cause;
    throw dataError(
      "DATA_UNREADABLE",
      `cannot read ${path} after line ${line}: ${String(cause)}`,
      { file: path, line },
      cause,
    );
  }
  if (columns === null) throw dataError("DATA_MALFORMED", `${path}: empty file`, { file: path, line: 0 });
}
