/** Why a journal operation failed. Codes are stable; the context names what was found and what was expected. */
export type JournalErrorCode =
  | "ALREADY_EXISTS"
  | "CORRUPTED"
  | "FORMAT_VERSION"
  | "IDENTITY_MISMATCH"
  | "LOCKED"
  | "NOT_FOUND"
  | "READ_FAILED"
  | "TRUNCATED"
  | "UNFLUSHED_LIMIT"
  | "WRITE_FAILED";

/** Operating error of the journal. A retry helps only where `retryable` says so. */
export class JournalError extends Error {
  override readonly name = "JournalError";
  readonly code: JournalErrorCode;
  readonly context: Readonly<Record<string, string | number>>;
  readonly retryable: boolean;

  constructor(
    code: JournalErrorCode,
    what: string,
    context: Readonly<Record<string, string | number>> = {},
    cause?: unknown,
  ) {
    super(`${code}: ${what}${describe(context)}`, cause === undefined ? {} : { cause });
    this.code = code;
    this.context = context;
    this.retryable = code === "LOCKED" || code === "UNFLUSHED_LIMIT";
  }
}

function describe(context: Readonly<Record<string, string | number>>): string {
  const parts = Object.entries(context).map(([name, value]) => `${name}=${value}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
