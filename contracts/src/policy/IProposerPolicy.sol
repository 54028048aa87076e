// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who may post a batch
/// @dev Asked once for every batch, while it is posted. A policy that answers no stops posting; batches already posted
/// still become final or are dropped.
interface IProposerPolicy {
    function mayPost(address proposer, uint64 number) external view returns (bool);
}
