// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProposerPolicy} from "./IProposerPolicy.sol";

/// @title One proposer, fixed at deployment
/// @dev Warning: a lost key stops posting for good, and with it finality. What is final stays claimable.
contract SingleProposer is IProposerPolicy {
    error ProposerZero();

    address public immutable proposer;

    constructor(address proposer_) {
        if (proposer_ == address(0)) revert ProposerZero();
        proposer = proposer_;
    }

    /// @inheritdoc IProposerPolicy
    function mayPost(address candidate, uint64) external view returns (bool) {
        return candidate == proposer;
    }
}
