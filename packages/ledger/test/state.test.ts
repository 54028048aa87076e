import {
  type AccountNumber,
  ByteWriter,
  bytesToHex,
  hexToBytes,
  type InstrumentNumber,
  keccak256,
  type MicroUsdc,
  microUsdc,
  nonceOf,
  type SizeLots,
  timestampMs,
} from "@tidemark/num";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AccountCell,
  type Draft,
  deserialiseState,
  type InstrumentCell,
  LedgerState,
  RING_SLOTS,
  ROW_LENGTH,
  rootOfPath,
  serialiseState,
  stateRootOf,
  writeAccount,
  writeGlobals,
  writeInstrument,
  writeOutbox,
  writeRingSlot,
  writeUnderlying,
} from "../src/index.ts";
import { recursiveRoot } from "./naive-tree.ts";
import { testParameters } from "./parameters.ts";

const parameters = testParameters();
const OWNER = `0x${"11".repeat(20)}` as const;

function bytesOf(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  write(writer);
  return writer.toBytes();
}

/** Root from nothing but the readable cells, every tree hashed in full. */
function naiveRoot(state: LedgerState): string {
  const range = (count: number): number[] => Array.from({ length: count }, (_, number) => number);
  const accounts = state.accountNumbers().map((number) => {
    const cell = state.account(number) as AccountCell;
    const ring = state
      .ringSlots(number)
      .map((slot) => [slot.nonce % RING_SLOTS, bytesOf((writer) => writeRingSlot(writer, slot))] as const);
    const ringRoot = bytesToHex(recursiveRoot(16, ring));
    return [number, bytesOf((writer) => writeAccount(writer, { ...cell, ringRoot }))] as const;
  });
  const instruments = range(state.instrumentCount).map(
    (n) => [n, bytesOf((writer) => writeInstrument(writer, state.instrument(n) as InstrumentCell))] as const,
  );
  const underlyings = range(state.underlyingCount).map(
    (n) => [n, bytesOf((writer) => writeUnderlying(writer, state.underlying(n) as never))] as const,
  );
  const outbox = range(state.outboxCount).map(
    (n) => [n, bytesOf((writer) => writeOutbox(writer, state.outboxCell(n) as never))] as const,
  );
  const parts = [
    recursiveRoot(24, accounts),
    recursiveRoot(24, instruments),
    recursiveRoot(16, underlyings),
    recursiveRoot(32, outbox),
    keccak256(bytesOf((writer) => writeGlobals(writer, state.globals))),
  ];
  return bytesToHex(keccak256(Uint8Array.from(parts.flatMap((part) => [...part]))));
}

function perpetual(): InstrumentCell {
  const zero = 0 as never;
  return {
    ...{ kind: 1, underlying: zero, status: 1, expiryMs: zero, strike: zero },
    ...{ lotNanoCoin: 100_000, tickMicroUsd: 100_000, tickValueMicroUsdc: 10, fundingIndex: 0 },
    ...{ settlementPerLot: zero, clearingPosition: 0, clearingCash: zero, rowEpoch: 0, rowTimeMs: zero },
    row: new Array<number>(ROW_LENGTH).fill(5),
    ...{ shortAddOn: 0, longAddOn: 0, concentrationAddOn: 0, feePerLot: 1 },
  };
}

// ── random operations that keep the identities ─────────────────────────────────────────────────────────────────────

type Operation =
  | { what: "open"; account: number }
  | { what: "deposit"; account: number; amount: number }
  | { what: "list" }
  | { what: "trade"; buyer: number; seller: number; instrument: number; size: number; cash: number; nonce: number }
  | { what: "fund"; account: number; instrument: number; amount: number }
  | { what: "withdraw"; account: number; amount: number }
  | { what: "report"; underlying: number; index: number };

const pick = fc.nat(1000);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    what: fc.constant("open" as const),
    account: fc.oneof(fc.integer({ min: 2, max: 40 }), fc.nat(0xff_ffff)),
  }),
  fc.record({ what: fc.constant("deposit" as const), account: pick, amount: fc.nat(1e12) }),
  fc.constant({ what: "list" as const }),
  fc.record({
    ...{ what: fc.constant("trade" as const), buyer: pick, seller: pick, instrument: pick },
    ...{ size: fc.integer({ min: 1, max: 1000 }), cash: fc.nat(1e9), nonce: fc.nat(2 ** 40) },
  }),
  fc.record({ what: fc.constant("fund" as const), account: pick, instrument: pick, amount: fc.integer() }),
  fc.record({ what: fc.constant("withdraw" as const), account: pick, amount: fc.nat(1e9) }),
  fc.record({ what: fc.constant("report" as const), underlying: fc.nat(1), index: fc.nat(1e12) }),
);

function changeSize(cell: AccountCell, instrument: number, change: number): void {
  const position = cell.positions.find((candidate) => candidate.instrument === instrument);
  const size = (position?.size ?? 0) + change;
  cell.positions = cell.positions.filter((candidate) => candidate.instrument !== instrument);
  if (size !== 0) {
    cell.positions.push({ instrument: instrument as InstrumentNumber, size: size as SizeLots, fundingIndex: 0 });
    cell.positions.sort((a, b) => a.instrument - b.instrument);
  }
}

const add = (value: MicroUsdc, change: number): MicroUsdc => microUsdc(value + change);

function perform(draft: Draft, numbers: number[], what: Operation): void {
  const accountAt = (place: number): number => numbers[place % numbers.length] as number;
  const instrumentAt = (place: number): number => place % draft.globals.instrumentCount;
  switch (what.what) {
    case "open":
      if (draft.account(what.account) !== undefined) return;
      draft.createAccount(what.account as AccountNumber, OWNER);
      numbers.push(what.account);
      return;
    case "deposit": {
      const cell = draft.editAccount(accountAt(what.account));
      cell.cash = add(cell.cash, what.amount);
      draft.globals.inboundTotal = add(draft.globals.inboundTotal, what.amount);
      return;
    }
    case "list":
      draft.createInstrument(perpetual());
      return;
    case "trade": {
      const [buyer, seller] = [accountAt(what.buyer), accountAt(what.seller)];
      if (draft.globals.instrumentCount === 0 || buyer === seller) return;
      for (const [number, side] of [
        [buyer, 1],
        [seller, -1],
      ] as const) {
        const cell = draft.editAccount(number);
        changeSize(cell, instrumentAt(what.instrument), side * what.size);
        cell.cash = add(cell.cash, -side * what.cash);
        draft.putRingSlot(number, {
          nonce: nonceOf(what.nonce),
          orderHash: bytesToHex(keccak256(Uint8Array.of(what.size & 255, number & 255))),
          filledLots: what.size,
          filledCash: microUsdc(-side * what.cash),
          receiptDeadlineMs: timestampMs(1),
        });
      }
      return;
    }
    case "fund": {
      if (draft.globals.instrumentCount === 0) return;
      const cell = draft.editAccount(accountAt(what.account));
      const instrument = draft.editInstrument(instrumentAt(what.instrument));
      cell.cash = add(cell.cash, what.amount);
      instrument.clearingCash = add(instrument.clearingCash, -what.amount);
      return;
    }
    case "withdraw": {
      const number = accountAt(what.account);
      const cell = draft.editAccount(number);
      cell.cash = add(cell.cash, -what.amount);
      const amount = microUsdc(what.amount);
      draft.appendOutbox({ account: number as AccountNumber, asset: 0, amount, destinationChain: 1, recipient: OWNER });
      return;
    }
    default: {
      const cell = draft.editUnderlying(what.underlying);
      cell.epoch += 1;
      cell.index = what.index as typeof cell.index;
      cell.surfaces.push({ ...surfaceOf(what.index) });
      cell.surfaces.splice(0, Math.max(0, cell.surfaces.length - 24));
    }
  }
}

function surfaceOf(value: number): NonNullable<ReturnType<LedgerState["underlying"]>>["surfaces"][number] {
  const brand = value as never;
  return {
    expiryMs: brand,
    forward: brand,
    realisedAverage: brand,
    a: brand,
    b: brand,
    rho: brand,
    m: brand,
    s: brand,
  };
}

function checkTotals(state: LedgerState): void {
  const cells = state.accountNumbers().map((number) => state.account(number) as AccountCell);
  const instruments = Array.from({ length: state.instrumentCount }, (_, n) => state.instrument(n) as InstrumentCell);
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const { globals } = state;
  expect(globals.cashTotal).toBe(sum(cells.map((cell) => cell.cash)));
  expect(globals.clearingTotal).toBe(sum(instruments.map((cell) => cell.clearingCash)));
  expect(globals.badDebt).toBe(
    sum(cells.filter((cell) => cell.positions.length === 0).map((cell) => Math.max(0, -cell.cash))),
  );
  expect(globals.inboundTotal).toBe(globals.cashTotal + globals.clearingTotal + globals.outboxTotal);
}

// Genesis holds one account that can trade with nobody; two more make trades likely from the first operation on.
const openings: Operation[] = [{ what: "open", account: 2 }, { what: "open", account: 3 }, { what: "list" }];

test("random drafts: roots equal a full recomputation, totals hold, dropped drafts leave no trace", () => {
  const drafts = fc.array(fc.record({ keep: fc.boolean(), operations: fc.array(operation, { maxLength: 12 }) }), {
    minLength: 1,
    maxLength: 10,
  });
  let trades = 0;
  fc.assert(
    fc.property(drafts, (plan) => {
      const state = LedgerState.genesis(parameters);
      let numbers = state.accountNumbers();
      for (const { keep, operations } of [{ keep: true, operations: openings }, ...plan]) {
        const before = serialiseState(state);
        const rootBefore = state.root();
        const draft = state.begin();
        const after = numbers.slice();
        for (const what of operations) perform(draft, after, what);
        if (keep) {
          expect(draft.commit()).toBe(state.root());
          trades += operations.filter((what) => what.what === "trade").length;
          numbers = after;
          expect(state.root()).toBe(naiveRoot(state));
          checkTotals(state);
        } else {
          expect(state.root()).toBe(rootBefore);
          expect(serialiseState(state)).toEqual(before);
        }
      }
      expect(stateRootOf(state.roots())).toBe(state.root());
      const snapshot = serialiseState(state);
      const restored = deserialiseState(snapshot, parameters);
      expect(restored.root()).toBe(state.root());
      expect(serialiseState(restored)).toEqual(snapshot);
      expect(naiveRoot(restored)).toBe(state.root());
      for (const number of numbers) expect(restored.account(number)).toEqual(state.account(number));
    }),
    { numRuns: 120 },
  );
  expect(trades).toBeGreaterThan(100);
});

function smallState(): LedgerState {
  const state = LedgerState.genesis(parameters);
  const draft = state.begin();
  const numbers = state.accountNumbers();
  const plan: Operation[] = [
    ...openings,
    { what: "deposit", account: 2, amount: 5_000_000 },
    { what: "trade", buyer: 2, seller: 3, instrument: 0, size: 7, cash: 900, nonce: 65_536 * 3 + 5 },
    { what: "withdraw", account: 2, amount: 1_000 },
    { what: "withdraw", account: 2, amount: 2_000 },
  ];
  for (const what of plan) perform(draft, numbers, what);
  draft.commit();
  return state;
}

describe("a state", () => {
  test("genesis: two accounts, an empty cell an underlying, parameters in the globals", () => {
    const state = LedgerState.genesis(parameters);
    expect(state.accountNumbers()).toEqual([0, 1]);
    expect(state.account(0)?.owner).toBe(parameters.treasuryOwner);
    expect(state.account(1)?.owner).toBe(parameters.insuranceOwner);
    expect(state.underlying(1)?.epoch).toBe(0);
    expect(state.underlying(2)).toBeUndefined();
    expect(state.root()).toBe(naiveRoot(state));
    const other = LedgerState.genesis({ ...parameters, receiptPeriodMs: parameters.receiptPeriodMs + 1 });
    expect(other.root()).not.toBe(state.root());
  });

  test("the ring: slot nonce mod 65536 as stored, whichever nonce asks", () => {
    const state = smallState();
    expect(state.ringSlot(2, 65_536 * 3 + 5)?.filledLots).toBe(7);
    expect(state.ringSlot(2, 5)?.nonce).toBe(65_536 * 3 + 5);
    expect(state.ringSlot(2, 6)).toBeUndefined();
    expect(state.ringSlot(9, 5)).toBeUndefined();
  });

  test("proofs lead to the roots", () => {
    const state = smallState();
    const roots = state.roots();
    const check = (number: number, proof: { cell: Uint8Array; path: `0x${string}`[] }, root: string): void => {
      expect(bytesToHex(rootOfPath(number, proof.cell, proof.path.map(hexToBytes)))).toBe(root);
    };
    for (const number of state.accountNumbers()) check(number, state.proveAccount(number), roots.accountsRoot);
    check(0, state.proveInstrument(0), roots.instrumentsRoot);
    check(1, state.proveUnderlying(1), roots.underlyingsRoot);
    check(0, state.proveOutbox(0), roots.outboxRoot);
    check(1, state.proveOutbox(1), roots.outboxRoot);
    check(5, state.proveRingSlot(3, 5), state.account(3)?.ringRoot as string);
    expect(bytesToHex(keccak256(state.globalsBytes()))).toBe(roots.globalsHash);
  });

  test("reading through a draft sees its edits, the state does not", () => {
    const state = smallState();
    const draft = state.begin();
    draft.editAccount(2).cash = microUsdc(1);
    draft.editAccount(2).positions.length = 0;
    draft.editInstrument(0).row[3] = 99;
    draft.putRingSlot(2, {
      ...(state.ringSlot(2, 5) as NonNullable<ReturnType<LedgerState["ringSlot"]>>),
      filledLots: 8,
    });
    expect(draft.account(2)?.cash).toBe(1);
    expect(draft.ringSlot(2, 5)?.filledLots).toBe(8);
    expect(state.account(2)?.cash).not.toBe(1);
    expect(state.account(2)?.positions).toHaveLength(1);
    expect(state.instrument(0)?.row[3]).toBe(5);
    expect(state.ringSlot(2, 5)?.filledLots).toBe(7);
  });

  test("refuses to commit what breaks an identity or a bound", () => {
    const broken = (what: string, change: (draft: Draft) => void): void => {
      const draft = smallState().begin();
      change(draft);
      expect(() => draft.commit(), what).toThrow("invariant broken");
    };
    broken("money from nowhere", (draft) => {
      draft.editAccount(2).cash = microUsdc(77);
    });
    broken("size from nowhere", (draft) => changeSize(draft.editAccount(2), 0, 1));
    broken("unsorted positions", (draft) => {
      draft.createInstrument(perpetual());
      for (const [number, side] of [
        [2, 1],
        [3, -1],
      ] as const) {
        const cell = draft.editAccount(number);
        cell.positions.unshift({ instrument: 1 as InstrumentNumber, size: side as SizeLots, fundingIndex: 0 });
      }
    });
    broken("a position of size 0", (draft) => {
      draft.createInstrument(perpetual());
      draft.editAccount(2).positions.push({ instrument: 1 as InstrumentNumber, size: 0 as SizeLots, fundingIndex: 0 });
    });
    broken("a position in no instrument", (draft) => {
      for (const [number, side] of [
        [2, 1],
        [3, -1],
      ] as const)
        changeSize(draft.editAccount(number), 1, side);
    });
    broken("a short row", (draft) => {
      draft.editInstrument(0).row.pop();
    });
  });

  test("a draft of an older state and a second commit are bugs", () => {
    const state = smallState();
    const [first, second] = [state.begin(), state.begin()];
    first.commit();
    expect(() => second.commit()).toThrow("current state");
    expect(() => first.commit()).toThrow("current state");
  });
});

describe("a snapshot", () => {
  test("any changed byte, truncation or tail is refused", () => {
    const bytes = serialiseState(smallState());
    for (let place = 0; place < bytes.length; place += 7) {
      const changed = bytes.slice();
      changed[place] = (changed[place] as number) ^ 0x40;
      expect(() => deserialiseState(changed, parameters), `byte ${place}`).toThrow();
    }
    expect(() => deserialiseState(bytes.subarray(0, bytes.length - 1), parameters)).toThrow();
    expect(() => deserialiseState(Uint8Array.from([...bytes, 0]), parameters)).toThrow();
    expect(() => deserialiseState(new Uint8Array(0), parameters)).toThrow("too short");
  });

  test("a wrong cell with a right checksum is found by the roots", () => {
    const bytes = serialiseState(smallState());
    const content = bytes.slice(0, bytes.length - 32);
    // The last byte of the content is in a ring slot's deadline.
    content[content.length - 1] = 1;
    const forged = Uint8Array.from([...content, ...keccak256(content)]);
    expect(() => deserialiseState(forged, parameters)).toThrow();
    content[content.length - 1] = 0;
    content[content.length - 8] = 9;
    expect(() => deserialiseState(Uint8Array.from([...content, ...keccak256(content)]), parameters)).toThrow(
      "ring root",
    );
  });

  test("of other parameters is refused", () => {
    const bytes = serialiseState(smallState());
    expect(() => deserialiseState(bytes, { ...parameters, domain: 9 })).toThrow("another parameter set");
  });
});
