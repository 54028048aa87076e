// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {StateRoots} from "../../src/custody/Custody.sol";
import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {StateParts} from "../../src/dispute/IDispute.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {EntitlementKind, EscapePhase} from "../../src/escape/IEscape.sol";
import {Signatures} from "../../src/lib/Signatures.sol";
import {StateWitness} from "../../src/lib/StateWitness.sol";
import {EscapeFixture, TestPool} from "../support/EscapeFixture.sol";
import {HookToken, RefusingToken} from "../support/HostileTokens.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";

/// @notice Registration by proof and payment.
contract EscapePaymentTest is EscapeFixture {
    EntitlementKind private constant ACCOUNT = EntitlementKind.ACCOUNT;
    EntitlementKind private constant WITHDRAWAL = EntitlementKind.WITHDRAWAL;
    EntitlementKind private constant DEPOSIT = EntitlementKind.DEPOSIT;
    uint256 private constant SIGNER_KEY = 0xb0b;

    function setUp() external {
        deployVenue();
    }

    /// @dev Treasury 50, insurance 30; alice is long what bob is short, so their equities depend on the marks.
    function buildState() private {
        addAccount(0, TREASURY, 50);
        addAccount(1, INSURANCE, 30);
        addAccount(2, ALICE, 1_000);
        addAccount(3, BOB, 3_000);
        addAccount(9, CAROL, -400);
        // A perpetual with funding, an option, a settled one, one that nobody holds.
        instrumentsInState.push(TestInstrument(0, 1, 1, int64(3 * 2 ** 20), 0, 100));
        instrumentsInState.push(TestInstrument(4, 3, 1, 0, 0, 20));
        instrumentsInState.push(TestInstrument(5, 4, 2, 0, 7, 99));
        instrumentsInState.push(TestInstrument(77, 2, 1, 0, 0, 1));
        // Funding: 10 lots pay 3 − 1 each; short ones receive it.
        positionsInState[2].push(TestPosition(0, 10, int64(2 ** 20)));
        positionsInState[2].push(TestPosition(4, 5, 0));
        positionsInState[2].push(TestPosition(5, -3, 0));
        positionsInState[3].push(TestPosition(0, -10, int64(2 ** 20)));
        positionsInState[3].push(TestPosition(4, -5, 0));
        positionsInState[3].push(TestPosition(5, 3, 0));
        outboxInState.push(OutboxCell(2, 0, 200, uint64(block.chainid), ALICE));
        outboxInState.push(OutboxCell(3, 0, 500, uint64(block.chainid), CAROL));
    }

    /// @notice Money in the vault without an entry that registers.
    function vaultWith(uint256 amount) private {
        usdc.mint(address(custody), amount);
    }

    function anchorState() private {
        finaliseState();
        freezeByMissedEntry();
        fixAnchor();
    }

    function registered() private view returns (uint256) {
        return escape.currentBooks().registered;
    }

    function equityOf(uint24 account) private returns (uint256) {
        uint256 before = registered();
        registerAccount(account);
        return registered() - before;
    }

    function expectPhase(EscapePhase phase) private {
        vm.expectRevert(abi.encodeWithSelector(Escape.WrongPhase.selector, phase));
    }

    // ── what an account is worth ───────────────────────────────────────────────────────────────────────────────────

    function test_equityAtTheLastMarks() external {
        buildState();
        anchorState();
        startRegistration();
        // 1000 − 20 funding + 10·100 + 5·20 − 3·7
        vm.assertEq(equityOf(2), 2_059);
        // 3000 + 20 − 1000 − 100 + 21
        vm.assertEq(equityOf(3), 1_941);
    }

    function test_equityAtSignedMarks() external {
        buildState();
        anchorState();
        // A mark of 0 is a mark; the settled instrument keeps its price.
        setMarks(bytes.concat(markEntry(0, 150), markEntry(4, 0), markEntry(5, 1_000)));
        startRegistration();
        vm.assertEq(equityOf(2), 1_000 - 20 + 1_500 - 21);
        vm.assertEq(equityOf(3), 3_000 + 20 - 1_500 + 21);
    }

    function test_fundingIsRoundedAgainstTheAccount() external {
        buildState();
        instrumentsInState[0].fundingIndex = int64(2 ** 20 + 1);
        anchorState();
        startRegistration();
        // 10 lots owe 10/2^20: one micro-USDC; the short side receives none.
        vm.assertEq(equityOf(2), 1_000 - 1 + 1_000 + 100 - 21);
        vm.assertEq(equityOf(3), 3_000 - 1_000 - 100 + 21);
    }

    function test_onlyPositiveEquityRegisters() external {
        buildState();
        cashInState[2] = -2_000;
        anchorState();
        setMarks(bytes.concat(markEntry(0, 99), markEntry(4, 211)));
        startRegistration();
        bytes memory witness = accountWitness(9);
        vm.expectRevert(abi.encodeWithSelector(Escape.NothingToRegister.selector, ACCOUNT, 9));
        escape.registerAccount(9, witness);
        // −2000 − 20 + 990 + 1055 − 21: 4.
        vm.assertEq(equityOf(2), 4);
    }

    function testFuzz_equityIsTheSum(int40 cash, int32[3] memory sizes, int56[3] memory indices, uint40[3] memory marks)
        external
    {
        addAccount(5, ALICE, cash);
        int256 expected = cash;
        for (uint24 i = 0; i < 3; ++i) {
            int256 size = sizes[i] == type(int32).min ? int256(1) : int256(sizes[i]);
            bool isPerpetual = i == 1;
            instrumentsInState.push(
                TestInstrument(3 * i, isPerpetual ? 1 : 3, i == 2 ? 2 : 1, int64(indices[i]), marks[i], marks[i])
            );
            if (size == 0) continue;
            positionsInState[5].push(TestPosition(3 * i, int32(size), 0));
            expected += size * int256(uint256(marks[i]));
            if (!isPerpetual) continue;
            int256 owed = size * int256(indices[i]);
            int256 quotient = -owed / 2 ** 20;
            expected += -owed < 0 && quotient * 2 ** 20 != -owed ? quotient - 1 : quotient;
        }
        anchorState();
        startRegistration();
        bytes memory witness = accountWitness(5);
        if (expected <= 0) {
            vm.expectRevert(abi.encodeWithSelector(Escape.NothingToRegister.selector, ACCOUNT, 5));
            escape.registerAccount(5, witness);
        } else {
            escape.registerAccount(5, witness);
            vm.assertEq(registered(), uint256(expected));
        }
    }

    // ── registration ───────────────────────────────────────────────────────────────────────────────────────────────

    function test_eachThingRegistersOnce() external {
        buildState();
        fund(BOB, 900);
        vm.prank(BOB);
        uint24 account = custody.openAccountAndDeposit(900);
        anchorState();
        startRegistration();
        registerAccount(2);
        registerWithdrawal(1);
        bytes memory entry = abi.encodePacked(uint8(2), account, uint64(900), BOB);
        escape.registerDeposit(1, entry);
        vm.assertEq(registered(), 2_059 + 500 + 900);
        bytes memory witness = accountWitness(2);
        vm.expectRevert(abi.encodeWithSelector(Escape.AlreadyRegistered.selector, ACCOUNT, 2));
        escape.registerAccount(2, witness);
        bytes32[] memory path = outboxPath(1);
        vm.expectRevert(abi.encodeWithSelector(Escape.AlreadyRegistered.selector, WITHDRAWAL, 1));
        escape.registerWithdrawal(1, outboxInState[1], path);
        vm.expectRevert(abi.encodeWithSelector(Escape.AlreadyRegistered.selector, DEPOSIT, 1));
        escape.registerDeposit(1, entry);
        vm.assertEq(registered(), 2_059 + 500 + 900);
    }

    function test_registrationHasItsTime() external {
        buildState();
        anchorState();
        bytes memory witness = accountWitness(2);
        bytes32[] memory path = outboxPath(0);
        expectPhase(EscapePhase.MARKING);
        escape.registerAccount(2, witness);
        expectPhase(EscapePhase.MARKING);
        escape.registerWithdrawal(0, outboxInState[0], path);
        vm.warp(escape.registrationUntil());
        expectPhase(EscapePhase.CLOSABLE);
        escape.registerAccount(2, witness);
        // Treasury and insurance have all the time in the world.
        registerAccount(0);
        vm.warp(block.timestamp - 1);
        escape.registerAccount(2, witness);
    }

    function test_hostileWitnessesAreRefused() external {
        buildState();
        anchorState();
        startRegistration();
        bytes memory witness = accountWitness(2);
        cashInState[2] += 1;
        bytes memory richer = accountWitness(2);
        cashInState[2] -= 1;
        vm.expectPartialRevert(StateWitness.StateRootMismatch.selector);
        escape.registerAccount(2, richer);
        vm.expectRevert(abi.encodeWithSelector(StateWitness.CellMissing.selector, 3));
        escape.registerAccount(3, witness);
        TestPosition memory last = positionsInState[2][2];
        positionsInState[2].pop();
        bytes memory fewer = accountWitness(2);
        vm.expectPartialRevert(StateWitness.StateRootMismatch.selector);
        escape.registerAccount(2, fewer);
        positionsInState[2].push(last);
        vm.expectRevert(StateWitness.WitnessMalformed.selector);
        escape.registerAccount(2, "");
        vm.expectRevert(StateWitness.WitnessMalformed.selector);
        escape.registerAccount(2, bytes.concat(witness, hex"00"));
        // An account that is proven absent.
        accountNumbers.push(10);
        bytes memory absent = absentWitness(10);
        vm.expectRevert(abi.encodeWithSelector(Escape.NothingToRegister.selector, ACCOUNT, 10));
        escape.registerAccount(10, absent);
    }

    /// @dev The witness of a leaf without a cell.
    function absentWitness(uint24 number) private returns (bytes memory witness) {
        accountNumbers.pop();
        StateParts memory parts = stateParts();
        Node[] memory nodes = accountNodes(0, false);
        Node[] memory more = new Node[](nodes.length + 1);
        for (uint256 i = 0; i < nodes.length; ++i) {
            more[i] = nodes[i];
        }
        more[nodes.length] = Node(number, 0, true);
        (, bytes memory siblings) = fold(more, 24);
        witness = bytes.concat(parts.globals, hex"0001", bytes2(uint16(siblings.length / 32)));
        witness = bytes.concat(witness, bytes4(uint32(number)), hex"0000", hex"00000000", siblings, hex"00000001");
        witness = bytes.concat(
            witness, parts.instrumentsRoot, hex"00000001", parts.underlyingsRoot, hex"00000001", parts.outboxRoot
        );
    }

    /// @notice A witness without the instruments of the positions shows nothing.
    function test_instrumentsOfPositionsAreNeeded() external {
        buildState();
        anchorState();
        startRegistration();
        StateParts memory parts = stateParts();
        (, bytes memory siblings) = fold(accountNodes(2, true), 24);
        bytes memory cell = accountCell(2);
        bytes memory witness =
            bytes.concat(parts.globals, hex"0001", bytes2(uint16(siblings.length / 32)), hex"00000002");
        witness = bytes.concat(witness, bytes2(uint16(cell.length)), cell, hex"00000000", siblings);
        witness = bytes.concat(witness, hex"00000001", parts.instrumentsRoot, hex"00000001", parts.underlyingsRoot);
        witness = bytes.concat(witness, hex"00000001", parts.outboxRoot);
        vm.expectRevert(abi.encodeWithSelector(StateWitness.CellMissing.selector, 0));
        escape.registerAccount(2, witness);
    }

    function test_withdrawalsOfTheAnchor() external {
        buildState();
        outboxInState.push(OutboxCell(2, 0, 10, 10, ALICE));
        uint64 number = finaliseState();
        fund(ALICE, 5_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(5_000);
        custody.claim(number, rootsOfState(), 0, outboxInState[0], outboxPath(0));
        freezeByMissedEntry();
        fixAnchor();
        startRegistration();
        bytes32[] memory path = outboxPath(0);
        vm.expectRevert(abi.encodeWithSelector(Escape.WithdrawalClaimed.selector, 0));
        escape.registerWithdrawal(0, outboxInState[0], path);
        path = outboxPath(2);
        vm.expectRevert(abi.encodeWithSelector(Escape.ChainMismatch.selector, 10));
        escape.registerWithdrawal(2, outboxInState[2], path);
        path = outboxPath(1);
        OutboxCell memory cell = outboxInState[1];
        cell.amount += 1;
        vm.expectRevert(abi.encodeWithSelector(Escape.WithdrawalNotInAnchor.selector, 1));
        escape.registerWithdrawal(1, cell, path);
        vm.expectRevert(abi.encodeWithSelector(Escape.WithdrawalNotInAnchor.selector, 3));
        escape.registerWithdrawal(3, outboxInState[1], path);
        vm.expectRevert(abi.encodeWithSelector(Escape.PathLength.selector, 31));
        escape.registerWithdrawal(1, outboxInState[1], new bytes32[](31));
        escape.registerWithdrawal(1, outboxInState[1], path);
        vm.assertEq(escape.entitlementOf(WITHDRAWAL, 1).beneficiary, CAROL);
        vm.assertEq(registered(), 500);
    }

    function rootsOfState() private view returns (StateRoots memory) {
        StateParts memory parts = stateParts();
        return StateRoots(
            parts.accountsRoot, parts.instrumentsRoot, parts.underlyingsRoot, parts.outboxRoot, keccak256(parts.globals)
        );
    }

    function test_depositsThatTheAnchorHasNotConsumed() external {
        buildState();
        fund(ALICE, 100);
        fund(BOB, 100);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(40);
        vm.prank(BOB);
        custody.deposit(2, 60);
        // open and the first deposit are consumed.
        cursorInState = 2;
        anchorState();
        startRegistration();
        bytes memory consumed = abi.encodePacked(uint8(2), uint24(2), uint64(40), ALICE);
        vm.expectRevert(abi.encodeWithSelector(Escape.DepositConsumed.selector, 1));
        escape.registerDeposit(1, consumed);
        bytes memory entry = abi.encodePacked(uint8(2), uint24(2), uint64(60), BOB);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryMismatch.selector, 2));
        escape.registerDeposit(2, abi.encodePacked(uint8(2), uint24(2), uint64(61), BOB));
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryMismatch.selector, 3));
        escape.registerDeposit(3, entry);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryMismatch.selector, 2));
        escape.registerDeposit(2, "");
        uint64 beyond = custody.queueLength();
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryMismatch.selector, beyond));
        escape.registerDeposit(beyond, entry);
        // The opening of carol's account.
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryNotDeposit.selector, 3));
        escape.registerDeposit(3, abi.encodePacked(uint8(1), uint24(3), CAROL));
        escape.registerDeposit(2, entry);
        vm.assertEq(escape.entitlementOf(DEPOSIT, 2).beneficiary, BOB);
    }

    // ── payment ────────────────────────────────────────────────────────────────────────────────────────────────────

    function registerAll() private {
        startRegistration();
        registerAccount(0);
        registerAccount(1);
        registerAccount(2);
        registerAccount(3);
        registerWithdrawal(0);
        registerWithdrawal(1);
    }

    /// @dev 2059 + 1941 + 200 + 500
    uint256 private constant SENIOR = 4_700;

    function test_everybodyIsPaidInFull() external {
        buildState();
        vaultWith(SENIOR + 80 + 5);
        anchorState();
        registerAll();
        expectPhase(EscapePhase.REGISTERING);
        escape.close();
        vm.expectRevert(abi.encodeWithSelector(Escape.WrongPhase.selector, EscapePhase.REGISTERING));
        escape.pay(ACCOUNT, 2);
        closeBooks();
        vm.assertEq(payAccount(2), 2_059);
        vm.assertEq(payAccount(3), 1_941);
        vm.assertEq(pay(WITHDRAWAL, 0, ALICE), 200);
        vm.assertEq(pay(WITHDRAWAL, 1, CAROL), 500);
        expectPhase(EscapePhase.PAYING);
        escape.pay(ACCOUNT, 0);
        startResidual();
        vm.assertEq(payAccount(0), 50);
        // The rest, what nobody owns included.
        vm.assertEq(payAccount(1), 35);
        vm.assertEq(usdc.balanceOf(address(custody)), 0);
        vm.expectRevert(abi.encodeWithSelector(Escape.AlreadyPaid.selector, ACCOUNT, 2));
        escape.pay(ACCOUNT, 2);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotRegistered.selector, ACCOUNT, 9));
        escape.pay(ACCOUNT, 9);
        vm.expectRevert(abi.encodeWithSelector(Escape.AlreadyPaid.selector, ACCOUNT, 1));
        escape.pay(ACCOUNT, 1);
    }

    function test_shortVaultPaysEverybodyTheSameShare() external {
        buildState();
        vaultWith(3_000);
        anchorState();
        registerAll();
        closeBooks();
        uint256 paid = payAccount(2);
        vm.assertEq(paid, uint256(2_059) * 3_000 / SENIOR);
        paid += payAccount(3);
        paid += pay(WITHDRAWAL, 0, ALICE);
        paid += pay(WITHDRAWAL, 1, CAROL);
        startResidual();
        vm.assertEq(payAccount(0), 0);
        vm.assertEq(payAccount(1), 0);
        uint256 dust = usdc.balanceOf(address(custody));
        vm.assertEq(dust, 3_000 - paid);
        vm.assertTrue(dust < 4);
    }

    function test_theTreasuryComesBeforeTheInsurance() external {
        buildState();
        vaultWith(SENIOR + 20);
        anchorState();
        registerAll();
        closeBooks();
        startResidual();
        vm.assertEq(payAccount(1), 0);
        vm.assertEq(payAccount(0), 20);
        // Nobody else has to have been paid first.
        vm.assertEq(payAccount(3), 1_941);
    }

    function test_thePoolIsAskedFirst() external {
        usdc = new TestUsdc();
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 5);
        poolInUse = address(new TestPool(usdc, predicted));
        deployVenueWith(usdc);
        vm.assertEq(address(custody), predicted);
        usdc.mint(poolInUse, 1_000);
        buildState();
        vaultWith(3_900);
        anchorState();
        registerAll();
        closeBooks();
        vm.assertEq(TestPool(poolInUse).asked(), 800);
        vm.assertEq(usdc.balanceOf(poolInUse), 200);
        vm.assertEq(payAccount(2), 2_059);
        vm.assertEq(escape.currentBooks().vault, SENIOR);
    }

    function test_thePoolMaySendToTheEscape() external {
        usdc = new TestUsdc();
        poolInUse = address(new TestPool(usdc, address(0)));
        deployVenueWith(usdc);
        usdc.mint(poolInUse, 100);
        buildState();
        vaultWith(3_900);
        anchorState();
        registerAll();
        closeBooks();
        vm.assertEq(escape.currentBooks().vault, 4_000);
        vm.assertEq(payAccount(2), uint256(2_059) * 4_000 / SENIOR);
    }

    /// @notice The pool is told even where nothing is missing: it waits for that.
    function test_thePoolIsToldThatNothingIsMissing() external {
        usdc = new TestUsdc();
        poolInUse = address(new TestPool(usdc, address(0)));
        deployVenueWith(usdc);
        buildState();
        vaultWith(10_000);
        anchorState();
        registerAll();
        closeBooks();
        vm.assertEq(TestPool(poolInUse).calls(), 1);
        vm.assertEq(TestPool(poolInUse).asked(), 0);
    }

    function test_aPoolThatNeverAnswersHoldsNobodyUp() external {
        // An address whose code refuses everything.
        poolInUse = address(new Refusing());
        deployVenue();
        buildState();
        vaultWith(3_000);
        anchorState();
        registerAll();
        vm.warp(escape.registrationUntil());
        vm.expectRevert(Refusing.No.selector);
        escape.close();
        uint256 time = escape.registrationUntil() + LATE_SECONDS;
        vm.warp(time - 1);
        vm.expectRevert(abi.encodeWithSelector(Escape.PoolNotYetGivenUp.selector, time));
        escape.closeWithoutPool();
        vm.warp(time);
        escape.closeWithoutPool();
        vm.assertEq(payAccount(2), uint256(2_059) * 3_000 / SENIOR);
    }

    function test_lateOnesShareWhatIsLeft() external {
        buildState();
        // Alice alone is in time.
        vaultWith(2_059 + 1_000);
        anchorState();
        startRegistration();
        registerAccount(2);
        closeBooks();
        vm.assertEq(payAccount(2), 2_059);
        registerAccount(3);
        registerWithdrawal(1);
        registerAccount(0);
        expectPhase(EscapePhase.PAYING);
        escape.pay(ACCOUNT, 3);
        startResidual();
        bytes32[] memory path = outboxPath(0);
        expectPhase(EscapePhase.RESIDUAL);
        escape.registerWithdrawal(0, outboxInState[0], path);
        vm.assertEq(payAccount(3), uint256(1_941) * 1_000 / 2_441);
        vm.assertEq(pay(WITHDRAWAL, 1, CAROL), uint256(500) * 1_000 / 2_441);
        vm.assertEq(payAccount(0), 0);
        vm.assertTrue(usdc.balanceOf(address(custody)) < 2);
    }

    function test_lateOnesGetNoMoreThanTheyHave() external {
        buildState();
        vaultWith(2_059 + 1_941 + 700);
        anchorState();
        startRegistration();
        registerAccount(2);
        closeBooks();
        registerAccount(3);
        startResidual();
        vm.assertEq(payAccount(3), 1_941);
        // The insurance may come at any time; the treasury may not.
        bytes memory witness = accountWitness(0);
        expectPhase(EscapePhase.RESIDUAL);
        escape.registerAccount(0, witness);
        registerAccount(1);
        vm.assertEq(payAccount(1), 700);
    }

    function test_lateOnesGetNothingFromAShortVault() external {
        buildState();
        vaultWith(2_000);
        anchorState();
        startRegistration();
        registerAccount(2);
        closeBooks();
        registerAccount(3);
        startResidual();
        vm.assertEq(payAccount(3), 0);
        vm.assertEq(payAccount(2), 2_000);
    }

    /// @notice The insurance takes the rest even where it is worth nothing; a treasury worth nothing has nothing to register.
    function test_juniorsWithoutEquity() external {
        buildState();
        cashInState[0] = 0;
        cashInState[1] = -5;
        vaultWith(10);
        anchorState();
        startRegistration();
        bytes memory witness = accountWitness(0);
        vm.expectRevert(abi.encodeWithSelector(Escape.NothingToRegister.selector, ACCOUNT, 0));
        escape.registerAccount(0, witness);
        registerAccount(1);
        closeBooks();
        startResidual();
        vm.assertEq(payAccount(1), 10);
    }

    // ── tokens ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_aRefusedRecipientBlocksNobody() external {
        RefusingToken refusing = new RefusingToken();
        deployVenueWith(refusing);
        buildState();
        vaultWith(3_000);
        anchorState();
        registerAll();
        closeBooks();
        refusing.refuse(ALICE, true);
        vm.expectRevert(abi.encodeWithSelector(RefusingToken.Refused.selector, ALICE));
        escape.pay(ACCOUNT, 2);
        vm.assertEq(payAccount(3), uint256(1_941) * 3_000 / SENIOR);
        refusing.refuse(ALICE, false);
        vm.assertEq(payAccount(2), uint256(2_059) * 3_000 / SENIOR);
    }

    function test_paymentCannotBeReentered() external {
        HookToken hooks = new HookToken();
        deployVenueWith(hooks);
        buildState();
        vaultWith(3_000);
        anchorState();
        registerAll();
        closeBooks();
        bytes[3] memory calls = [
            abi.encodeCall(Escape.pay, (ACCOUNT, uint64(2))),
            abi.encodeCall(Escape.pay, (ACCOUNT, uint64(3))),
            abi.encodeCall(Escape.registerAccount, (uint24(0), accountWitness(0)))
        ];
        uint64[3] memory numbers = [uint64(2), 3, 0];
        for (uint256 i = 0; i < 2; ++i) {
            hooks.arm(address(escape), calls[2 - i]);
            payAccount(uint24(numbers[i]));
            vm.assertTrue(hooks.called());
            vm.assertFalse(hooks.succeeded());
            vm.assertEq(
                hooks.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
            );
        }
        hooks.arm(address(escape), calls[0]);
        pay(WITHDRAWAL, 0, ALICE);
        vm.assertFalse(hooks.succeeded());
        vm.assertEq(hooks.balanceOf(ALICE), uint256(2_059) * 3_000 / SENIOR + uint256(200) * 3_000 / SENIOR);
    }

    // ── what was paid beyond the anchor ────────────────────────────────────────────────────────────────────────────

    /// @dev Alice (account 2) has 1,000 in the anchor. In the next final state, which is then shown wrong, withdrawals
    /// were made and claimed.
    function paidBeyond(OutboxCell[] memory cells) private returns (uint64 wrong) {
        fund(ALICE, 10_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(3_000);
        addAccount(2, vm.addr(SIGNER_KEY), 1_000);
        cursorInState = 2;
        finaliseState();
        for (uint256 i = 0; i < cells.length; ++i) {
            outboxInState.push(cells[i]);
        }
        wrong = finaliseState();
        for (uint32 i = 0; i < cells.length; ++i) {
            custody.claim(wrong, rootsOfState(), i, cells[i], outboxPath(i));
        }
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        for (uint256 i = 0; i < cells.length; ++i) {
            outboxInState.pop();
        }
        fixAnchor();
    }

    function cellOf(uint24 account, uint64 amount, address recipient) private view returns (OutboxCell memory) {
        return OutboxCell(account, 0, amount, uint64(block.chainid), recipient);
    }

    function test_whatTheOwnerGotIsSetAgainstHisAccount() external {
        OutboxCell[] memory cells = new OutboxCell[](2);
        cells[0] = cellOf(2, 300, ALICE);
        cells[1] = cellOf(2, 100, BOB);
        paidBeyond(cells);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotClaimedSo.selector, 1));
        escape.showPaid(1, cells[0]);
        // Money that went to a stranger says nothing about the account.
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, BOB));
        escape.showPaid(1, cells[1]);
        vm.expectEmit(address(escape));
        emit Escape.PaidBeyondAnchor(0, 0, 2, 300);
        escape.showPaid(0, cells[0]);
        vm.expectRevert(abi.encodeWithSelector(Escape.AlreadyShown.selector, 0));
        escape.showPaid(0, cells[0]);
        vm.assertEq(escape.paidBeyondAnchor(2), 300);
        startRegistration();
        expectPhase(EscapePhase.REGISTERING);
        escape.showPaid(0, cells[0]);
        registerAccount(2);
        vm.assertEq(registered(), 700);
        vm.assertEq(escape.paidBeyondAnchor(2), 0);
    }

    function test_whatTheOwnerForcedIsSetAgainstHisAccount() external {
        fund(ALICE, 10_000);
        vm.prank(ALICE);
        custody.openAccount();
        vm.prank(ALICE);
        custody.forceWithdrawal(2, 100, BOB);
        addAccount(2, ALICE, 1_000);
        vm.prank(ALICE);
        custody.deposit(2, 1_000);
        cursorInState = 3;
        finaliseState();
        OutboxCell memory cell = cellOf(2, 100, BOB);
        outboxInState.push(cell);
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, cell, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState.pop();
        fixAnchor();
        escape.showPaid(0, cell);
        startRegistration();
        registerAccount(2);
        vm.assertEq(registered(), 900);
    }

    function test_whatTheOwnerSignedIsSetAgainstHisAccount() external {
        address owner = vm.addr(SIGNER_KEY);
        vm.prank(owner);
        custody.openAccount();
        fund(ALICE, 3_000);
        vm.prank(ALICE);
        custody.deposit(2, 3_000);
        addAccount(2, owner, 1_000);
        cursorInState = 2;
        finaliseState();
        OutboxCell memory cell = cellOf(2, 250, BOB);
        outboxInState.push(cell);
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, cell, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState.pop();
        fixAnchor();
        bytes memory signature = signWithdrawal(SIGNER_KEY, cell, 7, 1_900_000_000_000);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, BOB));
        escape.showPaidAsSigned(0, cell, 8, 1_900_000_000_000, signature);
        bytes memory foreign = signWithdrawal(SIGNER_KEY + 1, cell, 7, 1_900_000_000_000);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, BOB));
        escape.showPaidAsSigned(0, cell, 7, 1_900_000_000_000, foreign);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, BOB));
        escape.showPaidAsSigned(0, cell, 7, 1_900_000_000_000, "");
        escape.showPaidAsSigned(0, cell, 7, 1_900_000_000_000, signature);
        startRegistration();
        registerAccount(2);
        vm.assertEq(registered(), 750);
    }

    /// @notice A wrong state pays a signed withdrawal twice: the owner, who wanted it once, does not bear the second payment.
    function test_whatTheOwnerSignedCountsOnce() external {
        address owner = vm.addr(SIGNER_KEY);
        vm.prank(owner);
        custody.openAccount();
        fund(ALICE, 3_000);
        vm.prank(ALICE);
        custody.deposit(2, 3_000);
        addAccount(2, owner, 1_000);
        cursorInState = 2;
        finaliseState();
        OutboxCell memory cell = cellOf(2, 250, BOB);
        outboxInState.push(cell);
        outboxInState.push(cell);
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, cell, outboxPath(0));
        custody.claim(wrong, rootsOfState(), 1, cell, outboxPath(1));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState.pop();
        outboxInState.pop();
        fixAnchor();
        bytes memory signature = signWithdrawal(SIGNER_KEY, cell, 7, 1_900_000_000_000);
        escape.showPaidAsSigned(0, cell, 7, 1_900_000_000_000, signature);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, BOB));
        escape.showPaidAsSigned(1, cell, 7, 1_900_000_000_000, signature);
        startRegistration();
        registerAccount(2);
        vm.assertEq(registered(), 750);
    }

    function signWithdrawal(uint256 key, OutboxCell memory cell, uint64 nonce, uint64 expiryMs)
        private
        view
        returns (bytes memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                Signatures.WITHDRAWAL_TYPE_HASH,
                DOMAIN,
                cell.account,
                cell.asset,
                cell.amount,
                cell.destinationChain,
                cell.recipient,
                nonce,
                expiryMs
            )
        );
        return compact(key, keccak256(bytes.concat(hex"1901", separator(), structHash)));
    }

    /// @notice What was paid covers the account's deposits too, and never more than it was.
    function test_whatWasPaidIsSetAgainstDepositsToo() external {
        fund(ALICE, 10_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(2_000);
        addAccount(2, ALICE, 1_000);
        cursorInState = 2;
        finaliseState();
        vm.prank(ALICE);
        custody.deposit(2, 500);
        cursorInState = 3;
        OutboxCell memory cell = cellOf(2, 1_200, ALICE);
        outboxInState.push(cell);
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, cell, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState.pop();
        cursorInState = 2;
        fixAnchor();
        escape.showPaid(0, cell);
        startRegistration();
        bytes memory entry = abi.encodePacked(uint8(2), uint24(2), uint64(500), ALICE);
        vm.expectRevert(abi.encodeWithSelector(Escape.AccountNotRegistered.selector, 2));
        escape.registerDeposit(2, entry);
        registerAccount(2);
        vm.assertEq(registered(), 0);
        escape.registerDeposit(2, entry);
        // 1000 + 500 − 1200
        vm.assertEq(registered(), 300);
        closeBooks();
        vm.assertEq(payAccount(2), 0);
        vm.assertEq(pay(DEPOSIT, 2, ALICE), 300);
    }

    function test_aDepositThatWentBackToItsPayer() external {
        fund(BOB, 900);
        openAccount(ALICE);
        vm.prank(BOB);
        custody.deposit(2, 900);
        addAccount(2, ALICE, 100);
        cursorInState = 1;
        finaliseState();
        cursorInState = 2;
        OutboxCell memory cell = cellOf(2, 900, BOB);
        outboxInState.push(cell);
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, cell, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState.pop();
        cursorInState = 1;
        fixAnchor();
        bytes memory entry = abi.encodePacked(uint8(2), uint24(2), uint64(900), BOB);
        OutboxCell memory other = cellOf(2, 900, CAROL);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryMismatch.selector, 1));
        escape.showReturned(0, other, 1, entry);
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, BOB));
        escape.showPaid(0, cell);
        escape.showReturned(0, cell, 1, entry);
        vm.expectRevert(abi.encodeWithSelector(Escape.EntryMismatch.selector, 1));
        escape.showReturned(0, cell, 1, entry);
        startRegistration();
        registerAccount(2);
        vm.expectRevert(abi.encodeWithSelector(Escape.DepositReturned.selector, 1));
        escape.registerDeposit(1, entry);
        // Bob's deposit is paid; the account keeps what it has.
        vm.assertEq(registered(), 100);
    }

    /// @notice An account that the anchor does not know withdrew what was deposited into it.
    function test_anAccountThatCameAfterTheAnchor() external {
        finaliseState();
        fund(BOB, 900);
        openAccount(ALICE);
        vm.prank(BOB);
        custody.deposit(2, 900);
        cursorInState = 2;
        OutboxCell memory cell = cellOf(2, 800, ALICE);
        outboxInState.push(cell);
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, cell, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState.pop();
        cursorInState = 0;
        fixAnchor();
        escape.showPaid(0, cell);
        startRegistration();
        bytes memory entry = abi.encodePacked(uint8(2), uint24(2), uint64(900), BOB);
        vm.expectRevert(abi.encodeWithSelector(Escape.AccountNotRegistered.selector, 2));
        escape.registerDeposit(1, entry);
        accountNumbers.push(2);
        escape.registerAccount(2, absentWitness(2));
        escape.registerDeposit(1, entry);
        vm.assertEq(registered(), 100);
        closeBooks();
        escape.pay(ACCOUNT, 2);
        vm.assertEq(pay(DEPOSIT, 1, BOB), 100);
    }

    /// @notice A withdrawal of the anchor whose number was claimed by something else is still owed.
    function test_aNumberTakenByAWrongStateIsStillOwed() external {
        fund(ALICE, 3_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(3_000);
        addAccount(2, ALICE, 1_000);
        cursorInState = 2;
        OutboxCell memory right = cellOf(2, 50, BOB);
        outboxInState.push(right);
        finaliseState();
        OutboxCell memory stolen = cellOf(2, 999, CAROL);
        outboxInState[0] = stolen;
        uint64 wrong = finaliseState();
        custody.claim(wrong, rootsOfState(), 0, stolen, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(wrong);
        outboxInState[0] = right;
        fixAnchor();
        vm.expectRevert(abi.encodeWithSelector(Escape.NotTheOwnersWish.selector, 2, CAROL));
        escape.showPaid(0, stolen);
        startRegistration();
        registerWithdrawal(0);
        vm.assertEq(registered(), 50);
    }

    function test_withdrawalsThatTheAnchorKnowsAreNotBeyondIt() external {
        fund(ALICE, 3_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(3_000);
        addAccount(2, ALICE, 1_000);
        cursorInState = 2;
        OutboxCell memory cell = cellOf(2, 50, ALICE);
        outboxInState.push(cell);
        uint64 number = finaliseState();
        custody.claim(number, rootsOfState(), 0, cell, outboxPath(0));
        vm.prank(DISPUTE);
        escape.lateFraud(number + 1);
        fixAnchor();
        vm.expectRevert(abi.encodeWithSelector(Escape.NotBeyondAnchor.selector, 0));
        escape.showPaid(0, cell);
    }
}

contract Refusing {
    error No();

    fallback() external {
        revert No();
    }
}
