// The money on the L1, read from the L1 alone: what the vault holds, what was deposited, what was claimed. Set against the ledger.
import { type Deployment, l1Call, type L1Client, readQueueEntries, testUsdcAbi } from "@tidemark/chain";
import { decodeInboundEntry, type LedgerState } from "@tidemark/ledger";
import { parseAbiItem } from "viem";
import type { Conservation } from "../status.ts";

const CLAIMED = parseAbiItem("event WithdrawalClaimed(uint32 indexed withdrawalNumber, address recipient, uint64 amount)");

export class VaultBooks {
  readonly #client: L1Client;
  readonly #deployment: Deployment;
  #readTo: number;
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

  /** Reads on to the latest block; balances and events are of the same block. */
  async refresh(): Promise<void> {
    const head = await l1Call("head", () => this.#client.getBlockNumber({ cacheTime: 0 }));
    const to = Number(head);
    if (to > this.#readTo) {
      const from = this.#readTo + 1;
      for (const { index, bytes } of await readQueueEntries(this.#client, this.#deployment, from, to)) {
        const decoded = decodeInboundEntry(bytes);
        if (decoded.ok && decoded.entry.type === "deposit") this.#deposits.push({ index, amount: BigInt(decoded.entry.amount) });
      }
      await this.#readClaims(BigInt(from), head);
      this.#readTo = to;
    }
    this.#vault = await l1Call("vault", () =>
      this.#client.readContract({
        address: this.#deployment.token,
        abi: testUsdcAbi,
        functionName: "balanceOf",
        args: [this.#deployment.custody],
        blockNumber: head,
      }),
    );
  }

  async #readClaims(fromBlock: bigint, toBlock: bigint): Promise<void> {
    const logs = await l1Call("claims", () =>
      this.#client.getLogs({ address: this.#deployment.custody, event: CLAIMED, fromBlock, toBlock, strict: true }),
    );
    for (const { args } of logs) this.#claimed.set(Number(args.withdrawalNumber), BigInt(args.amount));
  }

  /** vault = cash + clearing + outboxUnclaimed + inboundUnconsumed, the left side from the L1, the rest from the ledger and the L1's events. */
  conservation(ledger: LedgerState): Conservation {
    const { cashTotal, clearingTotal, inboundCursor, outboxCount } = ledger.globals;
    let outboxUnclaimed = 0n;
    for (let number = 0; number < outboxCount; number++) {
      if (!this.#claimed.has(number)) outboxUnclaimed += BigInt(ledger.outboxCell(number)?.amount ?? 0);
    }
    const inboundUnconsumed = this.#deposits.reduce((sum, { index, amount }) => (index >= inboundCursor ? sum + amount : sum), 0n);
    return { vault: this.#vault, cash: BigInt(cashTotal), clearing: BigInt(clearingTotal), outboxUnclaimed, inboundUnconsumed };
  }
}

