// Stage 3: the contracts and the venue's parameters.
import { existsSync } from "node:fs";
import {
  checkDeployment,
  type Deployment,
  deployVenue,
  developmentAccount,
  developmentKey,
  readDeployment,
  requireSizedTerms,
  shortfallsOf,
  writeDeployment,
} from "@tidemark/chain";
import { type Address, defaultParameters, type ParameterSet } from "@tidemark/ledger";
import { hexToBytes } from "@tidemark/num";
import type { LocalAccount } from "viem";
import type { Config } from "../config.ts";
import { type DataFolder, writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import type { OracleKey } from "../market/oracle.ts";
import { floorKey } from "../market/traders.ts";
import { fillStake } from "../receipts/stake.ts";
import { signer } from "../signatures/signer.ts";
import type { VenueL1 } from "./l1.ts";

const ORACLES = 3;
const ORACLE_QUORUM = 2;
const FORCED_PERIOD_SECONDS = 24 * 3_600;
const GAS_MONEY_WEI = 10n ** 22n;
const MICRO_PER_USDC = 1_000_000n;
/** Rows live through a few missed reports, not longer. */
const REPORTS_IN_MARK_AGE = 4;

const SEQUENCER_LABEL = "sequencer";
const CHALLENGER_LABEL = "challenger";

export interface Operator {
  readonly deployer: LocalAccount;
  readonly proposer: LocalAccount;
  /** Signs the receipts; its stake pays for broken ones. Admits proposers. */
  readonly sequencer: LocalAccount;
  /** The watcher's: anybody could have it. */
  readonly challenger: LocalAccount;
  readonly lister: LocalAccount;
  readonly treasury: LocalAccount;
  /** Sends claims for whoever is owed: the money goes to the recipient anyway. */
  readonly claimer: LocalAccount;
}

/** Keys that anybody can derive: for an L1 of our own, which holds test money. */
export const OPERATOR: Operator = {
  deployer: developmentAccount("deployer"),
  proposer: developmentAccount("proposer"),
  sequencer: developmentAccount(SEQUENCER_LABEL),
  challenger: developmentAccount(CHALLENGER_LABEL),
  lister: developmentAccount("lister"),
  treasury: developmentAccount("treasury"),
  claimer: developmentAccount("claimer"),
};

/** The watcher is a process like anybody's: it takes its key from a file. */
export function writeChallengerKey(folder: DataFolder): void {
  writeFileWhole(folder.challengerKey, `${developmentKey(CHALLENGER_LABEL)}\n`);
}

/** Of the account above. */
export function sequencerKey(): Uint8Array {
  return hexToBytes(developmentKey(SEQUENCER_LABEL));
}

export function oracleKeys(seed: number): OracleKey[] {
  return Array.from({ length: ORACLES }, (_, i) => ({ signer: i, privateKey: floorKey(seed, `oracle ${i}`) }));
}

function parametersOf(config: Config, seed: number, chainId: number): ParameterSet {
  const parameters = defaultParameters({
    chainId,
    verifyingContract: `0x${"0".repeat(40)}`,
    oracles: oracleKeys(seed).map(({ privateKey }) => signer.addressOf(privateKey)),
    oracleQuorum: ORACLE_QUORUM,
    treasuryOwner: OPERATOR.treasury.address.toLowerCase() as Address,
    insuranceOwner: OPERATOR.treasury.address.toLowerCase() as Address,
  });
  // A fill settles in a cycle that is as old as this at most: its receipt must not fall due before.
  if (config.cycleAgeMaxMs >= parameters.receiptPeriodMs) {
    throw new NodeError("CONFIG_INVALID", `cycleAgeMaxMs: must stay below ${parameters.receiptPeriodMs}`, {
      exitCode: ExitCode.usage,
    });
  }
  const markAgeMaxMs = Math.max(parameters.risk.markAgeMaxMs, REPORTS_IN_MARK_AGE * config.reportIntervalMs);
  return { ...parameters, risk: { ...parameters.risk, markAgeMaxMs } };
}

/** @throws NodeError when the deployment's receipts are signed by a key that is not ours */
function requireOwnSequencer({ sequencer }: Deployment): void {
  const own = signer.addressOf(sequencerKey());
  if (sequencer.toLowerCase() === own) return;
  throw new NodeError("NOT_THE_SEQUENCER", `the deployment names the sequencer ${sequencer}, our key is of ${own}`, {
    exitCode: ExitCode.environment,
  });
}

export async function openContracts(
  config: Config,
  folder: DataFolder,
  l1: VenueL1,
  seed: number,
  tell: (line: string) => void,
): Promise<Deployment> {
  if (existsSync(folder.deployment)) {
    const deployment = await readDeployment(folder.deployment);
    await checkDeployment(l1.client, deployment);
    requireOwnSequencer(deployment);
    // A warning: a venue that holds money must not stand still for terms that only new contracts can mend.
    for (const { text } of await shortfallsOf(l1.client, deployment))
      tell(`WARNING the deployment does not deter: ${text}`);
    return deployment;
  }
  // A life that was killed on the way may have left creations in the pool: they would take the nonces that addresses follow from.
  await l1.mineLeftovers();
  for (const account of Object.values(OPERATOR)) await l1.embedded.setBalance(account.address, GAS_MONEY_WEI);
  const { chainId: _, verifyingContract: __, ...parameters } = parametersOf(config, seed, l1.embedded.chainId);
  const deployment = await deployVenue(l1.client, {
    deployer: OPERATOR.deployer,
    parameters,
    proposer: OPERATOR.proposer.address,
    sequencer: OPERATOR.sequencer.address,
    lister: OPERATOR.lister.address,
    windowSeconds: config.windowSeconds,
    forcedPeriodSeconds: FORCED_PERIOD_SECONDS,
    mine: () => l1.mineNext(),
  });
  await requireSizedTerms(l1.client, deployment);
  const stake = BigInt(config.sequencerStakeUsdc) * MICRO_PER_USDC;
  await fillStake(l1.client, deployment, OPERATOR.deployer, stake, { mine: () => l1.mineNext() });
  await writeDeployment(folder.deployment, deployment);
  return deployment;
}
