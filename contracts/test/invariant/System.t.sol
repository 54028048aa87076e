// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {Custody} from "../../src/custody/Custody.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {InsurancePool} from "../../src/stake/InsurancePool.sol";
import {StakeRegistry} from "../../src/stake/StakeRegistry.sol";
import {VmTest} from "../support/Vm.sol";
import {SystemHandler} from "./SystemHandler.sol";

/// @notice The whole venue under everything that anybody may do, in any order.
contract SystemInvariantTest is VmTest {
    uint256 private constant STAKE = 1_000_000_000;
    address private constant BURN = 0x000000000000000000000000000000000000dEaD;
    SystemHandler private _handler;
    TestUsdc private _usdc;
    BatchChain private _chain;
    Custody private _custody;
    StakeRegistry private _stakes;
    InsurancePool private _pool;
    Escape private _escape;
    address private _dispute;

    function setUp() external {
        _handler = new SystemHandler();
        (_usdc, _chain, _custody, _stakes, _pool, _escape, _dispute) = _handler.contracts();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev Its calls to itself are open to itself alone: nobody else is it.
    function excludeSenders() external view returns (address[] memory senders) {
        senders = new address[](1);
        senders[0] = address(_handler);
    }

    /// @dev One campaign for all of them: forge would run another for each invariant.
    function invariant_system() public view {
        vaultCoversEverything();
        bondsAreConserved();
        finalBatchesStayAndFollowTheirParents();
        floorsOnlyMoveUp();
        stakeIsConserved();
        poolIsConserved();
    }

    /// @dev forge calls this when a sequence ends: a long run counts what its sequences reached.
    function afterInvariant() external {
        string memory file = vm.envOr("TIDEMARK_COUNTS", string(""));
        if (bytes(file).length > 0) vm.writeLine(file, _handler.reached());
    }

    function vaultCoversEverything() private view {
        uint256 vault = _usdc.balanceOf(address(_custody));
        uint256 moved = _handler.coveredEscape();
        vm.assertEq(vault + _handler.claimed() + _handler.escapePaid(), _handler.deposited() + moved, "vault");
        // While the watcher is awake nobody is paid but by sound states.
        vm.assertTrue(_handler.stolen() == 0 || _handler.firstFraud() <= _chain.lastFinal(), "stolen");
        if (!_custody.frozen()) vm.assertEq(vault + _handler.stolen(), _handler.liabilities(), "liabilities");
        if (_handler.stolen() == 0 && !_custody.frozen()) vm.assertGe(vault, _handler.claimableNow(), "claimable");
        if (_escape.currentBooks().closedAt != 0) {
            vm.assertEq(vault + _handler.escapePaid(), _escape.currentBooks().vault, "books");
        }
    }

    function bondsAreConserved() private view {
        uint256 held = 0;
        for (uint256 i = 0; i < 4; ++i) {
            held += _chain.bondCredit(_handler.stakerAt(i));
        }
        for (uint64 i = 1; i <= _chain.lastNumber(); ++i) {
            uint256 bond = _chain.batch(i).bond;
            vm.assertTrue((bond == 0) == (i <= _chain.lastFinal()), "a final batch holds no bond, a pending one does");
            held += bond;
        }
        for (uint64 i = _chain.lastNumber() + 1; i <= _handler.highestNumber(); ++i) {
            held += _handler.droppedBonds(i);
        }
        vm.assertEq(address(_chain).balance, held, "bonds held");
        uint256 gone = _handler.bondsOut() + _handler.bondsSlashed();
        vm.assertEq(address(_chain).balance + gone, _handler.bondsIn(), "bonds in and out");
        vm.assertEq(_dispute.balance, 0, "the dispute contract keeps nothing");
    }

    function finalBatchesStayAndFollowTheirParents() private view {
        uint64 lastFinal = _chain.lastFinal();
        vm.assertEq(lastFinal, _handler.finals(), "each number final once");
        vm.assertEq(lastFinal, _handler.lastFinalSeen());
        vm.assertGe(_chain.lastNumber(), lastFinal, "final beyond the last");
        for (uint64 i = 1; i <= lastFinal; ++i) {
            bytes32 batchHash = _chain.batch(i).batchHash;
            vm.assertEq(batchHash, _handler.finalHashOf(i), "a final batch changed");
            vm.assertEq(_handler.parentOf(i), _chain.batch(i - 1).batchHash, "parent");
        }
    }

    function floorsOnlyMoveUp() private view {
        for (uint64 i = _chain.lastFinal() + 1; i <= _chain.lastNumber(); ++i) {
            vm.assertEq(_chain.batch(i).floor, _handler.floorOf(i));
        }
    }

    function stakeIsConserved() private view {
        uint256 total = 0;
        for (uint256 i = 0; i < 5; ++i) {
            total += _stakes.stakeOf(_handler.stakerAt(i));
        }
        vm.assertEq(_stakes.totalStake(), total, "stakes");
        uint256 due = _stakes.burnDue() + _stakes.poolDue() + _stakes.rewardDue(_handler.challenger());
        uint256 balance = _usdc.balanceOf(address(_stakes));
        vm.assertEq(balance, total + due, "registry's balance");
        uint256 paid = _usdc.balanceOf(BURN) + _handler.poolPaid() + _handler.rewardsPaid() + _handler.promises();
        vm.assertEq(balance + _handler.unstaked() + paid, _handler.staked(), "stake in and out");
        address[] memory active = _stakes.activeSet();
        for (uint256 i = 0; i < active.length; ++i) {
            vm.assertGe(_stakes.stakeDetails(active[i]).bonded, STAKE, "active without its stake");
        }
    }

    function poolIsConserved() private view {
        uint256 out = _handler.poolOut() + _handler.covered() + _handler.coveredEscape();
        vm.assertEq(_pool.totalAssets() + out, _handler.poolIn(), "pool");
    }

    /// @notice The handler does reach every state that the invariants speak of.
    function test_handlerReachesEverything() external {
        // A block's worth of gas would not do.
        vm.pauseGasMetering();
        for (uint256 i = 0; i < 150; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            round(random);
            invariant_system();
            if (i != 100) continue;
            _handler.forceWithdrawal(0, random);
            _handler.stall(0);
            _handler.freeze(_handler.entryCount() - 1);
        }
        vm.assertTrue(_handler.finals() > 5, "finals");
        vm.assertTrue(_handler.convictions() > 2, "convictions");
        vm.assertTrue(_handler.acquittals() > 10, "acquittals");
        vm.assertTrue(_handler.proven() > 2, "proven");
        vm.assertTrue(_handler.claims() > 1, "claims");
        vm.assertTrue(_handler.covers() > 0, "covers");
        vm.assertTrue(_handler.holds() > 0, "holds");
        vm.assertTrue(_handler.bondsOut() > 0, "bonds out");
        vm.assertTrue(_handler.refusedPosts() > 5, "posts out of turn");
        vm.assertTrue(_handler.freezes() + _handler.lateConvictions() > 0, "freezes");
        vm.assertTrue(_handler.anchors() > 0, "anchors");
        vm.assertTrue(_handler.registrations() > 2, "registrations");
        vm.assertTrue(_handler.payments() > 0, "payments");
    }

    function round(uint256 random) private {
        _handler.deposit(random, random >> 8, random >> 16);
        _handler.forceWithdrawal(random >> 1, random >> 9);
        _handler.depositStake(random >> 2);
        _handler.admit(random >> 3);
        _handler.joinPool(random >> 4);
        _handler.post(random >> 5);
        _handler.postFraud(random >> 6);
        _handler.challenge(random >> 7);
        _handler.affirm(random >> 8);
        _handler.hold(random >> 9);
        _handler.passTime(random >> 10);
        _handler.poke(random >> 11);
        for (uint256 j = 0; j < 3; ++j) {
            _handler.finalise(random >> (12 + j));
        }
        _handler.cover(random >> 15);
        _handler.claim(random >> 16);
        _handler.leavePool(random >> 17);
        _handler.unbondStake(random >> 18);
        _handler.withdrawStake(random >> 19);
        _handler.breakPromise(random >> 20);
        _handler.payOut();
        _handler.reclaimBond(random >> 21);
        _handler.withdrawBond(random >> 22);
        _handler.anchor();
        _handler.register(random >> 23);
        _handler.close();
        _handler.pay(random >> 24);
        if (_custody.frozen()) {
            _handler.passTime((random >> 25) * 16);
            _handler.passTime((random >> 26) * 16);
        }
    }
}
