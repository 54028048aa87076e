// Stakes and the insurance pool on a real L1: turns, unbonding, slashing, shares, and shortfalls shown by a real ledger's state.

import { encodeFunctionData } from "viem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPoolClient, createStakeClient, custodyAbi, testUsdcAbi } from "../src/index.ts";
import {
  COOLDOWN_SECONDS,
  createStakeWorld,
  MINIMUM_STAKE_MICRO_USDC as MINIMUM,
  OPEN_AFTER_SECONDS,
  type StakeWorld,
  stateWith,
  TURN_SECONDS,
  UNBONDING_SECONDS,
} from "./support/stakeWorld.ts";
import { WINDOW_SECONDS } from "./support/world.ts";

const SHARES_PER_MICRO_USDC = 1_000_000n;
const BURN = "0x000000000000000000000000000000000000dEaD";
const reverted = { code: "TRANSACTION_REVERTED" };

let world: StakeWorld;
let stake: ReturnType<typeof createStakeClient>;
let pool: ReturnType<typeof createPoolClient>;
const balance = (address: `0x${string}`): Promise<bigint> =>
  world.client.readContract({
    address: world.contracts.token,
    abi: testUsdcAbi,
    functionName: "balanceOf",
    args: [address],
  });

beforeAll(async () => {
  world = await createStakeWorld();
  stake = createStakeClient(world.client, world.contracts, { mine: world.mine });
  pool = createPoolClient(world.client, world.contracts, { mine: world.mine });
  for (const key of Object.values(world.keys)) {
    const args = [key.address, 100n * MINIMUM] as const;
    await world.send(key, world.contracts.token, encodeFunctionData({ abi: testUsdcAbi, functionName: "mint", args }));
  }
});
afterAll(() => world.close());

describe("a venue's life with stakes", () => {
  test("the deployer stakes for the first proposers, and turns begin", async () => {
    const { deployer, first, second, outsider } = world.keys;
    await stake.deposit(deployer, MINIMUM, first.address);
    await stake.deposit(deployer, MINIMUM, second.address);
    await stake.deposit(outsider, MINIMUM);
    expect(await stake.activeSet()).toEqual([first.address, second.address]);
    const ofOutsider = await stake.status(outsider.address, 1);
    expect(ofOutsider).toMatchObject({ bondedMicroUsdc: MINIMUM, place: null, mayPostNow: false });
    expect(await stake.status(second.address, 1)).toMatchObject({ place: 1, minimumMicroUsdc: MINIMUM });
    const turn = ofOutsider.turn;
    expect([first.address, second.address]).toContain(turn);
  });

  test("only whose turn it is posts; silence costs one turn and opens the venue in the end", async () => {
    const { first, second, outsider } = world.keys;
    const genesis = stateWith(world.parameters, { insurance: 0, debtor: 0, winner: 0, cursor: 0 });
    let status = await stake.status(first.address, 1);
    const [mine, other] = status.turn === first.address ? [first, second] : [second, first];
    await expect(world.post(other, genesis)).rejects.toMatchObject(reverted);
    // The refused transaction took a block: the turn may have passed meanwhile.
    status = await stake.status(mine.address, 1);
    const now = status.turn === mine.address ? mine : other;
    expect(await world.post(now, genesis)).toBe(1);
    await world.mine(TURN_SECONDS);
    await expect(world.post(outsider, genesis)).rejects.toMatchObject(reverted);
    await world.mine(OPEN_AFTER_SECONDS);
    expect(await world.post(outsider, genesis)).toBe(2);
  });

  test("a conviction burns half, pays challenger and pool, and is on record", async () => {
    const { outsider, holder, alice } = world.keys;
    await pool.deposit(holder, 1_000n);
    const before = await balance(alice.address);
    await world.convict(2, outsider.address, alice.address);
    expect((await stake.status(alice.address, 2)).rewardDueMicroUsdc).toBe(MINIMUM / 4n);
    await stake.distribute(holder, alice.address);
    await stake.distribute(holder, alice.address);
    expect(await balance(BURN)).toBe(MINIMUM / 2n);
    expect((await balance(alice.address)) - before).toBe(MINIMUM / 4n);
    expect((await pool.status(holder.address)).assetsMicroUsdc).toBe(1_000n + MINIMUM / 4n);
    expect(await stake.slashes()).toMatchObject([
      {
        staker: outsider.address,
        batchNumber: 2,
        beneficiary: alice.address,
        takenMicroUsdc: MINIMUM,
        burntMicroUsdc: MINIMUM / 2n,
        rewardMicroUsdc: MINIMUM / 4n,
      },
    ]);
    expect((await stake.status(outsider.address, 2)).bondedMicroUsdc).toBe(0n);
  });

  test("a stake leaves after unbonding and when its batches are final", async () => {
    const { first } = world.keys;
    const before = await balance(first.address);
    await stake.requestUnbond(first, MINIMUM);
    const status = await stake.status(first.address, 2);
    expect(status).toMatchObject({ bondedMicroUsdc: 0n, unbondingMicroUsdc: MINIMUM, place: null });
    expect(status.releaseAtSeconds).toBe(world.nowSeconds() + UNBONDING_SECONDS);
    await expect(stake.withdraw(first)).rejects.toMatchObject(reverted);
    await world.mine(UNBONDING_SECONDS);
    await expect(stake.withdraw(first)).rejects.toMatchObject(reverted);
    await world.finalise(1);
    await stake.withdraw(first);
    expect((await balance(first.address)) - before).toBe(MINIMUM);
  });
});

describe("the insurance pool against a real ledger's states", () => {
  test("shares wait, and bear what bad debt a final state shows", async () => {
    const { holder, second, alice } = world.keys;
    const approve = { abi: testUsdcAbi, functionName: "approve", args: [world.custody, 1_030n] } as const;
    await world.send(alice, world.contracts.token, encodeFunctionData(approve));
    const open = { abi: custodyAbi, functionName: "openAccountAndDeposit", args: [1_000n] } as const;
    await world.send(alice, world.custody, encodeFunctionData(open));
    const toInsurance = { abi: custodyAbi, functionName: "deposit", args: [1, 30n] } as const;
    await world.send(alice, world.custody, encodeFunctionData(toInsurance));
    const assets = (await pool.status(holder.address)).assetsMicroUsdc;
    await pool.requestRedeem(holder, "all");
    const requested = await pool.status(holder.address);
    expect(requested).toMatchObject({
      shares: 0n,
      requestedShares: 1_000n * SHARES_PER_MICRO_USDC,
      redeemableShares: 0n,
    });

    // 1,030 came in; account 2 owes 70, account 3 won it, the insurance account has 30.
    const short = stateWith(world.parameters, { insurance: 30, debtor: -70, winner: 1_070, cursor: 3 });
    await world.mine(COOLDOWN_SECONDS - WINDOW_SECONDS);
    await world.mine(OPEN_AFTER_SECONDS / 10);
    const number = await world.post(second, short);
    await pool.hold(alice, number, short);
    await world.mine(WINDOW_SECONDS);
    expect(await pool.status(holder.address)).toMatchObject({ isHeld: true, redeemableShares: 0n });
    await expect(pool.cover(alice, number, short)).rejects.toMatchObject(reverted);
    await world.finalise(number);
    const other = stateWith(world.parameters, { insurance: 30, debtor: -71, winner: 1_071, cursor: 3 });
    await expect(pool.cover(alice, number, other)).rejects.toMatchObject(reverted);
    await pool.cover(alice, number, short);
    expect(await balance(world.custody)).toBe(1_030n + 40n);
    await expect(pool.cover(alice, number, short)).rejects.toMatchObject(reverted);
    const queued = await world.client.readContract({
      address: world.custody,
      abi: custodyAbi,
      functionName: "queueLength",
    });
    expect(queued).toBe(4n);

    const covered = await pool.status(holder.address);
    expect(covered).toMatchObject({ assetsMicroUsdc: assets - 40n, isHeld: false });
    expect(covered.redeemableShares).toBe(covered.requestedShares);
    const before = await balance(holder.address);
    await pool.redeem(holder, "all");
    expect((await balance(holder.address)) - before).toBe(covered.valueMicroUsdc);
    expect((await pool.status(holder.address)).requestedShares).toBe(0n);
  });
});
