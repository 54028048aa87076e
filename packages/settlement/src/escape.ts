// The end of a failed venue in numbers: what everybody is worth in the anchor at the closing marks, and who is paid what.
// The same integers as contracts/src/escape (docs/spec/settlement.md, Escape; ADR 046 for the order of payments).
import {
  type Address,
  type Hash,
  INSURANCE_ACCOUNT,
  type InstrumentCell,
  InstrumentStatus,
  type LedgerState,
  type LedgerView,
  type OutboxCell,
  pendingFundingFloor,
  TREASURY_ACCOUNT,
  writeOutbox,
} from "@tidemark/ledger";
import { assert, ByteWriter, bytesToHex, keccak256 } from "@tidemark/num";

/** Micro-USDC per lot by instrument, as a quorum of oracles signed them. */
export type ClosingMarks = ReadonlyMap<number, number>;

export type EntitlementKind = "account" | "withdrawal" | "deposit";
/** As the contract numbers them. */
export const ENTITLEMENT_KINDS: readonly EntitlementKind[] = ["account", "withdrawal", "deposit"];

/** Something that registers. */
export interface Entitlement {
  kind: EntitlementKind;
  /** Of the account, the withdrawal, or the deposit's entry in the queue. */
  number: number;
  beneficiary: Address;
  amountMicroUsdc: bigint;
}

/** A deposit as the queue holds it. */
export interface QueuedDeposit {
  index: number;
  account: number;
  amount: number;
  payer: Address;
}

/** What was claimed beyond the anchor, after a late fraud: set against what registers. */
export interface PaidBeyondAnchor {
  /** Micro-USDC by account. */
  accounts: ReadonlyMap<number, bigint>;
  /** Queue indices of deposits that went back to their payers. */
  returnedDeposits: ReadonlySet<number>;
}

export const NOTHING_PAID_BEYOND: PaidBeyondAnchor = { accounts: new Map(), returnedDeposits: new Set() };

export interface EscapeInput {
  /** The state of the anchor. */
  state: LedgerState;
  marks: ClosingMarks;
  /** All deposits of the queue; those that the anchor consumed are left out here. */
  deposits: readonly QueuedDeposit[];
  /** Leaf that a withdrawal was claimed by; undefined while it was not. */
  claimedLeaf: (withdrawalNumber: number) => Hash | undefined;
  paid: PaidBeyondAnchor;
}

// ── what an account is worth ─────────────────────────────────────────────────────────────────────────────────────────

/** A settled instrument keeps its price whatever was signed; a listed one without a signed mark its last row's. */
export function closingMarkOf(instrument: Readonly<InstrumentCell>, number: number, marks: ClosingMarks): number {
  if (instrument.status === InstrumentStatus.settled) return instrument.settlementPerLot;
  return marks.get(number) ?? (instrument.row[0] as number);
}

/** cash + Σ pending funding (each floor: against the account) + Σ size·mark. Finality credit is nobody's money. */
export function closingEquity(
  view: Pick<LedgerView, "account" | "instrument">,
  account: number,
  marks: ClosingMarks,
): bigint | undefined {
  const cell = view.account(account);
  if (cell === undefined) return undefined;
  let equity = BigInt(cell.cash);
  for (const position of cell.positions) {
    const instrument = view.instrument(position.instrument);
    assert(instrument !== undefined, "the instrument of a position exists");
    equity += pendingFundingFloor(instrument, position);
    equity += BigInt(position.size) * BigInt(closingMarkOf(instrument, position.instrument, marks));
  }
  return equity;
}

// ── what registers ───────────────────────────────────────────────────────────────────────────────────────────────────

export function outboxLeaf(cell: Readonly<OutboxCell>): Hash {
  const writer = new ByteWriter(64);
  writeOutbox(writer, cell);
  return bytesToHex(keccak256(writer.view()));
}

/** What was paid beyond the anchor, taken down as it is set against what registers. */
class Deductions {
  readonly #left: Map<number, bigint>;

  constructor(paid: PaidBeyondAnchor) {
    this.#left = new Map(paid.accounts);
  }

  has(account: number): boolean {
    return (this.#left.get(account) ?? 0n) > 0n;
  }

  less(account: number, amount: bigint): bigint {
    const left = this.#left.get(account) ?? 0n;
    const part = left < amount ? left : amount;
    if (part > 0n) this.#left.set(account, left - part);
    return amount - part;
  }
}

function accountEntitlements({ state, marks }: EscapeInput, deductions: Deductions): Entitlement[] {
  const found: Entitlement[] = [];
  for (const number of state.accountNumbers()) {
    const equity = closingEquity(state, number, marks) as bigint;
    const beneficiary = (state.account(number) as { owner: Address }).owner;
    const worth = equity > 0n ? equity : 0n;
    if (number <= INSURANCE_ACCOUNT) {
      // The insurance takes the rest whatever it is worth.
      if (worth > 0n || number === INSURANCE_ACCOUNT) {
        found.push({ kind: "account", number, beneficiary, amountMicroUsdc: worth });
      }
      continue;
    }
    if (worth === 0n && !deductions.has(number)) continue;
    found.push({ kind: "account", number, beneficiary, amountMicroUsdc: deductions.less(number, worth) });
  }
  return found;
}

/** Everything that can be registered, in an order in which the contract takes it: accounts, withdrawals, deposits. */
export function entitlementsOf(input: EscapeInput): Entitlement[] {
  const { state, claimedLeaf, deposits, paid } = input;
  const deductions = new Deductions(paid);
  const found = accountEntitlements(input, deductions);
  for (let number = 0; number < state.outboxCount; number++) {
    const cell = state.outboxCell(number) as OutboxCell;
    if (claimedLeaf(number) === outboxLeaf(cell) || cell.destinationChain !== state.parameters.chainId) continue;
    found.push({ kind: "withdrawal", number, beneficiary: cell.recipient, amountMicroUsdc: BigInt(cell.amount) });
  }
  for (const { index, account, amount, payer } of deposits) {
    if (index < state.globals.inboundCursor || paid.returnedDeposits.has(index)) continue;
    const amountMicroUsdc = deductions.less(account, BigInt(amount));
    found.push({ kind: "deposit", number: index, beneficiary: payer, amountMicroUsdc });
  }
  return found;
}

// ── who is paid what ─────────────────────────────────────────────────────────────────────────────────────────────────

export interface EscapePayment extends Entitlement {
  isLate: boolean;
  /** What is paid in the end. */
  paymentMicroUsdc: bigint;
}

export interface EscapeTable {
  vaultMicroUsdc: bigint;
  /** Σ in time, treasury and insurance left out. */
  registeredMicroUsdc: bigint;
  registeredLateMicroUsdc: bigint;
  payments: EscapePayment[];
  paidMicroUsdc: bigint;
  /** What stays in the vault for ever: less than one micro-USDC a payment, or the rest where the insurance never registers. */
  dustMicroUsdc: bigint;
}

const isJunior = ({ kind, number }: Readonly<Entitlement>): boolean =>
  kind === "account" && number <= INSURANCE_ACCOUNT;
const leastOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const sumOf = (list: readonly Entitlement[]): bigint =>
  list.reduce((sum, { amountMicroUsdc }) => sum + amountMicroUsdc, 0n);

/** `vaultMicroUsdc` = what the vault holds when the books are closed, the pool's money included. */
export function escapeTable(
  inTime: readonly Entitlement[],
  late: readonly Entitlement[],
  vaultMicroUsdc: bigint,
): EscapeTable {
  const all = [...inTime, ...late];
  const registered = sumOf(inTime.filter((one) => !isJunior(one)));
  const registeredLate = sumOf(late.filter((one) => !isJunior(one)));
  const share = leastOf(vaultMicroUsdc, registered);
  const lateShare = leastOf(vaultMicroUsdc - share, registeredLate);
  const rest = vaultMicroUsdc - share - lateShare;
  const treasury = all.find((one) => isJunior(one) && one.number === TREASURY_ACCOUNT);
  const treasuryPay = leastOf(treasury?.amountMicroUsdc ?? 0n, rest);

  const paymentOf = (one: Entitlement, isLate: boolean): bigint => {
    if (isJunior(one)) return one.number === TREASURY_ACCOUNT ? treasuryPay : rest - treasuryPay;
    if (one.amountMicroUsdc === 0n) return 0n;
    // Floor: the remainder stays in the vault.
    return isLate ? (one.amountMicroUsdc * lateShare) / registeredLate : (one.amountMicroUsdc * share) / registered;
  };
  const payments = [
    ...inTime.map((one) => ({ ...one, isLate: false, paymentMicroUsdc: paymentOf(one, false) })),
    ...late.map((one) => ({ ...one, isLate: true, paymentMicroUsdc: paymentOf(one, true) })),
  ];
  const paidMicroUsdc = payments.reduce((sum, { paymentMicroUsdc }) => sum + paymentMicroUsdc, 0n);
  assert(paidMicroUsdc <= vaultMicroUsdc, "no more is paid than the vault holds");
  return {
    vaultMicroUsdc,
    registeredMicroUsdc: registered,
    registeredLateMicroUsdc: registeredLate,
    payments,
    paidMicroUsdc,
    dustMicroUsdc: vaultMicroUsdc - paidMicroUsdc,
  };
}
