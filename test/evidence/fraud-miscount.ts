// A cycle's weight counts the positions that it declares. One that declares fewer than its accounts hold is within the limits by what it
// says, and names more cells than a challenge can bring: the challenge must do with those up to the first account that is wrong.
import { CYCLE_WEIGHT_MAX, type Cycle, cycleWeight, POSITIONS_MAX, RejectionCode } from "@tidemark/ledger";
import { account, ownerKey } from "../../packages/ledger/test/factory.ts";
import { keyOf, MISCOUNTED } from "./fraud-plan.ts";
import { record, type Search } from "./fraud-search.ts";
import type { L1WideStream } from "./history.ts";

/** Even: long and short in turn. Far apart they share no siblings: with all of them a challenge has more than 128 KiB. */
const ACCOUNTS = 40;
const FIRST = 100;
const STRIDE = 400_003;
const ENTRIES = 2;
const AT_ONCE = 20;

const numbers = Array.from({ length: ACCOUNTS }, (_, i) => FIRST + STRIDE * i);

/** Opened as anybody may; what they hold is moved there by hand. */
function fillAll(stream: L1WideStream): void {
  const { venue } = stream;
  for (let from = 0; from < ACCOUNTS; from += AT_ONCE) {
    const entries = numbers.slice(from, from + AT_ONCE).map((number) => {
      const owner = ownerKey(number).address;
      return { type: "openAccount", account: account(number), owner } as const;
    });
    stream.must(venue.inbound(...entries));
  }
  const held = stream.options().slice(0, POSITIONS_MAX);
  stream.moveByHand((state) => {
    const draft = state.begin();
    for (const [i, number] of numbers.entries()) {
      const size = (i % 2 === 0 ? 1 : -1) as never;
      const positions = held.map((instrument) => ({ instrument: instrument as never, size, fundingIndex: 0 }));
      draft.editAccount(number).positions = positions;
    }
    draft.commit();
  });
}

export async function plantMiscounted(stream: L1WideStream, { planter, unit, lacking }: Search): Promise<void> {
  const row = lacking.get(keyOf("payload", MISCOUNTED));
  if (row === undefined) return;
  fillAll(stream);
  const { venue } = stream;
  const [instrument] = stream.options();
  if (instrument === undefined) throw new RangeError("an option");
  const price = venue.markTicks(instrument);
  const entries = numbers.flatMap((number, i) =>
    Array.from({ length: ENTRIES }, () =>
      venue.entry({ account: number, instrument, size: i % 2 === 0 ? 1 : -1, price }),
    ),
  );
  const right = venue.tradeOf(entries);
  const cycle: Cycle = { ...right, accounts: right.accounts.map((one) => ({ ...one, positionCount: 0 })) };
  if (cycleWeight(right) <= CYCLE_WEIGHT_MAX || cycleWeight(cycle) > CYCLE_WEIGHT_MAX) {
    throw new RangeError(`weights ${cycleWeight(right)} and ${cycleWeight(cycle)} are on one side of the limit`);
  }
  stream.apply(cycle);
  const refused = planter.kept.refused.at(-1);
  if (refused?.code !== RejectionCode.TRADE_POSITION_COUNT) throw new Error(`refused with ${refused?.code}`);
  const planted = await planter.refused(refused);
  if (planted === null) throw new Error("nothing was planted");
  record(unit, row, planted);
  lacking.delete(row.key);
}
