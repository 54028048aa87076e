// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {StakeRegistry} from "../../src/stake/StakeRegistry.sol";
import {VmTest} from "../support/Vm.sol";
import {StakeHandler} from "./StakeHandler.sol";

contract StakeInvariantTest is VmTest {
    uint256 private constant STAKE = 1_000_000_000;
    StakeHandler private _handler;
    StakeRegistry private _registry;
    TestUsdc private _usdc;

    function setUp() external {
        _handler = new StakeHandler();
        (_usdc, _registry) = _handler.contracts();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_stake() public view {
        stakeIsConserved();
        slashedMoneyIsAllAccountedFor();
        activeSetIsConsistent();
        poolIsConserved();
    }

    function stakeIsConserved() private view {
        uint256 total = 0;
        for (uint256 i = 0; i < 5; ++i) {
            address staker = _handler.stakers(i);
            uint256 stake = _registry.stakeOf(staker);
            vm.assertEq(
                _handler.depositedBy(staker),
                stake + _handler.withdrawnBy(staker) + _handler.takenFrom(staker),
                "deposits = stake + withdrawn + slashed"
            );
            total += stake;
        }
        vm.assertEq(_registry.totalStake(), total, "total");
        vm.assertEq(_usdc.balanceOf(address(_registry)), total + _handler.dues(), "registry's balance");
    }

    function slashedMoneyIsAllAccountedFor() private view {
        vm.assertEq(
            _handler.taken(), _handler.burnt() + _handler.rewards() + _handler.toPool() + _handler.promises(), "parts"
        );
        vm.assertGe(
            2 * _handler.burnt() + _handler.promises(), _handler.taken() - _handler.promises(), "half of it burnt"
        );
        vm.assertEq(
            _usdc.balanceOf(0x000000000000000000000000000000000000dEaD) + _registry.burnDue(), _handler.burnt(), "burnt"
        );
        vm.assertEq(_usdc.balanceOf(address(0x7001)), _handler.promises(), "promises");
    }

    function activeSetIsConsistent() private view {
        address[] memory active = _registry.activeSet();
        vm.assertGe(32, active.length, "bounded");
        for (uint256 i = 0; i < active.length; ++i) {
            StakeRegistry.Stake memory stake = _registry.stakeDetails(active[i]);
            vm.assertEq(stake.place, i + 1, "place");
            vm.assertGe(stake.bonded, STAKE, "active without its stake");
            vm.assertTrue(stake.admittedAt != 0 && stake.admittedAt <= block.timestamp, "active without admission");
        }
        uint256 placed = 0;
        for (uint256 i = 0; i < 5; ++i) {
            if (_registry.stakeDetails(_handler.stakers(i)).place != 0) ++placed;
        }
        vm.assertEq(placed, active.length, "placed");
    }

    function poolIsConserved() private view {
        vm.assertEq(_handler.poolAssets(), _handler.poolIn() - _handler.poolOut() - _handler.covered(), "pool");
        (uint256 supply, uint256 held) = _handler.poolShares();
        vm.assertEq(supply, held, "shares");
        (uint256 requested, uint256 escrowed) = _handler.requestedShares();
        vm.assertEq(requested, escrowed, "requested shares");
    }

    /// @notice The handler does reach every state that the invariants speak of.
    function test_handlerReachesEverything() external {
        for (uint256 i = 0; i < 160; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            _handler.deposit(random, random >> 8);
            _handler.admit(random >> 4);
            _handler.join(random >> 5);
            _handler.post(random >> 6, random >> 7, random >> 9, random >> 10);
            _handler.joinPool(random >> 11, random >> 12);
            _handler.requestRedeem(random >> 13, random >> 14);
            _handler.passTime(random >> 15);
            _handler.hold(random >> 16);
            _handler.finalise();
            _handler.finalise();
            _handler.cover(random >> 17);
            _handler.redeem(random >> 18, random >> 19);
            _handler.convictBatch(random >> 20, random >> 21);
            if (i % 3 == 0) _handler.requestUnbond(random >> 22, random >> 23);
            _handler.withdraw(random >> 24);
            _handler.breakPromise(random >> 25, random >> 26);
            _handler.payOut(random >> 27);
            _handler.dismiss(random >> 28);
            _handler.removeDismissed(random >> 29);
            _handler.cancelRequest(random >> 30);
            _handler.donate(random >> 31);
            invariant_stake();
        }
        vm.assertTrue(_handler.convictions() > 5, "convictions");
        vm.assertTrue(_handler.withdrawals() > 2, "withdrawals");
        vm.assertTrue(_handler.redemptions() > 2, "redemptions");
        vm.assertTrue(_handler.covers() > 5, "covers");
        vm.assertTrue(_handler.holds() > 3, "holds");
        vm.assertTrue(_handler.posts() > 20, "posts");
    }
}
