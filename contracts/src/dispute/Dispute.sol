// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BatchHeader, IBatchChain} from "../chain/IBatchChain.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {ICycleRule} from "../rules/ICycleRule.sol";
import {CyclesPath} from "./CyclesPath.sol";
import {CycleClaim, IDispute, PreviousCycle, StateParts} from "./IDispute.sol";

/// @notice The part of the batch chain that pays bonds out.
interface IBondSource {
    function withdrawBond() external;
}

/// @title One-transaction fraud proofs
/// @notice Anyone names one fault of one batch that is not final. When the rule's contract shows it, the batch and its descendants are
/// dropped and the proposer's bond is split in the same call: half is burnt, rounded up, so that convicting oneself never
/// pays; the rest goes to the challenger. Parent links, queue positions and the frame of the data are checked by the batch
/// chain when a batch is posted.
/// @dev Warning: a challenge that reverts says nothing about the batch. Rules are called without a catch: no verdict rests on
/// a call that failed. Nothing here has an owner; the rules are fixed at deployment.
contract Dispute is IDispute, ReentrancyGuardTransient {
    error RuleTwice(uint256 kind);
    error RuleOfUnknownKind(uint256 kind);
    error ParametersWithoutCode(address parameters);
    error CallerNotBatchChain(address caller);

    uint256 private constant KIND_OFFSET = 1;
    /// @dev Wei here can never move again.
    address private constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    IBatchChain public immutable batchChain;
    /// @notice ParameterStore of the domain. Its hash is in every state, so a wrong one only makes challenges revert.
    address public immutable parameters;
    /// @notice Bit k: the ledger decodes cycles of kind k. Any other kind is malformed.
    uint256 public immutable knownKinds;
    mapping(uint256 kind => ICycleRule) public ruleOf;

    /// @param batchChain_ may be a predicted address: it names this contract in turn
    constructor(IBatchChain batchChain_, address parameters_, uint256 knownKinds_, ICycleRule[] memory rules) {
        if (parameters_.code.length == 0) revert ParametersWithoutCode(parameters_);
        batchChain = batchChain_;
        parameters = parameters_;
        knownKinds = knownKinds_;
        for (uint256 i = 0; i < rules.length; ++i) {
            uint256 kind = rules[i].kind();
            if (kind > type(uint8).max || (knownKinds_ >> kind) & 1 == 0) revert RuleOfUnknownKind(kind);
            if (address(ruleOf[kind]) != address(0)) revert RuleTwice(kind);
            ruleOf[kind] = rules[i];
        }
    }

    receive() external payable {
        if (msg.sender != address(batchChain)) revert CallerNotBatchChain(msg.sender);
    }

    // ── challenges ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IDispute
    function challengeRoot(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        bytes calldata witness
    ) external nonReentrant {
        bytes32 preStateRoot = _open(header, claim, previous);
        (bool isMalformed, ICycleRule rule) = _ruleFor(claim.payload);
        uint256 code = RejectionCodes.MALFORMED;
        if (!isMalformed) {
            bytes32 root;
            (code, root) = rule.execute(parameters, preStateRoot, claim.payload, witness);
            if (code == 0 && root == claim.postRoot) revert NoFraud();
        }
        _convict(header.number, claim.index, code);
    }

    /// @inheritdoc IDispute
    function challengeAccount(
        BatchHeader calldata header,
        CycleClaim calldata claim,
        PreviousCycle calldata previous,
        uint256 account,
        bytes calldata witness
    ) external nonReentrant {
        bytes32 preStateRoot = _open(header, claim, previous);
        (bool isMalformed, ICycleRule rule) = _ruleFor(claim.payload);
        uint256 code = RejectionCodes.MALFORMED;
        if (!isMalformed) code = rule.check(parameters, preStateRoot, claim.payload, account, witness);
        if (code == 0) revert NoFraud();
        _convict(header.number, claim.index, code);
    }

    /// @inheritdoc IDispute
    function challengeHeader(BatchHeader calldata header, StateParts calldata state) external nonReentrant {
        _requireHeader(header);
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
        // Reads stay within the bytes: the last of these fields ends 79 bytes before them.
        bool isRight = Cells.read(data + Cells.GLOBALS_TIME_MS, 8) == header.timeMs
            && Cells.read(data + Cells.GLOBALS_INBOUND_CURSOR, 8) == header.inboundCursor
            && Cells.readWord(data + Cells.GLOBALS_INBOUND_HASH) == header.inboundHash;
        if (isRight) revert NoFraud();
        _convict(header.number, header.cycleCount, 0);
    }

    // ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────

    function _requireHeader(BatchHeader calldata header) private view {
        if (keccak256(abi.encode(header)) != batchChain.batch(header.number).batchHash) {
            revert HeaderMismatch(header.number);
        }
    }

    /// @dev The root that the claimed cycle starts from, once claim and neighbour are shown to be the batch's.
    function _open(BatchHeader calldata header, CycleClaim calldata claim, PreviousCycle calldata previous)
        private
        view
        returns (bytes32)
    {
        _requireHeader(header);
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
    function _ruleFor(bytes calldata payload) private view returns (bool isMalformed, ICycleRule rule) {
        if (payload.length <= KIND_OFFSET || uint8(payload[0]) != Limits.PAYLOAD_VERSION) return (true, rule);
        uint256 kind = uint8(payload[KIND_OFFSET]);
        if ((knownKinds >> kind) & 1 == 0) return (true, rule);
        rule = ruleOf[kind];
        if (address(rule) == address(0)) revert KindWithoutRule(kind);
    }

    // ── conviction ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev The batch chain refuses batches that are final or gone: a second conviction of the same batch reverts.
    function _convict(uint64 number, uint32 cycleIndex, uint256 code) private {
        batchChain.dropFrom(number, address(this));
        IBondSource(address(batchChain)).withdrawBond();
        // All that is here: the bond, and what somebody forced into this account.
        uint256 bond = address(this).balance;
        uint256 rewardWei = bond / 2;
        uint256 burntWei = bond - rewardWei;
        emit FraudProven(number, cycleIndex, code, msg.sender, rewardWei, burntWei);
        Address.sendValue(payable(BURN_ADDRESS), burntWei);
        Address.sendValue(payable(msg.sender), rewardWei);
    }
}
