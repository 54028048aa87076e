// Counts of lists in payloads: one byte within the limits of its list.
import { assert, type ByteReader, type ByteWriter } from "@tidemark/num";
import { malformed } from "./reading.ts";

/** A count byte within [least, most]. */
export function readCount(reader: ByteReader, least: number, most: number, what: string): number {
  const count = reader.u8();
  if (count < least || count > most) malformed(reader, what);
  return count;
}

export function writeCount(writer: ByteWriter, count: number, least: number, most: number, what: string): void {
  assert(count >= least && count <= most, what);
  writer.u8(count);
}
