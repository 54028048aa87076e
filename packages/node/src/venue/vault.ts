// The money on the L1, read from the L1 alone: what the vault holds, what was deposited, what was claimed. Set against the ledger.
import {
  type Deployment,
  type L1Client,
  l1Call,
  readBlock,
  readExistingBlock,
  readQueueEntries,
  testUsdcAbi,
} from "@tidemark/chain";
import { decodeInboundEntry, type LedgerState } from "@tidemark/ledger";
import { parseAbiItem } from "viem";
import type { Conservation } from "../status.ts";

const CLAIMED = parseAbiItem(
  "event WithdrawalClaimed(uint32 indexed withdrawalNumber, address recipient, uint64 amount)",
);

export class VaultBooks {
  readonly #client: L1Client;
  readonly #deployment: Deployment;
  #readTo: number;
  #readHash = "";
  #deposits: { index: number; amount: bigint }[] = [];
  readonly #claimed = new Map<number, bigint>();
  #vault = 0n;

  constructor(client: L1Client, deployment: Deployment) {
    this.#client = client;
    this.#deployment = deployment;
    this.#readTo = deployment.deployedAtBlock - 1;
  }

  get claimedCount(): number {
    return this.#claimed.size;
  }

  /** Reads on to the latest block, or all anew after a reorg; balances and events are of the same block. */
  async refresh(): Promise<void> {
    const head = await readExistingBlock(this.#client, "latest");
    if (this.#readHash !== "") {
      const before = await readBlock(this.#client, this.#readTo);
      if (before?.hash !== this.#readHash) this.#forget();
    }
    if (head.number > this.#readTo) {
      const from = this.#readTo + 1;
      for (const { index, bytes } of await readQueueEntries(this.#client, this.#deployment, from, head.number)) {
        const decoded = decodeInboundEntry(bytes);
        if (decoded.ok && decoded.entry.type === "deposit")
          this.#deposits.push({ index, amount: BigInt(decoded.entry.amount) });
      }
      await this.#readClaims(BigInt(from), BigInt(head.number));
      this.#readTo = head.number;
      this.#readHash = head.hash;
    }
    this.#vault = await l1Call("vault", () =>
      this.#client.readContract({
        address: this.#deployment.token,
        abi: testUsdcAbi,
        functionName: "balanceOf",
        args: [this.#deployment.custody],
        blockNumber: BigInt(head.number),
      }),
    );
    // A reorg while it was read would have mixed two chains.
    if ((await readBlock(this.#client, head.number))?.hash !== head.hash) {
      this.#forget();
      await this.refresh();
    }
  }

  #forget(): void {
    this.#readTo = this.#deployment.deployedAtBlock - 1;
    this.#readHash = "";
    this.#deposits = [];
    this.#claimed.clear();
  }

  async #readClaims(fromBlock: bigint, toBlock: bigint): Promise<void> {
    const logs = await l1Call("claims", () =>
      this.#client.getLogs({ address: this.#deployment.custody, event: CLAIMED, fromBlock, toBlock, strict: true }),
    );
    for (const { args } of logs) this.#claimed.set(Number(args.withdrawalNumber), BigInt(args.amount));
  }

  /** What was deposited and not claimed: what the vault must hold at least. */
  get #owned(): bigint {
    const deposited = this.#deposits.reduce((sum, { amount }) => sum + amount, 0n);
    return [...this.#claimed.values()].reduce((rest, amount) => rest - amount, deposited);
  }

  /** Tokens that somebody sent to the vault without a deposit: nobody's, and no reason to stop the venue. */
  get unownedMicroUsdc(): bigint {
    const unowned = this.#vault - this.#owned;
    return unowned > 0n ? unowned : 0n;
  }

  /**
   * vault = cash + clearing + outboxUnclaimed + inboundUnconsumed, the left side from the L1, the rest from the ledger and the L1's
   * events. Unowned tokens are left out on the left: anybody can send them.
   */
  conservation(ledger: LedgerState): Conservation {
    const { cashTotal, clearingTotal, inboundCursor, outboxCount } = ledger.globals;
    let outboxUnclaimed = 0n;
    for (let number = 0; number < outboxCount; number++) {
      if (!this.#claimed.has(number)) outboxUnclaimed += BigInt(ledger.outboxCell(number)?.amount ?? 0);
    }
    const inboundUnconsumed = this.#deposits.reduce(
      (sum, { index, amount }) => (index >= inboundCursor ? sum + amount : sum),
      0n,
    );
    return {
      vault: this.#vault - this.unownedMicroUsdc,
      cash: BigInt(cashTotal),
      clearing: BigInt(clearingTotal),
      outboxUnclaimed,
      inboundUnconsumed,
    };
  }
}
