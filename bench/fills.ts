// Fills for measurements: signed orders that cross in the perpetual, through the real engine, netted and closed into cycles as a
// venue's are. Used by the watcher's benchmark and by the measurement of posting costs (test/costs).
import { type Command, type CycleRecord, Engine, silentSink } from "@tidemark/engine";
import {
  CycleKind,
  domainSeparator,
  type Order,
  orderHash,
  type ParameterSet,
  reportHash,
  type SignaturePort,
} from "@tidemark/ledger";
import { bytesToHex, keccak256 } from "@tidemark/num";
import type { CycleSource, SourceCycle } from "@tidemark/settlement";
import secp256k1 from "secp256k1";

/**
 * How much netting finds to do. "pairs": both orders of every fill are new, so nothing nets. "quotes": takers hit standing quotes,
 * each quote in twenty fills.
 */
export type FillFlow = "pairs" | "quotes";

/** Lots of 0.0001 BTC at 50,000 USD: 5 USDC each. */
const PRICE_TICKS = 500_000;
const HALF_SPREAD_TICKS = 1;
const INDEX_MICRO_USD = 50_000_000_000;
const FIRST_ACCOUNT = 2;
const QUOTING_ACCOUNTS = 8;
const TAKE_LOTS = 5;
const QUOTE_LOTS = 100;
const PERPETUAL = 0;
const ORDER_LIFETIME_MS = 3_600_000;
/** Above any fee. */
const FEE_PER_LOT_MAX = 2 ** 39;
/** As the venue's default. */
const CYCLE_AGE_MS_MAX = 150_000;

type Address = `0x${string}`;

/** Plain numbers become units here: engine and ledger check them. */
const as = <Branded>(value: number): Branded => value as Branded;

const addressOf = (publicKey: Uint8Array): Address => bytesToHex(keccak256(publicKey.subarray(1)).subarray(12));

export const recovering: SignaturePort = {
  recoverAddress(digest, signature) {
    const plain = Uint8Array.from(signature);
    const parity = (plain[32] as number) >> 7;
    plain[32] = (plain[32] as number) & 0x7f;
    return addressOf(secp256k1.ecdsaRecover(plain, parity, digest, false));
  },
};

export interface FillVenueOptions {
  parameters: ParameterSet;
  startMs: number;
  /** Even: "pairs" are made of neighbours. */
  traders: number;
  /** Private key of a trader's account, or of an oracle. */
  traderKey: (account: number) => Uint8Array;
  oracleKeys: readonly Uint8Array[];
  /** Default: recovered as a venue does. */
  signatures?: SignaturePort;
}

interface StandingQuote {
  leftLots: number;
  placed: number;
}

export class FillVenue implements CycleSource {
  readonly engine: Engine;
  readonly cycles: SourceCycle[] = [];
  timeMs: number;
  readonly #options: FillVenueOptions;
  readonly #separator: Uint8Array;
  readonly #owners = new Map<number, Address>();
  readonly #nonces = new Map<number, number>();
  readonly #quotes: Record<"bid" | "ask", StandingQuote> = {
    bid: { leftLots: 0, placed: 0 },
    ask: { leftLots: 0, placed: 0 },
  };
  #fillsMade = 0;

  constructor(options: FillVenueOptions) {
    const { parameters, signatures = recovering } = options;
    this.#options = options;
    this.timeMs = options.startMs;
    this.#separator = domainSeparator(parameters);
    const config = { cycleAgeMsMax: CYCLE_AGE_MS_MAX, rowsFor: "listed" } as const;
    this.engine = Engine.create({ parameters, signatures, config });
  }

  get traders(): number[] {
    return Array.from({ length: this.#options.traders }, (_, i) => FIRST_ACCOUNT + i);
  }
  ownerOf(account: number): Address {
    let owner = this.#owners.get(account);
    if (owner === undefined) {
      owner = addressOf(secp256k1.publicKeyCreate(this.#options.traderKey(account), false));
      this.#owners.set(account, owner);
    }
    return owner;
  }

  count(): number {
    return this.cycles.length;
  }
  read(firstIndex: number, countMax: number): readonly SourceCycle[] {
    return this.cycles.slice(firstIndex, firstIndex + countMax);
  }

  /** @throws Error when the engine refuses one of them */
  apply(commands: readonly Command[]): void {
    const sink = { ...silentSink, onCycle: (record: CycleRecord) => this.#store(record) };
    for (const command of commands) {
      const { ok, code } = this.engine.apply(command, sink);
      if (!ok) throw new Error(`the engine refuses a ${command.kind} command: ${code}`);
    }
  }

  #store(record: CycleRecord): void {
    this.cycles.push({ ...record, kind: CycleKind[record.kind] });
  }

  inbound(entries: readonly Uint8Array[]): void {
    this.apply([{ kind: "inbound", timeMs: as(this.timeMs), entries }]);
  }

  report(): void {
    const content = {
      kind: "report" as const,
      timeMs: as<never>(this.timeMs),
      underlying: as<never>(0),
      reportMs: as<never>(this.timeMs),
      index: as<never>(INDEX_MICRO_USD),
      premium: as<never>(0),
      surfaces: [],
    };
    const { domain } = this.#options.parameters;
    const digest = reportHash({ ...content, signatures: [] }, domain, this.#separator);
    const signatures = this.#options.oracleKeys.map((key, place) => ({ signer: place, signature: sign(digest, key) }));
    this.apply([{ ...content, signatures }]);
  }

  hashOf(order: Order): Uint8Array {
    return orderHash(order, this.#separator);
  }

  closeCycle(): void {
    this.apply([{ kind: "checkpoint", timeMs: as(this.timeMs) }]);
  }

  #place(account: number, lots: number, price: number, timeInForce: "gtc" | "ioc"): Command {
    const nonce = (this.#nonces.get(account) ?? 0) + 1;
    this.#nonces.set(account, nonce);
    const order: Order = {
      domain: this.#options.parameters.domain,
      account: as(account),
      legs: [{ instrument: as(PERPETUAL), ratio: 1 }],
      size: as(lots),
      limitPrice: as(price),
      maxFeePerLot: as(FEE_PER_LOT_MAX),
      nonce: as(nonce),
      startMs: as(this.timeMs - 1),
      expiryMs: as(this.timeMs + ORDER_LIFETIME_MS),
      flags: 0,
    };
    const signature = sign(this.hashOf(order), this.#options.traderKey(account));
    const signer = this.ownerOf(account);
    const timeMs = as<never>(this.timeMs);
    return { kind: "place", timeMs, order, signature, signer, type: "limit", timeInForce, postOnly: false };
  }

  /** Commands that fill `count` times; sides alternate, so that margin never runs out. */
  commandsOf(flow: FillFlow, count: number): Command[] {
    const commands: Command[] = [];
    for (let i = 0; i < count; i++) {
      commands.push(...(flow === "pairs" ? this.#pair(this.#fillsMade) : this.#take(this.#fillsMade)));
      this.#fillsMade += 1;
    }
    return commands;
  }

  #pair(fill: number): Command[] {
    const pairs = this.#options.traders / 2;
    const maker = FIRST_ACCOUNT + 2 * (fill % pairs);
    const lots = Math.floor(fill / pairs) % 2 === 0 ? TAKE_LOTS : -TAKE_LOTS;
    return [this.#place(maker, lots, PRICE_TICKS, "gtc"), this.#place(maker + 1, -lots, PRICE_TICKS, "ioc")];
  }

  #take(fill: number): Command[] {
    const takers = this.#options.traders - QUOTING_ACCOUNTS;
    const side = Math.floor(fill / takers) % 2 === 0 ? 1 : -1;
    const price = PRICE_TICKS + side * HALF_SPREAD_TICKS;
    const quote = this.#quotes[side > 0 ? "ask" : "bid"];
    const commands: Command[] = [];
    if (quote.leftLots === 0) {
      commands.push(this.#place(FIRST_ACCOUNT + (quote.placed % QUOTING_ACCOUNTS), -side * QUOTE_LOTS, price, "gtc"));
      quote.leftLots = QUOTE_LOTS;
      quote.placed += 1;
    }
    quote.leftLots -= TAKE_LOTS;
    const taker = FIRST_ACCOUNT + QUOTING_ACCOUNTS + (fill % takers);
    return [...commands, this.#place(taker, side * TAKE_LOTS, price, "ioc")];
  }
}

/** Compact, with a deterministic nonce. */
function sign(digest: Uint8Array, privateKey: Uint8Array): `0x${string}` {
  const { signature, recid } = secp256k1.ecdsaSign(digest, privateKey);
  signature[32] = (signature[32] as number) | (recid << 7);
  return bytesToHex(signature);
}
