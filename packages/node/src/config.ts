// One schema for the config file and the flags. A flag wins over the file, the file over the default.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { ExitCode, NodeError } from "./errors.ts";

const positive = z.number().positive();
const positiveInteger = z.number().int().positive();

/** Every setting with its default. Durations are in the venue's clock unless the name says wall. */
export const configSchema = z
  .object({
    /** Where the journal, the proposer's outbox and the status live. A temporary folder when absent. */
    dataDir: z.string().min(1).optional(),
    /** Root of recorded data in the format of the data folder; a simulated market when absent. */
    replay: z.string().min(1).optional(),
    /** ISO time inside the recorded data at which the replay begins. */
    start: z.iso.datetime({ offset: true }).optional(),
    seed: z.number().int().min(0).max(0xffff_ffff).optional(),
    /** Venue seconds per wall second. */
    speed: positive.max(3_600).default(300),
    /** Wall milliseconds between two steps of the market. */
    stepWallMs: positiveInteger.min(20).max(5_000).default(250),
    /** Wall seconds of trading, with `once`. */
    seconds: positive.max(86_400).default(60),
    once: z.boolean().default(false),
    json: z.boolean().default(false),
    /** Folder that receives deployment file, L1 state, journal and summary of the run. */
    out: z.string().min(1).optional(),
    /** Fixed finality window. */
    windowSeconds: positiveInteger.max(30 * 86_400).default(1_800),
    /** Oldest age of an open trade cycle. */
    cycleAgeMaxMs: positiveInteger.default(150_000),
    /** Time between two oracle reports of one underlying. */
    reportIntervalMs: positiveInteger.default(150_000),
    /** How the data of batches reach the L1: in the transaction's calldata, or in its blob. */
    dataMode: z.enum(["calldata", "blob"]).default("calldata"),
    /** A batch is cut at the latest after this time. */
    batchAgeMaxMs: positiveInteger.default(900_000),
    /** Stake of the sequencer in a venue that is deployed anew with test money. */
    sequencerStakeUsdc: positiveInteger.max(1_000_000_000).default(5_000_000),
    /** Fills that are not posted may be worth this many times the sequencer's stake; beyond it no new orders are taken. */
    unpostedNotionalPerStake: positive.max(10_000).default(10),
    /** Commands between two snapshots of the journal. */
    snapshotEveryCommands: positiveInteger.default(20_000),
    /** Wall milliseconds after which a failing child process is started again. */
    restartDelayWallMs: positiveInteger.default(500),
    /** Size of the simulated or replayed trading floor, relative to the default flow. */
    flow: positive.max(20).default(1),
  })
  .strict();

export type Config = z.infer<typeof configSchema>;

/** Reads an optional JSON file and lays the flags over it. @throws NodeError that names the field and the limit. */
export function loadConfig(file: string | undefined, flags: Readonly<Record<string, unknown>>): Config {
  const merged: Record<string, unknown> = { ...readConfigFile(file) };
  for (const [key, value] of Object.entries(flags)) if (value !== undefined) merged[key] = value;
  const parsed = configSchema.safeParse(merged);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join(".") || "(top level)"}: ${issue.message}`);
  throw new NodeError("CONFIG_INVALID", `the configuration is not valid:\n${lines.join("\n")}`, {
    exitCode: ExitCode.usage,
  });
}

function readConfigFile(file: string | undefined): Record<string, unknown> {
  if (file === undefined) return {};
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    throw new NodeError("CONFIG_UNREADABLE", `cannot read the config file ${file}: ${String(cause)}`, {
      exitCode: ExitCode.usage,
      cause,
    });
  }
  throw new NodeError("CONFIG_UNREADABLE", `the config file ${file} must hold one JSON object`, {
    exitCode: ExitCode.usage,
  });
}

/** JSON Schema of the config file, for editors and the docs. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: "input" });
}
