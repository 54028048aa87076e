import { defaultParameters, type ParameterSet } from "../src/index.ts";

export function testParameters(): ParameterSet {
  return defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"c0".repeat(20)}`,
    oracles: [`0x${"0a".repeat(20)}`, `0x${"0b".repeat(20)}`, `0x${"0c".repeat(20)}`],
    oracleQuorum: 2,
    treasuryOwner: `0x${"70".repeat(20)}`,
    insuranceOwner: `0x${"71".repeat(20)}`,
  });
}
