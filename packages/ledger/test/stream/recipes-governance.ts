// Recipes of credit, admin and the forced entries.
import {
  type AdminCycle,
  type Cycle,
  encodeParameterChange,
  forcedCloseOrder,
  type HexBytes,
  type InboundEntry,
  InboundOutcomeCode,
  type Order,
  type ParameterChangeItem,
  RejectionCode,
} from "../../src/index.ts";
import { ADMIN_DELAY_MS, account, at, instrument, micro, ownerKey, USDC } from "../factory.ts";
import { keyOf } from "../keys.ts";
import { creditOf, grantOf } from "../waterfall.ts";
import { credited, EVERYONE, marginNow, type Recipe } from "./building.ts";
import { auctioned, distressed, holders, isBelow, isRunning, otherThan } from "./distress.ts";
import { PAUPERS, type Stream, TRADERS, UNKNOWN } from "./stream.ts";

// ── credit ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const without = (stream: Stream): number[] => TRADERS.filter((one) => stream.venue.cell(one).credit === 0);
const lent = (stream: Stream): number[] => TRADERS.filter((one) => stream.venue.cell(one).credit > 0);

const grant: Recipe = (stream) => {
  const { random, venue, state } = stream;
  const free = without(stream);
  const { creditTotal, badDebt, inboundCursor } = state.globals;
  const left = Math.max(0, venue.cell(1).cash - badDebt) - creditTotal;
  if (left < 1 || free.length === 0) return null;
  const amount = random.integer(1, Math.min(left, 500 * USDC));
  return grantOf(venue, random.pick(free), amount, inboundCursor + random.integer(0, 2));
};

const clear: Recipe = (stream) => {
  const found = lent(stream);
  if (found.length === 0) return null;
  const owner = stream.random.pick(found);
  const isConsumed = stream.venue.cell(owner).creditIndex < stream.state.globals.inboundCursor;
  return creditOf(stream.venue, isConsumed ? "settle" : "revoke", owner);
};

/** The deposit that a credit waits for. */
const promised: Recipe = (stream) => {
  const { inboundCursor } = stream.state.globals;
  const owner = lent(stream).find((one) => stream.venue.cell(one).creditIndex === inboundCursor);
  if (owner === undefined) return null;
  const payer = ownerKey(owner).address;
  return stream.venue.inbound({ type: "deposit", account: account(owner), amount: micro(USDC), payer });
};

const someone = (stream: Stream): number => stream.random.pick([0, 1, UNKNOWN]);

export const CREDIT_FAULTS: readonly (readonly [number, Recipe])[] = [
  [
    RejectionCode.CREDIT_UNKNOWN_ACCOUNT,
    (stream) =>
      stream.random.chance(0.5)
        ? grantOf(stream.venue, someone(stream), 1)
        : creditOf(stream.venue, stream.random.pick(["settle", "revoke"]), someone(stream)),
  ],
  [
    RejectionCode.CREDIT_OUTSTANDING,
    (stream) => {
      const owner = credited(stream);
      return owner === null ? null : grantOf(stream.venue, owner, 1);
    },
  ],
  [
    RejectionCode.CREDIT_SOURCE,
    (stream) => {
      const { inboundCursor } = stream.state.globals;
      const index = inboundCursor - stream.random.integer(1, Math.min(5, inboundCursor));
      return grantOf(stream.venue, stream.random.pick(PAUPERS), 1, index);
    },
  ],
  [
    RejectionCode.CREDIT_ACCOUNT_LIMIT,
    (stream) => {
      const most = stream.venue.parameters.risk.creditAccountMaxMicroUsdc;
      return grantOf(stream.venue, stream.random.pick(PAUPERS), stream.random.pick([0, most + 1]));
    },
  ],
  [
    RejectionCode.CREDIT_POOL_LIMIT,
    (stream) => {
      const left = stream.venue.cell(1).cash - stream.state.globals.badDebt - stream.state.globals.creditTotal;
      // One micro-USDC less than it takes.
      stream.lendCash(1, otherThan(stream), left - 4);
      return grantOf(stream.venue, stream.random.pick(PAUPERS), 5);
    },
  ],
  [
    RejectionCode.CREDIT_NONE,
    (stream) => creditOf(stream.venue, stream.random.pick(["settle", "revoke"]), stream.random.pick(PAUPERS)),
  ],
  [
    RejectionCode.CREDIT_NOT_CONSUMED,
    (stream) => {
      const owner = credited(stream);
      return owner === null ? null : creditOf(stream.venue, "settle", owner);
    },
  ],
];

// ── admin ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const adminOf = (stream: Stream, change: HexBytes): AdminCycle => ({
  kind: "admin",
  timeMs: at(stream.venue.timeMs),
  change,
});

/** Queues the change; true when it is pending. */
function queue(stream: Stream, change: HexBytes): boolean {
  const isDone = stream.apply(stream.venue.inbound({ type: "adminChange", change })).ok;
  if (isDone) stream.queuedChange = change;
  return isDone;
}

/** Nothing that the recipes of other kinds count on. */
function soundChange(stream: Stream): HexBytes {
  const { random } = stream;
  const items: ParameterChangeItem[] = [];
  for (let count = random.integer(1, 3); count > 0; count--) {
    items.push(
      random.pick<ParameterChangeItem>([
        { field: "makerFeePpb", value: random.integer(0, 100_000) },
        { field: "premiumTimeConstantMs", value: random.integer(10_000, 60_000) },
        { field: "indexAverageTimeConstantMs", value: random.integer(300_000, 900_000) },
        { field: "concentrationPpb", value: random.integer(10_000_000, 30_000_000) },
        { field: "oracle", index: 2, key: keyOf("oracle 2").address },
        { field: "oracleQuorum", value: 2 },
      ]),
    );
  }
  return encodeParameterChange(items);
}

const invalidChanges = (stream: Stream): HexBytes => {
  const { random } = stream;
  const of = (...items: ParameterChangeItem[]): HexBytes => encodeParameterChange(items);
  return random.pick<() => HexBytes>([
    () => of(),
    () => of({ field: "oracleQuorum", value: random.pick([0, 4, 255]) }),
    () => of({ field: "oracle", index: 3, key: keyOf("oracle 9").address }),
    () => of({ field: "oracle", index: 0, key: `0x${"0".repeat(40)}` }),
    // A duplicate of another oracle.
    () => of({ field: "oracle", index: 0, key: keyOf("oracle 1").address }),
    () => of({ field: "makerFeePpb", value: 100_000_001 }),
    () => of({ field: "makerFeePpb", value: stream.venue.parameters.risk.takerFeePpb + 1 }),
    () => of({ field: "auctionDurationMs", value: 999 }),
    () => of({ field: "tailDampingPpb", value: 900_000_000 }),
    () => `${soundChange(stream)}00` as HexBytes,
    () => soundChange(stream).slice(0, -2) as HexBytes,
    // Unknown fields: between the keys and the scalars, and behind the last scalar.
    () => "0x01020000000000000000",
    () => "0x01360000000000000000",
  ])();
};

/** Queued unless something already waits. */
function pending(stream: Stream): HexBytes | null {
  if (BigInt(stream.state.globals.adminHash) === 0n && !queue(stream, soundChange(stream))) return null;
  return stream.queuedChange;
}

const queueChange: Recipe = (stream) => {
  const change = soundChange(stream);
  stream.queuedChange = change;
  return stream.venue.inbound({ type: "adminChange", change });
};

const admin: Recipe = (stream) => {
  const change = pending(stream);
  if (change === null) return null;
  const { adminMs } = stream.state.globals;
  if (stream.venue.timeMs < adminMs) stream.venue.timeMs = adminMs + stream.random.pick([0, 1, 1000]);
  return adminOf(stream, change);
};

export const ADMIN_FAULTS: readonly (readonly [number, Recipe])[] = [
  [
    RejectionCode.ADMIN_NOTHING_PENDING,
    (stream) => {
      if (BigInt(stream.state.globals.adminHash) !== 0n) {
        const applied = admin(stream);
        if (applied === null || !stream.apply(applied).ok) return null;
      }
      return adminOf(stream, stream.queuedChange ?? soundChange(stream));
    },
  ],
  [
    RejectionCode.ADMIN_OTHER_CHANGE,
    (stream) => {
      const change = pending(stream);
      return change === null ? null : adminOf(stream, `${change}01` as HexBytes);
    },
  ],
  [
    RejectionCode.ADMIN_TOO_EARLY,
    (stream) => {
      const change = soundChange(stream);
      if (!queue(stream, change)) return null;
      stream.venue.advance(stream.random.pick([0, ADMIN_DELAY_MS - 1]));
      return adminOf(stream, change);
    },
  ],
  [
    RejectionCode.ADMIN_PARAMETERS_INVALID,
    (stream) => {
      const change = invalidChanges(stream);
      if (!queue(stream, change)) return null;
      stream.venue.advance(ADMIN_DELAY_MS);
      // It stays pending: the next queued change replaces it.
      stream.queuedChange = change;
      return adminOf(stream, change);
    },
  ],
];

// ── forced entries ─────────────────────────────────────────────────────────────────────────────────────────────────

type ForcedClose = Extract<InboundEntry, { type: "forcedClose" }>;

/** Closes part of a live position, at a limit that the mark meets. */
function closing(stream: Stream): ForcedClose | null {
  const { random, venue } = stream;
  const live = new Set(stream.liveInstruments());
  const found = EVERYONE.flatMap((owner) =>
    venue
      .cell(owner)
      .positions.filter((one) => live.has(one.instrument))
      .map((position) => ({ owner, position })),
  );
  if (found.length === 0) return null;
  const { owner, position } = random.pick(found);
  const size = -Math.sign(position.size) * random.integer(1, Math.abs(position.size));
  const mark = venue.markTicks(position.instrument);
  const limitPrice = size > 0 ? mark + 1_000 : Math.max(1, mark - 1_000);
  return {
    type: "forcedClose",
    account: account(owner),
    instrument: position.instrument,
    size: size as never,
    limitPrice: limitPrice as never,
    nonce: venue.nextNonce() as never,
  };
}

const forcedClose: Recipe = (stream) => {
  const entry = closing(stream);
  if (entry === null) return null;
  stream.forcedOrders.push(forcedCloseOrder(entry, stream.venue.parameters.domain, at(stream.venue.timeMs)));
  return stream.venue.inbound(entry);
};

/** Fills an order that a forced close put into the ring: nobody signed it. */
const fillForced: Recipe = (stream) => {
  const { venue, state } = stream;
  const order = stream.forcedOrders.shift();
  const leg = order?.legs[0];
  if (order === undefined || leg === undefined || !stream.liveInstruments().includes(leg.instrument)) return null;
  const slot = state.ringSlot(order.account, order.nonce);
  if (slot?.nonce !== order.nonce || slot.filledLots > 0) return null;
  const held = Math.abs(venue.size(order.account, leg.instrument));
  const lots = Math.min(Math.abs(order.size), held);
  if (lots === 0) return null;
  const price = order.limitPrice;
  const size = Math.sign(order.size) * lots;
  const tickValue = state.instrument(leg.instrument)?.tickValueMicroUsdc ?? 0;
  const cash = micro(-size * price * tickValue + 0);
  const other = otherThan(stream, order.account);
  const forced = { order: order as Order, signature: null, filledLots: lots, cash, fee: micro(0) };
  return venue.tradeOf([forced, venue.entry({ account: other, instrument: leg.instrument, size: -size, price })]);
};

const forcedLiquidation = (owner: number): InboundEntry => ({ type: "forcedLiquidation", account: account(owner) });

const liquidationOf =
  (find: (stream: Stream) => number | null | undefined): Recipe =>
  (stream) => {
    const owner = find(stream);
    return owner === null || owner === undefined ? null : stream.venue.inbound(forcedLiquidation(owner));
  };

const startForced = liquidationOf((stream) => {
  const owner = distressed(stream);
  return owner === null || isRunning(stream, owner) ? null : owner;
});

const alteredClose =
  (change: (entry: ForcedClose, stream: Stream) => Partial<ForcedClose> | null): Recipe =>
  (stream) => {
    const entry = closing(stream);
    const wrong = entry === null ? null : change(entry, stream);
    return entry === null || wrong === null ? null : stream.venue.inbound({ ...entry, ...wrong });
  };

const notReducing = alteredClose((entry, stream) => {
  const held = stream.venue.size(entry.account, entry.instrument);
  return stream.random.pick<Partial<ForcedClose>>([
    { size: (0 - entry.size) as never },
    { size: (-held - Math.sign(held)) as never },
    { size: 0 as never },
    { size: -(2 ** 31) as never },
    { account: account(stream.random.pick(PAUPERS)) },
  ]);
});

const notTradable = alteredClose((_, stream) => {
  const { timeMs } = stream.venue;
  const dead = stream.instruments((cell) => cell.status === 2 || (cell.expiryMs !== 0 && cell.expiryMs <= timeMs));
  const choices: Partial<ForcedClose>[] = [
    { instrument: instrument(2 ** 24 - 1) },
    { limitPrice: -(2 ** 31) as never },
    ...dead.slice(0, 2).map((number) => ({ instrument: instrument(number) })),
  ];
  return stream.random.pick(choices);
});

const nonceUnusable = alteredClose((entry, stream) => {
  const { random, venue, state } = stream;
  const { minNonce } = venue.cell(entry.account);
  if (minNonce > 0 && random.chance(0.5)) return { nonce: random.integer(0, minNonce - 1) as never };
  const slots = state.ringSlots(entry.account);
  return slots.length === 0 ? null : { nonce: (random.pick(slots).nonce + random.pick([0, 65_536])) as never };
});

/** Aimed at outcomes of entries: the cycle itself is accepted. */
export const FORCED_OUTCOMES: readonly (readonly [number, Recipe])[] = [
  [InboundOutcomeCode.NOT_REDUCING, notReducing],
  [InboundOutcomeCode.NOT_TRADABLE, notTradable],
  [InboundOutcomeCode.NONCE_UNUSABLE, nonceUnusable],
  [
    InboundOutcomeCode.HEALTHY,
    liquidationOf((stream) => {
      const sound = holders(stream, (_, owner) => !isBelow(stream, owner));
      return sound.length === 0 ? null : stream.random.pick(sound);
    }),
  ],
  [InboundOutcomeCode.AUCTION_RUNNING, liquidationOf((stream) => auctioned(stream))],
  [InboundOutcomeCode.NO_POSITIONS, liquidationOf((stream) => stream.random.pick(PAUPERS))],
];

/** The insurance bears much here, and many are brought low: they are filled up again. */
const sponsor: Recipe = (stream): Cycle | null => {
  const { random, venue } = stream;
  const payer = keyOf("sponsor").address;
  const entries: InboundEntry[] = [];
  const pay = (to: number, usdc: number): void => {
    entries.push({ type: "deposit", account: account(to), amount: micro(Math.ceil(usdc) * USDC), payer });
  };
  if (venue.cell(1).cash < 3_000 * USDC) pay(1, random.integer(3_000, 6_000));
  for (const owner of [...EVERYONE, ...PAUPERS]) {
    const { equity, initial } = marginNow(stream, owner);
    const isRich = owner < 10;
    if (equity < initial) pay(owner, Number(initial - equity) / USDC + random.integer(1, isRich ? 100_000 : 10_000));
  }
  return entries.length === 0 ? null : venue.inbound(...entries.slice(0, 4));
};

/** Weight and recipe. */
export const GOVERNANCE_VALID: readonly (readonly [number, Recipe])[] = [
  [2, grant],
  [2, clear],
  [1, promised],
  [1, queueChange],
  [2, admin],
  [3, forcedClose],
  [3, fillForced],
  [1, startForced],
  [10, sponsor],
];
