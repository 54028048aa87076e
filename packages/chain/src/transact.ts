// Transactions whose sender waits for them: deployment and the calls of account owners. The venue's own transactions
// (batches, finalisation) go through the transaction outbox instead, which survives restarts.
import type { Address, Hex, LocalAccount, TransactionReceipt } from "viem";
import type { L1Client } from "./clients.ts";
import { ChainError, isTransportError, l1Call, l1Error } from "./errors.ts";

export interface Call {
  sender: LocalAccount;
  /** Absent = creates a contract. */
  to?: Address;
  data: Hex;
  gas: bigint;
  valueWei?: bigint;
  /** Named in errors. */
  what: string;
}

export interface WaitOptions {
  /** Asks the L1 for a block; only for an L1 that mines on request. */
  mine?: () => Promise<unknown>;
  timeoutMs?: number;
}

const RECEIPT_POLL_MS = 25;
const TIMEOUT_MS = 60_000;
const TIP_WEI_PER_GAS = 1_000_000_000n;

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function receiptOf(client: L1Client, hash: Hex): Promise<TransactionReceipt | null> {
  try {
    return await client.getTransactionReceipt({ hash });
  } catch (error) {
    if (error instanceof Error && error.name === "TransactionReceiptNotFoundError") return null;
    throw error;
  }
}

/** `null` while it is in no block of the node's chain. */
export function readReceipt(client: L1Client, hash: Hex): Promise<TransactionReceipt | null> {
  return l1Call("eth_getTransactionReceipt", () => receiptOf(client, hash));
}

interface Sent {
  hash: Hex;
  raw: Hex;
  call: Call;
}

/** @throws ChainError TRANSACTION_TIMEOUT | TRANSACTION_REVERTED */
async function waitForReceipt(
  client: L1Client,
  { hash, raw, call }: Sent,
  options: WaitOptions,
): Promise<TransactionReceipt> {
  const deadline = Date.now() + (options.timeoutMs ?? TIMEOUT_MS);
  const context = { hash, what: call.what, sender: call.sender.address };
  for (;;) {
    const receipt = await readReceipt(client, hash);
    if (receipt?.status === "success") return receipt;
    if (receipt !== null) {
      throw new ChainError("TRANSACTION_REVERTED", `${call.what} was reverted by the L1`, { context });
    }
    if (Date.now() > deadline) {
      throw new ChainError("TRANSACTION_TIMEOUT", `${call.what} was not included in time`, {
        context,
        retryable: true,
      });
    }
    if (options.mine === undefined) await sleep(RECEIPT_POLL_MS);
    else await options.mine();
    await sendAgainIfDropped(client, hash, raw);
  }
}

/** Nodes drop what they cannot use at the moment, such as one that fits a block whose room an earlier one of its sender exceeds. */
async function sendAgainIfDropped(client: L1Client, hash: Hex, raw: Hex): Promise<void> {
  const known = await l1Call("eth_getTransactionByHash", () =>
    client.request({ method: "eth_getTransactionByHash", params: [hash] }),
  );
  if (known !== null) return;
  try {
    await client.sendRawTransaction({ serializedTransaction: raw });
  } catch (error) {
    if (isTransportError(error)) throw l1Error("sending again", error);
    // Known, included or replaced by now: the receipt tells.
  }
}

/**
 * Sends all calls in order per sender and answers with their receipts. They are sent at once as far as one block has room: a node
 * that passes over a large transaction may drop a small one behind it for its nonce.
 */
export async function transactAll(
  client: L1Client,
  calls: readonly Call[],
  options: WaitOptions = {},
): Promise<TransactionReceipt[]> {
  const block = await l1Call("latest block", () => client.getBlock());
  const receipts: TransactionReceipt[] = [];
  let group: Call[] = [];
  let gas = 0n;
  for (const call of calls) {
    if (group.length > 0 && gas + call.gas > block.gasLimit) {
      receipts.push(...(await transactGroup(client, group, options)));
      group = [];
      gas = 0n;
    }
    group.push(call);
    gas += call.gas;
  }
  receipts.push(...(await transactGroup(client, group, options)));
  return receipts;
}

async function transactGroup(
  client: L1Client,
  calls: readonly Call[],
  options: WaitOptions,
): Promise<TransactionReceipt[]> {
  const nonces = new Map<Address, number>();
  const block = await l1Call("latest block", () => client.getBlock());
  const maxFeePerGas = 2n * (block.baseFeePerGas ?? 0n) + TIP_WEI_PER_GAS;
  const sent: Sent[] = [];
  for (const call of calls) {
    const { address } = call.sender;
    const nonce =
      nonces.get(address) ??
      (await l1Call("nonce", () => client.getTransactionCount({ address, blockTag: "pending" })));
    nonces.set(address, nonce + 1);
    const raw = await call.sender.signTransaction({
      type: "eip1559",
      chainId: client.chain.id,
      nonce,
      gas: call.gas,
      maxFeePerGas,
      maxPriorityFeePerGas: TIP_WEI_PER_GAS,
      value: call.valueWei ?? 0n,
      data: call.data,
      ...(call.to === undefined ? {} : { to: call.to }),
    });
    const hash = await l1Call(call.what, () => client.sendRawTransaction({ serializedTransaction: raw }));
    sent.push({ hash, raw, call });
  }
  const receipts: TransactionReceipt[] = [];
  for (const one of sent) receipts.push(await waitForReceipt(client, one, options));
  return receipts;
}
