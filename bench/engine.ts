// A mixed flow — 40% cancels, 50% passive adds near the touch, 10% crossing IOC — through the whole engine (authority, nonce
// and margin checks, matching, positions, netting; settlement of the cycles included) against the bare books of two npm
// packages, which do nothing but match. The same commands for all, on one book and on 1,000.
import { createRequire } from "node:module";
import { type Address, defaultParameters, encodeInboundEntry, type ExpirySurface, type InboundEntry, type SignaturePort } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type Command, Engine, type OrderRequest, silentSink } from "@tidemark/engine";
import { type BenchRow, quantile } from "./rows.ts";

const START_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const ACCOUNTS = 100;
const INDEX = 100_000_000_000;
const PERPETUAL_MARK = 1_000_000;
const WARM_UP = 20_000;

interface Step {
  kind: "add" | "take" | "cancel";
  book: number;
  side: 1 | -1;
  price: number;
  lots: number;
  account: number;
  nonce: number;
  id: string;
}

/** mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Orders of the flow; a cancel names an order that was added before, filled or not. */
function flowOf(steps: number, books: number, marks: readonly number[]): Step[] {
  const random = randomFrom(42);
  const nonces = new Array<number>(ACCOUNTS).fill(0);
  const added: Step[] = [];
  const drift = new Array<number>(books).fill(0);
  const flow: Step[] = [];
  for (let i = 0; i < steps; i++) {
    const roll = random();
    if (roll < 0.4 && added.length > books) {
      const place = Math.floor(random() * added.length);
      const target = added[place] as Step;
      added[place] = added[added.length - 1] as Step;
      added.pop();
      flow.push({ ...target, kind: "cancel" });
      continue;
    }
    const book = Math.floor(random() ** 2 * books);
    drift[book] = (drift[book] as number) + Math.floor(random() * 3) - 1;
    const middle = Math.max(500, (marks[book] as number) + (drift[book] as number));
    const side = random() < 0.5 ? 1 : -1;
    // On many books an account keeps to a tenth of them: an account has at most 128 instruments.
    const account = books === 1 ? Math.floor(random() * ACCOUNTS) : Math.floor(random() * (ACCOUNTS / 10)) * 10 + (book % 10);
    const nonce = (nonces[account] as number) + 1;
    nonces[account] = nonce;
    const away = random() < 0.8 ? 1 + Math.floor(random() * 10) : 11 + Math.floor(random() * 90);
    const takes = roll >= 0.9;
    const price = takes ? middle + side * 20 : Math.max(1, middle - side * away);
    const step: Step = { kind: takes ? "take" : "add", book, side, price, lots: 1 + Math.floor(random() * 20), account, nonce, id: `${account}:${nonce}` };
    flow.push(step);
    if (!takes) added.push(step);
  }
  return flow;
}

// ── ours ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const hex20 = (value: number): Address => `0x${value.toString(16).padStart(40, "0")}`;
const ownerOf = (account: number): Address => hex20(1_000 + account);

/** A signature is its signer's address: recovery is measured by the signature benchmark, not here. */
const addressPort: SignaturePort = { recoverAddress: (_, signature) => bytesToHex(signature.subarray(0, 20)) };
const signatureOf = (signer: Address): `0x${string}` => `0x${signer.slice(2).padEnd(128, "0")}`;

function inbound(entries: object[]): Command {
  return { kind: "inbound", timeMs: START_MS, entries: entries.map((entry) => encodeInboundEntry(entry as InboundEntry)) } as unknown as Command;
}

function openVenue(books: number): Engine {
  const parameters = defaultParameters({
    chainId: 1,
    verifyingContract: hex20(1),
    oracles: [hex20(2)],
    oracleQuorum: 1,
    treasuryOwner: hex20(3),
    insuranceOwner: hex20(4),
  });
  const engine = Engine.create({ parameters, signatures: addressPort, config: { cycleAgeMsMax: 2_000, rowsFor: "needed" } });
  const surfaces: ExpirySurface[] = [];
  const listings: object[] = [{ type: "listSeries", underlying: 0, expiryMs: 0, strikes: [] }];
  for (let series = 0; series * 240 < books - 1; series++) {
    const expiryMs = START_MS + (10 + series * 10) * DAY_MS;
    const strikes = Array.from({ length: 120 }, (_, i) => INDEX / 2 + i * 1_000_000_000);
    listings.push({ type: "listSeries", underlying: 0, expiryMs, strikes });
    surfaces.push({ expiryMs, forward: INDEX, realisedAverage: 0, a: 3e8, b: 1e8, rho: -3e8, m: 0, s: 1e8 } as ExpirySurface);
  }
  for (let i = 0; i < ACCOUNTS; i++) {
    const account = 2 + i;
    const owner = ownerOf(account);
    engine.apply(inbound([{ type: "openAccount", account, owner }, { type: "deposit", account, amount: 10 ** 13, payer: owner }]), silentSink);
  }
  for (const listing of listings) engine.apply(inbound([listing]), silentSink);
  const signatures = [{ signer: 0, signature: signatureOf(hex20(2)) }];
  const report = { kind: "report", timeMs: START_MS, underlying: 0, reportMs: START_MS, index: INDEX, premium: 0, surfaces, signatures };
  const { ok, code } = engine.apply(report as unknown as Command, silentSink);
  if (!ok) throw new RangeError(`report refused: ${code}`);
  return engine;
}

function commandOf(step: Step): Command {
  const account = 2 + step.account;
  const signer = ownerOf(account);
  if (step.kind === "cancel") return { kind: "cancel", timeMs: START_MS, account, nonce: step.nonce, signer } as unknown as Command;
  const order = {
    domain: 1,
    account,
    legs: [{ instrument: step.book, ratio: 1 }],
    size: step.side * step.lots,
    limitPrice: step.price,
    maxFeePerLot: 2 ** 39,
    nonce: step.nonce,
    startMs: START_MS,
    expiryMs: START_MS + DAY_MS,
    flags: 0,
  } as unknown as OrderRequest["order"];
  const timeInForce = step.kind === "take" ? "ioc" : "gtc";
  return { kind: "place", timeMs: START_MS, order, signature: signatureOf(signer), signer, type: "limit", timeInForce, postOnly: false } as unknown as Command;
}

// ── theirs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface PeerBook {
  limit(options: { id: string; side: "buy" | "sell"; size: number; price: number; timeInForce: "GTC" | "IOC" }): unknown;
  cancel(id: string): unknown;
}

function peer(packageName: string): new () => PeerBook {
  const loaded = createRequire(import.meta.url)(packageName) as { OrderBook?: new () => PeerBook; LimitOrderBook?: new () => PeerBook };
  const constructor = loaded.OrderBook ?? loaded.LimitOrderBook;
  if (constructor === undefined) throw new TypeError(`${packageName} exports no book`);
  return constructor;
}

interface Measured {
  operationsPerSecond: number;
  /** Without the operations in which a cycle was settled. */
  pathPerSecond: number;
  settledShare: number;
  p50Ns: number;
  p99Ns: number;
}

/** `work` tells whether it settled a cycle. */
function measure(flow: readonly Step[], work: (i: number) => boolean): Measured {
  for (let i = 0; i < WARM_UP; i++) work(i);
  const times = new Float64Array(flow.length - WARM_UP);
  const from = process.hrtime.bigint();
  let before = from;
  let pathNs = 0;
  let settling = 0;
  for (let i = WARM_UP; i < flow.length; i++) {
    const settled = work(i);
    const now = process.hrtime.bigint();
    const elapsedNs = Number(now - before);
    times[i - WARM_UP] = elapsedNs;
    if (settled) settling += 1;
    else pathNs += elapsedNs;
    before = now;
  }
  const seconds = Number(before - from) / 1e9;
  times.sort();
  return {
    operationsPerSecond: times.length / seconds,
    pathPerSecond: (times.length - settling) / (pathNs / 1e9),
    settledShare: 1 - pathNs / 1e9 / seconds,
    p50Ns: quantile(times, 0.5),
    p99Ns: quantile(times, 0.99),
  };
}

function measurePeer(packageName: string, books: number, flow: readonly Step[]): Measured {
  const Book = peer(packageName);
  const all = Array.from({ length: books }, () => new Book());
  return measure(flow, (i) => {
    const { kind, book, id, side, lots, price } = flow[i] as Step;
    const target = all[book] as PeerBook;
    if (kind === "cancel") target.cancel(id);
    else target.limit({ id, side: side > 0 ? "buy" : "sell", size: lots, price, timeInForce: kind === "take" ? "IOC" : "GTC" });
    return false;
  });
}

function compare(books: number, steps: number, peerSteps: number): BenchRow[] {
  const engine = openVenue(books);
  const marks = Array.from({ length: books }, (_, book) => {
    const cell = engine.ledger.instrument(book);
    return book === 0 || cell === undefined ? PERPETUAL_MARK : Math.round((cell.row[0] as number) / cell.tickValueMicroUsdc);
  });
  const flow = flowOf(steps, books, marks);
  const commands = flow.map(commandOf);
  let accepted = 0;
  let cycles = engine.cycleIndex;
  const ours = measure(flow, (i) => {
    if (engine.apply(commands[i] as Command, silentSink).ok) accepted += 1;
    if (engine.cycleIndex === cycles) return false;
    cycles = engine.cycleIndex;
    return true;
  });
  if (accepted < steps * 0.7) throw new RangeError(`only ${accepted} of ${steps} commands were accepted`);
  const where = books === 1 ? "1 book" : `${books} books`;
  return ["hft-limit-order-book", "nodejs-order-book"].flatMap((name): BenchRow[] => {
    const theirs = measurePeer(name, books, flow.slice(0, peerSteps));
    const row = (what: string, value: number, unit: string, goal: number | null, yardstick: number, ratio: number): BenchRow => ({
      what: `${where}: ${what} (yardstick: ${name}, bare book)`,
      value,
      unit,
      goal,
      yardstick,
      ratio,
    });
    const rate = theirs.operationsPerSecond;
    const share = Math.round(ours.settledShare * 100);
    return [
      row("order path with margin", ours.pathPerSecond, "operations/s", books === 1 ? 1_000_000 : 300_000, rate, ours.pathPerSecond / rate),
      row(`with settlement (${share}% of the time)`, ours.operationsPerSecond, "operations/s", null, rate, ours.operationsPerSecond / rate),
      row("median", ours.p50Ns, "ns", null, theirs.p50Ns, theirs.p50Ns / ours.p50Ns),
      row("99th percentile", ours.p99Ns, "ns", null, theirs.p99Ns, theirs.p99Ns / ours.p99Ns),
    ];
  });
}

export function run(): BenchRow[] {
  return [...compare(1, 300_000, 120_000), ...compare(1_000, 400_000, 120_000)];
}
