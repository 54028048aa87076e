// What a liquidation takes, said plainly: of all legs the one that releases most per cost, lot by lot until E − M stops
// rising or the target is met, until the slice is used.
import {
  CYCLE_WEIGHT_MAX,
  cycleWeight,
  type LedgerState,
  type LiquidationCycle,
  type TradeAccount,
} from "@tidemark/ledger";
import {
  cellOf,
  figuresOf,
  makerFee,
  type PendingFill,
  type ReferenceFigures,
  type ReferenceOrder,
  type Standing,
  trade,
} from "./account.ts";

const BILLION = 1_000_000_000n;

export interface ReferenceLiquidationFill {
  maker: ReferenceOrder;
  instrument: number;
  side: number;
  price: number;
  lots: number;
  penaltyPerLot: bigint;
}

type BookOf = (instrument: number, side: number) => ReferenceOrder[];
type TradesOf = (fills: PendingFill[]) => TradeAccount[];

function indexOf(ledger: LedgerState, instrument: number): bigint {
  return BigInt(ledger.underlying(cellOf(ledger, instrument).underlying)?.index ?? 0);
}

function shareCeil(ledger: LedgerState, instrument: number, ppb: number): bigint {
  const product = indexOf(ledger, instrument) * BigInt(cellOf(ledger, instrument).lotNanoCoin) * BigInt(ppb);
  return (product + BILLION * BILLION - 1n) / (BILLION * BILLION);
}

function lotValue(ledger: LedgerState, instrument: number): bigint {
  return (indexOf(ledger, instrument) * BigInt(cellOf(ledger, instrument).lotNanoCoin)) / BILLION;
}

export function planLiquidation(
  ledger: LedgerState,
  account: number,
  start: Standing,
  timeMs: number,
  bookOf: BookOf,
  tradesOf: TradesOf,
): { fills: ReferenceLiquidationFill[]; cycle: LiquidationCycle } | null {
  for (const makersMax of [16, 8, 4, 2, 1]) {
    const fills = choose(ledger, account, start, timeMs, bookOf, makersMax);
    if (fills.length === 0) return null;
    const cycle = cycleFor(ledger, account, start, timeMs, fills, tradesOf);
    if (cycleWeight(cycle) <= CYCLE_WEIGHT_MAX) return { fills, cycle };
  }
  return null;
}

function after(ledger: LedgerState, standing: Standing, fill: Omit<ReferenceLiquidationFill, "maker">): Standing {
  const next: Standing = { cash: standing.cash, holdings: new Map(standing.holdings) };
  const { instrument, side, lots, price, penaltyPerLot } = fill;
  const cost = BigInt(side * lots) * BigInt(price) * BigInt(cellOf(ledger, instrument).tickValueMicroUsdc);
  if (lots > 0) trade(ledger, next, instrument, BigInt(side * lots), -cost - BigInt(lots) * penaltyPerLot);
  return next;
}

function choose(
  ledger: LedgerState,
  account: number,
  start: Standing,
  timeMs: number,
  bookOf: BookOf,
  makersMax: number,
): ReferenceLiquidationFill[] {
  const credit = BigInt(ledger.account(account)?.credit ?? 0);
  const { risk } = ledger.parameters;
  const fills: ReferenceLiquidationFill[] = [];
  const used = new Set<number>();
  let standing = start;
  let slice = BigInt(risk.liquidationSliceMicroUsdc);
  const figures = (of: Standing): ReferenceFigures => figuresOf(ledger, of, []);
  const met = (of: Standing): boolean => figures(of).equity + credit >= figures(of).initial;
  const surplus = (of: Standing): bigint => figures(of).equity - figures(of).maintenance;

  const take = (from: Standing, quote: ReferenceLiquidationFill): number => {
    const at = (lots: number): Standing => after(ledger, from, { ...quote, lots });
    let low = 0;
    let high = quote.lots;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (surplus(at(middle + 1)) > surplus(at(middle))) low = middle + 1;
      else high = middle;
    }
    if (low === 0 || surplus(at(low)) <= surplus(from)) return 0;
    if (!met(at(low))) return low;
    let first = low;
    while (first > 1 && met(at(first - 1)) && low - first < 2_000) first -= 1;
    if (low - first < 2_000) return first;
    let unmet = 0;
    while (first - unmet > 1) {
      const middle = Math.floor((first + unmet) / 2);
      if (met(at(middle))) first = middle;
      else unmet = middle;
    }
    return first;
  };

  while (fills.length < makersMax && used.size < 16) {
    let best: ReferenceLiquidationFill[] | null = null;
    let bestScore = 0;
    for (const instrument of [...standing.holdings.keys()].sort((a, b) => a - b)) {
      const cell = cellOf(ledger, instrument);
      if (used.has(instrument) || cell.status !== 1 || (cell.expiryMs !== 0 && timeMs >= cell.expiryMs)) continue;
      const held = Number(standing.holdings.get(instrument)?.size);
      const side = held > 0 ? -1 : 1;
      const value = lotValue(ledger, instrument);
      let whole = Number(slice / (value > 1n ? value : 1n));
      if (fills.length === 0) whole = Math.max(1, whole);
      let left = Math.min(Math.abs(held), whole);
      const bound = shareCeil(ledger, instrument, risk.liquidationBoundPpb);
      const mark = BigInt(cell.row[0] as number);
      let penaltyPerLot = shareCeil(ledger, instrument, risk.liquidationPenaltyPpb);
      const cap = mark / BigInt(risk.optionFeePriceDivisor);
      if (cell.kind >= 3 && cap < penaltyPerLot) penaltyPerLot = cap;
      const quotes: ReferenceLiquidationFill[] = [];
      for (const maker of bookOf(instrument, -side)) {
        const price = maker.order.limitPrice;
        const worth = BigInt(price) * BigInt(cell.tickValueMicroUsdc);
        if (left <= 0 || quotes.length >= makersMax - fills.length) break;
        if (side > 0 ? worth > mark + bound : worth < mark - bound) break;
        const lots = Math.min(left, maker.open);
        quotes.push({ maker, instrument, side, price, lots, penaltyPerLot });
        left -= lots;
      }
      const first = quotes[0];
      if (first === undefined) continue;
      let filled = standing;
      for (const quote of quotes) filled = after(ledger, filled, quote);
      const cost = Number(figures(standing).equity - figures(filled).equity);
      const score = Number(figures(standing).initial - figures(filled).initial) / Math.max(1, cost);
      if (take(standing, first) === 0) continue;
      if (best === null || score > bestScore) {
        best = quotes;
        bestScore = score;
      }
    }
    if (best === null) return fills;
    used.add(best[0]?.instrument as number);
    for (const quote of best) {
      const lots = take(standing, quote);
      if (lots === 0) break;
      fills.push({ ...quote, lots });
      standing = after(ledger, standing, { ...quote, lots });
      slice -= BigInt(lots) * lotValue(ledger, quote.instrument);
      if (met(standing)) return fills;
      if (lots < quote.lots) break;
    }
  }
  return fills;
}

function cycleFor(
  ledger: LedgerState,
  account: number,
  start: Standing,
  timeMs: number,
  fills: ReferenceLiquidationFill[],
  tradesOf: TradesOf,
): LiquidationCycle {
  const legs = [...new Set(fills.map(({ instrument }) => instrument))].map((instrument) => {
    const own = fills.filter((fill) => fill.instrument === instrument);
    const tick = BigInt(cellOf(ledger, instrument).tickValueMicroUsdc);
    return {
      instrument,
      size: own.reduce((sum, fill) => sum + fill.side * fill.lots, 0),
      cash: Number(own.reduce((sum, fill) => sum - BigInt(fill.side * fill.lots) * BigInt(fill.price) * tick, 0n)),
      fee: Number(own.reduce((sum, fill) => sum + BigInt(fill.lots) * fill.penaltyPerLot, 0n)),
    };
  });
  const counterparties = tradesOf(
    fills.map(({ maker, instrument, side, lots, price }) => ({
      order: maker,
      lots,
      cash: BigInt(side * lots) * BigInt(price) * BigInt(cellOf(ledger, instrument).tickValueMicroUsdc),
      fee: BigInt(lots) * makerFee(ledger, instrument, price),
    })),
  );
  return {
    kind: "liquidation",
    timeMs,
    account,
    positionCount: start.holdings.size,
    legs,
    counterparties,
  } as unknown as LiquidationCycle;
}
