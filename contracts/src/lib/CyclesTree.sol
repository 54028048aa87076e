// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Limits} from "./Limits.sol";

/// @title The tree over the cycles of one batch
/// @notice leaf = keccak256(0x00 ‖ keccak256(payload) ‖ uint32 length ‖ postRoot), node = keccak256(0x01 ‖ left ‖ right);
/// an odd node moves up unchanged. Leaf and node preimages differ in prefix and length, and the header carries the count,
/// so one root has one reading.
library CyclesTree {
    /// @dev uint32 length (big-endian) ‖ postRoot
    uint256 internal constant CYCLE_HEAD_BYTES = 36;

    /// @notice The data end inside a cycle, or the cycles end before the data.
    error DataTruncated();
    error DataTrailingBytes();
    error CycleEmpty(uint256 cycle);
    /// @notice A payload of more than CYCLE_BYTES_MAX.
    error CycleTooLong(uint256 cycle);

    /// @dev What `_scan` finds. FAULT_EMPTY + 2i = cycle i is empty, one more = it is too long.
    uint256 private constant FAULT_TRUNCATED = 1;
    uint256 private constant FAULT_TRAILING = 2;
    uint256 private constant FAULT_EMPTY = 3;

    /// @notice Parses `count` cycles, which must fill `data` exactly.
    /// @return root of the tree
    /// @return lastPostRoot state root after the last cycle
    /// @dev Bounds: the caller limits `count` (memory is 32 bytes a leaf) and `data.length` (< 2^32).
    function parse(bytes calldata data, uint256 count) internal pure returns (bytes32 root, bytes32 lastPostRoot) {
        uint256 fault;
        (fault, root, lastPostRoot) = _scan(data, count);
        if (fault == FAULT_TRUNCATED) revert DataTruncated();
        if (fault == FAULT_TRAILING) revert DataTrailingBytes();
        if (fault == 0) return (root, lastPostRoot);
        uint256 cycle = (fault - FAULT_EMPTY) / 2;
        if ((fault - FAULT_EMPTY) % 2 == 0) revert CycleEmpty(cycle);
        revert CycleTooLong(cycle);
    }

    /// @notice The same for data that nobody has checked yet: any bytes have an answer.
    function tryParse(bytes calldata data, uint256 count)
        internal
        pure
        returns (bool isWhole, bytes32 root, bytes32 lastPostRoot)
    {
        uint256 fault;
        (fault, root, lastPostRoot) = _scan(data, count);
        isWhole = fault == 0;
    }

    function _scan(bytes calldata data, uint256 count)
        private
        pure
        returns (uint256 fault, bytes32 root, bytes32 lastPostRoot)
    {
        bytes32[] memory nodes = new bytes32[](count);
        uint256 offset = 0;
        for (uint256 cycle = 0; cycle < count; ++cycle) {
            if (data.length - offset < CYCLE_HEAD_BYTES) return (FAULT_TRUNCATED, 0, 0);
            uint256 payloadStart = offset + CYCLE_HEAD_BYTES;
            uint32 length = uint32(bytes4(data[offset:offset + 4]));
            if (length == 0) return (FAULT_EMPTY + 2 * cycle, 0, 0);
            if (data.length - payloadStart < length) return (FAULT_TRUNCATED, 0, 0);
            // A challenge carries a payload whole: none is longer than what one has room for.
            if (length > Limits.CYCLE_BYTES_MAX) return (FAULT_EMPTY + 2 * cycle + 1, 0, 0);
            lastPostRoot = bytes32(data[offset + 4:payloadStart]);
            offset = payloadStart + length;
            nodes[cycle] = leaf(keccak256(data[payloadStart:offset]), length, lastPostRoot);
        }
        if (offset != data.length) return (FAULT_TRAILING, 0, 0);
        // No cycles make no tree.
        if (count == 0) return (FAULT_TRUNCATED, 0, 0);
        root = fold(nodes);
    }

    function leaf(bytes32 payloadHash, uint32 length, bytes32 postRoot) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), payloadHash, length, postRoot));
    }

    /// @notice Root over `nodes`, which must not be empty; overwrites them.
    function fold(bytes32[] memory nodes) internal pure returns (bytes32) {
        uint256 width = nodes.length;
        while (width > 1) {
            uint256 parents = width / 2;
            for (uint256 i = 0; i < parents; ++i) {
                nodes[i] = keccak256(abi.encodePacked(uint8(1), nodes[2 * i], nodes[2 * i + 1]));
            }
            if (width % 2 == 1) {
                nodes[parents] = nodes[width - 1];
                ++parents;
            }
            width = parents;
        }
        return nodes[0];
    }
}
