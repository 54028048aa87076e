// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProposerPolicy} from "../policy/IProposerPolicy.sol";

/// @title Stakes that answer for batches and promises
interface IStakeRegistry is IProposerPolicy {
    /// @notice Slashes a convicted proposer. Only for the dispute contract.
    function slashProposer(address proposer, uint64 batchNumber, address challenger) external;

    /// @notice Takes up to `amount` of the sequencer's stake and sends it to `recipient`. Only for the receipt court.
    function slashPromise(address sequencer, uint256 amount, address recipient) external returns (uint256 taken);

    /// @notice Nothing of the stake leaves before `time`. Only for the receipt court.
    function lockUntil(address staker, uint64 time) external;

    /// @notice What can be slashed: bonded and unbonding.
    function stakeOf(address staker) external view returns (uint256);
}
