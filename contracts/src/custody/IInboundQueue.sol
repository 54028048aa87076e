// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The inbound queue as the batch chain sees it
interface IInboundQueue {
    /// @notice Number of entries so far.
    function queueLength() external view returns (uint64);

    /// @notice Hash over the first `length` entries: h' = keccak256(h ‖ keccak256(entry)), 0 before the first.
    /// @dev Also 0 beyond the end of the queue; compare with `queueLength` first.
    function queueHash(uint64 length) external view returns (bytes32);

    /// @notice Whether the venue is being wound up: no batch may be posted any more.
    function frozen() external view returns (bool);
}
