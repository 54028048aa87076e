// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInboundQueue} from "../custody/IInboundQueue.sol";
import {CyclesTree} from "../lib/CyclesTree.sol";
import {Limits} from "../lib/Limits.sol";
import {BatchTiming, IFinalityPolicy} from "../policy/IFinalityPolicy.sol";
import {IProposerPolicy} from "../policy/IProposerPolicy.sol";
import {Batch, BatchHeader, IBatchChain} from "./IBatchChain.sol";

/// @notice What a batch chain is made with. `custody`, `dispute` and `affirmation` may be predicted addresses.
struct ChainTerms {
    address custody;
    /// @dev State root of batch 0.
    bytes32 genesisRoot;
    uint32 domain;
    /// @dev Least bond of a batch, 1 to 2^96 - 1.
    uint256 bondWei;
    IFinalityPolicy finalityPolicy;
    IProposerPolicy proposerPolicy;
    /// @dev Only caller of `dropFrom`; zero = nobody.
    address dispute;
    /// @dev Only caller of `markProven`; zero = nobody.
    address affirmation;
}

/// @title Batch headers, bonds, parent links and final roots
/// @notice Batches are numbered from 1; batch 0 is genesis. Numbers of dropped batches are used again.
///
/// Deployment. The genesis root commits to the custody address, and custody and chain name each other for good:
///  1. policies, dispute and affirmation (each of them with the predicted address of this contract);
///  2. the address of custody is predicted: CREATE of the deployer at the nonce after this contract's;
///  3. this contract, with that address and the genesis root made with it;
///  4. custody, whose constructor reverts unless this contract names the address that custody got.
/// Should 4 fail, this contract is an orphan that cannot post: nothing has been lost.
///
/// @dev Warning: no rule of the ledger is checked here. A wrong batch becomes final when nobody proves it wrong before
/// its floor; with `dispute` = 0 nobody can, and the proposer is trusted. The watcher still sees it.
/// @dev Warning: of a batch in a blob the chain sees the versioned hash alone. Frame, cycles root, count and last root are
/// what the proposer says until somebody opens the blob (Dispute); in calldata they are checked here.
/// @dev Warning: an inbound entry is consumed by count and hash. That the proposer read it from a finalised L1 block is
/// the venue's rule, not the contract's; an L1 reorg that changes the queue makes the posting transaction revert.
/// @dev Warning: only an account without code may post, in a transaction of its own: no contract wallet, no delegated account.
contract BatchChain is IBatchChain, ReentrancyGuardTransient {
    error CustodyZero();
    error GenesisRootZero();
    error BondWeiOutOfRange(uint256 bondWei);
    error PolicyWithoutCode(address policy);

    error CallIsNotTheTransaction(address caller);
    /// @notice The call's bytes are another encoding of header and data than the canonical one.
    error CalldataNotCanonical();
    error ProposerNotAllowed(address proposer);
    error VersionUnknown(uint32 version);
    error DomainMismatch(uint32 domain);
    error DataModeUnknown(uint8 dataMode);
    error NumberNotNext(uint64 number, uint64 expected);
    error ParentMismatch(bytes32 parent, bytes32 expected);
    error PreStateRootMismatch(bytes32 preStateRoot, bytes32 expected);
    error PostStateRootMismatch(bytes32 postStateRoot, bytes32 lastPostRoot);
    error CyclesRootMismatch(bytes32 cyclesRoot, bytes32 computed);
    error CycleCountOutOfRange(uint32 cycleCount);
    error DataTooLong(uint256 length);
    error DataLengthMismatch(uint32 dataLength, uint256 length);
    error DataHashMismatch(bytes32 dataHash, bytes32 expected);
    error BlobCountNotOne();
    error VenueFrozen();
    error FirstCycleMismatch(uint64 firstCycle, uint64 expected);
    error TimeBeforeParent(uint64 timeMs, uint64 parentTimeMs);
    error TimeAhead(uint64 timeMs);
    error InboundCursorBehindParent(uint64 inboundCursor, uint64 parentCursor);
    error InboundCursorBeyondQueue(uint64 inboundCursor, uint64 queueLength);
    error InboundHashMismatch(bytes32 inboundHash, bytes32 expected);
    error BondOutOfRange(uint256 value);

    error BatchAlreadyFinal(uint64 number);
    error ParentNotFinal(uint64 number);
    error FloorNotReached(uint64 number, uint64 finalisableAt);
    error CallerNotDispute(address caller);
    error CallerNotAffirmation(address caller);
    error BatchAlreadyProven(uint64 number);
    error BeneficiaryZero();
    error BatchNotDropped(uint64 number);
    error BondAlreadyCredited(uint64 number);
    error NothingToWithdraw(address account);

    uint32 public constant HEADER_VERSION = 1;
    uint8 public constant DATA_MODE_CALLDATA = 0;
    uint8 public constant DATA_MODE_BLOB = 1;
    uint256 private constant SELECTOR_BYTES = 4;
    /// @dev abi.encode(header): every field a word.
    uint256 private constant HEADER_BYTES = 15 * 32;

    address public immutable custody;
    IFinalityPolicy public immutable finalityPolicy;
    IProposerPolicy public immutable proposerPolicy;
    /// @notice Only caller of `dropFrom`; zero = nobody.
    address public immutable dispute;
    /// @notice Only caller of `markProven`; zero = nobody.
    address public immutable affirmation;
    /// @notice Least bond of a batch.
    uint256 public immutable bondWei;
    uint32 public immutable domain;

    uint64 public lastNumber;
    uint64 public lastFinal;
    /// @inheritdoc IBatchChain
    uint64 public lastDropAt;
    /// @notice Wei that an account may withdraw.
    mapping(address account => uint256) public bondCredit;
    /// @dev Above lastNumber: dropped batches whose bond may still be uncredited.
    mapping(uint64 number => Batch) private _batches;

    constructor(ChainTerms memory terms) {
        if (terms.custody == address(0)) revert CustodyZero();
        if (terms.genesisRoot == 0) revert GenesisRootZero();
        if (terms.bondWei == 0 || terms.bondWei > type(uint96).max) revert BondWeiOutOfRange(terms.bondWei);
        _requireCode(address(terms.finalityPolicy));
        _requireCode(address(terms.proposerPolicy));
        custody = terms.custody;
        domain = terms.domain;
        bondWei = terms.bondWei;
        finalityPolicy = terms.finalityPolicy;
        proposerPolicy = terms.proposerPolicy;
        dispute = terms.dispute;
        affirmation = terms.affirmation;
        _batches[0].batchHash = keccak256(abi.encode(terms.genesisRoot));
        _batches[0].postStateRoot = terms.genesisRoot;
    }

    function _requireCode(address policy) private view {
        if (policy.code.length == 0) revert PolicyWithoutCode(policy);
    }

    // ── posting ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Posts the next batch. `data` = cycles, each uint32 length (big-endian) ‖ postRoot 32 ‖ payload.
    /// @dev The whole of msg.value is the bond.
    function postBatch(BatchHeader calldata header, bytes calldata data) external payable nonReentrant {
        _requireCanonical(data);
        _checkData(header, data);
        _post(header);
    }

    /// @inheritdoc IBatchChain
    /// @dev The whole of msg.value is the bond. Frame, roots and count are not checked here: `Dispute.challengeBlob` is.
    function postBatchBlob(BatchHeader calldata header) external payable nonReentrant {
        if (msg.data.length != SELECTOR_BYTES + HEADER_BYTES) revert CalldataNotCanonical();
        _checkCount(header, DATA_MODE_BLOB);
        if (header.dataLength > Limits.BLOB_BATCH_BYTES_MAX) revert DataTooLong(header.dataLength);
        bytes32 blobHash = blobhash(0);
        if (blobHash == 0 || blobhash(1) != 0) revert BlobCountNotOne();
        if (header.dataHash != blobHash) revert DataHashMismatch(header.dataHash, blobHash);
        _post(header);
    }

    function _post(BatchHeader calldata header) private {
        uint64 number = header.number;
        // Readers take header and data from the transaction. A batch handed on by a contract, or by the code of a delegated
        // account, could hide both from whoever has no tracing node, and a batch that nobody can read nobody can challenge.
        if (msg.sender != tx.origin || msg.sender.code.length != 0) revert CallIsNotTheTransaction(msg.sender);
        if (!proposerPolicy.mayPost(msg.sender, number)) revert ProposerNotAllowed(msg.sender);
        if (msg.value < bondWei || msg.value > type(uint96).max) revert BondOutOfRange(msg.value);
        _checkLinks(header);
        _checkInbound(header);

        Batch storage record = _batches[number];
        // A dropped batch of the same number: its bond would be overwritten.
        if (record.bond != 0) _creditBond(record, number, record.proposer);

        bytes32 batchHash = keccak256(abi.encode(header));
        lastNumber = number;
        record.batchHash = batchHash;
        record.postStateRoot = header.postStateRoot;
        record.nextCycle = header.firstCycle + header.cycleCount;
        record.timeMs = header.timeMs;
        record.inboundCursor = header.inboundCursor;
        record.proposer = msg.sender;
        record.bond = uint96(msg.value);
        record.postedAt = uint64(block.timestamp);
        record.postedBlock = uint64(block.number);
        // What was known of a dropped batch says nothing of this one.
        record.floor = 0;
        record.provenAt = 0;
        uint64 floor = finalityPolicy.floorOf(_timing(number, record));
        record.floor = floor;
        emit BatchPosted(number, batchHash, header.postStateRoot, floor, msg.sender);
    }

    /// @dev Readers take header and data from the bytes of the transaction. The ABI knows many encodings of the same values; a
    /// reader that does not know one of them would neither follow a right batch nor challenge a wrong one. Range checks of
    /// the header's words are the decoder's.
    function _requireCanonical(bytes calldata data) private pure {
        uint256 start;
        assembly ("memory-safe") {
            start := data.offset
        }
        uint256 rest = data.length % 32;
        uint256 end = start + data.length + (rest == 0 ? 0 : 32 - rest);
        if (start != SELECTOR_BYTES + HEADER_BYTES + 64 || msg.data.length != end) revert CalldataNotCanonical();
        if (rest == 0) return;
        uint256 padding;
        assembly ("memory-safe") {
            padding := shl(mul(8, rest), calldataload(sub(end, 32)))
        }
        if (padding != 0) revert CalldataNotCanonical();
    }

    function _checkLinks(BatchHeader calldata header) private view {
        if (header.version != HEADER_VERSION) revert VersionUnknown(header.version);
        if (header.domain != domain) revert DomainMismatch(header.domain);
        if (header.number != lastNumber + 1) revert NumberNotNext(header.number, lastNumber + 1);
        Batch storage parent = _batches[lastNumber];
        if (header.parent != parent.batchHash) revert ParentMismatch(header.parent, parent.batchHash);
        if (header.preStateRoot != parent.postStateRoot) {
            revert PreStateRootMismatch(header.preStateRoot, parent.postStateRoot);
        }
        if (header.firstCycle != parent.nextCycle) revert FirstCycleMismatch(header.firstCycle, parent.nextCycle);
        if (header.timeMs < parent.timeMs) revert TimeBeforeParent(header.timeMs, parent.timeMs);
        // The block's time is known to the second; a cycle of the same second is not ahead.
        if (header.timeMs > block.timestamp * 1000 + 999) revert TimeAhead(header.timeMs);
        if (header.inboundCursor < parent.inboundCursor) {
            revert InboundCursorBehindParent(header.inboundCursor, parent.inboundCursor);
        }
    }

    function _checkInbound(BatchHeader calldata header) private view {
        if (IInboundQueue(custody).frozen()) revert VenueFrozen();
        uint64 queueLength = IInboundQueue(custody).queueLength();
        if (header.inboundCursor > queueLength) revert InboundCursorBeyondQueue(header.inboundCursor, queueLength);
        bytes32 expected = IInboundQueue(custody).queueHash(header.inboundCursor);
        if (header.inboundHash != expected) revert InboundHashMismatch(header.inboundHash, expected);
    }

    function _checkCount(BatchHeader calldata header, uint8 dataMode) private pure {
        if (header.dataMode != dataMode) revert DataModeUnknown(header.dataMode);
        if (header.cycleCount == 0 || header.cycleCount > Limits.CYCLES_PER_BATCH_MAX) {
            revert CycleCountOutOfRange(header.cycleCount);
        }
    }

    function _checkData(BatchHeader calldata header, bytes calldata data) private pure {
        _checkCount(header, DATA_MODE_CALLDATA);
        if (header.dataHash != 0) revert DataHashMismatch(header.dataHash, 0);
        if (data.length > Limits.BATCH_BYTES_MAX) revert DataTooLong(data.length);
        if (header.dataLength != data.length) revert DataLengthMismatch(header.dataLength, data.length);
        (bytes32 cyclesRoot, bytes32 lastPostRoot) = CyclesTree.parse(data, header.cycleCount);
        if (header.cyclesRoot != cyclesRoot) revert CyclesRootMismatch(header.cyclesRoot, cyclesRoot);
        if (header.postStateRoot != lastPostRoot) revert PostStateRootMismatch(header.postStateRoot, lastPostRoot);
    }

    // ── finality ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IBatchChain
    function poke(uint64 number) external nonReentrant {
        _requirePending(number);
        Batch storage record = _batches[number];
        uint64 floor = finalityPolicy.floorOf(_timing(number, record));
        if (floor <= record.floor) return;
        record.floor = floor;
        emit FloorRaised(number, floor);
    }

    /// @inheritdoc IBatchChain
    function markProven(uint64 number) external nonReentrant {
        if (msg.sender != affirmation) revert CallerNotAffirmation(msg.sender);
        _requirePending(number);
        Batch storage record = _batches[number];
        if (record.provenAt != 0) revert BatchAlreadyProven(number);
        uint64 provenAt = uint64(block.timestamp);
        record.provenAt = provenAt;
        emit BatchProven(number, provenAt);
    }

    /// @inheritdoc IBatchChain
    function finalise(uint64 number) external nonReentrant {
        _requirePending(number);
        if (number != lastFinal + 1) revert ParentNotFinal(number);
        Batch storage record = _batches[number];
        uint64 finalisableAt = finalityPolicy.finalisableAt(_timing(number, record));
        if (block.timestamp < finalisableAt) revert FloorNotReached(number, finalisableAt);
        lastFinal = number;
        emit BatchFinal(number, record.postStateRoot);
        _creditBond(record, number, record.proposer);
    }

    /// @inheritdoc IBatchChain
    /// @dev The bond of `number` goes to the beneficiary. Work does not grow with the number of descendants, or whoever
    /// posts many batches could make a drop impossible: their bonds are credited back by `reclaimBond`, or when a new
    /// batch takes the number.
    function dropFrom(uint64 number, address beneficiary) external nonReentrant {
        if (msg.sender != dispute) revert CallerNotDispute(msg.sender);
        if (beneficiary == address(0)) revert BeneficiaryZero();
        _requirePending(number);
        emit BatchesDropped(number, lastNumber, beneficiary);
        lastNumber = number - 1;
        lastDropAt = uint64(block.timestamp);
        _creditBond(_batches[number], number, beneficiary);
    }

    // ── bonds ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Credits the bond of a batch that was dropped as a descendant to its proposer; anyone may call.
    function reclaimBond(uint64 number) external nonReentrant {
        Batch storage record = _batches[number];
        if (number <= lastNumber || record.proposer == address(0)) revert BatchNotDropped(number);
        if (record.bond == 0) revert BondAlreadyCredited(number);
        _creditBond(record, number, record.proposer);
    }

    /// @notice Pays the caller's credit out.
    /// @dev Warning: a contract that cannot receive wei cannot withdraw.
    function withdrawBond() external nonReentrant {
        uint256 amount = bondCredit[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        bondCredit[msg.sender] = 0;
        emit BondWithdrawn(msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount);
    }

    function _creditBond(Batch storage record, uint64 number, address account) private {
        uint256 amount = record.bond;
        record.bond = 0;
        bondCredit[account] += amount;
        emit BondCredited(account, number, amount);
    }

    // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IBatchChain
    function batch(uint64 number) external view returns (Batch memory) {
        if (number > lastNumber) revert BatchUnknown(number);
        return _batches[number];
    }

    /// @inheritdoc IBatchChain
    function finalRoot(uint64 number) external view returns (bytes32) {
        if (number > lastFinal) revert BatchNotFinal(number);
        return _batches[number].postStateRoot;
    }

    function _requirePending(uint64 number) private view {
        if (number <= lastFinal) revert BatchAlreadyFinal(number);
        if (number > lastNumber) revert BatchUnknown(number);
    }

    function _timing(uint64 number, Batch storage record) private view returns (BatchTiming memory) {
        return BatchTiming(number, record.postedAt, record.postedBlock, record.floor, record.provenAt);
    }
}
