/** A bug: an invariant of our own code does not hold. Never caught; the process stops and replays. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** Always on. @throws BugError when `condition` is false. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BugError(`invariant broken: ${what}`);
}

/** Ends a switch over a closed union; the compiler reports a missing case. */
export function assertNever(value: never, what: string): never {
  throw new BugError(`unexpected ${what}: ${String(value)}`);
}
