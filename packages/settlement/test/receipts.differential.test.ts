// The judgement of receipts, TypeScript against the compiled court in a real EVM: random promises about random slots at random
// places among the final states, same verdict and same damage to the last unit. TIDEMARK_LONG=1 runs 100,000 cases,
// TIDEMARK_SEED=<n> one seed again.
import {
  type AccountCell,
  Draft,
  domainSeparator,
  type Hash,
  type InstrumentCell,
  LedgerState,
  type Order,
  orderHash,
  type RingSlot,
  ROW_LENGTH,
} from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import { afterAll, beforeAll, expect, test } from "vitest";
import { factoryParameters } from "../../ledger/test/factory.ts";
import { keyOf, sign } from "../../ledger/test/keys.ts";
import { Random, seedOf } from "../../ledger/test/random.ts";
import {
  collectible,
  encodeReceipt,
  encodeWitness,
  judgeReceipt,
  type Receipt,
  ReceiptTree,
  receiptCells,
  receiptEvidence,
  receiptsHash,
  type StateStanding,
} from "../src/index.ts";
import { type CourtCall, CourtEvm, VENUE } from "./receipts/court-evm.ts";

const isLong = process.env["TIDEMARK_LONG"] === "1";
const SEED = seedOf(20_261_123);
const CASES = isLong ? 100_000 : 3_000;
const CASES_PER_STATE = 40;
const PERIOD_MS = 3_600_000;
const NOW_MS = 1_760_000_000_000;
const RING_SLOTS = 65_536;
const ACCOUNT = 2;
const INSTRUMENTS = 6;
const TERMS = { fixedPart: 5_000_000n, capPerReceipt: 10n ** 24n };
const sequencer = keyOf("sequencer");

/** Everything is judged by its integers alone: brands of units say nothing here. */
const as = <Branded>(value: number): Branded => value as Branded;

let evm: CourtEvm;
const counts = new Map<string, number>();

beforeAll(async () => {
  evm = await CourtEvm.start({ ...TERMS, sequencer: sequencer.address, receiptPeriodMs: PERIOD_MS });
  // The compiler may have to run first.
}, 600_000);
afterAll(async () => {
  await evm?.stop();
  const table = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => `${name} ${count}`);
  console.log(`receipts judged: ${table.join(", ")}; seed ${SEED}`);
});

const parameters = { ...factoryParameters(), domain: 1, chainId: 31_337, verifyingContract: VENUE };
const separator = domainSeparator(parameters);

function instrumentCell(random: Random): InstrumentCell {
  const mark = random.pick([0, 1, random.integer(1, 1e6), random.integer(1, 1e12), 2 ** 40 - 1]);
  return {
    kind: 1,
    underlying: as(0),
    status: 1,
    expiryMs: as(0),
    strike: as(0),
    lotNanoCoin: 1,
    tickMicroUsd: 1,
    tickValueMicroUsdc: random.pick([0, 1, 10, 1_000, 2 ** 32 - 1]),
    fundingIndex: 0,
    settlementPerLot: as(0),
    clearingPosition: 0,
    clearingCash: as(0),
    rowEpoch: 1,
    rowTimeMs: as(0),
    row: [mark, ...new Array<number>(ROW_LENGTH - 1).fill(0)],
    shortAddOn: 0,
    longAddOn: 0,
    concentrationAddOn: 0,
    feePerLot: 0,
  };
}

const cashOf = (random: Random): number =>
  random.pick([0, 1, -1, 2 ** 53 - 1, 1 - 2 ** 53, random.integer(-1e6, 1e6), random.integer(-1e15, 1e15)]);
const lotsOf = (random: Random): number => random.pick([0, 1, random.integer(0, 100), 2 ** 31 - 1, 2 ** 32 - 1]);
const int32Of = (random: Random): number =>
  random.pick([1, -1, random.integer(-1_000, 1_000), 2 ** 31 - 1, 1 - 2 ** 31, random.integer(-1e9, 1e9)]);

function orderOf(random: Random, nonce: number): Order {
  const legs = Array.from({ length: random.pick([1, 1, 1, 2, 3, 4]) }, () => ({
    // One of two numbers is no instrument at all.
    instrument: as<Order["legs"][0]["instrument"]>(random.integer(0, INSTRUMENTS + 1)),
    ratio: random.pick([1, 1, -1, random.integer(-100, 100), 2 ** 31 - 1]),
  }));
  return {
    domain: 1,
    account: as(ACCOUNT),
    legs,
    size: as(random.pick([1, -1]) * random.integer(1, 2 ** 31 - 1)),
    limitPrice: as(int32Of(random)),
    maxFeePerLot: as(random.integer(0, 2 ** 40 - 1)),
    nonce: as(nonce),
    startMs: as(NOW_MS - random.integer(0, 1e9)),
    expiryMs: as(NOW_MS + random.integer(0, 1e9)),
    flags: random.integer(0, 1),
  };
}

/** An account whose slots stand in every relation to the receipts that will be judged. */
function stateWith(random: Random, slots: readonly RingSlot[]): LedgerState {
  const state = LedgerState.genesis(parameters);
  const draft = new Draft(state);
  draft.createAccount(as(ACCOUNT), keyOf("owner").address as AccountCell["owner"]);
  for (let i = 0; i < INSTRUMENTS; i++) draft.createInstrument(instrumentCell(random));
  for (const slot of slots) draft.putRingSlot(ACCOUNT, slot);
  draft.commit();
  return state;
}

/** Times that stand around the deadline: equal ones, one millisecond apart, periods apart. */
function standingOf(
  random: Random,
  receipt: Receipt,
): { standing: StateStanding; script: CourtCall["script"]; at: number } {
  const deadline = receipt.deadlineMs;
  const near = (): number =>
    Math.max(
      0,
      deadline +
        random.pick([0, 1, -1, PERIOD_MS, PERIOD_MS + 1, -PERIOD_MS]) +
        random.pick([0, 0, random.integer(-5_000, 5_000)]),
    );
  const timesMs = Array.from({ length: random.integer(1, 3) }, near).sort((a, b) => a - b);
  const at = random.integer(0, timesMs.length);
  const all = [0, ...timesMs];
  const frozen = random.chance(0.2);
  const dropAt = random.chance(0.5) ? 0 : Math.max(0, Math.floor(near() / 1_000));
  const standing = {
    timeMs: all[at] as number,
    previousMs: at === 0 ? 0 : (all[at - 1] as number),
    nextMs: all[at + 1] ?? 0,
    isAnchor: frozen && at === all.length - 1,
    lastDropMs: dropAt === 0 ? 0 : dropAt * 1_000 + 999,
  };
  return { standing, script: { timesMs: all, root: "0x", dropAt, frozen }, at };
}

interface Case {
  call: CourtCall;
  expected: { verdict: string; damage: bigint };
}

interface Promised {
  receipt: Receipt;
  order: Order;
  slot: RingSlot | null;
}

/** A promise, and the slot that its state will show. */
function promised(random: Random, place: number): Promised {
  const nonce = place + RING_SLOTS * random.integer(1, 3);
  const order = orderOf(random, nonce);
  const hash = bytesToHex(orderHash(order, separator));
  const deadlineMs = random.chance(0.02) ? random.pick([0, 1, PERIOD_MS]) : NOW_MS + random.integer(-1e6, 1e6);
  const receipt: Receipt = {
    kind: random.pick(["fill", "fill", "cancel"] as const),
    domain: 1,
    account: ACCOUNT,
    orderHash: hash,
    nonce,
    filledLots: lotsOf(random),
    filledCash: cashOf(random),
    deadlineMs,
    tier: random.integer(0, 6),
  };
  const relation = random.pick(["same", "same", "same", "hash", "higher", "lower", "absent"] as const);
  if (relation === "absent") return { receipt, order, slot: null };
  const isNear = random.chance(0.5);
  const limit = BigInt(order.limitPrice) * (order.size > 0 ? -10n : 10n);
  const further = random.integer(0, 3);
  const nearCash = BigInt(receipt.filledCash) + limit * BigInt(further) + BigInt(random.integer(-1, 1));
  const isSafe = nearCash < 2n ** 53n && nearCash > -(2n ** 53n);
  const slot = {
    nonce: as<RingSlot["nonce"]>(relation === "higher" ? nonce + RING_SLOTS : relation === "lower" ? place : nonce),
    orderHash: relation === "same" ? hash : (`0x${"ab".repeat(32)}` as Hash),
    filledLots: isNear ? Math.min(2 ** 32 - 1, receipt.filledLots + further) : lotsOf(random),
    filledCash: as<RingSlot["filledCash"]>(isNear && isSafe ? Number(nearCash) : cashOf(random)),
    receiptDeadlineMs: as<RingSlot["receiptDeadlineMs"]>(
      Math.max(0, deadlineMs + random.pick([0, 1, -1, PERIOD_MS]) + random.pick([0, random.integer(-5_000, 5_000)])),
    ),
  };
  return { receipt, order, slot };
}

function casesOf(random: Random): Case[] {
  const promises = Array.from({ length: CASES_PER_STATE }, (_, place) => promised(random, place));
  const state = stateWith(
    random,
    promises.flatMap(({ slot }) => (slot === null ? [] : [slot])),
  );
  const tree = new ReceiptTree(promises.map(({ receipt }) => encodeReceipt(receipt)));
  const signature = hexToBytes(sign(receiptsHash(1, tree.root, separator), sequencer));
  return promises.map(({ receipt, order }, place) => {
    const { standing, script, at } = standingOf(random, receipt);
    const judgement = judgeReceipt(receipt, order, receiptEvidence(state, receipt, order, standing), PERIOD_MS);
    const call: CourtCall = {
      receipt,
      order,
      path: tree.path(place),
      signature,
      witness: encodeWitness(state, receiptCells(receipt, order)),
      batchNumber: at,
      script: { ...script, root: state.root() },
    };
    return { call, expected: { verdict: judgement.verdict, damage: collectible(judgement, TERMS) } };
  });
}

test("the court and the judge in TypeScript agree", { timeout: isLong ? 3_600_000 : 120_000 }, async () => {
  const random = new Random(SEED);
  for (let done = 0; done < CASES; done += CASES_PER_STATE) {
    const cases = casesOf(random);
    const answers = await evm.judge(cases.map(({ call }) => call));
    cases.forEach(({ call, expected }, i) => {
      const answer = answers[i];
      expect({ ...answer, call: answer?.error === "" ? null : call }, `case ${done + i} of seed ${SEED}`).toEqual({
        ...expected,
        error: "",
        call: null,
      });
      const name = `${call.receipt.kind} ${expected.verdict}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    });
  }
  for (const name of ["kept", "missing", "cashWorse", "notMatured", "notDecisive", "recycled"]) {
    expect(counts.get(`fill ${name}`) ?? 0, `fill ${name}`).toBeGreaterThan(CASES / 1_000);
  }
  for (const name of ["kept", "excess", "notDecisive"]) {
    expect(counts.get(`cancel ${name}`) ?? 0, `cancel ${name}`).toBeGreaterThan(CASES / 1_000);
  }
});

const flip = (bytes: Uint8Array, random: Random): Uint8Array => {
  const changed = bytes.slice();
  const at = random.integer(0, changed.length - 1);
  changed[at] = (changed[at] as number) ^ (1 << random.integer(0, 7));
  return changed;
};

/** One thing of a claim changed: none of it may be judged as if it were the sequencer's word about that state. */
function mutated(call: CourtCall, random: Random): CourtCall {
  const { receipt, order } = call;
  switch (random.integer(0, 9)) {
    case 0:
      return { ...call, signature: flip(call.signature, random) };
    case 1:
      return { ...call, witness: flip(call.witness, random) };
    case 2:
      return { ...call, witness: call.witness.slice(0, random.integer(0, call.witness.length - 1)) };
    case 3:
      return { ...call, path: call.path.slice(1) };
    case 4:
      return { ...call, path: [...call.path, `0x${"cd".repeat(32)}`] };
    case 5:
      return { ...call, receipt: { ...receipt, filledLots: (receipt.filledLots + 1) % 2 ** 32 } };
    case 6:
      return { ...call, receipt: { ...receipt, deadlineMs: receipt.deadlineMs + random.pick([1, PERIOD_MS]) } };
    case 7:
      return { ...call, receipt: { ...receipt, kind: receipt.kind === "fill" ? "cancel" : "fill" } };
    case 8:
      return { ...call, order: { ...order, limitPrice: as(order.limitPrice === 5 ? 6 : 5) } };
    default:
      return { ...call, receipt: { ...receipt, nonce: receipt.nonce + RING_SLOTS } };
  }
}

test("a claim with one thing changed is not judged", { timeout: isLong ? 3_600_000 : 120_000 }, async () => {
  const random = new Random(SEED ^ 0x5eed);
  for (let done = 0; done < CASES / 2; done += CASES_PER_STATE) {
    const calls = casesOf(random).map(({ call }) => mutated(call, random));
    const answers = await evm.judge(calls);
    answers.forEach(({ error }, i) => {
      expect(error, `case ${done + i} of seed ${SEED ^ 0x5eed}: ${JSON.stringify(calls[i]?.receipt)}`).not.toBe("");
    });
  }
});
