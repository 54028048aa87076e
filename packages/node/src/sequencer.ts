// The one entrance of the engine: gives a command its place in the log, journals it and applies it.
import { type Command, type CommandResult, type Engine, type EventSink, encodeCommand } from "@tidemark/engine";
import type { Journal } from "@tidemark/journal";

export class Sequencer {
  private readonly engine: Engine;
  private readonly journal: Journal;
  private readonly sink: EventSink;
  private behind = false;

  constructor(parts: { engine: Engine; journal: Journal; sink: EventSink }) {
    this.engine = parts.engine;
    this.journal = parts.journal;
    this.sink = parts.sink;
  }

  /** The next command's place in the log. */
  get nextSequence(): number {
    return this.journal.lastSequence() + 1;
  }

  /** Nothing that follows from the result may leave the house before the journal says that the sequence is durable. */
  submit(command: Command): CommandResult {
    if (!this.journal.append(this.nextSequence, encodeCommand(command))) this.behind = true;
    return this.engine.apply(command, this.sink);
  }

  /** Waits while the disk is behind, then until everything submitted is on it. */
  async settled(): Promise<number> {
    if (this.behind) await this.journal.drained();
    this.behind = false;
    return this.journal.durable();
  }
}
