// `tidemark stake deposit|unbond|withdraw|distribute|status`: the stake of a proposer or of the sequencer.
import { batchChainAbi, createStakeClient, l1Call, type SlashRecord, type StakeStatus } from "@tidemark/chain";
import { zeroAddress } from "viem";
import type { ExitCode } from "../errors.ts";
import { microUsdcOf, usdcText } from "../usdc.ts";
import { requiredAccountOf } from "./key.ts";
import { addressOf, type StakeAccess, show, subjectOf, timeText, withAccess } from "./stakeAccess.ts";

type Flags = Record<string, unknown>;

const clientOf = ({ client, deployment, options }: StakeAccess) => createStakeClient(client, deployment, options);

async function nextBatch({ client, deployment }: StakeAccess): Promise<number> {
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const last = await l1Call("last batch", () => client.readContract({ ...chain, functionName: "lastNumber" }));
  return Number(last) + 1;
}

const place = ({ place: at }: StakeStatus): string => (at === null ? "takes no turns" : `place ${at}`);

const slashText = ({ staker, batchNumber, takenMicroUsdc, beneficiary, atSeconds }: SlashRecord): string =>
  `${timeText(atSeconds)} ${staker} ${batchNumber === 0 ? "broken promise" : `batch ${batchNumber}`} ${usdcText(takenMicroUsdc)} USDC, ${beneficiary}`;

async function shown(access: StakeAccess, flags: Flags): Promise<ExitCode> {
  const staker = subjectOf(flags);
  const client = clientOf(access);
  const number = await nextBatch(access);
  const [status, active, slashes] = await Promise.all([
    client.status(staker, number),
    client.activeSet(),
    client.slashes(),
  ]);
  if (flags["json"] === true) return show({ staker, nextBatch: number, ...status, activeSet: active, slashes }, flags);
  return show(
    {
      staker,
      bonded: `${usdcText(status.bondedMicroUsdc)} USDC (a proposer needs ${usdcText(status.minimumMicroUsdc)})`,
      unbonding: `${usdcText(status.unbondingMicroUsdc)} USDC, released ${timeText(status.releaseAtSeconds)}`,
      locked: timeText(status.lockedUntilSeconds),
      turns: `${place(status)}; ${status.mayPostNow ? "may" : "may not"} post batch ${number} now`,
      "whose turn": status.turn === zeroAddress ? "nobody takes turns" : status.turn,
      "active set": active.join(" "),
      reward: `${usdcText(status.rewardDueMicroUsdc)} USDC to be paid by \`stake distribute\``,
      slashes: slashes.length === 0 ? "none" : slashes.map(slashText).join("; "),
    },
    flags,
  );
}

export async function stakeStatus(flags: Flags): Promise<ExitCode> {
  return withAccess(flags, (access) => shown(access, flags));
}

/** Shows the sender's stake afterwards. */
function sent(flags: Flags, act: (access: StakeAccess) => Promise<void>): Promise<ExitCode> {
  return withAccess(flags, async (access) => {
    await act(access);
    return shown(access, { ...flags, address: flags["for"] ?? requiredAccountOf(flags).address });
  });
}

export async function stakeDeposit(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  const amount = microUsdcOf(String(flags["amount"]));
  const staker = flags["for"] === undefined ? sender.address : addressOf(String(flags["for"]));
  return sent(flags, (access) => clientOf(access).deposit(sender, amount, staker));
}

export async function stakeUnbond(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  const amount = microUsdcOf(String(flags["amount"]));
  return sent(flags, (access) => clientOf(access).requestUnbond(sender, amount));
}

export async function stakeWithdraw(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  return sent(flags, (access) => clientOf(access).withdraw(sender));
}

/** Burns what is to be burnt, pays the pool, and pays the sender, or whom he names, his part of a conviction. */
export async function stakeDistribute(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  return sent(flags, (access) => clientOf(access).distribute(sender, subjectOf(flags)));
}
