// No witness, however hostile, convicts a right cycle: sound batches of all kinds on an L1 with the real contracts, and a challenger
// that changes everything that it sends, starves the verifiers of gas and calls back while it is paid. An attempt is one challenge
// that the dispute contract answers; a failure is a conviction. TIDEMARK_LONG=1 is a part of `npm run test:long --
// false-convictions`; contracts/test/fuzz/FalseConvictions.t.sol adds its fuzz runs there.
import { buildBatch } from "@tidemark/settlement";
import { encodeFunctionData, type Hex, parseEventLogs } from "viem";
import { afterAll, expect, test } from "vitest";
import { Random } from "../../packages/ledger/test/random.ts";
import { challengeData, claimOf, previousOf, refusalName } from "./challenges.ts";
import { compiledContract } from "./compile.ts";
import { forgeTests } from "./forge.ts";
import { forgeBatch, forgedOf } from "./forgery.ts";
import { cachedKzg, inItsBlob } from "./fraud-blobs.ts";
import {
  L1Stream,
  type PostedCycles,
  postSound,
  queueFor,
  registerChanged,
  type SoundCycle,
  sourceCyclesOf,
} from "./history.ts";
import { hostileChallenge, randomTarget, soundChallenge, type Target } from "./hostile.ts";
import { hostileBlobChallenge, type OpenedBlob, opened, rightChallenges } from "./hostile-blobs.ts";
import { CHALLENGE_GAS, EvidenceL1, type ReadCall } from "./l1.ts";
import { nextCycle } from "./recipes.ts";
import { EvidenceRun, type UnitRecord } from "./run.ts";

const run = new EvidenceRun(20_261_123);
const ATTEMPTS = run.isLong ? 100_000 : 1_200;
const STREAMS = run.isLong ? 16 : 1;
const STEPS_PER_STREAM = run.isLong ? 300 : 60;
const CYCLES_PER_BATCH = 24;
const FAULT_SHARE = 0.1;
const FORGE_RUNS = 2_500;
/** ATTEMPTS_PER_RUN of contracts/test/fuzz/FalseConvictions.t.sol. */
const FORGE_ATTEMPTS_PER_RUN = 4;
const CALLS_AT_ONCE = 256;
/** Of the attempts. */
const GAS_SHARE = 0.15;
const REENTRY_SHARE = 0.03;
const HOSTILE = compiledContract("contracts/test/support/HostileChallenger.sol", "HostileChallenger");
const HOSTILE_ADDRESS: Hex = `0x${"bad0".padStart(40, "0")}`;
const TARGETS_PER_REENTRY = 12;
const STARVED_PER_TARGET = run.isLong ? 300 : 60;

/** Loading the KZG library takes longer than a sample may: packages/chain/test/blobs.test.ts and forge's Blobs.t.sol are in CI. */
const BLOBS = 6;
const BLOB_STEPS = 60;
const BLOB_ATTEMPTS = 6_000;
/** Of a right batch: its data, and one element. */
const STARVED_CHALLENGES = 2;

const share = Math.ceil(ATTEMPTS / run.shards);
const perStream = Math.ceil(share / Math.ceil(STREAMS / run.shards));

afterAll(() => console.log(run.table()));

interface Attempt {
  class: string;
  kind: string;
  call: ReadCall;
  /** Enough to run it again. */
  where: string;
}

function count(record: UnitRecord, key: string, by = 1): void {
  record.counts[key] = (record.counts[key] ?? 0) + by;
}

/** Every attempt must revert. */
async function judge(l1: EvidenceL1, attempts: readonly Attempt[], record: UnitRecord): Promise<void> {
  for (let from = 0; from < attempts.length; from += CALLS_AT_ONCE) {
    const part = attempts.slice(from, from + CALLS_AT_ONCE);
    const answers = await l1.read(part.map(({ call }) => call));
    part.forEach((attempt, i) => {
      const answer = answers[i];
      record.attempts += 1;
      count(record, `class: ${attempt.class}`);
      count(record, `kind: ${attempt.kind}`);
      if (answer?.ok === false) {
        count(record, `refused: ${refusalName(answer.data, answer.error)}`);
        return;
      }
      record.failures += 1;
      const { to, data, gas } = attempt.call;
      throw new Error(`${attempt.where}, ${attempt.class}: CONVICTED a right cycle; to ${to} gas ${gas} ${data}`);
    });
  }
}

/** Sound cycles by kind: rare kinds get as many attempts as common ones. */
function byKind(posted: readonly PostedCycles[]): Map<string, { posted: PostedCycles; index: number }[]> {
  const kinds = new Map<string, { posted: PostedCycles; index: number }[]>();
  for (const one of posted) {
    one.cycles.forEach(({ name, moved }, index) => {
      if (moved !== null) return;
      const list = kinds.get(name) ?? [];
      list.push({ posted: one, index });
      kinds.set(name, list);
    });
  }
  return kinds;
}

function targetOf(random: Random, kinds: ReturnType<typeof byKind>): Target {
  const { posted, index } = random.pick(random.pick([...kinds.values()]));
  return randomTarget(random, posted, index);
}

const kindOf = ({ posted, index }: Target): string => (posted.cycles[index] as SoundCycle).name;

/** 21,000, calldata, and what EIP-7623 asks at least: no transaction with less gas is included. */
function intrinsicGas(data: string): bigint {
  let tokens = 0;
  for (let i = 2; i < data.length; i += 2) tokens += data[i] === "0" && data[i + 1] === "0" ? 1 : 4;
  return BigInt(21_000 + 10 * tokens);
}

/** The least gas with which a right challenge of a right cycle is answered: all checks done, no fraud. */
async function gasNeeded(l1: EvidenceL1, call: ReadCall): Promise<bigint> {
  let low = intrinsicGas(call.data);
  let high = CHALLENGE_GAS;
  while (low + 1n < high) {
    const middle = (low + high) / 2n;
    const [answer] = await l1.read([{ ...call, gas: middle }]);
    if (answer?.ok === true) throw new Error(`CONVICTED a right cycle with ${middle} gas: ${call.data}`);
    if (answer !== undefined && refusalName(answer.data, answer.error) === "NoFraud") high = middle;
    else low = middle;
  }
  return high;
}

/** From what a transaction needs at least to what the answer needs: spread, and every single one near the end. */
async function starvedGases(l1: EvidenceL1, call: ReadCall, size: number): Promise<bigint[]> {
  const most = await gasNeeded(l1, call);
  const least = intrinsicGas(call.data);
  const near = Math.floor(size / 3);
  return Array.from({ length: size }, (_, i) =>
    i < near ? most - BigInt(i) : least + ((most - least) * BigInt(i - near)) / BigInt(size - near),
  );
}

async function starved(l1: EvidenceL1, target: Target, size: number, seed: number): Promise<Attempt[]> {
  const call = { to: l1.deployment.dispute, data: challengeData(soundChallenge(target)) };
  const gases = await starvedGases(l1, call, size);
  const where = `seed ${seed}, ${kindOf(target)}`;
  return gases.map((gas) => ({ class: "starved of gas", kind: kindOf(target), call: { ...call, gas }, where }));
}

/**
 * A wrong batch is convicted by a contract that, while it is paid, challenges the right batch before it. None of these challenges
 * may go through, whatever else does. (A proposer cannot be a contract: the batch chain asks for a transaction of its own.)
 */
async function reentered(l1: EvidenceL1, targets: readonly Target[], record: UnitRecord, seed: number): Promise<void> {
  const [first] = targets;
  if (first === undefined) return;
  const { posted } = first;
  const last = posted.cycles[posted.cycles.length - 1] as SoundCycle;
  // A kind that does not exist: no state makes it right, no witness is needed.
  const wrong: SoundCycle = { ...last, timeMs: l1.tip.timeMs, payload: Uint8Array.of(1, 77), entries: [] };
  const { tip } = l1;
  const forged = buildBatch(tip, sourceCyclesOf(tip, [wrong]), l1.deployment.parameters.domain);
  const selfChallenge = challengeData({
    header: { ...forged.header },
    claim: claimOf([wrong], 0),
    previous: previousOf([wrong], 0),
    account: null,
    witness: new Uint8Array(0),
  });
  const { dispute } = l1.deployment;
  const reentries = targets.map((target) => ({ target: dispute, data: challengeData(soundChallenge(target)) }));
  const { abi, runtime } = HOSTILE;
  const args = [dispute, selfChallenge, reentries];
  const data = encodeFunctionData({ abi, functionName: "challenge", args });
  const calls = [l1.postCall(forged), { from: l1.challenger.address, to: HOSTILE_ADDRESS, data }];
  const [answers] = await l1.simulate([{ calls, code: { address: HOSTILE_ADDRESS, code: runtime } }]);
  const [post, challenge] = answers ?? [];
  if (post?.ok !== true || challenge?.ok !== true) {
    throw new Error(`seed ${seed}: no conviction to call back from: ${JSON.stringify({ post, challenge })}`);
  }
  const [event] = parseEventLogs({ abi, eventName: "CalledBack", logs: challenge.logs as never }) as unknown as {
    args: { calls: bigint; doneWell: bigint };
  }[];
  const calledBack = Number(event?.args.calls ?? 0n);
  const doneWell = Number(event?.args.doneWell ?? 0n);
  if (calledBack !== targets.length) throw new Error(`seed ${seed}: no reward was paid`);
  record.attempts += calledBack;
  count(record, "class: called back while paid", calledBack);
  for (const target of targets) count(record, `kind: ${kindOf(target)}`);
  if (doneWell === 0) return;
  record.failures += doneWell;
  throw new Error(`seed ${seed}: CONVICTED a right cycle from within the payment of another reward`);
}

async function attemptsOn(l1: EvidenceL1, all: PostedCycles[], seed: number, record: UnitRecord): Promise<void> {
  const random = new Random(seed ^ 0x0bad);
  const kinds = byKind(all);
  const globalsBytes = l1.globalsBytes;
  const starvedTargets = Math.ceil((perStream * GAS_SHARE) / STARVED_PER_TARGET);
  const names = [...kinds.keys()];
  for (let i = 0; i < starvedTargets; i++) {
    // One kind after the other.
    const { posted, index } = random.pick(kinds.get(names[(seed + i) % names.length] as string) ?? []);
    const target = randomTarget(random, posted, index);
    await judge(l1, await starved(l1, target, STARVED_PER_TARGET, seed), record);
  }
  for (let i = 0; i < (perStream * REENTRY_SHARE) / TARGETS_PER_REENTRY; i++) {
    const targets = Array.from({ length: TARGETS_PER_REENTRY }, () => targetOf(random, kinds));
    await reentered(l1, targets, record, seed);
  }
  while (record.attempts < perStream) {
    const left = Math.min(CALLS_AT_ONCE, perStream - record.attempts);
    const attempts = Array.from({ length: left }, (_, i): Attempt => {
      const target = targetOf(random, kinds);
      const hostile = hostileChallenge(target, { random, posted: all, globalsBytes });
      const call = { to: l1.deployment.dispute, data: hostile.data };
      return {
        class: hostile.class,
        kind: kindOf(target),
        call,
        where: `seed ${seed}, attempt ${record.attempts + i}`,
      };
    });
    await judge(l1, attempts, record);
  }
}

/** The oracle's own test: the same batches with one root changed are convicted by the same challenges. */
async function controls(l1: EvidenceL1, cycles: readonly SoundCycle[], record: UnitRecord): Promise<void> {
  const { domain } = l1.deployment.parameters;
  await l1.queue(cycles.flatMap(({ entries }) => entries));
  await registerChanged(l1, cycles);
  const places = cycles.flatMap(({ moved }, index) => (moved === null ? [index] : []));
  const cases = places.map((index) => {
    const wrong = cycles.map((cycle, i) =>
      i === index ? { ...cycle, postRoot: `0x${"5a".repeat(32)}` as const } : cycle,
    );
    const batch = buildBatch(l1.tip, sourceCyclesOf(l1.tip, wrong), domain);
    const challenge = soundChallenge({ posted: { batch, cycles: wrong }, index, account: null });
    return { calls: [l1.postCall(batch), l1.challengeCall(challengeData(challenge))], timeMs: batch.header.timeMs };
  });
  const outcomes = await l1.simulate(cases);
  outcomes.forEach(([post, conviction], i) => {
    if (post?.ok === true && conviction?.ok === true) return;
    const failed = post?.ok === true ? conviction : post;
    const why = refusalName(failed?.data ?? "", failed?.error);
    throw new Error(
      `control: a wrong root after a ${cycles[places[i] as number]?.name} cycle was not convicted: ${why}`,
    );
  });
  count(record, "control: wrong batches convicted", outcomes.length);
}

async function oneUnit(seed: number, record: UnitRecord): Promise<void> {
  const l1 = await EvidenceL1.start();
  try {
    const stream = new L1Stream(new Random(seed), l1.deployment.parameters);
    stream.setUp();
    for (let step = 0; step < STEPS_PER_STREAM; step++) {
      const cycle = nextCycle(stream, new Set(), FAULT_SHARE);
      if (cycle !== null) stream.apply(cycle);
    }
    const posted: PostedCycles[] = [];
    const cycles = stream.kept.sound;
    for (let from = 0; from < cycles.length; from += CYCLES_PER_BATCH) {
      const part = cycles.slice(from, from + CYCLES_PER_BATCH);
      if (from + CYCLES_PER_BATCH < cycles.length) posted.push(await postSound(l1, part));
      else await controls(l1, part, record);
    }
    await attemptsOn(l1, posted, seed, record);
  } finally {
    await l1.stop();
  }
}

/** Right batches in blobs of the L1, opened in every way that their own polynomials allow. */
async function blobUnit(seed: number, record: UnitRecord): Promise<void> {
  const l1 = await EvidenceL1.start();
  try {
    const random = new Random(seed);
    const kzg = await cachedKzg();
    const stream = new L1Stream(new Random(seed), l1.deployment.parameters);
    stream.setUp();
    for (let step = 0; step < BLOB_STEPS; step++) {
      const cycle = nextCycle(stream, new Set(), FAULT_SHARE);
      if (cycle !== null) stream.apply(cycle);
    }
    const blobs: OpenedBlob[] = [];
    const cycles = stream.kept.sound;
    const perBlob = Math.ceil(cycles.length / BLOBS);
    for (let from = 0; from < cycles.length; from += perBlob) {
      const part = cycles.slice(from, from + perBlob);
      await queueFor(l1, part);
      const right = inItsBlob(kzg, forgeBatch(l1.tip, part.map(forgedOf), l1.deployment.parameters.domain));
      await l1.postBlob(right.batch, right.blob);
      await registerChanged(l1, part);
      blobs.push(opened(kzg, right, random));
    }
    const where = `seed ${seed}, blob`;
    const attemptOf = (one: { class: string; data: Hex }, gas?: bigint): Attempt => {
      const call = { to: l1.deployment.dispute, data: one.data };
      return { class: one.class, kind: "batch in a blob", call: gas === undefined ? call : { ...call, gas }, where };
    };
    for (const data of blobs.flatMap((one) => rightChallenges(one).slice(0, STARVED_CHALLENGES))) {
      const gases = await starvedGases(l1, { to: l1.deployment.dispute, data }, STARVED_PER_TARGET);
      await judge(
        l1,
        gases.map((gas) => attemptOf({ class: "blob: starved of gas", data }, gas)),
        record,
      );
    }
    const attempts = Array.from({ length: BLOB_ATTEMPTS }, () => attemptOf(hostileBlobChallenge(blobs, random)));
    await judge(l1, attempts, record);
  } finally {
    await l1.stop();
  }
}

/** The fuzz tests of forge, longer: they change the same things from within the EVM. */
function fuzzRuns(record: UnitRecord): void {
  const parameters = ["--match-contract", "FalseConvictionsTest"];
  for (const { name, kind } of forgeTests(parameters, run.seed, { FOUNDRY_FUZZ_RUNS: String(FORGE_RUNS) })) {
    const runs = kind.Fuzz?.runs ?? 0;
    if (runs === 0) continue;
    count(record, `forge: ${name}`, runs * FORGE_ATTEMPTS_PER_RUN);
    record.attempts += runs * FORGE_ATTEMPTS_PER_RUN;
  }
}

test("nothing convicts a right cycle", { timeout: run.isLong ? 36_000_000 : 120_000 }, async () => {
  run.announce(share);
  if (run.isLong && run.shard === 0) await run.unit("forge", fuzzRuns);
  if (run.isLong && run.shard === run.shards - 1)
    await run.unit("blobs", (record) => blobUnit(run.seed ^ 0xb10b, record));
  for (let number = run.shard; number < STREAMS; number += run.shards) {
    const seed = (run.seed + number) >>> 0;
    await run.unit(`stream ${seed}`, (record) => oneUnit(seed, record));
  }
  expect(run.failures).toBe(0);
  expect(run.attempts).toBeGreaterThanOrEqual(share);
  expect(run.counts()["control: wrong batches convicted"]).toBeGreaterThan(0);
});
