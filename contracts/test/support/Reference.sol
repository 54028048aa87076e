// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The trees and packings of the specification in their most obvious form: recursive, byte by byte.
library Reference {
    function littleEndian(uint256 value, uint256 width) internal pure returns (bytes memory out) {
        out = new bytes(width);
        for (uint256 i = 0; i < width; ++i) {
            out[i] = bytes1(uint8((value / 256 ** i) % 256));
        }
    }

    /// @notice Root of the cycles tree by splitting at the largest power of two below the width: the same tree as pairing
    /// level by level with an odd node moving up.
    function cyclesRoot(bytes32[] memory leaves, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 half = 1;
        while (half * 2 < to - from) half *= 2;
        return
            keccak256(bytes.concat(hex"01", cyclesRoot(leaves, from, from + half), cyclesRoot(leaves, from + half, to)));
    }

    function cycleLeaf(bytes memory payload, bytes32 postRoot) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"00", keccak256(payload), bytes4(uint32(payload.length)), postRoot));
    }

    /// @notice Root of the subtree of `depth` whose first leaf is `from`; leaves beyond the array are empty.
    function treeRoot(bytes32[] memory leaves, uint256 depth, uint256 from) internal pure returns (bytes32) {
        if (from >= leaves.length) {
            bytes32 empty = 0;
            for (uint256 i = 0; i < depth; ++i) {
                empty = keccak256(bytes.concat(empty, empty));
            }
            return empty;
        }
        if (depth == 0) return leaves[from];
        return keccak256(
            bytes.concat(treeRoot(leaves, depth - 1, from), treeRoot(leaves, depth - 1, from + 2 ** (depth - 1)))
        );
    }

    /// @notice Siblings from the leaf up.
    function treePath(bytes32[] memory leaves, uint256 depth, uint256 index)
        internal
        pure
        returns (bytes32[] memory path)
    {
        path = new bytes32[](depth);
        for (uint256 height = 0; height < depth; ++height) {
            uint256 sibling = (index / 2 ** height) ^ 1;
            path[height] = treeRoot(leaves, height, sibling * 2 ** height);
        }
    }
}
