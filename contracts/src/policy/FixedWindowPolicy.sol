// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchTiming, IFinalityPolicy} from "./IFinalityPolicy.sol";

/// @title A challenge window of one fixed length
/// @dev Warning: a fixed window does not grow while the L1 is congested or censored. A window below seven days assumes
/// that the L1 is not censored by a majority.
contract FixedWindowPolicy is IFinalityPolicy {
    /// @notice The window must be positive.
    error WindowZero();

    uint64 public immutable windowSeconds;

    constructor(uint64 windowSeconds_) {
        if (windowSeconds_ == 0) revert WindowZero();
        windowSeconds = windowSeconds_;
    }

    /// @inheritdoc IFinalityPolicy
    function floorOf(BatchTiming calldata timing) external view returns (uint64 floor) {
        return timing.postedAt + windowSeconds;
    }

    /// @inheritdoc IFinalityPolicy
    function finalisableAt(BatchTiming calldata timing) external pure returns (uint64 time) {
        return timing.floor;
    }
}
