// Gas and bytes of challenges, each as a transaction of its own, measured and bounded.
import {
  CHALLENGE_BYTES_MAX,
  CHALLENGE_FIXED_BYTES,
  CYCLE_WEIGHT_MAX,
  type Cycle,
  CycleKind,
  cycleWeight,
  encodeCycle,
} from "@tidemark/ledger";
import { expect } from "vitest";
import type { Venue } from "../../../ledger/test/factory.ts";
import { accountFaultCells, encodeWitness, rootFaultCells } from "../../src/index.ts";
import { CHALLENGE_GAS, type RuleEvm } from "./evm.ts";

export class GasTable {
  readonly #evm: RuleEvm;
  readonly #lines: string[] = [];

  constructor(evm: RuleEvm) {
    this.#evm = evm;
  }

  /** Rule and payload, without what the dispute contract adds: a header, paths and their padding. The cycle is sound. */
  async measure(what: string, venue: Venue, cycle: Cycle, checked?: number): Promise<void> {
    const { state } = venue;
    const payload = encodeCycle(cycle);
    const cells = checked === undefined ? rootFaultCells(state, cycle) : accountFaultCells(state, cycle, checked);
    const witness = encodeWitness(state, cells);
    const call = {
      kind: CycleKind[cycle.kind],
      face: checked === undefined ? ("execute" as const) : ("check" as const),
      parameters: this.#evm.parametersAt(state.parameters, state.globals.parametersHash),
      preStateRoot: state.root(),
      payload,
      witness,
      account: checked ?? 0,
    };
    const [answer] = await this.#evm.call([call]);
    expect(answer?.error, what).toBe("");
    expect(answer?.code, what).toBe(0);
    const gas = await this.#evm.estimate(call);
    const bytes = payload.length + witness.length;
    const weight = cycleWeight(cycle);
    this.#lines.push(
      `${`${cycle.kind} ${call.face}: ${what}`.padEnd(56)} ${String(gas).padStart(8)} ${String(bytes).padStart(8)} ${String(weight).padStart(9)}`,
    );
    expect(weight, what).toBeLessThanOrEqual(CYCLE_WEIGHT_MAX);
    expect(bytes, what).toBeLessThanOrEqual(CHALLENGE_BYTES_MAX - CHALLENGE_FIXED_BYTES);
    expect(gas, what).toBeLessThan(CHALLENGE_GAS);
  }

  toString(): string {
    return [`${"challenge".padEnd(56)}      gas    bytes    weight`, ...this.#lines].join("\n");
  }
}

/** The most items for which the cycle keeps the weight limit. */
export function heaviest<Made extends Cycle>(most: number, make: (count: number) => Made): Made {
  let low = 1;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (cycleWeight(make(middle)) <= CYCLE_WEIGHT_MAX) low = middle;
    else high = middle - 1;
  }
  return make(low);
}
