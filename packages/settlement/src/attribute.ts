// Whom a wrong cycle concerns. Used only once a fault is found, so clarity goes before speed.
import { type Cycle, CycleKind, type CycleKindName, decodeCycle, type TradeAccount } from "@tidemark/ledger";
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

/** Where the first account number of an undecodable payload stands, if its kind starts with one. */
function firstAccountAt(kind: CycleKindName | null): number {
  if (kind === "trade" || kind === "outbound") return BODY_AT + 1;
  if (kind === "liquidation") return BODY_AT;
  return -1;
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
  const at = firstAccountAt(named);
  const account = at < 0 ? -1 : u24At(tail, at);
  return { kind: named, accounts: account < 0 ? [] : [account], instrument: -1 };
}
