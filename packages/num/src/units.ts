// Branded units. A brand costs nothing at run time and vanishes there, so every decoder re-checks its range.
// Constructors assert (a bug stops the process); range checks of untrusted input happen in the decoders before.
import { assert } from "./assert.ts";

declare const unit: unique symbol;
/** A number of one unit; two units do not mix without a named conversion. */
export type Unit<Base, Name extends string> = Base & { readonly [unit]: Name };

/** Money. Signed safe integer, |x| < 2^53. 1 USDC = 1,000,000. */
export type MicroUsdc = Unit<number, "MicroUsdc">;
/** Price of one whole coin in millionths of a US dollar. Safe integer, 0 ≤ x < 2^50. */
export type MicroUsd = Unit<number, "MicroUsd">;
/** Order and trade price in the finest tick of its instrument. int32. */
export type PriceTicks = Unit<number, "PriceTicks">;
/** Size in lots of its instrument; signed where a side is meant (buy > 0). int32. */
export type SizeLots = Unit<number, "SizeLots">;
/** Milliseconds since the epoch. u53. */
export type TimestampMs = Unit<number, "TimestampMs">;
/** Order or withdrawal nonce of an account. u48, increasing. */
export type Nonce = Unit<number, "Nonce">;
/** u24. One per subaccount. */
export type AccountNumber = Unit<number, "AccountNumber">;
/** u24. Never reused. */
export type InstrumentNumber = Unit<number, "InstrumentNumber">;
/** u16. */
export type UnderlyingNumber = Unit<number, "UnderlyingNumber">;
/** Parts per billion: rates, probabilities, haircuts, relative moves, annualised variance. Safe integer (int64 in the codec). */
export type PartsPerBillion = Unit<number, "PartsPerBillion">;
/** Position of a command in the venue's log. u53. */
export type SequenceNumber = Unit<number, "SequenceNumber">;

function within(value: number, low: number, high: number, name: string): void {
  assert(Number.isSafeInteger(value) && value >= low && value <= high, name);
}
export const INT32_MAX = 0x7fff_ffff;
export const U24_MAX = 0xff_ffff;
export const U48_MAX = 2 ** 48 - 1;
export const MICRO_USD_MAX = 2 ** 50 - 1;

export function microUsdc(value: number): MicroUsdc {
  within(value, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "microUsdc");
  return value as MicroUsdc;
}
export function microUsd(value: number): MicroUsd {
  within(value, 0, MICRO_USD_MAX, "microUsd");
  return value as MicroUsd;
}
export function priceTicks(value: number): PriceTicks {
  within(value, -INT32_MAX, INT32_MAX, "priceTicks");
  return value as PriceTicks;
}
export function sizeLots(value: number): SizeLots {
  within(value, -INT32_MAX, INT32_MAX, "sizeLots");
  return value as SizeLots;
}
export function timestampMs(value: number): TimestampMs {
  within(value, 0, Number.MAX_SAFE_INTEGER, "timestampMs");
  return value as TimestampMs;
}
export function nonceOf(value: number): Nonce {
  within(value, 0, U48_MAX, "nonce");
  return value as Nonce;
}
export function accountNumber(value: number): AccountNumber {
  within(value, 0, U24_MAX, "accountNumber");
  return value as AccountNumber;
}
export function instrumentNumber(value: number): InstrumentNumber {
  within(value, 0, U24_MAX, "instrumentNumber");
  return value as InstrumentNumber;
}
export function underlyingNumber(value: number): UnderlyingNumber {
  within(value, 0, 0xffff, "underlyingNumber");
  return value as UnderlyingNumber;
}
export function partsPerBillion(value: number): PartsPerBillion {
  within(value, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "partsPerBillion");
  return value as PartsPerBillion;
}
export function sequenceNumber(value: number): SequenceNumber {
  within(value, 0, Number.MAX_SAFE_INTEGER, "sequenceNumber");
  return value as SequenceNumber;
}
