// `tidemark up`: the venue, from nothing to final settlement.
import { type Config, loadConfig } from "../config.ts";
import { openDisplay } from "../display.ts";
import { ExitCode } from "../errors.ts";
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
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return () => {
    process.removeListener("SIGINT", stop);
    process.removeListener("SIGTERM", stop);
  };
}

export async function up(flags: Record<string, unknown>): Promise<ExitCode> {
  const config = configOf(flags);
  const display = openDisplay(config.json ? process.stderr : process.stdout);
  let venue: Venue | null = null;
  process.on("unhandledRejection", (reason) => {
    // Nothing in this house may fail unseen: the run stops and says why.
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (venue === null) throw error;
    venue.fail(error);
  });
  venue = await openVenue(config, (line) => display.note(line));
  const ignoreSignals = stopOnSignals(venue);
  try {
    await venue.trade(config.once ? config.seconds : null, (status) => display.show(status));
    if (!config.once) return ExitCode.ok;
    await venue.drain((status) => display.show(status));
    const summary = summaryOf(venue);
    if (config.out !== undefined) await writeOut(venue, summary, config.out);
    display.close();
    for (const line of summary.lines) display.note(line);
    if (config.json) process.stdout.write(`${JSON.stringify(summary.json)}\n`);
    return summary.problems.length === 0 ? ExitCode.ok : ExitCode.invariantBroken;
  } finally {
    display.close();
    ignoreSignals();
    await venue.close();
  }
}
