// Stage 1: where the market comes from.
import type { Config } from "../config.ts";
import { type DataFolder, type RunFile, readJsonFile, runFileSchema, writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { openReplay } from "../market/replay.ts";
import { SimulatedSource } from "../market/simulated.ts";
import type { MarketSource } from "../market/source.ts";

/** A venue that is continued keeps its seed, its data and its start. */
function runFileOf(folder: DataFolder, config: Config): RunFile | null {
  const known = readJsonFile(folder.run, runFileSchema);
  if (known === null) return null;
  const asked: readonly (readonly [string, unknown, unknown])[] = [
    ["seed", config.seed, known.seed],
    ["replay", config.replay, known.replay ?? undefined],
    ["cycleAgeMaxMs", config.cycleAgeMaxMs, known.cycleAgeMaxMs],
  ];
  for (const [name, wanted, kept] of asked) {
    if (wanted !== undefined && wanted !== kept) {
      throw new NodeError(
        "RUN_DIFFERS",
        `${name}: this data folder runs with ${String(kept)}, asked for ${String(wanted)}`,
        {
          exitCode: ExitCode.usage,
        },
      );
    }
  }
  return known;
}

/** A seed for a run that names none: printed, so that the run can be repeated. */
function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number;
}

export async function openMarket(config: Config, folder: DataFolder): Promise<MarketSource> {
  const known = runFileOf(folder, config);
  const seed = known?.seed ?? config.seed ?? freshSeed();
  const replay = known === null ? (config.replay ?? null) : known.replay;
  const startMs = known?.startMs ?? (config.start === undefined ? undefined : Date.parse(config.start));
  const common = { seed, ...(startMs === undefined ? {} : { startMs }) };
  const source = replay === null ? new SimulatedSource(common) : await openReplay({ folder: replay, ...common });
  if (known === null) {
    writeFileWhole(
      folder.run,
      JSON.stringify({ seed, replay, startMs: source.startMs, cycleAgeMaxMs: config.cycleAgeMaxMs } satisfies RunFile),
    );
  }
  return source;
}
