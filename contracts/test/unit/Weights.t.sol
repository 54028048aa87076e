// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Weights} from "../../src/lib/Weights.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice The set of instruments that a weight counts: what a hostile proposer makes of the numbers must not cost more.
contract WeightsTest is VmTest {
    uint256 private constant NUMBERS = 2 ** 24;
    /// @dev Of one number, whatever went before.
    uint256 private constant GAS_EACH_MAX = 1_000;

    /// @dev Dirty memory where the set comes to lie.
    function dirty() private pure {
        assembly ("memory-safe") {
            let start := mload(0x40)
            for { let place := start } lt(place, add(start, 0x20000)) { place := add(place, 32) } {
                mstore(place, not(0))
            }
        }
    }

    function counted(uint24[] memory numbers) private pure returns (uint256) {
        dirty();
        Weights.Trade memory weights = Weights.emptyTrade();
        for (uint256 i = 0; i < numbers.length; ++i) {
            Weights.addInstrument(weights, numbers[i]);
        }
        return weights.instruments;
    }

    function distinct(uint24[] memory numbers) private pure returns (uint256 count) {
        for (uint256 i = 0; i < numbers.length; ++i) {
            bool isNew = true;
            for (uint256 j = 0; j < i && isNew; ++j) {
                isNew = numbers[j] != numbers[i];
            }
            if (isNew) count += 1;
        }
    }

    function testFuzz_everyNumberCountsOnce(uint24[40] memory drawn, uint256 seed) external pure {
        uint24[] memory numbers = new uint24[](2 * drawn.length);
        for (uint256 i = 0; i < drawn.length; ++i) {
            numbers[i] = drawn[i];
            // Again, or one that shares its word, its bitmap or its place in one.
            uint256 other = uint256(keccak256(abi.encode(seed, i)));
            uint24[4] memory near = [
                drawn[i],
                drawn[i] ^ uint24(1 << (other % 8)),
                drawn[i] ^ 0x100,
                uint24((uint256(drawn[i]) + 4096) % NUMBERS)
            ];
            numbers[drawn.length + i] = near[(other >> 8) % 4];
        }
        vm.assertEq(counted(numbers), distinct(numbers));
    }

    function test_theLastNumbers() external pure {
        uint24[] memory numbers = new uint24[](4);
        (numbers[0], numbers[1], numbers[2], numbers[3]) = (0, type(uint24).max, 0, type(uint24).max - 1);
        vm.assertEq(counted(numbers), 3);
    }

    function test_noChoiceOfNumbersIsDear() external view {
        uint256[5] memory strides = [uint256(1), 16, 256, 4096, 65536];
        for (uint256 s = 0; s < strides.length; ++s) {
            Weights.Trade memory weights = Weights.emptyTrade();
            for (uint256 i = 0; i < 100; ++i) {
                Weights.addInstrument(weights, (strides[s] * i) % NUMBERS);
            }
            uint256 gas = gasleft();
            for (uint256 i = 0; i < 1_000; ++i) {
                Weights.addInstrument(weights, (strides[s] * (i % 100)) % NUMBERS);
            }
            vm.assertLt(gas - gasleft(), 1_000 * GAS_EACH_MAX, "gas");
        }
    }
}
