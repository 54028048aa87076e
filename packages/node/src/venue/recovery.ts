// Stage 4: the engine as the journal left it: newest snapshot, then every command after it.
import {
  type CycleRecord,
  decodeCommand,
  Engine,
  type EngineConfig,
  type EngineOptions,
  type EventSink,
  silentSink,
} from "@tidemark/engine";
import { type Journal, type JournalIdentity, openJournal, replay } from "@tidemark/journal";
import { CycleKind, LedgerState, type ParameterSet } from "@tidemark/ledger";
import { timestampMs } from "@tidemark/num";
import type { Config } from "../config.ts";
import type { ReceiptDesk } from "../receipts/desk.ts";
import { signer } from "../signatures/signer.ts";
import { type History, historyOf } from "./history.ts";

export interface Recovered {
  readonly journal: Journal;
  readonly engine: Engine;
  /** Commands that were applied again. */
  readonly replayed: number;
  readonly history: History;
  readonly receipts: ReceiptDesk;
}

export function engineConfigOf(config: Pick<Config, "cycleAgeMaxMs">): EngineConfig {
  return { cycleAgeMsMax: config.cycleAgeMaxMs, rowsFor: "listed" };
}

/** A cycle as the journal keeps it. */
export function storedCycle(record: CycleRecord): Parameters<Journal["putCycle"]>[0] {
  return { ...record, kind: CycleKind[record.kind], timeMs: timestampMs(record.timeMs) };
}

/** What a journal is checked against. */
export function venueIdentity(parameters: ParameterSet): JournalIdentity {
  return {
    venueId: `${parameters.chainId}:${parameters.verifyingContract}:${parameters.domain}`,
    genesisRoot: LedgerState.genesis(parameters).root(),
  };
}

export async function recover(
  directory: string,
  parameters: ParameterSet,
  config: Pick<Config, "cycleAgeMaxMs">,
  openReceipts: (ledger: () => LedgerState) => ReceiptDesk,
): Promise<Recovered> {
  const options: EngineOptions = { parameters, signatures: signer, config: engineConfigOf(config) };
  const journal = await openJournal(directory, {
    identity: venueIdentity(parameters),
  });
  let engine = Engine.create(options);
  const receipts = openReceipts(() => engine.ledger);
  // Cycles that the crash kept from the store are put again; the others must be the same to the byte.
  let openFills = 0;
  const sink: EventSink = {
    ...silentSink,
    ...receipts.book.events,
    onFill: (...fill) => {
      openFills++;
      receipts.book.events.onFill(...fill);
    },
    onLiquidationFill: (...fill) => {
      openFills++;
      receipts.book.events.onLiquidationFill(...fill);
    },
    onCycle: (record) => {
      // A snapshot follows a checkpoint, so every open fill was counted here.
      openFills -= record.fills;
      journal.putCycle(storedCycle(record));
    },
  };
  // From where the receipts on disk end, which may be before the newest snapshot: the others are made and signed again.
  const from = journal.latestSnapshot(receipts.storedSequence)?.sequence;
  const { applied } = replay(
    journal,
    {
      ...(from === undefined ? {} : { fromSnapshot: from }),
      restore: (snapshot) => {
        engine = Engine.restore(snapshot.bytes, options);
        receipts.restore(engine);
      },
    },
    (sequence, bytes) => {
      const command = decodeCommand(bytes);
      receipts.begin(sequence, command);
      engine.apply(command, sink);
    },
  );
  receipts.release(await journal.durable());
  return { journal, engine, replayed: applied, history: historyOf(journal, engine.ledger, openFills), receipts };
}
