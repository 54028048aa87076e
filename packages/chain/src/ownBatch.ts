// Whether a batch on the L1 is of the venue's own cycles, to the byte.
import { bytesToHex } from "@tidemark/num";
import {
  type BatchHeader,
  blobFault,
  type CycleSource,
  decodeBatchData,
  decodePost,
  inboundEntriesOf,
  type PostedBatch,
  type SourceCycle,
} from "@tidemark/settlement";

export type ComparedBatch =
  | { ok: true; header: BatchHeader; own: readonly SourceCycle[] }
  /** `why`: how it differs, in words. */
  | { ok: false; why: string };

const CYCLES_READ = 512;

const entriesIn = (cycles: readonly SourceCycle[]): number =>
  cycles.reduce((sum, { payload }) => sum + inboundEntriesOf(payload).length, 0);

/** Queue entries that our cycles before `firstCycle` consume. */
async function cursorBefore(source: CycleSource, firstCycle: number, parent: BatchHeader | undefined): Promise<number> {
  if (parent !== undefined && parent.firstCycle + parent.cycleCount === firstCycle) return parent.inboundCursor;
  // A batch that an earlier life saw dropped: its parent has not been read yet.
  let cursor = 0;
  for (let from = 0; from < firstCycle; from += CYCLES_READ) {
    cursor += entriesIn(await source.read(from, Math.min(CYCLES_READ, firstCycle - from)));
  }
  return cursor;
}

/** What the batch chain itself compares (links, roots, the queue's hash at the cursor) is not compared again. */
export async function compareWithOwn(
  posted: PostedBatch,
  source: CycleSource,
  parent: BatchHeader | undefined,
): Promise<ComparedBatch> {
  const call = decodePost(posted.calldata, posted.blob);
  const data = call.ok ? decodeBatchData(call.data) : null;
  if (!call.ok || data === null || !data.ok) return { ok: false, why: "its data do not decode" };
  const { header } = call;
  // Of a blob the batch chain compares nothing.
  const fault = posted.blob === null ? null : blobFault({ header, blob: posted.blob });
  if (fault !== null) return { ok: false, why: fault };
  const own = await source.read(header.firstCycle, data.cycles.length);
  const last = own[own.length - 1];
  if (last === undefined || own.length < data.cycles.length) return { ok: false, why: "the store has fewer cycles" };
  const differing = data.cycles.findIndex((cycle, i) => {
    const mine = own[i] as SourceCycle;
    return mine.postRoot !== cycle.postRoot || bytesToHex(mine.payload) !== bytesToHex(cycle.payload);
  });
  if (differing >= 0) return { ok: false, why: `cycle ${own[differing]?.index} differs` };
  if (header.timeMs !== last.timeMs) return { ok: false, why: `header timeMs is ${header.timeMs}` };
  const cursor = (await cursorBefore(source, header.firstCycle, parent)) + entriesIn(own);
  if (header.inboundCursor !== cursor) return { ok: false, why: `header inboundCursor is ${header.inboundCursor}` };
  return { ok: true, header, own };
}
