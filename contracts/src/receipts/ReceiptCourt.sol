// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBatchChain} from "../chain/IBatchChain.sol";
import {IEscape} from "../escape/IEscape.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, State, StateWitness} from "../lib/StateWitness.sol";
import {IStakeRegistry} from "../stake/IStakeRegistry.sol";
import {ClaimRound, CourtTerms, IReceiptCourt, OrderTerms, Receipt, ReceiptClaim} from "./IReceiptCourt.sol";
import {ICourtChain, ICourtCustody, ICourtRegistry} from "./IReceiptSources.sol";
import {ReceiptHashes} from "./ReceiptHashes.sol";
import {ReceiptEvidence, ReceiptJudge, ReceiptPromise} from "./ReceiptJudge.sol";

/// @title Damages for broken receipts
/// @notice The sequencer's receipts against final states (docs/spec/receipts.md). The first claim opens a round in which the
/// stake is locked; when its period is over twice the damages are taken, half is burnt and the claimants share the rest.
/// Rounds follow each other; an order that was claimed once can only claim what a better receipt of it adds.
/// @dev Warning: what was promised is what the sequencer's key signed. Whoever holds the key can sign receipts for accounts of
/// his own and dilute the claims of others; half of what he takes is burnt, the stake is gone either way.
/// @dev Warning: a stake that does not cover a round's damages is shared pro rata and the rest is lost. Stakes must unbond
/// later than a claim of what they cover can come; what is signed while a stake unbonds is not covered by it.
/// @dev Warning: final states are taken for right, and whoever may post decides what is settled: the sequencer's stake answers
/// for its proposers.
contract ReceiptCourt is IReceiptCourt, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using StateWitness for *;

    error CustodyMismatch(address custody);
    error SequencerZero();
    error PeriodZero();
    error CapOutOfRange(uint256 fixedPart, uint256 capPerReceipt);
    /// @notice A stake could be gone before the state that decides about a receipt is final.
    error UnbondingTooShort(uint256 unbondingSeconds, uint256 leastSeconds);

    uint8 public constant KIND_FILL = 1;
    uint8 public constant KIND_CANCEL = 2;
    uint256 private constant SIGNATURE_BYTES = 64;
    /// @dev Tokens here can never move again.
    address private constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    IBatchChain public immutable batchChain;
    ICourtCustody public immutable custody;
    IEscape public immutable escape;
    IStakeRegistry public immutable registry;
    IERC20 public immutable token;
    address public immutable sequencer;
    uint32 public immutable domain;
    /// @notice EIP-712 domain of orders and receipts.
    bytes32 public immutable separator;
    uint64 public immutable receiptPeriodMs;
    uint64 public immutable claimPeriodSeconds;
    uint256 public immutable fixedPart;
    uint256 public immutable capPerReceipt;

    /// @notice Number of rounds opened so far; the last one takes claims until its period is over.
    uint256 public roundCount;
    mapping(uint256 round => ClaimRound) private _rounds;
    mapping(uint256 round => mapping(address owner => uint256)) public damagesOf;
    /// @notice What the promises of (kind, account, nonce) have claimed, in whichever round.
    mapping(uint256 key => uint256) private _claimed;

    constructor(CourtTerms memory terms) {
        address named = terms.batchChain.custody();
        if (named != terms.custody) revert CustodyMismatch(named);
        if (terms.sequencer == address(0)) revert SequencerZero();
        if (terms.receiptPeriodMs == 0 || terms.claimPeriodSeconds == 0) revert PeriodZero();
        if (terms.capPerReceipt == 0 || terms.fixedPart > terms.capPerReceipt || terms.capPerReceipt > type(uint96).max)
        {
            revert CapOutOfRange(terms.fixedPart, terms.capPerReceipt);
        }
        // A deadline and its longest move, then the window of the state behind it, then as long as a round for claiming.
        ICourtRegistry staked = ICourtRegistry(address(terms.registry));
        uint256 leastSeconds =
            2 * uint256(terms.receiptPeriodMs) / 1000 + staked.windowSecondsMax() + terms.claimPeriodSeconds;
        if (staked.unbondingSeconds() <= leastSeconds) {
            revert UnbondingTooShort(staked.unbondingSeconds(), leastSeconds);
        }
        batchChain = terms.batchChain;
        custody = ICourtCustody(terms.custody);
        escape = IEscape(terms.escape);
        registry = terms.registry;
        token = custody.token();
        sequencer = terms.sequencer;
        domain = ICourtChain(address(terms.batchChain)).domain();
        separator = Signatures.domainSeparator(block.chainid, terms.custody);
        receiptPeriodMs = terms.receiptPeriodMs;
        claimPeriodSeconds = terms.claimPeriodSeconds;
        fixedPart = terms.fixedPart;
        capPerReceipt = terms.capPerReceipt;
    }

    // ── claims ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc IReceiptCourt
    function claim(ReceiptClaim calldata evidence) external nonReentrant returns (uint256 damage) {
        (uint8 verdict, uint256 whole) = _judge(evidence);
        if (!ReceiptJudge.isBroken(verdict)) revert NotBroken(verdict);
        Receipt calldata receipt = evidence.receipt;
        address owner = custody.ownerOf(receipt.account);
        if (owner == address(0)) revert AccountWithoutOwner(receipt.account);
        uint256 key = _keyOf(receipt.kind, receipt.account, receipt.nonce);
        uint256 before = _claimed[key];
        if (whole <= before) revert NothingMore(whole);
        damage = whole - before;
        _claimed[key] = whole;
        uint256 round = _openRound();
        // At most 2^96 a claim: the sum of a round would take 2^32 of them to leave its type.
        _rounds[round].damages += uint128(damage);
        damagesOf[round][owner] += damage;
        emit PromiseBroken(receipt.account, receipt.nonce, receipt.kind, verdict, damage, round, owner, msg.sender);
    }

    /// @inheritdoc IReceiptCourt
    function judge(ReceiptClaim calldata evidence) external view returns (uint8 verdict, uint256 damage) {
        return _judge(evidence);
    }

    function claimedOf(uint8 kind, uint24 account, uint48 nonce) external view returns (uint256) {
        return _claimed[_keyOf(kind, account, nonce)];
    }

    function _keyOf(uint8 kind, uint24 account, uint48 nonce) private pure returns (uint256) {
        return (uint256(kind) << 72) | (uint256(account) << 48) | nonce;
    }

    // ── judgement ──────────────────────────────────────────────────────────────────────────────────────────────────

    function _judge(ReceiptClaim calldata claimed) private view returns (uint8 verdict, uint256 damage) {
        Receipt calldata receipt = claimed.receipt;
        if (receipt.kind != KIND_FILL && receipt.kind != KIND_CANCEL) revert KindUnknown(receipt.kind);
        if (receipt.domain != domain) revert DomainMismatch(receipt.domain);
        _requireSigned(claimed);
        OrderTerms calldata order = claimed.order;
        if (order.legs.length == 0 || order.legs.length > Limits.LEGS_MAX) revert LegCount(order.legs.length);
        if (ReceiptHashes.orderHash(separator, receipt, order) != receipt.orderHash) {
            revert OrderMismatch(receipt.orderHash);
        }
        ReceiptEvidence memory evidence;
        bytes32 stateRoot = _place(claimed.batchNumber, evidence);
        _open(claimed, stateRoot, evidence);
        ReceiptPromise memory promised = ReceiptPromise({
            isCancel: receipt.kind == KIND_CANCEL,
            nonce: receipt.nonce,
            orderHash: receipt.orderHash,
            filledLots: receipt.filledLots,
            filledCash: receipt.filledCash,
            deadlineMs: receipt.deadlineMs,
            isBuy: order.size > 0,
            limitPrice: order.limitPrice,
            receiptPeriodMs: receiptPeriodMs
        });
        (verdict, damage) = ReceiptJudge.judge(promised, evidence);
        if (ReceiptJudge.isBroken(verdict)) damage = Math.min(damage + fixedPart, capPerReceipt);
    }

    function _requireSigned(ReceiptClaim calldata claimed) private view {
        bytes32 root = ReceiptHashes.root(ReceiptHashes.leaf(claimed.receipt), claimed.path);
        bytes calldata signature = claimed.signature;
        address signer = address(0);
        if (signature.length == SIGNATURE_BYTES) {
            uint256 offset;
            assembly ("memory-safe") {
                offset := signature.offset
            }
            signer = Signatures.recover(ReceiptHashes.digest(separator, domain, root), offset);
        }
        // The sequencer is not zero, so a signature of nobody does not pass.
        if (signer != sequencer) revert NotSigned(signer);
    }

    /// @dev Where the batch stands among the final ones, and the root of the state that it ends with.
    function _place(uint64 number, ReceiptEvidence memory evidence) private view returns (bytes32 stateRoot) {
        uint64 last = batchChain.lastFinal();
        bytes32 anchorRoot = 0;
        bool isFrozen = address(escape) != address(0) && escape.isFrozen();
        if (isFrozen) {
            bool isSettled;
            (last, anchorRoot, isSettled) = escape.anchor();
            if (!isSettled) revert AnchorNotSettled();
        }
        if (number > last) revert NotEvidence(number, last);
        evidence.isAnchor = isFrozen && number == last;
        stateRoot = evidence.isAnchor ? anchorRoot : batchChain.finalRoot(number);
        evidence.timeMs = batchChain.batch(number).timeMs;
        if (number > 0) evidence.previousMs = batchChain.batch(number - 1).timeMs;
        if (number < last) evidence.nextMs = batchChain.batch(number + 1).timeMs;
        uint256 dropAt = batchChain.lastDropAt();
        // The second of the drop is known, not its millisecond: its end is in the sequencer's favour.
        if (dropAt > 0) evidence.lastDropMs = dropAt * 1000 + 999;
    }

    /// @dev The order's slot and the marks of its legs, from cells under the root.
    function _open(ReceiptClaim calldata claimed, bytes32 stateRoot, ReceiptEvidence memory evidence) private pure {
        State memory state = StateWitness.load(claimed.witness);
        Receipt calldata receipt = claimed.receipt;
        Cell memory account = state.accounts.find(receipt.account);
        // An account that does not exist has no ring.
        if (account.length > 0) {
            Cell memory slot = account.ring.find(receipt.nonce % Limits.RING_SLOTS);
            if (slot.length > 0) _readSlot(slot.data, evidence);
        }
        for (uint256 leg = 0; leg < claimed.order.legs.length; ++leg) {
            Cell memory instrument = state.instruments.find(claimed.order.legs[leg].instrument);
            if (instrument.length == 0) continue;
            if (leg == 0) evidence.tickValue = int256(Cells.read(instrument.data + Cells.INSTRUMENT_TICK_VALUE, 4));
            int256 mark = int256(Cells.rowValue(instrument.data, 0));
            evidence.markPerLot += int256(claimed.order.legs[leg].ratio) * mark;
        }
        state.verify(stateRoot);
    }

    function _readSlot(uint256 data, ReceiptEvidence memory evidence) private pure {
        evidence.isHeld = true;
        evidence.nonce = Cells.read(data, 6);
        evidence.orderHash = Cells.readWord(data + Cells.RING_ORDER_HASH);
        evidence.filledLots = Cells.read(data + Cells.RING_FILLED_LOTS, 4);
        evidence.filledCash = Cells.readSigned64(data + Cells.RING_FILLED_CASH);
        evidence.slotDeadlineMs = Cells.read(data + Cells.RING_RECEIPT_DEADLINE_MS, 8);
    }

    // ── rounds ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice A round by its number, from 1.
    function roundOf(uint256 round) external view returns (ClaimRound memory) {
        if (round == 0 || round > roundCount) revert RoundUnknown(round);
        return _rounds[round];
    }

    /// @inheritdoc IReceiptCourt
    function settle() external nonReentrant {
        uint256 round = roundCount;
        if (round == 0 || _rounds[round].isSettled) revert RoundUnknown(round);
        uint64 endsAt = _rounds[round].endsAt;
        if (block.timestamp < endsAt) revert RoundNotOver(endsAt);
        _settle(round);
    }

    /// @inheritdoc IReceiptCourt
    /// @dev Shares are rounded down; what that leaves, less than one unit a claimant, stays here.
    function collect(uint256 round, address owner) external nonReentrant returns (uint256 amount) {
        ClaimRound storage record = _rounds[round];
        if (!record.isSettled) revert RoundUnknown(round);
        // Below 2^128 both: the product fits.
        amount = (damagesOf[round][owner] * record.pot) / record.damages;
        if (amount == 0) revert NothingToCollect(owner);
        damagesOf[round][owner] = 0;
        emit DamagesCollected(round, owner, amount);
        token.safeTransfer(owner, amount);
    }

    /// @dev The round that takes claims now. The lock leaves a whole period more for settling.
    function _openRound() private returns (uint256 round) {
        round = roundCount;
        if (round > 0 && block.timestamp < _rounds[round].endsAt) return round;
        if (round > 0 && !_rounds[round].isSettled) _settle(round);
        round += 1;
        roundCount = round;
        uint64 endsAt = uint64(block.timestamp) + claimPeriodSeconds;
        _rounds[round].endsAt = endsAt;
        emit RoundOpened(round, endsAt);
        registry.lockUntil(sequencer, endsAt + claimPeriodSeconds);
    }

    /// @dev Burns half, rounded up. What arrived is what is shared, whatever the registry says.
    function _settle(uint256 round) private {
        ClaimRound storage record = _rounds[round];
        record.isSettled = true;
        uint256 damages = record.damages;
        uint256 held = token.balanceOf(address(this));
        registry.slashPromise(sequencer, 2 * damages, address(this));
        uint256 taken = token.balanceOf(address(this)) - held;
        uint256 pot = taken / 2;
        record.pot = uint128(pot);
        emit RoundSettled(round, damages, taken, taken - pot);
        if (taken > pot) token.safeTransfer(BURN_ADDRESS, taken - pot);
    }
}
