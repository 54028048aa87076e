// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchTiming, IFinalityPolicy} from "./IFinalityPolicy.sol";

/// @title A challenge window of one fixed length, and a shorter one for batches that were proven right
/// @notice The guard delay is what is left to show that a verifier is broken before a batch that it accepted becomes final.
/// @dev Warning: a fixed window does not grow while the L1 is congested or censored. A window below seven days assumes
/// that the L1 is not censored by a majority.
contract FixedWindowPolicy is IFinalityPolicy {
    /// @notice The window must be positive and below 2^40 seconds.
    error WindowOutOfRange(uint64 windowSeconds);
    /// @notice The guard delay must be positive and not beyond the window.
    error GuardOutOfRange(uint64 guardSeconds);

    uint64 private constant WINDOW_BOUND = 2 ** 40;

    uint64 public immutable windowSeconds;
    uint64 public immutable guardSeconds;

    constructor(uint64 windowSeconds_, uint64 guardSeconds_) {
        if (windowSeconds_ == 0 || windowSeconds_ >= WINDOW_BOUND) revert WindowOutOfRange(windowSeconds_);
        if (guardSeconds_ == 0 || guardSeconds_ > windowSeconds_) revert GuardOutOfRange(guardSeconds_);
        windowSeconds = windowSeconds_;
        guardSeconds = guardSeconds_;
    }

    /// @inheritdoc IFinalityPolicy
    function floorOf(BatchTiming calldata timing) external view returns (uint64 floor) {
        return timing.postedAt + windowSeconds;
    }

    /// @inheritdoc IFinalityPolicy
    /// @dev A proof never makes a batch wait longer than its window.
    function finalisableAt(BatchTiming calldata timing) external view returns (uint64 time) {
        if (timing.provenAt == 0) return timing.floor;
        uint64 guarded = timing.provenAt + guardSeconds;
        return guarded < timing.floor ? guarded : timing.floor;
    }

    /// @inheritdoc IFinalityPolicy
    function windowSecondsMax() external view returns (uint64) {
        return windowSeconds;
    }
}
