// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signatures} from "../../src/lib/Signatures.sol";
import {StateWitness} from "../../src/lib/StateWitness.sol";
import {
    ClaimRound,
    CourtTerms,
    IReceiptCourt,
    OrderLeg,
    OrderTerms,
    Receipt,
    ReceiptClaim
} from "../../src/receipts/IReceiptCourt.sol";
import {ReceiptCourt} from "../../src/receipts/ReceiptCourt.sol";
import {ReceiptHashes} from "../../src/receipts/ReceiptHashes.sol";
import {ReceiptJudge} from "../../src/receipts/ReceiptJudge.sol";
import {StakeRegistry} from "../../src/stake/StakeRegistry.sol";
import {ReceiptFixture, Shown} from "../support/ReceiptFixture.sol";

contract ReceiptCourtTest is ReceiptFixture {
    address private constant BURN = 0x000000000000000000000000000000000000dEaD;
    uint48 private constant NONCE = 5;
    uint8 private constant FILL = 1;
    uint8 private constant CANCEL = 2;

    OrderTerms private _order;
    uint64 private _filledMs;
    uint64 private _deadlineMs;

    function setUp() external {
        deployCourt();
        // Buys 10 at 600 ticks of 10: at most 60,000.
        OrderTerms memory order = orderOf(10, 600);
        _order.legs.push(order.legs[0]);
        (_order.size, _order.limitPrice, _order.maxFeePerLot) = (order.size, order.limitPrice, order.maxFeePerLot);
        (_order.start, _order.expiry) = (order.start, order.expiry);
        _filledMs = uint64(block.timestamp) * 1000;
        _deadlineMs = _filledMs + RECEIPT_PERIOD_MS;
    }

    /// @dev 4 lots bought for 23,000.
    function fillReceipt() private view returns (Receipt memory) {
        return receiptOf(_order, FILL, NONCE, 4, -23_000, _deadlineMs);
    }

    function cancelReceipt() private view returns (Receipt memory) {
        return receiptOf(_order, CANCEL, NONCE, 4, -23_000, _deadlineMs);
    }

    /// @dev The claim against a state that is the first behind the deadline.
    function matured(Receipt memory receipt, Shown memory shown) private returns (ReceiptClaim memory) {
        return shownAt(receipt, shown, _deadlineMs + 1);
    }

    function shownAt(Receipt memory receipt, Shown memory shown, uint64 timeMs) private returns (ReceiptClaim memory) {
        (bytes32 root, bytes memory witness) = stateOf(shown, receipt.nonce);
        return claimOf(receipt, _order, finalAt(root, timeMs), witness);
    }

    function expectDamage(ReceiptClaim memory claimed, uint8 verdict, uint256 damage) private {
        (uint8 found, uint256 whole) = court.judge(claimed);
        vm.assertEq(found, verdict);
        vm.assertEq(whole, damage + FIXED_PART);
        vm.assertEq(court.claim(claimed), damage + FIXED_PART);
    }

    function expectNot(ReceiptClaim memory claimed, uint8 verdict) private {
        (uint8 found, uint256 whole) = court.judge(claimed);
        vm.assertEq(found, verdict);
        vm.assertEq(whole, 0);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NotBroken.selector, verdict));
        court.claim(claimed);
    }

    function nothing() private pure returns (Shown memory shown) {
        shown.isAccount = true;
        shown.marks = [uint40(5_000), uint40(3_000)];
        shown.tickValue = 10;
    }

    // ── fills ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_kept() external {
        Receipt memory receipt = fillReceipt();
        expectNot(matured(receipt, shownOf(receipt, 4, -23_000)), ReceiptJudge.KEPT);
    }

    function test_nothing_settled() external {
        // 4 lots at 23,000 against marks of 5,000: 3,000 worse than the mark, and the trader is owed the difference all the same.
        expectDamage(matured(fillReceipt(), nothing()), ReceiptJudge.MISSING, 3_000);
    }

    function test_account_absent() external {
        Shown memory shown = nothing();
        shown.isAccount = false;
        expectDamage(matured(fillReceipt(), shown), ReceiptJudge.MISSING, 3_000);
    }

    function test_part_settled() external {
        Receipt memory receipt = fillReceipt();
        // 3 lots at 17,000: the missing lot cost 6,000 against a mark of 5,000.
        expectDamage(matured(receipt, shownOf(receipt, 3, -17_000)), ReceiptJudge.MISSING, 1_000);
    }

    function test_lower_nonce_in_the_slot() external {
        Receipt memory receipt = receiptOf(_order, FILL, NONCE + 65_536, 4, -23_000, _deadlineMs);
        Shown memory shown = shownOf(receipt, 4, -23_000);
        shown.nonce = NONCE;
        expectDamage(matured(receipt, shown), ReceiptJudge.MISSING, 3_000);
    }

    function test_same_nonce_other_order() external {
        Receipt memory receipt = fillReceipt();
        Shown memory shown = shownOf(receipt, 4, -23_000);
        shown.orderHash = keccak256("another");
        expectDamage(matured(receipt, shown), ReceiptJudge.MISSING, 3_000);
    }

    function test_instrument_without_a_mark() external {
        Shown memory shown = nothing();
        shown.marks[0] = 0;
        expectDamage(matured(fillReceipt(), shown), ReceiptJudge.MISSING, 23_000);
    }

    function test_sale() external {
        _order.size = -10;
        Receipt memory receipt = receiptOf(_order, FILL, NONCE, 4, 23_000, _deadlineMs);
        expectDamage(matured(receipt, nothing()), ReceiptJudge.MISSING, 3_000);
    }

    function test_spread_at_a_negative_price() external {
        // Buys the spread −2·A + 1·B at −90 ticks net: marks −10,000 + 3,000 = −7,000 a lot; paid 3·900 = 2,700 to the buyer.
        _order.legs[0].ratio = -2;
        _order.legs.push(OrderLeg(1, 1));
        _order.limitPrice = -90;
        Receipt memory receipt = receiptOf(_order, FILL, NONCE, 3, 2_700, _deadlineMs);
        // Cash 2,700 for 3 lots that are worth −21,000.
        expectDamage(matured(receipt, nothing()), ReceiptJudge.MISSING, 18_300);
    }

    function test_cash_that_the_limit_explains() external {
        Receipt memory receipt = fillReceipt();
        // 2 lots more at the limit of 6,000.
        expectNot(matured(receipt, shownOf(receipt, 6, -35_000)), ReceiptJudge.KEPT);
    }

    function test_cash_worse_than_the_limit_explains() external {
        Receipt memory receipt = fillReceipt();
        expectDamage(matured(receipt, shownOf(receipt, 6, -35_007)), ReceiptJudge.CASH_WORSE, 7);
    }

    function test_cash_worse_at_the_same_lots() external {
        Receipt memory receipt = fillReceipt();
        expectDamage(matured(receipt, shownOf(receipt, 4, -23_001)), ReceiptJudge.CASH_WORSE, 1);
    }

    function test_cash_worse_of_a_sale() external {
        _order.size = -10;
        _order.limitPrice = 500;
        Receipt memory receipt = receiptOf(_order, FILL, NONCE, 4, 23_000, _deadlineMs);
        expectDamage(matured(receipt, shownOf(receipt, 6, 32_990)), ReceiptJudge.CASH_WORSE, 10);
    }

    function test_cap() external {
        Receipt memory receipt = receiptOf(_order, FILL, NONCE, 4, -9_000_000_000, _deadlineMs);
        ReceiptClaim memory claimed = matured(receipt, nothing());
        vm.assertEq(court.claim(claimed), CAP);
    }

    // ── which state decides ────────────────────────────────────────────────────────────────────────────────────────

    function test_not_before_the_deadline() external {
        expectNot(shownAt(fillReceipt(), nothing(), _deadlineMs), ReceiptJudge.NOT_MATURED);
    }

    function test_only_the_first_state_behind_the_deadline() external {
        finalAt(keccak256("first"), _deadlineMs + 1);
        expectNot(shownAt(fillReceipt(), nothing(), _deadlineMs + 60_000), ReceiptJudge.NOT_DECISIVE);
    }

    function test_recycled_slot_says_nothing() external {
        Receipt memory receipt = fillReceipt();
        Shown memory shown = shownOf(receipt, 1, -1);
        shown.nonce = NONCE + 65_536;
        expectNot(matured(receipt, shown), ReceiptJudge.RECYCLED);
    }

    function test_later_order_in_the_slot_before_the_deadline() external {
        Receipt memory receipt = fillReceipt();
        Shown memory shown = shownOf(receipt, 1, -1);
        shown.nonce = NONCE + 65_536;
        ReceiptClaim memory claimed = shownAt(receipt, shown, _deadlineMs);
        // Until the next state is behind the deadline a better one may come.
        expectNot(claimed, ReceiptJudge.NOT_DECISIVE);
        finalAt(keccak256("next"), _deadlineMs + 1);
        expectDamage(claimed, ReceiptJudge.MISSING, 3_000);
    }

    function test_batch_that_is_not_final() external {
        (bytes32 root, bytes memory witness) = stateOf(nothing(), NONCE);
        uint64 number = postAt(root, _deadlineMs + 1);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NotEvidence.selector, number, uint64(0)));
        court.judge(claimOf(fillReceipt(), _order, number, witness));
    }

    function test_drop_before_the_deadline_moves_it() external {
        uint64 dropped = postAt(keccak256("wrong"), _filledMs);
        vm.warp(block.timestamp + 1800);
        uint64 dropAt = uint64(block.timestamp);
        vm.prank(DISPUTE);
        chain.dropFrom(dropped, address(this));
        uint64 movedMs = dropAt * 1000 + 999 + RECEIPT_PERIOD_MS;
        expectNot(shownAt(fillReceipt(), nothing(), movedMs), ReceiptJudge.NOT_MATURED);
        expectDamage(shownAt(fillReceipt(), nothing(), movedMs + 1), ReceiptJudge.MISSING, 3_000);
    }

    function test_drops_move_by_no_more_than_a_period() external {
        uint64 dropped = postAt(keccak256("wrong"), _filledMs);
        vm.warp(block.timestamp + 30 days);
        vm.prank(DISPUTE);
        chain.dropFrom(dropped, address(this));
        expectNot(shownAt(fillReceipt(), nothing(), _deadlineMs + RECEIPT_PERIOD_MS), ReceiptJudge.NOT_MATURED);
        expectDamage(
            shownAt(fillReceipt(), nothing(), _deadlineMs + RECEIPT_PERIOD_MS + 1), ReceiptJudge.MISSING, 3_000
        );
    }

    function test_drop_before_the_receipt_moves_nothing() external {
        uint64 dropped = postAt(keccak256("wrong"), _filledMs - 5_000);
        vm.prank(DISPUTE);
        chain.dropFrom(dropped, address(this));
        // The fill came in the second after the drop's.
        _deadlineMs += 2_000;
        expectDamage(matured(fillReceipt(), nothing()), ReceiptJudge.MISSING, 3_000);
    }

    // ── cancels ────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_cancel_kept() external {
        Receipt memory receipt = cancelReceipt();
        expectNot(shownAt(receipt, shownOf(receipt, 4, -23_000), _filledMs), ReceiptJudge.KEPT);
        expectNot(shownAt(receipt, nothing(), _filledMs), ReceiptJudge.KEPT);
    }

    function test_cancel_broken() external {
        Receipt memory receipt = cancelReceipt();
        // 2 lots too much for 11,500: worth 10,000.
        expectDamage(shownAt(receipt, shownOf(receipt, 6, -34_500), _filledMs), ReceiptJudge.EXCESS, 1_500);
    }

    function test_cancel_broken_only_by_the_state_of_the_settlement() external {
        Receipt memory receipt = cancelReceipt();
        (bytes32 root, bytes memory witness) = stateOf(shownOf(receipt, 6, -34_500), NONCE);
        uint64 settled = finalAt(root, _filledMs);
        uint64 later = finalAt(root, _filledMs + 60_000);
        uint64 latest = finalAt(root, _filledMs + 120_000);
        expectNot(claimOf(receipt, _order, latest, witness), ReceiptJudge.NOT_DECISIVE);
        // Equal times at a batch's edge cannot tell on which side the settlement is: both show the same slot.
        (uint8 verdict,) = court.judge(claimOf(receipt, _order, later, witness));
        vm.assertEq(verdict, ReceiptJudge.EXCESS);
        expectDamage(claimOf(receipt, _order, settled, witness), ReceiptJudge.EXCESS, 1_500);
    }

    function test_cancel_of_another_order_with_the_nonce() external {
        Receipt memory receipt = cancelReceipt();
        Shown memory shown = shownOf(receipt, 9, -34_500);
        shown.orderHash = keccak256("forced close");
        expectNot(shownAt(receipt, shown, _filledMs), ReceiptJudge.KEPT);
    }

    // ── freeze ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_freeze_matures_all_receipts() external {
        Receipt memory receipt = fillReceipt();
        (bytes32 root, bytes memory witness) = stateOf(nothing(), NONCE);
        uint64 number = finalAt(root, _filledMs - 1_000);
        ReceiptClaim memory claimed = claimOf(receipt, _order, number, witness);
        expectNot(claimed, ReceiptJudge.NOT_MATURED);
        anchor.freeze(number, root, false);
        vm.expectRevert(IReceiptCourt.AnchorNotSettled.selector);
        court.judge(claimed);
        anchor.freeze(number, root, true);
        expectDamage(claimed, ReceiptJudge.MISSING, 3_000);
    }

    function test_freeze_leaves_what_is_kept() external {
        Receipt memory receipt = fillReceipt();
        (bytes32 root, bytes memory witness) = stateOf(shownOf(receipt, 4, -23_000), NONCE);
        uint64 number = finalAt(root, _filledMs);
        anchor.freeze(number, root, true);
        expectNot(claimOf(receipt, _order, number, witness), ReceiptJudge.KEPT);
    }

    function test_no_evidence_behind_the_anchor() external {
        uint64 right = finalAt(keccak256("right"), _filledMs);
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        anchor.freeze(right, keccak256("right"), true);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NotEvidence.selector, claimed.batchNumber, right));
        court.judge(claimed);
    }

    function test_later_order_at_the_anchor_before_the_deadline() external {
        Receipt memory receipt = fillReceipt();
        Shown memory shown = shownOf(receipt, 1, -1);
        shown.nonce = NONCE + 65_536;
        (bytes32 root, bytes memory witness) = stateOf(shown, NONCE);
        uint64 number = finalAt(root, _filledMs);
        anchor.freeze(number, root, true);
        expectDamage(claimOf(receipt, _order, number, witness), ReceiptJudge.MISSING, 3_000);
    }

    // ── forgeries ──────────────────────────────────────────────────────────────────────────────────────────────────

    function expectNotSigned(ReceiptClaim memory claimed) private {
        vm.expectPartialRevert(IReceiptCourt.NotSigned.selector);
        court.claim(claimed);
    }

    function test_changed_receipts() external {
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        claimed.receipt.filledLots += 1;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.filledCash -= 1;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.deadlineMs -= 1;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.kind = CANCEL;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.tier = 0;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.account += 1;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.nonce += 1;
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.receipt.orderHash = keccak256("other");
        expectNotSigned(claimed);
        claimed.receipt = fillReceipt();
        claimed.path[1] = keccak256("other");
        expectNotSigned(claimed);
        claimed.receipt.domain = 8;
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.DomainMismatch.selector, uint32(8)));
        court.claim(claimed);
        claimed.receipt.kind = 3;
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.KindUnknown.selector, uint8(3)));
        court.claim(claimed);
    }

    function test_signatures_of_others() external {
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        bytes memory good = claimed.signature;
        claimed.signature = compactSignature(0xbad, leafOf(claimed.receipt));
        expectNotSigned(claimed);
        // A signature of nobody: the zero address is nobody's sequencer.
        claimed.signature = new bytes(64);
        expectNotSigned(claimed);
        claimed.signature = bytes.concat(good, hex"00");
        expectNotSigned(claimed);
        claimed.path = new bytes32[](33);
        vm.expectRevert(abi.encodeWithSelector(ReceiptHashes.PathTooLong.selector, uint256(33)));
        court.claim(claimed);
    }

    /// @dev The sequencer's own signature over an order does not pass for one over a group, nor a node for a leaf.
    function test_signature_of_a_single_receipt() external {
        Receipt memory receipt = fillReceipt();
        ReceiptClaim memory claimed = matured(receipt, nothing());
        claimed.path = new bytes32[](0);
        claimed.signature = compactSignature(SEQUENCER_KEY, leafOf(receipt));
        vm.assertEq(court.claim(claimed), 3_000 + FIXED_PART);
    }

    function test_other_orders() external {
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        claimed.order.limitPrice += 1;
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.OrderMismatch.selector, claimed.receipt.orderHash));
        court.claim(claimed);
        claimed.order.legs = new OrderLeg[](5);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.LegCount.selector, uint256(5)));
        court.claim(claimed);
        claimed.order.legs = new OrderLeg[](0);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.LegCount.selector, uint256(0)));
        court.claim(claimed);
    }

    function test_witness_of_another_state() external {
        Receipt memory receipt = fillReceipt();
        ReceiptClaim memory claimed = matured(receipt, shownOf(receipt, 4, -23_000));
        (, claimed.witness) = stateOf(nothing(), NONCE);
        vm.expectPartialRevert(StateWitness.StateRootMismatch.selector);
        court.claim(claimed);
    }

    function test_account_that_nobody_opened() external {
        account += 1;
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.AccountWithoutOwner.selector, account));
        court.claim(claimed);
    }

    // ── rounds ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_round() external {
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        uint64 openedAt = uint64(block.timestamp);
        vm.prank(BOB);
        court.claim(claimed);
        vm.assertEq(stake.stakeDetails(sequencer).lockedUntil, openedAt + 2 * CLAIM_PERIOD);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.RoundNotOver.selector, openedAt + CLAIM_PERIOD));
        court.settle();
        vm.warp(openedAt + CLAIM_PERIOD);
        uint256 staked = stake.stakeOf(sequencer);
        court.settle();
        uint256 damage = 3_000 + FIXED_PART;
        vm.assertEq(staked - stake.stakeOf(sequencer), 2 * damage);
        vm.assertEq(usdc.balanceOf(BURN), damage);
        vm.assertEq(court.collect(1, ALICE), damage);
        vm.assertEq(usdc.balanceOf(ALICE), damage);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NothingToCollect.selector, ALICE));
        court.collect(1, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.RoundUnknown.selector, uint256(1)));
        court.settle();
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NothingMore.selector, damage));
        court.claim(claimed);
    }

    function test_nothing_to_settle() external {
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.RoundUnknown.selector, uint256(0)));
        court.settle();
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.RoundUnknown.selector, uint256(1)));
        court.roundOf(1);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.RoundUnknown.selector, uint256(0)));
        court.collect(0, ALICE);
    }

    /// @dev Whoever comes first with a small receipt of the order does not spoil a better one.
    function test_better_receipt_claims_the_rest() external {
        Receipt memory small = receiptOf(_order, FILL, NONCE, 1, -5_500, _deadlineMs);
        ReceiptClaim memory claimed = matured(small, nothing());
        vm.assertEq(court.claim(claimed), 500 + FIXED_PART);
        ReceiptClaim memory better = claimOf(fillReceipt(), _order, claimed.batchNumber, claimed.witness);
        vm.assertEq(court.claim(better), 2_500);
        vm.expectRevert(abi.encodeWithSelector(IReceiptCourt.NothingMore.selector, 500 + FIXED_PART));
        court.claim(claimed);
        vm.assertEq(court.claimedOf(FILL, account, NONCE), 3_000 + FIXED_PART);
        vm.assertEq(court.damagesOf(1, ALICE), 3_000 + FIXED_PART);
    }

    function test_short_stake_is_shared_pro_rata() external {
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        court.claim(claimed);
        account = openAccount(BOB);
        ReceiptClaim memory other =
            claimOf(receiptOf(_order, FILL, NONCE, 4, -26_000, _deadlineMs + 1_000_000), _order, 0, claimed.witness);
        (bytes32 root, bytes memory witness) = stateOf(nothing(), NONCE);
        other.witness = witness;
        other.batchNumber = finalAt(root, _deadlineMs + 1_000_001);
        court.claim(other);
        deal(301);
        vm.warp(block.timestamp + CLAIM_PERIOD);
        court.settle();
        // 150 to share between 1,003,000 and 1,006,000: 74.88 and 75.11.
        vm.assertEq(court.collect(1, ALICE), 74);
        vm.assertEq(court.collect(1, BOB), 75);
        vm.assertEq(usdc.balanceOf(BURN), 151);
    }

    function deal(uint256 staked) private {
        uint256 held = stake.stakeOf(sequencer);
        vm.prank(address(court));
        stake.slashPromise(sequencer, held - staked, address(0xbeef));
    }

    function test_rounds_follow_each_other() external {
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        court.claim(claimed);
        vm.warp(block.timestamp + CLAIM_PERIOD);
        // The next claim settles the round before and opens another.
        Receipt memory other = receiptOf(_order, FILL, NONCE + 1, 4, -23_000, uint64(block.timestamp) * 1000);
        court.claim(shownAt(other, nothing(), other.deadlineMs + 1));
        ClaimRound memory first = court.roundOf(1);
        vm.assertTrue(first.isSettled);
        vm.assertEq(first.pot, 3_000 + FIXED_PART);
        vm.assertEq(court.roundCount(), 2);
        vm.assertEq(court.collect(1, ALICE), 3_000 + FIXED_PART);
        vm.warp(block.timestamp + CLAIM_PERIOD);
        court.settle();
        vm.assertEq(court.collect(2, ALICE), 3_000 + FIXED_PART);
    }

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_deployment() external {
        vm.assertEq(court.separator(), Signatures.domainSeparator(block.chainid, address(custody)));
        vm.assertEq(address(court.token()), address(usdc));
        vm.assertEq(uint256(court.domain()), DOMAIN);
        CourtTerms memory terms = courtTermsOf();
        terms.sequencer = address(0);
        vm.expectRevert(ReceiptCourt.SequencerZero.selector);
        new ReceiptCourt(terms);
        terms = courtTermsOf();
        terms.claimPeriodSeconds = 0;
        vm.expectRevert(ReceiptCourt.PeriodZero.selector);
        new ReceiptCourt(terms);
        terms = courtTermsOf();
        terms.fixedPart = CAP + 1;
        vm.expectRevert(abi.encodeWithSelector(ReceiptCourt.CapOutOfRange.selector, CAP + 1, CAP));
        new ReceiptCourt(terms);
        terms = courtTermsOf();
        terms.custody = address(this);
        vm.expectRevert(abi.encodeWithSelector(ReceiptCourt.CustodyMismatch.selector, address(custody)));
        new ReceiptCourt(terms);
    }

    function test_stake_that_unbonds_before_a_claim_can_come() external {
        uint256 leastSeconds = 2 * RECEIPT_PERIOD_MS / 1000 + WINDOW + CLAIM_PERIOD;
        CourtTerms memory terms = courtTermsOf();
        terms.registry = new StakeRegistry(stakeTermsOf(address(1), uint64(leastSeconds)), new address[](0));
        vm.expectRevert(abi.encodeWithSelector(ReceiptCourt.UnbondingTooShort.selector, leastSeconds, leastSeconds));
        new ReceiptCourt(terms);
        terms.registry = new StakeRegistry(stakeTermsOf(address(1), uint64(leastSeconds) + 1), new address[](0));
        new ReceiptCourt(terms);
    }

    /// @dev What unbonds is still there when the claim comes, and stays until the round can be settled.
    function test_unbonding_stake_is_locked() external {
        vm.prank(sequencer);
        stake.requestUnbond(STAKE);
        uint64 releaseAt = stake.stakeDetails(sequencer).releaseAt;
        ReceiptClaim memory claimed = matured(fillReceipt(), nothing());
        vm.warp(releaseAt - 1);
        court.claim(claimed);
        vm.warp(releaseAt);
        vm.expectPartialRevert(StakeRegistry.StillLocked.selector);
        vm.prank(sequencer);
        stake.withdraw();
        vm.warp(block.timestamp + CLAIM_PERIOD);
        court.settle();
        vm.assertEq(court.collect(1, ALICE), 3_000 + FIXED_PART);
        vm.warp(block.timestamp + CLAIM_PERIOD);
        vm.prank(sequencer);
        stake.withdraw();
        vm.assertEq(usdc.balanceOf(sequencer), STAKE - 2 * (3_000 + FIXED_PART));
    }

    function test_without_escape() external {
        CourtTerms memory terms = courtTermsOf();
        terms.escape = address(0);
        court = new ReceiptCourt(terms);
        Receipt memory receipt = fillReceipt();
        expectNot(matured(receipt, shownOf(receipt, 4, -23_000)), ReceiptJudge.KEPT);
    }
}
