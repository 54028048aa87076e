// The claim sender: a claim that the L1 keeps refusing is set aside, shown, and in nobody's way.
import { setTimeout as sleep } from "node:timers/promises";
import { batchChainAbi, developmentAccount, transactAll } from "@tidemark/chain";
import { type ClaimArguments, claimArguments } from "@tidemark/settlement";
import { encodeFunctionData } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Claims } from "../../src/venue/claims.ts";
import { OPERATOR } from "../../src/venue/contracts.ts";
import type { Processes } from "../../src/venue/processes.ts";
import { createEndWorld, type EndWorld, ownerOf, WITHDRAWN } from "./endWorld.ts";

const ROUNDS_MAX = 400;

let world: EndWorld;
beforeAll(async () => {
  world = await createEndWorld();
});
afterAll(() => world.close());

test("a refused claim is set aside while others are paid", async () => {
  const { client, deployment, venue, custody, mine } = world;
  const anybody = developmentAccount("anybody");
  for (const { address } of [anybody, OPERATOR.claimer]) await world.l1.setBalance(address, 10n ** 21n);
  await mine(700);
  const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args: [1n] });
  const call = { sender: anybody, to: deployment.batchChain, data, gas: 300_000n, what: "finalisation" };
  await transactAll(client, [call], { mine });

  const right = claimArguments(venue.state, 1, 0);
  const foreign: ClaimArguments = { ...right, withdrawalNumber: 7 };
  const told: string[] = [];
  const claims = new Claims(client, deployment, (line) => told.push(line));
  const processes = {
    proposer: { batchesFinal: 1 },
    claims: new Map([
      [7, foreign],
      [0, right],
    ]),
  } as unknown as Processes;
  const rounds = async (isDone: () => boolean): Promise<void> => {
    for (let round = 0; round < ROUNDS_MAX && !isDone(); round++) {
      claims.advance(processes);
      await mine();
      await sleep(10);
    }
    while (claims.busy) {
      await mine();
      await sleep(10);
    }
  };
  await rounds(() => claims.setAsideCount === 1);
  expect(claims.setAsideCount).toBe(1);
  expect(told).toEqual([`withdrawal 7: the L1 refuses to pay ${right.cell.recipient}; it stays unclaimed`]);
  expect(await custody.vaultMicroUsdc()).toBe(4n * 1_000_000_000_000n + 1_234_567n - BigInt(WITHDRAWN));
  expect(await custody.balanceMicroUsdc(ownerOf(5).address)).toBeGreaterThan(BigInt(WITHDRAWN));

  // Told once, tried now and then, and no failure of the venue.
  for (let i = 0; i < 20; i++) {
    claims.advance(processes);
    await mine();
    await sleep(10);
  }
  expect(told).toHaveLength(1);
  expect(() => claims.advance(processes)).not.toThrow();
});
