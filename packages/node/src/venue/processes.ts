// The venue's other processes as the main process sees them: what the proposer posted, what the watcher verified.
import type { ProposerStatus, WatchStatus } from "@tidemark/chain";
import { type ClaimArguments, describeFault } from "@tidemark/settlement";
import { type Child, startChild } from "../child.ts";
import type { BatchMark, ChildMessage } from "../childMessages.ts";
import { reportLine } from "../commands/challengeText.ts";
import type { Config } from "../config.ts";
import type { DataFolder } from "../dataFolder.ts";
import type { NodeError } from "../errors.ts";
import { writeChallengerKey } from "./contracts.ts";

export interface ProcessesOptions {
  config: Config;
  folder: DataFolder;
  l1Url: string;
  onBatches: (batches: readonly BatchMark[], headSeconds: number) => void;
  onNews: (line: string) => void;
  onFatal: (error: NodeError) => void;
}

export class Processes {
  readonly #proposer: Child;
  readonly #watcher: Child;
  readonly #options: ProcessesOptions;
  readonly claims = new Map<number, ClaimArguments>();
  proposer: ProposerStatus | null = null;
  watch: WatchStatus | null = null;
  #faultTold = "";
  #stepTold = "";

  constructor(options: ProcessesOptions) {
    this.#options = options;
    const { config, folder, l1Url, onNews, onFatal } = options;
    writeChallengerKey(folder);
    const common = {
      restartDelayMs: config.restartDelayWallMs,
      onMessage: (message: ChildMessage) => this.#hear(message),
      onExit: (detail: string) => onNews(detail),
      onGiveUp: onFatal,
    };
    this.#proposer = startChild({
      ...common,
      name: "proposer",
      args: [
        ...["propose", "--data-dir", folder.path, "--l1", l1Url],
        ...["--batch-age-max-ms", String(config.batchAgeMaxMs), "--data-mode", config.dataMode],
      ],
    });
    this.#watcher = startChild({
      ...common,
      name: "watcher",
      args: [
        ...["watch", "--l1", l1Url, "--deployment", folder.deployment],
        ...["--key-file", folder.challengerKey, "--outbox", folder.challenger, "--ipc"],
        ...["--data-mode", config.dataMode],
      ],
    });
  }

  #hear(message: ChildMessage): void {
    switch (message.type) {
      case "proposer":
        this.#tellForeign(message.status);
        this.proposer = message.status;
        this.#options.onBatches(message.batches, message.status.headSeconds);
        break;
      case "watcher":
        this.#tellChallenge(message.status);
        this.watch = message.status;
        for (const claim of message.claims) this.claims.set(claim.withdrawalNumber, claim);
        break;
      case "retry":
        this.#options.onNews(`${message.code}: ${message.detail}`);
        break;
    }
  }

  #tellForeign({ foreign }: ProposerStatus): void {
    if (foreign === null || foreign.number === this.proposer?.foreign?.number) return;
    this.#options.onNews(`batch ${foreign.number} is not ours (${foreign.detail}): nothing is posted on top of it`);
  }

  /** A wrong batch that the watcher does something about is news; one that it cannot stop is the venue's end. */
  #tellChallenge(status: WatchStatus): void {
    const { onNews } = this.#options;
    const line = status.fault === null ? "" : describeFault(status.fault);
    if (line !== "" && line !== this.#faultTold) onNews(`FAULT ${line}`);
    this.#faultTold = line;
    const step = status.challenge?.step ?? "";
    if (status.challenge !== null && step !== this.#stepTold) onNews(reportLine(status.challenge));
    this.#stepTold = step;
    const dropped = status.batchesDropped - (this.watch?.batchesDropped ?? 0);
    if (dropped > 0) onNews(`the L1 dropped ${dropped} wrong ${dropped === 1 ? "batch" : "batches"}`);
  }

  get isFrozen(): boolean {
    return this.proposer?.frozen === true;
  }

  /** A fault that is being challenged, in one sentence. */
  get challenging(): string | null {
    const fault = this.watch?.fault ?? null;
    return fault === null || this.fault !== null ? null : describeFault(fault);
  }

  /** A fault that no challenge removes, in one sentence. */
  get fault(): string | null {
    const { fault = null, challenge = null } = this.watch ?? {};
    if (fault === null) return null;
    const isOver = challenge === null || challenge.step === "unprovable" || challenge.step === "convicted late";
    return isOver ? `${describeFault(fault)}${challenge === null ? "" : `; ${challenge.detail}`}` : null;
  }

  /** Post what there is, full batch or not. */
  flush(): void {
    this.#proposer.send({ type: "flush" });
  }

  async stop(): Promise<void> {
    await Promise.all([this.#proposer.stop(), this.#watcher.stop()]);
  }
}
