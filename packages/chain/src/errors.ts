// Operating errors of the L1 side. A refusal by a contract or a ledger rule is data elsewhere; these are what an operator sees.

/** Append-only: exit messages and dashboards name them. */
export type ChainErrorCode =
  | "ANVIL_MISSING"
  | "ANVIL_START"
  | "L1_UNREACHABLE"
  | "L1_REFUSED"
  | "L1_BEHIND"
  | "L1_INCONSISTENT"
  | "WRONG_CHAIN"
  | "DEPLOYMENT_INVALID"
  | "DEPLOYMENT_MISMATCH"
  | "FINALISED_REORG"
  | "QUEUE_BROKEN"
  | "BATCH_UNREADABLE"
  | "FOREIGN_BATCH"
  | "OWN_BATCH_CONVICTED"
  | "CYCLE_SOURCE"
  | "NONCE_TAKEN"
  | "TRANSACTION_REVERTED"
  | "TRANSACTION_TIMEOUT"
  | "NOT_AFFIRMABLE"
  | "BATCH_GONE"
  | "BLOB_UNREADABLE"
  | "TERMS_TOO_SMALL";

export type ChainErrorContext = Readonly<Record<string, string | number | boolean | null>>;

export interface ChainErrorDetails {
  context?: ChainErrorContext;
  cause?: unknown;
  /** True when the same call may succeed later without anybody doing something about it. */
  retryable?: boolean;
}

export class ChainError extends Error {
  override readonly name: string = "ChainError";
  readonly code: ChainErrorCode;
  readonly context: ChainErrorContext;
  readonly retryable: boolean;

  constructor(code: ChainErrorCode, message: string, details: ChainErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.context = details.context ?? {};
    this.retryable = details.retryable ?? false;
  }
}

/** A block that was final has another hash now. The venue halts: money that it credited may not exist. */
export class FinalisedReorgError extends ChainError {
  override readonly name = "FinalisedReorgError";

  constructor(blockNumber: number, expectedHash: string, actualHash: string) {
    super("FINALISED_REORG", `finalised L1 block ${blockNumber} was ${expectedHash} and is ${actualHash} now`, {
      context: { blockNumber, expectedHash, actualHash },
    });
  }
}

const TRANSPORT_ERRORS = new Set(["HttpRequestError", "TimeoutError", "WebSocketRequestError", "SocketClosedError"]);

/** Whether the L1 could not be asked at all; otherwise it answered with an error. */
export function isTransportError(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (TRANSPORT_ERRORS.has(at.name)) return true;
  return false;
}

/** What a failed L1 call means to an operator. Both kinds may pass by themselves. */
export function l1Error(what: string, error: unknown, context: ChainErrorContext = {}): ChainError {
  if (error instanceof ChainError) return error;
  const reason = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
  const code = isTransportError(error) ? "L1_UNREACHABLE" : "L1_REFUSED";
  return new ChainError(code, `${what}: ${reason}`, { context: { what, ...context }, cause: error, retryable: true });
}

/** Runs an L1 call; whatever the transport or the node throws becomes an operating error with the call's name. */
export async function l1Call<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    throw l1Error(what, error);
  }
}
