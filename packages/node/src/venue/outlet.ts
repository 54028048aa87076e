// Where the engine's events go: counted at once, told to clients only when the command that caused them is on disk.
import type { CycleRecord, EventSink } from "@tidemark/engine";
import type { TradingFloor } from "../market/traders.ts";
import type { ReceiptEvents } from "../receipts/book.ts";
import type { ReceiptDesk } from "../receipts/desk.ts";
import type { Tally } from "../tally.ts";

type Feedback = (floor: TradingFloor) => void;

export class Outlet implements EventSink {
  readonly #tally: Tally;
  readonly #floor: TradingFloor;
  readonly #receipts: ReceiptDesk;
  readonly #promises: ReceiptEvents;
  /** In the order of execution, so a durable prefix of commands is a prefix of this. */
  #held: { sequence: number; tell: Feedback }[] = [];

  constructor(tally: Tally, floor: TradingFloor, receipts: ReceiptDesk) {
    this.#tally = tally;
    this.#floor = floor;
    this.#receipts = receipts;
    this.#promises = receipts.book.events;
  }

  /** Everything up to `sequence` is on disk: results may leave. */
  release(sequence: number): void {
    this.#tally.durable(sequence);
    this.#receipts.release(sequence);
    let done = 0;
    for (const { sequence: of, tell } of this.#held) {
      if (of > sequence) break;
      tell(this.#floor);
      done++;
    }
    this.#held = this.#held.slice(done);
  }

  #hold(tell: Feedback): void {
    this.#held.push({ sequence: this.#tally.sequence, tell });
  }

  onAccepted(orderId: number, account: number, nonce: number, instrument: number, price: number, size: number): void {
    this.#tally.onAccepted(orderId, account, nonce, instrument);
    this.#promises.onAccepted(orderId, account, nonce, instrument, price, size);
  }

  onAmended(orderId: number, account: number, nonce: number, replaces: number, price: number, openLots: number): void {
    this.#tally.onAmended();
    this.#promises.onAmended(orderId, account, nonce, replaces, price, openLots);
    this.#hold((floor) => floor.onAmended(account, nonce, replaces, openLots));
  }

  onFill(
    makerAccount: number,
    makerNonce: number,
    takerAccount: number,
    takerNonce: number,
    instrument: number,
    price: number,
    lots: number,
    side: number,
    makerFee: number,
    takerFee: number,
    cycle: number,
  ): void {
    this.#tally.onFill();
    this.#promises.onFill(
      makerAccount,
      makerNonce,
      takerAccount,
      takerNonce,
      instrument,
      price,
      lots,
      side,
      makerFee,
      takerFee,
      cycle,
    );
    this.#hold((floor) => floor.onFill(makerAccount, makerNonce, takerAccount, takerNonce, lots));
  }

  onLiquidationFill(
    makerAccount: number,
    makerNonce: number,
    account: number,
    instrument: number,
    price: number,
    lots: number,
    side: number,
    makerFee: number,
    penalty: number,
    cycle: number,
  ): void {
    this.#tally.onLiquidationFill();
    this.#promises.onLiquidationFill(
      makerAccount,
      makerNonce,
      account,
      instrument,
      price,
      lots,
      side,
      makerFee,
      penalty,
      cycle,
    );
    this.#hold((floor) => floor.onLiquidationFill(makerAccount, makerNonce, account, lots));
  }

  onCancelled(
    orderId: number,
    account: number,
    nonce: number,
    instrument: number,
    openLots: number,
    reason: number,
  ): void {
    this.#tally.onCancelled();
    this.#promises.onCancelled(orderId, account, nonce, instrument, openLots, reason);
    this.#hold((floor) => floor.onCancelled(account, nonce));
  }

  /** An order that was not sequenced: nothing of it has to become durable. */
  refuse(code: number, account: number, nonce: number): void {
    this.#tally.onRejected(code);
    this.#floor.onRejected(account, nonce);
  }

  onRejected(code: number, account: number, nonce: number): void {
    this.#tally.onRejected(code);
    this.#hold((floor) => floor.onRejected(account, nonce));
  }

  onCycle(record: CycleRecord): void {
    this.#tally.onCycle(record);
  }

  onLiquidation(
    account: number,
    equity: number,
    initial: number,
    maintenance: number,
    legs: number,
    penalty: number,
  ): void {
    this.#tally.onLiquidation(account, equity, initial, maintenance, legs, penalty);
  }

  onFunding(): void {
    this.#tally.onFunding();
  }

  onExpiry(
    underlying: number,
    expiryMs: number,
    settlementPrice: number,
    instruments: number,
    realisations: number,
  ): void {
    this.#tally.onExpiry(underlying, expiryMs, settlementPrice, instruments, realisations);
  }

  onDeposit(): void {
    this.#tally.onDeposit();
  }

  onInboundOutcome(queueIndex: number, code: number): void {
    this.#tally.onInboundOutcome(queueIndex, code);
  }

  onListed(instrument: number): void {
    this.#tally.onListed(instrument);
  }

  onWithdrawal(withdrawalNumber: number, account: number, amount: number): void {
    this.#tally.onWithdrawal(withdrawalNumber, account, amount);
  }

  onBadDebt(account: number, amount: number): void {
    this.#tally.onBadDebt(account, amount);
  }
}
