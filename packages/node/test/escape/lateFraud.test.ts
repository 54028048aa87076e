// After a late fraud proof the anchor lies before withdrawals that were paid: whoever got his money is not paid twice.
import {
  batchChainAbi,
  createClaimsClient,
  createEscapeClient,
  depositsOf,
  developmentAccount,
  readClaimed,
  readPaidEvidence,
  readStateAfter,
  readWholeQueue,
  transactAll,
} from "@tidemark/chain";
import { claimArguments, entitlementsOf, paidBeyondAnchor } from "@tidemark/settlement";
import { encodeFunctionData, type Hex, numberToHex, parseAbi } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BTC, dollars, USDC } from "../../../ledger/test/factory.ts";
import { readAnchorBooks, registerAll, showEvidence } from "../../src/escape/steps.ts";
import { signer } from "../../src/signatures/signer.ts";
import { createEndWorld, type EndWorld, WITHDRAWN } from "./endWorld.ts";

const BEYOND = 20_000 * USDC;
const STRANGER = "0x00000000000000000000000000000000000000aa";

let world: EndWorld;
beforeAll(async () => {
  world = await createEndWorld();
});
afterAll(() => world.close());

async function rpc(method: string, params: unknown[]): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const headers = { "content-type": "application/json" };
  const answer = (await (await fetch(world.l1.url, { method: "POST", headers, body })).json()) as {
    result?: unknown;
    error?: { message: string };
  };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}

/** As the dispute contract does after a conviction of a final batch. */
async function proveLate(batchNumber: number): Promise<void> {
  const { dispute: from, escape: to } = world.deployment;
  await rpc("anvil_impersonateAccount", [from]);
  await world.l1.setBalance(from, 10n ** 18n);
  const abi = parseAbi(["function lateFraud(uint64 batchNumber)"]);
  const data = encodeFunctionData({ abi, functionName: "lateFraud", args: [BigInt(batchNumber)] });
  const hash = await rpc("eth_sendTransaction", [{ from, to, data, gas: numberToHex(1_000_000) }]);
  await world.mine();
  const receipt = await world.client.getTransactionReceipt({ hash: hash as Hex });
  expect(receipt.status).toBe("success");
}

test("what was paid beyond the anchor is set against what registers", async () => {
  const { client, deployment, venue, custody, mine } = world;
  const anybody = developmentAccount("anybody");
  await world.l1.setBalance(anybody.address, 10n ** 21n);
  // Beyond the anchor: a withdrawal to a stranger's address, signed by the owner.
  venue.mark(BTC, { index: dollars(101_500) });
  venue.must(venue.withdrawal({ account: 4, amount: BEYOND, recipient: STRANGER }));
  await mine();
  await world.post();
  await mine(700);
  const chain = { address: deployment.batchChain, abi: batchChainAbi } as const;
  const lastFinal = await client.readContract({ ...chain, functionName: "lastFinal" });
  for (const number of [1n, 2n].filter((one) => one > lastFinal)) {
    const data = encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args: [number] });
    const call = { sender: anybody, to: deployment.batchChain, data, gas: 300_000n, what: "finalisation" };
    await transactAll(client, [call], { mine });
  }
  const claims = createClaimsClient(client, deployment, anybody, { mine });
  await claims.claim([claimArguments(venue.state, 2, 0), claimArguments(venue.state, 2, 1)]);
  expect(await custody.balanceMicroUsdc(STRANGER)).toBe(BigInt(BEYOND));

  await proveLate(2);
  const contract = createEscapeClient(client, deployment, anybody, { mine });
  const context = { client, deployment, contract };
  expect(await contract.anchorLimit()).toBe(1);
  const state = await readStateAfter(client, deployment, 1, { signatures: signer });
  await contract.fixAnchor(state);
  const { anchor } = await contract.status();
  if (anchor === null) throw new Error("no anchor");
  expect(anchor).toMatchObject({ batchNumber: 1, outboxCount: 1, root: state.root() });

  const evidence = await readPaidEvidence(client, deployment, anchor);
  expect(evidence).toMatchObject([{ how: "signed", withdrawalNumber: 1, cell: { account: 4, amount: BEYOND } }]);
  const books = await readAnchorBooks(context, anchor, state);
  expect(await showEvidence(context, books)).toBe(1);
  expect(await showEvidence(context, books)).toBe(0);

  await world.l1.mine(anchor.marksUntilSeconds);
  const whole = entitlementsOf({
    state,
    marks: new Map(),
    deposits: depositsOf(await readWholeQueue(client, deployment)),
    claimedLeaf: () => undefined,
    paid: paidBeyondAnchor([]),
  });
  const claimed = await readClaimed(client, deployment);
  expect([...claimed.keys()]).toEqual([0, 1]);
  // The withdrawal that the anchor knows was claimed, and account 4 was paid.
  const worth = (list: typeof whole, kind: string, number: number): bigint | undefined =>
    list.find((one) => one.kind === kind && one.number === number)?.amountMicroUsdc;
  expect(worth(whole, "withdrawal", 0)).toBe(BigInt(WITHDRAWN));
  expect(worth([...books.entitlements], "withdrawal", 0)).toBeUndefined();
  expect(worth([...books.entitlements], "account", 4)).toBe((worth(whole, "account", 4) ?? 0n) - BigInt(BEYOND));
  await registerAll(context, books, books.entitlements, () => undefined);
  for (const one of books.entitlements) {
    const found = await contract.entitlement(one.kind, one.number);
    expect(found).toMatchObject({ amountMicroUsdc: one.amountMicroUsdc, state: "inTime" });
  }
  const vault = await custody.vaultMicroUsdc();
  const { books: registered } = await contract.status();
  // Without it the vault would be short by what was paid.
  expect(registered.registeredMicroUsdc).toBeLessThanOrEqual(vault);
  expect(registered.registeredMicroUsdc + BigInt(BEYOND)).toBeGreaterThan(vault);
});
