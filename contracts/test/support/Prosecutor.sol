// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A hostile proposer and challenger that is a contract
/// @notice Stands at the proposer's address of a read call: whatever it does is gone afterwards, so that one L1 tries thousands of
/// batches after the same parent. It posts a batch, challenges it, and calls back into the venue whenever it is paid.
contract Prosecutor {
    struct Call {
        address target;
        uint256 value;
        bytes data;
    }

    /// @notice What was refused says why; nothing is challenged when the batch itself was refused.
    struct Outcome {
        bool isPosted;
        bytes refusal;
        /// @dev Index of the first challenge that convicted; their number when none did.
        uint256 convictedBy;
        bytes lastAnswer;
        /// @dev Calls made while the reward was paid, and how many of them went through.
        uint256 reentered;
        uint256 reenteredWell;
    }

    Call[] private _reentries;
    uint256 private _reentered;
    uint256 private _reenteredWell;

    /// @dev Bonds and rewards arrive here.
    receive() external payable {
        for (uint256 i = 0; i < _reentries.length; ++i) {
            Call storage one = _reentries[i];
            (bool isDone,) = one.target.call{value: one.value}(one.data);
            ++_reentered;
            if (isDone) ++_reenteredWell;
        }
    }

    function prosecute(Call calldata post, address dispute, bytes[] calldata challenges, Call[] calldata reentries)
        external
        returns (Outcome memory outcome)
    {
        for (uint256 i = 0; i < reentries.length; ++i) {
            _reentries.push(reentries[i]);
        }
        (outcome.isPosted, outcome.refusal) = post.target.call{value: post.value}(post.data);
        outcome.convictedBy = challenges.length;
        if (outcome.isPosted) {
            for (uint256 i = 0; i < challenges.length; ++i) {
                bool isConvicted;
                (isConvicted, outcome.lastAnswer) = dispute.call(challenges[i]);
                if (isConvicted) {
                    outcome.convictedBy = i;
                    break;
                }
            }
        }
        outcome.reentered = _reentered;
        outcome.reenteredWell = _reenteredWell;
    }
}
