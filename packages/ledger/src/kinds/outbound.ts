// outbound: withdrawals signed by the owner go from cash to the outbox, where they are claimed on L1 under a final root.
import { bytesToHex, type MicroUsdc, type TimestampMs } from "@tidemark/num";
import { isSignedByOwner } from "../authorise.ts";
import type { Draft } from "../draft.ts";
import { INSURANCE_ACCOUNT } from "../limits.ts";
import { marginOfCell } from "../margin.ts";
import { addCash } from "../positions.ts";
import { RejectionCode } from "../rejections.ts";
import { withdrawalHash } from "../signing.ts";
import type { CycleRejection, OutboundCycle, RingSlot, Withdrawal } from "../types.ts";
import { type CycleContext, reject } from "./rule.ts";
import { isTradingAccount } from "./trade.ts";

/** outboxCount is a u32. */
export const OUTBOX_COUNT_MAX = 2 ** 32 - 1;
const USDC = 0;
const ZERO_ADDRESS = `0x${"0".repeat(40)}`;

/** Losses that nobody has paid yet exceed what the insurance can pay: nobody leaves before the others. */
export function hasBadDebt(draft: Draft): boolean {
  return draft.globals.badDebt > (draft.account(INSURANCE_ACCOUNT)?.cash ?? 0);
}

/**
 * The outbox may never promise more than came in: where accounts with positions are under water, the cash of the others
 * adds up to more than the vault holds. Totals of cash are set at commit; inbound and outbox are exact at any time.
 */
export function isInVault(draft: Draft, amount: number): boolean {
  return amount <= draft.globals.inboundTotal - draft.globals.outboxTotal;
}

/** The nonce of what is done at once (withdrawal, bid, forced close) is used once: not even the same may have it again. */
export function isSlotTaken(slot: Readonly<RingSlot> | undefined, nonce: number, timeMs: TimestampMs): boolean {
  return slot !== undefined && (slot.nonce >= nonce || slot.receiptDeadlineMs >= timeMs);
}

/** Another chain has no custody that could pay: such a withdrawal would be lost. */
function isPayable(withdrawal: Readonly<Withdrawal>, context: CycleContext): boolean {
  const { domain, chainId, verifyingContract } = context.parameters;
  if (withdrawal.domain !== domain || withdrawal.asset !== USDC || withdrawal.destinationChain !== chainId)
    return false;
  return withdrawal.recipient !== ZERO_ADDRESS && withdrawal.recipient !== verifyingContract;
}

function withdrawalCode(
  draft: Draft,
  item: OutboundCycle["withdrawals"][number],
  digest: Uint8Array,
  timeMs: TimestampMs,
  context: CycleContext,
): number {
  const { withdrawal, signature, positionCount } = item;
  const cell = draft.account(withdrawal.account);
  if (cell === undefined || !isTradingAccount(withdrawal.account)) return RejectionCode.OUTBOUND_UNKNOWN_ACCOUNT;
  if (cell.positions.length !== positionCount) return RejectionCode.OUTBOUND_POSITION_COUNT;
  if (!isPayable(withdrawal, context)) return RejectionCode.OUTBOUND_DOMAIN_OR_ASSET;
  if (timeMs >= withdrawal.expiryMs) return RejectionCode.OUTBOUND_EXPIRED;
  if (withdrawal.nonce < cell.minNonce) return RejectionCode.OUTBOUND_BELOW_MIN_NONCE;
  const slot = draft.ringSlot(withdrawal.account, withdrawal.nonce);
  if (isSlotTaken(slot, withdrawal.nonce, timeMs)) return RejectionCode.OUTBOUND_RING_SLOT;
  if (!isSignedByOwner(cell, digest, signature, context.signatures)) return RejectionCode.OUTBOUND_NOT_AUTHORISED;
  if (cell.credit > 0) return RejectionCode.OUTBOUND_CREDIT_OUTSTANDING;
  if (hasBadDebt(draft) || !isInVault(draft, withdrawal.amount)) return RejectionCode.OUTBOUND_BAD_DEBT;
  const margin = marginOfCell(context.view, cell, timeMs);
  if (!margin.marksUsable) return RejectionCode.OUTBOUND_MARKS_UNUSABLE;
  const isWithdrawable = withdrawal.amount > 0 && BigInt(withdrawal.amount) <= margin.withdrawable;
  return isWithdrawable ? 0 : RejectionCode.OUTBOUND_NOT_WITHDRAWABLE;
}

export function validateAndApply(draft: Draft, cycle: OutboundCycle, context: CycleContext): CycleRejection | null {
  const { timeMs } = cycle;
  for (const [place, item] of cycle.withdrawals.entries()) {
    const { withdrawal } = item;
    const { account, amount, nonce } = withdrawal;
    const digest = withdrawalHash(withdrawal, context.separator);
    const code = withdrawalCode(draft, item, digest, timeMs, context);
    if (code !== 0) return reject(code, { account, place });
    if (draft.globals.outboxCount >= OUTBOX_COUNT_MAX) return reject(RejectionCode.LIMIT_EXCEEDED, { account, place });
    addCash(draft.editAccount(account), -BigInt(amount));
    draft.putRingSlot(account, {
      nonce,
      orderHash: bytesToHex(digest),
      filledLots: 1,
      filledCash: (0 - amount) as MicroUsdc,
      receiptDeadlineMs: (timeMs + context.parameters.receiptPeriodMs) as TimestampMs,
    });
    draft.appendOutbox({
      account,
      asset: withdrawal.asset,
      amount,
      destinationChain: withdrawal.destinationChain,
      recipient: withdrawal.recipient,
    });
  }
  return null;
}
