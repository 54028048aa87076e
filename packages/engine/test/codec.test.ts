// Commands: what is written is read again, and only that.
import { DecodeError } from "@tidemark/num";
import { expect, test } from "vitest";
import { decodeCommand, encodeCommand } from "../src/index.ts";
import { Stream } from "./stream.ts";
import { Random } from "./world.ts";

const SEED = 31;

test("every command of a stream comes back; a cut or lengthened encoding does not decode", () => {
  const stream = new Stream({ seed: SEED, accounts: 6, strikes: 1, commands: 600 });
  stream.run();
  expect(new Set(stream.log.map((command) => command.kind)).size).toBe(10);
  for (const command of stream.log) {
    const bytes = encodeCommand(command);
    expect(decodeCommand(bytes)).toEqual(command);
    expect(() => decodeCommand(bytes.subarray(0, bytes.length - 1))).toThrow(DecodeError);
    expect(() => decodeCommand(Uint8Array.of(...bytes, 0))).toThrow(DecodeError);
  }
});

test(`corrupted bytes decode canonically or not at all, seed ${SEED}`, () => {
  const stream = new Stream({ seed: SEED, accounts: 6, strikes: 1, commands: 300 });
  stream.run();
  const random = new Random(SEED);
  for (const command of stream.log) {
    const bytes = encodeCommand(command);
    bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
    let decoded: ReturnType<typeof decodeCommand>;
    try {
      decoded = decodeCommand(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      continue;
    }
    expect(encodeCommand(decoded)).toEqual(bytes);
  }
});
