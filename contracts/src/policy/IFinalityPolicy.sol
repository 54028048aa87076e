// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a policy is told of a posted batch. Times in seconds.
struct BatchTiming {
    uint64 number;
    uint64 postedAt;
    uint64 postedBlock;
    /// @dev Highest floor so far; 0 while the batch is being posted.
    uint64 floor;
    /// @dev When the batch was proven right on this chain; 0 = not proven.
    uint64 provenAt;
}

/// @title When a batch may become final
/// @dev A trust root of the batch chain: fixed at deployment, it alone decides how long a batch can be challenged.
interface IFinalityPolicy {
    /// @notice The floor as known now. Asked when the batch is posted and at every poke; the batch chain keeps the
    /// highest answer, so a floor only moves up.
    function floorOf(BatchTiming calldata timing) external returns (uint64 floor);

    /// @notice From when on the batch may be finalised, judged at the moment of finalisation. A fixed window answers with
    /// the floor; a policy that tests for censored blocks answers later until the test has passed, one that knows a
    /// proof of the batch may answer earlier.
    function finalisableAt(BatchTiming calldata timing) external view returns (uint64 time);

    /// @notice Longest time, in seconds, from a batch's posting to the moment from which on it may be finalised. Stakes stay
    /// locked for longer than this.
    function windowSecondsMax() external view returns (uint64);
}
