// What the batch chain itself refuses: a batch that breaks one of its rules, and the error that names it.
import { batchChainAbi } from "@tidemark/chain";
import { CYCLE_BYTES_MAX } from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import { type Batch, type BatchHeader, encodePostBatch, hashHeader } from "@tidemark/settlement";
import { encodeFunctionData, type Hex } from "viem";
import { refusalName } from "./challenges.ts";
import { BOND_WEI, type EvidenceL1, type Simulation } from "./l1.ts";

const WRONG: Hex = `0x${"5a".repeat(32)}`;
/** Beyond BATCH_BYTES_MAX. */
const LONG_BYTES = 122_881;
const POST_AHEAD_MS = 3_600_000;

interface Posting {
  l1: EvidenceL1;
  /** Right, and next. */
  batch: Batch;
}

function withHeader({ batch }: Posting, changes: Partial<BatchHeader>): Batch {
  const header = { ...batch.header, ...changes };
  return { header, batchHash: hashHeader(header), data: batch.data };
}

const simulated = (posting: Posting, batch: Batch, more: Partial<Simulation> = {}): Simulation => ({
  calls: [posting.l1.postCall(batch)],
  timeMs: posting.batch.header.timeMs,
  ...more,
});

const changed = (changes: (header: BatchHeader) => Partial<BatchHeader>) => (posting: Posting) =>
  simulated(posting, withHeader(posting, changes(posting.batch.header)));

/** The data with other bytes, and a header that says their length. */
const withData = (change: (data: Uint8Array) => Uint8Array) => (posting: Posting) => {
  const data = change(posting.batch.data);
  const batch = withHeader(posting, { dataLength: data.length });
  return simulated(posting, { ...batch, data });
};

const withCall =
  (change: (call: Simulation["calls"][number], posting: Posting) => Partial<Simulation["calls"][number]>) =>
  (posting: Posting): Simulation => {
    const call = posting.l1.postCall(posting.batch);
    return { calls: [{ ...call, ...change(call, posting) }], timeMs: posting.batch.header.timeMs };
  };

type Build = (posting: Posting) => Simulation | Promise<Simulation>;

/** By the error that each meets. */
export const POSTING_FRAUDS: Readonly<Record<string, Build>> = {
  CallIsNotTheTransaction: (posting) =>
    simulated(posting, posting.batch, { code: { address: posting.l1.proposer.address, code: "0x00" } }),
  CalldataNotCanonical: withCall(({ data }) => ({ data: `${data}00` })),
  ProposerNotAllowed: withCall((_, { l1 }) => ({ from: l1.challenger.address })),
  BondOutOfRange: withCall(() => ({ value: BOND_WEI - 1n })),
  VersionUnknown: changed(({ version }) => ({ version: version + 1 })),
  DomainMismatch: changed(({ domain }) => ({ domain: domain + 1 })),
  DataModeUnknown: changed(() => ({ dataMode: 2 })),
  NumberNotNext: changed(({ number }) => ({ number: number + 1 })),
  ParentMismatch: changed(() => ({ parent: WRONG })),
  PreStateRootMismatch: changed(() => ({ preStateRoot: WRONG })),
  PostStateRootMismatch: changed(() => ({ postStateRoot: WRONG })),
  CyclesRootMismatch: changed(() => ({ cyclesRoot: WRONG })),
  CycleCountOutOfRange: changed(() => ({ cycleCount: 0 })),
  FirstCycleMismatch: changed(({ firstCycle }) => ({ firstCycle: firstCycle + 1 })),
  TimeBeforeParent: (posting) =>
    simulated(posting, withHeader(posting, { timeMs: Math.max(0, posting.l1.tip.timeMs - 1) })),
  TimeAhead: (posting) => {
    const { timeMs } = posting.batch.header;
    const nextMs = Math.max(posting.l1.nextSeconds * 1000, timeMs);
    return simulated(posting, withHeader(posting, { timeMs: nextMs + POST_AHEAD_MS }));
  },
  InboundCursorBehindParent: (posting) =>
    simulated(posting, withHeader(posting, { inboundCursor: Math.max(0, posting.l1.tip.inboundCursor - 1) })),
  InboundCursorBeyondQueue: changed(({ inboundCursor }) => ({ inboundCursor: inboundCursor + 1_000 })),
  InboundHashMismatch: changed(() => ({ inboundHash: WRONG })),
  DataHashMismatch: changed(() => ({ dataHash: WRONG })),
  DataLengthMismatch: changed(({ dataLength }) => ({ dataLength: dataLength + 1 })),
  DataTooLong: withData(() => new Uint8Array(LONG_BYTES)),
  DataTruncated: withData((data) => data.slice(0, -1)),
  DataTrailingBytes: withData((data) => Uint8Array.of(...data, ...new Uint8Array(40).fill(1))),
  CycleEmpty: withData((data) => {
    const emptied = data.slice(0, 36);
    emptied.fill(0, 0, 4);
    return emptied;
  }),
  CycleTooLong: withData(() => {
    const long = new Uint8Array(36 + CYCLE_BYTES_MAX + 1);
    new DataView(long.buffer).setUint32(0, CYCLE_BYTES_MAX + 1, false);
    return long;
  }),
  VenueFrozen: async (posting) => simulated(posting, posting.batch, { storage: await posting.l1.frozenStorage() }),
  BlobCountNotOne: withCall((_, { batch }) => {
    const header = { ...batch.header, dataMode: 1 };
    const args = [header] as never;
    return { data: encodeFunctionData({ abi: batchChainAbi, functionName: "postBatchBlob", args }) };
  }),
};

/** Error by which the batch chain refuses it; null: it takes it. */
export async function refusalOf(l1: EvidenceL1, simulation: Simulation): Promise<string | null> {
  const [[answer] = []] = await l1.simulate([simulation]);
  if (answer === undefined) throw new Error("nothing was simulated");
  return answer.ok ? null : refusalName(answer.data, answer.error);
}

/** The call with one bit of it changed. */
export function flippedCall(batch: Batch, bit: number): Hex {
  const bytes = hexToBytes(bytesToHex(encodePostBatch(batch.header, batch.data)));
  bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
  return bytesToHex(bytes);
}
