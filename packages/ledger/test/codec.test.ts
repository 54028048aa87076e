import { ByteReader, ByteWriter, bytesToHex, keccak256 } from "@tidemark/num";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Cycle,
  cycleBytes,
  decodeCycle,
  decodeInboundEntry,
  encodeCycle,
  encodeInboundEntry,
  inboundEntryBytes,
  inboundHashNext,
  RejectionCode,
  readUnderlying,
  writeUnderlying,
  ZERO_HASH,
} from "../src/index.ts";
import { cycleArbitraries, inboundEntry } from "./arbitraries.ts";

const DOMAIN = 7;
const arbitraries = cycleArbitraries(DOMAIN);
const kinds = Object.keys(arbitraries) as Cycle["kind"][];
const anyCycle: fc.Arbitrary<Cycle> = fc.oneof(...kinds.map((kind) => arbitraries[kind] as fc.Arbitrary<Cycle>));

/** Hostile bytes: refused with a place, or accepted and then exactly the canonical form. */
function checkTotal(bytes: Uint8Array): boolean {
  const decoded = decodeCycle(bytes, DOMAIN);
  if (!decoded.ok) {
    const known = decoded.code === RejectionCode.MALFORMED || decoded.code === RejectionCode.INBOUND_QUEUE_ORDER;
    const inside = decoded.offset >= 0 && decoded.offset <= bytes.length;
    if (!known || !inside) throw new Error(`refusal ${JSON.stringify(decoded)} of ${bytesToHex(bytes)}`);
    return false;
  }
  const again = bytesToHex(encodeCycle(decoded.cycle));
  if (again !== bytesToHex(bytes)) throw new Error(`accepted ${bytesToHex(bytes)}, canonical is ${again}`);
  return true;
}

describe.each(kinds)("%s", (kind) => {
  const arbitrary = arbitraries[kind] as fc.Arbitrary<Cycle>;

  test("round trip and computed length", () => {
    fc.assert(
      fc.property(arbitrary, (cycle) => {
        const bytes = encodeCycle(cycle);
        expect(bytes.length).toBe(cycleBytes(cycle));
        const decoded = decodeCycle(bytes, DOMAIN);
        expect(decoded).toEqual({ ok: true, cycle });
      }),
      { numRuns: 150 },
    );
  });

  test("every truncation and any tail is refused", () => {
    fc.assert(
      fc.property(arbitrary, fc.uint8Array({ minLength: 1, maxLength: 4 }), (cycle, tail) => {
        const bytes = encodeCycle(cycle);
        const step = Math.max(1, Math.floor(bytes.length / 97));
        for (let length = 0; length < bytes.length; length += step) {
          expect(decodeCycle(bytes.subarray(0, length), DOMAIN).ok).toBe(false);
        }
        expect(decodeCycle(Uint8Array.from([...bytes, ...tail]), DOMAIN).ok).toBe(false);
      }),
      { numRuns: 40 },
    );
  });
});

test("corrupted bytes never throw and never decode to another form", () => {
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      anyCycle,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (cycle, faults) => {
        const bytes = encodeCycle(cycle);
        for (const [place, value] of faults) bytes[place % bytes.length] = value;
        if (checkTotal(bytes)) accepted++;
        else refused++;
      },
    ),
    { numRuns: 1500 },
  );
  // Most bytes are plain values, so both sides must occur or the fuzz shows nothing.
  expect(accepted).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});

test("every byte of a header and of the counts, all 256 values", () => {
  for (const kind of kinds) {
    const [cycle] = fc.sample(arbitraries[kind] as fc.Arbitrary<Cycle>, { numRuns: 1, seed: 11 });
    const bytes = encodeCycle(cycle as Cycle);
    for (let place = 0; place < Math.min(bytes.length, 36); place++) {
      for (let value = 0; value < 256; value++) {
        const changed = bytes.slice();
        changed[place] = value;
        checkTotal(changed);
      }
    }
  }
});

test("random bytes behind a valid header never throw", () => {
  fc.assert(
    fc.property(fc.nat(13), fc.uint8Array({ maxLength: 400 }), (kind, body) => {
      checkTotal(Uint8Array.from([1, kind, 0, 0, 0, 0, 0, 0, 0, 0, ...body]));
    }),
    { numRuns: 2000 },
  );
});

describe("what the canonical form excludes", () => {
  const sample = (kind: Cycle["kind"]): Cycle =>
    fc.sample(arbitraries[kind] as fc.Arbitrary<Cycle>, { numRuns: 1, seed: 5 })[0] as Cycle;
  const refusal = (bytes: Uint8Array): string => {
    const decoded = decodeCycle(bytes, DOMAIN);
    return decoded.ok ? "accepted" : `${decoded.code} ${decoded.what}`;
  };
  const header = (kind: number): number[] => [1, kind, 0, 0, 0, 0, 0, 0, 0, 0];
  const entry = (nonce: number): number[] => [
    ...[1, 5, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, nonce, 0, 0, 0, 0, 0],
    ...new Array<number>(12).fill(0),
    ...[0, 0, 1, 0, 0, 0],
    ...new Array<number>(14).fill(0),
  ];
  const trade = (...body: number[]): Uint8Array => Uint8Array.from([...header(3), ...body]);

  test("payload version, kind and time", () => {
    const bytes = encodeCycle(sample("rows"));
    expect(refusal(bytes.map((byte, i) => (i === 0 ? 2 : byte)))).toContain("payload version");
    expect(refusal(bytes.map((byte, i) => (i === 1 ? 13 : byte)))).toContain("cycle kind");
    expect(refusal(bytes.map((byte, i) => (i === 9 ? 0x20 : byte)))).toContain("above 2^53");
  });

  test("auction: operation, parts, legs and shares of the discount", () => {
    const take = (change: Record<number, number>): string => {
      const body = new Array<number>(114 + 7).fill(0);
      // take, account 9, bidder 8, 1000 parts, discount 5 of which 5 from the account, one leg of −2 lots.
      Object.assign(body, { 0: 1, 1: 9, 5: 8, 10: 0xe8, 11: 3, 97: 5, 105: 5, 113: 1, 117: 0xfe, 118: 0xff });
      Object.assign(body, { 119: 0xff, 120: 0xff }, change);
      return refusal(Uint8Array.from([...header(5), ...body]));
    };
    expect(take({})).toBe("accepted");
    expect(take({ 0: 3 })).toContain("auction op");
    expect(take({ 10: 0xe9 })).toContain("parts");
    expect(take({ 10: 0, 11: 0 })).toContain("parts");
    expect(take({ 32: 2 })).toContain("bindsLegs");
    expect(take({ 105: 6 })).toContain("fromAccount");
    expect(take({ 113: 0 })).toContain("legCount");
    expect(take({ 117: 0, 118: 0, 119: 0, 120: 0 })).toContain("auction leg");
    expect(take({ 117: 0, 118: 0, 119: 0, 120: 0x80 })).toContain("auction leg");
  });

  test("bankruptcy, adl, credit and admin: counts, order, operation", () => {
    const of = (kind: number, ...body: number[]): string => refusal(Uint8Array.from([...header(kind), ...body]));
    expect(of(6, 2, 3, 0, 0, 4, 0, 0)).toBe("accepted");
    expect(of(6, 2, 4, 0, 0, 4, 0, 0)).toContain("not increasing");
    expect(of(6, 0)).toContain("bankruptcy count");
    expect(of(6, 33)).toContain("bankruptcy count");
    const adl = [4, 0, 0, 128, 7, 0, 0, 1, 0, 0, 0, 0];
    expect(of(7, ...adl, 1, ...new Array<number>(20).fill(0))).toBe("accepted");
    expect(of(7, ...adl, 0)).toContain("counterparty count");
    expect(of(7, ...adl, 65)).toContain("counterparty count");
    expect(of(11, 1, 2, 0, 0)).toBe("accepted");
    expect(of(11, 3, 2, 0, 0)).toContain("credit op");
    expect(of(12, 1, 0, 0xff)).toBe("accepted");
    expect(of(12, 0, 0)).toContain("change length");
    expect(of(12, 1, 4)).toContain("change length");
  });

  test("accounts and nonces strictly increasing", () => {
    expect(refusal(trade(1, 9, 0, 0, 0, 2, ...entry(4), ...entry(5)))).toBe("accepted");
    expect(refusal(trade(1, 9, 0, 0, 0, 2, ...entry(5), ...entry(5)))).toContain("order of nonce");
    expect(refusal(trade(2, 9, 0, 0, 0, 1, ...entry(5), 9, 0, 0, 0, 1, ...entry(6)))).toContain("not increasing");
    expect(refusal(trade(0))).toContain("accountCount");
    expect(refusal(trade(1, 9, 0, 0, 0, 0))).toContain("entryCount");
    expect(refusal(trade(1, 9, 0, 0, 129, 1, ...entry(5)))).toContain("positionCount");
  });

  test("rows: increasing, at most 16, none only when closing", () => {
    const rows = (...body: number[]): Uint8Array => Uint8Array.from([...header(2), 0, 0, ...body]);
    expect(refusal(rows(1, 0))).toBe("accepted");
    expect(refusal(rows(0, 0))).toContain("rows count");
    expect(refusal(rows(2, 0))).toContain("closesEpoch");
    expect(refusal(rows(0, 2, 5, 0, 0, 4, 0, 0))).toContain("not increasing");
    expect(refusal(rows(0, 17, ...new Array<number>(51).fill(0)))).toContain("rows count");
  });

  test("inbound: undecodable entries and none at all have the queue's code", () => {
    expect(refusal(Uint8Array.from([...header(9), 0]))).toContain("900");
    expect(refusal(Uint8Array.from([...header(9), 1, 1, 0, 77]))).toContain("900");
    expect(refusal(Uint8Array.from([...header(9), 1, 5, 0, 8, 0, 0, 2, 0]))).toContain("trailing");
    expect(refusal(Uint8Array.from([...header(9), 1, 4, 0, 8, 0, 0, 2]))).toBe("accepted");
  });
});

describe("inbound entries", () => {
  test("round trip, big-endian, computed length", () => {
    fc.assert(
      fc.property(inboundEntry, (entry) => {
        const bytes = encodeInboundEntry(entry);
        expect(bytes.length).toBe(inboundEntryBytes(entry));
        expect(decodeInboundEntry(bytes)).toEqual({ ok: true, entry });
      }),
      { numRuns: 500 },
    );
  });

  test("hostile bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 11 }), fc.uint8Array({ maxLength: 60 }), (type, body) => {
        const bytes = Uint8Array.from([type, ...body]);
        const decoded = decodeInboundEntry(bytes);
        if (decoded.ok) expect(encodeInboundEntry(decoded.entry)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("the bytes that the custody contract packs", () => {
    const payer = `0x${"ab".repeat(20)}` as const;
    const decoded = decodeInboundEntry(
      Uint8Array.from([2, 0, 1, 2, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, ...new Array<number>(20).fill(0xab)]),
    );
    expect(decoded).toEqual({ ok: true, entry: { type: "deposit", account: 258, amount: 1_000_000, payer } });
    const close = decodeInboundEntry(
      Uint8Array.from([7, 0, 0, 5, 0, 0, 6, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 9, 0, 0, 0, 0, 1, 2]),
    );
    expect(close).toEqual({
      ok: true,
      entry: { type: "forcedClose", account: 5, instrument: 6, size: -2, limitPrice: 9, nonce: 258 },
    });
  });

  test("a change of parameters: any bytes, none and too many excepted", () => {
    const change = (...bytes: number[]): boolean => decodeInboundEntry(Uint8Array.from([10, ...bytes])).ok;
    expect(decodeInboundEntry(Uint8Array.from([10, 0, 2, 0xab, 0xcd]))).toEqual({
      ok: true,
      entry: { type: "adminChange", change: "0xabcd" },
    });
    expect(change(0, 0)).toBe(false);
    expect(change(4, 0, ...new Array<number>(1024).fill(1))).toBe(true);
    expect(change(4, 1, ...new Array<number>(1025).fill(1))).toBe(false);
    expect(change(0, 2, 1)).toBe(false);
    expect(change(0, 1, 1, 1)).toBe(false);
  });

  test("the queue's hash chain", () => {
    const entry = Uint8Array.from([8, 0, 0, 2]);
    const expected = keccak256(Uint8Array.from([...new Uint8Array(32), ...keccak256(entry)]));
    const next = inboundHashNext(ZERO_HASH, entry);
    expect(next).toBe(bytesToHex(expected));
    expect(inboundHashNext(next, entry)).toBe(
      bytesToHex(keccak256(Uint8Array.from([...expected, ...keccak256(entry)]))),
    );
  });
});

test("a cell's flags are 0 or 1", () => {
  const writer = new ByteWriter();
  const zero = 0 as never;
  writeUnderlying(writer, {
    ...{ epoch: 3, epochOpen: true, reportMs: zero, index: zero, indexAverage: zero, premiumEma: zero },
    ...{ perpetual: zero, hasPerpetual: false, surfaces: [] },
  });
  const bytes = writer.toBytes();
  expect(readUnderlying(new ByteReader(bytes)).epochOpen).toBe(true);
  bytes[8] = 2;
  expect(() => readUnderlying(new ByteReader(bytes))).toThrow("epochOpen");
});
