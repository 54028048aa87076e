// The proposer process: closed cycles from the journal to batches on the L1. Started by `up`; restarts resume from the L1.
import {
  connectL1,
  createProposer,
  developmentAccount,
  PROPOSER_POLICY_DEFAULT,
  readDeployment,
  runRounds,
} from "@tidemark/chain";
import { openJournalReader } from "@tidemark/journal";
import { blobsIn } from "../blobOptions.ts";
import { leaveParent, stopSignal, tellParent } from "../childMessages.ts";
import { cycleSourceOf } from "../cycleSource.ts";
import { existingDataFolder } from "../dataFolder.ts";
import { ExitCode } from "../errors.ts";
import { endProcess, proposersOf } from "../venue/leftovers.ts";

const INTERVAL_MS = 150;
/** The latest batches go to the parent in each round; older ones it has heard of. */
const MARKS_TOLD = 64;
/** Bonds of final batches come back now and then: the next ones need the money. */
const ROUNDS_BETWEEN_BONDS = 100;

export async function propose(flags: Record<string, unknown>): Promise<ExitCode> {
  const folder = existingDataFolder(String(flags["dataDir"]));
  let flush = false;
  // Before anything that takes long: a parent that is gone by then is not heard of later.
  const signal = stopSignal(() => {
    flush = true;
  });
  for (const processId of proposersOf(folder.path) ?? []) await endProcess(processId);
  const deployment = await readDeployment(folder.deployment);
  const client = await connectL1(String(flags["l1"]), deployment.chainId, { blobs: blobsIn(folder.path) });
  const reader = openJournalReader(folder.journal);
  const ageMaxMs = Number(flags["batchAgeMaxMs"] ?? PROPOSER_POLICY_DEFAULT.cut.ageMaxMs);
  const proposer = await createProposer({
    client,
    deployment,
    account: developmentAccount("proposer"),
    source: cycleSourceOf(reader),
    path: folder.proposer,
    inBlobs: flags["dataMode"] === "blob",
    policy: { ...PROPOSER_POLICY_DEFAULT, cut: { ...PROPOSER_POLICY_DEFAULT.cut, ageMaxMs } },
  });
  let rounds = 0;
  await runRounds(
    async () => {
      const status = await proposer.tick(flush);
      if (++rounds % ROUNDS_BETWEEN_BONDS === 0) await proposer.withdrawBonds();
      const batches = proposer.posted.slice(-MARKS_TOLD).map(({ number, header, postedAtSeconds }) => ({
        number,
        cycleEnd: header.firstCycle + header.cycleCount,
        postedSeconds: postedAtSeconds,
        final: number <= status.batchesFinal,
      }));
      tellParent({ type: "proposer", status, batches });
    },
    {
      signal,
      intervalMs: INTERVAL_MS,
      onRetry: (error) => tellParent({ type: "retry", code: error.code, detail: error.message }),
    },
  );
  await proposer.close();
  await reader.close();
  leaveParent();
  return ExitCode.ok;
}
