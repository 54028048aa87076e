// Frauds that the ledger's recipes do not aim at: what a liquidation's counterparties may do wrong, and the general rules in every
// kind.
import {
  CYCLE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  type Cycle,
  cycleWeight,
  decodeCycle,
  encodeCycle,
  InboundOutcomeCode,
  type LiquidationCycle,
  RejectionCode,
  type TradeEntry,
} from "@tidemark/ledger";
import { account, BTC, DAY_MS, ETH, micro, ownerKey } from "../../packages/ledger/test/factory.ts";
import { keyOf } from "../../packages/ledger/test/keys.ts";
import {
  type LiquidationSpec,
  liquidationOf,
  marginNow,
  type Recipe,
  soundLiquidation,
} from "../../packages/ledger/test/stream/building.ts";
import { opened } from "../../packages/ledger/test/stream/distress.ts";
import { type Stream, TRADERS, UNKNOWN } from "../../packages/ledger/test/stream/stream.ts";
import type { WideStream } from "../../packages/ledger/test/stream/wide.ts";
import { entryKey, kindOfCode, outcomeKey, ruleKey } from "./fraud-plan.ts";
import type { SoundCycle } from "./history.ts";
import { FAULTS } from "./recipes.ts";

type Spec = Parameters<Stream["venue"]["entry"]>[0];

/** The counterparty's entry as a sound liquidation has it. */
function counterSpec(spec: LiquidationSpec): Spec {
  const price = spec.size > 0 ? -(2 ** 31 - 1) : 2 ** 31 - 1;
  return { account: spec.counterparty, instrument: spec.number, size: -spec.size, price, cash: 0 - spec.cash };
}

function withEntries(stream: Stream, spec: LiquidationSpec, entries: readonly TradeEntry[]): LiquidationCycle {
  const cycle = liquidationOf(stream, spec);
  return { ...cycle, counterparties: stream.venue.tradeOf(entries).accounts };
}

/** A sound liquidation whose counterparty's entry is another. */
const counterparty =
  (change: (entry: Spec, stream: Stream, spec: LiquidationSpec) => Partial<Spec> | null): Recipe =>
  (stream) => {
    const spec = soundLiquidation(stream);
    if (spec === null) return null;
    const entry = counterSpec(spec);
    const wrong = change(entry, stream, spec);
    return wrong === null ? null : withEntries(stream, spec, [stream.venue.entry({ ...entry, ...wrong })]);
  };

/** With one more entry of the counterparty. */
const besides =
  (make: (stream: Stream, spec: LiquidationSpec) => Spec | null): Recipe =>
  (stream) => {
    const spec = soundLiquidation(stream);
    const more = spec === null ? null : make(stream, spec);
    if (spec === null || more === null) return null;
    return withEntries(stream, spec, [stream.venue.entry(counterSpec(spec)), stream.venue.entry(more)]);
  };

const deadInstrument = (stream: Stream): number | undefined =>
  stream.instruments((cell) => cell.status === 2 || (cell.expiryMs !== 0 && cell.expiryMs <= stream.venue.timeMs))[0];

function openElsewhere(stream: Stream, spec: LiquidationSpec): number | null {
  const mine = stream.state.instrument(spec.number)?.underlying;
  const other = mine === BTC ? ETH : BTC;
  const holds = stream.venue
    .cell(spec.owner)
    .positions.some(({ instrument }) => stream.state.instrument(instrument)?.underlying === other);
  if (holds || !opened(stream, other)) return null;
  const [number] = stream.instruments(
    (cell) => cell.underlying === other && cell.status === 1 && cell.expiryMs === 0 && cell.rowEpoch > 0,
  );
  return number ?? null;
}

/** The counterparty also buys from somebody where the epoch is open; but for that all sums are right. */
const epochOpen: Recipe = (stream) => {
  const spec = soundLiquidation(stream);
  const instrument = spec === null ? null : openElsewhere(stream, spec);
  if (spec === null || instrument === null) return null;
  const { venue, random } = stream;
  const seller = random.pick(TRADERS.filter((one) => one !== spec.owner && one !== spec.counterparty));
  const price = venue.markTicks(instrument);
  const entries = [
    counterSpec(spec),
    { account: spec.counterparty, instrument, size: 1, price },
    { account: seller, instrument, size: -1, price },
  ];
  const sorted = entries.sort((a, b) => a.account - b.account).map((entry) => venue.entry(entry));
  return withEntries(stream, spec, sorted);
};

const marksUnusable: Recipe = (stream) => {
  const spec = soundLiquidation(stream);
  if (spec === null || openElsewhere(stream, spec) === null) return null;
  const mine = stream.state.instrument(spec.number)?.underlying;
  const holder = TRADERS.find(
    (one) =>
      one !== spec.owner &&
      stream.venue.cell(one).positions.some(({ instrument }) => {
        const cell = stream.state.instrument(instrument);
        return cell !== undefined && cell.underlying !== mine && cell.status === 1;
      }),
  );
  return holder === undefined ? null : liquidationOf(stream, { ...spec, counterparty: holder });
};

/** The counterparty has nothing left for the margin of what it takes. */
const margin: Recipe = (stream) => {
  const spec = soundLiquidation(stream);
  if (spec === null) return null;
  const { equity, initial } = marginNow(stream, spec.counterparty);
  const rich = TRADERS.find((one) => one !== spec.counterparty && one !== spec.owner) as number;
  if (equity <= initial) return null;
  stream.lendCash(spec.counterparty, rich, Number(equity - initial));
  return liquidationOf(stream, spec);
};

const COUNTERPARTY_FAULTS: readonly (readonly [number, Recipe])[] = [
  [
    RejectionCode.TRADE_UNKNOWN_ACCOUNT,
    (stream) => {
      const spec = soundLiquidation(stream);
      if (spec === null) return null;
      const entry = counterSpec({ ...spec, counterparty: stream.random.pick([0, 1, UNKNOWN]) });
      return withEntries(stream, spec, [stream.venue.entry({ ...entry, key: ownerKey(2) })]);
    },
  ],
  [
    RejectionCode.TRADE_POSITION_COUNT,
    (stream) => {
      const spec = soundLiquidation(stream);
      if (spec === null) return null;
      const cycle = liquidationOf(stream, spec);
      const counterparties = cycle.counterparties.map((one) => ({ ...one, positionCount: one.positionCount + 1 }));
      return { ...cycle, counterparties };
    },
  ],
  [
    RejectionCode.TRADE_LEGS_INVALID,
    counterparty(({ instrument }) => ({ legs: [{ instrument: instrument as number, ratio: 0 }] })),
  ],
  [
    RejectionCode.TRADE_INSTRUMENT_NOT_TRADABLE,
    besides((stream, spec) => {
      const instrument = deadInstrument(stream);
      return instrument === undefined
        ? null
        : { account: spec.counterparty, instrument, size: 1, price: 100, filledLots: 1, cash: -1 };
    }),
  ],
  [RejectionCode.TRADE_EPOCH_OPEN, epochOpen],
  [
    RejectionCode.TRADE_NOT_STARTED,
    counterparty((_, { venue }) => ({ startMs: venue.timeMs + 1, expiryMs: venue.timeMs + 1000 })),
  ],
  [
    RejectionCode.TRADE_EXPIRED,
    counterparty((_, { venue }) => ({ startMs: venue.timeMs - 1000, expiryMs: venue.timeMs })),
  ],
  [
    RejectionCode.TRADE_LIFETIME,
    counterparty((_, { venue }) => ({ startMs: venue.timeMs - 5, expiryMs: venue.timeMs - 4 + 30 * DAY_MS })),
  ],
  [
    RejectionCode.TRADE_BELOW_MIN_NONCE,
    (stream) => {
      const spec = soundLiquidation(stream);
      if (spec === null) return null;
      const raise = { type: "cancelAll", account: account(spec.counterparty), minNonce: 3 as never } as const;
      stream.must(stream.venue.inbound(raise));
      return withEntries(stream, spec, [stream.venue.entry({ ...counterSpec(spec), nonce: 1 })]);
    },
  ],
  [
    RejectionCode.TRADE_RING_SLOT,
    counterparty(({ account: number }, { state, random }) => {
      const slots = state.ringSlots(number);
      return slots.length === 0 ? null : { nonce: random.pick(slots).nonce };
    }),
  ],
  [RejectionCode.TRADE_NOT_AUTHORISED, counterparty(() => ({ key: keyOf("stranger") }))],
  [RejectionCode.TRADE_OVERFILLED, counterparty(({ size }) => ({ filledLots: Math.abs(size) + 1 }))],
  [
    RejectionCode.TRADE_LIMIT_NOT_MET,
    counterparty((entry, { state }, spec) => {
      const tickValue = state.instrument(spec.number)?.tickValueMicroUsdc ?? 0;
      const price = Math.trunc((0 - (entry.cash ?? 0)) / entry.size / tickValue);
      // A tick better than what is paid.
      return { price: price - Math.sign(entry.size) };
    }),
  ],
  [
    RejectionCode.TRADE_FEE_ABOVE_SCHEDULE,
    counterparty((entry, { state }, spec) => ({
      fee: (state.instrument(spec.number)?.feePerLot ?? 0) * Math.abs(entry.size) + 1,
    })),
  ],
  [RejectionCode.TRADE_FEE_ABOVE_MAXIMUM, counterparty(() => ({ fee: 1, maxFeePerLot: 0 }))],
  [
    RejectionCode.TRADE_BOUNDS,
    counterparty(({ instrument, size }) => ({
      legs: [{ instrument: instrument as number, ratio: 32_767 }],
      size: Math.sign(size) * 2 ** 17,
      filledLots: 2 ** 17,
      price: Math.sign(size) * (2 ** 31 - 1),
    })),
  ],
  [RejectionCode.TRADE_REDUCE_ONLY, counterparty((_, __, ___) => ({ flags: 1 }))],
  [
    RejectionCode.TRADE_SIZE_SUM,
    counterparty((entry) => ({ size: entry.size + Math.sign(entry.size), cash: entry.cash ?? 0 })),
  ],
  [RejectionCode.TRADE_CASH_SUM, counterparty((entry) => ({ cash: (entry.cash ?? 0) - 1 }))],
  [RejectionCode.TRADE_MARKS_UNUSABLE, marksUnusable],
  [RejectionCode.TRADE_MARGIN, margin],
];

/** Most revocations of random streams meet a key that the account does not have. */
const keyRevoke: Recipe = ({ venue, random }) => {
  const readOnly = (number: number) => venue.cell(number).delegates.filter(({ scopes }) => scopes === 2);
  const holders = TRADERS.filter((number) => readOnly(number).length > 0);
  if (holders.length === 0) return null;
  const number = random.pick(holders);
  const { minNonce } = venue.cell(number);
  return venue.inbound({
    type: "keyRevoke",
    account: account(number),
    key: random.pick(readOnly(number)).key,
    minNonce,
  });
};

const OUTCOMES: ReadonlySet<number> = new Set(Object.values(InboundOutcomeCode));

/** By the row that they aim at. */
export const RULE_RECIPES: ReadonlyMap<string, Recipe[]> = (() => {
  const recipes = new Map<string, Recipe[]>();
  const add = (key: string, recipe: Recipe): void => {
    recipes.set(key, [...(recipes.get(key) ?? []), recipe]);
  };
  for (const [code, recipe] of FAULTS) {
    const kind = kindOfCode(code);
    if (kind !== null) add(ruleKey(kind, code), recipe);
    else if (OUTCOMES.has(code)) add(outcomeKey(code), recipe);
  }
  add(entryKey("keyRevoke"), keyRevoke);
  for (const [code, recipe] of COUNTERPARTY_FAULTS) add(ruleKey("liquidation", code), recipe);
  return recipes;
})();

/** Of a sound cycle, one that breaks a general rule: its last byte missing, its time before the state's. */
export function malformedOf(cycle: SoundCycle): Uint8Array {
  return cycle.payload.slice(0, -1);
}

const TIME_AT = 2;

export function belatedOf(cycle: SoundCycle, stateTimeMs: number): Uint8Array {
  const payload = cycle.payload.slice();
  const view = new DataView(payload.buffer);
  view.setBigUint64(TIME_AT, BigInt(stateTimeMs - 1), true);
  return payload;
}

export const payloadOf = (cycle: Cycle | Uint8Array): Uint8Array =>
  cycle instanceof Uint8Array ? cycle : encodeCycle(cycle);

/** What nobody owns moves to an account: a root that pays somebody. */
export const STOLEN_MICRO_USDC = micro(1_000_000);

// ── larger than any challenge ──────────────────────────────────────────────────────────────────────────────────────

/** As many as the codec takes. */
const MANY = [250, 200, 128, 100, 64, 48, 32, 24, 16] as const;
const FULL = 128;

const others = (count: number): number[] => Array.from({ length: count }, (_, i) => 5_000 + 97 * i);

function largeOf(cycle: Cycle, many: number): Cycle | null {
  switch (cycle.kind) {
    case "trade":
    case "liquidation": {
      const [first] = cycle.kind === "trade" ? cycle.accounts : cycle.counterparties;
      if (first === undefined) return null;
      const accounts = others(many).map((number) => ({
        ...first,
        account: account(number),
        entries: first.entries.map((entry) => ({ ...entry, order: { ...entry.order, account: account(number) } })),
      }));
      return cycle.kind === "trade" ? { ...cycle, accounts } : { ...cycle, counterparties: accounts };
    }
    case "bankruptcy":
      return { ...cycle, accounts: others(many).map(account) };
    case "adl": {
      const [first] = cycle.counterparties;
      if (first === undefined) return null;
      const full = { ...first, positionCount: FULL };
      return { ...cycle, counterparties: others(many).map((number) => ({ ...full, account: account(number) })) };
    }
    case "expiry": {
      const instruments = Array.from({ length: 64 }, (_, i) => (300 + 7 * i) as never);
      const realisations = others(16).map((number) => ({ account: account(number), positionCount: FULL, instruments }));
      return { ...cycle, instruments, realisations };
    }
    case "inbound": {
      const recipient = ownerKey(2).address;
      const entry = { type: "forcedWithdrawal", account: account(2), amount: STOLEN_MICRO_USDC, recipient } as const;
      return { ...cycle, entries: new Array(32).fill(entry) };
    }
    default:
      return null;
  }
}

/** The cycle made larger than a challenge may be; null where the kind's counts do not allow it. */
export function inflated({ payload }: SoundCycle, domain: number): Uint8Array | null {
  const decoding = decodeCycle(payload, domain);
  if (!decoding.ok) return null;
  for (const many of MANY) {
    const large = largeOf(decoding.cycle, many);
    if (large === null) return null;
    try {
      const bytes = encodeCycle(large);
      // The batch chain takes no longer ones.
      if (bytes.length > CYCLE_BYTES_MAX) continue;
      return cycleWeight(large) > CYCLE_WEIGHT_MAX ? bytes : null;
    } catch (error) {
      // More than the codec takes.
      if ((error as Error).name !== "BugError") throw error;
    }
  }
  return null;
}

/** In a venue whose accounts 2 and 3 are full, account 4 below maintenance: it would be a 129th position. */
export function liquidationToFullAccount(stream: WideStream): Cycle {
  const [number] = stream.options().slice(FULL);
  if (number === undefined) throw new RangeError("an instrument that account 2 does not hold");
  const mark = stream.state.instrument(number)?.row[0] ?? 0;
  return liquidationOf(stream, { owner: 4, number, size: 1, cash: -mark, fee: 0, counterparty: 2 });
}

/** Rows that have a place of their own: an account that is full, and what is made from sound cycles. */
export const ELSEWHERE: ReadonlySet<string> = new Set([
  ruleKey("trade", RejectionCode.TRADE_POSITIONS_FULL),
  ruleKey("liquidation", RejectionCode.TRADE_POSITIONS_FULL),
  ruleKey("auction", RejectionCode.AUCTION_POSITIONS_FULL),
]);
