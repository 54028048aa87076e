// What earlier lives of a venue did, read from its cycle store: a continued run counts the venue's whole history.
import type { Journal } from "@tidemark/journal";
import { CycleKind, type CycleKindName, decodeCycle, type LedgerState } from "@tidemark/ledger";
import { assert } from "@tidemark/num";

export interface PastCycle {
  index: number;
  kind: CycleKindName;
  fills: number;
  settledDeltas: number;
}

export interface History {
  cycles: PastCycle[];
  /** Executed before, in a cycle that is still open. */
  openFills: number;
  liquidations: number;
  fundingEvents: number;
  expiries: number;
  withdrawals: number;
}

const KIND_NAMES = new Map(Object.entries(CycleKind).map(([name, code]) => [code as number, name as CycleKindName]));

export function kindName(code: number): CycleKindName {
  const name = KIND_NAMES.get(code);
  assert(name !== undefined, `cycle kind ${code} is known`);
  return name;
}

export function historyOf(journal: Journal, ledger: LedgerState, openFills: number): History {
  const history: History = {
    cycles: [],
    openFills,
    liquidations: 0,
    fundingEvents: 0,
    expiries: 0,
    withdrawals: ledger.globals.outboxCount,
  };
  const reported = new Set<number>();
  for (const { index, kind, fills, settledDeltas, payload } of journal.readCycles()) {
    const name = kindName(kind);
    history.cycles.push({ index, kind: name, fills, settledDeltas });
    if (name === "liquidation") history.liquidations++;
    if (name !== "report" && name !== "expiry") continue;
    const decoding = decodeCycle(payload, ledger.globals.domain);
    assert(decoding.ok, `cycle ${index} of the store decodes`);
    const { cycle } = decoding;
    // Settling an expiry names its instruments in the first of its cycles.
    if (cycle.kind === "expiry" && cycle.instruments.length > 0) history.expiries++;
    if (cycle.kind !== "report") continue;
    // Funding accrues from one report of an underlying with a perpetual to the next.
    const hasPerpetual = ledger.underlying(cycle.underlying)?.hasPerpetual === true;
    if (hasPerpetual && reported.has(cycle.underlying)) history.fundingEvents++;
    reported.add(cycle.underlying);
  }
  return history;
}
