// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../chain/IBatchChain.sol";
import {CycleClaim, PreviousCycle, StateParts} from "./IDispute.sol";

/// @notice How far the affirmation of one batch has come.
struct BatchProgress {
    /// @dev Cycles whose execution and accounts are all affirmed.
    uint32 cyclesRight;
    bool isHeaderRight;
    /// @dev Only asked of batches in a blob.
    bool isBlobRight;
}

/// @notice How far the affirmation of one cycle has come.
struct CycleProgress {
    /// @dev Its execution leads to the root that it claims.
    bool isExecuted;
    /// @dev Accounts affirmed.
    uint32 accountsRight;
}

/// @title Proving batches right
interface IAffirmation {
    event CycleAffirmed(bytes32 indexed batchHash, uint32 indexed cycleIndex);
    event AccountAffirmed(bytes32 indexed batchHash, uint32 indexed cycleIndex, uint256 account);
    event HeaderAffirmed(bytes32 indexed batchHash);
    event BlobAffirmed(bytes32 indexed batchHash);
    event BatchConcluded(uint64 indexed number, bytes32 indexed batchHash);

    /// @notice What was to be affirmed is wrong; `code` is the ledger's rejection code, 0 for a wrong root.
    error NotRight(uint256 code);
    /// @notice A cycle of this kind can be wrong at accounts that it does not name: no list of checks proves it right.
    error KindNotAffirmable(uint256 kind);
    error AlreadyAffirmed();
    error OrdinalOutOfRange(uint256 ordinal, uint256 count);
    error CyclesMissing(uint32 cyclesRight, uint32 cycleCount);
    error HeaderMissing();
    error BlobMissing();

    /// @notice Affirms that a cycle leads from the root before it to the root that it claims.
    function affirmCycle(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        bytes calldata witness
    ) external;

    /// @notice Affirms that a cycle keeps its rule at the account that is `ordinal` in ICycleRule.accountsOf.
    function affirmAccount(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        uint256 ordinal,
        bytes calldata witness
    ) external;

    /// @notice Affirms that the header's time, cursor and queue hash are those of the state that the batch ends with.
    function affirmHeader(BatchHeader calldata header, StateParts calldata state) external;

    /// @notice Affirms that the blob holds the cycles that the header commits to.
    function affirmBlob(
        BatchHeader calldata header,
        bytes calldata data,
        bytes calldata commitment,
        bytes calldata proof
    ) external;

    /// @notice Marks a batch of which everything is affirmed as proven.
    function conclude(BatchHeader calldata header) external;

    function progressOf(bytes32 batchHash) external view returns (BatchProgress memory);

    function cycleProgressOf(bytes32 batchHash, uint256 cycleIndex) external view returns (CycleProgress memory);

    function isAccountAffirmed(bytes32 batchHash, uint256 cycleIndex, uint256 ordinal) external view returns (bool);
}
