// A ledger's state in the reference's form, and where two such states differ.
import { assert } from "@tidemark/num";
import { RING_SLOTS } from "../limits.ts";
import type { LedgerState } from "../state.ts";
import { exact, type ReferenceState } from "./cells.ts";

function cellsOf<Cell>(count: number, cellAt: (number: number) => Cell | undefined): Map<bigint, Cell> {
  const cells = new Map<bigint, Cell>();
  for (let number = 0; number < count; number++) {
    const cell = cellAt(number);
    assert(cell !== undefined, "cells are dense");
    cells.set(BigInt(number), cell);
  }
  return cells;
}

const exactValues = <Cell>(cells: Map<bigint, Cell>): Map<bigint, ReturnType<typeof exact<Cell>>> =>
  new Map([...cells].map(([number, cell]) => [number, exact(cell)]));

/** Every cell of the state; ring roots are left out, their slots are there. */
export function referenceOf(state: LedgerState): ReferenceState {
  const accounts: ReferenceState["accounts"] = new Map();
  const rings: ReferenceState["rings"] = new Map();
  for (const number of state.accountNumbers()) {
    const cell = state.account(number);
    assert(cell !== undefined, "accountNumbers are of accounts");
    const { ringRoot: _, ...others } = cell;
    accounts.set(BigInt(number), exact(others));
    const slots = state.ringSlots(number);
    if (slots.length === 0) continue;
    rings.set(BigInt(number), new Map(slots.map((slot) => [BigInt(slot.nonce % RING_SLOTS), exact({ ...slot })])));
  }
  return {
    accounts,
    rings,
    instruments: exactValues(cellsOf(state.instrumentCount, (number) => state.instrument(number))),
    underlyings: exactValues(cellsOf(state.underlyingCount, (number) => state.underlying(number))),
    outbox: exactValues(cellsOf(state.outboxCount, (number) => state.outboxCell(number))),
    globals: exact({ ...state.globals }),
  };
}

/** Paths and values where two states differ, at most `most` of them. */
export function differences(left: ReferenceState, right: ReferenceState, most = 10): string[] {
  const found: string[] = [];
  compare("", left, right, found, most);
  return found;
}

function entriesOf(value: object): [string, unknown][] {
  return value instanceof Map ? [...value].map(([key, item]) => [String(key), item]) : Object.entries(value);
}

function compare(path: string, left: unknown, right: unknown, found: string[], most: number): void {
  if (left === right || found.length >= most) return;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
    found.push(`${path}: ${String(left)} ≠ ${String(right)}`);
    return;
  }
  const others = new Map(entriesOf(right));
  for (const [key, item] of entriesOf(left)) {
    compare(`${path}/${key}`, item, others.get(key), found, most);
    others.delete(key);
  }
  for (const [key, item] of others) compare(`${path}/${key}`, undefined, item, found, most);
}
