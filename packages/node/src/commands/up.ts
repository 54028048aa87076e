// `tidemark up`: the venue, from nothing to final settlement.
import { rmSync } from "node:fs";
import { type Config, loadConfig } from "../config.ts";
import { requireWritableFolder } from "../dataFolder.ts";
import { type Display, openDisplay } from "../display.ts";
import { codeOf, ExitCode, exitCodeOf } from "../errors.ts";
import { openVenue } from "../pipeline.ts";
import { summaryOf, writeOut } from "../venue/summary.ts";
import type { Venue } from "../venue/venue.ts";

function configOf(flags: Record<string, unknown>): Config {
  const { config: file, ...rest } = flags;
  return loadConfig(file === undefined ? undefined : String(file), rest);
}

/** Ctrl-C ends the trading and closes in order; a second one leaves at once, which the journal survives. */
function stopOnSignals(venue: Venue): () => void {
  let asked = 0;
  const stop = (): void => {
    asked++;
    if (asked > 1) process.exit(130);
    venue.requestStop();
  };
  // Nobody reads what it says any more: the same as being asked to end.
  const stopUnheard = (): void => venue.requestStop();
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.stdout.on("error", stopUnheard);
  return () => {
    process.removeListener("SIGINT", stop);
    process.removeListener("SIGTERM", stop);
    process.stdout.removeListener("error", stopUnheard);
  };
}

/** A failed run says as much as a good one: the same object with what went wrong, and the folder that shows it. */
async function tellFailure(venue: Venue | null, error: unknown, config: Config, display: Display): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  const failure = { error: { code: codeOf(error), message, exitCode: exitCodeOf(error) } };
  const summary = venue === null || !config.once ? null : summaryOf(venue);
  const problems = [message, ...(summary?.problems ?? [])];
  const json = { ...summary?.json, problems, ...failure };
  if (config.json) process.stdout.write(`${JSON.stringify(json)}\n`);
  if (venue === null || summary === null || config.out === undefined) return;
  try {
    await writeOut(venue, { ...summary, json }, config.out);
  } catch (cause) {
    display.note(`${config.out} is not complete: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

async function runOnce(venue: Venue, config: Config, display: Display): Promise<ExitCode> {
  await venue.drain((status) => display.show(status));
  const summary = summaryOf(venue);
  if (config.out !== undefined) await writeOut(venue, summary, config.out);
  display.close();
  for (const line of summary.lines) display.note(line);
  if (config.json) process.stdout.write(`${JSON.stringify(summary.json)}\n`);
  return summary.problems.length === 0 ? ExitCode.ok : ExitCode.invariantBroken;
}

/** Closes in order. What a failed venue leaves undone on the way must not hide why it failed. */
async function closeVenue(venue: Venue, failed: boolean, display: Display): Promise<void> {
  const { folder } = venue.parts;
  try {
    await venue.close();
  } catch (error) {
    if (!failed) throw error;
    display.note(`closing: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!folder.temporary) return;
  if (failed) display.note(`the data of this run are in ${folder.path}`);
  else rmSync(folder.path, { recursive: true, force: true });
}

export async function up(flags: Record<string, unknown>): Promise<ExitCode> {
  const config = configOf(flags);
  if (config.out !== undefined) requireWritableFolder(config.out, "out");
  const display = openDisplay(config.json ? process.stderr : process.stdout);
  let venue: Venue | null = null;
  process.on("unhandledRejection", (reason) => {
    // Nothing in this house may fail unseen: the run stops and says why.
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (venue === null) throw error;
    venue.fail(error);
  });
  let exitCode: ExitCode = ExitCode.environment;
  let ignoreSignals = (): void => undefined;
  let failed = true;
  try {
    venue = await openVenue(config, (line) => display.note(line));
    ignoreSignals = stopOnSignals(venue);
    await venue.trade(config.once ? config.seconds : null, (status) => display.show(status));
    exitCode = config.once ? await runOnce(venue, config, display) : ExitCode.ok;
    failed = exitCode !== ExitCode.ok;
  } catch (error) {
    await tellFailure(venue, error, config, display);
    throw error;
  } finally {
    display.close();
    ignoreSignals();
    if (venue !== null) await closeVenue(venue, failed, display);
  }
  return exitCode;
}
