// What a challenge may cost, from the flags.
import { CHALLENGE_FEES_DEFAULT, type ChallengeFeePolicy } from "@tidemark/chain";
import { ExitCode, NodeError } from "../errors.ts";

const WEI_PER_GWEI = 1_000_000_000;

/** `--gas-price-max-gwei` is the cap at the end of the window; at its beginning it is the default's share of that. Null: the defaults. */
export function challengeFees(flags: Record<string, unknown>): ChallengeFeePolicy | null {
  const { gasPriceMaxGwei } = flags;
  if (gasPriceMaxGwei === undefined) return null;
  const wei = Math.round(Number(gasPriceMaxGwei) * WEI_PER_GWEI);
  if (!Number.isSafeInteger(wei) || wei <= 0) {
    throw new NodeError("USAGE", "--gas-price-max-gwei: needs a price above 0", { exitCode: ExitCode.usage });
  }
  const { feeCapStartWeiPerGas, feeCapEndWeiPerGas, tipWeiPerGas } = CHALLENGE_FEES_DEFAULT;
  const end = BigInt(wei);
  const start = (end * feeCapStartWeiPerGas) / feeCapEndWeiPerGas;
  return {
    ...CHALLENGE_FEES_DEFAULT,
    tipWeiPerGas: tipWeiPerGas < start ? tipWeiPerGas : start,
    feeCapStartWeiPerGas: start,
    feeCapEndWeiPerGas: end,
  };
}
