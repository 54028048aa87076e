// A random venue whose every cycle is also judged by the compiled rules: calls are collected while the stream runs, with
// witnesses of the state before the cycle, and compared in batches.
import { type Cycle, type CycleVerdict, decodeCycle, encodeCycle, type LedgerState } from "@tidemark/ledger";
import type { Random } from "../../../ledger/test/random.ts";
import { Coverage, Stream } from "../../../ledger/test/stream/stream.ts";
import { WideStream } from "../../../ledger/test/stream/wide.ts";
import {
  accountFaultCells,
  checkedAccounts,
  encodeWitness,
  isCheckedEverywhere,
  kindNameOf,
  rootFaultCells,
} from "../../src/index.ts";
import { type ListAnswer, RULES, type RuleAnswer, type RuleCall, type RuleEvm } from "./evm.ts";

/** Codes that the rule at one account shows: open epoch, exposure, marks, margin, terms of liquidation, auction, adl. */
const ACCOUNT_CODES = new Set([
  ...[404, 415, 420, 421, 502, 503, 504, 506, 507, 508, 509, 510, 1009, 1010],
  ...[704, 705, 706, 707, 714, 715, 716, 717],
  ...[1305, 1306, 1307, 1318, 1319, 1320, 1321, 1323, 1324],
]);
const NO_WITNESS = new Uint8Array(0);
const FLUSH_CALLS = 512;
const HOSTILE_SHARE = 0.5;

interface Case {
  execute: RuleCall;
  /** The same with a witness that is not the state's: it reverts, or changed nothing that counts. */
  hostile: RuleCall | null;
  checks: RuleCall[];
  /** What the payload's bytes name; none when they do not decode. */
  listed: readonly number[];
  verdict: CycleVerdict;
  /** Enough to run it again. */
  where: string;
}

/** Counts by kind and code; 0 = accepted. */
export class Agreement {
  readonly counts = new Map<string, number>();
  cycles = 0;
  accepted = 0;
  calls = 0;
  hostile = 0;
  hostileReverts = 0;

  add(kind: number, code: number): void {
    const key = `${RULES[kind]} ${code}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    this.cycles += 1;
    if (code === 0) this.accepted += 1;
  }

  table(): string {
    const rows = [...this.counts].sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true }));
    const share = ((100 * this.accepted) / Math.max(1, this.cycles)).toFixed(1);
    const head = `cycles ${this.cycles}, accepted ${share}%, calls ${this.calls}, hostile witnesses ${this.hostile} (${this.hostileReverts} reverted)`;
    return [head, ...rows.map(([key, count]) => `${key.padEnd(24)} ${count}`)].join("\n");
  }
}

function checksOf(
  state: LedgerState,
  cycle: Cycle,
  common: Pick<RuleCall, "kind" | "parameters" | "preStateRoot" | "payload">,
): RuleCall[] {
  const accounts = isCheckedEverywhere(cycle)
    ? [...new Set([...checkedAccounts(cycle), ...state.accountNumbers()])]
    : checkedAccounts(cycle);
  return accounts.map((account): RuleCall => {
    const witness = encodeWitness(state, accountFaultCells(state, cycle, account));
    return { ...common, face: "check", account, witness };
  });
}

/** Collects a stream's cycles with their witnesses and compares them with the contracts in batches. */
export class Judge {
  readonly agreement: Agreement;
  readonly label: string;
  readonly #evm: RuleEvm;
  readonly #random: Random;
  #cases: Case[] = [];
  #behind: Promise<void> = Promise.resolve();
  #calls = 0;
  #applied = 0;

  constructor(agreement: Agreement, label: string, evm: RuleEvm, random: Random) {
    this.agreement = agreement;
    this.label = label;
    this.#evm = evm;
    this.#random = random;
  }

  /** `apply` applies the payload to the ledger whose state that is. */
  observe(state: LedgerState, payload: Uint8Array, apply: () => CycleVerdict): CycleVerdict {
    const kind = payload[1] ?? 0;
    const preStateRoot = state.root();
    const decoding = decodeCycle(payload, state.parameters.domain);
    const decoded = decoding.ok ? decoding.cycle : null;
    const parameters = this.#evm.parametersAt(state.parameters, state.globals.parametersHash);
    const common = { kind, parameters, preStateRoot, payload };
    const isJudged = RULES[kind] !== undefined;
    const witness = decoded === null ? NO_WITNESS : encodeWitness(state, rootFaultCells(state, decoded));
    const checks = decoded === null || !isJudged ? [] : checksOf(state, decoded, common);
    const verdict = apply();
    this.#applied += 1;
    if (isJudged) {
      const execute: RuleCall = { ...common, face: "execute", witness };
      const rejection = verdict.ok ? 0 : verdict.rejection.account;
      const kept = verdict.ok ? checks : checks.filter(({ account }) => account === rejection);
      const hostile = witness.length > 0 && this.#random.chance(HOSTILE_SHARE) ? this.#hostile(execute) : null;
      const listed = decoded === null ? [] : checkedAccounts(decoded);
      const where = `${this.label}, cycle ${this.#applied}`;
      this.#cases.push({ execute, hostile, checks: kept, listed, verdict, where });
      this.#calls += 1 + kept.length;
    }
    return verdict;
  }

  #hostile(execute: RuleCall): RuleCall {
    const random = this.#random;
    const { witness } = execute;
    const at = (): number => random.integer(0, witness.length - 1);
    const changed = random.pick([
      () => witness.map((byte, i) => (i === flipped ? byte ^ (1 << bit) : byte)),
      () => witness.slice(0, at()),
      () => Uint8Array.of(...witness, random.integer(0, 255)),
      () => {
        const [from, to] = [at(), at()];
        const bytes = witness.slice();
        bytes.copyWithin(to, from, from + random.integer(1, 64));
        return bytes;
      },
    ]);
    const flipped = at();
    const bit = random.integer(0, 7);
    return { ...execute, witness: changed() };
  }

  get isFull(): boolean {
    return this.#calls >= FLUSH_CALLS;
  }

  /** Compares what was collected while the stream goes on: waits for the comparison before. @throws Error as compare. */
  async compareBehind(): Promise<void> {
    await this.#behind;
    this.#behind = this.#compareCases();
    // A failure is told by whoever waits next; the requests leave before the stream takes the thread again.
    this.#behind.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** @throws Error at the first case on which contract and ledger differ. */
  async compare(): Promise<void> {
    await this.#behind;
    await this.#compareCases();
  }

  async #compareCases(): Promise<void> {
    const cases = this.#cases;
    this.#cases = [];
    this.#calls = 0;
    const calls = cases.flatMap(({ execute, checks, hostile }) => [
      execute,
      ...checks,
      ...(hostile === null ? [] : [hostile]),
    ]);
    const answers = await this.#evm.call(calls);
    const lists = await this.#evm.list(cases.map(({ execute }) => execute));
    this.agreement.calls += calls.length + lists.length;
    cases.forEach(({ listed, where }, i) => {
      const { accounts, error } = lists[i] as ListAnswer;
      if (accounts?.join() !== listed.join())
        throw new Error(`${where}: accountsOf ${accounts ?? error}, not ${listed}`);
    });
    let next = 0;
    for (const one of cases) {
      const execute = answers[next++] as RuleAnswer;
      const checks = one.checks.map(() => answers[next++] as RuleAnswer);
      this.#compare(one, execute, checks);
      if (one.hostile !== null) this.#compareHostile(one, execute, answers[next++] as RuleAnswer);
    }
  }

  #compareHostile({ where, hostile }: Case, execute: RuleAnswer, answer: RuleAnswer): void {
    this.agreement.hostile += 1;
    if (answer.code < 0) {
      this.agreement.hostileReverts += 1;
      return;
    }
    if (answer.code === execute.code && answer.root === execute.root) return;
    const witness = Buffer.from(hostile?.witness ?? []).toString("hex");
    throw new Error(
      `${where}: another witness says ${answer.code} ${answer.root}, the state's ${execute.code}: ${witness}`,
    );
  }

  #compare({ execute, checks, verdict, where }: Case, answer: RuleAnswer, checked: readonly RuleAnswer[]): void {
    const code = verdict.ok ? 0 : verdict.rejection.code;
    const fail = (what: string): never => {
      const payload = `payload ${Buffer.from(execute.payload).toString("hex")}`;
      throw new Error(`${where}: kind ${execute.kind}, ledger ${code}: ${what}; ${payload.slice(0, 2000)}`);
    };
    this.agreement.add(execute.kind, code);
    checked.forEach(({ code: found, error }, i) => {
      if (found < 0) fail(`check of ${checks[i]?.account} reverted: ${error}`);
    });
    if (answer.code < 0) fail(`execute reverted: ${answer.error}`);
    if (verdict.ok) {
      if (answer.code !== 0 || answer.root !== verdict.root)
        fail(`execute ${answer.code} ${answer.root}, root ${verdict.root}`);
      checked.forEach(({ code: found }, i) => {
        if (found !== 0) fail(`check of ${checks[i]?.account} says ${found}`);
      });
      return;
    }
    if (answer.code === code) return;
    if (!ACCOUNT_CODES.has(code)) fail(`execute says ${answer.code}`);
    if (checked[0]?.code !== code)
      fail(`execute says ${answer.code}, check of ${verdict.rejection.account} ${checked[0]?.code}`);
  }
}

const payloadOf = (cycle: Cycle | Uint8Array): Uint8Array => (cycle instanceof Uint8Array ? cycle : encodeCycle(cycle));

/**
 * Applies to the ledger alone, which is several times faster than with the reference. That ledger and reference agree on
 * such streams is packages/ledger/test/streams.test.ts.
 */
function applyWithoutReference(stream: Stream, payload: Uint8Array): CycleVerdict {
  const verdict = stream.venue.applyPayload(payload);
  stream.undoLoans();
  stream.coverage.cycles += 1;
  if (!verdict.ok) {
    Coverage.add(stream.coverage.codes, verdict.rejection.code);
    return verdict;
  }
  Coverage.add(stream.coverage.accepted, kindNameOf(payload) ?? "");
  stream.coverage.acceptedTotal += 1;
  for (const { code } of verdict.outcomes) Coverage.add(stream.coverage.outcomes, code);
  return verdict;
}

export class JudgedStream extends Stream {
  readonly judge: Judge;

  constructor(random: Random, coverage: Coverage, judge: Judge) {
    super(random, coverage);
    this.judge = judge;
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = payloadOf(cycle);
    return this.judge.observe(this.state, payload, () => applyWithoutReference(this, payload));
  }

  /** Nothing is compared with it. */
  protected override syncReference(): void {}
}

export class JudgedWideStream extends WideStream {
  readonly judge: Judge;

  constructor(random: Random, coverage: Coverage, judge: Judge) {
    super(random, coverage);
    this.judge = judge;
  }

  override apply(cycle: Cycle | Uint8Array): CycleVerdict {
    const payload = payloadOf(cycle);
    return this.judge.observe(this.state, payload, () => applyWithoutReference(this, payload));
  }

  protected override syncReference(): void {}
}
