// Payloads of credit and admin.
import { assert, type ByteReader, type ByteWriter } from "@tidemark/num";
import { ADMIN_CHANGE_BYTES_MAX } from "../limits.ts";
import type { AdminCycle, CreditCycle, Cycle } from "../types.ts";
import { as, malformed } from "./reading.ts";

const CREDIT_OP = { grant: 0, settle: 1, revoke: 2 } as const;

export function writeCredit(writer: ByteWriter, cycle: Readonly<CreditCycle>): void {
  writer.u8(CREDIT_OP[cycle.op]).u24(cycle.account);
  if (cycle.op === "grant") writer.u64(cycle.amount).u64(cycle.queueIndex);
}

export function readCredit(reader: ByteReader, timeMs: Cycle["timeMs"]): CreditCycle {
  const op = reader.u8();
  const common = { kind: "credit", timeMs, account: as<CreditCycle["account"]>(reader.u24()) } as const;
  switch (op) {
    case CREDIT_OP.grant:
      return {
        ...common,
        op: "grant",
        amount: as(reader.u64()),
        queueIndex: reader.u64(),
      };
    case CREDIT_OP.settle:
      return { ...common, op: "settle" };
    case CREDIT_OP.revoke:
      return { ...common, op: "revoke" };
    default:
      return malformed(reader, "credit op");
  }
}

/** Bytes of a change of the parameter set, from its hexadecimal form. */
export function changeBytes(change: AdminCycle["change"]): number {
  return (change.length - 2) / 2;
}

export function isChangeLength(bytes: number): boolean {
  return bytes >= 1 && bytes <= ADMIN_CHANGE_BYTES_MAX;
}

export function writeAdmin(writer: ByteWriter, cycle: Readonly<AdminCycle>): void {
  const bytes = changeBytes(cycle.change);
  assert(isChangeLength(bytes), "change length");
  writer.u16(bytes).hex(cycle.change, bytes);
}

export function readAdmin(reader: ByteReader, timeMs: Cycle["timeMs"]): AdminCycle {
  const bytes = reader.u16();
  if (!isChangeLength(bytes)) malformed(reader, "change length");
  return { kind: "admin", timeMs, change: reader.hex(bytes) };
}
