// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProposerPolicy} from "../policy/IProposerPolicy.sol";

/// @title Stakes of proposers and of the sequencer, in the venue's token
interface IStakeRegistry is IProposerPolicy {
    /// @notice Takes the stake of a proposer whose batch was convicted. Only for the dispute contract.
    function slashProposer(address proposer, uint64 batchNumber, address challenger) external;

    /// @notice Takes up to `amount` from the sequencer's stake and sends it to `recipient`. Only for the receipt court.
    function slashPromise(address sequencer, uint256 amount, address recipient) external returns (uint256 taken);

    /// @notice No withdrawal of the staker's stake before `time`. Only for the receipt court.
    function lockUntil(address staker, uint64 time) external;

    /// @notice What can be slashed: bonded and unbonding.
    function stakeOf(address staker) external view returns (uint256);
}
