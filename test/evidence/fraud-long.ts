// The longest payloads that the batch chain takes: a challenge must carry and decode them within one transaction, whatever they hold.
import { CYCLE_BYTES_MAX, CycleKind, TRADE_ENTRIES_MAX } from "@tidemark/ledger";
import { ByteWriter } from "@tidemark/num";
import { FAR_APART, keyOf, longBody } from "./fraud-plan.ts";
import type { Planted } from "./fraud-planter.ts";
import { record, type Search } from "./fraud-search.ts";

const TIME_AT = 2;
/** What decoders read as counts, lengths and flags: none, one, two, most. */
const FILLS = [0, 1, 2, 255];
const ANY_ROOT = `0x${"5a".repeat(32)}` as const;

/** Fewer than exceed the limit by themselves, so that all of them are looked at. */
const INSTRUMENTS = 100;
/** Numbers that share their low bits: what a table of that many places would find in one of them. */
const STRIDES = [1, 16, 256, 4_096, 65_536];
const LEGS = 4;
const ACCOUNT_BYTES = 5;
const ENTRY_BYTES = 72;

/** A trade that decodes, of as many entries as fit, all of them in the same instruments. */
function crowdedTrade(timeMs: number, stride: number): Uint8Array {
  const writer = new ByteWriter(CYCLE_BYTES_MAX);
  writer.u8(1).u8(CycleKind.trade).u64(timeMs);
  const accounts = Math.floor((CYCLE_BYTES_MAX - 11) / (ACCOUNT_BYTES + TRADE_ENTRIES_MAX * ENTRY_BYTES));
  writer.u8(accounts);
  let leg = 0;
  for (let place = 0; place < accounts; place++) {
    writer
      .u24(10 + place)
      .u8(0)
      .u8(TRADE_ENTRIES_MAX);
    for (let nonce = 0; nonce < TRADE_ENTRIES_MAX; nonce++) {
      writer.u8(LEGS);
      for (let i = 0; i < LEGS; i++) {
        const number = (stride * Math.min(leg++, INSTRUMENTS - 1)) % 2 ** 24;
        writer.u24(number).u16(1);
      }
      writer.i32(1).i32(1).u40(0).u48(nonce).u48(0).u48(1).u8(0).u8(0).u32(1).i64(0).u48(0);
    }
  }
  return writer.toBytes();
}

const dearest = (planted: readonly Planted[]): Planted =>
  planted.reduce((most, one) => (one.gas > most.gas ? one : most));

async function plantAll(search: Search, key: string, payloads: () => readonly Uint8Array[]): Promise<void> {
  const { planter, unit, lacking } = search;
  const row = lacking.get(key);
  if (row === undefined) return;
  const planted: Planted[] = [];
  for (const payload of payloads()) {
    planted.push(await planter.batch(planter.batchOf([{ payload, postRoot: ANY_ROOT, claims: null }])));
  }
  // Some bytes break another rule than the row's: convicted all the same.
  record(unit, row, dearest(planted.filter(({ code }) => code === row.code)));
  lacking.delete(key);
}

function filled(kind: number, timeMs: number, length: number): Uint8Array[] {
  return FILLS.map((fill) => {
    const payload = new Uint8Array(length).fill(fill);
    payload.set([1, kind]);
    new DataView(payload.buffer).setBigUint64(TIME_AT, BigInt(timeMs), true);
    return payload;
  });
}

/** The dearest of each kind. */
export async function plantLong(search: Search): Promise<void> {
  const { timeMs } = search.planter.state.globals;
  for (const [kind, number] of Object.entries(CycleKind)) {
    await plantAll(search, keyOf("payload", longBody(kind)), () => filled(number, timeMs, CYCLE_BYTES_MAX));
  }
  await plantAll(search, keyOf("payload", FAR_APART), () => STRIDES.map((stride) => crowdedTrade(timeMs, stride)));
}
