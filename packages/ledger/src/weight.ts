// Weight of a cycle: bytes of the largest one-transaction witness against it. A root challenge brings every touched cell
// of the cycle; a rule challenge at one account brings that account and the rows of all its positions. Everything is
// computed from the payload's declarations; what a payload does not declare (delegates) counts as the limit.
import { assertNever } from "@tidemark/num";
import {
  ACCOUNT_CELL_FIXED_BYTES,
  DELEGATE_BYTES,
  INSTRUMENT_CELL_BYTES,
  POSITION_BYTES,
  RING_CELL_BYTES,
  SURFACE_BYTES,
  UNDERLYING_CELL_FIXED_BYTES,
} from "./codec/cells.ts";
import { changeBytes } from "./codec/governance.ts";
import {
  ACCOUNT_TREE_DEPTH,
  DELEGATES_MAX,
  EXPIRIES_MAX,
  INSTRUMENT_TREE_DEPTH,
  INSTRUMENTS_MAX,
  OUTBOX_TREE_DEPTH,
  POSITIONS_MAX,
  RING_TREE_DEPTH,
  UNDERLYING_TREE_DEPTH,
  UNDERLYINGS_MAX,
} from "./limits.ts";
import type {
  AdlCycle,
  AuctionCycle,
  Cycle,
  InboundEntry,
  QuorumSignature,
  TradeAccount,
  TradeEntry,
} from "./types.ts";

const HASH_BYTES = 32;

// ── payload bytes ──────────────────────────────────────────────────────────────────────────────────────────────────

export const CYCLE_HEADER_BYTES = 10;
const COUNT_BYTES = 1;
export const TRADE_ACCOUNT_BYTES = 5;
const TRADE_ENTRY_FIXED_BYTES = 52;
const TRADE_LEG_BYTES = 5;
const SIGNATURE_BYTES = 64;
export const LIQUIDATION_LEG_BYTES = 21;
const LIQUIDATION_FIXED_BYTES = 5;
const REPORT_FIXED_BYTES = 27;
const EXPIRY_FIXED_BYTES = 20;
const REALISATION_FIXED_BYTES = 5;
const OUTBOUND_BYTES = 118;
/** op, account, positionCount. */
const AUCTION_FIXED_BYTES = 5;
/** From the bidder's account to the leg count. */
const AUCTION_TAKE_FIXED_BYTES = 109;
const AUCTION_LEG_BYTES = 7;
const ADL_FIXED_BYTES = 13;
const ADL_COUNTERPARTY_BYTES = 20;
const CREDIT_FIXED_BYTES = 4;
const CREDIT_GRANT_BYTES = 16;
const CHANGE_LENGTH_BYTES = 2;
const INSTRUMENT_NUMBER_BYTES = 3;
const ACCOUNT_NUMBER_BYTES = 3;
const ENTRY_LENGTH_BYTES = 2;

export function tradeEntryBytes(legCount: number, hasSignature: boolean): number {
  return TRADE_ENTRY_FIXED_BYTES + legCount * TRADE_LEG_BYTES + (hasSignature ? SIGNATURE_BYTES : 0);
}

function quorumBytes(signatures: readonly QuorumSignature[]): number {
  return COUNT_BYTES + signatures.length * (1 + SIGNATURE_BYTES);
}

function tradeAccountsBytes(accounts: readonly TradeAccount[]): number {
  let bytes = COUNT_BYTES;
  for (const account of accounts) {
    bytes += TRADE_ACCOUNT_BYTES;
    for (const { order, signature } of account.entries) bytes += tradeEntryBytes(order.legs.length, signature !== null);
  }
  return bytes;
}

export function inboundEntryBytes(entry: Readonly<InboundEntry>): number {
  switch (entry.type) {
    case "openAccount":
      return 24;
    case "deposit":
    case "forcedWithdrawal":
      return 32;
    case "keyGrant":
      return 33;
    case "keyRevoke":
      return 30;
    case "cancelAll":
      return 10;
    case "forcedClose":
      return 21;
    case "forcedLiquidation":
      return 4;
    case "listSeries":
      return 13 + 8 * entry.strikes.length;
    case "adminChange":
      return 3 + changeBytes(entry.change);
    default:
      return assertNever(entry, "inbound entry");
  }
}

/** = encodeCycle(cycle).length, without encoding. */
export function cycleBytes(cycle: Readonly<Cycle>): number {
  switch (cycle.kind) {
    case "report":
      return (
        CYCLE_HEADER_BYTES + REPORT_FIXED_BYTES + cycle.surfaces.length * SURFACE_BYTES + quorumBytes(cycle.signatures)
      );
    case "rows":
      return CYCLE_HEADER_BYTES + 4 + cycle.instruments.length * INSTRUMENT_NUMBER_BYTES;
    case "trade":
      return CYCLE_HEADER_BYTES + tradeAccountsBytes(cycle.accounts);
    case "liquidation":
      return (
        CYCLE_HEADER_BYTES +
        LIQUIDATION_FIXED_BYTES +
        cycle.legs.length * LIQUIDATION_LEG_BYTES +
        tradeAccountsBytes(cycle.counterparties)
      );
    case "auction": {
      const bytes = CYCLE_HEADER_BYTES + AUCTION_FIXED_BYTES;
      if (cycle.op !== "take") return bytes;
      return bytes + AUCTION_TAKE_FIXED_BYTES + cycle.take.legs.length * AUCTION_LEG_BYTES;
    }
    case "bankruptcy":
      return CYCLE_HEADER_BYTES + COUNT_BYTES + cycle.accounts.length * ACCOUNT_NUMBER_BYTES;
    case "adl":
      return CYCLE_HEADER_BYTES + ADL_FIXED_BYTES + cycle.counterparties.length * ADL_COUNTERPARTY_BYTES;
    case "credit":
      return CYCLE_HEADER_BYTES + CREDIT_FIXED_BYTES + (cycle.op === "grant" ? CREDIT_GRANT_BYTES : 0);
    case "admin":
      return CYCLE_HEADER_BYTES + CHANGE_LENGTH_BYTES + changeBytes(cycle.change);
    case "expiry": {
      let bytes = CYCLE_HEADER_BYTES + EXPIRY_FIXED_BYTES + quorumBytes(cycle.signatures);
      bytes += cycle.instruments.length * INSTRUMENT_NUMBER_BYTES;
      for (const { instruments } of cycle.realisations) {
        bytes += REALISATION_FIXED_BYTES + instruments.length * INSTRUMENT_NUMBER_BYTES;
      }
      return bytes;
    }
    case "inbound": {
      let bytes = CYCLE_HEADER_BYTES + COUNT_BYTES;
      for (const entry of cycle.entries) bytes += ENTRY_LENGTH_BYTES + inboundEntryBytes(entry);
      return bytes;
    }
    case "outbound":
      return CYCLE_HEADER_BYTES + COUNT_BYTES + cycle.withdrawals.length * OUTBOUND_BYTES;
    default:
      return assertNever(cycle, "cycle");
  }
}

// ── witness bytes ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Most siblings of a multiproof of `leaves` leaves among the first 2^usedDepth of a tree: with c(j) = min(leaves, 2^j)
 * covered nodes at level j it is Σ 2·c(j−1) − c(j); above the used part one sibling a level.
 */
function siblingsMax(leaves: number, usedDepth: number, depth: number): number {
  if (leaves === 0) return 0;
  let covered = 1;
  let siblings = depth - usedDepth;
  for (let level = 1; level <= usedDepth; level++) {
    const below = Math.min(leaves, 2 ** level);
    siblings += 2 * covered - below;
    covered = below;
  }
  return siblings;
}

const UNDERLYING_CELL_BYTES_MAX = UNDERLYING_CELL_FIXED_BYTES + EXPIRIES_MAX * SURFACE_BYTES;

export function accountWitnessBytes(positionCount: number): number {
  const cell = ACCOUNT_CELL_FIXED_BYTES + DELEGATES_MAX * DELEGATE_BYTES + positionCount * POSITION_BYTES;
  return cell + ACCOUNT_TREE_DEPTH * HASH_BYTES;
}
export const RING_WITNESS_BYTES = RING_CELL_BYTES + RING_TREE_DEPTH * HASH_BYTES;
/** One instrument's cell with a path of its own. */
export const INSTRUMENT_WITNESS_BYTES = INSTRUMENT_CELL_BYTES + INSTRUMENT_TREE_DEPTH * HASH_BYTES;
export const UNDERLYING_WITNESS_BYTES = UNDERLYING_CELL_BYTES_MAX + UNDERLYING_TREE_DEPTH * HASH_BYTES;
/** The outbox is appended to: one path is the frontier of all withdrawals of a cycle. */
export const OUTBOX_WITNESS_BYTES = OUTBOX_TREE_DEPTH * HASH_BYTES;

/** Height of the smallest full tree with that many leaves, ≤ 2^31. */
const depthOf = (leaves: number): number => 32 - Math.clz32(leaves - 1);
const UNDERLYING_USED_DEPTH = depthOf(UNDERLYINGS_MAX);
const INSTRUMENT_USED_DEPTH = depthOf(INSTRUMENTS_MAX);

/** That many instruments' cells and one multiproof of them. */
function instrumentsWitnessBytes(instrumentCount: number): number {
  const siblings = siblingsMax(instrumentCount, INSTRUMENT_USED_DEPTH, INSTRUMENT_TREE_DEPTH);
  return instrumentCount * INSTRUMENT_CELL_BYTES + siblings * HASH_BYTES;
}

function marginBytes(instrumentCount: number): number {
  const underlyings = Math.min(instrumentCount, UNDERLYINGS_MAX);
  return (
    instrumentsWitnessBytes(instrumentCount) +
    underlyings * UNDERLYING_CELL_BYTES_MAX +
    siblingsMax(underlyings, UNDERLYING_USED_DEPTH, UNDERLYING_TREE_DEPTH) * HASH_BYTES
  );
}

// Positions before the cycle plus instruments that it adds.
const MARGIN_BYTES: readonly number[] = Array.from({ length: 3 * POSITIONS_MAX + 1 }, (_, count) => marginBytes(count));

/** Rows (one multiproof) and underlyings that the margin of an account with that many instruments needs. */
export function marginWitnessBytes(instrumentCount: number): number {
  return MARGIN_BYTES[instrumentCount] ?? marginBytes(instrumentCount);
}

/** What one order's entry adds to a root witness: its payload and its ring slot. */
export function tradeEntryWeight(legCount: number, hasSignature: boolean): number {
  return tradeEntryBytes(legCount, hasSignature) + RING_WITNESS_BYTES;
}

/** What one account adds to a root witness, its entries apart. */
export function tradeAccountWeight(positionCount: number): number {
  return TRADE_ACCOUNT_BYTES + accountWitnessBytes(positionCount);
}

/**
 * What a rule challenge at one account needs beside the payload. `legCount` = legs of all the account's entries in the
 * cycle: at most that many instruments come to its positions.
 */
export function accountRuleWitnessBytes(positionCount: number, entryCount: number, legCount: number): number {
  return (
    accountWitnessBytes(positionCount) + entryCount * RING_WITNESS_BYTES + marginWitnessBytes(positionCount + legCount)
  );
}

/** Payload header and the treasury: a trade's root witness before its first account. */
export const TRADE_BASE_WEIGHT = CYCLE_HEADER_BYTES + COUNT_BYTES + accountWitnessBytes(0);
/** The same for a liquidation, insurance and treasury included, the liquidated account and its legs apart. */
export const LIQUIDATION_BASE_WEIGHT =
  CYCLE_HEADER_BYTES + LIQUIDATION_FIXED_BYTES + COUNT_BYTES + 2 * accountWitnessBytes(0);

interface TradeSums {
  root: number;
  rule: number;
  instruments: Set<number>;
}

function addTradeAccounts(accounts: readonly TradeAccount[], sums: TradeSums): void {
  for (const { positionCount, entries } of accounts) {
    sums.root += accountWitnessBytes(positionCount) + entries.length * RING_WITNESS_BYTES;
    sums.rule = Math.max(sums.rule, accountRuleWitnessBytes(positionCount, entries.length, legsOf(entries, sums)));
  }
}

function legsOf(entries: readonly TradeEntry[], sums: TradeSums): number {
  let legs = 0;
  for (const { order } of entries) {
    legs += order.legs.length;
    for (const leg of order.legs) sums.instruments.add(leg.instrument);
  }
  return legs;
}

/**
 * What an inbound entry adds to a root witness beside its payload. Its outcome follows from state that the payload does
 * not declare, so the account counts as full; forced withdrawals and liquidations need the margin of such an account.
 */
export function inboundEntryWitnessBytes(entry: Readonly<InboundEntry>): number {
  switch (entry.type) {
    case "openAccount":
    case "keyGrant":
    case "keyRevoke":
    case "cancelAll":
    case "deposit":
      return accountWitnessBytes(POSITIONS_MAX);
    case "forcedClose":
      return accountWitnessBytes(POSITIONS_MAX) + RING_WITNESS_BYTES + INSTRUMENT_WITNESS_BYTES;
    case "forcedLiquidation":
    case "forcedWithdrawal":
      return accountWitnessBytes(POSITIONS_MAX) + marginWitnessBytes(POSITIONS_MAX);
    case "listSeries":
      // New cells are in no witness, but a challenge makes and hashes them: without their bytes its gas had no bound.
      return (
        UNDERLYING_WITNESS_BYTES +
        INSTRUMENT_TREE_DEPTH * HASH_BYTES +
        (1 + 2 * entry.strikes.length) * INSTRUMENT_CELL_BYTES
      );
    case "adminChange":
      return 0;
    default:
      return assertNever(entry, "inbound entry");
  }
}

/** Inbound root witness before the first entry: header, count and the outbox frontier. */
export const INBOUND_BASE_WEIGHT = CYCLE_HEADER_BYTES + COUNT_BYTES + OUTBOX_WITNESS_BYTES;

/** What one more entry adds to an inbound cycle's weight. */
export function inboundEntryWeight(entry: Readonly<InboundEntry>): number {
  return ENTRY_LENGTH_BYTES + inboundEntryBytes(entry) + inboundEntryWitnessBytes(entry);
}

function auctionWitnessBytes(cycle: Readonly<AuctionCycle>): number {
  const { positionCount } = cycle;
  const rule = accountRuleWitnessBytes(positionCount, 0, 0);
  if (cycle.op !== "take") return rule;
  const { bidderPositionCount, newCount, legs } = cycle.take;
  const both = accountWitnessBytes(positionCount) + accountWitnessBytes(bidderPositionCount);
  return Math.max(
    accountWitnessBytes(0) + both + RING_WITNESS_BYTES + instrumentsWitnessBytes(legs.length),
    rule,
    accountRuleWitnessBytes(bidderPositionCount, 1, newCount),
  );
}

/** Whoever was passed over in the ranking shows it with the rows of an account that the payload does not name. */
function adlWitnessBytes(cycle: Readonly<AdlCycle>): number {
  let root = accountWitnessBytes(cycle.positionCount) + INSTRUMENT_WITNESS_BYTES;
  for (const { positionCount } of cycle.counterparties) root += accountWitnessBytes(positionCount);
  const atAccount = accountRuleWitnessBytes(cycle.positionCount, 0, 0) + accountWitnessBytes(0);
  // Which side another account must be on, the bankrupt account's cell says.
  const atAnother = accountRuleWitnessBytes(POSITIONS_MAX, 0, 0) + accountWitnessBytes(cycle.positionCount);
  return Math.max(root, atAccount, atAnother);
}

/** Bytes of the largest one-transaction witness against the cycle, payload included. */
export function cycleWeight(cycle: Readonly<Cycle>): number {
  const payload = cycleBytes(cycle);
  switch (cycle.kind) {
    case "report":
      return payload + UNDERLYING_WITNESS_BYTES + INSTRUMENT_WITNESS_BYTES;
    case "rows":
      return payload + UNDERLYING_WITNESS_BYTES + cycle.instruments.length * INSTRUMENT_WITNESS_BYTES;
    case "trade": {
      const sums: TradeSums = { root: accountWitnessBytes(0), rule: 0, instruments: new Set() };
      addTradeAccounts(cycle.accounts, sums);
      return payload + Math.max(sums.root + sums.instruments.size * INSTRUMENT_WITNESS_BYTES, sums.rule);
    }
    case "liquidation": {
      const sums: TradeSums = {
        root: 2 * accountWitnessBytes(0) + accountWitnessBytes(cycle.positionCount),
        // A liquidation only reduces: no instrument comes to the account's positions.
        rule: accountRuleWitnessBytes(cycle.positionCount, 0, 0),
        instruments: new Set(cycle.legs.map((leg) => leg.instrument)),
      };
      addTradeAccounts(cycle.counterparties, sums);
      return payload + Math.max(sums.root + sums.instruments.size * INSTRUMENT_WITNESS_BYTES, sums.rule);
    }
    case "auction":
      return payload + auctionWitnessBytes(cycle);
    case "bankruptcy":
      // Nothing is declared of the accounts: one that holds positions after all is shown with its cell.
      return payload + accountWitnessBytes(0) + cycle.accounts.length * accountWitnessBytes(POSITIONS_MAX);
    case "adl":
      return payload + adlWitnessBytes(cycle);
    case "credit":
      return payload + accountWitnessBytes(POSITIONS_MAX) + accountWitnessBytes(0);
    case "admin":
      return payload;
    case "expiry": {
      const instruments = new Set<number>(cycle.instruments);
      let root = UNDERLYING_WITNESS_BYTES;
      for (const realisation of cycle.realisations) {
        root += accountWitnessBytes(realisation.positionCount);
        for (const instrument of realisation.instruments) instruments.add(instrument);
      }
      return payload + root + instruments.size * INSTRUMENT_WITNESS_BYTES;
    }
    case "inbound": {
      let weight = INBOUND_BASE_WEIGHT;
      for (const entry of cycle.entries) weight += inboundEntryWeight(entry);
      return weight;
    }
    case "outbound": {
      let root = OUTBOX_WITNESS_BYTES;
      let rule = 0;
      for (const { positionCount } of cycle.withdrawals) {
        root += accountWitnessBytes(positionCount) + RING_WITNESS_BYTES;
        // Bad debt is compared with the insurance account's cash.
        rule = Math.max(rule, accountRuleWitnessBytes(positionCount, 1, 0) + accountWitnessBytes(0));
      }
      return payload + Math.max(root, rule);
    }
    default:
      return assertNever(cycle, "cycle");
  }
}
