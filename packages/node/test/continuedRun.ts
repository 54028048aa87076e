// A finished run that goes on in a test: the engine after the journal of an --out folder, and a source of cycles that begins with
// the journal's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Deployment, readDeployment } from "@tidemark/chain";
import { type Command, type CycleRecord, decodeCommand, Engine, silentSink } from "@tidemark/engine";
import { importJournal, openJournalReader, replay } from "@tidemark/journal";
import { CycleKind, domainSeparator, type Order, orderHash, reportHash } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import type { CycleSource, SourceCycle } from "@tidemark/settlement";
import { cycleSourceOf } from "../src/cycleSource.ts";
import type { RunFile } from "../src/dataFolder.ts";
import { floorKey } from "../src/market/traders.ts";
import { signer } from "../src/signatures/signer.ts";
import { oracleKeys } from "../src/venue/contracts.ts";
import { engineConfigOf } from "../src/venue/recovery.ts";

const ORDER_LIFE_MS = 3_600_000;
const FIRST_NONCE = 5_000_000;
const QUORUM = 2;

/** The engine takes plain numbers: it checks them. */
const as = <Branded>(value: number): Branded => value as Branded;

/** As accounts.json of a data folder names it. */
export interface FloorTrader {
  label: string;
  account: number;
}

export class ContinuedRun implements CycleSource {
  readonly engine: Engine;
  readonly deployment: Deployment;
  readonly #seed: number;
  readonly #cycles: SourceCycle[];
  #nonce = FIRST_NONCE;

  private constructor(engine: Engine, deployment: Deployment, seed: number, cycles: SourceCycle[]) {
    this.engine = engine;
    this.deployment = deployment;
    this.#seed = seed;
    this.#cycles = cycles;
  }

  /** `journal` is where the exported one is brought into. */
  static async open(out: string, journal: string): Promise<ContinuedRun> {
    const deployment = await readDeployment(join(out, "deployment.json"));
    const run = JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as RunFile;
    await importJournal(join(out, "journal.bin"), journal);
    const reader = openJournalReader(journal);
    const options = { parameters: deployment.parameters, signatures: signer, config: engineConfigOf(run) };
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
    const cycles = [...(await cycleSourceOf(reader).read(0, reader.cycleCount()))];
    await reader.close();
    return new ContinuedRun(engine, deployment, run.seed, cycles);
  }

  count(): number {
    return this.#cycles.length;
  }
  read(first: number, most: number): readonly SourceCycle[] {
    return this.#cycles.slice(first, first + most);
  }

  /** The same cycles with a wrong root in the place of the last `count`. */
  dishonest(count: number, root: `0x${string}`): CycleSource {
    const kept = this.#cycles.length - count;
    const cycles = this.#cycles
      .slice(0, kept + 1)
      .map((cycle, i) => (i === kept ? { ...cycle, postRoot: root } : cycle));
    return { count: () => cycles.length, read: (first, most) => cycles.slice(first, first + most) };
  }

  #apply(command: Command): void {
    const onCycle = (record: CycleRecord): void => {
      this.#cycles.push({ ...record, kind: CycleKind[record.kind] });
    };
    const answer = this.engine.apply(command, { ...silentSink, onCycle });
    if (!answer.ok) throw new Error(`refused: ${answer.code}`);
  }

  #place(trader: FloorTrader, instrument: number, size: number, limitPrice: number): void {
    const timeMs = this.engine.timeMs + 1;
    const order: Order = {
      domain: this.deployment.parameters.domain,
      account: as(trader.account),
      legs: [{ instrument: as(instrument), ratio: 1 }],
      size: as(size),
      limitPrice: as(limitPrice),
      maxFeePerLot: as(1_000_000_000),
      nonce: as(++this.#nonce),
      startMs: as(timeMs - 1),
      expiryMs: as(timeMs + ORDER_LIFE_MS),
      flags: 0,
    };
    const key = floorKey(this.#seed, trader.label);
    const digest = orderHash(order, domainSeparator(this.deployment.parameters));
    this.#apply({
      kind: "place",
      timeMs: as(timeMs),
      order,
      orderHash: bytesToHex(digest),
      signature: bytesToHex(signer.signCompact(digest, key)),
      signer: signer.addressOf(key),
      type: "limit",
      timeInForce: "gtc",
      postOnly: false,
    });
  }

  /** Two of the floor's takers trade at the mark. */
  trade(buyer: FloorTrader, seller: FloorTrader, instrument: number, lots: number): void {
    const cell = this.engine.ledger.instrument(as(instrument));
    if (cell === undefined) throw new Error(`there is no instrument ${instrument}`);
    const price = Math.floor((cell.row[0] as number) / cell.tickValueMicroUsdc);
    const before = this.engine.position(as(buyer.account), as(instrument));
    this.#place(seller, instrument, -lots, price);
    this.#place(buyer, instrument, lots, price);
    this.#apply({ kind: "checkpoint", timeMs: as(this.engine.timeMs) });
    const bought = this.engine.position(as(buyer.account), as(instrument)) - before;
    if (bought !== lots) throw new Error(`${bought} of ${lots} lots traded`);
  }

  /** The oracles say again what they said of the underlying. */
  report(underlying: number): void {
    const cell = this.engine.ledger.underlying(as(underlying));
    if (cell === undefined) throw new Error(`there is no underlying ${underlying}`);
    const timeMs = as<never>(this.engine.timeMs + 1_000);
    const content = {
      kind: "report" as const,
      timeMs,
      underlying: as<never>(underlying),
      reportMs: timeMs,
      index: cell.index,
      premium: as<never>(0),
      surfaces: cell.surfaces.filter(({ expiryMs }) => expiryMs > timeMs),
    };
    const { parameters } = this.deployment;
    const digest = reportHash({ ...content, signatures: [] }, parameters.domain, domainSeparator(parameters));
    const signatures = oracleKeys(this.#seed)
      .slice(0, QUORUM)
      .map(({ signer: place, privateKey }) => ({
        signer: place,
        signature: bytesToHex(signer.signCompact(digest, privateKey)),
      }));
    this.#apply({ ...content, signatures });
  }
}
