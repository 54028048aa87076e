// Settlement: what a full batch costs to build, against an ABI and hash library's way to the same bytes, and what the
// watcher pays per cycle, against the ledger alone with signatures known in advance (the engine's share of the same work).
import {
  applyPayload,
  type Cycle,
  CycleKind,
  defaultParameters,
  domainSeparator,
  encodeCycle,
  encodeInboundEntry,
  type InboundEntry,
  inboundHashNext,
  LedgerState,
  type Order,
  orderHash,
  type ParameterSet,
  reportHash,
  type SignaturePort,
  type TradeAccount,
  ZERO_HASH,
} from "@tidemark/ledger";
import { bytesToHex, keccak256 } from "@tidemark/num";
import {
  buildBatch,
  createWatcher,
  cyclesRoot,
  encodePostBatch,
  genesisTip,
  type PostedBatch,
  type QueueEntry,
  type SourceCycle,
} from "@tidemark/settlement";
import secp256k1 from "secp256k1";
import {
  concatHex,
  encodeAbiParameters,
  encodePacked,
  type Hex,
  parseAbiParameters,
  keccak256 as viemKeccak256,
} from "viem";
import { type BenchRow, median } from "./rows.ts";

const ROUNDS = 7;
const TRADERS = 16;
const TRADE_CYCLES = 240;
const START_MS = 1_750_000_000_000;
const PRICE_TICKS = 500_000;
const LOTS = 10;

/** Plain numbers become units here: the ledger checks them. */
const as = <Branded>(value: number): Branded => value as Branded;

const keyOf = (label: string): Uint8Array => keccak256(Uint8Array.from(label, (letter) => letter.charCodeAt(0)));
const addressOf = (publicKey: Uint8Array): Hex => bytesToHex(keccak256(publicKey.subarray(1)).subarray(12));
const addressOfKey = (label: string): Hex => addressOf(secp256k1.publicKeyCreate(keyOf(label), false));

function sign(digest: Uint8Array, label: string): Hex {
  const { signature, recid } = secp256k1.ecdsaSign(digest, keyOf(label));
  signature[32] = (signature[32] as number) | (recid << 7);
  return bytesToHex(signature);
}

const recovering: SignaturePort = {
  recoverAddress(digest, signature) {
    const plain = Uint8Array.from(signature);
    const parity = (plain[32] as number) >> 7;
    plain[32] = (plain[32] as number) & 0x7f;
    return addressOf(secp256k1.ecdsaRecover(plain, parity, digest, false));
  },
};

/** Answers that a first run through `inner` learnt: the cost of everything but signatures remains. */
function remembering(inner: SignaturePort): SignaturePort {
  const known = new Map<string, Hex | null>();
  return {
    recoverAddress(digest, signature) {
      const key = bytesToHex(signature);
      const found = known.get(key);
      if (found !== undefined) return found;
      const address = inner.recoverAddress(digest, signature);
      known.set(key, address);
      return address;
    },
  };
}

interface History {
  parameters: ParameterSet;
  queue: QueueEntry[];
  cycles: SourceCycle[];
}

class HistoryWriter {
  readonly history: History;
  readonly #state: LedgerState;
  readonly #separator: Uint8Array;

  constructor(parameters: ParameterSet) {
    this.history = { parameters, queue: [], cycles: [] };
    this.#state = LedgerState.genesis(parameters);
    this.#separator = domainSeparator(parameters);
  }

  settle(cycle: Cycle): void {
    const payload = encodeCycle(cycle);
    const verdict = applyPayload(this.#state, payload, { signatures: recovering });
    if (!verdict.ok) throw new Error(`the ledger refuses a ${cycle.kind} cycle: ${verdict.rejection.name}`);
    const { cycles } = this.history;
    const numbers = { fills: 1, messages: 1, settledDeltas: 2 };
    const kind = CycleKind[cycle.kind];
    cycles.push({ index: cycles.length, kind, timeMs: cycle.timeMs, payload, postRoot: verdict.root, ...numbers });
  }

  inbound(entries: InboundEntry[]): void {
    const { queue } = this.history;
    for (const entry of entries) {
      const bytes = encodeInboundEntry(entry);
      const queueHash = inboundHashNext(queue[queue.length - 1]?.queueHash ?? ZERO_HASH, bytes);
      queue.push({ index: queue.length, bytes, queueHash, queuedAtSeconds: 0, blockNumber: 0 });
    }
    this.settle({ kind: "inbound", timeMs: as(START_MS), entries });
  }

  marks(): void {
    const report: Extract<Cycle, { kind: "report" }> = {
      kind: "report",
      timeMs: as(START_MS),
      underlying: as(0),
      reportMs: as(START_MS),
      index: as(50_000_000_000),
      premium: as(0),
      surfaces: [],
      signatures: [],
    };
    const digest = reportHash(report, this.history.parameters.domain, this.#separator);
    report.signatures = [{ signer: 0, signature: sign(digest, "oracle") }];
    this.settle(report);
    this.settle({ kind: "rows", timeMs: as(START_MS), underlying: as(0), instruments: [as(0)], closesEpoch: true });
  }

  /** One account's entry: an order of its own, filled whole. */
  entry(account: number, lots: number, nonce: number): TradeAccount {
    const order: Order = {
      domain: this.history.parameters.domain,
      account: as(account),
      legs: [{ instrument: as(0), ratio: 1 }],
      size: as(lots),
      limitPrice: as(PRICE_TICKS),
      maxFeePerLot: as(0),
      nonce: as(nonce),
      startMs: as(START_MS - 1),
      expiryMs: as(START_MS + 3_600_000),
      flags: 0,
    };
    const signature = sign(orderHash(order, this.#separator), `trader ${account}`);
    const positionCount = this.#state.account(account)?.positions.length ?? 0;
    const cash = as<never>(-lots * PRICE_TICKS * 10);
    return {
      account: as(account),
      positionCount,
      entries: [{ order, signature, filledLots: Math.abs(lots), cash, fee: as(0) }],
    };
  }
}

/** One batch: accounts, the perpetual, marks, then trades of eight pairs a cycle's turn. */
function writeHistory(): History {
  const parameters = defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"c0".repeat(20)}`,
    oracles: [addressOfKey("oracle")],
    oracleQuorum: 1,
    treasuryOwner: `0x${"70".repeat(20)}`,
    insuranceOwner: `0x${"71".repeat(20)}`,
  });
  const writer = new HistoryWriter(parameters);
  const accounts = Array.from({ length: TRADERS }, (_, i) => i + 2);
  writer.inbound(
    accounts.map((account) => ({
      type: "openAccount",
      account: as(account),
      owner: addressOfKey(`trader ${account}`),
    })),
  );
  const payer: Hex = `0x${"aa".repeat(20)}`;
  writer.inbound(accounts.map((account) => ({ type: "deposit", account: as(account), amount: as(10 ** 10), payer })));
  writer.inbound([{ type: "listSeries", underlying: as(0), expiryMs: as(0), strikes: [] }]);
  writer.marks();
  for (let i = 0; i < TRADE_CYCLES; i++) {
    const first = 2 + (i % (TRADERS / 2)) * 2;
    const lots = Math.floor(i / (TRADERS / 2)) % 2 === 0 ? LOTS : -LOTS;
    const sides = [writer.entry(first, lots, i + 1), writer.entry(first + 1, -lots, i + 1)];
    writer.settle({ kind: "trade", timeMs: as(START_MS), accounts: sides });
  }
  return writer.history;
}

const HEADER = parseAbiParameters(
  "uint32, uint32, uint64, bytes32, bytes32, bytes32, bytes32, uint32, uint64, uint64, uint64, bytes32, uint8, bytes32, uint32",
);

/** The same tree and header hash by the library. */
function libraryBatch(cycles: readonly SourceCycle[], header: ReturnType<typeof buildBatch>["header"]): Hex {
  let nodes = cycles.map(({ payload, postRoot }) =>
    viemKeccak256(
      encodePacked(["uint8", "bytes32", "uint32", "bytes32"], [0, viemKeccak256(payload), payload.length, postRoot]),
    ),
  );
  while (nodes.length > 1) {
    const parents: Hex[] = [];
    for (let i = 0; i < nodes.length; i += 2) {
      const [left, right] = [nodes[i] as Hex, nodes[i + 1]];
      parents.push(right === undefined ? left : viemKeccak256(concatHex(["0x01", left, right])));
    }
    nodes = parents;
  }
  concatHex(
    cycles.flatMap(({ payload, postRoot }) => [
      encodePacked(["uint32", "bytes32"], [payload.length, postRoot]),
      bytesToHex(payload),
    ]),
  );
  return viemKeccak256(
    encodeAbiParameters(HEADER, [
      header.version,
      header.domain,
      BigInt(header.number),
      header.parent,
      header.preStateRoot,
      header.postStateRoot,
      nodes[0] as Hex,
      header.cycleCount,
      BigInt(header.firstCycle),
      BigInt(header.timeMs),
      BigInt(header.inboundCursor),
      header.inboundHash,
      header.dataMode,
      header.dataHash,
      header.dataLength,
    ]),
  );
}

function milliseconds(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`benchmark: ${what}`);
}

/** Milliseconds per batch, ours and the library's, in alternating rounds. */
function batchRows({ parameters, cycles }: History): BenchRow[] {
  const tip = genesisTip(LedgerState.genesis(parameters).root());
  const ours: number[] = [];
  const library: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const batch = buildBatch(tip, cycles, parameters.domain);
    ours.push(
      milliseconds(() => {
        const made = buildBatch(tip, cycles, parameters.domain);
        must(encodePostBatch(made.header, made.data).length > 0, "calldata");
      }),
    );
    library.push(milliseconds(() => must(libraryBatch(cycles, batch.header) === batch.batchHash, "same batch hash")));
  }
  const root = median(Array.from({ length: ROUNDS }, () => milliseconds(() => void cyclesRoot(cycles))));
  const [value, yardstick] = [median(ours), median(library)];
  const bytes = encodePostBatch(buildBatch(tip, cycles, 1).header, buildBatch(tip, cycles, 1).data).length;
  return [
    {
      what: `batch of ${cycles.length} cycles, ${bytes} bytes (yardstick: viem)`,
      value,
      unit: "ms",
      goal: 50,
      yardstick,
      ratio: yardstick / value,
    },
    { what: "cycles tree of it", value: root, unit: "ms", goal: null, yardstick: null, ratio: null },
    {
      what: "L1 bytes per cycle",
      value: bytes / cycles.length,
      unit: "bytes",
      goal: null,
      yardstick: null,
      ratio: null,
    },
  ];
}

/** Microseconds per cycle of a watcher's run over the batch, against the ledger alone. */
function watcherRows({ parameters, queue, cycles }: History): BenchRow[] {
  const batch = buildBatch(genesisTip(LedgerState.genesis(parameters).root()), cycles, parameters.domain);
  const posted: PostedBatch = {
    number: 1,
    batchHash: batch.batchHash,
    blob: null,
    calldata: encodePostBatch(batch.header, batch.data),
    floorSeconds: 0,
    blockNumber: 1,
    blockHash: ZERO_HASH,
    blockTimestampSeconds: START_MS / 1000,
    transactionHash: ZERO_HASH,
  };
  const known = remembering(recovering);
  const watching: number[] = [];
  const ledgerAlone: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const watcher = createWatcher(parameters, { signatures: recovering });
    watcher.addQueueEntries(queue);
    watching.push(milliseconds(() => must(watcher.checkBatch(posted) === null, "the watcher agrees")));
    const state = LedgerState.genesis(parameters);
    ledgerAlone.push(
      milliseconds(() => {
        for (const { payload } of cycles)
          must(applyPayload(state, payload, { signatures: known }).ok, "cycle accepted");
      }),
    );
  }
  const perCycle = (times: number[]): number => (median(times.slice(1)) * 1000) / cycles.length;
  const [value, yardstick] = [perCycle(watching), perCycle(ledgerAlone)];
  const what = "watcher per cycle of two signed orders (yardstick: ledger alone, signatures known)";
  return [{ what, value, unit: "µs", goal: 2_000, yardstick, ratio: yardstick / value }];
}

export async function run(): Promise<BenchRow[]> {
  const history = writeHistory();
  return [...batchRows(history), ...watcherRows(history)];
}
