// Amounts as people write them: USDC with up to six decimals.
import { ExitCode, NodeError } from "./errors.ts";

const AMOUNT = /^(\d{1,12})(?:\.(\d{1,6}))?$/;
const DECIMALS = 6;
const MICRO = 10n ** BigInt(DECIMALS);

/** @throws NodeError USAGE for anything but a positive amount that micro-USDC can say exactly. */
export function microUsdcOf(text: string): bigint {
  const match = AMOUNT.exec(text);
  const whole = BigInt(match?.[1] ?? 0) * MICRO;
  const amount = match === null ? 0n : whole + BigInt((match[2] ?? "").padEnd(DECIMALS, "0"));
  if (amount > 0n) return amount;
  throw new NodeError("USAGE", `${text} is no amount of USDC: digits, and at most ${DECIMALS} decimals`, {
    exitCode: ExitCode.usage,
  });
}

/** The shortest exact form. */
export function usdcText(microUsdc: bigint): string {
  const fraction = (microUsdc % MICRO).toString().padStart(DECIMALS, "0").replace(/0+$/, "");
  return `${microUsdc / MICRO}${fraction === "" ? "" : `.${fraction}`}`;
}
