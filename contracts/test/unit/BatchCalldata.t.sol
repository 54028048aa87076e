// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchChain} from "../../src/chain/BatchChain.sol";
import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Fixture} from "../support/Fixture.sol";

/// @notice Whatever the batch chain accepts has one encoding: a reader of transactions needs to know no other.
contract BatchCalldataTest is Fixture {
    bytes32 private constant ROOT = keccak256("root");

    function setUp() external {
        vm.warp(1_800_000_000);
        deploy();
    }

    function _call() private view returns (bytes memory) {
        (BatchHeader memory header, bytes memory data) = nextBatch(3, ROOT);
        vm.assertTrue(data.length % 32 != 0, "padded");
        return abi.encodeCall(BatchChain.postBatch, (header, data));
    }

    function _post(bytes memory call) private returns (bool isPosted, bytes memory answer) {
        vm.prank(PROPOSER, PROPOSER);
        return address(chain).call{value: BOND}(call);
    }

    function test_theCanonicalCallIsAccepted() external {
        (bool isPosted,) = _post(_call());
        vm.assertTrue(isPosted);
        vm.assertEq(chain.lastNumber(), 1);
    }

    function test_bytesBehindTheDataAreRefused() external {
        bytes memory call = _call();
        for (uint256 extra = 1; extra <= 64; extra += 21) {
            (bool isPosted, bytes memory answer) = _post(bytes.concat(call, new bytes(extra)));
            vm.assertFalse(isPosted);
            vm.assertEq(bytes32(answer), bytes32(BatchChain.CalldataNotCanonical.selector));
        }
    }

    /// @notice The ABI lets the offset of the data lead anywhere: here one word further, with the same data there.
    function test_dataElsewhereAreRefused() external {
        (BatchHeader memory header, bytes memory data) = nextBatch(3, ROOT);
        bytes memory tail = abi.encodePacked(uint256(0), data.length, data, new bytes(32 - (data.length % 32)));
        bytes memory call =
            bytes.concat(BatchChain.postBatch.selector, abi.encode(header), bytes32(uint256(17 * 32)), tail);
        (bool isPosted, bytes memory answer) = _post(call);
        vm.assertFalse(isPosted);
        vm.assertEq(bytes32(answer), bytes32(BatchChain.CalldataNotCanonical.selector));
    }

    /// @notice One bit anywhere in the frame around header and data: refused, whatever else it breaks.
    function testFuzz_paddingAndFrameAreBound(uint256 bit) external {
        bytes memory call = _call();
        uint256 dataLength;
        {
            (, bytes memory data) = nextBatch(3, ROOT);
            dataLength = data.length;
        }
        uint256 frameAt = 4 + 15 * 32;
        uint256 paddingAt = frameAt + 64 + dataLength;
        uint256 bits = 8 * (64 + call.length - paddingAt);
        bit = bit % bits;
        uint256 at = bit / 8 < 64 ? frameAt + bit / 8 : paddingAt + bit / 8 - 64;
        call[at] = bytes1(uint8(call[at]) ^ uint8(1 << (bit % 8)));
        (bool isPosted,) = _post(call);
        vm.assertFalse(isPosted);
    }
}
