// What a state needs to go back to a mark: the cells that were replaced since. Used by watchers, which must be able to take a
// whole batch back; nobody else pays for it.
import { ByteWriter } from "@tidemark/num";
import type { ParameterSet } from "./parameters.ts";
import type { SparseTree } from "./tree/sparse-tree.ts";
import type { AccountCell, GlobalsCell, InstrumentCell, RingSlot, UnderlyingCell } from "./types.ts";

/** What stood in the cells that were stored since a mark; undefined = nothing. Cells are replaced, never changed in place. */
export interface Replaced {
  accounts: Map<number, AccountCell | undefined>;
  instruments: Map<number, InstrumentCell | undefined>;
  underlyings: Map<number, UnderlyingCell | undefined>;
  /** Account → slot index → slot. */
  ringSlots: Map<number, Map<number, RingSlot | undefined>>;
  outboxCount: number;
  globals: GlobalsCell;
  parameters: ParameterSet;
  rowBound: number;
}

export function nothingReplaced(
  outboxCount: number,
  globals: GlobalsCell,
  parameters: ParameterSet,
  rowBound: number,
): Replaced {
  return {
    accounts: new Map(),
    instruments: new Map(),
    underlyings: new Map(),
    ringSlots: new Map(),
    outboxCount,
    globals,
    parameters,
    rowBound,
  };
}

/** What stood there at the mark counts, not what came between. */
export function keepFirst<Cell>(replaced: Map<number, Cell | undefined>, number: number, cell: Cell | undefined): void {
  if (!replaced.has(number)) replaced.set(number, cell);
}

const cellWriter = new ByteWriter(4096);

/** An absent cell is an absent leaf. */
export function restoreLeaf<Cell>(
  tree: SparseTree,
  index: number,
  cell: Readonly<Cell> | undefined,
  write: (writer: ByteWriter, cell: Readonly<Cell>) => void,
): void {
  if (cell === undefined) {
    tree.clearCell(index);
    return;
  }
  cellWriter.reset();
  write(cellWriter, cell);
  tree.setCell(index, cellWriter.view());
}
