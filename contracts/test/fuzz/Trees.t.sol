// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CyclesTree} from "../../src/lib/CyclesTree.sol";
import {LittleEndian} from "../../src/lib/LittleEndian.sol";
import {MerklePath} from "../../src/lib/MerklePath.sol";
import {Reference} from "../support/Reference.sol";
import {VmTest} from "../support/Vm.sol";

contract TreesFuzzTest is VmTest {
    function parse(bytes calldata data, uint256 count) external pure returns (bytes32, bytes32) {
        return CyclesTree.parse(data, count);
    }

    function pathRoot(bytes32 leaf, uint256 index, bytes32[] calldata path) external pure returns (bytes32) {
        return MerklePath.root(leaf, index, path);
    }

    function testFuzz_littleEndian(uint16 a, uint24 b, uint64 c) external pure {
        vm.assertEq(abi.encodePacked(LittleEndian.u16(a)), Reference.littleEndian(a, 2));
        vm.assertEq(abi.encodePacked(LittleEndian.u24(b)), Reference.littleEndian(b, 3));
        vm.assertEq(abi.encodePacked(LittleEndian.u64(c)), Reference.littleEndian(c, 8));
    }

    function testFuzz_merklePath(bytes32[] memory leaves, uint256 index, uint8 depth) external view {
        depth = uint8(bound(depth, 0, 32));
        uint256 length = leaves.length;
        if (length > 2 ** depth) length = 2 ** depth;
        if (length > 12) length = 12;
        assembly ("memory-safe") {
            mstore(leaves, length)
        }
        index = bound(index, 0, 2 ** uint256(depth) - 1);
        bytes32 leaf = index < leaves.length ? leaves[index] : bytes32(0);
        bytes32[] memory path = Reference.treePath(leaves, depth, index);
        vm.assertEq(this.pathRoot(leaf, index, path), Reference.treeRoot(leaves, depth, 0));
    }

    /// @notice No other leaf, index or sibling leads to the same root.
    function testFuzz_merklePathBinds(
        bytes32 leaf,
        uint32 index,
        bytes32[32] memory siblings,
        uint8 where,
        uint256 flip
    ) external view {
        bytes32[] memory path = new bytes32[](32);
        for (uint256 i = 0; i < 32; ++i) {
            path[i] = siblings[i];
        }
        bytes32 root = this.pathRoot(leaf, index, path);
        bytes32 change = bytes32(uint256(1) << (flip % 256));
        vm.assertTrue(this.pathRoot(leaf ^ change, index, path) != root, "leaf");
        uint256 height = where % 32;
        path[height] ^= change;
        vm.assertTrue(this.pathRoot(leaf, index, path) != root, "sibling");
        path[height] ^= change;
        // Two equal leaves beside each other are the same statement, whichever of them is meant: the one case that the index cannot bind.
        if (height == 0 && leaf == path[0]) return;
        vm.assertTrue(this.pathRoot(leaf, index ^ 2 ** height, path) != root, "index");
    }

    /// A fuzz run met it: the leaf equal to its own sibling.
    function test_merklePathOfTwinLeaves() external view {
        bytes32[32] memory siblings;
        siblings[0] = keccak256("twin");
        this.testFuzz_merklePathBinds(keccak256("twin"), 670, siblings, 128, 9854);
        this.testFuzz_merklePathBinds(keccak256("twin"), 670, siblings, 129, 9854);
    }

    function testFuzz_cyclesTree(uint256 count, uint256 seed) external view {
        count = bound(count, 1, 40);
        (bytes memory data, bytes32[] memory leaves, bytes32 lastRoot) = randomCycles(count, seed);
        (bytes32 root, bytes32 parsedLastRoot) = this.parse(data, count);
        vm.assertEq(root, Reference.cyclesRoot(leaves, 0, count));
        vm.assertEq(parsedLastRoot, lastRoot);
    }

    /// @notice One byte more or less, or another count, is refused whatever the cycles are.
    function testFuzz_cyclesFillTheDataExactly(uint256 count, uint256 seed, bytes1 extra) external {
        count = bound(count, 1, 12);
        (bytes memory data,,) = randomCycles(count, seed);
        vm.expectRevert(CyclesTree.DataTrailingBytes.selector);
        this.parse(bytes.concat(data, extra), count);
        vm.expectRevert(CyclesTree.DataTrailingBytes.selector);
        this.parse(data, count - 1);
        vm.expectRevert(CyclesTree.DataTruncated.selector);
        this.parse(data, count + 1);
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), 1))
        }
        vm.expectRevert(CyclesTree.DataTruncated.selector);
        this.parse(data, count);
    }

    /// @notice Damaged cycles: parsed as the reference reads them or refused with one of the three causes.
    function testFuzz_cyclesTreeIsTotal(uint256 count, uint256 seed, uint256 where, bytes1 flip) external view {
        count = bound(count, 1, 6);
        (bytes memory data,,) = randomCycles(count, seed);
        // Half of the damage goes to a length field, where it matters most.
        uint256 place = where % 2 == 0 ? (where / 2) % 4 : (where / 2) % data.length;
        data[place] ^= flip;
        checkTotal(data, count);
    }

    function testFuzz_cyclesTreeIsTotalOnAnyBytes(bytes calldata data, uint8 count) external view {
        vm.assume(count > 0);
        checkTotal(data, count);
    }

    function checkTotal(bytes memory data, uint256 count) private view {
        try this.parse(data, count) returns (bytes32 root, bytes32) {
            vm.assertEq(root, this.slowRoot(data, count));
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            vm.assertTrue(
                selector == CyclesTree.DataTruncated.selector || selector == CyclesTree.DataTrailingBytes.selector
                    || selector == CyclesTree.CycleEmpty.selector,
                "unexpected failure"
            );
        }
    }

    function slowRoot(bytes calldata data, uint256 count) external pure returns (bytes32) {
        bytes32[] memory leaves = new bytes32[](count);
        uint256 offset = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 length = 0;
            for (uint256 j = 0; j < 4; ++j) {
                length = length * 256 + uint8(data[offset + j]);
            }
            bytes32 postRoot = bytes32(data[offset + 4:offset + 36]);
            leaves[i] = Reference.cycleLeaf(data[offset + 36:offset + 36 + length], postRoot);
            offset += 36 + length;
        }
        return Reference.cyclesRoot(leaves, 0, count);
    }

    function randomCycles(uint256 count, uint256 seed)
        private
        pure
        returns (bytes memory data, bytes32[] memory leaves, bytes32 root)
    {
        leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 random = keccak256(abi.encode(seed, i));
            bytes memory payload = new bytes(1 + uint8(random[31]) % 70);
            for (uint256 j = 0; j < payload.length; ++j) {
                payload[j] = random[j % 32];
            }
            root = keccak256(abi.encode(random));
            leaves[i] = Reference.cycleLeaf(payload, root);
            data = bytes.concat(data, bytes4(uint32(payload.length)), root, payload);
        }
    }

    function bound(uint256 value, uint256 low, uint256 high) private pure returns (uint256) {
        return low + value % (high - low + 1);
    }
}
