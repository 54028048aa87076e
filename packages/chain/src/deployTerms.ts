// Amounts and periods that a venue's contracts are made with, and what they are unless somebody says otherwise. The bond and
// the stake of a venue that holds value follow from what it holds: packages/finality/src/bond.ts.
import { unbondingSecondsFor } from "@tidemark/finality";

export interface VenueTerms {
  /** Finality window; the only one, and so the longest. */
  windowSeconds: number;
  /** From a batch's proof to its finality. */
  guardSeconds: number;
  bondWei: bigint;
  /** Time that the venue has for a forced entry. */
  forcedPeriodSeconds: number;
  /** Stake of a proposer, and what one conviction takes. The sequencer stakes the same for its receipts. */
  minimumStakeMicroUsdc: number;
  unbondingSeconds: number;
  turnSeconds: number;
  /** Silence after which anyone with a stake may post; below the deadline of forced entries. */
  openAfterSeconds: number;
  /** From a request to leave the insurance pool to the first moment of leaving, and how long that lasts. */
  cooldownSeconds: number;
  redeemSeconds: number;
  claimPeriodSeconds: number;
  receiptFixedPartMicroUsdc: number;
  receiptCapMicroUsdc: number;
  registrationSeconds: number;
  markSeconds: number;
  lateSeconds: number;
}

/** What has no default. */
export type GivenTerms = Pick<VenueTerms, "windowSeconds" | "bondWei" | "forcedPeriodSeconds"> & Partial<VenueTerms>;

const DAY_SECONDS = 86_400;
const USDC = 1_000_000;
/** The guard delay is that part of the window. */
const GUARD_DIVISOR = 3;
const TURN_SECONDS_MAX = 3_600;

export function venueTerms(given: GivenTerms, receiptPeriodMs: number): VenueTerms {
  const { windowSeconds, forcedPeriodSeconds } = given;
  const claimPeriodSeconds = given.claimPeriodSeconds ?? 7 * DAY_SECONDS;
  const receiptPeriodSeconds = Math.ceil(receiptPeriodMs / 1_000);
  const openAfterSeconds = given.openAfterSeconds ?? Math.ceil(forcedPeriodSeconds / 2);
  return {
    guardSeconds: Math.ceil(windowSeconds / GUARD_DIVISOR),
    minimumStakeMicroUsdc: 250_000 * USDC,
    unbondingSeconds: unbondingSecondsFor({
      windowSecondsMax: windowSeconds,
      receiptPeriodSeconds,
      claimPeriodSeconds,
    }),
    turnSeconds: Math.min(TURN_SECONDS_MAX, openAfterSeconds),
    cooldownSeconds: windowSeconds + DAY_SECONDS,
    redeemSeconds: 7 * DAY_SECONDS,
    receiptFixedPartMicroUsdc: 10 * USDC,
    receiptCapMicroUsdc: 10_000 * USDC,
    registrationSeconds: 14 * DAY_SECONDS,
    markSeconds: 2 * DAY_SECONDS,
    lateSeconds: 7 * DAY_SECONDS,
    ...given,
    claimPeriodSeconds,
    openAfterSeconds,
  };
}
