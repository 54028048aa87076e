// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../chain/IBatchChain.sol";
import {ICycleRule} from "../rules/ICycleRule.sol";

/// @notice A cycle as the batch committed to it. `path`: siblings in the batch's cycles tree, from the leaf up.
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

    /// @notice Fraud in a batch that is final: no bond is left, the venue is wound up from the batch before it.
    event LateFraudProven(uint64 indexed number, uint32 indexed cycleIndex, uint256 code, address indexed challenger);
    event ParametersRegistered(bytes32 indexed hash, address store);

    /// @notice What was challenged is right.
    error NoFraud();
    /// @notice Nobody could be told of fraud in a final batch: this venue has no escape contract.
    error BatchFinalWithoutEscape(uint64 number);
    error AlreadyConvicted(uint64 number);

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

    /// @notice The data of a batch in a blob are malformed, or their cycles root, count or last root are not the header's.
    /// @param data all of the blob's data, header.dataLength bytes
    /// @param commitment KZG commitment of the blob, 48 bytes
    /// @param proof KZG proof at BlobOpening.challengePoint, 48 bytes
    function challengeBlob(
        BatchHeader calldata header,
        bytes calldata data,
        bytes calldata commitment,
        bytes calldata proof
    ) external;

    /// @notice An element of the blob that no data have there: its top byte, or a byte beyond dataLength, is not zero.
    /// @param proof KZG proof at BlobOpening.rootAt(index)
    function challengeBlobElement(
        BatchHeader calldata header,
        uint256 index,
        uint256 value,
        bytes calldata commitment,
        bytes calldata proof
    ) external;

    /// @notice Stores a set that governance brought into force, once; anyone may, its hash is its name.
    /// @dev Warning: bytes that are no parameter set can be stored too. No state names them.
    function registerParameters(bytes calldata encoded) external returns (address store);

    /// @notice Bit k: the ledger decodes cycles of kind k.
    function knownKinds() external view returns (uint256);

    function ruleOf(uint256 kind) external view returns (ICycleRule);

    /// @notice ParameterStore of the set with that hash; zero when nobody named it.
    function storeOf(bytes32 hash) external view returns (address);
}
