// A venue in miniature for tests: parameters, traders, oracles and whoever signs for them. Signing is a keyed hash behind
// the ledger's SignaturePort: it binds signer and digest as a signature does, so a forged or moved one does not recover.
import {
  type Address,
  type CompactSignature,
  defaultParameters,
  domainSeparator,
  type ExpirySurface,
  encodeInboundEntry,
  type InboundEntry,
  type Order,
  orderHash,
  type ParameterSet,
  type QuorumSignature,
  reportHash,
  type SignaturePort,
  settlementHash,
  type Withdrawal,
  withdrawalHash,
} from "@tidemark/ledger";
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import type {
  AmendCommand,
  Command,
  EngineConfig,
  OrderType,
  PlaceCommand,
  ReportCommand,
  SettleCommand,
  TimeInForce,
  WithdrawCommand,
} from "../src/index.ts";

export const START_MS = 1_700_000_000_000;
export const DAY_MS = 86_400_000;

/** mulberry32: small, seeded, the same everywhere. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** low ≤ result ≤ high. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error("pick of nothing");
    return item;
  }
}

export function addressOf(name: number): Address {
  return bytesToHex(keccak256(Uint8Array.of(1, name & 255, name >> 8)).subarray(0, 20));
}

function macOf(signer: Uint8Array, digest: Uint8Array): Uint8Array {
  const joined = new Uint8Array(signer.length + digest.length);
  joined.set(signer);
  joined.set(digest, signer.length);
  return keccak256(joined);
}

export function sign(signer: Address, digest: Uint8Array): CompactSignature {
  const bytes = new Uint8Array(64);
  const key = hexToBytes(signer);
  bytes.set(key);
  bytes.set(macOf(key, digest), 32);
  return bytesToHex(bytes);
}

export const signatures: SignaturePort = {
  recoverAddress(digest, signature) {
    const key = signature.slice(0, 20);
    const mac = macOf(key, digest);
    for (let i = 0; i < 32; i++) if (mac[i] !== signature[32 + i]) return null;
    return bytesToHex(key);
  },
};

export const ORACLES: Address[] = [addressOf(900), addressOf(901), addressOf(902)];

export function worldParameters(
  change: Partial<ParameterSet> = {},
  risk: Partial<ParameterSet["risk"]> = {},
): ParameterSet {
  const base = defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"c0".repeat(20)}`,
    oracles: ORACLES,
    oracleQuorum: 2,
    treasuryOwner: addressOf(910),
    insuranceOwner: addressOf(911),
  });
  return { ...base, ...change, risk: { ...base.risk, ...risk } };
}

export const CONFIG: EngineConfig = { cycleAgeMsMax: 2_000, rowsFor: "needed" };

export interface OrderWish {
  account: number;
  instrument: number;
  size: number;
  price: number;
  nonce: number;
  timeMs: number;
  type?: OrderType;
  timeInForce?: TimeInForce;
  postOnly?: boolean;
  reduceOnly?: boolean;
  signer?: Address;
  expiryMs?: number;
  startMs?: number;
  maxFeePerLot?: number;
  change?: Partial<Order>;
}

export class World {
  readonly parameters: ParameterSet;
  readonly separator: Uint8Array;

  constructor(parameters: ParameterSet = worldParameters()) {
    this.parameters = parameters;
    this.separator = domainSeparator(parameters);
  }

  order(wish: OrderWish): Order {
    return {
      domain: this.parameters.domain,
      account: wish.account,
      legs: [{ instrument: wish.instrument, ratio: 1 }],
      size: wish.size,
      limitPrice: wish.price,
      maxFeePerLot: wish.maxFeePerLot ?? 2 ** 39,
      nonce: wish.nonce,
      startMs: wish.startMs ?? wish.timeMs,
      expiryMs: wish.expiryMs ?? wish.timeMs + DAY_MS,
      flags: wish.reduceOnly === true ? 1 : 0,
      ...wish.change,
    } as Order;
  }

  place(wish: OrderWish & { owner: Address }): PlaceCommand {
    const order = this.order(wish);
    const signer = wish.signer ?? wish.owner;
    return {
      kind: "place",
      timeMs: wish.timeMs as Command["timeMs"],
      order,
      signature: sign(signer, orderHash(order, this.separator)),
      signer,
      type: wish.type ?? "limit",
      timeInForce: wish.timeInForce ?? (wish.type === "market" ? "ioc" : "gtc"),
      postOnly: wish.postOnly ?? false,
    };
  }

  amend(wish: OrderWish & { owner: Address; replaces: number }): AmendCommand {
    return { ...this.place(wish), kind: "amend", replaces: wish.replaces as AmendCommand["replaces"] };
  }

  quorum(digest: Uint8Array): QuorumSignature[] {
    return [0, 2].map((signer) => ({ signer, signature: sign(ORACLES[signer] as Address, digest) }));
  }

  report(
    timeMs: number,
    underlying: number,
    index: number,
    premium: number,
    surfaces: ExpirySurface[],
    reportMs = timeMs,
  ): ReportCommand {
    const body = {
      kind: "report",
      timeMs,
      underlying,
      reportMs,
      index,
      premium,
      surfaces,
      signatures: [],
    } as unknown as ReportCommand;
    const digest = reportHash({ ...body, signatures: [] }, this.parameters.domain, this.separator);
    return { ...body, signatures: this.quorum(digest) };
  }

  settle(timeMs: number, underlying: number, expiryMs: number, settlementPrice: number): SettleCommand {
    const body = {
      kind: "settle",
      timeMs,
      underlying,
      expiryMs,
      settlementPrice,
      signatures: [],
    } as unknown as SettleCommand;
    return { ...body, signatures: this.quorum(settlementHash(body, this.parameters.domain, this.separator)) };
  }

  withdraw(timeMs: number, owner: Address, change: Partial<Record<keyof Withdrawal, unknown>>): WithdrawCommand {
    const withdrawal = {
      domain: this.parameters.domain,
      asset: 0,
      destinationChain: this.parameters.chainId,
      recipient: owner,
      expiryMs: timeMs + DAY_MS,
      ...change,
    } as unknown as Withdrawal;
    const signature = sign(owner, withdrawalHash(withdrawal, this.separator));
    return { kind: "withdraw", timeMs: timeMs as Command["timeMs"], withdrawal, signature };
  }
}

export function inboundCommand(timeMs: number, entries: readonly object[]): Command {
  return {
    kind: "inbound",
    timeMs: timeMs as Command["timeMs"],
    entries: entries.map((entry) => encodeInboundEntry(entry as InboundEntry)),
  };
}

/** A surface with skew around `forward`; inside the averaging window the realised part is the forward's. */
export function surfaceOf(expiryMs: number, forward: number, timeMs: number, windowMs: number): ExpirySurface {
  return {
    expiryMs,
    forward,
    realisedAverage: expiryMs - timeMs < windowMs ? forward : 0,
    a: 200_000_000,
    b: 150_000_000,
    rho: -300_000_000,
    m: 0,
    s: 100_000_000,
  } as ExpirySurface;
}
