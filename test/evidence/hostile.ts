// A hostile challenger: every way that we know to ask the dispute contract for the conviction of a right batch.
import { bytesToHex } from "@tidemark/num";
import type { Batch } from "@tidemark/settlement";
import type { Hex } from "viem";
import type { Random } from "../../packages/ledger/test/random.ts";
import {
  blobChallengeData,
  blobElementChallengeData,
  type CycleChallenge,
  challengeData,
  claimOf,
  type Header,
  headerChallengeData,
  previousOf,
} from "./challenges.ts";
import type { PostedCycles, SoundCycle } from "./history.ts";
import { flipped, hostileWitness } from "./witness.ts";

export interface Target {
  posted: PostedCycles;
  index: number;
  /** Null = face root. */
  account: number | null;
}

export interface HostileChallenge {
  class: string;
  data: Hex;
}

interface Surroundings {
  random: Random;
  /** All right batches so far: what a challenger finds on the L1. */
  posted: readonly PostedCycles[];
  globalsBytes: number;
}

const headerOf = (batch: Batch): Header => ({ ...batch.header });
const soundOf = ({ posted, index }: Target): SoundCycle => posted.cycles[index] as SoundCycle;

/** What an honest challenger would send, were the cycle wrong. */
export function soundChallenge(target: Target): CycleChallenge {
  const { posted, index, account } = target;
  const { rootWitness, accountWitnesses } = soundOf(target);
  const witness = account === null ? rootWitness : accountWitnesses.get(account);
  if (witness === undefined) throw new Error(`no witness for account ${account}`);
  return {
    header: headerOf(posted.batch),
    claim: claimOf(posted.cycles, index),
    previous: previousOf(posted.cycles, index),
    account: account === null ? null : BigInt(account),
    witness,
  };
}

export function randomTarget(random: Random, posted: PostedCycles, index: number): Target {
  const accounts = [...(posted.cycles[index] as SoundCycle).accountWitnesses.keys()];
  return { posted, index, account: accounts.length > 0 && random.chance(0.6) ? random.pick(accounts) : null };
}

const flippedWord = (word: Hex, random: Random): Hex =>
  bytesToHex(flipped(Uint8Array.from(Buffer.from(word.slice(2), "hex")), random));

const anyWord = (random: Random): Hex => bytesToHex(Uint8Array.from({ length: 32 }, () => random.integer(0, 255)));

function changedPath(path: readonly Hex[], random: Random): Hex[] {
  const changed = [...path];
  const at = random.integer(0, Math.max(0, path.length - 1));
  const one = path[at];
  const ways: (() => void)[] = [() => changed.push(anyWord(random)), () => changed.unshift(anyWord(random))];
  if (one !== undefined) {
    ways.push(
      () => changed.splice(at, 1),
      () => changed.splice(at, 1, flippedWord(one, random)),
      () => changed.splice(at, 0, one),
      () => changed.reverse(),
    );
  }
  random.pick(ways)();
  return changed;
}

function changedHeader(header: Header, random: Random): Header {
  const name = random.pick(Object.keys(header)) as keyof Header;
  const value = header[name];
  const changed = typeof value === "string" ? flippedWord(value, random) : (value + random.pick([1, 2, 3])) % 128;
  return { ...header, [name]: changed };
}

function anyOtherCycle(around: Surroundings): { posted: PostedCycles; index: number } {
  const posted = around.random.pick(around.posted);
  return { posted, index: around.random.integer(0, posted.cycles.length - 1) };
}

type Change = (challenge: CycleChallenge, target: Target, around: Surroundings) => CycleChallenge;

/** Everything but changes of the witness's own bytes. */
const CHANGES: readonly (readonly [string, Change])[] = [
  ["nothing changed", (challenge) => challenge],
  ["header changed", (challenge, _, { random }) => ({ ...challenge, header: changedHeader(challenge.header, random) })],
  [
    "header of another batch",
    (challenge, _, { random, posted }) => ({ ...challenge, header: headerOf(random.pick(posted).batch) }),
  ],
  [
    "cycle at another place",
    (challenge, { posted }, { random }) => {
      const index = random.pick([random.integer(0, posted.cycles.length - 1), posted.cycles.length, 2 ** 32 - 1]);
      return { ...challenge, claim: { ...challenge.claim, index } };
    },
  ],
  [
    "cycle's path changed",
    (challenge, _, { random }) => {
      const path = changedPath(challenge.claim.path, random);
      return { ...challenge, claim: { ...challenge.claim, path } };
    },
  ],
  [
    "root claimed for the cycle changed",
    (challenge, _, around) => {
      const other = anyOtherCycle(around);
      const postRoot = around.random.pick([
        flippedWord(challenge.claim.postRoot, around.random),
        (other.posted.cycles[other.index] as SoundCycle).postRoot,
      ]);
      return { ...challenge, claim: { ...challenge.claim, postRoot } };
    },
  ],
  [
    "payload changed",
    (challenge, target, { random }) => {
      const payload = bytesToHex(flipped(soundOf(target).payload, random));
      return { ...challenge, claim: { ...challenge.claim, payload } };
    },
  ],
  [
    "another cycle's payload",
    (challenge, _, around) => {
      const other = anyOtherCycle(around);
      const { payload } = claimOf(other.posted.cycles, other.index);
      return { ...challenge, claim: { ...challenge.claim, payload } };
    },
  ],
  [
    "another cycle as neighbour",
    (challenge, { posted, index }, { random }) => {
      const other = random.integer(0, posted.cycles.length - 1);
      const previous = previousOf(posted.cycles, other === index ? index + 1 : other);
      // With the path of the right one, too.
      const path = random.chance(0.3) ? challenge.previous.path : previous.path;
      return { ...challenge, previous: { ...previous, path } };
    },
  ],
  [
    "neighbour of another batch",
    (challenge, _, around) => {
      const other = anyOtherCycle(around);
      return { ...challenge, previous: previousOf(other.posted.cycles, other.index) };
    },
  ],
  [
    "neighbour's root changed",
    (challenge, _, { random }) => {
      const postRoot = random.pick([flippedWord(challenge.previous.postRoot, random), challenge.claim.postRoot]);
      return { ...challenge, previous: { ...challenge.previous, postRoot } };
    },
  ],
  [
    "neighbour's path changed",
    (challenge, _, { random }) => {
      const path = changedPath(challenge.previous.path, random);
      return { ...challenge, previous: { ...challenge.previous, path } };
    },
  ],
  [
    "neighbour's length changed",
    (challenge, _, { random }) => {
      const length = Math.max(0, challenge.previous.length + random.pick([-1, 1, 256]));
      return { ...challenge, previous: { ...challenge.previous, length } };
    },
  ],
  [
    "witness of another state",
    (challenge, _, around) => {
      const other = anyOtherCycle(around);
      return { ...challenge, witness: (other.posted.cycles[other.index] as SoundCycle).rootWitness };
    },
  ],
  [
    "witness of another fault of the cycle",
    (challenge, target, { random }) => {
      const { rootWitness, accountWitnesses } = soundOf(target);
      return { ...challenge, witness: random.pick([rootWitness, ...accountWitnesses.values()]) };
    },
  ],
  [
    "witness of other cells",
    (challenge, target, { random }) => {
      const { otherWitnesses } = soundOf(target);
      if (otherWitnesses.length === 0) return challenge;
      const { account, witness } = random.pick(otherWitnesses);
      return { ...challenge, account: account === null ? null : BigInt(account), witness };
    },
  ],
  [
    "account that the cycle does not name",
    (challenge, target, { random }) => {
      const { rootWitness, accountWitnesses } = soundOf(target);
      const account = random.pick([0n, 1n, 2n, 3n, 4000n, 2n ** 24n - 1n, 2n ** 24n, 2n ** 32n, 2n ** 256n - 1n]);
      return { ...challenge, account, witness: random.pick([rootWitness, ...accountWitnesses.values()]) };
    },
  ],
  [
    "another account of the cycle",
    (challenge, target, { random }) => {
      const { rootWitness, accountWitnesses } = soundOf(target);
      const accounts = [...accountWitnesses.keys()];
      if (accounts.length === 0) return { ...challenge, account: 2n };
      const witness = random.pick([rootWitness, ...accountWitnesses.values()]);
      return { ...challenge, account: BigInt(random.pick(accounts)), witness };
    },
  ],
];

export const CHALLENGE_CLASSES: readonly string[] = CHANGES.map(([name]) => name);

/** One attempt; now and then a changed witness on top of something else. */
export function hostileChallenge(target: Target, around: Surroundings): HostileChallenge {
  const { random, globalsBytes } = around;
  if (random.chance(0.05)) return hostileBatchChallenge(target.posted, around);
  const sound = soundChallenge(target);
  if (random.chance(0.6)) {
    const hostile = hostileWitness(sound.witness, globalsBytes, random);
    return { class: `witness: ${hostile.class}`, data: challengeData({ ...sound, witness: hostile.witness }) };
  }
  const [name, change] = random.pick(CHANGES);
  const challenge = change(sound, target, around);
  if (random.chance(0.15) && challenge.witness.length > 0) {
    const witness = flipped(challenge.witness, random);
    return { class: `${name}, and the witness`, data: challengeData({ ...challenge, witness }) };
  }
  return { class: name, data: challengeData(challenge) };
}

/** The faces that concern a whole batch: what opens its last root, and a blob that a batch in calldata does not have. */
function hostileBatchChallenge(posted: PostedCycles, around: Surroundings): HostileChallenge {
  const { random } = around;
  const header = headerOf(posted.batch);
  const right = (posted.cycles[posted.cycles.length - 1] as SoundCycle).stateParts;
  const partsOf = (parts: SoundCycle["stateParts"]): Record<string, Hex> => ({
    ...parts,
    globals: bytesToHex(parts.globals),
  });
  const other = anyOtherCycle(around);
  const bytes = (length: number): Hex => bytesToHex(Uint8Array.from({ length }, () => random.integer(0, 255)));
  return random.pick<() => HostileChallenge>([
    () => ({ class: "header: right parts of the state", data: headerChallengeData(header, partsOf(right)) }),
    () => ({
      class: "header: globals changed",
      data: headerChallengeData(header, partsOf({ ...right, globals: flipped(right.globals, random) })),
    }),
    () => {
      const name = random.pick(["accountsRoot", "instrumentsRoot", "underlyingsRoot", "outboxRoot"] as const);
      const parts = { ...right, [name]: flippedWord(right[name], random) };
      return { class: "header: a root changed", data: headerChallengeData(header, partsOf(parts)) };
    },
    () => ({
      class: "header: parts of another state",
      data: headerChallengeData(header, partsOf((other.posted.cycles[other.index] as SoundCycle).stateParts)),
    }),
    () => ({
      class: "header changed, right parts",
      data: headerChallengeData(changedHeader(header, random), partsOf(right)),
    }),
    () => ({
      class: "blob of a batch that has none",
      data: blobChallengeData(header, bytesToHex(posted.batch.data), bytes(48), bytes(48)),
    }),
    () => ({
      class: "blob element of a batch that has none",
      data: blobElementChallengeData(header, BigInt(random.integer(0, 5_000)), bytes(48), bytes(48)),
    }),
  ])();
}
