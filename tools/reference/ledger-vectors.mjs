// Vectors of the ledger's bytes, made from docs/spec/ledger.md alone: no package of this repository is read.
// Deterministic; writes vectors/ledger/*.json, or compares with `--check`. Integers are decimal strings.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { hashTypedData } from "viem";

const FOLDER = fileURLToPath(new URL("../../vectors/ledger/", import.meta.url));
const DOMAIN = 7n;

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const raw = (text) => Uint8Array.from(Buffer.from(text.slice(2), "hex"));
const join = (...parts) => Uint8Array.from(Buffer.concat(parts));
const keccak = (...parts) => keccak_256(join(...parts));
const ZERO = new Uint8Array(32);

/** Two's complement, so that signed fields need no case of their own. */
function big(value, width) {
  let rest = BigInt.asUintN(8 * width, BigInt(value));
  const out = new Uint8Array(width);
  for (let i = width - 1; i >= 0; i--) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return out;
}
const little = (value, width) => big(value, width).reverse();

// ── reproducible values: a hash in counter mode, edges first ───────────────────────────────────────────────────────

let counter = 0;
const block = () => keccak(Buffer.from(`ledger vectors ${counter++}`));
const word = () => BigInt(hex(block()));
const bytes = (length) => hex(join(block(), block()).slice(0, length));
const SAFE = 2n ** 53n - 1n;
const below = (bound) => word() % bound;
const unsigned = (bits) =>
  (bits >= 53 ? [0n, SAFE, below(SAFE), below(2n ** 40n)] : [0n, 2n ** BigInt(bits) - 1n, below(2n ** BigInt(bits))])[
    Number(below(bits >= 53 ? 4n : 3n))
  ];
const signed53 = () => [0n, SAFE, -SAFE, below(SAFE) - below(SAFE)][Number(below(4n))];
const signed32 = () => [2n ** 31n - 1n, 1n - 2n ** 31n, below(2n ** 31n), -below(2n ** 31n)][Number(below(4n))];
const list = (length, make) => Array.from({ length }, (_, i) => make(i));
const increasing = (length) => list(length, (i) => BigInt(i) * 1000n + below(999n));
const address = () => bytes(20);
const signature = () => bytes(64);

// ── layouts: [field, form] in order ────────────────────────────────────────────────────────────────────────────────

const widths = { u8: 1, u16: 2, u24: 3, u32: 4, u40: 5, u48: 6, u64: 8, i16: 2, i32: 4, i64: 8 };
const many = (layout) => ({ layout });
const encodeField = (form, value) => {
  if (typeof form === "string")
    return form === "hex" ? raw(value) : form === "flag" ? little(value ? 1 : 0, 1) : little(value, widths[form]);
  if (form.counted !== undefined)
    return join(little(value.length, 1), ...value.map((item) => encodeField(form.counted, item)));
  if (form.row !== undefined) return join(...value.map((item) => little(item, widths[form.row])));
  return encode(form.layout, value);
};
const encode = (layout, value) => join(...layout.map(([name, form]) => encodeField(form, value[name])));

const DELEGATE = many([
  ["key", "hex"],
  ["scopes", "u8"],
  ["expiryMs", "u64"],
]);
const POSITION = many([
  ["instrument", "u24"],
  ["size", "i32"],
  ["fundingIndex", "i64"],
]);
const SURFACE = many([
  ["expiryMs", "u64"],
  ["forward", "u64"],
  ["realisedAverage", "u64"],
  ...["a", "b", "rho", "m", "s"].map((name) => [name, "i64"]),
]);
const CELLS = {
  account: [
    ["domain", "u32"],
    ["owner", "hex"],
    ["delegates", { counted: DELEGATE }],
    ["cash", "i64"],
    ["credit", "i64"],
    ["minNonce", "u48"],
    ["liquidationMs", "u64"],
    ["auctionMs", "u64"],
    ["creditIndex", "u64"],
    ["ringRoot", "hex"],
    ["positions", { counted: POSITION }],
  ],
  ringSlot: [
    ["nonce", "u48"],
    ["orderHash", "hex"],
    ["filledLots", "u32"],
    ["filledCash", "i64"],
    ["receiptDeadlineMs", "u64"],
  ],
  instrument: [
    ["kind", "u8"],
    ["underlying", "u16"],
    ["status", "u8"],
    ["expiryMs", "u64"],
    ["strike", "u64"],
    ["lotNanoCoin", "u64"],
    ["tickMicroUsd", "u64"],
    ["tickValueMicroUsdc", "u32"],
    ["fundingIndex", "i64"],
    ["settlementPerLot", "u64"],
    ["clearingPosition", "i64"],
    ["clearingCash", "i64"],
    ["rowEpoch", "u64"],
    ["rowTimeMs", "u64"],
    ["row", { row: "u40" }],
    ["shortAddOn", "u40"],
    ["longAddOn", "u40"],
    ["concentrationAddOn", "u40"],
    ["feePerLot", "u40"],
  ],
  underlying: [
    ["epoch", "u64"],
    ["epochOpen", "flag"],
    ["reportMs", "u64"],
    ["index", "u64"],
    ["indexAverage", "u64"],
    ["premiumEma", "i64"],
    ["hasPerpetual", "flag"],
    ["perpetual", "u24"],
    ["surfaces", { counted: SURFACE }],
  ],
  outbox: [
    ["account", "u24"],
    ["asset", "u16"],
    ["amount", "u64"],
    ["destinationChain", "u64"],
    ["recipient", "hex"],
  ],
  globals: [
    ["domain", "u32"],
    ["format", "u16"],
    ["hashSuite", "u8"],
    ["timeMs", "u64"],
    ["inboundCursor", "u64"],
    ["inboundHash", "hex"],
    ["outboxCount", "u32"],
    ["instrumentCount", "u24"],
    ["inboundTotal", "i64"],
    ["outboxTotal", "i64"],
    ["cashTotal", "i64"],
    ["clearingTotal", "i64"],
    ["badDebt", "i64"],
    ["parametersHash", "hex"],
    ["creditTotal", "i64"],
    ["adminHash", "hex"],
    ["adminMs", "u64"],
  ],
};

const surface = () => ({
  expiryMs: unsigned(53),
  forward: unsigned(53),
  realisedAverage: unsigned(53),
  a: signed53(),
  b: signed53(),
  rho: signed53(),
  m: signed53(),
  s: signed53(),
});
const makeCell = {
  account: (i) => ({
    domain: unsigned(32),
    owner: address(),
    delegates: list(i * 4, () => ({ key: address(), scopes: below(2n), expiryMs: unsigned(53) })),
    cash: signed53(),
    credit: unsigned(53),
    minNonce: unsigned(48),
    liquidationMs: unsigned(53),
    auctionMs: unsigned(53),
    creditIndex: unsigned(53),
    ringRoot: bytes(32),
    positions: increasing(i * 64).map((instrument) => ({
      instrument,
      size: signed32() || 1n,
      fundingIndex: signed53(),
    })),
  }),
  ringSlot: () => ({
    nonce: unsigned(48),
    orderHash: bytes(32),
    filledLots: unsigned(32),
    filledCash: signed53(),
    receiptDeadlineMs: unsigned(53),
  }),
  instrument: (i) => ({
    kind: BigInt(i % 5),
    underlying: unsigned(16),
    status: 1n + BigInt(i % 2),
    expiryMs: unsigned(53),
    strike: unsigned(53),
    lotNanoCoin: unsigned(53),
    tickMicroUsd: unsigned(53),
    tickValueMicroUsdc: unsigned(32),
    fundingIndex: signed53(),
    settlementPerLot: unsigned(53),
    clearingPosition: signed53(),
    clearingCash: signed53(),
    rowEpoch: unsigned(53),
    rowTimeMs: unsigned(53),
    row: list(40, () => unsigned(40)),
    shortAddOn: unsigned(40),
    longAddOn: unsigned(40),
    concentrationAddOn: unsigned(40),
    feePerLot: unsigned(40),
  }),
  underlying: (i) => ({
    epoch: unsigned(53),
    epochOpen: i % 2 === 1,
    reportMs: unsigned(53),
    index: unsigned(53),
    indexAverage: unsigned(53),
    premiumEma: signed53(),
    hasPerpetual: i % 2 === 0,
    perpetual: unsigned(24),
    surfaces: list(i * 12, surface),
  }),
  outbox: () => ({
    account: unsigned(24),
    asset: unsigned(16),
    amount: unsigned(53),
    destinationChain: unsigned(53),
    recipient: address(),
  }),
  globals: () => ({
    domain: unsigned(32),
    format: 1n,
    hashSuite: 1n,
    timeMs: unsigned(53),
    inboundCursor: unsigned(53),
    inboundHash: bytes(32),
    outboxCount: unsigned(32),
    instrumentCount: unsigned(24),
    inboundTotal: signed53(),
    outboxTotal: signed53(),
    cashTotal: signed53(),
    clearingTotal: signed53(),
    badDebt: signed53(),
    parametersHash: bytes(32),
    creditTotal: unsigned(53),
    adminHash: bytes(32),
    adminMs: unsigned(53),
  }),
};

function cellVectors() {
  return Object.entries(CELLS).flatMap(([type, layout]) =>
    list(3, (i) => {
      const cell = makeCell[type](i);
      const encoded = encode(layout, cell);
      return { type, cell, bytes: hex(encoded), leaf: hex(keccak(encoded)) };
    }),
  );
}

// ── trees ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const EMPTY_ROOTS = [ZERO];
for (let depth = 1; depth <= 32; depth++) EMPTY_ROOTS.push(keccak(EMPTY_ROOTS[depth - 1], EMPTY_ROOTS[depth - 1]));
const emptyRoot = (depth) => EMPTY_ROOTS[depth];

function treeRoot(depth, leaves) {
  if (leaves.length === 0) return emptyRoot(depth);
  if (depth === 0) return leaves[0].hash;
  const half = 2n ** BigInt(depth - 1);
  const right = leaves.filter(({ index }) => index >= half).map(({ index, hash }) => ({ index: index - half, hash }));
  return keccak(
    treeRoot(
      depth - 1,
      leaves.filter(({ index }) => index < half),
    ),
    treeRoot(depth - 1, right),
  );
}

/** Sibling at height h = root of the subtree beside the leaf's. */
function pathOf(depth, leaves, index) {
  return list(depth, (height) => {
    const size = 2n ** BigInt(height);
    const first = ((index / size) ^ 1n) * size;
    const inside = leaves.filter((leaf) => leaf.index >= first && leaf.index < first + size);
    return hex(
      treeRoot(
        height,
        inside.map((leaf) => ({ index: leaf.index - first, hash: leaf.hash })),
      ),
    );
  });
}

function treeVectors() {
  return [16, 24, 32].flatMap((depth) =>
    [0, 1, 2, 9].map((count) => {
      const last = 2n ** BigInt(depth) - 1n;
      const numbers = [...new Set([0n, last, 1n, ...list(count, () => below(last))].slice(0, count))];
      const cells = numbers.map((index) => ({ index, cell: bytes(40) }));
      const leaves = cells.map(({ index, cell }) => ({ index, hash: keccak(raw(cell)) }));
      const proofs = numbers.map((index) => ({ index, path: pathOf(depth, leaves, index) }));
      return { depth: BigInt(depth), cells, root: hex(treeRoot(depth, leaves)), proofs };
    }),
  );
}

function stateRootVectors() {
  return list(3, () => {
    const roots = {
      accountsRoot: bytes(32),
      instrumentsRoot: bytes(32),
      underlyingsRoot: bytes(32),
      outboxRoot: bytes(32),
      globalsHash: bytes(32),
    };
    return { roots, stateRoot: hex(keccak(...Object.values(roots).map(raw))) };
  });
}

// ── inbound entries, big-endian ────────────────────────────────────────────────────────────────────────────────────

const INBOUND = {
  openAccount: [1, (e) => [big(e.account, 3), raw(e.owner)], () => ({ account: unsigned(24), owner: address() })],
  deposit: [
    2,
    (e) => [big(e.account, 3), big(e.amount, 8), raw(e.payer)],
    () => ({ account: unsigned(24), amount: unsigned(53), payer: address() }),
  ],
  keyGrant: [
    3,
    (e) => [big(e.account, 3), raw(e.key), big(e.scopes, 1), big(e.expiryMs, 8)],
    () => ({ account: unsigned(24), key: address(), scopes: unsigned(8), expiryMs: unsigned(53) }),
  ],
  keyRevoke: [
    4,
    (e) => [big(e.account, 3), raw(e.key), big(e.minNonce, 6)],
    () => ({ account: unsigned(24), key: address(), minNonce: unsigned(48) }),
  ],
  cancelAll: [
    5,
    (e) => [big(e.account, 3), big(e.minNonce, 6)],
    () => ({ account: unsigned(24), minNonce: unsigned(48) }),
  ],
  forcedWithdrawal: [
    6,
    (e) => [big(e.account, 3), big(e.amount, 8), raw(e.recipient)],
    () => ({ account: unsigned(24), amount: unsigned(53), recipient: address() }),
  ],
  forcedClose: [
    7,
    (e) => [big(e.account, 3), big(e.instrument, 3), big(e.size, 4), big(e.limitPrice, 4), big(e.nonce, 6)],
    () => ({
      account: unsigned(24),
      instrument: unsigned(24),
      size: signed32(),
      limitPrice: signed32(),
      nonce: unsigned(48),
    }),
  ],
  forcedLiquidation: [8, (e) => [big(e.account, 3)], () => ({ account: unsigned(24) })],
  listSeries: [
    9,
    (e) => [
      big(e.underlying, 2),
      big(e.expiryMs, 8),
      big(e.strikes.length, 2),
      ...e.strikes.map((strike) => big(strike, 8)),
    ],
    (i) => ({ underlying: unsigned(16), expiryMs: unsigned(53), strikes: list(i * 60, () => unsigned(53)) }),
  ],
  adminChange: [
    10,
    (e) => [big(raw(e.change).length, 2), raw(e.change)],
    (i) => ({ change: hex(join(...list([1, 5, 32][i], block)).slice(0, [1, 133, 1024][i])) }),
  ],
};
const encodeEntry = (entry) => join(big(INBOUND[entry.type][0], 1), ...INBOUND[entry.type][1](entry));
const makeEntry = (type, i) => ({ type, ...INBOUND[type][2](i) });

function inboundVectors() {
  let hash = ZERO;
  return list(3, (i) => Object.keys(INBOUND).map((type) => makeEntry(type, i)))
    .flat()
    .map((entry) => {
      const encoded = encodeEntry(entry);
      hash = keccak(hash, keccak(encoded));
      return { entry, bytes: hex(encoded), queueHash: hex(hash) };
    });
}

// ── cycles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const QUORUM = {
  counted: many([
    ["signer", "u8"],
    ["signature", "hex"],
  ]),
};
const LEG = many([
  ["instrument", "u24"],
  ["ratio", "i16"],
]);
const ORDER_HEAD = [
  ["legs", { counted: LEG }],
  ["size", "i32"],
  ["limitPrice", "i32"],
  ["maxFeePerLot", "u40"],
  ["nonce", "u48"],
  ["startMs", "u48"],
  ["expiryMs", "u48"],
  ["flags", "u8"],
];
const encodeTradeEntry = ({ order, signature: signed, filledLots, cash, fee }) =>
  join(
    encode(ORDER_HEAD, order),
    signed === null ? little(0, 1) : join(little(1, 1), raw(signed)),
    little(filledLots, 4),
    little(cash, 8),
    little(fee, 6),
  );
const encodeTradeAccounts = (accounts) =>
  join(
    little(accounts.length, 1),
    ...accounts.map(({ account, positionCount, entries }) =>
      join(little(account, 3), little(positionCount, 1), little(entries.length, 1), ...entries.map(encodeTradeEntry)),
    ),
  );
const NUMBERS = { counted: "u24" };
const REALISATION = many([
  ["account", "u24"],
  ["positionCount", "u8"],
  ["instruments", NUMBERS],
]);

const encodeLegs = (legs) => join(...legs.map(({ instrument, lots }) => join(little(instrument, 3), little(lots, 4))));
const encodeTake = ({ bid, bidderPositionCount, newCount, signature: signed, discount, fromAccount, legs }) =>
  join(
    little(bid.account, 3),
    little(bidderPositionCount, 1),
    little(newCount, 1),
    little(bid.parts, 2),
    little(bid.paymentMax, 8),
    little(bid.nonce, 6),
    little(bid.expiryMs, 6),
    little(bid.bindsLegs ? 1 : 0, 1),
    raw(signed),
    little(discount, 8),
    little(fromAccount, 8),
    little(legs.length, 1),
    encodeLegs(legs),
  );

const BODIES = {
  report: [
    1,
    (c) =>
      encode(
        [
          ["underlying", "u16"],
          ["reportMs", "u64"],
          ["index", "u64"],
          ["premium", "i64"],
          ["surfaces", { counted: SURFACE }],
          ["signatures", QUORUM],
        ],
        c,
      ),
  ],
  rows: [
    2,
    (c) =>
      encode(
        [
          ["underlying", "u16"],
          ["closesEpoch", "flag"],
          ["instruments", NUMBERS],
        ],
        c,
      ),
  ],
  trade: [3, (c) => encodeTradeAccounts(c.accounts)],
  liquidation: [
    4,
    (c) =>
      join(
        encode(
          [
            ["account", "u24"],
            ["positionCount", "u8"],
            [
              "legs",
              {
                counted: many([
                  ["instrument", "u24"],
                  ["size", "i32"],
                  ["cash", "i64"],
                  ["fee", "u48"],
                ]),
              },
            ],
          ],
          c,
        ),
        encodeTradeAccounts(c.counterparties),
      ),
  ],
  auction: [
    5,
    (c) =>
      join(
        little({ start: 0, take: 1, end: 2 }[c.op], 1),
        little(c.account, 3),
        little(c.positionCount, 1),
        c.op === "take" ? encodeTake(c.take) : new Uint8Array(0),
      ),
  ],
  bankruptcy: [6, (c) => encode([["accounts", NUMBERS]], c)],
  adl: [
    7,
    (c) =>
      encode(
        [
          ["account", "u24"],
          ["positionCount", "u8"],
          ["instrument", "u24"],
          ["haircut", "u40"],
          [
            "counterparties",
            {
              counted: many([
                ["account", "u24"],
                ["positionCount", "u8"],
                ["equity", "u64"],
                ["maintenance", "u64"],
              ]),
            },
          ],
        ],
        c,
      ),
  ],
  expiry: [
    8,
    (c) =>
      encode(
        [
          ["underlying", "u16"],
          ["expiryMs", "u64"],
          ["settlementPrice", "u64"],
          ["signatures", QUORUM],
          ["instruments", NUMBERS],
          ["realisations", { counted: REALISATION }],
        ],
        c,
      ),
  ],
  inbound: [
    9,
    (c) =>
      join(
        little(c.entries.length, 1),
        ...c.entries.map(encodeEntry).map((entry) => join(little(entry.length, 2), entry)),
      ),
  ],
  outbound: [
    10,
    (c) =>
      join(
        little(c.withdrawals.length, 1),
        ...c.withdrawals.map(({ withdrawal: w, signature: signed, positionCount }) =>
          join(
            little(w.account, 3),
            little(positionCount, 1),
            encode(
              [
                ["asset", "u16"],
                ["amount", "u64"],
                ["destinationChain", "u64"],
                ["recipient", "hex"],
                ["nonce", "u48"],
                ["expiryMs", "u48"],
              ],
              w,
            ),
            raw(signed),
          ),
        ),
      ),
  ],
  credit: [
    11,
    (c) =>
      join(
        little({ grant: 0, settle: 1, revoke: 2 }[c.op], 1),
        little(c.account, 3),
        c.op === "grant" ? join(little(c.amount, 8), little(c.queueIndex, 8)) : new Uint8Array(0),
      ),
  ],
  admin: [12, (c) => join(little(raw(c.change).length, 2), raw(c.change))],
};

const order = (account, nonce, legs) => ({
  domain: DOMAIN,
  account,
  legs: list(legs, () => ({ instrument: unsigned(24), ratio: [1n, -1n, 32767n, -32767n][Number(below(4n))] })),
  size: signed32(),
  limitPrice: signed32(),
  maxFeePerLot: unsigned(40),
  nonce,
  startMs: unsigned(48),
  expiryMs: unsigned(48),
  flags: below(2n),
});
const tradeAccounts = (count) =>
  increasing(count).map((account, i) => ({
    account,
    positionCount: below(129n),
    entries: increasing(1 + i).map((nonce, j) => ({
      order: order(account, nonce, 1 + ((i + j) % 4)),
      signature: (i + j) % 2 === 0 ? signature() : null,
      filledLots: unsigned(32),
      cash: signed53(),
      fee: unsigned(48),
    })),
  }));
const quorum = (count) => list(count, (i) => ({ signer: BigInt(i), signature: signature() }));
const withdrawal = () => ({
  domain: DOMAIN,
  account: unsigned(24),
  asset: unsigned(16),
  amount: unsigned(53),
  destinationChain: unsigned(53),
  recipient: address(),
  nonce: unsigned(48),
  expiryMs: unsigned(48),
});

const bid = (auctioned, bindsLegs) => ({
  domain: DOMAIN,
  account: unsigned(24),
  auctioned,
  parts: 1n + below(1000n),
  paymentMax: signed53(),
  bindsLegs,
  nonce: unsigned(48),
  expiryMs: unsigned(48),
});
const take = (auctioned, legs) => {
  const discount = unsigned(53);
  return {
    bid: bid(auctioned, true),
    bidderPositionCount: below(129n),
    newCount: below(129n),
    signature: signature(),
    discount,
    fromAccount: below(discount + 1n),
    legs: increasing(legs).map((instrument) => ({ instrument, lots: signed32() || 1n })),
  };
};

const makeCycle = {
  report: (i) => ({
    underlying: unsigned(16),
    reportMs: unsigned(53),
    index: unsigned(53),
    premium: signed53(),
    surfaces: list(12 * i, surface),
    signatures: quorum(8 * i),
  }),
  rows: (i) => ({ underlying: unsigned(16), instruments: increasing(8 * i), closesEpoch: i !== 1 }),
  trade: (i) => ({ accounts: tradeAccounts(1 + 2 * i) }),
  liquidation: (i) => ({
    account: unsigned(24),
    positionCount: below(129n),
    legs: list(1 + i, () => ({ instrument: unsigned(24), size: signed32(), cash: signed53(), fee: unsigned(48) })),
    counterparties: tradeAccounts(1 + i),
  }),
  auction: (i) => {
    const account = unsigned(24);
    const cycle = { account, positionCount: below(129n), op: ["start", "take", "end"][i] };
    return i === 1 ? { ...cycle, take: take(account, 128) } : cycle;
  },
  bankruptcy: (i) => ({ accounts: increasing([1, 7, 32][i]) }),
  adl: (i) => ({
    account: unsigned(24),
    positionCount: below(129n),
    instrument: unsigned(24),
    haircut: unsigned(40),
    counterparties: list([1, 5, 64][i], () => ({
      account: unsigned(24),
      positionCount: below(129n),
      equity: unsigned(53),
      maintenance: unsigned(53),
    })),
  }),
  credit: (i) => {
    const cycle = { account: unsigned(24), op: ["grant", "settle", "revoke"][i] };
    return i === 0 ? { ...cycle, amount: unsigned(53), queueIndex: unsigned(53) } : cycle;
  },
  admin: (i) => ({ change: INBOUND.adminChange[2](i).change }),
  expiry: (i) => ({
    underlying: unsigned(16),
    expiryMs: unsigned(53),
    settlementPrice: unsigned(53),
    signatures: quorum(i),
    instruments: increasing(32 * i),
    realisations: list(8 * i, () => ({
      account: unsigned(24),
      positionCount: below(129n),
      instruments: increasing(1 + i),
    })),
  }),
  inbound: (i) => ({
    entries: Object.keys(INBOUND)
      .slice(0, [3, 6, 10][i])
      .map((type) => makeEntry(type, i)),
  }),
  outbound: (i) => ({
    withdrawals: list(1 + 3 * i, () => ({
      withdrawal: withdrawal(),
      signature: signature(),
      positionCount: below(129n),
    })),
  }),
};

function cycleVectors() {
  return Object.entries(BODIES).flatMap(([kind, [code, body]]) =>
    list(3, (i) => {
      const cycle = { kind, timeMs: unsigned(53), ...makeCycle[kind](i) };
      const payload = join(little(1, 1), little(code, 1), little(cycle.timeMs, 8), body(cycle));
      return { domain: DOMAIN, cycle, payload: hex(payload), payloadHash: hex(keccak(payload)) };
    }),
  );
}

// ── signatures ─────────────────────────────────────────────────────────────────────────────────────────────────────

const fieldsOf = (text) => text.split(",").map((field) => ({ type: field.split(" ")[0], name: field.split(" ")[1] }));
const TYPES = {
  Leg: fieldsOf("uint32 instrument,int32 ratio"),
  Order: fieldsOf(
    "uint32 domain,uint32 account,Leg[] legs,int32 size,int32 limitPrice,uint64 maxFeePerLot,uint64 nonce,uint64 start,uint64 expiry,uint32 flags",
  ),
  Withdrawal: fieldsOf(
    "uint32 domain,uint32 account,uint32 asset,uint64 amount,uint64 destinationChain,address recipient,uint64 nonce,uint64 expiry",
  ),
  Bid: fieldsOf(
    "uint32 domain,uint32 account,uint32 auctioned,uint32 parts,int64 paymentMax,bytes32 legs,uint64 nonce,uint64 expiry",
  ),
  Report: fieldsOf("uint32 domain,bytes32 content"),
  Settlement: fieldsOf("uint32 domain,uint32 underlying,uint64 expiry,uint64 price"),
};

function signingVectors(cycles) {
  const chainId = 31337n;
  const verifyingContract = address();
  const domain = { name: "Tidemark", version: "1", chainId, verifyingContract };
  const digest = (primaryType, message) => hashTypedData({ domain, types: TYPES, primaryType, message });
  const orders = list(8, (i) => order(unsigned(24), unsigned(48), 1 + (i % 4))).map((message) => ({
    order: message,
    digest: digest("Order", { ...message, start: message.startMs, expiry: message.expiryMs }),
  }));
  const withdrawals = list(4, withdrawal).map((message) => ({
    withdrawal: message,
    digest: digest("Withdrawal", { ...message, expiry: message.expiryMs }),
  }));
  const bids = list(4, (i) => {
    const { bid: message, legs } = take(unsigned(24), [1, 2, 17, 128][i]);
    const signed = { ...message, bindsLegs: i % 2 === 0 };
    const legsHash = signed.bindsLegs ? hex(keccak(encodeLegs(legs))) : hex(ZERO);
    return { bid: signed, legs, digest: digest("Bid", { ...signed, legs: legsHash, expiry: signed.expiryMs }) };
  });
  const reports = cycles
    .filter(({ cycle }) => cycle.kind === "report")
    .map(({ cycle, payload }) => {
      const content = hex(keccak(raw(payload).slice(10, raw(payload).length - 1 - 65 * cycle.signatures.length)));
      return { payload, content, digest: digest("Report", { domain: DOMAIN, content }) };
    });
  const settlements = cycles
    .filter(({ cycle }) => cycle.kind === "expiry")
    .map(({ cycle, payload }) => ({
      payload,
      digest: digest("Settlement", {
        domain: DOMAIN,
        underlying: cycle.underlying,
        expiry: cycle.expiryMs,
        price: cycle.settlementPrice,
      }),
    }));
  return { chainId, verifyingContract, domain: DOMAIN, orders, withdrawals, bids, reports, settlements };
}

const cycles = cycleVectors();
const files = {
  "cells.json": cellVectors(),
  "trees.json": {
    emptyRoots: list(33, (depth) => hex(emptyRoot(depth))),
    trees: treeVectors(),
    stateRoots: stateRootVectors(),
  },
  "inbound.json": inboundVectors(),
  "cycles.json": cycles,
  "signing.json": signingVectors(cycles),
};
mkdirSync(FOLDER, { recursive: true });
for (const [name, content] of Object.entries(files)) {
  const text = `${JSON.stringify(content, (_, value) => (typeof value === "bigint" ? value.toString() : value), 1)}\n`;
  if (!process.argv.includes("--check")) writeFileSync(FOLDER + name, text);
  else if (readFileSync(FOLDER + name, "utf8") !== text) {
    console.error(`vectors/ledger/${name} differs`);
    process.exitCode = 1;
  }
}
