// What account owners and the lister send to the custody contract.
import { decodeInboundEntry, type InboundEntry } from "@tidemark/ledger";
import { assert, bytesToHex, hexToBytes } from "@tidemark/num";
import { type Address, encodeFunctionData, type LocalAccount, parseEventLogs, type TransactionReceipt } from "viem";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, l1Call } from "./errors.ts";
import { custodyAbi, testUsdcAbi } from "./generated/contracts.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

// Upper bounds; what is not used is not paid.
const TOKEN_GAS = 120_000n;
const QUEUE_GAS = 500_000n;
const LISTING_GAS = 3_000_000n;

export interface SeriesListing {
  underlying: number;
  /** 0 lists the perpetual. */
  expiryMs: number;
  strikesMicroUsd: readonly number[];
}

export interface OpenedAccount {
  owner: LocalAccount;
  account: number;
  depositMicroUsdc: number;
}

function queuedBytes(receipt: TransactionReceipt, custody: Address): { index: number; bytes: Uint8Array }[] {
  const ours = receipt.logs.filter((log) => log.address.toLowerCase() === custody.toLowerCase());
  return parseEventLogs({ abi: custodyAbi, eventName: "InboundQueued", logs: ours }).map(({ args }) => ({
    index: Number(args.index),
    bytes: hexToBytes(args.entry),
  }));
}

const queuedIndices = (receipt: TransactionReceipt, custody: Address): number[] =>
  queuedBytes(receipt, custody).map(({ index }) => index);

/** Entries that a transaction put into the queue. */
export function queuedEntries(receipt: TransactionReceipt, custody: Address): { index: number; entry: InboundEntry }[] {
  return queuedBytes(receipt, custody).map(({ index, bytes }) => {
    const decoding = decodeInboundEntry(bytes);
    assert(decoding.ok, "the custody contract queues decodable entries");
    return { index, entry: decoding.entry };
  });
}

export interface ForcedClose {
  account: number;
  instrument: number;
  /** Signed: a buy is positive. Must reduce the account's position. */
  lots: number;
  limitPriceTicks: number;
  /** Place in the account's order ring. */
  nonce: number;
}

/** A forced entry as the queue took it. */
export interface ForcedEntry {
  index: number;
  /** By then the venue must have consumed it, or anyone may freeze it. */
  deadlineSeconds: number;
}

export interface CustodyClient {
  /** Makes test money. Only where the token is the test token, which anybody may mint. */
  mint(minter: LocalAccount, recipients: readonly { address: Address; amountMicroUsdc: number }[]): Promise<void>;
  /** Approves, opens one account each and deposits. */
  openAccounts(requests: readonly { owner: LocalAccount; depositMicroUsdc: number }[]): Promise<OpenedAccount[]>;
  /** Without money. Answers with its number. */
  openAccount(owner: LocalAccount): Promise<number>;
  deposit(payer: LocalAccount, account: number, amountMicroUsdc: number): Promise<void>;
  listSeries(lister: LocalAccount, series: readonly SeriesListing[]): Promise<void>;
  grantKey(owner: LocalAccount, account: number, key: Address, scopes: number, expiryMs: number): Promise<void>;
  revokeKey(owner: LocalAccount, account: number, key: Address, minNonce: number): Promise<void>;
  cancelAll(owner: LocalAccount, account: number, minNonce: number): Promise<void>;
  forceWithdrawal(
    owner: LocalAccount,
    account: number,
    amountMicroUsdc: number,
    recipient: Address,
  ): Promise<ForcedEntry>;
  forceClose(owner: LocalAccount, close: ForcedClose): Promise<ForcedEntry>;
  /** Anyone may. */
  forceLiquidation(sender: LocalAccount, account: number): Promise<ForcedEntry>;
  /** The governor alone. Takes effect after the ledger's delay, if it fits. */
  adminChange(governor: LocalAccount, change: Uint8Array): Promise<void>;
  balanceMicroUsdc(address: Address): Promise<bigint>;
  /** The custody's own balance: what the vault holds. */
  vaultMicroUsdc(): Promise<bigint>;
  queueLength(): Promise<number>;
}

class CustodyCalls {
  readonly deployment: Deployment;

  constructor(deployment: Deployment) {
    this.deployment = deployment;
  }

  custody(sender: LocalAccount, what: string, data: Call["data"], gas = QUEUE_GAS): Call {
    return { sender, to: this.deployment.custody, what, data, gas };
  }

  approve(sender: LocalAccount, amountMicroUsdc: number): Call {
    const args = [this.deployment.custody, BigInt(amountMicroUsdc)] as const;
    const data = encodeFunctionData({ abi: testUsdcAbi, functionName: "approve", args });
    return { sender, to: this.deployment.token, what: "approval of a deposit", data, gas: TOKEN_GAS };
  }

  mint(sender: LocalAccount, recipient: Address, amountMicroUsdc: number): Call {
    const args = [recipient, BigInt(amountMicroUsdc)] as const;
    const data = encodeFunctionData({ abi: testUsdcAbi, functionName: "mint", args });
    return { sender, to: this.deployment.token, what: "minting of test money", data, gas: TOKEN_GAS };
  }

  listing(sender: LocalAccount, series: SeriesListing): Call {
    const strikes = series.strikesMicroUsd.map((strike) => BigInt(strike));
    const args = [series.underlying, BigInt(series.expiryMs), strikes] as const;
    const data = encodeFunctionData({ abi: custodyAbi, functionName: "listSeries", args });
    return this.custody(sender, `listing of ${series.underlying}/${series.expiryMs}`, data, LISTING_GAS);
  }
}

function openedAccount(receipt: TransactionReceipt, custody: Address, owner: Address): number {
  const opened = queuedEntries(receipt, custody).find(({ entry }) => entry.type === "openAccount")?.entry;
  if (opened?.type === "openAccount") return opened.account;
  throw new ChainError("L1_INCONSISTENT", "opening an account queued no such entry", { context: { owner } });
}

async function openAccounts(
  client: L1Client,
  calls: CustodyCalls,
  requests: readonly { owner: LocalAccount; depositMicroUsdc: number }[],
  options: WaitOptions,
): Promise<OpenedAccount[]> {
  const { custody } = calls.deployment;
  const receipts = await transactAll(
    client,
    requests.flatMap(({ owner, depositMicroUsdc }) => {
      const args = [BigInt(depositMicroUsdc)] as const;
      const data = encodeFunctionData({ abi: custodyAbi, functionName: "openAccountAndDeposit", args });
      return [calls.approve(owner, depositMicroUsdc), calls.custody(owner, "opening of an account", data)];
    }),
    options,
  );
  return requests.map((request, i) => {
    const account = openedAccount(receipts[2 * i + 1] as TransactionReceipt, custody, request.owner.address);
    return { ...request, account };
  });
}

/** `options` apply to every transaction: with an L1 that mines on request give `mine`, unless something else mines. */
export function createCustodyClient(
  client: L1Client,
  deployment: Deployment,
  options: WaitOptions = {},
): CustodyClient {
  const calls = new CustodyCalls(deployment);
  const send = async (list: readonly Call[]): Promise<void> => {
    await transactAll(client, list, options);
  };
  const abi = custodyAbi;
  const force = async (call: Call): Promise<ForcedEntry> => {
    const [receipt] = await transactAll(client, [call], options);
    const [queued] = queuedIndices(receipt as TransactionReceipt, deployment.custody);
    if (queued === undefined) {
      throw new ChainError("L1_INCONSISTENT", `${call.what} queued no entry`, { context: { what: call.what } });
    }
    const deadline = await l1Call("deadline of a forced entry", () =>
      client.readContract({
        address: deployment.custody,
        abi,
        functionName: "forcedDeadlineOf",
        args: [BigInt(queued)],
      }),
    );
    return { index: queued, deadlineSeconds: Number(deadline) };
  };
  const token = { address: deployment.token, abi: testUsdcAbi } as const;
  const balanceMicroUsdc = (address: Address): Promise<bigint> =>
    l1Call("token balance", () => client.readContract({ ...token, functionName: "balanceOf", args: [address] }));
  return {
    mint: (minter, recipients) =>
      send(recipients.map(({ address, amountMicroUsdc }) => calls.mint(minter, address, amountMicroUsdc))),
    openAccounts: (requests) => openAccounts(client, calls, requests, options),
    async openAccount(owner) {
      const data = encodeFunctionData({ abi, functionName: "openAccount" });
      const call = calls.custody(owner, "opening of an account", data);
      const [receipt] = await transactAll(client, [call], options);
      return openedAccount(receipt as TransactionReceipt, deployment.custody, owner.address);
    },
    deposit(payer, account, amountMicroUsdc) {
      const args = [account, BigInt(amountMicroUsdc)] as const;
      const data = encodeFunctionData({ abi, functionName: "deposit", args });
      return send([calls.approve(payer, amountMicroUsdc), calls.custody(payer, "deposit", data)]);
    },
    listSeries: (lister, series) => send(series.map((one) => calls.listing(lister, one))),
    grantKey(owner, account, key, scopes, expiryMs) {
      const args = [account, key, scopes, BigInt(expiryMs)] as const;
      return send([calls.custody(owner, "key grant", encodeFunctionData({ abi, functionName: "grantKey", args }))]);
    },
    revokeKey(owner, account, key, minNonce) {
      const args = [account, key, minNonce] as const;
      return send([
        calls.custody(owner, "key revocation", encodeFunctionData({ abi, functionName: "revokeKey", args })),
      ]);
    },
    cancelAll(owner, account, minNonce) {
      const args = [account, minNonce] as const;
      return send([calls.custody(owner, "cancel-all", encodeFunctionData({ abi, functionName: "cancelAll", args }))]);
    },
    forceWithdrawal(owner, account, amountMicroUsdc, recipient) {
      const args = [account, BigInt(amountMicroUsdc), recipient] as const;
      const data = encodeFunctionData({ abi, functionName: "forceWithdrawal", args });
      return force(calls.custody(owner, "forced withdrawal", data));
    },
    forceClose(owner, { account, instrument, lots, limitPriceTicks, nonce }) {
      const args = [account, instrument, lots, limitPriceTicks, nonce] as const;
      const data = encodeFunctionData({ abi, functionName: "forceClose", args });
      return force(calls.custody(owner, "forced close", data));
    },
    forceLiquidation(sender, account) {
      const data = encodeFunctionData({ abi, functionName: "forceLiquidation", args: [account] });
      return force(calls.custody(sender, "forced liquidation", data));
    },
    adminChange(governor, change) {
      const data = encodeFunctionData({ abi, functionName: "adminChange", args: [bytesToHex(change)] });
      return send([calls.custody(governor, "change of parameters", data)]);
    },
    balanceMicroUsdc,
    vaultMicroUsdc: () => balanceMicroUsdc(deployment.custody),
    async queueLength() {
      const length = await l1Call("queue length", () =>
        client.readContract({ address: deployment.custody, abi, functionName: "queueLength" }),
      );
      return Number(length);
    },
  };
}
