// Roots by the definition, for comparison.
import { keccak256 } from "@tidemark/num";
import { emptyRoot } from "../src/index.ts";

/** Recursion that takes the empty subtree's root where no leaf is. */
export function recursiveRoot(depth: number, cells: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  if (cells.length === 0) return emptyRoot(depth);
  if (depth === 0) return keccak256(cells[0]?.[1] as Uint8Array);
  const half = 2 ** (depth - 1);
  const left = recursiveRoot(
    depth - 1,
    cells.filter(([index]) => index < half),
  );
  const right = recursiveRoot(
    depth - 1,
    cells.filter(([index]) => index >= half).map(([index, cell]) => [index - half, cell] as const),
  );
  return keccak256(Uint8Array.from([...left, ...right]));
}
