// The reference's adl rule: everybody is valued and sorted, then the list is compared.
import type { AdlCycle } from "../types.ts";
import { deepCopy, exact, type ReferenceAccountCell } from "./cells.ts";
import { type Fault, fault, fits, type ReferenceContext } from "./fault.ts";
import { ceilOf, largestOf, present, type ReferenceMargin, referenceMargin, sizeOf, smallestOf } from "./margin.ts";
import { change, tradable } from "./trade.ts";

interface Ranked {
  account: bigint;
  equity: bigint;
  maintenance: bigint;
}

/** Negative: a first. */
function compareRank(a: Ranked, b: Ranked): number {
  const left = a.maintenance * b.equity;
  const right = b.maintenance * a.equity;
  if (left !== right) return left > right ? -1 : 1;
  return a.account < b.account ? -1 : a.account > b.account ? 1 : 0;
}

const heldOf = (cell: ReferenceAccountCell, instrument: bigint): bigint =>
  cell.positions.find((position) => position.instrument === instrument)?.size ?? 0n;

export function referenceAdl(context: ReferenceContext, cycle: AdlCycle): Fault | null {
  const { state, parameters } = context;
  const adl = exact(cycle);
  const { timeMs, instrument: number } = adl;
  const no = (code: number): Fault => fault(code, cycle.account);
  const cell = state.accounts.get(adl.account);
  if (cell === undefined || cycle.account < 2) return no(700);
  if (cell.positions.length !== cycle.positionCount) return no(701);
  const duration = BigInt(parameters.risk.auctionDurationMs);
  const sinceMs = timeMs - cell.auctionMs;
  if (cell.auctionMs === 0n || sinceMs < duration || sinceMs >= 2n * duration) return no(702);
  const instrument = state.instruments.get(number);
  const held = heldOf(cell, number);
  if (instrument === undefined || !tradable(instrument, timeMs) || held === 0n) return no(703);
  const marginOf = (one: ReferenceAccountCell): ReferenceMargin => referenceMargin(state, one, timeMs, parameters);
  const { equity, usable } = marginOf(cell);
  if (!usable) return no(704);
  if (equity >= 0n) return no(705);
  const left = largestOf(0n, present(state.accounts.get(1n)).cash - state.globals.badDebt);
  if (left >= -equity) return no(706);
  const mark = present(instrument.row[0]);
  const gross = cell.positions.reduce(
    (sum, one) => sum + sizeOf(one.size) * present(present(state.instruments.get(one.instrument)).row[0]),
    0n,
  );
  const haircut = gross === 0n ? 0n : smallestOf(mark, ceilOf((-equity - left) * mark, gross));
  if (adl.haircut !== haircut) return no(707);

  const before = deepCopy(state.accounts);
  const side = held > 0n ? 1n : -1n;
  const price = mark + side * haircut;
  let remaining = sizeOf(held);
  for (const [i, one] of adl.counterparties.entries()) {
    const other = state.accounts.get(one.account);
    const notHim = (code: number): Fault => fault(code, Number(one.account));
    if (other === undefined || one.account < 2n || one.account === adl.account) return notHim(708);
    if (BigInt(other.positions.length) !== one.positionCount) return notHim(709);
    const his = heldOf(other, number);
    if (his * held >= 0n) return notHim(710);
    if (i > 0 && compareRank(present(adl.counterparties[i - 1]), one) >= 0) return notHim(711);
    if (one.equity === 0n || one.equity < haircut || remaining === 0n) return notHim(712);
    const covered = haircut === 0n ? remaining : one.equity / haircut;
    const lots = smallestOf(sizeOf(his), remaining, covered);
    remaining -= lots;
    if (change(context, other, new Map([[number, side * lots]]), -side * lots * price) !== 0) return notHim(713);
  }
  const closed = sizeOf(held) - remaining;
  if (change(context, cell, new Map([[number, -side * closed]]), side * closed * price) !== 0) return no(713);
  if (cell.positions.length === 0) cell.auctionMs = 0n;

  for (const one of adl.counterparties) {
    const margin = marginOf(present(before.get(one.account)));
    if (!margin.usable) return fault(714, Number(one.account));
    if (margin.equity !== one.equity || margin.maintenance !== one.maintenance) return fault(715, Number(one.account));
  }
  const holders = [...before].filter(
    ([account, one]) => account >= 2n && account !== adl.account && heldOf(one, number) * held < 0n,
  );
  const valued = holders.map(([account, one]) => ({ account, ...marginOf(one) }));
  const named = new Set(adl.counterparties.map((one) => one.account));
  const last = present(adl.counterparties[adl.counterparties.length - 1]);
  for (const one of valued.sort((a, b) => (a.account < b.account ? -1 : 1))) {
    if (named.has(one.account)) continue;
    if (!one.usable) return fault(716, Number(one.account));
    const isEligible = one.equity > 0n && one.equity >= haircut && fits(one.equity) && fits(one.maintenance);
    if (isEligible && compareRank(one, last) < 0) return fault(717, Number(one.account));
  }
  return null;
}
