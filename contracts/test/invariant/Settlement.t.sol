// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {Fixture} from "../support/Fixture.sol";
import {Handler, WanderingPolicy} from "./Handler.sol";

contract SettlementInvariantTest is Fixture {
    Handler private _handler;

    function setUp() external {
        usdc = new TestUsdc();
        WanderingPolicy policy = new WanderingPolicy();
        deployWith(usdc, policy, GENESIS_ROOT);
        _handler = new Handler(usdc, chain, custody, policy);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev One campaign for all of them: forge would run another for each invariant.
    function invariant_settlement() public view {
        vaultCoversEverything();
        nothingIsPaidTwice();
        bondsAreConserved();
        finalBatchesStayAndFollowTheirParents();
        floorsOnlyMoveUp();
        queueIsTheChainOfItsEntries();
    }

    function vaultCoversEverything() private view {
        uint256 vault = usdc.balanceOf(address(custody));
        vm.assertEq(vault, _handler.deposited() - _handler.claimed(), "vault");
        vm.assertEq(vault, _handler.liabilities(), "liabilities");
        vm.assertGe(vault, _handler.claimableNow(), "claimable");
    }

    function nothingIsPaidTwice() private view {
        uint256 received = 0;
        for (uint256 i = 0; i < 3; ++i) {
            received += usdc.balanceOf(_handler.users(i));
        }
        vm.assertEq(received, _handler.claimed());
        uint256 marked = 0;
        for (uint32 i = 0; i < 24; ++i) {
            vm.assertEq(custody.isClaimed(i) ? 1 : 0, _handler.timesPaid(i));
            if (custody.isClaimed(i)) ++marked;
        }
        vm.assertEq(marked, _handler.claims());
    }

    function bondsAreConserved() private view {
        uint256 held = chain.bondCredit(PROPOSER);
        for (uint256 i = 0; i < 3; ++i) {
            held += chain.bondCredit(_handler.users(i));
        }
        for (uint64 i = 1; i <= chain.lastNumber(); ++i) {
            uint256 bond = chain.batch(i).bond;
            vm.assertTrue((bond == 0) == (i <= chain.lastFinal()), "a final batch holds no bond, a pending one does");
            held += bond;
        }
        for (uint64 i = chain.lastNumber() + 1; i <= _handler.highestNumber(); ++i) {
            held += _handler.droppedBonds(i);
        }
        vm.assertEq(address(chain).balance, held, "held");
        vm.assertEq(address(chain).balance, _handler.bondsIn() - _handler.bondsOut(), "in and out");
    }

    function finalBatchesStayAndFollowTheirParents() private view {
        uint64 lastFinal = chain.lastFinal();
        vm.assertEq(lastFinal, _handler.finalised());
        vm.assertGe(chain.lastNumber(), lastFinal, "final beyond the last");
        for (uint64 i = 1; i <= lastFinal; ++i) {
            vm.assertEq(chain.finalRoot(i), _handler.finalRootOf(i));
        }
    }

    function floorsOnlyMoveUp() private view {
        for (uint64 i = chain.lastFinal() + 1; i <= chain.lastNumber(); ++i) {
            vm.assertEq(chain.batch(i).floor, _handler.floorOf(i));
        }
    }

    function queueIsTheChainOfItsEntries() private view {
        uint256 length = _handler.queueLength();
        vm.assertEq(custody.queueLength(), length);
        for (uint256 i = 0; i <= length; ++i) {
            vm.assertEq(custody.queueHash(uint64(i)), _handler.queueHashes(i));
        }
    }

    /// @notice The handler does reach every state that the invariants speak of.
    function test_handlerReachesEverything() external {
        for (uint256 i = 0; i < 40; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            _handler.openAccount(random);
            _handler.deposit(random, random);
            _handler.post(random, random >> 8, random);
            _handler.moveWindow(random >> 16);
            _handler.poke(random >> 24);
            _handler.passTime(random >> 32);
            for (uint256 j = 0; j < 4; ++j) {
                _handler.finalise(random >> (40 + j));
            }
            _handler.prove(random >> 90);
            _handler.drop(random >> 48, random);
            _handler.reclaimBond(random >> 56);
            _handler.claim(random >> 64, random >> 72);
            _handler.withdrawBond(random >> 80);
            invariant_settlement();
        }
        vm.assertTrue(_handler.finalised() > 3, "finalised");
        vm.assertTrue(_handler.finalByProof() > 0, "final by proof");
        vm.assertTrue(_handler.proofs() > 3, "proofs");
        vm.assertTrue(_handler.drops() > 3, "drops");
        vm.assertTrue(_handler.claims() > 2, "claims");
        vm.assertTrue(_handler.raised() > 3, "raised");
        vm.assertTrue(_handler.bondsOut() > 0, "bonds out");
    }
}
