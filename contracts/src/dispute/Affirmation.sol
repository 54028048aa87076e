// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {BatchHeader, IBatchChain} from "../chain/IBatchChain.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {ICycleRule} from "../rules/ICycleRule.sol";
import {CycleJudge} from "./CycleJudge.sol";
import {BatchProgress, CycleProgress, IAffirmation} from "./IAffirmation.sol";
import {CycleClaim, IDispute, PreviousCycle, StateParts} from "./IDispute.sol";

/// @title Proving batches right, piece by piece
/// @notice Anyone runs the checks of a batch with the code that judges fraud, in as many transactions as it takes; when all of them have
/// passed, the batch is marked as proven and becomes final after the policy's guard delay. docs/spec/settlement.md, section
/// Affirmation, says why these checks are all.
///
/// Progress belongs to a batch hash, not to a number. The hash commits to the root that the batch starts from, to every cycle in
/// its place and to every root between them, and no check looks at anything else but parameters that the state names by hash.
/// So what was affirmed of a hash holds for good: another batch under the same number has nothing of it, and the same header
/// posted again after a drop keeps it.
/// @dev Warning: a proof is as good as the rules. If one of them accepts what the ledger refuses, a wrong batch is final after the
/// guard delay instead of the window; a conviction of a proven batch freezes the venue for that reason.
contract Affirmation is IAffirmation, CycleJudge, ReentrancyGuardTransient {
    using BitMaps for BitMaps.BitMap;

    error DisputeOfAnotherChain(address batchChain);

    /// @notice Whose rules and parameter stores judge here too.
    IDispute public immutable dispute;
    uint256 private immutable _knownKinds;

    mapping(bytes32 batchHash => BatchProgress) private _batches;
    mapping(bytes32 batchHash => mapping(uint256 cycle => CycleProgress)) private _cycles;
    mapping(bytes32 batchHash => mapping(uint256 cycle => BitMaps.BitMap)) private _accounts;

    /// @param batchChain_ may be a predicted address; the dispute contract names the same
    constructor(IBatchChain batchChain_, IDispute dispute_) CycleJudge(batchChain_) {
        address named = address(CycleJudge(address(dispute_)).batchChain());
        if (named != address(batchChain_)) revert DisputeOfAnotherChain(named);
        dispute = dispute_;
        _knownKinds = dispute_.knownKinds();
    }

    function _isKnownKind(uint256 kind) internal view override returns (bool) {
        return (_knownKinds >> kind) & 1 == 1;
    }

    function _ruleOf(uint256 kind) internal view override returns (ICycleRule) {
        return dispute.ruleOf(kind);
    }

    function _storeOf(bytes32 parametersHash) internal view override returns (address) {
        return dispute.storeOf(parametersHash);
    }

    // ── affirming ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IAffirmation
    function affirmCycle(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        bytes calldata witness
    ) external nonReentrant {
        (, bytes32 batchHash) = _requireHeader(header);
        bytes32 preStateRoot = _open(header, claim, previous);
        (ICycleRule rule, uint256[] memory accounts) = _boundedRule(claim.payload);
        CycleProgress storage progress = _cycles[batchHash][claim.index];
        if (progress.isExecuted) revert AlreadyAffirmed();
        (uint256 code, bytes32 root) = rule.execute(_storeFor(witness), preStateRoot, claim.payload, witness);
        if (code != 0 || root != claim.postRoot) revert NotRight(code);
        progress.isExecuted = true;
        emit CycleAffirmed(batchHash, claim.index);
        _count(batchHash, progress, accounts.length);
    }

    /// @inheritdoc IAffirmation
    function affirmAccount(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        uint256 ordinal,
        bytes calldata witness
    ) external nonReentrant {
        (, bytes32 batchHash) = _requireHeader(header);
        (uint256 account, uint256 count) = _requireSound(_open(header, claim, previous), claim, ordinal, witness);
        CycleProgress storage progress = _cycles[batchHash][claim.index];
        BitMaps.BitMap storage affirmed = _accounts[batchHash][claim.index];
        if (affirmed.get(ordinal)) revert AlreadyAffirmed();
        affirmed.set(ordinal);
        progress.accountsRight += 1;
        emit AccountAffirmed(batchHash, claim.index, account);
        _count(batchHash, progress, count);
    }

    function _requireSound(bytes32 preStateRoot, CycleClaim calldata claim, uint256 ordinal, bytes calldata witness)
        private
        view
        returns (uint256 account, uint256 count)
    {
        (ICycleRule rule, uint256[] memory accounts) = _boundedRule(claim.payload);
        count = accounts.length;
        if (ordinal >= count) revert OrdinalOutOfRange(ordinal, count);
        account = accounts[ordinal];
        uint256 code = rule.check(_storeFor(witness), preStateRoot, claim.payload, account, witness);
        if (code != 0) revert NotRight(code);
    }

    /// @inheritdoc IAffirmation
    function affirmHeader(BatchHeader calldata header, StateParts calldata state) external nonReentrant {
        (, bytes32 batchHash) = _requireHeader(header);
        BatchProgress storage progress = _batches[batchHash];
        if (progress.isHeaderRight) revert AlreadyAffirmed();
        if (!_isHeaderRight(header, state)) revert NotRight(0);
        progress.isHeaderRight = true;
        emit HeaderAffirmed(batchHash);
    }

    /// @inheritdoc IAffirmation
    function affirmBlob(
        BatchHeader calldata header,
        bytes calldata data,
        bytes calldata commitment,
        bytes calldata proof
    ) external nonReentrant {
        (, bytes32 batchHash) = _requireHeader(header);
        BatchProgress storage progress = _batches[batchHash];
        if (progress.isBlobRight) revert AlreadyAffirmed();
        if (!_isBlobRight(header, data, commitment, proof)) revert NotRight(0);
        progress.isBlobRight = true;
        emit BlobAffirmed(batchHash);
    }

    /// @inheritdoc IAffirmation
    function conclude(BatchHeader calldata header) external nonReentrant {
        (, bytes32 batchHash) = _requireHeader(header);
        BatchProgress memory progress = _batches[batchHash];
        // Cycles are counted once each, and indices are below the header's count: the numbers are equal when all are right.
        if (progress.cyclesRight != header.cycleCount) revert CyclesMissing(progress.cyclesRight, header.cycleCount);
        if (!progress.isHeaderRight) revert HeaderMissing();
        if (header.dataMode != 0 && !progress.isBlobRight) revert BlobMissing();
        emit BatchConcluded(header.number, batchHash);
        batchChain.markProven(header.number);
    }

    /// @dev A malformed payload is wrong by its bytes; the rule's own answer would be the same.
    function _boundedRule(bytes calldata payload) private view returns (ICycleRule rule, uint256[] memory accounts) {
        bool isMalformed;
        (isMalformed, rule) = _ruleFor(payload);
        if (isMalformed) revert NotRight(RejectionCodes.MALFORMED);
        if (!rule.isBounded()) revert KindNotAffirmable(uint8(payload[1]));
        accounts = rule.accountsOf(payload);
    }

    /// @dev Called after a change of `progress`, of which each happens once: a cycle becomes right once.
    function _count(bytes32 batchHash, CycleProgress storage progress, uint256 accounts) private {
        if (progress.isExecuted && progress.accountsRight == accounts) _batches[batchHash].cyclesRight += 1;
    }

    // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IAffirmation
    function progressOf(bytes32 batchHash) external view returns (BatchProgress memory) {
        return _batches[batchHash];
    }

    /// @inheritdoc IAffirmation
    function cycleProgressOf(bytes32 batchHash, uint256 cycleIndex) external view returns (CycleProgress memory) {
        return _cycles[batchHash][cycleIndex];
    }

    /// @inheritdoc IAffirmation
    function isAccountAffirmed(bytes32 batchHash, uint256 cycleIndex, uint256 ordinal) external view returns (bool) {
        return _accounts[batchHash][cycleIndex].get(ordinal);
    }
}
