// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Custody} from "../../src/custody/Custody.sol";
import {StateParts} from "../../src/dispute/IDispute.sol";
import {Cells} from "../../src/lib/Cells.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {InsurancePool, PoolTerms} from "../../src/stake/InsurancePool.sol";
import {InsuranceWitness} from "../../src/stake/Shortfall.sol";
import {StakeRegistry, StakeTerms} from "../../src/stake/StakeRegistry.sol";
import {Fixture} from "./Fixture.sol";
import {Reference} from "./Reference.sol";

/// @notice A venue whose proposers stake, and states that show a shortfall.
abstract contract StakeFixture is Fixture {
    uint256 internal constant STAKE = 1_000_000_000;
    uint64 internal constant TURN = 5 minutes;
    uint64 internal constant OPEN_AFTER = 6 hours;
    uint64 internal constant UNBONDING = 7 days;
    uint64 internal constant COOLDOWN = 3 days;
    uint64 internal constant REDEEM = 1 days;
    address internal constant SEQUENCER = address(0x3001);
    address internal constant COURT = address(0x3002);
    address internal constant CHALLENGER = address(0x3003);
    address internal constant FIRST = address(0x4001);
    address internal constant SECOND = address(0x4002);
    address internal constant THIRD = address(0x4003);
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    StakeRegistry internal registry;
    InsurancePool internal pool;

    /// @notice FIRST and SECOND are admitted and have their stakes.
    function deployStake() internal {
        deployStakeWith(new TestUsdc());
        stakeFor(FIRST, STAKE);
        stakeFor(SECOND, STAKE);
    }

    function deployStakeWith(TestUsdc token) internal {
        usdc = token;
        FixedWindowPolicy policy = finalityPolicy();
        uint64 nonce = vm.getNonce(address(this));
        address chainAddress = vm.computeCreateAddress(address(this), nonce + 2);
        address custodyAddress = vm.computeCreateAddress(address(this), nonce + 3);
        PoolTerms memory poolTerms = poolTermsOf(BatchChain(chainAddress), custodyAddress);
        pool = new InsurancePool(poolTerms);
        registry = new StakeRegistry(stakeTermsOf(BatchChain(chainAddress)), firstProposers());
        chain = makeChain(custodyAddress, policy);
        custody = makeCustody();
    }

    function finalityPolicy() private returns (FixedWindowPolicy) {
        return new FixedWindowPolicy(WINDOW, GUARD);
    }

    function makeChain(address custodyAddress, FixedWindowPolicy policy) private returns (BatchChain) {
        return new BatchChain(termsOf(custodyAddress, GENESIS_ROOT, policy, registry));
    }

    function makeCustody() private returns (Custody) {
        return new Custody(custodyTerms(usdc));
    }

    function firstProposers() internal pure returns (address[] memory proposers) {
        proposers = new address[](2);
        (proposers[0], proposers[1]) = (FIRST, SECOND);
    }

    function poolTermsOf(BatchChain chain_, address custody_) internal view returns (PoolTerms memory) {
        return PoolTerms({
            token: usdc,
            batchChain: chain_,
            custody: custody_,
            escape: ESCAPE,
            windowSecondsMax: WINDOW,
            cooldownSeconds: COOLDOWN,
            redeemSeconds: REDEEM
        });
    }

    function stakeTermsOf(BatchChain chain_) internal view returns (StakeTerms memory) {
        return StakeTerms({
            token: usdc,
            batchChain: chain_,
            pool: address(pool),
            dispute: DISPUTE,
            receiptCourt: COURT,
            sequencer: SEQUENCER,
            minimumStake: STAKE,
            unbondingSeconds: UNBONDING,
            turnSeconds: TURN,
            windowSecondsMax: WINDOW,
            openAfterSeconds: OPEN_AFTER
        });
    }

    // ── actions ────────────────────────────────────────────────────────────────────────────────────────────────────

    function stakeFor(address staker, uint256 amount) internal {
        usdc.mint(address(this), amount);
        usdc.approve(address(registry), amount);
        registry.depositFor(staker, amount);
    }

    function unbond(address staker, uint256 amount) internal {
        vm.prank(staker);
        registry.requestUnbond(amount);
    }

    function postAs(address proposer, BatchHeader memory header, bytes memory data) internal {
        vm.deal(proposer, BOND);
        vm.prank(proposer, proposer);
        chain.postBatch{value: BOND}(header, data);
    }

    function postRootAs(address proposer, bytes32 root) internal returns (uint64) {
        (BatchHeader memory header, bytes memory data) = nextBatch(1, root);
        postAs(proposer, header, data);
        return header.number;
    }

    /// @notice A batch that consumes the queue up to `cursor` only.
    function postCursorAs(address proposer, bytes32 root, uint64 cursor) internal {
        (BatchHeader memory header, bytes memory data) = nextBatch(1, root);
        header.inboundCursor = cursor;
        header.inboundHash = custody.queueHash(cursor);
        postAs(proposer, header, data);
    }

    /// @notice Drops a batch and slashes its proposer, as the dispute contract does in one call.
    function convict(uint64 number, address challenger) internal {
        address proposer = chain.batch(number).proposer;
        vm.startPrank(DISPUTE);
        chain.dropFrom(number, challenger);
        registry.slashProposer(proposer, number, challenger);
        vm.stopPrank();
    }

    function joinPool(address holder, uint256 assets) internal returns (uint256 shares) {
        usdc.mint(holder, assets);
        vm.startPrank(holder);
        usdc.approve(address(pool), assets);
        shares = pool.deposit(assets, holder);
        vm.stopPrank();
    }

    // ── states ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice A state with that bad debt and that cash in the insurance account, after `cursor` entries of the queue.
    function insuranceWitness(int256 badDebt, int256 cash, uint64 cursor)
        internal
        pure
        returns (InsuranceWitness memory witness)
    {
        bytes memory globals = new bytes(Cells.GLOBALS_BYTES);
        writeSigned(globals, Cells.GLOBALS_BAD_DEBT, badDebt);
        writeSigned(globals, Cells.GLOBALS_INBOUND_CURSOR, int256(uint256(cursor)));
        witness.cell = new bytes(Cells.ACCOUNT_FIXED_BYTES);
        writeSigned(witness.cell, Cells.ACCOUNT_DELEGATES + Cells.TAIL_CASH, cash);
        bytes32[] memory leaves = new bytes32[](3);
        leaves[0] = keccak256("treasury");
        leaves[1] = keccak256(witness.cell);
        leaves[2] = keccak256("somebody");
        witness.path = Reference.treePath(leaves, 24, 1);
        witness.state = StateParts({
            accountsRoot: Reference.treeRoot(leaves, 24, 0),
            instrumentsRoot: keccak256("instruments"),
            underlyingsRoot: keccak256("underlyings"),
            outboxRoot: keccak256("outbox"),
            globals: globals
        });
    }

    function rootOf(InsuranceWitness memory witness) internal pure returns (bytes32) {
        StateParts memory state = witness.state;
        return keccak256(
            bytes.concat(
                state.accountsRoot,
                state.instrumentsRoot,
                state.underlyingsRoot,
                state.outboxRoot,
                keccak256(state.globals)
            )
        );
    }

    function writeSigned(bytes memory data, uint256 offset, int256 value) private pure {
        bytes memory packed = Reference.littleEndian(uint256(value) & type(uint64).max, 8);
        for (uint256 i = 0; i < 8; ++i) {
            data[offset + i] = packed[i];
        }
    }
}
