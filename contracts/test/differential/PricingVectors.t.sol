// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PricingHarness} from "../support/PricingHarness.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice The pricing libraries against what the TypeScript definitions compute (tools/generate-solidity-vectors.mjs), the
/// inputs of the high-precision vectors among them. Every integer is equal.
contract PricingVectorsTest is VmTest {
    uint256 private constant ROW_OUTPUTS = 46;
    uint256 private constant FUNDING_OUTPUTS = 5;
    PricingHarness private _harness;

    function setUp() external {
        _harness = new PricingHarness();
    }

    function test_functions() external view {
        string memory json = vm.readFile("vectors/solidity/functions.json");
        uint256 count = vm.parseJsonUint(json, ".count");
        vm.assertEq(count, 8);
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".functions[", vm.toString(i), "]");
            vm.assertGe(vm.parseJsonUint(json, string.concat(place, ".count")), 400, place);
            bytes memory results = _harness.functions(
                vm.parseJsonUint(json, string.concat(place, ".code")),
                vm.parseJsonBytes(json, string.concat(place, ".inputs"))
            );
            assertSame(results, vm.parseJsonBytes(json, string.concat(place, ".expected")), 1, place);
        }
    }

    function test_rows() external view {
        string memory json = vm.readFile("vectors/solidity/rows.json");
        uint256 count = vm.parseJsonUint(json, ".count");
        vm.assertTrue(count > 10);
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".groups[", vm.toString(i), "]");
            vm.assertGe(vm.parseJsonUint(json, string.concat(place, ".priced")), 10, place);
            bytes memory results = _harness.rows(
                vm.parseJsonBytes(json, string.concat(place, ".parameters")),
                vm.parseJsonBytesArray(json, string.concat(place, ".cells")),
                vm.parseJsonBytes(json, string.concat(place, ".inputs")),
                false
            );
            assertSame(results, vm.parseJsonBytes(json, string.concat(place, ".expected")), ROW_OUTPUTS, place);
        }
    }

    function test_funding() external view {
        string memory json = vm.readFile("vectors/solidity/funding.json");
        uint256 count = vm.parseJsonUint(json, ".count");
        vm.assertTrue(count > 10);
        for (uint256 i = 0; i < count; ++i) {
            string memory place = string.concat(".groups[", vm.toString(i), "]");
            bytes memory results = _harness.funding(
                vm.parseJsonBytes(json, string.concat(place, ".parameters")),
                vm.parseJsonBytes(json, string.concat(place, ".inputs"))
            );
            assertSame(results, vm.parseJsonBytes(json, string.concat(place, ".expected")), FUNDING_OUTPUTS, place);
        }
    }

    function test_parameters() external view {
        string memory json = vm.readFile("vectors/solidity/parameters.json");
        bytes[] memory expected = vm.parseJsonBytesArray(json, ".expected");
        bytes[] memory results = _harness.decode(vm.parseJsonBytesArray(json, ".encodings"));
        vm.assertEq(results.length, expected.length);
        uint256 valid = 0;
        for (uint256 i = 0; i < expected.length; ++i) {
            vm.assertEq(keccak256(results[i]), keccak256(expected[i]), vm.toString(i));
            if (results[i].length > 0) ++valid;
        }
        vm.assertEq(valid, vm.parseJsonUint(json, ".valid"));
        vm.assertTrue(valid > 50 && expected.length - valid > 100);
    }

    /// @dev Names the first case and word that differ; `width` words a case.
    function assertSame(bytes memory left, bytes memory right, uint256 width, string memory place) private pure {
        vm.assertTrue(left.length > 0, place);
        if (keccak256(left) == keccak256(right)) return;
        vm.assertEq(left.length, right.length, place);
        for (uint256 i = 0; i < left.length / 8; ++i) {
            string memory where =
                string.concat(place, ": case ", vm.toString(i / width), ", word ", vm.toString(i % width));
            vm.assertEq(word(left, i), word(right, i), where);
        }
    }

    function word(bytes memory words, uint256 index) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(192, mload(add(add(words, 0x20), shl(3, index))))
        }
    }
}
