// Random canonical cycles and cells for the codec, signing and state tests.
import fc from "fast-check";
import {
  type Address,
  type AuctionTake,
  type Cycle,
  EXPIRIES_MAX,
  type ExpirySurface,
  type InboundEntry,
  type Order,
  type QuorumSignature,
  type TradeAccount,
  type Withdrawal,
} from "../src/index.ts";

const SAFE = Number.MAX_SAFE_INTEGER;
export const u8 = fc.integer({ min: 0, max: 0xff });
export const u16 = fc.integer({ min: 0, max: 0xffff });
export const u24 = fc.integer({ min: 0, max: 0xff_ffff });
export const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
export const u40 = fc.maxSafeNat().map((value) => value % 2 ** 40);
export const u48 = fc.maxSafeNat().map((value) => value % 2 ** 48);
export const u53 = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, SAFE));
export const i53 = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0, -1, 1, -(2 ** 32), SAFE, -SAFE));
export const i32 = fc.integer({ min: -0x7fff_ffff, max: 0x7fff_ffff });
const hex = (bytes: number): fc.Arbitrary<`0x${string}`> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value) => `0x${Buffer.from(value).toString("hex")}` as const);
const hexUpTo = (bytes: number): fc.Arbitrary<`0x${string}`> => fc.integer({ min: 1, max: bytes }).chain(hex);
export const address: fc.Arbitrary<Address> = hex(20);
export const hash = hex(32);
export const signature = hex(64);

/** Values of the branded record type; every number was drawn within its field's range. */
function record<Shape>(model: { [Field in keyof Shape]: fc.Arbitrary<unknown> }): fc.Arbitrary<Shape> {
  return fc.record(model as Record<string, fc.Arbitrary<unknown>>) as fc.Arbitrary<Shape>;
}

const increasing = (min: number, max: number): fc.Arbitrary<number[]> =>
  fc.uniqueArray(u24, { minLength: min, maxLength: max }).map((list) => list.sort((a, b) => a - b));

export const surface = record<ExpirySurface>({
  expiryMs: u53,
  forward: u53,
  realisedAverage: u53,
  a: i53,
  b: i53,
  rho: i53,
  m: i53,
  s: i53,
});
const signatures = fc.array(record<QuorumSignature>({ signer: u8, signature }), { maxLength: 16 });

export const order = (domain: fc.Arbitrary<number>, account: fc.Arbitrary<number>): fc.Arbitrary<Order> =>
  record<Order>({
    domain,
    account,
    legs: fc.array(fc.record({ instrument: u24, ratio: fc.integer({ min: -0x7fff, max: 0x7fff }) }), {
      minLength: 1,
      maxLength: 4,
    }),
    size: i32,
    limitPrice: i32,
    maxFeePerLot: u40,
    nonce: u48,
    startMs: u48,
    expiryMs: u48,
    flags: fc.constantFrom(0, 1),
  });

const tradeAccount = (domain: number, account: number): fc.Arbitrary<TradeAccount> =>
  fc
    .uniqueArray(
      record<TradeAccount["entries"][number]>({
        order: order(fc.constant(domain), fc.constant(account)),
        signature: fc.option(signature),
        filledLots: u32,
        cash: i53,
        fee: u48,
      }),
      { minLength: 1, maxLength: 5, selector: (entry) => entry.order.nonce },
    )
    .chain((entries) =>
      record<TradeAccount>({
        account: fc.constant(account),
        positionCount: fc.integer({ min: 0, max: 128 }),
        entries: fc.constant(entries.sort((a, b) => a.order.nonce - b.order.nonce)),
      }),
    );

const tradeAccounts = (domain: number): fc.Arbitrary<TradeAccount[]> =>
  increasing(1, 6).chain((accounts) => fc.tuple(...accounts.map((account) => tradeAccount(domain, account))));

type EntryOf<Type extends InboundEntry["type"]> = Extract<InboundEntry, { type: Type }>;
export const inboundEntry: fc.Arbitrary<InboundEntry> = fc.oneof(
  record<EntryOf<"openAccount">>({ type: fc.constant("openAccount"), account: u24, owner: address }),
  record<EntryOf<"deposit">>({ type: fc.constant("deposit"), account: u24, amount: u53, payer: address }),
  record<EntryOf<"keyGrant">>({ type: fc.constant("keyGrant"), account: u24, key: address, scopes: u8, expiryMs: u53 }),
  record<EntryOf<"keyRevoke">>({ type: fc.constant("keyRevoke"), account: u24, key: address, minNonce: u48 }),
  record<EntryOf<"cancelAll">>({ type: fc.constant("cancelAll"), account: u24, minNonce: u48 }),
  record<EntryOf<"forcedWithdrawal">>({
    type: fc.constant("forcedWithdrawal"),
    account: u24,
    amount: u53,
    recipient: address,
  }),
  record<EntryOf<"forcedClose">>({
    type: fc.constant("forcedClose"),
    account: u24,
    instrument: u24,
    size: fc.integer(),
    limitPrice: fc.integer(),
    nonce: u48,
  }),
  record<EntryOf<"adminChange">>({ type: fc.constant("adminChange"), change: hexUpTo(1024) }),
  record<EntryOf<"forcedLiquidation">>({ type: fc.constant("forcedLiquidation"), account: u24 }),
  record<EntryOf<"listSeries">>({
    type: fc.constant("listSeries"),
    underlying: u16,
    expiryMs: u53,
    strikes: fc.array(u53, { maxLength: 120 }),
  }),
);

export const withdrawal = (domain: fc.Arbitrary<number>): fc.Arbitrary<Withdrawal> =>
  record<Withdrawal>({
    domain,
    account: u24,
    asset: u16,
    amount: u53,
    destinationChain: u53,
    recipient: address,
    nonce: u48,
    expiryMs: u48,
  });

const take = (domain: number): fc.Arbitrary<AuctionTake> =>
  fc.tuple(u53, u53).chain(([one, other]) =>
    record<AuctionTake>({
      bid: record<AuctionTake["bid"]>({
        domain: fc.constant(domain),
        account: u24,
        auctioned: u24,
        parts: fc.integer({ min: 1, max: 1000 }),
        paymentMax: i53,
        bindsLegs: fc.boolean(),
        nonce: u48,
        expiryMs: u48,
      }),
      signature,
      bidderPositionCount: fc.integer({ min: 0, max: 128 }),
      newCount: fc.integer({ min: 0, max: 128 }),
      discount: fc.constant(Math.max(one, other)),
      fromAccount: fc.constant(Math.min(one, other)),
      legs: increasing(1, 128).chain((numbers) =>
        fc.tuple(...numbers.map((instrument) => i32.map((lots) => ({ instrument, lots: lots === 0 ? 1 : lots })))),
      ),
    }),
  );

type CycleOf<Kind extends Cycle["kind"]> = Extract<Cycle, { kind: Kind }>;
export const cycleArbitraries = (domain: number): { [Kind in Cycle["kind"]]: fc.Arbitrary<CycleOf<Kind>> } => ({
  report: record<CycleOf<"report">>({
    kind: fc.constant("report"),
    timeMs: u53,
    underlying: u16,
    reportMs: u53,
    index: u53,
    premium: i53,
    surfaces: fc.array(surface, { maxLength: EXPIRIES_MAX }),
    signatures,
  }),
  rows: fc.boolean().chain((closesEpoch) =>
    record<CycleOf<"rows">>({
      kind: fc.constant("rows"),
      timeMs: u53,
      underlying: u16,
      instruments: increasing(closesEpoch ? 0 : 1, 16),
      closesEpoch: fc.constant(closesEpoch),
    }),
  ),
  trade: record<CycleOf<"trade">>({ kind: fc.constant("trade"), timeMs: u53, accounts: tradeAccounts(domain) }),
  liquidation: record<CycleOf<"liquidation">>({
    kind: fc.constant("liquidation"),
    timeMs: u53,
    account: u24,
    positionCount: fc.integer({ min: 0, max: 128 }),
    legs: fc.array(fc.record({ instrument: u24, size: i32, cash: i53, fee: u48 }), { minLength: 1, maxLength: 10 }),
    counterparties: tradeAccounts(domain),
  }),
  auction: fc.constantFrom("start" as const, "end" as const, "take" as const).chain((op) =>
    record<CycleOf<"auction">>({
      kind: fc.constant("auction"),
      timeMs: u53,
      account: u24,
      positionCount: fc.integer({ min: 0, max: 128 }),
      op: fc.constant(op),
      ...(op === "take" ? { take: take(domain) } : {}),
    } as never).map((cycle) =>
      cycle.op === "take"
        ? { ...cycle, take: { ...cycle.take, bid: { ...cycle.take.bid, auctioned: cycle.account } } }
        : cycle,
    ),
  ),
  bankruptcy: record<CycleOf<"bankruptcy">>({
    kind: fc.constant("bankruptcy"),
    timeMs: u53,
    accounts: increasing(1, 32),
  }),
  adl: record<CycleOf<"adl">>({
    kind: fc.constant("adl"),
    timeMs: u53,
    account: u24,
    positionCount: fc.integer({ min: 0, max: 128 }),
    instrument: u24,
    haircut: u40,
    counterparties: fc.array(
      fc.record({ account: u24, positionCount: fc.integer({ min: 0, max: 128 }), equity: u53, maintenance: u53 }),
      { minLength: 1, maxLength: 64 },
    ),
  }),
  credit: fc.constantFrom("grant" as const, "settle" as const, "revoke" as const).chain((op) =>
    record<CycleOf<"credit">>({
      kind: fc.constant("credit"),
      timeMs: u53,
      account: u24,
      op: fc.constant(op),
      ...(op === "grant" ? { amount: u53, queueIndex: u53 } : {}),
    } as never),
  ),
  admin: record<CycleOf<"admin">>({ kind: fc.constant("admin"), timeMs: u53, change: hexUpTo(1024) }),
  expiry: record<CycleOf<"expiry">>({
    kind: fc.constant("expiry"),
    timeMs: u53,
    underlying: u16,
    expiryMs: u53,
    settlementPrice: u53,
    signatures,
    instruments: increasing(0, 64),
    realisations: fc.array(
      fc.record({ account: u24, positionCount: fc.integer({ min: 0, max: 128 }), instruments: increasing(1, 20) }),
      { maxLength: 16 },
    ),
  }),
  inbound: record<CycleOf<"inbound">>({
    kind: fc.constant("inbound"),
    timeMs: u53,
    entries: fc.array(inboundEntry, { minLength: 1, maxLength: 32 }),
  }),
  outbound: record<CycleOf<"outbound">>({
    kind: fc.constant("outbound"),
    timeMs: u53,
    withdrawals: fc.array(
      fc.record({
        withdrawal: withdrawal(fc.constant(domain)),
        signature,
        positionCount: fc.integer({ min: 0, max: 128 }),
      }),
      { minLength: 1, maxLength: 8 },
    ),
  }),
});
