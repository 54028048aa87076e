// The weight of a cycle believes what the payload declares. A payload that lies must still leave one face that a transaction can
// bring, although what its accounts really hold may be more than that.
import {
  CHALLENGE_BYTES_MAX,
  CYCLE_WEIGHT_MAX,
  cycleWeight,
  encodeCycle,
  RejectionCode,
  type TradeEntry,
} from "@tidemark/ledger";
import { expect, test } from "vitest";
import { heaviest } from "../../../test/costs/challengeTable.ts";
import { account } from "../../ledger/test/factory.ts";
import { Random } from "../../ledger/test/random.ts";
import { Coverage } from "../../ledger/test/stream/stream.ts";
import { WideStream } from "../../ledger/test/stream/wide.ts";
import { encodeWitness } from "../src/witness.ts";
import { accountFaultCells, rootFaultCells } from "../src/witnessCells.ts";

const NODES_TAKE_BYTES = 128 * 1024;
const ACCOUNTS = 66;
/** Far apart, so that their paths share little. */
const STRIDE = 2 ** 16;

test("a trade that hides its accounts' positions is shown by its root and at each account", () => {
  const stream = new WideStream(new Random(3), new Coverage());
  stream.fill();
  const { venue } = stream;
  const [number] = stream.options() as [number];
  const numbers = Array.from({ length: ACCOUNTS }, (_, i) => 2 + STRIDE * (i + 1));
  const full = venue.cell(2);
  const draft = venue.state.begin();
  for (const [i, one] of numbers.entries()) {
    const side = i % 2 === 0 ? 1 : -1;
    draft.createAccount(account(one), full.owner);
    draft.editAccount(account(one)).positions = full.positions.map((held) => ({
      ...held,
      size: (side * held.size) as typeof held.size,
    }));
  }
  draft.commit();
  const entries = numbers.map((one, i): TradeEntry => {
    const entry = venue.entry({ account: 2, instrument: number, size: i % 2 === 0 ? 1 : -1, price: 1 });
    return { ...entry, signature: null, order: { ...entry.order, account: account(one) } };
  });
  const cycle = heaviest(numbers.length, (count) => {
    const trade = venue.tradeOf(entries.slice(0, count));
    return { ...trade, accounts: trade.accounts.map((one) => ({ ...one, positionCount: 0 })) };
  });
  expect(cycleWeight(cycle)).toBeLessThanOrEqual(CYCLE_WEIGHT_MAX);
  const payloadBytes = encodeCycle(cycle).length;
  const cells = rootFaultCells(venue.state, cycle);
  const root = encodeWitness(venue.state, cells);
  expect(payloadBytes + root.length).toBeLessThan(CHALLENGE_BYTES_MAX / 4);
  // Otherwise this test shows nothing.
  for (const { account: one } of cycle.accounts) cells.accounts.set(one, new Set());
  expect(payloadBytes + encodeWitness(venue.state, cells).length).toBeGreaterThan(NODES_TAKE_BYTES);
  const verdict = venue.apply(cycle);
  expect(verdict).toMatchObject({ ok: false, rejection: { code: RejectionCode.TRADE_POSITION_COUNT } });
  for (const { account: one } of cycle.accounts) {
    const witness = encodeWitness(venue.state, accountFaultCells(venue.state, cycle, one));
    expect(payloadBytes + witness.length).toBeLessThan(CHALLENGE_BYTES_MAX / 4);
  }
});
