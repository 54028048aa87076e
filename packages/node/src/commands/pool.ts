// `tidemark pool deposit|request|cancel|redeem|cover|hold|status`: shares of the insurance pool, and the bad debt that it pays.
import { createPoolClient, createWatcherClient, type PoolStatus } from "@tidemark/chain";
import type { LedgerState } from "@tidemark/ledger";
import { shortfallOf } from "@tidemark/settlement";
import { ExitCode, NodeError } from "../errors.ts";
import { signer } from "../signatures/signer.ts";
import { microUsdcOf, usdcText } from "../usdc.ts";
import { requiredAccountOf } from "./key.ts";
import { type StakeAccess, show, subjectOf, timeText, withAccess } from "./stakeAccess.ts";

type Flags = Record<string, unknown>;

const clientOf = ({ client, deployment, options }: StakeAccess) => createPoolClient(client, deployment, options);

/** Shares have six decimals more than the token: one whole share began as one USDC. */
const SHARES_PER_MICRO_USDC = 1_000_000n;
const sharesText = (shares: bigint): string => usdcText(shares / SHARES_PER_MICRO_USDC);

function requestText({ requestedShares, redeemFromSeconds, redeemUntilSeconds }: PoolStatus): string {
  if (requestedShares === 0n) return "none";
  return `${sharesText(requestedShares)} shares, redeemable from ${timeText(redeemFromSeconds)} to ${timeText(redeemUntilSeconds)}`;
}

async function shown(access: StakeAccess, flags: Flags): Promise<ExitCode> {
  const holder = subjectOf(flags);
  const status = await clientOf(access).status(holder);
  if (flags["json"] === true) return show({ holder, ...status }, flags);
  return show(
    {
      pool: `${usdcText(status.assetsMicroUsdc)} USDC, ${sharesText(status.totalShares)} shares${status.isHeld ? "; nothing can be redeemed at the moment" : ""}`,
      holder,
      shares: sharesText(status.shares),
      request: requestText(status),
      redeemable: `${sharesText(status.redeemableShares)} shares`,
      value: `${usdcText(status.valueMicroUsdc)} USDC`,
    },
    flags,
  );
}

export async function poolStatus(flags: Flags): Promise<ExitCode> {
  return withAccess(flags, (access) => shown(access, flags));
}

/** Shows the sender's shares afterwards. */
function sent(flags: Flags, act: (access: StakeAccess) => Promise<void>): Promise<ExitCode> {
  return withAccess(flags, async (access) => {
    await act(access);
    return shown(access, flags);
  });
}

/** Whole shares with up to six decimals; absent = all. */
function sharesOf(flags: Flags): bigint | "all" {
  const { shares } = flags;
  return shares === undefined ? "all" : microUsdcOf(String(shares)) * SHARES_PER_MICRO_USDC;
}

export async function poolDeposit(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  const amount = microUsdcOf(String(flags["amount"]));
  return sent(flags, (access) => clientOf(access).deposit(sender, amount));
}

export async function poolRequest(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  const shares = sharesOf(flags);
  return sent(flags, (access) => clientOf(access).requestRedeem(sender, shares));
}

export async function poolCancel(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  return sent(flags, (access) => clientOf(access).cancelRequest(sender));
}

export async function poolRedeem(flags: Flags): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  const shares = sharesOf(flags);
  return sent(flags, (access) => clientOf(access).redeem(sender, shares));
}

/** The state after the last final batch, or after the last posted one, re-executed from the L1 alone. */
async function stateAfter(
  { client, deployment }: StakeAccess,
  isFinal: boolean,
): Promise<{ batch: number; state: LedgerState }> {
  const ports = { signatures: signer };
  const watcher = await createWatcherClient({ client, deployment, ports, batchesPerRound: 1 });
  let wanted: number | null = null;
  for (;;) {
    const status = await watcher.tick();
    // Fixed at the first look: a venue that goes on posting would never be caught up with.
    wanted ??= isFinal ? status.batchesFinal : status.batchesPosted;
    if (watcher.core.tip.number >= wanted) return { batch: wanted, state: watcher.core.state };
    if (status.fault === null) continue;
    throw new NodeError("FAULT", `batch ${status.fault.batch} is wrong: challenge it (\`tidemark challenge\`) first`, {
      exitCode: ExitCode.invariantBroken,
    });
  }
}

async function shortfall(flags: Flags, isFinal: boolean): Promise<ExitCode> {
  const sender = requiredAccountOf(flags);
  return withAccess(flags, async (access) => {
    const { batch, state } = await stateAfter(access, isFinal);
    const missing = shortfallOf(state);
    process.stderr.write(`after batch ${batch} ${usdcText(BigInt(missing))} USDC of bad debt are not covered\n`);
    const pool = clientOf(access);
    // A state without a shortfall can still end a hold.
    if (missing === 0 && !(isFinal && (await pool.status(sender.address)).isHeld)) {
      return show({ batch, shortfallMicroUsdc: 0, outcome: "nothing to do" }, flags);
    }
    if (!(await pool.isUncovered(isFinal ? "cover" : "hold", batch, state))) {
      return show({ batch, shortfallMicroUsdc: missing, outcome: "paid before" }, flags);
    }
    if (!isFinal) {
      await pool.hold(sender, batch, state);
      return show({ batch, shortfallMicroUsdc: missing, outcome: "held" }, flags);
    }
    const before = (await pool.status(sender.address)).assetsMicroUsdc;
    await pool.cover(sender, batch, state);
    const paid = before - (await pool.status(sender.address)).assetsMicroUsdc;
    return show({ batch, shortfallMicroUsdc: missing, paidMicroUsdc: paid, outcome: "covered" }, flags);
  });
}

/** Has the pool pay the shortfall of the last final state. */
export function poolCover(flags: Flags): Promise<ExitCode> {
  return shortfall(flags, true);
}

/** Stops redemptions because of the shortfall of the last posted state. */
export function poolHold(flags: Flags): Promise<ExitCode> {
  return shortfall(flags, false);
}
