// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Batch, BatchHeader, IBatchChain} from "../chain/IBatchChain.sol";
import {IEscape} from "../escape/IEscape.sol";
import {BlobOpening} from "../lib/BlobOpening.sol";
import {ParameterStore} from "../lib/ParameterStore.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {ICycleRule} from "../rules/ICycleRule.sol";
import {IStakeRegistry} from "../stake/IStakeRegistry.sol";
import {CycleJudge} from "./CycleJudge.sol";
import {CycleClaim, IDispute, PreviousCycle, StateParts} from "./IDispute.sol";

/// @notice The part of the batch chain that pays bonds out.
interface IBondSource {
    function withdrawBond() external;
}

/// @notice What a dispute contract is made with. `batchChain`, `stakeRegistry` and `escape` may be predicted addresses.
struct DisputeTerms {
    IBatchChain batchChain;
    /// @dev ParameterStore of the genesis state.
    address parameters;
    /// @dev Bit k: the ledger decodes cycles of kind k. Any other kind is malformed.
    uint256 knownKinds;
    /// @dev IStakeRegistry told of every conviction; zero = none.
    address stakeRegistry;
    /// @dev IEscape told of fraud in final or proven batches; zero = none, and final batches cannot be challenged.
    address escape;
}

/// @title One-transaction fraud proofs
/// @notice Anyone names one fault of one batch. When the rule's contract shows it:
///  - a batch that is not final is dropped with its descendants, and its bond is split in the same call: half is burnt, rounded
///    up, so that convicting oneself never pays; the rest goes to the challenger;
///  - a batch that is final freezes the custody, and the venue is wound up from the batch before it. No window ends this right:
///    the chain keeps every final batch's hash. One conviction a batch;
///  - a batch that was proven right on this chain but is not final is dropped and freezes too: one of the verifiers is broken;
///  - in all cases the proposer's stake answers for it.
/// Parent links, queue positions and, in calldata, the frame of the data are checked by the batch chain when a batch is posted.
/// @dev Warning: a challenge that reverts says nothing about the batch. Rules are called without a catch: no verdict rests on
/// a call that failed. Nothing here has an owner; the rules are fixed at deployment.
/// @dev Warning: a stake registry or an escape that reverts would make convictions impossible. Both promise not to.
contract Dispute is IDispute, CycleJudge, ReentrancyGuardTransient {
    error RuleTwice(uint256 kind);
    error RuleOfUnknownKind(uint256 kind);
    error ParametersWithoutCode(address parameters);
    error CallerNotBatchChain(address caller);

    /// @dev Wei here can never move again.
    address private constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    /// @inheritdoc IDispute
    uint256 public immutable knownKinds;
    /// @notice IStakeRegistry; zero = none.
    address public immutable stakeRegistry;
    /// @notice IEscape; zero = none.
    address public immutable escape;
    /// @notice ParameterStore of the genesis state.
    address public immutable parameters;
    /// @inheritdoc IDispute
    mapping(uint256 kind => ICycleRule) public ruleOf;
    /// @inheritdoc IDispute
    mapping(bytes32 hash => address) public storeOf;
    /// @notice Final batches that were convicted.
    mapping(uint64 number => bool) public isConvicted;

    constructor(DisputeTerms memory terms, ICycleRule[] memory rules) CycleJudge(terms.batchChain) {
        if (terms.parameters.code.length == 0) revert ParametersWithoutCode(terms.parameters);
        knownKinds = terms.knownKinds;
        stakeRegistry = terms.stakeRegistry;
        escape = terms.escape;
        parameters = terms.parameters;
        for (uint256 i = 0; i < rules.length; ++i) {
            uint256 kind = rules[i].kind();
            if (kind > type(uint8).max || (terms.knownKinds >> kind) & 1 == 0) revert RuleOfUnknownKind(kind);
            if (address(ruleOf[kind]) != address(0)) revert RuleTwice(kind);
            ruleOf[kind] = rules[i];
        }
        bytes memory code = terms.parameters.code;
        bytes32 hash;
        assembly ("memory-safe") {
            // Behind the leading zero byte.
            hash := keccak256(add(code, 33), sub(mload(code), 1))
        }
        storeOf[hash] = terms.parameters;
    }

    receive() external payable {
        if (msg.sender != address(batchChain)) revert CallerNotBatchChain(msg.sender);
    }

    // ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IDispute
    function registerParameters(bytes calldata encoded) external returns (address store) {
        bytes32 hash = keccak256(encoded);
        store = storeOf[hash];
        if (store != address(0)) return store;
        store = address(new ParameterStore(encoded));
        storeOf[hash] = store;
        emit ParametersRegistered(hash, store);
    }

    function _isKnownKind(uint256 kind) internal view override returns (bool) {
        return (knownKinds >> kind) & 1 == 1;
    }

    function _ruleOf(uint256 kind) internal view override returns (ICycleRule) {
        return ruleOf[kind];
    }

    function _storeOf(bytes32 parametersHash) internal view override returns (address) {
        return storeOf[parametersHash];
    }

    // ── challenges ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IDispute
    function challengeRoot(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        bytes calldata witness
    ) external nonReentrant {
        Batch memory record = _requireConvictable(header);
        bytes32 preStateRoot = _open(header, claim, previous);
        (bool isMalformed, ICycleRule rule) = _ruleFor(claim.payload);
        uint256 code = RejectionCodes.MALFORMED;
        if (!isMalformed) {
            bytes32 root;
            (code, root) = rule.execute(_storeFor(witness), preStateRoot, claim.payload, witness);
            if (code == 0 && root == claim.postRoot) revert NoFraud();
        }
        _convict(header.number, record, claim.index, code);
    }

    /// @inheritdoc IDispute
    function challengeAccount(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        uint256 account,
        bytes calldata witness
    ) external nonReentrant {
        Batch memory record = _requireConvictable(header);
        uint256 code = _codeAt(_open(header, claim, previous), claim, account, witness);
        if (code == 0) revert NoFraud();
        _convict(header.number, record, claim.index, code);
    }

    function _codeAt(bytes32 preStateRoot, CycleClaim calldata claim, uint256 account, bytes calldata witness)
        private
        view
        returns (uint256)
    {
        (bool isMalformed, ICycleRule rule) = _ruleFor(claim.payload);
        if (isMalformed) return RejectionCodes.MALFORMED;
        return rule.check(_storeFor(witness), preStateRoot, claim.payload, account, witness);
    }

    /// @inheritdoc IDispute
    function challengeHeader(BatchHeader calldata header, StateParts calldata state) external nonReentrant {
        Batch memory record = _requireConvictable(header);
        if (_isHeaderRight(header, state)) revert NoFraud();
        _convict(header.number, record, header.cycleCount, 0);
    }

    /// @inheritdoc IDispute
    function challengeBlob(
        BatchHeader calldata header,
        bytes calldata data,
        bytes calldata commitment,
        bytes calldata proof
    ) external nonReentrant {
        Batch memory record = _requireConvictable(header);
        if (_isBlobRight(header, data, commitment, proof)) revert NoFraud();
        _convict(header.number, record, header.cycleCount, 0);
    }

    /// @inheritdoc IDispute
    function challengeBlobElement(
        BatchHeader calldata header,
        uint256 index,
        uint256 value,
        bytes calldata commitment,
        bytes calldata proof
    ) external nonReentrant {
        Batch memory record = _requireConvictable(header);
        _requireBlob(header);
        BlobOpening.requireElement(header.dataHash, index, value, commitment, proof);
        if (!BlobOpening.isForeign(index, value, header.dataLength)) revert NoFraud();
        _convict(header.number, record, header.cycleCount, 0);
    }

    // ── conviction ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Before the rule runs: nobody pays for a verdict that has no consequence.
    function _requireConvictable(BatchHeader calldata header) private view returns (Batch memory record) {
        (record,) = _requireHeader(header);
        uint64 number = header.number;
        if (number > batchChain.lastFinal()) return record;
        if (escape == address(0)) revert BatchFinalWithoutEscape(number);
        if (isConvicted[number]) revert AlreadyConvicted(number);
    }

    function _convict(uint64 number, Batch memory record, uint32 cycleIndex, uint256 code) private {
        if (number <= batchChain.lastFinal()) {
            isConvicted[number] = true;
            emit LateFraudProven(number, cycleIndex, code, msg.sender);
            IEscape(escape).lateFraud(number);
            _slash(number, record.proposer);
            return;
        }
        // A second conviction of a dropped batch finds no header.
        batchChain.dropFrom(number, address(this));
        IBondSource(address(batchChain)).withdrawBond();
        // All that is here: the bond, and what somebody forced into this account.
        uint256 bond = address(this).balance;
        uint256 rewardWei = bond / 2;
        uint256 burntWei = bond - rewardWei;
        emit FraudProven(number, cycleIndex, code, msg.sender, rewardWei, burntWei);
        if (record.provenAt != 0 && escape != address(0)) IEscape(escape).lateFraud(number);
        _slash(number, record.proposer);
        Address.sendValue(payable(BURN_ADDRESS), burntWei);
        Address.sendValue(payable(msg.sender), rewardWei);
    }

    function _slash(uint64 number, address proposer) private {
        if (stakeRegistry == address(0)) return;
        IStakeRegistry(stakeRegistry).slashProposer(proposer, number, msg.sender);
    }
}
