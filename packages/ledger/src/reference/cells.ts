// The reference's state: plain Maps and arrays of bigint cells, and the state root by its definition. Slow on purpose.
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import { type ParameterSet, parametersHash } from "../parameters.ts";
import type { AccountCell, GlobalsCell, Hash, InstrumentCell, OutboxCell, RingSlot, UnderlyingCell } from "../types.ts";

/** The same shape with every number as a bigint. */
export type Exact<T> = T extends number
  ? bigint
  : T extends string | boolean | null
    ? T
    : T extends readonly (infer Item)[]
      ? Exact<Item>[]
      : { [Key in keyof T]: Exact<T[Key]> };

export function exact<T>(value: T): Exact<T> {
  if (typeof value === "number") return BigInt(value) as Exact<T>;
  if (Array.isArray(value)) return value.map((item: unknown) => exact(item)) as Exact<T>;
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, exact(item)])) as Exact<T>;
  }
  return value as Exact<T>;
}

export type ReferenceAccountCell = Exact<Omit<AccountCell, "ringRoot">>;
export type ReferenceInstrument = Exact<InstrumentCell>;
export type ReferenceUnderlying = Exact<UnderlyingCell>;
export type ReferenceSlot = Exact<RingSlot>;

export interface ReferenceState {
  accounts: Map<bigint, ReferenceAccountCell>;
  /** Account → slot index → slot. */
  rings: Map<bigint, Map<bigint, ReferenceSlot>>;
  instruments: Map<bigint, ReferenceInstrument>;
  underlyings: Map<bigint, ReferenceUnderlying>;
  outbox: Map<bigint, Exact<OutboxCell>>;
  globals: Exact<GlobalsCell>;
}

export function deepCopy<T>(value: T): T {
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, deepCopy(item)])) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => deepCopy(item)) as T;
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, deepCopy(item)])) as T;
  }
  return value;
}

export function newAccount(domain: bigint, owner: AccountCell["owner"]): ReferenceAccountCell {
  return {
    domain,
    owner,
    delegates: [],
    cash: 0n,
    credit: 0n,
    minNonce: 0n,
    liquidationMs: 0n,
    auctionMs: 0n,
    creditIndex: 0n,
    positions: [],
  };
}

export const ZERO: Hash = `0x${"00".repeat(32)}`;

export function referenceGenesis(parameters: ParameterSet): ReferenceState {
  const domain = BigInt(parameters.domain);
  const noReport: ReferenceUnderlying = {
    epoch: 0n,
    epochOpen: false,
    reportMs: 0n,
    index: 0n,
    indexAverage: 0n,
    premiumEma: 0n,
    perpetual: 0n,
    hasPerpetual: false,
    surfaces: [],
  };
  return {
    accounts: new Map([
      [0n, newAccount(domain, parameters.treasuryOwner)],
      [1n, newAccount(domain, parameters.insuranceOwner)],
    ]),
    rings: new Map(),
    instruments: new Map(),
    underlyings: new Map(parameters.underlyings.map((_, number) => [BigInt(number), deepCopy(noReport)])),
    outbox: new Map(),
    globals: {
      domain,
      format: 1n,
      hashSuite: 1n,
      timeMs: 0n,
      inboundCursor: 0n,
      inboundHash: ZERO,
      outboxCount: 0n,
      instrumentCount: 0n,
      inboundTotal: 0n,
      outboxTotal: 0n,
      cashTotal: 0n,
      clearingTotal: 0n,
      badDebt: 0n,
      parametersHash: parametersHash(parameters),
      creditTotal: 0n,
      adminHash: ZERO,
      adminMs: 0n,
    },
  };
}

/** Totals from nothing but the cells. */
export function recomputeTotals(state: ReferenceState): void {
  let cash = 0n;
  let credit = 0n;
  let badDebt = 0n;
  for (const account of state.accounts.values()) {
    cash += account.cash;
    credit += account.credit;
    if (account.positions.length === 0 && account.cash < 0n) badDebt -= account.cash;
  }
  let clearing = 0n;
  for (const instrument of state.instruments.values()) clearing += instrument.clearingCash;
  state.globals.cashTotal = cash;
  state.globals.creditTotal = credit;
  state.globals.clearingTotal = clearing;
  state.globals.badDebt = badDebt;
}

/** Sentences about identities that do not hold; empty when all do. */
export function brokenIdentities(state: ReferenceState): string[] {
  const { globals } = state;
  const broken: string[] = [];
  const sum = globals.cashTotal + globals.clearingTotal + globals.outboxTotal;
  if (globals.inboundTotal !== sum) broken.push(`inbound ${globals.inboundTotal} ≠ cash + clearing + outbox ${sum}`);
  let outbox = 0n;
  for (const cell of state.outbox.values()) outbox += cell.amount;
  if (outbox !== globals.outboxTotal) broken.push(`outboxTotal ${globals.outboxTotal} ≠ Σ withdrawals ${outbox}`);
  for (const [number, instrument] of state.instruments) {
    let sizes = instrument.clearingPosition;
    for (const account of state.accounts.values()) {
      for (const position of account.positions) if (position.instrument === number) sizes += position.size;
    }
    if (sizes !== 0n) broken.push(`sizes of instrument ${number} sum to ${sizes}`);
  }
  return broken;
}

// ── bytes and root ─────────────────────────────────────────────────────────────────────────────────────────────────

const U = (value: bigint, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
const H = (hex: string): number[] => [...hexToBytes(hex)];
const flag = (value: boolean): number[] => [value ? 1 : 0];

function accountBytes(cell: ReferenceAccountCell, ringRoot: Uint8Array): number[] {
  return [
    ...U(cell.domain, 4),
    ...H(cell.owner),
    cell.delegates.length,
    ...cell.delegates.flatMap((delegate) => [...H(delegate.key), ...U(delegate.scopes, 1), ...U(delegate.expiryMs, 8)]),
    ...U(cell.cash, 8),
    ...U(cell.credit, 8),
    ...U(cell.minNonce, 6),
    ...[cell.liquidationMs, cell.auctionMs, cell.creditIndex].flatMap((value) => U(value, 8)),
    ...ringRoot,
    cell.positions.length,
    ...cell.positions.flatMap((one) => [...U(one.instrument, 3), ...U(one.size, 4), ...U(one.fundingIndex, 8)]),
  ];
}

const slotBytes = (slot: ReferenceSlot): number[] => [
  ...U(slot.nonce, 6),
  ...H(slot.orderHash),
  ...U(slot.filledLots, 4),
  ...U(slot.filledCash, 8),
  ...U(slot.receiptDeadlineMs, 8),
];

const instrumentBytes = (cell: ReferenceInstrument): number[] => [
  ...U(cell.kind, 1),
  ...U(cell.underlying, 2),
  ...U(cell.status, 1),
  ...[cell.expiryMs, cell.strike, cell.lotNanoCoin, cell.tickMicroUsd].flatMap((value) => U(value, 8)),
  ...U(cell.tickValueMicroUsdc, 4),
  ...[cell.fundingIndex, cell.settlementPerLot, cell.clearingPosition, cell.clearingCash].flatMap((v) => U(v, 8)),
  ...[cell.rowEpoch, cell.rowTimeMs].flatMap((value) => U(value, 8)),
  ...cell.row.flatMap((value) => U(value, 5)),
  ...[cell.shortAddOn, cell.longAddOn, cell.concentrationAddOn, cell.feePerLot].flatMap((value) => U(value, 5)),
];

const underlyingBytes = (cell: ReferenceUnderlying): number[] => [
  ...U(cell.epoch, 8),
  ...flag(cell.epochOpen),
  ...[cell.reportMs, cell.index, cell.indexAverage, cell.premiumEma].flatMap((value) => U(value, 8)),
  ...flag(cell.hasPerpetual),
  ...U(cell.perpetual, 3),
  cell.surfaces.length,
  ...cell.surfaces.flatMap((one) =>
    [one.expiryMs, one.forward, one.realisedAverage, one.a, one.b, one.rho, one.m, one.s].flatMap((v) => U(v, 8)),
  ),
];

const outboxBytes = (cell: Exact<OutboxCell>): number[] => [
  ...U(cell.account, 3),
  ...U(cell.asset, 2),
  ...U(cell.amount, 8),
  ...U(cell.destinationChain, 8),
  ...H(cell.recipient),
];

const globalsBytes = (cell: Exact<GlobalsCell>): number[] => [
  ...U(cell.domain, 4),
  ...U(cell.format, 2),
  ...U(cell.hashSuite, 1),
  ...[cell.timeMs, cell.inboundCursor].flatMap((value) => U(value, 8)),
  ...H(cell.inboundHash),
  ...U(cell.outboxCount, 4),
  ...U(cell.instrumentCount, 3),
  ...[cell.inboundTotal, cell.outboxTotal, cell.cashTotal, cell.clearingTotal, cell.badDebt].flatMap((v) => U(v, 8)),
  ...H(cell.parametersHash),
  ...U(cell.creditTotal, 8),
  ...H(cell.adminHash),
  ...U(cell.adminMs, 8),
];

const hash = (bytes: readonly number[]): Uint8Array => keccak256(Uint8Array.from(bytes));

/** Level by level from the leaves: a node is there when one of its children is; a missing child is the empty subtree. */
function treeRoot(depth: number, cells: ReadonlyMap<bigint, readonly number[]>): Uint8Array {
  let level = new Map([...cells].map(([index, bytes]) => [index, hash(bytes)]));
  let empty: Uint8Array = new Uint8Array(32);
  for (let height = 0; height < depth; height++) {
    const above = new Map<bigint, Uint8Array>();
    for (const index of level.keys()) {
      const parent = index >> 1n;
      const left = level.get(parent << 1n) ?? empty;
      const right = level.get((parent << 1n) | 1n) ?? empty;
      if (!above.has(parent)) above.set(parent, hash([...left, ...right]));
    }
    empty = hash([...empty, ...empty]);
    level = above;
  }
  return level.get(0n) ?? empty;
}

function bytesOf<Cell>(cells: ReadonlyMap<bigint, Cell>, write: (cell: Cell) => number[]): Map<bigint, number[]> {
  return new Map([...cells].map(([index, cell]) => [index, write(cell)]));
}

export function referenceRoot(state: ReferenceState): Hash {
  const accounts = new Map(
    [...state.accounts].map(([number, cell]) => {
      const ring = state.rings.get(number) ?? new Map<bigint, ReferenceSlot>();
      return [number, accountBytes(cell, treeRoot(16, bytesOf(ring, slotBytes)))];
    }),
  );
  return bytesToHex(
    hash([
      ...treeRoot(24, accounts),
      ...treeRoot(24, bytesOf(state.instruments, instrumentBytes)),
      ...treeRoot(16, bytesOf(state.underlyings, underlyingBytes)),
      ...treeRoot(32, bytesOf(state.outbox, outboxBytes)),
      ...hash(globalsBytes(state.globals)),
    ]),
  );
}
