// Plants one fraud after the other into a growing chain: everything sound before it is posted and followed by the watcher, the batch
// with the fraud is convicted, and the sound cycles that went down with it are posted again.
import { disputeAbi } from "@tidemark/chain";
import type { Hash, LedgerState } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type Batch, type BatchHeader, SHOWN_AT_ACCOUNT } from "@tidemark/settlement";
import { type Abi, decodeFunctionResult, encodeFunctionData, type Hex } from "viem";
import { compiledContracts } from "../../packages/settlement/test/rules/compile.ts";
import { type ForgedCycle, forgeBatch, forgedOf } from "./forgery.ts";
import type { InBlob } from "./fraud-blobs.ts";
import { type Convicted, FraudCourt } from "./fraud-court.ts";
import { type Kept, queueFor, type RefusedCycle, type SoundCycle } from "./history.ts";
import { CHALLENGE_GAS, type EvidenceL1 } from "./l1.ts";

const RULE_ABI = compiledContracts()["ICycleRule"]?.abi as Abi;
const ANY_ROOT: Hash = `0x${"5a".repeat(32)}`;
/** Sound cycles in front of the wrong one. */
const TAIL_MAX = 2;

export interface Planted extends Convicted {
  /** Whether the root was the one of the effects without the check, and not just any. */
  isPlausible: boolean;
}

export class Planter {
  readonly l1: EvidenceL1;
  readonly court: FraudCourt;
  readonly kept: Kept;
  #posted = 0;

  private constructor(l1: EvidenceL1, court: FraudCourt, kept: Kept) {
    this.l1 = l1;
    this.court = court;
    this.kept = kept;
  }

  static async start(l1: EvidenceL1, kept: Kept): Promise<Planter> {
    return new Planter(l1, await FraudCourt.start(l1), kept);
  }

  close(): Promise<void> {
    return this.court.close();
  }

  get domain(): number {
    return this.l1.deployment.parameters.domain;
  }

  /** State of the watcher: after the cycles that were followed. */
  get state(): LedgerState {
    return this.court.watcher.core.state;
  }

  /** Posts what is sound before `at`, but for a tail of at most `tailMax` cycles, which is the answer. */
  async followTo(at: number, tailMax = 0): Promise<SoundCycle[]> {
    const { sound } = this.kept;
    let from = at;
    while (from > this.#posted && at - from < tailMax) {
      const cycle = sound[from - 1] as SoundCycle;
      if (cycle.moved !== null || cycle.changedParameters !== null) break;
      from--;
    }
    if (from > this.#posted) await this.court.follow(sound.slice(this.#posted, from));
    this.#posted = Math.max(this.#posted, from);
    const tail = sound.slice(this.#posted, at);
    await queueFor(this.l1, tail);
    return tail;
  }

  /** Whether that place of the history can still be built upon. */
  canFollowTo(at: number): boolean {
    return at >= this.#posted;
  }

  batchOf(cycles: readonly ForgedCycle[], changes: Partial<BatchHeader> = {}): Batch {
    return forgeBatch(this.l1.tip, cycles, this.domain, changes);
  }

  /**
   * A cycle that the ledger refuses, with the root of its effects where the contracts can tell it. What only an account shows must
   * come with that root; null: this one breaks another rule, too.
   */
  async refused(cycle: RefusedCycle): Promise<Planted | null> {
    const tail = await this.followTo(cycle.at, TAIL_MAX);
    const effects = await this.#rootOfEffects(cycle);
    if (effects === null && SHOWN_AT_ACCOUNT.has(cycle.code)) return null;
    const bad = { payload: cycle.payload, postRoot: effects ?? ANY_ROOT, claims: null };
    const convicted = await this.court.convict(this.batchOf([...tail.map(forgedOf), bad]));
    return { ...convicted, isPlausible: effects !== null };
  }

  /** The rule's own execution leaves out what only single accounts show: a dishonest proposer would claim that root. */
  async #rootOfEffects({ kind, preStateRoot, payload, rootWitness }: RefusedCycle): Promise<Hash | null> {
    if (kind === null || rootWitness === null) return null;
    const { dispute, rules } = this.l1.deployment;
    const { client } = this.l1;
    const hash = this.state.globals.parametersHash;
    const common = { address: dispute, abi: disputeAbi } as const;
    const store = await client.readContract({ ...common, functionName: "storeOf", args: [hash] });
    const args = [store, preStateRoot, bytesToHex(payload), bytesToHex(rootWitness)];
    const data = encodeFunctionData({ abi: RULE_ABI, functionName: "execute", args });
    const [answer] = await this.l1.read([{ to: rules[kind], data, gas: CHALLENGE_GAS }]);
    if (answer?.ok !== true) return null;
    const result = decodeFunctionResult({ abi: RULE_ABI, functionName: "execute", data: answer.data });
    const [code, root] = result as unknown as readonly [bigint, Hex];
    return code === 0n ? root : null;
  }

  /** The next sound cycles as one batch in its blob. */
  async followInBlob(cycles: readonly SoundCycle[], { batch, blob }: InBlob): Promise<void> {
    await this.court.followInBlob(batch, blob);
    this.#posted += cycles.length;
  }

  /**
   * A sound cycle with another root after it: `wrongly` makes it from the state before the cycle. Null: that is the right root, as
   * the cycle has no effect.
   */
  async wrongRoot(at: number, wrongly: (state: LedgerState, cycle: SoundCycle) => Hash): Promise<Planted | null> {
    await this.followTo(at);
    const cycle = this.kept.sound[at] as SoundCycle;
    await queueFor(this.l1, [cycle]);
    const { state } = this;
    state.mark();
    const postRoot = wrongly(state, cycle);
    state.rollBack();
    if (postRoot === cycle.postRoot) return null;
    const convicted = await this.court.convict(this.batchOf([{ ...forgedOf(cycle), postRoot }]));
    return { ...convicted, isPlausible: true };
  }

  /** Any batch after the tip. */
  async batch(batch: Batch, blob: Uint8Array | null = null): Promise<Planted> {
    return { ...(await this.court.convict(batch, blob)), isPlausible: true };
  }
}
