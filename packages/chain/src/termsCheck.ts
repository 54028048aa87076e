// Whether the bond, the stake and the unbonding time that stand on an L1 are what the formulas ask for, by what the vault holds now.
import { unbondingSecondsFor } from "@tidemark/finality";
import { microUsdc } from "@tidemark/num";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { requiredBondWei, requiredStakeMicroUsdc, VENUE_SIZING_DEFAULT, type VenueSizing } from "./deployTerms.ts";
import { ChainError, l1Call } from "./errors.ts";
import { batchChainAbi, testUsdcAbi } from "./generated/contracts.ts";
import { receiptCourtAbi } from "./generated/receipts.ts";
import { stakeRegistryAbi } from "./generated/stake.ts";

/** As the contracts have them. */
export interface StandingTerms {
  bondWei: bigint;
  minimumStakeMicroUsdc: number;
  unbondingSeconds: number;
  windowSeconds: number;
  claimPeriodSeconds: number;
  /** What the custody holds. */
  vaultMicroUsdc: number;
}

export interface TermShortfall {
  term: "bond" | "stake" | "unbonding";
  required: bigint;
  standing: bigint;
  /** With units, and what it is for. */
  text: string;
}

/** @throws ChainError L1_UNREACHABLE | L1_REFUSED */
export function readStandingTerms(client: L1Client, deployment: Deployment): Promise<StandingTerms> {
  const registry = { address: deployment.stakeRegistry, abi: stakeRegistryAbi } as const;
  const { batchChain, receiptCourt, token, custody } = deployment;
  return l1Call("bond and stakes", async () => {
    const [bondWei, minimumStake, unbonding, window, claimPeriod, vault] = await Promise.all([
      client.readContract({ address: batchChain, abi: batchChainAbi, functionName: "bondWei" }),
      client.readContract({ ...registry, functionName: "minimumStake" }),
      client.readContract({ ...registry, functionName: "unbondingSeconds" }),
      client.readContract({ ...registry, functionName: "windowSecondsMax" }),
      client.readContract({ address: receiptCourt, abi: receiptCourtAbi, functionName: "claimPeriodSeconds" }),
      client.readContract({ address: token, abi: testUsdcAbi, functionName: "balanceOf", args: [custody] }),
    ]);
    return {
      bondWei,
      minimumStakeMicroUsdc: Number(minimumStake),
      unbondingSeconds: Number(unbonding),
      windowSeconds: Number(window),
      claimPeriodSeconds: Number(claimPeriod),
      vaultMicroUsdc: Number(vault),
    };
  });
}

const ether = (wei: bigint): string => `${Number(wei) / 1e18} ETH`;
const dollars = (micro: bigint): string => `${Number(micro) / 1e6} USDC`;
const seconds = (value: bigint): string => `${value} s`;

/** What falls short of the formulas; empty for terms that suffice. */
export function termShortfalls(
  standing: StandingTerms,
  receiptPeriodMs: number,
  asked: Partial<VenueSizing> = {},
): TermShortfall[] {
  const sizing = { ...VENUE_SIZING_DEFAULT, ...asked };
  const valueMicroUsdc = microUsdc(Math.max(sizing.valueMicroUsdc, standing.vaultMicroUsdc));
  const { windowSeconds, claimPeriodSeconds } = standing;
  const receiptPeriodSeconds = Math.ceil(receiptPeriodMs / 1_000);
  const unbonding = unbondingSecondsFor({ windowSecondsMax: windowSeconds, receiptPeriodSeconds, claimPeriodSeconds });
  const stake = requiredStakeMicroUsdc({ ...sizing, valueMicroUsdc }, windowSeconds);
  const shortfalls: TermShortfall[] = [];
  const add = (
    term: TermShortfall["term"],
    required: bigint,
    stands: bigint,
    unit: (value: bigint) => string,
    why: string,
  ) => {
    if (stands >= required) return;
    const text = `${term} is ${unit(stands)}, needs ${unit(required)}: ${why}`;
    shortfalls.push({ term, required, standing: stands, text });
  };
  const gwei = Number(sizing.stressWeiPerGas) / 1e9;
  const challenge = `half of it must pay a challenge of ${sizing.challengeGas} gas at ${gwei} gwei`;
  add("bond", requiredBondWei(sizing), standing.bondWei, ether, challenge);
  const delay = `half of it must cover ${valueMicroUsdc / 1e6} USDC waiting for ${windowSeconds} s`;
  add("stake", BigInt(stake), BigInt(standing.minimumStakeMicroUsdc), dollars, delay);
  const answers = "a stake must stay until what it answers for can be claimed";
  add("unbonding", BigInt(unbonding), BigInt(standing.unbondingSeconds), seconds, answers);
  return shortfalls;
}

/** Of the terms that stand on the L1. Without a change of contracts nobody can mend them. */
export async function shortfallsOf(
  client: L1Client,
  deployment: Deployment,
  asked: Partial<VenueSizing> = {},
): Promise<TermShortfall[]> {
  return termShortfalls(await readStandingTerms(client, deployment), deployment.parameters.receiptPeriodMs, asked);
}

/**
 * For a venue that holds nobody's money yet. One that does has to go on: standing still, it would miss forced entries.
 * @throws ChainError TERMS_TOO_SMALL naming everything that falls short
 */
export async function requireSizedTerms(
  client: L1Client,
  deployment: Deployment,
  asked: Partial<VenueSizing> = {},
): Promise<void> {
  const shortfalls = await shortfallsOf(client, deployment, asked);
  if (shortfalls.length === 0) return;
  const message = `the deployment does not deter: ${shortfalls.map(({ text }) => text).join("; ")}`;
  throw new ChainError("TERMS_TOO_SMALL", message, {
    context: { terms: shortfalls.map(({ term }) => term).join(" ") },
  });
}
