// Who is paid what when a venue ends: the cases of contracts/test/unit/EscapePayment.t.sol, and what holds for all.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BTC, dollars, USDC, Venue } from "../../ledger/test/factory.ts";
import { seedOf } from "../../ledger/test/random.ts";
import {
  closingEquity,
  type Entitlement,
  encodeClosingMarks,
  encodeQuorum,
  entitlementsOf,
  escapeTable,
  NOTHING_PAID_BEYOND,
  outboxLeaf,
  paidBeyondAnchor,
  paidEvidence,
} from "../src/index.ts";

const SEED = seedOf(20_261_123);
const who = `0x${"ab".repeat(20)}` as const;
const other = `0x${"cd".repeat(20)}` as const;
const entitlement = (number: number, amount: bigint, kind: Entitlement["kind"] = "account"): Entitlement => ({
  kind,
  number,
  beneficiary: who,
  amountMicroUsdc: amount,
});
const TREASURY = entitlement(0, 50n);
const INSURANCE = entitlement(1, 30n);
const ALICE = entitlement(2, 2_059n);
const BOB = entitlement(3, 1_941n);
const SMALL = entitlement(0, 200n, "withdrawal");
const LARGE = entitlement(1, 500n, "withdrawal");
const ALL = [TREASURY, INSURANCE, ALICE, BOB, SMALL, LARGE];
const SENIOR = 4_700n;

const paymentsOf = (inTime: Entitlement[], late: Entitlement[], vault: bigint): bigint[] =>
  escapeTable(inTime, late, vault).payments.map(({ paymentMicroUsdc }) => paymentMicroUsdc);

describe("payments, the cases of the contract's tests", () => {
  test.each([
    ["in full, the rest to the insurance", ALL, [], SENIOR + 85n, [50n, 35n, 2_059n, 1_941n, 200n, 500n]],
    ["the treasury before the insurance", ALL, [], SENIOR + 20n, [20n, 0n, 2_059n, 1_941n, 200n, 500n]],
    ["the same share of a short vault", ALL, [], 3_000n, [0n, 0n, 1_314n, 1_238n, 127n, 319n]],
    ["late ones share what is left", [ALICE], [BOB, LARGE, TREASURY], 3_059n, [2_059n, 795n, 204n, 0n]],
    ["late ones get no more than they have", [ALICE], [BOB, INSURANCE], SENIOR, [2_059n, 1_941n, 700n]],
    ["late ones get nothing from a short vault", [ALICE], [BOB], 2_000n, [2_000n, 0n]],
    ["nothing for nothing", [entitlement(7, 0n)], [], 10n, [0n]],
  ] as const)("%s", (_name, inTime, late, vault, expected) => {
    expect(paymentsOf([...inTime], [...late], vault)).toEqual(expected);
  });
});

test("no more is paid than there is, nobody gets more than he has, and all the same share", () => {
  const amount = fc.oneof(fc.bigInt(0n, 20n), fc.bigInt(0n, 2n ** 53n), fc.bigInt(0n, 2n ** 79n));
  const list = fc.array(fc.tuple(amount, fc.constantFrom("account", "withdrawal", "deposit")), { maxLength: 12 });
  const property = fc.property(list, list, fc.boolean(), amount, (early, later, hasJuniors, vault) => {
    const made = (from: typeof early, first: number): Entitlement[] =>
      from.map(([worth, kind], i) => entitlement(first + i, worth, kind as Entitlement["kind"]));
    const inTime = [...made(early, 2), ...(hasJuniors ? [TREASURY, INSURANCE] : [])];
    const late = made(later, 100);
    const table = escapeTable(inTime, late, vault);
    expect(table.paidMicroUsdc + table.dustMicroUsdc).toBe(vault);
    const isFull = table.registeredMicroUsdc <= vault;
    for (const one of table.payments) {
      const isInsurance = one.kind === "account" && one.number === 1;
      if (isInsurance) continue;
      expect(one.paymentMicroUsdc <= one.amountMicroUsdc).toBe(true);
      if (one.kind === "account" && one.number === 0) continue;
      if (one.isLate) expect(isFull || one.paymentMicroUsdc === 0n).toBe(true);
      else if (isFull) expect(one.paymentMicroUsdc).toBe(one.amountMicroUsdc);
      else expect(one.paymentMicroUsdc).toBe((one.amountMicroUsdc * vault) / table.registeredMicroUsdc);
    }
    // Nothing but rounding stays once the insurance has come.
    if (hasJuniors) expect(table.dustMicroUsdc < BigInt(table.payments.length)).toBe(true);
  });
  fc.assert(property, { seed: SEED, numRuns: 2_000 });
});

function tradedVenue(): Venue {
  const venue = new Venue();
  for (const number of [2, 3, 4]) venue.fund(number, 200_000 * USDC);
  venue.list(BTC, 0);
  venue.list(BTC, venue.timeMs + 86_400_000, [dollars(100_000)]);
  venue.mark(BTC, { index: dollars(100_000) });
  venue.must(venue.cross(2, 3, 0, 100, venue.markTicks(0)));
  venue.must(venue.cross(3, 4, 2, 50, venue.markTicks(2)));
  venue.advance(3_600_000);
  venue.mark(BTC, { index: dollars(100_700), premium: 3_000_000 });
  return venue;
}

describe("what registers", () => {
  test("equity at the last marks is the ledger's own, and all of it is in the vault", () => {
    const { state, timeMs } = tradedVenue();
    let sum = 0n;
    for (const number of state.accountNumbers()) sum += closingEquity(state, number, new Map()) as bigint;
    const { cashTotal, clearingTotal } = state.globals;
    // Rounded down for each; clearing accounts hold the other side.
    expect(sum <= BigInt(cashTotal) + BigInt(clearingTotal)).toBe(true);
    expect(BigInt(cashTotal) + BigInt(clearingTotal) - sum < 10n).toBe(true);
    expect(closingEquity(state, 99, new Map())).toBeUndefined();
    // A signed mark moves buyer and seller by the same.
    const call = 2;
    const moved = new Map([[call, 12_345]]);
    const change = (number: number): bigint =>
      (closingEquity(state, number, moved) as bigint) - (closingEquity(state, number, new Map()) as bigint);
    expect(change(3)).toBe(-change(4));
    expect(change(3)).not.toBe(0n);
    expect(timeMs).toBeGreaterThan(0);
  });

  test("unclaimed withdrawals, deposits that were not consumed, and nothing twice", () => {
    const venue = tradedVenue();
    venue.must(venue.withdrawal({ account: 2, amount: 5 * USDC }));
    venue.must(venue.withdrawal({ account: 3, amount: 6 * USDC }));
    const { state } = venue;
    const deposits = [3, 900].map((index) => ({ index, account: 4, amount: 77, payer: other }));
    const input = { state, marks: new Map(), deposits, claimedLeaf: () => undefined, paid: NOTHING_PAID_BEYOND };
    const kinds = (list: Entitlement[]): string[] => list.map(({ kind, number }) => `${kind} ${number}`);
    const accounts = ["account 1", "account 2", "account 3", "account 4"];
    expect(kinds(entitlementsOf(input))).toEqual([...accounts, "withdrawal 0", "withdrawal 1", "deposit 900"]);
    const first = state.outboxCell(0);
    if (first === undefined) throw new Error("no withdrawal");
    const claimed = { ...input, claimedLeaf: (number: number) => (number === 0 ? outboxLeaf(first) : undefined) };
    expect(kinds(entitlementsOf(claimed))).toEqual([...accounts, "withdrawal 1", "deposit 900"]);
    // The number was taken by another withdrawal: this one is still owed.
    const taken = { ...input, claimedLeaf: () => outboxLeaf({ ...first, recipient: other }) };
    expect(kinds(entitlementsOf(taken))).toContain("withdrawal 0");
  });

  test("what was paid beyond the anchor is set against the account, then against deposits into it", () => {
    const { state } = tradedVenue();
    const worth = closingEquity(state, 4, new Map()) as bigint;
    const deposits = [900, 901].map((index) => ({ index, account: 4, amount: 77, payer: other }));
    const input = { state, marks: new Map(), deposits, claimedLeaf: () => undefined };
    const amounts = (paid: bigint, returned: number[] = []): bigint[] => {
      const beyond = { accounts: new Map([[4, paid]]), returnedDeposits: new Set(returned) };
      return entitlementsOf({ ...input, paid: beyond })
        .filter(({ kind, number }) => kind === "deposit" || number === 4)
        .map(({ amountMicroUsdc }) => amountMicroUsdc);
    };
    expect(amounts(0n)).toEqual([worth, 77n, 77n]);
    expect(amounts(10n)).toEqual([worth - 10n, 77n, 77n]);
    expect(amounts(worth + 80n)).toEqual([0n, 0n, 74n]);
    expect(amounts(worth * 2n)).toEqual([0n, 0n, 0n]);
    expect(amounts(0n, [900])).toEqual([worth, 77n]);
  });
});

test("evidence of what was paid: by signature, as a returned deposit, to the owner; else none", () => {
  const cell = { account: 4, asset: 0, amount: 77, destinationChain: 1, recipient: other } as never;
  const claims = [10, 11, 12, 13].map((withdrawalNumber) => ({ withdrawalNumber, cell }));
  const signature = `0x${"11".repeat(64)}` as const;
  const withdrawal = { account: 4, amount: 77, recipient: other, nonce: 5, expiryMs: 6 } as never;
  const sources = {
    isOwnersRecipient: () => true,
    signed: [{ withdrawal, signature }],
    deposits: [{ index: 900, account: 4, amount: 77, payer: other }],
  };
  const evidence = paidEvidence(claims, sources);
  expect(evidence.map(({ how }) => how)).toEqual(["signed", "returned", "owner", "owner"]);
  const paid = paidBeyondAnchor(evidence);
  expect(paid.accounts.get(4)).toBe(231n);
  expect([...paid.returnedDeposits]).toEqual([900]);
  const stranger = paidEvidence(claims, { ...sources, isOwnersRecipient: () => false });
  expect(stranger.map(({ withdrawalNumber }) => withdrawalNumber)).toEqual([10, 11]);
});

test("encodings of marks and signatures", () => {
  const marks = new Map([
    [0x010203, 0x0a0b0c0d0e],
    [2, 5],
  ]);
  expect(Buffer.from(encodeClosingMarks(marks)).toString("hex")).toBe("0000020000000005" + "0102030a0b0c0d0e");
  expect(() => encodeClosingMarks(new Map([[1, 2 ** 40]]))).toThrow();
  const signature = `0x${"11".repeat(64)}` as const;
  const encoded = encodeQuorum([
    { signer: 2, signature },
    { signer: 0, signature },
  ]);
  expect(encoded.length).toBe(1 + 2 * 65);
  expect([encoded[0], encoded[1], encoded[66]]).toEqual([2, 0, 2]);
});
