// Snapshot of an engine without an open trade cycle: the ledger's state, the counters, the nonces and every live order in
// order of acceptance. Everything else is recomputed, and equal states give equal bytes.
import { deserialiseState, type Order, type ParameterSet, type SignaturePort, serialiseState } from "@tidemark/ledger";
import { assert, ByteReader, ByteWriter, DecodeError } from "@tidemark/num";
import { readOrder, writeOrder } from "./codec.ts";
import { Core, type EngineConfig } from "./core.ts";
import {
  ACCOUNT,
  ENTRY,
  FLAGS,
  INSTRUMENT,
  NONE,
  ORDER_STRIDE_SHIFT,
  POSITION,
  PRICE,
  REMAINING,
  SIDE,
} from "./orders.ts";

const SNAPSHOT_VERSION = 1;
const SIGNATURE_BYTES = 64;
const ADDRESS_BYTES = 20;

export function writeSnapshot(core: Core): Uint8Array {
  const ledger = serialiseState(core.ledger);
  const writer = new ByteWriter(ledger.length + 4096);
  writer.u8(SNAPSHOT_VERSION).u32(ledger.length).bytes(ledger);
  writer.u64(core.timeMs).u64(core.sequence).u64(core.cycleIndex).u64(core.commandsSinceCycle);
  const accounts: number[] = [];
  for (let account = 0; account < core.accounts.length; account++)
    if (core.accounts.has(account)) accounts.push(account);
  writer.u32(accounts.length);
  for (const account of accounts) writer.u24(account).i64(core.accounts.lastNonce[account] as number);
  const orders = accounts.flatMap((account) => core.ordersOf(account));
  orders.sort((a, b) => core.arena.sequenceOf(a) - core.arena.sequenceOf(b));
  writer.u32(orders.length);
  for (const at of orders) {
    const base = at << ORDER_STRIDE_SHIFT;
    writeOrder(writer, core.arena.order[at] as Order);
    writer.hex(core.arena.signature[at] as string, SIGNATURE_BYTES).hex(core.arena.signer[at] as string, ADDRESS_BYTES);
    writer.u64(core.arena.sequenceOf(at)).i32(core.arena.records[base + REMAINING] as number);
    writer.u8(core.arena.records[base + FLAGS] as number);
  }
  return writer.toBytes();
}

/** @throws DecodeError */
export function readSnapshot(
  bytes: Uint8Array,
  parameters: ParameterSet,
  signatures: SignaturePort,
  config: EngineConfig,
): Core {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== SNAPSHOT_VERSION) throw new DecodeError("malformed", 0, "snapshot version");
  const ledger = deserialiseState(reader.bytes(reader.u32()), parameters);
  const core = new Core(ledger.parameters, ledger, signatures, config);
  core.timeMs = reader.u64();
  core.sequence = reader.u64();
  core.cycleIndex = reader.u64();
  core.commandsSinceCycle = reader.u64();
  for (let instrument = 0; instrument < core.ledger.instrumentCount; instrument++) core.loadInstrument(instrument);
  const accountCount = reader.u32();
  for (let i = 0; i < accountCount; i++) {
    const account = reader.u24();
    const lastNonce = reader.i64();
    if (core.ledger.account(account) === undefined) throw new DecodeError("malformed", reader.offset, "account");
    core.loadAccount(account);
    core.accounts.lastNonce[account] = lastNonce;
  }
  const orderCount = reader.u32();
  for (let i = 0; i < orderCount; i++) readLiveOrder(core, reader);
  reader.end();
  return core;
}

function readLiveOrder(core: Core, reader: ByteReader): void {
  const order = readOrder(reader);
  const at = core.arena.allocate(order, reader.hex(SIGNATURE_BYTES), reader.hex(ADDRESS_BYTES));
  core.arena.sequence[at] = reader.u64();
  const { records } = core.arena;
  const base = at << ORDER_STRIDE_SHIFT;
  const leg = order.legs[0];
  assert(
    leg !== undefined && leg.instrument < core.books.count && core.accounts.has(order.account),
    "order of a snapshot",
  );
  records[base + REMAINING] = reader.i32();
  records[base + FLAGS] = reader.u8();
  records[base + INSTRUMENT] = leg.instrument;
  records[base + PRICE] = order.limitPrice;
  records[base + ACCOUNT] = order.account;
  records[base + POSITION] = core.accounts.position(order.account, leg.instrument);
  records[base + ENTRY] = NONE;
  records[base + SIDE] = order.size > 0 ? 1 : -1;
  core.rest(at);
}
