// Stage 6: what a client sends is checked before it gets a place in the log: signatures in batches, in workers where it pays.
import type { AmendCommand, PlaceCommand } from "@tidemark/engine";
import { domainSeparator, orderHash, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex, hexToBytes } from "@tidemark/num";
import type { FloorCommand } from "../market/desk.ts";
import { SignaturePool } from "../signatures/workerPool.ts";

/** Why an order never reaches the engine. Beside the engine's codes (2000 …) and the ledger's. */
export const GateCode = {
  /** The sequencer's stake does not cover more fills until some are posted. */
  unpostedNotional: 3001,
} as const;

type Signed = PlaceCommand | AmendCommand;
export const isOrder = (command: FloorCommand): command is Signed =>
  command.kind === "place" || command.kind === "amend";

export class Gatekeeper {
  readonly #separator: Uint8Array;
  readonly #pool: SignaturePool;
  /** Orders whose signature recovers to nobody; they never reach the engine. */
  refused = 0;

  constructor(parameters: ParameterSet, workers: number) {
    this.#separator = domainSeparator(parameters);
    this.#pool = new SignaturePool(workers);
  }

  /** Commands in their order, with the signer and the hash that this house computed, not the ones that the client named. */
  async admit(commands: readonly FloorCommand[]): Promise<FloorCommand[]> {
    const signed = commands.filter(isOrder);
    const digests = signed.map(({ order }) => orderHash(order, this.#separator).slice());
    const signers = await this.#pool.verifyBatch(
      digests,
      signed.map(({ signature }) => hexToBytes(signature)),
    );
    let next = 0;
    const admitted: FloorCommand[] = [];
    for (const command of commands) {
      if (!isOrder(command)) {
        admitted.push(command);
        continue;
      }
      const signer = signers[next];
      const digest = digests[next] as Uint8Array;
      next++;
      if (signer === null || signer === undefined) this.refused++;
      else admitted.push({ ...command, signer, orderHash: bytesToHex(digest) });
    }
    return admitted;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
