// The escape contract: reading where a winding-up stands and sending its steps. All of them are anybody's.
import { encodeParameters, type Hash, type LedgerState, parametersHash } from "@tidemark/ledger";
import { assertNever, bytesToHex } from "@tidemark/num";
import {
  ENTITLEMENT_KINDS,
  type Entitlement,
  type EntitlementKind,
  type PaidEvidence,
  registrationWitness,
} from "@tidemark/settlement";
import {
  type Address,
  BaseError,
  decodeErrorResult,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  isHex,
  type LocalAccount,
  zeroAddress,
} from "viem";
import type { L1Client } from "./clients.ts";
import type { Deployment } from "./deployment.ts";
import { ChainError, l1Call } from "./errors.ts";
import { parameterStoreAbi, parameterStoreBytecode } from "./generated/dispute.ts";
import { escapeAbi } from "./generated/escape.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

/** In the order of the contract's numbers. */
export const ESCAPE_PHASES = ["live", "resolving", "marking", "registering", "closable", "paying", "residual"] as const;
export type EscapePhase = (typeof ESCAPE_PHASES)[number];

export interface EscapeStatus {
  phase: EscapePhase;
  frozenAtSeconds: number;
  round: number;
  anchor: {
    batchNumber: number;
    root: Hash;
    fixedAtSeconds: number;
    inboundCursor: number;
    outboxCount: number;
    marksUntilSeconds: number;
    registrationUntilSeconds: number;
  } | null;
  books: {
    registeredMicroUsdc: bigint;
    registeredLateMicroUsdc: bigint;
    /** 0 while the books are open. */
    vaultMicroUsdc: bigint;
    closedAtSeconds: number;
  };
  lateSeconds: number;
}

export interface RegisteredEntitlement {
  beneficiary: Address;
  amountMicroUsdc: bigint;
  state: "absent" | "inTime" | "late" | "paid";
}

const ENTITLEMENT_STATES = ["absent", "inTime", "late", "paid"] as const;

export interface EscapeClient {
  readonly address: Address;
  status(): Promise<EscapeStatus>;
  freezeForMissedEntry(index: number): Promise<void>;
  /** Puts the state's parameters on the L1 first where they are no longer those of genesis. */
  fixAnchor(state: LedgerState): Promise<void>;
  setClosingMarks(marks: Uint8Array, signatures: Uint8Array): Promise<void>;
  showPaid(evidence: PaidEvidence, depositEntry?: Uint8Array): Promise<void>;
  /** Whether a payment beyond the anchor was shown. */
  isShown(withdrawalNumber: number): Promise<boolean>;
  /** Highest batch that can be the anchor: the one before the first proven wrong; beyond every batch without a proof. */
  anchorLimit(): Promise<number>;
  /** Registers one thing of the anchor's `state`; a deposit by its entry in the queue. */
  register(state: LedgerState, kind: EntitlementKind, number: number, depositEntry?: Uint8Array): Promise<number>;
  /** Those of the instruments that have a signed mark. */
  closingMarks(instruments: readonly number[]): Promise<Map<number, number>>;
  close(): Promise<void>;
  pay(kind: EntitlementKind, number: number): Promise<void>;
  entitlement(kind: EntitlementKind, number: number): Promise<RegisteredEntitlement>;
  /** What `pay` would pay, and whether it is due. */
  payableNow(one: Pick<Entitlement, "kind" | "number">): Promise<{ isDue: boolean; amountMicroUsdc: bigint }>;
}

const NO_BYTES = new Uint8Array();
const STEP_GAS = 1_500_000n;
const STORE_GAS = 4_000_000n;
const GAS_PER_MARK = 30_000n;
// Of a registration: 40 gas a byte of data where execution is cheap, hashing and reading of the cells where it is not.
const REGISTRATION_GAS_FIXED = 400_000n;
const REGISTRATION_GAS_PER_BYTE = 110n;

const kindNumber = (kind: EntitlementKind): number => ENTITLEMENT_KINDS.indexOf(kind);

/** The error that a contract ended with, in words; null where the failure is of another kind. */
function refusalOf(error: unknown): string | null {
  if (!(error instanceof BaseError)) return null;
  const bearer = error.walk((cause) => isHex((cause as { data?: unknown }).data)) as { data?: Hex } | null;
  const data = bearer?.data;
  if (data === undefined) return null;
  try {
    const { errorName, args } = decodeErrorResult({ abi: escapeAbi, data });
    return `${errorName}(${(args ?? []).map(String).join(", ")})`;
  } catch {
    // Of a contract behind it.
    return `error ${data.slice(0, 10)}`;
  }
}

function showCalldata(evidence: PaidEvidence, depositEntry: Uint8Array): Hex {
  const { withdrawalNumber } = evidence;
  const cell = cellArgument(evidence.cell);
  switch (evidence.how) {
    case "owner":
      return encodeFunctionData({ abi: escapeAbi, functionName: "showPaid", args: [withdrawalNumber, cell] });
    case "signed": {
      const args = [
        withdrawalNumber,
        cell,
        BigInt(evidence.nonce),
        BigInt(evidence.expiryMs),
        evidence.signature,
      ] as const;
      return encodeFunctionData({ abi: escapeAbi, functionName: "showPaidAsSigned", args });
    }
    case "returned": {
      const args = [withdrawalNumber, cell, BigInt(evidence.index), bytesToHex(depositEntry)] as const;
      return encodeFunctionData({ abi: escapeAbi, functionName: "showReturned", args });
    }
    default:
      return assertNever(evidence, "evidence");
  }
}

class ContractEscape implements EscapeClient {
  readonly address: Address;
  readonly #client: L1Client;
  readonly #deployment: Deployment;
  readonly #sender: LocalAccount;
  readonly #options: WaitOptions;

  constructor(client: L1Client, deployment: Deployment, sender: LocalAccount, options: WaitOptions) {
    this.#client = client;
    this.#deployment = deployment;
    this.address = deployment.escape;
    this.#sender = sender;
    this.#options = options;
  }

  get #contract(): { address: Address; abi: typeof escapeAbi } {
    return { address: this.address, abi: escapeAbi };
  }

  /** Asks first: a refusal then has a name and costs nothing. @throws ChainError TRANSACTION_REVERTED */
  async #send(what: string, data: Hex, gas = STEP_GAS): Promise<number> {
    const { address: from } = this.#sender;
    try {
      await this.#client.call({ account: from, to: this.address, data, gas });
    } catch (cause) {
      const refusal = refusalOf(cause);
      if (refusal !== null) {
        throw new ChainError("TRANSACTION_REVERTED", `${what}: the escape contract refuses: ${refusal}`, {
          context: { what, refusal },
          cause,
        });
      }
      return l1Call(what, () => Promise.reject(cause));
    }
    const call: Call = { sender: this.#sender, to: this.address, data, gas, what };
    const [receipt] = await transactAll(this.#client, [call], this.#options);
    return Number(receipt?.gasUsed ?? 0n);
  }

  async status(): Promise<EscapeStatus> {
    const contract = this.#contract;
    const [phase, frozenAt, round, anchor, books, marksUntil, registrationUntil, lateSeconds] = await l1Call(
      "status of the escape",
      () =>
        Promise.all([
          this.#client.readContract({ ...contract, functionName: "phase" }),
          this.#client.readContract({ ...contract, functionName: "frozenAt" }),
          this.#client.readContract({ ...contract, functionName: "round" }),
          this.#client.readContract({ ...contract, functionName: "anchorDetails" }),
          this.#client.readContract({ ...contract, functionName: "currentBooks" }),
          this.#client.readContract({ ...contract, functionName: "marksUntil" }),
          this.#client.readContract({ ...contract, functionName: "registrationUntil" }),
          this.#client.readContract({ ...contract, functionName: "lateSeconds" }),
        ]),
    );
    const name = ESCAPE_PHASES[phase];
    if (name === undefined) {
      throw new ChainError("L1_INCONSISTENT", `the escape is in phase ${phase}`, { context: { phase } });
    }
    return {
      phase: name,
      frozenAtSeconds: Number(frozenAt),
      round: Number(round),
      anchor:
        anchor.fixedAt === 0n
          ? null
          : {
              batchNumber: Number(anchor.batchNumber),
              root: anchor.root,
              fixedAtSeconds: Number(anchor.fixedAt),
              inboundCursor: Number(anchor.inboundCursor),
              outboxCount: anchor.outboxCount,
              marksUntilSeconds: Number(marksUntil),
              registrationUntilSeconds: Number(registrationUntil),
            },
      books: {
        registeredMicroUsdc: books.registered,
        registeredLateMicroUsdc: books.registeredLate,
        vaultMicroUsdc: books.vault,
        closedAtSeconds: Number(books.closedAt),
      },
      lateSeconds: Number(lateSeconds),
    };
  }

  async freezeForMissedEntry(index: number): Promise<void> {
    const args = [BigInt(index)] as const;
    await this.#send(
      `freeze for entry ${index}`,
      encodeFunctionData({ abi: escapeAbi, functionName: "freezeForMissedEntry", args }),
    );
  }

  async #storeOf(state: LedgerState): Promise<Address> {
    const { parametersHash: hash } = state.globals;
    if (hash === parametersHash(this.#deployment.parameters)) return zeroAddress;
    const args = [bytesToHex(encodeParameters(state.parameters))] as const;
    const data = encodeDeployData({ abi: parameterStoreAbi, bytecode: parameterStoreBytecode, args });
    const call: Call = { sender: this.#sender, what: "store of the anchor's parameters", data, gas: STORE_GAS };
    const [receipt] = await transactAll(this.#client, [call], this.#options);
    return receipt?.contractAddress ?? zeroAddress;
  }

  async fixAnchor(state: LedgerState): Promise<void> {
    const store = await this.#storeOf(state);
    const { globalsHash: _, ...roots } = state.roots();
    const parts = { ...roots, globals: bytesToHex(state.globalsBytes()) };
    const data = encodeFunctionData({ abi: escapeAbi, functionName: "fixAnchor", args: [parts, store] });
    await this.#send("fixing of the anchor", data);
  }

  async setClosingMarks(marks: Uint8Array, signatures: Uint8Array): Promise<void> {
    const args = [bytesToHex(marks), bytesToHex(signatures)] as const;
    const data = encodeFunctionData({ abi: escapeAbi, functionName: "setClosingMarks", args });
    await this.#send("closing marks", data, STEP_GAS + GAS_PER_MARK * BigInt(marks.length / 8));
  }

  async showPaid(evidence: PaidEvidence, depositEntry: Uint8Array = NO_BYTES): Promise<void> {
    const what = `payment of withdrawal ${evidence.withdrawalNumber} beyond the anchor`;
    await this.#send(what, showCalldata(evidence, depositEntry));
  }

  register(state: LedgerState, kind: EntitlementKind, number: number, depositEntry?: Uint8Array): Promise<number> {
    const data = registrationCalldata(state, kind, number, depositEntry);
    const gas = REGISTRATION_GAS_FIXED + REGISTRATION_GAS_PER_BYTE * BigInt(data.length / 2);
    return this.#send(`registration of ${kind} ${number}`, data, gas);
  }

  isShown(withdrawalNumber: number): Promise<boolean> {
    const args = [withdrawalNumber] as const;
    return l1Call("payments beyond the anchor", () =>
      this.#client.readContract({ ...this.#contract, functionName: "isShown", args }),
    );
  }

  async anchorLimit(): Promise<number> {
    const first = await l1Call("first wrong batch", () =>
      this.#client.readContract({ ...this.#contract, functionName: "firstWrong" }),
    );
    return Number(first - 1n);
  }

  async closingMarks(instruments: readonly number[]): Promise<Map<number, number>> {
    const marks = new Map<number, number>();
    for (const instrument of instruments) {
      const [isSet, mark] = await l1Call("closing mark", () =>
        this.#client.readContract({ ...this.#contract, functionName: "closingMark", args: [instrument] }),
      );
      if (isSet) marks.set(instrument, Number(mark));
    }
    return marks;
  }

  async close(): Promise<void> {
    await this.#send("closing of the books", encodeFunctionData({ abi: escapeAbi, functionName: "close" }));
  }

  async pay(kind: EntitlementKind, number: number): Promise<void> {
    const args = [kindNumber(kind), BigInt(number)] as const;
    await this.#send(`payment of ${kind} ${number}`, encodeFunctionData({ abi: escapeAbi, functionName: "pay", args }));
  }

  async entitlement(kind: EntitlementKind, number: number): Promise<RegisteredEntitlement> {
    const args = [kindNumber(kind), BigInt(number)] as const;
    const found = await l1Call("registered entitlement", () =>
      this.#client.readContract({ ...this.#contract, functionName: "entitlementOf", args }),
    );
    const state = ENTITLEMENT_STATES[found.status] ?? "absent";
    return { beneficiary: found.beneficiary, amountMicroUsdc: found.amount, state };
  }

  async payableNow(one: Pick<Entitlement, "kind" | "number">): Promise<{ isDue: boolean; amountMicroUsdc: bigint }> {
    const args = [kindNumber(one.kind), BigInt(one.number)] as const;
    const [isDue, amountMicroUsdc] = await l1Call("what is payable", () =>
      this.#client.readContract({ ...this.#contract, functionName: "payableOf", args }),
    );
    return { isDue, amountMicroUsdc };
  }
}

function cellArgument(cell: PaidEvidence["cell"]): {
  account: number;
  asset: number;
  amount: bigint;
  destinationChain: bigint;
  recipient: Address;
} {
  const { account, asset, amount, destinationChain, recipient } = cell;
  return { account, asset, amount: BigInt(amount), destinationChain: BigInt(destinationChain), recipient };
}

/** Data of the transaction that registers one thing of the anchor's `state`. */
export function registrationCalldata(
  state: LedgerState,
  kind: EntitlementKind,
  number: number,
  depositEntry: Uint8Array = NO_BYTES,
): Hex {
  switch (kind) {
    case "account": {
      const args = [number, bytesToHex(registrationWitness(state, number))] as const;
      return encodeFunctionData({ abi: escapeAbi, functionName: "registerAccount", args });
    }
    case "withdrawal": {
      const cell = state.outboxCell(number);
      if (cell === undefined) {
        throw new ChainError("L1_INCONSISTENT", `the anchor has no withdrawal ${number}`, { context: { number } });
      }
      const args = [number, cellArgument(cell), state.proveOutbox(number).path] as const;
      return encodeFunctionData({ abi: escapeAbi, functionName: "registerWithdrawal", args });
    }
    case "deposit": {
      const args = [BigInt(number), bytesToHex(depositEntry)] as const;
      return encodeFunctionData({ abi: escapeAbi, functionName: "registerDeposit", args });
    }
    default:
      return assertNever(kind, "entitlement kind");
  }
}

export function createEscapeClient(
  client: L1Client,
  deployment: Deployment,
  sender: LocalAccount,
  options: WaitOptions = {},
): EscapeClient {
  return new ContractEscape(client, deployment, sender, options);
}
