// What the venue's processes say to each other. Nothing here is needed for safety: a child that hears nothing still does its work.
import type { ProposerStatus, WatchStatus } from "@tidemark/chain";
import type { ClaimArguments } from "@tidemark/settlement";

export type ChildMessage =
  | { type: "proposer"; status: ProposerStatus; batches: BatchMark[] }
  | { type: "watcher"; status: WatchStatus; claims: ClaimArguments[] }
  | { type: "retry"; code: string; detail: string };

/** Where a posted batch ends in the venue's history, and the time of its block. */
export interface BatchMark {
  number: number;
  cycleEnd: number;
  postedSeconds: number;
  final: boolean;
}

export type ParentMessage = { type: "flush" } | { type: "stop" };

export function tellParent(message: ChildMessage): void {
  process.send?.(message);
}

/** Aborts on SIGTERM, SIGINT, a stop message, and when the parent is gone. */
export function stopSignal(onFlush: () => void): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  process.once("SIGTERM", stop);
  process.on("SIGINT", () => {
    // The terminal sends it to the whole group; the parent decides when its children stop.
    if (process.send === undefined) stop();
  });
  if (process.send !== undefined) process.once("disconnect", stop);
  process.on("message", (message: ParentMessage) => {
    if (message.type === "stop") stop();
    else onFlush();
  });
  return controller.signal;
}

/** Lets the process end although the channel to the parent is open. */
export function leaveParent(): void {
  if (process.connected) process.disconnect();
}
