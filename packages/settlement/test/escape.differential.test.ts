// What accounts are worth in random states at random closing marks: TypeScript against the deployed contract in a real EVM,
// tolerance zero. TIDEMARK_LONG=1 runs more states, TIDEMARK_SEED=<n> one seed again.
import {
  connectL1,
  deployVenue,
  developmentAccount,
  type EmbeddedL1,
  escapeAbi,
  type L1Client,
  startEmbeddedL1,
} from "@tidemark/chain";
import { CHALLENGE_BYTES_MAX, type LedgerState, POSITIONS_MAX } from "@tidemark/ledger";
import { bytesToHex } from "@tidemark/num";
import { type Address, encodeFunctionData, type Hex, numberToHex, padHex, parseAbi } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { at, BTC, dollars, factoryParameters, instrument, USDC, Venue } from "../../ledger/test/factory.ts";
import { Random, seedOf } from "../../ledger/test/random.ts";
import { VALID } from "../../ledger/test/stream/recipes-valid.ts";
import { Coverage, Stream } from "../../ledger/test/stream/stream.ts";
import { WideStream } from "../../ledger/test/stream/wide.ts";
import { closingEquity, registrationWitness } from "../src/index.ts";

const isLong = process.env["TIDEMARK_LONG"] === "1";
const SEED = seedOf(20_261_124);
const STREAMS = isLong ? 60 : 4;
const CYCLES_BETWEEN = 40;
const LOOKS = 4;
const GAS = 12_000_000;
const MARK_BOUND = 2 ** 40;
const ABI = parseAbi([
  "function equityOf(bytes32 root, uint24 account, bytes witness) view returns (address owner, int256 equity)",
]);

/**
 * Answers closingMark(uint24) from its storage, a word an instrument: bit 40 = set, the mark below. Loads the argument's word,
 * returns (word >> 40, word & 0xffffffffff).
 */
const MARK_BOOK = "0x600435548060281c5f5264ffffffffff1660205260405ff3";
const MARK_BOOK_AT: Address = `0x${"7a".repeat(20)}`;

let l1: EmbeddedL1;
let client: L1Client;
let reader: Address;
let compared = 0;
let negative = 0;
let marked = 0;
let settled = 0;

async function rpc(method: string, params: unknown[]): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const headers = { "content-type": "application/json" };
  const response = await fetch(l1.url, { method: "POST", headers, body });
  const answer = (await response.json()) as { result?: unknown; error?: { message: string; data?: unknown } };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message} ${String(answer.error.data)}`);
  return answer.result;
}

beforeAll(async () => {
  l1 = await startEmbeddedL1();
  client = await connectL1(l1.url, l1.chainId);
  const deployer = developmentAccount("deployer");
  await l1.setBalance(deployer.address, 10n ** 21n);
  const deployment = await deployVenue(client, {
    deployer,
    parameters: factoryParameters(),
    proposer: deployer.address,
    lister: deployer.address,
    windowSeconds: 600,
    bondWei: 1n,
    forcedPeriodSeconds: 3_600,
    mine: async () => {
      const { timestamp } = await client.getBlock();
      await l1.mine(Number(timestamp) + 1);
    },
  });
  reader = await client.readContract({ address: deployment.escape, abi: escapeAbi, functionName: "reader" });
  await rpc("anvil_setCode", [MARK_BOOK_AT, MARK_BOOK]);
});
afterAll(async () => {
  await l1.stop();
  console.log(
    `equities compared ${compared}, negative ${negative}, signed marks ${marked}, settled held ${settled}, seed ${SEED}`,
  );
});

const slotOf = (instrument: number): Hex => padHex(numberToHex(instrument), { size: 32 });

async function setMarks(marks: ReadonlyMap<number, number>, all: Iterable<number>): Promise<void> {
  for (const instrument of all) {
    const mark = marks.get(instrument);
    const word = mark === undefined ? 0n : 2n ** 40n + BigInt(mark);
    await rpc("anvil_setStorageAt", [MARK_BOOK_AT, slotOf(instrument), padHex(numberToHex(word), { size: 32 })]);
  }
}

/** The call's sender is where the contract asks for marks. */
async function compare(state: LedgerState, account: number, marks: ReadonlyMap<number, number>): Promise<void> {
  const witness = registrationWitness(state, account);
  expect(witness.length).toBeLessThanOrEqual(CHALLENGE_BYTES_MAX);
  const args = [state.root(), account, bytesToHex(witness)] as const;
  const data = encodeFunctionData({ abi: ABI, functionName: "equityOf", args });
  const call = { from: MARK_BOOK_AT, to: reader, data, gas: numberToHex(GAS) };
  const result = (await rpc("eth_call", [call, "latest"])) as Hex;
  const owner = `0x${result.slice(26, 66)}`;
  const equity = BigInt.asIntN(256, BigInt(`0x${result.slice(66)}`));
  const expected = closingEquity(state, account, marks);
  expect(equity, `account ${account}, seed ${SEED}`).toBe(expected ?? 0n);
  expect(owner).toBe(state.account(account)?.owner ?? `0x${"0".repeat(40)}`);
  compared++;
  if (equity < 0n) negative++;
  for (const { instrument } of state.account(account)?.positions ?? []) {
    if (marks.has(instrument)) marked++;
    if (state.instrument(instrument)?.status === 2) settled++;
  }
}

function randomMarks(state: LedgerState, random: Random): Map<number, number> {
  const marks = new Map<number, number>();
  for (let number = 0; number < state.instrumentCount; number++) {
    if (!random.chance(0.5)) continue;
    const last = state.instrument(number)?.row[0] ?? 0;
    marks.set(number, random.pick([0, 1, MARK_BOUND - 1, Math.min(2 * last, MARK_BOUND - 1), random.integer(0, 1e9)]));
  }
  return marks;
}

async function compareAll(state: LedgerState, random: Random): Promise<void> {
  const marks = randomMarks(state, random);
  await setMarks(
    marks,
    Array.from({ length: state.instrumentCount }, (_, number) => number),
  );
  for (const account of [...state.accountNumbers(), 4_000]) await compare(state, account, marks);
}

function weighted(random: Random): (typeof VALID)[number][1] {
  let rest = random.next() * VALID.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, recipe] of VALID) {
    rest -= weight;
    if (rest <= 0) return recipe;
  }
  return random.pick(VALID)[1];
}

test("random states", { timeout: 600_000 }, async () => {
  for (let i = 0; i < STREAMS; i++) {
    const random = new Random(SEED + i);
    const stream = new Stream(random, new Coverage());
    stream.setUp();
    for (let look = 0; look < LOOKS; look++) {
      for (let cycle = 0; cycle < CYCLES_BETWEEN; cycle++) {
        const made = weighted(random)(stream);
        if (made !== null) stream.apply(made);
      }
      await compareAll(stream.state, random);
    }
  }
  expect(compared).toBeGreaterThan(STREAMS * LOOKS * 10);
  expect(marked).toBeGreaterThan(100);
  expect(negative).toBeGreaterThan(0);
});

test("positions in settled instruments are worth the settlement price, whatever was signed", async () => {
  const venue = new Venue();
  for (const number of [2, 3]) venue.fund(number, 200_000 * USDC);
  const expiryMs = at(venue.timeMs + 3_600_000);
  const first = venue.list(BTC, expiryMs, [dollars(95_000)]);
  venue.mark(BTC, { index: dollars(100_000) });
  for (const number of [first, first + 1]) venue.must(venue.cross(2, 3, number, 7, venue.markTicks(number)));
  venue.timeMs = expiryMs;
  const instruments = [first, first + 1, first + 2].map(instrument);
  const settlementPrice = dollars(101_234.567);
  venue.must(venue.expiryOf({ underlying: BTC, expiryMs, settlementPrice, instruments, realisations: [] }));
  const before = settled;
  const marks = new Map(instruments.map((number) => [number, 99]));
  await setMarks(marks, marks.keys());
  for (const number of [2, 3]) await compare(venue.state, number, marks);
  expect(settled - before).toBe(4);
  expect(closingEquity(venue.state, 2, marks)).toBe(closingEquity(venue.state, 2, new Map()));
});

test("an account with 128 positions, within gas and bytes", { timeout: 120_000 }, async () => {
  const random = new Random(SEED);
  const stream = new WideStream(random, new Coverage());
  stream.fill();
  expect(stream.state.account(2)?.positions).toHaveLength(POSITIONS_MAX);
  await compareAll(stream.state, random);
});

test("a witness of another state, or with a byte changed, is refused", { timeout: 120_000 }, async () => {
  const random = new Random(SEED);
  const stream = new Stream(random, new Coverage());
  stream.setUp();
  const { state } = stream;
  const [account] = state.accountNumbers().filter((number) => (state.account(number)?.positions.length ?? 0) === 0);
  const witness = registrationWitness(state, account ?? 2);
  for (let i = 0; i < 60; i++) {
    const changed = Uint8Array.from(witness);
    const place = random.integer(0, changed.length - 1);
    changed[place] = (changed[place] as number) ^ (1 << random.integer(0, 7));
    const args = [state.root(), account ?? 2, bytesToHex(changed)] as const;
    const data = encodeFunctionData({ abi: ABI, functionName: "equityOf", args });
    const call = { from: MARK_BOOK_AT, to: reader, data, gas: numberToHex(GAS) };
    await expect(rpc("eth_call", [call, "latest"]), `byte ${place}`).rejects.toThrow();
  }
});
