// What the escape contract is shown: witnesses of accounts, signed closing marks, and what was paid beyond the anchor.
import type { Address, CompactSignature, Hash, LedgerState, OutboxCell, Withdrawal } from "@tidemark/ledger";
import { assert, ByteWriter, keccak256 } from "@tidemark/num";
import type { ClosingMarks, PaidBeyondAnchor, QueuedDeposit } from "./escape.ts";
import { encodeWitness } from "./witness.ts";

/** State witness of registerAccount: the account without its ring, the instruments of its positions. */
export function registrationWitness(state: LedgerState, account: number): Uint8Array {
  const positions = state.account(account)?.positions ?? [];
  return encodeWitness(state, {
    accounts: new Map([[account, new Set()]]),
    instruments: new Set(positions.map(({ instrument }) => instrument)),
    underlyings: new Set(),
    outbox: new Set(),
  });
}

function bigEndian(writer: ByteWriter, value: number, width: number): void {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 256 ** width, "closing mark: range");
  for (let i = width - 1; i >= 0; i--) writer.u8(Math.floor(value / 256 ** i) % 256);
}

/** (instrument u24, mark u40)…, big-endian, instruments ascending. */
export function encodeClosingMarks(marks: ClosingMarks): Uint8Array {
  const writer = new ByteWriter(8 * marks.size);
  for (const [instrument, mark] of [...marks].sort((a, b) => a[0] - b[0])) {
    bigEndian(writer, instrument, 3);
    bigEndian(writer, mark, 5);
  }
  return writer.toBytes();
}

/** What the oracles sign closing marks for. */
export interface EscapeAnchor {
  batchNumber: number;
  root: Hash;
  fixedAtSeconds: number;
}

export const CLOSING_MARKS_TYPE =
  "ClosingMarks(uint32 domain,uint64 anchor,bytes32 root,uint64 fixedAt,bytes32 content)";

/** EIP-712 digest of a set of closing marks. `separator`: domainSeparator of the anchor's parameters. */
export function closingMarksHash(
  anchor: Readonly<EscapeAnchor>,
  marks: Uint8Array,
  domain: number,
  separator: Uint8Array,
): Uint8Array {
  const type = Uint8Array.from(CLOSING_MARKS_TYPE, (character) => character.charCodeAt(0));
  const writer = new ByteWriter(6 * 32);
  writer.bytes(keccak256(type));
  const word = (value: number): void => {
    writer.bytes(new Uint8Array(24));
    bigEndian(writer, value, 8);
  };
  word(domain);
  word(anchor.batchNumber);
  writer.hex(anchor.root, 32);
  word(anchor.fixedAtSeconds);
  writer.bytes(keccak256(marks));
  const message = new ByteWriter(66);
  message.u8(0x19).u8(0x01).bytes(separator);
  message.bytes(keccak256(writer.view()));
  return keccak256(message.view());
}

/** count u8, (signer u8, signature 64)…, signers ascending. */
export function encodeQuorum(signatures: readonly { signer: number; signature: `0x${string}` }[]): Uint8Array {
  const writer = new ByteWriter(1 + 65 * signatures.length);
  writer.u8(signatures.length);
  for (const { signer, signature } of [...signatures].sort((a, b) => a.signer - b.signer)) {
    writer.u8(signer).hex(signature, 64);
  }
  return writer.toBytes();
}

// ── what was paid beyond the anchor ──────────────────────────────────────────────────────────────────────────────────

/** A withdrawal that was claimed although the anchor does not know it. */
export interface ClaimBeyondAnchor {
  withdrawalNumber: number;
  cell: Readonly<OutboxCell>;
}

/** How it is shown that such a claim was its account's own. */
export type PaidEvidence = ClaimBeyondAnchor &
  (
    | { how: "owner" }
    | { how: "signed"; nonce: number; expiryMs: number; signature: CompactSignature }
    | { how: "returned"; index: number }
  );

export interface PaidSources {
  /** The recipient is the account's owner, or somebody whom he forced a withdrawal to. */
  isOwnersRecipient: (account: number, recipient: Address) => boolean;
  /** Withdrawals that owners signed, of the cycles beyond the anchor. */
  signed: readonly { withdrawal: Withdrawal; signature: CompactSignature }[];
  deposits: readonly QueuedDeposit[];
}

function evidenceOf(
  claim: ClaimBeyondAnchor,
  sources: PaidSources,
  used: { signed: Set<number>; deposits: Set<number> },
): PaidEvidence | null {
  const { account, amount, recipient } = claim.cell;
  const returned = sources.deposits.find(
    (one) =>
      one.account === account && one.amount === amount && one.payer === recipient && !used.deposits.has(one.index),
  );
  const place = sources.signed.findIndex(
    ({ withdrawal }, i) =>
      !used.signed.has(i) &&
      withdrawal.account === account &&
      withdrawal.amount === amount &&
      withdrawal.recipient === recipient,
  );
  const signed = sources.signed[place];
  if (signed !== undefined) {
    used.signed.add(place);
    const { nonce, expiryMs } = signed.withdrawal;
    return { ...claim, how: "signed", nonce, expiryMs, signature: signed.signature };
  }
  // Before the owner: who pays into his own account gets his deposit back, not his money out.
  if (returned !== undefined) {
    used.deposits.add(returned.index);
    return { ...claim, how: "returned", index: returned.index };
  }
  return sources.isOwnersRecipient(account, recipient) ? { ...claim, how: "owner" } : null;
}

/** What can be shown; a claim without evidence went to a stranger and is nobody's payment. */
export function paidEvidence(claims: readonly ClaimBeyondAnchor[], sources: PaidSources): PaidEvidence[] {
  const used = { signed: new Set<number>(), deposits: new Set<number>() };
  return claims.flatMap((claim) => evidenceOf(claim, sources, used) ?? []);
}

export function paidBeyondAnchor(evidence: readonly PaidEvidence[]): PaidBeyondAnchor {
  const accounts = new Map<number, bigint>();
  const returnedDeposits = new Set<number>();
  for (const one of evidence) {
    const { account, amount } = one.cell;
    if (one.how === "returned") returnedDeposits.add(one.index);
    else accounts.set(account, (accounts.get(account) ?? 0n) + BigInt(amount));
  }
  return { accounts, returnedDeposits };
}
