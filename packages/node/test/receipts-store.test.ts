// The receipts on disk: found by order, paths that lead to what was signed, another sequencer's refused, old ones gone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Order } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { encodeReceipt, type Receipt, ReceiptTree, receiptRoot } from "@tidemark/settlement";
import { afterAll, expect, test } from "vitest";
import { ReceiptStore } from "../src/receipts/store.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-receipt-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const identity = { separator: `0x${"01".repeat(32)}`, sequencer: `0x${"02".repeat(20)}` } as const;
const as = <Branded>(value: number): Branded => value as Branded;

function entry(
  account: number,
  nonce: number,
  filledLots: number,
  deadlineMs: number,
): { receipt: Receipt; order: Order } {
  const receipt: Receipt = {
    kind: filledLots === 0 ? "cancel" : "fill",
    domain: 1,
    account,
    orderHash: `0x${"ab".repeat(32)}`,
    nonce,
    filledLots,
    filledCash: -(2 ** 52) - filledLots,
    deadlineMs,
    tier: 1,
  };
  const order: Order = {
    domain: 1,
    account: as(account),
    legs: [{ instrument: as(7), ratio: -3 }],
    size: as(-5),
    limitPrice: as(-9),
    maxFeePerLot: as(1),
    nonce: as(nonce),
    startMs: as(1),
    expiryMs: as(2),
    flags: 1,
  };
  return { receipt, order };
}

test("what is put is found by account, nonce and kind, after a restart too", async () => {
  const path = join(folder, "one");
  let store = ReceiptStore.openToWrite(path, identity);
  expect(store.sequence).toBe(0);
  const high = 2 ** 40;
  const first = [entry(2, 5, 1, 100), entry(3, high, 0, 100), entry(2, 5, 3, 100)];
  const second = [entry(2, 5, 0, 200), entry(2, 6, 4, 200)];
  await store.put({ sequence: 10, signature: new Uint8Array(64).fill(1), receipts: first });
  await store.put({ sequence: 12, signature: new Uint8Array(64).fill(2), receipts: second });
  await store.close();
  store = ReceiptStore.openToWrite(path, identity);
  expect(store.sequence).toBe(12);
  expect(store.count()).toEqual({ groups: 2, receipts: 5 });
  expect(store.countByKind()).toEqual({ fill: 3, cancel: 2 });
  const lots = (filter: Parameters<ReceiptStore["read"]>[0]): number[] =>
    [...store.read(filter)].map(({ receipt }) => receipt.filledLots);
  expect(lots({})).toEqual([1, 3, 0, 4, 0]);
  expect(lots({ account: 2 })).toEqual([1, 3, 0, 4]);
  expect(lots({ account: 2, nonce: 5 })).toEqual([1, 3, 0]);
  expect(lots({ account: 2, nonce: 5, kind: "cancel" })).toEqual([0]);
  expect(lots({ account: 3, nonce: high })).toEqual([0]);
  expect(lots({ nonce: 6 })).toEqual([4]);
  expect(lots({ account: 9 })).toEqual([]);
  const roots = [first, second].map((group) =>
    bytesToHex(new ReceiptTree(group.map(({ receipt }) => encodeReceipt(receipt))).root),
  );
  for (const { receipt, order, path: siblings, signature } of store.read()) {
    const group = signature === `0x${"01".repeat(64)}` ? 0 : 1;
    expect(bytesToHex(receiptRoot(receipt, siblings) as Uint8Array)).toBe(roots[group]);
    expect([...first, ...second].map((known) => JSON.stringify(known))).toContain(JSON.stringify({ receipt, order }));
  }
  await store.close();
});

test("another sequencer's folder is refused", () => {
  const other = { ...identity, sequencer: `0x${"03".repeat(20)}` } as const;
  expect(() => ReceiptStore.openToWrite(join(folder, "one"), other)).toThrow(/another venue or sequencer/);
  expect(() => ReceiptStore.openToRead(join(folder, "none"))).toThrow(/no receipts/);
});

test("groups go when all of their receipts are long due, oldest first", async () => {
  const path = join(folder, "two");
  const store = ReceiptStore.openToWrite(path, identity);
  for (let group = 0; group < 5; group++) {
    const receipts = [entry(2, 2 * group, 1, 1_000 * group), entry(2, 2 * group + 1, 1, 1_000 * group + 5)];
    await store.put({ sequence: group + 1, signature: new Uint8Array(64), receipts });
  }
  await store.putSequence(9);
  expect(await store.prune(2_005, 10)).toBe(2);
  expect(await store.prune(9_999, 2)).toBe(2);
  expect([...store.read()].map(({ receipt }) => receipt.nonce)).toEqual([8, 9]);
  expect(await store.prune(9_999, 10)).toBe(1);
  expect(store.count()).toEqual({ groups: 0, receipts: 0 });
  await store.close();
  const again = ReceiptStore.openToWrite(path, identity);
  expect(again.sequence).toBe(9);
  await again.put({ sequence: 11, signature: new Uint8Array(64), receipts: [entry(4, 4, 4, 4)] });
  expect([...again.read()].map(({ receipt }) => receipt.account)).toEqual([4]);
  await again.close();
});
