// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchChain} from "../../src/chain/BatchChain.sol";
import {Batch} from "../../src/chain/IBatchChain.sol";
import {VmTest} from "../support/Vm.sol";
import {FraudHandler} from "./FraudHandler.sol";

contract FraudInvariantTest is VmTest {
    address private constant BURN = 0x000000000000000000000000000000000000dEaD;
    address private constant PROPOSER = address(0x1001);

    FraudHandler private _handler;
    BatchChain private _chain;

    function setUp() external {
        _handler = new FraudHandler();
        _chain = BatchChain(_handler.theChain());
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    struct Selectors {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (Selectors[] memory targets) {
        targets = new Selectors[](1);
        targets[0].addr = address(_handler);
        bytes4[] memory list = new bytes4[](9);
        list[0] = FraudHandler.post.selector;
        list[1] = FraudHandler.affirm.selector;
        list[2] = FraudHandler.affirmAll.selector;
        list[3] = FraudHandler.conclude.selector;
        list[4] = FraudHandler.convict.selector;
        list[5] = FraudHandler.accuse.selector;
        list[6] = FraudHandler.passTime.selector;
        list[7] = FraudHandler.finalise.selector;
        list[8] = FraudHandler.reclaimBond.selector;
        targets[0].selectors = list;
    }

    /// @dev One campaign for all of them.
    function invariant_fraud() public view {
        provenBatchesAreRight();
        finalBatchesStay();
        bondsAreConserved();
        everyConvictionIsFollowedUp();
    }

    function provenBatchesAreRight() private view {
        for (uint64 i = 1; i <= _chain.lastNumber(); ++i) {
            Batch memory record = _chain.batch(i);
            vm.assertTrue(record.provenAt == 0 || _handler.isRight(i), "a wrong batch is proven");
            vm.assertGe(record.floor, _handler.floorOf(i), "a floor moved down");
        }
    }

    function finalBatchesStay() private view {
        uint64 lastFinal = _chain.lastFinal();
        vm.assertEq(lastFinal, _handler.finalised());
        vm.assertGe(_chain.lastNumber(), lastFinal, "final beyond the last");
        for (uint64 i = 1; i <= lastFinal; ++i) {
            vm.assertEq(_chain.finalRoot(i), _handler.finalRootOf(i));
        }
    }

    function bondsAreConserved() private view {
        uint256 held = _chain.bondCredit(PROPOSER);
        for (uint64 i = 1; i <= _chain.lastNumber(); ++i) {
            held += _chain.batch(i).bond;
        }
        for (uint64 i = _chain.lastNumber() + 1; i <= _handler.highestNumber(); ++i) {
            held += _handler.droppedBond(i);
        }
        vm.assertEq(address(_chain).balance, held, "held");
        vm.assertEq(address(_chain).balance + BURN.balance + _handler.rewards(), _handler.bondsIn(), "in and out");
        vm.assertGe(BURN.balance, _handler.rewards(), "less than half was burnt");
    }

    function everyConvictionIsFollowedUp() private view {
        vm.assertEq(_handler.slashes(), _handler.convictions() + _handler.lateConvictions());
        // A proven batch is right: only late convictions freeze.
        vm.assertEq(_handler.freezes(), _handler.lateConvictions());
        vm.assertGe(_handler.wrongFinal(), _handler.lateConvictions(), "a right batch was convicted late");
    }

    /// @notice The handler does reach every state that the invariants speak of.
    function test_handlerReachesEverything() external {
        for (uint256 i = 0; i < 60; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            _handler.post(random % 3 == 0 ? random >> 8 : 0, random >> 16, random >> 24);
            _handler.affirm(random >> 32, random >> 40, random >> 48);
            _handler.affirmAll(random >> 56);
            if (random % 2 == 0) _handler.affirmAll(random >> 120);
            _handler.conclude(random >> 64);
            _handler.accuse(random >> 72, random >> 80);
            _handler.passTime(random >> 88);
            for (uint256 j = 0; j < 6; ++j) {
                _handler.finalise(random >> (96 + j));
            }
            _handler.convict(random >> 104);
            _handler.reclaimBond(random >> 112);
            invariant_fraud();
        }
        vm.assertTrue(_handler.finalised() > 3, "finalised");
        vm.assertTrue(_handler.finalByProof() > 2, "final by proof");
        vm.assertTrue(_handler.convictions() > 2, "convictions");
        vm.assertTrue(_handler.lateConvictions() > 0, "late");
        vm.assertTrue(_handler.affirmed() > 20, "affirmed");
    }
}
