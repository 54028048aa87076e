// Sends new series to the L1 until the ledger holds them: a listing that a crash or a reorg swallowed is sent again.
import {
  ChainError,
  createCustodyClient,
  type Deployment,
  type L1Client,
  type SeriesListing as L1Listing,
} from "@tidemark/chain";
import type { Engine } from "@tidemark/engine";
import type { MarketSource, SeriesListing } from "../market/source.ts";
import { OPERATOR } from "./contracts.ts";

/** Steps, and with them blocks, in which a sent listing becomes final and is consumed; later it counts as lost. */
const STEPS_TO_LEDGER_MAX = 40;
const RECEIPT_TIMEOUT_MS = 10_000;

export function l1Listing(series: SeriesListing): L1Listing {
  return { underlying: series.underlying, expiryMs: series.expiryMs, strikesMicroUsd: series.strikes };
}

const keyOf = (series: { underlying: number; expiryMs: number }): string => `${series.underlying}/${series.expiryMs}`;

export class SeriesLister {
  readonly #custody: ReturnType<typeof createCustodyClient>;
  readonly #engine: Engine;
  readonly #source: MarketSource;
  /** Known to the source and not yet seen in the ledger, with the step of the last sending. */
  readonly #wanted = new Map<string, { series: SeriesListing; sentStep: number | null }>();
  #listedToMs = Number.NEGATIVE_INFINITY;
  #instrumentsSeen = 0;
  #step = 0;
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(parts: { client: L1Client; deployment: Deployment; engine: Engine; source: MarketSource }) {
    this.#custody = createCustodyClient(parts.client, parts.deployment, { timeoutMs: RECEIPT_TIMEOUT_MS });
    this.#engine = parts.engine;
    this.#source = parts.source;
  }

  /** Looks for series that became known and starts sending what is missing. @throws what the sending before failed with */
  advance(timeMs: number): void {
    if (this.#failure !== null) throw this.#failure;
    this.#step++;
    for (const series of this.#source.listings(this.#listedToMs, timeMs)) {
      // What was known at the start may be on its way since an earlier life: sent twice it would be listed twice.
      const sentStep = this.#listedToMs === Number.NEGATIVE_INFINITY ? this.#step : null;
      this.#wanted.set(keyOf(series), { series, sentStep });
    }
    this.#listedToMs = timeMs;
    // Read from the start at first, so that nothing which an earlier life listed is sent again.
    const { ledger } = this.#engine;
    for (; this.#instrumentsSeen < ledger.instrumentCount; this.#instrumentsSeen++) {
      const cell = ledger.instrument(this.#instrumentsSeen);
      if (cell !== undefined) this.#wanted.delete(keyOf(cell));
    }
    if (this.#running !== null) return;
    const due = [...this.#wanted.values()].filter(
      ({ series, sentStep }) =>
        (series.expiryMs === 0 || series.expiryMs > timeMs) &&
        (sentStep === null || this.#step - sentStep > STEPS_TO_LEDGER_MAX),
    );
    if (due.length === 0) return;
    for (const entry of due) entry.sentStep = this.#step;
    this.#running = this.#custody
      .listSeries(
        OPERATOR.lister,
        due.map(({ series }) => l1Listing(series)),
      )
      .catch((error: unknown) => {
        // Whatever a later sending may get through is left to it.
        if (!(error instanceof ChainError) || !error.retryable) this.#failure = error;
      })
      .finally(() => {
        this.#running = null;
      });
  }
}
