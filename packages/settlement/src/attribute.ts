// Whom a wrong cycle concerns. Used only once a fault is found, so clarity goes before speed.
import {
  CYCLE_BYTES_MAX,
  type Cycle,
  CycleKind,
  type CycleKindName,
  decodeCycle,
  type LedgerState,
  type TradeAccount,
} from "@tidemark/ledger";
import { assertNever } from "@tidemark/num";

export interface Touched {
  /** Kind that the payload's bytes name; null when no kind has that code. */
  kind: CycleKindName | null;
  /** In the cycle's order; empty for kinds without accounts. */
  accounts: number[];
  /** First instrument that the cycle names; −1 when none. */
  instrument: number;
}

const KIND_AT = 1;
const BODY_AT = 10;
const NAMES = new Map<number, CycleKindName>(
  (Object.entries(CycleKind) as [CycleKindName, number][]).map(([name, code]) => [code, name]),
);

export function kindNameOf(payload: Uint8Array): CycleKindName | null {
  return NAMES.get(payload[KIND_AT] ?? 0) ?? null;
}

const accountsOfTrades = (accounts: readonly TradeAccount[]): number[] => accounts.map(({ account }) => account);

function firstTradedInstrument(accounts: readonly TradeAccount[]): number {
  return accounts[0]?.entries[0]?.order.legs[0]?.instrument ?? -1;
}

function touchedBy(cycle: Cycle): Touched {
  const { kind } = cycle;
  switch (cycle.kind) {
    case "report":
      return { kind, accounts: [], instrument: -1 };
    case "rows":
      return { kind, accounts: [], instrument: cycle.instruments[0] ?? -1 };
    case "trade":
      return { kind, accounts: accountsOfTrades(cycle.accounts), instrument: firstTradedInstrument(cycle.accounts) };
    case "liquidation":
      return {
        kind,
        accounts: [cycle.account, ...accountsOfTrades(cycle.counterparties)],
        instrument: cycle.legs[0]?.instrument ?? -1,
      };
    case "auction":
      return {
        kind,
        accounts: cycle.op === "take" ? [cycle.account, cycle.take.bid.account] : [cycle.account],
        instrument: cycle.op === "take" ? (cycle.take.legs[0]?.instrument ?? -1) : -1,
      };
    case "bankruptcy":
      return { kind, accounts: cycle.accounts.slice(), instrument: -1 };
    case "adl":
      return {
        kind,
        accounts: [cycle, ...cycle.counterparties].map(({ account }) => account),
        instrument: cycle.instrument,
      };
    case "credit":
      return { kind, accounts: [cycle.account], instrument: -1 };
    case "admin":
      return { kind, accounts: [], instrument: -1 };
    case "expiry":
      return {
        kind,
        accounts: cycle.realisations.map(({ account }) => account),
        instrument: cycle.instruments[0] ?? cycle.realisations[0]?.instruments[0] ?? -1,
      };
    case "inbound":
      return {
        kind,
        accounts: cycle.entries.flatMap((entry) => ("account" in entry ? [entry.account] : [])),
        instrument: -1,
      };
    case "outbound":
      return { kind, accounts: cycle.withdrawals.map(({ withdrawal }) => withdrawal.account), instrument: -1 };
    default:
      return assertNever(cycle, "cycle");
  }
}

/** Little-endian u24; −1 beyond the end. */
function u24At(bytes: Uint8Array, at: number): number {
  if (at + 3 > bytes.length) return -1;
  return (bytes[at] as number) + (bytes[at + 1] as number) * 0x100 + (bytes[at + 2] as number) * 0x1_0000;
}

// Widths of the fields between account numbers (docs/spec/ledger.md).
const LEG_BYTES = 5;
const LIQUIDATION_LEG_BYTES = 21;
/** size, limitPrice, maxFeePerLot, nonce, startMs, expiryMs, flags: from the legs to hasSignature. */
const ENTRY_TERMS_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** filledLots, cash, fee. */
const ENTRY_FILL_BYTES = 18;

function endOfTradeEntry(bytes: Uint8Array, at: number): number {
  const signatureAt = at + 1 + (bytes[at] ?? 0) * LEG_BYTES + ENTRY_TERMS_BYTES;
  return signatureAt + 1 + (bytes[signatureAt] === 1 ? SIGNATURE_BYTES : 0) + ENTRY_FILL_BYTES;
}

/** Account of the list of trade accounts at `listAt` whose bytes hold the one at `offset`; −1 when none begins before it. */
function listedAccountAt(bytes: Uint8Array, listAt: number, offset: number): number {
  let account = -1;
  let at = listAt + 1;
  for (let left = bytes[listAt] ?? 0; left > 0 && at <= offset; left--) {
    account = u24At(bytes, at);
    let entries = bytes[at + 4] ?? 0;
    for (at += 5; entries > 0 && at <= offset; entries--) at = endOfTradeEntry(bytes, at);
  }
  return account;
}

/** Account number that an undecodable payload of the kind names at or before the byte at which it stops making sense. */
function accountAt(kind: CycleKindName | null, bytes: Uint8Array, offset: number): number {
  if (kind === "trade") return Math.max(listedAccountAt(bytes, BODY_AT, offset), u24At(bytes, BODY_AT + 1));
  // One byte lies before the first account: a count or an operation.
  const isSecond = kind === "outbound" || kind === "auction" || kind === "bankruptcy" || kind === "credit";
  if (isSecond) return u24At(bytes, BODY_AT + 1);
  if (kind === "adl") return u24At(bytes, BODY_AT);
  if (kind !== "liquidation") return -1;
  const listAt = BODY_AT + 5 + (bytes[BODY_AT + 4] ?? 0) * LIQUIDATION_LEG_BYTES;
  const counterparty = listedAccountAt(bytes, listAt, offset);
  return counterparty >= 0 ? counterparty : u24At(bytes, BODY_AT);
}

/**
 * What the cycle touches, as far as its bytes still tell. Bytes that decode under another kind code than the one they
 * carry are read as that kind: one changed byte in the head does not hide whose trade it was. `tail` is the batch's data
 * from the payload on: a changed length may have cut the payload before its first account.
 */
export function touchedByPayload(payload: Uint8Array, domain: number, tail: Uint8Array): Touched {
  const named = kindNameOf(tail);
  const decoding = decodeCycle(payload, domain);
  if (decoding.ok) return { ...touchedBy(decoding.cycle), kind: named };
  const repaired = payload.slice();
  repaired[0] = 1;
  for (const code of [payload[KIND_AT] ?? 0, ...NAMES.keys()]) {
    repaired[KIND_AT] = code;
    const other = decodeCycle(repaired, domain);
    if (other.ok) return { ...touchedBy(other.cycle), kind: named };
  }
  // The offset is where reading stopped; the byte before it is the last that was read.
  const account = accountAt(named, tail, Math.max(decoding.offset - 1, BODY_AT + 1));
  return { kind: named, accounts: account < 0 ? [] : [account], instrument: -1 };
}

/** Length of the cycle that `bytes` begin with, by what it says of itself; −1 when none begins there. */
export function cycleLengthOf(bytes: Uint8Array, domain: number): number {
  const decoding = decodeCycle(bytes.subarray(0, CYCLE_BYTES_MAX), domain);
  if (decoding.ok) return Math.min(bytes.length, CYCLE_BYTES_MAX);
  // What follows a whole cycle fails at the cycle's end.
  return decodeCycle(bytes.subarray(0, decoding.offset), domain).ok ? decoding.offset : -1;
}

/** Whether a position in the instrument is worth something else when the cycle is wrong. */
function revalues(cycle: Cycle, state: LedgerState, instrument: number): boolean {
  switch (cycle.kind) {
    case "report":
      return state.instrument(instrument)?.underlying === cycle.underlying;
    case "rows":
    case "expiry":
      return cycle.instruments.some((number) => number === instrument);
    default:
      return false;
  }
}

/** Lowest account with a position that a report, rows or an expiry revalues; −1 when nobody has one. */
export function holderOf(payload: Uint8Array, state: LedgerState): number {
  const decoding = decodeCycle(payload, state.parameters.domain);
  if (!decoding.ok) return -1;
  const { cycle } = decoding;
  if (cycle.kind !== "report" && cycle.kind !== "rows" && cycle.kind !== "expiry") return -1;
  const holders = state
    .accountNumbers()
    .filter((number) => state.account(number)?.positions.some(({ instrument }) => revalues(cycle, state, instrument)));
  return holders.length === 0 ? -1 : Math.min(...holders);
}
