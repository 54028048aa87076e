// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A withdrawal as the ledger's outbox holds it.
struct OutboxCell {
    uint24 account;
    uint16 asset;
    uint64 amount;
    uint64 destinationChain;
    address recipient;
}
