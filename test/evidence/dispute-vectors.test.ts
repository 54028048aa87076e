// vectors/disputes.json: a right cycle of each kind with the witnesses of its faults, for contracts/test/fuzz/FalseConvictions.t.sol,
// which first asks whether they are right. TIDEMARK_WRITE_VECTORS=1 writes it anew.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CycleKind, encodeParameters, inboundHashNext, type LedgerState, ZERO_HASH } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { expect, test } from "vitest";
import { factoryParameters } from "../../packages/ledger/test/factory.ts";
import { Random } from "../../packages/ledger/test/random.ts";
import { RISK } from "../../packages/ledger/test/stream/stream.ts";
import { L1Stream, type SoundCycle } from "./history.ts";
import { nextCycle } from "./recipes.ts";

const FILE = join(fileURLToPath(new URL("../..", import.meta.url)), "vectors/disputes.json");
const SEED = 5;
const STEPS_MAX = 3_000;
/** A witness of many accounts would make the fuzz runs slow. */
const ACCOUNTS_MAX = 6;

interface Vector {
  name: string;
  kind: number;
  payload: string;
  postRoot: string;
}

interface File {
  parameters: string;
  count: number;
  cases: Vector[];
}

function vectorOf(cycle: SoundCycle, before: LedgerState["globals"]): Vector & Record<string, unknown> {
  const accounts = [...cycle.accountWitnesses].slice(0, ACCOUNTS_MAX);
  const inboundHash = cycle.entries.reduce((hash, entry) => inboundHashNext(hash, entry), before.inboundHash);
  return {
    name: cycle.name,
    kind: cycle.kind,
    payload: bytesToHex(cycle.payload),
    preStateRoot: cycle.preStateRoot,
    postRoot: cycle.postRoot,
    timeMs: cycle.timeMs,
    inboundCursor: before.inboundCursor + cycle.entries.length,
    inboundHash: inboundHash === ZERO_HASH ? before.inboundHash : inboundHash,
    rootWitness: bytesToHex(cycle.rootWitness),
    accountCount: accounts.length,
    accounts: accounts.map(([account]) => `0x${account.toString(16).padStart(6, "0")}`),
    accountWitnesses: accounts.map(([, witness]) => bytesToHex(witness)),
  };
}

/** The first cycle of each kind after a while, when accounts hold something. */
function write(): void {
  const parameters = factoryParameters(RISK);
  const stream = new L1Stream(new Random(SEED), parameters);
  const found = new Map<string, Vector>();
  stream.setUp();
  const { sound } = stream.kept;
  for (let step = 0; step < STEPS_MAX && found.size < Object.keys(CycleKind).length; step++) {
    const cycle = nextCycle(stream, new Set(), 0.02);
    if (cycle === null) continue;
    // Last: it changes the set that the others are judged with.
    if ("kind" in cycle && cycle.kind === "admin" && found.size < Object.keys(CycleKind).length - 1) continue;
    const before = { ...stream.state.globals };
    const first = sound.length;
    if (!stream.apply(cycle).ok) continue;
    const kept = sound[first];
    // A changed set would need a store of its own.
    if (kept === undefined || kept.moved !== null || found.has(kept.name) || hasChanged(sound)) continue;
    found.set(kept.name, vectorOf(kept, before));
  }
  const cases = [...found.values()].sort((a, b) => a.kind - b.kind);
  const file = {
    parameters: bytesToHex(encodeParameters(parameters)),
    domain: parameters.domain,
    count: cases.length,
    cases,
  };
  writeFileSync(FILE, `${JSON.stringify(file, null, 1)}\n`);
}

function hasChanged(sound: readonly SoundCycle[]): boolean {
  return sound.slice(0, -1).some(({ changedParameters }) => changedParameters !== null);
}

test("there is a right cycle of every kind", () => {
  if (process.env["TIDEMARK_WRITE_VECTORS"] === "1") write();
  const file = JSON.parse(readFileSync(FILE, "utf8")) as File;
  expect(file.cases.map(({ kind }) => kind)).toEqual(Object.values(CycleKind).sort((a, b) => a - b));
  expect(file.count).toBe(file.cases.length);
});
