// Sequenced commands: everything that changes the engine. A command carries its own time; signatures of orders were
// recovered by the gateway before sequencing, so replay needs no cryptography until a cycle settles.
import type {
  Address,
  CompactSignature,
  ExpirySurface,
  Hash,
  Order,
  QuorumSignature,
  Withdrawal,
} from "@tidemark/ledger";
import type {
  AccountNumber,
  InstrumentNumber,
  MicroUsd,
  Nonce,
  PartsPerBillion,
  TimestampMs,
  UnderlyingNumber,
} from "@tidemark/num";

/** Codes are append-only. */
export const CommandKind = {
  place: 1,
  amend: 2,
  cancel: 3,
  cancelAll: 4,
  report: 5,
  settle: 6,
  inbound: 7,
  withdraw: 8,
  tick: 9,
  checkpoint: 10,
} as const;
export type CommandKind = (typeof CommandKind)[keyof typeof CommandKind];
export type CommandKindName = keyof typeof CommandKind;

/** A market order is immediate-or-cancel at its signed protection price. */
export const OrderType = { limit: 0, market: 1 } as const;
export type OrderType = keyof typeof OrderType;

export const TimeInForce = { gtc: 0, ioc: 1, fok: 2 } as const;
export type TimeInForce = keyof typeof TimeInForce;

/** What is placed: the signed order and how the engine is to execute it. */
export interface OrderRequest {
  readonly order: Order;
  readonly signature: CompactSignature;
  /** Recovered from the signature and verified before sequencing. */
  readonly signer: Address;
  /** Known to the gateway already; carried for receipts, not used by the engine. */
  readonly orderHash?: Hash;
  readonly type: OrderType;
  readonly timeInForce: TimeInForce;
  readonly postOnly: boolean;
}

export interface PlaceCommand extends OrderRequest {
  readonly kind: "place";
  readonly timeMs: TimestampMs;
}

/** Replaces a live order by another of the same account, instrument and side; when refused, the old order stays. */
export interface AmendCommand extends OrderRequest {
  readonly kind: "amend";
  readonly timeMs: TimestampMs;
  readonly replaces: Nonce;
}

export interface CancelCommand {
  readonly kind: "cancel";
  readonly timeMs: TimestampMs;
  readonly account: AccountNumber;
  readonly nonce: Nonce;
  readonly signer: Address;
}

export interface CancelAllCommand {
  readonly kind: "cancelAll";
  readonly timeMs: TimestampMs;
  readonly account: AccountNumber;
  readonly signer: Address;
  /** All instruments when absent. */
  readonly instrument?: InstrumentNumber;
}

export interface ReportCommand {
  readonly kind: "report";
  readonly timeMs: TimestampMs;
  readonly underlying: UnderlyingNumber;
  readonly reportMs: TimestampMs;
  readonly index: MicroUsd;
  readonly premium: PartsPerBillion;
  readonly surfaces: ExpirySurface[];
  readonly signatures: QuorumSignature[];
}

export interface SettleCommand {
  readonly kind: "settle";
  readonly timeMs: TimestampMs;
  readonly underlying: UnderlyingNumber;
  readonly expiryMs: TimestampMs;
  readonly settlementPrice: MicroUsd;
  readonly signatures: QuorumSignature[];
}

export interface InboundCommand {
  readonly kind: "inbound";
  readonly timeMs: TimestampMs;
  /** Bytes of the L1 queue's entries, in the queue's order, from finalised blocks. */
  readonly entries: readonly Uint8Array[];
}

export interface WithdrawCommand {
  readonly kind: "withdraw";
  readonly timeMs: TimestampMs;
  readonly withdrawal: Withdrawal;
  readonly signature: CompactSignature;
}

/** Time only: closes a cycle that grew old, expires orders. */
export interface TickCommand {
  readonly kind: "tick";
  readonly timeMs: TimestampMs;
}

/** Closes the open cycle, so that a snapshot may be taken. */
export interface CheckpointCommand {
  readonly kind: "checkpoint";
  readonly timeMs: TimestampMs;
}

export type Command =
  | PlaceCommand
  | AmendCommand
  | CancelCommand
  | CancelAllCommand
  | ReportCommand
  | SettleCommand
  | InboundCommand
  | WithdrawCommand
  | TickCommand
  | CheckpointCommand;
