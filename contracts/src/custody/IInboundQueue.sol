// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The inbound queue as the batch chain and the escape see it
interface IInboundQueue {
    /// @notice Number of entries so far.
    function queueLength() external view returns (uint64);

    /// @notice Hash over the first `length` entries: h' = keccak256(h ‖ keccak256(entry)), 0 before the first.
    /// @dev Also 0 beyond the end of the queue; compare with `queueLength` first.
    function queueHash(uint64 length) external view returns (bytes32);

    /// @notice The venue is wound up: nothing enters the queue and no batch may be posted any more.
    function frozen() external view returns (bool);

    /// @notice Time in seconds by which the forced entry at an index must be consumed; 0 for entries not forced.
    function forcedDeadlineOf(uint64 index) external view returns (uint64);
}
