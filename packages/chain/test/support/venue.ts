// A venue in miniature for the tests of settlement and chain: real ledger, real signatures, real cycles, no books. It
// plays the engine's part: whatever it settles was signed by the owners and accepted by the ledger before.
import {
  type Address,
  applyPayload,
  type CompactSignature,
  type Cycle,
  CycleKind,
  decodeInboundEntry,
  domainSeparator,
  encodeCycle,
  type InboundEntry,
  LedgerState,
  type Order,
  orderHash,
  type ParameterSet,
  reportHash,
  type SignaturePort,
  type TradeAccount,
  type Withdrawal,
  withdrawalHash,
} from "@tidemark/ledger";
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import type { CycleSource, SourceCycle } from "@tidemark/settlement";
import secp256k1 from "secp256k1";
import { developmentKey } from "../../src/index.ts";

const addressOf = (publicKey: Uint8Array): Address => bytesToHex(keccak256(publicKey.subarray(1)).subarray(12));

export const signatures: SignaturePort = {
  recoverAddress(digest, signature) {
    const plain = Uint8Array.from(signature);
    const parity = (plain[32] as number) >> 7;
    plain[32] = (plain[32] as number) & 0x7f;
    try {
      const normal = secp256k1.signatureNormalize(Uint8Array.from(plain));
      if (bytesToHex(normal) !== bytesToHex(plain)) return null;
      return addressOf(secp256k1.ecdsaRecover(plain, parity, digest, false));
    } catch {
      return null;
    }
  },
};

export function addressOfKey(label: string): Address {
  return addressOf(secp256k1.publicKeyCreate(hexToBytes(developmentKey(label)), false));
}

function sign(digest: Uint8Array, label: string): CompactSignature {
  const { signature, recid } = secp256k1.ecdsaSign(digest, hexToBytes(developmentKey(label)));
  signature[32] = (signature[32] as number) | (recid << 7);
  return bytesToHex(signature);
}

/** Inputs are plain numbers here: the ledger checks them. */
const as = <Branded>(value: number): Branded => value as Branded;

export const ORACLES = ["oracle 0", "oracle 1", "oracle 2"] as const;
/** Lots of 0.0001 BTC at 50,000 USD: 5 USDC each. */
export const PRICE_TICKS = 500_000;
const TICK_VALUE_MICRO_USDC = 10;
const INDEX_MICRO_USD = 50_000_000_000;

export interface Fill {
  buyer: { account: number; owner: string };
  seller: { account: number; owner: string };
  lots: number;
}

export class MiniatureVenue implements CycleSource {
  readonly state: LedgerState;
  readonly cycles: SourceCycle[] = [];
  readonly #separator: Uint8Array;
  #nonce = 0;
  #timeMs: number;

  constructor(parameters: ParameterSet, startMs: number) {
    this.state = LedgerState.genesis(parameters);
    this.#separator = domainSeparator(parameters);
    this.#timeMs = startMs;
  }

  get timeMs(): number {
    return this.#timeMs;
  }
  advanceTo(timeMs: number): void {
    this.#timeMs = Math.max(this.#timeMs, timeMs);
  }

  count(): number {
    return this.cycles.length;
  }
  read(firstIndex: number, countMax: number): readonly SourceCycle[] {
    return this.cycles.slice(firstIndex, firstIndex + countMax);
  }

  /** Settles a cycle; throws when the ledger refuses it. */
  settle(cycle: Cycle, fills = 0): SourceCycle {
    const payload = encodeCycle(cycle);
    const verdict = applyPayload(this.state, payload, { signatures });
    if (!verdict.ok) throw new Error(`the ledger refuses a ${cycle.kind} cycle: ${JSON.stringify(verdict.rejection)}`);
    const record: SourceCycle = {
      index: this.cycles.length,
      kind: CycleKind[cycle.kind],
      timeMs: cycle.timeMs,
      payload,
      postRoot: verdict.root,
      fills,
      messages: 5,
      settledDeltas: 2 * fills,
    };
    this.cycles.push(record);
    return record;
  }

  inbound(entries: readonly Uint8Array[]): void {
    const decoded = entries.map((bytes): InboundEntry => {
      const decoding = decodeInboundEntry(bytes);
      if (!decoding.ok) throw new Error(`queue entry does not decode: ${decoding.what}`);
      return decoding.entry;
    });
    this.settle({ kind: "inbound", timeMs: as(this.#timeMs), entries: decoded });
  }

  /** Report of underlying 0, then the rows of its instruments. */
  marks(): void {
    const { domain } = this.state.parameters;
    const report: Extract<Cycle, { kind: "report" }> = {
      kind: "report",
      timeMs: as(this.#timeMs),
      underlying: as(0),
      reportMs: as(this.#timeMs),
      index: as(INDEX_MICRO_USD),
      premium: as(0),
      surfaces: [],
      signatures: [],
    };
    const digest = reportHash(report, domain, this.#separator);
    report.signatures = [0, 1].map((signer) => ({ signer, signature: sign(digest, ORACLES[signer] as string) }));
    this.settle(report);
    const instruments = Array.from({ length: this.state.instrumentCount }, (_, i) => as<never>(i));
    this.settle({ kind: "rows", timeMs: as(this.#timeMs), underlying: as(0), instruments, closesEpoch: true });
  }

  #tradeOf(side: { account: number; owner: string }, lots: number): TradeAccount {
    const order: Order = {
      domain: this.state.parameters.domain,
      account: as(side.account),
      legs: [{ instrument: as(0), ratio: 1 }],
      size: as(lots),
      limitPrice: as(PRICE_TICKS),
      maxFeePerLot: as(1_000),
      nonce: as(++this.#nonce),
      startMs: as(this.#timeMs - 1),
      expiryMs: as(this.#timeMs + 3_600_000),
      flags: 0,
    };
    const signature = sign(orderHash(order, this.#separator), side.owner);
    const cash = as<never>(-lots * PRICE_TICKS * TICK_VALUE_MICRO_USDC);
    const filledLots = Math.abs(lots);
    return {
      account: as(side.account),
      positionCount: this.state.account(side.account)?.positions.length ?? 0,
      entries: [{ order, signature, filledLots, cash, fee: as(filledLots) }],
    };
  }

  /** One trade cycle over one fill in the perpetual. */
  trade({ buyer, seller, lots }: Fill): SourceCycle {
    const accounts = [this.#tradeOf(buyer, lots), this.#tradeOf(seller, -lots)];
    accounts.sort((a, b) => a.account - b.account);
    return this.settle({ kind: "trade", timeMs: as(this.#timeMs), accounts }, 1);
  }

  withdraw(side: { account: number; owner: string }, amountMicroUsdc: number, recipient: Address): void {
    const { domain, chainId } = this.state.parameters;
    const withdrawal: Withdrawal = {
      domain,
      account: as(side.account),
      asset: 0,
      amount: as(amountMicroUsdc),
      destinationChain: chainId,
      recipient,
      nonce: as(++this.#nonce),
      expiryMs: as(this.#timeMs + 3_600_000),
    };
    const signature = sign(withdrawalHash(withdrawal, this.#separator), side.owner);
    const positionCount = this.state.account(side.account)?.positions.length ?? 0;
    this.settle({
      kind: "outbound",
      timeMs: as(this.#timeMs),
      withdrawals: [{ withdrawal, signature, positionCount }],
    });
  }
}
