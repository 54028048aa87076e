// No state that an honest engine makes convicts a receipt that it signed: random flows in which nonces come round to the same few
// slots of the ring, judged at every cycle as if each were the end of a final batch. TIDEMARK_SEED=<n> runs one seed again.
import { type Command, type CycleRecord, Engine, silentSink } from "@tidemark/engine";
import { RING_SLOTS } from "@tidemark/ledger";
import { isBroken, judgeReceipt, type ReceiptVerdict, receiptEvidence, type StateStanding } from "@tidemark/settlement";
import { expect, test } from "vitest";
import {
  addressOf,
  inboundCommand,
  Random,
  START_MS,
  signatures,
  World,
  worldParameters,
} from "../../engine/test/world.ts";
import { type DueReceipt, ReceiptBook } from "../src/receipts/book.ts";

const SEED = Number(process.env["TIDEMARK_SEED"] ?? 20_261_125);
const RUNS = 6;
const COMMANDS = 700;
const PERIOD_MS = 4_000;
const CYCLE_AGE_MS_MAX = 1_500;
const INDEX = 100_000_000_000;
const MARK = 1_000_000;
const SLOTS = 5;
const ACCOUNTS = [2, 3, 4];
const FAR_MS = Number.MAX_SAFE_INTEGER;

const as = <Branded>(value: number): Branded => value as Branded;

class HonestRun {
  readonly random: Random;
  readonly world = new World(worldParameters({ receiptPeriodMs: PERIOD_MS }));
  readonly engine = Engine.create({
    parameters: this.world.parameters,
    signatures,
    config: { cycleAgeMsMax: CYCLE_AGE_MS_MAX, rowsFor: "listed" },
  });
  readonly book = new ReceiptBook(this.world.parameters, () => this.engine.ledger);
  readonly counts = new Map<string, number>();
  readonly open: DueReceipt[] = [];
  readonly live: { account: number; nonce: number }[] = [];
  #sequence = 0;
  #lastNonce = new Map<number, number>();
  #stateMs = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  apply(command: Command): number {
    this.book.begin(++this.#sequence, command);
    const { code } = this.engine.apply(command, {
      ...silentSink,
      ...this.book.events,
      onCycle: (record) => this.#judge(record),
    });
    this.open.push(...this.book.take());
    return code;
  }

  /** The strictest reading: a later final state exists, and a drop may have moved deadlines. */
  #judge({ timeMs }: CycleRecord): void {
    const standing: StateStanding = {
      timeMs,
      previousMs: this.#stateMs,
      nextMs: FAR_MS,
      isAnchor: false,
      lastDropMs: this.random.chance(0.5) ? 0 : timeMs - this.random.integer(0, 3 * PERIOD_MS),
    };
    this.#stateMs = timeMs;
    for (const { receipt, order } of this.open) {
      const evidence = receiptEvidence(this.engine.ledger, receipt, order, standing);
      const { verdict } = judgeReceipt(receipt, order, evidence, PERIOD_MS);
      expect(isBroken(verdict), `seed ${SEED}: ${JSON.stringify({ receipt, evidence }, bigintText)}`).toBe(false);
      this.#count(receipt.kind, verdict);
    }
  }

  #count(kind: string, verdict: ReceiptVerdict): void {
    const name = `${kind} ${verdict}`;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  /** Increasing, but only ever in a few slots: sooner or later each belongs to a later order. */
  nonceOf(account: number): number {
    const last = this.#lastNonce.get(account) ?? 0;
    const round = Math.floor(last / RING_SLOTS);
    const slot = (last % RING_SLOTS) + 1;
    const nonce = slot <= SLOTS && !this.random.chance(0.2) ? last + 1 : (round + 1) * RING_SLOTS + 1;
    this.#lastNonce.set(account, nonce);
    return nonce;
  }

  step(timeMs: number): void {
    const { random, world } = this;
    const account = random.pick(ACCOUNTS);
    const owner = addressOf(account);
    const roll = random.next();
    if (roll < 0.62) {
      const size = random.pick([1, -1]) * random.integer(1, 20);
      const price = MARK + random.integer(-8, 8);
      const timeInForce = random.chance(0.3) ? ("ioc" as const) : ("gtc" as const);
      const nonce = this.nonceOf(account);
      const expiryMs = timeMs + random.integer(1_000, 20_000);
      const wish = { account, owner, instrument: 0, size, price, nonce, timeMs, timeInForce, expiryMs };
      if (this.apply(world.place(wish)) === 0) this.live.push({ account, nonce });
    } else if (roll < 0.74 && this.live.length > 0) {
      const old = random.pick(this.live);
      const size = random.pick([1, -1]) * random.integer(1, 25);
      const nonce = this.nonceOf(old.account);
      const wish = { instrument: 0, size, price: MARK + random.integer(-8, 8), nonce, timeMs, replaces: old.nonce };
      const command = world.amend({ ...wish, account: old.account, owner: addressOf(old.account) });
      if (this.apply(command) === 0) this.live.push({ account: old.account, nonce });
    } else if (roll < 0.86 && this.live.length > 0) {
      const { account: of, nonce } = random.pick(this.live);
      this.apply({ kind: "cancel", timeMs: as(timeMs), account: as(of), nonce: as(nonce), signer: addressOf(of) });
    } else if (roll < 0.9) {
      this.apply({ kind: "cancelAll", timeMs: as(timeMs), account: as(account), signer: owner });
    } else if (roll < 0.93) {
      this.apply(world.withdraw(timeMs, owner, { account, amount: 1, nonce: this.nonceOf(account) }));
    } else if (roll < 0.95) {
      this.apply(
        inboundCommand(timeMs, [
          { type: "cancelAll", account, minNonce: Math.max(0, (this.#lastNonce.get(account) ?? 0) - 2) },
        ]),
      );
    } else if (roll < 0.98) {
      this.apply(world.report(timeMs, 0, INDEX + random.integer(-20, 20) * 1_000_000, 0, []));
    } else {
      this.apply({ kind: "checkpoint", timeMs: as(timeMs) });
    }
  }
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

test("an honest engine is never convicted", { timeout: 120_000 }, () => {
  const totals = new Map<string, number>();
  for (let number = 0; number < RUNS; number++) {
    const run = new HonestRun(SEED + number);
    let timeMs = START_MS;
    const entries: object[] = [];
    for (const account of ACCOUNTS) {
      entries.push({ type: "openAccount", account, owner: addressOf(account) });
      entries.push({ type: "deposit", account, amount: 10_000_000_000_000, payer: addressOf(account) });
    }
    entries.push({ type: "listSeries", underlying: 0, expiryMs: 0, strikes: [] });
    expect(run.apply(inboundCommand(timeMs, entries))).toBe(0);
    expect(run.apply(run.world.report(timeMs, 0, INDEX, 0, []))).toBe(0);
    for (let count = 0; count < COMMANDS; count++) {
      if (run.random.chance(0.5)) timeMs += run.random.integer(0, run.random.chance(0.05) ? PERIOD_MS : 300);
      run.step(timeMs);
    }
    // What is left falls due in the open.
    for (let count = 0; count < 4; count++) {
      timeMs += PERIOD_MS;
      expect(run.apply(run.world.report(timeMs, 0, INDEX + 1_000_000 + count, 0, []))).toBe(0);
    }
    for (const [name, count] of run.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  }
  console.log(`honest receipts: ${[...totals].map(([name, count]) => `${name} ${count}`).join(", ")}; seed ${SEED}`);
  // The test says nothing where slots never came round or nothing fell due.
  for (const name of ["fill kept", "fill recycled", "fill notMatured", "cancel kept"]) {
    expect(totals.get(name) ?? 0, name).toBeGreaterThan(50);
  }
});
