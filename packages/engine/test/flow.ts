// Random command streams from a seed: makers, takers, accomplices at off-market prices, thin accounts that get liquidated,
// expiries, funding, key grants and revocations, withdrawals, and every kind of bad command.
import { type Address, InstrumentKind, InstrumentStatus, type ParameterSet } from "@tidemark/ledger";
import type { Command, Engine, TimeInForce } from "../src/index.ts";
import { addressOf, DAY_MS, inboundCommand, type OrderWish, Random, START_MS, surfaceOf, World } from "./world.ts";

export interface FlowOptions {
  seed: number;
  accounts: number;
  /** Instruments stay few, so that books cross. */
  strikes: number;
}

interface Trader {
  account: number;
  owner: Address;
  delegate: Address;
  delegateExpiryMs: number;
  hasDelegate: boolean;
  nonce: number;
}

interface LiveOrder {
  account: number;
  nonce: number;
  instrument: number;
  size: number;
  price: number;
}

type Wish = OrderWish & { owner: Address; signer: Address; timeInForce: TimeInForce };

const INDEX = [100_000_000_000, 4_000_000_000];

export class Flow {
  readonly world: World;
  readonly random: Random;
  readonly traders: Trader[] = [];
  timeMs = START_MS;
  #live: LiveOrder[] = [];
  readonly #index = INDEX.slice();
  readonly #expiries: [number[], number[]] = [[], []];
  readonly #settled = new Set<string>();
  readonly #options: FlowOptions;
  #listed = 0;
  #nextReport = 0;

  constructor(options: FlowOptions, parameters: ParameterSet) {
    this.world = new World(parameters);
    this.random = new Random(options.seed);
    this.#options = options;
  }

  /** Commands that open the venue. */
  *opening(): Generator<Command> {
    for (let i = 0; i < this.#options.accounts; i++) {
      const account = 2 + i;
      // Every third account shares its owner with the one before: self-trade prevention is by owner.
      const owner = addressOf(i % 3 === 2 ? account - 1 : account);
      this.traders.push({
        account,
        owner,
        delegate: addressOf(1000 + account),
        delegateExpiryMs: 0,
        hasDelegate: false,
        nonce: 0,
      });
      const amount = i < 4 ? 5_000_000_000_000 : this.random.integer(100, 3_000) * 1_000_000;
      yield inboundCommand(this.timeMs, [
        { type: "openAccount", account, owner },
        { type: "deposit", account, amount, payer: owner },
      ]);
    }
    yield inboundCommand(this.timeMs, [{ type: "deposit", account: 1, amount: 1_000_000_000, payer: addressOf(911) }]);
    yield inboundCommand(
      this.timeMs,
      [0, 1].map((underlying) => ({ type: "listSeries", underlying, expiryMs: 0, strikes: [] })),
    );
    for (const underlying of [0, 1]) {
      yield this.#list(underlying, this.timeMs + 150_000);
      yield this.#list(underlying, this.timeMs + 20 * DAY_MS);
    }
    yield this.#report(0);
    yield this.#report(1);
  }

  #list(underlying: number, expiryMs: number): Command {
    this.#expiries[underlying as 0 | 1].push(expiryMs);
    const index = this.#index[underlying] as number;
    const strikes = Array.from(
      { length: this.#options.strikes },
      (_, i) =>
        Math.round((index * (0.95 + (0.1 * i) / Math.max(1, this.#options.strikes - 1))) / 1_000_000) * 1_000_000,
    );
    this.#listed += 1;
    return inboundCommand(this.timeMs, [{ type: "listSeries", underlying, expiryMs, strikes }]);
  }

  #report(underlying: number, change = 0): Command {
    const index = Math.round((this.#index[underlying] as number) * (1 + change));
    this.#index[underlying] = index;
    const windowMs = this.world.parameters.risk.averagingWindowMs;
    const surfaces = this.#expiries[underlying as 0 | 1]
      .filter((expiryMs) => expiryMs > this.timeMs)
      .sort((a, b) => a - b)
      .map((expiryMs) => surfaceOf(expiryMs, index, this.timeMs, windowMs));
    return this.world.report(this.timeMs, underlying, index, this.random.integer(-8_000_000, 8_000_000), surfaces);
  }

  next(engine: Engine): Command {
    const { random } = this;
    this.timeMs += random.chance(0.3) ? 0 : random.integer(1, random.chance(0.02) ? 6_000 : 220);
    const due = this.#dueSettlement();
    if (due !== null) return due;
    if (this.timeMs >= this.#nextReport) {
      this.#nextReport = this.timeMs + random.integer(3_000, 14_000);
      const jump = random.chance(0.25) ? 0.12 : 0.006;
      return this.#report(random.integer(0, 1), (random.next() * 2 - 1) * jump);
    }
    const roll = random.next();
    if (roll < 0.58) return this.#place(engine);
    if (roll < 0.7) return this.#amend(engine);
    if (roll < 0.82) return this.#cancel(engine);
    if (roll < 0.84) return this.#cancelAll();
    if (roll < 0.9) return this.#inbound(engine);
    if (roll < 0.94) return this.#withdraw(engine);
    if (roll < 0.97)
      return { kind: "tick", timeMs: (random.chance(0.9) ? this.timeMs : this.timeMs - 5_000) as Command["timeMs"] };
    if (roll < 0.985) return this.#badOracle();
    return { kind: "checkpoint", timeMs: this.timeMs as Command["timeMs"] };
  }

  #dueSettlement(): Command | null {
    for (const underlying of [0, 1] as const) {
      for (const expiryMs of this.#expiries[underlying]) {
        const key = `${underlying}:${expiryMs}`;
        if (expiryMs + 400 > this.timeMs || this.#settled.has(key)) continue;
        this.#settled.add(key);
        this.#relist = underlying;
        return this.world.settle(this.timeMs, underlying, expiryMs, this.#index[underlying] as number);
      }
    }
    if (this.#relist < 0) return null;
    const underlying = this.#relist;
    this.#relist = -1;
    return this.#list(underlying, this.timeMs + this.random.integer(60_000, 200_000));
  }
  #relist = -1;

  #trader(): Trader {
    return this.random.pick(this.traders);
  }

  #instrument(engine: Engine): number {
    const count = engine.ledger.instrumentCount;
    // Perpetuals (0 and 1) and the newest series carry most of the flow.
    if (this.random.chance(0.4)) return this.random.integer(0, Math.min(1, count - 1));
    const instrument = this.random.integer(0, count - 1);
    const isLive = engine.ledger.instrument(instrument)?.status === InstrumentStatus.listed;
    return isLive || this.random.chance(0.1) ? instrument : this.#instrument(engine);
  }

  #price(engine: Engine, instrument: number, offMarket: boolean): number {
    const cell = engine.ledger.instrument(instrument);
    const mark = Math.max(1, Math.round(((cell?.row[0] ?? 0) as number) / (cell?.tickValueMicroUsdc ?? 1)));
    const spread = offMarket ? this.random.next() * 2 + 0.02 : 1 + (this.random.next() * 2 - 1) * 0.01;
    return Math.max(1, Math.min(2 ** 31 - 1, Math.round(mark * spread)));
  }

  #wish(engine: Engine): Wish {
    const { random } = this;
    const trader = this.#trader();
    const instrument = this.#instrument(engine);
    const kind = engine.ledger.instrument(instrument)?.kind ?? InstrumentKind.perpetual;
    const unit = kind <= InstrumentKind.future ? 400 : 12;
    const held = engine.position(trader.account, instrument);
    const reduces = held !== 0 && random.chance(0.4);
    const direction = reduces ? -Math.sign(held) : random.chance(0.5) ? 1 : -1;
    const lots = random.integer(1, random.chance(0.05) ? unit * 200 : unit);
    trader.nonce += random.chance(0.97) ? 1 : random.integer(2, 70_000);
    const useDelegate = trader.hasDelegate && random.chance(0.5);
    const market = random.chance(0.1);
    const timeInForce = market
      ? ("ioc" as const)
      : random.pick(["gtc", "gtc", "gtc", "gtc", "ioc", "ioc", "fok"] as const);
    return {
      account: trader.account,
      owner: trader.owner,
      signer: useDelegate ? trader.delegate : trader.owner,
      instrument,
      size: direction * lots,
      price: this.#price(engine, instrument, random.chance(0.12)),
      nonce: trader.nonce,
      timeMs: this.timeMs,
      expiryMs: this.timeMs + (random.chance(0.2) ? random.integer(50, 20_000) : DAY_MS / 2),
      type: market ? ("market" as const) : ("limit" as const),
      timeInForce,
      postOnly: timeInForce === "gtc" && random.chance(0.2),
      reduceOnly: reduces && random.chance(0.5),
    };
  }

  #place(engine: Engine): Command {
    const { random } = this;
    const wish = this.#wish(engine);
    if (random.chance(0.13)) return this.#badPlace(wish);
    if (wish.timeInForce === "gtc") {
      this.#live.push({
        account: wish.account,
        nonce: wish.nonce,
        instrument: wish.instrument,
        size: wish.size,
        price: wish.price,
      });
      if (this.#live.length > 400) this.#live = this.#live.slice(-300);
    }
    return this.world.place(wish);
  }

  #badPlace(wish: Wish): Command {
    const { random, world } = this;
    const trader = this.traders.find((one) => one.account === wish.account) as Trader;
    switch (random.integer(0, 16)) {
      case 0:
        return world.place({ ...wish, change: { domain: 77 } });
      case 1:
        return world.place({ ...wish, account: random.pick([0, 1, 9_999]) });
      case 2:
        return world.place({ ...wish, signer: addressOf(2_000) });
      case 3:
        return world.place({ ...wish, change: { legs: [] } });
      case 4:
        return world.place({ ...wish, instrument: 200_000 });
      case 5:
        return world.place({ ...wish, change: { flags: 2 } });
      case 6:
        return world.place({ ...wish, size: 0 });
      case 7:
        return world.place({ ...wish, price: random.integer(-5, 0) });
      case 8:
        return world.place({ ...wish, startMs: this.timeMs + 5 });
      case 9:
        return world.place({ ...wish, expiryMs: this.timeMs });
      case 10:
        return world.place({ ...wish, expiryMs: this.timeMs + 31 * DAY_MS });
      case 11:
        return world.place({ ...wish, nonce: Math.max(0, wish.nonce - random.integer(1, 3)) });
      case 12:
        trader.nonce += 65_535;
        return world.place({ ...wish, nonce: wish.nonce + 65_535 });
      case 13:
        return world.place({ ...wish, maxFeePerLot: 0 });
      case 14:
        return world.place({ ...wish, reduceOnly: true });
      case 15:
        return world.place({ ...wish, size: Math.sign(wish.size) * random.pick([2 ** 31 - 1, 3_000_000]) });
      default:
        return world.place({ ...wish, timeInForce: "ioc", size: wish.size * 300 });
    }
  }

  #amend(engine: Engine): Command {
    const { random } = this;
    const wish = this.#wish(engine);
    if (this.#live.length === 0) return this.world.place(wish);
    const target = this.#target(engine);
    const trader = this.traders.find((one) => one.account === target.account) as Trader;
    trader.nonce += 1;
    const same = random.chance(0.4);
    const changed = {
      ...wish,
      account: target.account,
      owner: trader.owner,
      signer: trader.owner,
      instrument: random.chance(0.95) ? target.instrument : wish.instrument,
      size: random.chance(0.95)
        ? Math.sign(target.size) * Math.max(1, Math.round(Math.abs(target.size) * (0.2 + random.next())))
        : -target.size,
      price: same ? target.price : this.#price(engine, target.instrument, false),
      nonce: trader.nonce,
      type: "limit" as const,
      timeInForce: random.chance(0.95) ? ("gtc" as const) : ("ioc" as const),
      postOnly: random.chance(0.3),
      reduceOnly: false,
    };
    if (changed.timeInForce === "ioc") changed.postOnly = false;
    const command = this.world.amend({ ...changed, replaces: target.nonce });
    this.#live.push({
      account: target.account,
      nonce: changed.nonce,
      instrument: changed.instrument,
      size: changed.size,
      price: changed.price,
    });
    return command;
  }

  /** Mostly an order that lives. */
  #target(engine: Engine): LiveOrder {
    const { random } = this;
    const orders = engine.openOrders(this.#trader().account);
    if (orders.length === 0 || random.chance(0.15)) return random.pick(this.#live);
    const { order } = random.pick(orders);
    const { account, nonce, size } = order;
    return { account, nonce, instrument: order.legs[0]?.instrument ?? 0, size, price: order.limitPrice };
  }

  #cancel(engine: Engine): Command {
    const { random } = this;
    if (this.#live.length === 0) return this.#place(engine);
    const target = this.#target(engine);
    const trader = this.traders.find((one) => one.account === target.account) as Trader;
    const signer = random.chance(0.05) ? addressOf(2_001) : trader.owner;
    return {
      kind: "cancel",
      timeMs: this.timeMs,
      account: random.chance(0.02) ? 9_999 : target.account,
      nonce: target.nonce,
      signer,
    } as Command;
  }

  #cancelAll(): Command {
    const trader = this.#trader();
    const base = {
      kind: "cancelAll",
      timeMs: this.timeMs,
      account: trader.account,
      signer: this.random.chance(0.1) ? addressOf(2_002) : trader.owner,
    };
    return (this.random.chance(0.5) ? base : { ...base, instrument: this.random.integer(0, this.#listed) }) as Command;
  }

  /** Of a position if there is one, at a price that crosses, rests or is none. */
  #forcedClose(engine: Engine, trader: Trader): object {
    const { random } = this;
    const { account } = trader;
    const positions = engine.ledger.account(account)?.positions ?? [];
    const position = positions.length > 0 && random.chance(0.95) ? random.pick(positions) : undefined;
    const instrument = position?.instrument ?? this.#instrument(engine);
    const held = position?.size ?? random.integer(1, 5);
    const lots = random.integer(1, Math.abs(held) + (random.chance(0.05) ? 1 : 0));
    const price = this.#price(engine, instrument, random.chance(0.4));
    trader.nonce += random.chance(0.9) ? 1 : 70_000;
    // Old nonces too, and such as share a slot with orders that live.
    const nonce = random.chance(0.85) ? trader.nonce : Math.max(0, trader.nonce - random.pick([1, 2, 65_536]));
    const limitPrice = random.chance(0.95) ? price : random.integer(-5, 0);
    return { type: "forcedClose", account, instrument, size: -Math.sign(held) * lots, limitPrice, nonce };
  }

  #inbound(engine: Engine): Command {
    const { random } = this;
    const trader = this.#trader();
    const { account, owner, delegate } = trader;
    const entries: object[] = [];
    switch (random.integer(0, 10)) {
      case 0:
        trader.hasDelegate = true;
        entries.push({
          type: "keyGrant",
          account,
          key: delegate,
          scopes: 1,
          expiryMs: this.timeMs + random.integer(1, 3) * DAY_MS,
        });
        break;
      case 1:
        trader.hasDelegate = random.chance(0.1);
        entries.push({
          type: "keyRevoke",
          account,
          key: delegate,
          minNonce: random.chance(0.5) ? 0 : Math.max(0, trader.nonce - 3),
        });
        break;
      case 2:
        entries.push({
          type: "cancelAll",
          account,
          minNonce: random.chance(0.3) ? trader.nonce + 3 : Math.max(0, trader.nonce - 5),
        });
        break;
      case 3:
        entries.push({
          type: "forcedWithdrawal",
          account,
          amount: random.integer(1, 500) * 1_000_000,
          recipient: owner,
        });
        break;
      case 4:
      case 8:
      case 9:
        for (let count = random.integer(1, 2); count > 0; count--) entries.push(this.#forcedClose(engine, trader));
        // What comes behind it in the same block may take its authority or its money away.
        if (random.chance(0.15)) entries.push({ type: "cancelAll", account, minNonce: trader.nonce + 1 });
        break;
      case 10:
        entries.push(
          random.chance(0.7)
            ? { type: "forcedLiquidation", account: this.#trader().account }
            : { type: "adminChange", change: "0x0110ff" },
        );
        break;
      case 5:
        if (random.chance(0.3))
          return {
            kind: "inbound",
            timeMs: this.timeMs as Command["timeMs"],
            entries: random.chance(0.5) ? [] : [Uint8Array.of(99)],
          };
        entries.push({ type: "openAccount", account, owner });
        break;
      default:
        entries.push({ type: "deposit", account, amount: random.integer(1, 300) * 1_000_000, payer: owner });
    }
    return inboundCommand(this.timeMs, entries);
  }

  #withdraw(engine: Engine): Command {
    const { random } = this;
    const trader = this.#trader();
    trader.nonce += random.chance(0.95) ? 1 : 0;
    const free = engine.accountMargin(trader.account)?.cash ?? 0;
    const amount = Math.max(1, Math.floor(free * random.next() * (random.chance(0.2) ? 1.2 : 0.05)));
    const account = random.chance(0.03) ? 9_999 : trader.account;
    const signer = random.chance(0.05) ? addressOf(2_003) : trader.owner;
    return this.world.withdraw(this.timeMs, signer, { account, amount, nonce: trader.nonce });
  }

  #badOracle(): Command {
    const { random } = this;
    const underlying = random.integer(0, 1);
    if (random.chance(0.3)) return this.world.settle(this.timeMs, underlying, this.timeMs + DAY_MS, 1);
    if (random.chance(0.3)) {
      const expiryMs = this.#expiries[underlying as 0 | 1].at(-1) as number;
      return this.world.settle(this.timeMs, underlying, expiryMs, this.#index[underlying] as number);
    }
    const command = this.#report(underlying);
    return { ...command, signatures: [] } as Command;
  }
}
