// The ledger's recipes as one list, and how a stream chooses among them.
import { type Cycle, RejectionCode } from "@tidemark/ledger";
import type { Random } from "../../packages/ledger/test/random.ts";
import { crossEntries, type Recipe, randomCross } from "../../packages/ledger/test/stream/building.ts";
import { DUTIES } from "../../packages/ledger/test/stream/recipes-valid.ts";
import { SOUND, FAULTS as STREAM_FAULTS } from "../../packages/ledger/test/stream/steps.ts";
import type { Stream } from "../../packages/ledger/test/stream/stream.ts";

const FAULT_SHARE = 0.4;
const TRIES = 6;

/** One micro-USDC above what the order allows: the recipes of the ledger are further off. */
const feeJustAboveMaximum: Recipe = (stream) => {
  const spec = randomCross(stream);
  if (spec === null) return null;
  const { number, buyer, lots, price } = spec;
  const cell = stream.state.instrument(number);
  const fee = lots + 1;
  if (cell === undefined || cell.feePerLot < 2 || price * lots * cell.tickValueMicroUsdc < 8 * fee) return null;
  const [, seller] = crossEntries(stream, spec);
  const entry = stream.venue.entry({ account: buyer, instrument: number, size: lots, price, fee, maxFeePerLot: 1 });
  return seller === undefined ? null : stream.venue.tradeOf([entry, seller]);
};

export const FAULTS: readonly (readonly [number, Recipe])[] = [
  ...STREAM_FAULTS,
  [RejectionCode.TRADE_FEE_ABOVE_MAXIMUM, feeJustAboveMaximum],
];

/** Codes that are still wanted come first: rare states come and go. */
function fault(stream: Stream, wanted: ReadonlySet<number>): Recipe {
  const { random, coverage } = stream;
  const lacking = FAULTS.filter(
    ([code]) => wanted.has(code) && !coverage.codes.has(code) && !coverage.outcomes.has(code),
  );
  return random.pick(lacking.length > 0 && random.chance(0.7) ? lacking : FAULTS)[1];
}

function weighted(random: Random): Recipe {
  const total = SOUND.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const [weight, recipe] of SOUND) {
    left -= weight;
    if (left < 0) return recipe;
  }
  throw new RangeError("weights");
}

/** What the state allows now, for a few tries; `faultShare` of it aims at codes. */
export function nextCycle(
  stream: Stream,
  wanted: ReadonlySet<number>,
  faultShare = FAULT_SHARE,
): Cycle | Uint8Array | null {
  const { random } = stream;
  const isFault = random.chance(faultShare);
  if (!isFault) stream.venue.advance(random.integer(0, 1_500));
  const duties = !isFault && random.chance(0.4) ? DUTIES : [];
  for (const duty of duties) {
    const cycle = duty(stream);
    if (cycle !== null) return cycle;
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const cycle = (isFault ? fault(stream, wanted) : weighted(random))(stream);
    if (cycle !== null) return cycle;
  }
  return null;
}
