// Vectors for the contracts, made from docs/spec/settlement.md and docs/spec/ledger.md alone: no contract, ABI file or
// package of this repository is read. Deterministic; writes vectors/settlement.json, or compares with `--check`.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { encodeFunctionData, keccak256, parseAbi } from "viem";

const OUTPUT = fileURLToPath(new URL("../../vectors/settlement.json", import.meta.url));
const CHAIN_ID = 31337n;
const DOMAIN = 7n;
const START_SECONDS = 1_800_000_000n;
const OUTBOX_DEPTH = 32;

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const bytesOf = (text) => Uint8Array.from(Buffer.from(text.slice(2), "hex"));
const join = (...parts) => Uint8Array.from(Buffer.concat(parts));
const keccak = (...parts) => keccak256(join(...parts), "bytes");
const ZERO = new Uint8Array(32);

/** Two's complement, so that signed fields need no case of their own. */
function bigEndian(value, width) {
  const out = new Uint8Array(width);
  let rest = BigInt.asUintN(8 * width, BigInt(value));
  for (let i = width - 1; i >= 0; i--) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return out;
}
const littleEndian = (value, width) => bigEndian(value, width).reverse();

/** Reproducible pseudo-random bytes: a hash in counter mode. */
let counter = 0;
function random(length) {
  const blocks = [];
  for (let made = 0; made < length; made += 32) blocks.push(keccak(Buffer.from(`settlement vectors ${counter++}`)));
  return join(...blocks).slice(0, length);
}
const randomBelow = (bound) => Number(BigInt(hex(random(8))) % BigInt(bound));
const randomAddress = () => hex(random(20));

const ABI = parseAbi([
  "function openAccount() returns (uint24)",
  "function deposit(uint24 account, uint256 amount)",
  "function openAccountAndDeposit(uint256 amount)",
  "function grantKey(uint24 account, address key, uint8 scopes, uint64 expiryMs)",
  "function revokeKey(uint24 account, address key, uint48 minNonce)",
  "function cancelAll(uint24 account, uint48 minNonce)",
  "function forceWithdrawal(uint24 account, uint64 amount, address recipient)",
  "function forceClose(uint24 account, uint24 instrument, int32 size, int32 limitPrice, uint48 nonce)",
  "function forceLiquidation(uint24 account)",
  "function adminChange(bytes change)",
  "function listSeries(uint16 underlying, uint64 expiryMs, uint64[] strikes)",
  "struct BatchHeader { uint32 version; uint32 domain; uint64 number; bytes32 parent; bytes32 preStateRoot; bytes32 postStateRoot; bytes32 cyclesRoot; uint32 cycleCount; uint64 firstCycle; uint64 timeMs; uint64 inboundCursor; bytes32 inboundHash; uint8 dataMode; bytes32 dataHash; uint32 dataLength; }",
  "function postBatch(BatchHeader header, bytes data) payable",
  "struct StateRoots { bytes32 accountsRoot; bytes32 instrumentsRoot; bytes32 underlyingsRoot; bytes32 outboxRoot; bytes32 globalsHash; }",
  "struct OutboxCell { uint24 account; uint16 asset; uint64 amount; uint64 destinationChain; address recipient; }",
  "function claim(uint64 batchNumber, StateRoots roots, uint32 withdrawalNumber, OutboxCell cell, bytes32[] path)",
]);
const call = (functionName, args) => encodeFunctionData({ abi: ABI, functionName, args });

// ── cycles tree ──────────────────────────────────────────────────────────────────────────────────────────────────────

function cyclesRoot(cycles) {
  let level = cycles.map(({ payload, postRoot }) =>
    keccak(Uint8Array.of(0), keccak(payload), bigEndian(payload.length, 4), postRoot),
  );
  while (level.length > 1) {
    const above = [];
    for (let i = 0; i < level.length; i += 2) {
      above.push(i + 1 < level.length ? keccak(Uint8Array.of(1), level[i], level[i + 1]) : level[i]);
    }
    level = above;
  }
  return level[0];
}
const dataOf = (cycles) =>
  join(...cycles.flatMap(({ payload, postRoot }) => [bigEndian(payload.length, 4), postRoot, payload]));
const randomCycles = (count, payloadBytesMax) =>
  Array.from({ length: count }, () => ({ payload: random(1 + randomBelow(payloadBytesMax)), postRoot: random(32) }));

function treeVectors() {
  return [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 33, 255, 256].map((count) => {
    const cycles = randomCycles(count, count < 16 ? 300 : 8);
    return {
      count: String(count),
      data: hex(dataOf(cycles)),
      root: hex(cyclesRoot(cycles)),
      lastPostRoot: hex(cycles[count - 1].postRoot),
    };
  });
}

// ── queue ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const alice = randomAddress();
const bob = randomAddress();
const lister = randomAddress();
const governor = randomAddress();

function queueVectors() {
  const u24 = (value) => bigEndian(value, 3);
  const u64 = (value) => bigEndian(value, 8);
  const entry = (kind, ...parts) => join(Uint8Array.of(kind), ...parts);
  const strikes = [1n, 95_000_000_000n, 2n ** 50n - 1n];
  const key = randomAddress();
  const change = random(300);
  // With the other deposits as much as may ever be paid in: 2^52 - 1.
  const rest = 2n ** 52n - 1n - 2_500_000n - 1n;
  const open = (account, owner) => entry(1, u24(account), bytesOf(owner));
  const deposit = (account, amount, payer) => entry(2, u24(account), u64(amount), bytesOf(payer));
  const rows = [
    [alice, "openAccount", [], [open(2, alice)]],
    [bob, "openAccountAndDeposit", [2_500_000n], [open(3, bob), deposit(3, 2_500_000n, bob)]],
    [alice, "deposit", [2, rest], [deposit(2, rest, alice)]],
    [bob, "deposit", [1, 1n], [deposit(1, 1n, bob)]],
    [
      alice,
      "grantKey",
      [2, key, 1, 1_900_000_000_123n],
      [entry(3, u24(2), bytesOf(key), bigEndian(1, 1), u64(1_900_000_000_123n))],
    ],
    [alice, "revokeKey", [2, key, 2 ** 48 - 1], [entry(4, u24(2), bytesOf(key), bigEndian(2 ** 48 - 1, 6))]],
    [bob, "cancelAll", [3, 77], [entry(5, u24(3), bigEndian(77, 6))]],
    [bob, "forceWithdrawal", [3, 123_456_789n, alice], [entry(6, u24(3), u64(123_456_789n), bytesOf(alice))]],
    [
      alice,
      "forceClose",
      [2, 0xfedcba, -5, 2 ** 31 - 1, 2 ** 48 - 2],
      [entry(7, u24(2), u24(0xfedcba), bigEndian(-5, 4), bigEndian(2 ** 31 - 1, 4), bigEndian(2 ** 48 - 2, 6))],
    ],
    [bob, "forceLiquidation", [2], [entry(8, u24(2))]],
    [
      lister,
      "listSeries",
      [258, 1_803_024_000_000n, strikes],
      [entry(9, bigEndian(258, 2), u64(1_803_024_000_000n), bigEndian(3, 2), ...strikes.map(u64))],
    ],
    [lister, "listSeries", [0, 0n, []], [entry(9, bigEndian(0, 2), u64(0), bigEndian(0, 2))]],
    [governor, "adminChange", [hex(change)], [entry(10, bigEndian(change.length, 2), change)]],
  ];
  let hash = ZERO;
  let length = 0;
  return rows.map(([caller, functionName, args, entries]) => {
    for (const bytes of entries) hash = keccak(hash, keccak(bytes));
    length += entries.length;
    return {
      caller,
      calldata: call(functionName, args),
      entryCount: String(entries.length),
      lastEntry: hex(entries.at(-1)),
      queueLength: String(length),
      queueHash: hex(hash),
    };
  });
}

// ── outbox and batches ───────────────────────────────────────────────────────────────────────────────────────────────

const EMPTY = [ZERO];
for (let height = 0; height < OUTBOX_DEPTH; height++) EMPTY.push(keccak(EMPTY[height], EMPTY[height]));

/** Sparse tree as one map a level, from the leaves up. */
function outboxTree(cells) {
  const levels = [new Map(cells.map(({ number, leaf }) => [number, leaf]))];
  for (let height = 0; height < OUTBOX_DEPTH; height++) {
    const above = new Map();
    for (const index of levels[height].keys()) {
      const parent = Math.floor(index / 2);
      const side = (child) => levels[height].get(child) ?? EMPTY[height];
      above.set(parent, keccak(side(2 * parent), side(2 * parent + 1)));
    }
    levels.push(above);
  }
  const path = (number) =>
    Array.from({ length: OUTBOX_DEPTH }, (_, height) => {
      const index = Math.floor(number / 2 ** height);
      return levels[height].get(index % 2 === 0 ? index + 1 : index - 1) ?? EMPTY[height];
    });
  return { root: levels[OUTBOX_DEPTH].get(0), path };
}

function batchVectors(queue) {
  const amounts = [1n, 2_499_999n, 1_000_000n, 2n ** 52n - 100_000_000n, 40_000_000n];
  const cells = [0, 1, 2, 0x8000_0001, 0xffff_ffff].map((number, i) => {
    const recipient = randomAddress();
    const account = [2, 3, 0xffffff, 0x010203, 4][i];
    const amount = amounts[i];
    const leaf = keccak(
      littleEndian(account, 3),
      littleEndian(0, 2),
      littleEndian(amount, 8),
      littleEndian(CHAIN_ID, 8),
      bytesOf(recipient),
    );
    return { number, account, amount, recipient, leaf };
  });
  const tree = outboxTree(cells);
  const roots = [random(32), random(32), random(32), tree.root, random(32)];
  const claimableRoot = keccak(...roots);

  const genesisRoot = random(32);
  let parent = keccak(genesisRoot);
  let stateRoot = genesisRoot;
  let firstCycle = 0n;
  const batches = [1, 5, 256, 3].map((cycleCount, i) => {
    const cycles = randomCycles(cycleCount, cycleCount === 256 ? 8 : 400);
    if (i === 3) cycles[cycleCount - 1].postRoot = claimableRoot;
    const inbound = queue[[0, 0, 5, queue.length - 1][i]];
    const postStateRoot = cycles[cycleCount - 1].postRoot;
    const fields = [
      ["version", 1n],
      ["domain", DOMAIN],
      ["number", BigInt(i + 1)],
      ["parent", parent],
      ["preStateRoot", stateRoot],
      ["postStateRoot", postStateRoot],
      ["cyclesRoot", cyclesRoot(cycles)],
      ["cycleCount", BigInt(cycleCount)],
      ["firstCycle", firstCycle],
      ["timeMs", START_SECONDS * 1000n + BigInt(i)],
      ["inboundCursor", BigInt(inbound.queueLength)],
      ["inboundHash", bytesOf(inbound.queueHash)],
      ["dataMode", 0n],
      ["dataHash", ZERO],
      ["dataLength", BigInt(dataOf(cycles).length)],
    ];
    // abi.encode of static fields: one 32-byte word each.
    const batchHash = keccak(...fields.map(([, value]) => (typeof value === "bigint" ? bigEndian(value, 32) : value)));
    const header = Object.fromEntries(
      fields.map(([name, value]) => [name, typeof value === "bigint" ? value : hex(value)]),
    );
    for (const name of ["version", "domain", "cycleCount", "dataMode", "dataLength"])
      header[name] = Number(header[name]);
    parent = batchHash;
    stateRoot = postStateRoot;
    firstCycle += BigInt(cycleCount);
    return {
      calldata: call("postBatch", [header, hex(dataOf(cycles))]),
      batchHash: hex(batchHash),
      postStateRoot: hex(postStateRoot),
      nextCycle: String(firstCycle),
    };
  });
  const [accountsRoot, instrumentsRoot, underlyingsRoot, outboxRoot, globalsHash] = roots.map(hex);
  const claims = cells.map(({ number, account, amount, recipient }) => ({
    calldata: call("claim", [
      BigInt(batches.length),
      { accountsRoot, instrumentsRoot, underlyingsRoot, outboxRoot, globalsHash },
      number,
      { account, asset: 0, amount, destinationChain: CHAIN_ID, recipient },
      tree.path(number).map(hex),
    ]),
    recipient,
    amount: String(amount),
    withdrawalNumber: String(number),
  }));
  return { genesisRoot: hex(genesisRoot), batches, claims };
}

const trees = treeVectors();
const queue = queueVectors();
const { genesisRoot, batches, claims } = batchVectors(queue);
const vectors = {
  about: "Contracts against docs/spec: cycles trees, queue hashes, batch hashes, outbox claims. Integers as strings.",
  chainId: String(CHAIN_ID),
  domain: String(DOMAIN),
  startSeconds: String(START_SECONDS),
  lister,
  governor,
  genesisRoot,
  counts: {
    trees: String(trees.length),
    queue: String(queue.length),
    batches: String(batches.length),
    claims: String(claims.length),
  },
  trees,
  queue,
  batches,
  claims,
};
const rendered = `${JSON.stringify(vectors, null, 1)}\n`;
if (process.argv.includes("--check")) {
  if (readFileSync(OUTPUT, "utf8") !== rendered) {
    process.stderr.write("vectors/settlement.json is not what tools/reference/settlement-vectors.mjs makes\n");
    process.exit(1);
  }
} else {
  writeFileSync(OUTPUT, rendered);
}
