// What the sequencer owes of each live order: cumulative fills by order, turned into receipts as the engine's events come.
// Derived from the commands alone, so a replay of the journal makes the same receipts again.
import type { Command, Engine, EventSink, InboundCommand } from "@tidemark/engine";
import { FINALITY_TIERS } from "@tidemark/finality";
import {
  decodeInboundEntry,
  domainSeparator,
  forcedCloseOrder,
  type Hash,
  type LedgerState,
  type Order,
  orderHash,
  type ParameterSet,
} from "@tidemark/ledger";
import { assert, bytesToHex } from "@tidemark/num";
import type { Receipt, ReceiptKind } from "@tidemark/settlement";

/** A promise that is not signed yet. `sequence`: the command that made it. */
export interface DueReceipt {
  sequence: number;
  receipt: Receipt;
  order: Order;
}

interface LiveOrder {
  order: Order;
  hash: Hash;
  /** The order's own fills: what an amended order had filled before is another nonce's. */
  filledLots: number;
  filledCash: number;
  openLots: number;
}

/** The engine's events that make or end promises. */
export type ReceiptEvents = Pick<
  EventSink,
  "onAccepted" | "onAmended" | "onFill" | "onLiquidationFill" | "onCancelled"
>;

/** Nothing leaves the house before it is on disk, so that is the tier which a receipt states. */
const TIER = FINALITY_TIERS.indexOf("durable");

export class ReceiptBook {
  readonly #parameters: ParameterSet;
  readonly #ledger: () => LedgerState;
  readonly #separator: Uint8Array;
  readonly #live = new Map<number, Map<number, LiveOrder>>();
  readonly events: ReceiptEvents = {
    onAccepted: (_orderId, account, nonce, _instrument, _price, size) => this.#accepted(account, nonce, Math.abs(size)),
    onAmended: (_orderId, account, nonce, replaces, _price, openLots) => {
      // The new order takes the place of the old one, which can be filled no more.
      this.#cancelled(account, replaces);
      this.#accepted(account, nonce, openLots);
    },
    onFill: (maker, makerNonce, taker, takerNonce, instrument, price, lots, takerSide, _makerFee, _takerFee, cycle) => {
      this.#filled(maker, makerNonce, instrument, -takerSide, price, lots);
      this.#filled(taker, takerNonce, instrument, takerSide, price, lots);
      this.#onNotional(cycle, this.#notionalOf(instrument, price, lots));
    },
    onLiquidationFill: (maker, makerNonce, _account, instrument, price, lots, side, _makerFee, _penalty, cycle) => {
      this.#filled(maker, makerNonce, instrument, -side, price, lots);
      this.#onNotional(cycle, this.#notionalOf(instrument, price, lots));
    },
    onCancelled: (_orderId, account, nonce) => this.#cancelled(account, nonce),
  };
  #due: DueReceipt[] = [];
  #sequence = 0;
  #command: Command | null = null;

  readonly #onNotional: (cycle: number, notionalMicroUsdc: number) => void;

  /** `ledger` is asked anew each time: a recovery replaces the engine. `onNotional` hears of every fill. */
  constructor(
    parameters: ParameterSet,
    ledger: () => LedgerState,
    onNotional: (cycle: number, notionalMicroUsdc: number) => void = () => undefined,
  ) {
    this.#onNotional = onNotional;
    this.#parameters = parameters;
    this.#ledger = ledger;
    this.#separator = domainSeparator(parameters);
  }

  /** Once before each command is applied. */
  begin(sequence: number, command: Command): void {
    this.#sequence = sequence;
    this.#command = command;
  }

  /** Forgets everything and takes the engine's live orders; no trade cycle may be open. */
  restore(engine: Engine): void {
    this.#live.clear();
    this.#due = [];
    for (const account of engine.ledger.accountNumbers()) {
      for (const { order, openLots } of engine.openOrders(account)) {
        const slot = engine.ledger.ringSlot(account, order.nonce);
        const held = slot?.nonce === order.nonce ? slot : undefined;
        this.#enter(order, openLots, held?.filledLots ?? 0, held?.filledCash ?? 0);
      }
    }
  }

  /** Receipts made so far and not taken yet, in the order of their commands. */
  take(): DueReceipt[] {
    const due = this.#due;
    this.#due = [];
    return due;
  }

  #accepted(account: number, nonce: number, openLots: number): void {
    const command = this.#command;
    if (command?.kind === "place" || command?.kind === "amend") {
      const { order, orderHash: known } = command;
      assert(order.account === account && order.nonce === nonce, "the event is of the command's order");
      this.#enter(order, openLots, 0, 0, known);
      return;
    }
    assert(command?.kind === "inbound", "an order enters by its own command or through the L1 queue");
    this.#enter(this.#forcedOrder(command, account, nonce), openLots, 0, 0);
  }

  #forcedOrder(command: InboundCommand, account: number, nonce: number): Order {
    for (const bytes of command.entries) {
      const decoding = decodeInboundEntry(bytes);
      if (!decoding.ok || decoding.entry.type !== "forcedClose") continue;
      const order = forcedCloseOrder(decoding.entry, this.#parameters.domain, command.timeMs);
      const slot = this.#ledger().ringSlot(account, nonce);
      const isIt = order.account === account && order.nonce === nonce;
      if (isIt && bytesToHex(orderHash(order, this.#separator)) === slot?.orderHash) return order;
    }
    assert(false, `order ${nonce} of account ${account} is a forced close of the queue`);
  }

  /** `side` is the order's: +1 buys, −1 sells. */
  #filled(account: number, nonce: number, instrument: number, side: number, price: number, lots: number): void {
    const live = this.#find(account, nonce);
    live.filledLots += lots;
    live.filledCash -= side * this.#notionalOf(instrument, price, lots);
    live.openLots -= lots;
    this.#owe("fill", live);
    if (live.openLots === 0) this.#remove(account, nonce);
  }

  #cancelled(account: number, nonce: number): void {
    const live = this.#find(account, nonce);
    this.#owe("cancel", live);
    this.#remove(account, nonce);
  }

  #notionalOf(instrument: number, price: number, lots: number): number {
    const cell = this.#ledger().instrument(instrument);
    assert(cell !== undefined, "a filled instrument exists");
    return price * lots * cell.tickValueMicroUsdc;
  }

  #enter(order: Order, openLots: number, filledLots: number, filledCash: number, known?: Hash): void {
    const hash = known ?? bytesToHex(orderHash(order, this.#separator));
    let orders = this.#live.get(order.account);
    if (orders === undefined) this.#live.set(order.account, (orders = new Map()));
    orders.set(order.nonce, { order, hash, filledLots, filledCash, openLots });
  }

  #find(account: number, nonce: number): LiveOrder {
    const live = this.#live.get(account)?.get(nonce);
    assert(live !== undefined, `order ${nonce} of account ${account} is live`);
    return live;
  }

  #remove(account: number, nonce: number): void {
    this.#live.get(account)?.delete(nonce);
  }

  #owe(kind: ReceiptKind, { order, hash, filledLots, filledCash }: LiveOrder): void {
    const timeMs = this.#command?.timeMs;
    assert(timeMs !== undefined, "receipts are made by commands");
    this.#due.push({
      sequence: this.#sequence,
      order,
      receipt: {
        kind,
        domain: this.#parameters.domain,
        account: order.account,
        orderHash: hash,
        nonce: order.nonce,
        filledLots,
        filledCash,
        deadlineMs: timeMs + this.#parameters.receiptPeriodMs,
        tier: TIER,
      },
    });
  }
}
