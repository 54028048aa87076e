// Coin-quoted option prices become USDC: coin price × futures price, bids rounded down and asks up to the tick, exactly.

import type { MicroUsd } from "@tidemark/num";
import { divCeil, divFloor, mulDivCeil, mulDivFloor } from "@tidemark/num";

interface Decimal {
  mantissa: bigint;
  /** value = mantissa / 10^digits */
  digits: number;
}

function parseDecimal(text: string): Decimal {
  const [base = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = base.split(".");
  const digits = fraction.length - Number(exponent);
  const mantissa = BigInt(whole + fraction);
  return digits >= 0 ? { mantissa, digits } : { mantissa: mantissa * 10n ** BigInt(-digits), digits: 0 };
}

/** Micro-USD per coin of `coin` × `futures`, rounded down ("bid") or up ("ask") to a multiple of the tick. */
export function usdcPrice(coin: string, futures: string, tickMicroUsd: number, side: "bid" | "ask"): MicroUsd {
  const price = parseDecimal(coin);
  const future = parseDecimal(futures);
  const divisor = 10n ** BigInt(price.digits + future.digits) * BigInt(tickMicroUsd);
  const scaled = price.mantissa * future.mantissa * 1_000_000n;
  const ticks = side === "bid" ? mulDivFloor(scaled, 1n, divisor) : mulDivCeil(scaled, 1n, divisor);
  return (Number(ticks) * tickMicroUsd) as MicroUsd;
}

/** Largest multiple of the tick ≤ value, not below 0. */
export function tickFloor(valueMicroUsd: number, tickMicroUsd: number): MicroUsd {
  return (Math.max(0, divFloor(Math.floor(valueMicroUsd), tickMicroUsd)) * tickMicroUsd) as MicroUsd;
}

/** Smallest multiple of the tick ≥ value. */
export function tickCeil(valueMicroUsd: number, tickMicroUsd: number): MicroUsd {
  return (divCeil(Math.ceil(valueMicroUsd), tickMicroUsd) * tickMicroUsd) as MicroUsd;
}
