// adl: what neither the book nor an auction took from a bankrupt account is closed against the holders of the other side,
// in the published order, at a price that is worse than the mark by what the insurance cannot pay.
import { type InstrumentNumber, mulDivCeil, type TimestampMs } from "@tidemark/num";
import type { Draft } from "../draft.ts";
import { ExactSum } from "../exact-sum.ts";
import { INSURANCE_ACCOUNT } from "../limits.ts";
import { type LedgerView, marginOfCell } from "../margin.ts";
import { isSafe, positionSize, settlePositions } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import type { AccountCell, AdlCounterparty, AdlCycle, CycleRejection, GlobalsCell, Position } from "../types.ts";
import { hasAuctionRunOut } from "./auctionTerms.ts";
import { isTradable } from "./entry.ts";
import { type CycleContext, reject } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

/** What ranks an account. */
export interface AdlFigures {
  account: number;
  equity: bigint;
  maintenance: bigint;
}

/** Greater maintenance per equity first, of equals the lower number; both equities > 0. Strict. */
export function ranksBefore(one: Readonly<AdlFigures>, other: Readonly<AdlFigures>): boolean {
  const difference = one.maintenance * other.equity - other.maintenance * one.equity;
  return difference > 0n || (difference === 0n && one.account < other.account);
}

/** Less than one lot's haircut gives nothing. Figures that a payload cannot declare do not rank. */
export function isAdlEligible(figures: Readonly<AdlFigures>, haircut: number): boolean {
  return figures.equity >= BigInt(Math.max(1, haircut)) && isSafe(figures.equity) && isSafe(figures.maintenance);
}

/** Of the insurance's cash, what bad debt does not already claim. */
export function insuranceLeft(globals: Readonly<GlobalsCell>, insurance: Readonly<AccountCell> | undefined): bigint {
  const left = BigInt(insurance?.cash ?? 0) - BigInt(globals.badDebt);
  return left > 0n ? left : 0n;
}

/** Micro-USDC per lot. Ceil: the counterparties bear it, or the deficit would not be covered; never more than the mark. */
export function haircutCeil(
  view: Pick<LedgerView, "instrument">,
  positions: readonly Position[],
  instrument: number,
  deficit: bigint,
): bigint {
  const gross = new ExactSum();
  for (const { instrument: number, size } of positions) {
    gross.addProduct(Math.abs(size), view.instrument(number)?.row[0] ?? 0);
  }
  const mark = BigInt(view.instrument(instrument)?.row[0] ?? 0);
  if (gross.value() === 0n) return 0n;
  const haircut = mulDivCeil(deficit, mark, gross.value());
  return haircut < mark ? haircut : mark;
}

function figuresOf(counterparty: Readonly<AdlCounterparty>): AdlFigures {
  const { account, equity, maintenance } = counterparty;
  return { account, equity: BigInt(equity), maintenance: BigInt(maintenance) };
}

/** 700 … 703. */
function accountCode(
  draft: Draft,
  start: Readonly<AccountCell> | undefined,
  cycle: AdlCycle,
  durationMs: number,
): number {
  if (start === undefined || !isTradingAccount(cycle.account)) return RejectionCode.ADL_UNKNOWN_ACCOUNT;
  if (start.positions.length !== cycle.positionCount) return RejectionCode.ADL_POSITION_COUNT;
  if (!hasAuctionRunOut(start.auctionMs, cycle.timeMs, durationMs)) return RejectionCode.ADL_AUCTION_NOT_OVER;
  const instrument = draft.instrument(cycle.instrument);
  const isClosable = instrument !== undefined && isTradable(instrument, cycle.timeMs);
  return isClosable && positionSize(start.positions, cycle.instrument) !== 0 ? 0 : RejectionCode.ADL_INSTRUMENT;
}

/** 704 … 707. */
function termsCode(draft: Draft, start: Readonly<AccountCell>, cycle: AdlCycle, context: CycleContext): number {
  const { view } = context;
  const margin = marginOfCell(view, start, cycle.timeMs);
  if (!margin.marksUsable) return RejectionCode.ADL_MARKS_UNUSABLE;
  if (margin.equity >= 0n) return RejectionCode.ADL_NOT_BANKRUPT;
  const left = insuranceLeft(draft.globals, draft.account(INSURANCE_ACCOUNT));
  if (left >= -margin.equity) return RejectionCode.ADL_INSURANCE_LEFT;
  const haircut = haircutCeil(view, start.positions, cycle.instrument, -margin.equity - left);
  return BigInt(cycle.haircut) === haircut ? 0 : RejectionCode.ADL_HAIRCUT;
}

/** Lots that a counterparty takes: its position, what is left, and no more than its equity covers the haircut of. */
function lotsTaken(counterparty: Readonly<AdlCounterparty>, held: number, left: number, haircut: number): number {
  const lots = Math.min(Math.abs(held), left);
  if (haircut === 0) return lots;
  const covered = BigInt(counterparty.equity) / BigInt(haircut);
  return covered < BigInt(lots) ? Number(covered) : lots;
}

/** What the counterparties share. */
interface Deleveraging {
  readonly instrument: InstrumentNumber;
  /** Of the bankrupt account: it sells, they buy back. */
  readonly isLong: boolean;
  readonly price: bigint;
  /** Lots that are still to be closed. */
  left: number;
}

/** Closes `lots` of an account's position at the price. */
function close(draft: Draft, account: number, lots: number, buys: boolean, closing: Readonly<Deleveraging>): boolean {
  const signed = buys ? lots : -lots;
  const cash = -BigInt(signed) * closing.price;
  return settlePositions(draft, account, new Map([[closing.instrument, signed]]), cash) === "settled";
}

/** 708 … 710: who is named. */
function counterpartyCode(draft: Draft, cycle: Readonly<AdlCycle>, place: number, isLong: boolean): number {
  const { account, positionCount } = cycle.counterparties[place] as AdlCounterparty;
  const cell = draft.account(account);
  if (cell === undefined || !isTradingAccount(account) || account === cycle.account) {
    return RejectionCode.ADL_UNKNOWN_COUNTERPARTY;
  }
  if (cell.positions.length !== positionCount) return RejectionCode.ADL_COUNTERPARTY_POSITION_COUNT;
  return isOpposite(cell, cycle.instrument, isLong) ? 0 : RejectionCode.ADL_COUNTERPARTY_SIDE;
}

function isOpposite(cell: Readonly<AccountCell>, instrument: number, isLong: boolean): boolean {
  const held = positionSize(cell.positions, instrument);
  return isLong ? held < 0 : held > 0;
}

/** 708 … 713 of one counterparty, written to the draft. */
function settleCounterparty(draft: Draft, cycle: Readonly<AdlCycle>, place: number, closing: Deleveraging): number {
  const code = counterpartyCode(draft, cycle, place, closing.isLong);
  if (code !== 0) return code;
  const counterparty = cycle.counterparties[place] as AdlCounterparty;
  const previous = cycle.counterparties[place - 1];
  if (previous !== undefined && !ranksBefore(figuresOf(previous), figuresOf(counterparty))) {
    return RejectionCode.ADL_ORDER;
  }
  if (counterparty.equity < Math.max(1, cycle.haircut) || closing.left === 0) {
    return RejectionCode.ADL_NOTHING_TO_TAKE;
  }
  const held = positionSize((draft.account(counterparty.account) as AccountCell).positions, cycle.instrument);
  const lots = lotsTaken(counterparty, held, closing.left, cycle.haircut);
  closing.left -= lots;
  return close(draft, counterparty.account, lots, closing.isLong, closing) ? 0 : RejectionCode.ADL_BOUNDS;
}

/** 714, 715: the figures of the named, at the start. */
function figuresRejection(
  cycle: Readonly<AdlCycle>,
  starts: readonly (Readonly<AccountCell> | undefined)[],
  context: CycleContext,
): CycleRejection | null {
  for (const [place, counterparty] of cycle.counterparties.entries()) {
    const where = { account: counterparty.account, place };
    const margin = marginOfCell(context.view, starts[place] as AccountCell, cycle.timeMs);
    if (!margin.marksUsable) return reject(RejectionCode.ADL_COUNTERPARTY_MARKS_UNUSABLE, where);
    const { equity, maintenance } = figuresOf(counterparty);
    if (margin.equity !== equity || margin.maintenance !== maintenance) {
      return reject(RejectionCode.ADL_FIGURES, where);
    }
  }
  return null;
}

/** 716, 717: nobody on the other side was passed over, and everybody there can be valued. */
function rankingRejection(
  draft: Draft,
  cycle: Readonly<AdlCycle>,
  isLong: boolean,
  context: CycleContext,
): CycleRejection | null {
  const named = new Set<number>(cycle.counterparties.map(({ account }) => account));
  const last = figuresOf(cycle.counterparties[cycle.counterparties.length - 1] as AdlCounterparty);
  for (const account of draft.accountNumbers()) {
    const cell = draft.account(account) as AccountCell;
    if (named.has(account) || account === cycle.account || !isTradingAccount(account)) continue;
    if (!isOpposite(cell, cycle.instrument, isLong)) continue;
    const { equity, maintenance, marksUsable } = marginOfCell(context.view, cell, cycle.timeMs);
    if (!marksUsable) return reject(RejectionCode.ADL_HOLDER_MARKS_UNUSABLE, { account });
    const figures = { account, equity, maintenance };
    if (isAdlEligible(figures, cycle.haircut) && ranksBefore(figures, last)) {
      return reject(RejectionCode.ADL_RANKING, { account });
    }
  }
  return null;
}

export function validateAndApply(draft: Draft, cycle: AdlCycle, context: CycleContext): CycleRejection | null {
  const { account, instrument, haircut, counterparties } = cycle;
  const start = draft.account(account);
  let code = accountCode(draft, start, cycle, context.parameters.risk.auctionDurationMs);
  if (start === undefined || code !== 0) return reject(code, { account, instrument });
  code = termsCode(draft, start, cycle, context);
  if (code !== 0) return reject(code, { account, instrument });
  const held = positionSize(start.positions, instrument);
  const isLong = held > 0;
  const mark = BigInt(draft.instrument(instrument)?.row[0] ?? 0);
  const price = isLong ? mark + BigInt(haircut) : mark - BigInt(haircut);
  const closing: Deleveraging = { instrument, isLong, price, left: Math.abs(held) };
  const starts = counterparties.map((counterparty) => draft.account(counterparty.account));
  for (const [place, counterparty] of counterparties.entries()) {
    code = settleCounterparty(draft, cycle, place, closing);
    if (code !== 0) return reject(code, { account: counterparty.account, instrument, place });
  }
  if (!close(draft, account, Math.abs(held) - closing.left, !isLong, closing)) {
    return reject(RejectionCode.ADL_BOUNDS, { account, instrument });
  }
  const cell = draft.editAccount(account);
  if (cell.positions.length === 0) cell.auctionMs = 0 as TimestampMs;
  return figuresRejection(cycle, starts, context) ?? rankingRejection(draft, cycle, isLong, context);
}
