// Names of instruments as people know them: BTC_USDC-25DEC26-100000-C, BTC_USDC-PERPETUAL, BTC_USDC-25DEC26.
import { type InstrumentCell, InstrumentKind, type ParameterSet } from "@tidemark/ledger";
import { assertNever } from "@tidemark/num";

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"] as const;
const MICRO_DIGITS = 6;

/** Day without a leading zero: 5JAN26. */
function dayOf(expiryMs: number): string {
  const date = new Date(expiryMs);
  return `${date.getUTCDate()}${MONTHS[date.getUTCMonth()]}${String(date.getUTCFullYear() % 100).padStart(2, "0")}`;
}

/** Exact; a point would separate a file's name from its ending, so decimals are written with a d: 0d625. */
function strikeOf(strikeMicroUsd: number): string {
  const whole = Math.floor(strikeMicroUsd / 1e6);
  const decimals = String(strikeMicroUsd % 1e6)
    .padStart(MICRO_DIGITS, "0")
    .replace(/0+$/, "");
  return decimals === "" ? String(whole) : `${whole}d${decimals}`;
}

export function instrumentName(
  cell: Pick<InstrumentCell, "kind" | "underlying" | "expiryMs" | "strike">,
  parameters: Pick<ParameterSet, "underlyings">,
): string {
  const pair = `${parameters.underlyings[cell.underlying]?.name ?? `UNDERLYING${cell.underlying}`}_USDC`;
  const { kind } = cell;
  switch (kind) {
    case InstrumentKind.spot:
      return pair;
    case InstrumentKind.perpetual:
      return `${pair}-PERPETUAL`;
    case InstrumentKind.future:
      return `${pair}-${dayOf(cell.expiryMs)}`;
    case InstrumentKind.call:
      return `${pair}-${dayOf(cell.expiryMs)}-${strikeOf(cell.strike)}-C`;
    case InstrumentKind.put:
      return `${pair}-${dayOf(cell.expiryMs)}-${strikeOf(cell.strike)}-P`;
    default:
      return assertNever(kind, "instrument kind");
  }
}
