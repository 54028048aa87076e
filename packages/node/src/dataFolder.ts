// What a venue keeps on disk, and how a temporary one is made.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ExitCode, NodeError } from "./errors.ts";

export interface DataFolder {
  readonly path: string;
  readonly temporary: boolean;
  readonly journal: string;
  readonly proposer: string;
  /** Transactions of the watcher's challenges, and the key that it sends them with. */
  readonly challenger: string;
  readonly challengerKey: string;
  readonly receipts: string;
  readonly deployment: string;
  readonly l1: string;
  readonly l1State: string;
  readonly l1Log: string;
  readonly accounts: string;
  readonly run: string;
  readonly status: string;
}

export function dataFolderAt(path: string, temporary = false): DataFolder {
  const root = resolve(path);
  return {
    path: root,
    temporary,
    journal: join(root, "journal"),
    proposer: join(root, "proposer"),
    challenger: join(root, "challenger"),
    challengerKey: join(root, "challenger.key"),
    receipts: join(root, "receipts"),
    deployment: join(root, "deployment.json"),
    l1: join(root, "l1.json"),
    l1State: join(root, "l1-state.json"),
    l1Log: join(root, "l1.log"),
    accounts: join(root, "accounts.json"),
    run: join(root, "run.json"),
    status: join(root, "status.json"),
  };
}

export function openDataFolder(path: string | undefined): DataFolder {
  if (path === undefined) return dataFolderAt(mkdtempSync(join(tmpdir(), "tidemark-")), true);
  return dataFolderAt(requireWritableFolder(path, "dataDir"));
}

/** An existing venue's folder. @throws NodeError when there is none. */
export function existingDataFolder(path: string): DataFolder {
  const folder = dataFolderAt(path);
  if (!existsSync(folder.deployment)) {
    throw new NodeError("NO_VENUE", `no venue in ${folder.path}: deployment.json is missing`, {
      exitCode: ExitCode.usage,
    });
  }
  return folder;
}

/** What a continued run needs to be the same market and the same engine. */
export const runFileSchema = z.object({
  seed: z.number().int(),
  replay: z.string().nullable(),
  startMs: z.number().int(),
  /** The engine's own settings: a replay of the journal needs the same. */
  cycleAgeMaxMs: z.number().int().positive(),
});
export type RunFile = z.infer<typeof runFileSchema>;

export const l1FileSchema = z.object({ url: z.string(), processId: z.number().int() });
export type L1File = z.infer<typeof l1FileSchema>;

/** Null when there is no such file. @throws NodeError FILE_INVALID naming the file */
export function readJsonFile<T>(file: string, schema: z.ZodType<T>): T | null {
  if (!existsSync(file)) return null;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new NodeError("FILE_INVALID", `${file} is damaged: ${String(cause)}`, {
      exitCode: ExitCode.environment,
      cause,
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new NodeError("FILE_INVALID", `${file} is damaged: ${z.prettifyError(parsed.error)}`, {
    exitCode: ExitCode.environment,
  });
}

/** A folder to write into, made when it is missing. @throws NodeError FOLDER_UNWRITABLE naming the setting */
export function requireWritableFolder(path: string, setting: string): string {
  const folder = resolve(path);
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    if (!statSync(folder).isDirectory()) throw new Error("it is a file");
  } catch (cause) {
    throw new NodeError(
      "FOLDER_UNWRITABLE",
      `${setting}: cannot write into ${folder}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        exitCode: ExitCode.environment,
        cause,
      },
    );
  }
  return folder;
}

/** The file appears whole or not at all. */
export function writeFileWhole(file: string, text: string): void {
  writeFileSync(`${file}.partial`, text);
  renameSync(`${file}.partial`, file);
}

/** Account numbers in the order in which the trading floor asked for them. */
export const accountsFileSchema = z.array(z.object({ label: z.string(), account: z.number().int() }));
