// A change of the parameter set as it comes from L1 (docs/spec/ledger.md, Parameter set). The set that results must be
// valid as a whole; which fields may change is said here alone: oracle keys, their quorum and the scalars of risk.
import { assert, ByteReader, ByteWriter, bytesToHex, DecodeError } from "@tidemark/num";
import { type ParameterSet, parameterProblems, parametersHash } from "./parameters.ts";
import { type RiskParameters, SCALAR_RANGES } from "./risk/parameters.ts";
import type { Address, HexBytes } from "./types.ts";

const FIELD_ORACLE = 0;
const FIELD_ORACLE_QUORUM = 1;
/** Field of the first scalar; the others follow in the order of SCALAR_RANGES. */
const FIELD_SCALAR_FIRST = 16;
const ZERO_ADDRESS: Address = `0x${"0".repeat(40)}`;

type ScalarName = (typeof SCALAR_RANGES)[number][0];

export type ParameterChangeItem =
  | { field: "oracle"; index: number; key: Address }
  | { field: "oracleQuorum"; value: number }
  | { field: ScalarName; value: number };

/** What the governor queues on L1. */
export function encodeParameterChange(items: readonly ParameterChangeItem[]): HexBytes {
  const writer = new ByteWriter(256);
  writer.u8(items.length);
  for (const item of items) {
    if (item.field === "oracle") writer.u8(FIELD_ORACLE).u8(item.index).hex(item.key, 20);
    else if (item.field === "oracleQuorum") writer.u8(FIELD_ORACLE_QUORUM).u8(item.value);
    else {
      const place = SCALAR_RANGES.findIndex(([name]) => name === item.field);
      assert(place >= 0, `risk parameter ${item.field}`);
      writer.u8(FIELD_SCALAR_FIRST + place).i64(item.value);
    }
  }
  return bytesToHex(writer.view());
}

interface Changed {
  oracles: Address[];
  oracleQuorum: number;
  risk: RiskParameters;
}

/** False for an item that no set knows. @throws DecodeError where bytes are missing */
function applyItem(reader: ByteReader, changed: Changed): boolean {
  const field = reader.u8();
  if (field === FIELD_ORACLE) {
    const index = reader.u8();
    const key = reader.hex(20);
    if (index >= changed.oracles.length || key === ZERO_ADDRESS) return false;
    changed.oracles[index] = key;
    return true;
  }
  if (field === FIELD_ORACLE_QUORUM) {
    changed.oracleQuorum = reader.u8();
    return true;
  }
  const scalar = SCALAR_RANGES[field - FIELD_SCALAR_FIRST];
  if (scalar === undefined) return false;
  changed.risk[scalar[0]] = reader.i64();
  return true;
}

/** The set that the change makes of another; null when the bytes are no change or no valid set comes of it. */
export function changedParameters(parameters: Readonly<ParameterSet>, change: Uint8Array): ParameterSet | null {
  const { oracles, oracleQuorum, risk } = parameters;
  const changed: Changed = { oracles: oracles.slice(), oracleQuorum, risk: { ...risk } };
  const reader = new ByteReader(change);
  try {
    const count = reader.u8();
    for (let i = 0; i < count; i++) if (!applyItem(reader, changed)) return null;
    if (count === 0 || reader.remaining > 0) return null;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return null;
  }
  const set: ParameterSet = { ...parameters, ...changed };
  return parameterProblems(set).length === 0 ? set : null;
}

/** Whether changes could have made `set` of `genesis`: everything that no change reaches is the same. */
export function isChangeOf(genesis: Readonly<ParameterSet>, set: Readonly<ParameterSet>): boolean {
  const { oracles, oracleQuorum, risk } = genesis;
  const { version, spotMovesPpb, tailMovesPpb } = set.risk;
  const undone = { ...set, oracles, oracleQuorum, risk: { ...risk, version, spotMovesPpb, tailMovesPpb } };
  return set.oracles.length === oracles.length && parametersHash(undone) === parametersHash(genesis);
}
