import { bytesToHex, keccak256 } from "@tidemark/num";
import fc from "fast-check";
import { hashTypedData } from "viem";
import { expect, test } from "vitest";
import {
  domainSeparator,
  encodeCycle,
  orderHash,
  type ReportCycle,
  reportHash,
  settlementHash,
  withdrawalHash,
} from "../src/index.ts";
import { cycleArbitraries, order, u24, u32, withdrawal } from "./arbitraries.ts";

const parameters = { chainId: 31_337, verifyingContract: `0x${"c0".repeat(20)}` } as const;
const separator = domainSeparator(parameters);
const domain = { name: "Tidemark", version: "1", chainId: 31_337, verifyingContract: parameters.verifyingContract };
const types = {
  Leg: [
    { name: "instrument", type: "uint32" },
    { name: "ratio", type: "int32" },
  ],
  Order: [
    { name: "domain", type: "uint32" },
    { name: "account", type: "uint32" },
    { name: "legs", type: "Leg[]" },
    { name: "size", type: "int32" },
    { name: "limitPrice", type: "int32" },
    { name: "maxFeePerLot", type: "uint64" },
    { name: "nonce", type: "uint64" },
    { name: "start", type: "uint64" },
    { name: "expiry", type: "uint64" },
    { name: "flags", type: "uint32" },
  ],
  Withdrawal: [
    { name: "domain", type: "uint32" },
    { name: "account", type: "uint32" },
    { name: "asset", type: "uint32" },
    { name: "amount", type: "uint64" },
    { name: "destinationChain", type: "uint64" },
    { name: "recipient", type: "address" },
    { name: "nonce", type: "uint64" },
    { name: "expiry", type: "uint64" },
  ],
  Report: [
    { name: "domain", type: "uint32" },
    { name: "content", type: "bytes32" },
  ],
  Settlement: [
    { name: "domain", type: "uint32" },
    { name: "underlying", type: "uint32" },
    { name: "expiry", type: "uint64" },
    { name: "price", type: "uint64" },
  ],
} as const;

test("orders", () => {
  fc.assert(
    fc.property(order(u32, u24), (value) => {
      const message = {
        ...value,
        maxFeePerLot: BigInt(value.maxFeePerLot),
        nonce: BigInt(value.nonce),
        start: BigInt(value.startMs),
        expiry: BigInt(value.expiryMs),
      };
      const expected = hashTypedData({ domain, types, primaryType: "Order", message });
      expect(bytesToHex(orderHash(value, separator))).toBe(expected);
    }),
    { numRuns: 200 },
  );
});

test("withdrawals", () => {
  fc.assert(
    fc.property(withdrawal(u32), (value) => {
      const message = {
        ...value,
        amount: BigInt(value.amount),
        destinationChain: BigInt(value.destinationChain),
        nonce: BigInt(value.nonce),
        expiry: BigInt(value.expiryMs),
      };
      const expected = hashTypedData({ domain, types, primaryType: "Withdrawal", message });
      expect(bytesToHex(withdrawalHash(value, separator))).toBe(expected);
    }),
    { numRuns: 100 },
  );
});

test("reports: the content is the payload without header and signatures", () => {
  fc.assert(
    fc.property(cycleArbitraries(3).report, u32, (report: ReportCycle, ledgerDomain) => {
      const payload = encodeCycle(report);
      const signatureBytes = 1 + 65 * report.signatures.length;
      const content = bytesToHex(keccak256(payload.subarray(10, payload.length - signatureBytes)));
      const message = { domain: ledgerDomain, content };
      const expected = hashTypedData({ domain, types, primaryType: "Report", message });
      expect(bytesToHex(reportHash(report, ledgerDomain, separator))).toBe(expected);
    }),
    { numRuns: 60 },
  );
});

test("settlements", () => {
  fc.assert(
    fc.property(cycleArbitraries(3).expiry, u32, (cycle, ledgerDomain) => {
      const message = {
        domain: ledgerDomain,
        underlying: cycle.underlying,
        expiry: BigInt(cycle.expiryMs),
        price: BigInt(cycle.settlementPrice),
      };
      const expected = hashTypedData({ domain, types, primaryType: "Settlement", message });
      expect(bytesToHex(settlementHash(cycle, ledgerDomain, separator))).toBe(expected);
    }),
    { numRuns: 60 },
  );
});

test("every field changes the order's hash, and so does the contract", () => {
  const [sample] = fc.sample(order(u32, u24), { numRuns: 1, seed: 3 });
  if (sample === undefined) throw new Error("no sample");
  const hash = (value: typeof sample): string => bytesToHex(orderHash(value, separator));
  const base = hash(sample);
  for (const field of [
    "domain",
    "account",
    "size",
    "limitPrice",
    "maxFeePerLot",
    "nonce",
    "startMs",
    "expiryMs",
  ] as const) {
    const changed = { ...sample, [field]: sample[field] === 5 ? 6 : 5 };
    expect(hash(changed), field).not.toBe(base);
  }
  const other = domainSeparator({ ...parameters, verifyingContract: `0x${"c1".repeat(20)}` });
  expect(bytesToHex(orderHash(sample, other))).not.toBe(base);
});
