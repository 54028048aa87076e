// Operating errors of the daemon and the exit codes of the command line. Documented in docs/guides/command-line.md.
import { BugError } from "@tidemark/num";

export const ExitCode = {
  ok: 0,
  /** An invariant of the venue is broken, or a verification found a difference. */
  invariantBroken: 1,
  /** Bad arguments or configuration. */
  usage: 2,
  /** The environment failed: L1 out of reach, data missing, disk. */
  environment: 3,
  /** A bug: an assertion of our own code. */
  bug: 4,
  /** What was to be challenged, claimed or collected is not there: everything is right. */
  nothingWrong: 5,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export class NodeError extends Error {
  override readonly name = "NodeError";
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: { exitCode: ExitCode; context?: Record<string, unknown>; cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode;
    this.context = options.context ?? {};
  }
}

/** Codes of operating errors of the layers below that say: two things that must be equal are not. */
const DIFFERENCES = new Set([
  "DEPLOYMENT_MISMATCH",
  "FINALISED_REORG",
  "FOREIGN_BATCH",
  "L1_INCONSISTENT",
  "OWN_BATCH_CONVICTED",
  "QUEUE_BROKEN",
]);

/** What an error that nobody handled means for the exit code. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof NodeError) return error.exitCode;
  if (
    error instanceof BugError ||
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError
  )
    return ExitCode.bug;
  return DIFFERENCES.has(codeOf(error)) ? ExitCode.invariantBroken : ExitCode.environment;
}

/** Stable code of an operating error; empty for others. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Which flag helps against an operating error of the layers below; empty where none does. */
export function hintOf(code: string): string {
  return code === "BLOB_UNREADABLE"
    ? "name a folder that holds it (--blobs <dir>) or a beacon node that still has it (--beacon <url>)"
    : "";
}
