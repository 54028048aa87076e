// viem clients for one L1. Accounts are local keys: no node ever holds them.
import {
  type Account,
  type Chain,
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  type HttpTransport,
  http,
  keccak256,
  type PrivateKeyAccount,
  type PublicClient,
  toBytes,
  type WalletClient,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { type BlobOptions, type BlobReader, createBlobReader } from "./blobReader.ts";
import { ChainError, l1Call } from "./errors.ts";

/** An execution node, and where the blobs of its transactions are read. */
export type L1Client = PublicClient<HttpTransport, Chain> & { readonly blobs: BlobReader };
export type L1Wallet = WalletClient<HttpTransport, Chain, Account>;

export interface L1Options {
  timeoutMs?: number;
  pollingIntervalMs?: number;
  retryCount?: number;
  blobs?: BlobOptions;
}

const TIMEOUT_MS = 20_000;
const POLLING_INTERVAL_MS = 50;
const RETRY_COUNT = 2;
/** A batch response carries 120 KiB of data as hex; larger answers are listings, which are paged instead. */
const LOG_RANGE_BLOCKS = 2_000n;

function transportOf(url: string, options: L1Options): HttpTransport {
  return http(url, { timeout: options.timeoutMs ?? TIMEOUT_MS, retryCount: options.retryCount ?? RETRY_COUNT });
}

export function l1Chain(url: string, chainId: number): Chain {
  return defineChain({
    id: chainId,
    name: `L1 ${chainId}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
}

/** Asks the node for its chain id; with `expectedChainId` a different answer is an error. */
export async function connectL1(url: string, expectedChainId?: number, options: L1Options = {}): Promise<L1Client> {
  const transport = transportOf(url, options);
  const chainId = await l1Call("eth_chainId", () => createPublicClient({ transport }).getChainId());
  if (expectedChainId !== undefined && chainId !== expectedChainId) {
    throw new ChainError("WRONG_CHAIN", `the L1 at ${url} has chain id ${chainId}, expected ${expectedChainId}`, {
      context: { url, chainId, expectedChainId },
    });
  }
  const client = createPublicClient({
    chain: l1Chain(url, chainId),
    transport,
    pollingInterval: options.pollingIntervalMs ?? POLLING_INTERVAL_MS,
    cacheTime: 0,
  });
  const request = client.request as (call: { method: string; params: unknown[] }) => Promise<unknown>;
  const blobs = createBlobReader((method, params) => request({ method, params }), options.blobs);
  return Object.assign(client, { blobs });
}

export function l1Wallet(client: L1Client, account: Account, options: L1Options = {}): L1Wallet {
  const url = client.chain.rpcUrls.default.http[0] as string;
  return createWalletClient({
    chain: client.chain,
    account,
    transport: transportOf(url, options),
    pollingInterval: options.pollingIntervalMs ?? POLLING_INTERVAL_MS,
    cacheTime: 0,
  });
}

/** A key that anyone can derive from its label: for the embedded L1 and tests only, never for a chain with value. */
export function developmentKey(label: string): Hex {
  return keccak256(toBytes(`tidemark development key: ${label}`));
}

export function developmentAccount(label: string): PrivateKeyAccount {
  return privateKeyToAccount(developmentKey(label));
}

export interface L1Block {
  number: number;
  hash: Hex;
  parentHash: Hex;
  timestampSeconds: number;
  baseFeePerGas: bigint;
}

export type L1BlockTag = "latest" | "safe" | "finalized";

/** `null` when the node has no such block. */
export async function readBlock(client: L1Client, at: number | L1BlockTag): Promise<L1Block | null> {
  const answer = await l1Call(`block ${at}`, async () => {
    try {
      return await client.getBlock(typeof at === "number" ? { blockNumber: BigInt(at) } : { blockTag: at });
    } catch (error) {
      if (error instanceof Error && error.name === "BlockNotFoundError") return null;
      throw error;
    }
  });
  if (answer === null || answer.hash === null || answer.number === null) return null;
  return {
    number: Number(answer.number),
    hash: answer.hash,
    parentHash: answer.parentHash,
    timestampSeconds: Number(answer.timestamp),
    baseFeePerGas: answer.baseFeePerGas ?? 0n,
  };
}

/** @throws ChainError L1_BEHIND when the node does not have it (yet). */
export async function readExistingBlock(client: L1Client, at: number | L1BlockTag): Promise<L1Block> {
  const block = await readBlock(client, at);
  if (block === null) {
    throw new ChainError("L1_BEHIND", `the L1 node does not have block ${at}`, {
      context: { block: at },
      retryable: true,
    });
  }
  return block;
}

/**
 * Calls `read` for consecutive ranges of blocks. A node may refuse a range for its length or for what it holds, and anybody can fill
 * blocks: a refused range is read in halves. `read` keeps nothing of a range that was refused.
 */
export async function eachBlockRange(
  fromBlock: number,
  toBlock: number,
  read: (fromBlock: bigint, toBlock: bigint) => Promise<void>,
): Promise<void> {
  for (let from = BigInt(fromBlock); from <= BigInt(toBlock); from += LOG_RANGE_BLOCKS) {
    const last = from + LOG_RANGE_BLOCKS - 1n;
    await readHalving(from, last < BigInt(toBlock) ? last : BigInt(toBlock), read);
  }
}

async function readHalving(
  from: bigint,
  to: bigint,
  read: (fromBlock: bigint, toBlock: bigint) => Promise<void>,
): Promise<void> {
  try {
    return await read(from, to);
  } catch (error) {
    if (!(error instanceof ChainError) || error.code !== "L1_REFUSED" || from >= to) throw error;
  }
  const middle = (from + to) / 2n;
  await readHalving(from, middle, read);
  await readHalving(middle + 1n, to, read);
}
