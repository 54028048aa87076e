// Replays a venue's journal on this machine and compares the root of every cycle with the recorded one.
import { join, resolve } from "node:path";
import { readDeployment } from "@tidemark/chain";
import { type CycleRecord, decodeCommand, Engine, type EngineOptions, silentSink } from "@tidemark/engine";
import { type JournalReader, replay } from "@tidemark/journal";
import type { ParameterSet } from "@tidemark/ledger";
import { readJsonFile, runFileSchema } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { signer } from "../signatures/signer.ts";
import { engineConfigOf, venueIdentity } from "../venue/recovery.ts";
import { openJournalOf } from "./records.ts";

interface Replayed {
  from: number;
  commands: number;
  cyclesCompared: number;
  stateRoot: string;
}

const differs = (message: string): NodeError =>
  new NodeError("REPLAY_DIFFERS", message, { exitCode: ExitCode.invariantBroken });

/** A journal of another venue may hold cycles that agree, or none. */
function requireIdentity(reader: JournalReader, parameters: ParameterSet): void {
  const { venueId, genesisRoot } = venueIdentity(parameters);
  for (const [field, expected, found] of [
    ["venue", venueId, reader.identity.venueId],
    ["genesis root", genesisRoot, reader.identity.genesisRoot],
  ]) {
    if (expected !== found) throw differs(`the journal's ${field} is ${found}, the deployment's ${expected}`);
  }
}

function replayFrom(reader: JournalReader, options: EngineOptions, fromSnapshot: number | null): Replayed {
  let engine = Engine.create(options);
  let cyclesCompared = 0;
  const compare = (record: CycleRecord): void => {
    const [stored] = reader.readCycles(record.index, record.index + 1);
    // The last command may be durable while its cycles are not.
    if (stored === undefined) return;
    if (stored.postRoot !== record.postRoot || Buffer.compare(stored.payload, record.payload) !== 0) {
      throw differs(
        `cycle ${record.index} (${record.kind}): recorded root ${stored.postRoot}, replayed ${record.postRoot}`,
      );
    }
    cyclesCompared++;
  };
  const result = replay(
    reader,
    {
      ...(fromSnapshot === null ? {} : { fromSnapshot }),
      restore: (snapshot) => {
        engine = Engine.restore(snapshot.bytes, options);
      },
    },
    (_sequence, bytes) => void engine.apply(decodeCommand(bytes), { ...silentSink, onCycle: compare }),
  );
  const recorded = reader.cycleCount();
  if (engine.cycleIndex < recorded) {
    throw differs(
      `cycle ${engine.cycleIndex} is recorded, but no command of the journal leads to it: ${recorded} cycles recorded`,
    );
  }
  return { from: result.snapshotSequence, commands: result.applied, cyclesCompared, stateRoot: engine.ledger.root() };
}

/** Snapshots to begin from; null = from the first command. */
function beginnings(reader: JournalReader, wanted: unknown): (number | null)[] {
  if (wanted === undefined) return [null];
  if (wanted === "all") return [null, ...reader.listSnapshots().map(({ sequence }) => sequence)];
  const sequence = Number(wanted);
  if (Number.isSafeInteger(sequence) && sequence >= 0) return [sequence];
  throw new NodeError("USAGE", `--from-snapshot needs a sequence number or "all", not ${String(wanted)}`, {
    exitCode: ExitCode.usage,
  });
}

export async function replayJournal(flags: Record<string, unknown>): Promise<ExitCode> {
  const folder = resolve(String(flags["source"]));
  const { parameters } = await readDeployment(String(flags["deployment"] ?? join(folder, "deployment.json")));
  const run = readJsonFile(join(folder, "run.json"), runFileSchema);
  if (run === null)
    throw new NodeError("NO_RUN", `${folder} holds no run.json: not a venue's folder`, { exitCode: ExitCode.usage });
  const options: EngineOptions = { parameters, signatures: signer, config: engineConfigOf(run) };
  const { reader, done } = await openJournalOf(folder);
  try {
    const runs = beginnings(reader, flags["fromSnapshot"]).map((from) => replayFrom(reader, options, from));
    // Last: where a cycle differs says more than that something does.
    requireIdentity(reader, parameters);
    for (const { from, commands, cyclesCompared, stateRoot } of runs) {
      process.stdout.write(
        `from ${from === 0 ? "the first command" : `snapshot ${from}`}: ${commands} commands, ${cyclesCompared} cycle roots equal, state root ${stateRoot}\n`,
      );
    }
    const equal = new Set(runs.map(({ stateRoot }) => stateRoot)).size === 1;
    if (flags["json"] === true) process.stdout.write(`${JSON.stringify({ equal, runs })}\n`);
    return equal ? ExitCode.ok : ExitCode.invariantBroken;
  } finally {
    await done();
  }
}
