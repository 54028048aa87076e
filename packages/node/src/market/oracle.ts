// The oracle quorum of a local venue: reads the source, signs reports and settlement prices with the quorum's keys.

import type { ReportCommand, SettleCommand } from "@tidemark/engine";
import type { ParameterSet, QuorumSignature, ReportCycle } from "@tidemark/ledger";
import { domainSeparator, EXPIRIES_MAX, reportHash, settlementHash } from "@tidemark/ledger";
import type { TimestampMs, UnderlyingNumber } from "@tidemark/num";
import { bytesToHex } from "@tidemark/num";
import { ExitCode, NodeError } from "../errors.ts";
import { signer } from "../signatures/signer.ts";
import type { MarketSource, UnderlyingMarket } from "./source.ts";

export interface OracleKey {
  /** Index into the parameter set's oracles. */
  readonly signer: number;
  readonly privateKey: Uint8Array;
}

export class Oracle {
  readonly #source: MarketSource;
  readonly #parameters: ParameterSet;
  readonly #keys: readonly OracleKey[];
  readonly #separator: Uint8Array;

  /** @throws NodeError when the keys are not a quorum of the parameter set. */
  constructor(options: { source: MarketSource; parameters: ParameterSet; keys: readonly OracleKey[] }) {
    this.#source = options.source;
    this.#parameters = options.parameters;
    const { oracles, oracleQuorum } = options.parameters;
    const matching = options.keys.filter(
      ({ signer: place, privateKey }) => oracles[place] === signer.addressOf(privateKey),
    );
    const distinct = [...new Map(matching.map((key) => [key.signer, key])).values()].sort(
      (p, q) => p.signer - q.signer,
    );
    if (distinct.length < oracleQuorum) {
      throw new NodeError("ORACLE_QUORUM", `${distinct.length} of ${oracleQuorum} oracle keys fit the parameter set`, {
        exitCode: ExitCode.usage,
        context: { keys: distinct.length, oracleQuorum },
      });
    }
    this.#keys = distinct.slice(0, oracleQuorum);
    this.#separator = domainSeparator(options.parameters);
  }

  report(underlying: UnderlyingNumber, timeMs: TimestampMs): ReportCommand {
    const market = this.#source.marketAt(timeMs).underlyings[underlying] as UnderlyingMarket;
    const content: Omit<ReportCycle, "kind" | "signatures"> = {
      timeMs,
      underlying,
      reportMs: timeMs,
      index: market.index,
      premium: market.premium,
      surfaces: [...market.expiries.values()].map(({ surface }) => surface).slice(0, EXPIRIES_MAX),
    };
    const digest = reportHash({ kind: "report", ...content, signatures: [] }, this.#parameters.domain, this.#separator);
    return { kind: "report", ...content, signatures: this.#sign(digest) };
  }

  /** The average of the index over the window before the expiry. `timeMs` ≥ the expiry. */
  settlement(underlying: UnderlyingNumber, expiryMs: TimestampMs, timeMs: TimestampMs): SettleCommand {
    const settlementPrice = this.#source.indexAverage(underlying, expiryMs, expiryMs);
    const digest = settlementHash({ underlying, expiryMs, settlementPrice }, this.#parameters.domain, this.#separator);
    return { kind: "settle", timeMs, underlying, expiryMs, settlementPrice, signatures: this.#sign(digest) };
  }

  #sign(digest: Uint8Array): QuorumSignature[] {
    return this.#keys.map(({ signer: place, privateKey }) => ({
      signer: place,
      signature: bytesToHex(signer.signCompact(digest, privateKey)),
    }));
  }
}
