// Stage 5: accounts, insurance and the first series, all by real transactions on the L1.
import { existsSync } from "node:fs";
import { createCustodyClient, type Deployment, readQueueEntries } from "@tidemark/chain";
import { decodeInboundEntry, type InboundEntry } from "@tidemark/ledger";
import { assert, bytesToHex } from "@tidemark/num";
import { type LocalAccount, privateKeyToAccount } from "viem/accounts";
import { accountsFileSchema, type DataFolder, readJsonFile, writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import type { SeriesListing } from "../market/source.ts";
import type { AccountRequest } from "../market/traders.ts";
import { OPERATOR } from "./contracts.ts";
import type { VenueL1 } from "./l1.ts";
import { l1Listing } from "./seriesLister.ts";

type L1Address = LocalAccount["address"];

const INSURANCE_ACCOUNT = 1;
const INSURANCE_MICRO_USDC = 2_000_000_000_000;
const GAS_MONEY_WEI = 10n ** 19n;

/**
 * Account numbers in the order of the requests. Done once for a data folder; afterwards the file answers. What a killed life
 * did already is read from the L1's queue, so every step happens once, however often this is begun.
 */
export async function onboard(
  parts: { folder: DataFolder; l1: VenueL1; deployment: Deployment },
  requests: readonly AccountRequest[],
  listings: readonly SeriesListing[],
): Promise<number[]> {
  const { folder, l1, deployment } = parts;
  if (existsSync(folder.accounts)) return rememberedAccounts(folder, requests);
  await l1.mineLeftovers();
  const done = await queuedBefore(l1, deployment);
  const opened = openedBefore(done, requests);
  const custody = createCustodyClient(l1.client, deployment, { mine: () => l1.mineNext() });
  const owners = requests.map(({ ownerKey }) => privateKeyToAccount(bytesToHex(ownerKey)));
  for (const address of new Set(owners.map((owner) => owner.address)))
    await l1.embedded.setBalance(address, GAS_MONEY_WEI);
  const isInsured = done.some((entry) => entry.type === "deposit" && entry.account === INSURANCE_ACCOUNT);
  await mintMissing(custody, [
    ...requests.flatMap(({ depositMicroUsdc }, i) =>
      opened.has(i) ? [] : [{ address: (owners[i] as LocalAccount).address, amountMicroUsdc: depositMicroUsdc }],
    ),
    ...(isInsured ? [] : [{ address: OPERATOR.treasury.address, amountMicroUsdc: INSURANCE_MICRO_USDC }]),
  ]);
  const listed = new Set(
    done.map((entry) => (entry.type === "listSeries" ? `${entry.underlying}/${entry.expiryMs}` : "")),
  );
  const unlisted = listings.filter(({ underlying, expiryMs }) => !listed.has(`${underlying}/${expiryMs}`));
  await custody.listSeries(OPERATOR.lister, unlisted.map(l1Listing));
  await openInRounds(custody, requests, owners, opened);
  const accounts = requests.map((_, i) => opened.get(i) as number);
  for (const [i, { delegate }] of requests.entries()) {
    const account = accounts[i] as number;
    if (delegate === null || done.some((entry) => entry.type === "keyGrant" && entry.account === account)) continue;
    await custody.grantKey(owners[i] as LocalAccount, account, delegate.key, delegate.scopes, delegate.expiryMs);
  }
  if (!isInsured) await custody.deposit(OPERATOR.treasury, INSURANCE_ACCOUNT, INSURANCE_MICRO_USDC);
  for (let i = 0; i < l1.blocksToFinality; i++) await l1.mineNext();
  writeFileWhole(folder.accounts, JSON.stringify(requests.map(({ label }, i) => ({ label, account: accounts[i] }))));
  return accounts;
}

type Custody = ReturnType<typeof createCustodyClient>;

async function queuedBefore(l1: VenueL1, deployment: Deployment): Promise<InboundEntry[]> {
  const head = Number(await l1.client.getBlockNumber({ cacheTime: 0 }));
  const queue = await readQueueEntries(l1.client, deployment, deployment.deployedAtBlock, head);
  return queue.map(({ bytes }) => {
    const decoding = decodeInboundEntry(bytes);
    assert(decoding.ok, "the custody contract queues decodable entries");
    return decoding.entry;
  });
}

/** Place of the request → account. An owner's accounts were opened in the order of its requests. */
function openedBefore(done: readonly InboundEntry[], requests: readonly AccountRequest[]): Map<number, number> {
  const byOwner = new Map<string, number[]>();
  for (const entry of done) {
    if (entry.type !== "openAccount") continue;
    const owner = entry.owner.toLowerCase();
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), entry.account]);
  }
  const opened = new Map<number, number>();
  for (const [i, { owner }] of requests.entries()) {
    const account = byOwner.get(owner.toLowerCase())?.shift();
    if (account !== undefined) opened.set(i, account);
  }
  return opened;
}

/** Nobody's balance is raised above what is wanted of it: money minted by a killed life is still there. */
async function mintMissing(
  custody: Custody,
  wanted: readonly { address: L1Address; amountMicroUsdc: number }[],
): Promise<void> {
  const totals = new Map<L1Address, number>();
  for (const { address, amountMicroUsdc } of wanted) totals.set(address, (totals.get(address) ?? 0) + amountMicroUsdc);
  const missing: { address: L1Address; amountMicroUsdc: number }[] = [];
  for (const [address, total] of totals) {
    const amountMicroUsdc = total - Number(await custody.balanceMicroUsdc(address));
    if (amountMicroUsdc > 0) missing.push({ address, amountMicroUsdc });
  }
  await custody.mint(OPERATOR.treasury, missing);
}

/** An owner's approvals replace each other, so each owner opens one account a round. Adds to `opened`. */
async function openInRounds(
  custody: Custody,
  requests: readonly AccountRequest[],
  owners: readonly LocalAccount[],
  opened: Map<number, number>,
): Promise<void> {
  while (opened.size < requests.length) {
    const seen = new Set<string>();
    const round = requests.flatMap((request, i) => {
      if (opened.has(i) || seen.has(request.owner)) return [];
      seen.add(request.owner);
      return [{ i, owner: owners[i] as LocalAccount, depositMicroUsdc: request.depositMicroUsdc }];
    });
    const answers = await custody.openAccounts(round);
    for (const [place, { i }] of round.entries()) opened.set(i, answers[place]?.account as number);
  }
}

function rememberedAccounts(folder: DataFolder, requests: readonly AccountRequest[]): number[] {
  const known = readJsonFile(folder.accounts, accountsFileSchema) ?? [];
  return requests.map(({ label }) => {
    const found = known.find((entry) => entry.label === label);
    if (found === undefined) {
      throw new NodeError("ACCOUNT_MISSING", `${label} has no account in ${folder.accounts}`, {
        exitCode: ExitCode.environment,
      });
    }
    return found.account;
  });
}
