// Amounts and periods that a venue's contracts are made with, and what they are unless somebody says otherwise. Bond and stake
// follow from what a challenge costs and from what the venue holds (packages/finality/src/bond.ts); termsCheck.ts compares those
// that stand on an L1 with the same formulas.
import { bondWeiFor, stakeMicroUsdcFor, unbondingSecondsFor } from "@tidemark/finality";
import { type MicroUsdc, microUsdc, type PartsPerBillion, partsPerBillion } from "@tidemark/num";
import { CHALLENGE_GAS_MAX } from "./challengeCall.ts";

export interface VenueTerms {
  /** Finality window; the only one, and so the longest. */
  windowSeconds: number;
  /** From a batch's proof to its finality. */
  guardSeconds: number;
  /** Of every batch. */
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

/** What bond and stake are sized by. */
export interface VenueSizing {
  /** Of the dearest challenge. */
  challengeGas: number;
  /** Fee per gas at which that challenge must still pay for itself. */
  stressWeiPerGas: bigint;
  marginPpb: PartsPerBillion;
  /** What is left to a challenger beyond his cost. */
  bountyWei: bigint;
  /** Value that waits while a batch is not final: the vault, and at least this. */
  valueMicroUsdc: MicroUsdc;
  /** What waiting costs, a year. */
  ratePpb: PartsPerBillion;
}

/** 100 gwei is what blocks cost in the worst days of recent years; 1e9 USDC at 5% a year. */
export const VENUE_SIZING_DEFAULT: VenueSizing = {
  challengeGas: CHALLENGE_GAS_MAX,
  stressWeiPerGas: 100_000_000_000n,
  marginPpb: partsPerBillion(200_000_000),
  bountyWei: 5n * 10n ** 16n,
  valueMicroUsdc: microUsdc(10 ** 15),
  ratePpb: partsPerBillion(50_000_000),
};

/** What has no default. Amounts that are given are taken as they are, whatever the formulas say: termsCheck.ts tells. */
export type GivenTerms = Pick<VenueTerms, "windowSeconds" | "forcedPeriodSeconds"> &
  Partial<VenueTerms> & { sizing?: Partial<VenueSizing> };

const DAY_SECONDS = 86_400;
const USDC = 1_000_000;
/** The guard delay is that part of the window. */
const GUARD_DIVISOR = 3;
const TURN_SECONDS_MAX = 3_600;
/** With a short window V·r·W is next to nothing, but a conviction delays more than finality: it renews deadlines (security.md, O-3). */
export const STAKE_MICRO_USDC_MIN = 250_000 * USDC;

export function requiredBondWei({ challengeGas, ...cost }: VenueSizing): bigint {
  return bondWeiFor({ gas: challengeGas, ...cost });
}

export function requiredStakeMicroUsdc(sizing: VenueSizing, windowSeconds: number): number {
  return Math.max(STAKE_MICRO_USDC_MIN, stakeMicroUsdcFor({ ...sizing, windowSeconds }));
}

export function venueTerms({ sizing: asked, ...given }: GivenTerms, receiptPeriodMs: number): VenueTerms {
  const { windowSeconds, forcedPeriodSeconds } = given;
  const sizing = { ...VENUE_SIZING_DEFAULT, ...asked };
  const claimPeriodSeconds = given.claimPeriodSeconds ?? 7 * DAY_SECONDS;
  const receiptPeriodSeconds = Math.ceil(receiptPeriodMs / 1_000);
  const openAfterSeconds = given.openAfterSeconds ?? Math.ceil(forcedPeriodSeconds / 2);
  return {
    guardSeconds: Math.ceil(windowSeconds / GUARD_DIVISOR),
    bondWei: requiredBondWei(sizing),
    minimumStakeMicroUsdc: requiredStakeMicroUsdc(sizing, windowSeconds),
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
