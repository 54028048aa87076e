// How much must be at stake: the bond of one batch and the stake of one proposer (reference/finality-notes.md §1.1).
import { assert, type MicroUsdc, microUsdc, mulDivCeil, type PartsPerBillion } from "@tidemark/num";

const BILLION = 1_000_000_000n;
const SECONDS_PER_YEAR = 365n * 86_400n;
/** Dispute.sol gives the challenger half of the bond and burns the rest. */
const BOND_PER_REWARD = 2n;
/** StakeRegistry.sol burns half of a stake; all else may come back to whoever convicts himself and owns the pool. */
const STAKE_PER_SURE_LOSS = 2n;

export interface ChallengeCost {
  /** The dearest challenge that the limits allow, and what a challenger tries before it. */
  gas: number;
  /** Fee per gas at which a challenge must still pay for itself. */
  stressWeiPerGas: bigint;
  marginPpb: PartsPerBillion;
  /** What is left to the challenger beyond his cost. */
  bountyWei: bigint;
}

/** Least bond of a batch: the challenger's half covers gas · stress price · (1 + margin) + bounty. Rounded up, for the challenger. */
export function bondWeiFor(cost: ChallengeCost): bigint {
  assert(Number.isSafeInteger(cost.gas) && cost.gas > 0, "bondWeiFor: gas");
  assert(cost.stressWeiPerGas > 0n && cost.bountyWei >= 0n && cost.marginPpb >= 0, "bondWeiFor: terms");
  const rewardWei =
    mulDivCeil(BigInt(cost.gas) * cost.stressWeiPerGas, BILLION + BigInt(cost.marginPpb), BILLION) + cost.bountyWei;
  return BOND_PER_REWARD * rewardWei;
}

export interface Delay {
  /** Value that waits while a batch is not final. */
  valueMicroUsdc: MicroUsdc;
  /** What waiting costs, a year. */
  ratePpb: PartsPerBillion;
  /** How long one fraudulent batch can hold everything up: the longest window. */
  windowSeconds: number;
}

/** V·r·W: what everybody together loses by waiting for one window. Rounded up, against the proposer. */
export function delayCostCeil({ valueMicroUsdc, ratePpb, windowSeconds }: Delay): MicroUsdc {
  assert(valueMicroUsdc >= 0 && ratePpb >= 0, "delayCostCeil: terms");
  assert(Number.isSafeInteger(windowSeconds) && windowSeconds > 0, "delayCostCeil: window");
  const yearly = BigInt(valueMicroUsdc) * BigInt(ratePpb);
  return microUsdc(Number(mulDivCeil(yearly, BigInt(windowSeconds), BILLION * SECONDS_PER_YEAR)));
}

/**
 * Least stake of a proposer: what one conviction surely costs covers the delay that one fraudulent batch can cause. A
 * proposer that convicts himself in the last moment of the window loses only the burnt half, so it is twice V·r·W.
 */
export function stakeMicroUsdcFor(delay: Delay): MicroUsdc {
  return microUsdc(Number(STAKE_PER_SURE_LOSS) * delayCostCeil(delay));
}

export interface Periods {
  windowSecondsMax: number;
  /** From a fill to the deadline of its receipt. */
  receiptPeriodSeconds: number;
  /** How long a broken receipt can be claimed once a final state shows it. */
  claimPeriodSeconds: number;
}

/**
 * Least unbonding time: a receipt signed in the last moment before the request falls due, a later batch becomes final, and
 * the claim is made before the stake can leave. The first claim then locks the stake by itself.
 */
export function unbondingSecondsFor({ windowSecondsMax, receiptPeriodSeconds, claimPeriodSeconds }: Periods): number {
  const periods = [windowSecondsMax, receiptPeriodSeconds, claimPeriodSeconds];
  assert(
    periods.every((seconds) => Number.isSafeInteger(seconds) && seconds >= 0),
    "unbondingSecondsFor: periods",
  );
  // A drop moves a deadline by up to a receipt period. A batch that shows it may be posted a window after it, and takes
  // another to become final.
  return 2 * windowSecondsMax + 2 * receiptPeriodSeconds + claimPeriodSeconds + 1;
}
