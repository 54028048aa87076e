// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProposerPolicy} from "../policy/IProposerPolicy.sol";

/// @title Stakes of proposers and of the sequencer
interface IStakeRegistry is IProposerPolicy {
    /// @notice Takes the stake that answers for a batch convicted of fraud. Only for the dispute contract.
    /// @dev Must not revert for any proposer, staked or not: a conviction must never fail for what is left of a stake.
    function slashProposer(address proposer, uint64 batchNumber, address challenger) external;

    /// @notice Takes up to `amount` of the sequencer's stake and sends it to `recipient`. Only for the receipt court.
    function slashPromise(address sequencer, uint256 amount, address recipient) external returns (uint256 taken);

    /// @notice No withdrawal of this stake before `time`, in seconds. Only for the receipt court.
    function lockUntil(address staker, uint64 time) external;

    /// @notice What can be slashed: bonded and unbonding.
    function stakeOf(address staker) external view returns (uint256);
}
