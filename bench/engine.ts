// A mixed flow — 40% cancels, 50% passive adds near the touch, 10% crossing IOC — on one book and on 1,000: our books alone
// against the bare books of two npm packages (the same depth comes out), then the whole engine — authority, nonce and margin
// checks, matching, positions, netting — without and with the settlement of its cycles. Rates are per second of processor
// time (garbage collection included), latencies by the clock. docs/performance.md has the figures of a run.
import { createRequire } from "node:module";
import { getHeapStatistics } from "node:v8";
import {
  ACCOUNT,
  Books,
  type Command,
  type DepthLevel,
  Engine,
  INSTRUMENT,
  NONE,
  ORDER_STRIDE_SHIFT,
  OrderArena,
  type OrderRequest,
  PRICE,
  REMAINING,
  SIDE,
  silentSink,
} from "@tidemark/engine";
import {
  type Address,
  defaultParameters,
  type ExpirySurface,
  encodeInboundEntry,
  type InboundEntry,
  type Order,
  type SignaturePort,
} from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type BenchRow, median, quantile } from "./rows.ts";

const START_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const ACCOUNTS = 100;
const INDEX = 100_000_000_000;
const PERPETUAL_MARK = 1_000_000;
const WARM_UP = 20_000;
const ROUNDS = 3;
/** Inputs are made outside the clock, as many at a time as stay in the cache: nobody is timed for reading a stored flow. */
const CHUNK = 256;

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
    const account =
      books === 1 ? Math.floor(random() * ACCOUNTS) : Math.floor(random() * (ACCOUNTS / 10)) * 10 + (book % 10);
    const nonce = (nonces[account] as number) + 1;
    nonces[account] = nonce;
    const away = random() < 0.8 ? 1 + Math.floor(random() * 10) : 11 + Math.floor(random() * 90);
    const takes = roll >= 0.9;
    const price = takes ? middle + side * 20 : Math.max(1, middle - side * away);
    const step: Step = {
      kind: takes ? "take" : "add",
      book,
      side,
      price,
      lots: 1 + Math.floor(random() * 20),
      account,
      nonce,
      id: `${account}:${nonce}`,
    };
    flow.push(step);
    if (!takes) added.push(step);
  }
  return flow;
}

// ── ours ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const hex20 = (value: number): Address => `0x${value.toString(16).padStart(40, "0")}`;
// One string an account, as a connection keeps the address of its key.
const OWNERS = Array.from({ length: ACCOUNTS }, (_, account) => hex20(1_002 + account));
const ownerOf = (account: number): Address => OWNERS[account - 2] as Address;

/** A signature is its signer's address: recovery is measured by the signature benchmark, not here. */
const addressPort: SignaturePort = { recoverAddress: (_, signature) => bytesToHex(signature.subarray(0, 20)) };
const SIGNATURES = new Map<Address, `0x${string}`>();
const signatureOf = (signer: Address): `0x${string}` => {
  const known = SIGNATURES.get(signer) ?? (`0x${signer.slice(2).padEnd(128, "0")}` as const);
  SIGNATURES.set(signer, known);
  return known;
};

function inbound(entries: object[]): Command {
  return {
    kind: "inbound",
    timeMs: START_MS,
    entries: entries.map((entry) => encodeInboundEntry(entry as InboundEntry)),
  } as unknown as Command;
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
  const engine = Engine.create({
    parameters,
    signatures: addressPort,
    config: { cycleAgeMsMax: 2_000, rowsFor: "needed" },
  });
  const surfaces: ExpirySurface[] = [];
  const listings: object[] = [{ type: "listSeries", underlying: 0, expiryMs: 0, strikes: [] }];
  for (let series = 0; series * 240 < books - 1; series++) {
    const expiryMs = START_MS + (10 + series * 10) * DAY_MS;
    const strikes = Array.from({ length: 120 }, (_, i) => INDEX / 2 + i * 1_000_000_000);
    listings.push({ type: "listSeries", underlying: 0, expiryMs, strikes });
    surfaces.push({
      expiryMs,
      forward: INDEX,
      realisedAverage: 0,
      a: 3e8,
      b: 1e8,
      rho: -3e8,
      m: 0,
      s: 1e8,
    } as ExpirySurface);
  }
  for (let i = 0; i < ACCOUNTS; i++) {
    const account = 2 + i;
    const owner = ownerOf(account);
    engine.apply(
      inbound([
        { type: "openAccount", account, owner },
        { type: "deposit", account, amount: 10 ** 13, payer: owner },
      ]),
      silentSink,
    );
  }
  for (const listing of listings) engine.apply(inbound([listing]), silentSink);
  const signatures = [{ signer: 0, signature: signatureOf(hex20(2)) }];
  const report = {
    kind: "report",
    timeMs: START_MS,
    underlying: 0,
    reportMs: START_MS,
    index: INDEX,
    premium: 0,
    surfaces,
    signatures,
  };
  const { ok, code } = engine.apply(report as unknown as Command, silentSink);
  if (!ok) throw new RangeError(`report refused: ${code}`);
  return engine;
}

function commandOf(step: Step): Command {
  const account = 2 + step.account;
  const signer = ownerOf(account);
  if (step.kind === "cancel")
    return { kind: "cancel", timeMs: START_MS, account, nonce: step.nonce, signer } as unknown as Command;
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
  return {
    kind: "place",
    timeMs: START_MS,
    order,
    signature: signatureOf(signer),
    signer,
    type: "limit",
    timeInForce,
    postOnly: false,
  } as unknown as Command;
}

// ── our books alone ────────────────────────────────────────────────────────────────────────────────────────────────

const EXPIRY_MS = 2 ** 40;

/** The engine's books and order records with nothing around them: what the bare books of other packages do, no more. */
class BareBooks {
  readonly #arena = new OrderArena();
  readonly #books = new Books(this.#arena);

  constructor(count: number) {
    for (let book = 0; book < count; book++) this.#books.open(book);
  }

  limit({ book, side, price, lots, account, nonce }: Step, isImmediate: boolean): void {
    const arena = this.#arena;
    let open = lots;
    while (open > 0) {
      const maker = this.#books.best(book, -side);
      if (maker === NONE) break;
      const base = maker << ORDER_STRIDE_SHIFT;
      const { records } = arena;
      if (side * (records[base + PRICE] as number) > side * price) break;
      const left = (records[base + REMAINING] as number) - open;
      if (left > 0) {
        records[base + REMAINING] = left;
        return;
      }
      open = -left;
      this.#books.remove(maker);
      arena.release(maker);
    }
    if (open === 0 || isImmediate) return;
    const at = arena.allocate({ account, nonce, expiryMs: EXPIRY_MS } as unknown as Order, "0x", "0x");
    const { records } = arena;
    const base = at << ORDER_STRIDE_SHIFT;
    records[base + ACCOUNT] = account;
    records[base + INSTRUMENT] = book;
    records[base + SIDE] = side;
    records[base + PRICE] = price;
    records[base + REMAINING] = open;
    this.#books.append(at);
  }

  cancel(account: number, nonce: number): void {
    const at = this.#arena.find(account, nonce);
    if (at === NONE) return;
    this.#books.remove(at);
    this.#arena.release(at);
  }

  depth(book: number, side: 1 | -1): DepthLevel[] {
    return this.#books.depth(book, side, Number.MAX_SAFE_INTEGER);
  }
}

// ── theirs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface PeerBook {
  limit(options: PeerOrder): unknown;
  cancel(id: string): unknown;
  /** [price, lots] by level: asks, bids. */
  depth(): [[number, number][], [number, number][]];
}

interface PeerOrder {
  id: string;
  side: "buy" | "sell";
  size: number;
  price: number;
  timeInForce: "GTC" | "IOC";
}

function peer(packageName: string): new () => PeerBook {
  const { OrderBook } = createRequire(import.meta.url)(packageName) as { OrderBook?: new () => PeerBook };
  if (OrderBook === undefined) throw new TypeError(`${packageName} exports no book`);
  return OrderBook;
}

// ── measuring ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Contender<Input> {
  /** Not timed. */
  prepare(step: Step): Input;
  /** Tells whether a cycle was settled. */
  work(input: Input): boolean;
}

interface Measured {
  operationsPerSecond: number;
  /** Without the operations in which a cycle was settled. */
  pathPerSecond: number;
  settledShare: number;
  p50Ns: number;
  p99Ns: number;
}

function engineContender(engine: Engine): Contender<Command> {
  let cycles = engine.cycleIndex;
  return {
    prepare: commandOf,
    work(command) {
      engine.apply(command, silentSink);
      if (engine.cycleIndex === cycles) return false;
      cycles = engine.cycleIndex;
      return true;
    },
  };
}

function bareContender(books: BareBooks): Contender<Step> {
  return {
    prepare: (step) => ({ ...step }),
    work(step) {
      if (step.kind === "cancel") books.cancel(step.account, step.nonce);
      else books.limit(step, step.kind === "take");
      return false;
    },
  };
}

function peerContender(books: readonly PeerBook[]): Contender<{ book: PeerBook; cancels: boolean; order: PeerOrder }> {
  return {
    prepare: ({ kind, book, id, side, lots, price }) => ({
      book: books[book] as PeerBook,
      cancels: kind === "cancel",
      order: { id, side: side > 0 ? "buy" : "sell", size: lots, price, timeInForce: kind === "take" ? "IOC" : "GTC" },
    }),
    work({ book, cancels, order }) {
      if (cancels) book.cancel(order.id);
      else book.limit(order);
      return false;
    },
  };
}

/** Operations per second of processor time, warm-up left out. */
function rateOf<Input>(flow: readonly Step[], { prepare, work }: Contender<Input>): number {
  let cpuUs = 0;
  let measured = 0;
  for (let from = 0; from < flow.length; from += CHUNK) {
    const inputs = flow.slice(from, from + CHUNK).map((step) => prepare(step));
    const before = process.cpuUsage();
    for (let i = 0; i < inputs.length; i++) work(inputs[i] as Input);
    const { user, system } = process.cpuUsage(before);
    if (from < WARM_UP) continue;
    cpuUs += user + system;
    measured += inputs.length;
  }
  return (measured / cpuUs) * 1e6;
}

interface Latencies {
  /** Share of the operations, and of their time, in which no cycle was settled. */
  pathCount: number;
  pathTime: number;
  p50Ns: number;
  p99Ns: number;
}

function latenciesOf<Input>(flow: readonly Step[], { prepare, work }: Contender<Input>): Latencies {
  const times = new Float64Array(flow.length);
  let pathNs = 0;
  let pathCount = 0;
  for (let from = 0; from < flow.length; from += CHUNK) {
    const inputs = flow.slice(from, from + CHUNK).map((step) => prepare(step));
    for (let i = 0; i < inputs.length; i++) {
      const start = performance.now();
      const settled = work(inputs[i] as Input);
      times[from + i] = (performance.now() - start) * 1e6;
      if (settled || from + i < WARM_UP) continue;
      pathNs += times[from + i] as number;
      pathCount += 1;
    }
  }
  const sorted = times.slice(WARM_UP).sort();
  const totalNs = sorted.reduce((sum, time) => sum + time, 0);
  return {
    pathCount: pathCount / sorted.length,
    pathTime: pathNs / totalNs,
    p50Ns: quantile(sorted, 0.5),
    p99Ns: quantile(sorted, 0.99),
  };
}

interface Runner {
  rate(): number;
  latencies(): Latencies;
}

function runner<Input>(flow: readonly Step[], open: () => Contender<Input>): Runner {
  return { rate: () => rateOf(flow, open()), latencies: () => latenciesOf(flow, open()) };
}

/** Rounds alternate between all, each over fresh books; the median of their rates, then one round of latencies. */
function measureAll(runners: readonly Runner[]): Measured[] {
  const rates: number[][] = runners.map(() => []);
  for (let round = 0; round < ROUNDS; round++) for (const [i, { rate }] of runners.entries()) rates[i]?.push(rate());
  return runners.map(({ latencies }, i) => {
    const { pathCount, pathTime, p50Ns, p99Ns } = latencies();
    const operationsPerSecond = median(rates[i] ?? []);
    // By the share of time, so that both rates are of processor time.
    return {
      operationsPerSecond,
      pathPerSecond: (operationsPerSecond * pathCount) / pathTime,
      settledShare: 1 - pathTime,
      p50Ns,
      p99Ns,
    };
  });
}

/** Heap bytes a command of orders that rest and are cancelled: rounds without a collection, the median of them. */
function bytesAllocated(engine: Engine): number {
  const steps = 512;
  const perCommand: number[] = [];
  let nonce = 10_000_000;
  for (let round = 0; round < 60; round++) {
    const commands: Command[] = [];
    for (let i = 0; i < steps; i++) {
      const price = PERPETUAL_MARK - 1_000 - (i % 7);
      const step: Step = {
        kind: "add",
        book: 0,
        side: 1,
        price,
        lots: 3,
        account: i % ACCOUNTS,
        nonce: ++nonce,
        id: "",
      };
      commands.push(commandOf(step), commandOf({ ...step, kind: "cancel" }));
    }
    const before = getHeapStatistics().used_heap_size;
    let accepted = 0;
    for (let i = 0; i < commands.length; i++) if (engine.apply(commands[i] as Command, silentSink).ok) accepted += 1;
    const bytes = getHeapStatistics().used_heap_size - before;
    if (accepted !== commands.length)
      throw new RangeError(`only ${accepted} of ${commands.length} commands were accepted`);
    if (round >= 20 && bytes >= 0) perCommand.push(bytes / commands.length);
  }
  return median(perCommand);
}

/** That both sides do the same work: after the flow every level of every book agrees. */
function assertSameDepth(name: string, books: number, flow: readonly Step[], theirs: readonly PeerBook[]): void {
  const ours = new BareBooks(books);
  const own = bareContender(ours);
  const other = peerContender(theirs);
  for (const step of flow) {
    own.work(own.prepare(step));
    other.work(other.prepare(step));
  }
  const text = (levels: [number, number][]): string =>
    levels
      .map(([price, lots]) => `${price}:${lots}`)
      .sort()
      .join();
  for (const [book, peerBook] of theirs.entries()) {
    const [asks, bids] = peerBook.depth();
    const levelsOf = (side: 1 | -1): [number, number][] =>
      ours.depth(book, side).map(({ price, lots }) => [price, lots]);
    if (text(asks) !== text(levelsOf(-1)) || text(bids) !== text(levelsOf(1)))
      throw new RangeError(`${name} has another book ${book}`);
  }
}

const PEERS = ["hft-limit-order-book", "nodejs-order-book"] as const;

function compare(books: number, steps: number, peerSteps: number): BenchRow[] {
  const { ledger } = openVenue(books);
  const marks = Array.from({ length: books }, (_, book) => {
    const cell = ledger.instrument(book);
    return book === 0 || cell === undefined
      ? PERPETUAL_MARK
      : Math.round((cell.row[0] as number) / cell.tickValueMicroUsdc);
  });
  const flow = flowOf(steps, books, marks);
  const peerFlow = flow.slice(0, peerSteps);
  const openPeer = (name: string): PeerBook[] => {
    const Book = peer(name);
    return Array.from({ length: books }, () => new Book());
  };
  for (const name of PEERS) assertSameDepth(name, books, peerFlow, openPeer(name));
  const [bare, ours, ...theirs] = measureAll([
    runner(flow, () => bareContender(new BareBooks(books))),
    runner(flow, () => engineContender(openVenue(books))),
    ...PEERS.map((name) => runner(peerFlow, () => peerContender(openPeer(name)))),
  ]) as [Measured, Measured, ...Measured[]];
  const where = books === 1 ? "1 book" : `${books} books`;
  const share = Math.round(ours.settledShare * 100);
  return PEERS.flatMap((name, place): BenchRow[] => {
    const { operationsPerSecond: rate, p50Ns, p99Ns } = theirs[place] as Measured;
    const row = (
      what: string,
      value: number,
      unit: string,
      goal: number | null,
      yardstick: number,
      ratio: number,
    ): BenchRow => ({
      what: `${where}: ${what} (yardstick: ${name}, bare book)`,
      value,
      unit,
      goal,
      yardstick,
      ratio,
    });
    const perSecond = (what: string, value: number, goal: number | null): BenchRow =>
      row(what, value, "operations/s", goal, rate, value / rate);
    const latency = (what: string, value: number, yardstick: number): BenchRow =>
      row(what, value, "ns", null, yardstick, yardstick / value);
    return [
      perSecond("bare book", bare.operationsPerSecond, 10 * rate),
      latency("bare book, median", bare.p50Ns, p50Ns),
      latency("bare book, 99th percentile", bare.p99Ns, p99Ns),
      perSecond("order path with margin", ours.pathPerSecond, books === 1 ? 1_000_000 : 300_000),
      perSecond(`with settlement (${share}% of the time)`, ours.operationsPerSecond, null),
      latency("engine, median", ours.p50Ns, p50Ns),
      latency("engine, 99th percentile", ours.p99Ns, p99Ns),
    ];
  });
}

export function run(): BenchRow[] {
  const rows = [...compare(1, 200_000, 100_000), ...compare(1_000, 300_000, 100_000)];
  const bytes = bytesAllocated(openVenue(1));
  rows.push({
    what: "heap allocated by a place or a cancel without fills",
    value: bytes,
    unit: "bytes",
    goal: 16,
    yardstick: null,
    ratio: null,
  });
  return rows;
}
