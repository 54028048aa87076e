// A sequencer with two faces: the engine that signs receipts and the engine that settles hear different commands.
import { developmentKey } from "@tidemark/chain";
import {
  type Command,
  type CycleRecord,
  Engine,
  type EngineOptions,
  type OrderRequest,
  silentSink,
} from "@tidemark/engine";
import { CycleKind, domainSeparator, type Order, orderHash, reportHash } from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import type { CycleSource, SourceCycle } from "@tidemark/settlement";
import type { Trader, World } from "../../chain/test/support/world.ts";
import { ReceiptDesk } from "../src/receipts/desk.ts";
import { Exposure } from "../src/receipts/exposure.ts";
import { signer } from "../src/signatures/signer.ts";

const ORACLES = ["oracle 0", "oracle 1"];
const INDEX_MICRO_USD = 50_000_000_000;
const ORDER_LIFE_MS = 6 * 3_600_000;

/** The engine takes plain numbers: it checks them. */
export const as = <Branded>(value: number): Branded => value as Branded;

/** The promised history and the one that reaches the L1. */
export class TwoFaces implements CycleSource {
  readonly promised: Engine;
  readonly settled: Engine;
  readonly desk: ReceiptDesk;
  readonly cycles: SourceCycle[] = [];
  readonly #separator: Uint8Array;
  #sequence = 0;
  #nonce = 0;

  constructor(world: World, folder: string) {
    const { parameters } = world.deployment;
    const options: EngineOptions = {
      parameters,
      signatures: signer,
      config: { cycleAgeMsMax: 60_000, rowsFor: "listed" },
    };
    this.promised = Engine.create(options);
    this.settled = Engine.create(options);
    this.#separator = domainSeparator(parameters);
    this.desk = new ReceiptDesk({
      folder,
      parameters,
      ledger: () => this.promised.ledger,
      signer,
      privateKey: hexToBytes(developmentKey("proposer")),
      exposure: new Exposure({ notionalPerStake: 10, readStake: async () => 10n ** 15n }),
      onFailure: (error) => {
        throw error;
      },
    });
  }

  count(): number {
    return this.cycles.length;
  }
  read(first: number, most: number): readonly SourceCycle[] {
    return this.cycles.slice(first, first + most);
  }

  /** What a client sends; `leaveOut` keeps it from the history that settles. */
  submit(command: Command, leaveOut = false): void {
    this.#sequence++;
    this.desk.begin(this.#sequence, command);
    const answer = this.promised.apply(command, { ...silentSink, ...this.desk.book.events });
    if (!answer.ok) throw new Error(`refused: ${answer.code}`);
    if (leaveOut) return;
    const onCycle = (record: CycleRecord): void => {
      this.cycles.push({ ...record, kind: CycleKind[record.kind] });
    };
    this.settled.apply(command, { ...silentSink, onCycle });
  }

  /** A group of receipts is signed. */
  async sign(): Promise<void> {
    this.desk.release(this.#sequence);
    await this.desk.stored();
  }

  place(trader: Trader, size: number, price: number, timeMs: number, gtc = true): Command & { nonce: number } {
    const order: Order = {
      domain: this.promised.ledger.globals.domain,
      account: as(trader.account),
      legs: [{ instrument: as(0), ratio: 1 }],
      size: as(size),
      limitPrice: as(price),
      maxFeePerLot: as(10_000_000),
      nonce: as(++this.#nonce),
      startMs: as(timeMs - 1),
      expiryMs: as(timeMs + ORDER_LIFE_MS),
      flags: 0,
    };
    const digest = orderHash(order, this.#separator).slice();
    const key = hexToBytes(developmentKey(trader.owner));
    const request: OrderRequest = {
      order,
      orderHash: bytesToHex(digest),
      signature: bytesToHex(signer.signCompact(digest, key)),
      signer: signer.addressOf(key),
      type: "limit",
      timeInForce: gtc ? "gtc" : "ioc",
      postOnly: false,
    };
    return { kind: "place", timeMs: as(timeMs), ...request, nonce: order.nonce };
  }

  report(timeMs: number): Command {
    const report = {
      kind: "report" as const,
      timeMs: as<never>(timeMs),
      underlying: as<never>(0),
      reportMs: as<never>(timeMs),
      index: as<never>(INDEX_MICRO_USD),
      premium: as<never>(0),
      surfaces: [],
    };
    const digest = reportHash({ ...report, signatures: [] }, this.promised.ledger.globals.domain, this.#separator);
    const signed = ORACLES.map((label, i) => ({
      signer: i,
      signature: bytesToHex(signer.signCompact(digest, hexToBytes(developmentKey(label)))),
    }));
    return { ...report, signatures: signed };
  }

  /** A cancel by the trader's key. */
  cancel(trader: Trader, nonce: number, timeMs: number): Command {
    const owner = signer.addressOf(hexToBytes(developmentKey(trader.owner)));
    return { kind: "cancel", timeMs: as(timeMs), account: as(trader.account), nonce: as(nonce), signer: owner };
  }
}
