// Payloads of what follows a liquidation that did not suffice: auction, bankruptcy, adl.
import { assert, type ByteReader, ByteWriter, INT32_MAX } from "@tidemark/num";
import { ADL_COUNTERPARTIES_MAX, AUCTION_PARTS, BANKRUPTCIES_PER_CYCLE_MAX, POSITIONS_MAX } from "../limits.ts";
import type { AdlCycle, AuctionCycle, AuctionLeg, AuctionTake, BankruptcyCycle, Cycle } from "../types.ts";
import { readCount, writeCount } from "./counts.ts";
import { as, malformed } from "./reading.ts";

const AUCTION_OP = { start: 0, take: 1, end: 2 } as const;
const LEG_BYTES = 7;
const PARTS_LEAST = 1;

export function writeAuction(writer: ByteWriter, cycle: Readonly<AuctionCycle>): void {
  writer.u8(AUCTION_OP[cycle.op]).u24(cycle.account);
  writeCount(writer, cycle.positionCount, 0, POSITIONS_MAX, "positionCount");
  if (cycle.op === "take") writeTake(writer, cycle.take);
}

function writeTake(writer: ByteWriter, take: Readonly<AuctionTake>): void {
  const { bid } = take;
  assert(bid.parts >= PARTS_LEAST && bid.parts <= AUCTION_PARTS, "parts");
  assert(take.fromAccount <= take.discount, "fromAccount");
  writer.u24(bid.account);
  writeCount(writer, take.bidderPositionCount, 0, POSITIONS_MAX, "bidderPositionCount");
  writeCount(writer, take.newCount, 0, POSITIONS_MAX, "newCount");
  writer.u16(bid.parts).i64(bid.paymentMax).u48(bid.nonce).u48(bid.expiryMs);
  writer.u8(bid.bindsLegs ? 1 : 0).hex(take.signature, 64);
  writer.u64(take.discount).u64(take.fromAccount);
  writeCount(writer, take.legs.length, 1, POSITIONS_MAX, "legCount");
  writeLegs(writer, take.legs);
}

function writeLegs(writer: ByteWriter, legs: readonly AuctionLeg[]): void {
  let previous = -1;
  for (const { instrument, lots } of legs) {
    assert(instrument > previous && lots !== 0 && Math.abs(lots) <= INT32_MAX, "auction leg");
    previous = instrument;
    writer.u24(instrument).i32(lots);
  }
}

/** The bytes that a bid's signature may bind: the legs as in the payload. */
export function auctionLegsBytes(legs: readonly AuctionLeg[]): Uint8Array {
  const writer = new ByteWriter(LEG_BYTES * POSITIONS_MAX);
  writeLegs(writer, legs);
  return writer.view();
}

export function readAuction(reader: ByteReader, timeMs: Cycle["timeMs"], domain: number): AuctionCycle {
  const op = reader.u8();
  if (op > AUCTION_OP.end) malformed(reader, "auction op");
  const account = as<AuctionCycle["account"]>(reader.u24());
  const positionCount = readCount(reader, 0, POSITIONS_MAX, "positionCount");
  const common = { kind: "auction", timeMs, account, positionCount } as const;
  if (op === AUCTION_OP.start) return { ...common, op: "start" };
  if (op === AUCTION_OP.end) return { ...common, op: "end" };
  return { ...common, op: "take", take: readTake(reader, account, domain) };
}

function readTake(reader: ByteReader, auctioned: AuctionCycle["account"], domain: number): AuctionTake {
  const account = as<AuctionCycle["account"]>(reader.u24());
  const bidderPositionCount = readCount(reader, 0, POSITIONS_MAX, "bidderPositionCount");
  const newCount = readCount(reader, 0, POSITIONS_MAX, "newCount");
  const parts = reader.u16();
  if (parts < PARTS_LEAST || parts > AUCTION_PARTS) malformed(reader, "parts");
  const bid: AuctionTake["bid"] = {
    domain,
    account,
    auctioned,
    parts,
    paymentMax: as(reader.i64()),
    nonce: as(reader.u48()),
    expiryMs: as(reader.u48()),
    bindsLegs: readCount(reader, 0, 1, "bindsLegs") === 1,
  };
  const signature = reader.hex(64);
  const discount = reader.u64();
  const fromAccount = reader.u64();
  if (fromAccount > discount) malformed(reader, "fromAccount");
  const legs = readLegs(reader, readCount(reader, 1, POSITIONS_MAX, "legCount"));
  return {
    bid,
    signature,
    bidderPositionCount,
    newCount,
    discount: as(discount),
    fromAccount: as(fromAccount),
    legs,
  };
}

function readLegs(reader: ByteReader, count: number): AuctionLeg[] {
  const legs: AuctionLeg[] = [];
  let previous = -1;
  for (let i = 0; i < count; i++) {
    const instrument = reader.u24();
    const lots = reader.i32();
    if (instrument <= previous || lots === 0 || lots < -INT32_MAX) malformed(reader, "auction leg");
    previous = instrument;
    legs.push({ instrument: as(instrument), lots: as(lots) });
  }
  return legs;
}

export function writeBankruptcy(writer: ByteWriter, cycle: Readonly<BankruptcyCycle>): void {
  writeCount(writer, cycle.accounts.length, 1, BANKRUPTCIES_PER_CYCLE_MAX, "bankruptcy count");
  let previous = -1;
  for (const account of cycle.accounts) {
    assert(account > previous, "accounts increase");
    previous = account;
    writer.u24(account);
  }
}

export function readBankruptcy(reader: ByteReader, timeMs: Cycle["timeMs"]): BankruptcyCycle {
  const count = readCount(reader, 1, BANKRUPTCIES_PER_CYCLE_MAX, "bankruptcy count");
  const accounts: BankruptcyCycle["accounts"] = [];
  let previous = -1;
  for (let i = 0; i < count; i++) {
    const account = reader.u24();
    if (account <= previous) malformed(reader, "accounts not increasing");
    previous = account;
    accounts.push(as(account));
  }
  return { kind: "bankruptcy", timeMs, accounts };
}

export function writeAdl(writer: ByteWriter, cycle: Readonly<AdlCycle>): void {
  writer.u24(cycle.account);
  writeCount(writer, cycle.positionCount, 0, POSITIONS_MAX, "positionCount");
  writer.u24(cycle.instrument).u40(cycle.haircut);
  writeCount(writer, cycle.counterparties.length, 1, ADL_COUNTERPARTIES_MAX, "counterparty count");
  for (const { account, positionCount, equity, maintenance } of cycle.counterparties) {
    writer.u24(account);
    writeCount(writer, positionCount, 0, POSITIONS_MAX, "positionCount");
    writer.u64(equity).u64(maintenance);
  }
}

export function readAdl(reader: ByteReader, timeMs: Cycle["timeMs"]): AdlCycle {
  const account = as<AdlCycle["account"]>(reader.u24());
  const positionCount = readCount(reader, 0, POSITIONS_MAX, "positionCount");
  const instrument = as<AdlCycle["instrument"]>(reader.u24());
  const haircut = as<AdlCycle["haircut"]>(reader.u40());
  const count = readCount(reader, 1, ADL_COUNTERPARTIES_MAX, "counterparty count");
  const counterparties = Array.from({ length: count }, () => ({
    account: as<AdlCycle["account"]>(reader.u24()),
    positionCount: readCount(reader, 0, POSITIONS_MAX, "positionCount"),
    equity: as<AdlCycle["haircut"]>(reader.u64()),
    maintenance: as<AdlCycle["haircut"]>(reader.u64()),
  }));
  return { kind: "adl", timeMs, account, positionCount, instrument, haircut, counterparties };
}
