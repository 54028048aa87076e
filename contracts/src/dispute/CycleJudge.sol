// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader, Batch, IBatchChain} from "../chain/IBatchChain.sol";
import {BlobOpening} from "../lib/BlobOpening.sol";
import {Cells} from "../lib/Cells.sol";
import {CyclesTree} from "../lib/CyclesTree.sol";
import {Limits} from "../lib/Limits.sol";
import {ICycleRule} from "../rules/ICycleRule.sol";
import {CyclesPath} from "./CyclesPath.sol";
import {CycleClaim, PreviousCycle, StateParts} from "./IDispute.sol";

/// @title Opening a posted batch
/// @notice What fraud proofs and affirmations share: a header, a cycle with the root that it starts from, the rule that judges it, the
/// state that the batch ends with, the data in its blob. One code for both: what convicts is what affirms.
abstract contract CycleJudge {
    /// @notice The header is not the batch's.
    error HeaderMismatch(uint64 number);
    /// @notice Cycle or neighbour are not in the batch.
    error CycleNotInBatch(uint32 index);
    /// @notice The ledger has the kind, but nothing here judges it.
    error KindWithoutRule(uint256 kind);
    error StatePartsMismatch(bytes32 stateRoot);
    error BatchNotInBlob(uint64 number);
    error BlobDataLengthMismatch(uint256 length, uint32 dataLength);

    uint256 private constant KIND_OFFSET = 1;
    uint8 private constant DATA_MODE_BLOB = 1;
    uint256 private constant HASH_BYTES = 32;

    IBatchChain public immutable batchChain;

    constructor(IBatchChain batchChain_) {
        batchChain = batchChain_;
    }

    function _isKnownKind(uint256 kind) internal view virtual returns (bool);

    function _ruleOf(uint256 kind) internal view virtual returns (ICycleRule);

    /// @dev Zero when nobody named it.
    function _storeOf(bytes32 parametersHash) internal view virtual returns (address);

    /// @dev Reverts for a batch that the chain does not hold (any more).
    function _requireHeader(BatchHeader calldata header)
        internal
        view
        returns (Batch memory record, bytes32 batchHash)
    {
        record = batchChain.batch(header.number);
        batchHash = keccak256(abi.encode(header));
        if (batchHash != record.batchHash) revert HeaderMismatch(header.number);
    }

    /// @dev The root that the claimed cycle starts from, once claim and neighbour are shown to be the batch's.
    function _open(BatchHeader calldata header, CycleClaim calldata claim, PreviousCycle calldata previous)
        internal
        pure
        returns (bytes32)
    {
        uint256 count = header.cycleCount;
        bytes32 claimed = CyclesPath.root(
            keccak256(claim.payload), uint32(claim.payload.length), claim.postRoot, claim.index, count, claim.path
        );
        if (claimed != header.cyclesRoot) revert CycleNotInBatch(claim.index);
        if (claim.index == 0) return header.preStateRoot;
        bytes32 before = CyclesPath.root(
            previous.payloadHash, previous.length, previous.postRoot, claim.index - 1, count, previous.path
        );
        if (before != header.cyclesRoot) revert CycleNotInBatch(claim.index - 1);
        return previous.postRoot;
    }

    /// @dev A payload without version and kind, of another version, or of a kind that the ledger does not have is malformed
    /// whatever else it holds.
    function _ruleFor(bytes calldata payload) internal view returns (bool isMalformed, ICycleRule rule) {
        if (payload.length <= KIND_OFFSET || uint8(payload[0]) != Limits.PAYLOAD_VERSION) return (true, rule);
        uint256 kind = uint8(payload[KIND_OFFSET]);
        if (!_isKnownKind(kind)) return (true, rule);
        rule = _ruleOf(kind);
        if (address(rule) == address(0)) revert KindWithoutRule(kind);
    }

    /// @dev The parameters that the witness's globals name. A choice of bytes, not a judgement: rules refuse a store whose hash is
    /// not the one in the state, and a state that is not the batch's. Zero where a payload needs no witness.
    function _storeFor(bytes calldata witness) internal view returns (address) {
        uint256 end = Cells.GLOBALS_PARAMETERS_HASH + HASH_BYTES;
        if (witness.length < end) return address(0);
        return _storeOf(bytes32(witness[Cells.GLOBALS_PARAMETERS_HASH:end]));
    }

    /// @dev Whether the header's time, cursor and queue hash are those of the state that the batch ends with.
    function _isHeaderRight(BatchHeader calldata header, StateParts calldata state) internal pure returns (bool) {
        if (state.globals.length != Cells.GLOBALS_BYTES) revert StatePartsMismatch(header.postStateRoot);
        bytes memory globals = state.globals;
        bytes32 root = keccak256(
            abi.encode(
                state.accountsRoot, state.instrumentsRoot, state.underlyingsRoot, state.outboxRoot, keccak256(globals)
            )
        );
        if (root != header.postStateRoot) revert StatePartsMismatch(header.postStateRoot);
        uint256 data;
        assembly ("memory-safe") {
            data := add(globals, 32)
        }
        // Reads stay within the bytes: the last of these fields ends long before them.
        return Cells.read(data + Cells.GLOBALS_TIME_MS, 8) == header.timeMs
            && Cells.read(data + Cells.GLOBALS_INBOUND_CURSOR, 8) == header.inboundCursor
            && Cells.readWord(data + Cells.GLOBALS_INBOUND_HASH) == header.inboundHash;
    }

    function _requireBlob(BatchHeader calldata header) internal pure {
        if (header.dataMode != DATA_MODE_BLOB) revert BatchNotInBlob(header.number);
    }

    /// @dev Whether the blob's data, once shown to be the blob's, are what the header says of them.
    function _isBlobRight(
        BatchHeader calldata header,
        bytes calldata data,
        bytes calldata commitment,
        bytes calldata proof
    ) internal view returns (bool) {
        _requireBlob(header);
        if (data.length != header.dataLength) revert BlobDataLengthMismatch(data.length, header.dataLength);
        BlobOpening.requireData(header.dataHash, data, commitment, proof);
        (bool isWhole, bytes32 cyclesRoot, bytes32 lastPostRoot) = CyclesTree.tryParse(data, header.cycleCount);
        return isWhole && cyclesRoot == header.cyclesRoot && lastPostRoot == header.postStateRoot;
    }
}
