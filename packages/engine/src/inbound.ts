// inbound: the L1 queue's finalised entries in order; what no longer has authority or cover afterwards is cancelled before
// the next fill. The ledger decides each entry's outcome, and no entry's outcome depends on open orders. Forced closes that
// it accepted go to the book last, in the queue's order.
import {
  type Address,
  CYCLE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  cycleBytes,
  decodeInboundEntry,
  forcedCloseOrder,
  INBOUND_BASE_WEIGHT,
  INBOUND_PER_CYCLE_MAX,
  INSURANCE_ACCOUNT,
  type InboundEntry,
  type InboundOutcome,
  InboundOutcomeCode,
  inboundEntryWeight,
  type Order,
  RejectionCode,
  RING_SLOTS,
  Scope,
  TREASURY_ACCOUNT,
} from "@tidemark/ledger";
import type { TimestampMs } from "@tidemark/num";
import type { InboundCommand } from "./commands.ts";
import type { Core } from "./core.ts";
import { CancelReason } from "./events.ts";
import { placeForced } from "./matching.ts";
import { NONE } from "./orders.ts";
import { EngineCode } from "./rejections.ts";

export function inbound(core: Core, command: InboundCommand): number {
  const entries: InboundEntry[] = [];
  for (const bytes of command.entries) {
    const decoding = decodeInboundEntry(bytes);
    if (!decoding.ok) return RejectionCode.INBOUND_QUEUE_ORDER;
    entries.push(decoding.entry);
  }
  if (entries.length === 0) return RejectionCode.INBOUND_QUEUE_ORDER;
  core.closeTradeCycle();
  const touched = new Set<number>();
  const forced: Order[] = [];
  for (let from = 0; from < entries.length; ) {
    const chunk = chunkFrom(entries, from);
    const cursor = core.ledger.globals.inboundCursor;
    const outcomes = core.settle({ kind: "inbound", timeMs: command.timeMs, entries: chunk }, 0, chunk.length);
    for (let i = 0; i < chunk.length; i++) {
      tell(core, chunk[i] as InboundEntry, outcomes[i] as InboundOutcome, cursor + i);
      touch(core, chunk[i] as InboundEntry, touched);
      if (outcomes[i]?.code === InboundOutcomeCode.DONE) force(core, chunk[i] as InboundEntry, forced);
    }
    from += chunk.length;
  }
  openBooks(core);
  for (const account of [...touched].sort((a, b) => a - b)) {
    core.loadAccount(account);
    cancelDisplaced(core, account, forced);
    cancelUnauthorised(core, account);
    core.cancelUncovered(account);
  }
  for (const order of forced) {
    claimNonce(core, order);
    const code = placeForced(core, order);
    if (code !== EngineCode.ok) core.sink.onRejected(code, order.account, order.nonce);
  }
  return EngineCode.ok;
}

/** As many entries as limit, bytes and weight of one cycle allow, at least one. */
function chunkFrom(entries: readonly InboundEntry[], from: number): InboundEntry[] {
  const chunk: InboundEntry[] = [];
  let weight = INBOUND_BASE_WEIGHT;
  for (let i = from; i < entries.length && chunk.length < INBOUND_PER_CYCLE_MAX; i++) {
    const entry = entries[i] as InboundEntry;
    weight += inboundEntryWeight(entry);
    chunk.push(entry);
    const bytes = cycleBytes({ kind: "inbound", timeMs: 0 as TimestampMs, entries: chunk });
    if (chunk.length > 1 && (weight > CYCLE_WEIGHT_MAX || bytes > CYCLE_BYTES_MAX)) {
      chunk.pop();
      break;
    }
  }
  return chunk;
}

function tell(core: Core, entry: InboundEntry, outcome: InboundOutcome, queueIndex: number): void {
  core.sink.onInboundOutcome(queueIndex, outcome.code);
  if (outcome.code !== InboundOutcomeCode.DONE) return;
  if (entry.type === "deposit") core.sink.onDeposit(entry.account, entry.amount);
}

function touch(core: Core, entry: InboundEntry, touched: Set<number>): void {
  if (entry.type === "listSeries" || entry.type === "adminChange") return;
  if (entry.account === TREASURY_ACCOUNT || entry.account === INSURANCE_ACCOUNT) return;
  if (core.ledger.account(entry.account) !== undefined) touched.add(entry.account);
}

function force(core: Core, entry: InboundEntry, forced: Order[]): void {
  if (entry.type !== "forcedClose") return;
  forced.push(forcedCloseOrder(entry, core.parameters.domain, core.timeMs as TimestampMs));
}

/**
 * The ledger's ring holds the order whatever becomes of it in the book, so its nonce is used: `checkNonce` rests on no slot being held
 * by a nonce above the last one. It may be below one that was used.
 */
function claimNonce({ accounts }: Core, { account, nonce }: Order): void {
  if (nonce > (accounts.lastNonce[account] as number)) accounts.lastNonce[account] = nonce;
}

/** A live order in a forced close's slot of the ring can never settle: its nonce is below or comes too early. */
function cancelDisplaced(core: Core, account: number, forced: readonly Order[]): void {
  for (const order of forced) {
    if (order.account !== account) continue;
    const at = core.arena.bySlot.get(account, order.nonce % RING_SLOTS);
    if (at !== NONE) core.cancel(at, CancelReason.nonceTaken);
  }
}

function openBooks(core: Core): void {
  while (core.books.count < core.ledger.instrumentCount) {
    const instrument = core.books.count;
    core.loadInstrument(instrument);
    core.sink.onListed(
      instrument,
      core.instruments.underlying[instrument] as number,
      core.instruments.expiryMs[instrument] as number,
    );
  }
}

function isStillAuthorised({ accounts }: Core, account: number, signer: Address, order: Order): boolean {
  return accounts.owner[account] === signer || accounts.isDelegate(account, signer, Scope.trade, order.expiryMs);
}

/** Orders below minNonce, and orders of a key that is gone or will not outlive them. */
function cancelUnauthorised(core: Core, account: number): void {
  const minNonce = core.accounts.minNonce[account] as number;
  for (const at of core.ordersOf(account)) {
    const order = core.arena.order[at] as Order;
    if (order.nonce < minNonce) core.cancel(at, CancelReason.minNonce);
    else if (!isStillAuthorised(core, account, core.arena.signer[at] as Address, order)) {
      core.cancel(at, CancelReason.keyRevoked);
    }
  }
}
