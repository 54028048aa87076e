// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What winds a failed venue up
interface IEscape {
    /// @notice Fraud in a batch that is final, or that the affirmation contract had called right: freezes the custody and
    /// anchors the winding up at the batch before it. Only for the dispute contract.
    /// @dev Must not revert because the venue is frozen already: the fraud proof is judged before, and the earlier anchor holds.
    function lateFraud(uint64 batchNumber) external;

    function isFrozen() external view returns (bool);

    /// @notice The batch whose root the winding up pays by; `settled` once it can no longer move.
    function anchor() external view returns (uint64 batchNumber, bytes32 root, bool settled);
}
