// Operating errors of the daemon and the exit codes of the command line. Documented in docs/guides/command-line.md.
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
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export class NodeError extends Error {
  override readonly name = "NodeError";
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: { exitCode: ExitCode; context?: Record<string, unknown>; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode;
    this.context = options.context ?? {};
  }
}
