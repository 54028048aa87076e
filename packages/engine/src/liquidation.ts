// Liquidation of an account below maintenance through the book: once a report, at most a slice, inside the price bound, the
// legs that release most requirement per cost first, each only as far as the target. The plan is made on plain copies and
// checked against the ledger's rules before anything changes.
import {
  type CompactSignature,
  type LiquidationCycle,
  type LiquidationLeg,
  type Order,
  ROW_LENGTH,
  SCENARIO_COUNT,
  type TradeAccount,
  UNDERLYINGS_MAX,
} from "@tidemark/ledger";
import {
  type AccountNumber,
  assert,
  type InstrumentNumber,
  type MicroUsdc,
  mulDivCeil,
  mulDivCeilNumber,
  mulDivFloor,
  type SizeLots,
  type TimestampMs,
} from "@tidemark/num";
import { RISK_STRIDE } from "./accounts.ts";
import type { Core } from "./core.ts";
import { CancelReason } from "./events.ts";
import {
  ACCOUNT,
  FLAG_IN_RING,
  FLAG_REDUCE_ONLY,
  FLAGS,
  NONE,
  ORDER_STRIDE_SHIFT,
  POSITION,
  PRICE,
  REMAINING,
} from "./orders.ts";

const BILLION = 1_000_000_000;
/** Orders that one liquidation may take, halved until its cycle fits the weight. */
const MAKERS_MAX = 16;
/** Legs of one liquidation. */
const LIQUIDATED_INSTRUMENTS_MAX = 16;

interface Quote {
  maker: number;
  price: number;
  lots: number;
}

interface PlannedFill extends Quote {
  instrument: number;
  side: number;
  penaltyPerLot: number;
}

/** The account as it would be: loss vectors per underlying, equity, add-ons, sizes. */
interface Trial {
  equity: number;
  credit: number;
  addOns: number;
  losses: (Float64Array | null)[];
  sizes: Map<number, number>;
}

interface Figures {
  equity: number;
  initial: number;
  maintenance: number;
}

export function liquidate(core: Core, account: number): void {
  const { accounts } = core;
  if ((accounts.heldCount[account] as number) === 0) {
    reportBadDebt(core, account);
    return;
  }
  const start = trialOf(core, account);
  const figures = figuresOf(core, start);
  if (figures.equity + start.credit >= figures.maintenance) return;
  for (const at of core.ordersOf(account)) core.cancel(at, CancelReason.liquidation);
  if (core.timeMs > (accounts.marksUntilMs[account] as number) || !hasNewerReport(core, account)) return;
  let fills: PlannedFill[] = [];
  let cycle: LiquidationCycle | null = null;
  for (let makersMax = MAKERS_MAX; makersMax >= 1; makersMax >>= 1) {
    fills = plan(core, account, makersMax);
    if (fills.length === 0) break;
    cycle = cycleOf(core, account, fills);
    if (core.fitsWeight(cycle)) break;
    cycle = null;
  }
  let penalty = 0;
  for (const leg of cycle?.legs ?? []) penalty += leg.fee;
  core.sink.onLiquidation(
    account,
    figures.equity,
    figures.initial,
    figures.maintenance,
    cycle?.legs.length ?? 0,
    penalty,
  );
  if (cycle === null) return;
  execute(core, account, fills, cycle);
  if ((accounts.heldCount[account] as number) === 0) reportBadDebt(core, account);
}

function reportBadDebt(core: Core, account: number): void {
  const cash = core.accounts.cash[account] as number;
  if (cash < 0) core.sink.onBadDebt(account, -cash);
}

function hasNewerReport(core: Core, account: number): boolean {
  const liquidationMs = core.accounts.liquidationMs[account] as number;
  return core.accounts
    .heldInstruments(account)
    .some(
      (instrument) =>
        (core.ledger.underlying(core.instruments.underlying[instrument] as number)?.reportMs ?? 0) > liquidationMs,
    );
}

// ── trial figures ──────────────────────────────────────────────────────────────────────────────────────────────────

function trialOf(core: Core, account: number): Trial {
  const { accounts } = core;
  const losses: (Float64Array | null)[] = [];
  for (let underlying = 0; underlying < UNDERLYINGS_MAX; underlying++) {
    const record = accounts.riskOf[account * UNDERLYINGS_MAX + underlying] as number;
    losses.push(
      record === NONE ? null : accounts.risk.slice(record * RISK_STRIDE, record * RISK_STRIDE + SCENARIO_COUNT),
    );
  }
  const sizes = new Map<number, number>();
  let addOns = 0;
  for (const instrument of accounts.heldInstruments(account)) {
    const size = accounts.sizeOf(account, instrument);
    sizes.set(instrument, size);
    addOns += core.margin.addOnOf(instrument, size);
  }
  return {
    equity: accounts.equity[account] as number,
    credit: accounts.credit[account] as number,
    addOns,
    losses,
    sizes,
  };
}

export function figuresOf(core: Core, trial: Trial): Figures {
  let scenario = 0;
  for (const loss of trial.losses) {
    if (loss === null) continue;
    let required = 0;
    for (const value of loss) if (-value > required) required = -value;
    scenario += required;
  }
  // Ceil: the account bears the remainder.
  const maintenance = mulDivCeilNumber(scenario, core.parameters.risk.maintenanceFactorPpb, BILLION) + trial.addOns;
  return { equity: trial.equity, initial: scenario + trial.addOns, maintenance };
}

export function accountFigures(core: Core, account: number): Figures {
  return figuresOf(core, trialOf(core, account));
}

/** The trial after `lots` more at a price. A copy: trials are small and liquidations rare. */
function after(
  core: Core,
  trial: Trial,
  instrument: number,
  side: number,
  lots: number,
  price: number,
  penaltyPerLot: number,
): Trial {
  const { instruments, margin } = core;
  const signed = side * lots;
  const row = instrument * ROW_LENGTH;
  const mark = instruments.rows[row] as number;
  const before = trial.sizes.get(instrument) ?? 0;
  const underlying = instruments.underlying[instrument] as number;
  const losses = trial.losses.slice();
  const loss = (losses[underlying] ?? new Float64Array(SCENARIO_COUNT)).slice();
  for (let s = 0; s < SCENARIO_COUNT; s++) {
    loss[s] = (loss[s] as number) + signed * ((instruments.rows[row + s] as number) - mark);
  }
  losses[underlying] = loss;
  const sizes = new Map(trial.sizes).set(instrument, before + signed);
  const cost = signed * (price * (instruments.tickValue[instrument] as number) - mark) + lots * penaltyPerLot;
  const addOns = trial.addOns + margin.addOnOf(instrument, before + signed) - margin.addOnOf(instrument, before);
  return { equity: trial.equity - cost, credit: trial.credit, addOns, losses, sizes };
}

// ── plan ───────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Candidate {
  instrument: number;
  side: number;
  penaltyPerLot: number;
  quotes: Quote[];
  score: number;
}

function plan(core: Core, account: number, makersMax: number): PlannedFill[] {
  const fills: PlannedFill[] = [];
  const used = new Set<number>();
  let trial = trialOf(core, account);
  let sliceLeft = core.parameters.risk.liquidationSliceMicroUsdc;
  while (fills.length < makersMax && used.size < LIQUIDATED_INSTRUMENTS_MAX) {
    const candidate = bestCandidate(
      core,
      account,
      trial,
      used,
      makersMax - fills.length,
      sliceLeft,
      fills.length === 0,
    );
    if (candidate === null) return fills;
    const { instrument, side, penaltyPerLot, quotes } = candidate;
    used.add(instrument);
    for (const { maker, price, lots } of quotes) {
      const take = lotsToTake(core, trial, candidate, price, lots);
      if (take === 0) break;
      fills.push({ maker, price, lots: take, instrument, side, penaltyPerLot });
      trial = after(core, trial, instrument, side, take, price, penaltyPerLot);
      sliceLeft -= take * lotValue(core, instrument);
      const figures = figuresOf(core, trial);
      if (figures.equity + trial.credit >= figures.initial) return fills;
      if (take < lots) break;
    }
  }
  return fills;
}

/** The leg that releases most requirement per micro-USDC that it costs; of equals the lowest instrument. */
function bestCandidate(
  core: Core,
  account: number,
  trial: Trial,
  used: ReadonlySet<number>,
  makersMax: number,
  sliceLeft: number,
  first: boolean,
): Candidate | null {
  let best: Candidate | null = null;
  const before = figuresOf(core, trial);
  for (const [instrument, size] of [...trial.sizes].sort((a, b) => a[0] - b[0])) {
    if (size === 0 || used.has(instrument) || !core.instruments.isTradable(instrument, core.timeMs)) continue;
    const side = size > 0 ? -1 : 1;
    const wholeLots = Math.floor(sliceLeft / Math.max(1, lotValue(core, instrument)));
    // A single lot is always allowed, so that no lot is too large to be liquidated.
    const lotsMax = Math.min(Math.abs(size), first ? Math.max(1, wholeLots) : wholeLots);
    const quotes = quotesFor(core, account, instrument, side, lotsMax, makersMax);
    if (quotes.length === 0) continue;
    const penaltyPerLot = penaltyOf(core, instrument);
    let whole = trial;
    for (const { price, lots } of quotes) whole = after(core, whole, instrument, side, lots, price, penaltyPerLot);
    const released = before.initial - figuresOf(core, whole).initial;
    const score = released / Math.max(1, trial.equity - whole.equity);
    const candidate = { instrument, side, penaltyPerLot, quotes, score };
    const firstQuote = quotes[0] as Quote;
    if (lotsToTake(core, trial, candidate, firstQuote.price, firstQuote.lots) === 0) continue;
    if (best === null || score > best.score) best = candidate;
  }
  return best;
}

/**
 * Lots of one quote: E − maintenance is concave in them, so it is climbed to its top; then, if the target is met there, back
 * to the first lot that meets it.
 */
function lotsToTake(
  core: Core,
  trial: Trial,
  candidate: Pick<Candidate, "instrument" | "side" | "penaltyPerLot">,
  price: number,
  lots: number,
): number {
  const { instrument, side, penaltyPerLot } = candidate;
  const figuresAt = (taken: number): Figures =>
    figuresOf(core, after(core, trial, instrument, side, taken, price, penaltyPerLot));
  const surplusAt = (taken: number): number => {
    const figures = figuresAt(taken);
    return figures.equity - figures.maintenance;
  };
  let low = 0;
  let high = lots;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (surplusAt(middle + 1) > surplusAt(middle)) low = middle + 1;
    else high = middle;
  }
  if (low === 0 || surplusAt(low) <= surplusAt(0)) return 0;
  const isTargetMet = (taken: number): boolean => {
    const figures = figuresAt(taken);
    return figures.equity + trial.credit >= figures.initial;
  };
  if (!isTargetMet(low)) return low;
  let met = low;
  let unmet = 0;
  while (met - unmet > 1) {
    const middle = (met + unmet) >> 1;
    if (isTargetMet(middle)) met = middle;
    else unmet = middle;
  }
  return met;
}

/** Orders that a liquidation may take: other owners', not reduce-only, with usable marks, inside the price bound. */
function quotesFor(
  core: Core,
  account: number,
  instrument: number,
  side: number,
  lotsMax: number,
  makersMax: number,
): Quote[] {
  const { arena, books, accounts, instruments, timeMs } = core;
  const bound = lotShareCeil(core, instrument, core.parameters.risk.liquidationBoundPpb);
  const mark = instruments.rows[instrument * ROW_LENGTH] as number;
  const tickValue = instruments.tickValue[instrument] as number;
  const quotes: Quote[] = [];
  let left = lotsMax;
  for (
    let at = books.best(instrument, -side);
    at !== NONE && left > 0 && quotes.length < makersMax;
    at = books.after(at)
  ) {
    const base = at << ORDER_STRIDE_SHIFT;
    const { records } = arena;
    const price = records[base + PRICE] as number;
    if (side > 0 ? price * tickValue > mark + bound : price * tickValue < mark - bound) break;
    const maker = records[base + ACCOUNT] as number;
    if (accounts.ownerId[maker] === accounts.ownerId[account]) continue;
    if (
      ((records[base + FLAGS] as number) & FLAG_REDUCE_ONLY) !== 0 ||
      timeMs > (accounts.marksUntilMs[maker] as number)
    )
      continue;
    const lots = Math.min(left, records[base + REMAINING] as number);
    quotes.push({ maker: at, price, lots });
    left -= lots;
  }
  return quotes;
}

/** Share of a lot's index value. Ceil, as the ledger's bound. */
function lotShareCeil(core: Core, instrument: number, sharePpb: number): number {
  const cell = core.ledger.instrument(instrument);
  const underlying = core.ledger.underlying(core.instruments.underlying[instrument] as number);
  assert(cell !== undefined && underlying !== undefined, "instrument exists");
  const value = BigInt(underlying.index) * BigInt(cell.lotNanoCoin);
  return Number(mulDivCeil(value, BigInt(sharePpb), BigInt(BILLION) * BigInt(BILLION)));
}

/** Index value of a lot, floor, as the ledger measures slices. */
function lotValue(core: Core, instrument: number): number {
  const cell = core.ledger.instrument(instrument);
  const underlying = core.ledger.underlying(core.instruments.underlying[instrument] as number);
  assert(cell !== undefined && underlying !== undefined, "instrument exists");
  return Number(mulDivFloor(BigInt(underlying.index), BigInt(cell.lotNanoCoin), BigInt(BILLION)));
}

/** What the ledger allows; for options also at most the fee cap's share of the mark, or cheap ones could not be closed. */
function penaltyOf(core: Core, instrument: number): number {
  const { risk } = core.parameters;
  const allowed = lotShareCeil(core, instrument, risk.liquidationPenaltyPpb);
  if (!core.instruments.isOption(instrument)) return allowed;
  return Math.min(
    allowed,
    Math.floor((core.instruments.rows[instrument * ROW_LENGTH] as number) / risk.optionFeePriceDivisor),
  );
}

// ── execution ──────────────────────────────────────────────────────────────────────────────────────────────────────

function cycleOf(core: Core, account: number, fills: readonly PlannedFill[]): LiquidationCycle {
  const { accounts } = core;
  const legs: LiquidationLeg[] = [];
  for (const { instrument, side, lots, price, penaltyPerLot } of fills) {
    let leg = legs.find((one) => one.instrument === instrument);
    if (leg === undefined) {
      leg = {
        instrument: instrument as InstrumentNumber,
        size: 0 as SizeLots,
        cash: 0 as MicroUsdc,
        fee: 0 as MicroUsdc,
      };
      legs.push(leg);
    }
    leg.size = (leg.size + side * lots) as SizeLots;
    leg.cash = (leg.cash - side * lots * price * (core.instruments.tickValue[instrument] as number)) as MicroUsdc;
    leg.fee = (leg.fee + lots * penaltyPerLot) as MicroUsdc;
  }
  return {
    kind: "liquidation",
    timeMs: core.timeMs as TimestampMs,
    account: account as AccountNumber,
    positionCount: accounts.heldCount[account] as number,
    legs,
    counterparties: counterpartiesOf(core, fills),
  };
}

function counterpartiesOf(core: Core, fills: readonly PlannedFill[]): TradeAccount[] {
  const { arena, accounts, instruments } = core;
  const byAccount = new Map<number, TradeAccount>();
  for (const { maker, instrument, side, lots, price } of fills) {
    const base = maker << ORDER_STRIDE_SHIFT;
    const order = arena.order[maker] as Order;
    let trader = byAccount.get(order.account);
    if (trader === undefined) {
      trader = { account: order.account, positionCount: accounts.heldCount[order.account] as number, entries: [] };
      byAccount.set(order.account, trader);
    }
    const inRing = ((arena.records[base + FLAGS] as number) & FLAG_IN_RING) !== 0;
    trader.entries.push({
      order,
      signature: inRing ? null : (arena.signature[maker] as CompactSignature),
      filledLots: lots,
      cash: (side * lots * price * (instruments.tickValue[instrument] as number)) as MicroUsdc,
      fee: (lots * instruments.makerFeeAt(instrument, price)) as MicroUsdc,
    });
  }
  const traders = [...byAccount.values()].sort((a, b) => a.account - b.account);
  for (const { entries } of traders) entries.sort((a, b) => a.order.nonce - b.order.nonce);
  return traders;
}

function execute(core: Core, account: number, fills: readonly PlannedFill[], cycle: LiquidationCycle): void {
  const { arena, accounts, instruments, margin } = core;
  for (const { maker, instrument, side, lots, price, penaltyPerLot } of fills) {
    const base = maker << ORDER_STRIDE_SHIFT;
    const { records } = arena;
    const makerAccount = records[base + ACCOUNT] as number;
    const makerFee = lots * instruments.makerFeeAt(instrument, price);
    const makerPosition = records[base + POSITION] as number;
    margin.addOrder(makerPosition, -side, price, -lots);
    margin.applyTrade(makerPosition, -side, lots, price, makerFee);
    const own = accounts.findPosition(account, instrument);
    margin.applyTrade(own, side, lots, price, lots * penaltyPerLot);
    const nonce = (arena.order[maker] as Order).nonce;
    core.sink.onLiquidationFill(
      makerAccount,
      nonce,
      account,
      instrument,
      price,
      lots,
      side,
      makerFee,
      lots * penaltyPerLot,
      core.cycleIndex,
    );
    const open = (records[base + REMAINING] as number) - lots;
    records[base + REMAINING] = open;
    records[base + FLAGS] = (records[base + FLAGS] as number) | FLAG_IN_RING;
    if (open === 0) core.unrest(maker);
    accounts.releasePosition(own);
  }
  let deltas = cycle.legs.length;
  for (const { entries } of cycle.counterparties) deltas += entries.length;
  core.settle(cycle, fills.length, deltas);
  accounts.liquidationMs[account] = core.timeMs;
  core.assertInStep(account);
  for (const trader of cycle.counterparties) core.assertInStep(trader.account);
}
