// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Paths in the ledger's state trees
/// @notice node = keccak256(left ‖ right); bit i of the index chooses the side at height i, bit 0 at the leaf.
library MerklePath {
    /// @notice Root that `leaf` at `index` and its siblings, from the leaf up, lead to.
    /// @dev Warning: the caller fixes `path.length` (the depth of the tree) and bounds `index` below 2^depth; bits of
    /// the index above the depth are not looked at.
    function root(bytes32 leaf, uint256 index, bytes32[] calldata path) internal pure returns (bytes32 node) {
        node = leaf;
        for (uint256 height = 0; height < path.length; ++height) {
            bytes32 sibling = path[height];
            node = (index >> height) & 1 == 0
                ? Hashes.efficientKeccak256(node, sibling)
                : Hashes.efficientKeccak256(sibling, node);
        }
    }
}
