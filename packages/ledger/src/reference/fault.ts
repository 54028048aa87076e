// What the reference's rules share: the state that they work on and how they say no.
import type { ParameterSet } from "../parameters.ts";
import type { SignaturePort } from "../types.ts";
import type { ReferenceState } from "./cells.ts";

/** Of a rejection only what decides: the code and the account at fault (−1: none). */
export interface Fault {
  code: number;
  account: number;
}

export interface ReferenceContext {
  /** A copy that is thrown away after a fault. */
  state: ReferenceState;
  /** An admin cycle replaces them. */
  parameters: ParameterSet;
  separator: Uint8Array;
  signatures: SignaturePort;
  outcomes: number[];
}

export function fault(code: number, account = -1): Fault {
  return { code, account };
}

const SAFE = 2n ** 53n - 1n;

/** |x| < 2^53 */
export const fits = (value: bigint): boolean => value <= SAFE && value >= -SAFE;
