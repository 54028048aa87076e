// The reference's rules of bankruptcy, credit and admin.
import { bytesToHex, DecodeError, hexToBytes, keccak256 } from "@tidemark/num";
import { decodeParameters, encodeParameters, type ParameterSet, parametersHash } from "../parameters.ts";
import type { AdminCycle, BankruptcyCycle, CreditCycle } from "../types.ts";
import { ZERO } from "./cells.ts";
import { type Fault, fault, type ReferenceContext } from "./fault.ts";
import { floorOf, largestOf, present, smallestOf } from "./margin.ts";

export function referenceBankruptcy({ state }: ReferenceContext, cycle: BankruptcyCycle): Fault | null {
  const insurance = present(state.accounts.get(1n));
  for (const account of cycle.accounts) {
    const cell = state.accounts.get(BigInt(account));
    if (cell === undefined || account < 2) return fault(600, account);
    if (cell.positions.length !== 0) return fault(601, account);
    if (cell.cash >= 0n) return fault(602, account);
    if (insurance.cash <= 0n) return fault(603, account);
    const payment = smallestOf(-cell.cash, insurance.cash);
    insurance.cash -= payment;
    cell.cash += payment;
  }
  return null;
}

export function referenceCredit({ state, parameters }: ReferenceContext, cycle: CreditCycle): Fault | null {
  const { globals, accounts } = state;
  const no = (code: number): Fault => fault(code, cycle.account);
  const cell = accounts.get(BigInt(cycle.account));
  if (cell === undefined || cycle.account < 2) return no(1100);
  if (cycle.op === "grant") {
    const amount = BigInt(cycle.amount);
    const queueIndex = BigInt(cycle.queueIndex);
    if (cell.credit > 0n) return no(1101);
    if (queueIndex < globals.inboundCursor) return no(1102);
    if (amount === 0n || amount > BigInt(parameters.risk.creditAccountMaxMicroUsdc)) return no(1103);
    const pool = largestOf(0n, present(accounts.get(1n)).cash - globals.badDebt);
    const most = floorOf(pool * BigInt(parameters.risk.creditPoolFactorPpb), 10n ** 9n);
    if (globals.creditTotal + amount > most) return no(1104);
    cell.credit = amount;
    cell.creditIndex = queueIndex;
    return null;
  }
  if (cell.credit === 0n) return no(1105);
  if (cycle.op === "settle" && cell.creditIndex >= globals.inboundCursor) return no(1106);
  cell.credit = 0n;
  cell.creditIndex = 0n;
  return null;
}

/** Writes the change's values over the encoded set, byte by byte; null where a value has no place. */
function patched(parameters: ParameterSet, change: Uint8Array): Uint8Array | null {
  const set = encodeParameters(parameters);
  const oracleCount = parameters.oracles.length;
  const quorumAt = 35 + 20 * oracleCount;
  const scalarCount = 38;
  const scalarsAt = set.length - 8 * scalarCount;
  const bytes = [...change];
  const take = (count: number): number[] | null => (bytes.length < count ? null : bytes.splice(0, count));
  const count = bytes.shift() ?? 0;
  if (count === 0) return null;
  for (let i = 0; i < count; i++) {
    const field = bytes.shift();
    if (field === undefined) return null;
    let at = quorumAt;
    let width = 1;
    if (field === 0) {
      const index = bytes.shift() ?? 255;
      at = 35 + 20 * index;
      width = 20;
      if (index >= oracleCount) return null;
    } else if (field !== 1) {
      at = scalarsAt + 8 * (field - 16);
      width = 8;
      if (field < 16 || field >= 16 + scalarCount) return null;
    }
    const value = take(width);
    if (value === null || (width === 20 && value.every((byte) => byte === 0))) return null;
    set.set(value, at);
  }
  return bytes.length === 0 ? set : null;
}

export function referenceAdmin(context: ReferenceContext, cycle: AdminCycle): Fault | null {
  const { globals } = context.state;
  const change = hexToBytes(cycle.change);
  if (globals.adminHash === ZERO) return fault(1200);
  if (bytesToHex(keccak256(change)) !== globals.adminHash) return fault(1201);
  if (BigInt(cycle.timeMs) < globals.adminMs) return fault(1202);
  const bytes = patched(context.parameters, change);
  if (bytes === null) return fault(1203);
  try {
    context.parameters = decodeParameters(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return fault(1203);
  }
  globals.parametersHash = parametersHash(context.parameters);
  globals.adminHash = ZERO;
  globals.adminMs = 0n;
  return null;
}
