// `tidemark inspect batch|account|fill <id>`: one thing of a venue, from its journal and its L1, and how final it is.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Deployment, readDeployment } from "@tidemark/chain";
import { decodeCommand, Engine, type EngineOptions, silentSink } from "@tidemark/engine";
import { type JournalReader, replay } from "@tidemark/journal";
import { readJsonFile, runFileSchema } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import { instrumentName } from "../instrumentName.ts";
import { signer } from "../signatures/signer.ts";
import { engineConfigOf } from "../venue/recovery.ts";
import { BatchesOnL1, contentOf } from "./inspectBatch.ts";
import { finalityOf, findFill } from "./inspectFill.ts";
import { openJournalOf, openL1Of } from "./records.ts";

interface Sources {
  folder: string;
  deployment: Deployment;
  reader: JournalReader;
  options: EngineOptions;
}

type Found = Record<string, unknown>;

function unknown(what: string, id: number, there: string): NodeError {
  return new NodeError("UNKNOWN_ID", `there is no ${what} ${id}: ${there}`, { exitCode: ExitCode.usage });
}

/** Runs `look` with the venue's batches, or with null when its L1 cannot be read. */
async function withBatches<Result>(
  { folder, deployment }: Sources,
  look: (batches: BatchesOnL1 | null, l1: string) => Promise<Result>,
): Promise<Result> {
  const l1 = await openL1Of(folder, deployment);
  if (l1 === null) return look(null, "not reachable");
  try {
    return await look(await BatchesOnL1.read(l1.client, deployment), l1.from);
  } finally {
    await l1.done();
  }
}

async function inspectBatch(sources: Sources, number: number): Promise<Found> {
  return withBatches(sources, async (batches, l1) => {
    if (batches === null) {
      throw new NodeError("NO_L1", `the L1 of the venue in ${sources.folder} is not running and left no state`, {
        exitCode: ExitCode.environment,
      });
    }
    const batch = await batches.batch(number);
    if (batch === null) throw unknown("batch", number, `the L1 holds ${batches.events.length}`);
    return { ...batch, ...contentOf(sources.reader, batch.header), l1 };
  });
}

/** The engine after the journal's last command. */
function latestEngine({ reader, options }: Sources): Engine {
  let engine = Engine.create(options);
  replay(
    reader,
    {
      fromSnapshot: "latest",
      restore: ({ bytes }) => {
        engine = Engine.restore(bytes, options);
      },
    },
    (_sequence, bytes) => void engine.apply(decodeCommand(bytes), silentSink),
  );
  return engine;
}

async function inspectAccount(sources: Sources, account: number): Promise<Found> {
  const engine = latestEngine(sources);
  const { ledger } = engine;
  const cell = ledger.account(account);
  if (cell === undefined) throw unknown("account", account, `the ledger has ${ledger.accountNumbers().length}`);
  const nameOf = (number: number): string => {
    const instrument = ledger.instrument(number);
    return instrument === undefined ? `instrument ${number}` : instrumentName(instrument, sources.options.parameters);
  };
  return {
    account,
    owner: cell.owner,
    delegates: cell.delegates,
    timeMs: engine.timeMs,
    cashMicroUsdc: cell.cash,
    creditMicroUsdc: cell.credit,
    minNonce: cell.minNonce,
    // Settled, and with the fills of the open cycle.
    positions: cell.positions.map(({ instrument, size }) => ({
      instrument,
      name: nameOf(instrument),
      lots: size,
      lotsWithOpenCycle: engine.position(account, instrument),
    })),
    margin: engine.accountMargin(account) ?? null,
    openOrders: engine.openOrders(account).map(({ orderId, order, openLots }) => ({
      orderId,
      nonce: order.nonce,
      name: order.legs.map(({ instrument }) => nameOf(instrument)).join("+"),
      side: order.size > 0 ? "buy" : "sell",
      openLots,
      limitPrice: order.limitPrice,
      expiryMs: order.expiryMs,
    })),
  };
}

async function inspectFill(sources: Sources, number: number): Promise<Found> {
  const { fill, fills } = findFill(sources.reader, sources.options, number);
  if (fill === null) throw unknown("fill", number, `the journal holds ${fills}`);
  return withBatches(sources, async (batches, l1) => {
    const batch = (await batches?.batchOfCycle(fill.cycle)) ?? null;
    return { ...fill, finality: finalityOf(fill.timeMs, batch), l1 };
  });
}

const LOOKS: Readonly<Record<string, (sources: Sources, id: number) => Promise<Found>>> = {
  batch: inspectBatch,
  account: inspectAccount,
  fill: inspectFill,
};

function linesOf(found: Found, indent = ""): string[] {
  return Object.entries(found).flatMap(([name, value]) => {
    if (Array.isArray(value)) {
      const rows = value.map(
        (row: unknown) =>
          `${indent}  ${
            typeof row === "object" && row !== null
              ? Object.entries(row)
                  .map(([key, cell]) => `${key} ${String(cell)}`)
                  .join(", ")
              : String(row)
          }`,
      );
      return [`${indent}${name}: ${value.length === 0 ? "none" : value.length}`, ...rows];
    }
    if (typeof value === "object" && value !== null)
      return [`${indent}${name}:`, ...linesOf(value as Found, `${indent}  `)];
    const shown =
      typeof value === "number" && /Ms$/.test(name) && value > 0
        ? `${value} (${new Date(value).toISOString()})`
        : String(value);
    return [`${indent}${name.padEnd(24)} ${shown}`];
  });
}

async function sourcesOf(folder: string): Promise<Sources & { done: () => Promise<void> }> {
  if (!existsSync(join(folder, "deployment.json"))) {
    throw new NodeError("NO_VENUE", `no venue in ${folder}: deployment.json is missing`, { exitCode: ExitCode.usage });
  }
  const deployment = await readDeployment(join(folder, "deployment.json"));
  const run = readJsonFile(join(folder, "run.json"), runFileSchema);
  if (run === null)
    throw new NodeError("NO_VENUE", `no venue in ${folder}: run.json is missing`, { exitCode: ExitCode.usage });
  const { reader, done } = await openJournalOf(folder);
  const options: EngineOptions = { parameters: deployment.parameters, signatures: signer, config: engineConfigOf(run) };
  return { folder, deployment, reader, options, done };
}

export async function inspect(flags: Record<string, unknown>): Promise<ExitCode> {
  const what = String(flags["what"]);
  const look = LOOKS[what];
  const id = Number(flags["id"]);
  if (look === undefined)
    throw new NodeError("USAGE", `inspect knows batch, account and fill, not ${what}`, { exitCode: ExitCode.usage });
  if (!Number.isSafeInteger(id) || id < 0)
    throw new NodeError("USAGE", `a ${what} has a whole number from 0, not ${String(flags["id"])}`, {
      exitCode: ExitCode.usage,
    });
  const sources = await sourcesOf(resolve(String(flags["dataDir"])));
  try {
    const found = await look(sources, id);
    process.stdout.write(flags["json"] === true ? `${JSON.stringify(found)}\n` : `${linesOf(found).join("\n")}\n`);
    return ExitCode.ok;
  } finally {
    await sources.done();
  }
}
