// Runs a random stream through an engine and counts what happened.
import { rejectionName } from "@tidemark/ledger";
import { type Command, type CommandResult, Engine, type EngineConfig, engineCodeName } from "../src/index.ts";
import { Flow, type FlowOptions } from "./flow.ts";
import { Recorder } from "./recorder.ts";
import { CONFIG, signatures, worldParameters } from "./world.ts";

/** Short receipts and rows for everything make rare codes reachable. */
export const STREAM_PARAMETERS = worldParameters({ receiptPeriodMs: 30_000 });

export interface StreamOptions extends FlowOptions {
  commands: number;
  config?: EngineConfig;
}

export class Stream {
  readonly engine: Engine;
  readonly recorder = new Recorder();
  readonly log: Command[] = [];
  readonly codes = new Map<string, number>();
  accepted = 0;
  readonly #flow: Flow;
  readonly options: StreamOptions;

  constructor(options: StreamOptions) {
    this.options = options;
    this.#flow = new Flow(options, STREAM_PARAMETERS);
    this.engine = createEngine(options.config);
  }

  /** Calls `after` behind every command; the result is reused by the engine. */
  run(after: (command: Command, result: CommandResult) => void = () => undefined): void {
    for (const command of this.#flow.opening()) this.#apply(command, after);
    for (let i = 0; i < this.options.commands; i++) this.#apply(this.#flow.next(this.engine), after);
  }

  #apply(command: Command, after: (command: Command, result: CommandResult) => void): void {
    this.log.push(command);
    const result = this.engine.apply(command, this.recorder);
    if (result.ok) this.accepted += 1;
    count(this.codes, `command ${command.kind}`);
    count(this.codes, `code ${result.code} ${nameOf(result.code)}`);
    after(command, result);
  }
}

export function nameOf(code: number): string {
  return engineCodeName(code) || (rejectionName(code) ?? "?");
}

export function createEngine(config: EngineConfig = CONFIG): Engine {
  return Engine.create({ parameters: STREAM_PARAMETERS, signatures, config });
}

export function restoreEngine(snapshot: Uint8Array, config: EngineConfig = CONFIG): Engine {
  return Engine.restore(snapshot, { parameters: STREAM_PARAMETERS, signatures, config });
}

export function count(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
