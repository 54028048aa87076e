// Why the engine refuses a command. Codes are append-only; within a command the first failing check in the order of this
// table decides. Refusals by the ledger's own rules (reports, settlements, inbound, withdrawals) keep the ledger's codes.

export const EngineCode = {
  ok: 0,
  timeNotMonotonic: 2000,
  wrongDomain: 2010,
  unknownAccount: 2011,
  notAuthorised: 2012,
  unknownOrder: 2013,
  amendMismatch: 2014,
  amendBelowFilled: 2015,
  legsUnsupported: 2016,
  unknownInstrument: 2017,
  instrumentNotTradable: 2018,
  orderTypeInvalid: 2019,
  sizeOutOfRange: 2020,
  priceOutOfRange: 2021,
  priceNotOnTick: 2022,
  notStarted: 2023,
  expired: 2024,
  lifetime: 2025,
  belowMinNonce: 2026,
  nonceNotIncreasing: 2027,
  nonceSlotBusy: 2028,
  feeAboveMaximum: 2029,
  marksUnusable: 2030,
  positionsFull: 2031,
  reduceOnly: 2032,
  postOnlyWouldCross: 2033,
  fillOrKill: 2034,
  bounds: 2035,
  marginInsufficient: 2036,
  reservedByOrders: 2050,
} as const;
export type EngineCode = (typeof EngineCode)[keyof typeof EngineCode];

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(EngineCode).map(([name, code]) => [code, name]));

/** Name of an engine code; the empty string when the code is not the engine's. */
export function engineCodeName(code: number): string {
  return NAMES.get(code) ?? "";
}
