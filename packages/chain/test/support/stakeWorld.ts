// An L1 with the contracts around stakes: registry, pool, batch chain, custody. Nobody disputes; the test plays the
// dispute contract's part with a key of its own.
import { LedgerState, type ParameterSet } from "@tidemark/ledger";
import { bytesToHex, hexToBytes, keccak256 } from "@tidemark/num";
import { BATCH_VERSION, type BatchHeader, cyclesRoot, encodeBatchData, encodePostBatch } from "@tidemark/settlement";
import {
  type Abi,
  type Address,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  type LocalAccount,
  zeroAddress,
  zeroHash,
} from "viem";
import {
  batchChainAbi,
  batchChainBytecode,
  connectL1,
  custodyAbi,
  custodyBytecode,
  developmentAccount,
  type EmbeddedL1,
  fixedWindowPolicyAbi,
  fixedWindowPolicyBytecode,
  insurancePoolAbi,
  insurancePoolBytecode,
  type L1Client,
  type StakeContracts,
  stakeRegistryAbi,
  stakeRegistryBytecode,
  startEmbeddedL1,
  testUsdcAbi,
  testUsdcBytecode,
  transactAll,
} from "../../src/index.ts";
import { GENESIS_SECONDS, parametersForTests, WINDOW_SECONDS } from "./world.ts";

export const MINIMUM_STAKE_MICRO_USDC = 1_000_000_000n;
export const UNBONDING_SECONDS = 7_200;
export const TURN_SECONDS = 60;
export const OPEN_AFTER_SECONDS = 3_600;
export const COOLDOWN_SECONDS = 1_800;
export const REDEEM_SECONDS = 3_600;
const BOND_WEI = 10n ** 18n;
const CREATION_GAS = 8_000_000n;

export type Party = "deployer" | "first" | "second" | "outsider" | "dispute" | "sequencer" | "holder" | "alice";

export interface StakeWorld {
  client: L1Client;
  contracts: StakeContracts;
  batchChain: Address;
  custody: Address;
  parameters: ParameterSet;
  keys: Record<Party, LocalAccount>;
  nowSeconds(): number;
  mine: (seconds?: number) => Promise<void>;
  send(sender: LocalAccount, to: Address, data: Hex, valueWei?: bigint): Promise<void>;
  /** Posts a batch that ends with `state` and consumes as much of the queue as the state says. */
  post(proposer: LocalAccount, state: LedgerState): Promise<number>;
  finalise(number: number): Promise<void>;
  /** As the dispute contract: drops the batch and slashes its proposer. */
  convict(number: number, proposer: Address, challenger: Address): Promise<void>;
  close(): Promise<void>;
}

interface Creation {
  abi: Abi;
  bytecode: Hex;
  args: readonly unknown[];
}

export async function createStakeWorld(): Promise<StakeWorld> {
  const l1: EmbeddedL1 = await startEmbeddedL1({ genesisTimestampSeconds: GENESIS_SECONDS });
  const client = await connectL1(l1.url, l1.chainId);
  const names: Party[] = ["deployer", "first", "second", "outsider", "dispute", "sequencer", "holder", "alice"];
  const keys = Object.fromEntries(names.map((name) => [name, developmentAccount(name)])) as Record<Party, LocalAccount>;
  for (const key of Object.values(keys)) await l1.setBalance(key.address, 10n ** 21n);
  let now = GENESIS_SECONDS;
  const mine = async (seconds = 12): Promise<void> => {
    now = (await l1.mine(now + seconds)).timestampSeconds;
  };

  const at = (nonce: number): Address => getContractAddress({ from: keys.deployer.address, nonce: BigInt(nonce) });
  const [token, policy, insurancePool, stakeRegistry, batchChain, custody] = [at(0), at(1), at(2), at(3), at(4), at(5)];
  const parameters = { ...parametersForTests(l1.chainId), verifyingContract: custody.toLowerCase() as Address };
  const creations: Creation[] = [
    { abi: testUsdcAbi as Abi, bytecode: testUsdcBytecode, args: [] },
    {
      abi: fixedWindowPolicyAbi as Abi,
      bytecode: fixedWindowPolicyBytecode,
      args: [BigInt(WINDOW_SECONDS), BigInt(WINDOW_SECONDS / 3)],
    },
    {
      abi: insurancePoolAbi as Abi,
      bytecode: insurancePoolBytecode,
      args: [
        {
          token,
          batchChain,
          custody,
          escape: zeroAddress,
          windowSecondsMax: BigInt(WINDOW_SECONDS),
          cooldownSeconds: BigInt(COOLDOWN_SECONDS),
          redeemSeconds: BigInt(REDEEM_SECONDS),
        },
      ],
    },
    {
      abi: stakeRegistryAbi as Abi,
      bytecode: stakeRegistryBytecode,
      args: [
        {
          token,
          batchChain,
          pool: insurancePool,
          dispute: keys.dispute.address,
          receiptCourt: zeroAddress,
          sequencer: keys.sequencer.address,
          minimumStake: MINIMUM_STAKE_MICRO_USDC,
          unbondingSeconds: BigInt(UNBONDING_SECONDS),
          turnSeconds: BigInt(TURN_SECONDS),
          windowSecondsMax: BigInt(WINDOW_SECONDS),
          openAfterSeconds: BigInt(OPEN_AFTER_SECONDS),
        },
        [keys.first.address, keys.second.address],
      ],
    },
    {
      abi: batchChainAbi as Abi,
      bytecode: batchChainBytecode,
      args: [
        {
          custody,
          genesisRoot: LedgerState.genesis(parameters).root(),
          domain: parameters.domain,
          bondWei: BOND_WEI,
          finalityPolicy: policy,
          proposerPolicy: stakeRegistry,
          dispute: keys.dispute.address,
          affirmation: zeroAddress,
        },
      ],
    },
    {
      abi: custodyAbi as Abi,
      bytecode: custodyBytecode,
      args: [
        {
          token,
          batchChain,
          lister: zeroAddress,
          governor: zeroAddress,
          forcedPeriodSeconds: 86_400n,
          escape: zeroAddress,
        },
      ],
    },
  ];
  await transactAll(
    client,
    creations.map(({ abi, bytecode, args }, i) => ({
      sender: keys.deployer,
      what: `creation ${i}`,
      data: encodeDeployData({ abi, bytecode, args: [...args] }),
      gas: CREATION_GAS,
    })),
    { mine },
  );

  const send: StakeWorld["send"] = async (sender, to, data, valueWei = 0n) => {
    await transactAll(client, [{ sender, to, data, valueWei, gas: 1_000_000n, what: "test call" }], { mine });
  };
  const chain = { address: batchChain, abi: batchChainAbi } as const;
  return {
    client,
    contracts: { token, stakeRegistry, insurancePool },
    batchChain,
    custody,
    parameters,
    keys,
    nowSeconds: () => now,
    mine,
    send,
    async post(proposer, state) {
      const last = await client.readContract({ ...chain, functionName: "lastNumber" });
      const parent = await client.readContract({ ...chain, functionName: "batch", args: [last] });
      const { inboundCursor } = state.globals;
      const inboundHash = await client.readContract({
        address: custody,
        abi: custodyAbi,
        functionName: "queueHash",
        args: [BigInt(inboundCursor)],
      });
      const cycles = [{ payload: Uint8Array.of(1, 2, 3), postRoot: state.root() }];
      const data = encodeBatchData(cycles);
      const header: BatchHeader = {
        version: BATCH_VERSION,
        domain: parameters.domain,
        number: Number(last) + 1,
        parent: parent.batchHash,
        preStateRoot: parent.postStateRoot,
        postStateRoot: state.root(),
        cyclesRoot: cyclesRoot(cycles),
        cycleCount: 1,
        firstCycle: Number(parent.nextCycle),
        timeMs: now * 1000,
        inboundCursor,
        inboundHash,
        dataMode: 0,
        dataHash: zeroHash,
        dataLength: data.length,
      };
      await send(proposer, batchChain, bytesToHex(encodePostBatch(header, data)), BOND_WEI);
      return header.number;
    },
    async finalise(number) {
      await mine(WINDOW_SECONDS);
      const args = [BigInt(number)] as const;
      await send(keys.alice, batchChain, encodeFunctionData({ abi: batchChainAbi, functionName: "finalise", args }));
    },
    async convict(number, proposer, challenger) {
      const drop = { abi: batchChainAbi, functionName: "dropFrom", args: [BigInt(number), challenger] } as const;
      await send(keys.dispute, batchChain, encodeFunctionData(drop));
      const args = [proposer, BigInt(number), challenger] as const;
      const slash = encodeFunctionData({ abi: stakeRegistryAbi, functionName: "slashProposer", args });
      await send(keys.dispute, stakeRegistry, slash);
    },
    close: () => l1.stop(),
  };
}

/** Money and debts as if the ledger had come to them. Consumes `cursor` entries of the queue, in which everything came in. */
export function stateWith(
  parameters: ParameterSet,
  { insurance, debtor, winner, cursor }: { insurance: number; debtor: number; winner: number; cursor: number },
): LedgerState {
  const state = LedgerState.genesis(parameters);
  const draft = state.begin();
  const as = <Branded>(value: number): Branded => value as Branded;
  draft.editAccount(1).cash = as(insurance);
  draft.createAccount(as(2), bytesToHex(keccak256(hexToBytes("0x02")).subarray(12))).cash = as(debtor);
  draft.createAccount(as(3), bytesToHex(keccak256(hexToBytes("0x03")).subarray(12))).cash = as(winner);
  draft.globals.inboundTotal = as(insurance + debtor + winner);
  draft.globals.inboundCursor = as(cursor);
  draft.commit();
  return state;
}
