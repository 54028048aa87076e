// The venue's other processes as the main process sees them: what the proposer posted, what the watcher verified.
import type { ProposerStatus, WatchStatus } from "@tidemark/chain";
import { type ClaimArguments, describeFault } from "@tidemark/settlement";
import { type Child, startChild } from "../child.ts";
import type { BatchMark, ChildMessage } from "../childMessages.ts";
import type { Config } from "../config.ts";
import type { DataFolder } from "../dataFolder.ts";
import type { NodeError } from "../errors.ts";

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

  constructor(options: ProcessesOptions) {
    this.#options = options;
    const { config, folder, l1Url, onNews, onFatal } = options;
    const common = {
      restartDelayMs: config.restartDelayWallMs,
      onMessage: (message: ChildMessage) => this.#hear(message),
      onExit: (detail: string) => onNews(detail),
      onGiveUp: onFatal,
    };
    this.#proposer = startChild({
      ...common,
      name: "proposer",
      args: ["propose", "--data-dir", folder.path, "--l1", l1Url, "--batch-age-max-ms", String(config.batchAgeMaxMs)],
    });
    this.#watcher = startChild({
      ...common,
      name: "watcher",
      args: ["watch", "--l1", l1Url, "--deployment", folder.deployment, "--ipc"],
    });
  }

  #hear(message: ChildMessage): void {
    switch (message.type) {
      case "proposer":
        this.proposer = message.status;
        this.#options.onBatches(message.batches, message.status.headSeconds);
        break;
      case "watcher":
        this.watch = message.status;
        for (const claim of message.claims) this.claims.set(claim.withdrawalNumber, claim);
        break;
      case "retry":
        this.#options.onNews(`${message.code}: ${message.detail}`);
        break;
    }
  }

  /** The first fault that the watcher found, in one sentence. */
  get fault(): string | null {
    return this.watch?.fault == null ? null : describeFault(this.watch.fault);
  }

  /** Post what there is, full batch or not. */
  flush(): void {
    this.#proposer.send({ type: "flush" });
  }

  async stop(): Promise<void> {
    await Promise.all([this.#proposer.stop(), this.#watcher.stop()]);
  }
}
