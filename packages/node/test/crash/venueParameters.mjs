// Shared by the child and by the test that replays what the child left.
import { join } from "node:path";
import { floorKey } from "../../dist/market/traders.js";
import { signer } from "../../dist/signatures/signer.js";

export const CYCLE_AGE_MS_MAX = 90_000;
export const SEQUENCER_KEY = floorKey(1, "sequencer");

/** Beside the journal's file. */
export function receiptsFolder(directory) {
  return join(directory, "receipts");
}

/** Queue entries prepared like the custody contract's: owner and insurance are not needed by anybody's signature. */
export function parametersOf(defaultParameters, seed) {
  return defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"5f".repeat(20)}`,
    oracles: oracleKeysOf(seed).map(({ privateKey }) => signer.addressOf(privateKey)),
    oracleQuorum: 2,
    treasuryOwner: `0x${"11".repeat(20)}`,
    insuranceOwner: `0x${"22".repeat(20)}`,
  });
}

export function oracleKeysOf(seed) {
  return [0, 1, 2].map((place) => ({ signer: place, privateKey: floorKey(seed, `oracle ${place}`) }));
}
