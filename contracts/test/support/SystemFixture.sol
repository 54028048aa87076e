// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain, ChainTerms} from "../../src/chain/BatchChain.sol";
import {Batch, IBatchChain} from "../../src/chain/IBatchChain.sol";
import {Custody, CustodyTerms} from "../../src/custody/Custody.sol";
import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {Affirmation} from "../../src/dispute/Affirmation.sol";
import {Dispute, DisputeTerms} from "../../src/dispute/Dispute.sol";
import {IDispute, StateParts} from "../../src/dispute/IDispute.sol";
import {Escape, EscapeTerms} from "../../src/escape/Escape.sol";
import {ParameterStore} from "../../src/lib/ParameterStore.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {ICycleRule} from "../../src/rules/ICycleRule.sol";
import {InsurancePool, PoolTerms} from "../../src/stake/InsurancePool.sol";
import {InsuranceWitness} from "../../src/stake/Shortfall.sol";
import {StakeRegistry, StakeTerms} from "../../src/stake/StakeRegistry.sol";
import {EscapeFixture} from "./EscapeFixture.sol";
import {FraudFixture, ScriptedPayload, ScriptedRule} from "./FraudFixture.sol";
import {Reference} from "./Reference.sol";

/// @notice All contracts of a venue naming each other as in a deployment, and a naive ledger whose states the batches carry.
/// Only the rule is scripted: a payload says to which state it leads, and the fraud is a batch that says otherwise.
abstract contract SystemFixture is EscapeFixture, FraudFixture {
    uint256 internal constant STAKE = 1_000_000_000;
    uint64 internal constant TURN = 5 minutes;
    uint64 internal constant OPEN_AFTER = 6 hours;
    uint64 internal constant UNBONDING = 7 days;
    uint64 internal constant COOLDOWN = 2 hours;
    uint64 internal constant REDEEM = 1 days;
    uint24 internal constant ACCOUNTS = 5;
    uint256 internal constant OUTBOX_MAX = 10;
    address internal constant SEQUENCER = address(0x7001);
    address internal constant COURT = address(0x7002);
    address internal constant THIEF = address(0x7003);
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    uint8 internal constant HONEST = 0;
    uint8 internal constant FRAUD_ROOT = 1;
    uint8 internal constant FRAUD_MALFORMED = 2;
    uint8 internal constant FRAUD_CODE = 3;
    uint8 internal constant FRAUD_ACCOUNT = 4;
    uint8 internal constant FRAUD_HEADER = 5;

    /// @notice The naive ledger after a batch, its outbox apart.
    struct View {
        int64[5] cash;
        uint64 cursor;
        uint64 timeMs;
        bytes32 inboundHash;
    }

    /// @notice An entry of the queue as the naive ledger reads it.
    struct Entry {
        uint8 kind;
        uint24 account;
        uint64 amount;
        address party;
    }

    StakeRegistry internal stakes;
    InsurancePool internal pool;
    address[4] internal stakers = [address(0x8001), address(0x8002), address(0x8003), address(0x8004)];
    address[3] internal users = [address(0x9001), address(0x9002), address(0x9003)];
    Entry[] internal entries;
    mapping(uint64 number => View) internal views;
    mapping(uint64 number => OutboxCell[]) internal outboxes;
    /// @dev abi.encode(Posted) of the batch that has the number now.
    mapping(uint64 number => bytes) internal postedBytes;
    mapping(uint64 number => uint8) internal fraudOf;

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function deploySystem() internal {
        usdc = new TestUsdc();
        FixedWindowPolicy policy = new FixedWindowPolicy(WINDOW, GUARD);
        ICycleRule[] memory rules = new ICycleRule[](1);
        rules[0] = new ScriptedRule(1, true);
        uint64 nonce = vm.getNonce(address(this));
        address chainAt = addressAt(nonce, 5);
        bytes memory encoded = parametersFor(addressAt(nonce, 6), 2);
        parametersHashInState = keccak256(encoded);
        store = address(new ParameterStore(encoded));
        pool = new InsurancePool(
            PoolTerms(usdc, IBatchChain(chainAt), addressAt(nonce, 6), addressAt(nonce, 7), WINDOW, COOLDOWN, REDEEM)
        );
        stakes = new StakeRegistry(stakeTermsOf(chainAt, addressAt(nonce, 3)), firstProposers());
        dispute = new Dispute(DisputeTerms(IBatchChain(chainAt), store, 2, address(stakes), addressAt(nonce, 7)), rules);
        affirmation = new Affirmation(IBatchChain(chainAt), IDispute(address(dispute)));
        addAccount(0, TREASURY, 0);
        addAccount(1, address(pool), 0);
        for (uint24 i = 0; i < 3; ++i) {
            addAccount(2 + i, users[i], 0);
        }
        ChainTerms memory terms = termsOf(addressAt(nonce, 6), rootOf(stateParts()), policy, stakes);
        (terms.dispute, terms.affirmation) = (address(dispute), address(affirmation));
        chain = new BatchChain(terms);
        CustodyTerms memory vaultTerms = custodyTerms(usdc);
        vaultTerms.escape = addressAt(nonce, 7);
        custody = new Custody(vaultTerms);
        escape = new Escape(
            EscapeTerms(
                chain, custody, address(dispute), address(pool), store, REGISTRATION_SECONDS, MARK_SECONDS, LATE_SECONDS
            )
        );
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(openAccount(users[i]), 2 + i);
            entries.push(Entry(1, uint24(2 + i), 0, users[i]));
        }
    }

    function addressAt(uint64 nonce, uint64 offset) private view returns (address) {
        return vm.computeCreateAddress(address(this), nonce + offset);
    }

    function firstProposers() private view returns (address[] memory proposers) {
        proposers = new address[](2);
        (proposers[0], proposers[1]) = (stakers[0], stakers[1]);
    }

    function stakeTermsOf(address chainAt, address disputeAt) private view returns (StakeTerms memory) {
        return StakeTerms({
            token: usdc,
            batchChain: IBatchChain(chainAt),
            pool: address(pool),
            dispute: disputeAt,
            receiptCourt: COURT,
            sequencer: SEQUENCER,
            minimumStake: STAKE,
            unbondingSeconds: UNBONDING,
            turnSeconds: TURN,
            windowSecondsMax: WINDOW,
            openAfterSeconds: OPEN_AFTER
        });
    }

    // ── the naive ledger ───────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Makes the state after batch `number` the one that the builder works on.
    function load(uint64 number) internal {
        View storage state = views[number];
        for (uint24 i = 0; i < ACCOUNTS; ++i) {
            cashInState[i] = state.cash[i];
        }
        (cursorInState, timeMsInState, inboundHashInState) = (state.cursor, state.timeMs, state.inboundHash);
        delete outboxInState;
        OutboxCell[] storage cells = outboxes[number];
        for (uint256 i = 0; i < cells.length; ++i) {
            outboxInState.push(cells[i]);
        }
    }

    function save(uint64 number) internal {
        View storage state = views[number];
        for (uint24 i = 0; i < ACCOUNTS; ++i) {
            state.cash[i] = cashInState[i];
        }
        (state.cursor, state.timeMs, state.inboundHash) = (cursorInState, timeMsInState, inboundHashInState);
        delete outboxes[number];
        for (uint256 i = 0; i < outboxInState.length; ++i) {
            outboxes[number].push(outboxInState[i]);
        }
    }

    /// @notice Consumes entries up to `cursor`: deposits are credited, forced withdrawals paid as far as rules allow.
    function consume(uint64 cursor) internal {
        for (uint64 i = cursorInState; i < cursor; ++i) {
            Entry memory entry = entries[i];
            if (entry.kind == 2) cashInState[entry.account] += int64(entry.amount);
            if (entry.kind == 6) withdrawInState(entry.account, entry.amount, entry.party, true);
        }
        cursorInState = cursor;
        inboundHashInState = custody.queueHash(cursor);
    }

    /// @notice Outflow as the ledger allows it: never with bad debt beyond the insurance, never more than came in.
    function withdrawInState(uint24 account, uint64 amount, address recipient, bool isForced) internal {
        int64 cash = cashInState[account];
        if (cash <= 0 || outboxInState.length >= OUTBOX_MAX || badDebtInState() > int256(cashInState[1])) return;
        if (int64(amount) > cash) {
            if (!isForced) return;
            amount = uint64(cash);
        }
        if (amount == 0 || int256(uint256(amount)) > cashSumInState()) return;
        cashInState[account] = cash - int64(amount);
        outboxInState.push(OutboxCell(account, 0, amount, uint64(block.chainid), recipient));
    }

    /// @dev All that came in less all that ever went to the outbox.
    function cashSumInState() internal view returns (int256 sum) {
        for (uint24 i = 0; i < ACCOUNTS; ++i) {
            sum += cashInState[i];
        }
    }

    /// @notice The waterfall's first step: the insurance pays what an account owes, as far as it goes.
    function bankruptcyInState(uint24 account) internal {
        int64 debt = -cashInState[account];
        if (debt <= 0 || cashInState[1] <= 0) return;
        int64 paid = debt < cashInState[1] ? debt : cashInState[1];
        cashInState[account] += paid;
        cashInState[1] -= paid;
    }

    function insuranceWitnessInState() internal view returns (InsuranceWitness memory witness) {
        witness.state = stateParts();
        witness.cell = accountCell(1);
        (, bytes memory siblings) = fold(accountNodes(1, true), 24);
        witness.path = new bytes32[](24);
        for (uint256 i = 0; i < 24; ++i) {
            bytes32 sibling;
            assembly ("memory-safe") {
                sibling := mload(add(add(siblings, 32), mul(i, 32)))
            }
            witness.path[i] = sibling;
        }
    }

    /// @notice Shortfall of the loaded state less deposits to the insurance account that it has not consumed.
    /// @param paidAt amount that the pool paid at a queue index, by index
    function uncoveredInState(mapping(uint64 => uint256) storage paidAt) internal view returns (uint256) {
        int256 missing = badDebtInState() - (cashInState[1] > 0 ? int256(cashInState[1]) : int256(0));
        for (uint64 i = cursorInState; i < entries.length; ++i) {
            missing -= int256(paidAt[i]);
        }
        return missing > 0 ? uint256(missing) : 0;
    }

    // ── batches ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice A batch of `count` cycles from the tip to the state as built, with the fault of that kind.
    function assemble(uint256 count, uint8 fraud) internal view returns (Posted memory posted) {
        uint64 last = chain.lastNumber();
        Batch memory parent = chain.batch(last);
        bytes32 root = rootOf(stateParts());
        posted.payloads = new bytes[](count);
        posted.roots = new bytes32[](count);
        bytes32[] memory leaves = new bytes32[](count);
        bytes32 before = parent.postStateRoot;
        for (uint256 i = 0; i < count; ++i) {
            bool isLast = i == count - 1;
            posted.payloads[i] = payloadTo(isLast ? root : bytes32(0), i % 3, 10 * i);
            if (isLast) posted.payloads[i] = faulty(posted.payloads[i], fraud);
            posted.roots[i] = isLast ? root : ScriptedPayload.rootAfter(before, posted.payloads[i]);
            leaves[i] = Reference.cycleLeaf(posted.payloads[i], posted.roots[i]);
            before = posted.roots[i];
        }
        posted.header.version = 1;
        posted.header.domain = DOMAIN;
        posted.header.number = last + 1;
        posted.header.parent = parent.batchHash;
        posted.header.preStateRoot = parent.postStateRoot;
        posted.header.postStateRoot = root;
        posted.header.cyclesRoot = Reference.cyclesRoot(leaves, 0, count);
        posted.header.cycleCount = uint32(count);
        posted.header.firstCycle = parent.nextCycle;
        posted.header.timeMs = timeMsInState + (fraud == FRAUD_HEADER ? 1 : 0);
        posted.header.inboundCursor = cursorInState;
        posted.header.inboundHash = inboundHashInState;
        posted.header.dataLength = uint32(dataOf(posted).length);
    }

    function faulty(bytes memory payload, uint8 fraud) private pure returns (bytes memory) {
        if (fraud == FRAUD_ROOT) payload[10] = bytes1(uint8(payload[10]) ^ 1);
        if (fraud == FRAUD_MALFORMED) payload[0] = 0x02;
        if (fraud == FRAUD_CODE) payload[2] = 0x2a;
        return fraud == FRAUD_ACCOUNT ? bytes.concat(payload, hex"0003e837") : payload;
    }

    function postedBatch(uint64 number) internal view returns (Posted memory) {
        return abi.decode(postedBytes[number], (Posted));
    }
}
