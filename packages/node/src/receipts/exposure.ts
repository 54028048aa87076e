// What the sequencer has promised and the L1 has not seen: notional of fills whose cycle is in no posted batch. While it is
// above what the stake covers, the venue takes no new orders; cancels always pass.
import type { JournalReader } from "@tidemark/journal";
import { CycleKind, decodeCycle, type TradeAccount } from "@tidemark/ledger";
import { assert } from "@tidemark/num";

/** Orders are taken again when this share of the limit is free: at the limit itself every fill would switch. */
const FREE_SHARE = 0.1;

export interface ExposureStatus {
  /** False: new orders and amendments are refused until batches are posted. */
  admitting: boolean;
  unpostedNotionalMicroUsdc: number;
  limitMicroUsdc: number;
  stakeMicroUsdc: number;
  /** Orders refused for it so far. */
  refused: number;
}

/** Sums of money here may pass 2^53: they are compared with a limit, nobody is paid by them. */
export class Exposure {
  readonly #notionalPerStake: number;
  readonly #readStake: () => Promise<bigint>;
  /** Cycle → notional of its fills, for cycles that are not final. */
  readonly #byCycle = new Map<number, number>();
  #stake = 0;
  #cyclesPosted = 0;
  #unposted = 0;
  #isAdmitting = true;
  refused = 0;

  /** `notionalPerStake`: USDC of unposted fills that one USDC of stake covers. */
  constructor(options: { notionalPerStake: number; readStake: () => Promise<bigint> }) {
    this.#notionalPerStake = options.notionalPerStake;
    this.#readStake = options.readStake;
  }

  /** Asks the L1 for the stake. */
  async refresh(): Promise<void> {
    this.#stake = Number(await this.#readStake());
    this.#decide();
  }

  /** A fill that cycle `cycle` will settle. */
  add(cycle: number, notionalMicroUsdc: number): void {
    this.#byCycle.set(cycle, (this.#byCycle.get(cycle) ?? 0) + notionalMicroUsdc);
    if (cycle >= this.#cyclesPosted) this.#unposted += notionalMicroUsdc;
    this.#decide();
  }

  /** Takes over the stored cycles of earlier lives, in place of what a replay has added for them. */
  resume(reader: Pick<JournalReader, "readCycles">, domain: number): void {
    for (const { index, kind, payload } of reader.readCycles()) {
      if (kind === CycleKind.trade || kind === CycleKind.liquidation) {
        this.#byCycle.set(index, notionalOfCycle(payload, domain));
      }
    }
    this.#sum();
  }

  /** Where the L1 stands: cycles below `cyclesPosted` are in blocks, those below `cyclesFinal` cannot leave them again. */
  advance(cyclesPosted: number, cyclesFinal: number): void {
    this.#cyclesPosted = cyclesPosted;
    for (const cycle of this.#byCycle.keys()) if (cycle < cyclesFinal) this.#byCycle.delete(cycle);
    this.#sum();
  }

  #sum(): void {
    this.#unposted = 0;
    for (const [cycle, notional] of this.#byCycle) if (cycle >= this.#cyclesPosted) this.#unposted += notional;
    this.#decide();
  }

  get limitMicroUsdc(): number {
    return this.#stake * this.#notionalPerStake;
  }

  #decide(): void {
    const limit = this.limitMicroUsdc;
    if (this.#unposted > limit) this.#isAdmitting = false;
    else if (this.#unposted <= limit * (1 - FREE_SHARE)) this.#isAdmitting = true;
  }

  get isAdmitting(): boolean {
    return this.#isAdmitting;
  }

  get status(): ExposureStatus {
    return {
      admitting: this.#isAdmitting,
      unpostedNotionalMicroUsdc: this.#unposted,
      limitMicroUsdc: this.limitMicroUsdc,
      stakeMicroUsdc: this.#stake,
      refused: this.refused,
    };
  }
}

function cashOf(accounts: readonly TradeAccount[]): number {
  let sum = 0;
  for (const { entries } of accounts) for (const { cash } of entries) sum += Math.abs(cash);
  return sum;
}

/** Every fill stands in two entries, and the fills of an entry have one side: half of all cash is the notional. */
export function notionalOfCycle(payload: Uint8Array, domain: number): number {
  const decoding = decodeCycle(payload, domain);
  assert(decoding.ok, "a stored cycle decodes");
  const { cycle } = decoding;
  if (cycle.kind === "trade") return cashOf(cycle.accounts) / 2;
  if (cycle.kind !== "liquidation") return 0;
  const legs = cycle.legs.reduce((sum, { cash }) => sum + Math.abs(cash), 0);
  return (cashOf(cycle.counterparties) + legs) / 2;
}
