import { readFileSync } from "node:fs";
import { sizeLots } from "@tidemark/num";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inSourceOrder, OUTPUT, solidityOfLimits } from "../../../tools/generate-limits.mjs";
import {
  ACCOUNT_CELL_FIXED_BYTES,
  accountRuleWitnessBytes,
  accountWitnessBytes,
  BATCH_BYTES_MAX,
  CHALLENGE_BYTES_MAX,
  CHALLENGE_FIXED_BYTES,
  CYCLE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  type Cycle,
  cycleBytes,
  cycleWeight,
  DELEGATE_BYTES,
  encodeCycle,
  GLOBALS_CELL_BYTES,
  INBOUND_BASE_WEIGHT,
  INSTRUMENT_CELL_BYTES,
  INSTRUMENT_WITNESS_BYTES,
  type InboundEntry,
  inboundEntryWeight,
  LEGS_MAX,
  LedgerState,
  marginWitnessBytes,
  OUTBOX_CELL_BYTES,
  POSITION_BYTES,
  POSITIONS_MAX,
  RING_CELL_BYTES,
  RING_WITNESS_BYTES,
  SURFACE_BYTES,
  TRADE_BASE_WEIGHT,
  type TradeAccount,
  tradeAccountWeight,
  tradeEntryWeight,
  UNDERLYING_CELL_FIXED_BYTES,
} from "../src/index.ts";
import * as limits from "../src/limits.ts";
import { cycleArbitraries, inboundEntry } from "./arbitraries.ts";
import { testParameters } from "./parameters.ts";

const root = new URL("../../../", import.meta.url);
const zero = 0 as never;
const HASH = `0x${"ab".repeat(32)}` as const;
const ADDRESS = `0x${"cd".repeat(20)}` as const;
const SIGNATURE = `0x${"ef".repeat(64)}` as const;

test("the Solidity library is generated from these limits", () => {
  const source = readFileSync(new URL("packages/ledger/src/limits.ts", root), "utf8");
  const committed = readFileSync(new URL(OUTPUT, root), "utf8");
  expect(solidityOfLimits(inSourceOrder(limits, source))).toBe(committed);
  expect(committed).toContain("uint256 internal constant CASH_BOUND = 9007199254740992;");
});

describe("cell sizes are those of the codec", () => {
  const state = LedgerState.genesis(testParameters());
  const draft = state.begin();
  const cell = draft.createAccount(2 as never, ADDRESS);
  cell.delegates.push({ key: ADDRESS, scopes: 1, expiryMs: zero });
  draft.createInstrument({
    ...{ kind: 2, underlying: zero, status: 1, expiryMs: zero, strike: zero, lotNanoCoin: 1, tickMicroUsd: 1 },
    ...{ tickValueMicroUsdc: 1, fundingIndex: 0, settlementPerLot: zero, clearingPosition: -5, clearingCash: zero },
    ...{ rowEpoch: 0, rowTimeMs: zero, row: new Array<number>(limits.ROW_LENGTH).fill(0) },
    ...{ shortAddOn: 0, longAddOn: 0, concentrationAddOn: 0, feePerLot: 0 },
  });
  cell.positions.push({ instrument: zero, size: sizeLots(5), fundingIndex: 0 });
  const brand = 0 as never;
  draft.editUnderlying(0).surfaces.push({
    ...{ expiryMs: brand, forward: brand, realisedAverage: brand },
    ...{ a: brand, b: brand, rho: brand, m: brand, s: brand },
  });
  draft.putRingSlot(2, { nonce: zero, orderHash: HASH, filledLots: 1, filledCash: zero, receiptDeadlineMs: zero });
  draft.appendOutbox({ account: 2 as never, asset: 0, amount: zero, destinationChain: 1, recipient: ADDRESS });
  draft.commit();

  test.each([
    ["account", state.proveAccount(2).cell, ACCOUNT_CELL_FIXED_BYTES + DELEGATE_BYTES + POSITION_BYTES],
    ["instrument", state.proveInstrument(0).cell, INSTRUMENT_CELL_BYTES],
    ["underlying", state.proveUnderlying(0).cell, UNDERLYING_CELL_FIXED_BYTES + SURFACE_BYTES],
    ["outbox", state.proveOutbox(0).cell, OUTBOX_CELL_BYTES],
    ["ring slot", state.proveRingSlot(2, 0).cell, RING_CELL_BYTES],
    ["globals", state.globalsBytes(), GLOBALS_CELL_BYTES],
  ] as const)("%s", (_, bytes, expected) => {
    expect(bytes.length).toBe(expected);
  });

  test("a real witness is within its weight", () => {
    const account = state.proveAccount(2);
    expect(account.cell.length + 32 * account.path.length).toBeLessThanOrEqual(accountWitnessBytes(1));
    const slot = state.proveRingSlot(2, 0);
    expect(slot.cell.length + 32 * slot.path.length).toBe(RING_WITNESS_BYTES);
    const instrument = state.proveInstrument(0);
    expect(instrument.cell.length + 32 * instrument.path.length).toBe(INSTRUMENT_WITNESS_BYTES);
  });
});

/** Siblings that a multiproof of these leaves really needs. */
function siblingCount(leaves: readonly number[], depth: number): number {
  let covered = new Set(leaves);
  let siblings = 0;
  for (let level = 0; level < depth; level++) {
    for (const node of covered) if (!covered.has(node ^ 1)) siblings++;
    covered = new Set([...covered].map((node) => Math.floor(node / 2)));
  }
  return siblings;
}

test("the rows of any set of instruments fit marginWitnessBytes, and the worst set reaches it", () => {
  const underlyingsOf = (count: number): number => marginWitnessBytes(count) - rowsOnly(count);
  // One instrument: 24 siblings whatever its number, so the rest is the underlying's.
  const rowsOnly = (count: number): number => count * INSTRUMENT_CELL_BYTES + 32 * worstSiblings(count);
  const worstSiblings = (count: number): number => {
    const spread = Array.from({ length: count }, (_, i) => Math.floor((i * limits.INSTRUMENTS_MAX) / count));
    return siblingCount(spread, limits.INSTRUMENT_TREE_DEPTH);
  };
  for (const count of [8, 16, 32, 64, 128]) {
    expect(underlyingsOf(count), `${count} instruments`).toBe(underlyingsOf(8));
  }
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(limits.INSTRUMENTS_MAX - 1), { minLength: 8, maxLength: POSITIONS_MAX + LEGS_MAX }),
      (numbers) => {
        const needed =
          32 * siblingCount(numbers, limits.INSTRUMENT_TREE_DEPTH) + numbers.length * INSTRUMENT_CELL_BYTES;
        expect(needed).toBeLessThanOrEqual(marginWitnessBytes(numbers.length) - underlyingsOf(8));
      },
    ),
    { numRuns: 200 },
  );
});

function tradeAccount(account: number, positionCount: number, nonces: number, legCount: number): TradeAccount {
  return {
    account: account as never,
    positionCount,
    entries: Array.from({ length: nonces }, (_, i) => ({
      order: {
        ...{ domain: 1, account: account as never, size: sizeLots(1), limitPrice: zero, maxFeePerLot: zero },
        legs: Array.from({ length: legCount }, (_leg, j) => ({ instrument: (8 * account + j) as never, ratio: 1 })),
        ...{ nonce: i as never, startMs: zero, expiryMs: zero, flags: 0 },
      },
      signature: SIGNATURE,
      filledLots: 1,
      cash: zero,
      fee: zero,
    })),
  };
}

describe("any single piece of work fits a cycle", () => {
  const forced: InboundEntry = { type: "forcedWithdrawal", account: zero, amount: zero, recipient: ADDRESS };
  const leg = { instrument: 3 as never, size: sizeLots(1), cash: zero, fee: zero };
  const full = { positionCount: POSITIONS_MAX };
  const bid = {
    ...{ domain: 1, account: 3 as never, auctioned: 2 as never, parts: 1000, paymentMax: zero, bindsLegs: true },
    ...{ nonce: zero, expiryMs: zero },
  };
  const surface = fc.sample(cycleArbitraries(1).report, { numRuns: 1, seed: 1 })[0]?.surfaces[0];
  const cycles: [string, Cycle][] = [
    [
      "two full accounts with four legs each",
      { kind: "trade", timeMs: zero, accounts: [1, 2].map((n) => tradeAccount(n, POSITIONS_MAX, 1, LEGS_MAX)) },
    ],
    [
      "liquidation of a full account against a full account",
      {
        ...{ kind: "liquidation", timeMs: zero, account: zero, positionCount: POSITIONS_MAX, legs: [leg] },
        counterparties: [tradeAccount(3, POSITIONS_MAX, 1, 1)],
      },
    ],
    ["forced withdrawal", { kind: "inbound", timeMs: zero, entries: [forced] }],
    [
      "the longest series",
      {
        ...{ kind: "inbound", timeMs: zero },
        entries: [{ type: "listSeries", underlying: zero, expiryMs: zero, strikes: new Array(120).fill(zero) }],
      },
    ],
    ["forced liquidation", { kind: "inbound", timeMs: zero, entries: [{ type: "forcedLiquidation", account: zero }] }],
    ["start of a full account's auction", { kind: "auction", op: "start", timeMs: zero, account: zero, ...full }],
    [
      "a full account to a bidder who holds the same",
      {
        ...{ kind: "auction", op: "take", timeMs: zero, account: 2 as never, ...full },
        take: {
          ...{ bid, signature: SIGNATURE, bidderPositionCount: POSITIONS_MAX, newCount: 0, discount: zero },
          fromAccount: zero,
          legs: Array.from({ length: POSITIONS_MAX }, (_, n) => ({ instrument: n as never, lots: sizeLots(1) })),
        },
      },
    ],
    [
      "as many bankruptcies as a cycle may hold",
      {
        ...{ kind: "bankruptcy", timeMs: zero },
        accounts: Array.from({ length: limits.BANKRUPTCIES_PER_CYCLE_MAX }, (_, n) => n as never),
      },
    ],
    [
      "a full account deleveraged against many of few positions",
      {
        ...{ kind: "adl", timeMs: zero, account: zero, ...full, instrument: zero, haircut: zero },
        counterparties: new Array(32).fill({
          ...{ account: zero, positionCount: 16, equity: zero, maintenance: zero },
        }),
      },
    ],
    ["a credit", { kind: "credit", op: "settle", timeMs: zero, account: zero }],
    ["the longest change", { kind: "admin", timeMs: zero, change: `0x${"ab".repeat(limits.ADMIN_CHANGE_BYTES_MAX)}` }],
    [
      "as many changes as a cycle may hold",
      {
        ...{ kind: "inbound", timeMs: zero },
        entries: new Array(limits.INBOUND_PER_CYCLE_MAX).fill({
          type: "adminChange",
          change: `0x${"ab".repeat(limits.ADMIN_CHANGE_BYTES_MAX)}`,
        }),
      },
    ],
    [
      "as many deposits as a cycle may hold",
      {
        ...{ kind: "inbound", timeMs: zero },
        entries: new Array(limits.INBOUND_PER_CYCLE_MAX).fill({ ...forced, type: "deposit", payer: ADDRESS }),
      },
    ],
    [
      "as many rows as a cycle may hold",
      {
        ...{ kind: "rows", timeMs: zero, underlying: zero, closesEpoch: true },
        instruments: Array.from({ length: limits.ROWS_PER_CYCLE_MAX }, (_, n) => n as never),
      },
    ],
    [
      "the longest report",
      {
        ...{ kind: "report", timeMs: zero, underlying: zero, reportMs: zero, index: zero, premium: zero },
        surfaces: new Array(limits.EXPIRIES_MAX).fill(surface),
        signatures: new Array(limits.ORACLES_MAX).fill({ signer: 1, signature: SIGNATURE }),
      },
    ],
    [
      "as many settlements as a cycle may hold",
      {
        ...{ kind: "expiry", timeMs: zero, underlying: zero, expiryMs: zero, settlementPrice: zero },
        signatures: new Array(limits.ORACLES_MAX).fill({ signer: 1, signature: SIGNATURE }),
        instruments: Array.from({ length: limits.EXPIRY_INSTRUMENTS_MAX }, (_, n) => n as never),
        realisations: [],
      },
    ],
    [
      "withdrawal of a full account",
      {
        ...{ kind: "outbound", timeMs: zero },
        withdrawals: [
          {
            withdrawal: {
              ...{ domain: 1, account: zero, asset: 0, amount: zero, destinationChain: 1 },
              ...{ recipient: ADDRESS, nonce: zero, expiryMs: zero },
            },
            signature: SIGNATURE,
            positionCount: POSITIONS_MAX,
          },
        ],
      },
    ],
  ];
  test.each(cycles)("%s", (_, cycle) => {
    expect(cycleWeight(cycle)).toBeLessThanOrEqual(CYCLE_WEIGHT_MAX);
    expect(cycleBytes(cycle)).toBeLessThanOrEqual(CYCLE_BYTES_MAX);
    expect(encodeCycle(cycle).length).toBe(cycleBytes(cycle));
  });

  test("and the challenge stays within its calldata, a cycle within a batch", () => {
    expect(CYCLE_WEIGHT_MAX + CHALLENGE_FIXED_BYTES).toBe(CHALLENGE_BYTES_MAX);
    expect(CHALLENGE_BYTES_MAX).toBe(112 * 1024);
    expect(CYCLE_BYTES_MAX + 36).toBeLessThan(BATCH_BYTES_MAX);
  });
});

describe("parts add up to the weight", () => {
  test("trade", () => {
    fc.assert(
      fc.property(cycleArbitraries(1).trade, (cycle) => {
        const instruments = new Set(
          cycle.accounts.flatMap((a) => a.entries.flatMap((e) => e.order.legs.map((l) => l.instrument))),
        );
        let rootWeight = TRADE_BASE_WEIGHT + instruments.size * INSTRUMENT_WITNESS_BYTES;
        let rule = 0;
        for (const { positionCount, entries } of cycle.accounts) {
          const legs = entries.reduce((sum, entry) => sum + entry.order.legs.length, 0);
          rootWeight += tradeAccountWeight(positionCount);
          for (const entry of entries)
            rootWeight += tradeEntryWeight(entry.order.legs.length, entry.signature !== null);
          rule = Math.max(rule, accountRuleWitnessBytes(positionCount, entries.length, legs));
        }
        expect(cycleWeight(cycle)).toBe(Math.max(rootWeight, cycleBytes(cycle) + rule));
      }),
      { numRuns: 100 },
    );
  });

  test("inbound", () => {
    fc.assert(
      fc.property(fc.array(inboundEntry, { minLength: 1, maxLength: 32 }), (entries) => {
        const sum = entries.reduce((weight, entry) => weight + inboundEntryWeight(entry), INBOUND_BASE_WEIGHT);
        expect(cycleWeight({ kind: "inbound", timeMs: zero, entries })).toBe(sum);
      }),
    );
  });
});
