// The reference engine: one list of orders, one list of fills that wait for their cycle, everything else looked up or
// computed from scratch. It shares with the engine under test the ledger, the commands and the events, nothing else.
import {
  applyCycle,
  CYCLE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  type Cycle,
  type CycleVerdict,
  cycleBytes,
  cycleWeight,
  decodeInboundEntry,
  encodeCycle,
  type InboundEntry,
  InstrumentKind,
  LedgerState,
  type ParameterSet,
  type TradeAccount,
  type TradeCycle,
} from "@tidemark/ledger";
import type { AmendCommand, Command, EventSink, OrderRequest, PlaceCommand, WithdrawCommand } from "../../src/index.ts";
import { signatures } from "../world.ts";
import {
  cellOf,
  figuresOf,
  instrumentOf,
  makerFee,
  makerFeeUncapped,
  marksUntil,
  marksUntilOf,
  type OpenLots,
  type PendingFill,
  type ReferenceFigures,
  type ReferenceOrder,
  type Standing,
  sideOf,
  standingOf,
  takerFee,
  trade,
} from "./account.ts";
import { planLiquidation } from "./liquidation.ts";

const MAX_I32 = 2 ** 31 - 1;
const sameSlot = (a: number, b: number): boolean => a % 65_536 === b % 65_536;
const LIFETIME_MS = 30 * 86_400_000;

export class ReferenceEngine {
  readonly ledger: LedgerState;
  orders: ReferenceOrder[] = [];
  timeMs = 0;
  #pending: PendingFill[] = [];
  #firstFillMs = 0;
  #lastFillMs = 0;
  #marksUntilMs = 0;
  #lastNonce = new Map<number, number>();
  #accepted = 0;
  #cycles = 0;
  #messages = 0;
  readonly #sink: EventSink;
  readonly #cycleAgeMsMax: number;

  constructor(parameters: ParameterSet, sink: EventSink, cycleAgeMsMax: number) {
    this.ledger = LedgerState.genesis(parameters);
    this.#sink = sink;
    this.#cycleAgeMsMax = cycleAgeMsMax;
  }

  apply(command: Command): number {
    this.#messages += 1;
    const code = command.timeMs < this.timeMs ? 2000 : this.#run(command);
    if (code !== 0) {
      const [account, nonce] =
        command.kind === "place" || command.kind === "amend"
          ? [command.order.account, command.order.nonce]
          : command.kind === "cancel"
            ? [command.account, command.nonce]
            : command.kind === "cancelAll"
              ? [command.account, -1]
              : command.kind === "withdraw"
                ? [command.withdrawal.account, command.withdrawal.nonce]
                : [-1, -1];
      this.#sink.onRejected(code, account, nonce);
    }
    return code;
  }

  #run(command: Command): number {
    this.#advance(command.timeMs);
    switch (command.kind) {
      case "place":
        return this.#place(command);
      case "amend":
        return this.#amend(command);
      case "cancel":
      case "cancelAll": {
        if (!this.#isTrader(command.account)) return 2011;
        if (!this.#mayTrade(command.account, command.signer, this.timeMs)) return 2012;
        const mine = this.orders.filter((order) => order.order.account === command.account);
        if (command.kind === "cancel") {
          const order = mine.find((one) => one.order.nonce === command.nonce);
          if (order === undefined) return 2013;
          this.#cancel(order, 1);
        } else {
          for (const order of mine)
            if (command.instrument === undefined || command.instrument === instrumentOf(order)) this.#cancel(order, 1);
        }
        return 0;
      }
      case "report":
        return this.#report(command);
      case "settle":
        return this.#settle(command);
      case "inbound":
        return this.#inbound(command.entries);
      case "withdraw":
        return this.#withdraw(command);
      case "checkpoint":
        this.#closeTrades();
        return 0;
      default:
        return 0;
    }
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #advance(timeMs: number): void {
    const expiries = this.#pending.flatMap(({ order }) => [
      order.order.expiryMs as number,
      cellOf(this.ledger, instrumentOf(order)).expiryMs || Number.MAX_SAFE_INTEGER,
    ]);
    const isOld = timeMs > this.#marksUntilMs || timeMs - this.#firstFillMs >= this.#cycleAgeMsMax;
    if (timeMs > this.timeMs && this.#pending.length > 0 && (isOld || expiries.some((expiryMs) => timeMs >= expiryMs)))
      this.#closeTrades();
    this.timeMs = timeMs;
    const due = this.orders.filter((order) => order.order.expiryMs <= timeMs);
    due.sort((a, b) => a.order.expiryMs - b.order.expiryMs || a.id - b.id);
    for (const order of due) this.#cancel(order, 6);
    const gone = this.orders.filter((order) => {
      const { expiryMs } = cellOf(this.ledger, instrumentOf(order));
      return expiryMs !== 0 && expiryMs <= timeMs;
    });
    gone.sort((a, b) => instrumentOf(a) - instrumentOf(b) || a.id - b.id);
    for (const order of gone) this.#cancel(order, 7);
  }

  // ── cycles ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #tryCycle(cycle: Cycle, fills: number, deltas: number): CycleVerdict {
    const verdict = applyCycle(this.ledger, cycle, { signatures });
    if (verdict.ok) {
      this.#sink.onCycle({
        index: this.#cycles,
        kind: cycle.kind,
        timeMs: cycle.timeMs,
        payload: encodeCycle(cycle),
        postRoot: verdict.root,
        fills,
        messages: this.#messages,
        settledDeltas: deltas,
      });
      this.#cycles += 1;
      this.#messages = 0;
    }
    return verdict;
  }

  #cycle(cycle: Cycle, fills: number, deltas: number): Extract<CycleVerdict, { ok: true }> {
    const verdict = this.#tryCycle(cycle, fills, deltas);
    if (!verdict.ok) throw new Error(`reference: ledger refuses ${cycle.kind}: ${verdict.rejection.name}`);
    return verdict;
  }

  #tradeCycle(fills: readonly PendingFill[]): TradeCycle {
    const orders = [...new Set(fills.map(({ order }) => order))];
    const numbers = [...new Set(orders.map((order) => order.order.account as number))].sort((a, b) => a - b);
    const accounts = numbers.map((account) => ({
      account,
      positionCount: this.ledger.account(account)?.positions.length ?? 0,
      entries: orders
        .filter((order) => order.order.account === account)
        .sort((a, b) => a.order.nonce - b.order.nonce)
        .map((order) => {
          const own = fills.filter((fill) => fill.order === order);
          return {
            order: order.order,
            signature: order.inRing ? null : order.signature,
            filledLots: own.reduce((sum, fill) => sum + fill.lots, 0),
            cash: Number(own.reduce((sum, fill) => sum + fill.cash, 0n)),
            fee: Number(own.reduce((sum, fill) => sum + fill.fee, 0n)),
          };
        }),
    }));
    return {
      kind: "trade",
      timeMs: this.#lastFillMs as TradeCycle["timeMs"],
      accounts: accounts as unknown as TradeAccount[],
    };
  }

  #closeTrades(): void {
    if (this.#pending.length === 0) return;
    const cycle = this.#tradeCycle(this.#pending);
    const orders = new Set(this.#pending.map(({ order }) => order));
    this.#cycle(cycle, this.#pending.length / 2, orders.size);
    for (const order of orders) order.inRing = true;
    this.#pending = [];
  }

  /** May these two fills join the waiting ones? */
  #fits(fills: readonly PendingFill[]): boolean {
    if (this.#pending.length === 0) return true;
    const all = [...this.#pending, ...fills];
    const cycle = this.#tradeCycle(all);
    if (cycle.accounts.length > 255 || cycle.accounts.some(({ entries }) => entries.length > 255)) return false;
    if (cycleBytes(cycle) > CYCLE_BYTES_MAX || cycleWeight(cycle) > CYCLE_WEIGHT_MAX) return false;
    for (const { order } of fills) {
      const same = all.filter(
        (fill) => fill.order.order.account === order.order.account && instrumentOf(fill.order) === instrumentOf(order),
      );
      if (!same.some((fill) => fill.order.order.flags === 1)) continue;
      const start =
        this.ledger.account(order.order.account)?.positions.find((one) => one.instrument === instrumentOf(order))
          ?.size ?? 0;
      const net = same.reduce((sum, fill) => sum + sideOf(fill.order) * fill.lots, 0);
      if (start === 0 || same.some((fill) => sideOf(fill.order) * start > 0) || Math.abs(net) > Math.abs(start))
        return false;
    }
    return true;
  }

  // ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────

  standing(account: number): Standing {
    return standingOf(this.ledger, account, this.#pending);
  }

  #openLots(account: number, without?: ReferenceOrder): OpenLots[] {
    return this.orders
      .filter((order) => order.order.account === account && order !== without)
      .map((order) => ({
        instrument: instrumentOf(order),
        side: sideOf(order),
        price: order.order.limitPrice,
        lots: order.open,
        fee: makerFee(this.ledger, instrumentOf(order), order.order.limitPrice),
      }));
  }

  figures(account: number): ReferenceFigures {
    return figuresOf(this.ledger, this.standing(account), this.#openLots(account));
  }

  #credit(account: number): bigint {
    return BigInt(this.ledger.account(account)?.credit ?? 0);
  }

  #isCovered(account: number): boolean {
    const figures = this.figures(account);
    return figures.equity + this.#credit(account) >= figures.initial && figures.exposure < 2n ** 52n;
  }

  #held(account: number, instrument: number): number {
    return Number(this.standing(account).holdings.get(instrument)?.size ?? 0n);
  }

  #isTrader(account: number): boolean {
    return account >= 2 && this.ledger.account(account) !== undefined;
  }

  #mayTrade(account: number, signer: string, untilMs: number): boolean {
    const cell = this.ledger.account(account);
    if (cell === undefined) return false;
    return (
      cell.owner === signer ||
      cell.delegates.some((one) => one.key === signer && (one.scopes & 1) === 1 && one.expiryMs >= untilMs)
    );
  }

  #sameOwner(a: number, b: number): boolean {
    return this.ledger.account(a)?.owner === this.ledger.account(b)?.owner;
  }

  /** Orders on a side in priority. */
  book(instrument: number, side: number): ReferenceOrder[] {
    const orders = this.orders.filter((order) => instrumentOf(order) === instrument && sideOf(order) === side);
    return orders.sort((a, b) => side * (b.order.limitPrice - a.order.limitPrice) || a.id - b.id);
  }

  // ── admission ────────────────────────────────────────────────────────────────────────────────────────────────────

  #nonceCode(account: number, nonce: number): number {
    if (nonce < (this.ledger.account(account)?.minNonce ?? 0)) return 2026;
    if (nonce <= (this.#lastNonce.get(account) ?? -1)) return 2027;
    const sameSlot = (order: ReferenceOrder): boolean =>
      order.order.account === account && order.order.nonce % 65_536 === nonce % 65_536;
    if (this.orders.some(sameSlot) || this.#pending.some(({ order }) => sameSlot(order))) return 2028;
    const slot = this.ledger.ringSlot(account, nonce);
    return slot !== undefined && (slot.nonce >= nonce || slot.receiptDeadlineMs >= this.timeMs) ? 2028 : 0;
  }

  #identityCode({ order, signer }: OrderRequest): number {
    if (order.domain !== this.ledger.parameters.domain) return 2010;
    if (!this.#isTrader(order.account)) return 2011;
    return this.#mayTrade(order.account, signer, order.expiryMs) ? 0 : 2012;
  }

  #shapeCode(request: OrderRequest, carried: number, isAmend: boolean): number {
    const { order, type, timeInForce, postOnly } = request;
    const { timeMs } = this;
    const leg = order.legs[0];
    if (order.legs.length !== 1 || leg?.ratio !== 1) return 2016;
    const cell = this.ledger.instrument(leg.instrument);
    if (cell === undefined || cell.kind === InstrumentKind.spot) return 2017;
    if (cell.status !== 1 || (cell.expiryMs !== 0 && timeMs >= cell.expiryMs)) return 2018;
    if (
      order.flags > 1 ||
      (type === "market" && (timeInForce !== "ioc" || postOnly)) ||
      (postOnly && timeInForce !== "gtc")
    )
      return 2019;
    if (order.size === 0) return 2020;
    if (Math.abs(order.size) <= carried) return 2015;
    if (order.limitPrice < 1) return 2021;
    if (order.startMs > timeMs) return 2023;
    if (order.expiryMs <= timeMs) return 2024;
    if (order.expiryMs - order.startMs > LIFETIME_MS) return 2025;
    const nonceCode = this.#nonceCode(order.account, order.nonce);
    if (nonceCode !== 0) return nonceCode;
    const fee = postOnly ? makerFeeUncapped(this.ledger, leg.instrument) : BigInt(cell.feePerLot);
    if (BigInt(order.maxFeePerLot) < fee) return 2029;
    if (
      timeMs > marksUntil(this.ledger, leg.instrument) ||
      timeMs > marksUntilOf(this.ledger, this.standing(order.account))
    )
      return 2030;
    return isAmend && (type !== "limit" || timeInForce !== "gtc") ? 2019 : 0;
  }

  /** `replaced` counts as gone. */
  #meansCode(request: OrderRequest, lots: number, replaced?: ReferenceOrder): number {
    const { order, timeInForce, postOnly } = request;
    const { account, limitPrice } = order;
    const instrument = order.legs[0]?.instrument as number;
    const side = order.size > 0 ? 1 : -1;
    const standing = this.standing(account);
    const used = new Set([
      ...standing.holdings.keys(),
      ...this.orders.filter((one) => one.order.account === account).map(instrumentOf),
    ]);
    if (!used.has(instrument) && used.size >= 128) return 2031;
    const held = Number(standing.holdings.get(instrument)?.size ?? 0n);
    if (order.flags === 1 && held * side >= 0) return 2032;
    const opposite = this.book(instrument, -side);
    const best = opposite[0];
    const crosses = (price: number): boolean => side * price <= side * limitPrice;
    if (postOnly && best !== undefined && crosses(best.order.limitPrice)) return 2033;
    if (timeInForce === "fok") {
      let fillable = 0;
      for (const maker of opposite) {
        if (!crosses(maker.order.limitPrice) || this.#sameOwner(maker.order.account, account)) break;
        if (maker.order.flags === 1 || this.timeMs > marksUntilOf(this.ledger, this.standing(maker.order.account)))
          continue;
        fillable += maker.open;
      }
      if (fillable < lots || (order.flags === 1 && lots > Math.abs(held))) return 2034;
    }
    const open = this.#openLots(account, replaced);
    const own = open.filter((one) => one.instrument === instrument);
    const reachOf = (more: number): number => {
      const buys = own.filter((one) => one.side > 0).reduce((sum, one) => sum + one.lots, side > 0 ? more : 0);
      const sells = own.filter((one) => one.side < 0).reduce((sum, one) => sum + one.lots, side < 0 ? more : 0);
      return Math.max(Math.abs(held + buys), Math.abs(held - sells));
    };
    if (reachOf(lots) > MAX_I32) return 2035;
    const exposureBefore = figuresOf(this.ledger, standing, open).exposure;
    const cell = cellOf(this.ledger, instrument);
    const exposure = exposureBefore + BigInt(reachOf(lots) - reachOf(0)) * BigInt(Math.max(...cell.row));
    if (exposure >= 2n ** 50n && exposure > exposureBefore) return 2035;
    const worst = Math.max(limitPrice, side < 0 && best !== undefined ? best.order.limitPrice : 0);
    let cash = BigInt(lots) * (BigInt(worst) * BigInt(cell.tickValueMicroUsdc) + BigInt(cell.feePerLot));
    for (const one of open)
      cash +=
        BigInt(one.lots) *
        (BigInt(one.price) * BigInt(cellOf(this.ledger, one.instrument).tickValueMicroUsdc) + one.fee);
    const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);
    const marked = figuresOf(this.ledger, standing, []).equity;
    let pending = marked - standing.cash;
    for (const [number, { size }] of standing.holdings)
      pending -= size * BigInt(cellOf(this.ledger, number).row[0] as number);
    return cash + magnitude(standing.cash) + magnitude(pending) < 2n ** 52n ? 0 : 2035;
  }

  #isOrderCovered(request: OrderRequest, lots: number, replaced?: ReferenceOrder): boolean {
    const { order } = request;
    const instrument = order.legs[0]?.instrument as number;
    const incoming = {
      instrument,
      side: order.size > 0 ? 1 : -1,
      price: order.limitPrice,
      lots,
      fee: takerFee(this.ledger, instrument, order.limitPrice),
    };
    const figures = figuresOf(this.ledger, this.standing(order.account), [
      ...this.#openLots(order.account, replaced),
      incoming,
    ]);
    return figures.equity + this.#credit(order.account) >= figures.initial;
  }

  #isFillAllowed(taker: ReferenceOrder, price: number, lots: number): boolean {
    const { account } = taker.order;
    const instrument = instrumentOf(taker);
    const side = sideOf(taker);
    const open = this.#openLots(account);
    const before = figuresOf(this.ledger, this.standing(account), open);
    const next = this.standing(account);
    const cost = BigInt(side * lots) * BigInt(price) * BigInt(cellOf(this.ledger, instrument).tickValueMicroUsdc);
    trade(
      this.ledger,
      next,
      instrument,
      BigInt(side * lots),
      -cost - BigInt(lots) * takerFee(this.ledger, instrument, price),
    );
    const after = figuresOf(this.ledger, next, open);
    if (after.equity + this.#credit(account) >= after.initial) return true;
    if (open.length > 0 || after.initial >= before.initial) return false;
    if (after.equity - after.initial < before.equity - before.initial) return false;
    if (after.equity < (before.equity < 0n ? before.equity : 0n)) return false;
    return before.equity <= 0n || after.equity * before.initial >= before.equity * after.initial;
  }

  #reducible(order: ReferenceOrder): number {
    if (order.order.flags !== 1) return order.open;
    const held = this.#held(order.order.account, instrumentOf(order));
    return held * sideOf(order) >= 0 ? 0 : Math.min(order.open, Math.abs(held));
  }

  // ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #place(command: PlaceCommand): number {
    const code =
      this.#identityCode(command) ||
      this.#shapeCode(command, 0, false) ||
      this.#meansCode(command, Math.abs(command.order.size));
    if (code !== 0) return code;
    const lots = Math.abs(command.order.size);
    const taker: ReferenceOrder = { ...command, id: this.#accepted + 1, open: lots, inRing: false };
    const covered = this.#isOrderCovered(command, lots);
    if (!covered) {
      const maker = this.book(instrumentOf(taker), -sideOf(taker))[0];
      if (command.timeInForce !== "ioc" || maker === undefined) return 2036;
      const { limitPrice, account } = maker.order;
      const take = Math.min(this.#reducible(taker), this.#reducible(maker));
      const stale = this.timeMs > marksUntilOf(this.ledger, this.standing(account));
      if (
        sideOf(taker) * limitPrice > sideOf(taker) * command.order.limitPrice ||
        this.#sameOwner(account, command.order.account)
      )
        return 2036;
      if (stale || take === 0 || !this.#isFillAllowed(taker, limitPrice, take)) return 2036;
    }
    this.#accepted += 1;
    this.#lastNonce.set(command.order.account, command.order.nonce);
    const { account, nonce, limitPrice, size } = command.order;
    this.#sink.onAccepted(taker.id, account, nonce, instrumentOf(taker), limitPrice, size);
    this.#execute(taker, covered);
    return 0;
  }

  #amend(command: AmendCommand): number {
    const { order } = command;
    let code = this.#identityCode(command);
    if (code !== 0) return code;
    const old = this.orders.find((one) => one.order.account === order.account && one.order.nonce === command.replaces);
    if (old === undefined) return 2013;
    if (order.legs[0]?.instrument !== instrumentOf(old) || order.size * sideOf(old) <= 0) return 2014;
    const filled = Math.abs(old.order.size) - old.open;
    const lots = Math.abs(order.size) - filled;
    code = this.#shapeCode(command, filled, true) || this.#meansCode(command, lots, old);
    if (code !== 0) return code;
    if (!this.#isOrderCovered(command, lots, old)) return 2036;
    this.#lastNonce.set(order.account, order.nonce);
    const place = this.orders.indexOf(old);
    if (order.limitPrice === old.order.limitPrice && lots <= old.open) {
      this.orders[place] = { ...command, id: old.id, open: lots, inRing: false };
      this.#sink.onAmended(old.id, order.account, order.nonce, command.replaces, order.limitPrice, lots);
      return 0;
    }
    this.orders.splice(place, 1);
    this.#accepted += 1;
    const taker: ReferenceOrder = { ...command, id: this.#accepted, open: lots, inRing: false };
    this.#sink.onAmended(taker.id, order.account, order.nonce, command.replaces, order.limitPrice, lots);
    this.#execute(taker, true);
    return 0;
  }

  #execute(taker: ReferenceOrder, covered: boolean): void {
    const reason = this.#match(taker, covered);
    if (taker.open === 0) return;
    if (reason === 0 && taker.timeInForce === "gtc") this.orders.push(taker);
    else
      this.#sink.onCancelled(
        taker.id,
        taker.order.account,
        taker.order.nonce,
        instrumentOf(taker),
        taker.open,
        reason || 3,
      );
  }

  #match(taker: ReferenceOrder, covered: boolean): number {
    const instrument = instrumentOf(taker);
    const side = sideOf(taker);
    while (taker.open > 0) {
      const maker = this.book(instrument, -side)[0];
      if (maker === undefined || side * maker.order.limitPrice > side * taker.order.limitPrice) return 0;
      if (this.#sameOwner(maker.order.account, taker.order.account)) return 4;
      if (this.timeMs > marksUntilOf(this.ledger, this.standing(maker.order.account))) {
        this.#cancel(maker, 8);
        continue;
      }
      if (this.#reducible(maker) === 0) {
        this.#cancel(maker, 5);
        continue;
      }
      const lots = Math.min(this.#reducible(maker), this.#reducible(taker));
      if (lots === 0) return 5;
      const price = maker.order.limitPrice;
      if (!covered && !this.#isFillAllowed(taker, price, lots)) return 10;
      this.#fill(maker, taker, lots, price);
    }
    return 0;
  }

  #fill(maker: ReferenceOrder, taker: ReferenceOrder, lots: number, price: number): void {
    const instrument = instrumentOf(taker);
    const side = sideOf(taker);
    const cash = BigInt(side * lots) * BigInt(price) * BigInt(cellOf(this.ledger, instrument).tickValueMicroUsdc);
    const fills: PendingFill[] = [
      { order: maker, lots, cash, fee: BigInt(lots) * makerFee(this.ledger, instrument, price) },
      { order: taker, lots, cash: -cash, fee: BigInt(lots) * takerFee(this.ledger, instrument, price) },
    ];
    if (!this.#fits(fills)) this.#closeTrades();
    if (this.#pending.length === 0) {
      this.#firstFillMs = this.timeMs;
      this.#marksUntilMs = Number.MAX_SAFE_INTEGER;
    }
    this.#lastFillMs = this.timeMs;
    const marks = fills.map(({ order }) => marksUntilOf(this.ledger, this.standing(order.order.account)));
    this.#marksUntilMs = Math.min(this.#marksUntilMs, marksUntil(this.ledger, instrument), ...marks);
    this.#pending.push(...fills);
    maker.open -= lots;
    taker.open -= lots;
    const [makerPays, takerPays] = fills.map(({ fee }) => Number(fee)) as [number, number];
    this.#sink.onFill(
      maker.order.account,
      maker.order.nonce,
      taker.order.account,
      taker.order.nonce,
      instrument,
      price,
      lots,
      side,
      makerPays,
      takerPays,
      this.#cycles,
    );
    if (maker.open === 0) this.orders.splice(this.orders.indexOf(maker), 1);
  }

  #cancel(order: ReferenceOrder, reason: number): void {
    this.orders.splice(this.orders.indexOf(order), 1);
    this.#sink.onCancelled(order.id, order.order.account, order.order.nonce, instrumentOf(order), order.open, reason);
  }

  #cancelUncovered(account: number): void {
    for (;;) {
      const newest = this.orders.filter((order) => order.order.account === account).sort((a, b) => b.id - a.id)[0];
      if (newest === undefined || this.#isCovered(account)) return;
      this.#cancel(newest, 10);
    }
  }

  // ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #report(command: Extract<Command, { kind: "report" }>): number {
    this.#closeTrades();
    const { underlying, timeMs } = command;
    const before = this.ledger.underlying(underlying);
    const fundingBefore = before?.hasPerpetual === true ? cellOf(this.ledger, before.perpetual).fundingIndex : null;
    const verdict = this.#tryCycle({ ...command, kind: "report" }, 0, 0);
    if (!verdict.ok) return verdict.rejection.code;
    const after = this.ledger.underlying(underlying);
    if (after === undefined) throw new Error("underlying");
    const wanted: number[] = [];
    for (let number = 0; number < this.ledger.instrumentCount; number++) {
      const cell = cellOf(this.ledger, number);
      const priceable =
        cell.kind === InstrumentKind.perpetual || after.surfaces.some((surface) => surface.expiryMs === cell.expiryMs);
      if (cell.underlying !== underlying || cell.status !== 1 || !priceable) continue;
      const isUsed =
        this.orders.some((order) => instrumentOf(order) === number) ||
        this.ledger.accountNumbers().some((account) => this.#held(account, number) !== 0);
      if (
        isUsed ||
        cell.rowEpoch === 0 ||
        after.reportMs - cell.rowTimeMs > this.ledger.parameters.risk.markAgeMaxMs / 2
      )
        wanted.push(number);
    }
    do {
      const instruments = wanted.splice(0, 16);
      this.#cycle({ kind: "rows", timeMs, underlying, instruments, closesEpoch: wanted.length === 0 } as Cycle, 0, 0);
    } while (wanted.length > 0);
    if (fundingBefore !== null) {
      const fundingAfter = cellOf(this.ledger, after.perpetual).fundingIndex;
      if (fundingAfter !== fundingBefore) this.#sink.onFunding(after.perpetual, fundingBefore, fundingAfter);
    }
    const affected = this.ledger.accountNumbers().filter((account) => {
      const instruments = [
        ...this.standing(account).holdings.keys(),
        ...this.orders.filter((order) => order.order.account === account).map(instrumentOf),
      ];
      return (
        account >= 2 && instruments.some((instrument) => cellOf(this.ledger, instrument).underlying === underlying)
      );
    });
    for (const account of affected) {
      for (const order of this.orders.filter((one) => one.order.account === account).sort((a, b) => a.id - b.id)) {
        if (BigInt(order.order.maxFeePerLot) < makerFee(this.ledger, instrumentOf(order), order.order.limitPrice))
          this.#cancel(order, 9);
      }
      this.#cancelUncovered(account);
    }
    for (const account of affected) this.#liquidate(account);
    return 0;
  }

  #liquidate(account: number): void {
    const standing = this.standing(account);
    if (standing.holdings.size === 0) return this.#tellBadDebt(account);
    const start = figuresOf(this.ledger, standing, []);
    if (start.equity + this.#credit(account) >= start.maintenance) return;
    for (const order of this.orders.filter((one) => one.order.account === account).sort((a, b) => a.id - b.id))
      this.#cancel(order, 11);
    const cell = this.ledger.account(account);
    const instruments = [...standing.holdings.keys()];
    const isNewer = instruments.some(
      (number) =>
        (this.ledger.underlying(cellOf(this.ledger, number).underlying)?.reportMs ?? 0) > (cell?.liquidationMs ?? 0),
    );
    if (this.timeMs > marksUntilOf(this.ledger, standing) || !isNewer) return;
    const planned = planLiquidation(
      this.ledger,
      account,
      standing,
      this.timeMs,
      (instrument, side) =>
        this.book(instrument, side).filter((order) => {
          if (this.#sameOwner(order.order.account, account) || order.order.flags === 1) return false;
          return this.timeMs <= marksUntilOf(this.ledger, this.standing(order.order.account));
        }),
      (fills) => {
        const trades = this.#tradeCycle(fills);
        return trades.accounts;
      },
    );
    const legs = planned?.cycle.legs ?? [];
    const penalty = legs.reduce((sum, leg) => sum + leg.fee, 0);
    this.#sink.onLiquidation(
      account,
      Number(start.equity),
      Number(start.initial),
      Number(start.maintenance),
      legs.length,
      penalty,
    );
    if (planned === null) return;
    let deltas = legs.length;
    for (const { maker, lots, price, side, instrument, penaltyPerLot } of planned.fills) {
      maker.open -= lots;
      const fee = Number(BigInt(lots) * makerFee(this.ledger, instrument, price));
      this.#sink.onLiquidationFill(
        maker.order.account,
        maker.order.nonce,
        account,
        instrument,
        price,
        lots,
        side,
        fee,
        lots * Number(penaltyPerLot),
        this.#cycles,
      );
      deltas += 1;
    }
    this.#cycle(planned.cycle, planned.fills.length, deltas);
    for (const { maker } of planned.fills) {
      maker.inRing = true;
      if (maker.open === 0) this.orders.splice(this.orders.indexOf(maker), 1);
    }
    if (this.standing(account).holdings.size === 0) this.#tellBadDebt(account);
  }

  #tellBadDebt(account: number): void {
    const { cash } = this.standing(account);
    if (cash < 0n) this.#sink.onBadDebt(account, Number(-cash));
  }

  // ── expiry, queue, withdrawals ───────────────────────────────────────────────────────────────────────────────────

  #settle(command: Extract<Command, { kind: "settle" }>): number {
    this.#closeTrades();
    const { underlying, expiryMs, settlementPrice } = command;
    const all = Array.from({ length: this.ledger.instrumentCount }, (_, number) => number);
    const settled = all.filter((number) => {
      const cell = cellOf(this.ledger, number);
      return cell.expiryMs !== 0 && cell.expiryMs === expiryMs && cell.underlying === underlying && cell.status === 1;
    });
    if (settled.length === 0) return 804;
    if (settled.length > 64) throw new Error("reference: one cycle of instruments");
    const verdict = this.#tryCycle(
      { ...command, kind: "expiry", instruments: settled, realisations: [] } as unknown as Cycle,
      0,
      settled.length,
    );
    if (!verdict.ok) return verdict.rejection.code;
    const holders = this.ledger
      .accountNumbers()
      .filter((account) => settled.some((number) => this.#held(account, number) !== 0));
    let realisations = holders.map((account) => ({
      account,
      positionCount: this.standing(account).holdings.size,
      instruments: settled.filter((number) => this.#held(account, number) !== 0),
    }));
    const total = realisations.length;
    while (realisations.length > 0) {
      let part = realisations.slice(0, 16);
      const cycleFor = (some: typeof part): Cycle =>
        ({ ...command, kind: "expiry", instruments: [], realisations: some }) as unknown as Cycle;
      while (cycleWeight(cycleFor(part)) > CYCLE_WEIGHT_MAX) part = part.slice(0, -1);
      this.#cycle(
        cycleFor(part),
        0,
        part.reduce((sum, one) => sum + one.instruments.length, 0),
      );
      realisations = realisations.slice(part.length);
    }
    for (const account of holders) {
      this.#cancelUncovered(account);
      if (this.standing(account).holdings.size === 0) this.#tellBadDebt(account);
    }
    this.#sink.onExpiry(underlying, expiryMs, settlementPrice, settled.length, total);
    return 0;
  }

  #inbound(raw: readonly Uint8Array[]): number {
    const decoded = raw.map((bytes) => decodeInboundEntry(bytes));
    if (decoded.length === 0 || decoded.some((one) => !one.ok)) return 900;
    const entries = decoded.map((one) => (one as { entry: InboundEntry }).entry);
    this.#closeTrades();
    const listedBefore = this.ledger.instrumentCount;
    const cursor = this.ledger.globals.inboundCursor;
    const { outcomes } = this.#cycle({ kind: "inbound", timeMs: this.timeMs, entries } as Cycle, 0, entries.length);
    for (const [i, entry] of entries.entries()) {
      const code = outcomes[i]?.code as number;
      this.#sink.onInboundOutcome(cursor + i, code);
      if (code === 0 && entry.type === "deposit") this.#sink.onDeposit(entry.account, entry.amount);
    }
    const forced = entries.flatMap((entry, i) =>
      entry.type === "forcedClose" && outcomes[i]?.code === 0 ? [this.#forcedOrder(entry)] : [],
    );
    for (let number = listedBefore; number < this.ledger.instrumentCount; number++) {
      const { underlying, expiryMs } = cellOf(this.ledger, number);
      this.#sink.onListed(number, underlying, expiryMs);
    }
    const accounts = new Set(
      entries.flatMap((entry) =>
        entry.type === "listSeries" || entry.type === "adminChange" || !this.#isTrader(entry.account)
          ? []
          : [entry.account as number],
      ),
    );
    for (const account of [...accounts].sort((a, b) => a - b)) {
      for (const { order } of forced) {
        const dead = this.orders.find(
          (one) => one.order.account === account && order.account === account && sameSlot(one.order.nonce, order.nonce),
        );
        if (dead !== undefined) this.#cancel(dead, 14);
      }
      for (const order of this.orders.filter((one) => one.order.account === account).sort((a, b) => a.id - b.id)) {
        if (order.order.nonce < (this.ledger.account(account)?.minNonce ?? 0)) this.#cancel(order, 13);
        else if (!this.#mayTrade(account, order.signer, order.order.expiryMs)) this.#cancel(order, 12);
      }
      this.#cancelUncovered(account);
    }
    for (const request of forced) {
      // Used, whatever becomes of it: the ledger's ring holds it.
      const { account, nonce } = request.order;
      this.#lastNonce.set(account, Math.max(nonce, this.#lastNonce.get(account) ?? -1));
      const code = this.#force(request);
      if (code !== 0) this.#sink.onRejected(code, request.order.account, request.order.nonce);
    }
    return 0;
  }

  /** What a forced close asks for, in words of an order: good till cancelled, reduce-only, its owner's, for a day. */
  #forcedOrder(entry: Extract<InboundEntry, { type: "forcedClose" }>): OrderRequest {
    const { account, instrument, size, limitPrice, nonce } = entry;
    const order = {
      domain: this.ledger.parameters.domain,
      account,
      legs: [{ instrument, ratio: 1 }],
      size,
      limitPrice,
      maxFeePerLot: 2 ** 40 - 1,
      nonce,
      startMs: this.timeMs,
      expiryMs: this.timeMs + 86_400_000,
      flags: 1,
    } as OrderRequest["order"];
    const signer = this.ledger.account(account)?.owner as OrderRequest["signer"];
    return { order, signature: "0x", signer, type: "limit", timeInForce: "gtc", postOnly: false };
  }

  #force(request: OrderRequest): number {
    const { account, nonce, limitPrice, size } = request.order;
    const instrument = request.order.legs[0]?.instrument as number;
    if (nonce < (this.ledger.account(account)?.minNonce ?? 0)) return 2026;
    if (limitPrice < 1) return 2021;
    if (this.timeMs > marksUntil(this.ledger, instrument)) return 2030;
    if (this.timeMs > marksUntilOf(this.ledger, this.standing(account))) return 2030;
    const lots = Math.abs(size);
    const code = this.#meansCode(request, lots);
    if (code !== 0) return code;
    const covered = this.#isOrderCovered(request, lots);
    this.#accepted += 1;
    this.#sink.onAccepted(this.#accepted, account, nonce, instrument, limitPrice, size);
    const timeInForce = covered ? "gtc" : "ioc";
    this.#execute({ ...request, timeInForce, id: this.#accepted, open: lots, inRing: true }, covered);
    return 0;
  }

  #withdraw(command: WithdrawCommand): number {
    const { withdrawal, signature, timeMs } = command;
    const { account, amount, nonce } = withdrawal;
    if (!this.#isTrader(account)) return 1000;
    const nonceCode = this.#nonceCode(account, nonce);
    if (nonceCode !== 0) return nonceCode;
    const figures = this.figures(account);
    const hasOrders = this.orders.some((order) => order.order.account === account);
    if (hasOrders && BigInt(amount) > figures.equity - figures.initial) return 2050;
    this.#closeTrades();
    const positionCount = this.standing(account).holdings.size;
    const number = this.ledger.outboxCount;
    const verdict = this.#tryCycle(
      { kind: "outbound", timeMs, withdrawals: [{ withdrawal, signature, positionCount }] },
      0,
      1,
    );
    if (!verdict.ok) return verdict.rejection.code;
    this.#lastNonce.set(account, nonce);
    this.#sink.onWithdrawal(number, account, amount);
    return 0;
  }
}
