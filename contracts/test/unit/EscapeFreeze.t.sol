// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICustody} from "../../src/custody/ICustody.sol";
import {StateParts} from "../../src/dispute/IDispute.sol";
import {ClosingMarks} from "../../src/escape/ClosingMarks.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {EscapePhase, EscapeTerms} from "../../src/escape/IEscape.sol";
import {ParameterReader, ParameterStore} from "../../src/lib/ParameterStore.sol";
import {EscapeFixture} from "../support/EscapeFixture.sol";

/// @notice From a missed deadline or a late fraud to closing marks.
contract EscapeFreezeTest is EscapeFixture {
    function setUp() external {
        deployVenue();
        addAccount(0, TREASURY, 0);
        addAccount(1, INSURANCE, 0);
        addAccount(2, ALICE, 1_000);
    }

    function expectPhase(EscapePhase phase) private {
        vm.expectRevert(abi.encodeWithSelector(Escape.WrongPhase.selector, phase));
    }

    function forced() private returns (uint64) {
        uint24 account = openAccount(BOB);
        vm.prank(BOB);
        return custody.forceWithdrawal(account, 1, BOB);
    }

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_constructorRefuses() external {
        EscapeTerms memory terms = escapeTerms();
        vm.expectRevert(abi.encodeWithSelector(Escape.CustodyNamesAnotherEscape.selector, address(escape)));
        new Escape(terms);
        CustodyNaming naming = new CustodyNaming();
        terms.custody = ICustody(address(naming));
        naming.set(vm.computeCreateAddress(address(this), vm.getNonce(address(this))), address(this));
        vm.expectRevert(abi.encodeWithSelector(Escape.BatchChainDiffers.selector, address(chain)));
        new Escape(terms);
        for (uint256 i = 0; i < 3; ++i) {
            EscapeTerms memory zero = escapeTerms();
            zero.custody = terms.custody;
            naming.set(vm.computeCreateAddress(address(this), vm.getNonce(address(this))), address(chain));
            if (i == 0) zero.markSeconds = 0;
            else if (i == 1) zero.registrationSeconds = 0;
            else zero.lateSeconds = 0;
            vm.expectRevert(Escape.PeriodZero.selector);
            new Escape(zero);
        }
    }

    function test_deployment() external view {
        vm.assertEq(address(escape.custody()), address(custody));
        vm.assertEq(address(escape.batchChain()), address(chain));
        vm.assertEq(address(escape.token()), address(usdc));
        vm.assertEq(custody.escape(), address(escape));
        vm.assertEq(escape.dispute(), DISPUTE);
        vm.assertEq(uint256(escape.phase()), uint256(EscapePhase.LIVE));
        vm.assertFalse(escape.isFrozen());
    }

    // ── missed entries ─────────────────────────────────────────────────────────────────────────────────────────────

    function test_freezeOnlyAfterTheDeadline() external {
        uint64 index = forced();
        uint256 deadline = custody.forcedDeadlineOf(index);
        vm.assertEq(deadline, block.timestamp + FORCED_PERIOD);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(Escape.DeadlineNotPassed.selector, index, deadline));
        escape.freezeForMissedEntry(index);
        vm.warp(deadline + 1);
        vm.expectEmit(address(escape));
        emit Escape.MissedEntry(index, uint64(deadline));
        vm.prank(address(0xbeef));
        escape.freezeForMissedEntry(index);
        vm.assertTrue(custody.frozen());
        vm.assertTrue(escape.isFrozen());
        vm.assertEq(escape.frozenAt(), deadline + 1);
        expectPhase(EscapePhase.RESOLVING);
        escape.freezeForMissedEntry(index);
    }

    function test_entriesThatAreNotForcedFreezeNothing() external {
        forced();
        vm.warp(block.timestamp + 10 * FORCED_PERIOD);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryNotForced.selector, 0));
        escape.freezeForMissedEntry(0);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryNotForced.selector, 2));
        escape.freezeForMissedEntry(2);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryNotForced.selector, type(uint64).max));
        escape.freezeForMissedEntry(type(uint64).max);
    }

    /// @notice Posted is consumed: the batch need not be final.
    function test_aPostedBatchConsumes() external {
        uint64 index = forced();
        postNext(keccak256("root"));
        vm.warp(block.timestamp + FORCED_PERIOD + 1);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryConsumed.selector, index));
        escape.freezeForMissedEntry(index);
        // The next one is not.
        uint64 second = forced();
        vm.warp(block.timestamp + FORCED_PERIOD + 1);
        escape.freezeForMissedEntry(second);
    }

    function test_aDropGivesTheWholePeriodAgain() external {
        uint64 index = forced();
        uint64 number = postNext(keccak256("root"));
        vm.warp(custody.forcedDeadlineOf(index) + 1);
        vm.prank(DISPUTE);
        chain.dropFrom(number, ALICE);
        uint256 deadline = block.timestamp + FORCED_PERIOD;
        vm.expectRevert(abi.encodeWithSelector(Escape.DeadlineNotPassed.selector, index, deadline));
        escape.freezeForMissedEntry(index);
        vm.warp(deadline + 1);
        escape.freezeForMissedEntry(index);
    }

    // ── late fraud ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_lateFraudIsTheDisputesAlone() external {
        vm.expectRevert(abi.encodeWithSelector(Escape.CallerNotDispute.selector, ALICE));
        vm.prank(ALICE);
        escape.lateFraud(1);
    }

    function lateFraud(uint64 number) private {
        vm.prank(DISPUTE);
        escape.lateFraud(number);
    }

    function test_lateFraudAnchorsBeforeTheFirstWrongBatch() external {
        uint64 right = finaliseState();
        StateParts memory parts = stateParts();
        cashInState[2] = 5_000;
        uint64 wrong = finaliseState();
        uint64 later = postAndFinalise(keccak256("later"));
        postNext(keccak256("pending"));
        lateFraud(later);
        lateFraud(wrong);
        lateFraud(later);
        vm.assertTrue(custody.frozen());
        // What is pending is no matter: everything before the wrong one is final.
        vm.expectRevert(abi.encodeWithSelector(Escape.StatePartsMismatch.selector, chain.finalRoot(right)));
        escape.fixAnchor(stateParts(), address(0));
        escape.fixAnchor(parts, address(0));
        (uint64 number, bytes32 root, bool isFixed) = escape.anchor();
        vm.assertEq(number, right);
        vm.assertEq(root, rootOf(parts));
        vm.assertTrue(isFixed);
    }

    /// @notice A batch that was shown right and then wrong: it is gone, what is before it may still be pending.
    function test_fraudOfADroppedBatchWaitsForWhatIsBeforeIt() external {
        uint64 right = postState();
        uint64 wrong = postNext(keccak256("wrong"));
        vm.prank(DISPUTE);
        chain.dropFrom(wrong, ALICE);
        lateFraud(wrong);
        vm.expectRevert(abi.encodeWithSelector(Escape.BatchesPending.selector, 0, right));
        fixAnchor();
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(right);
        fixAnchor();
        (uint64 number,,) = escape.anchor();
        vm.assertEq(number, right);
    }

    function test_anEarlierFraudDiscardsTheAnchor() external {
        uint64 first = finaliseState();
        StateParts memory parts = stateParts();
        cashInState[2] = 5_000;
        uint64 second = finaliseState();
        freezeByMissedEntry();
        fixAnchor();
        (uint64 number,,) = escape.anchor();
        vm.assertEq(number, second);
        startRegistration();
        registerAccount(2);
        // A batch after the anchor changes nothing.
        lateFraud(second + 1);
        vm.assertEq(uint256(escape.round()), 0);
        vm.expectEmit(address(escape));
        emit Escape.AnchorDiscarded(0, second);
        lateFraud(second);
        vm.assertEq(uint256(escape.round()), 1);
        vm.assertEq(uint256(escape.phase()), uint256(EscapePhase.RESOLVING));
        vm.assertEq(uint256(escape.currentBooks().registered), 0);
        cashInState[2] = 1_000;
        escape.fixAnchor(parts, address(0));
        (number,,) = escape.anchor();
        vm.assertEq(number, first);
        startRegistration();
        registerAccount(2);
        vm.assertEq(escape.currentBooks().registered, 1_000);
    }

    function test_fraudAfterTheBooksAreClosedChangesNothing() external {
        fund(ALICE, 1_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(1_000);
        cursorInState = 2;
        uint64 number = finaliseState();
        freezeByMissedEntry();
        fixAnchor();
        startRegistration();
        registerAccount(2);
        closeBooks();
        vm.expectEmit(address(escape));
        emit Escape.LateFraud(number, false);
        lateFraud(number);
        vm.assertEq(uint256(escape.round()), 0);
        vm.assertEq(payAccount(2), 1_000);
    }

    // ── anchor ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_anchorWaitsForPostedBatches() external {
        uint64 number = postState();
        freezeByMissedEntry();
        vm.expectRevert(abi.encodeWithSelector(Escape.BatchesPending.selector, 0, number));
        fixAnchor();
        chain.finalise(number);
        StateParts memory parts = stateParts();
        parts.outboxRoot = keccak256("other");
        vm.expectRevert(abi.encodeWithSelector(Escape.StatePartsMismatch.selector, chain.finalRoot(number)));
        escape.fixAnchor(parts, address(0));
        vm.expectEmit(address(escape));
        emit Escape.AnchorFixed(0, number, chain.finalRoot(number), uint64(block.timestamp));
        fixAnchor();
        Escape.Anchor memory fixed_ = escape.anchorDetails();
        vm.assertEq(fixed_.parameters.codehash, store.codehash);
        vm.assertEq(fixed_.outboxRoot, stateParts().outboxRoot);
        expectPhase(EscapePhase.MARKING);
        fixAnchor();
    }

    function test_anchorNeedsAFreeze() external {
        finaliseState();
        expectPhase(EscapePhase.LIVE);
        fixAnchor();
    }

    function test_anchorAfterADropIsWhatIsLeft() external {
        uint64 number = finaliseState();
        uint64 wrong = postNext(keccak256("wrong"));
        // The dropped batch had consumed the entry: its deadline is gone with it.
        freezeAfterDrop(wrong);
        fixAnchor();
        (uint64 left,,) = escape.anchor();
        vm.assertEq(left, number);
    }

    function freezeAfterDrop(uint64 wrong) private {
        uint24 account = openAccount(CAROL);
        vm.prank(CAROL);
        uint64 index = custody.forceWithdrawal(account, 1, CAROL);
        vm.warp(block.timestamp + FORCED_PERIOD + 1);
        escape.freezeForMissedEntry(index);
        vm.prank(DISPUTE);
        chain.dropFrom(wrong, ALICE);
    }

    function test_anchorHasTheStoreOfItsParameters() external {
        bytes memory changed = parametersFor(address(custody), 3);
        address other = address(new ParameterStore(changed));
        parametersHashInState = keccak256(changed);
        finaliseState();
        freezeByMissedEntry();
        StateParts memory parts = stateParts();
        vm.expectPartialRevert(ParameterReader.ParametersMismatch.selector);
        escape.fixAnchor(parts, address(0));
        vm.expectPartialRevert(ParameterReader.ParametersMismatch.selector);
        escape.fixAnchor(parts, store);
        vm.expectRevert(ParameterReader.ParametersMalformed.selector);
        escape.fixAnchor(parts, ALICE);
        escape.fixAnchor(parts, other);
        vm.assertEq(escape.anchorDetails().parameters.codehash, other.codehash);
        // Its quorum is three.
        bytes memory marks = markEntry(1, 5);
        bytes memory two = signMarks(marks);
        vm.expectRevert(Escape.BadQuorum.selector);
        escape.setClosingMarks(marks, two);
    }

    /// @notice A contract whose constructor had itself destroyed is gone after its transaction, and its deployer may put
    /// another in its place: what an anchor's oracles are must not hang on the store that it was fixed with.
    function test_aStoreThatChangesLaterMovesNoMark() external {
        finaliseState();
        freezeByMissedEntry();
        address borrowed = address(0xb0440);
        vm.etch(borrowed, store.code);
        escape.fixAnchor(stateParts(), borrowed);
        bytes memory forged = parametersFor(address(custody), 1);
        put(forged, 35, abi.encodePacked(vm.addr(0xbad)));
        vm.etch(borrowed, bytes.concat(hex"00", forged));
        bytes memory marks = markEntry(1, 5);
        bytes memory signature = abi.encodePacked(uint8(1), uint8(0), compact(0xbad, marksDigest(marks)));
        vm.expectRevert(Escape.BadQuorum.selector);
        escape.setClosingMarks(marks, signature);
        vm.etch(borrowed, "");
        setMarks(marks);
        expectMark(1, true, 5);
    }

    // ── closing marks ──────────────────────────────────────────────────────────────────────────────────────────────

    function anchored() private {
        finaliseState();
        freezeByMissedEntry();
        fixAnchor();
    }

    function expectMark(uint24 instrument, bool isSet, uint256 mark) private view {
        (bool found, uint256 value) = escape.closingMark(instrument);
        vm.assertTrue(found == isSet);
        vm.assertEq(value, mark);
    }

    function test_firstSignedMarkCounts() external {
        anchored();
        setMarks(bytes.concat(markEntry(0, 7), markEntry(5, 0), markEntry(6, 2 ** 40 - 1), markEntry(2 ** 24 - 1, 9)));
        expectMark(0, true, 7);
        expectMark(1, false, 0);
        expectMark(5, true, 0);
        expectMark(6, true, 2 ** 40 - 1);
        expectMark(2 ** 24 - 1, true, 9);
        setMarks(bytes.concat(markEntry(0, 8), markEntry(1, 10), markEntry(5, 11)));
        expectMark(0, true, 7);
        expectMark(1, true, 10);
        expectMark(5, true, 0);
        vm.warp(escape.marksUntil());
        bytes memory marks = markEntry(3, 1);
        bytes memory signatures = signMarks(marks);
        expectPhase(EscapePhase.REGISTERING);
        escape.setClosingMarks(marks, signatures);
    }

    function testFuzz_marksAreKeptApart(uint24[8] memory instruments, uint40[8] memory marks) external {
        anchored();
        for (uint256 i = 0; i < 8; ++i) {
            setMarks(markEntry(instruments[i] % 20, marks[i]));
        }
        for (uint24 number = 0; number < 20; ++number) {
            uint256 first = 8;
            for (uint256 i = 8; i > 0; --i) {
                if (instruments[i - 1] % 20 == number) first = i - 1;
            }
            expectMark(number, first < 8, first < 8 ? marks[first] : 0);
        }
    }

    function expectBadQuorum(bytes memory marks, bytes memory signatures) private {
        vm.expectRevert(Escape.BadQuorum.selector);
        escape.setClosingMarks(marks, signatures);
    }

    function test_marksNeedTheQuorum() external {
        anchored();
        bytes memory marks = markEntry(4, 100);
        bytes memory good = signMarks(marks);
        bytes32 digest = marksDigest(marks);
        bytes memory first = abi.encodePacked(uint8(0), compact(ORACLE_KEY, digest));
        bytes memory second = abi.encodePacked(uint8(1), compact(ORACLE_KEY + 1, digest));
        expectBadQuorum(marks, "");
        expectBadQuorum(marks, hex"00");
        expectBadQuorum(marks, bytes.concat(hex"01", first));
        expectBadQuorum(marks, bytes.concat(hex"02", first, first));
        expectBadQuorum(marks, bytes.concat(hex"02", second, first));
        expectBadQuorum(marks, bytes.concat(good, hex"00"));
        expectBadQuorum(marks, bytes.concat(hex"02", first));
        expectBadQuorum(
            marks, bytes.concat(hex"02", first, abi.encodePacked(uint8(1), compact(ORACLE_KEY + 7, digest)))
        );
        expectBadQuorum(markEntry(4, 101), good);
        bytes memory signatures = signMarks("");
        vm.expectRevert(ClosingMarks.MarksMalformed.selector);
        escape.setClosingMarks("", signatures);
        escape.setClosingMarks(marks, good);
    }

    function test_marksMustBeInOrder() external {
        anchored();
        bytes[3] memory bad = [
            bytes.concat(markEntry(4, 1), markEntry(4, 1)),
            bytes.concat(markEntry(4, 1), markEntry(3, 1)),
            hex"00000400000000"
        ];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory signatures = signMarks(bad[i]);
            vm.expectRevert(ClosingMarks.MarksMalformed.selector);
            escape.setClosingMarks(bad[i], signatures);
        }
    }

    /// @notice What was signed for one anchor is nothing under another, even of the same state.
    function test_marksAreForTheirAnchor() external {
        finaliseState();
        finaliseState();
        freezeByMissedEntry();
        fixAnchor();
        bytes memory marks = markEntry(4, 100);
        bytes memory signatures = signMarks(marks);
        vm.prank(DISPUTE);
        escape.lateFraud(2);
        fixAnchor();
        vm.assertEq(escape.anchorDetails().root, chain.finalRoot(2));
        expectBadQuorum(marks, signatures);
        setMarks(marks);
        expectMark(4, true, 100);
    }
}

/// @notice Names any escape and any batch chain.
contract CustodyNaming {
    address public escape;
    address public batchChain;

    function set(address escape_, address batchChain_) external {
        escape = escape_;
        batchChain = batchChain_;
    }
}
