// Stage 5: accounts, insurance and the first series, all by real transactions on the L1.
import { existsSync } from "node:fs";
import { createCustodyClient, type Deployment, type SeriesListing as L1Listing } from "@tidemark/chain";
import { bytesToHex } from "@tidemark/num";
import { type LocalAccount, privateKeyToAccount } from "viem/accounts";
import { accountsFileSchema, type DataFolder, readJsonFile, writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import type { SeriesListing } from "../market/source.ts";
import type { AccountRequest } from "../market/traders.ts";
import { OPERATOR } from "./contracts.ts";
import type { VenueL1 } from "./l1.ts";

const INSURANCE_ACCOUNT = 1;
const INSURANCE_MICRO_USDC = 2_000_000_000_000;
const GAS_MONEY_WEI = 10n ** 19n;

export function l1Listing(series: SeriesListing): L1Listing {
  return { underlying: series.underlying, expiryMs: series.expiryMs, strikesMicroUsd: series.strikes };
}

/** Account numbers in the order of the requests. Done once for a data folder; afterwards the file answers. */
export async function onboard(
  parts: { folder: DataFolder; l1: VenueL1; deployment: Deployment },
  requests: readonly AccountRequest[],
  listings: readonly SeriesListing[],
): Promise<number[]> {
  const { folder, l1, deployment } = parts;
  if (existsSync(folder.accounts)) return rememberedAccounts(folder, requests);
  const custody = createCustodyClient(l1.client, deployment, { mine: () => l1.mineNext() });
  const owners = requests.map(({ ownerKey }) => privateKeyToAccount(bytesToHex(ownerKey)));
  for (const address of new Set(owners.map((owner) => owner.address))) await l1.embedded.setBalance(address, GAS_MONEY_WEI);
  await custody.mint(OPERATOR.treasury, [
    ...requests.map(({ depositMicroUsdc }, i) => ({ address: (owners[i] as LocalAccount).address, amountMicroUsdc: depositMicroUsdc })),
    { address: OPERATOR.treasury.address, amountMicroUsdc: INSURANCE_MICRO_USDC },
  ]);
  await custody.listSeries(OPERATOR.lister, listings.map(l1Listing));
  const opened = await openInRounds(custody, requests, owners);
  for (const [i, { delegate }] of requests.entries()) {
    if (delegate === null) continue;
    await custody.grantKey(owners[i] as LocalAccount, opened[i] as number, delegate.key, delegate.scopes, delegate.expiryMs);
  }
  await custody.deposit(OPERATOR.treasury, INSURANCE_ACCOUNT, INSURANCE_MICRO_USDC);
  for (let i = 0; i < l1.blocksToFinality; i++) await l1.mineNext();
  writeFileWhole(folder.accounts, JSON.stringify(requests.map(({ label }, i) => ({ label, account: opened[i] }))));
  return opened;
}

type Custody = ReturnType<typeof createCustodyClient>;

/** An owner's approvals replace each other, so each owner opens one account a round. */
async function openInRounds(custody: Custody, requests: readonly AccountRequest[], owners: readonly LocalAccount[]): Promise<number[]> {
  const numbers = new Map<number, number>();
  while (numbers.size < requests.length) {
    const seen = new Set<string>();
    const round = requests.flatMap((request, i) => {
      if (numbers.has(i) || seen.has(request.owner)) return [];
      seen.add(request.owner);
      return [{ i, owner: owners[i] as LocalAccount, depositMicroUsdc: request.depositMicroUsdc }];
    });
    const opened = await custody.openAccounts(round);
    for (const [place, { i }] of round.entries()) numbers.set(i, opened[place]?.account as number);
  }
  return requests.map((_, i) => numbers.get(i) as number);
}

function rememberedAccounts(folder: DataFolder, requests: readonly AccountRequest[]): number[] {
  const known = readJsonFile(folder.accounts, accountsFileSchema) ?? [];
  return requests.map(({ label }) => {
    const found = known.find((entry) => entry.label === label);
    if (found === undefined) {
      throw new NodeError("ACCOUNT_MISSING", `${label} has no account in ${folder.accounts}`, { exitCode: ExitCode.environment });
    }
    return found.account;
  });
}
