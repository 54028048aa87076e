// Shared by the codecs: how a reader refuses bytes and how its numbers get their unit.
import { type ByteReader, DecodeError } from "@tidemark/num";

/** @throws DecodeError: the bytes before the reader's place are not canonical. */
export function malformed(reader: ByteReader, what: string): never {
  throw new DecodeError("malformed", reader.offset, what);
}

/** A reader's numbers carry no unit; the field that takes it decides which. */
export function as<Branded extends number>(value: number): Branded {
  return value as Branded;
}
