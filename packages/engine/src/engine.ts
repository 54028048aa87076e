// The local state engine: one deterministic machine from sequenced commands to events and netting cycles. It holds the
// ledger; what it accepted settles, so a cycle that the ledger refuses stops the process.
import { LedgerState, type Order, type ParameterSet, Scope, type SignaturePort } from "@tidemark/ledger";
import { assert, assertNever } from "@tidemark/num";
import { isTradingAccount } from "./admission.ts";
import type { DepthLevel } from "./book.ts";
import type { CancelAllCommand, CancelCommand, Command } from "./commands.ts";
import { Core, type EngineConfig } from "./core.ts";
import { CancelReason, type EventSink, silentSink } from "./events.ts";
import { settleExpiry, sweepExpiredInstruments } from "./expiries.ts";
import { inbound } from "./inbound.ts";
import { accountFigures } from "./liquidation.ts";
import type { AccountMargin } from "./margin.ts";
import { amend, type OrderOutcome, place } from "./matching.ts";
import { INSTRUMENT, NONE, ORDER_STRIDE_SHIFT, REMAINING } from "./orders.ts";
import { EngineCode } from "./rejections.ts";
import { report } from "./reports.ts";
import { readSnapshot, writeSnapshot } from "./snapshot.ts";
import { withdraw } from "./withdrawals.ts";

export interface EngineOptions {
  readonly parameters: ParameterSet;
  readonly signatures: SignaturePort;
  readonly config: EngineConfig;
}

/** Reused by every apply: read it before the next command. */
export interface CommandResult extends OrderOutcome {
  ok: boolean;
  /** 0, an EngineCode, or the ledger's code where its rules refused. */
  code: number;
  /** Orders cancelled by cancel and cancelAll. */
  cancelled: number;
}

export interface OpenOrder {
  orderId: number;
  order: Order;
  openLots: number;
}

export class Engine {
  readonly #core: Core;
  readonly #result: CommandResult = { ok: true, code: 0, orderId: 0, filledLots: 0, openLots: 0, cancelled: 0 };

  private constructor(core: Core) {
    this.#core = core;
  }

  static create(options: EngineOptions): Engine {
    const ledger = LedgerState.genesis(options.parameters);
    return new Engine(new Core(options.parameters, ledger, options.signatures, options.config));
  }

  /** @throws DecodeError unless `snapshot` is one of these parameters. */
  static restore(snapshot: Uint8Array, options: EngineOptions): Engine {
    return new Engine(readSnapshot(snapshot, options.parameters, options.signatures, options.config));
  }

  /** Right after a checkpoint: no trade cycle may be open. */
  snapshot(): Uint8Array {
    assert(!this.#core.netting.isOpen, "a snapshot follows a checkpoint");
    return writeSnapshot(this.#core);
  }

  get ledger(): LedgerState {
    return this.#core.ledger;
  }
  get timeMs(): number {
    return this.#core.timeMs;
  }
  /** Index of the next cycle. */
  get cycleIndex(): number {
    return this.#core.cycleIndex;
  }
  get openOrderCount(): number {
    return this.#core.arena.count;
  }
  /** Whether fills wait for their cycle to close. */
  get hasOpenCycle(): boolean {
    return this.#core.netting.isOpen;
  }

  apply(command: Command, sink: EventSink): CommandResult {
    const core = this.#core;
    const result = this.#result;
    core.sink = sink;
    result.orderId = 0;
    result.filledLots = 0;
    result.openLots = 0;
    result.cancelled = 0;
    core.commandsSinceCycle += 1;
    let code: number = EngineCode.timeNotMonotonic;
    const timeMs = timeOf(command);
    if (timeMs >= core.timeMs) {
      if (timeMs > core.timeMs) this.#advance(timeMs);
      code = this.#execute(command, result);
    }
    result.code = code;
    result.ok = code === EngineCode.ok;
    if (code !== EngineCode.ok) tellRejection(command, code, sink);
    core.sink = silentSink;
    return result;
  }

  /** Everything that time alone brings, before the command is looked at. */
  #advance(timeMs: number): void {
    const core = this.#core;
    if (core.netting.mustCloseBefore(timeMs, core.config.cycleAgeMsMax)) core.closeTradeCycle();
    const sinceMs = core.timeMs;
    core.timeMs = timeMs;
    if (timeMs >= core.arena.earliestExpiryMs) {
      for (const at of core.arena.expiring(sinceMs, timeMs)) core.cancel(at, CancelReason.expired);
    }
    if (timeMs >= core.instrumentExpiryMs) sweepExpiredInstruments(core);
  }

  #execute(command: Command, result: CommandResult): number {
    const core = this.#core;
    switch (command.kind) {
      case "place":
        return place(core, command, result);
      case "amend":
        return amend(core, command, result);
      case "cancel":
        return this.#cancel(command, result);
      case "cancelAll":
        return this.#cancelAll(command, result);
      case "report":
        return report(core, command);
      case "settle":
        return settleExpiry(core, command);
      case "inbound":
        return inbound(core, command);
      case "withdraw":
        return withdraw(core, command);
      case "tick":
        return EngineCode.ok;
      case "checkpoint":
        core.closeTradeCycle();
        return EngineCode.ok;
      default:
        return assertNever(command, "command");
    }
  }

  /** A key that lives now may cancel. */
  #checkCanceller(account: number, signer: CancelCommand["signer"]): number {
    const core = this.#core;
    if (!isTradingAccount(core, account)) return EngineCode.unknownAccount;
    if (core.accounts.owner[account] === signer) return EngineCode.ok;
    return core.accounts.isDelegate(account, signer, Scope.trade, core.timeMs)
      ? EngineCode.ok
      : EngineCode.notAuthorised;
  }

  #cancel(command: CancelCommand, result: CommandResult): number {
    const core = this.#core;
    const code = this.#checkCanceller(command.account, command.signer);
    if (code !== EngineCode.ok) return code;
    const at = core.arena.find(command.account, command.nonce);
    if (at === NONE) return EngineCode.unknownOrder;
    result.orderId = core.arena.sequence[at] as number;
    core.cancel(at, CancelReason.user);
    result.cancelled = 1;
    return EngineCode.ok;
  }

  #cancelAll(command: CancelAllCommand, result: CommandResult): number {
    const core = this.#core;
    const code = this.#checkCanceller(command.account, command.signer);
    if (code !== EngineCode.ok) return code;
    for (const at of core.ordersOf(command.account)) {
      const instrument = core.arena.records[(at << ORDER_STRIDE_SHIFT) + INSTRUMENT];
      if (command.instrument !== undefined && command.instrument !== instrument) continue;
      core.cancel(at, CancelReason.user);
      result.cancelled += 1;
    }
    return EngineCode.ok;
  }

  // ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The numbers that decisions use, fills of the open cycle included; undefined for an account that does not trade. */
  accountMargin(account: number): AccountMargin | undefined {
    const core = this.#core;
    if (!isTradingAccount(core, account)) return undefined;
    const { accounts } = core;
    const figures = accountFigures(core, account);
    return {
      cash: accounts.cash[account] as number,
      credit: accounts.credit[account] as number,
      equity: accounts.equity[account] as number,
      initialWithOrders: core.margin.initialWithOrders(account),
      initial: figures.initial,
      maintenance: figures.maintenance,
    };
  }

  /** Signed lots, fills of the open cycle included. */
  position(account: number, instrument: number): number {
    return this.#core.accounts.sizeOf(account, instrument);
  }

  /** Highest nonce that the account has used; 0 for an account that is new or does not trade. */
  lastNonce(account: number): number {
    return isTradingAccount(this.#core, account) ? Math.max(0, this.#core.accounts.lastNonce[account] as number) : 0;
  }

  /** Oldest first. */
  openOrders(account: number): OpenOrder[] {
    const core = this.#core;
    if (!isTradingAccount(core, account)) return [];
    return core.ordersOf(account).map((at) => ({
      orderId: core.arena.sequence[at] as number,
      order: core.arena.order[at] as Order,
      openLots: core.arena.records[(at << ORDER_STRIDE_SHIFT) + REMAINING] as number,
    }));
  }

  /** Best levels first; +1 bids, −1 asks. */
  depth(instrument: number, side: 1 | -1, levelsMax: number): DepthLevel[] {
    return instrument < this.#core.books.count ? this.#core.books.depth(instrument, side, levelsMax) : [];
  }
}

/** A read of its own for each kind of the order path: one read for all kinds of objects boxes the number every time. */
function timeOf(command: Command): number {
  switch (command.kind) {
    case "place":
      return command.timeMs;
    case "amend":
      return command.timeMs;
    case "cancel":
      return command.timeMs;
    default:
      return command.timeMs;
  }
}

function tellRejection(command: Command, code: number, sink: EventSink): void {
  switch (command.kind) {
    case "place":
    case "amend":
      return sink.onRejected(code, command.order.account, command.order.nonce);
    case "cancel":
      return sink.onRejected(code, command.account, command.nonce);
    case "cancelAll":
      return sink.onRejected(code, command.account, -1);
    case "withdraw":
      return sink.onRejected(code, command.withdrawal.account, command.withdrawal.nonce);
    default:
      return sink.onRejected(code, -1, -1);
  }
}
