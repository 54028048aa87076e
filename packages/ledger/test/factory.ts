// Builders of real ledgers for tests: a venue with funded accounts, listed series, signed reports, rows and orders.
// Nothing is faked: payloads are encoded, signatures are made with secp256k1 and recovered, rows are computed.
import type {
  AccountNumber,
  InstrumentNumber,
  MicroUsd,
  MicroUsdc,
  Nonce,
  PartsPerBillion,
  PriceTicks,
  SizeLots,
  TimestampMs,
  UnderlyingNumber,
} from "@tidemark/num";
import {
  type AccountCell,
  applyPayload,
  type Cycle,
  type CycleVerdict,
  defaultParameters,
  domainSeparator,
  type ExpiryCycle,
  type ExpirySurface,
  encodeCycle,
  type InboundEntry,
  type InstrumentCell,
  InstrumentKind,
  LedgerState,
  type Order,
  type OutboundCycle,
  orderHash,
  type ParameterSet,
  type QuorumSignature,
  type ReportCycle,
  type RiskParameters,
  ROWS_PER_CYCLE_MAX,
  type RowsCycle,
  reportHash,
  settlementHash,
  type TradeCycle,
  type TradeEntry,
  validateParameters,
  type Withdrawal,
  withdrawalHash,
} from "../src/index.ts";
import { keyOf, sign, signaturePort, type TestKey } from "./keys.ts";

export const BTC = 0 as UnderlyingNumber;
export const ETH = 1 as UnderlyingNumber;
export const ORACLE_COUNT = 3;
export const USDC = 1_000_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const ADMIN_DELAY_MS = 30_000;
export const GENESIS_TIME_MS = 1_760_000_000_000;

export const oracleKey = (signer: number): TestKey => keyOf(`oracle ${signer}`);
export const ownerKey = (account: number): TestKey => keyOf(`owner of ${account}`);
export const account = (value: number): AccountNumber => value as AccountNumber;
export const instrument = (value: number): InstrumentNumber => value as InstrumentNumber;
export const micro = (value: number): MicroUsdc => value as MicroUsdc;
export const dollars = (value: number): MicroUsd => Math.round(value * 1_000_000) as MicroUsd;
export const at = (value: number): TimestampMs => value as TimestampMs;
export const ppb = (value: number): PartsPerBillion => value as PartsPerBillion;

/** Default contracts; oracles, treasury and insurance owners have test keys. */
export function factoryParameters(risk: Partial<RiskParameters> = {}): ParameterSet {
  const parameters = defaultParameters({
    chainId: 31_337,
    verifyingContract: `0x${"c0".repeat(20)}`,
    oracles: Array.from({ length: ORACLE_COUNT }, (_, signer) => oracleKey(signer).address),
    oracleQuorum: 2,
    treasuryOwner: keyOf("treasury").address,
    insuranceOwner: keyOf("insurance").address,
  });
  return validateParameters({ ...parameters, adminDelayMs: ADMIN_DELAY_MS, risk: { ...parameters.risk, ...risk } });
}

// ── oracles ────────────────────────────────────────────────────────────────────────────────────────────────────────

function quorumOf(digest: Uint8Array, signers: readonly number[]): QuorumSignature[] {
  return signers.map((signer) => ({ signer, signature: sign(digest, oracleKey(signer)) }));
}

/** A flat surface with that volatility. */
export function flatSurface(
  expiryMs: number,
  forward: MicroUsd,
  volatility: number,
  realisedAverage: number = 0,
): ExpirySurface {
  return {
    expiryMs: at(expiryMs),
    forward,
    realisedAverage: realisedAverage as MicroUsd,
    a: ppb(Math.round(volatility * volatility * 1e9)),
    b: ppb(0),
    rho: ppb(0),
    m: ppb(0),
    s: ppb(100_000_000),
  };
}

export type ReportContent = Omit<ReportCycle, "kind" | "signatures">;

export function signedReport(parameters: ParameterSet, content: ReportContent, signers = [0, 1]): ReportCycle {
  const report: ReportCycle = { kind: "report", ...content, signatures: [] };
  const digest = reportHash(report, parameters.domain, domainSeparator(parameters));
  return { ...report, signatures: quorumOf(digest, signers) };
}

export type ExpiryContent = Omit<ExpiryCycle, "kind" | "signatures">;

export function signedExpiry(parameters: ParameterSet, content: ExpiryContent, signers = [0, 2]): ExpiryCycle {
  const expiry: ExpiryCycle = { kind: "expiry", ...content, signatures: [] };
  const digest = settlementHash(expiry, parameters.domain, domainSeparator(parameters));
  return { ...expiry, signatures: quorumOf(digest, signers) };
}

// ── orders ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface FillSpec {
  account: number;
  /** One leg of ratio 1, or legs. */
  instrument?: number;
  legs?: { instrument: number; ratio: number }[];
  /** Signed size of the order; the fill has its sign. */
  size: number;
  /** Net limit price in ticks. */
  price: number;
  nonce: number;
  /** Default: the whole order. */
  filledLots?: number;
  /** Default: at the limit price. */
  cash?: number;
  fee?: number;
  maxFeePerLot?: number;
  flags?: number;
  startMs?: number;
  expiryMs?: number;
  domain?: number;
  /** Default: the owner's; null leaves the signature out. */
  key?: TestKey | null;
}

export function orderOf(parameters: ParameterSet, spec: FillSpec, nowMs: number): Order {
  const legs = spec.legs ?? [{ instrument: spec.instrument ?? 0, ratio: 1 }];
  return {
    domain: spec.domain ?? parameters.domain,
    account: account(spec.account),
    legs: legs.map((leg) => ({ instrument: instrument(leg.instrument), ratio: leg.ratio })),
    size: spec.size as SizeLots,
    limitPrice: spec.price as PriceTicks,
    maxFeePerLot: micro(spec.maxFeePerLot ?? 2 ** 39),
    nonce: spec.nonce as Nonce,
    startMs: at(spec.startMs ?? nowMs - 1000),
    expiryMs: at(spec.expiryMs ?? nowMs + HOUR_MS),
    flags: spec.flags ?? 0,
  };
}

/** Netted fill of an order, signed by `key`. `tickValueMicroUsdc` is the instrument's. */
export function entryOf(
  parameters: ParameterSet,
  spec: FillSpec,
  nowMs: number,
  tickValueMicroUsdc: number,
): TradeEntry {
  const order = orderOf(parameters, spec, nowMs);
  const filledLots = spec.filledLots ?? Math.abs(spec.size);
  const atLimit = -Math.sign(spec.size) * spec.price * filledLots * tickValueMicroUsdc + 0;
  const key = spec.key === undefined ? ownerKey(spec.account) : spec.key;
  return {
    order,
    signature: key === null ? null : sign(orderHash(order, domainSeparator(parameters)), key),
    filledLots,
    cash: micro(spec.cash ?? atLimit),
    fee: micro(spec.fee ?? 0),
  };
}

/** Accounts sorted, entries in order of nonce, position counts as the state has them. */
export function tradeAccountsOf(state: LedgerState, entries: readonly TradeEntry[]): TradeCycle["accounts"] {
  const byAccount = new Map<number, TradeEntry[]>();
  for (const entry of entries) {
    const list = byAccount.get(entry.order.account) ?? [];
    list.push(entry);
    byAccount.set(entry.order.account, list);
  }
  return [...byAccount]
    .sort((a, b) => a[0] - b[0])
    .map(([number, list]) => ({
      account: account(number),
      positionCount: state.account(number)?.positions.length ?? 0,
      entries: list.sort((a, b) => a.order.nonce - b.order.nonce),
    }));
}

/** What is left out is sound: this domain and chain, the owner as recipient, a new nonce, an hour. */
export interface WithdrawalSpec extends Partial<Omit<Withdrawal, "account" | "amount" | "nonce">> {
  account: number;
  amount: number;
  nonce?: number;
}

// ── venue ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface VenueOptions {
  risk?: Partial<RiskParameters>;
  /** Instead of the factory's: those of a deployment. */
  parameters?: ParameterSet;
  timeMs?: number;
}

export interface Marks {
  index: MicroUsd;
  premium?: number;
  /** Annualised, of every expiry's flat surface. */
  volatility?: number;
  /** Per expiry, where it is not the index. */
  forwards?: ReadonlyMap<number, MicroUsd>;
}

/** Rows of a state, whichever way it came to be: all listed instruments of an underlying that the report can price. */
export function rowsCycles(state: LedgerState, underlying: number, timeMs: number): RowsCycle[] {
  const cell = state.underlying(underlying);
  const expiries = new Set<number>([0, ...(cell?.surfaces ?? []).map((surface) => surface.expiryMs)]);
  const instruments: InstrumentNumber[] = [];
  for (let number = 0; number < state.instrumentCount; number++) {
    const one = state.instrument(number) as InstrumentCell;
    if (one.underlying === underlying && one.status === 1 && expiries.has(one.expiryMs))
      instruments.push(instrument(number));
  }
  const cycles: RowsCycle[] = [];
  for (let from = 0; from < instruments.length || cycles.length === 0; from += ROWS_PER_CYCLE_MAX) {
    cycles.push({
      kind: "rows",
      timeMs: at(timeMs),
      underlying: underlying as UnderlyingNumber,
      instruments: instruments.slice(from, from + ROWS_PER_CYCLE_MAX),
      closesEpoch: from + ROWS_PER_CYCLE_MAX >= instruments.length,
    });
  }
  return cycles;
}

export class Venue {
  readonly state: LedgerState;
  timeMs: number;
  #nonce = 0;

  constructor(options: VenueOptions = {}) {
    this.state = LedgerState.genesis(options.parameters ?? factoryParameters(options.risk));
    this.timeMs = options.timeMs ?? GENESIS_TIME_MS;
  }

  /** Those of the next cycle. */
  get parameters(): ParameterSet {
    return this.state.parameters;
  }

  /** As a watcher does: through the payload. */
  apply(cycle: Cycle): CycleVerdict {
    return this.applyPayload(encodeCycle(cycle));
  }

  applyPayload(payload: Uint8Array): CycleVerdict {
    return applyPayload(this.state, payload, { signatures: signaturePort });
  }

  /** @throws Error naming the rejection. */
  must(cycle: Cycle): CycleVerdict & { ok: true } {
    const verdict = this.apply(cycle);
    if (verdict.ok) return verdict;
    throw new Error(`${cycle.kind}: ${JSON.stringify(verdict.rejection)}`);
  }

  advance(elapsedMs: number): void {
    this.timeMs += elapsedMs;
  }

  nextNonce(): number {
    this.#nonce += 1;
    return this.#nonce;
  }

  inbound(...entries: InboundEntry[]): Cycle {
    return { kind: "inbound", timeMs: at(this.timeMs), entries };
  }

  /** Opens an account owned by ownerKey(number) and deposits. */
  fund(number: number, amount: number): void {
    const owner = ownerKey(number).address;
    this.must(
      this.inbound(
        { type: "openAccount", account: account(number), owner },
        { type: "deposit", account: account(number), amount: micro(amount), payer: owner },
      ),
    );
  }

  /** Lists and returns the first new instrument's number: perpetual, or future, call, put, call, put … */
  list(underlying: UnderlyingNumber, expiryMs: number, strikes: readonly MicroUsd[] = []): number {
    const first = this.state.instrumentCount;
    const entry: InboundEntry = { type: "listSeries", underlying, expiryMs: at(expiryMs), strikes: [...strikes] };
    const { outcomes } = this.must(this.inbound(entry));
    if (outcomes[0]?.code !== 0) throw new Error(`listSeries: outcome ${outcomes[0]?.code}`);
    return first;
  }

  /** Expiries of an underlying's listed instruments, ascending. */
  expiries(underlying: UnderlyingNumber): number[] {
    const expiries = new Set<number>();
    for (let number = 0; number < this.state.instrumentCount; number++) {
      const cell = this.state.instrument(number) as InstrumentCell;
      const isDated = cell.kind !== InstrumentKind.perpetual;
      if (cell.underlying === underlying && cell.status === 1 && isDated) expiries.add(cell.expiryMs);
    }
    return [...expiries].sort((a, b) => a - b);
  }

  reportOf(underlying: UnderlyingNumber, marks: Marks): ReportCycle {
    const { averagingWindowMs } = this.parameters.risk;
    const surfaces = this.expiries(underlying).map((expiryMs) =>
      flatSurface(
        expiryMs,
        marks.forwards?.get(expiryMs) ?? marks.index,
        marks.volatility ?? 0.6,
        expiryMs - this.timeMs < averagingWindowMs ? marks.index : 0,
      ),
    );
    return signedReport(this.parameters, {
      timeMs: at(this.timeMs),
      underlying,
      reportMs: at(this.timeMs),
      index: marks.index,
      premium: ppb(marks.premium ?? 0),
      surfaces,
    });
  }

  /** The report with its content as it is now, signed anew. */
  resigned(report: ReportCycle, signers?: number[]): ReportCycle {
    const { kind: _, signatures: __, ...content } = report;
    return signedReport(this.parameters, content, signers);
  }

  rows(underlying: number): RowsCycle[] {
    return rowsCycles(this.state, underlying, this.timeMs);
  }

  /** Report, all rows, epoch closed. */
  mark(underlying: UnderlyingNumber, marks: Marks): void {
    this.must(this.reportOf(underlying, marks));
    for (const cycle of this.rows(underlying)) this.must(cycle);
  }

  entry(spec: Omit<FillSpec, "nonce"> & { nonce?: number }): TradeEntry {
    const first = spec.legs?.[0]?.instrument ?? spec.instrument ?? 0;
    const tickValue = this.state.instrument(first)?.tickValueMicroUsdc ?? 1;
    return entryOf(this.parameters, { ...spec, nonce: spec.nonce ?? this.nextNonce() }, this.timeMs, tickValue);
  }

  tradeOf(entries: readonly TradeEntry[]): TradeCycle {
    return { kind: "trade", timeMs: at(this.timeMs), accounts: tradeAccountsOf(this.state, entries) };
  }

  /** Two new orders filled against each other at one price. */
  cross(buyer: number, seller: number, number: number, lots: number, price: number): TradeCycle {
    return this.tradeOf([
      this.entry({ account: buyer, instrument: number, size: lots, price }),
      this.entry({ account: seller, instrument: number, size: -lots, price }),
    ]);
  }

  withdrawal(spec: WithdrawalSpec): OutboundCycle {
    const withdrawal: Withdrawal = {
      domain: this.parameters.domain,
      asset: 0,
      destinationChain: this.parameters.chainId,
      recipient: ownerKey(spec.account).address,
      expiryMs: at(this.timeMs + HOUR_MS),
      ...spec,
      account: account(spec.account),
      amount: micro(spec.amount),
      nonce: (spec.nonce ?? this.nextNonce()) as Nonce,
    };
    const digest = withdrawalHash(withdrawal, domainSeparator(this.parameters));
    const positionCount = this.state.account(spec.account)?.positions.length ?? 0;
    const signature = sign(digest, ownerKey(spec.account));
    return { kind: "outbound", timeMs: at(this.timeMs), withdrawals: [{ withdrawal, signature, positionCount }] };
  }

  expiryOf(content: Omit<ExpiryContent, "timeMs">): ExpiryCycle {
    return signedExpiry(this.parameters, { timeMs: at(this.timeMs), ...content });
  }

  cell(number: number): Readonly<AccountCell> {
    const cell = this.state.account(number);
    if (cell === undefined) throw new Error(`account ${number} does not exist`);
    return cell;
  }

  size(number: number, held: number): number {
    return this.cell(number).positions.find((position) => position.instrument === held)?.size ?? 0;
  }

  /** Mark in ticks, rounded down. */
  markTicks(number: number): number {
    const cell = this.state.instrument(number) as InstrumentCell;
    return Math.floor((cell.row[0] as number) / cell.tickValueMicroUsdc);
  }
}
