// What stakers, shareholders of the insurance pool and whoever serves them send to StakeRegistry and InsurancePool.

import type { LedgerState } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type InsuranceWitness, insuranceWitness } from "@tidemark/settlement";
import {
  type Address,
  BaseError,
  ContractFunctionRevertedError,
  encodeFunctionData,
  type Hex,
  type LocalAccount,
} from "viem";
import type { L1Client } from "./clients.ts";
import { l1Call, l1Error } from "./errors.ts";
import { testUsdcAbi } from "./generated/contracts.ts";
import { insurancePoolAbi, stakeRegistryAbi } from "./generated/stake.ts";
import { type Call, transactAll, type WaitOptions } from "./transact.ts";

/** The part of a deployment that stakes need. */
export interface StakeContracts {
  token: Address;
  stakeRegistry: Address;
  insurancePool: Address;
}

// Upper bounds; what is not used is not paid.
const TOKEN_GAS = 120_000n;
const CALL_GAS = 400_000n;
const COVER_GAS = 1_200_000n;

export interface StakeStatus {
  bondedMicroUsdc: bigint;
  unbondingMicroUsdc: bigint;
  /** 0 while nothing unbonds. */
  releaseAtSeconds: number;
  lockedUntilSeconds: number;
  /** Place in the active set, from 0; null = takes no turns. */
  place: number | null;
  minimumMicroUsdc: bigint;
  /** Whose turn the next batch is; the zero address while nobody takes turns. */
  turn: Address;
  mayPostNow: boolean;
  rewardDueMicroUsdc: bigint;
}

export interface SlashRecord {
  staker: Address;
  /** 0 for a broken promise. */
  batchNumber: number;
  atSeconds: number;
  beneficiary: Address;
  takenMicroUsdc: bigint;
  burntMicroUsdc: bigint;
  rewardMicroUsdc: bigint;
}

export interface PoolStatus {
  assetsMicroUsdc: bigint;
  totalShares: bigint;
  /** Shares that the holder can still request. */
  shares: bigint;
  requestedShares: bigint;
  /** 0 without a request. */
  redeemFromSeconds: number;
  redeemUntilSeconds: number;
  redeemableShares: bigint;
  /** What shares and requested shares are worth now. */
  valueMicroUsdc: bigint;
  /** Nobody can redeem at the moment. */
  isHeld: boolean;
}

export interface StakeClient {
  /** `staker` absent: the payer's own stake. */
  deposit(payer: LocalAccount, amountMicroUsdc: bigint, staker?: Address): Promise<void>;
  requestUnbond(staker: LocalAccount, amountMicroUsdc: bigint): Promise<void>;
  withdraw(staker: LocalAccount): Promise<void>;
  /** Moves what was slashed: burns, pays the pool, and pays the challenger's part where one is named. */
  distribute(sender: LocalAccount, challenger?: Address): Promise<void>;
  status(staker: Address, nextBatch: number): Promise<StakeStatus>;
  activeSet(): Promise<readonly Address[]>;
  slashes(): Promise<SlashRecord[]>;
}

export interface PoolClient {
  deposit(holder: LocalAccount, amountMicroUsdc: bigint): Promise<void>;
  /** `"all"`: everything that the holder has, besides what he requested before. */
  requestRedeem(holder: LocalAccount, shares: bigint | "all"): Promise<void>;
  cancelRequest(holder: LocalAccount): Promise<void>;
  /** `"all"`: whatever can be redeemed now. */
  redeem(holder: LocalAccount, shares: bigint | "all"): Promise<void>;
  /** Has the shortfall of a final batch paid; `state` is the one that the batch ends with. */
  cover(sender: LocalAccount, batchNumber: number, state: LedgerState): Promise<void>;
  /** Stops redemptions because of a batch that is not final. */
  hold(sender: LocalAccount, batchNumber: number, state: LedgerState): Promise<void>;
  /** False where the pool has paid for the state's bad debt before. */
  isUncovered(how: "cover" | "hold", batchNumber: number, state: LedgerState): Promise<boolean>;
  status(holder: Address): Promise<PoolStatus>;
}

function witnessArgument({ state, cell, path }: InsuranceWitness) {
  return { state: { ...state, globals: bytesToHex(state.globals) }, cell: bytesToHex(cell), path };
}

function approval(sender: LocalAccount, token: Address, spender: Address, amountMicroUsdc: bigint): Call {
  const data = encodeFunctionData({ abi: testUsdcAbi, functionName: "approve", args: [spender, amountMicroUsdc] });
  return { sender, to: token, what: "approval", data, gas: TOKEN_GAS };
}

/** `options` as in createCustodyClient. */
export function createStakeClient(client: L1Client, contracts: StakeContracts, options: WaitOptions = {}): StakeClient {
  const registry = { address: contracts.stakeRegistry, abi: stakeRegistryAbi } as const;
  const call = (sender: LocalAccount, what: string, data: Hex): Call => ({
    sender,
    to: contracts.stakeRegistry,
    what,
    data,
    gas: CALL_GAS,
  });
  const send = async (calls: readonly Call[]): Promise<void> => {
    await transactAll(client, calls, options);
  };
  const abi = stakeRegistryAbi;
  return {
    deposit(payer, amountMicroUsdc, staker = payer.address) {
      const data = encodeFunctionData({ abi, functionName: "depositFor", args: [staker, amountMicroUsdc] });
      return send([
        approval(payer, contracts.token, contracts.stakeRegistry, amountMicroUsdc),
        call(payer, "deposit of a stake", data),
      ]);
    },
    requestUnbond(staker, amountMicroUsdc) {
      const data = encodeFunctionData({ abi, functionName: "requestUnbond", args: [amountMicroUsdc] });
      return send([call(staker, "unbonding of a stake", data)]);
    },
    withdraw: (staker) =>
      send([call(staker, "withdrawal of a stake", encodeFunctionData({ abi, functionName: "withdraw" }))]),
    async distribute(sender, challenger) {
      const [burnDue, poolDue, rewardDue] = await l1Call("slashed money", () =>
        Promise.all([
          client.readContract({ ...registry, functionName: "burnDue" }),
          client.readContract({ ...registry, functionName: "poolDue" }),
          challenger === undefined
            ? 0n
            : client.readContract({ ...registry, functionName: "rewardDue", args: [challenger] }),
        ]),
      );
      const calls: Call[] = [];
      if (burnDue > 0n) {
        calls.push(call(sender, "burning of slashed money", encodeFunctionData({ abi, functionName: "burnSlashed" })));
      }
      if (poolDue > 0n) {
        calls.push(call(sender, "payment to the pool", encodeFunctionData({ abi, functionName: "payPool" })));
      }
      if (challenger !== undefined && rewardDue > 0n) {
        const data = encodeFunctionData({ abi, functionName: "payReward", args: [challenger] });
        calls.push(call(sender, "payment of a reward", data));
      }
      await send(calls);
    },
    status: (staker, nextBatch) => readStakeStatus(client, registry, staker, BigInt(nextBatch)),
    activeSet: () => l1Call("active set", () => client.readContract({ ...registry, functionName: "activeSet" })),
    async slashes() {
      const count = await l1Call("slash count", () => client.readContract({ ...registry, functionName: "slashCount" }));
      const indices = Array.from({ length: Number(count) }, (_, i) => BigInt(i));
      const records = await l1Call("slashes", () =>
        Promise.all(indices.map((i) => client.readContract({ ...registry, functionName: "slashAt", args: [i] }))),
      );
      return records.map((record) => ({
        staker: record.staker,
        batchNumber: Number(record.batchNumber),
        atSeconds: Number(record.slashedAt),
        beneficiary: record.beneficiary,
        takenMicroUsdc: record.taken,
        burntMicroUsdc: record.burnt,
        rewardMicroUsdc: record.reward,
      }));
    },
  };
}

async function readStakeStatus(
  client: L1Client,
  registry: { address: Address; abi: typeof stakeRegistryAbi },
  staker: Address,
  nextBatch: bigint,
): Promise<StakeStatus> {
  const [stake, minimum, turn, mayPostNow, rewardDue] = await l1Call("stake", () =>
    Promise.all([
      client.readContract({ ...registry, functionName: "stakeDetails", args: [staker] }),
      client.readContract({ ...registry, functionName: "minimumStake" }),
      client.readContract({ ...registry, functionName: "turnOf", args: [nextBatch] }),
      client.readContract({ ...registry, functionName: "mayPost", args: [staker, nextBatch] }),
      client.readContract({ ...registry, functionName: "rewardDue", args: [staker] }),
    ]),
  );
  return {
    bondedMicroUsdc: stake.bonded,
    unbondingMicroUsdc: stake.unbonding,
    releaseAtSeconds: stake.unbonding === 0n ? 0 : Number(stake.releaseAt),
    lockedUntilSeconds: Number(stake.lockedUntil),
    place: stake.place === 0 ? null : stake.place - 1,
    minimumMicroUsdc: minimum,
    turn,
    mayPostNow,
    rewardDueMicroUsdc: rewardDue,
  };
}

/** `options` as in createCustodyClient. */
export function createPoolClient(client: L1Client, contracts: StakeContracts, options: WaitOptions = {}): PoolClient {
  const pool = { address: contracts.insurancePool, abi: insurancePoolAbi } as const;
  const abi = insurancePoolAbi;
  const call = (sender: LocalAccount, what: string, data: Hex, gas = CALL_GAS): Call => ({
    sender,
    to: contracts.insurancePool,
    what,
    data,
    gas,
  });
  const send = async (calls: readonly Call[]): Promise<void> => {
    await transactAll(client, calls, options);
  };
  return {
    deposit(holder, amountMicroUsdc) {
      const args = [amountMicroUsdc, holder.address] as const;
      return send([
        approval(holder, contracts.token, contracts.insurancePool, amountMicroUsdc),
        call(holder, "deposit to the pool", encodeFunctionData({ abi, functionName: "deposit", args })),
      ]);
    },
    async requestRedeem(holder, shares) {
      const wanted =
        shares !== "all"
          ? shares
          : await l1Call("shares", () =>
              client.readContract({ ...pool, functionName: "balanceOf", args: [holder.address] }),
            );
      const data = encodeFunctionData({ abi, functionName: "requestRedeem", args: [wanted] });
      await send([call(holder, "request to redeem", data)]);
    },
    cancelRequest: (holder) =>
      send([call(holder, "cancellation of a request", encodeFunctionData({ abi, functionName: "cancelRequest" }))]),
    async redeem(holder, shares) {
      const wanted =
        shares !== "all"
          ? shares
          : await l1Call("redeemable shares", () =>
              client.readContract({ ...pool, functionName: "maxRedeem", args: [holder.address] }),
            );
      const args = [wanted, holder.address, holder.address] as const;
      await send([call(holder, "redemption", encodeFunctionData({ abi, functionName: "redeem", args }))]);
    },
    cover(sender, batchNumber, state) {
      const args = [BigInt(batchNumber), witnessArgument(insuranceWitness(state))] as const;
      const data = encodeFunctionData({ abi, functionName: "coverShortfall", args });
      return send([call(sender, `cover of batch ${batchNumber}`, data, COVER_GAS)]);
    },
    hold(sender, batchNumber, state) {
      const args = [BigInt(batchNumber), witnessArgument(insuranceWitness(state))] as const;
      const data = encodeFunctionData({ abi, functionName: "holdForShortfall", args });
      return send([call(sender, `hold for batch ${batchNumber}`, data, COVER_GAS)]);
    },
    async isUncovered(how, batchNumber, state) {
      const args = [BigInt(batchNumber), witnessArgument(insuranceWitness(state))] as const;
      const functionName = how === "cover" ? "coverShortfall" : "holdForShortfall";
      try {
        await client.simulateContract({ ...pool, functionName, args });
        return true;
      } catch (error) {
        const reverted =
          error instanceof BaseError ? error.walk((e) => e instanceof ContractFunctionRevertedError) : null;
        const isPaid =
          reverted instanceof ContractFunctionRevertedError && reverted.data?.errorName === "NothingToCover";
        if (isPaid) return false;
        throw l1Error(`${functionName} of batch ${batchNumber}`, error);
      }
    },
    status: (holder) => readPoolStatus(client, pool, holder),
  };
}

async function readPoolStatus(
  client: L1Client,
  pool: { address: Address; abi: typeof insurancePoolAbi },
  holder: Address,
): Promise<PoolStatus> {
  const [assets, totalShares, shares, [requestedShares, from, until], redeemableShares, isHeld] = await l1Call(
    "insurance pool",
    () =>
      Promise.all([
        client.readContract({ ...pool, functionName: "totalAssets" }),
        client.readContract({ ...pool, functionName: "totalSupply" }),
        client.readContract({ ...pool, functionName: "balanceOf", args: [holder] }),
        client.readContract({ ...pool, functionName: "requestOf", args: [holder] }),
        client.readContract({ ...pool, functionName: "maxRedeem", args: [holder] }),
        client.readContract({ ...pool, functionName: "isHeld" }),
      ]),
  );
  const valueMicroUsdc = await l1Call("value of shares", () =>
    client.readContract({ ...pool, functionName: "convertToAssets", args: [shares + requestedShares] }),
  );
  return {
    assetsMicroUsdc: assets,
    totalShares,
    shares,
    requestedShares,
    redeemFromSeconds: Number(from),
    redeemUntilSeconds: Number(until),
    redeemableShares,
    valueMicroUsdc,
    isHeld,
  };
}
