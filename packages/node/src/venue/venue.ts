// The clock of the venue: one step of the market after the other, each in the same order, each durable before the next.
import { setTimeout as sleep, setImmediate as yieldTurn } from "node:timers/promises";
import type { Deployment } from "@tidemark/chain";
import type { Command, Engine } from "@tidemark/engine";
import type { Journal } from "@tidemark/journal";
import { type TimestampMs, timestampMs } from "@tidemark/num";
import type { Config } from "../config.ts";
import { type DataFolder, writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import type { FloorCommand, VenueView } from "../market/desk.ts";
import type { MarketSource } from "../market/source.ts";
import type { TradingFloor } from "../market/traders.ts";
import type { ReceiptDesk } from "../receipts/desk.ts";
import type { Exposure } from "../receipts/exposure.ts";
import type { Sequencer } from "../sequencer.ts";
import { conservationGap, statusJson, type VenueStatus } from "../status.ts";
import type { Tally } from "../tally.ts";
import type { Claims } from "./claims.ts";
import { GateCode, type Gatekeeper, isOrder } from "./gatekeeper.ts";
import type { InboundFeed } from "./inbound.ts";
import type { VenueL1 } from "./l1.ts";
import type { Outlet } from "./outlet.ts";
import type { Processes } from "./processes.ts";
import type { Schedule } from "./schedule.ts";
import type { SeriesLister } from "./seriesLister.ts";
import { statusOf } from "./statusOf.ts";
import type { VaultBooks } from "./vault.ts";

export interface VenueParts {
  config: Config;
  folder: DataFolder;
  source: MarketSource;
  l1: VenueL1;
  deployment: Deployment;
  journal: Journal;
  engine: Engine;
  floor: TradingFloor;
  view: VenueView;
  gatekeeper: Gatekeeper;
  inbound: InboundFeed;
  schedule: Schedule;
  lister: SeriesLister;
  tally: Tally;
  outlet: Outlet;
  receipts: ReceiptDesk;
  exposure: Exposure;
  sequencer: Sequencer;
  processes: Processes;
  claims: Claims;
  vault: VaultBooks;
}

export type ShowStatus = (status: VenueStatus) => void;

const STATUS_WALL_MS = 500;
const VAULT_WALL_MS = 1_000;
/** The L1's clock moves by this share of the window in each step while everything becomes final. */
const DRAIN_WINDOW_SHARE = 0.1;
/** Without anything being posted, verified, final or claimed. */
const DRAIN_IDLE_WALL_MS_MAX = 120_000;
const COMMANDS_BETWEEN_YIELDS = 32;
const OVERTIME_FACTOR = 3;
const OVERTIME_SECONDS = 30;

export class Venue {
  readonly parts: VenueParts;
  phase = "opening";
  #timeMs: number;
  #startedWallMs = Date.now();
  #failure: Error | null = null;
  #stopRequested = false;
  #statusWallMs = 0;
  #vaultWallMs = 0;
  #snapshotSequence: number;
  #sinceYield = 0;
  #steps = 0;
  #isAdmitting = true;
  /** The last moment of trading: what the picture in the docs shows. */
  tradingStatus: VenueStatus | null = null;

  constructor(parts: VenueParts) {
    this.parts = parts;
    this.#timeMs = Math.max(parts.source.startMs, parts.engine.timeMs);
    this.#snapshotSequence = parts.journal.lastSequence();
    parts.journal.onDurable((sequence) => parts.outlet.release(sequence));
    parts.journal.onFailure((error) => this.fail(error));
  }

  get timeMs(): number {
    return this.#timeMs;
  }
  get wallSeconds(): number {
    return (Date.now() - this.#startedWallMs) / 1_000;
  }
  /** Seconds of trading so far as the machine should need them: on a slow one they take longer on the wall. */
  get tradedSeconds(): number {
    return (this.#steps * this.parts.config.stepWallMs) / 1_000;
  }

  /** Stops the venue at the next step; the first failure is the one that counts. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Ends the trading at the next step. */
  requestStop(): void {
    this.#stopRequested = true;
  }

  /**
   * Trades until the steps of `seconds` are done, the data end, or a stop is requested. Steps are counted, not the wall's seconds, so that
   * a slow machine trades the same market; it gives up after OVERTIME_FACTOR times the seconds.
   */
  async trade(seconds: number | null, show: ShowStatus): Promise<void> {
    const { config, source } = this.parts;
    this.phase = "trading";
    this.#startedWallMs = Date.now();
    let nextWallMs = Date.now();
    this.#steps = 0;
    while (
      !this.#stopRequested &&
      !this.parts.processes.isFrozen &&
      (seconds === null || this.tradedSeconds < seconds)
    ) {
      if (seconds !== null && this.wallSeconds > OVERTIME_FACTOR * seconds + OVERTIME_SECONDS) {
        this.parts.tally.tell(
          `this machine is too slow: ${this.tradedSeconds.toFixed(0)} of ${seconds} seconds traded`,
        );
        break;
      }
      this.#steps++;
      const { timeMs, jump } = source.clock(this.#timeMs + Math.max(1, Math.round(config.speed * config.stepWallMs)));
      if (timeMs > source.endMs) {
        this.parts.tally.tell("the recorded data end here");
        break;
      }
      if (jump !== null)
        this.parts.tally.tell(`new trading day: the data jump from ${iso(jump.fromMs)} to ${iso(jump.toMs)}`);
      this.#timeMs = timeMs;
      await this.#step(true);
      await this.#show(show, seconds);
      nextWallMs = Math.max(nextWallMs + config.stepWallMs, Date.now() - config.stepWallMs);
      await sleep(Math.max(0, nextWallMs - Date.now()));
    }
    this.#throwFailure();
    if (this.parts.processes.isFrozen) await this.#standFrozen(seconds !== null, show);
  }

  /**
   * Nothing that is executed now could settle. The L1 of our own goes on, so that what was posted becomes final and everybody can
   * leave, until a stop is requested.
   */
  async #standFrozen(isOnce: boolean, show: ShowStatus): Promise<never> {
    const { config, tally, l1 } = this.parts;
    this.phase = "frozen";
    const message = "the custody is frozen: trading has ended and nothing is posted any more; `tidemark escape` pays";
    tally.tell(message);
    this.#statusWallMs = 0;
    await this.#show(show, null);
    while (!isOnce && !this.#stopRequested) {
      this.#throwFailure();
      this.#timeMs += Math.max(1, Math.round(config.speed * config.stepWallMs));
      await l1.embedded.mine(Math.floor(this.#timeMs / 1_000));
      await this.#show(show, null);
      await sleep(config.stepWallMs);
    }
    throw new NodeError("VENUE_FROZEN", message, { exitCode: ExitCode.invariantBroken });
  }

  async #step(trading: boolean): Promise<void> {
    this.#throwFailure();
    const { l1, inbound, schedule, floor, view, gatekeeper, sequencer, tally, claims, processes, lister } = this.parts;
    const timeMs = timestampMs(this.#timeMs);
    await l1.embedded.mine(Math.floor(timeMs / 1_000));
    for (const command of await inbound.poll(timeMs)) this.#submit(command);
    if (trading) {
      for (const command of schedule.due(timeMs)) await this.#submitYielding(command);
      this.#tellAdmission();
      for (const command of await gatekeeper.admit(floor.step(timeMs, view))) {
        if (!this.#refuses(command)) await this.#submitYielding(command);
      }
      lister.advance(timeMs);
    }
    this.#submit({ kind: "tick", timeMs });
    await sequencer.settled();
    claims.advance(processes);
    await this.#snapshotWhenDue(timeMs);
    if (processes.fault !== null) {
      this.fail(new NodeError("WATCHER_FAULT", processes.fault, { exitCode: ExitCode.invariantBroken }));
    }
    tally.venueTimeMs = timeMs;
  }

  /** Whether an order is turned away because the stake does not cover what may come of it. */
  #refuses(command: FloorCommand): boolean {
    const { exposure, outlet } = this.parts;
    if (exposure.isAdmitting || !isOrder(command)) return false;
    exposure.refused++;
    outlet.refuse(GateCode.unpostedNotional, command.order.account, command.order.nonce);
    return true;
  }

  #tellAdmission(): void {
    const { exposure, processes, tally } = this.parts;
    const { proposer } = processes;
    if (proposer !== null) exposure.advance(proposer.cyclesPosted, proposer.cyclesFinal);
    if (exposure.isAdmitting === this.#isAdmitting) return;
    this.#isAdmitting = exposure.isAdmitting;
    tally.tell(
      this.#isAdmitting
        ? "new orders are taken again: the stake covers what is not posted"
        : "no new orders: fills that are not posted are worth more than the sequencer's stake covers",
    );
  }

  #submit(command: Command): void {
    const { tally, sequencer, receipts } = this.parts;
    tally.beginCommand(sequencer.nextSequence, command.timeMs);
    receipts.begin(sequencer.nextSequence, command);
    sequencer.submit(command);
  }

  /** The disk writes beside the engine: without a turn of the event loop now and then it could not report. */
  async #submitYielding(command: Command): Promise<void> {
    this.#submit(command);
    if (++this.#sinceYield < COMMANDS_BETWEEN_YIELDS) return;
    this.#sinceYield = 0;
    await yieldTurn();
  }

  async #snapshotWhenDue(timeMs: TimestampMs): Promise<void> {
    const { journal, config } = this.parts;
    if (journal.lastSequence() - this.#snapshotSequence < config.snapshotEveryCommands) return;
    await this.#snapshot(timeMs);
  }

  async #snapshot(timeMs: TimestampMs): Promise<void> {
    const { journal, engine, receipts } = this.parts;
    this.#submit({ kind: "checkpoint", timeMs });
    this.#snapshotSequence = journal.lastSequence();
    await journal.writeSnapshot(this.#snapshotSequence, engine.snapshot());
    // Everything up to the snapshot is durable, so its receipts were released: a recovery may begin here.
    await receipts.checkpoint(this.#snapshotSequence, timeMs);
  }

  async #show(show: ShowStatus, secondsTotal: number | null): Promise<void> {
    const now = Date.now();
    if (now - this.#statusWallMs < STATUS_WALL_MS) return;
    this.#statusWallMs = now;
    if (now - this.#vaultWallMs >= VAULT_WALL_MS) {
      this.#vaultWallMs = now;
      await this.parts.vault.refresh();
      await this.parts.exposure.refresh();
    }
    let status = statusOf(this, secondsTotal);
    if (conservationGap(status.conservation) !== 0n) {
      // The ledger may have consumed what the vault's books have not read yet.
      await this.parts.vault.refresh();
      status = statusOf(this, secondsTotal);
    }
    if (this.phase === "trading") this.tradingStatus = status;
    show(status);
    writeFileWhole(this.parts.folder.status, statusJson(status));
    const gap = conservationGap(status.conservation);
    // Whom the escape pays, the ledger of a frozen venue does not hear of.
    if (gap !== 0n && this.phase !== "frozen") {
      // Money that the L1 took back is the cause, where that is what happened.
      await this.parts.inbound.checkFinalised();
      this.fail(
        new NodeError("CONSERVATION", `the vault and the ledger differ by ${gap} micro-USDC`, {
          exitCode: ExitCode.invariantBroken,
        }),
      );
    }
  }

  /** No more trading: everything executed becomes posted, verified, final and claimed. */
  async drain(show: ShowStatus): Promise<void> {
    const { config, processes } = this.parts;
    this.phase = "becoming final";
    // The snapshot makes a run short to continue and gives its replay a second beginning.
    await this.#snapshot(timestampMs(this.#timeMs));
    await this.parts.sequencer.settled();
    processes.flush();
    let deadline = 0;
    for (let state = ""; !this.#allFinal(); ) {
      if (state !== this.#drainState()) deadline = Date.now() + DRAIN_IDLE_WALL_MS_MAX;
      state = this.#drainState();
      if (Date.now() > deadline) {
        throw new NodeError("DRAIN_TIMEOUT", `not everything became final: ${this.#drainState()}`, {
          exitCode: ExitCode.invariantBroken,
        });
      }
      if (processes.isFrozen) await this.#standFrozen(true, show);
      this.#timeMs += Math.round(config.windowSeconds * 1_000 * DRAIN_WINDOW_SHARE);
      await this.#step(false);
      processes.flush();
      await this.#show(show, null);
      await sleep(config.stepWallMs);
    }
    this.phase = "final";
    await this.parts.vault.refresh();
    this.#statusWallMs = 0;
    await this.#show(show, null);
    this.#throwFailure();
  }

  #allFinal(): boolean {
    const { processes, engine, tally, vault, claims } = this.parts;
    const { proposer, watch } = processes;
    return (
      proposer !== null &&
      watch !== null &&
      !engine.hasOpenCycle &&
      proposer.cyclesFinal === engine.cycleIndex &&
      watch.cyclesCompared === engine.cycleIndex &&
      tally.fillsFinal === tally.fills &&
      !claims.busy &&
      vault.claimedCount + claims.setAsideCount === engine.ledger.globals.outboxCount
    );
  }

  #drainState(): string {
    const { processes, engine, tally, vault, claims } = this.parts;
    const { proposer, watch } = processes;
    return (
      `${engine.cycleIndex} cycles closed, ${proposer?.cyclesPosted ?? 0} posted, ${proposer?.cyclesFinal ?? 0} final, ${watch?.cyclesCompared ?? 0} verified, ` +
      `${tally.fills} fills, ${tally.fillsFinal} final, ${engine.ledger.globals.outboxCount} withdrawals, ${vault.claimedCount} claimed, ${claims.setAsideCount} refused by the L1`
    );
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Closes everything; what is enqueued reaches the disk first. */
  async close(): Promise<void> {
    const { processes, gatekeeper, journal, l1, receipts } = this.parts;
    await processes.stop();
    await gatekeeper.close();
    await journal.close();
    await receipts.close();
    await l1.stop();
  }
}

const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16)}Z`;
