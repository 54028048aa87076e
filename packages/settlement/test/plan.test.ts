import {
  BATCH_BYTES_MAX,
  CYCLE_BYTES_MAX,
  CYCLES_PER_BATCH_MAX,
  encodeInboundEntry,
  inboundHashNext,
  ZERO_HASH,
} from "@tidemark/ledger";
import { bytesToHex, keccak256 } from "@tidemark/num";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  buildBatch,
  type ChainView,
  CUT_POLICY_DEFAULT,
  cutBatch,
  cyclesWanted,
  encodePostBatch,
  genesisTip,
  type ProposerPolicy,
  planProposer,
  type SourceCycle,
  tipAfter,
} from "../src/index.ts";

const GENESIS = bytesToHex(keccak256(Uint8Array.of(7)));
const START_MS = 1_700_000_000_000;

function cycleOf(index: number, timeMs: number, bytes = 100, kind = 3): SourceCycle {
  const payload = new Uint8Array(bytes).fill(index & 255);
  payload[1] = kind;
  const postRoot = bytesToHex(keccak256(Uint8Array.of(index & 255, index >> 8)));
  return { index, kind, timeMs, payload, postRoot, fills: 1, messages: 10, settledDeltas: 2 };
}
const run = (count: number, bytes = 100): SourceCycle[] =>
  Array.from({ length: count }, (_, i) => cycleOf(i, START_MS + i, bytes));

function viewOf(patch: Partial<ChainView> = {}): ChainView {
  const timestampSeconds = START_MS / 1000 + 3_600;
  return {
    timestampSeconds,
    tip: genesisTip(GENESIS),
    foreign: null,
    turns: Number.POSITIVE_INFINITY,
    inFlight: 0,
    lastNumber: 0,
    lastFinal: 0,
    waiting: [],
    ...patch,
  };
}
const POLICY: ProposerPolicy = { cut: CUT_POLICY_DEFAULT, inFlightMax: 2, finaliseMax: 2 };

test("a batch is cut by count, by bytes, by age, and waits otherwise", () => {
  const young = START_MS + 1_000;
  expect(cutBatch([], CUT_POLICY_DEFAULT, young)).toEqual({ count: 0, bytes: 0, reason: "wait" });
  expect(cutBatch(run(3), CUT_POLICY_DEFAULT, young).reason).toBe("wait");
  expect(cutBatch(run(3), CUT_POLICY_DEFAULT, START_MS + 60_000)).toMatchObject({ count: 3, reason: "age" });
  expect(cutBatch(run(3), CUT_POLICY_DEFAULT, young, true)).toMatchObject({ count: 3, reason: "flush" });
  expect(cutBatch(run(256), CUT_POLICY_DEFAULT, young)).toMatchObject({ count: 256, reason: "cycles" });
  expect(cutBatch(run(300), CUT_POLICY_DEFAULT, young)).toMatchObject({ count: 256, reason: "cycles" });
  expect(cutBatch(run(4, 50_000), CUT_POLICY_DEFAULT, young)).toMatchObject({ count: 2, reason: "bytes" });
  expect(cutBatch(run(1, CYCLE_BYTES_MAX), CUT_POLICY_DEFAULT, young, true).count).toBe(1);
});

test("cut batches always fit the batch chain's limits, whatever the sizes", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 20, max: CYCLE_BYTES_MAX }), { minLength: 1, maxLength: 400 }), (sizes) => {
      const pending = sizes.map((bytes, i) => cycleOf(i, START_MS, bytes));
      const { count, bytes } = cutBatch(pending, CUT_POLICY_DEFAULT, START_MS, true);
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThanOrEqual(CYCLES_PER_BATCH_MAX);
      const batch = buildBatch(genesisTip(GENESIS), pending.slice(0, count), 1);
      expect(batch.data.length).toBe(bytes);
      expect(encodePostBatch(batch.header, batch.data).length).toBeLessThanOrEqual(BATCH_BYTES_MAX);
      // Nothing more would have fitted.
      if (count < pending.length && count < CYCLES_PER_BATCH_MAX) {
        expect(bytes + 36 + (sizes[count] as number)).toBeGreaterThan(CUT_POLICY_DEFAULT.bytesMax);
      }
    }),
    { numRuns: 50 },
  );
});

test("a batch carries the queue position that its inbound cycles lead to", () => {
  const entries = [2, 3].map((account) =>
    encodeInboundEntry({ type: "openAccount", account: account as never, owner: `0x${"0a".repeat(20)}` }),
  );
  const payload = [1, 9, 0, 0, 0, 0, 0, 0, 0, 0, entries.length];
  for (const entry of entries) payload.push(entry.length & 255, entry.length >> 8, ...entry);
  const inbound: SourceCycle = { ...cycleOf(1, START_MS + 1), kind: 9, payload: Uint8Array.from(payload) };
  const { header } = buildBatch(genesisTip(GENESIS), [cycleOf(0, START_MS), inbound], 1);
  expect(header.inboundCursor).toBe(2);
  expect(header.inboundHash).toBe(entries.reduce((hash, entry) => inboundHashNext(hash, entry), ZERO_HASH));
});

test("a plan continues the tip batch by batch, up to what may be in flight, and leaves the future alone", () => {
  const closed = run(700);
  const plan = planProposer(viewOf(), closed, POLICY, 1);
  expect(plan.posts.map(({ batch }) => batch.header.cycleCount)).toEqual([256, 256]);
  const [first, second] = plan.posts.map(({ batch }) => batch.header);
  expect(second?.parent).toBe(plan.posts[0]?.batch.batchHash);
  expect(second?.preStateRoot).toBe(first?.postStateRoot);
  expect(second?.firstCycle).toBe(256);
  expect(planProposer(viewOf({ inFlight: 2 }), closed, POLICY, 1).posts).toEqual([]);
  // A head whose second ends before the third cycle's millisecond.
  const early = [cycleOf(0, START_MS), cycleOf(1, START_MS + 999), cycleOf(2, START_MS + 1_000)];
  const atHead = viewOf({ timestampSeconds: START_MS / 1000 });
  expect(planProposer(atHead, early, POLICY, 1, true).posts[0]?.batch.header.cycleCount).toBe(2);
});

test("the same view and cycles give the same batch: a plan made again after a crash is the same plan", () => {
  const [a, b] = [planProposer(viewOf(), run(300), POLICY, 1), planProposer(viewOf(), run(300), POLICY, 1)];
  expect(a).toEqual(b);
  const next = viewOf({ tip: tipAfter((a.posts[0] as (typeof a.posts)[0]).batch.header) });
  expect(planProposer(next, run(300).slice(256), POLICY, 1).posts[0]?.batch.header.number).toBe(2);
  expect(cyclesWanted(next, POLICY)).toBe(513);
});

test("finalisation goes in order and stops at the first batch whose window is open", () => {
  const now = viewOf().timestampSeconds;
  const floors = [now - 10, now, now - 1];
  const waiting = floors.map((floorSeconds, i) => ({ number: i + 4, floorSeconds }));
  expect(planProposer(viewOf({ waiting }), [], POLICY, 1).finalise).toEqual([4, 5]);
  const blocked = [{ number: 4, floorSeconds: now + 1 }, ...waiting.slice(1)];
  expect(planProposer(viewOf({ waiting: blocked }), [], POLICY, 1).finalise).toEqual([]);
});

test("nothing is posted on top of a foreign batch, nor when it is somebody else's turn", () => {
  const cycles = run(600);
  const planned = (patch: Partial<ChainView>): number =>
    planProposer(viewOf(patch), cycles, POLICY, 1, true).posts.length;
  expect(planned({})).toBe(2);
  expect(planned({ foreign: { number: 1, detail: "cycle 0 differs" } })).toBe(0);
  expect(planned({ turns: 0 })).toBe(0);
  expect(planned({ turns: 1 })).toBe(1);
});
