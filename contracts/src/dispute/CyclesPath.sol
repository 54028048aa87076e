// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CyclesTree} from "../lib/CyclesTree.sol";

/// @title Paths in the tree over the cycles of one batch
/// @notice The tree of CyclesTree: an odd node moves up unchanged, so it has no sibling on that level.
library CyclesPath {
    error PathMalformed();

    /// @notice Root that the cycle at `index` of `count` and its siblings, from the leaf up, lead to.
    /// @dev The header fixes `count`, so an index has exactly one path length.
    function root(
        bytes32 payloadHash,
        uint32 length,
        bytes32 postRoot,
        uint256 index,
        uint256 count,
        bytes32[] calldata path
    ) internal pure returns (bytes32 node) {
        if (index >= count) revert PathMalformed();
        node = CyclesTree.leaf(payloadHash, length, postRoot);
        uint256 used = 0;
        for (uint256 width = count; width > 1; width = (width + 1) / 2) {
            bool isOddLast = index == width - 1 && width % 2 == 1;
            if (!isOddLast) {
                if (used == path.length) revert PathMalformed();
                bytes32 sibling = path[used++];
                node = index % 2 == 0
                    ? keccak256(abi.encodePacked(uint8(1), node, sibling))
                    : keccak256(abi.encodePacked(uint8(1), sibling, node));
            }
            index /= 2;
        }
        if (used != path.length) revert PathMalformed();
    }
}
