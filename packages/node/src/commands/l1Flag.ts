// The L1 that a command is pointed at: one that runs, or a node of our own on the state that a finished run left.
import { startEmbeddedL1 } from "@tidemark/chain";
import { ExitCode, NodeError } from "../errors.ts";

export interface FlaggedL1 {
  url: string;
  /** Makes a block on a node of our own, which nobody else does; null where others mine. */
  mine: ((timestampSeconds: number) => Promise<void>) | null;
  stop: () => Promise<void>;
}

export async function openFlaggedL1(flags: Record<string, unknown>): Promise<FlaggedL1> {
  const { l1, l1State } = flags;
  if ((l1 === undefined) === (l1State === undefined)) {
    throw new NodeError("USAGE", "give either --l1 <url> or --l1-state <file>", { exitCode: ExitCode.usage });
  }
  if (l1 !== undefined) return { url: String(l1), mine: null, stop: async () => undefined };
  const node = await startEmbeddedL1({ loadStateFile: String(l1State), endsWithProcess: true });
  return {
    url: node.url,
    mine: async (timestampSeconds) => void (await node.mine(timestampSeconds)),
    stop: () => node.stop(),
  };
}
