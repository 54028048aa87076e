// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../chain/IBatchChain.sol";

/// @notice The cycle at fault, as the batch committed to it. `path`: siblings in the batch's cycles tree, from the leaf up.
struct CycleClaim {
    uint32 index;
    bytes32 postRoot;
    bytes payload;
    bytes32[] path;
}

/// @notice The cycle before it, whose root it starts from; not looked at for a batch's first cycle.
struct PreviousCycle {
    bytes32 payloadHash;
    uint32 length;
    bytes32 postRoot;
    bytes32[] path;
}

/// @notice What opens a state root.
struct StateParts {
    bytes32 accountsRoot;
    bytes32 instrumentsRoot;
    bytes32 underlyingsRoot;
    bytes32 outboxRoot;
    /// @dev The globals' bytes (docs/spec/ledger.md, Cells).
    bytes globals;
}

/// @title One-transaction fraud proofs
interface IDispute {
    /// @notice `code`: the ledger's rejection code, or 0 where a root or a header field is wrong.
    event FraudProven(
        uint64 indexed number,
        uint32 indexed cycleIndex,
        uint256 code,
        address indexed challenger,
        uint256 rewardWei,
        uint256 burntWei
    );

    /// @notice The header is not the batch's.
    error HeaderMismatch(uint64 number);
    /// @notice Cycle or neighbour are not in the batch.
    error CycleNotInBatch(uint32 index);
    /// @notice The ledger has the kind, but nothing here judges it.
    error KindWithoutRule(uint256 kind);
    error StatePartsMismatch(bytes32 stateRoot);
    /// @notice What was challenged is right.
    error NoFraud();

    /// @notice Fault "root": the cycle does not lead from the root before it to the root that it claims.
    /// @param witness may be empty where the payload itself is malformed
    function challengeRoot(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        bytes calldata witness
    ) external;

    /// @notice Fault "rule at account": the cycle breaks its rule at one account.
    function challengeAccount(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        uint256 account,
        bytes calldata witness
    ) external;

    /// @notice The header's time, inbound cursor or inbound hash are not those of the state that the batch ends with.
    function challengeHeader(BatchHeader calldata header, StateParts calldata state) external;
}
