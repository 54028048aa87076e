// What is said of a challenge and a conviction.
import type { ChallengeReport, Conviction, PreparedChallenge } from "@tidemark/chain";
import { challengePhrase } from "@tidemark/chain";
import { rejectionName } from "@tidemark/ledger";

function ether(wei: bigint): string {
  const digits = wei.toString().padStart(19, "0");
  return `${digits.slice(0, -18)}.${digits.slice(-18).replace(/0+$/, "") || "0"} ETH`;
}

export function preparedLine({ challenge, gas, bytes }: PreparedChallenge): string {
  return `challenge: ${challengePhrase(challenge)}; at most ${gas} gas, ${bytes} bytes`;
}

export function convictionLine({ batch, code, challenger, rewardWei, burntWei, transactionHash }: Conviction): string {
  const name = code === 0 ? "a wrong root or header" : `${code} ${rejectionName(code) ?? "unknown"}`;
  return `batch ${batch} is convicted (${name}) in ${transactionHash}: ${ether(rewardWei)} to ${challenger}, ${ether(burntWei)} burnt`;
}

export function reportLine({ batch, step, detail, conviction }: ChallengeReport): string {
  if (conviction !== null) return convictionLine(conviction);
  return `challenge of batch ${batch}: ${step}: ${detail}`;
}
