import { type Cycle, encodeCycle, type InboundEntry, InboundOutcomeCode, RejectionCode } from "../../src/index.ts";
import { account, at, BTC, dollars, ETH, micro, ownerKey, type WithdrawalSpec } from "../factory.ts";
import { keyOf } from "../keys.ts";
import { credited, crossEntries, EVERYONE, marginNow, type Recipe, randomCross } from "./building.ts";
import { PAUPERS, type Stream, TRADERS, UNKNOWN } from "./stream.ts";

// ── general ────────────────────────────────────────────────────────────────────────────────────────────────────────

function anyCycle(stream: Stream): Cycle {
  const spec = randomCross(stream);
  if (spec !== null) return stream.venue.tradeOf(crossEntries(stream, spec));
  return stream.venue.inbound({ type: "forcedLiquidation", account: account(2) });
}

const malformed: Recipe = (stream) => {
  const { random } = stream;
  const cycle = anyCycle(stream);
  const bytes = encodeCycle(cycle);
  return random.pick([
    () => bytes.slice(0, random.integer(0, bytes.length - 1)),
    () => Uint8Array.of(...bytes, 0),
    () => bytes.map((byte, i) => (i === 0 ? byte + 1 : byte)),
    () => bytes.map((byte, i) => (i === 1 ? 77 : byte)),
    // The same account twice: accounts must increase.
    () => {
      if (cycle.kind !== "trade" || cycle.accounts.length < 2) return bytes.slice(0, 9);
      const twice = encodeCycle({ ...cycle, accounts: cycle.accounts.slice(0, 1) });
      const entry = twice.subarray(11);
      return Uint8Array.of(...twice.subarray(0, 10), 2, ...entry, ...entry);
    },
    () => encodeCycle({ ...cycle, timeMs: at(2 ** 48 + random.integer(0, 1000)) }),
  ])();
};

/** Within every count, but too large for one challenge; and a total that would leave 2^53. */
const limitExceeded: Recipe = (stream) => {
  const { venue } = stream;
  const forced: InboundEntry = {
    type: "forcedWithdrawal",
    account: account(2),
    amount: micro(1),
    recipient: ownerKey(2).address,
  };
  const huge: InboundEntry = {
    type: "deposit",
    account: account(2),
    amount: micro(2 ** 53 - 1),
    payer: ownerKey(2).address,
  };
  return stream.random.chance(0.5) ? venue.inbound(...new Array<InboundEntry>(32).fill(forced)) : venue.inbound(huge);
};

// ── inbound ────────────────────────────────────────────────────────────────────────────────────────────────────────

const queueOrder: Recipe = (stream) => {
  const bytes = encodeCycle(stream.venue.inbound({ type: "forcedLiquidation", account: account(2) }));
  return stream.random.pick([
    () => Uint8Array.of(...bytes.subarray(0, 10), 0),
    () => bytes.map((byte, i) => (i === 13 ? 99 : byte)),
  ])();
};

export const INBOUND_FAULTS: readonly (readonly [number, Recipe])[] = [[RejectionCode.INBOUND_QUEUE_ORDER, queueOrder]];

const entryOf =
  (make: (stream: Stream, owner: number) => InboundEntry | null): Recipe =>
  (stream) => {
    const entry = make(stream, stream.random.pick(EVERYONE));
    return entry === null ? null : stream.venue.inbound(entry);
  };

const forced = (owner: number, amount: number): InboundEntry => ({
  type: "forcedWithdrawal",
  account: account(owner),
  amount: micro(amount),
  recipient: ownerKey(owner).address,
});

const series = (underlying: number, expiryMs: number, strikes: number[]): InboundEntry => ({
  type: "listSeries",
  underlying: underlying as typeof BTC,
  expiryMs: at(expiryMs),
  strikes: strikes.map(dollars),
});

/** Forced withdrawals of accounts whose marks are usable or not. */
function holder(stream: Stream, usable: boolean): number | null {
  const found = EVERYONE.filter((owner) => marginNow(stream, owner).marksUsable === usable);
  return found.length === 0 ? null : stream.random.pick(found);
}

/** More bad debt than the insurance can pay, until the next cycle was applied. */
function indebt(stream: Stream): void {
  const owner = stream.random.pick(PAUPERS);
  const debt = Math.max(0, stream.venue.cell(1).cash) + 1;
  stream.lendCash(owner, stream.random.pick(TRADERS), Math.max(0, stream.venue.cell(owner).cash) + debt);
}

/** Aimed at outcomes of entries: the cycle itself is accepted. */
export const INBOUND_OUTCOMES: readonly (readonly [number, Recipe])[] = [
  [
    InboundOutcomeCode.ACCOUNT_EXISTS,
    entryOf((_, owner) => ({ type: "openAccount", account: account(owner), owner: keyOf("thief").address })),
  ],
  [InboundOutcomeCode.UNKNOWN_ACCOUNT, entryOf((stream) => forced(stream.random.pick([0, 1, UNKNOWN]), 1))],
  [
    InboundOutcomeCode.PARKED,
    entryOf((_, owner) => ({
      type: "deposit",
      account: account(UNKNOWN),
      amount: micro(5),
      payer: ownerKey(owner).address,
    })),
  ],
  [
    InboundOutcomeCode.DELEGATES_FULL,
    (stream) => {
      const grants = Array.from({ length: 6 }, (_, i): InboundEntry => {
        const key = keyOf(`crowd ${i}`).address;
        return { type: "keyGrant", account: account(9), key, scopes: 1, expiryMs: at(2 ** 47) };
      });
      return stream.venue.inbound(...grants);
    },
  ],
  [
    InboundOutcomeCode.UNKNOWN_KEY,
    entryOf((stream, owner) => ({
      type: "keyRevoke",
      account: account(owner),
      key: keyOf("stranger").address,
      minNonce: stream.random.integer(0, 5) as never,
    })),
  ],
  [
    InboundOutcomeCode.NOTHING_WITHDRAWABLE,
    entryOf((stream) => {
      const owner = holder(stream, true);
      return owner === null ? null : forced(owner, 0);
    }),
  ],
  [
    InboundOutcomeCode.MARKS_UNUSABLE,
    entryOf((stream) => {
      const owner = holder(stream, false);
      return owner === null ? null : forced(owner, 1);
    }),
  ],
  [InboundOutcomeCode.UNKNOWN_UNDERLYING, entryOf(() => series(2, 0, []))],
  [InboundOutcomeCode.EXPIRY_NOT_AHEAD, entryOf((stream) => series(BTC, stream.venue.timeMs, [1]))],
  [
    InboundOutcomeCode.STRIKES_INVALID,
    entryOf((stream) =>
      stream.random.pick([
        series(BTC, stream.venue.timeMs + 1000, [2, 2]),
        series(BTC, stream.venue.timeMs + 1000, [0]),
        series(BTC, stream.venue.timeMs + 1000, [2e9]),
        series(BTC, 0, [1]),
      ]),
    ),
  ],
  [InboundOutcomeCode.PERPETUAL_EXISTS, entryOf((stream) => series(stream.random.pick([BTC, ETH]), 0, []))],
  [
    InboundOutcomeCode.BAD_DEBT,
    entryOf((stream, owner) => {
      if (stream.state.globals.badDebt <= stream.venue.cell(1).cash) indebt(stream);
      return forced(owner, 1);
    }),
  ],
];

// ── outbound ───────────────────────────────────────────────────────────────────────────────────────────────────────

const withdrawing =
  (change: (stream: Stream, owner: number) => Partial<WithdrawalSpec> | null): Recipe =>
  (stream) => {
    const owner = stream.random.pick(TRADERS);
    const wrong = change(stream, owner);
    return wrong === null ? null : stream.venue.withdrawal({ account: owner, amount: 1, ...wrong });
  };

const wrongNonce = withdrawing((stream, owner) => {
  const slots = stream.state.ringSlots(owner);
  if (slots.length === 0) return null;
  const { nonce } = stream.random.pick(slots);
  return { nonce: stream.random.pick([nonce, nonce + 65_536]) };
});

const notOwner: Recipe = (stream) => {
  const owner = stream.random.pick(TRADERS);
  const cycle = stream.venue.withdrawal({ account: owner, amount: 1 });
  const other = stream.venue.withdrawal({ account: owner, amount: 2 });
  const [item] = cycle.withdrawals;
  const [wrong] = other.withdrawals;
  if (item === undefined || wrong === undefined) return null;
  return { ...cycle, withdrawals: [{ ...item, signature: wrong.signature }] };
};

export const OUTBOUND_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.OUTBOUND_UNKNOWN_ACCOUNT, withdrawing((stream) => ({ account: stream.random.pick([0, 1, UNKNOWN]) }))],
  [
    RejectionCode.OUTBOUND_POSITION_COUNT,
    (stream) => {
      const cycle = stream.venue.withdrawal({ account: stream.random.pick(TRADERS), amount: 1 });
      return {
        ...cycle,
        withdrawals: cycle.withdrawals.map((one) => ({ ...one, positionCount: one.positionCount + 1 })),
      };
    },
  ],
  [
    RejectionCode.OUTBOUND_DOMAIN_OR_ASSET,
    withdrawing((stream) =>
      stream.random.pick([
        { asset: 1 },
        { destinationChain: 1 },
        { recipient: `0x${"0".repeat(40)}` as const },
        { recipient: stream.venue.state.parameters.verifyingContract },
      ]),
    ),
  ],
  [RejectionCode.OUTBOUND_EXPIRED, withdrawing((stream) => ({ expiryMs: at(stream.venue.timeMs) }))],
  [
    RejectionCode.OUTBOUND_BELOW_MIN_NONCE,
    withdrawing((stream, owner) => {
      const { minNonce } = stream.venue.cell(owner);
      return minNonce === 0 ? null : { nonce: stream.random.integer(0, minNonce - 1) };
    }),
  ],
  [RejectionCode.OUTBOUND_RING_SLOT, wrongNonce],
  [RejectionCode.OUTBOUND_NOT_AUTHORISED, notOwner],
  [
    RejectionCode.OUTBOUND_CREDIT_OUTSTANDING,
    withdrawing((stream) => {
      const owner = credited(stream);
      return owner === null ? null : { account: owner };
    }),
  ],
  [
    RejectionCode.OUTBOUND_BAD_DEBT,
    withdrawing((stream) => {
      const { badDebt, inboundTotal, outboxTotal } = stream.state.globals;
      return badDebt > stream.venue.cell(1).cash ? {} : { amount: inboundTotal - outboxTotal + 1 };
    }),
  ],
  [
    RejectionCode.OUTBOUND_MARKS_UNUSABLE,
    (stream) => {
      const owner = stream.random.pick(TRADERS);
      if (stream.venue.cell(owner).positions.length === 0) return null;
      const aheadMs = stream.venue.timeMs + stream.venue.parameters.risk.markAgeMaxMs + 1;
      const cycle = stream.venue.withdrawal({ account: owner, amount: 1, expiryMs: at(aheadMs + 1) });
      return { ...cycle, timeMs: at(aheadMs) };
    },
  ],
  [
    RejectionCode.OUTBOUND_NOT_WITHDRAWABLE,
    withdrawing((stream, owner) => {
      const margin = marginNow(stream, owner);
      return { amount: stream.random.pick([0, Number(margin.withdrawable) + 1]) };
    }),
  ],
];

export const GENERAL_FAULTS: readonly (readonly [number, Recipe])[] = [
  [RejectionCode.MALFORMED, malformed],
  [
    RejectionCode.TIME_NOT_MONOTONIC,
    (stream) => ({ ...anyCycle(stream), timeMs: at(stream.state.globals.timeMs - stream.random.integer(1, 1000)) }),
  ],
  [RejectionCode.LIMIT_EXCEEDED, limitExceeded],
];
