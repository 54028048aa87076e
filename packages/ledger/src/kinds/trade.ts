// trade: per account and order the netted fills of one cycle. settleTrades is also the counterparties' half of a
// liquidation, so the sums come in from outside.
import { assert, type InstrumentNumber, type TimestampMs } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import { ExactSum } from "../exact-sum.ts";
import { INSURANCE_ACCOUNT, TREASURY_ACCOUNT } from "../limits.ts";
import { coversInitial, marginOfCell, marginRuleHolds, marksUsable } from "../margin.ts";
import { addCash, positionSize, type SettleResult, settlePositions } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import {
  type AccountCell,
  type CycleRejection,
  type Order,
  OrderFlag,
  type Position,
  type TradeAccount,
  type TradeCycle,
} from "../types.ts";
import { settleEntry } from "./entry.ts";
import { type CycleContext, reject } from "./rule.ts";

/** What must come out at zero over a whole cycle, and the fees that go to the treasury. */
export interface CycleSums {
  readonly lots: Map<InstrumentNumber, number>;
  readonly cash: ExactSum;
  readonly fees: ExactSum;
}

export function emptySums(): CycleSums {
  return { lots: new Map(), cash: new ExactSum(), fees: new ExactSum() };
}

/** Treasury and insurance only receive. */
export function isTradingAccount(account: number): boolean {
  return account !== TREASURY_ACCOUNT && account !== INSURANCE_ACCOUNT;
}

/** One account's lots in one instrument: the net and whether entries bought, sold, and were reduce-only. */
interface LegNet {
  lots: number;
  buys: boolean;
  sells: boolean;
  reduceOnly: boolean;
}

function addLegs(order: Readonly<Order>, filledLots: number, nets: Map<InstrumentNumber, LegNet>): void {
  const signedLots = order.size > 0 ? filledLots : -filledLots;
  for (const leg of order.legs) {
    const lots = signedLots * leg.ratio;
    let net = nets.get(leg.instrument);
    if (net === undefined) {
      net = { lots: 0, buys: false, sells: false, reduceOnly: false };
      nets.set(leg.instrument, net);
    }
    net.lots += lots;
    if (lots > 0) net.buys = true;
    else net.sells = true;
    if ((order.flags & OrderFlag.reduceOnly) !== 0) net.reduceOnly = true;
  }
}

/** Instrument in which a reduce-only promise is broken, or −1: every entry in it must reduce, together at most to flat. */
function brokenReduceOnly(nets: ReadonlyMap<InstrumentNumber, LegNet>, start: readonly Position[]): number {
  for (const [instrument, net] of nets) {
    if (!net.reduceOnly) continue;
    const held = positionSize(start, instrument);
    const grows = held >= 0 ? net.buys : net.sells;
    if (held === 0 || grows || Math.abs(net.lots) > Math.abs(held)) return instrument;
  }
  return -1;
}

const SETTLE_CODES: Readonly<Record<Exclude<SettleResult, "settled">, number>> = {
  bounds: RejectionCode.TRADE_BOUNDS,
  positionsFull: RejectionCode.TRADE_POSITIONS_FULL,
};

/** `firstPlace`: number of the account's first entry within the cycle. */
function settleTradeAccount(
  draft: Draft,
  trade: Readonly<TradeAccount>,
  firstPlace: number,
  timeMs: TimestampMs,
  context: CycleContext,
  sums: CycleSums,
): CycleRejection | null {
  const { account } = trade;
  const start = draft.account(account);
  if (start === undefined || !isTradingAccount(account)) {
    return reject(RejectionCode.TRADE_UNKNOWN_ACCOUNT, { account, place: firstPlace });
  }
  if (start.positions.length !== trade.positionCount) {
    return reject(RejectionCode.TRADE_POSITION_COUNT, { account, place: firstPlace });
  }
  const nets = new Map<InstrumentNumber, LegNet>();
  const cash = new ExactSum();
  for (const [index, entry] of trade.entries.entries()) {
    assert(entry.order.account === account, "entry is of its account");
    const { code, instrument } = settleEntry(draft, start, entry, timeMs, context);
    if (code !== 0) return reject(code, { account, instrument, place: firstPlace + index });
    addLegs(entry.order, entry.filledLots, nets);
    cash.add(entry.cash);
    sums.cash.add(entry.cash);
    cash.add(-entry.fee);
    sums.fees.add(entry.fee);
  }
  const changes = new Map<InstrumentNumber, number>();
  for (const [instrument, net] of nets) {
    changes.set(instrument, net.lots);
    sums.lots.set(instrument, (sums.lots.get(instrument) ?? 0) + net.lots);
  }
  const settled = settlePositions(draft, account, changes, cash.value());
  if (settled !== "settled") return reject(SETTLE_CODES[settled], { account, place: firstPlace });
  const broken = brokenReduceOnly(nets, start.positions);
  if (broken >= 0) return reject(RejectionCode.TRADE_REDUCE_ONLY, { account, instrument: broken, place: firstPlace });
  return null;
}

function sumsRejection(sums: CycleSums): CycleRejection | null {
  let unbalanced = Infinity;
  for (const [instrument, lots] of sums.lots) if (lots !== 0 && instrument < unbalanced) unbalanced = instrument;
  if (unbalanced !== Infinity) return reject(RejectionCode.TRADE_SIZE_SUM, { instrument: unbalanced });
  return sums.cash.value() === 0n ? null : reject(RejectionCode.TRADE_CASH_SUM);
}

/** Marks of what the account held at the start and of what it holds now, then the margin rule between the two; 0 = holds. */
export function marginCode(
  draft: Draft,
  account: number,
  start: Readonly<AccountCell>,
  timeMs: TimestampMs,
  context: CycleContext,
  codes: Readonly<{ marksUnusable: number; margin: number }>,
): number {
  const { view } = context;
  const now = draft.editAccount(account);
  if (!marksUsable(view, start.positions, timeMs) || !marksUsable(view, now.positions, timeMs)) {
    return codes.marksUnusable;
  }
  const after = marginOfCell(view, now, timeMs);
  // Usual case, and then the margin at the start decides nothing.
  if (after.equity >= -BigInt(now.credit) && coversInitial(after, now.credit)) return 0;
  const before = marginOfCell(view, start, timeMs);
  return marginRuleHolds(before, after, now.credit) ? 0 : codes.margin;
}

const TRADE_MARGIN_CODES = { marksUnusable: RejectionCode.TRADE_MARKS_UNUSABLE, margin: RejectionCode.TRADE_MARGIN };

/** `sums` holds what else belongs to the cycle: the legs of a liquidation. */
export function settleTrades(
  draft: Draft,
  accounts: readonly TradeAccount[],
  timeMs: TimestampMs,
  context: CycleContext,
  sums: CycleSums,
): CycleRejection | null {
  const starts: Readonly<AccountCell>[] = [];
  let place = 0;
  for (const trade of accounts) {
    const start = draft.account(trade.account);
    if (start !== undefined) starts.push(start);
    const rejection = settleTradeAccount(draft, trade, place, timeMs, context, sums);
    if (rejection !== null) return rejection;
    place += trade.entries.length;
  }
  const unbalanced = sumsRejection(sums);
  if (unbalanced !== null) return unbalanced;
  if (!addCash(draft.editAccount(TREASURY_ACCOUNT), sums.fees.value())) {
    return reject(RejectionCode.TRADE_BOUNDS, { account: TREASURY_ACCOUNT });
  }
  place = 0;
  for (const [index, trade] of accounts.entries()) {
    const { account } = trade;
    const code = marginCode(draft, account, starts[index] as AccountCell, timeMs, context, TRADE_MARGIN_CODES);
    if (code !== 0) return reject(code, { account, place });
    place += trade.entries.length;
  }
  return null;
}

export function validateAndApply(draft: Draft, cycle: TradeCycle, context: CycleContext): CycleRejection | null {
  return settleTrades(draft, cycle.accounts, cycle.timeMs, context, emptySums());
}
